/* SPDX-License-Identifier: MIT */
#include "zpool.h"

#include <libdeflate.h>
#include <zlib.h>

/*
 * zlib's memLevel. 6 instead of the usual 8 takes 166 KiB instead of 262 KiB a context with 15
 * bits; JSON of 200 bytes to 1 MB came out at most 1.5 % larger and no slower (level 6, zlib
 * 1.2.13).
 */
enum { MEM_LEVEL = 6 };

/* The two parts of a context in one block. */
typedef struct whole {
    ln_zctx ctx;
    z_stream stream;
} whole;

/* zlib frees nothing before the end, so that counting what it takes is counting what it has. */
static void *take_bytes(void *opaque, uInt items, uInt size)
{
    ln_zctx *const c = opaque;
    const size_t bytes = (size_t)items * size;
    void *const p = ln_alloc(c->alloc, bytes);
    if (p)
        c->bytes += bytes;
    return p;
}

static void free_bytes(void *opaque, void *p)
{
    const ln_zctx *const c = opaque;
    ln_free(c->alloc, p);
}

static void end(ln_zctx *c)
{
    (void)(c->level > 0 ? deflateEnd(c->stream) : inflateEnd(c->stream));
    ln_free(c->alloc, c);
}

static ln_zctx *make(const ln_allocator *alloc, uint8_t bits, uint8_t level)
{
    whole *const w = ln_alloc_zero(alloc, sizeof *w);
    if (!w)
        return NULL;
    ln_zctx *const c = &w->ctx;
    *c = (ln_zctx){
        .stream = &w->stream, .alloc = alloc, .bytes = sizeof *w, .bits = bits, .level = level};
    w->stream.zalloc = take_bytes;
    w->stream.zfree = free_bytes;
    w->stream.opaque = c;

    /* Negative bits: no zlib header, no checksum. */
    const int rc =
        level > 0 ? deflateInit2(c->stream, level, Z_DEFLATED, -bits, MEM_LEVEL, Z_DEFAULT_STRATEGY)
                  : inflateInit2(c->stream, -bits);
    LN_ASSERT(rc == Z_OK || rc == Z_MEM_ERROR);
    if (rc == Z_OK)
        return c;
    ln_free(alloc, w);
    return NULL;
}

static ln_zctx *take(ln_zpool *pool, uint8_t bits, uint8_t level)
{
    ln_zctx **at = &pool->kept;
    while (*at && ((*at)->bits != bits || (*at)->level != level))
        at = &(*at)->next;

    ln_zctx *c = *at;
    if (c) {
        *at = c->next;
        pool->kept_count--;
    } else {
        c = make(pool->alloc, bits, level);
    }
    if (c)
        pool->lent_count++;
    return c;
}

ln_zctx *ln_zpool_take_inflater(ln_zpool *pool, uint8_t bits)
{
    LN_ASSERT(bits >= 8 && bits <= 15);
    return take(pool, bits, 0);
}

ln_zctx *ln_zpool_take_deflater(ln_zpool *pool, uint8_t bits, uint8_t level)
{
    LN_ASSERT(bits >= 9 && bits <= 15 && level >= 1 && level <= 9);
    return take(pool, bits, level);
}

/* Ends kept contexts from the longest unused on, until `count` are left. */
static void keep_only(ln_zpool *pool, unsigned count)
{
    ln_zctx **at = &pool->kept;
    for (unsigned i = 0; i < count && *at; i++)
        at = &(*at)->next;
    for (ln_zctx *c; (c = *at) != NULL; pool->kept_count--) {
        *at = c->next;
        end(c);
    }
}

void ln_zpool_give(ln_zpool *pool, ln_zctx *c)
{
    if (!c)
        return;
    LN_ASSERT(pool->lent_count > 0);
    pool->lent_count--;

    const int rc = c->level > 0 ? deflateReset(c->stream) : inflateReset(c->stream);
    LN_ASSERT(rc == Z_OK);
    c->next = pool->kept;
    pool->kept = c;
    pool->kept_count++;
    keep_only(pool, LN_ZPOOL_KEPT_MAX);
}

struct libdeflate_decompressor *ln_zpool_oneshot(ln_zpool *pool)
{
    if (!pool->oneshot)
        pool->oneshot = libdeflate_alloc_decompressor();
    return pool->oneshot;
}

void ln_zpool_clean(ln_zpool *pool)
{
    LN_ASSERT(pool->scratch.size == 0);
    if (pool->scratch.capacity > LN_ZPOOL_SCRATCH_KEPT_BYTES)
        ln_buf_release(&pool->scratch);
}

ln_zpool *ln_zpool_new(const ln_allocator *alloc)
{
    ln_zpool *const pool = ln_alloc_zero(alloc, sizeof *pool);
    if (!pool)
        return NULL;
    pool->alloc = alloc;
    ln_buf_init(&pool->scratch, alloc);
    return pool;
}

void ln_zpool_trim(ln_zpool *pool)
{
    keep_only(pool, 0);
    LN_ASSERT(pool->kept_count == 0);
    ln_buf_release(&pool->scratch);
    if (pool->oneshot)
        libdeflate_free_decompressor(pool->oneshot);
    pool->oneshot = NULL;
}

void ln_zpool_free(ln_zpool *pool)
{
    if (!pool)
        return;
    LN_ASSERT(pool->lent_count == 0);
    ln_zpool_trim(pool);
    ln_free(pool->alloc, pool);
}

size_t ln_zpool_memory(const ln_zpool *pool)
{
    size_t bytes = pool->scratch.capacity;
    for (const ln_zctx *c = pool->kept; c; c = c->next)
        bytes += c->bytes;
    return bytes;
}
