/* SPDX-License-Identifier: MIT */
/*
 * ws_test - what vectors cannot say of the WebSocket machine: time, partial sends, what is shared,
 * what stays valid. Quantities (floods, bounds of memory and work) are in ws_flood_test.c.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "ws_bench.h"

/* As ws.h promises: pongs behind more than this take one slot. */
enum { PONG_BACKLOG_BYTES = 16384 };

static const ln_pmd_params takeover = {false, false, 15, 15};

static const ln_span hello = {"Hello", 5};

/* ---- pings and silence ---- */

static void a_silent_peer_is_pinged_at_the_interval(void **state)
{
    (void)state;
    ws_bench b;
    ws_bench_init(&b, LN_WS_SERVER);
    b.now_ms = 5000;
    b.config.ping_interval_ms = 1000;
    b.config.pong_wait_ms = 400;
    ws_bench_open(&b, NULL);
    assert_int_equal(ln_ws_deadline(&b.ws), 6000);
    ln_ws_tick(&b.ws, 5999);
    WS_BENCH_ASSERT_OUTPUT(&b, "");
    ln_ws_tick(&b.ws, 6000);
    WS_BENCH_ASSERT_OUTPUT(&b, "\x89\x00");
    assert_int_equal(ln_ws_deadline(&b.ws), 6400);
    b.now_ms = 6399;
    assert_int_equal(ws_bench_frame(&b, 0x8a, NULL, 0), 1);
    assert_int_equal(ln_ws_deadline(&b.ws), 7399);
    ws_bench_fini(&b);
}

static void the_spread_brings_the_ping_forward_by_up_to_an_eighth(void **state)
{
    (void)state;
    uint64_t before = UINT64_MAX;

    for (unsigned spread = 0; spread < 256; spread++) {
        ws_bench b;
        ws_bench_init(&b, LN_WS_SERVER);
        b.config.ping_interval_ms = 20000;
        ws_bench_open(&b, NULL);
        b.ws.spread = (uint8_t)spread;
        const uint64_t due = ln_ws_deadline(&b.ws);
        assert_true(due < before && due > 20000 - 20000 / 8 && due <= 20000);
        before = due;
        ws_bench_fini(&b);
    }
}

static void without_intervals_nothing_is_ever_due(void **state)
{
    (void)state;
    ws_bench b;
    ws_bench_init(&b, LN_WS_CLIENT);
    b.config.pong_wait_ms = 10; /* waits for nothing without an interval */
    ws_bench_open(&b, NULL);
    assert_int_equal(ws_bench_frame(&b, 0x01, "a", 1), 0);
    assert_true(ln_ws_deadline(&b.ws) == UINT64_MAX);
    ln_ws_tick(&b.ws, UINT64_MAX - 1);
    assert_int_equal(ln_ws_send_close(&b.ws, 1000, LN_SPAN(""), 5), 0);
    assert_true(ln_ws_deadline(&b.ws) == UINT64_MAX);
    ln_ws_tick(&b.ws, UINT64_MAX - 1);
    assert_int_equal(ws_bench_take(&b), 0);
    ws_bench_fini(&b);
}

static void without_a_pong_wait_an_unanswered_ping_is_forgiven(void **state)
{
    (void)state;
    ws_bench b;
    ws_bench_init(&b, LN_WS_SERVER);
    b.config.ping_interval_ms = 1000;
    ws_bench_open(&b, NULL);
    ln_ws_tick(&b.ws, 1000);
    assert_true(ln_ws_deadline(&b.ws) == UINT64_MAX);
    ln_ws_tick(&b.ws, 1000000);
    assert_int_equal(ws_bench_take(&b), 0);
    b.now_ms = 1000000;
    ws_bench_frame(&b, 0x8a, NULL, 0);
    assert_int_equal(ln_ws_deadline(&b.ws), 1001000);
    ws_bench_fini(&b);
}

/* A ping stands behind 100 KiB that the peer takes slowly. */
static void a_reader_that_takes_output_is_not_held_to_the_pong(void **state)
{
    (void)state;
    static uint8_t large[100000];
    ws_bench b;
    ws_bench_init(&b, LN_WS_SERVER);
    b.config.ping_interval_ms = 1000;
    b.config.pong_wait_ms = 500;
    ws_bench_open(&b, NULL);
    assert_int_equal(ln_ws_send(&b.ws, LN_BINARY, (ln_span){large, sizeof large}), 0);
    ln_ws_tick(&b.ws, 1000);
    for (uint64_t now_ms = 1500; now_ms <= 5000; now_ms += 500) {
        ln_ws_sent(&b.ws, 100);
        assert_int_equal(ln_ws_deadline(&b.ws), now_ms);
        ln_ws_tick(&b.ws, now_ms);
        assert_int_equal(ws_bench_take(&b), 0);
    }
    /* One ping, not eight. */
    assert_int_equal(ln_ws_queued(&b.ws), 4 + 6 + sizeof large + 2 - 8 * 100);

    ln_ws_tick(&b.ws, 5499);
    assert_int_equal(ws_bench_take(&b), 0);
    ln_ws_tick(&b.ws, 5500); /* nothing moved since 5000 */
    assert_int_equal(ws_bench_take(&b), 1);
    ws_bench_assert_closed(&b, 1011, false);
    assert_int_equal(ln_ws_error(&b.ws), LN_ERR_TIMEOUT);
    ws_bench_fini(&b);
}

static void once_all_output_has_left_the_pong_is_due(void **state)
{
    (void)state;
    static uint8_t large[100000];
    ws_bench b;
    ws_bench_init(&b, LN_WS_SERVER);
    b.config.ping_interval_ms = 1000;
    b.config.pong_wait_ms = 500;
    ws_bench_open(&b, NULL);
    assert_int_equal(ln_ws_send(&b.ws, LN_BINARY, (ln_span){large, sizeof large}), 0);
    ln_ws_tick(&b.ws, 1000);
    ln_ws_sent(&b.ws, ln_ws_queued(&b.ws));
    ln_ws_tick(&b.ws, 1500);
    assert_int_equal(ws_bench_take(&b), 1);
    ws_bench_assert_closed(&b, 1011, false);
    ws_bench_fini(&b);
}

static void a_ping_that_finds_no_memory_is_tried_again(void **state)
{
    (void)state;
    ws_bench b;
    ws_bench_init(&b, LN_WS_SERVER);
    b.config.ping_interval_ms = 1000;
    b.config.pong_wait_ms = 500;
    ws_bench_open(&b, NULL);
    failing_alloc_refuse(&b.memory);
    ln_ws_tick(&b.ws, 1000);
    assert_int_equal(ln_ws_queued(&b.ws), 0);
    assert_int_equal(ln_ws_deadline(&b.ws), 1000);
    failing_alloc_allow(&b.memory);
    ln_ws_tick(&b.ws, 1001);
    assert_int_equal(ln_ws_deadline(&b.ws), 1501);
    WS_BENCH_ASSERT_OUTPUT(&b, "\x89\x00");
    ws_bench_fini(&b);
}

static void touching_gives_the_peer_all_its_time_again(void **state)
{
    (void)state;
    ws_bench b;
    ws_bench_init(&b, LN_WS_SERVER);
    b.config.ping_interval_ms = 1000;
    b.config.pong_wait_ms = 500;
    b.config.idle_ms = 5000;
    b.config.message_ms = 3000;
    ws_bench_open(&b, NULL);
    ws_bench_frame(&b, 0x01, "a", 1);
    for (uint64_t now_ms = 900; now_ms < 100000; now_ms += 900) { /* paused all the time */
        ln_ws_touch(&b.ws, now_ms);
        ln_ws_tick(&b.ws, now_ms);
        assert_int_equal(ln_ws_deadline(&b.ws), now_ms + 1000);
    }
    assert_int_equal(ln_ws_queued(&b.ws), 0);
    assert_int_equal(ws_bench_frame(&b, 0x80, "b", 1), 1);
    ws_bench_assert_event(&b, LN_WS_MESSAGE, "ab");
    ws_bench_fini(&b);
}

static void touching_takes_an_unanswered_ping_back(void **state)
{
    (void)state;
    ws_bench b;
    ws_bench_init(&b, LN_WS_SERVER);
    b.config.ping_interval_ms = 1000;
    b.config.pong_wait_ms = 500;
    ws_bench_open(&b, NULL);
    ln_ws_tick(&b.ws, 1000);
    ln_ws_touch(&b.ws, 1499);
    assert_int_equal(ln_ws_deadline(&b.ws), 2499);
    ws_bench_fini(&b);
}

static void touching_does_not_prolong_the_closing(void **state)
{
    (void)state;
    ws_bench b;
    ws_bench_init(&b, LN_WS_SERVER);
    b.config.close_wait_ms = 1000;
    ws_bench_open(&b, NULL);
    assert_int_equal(ln_ws_send_close(&b.ws, 1000, LN_SPAN(""), 200), 0);
    b.now_ms = 1000;
    ws_bench_frame(&b, 0x81, "late", 4);
    ln_ws_touch(&b.ws, 1000);
    assert_int_equal(ln_ws_deadline(&b.ws), 1200);
    ws_bench_fini(&b);
}

/* What can be seen of a machine, to notice that a tick did something. */
static uint64_t visible(const ln_ws *m)
{
    return ln_ws_queued(m) * 4 + ln_ws_is_open(m) * 2 + (ln_ws_fault(m, NULL) != 0);
}

/* Random lives: at every moment tick() does nothing before deadline(), and something at it. */
static void the_deadline_is_the_first_moment_at_which_a_tick_acts(void **state)
{
    (void)state;
    for (unsigned seed = 1; seed <= 400; seed++) {
        ws_bench b;
        srand(seed);
        ws_bench_init(&b, seed % 2 ? LN_WS_SERVER : LN_WS_CLIENT);
        b.config.ping_interval_ms = (uint32_t)(rand() % 4 * 700);
        b.config.pong_wait_ms = (uint32_t)(rand() % 4 * 300);
        b.config.idle_ms = (uint32_t)(rand() % 3 * 2100);
        b.config.message_ms = (uint32_t)(rand() % 3 * 1100);
        b.config.close_wait_ms = (uint32_t)(rand() % 3 * 900);
        ws_bench_open(&b, NULL);
        b.ws.spread = (uint8_t)rand();
        for (int step = 0; step < 40; step++) {
            const uint64_t due = ln_ws_deadline(&b.ws);
            if (due != UINT64_MAX && rand() % 2) {
                const uint64_t before = visible(&b.ws);
                ln_ws_tick(&b.ws, due - 1);
                assert_true(visible(&b.ws) == before && ln_ws_deadline(&b.ws) == due);
                b.now_ms = due;
                ln_ws_tick(&b.ws, due);
                assert_true(ln_ws_deadline(&b.ws) > due);
                ws_bench_take(&b);
                continue;
            }
            b.now_ms += due == UINT64_MAX ? 500 : (due - b.now_ms) / 2;
            if (rand() % 2)
                ws_bench_frame(&b, rand() % 2 ? 0x8a : 0x82, "x", 1);
            else if (rand() % 2)
                ws_bench_frame(&b, ln_ws_is_receiving(&b.ws) ? 0x80 : 0x01, "x", 1);
            else if (rand() % 8 == 0)
                ln_ws_send_close(&b.ws, 1000, LN_SPAN(""), b.now_ms);
            if (rand() % 2)
                ln_ws_sent(&b.ws, ln_ws_queued(&b.ws));
        }
        ws_bench_fini(&b);
    }
}

static void a_silent_peers_contexts_are_given_back_and_nothing_is_lost(void **state)
{
    (void)state;
    ws_bench b;
    ws_bench_init(&b, LN_WS_CLIENT);
    b.config.ping_interval_ms = 1000;
    ws_bench_open(&b, &takeover);
    const size_t fresh = ws_bench_memory(&b);
    assert_int_equal(ws_bench_frame(&b, 0xc1, "\xf2\x48\xcd\xc9\xc9\x07\x00", 7), 1);
    assert_int_equal(ln_ws_send(&b.ws, LN_TEXT, hello), 0);
    ln_ws_sent(&b.ws, ln_ws_queued(&b.ws));
    assert_true(ws_bench_memory(&b) > fresh + 100000);
    ln_ws_tick(&b.ws, 1000);
    ln_ws_sent(&b.ws, ln_ws_queued(&b.ws));
    assert_true(ws_bench_memory(&b) < fresh + 100); /* the five bytes that the peer may refer to */
    assert_int_equal(ws_bench_frame(&b, 0xc1, "\xf2\x00\x11\x00\x00", 5), 1);
    ws_bench_assert_event(&b, LN_WS_MESSAGE, "Hello");
    ws_bench_fini(&b);
}

/* ---- pongs behind output ---- */

static void fill_output(ws_bench *b)
{
    static uint8_t large[PONG_BACKLOG_BYTES];
    assert_int_equal(ln_ws_send(&b->ws, LN_BINARY, (ln_span){large, sizeof large}), 0);
}

static void behind_a_backlog_only_the_latest_ping_is_answered(void **state)
{
    (void)state;
    ws_bench b;
    ws_bench_init(&b, LN_WS_SERVER);
    ws_bench_open(&b, NULL);
    fill_output(&b);
    const size_t backlog = ln_ws_queued(&b.ws);
    for (int i = 0; i < 1000; i++)
        assert_int_equal(ws_bench_frame(&b, 0x89, i % 2 ? "odd" : "even", i % 2 ? 3 : 4), 1);
    assert_int_equal(ln_ws_queued(&b.ws), backlog);
    /* As much as still counts as a backlog waits. */
    ln_ws_sent(&b.ws, backlog - PONG_BACKLOG_BYTES);
    assert_int_equal(ln_ws_queued(&b.ws), PONG_BACKLOG_BYTES);
    ln_ws_sent(&b.ws, 1);
    assert_int_equal(ln_ws_queued(&b.ws), PONG_BACKLOG_BYTES - 1 + 5);
    ln_ws_sent(&b.ws, PONG_BACKLOG_BYTES - 1);
    WS_BENCH_ASSERT_OUTPUT(&b, "\x8a\x03odd");
    ws_bench_fini(&b);
}

static void an_empty_ping_behind_a_backlog_is_answered_empty(void **state)
{
    (void)state;
    ws_bench b;
    ws_bench_init(&b, LN_WS_SERVER);
    ws_bench_open(&b, NULL);
    fill_output(&b);
    ws_bench_frame(&b, 0x89, "one", 3);
    ws_bench_frame(&b, 0x89, NULL, 0);
    ln_ws_sent(&b.ws, ln_ws_queued(&b.ws));
    WS_BENCH_ASSERT_OUTPUT(&b, "\x8a\x00");
    WS_BENCH_ASSERT_OUTPUT(&b, "");
    ws_bench_fini(&b);
}

static void a_pong_that_found_no_memory_does_not_follow_a_later_one(void **state)
{
    (void)state;
    ws_bench b;
    ws_bench_init(&b, LN_WS_SERVER);
    ws_bench_open(&b, NULL);
    fill_output(&b);
    ws_bench_frame(&b, 0x89, "early", 5);
    failing_alloc_refuse(&b.memory);
    ln_pool_trim(&b.pool);
    ln_ws_sent(&b.ws, ln_ws_queued(&b.ws));
    failing_alloc_allow(&b.memory);
    assert_int_equal(ln_ws_queued(&b.ws), 0);
    ws_bench_frame(&b, 0x89, "late", 4);
    WS_BENCH_ASSERT_OUTPUT(&b, "\x8a\x04late");
    WS_BENCH_ASSERT_OUTPUT(&b, "");
    ws_bench_fini(&b);
}

static void a_ping_that_cannot_be_remembered_ends_it(void **state)
{
    (void)state;
    ws_bench b;
    ws_bench_init(&b, LN_WS_SERVER);
    ws_bench_open(&b, NULL);
    fill_output(&b);
    failing_alloc_refuse(&b.memory);
    assert_int_equal(ws_bench_frame(&b, 0x89, "p", 1), 1);
    ws_bench_assert_closed(&b, 1011, false);
    assert_int_equal(ln_ws_error(&b.ws), LN_ERR_NOMEM);
    ws_bench_fini(&b);
}

static void a_waiting_pong_leaves_behind_our_close_but_not_after_the_peers(void **state)
{
    (void)state;
    for (int has_peers = 0; has_peers < 2; has_peers++) {
        ws_bench b;
        ws_bench_init(&b, LN_WS_SERVER);
        ws_bench_open(&b, NULL);
        fill_output(&b);
        ws_bench_frame(&b, 0x89, "p", 1);
        assert_int_equal(ln_ws_send_close(&b.ws, 1000, LN_SPAN(""), 0), 0);
        if (has_peers)
            assert_int_equal(ws_bench_frame(&b, 0x88, NULL, 0), 1);
        ln_ws_sent(&b.ws, ln_ws_queued(&b.ws));
        if (has_peers)
            WS_BENCH_ASSERT_OUTPUT(&b, "");
        else
            WS_BENCH_ASSERT_OUTPUT(&b, "\x8a\x01p");
        ws_bench_fini(&b);
    }
}

/* ---- output ---- */

static ln_block *make_block(ws_bench *b, const char *text)
{
    ln_block *const block =
        ln_ws_encode(&b->memory.hook, LN_TEXT, (ln_span){text, strlen(text)}, false);
    assert_non_null(block);
    return block;
}

/* Messages, pieces, a ping, a pong and a large shared block: all that output is made of. */
static void queue_everything(ws_bench *b, ln_block *block)
{
    assert_int_equal(ln_ws_send(&b->ws, LN_TEXT, hello), 0);
    assert_int_equal(ln_ws_send_piece(&b->ws, LN_TEXT, hello, false), 0);
    ws_bench_frame(b, 0x89, "ping", 4);
    assert_int_equal(ln_ws_send_block(&b->ws, block), 0);
    assert_int_equal(ln_ws_send_piece(&b->ws, LN_TEXT, hello, true), 0);
    assert_int_equal(ln_ws_send_block(&b->ws, block), 0);
    assert_int_equal(ln_ws_send_ping(&b->ws, LN_SPAN("p")), 0);
    assert_int_equal(ln_ws_send_close(&b->ws, 1000, LN_SPAN("bye"), 0), 0);
}

static void output_is_the_same_however_it_is_taken(void **state)
{
    (void)state;
    char text[601];
    ln_buf whole, parts;
    ln_buf_init(&whole, NULL);
    ln_buf_init(&parts, NULL);
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';

    for (size_t first = 0; first == 0 || first < whole.size; first++) {
        ws_bench b;
        ws_bench_init(&b, LN_WS_SERVER);
        ws_bench_open(&b, NULL);
        ln_block *const block = make_block(&b, text);
        queue_everything(&b, block);
        parts.size = 0;
        while (parts.size < first) { /* one byte at a time up to here, then the rest */
            ln_span span;
            assert_int_equal(ln_ws_pull(&b.ws, &span, 1), 1);
            assert_int_equal(ln_buf_append(&parts, span.data, 1, SIZE_MAX), 0);
            ln_ws_sent(&b.ws, 1);
        }
        ws_bench_drain(&b, first == 0 ? &whole : &parts);
        if (first > 0) {
            assert_int_equal(parts.size, whole.size);
            assert_memory_equal(parts.data, whole.data, whole.size);
        }
        assert_int_equal(ln_ws_queued(&b.ws), 0);
        ln_block_unref(block);
        ws_bench_fini(&b);
    }
    assert_true(whole.size > 1200);
    ln_buf_fini(&whole);
    ln_buf_fini(&parts);
}

static void pulling_changes_nothing(void **state)
{
    (void)state;
    ws_bench b;
    ln_span one[1], many[16];
    char text[601] = {0};
    memset(text, 'x', sizeof text - 1);
    ws_bench_init(&b, LN_WS_SERVER);
    ws_bench_open(&b, NULL);
    ln_block *const block = make_block(&b, text);
    queue_everything(&b, block);
    const size_t queued = ln_ws_queued(&b.ws);
    assert_int_equal(ln_ws_pull(&b.ws, one, 1), 1);
    const int k = ln_ws_pull(&b.ws, many, 16);
    size_t n = 0;
    for (int i = 0; i < k; i++)
        n += many[i].size;
    assert_true(k > 2 && one[0].data == many[0].data && one[0].size == many[0].size);
    assert_int_equal(n, queued);
    assert_int_equal(ln_ws_pull(&b.ws, many, 0), 0);
    assert_int_equal(ln_ws_queued(&b.ws), queued);
    ln_block_unref(block);
    ws_bench_fini(&b);
}

static void shared_frames_wait_for_the_end_of_a_fragmented_send_and_keep_their_order(void **state)
{
    (void)state;
    ws_bench b;
    ws_bench_init(&b, LN_WS_SERVER);
    ws_bench_open(&b, NULL);
    ln_block *const one = make_block(&b, "1"), *const two = make_block(&b, "2");
    assert_int_equal(ln_ws_send_piece(&b.ws, LN_BINARY, LN_SPAN("a"), false), 0);
    assert_int_equal(ln_ws_send_block(&b.ws, one), 0);
    assert_int_equal(ln_ws_send_ping(&b.ws, LN_SPAN("p")), 0);
    assert_int_equal(ln_ws_send(&b.ws, LN_TEXT, hello), LN_ERR_BUSY);
    assert_int_equal(ln_ws_send_block(&b.ws, two), 0);
    /* What waits counts, so that a queue limit sees it. */
    assert_int_equal(ln_ws_queued(&b.ws), 3 + 3 + 3 + 3);
    WS_BENCH_ASSERT_OUTPUT(&b, "\x02\x01"
                               "a\x89\x01p");
    assert_int_equal(ln_ws_queued(&b.ws), 3 + 3);
    assert_int_equal(ln_ws_send_piece(&b.ws, LN_TEXT, LN_SPAN("b"), true), 0);
    assert_int_equal(ln_ws_send(&b.ws, LN_TEXT, LN_SPAN("3")), 0);
    WS_BENCH_ASSERT_OUTPUT(&b, "\x80\x01"
                               "b\x81\x01"
                               "1\x81\x01"
                               "2\x81\x01"
                               "3");
    ln_block_unref(one);
    ln_block_unref(two);
    ws_bench_fini(&b);
}

static void every_way_to_end_gives_waiting_frames_back(void **state)
{
    (void)state;
    for (int way = 0; way < 5; way++) {
        ws_bench b;
        ws_bench_init(&b, LN_WS_SERVER);
        ws_bench_open(&b, NULL);
        ln_block *const block = make_block(&b, "waits");
        assert_int_equal(ln_ws_send_piece(&b.ws, LN_TEXT, hello, false), 0);
        assert_int_equal(ln_ws_send_block(&b.ws, block), 0);
        if (way == 0)
            assert_int_equal(ln_ws_send_close(&b.ws, 1000, LN_SPAN(""), 0), 0);
        if (way == 1)
            ln_ws_fail(&b.ws, 1008, "no");
        if (way == 2)
            ln_ws_eof(&b.ws);
        if (way == 3)
            ws_bench_frame(&b, 0x88, NULL, 0);
        if (way == 4)
            ws_bench_frame(&b, 0x83, NULL, 0);
        assert_int_equal(block->refs, 1);
        ln_block_unref(block);
        ws_bench_fini(&b);
    }
}

static void a_large_shared_frame_is_sent_from_where_it_lies(void **state)
{
    (void)state;
    enum { MACHINES = 20 };
    static char text[5001];
    ws_bench benches[MACHINES];
    memset(text, 'x', sizeof text - 1);
    ln_block *const block = ln_ws_encode(NULL, LN_TEXT, (ln_span){text, sizeof text - 1}, false);
    for (int i = 0; i < MACHINES; i++) {
        ln_span span;
        ws_bench_init(&benches[i], LN_WS_SERVER);
        ws_bench_open(&benches[i], NULL);
        assert_int_equal(ln_ws_send_block(&benches[i].ws, block), 0);
        assert_int_equal(ln_ws_pull(&benches[i].ws, &span, 1), 1);
        assert_ptr_equal(span.data, block->bytes);
        assert_int_equal(span.size, block->size);
    }
    assert_int_equal(block->refs, 1 + MACHINES);
    for (int i = 0; i < MACHINES; i++) {
        if (i % 2)
            ln_ws_sent(&benches[i].ws, block->size); /* the others still have it when they end */
        ws_bench_fini(&benches[i]);
    }
    assert_int_equal(block->refs, 1);
    ln_block_unref(block);
}

static void a_shared_frame_is_refused_without_memory_and_after_the_end(void **state)
{
    (void)state;
    for (int is_between_pieces = 0; is_between_pieces < 2; is_between_pieces++) {
        ws_bench b;
        ws_bench_init(&b, LN_WS_SERVER);
        ws_bench_open(&b, NULL);
        ln_block *const block = make_block(&b, "shared");
        if (is_between_pieces)
            assert_int_equal(ln_ws_send_piece(&b.ws, LN_TEXT, hello, false), 0);
        const size_t before = ln_ws_queued(&b.ws);
        failing_alloc_refuse(&b.memory);
        assert_int_equal(ln_ws_send_block(&b.ws, block), LN_ERR_NOMEM);
        assert_int_equal(ln_ws_queued(&b.ws), before);
        assert_null(ln_ws_encode(&b.memory.hook, LN_TEXT, hello, false));
        failing_alloc_allow(&b.memory);
        assert_int_equal(ln_ws_send_close(&b.ws, 1000, LN_SPAN(""), 0), 0);
        assert_int_equal(ln_ws_send_block(&b.ws, block), LN_ERR_CLOSED);
        assert_int_equal(block->refs, 1);
        ln_block_unref(block);
        ws_bench_fini(&b);
    }
}

static void an_encoded_frame_is_the_frame_that_would_be_sent(void **state)
{
    (void)state;
    static const size_t sizes[] = {0, 1, 125, 126, 65535, 65536, 200000};
    static uint8_t bytes[200000];
    memset(bytes, 'e', sizeof bytes);
    for (size_t i = 0; i < LN_ARRAY_SIZE(sizes); i++) {
        const ln_span data = {bytes, sizes[i]};
        ws_bench b;
        ws_bench_init(&b, LN_WS_SERVER);
        ws_bench_open(&b, NULL);
        ln_block *const plain = ln_ws_encode(NULL, LN_BINARY, data, false);
        ln_block *const deflated = ln_ws_encode(NULL, LN_BINARY, data, true);
        assert_int_equal(ln_ws_send(&b.ws, LN_BINARY, data), 0);
        ws_bench_assert_output(&b, plain->bytes, plain->size);
        assert_int_equal(deflated->bytes[0], 0xc2);
        assert_memory_equal(deflated->bytes + 1, plain->bytes + 1, plain->size - 1);
        ln_block_unref(plain);
        ln_block_unref(deflated);
        ws_bench_fini(&b);
    }
}

static void what_cannot_be_sent_is_refused_and_changes_nothing(void **state)
{
    (void)state;
    const ln_span endless = {"", (size_t)1 << 31};
    ws_bench b;
    ws_bench_init(&b, LN_WS_CLIENT);
    ws_bench_open(&b, NULL);
    assert_int_equal(ln_ws_send(&b.ws, LN_BINARY, endless), LN_ERR_INVALID);
    assert_int_equal(ln_ws_send(&b.ws, LN_TEXT, endless), LN_ERR_INVALID);
    assert_int_equal(ln_ws_send_piece(&b.ws, LN_BINARY, endless, true), LN_ERR_INVALID);
    assert_int_equal(ln_ws_send(&b.ws, (enum ln_kind)0, hello), LN_ERR_INVALID);
    assert_int_equal(ln_ws_send(&b.ws, (enum ln_kind)8, hello), LN_ERR_INVALID);
    assert_int_equal(ln_ws_send_piece(&b.ws, (enum ln_kind)9, hello, false), LN_ERR_INVALID);
    assert_int_equal(b.keys_asked, 0);
    assert_int_equal(ln_ws_queued(&b.ws), 0);
    assert_int_equal(ln_ws_send(&b.ws, LN_TEXT, (ln_span){NULL, 0}), 0);
    WS_BENCH_ASSERT_OUTPUT(&b, "\x81\x80\0\0\0\0");
    ws_bench_fini(&b);
}

static void trusted_text_is_sent_as_it_is(void **state)
{
    (void)state;
    ws_bench b;
    ws_bench_init(&b, LN_WS_SERVER);
    b.config.trusts_text = true;
    ws_bench_open(&b, NULL);
    assert_int_equal(ln_ws_send(&b.ws, LN_TEXT, LN_SPAN("\xff")), 0);
    assert_int_equal(ln_ws_send_piece(&b.ws, LN_TEXT, LN_SPAN("\xff"), false), 0);
    assert_int_equal(ln_ws_send_piece(&b.ws, LN_TEXT, LN_SPAN("\xfe"), true), 0);
    WS_BENCH_ASSERT_OUTPUT(&b, "\x81\x01\xff\x01\x01\xff\x80\x01\xfe");
    ws_bench_fini(&b);
}

/* ---- masking ---- */

typedef struct key_source {
    uint64_t state;
    uint32_t last;
    unsigned long given;
} key_source;

static uint32_t next_key(void *user) /* splitmix64 */
{
    key_source *const s = user;
    uint64_t z = s->state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    s->last = (uint32_t)(z ^ z >> 31);
    s->given++;
    return s->last;
}

static int compare_keys(const void *a, const void *b)
{
    const uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

/*
 * Of n keys of 32 random bits n * n / 2^33 pairs are alike, 116 of a million: whoever used fewer
 * bits, or one key twice, would have more.
 */
static void a_million_client_frames_have_a_million_keys(void **state)
{
    (void)state;
    enum { FRAMES = 1000000 };
    uint32_t *const keys = malloc(FRAMES * sizeof *keys);
    unsigned ones[32] = {0}, alike = 0;
    key_source source = {.state = 1};
    ws_bench b;

    assert_non_null(keys);
    ws_bench_init(&b, LN_WS_CLIENT);
    b.config.mask_key = next_key;
    b.config.mask_user = &source;
    ws_bench_open(&b, NULL);
    for (unsigned i = 0; i < FRAMES; i++) {
        ln_span span;
        if (i % 4 == 0)
            assert_int_equal(ln_ws_send_ping(&b.ws, (ln_span){NULL, 0}), 0);
        else
            assert_int_equal(ln_ws_send(&b.ws, LN_BINARY, (ln_span){"\0\0\0\0\0", i % 6}), 0);
        assert_int_equal(source.given, i + 1);
        assert_int_equal(ln_ws_pull(&b.ws, &span, 1), 1);
        memcpy(&keys[i], (const uint8_t *)span.data + 2, sizeof keys[i]);
        assert_int_equal(keys[i], source.last);
        assert_true(i == 0 || keys[i] != keys[i - 1]);
        for (unsigned bit = 0; bit < 32; bit++)
            ones[bit] += keys[i] >> bit & 1;
        ln_ws_sent(&b.ws, span.size);
    }
    for (unsigned bit = 0; bit < 32; bit++)
        assert_in_range(ones[bit], FRAMES / 2 - 2500, FRAMES / 2 + 2500); /* five sigma */
    qsort(keys, FRAMES, sizeof *keys, compare_keys);
    for (unsigned i = 1; i < FRAMES; i++)
        alike += keys[i] == keys[i - 1];
    assert_in_range(alike, 116 - 40, 116 + 40);
    free(keys);
    ws_bench_fini(&b);
}

static void a_server_asks_for_no_key(void **state)
{
    (void)state;
    ws_bench b;
    ws_bench_init(&b, LN_WS_SERVER);
    b.config.mask_key = NULL;
    ws_bench_open(&b, NULL);
    assert_int_equal(ln_ws_send(&b.ws, LN_TEXT, hello), 0);
    WS_BENCH_ASSERT_OUTPUT(&b, "\x81\x05Hello");
    ws_bench_fini(&b);
}

/* ---- what stays valid ---- */

/* What a handler may do while it holds an event. */
typedef enum deed { DO_SEND, DO_PIECE, DO_PING, DO_CLOSE, DO_FAIL, DO_ABORT, DO_SENT, DEEDS } deed;

static void do_deed(ln_ws *m, deed what)
{
    switch (what) {
    case DO_SEND:
        (void)ln_ws_send(m, LN_BINARY, LN_SPAN("an answer of some length"));
        break;
    case DO_PIECE:
        (void)ln_ws_send_piece(m, LN_BINARY, LN_SPAN("a piece of an answer"), false);
        break;
    case DO_PING:
        (void)ln_ws_send_ping(m, LN_SPAN("a ping of some length"));
        break;
    case DO_CLOSE:
        (void)ln_ws_send_close(m, 1000, LN_SPAN("a reason of some length"), 0);
        break;
    case DO_FAIL:
        ln_ws_fail(m, 1008, "another reason of some length");
        break;
    case DO_ABORT:
        ln_ws_abort(m);
        break;
    case DO_SENT:
        ln_ws_sent(m, ln_ws_queued(m));
        break;
    case DEEDS:
        break;
    }
}

/* Where an event's bytes may lie, and the bytes that make it. */
typedef struct source {
    const char *name;
    bool is_streaming, has_deflate, is_fed_byte_by_byte;
    const char *input;
    size_t size;
    const char *data; /* of the first event with any */
} source;

#define SOURCE(name, streaming, deflate, bytewise, input, data)                                    \
    {                                                                                              \
        name, streaming, deflate, bytewise, input, sizeof(input) - 1, data                         \
    }

static const source sources[] = {
    SOURCE("a message where it lies", false, false, false, "\x81\x05Hello", "Hello"),
    SOURCE("a message gathered from fragments", false, false, false, "\x01\x02He\x80\x03llo",
           "Hello"),
    SOURCE("a message gathered byte by byte", false, false, true, "\x81\x05Hello", "Hello"),
    SOURCE("an inflated message", false, true, false, "\xc1\x07\xf2\x48\xcd\xc9\xc9\x07\x00",
           "Hello"),
    SOURCE("a last piece", true, false, false, "\x81\x05Hello", "Hello"),
    SOURCE("a first piece", true, false, false, "\x01\x02He", "He"),
    SOURCE("an inflated last piece", true, true, false, "\xc1\x07\xf2\x48\xcd\xc9\xc9\x07\x00",
           "Hello"),
    SOURCE("an inflated first piece", true, true, false, "\x41\x08\xf2\x48\x05\x00\x00\x00\xff\xff",
           "He"),
    SOURCE("a ping where it lies", false, false, false, "\x89\x05Hello", "Hello"),
    SOURCE("a ping gathered byte by byte", false, false, true, "\x89\x05Hello", "Hello"),
    SOURCE("a reason", false, false, false, "\x88\x07\x03\xe8Hello", "Hello"),
};

/* Feeds until the event is there. The fed bytes stay. */
static bool feed_for_event(ws_bench *b, const source *from, uint8_t *bytes, ln_ws_event *e)
{
    for (size_t at = 0; at < from->size;) {
        const size_t n = from->is_fed_byte_by_byte ? 1 : from->size - at;
        at += ln_ws_feed(&b->ws, bytes + at, n, 0);
        while (ln_ws_next(&b->ws, e))
            if (e->data.size > 0)
                return true;
    }
    return false;
}

static void an_events_bytes_stay_while_the_handler_acts(void **state)
{
    (void)state;
    for (size_t i = 0; i < LN_ARRAY_SIZE(sources); i++) {
        for (int pair = 0; pair < DEEDS * DEEDS; pair++) {
            const source *const from = &sources[i];
            ws_bench b;
            ln_ws_event e;
            uint8_t bytes[64];
            memcpy(bytes, from->input, from->size);
            ws_bench_init(&b, LN_WS_CLIENT);
            b.config.is_streaming = from->is_streaming;
            ws_bench_open(&b, from->has_deflate ? &takeover : NULL);
            if (!feed_for_event(&b, from, bytes, &e))
                fail_msg("%s: no event", from->name);
            do_deed(&b.ws, (deed)(pair / DEEDS));
            do_deed(&b.ws, (deed)(pair % DEEDS));
            if (e.data.size != strlen(from->data) ||
                memcmp(e.data.data, from->data, e.data.size) != 0)
                fail_msg("%s: changed by deeds %d and %d", from->name, pair / DEEDS, pair % DEEDS);
            while (ln_ws_next(&b.ws, &e))
                assert_int_equal(e.type, LN_WS_CLOSED);
            ws_bench_fini(&b);
        }
    }
}

/* A send may be under way in the system when the connection ends: chain.h and sock.h. */
static void pulled_output_stays_until_it_is_reported_sent(void **state)
{
    (void)state;
    for (int way = 0; way < 4; way++) {
        ws_bench b;
        ln_span span;
        ws_bench_init(&b, LN_WS_SERVER);
        ws_bench_open(&b, NULL);
        ln_block *const block = make_block(&b, "shared");
        assert_int_equal(ln_ws_send(&b.ws, LN_TEXT, hello), 0);
        assert_int_equal(ln_ws_send_piece(&b.ws, LN_TEXT, hello, false), 0);
        assert_int_equal(ln_ws_send_block(&b.ws, block), 0);
        assert_int_equal(ln_ws_pull(&b.ws, &span, 1), 1);
        const size_t n = span.size;
        if (way % 2 == 0)
            ln_ws_eof(&b.ws);
        else
            ln_ws_abort(&b.ws);
        assert_int_equal(ws_bench_take(&b), 1);
        ws_bench_assert_closed(&b, 1006, false);
        assert_int_equal(ln_ws_queued(&b.ws), 0);
        assert_int_equal(ln_ws_pull(&b.ws, (ln_span[1]){{0}}, 1), 0);
        assert_true(ln_ws_is_over(&b.ws));
        assert_memory_equal(span.data, "\x81\x05Hello\x01\x05Hello", n);
        if (way < 2) {
            ln_ws_sent(&b.ws, 3);
            assert_memory_equal((const char *)span.data + 3, "ello\x01\x05Hello", n - 3);
            ln_ws_sent(&b.ws, n - 3);
        }
        assert_int_equal(ln_ws_queued(&b.ws), 0);
        assert_int_equal(block->refs, 1);
        ln_block_unref(block);
        ws_bench_fini(&b);
    }
}

static void without_memory_to_put_it_aside_output_leaves_after_all(void **state)
{
    (void)state;
    ws_bench b;
    ws_bench_init(&b, LN_WS_SERVER);
    ws_bench_open(&b, NULL);
    assert_int_equal(ln_ws_send(&b.ws, LN_TEXT, hello), 0);
    failing_alloc_refuse(&b.memory);
    ln_ws_abort(&b.ws);
    assert_int_equal(ws_bench_take(&b), 1);
    assert_false(ln_ws_is_over(&b.ws));
    WS_BENCH_ASSERT_OUTPUT(&b, "\x81\x05Hello");
    assert_true(ln_ws_is_over(&b.ws));
    ws_bench_fini(&b);
}

/* ---- endings ---- */

static void every_end_has_its_code_its_error_and_one_closed(void **state)
{
    (void)state;
    static const struct {
        const char *input;
        size_t size;
        uint16_t code;
        int error;
    } ends[] = {
        {"\x83\x00", 2, 1002, LN_ERR_PROTOCOL},
        {"\x81\x01\xff", 3, 1007, LN_ERR_ENCODING},
        {"\x82\x0b", 2, 1009, LN_ERR_TOO_BIG},
        {"\x02\0\0\0\0\0", 6, 1008, LN_ERR_POLICY},
        {"\x8a\0\x8a\0\x8a\0", 6, 1008, LN_ERR_POLICY},
        {"\x88\x02\x03\xe8", 4, 1000, 0},
        {"", 0, 1006, LN_ERR_RESET},
    };
    for (size_t i = 0; i < LN_ARRAY_SIZE(ends); i++) {
        ws_bench b;
        ws_bench_init(&b, LN_WS_CLIENT);
        b.config.message_max_bytes = 10;
        b.config.fragments_max = 2;
        b.config.control_rate = (ln_bucket_rate){1, 2};
        ws_bench_open(&b, NULL);
        ws_bench_feed(&b, ends[i].input, ends[i].size);
        if (ends[i].size == 0) {
            ln_ws_eof(&b.ws);
            ws_bench_take(&b);
        }
        ws_bench_assert_closed(&b, ends[i].code, ends[i].code == 1000);
        assert_int_equal(ln_ws_error(&b.ws), ends[i].error);
        assert_int_equal(ln_ws_fault(&b.ws, NULL), ends[i].error == 0 ? 0 : ends[i].code);
        assert_true(ln_ws_deadline(&b.ws) == UINT64_MAX);

        /* Whatever happens after it: no second one. */
        assert_int_equal(ws_bench_frame(&b, 0x81, "x", 1) + ws_bench_frame(&b, 0x88, NULL, 0), 0);
        ln_ws_tick(&b.ws, UINT64_MAX - 1);
        ln_ws_touch(&b.ws, 0);
        ln_ws_fail(&b.ws, 1011, "again");
        ln_ws_eof(&b.ws);
        ln_ws_abort(&b.ws);
        assert_int_equal(ws_bench_take(&b), 0);
        assert_int_equal(ln_ws_error(&b.ws), ends[i].error);
        assert_true(ln_ws_is_over(&b.ws));
        ws_bench_fini(&b);
    }
}

static void failing_sends_the_reason_and_tells_it(void **state)
{
    (void)state;
    ws_bench b;
    ws_bench_init(&b, LN_WS_SERVER);
    ws_bench_open(&b, NULL);
    ws_bench_frame(&b, 0x01, "half", 4);
    ln_ws_fail(&b.ws, 1008, "too slow");
    assert_false(ln_ws_is_over(&b.ws));
    assert_int_equal(ws_bench_take(&b), 1);
    ws_bench_assert_closed(&b, 1008, false);
    ws_bench_assert_event(&b, LN_WS_CLOSED, "too slow");
    assert_int_equal(b.last.by, LN_WS_BY_US);
    assert_int_equal(ln_ws_error(&b.ws), 0);
    assert_false(ln_ws_is_over(&b.ws));
    WS_BENCH_ASSERT_OUTPUT(&b, "\x88\x0a\x03\xf0too slow");
    assert_true(ln_ws_is_over(&b.ws));
    ws_bench_fini(&b);
}

static void failing_while_closing_sends_no_second_close_frame(void **state)
{
    (void)state;
    ws_bench b;
    ws_bench_init(&b, LN_WS_SERVER);
    ws_bench_open(&b, NULL);
    assert_int_equal(ln_ws_send_close(&b.ws, 1000, LN_SPAN(""), 0), 0);
    assert_false(ln_ws_is_open(&b.ws));
    ln_ws_fail(&b.ws, 1008, "too slow");
    WS_BENCH_ASSERT_OUTPUT(&b, "\x88\x02\x03\xe8");
    assert_int_equal(ws_bench_take(&b), 1);
    ws_bench_assert_closed(&b, 1008, false);
    ws_bench_fini(&b);
}

static void aborting_sends_nothing_more(void **state)
{
    (void)state;
    ws_bench b;
    ws_bench_init(&b, LN_WS_SERVER);
    ws_bench_open(&b, NULL);
    assert_int_equal(ln_ws_send(&b.ws, LN_TEXT, hello), 0);
    ln_ws_abort(&b.ws);
    assert_int_equal(ws_bench_take(&b), 1);
    ws_bench_assert_closed(&b, 1006, false);
    assert_int_equal(b.last.by, LN_WS_BY_US);
    assert_int_equal(ln_ws_error(&b.ws), 0);
    WS_BENCH_ASSERT_OUTPUT(&b, "");
    assert_true(ln_ws_is_over(&b.ws));
    ws_bench_fini(&b);
}

static void a_reason_that_finds_no_place_is_left_out(void **state)
{
    (void)state;
    ws_bench b;
    ws_bench_init(&b, LN_WS_SERVER);
    ws_bench_open(&b, NULL);
    failing_alloc_refuse(&b.memory);
    assert_int_equal(ws_bench_frame(&b, 0x88, "\x03\xe8 bye", 6), 1);
    ws_bench_assert_closed(&b, 1000, true);
    ws_bench_assert_event(&b, LN_WS_CLOSED, "");
    ws_bench_fini(&b);
}

static void receiving_is_known_from_the_first_byte_to_the_last(void **state)
{
    (void)state;
    static const char input[] = "\x01\x01"
                                "a\x89\x01p\x80\x02"
                                "bc";
    ws_bench b;
    ws_bench_init(&b, LN_WS_CLIENT);
    ws_bench_open(&b, NULL);
    assert_false(ln_ws_is_receiving(&b.ws));
    for (size_t i = 0; i + 1 < sizeof input - 1; i++) {
        ws_bench_feed(&b, input + i, 1);
        assert_true(ln_ws_is_receiving(&b.ws));
    }
    assert_int_equal(ws_bench_feed(&b, "c", 1), 1);
    assert_false(ln_ws_is_receiving(&b.ws));
    ws_bench_fini(&b);
}

/* ---- memory ---- */

/* Brings a machine somewhere. */
typedef void stage(ws_bench *b);

static void at_begin(ws_bench *b)
{
    (void)b;
}

static void in_header(ws_bench *b)
{
    ws_bench_feed(b, "\x82\x7e\x01", 3);
}

static void in_payload(ws_bench *b)
{
    ws_bench_feed(b, "\x82\x7e\x01\x00 half of it", 15);
}

static void in_message(ws_bench *b)
{
    ws_bench_frame(b, 0x01, "some text", 9);
}

static void in_compressed_message(ws_bench *b)
{
    ws_bench_frame(b, 0x41, "\xf2\x48\x05\x00\x00\x00\xff\xff", 8);
}

static void in_ping(ws_bench *b)
{
    ws_bench_feed(b, "\x89\x05Hel", 5);
}

static void with_event_waiting(ws_bench *b)
{
    uint8_t bytes[] = {0x01, 0x02, 'a', 'b', 0x80, 0x01, 'c'};
    assert_true(ln_ws_feed(&b->ws, bytes, sizeof bytes, 0) > 0);
}

static void with_event_given(ws_bench *b)
{
    ln_ws_event e;
    with_event_waiting(b);
    assert_true(ln_ws_next(&b->ws, &e));
}

static void with_output(ws_bench *b)
{
    assert_int_equal(ln_ws_send(&b->ws, LN_TEXT, hello), 0);
    assert_int_equal(ln_ws_send_piece(&b->ws, LN_TEXT, hello, false), 0);
}

static void with_pong_waiting(ws_bench *b)
{
    fill_output(b);
    ws_bench_frame(b, 0x89, "p", 1);
}

static void closing(ws_bench *b)
{
    assert_int_equal(ln_ws_send_close(&b->ws, 1000, LN_SPAN("bye"), 0), 0);
}

static void closing_in_message(ws_bench *b)
{
    in_message(b);
    closing(b);
}

static void failed(ws_bench *b)
{
    uint8_t bytes[] = {0x83, 0x00};
    in_message(b);
    ln_ws_feed(&b->ws, bytes, sizeof bytes, 0);
}

static void closed(ws_bench *b)
{
    ws_bench_frame(b, 0x88, "\x03\xe8 bye", 6);
}

static void aborted_with_output(ws_bench *b)
{
    with_output(b);
    ln_ws_abort(&b->ws);
}

static void ended(ws_bench *b)
{
    ln_ws_eof(&b->ws);
}

static void failed_by_us(ws_bench *b)
{
    ln_ws_fail(&b->ws, 1008, "no");
}

static void ending_gives_all_memory_back_in_every_state(void **state)
{
    (void)state;
    static stage *const stages[] = {
        at_begin,
        in_header,
        in_payload,
        in_message,
        in_compressed_message,
        in_ping,
        with_event_waiting,
        with_event_given,
        with_output,
        closing,
        closing_in_message,
        failed,
        closed,
        with_pong_waiting,
        aborted_with_output,
        ended,
        failed_by_us,
    };
    for (size_t i = 0; i < LN_ARRAY_SIZE(stages); i++) {
        for (int is_streaming = 0; is_streaming < 2; is_streaming++) {
            ws_bench b;
            ws_bench_init(&b, LN_WS_CLIENT);
            b.config.is_streaming = is_streaming;
            ws_bench_open(&b, &takeover);
            stages[i](&b);
            ln_ws_fini(&b.ws);
            ln_ws_fini(&b.ws); /* once more does no harm */
            ws_bench_fini(&b);
        }
    }
}

/* A closing connection may linger: what it was receiving is not kept for that. */
static void a_message_that_will_not_be_whole_is_given_back_with_the_end(void **state)
{
    (void)state;
    static uint8_t large[100000];
    static stage *const ends[] = {closed, failed_by_us, ended, aborted_with_output};
    for (size_t i = 0; i < LN_ARRAY_SIZE(ends); i++) {
        ws_bench b;
        ws_bench_init(&b, LN_WS_CLIENT);
        ws_bench_open(&b, NULL);
        assert_int_equal(ws_bench_frame(&b, 0x02, large, sizeof large), 0);
        assert_true(ws_bench_memory(&b) > sizeof large);
        ends[i](&b);
        ws_bench_take(&b);
        ws_bench_assert_closed(&b, b.last.code, i == 0);
        assert_true(ws_bench_memory(&b) < 8192); /* output, the reason */
        ws_bench_fini(&b);
    }
}

static void ending_a_machine_that_never_began_does_nothing(void **state)
{
    (void)state;
    ln_ws m = {0};
    ln_ws_fini(&m);
}

/* A whole message of each make comes and goes. */
static void exchange_messages(ws_bench *b)
{
    static const char parts[] = "\x01\x02He\x89\x01p\x00\x00\x80\x03llo\x82\x00";

    ws_bench_frame(b, 0x81, "Hello", 5);
    ws_bench_feed(b, parts, sizeof parts - 1);
    for (size_t i = 0; i < sizeof parts - 1; i++)
        ws_bench_feed(b, parts + i, 1);
    ws_bench_frame(b, 0xc1, "\xf2\x48\xcd\xc9\xc9\x07\x00", 7);
    assert_int_equal(ln_ws_send(&b->ws, LN_TEXT, hello), 0);
    assert_int_equal(ln_ws_send_piece(&b->ws, LN_TEXT, hello, false), 0);
    assert_int_equal(ln_ws_send_piece(&b->ws, LN_TEXT, hello, true), 0);
    assert_int_equal(ln_ws_send_ping(&b->ws, hello), 0);
    fill_output(b);
    ws_bench_frame(b, 0x89, "slot", 4);
    while (ln_ws_queued(&b->ws) > 0)
        ln_ws_sent(&b->ws, ln_ws_queued(&b->ws));
}

static void an_idle_machine_holds_no_memory(void **state)
{
    (void)state;
    const ln_pmd_params apart = {true, true, 15, 15};
    for (int is_streaming = 0; is_streaming < 2; is_streaming++) {
        ws_bench b;
        ws_bench_init(&b, LN_WS_CLIENT);
        b.config.is_streaming = is_streaming;
        ws_bench_open(&b, &apart);
        const size_t fresh = ws_bench_memory(&b);
        exchange_messages(&b);
        assert_true(ln_ws_is_open(&b.ws) && !ln_ws_is_receiving(&b.ws));
        assert_int_equal(ws_bench_memory(&b), fresh);
        ws_bench_fini(&b);
    }
}

static void whole_small_messages_need_no_memory_at_all(void **state)
{
    (void)state;
    ws_bench b;
    ws_bench_init(&b, LN_WS_SERVER);
    ws_bench_open(&b, NULL);
    failing_alloc_refuse(&b.memory);
    for (int i = 0; i < 100; i++) {
        assert_int_equal(ws_bench_frame(&b, 0x81, "Hello", 5), 1);
        ws_bench_assert_event(&b, LN_WS_MESSAGE, "Hello");
        assert_int_equal(ws_bench_frame(&b, 0x8a, "p", 1), 1);
    }
    assert_int_equal(b.memory.failures, 0);
    ws_bench_fini(&b);
}

/* One message as two pieces. A piece that was refused is tried again: memory is short once only. */
static int send_in_pieces(ws_bench *b, ln_span text)
{
    const ln_span half = {text.data, text.size / 2};
    const ln_span rest = {(const char *)text.data + half.size, text.size - half.size};

    if (ln_ws_send_piece(&b->ws, LN_TEXT, half, false) < 0)
        assert_int_equal(ln_ws_send_piece(&b->ws, LN_TEXT, half, false), 0);
    if (ln_ws_send_piece(&b->ws, LN_TEXT, rest, true) < 0)
        assert_int_equal(ln_ws_send_piece(&b->ws, LN_TEXT, rest, true), 0);
    return 0;
}

/* Sends a dozen compressed messages while allocation number `fail_at` fails. False if there was
 * none. */
static bool send_starved(const ln_pmd_params *params, size_t fail_at)
{
    static const char *const texts[] = {"the first text", "the first text again",
                                        "the first text, and again", "the first"};
    ws_bench from, to;
    ln_buf wire;

    ws_bench_init(&from, LN_WS_CLIENT);
    ws_bench_init(&to, LN_WS_SERVER);
    ws_bench_open(&from, params);
    ws_bench_open(&to, params);
    ln_buf_init(&wire, NULL);
    from.memory.fail_at = from.memory.calls + fail_at;
    for (size_t i = 0; i < 12; i++) {
        const ln_span text = {texts[i % 4], strlen(texts[i % 4])};
        const int rc =
            i % 3 == 2 ? send_in_pieces(&from, text) : ln_ws_send(&from.ws, LN_TEXT, text);
        assert_true(rc == 0 || rc == LN_ERR_NOMEM);
        wire.size = 0;
        ws_bench_drain(&from, &wire);
        ln_pool_trim(&from.pool); /* the next frame needs memory again */
        assert_int_equal(ws_bench_feed(&to, wire.data, wire.size), rc == 0);
        if (rc == 0)
            ws_bench_assert_event(&to, LN_WS_MESSAGE, texts[i % 4]);
    }
    const bool was_short = from.memory.failures > 0;
    ln_buf_fini(&wire);
    ws_bench_fini(&from);
    ws_bench_fini(&to);
    return was_short;
}

/*
 * What a sender said it queued arrives, what it refused does not, and nothing after it is garbled:
 * no later message refers to one that was not sent.
 */
static void a_compressed_message_that_found_no_memory_garbles_no_later_one(void **state)
{
    (void)state;
    static const ln_pmd_params both[] = {{false, false, 15, 15}, {true, true, 15, 15}};
    for (int i = 0; i < 2; i++) {
        size_t n = 0;
        while (send_starved(&both[i], n))
            n++;
        assert_true(n > 12);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_silent_peer_is_pinged_at_the_interval),
        cmocka_unit_test(the_spread_brings_the_ping_forward_by_up_to_an_eighth),
        cmocka_unit_test(without_intervals_nothing_is_ever_due),
        cmocka_unit_test(without_a_pong_wait_an_unanswered_ping_is_forgiven),
        cmocka_unit_test(a_reader_that_takes_output_is_not_held_to_the_pong),
        cmocka_unit_test(once_all_output_has_left_the_pong_is_due),
        cmocka_unit_test(a_ping_that_finds_no_memory_is_tried_again),
        cmocka_unit_test(touching_gives_the_peer_all_its_time_again),
        cmocka_unit_test(touching_takes_an_unanswered_ping_back),
        cmocka_unit_test(touching_does_not_prolong_the_closing),
        cmocka_unit_test(the_deadline_is_the_first_moment_at_which_a_tick_acts),
        cmocka_unit_test(a_silent_peers_contexts_are_given_back_and_nothing_is_lost),
        cmocka_unit_test(behind_a_backlog_only_the_latest_ping_is_answered),
        cmocka_unit_test(an_empty_ping_behind_a_backlog_is_answered_empty),
        cmocka_unit_test(a_pong_that_found_no_memory_does_not_follow_a_later_one),
        cmocka_unit_test(a_ping_that_cannot_be_remembered_ends_it),
        cmocka_unit_test(a_waiting_pong_leaves_behind_our_close_but_not_after_the_peers),
        cmocka_unit_test(output_is_the_same_however_it_is_taken),
        cmocka_unit_test(pulling_changes_nothing),
        cmocka_unit_test(shared_frames_wait_for_the_end_of_a_fragmented_send_and_keep_their_order),
        cmocka_unit_test(every_way_to_end_gives_waiting_frames_back),
        cmocka_unit_test(a_large_shared_frame_is_sent_from_where_it_lies),
        cmocka_unit_test(a_shared_frame_is_refused_without_memory_and_after_the_end),
        cmocka_unit_test(an_encoded_frame_is_the_frame_that_would_be_sent),
        cmocka_unit_test(what_cannot_be_sent_is_refused_and_changes_nothing),
        cmocka_unit_test(trusted_text_is_sent_as_it_is),
        cmocka_unit_test(a_million_client_frames_have_a_million_keys),
        cmocka_unit_test(a_server_asks_for_no_key),
        cmocka_unit_test(an_events_bytes_stay_while_the_handler_acts),
        cmocka_unit_test(pulled_output_stays_until_it_is_reported_sent),
        cmocka_unit_test(without_memory_to_put_it_aside_output_leaves_after_all),
        cmocka_unit_test(every_end_has_its_code_its_error_and_one_closed),
        cmocka_unit_test(failing_sends_the_reason_and_tells_it),
        cmocka_unit_test(failing_while_closing_sends_no_second_close_frame),
        cmocka_unit_test(aborting_sends_nothing_more),
        cmocka_unit_test(a_reason_that_finds_no_place_is_left_out),
        cmocka_unit_test(receiving_is_known_from_the_first_byte_to_the_last),
        cmocka_unit_test(ending_gives_all_memory_back_in_every_state),
        cmocka_unit_test(a_message_that_will_not_be_whole_is_given_back_with_the_end),
        cmocka_unit_test(ending_a_machine_that_never_began_does_nothing),
        cmocka_unit_test(an_idle_machine_holds_no_memory),
        cmocka_unit_test(whole_small_messages_need_no_memory_at_all),
        cmocka_unit_test(a_compressed_message_that_found_no_memory_garbles_no_later_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
