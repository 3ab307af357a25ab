/* SPDX-License-Identifier: MIT */
/*
 * chain - a queue of bytes on their way out: copied bytes in pooled chunks, shared blocks by
 * reference.
 *
 * Not thread-safe; a chain and its pool belong to one loop.
 *
 * Invariants
 *   1. bytes == the sum over the segments of (end - begin), and of the blocks that a segment has behind
 *      its first; only a reservation that was not committed leaves a segment empty, and such a one is
 *      passed over.
 *   2. Bytes once appended never move until they are dropped: spans from peek() stay valid while
 *      more is appended, which is what an asynchronous send relies on.
 *   3. A segment is either a chunk (bytes of its own, perhaps room after `end`) or references (capacity
 *      0, blocks [at, count), at least one): a few together, so that a burst to thousands stays in the
 *      processor's caches.
 *   4. An empty chain with nothing reserved owns no memory: what is drained goes back to the pool.
 */
#ifndef LN_CHAIN_H
#define LN_CHAIN_H

#include "block.h"

enum {
    LN_CHAIN_CHUNK_BYTES = 2048, /* the first chunk, or one after a reference: 64 small frames */
    LN_CHAIN_LARGE_BYTES =
        16384, /* the chunk after one that filled up; more than this is made to measure */
    LN_CHAIN_COPY_MAX_BYTES =
        512 /* a shared block up to this is copied where a chunk at the tail has the room */
};

/* Free segments a pool keeps: as many as one turn of a busy loop takes, more go back to the
 * allocator. */
enum {
    LN_POOL_REFS_MAX = 8192,   /* 0.6 MiB: forty messages to a thousand subscribers */
    LN_POOL_CHUNKS_MAX = 2048, /* 4 MiB: one for each connection that is answered in a turn */
    LN_POOL_LARGE_MAX = 64     /* 1 MiB: few queues grow past their first chunk at a time */
};

enum { LN_SEG_BLOCKS = 5 }; /* 64 bytes with the rest of the segment */

typedef struct ln_seg {
    struct ln_seg *next;
    uint32_t begin;    /* of bytes[], or of the first block */
    uint32_t end;      /* the same */
    uint32_t capacity; /* of bytes[]; 0 for references */
    uint8_t at, count; /* of references: the first that is left, and the end */
    bool is_rest;      /* goes on with what the segment before has begun: ln_chain_cut() */
    bool are_rest;     /* the same for the blocks behind the first */
    uint8_t bytes[];   /* of references: the blocks, owned */
} ln_seg;

/* The blocks of a segment of references. */
LN_INLINE ln_block **ln_seg_blocks(const ln_seg *seg)
{
    LN_ASSERT(seg->capacity == 0);
    return (ln_block **)(void *)seg->bytes;
}

/* Free segments of one size, the warmest on top. */
typedef struct ln_seg_stack {
    ln_seg *top;
    uint32_t count;
    uint32_t max;
} ln_seg_stack;

/* Free segments of one loop, so that steady traffic allocates nothing. Under sanitizers it keeps
 * none. */
typedef struct ln_pool {
    const ln_allocator *alloc;
    ln_seg_stack refs;   /* capacity 0 */
    ln_seg_stack chunks; /* LN_CHAIN_CHUNK_BYTES */
    ln_seg_stack large;  /* LN_CHAIN_LARGE_BYTES */
} ln_pool;

void ln_pool_init(ln_pool *pool, const ln_allocator *alloc);
/* Every chain that used it has been finished. */
void ln_pool_fini(ln_pool *pool);
/* Gives everything kept back to the allocator. */
void ln_pool_trim(ln_pool *pool);

typedef struct ln_chain {
    ln_seg *head;
    ln_seg *tail;
    size_t bytes;
} ln_chain;

/* A zeroed chain is empty; so is a finished one. */
void ln_chain_fini(ln_chain *c, ln_pool *pool);

/* Whether `n` bytes fit behind the segment's last; never in a reference, which has no capacity. */
LN_INLINE bool ln_seg_has_room(const ln_seg *seg, size_t n)
{
    return n <= seg->capacity && seg->end <= seg->capacity - n;
}

/* The rest of ln_chain_reserve(): a new chunk at the tail. NULL when out of memory. */
uint8_t *ln_chain_grow(ln_chain *c, ln_pool *pool, size_t n);

/*
 * At least `n` contiguous writable bytes at the end (n <= UINT32_MAX), or NULL when out of memory.
 * Commit what was written before anything else is done with the chain, or commit nothing: the
 * reservation then has no effect, but its memory stays until the next drop or fini.
 */
LN_INLINE uint8_t *ln_chain_reserve(ln_chain *c, ln_pool *pool, size_t n)
{
    ln_seg *tail = c->tail;
    if (LN_LIKELY(tail && ln_seg_has_room(tail, n)))
        return tail->bytes + tail->end;
    return ln_chain_grow(c, pool, n);
}

LN_INLINE void ln_chain_commit(ln_chain *c, size_t n)
{
    LN_ASSERT(ln_seg_has_room(c->tail, n));
    c->tail->end += (uint32_t)n;
    c->bytes += n;
}

/* Copies to the end, n <= UINT32_MAX. LN_ERR_NOMEM leaves the chain as it was. */
LN_NODISCARD int ln_chain_append(ln_chain *c, ln_pool *pool, const void *bytes, size_t n);

/*
 * Appends a whole block (size <= UINT32_MAX), by reference (the chain takes one of its own) or, if
 * small, by copy. LN_ERR_NOMEM leaves the chain as it was.
 */
LN_NODISCARD int ln_chain_append_block(ln_chain *c, ln_pool *pool, ln_block *block);

/* Moves everything in `from` to the end of `c`; both chains use the same pool. */
void ln_chain_splice(ln_chain *c, ln_chain *from);

/* Everything in `c` is one thing; `is_begin`: nothing of it has left already. */
void ln_chain_mark_whole(ln_chain *c, bool is_begin);

/*
 * Removes everything behind the first `kept` spans, as peek() gives them, and behind what goes on
 * from there: a first one of which something has left stays, too.
 */
void ln_chain_cut(ln_chain *c, ln_pool *pool, size_t kept);

/* Up to `k` spans from the front, none of them empty, borrowed until dropped. Their number. */
int ln_chain_peek(const ln_chain *c, ln_span *spans, int k);

/* Removes `n` bytes from the front, n <= c->bytes. */
void ln_chain_drop(ln_chain *c, ln_pool *pool, size_t n);

#endif
