/* SPDX-License-Identifier: MIT */
/*
 * A broker's client on the network, against a double of a server: on a loop of the test's, on a
 * thread of its own, inside a foreign loop.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <linnet/brokerclient.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

#include "broker_double.h"
#include "failing_alloc.h"
#include "server_kit.h"

enum { WAIT_MS = 10000, SHORT_MS = 300 };

static const ln_loop_options quiet_loop = {.log = kit_quiet};

/* ---- the rig: a double, and a client on a loop of ours ---- */

enum act { NOTHING, STOP, FREE };

typedef struct rig {
    broker_double *server;
    ln_loop *loop;
    ln_broker_client *client;
    char trace[64];
    int opened, stopped, failed, replies, heard, error;
    char text[256];
    enum act on_state, on_error, on_reply, on_heard;
    enum ln_broker_client_state acts_in;
} rig;

static void act(rig *r, enum act what)
{
    ln_broker_client *const k = r->client;
    switch (what) {
    case NOTHING:
        break;
    case STOP:
        ln_broker_client_stop(k);
        break;
    case FREE:
        r->client = NULL;
        ln_broker_client_free(k);
        break;
    }
}

static void on_state(ln_broker_client *k, enum ln_broker_client_state state, int64_t wait_ms,
                     void *user)
{
    rig *const r = user;
    (void)k;
    (void)wait_ms;
    r->opened += state == LN_BROKER_CLIENT_OPEN;
    r->stopped += state == LN_BROKER_CLIENT_STOPPED;
    if (state == r->acts_in)
        act(r, r->on_state);
}

static void on_error(ln_broker_client *k, int err, const char *what, void *user)
{
    rig *const r = user;
    (void)k;
    r->failed++;
    r->error = err;
    snprintf(r->text, sizeof r->text, "%s", what);
    act(r, r->on_error);
}

static void on_reply(const ln_broker_client_reply *reply, void *user)
{
    rig *const r = user;
    r->replies++;
    r->error = reply->error;
    snprintf(r->text, sizeof r->text, "%.*s%.*s", (int)reply->payload.size,
             (const char *)reply->payload.data, (int)reply->message.size,
             (const char *)reply->message.data);
    act(r, r->on_reply);
}

static void on_heard(ln_broker_client *k, ln_span topic, ln_span payload, void *user)
{
    rig *const r = user;
    (void)k;
    (void)topic;
    r->heard++;
    snprintf(r->text, sizeof r->text, "%.*s", (int)payload.size, (const char *)payload.data);
    act(r, r->on_heard);
}

static int set_up(void **state)
{
    rig *const r = calloc(1, sizeof *r);
    r->server = broker_double_start(0);
    assert_int_equal(ln_loop_new(&quiet_loop, &r->loop), 0);
    *state = r;
    return 0;
}

static int tear_down(void **state)
{
    rig *const r = *state;
    ln_broker_client_free(r->client);
    ln_loop_free(r->loop);
    broker_double_free(r->server);
    free(r);
    return 0;
}

static void turn_until(rig *r, const int *value, int at_least)
{
    const int64_t until = kit_clock_ms() + WAIT_MS;
    while (*value < at_least && kit_clock_ms() < until)
        assert_int_equal(ln_loop_turn(r->loop, 10), 0);
    assert_true(*value >= at_least);
}

/* The double receives what the loop sends meanwhile. */
static void wait_for(rig *r, const char *part, size_t count)
{
    const int64_t until = kit_clock_ms() + WAIT_MS;
    while (broker_double_count(r->server, part) < count && kit_clock_ms() < until)
        assert_int_equal(ln_loop_turn(r->loop, 1), 0);
    broker_double_wait(r->server, part, count);
}

static ln_broker_client_options watched(rig *r)
{
    return (ln_broker_client_options){.reconnect_base_ms = 20,
                                      .reconnect_max_ms = 50,
                                      .on_state = on_state,
                                      .on_error = on_error,
                                      .user = r};
}

static void start(rig *r, ln_broker_client_options o)
{
    assert_int_equal(ln_broker_client_new(r->loop, broker_double_url(r->server), &o, &r->client),
                     0);
    assert_int_equal(r->opened + r->failed, 0);
}

static void open_up(rig *r)
{
    start(r, watched(r));
    turn_until(r, &r->opened, 1);
}

static int ask(rig *r, const char *topic)
{
    const ln_broker_client_order order = {.topic = {topic, strlen(topic)},
                                          .payload = LN_SPAN("{\"a\":[1,2]}"),
                                          .on_reply = on_reply,
                                          .user = r};
    return ln_broker_client_request(r->client, &order, NULL);
}

/* ---- on a loop ---- */

static void it_registers_asks_and_hears(void **state)
{
    rig *const r = *state;
    char name[16];

    start(r, watched(r));
    assert_int_equal(ln_broker_client_subscribe(r->client, LN_SPAN("news"), on_heard, r, NULL), 0);
    assert_int_equal(ln_broker_client_publish(r->client, LN_SPAN("news"), LN_SPAN("\"early\"")), 0);
    assert_int_equal(ask(r, "echo"), 0);
    turn_until(r, &r->heard, 1);
    turn_until(r, &r->replies, 1);
    assert_string_equal(r->text, "{\"a\":[1,2]}");
    assert_int_equal(ln_broker_client_id(r->client, name, sizeof name), 5);
    assert_string_equal(name, "guest");
    assert_int_equal(ask(r, "fail"), 0);
    turn_until(r, &r->replies, 2);
    assert_int_equal(r->error, LN_ERR_REFUSED);
    assert_string_equal(r->text, "teapot");
}

static int later(const ln_broker_client_call *call, void *user)
{
    *(ln_broker_client_ticket *)user = call->ticket;
    return LN_ERR_AGAIN;
}

static void *answer(void *arg)
{
    const ln_broker_client_ticket *const ticket = arg;
    assert_int_equal(ln_broker_client_result(ticket, LN_SPAN("\"from afar\"")), 0);
    assert_int_equal(ln_broker_client_result(ticket, LN_SPAN("1")), LN_ERR_NOT_FOUND);
    return NULL;
}

static void another_thread_may_answer(void **state)
{
    rig *const r = *state;
    ln_broker_client_ticket ticket = {.client = NULL};
    pthread_t thread;

    open_up(r);
    assert_int_equal(ln_broker_client_serve(r->client, LN_SPAN("poked"), later, &ticket), 0);
    assert_int_equal(ask(r, "poke"), 0);
    while (ticket.client == NULL)
        assert_int_equal(ln_loop_turn(r->loop, 10), 0);
    pthread_create(&thread, NULL, answer, &ticket);
    turn_until(r, &r->replies, 1);
    pthread_join(thread, NULL);
    assert_string_equal(r->text, "\"from afar\"");
}

static void a_lost_connection_fails_requests_and_comes_back(void **state)
{
    rig *const r = *state;

    open_up(r);
    assert_int_equal(ln_broker_client_subscribe(r->client, LN_SPAN("news"), on_heard, r, NULL), 0);
    r->error = 0;
    assert_int_equal(ask(r, "vanish"), 0);
    turn_until(r, &r->replies, 1);
    turn_until(r, &r->opened, 2);
    assert_int_equal(ln_broker_client_publish(r->client, LN_SPAN("news"), LN_SPAN("2")), 0);
    turn_until(r, &r->heard, 1);
    assert_int_equal(ask(r, "bye"), 0);
    turn_until(r, &r->opened, 3);
    assert_int_equal(r->replies, 2);
    assert_int_equal(r->error, LN_ERR_CLOSED);
    assert_string_equal(r->text, "the connection ended: 4000 go away");
    wait_for(r, "\"subscribe_request\"", 3);
    assert_int_equal(broker_double_count(r->server, "\"vanish\""), 1);
}

static void it_returns_when_the_server_does(void **state)
{
    rig *const r = *state;
    const int port = broker_double_port(r->server);

    open_up(r);
    broker_double_free(r->server);
    turn_until(r, &r->failed, 2);
    assert_int_equal(ln_broker_client_publish(r->client, LN_SPAN("x"), LN_SPAN("\"kept\"")), 0);
    r->server = broker_double_start(port);
    turn_until(r, &r->opened, 2);
    wait_for(r, "\"kept\"", 1);
}

static void publish_two(void *arg)
{
    rig *const r = arg;
    assert_int_equal(ln_broker_client_publish(r->client, LN_SPAN("x"), LN_SPAN("2")), 0);
}

static void what_is_called_between_turns_keeps_its_place(void **state)
{
    rig *const r = *state;

    open_up(r);
    assert_int_equal(ln_broker_client_subscribe(r->client, LN_SPAN("x"), on_heard, r, NULL), 0);
    /* the timer is the first that the next turn looks at */
    assert_int_equal(ln_loop_after(r->loop, 0, publish_two, r, NULL), 0);
    assert_int_equal(ln_broker_client_publish(r->client, LN_SPAN("x"), LN_SPAN("1")), 0);
    turn_until(r, &r->heard, 2);
    assert_string_equal(r->text, "2");
}

static const char *give_token(ln_broker_client *k, void *user)
{
    static char token[16];
    static int calls;
    (void)k;
    (void)user;
    snprintf(token, sizeof token, "t%d", ++calls);
    return token;
}

static void each_attempt_asks_for_a_token_and_names_the_client(void **state)
{
    rig *const r = *state;
    ln_broker_client_options o = watched(r);

    o.token = give_token;
    o.id = "a b/\xc3\xbc&";
    start(r, o);
    turn_until(r, &r->opened, 1);
    assert_int_equal(ask(r, "vanish"), 0);
    turn_until(r, &r->opened, 2);
    broker_double_wait(r->server, "GET ?client_id=a%20b%2F%C3%BC%26 Bearer t1\n", 1);
    broker_double_wait(r->server, "GET ?client_id=a%20b%2F%C3%BC%26 Bearer t2\n", 1);
}

static void a_query_of_the_url_stays(void **state)
{
    rig *const r = *state;
    char url[96];
    const ln_broker_client_options o = watched(r);

    snprintf(url, sizeof url, "%s?room=1", broker_double_url(r->server));
    assert_int_equal(ln_broker_client_new(r->loop, url, &o, &r->client), 0);
    turn_until(r, &r->opened, 1);
    broker_double_wait(r->server, "GET ?room=1&client_id=", 1);
}

static void wrong_urls_and_headers_are_errors(void **state)
{
    rig *const r = *state;
    static const char *const urls[] = {"", "ftp://x/", "ws://", "ws://x/#f", "ws://x:0x/"};
    const ln_client_header header = {"Host", "x"};

    for (size_t i = 0; i < sizeof urls / sizeof *urls; i++) {
        assert_int_equal(ln_broker_client_new(r->loop, urls[i], NULL, &r->client), LN_ERR_INVALID);
        assert_int_equal(ln_broker_client_new(NULL, urls[i], NULL, &r->client), LN_ERR_INVALID);
    }
    const ln_broker_client_options o = {.headers = &header, .header_count = 1};
    assert_int_equal(ln_broker_client_new(r->loop, "ws://x/", &o, &r->client), LN_ERR_INVALID);
    assert_null(r->client);
}

static void a_stop_sends_what_was_called_before_it(void **state)
{
    rig *const r = *state;

    open_up(r);
    for (int i = 0; i < 100; i++)
        assert_int_equal(ln_broker_client_publish(r->client, LN_SPAN("x"), LN_SPAN("\"last\"")), 0);
    ln_broker_client_stop(r->client);
    turn_until(r, &r->stopped, 1);
    broker_double_wait(r->server, "CLOSE 1000", 1);
    assert_int_equal(broker_double_count(r->server, "\"last\""), 100);
    assert_int_equal(r->failed, 0);
}

static void it_may_be_stopped_or_freed_in_any_handler(void **state)
{
    rig *const r = *state;

    for (enum act what = STOP; what <= FREE; what++)
        for (int where = 0; where < 6; where++) {
            rig inner = {.server = r->server, .loop = r->loop};
            inner.on_state = where < 3 ? what : NOTHING;
            inner.acts_in = where == 0   ? LN_BROKER_CLIENT_OPEN
                            : where == 1 ? LN_BROKER_CLIENT_WAITING
                                         : LN_BROKER_CLIENT_CONNECTING;
            inner.on_error = where == 3 ? what : NOTHING;
            inner.on_reply = where == 4 ? what : NOTHING;
            inner.on_heard = where == 5 ? what : NOTHING;
            start(&inner, watched(&inner));
            assert_int_equal(
                ln_broker_client_subscribe(inner.client, LN_SPAN("x"), on_heard, &inner, NULL), 0);
            assert_int_equal(ln_broker_client_publish(inner.client, LN_SPAN("x"), LN_SPAN("1")), 0);
            assert_int_equal(ask(&inner, where == 4   ? "echo"
                                         : where == 5 ? "silent"
                                                      : "vanish"),
                             0);
            const int64_t until = kit_clock_ms() + WAIT_MS;
            while (inner.client != NULL && inner.stopped == 0 && kit_clock_ms() < until)
                assert_int_equal(ln_loop_turn(r->loop, 10), 0);
            assert_true(kit_clock_ms() < until);
            ln_broker_client_free(inner.client);
            assert_int_equal(inner.replies, 1);
        }
}

static void it_can_be_freed_in_every_state(void **state)
{
    rig *const r = *state;

    for (int turns = 0; turns < 12; turns++) {
        rig inner = {.server = r->server, .loop = r->loop};
        start(&inner, watched(&inner));
        assert_int_equal(ask(&inner, "silent"), 0);
        for (int i = 0; i < turns; i++)
            assert_int_equal(ln_loop_turn(r->loop, 5), 0);
        ln_broker_client_free(inner.client);
        assert_int_equal(inner.replies, 1);
        assert_int_equal(inner.error, LN_ERR_CLOSED);
    }
}

/* ---- inside a foreign loop ---- */

static void a_foreign_loop_drives_it(void **state)
{
    rig *const r = *state;
    const int64_t began = kit_clock_ms();

    start(r, watched(r));
    assert_int_equal(ask(r, "echo"), 0);
    /* No timer has anything to do here: every step but those that are due at once is brought by
     * the descriptor. */
    while (r->replies == 0) {
        struct pollfd p = {.fd = ln_loop_fd(r->loop), .events = POLLIN};
        assert_int_equal(poll(&p, 1, ln_loop_timeout_ms(r->loop) == 0 ? 0 : WAIT_MS) < 0, 0);
        assert_true(ln_loop_timeout_ms(r->loop) == 0 || p.revents != 0);
        assert_int_equal(ln_loop_turn(r->loop, 0), 0);
    }
    assert_true(kit_clock_ms() - began <
                WAIT_MS / 2); /* poll() may find at its end what did not wake it */
    assert_int_equal(r->replies, 1);
    assert_string_equal(r->text, "{\"a\":[1,2]}");
}

/* ---- on a thread of its own ---- */

typedef struct shared {
    ln_broker_client *client;
    atomic_int heard, answered;
} shared;

static void count_heard(ln_broker_client *k, ln_span topic, ln_span payload, void *user)
{
    shared *const s = user;
    (void)k;
    (void)topic;
    (void)payload;
    atomic_fetch_add(&s->heard, 1);
}

static void take_sum(const ln_broker_client_reply *reply, void *user)
{
    int *const sum = user;
    double number;
    if (reply->error == 0 && ln_json_number(reply->payload, &number) == 0)
        *sum += (int)number;
}

enum { THREADS = 4, ROUNDS = 200 };

static void *work(void *arg)
{
    shared *const s = arg;
    int sum = 0;

    for (int i = 0; i < ROUNDS; i++) {
        const ln_broker_client_order order = {
            .topic = LN_SPAN("echo"), .payload = LN_SPAN("7 "), .on_reply = take_sum, .user = &sum};
        assert_int_equal(ln_broker_client_request_wait(s->client, &order), 0);
        assert_int_equal(ln_broker_client_publish(s->client, LN_SPAN("x"), LN_SPAN("1")), 0);
    }
    assert_int_equal(sum, 7 * ROUNDS);
    return NULL;
}

static void many_threads_share_it(void **state)
{
    rig *const r = *state;
    shared s = {.client = NULL};
    pthread_t threads[THREADS];
    const ln_broker_client_options o = {.loop = &quiet_loop};

    assert_int_equal(ln_broker_client_new(NULL, broker_double_url(r->server), &o, &s.client), 0);
    assert_int_equal(ln_broker_client_subscribe(s.client, LN_SPAN("x"), count_heard, &s, NULL), 0);
    assert_int_equal(ln_broker_client_wait_open(s.client, WAIT_MS), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_create(&threads[i], NULL, work, &s);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    for (int i = 0; i < WAIT_MS && atomic_load(&s.heard) < THREADS * ROUNDS; i++)
        usleep(1000);
    assert_int_equal(atomic_load(&s.heard), THREADS * ROUNDS);
    ln_broker_client_free(s.client);
}

static void blocking_calls_tell_how_they_ended(void **state)
{
    rig *const r = *state;
    const ln_broker_client_options o = {
        .loop = &quiet_loop, .reconnect_base_ms = 20, .reconnect_max_ms = 50};
    ln_broker_client *k;
    ln_broker_client_order order = {.topic = LN_SPAN("fail"), .on_reply = on_reply, .user = r};

    assert_int_equal(ln_broker_client_new(NULL, broker_double_url(r->server), &o, &k), 0);
    assert_int_equal(ln_broker_client_request_wait(k, &order), LN_ERR_REFUSED);
    assert_string_equal(r->text, "teapot");
    assert_int_equal(r->replies, 1);
    order.topic = LN_SPAN("silent");
    order.timeout_ms = 50;
    assert_int_equal(ln_broker_client_request_wait(k, &order), LN_ERR_TIMEOUT);
    order.topic = LN_SPAN("vanish");
    order.timeout_ms = 0;
    assert_int_equal(ln_broker_client_request_wait(k, &order), LN_ERR_RESET);
    assert_int_equal(ln_broker_client_wait_open(k, WAIT_MS), 0);
    order.topic = LN_SPAN("");
    assert_int_equal(ln_broker_client_request_wait(k, &order), LN_ERR_INVALID);
    assert_int_equal(r->replies, 3);
    broker_double_stop(r->server);
    order.topic = LN_SPAN("echo");
    order.timeout_ms = 100;
    const int rc = ln_broker_client_request_wait(k, &order);
    assert_true(rc == LN_ERR_TIMEOUT || rc == LN_ERR_RESET);
    ln_broker_client_stop(k);
    assert_int_equal(ln_broker_client_wait_open(k, WAIT_MS), LN_ERR_CLOSED);
    assert_int_equal(ln_broker_client_request_wait(k, &order), LN_ERR_CLOSED);
    ln_broker_client_free(k);
}

static void *wait_open(void *arg)
{
    ln_broker_client *const k = arg;
    assert_int_equal(ln_broker_client_wait_open(k, 50), LN_ERR_TIMEOUT);
    assert_int_equal(ln_broker_client_wait_open(k, WAIT_MS), LN_ERR_CLOSED);
    return NULL;
}

static void waiting_for_a_server_that_is_not_there_ends(void **state)
{
    rig *const r = *state;
    const ln_broker_client_options o = {.loop = &quiet_loop};
    ln_broker_client *k;
    pthread_t thread;

    broker_double_stop(r->server);
    assert_int_equal(ln_broker_client_new(NULL, broker_double_url(r->server), &o, &k), 0);
    pthread_create(&thread, NULL, wait_open, k);
    usleep(100000);
    ln_broker_client_stop(k);
    pthread_join(thread, NULL);
    ln_broker_client_free(k);
}

static void calls_that_would_wait_for_themselves_are_refused(ln_broker_client *k, ln_span topic,
                                                             ln_span payload, void *user)
{
    atomic_int *const verdict = user;
    const ln_broker_client_order order = {.topic = LN_SPAN("echo")};
    (void)topic;
    (void)payload;
    atomic_store(verdict, ln_broker_client_wait_open(k, 1) == LN_ERR_STATE &&
                              ln_broker_client_request_wait(k, &order) == LN_ERR_STATE);
}

static void what_was_published_before_free_arrives(void **state)
{
    rig *const r = *state;
    const ln_broker_client_options o = {.loop = &quiet_loop};
    ln_broker_client *k;
    atomic_int verdict = -1;

    assert_int_equal(ln_broker_client_new(NULL, broker_double_url(r->server), &o, &k), 0);
    assert_int_equal(ln_broker_client_wait_open(k, WAIT_MS), 0);
    assert_int_equal(ln_broker_client_subscribe(k, LN_SPAN("me"),
                                                calls_that_would_wait_for_themselves_are_refused,
                                                &verdict, NULL),
                     0);
    assert_int_equal(ln_broker_client_publish(k, LN_SPAN("me"), LN_SPAN("1")), 0);
    for (int i = 0; i < WAIT_MS && atomic_load(&verdict) < 0; i++)
        usleep(1000);
    assert_int_equal(atomic_load(&verdict), 1);
    for (int i = 0; i < 500; i++)
        assert_int_equal(ln_broker_client_publish(k, LN_SPAN("x"), LN_SPAN("\"burst\"")), 0);
    ln_broker_client_free(k);
    broker_double_wait(r->server, "CLOSE 1000", 1);
    assert_int_equal(broker_double_count(r->server, "\"burst\""), 500);
}

/* What threads do to a client whose connection is cut all the time. */
typedef struct storm {
    ln_broker_client *client;
    atomic_int accepted, ended, cancelled;
    atomic_bool is_over;
    pthread_mutex_t mutex; /* of the ticket */
    ln_broker_client_ticket ticket;
} storm;

static void count_end(const ln_broker_client_reply *reply, void *user)
{
    storm *const s = user;
    (void)reply;
    atomic_fetch_add(&s->ended, 1);
}

static void *ask_and_cancel(void *arg)
{
    storm *const s = arg;
    const ln_broker_client_order order = {
        .topic = LN_SPAN("echo"), .on_reply = count_end, .user = s, .timeout_ms = 500};
    uint64_t request;

    for (int i = 0; !atomic_load(&s->is_over); i++) {
        if (ln_broker_client_request(s->client, &order, &request) < 0) {
            usleep(100);
            continue;
        }
        atomic_fetch_add(&s->accepted, 1);
        if (i % 2 == 0 && ln_broker_client_cancel(s->client, request) == 0)
            atomic_fetch_add(&s->cancelled, 1);
    }
    return NULL;
}

static int hand_on(const ln_broker_client_call *call, void *user)
{
    storm *const s = user;
    pthread_mutex_lock(&s->mutex);
    s->ticket = call->ticket;
    pthread_mutex_unlock(&s->mutex);
    return LN_ERR_AGAIN;
}

static void hear_nothing(ln_broker_client *k, ln_span topic, ln_span payload, void *user)
{
    (void)k;
    (void)topic;
    (void)payload;
    (void)user;
}

static void *come_and_go(void *arg)
{
    storm *const s = arg;
    const ln_broker_client_order poke = {.topic = LN_SPAN("poke"), .timeout_ms = 500};
    uint64_t subscription;

    while (!atomic_load(&s->is_over)) {
        if (ln_broker_client_subscribe(s->client, LN_SPAN("x"), hear_nothing, s, &subscription) ==
            0)
            while (ln_broker_client_unsubscribe(s->client, subscription) == LN_ERR_WOULD_EXCEED)
                usleep(100);
        (void)ln_broker_client_serve(s->client, LN_SPAN("poked"), hand_on, s);
        (void)ln_broker_client_request(s->client, &poke, NULL);
        pthread_mutex_lock(&s->mutex);
        const ln_broker_client_ticket ticket = s->ticket;
        pthread_mutex_unlock(&s->mutex);
        if (ticket.client != NULL)
            (void)ln_broker_client_result(&ticket, LN_SPAN("1"));
        (void)ln_broker_client_publish(s->client, LN_SPAN("x"), LN_SPAN("1"));
        usleep(50);
    }
    return NULL;
}

static void threads_and_losses_meet(void **state)
{
    rig *const r = *state;
    storm s = {.client = NULL};
    pthread_t threads[4];
    const ln_broker_client_options o = {
        .loop = &quiet_loop, .reconnect_base_ms = 2, .reconnect_max_ms = 5};
    const ln_broker_client_order vanish = {.topic = LN_SPAN("vanish")};
    ln_broker_client_stats stats;

    pthread_mutex_init(&s.mutex, NULL);
    assert_int_equal(ln_broker_client_new(NULL, broker_double_url(r->server), &o, &s.client), 0);
    for (int i = 0; i < 4; i++)
        pthread_create(&threads[i], NULL, i < 2 ? ask_and_cancel : come_and_go, &s);
    for (int i = 0; i < 40; i++) {
        (void)ln_broker_client_request(s.client, &vanish, NULL);
        usleep(15000);
    }
    atomic_store(&s.is_over, true);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    ln_broker_client_stats_get(s.client, &stats);
    ln_broker_client_free(s.client);
    pthread_mutex_destroy(&s.mutex);
    assert_true(stats.opened_total > 1 && atomic_load(&s.cancelled) > 0);
    assert_int_equal(atomic_load(&s.ended) + atomic_load(&s.cancelled), atomic_load(&s.accepted));
}

static void cancel_from_afar_is_as_good(void **state)
{
    rig *const r = *state;
    const ln_broker_client_options o = {.loop = &quiet_loop};
    const ln_broker_client_order order = {
        .topic = LN_SPAN("silent"), .on_reply = on_reply, .user = r, .timeout_ms = 200};
    ln_broker_client *k;
    uint64_t request;

    assert_int_equal(ln_broker_client_new(NULL, broker_double_url(r->server), &o, &k), 0);
    for (int i = 0; i < 50; i++) {
        assert_int_equal(ln_broker_client_request(k, &order, &request), 0);
        assert_int_equal(ln_broker_client_cancel(k, request), 0);
        assert_int_equal(ln_broker_client_cancel(k, request), LN_ERR_NOT_FOUND);
    }
    usleep(300000);
    ln_broker_client_free(k);
    assert_int_equal(r->replies, 0);
}

/* ---- out of memory ---- */

static int one_life(const ln_allocator *alloc, void *user)
{
    rig *const r = user;
    ln_loop_options o = quiet_loop;
    const ln_broker_client_options one = {
        .is_one_shot = true, .token = give_token, .request_ms = SHORT_MS};
    int replies = 0;
    rig inner = {.server = r->server};

    o.allocator = alloc;
    int rc = ln_loop_new(&o, &inner.loop);
    if (rc < 0)
        return rc;
    rc = ln_broker_client_new(inner.loop, broker_double_url(r->server), &one, &inner.client);
    if (rc == 0) {
        rc = ask(&inner, "echo");
        replies = rc == 0;
        const int64_t until = kit_clock_ms() + WAIT_MS;
        while (inner.replies < replies && kit_clock_ms() < until)
            (void)ln_loop_turn(inner.loop, 10);
        assert_int_equal(inner.replies, replies);
        if (rc == 0 && inner.error != 0)
            rc = LN_ERR_NOMEM;
    }
    ln_broker_client_free(inner.client);
    ln_loop_free(inner.loop);
    return rc;
}

static void running_out_of_memory_leaves_nothing(void **state)
{
    assert_true(failing_alloc_sweep(one_life, *state) > 20);
}

static int threaded_life(const ln_allocator *alloc, void *user)
{
    rig *const r = user;
    const ln_loop_options loop = {.log = kit_quiet, .allocator = alloc};
    const ln_broker_client_options one = {
        .is_one_shot = true, .loop = &loop, .request_ms = SHORT_MS, .ws.close_wait_ms = SHORT_MS};
    const ln_broker_client_order order = {.topic = LN_SPAN("echo")};
    ln_broker_client *k;

    int rc = ln_broker_client_new(NULL, broker_double_url(r->server), &one, &k);
    if (rc < 0)
        return rc;
    rc = ln_broker_client_request_wait(k, &order);
    ln_broker_client_free(k);
    return rc < 0 ? LN_ERR_NOMEM : 0;
}

static void a_thread_that_runs_out_of_memory_leaves_nothing(void **state)
{
    assert_true(failing_alloc_sweep(threaded_life, *state) > 20);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(it_registers_asks_and_hears),
        CASE(another_thread_may_answer),
        CASE(a_lost_connection_fails_requests_and_comes_back),
        CASE(it_returns_when_the_server_does),
        CASE(what_is_called_between_turns_keeps_its_place),
        CASE(each_attempt_asks_for_a_token_and_names_the_client),
        CASE(a_query_of_the_url_stays),
        CASE(wrong_urls_and_headers_are_errors),
        CASE(a_stop_sends_what_was_called_before_it),
        CASE(it_may_be_stopped_or_freed_in_any_handler),
        CASE(it_can_be_freed_in_every_state),
        CASE(a_foreign_loop_drives_it),
        CASE(many_threads_share_it),
        CASE(blocking_calls_tell_how_they_ended),
        CASE(waiting_for_a_server_that_is_not_there_ends),
        CASE(what_was_published_before_free_arrives),
        CASE(threads_and_losses_meet),
        CASE(cancel_from_afar_is_as_good),
        CASE(running_out_of_memory_leaves_nothing),
        CASE(a_thread_that_runs_out_of_memory_leaves_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
