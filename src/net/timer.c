/* SPDX-License-Identifier: MIT */
#include "timer.h"

enum { DIGIT_BITS = 6, TOP_BITS = DIGIT_BITS * LN_WHEEL_LEVELS };

_Static_assert(1 << DIGIT_BITS == LN_WHEEL_SLOTS, "a digit selects a slot");

static unsigned digit(uint64_t ms, unsigned level)
{
    return (unsigned)(ms >> (level * DIGIT_BITS)) & (LN_WHEEL_SLOTS - 1);
}

/* The list for `at_ms` as of now_ms; what has passed goes into the slot of now, which the next
 * advance takes first. */
static ln_link *place(ln_wheel *w, uint64_t at_ms)
{
    const uint64_t at = at_ms > w->now_ms ? at_ms : w->now_ms;
    const uint64_t differing = at ^ w->now_ms;
    const unsigned level = differing ? (unsigned)(63 - __builtin_clzll(differing)) / DIGIT_BITS : 0;

    if (level >= LN_WHEEL_LEVELS)
        return &w->far;
    w->occupied[level] |= (uint64_t)1 << digit(at, level);
    return &w->slots[level][digit(at, level)];
}

static void link_timer(ln_wheel *w, ln_timer *t)
{
    ln_list_add(place(w, t->at_ms), &t->link);
}

static void unlink_timer(ln_wheel *w, ln_timer *t)
{
    ln_link *const other = t->link.next;
    const bool is_last = other == t->link.prev;
    ln_list_remove(&t->link);
    t->link.next = NULL;

    /* The only one in its ring: `other` is the head, and its address tells which. */
    const ln_link *const first = &w->slots[0][0];
    if (is_last && other >= first && other < first + (size_t)LN_WHEEL_LEVELS * LN_WHEEL_SLOTS) {
        const size_t index = (size_t)(other - first);
        w->occupied[index / LN_WHEEL_SLOTS] &= ~((uint64_t)1 << index % LN_WHEEL_SLOTS);
    }
}

void ln_wheel_init(ln_wheel *w, uint64_t now_ms)
{
    w->now_ms = now_ms;
    for (unsigned level = 0; level < LN_WHEEL_LEVELS; level++) {
        w->occupied[level] = 0;
        for (unsigned slot = 0; slot < LN_WHEEL_SLOTS; slot++)
            ln_list_init(&w->slots[level][slot]);
    }
    ln_list_init(&w->far);
    ln_list_init(&w->due);
}

void ln_timer_init(ln_timer *t, void (*fire)(ln_timer *timer))
{
    *t = (ln_timer){.fire = fire};
}

bool ln_timer_is_set(const ln_timer *t)
{
    return t->link.next != NULL;
}

void ln_timer_set(ln_wheel *w, ln_timer *t, uint64_t at_ms)
{
    if (ln_timer_is_set(t))
        unlink_timer(w, t);
    t->at_ms = at_ms;
    link_timer(w, t);
}

void ln_timer_clear(ln_wheel *w, ln_timer *t)
{
    if (ln_timer_is_set(t))
        unlink_timer(w, t);
}

/* Moves all of `from` to the end of `to`, in order. */
static void splice(ln_link *to, ln_link *from)
{
    if (ln_list_is_empty(from))
        return;
    from->next->prev = to->prev;
    to->prev->next = from->next;
    from->prev->next = to;
    to->prev = from->prev;
    ln_list_init(from);
}

/* Links everything in `list` anew as of now_ms. */
static void cascade(ln_wheel *w, ln_link *list)
{
    ln_link moved;
    ln_list_init(&moved);
    splice(&moved, list);
    while (!ln_list_is_empty(&moved)) {
        ln_timer *const t = LN_CONTAINER_OF(moved.next, ln_timer, link);
        ln_list_remove(&t->link);
        link_timer(w, t);
    }
}

/* Moves now to `to_ms`; the caller knows that no timer is due and none has to be cascaded in
 * between. */
static void step(ln_wheel *w, uint64_t to_ms)
{
    const uint64_t from_ms = w->now_ms;
    w->now_ms = to_ms;
    if ((from_ms ^ to_ms) >> TOP_BITS)
        cascade(w, &w->far);
    for (unsigned level = LN_WHEEL_LEVELS - 1; level > 0; level--) {
        const unsigned slot = digit(to_ms, level);
        if ((from_ms ^ to_ms) >> (level * DIGIT_BITS) && w->occupied[level] >> slot & 1) {
            w->occupied[level] &= ~((uint64_t)1 << slot);
            cascade(w, &w->slots[level][slot]);
        }
    }
}

unsigned ln_wheel_advance(ln_wheel *w, uint64_t now_ms)
{
    const uint64_t target_ms = now_ms > w->now_ms ? now_ms : w->now_ms;

    for (;;) {
        const unsigned slot = digit(w->now_ms, 0);
        if (w->occupied[0] >> slot & 1) {
            w->occupied[0] &= ~((uint64_t)1 << slot);
            splice(&w->due, &w->slots[0][slot]);
        }
        if (w->now_ms == target_ms)
            break;
        const uint64_t next_ms = ln_wheel_next_ms(w);
        step(w, next_ms < target_ms ? next_ms : target_ms);
    }

    /* now_ms is the target already: what a firing timer sets lands in the wheel, never in `due`. */
    unsigned fired = 0;
    while (!ln_list_is_empty(&w->due)) {
        ln_timer *const t = LN_CONTAINER_OF(w->due.next, ln_timer, link);
        unlink_timer(w, t);
        t->fire(t);
        fired++;
    }
    return fired;
}

uint64_t ln_wheel_next_ms(const ln_wheel *w)
{
    /* A lower level's times all come before a higher one's. */
    for (unsigned level = 0; level < LN_WHEEL_LEVELS; level++) {
        const unsigned shift = level * DIGIT_BITS;
        const unsigned here = digit(w->now_ms, level);
        const uint64_t ahead = w->occupied[level] >> here << here;
        if (ahead) {
            const uint64_t block_ms = w->now_ms >> (shift + DIGIT_BITS) << (shift + DIGIT_BITS);
            return block_ms + ((uint64_t)__builtin_ctzll(ahead) << shift);
        }
    }
    if (!ln_list_is_empty(&w->far))
        return ((w->now_ms >> TOP_BITS) + 1) << TOP_BITS;
    return UINT64_MAX;
}
