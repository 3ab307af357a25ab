/* SPDX-License-Identifier: MIT */
/* The broker dialect (linnet/broker.h) as its peers and its application see it, with one worker and
 * with three. */
#include "broker_kit.h"

#include <pthread.h>

#include "base/text.h"

/* ---- requests of clients ---- */

static void requests_are_answered_at_once(void **state)
{
    kit_world *const w = *state;
    const int fd = kit_enter(w);

    kit_expect(
        fd, "{\"id\":\"1\",\"type\":\"request\",\"topic\":\"echo\",\"payload\":{\"a\": [1]}}",
        "{\"id\":\"1\",\"type\":\"response\",\"topic\":\"echo\",\"payload\":{\"a\": [1]}}\n");
    kit_expect(fd, "{\"id\":\"2\",\"type\":\"request\",\"topic\":\"nothing\",\"payload\":null}",
               "{\"id\":\"2\",\"type\":\"response\",\"topic\":\"nothing\"}\n");
    kit_expect(fd, "{\"type\":\"request\",\"topic\":\"echo\",\"payload\":5}",
               "{\"type\":\"response\",\"topic\":\"echo\",\"payload\":5}\n");
    raw_send_text(fd,
                  "{\"type\":\"request\",\"topic\":\"nothing\"}"); /* nothing to say, to nobody */
    kit_expect_silence(fd);
    assert_int_equal(atomic_load(&w->calls), 4);
    raw_close(fd);
}

static int on_junk(const ln_rpc_call *call, void *user)
{
    (void)user;
    assert_int_equal(ln_rpc_result(&call->ticket, LN_SPAN("{\"a\":NaN}")), LN_ERR_INVALID);
    return LN_ERR_INVALID;
}

static void errors_always_reach_who_asked(void **state)
{
    const kit_world *const w = *state;
    const int fd = kit_enter(w);

    kit_expect(fd, "{\"id\":\"1\",\"type\":\"request\",\"topic\":\"none\"}",
               "{\"id\":\"1\",\"type\":\"error\",\"topic\":\"none\",\"error\":{\"code\":404,"
               "\"message\":\"No handler for topic: none\"}}\n");
    kit_expect(fd, "{\"id\":\"2\",\"type\":\"request\",\"topic\":\"boom\"}",
               "{\"id\":\"2\",\"type\":\"error\",\"topic\":\"boom\",\"error\":{\"code\":500,"
               "\"message\":\"boom \\\"1\\\"\"}}\n");
    kit_expect(
        fd, "{\"id\":\"3\",\"type\":\"request\",\"topic\":\"fail\",\"payload\":-20}",
        "{\"id\":\"3\",\"type\":\"error\",\"topic\":\"fail\",\"error\":{\"code\":400,"
        "\"message\":\"Invalid request payload: failed to unmarshal payload. Raw: -20\"}}\n");
    kit_expect(fd, "{\"id\":\"4\",\"type\":\"request\",\"topic\":\"fail\",\"payload\":-62}",
               "{\"id\":\"4\",\"type\":\"error\",\"topic\":\"fail\",\"error\":{\"code\":500,"
               "\"message\":\"timed out\"}}\n");
    kit_expect(fd, "{\"type\":\"request\",\"topic\":\"boom\"}",
               "{\"type\":\"error\",\"topic\":\"boom\",\"error\":{\"code\":500,\"message\":\"boom "
               "\\\"1\\\"\"}}\n");
    kit_expect(fd, "{\"id\":\"6\",\"type\":\"request\"}",
               "{\"id\":\"6\",\"type\":\"error\",\"error\":{\"code\":404,\"message\":\"No handler "
               "for topic: \"}}\n");
    kit_expect(fd, "{\"id\":\"7\",\"type\":\"request\",\"topic\":\"a\\u0000b\"}",
               "{\"id\":\"7\",\"type\":\"error\",\"topic\":\"a\\u0000b\",\"error\":{\"code\":404,"
               "\"message\":\"No handler for topic: a\\u0000b\"}}\n");
    assert_int_equal(ln_broker_handle(w->broker, "junk", on_junk, NULL), 0);
    kit_expect(fd, "{\"id\":\"8\",\"type\":\"request\",\"topic\":\"junk\"}",
               "{\"id\":\"8\",\"type\":\"error\",\"topic\":\"junk\",\"error\":{\"code\":500,"
               "\"message\":\"Server error creating response\"}}\n");
    ln_broker_stats stats;
    ln_broker_stats_get(w->broker, &stats);
    assert_int_equal(stats.requests_total, 8);
    assert_int_equal(stats.errors_total, 8);
    assert_int_equal(stats.clients, 1);
    raw_close(fd);
}

static int on_shared(const ln_rpc_call *call, void *user)
{
    return ln_rpc_error(&call->ticket, *(const int *)user, LN_SPAN("m"), LN_SPAN("{\"d\":1}"));
}

static void codes_of_json_rpc_become_the_brokers(void **state)
{
    const kit_world *const w = *state;
    const int fd = kit_enter(w);
    static struct {
        int given, heard;
    } codes[] = {
        {LN_RPC_METHOD_NOT_FOUND, 404}, {LN_RPC_INVALID_PARAMS, 400}, {LN_RPC_INVALID_REQUEST, 400},
        {LN_RPC_INTERNAL_ERROR, 500},   {LN_RPC_BUSY, 503},           {-7, -7}};

    for (size_t i = 0; i < LN_ARRAY_SIZE(codes); i++) {
        char heard[200];
        assert_int_equal(ln_broker_handle(w->broker, "shared", on_shared, &codes[i].given), 0);
        snprintf(heard, sizeof heard,
                 "{\"id\":\"1\",\"type\":\"error\",\"topic\":\"shared\",\"payload\":{\"d\":1},"
                 "\"error\":{\"code\":%d,\"message\":\"m\"}}\n",
                 codes[i].heard);
        kit_expect(fd, "{\"id\":\"1\",\"type\":\"request\",\"topic\":\"shared\"}", heard);
    }
    raw_close(fd);
}

static void *answer_all(void *arg)
{
    kit_world *const w = arg;
    kit_wait_for(&w->kept, 3);
    assert_int_equal(ln_rpc_result(&w->tickets[1], LN_SPAN("\"two\"")), 0);
    assert_int_equal(ln_rpc_error(&w->tickets[0], 500, LN_SPAN("no"), LN_SPAN("")), 0);
    assert_int_equal(ln_rpc_result(&w->tickets[2], LN_SPAN("")), 0);
    return NULL;
}

static void requests_are_answered_later_from_any_thread(void **state)
{
    kit_world *const w = *state;
    const int fd = kit_enter(w);
    pthread_t thread;

    for (int i = 1; i <= 3; i++) {
        char text[100];
        snprintf(text, sizeof text, "{\"id\":\"%d\",\"type\":\"request\",\"topic\":\"later\"}", i);
        raw_send_text(fd, text);
    }
    pthread_create(&thread, NULL, answer_all, w);
    kit_hear(fd, "{\"id\":\"2\",\"type\":\"response\",\"topic\":\"later\",\"payload\":\"two\"}\n");
    kit_hear(fd, "{\"id\":\"1\",\"type\":\"error\",\"topic\":\"later\",\"error\":{\"code\":500,"
                 "\"message\":\"no\"}}\n");
    kit_hear(fd, "{\"id\":\"3\",\"type\":\"response\",\"topic\":\"later\"}\n");
    pthread_join(thread, NULL);
    raw_close(fd);
    kit_wait_for(&w->disconnects, 1);
    assert_int_equal(ln_rpc_result(&w->tickets[0], LN_SPAN("1")), LN_ERR_CLOSED);
}

static int on_slow_failure(const ln_rpc_call *call, void *user)
{
    (void)user;
    assert_null(call->conn);
    return call->params.size > 2 ? LN_ERR_INVALID : 0;
}

static void a_handler_that_blocks_holds_up_nobody_else(void **state)
{
    kit_world *const w = *state;
    const int fd = kit_enter(w);

    raw_send_text(fd, "{\"id\":\"1\",\"type\":\"request\",\"topic\":\"slow\",\"payload\":\"x\"}");
    kit_wait_for(&w->begun, 1);
    kit_expect_silence(fd); /* another request of the same client */
    atomic_store(&w->is_free, 1);
    kit_hear(fd, "{\"id\":\"1\",\"type\":\"response\",\"topic\":\"slow\",\"payload\":\"x\"}\n");

    assert_int_equal(ln_broker_handle_blocking(w->broker, "slow", on_slow_failure, w), 0);
    kit_expect(fd, "{\"id\":\"2\",\"type\":\"request\",\"topic\":\"slow\",\"payload\":12}",
               "{\"id\":\"2\",\"type\":\"response\",\"topic\":\"slow\"}\n");
    kit_expect(
        fd, "{\"id\":\"3\",\"type\":\"request\",\"topic\":\"slow\",\"payload\":123}",
        "{\"id\":\"3\",\"type\":\"error\",\"topic\":\"slow\",\"error\":{\"code\":400,"
        "\"message\":\"Invalid request payload: failed to unmarshal payload. Raw: 123\"}}\n");
    raw_close(fd);
}

static void handlers_come_and_go(void **state)
{
    kit_world *const w = *state;
    const int fd = kit_enter(w);

    assert_int_equal(ln_broker_handle(w->broker, "", kit_on_echo, w), LN_ERR_INVALID);
    assert_int_equal(ln_broker_handle(w->broker, "system:proxy", kit_on_echo, w), LN_ERR_EXISTS);
    assert_int_equal(ln_broker_handle(w->broker, "system:register", NULL, w), LN_ERR_EXISTS);
    assert_int_equal(ln_broker_handle_blocking(w->broker, "system:list_clients", kit_on_slow, w),
                     LN_ERR_EXISTS);
    assert_int_equal(ln_broker_handle(w->broker, "?", kit_on_nothing, w), 0);
    kit_expect(fd, "{\"id\":\"1\",\"type\":\"request\",\"topic\":\"?\"}",
               "{\"id\":\"1\",\"type\":\"response\",\"topic\":\"?\"}\n");
    assert_int_equal(ln_broker_handle(w->broker, "?", NULL, NULL), 0);
    kit_expect_silence(fd);
    raw_close(fd);
}

/* ---- what is malformed ---- */

static void what_is_no_message_ends_the_connection(void **state)
{
    const kit_world *const w = *state;
    static const char *const wrong[] = {"not json",          "[]", "5", "{\"id\":5}",
                                        "{\"error\":\"x\"}", ""};

    for (size_t i = 0; i < LN_ARRAY_SIZE(wrong); i++) {
        const int fd = kit_enter(w);
        raw_send_text(fd, wrong[i]);
        kit_hear_close(fd, 1007, "failed to unmarshal JSON");
        raw_close(fd);
    }
    ln_broker_stats stats;
    ln_broker_stats_get(w->broker, &stats);
    assert_int_equal(stats.malformed_total, LN_ARRAY_SIZE(wrong));
}

static void what_is_of_no_type_is_passed_over(void **state)
{
    const kit_world *const w = *state;
    const int fd = kit_enter(w);
    static const char *const odd[] = {
        "null",
        "{}",
        "{\"type\":\"hello\"}",
        "{\"id\":\"1\",\"type\":\"subscription_ack\",\"topic\":\"t\"}",
        "{\"header\":{\"type\":\"event\",\"topic\":\"t\"},\"body\":1}",
        "{\"type\":\"publish\",\"payload\":1}",
        "{\"id\":\"1\",\"type\":\"unsubscribe_request\"}"};

    kit_expect_silence(fd); /* it is of the current generation from here on */
    for (size_t i = 0; i < LN_ARRAY_SIZE(odd); i++)
        raw_send_text(fd, odd[i]);
    kit_expect_silence(fd);
    ln_broker_stats stats;
    ln_broker_stats_get(w->broker, &stats);
    assert_int_equal(stats.ignored_total, LN_ARRAY_SIZE(odd));
    assert_int_equal(stats.malformed_total, 0);
    raw_close(fd);
}

static void binary_messages_are_read_too(void **state)
{
    const kit_world *const w = *state;
    const int fd = kit_enter(w);
    static const char text[] = "{\"id\":\"1\",\"type\":\"request\",\"topic\":\"nothing\"}";

    raw_send_frame(fd, 0x82, text, sizeof text - 1);
    kit_hear(fd, "{\"id\":\"1\",\"type\":\"response\",\"topic\":\"nothing\"}\n");
    raw_close(fd);
}

/* ---- who is there ---- */

static void a_client_is_named_and_registers(void **state)
{
    kit_world *const w = *state;
    const int fd =
        kit_enter_at(w, "/wsmq?client_id=page%201", "Referer: http://test.example/a?b\r\n");
    ln_conn_id conn = 0;

    assert_string_equal(kit_register(fd, "mine", ""), "page 1");
    kit_wait_for(&w->registrations, 1);
    assert_string_equal(w->registered,
                        "mine|browser-http://test.example/a?b|unknown|http://test.example/a?b");
    assert_int_equal(ln_broker_find(w->broker, LN_SPAN("page 1"), &conn), 0);
    assert_true(conn == atomic_load(&w->last));
    conn = 0;
    assert_int_equal(ln_broker_find_session(w->broker, LN_SPAN("mine"), &conn), 0);
    assert_true(conn == atomic_load(&w->last));

    raw_send_text(fd,
                  "{\"id\":\"2\",\"type\":\"request\",\"topic\":\"system:register\",\"payload\":"
                  "{\"clientID\":\"other\",\"clientName\":\"n\",\"clientType\":\"browser\","
                  "\"clientURL\":\"u\"}}");
    assert_non_null(strstr(kit_hear_any(fd), "\"clientName\":\"n\",\"serverTime\":\"20"));
    kit_wait_for(&w->registrations, 2);
    assert_string_equal(w->registered, "other|n|browser|u");
    assert_int_equal(ln_broker_find_session(w->broker, LN_SPAN("mine"), &conn), LN_ERR_NOT_FOUND);
    assert_int_equal(ln_broker_find_session(w->broker, LN_SPAN("other"), &conn), 0);
    raw_close(fd);
    kit_wait_for(&w->disconnects, 1);
    assert_int_equal(ln_broker_find_session(w->broker, LN_SPAN("other"), &conn), LN_ERR_NOT_FOUND);
    assert_int_equal(ln_broker_find(w->broker, LN_SPAN("page 1"), &conn), LN_ERR_NOT_FOUND);
}

static void registering_without_saying_anything_is_fine(void **state)
{
    kit_world *const w = *state;
    const int fd = kit_enter(w);

    raw_send_text(fd, "{\"id\":\"1\",\"type\":\"request\",\"topic\":\"system:register\"}");
    const char *const heard = kit_hear_any(fd);
    assert_non_null(strstr(heard, "\"serverAssignedId\":\""));
    char id[33] = "";
    memcpy(id, strstr(heard, "AssignedId\":\"") + 13, 32);
    assert_int_equal(strspn(id, "0123456789abcdef"), 32);
    kit_wait_for(&w->registrations, 1);
    char expected[200];
    snprintf(expected, sizeof expected, "%s|client-%.8s|unknown|", id, id);
    assert_string_equal(w->registered, expected);
    raw_send_text(fd,
                  "{\"id\":\"1\",\"type\":\"request\",\"topic\":\"system:register\",\"payload\":"
                  "{\"clientType\":\"browser\"}}");
    (void)kit_hear_any(fd);
    kit_wait_for(&w->registrations, 2);
    assert_non_null(strstr(w->registered, "|browser|unknown-browser"));
    kit_expect(fd,
               "{\"id\":\"2\",\"type\":\"request\",\"topic\":\"system:register\",\"payload\":{"
               "\"clientId\":7}}",
               "{\"id\":\"2\",\"type\":\"error\",\"topic\":\"system:register\",\"error\":{\"code\":"
               "400,\"message\":\"Invalid request payload: failed to unmarshal payload. Raw: "
               "{\\\"clientId\\\":7}\"}}\n");
    raw_close(fd);
}

/* Upstream's second connection took the first one's place, and lost it with the first one's end. */
static void a_taken_id_is_replaced(void **state)
{
    kit_world *const w = *state;
    const int first = kit_enter_at(w, "/wsmq?client_id=same", "");
    ln_conn_id conn = 0;
    char id[64];

    kit_wait_for(&w->connects, 1);
    const ln_conn_id first_conn = atomic_load(&w->last);
    const int second = kit_enter_at(w, "/wsmq?client_id=same", "");
    snprintf(id, sizeof id, "%s", kit_register(second, "same", "x"));
    assert_int_equal(strspn(id, "0123456789abcdef"), 32);
    assert_int_equal(ln_broker_find(w->broker, LN_SPAN("same"), &conn), 0);
    assert_true(conn == first_conn);
    assert_string_equal(kit_register(first, "same", "x"), "same");
    assert_int_equal(ln_broker_find_session(w->broker, LN_SPAN("same"), &conn), 0);
    assert_true(conn == first_conn); /* the latest */

    raw_close(first);
    kit_wait_for(&w->disconnects, 1);
    assert_int_equal(ln_broker_find(w->broker, LN_SPAN("same"), &conn), LN_ERR_NOT_FOUND);
    assert_int_equal(ln_broker_find(w->broker, ln_text(id), &conn), 0);
    assert_int_equal(ln_broker_find_session(w->broker, LN_SPAN("same"), &conn), 0);
    assert_true(conn != first_conn); /* the other one, again */
    raw_close(second);
}

static bool count_one(const ln_broker_info *client, void *user)
{
    assert_true(client->id.size > 0 && client->conn != 0);
    ++*(int *)user;
    return *(int *)user < 2;
}

static void clients_are_listed(void **state)
{
    kit_world *const w = *state;
    const int a = kit_enter_at(w, "/wsmq?client_id=a", "");
    const int b = kit_enter_at(w, "/wsmq?client_id=b", "");
    const int c = kit_enter_at(w, "/wsmq?client_id=c", "");
    int visited = 0;

    (void)kit_register(b, "b", "browser");
    kit_expect(a,
               "{\"id\":\"1\",\"type\":\"request\",\"topic\":\"system:list_clients\",\"payload\":{"
               "\"clientType\":\"browser\"}}",
               "{\"id\":\"1\",\"type\":\"response\",\"topic\":\"system:list_clients\",\"payload\":{"
               "\"clients\":[{\"id\":\"b\",\"name\":\"client-b\",\"clientType\":\"browser\","
               "\"clientUrl\":\"unknown-browser\"}]}}\n");
    kit_expect(a,
               "{\"id\":\"2\",\"type\":\"request\",\"topic\":\"system:list_clients\",\"payload\":{"
               "\"clientType\":\"none\"}}",
               "{\"id\":\"2\",\"type\":\"response\",\"topic\":\"system:list_clients\",\"payload\":{"
               "\"clients\":[]}}\n");
    raw_send_text(a, "{\"id\":\"3\",\"type\":\"request\",\"topic\":\"system:list_clients\"}");
    const char *const all = kit_hear_any(a);
    assert_non_null(strstr(all, "{\"id\":\"a\",\"name\":\"client-a\",\"clientType\":\"unknown\","
                                "\"clientUrl\":\"\"}"));
    assert_non_null(strstr(all, "{\"id\":\"c\""));
    kit_expect(
        a, "{\"id\":\"4\",\"type\":\"request\",\"topic\":\"system:list_clients\",\"payload\":[]}",
        "{\"id\":\"4\",\"type\":\"error\",\"topic\":\"system:list_clients\",\"error\":{"
        "\"code\":400,\"message\":\"Invalid request payload: failed to unmarshal payload. "
        "Raw: []\"}}\n");
    assert_int_equal(ln_broker_each(w->broker, count_one, &visited), 2);
    assert_int_equal(visited, 2);
    raw_close(a);
    raw_close(b);
    raw_close(c);
}

/* ---- subscriptions and publications ---- */

static void subscriptions_are_acknowledged(void **state)
{
    const kit_world *const w = *state;
    const int fd = kit_enter(w);

    kit_subscribe(fd, "news");
    kit_subscribe(fd, "news");
    kit_expect(fd, "{\"id\":\"1\",\"type\":\"unsubscribe_request\",\"topic\":\"news\"}",
               "{\"id\":\"1\",\"type\":\"subscription_ack\",\"topic\":\"news\",\"payload\":{"
               "\"status\":\"unsubscribed\",\"topic\":\"news\"}}\n");
    kit_expect(fd, "{\"id\":\"1\",\"type\":\"unsubscribe_request\",\"topic\":\"never\"}",
               "{\"id\":\"1\",\"type\":\"subscription_ack\",\"topic\":\"never\",\"payload\":{"
               "\"status\":\"unsubscribed\",\"topic\":\"never\"}}\n");
    kit_expect(fd, "{\"id\":\"1\",\"type\":\"subscribe_request\",\"topic\":\"\"}",
               "{\"id\":\"1\",\"type\":\"error\",\"error\":{\"code\":400,\"message\":"
               "\"Subscription topic cannot be empty\"}}\n");
    kit_expect(fd, "{\"id\":\"1\",\"type\":\"subscribe_request\",\"topic\":\"a\\nb\"}",
               "{\"id\":\"1\",\"type\":\"error\",\"topic\":\"a\\nb\",\"error\":{\"code\":400,"
               "\"message\":\"Subscription topic is not valid\"}}\n");
    kit_expect(fd, "{\"id\":\"1\",\"type\":\"subscribe_request\",\"topic\":\"$linnet.x\"}",
               "{\"id\":\"1\",\"type\":\"error\",\"topic\":\"$linnet.x\",\"error\":{\"code\":400,"
               "\"message\":\"Subscription topic is not valid\"}}\n");
    kit_expect(fd, "{\"id\":\"1\",\"type\":\"subscribe_request\",\"topic\":\"secret.x\"}",
               "{\"id\":\"1\",\"type\":\"error\",\"topic\":\"secret.x\",\"error\":{\"code\":403,"
               "\"message\":\"Subscription not permitted\"}}\n");
    raw_close(fd);
}

static void everybody_gets_what_is_published_the_publisher_too(void **state)
{
    const kit_world *const w = *state;
    int fds[4];
    char text[100];

    for (size_t i = 0; i < LN_ARRAY_SIZE(fds); i++) {
        fds[i] = kit_enter(w);
        kit_subscribe(fds[i], i < 3 ? "news" : "*");
    }
    for (int n = 0; n < 20; n++) {
        snprintf(text, sizeof text,
                 "{\"id\":\"x\",\"type\":\"publish\",\"topic\":\"news\",\"payload\":{\"n\": %d}}",
                 n);
        raw_send_text(fds[0], text);
    }
    raw_send_text(fds[0], "{\"type\":\"publish\",\"topic\":\"news\"}");
    for (size_t i = 0; i < LN_ARRAY_SIZE(fds); i++) {
        for (int n = 0; n < 20; n++) {
            snprintf(text, sizeof text,
                     "{\"type\":\"publish\",\"topic\":\"news\",\"payload\":{\"n\": %d}}\n", n);
            kit_hear(fds[i], text);
        }
        kit_hear(fds[i], "{\"type\":\"publish\",\"topic\":\"news\",\"payload\":null}\n");
        kit_expect_silence(fds[i]);
        raw_close(fds[i]);
    }
}

static void what_may_not_be_published_is_refused(void **state)
{
    const kit_world *const w = *state;
    const int fd = kit_enter(w);
    static const char *const wrong[] = {"a.*", "$linnet.x", "a\\u0000", "secret"};

    kit_subscribe(fd, ">");
    for (size_t i = 0; i < LN_ARRAY_SIZE(wrong); i++) {
        const bool is_secret = i + 1 == LN_ARRAY_SIZE(wrong);
        char text[100], heard[200];
        snprintf(text, sizeof text, "{\"type\":\"publish\",\"topic\":\"%s\"}", wrong[i]);
        snprintf(
            heard, sizeof heard,
            "{\"type\":\"error\",\"topic\":\"%s\",\"error\":{\"code\":%d,\"message\":\"%s\"}}\n",
            wrong[i], is_secret ? 403 : 400,
            is_secret ? "Publication not permitted" : "Publication topic is not valid");
        kit_expect(fd, text, heard);
    }
    kit_expect(fd, "{\"id\":\"5\",\"type\":\"publish\",\"topic\":\"*\",\"payload\":1}",
               "{\"id\":\"5\",\"type\":\"error\",\"topic\":\"*\",\"error\":{\"code\":400,"
               "\"message\":\"Publication topic is not valid\"}}\n");
    raw_send_text(fd, "{\"type\":\"publish\",\"topic\":\"\"}");
    kit_expect_silence(fd);
    ln_broker_stats stats;
    ln_broker_stats_get(w->broker, &stats);
    assert_int_equal(stats.refused_total, LN_ARRAY_SIZE(wrong) + 1);
    assert_int_equal(stats.published_total, 0);
    raw_close(fd);
}

static void *publish_from_here(void *arg)
{
    kit_world *const w = arg;
    for (int i = 0; i < 10; i++)
        assert_int_equal(ln_broker_publish(w->broker, LN_SPAN("n\"s"), LN_SPAN(" [1, \"x\"]")), 0);
    assert_int_equal(ln_broker_publish(w->broker, LN_SPAN("n\"s"), LN_SPAN("")), 0);
    assert_int_equal(ln_broker_publish(w->broker, LN_SPAN("n"), LN_SPAN("nonsense")),
                     LN_ERR_INVALID);
    assert_int_equal(ln_broker_publish(w->broker, LN_SPAN(">"), LN_SPAN("1")), LN_ERR_INVALID);
    return NULL;
}

static void the_application_publishes_from_any_thread(void **state)
{
    kit_world *const w = *state;
    const int a = kit_enter(w), b = kit_enter(w);
    pthread_t thread;

    kit_subscribe(a, "n\\\"s");
    kit_subscribe(b, "n\\\"s");
    pthread_create(&thread, NULL, publish_from_here, w);
    for (int i = 0; i < 10; i++) {
        kit_hear(a, "{\"type\":\"publish\",\"topic\":\"n\\\"s\",\"payload\": [1, \"x\"]}\n");
        kit_hear(b, "{\"type\":\"publish\",\"topic\":\"n\\\"s\",\"payload\": [1, \"x\"]}\n");
    }
    kit_hear(a, "{\"type\":\"publish\",\"topic\":\"n\\\"s\",\"payload\":null}\n");
    pthread_join(thread, NULL);
    raw_close(a);
    raw_close(b);
}

static void other_dialects_meet_this_one(void **state)
{
    kit_world *const w = *state;
    const int here = kit_enter(w), there = kit_enter_at(w, "/rooms?room=lobby", "");
    static const struct {
        uint8_t first;
        const char *sent;
        size_t size;
        const char *payload;
    } messages[] = {{0x81, "{\"a\": 1}", 8, "{\"a\": 1}"},
                    {0x81, "hello \"you\"", 11, "\"hello \\\"you\\\"\""},
                    {0x81, "", 0, "\"\""},
                    {0x81, "12", 2, "12"},
                    {0x82, "\0\x01\x02\xff", 4, "\"AAEC/w==\""},
                    {0x82, "12", 2, "\"MTI=\""},
                    {0x82, "", 0, "\"\""}};
    char heard[200];

    kit_subscribe(here, "lobby");
    for (size_t i = 0; i < LN_ARRAY_SIZE(messages); i++) {
        raw_send_frame(there, messages[i].first, messages[i].sent, messages[i].size);
        snprintf(heard, sizeof heard, "{\"type\":\"publish\",\"topic\":\"lobby\",\"payload\":%s}\n",
                 messages[i].payload);
        kit_hear(here, heard);
        const raw_frame f = raw_read_frame(there);
        assert_int_equal(f.first, messages[i].first);
        assert_int_equal(f.size, messages[i].size);
    }
    raw_send_text(here, "{\"type\":\"publish\",\"topic\":\"lobby\",\"payload\":{\"b\": [2]}}");
    kit_hear(there, "{\"b\": [2]}");
    raw_close(here);
    raw_close(there);
}

/* ---- subscribers of the application ---- */

static void on_replying_publication(ln_broker *broker, const ln_broker_publication *p, void *user)
{
    kit_world *const w = user;
    if (ln_text_equal(p->payload, LN_SPAN("\"end\"")))
        assert_int_equal(ln_broker_subscribe(broker, "ask", NULL, NULL), 0);
    assert_int_equal(ln_broker_publish(broker, LN_SPAN("answer"), p->payload), 0);
    atomic_fetch_add(&w->heard, 1);
}

static void the_application_subscribes(void **state)
{
    kit_world *const w = *state;
    const int fd = kit_enter(w), other = kit_enter_at(w, "/rooms?room=x.y", "");

    assert_int_equal(ln_broker_subscribe(w->broker, "x.*", kit_on_publication, w), 0);
    assert_int_equal(ln_broker_subscribe(w->broker, "", kit_on_publication, w), LN_ERR_INVALID);
    assert_int_equal(ln_broker_subscribe(w->broker, "x", NULL, w), LN_ERR_NOT_FOUND);
    raw_send_text(fd, "{\"type\":\"publish\",\"topic\":\"x.1\",\"payload\":{\"a\":1}}");
    kit_wait_for(&w->heard, 1);
    assert_string_equal(w->publication, "x.1|{\"a\":1}|1|1");
    raw_send_frame(other, 0x82, "bytes", 5);
    kit_wait_for(&w->heard, 2);
    assert_string_equal(w->publication, "x.y|bytes|2|1");
    assert_int_equal(ln_broker_publish(w->broker, LN_SPAN("x.z"), LN_SPAN("")), 0);
    kit_wait_for(&w->heard, 3);
    assert_string_equal(w->publication, "x.z|null|1|0");

    /* another one takes its place, and may do anything where it runs */
    assert_int_equal(ln_broker_subscribe(w->broker, "ask", kit_on_publication, w), 0);
    assert_int_equal(ln_broker_subscribe(w->broker, "ask", on_replying_publication, w), 0);
    kit_subscribe(fd, "answer");
    raw_send_text(fd, "{\"type\":\"publish\",\"topic\":\"ask\",\"payload\":\"1\"}");
    kit_hear(fd, "{\"type\":\"publish\",\"topic\":\"answer\",\"payload\":\"1\"}\n");
    raw_send_text(fd, "{\"type\":\"publish\",\"topic\":\"ask\",\"payload\":\"end\"}");
    kit_hear(fd, "{\"type\":\"publish\",\"topic\":\"answer\",\"payload\":\"end\"}\n");
    raw_send_text(fd, "{\"type\":\"publish\",\"topic\":\"ask\",\"payload\":\"2\"}");
    kit_expect_silence(fd);
    assert_int_equal(atomic_load(&w->heard), 5);
    raw_close(fd);
    raw_close(other);
}

static void who_subscribed_before_the_start_is_told(void **state)
{
    (void)state;
    kit_world w = {.port = 0};
    const ln_server_options options = {.workers = 2, .log = kit_quiet};

    w.server = ln_server_new(&options);
    assert_int_equal(ln_broker_mount(w.server, "/wsmq", NULL, &w.broker), 0);
    assert_int_equal(ln_broker_subscribe(w.broker, "early", kit_on_publication, &w), 0);
    assert_int_equal(ln_broker_subscribe(w.broker, "never", kit_on_publication, &w), 0);
    assert_int_equal(ln_broker_subscribe(w.broker, "never", NULL, NULL), 0);
    assert_int_equal(ln_broker_publish(w.broker, LN_SPAN("early"), LN_SPAN("1")), LN_ERR_STATE);
    w.port = kit_serve(w.server);
    const int fd = kit_enter(&w);
    raw_send_text(fd, "{\"type\":\"publish\",\"topic\":\"never\",\"payload\":1}");
    raw_send_text(fd, "{\"type\":\"publish\",\"topic\":\"early\",\"payload\":1}");
    kit_wait_for(&w.heard, 1);
    assert_string_equal(w.publication, "early|1|1|1");
    raw_close(fd);
    ln_server_stop(w.server);
    ln_server_join(w.server);
    ln_server_free(w.server);
}

/* ---- requests to clients ---- */

/* The id of a request that was heard; static until the next call. */
static const char *hear_request(int fd, const char *rest)
{
    static char id[33];
    const char *const heard = kit_hear_any(fd);

    assert_memory_equal(heard, "{\"id\":\"", 7);
    memcpy(id, heard + 7, 32);
    assert_int_equal(strspn(id, "0123456789abcdef"), 32);
    assert_string_equal(heard + 39, rest);
    return id;
}

static int ask(kit_world *w, uint32_t timeout_ms, ln_rpc_ticket *ticket)
{
    const ln_broker_request_options request = {.conn = atomic_load(&w->last),
                                               .topic = LN_SPAN("server.ping"),
                                               .payload = LN_SPAN("{\"t\":1}"),
                                               .timeout_ms = timeout_ms,
                                               .on_reply = kit_on_reply,
                                               .user = w};
    return ln_broker_request(w->broker, &request, ticket);
}

#define ASKED "\",\"type\":\"request\",\"topic\":\"server.ping\",\"payload\":{\"t\":1}}\n"

static void clients_are_asked_and_answer_in_every_shape(void **state)
{
    static const struct {
        const char *answer; /* behind the id */
        int error;
        const char *reply;
    } answers[] = {
        {"\"type\":\"response\",\"topic\":\"server.ping\",\"payload\":{\"p\":1}", 0,
         "{\"p\":1}|0|"},
        {"\"type\":\"response\"", 0, "|0|"},
        {"\"type\":\"error\",\"error\":{\"code\":404,\"message\":\"m\"}", LN_ERR_REFUSED,
         "|404|\"m\""},
        {"\"type\":\"error\",\"topic\":\"server.ping\",\"payload\":{\"error\":\"js\"}",
         LN_ERR_REFUSED, "|0|\"js\""},
        {"\"type\":\"response\",\"error\":{\"message\":\"m\"}", LN_ERR_REFUSED, "|0|\"m\""},
        {"\"type\":\"error\"", LN_ERR_REFUSED, "|0|\"\""},
    };
    kit_world *const w = *state;
    const int fd = kit_enter(w);
    char text[200];

    kit_wait_for(&w->connects, 1);
    for (size_t i = 0; i < LN_ARRAY_SIZE(answers); i++) {
        assert_int_equal(ask(w, 0, NULL), 0);
        snprintf(text, sizeof text, "{\"id\":\"%s\",%s}", hear_request(fd, ASKED),
                 answers[i].answer);
        text[7] ^= 1; /* nobody's, whatever its number */
        raw_send_text(fd, text);
        kit_expect_silence(fd);
        assert_int_equal(atomic_load(&w->replies), i);
        text[7] ^= 1;
        raw_send_text(fd, text);
        kit_wait_for(&w->replies, (int)i + 1);
        assert_int_equal(atomic_load(&w->reply_error), answers[i].error);
        assert_string_equal(w->reply, answers[i].reply);
        raw_send_text(fd, text); /* a second time */
    }
    raw_send_text(fd, "{\"id\":\"0123456789abcdef0123456789abcdef\",\"type\":\"response\"}");
    raw_send_text(fd, "{\"type\":\"error\"}");
    kit_expect_silence(fd);
    ln_broker_stats stats;
    ln_broker_stats_get(w->broker, &stats);
    assert_int_equal(stats.strays_total, 2 * LN_ARRAY_SIZE(answers) + 2);
    assert_int_equal(atomic_load(&w->replies), LN_ARRAY_SIZE(answers));
    raw_close(fd);
}

static void a_request_to_a_client_ends_once(void **state)
{
    kit_world *const w = *state;
    const int fd = kit_enter(w);
    ln_rpc_ticket ticket;

    kit_wait_for(&w->connects, 1);
    assert_int_equal(ask(w, 20, NULL), 0); /* late */
    (void)hear_request(fd, ASKED);
    kit_wait_for(&w->replies, 1);
    assert_int_equal(atomic_load(&w->reply_error), LN_ERR_TIMEOUT);

    assert_int_equal(ask(w, 0, &ticket), 0); /* taken back */
    (void)hear_request(fd, ASKED);
    assert_int_equal(ln_broker_cancel(&ticket), 0);
    kit_wait_for(&w->replies, 2);
    assert_int_equal(atomic_load(&w->reply_error), LN_ERR_CANCELLED);
    assert_int_equal(ln_broker_cancel(&ticket), 0); /* from another thread: nobody knows */

    assert_int_equal(ask(w, 0, &ticket), 0); /* gone */
    (void)hear_request(fd, ASKED);
    raw_close(fd);
    kit_wait_for(&w->replies, 3);
    assert_int_equal(atomic_load(&w->reply_error), LN_ERR_CLOSED);
    kit_wait_for(&w->disconnects, 1);
    assert_int_equal(ask(w, 0, &ticket), LN_ERR_CLOSED);
    assert_int_equal(ln_broker_cancel(&ticket), LN_ERR_CLOSED);
    assert_int_equal(atomic_load(&w->replies), 3);
}

static void bad_requests_of_ours_are_refused(void **state)
{
    kit_world *const w = *state;
    const int fd = kit_enter(w);

    kit_wait_for(&w->connects, 1);
    ln_broker_request_options r = {.conn = atomic_load(&w->last),
                                   .topic = LN_SPAN("t"),
                                   .payload = LN_SPAN("{"),
                                   .on_reply = kit_on_reply,
                                   .user = w};
    assert_int_equal(ln_broker_request(w->broker, &r, NULL), LN_ERR_INVALID);
    r.payload = LN_SPAN("");
    r.topic = LN_SPAN("\xff");
    assert_int_equal(ln_broker_request(w->broker, &r, NULL), LN_ERR_INVALID);
    r.topic = LN_SPAN("t");
    r.on_reply = NULL;
    assert_int_equal(ln_broker_request(w->broker, &r, NULL), LN_ERR_INVALID);
    assert_int_equal(ln_broker_send(w->broker, r.conn, LN_SPAN(""), LN_SPAN("1")), LN_ERR_INVALID);
    assert_int_equal(ln_broker_send(w->broker, r.conn, LN_SPAN("t"), LN_SPAN("x")), LN_ERR_INVALID);
    assert_int_equal(ln_broker_send(w->broker, 12345, LN_SPAN("t"), LN_SPAN("1")), LN_ERR_CLOSED);
    assert_int_equal(ln_broker_send(w->broker, r.conn, LN_SPAN("t"), LN_SPAN("[1]")), 0);
    kit_hear(fd, "{\"type\":\"publish\",\"topic\":\"t\",\"payload\":[1]}\n");
    assert_int_equal(ln_broker_send(w->broker, r.conn, LN_SPAN("t"), LN_SPAN("")), 0);
    kit_hear(fd, "{\"type\":\"publish\",\"topic\":\"t\",\"payload\":null}\n");
    raw_close(fd);
}

/* ---- clients that ask each other ---- */

#define PROXY(id, payload)                                                                         \
    "{\"id\":\"" id "\",\"type\":\"request\",\"topic\":\"system:proxy\",\"payload\":" payload "}"
#define PROXY_ERROR(id, code, words)                                                               \
    "{\"id\":\"" id "\",\"type\":\"error\",\"topic\":\"system:proxy\",\"error\":{\"code\":" code   \
    ",\"message\":\"" words "\"}}\n"

static void nobody_asks_another_unless_it_is_allowed(void **state)
{
    kit_world *const w = *state;
    const int a = kit_enter_at(w, "/wsmq?client_id=a", "");

    kit_expect(a, PROXY("1", "{\"targetId\":\"a\",\"topic\":\"t\"}"),
               PROXY_ERROR("1", "403", "proxy request not permitted"));
    raw_close(a);
}

static void clients_ask_each_other(void **state)
{
    kit_world *const w = *state;
    const int a = kit_enter_at(w, "/wsmq?client_id=a", "");
    const int b = kit_enter_at(w, "/wsmq?client_id=b%22", "");
    char text[300], heard[400];

    atomic_store(&w->allows_proxy, true);
    raw_send_text(a, PROXY("1", "{\"targetId\":\"b\\\"\",\"topic\":\"t\",\"payload\":{\"x\": 1}}"));
    snprintf(text, sizeof text, "{\"id\":\"%s\",\"type\":\"response\",\"payload\":{\"y\": 2}}",
             hear_request(b, "\",\"type\":\"request\",\"topic\":\"t\",\"payload\":{\"x\": 1}}\n"));
    raw_send_text(b, text);
    kit_hear(a,
             "{\"id\":\"1\",\"type\":\"response\",\"topic\":\"system:proxy\",\"payload\":{\"y\": "
             "2}}\n");

    raw_send_text(a, PROXY("2", "{\"targetId\":\"b\\\"\",\"topic\":\"t\"}"));
    snprintf(text, sizeof text, "{\"id\":\"%s\",\"type\":\"response\"}",
             hear_request(b, "\",\"type\":\"request\",\"topic\":\"t\",\"payload\":null}\n"));
    raw_send_text(b, text);
    kit_hear(a,
             "{\"id\":\"2\",\"type\":\"response\",\"topic\":\"system:proxy\",\"payload\":null}\n");

    raw_send_text(a, PROXY("2", "{\"targetId\":\"b\\\"\",\"payload\":1}"));
    snprintf(text, sizeof text, "{\"id\":\"%s\",\"type\":\"response\",\"payload\":2}",
             hear_request(b, "\",\"type\":\"request\",\"payload\":1}\n"));
    raw_send_text(b, text);
    kit_hear(a, "{\"id\":\"2\",\"type\":\"response\",\"topic\":\"system:proxy\",\"payload\":2}\n");

    raw_send_text(a, PROXY("3", "{\"targetId\":\"b\\\"\",\"topic\":\"t\"}"));
    const char *id = hear_request(b, "\",\"type\":\"request\",\"topic\":\"t\",\"payload\":null}\n");
    snprintf(text, sizeof text,
             "{\"id\":\"%s\",\"type\":\"error\",\"error\":{\"code\":7,\"message\":\"n\\u006f\"}}",
             id);
    snprintf(
        heard, sizeof heard,
        PROXY_ERROR("3", "500",
                    "proxy target error: client b\\\" responded with error (code 7) for request "
                    "ID %s: no"),
        id);
    raw_send_text(b, text);
    kit_hear(a, heard);

    kit_expect(a, PROXY("4", "{\"topic\":\"t\"}"),
               PROXY_ERROR("4", "500", "proxy request missing target client ID"));
    kit_expect(a, PROXY("5", "{\"targetId\":\"x\",\"topic\":\"t\"}"),
               PROXY_ERROR("5", "500", "proxy target client: client with ID 'x' not found"));
    kit_expect(a, PROXY("6", "{\"targetId\":5}"),
               PROXY_ERROR("6", "400",
                           "Invalid request payload: failed to unmarshal payload. Raw: "
                           "{\\\"targetId\\\":5}"));

    raw_send_text(a, PROXY("7", "{\"targetId\":\"b\\\"\",\"topic\":\"t\"}"));
    id = hear_request(b, "\",\"type\":\"request\",\"topic\":\"t\",\"payload\":null}\n");
    snprintf(heard, sizeof heard,
             PROXY_ERROR("7", "500",
                         "proxy target error: client b\\\" context done while waiting for response "
                         "(ID: %s): context canceled"),
             id);
    raw_close(b);
    kit_hear(a, heard);
    raw_close(a);
}

static void who_asks_another_and_goes_takes_it_back(void **state)
{
    kit_world *const w = *state;
    const int a = kit_enter_at(w, "/wsmq?client_id=a", "");
    const int b = kit_enter_at(w, "/wsmq?client_id=b", "");
    char text[200];

    atomic_store(&w->allows_proxy, true);
    raw_send_text(a, PROXY("1", "{\"targetId\":\"b\",\"topic\":\"t\"}"));
    snprintf(text, sizeof text, "{\"id\":\"%s\",\"type\":\"response\"}",
             hear_request(b, "\",\"type\":\"request\",\"topic\":\"t\",\"payload\":null}\n"));
    raw_close(a);
    kit_wait_for(&w->disconnects, 1);
    kit_expect_silence(b); /* the cancellation came before this */
    raw_send_text(b, text);
    kit_expect_silence(b);
    ln_broker_stats stats;
    ln_broker_stats_get(w->broker, &stats);
    assert_int_equal(stats.strays_total, 1);
    raw_close(b);
}

/* ---- the older generation ---- */

/* What was heard, but for the message id and the time, which are numbers. */
static void hear_headed(int fd, const char *before, const char *after)
{
    const char *const heard = kit_hear_any(fd);
    static const char begin[] = "{\"header\":{\"messageID\":\"";
    const char *at = heard + sizeof begin - 1;

    assert_memory_equal(heard, begin, sizeof begin - 1);
    at += strspn(at, "0123456789-");
    assert_memory_equal(at, before, strlen(before));
    at += strlen(before);
    assert_in_range(strspn(at, "0123456789"), 13, 13); /* milliseconds since 1970 */
    at += 13;
    assert_string_equal(at, after);
}

#define HEADED(type, topic, more, body)                                                            \
    "{\"header\":{\"messageID\":\"m\",\"type\":\"" type "\",\"topic\":\"" topic                    \
    "\",\"timestamp\":1" more "},\"body\":" body "}"
#define CORRELATED ",\"correlationID\":\"c\""

static void the_older_generation_is_spoken_to_in_its_way(void **state)
{
    kit_world *const w = *state;
    const int fd = kit_enter_at(w, "/wsmq?client_id=old", "");
    char text[300];

    raw_send_text(fd, HEADED("event", "_client.register", "", "{\"pageSessionID\":\"page\"}"));
    hear_headed(fd,
                "\",\"type\":\"event\",\"topic\":\"_internal.client.registered\",\"timestamp\":",
                "},\"body\":{\"brokerClientID\":\"old\",\"pageSessionID\":\"page\",\"status\":"
                "\"registered\"}}");
    kit_wait_for(&w->registrations, 1);
    raw_send_text(fd, HEADED("request", "echo", CORRELATED, "{\"a\": 1}"));
    hear_headed(fd,
                "\",\"correlationID\":\"c\",\"type\":\"response\",\"topic\":\"c\",\"timestamp\":",
                "},\"body\":{\"a\": 1}}");
    raw_send_text(fd, HEADED("request", "nothing", "", "null"));
    hear_headed(fd,
                "\",\"correlationID\":\"m\",\"type\":\"response\",\"topic\":\"m\",\"timestamp\":",
                "},\"body\":null}");
    raw_send_text(fd, HEADED("request", "boom", CORRELATED, "1"));
    hear_headed(fd, "\",\"correlationID\":\"c\",\"type\":\"error\",\"topic\":\"c\",\"timestamp\":",
                "},\"body\":{\"error\":\"handler error: boom \\\"1\\\"\"}}");
    raw_send_text(fd, HEADED("request", "none", CORRELATED, "1"));
    hear_headed(fd, "\",\"correlationID\":\"c\",\"type\":\"error\",\"topic\":\"c\",\"timestamp\":",
                "},\"body\":{\"error\":\"No handler for topic: none\"}}");

    assert_int_equal(ask(w, 5000, NULL), 0);
    const char *const asked = kit_hear_any(fd);
    assert_non_null(strstr(asked, "\"type\":\"request\",\"topic\":\"server.ping\",\"timestamp\":"));
    assert_non_null(strstr(asked, ",\"ttl\":5000},\"body\":{\"t\":1}}"));
    char id[33] = "";
    memcpy(id, strstr(asked, "\"correlationID\":\"") + 17, 32);
    snprintf(
        text, sizeof text,
        "{\"header\":{\"messageID\":\"x\",\"correlationID\":\"%s\",\"type\":\"error\",\"topic\":"
        "\"%s\",\"timestamp\":1},\"body\":{\"error\":{\"message\":\"v2\"}}}",
        id, id);
    raw_send_text(fd, text);
    kit_wait_for(&w->replies, 1);
    assert_string_equal(w->reply, "|0|\"v2\"");
    raw_close(fd);
}

static void both_generations_meet(void **state)
{
    const kit_world *const w = *state;
    const int old = kit_enter(w), now = kit_enter(w);

    raw_send_text(old, HEADED("subscribe", "subscribe", "", "\"news\""));
    raw_send_text(old, HEADED("request", "nothing", CORRELATED, "1"));
    (void)kit_hear_any(old); /* there is no acknowledgement */
    kit_subscribe(now, "news");
    raw_send_text(now, "{\"type\":\"publish\",\"topic\":\"news\",\"payload\":[1]}");
    hear_headed(old, "\",\"type\":\"event\",\"topic\":\"news\",\"timestamp\":", "},\"body\":[1]}");
    kit_hear(now, "{\"type\":\"publish\",\"topic\":\"news\",\"payload\":[1]}\n");
    raw_send_text(old, HEADED("event", "news", "", "{\"b\": 2}"));
    kit_hear(now, "{\"type\":\"publish\",\"topic\":\"news\",\"payload\":{\"b\": 2}}\n");
    hear_headed(
        old, "\",\"type\":\"event\",\"topic\":\"news\",\"timestamp\":", "},\"body\":{\"b\": 2}}");
    raw_send_text(old, HEADED("unsubscribe", "unsubscribe", "", "\"news\""));
    raw_send_text(old, HEADED("event", "news", "", "3"));
    kit_hear(now, "{\"type\":\"publish\",\"topic\":\"news\",\"payload\":3}\n");
    raw_send_text(old, HEADED("request", "nothing", CORRELATED, "1"));
    assert_non_null(strstr(kit_hear_any(old), "\"response\""));
    raw_close(old);
    raw_close(now);
}

static void the_older_generation_passes_over_what_is_malformed(void **state)
{
    const kit_world *const w = *state;
    const int fd = kit_enter(w);

    raw_send_text(fd, "{\"header\":{\"topic\":[]}}");
    raw_send_text(fd, "nonsense");
    raw_send_text(fd, "{\"header\":{\"topic\":5}}");
    raw_send_text(fd, "{\"id\":\"1\",\"type\":\"request\",\"topic\":\"echo\"}");
    raw_send_frame(fd, 0x82, "{\"header\":{}}", 13);
    raw_send_text(fd, HEADED("event", "_client.register", "", "{}"));
    hear_headed(fd, "\",\"correlationID\":\"m\",\"type\":\"error\",\"topic\":\"m\",\"timestamp\":",
                "},\"body\":{\"error\":\"pageSessionID is missing\"}}");
    ln_broker_stats stats;
    ln_broker_stats_get(w->broker, &stats);
    assert_int_equal(stats.malformed_total, 3);
    assert_int_equal(stats.ignored_total, 2);
    raw_close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        KIT_ONE(requests_are_answered_at_once),
        KIT_ONE(errors_always_reach_who_asked),
        KIT_ONE(codes_of_json_rpc_become_the_brokers),
        KIT_ONE(requests_are_answered_later_from_any_thread),
        KIT_THREE(requests_are_answered_later_from_any_thread),
        KIT_ONE(a_handler_that_blocks_holds_up_nobody_else),
        KIT_THREE(a_handler_that_blocks_holds_up_nobody_else),
        KIT_ONE(handlers_come_and_go),
        KIT_ONE(what_is_no_message_ends_the_connection),
        KIT_ONE(what_is_of_no_type_is_passed_over),
        KIT_ONE(binary_messages_are_read_too),
        KIT_ONE(a_client_is_named_and_registers),
        KIT_THREE(a_client_is_named_and_registers),
        KIT_ONE(registering_without_saying_anything_is_fine),
        KIT_ONE(a_taken_id_is_replaced),
        KIT_THREE(a_taken_id_is_replaced),
        KIT_ONE(clients_are_listed),
        KIT_THREE(clients_are_listed),
        KIT_ONE(subscriptions_are_acknowledged),
        KIT_ONE(everybody_gets_what_is_published_the_publisher_too),
        KIT_THREE(everybody_gets_what_is_published_the_publisher_too),
        KIT_ONE(what_may_not_be_published_is_refused),
        KIT_ONE(the_application_publishes_from_any_thread),
        KIT_THREE(the_application_publishes_from_any_thread),
        KIT_ONE(other_dialects_meet_this_one),
        KIT_THREE(other_dialects_meet_this_one),
        KIT_ONE(the_application_subscribes),
        KIT_THREE(the_application_subscribes),
        cmocka_unit_test(who_subscribed_before_the_start_is_told),
        KIT_ONE(clients_are_asked_and_answer_in_every_shape),
        KIT_THREE(clients_are_asked_and_answer_in_every_shape),
        KIT_ONE(a_request_to_a_client_ends_once),
        KIT_THREE(a_request_to_a_client_ends_once),
        KIT_ONE(bad_requests_of_ours_are_refused),
        KIT_ONE(nobody_asks_another_unless_it_is_allowed),
        KIT_ONE(clients_ask_each_other),
        KIT_THREE(clients_ask_each_other),
        KIT_ONE(who_asks_another_and_goes_takes_it_back),
        KIT_THREE(who_asks_another_and_goes_takes_it_back),
        KIT_ONE(the_older_generation_is_spoken_to_in_its_way),
        KIT_ONE(both_generations_meet),
        KIT_THREE(both_generations_meet),
        KIT_ONE(the_older_generation_passes_over_what_is_malformed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
