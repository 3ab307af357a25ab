/* SPDX-License-Identifier: MIT */
/*
 * parking - the books of the members of a topic that are parked: how many there are for each account,
 * and what they are parked for. Where they sit is the crowd's business (crowd.h).
 *
 * Invariants
 *   1. The counts of the lots are those of the parked members that are live, each with its
 *      subscriber's account, which does not change while it is parked.
 *   2. A publication of `min_bytes` and more concerns none of them.
 */
#ifndef LN_PARKING_H
#define LN_PARKING_H

#include "base/alloc.h"
#include "hub.h"

enum { LN_PARKING_LOTS = 4 };

typedef struct ln_parking_lot {
    ln_hub_account *account;
    uint32_t count;
} ln_parking_lot;

/* Exists from the first parked member on. */
typedef struct ln_parking {
    uint32_t min_bytes;
    uint32_t used; /* lots */
    ln_parking_lot lots[LN_PARKING_LOTS];
} ln_parking;

/* Enters `s`, which has an account, into *parking, which is made if it is NULL. LN_ERR_NOMEM;
 * LN_ERR_LIMIT: too many accounts. */
LN_NODISCARD int ln_parking_enter(ln_parking **parking, const ln_allocator *alloc,
                                  const ln_subscriber *s);
void ln_parking_leave(ln_parking *p, const ln_subscriber *s);

/* Forgets everybody. Accepts NULL. */
void ln_parking_clear(ln_parking *p);

#endif
