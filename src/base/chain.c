/* SPDX-License-Identifier: MIT */
#include "chain.h"

#include <string.h>

/* The stack that keeps segments of this capacity, or NULL for those made to measure. */
static ln_seg_stack *stack_of(ln_pool *pool, uint32_t capacity)
{
    switch (capacity) {
    case 0:
        return &pool->refs;
    case LN_CHAIN_CHUNK_BYTES:
        return &pool->chunks;
    case LN_CHAIN_LARGE_BYTES:
        return &pool->large;
    default:
        return NULL;
    }
}

/* An empty segment, linked nowhere, or NULL. */
static ln_seg *seg_take(ln_pool *pool, uint32_t capacity)
{
    ln_seg_stack *kept = stack_of(pool, capacity);
    ln_seg *seg = kept ? kept->top : NULL;

    if (seg) {
        kept->top = seg->next;
        kept->count--;
    } else {
        seg = ln_alloc(pool->alloc, sizeof *seg + capacity);
        if (!seg)
            return NULL;
        seg->capacity = capacity;
    }
    seg->next = NULL;
    seg->begin = seg->end = 0;
    seg->is_rest = false;
    seg->block = NULL;
    return seg;
}

static void seg_give(ln_pool *pool, ln_seg *seg)
{
    ln_seg_stack *kept = stack_of(pool, seg->capacity);

    ln_block_unref(seg->block);
    if (!kept || kept->count >= kept->max) {
        ln_free(pool->alloc, seg);
        return;
    }
    seg->next = kept->top;
    kept->top = seg;
    kept->count++;
}

static void stack_trim(ln_seg_stack *kept, const ln_allocator *alloc)
{
    for (ln_seg *next, *seg = kept->top; seg; seg = next) {
        next = seg->next;
        ln_free(alloc, seg);
    }
    kept->top = NULL;
    kept->count = 0;
}

void ln_pool_init(ln_pool *pool, const ln_allocator *alloc)
{
    *pool = (ln_pool){
        .alloc = alloc,
        .refs.max = LN_SANITIZED ? 0 : LN_POOL_REFS_MAX,
        .chunks.max = LN_SANITIZED ? 0 : LN_POOL_CHUNKS_MAX,
        .large.max = LN_SANITIZED ? 0 : LN_POOL_LARGE_MAX,
    };
}

void ln_pool_fini(ln_pool *pool)
{
    ln_pool_trim(pool);
}

void ln_pool_trim(ln_pool *pool)
{
    stack_trim(&pool->refs, pool->alloc);
    stack_trim(&pool->chunks, pool->alloc);
    stack_trim(&pool->large, pool->alloc);
}

void ln_chain_fini(ln_chain *c, ln_pool *pool)
{
    for (ln_seg *next, *seg = c->head; seg; seg = next) {
        next = seg->next;
        seg_give(pool, seg);
    }
    *c = (ln_chain){0};
}

static void link_tail(ln_chain *c, ln_seg *seg)
{
    if (c->tail)
        c->tail->next = seg;
    else
        c->head = seg;
    c->tail = seg;
}

/* Takes back a reservation nobody committed, lest ever larger ones pile up. */
static void unlink_empty_tail(ln_chain *c, ln_pool *pool)
{
    ln_seg *empty = c->tail;
    if (!empty || empty->begin < empty->end)
        return;

    ln_seg *before = NULL;
    for (ln_seg *seg = c->head; seg != empty; seg = seg->next)
        before = seg;
    c->tail = before;
    if (before)
        before->next = NULL;
    else
        c->head = NULL;
    seg_give(pool, empty);
}

/* The capacity of a new chunk for `n` bytes. */
static uint32_t capacity_for(const ln_chain *c, size_t n)
{
    const bool filled_one = c->tail && c->tail->capacity > 0;
    if (n > LN_CHAIN_LARGE_BYTES)
        return (uint32_t)n;
    return filled_one || n > LN_CHAIN_CHUNK_BYTES ? LN_CHAIN_LARGE_BYTES : LN_CHAIN_CHUNK_BYTES;
}

uint8_t *ln_chain_grow(ln_chain *c, ln_pool *pool, size_t n)
{
    LN_ASSERT(n <= UINT32_MAX);
    ln_seg *seg = seg_take(pool, capacity_for(c, n));
    if (!seg)
        return NULL;
    unlink_empty_tail(c, pool);
    link_tail(c, seg);
    return seg->bytes;
}

int ln_chain_append(ln_chain *c, ln_pool *pool, const void *bytes, size_t n)
{
    if (n == 0)
        return 0;
    uint8_t *room = ln_chain_reserve(c, pool, n);
    if (!room)
        return LN_ERR_NOMEM;
    memcpy(room, bytes, n);
    ln_chain_commit(c, n);
    return 0;
}

int ln_chain_append_block(ln_chain *c, ln_pool *pool, ln_block *block)
{
    LN_ASSERT(block->size <= UINT32_MAX);
    const bool is_small = block->size <= LN_CHAIN_COPY_MAX_BYTES;
    if (block->size == 0 || (is_small && c->tail && ln_seg_has_room(c->tail, block->size)))
        return ln_chain_append(c, pool, block->bytes, block->size);

    ln_seg *seg = seg_take(pool, 0);
    if (!seg)
        return LN_ERR_NOMEM;
    seg->block = ln_block_ref(block);
    seg->end = (uint32_t)block->size;
    link_tail(c, seg);
    c->bytes += block->size;
    return 0;
}

void ln_chain_splice(ln_chain *c, ln_chain *from)
{
    if (!from->head)
        return;
    link_tail(c, from->head);
    c->tail = from->tail;
    c->bytes += from->bytes;
    *from = (ln_chain){0};
}

void ln_chain_mark_whole(ln_chain *c, bool is_begin)
{
    for (ln_seg *seg = c->head; seg; seg = seg->next)
        seg->is_rest = seg != c->head || !is_begin;
}

void ln_chain_cut(ln_chain *c, ln_pool *pool, size_t kept)
{
    ln_seg *last = NULL;
    size_t bytes = 0;

    for (ln_seg *seg = c->head; seg; seg = seg->next) {
        if (kept == 0 && !seg->is_rest && (last || seg->begin == 0))
            break;
        kept -= kept > 0;
        bytes += seg->end - seg->begin;
        last = seg;
    }
    ln_chain gone = {.head = last ? last->next : c->head};
    if (last)
        last->next = NULL;
    else
        c->head = NULL;
    c->tail = last;
    c->bytes = bytes;
    ln_chain_fini(&gone, pool);
}

int ln_chain_peek(const ln_chain *c, ln_span *spans, int k)
{
    int n = 0;
    for (const ln_seg *seg = c->head; seg && n < k; seg = seg->next) {
        const uint8_t *bytes = seg->block ? seg->block->bytes : seg->bytes;
        if (seg->begin < seg->end)
            spans[n++] = (ln_span){bytes + seg->begin, seg->end - seg->begin};
    }
    return n;
}

void ln_chain_drop(ln_chain *c, ln_pool *pool, size_t n)
{
    LN_ASSERT(n <= c->bytes);
    c->bytes -= n;

    ln_seg *seg = c->head;
    while (seg && n >= seg->end - seg->begin) {
        ln_seg *next = seg->next;
        n -= seg->end - seg->begin;
        seg_give(pool, seg);
        seg = next;
    }
    if (seg)
        seg->begin += (uint32_t)n;
    else
        c->tail = NULL;
    c->head = seg;
}
