/* SPDX-License-Identifier: MIT */
/* Threads that wait for room in the send queue of a peer that does not read: each way that ends. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <linnet/linnet.h>
#include <pthread.h>

#include "failing_alloc.h"
#include "queue_kit.h"
#include "raw_client.h"
#include "server_kit.h"

enum { LONG_MS = 20000, SHORT_MS = 150, THREADS = 4 };

static int set_up(void **state)
{
    *state = queue_begin(NULL, &(ln_ws_options){.queue_max_bytes = QUEUE_PLENTY,
                                                .queue_max_messages = 2,
                                                .high_water_bytes = QUEUE_PLENTY,
                                                .low_water_bytes = 1000,
                                                .overflow = LN_OVERFLOW_DROP_OLDEST,
                                                .close_wait_ms = 1000});
    return 0;
}

static int tear_down(void **state)
{
    queue_end(*state);
    return 0;
}

/* A thread that sends one message. */
typedef struct sender {
    pthread_t thread;
    queue_peer *peer;
    char text[8];
    uint32_t timeout_ms;
    int rc;
    int64_t passed_ms;
} sender;

static void *send_text(void *arg)
{
    sender *const s = arg;
    const int64_t begin = kit_clock_ms();

    s->rc = ln_send_wait(s->peer->place->server, s->peer->id, LN_TEXT,
                         (ln_span){s->text, strlen(s->text)}, s->timeout_ms);
    s->passed_ms = kit_clock_ms() - begin;
    memset(s->text, '!', sizeof s->text - 1); /* it is the caller's again */
    return NULL;
}

static void start(sender *s, queue_peer *peer, const char *text, uint32_t timeout_ms)
{
    *s = (sender){.peer = peer, .timeout_ms = timeout_ms};
    snprintf(s->text, sizeof s->text, "%s", text);
    assert_int_equal(pthread_create(&s->thread, NULL, send_text, s), 0);
}

static void join(sender *s)
{
    pthread_join(s->thread, NULL);
}

/* Full: what stalls the peer, and one more. */
static void fill(ln_conn *c, void *arg)
{
    (void)arg;
    assert_int_equal(ln_conn_send(c, LN_TEXT, LN_SPAN("0")), 1);
}

static queue_peer *full_peer(queue_place *p)
{
    queue_peer *const peer = queue_enter(p);

    queue_stall(peer, QUEUE_FILLER);
    queue_on_loop(peer, fill, NULL);
    return peer;
}

/* The same, and `s` waits for room. */
static queue_peer *blocked_peer(queue_place *p, sender *s)
{
    queue_peer *const peer = full_peer(p);

    start(s, peer, "1", LONG_MS);
    kit_rest_ms(SHORT_MS);
    return peer;
}

/* It does not go on waiting for a connection that has ended. */
static void assert_closed(sender *s)
{
    join(s);
    assert_int_equal(s->rc, LN_ERR_CLOSED);
    assert_true(s->passed_ms < LONG_MS / 4);
}

static void block_with_room_sends_at_once(void **state)
{
    queue_place *const p = *state;
    queue_peer *const peer = queue_enter(p);

    assert_int_equal(ln_send_wait(p->server, peer->id, LN_TEXT, LN_SPAN("hi"), LONG_MS), 0);
    queue_expect(peer, "hi");
    queue_leave(peer);
}

static void block_full_times_out_and_is_not_sent(void **state)
{
    queue_place *const p = *state;
    queue_peer *const peer = full_peer(p);
    sender s;

    start(&s, peer, "late", SHORT_MS);
    join(&s);
    assert_int_equal(s.rc, LN_ERR_TIMEOUT);
    assert_in_range(s.passed_ms, SHORT_MS - 1, LONG_MS / 4);
    assert_int_equal(queue_stats(p).dropped_total, 0); /* whatever the policy */
    queue_read_filler(peer, QUEUE_FILLER);
    queue_expect(peer, "0");
    assert_int_equal(ln_send_wait(p->server, peer->id, LN_TEXT, LN_SPAN("next"), LONG_MS), 0);
    queue_expect(peer, "next");
    queue_leave(peer);
}

static void block_full_goes_on_when_there_is_room(void **state)
{
    queue_place *const p = *state;
    sender s;
    queue_peer *const peer = blocked_peer(p, &s);

    queue_read_filler(peer, QUEUE_FILLER);
    queue_expect(peer, "0");
    queue_expect(peer, "1");
    join(&s);
    assert_true(s.rc >= 0);
    assert_true(s.passed_ms >= SHORT_MS / 2 && s.passed_ms < LONG_MS / 2);
    queue_leave(peer);
}

static void block_several_threads_get_one_place_each(void **state)
{
    queue_place *const p = *state;
    queue_peer *const peer = full_peer(p);
    sender s[THREADS];
    bool seen[THREADS] = {false};

    for (int i = 0; i < THREADS; i++) {
        const char text[] = {(char)('0' + i), '\0'};
        start(&s[i], peer, text, LONG_MS);
    }
    kit_rest_ms(SHORT_MS);
    queue_read_filler(peer, QUEUE_FILLER);
    queue_expect(peer, "0");
    for (int i = 0; i < THREADS; i++) {
        const raw_frame f = raw_read_frame(peer->fd);
        assert_true(f.size == 1 && f.payload[0] >= '0' && f.payload[0] < '0' + THREADS);
        assert_false(seen[f.payload[0] - '0']);
        seen[f.payload[0] - '0'] = true;
    }
    for (int i = 0; i < THREADS; i++) {
        join(&s[i]);
        assert_true(s[i].rc >= 0);
    }
    assert_int_equal(queue_stats(p).dropped_total, 0);
    queue_leave(peer);
}

static void say_goodbye(ln_conn *c, void *arg)
{
    (void)arg;
    assert_int_equal(ln_conn_close(c, 4001, LN_SPAN("bye")), 0);
}

static void block_closed_meanwhile_by_us_ends_at_once(void **state)
{
    queue_place *const p = *state;
    sender s;
    queue_peer *const peer = blocked_peer(p, &s);

    queue_on_loop(peer, say_goodbye, NULL);
    assert_closed(&s);
    queue_leave(peer);
}

static void block_closed_meanwhile_by_the_peer_ends_at_once(void **state)
{
    queue_place *const p = *state;
    sender s;
    queue_peer *const peer = blocked_peer(p, &s);

    queue_leave(peer);
    assert_closed(&s);
}

static void block_ends_with_the_server(void **state)
{
    queue_place *const p = *state;
    sender s;
    queue_peer *const peer = blocked_peer(p, &s);

    ln_server_stop(p->server);
    ln_server_stop(p->server);
    assert_closed(&s);
    raw_close(peer->fd);
}

static void already_closed_is_closed(void **state)
{
    queue_place *const p = *state;
    queue_peer *const peer = queue_enter(p);

    queue_leave(peer);
    assert_int_equal(ln_send_wait(p->server, peer->id, LN_TEXT, LN_SPAN("x"), LONG_MS),
                     LN_ERR_CLOSED);
    assert_int_equal(ln_send_wait(p->server, 0, LN_TEXT, LN_SPAN("x"), LONG_MS), LN_ERR_CLOSED);
}

/* An id that nobody was told of, and that somebody may get. */
static void who_is_still_shaking_hands_is_closed(void **state)
{
    queue_place *const p = *state;
    queue_peer *const peer = queue_enter(p);

    const uint64_t before = queue_stats(p).accepted_total;
    const int fd = raw_connect(p->port);
    while (queue_stats(p).accepted_total == before)
        kit_rest_ms(1);
    for (ln_conn_id id = peer->id + 1; id < peer->id + 8; id++)
        assert_int_equal(ln_send_wait(p->server, id, LN_TEXT, LN_SPAN("x"), LONG_MS),
                         LN_ERR_CLOSED);
    raw_close(fd);
    queue_leave(peer);
}

static void wait_on_a_loop(ln_conn *c, void *arg)
{
    int *const rc = arg;
    *rc = ln_send_wait(ln_conn_server(c), ln_conn_get_id(c), LN_TEXT, LN_SPAN("x"), LONG_MS);
}

static void wrong_kinds_times_and_threads_are_errors(void **state)
{
    queue_place *const p = *state;
    queue_peer *const peer = queue_enter(p);
    int rc = 0;

    assert_int_equal(ln_send_wait(p->server, peer->id, (enum ln_kind)9, LN_SPAN("x"), 100),
                     LN_ERR_INVALID);
    assert_int_equal(ln_send_wait(p->server, peer->id, LN_TEXT, LN_SPAN("x"), 0), LN_ERR_INVALID);
    assert_int_equal(ln_send_wait(p->server, peer->id, LN_TEXT, LN_SPAN("\xff"), LONG_MS),
                     LN_ERR_INVALID);
    queue_on_loop(peer, wait_on_a_loop, &rc);
    assert_int_equal(rc, LN_ERR_STATE);
    queue_leave(peer);
}

/* Time-outs and room at the same moment: whatever is reported must be what the peer sees. */
static void what_is_told_is_what_happened(void **state)
{
    queue_place *const p = *state;
    queue_peer *const peer = queue_enter(p);
    int sent = 0;

    for (uint32_t round = 0; round < 20; round++) {
        sender s[2];
        queue_stall(peer, QUEUE_FILLER);
        queue_on_loop(peer, fill, NULL);
        start(&s[0], peer, "1", 1 + round / 2);
        start(&s[1], peer, "1", 3 + round / 2);
        queue_read_filler(peer, QUEUE_FILLER);
        queue_expect(peer, "0");
        for (int i = 0; i < 2; i++) {
            join(&s[i]);
            assert_true(s[i].rc >= 0 || s[i].rc == LN_ERR_TIMEOUT);
            sent += s[i].rc >= 0;
            if (s[i].rc >= 0)
                queue_expect(peer, "1");
        }
    }
    assert_int_equal(queue_stats(p).messages_out_total, 40 + sent);
    queue_leave(peer);
}

static void without_memory_it_is_an_error(void **state)
{
    (void)state;
    failing_alloc fa;

    failing_alloc_init(&fa, FAILING_NEVER);
    const ln_server_options server = {.allocator = &fa.hook, .drain_ms = 100};
    queue_place *const p = queue_begin(&server, NULL);
    queue_peer *const peer = queue_enter(p);
    failing_alloc_refuse(&fa);
    assert_int_equal(ln_send_wait(p->server, peer->id, LN_TEXT, LN_SPAN("x"), LONG_MS),
                     LN_ERR_NOMEM);
    failing_alloc_allow(&fa);
    fa.mode = FAILING_ONCE;
    fa.fail_at = atomic_load(&fa.calls) + 1; /* on the loop, for the connection */
    assert_int_equal(ln_send_wait(p->server, peer->id, LN_TEXT, LN_SPAN("x"), LONG_MS),
                     LN_ERR_NOMEM);
    assert_int_equal(ln_send_wait(p->server, peer->id, LN_TEXT, LN_SPAN("x"), LONG_MS), 0);
    queue_expect(peer, "x");
    queue_leave(peer);
    queue_end(p);
    failing_alloc_assert_empty(&fa);
}

/* An allocator in which the server stops, once, when a certain thread asks it for memory. */
typedef struct ending {
    ln_allocator hook;
    ln_server *server;
    pthread_t thread;
    atomic_bool is_armed;
} ending;

static void *resize_or_end(void *user, void *old, size_t size)
{
    ending *const e = user;

    if (old == NULL && size > 0 && atomic_load(&e->is_armed) &&
        pthread_equal(e->thread, pthread_self())) {
        atomic_store(&e->is_armed, false);
        assert_int_equal(kit_halt(e->server), 0);
    }
    if (size == 0) {
        free(old);
        return NULL;
    }
    return realloc(old, size);
}

/* Between the look at the connection and the letter to its loop. */
static void a_server_that_ends_in_the_middle_is_closed(void **state)
{
    (void)state;
    ending e = {.hook = {.resize = resize_or_end, .user = &e}, .thread = pthread_self()};

    const ln_server_options server = {.allocator = &e.hook, .drain_ms = 100};
    queue_place *const p = queue_begin(&server, NULL);
    const queue_peer *const peer = queue_enter(p);
    e.server = p->server;
    atomic_store(&e.is_armed, true);
    const int64_t begin = kit_clock_ms();
    assert_int_equal(ln_send_wait(p->server, peer->id, LN_TEXT, LN_SPAN("x"), LONG_MS),
                     LN_ERR_CLOSED);
    assert_true(kit_clock_ms() - begin < LONG_MS / 2);
    raw_close(peer->fd);
    ln_server_free(p->server);
    free(p);
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(block_with_room_sends_at_once),
        CASE(block_full_times_out_and_is_not_sent),
        CASE(block_full_goes_on_when_there_is_room),
        CASE(block_several_threads_get_one_place_each),
        CASE(block_closed_meanwhile_by_us_ends_at_once),
        CASE(block_closed_meanwhile_by_the_peer_ends_at_once),
        CASE(block_ends_with_the_server),
        CASE(already_closed_is_closed),
        CASE(who_is_still_shaking_hands_is_closed),
        CASE(wrong_kinds_times_and_threads_are_errors),
        CASE(what_is_told_is_what_happened),
        cmocka_unit_test(without_memory_it_is_an_error),
        cmocka_unit_test(a_server_that_ends_in_the_middle_is_closed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
