/* SPDX-License-Identifier: MIT */
#include "parking.h"

/* The account's lot, or the first that is free; NULL if there is none. */
static ln_parking_lot *find_lot(ln_parking *p, const ln_hub_account *account)
{
    ln_parking_lot *vacant = NULL;
    for (uint32_t i = 0; i < p->used; i++) {
        if (p->lots[i].account == account)
            return &p->lots[i];
        if (p->lots[i].count == 0 && !vacant)
            vacant = &p->lots[i];
    }
    if (!vacant && p->used < LN_PARKING_LOTS)
        vacant = &p->lots[p->used++];
    return vacant;
}

int ln_parking_enter(ln_parking **parking, const ln_allocator *alloc, const ln_subscriber *s)
{
    LN_ASSERT(s->account);
    if (!*parking)
        *parking = ln_alloc_zero(alloc, sizeof **parking);
    if (!*parking)
        return LN_ERR_NOMEM;
    ln_parking_lot *lot = find_lot(*parking, s->account);
    if (!lot)
        return LN_ERR_LIMIT;
    lot->account = s->account;
    lot->count++;
    if (s->full_bytes > (*parking)->min_bytes)
        (*parking)->min_bytes = s->full_bytes;
    return 0;
}

void ln_parking_leave(ln_parking *p, const ln_subscriber *s)
{
    LN_ASSERT(p && s->account);
    ln_parking_lot *lot = find_lot(p, s->account);
    LN_ASSERT(lot && lot->account == s->account && lot->count > 0);
    lot->count--;
}

void ln_parking_clear(ln_parking *p)
{
    if (p)
        *p = (ln_parking){0};
}
