/* SPDX-License-Identifier: MIT */
/*
 * slots - names for connections that outlive them: index + generation to pointer, never the wrong
 * one.
 *
 * One thread (the owner) adds and removes; any thread may ask whether a name is still alive. The
 * table grows in pages that never move, so readers need no lock.
 *
 * Invariants
 *   1. A slot's generation is odd while its name is alive and even otherwise; taking and retiring
 *      each add 1. A slot is taken (value != NULL) from add() to remove(), its name alive from
 *      add() to retire() or remove().
 *   2. A name is (generation << 24 | index) with an odd generation, so it is never 0 and never
 *      given out twice before 2^31 reuses of one slot; freed slots go to the back of a queue. It
 *      fits 56 bits; with any of the upper 8 set it names nothing.
 *   3. free_count + taken slots == size <= free_capacity: giving back never needs memory.
 */
#ifndef LN_SLOTS_H
#define LN_SLOTS_H

#include <stdatomic.h>

#include "alloc.h"

enum {
    LN_SLOTS_PAGE = 1024,     /* slots a page */
    LN_SLOTS_PAGES_MAX = 1024 /* pages: a million connections a worker */
};

typedef struct ln_slot {
    _Atomic uint32_t generation;
    /*
     * For the user: what other threads have posted and the owner has not yet queued. Nothing here
     * resets it: who adds to it keeps the slot's address and takes the same off again, whether or
     * not the name is still alive by then.
     */
    _Atomic uint32_t pending_bytes;
    void *value; /* the caller's; NULL = the slot is free */
} ln_slot;

typedef struct ln_slots {
    const ln_allocator *alloc;
    _Atomic(ln_slot *) pages[LN_SLOTS_PAGES_MAX];
    uint32_t *free_queue; /* ring of free indices */
    uint32_t free_head, free_count, free_capacity;
    uint32_t size; /* slots that exist */
} ln_slots;

void ln_slots_init(ln_slots *s, const ln_allocator *alloc);
/* No other thread may be looking any more. The values are the caller's business. */
void ln_slots_fini(ln_slots *s);

/*
 * Takes a slot for `value` != NULL; its name in *name. LN_ERR_NOMEM; LN_ERR_LIMIT when all are
 * taken. Owner only.
 */
LN_NODISCARD int ln_slots_add(ln_slots *s, void *value, uint64_t *name);

/* The number of a name's slot, and another value for it. Owner only. */
uint32_t ln_slots_index(uint64_t name);
void ln_slots_set(ln_slots *s, uint64_t name, void *value);

/* A live name is dead from now on, for everybody; the slot stays taken until it is removed. Owner
 * only. */
void ln_slots_retire(ln_slots *s, uint64_t name);

/* Frees the slot that add() named so, retired or not. Owner only. */
void ln_slots_remove(ln_slots *s, uint64_t name);

/* The value, or NULL for a name that is not alive. Owner only. */
void *ln_slots_find(const ln_slots *s, uint64_t name);

/*
 * The slot if `name` is alive at this moment, else NULL; only its atomic members may be used, until
 * fini. Any thread.
 */
ln_slot *ln_slots_peek(ln_slots *s, uint64_t name);

/*
 * The next value, its name retired or not, at or after index *cursor, which moves past it; NULL at
 * the end. Slots may be taken and freed meanwhile. Owner only.
 */
void *ln_slots_next(const ln_slots *s, uint32_t *cursor);

#endif
