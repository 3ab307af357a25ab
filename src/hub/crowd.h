/* SPDX-License-Identifier: MIT */
/*
 * crowd - the members of one topic, seated side by side so that fan-out reads memory in order.
 *
 * Outside a publication a leaver's seat goes to the last one (O(1)); while seats are being walked
 * it is vacated instead, and the crowd is closed up afterwards.
 *
 * Members that need not be called are parked: their seats lie in front of the others, so that
 * fan-out begins behind them.
 *
 * Invariants
 *   1. live <= size <= capacity; size - live seats are vacant (who == NULL).
 *   2. seats[member->seat].member == member for everyone seated.
 *   3. The seats below `parked` are the parked ones, vacant ones among them.
 *   4. Order of joining is kept by add, vacate and compact; only remove() and parking break it.
 *   5. After remove() and compact() at most about three quarters of the memory are unused.
 */
#ifndef LN_CROWD_H
#define LN_CROWD_H

#include "members.h"

typedef struct ln_subscriber ln_subscriber;

typedef struct ln_seat {
    ln_subscriber *who; /* NULL = vacant */
    ln_member *member;
} ln_seat;

/* Zeroed, a crowd is empty and owns nothing. */
typedef struct ln_crowd {
    ln_seat *seats;
    uint32_t size;
    uint32_t capacity;
    uint32_t live;
    uint32_t parked;
} ln_crowd;

void ln_crowd_fini(ln_crowd *c, const ln_allocator *alloc);

/* Room for one more, so that the next add() cannot fail. LN_ERR_NOMEM. May move the seats. */
LN_NODISCARD int ln_crowd_reserve(ln_crowd *c, const ln_allocator *alloc);

/* Seats `who` at the end; needs reserve(). */
void ln_crowd_add(ln_crowd *c, ln_subscriber *who, ln_member *member);

/* Gives seat `index` to the last one. No seat may be vacant. */
void ln_crowd_remove(ln_crowd *c, const ln_allocator *alloc, uint32_t index);

/* Leaves seat `index` empty; no other moves. */
void ln_crowd_vacate(ln_crowd *c, uint32_t index);

/* Closes up the vacant seats. O(size). */
void ln_crowd_compact(ln_crowd *c, const ln_allocator *alloc);

/* The member of seat `index` changes over to the parked, or back. Two seats change places: of the
 * others, park() moves one in front of `index` only, unpark() one of the parked. */
void ln_crowd_park(ln_crowd *c, uint32_t index);
void ln_crowd_unpark(ln_crowd *c, uint32_t index);

/* The member that `who` is here, or NULL. O(size). */
ln_member *ln_crowd_find(const ln_crowd *c, const ln_subscriber *who);

#endif
