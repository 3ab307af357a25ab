/* SPDX-License-Identifier: MIT */
/* Plain zlib, with its own memory and its own idea of what RFC 7692 says, plays the peer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define ZLIB_CONST
#include <zlib.h>

#include "failing_alloc.h"
#include "proto/deflate.h"
#include "proto/zpool.h"

enum { MIB = 1 << 20, LEVEL = 6 };

static const uint8_t tail[] = {0x00, 0x00, 0xff, 0xff};

/* ---- our side ---- */

typedef struct ours {
    failing_alloc fa;
    ln_zpool *pool;
    ln_deflate *z;
    ln_buf out;
} ours;

/* A server; one window size and one rule of takeover for both directions. */
static void ours_init(ours *o, uint8_t bits, bool takeover)
{
    const ln_pmd_params params = {!takeover, !takeover, bits < 9 ? 9 : bits, bits};
    failing_alloc_init(&o->fa, FAILING_NEVER);
    o->pool = ln_zpool_new(&o->fa.hook);
    assert_non_null(o->pool);
    o->z = ln_deflate_new(o->pool, &params, true, LEVEL);
    assert_non_null(o->z);
    ln_buf_init(&o->out, &o->fa.hook);
}

static void ours_fini(ours *o)
{
    ln_buf_fini(&o->out);
    ln_deflate_free(o->z);
    ln_zpool_free(o->pool);
    failing_alloc_assert_empty(&o->fa);
}

/* A whole message in pieces of `step` bytes, the last one possibly empty, as frames are. */
static int ours_inflate(ours *o, const uint8_t *bytes, size_t n, size_t step, size_t limit)
{
    o->out.size = 0;
    for (; n > step; bytes += step, n -= step) {
        const int rc = ln_deflate_inflate(o->z, bytes, step, false, &o->out, limit);
        if (rc < 0)
            return rc;
    }
    return ln_deflate_inflate(o->z, bytes, n, true, &o->out, limit);
}

static void assert_inflates(ours *o, const void *bytes, size_t n, size_t step, const void *wanted,
                            size_t wanted_size)
{
    assert_int_equal(ours_inflate(o, bytes, n, step, SIZE_MAX), 0);
    assert_int_equal(o->out.size, wanted_size);
    if (wanted_size > 0)
        assert_memory_equal(o->out.data, wanted, wanted_size);
}

static void ours_compress(ours *o, const uint8_t *bytes, size_t n, size_t step)
{
    o->out.size = 0;
    for (; n > step; bytes += step, n -= step)
        assert_int_equal(ln_deflate_compress(o->z, bytes, step, false, &o->out), 0);
    assert_int_equal(ln_deflate_compress(o->z, bytes, n, true, &o->out), 0);
}

/* ---- the peer ---- */

typedef struct peer {
    z_stream in, out;
    bool takeover;
    uint8_t *data; /* what its last call made */
    size_t size;
} peer;

static void peer_init(peer *p, uint8_t bits, bool takeover)
{
    *p = (peer){.takeover = takeover};
    assert_int_equal(inflateInit2(&p->in, -bits), Z_OK);
    assert_int_equal(
        deflateInit2(&p->out, LEVEL, Z_DEFLATED, bits < 9 ? -9 : -bits, 8, Z_DEFAULT_STRATEGY),
        Z_OK);
}

static void peer_fini(peer *p)
{
    inflateEnd(&p->in);
    deflateEnd(&p->out);
    free(p->data);
}

static uint8_t *peer_room(peer *p, size_t n)
{
    p->data = realloc(p->data, n + 1);
    assert_non_null(p->data);
    p->size = 0;
    return p->data;
}

/* Output leaves in small steps, so that every distance has to lie within the window. */
static void peer_inflate(peer *p, const uint8_t *bytes, size_t n, size_t wanted_size)
{
    const uint8_t *const inputs[2] = {bytes, tail};
    const size_t sizes[2] = {n, sizeof tail};
    uint8_t *const data = peer_room(p, wanted_size);

    for (int i = 0; i < 2; i++) {
        p->in.next_in = inputs[i];
        p->in.avail_in = (uInt)sizes[i];
        do {
            const size_t room = ln_min_size(97, wanted_size + 1 - p->size);
            p->in.next_out = data + p->size;
            p->in.avail_out = (uInt)room;
            const int rc = inflate(&p->in, Z_SYNC_FLUSH);
            assert_true(rc == Z_OK || rc == Z_BUF_ERROR);
            p->size += room - p->in.avail_out;
            assert_true(p->size <= wanted_size);
        } while (p->in.avail_out == 0 || p->in.avail_in > 0);
    }
    if (!p->takeover)
        assert_int_equal(inflateReset(&p->in), Z_OK);
}

/* All of it; `flush` as zlib has it. The tail stays. */
static void peer_deflate_raw(peer *p, const void *bytes, size_t n, int flush)
{
    const size_t room = n + n / 8 + 1024;
    p->out.next_in = bytes;
    p->out.avail_in = (uInt)n;
    p->out.next_out = peer_room(p, room);
    p->out.avail_out = (uInt)room;
    deflate(&p->out, flush);
    assert_int_equal(p->out.avail_in, 0);
    p->size = room - p->out.avail_out;
}

static void peer_deflate(peer *p, const void *bytes, size_t n)
{
    peer_deflate_raw(p, bytes, n, Z_SYNC_FLUSH);
    if (p->size == 0)
        p->data[p->size++] = 0; /* a second flush gives nothing */
    else
        p->size -= sizeof tail;
    if (!p->takeover)
        assert_int_equal(deflateReset(&p->out), Z_OK);
}

/* ---- texts ---- */

typedef enum text_kind { WORDS, ZEROS, NOISE, TEXT_KINDS } text_kind;

static uint8_t text[4 * MIB];

static const uint8_t *write_text(text_kind kind, size_t n)
{
    static const char *const words[] = {"{\"id\":", "\"topic\"", "price", "trade",
                                        ":[1,2,3]", "true",      "\"a\"", "}, "};
    uint32_t seed = 7;

    assert_true(n <= sizeof text);
    for (size_t at = 0; at < n;) {
        seed = seed * 1664525 + 1013904223;
        const char *const word = words[seed >> 29];
        if (kind == WORDS) {
            for (size_t i = 0; word[i] && at < n; i++)
                text[at++] = (uint8_t)word[i];
            if (at < n)
                text[at++] = (uint8_t)('0' + (seed >> 20) % 10);
        } else {
            text[at++] = kind == ZEROS ? 0 : (uint8_t)(seed >> 24);
        }
    }
    return text;
}

/* ---- RFC 7692 ---- */

typedef struct example {
    const char *clause;
    struct {
        const char *bytes;
        size_t size;
        const char *text;
    } messages[3]; /* of one connection with context takeover */
} example;

static const example examples[] = {
    {"7.2.3.1 one block", {{"\xf2\x48\xcd\xc9\xc9\x07\x00", 7, "Hello"}}},
    {"7.2.3.2 sharing the window",
     {{"\xf2\x48\xcd\xc9\xc9\x07\x00", 7, "Hello"}, {"\xf2\x00\x11\x00\x00", 5, "Hello"}}},
    {"7.2.3.2 not sharing it",
     {{"\xf2\x48\xcd\xc9\xc9\x07\x00", 7, "Hello"}, {"\xf2\x48\xcd\xc9\xc9\x07\x00", 7, "Hello"}}},
    {"7.2.3.3 no compression", {{"\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00", 11, "Hello"}}},
    {"7.2.3.4 BFINAL set", {{"\xf3\x48\xcd\xc9\xc9\x07\x00\x00", 8, "Hello"}}},
    {"7.2.3.4 and the window after it",
     {{"\xf3\x48\xcd\xc9\xc9\x07\x00\x00", 8, "Hello"}, {"\xf2\x00\x11\x00\x00", 5, "Hello"}}},
    {"7.2.3.5 two blocks", {{"\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00", 13, "Hello"}}},
    {"7.2.3.6 empty", {{"\x00", 1, ""}, {"\xf2\x48\xcd\xc9\xc9\x07\x00", 7, "Hello"}}},
    {"7.2.1 a block after a final one, with a distance into it",
     {{"\xf3\x48\xcd\xc9\xc9\x07\x00\xf2\x00\x11\x00\x00", 12, "HelloHello"}}},
    {"7.2.1 final blocks only",
     {{"\x03\x00\x03\x00\xf3\x48\xcd\xc9\xc9\x07\x00\x03\x00\x00", 14, "Hello"}}},
    {"no empty block after the final one",
     {{"\xf3\x48\xcd\xc9\xc9\x07\x00", 7, "Hello"}, {"\xf2\x00\x11\x00\x00", 5, "Hello"}}},
    {"no bytes at all",
     {{"\xf2\x48\xcd\xc9\xc9\x07\x00", 7, "Hello"},
      {"", 0, ""},
      {"\xf2\x00\x11\x00\x00", 5, "Hello"}}},
};

static void the_examples_of_the_rfc_inflate_however_they_are_cut(void **state)
{
    (void)state;
    for (size_t e = 0; e < LN_ARRAY_SIZE(examples); e++) {
        for (size_t step = 1; step <= 15; step++) {
            ours o;
            ours_init(&o, 15, true);
            for (size_t i = 0; i < 3 && examples[e].messages[i].text; i++)
                assert_inflates(&o, examples[e].messages[i].bytes, examples[e].messages[i].size,
                                step, examples[e].messages[i].text,
                                strlen(examples[e].messages[i].text));
            ours_fini(&o);
        }
    }
}

static void we_compress_as_the_rfc_shows(void **state)
{
    (void)state;
    ours o;
    ours_init(&o, 15, true);
    ours_compress(&o, (const uint8_t *)"Hello", 5, 5);
    assert_int_equal(o.out.size, 7);
    assert_memory_equal(o.out.data, "\xf2\x48\xcd\xc9\xc9\x07\x00", 7);
    ours_compress(&o, (const uint8_t *)"Hello", 5, 5);
    assert_int_equal(o.out.size, 5);
    assert_memory_equal(o.out.data, "\xf2\x00\x11\x00\x00", 5);
    o.out.size = 0;
    assert_int_equal(ln_deflate_compress(o.z, NULL, 0, false, &o.out), 0);
    assert_int_equal(o.out.size, 0);
    assert_int_equal(ln_deflate_compress(o.z, NULL, 0, true, &o.out), 0);
    assert_int_equal(o.out.size, 1);
    assert_memory_equal(o.out.data, "\x00", 1);
    ours_fini(&o);
}

/* ---- round trips ---- */

static const size_t sizes[] = {0, 1, 2, 125, 126, 1000, 4096, 65535, 65536, 150000};

static void both_ways(ours *o, peer *p, const uint8_t *bytes, size_t n, size_t step)
{
    ours_compress(o, bytes, n, step);
    peer_inflate(p, o->out.data, o->out.size, n);
    assert_int_equal(p->size, n);
    assert_memory_equal(p->data, bytes, n);

    peer_deflate(p, bytes, n);
    assert_inflates(o, p->data, p->size, step, bytes, n);
}

static void messages_survive_both_ways_with_all_parameters(void **state)
{
    (void)state;
    for (uint8_t bits = 9; bits <= 15; bits++) {
        for (int takeover = 0; takeover < 2; takeover++) {
            ours o;
            peer p;
            ours_init(&o, bits, takeover);
            peer_init(&p, bits, takeover);
            for (unsigned kind = 0; kind < TEXT_KINDS; kind++) {
                for (size_t i = 0; i < LN_ARRAY_SIZE(sizes); i++) {
                    both_ways(&o, &p, write_text(kind, sizes[i]), sizes[i], SIZE_MAX);
                    both_ways(&o, &p, text, sizes[i], sizes[i] / 7 + 100);
                }
            }
            ours_fini(&o);
            peer_fini(&p);
        }
    }
}

static void messages_survive_byte_by_byte(void **state)
{
    (void)state;
    for (int takeover = 0; takeover < 2; takeover++) {
        ours o;
        peer p;
        ours_init(&o, 15, takeover);
        peer_init(&p, 15, takeover);
        both_ways(&o, &p, write_text(WORDS, 4000), 4000, 1);
        both_ways(&o, &p, write_text(NOISE, 1000), 1000, 1);
        ours_fini(&o);
        peer_fini(&p);
    }
}

static void large_messages_survive(void **state)
{
    (void)state;
    for (unsigned kind = 0; kind < TEXT_KINDS; kind++) {
        ours o;
        peer p;
        ours_init(&o, 15, kind == WORDS);
        peer_init(&p, 15, kind == WORDS);
        both_ways(&o, &p, write_text(kind, sizeof text), sizeof text, SIZE_MAX);
        ours_fini(&o);
        peer_fini(&p);
    }
}

/* zlib cannot compress with a window of 256 bytes, but with one of 512 its distances stay below
 * 256. */
static void eight_bits_inflate(void **state)
{
    (void)state;
    for (int takeover = 0; takeover < 2; takeover++) {
        ours o;
        peer p;
        ours_init(&o, 8, takeover);
        peer_init(&p, 8, takeover);
        for (size_t n = 0; n <= 5000; n += 1 + n / 4) {
            peer_deflate(&p, write_text(WORDS, n), n);
            assert_inflates(&o, p.data, p.size, 64, text, n);
        }
        if (takeover)
            assert_in_range(ln_deflate_memory(o.z), 7 * 1024, 8 * 1024);
        ours_fini(&o);
        peer_fini(&p);
    }
}

/* A peer that uses 32 KiB where 512 bytes were agreed, given piece by piece. */
static void a_distance_beyond_the_agreed_window_is_refused_with_takeover(void **state)
{
    (void)state;
    ours o;
    peer p;
    ours_init(&o, 9, true);
    peer_init(&p, 15, true);
    peer_deflate(&p, write_text(NOISE, 5000), 5000);
    assert_inflates(&o, p.data, p.size, 64, text, 5000);
    peer_deflate(&p, text, 100);
    assert_int_equal(ours_inflate(&o, p.data, p.size, 64, SIZE_MAX), LN_ERR_ENCODING);
    ours_fini(&o);
    peer_fini(&p);
}

static void the_client_uses_the_other_half_of_the_parameters(void **state)
{
    (void)state;
    const ln_pmd_params params = {.server_no_context_takeover = true,
                                  .client_no_context_takeover = false,
                                  .server_max_window_bits = 9,
                                  .client_max_window_bits = 12};
    ln_zpool *const pool = ln_zpool_new(NULL);
    ln_deflate *const server = ln_deflate_new(pool, &params, true, LEVEL);
    ln_deflate *const client = ln_deflate_new(pool, &params, false, LEVEL);
    uint8_t bits = 0;

    assert_true(ln_deflate_is_shareable(server, &bits));
    assert_int_equal(bits, 9);
    assert_false(ln_deflate_is_shareable(client, &bits));

    ln_buf wire, out;
    ln_buf_init(&wire, NULL);
    ln_buf_init(&out, NULL);
    write_text(WORDS, 10000);
    for (int i = 0; i < 2; i++) {
        wire.size = out.size = 0;
        assert_int_equal(ln_deflate_compress(client, text, 10000, true, &wire), 0);
        assert_int_equal(ln_deflate_inflate(server, wire.data, wire.size, true, &out, SIZE_MAX), 0);
        assert_int_equal(out.size, 10000);
        wire.size = out.size = 0;
        assert_int_equal(ln_deflate_compress(server, text, 10000, true, &wire), 0);
        assert_int_equal(ln_deflate_inflate(client, wire.data, wire.size, true, &out, SIZE_MAX), 0);
        assert_memory_equal(out.data, text, 10000);
    }
    ln_buf_fini(&wire);
    ln_buf_fini(&out);
    ln_deflate_free(server);
    ln_deflate_free(client);
    ln_zpool_free(pool);
}

/* The way through libdeflate and the one through zlib, on the two sides of where the first
 * begins. */
static void whole_messages_inflate_as_pieces_do(void **state)
{
    (void)state;
    ours o;
    peer p;
    ours_init(&o, 15, false);
    peer_init(&p, 15, false);
    for (size_t n = 700; n < 1500; n += 7) {
        peer_deflate(&p, write_text(NOISE, n), n);
        assert_inflates(&o, p.data, p.size, SIZE_MAX, text, n);
        assert_inflates(&o, p.data, p.size, 1000, text, n);
        peer_deflate_raw(&p, text, n, Z_FINISH); /* final: not for libdeflate */
        assert_inflates(&o, p.data, p.size, SIZE_MAX, text, n);
        deflateReset(&p.out);
        memset(p.data + p.size, 0xff, 20); /* and with no block after that */
        assert_int_equal(ours_inflate(&o, p.data, p.size + 20, SIZE_MAX, SIZE_MAX),
                         LN_ERR_ENCODING);
        ln_deflate_free(o.z);
        o.z = ln_deflate_new(o.pool, &(ln_pmd_params){true, true, 15, 15}, true, LEVEL);
    }
    peer_deflate(&p, write_text(ZEROS, MIB), MIB); /* more than it has room for */
    assert_inflates(&o, p.data, p.size, SIZE_MAX, text, MIB);
    ours_fini(&o);
    peer_fini(&p);
}

/* The second piece begins with a block and could be inflated alone: it must not be. */
static void a_last_piece_is_no_whole_message(void **state)
{
    (void)state;
    ours o;
    peer p;
    ours_init(&o, 15, false);
    peer_init(&p, 15, true);
    peer_deflate_raw(&p, write_text(NOISE, 5000), 2000, Z_SYNC_FLUSH);
    assert_int_equal(ln_deflate_inflate(o.z, p.data, p.size, false, &o.out, SIZE_MAX), 0);
    peer_deflate(&p, text + 2000, 3000);
    assert_int_equal(ln_deflate_inflate(o.z, p.data, p.size, true, &o.out, SIZE_MAX), 0);
    assert_int_equal(o.out.size, 5000);
    assert_memory_equal(o.out.data, text, 5000);
    assert_int_equal(ln_deflate_memory(o.z), 0); /* and with it the message was over */
    ours_fini(&o);
    peer_fini(&p);
}

/* All that a piece holds comes out with it, not with the next. */
static void no_output_waits_for_the_next_piece(void **state)
{
    (void)state;
    enum { N = 20000 };
    for (unsigned kind = 0; kind < TEXT_KINDS; kind++) {
        ours o;
        peer p;
        uint8_t out[N + 1];
        ours_init(&o, 15, false);
        peer_init(&p, 15, false);
        peer_deflate(&p, write_text(kind, N), N);
        p.in.next_out = out;
        p.in.avail_out = sizeof out;
        for (size_t at = 0; at < p.size; at++) {
            p.in.next_in = p.data + at;
            p.in.avail_in = 1;
            assert_int_equal(inflate(&p.in, Z_SYNC_FLUSH), Z_OK);
            assert_int_equal(ln_deflate_inflate(o.z, p.data + at, 1, false, &o.out, N), 0);
            assert_int_equal(o.out.size, p.in.total_out);
        }
        ours_fini(&o);
        peer_fini(&p);
    }
}

/* ---- limits ---- */

static void the_limit_is_exact(void **state)
{
    (void)state;
    static const size_t lengths[] = {1, 100, 16384, 16385, 100000};
    for (size_t i = 0; i < LN_ARRAY_SIZE(lengths); i++) {
        for (unsigned kind = 0; kind < TEXT_KINDS; kind++) {
            for (size_t step = 1; step < SIZE_MAX / 1000; step *= 1000) {
                const size_t n = lengths[i];
                peer p;
                ours o;
                ours_init(&o, 15, false);
                peer_init(&p, 15, false);
                peer_deflate(&p, write_text(kind, n), n);
                for (int again = 0; again < 2; again++) { /* it begins anew with each message */
                    assert_int_equal(ours_inflate(&o, p.data, p.size, step, n), 0);
                    assert_int_equal(o.out.size, n);
                }
                assert_int_equal(ours_inflate(&o, p.data, p.size, step, n - 1), LN_ERR_TOO_BIG);
                assert_true(o.out.size <= n - 1 && o.out.capacity <= n);
                ours_fini(&o);
                peer_fini(&p);
            }
        }
    }
}

static void the_buffer_grows_no_further_than_the_limit(void **state)
{
    (void)state;
    static const size_t lengths[] = {1100, 9900, 3000, 9999, 10000};
    for (size_t step = 10; step < SIZE_MAX / 10000; step *= 10000) {
        ours o;
        peer p;
        ours_init(&o, 15, false);
        peer_init(&p, 15, false);
        for (size_t i = 0; i < LN_ARRAY_SIZE(lengths); i++) {
            peer_deflate(&p, write_text(NOISE, lengths[i]), lengths[i]);
            assert_int_equal(ours_inflate(&o, p.data, p.size, step, 10000), 0);
            assert_true(o.out.capacity <= 10000);
        }
        ours_fini(&o);
        peer_fini(&p);
    }
}

static void the_limit_counts_what_the_caller_took_away(void **state)
{
    (void)state;
    ours o;
    peer p;
    size_t taken = 0;
    int rc = 0;

    ours_init(&o, 15, false);
    peer_init(&p, 15, false);
    peer_deflate(&p, write_text(NOISE, 50000), 50000);
    for (size_t at = 0; at < p.size && rc == 0; at += 1000) {
        rc = ln_deflate_inflate(o.z, p.data + at, ln_min_size(1000, p.size - at), false, &o.out,
                                20000);
        taken += o.out.size;
        o.out.size = 0;
    }
    assert_int_equal(rc, LN_ERR_TOO_BIG);
    assert_true(taken <= 20000);
    ours_fini(&o);
    peer_fini(&p);
}

/* 100 MiB of zeros in some 100 KiB. */
static void write_bomb(peer *p)
{
    const uint8_t *const zeros = write_text(ZEROS, sizeof text);
    const size_t room = 200000;

    p->out.next_out = peer_room(p, room);
    p->out.avail_out = (uInt)room;
    for (size_t i = 0; i < 100 * (size_t)MIB / sizeof text; i++) {
        p->out.next_in = zeros;
        p->out.avail_in = sizeof text;
        assert_int_equal(deflate(&p->out, Z_NO_FLUSH), Z_OK);
    }
    assert_int_equal(deflate(&p->out, Z_SYNC_FLUSH), Z_OK);
    p->size = room - p->out.avail_out - sizeof tail;
    assert_in_range(p->size, 100000, 110000);
}

static void a_bomb_stops_at_the_limit_with_bounded_memory(void **state)
{
    (void)state;
    static const size_t limits[] = {1, 1000, MIB};
    peer p;

    peer_init(&p, 15, true);
    write_bomb(&p);
    for (size_t i = 0; i < LN_ARRAY_SIZE(limits); i++) {
        for (size_t step = 10; step <= 1000000; step *= 100) {
            for (int takeover = 0; takeover < 2; takeover++) {
                ours o;
                ours_init(&o, 15, takeover);
                assert_int_equal(ours_inflate(&o, p.data, p.size, step, limits[i]), LN_ERR_TOO_BIG);
                assert_true(o.out.size <= limits[i]);
                assert_true(o.fa.live_bytes <= limits[i] + 48 * 1024);
                ours_fini(&o);
            }
        }
    }
    peer_fini(&p);
}

/* ---- what does not inflate ---- */

static void assert_refused(const void *bytes, size_t n)
{
    for (size_t step = 1; step <= n; step++) {
        ours o;
        ours_init(&o, 15, true);
        assert_int_equal(ours_inflate(&o, bytes, n, step, SIZE_MAX), LN_ERR_ENCODING);
        ours_fini(&o);
    }
}

static void data_that_is_no_deflate_stream_is_refused(void **state)
{
    (void)state;
    /* block type 3 */
    assert_refused("\x07", 1);
    /* length and its complement differ */
    assert_refused("\x00\x05\x00\xfa\xfe\x48\x65\x6c\x6c\x6f\x00", 11);
    /* a distance to before the first byte */
    assert_refused("\xf2\x00\x11\x00\x00", 5);
    /* impossible code lengths */
    assert_refused("\x04\xe0\xff\xff\xff\xff\xff\xff", 8);
    /* no block after a final one */
    assert_refused("\xf3\x48\xcd\xc9\xc9\x07\x00\x07", 8);
    assert_refused("\xf3\x48\xcd\xc9\xc9\x07\x00Hello", 12);
    /* the tail was not removed */
    assert_refused("\xf2\x48\xcd\xc9\xc9\x07\x00\x00\x00\xff\xff", 11);
    /* 16 bits of the tail are letters, 15 end the block, and one is left */
    assert_refused("\x04\xe0\xd1\x92\x24\x49\x92\x24\xcb\x7e\x2b\x12"
                   "\x8b\x9a\x47\x56\xcf\x9e\xfb\xff\x6f\x17\x02",
                   23);
    /* not compressed at all */
    assert_refused("Hello", 5);
    assert_refused("\xff\xff\xff\xff\xff", 5);
}

static void a_message_cut_short_anywhere_is_refused(void **state)
{
    (void)state;
    peer p;
    peer_init(&p, 15, false);
    peer_deflate(&p, write_text(WORDS, 3000), 3000);
    for (size_t n = 1; n < p.size; n++) {
        ours o;
        ours_init(&o, 15, false);
        assert_int_equal(ours_inflate(&o, p.data, n, SIZE_MAX, SIZE_MAX), LN_ERR_ENCODING);
        ours_fini(&o);
    }
    peer_fini(&p);
}

/* Every bit turned over: whatever it then means, it stays within the limit and breaks nothing. */
static void a_damaged_message_does_no_harm(void **state)
{
    (void)state;
    static const size_t lengths[] = {300, 6000};
    unsigned refused = 0, passed = 0;
    peer p;

    peer_init(&p, 15, false);
    for (size_t i = 0; i < LN_ARRAY_SIZE(lengths); i++) {
        peer_deflate(&p, write_text(i == 0 ? WORDS : NOISE, lengths[i]), lengths[i]);
        for (size_t bit = 0; bit < p.size * 8; bit += 1 + 20 * i) {
            ours o;
            ours_init(&o, 15, false);
            p.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
            const int rc = ours_inflate(&o, p.data, p.size, SIZE_MAX, 10000);
            p.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
            assert_true(rc == 0 || rc == LN_ERR_ENCODING || rc == LN_ERR_TOO_BIG);
            assert_true(o.out.size <= 10000);
            refused += rc != 0;
            passed += rc == 0;
            ours_fini(&o);
        }
    }
    assert_true(refused > 0 && passed > 0); /* a literal turned into another is nothing to notice */
    peer_fini(&p);
}

static void many_final_blocks_cost_no_memory(void **state)
{
    (void)state;
    static uint8_t ends[100000];
    for (size_t i = 0; i < sizeof ends; i += 2) {
        ends[i] = 0x03;
        ends[i + 1] = 0x00;
    }
    ours o;
    ours_init(&o, 15, true);
    assert_inflates(&o, ends, sizeof ends, SIZE_MAX, "", 0);
    assert_true(o.fa.live_bytes < 48 * 1024);
    ours_fini(&o);
}

/* ---- contexts ---- */

static void a_lent_context_knows_nothing_of_its_last_borrower(void **state)
{
    (void)state;
    for (size_t n = 500; n <= 20000; n *= 40) {
        ours o;
        peer p;
        ours_init(&o, 15, false);
        peer_init(&p, 15, true); /* it was told not to */
        peer_deflate(&p, write_text(NOISE, n), n);
        assert_inflates(&o, p.data, p.size, SIZE_MAX, text, n); /* the larger one with libdeflate */
        assert_inflates(&o, p.data, p.size, 300, text, n);
        peer_deflate(&p, text, n);
        assert_int_equal(ours_inflate(&o, p.data, p.size, 300, SIZE_MAX), LN_ERR_ENCODING);
        ours_fini(&o);
        peer_fini(&p);
    }
}

static void a_message_without_takeover_holds_no_context_afterwards(void **state)
{
    (void)state;
    ours o;
    ours_init(&o, 15, false);
    ours_compress(&o, write_text(WORDS, 1000), 1000, SIZE_MAX);
    assert_int_equal(ln_deflate_memory(o.z), 0);
    assert_int_equal(ln_deflate_compress(o.z, text, 100, false, &o.out), 0);
    assert_in_range(ln_deflate_memory(o.z), 160 * 1024, 170 * 1024);
    assert_int_equal(ln_deflate_compress(o.z, text, 100, true, &o.out), 0);
    assert_int_equal(ln_deflate_memory(o.z), 0);

    assert_int_equal(
        ln_deflate_inflate(o.z, (const uint8_t *)"\xf2\x48", 2, false, &o.out, SIZE_MAX), 0);
    assert_in_range(ln_deflate_memory(o.z), 7 * 1024, 8 * 1024 + 32768);
    assert_int_equal(
        ln_deflate_inflate(o.z, (const uint8_t *)"\xcd\xc9\xc9\x07\x00", 5, true, &o.out, SIZE_MAX),
        0);
    assert_int_equal(ln_deflate_memory(o.z), 0);
    ours_fini(&o);
}

static void connections_of_one_pool_keep_their_own_windows(void **state)
{
    (void)state;
    static const uint8_t bits[] = {15, 9, 12};
    ours o;
    ours_init(&o, 15, false);
    write_text(WORDS, 60000);
    for (int round = 0; round < 2; round++) {
        for (size_t i = 0; i < LN_ARRAY_SIZE(bits); i++) {
            const ln_pmd_params params = {false, false, bits[i], bits[i]};
            peer p;
            ln_deflate_free(o.z);
            o.z = ln_deflate_new(o.pool, &params, true, LEVEL);
            peer_init(&p, bits[i], true);
            both_ways(&o, &p, text, 60000, 1000);
            peer_fini(&p);
        }
    }
    ours_fini(&o);
}

static void the_pool_keeps_no_large_scratch_buffer(void **state)
{
    (void)state;
    ours o;
    peer p;
    ours_init(&o, 15, false);
    peer_init(&p, 15, false);
    peer_deflate(&p, write_text(NOISE, MIB), MIB);
    assert_inflates(&o, p.data, p.size, SIZE_MAX, text, MIB);
    assert_true(ln_zpool_memory(o.pool) <= LN_ZPOOL_SCRATCH_KEPT_BYTES);
    ours_fini(&o);
    peer_fini(&p);
}

static void the_pool_is_bounded_and_can_be_emptied(void **state)
{
    (void)state;
    enum { MANY = 20 };
    const ln_pmd_params params = {true, true, 15, 15};
    ln_deflate *z[MANY];
    ours o;

    ours_init(&o, 15, false);
    const size_t bare = o.fa.live_bytes;
    for (size_t i = 0; i < MANY; i++) {
        z[i] = ln_deflate_new(o.pool, &params, true, 1 + (int)i % 9);
        assert_int_equal(ln_deflate_compress(z[i], write_text(WORDS, 100), 100, false, &o.out), 0);
    }
    for (size_t i = 0; i < MANY; i++)
        ln_deflate_free(z[i]);
    assert_int_equal(o.pool->kept_count, LN_ZPOOL_KEPT_MAX);
    assert_int_equal(o.fa.live_bytes, bare + o.out.capacity + ln_zpool_memory(o.pool));
    ln_zpool_trim(o.pool);
    assert_int_equal(ln_zpool_memory(o.pool), 0);
    assert_int_equal(o.fa.live_bytes, bare + o.out.capacity);
    ours_fini(&o);
}

static void steady_traffic_allocates_nothing(void **state)
{
    (void)state;
    if (LN_ZPOOL_KEPT_MAX == 0)
        skip(); /* sanitizers: nothing is kept */
    ours o;
    ours_init(&o, 15, false);
    for (size_t n = 100; n <= 20000; n *= 200) { /* through zlib, through libdeflate */
        peer p;
        peer_init(&p, 15, false);
        peer_deflate(&p, write_text(NOISE, n), n);
        for (int round = 0; round < 2; round++) {
            const size_t calls = o.fa.calls;
            ours_compress(&o, text, n, SIZE_MAX);
            assert_inflates(&o, p.data, p.size, SIZE_MAX, text, n);
            if (round > 0)
                assert_int_equal(o.fa.calls, calls);
        }
        peer_fini(&p);
    }
    ours_fini(&o);
}

/* What an idle connection with takeover costs, after 1 KiB and after 1 MiB each way. */
static void an_idle_connection_gives_memory_back_and_goes_on(void **state)
{
    (void)state;
    static const struct {
        size_t sent, idle_max;
    } cases[] = {{1024, 1024}, {MIB, 32768}};

    for (size_t i = 0; i < LN_ARRAY_SIZE(cases); i++) {
        ours o;
        peer p;
        ours_init(&o, 15, true);
        peer_init(&p, 15, true);
        both_ways(&o, &p, write_text(NOISE, cases[i].sent), cases[i].sent, SIZE_MAX);
        assert_in_range(ln_deflate_memory(o.z), 165 * 1024, 210 * 1024);
        ln_deflate_idle(o.z);
        assert_int_equal(ln_deflate_memory(o.z), cases[i].idle_max);
        ln_deflate_idle(o.z); /* and again */
        assert_int_equal(ln_deflate_memory(o.z), cases[i].idle_max);
        ln_zpool_trim(o.pool);
        assert_true(o.fa.live_bytes <= cases[i].idle_max + o.out.capacity + 256);

        /* The peer compresses with what it has sent before; we refer to nothing older. */
        peer_deflate(&p, text, cases[i].sent);
        if (cases[i].sent == 1024)
            assert_true(p.size < 100);
        assert_inflates(&o, p.data, p.size, SIZE_MAX, text, cases[i].sent);
        assert_in_range(ln_deflate_memory(o.z), 39 * 1024, 40 * 1024); /* the window counts once */
        both_ways(&o, &p, write_text(WORDS, 5000), 5000, 700);
        ours_fini(&o);
        peer_fini(&p);
    }
}

static void idling_inside_messages_loses_nothing(void **state)
{
    (void)state;
    ours o;
    peer p;
    ours_init(&o, 15, true);
    peer_init(&p, 15, true);
    ln_deflate_idle(o.z); /* nothing was ever used */
    peer_deflate(&p, write_text(WORDS, 5000), 5000);
    for (size_t at = 0; at < p.size; at++) {
        assert_int_equal(
            ln_deflate_inflate(o.z, p.data + at, 1, at + 1 == p.size, &o.out, SIZE_MAX), 0);
        ln_deflate_idle(o.z);
    }
    assert_int_equal(o.out.size, 5000);
    assert_memory_equal(o.out.data, text, 5000);

    o.out.size = 0;
    for (size_t at = 0; at < 5000; at += 500) {
        assert_int_equal(ln_deflate_compress(o.z, text + at, 500, at == 4500, &o.out), 0);
        ln_deflate_idle(o.z);
    }
    peer_inflate(&p, o.out.data, o.out.size, 5000);
    assert_memory_equal(p.data, text, 5000);
    ours_fini(&o);
    peer_fini(&p);
}

static void what_was_forgotten_need_not_be_sent(void **state)
{
    (void)state;
    ours o;
    peer p;
    ours_init(&o, 15, true);
    peer_init(&p, 15, true);
    both_ways(&o, &p, write_text(WORDS, 2000), 2000, SIZE_MAX);
    ours_compress(&o, write_text(NOISE, 2000), 2000, SIZE_MAX);
    ln_deflate_forget(o.z);
    both_ways(&o, &p, text, 2000, SIZE_MAX);
    ours_fini(&o);
    peer_fini(&p);
}

static void a_shared_frame_serves_every_window_of_its_bits_or_more(void **state)
{
    (void)state;
    ours o;
    ours_init(&o, 15, false);
    for (uint8_t bits = 9; bits <= 15; bits++) {
        for (size_t n = 0; n <= 100000; n = n * 10 + 1) {
            o.out.size = 0;
            assert_int_equal(
                ln_deflate_shared(o.pool, LEVEL, bits, write_text(WORDS, n), n, &o.out), 0);
            for (uint8_t larger = bits; larger <= 15; larger++) {
                peer p;
                peer_init(&p, larger, false);
                peer_inflate(&p, o.out.data, o.out.size, n);
                peer_inflate(&p, o.out.data, o.out.size, n);
                assert_int_equal(p.size, n);
                assert_memory_equal(p.data, text, n);
                peer_fini(&p);
            }
        }
    }
    ours_fini(&o);
}

static void no_block_that_we_send_is_final(void **state)
{
    (void)state;
    for (unsigned kind = 0; kind < TEXT_KINDS; kind++) {
        for (size_t n = 0; n <= 100000; n = n * 10 + 1) {
            ours o;
            z_stream s = {.next_in = NULL};
            uint8_t block[1000];

            ours_init(&o, 15, false);
            ours_compress(&o, write_text(kind, n), n, 30000);
            assert_int_equal(inflateInit2(&s, -15), Z_OK);
            s.next_in = o.out.data;
            s.avail_in = (uInt)o.out.size;
            do {
                s.next_out = block;
                s.avail_out = sizeof block;
                const int rc = inflate(&s, Z_BLOCK);
                assert_true(rc == Z_OK || rc == Z_BUF_ERROR);
                assert_false(s.data_type & 64); /* in the last block */
            } while (s.avail_in > 0 || s.avail_out == 0);
            inflateEnd(&s);
            ours_fini(&o);
        }
    }
}

/* ---- out of memory ---- */

/* Every call that may allocate; what compress() could not do is done again, and the peer must not
 * notice. */
static int one_life(const ln_allocator *alloc, void *user)
{
    const bool takeover = *(const bool *)user;
    const ln_pmd_params params = {!takeover, !takeover, 10, 10};
    const uint8_t *const bytes = write_text(NOISE, 3000);
    ln_zpool *const pool = ln_zpool_new(alloc);
    ln_deflate *const z = pool ? ln_deflate_new(pool, &params, true, LEVEL) : NULL;
    int rc = z ? 0 : LN_ERR_NOMEM;
    ln_buf out;
    peer p;

    ln_buf_init(&out, alloc);
    peer_init(&p, 10, takeover);
    for (int round = 0; round < 3 && z; round++) {
        out.size = 0;
        int sent = ln_deflate_compress(z, bytes, 1500, false, &out);
        if (sent < 0)
            sent = ln_deflate_compress(z, bytes, 1500, false, &out);
        if (sent == 0 && (sent = ln_deflate_compress(z, bytes + 1500, 1500, true, &out)) < 0)
            sent = ln_deflate_compress(z, bytes + 1500, 1500, true, &out);
        if (sent == 0) {
            peer_inflate(&p, out.data, out.size, 3000);
            assert_memory_equal(p.data, bytes, 3000);
        }
        out.size = 0;
        peer_deflate(&p, bytes, 3000);
        if (rc == 0)
            rc = ln_deflate_inflate(z, p.data, p.size, true, &out, SIZE_MAX);
        if (rc == 0)
            assert_memory_equal(out.data, bytes, 3000);
        ln_deflate_idle(z);
        rc = rc == 0 ? sent : rc;
    }
    if (rc == 0)
        rc = ln_deflate_shared(pool, LEVEL, 10, bytes, 3000, &out);
    peer_fini(&p);
    ln_buf_fini(&out);
    ln_deflate_free(z);
    ln_zpool_free(pool);
    return rc;
}

/* The buffer cannot grow while half of a long message is in it. */
static void a_message_that_failed_halfway_is_never_referred_to(void **state)
{
    (void)state;
    enum { LONG = 100000 };
    size_t failed = 0;
    for (size_t more = 0;; more++) {
        ours o;
        peer p;
        ours_init(&o, 15, true);
        peer_init(&p, 15, true);
        both_ways(&o, &p, write_text(WORDS, 1000), 1000, SIZE_MAX);
        o.fa.fail_at = o.fa.calls + more;
        o.out.size = 0;
        const int rc = ln_deflate_compress(o.z, write_text(NOISE, LONG), LONG, true, &o.out);
        failing_alloc_allow(&o.fa);
        if (rc == 0) {
            ours_fini(&o);
            peer_fini(&p);
            break;
        }
        failed++;
        assert_int_equal(rc, LN_ERR_NOMEM);
        assert_int_equal(o.out.size, 0);
        both_ways(&o, &p, text, LONG, SIZE_MAX);
        both_ways(&o, &p, text, 1000, SIZE_MAX);
        ours_fini(&o);
        peer_fini(&p);
    }
    assert_true(failed >= 3);
}

static void every_failing_allocation_is_survived(void **state)
{
    (void)state;
    bool takeover = false;
    assert_true(failing_alloc_sweep(one_life, &takeover) > 10);
    takeover = true;
    assert_true(failing_alloc_sweep(one_life, &takeover) > 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_examples_of_the_rfc_inflate_however_they_are_cut),
        cmocka_unit_test(we_compress_as_the_rfc_shows),
        cmocka_unit_test(messages_survive_both_ways_with_all_parameters),
        cmocka_unit_test(messages_survive_byte_by_byte),
        cmocka_unit_test(large_messages_survive),
        cmocka_unit_test(eight_bits_inflate),
        cmocka_unit_test(a_distance_beyond_the_agreed_window_is_refused_with_takeover),
        cmocka_unit_test(the_client_uses_the_other_half_of_the_parameters),
        cmocka_unit_test(whole_messages_inflate_as_pieces_do),
        cmocka_unit_test(a_last_piece_is_no_whole_message),
        cmocka_unit_test(no_output_waits_for_the_next_piece),
        cmocka_unit_test(the_limit_is_exact),
        cmocka_unit_test(the_buffer_grows_no_further_than_the_limit),
        cmocka_unit_test(the_limit_counts_what_the_caller_took_away),
        cmocka_unit_test(a_bomb_stops_at_the_limit_with_bounded_memory),
        cmocka_unit_test(data_that_is_no_deflate_stream_is_refused),
        cmocka_unit_test(a_message_cut_short_anywhere_is_refused),
        cmocka_unit_test(a_damaged_message_does_no_harm),
        cmocka_unit_test(many_final_blocks_cost_no_memory),
        cmocka_unit_test(a_lent_context_knows_nothing_of_its_last_borrower),
        cmocka_unit_test(a_message_without_takeover_holds_no_context_afterwards),
        cmocka_unit_test(connections_of_one_pool_keep_their_own_windows),
        cmocka_unit_test(the_pool_keeps_no_large_scratch_buffer),
        cmocka_unit_test(the_pool_is_bounded_and_can_be_emptied),
        cmocka_unit_test(steady_traffic_allocates_nothing),
        cmocka_unit_test(an_idle_connection_gives_memory_back_and_goes_on),
        cmocka_unit_test(idling_inside_messages_loses_nothing),
        cmocka_unit_test(what_was_forgotten_need_not_be_sent),
        cmocka_unit_test(a_shared_frame_serves_every_window_of_its_bits_or_more),
        cmocka_unit_test(no_block_that_we_send_is_final),
        cmocka_unit_test(a_message_that_failed_halfway_is_never_referred_to),
        cmocka_unit_test(every_failing_allocation_is_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
