/* SPDX-License-Identifier: MIT */
/* The broker dialect where several of its rules meet: pauses and pings, workers and full mailboxes,
 * subscribers of the application and the end of the server. */
#include "broker_kit.h"

#include <sys/socket.h>

#include "base/text.h"
#include "hub/filter.h"

/* ---- subscribers and the end ---- */

/* There is always another one on its way. */
static void on_endless_publication(ln_broker *broker, const ln_broker_publication *p, void *user)
{
    kit_world *const w = user;
    (void)ln_broker_publish(broker, p->topic, p->payload);
    atomic_fetch_add(&w->heard, 1);
}

static void a_subscriber_may_be_taken_out_when_the_server_has_stopped(void **state)
{
    (void)state;
    kit_world *const w = kit_start(1, NULL, NULL);

    assert_int_equal(ln_broker_subscribe(w->broker, "t", on_endless_publication, w), 0);
    assert_int_equal(ln_broker_publish(w->broker, LN_SPAN("t"), LN_SPAN("1")), 0);
    kit_wait_for(&w->heard, 10);
    ln_server_stop(w->server);
    assert_int_equal(ln_server_join(w->server), 0);
    assert_int_equal(ln_broker_subscribe(w->broker, "t", NULL, NULL), 0);
    assert_int_equal(ln_broker_subscribe(w->broker, "t", NULL, NULL), LN_ERR_NOT_FOUND);
    ln_server_free(w->server); /* what was on its way comes back */
    free(w);
}

static void what_a_subscriber_cannot_have_is_refused_before_the_server_runs(void **state)
{
    static const char *const wrong[] = {"", "a..*", "\x01", "$linnet.x", "\xff"};
    const ln_server_options options = {.workers = 1, .log = kit_quiet};
    ln_server *const server = ln_server_new(&options);
    char deep[3 * LN_FILTER_LEVELS_MAX] = "*";
    ln_broker *broker;
    (void)state;

    assert_non_null(server);
    assert_int_equal(ln_broker_mount(server, "/wsmq", NULL, &broker), 0);
    for (size_t i = 0; i < LN_ARRAY_SIZE(wrong); i++)
        assert_int_equal(ln_broker_subscribe(broker, wrong[i], kit_on_publication, NULL),
                         LN_ERR_INVALID);
    for (int i = 0; i < LN_FILTER_LEVELS_MAX; i++)
        strcat(deep, ".*");
    assert_int_equal(ln_broker_subscribe(broker, deep, kit_on_publication, NULL), LN_ERR_LIMIT);
    assert_int_equal(ln_broker_subscribe(broker, "a.>", kit_on_publication, NULL), 0);
    assert_int_equal(ln_server_listen(server, "127.0.0.1:0"), 0);
    assert_int_equal(ln_server_start(server), 0);
    ln_server_free(server);
}

/* ---- pings ---- */

enum { MUCH = 20000000 }; /* more than the system's buffers hold */

/* One message may be longer than the queue if that is empty. */
static void send_much(const kit_world *w, ln_conn_id conn)
{
    char *const payload = malloc(MUCH);

    memset(payload, '7', MUCH);
    payload[0] = payload[MUCH - 1] = '"';
    assert_int_equal(ln_broker_send(w->broker, conn, LN_SPAN("t"), (ln_span){payload, MUCH}), 0);
    free(payload);
}

static void take(int fd, size_t size)
{
    char bytes[65536];

    while (size > 0) {
        const ssize_t n = recv(fd, bytes, ln_min_size(size, sizeof bytes), 0);
        assert_true(n > 0);
        size -= (size_t)n;
    }
}

/* Reads it, and what it stands in; pings may have come before, and are answered. */
static void take_much(int fd)
{
    static const char head[] = "{\"type\":\"publish\",\"topic\":\"t\",\"payload\":";
    uint8_t begin[2], number[127];

    assert_int_equal(recv(fd, begin, sizeof begin, MSG_WAITALL), sizeof begin);
    while (begin[0] == 0x89) {
        assert_int_equal(recv(fd, number, begin[1], MSG_WAITALL), begin[1]);
        raw_send_frame(fd, 0x8a, number, begin[1]);
        assert_int_equal(recv(fd, begin, sizeof begin, MSG_WAITALL), sizeof begin);
    }
    assert_int_equal(begin[0], 0x81);
    take(fd, 8 + sizeof head - 1 + MUCH + 2); /* the rest of the frame's head first */
}

static uint64_t ping_failures(const kit_world *w)
{
    ln_broker_stats stats;
    ln_broker_stats_get(w->broker, &stats);
    return stats.ping_failures_total;
}

static void who_could_not_be_pinged_is_pinged_when_it_has_caught_up(void **state)
{
    (void)state;
    const ln_ws_options ws = {.ping_interval_ms = 300, .pong_wait_ms = 3000};
    const ln_broker_options options = {.ws = &ws};
    kit_world *const w = kit_start(1, &options, NULL);
    const int fd = kit_enter(w);

    kit_wait_for(&w->connects, 1);
    send_much(w, atomic_load(&w->last));
    kit_rest_ms(700); /* a ping is due, and does not fit */
    take_much(fd);
    assert_int_equal(raw_read_frame(fd).first, 0x89);
    raw_close(fd);
    kit_stop(w);
}

static void who_cannot_be_pinged_and_takes_nothing_is_closed(void **state)
{
    (void)state;
    const ln_ws_options ws = {.ping_interval_ms = 200, .pong_wait_ms = 400};
    const ln_broker_options options = {.ws = &ws};
    kit_world *const w = kit_start(1, &options, NULL);
    const int fd = kit_enter(w);

    kit_wait_for(&w->connects, 1);
    send_much(w, atomic_load(&w->last));
    for (int i = 0; i < 5000 && ping_failures(w) == 0; i++)
        kit_rest_ms(1);
    assert_int_equal(ping_failures(w), 1);
    raw_close(fd);
    kit_stop(w);
}

static _Atomic(ln_conn *) paused;

static int on_pause(const ln_rpc_call *call, void *user)
{
    (void)user;
    ln_conn_pause(call->conn);
    atomic_store(&paused, call->conn);
    return 0;
}

static void resume(void *arg)
{
    (void)arg;
    ln_conn_resume(atomic_load(&paused));
}

static void who_the_application_does_not_read_need_not_answer_pings(void **state)
{
    (void)state;
    const ln_ws_options ws = {.ping_interval_ms = 50, .pong_wait_ms = 700};
    const ln_broker_options options = {.ws = &ws};
    kit_world *const w = kit_start(1, &options, NULL);
    const int fd = kit_enter(w);
    raw_frame f;

    assert_int_equal(ln_broker_handle(w->broker, "pause", on_pause, w), 0);
    raw_send_text(fd, "{\"id\":\"1\",\"type\":\"request\",\"topic\":\"pause\"}");
    while ((f = raw_read_frame(fd)).first == 0x89)
        raw_send_frame(fd, 0x8a, f.payload, f.size);
    assert_int_equal(f.first, 0x81);
    kit_rest_ms(1600);
    assert_int_equal(ping_failures(w), 0);
    assert_int_equal(ln_server_post(w->server, 0, resume, NULL), 0);
    f = raw_read_frame(fd); /* the ping that it had not read */
    assert_int_equal(f.first, 0x89);
    raw_close(fd);
    kit_stop(w);
}

/* ---- pauses ---- */

static int on_pause_and_fill(const ln_rpc_call *call, void *user)
{
    send_much(user, ln_conn_get_id(call->conn));
    (void)on_pause(call, NULL);
    return LN_ERR_AGAIN;
}

static void who_the_application_does_not_read_stays_so_when_it_has_caught_up(void **state)
{
    kit_world *const w = *state;
    const int fd = kit_enter(w);

    assert_int_equal(ln_broker_handle(w->broker, "fill", on_pause_and_fill, w), 0);
    raw_send_text(fd, "{\"id\":\"1\",\"type\":\"request\",\"topic\":\"fill\"}");
    take_much(fd);
    raw_send_text(fd, "{\"id\":\"2\",\"type\":\"request\",\"topic\":\"nothing\"}");
    kit_rest_ms(300);
    assert_int_equal(atomic_load(&w->calls), 0);
    assert_int_equal(ln_server_post(w->server, 0, resume, NULL), 0);
    kit_hear(fd, "{\"id\":\"2\",\"type\":\"response\",\"topic\":\"nothing\"}\n");
    raw_close(fd);
}

/* ---- losses ---- */

static void losses_are_forgotten_whatever_the_policy(void **state)
{
    (void)state;
    enum { PIECE = 60000, MOST = 1 << 17 };
    const ln_ws_options ws = {
        .overflow = LN_OVERFLOW_DROP_NEWEST, .queue_max_bytes = MOST, .high_water_bytes = MOST};
    const ln_broker_options options = {.ws = &ws};
    kit_world *const w = kit_start(1, &options, NULL);
    const int fd = kit_enter(w), reader = kit_enter(w);
    char *const bytes = malloc(PIECE);
    ln_broker_stats stats = {.clients = 0};

    memset(bytes, '7', PIECE);
    bytes[0] = bytes[PIECE - 1] = '"';
    kit_subscribe(fd, "t"); /* before the reader: what that has heard was tried here */
    kit_subscribe(reader, "t");
    for (uint64_t losses = 1; losses <= 4; losses++) {
        int count = 0;
        while (stats.dropped_total < losses) {
            assert_true(count++ < 2000);
            assert_int_equal(ln_broker_publish(w->broker, LN_SPAN("t"), (ln_span){bytes, PIECE}),
                             0);
            assert_in_range(strlen(kit_hear_any(reader)), PIECE, PIECE + 100);
            ln_broker_stats_get(w->broker, &stats);
        }
        for (int i = 0; i < count - 1; i++)
            assert_in_range(strlen(kit_hear_any(fd)), PIECE, PIECE + 100);
        kit_expect_silence(fd);
        ln_broker_stats_get(w->broker, &stats);
        assert_int_equal(stats.dropped_total, losses);
    }
    assert_int_equal(stats.slow_closes_total, 0);
    free(bytes);
    raw_close(reader);
    raw_close(fd);
    kit_stop(w);
}

static void only_the_latest_of_a_topic_waits_where_that_is_the_policy(void **state)
{
    (void)state;
    enum { PUBLICATIONS = 10 };
    const ln_ws_options ws = {.overflow = LN_OVERFLOW_KEEP_LATEST, .queue_max_bytes = 2 * MUCH};
    const ln_broker_options options = {.ws = &ws};
    kit_world *const w = kit_start(1, &options, NULL);
    const int fd = kit_enter(w);
    ln_server_stats stats;
    char number[12], heard[80];

    kit_subscribe(fd, "a"); /* before the reader: what that has heard was tried here */
    kit_subscribe(fd, "b");
    send_much(w, atomic_load(&w->last));
    const int reader = kit_enter(w);
    kit_subscribe(reader, "a");
    kit_subscribe(reader, "b");
    for (int i = 0; i < PUBLICATIONS; i++) {
        const char *const topic = i % 2 == 0 ? "a" : "b";
        snprintf(number, sizeof number, "%d", i);
        snprintf(heard, sizeof heard, "{\"type\":\"publish\",\"topic\":\"%s\",\"payload\":%d}\n",
                 topic, i);
        assert_int_equal(ln_broker_publish(w->broker, ln_text(topic), ln_text(number)), 0);
        kit_hear(reader, heard); /* loses nothing */
    }
    ln_server_stats_get(w->server, &stats);
    assert_int_equal(stats.replaced_total, PUBLICATIONS - 2);
    take_much(fd);
    kit_hear(fd, "{\"type\":\"publish\",\"topic\":\"a\",\"payload\":8}\n");
    kit_hear(fd, "{\"type\":\"publish\",\"topic\":\"b\",\"payload\":9}\n");
    kit_expect_silence(fd);
    raw_close(reader);
    raw_close(fd);
    kit_stop(w);
}

/* ---- clients that ask each other, on two workers ---- */

/* Holds up the worker that it runs on. */
static int on_stall(const ln_rpc_call *call, void *user)
{
    kit_world *const w = user;
    (void)call;
    atomic_fetch_add(&w->begun, 1);
    for (int i = 0; i < 5000 && atomic_load(&w->is_free) == 0; i++)
        kit_rest_ms(1);
    return 0;
}

/* A client whose worker is, or is not, `worker`; which it is in *at. */
static int enter_on(kit_world *w, const char *id, unsigned worker, bool is_same)
{
    char target[64];

    snprintf(target, sizeof target, "/wsmq?client_id=%s", id);
    for (int i = 0; i < 200; i++) {
        const int before = atomic_load(&w->connects);
        const int fd = kit_enter_at(w, target, "");
        kit_wait_for(&w->connects, before + 1);
        if ((atomic_load(&w->last) >> LN_CONN_WORKER_SHIFT == worker) == is_same)
            return fd;
        const int gone = atomic_load(&w->disconnects);
        raw_close(fd);
        kit_wait_for(&w->disconnects, gone + 1);
    }
    fail();
    return -1;
}

/* The ids of two requests that came. */
static void hear_two(int fd, char ids[2][64])
{
    for (int i = 0; i < 2; i++) {
        const char *const heard = kit_hear_any(fd);
        assert_memory_equal(heard, "{\"id\":\"", 7);
        memcpy(ids[i], heard + 7, LN_BROKER_MADE_ID_SIZE);
        ids[i][LN_BROKER_MADE_ID_SIZE] = '\0';
    }
}

/* Two of them are more than may be on their way to one connection. */
static void answer_at_length(int fd, const char *id)
{
    enum { LENGTH = 700000 };
    char *const text = malloc(LENGTH + 200);

    const int n = sprintf(text, "{\"id\":\"%s\",\"type\":\"response\",\"payload\":\"", id);
    memset(text + n, 'x', LENGTH);
    strcpy(text + n + LENGTH, "\"}");
    raw_send_text(fd, text);
    free(text);
}

static void an_answer_that_does_not_get_to_who_asked_is_an_error(void **state)
{
    static const char ask[] = "{\"id\":\"1\",\"type\":\"request\",\"topic\":\"system:proxy\","
                              "\"payload\":{\"targetId\":\"b\",\"topic\":\"t\"}}";
    kit_world *const w = *state;
    char ids[2][64];

    atomic_store(&w->allows_proxy, true);
    assert_int_equal(ln_broker_handle(w->broker, "stall", on_stall, w), 0);
    const int a = enter_on(w, "a", 99, false);
    const unsigned worker = (unsigned)(atomic_load(&w->last) >> LN_CONN_WORKER_SHIFT);
    const int b = enter_on(w, "b", worker, false);
    raw_send_text(a, ask);
    raw_send_text(a, ask);
    hear_two(b, ids);
    raw_send_text(a, "{\"id\":\"2\",\"type\":\"request\",\"topic\":\"stall\"}");
    kit_wait_for(&w->begun, 1);
    answer_at_length(b, ids[0]);
    answer_at_length(b, ids[1]);
    kit_expect_silence(b); /* both have been passed on, or not */
    atomic_store(&w->is_free, 1);
    kit_hear(a, "{\"id\":\"2\",\"type\":\"response\",\"topic\":\"stall\"}\n");
    assert_memory_equal(kit_hear_any(a), "{\"id\":\"1\",\"type\":\"response\"", 26);
    kit_hear(a,
             "{\"id\":\"1\",\"type\":\"error\",\"topic\":\"system:proxy\",\"error\":{\"code\":500,"
             "\"message\":\"proxy target error: its answer could not be passed on\"}}\n");
    raw_close(a);
    raw_close(b);
}

/* A thread sanitizer sees it, in whatever order the loops run. */
static void clients_of_one_session_register_again_on_any_worker(void **state)
{
    static const char as_s[] = "{\"type\":\"request\",\"topic\":\"system:register\",\"payload\":{"
                               "\"clientId\":\"s\"}}";
    kit_world *const w = *state;
    ln_conn_id found;

    const int a = enter_on(w, "a", 99, false);
    const ln_conn_id first = atomic_load(&w->last);
    const int b = enter_on(w, "b", (unsigned)(first >> LN_CONN_WORKER_SHIFT), false);
    const int turns[] = {a, b, a};
    for (int i = 0; i < 3; i++) {
        raw_send_text(turns[i], as_s);
        kit_wait_for(&w->registrations, i + 1);
    }
    assert_int_equal(ln_broker_find_session(w->broker, LN_SPAN("s"), &found), 0);
    assert_int_equal(found, first);
    raw_close(a);
    raw_close(b);
}

/* ---- requests of ours ---- */

static ln_rpc_ticket ticket;

/* The request that it takes back has been made by another thread, and waits for this loop. */
static int on_cancel(const ln_rpc_call *call, void *user)
{
    kit_world *const w = user;
    (void)call;
    atomic_fetch_add(&w->begun, 1);
    for (int i = 0; i < 5000 && atomic_load(&w->is_free) == 0; i++)
        kit_rest_ms(1);
    return ln_broker_cancel(&ticket);
}

static void a_request_may_be_taken_back_before_it_has_come_to_its_loop(void **state)
{
    kit_world *const w = *state;
    const int fd = kit_enter(w);

    kit_wait_for(&w->connects, 1);
    const ln_broker_request_options r = {
        .conn = atomic_load(&w->last), .topic = LN_SPAN("t"), .on_reply = kit_on_reply, .user = w};
    assert_int_equal(ln_broker_handle(w->broker, "cancel", on_cancel, w), 0);
    raw_send_text(fd, "{\"id\":\"1\",\"type\":\"request\",\"topic\":\"cancel\"}");
    kit_wait_for(&w->begun, 1);
    assert_int_equal(ln_broker_request(w->broker, &r, &ticket), 0);
    atomic_store(&w->is_free, 1);
    kit_hear(fd, "{\"id\":\"1\",\"type\":\"response\",\"topic\":\"cancel\"}\n");
    assert_non_null(strstr(kit_hear_any(fd), "\"type\":\"request\",\"topic\":\"t\"}"));
    kit_wait_for(&w->replies, 1);
    assert_int_equal(atomic_load(&w->reply_error), LN_ERR_CANCELLED);
    raw_close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_subscriber_may_be_taken_out_when_the_server_has_stopped),
        cmocka_unit_test(what_a_subscriber_cannot_have_is_refused_before_the_server_runs),
        cmocka_unit_test(who_could_not_be_pinged_is_pinged_when_it_has_caught_up),
        cmocka_unit_test(who_cannot_be_pinged_and_takes_nothing_is_closed),
        cmocka_unit_test(who_the_application_does_not_read_need_not_answer_pings),
        KIT_ONE(who_the_application_does_not_read_stays_so_when_it_has_caught_up),
        cmocka_unit_test(losses_are_forgotten_whatever_the_policy),
        cmocka_unit_test(only_the_latest_of_a_topic_waits_where_that_is_the_policy),
        KIT_ONE(a_request_may_be_taken_back_before_it_has_come_to_its_loop),
        KIT_THREE(an_answer_that_does_not_get_to_who_asked_is_an_error),
        KIT_THREE(clients_of_one_session_register_again_on_any_worker),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
