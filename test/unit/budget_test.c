/* SPDX-License-Identifier: MIT */
/* What a server does when more waits in its send queues than its budget allows. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <linnet/linnet.h>

#include "queue_kit.h"
#include "raw_client.h"
#include "server_kit.h"

enum { MIB = 1 << 20, BUDGET = 40 * MIB, SMALL = 8 * MIB, LARGE = 32 * MIB };

static const ln_ws_options ws = {
    .queue_max_bytes = QUEUE_PLENTY, .high_water_bytes = QUEUE_PLENTY, .close_wait_ms = 20000};

static queue_place *begin(unsigned workers, uint32_t budget_bytes)
{
    return queue_begin(&(ln_server_options){.workers = workers,
                                            .drain_ms = 100,
                                            .queue_budget_bytes = budget_bytes},
                       &ws);
}

static void say_goodbye(ln_conn *c, void *arg)
{
    (void)arg;
    assert_int_equal(ln_conn_close(c, 4001, LN_SPAN("bye")), 0);
}

static void assert_shed(queue_peer *peer)
{
    kit_wait_for(&peer->closed, 1);
    assert_int_equal(atomic_load(&peer->close_code), 1013);
    assert_int_equal(atomic_load(&peer->close_error), LN_ERR_WOULD_EXCEED);
}

/* Reads what it was sent, and gets the close frame of a goodbye: nothing has happened to it. */
static void assert_unharmed(queue_peer *peer, size_t size)
{
    assert_int_equal(atomic_load(&peer->closed), 0);
    queue_on_loop(peer, say_goodbye, NULL);
    queue_read_filler(peer, size);
    assert_int_equal(raw_close_code(raw_read_frame(peer->fd)), 4001);
    queue_leave(peer);
}

static void wait_until_queued_is_below(const queue_place *p, uint64_t bytes)
{
    for (int i = 0; i < 5000 && queue_stats(p).queued_bytes > bytes; i++)
        kit_rest_ms(1);
    assert_true(queue_stats(p).queued_bytes <= bytes);
}

static void the_worst_is_shed_and_the_others_are_not(void **state)
{
    (void)state;
    queue_place *const p = begin(1, BUDGET);
    queue_peer *peers[4];

    for (int i = 0; i < 4; i++)
        peers[i] = queue_enter(p);
    for (int i = 0; i < 3; i++)
        queue_stall(peers[i], SMALL);
    kit_rest_ms(50);
    assert_int_equal(queue_stats(p).shed_slow_total, 0);
    queue_stall(peers[3], LARGE);
    assert_shed(peers[3]);
    assert_int_equal(queue_stats(p).shed_slow_total, 1);
    wait_until_queued_is_below(p, BUDGET - BUDGET / 8);
    for (int i = 0; i < 3; i++)
        assert_unharmed(peers[i], SMALL);
    raw_close(peers[3]->fd);
    queue_end(p);
}

/* The one that makes it too much is innocent: the worst sits on another worker. */
static void the_worst_of_all_workers_is_shed(void **state)
{
    (void)state;
    queue_place *const p = begin(2, BUDGET);
    queue_peer *here[3], *there = NULL;
    int count = 0;

    while (there == NULL || count < 3) {
        queue_peer *const peer = queue_enter(p);
        const bool is_there = peer->id >> 56 == 1;
        if (is_there && there == NULL)
            there = peer;
        else if (!is_there && count < 3)
            here[count++] = peer;
        else
            queue_leave(peer);
    }
    queue_stall(there, LARGE);
    kit_rest_ms(50);
    assert_int_equal(queue_stats(p).shed_slow_total, 0);
    for (int i = 0; i < 3; i++)
        queue_stall(here[i], SMALL);
    assert_shed(there);
    wait_until_queued_is_below(p, BUDGET - BUDGET / 8);
    assert_int_equal(queue_stats(p).shed_slow_total, 1);
    for (int i = 0; i < 3; i++)
        assert_unharmed(here[i], SMALL);
    raw_close(there->fd);
    queue_end(p);
}

static void without_a_budget_nobody_is_shed(void **state)
{
    (void)state;
    queue_place *const p = begin(1, LN_OFF);
    queue_peer *const peer = queue_enter(p);

    queue_stall(peer, LARGE);
    kit_rest_ms(50);
    assert_int_equal(queue_stats(p).shed_slow_total, 0);
    assert_unharmed(peer, LARGE);
    queue_end(p);
}

/* Many short messages: what the system has under way is little, and is followed by the code. */
static void send_much_in_little(ln_conn *c, void *arg)
{
    static const uint8_t bytes[1000];
    const int *const count = arg;

    for (int i = 0; i < *count; i++) {
        const int rc = ln_conn_send(c, LN_BINARY, (ln_span){bytes, sizeof bytes});
        assert_true(rc >= 0 || rc == LN_ERR_CLOSED);
    }
}

static void send_more(ln_conn *c, void *arg)
{
    (void)arg;
    ln_conn_send(c, LN_TEXT, LN_SPAN("more"));
}

static void publish_much(ln_conn *c, void *arg)
{
    static const uint8_t bytes[1000];
    const int *const count = arg;

    assert_int_equal(ln_conn_subscribe(c, LN_SPAN("t")), 0);
    for (int i = 0; i < *count; i++)
        assert_int_equal(
            ln_conn_publish(c, LN_SPAN("t"), LN_BINARY, (ln_span){bytes, sizeof bytes}, NULL), 0);
}

static void a_reader_that_wakes_up_sees_whole_frames_and_the_code(void **state)
{
    (void)state;
    queue_place *const p = begin(1, 4 * MIB);
    queue_peer *const peer = queue_enter(p);
    raw_frame f;
    int count = 20000, frames = 0;

    queue_on_loop(peer, publish_much, &count); /* shared frames */
    assert_shed(peer);
    assert_true(queue_stats(p).queued_bytes <= 128 * 1024 + 1000);
    for (f = raw_read_frame(peer->fd); f.first == 0x82; f = raw_read_frame(peer->fd)) {
        assert_int_equal(f.size, 1000);
        frames++;
    }
    assert_int_equal(raw_close_code(f), 1013);
    assert_true(frames > 64 && frames < count);
    raw_close(peer->fd);
    queue_end(p);
}

static void publish_large(ln_conn *c, void *arg)
{
    static const uint8_t bytes[200000];
    (void)arg;

    for (int i = 0; i < 40; i++)
        assert_int_equal(
            ln_conn_publish(c, LN_SPAN("t"), LN_BINARY, (ln_span){bytes, sizeof bytes}, NULL), 0);
}

static void subscribe(ln_conn *c, void *arg)
{
    (void)arg;
    assert_int_equal(ln_conn_subscribe(c, LN_SPAN("t")), 0);
}

/* All of each queue is with the system: whoever goes has to be reset, or everybody would have to. */
static void only_as_many_are_shed_as_it_takes(void **state)
{
    (void)state;
    queue_place *const p = begin(1, BUDGET);
    queue_peer *peers[12];
    int closed = 0;

    for (int i = 0; i < 12; i++) {
        peers[i] = queue_enter(p);
        queue_on_loop(peers[i], subscribe, NULL);
    }
    queue_on_loop(peers[0], publish_large, NULL); /* 8 MB for each */
    wait_until_queued_is_below(p, BUDGET);
    kit_rest_ms(50);
    for (int i = 0; i < 12; i++) {
        closed += atomic_load(&peers[i]->closed);
        raw_close(peers[i]->fd);
    }
    assert_in_range(closed, 3, 9);
    assert_int_equal(queue_stats(p).shed_slow_total, closed);
    queue_end(p);
}

/* Under way in large pieces: too much to be kept for a close frame. */
static void what_is_too_much_to_keep_is_reset(void **state)
{
    (void)state;
    queue_place *const p = begin(1, 4 * MIB);
    queue_peer *const peer = queue_enter(p);
    int count = 20000;
    bool is_fin = true;

    queue_on_loop(peer, send_much_in_little, &count); /* copies, in chunks of 16 KiB */
    assert_shed(peer);
    wait_until_queued_is_below(p, 0);
    raw_read_all(peer->fd, NULL, &is_fin);
    assert_false(is_fin);
    raw_close(peer->fd);
    queue_end(p);
}

static void one_that_is_closing_already_is_reset(void **state)
{
    (void)state;
    queue_place *const p =
        queue_begin(&(ln_server_options){.drain_ms = 100, .queue_budget_bytes = BUDGET},
                    &(ln_ws_options){.queue_max_bytes = QUEUE_PLENTY, .close_wait_ms = 60000});
    queue_peer *const peer = queue_enter(p), *const other = queue_enter(p);

    queue_stall(peer, LARGE);
    queue_on_loop(peer, say_goodbye, NULL);
    queue_stall(other, LARGE / 2);
    kit_wait_for(&peer->closed, 1);
    wait_until_queued_is_below(p, LARGE / 2);
    assert_int_equal(queue_stats(p).shed_slow_total, 0); /* its close was on the way */
    queue_on_loop(other, send_more, NULL);
    assert_int_equal(atomic_load(&other->closed), 0);
    raw_close(peer->fd);
    queue_leave(other);
    queue_end(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_worst_is_shed_and_the_others_are_not),
        cmocka_unit_test(the_worst_of_all_workers_is_shed),
        cmocka_unit_test(without_a_budget_nobody_is_shed),
        cmocka_unit_test(a_reader_that_wakes_up_sees_whole_frames_and_the_code),
        cmocka_unit_test(only_as_many_are_shed_as_it_takes),
        cmocka_unit_test(what_is_too_much_to_keep_is_reset),
        cmocka_unit_test(one_that_is_closing_already_is_reset),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
