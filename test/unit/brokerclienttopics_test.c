/* SPDX-License-Identifier: MIT */
/* A broker's client without a network: subscriptions, what waits, requests of the server, the older
 * generation, and running out of memory. */
#include "brokerclient_kit.h"

static const ln_broker_client_options no_options;

/* ---- subscriptions ---- */

/* Notes its letter, and may do something. */
typedef struct ear {
    kit *t;
    const char *letter;
    uint64_t subscription;
    void (*then)(struct ear *e);
    char topic[64], payload[64];
} ear;

static void hear(ln_broker_client *k, ln_span topic, ln_span payload, void *user)
{
    ear *const e = user;
    (void)k;
    kit_note(e->t, e->letter);
    snprintf(e->topic, sizeof e->topic, "%.*s", (int)topic.size, (const char *)topic.data);
    snprintf(e->payload, sizeof e->payload, "%.*s", (int)payload.size, (const char *)payload.data);
    if (e->then != NULL)
        e->then(e);
}

static int subscribe(ear *e, const char *topic)
{
    return ln_broker_client_subscribe(e->t->k, (ln_span){topic, strlen(topic)}, hear, e,
                                      &e->subscription);
}

static void publish(kit *t, const char *topic)
{
    char text[128];
    snprintf(text, sizeof text, "{\"type\":\"publish\",\"topic\":\"%s\",\"payload\":[1]}", topic);
    kit_say(t, text);
}

static void subscriptions_are_made_again_before_anything_else_is_sent(void **state)
{
    kit *const t = kit_new(&no_options);
    ear a = {.t = t, .letter = "a"}, b = {.t = t, .letter = "b"};

    (void)state;
    assert_int_equal(ln_broker_client_publish(t->k, LN_SPAN("early"), LN_SPAN("1")), 0);
    assert_int_equal(subscribe(&a, "x"), 0);
    kit_open(t);
    kit_expect(t, "{\"id\":\"" KIT_TOPIC_ID("1") "\",\"type\":\"subscribe_request\","
                                                 "\"topic\":\"x\"}\n");
    kit_expect(t, "{\"type\":\"publish\",\"topic\":\"early\",\"payload\":1}\n");
    assert_int_equal(subscribe(&b, "x"), 0); /* the server knows */
    kit_expect_silence(t);
    publish(t, "x");
    kit_saw(t, "ab");
    assert_string_equal(a.topic, "x");
    assert_string_equal(b.payload, "[1]");
    kit_down(t, LN_ERR_RESET);
    assert_int_equal(ln_broker_client_publish(t->k, LN_SPAN("later"), LN_SPAN("2")), 0);
    kit_wait(t, 1000);
    kit_saw(t, "!WC");
    kit_open(t);
    kit_expect(t, "{\"id\":\"" KIT_TOPIC_ID("1") "\",\"type\":\"subscribe_request\","
                                                 "\"topic\":\"x\"}\n");
    kit_expect(t, "{\"type\":\"publish\",\"topic\":\"later\",\"payload\":2}\n");
    kit_free(t);
}

static void the_server_is_told_when_the_last_one_leaves(void **state)
{
    kit *const t = kit_new(&no_options);
    ear a = {.t = t, .letter = "a"}, b = {.t = t, .letter = "b"};
    ln_broker_client_stats stats;

    (void)state;
    kit_open(t);
    assert_int_equal(subscribe(&a, "x"), 0);
    assert_int_equal(subscribe(&b, "x"), 0);
    assert_non_null(kit_next(t));
    assert_int_equal(ln_broker_client_unsubscribe(t->k, a.subscription), 0);
    assert_int_equal(ln_broker_client_unsubscribe(t->k, a.subscription), LN_ERR_NOT_FOUND);
    kit_expect_silence(t);
    publish(t, "x");
    kit_saw(t, "b");
    assert_int_equal(ln_broker_client_unsubscribe(t->k, b.subscription), 0);
    kit_expect(t, "{\"id\":\"" KIT_TOPIC_ID("1") "\",\"type\":\"unsubscribe_request\","
                                                 "\"topic\":\"x\"}\n");
    publish(t, "x"); /* it was on its way */
    kit_saw(t, "");
    ln_broker_client_stats_get(t->k, &stats);
    assert_int_equal(stats.received_total, 2);
    assert_int_equal(stats.unwanted_total, 1);
    kit_free(t);
}

static void what_a_full_line_does_not_take_it_is_told_later(void **state)
{
    kit *const t = kit_new(&no_options);
    ear a = {.t = t, .letter = "a"}, b = {.t = t, .letter = "b"};

    (void)state;
    kit_open(t);
    t->send_rc = LN_ERR_WOULD_EXCEED;
    assert_int_equal(subscribe(&a, "a"), 0);
    assert_int_equal(subscribe(&b, "b"), 0);
    assert_int_equal(ln_broker_client_publish(t->k, LN_SPAN("t"), LN_SPAN("1")), 0);
    assert_int_equal(ln_broker_client_unsubscribe(t->k, a.subscription), 0);
    t->send_rc = 1; /* takes one, and is full again */
    for (int i = 0; i < 3; i++)
        ln_broker_client_drained(t->k);
    assert_non_null(strstr(kit_next(t), "\"subscribe_request\",\"topic\":\"b\""));
    assert_non_null(strstr(kit_next(t), "\"publish\""));
    kit_expect_silence(t);
    kit_free(t);
}

static void filters_match_as_in_the_hub(void **state)
{
    kit *const t = kit_new(&no_options);
    ear a = {.t = t, .letter = "a"}, b = {.t = t, .letter = "b"}, c = {.t = t, .letter = "c"};

    (void)state;
    assert_int_equal(subscribe(&a, "x.*"), 0);
    assert_int_equal(subscribe(&b, "x.>"), 0);
    assert_int_equal(subscribe(&c, "x.y"), 0);
    assert_int_equal(subscribe(&c, "x..*"), LN_ERR_INVALID);
    kit_open(t);
    publish(t, "x.y");
    kit_saw(t, "cab");
    publish(t, "x.y.z");
    kit_saw(t, "b");
    assert_string_equal(b.topic, "x.y.z");
    publish(t, "x");
    kit_saw(t, "");
    kit_free(t);
}

static void leave(ear *e)
{
    assert_int_equal(ln_broker_client_unsubscribe(e->t->k, e->subscription), 0);
}

static void leave_another(ear *e)
{
    leave(e + 1);
}

static void come_again(ear *e)
{
    leave(e);
    assert_int_equal(subscribe(e, "x"), 0);
}

static void free_it(ear *e)
{
    ln_broker_client *const k = e->t->k;
    e->t->k = NULL;
    ln_broker_client_free(k);
}

static void handlers_may_come_and_go_inside_handlers(void **state)
{
    static const struct {
        void (*then)(ear *e);
        const char *first, *second;
    } ways[] = {{leave, "ab", "b"}, {leave_another, "a", "a"}, {come_again, "ab", "ba"}};

    (void)state;
    for (size_t i = 0; i < LN_ARRAY_SIZE(ways); i++) {
        kit *const t = kit_new(&no_options);
        ear ears[] = {{.t = t, .letter = "a", .then = ways[i].then}, {.t = t, .letter = "b"}};
        kit_open(t);
        assert_int_equal(subscribe(&ears[0], "x"), 0);
        assert_int_equal(subscribe(&ears[1], "x"), 0);
        publish(t, "x");
        kit_saw(t, ways[i].first);
        ears[0].then = NULL;
        publish(t, "x");
        kit_saw(t, ways[i].second);
        kit_free(t);
    }
}

static void it_may_be_freed_inside_a_handler(void **state)
{
    static const char *const topics[] = {"x", "*"};

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        kit *const t = kit_new(&no_options);
        ear a = {.t = t, .letter = "a", .then = free_it}, b = {.t = t, .letter = "b"};
        kit_open(t);
        assert_int_equal(subscribe(&a, topics[i]), 0);
        assert_int_equal(subscribe(&b, topics[i]), 0);
        publish(t, "x");
        kit_saw(t, "a");
        kit_free(t);
    }
}

static void subscriptions_are_bounded(void **state)
{
    kit *const t = kit_new(&no_options);
    ear e = {.t = t, .letter = "a"};
    char name[16];

    (void)state;
    for (int i = 0; i < LN_BROKER_CLIENT_SUBSCRIPTIONS_MAX; i++) {
        snprintf(name, sizeof name, "%d", i);
        assert_int_equal(subscribe(&e, name), 0);
    }
    const uint64_t last = e.subscription;
    assert_int_equal(subscribe(&e, "x"), LN_ERR_LIMIT);
    assert_int_equal(ln_broker_client_unsubscribe(t->k, last), 0);
    assert_int_equal(subscribe(&e, "x"), 0);
    kit_free(t);
}

static void a_refused_subscription_is_told(void **state)
{
    kit *const t = kit_new(&no_options);
    ear e = {.t = t, .letter = "a"};

    (void)state;
    kit_open(t);
    assert_int_equal(subscribe(&e, "secret"), 0);
    kit_say(t, "{\"id\":\"" KIT_TOPIC_ID("1") "\",\"type\":\"subscription_ack\"}");
    kit_saw(t, "");
    kit_say(t, "{\"id\":\"" KIT_TOPIC_ID("1") "\",\"type\":\"error\","
                                              "\"error\":{\"code\":403,\"message\":\"no\"}}");
    kit_saw(t, "!");
    assert_int_equal(t->err, LN_ERR_REFUSED);
    assert_string_equal(t->what, "the subscription to secret was refused: no");
    kit_free(t);
}

static void a_refused_publication_is_told(void **state)
{
    kit *const t = kit_new(&no_options);
    kit *const old = kit_new(&(ln_broker_client_options){.wire = LN_BROKER_CLIENT_HEADED});
    ln_broker_client_stats stats;

    (void)state;
    kit_open(t);
    kit_say(t, "{\"type\":\"error\",\"topic\":\"a\\u002e*\","
               "\"error\":{\"code\":400,\"message\":\"n\\u006f\"}}");
    kit_saw(t, "!");
    assert_int_equal(t->err, LN_ERR_REFUSED);
    assert_string_equal(t->what, "the publication to a.* was refused: no");
    kit_say(t, "{\"type\":\"response\",\"topic\":\"t\"}");
    kit_saw(t, "");
    ln_broker_client_stats_get(t->k, &stats);
    assert_int_equal(stats.strays_total, 1);
    kit_free(t);

    kit_up(old);
    kit_say(old, "{\"header\":{\"messageID\":\"9\",\"correlationID\":\"" KIT_NONCE
                 "0300000000000001\",\"type\":\"error\",\"topic\":\"9\",\"timestamp\":1},"
                 "\"body\":{\"error\":\"no\"}}");
    kit_saw(old, "!");
    assert_string_equal(old->what, "the publication was refused: no");
    kit_free(old);
}

/* ---- what waits ---- */

static void what_waits_is_bounded_in_number(void **state)
{
    kit *const t = kit_new(&(ln_broker_client_options){.queue_max_messages = 2});
    ln_broker_client_stats stats;

    (void)state;
    for (int i = 0; i < 2; i++)
        assert_int_equal(ln_broker_client_publish(t->k, LN_SPAN("t"), LN_SPAN("1")), 0);
    assert_int_equal(ln_broker_client_publish(t->k, LN_SPAN("t"), LN_SPAN("1")),
                     LN_ERR_WOULD_EXCEED);
    assert_int_equal(
        ln_broker_client_request(t->k, &(ln_broker_client_order){.topic = LN_SPAN("t")}, NULL),
        LN_ERR_WOULD_EXCEED);
    ln_broker_client_stats_get(t->k, &stats);
    assert_int_equal(stats.refused_total, 1);
    assert_int_equal(stats.queued, 2);
    assert_int_equal(stats.requests, 0);
    kit_open(t);
    ln_broker_client_stats_get(t->k, &stats);
    assert_int_equal(stats.queued, 0);
    assert_int_equal(stats.published_total, 2);
    for (int i = 0; i < 5; i++)
        assert_int_equal(ln_broker_client_publish(t->k, LN_SPAN("t"), LN_SPAN("1")), 0);
    kit_free(t);
}

static void what_waits_is_bounded_in_bytes(void **state)
{
    kit *const t = kit_new(&(ln_broker_client_options){.queue_max_bytes = 200});
    char large[300];

    (void)state;
    memset(large, '1', sizeof large);
    large[0] = large[sizeof large - 1] = '"';
    const ln_span payload = {large, sizeof large};
    assert_int_equal(ln_broker_client_publish(t->k, LN_SPAN("t"), LN_SPAN("1")), 0);
    assert_int_equal(ln_broker_client_publish(t->k, LN_SPAN("t"), payload), LN_ERR_WOULD_EXCEED);
    kit_open(t);
    assert_non_null(kit_next(t));
    t->send_rc = LN_ERR_WOULD_EXCEED;
    assert_int_equal(ln_broker_client_publish(t->k, LN_SPAN("t"), payload), 0); /* alone it may */
    assert_int_equal(ln_broker_client_publish(t->k, LN_SPAN("t"), LN_SPAN("1")),
                     LN_ERR_WOULD_EXCEED);
    kit_free(t);
}

static void what_waits_too_long_is_dropped(void **state)
{
    kit *const t = kit_new(&(ln_broker_client_options){.queue_max_ms = 500});
    ln_broker_client_stats stats;

    (void)state;
    assert_int_equal(ln_broker_client_publish(t->k, LN_SPAN("old"), LN_SPAN("1")), 0);
    kit_wait(t, 400);
    assert_int_equal(ln_broker_client_publish(t->k, LN_SPAN("new"), LN_SPAN("1")), 0);
    kit_wait(t, 100);
    ln_broker_client_stats_get(t->k, &stats);
    assert_int_equal(stats.dropped_total, 1);
    kit_open(t);
    assert_non_null(strstr(kit_next(t), "\"new\""));
    kit_expect_silence(t);
    kit_free(t);
}

static void a_line_without_memory_is_asked_again(void **state)
{
    kit *const t = kit_new(&no_options);

    (void)state;
    kit_open(t);
    t->send_rc = LN_ERR_NOMEM;
    assert_int_equal(ln_broker_client_publish(t->k, LN_SPAN("t"), LN_SPAN("1")), 0);
    t->send_rc = 0;
    kit_expect_silence(t);
    kit_wait(t, 100);
    kit_expect(t, "{\"type\":\"publish\",\"topic\":\"t\",\"payload\":1}\n");
    kit_free(t);
}

/* ---- requests of the server ---- */

static ln_broker_client_ticket kept;

static int serve(const ln_broker_client_call *call, void *user)
{
    const int *const rc = user;
    kept = call->ticket;
    assert_true(call->topic.size == 1);
    return *rc;
}

static void poke(kit *t, const char *topic, const char *id)
{
    char text[256];
    snprintf(text, sizeof text,
             "{\"id\":\"%s\",\"type\":\"request\",\"topic\":\"%s\",\"payload\":[1]}", id, topic);
    kit_say(t, text);
}

static void handlers_answer_by_what_they_return(void **state)
{
    static const struct {
        int rc;
        const char *rest;
    } ways[] = {
        {0, "\"type\":\"response\",\"topic\":\"s\"}\n"},
        {LN_ERR_INVALID, "\"type\":\"error\",\"topic\":\"s\",\"error\":{\"code\":400,"
                         "\"message\":\"Invalid request payload from server\"}}\n"},
        {LN_ERR_TIMEOUT, "\"type\":\"error\",\"topic\":\"s\",\"error\":{\"code\":500,\"message\":"
                         "\"timed out\"}}\n"},
        {LN_ERR_AGAIN, NULL},
    };
    char text[256];

    (void)state;
    for (size_t i = 0; i < LN_ARRAY_SIZE(ways); i++) {
        kit *const t = kit_new(&no_options);
        int rc = ways[i].rc;
        assert_int_equal(ln_broker_client_serve(t->k, LN_SPAN("s"), serve, &rc), 0);
        kit_open(t);
        poke(t, "s", "\\\"1\\u0041"); /* echoed as it was written */
        if (ways[i].rest == NULL) {
            kit_expect_silence(t);
        } else {
            snprintf(text, sizeof text, "{\"id\":\"\\\"1\\u0041\",%s", ways[i].rest);
            kit_expect(t, text);
        }
        kit_free(t);
    }
}

static void an_answer_may_come_later_and_once(void **state)
{
    kit *const t = kit_new(&no_options);
    int rc = LN_ERR_AGAIN;

    (void)state;
    assert_int_equal(ln_broker_client_serve(t->k, LN_SPAN("s"), serve, &rc), 0);
    kit_open(t);
    poke(t, "s", "1");
    const ln_broker_client_ticket first = kept;
    poke(t, "s", "2");
    assert_int_equal(ln_broker_client_result(&kept, LN_SPAN("nonsense")), LN_ERR_INVALID);
    assert_int_equal(ln_broker_client_error(&kept, 1, LN_SPAN("\xff")), LN_ERR_INVALID);
    assert_int_equal(ln_broker_client_error(&kept, 418, LN_SPAN("tea\"pot")), 0);
    kit_expect(t, "{\"id\":\"2\",\"type\":\"error\",\"topic\":\"s\",\"error\":{\"code\":418,"
                  "\"message\":\"tea\\\"pot\"}}\n");
    assert_int_equal(ln_broker_client_result(&kept, LN_SPAN("1")), LN_ERR_NOT_FOUND);
    assert_int_equal(ln_broker_client_result(&first, LN_SPAN("1")), 0);
    kit_expect(t, "{\"id\":\"1\",\"type\":\"response\",\"topic\":\"s\",\"payload\":1}\n");
    kit_free(t);
}

static void an_answer_the_queue_refuses_may_be_given_again(void **state)
{
    kit *const t = kit_new(&(ln_broker_client_options){.queue_max_messages = 1});
    int rc = LN_ERR_AGAIN;

    (void)state;
    assert_int_equal(ln_broker_client_serve(t->k, LN_SPAN("s"), serve, &rc), 0);
    kit_open(t);
    poke(t, "s", "1");
    t->send_rc = LN_ERR_WOULD_EXCEED;
    assert_int_equal(ln_broker_client_publish(t->k, LN_SPAN("t"), LN_SPAN("1")), 0);
    assert_int_equal(ln_broker_client_error(&kept, 1, LN_SPAN("first")), LN_ERR_WOULD_EXCEED);
    t->send_rc = 0;
    ln_broker_client_drained(t->k);
    assert_non_null(kit_next(t));
    assert_int_equal(ln_broker_client_error(&kept, 2, LN_SPAN("again")), 0);
    kit_expect(t, "{\"id\":\"1\",\"type\":\"error\",\"topic\":\"s\",\"error\":{\"code\":2,"
                  "\"message\":\"again\"}}\n");
    kit_free(t);
}

static void a_ticket_ends_with_its_connection(void **state)
{
    kit *const t = kit_new(&no_options);
    int rc = LN_ERR_AGAIN;

    (void)state;
    assert_int_equal(ln_broker_client_serve(t->k, LN_SPAN("s"), serve, &rc), 0);
    kit_open(t);
    poke(t, "s", "1");
    t->send_rc = LN_ERR_WOULD_EXCEED;
    const ln_broker_client_ticket answered = kept;
    assert_int_equal(ln_broker_client_result(&answered, LN_SPAN("1")), 0); /* waits, in vain */
    poke(t, "s", "2");
    kit_down(t, LN_ERR_RESET);
    t->send_rc = 0;
    assert_int_equal(ln_broker_client_result(&kept, LN_SPAN("1")), LN_ERR_NOT_FOUND);
    kit_wait(t, 1000);
    kit_saw(t, "!WC");
    kit_open(t);
    kit_expect_silence(t);
    assert_int_equal(ln_broker_client_result(&kept, LN_SPAN("1")), LN_ERR_NOT_FOUND);
    kit_free(t);
}

static void what_nobody_serves_is_answered_with_404(void **state)
{
    kit *const t = kit_new(&no_options);
    ln_broker_client_stats stats;
    int rc = 0;

    (void)state;
    kit_open(t);
    poke(t, "s", "1");
    kit_expect(t, "{\"id\":\"1\",\"type\":\"error\",\"topic\":\"s\",\"error\":{\"code\":404,"
                  "\"message\":\"Client has no handler for topic: s\"}}\n");
    assert_int_equal(ln_broker_client_serve(t->k, LN_SPAN("s"), serve, &rc), 0);
    poke(t, "s", "2");
    assert_non_null(strstr(kit_next(t), "\"response\""));
    assert_int_equal(ln_broker_client_serve(t->k, LN_SPAN("s"), NULL, NULL), 0);
    poke(t, "s", "3");
    assert_non_null(strstr(kit_next(t), "404"));
    ln_broker_client_stats_get(t->k, &stats);
    assert_int_equal(stats.served_total, 1);
    assert_int_equal(stats.unserved_total, 2);
    kit_free(t);
}

static void answers_that_are_due_are_bounded(void **state)
{
    kit *const t = kit_new(&no_options);
    int rc = LN_ERR_AGAIN;

    (void)state;
    assert_int_equal(ln_broker_client_serve(t->k, LN_SPAN("s"), serve, &rc), 0);
    kit_open(t);
    for (int i = 0; i < LN_BROKER_CLIENT_CALLS_MAX; i++)
        poke(t, "s", "1");
    kit_expect_silence(t);
    poke(t, "s", "2");
    kit_expect(t, "{\"id\":\"2\",\"type\":\"error\",\"topic\":\"s\",\"error\":{\"code\":503,"
                  "\"message\":\"Client is busy\"}}\n");
    assert_int_equal(ln_broker_client_result(&kept, LN_SPAN("1")), 0);
    assert_non_null(kit_next(t));
    poke(t, "s", "3");
    kit_expect_silence(t);
    kit_free(t);
}

static void services_are_bounded(void **state)
{
    kit *const t = kit_new(&no_options);
    char name[16];

    (void)state;
    for (int i = 0; i < LN_BROKER_CLIENT_SERVICES_MAX; i++) {
        const int n = snprintf(name, sizeof name, "%d", i);
        assert_int_equal(ln_broker_client_serve(t->k, (ln_span){name, (size_t)n}, serve, NULL), 0);
    }
    assert_int_equal(ln_broker_client_serve(t->k, LN_SPAN("x"), serve, NULL), LN_ERR_LIMIT);
    assert_int_equal(ln_broker_client_serve(t->k, LN_SPAN("0"), NULL, NULL), 0);
    assert_int_equal(ln_broker_client_serve(t->k, LN_SPAN("x"), serve, NULL), 0);
    kit_free(t);
}

/* ---- what is none of the protocol ---- */

static void what_is_no_message_is_told_and_passed_over(void **state)
{
    static const char *const wrong[] = {"",
                                        "{",
                                        "[]",
                                        "null",
                                        "{}",
                                        "{\"type\":\"what\"}",
                                        "{\"type\":\"subscribe_request\",\"topic\":\"t\"}",
                                        "{\"id\":5,\"type\":\"response\"}",
                                        "{\"header\":{\"type\":\"event\"}}"};
    kit *const t = kit_new(&no_options);
    ln_broker_client_stats stats;

    (void)state;
    kit_open(t);
    for (size_t i = 0; i < LN_ARRAY_SIZE(wrong); i++) {
        kit_say(t, wrong[i]);
        kit_saw(t, "!");
        assert_int_equal(t->err, LN_ERR_PROTOCOL);
    }
    kit_say(t, "{\"id\":\"somebody's\",\"type\":\"response\"}");
    kit_say(t, "{\"id\":\"" KIT_NONCE "000000000100000g\",\"type\":\"response\"}");
    kit_say(t, "{\"type\":\"error\",\"error\":{\"code\":1}}");
    ln_broker_client_stats_get(t->k, &stats);
    assert_int_equal(stats.malformed_total, LN_ARRAY_SIZE(wrong));
    assert_int_equal(stats.strays_total, 3);
    kit_free(t);
}

/* ---- the older generation ---- */

/* Cuts the number of milliseconds out, which nobody knows. */
static void expect_headed(kit *t, const char *head, const char *tail)
{
    const char *const text = kit_next(t);
    assert_non_null(text);
    assert_int_equal(strncmp(text, head, strlen(head)), 0);
    const char *rest = text + strlen(head);
    rest += strspn(rest, "0123456789");
    assert_string_equal(rest, tail);
}

static void on_reply(const ln_broker_client_reply *reply, void *user)
{
    *(int *)user = reply->error == 0 ? (int)reply->payload.size : reply->error;
}

#define HEADED_ID "\"" KIT_REQUEST_ID("0") "\""
/* The answer's memory moves when it is written behind this. */
#define LONG_ID "\"0123456789012345678901234567890123456789012345678901234567890123456789012345\""

static void the_older_generation_is_spoken_too(void **state)
{
    kit *const t = kit_new(&(ln_broker_client_options){
        .wire = LN_BROKER_CLIENT_HEADED, .id = "page", .request_ms = 700});
    ear e = {.t = t, .letter = "e"};
    int result = 0, rc = LN_ERR_BUSY;
    char name[64];

    (void)state;
    kit_up(t);
    expect_headed(t,
                  "{\"header\":{\"messageID\":\"" KIT_NONCE "0100000000000000\","
                  "\"type\":\"event\",\"topic\":\"_client.register\",\"timestamp\":",
                  "},\"body\":{\"pageSessionID\":\"page\"}}");
    kit_say(t, "{\"header\":{\"messageID\":\"9\",\"type\":\"event\",\"topic\":"
               "\"_internal.client.registered\",\"timestamp\":1},\"body\":{\"brokerClientID\":"
               "\"wsconn-1\",\"pageSessionID\":\"page\",\"status\":\"registered\"}}");
    kit_saw(t, "O");
    assert_int_equal(ln_broker_client_id(t->k, name, sizeof name), 8);
    assert_string_equal(name, "wsconn-1");
    const ln_broker_client_order order = {
        .topic = LN_SPAN("ask"), .payload = LN_SPAN("[1]"), .on_reply = on_reply, .user = &result};
    assert_int_equal(ln_broker_client_request(t->k, &order, NULL), 0);
    expect_headed(t,
                  "{\"header\":{\"messageID\":" HEADED_ID ",\"correlationID\":" HEADED_ID
                  ",\"type\":\"request\",\"topic\":\"ask\",\"timestamp\":",
                  ",\"ttl\":700},\"body\":[1]}");
    kit_say(t, "{\"header\":{\"messageID\":\"9\",\"correlationID\":" HEADED_ID ",\"type\":"
               "\"response\",\"topic\":" HEADED_ID ",\"timestamp\":1},\"body\":\"abc\"}");
    assert_int_equal(result, 5);
    assert_int_equal(subscribe(&e, "news"), 0);
    expect_headed(
        t,
        "{\"header\":{\"messageID\":\"" KIT_TOPIC_ID("1") "\",\"correlationID\":\"" KIT_TOPIC_ID(
            "1") "\",\"type\":\"subscribe\",\"topic\":\"subscribe\","
                 "\"timestamp\":",
        "},\"body\":\"news\"}");
    kit_say(t, "{\"header\":{\"messageID\":\"9\",\"type\":\"event\",\"topic\":\"news\","
               "\"timestamp\":1},\"body\":{\"x\":1}}");
    kit_saw(t, "e");
    assert_string_equal(e.payload, "{\"x\":1}");
    assert_int_equal(ln_broker_client_serve(t->k, LN_SPAN("s"), serve, &rc), 0);
    kit_say(t, "{\"header\":{\"messageID\":\"m\",\"correlationID\":\"c\",\"type\":\"request\","
               "\"topic\":\"s\",\"timestamp\":1,\"ttl\":5},\"body\":null}");
    expect_headed(t,
                  "{\"header\":{\"messageID\":\"c\",\"correlationID\":\"c\",\"type\":\"error\","
                  "\"topic\":\"c\",\"timestamp\":",
                  "},\"body\":{\"error\":\"busy\"}}");
    rc = 0;
    kit_say(t,
            "{\"header\":{\"messageID\":\"m\",\"correlationID\":" LONG_ID ",\"type\":\"request\","
            "\"topic\":\"s\",\"timestamp\":1,\"ttl\":5},\"body\":null}");
    expect_headed(t,
                  "{\"header\":{\"messageID\":" LONG_ID ",\"correlationID\":" LONG_ID
                  ",\"type\":\"response\",\"topic\":" LONG_ID ",\"timestamp\":",
                  "},\"body\":null}");
    kit_free(t);
}

/* ---- out of memory ---- */

static void ignore(ln_broker_client *k, ln_span topic, ln_span payload, void *user)
{
    (void)k;
    (void)topic;
    (void)payload;
    (void)user;
}

/* What is refused is told at once; what is accepted ends. */
static int live(kit *t, int *ended)
{
    const ln_broker_client_order order = {.topic = LN_SPAN("t"),
                                          .payload = LN_SPAN("[1]"),
                                          .target = LN_SPAN("x"),
                                          .on_reply = on_reply,
                                          .user = ended};
    static int rc = LN_ERR_AGAIN;

    *ended = 1;
    int worst = ln_broker_client_subscribe(t->k, LN_SPAN("a.*"), ignore, NULL, NULL);
    worst |= ln_broker_client_subscribe(t->k, LN_SPAN("a"), ignore, NULL, NULL);
    worst |= ln_broker_client_serve(t->k, LN_SPAN("s"), serve, &rc);
    worst |= ln_broker_client_publish(t->k, LN_SPAN("t"), LN_SPAN("1"));
    const int asked = ln_broker_client_request(t->k, &order, NULL);
    if (asked < 0)
        *ended = asked;
    t->is_up = true;
    kept.client = NULL;
    ln_broker_client_up(t->k);
    kit_say(t, KIT_REGISTERED);
    poke(t, "s", "1");
    if (kept.client != NULL)
        worst |= ln_broker_client_error(&kept, 1, LN_SPAN("no"));
    publish(t, "a\\u002eb");
    kit_say(
        t, "{\"id\":\"" KIT_REQUEST_ID("0") "\",\"type\":\"error\",\"error\":{\"message\":\"x\"}}");
    kit_down(t, LN_ERR_RESET);
    kit_wait(t, 100000);
    return worst < 0 || asked < 0 ? LN_ERR_NOMEM : 0;
}

static int one_life(const ln_allocator *alloc, void *user)
{
    const ln_client_header header = {"X-A", "b"};
    int rc, ended = 1;

    (void)user;
    kit *const t = kit_try(&(ln_broker_client_options){.id = "me",
                                                       .name = "n",
                                                       .page = "u",
                                                       .origin = "o",
                                                       .headers = &header,
                                                       .header_count = 1},
                           alloc, &rc);
    if (rc == 0) {
        rc = live(t, &ended);
        kit_free(t);
        assert_true(ended <= 0); /* asked and ended, or refused */
        return rc;
    }
    kit_free(t);
    return rc;
}

static void running_out_of_memory_leaves_nothing(void **state)
{
    (void)state;
    assert_true(failing_alloc_sweep(one_life, NULL) > 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(subscriptions_are_made_again_before_anything_else_is_sent),
        cmocka_unit_test(the_server_is_told_when_the_last_one_leaves),
        cmocka_unit_test(what_a_full_line_does_not_take_it_is_told_later),
        cmocka_unit_test(filters_match_as_in_the_hub),
        cmocka_unit_test(handlers_may_come_and_go_inside_handlers),
        cmocka_unit_test(it_may_be_freed_inside_a_handler),
        cmocka_unit_test(subscriptions_are_bounded),
        cmocka_unit_test(a_refused_subscription_is_told),
        cmocka_unit_test(a_refused_publication_is_told),
        cmocka_unit_test(what_waits_is_bounded_in_number),
        cmocka_unit_test(what_waits_is_bounded_in_bytes),
        cmocka_unit_test(what_waits_too_long_is_dropped),
        cmocka_unit_test(a_line_without_memory_is_asked_again),
        cmocka_unit_test(handlers_answer_by_what_they_return),
        cmocka_unit_test(an_answer_may_come_later_and_once),
        cmocka_unit_test(an_answer_the_queue_refuses_may_be_given_again),
        cmocka_unit_test(a_ticket_ends_with_its_connection),
        cmocka_unit_test(what_nobody_serves_is_answered_with_404),
        cmocka_unit_test(answers_that_are_due_are_bounded),
        cmocka_unit_test(services_are_bounded),
        cmocka_unit_test(what_is_no_message_is_told_and_passed_over),
        cmocka_unit_test(the_older_generation_is_spoken_too),
        cmocka_unit_test(running_out_of_memory_leaves_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
