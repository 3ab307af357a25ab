/* SPDX-License-Identifier: MIT */
/*
 * ws_large_test - the ways by which large messages avoid being copied: receiving into the memory of
 * the message, spare buffers, writing without queueing; and that an echo is not checked twice.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "ws_bench.h"

enum { LARGE = 1 << 20, FIRST = 65536, HEAD = 14 };

/* What a client sends: a frame of LARGE bytes, masked with a key that shows. */
static uint8_t *make_frame(uint8_t first)
{
    static const uint8_t key[4] = {1, 2, 4, 8};
    uint8_t *const frame = malloc(HEAD + LARGE);

    assert_non_null(frame);
    frame[0] = first;
    frame[1] = 0x80 | 127;
    for (unsigned i = 0; i < 8; i++)
        frame[2 + i] = (uint8_t)((uint64_t)LARGE >> (56 - 8 * i));
    memcpy(frame + 10, key, 4);
    for (unsigned i = 0; i < LARGE; i++)
        frame[HEAD + i] = (uint8_t)(('a' + i % 26) ^ key[i % 4]);
    return frame;
}

static void assert_is_the_message(const ln_ws_event *e)
{
    const uint8_t *const bytes = e->data.data;

    assert_int_equal(e->type, LN_WS_MESSAGE);
    assert_int_equal(e->data.size, LARGE);
    for (unsigned i = 0; i < LARGE; i++)
        assert_int_equal(bytes[i], 'a' + i % 26);
}

static void feed_copy(ln_ws *m, const uint8_t *bytes, size_t n)
{
    uint8_t *const copy = malloc(n);
    assert_non_null(copy);
    memcpy(copy, bytes, n);
    assert_int_equal(ln_ws_feed(m, copy, n, 0), n);
    free(copy);
}

/* Receives the rest of the frame as a transport would; how many bytes came by lent memory. */
static size_t receive_rest(ln_ws *m, const uint8_t *frame, size_t at)
{
    size_t lent = 0, room = 0;

    while (at < HEAD + LARGE) {
        size_t n = ln_min_size(30000, HEAD + LARGE - at);
        uint8_t *const memory = ln_ws_lend(m, &room);
        if (memory == NULL) {
            feed_copy(m, frame + at, n);
        } else {
            n = ln_min_size(n, room);
            memcpy(memory, frame + at, n);
            assert_int_equal(ln_ws_feed(m, memory, n, 0), n);
            lent += n;
        }
        at += n;
    }
    return lent;
}

static void a_large_message_is_received_where_it_stays(void **state)
{
    (void)state;
    for (uint8_t first = 0x81; first <= 0x82; first++) {
        ws_bench b;
        ln_ws_event e;
        size_t n;
        uint8_t *const frame = make_frame(first);

        ws_bench_init(&b, LN_WS_SERVER);
        ws_bench_open(&b, NULL);
        assert_null(ln_ws_lend(&b.ws, &n));
        feed_copy(&b.ws, frame, HEAD + FIRST);
        assert_true(receive_rest(&b.ws, frame, HEAD + FIRST) > LARGE / 2);
        assert_null(ln_ws_lend(&b.ws, &n));
        assert_true(ln_ws_next(&b.ws, &e));
        assert_is_the_message(&e);
        assert_false(ln_ws_next(&b.ws, &e));
        ws_bench_fini(&b);
        free(frame);
    }
}

/* What is lent is no more than has come already: a length that is only announced costs nothing. */
static void no_more_is_lent_than_has_come(void **state)
{
    (void)state;
    ws_bench b;
    size_t n = 0;
    uint8_t *const frame = make_frame(0x82);

    ws_bench_init(&b, LN_WS_SERVER);
    ws_bench_open(&b, NULL);
    feed_copy(&b.ws, frame, HEAD + FIRST);
    assert_non_null(ln_ws_lend(&b.ws, &n));
    assert_in_range(n, 1, FIRST);
    assert_in_range(ws_bench_memory(&b), FIRST, 2 * FIRST + 1024);
    ws_bench_fini(&b);
    free(frame);
}

/* The system may still write into it: the machine's end does not free it, fini does. */
static void lent_memory_stays_until_fini(void **state)
{
    (void)state;
    ws_bench b;
    ln_ws_event e;
    size_t n;
    uint8_t *const frame = make_frame(0x82);

    ws_bench_init(&b, LN_WS_SERVER);
    ws_bench_open(&b, NULL);
    feed_copy(&b.ws, frame, HEAD + FIRST);
    uint8_t *const memory = ln_ws_lend(&b.ws, &n);
    assert_non_null(memory);
    ln_ws_abort(&b.ws);
    while (ln_ws_next(&b.ws, &e))
        assert_int_equal(e.type, LN_WS_CLOSED);
    memset(memory, 0xff, n);
    ws_bench_fini(&b); /* and it is not lost */
    free(frame);
}

/* Bytes that were on their way before come elsewhere, and are put where they belong. */
static void bytes_may_come_elsewhere_after_all(void **state)
{
    (void)state;
    ws_bench b;
    ln_ws_event e;
    size_t n;
    uint8_t *const frame = make_frame(0x81);

    ws_bench_init(&b, LN_WS_SERVER);
    ws_bench_open(&b, NULL);
    feed_copy(&b.ws, frame, HEAD + FIRST);
    assert_non_null(ln_ws_lend(&b.ws, &n));
    feed_copy(&b.ws, frame + HEAD + FIRST, LARGE - FIRST);
    assert_true(ln_ws_next(&b.ws, &e));
    assert_is_the_message(&e);
    ws_bench_fini(&b);
    free(frame);
}

static void a_used_buffer_serves_the_next_message(void **state)
{
    (void)state;
    ws_bench b;
    ln_ws_event e;
    ln_spare spare = {.count = 0};
    uint8_t *const frame = make_frame(0x82);
    const void *first = NULL;

    ws_bench_init(&b, LN_WS_SERVER);
    b.config.spare = &spare;
    ws_bench_open(&b, NULL);
    for (int i = 0; i < 2; i++) {
        feed_copy(&b.ws, frame, HEAD + FIRST);
        receive_rest(&b.ws, frame, HEAD + FIRST);
        assert_true(ln_ws_next(&b.ws, &e));
        assert_is_the_message(&e);
        if (!LN_SANITIZED && i == 1)
            assert_ptr_equal(e.data.data, first);
        first = e.data.data;
        assert_false(ln_ws_next(&b.ws, &e));
    }
    ln_spare_fini(&spare);
    ws_bench_fini(&b);
    free(frame);
}

/* ---- writing ---- */

static void assert_written(ws_bench *b, ln_span data, size_t n)
{
    static uint8_t wanted[16 + LARGE];
    uint8_t head[LN_FRAME_HEAD_MAX];

    const int size = ln_ws_send_begin(&b->ws, LN_BINARY, data, head);
    assert_true(size > 0);
    memcpy(wanted, head, (size_t)size);
    memcpy(wanted + size, data.data, data.size);
    assert_int_equal(ln_ws_send_end(&b->ws, (ln_span){head, (size_t)size}, data, n), 0);
    assert_int_equal(ln_ws_queued(&b->ws), (size_t)size + data.size - n);
    ws_bench_assert_output(b, wanted + n, (size_t)size + data.size - n);
}

static void what_was_not_written_is_queued(void **state)
{
    (void)state;
    static uint8_t payload[100000];
    const size_t cuts[] = {0, 1, 9, 10, 11, 50000, sizeof payload + 9, sizeof payload + 10};
    ws_bench b;

    for (size_t i = 0; i < sizeof payload; i++)
        payload[i] = (uint8_t)(i * 31);
    ws_bench_init(&b, LN_WS_SERVER);
    ws_bench_open(&b, NULL);
    for (size_t i = 0; i < LN_ARRAY_SIZE(cuts); i++)
        assert_written(&b, (ln_span){payload, sizeof payload}, cuts[i]);
    ws_bench_fini(&b);
}

static void writing_is_refused_as_sending_is(void **state)
{
    (void)state;
    static const ln_pmd_params params = {false, false, 15, 15};
    const ln_span text = LN_SPAN("some text"), bad = LN_SPAN("\xff");
    uint8_t head[LN_FRAME_HEAD_MAX];

    for (int way = 0; way < 3; way++) {
        ws_bench b;
        ws_bench_init(&b, way == 1 ? LN_WS_CLIENT : LN_WS_SERVER);
        ws_bench_open(&b, way == 2 ? &params : NULL);
        assert_int_equal(ln_ws_send_begin(&b.ws, LN_TEXT, bad, head), LN_ERR_INVALID);
        assert_int_equal(ln_ws_send_begin(&b.ws, LN_TEXT, text, head),
                         way == 0 ? 2 : LN_ERR_UNSUPPORTED);
        assert_int_equal(ln_ws_send_piece(&b.ws, LN_TEXT, text, false), 0);
        assert_int_equal(ln_ws_send_begin(&b.ws, LN_TEXT, text, head), LN_ERR_BUSY);
        ln_ws_abort(&b.ws);
        assert_int_equal(ln_ws_send_begin(&b.ws, LN_TEXT, text, head), LN_ERR_CLOSED);
        ws_bench_fini(&b);
    }
}

/* Half a frame has left and the rest finds no memory: nothing sensible can follow. */
static void without_memory_for_the_rest_it_is_over(void **state)
{
    (void)state;
    static uint8_t payload[5000];
    const ln_span data = {payload, sizeof payload};
    uint8_t head[LN_FRAME_HEAD_MAX];

    for (size_t n = 0; n < 2; n++) {
        ws_bench b;
        ws_bench_init(&b, LN_WS_SERVER);
        ws_bench_open(&b, NULL);
        const int size = ln_ws_send_begin(&b.ws, LN_BINARY, data, head);
        failing_alloc_refuse(&b.memory);
        assert_int_equal(ln_ws_send_end(&b.ws, (ln_span){head, (size_t)size}, data, n),
                         LN_ERR_NOMEM);
        failing_alloc_allow(&b.memory);
        assert_int_equal(ln_ws_is_open(&b.ws), n == 0);
        assert_int_equal(ws_bench_take(&b), n);
        if (n > 0)
            ws_bench_assert_closed(&b, 1011, false);
        ws_bench_fini(&b);
    }
}

/* ---- echoes ---- */

/*
 * Text that was just received may be sent without being checked again, but only that: here its
 * memory is spoilt behind the machine's back to see whether it looks.
 */
static void only_the_text_just_received_is_trusted(void **state)
{
    (void)state;
    for (int is_short = 0; is_short < 2; is_short++) {
        uint8_t frame[] = {0x81, 0x82, 0, 0, 0, 0, 'h', 'i'};
        const ln_span text = {frame + 6, 2};
        enum ln_kind kind = LN_TEXT;
        ln_span data;
        ln_ws_event e;
        ws_bench b;

        ws_bench_init(&b, LN_WS_SERVER);
        ws_bench_open(&b, NULL);
        if (is_short) {
            assert_int_equal(ln_ws_take_short(&b.ws, frame, sizeof frame, 0, &kind, &data),
                             sizeof frame);
        } else {
            assert_int_equal(ln_ws_feed(&b.ws, frame, sizeof frame, 0), sizeof frame);
            assert_true(ln_ws_next(&b.ws, &e));
        }
        frame[6] = 0xff;
        assert_int_equal(ln_ws_send(&b.ws, LN_TEXT, text), 0);
        assert_int_equal(ln_ws_send(&b.ws, LN_TEXT, (ln_span){frame + 6, 1}), LN_ERR_INVALID);
        if (is_short)
            assert_int_equal(ln_ws_take_short(&b.ws, frame, 0, 0, &kind, &data), 0);
        else
            assert_false(ln_ws_next(&b.ws, &e));
        assert_int_equal(ln_ws_send(&b.ws, LN_TEXT, text), LN_ERR_INVALID);
        ws_bench_fini(&b);
    }
}

static void bytes_just_received_are_no_text(void **state)
{
    (void)state;
    uint8_t frame[] = {0x82, 0x82, 0, 0, 0, 0, 0xff, 0xfe};
    ln_span data;
    enum ln_kind kind;
    ws_bench b;

    ws_bench_init(&b, LN_WS_SERVER);
    ws_bench_open(&b, NULL);
    assert_int_equal(ln_ws_take_short(&b.ws, frame, sizeof frame, 0, &kind, &data), sizeof frame);
    assert_int_equal(kind, LN_BINARY);
    assert_int_equal(ln_ws_send(&b.ws, LN_TEXT, data), LN_ERR_INVALID);
    assert_int_equal(ln_ws_send(&b.ws, LN_BINARY, data), 0);
    ws_bench_fini(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_large_message_is_received_where_it_stays),
        cmocka_unit_test(no_more_is_lent_than_has_come),
        cmocka_unit_test(lent_memory_stays_until_fini),
        cmocka_unit_test(bytes_may_come_elsewhere_after_all),
        cmocka_unit_test(a_used_buffer_serves_the_next_message),
        cmocka_unit_test(what_was_not_written_is_queued),
        cmocka_unit_test(writing_is_refused_as_sending_is),
        cmocka_unit_test(without_memory_for_the_rest_it_is_over),
        cmocka_unit_test(only_the_text_just_received_is_trusted),
        cmocka_unit_test(bytes_just_received_are_no_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
