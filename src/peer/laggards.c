/* SPDX-License-Identifier: MIT */
#include "laggards.h"

enum { CAPACITY_LEAST = 16 };

void ln_laggards_fini(ln_laggards *l, const ln_allocator *alloc)
{
    LN_ASSERT(l->count == 0);
    ln_free(alloc, l->entries);
    l->entries = NULL;
    l->capacity = l->unused = 0;
}

static int grow(ln_laggards *l, const ln_allocator *alloc)
{
    const uint32_t before = l->capacity, capacity = before == 0 ? CAPACITY_LEAST : 2 * before;
    ln_laggard *const entries = ln_realloc(alloc, l->entries, capacity * sizeof *entries);

    if (entries == NULL)
        return LN_ERR_NOMEM;
    l->entries = entries;
    l->capacity = capacity;
    if (before == 0)
        entries[0] = (ln_laggard){.conn = NULL}; /* its next and prev are itself */
    for (uint32_t i = before == 0 ? 1 : before; i < capacity; i++)
        entries[i] = (ln_laggard){.next = i + 1 < capacity ? i + 1 : 0};
    l->unused = before == 0 ? 1 : before;
    return 0;
}

/* Behind all others. */
static void link_last(ln_laggards *l, uint32_t number)
{
    ln_laggard *const head = &l->entries[0];

    l->entries[number].prev = head->prev;
    l->entries[number].next = 0;
    l->entries[head->prev].next = number;
    head->prev = number;
}

static void unlink_one(ln_laggards *l, uint32_t number)
{
    const ln_laggard *const e = &l->entries[number];

    l->entries[e->prev].next = e->next;
    l->entries[e->next].prev = e->prev;
}

/* Invariant 2. */
static void tell(ln_laggards *l)
{
    const uint32_t first = l->entries[0].next;
    atomic_store_explicit(&l->since_ms, first == 0 ? 0 : l->entries[first].moved_ms,
                          memory_order_relaxed);
}

uint32_t ln_laggards_add(ln_laggards *l, const ln_allocator *alloc, ln_conn *c, uint64_t now_ms)
{
    if (l->unused == 0 && grow(l, alloc) < 0)
        return 0;
    const uint32_t number = l->unused;
    l->unused = l->entries[number].next;
    l->entries[number] = (ln_laggard){.conn = c, .moved_ms = now_ms};
    link_last(l, number);
    l->count++;
    tell(l);
    return number;
}

void ln_laggards_remove(ln_laggards *l, uint32_t number)
{
    ln_laggard *const e = ln_laggards_at(l, number);

    LN_ASSERT(e->conn != NULL && l->count > 0);
    unlink_one(l, number);
    *e = (ln_laggard){.next = l->unused};
    l->unused = number;
    l->count--;
    tell(l);
}

void ln_laggards_moved(ln_laggards *l, uint32_t number, uint64_t now_ms)
{
    ln_laggard *const e = ln_laggards_at(l, number);

    if (e->moved_ms == now_ms)
        return;
    unlink_one(l, number);
    e->moved_ms = now_ms;
    link_last(l, number);
    tell(l);
}
