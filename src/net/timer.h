/* SPDX-License-Identifier: MIT */
/*
 * timer - deadlines on a hierarchical wheel: setting, moving and cancelling are O(1), at
 * millisecond grain.
 *
 * No clock and no I/O: the loop tells it the time. A timer's storage is its owner's.
 *
 * Invariants
 *   1. A timer never fires before its time; it fires at the first advance() at or after it.
 *   2. A timer that is set is linked exactly once; it is unlinked before its function runs, so that
 *      the function may set it again or free it.
 *   3. Timers of the same millisecond fire in the order they were set.
 *   4. Where a timer is linked is a function of its time and of now_ms alone: level k holds what
 *      differs from now_ms first in digit k (base 64), `far` what differs above the top digit.
 *      Invariant 3 follows from it.
 */
#ifndef LN_TIMER_H
#define LN_TIMER_H

#include "base/list.h"

enum { LN_WHEEL_LEVELS = 5, LN_WHEEL_SLOTS = 64 }; /* 64^5 ms: 12 days; later ones wait in `far` */

typedef struct ln_timer ln_timer;
struct ln_timer {
    ln_link link; /* next == NULL: not set */
    uint64_t at_ms;
    void (*fire)(ln_timer *timer);
};

typedef struct ln_wheel {
    uint64_t now_ms;
    uint64_t occupied[LN_WHEEL_LEVELS]; /* one bit a slot */
    ln_link slots[LN_WHEEL_LEVELS][LN_WHEEL_SLOTS];
    ln_link far; /* beyond the levels; looked at again every 64^5 ms */
    ln_link due; /* being fired */
} ln_wheel;

void ln_wheel_init(ln_wheel *w, uint64_t now_ms);

/* A timer that is not set. */
void ln_timer_init(ln_timer *t, void (*fire)(ln_timer *timer));
bool ln_timer_is_set(const ln_timer *t);

/* Sets or moves it; a time that has passed fires at the next advance. */
void ln_timer_set(ln_wheel *w, ln_timer *t, uint64_t at_ms);
/* Harmless when not set. */
void ln_timer_clear(ln_wheel *w, ln_timer *t);

/* Fires all that are due at `now_ms`; their number. A timer set to the past by a firing one fires
 * at the next advance. */
unsigned ln_wheel_advance(ln_wheel *w, uint64_t now_ms);

/* No timer is due before this time; UINT64_MAX if none is set. May be early (a cascade), never
 * late. */
uint64_t ln_wheel_next_ms(const ln_wheel *w);

#endif
