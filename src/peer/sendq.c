/* SPDX-License-Identifier: MIT */
#include "sendq.h"

typedef struct entry {
    ln_block *block;
    int kind;
} entry;

/* A ring that doubles; entries are few and small. */
struct ln_sendq {
    const ln_allocator *alloc;
    entry *ring;
    size_t capacity; /* a power of two, or 0 */
    size_t head;
    size_t count;
    size_t bytes;
};

ln_sendq *ln_sendq_new(const ln_allocator *alloc)
{
    ln_sendq *const q = ln_alloc_zero(alloc, sizeof *q);
    if (q != NULL)
        q->alloc = alloc;
    return q;
}

void ln_sendq_free(ln_sendq *q, const ln_allocator *alloc)
{
    if (q == NULL)
        return;
    int kind;
    for (ln_block *b = ln_sendq_pop(q, &kind); b != NULL; b = ln_sendq_pop(q, &kind))
        ln_block_unref(b);
    ln_free(alloc, q->ring);
    ln_free(alloc, q);
}

static int grow(ln_sendq *q)
{
    const size_t capacity = q->capacity == 0 ? 16 : q->capacity * 2;
    entry *const ring = ln_alloc(q->alloc, capacity * sizeof *ring);

    if (ring == NULL)
        return LN_ERR_NOMEM;
    for (size_t i = 0; i < q->count; i++)
        ring[i] = q->ring[(q->head + i) & (q->capacity - 1)];
    ln_free(q->alloc, q->ring);
    q->ring = ring;
    q->capacity = capacity;
    q->head = 0;
    return 0;
}

int ln_sendq_push(ln_sendq *q, ln_block *block, int kind)
{
    if (q->count == q->capacity && grow(q) < 0)
        return LN_ERR_NOMEM;
    q->ring[(q->head + q->count) & (q->capacity - 1)] = (entry){ln_block_ref(block), kind};
    q->count++;
    q->bytes += block->size + sizeof(entry);
    return 0;
}

ln_block *ln_sendq_pop(ln_sendq *q, int *kind)
{
    if (q->count == 0)
        return NULL;
    const entry e = q->ring[q->head];
    q->head = (q->head + 1) & (q->capacity - 1);
    q->count--;
    LN_ASSERT(q->bytes >= e.block->size + sizeof(entry));
    q->bytes -= e.block->size + sizeof(entry);
    *kind = e.kind;
    return e.block;
}

size_t ln_sendq_bytes(const ln_sendq *q)
{
    return q == NULL ? 0 : q->bytes;
}
