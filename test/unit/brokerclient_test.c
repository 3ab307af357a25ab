/* SPDX-License-Identifier: MIT */
/* A broker's client without a network: coming, going, requests and topics. */
#include "brokerclient_kit.h"

static const ln_broker_client_options no_options;

/* ---- coming and going ---- */

static void it_registers_and_takes_the_name_it_is_given(void **state)
{
    kit *const t = kit_new(&(ln_broker_client_options){
        .id = "a/\xc3\xbc\"", .name = "n", .type = "sensor", .page = "http://x/"});
    char name[64];

    (void)state;
    assert_int_equal(ln_broker_client_id(t->k, name, sizeof name), 5);
    assert_string_equal(name, "a/\xc3\xbc\"");
    assert_int_equal(ln_broker_client_id(t->k, name, 5), LN_ERR_LIMIT);
    assert_int_equal(t->opens, 1);
    kit_expect_silence(t);
    kit_up(t);
    kit_expect(t, "{\"id\":\"" KIT_NONCE "0100000000000000\",\"type\":\"request\","
                  "\"topic\":\"system:register\",\"payload\":{\"clientId\":\"a/\xc3\xbc\\\"\","
                  "\"clientName\":\"n\",\"clientType\":\"sensor\",\"clientUrl\":\"http://x/\"}}\n");
    assert_int_equal(ln_broker_client_state_get(t->k), LN_BROKER_CLIENT_CONNECTING);
    kit_say(t, KIT_REGISTERED);
    kit_saw(t, "O");
    assert_int_equal(ln_broker_client_id(t->k, name, sizeof name), 5);
    assert_string_equal(name, "given");
    kit_say(t, KIT_REGISTERED); /* once is enough */
    kit_saw(t, "");
    kit_free(t);
}

static void it_keeps_its_name_where_none_is_given(void **state)
{
    kit *const t = kit_new(&no_options);
    char name[64];

    (void)state;
    kit_up(t);
    kit_say(t, "{\"id\":\"" KIT_NONCE "0100000000000000\",\"type\":\"response\"}");
    kit_saw(t, "O");
    assert_int_equal(ln_broker_client_id(t->k, name, sizeof name), 32);
    assert_string_equal(name, KIT_NAME);
    kit_free(t);
}

static void after_a_loss_it_waits_and_does_all_of_it_again(void **state)
{
    kit *const t = kit_new(&(ln_broker_client_options){.reconnect_base_ms = 1000});

    (void)state;
    kit_open(t);
    kit_down(t, LN_ERR_RESET);
    kit_saw(t, "!W");
    assert_int_equal(t->err, LN_ERR_RESET);
    assert_int_equal(t->wait_ms, 1000 * 0x77777777ull >> 32);
    kit_wait(t, (uint64_t)t->wait_ms - 1);
    assert_int_equal(t->opens, 1);
    kit_wait(t, 1);
    assert_int_equal(t->opens, 2);
    kit_saw(t, "C");
    kit_open(t);
    kit_free(t);
}

static void waits_double_until_a_registration_and_not_a_connection_ends_the_row(void **state)
{
    kit *const t =
        kit_new(&(ln_broker_client_options){.reconnect_base_ms = 1000, .reconnect_max_ms = 3000});
    static const uint64_t steps[] = {1000, 2000, 3000, 3000};

    (void)state;
    for (size_t i = 0; i < 4; i++) {
        kit_up(t); /* connected, not registered */
        kit_down(t, LN_ERR_RESET);
        assert_int_equal(t->wait_ms, steps[i] * 0x77777777ull >> 32);
        kit_wait(t, (uint64_t)t->wait_ms);
    }
    kit_saw(t, "!WC!WC!WC!WC");
    kit_up(t);
    kit_say(t, KIT_REGISTERED);
    kit_down(t, LN_ERR_RESET);
    assert_int_equal(t->wait_ms, 1000 * 0x77777777ull >> 32);
    kit_free(t);
}

static void a_registration_that_fails_is_an_attempt_that_failed(void **state)
{
    kit *const t = kit_new(&(ln_broker_client_options){.request_ms = 500});

    (void)state;
    kit_up(t);
    kit_say(t, "{\"id\":\"" KIT_NONCE "0100000000000000\",\"type\":\"error\","
               "\"error\":{\"code\":403,\"message\":\"not \\u0022you\\u0022\"}}");
    assert_int_equal(t->err, LN_ERR_REFUSED);
    assert_string_equal(t->what, "the registration was refused: not \"you\"");
    assert_int_equal(t->closed_with, 1011);
    kit_down(t, 0);
    kit_saw(t, "!W");
    kit_wait(t, 1000);
    kit_up(t); /* now it says nothing */
    kit_wait(t, 499);
    kit_saw(t, "C");
    kit_wait(t, 1);
    kit_saw(t, "!");
    assert_int_equal(t->err, LN_ERR_TIMEOUT);
    kit_down(t, 0);
    kit_saw(t, "W");
    kit_free(t);
}

static void attempts_have_an_end_if_they_are_to_have_one(void **state)
{
    kit *t = kit_new(&(ln_broker_client_options){.reconnect_attempts = 2});

    (void)state;
    for (int i = 0; i < 3; i++) {
        kit_down(t, LN_ERR_CONNECT);
        kit_wait(t, 100000);
    }
    kit_saw(t, "!WC!WC!S");
    assert_int_equal(t->opens, 3);
    assert_int_equal(ln_broker_client_publish(t->k, LN_SPAN("t"), LN_SPAN("1")), LN_ERR_CLOSED);
    kit_free(t);

    t = kit_new(&(ln_broker_client_options){.is_one_shot = true});
    kit_open(t);
    kit_down(t, LN_ERR_RESET);
    kit_saw(t, "!S");
    kit_wait(t, 1000000);
    assert_int_equal(t->opens, 1);
    kit_free(t);
}

static void a_status_that_does_not_change_ends_it_if_it_is_to(void **state)
{
    static const ln_broker_client_options choosy = {.stops_if_refused = true};
    static const unsigned passing[] = {0, 101, 408, 425, 429, 500, 503, 599};
    static const unsigned final[] = {200, 301, 400, 401, 403, 404, 405, 410, 426, 499};

    (void)state;
    for (size_t i = 0; i < LN_ARRAY_SIZE(final); i++) {
        kit *const t = kit_new(&choosy);
        for (size_t k = 0; k < LN_ARRAY_SIZE(passing); k++) {
            ln_broker_client_turned_away(t->k, LN_ERR_REFUSED, passing[k], "no");
            kit_wait(t, 100000);
            kit_saw(t, "!WC");
        }
        ln_broker_client_turned_away(t->k, LN_ERR_REFUSED, final[i], "no");
        kit_saw(t, "!S");
        kit_free(t);
    }
    kit *t = kit_new(&no_options);
    ln_broker_client_turned_away(t->k, LN_ERR_REFUSED, 404, "no");
    kit_saw(t, "!W");
    kit_free(t);

    t = kit_new(&choosy);
    kit_up(t); /* an address that has worked is not the wrong one */
    kit_down(t, LN_ERR_RESET);
    kit_wait(t, 100000);
    ln_broker_client_turned_away(t->k, LN_ERR_REFUSED, 404, "no");
    kit_saw(t, "!WC!W");
    kit_free(t);
}

static void an_attempt_that_cannot_begin_is_one_that_failed(void **state)
{
    kit *const t = kit_new(&no_options);

    (void)state;
    kit_down(t, LN_ERR_CONNECT);
    t->open_rc = LN_ERR_NOMEM;
    kit_wait(t, 1000);
    kit_saw(t, "!WC!W");
    assert_int_equal(t->err, LN_ERR_NOMEM);
    t->open_rc = 0;
    kit_wait(t, 2000);
    kit_saw(t, "C");
    kit_free(t);
}

static void wrong_options_are_errors(void **state)
{
    static const ln_broker_client_options wrong[] = {{.id = "\xff"},
                                                     {.name = "\xff"},
                                                     {.request_ms = LN_OFF},
                                                     {.requests_max = 65537},
                                                     {.queue_max_messages = LN_OFF},
                                                     {.queue_max_bytes = LN_OFF},
                                                     {.queue_max_ms = LN_OFF},
                                                     {.reconnect_base_ms = LN_OFF},
                                                     {.reconnect_max_ms = LN_OFF}};
    int rc;

    (void)state;
    for (size_t i = 0; i < LN_ARRAY_SIZE(wrong); i++) {
        kit *const t = kit_try(&wrong[i], NULL, &rc);
        assert_int_equal(rc, LN_ERR_INVALID);
        kit_free(t);
    }
}

static void a_name_has_a_longest_length(void **state)
{
    char name[LN_BROKER_CLIENT_ID_MAX_BYTES + 2], text[1024], buffer[300];
    int rc;

    (void)state;
    memset(name, 'x', sizeof name);
    name[sizeof name - 1] = '\0';
    kit *t = kit_try(&(ln_broker_client_options){.id = name}, NULL, &rc);
    assert_int_equal(rc, LN_ERR_INVALID);
    kit_free(t);
    for (int more = 0; more < 2; more++) {
        name[LN_BROKER_CLIENT_ID_MAX_BYTES + more] = '\0';
        t = kit_new(&(ln_broker_client_options){.id = "short"});
        kit_up(t);
        name[LN_BROKER_CLIENT_ID_MAX_BYTES] = more ? 'x' : '\0';
        snprintf(text, sizeof text,
                 "{\"id\":\"" KIT_NONCE "0100000000000000\",\"type\":\"response\",\"payload\":"
                 "{\"serverAssignedId\":\"%s\"}}",
                 name);
        kit_say(t, text);
        assert_int_equal(ln_broker_client_id(t->k, buffer, sizeof buffer),
                         more ? 5 : LN_BROKER_CLIENT_ID_MAX_BYTES);
        kit_free(t);
        name[LN_BROKER_CLIENT_ID_MAX_BYTES + 1] = '\0';
    }
}

/* ---- requests ---- */

/* What the last reply was, and how many there were. */
typedef struct seen {
    int count;
    int error;
    int64_t code;
    char payload[256];
    char message[256];
    kit *t;
    void (*then)(struct seen *s);
} seen;

static void on_reply(const ln_broker_client_reply *reply, void *user)
{
    seen *const s = user;
    s->count++;
    s->error = reply->error;
    s->code = reply->code;
    snprintf(s->payload, sizeof s->payload, "%.*s", (int)reply->payload.size,
             (const char *)reply->payload.data);
    snprintf(s->message, sizeof s->message, "%.*s", (int)reply->message.size,
             (const char *)reply->message.data);
    if (s->then != NULL)
        s->then(s);
}

static int ask(kit *t, const char *topic, seen *s, uint64_t *request)
{
    const ln_broker_client_order order = {.topic = {topic, strlen(topic)},
                                          .payload = LN_SPAN("[1]"),
                                          .on_reply = on_reply,
                                          .user = s};
    return ln_broker_client_request(t->k, &order, request);
}

static void a_request_is_answered_once(void **state)
{
    kit *const t = kit_new(&no_options);
    ln_broker_client_stats stats;
    seen s = {.count = 0};

    (void)state;
    kit_open(t);
    assert_int_equal(ask(t, "a\"b", &s, NULL), 0);
    kit_expect(t, "{\"id\":\"" KIT_REQUEST_ID("0") "\",\"type\":\"request\",\"topic\":\"a\\\"b\","
                                                   "\"payload\":[1]}\n");
    for (int i = 0; i < 2; i++)
        kit_say(t,
                "{\"id\":\"" KIT_REQUEST_ID("0") "\",\"type\":\"response\",\"payload\":{\"a\":1}}");
    assert_int_equal(s.count, 1);
    assert_int_equal(s.error, 0);
    assert_string_equal(s.payload, "{\"a\":1}");
    kit_wait(t, 100000);
    assert_int_equal(s.count, 1);
    ln_broker_client_stats_get(t->k, &stats);
    assert_int_equal(stats.requests_total, 1);
    assert_int_equal(stats.replies_total, 1);
    assert_int_equal(stats.strays_total, 1);
    assert_int_equal(stats.requests, 0);
    kit_free(t);
}

static void errors_are_recognised_in_all_their_shapes(void **state)
{
    static const struct {
        const char *rest;
        int64_t code;
        const char *message;
    } shapes[] = {
        {"\"type\":\"error\",\"error\":{\"code\":404,\"message\":\"n\\u00f6\"}", 404, "n\xc3\xb6"},
        {"\"type\":\"response\",\"error\":{\"code\":500,\"message\":\"m\"},\"payload\":1", 500,
         "m"},
        {"\"type\":\"error\",\"topic\":\"t\",\"payload\":{\"error\":\"in it\"}", 0, "in it"},
        {"\"type\":\"error\",\"payload\":{\"error\":{\"message\":\"deep\",\"code\":7}}", 7, "deep"},
        {"\"type\":\"error\"", 0, ""},
        {"\"type\":\"response\",\"error\":{}", 0, ""},
    };
    char text[256];

    (void)state;
    for (size_t i = 0; i < LN_ARRAY_SIZE(shapes); i++) {
        kit *const t = kit_new(&no_options);
        seen s = {.count = 0};
        kit_open(t);
        assert_int_equal(ask(t, "t", &s, NULL), 0);
        snprintf(text, sizeof text, "{\"id\":\"" KIT_REQUEST_ID("0") "\",%s}", shapes[i].rest);
        kit_say(t, text);
        assert_int_equal(s.count, 1);
        assert_int_equal(s.error, LN_ERR_REFUSED);
        assert_int_equal(s.code, shapes[i].code);
        assert_string_equal(s.message, shapes[i].message);
        kit_free(t);
    }
}

static void a_request_ends_without_an_answer(void **state)
{
    kit *const t = kit_new(&(ln_broker_client_options){.request_ms = 2000});
    ln_broker_client_order order = {
        .topic = LN_SPAN("t"), .on_reply = on_reply, .timeout_ms = 3000};
    ln_broker_client_stats stats;
    seen s = {.count = 0}, longer = {.count = 0};

    (void)state;
    order.user = &longer;
    kit_open(t);
    assert_int_equal(ask(t, "t", &s, NULL), 0);
    assert_int_equal(ln_broker_client_request(t->k, &order, NULL), 0);
    kit_wait(t, 1999);
    assert_int_equal(s.count, 0);
    kit_wait(t, 1);
    assert_int_equal(s.count, 1);
    assert_int_equal(s.error, LN_ERR_TIMEOUT);
    kit_say(t, "{\"id\":\"" KIT_REQUEST_ID("0") "\",\"type\":\"response\"}");
    assert_int_equal(s.count, 1);
    assert_int_equal(longer.count, 0);
    kit_wait(t, 1000);
    assert_int_equal(longer.error, LN_ERR_TIMEOUT);
    ln_broker_client_stats_get(t->k, &stats);
    assert_int_equal(stats.timeouts_total, 2);
    assert_int_equal(stats.strays_total, 1);
    kit_free(t);
}

static void a_request_that_was_sent_is_lost_with_its_connection_and_not_sent_again(void **state)
{
    kit *const t = kit_new(&no_options);
    ln_broker_client_stats stats;
    seen sent = {.count = 0}, waiting = {.count = 0};

    (void)state;
    kit_open(t);
    assert_int_equal(ask(t, "sent", &sent, NULL), 0);
    assert_non_null(kit_next(t));
    t->send_rc = LN_ERR_WOULD_EXCEED;
    assert_int_equal(ask(t, "waiting", &waiting, NULL), 0);
    t->send_rc = 0;
    kit_down(t, LN_ERR_RESET);
    assert_int_equal(sent.count, 1);
    assert_int_equal(sent.error, LN_ERR_RESET);
    assert_int_equal(waiting.count, 0);
    kit_wait(t, 1000);
    kit_saw(t, "!WC");
    kit_open(t);
    kit_expect(t, "{\"id\":\"" KIT_REQUEST_ID("1") "\",\"type\":\"request\","
                                                   "\"topic\":\"waiting\",\"payload\":[1]}\n");
    kit_expect_silence(t);
    kit_say(t, "{\"id\":\"" KIT_REQUEST_ID("0") "\",\"type\":\"response\"}");
    assert_int_equal(sent.count, 1);
    kit_say(t, "{\"id\":\"" KIT_REQUEST_ID("1") "\",\"type\":\"response\"}");
    assert_int_equal(waiting.count, 1);
    assert_int_equal(waiting.error, 0);
    ln_broker_client_stats_get(t->k, &stats);
    assert_int_equal(stats.lost_total, 1);
    kit_free(t);
}

static void a_request_waits_for_the_connection_within_its_time(void **state)
{
    kit *const t = kit_new(&(ln_broker_client_options){.request_ms = 1000});
    seen early = {.count = 0}, late = {.count = 0};

    (void)state;
    assert_int_equal(ask(t, "early", &early, NULL), 0);
    kit_wait(t, 600);
    assert_int_equal(ask(t, "late", &late, NULL), 0);
    kit_say(t, "{\"id\":\"" KIT_REQUEST_ID("1") "\",\"type\":\"response\"}"); /* a guess */
    assert_int_equal(late.count, 0);
    kit_wait(t, 400);
    assert_int_equal(early.error, LN_ERR_TIMEOUT);
    kit_open(t);
    assert_non_null(strstr(kit_next(t), "\"topic\":\"late\""));
    kit_expect_silence(t);
    kit_wait(t, 600);
    assert_int_equal(late.error, LN_ERR_TIMEOUT);
    kit_free(t);
}

static void a_cancelled_request_tells_nobody(void **state)
{
    kit *const t = kit_new(&no_options);
    uint64_t waiting, sent;
    seen s = {.count = 0};

    (void)state;
    assert_int_equal(ask(t, "waiting", &s, &waiting), 0);
    assert_int_equal(ln_broker_client_cancel(t->k, waiting), 0);
    assert_int_equal(ln_broker_client_cancel(t->k, waiting), LN_ERR_NOT_FOUND);
    kit_open(t);
    kit_expect_silence(t);
    assert_int_equal(ask(t, "sent", &s, &sent), 0);
    assert_int_equal(ln_broker_client_cancel(t->k, sent), 0);
    kit_wait(t, 100000);
    assert_int_equal(ln_broker_client_cancel(t->k, sent), LN_ERR_NOT_FOUND);
    assert_int_equal(ln_broker_client_cancel(t->k, 0), LN_ERR_NOT_FOUND);
    kit_free(t);
    assert_int_equal(s.count, 0);
}

static void requests_are_bounded(void **state)
{
    kit *const t = kit_new(&(ln_broker_client_options){.requests_max = 2});
    seen s = {.count = 0};

    (void)state;
    kit_open(t);
    for (int i = 0; i < 2; i++)
        assert_int_equal(ask(t, "t", &s, NULL), 0);
    assert_int_equal(ask(t, "t", &s, NULL), LN_ERR_LIMIT);
    kit_say(t, "{\"id\":\"" KIT_REQUEST_ID("1") "\",\"type\":\"response\"}");
    assert_int_equal(ask(t, "t", &s, NULL), 0);
    assert_int_equal(s.count, 1);
    kit_free(t);
    assert_int_equal(s.count, 3);
    assert_int_equal(s.error, LN_ERR_CLOSED);
}

static void ask_again(seen *s)
{
    if (s->count < 3)
        assert_int_equal(ask(s->t, "again", s, NULL), 0);
}

static void a_reply_may_ask_again_even_at_the_limit(void **state)
{
    kit *const t = kit_new(&(ln_broker_client_options){.requests_max = 1, .request_ms = 100});
    seen s = {.t = t, .then = ask_again};

    (void)state;
    kit_open(t);
    assert_int_equal(ask(t, "t", &s, NULL), 0);
    kit_wait(t, 100);
    kit_wait(t, 100);
    kit_wait(t, 100);
    assert_int_equal(s.count, 3);
    kit_free(t);
}

static void another_client_is_asked_through_the_server(void **state)
{
    kit *const t = kit_new(&no_options);
    ln_broker_client_order order = {
        .topic = LN_SPAN("t"), .payload = LN_SPAN("{\"x\":1}"), .target = LN_SPAN("o\"ne")};

    (void)state;
    kit_open(t);
    assert_int_equal(ln_broker_client_request(t->k, &order, NULL), 0);
    kit_expect(t, "{\"id\":\"" KIT_REQUEST_ID(
                      "0") "\",\"type\":\"request\","
                           "\"topic\":\"system:proxy\",\"payload\":{\"targetId\":\"o\\\"ne\","
                           "\"topic\":\"t\",\"payload\":{\"x\":1}}}\n");
    order.payload.size = 0;
    assert_int_equal(ln_broker_client_request(t->k, &order, NULL), 0);
    assert_non_null(strstr(kit_next(t), ",\"payload\":null}}"));
    kit_free(t);
}

static void what_cannot_be_sent_is_refused(void **state)
{
    kit *const t = kit_new(&no_options);
    const ln_broker_client_order wrong[] = {
        {.topic = LN_SPAN("")},
        {.topic = LN_SPAN("\xff")},
        {.topic = LN_SPAN("t"), .payload = LN_SPAN("{")},
        {.topic = LN_SPAN("t"), .payload = LN_SPAN("1 2")},
        {.topic = LN_SPAN("t"), .payload = LN_SPAN("\"\xff\"")},
        {.topic = LN_SPAN("t"), .target = LN_SPAN("\xff")},
        {.topic = LN_SPAN("t"), .timeout_ms = LN_OFF},
    };

    (void)state;
    for (size_t i = 0; i < LN_ARRAY_SIZE(wrong); i++)
        assert_int_equal(ln_broker_client_request(t->k, &wrong[i], NULL), LN_ERR_INVALID);
    assert_int_equal(ln_broker_client_publish(t->k, LN_SPAN(""), LN_SPAN("1")), LN_ERR_INVALID);
    assert_int_equal(ln_broker_client_publish(t->k, LN_SPAN("t"), LN_SPAN("x")), LN_ERR_INVALID);
    kit_free(t);
}

static void a_topic_has_a_longest_length(void **state)
{
    kit *const t = kit_new(&no_options);
    char name[LN_BROKER_CLIENT_TOPIC_MAX_BYTES + 1];

    (void)state;
    memset(name, 1, sizeof name); /* each is six characters of JSON */
    const ln_span longest = {name, sizeof name - 1}, longer = {name, sizeof name};
    kit_open(t);
    assert_int_equal(ln_broker_client_publish(t->k, longest, LN_SPAN("1")), 0);
    assert_true(strlen(kit_next(t)) > 6 * longest.size);
    assert_int_equal(ln_broker_client_publish(t->k, longer, LN_SPAN("1")), LN_ERR_INVALID);
    assert_int_equal(ln_broker_client_serve(t->k, longer, NULL, NULL), LN_ERR_INVALID);
    kit_free(t);
}

/* ---- stopping ---- */

static void a_stop_says_goodbye_and_ends_requests(void **state)
{
    kit *const t = kit_new(&no_options);
    seen s = {.count = 0};

    (void)state;
    kit_open(t);
    assert_int_equal(ask(t, "t", &s, NULL), 0);
    ln_broker_client_stop(t->k);
    assert_int_equal(t->closed_with, 1000);
    assert_int_equal(s.error, LN_ERR_CLOSED);
    assert_int_equal(ln_broker_client_state_get(t->k), LN_BROKER_CLIENT_OPEN);
    assert_int_equal(ask(t, "t", &s, NULL), LN_ERR_CLOSED);
    kit_say(t, "{\"id\":\"" KIT_REQUEST_ID("0") "\",\"type\":\"response\"}");
    ln_broker_client_stop(t->k);
    kit_saw(t, "");
    kit_down(t, 0);
    kit_saw(t, "S");
    assert_int_equal(s.count, 1);
    kit_wait(t, 1000000);
    assert_int_equal(t->opens, 1);
    kit_free(t);
}

static void a_stop_between_connections_is_at_once(void **state)
{
    kit *const t = kit_new(&no_options);
    ln_broker_client_stats stats;
    seen s = {.count = 0};

    (void)state;
    kit_down(t, LN_ERR_CONNECT);
    assert_int_equal(ln_broker_client_publish(t->k, LN_SPAN("t"), LN_SPAN("1")), 0);
    assert_int_equal(ask(t, "t", &s, NULL), 0);
    ln_broker_client_stop(t->k);
    kit_saw(t, "!WS");
    assert_int_equal(s.error, LN_ERR_CLOSED);
    ln_broker_client_stats_get(t->k, &stats);
    assert_int_equal(stats.dropped_total, 1);
    assert_int_equal(stats.queued, 0);
    kit_wait(t, 1000000);
    assert_int_equal(t->opens, 1);
    kit_free(t);
}

static void stop(seen *s)
{
    ln_broker_client_stop(s->t->k);
}

static void stop_and_free(seen *s)
{
    ln_broker_client *const k = s->t->k;
    s->t->k = NULL;
    ln_broker_client_free(k);
}

static void it_may_be_stopped_and_freed_inside_a_reply(void **state)
{
    static void (*const ways[])(seen *) = {stop, stop_and_free};

    (void)state;
    for (size_t way = 0; way < 2; way++)
        for (int cause = 0; cause < 3; cause++) {
            kit *const t = kit_new(&(ln_broker_client_options){.request_ms = 100});
            seen first = {.t = t, .then = ways[way]}, second = {.count = 0};
            ln_broker_client *const k = t->k;
            kit_open(t);
            assert_int_equal(ask(t, "t", &first, NULL), 0);
            assert_int_equal(ask(t, "t", &second, NULL), 0);
            ln_broker_client_hold(k); /* so that the test may look at it */
            if (cause == 0)
                kit_say(t, "{\"id\":\"" KIT_REQUEST_ID("0") "\",\"type\":\"response\"}");
            else if (cause == 1)
                kit_wait(t, 100);
            else {
                t->is_up = false;
                ln_broker_client_down(k, LN_ERR_RESET, "gone");
            }
            assert_int_equal(first.count, 1);
            assert_int_equal(second.count, 1);
            ln_broker_client_release(k);
            kit_free(t);
        }
}

/* ---- a steady flow ---- */

static void count(ln_broker_client *k, ln_span topic, ln_span payload, void *user)
{
    (void)k;
    (void)topic;
    (void)payload;
    ++*(int *)user;
}

static int echo(const ln_broker_client_call *call, void *user)
{
    (void)user;
    return ln_broker_client_result(&call->ticket, call->payload);
}

static void one_round(kit *t, seen *s)
{
    char text[256];
    assert_int_equal(ask(t, "t", s, NULL), 0);
    const char *const sent = kit_next(t);
    snprintf(text, sizeof text, "%.40s,\"type\":\"response\",\"payload\":[1,2]}", sent);
    kit_say(t, text);
    assert_int_equal(ln_broker_client_publish(t->k, LN_SPAN("x"), LN_SPAN("{}")), 0);
    assert_non_null(kit_next(t));
    kit_say(t, "{\"type\":\"publish\",\"topic\":\"x\",\"payload\":{}}");
    kit_say(t, "{\"id\":\"5\",\"type\":\"request\",\"topic\":\"echo\",\"payload\":[3]}");
    kit_expect(t, "{\"id\":\"5\",\"type\":\"response\",\"topic\":\"echo\",\"payload\":[3]}\n");
}

static void a_steady_flow_allocates_nothing(void **state)
{
    kit *const t = kit_new(&no_options);
    seen s = {.count = 0};
    int got = 0;

    (void)state;
    assert_int_equal(ln_broker_client_subscribe(t->k, LN_SPAN("x"), count, &got, NULL), 0);
    assert_int_equal(ln_broker_client_serve(t->k, LN_SPAN("echo"), echo, NULL), 0);
    kit_open(t);
    assert_non_null(kit_next(t));
    for (int i = 0; i < 10; i++)
        one_round(t, &s);
    const size_t before = t->fa.calls;
    for (int i = 0; i < 1000; i++)
        one_round(t, &s);
    assert_int_equal(t->fa.calls, before);
    assert_int_equal(s.count, 1010);
    assert_int_equal(s.error, 0);
    assert_int_equal(got, 1010);
    kit_free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_registers_and_takes_the_name_it_is_given),
        cmocka_unit_test(it_keeps_its_name_where_none_is_given),
        cmocka_unit_test(after_a_loss_it_waits_and_does_all_of_it_again),
        cmocka_unit_test(waits_double_until_a_registration_and_not_a_connection_ends_the_row),
        cmocka_unit_test(a_registration_that_fails_is_an_attempt_that_failed),
        cmocka_unit_test(attempts_have_an_end_if_they_are_to_have_one),
        cmocka_unit_test(a_status_that_does_not_change_ends_it_if_it_is_to),
        cmocka_unit_test(an_attempt_that_cannot_begin_is_one_that_failed),
        cmocka_unit_test(wrong_options_are_errors),
        cmocka_unit_test(a_name_has_a_longest_length),
        cmocka_unit_test(a_request_is_answered_once),
        cmocka_unit_test(errors_are_recognised_in_all_their_shapes),
        cmocka_unit_test(a_request_ends_without_an_answer),
        cmocka_unit_test(a_request_that_was_sent_is_lost_with_its_connection_and_not_sent_again),
        cmocka_unit_test(a_request_waits_for_the_connection_within_its_time),
        cmocka_unit_test(a_cancelled_request_tells_nobody),
        cmocka_unit_test(requests_are_bounded),
        cmocka_unit_test(a_reply_may_ask_again_even_at_the_limit),
        cmocka_unit_test(another_client_is_asked_through_the_server),
        cmocka_unit_test(what_cannot_be_sent_is_refused),
        cmocka_unit_test(a_topic_has_a_longest_length),
        cmocka_unit_test(a_stop_says_goodbye_and_ends_requests),
        cmocka_unit_test(a_stop_between_connections_is_at_once),
        cmocka_unit_test(it_may_be_stopped_and_freed_inside_a_reply),
        cmocka_unit_test(a_steady_flow_allocates_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
