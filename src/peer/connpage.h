/* SPDX-License-Identifier: MIT */
/*
 * connpage - memory for connections, many to a page, by the number of their slot: an allocation of
 * its own for each would cost some twenty bytes more.
 *
 * A page is made with its first connection and freed with its last. Under sanitizers a page holds
 * one, so that a use after free is seen.
 */
#ifndef LN_CONNPAGE_H
#define LN_CONNPAGE_H

#include "base/alloc.h"

enum { LN_CONNPAGE_CONNS = LN_SANITIZED ? 1 : 32 };

typedef struct ln_conn ln_conn;
typedef struct ln_connpage ln_connpage;

typedef struct ln_connpages {
    ln_connpage **list;
    uint32_t count;
} ln_connpages;

/* Zeroed memory for the connection in slot `index`, which has none; NULL when out of memory. */
ln_conn *ln_connpages_take(ln_connpages *p, uint32_t index, const ln_allocator *alloc);

/* Gives it back. */
void ln_connpages_give(ln_connpages *p, uint32_t index, const ln_allocator *alloc);

/* All have been given back. */
void ln_connpages_fini(ln_connpages *p, const ln_allocator *alloc);

#endif
