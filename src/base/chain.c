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
        const size_t room = capacity > 0 ? capacity : LN_SEG_BLOCKS * sizeof(ln_block *);
        seg = ln_alloc(pool->alloc, sizeof *seg + room);
        if (!seg)
            return NULL;
        seg->capacity = capacity;
    }
    seg->next = NULL;
    seg->begin = seg->end = 0;
    seg->at = seg->count = 0;
    seg->is_rest = seg->are_rest = false;
    return seg;
}

/* Gives back the references from the one with this number on. */
static void seg_forget(ln_seg *seg, unsigned from)
{
    for (unsigned i = from; i < seg->count; i++)
        ln_block_unref(ln_seg_blocks(seg)[i]);
    seg->count = (uint8_t)from;
}

static void seg_give(ln_pool *pool, ln_seg *seg)
{
    ln_seg_stack *kept = stack_of(pool, seg->capacity);

    seg_forget(seg, seg->at);
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

/* Has room for another reference, which is no part of what it has. */
static bool seg_takes_block(const ln_seg *seg)
{
    return seg->capacity == 0 && seg->count < LN_SEG_BLOCKS && !seg->are_rest;
}

int ln_chain_append_block(ln_chain *c, ln_pool *pool, ln_block *block)
{
    LN_ASSERT(block->size <= UINT32_MAX);
    const bool is_small = block->size <= LN_CHAIN_COPY_MAX_BYTES;
    if (block->size == 0 || (is_small && c->tail && ln_seg_has_room(c->tail, block->size)))
        return ln_chain_append(c, pool, block->bytes, block->size);

    ln_seg *seg = c->tail;
    if (!seg || !seg_takes_block(seg)) {
        seg = seg_take(pool, 0);
        if (!seg)
            return LN_ERR_NOMEM;
        seg->end = (uint32_t)block->size;
        link_tail(c, seg);
    }
    ln_seg_blocks(seg)[seg->count++] = ln_block_ref(block);
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
    for (ln_seg *seg = c->head; seg; seg = seg->next) {
        seg->is_rest = seg != c->head || !is_begin;
        seg->are_rest = true;
    }
}

/* How many blocks of `seg`, or chunks, stay when `*kept` spans do and what goes on from there.
 * `is_first`: of the chain. Their bytes are added to *bytes. */
static unsigned seg_kept(const ln_seg *seg, bool is_first, size_t *kept, size_t *bytes)
{
    const unsigned spans = seg->capacity > 0 ? 1 : (unsigned)seg->count - seg->at;
    unsigned n = 0;

    for (; n < spans; n++) {
        const bool is_rest = n == 0 ? seg->is_rest : seg->are_rest;
        const bool has_begun = is_first && n == 0 && seg->begin > 0;
        if (*kept == 0 && !is_rest && !has_begun)
            break;
        *kept -= *kept > 0;
        *bytes += n == 0 ? seg->end - seg->begin : ln_seg_blocks(seg)[seg->at + n]->size;
    }
    return n;
}

void ln_chain_cut(ln_chain *c, ln_pool *pool, size_t kept)
{
    ln_seg *last = NULL;
    size_t bytes = 0;
    bool goes_on = true;

    for (ln_seg *seg = c->head; seg && goes_on; seg = seg->next) {
        const unsigned n = seg_kept(seg, seg == c->head, &kept, &bytes);
        if (n > 0)
            last = seg;
        goes_on = seg->capacity > 0 ? n > 0 : seg->at + n == seg->count;
        if (n > 0 && !goes_on)
            seg_forget(seg, seg->at + n);
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
        const bool has_blocks = seg->capacity == 0;
        const uint8_t *bytes = has_blocks ? ln_seg_blocks(seg)[seg->at]->bytes : seg->bytes;
        if (seg->begin < seg->end)
            spans[n++] = (ln_span){bytes + seg->begin, seg->end - seg->begin};
        for (unsigned i = seg->at + 1U; i < seg->count && n < k; i++)
            spans[n++] = (ln_span){ln_seg_blocks(seg)[i]->bytes, ln_seg_blocks(seg)[i]->size};
    }
    return n;
}

/* The first block has left: the next one is the first. False: there is none. */
static bool seg_advance(ln_seg *seg)
{
    if (seg->at + 1U >= seg->count)
        return false;
    ln_block_unref(ln_seg_blocks(seg)[seg->at++]);
    seg->begin = 0;
    seg->end = (uint32_t)ln_seg_blocks(seg)[seg->at]->size;
    seg->is_rest = seg->are_rest;
    return true;
}

void ln_chain_drop(ln_chain *c, ln_pool *pool, size_t n)
{
    LN_ASSERT(n <= c->bytes);
    c->bytes -= n;

    ln_seg *seg = c->head;
    while (seg && n >= seg->end - seg->begin) {
        n -= seg->end - seg->begin;
        if (seg_advance(seg))
            continue;
        ln_seg *next = seg->next;
        seg_give(pool, seg);
        seg = next;
    }
    if (seg)
        seg->begin += (uint32_t)n;
    else
        c->tail = NULL;
    c->head = seg;
}
