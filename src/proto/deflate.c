/* SPDX-License-Identifier: MIT */
#include "deflate.h"

#include <string.h>

#define ZLIB_CONST
#include <libdeflate.h>
#include <zlib.h>

#include "zpool.h"

enum {
    /* Inflated or compressed between two looks at the limit and the buffer. */
    STEP_BYTES = 16384,

    /* zlib counts in unsigned int. */
    PIECE_MAX_BYTES = 1 << 30,

    /*
     * Compressed bytes from which on a whole message goes to libdeflate: it takes 0.85 of zlib's
     * time there, 0.65 at 3 KiB and 0.45 from 12 KiB on, but half as much again at 200 bytes (JSON,
     * x86-64 with AVX2).
     */
    ONESHOT_MIN_BYTES = 1024,

    /* The room libdeflate is given for them; what compressed better is left to zlib. */
    ONESHOT_RATIO = 8
};

/* The end of a sync flush: an empty stored block without its header (RFC 7692 7.2.1). */
static const uint8_t tail[] = {0x00, 0x00, 0xff, 0xff};

struct ln_deflate {
    ln_zpool *pool;
    ln_zctx *in;           /* inflates; NULL where none is needed or it is at rest */
    ln_zctx *out;          /* compresses; NULL likewise */
    uint8_t *window;       /* while `in` rests: what the peer may refer to; owned, NULL = nothing */
    size_t inflated;       /* bytes of the message being received */
    uint16_t window_bytes; /* of `window` */
    uint8_t in_bits, out_bits;
    uint8_t level;
    bool in_takeover : 1;
    bool out_takeover : 1;
    bool is_receiving : 1; /* inside a message */
    bool is_in_stream : 1; /* and bytes of it came since it began or, later, since a final block */
};
_Static_assert(sizeof(ln_deflate) <= 48, "promised in deflate.h");

ln_deflate *ln_deflate_new(ln_zpool *pool, const ln_pmd_params *params, bool is_server, int level)
{
    LN_ASSERT(level >= 1 && level <= 9);
    ln_deflate *const z = ln_alloc_zero(pool->alloc, sizeof *z);
    if (!z)
        return NULL;
    z->pool = pool;
    z->level = (uint8_t)level;
    z->in_bits = is_server ? params->client_max_window_bits : params->server_max_window_bits;
    z->out_bits = is_server ? params->server_max_window_bits : params->client_max_window_bits;
    const bool server_takeover = !params->server_no_context_takeover;
    const bool client_takeover = !params->client_no_context_takeover;
    z->in_takeover = is_server ? client_takeover : server_takeover;
    z->out_takeover = is_server ? server_takeover : client_takeover;
    LN_ASSERT(z->in_bits >= 8 && z->in_bits <= 15);
    LN_ASSERT(z->out_bits >= 9 && z->out_bits <= 15);
    if (!z->in_takeover)
        z->in_bits = 15; /* one size in the pool serves all */
    return z;
}

void ln_deflate_free(ln_deflate *z)
{
    if (!z)
        return;
    ln_zpool_give(z->pool, z->in);
    ln_zpool_give(z->pool, z->out);
    ln_free(z->pool->alloc, z->window);
    ln_free(z->pool->alloc, z);
}

/* ---- receiving ---- */

/* The inflating context, as it was left. */
static int wake(ln_deflate *z)
{
    if (z->in)
        return 0;
    ln_zctx *const in = ln_zpool_take_inflater(z->pool, z->in_bits);
    if (!in)
        return LN_ERR_NOMEM;
    if (z->window && inflateSetDictionary(in->stream, z->window, z->window_bytes) != Z_OK) {
        ln_zpool_give(z->pool, in); /* there was no memory for its window */
        return LN_ERR_NOMEM;
    }
    ln_free(z->pool->alloc, z->window);
    z->window = NULL;
    z->window_bytes = 0;
    z->in = in;
    return 0;
}

/* The opposite, between messages: zlib is at the border of a block and of a byte, so the window is
 * all there is. */
static void rest(ln_deflate *z)
{
    uInt n = 0;
    uint8_t *window = NULL;

    inflateGetDictionary(z->in->stream, NULL, &n);
    LN_ASSERT(!z->is_receiving && !z->window && n <= UINT16_MAX);
    if (n > 0) {
        window = ln_alloc(z->pool->alloc, n);
        if (!window)
            return; /* it stays awake */
        inflateGetDictionary(z->in->stream, window, &n);
    }
    ln_zpool_give(z->pool, z->in);
    z->in = NULL;
    z->window = window;
    z->window_bytes = (uint16_t)n;
}

/* Gives `s` room for the next step's output, at most `left` bytes of it, for input that is waiting
 * in `s`. */
static int make_room(z_stream *s, ln_buf *out, size_t left)
{
    if (out->capacity == out->size) {
        const size_t guess = ln_max_size(256, ln_min_size(STEP_BYTES, (size_t)s->avail_in * 4));
        const size_t most = left < SIZE_MAX - out->size ? out->size + left : SIZE_MAX;
        const int rc = ln_buf_reserve(out, ln_min_size(guess, left), most);
        if (rc < 0)
            return rc;
    }
    s->next_out = out->data + out->size;
    s->avail_out = (uInt)ln_min_size(ln_min_size(out->capacity - out->size, left), STEP_BYTES);
    return 0;
}

/* One step: up to STEP_BYTES of output from the input that is waiting in `s`. */
static int inflate_step(ln_deflate *z, z_stream *s, ln_buf *out, size_t limit)
{
    const size_t left = limit > z->inflated ? limit - z->inflated : 0;
    uint8_t beyond; /* with the limit reached, the rest may hold ends of blocks but no byte more */

    if (left > 0) {
        const int rc = make_room(s, out, left);
        if (rc < 0)
            return rc;
    } else {
        s->next_out = &beyond;
        s->avail_out = 1;
    }
    const uInt room = s->avail_out;
    const int rc = inflate(s, Z_SYNC_FLUSH);
    const size_t made = room - s->avail_out;

    if (left == 0 && made > 0)
        return LN_ERR_TOO_BIG;
    LN_ASSERT(made <= left);
    out->size += made;
    z->inflated += made;
    if (rc == Z_STREAM_END) {
        inflateResetKeep(s); /* the window stays; and O(1): a message may be all final blocks */
        z->is_in_stream = s->avail_in > 0;
        return 0;
    }
    return rc == Z_OK || rc == Z_BUF_ERROR ? 0 : rc == Z_MEM_ERROR ? LN_ERR_NOMEM : LN_ERR_ENCODING;
}

static int inflate_bytes(ln_deflate *z, const uint8_t *bytes, size_t n, ln_buf *out, size_t limit)
{
    z_stream *const s = z->in->stream;

    while (n > 0) {
        const size_t piece = ln_min_size(n, PIECE_MAX_BYTES);
        s->next_in = bytes;
        s->avail_in = (uInt)piece;
        z->is_in_stream = true;
        do {
            const int rc = inflate_step(z, s, out, limit);
            if (rc < 0)
                return rc;
        } while (s->avail_in > 0 || s->avail_out == 0);
        bytes += piece;
        n -= piece;
    }
    return 0;
}

/* As zlib tells it: 128 at the end of a block, and in the lower bits how many are left of the last
 * byte. */
static bool is_at_border(const z_stream *s)
{
    return (s->data_type & 128) && (s->data_type & 63) == 0;
}

static int end_message(ln_deflate *z, ln_buf *out, size_t limit)
{
    if (z->is_in_stream) {
        const int rc = inflate_bytes(z, tail, sizeof tail, out, limit);
        if (rc < 0)
            return rc;
        if (z->is_in_stream && !is_at_border(z->in->stream))
            return LN_ERR_ENCODING;
    }
    z->is_in_stream = false;
    z->is_receiving = false;
    z->inflated = 0;
    if (!z->in_takeover) {
        ln_zpool_give(z->pool, z->in);
        z->in = NULL;
    }
    return 0;
}

/*
 * A whole message that needs no context, with libdeflate. False if it is not for this way; then
 * nothing has happened. With the tail and an empty final block behind it, the message is a stream
 * that has to end exactly there.
 *
 * Only here a message may pass whose last block swallowed tail and final block: one that its sender
 * has built so.
 */
static bool inflate_whole(ln_deflate *z, const uint8_t *bytes, size_t n, ln_buf *out, size_t limit)
{
    static const uint8_t end[] = {0x00, 0x00, 0xff, 0xff, 0x01, 0x00, 0x00, 0xff, 0xff};
    ln_buf *const in = &z->pool->scratch;
    const size_t room = n < limit / ONESHOT_RATIO ? n * ONESHOT_RATIO : limit;
    struct libdeflate_decompressor *const d = ln_zpool_oneshot(z->pool);

    if (!d || room == 0 || ln_buf_reserve(in, n + sizeof end, SIZE_MAX) < 0 ||
        ln_buf_reserve(out, room, out->size + room) < 0)
        return false;
    memcpy(in->data, bytes, n);
    memcpy(in->data + n, end, sizeof end);

    size_t used, made;
    const enum libdeflate_result rc = libdeflate_deflate_decompress_ex(
        d, in->data, n + sizeof end, out->data + out->size, room, &used, &made);
    const bool is_done = rc == LIBDEFLATE_SUCCESS && used == n + sizeof end;
    ln_zpool_clean(z->pool);
    if (is_done)
        out->size += made;
    return is_done;
}

int ln_deflate_inflate(ln_deflate *z, const uint8_t *bytes, size_t n, bool is_last, ln_buf *out,
                       size_t limit)
{
    if (is_last && n >= ONESHOT_MIN_BYTES && !z->is_receiving && !z->in_takeover &&
        inflate_whole(z, bytes, n, out, limit))
        return 0;

    z->is_receiving = true;
    if (n > 0) {
        int rc = wake(z);
        if (rc == 0)
            rc = inflate_bytes(z, bytes, n, out, limit);
        if (rc < 0)
            return rc;
    }
    return is_last ? end_message(z, out, limit) : 0;
}

/* ---- sending ---- */

/* n > 0 bytes, up to and with the tail of a flush. */
static int deflate_bytes(ln_zctx *c, const uint8_t *bytes, size_t n, ln_buf *out)
{
    z_stream *const s = c->stream;

    while (n > 0) {
        const size_t piece = ln_min_size(n, PIECE_MAX_BYTES);
        s->next_in = bytes;
        s->avail_in = (uInt)piece;
        bytes += piece;
        n -= piece;
        do {
            /* Enough for all where the input is short: zlib adds less than an eighth to what does
             * not compress. */
            const size_t want = ln_min_size(STEP_BYTES, (size_t)s->avail_in + s->avail_in / 8 + 64);
            if (ln_buf_reserve(out, want, SIZE_MAX) < 0)
                return LN_ERR_NOMEM;
            const size_t room = ln_min_size(out->capacity - out->size, PIECE_MAX_BYTES);
            s->next_out = out->data + out->size;
            s->avail_out = (uInt)room;
            const int rc = deflate(s, n > 0 ? Z_NO_FLUSH : Z_SYNC_FLUSH);
            LN_ASSERT(rc == Z_OK || rc == Z_BUF_ERROR);
            out->size += room - s->avail_out;
        } while (s->avail_out == 0);
    }
    LN_ASSERT(out->size > sizeof tail &&
              memcmp(out->data + out->size - sizeof tail, tail, sizeof tail) == 0);
    return 0;
}

/* One piece, by `c` unless it is empty. On error `out` is as it was. */
static int compress_piece(ln_zctx *c, const uint8_t *bytes, size_t n, bool is_last, ln_buf *out)
{
    const size_t before = out->size;

    /* Everything before was flushed, so that the header of an empty block makes a byte of its own
     * (7.2.3.6). */
    if (n == 0)
        return is_last ? ln_buf_append(out, tail, 1, SIZE_MAX) : 0;
    const int rc = deflate_bytes(c, bytes, n, out);
    if (rc < 0)
        out->size = before;
    else if (is_last)
        out->size -= sizeof tail;
    return rc;
}

int ln_deflate_compress(ln_deflate *z, const uint8_t *bytes, size_t n, bool is_last, ln_buf *out)
{
    if (n > 0 && !z->out) {
        z->out = ln_zpool_take_deflater(z->pool, z->out_bits, z->level);
        if (!z->out)
            return LN_ERR_NOMEM;
    }
    const int rc = compress_piece(z->out, bytes, n, is_last, out);
    if (rc < 0 || (is_last && !z->out_takeover))
        ln_deflate_forget(z);
    return rc;
}

void ln_deflate_forget(ln_deflate *z)
{
    ln_zpool_give(z->pool, z->out);
    z->out = NULL;
}

bool ln_deflate_is_shareable(const ln_deflate *z, uint8_t *bits)
{
    if (z->out_takeover)
        return false;
    *bits = z->out_bits;
    return true;
}

int ln_deflate_shared(ln_zpool *pool, int level, uint8_t bits, const uint8_t *bytes, size_t n,
                      ln_buf *out)
{
    LN_ASSERT(level >= 1 && level <= 9);
    ln_zctx *const c = ln_zpool_take_deflater(pool, bits, (uint8_t)level);
    if (!c)
        return LN_ERR_NOMEM;
    const int rc = compress_piece(c, bytes, n, true, out);
    ln_zpool_give(pool, c);
    return rc;
}

/* ---- memory ---- */

void ln_deflate_idle(ln_deflate *z)
{
    ln_deflate_forget(z);
    if (z->in && !z->is_receiving)
        rest(z);
}

size_t ln_deflate_memory(const ln_deflate *z)
{
    return (z->in ? z->in->bytes : 0) + (z->out ? z->out->bytes : 0) + z->window_bytes;
}
