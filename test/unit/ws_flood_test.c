/* SPDX-License-Identifier: MIT */
/*
 * ws_flood_test - quantities: a hostile peer sends very much, very little at a time, or only says
 * that it will. Memory stays within what arrived and what is allowed, work within what was sent.
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "linear_time.h"
#include "ws_bench.h"

enum { MEBIBYTE = 1 << 20, MILLION = 1000000, SMALL_STACK_BYTES = 256 << 10 };

static const ln_pmd_params apart = {true, true, 15, 15};

/* `count` copies of a frame in a row, all in one buffer to feed. */
static void write_many(ws_bench *b, ln_buf *to, uint8_t first, const void *payload, size_t n,
                       size_t count)
{
    ln_buf frame;

    ln_buf_init(&frame, NULL);
    ws_bench_write(b->config.role, &frame, first, payload, n);
    ln_buf_init(to, NULL);
    assert_int_equal(ln_buf_reserve(to, frame.size * count, SIZE_MAX), 0);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(ln_buf_append(to, frame.data, frame.size, SIZE_MAX), 0);
    ln_buf_fini(&frame);
}

/* ---- fragments ---- */

static void fragments_stop_at_their_limit(void **state)
{
    (void)state;
    for (int size = 0; size < 2; size++) {
        for (int has_deflate = 0; has_deflate < 2; has_deflate++) {
            ws_bench b;
            ws_bench_init(&b, LN_WS_SERVER);
            b.config.fragments_max = 1024;
            ws_bench_open(&b, has_deflate ? &apart : NULL);
            const size_t fresh = ws_bench_memory(&b);
            static const char stored[] =
                "\0\0\0\xff\xff"; /* compressed: empty stored blocks without end */
            for (int i = 0; i < 1024; i++)
                assert_int_equal(ws_bench_frame(&b,
                                                i > 0         ? 0x00
                                                : has_deflate ? 0x42
                                                              : 0x02,
                                                &stored[i % 5], size),
                                 0);
            assert_true(b.memory.live_bytes < fresh + 65536);
            assert_int_equal(ws_bench_frame(&b, 0x00, "x", size), 1);
            ws_bench_assert_closed(&b, 1008, false);
            ws_bench_fini(&b);
        }
    }
}

static void a_million_fragments_of_one_byte_hold_a_million_bytes(void **state)
{
    (void)state;
    ws_bench b;
    ln_buf many;
    ws_bench_init(&b, LN_WS_SERVER);
    b.config.message_max_bytes = MEBIBYTE;
    ws_bench_open(&b, NULL);
    assert_int_equal(ws_bench_frame(&b, 0x02, "x", 1), 0);
    write_many(&b, &many, 0x00, "x", 1, MILLION);
    assert_int_equal(ws_bench_feed(&b, many.data, many.size), 0);
    assert_true(b.memory.live_bytes <=
                MEBIBYTE + 1024); /* the buffer does not outgrow the message limit either */
    assert_true(b.memory.calls < 64);
    assert_int_equal(ws_bench_frame(&b, 0x80, NULL, 0), 1);
    assert_int_equal(b.last_size, MILLION + 1);
    ln_buf_fini(&many);
    ws_bench_fini(&b);
}

static void a_million_empty_fragments_hold_nothing(void **state)
{
    (void)state;
    for (int has_deflate = 0; has_deflate < 2; has_deflate++) {
        ws_bench b;
        ln_buf many;
        ws_bench_init(&b, LN_WS_SERVER);
        ws_bench_open(&b, has_deflate ? &apart : NULL);
        const size_t fresh = ws_bench_memory(&b);
        assert_int_equal(ws_bench_frame(&b, has_deflate ? 0x42 : 0x02, NULL, 0), 0);
        write_many(&b, &many, 0x00, NULL, 0, MILLION);
        assert_int_equal(ws_bench_feed(&b, many.data, many.size), 0);
        assert_true(b.memory.live_bytes < fresh + 1024);
        assert_int_equal(ws_bench_frame(&b, 0x80, NULL, 0), 1);
        assert_int_equal(b.last_size, 0);
        ln_buf_fini(&many);
        ws_bench_fini(&b);
    }
}

/* ---- messages ---- */

static void a_million_empty_messages_take_no_memory(void **state)
{
    (void)state;
    ws_bench b;
    ln_buf many;
    ws_bench_init(&b, LN_WS_SERVER);
    ws_bench_open(&b, NULL);
    write_many(&b, &many, 0x82, NULL, 0, MILLION);
    assert_int_equal(ws_bench_feed(&b, many.data, many.size), MILLION);
    assert_int_equal(b.memory.calls, 0);
    ln_buf_fini(&many);
    ws_bench_fini(&b);
}

/* The header says 2^31, 2^40, 2^62: nobody believes it before the bytes are there. */
static void an_announced_length_takes_no_memory(void **state)
{
    (void)state;
    static const uint8_t firsts[] = {0x82, 0x81, 0x02, 0xc2};
    for (unsigned bits = 31; bits <= 62; bits++) {
        for (size_t i = 0; i < sizeof firsts; i++) {
            uint8_t head[WS_BENCH_HEAD_MAX];
            ws_bench b;
            ws_bench_init(&b, i % 2 ? LN_WS_SERVER : LN_WS_CLIENT);
            b.config.is_streaming = bits > 31; /* a whole message is never that long */
            ws_bench_open(&b, &apart);
            const size_t fresh = ws_bench_memory(&b);
            const size_t n = ws_bench_head(b.config.role, head, firsts[i], UINT64_C(1) << bits);
            assert_int_equal(ws_bench_feed(&b, head, n), 0);
            assert_true(b.memory.live_bytes < fresh + 1024);
            ws_bench_feed(&b, "\0\0\0\0", firsts[i] == 0xc2 ? 0 : 4);
            assert_true(b.memory.live_bytes < fresh + 2048);
            ws_bench_fini(&b);
        }
    }
}

static void a_message_never_holds_more_than_its_limit(void **state)
{
    (void)state;
    static uint8_t bytes[MILLION];
    for (size_t cut = 100000; cut < MILLION; cut += 100000) {
        ws_bench b;
        ws_bench_init(&b, LN_WS_CLIENT);
        b.config.message_max_bytes = MILLION;
        ws_bench_open(&b, NULL);
        assert_int_equal(ws_bench_frame(&b, 0x02, bytes, cut), 0);
        assert_int_equal(ws_bench_frame(&b, 0x00, bytes, MILLION - cut), 0);
        assert_true(b.memory.live_bytes < MILLION + 1024);
        ws_bench_fini(&b);
    }
}

static void dribble(void *user, size_t n)
{
    ws_bench *const b = user;
    uint8_t head[WS_BENCH_HEAD_MAX];
    uint8_t byte[1];
    ln_ws_event e;

    ws_bench_feed(b, head, ws_bench_head(b->config.role, head, 0x81, n));
    for (size_t i = 0; i < n; i++) {
        byte[0] = 'x';
        assert_int_equal(ln_ws_feed(&b->ws, byte, 1, 0), 1);
    }
    assert_true(ln_ws_next(&b->ws, &e));
    assert_int_equal(e.data.size, n);
    assert_false(ln_ws_next(&b->ws, &e));
}

static void a_dribbled_message_costs_linear_time_and_few_allocations(void **state)
{
    (void)state;
    ws_bench b;
    ws_bench_init(&b, LN_WS_SERVER);
    ws_bench_open(&b, NULL);
    linear_time_assert(dribble, &b, MEBIBYTE / LINEAR_TIME_FACTOR);
    const size_t before = b.memory.calls;
    dribble(&b, MEBIBYTE);
    assert_true(b.memory.calls - before < 32); /* a message, and a buffer that doubles */
    ws_bench_fini(&b);
}

/* ---- control frames ---- */

static void *feed_pings(void *user)
{
    ws_bench *const b = user;
    ln_buf many;
    unsigned answered = 0;

    write_many(b, &many, 0x89, NULL, 0, MEBIBYTE / 6);
    answered = ws_bench_feed(b, many.data, many.size);
    ln_buf_fini(&many);
    return (void *)(uintptr_t)answered;
}

static void a_mebibyte_of_pings_in_one_feed_needs_no_stack(void **state)
{
    (void)state;
    ws_bench b;
    pthread_attr_t attributes;
    pthread_t thread;
    void *answered;
    ws_bench_init(&b, LN_WS_SERVER);
    ws_bench_open(&b, NULL);
    assert_int_equal(pthread_attr_init(&attributes), 0);
    assert_int_equal(pthread_attr_setstacksize(&attributes, SMALL_STACK_BYTES), 0);
    assert_int_equal(pthread_create(&thread, &attributes, feed_pings, &b), 0);
    assert_int_equal(pthread_join(thread, &answered), 0);
    pthread_attr_destroy(&attributes);
    assert_int_equal((uintptr_t)answered, MEBIBYTE / 6);
    ws_bench_fini(&b);
}

static void a_peer_that_pings_and_never_reads_holds_one_backlog(void **state)
{
    (void)state;
    static const char payload[125] = {'p'};
    ws_bench b;
    ln_buf many;
    ws_bench_init(&b, LN_WS_SERVER);
    ws_bench_open(&b, NULL);
    write_many(&b, &many, 0x89, payload, sizeof payload, 10000);
    for (int i = 0; i < 100; i++) {
        assert_int_equal(ws_bench_feed(&b, many.data, many.size), 10000);
        assert_true(ln_ws_queued(&b.ws) < 16384 + 127);
        assert_true(b.memory.live_bytes < 65536);
    }
    /* It does not get better for it by having been asked to close. */
    assert_int_equal(ln_ws_send_close(&b.ws, 1000, LN_SPAN(""), 0), 0);
    assert_int_equal(ws_bench_feed(&b, many.data, many.size), 0);
    assert_true(b.memory.live_bytes < 65536);
    ln_buf_fini(&many);
    ws_bench_fini(&b);
}

static void a_polite_peer_gets_every_pong(void **state)
{
    (void)state;
    ws_bench b;
    ws_bench_init(&b, LN_WS_SERVER);
    b.config.control_rate = (ln_bucket_rate){50, 200};
    ws_bench_open(&b, NULL);
    for (unsigned i = 0; i < 10000; i++) {
        b.now_ms = i * 100;
        assert_int_equal(ws_bench_frame(&b, 0x89, &i, sizeof i), 1);
        assert_int_equal(ln_ws_queued(&b.ws), 2 + sizeof i);
        ln_ws_sent(&b.ws, ln_ws_queued(&b.ws));
    }
    ws_bench_fini(&b);
}

/* ---- compressed ---- */

/* Zeros, compressed by a machine of ours. */
static void write_bomb(ln_buf *to, size_t zeros)
{
    void *const bytes = calloc(1, zeros);
    ws_bench from;

    assert_non_null(bytes);
    ws_bench_init(&from, LN_WS_CLIENT);
    ws_bench_open(&from, &apart);
    assert_int_equal(ln_ws_send(&from.ws, LN_BINARY, (ln_span){bytes, zeros}), 0);
    ln_buf_init(to, NULL);
    ws_bench_drain(&from, to);
    ws_bench_fini(&from);
    free(bytes);
}

static void a_bomb_of_100_mebibytes_stops_at_the_limit(void **state)
{
    (void)state;
    enum { LIMIT = 100000, CONTEXT_BYTES = 65536 };
    static const size_t steps[] = {SIZE_MAX, 1000, 1};
    ln_buf bomb;

    write_bomb(&bomb, 100 * (size_t)MEBIBYTE);
    assert_true(bomb.size < 110000);
    for (size_t i = 0; i < LN_ARRAY_SIZE(steps); i++) {
        size_t fed = 0;
        ws_bench b;
        ws_bench_init(&b, LN_WS_SERVER);
        b.config.message_max_bytes = LIMIT;
        ws_bench_open(&b, &apart);
        for (unsigned events = 0; events == 0;) {
            const size_t n = ln_min_size(steps[i], bomb.size - fed);
            events = ws_bench_feed(&b, bomb.data + fed, n);
            assert_true(b.memory.live_bytes < LIMIT + CONTEXT_BYTES);
            fed += n;
        }
        ws_bench_assert_closed(&b, 1009, false);
        assert_true(fed == bomb.size || fed < 2000); /* a thousandth of it makes the limit */
        ws_bench_fini(&b);
    }
    ln_buf_fini(&bomb);
}

static void a_streamed_bomb_is_never_held(void **state)
{
    (void)state;
    ln_buf bomb;
    ws_bench b;
    size_t largest = 0;

    write_bomb(&bomb, 100 * (size_t)MEBIBYTE);
    ws_bench_init(&b, LN_WS_SERVER);
    b.config.is_streaming = true;
    ws_bench_open(&b, &apart);
    for (size_t at = 0; at < bomb.size; at += 64) {
        ws_bench_feed(&b, bomb.data + at, ln_min_size(64, bomb.size - at));
        largest = ln_max_size(largest, b.memory.live_bytes);
    }
    assert_int_equal(b.last.type, LN_WS_PIECE);
    assert_true(b.last.is_last);
    assert_true(largest < 512 * 1024);
    ln_buf_fini(&bomb);
    ws_bench_fini(&b);
}

static void compressing_a_large_message_does_not_keep_its_size(void **state)
{
    (void)state;
    uint8_t *const bytes = malloc(MEBIBYTE);
    ws_bench b;
    assert_non_null(bytes);
    srand(1);
    for (size_t i = 0; i < MEBIBYTE; i++)
        bytes[i] = (uint8_t)rand();
    ws_bench_init(&b, LN_WS_SERVER);
    ws_bench_open(&b, &apart);
    assert_int_equal(ln_ws_send(&b.ws, LN_BINARY, (ln_span){bytes, MEBIBYTE}), 0);
    assert_true(b.scratch.capacity <= 65536);
    ws_bench_fini(&b);
    free(bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fragments_stop_at_their_limit),
        cmocka_unit_test(a_million_fragments_of_one_byte_hold_a_million_bytes),
        cmocka_unit_test(a_million_empty_fragments_hold_nothing),
        cmocka_unit_test(a_million_empty_messages_take_no_memory),
        cmocka_unit_test(an_announced_length_takes_no_memory),
        cmocka_unit_test(a_message_never_holds_more_than_its_limit),
        cmocka_unit_test(a_dribbled_message_costs_linear_time_and_few_allocations),
        cmocka_unit_test(a_mebibyte_of_pings_in_one_feed_needs_no_stack),
        cmocka_unit_test(a_peer_that_pings_and_never_reads_holds_one_backlog),
        cmocka_unit_test(a_polite_peer_gets_every_pong),
        cmocka_unit_test(a_bomb_of_100_mebibytes_stops_at_the_limit),
        cmocka_unit_test(a_streamed_bomb_is_never_held),
        cmocka_unit_test(compressing_a_large_message_does_not_keep_its_size),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
