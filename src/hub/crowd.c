/* SPDX-License-Identifier: MIT */
#include "crowd.h"

enum { CAPACITY_MIN = 2 };

void ln_crowd_fini(ln_crowd *c, const ln_allocator *alloc)
{
    LN_ASSERT(c->live == 0);
    ln_free(alloc, c->seats);
    *c = (ln_crowd){0};
}

/* Moves the seats; on LN_ERR_NOMEM they stay as they were, which is good enough for shrinking. */
static int resize(ln_crowd *c, const ln_allocator *alloc, uint32_t capacity)
{
    LN_ASSERT(capacity >= c->size && capacity > 0);
    ln_seat *seats = ln_realloc(alloc, c->seats, capacity * sizeof *seats);
    if (!seats)
        return LN_ERR_NOMEM;
    c->seats = seats;
    c->capacity = capacity;
    return 0;
}

int ln_crowd_reserve(ln_crowd *c, const ln_allocator *alloc)
{
    if (c->size < c->capacity)
        return 0;
    LN_ASSERT(c->capacity < UINT32_MAX / 2);
    return resize(c, alloc, c->capacity + c->capacity / 2 + CAPACITY_MIN);
}

/* Below a quarter: to about a half, so that the next join or leave does not move the seats
 * again. */
static void shrink(ln_crowd *c, const ln_allocator *alloc)
{
    if (c->size < c->capacity / 4)
        (void)resize(c, alloc, c->size * 2 + CAPACITY_MIN);
}

void ln_crowd_add(ln_crowd *c, ln_subscriber *who, ln_member *member)
{
    LN_ASSERT(c->size < c->capacity && who);
    member->seat = c->size;
    c->seats[c->size++] = (ln_seat){who, member};
    c->live++;
}

static void put(ln_crowd *c, uint32_t index, ln_seat seat)
{
    c->seats[index] = seat;
    if (seat.member)
        seat.member->seat = index;
}

void ln_crowd_remove(ln_crowd *c, const ln_allocator *alloc, uint32_t index)
{
    LN_ASSERT(index < c->size && c->live == c->size);
    if (index < c->parked) { /* the last of the parked takes it, and the gap is behind them */
        put(c, index, c->seats[--c->parked]);
        index = c->parked;
    }
    c->live = --c->size;
    if (index < c->size)
        put(c, index, c->seats[c->size]);
    shrink(c, alloc);
}

void ln_crowd_vacate(ln_crowd *c, uint32_t index)
{
    LN_ASSERT(index < c->size && c->seats[index].who);
    c->seats[index] = (ln_seat){0};
    c->live--;
}

void ln_crowd_compact(ln_crowd *c, const ln_allocator *alloc)
{
    uint32_t kept = 0, parked = 0;
    for (uint32_t i = 0; i < c->size; i++) {
        if (!c->seats[i].who)
            continue;
        parked += i < c->parked;
        put(c, kept++, c->seats[i]);
    }
    LN_ASSERT(kept == c->live && parked <= c->parked);
    c->size = kept;
    c->parked = parked;
    shrink(c, alloc);
}

static void swap(ln_crowd *c, uint32_t a, uint32_t b)
{
    const ln_seat seat = c->seats[a];
    put(c, a, c->seats[b]);
    put(c, b, seat);
}

void ln_crowd_park(ln_crowd *c, uint32_t index)
{
    LN_ASSERT(index >= c->parked && index < c->size && c->seats[index].who);
    swap(c, index, c->parked++);
}

void ln_crowd_unpark(ln_crowd *c, uint32_t index)
{
    LN_ASSERT(index < c->parked && c->seats[index].who);
    swap(c, index, --c->parked);
}

ln_member *ln_crowd_find(const ln_crowd *c, const ln_subscriber *who)
{
    LN_ASSERT(who);
    for (uint32_t i = 0; i < c->size; i++)
        if (c->seats[i].who == who)
            return c->seats[i].member;
    return NULL;
}
