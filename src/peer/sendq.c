/* SPDX-License-Identifier: MIT */
#include "sendq.h"

#include <string.h>

enum { CAPACITY_LEAST = 16 };

static const uint32_t none = UINT32_MAX; /* an index of no entry */

typedef struct entry {
    ln_block *block;     /* NULL: it has begun */
    uint64_t key;        /* what has begun: where in all of the output it ends */
    uint32_t next, prev; /* in the order of sending; `next` also of free ones */
    uint32_t chain;      /* the next in its bucket */
    uint8_t kind;
} entry;

enum { ENTRY_BYTES = sizeof(entry) + sizeof(uint32_t) };

struct ln_sendq {
    const ln_allocator *alloc;
    entry *entries;    /* `capacity` of them, then as many buckets */
    uint32_t *buckets; /* by key: the first of a chain */
    uint32_t capacity; /* a power of two, or 0 */
    uint32_t unused;   /* the first free entry */
    uint32_t first, last;
    uint32_t first_waiting;
    uint32_t begun, waiting;
    size_t bytes;
    uint64_t sent; /* output that is gone, since ever */
};

/* ---- memory ---- */

ln_sendq *ln_sendq_new(const ln_allocator *alloc)
{
    ln_sendq *const q = ln_alloc_zero(alloc, sizeof *q);
    if (q == NULL)
        return NULL;
    q->alloc = alloc;
    q->unused = q->first = q->last = q->first_waiting = none;
    return q;
}

void ln_sendq_free(ln_sendq *q)
{
    if (q == NULL)
        return;
    ln_sendq_clear(q);
    ln_free(q->alloc, q->entries);
    ln_free(q->alloc, q);
}

static uint32_t *bucket_of(const ln_sendq *q, uint64_t key)
{
    return &q->buckets[key & (q->capacity - 1)];
}

static void enter(ln_sendq *q, uint32_t i)
{
    entry *const e = &q->entries[i];
    if (e->block == NULL || e->key == 0)
        return;
    e->chain = *bucket_of(q, e->key);
    *bucket_of(q, e->key) = i;
}

int ln_sendq_reserve(ln_sendq *q)
{
    if (q->unused != none)
        return 0;
    LN_ASSERT(q->begun + q->waiting == q->capacity);
    if (q->capacity > UINT32_MAX / 4)
        return LN_ERR_NOMEM;
    const uint32_t before = q->capacity, capacity = before == 0 ? CAPACITY_LEAST : 2 * before;
    entry *const entries = ln_realloc(q->alloc, q->entries, capacity * (size_t)ENTRY_BYTES);
    if (entries == NULL)
        return LN_ERR_NOMEM;
    q->entries = entries;
    q->buckets = (uint32_t *)(void *)(entries + capacity);
    q->capacity = capacity;
    memset(q->buckets, 0xff, capacity * sizeof *q->buckets); /* none */
    for (uint32_t i = 0; i < before; i++)
        enter(q, i);
    for (uint32_t i = before; i < capacity; i++)
        q->entries[i].next = i + 1 < capacity ? i + 1 : none;
    q->unused = before;
    return 0;
}

/* Nothing is in it: one burst is not to cost its memory for ever. */
static void shrink(ln_sendq *q)
{
    if (q->begun + q->waiting > 0 || q->capacity <= CAPACITY_LEAST)
        return;
    ln_free(q->alloc, q->entries);
    q->entries = NULL;
    q->buckets = NULL;
    q->capacity = 0;
    q->unused = none;
}

/* ---- entries ---- */

/* A free entry, linked before `at`, or at the end. */
static uint32_t link_entry(ln_sendq *q, uint32_t at)
{
    const uint32_t i = q->unused;
    LN_ASSERT(i != none);
    entry *const e = &q->entries[i];
    q->unused = e->next;

    e->next = at;
    e->prev = at == none ? q->last : q->entries[at].prev;
    if (e->prev == none)
        q->first = i;
    else
        q->entries[e->prev].next = i;
    if (at == none)
        q->last = i;
    else
        q->entries[at].prev = i;
    return i;
}

static void unlink_entry(ln_sendq *q, uint32_t i)
{
    entry *const e = &q->entries[i];

    if (e->prev == none)
        q->first = e->next;
    else
        q->entries[e->prev].next = e->next;
    if (e->next == none)
        q->last = e->prev;
    else
        q->entries[e->next].prev = e->prev;
    if (q->first_waiting == i)
        q->first_waiting = e->next;
    e->next = q->unused;
    q->unused = i;
}

/* Out of its bucket, for which keyed hashing keeps the way short. */
static void leave(ln_sendq *q, uint32_t i)
{
    const entry *const e = &q->entries[i];
    if (e->key == 0)
        return;
    uint32_t *at = bucket_of(q, e->key);
    while (*at != i)
        at = &q->entries[*at].chain;
    *at = e->chain;
}

static uint32_t find(const ln_sendq *q, uint64_t key)
{
    if (q->capacity == 0 || key == 0)
        return none;
    uint32_t i = *bucket_of(q, key);
    while (i != none && q->entries[i].key != key)
        i = q->entries[i].chain;
    return i;
}

/* The block of one that waits, which is an entry no more. */
static ln_block *take(ln_sendq *q, uint32_t i)
{
    ln_block *const block = q->entries[i].block;

    LN_ASSERT(block != NULL && q->waiting > 0 && q->bytes >= block->size + ENTRY_BYTES);
    leave(q, i);
    unlink_entry(q, i);
    q->waiting--;
    q->bytes -= block->size + ENTRY_BYTES;
    return block;
}

/* ---- what waits ---- */

void ln_sendq_push(ln_sendq *q, ln_block *block, int kind, uint64_t key)
{
    const uint32_t i = link_entry(q, none);
    entry *const e = &q->entries[i];

    e->block = ln_block_ref(block);
    e->key = key;
    e->kind = (uint8_t)kind;
    enter(q, i);
    if (q->first_waiting == none)
        q->first_waiting = i;
    q->waiting++;
    q->bytes += block->size + ENTRY_BYTES;
}

ln_block *ln_sendq_pop(ln_sendq *q, int *kind)
{
    const uint32_t i = q->first_waiting;
    if (i == none)
        return NULL;
    *kind = q->entries[i].kind;
    return take(q, i);
}

bool ln_sendq_remove(ln_sendq *q, uint64_t key)
{
    const uint32_t i = find(q, key);
    if (i == none)
        return false;
    ln_block_unref(take(q, i));
    return true;
}

size_t ln_sendq_cost(const ln_sendq *q, uint64_t key)
{
    const uint32_t i = q == NULL ? none : find(q, key);
    return i == none ? 0 : q->entries[i].block->size + ENTRY_BYTES;
}

void ln_sendq_clear(ln_sendq *q)
{
    int kind;

    if (q == NULL)
        return;
    for (ln_block *b = ln_sendq_pop(q, &kind); b != NULL; b = ln_sendq_pop(q, &kind))
        ln_block_unref(b);
    shrink(q);
}

/* ---- what has begun ---- */

void ln_sendq_begin(ln_sendq *q, size_t ahead)
{
    const uint32_t i = link_entry(q, q->first_waiting);

    q->entries[i].block = NULL;
    q->entries[i].key = q->sent + ahead;
    q->begun++;
}

void ln_sendq_go_on(ln_sendq *q, size_t ahead)
{
    if (q->begun == 0) { /* all of it so far is gone */
        ln_sendq_begin(q, ahead);
        return;
    }
    const uint32_t i = q->first_waiting == none ? q->last : q->entries[q->first_waiting].prev;
    q->entries[i].key = q->sent + ahead;
}

void ln_sendq_sent(ln_sendq *q, size_t n)
{
    q->sent += n;
    while (q->begun > 0 && q->entries[q->first].key <= q->sent) {
        unlink_entry(q, q->first);
        q->begun--;
    }
    shrink(q);
}

/* ---- figures ---- */

size_t ln_sendq_bytes(const ln_sendq *q)
{
    return q == NULL ? 0 : q->bytes;
}

uint32_t ln_sendq_waiting(const ln_sendq *q)
{
    return q == NULL ? 0 : q->waiting;
}

uint32_t ln_sendq_messages(const ln_sendq *q)
{
    return q == NULL ? 0 : q->begun + q->waiting;
}
