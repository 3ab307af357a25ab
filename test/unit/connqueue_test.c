/* SPDX-License-Identifier: MIT */
/*
 * Send queues over real sockets whose peers do not read: what fits, what each policy does with what
 * does not, and what the figures say then.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <linnet/linnet.h>

#include "failing_alloc.h"
#include "queue_kit.h"
#include "raw_client.h"
#include "server_kit.h"

enum { MESSAGES = 5, KEYS = 10000 };

/* An endpoint whose queue holds MESSAGES, the one that stalls the peer included. */
static queue_place *begin(enum ln_overflow overflow)
{
    return queue_begin(NULL, &(ln_ws_options){.queue_max_bytes = QUEUE_PLENTY,
                                              .queue_max_messages = MESSAGES,
                                              .high_water_bytes = QUEUE_PLENTY,
                                              .low_water_bytes = 1000,
                                              .close_wait_ms = 1000,
                                              .overflow = overflow});
}

/* What a call on the loop is to send, and what came of it. */
typedef struct task {
    int from, to; /* numbers, as text */
    int keys;     /* of so many keys; 0 = without */
    bool is_published;
    int rc; /* of the last */
    ln_publish_result result;
    ln_queue_state before, after;
    ln_queue_options queue;
} task;

static void send_one(ln_conn *c, task *t, int number)
{
    char text[16], key[16];
    const int size = snprintf(text, sizeof text, "%d", number);
    const ln_span data = {text, (size_t)size};
    const int n = snprintf(key, sizeof key, "k%d", t->keys > 0 ? number % t->keys : 0);

    if (t->is_published) {
        t->rc = ln_conn_publish(c, (ln_span){key, (size_t)n}, LN_TEXT, data, &t->result);
    } else if (t->keys > 0) {
        t->rc = ln_conn_send_latest(c, (ln_span){key, (size_t)n}, LN_TEXT, data);
    } else {
        t->rc = ln_conn_send(c, LN_TEXT, data);
    }
}

static void send_all(ln_conn *c, void *arg)
{
    task *const t = arg;

    ln_conn_queue_get(c, &t->before);
    for (int i = t->from; i < t->to; i++)
        send_one(c, t, i);
    ln_conn_queue_get(c, &t->after);
}

/* On the loop: short and long publications beside a full queue, which then gets other bounds. */
static void publish_beside_a_full_queue(ln_conn *c, void *arg)
{
    static const char text[2000];
    const ln_span longer = {text, sizeof text}, shorter = {text, 1000};
    ln_publish_result r;
    const ln_queue_options *const policy = arg;
    ln_queue_options queue = *policy;

    queue.max_bytes = (uint32_t)ln_conn_queued_bytes(c) + 1500;
    queue.max_messages = LN_OFF;
    assert_int_equal(ln_conn_set_queue(c, &queue), 0);
    for (int i = 0; i < 3; i++) { /* the second and third are not even looked at */
        assert_int_equal(ln_conn_publish(c, LN_SPAN("t"), LN_BINARY, longer, &r), 0);
        assert_int_equal(r.dropped, 1);
    }
    assert_int_equal(ln_conn_publish(c, LN_SPAN("t"), LN_BINARY, shorter, &r), 0);
    assert_int_equal(r.dropped, 0); /* it fits */
    assert_int_equal(ln_conn_publish(c, LN_SPAN("t"), LN_BINARY, longer, &r), 0);
    assert_int_equal(r.dropped, 1);
    queue.max_bytes += 5000;
    assert_int_equal(ln_conn_set_queue(c, &queue), 0);
    assert_int_equal(ln_conn_publish(c, LN_SPAN("t"), LN_BINARY, longer, &r), 0);
    assert_int_equal(r.dropped, 0);
    queue.max_bytes -= 4000;
    assert_int_equal(ln_conn_set_queue(c, &queue), 0);
    assert_int_equal(ln_conn_publish(c, LN_SPAN("t"), LN_BINARY, longer, &r), 0);
    assert_int_equal(r.dropped, 1);
}

/* The numbers from..to-1; the result of the last. */
static task send_numbers(queue_peer *peer, int from, int to)
{
    task t = {.from = from, .to = to};
    queue_on_loop(peer, send_all, &t);
    return t;
}

static void expect_numbers(queue_peer *peer, int from, int to)
{
    char text[16];

    for (int i = from; i < to; i++) {
        snprintf(text, sizeof text, "%d", i);
        queue_expect(peer, text);
    }
}

static void subscribe(ln_conn *c, void *arg)
{
    assert_int_equal(ln_conn_subscribe(c, (ln_span){arg, strlen(arg)}), 0);
}

static void set_queue(ln_conn *c, void *arg)
{
    task *const t = arg;
    t->rc = ln_conn_set_queue(c, &t->queue);
}

/* ---- what fits ---- */

static void messages_are_bounded_exactly(void **state)
{
    (void)state;
    queue_place *const p = begin(LN_OVERFLOW_REFUSE);
    queue_peer *const peer = queue_enter(p);

    queue_stall(peer, QUEUE_FILLER);
    task t = send_numbers(peer, 1, 4);
    assert_int_equal(t.before.messages, 1);
    assert_int_equal(t.after.messages, 4);
    assert_int_equal(t.rc, 0);
    t = send_numbers(peer, 4, 5);
    assert_int_equal(t.after.messages, MESSAGES);
    assert_int_equal(t.rc, 1); /* the last that fits: better wait */
    t = send_numbers(peer, 5, 6);
    assert_int_equal(t.after.messages, MESSAGES);
    assert_int_equal(t.rc, LN_ERR_WOULD_EXCEED);
    assert_int_equal(queue_stats(p).queue_refused_total, 1);
    assert_int_equal(atomic_load(&peer->drains), 0);

    queue_read_filler(peer, QUEUE_FILLER);
    expect_numbers(peer, 1, 5);
    kit_wait_for(&peer->drains, 1);
    t = send_numbers(peer, 6, 7);
    assert_int_equal(t.rc, 0);
    assert_int_equal(t.before.messages, 0);
    expect_numbers(peer, 6, 7);
    assert_int_equal(atomic_load(&peer->drains), 1);
    queue_leave(peer);
    queue_end(p);
}

static void published_messages_count_like_own_ones(void **state)
{
    (void)state;
    queue_place *const p = begin(LN_OVERFLOW_REFUSE);
    queue_peer *const peer = queue_enter(p);
    task t = {.from = 1, .to = 5, .is_published = true};

    queue_on_loop(peer, subscribe, "k0");
    queue_stall(peer, QUEUE_FILLER);
    queue_on_loop(peer, send_all, &t);
    assert_int_equal(t.after.messages, MESSAGES);
    assert_int_equal(t.result.queued, 1);
    t.from = 5;
    t.to = 6;
    queue_on_loop(peer, send_all, &t);
    assert_int_equal(t.result.dropped, 1);
    assert_int_equal(t.after.messages, MESSAGES);
    assert_int_equal(queue_stats(p).dropped_total, 1);
    queue_read_filler(peer, QUEUE_FILLER);
    expect_numbers(peer, 1, 5);
    queue_leave(peer);
    queue_end(p);
}

/* On the loop: the largest message that fits, and one byte more. */
static void fill_to_the_byte(ln_conn *c, void *arg)
{
    static const uint8_t bytes[1000];
    task *const t = arg;
    ln_queue_options queue = {.max_bytes = (uint32_t)ln_conn_queued_bytes(c) + 1000};

    queue.high_water_bytes = queue.max_bytes;
    assert_int_equal(ln_conn_set_queue(c, &queue), 0);
    t->rc = ln_conn_send(c, LN_BINARY, (ln_span){bytes, 900});
    assert_int_equal(t->rc, 0);
    const size_t left = queue.max_bytes - ln_conn_queued_bytes(c);
    assert_true(left > 0 && left < 100);
    t->rc = ln_conn_send(c, LN_BINARY, (ln_span){bytes, left + 1});
    assert_int_equal(t->rc, LN_ERR_WOULD_EXCEED);
    t->rc = ln_conn_send(c, LN_BINARY, (ln_span){bytes, left});
}

static void bytes_are_bounded_exactly(void **state)
{
    (void)state;
    queue_place *const p = begin(LN_OVERFLOW_REFUSE);
    queue_peer *const peer = queue_enter(p);
    task t = {.from = 0};

    queue_stall(peer, QUEUE_FILLER);
    queue_on_loop(peer, fill_to_the_byte, &t);
    assert_true(t.rc >= 0);
    queue_leave(peer);
    queue_end(p);
}

/* Pieces of one message, and what else is sent meanwhile. */
static void send_in_pieces(ln_conn *c, void *arg)
{
    ln_publish_result result;
    (void)arg;

    assert_int_equal(ln_conn_send(c, LN_TEXT, LN_SPAN("1")), 0);
    assert_true(ln_conn_send_piece(c, LN_TEXT, LN_SPAN("a"), false) >= 0);
    assert_int_equal(ln_conn_send(c, LN_TEXT, LN_SPAN("no")), LN_ERR_BUSY);
    assert_int_equal(ln_conn_publish(c, LN_SPAN("t"), LN_TEXT, LN_SPAN("2"), &result), 0);
    assert_int_equal(result.dropped, 0);
    assert_int_equal(ln_conn_publish(c, LN_SPAN("t"), LN_TEXT, LN_SPAN("3"), &result), 0);
    assert_int_equal(ln_conn_publish(c, LN_SPAN("t"), LN_TEXT, LN_SPAN("4"), &result), 0);
    assert_true(ln_conn_send_piece(c, LN_TEXT, LN_SPAN("b"), false) >= 0);
    assert_true(ln_conn_send_piece(c, LN_TEXT, LN_SPAN("c"), true) >= 0);
}

static void a_fragmented_message_counts_once_and_keeps_its_place(void **state)
{
    (void)state;
    const enum ln_overflow policies[] = {LN_OVERFLOW_REFUSE, LN_OVERFLOW_DROP_OLDEST};

    for (size_t i = 0; i < 2; i++) {
        queue_place *const p = begin(policies[i]);
        queue_peer *const peer = queue_enter(p);
        queue_on_loop(peer, subscribe, "t");
        queue_stall(peer, QUEUE_FILLER);
        queue_on_loop(peer, send_in_pieces, NULL);
        queue_read_filler(peer, QUEUE_FILLER);
        queue_expect(peer, "1");
        raw_frame f = raw_read_frame(peer->fd);
        assert_int_equal(f.first, 0x01);
        assert_string_equal((const char *)f.payload, "a");
        f = raw_read_frame(peer->fd);
        assert_int_equal(f.first, 0x00);
        f = raw_read_frame(peer->fd);
        assert_int_equal(f.first, 0x80);
        assert_string_equal((const char *)f.payload, "c");
        /* The filler, 1, the pieces and two more are five: 4 did not fit, or took the place of 2. */
        expect_numbers(peer, policies[i] == LN_OVERFLOW_REFUSE ? 2 : 3,
                       policies[i] == LN_OVERFLOW_REFUSE ? 4 : 5);
        queue_leave(peer);
        queue_end(p);
    }
}

/* ---- what does not ---- */

static void drop_full_loses_the_newest_and_says_so(void **state)
{
    (void)state;
    queue_place *const p = begin(LN_OVERFLOW_DROP_NEWEST);
    queue_peer *const peer = queue_enter(p);

    queue_stall(peer, QUEUE_FILLER);
    assert_int_equal(send_numbers(peer, 1, 5).rc, 1);
    assert_int_equal(send_numbers(peer, 5, 15).rc, LN_ERR_DROPPED);
    const ln_server_stats stats = queue_stats(p);
    assert_int_equal(stats.dropped_total, 10);
    assert_int_equal(stats.dropped_newest_total, 10);
    assert_int_equal(stats.dropped_oldest_total, 0);
    queue_read_filler(peer, QUEUE_FILLER);
    expect_numbers(peer, 1, 5);
    queue_leave(peer);
    queue_end(p);
}

static void drop_oldest_full_keeps_what_came_last(void **state)
{
    (void)state;
    queue_place *const p = begin(LN_OVERFLOW_DROP_OLDEST);
    queue_peer *const peer = queue_enter(p);

    queue_stall(peer, QUEUE_FILLER);
    const task t = send_numbers(peer, 1, 101);
    assert_int_equal(t.rc, 1);
    assert_int_equal(t.after.messages, MESSAGES);
    const ln_server_stats stats = queue_stats(p);
    assert_int_equal(stats.dropped_total, 96);
    assert_int_equal(stats.dropped_oldest_total, 96);
    assert_int_equal(atomic_load(&peer->drains), 0);
    queue_read_filler(peer, QUEUE_FILLER); /* it has begun and is never dropped */
    expect_numbers(peer, 97, 101);
    kit_wait_for(&peer->drains, 1);
    assert_int_equal(send_numbers(peer, 101, 102).rc, 0);
    expect_numbers(peer, 101, 102);
    assert_int_equal(atomic_load(&peer->drains), 1);
    queue_leave(peer);
    queue_end(p);
}

/* On the loop, in one go: three that wait, and one that would not fit if they did not. */
static void send_too_much(ln_conn *c, void *arg)
{
    static uint8_t bytes[2 * QUEUE_FILLER];
    task *const t = arg;
    const ln_queue_options queue = {.max_bytes = (uint32_t)ln_conn_queued_bytes(c) + 50000};

    assert_int_equal(ln_conn_set_queue(c, &queue), 0);
    send_all(c, t);
    t->rc = ln_conn_send(c, LN_BINARY, (ln_span){bytes, sizeof bytes});
    ln_conn_queue_get(c, &t->after);
}

static void nothing_is_dropped_for_what_would_not_fit_anyway(void **state)
{
    (void)state;
    queue_place *const p = begin(LN_OVERFLOW_DROP_OLDEST);
    queue_peer *const peer = queue_enter(p);
    task t = {.from = 1, .to = 4};

    queue_stall(peer, QUEUE_FILLER);
    queue_on_loop(peer, send_too_much, &t);
    assert_int_equal(t.rc, LN_ERR_WOULD_EXCEED);
    assert_int_equal(t.after.messages, 4);
    assert_int_equal(queue_stats(p).dropped_total, 0);
    queue_leave(peer);
    queue_end(p);
}

static void close_full_ends_with_1008(void **state)
{
    (void)state;
    queue_place *const p = begin(LN_OVERFLOW_CLOSE);
    queue_peer *const peer = queue_enter(p);

    queue_stall(peer, QUEUE_FILLER);
    assert_int_equal(send_numbers(peer, 1, 5).rc, 1);
    assert_int_equal(send_numbers(peer, 5, 6).rc, LN_ERR_CLOSED);
    kit_wait_for(&peer->closed, 1);
    assert_int_equal(atomic_load(&peer->close_code), 1008);
    assert_int_equal(queue_stats(p).overflow_closes_total, 1);
    queue_read_filler(peer, QUEUE_FILLER); /* what was queued before goes first */
    expect_numbers(peer, 1, 5);
    assert_int_equal(raw_close_code(raw_read_frame(peer->fd)), 1008);
    queue_leave(peer);
    queue_end(p);
}

static void a_full_queue_is_passed_over_only_as_long_as_it_is_full(void **state)
{
    (void)state;
    const ln_queue_options policies[] = {{.overflow = LN_OVERFLOW_REFUSE},
                                         {.overflow = LN_OVERFLOW_DROP_NEWEST}};

    for (size_t i = 0; i < 2; i++) {
        queue_place *const p = begin(policies[i].overflow);
        queue_peer *const peer = queue_enter(p);
        queue_on_loop(peer, subscribe, "t");
        queue_stall(peer, QUEUE_FILLER);
        queue_on_loop(peer, publish_beside_a_full_queue, (void *)(uintptr_t)&policies[i]);
        const ln_server_stats stats = queue_stats(p);
        assert_int_equal(stats.dropped_total, 5);
        assert_int_equal(stats.queue_refused_total, i == 0 ? 5 : 0);
        assert_int_equal(stats.dropped_newest_total, i == 0 ? 0 : 5);
        queue_read_filler(peer, QUEUE_FILLER);
        assert_int_equal(raw_read_frame(peer->fd).size, 1000);
        assert_int_equal(raw_read_frame(peer->fd).size, 2000);
        while (queue_stats(p).queued_bytes > 0)
            kit_rest_ms(1);
        task t = {.from = 7, .to = 8, .is_published = true}; /* it moved: there is room again */
        queue_on_loop(peer, subscribe, "k0");
        queue_on_loop(peer, send_all, &t);
        assert_int_equal(t.result.delivered, 1);
        expect_numbers(peer, 7, 8);
        queue_leave(peer);
        queue_end(p);
    }
}

static void publish_twice(ln_conn *c, void *arg)
{
    ln_publish_result *const r = arg;
    for (int i = 0; i < 2; i++)
        assert_int_equal(ln_conn_publish(c, LN_SPAN("t"), LN_TEXT, LN_SPAN("x"), r), 0);
}

static void one_that_ends_while_it_is_passed_over_still_flushes(void **state)
{
    (void)state;
    queue_place *const p = begin(LN_OVERFLOW_REFUSE);
    queue_peer *const peer = queue_enter(p);
    ln_publish_result r;

    queue_on_loop(peer, subscribe, "t");
    queue_stall(peer, QUEUE_FILLER);
    assert_int_equal(send_numbers(peer, 1, 5).rc, 1);
    queue_on_loop(peer, publish_twice, &r);
    assert_int_equal(r.dropped, 1);
    raw_send(peer->fd, "\x81\x00", 2); /* a frame without a mask */
    kit_wait_for(&peer->closed, 1);
    assert_int_equal(atomic_load(&peer->close_code), 1002);
    queue_read_filler(peer, QUEUE_FILLER);
    expect_numbers(peer, 1, 5);
    assert_int_equal(raw_close_code(raw_read_frame(peer->fd)), 1002);
    queue_leave(peer);
    queue_end(p);
}

/* ---- the latest ---- */

static void the_newer_of_a_key_goes_to_the_end(void **state)
{
    (void)state;
    queue_place *const p = begin(LN_OVERFLOW_KEEP_LATEST);
    queue_peer *const peer = queue_enter(p);
    task t = {.from = 0, .to = 100, .keys = 3};

    queue_stall(peer, QUEUE_FILLER);
    queue_on_loop(peer, send_all, &t); /* 97: key 1, 98: key 2, 99: key 0 */
    assert_int_equal(t.after.messages, 4);
    t.from = 100;
    t.to = 102; /* keys 1 and 2 */
    queue_on_loop(peer, send_all, &t);
    assert_int_equal(t.after.messages, 4);
    const ln_server_stats stats = queue_stats(p);
    assert_int_equal(stats.replaced_total, 99);
    assert_int_equal(stats.dropped_total, 0);
    queue_read_filler(peer, QUEUE_FILLER);
    expect_numbers(peer, 99, 102);
    queue_leave(peer);
    queue_end(p);
}

static void a_publication_replaces_the_one_of_its_topic(void **state)
{
    (void)state;
    queue_place *const p = begin(LN_OVERFLOW_KEEP_LATEST);
    queue_peer *const peer = queue_enter(p);
    task t = {.from = 0, .to = 100, .keys = 2, .is_published = true};

    queue_on_loop(peer, subscribe, "k0");
    queue_on_loop(peer, subscribe, "k1");
    queue_stall(peer, QUEUE_FILLER);
    queue_on_loop(peer, send_all, &t);
    assert_int_equal(t.after.messages, 3);
    t = (task){.from = 100, .to = 101, .keys = 2}; /* the same name: an own one for key 0 */
    queue_on_loop(peer, send_all, &t);
    assert_int_equal(t.after.messages, 3);
    assert_int_equal(queue_stats(p).replaced_total, 99);
    queue_read_filler(peer, QUEUE_FILLER);
    expect_numbers(peer, 99, 101);
    queue_leave(peer);
    queue_end(p);
}

static void where_nothing_can_be_replaced_the_oldest_goes(void **state)
{
    (void)state;
    queue_place *const p = begin(LN_OVERFLOW_KEEP_LATEST);
    queue_peer *const peer = queue_enter(p);
    task t = {.from = 0, .to = 10, .keys = 1000};

    queue_stall(peer, QUEUE_FILLER);
    queue_on_loop(peer, send_all, &t);
    assert_int_equal(t.rc, 1);
    assert_int_equal(queue_stats(p).dropped_oldest_total, 6);
    assert_int_equal(queue_stats(p).replaced_total, 0);
    t = (task){.from = 10, .to = 12}; /* without a key nothing is replaced, either */
    queue_on_loop(peer, send_all, &t);
    assert_int_equal(queue_stats(p).dropped_oldest_total, 8);
    queue_read_filler(peer, QUEUE_FILLER);
    expect_numbers(peer, 8, 12);
    queue_leave(peer);
    queue_end(p);
}

static void ten_thousand_keys_have_one_latest_each(void **state)
{
    (void)state;
    queue_place *const p = queue_begin(NULL, &(ln_ws_options){.queue_max_bytes = QUEUE_PLENTY,
                                                              .overflow = LN_OVERFLOW_KEEP_LATEST});
    queue_peer *const peer = queue_enter(p);
    task t = {.from = 0, .to = 10 * KEYS, .keys = KEYS};

    queue_stall(peer, QUEUE_FILLER);
    queue_on_loop(peer, send_all, &t);
    assert_int_equal(t.after.messages, KEYS);
    assert_int_equal(queue_stats(p).replaced_total, 9 * KEYS);
    queue_read_filler(peer, QUEUE_FILLER);
    expect_numbers(peer, 9 * KEYS, 10 * KEYS);
    queue_leave(peer);
    queue_end(p);
}

/* ---- a queue of its own ---- */

static void a_connection_may_have_another_queue_than_its_endpoint(void **state)
{
    (void)state;
    queue_place *const p = queue_begin(NULL, &(ln_ws_options){.queue_max_bytes = QUEUE_PLENTY});
    queue_peer *const peer = queue_enter(p), *const other = queue_enter(p);
    task t = {.queue = {.overflow = LN_OVERFLOW_DROP_OLDEST, .max_messages = MESSAGES}};

    queue_on_loop(peer, set_queue, &t);
    assert_int_equal(t.rc, 0);
    queue_stall(peer, QUEUE_FILLER);
    queue_stall(other, QUEUE_FILLER);
    assert_int_equal(send_numbers(peer, 1, 101).after.messages, MESSAGES);
    assert_int_equal(queue_stats(p).dropped_oldest_total, 96);
    send_numbers(other, 1, 101);
    assert_int_equal(queue_stats(p).dropped_total, 96);

    t.queue = (ln_queue_options){.max_messages = LN_OFF}; /* while four wait: they stay in front */
    queue_on_loop(peer, set_queue, &t);
    send_numbers(peer, 101, 110);
    queue_read_filler(peer, QUEUE_FILLER);
    expect_numbers(peer, 97, 110);
    queue_read_filler(other, QUEUE_FILLER);
    expect_numbers(other, 1, 101);
    queue_leave(peer);
    queue_leave(other);
    queue_end(p);
}

static void reset_queue(ln_conn *c, void *arg)
{
    (void)arg;
    assert_int_equal(ln_conn_set_queue(c, NULL), 0);
}

static void a_queue_may_be_changed_while_messages_wait(void **state)
{
    (void)state;
    queue_place *const p = begin(LN_OVERFLOW_REFUSE);
    queue_peer *const peer = queue_enter(p);
    task t = {.queue = {.overflow = LN_OVERFLOW_KEEP_LATEST, .max_messages = 10}};

    queue_stall(peer, QUEUE_FILLER);
    assert_int_equal(send_numbers(peer, 1, 5).rc, 1);
    queue_on_loop(peer, set_queue, &t);
    assert_int_equal(send_numbers(peer, 5, 10).rc, 1); /* ten in all */
    queue_on_loop(peer, reset_queue, NULL);
    assert_int_equal(send_numbers(peer, 10, 11).rc, LN_ERR_WOULD_EXCEED);
    queue_read_filler(peer, QUEUE_FILLER);
    expect_numbers(peer, 1, 10);
    kit_wait_for(&peer->drains, 1);
    assert_int_equal(send_numbers(peer, 11, 12).rc, 0);
    expect_numbers(peer, 11, 12);
    queue_leave(peer);
    queue_end(p);
}

static void contradictions_are_refused_and_change_nothing(void **state)
{
    (void)state;
    static const ln_queue_options wrong[] = {
        {.overflow = (enum ln_overflow)5},
        {.max_bytes = LN_OFF},
        {.max_bytes = 100, .high_water_bytes = 101},
        {.high_water_bytes = 100, .low_water_bytes = 101},
    };
    queue_place *const p = begin(LN_OVERFLOW_REFUSE);
    queue_peer *const peer = queue_enter(p);

    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        task t = {.queue = wrong[i]};
        queue_on_loop(peer, set_queue, &t);
        assert_int_equal(t.rc, LN_ERR_INVALID);
    }
    queue_stall(peer, QUEUE_FILLER);
    assert_int_equal(send_numbers(peer, 1, 5).rc, 1);
    assert_int_equal(send_numbers(peer, 5, 6).rc, LN_ERR_WOULD_EXCEED);
    queue_leave(peer);
    queue_end(p);
}

/* ---- control frames ---- */

/* On the loop, in one go: no more fits, but for pings. */
static void ping_until_refused(ln_conn *c, void *arg)
{
    static const char data[100];
    int *const count = arg;
    const uint32_t queued = (uint32_t)ln_conn_queued_bytes(c);
    const ln_queue_options queue = {.max_bytes = queued, .high_water_bytes = queued};

    assert_int_equal(ln_conn_set_queue(c, &queue), 0);
    assert_int_equal(ln_conn_send(c, LN_TEXT, LN_SPAN("1")), LN_ERR_WOULD_EXCEED);
    while (*count < 1000 && ln_conn_ping(c, (ln_span){data, sizeof data}) == 0)
        ++*count;
    assert_int_equal(ln_conn_ping(c, LN_SPAN("")), LN_ERR_WOULD_EXCEED);
}

static void say_goodbye(ln_conn *c, void *arg)
{
    (void)arg;
    assert_int_equal(ln_conn_close(c, 4001, LN_SPAN("bye")), 0);
}

static void control_frames_pass_a_full_queue(void **state)
{
    (void)state;
    queue_place *const p = begin(LN_OVERFLOW_REFUSE);
    queue_peer *const peer = queue_enter(p);
    int pings = 0;

    queue_stall(peer, QUEUE_FILLER);
    queue_on_loop(peer, ping_until_refused, &pings);
    assert_in_range(pings, 4096 / 102, 4096 / 102 + 1); /* 102 bytes each */
    raw_send_frame(peer->fd, 0x89, "hello", 5);
    raw_send_frame(peer->fd, 0x89, "again", 5);
    kit_rest_ms(100);
    queue_on_loop(peer, say_goodbye, NULL);
    queue_read_filler(peer, QUEUE_FILLER);
    for (int i = 0; i < pings; i++)
        assert_int_equal(raw_read_frame(peer->fd).first, 0x89);
    /* Behind so much output only the latest pong is kept; the close frame comes in any case. */
    raw_frame f = raw_read_frame(peer->fd);
    assert_int_equal(raw_close_code(f), 4001);
    f = raw_read_frame(peer->fd);
    assert_int_equal(f.first, 0x8a);
    assert_memory_equal(f.payload, "again", 5);
    queue_leave(peer);
    queue_end(p);
}

/* ---- figures ---- */

static void a_queue_has_an_age_while_nothing_moves(void **state)
{
    (void)state;
    queue_place *const p = begin(LN_OVERFLOW_REFUSE);
    queue_peer *const peer = queue_enter(p), *const other = queue_enter(p);

    assert_int_equal(queue_stats(p).queue_age_ms, 0);
    assert_int_equal(queue_stats(p).queued_connections, 0);
    queue_stall(peer, QUEUE_FILLER);
    kit_rest_ms(400);
    queue_stall(other, QUEUE_FILLER);
    kit_rest_ms(200);
    const task t = send_numbers(peer, 1, 2), t2 = send_numbers(other, 1, 2);
    const ln_server_stats stats = queue_stats(p);
    assert_true(t.after.bytes > QUEUE_FILLER / 4);
    assert_true(t.after.age_ms >= 300 && t.after.age_ms > t2.after.age_ms);
    assert_true(stats.queue_age_ms >= t.after.age_ms);
    assert_int_equal(stats.queued_connections, 2);
    assert_true(stats.queued_bytes > QUEUE_FILLER / 2);
    queue_read_filler(peer, QUEUE_FILLER);
    expect_numbers(peer, 1, 2);
    for (int i = 0; i < 1000 && queue_stats(p).queued_connections > 1; i++)
        kit_rest_ms(1);
    assert_int_equal(queue_stats(p).queued_connections, 1);
    queue_leave(peer);
    queue_leave(other);
    assert_int_equal(queue_stats(p).queue_age_ms, 0);
    queue_end(p);
}

/* ---- memory ---- */

static void send_without_memory(ln_conn *c, void *arg)
{
    failing_alloc *const fa = arg;
    const ln_queue_options queue = {.overflow = LN_OVERFLOW_KEEP_LATEST};
    int rc = LN_ERR_NOMEM;

    failing_alloc_refuse(fa);
    assert_int_equal(ln_conn_set_queue(c, &queue), LN_ERR_NOMEM);
    assert_int_equal(ln_conn_send(c, LN_TEXT, LN_SPAN("1")), LN_ERR_NOMEM);
    failing_alloc_allow(fa);
    for (int i = 0; i < 20 && rc == LN_ERR_NOMEM; i++) { /* each allocation of a send */
        fa->mode = FAILING_ONCE;
        fa->fail_at = atomic_load(&fa->calls) + (size_t)i;
        rc = ln_conn_send(c, LN_TEXT, LN_SPAN("1"));
    }
    failing_alloc_allow(fa);
    assert_int_equal(rc, 0);
}

static void without_memory_a_send_fails_and_the_next_succeeds(void **state)
{
    (void)state;
    failing_alloc fa;

    failing_alloc_init(&fa, FAILING_NEVER);
    const ln_server_options server = {.allocator = &fa.hook, .drain_ms = 100};
    queue_place *const p = queue_begin(&server, &(ln_ws_options){.queue_max_messages = MESSAGES});
    queue_peer *const peer = queue_enter(p);
    queue_on_loop(peer, send_without_memory, &fa);
    expect_numbers(peer, 1, 2);
    queue_leave(peer);
    queue_end(p);
    failing_alloc_assert_empty(&fa);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_are_bounded_exactly),
        cmocka_unit_test(published_messages_count_like_own_ones),
        cmocka_unit_test(bytes_are_bounded_exactly),
        cmocka_unit_test(a_fragmented_message_counts_once_and_keeps_its_place),
        cmocka_unit_test(drop_full_loses_the_newest_and_says_so),
        cmocka_unit_test(drop_oldest_full_keeps_what_came_last),
        cmocka_unit_test(nothing_is_dropped_for_what_would_not_fit_anyway),
        cmocka_unit_test(close_full_ends_with_1008),
        cmocka_unit_test(a_full_queue_is_passed_over_only_as_long_as_it_is_full),
        cmocka_unit_test(one_that_ends_while_it_is_passed_over_still_flushes),
        cmocka_unit_test(the_newer_of_a_key_goes_to_the_end),
        cmocka_unit_test(a_publication_replaces_the_one_of_its_topic),
        cmocka_unit_test(where_nothing_can_be_replaced_the_oldest_goes),
        cmocka_unit_test(ten_thousand_keys_have_one_latest_each),
        cmocka_unit_test(a_connection_may_have_another_queue_than_its_endpoint),
        cmocka_unit_test(a_queue_may_be_changed_while_messages_wait),
        cmocka_unit_test(contradictions_are_refused_and_change_nothing),
        cmocka_unit_test(control_frames_pass_a_full_queue),
        cmocka_unit_test(a_queue_has_an_age_while_nothing_moves),
        cmocka_unit_test(without_memory_a_send_fails_and_the_next_succeeds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
