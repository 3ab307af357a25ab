/* SPDX-License-Identifier: MIT */
/*
 * laggards - the connections of a home whose output the system has not taken: how much waits for
 * each, and for how long nothing has moved.
 *
 * A connection has four bytes for it, the number of its entry; the entry exists while something
 * waits. Belongs to the loop's thread, but for `since_ms`.
 *
 * Invariants
 *   1. Entry 0 is the head of a ring through all others that are taken, in the order of `moved_ms`;
 *      0 as a number means none.
 *   2. since_ms is the least moved_ms, 0 if there is no laggard.
 *   3. A taken entry keeps its number; those never move but when the array grows.
 */
#ifndef LN_LAGGARDS_H
#define LN_LAGGARDS_H

#include <linnet/conn.h>
#include <stdatomic.h>

#include "base/alloc.h"

typedef struct ln_laggard {
    ln_conn *conn;     /* NULL: free */
    uint64_t moved_ms; /* when output last left, or began to wait */
    uint32_t bytes;    /* that wait, as counted so far */
    uint32_t next, prev;
} ln_laggard;

typedef struct ln_laggards {
    ln_laggard *entries;
    uint32_t capacity; /* 0: nothing owned */
    uint32_t unused;   /* the first free entry, through `next` */
    uint32_t count;
    _Atomic uint64_t since_ms;
} ln_laggards;

/* A zeroed one is empty. */
void ln_laggards_fini(ln_laggards *l, const ln_allocator *alloc);

/* The number of a new entry with 0 bytes, never 0; 0 when out of memory. */
uint32_t ln_laggards_add(ln_laggards *l, const ln_allocator *alloc, ln_conn *c, uint64_t now_ms);
void ln_laggards_remove(ln_laggards *l, uint32_t number);

/* Output left at `now_ms`, which is no less than that of any call before. */
void ln_laggards_moved(ln_laggards *l, uint32_t number, uint64_t now_ms);

LN_INLINE ln_laggard *ln_laggards_at(ln_laggards *l, uint32_t number)
{
    LN_ASSERT(number > 0 && number < l->capacity);
    return &l->entries[number];
}

#endif
