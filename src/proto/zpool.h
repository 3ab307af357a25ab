/* SPDX-License-Identifier: MIT */
/*
 * zpool - one loop's zlib contexts, and what else deflate.c works with.
 *
 * What it is not: it knows neither messages nor connections; it makes contexts, keeps some that
 * came back, and counts their bytes.
 *
 * Invariants
 *   1. A context that is taken is fresh: nothing of an earlier borrower's data can be referred to.
 *   2. At most LN_ZPOOL_KEPT_MAX contexts are kept; the one unused for longest goes first.
 *   3. All memory comes from `alloc`, except the decompressor of libdeflate, one block of fixed
 *      size that the C library provides: libdeflate's only hook is global, and that belongs to the
 *      application.
 */
#ifndef LN_ZPOOL_H
#define LN_ZPOOL_H

#include "deflate.h"

enum {
    /* One message is inflated or compressed at a time; more are out only where messages come in
     * fragments. */
    LN_ZPOOL_KEPT_MAX = LN_SANITIZED ? 0 : 8,
    LN_ZPOOL_SCRATCH_KEPT_BYTES = 65536
};

/* A zlib context, raw deflate. */
typedef struct ln_zctx {
    struct z_stream_s *stream;
    const ln_allocator *alloc;
    struct ln_zctx *next; /* in the pool */
    size_t bytes;         /* all of it, this struct included */
    uint8_t bits;
    uint8_t level; /* 0: it inflates */
} ln_zctx;

struct ln_zpool {
    const ln_allocator *alloc;
    ln_zctx *kept; /* latest first */
    unsigned kept_count;
    unsigned lent_count;
    struct libdeflate_decompressor *oneshot; /* made on first need */
    ln_buf scratch;                          /* room only, its size stays 0 */
};

/* A fresh context, owned until given back; NULL when out of memory. Inflating: 8-15 bits. */
ln_zctx *ln_zpool_take_inflater(ln_zpool *pool, uint8_t bits);

/* Compressing: 9-15 bits, level 1-9. */
ln_zctx *ln_zpool_take_deflater(ln_zpool *pool, uint8_t bits, uint8_t level);

/* Accepts NULL. */
void ln_zpool_give(ln_zpool *pool, ln_zctx *c);

/* For whole streams; borrowed, NULL when out of memory. */
struct libdeflate_decompressor *ln_zpool_oneshot(ln_zpool *pool);

/* Gives the scratch buffer back if it has become unusually large. */
void ln_zpool_clean(ln_zpool *pool);

#endif
