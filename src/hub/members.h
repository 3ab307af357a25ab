/* SPDX-License-Identifier: MIT */
/*
 * members - one subscriber in one topic, and the pages that such nodes come from.
 *
 * A node is 32 bytes: it ties the subscriber's list (for leaving everything) to a seat in the
 * topic's crowd (for leaving one). The subscriber itself is not in it, but in the seat, where
 * fan-out reads it.
 *
 * Invariants
 *   1. A page is in `roomy` exactly while it has a free node, and exists exactly while it has a
 *      used one: after any storm the memory goes back.
 *   2. A node knows its place in its page, so that giving it back needs no search and no aligned
 *      memory.
 */
#ifndef LN_MEMBERS_H
#define LN_MEMBERS_H

#include "base/alloc.h"
#include "base/list.h"

enum { LN_MEMBERS_A_PAGE = 126 }; /* 4,064 bytes: with malloc's own, just under 4 KiB */

typedef struct ln_topic ln_topic;
typedef struct ln_member ln_member;

struct ln_member {
    ln_topic *topic;
    ln_member *next;  /* in the subscriber's list, or in the page's free list */
    ln_member **link; /* what points here in the subscriber's list */
    uint32_t seat;    /* index in the topic's crowd */
    uint32_t place;   /* index in the page */
};

typedef struct ln_members {
    const ln_allocator *alloc;
    ln_link roomy; /* pages with a free node */
} ln_members;

/* No pages. `m` must not move afterwards. */
void ln_members_init(ln_members *m, const ln_allocator *alloc);

/* Every node must have been given back. */
void ln_members_fini(ln_members *m);

/* A node with nothing set but its place, or NULL when out of memory. Release with
 * ln_members_give(). */
ln_member *ln_members_take(ln_members *m);
void ln_members_give(ln_members *m, ln_member *member);

#endif
