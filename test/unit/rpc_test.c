/* SPDX-License-Identifier: MIT */
/*
 * JSON-RPC 2.0 as a peer sees it, over the command dialect: every answer to the byte, with one worker
 * and with three. A peer sends commands of id 0xFFFFFFFF; "<-" in the tests is what comes back.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <linnet/command.h>
#include <linnet/linnet.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>

#include "base/limits.h"
#include "dialect/commandinner.h"
#include "failing_alloc.h"
#include "linear_time.h"
#include "raw_client.h"
#include "server_kit.h"

enum { TICKETS = 64 };

typedef struct world {
    ln_server *server;
    ln_command *game;
    int port;
    atomic_int calls; /* of "count" */
    atomic_int kept;  /* of "later" */
    ln_rpc_ticket tickets[TICKETS];
    atomic_int replies; /* to calls of ours */
    atomic_int reply_error;
    char reply[256];
    _Atomic ln_conn_id last; /* who connected last */
    atomic_int spent_us;
} world;

/* ---- methods ---- */

static int on_echo(const ln_rpc_call *call, void *user)
{
    (void)user;
    return ln_rpc_result(&call->ticket, call->params);
}

/* [a, b] or {"minuend": a, "subtrahend": b} */
static int on_subtract(const ln_rpc_call *call, void *user)
{
    char text[32];
    ln_span a, b;
    double x, y;
    (void)user;

    if (ln_json_find(call->params, "minuend", 0, &a) < 0 ||
        ln_json_find(call->params, "subtrahend", 1, &b) < 0 || ln_json_number(a, &x) < 0 ||
        ln_json_number(b, &y) < 0)
        return LN_ERR_INVALID;
    const int n = snprintf(text, sizeof text, "%g", x - y);
    return ln_rpc_result(&call->ticket, (ln_span){text, (size_t)n});
}

static int on_sum(const ln_rpc_call *call, void *user)
{
    char text[32];
    double sum = 0, x;
    ln_span v;
    (void)user;

    for (size_t i = 0; ln_json_find(call->params, NULL, i, &v) == 0; i++) {
        if (ln_json_number(v, &x) < 0)
            return LN_ERR_INVALID;
        sum += x;
    }
    const int n = snprintf(text, sizeof text, "%g", sum);
    return ln_rpc_result(&call->ticket, (ln_span){text, (size_t)n});
}

static int on_get_data(const ln_rpc_call *call, void *user)
{
    (void)user;
    return ln_rpc_result(&call->ticket, LN_SPAN("[\"hello\",5]"));
}

static int on_count(const ln_rpc_call *call, void *user)
{
    world *const w = user;
    (void)call;
    atomic_fetch_add(&w->calls, 1);
    return 0;
}

static int on_boom(const ln_rpc_call *call, void *user)
{
    (void)user;
    assert_int_equal(
        ln_rpc_error(&call->ticket, LN_RPC_INTERNAL_ERROR, LN_SPAN("boom"), LN_SPAN("")), 0);
    assert_int_equal(ln_rpc_error(&call->ticket, 1, LN_SPAN("again"), LN_SPAN("")),
                     call->is_notification ? 0 : LN_ERR_NOT_FOUND);
    return 0;
}

static int on_chosen(const ln_rpc_call *call, void *user)
{
    (void)user;
    return ln_rpc_error(&call->ticket, -7, LN_SPAN("a \"b\"\n\xc3\xa4"), LN_SPAN("{\"x\":[1]}"));
}

/* Fails with the number that is its parameter. */
static int on_fail(const ln_rpc_call *call, void *user)
{
    ln_span v;
    double d = 0;
    (void)user;
    assert_int_equal(ln_json_find(call->params, NULL, 0, &v), 0);
    assert_int_equal(ln_json_number(v, &d), 0);
    return (int)d;
}

/* As good as its params are, what they begin with is none. */
static int on_half_result(const ln_rpc_call *call, void *user)
{
    const ln_span half = {call->params.data, call->params.size / 2};
    (void)user;
    assert_int_equal(ln_rpc_result(&call->ticket, half), LN_ERR_INVALID);
    return 0;
}

static int on_bad_result(const ln_rpc_call *call, void *user)
{
    (void)user;
    assert_int_equal(ln_rpc_result(&call->ticket, LN_SPAN("NaN")), LN_ERR_INVALID);
    return 0;
}

/* Answers with a string of so many zeros. */
static int on_large(const ln_rpc_call *call, void *user)
{
    ln_span v;
    double d = 0;
    (void)user;
    assert_int_equal(ln_json_find(call->params, NULL, 0, &v), 0);
    assert_int_equal(ln_json_number(v, &d), 0);
    const size_t n = (size_t)d;
    char *const text = malloc(n + 2);
    memset(text, '0', n + 2);
    text[0] = text[n + 1] = '"';
    (void)ln_rpc_result(&call->ticket, (ln_span){text, n + 2});
    free(text);
    return 0;
}

static int on_later(const ln_rpc_call *call, void *user)
{
    world *const w = user;
    const int at = atomic_load(&w->kept);
    w->tickets[at % TICKETS] = call->ticket;
    atomic_store(&w->kept, at + 1);
    return LN_ERR_AGAIN;
}

/* Answers the first call that was kept, with its own params, and itself. */
static int on_answer_first(const ln_rpc_call *call, void *user)
{
    const world *const w = user;
    assert_int_equal(ln_rpc_result(&w->tickets[0], call->params), 0);
    return ln_rpc_result(&call->ticket, LN_SPAN("\"mine\""));
}

static int on_bye(const ln_rpc_call *call, void *user)
{
    (void)user;
    assert_int_equal(ln_conn_close(call->conn, 4001, LN_SPAN("bye")), 0);
    return LN_ERR_AGAIN;
}

static int on_name(const ln_rpc_call *call, void *user)
{
    char text[600];
    (void)user;
    const int n = ln_json_quote(call->method, text, sizeof text);
    return ln_rpc_result(&call->ticket, (ln_span){text, (size_t)n});
}

static void on_reply(const ln_rpc_reply *reply, void *user)
{
    world *const w = user;
    snprintf(w->reply, sizeof w->reply, "%.*s|%lld|%.*s|%.*s", (int)reply->result.size,
             (const char *)reply->result.data, (long long)reply->code, (int)reply->message.size,
             (const char *)reply->message.data, (int)reply->data.size,
             (const char *)reply->data.data);
    atomic_store(&w->reply_error, reply->error);
    atomic_fetch_add(&w->replies, 1);
}

static void on_connect(ln_conn *c, const ln_request *request, void *user)
{
    world *const w = user;
    (void)request;
    atomic_store(&w->last, ln_conn_get_id(c));
}

/* ---- worlds ---- */

static const struct {
    const char *name;
    ln_rpc_handler *handler;
} methods[] = {
    {"echo", on_echo},
    {"subtract", on_subtract},
    {"sum", on_sum},
    {"get_data", on_get_data},
    {"count", on_count},
    {"update", on_count},
    {"notify_hello", on_count},
    {"boom", on_boom},
    {"chosen", on_chosen},
    {"fail", on_fail},
    {"bad_result", on_bad_result},
    {"half_result", on_half_result},
    {"large", on_large},
    {"later", on_later},
    {"answer_first", on_answer_first},
    {"bye", on_bye},
    {"", on_name},
    {"n\xc3\xa4me", on_name},
};

static int set_up(void **state, unsigned workers, bool errors_apart)
{
    world *const w = calloc(1, sizeof *w);
    const ln_server_options options = {.workers = workers, .log = kit_quiet, .drain_ms = 2000};
    const ln_ws_options ws = {.queue_max_bytes = 64 << 20, .overflow = LN_OVERFLOW_CLOSE};
    const ln_command_options game = {.rate = {.per_second = LN_OFF},
                                     .errors_apart = errors_apart,
                                     .on_connect = on_connect,
                                     .ws = &ws,
                                     .user = w};

    w->server = ln_server_new(&options);
    assert_non_null(w->server);
    assert_int_equal(ln_command_mount(w->server, "/ws", &game, &w->game), 0);
    for (size_t i = 0; i < LN_ARRAY_SIZE(methods); i++)
        assert_int_equal(ln_command_method(w->game, methods[i].name, methods[i].handler, w), 0);
    w->port = kit_serve(w->server);
    *state = w;
    return 0;
}

static int set_up_one(void **state)
{
    return set_up(state, 1, false);
}

static int set_up_three(void **state)
{
    return set_up(state, 3, false);
}

static int set_up_apart(void **state)
{
    return set_up(state, 1, true);
}

static int tear_down(void **state)
{
    world *const w = *state;
    kit_end(w->server);
    free(w);
    return 0;
}

/* ---- peers ---- */

static int enter(const world *w)
{
    return raw_enter(w->port, "/ws", "");
}

static void say_bytes(int fd, const void *text, size_t n)
{
    uint8_t *const frame = malloc(n + 4);
    memset(frame, 0xff, 4);
    memcpy(frame + 4, text, n);
    raw_send_frame(fd, 0x82, frame, n + 4);
    free(frame);
}

static void say(int fd, const char *text)
{
    say_bytes(fd, text, strlen(text));
}

static void hear(int fd, const char *wanted)
{
    const raw_frame f = raw_read_frame(fd);
    if (f.first != 0x82 || f.size < 4 || memcmp(f.payload, "\xff\xff\xff\xff", 4) != 0)
        fail_msg("%02x, %zu bytes, not %s", f.first, f.size, wanted);
    assert_string_equal((const char *)f.payload + 4, wanted);
}

static void expect(int fd, const char *text, const char *wanted)
{
    say(fd, text);
    hear(fd, wanted);
}

/* Nothing came of what was said before: the answer to this call is the next. */
static void expect_silence(int fd)
{
    expect(fd, "{\"jsonrpc\":\"2.0\",\"method\":\"echo\",\"id\":\"still there\"}",
           "{\"jsonrpc\":\"2.0\",\"result\":null,\"id\":\"still there\"}");
}

#define OK(result, id) "{\"jsonrpc\":\"2.0\",\"result\":" result ",\"id\":" id "}"
#define ERR(code, message, id)                                                                     \
    "{\"jsonrpc\":\"2.0\",\"error\":{\"code\":" code ",\"message\":\"" message "\"},\"id\":" id "}"
#define PARSE   ERR("-32700", "Parse error", "null")
#define INVALID ERR("-32600", "Invalid Request", "null")

/* ---- the specification's examples ---- */

static void the_examples_of_the_specification_come_out(void **state)
{
    world *const w = *state;
    const int fd = enter(w);

    expect(fd, "{\"jsonrpc\": \"2.0\", \"method\": \"subtract\", \"params\": [42, 23], \"id\": 1}",
           OK("19", "1"));
    expect(fd, "{\"jsonrpc\": \"2.0\", \"method\": \"subtract\", \"params\": [23, 42], \"id\": 2}",
           OK("-19", "2"));
    expect(fd,
           "{\"jsonrpc\": \"2.0\", \"method\": \"subtract\", \"params\": {\"subtrahend\": 23, "
           "\"minuend\": 42}, \"id\": 3}",
           OK("19", "3"));
    expect(fd,
           "{\"jsonrpc\": \"2.0\", \"method\": \"subtract\", \"params\": {\"minuend\": 42, "
           "\"subtrahend\": 23}, \"id\": 4}",
           OK("19", "4"));
    say(fd, "{\"jsonrpc\": \"2.0\", \"method\": \"update\", \"params\": [1,2,3,4,5]}");
    say(fd, "{\"jsonrpc\": \"2.0\", \"method\": \"foobar\"}");
    expect(fd, "{\"jsonrpc\": \"2.0\", \"method\": \"foobar\", \"id\": \"1\"}",
           ERR("-32601", "Method not found", "\"1\""));
    expect(fd, "{\"jsonrpc\": \"2.0\", \"method\": \"foobar, \"params\": \"bar\", \"baz]", PARSE);
    expect(fd, "{\"jsonrpc\": \"2.0\", \"method\": 1, \"params\": \"bar\"}", INVALID);
    expect(fd,
           "[{\"jsonrpc\": \"2.0\", \"method\": \"sum\", \"params\": [1,2,4], \"id\": \"1\"},"
           "{\"jsonrpc\": \"2.0\", \"method\"]",
           PARSE);
    expect(fd, "[]", INVALID);
    expect(fd, "[1]", "[" INVALID "]");
    expect(fd, "[1,2,3]", "[" INVALID "," INVALID "," INVALID "]");
    expect(fd,
           "[{\"jsonrpc\": \"2.0\", \"method\": \"sum\", \"params\": [1,2,4], \"id\": \"1\"},"
           "{\"jsonrpc\": \"2.0\", \"method\": \"notify_hello\", \"params\": [7]},"
           "{\"jsonrpc\": \"2.0\", \"method\": \"subtract\", \"params\": [42,23], \"id\": \"2\"},"
           "{\"foo\": \"boo\"},"
           "{\"jsonrpc\": \"2.0\", \"method\": \"foo.get\", \"params\": {\"name\": \"myself\"}, "
           "\"id\": \"5\"},"
           "{\"jsonrpc\": \"2.0\", \"method\": \"get_data\", \"id\": \"9\"}]",
           "[" OK("7", "\"1\"") "," OK("19", "\"2\"") "," INVALID "," ERR(
               "-32601", "Method not found", "\"5\"") "," OK("[\"hello\",5]", "\"9\"") "]");
    say(fd, "[{\"jsonrpc\": \"2.0\", \"method\": \"notify_sum\", \"params\": [1,2,4]},"
            "{\"jsonrpc\": \"2.0\", \"method\": \"notify_hello\", \"params\": [7]}]");
    expect_silence(fd);
    assert_int_equal(atomic_load(&w->calls), 3); /* the notifications of known methods */
    raw_close(fd);
}

/* ---- each error ---- */

static void what_is_no_json_is_a_parse_error(void **state)
{
    static const char *const texts[] = {"",
                                        " ",
                                        "{",
                                        "{}x",
                                        "[{]",
                                        "nul",
                                        "{\"a\":1,}",
                                        "\"\xff\"",
                                        "{\"jsonrpc\":\"2.0\",\"method\":\"echo\",\"id\":1e400}",
                                        "{\"jsonrpc\":\"2.0\",\"method\":\"echo\",\"id\":1}}",
                                        "{\"jsonrpc\":\"2.0\",\"method\":\"count\",\"id\":1},",
                                        "[{\"jsonrpc\":\"2.0\",\"method\":\"count\",\"id\":1}",
                                        "[{\"jsonrpc\":\"2.0\",\"method\":\"count\",\"id\":1}]]",
                                        "null,",
                                        "\"text\"",
                                        "7",
                                        "true",
                                        "false",
                                        "-0.5e1"};
    world *const w = *state;
    const int fd = enter(w);

    for (size_t i = 0; i < LN_ARRAY_SIZE(texts); i++)
        expect(fd, texts[i], PARSE);
    say_bytes(fd, "{}\0", 3);
    hear(fd, PARSE);
    assert_int_equal(atomic_load(&w->calls), 0); /* nothing was done before all was read */
    raw_close(fd);
}

static void what_is_no_request_is_an_invalid_one(void **state)
{
    static const char *const pairs[][2] = {
        {"null", INVALID},
        {"{}", INVALID},
        {"{\"id\":1}", ERR("-32600", "Invalid Request", "1")},
        {"{\"method\":\"echo\",\"id\":1}", ERR("-32600", "Invalid Request", "1")},
        {"{\"jsonrpc\":\"1.0\",\"method\":\"echo\",\"id\":\"x\"}",
         ERR("-32600", "Invalid Request", "\"x\"")},
        {"{\"jsonrpc\":2.0,\"method\":\"echo\",\"id\":1}", ERR("-32600", "Invalid Request", "1")},
        {"{\"jsonrpc\":\"2.0 \",\"method\":\"echo\",\"id\":1}",
         ERR("-32600", "Invalid Request", "1")},
        {"{\"JSONRPC\":\"2.0\",\"Method\":\"echo\",\"ID\":1}", INVALID},
        {"{\"jsonrpc\":\"2.0\",\"method\":7,\"id\":1}", ERR("-32600", "Invalid Request", "1")},
        {"{\"jsonrpc\":\"2.0\",\"method\":null,\"id\":1}", ERR("-32600", "Invalid Request", "1")},
        {"{\"jsonrpc\":\"2.0\",\"id\":1}", ERR("-32600", "Invalid Request", "1")},
        {"{\"jsonrpc\":\"2.0\",\"method\":\"echo\",\"params\":\"x\",\"id\":1}",
         ERR("-32600", "Invalid Request", "1")},
        {"{\"jsonrpc\":\"2.0\",\"method\":\"echo\",\"params\":5,\"id\":1}",
         ERR("-32600", "Invalid Request", "1")},
        {"{\"jsonrpc\":\"2.0\",\"method\":\"echo\",\"params\":false,\"id\":1}",
         ERR("-32600", "Invalid Request", "1")},
        {"{\"jsonrpc\":\"2.0\",\"method\":\"echo\",\"id\":true}", INVALID},
        {"{\"jsonrpc\":\"2.0\",\"method\":\"echo\",\"id\":[1]}", INVALID},
        {"{\"jsonrpc\":\"2.0\",\"method\":\"echo\",\"id\":{\"a\":1}}", INVALID},
        /* names that occur twice: which one would be meant? */
        {"{\"jsonrpc\":\"2.0\",\"method\":\"count\",\"method\":\"echo\",\"id\":1}",
         ERR("-32600", "Invalid Request", "1")},
        {"{\"jsonrpc\":\"2.0\",\"method\":\"count\",\"id\":1,\"id\":2}", INVALID},
        {"{\"jsonrpc\":\"2.0\",\"method\":\"count\",\"params\":[],\"par\\u0061ms\":[],\"id\":1}",
         ERR("-32600", "Invalid Request", "1")},
    };
    world *const w = *state;
    const int fd = enter(w);

    for (size_t i = 0; i < LN_ARRAY_SIZE(pairs); i++)
        expect(fd, pairs[i][0], pairs[i][1]);
    assert_int_equal(atomic_load(&w->calls), 0);
    raw_close(fd);
}

static void ids_come_back_as_they_were_written(void **state)
{
    static const char *const ids[] = {"0",
                                      "-0",
                                      "1.0",
                                      "1e2",
                                      "9007199254740993",
                                      "12345678901234567890",
                                      "null",
                                      "\"\"",
                                      "\"a\\u00e4\\/b\"",
                                      "\"\xc3\xa4\"",
                                      "\"<&>\"",
                                      "\"\\ud83d\\ude00\""};
    world *const w = *state;
    const int fd = enter(w);
    char text[200], wanted[200];

    for (size_t i = 0; i < LN_ARRAY_SIZE(ids); i++) {
        snprintf(text, sizeof text, "{\"id\" : %s ,\"method\":\"echo\",\"jsonrpc\":\"2.0\"}",
                 ids[i]);
        snprintf(wanted, sizeof wanted, OK("null", "%s"), ids[i]);
        expect(fd, text, wanted);
    }
    raw_close(fd);
}

static void an_id_has_a_longest_length(void **state)
{
    world *const w = *state;
    const int fd = enter(w);
    char text[LN_RPC_ID_MAX_BYTES + 100], wanted[LN_RPC_ID_MAX_BYTES + 100];

    for (int size = LN_RPC_ID_MAX_BYTES; size <= LN_RPC_ID_MAX_BYTES + 1; size++) {
        snprintf(text, sizeof text, "{\"jsonrpc\":\"2.0\",\"method\":\"echo\",\"id\":\"%0*d\"}",
                 size - 2, 0);
        snprintf(wanted, sizeof wanted, OK("null", "\"%0*d\""), size - 2, 0);
        expect(fd, text, size == LN_RPC_ID_MAX_BYTES ? wanted : INVALID);
    }
    raw_close(fd);
}

static void params_reach_the_handler_as_they_are(void **state)
{
    world *const w = *state;
    const int fd = enter(w);

    expect(
        fd,
        "{\"jsonrpc\":\"2.0\",\"method\":\"echo\",\"params\":[ 1.0, {\"b\":1,\"a\":2} ],\"id\":1}",
        OK("[ 1.0, {\"b\":1,\"a\":2} ]", "1"));
    expect(fd, "{\"jsonrpc\":\"2.0\",\"method\":\"echo\",\"params\":{\"x\":\"\\u003c<\"},\"id\":1}",
           OK("{\"x\":\"\\u003c<\"}", "1"));
    expect(fd, "{\"jsonrpc\":\"2.0\",\"method\":\"echo\",\"params\":null,\"id\":1}",
           OK("null", "1"));
    expect(fd, "{\"jsonrpc\":\"2.0\",\"method\":\"echo\",\"unknown\":{},\"id\":1}",
           OK("null", "1"));
    expect(fd, "{\"jsonrpc\":\"2.0\",\"method\":\"subtract\",\"params\":[1],\"id\":1}",
           ERR("-32602", "Invalid params", "1"));
    expect(fd, "{\"jsonrpc\":\"2.0\",\"method\":\"subtract\",\"id\":1}",
           ERR("-32602", "Invalid params", "1"));
    raw_close(fd);
}

static void handlers_choose_what_is_answered(void **state)
{
    world *const w = *state;
    const int fd = enter(w);

    expect(fd, "{\"jsonrpc\":\"2.0\",\"method\":\"count\",\"id\":1}", OK("null", "1"));
    expect(fd, "{\"jsonrpc\":\"2.0\",\"method\":\"boom\",\"id\":1}", ERR("-32603", "boom", "1"));
    expect(fd, "{\"jsonrpc\":\"2.0\",\"method\":\"chosen\",\"id\":1}",
           "{\"jsonrpc\":\"2.0\",\"error\":{\"code\":-7,\"message\":\"a "
           "\\\"b\\\"\\n\xc3\xa4\",\"data\":{\"x\":[1]}},\"id\":1}");
    expect(fd, "{\"jsonrpc\":\"2.0\",\"method\":\"bad_result\",\"id\":1}",
           ERR("-32603", "Internal error", "1"));
    expect(fd, "{\"jsonrpc\":\"2.0\",\"method\":\"half_result\",\"params\":[1,2,3],\"id\":1}",
           ERR("-32603", "Internal error", "1"));
    expect(fd, "{\"jsonrpc\":\"2.0\",\"method\":\"fail\",\"params\":[-20],\"id\":1}",
           ERR("-32602", "Invalid params", "1"));
    char wanted[200];
    snprintf(wanted, sizeof wanted, ERR("-32603", "%s", "1"), ln_strerror(LN_ERR_IO));
    expect(fd, "{\"jsonrpc\":\"2.0\",\"method\":\"fail\",\"params\":[-61],\"id\":1}", wanted);
    raw_close(fd);
}

static void notifications_are_never_answered(void **state)
{
    static const char *const texts[] = {
        "{\"jsonrpc\":\"2.0\",\"method\":\"count\"}",
        "{\"jsonrpc\":\"2.0\",\"method\":\"boom\"}",
        "{\"jsonrpc\":\"2.0\",\"method\":\"chosen\",\"params\":[]}",
        "{\"jsonrpc\":\"2.0\",\"method\":\"nobody\"}",
        "{\"jsonrpc\":\"2.0\",\"method\":\"subtract\"}",
        "{\"jsonrpc\":\"2.0\",\"method\":\"fail\",\"params\":[-61]}",
        "{\"jsonrpc\":\"2.0\",\"method\":\"later\"}",
        "[{\"jsonrpc\":\"2.0\",\"method\":\"later\"}]",
    };
    world *const w = *state;
    const int fd = enter(w);

    for (size_t i = 0; i < LN_ARRAY_SIZE(texts); i++)
        say(fd, texts[i]);
    expect_silence(fd);
    assert_int_equal(atomic_load(&w->calls), 1);
    assert_int_equal(atomic_load(&w->kept), 2);
    assert_int_equal(ln_rpc_result(&w->tickets[0], LN_SPAN("1")), 0); /* harmless */
    expect_silence(fd);
    raw_close(fd);
}

static void method_names_are_compared_as_they_are_meant(void **state)
{
    world *const w = *state;
    const int fd = enter(w);

    expect(fd, "{\"jsonrpc\":\"2.0\",\"method\":\"\",\"id\":1}", OK("\"\"", "1"));
    expect(fd, "{\"jsonrpc\":\"2.0\",\"method\":\"n\\u00e4m\\u0065\",\"id\":1}",
           OK("\"n\xc3\xa4me\"", "1"));
    expect(fd, "{\"jsonrpc\":\"2.0\",\"method\":\"echo\\u0000\",\"id\":1}",
           ERR("-32601", "Method not found", "1"));
    expect(fd, "{\"jsonrpc\":\"2.0\",\"method\":\"Echo\",\"id\":1}",
           ERR("-32601", "Method not found", "1"));
    raw_close(fd);
}

static void methods_come_and_go_while_it_runs(void **state)
{
    world *const w = *state;
    const int fd = enter(w);
    static const char call[] = "{\"jsonrpc\":\"2.0\",\"method\":\"new\",\"id\":1}";

    for (int i = 0; i < 20; i++) {
        expect(fd, call, ERR("-32601", "Method not found", "1"));
        assert_int_equal(ln_command_method(w->game, "new", on_echo, NULL), 0);
        expect(fd, call, OK("null", "1"));
        assert_int_equal(ln_command_method(w->game, "new", on_name, NULL), 0);
        expect(fd, call, OK("\"new\"", "1"));
        assert_int_equal(ln_command_method(w->game, "new", NULL, NULL), 0);
    }
    raw_close(fd);
}

static void methods_are_bounded_in_number_and_length(void **state)
{
    ln_server *const server = ln_server_new(NULL);
    char name[LN_RPC_METHOD_MAX_BYTES + 2];
    ln_command *game;
    (void)state;

    assert_int_equal(ln_command_mount(server, "/ws", NULL, &game), 0);
    memset(name, 'm', sizeof name);
    name[LN_RPC_METHOD_MAX_BYTES + 1] = '\0';
    assert_int_equal(ln_command_method(game, name, on_echo, NULL), LN_ERR_INVALID);
    name[LN_RPC_METHOD_MAX_BYTES] = '\0';
    assert_int_equal(ln_command_method(game, name, on_echo, NULL), 0);
    for (int i = 1; i < LN_RPC_METHODS_MAX; i++) {
        snprintf(name, sizeof name, "%d", i);
        assert_int_equal(ln_command_method(game, name, on_echo, NULL), 0);
    }
    assert_int_equal(ln_command_method(game, "more", on_echo, NULL), LN_ERR_LIMIT);
    assert_int_equal(ln_command_method(game, "1", on_name, NULL), 0);
    assert_int_equal(ln_command_method(game, "1", NULL, NULL), 0);
    assert_int_equal(ln_command_method(game, "more", on_echo, NULL), 0);
    ln_server_free(server);
}

/* ---- batches ---- */

static size_t write_calls(char *text, size_t count, const char *call)
{
    size_t n = 0;
    text[n++] = '[';
    for (size_t i = 0; i < count; i++)
        n += (size_t)sprintf(text + n, "%s%s", i > 0 ? "," : "", call);
    text[n++] = ']';
    text[n] = '\0';
    return n;
}

static void a_batch_is_bounded(void **state)
{
    world *const w = *state;
    const int fd = enter(w);
    static const char call[] = "{\"jsonrpc\":\"2.0\",\"method\":\"count\",\"id\":1}";
    char *const text = malloc((LN_RPC_BATCH_MAX + 1) * sizeof call + 3);

    say_bytes(fd, text, write_calls(text, LN_RPC_BATCH_MAX, call));
    assert_int_equal(raw_read_frame(fd).size,
                     4 + 1 + LN_RPC_BATCH_MAX * (sizeof OK("null", "1") - 1 + 1));
    assert_int_equal(atomic_load(&w->calls), LN_RPC_BATCH_MAX);
    say_bytes(fd, text, write_calls(text, LN_RPC_BATCH_MAX + 1, call));
    hear(fd, INVALID);
    assert_int_equal(atomic_load(&w->calls), LN_RPC_BATCH_MAX); /* none of them was made */
    free(text);
    raw_close(fd);
}

static void the_answers_of_a_batch_are_bounded(void **state)
{
    world *const w = *state;
    const int fd = enter(w);

    /* the third begins above the limit */
    say(fd, "[{\"jsonrpc\":\"2.0\",\"method\":\"large\",\"params\":[600000],\"id\":1},"
            "{\"jsonrpc\":\"2.0\",\"method\":\"large\",\"params\":[600000],\"id\":2},"
            "{\"jsonrpc\":\"2.0\",\"method\":\"count\",\"id\":3}]");
    const raw_frame f = raw_read_frame(fd);
    static const char end[] = "," ERR("-32000", "Too many calls", "3") "]";
    assert_true(f.size > 1200000 && f.size < 1300000);
    assert_string_equal((const char *)f.payload + f.size - (sizeof end - 1), end);
    assert_int_equal(atomic_load(&w->calls), 0);
    raw_close(fd);
}

static void what_a_batch_holds_is_judged_one_by_one(void **state)
{
    world *const w = *state;
    const int fd = enter(w);

    expect(
        fd,
        "[null,[],[{\"jsonrpc\":\"2.0\",\"method\":\"count\",\"id\":1}],{},\"x\",{\"jsonrpc\":\"2."
        "0\",\"method\":\"echo\",\"id\":7},"
        "{\"jsonrpc\":\"2.0\",\"result\":1,\"id\":99},{\"jsonrpc\":\"2.0\",\"method\":3,\"id\":8}]",
        "[" INVALID "," INVALID "," INVALID "," INVALID "," INVALID
        "," OK("null", "7") "," ERR("-32600", "Invalid Request", "8") "]");
    assert_int_equal(atomic_load(&w->calls), 0);
    ln_command_stats stats;
    ln_command_stats_get(w->game, &stats);
    assert_int_equal(stats.rpc_strays_total, 1);
    assert_int_equal(stats.rpc_calls_total, 1);
    assert_int_equal(stats.rpc_errors_total, 6);
    raw_close(fd);
}

/* ---- later ---- */

static void an_answer_may_come_later_from_any_thread(void **state)
{
    world *const w = *state;
    const int fd = enter(w);

    for (int i = 0; i < 4; i++) {
        char text[100];
        snprintf(text, sizeof text, "{\"jsonrpc\":\"2.0\",\"method\":\"later\",\"id\":\"l%d\"}", i);
        say(fd, text);
    }
    kit_wait_for(&w->kept, 4);
    expect_silence(fd); /* others are not held up */
    assert_int_equal(ln_rpc_result(&w->tickets[2], LN_SPAN("{\"n\":2}")), 0);
    hear(fd, OK("{\"n\":2}", "\"l2\""));
    assert_int_equal(ln_rpc_error(&w->tickets[0], 7, LN_SPAN("seven"), LN_SPAN("[7]")), 0);
    hear(fd, "{\"jsonrpc\":\"2.0\",\"error\":{\"code\":7,\"message\":\"seven\",\"data\":[7]},"
             "\"id\":\"l0\"}");
    assert_int_equal(ln_rpc_result(&w->tickets[0], LN_SPAN("1")),
                     0); /* twice: nobody hears of it */
    assert_int_equal(ln_rpc_result(&w->tickets[1], LN_SPAN("{")), LN_ERR_INVALID);
    hear(fd, ERR("-32603", "Internal error", "\"l1\""));
    assert_int_equal(ln_rpc_result(&w->tickets[3], LN_SPAN("")), 0);
    hear(fd, OK("null", "\"l3\""));
    expect_silence(fd);
    raw_close(fd);
}

/* Calls of two peers that have the same number there. */
static void a_handler_may_answer_the_call_of_another_peer(void **state)
{
    world *const w = *state;
    const int first = enter(w), second = enter(w);

    say(first, "{\"jsonrpc\":\"2.0\",\"method\":\"later\",\"id\":\"a\"}");
    kit_wait_for(&w->kept, 1);
    expect(second, "{\"jsonrpc\":\"2.0\",\"method\":\"answer_first\",\"params\":[1],\"id\":\"b\"}",
           OK("\"mine\"", "\"b\""));
    hear(first, OK("[1]", "\"a\""));
    raw_close(first);
    raw_close(second);
}

static void a_batch_waits_for_its_last_answer(void **state)
{
    world *const w = *state;
    const int fd = enter(w);

    say(fd, "[{\"jsonrpc\":\"2.0\",\"method\":\"later\",\"id\":1},{\"jsonrpc\":\"2.0\",\"method\":"
            "\"echo\",\"id\":2},"
            "{\"jsonrpc\":\"2.0\",\"method\":\"later\",\"id\":3}]");
    kit_wait_for(&w->kept, 2);
    expect_silence(fd);
    assert_int_equal(ln_rpc_result(&w->tickets[1], LN_SPAN("3")), 0);
    expect_silence(fd);
    assert_int_equal(ln_rpc_result(&w->tickets[0], LN_SPAN("1")), 0);
    hear(fd, "[" OK("1", "1") "," OK("null", "2") "," OK("3", "3") "]");
    raw_close(fd);
}

static void calls_without_an_answer_are_bounded(void **state)
{
    world *const w = *state;
    const int fd = enter(w);

    for (int i = 0; i < LN_RPC_PENDING_MAX; i++)
        say(fd, "{\"jsonrpc\":\"2.0\",\"method\":\"later\",\"id\":1}");
    kit_wait_for(&w->kept, LN_RPC_PENDING_MAX);
    expect(fd, "{\"jsonrpc\":\"2.0\",\"method\":\"count\",\"id\":2}",
           ERR("-32000", "Too many calls", "2"));
    assert_int_equal(atomic_load(&w->calls), 0);
    /* what is owed nothing is never too much */
    say(fd, "{\"jsonrpc\":\"2.0\",\"method\":\"count\"}");
    kit_wait_for(&w->calls, 1);
    assert_int_equal(ln_rpc_result(&w->tickets[5], LN_SPAN("5")), 0);
    hear(fd, OK("5", "1"));
    expect(fd, "{\"jsonrpc\":\"2.0\",\"method\":\"count\",\"id\":2}", OK("null", "2"));
    raw_close(fd);
}

static void an_answer_to_who_has_gone_is_an_error(void **state)
{
    world *const w = *state;
    int fd = enter(w);
    ln_command_stats stats;

    say(fd, "[{\"jsonrpc\":\"2.0\",\"method\":\"later\",\"id\":1},{\"jsonrpc\":\"2.0\",\"method\":"
            "\"later\",\"id\":2}]");
    say(fd, "{\"jsonrpc\":\"2.0\",\"method\":\"later\",\"id\":3}");
    kit_wait_for(&w->kept, 3);
    raw_close(fd);
    do {
        kit_rest_ms(1);
        ln_command_stats_get(w->game, &stats);
    } while (stats.clients > 0);
    for (int i = 0; i < 3; i++)
        assert_int_equal(ln_rpc_result(&w->tickets[i], LN_SPAN("1")), LN_ERR_CLOSED);

    fd = enter(w);
    say(fd, "{\"jsonrpc\":\"2.0\",\"method\":\"bye\",\"id\":1}");
    assert_int_equal(raw_close_code(raw_read_frame(fd)), 4001);
    raw_close(fd);
}

/* ---- calls of ours ---- */

static void call(world *w, ln_span params, uint32_t timeout_ms)
{
    assert_int_equal(
        ln_command_call(w->game, atomic_load(&w->last), "ask", params, timeout_ms, on_reply, w), 0);
}

static void a_peer_answers_our_calls(void **state)
{
    world *const w = *state;
    const int fd = enter(w);

    expect_silence(fd);
    call(w, LN_SPAN("[1,\"x\"]"), 0);
    const raw_frame f = raw_read_frame(fd);
    int id;
    assert_int_equal(
        sscanf((const char *)f.payload + 4,
               "{\"jsonrpc\":\"2.0\",\"method\":\"ask\",\"params\":[1,\"x\"],\"id\":%d}", &id),
        1);
    char text[200];
    snprintf(text, sizeof text, "{\"jsonrpc\":\"2.0\",\"result\":{\"r\":1},\"id\":%d}", id + 1000);
    say(fd, text); /* somebody else's */
    snprintf(text, sizeof text, "{\"jsonrpc\":\"2.0\",\"result\":{\"r\":1},\"id\":%d}", id);
    say(fd, text);
    kit_wait_for(&w->replies, 1);
    assert_int_equal(atomic_load(&w->reply_error), 0);
    assert_string_equal(w->reply, "{\"r\":1}|0||");
    say(fd, text); /* once is enough */
    expect_silence(fd);
    assert_int_equal(atomic_load(&w->replies), 1);

    call(w, LN_SPAN(""), 0);
    const raw_frame g = raw_read_frame(fd);
    assert_int_equal(sscanf((const char *)g.payload + 4,
                            "{\"jsonrpc\":\"2.0\",\"method\":\"ask\",\"id\":%d}", &id),
                     1);
    snprintf(text, sizeof text,
             "[{\"id\":%d,\"error\":{\"code\":-5,\"message\":\"no\\n\",\"data\":[]},\"jsonrpc\":"
             "\"2.0\"}]",
             id);
    say(fd, text);
    kit_wait_for(&w->replies, 2);
    assert_int_equal(atomic_load(&w->reply_error), LN_ERR_REFUSED);
    assert_string_equal(w->reply, "|-5|\"no\\n\"|[]");

    call(w, LN_SPAN("{}"), 0);
    const raw_frame h = raw_read_frame(fd);
    assert_int_equal(sscanf((const char *)h.payload + 4,
                            "{\"jsonrpc\":\"2.0\",\"method\":\"ask\",\"params\":{},\"id\":%d}",
                            &id),
                     1);
    snprintf(text, sizeof text, "{\"jsonrpc\":\"2.0\",\"error\":\"bad\",\"id\":%d}", id);
    say(fd, text);
    kit_wait_for(&w->replies, 3);
    assert_int_equal(atomic_load(&w->reply_error), LN_ERR_PROTOCOL);

    assert_int_equal(
        ln_command_call(w->game, atomic_load(&w->last), "note", LN_SPAN("[2]"), 0, NULL, NULL), 0);
    hear(fd, "{\"jsonrpc\":\"2.0\",\"method\":\"note\",\"params\":[2]}");
    raw_close(fd);
}

static void null_beside_a_result_is_no_error_and_beside_an_error_no_result(void **state)
{
    static const struct {
        const char *members; /* of an answer, as JSON-RPC 1.0 has it, too */
        int error;
        const char *reply;
    } rows[] = {
        {"\"result\":{\"r\":1},\"error\":null", 0, "{\"r\":1}|0||"},
        {"\"error\":null,\"result\":null", 0, "null|0||"},
        {"\"error\":null", 0, "null|0||"},
        {"\"result\":null,\"error\":{\"code\":-5,\"message\":\"no\"}", LN_ERR_REFUSED,
         "|-5|\"no\"|"},
        {"\"result\":null,\"error\":\"no\"", LN_ERR_PROTOCOL, "|0||"},
        {"\"result\":0,\"error\":{\"code\":-5,\"message\":\"no\"}", LN_ERR_PROTOCOL, "|0||"},
    };
    world *const w = *state;
    const int fd = enter(w);

    expect_silence(fd);
    for (size_t i = 0; i < LN_ARRAY_SIZE(rows); i++) {
        char text[200];
        int id;
        call(w, LN_SPAN(""), 0);
        const raw_frame f = raw_read_frame(fd);
        assert_int_equal(sscanf((const char *)f.payload + 4,
                                "{\"jsonrpc\":\"2.0\",\"method\":\"ask\",\"id\":%d}", &id),
                         1);
        snprintf(text, sizeof text, "{%s,\"id\":%d}", rows[i].members, id);
        say(fd, text);
        kit_wait_for(&w->replies, (int)i + 1);
        assert_int_equal(atomic_load(&w->reply_error), rows[i].error);
        assert_string_equal(w->reply, rows[i].reply);
    }
    raw_close(fd);
}

static void a_call_of_ours_ends_without_an_answer(void **state)
{
    world *const w = *state;
    const int fd = enter(w);

    expect_silence(fd);
    call(w, LN_SPAN(""), 30);
    kit_wait_for(&w->replies, 1);
    assert_int_equal(atomic_load(&w->reply_error), LN_ERR_TIMEOUT);
    call(w, LN_SPAN(""), 0);
    kit_rest_ms(50);
    assert_int_equal(atomic_load(&w->replies), 1);
    raw_close(fd);
    kit_wait_for(&w->replies, 2);
    assert_int_equal(atomic_load(&w->reply_error), LN_ERR_CLOSED);
    kit_rest_ms(20);
    assert_int_equal(
        ln_command_call(w->game, atomic_load(&w->last), "ask", LN_SPAN(""), 0, on_reply, w),
        LN_ERR_CLOSED);
    assert_int_equal(ln_command_call(w->game, 0, "ask", LN_SPAN("7"), 0, on_reply, w),
                     LN_ERR_INVALID);
    assert_int_equal(ln_command_call(w->game, 0, "ask", LN_SPAN("[7"), 0, on_reply, w),
                     LN_ERR_INVALID);
    assert_int_equal(ln_command_call(w->game, 0, "\xff", LN_SPAN(""), 0, on_reply, w),
                     LN_ERR_INVALID);
    assert_int_equal(
        ln_command_call(w->game, 0, "ask", LN_SPAN(""), LN_MAX_RPC_TIMEOUT_MS + 1, on_reply, w),
        LN_ERR_INVALID);
    assert_int_equal(atomic_load(&w->replies), 2);
}

static void calls_of_ours_are_bounded(void **state)
{
    world *const w = *state;
    const int fd = enter(w);

    expect_silence(fd);
    for (int i = 0; i < LN_RPC_REQUESTS_MAX + 1; i++)
        call(w, LN_SPAN(""), 0);
    kit_wait_for(&w->replies, 1);
    assert_int_equal(atomic_load(&w->reply_error), LN_ERR_LIMIT);
    raw_close(fd);
    kit_wait_for(&w->replies, LN_RPC_REQUESTS_MAX + 1);
}

static void calls_of_ours_end_with_the_server(void **state)
{
    world *w;
    (void)state;
    void *made;
    set_up(&made, 3, false);
    w = made;
    const int fd = enter(w);
    expect_silence(fd);
    for (int i = 0; i < 5; i++)
        call(w, LN_SPAN(""), 0);
    assert_int_equal(kit_halt(w->server), 0);
    assert_int_equal(
        ln_command_call(w->game, atomic_load(&w->last), "ask", LN_SPAN(""), 0, on_reply, w),
        LN_ERR_CLOSED);
    ln_server_free(w->server);
    assert_int_equal(atomic_load(&w->replies), 5);
    raw_close(fd);
    free(w);
}

/* ---- the rest ---- */

static void errors_go_apart_if_asked_for(void **state)
{
    world *const w = *state;
    const int fd = enter(w);

    say(fd, "{");
    const raw_frame f = raw_read_frame(fd);
    assert_memory_equal(f.payload, "\xff\xff\xff\xfe", 4);
    assert_string_equal((const char *)f.payload + 4, PARSE);
    expect_silence(fd);
    expect(fd, "[1]", "[" INVALID "]");
    raw_close(fd);
}

/* On the loop, as if it were JSON-RPC: how long that takes. */
static void on_timed(ln_conn *c, uint32_t id, ln_span payload, void *user)
{
    world *const w = user;
    ln_rpc_peer *const p = w->game->carrier.peer_of(c);
    (void)id;
    const uint64_t before = linear_time_now_ns();
    ln_rpc_take(p, payload);
    atomic_store(&w->spent_us, (int)((linear_time_now_ns() - before) / 1000));
}

static void bombs_cost_nothing(void **state)
{
    enum { CALLS = 280000, MILLION = 1000000, TIMED = 9, BOUND_US = 1000 };
    static const char one[] = "{\"jsonrpc\":\"2.0\",\"method\":\"c\"}";
    world *const w = *state;
    const int fd = enter(w);
    uint8_t *const text = malloc(CALLS * sizeof one + 7);

    assert_int_equal(ln_command_on(w->game, TIMED, on_timed, w), 0);
    ln_store_be32(text, TIMED);
    const size_t n = write_calls((char *)text + 4, CALLS, one);
    assert_true(n > 8000000 && n < LN_COMMAND_PAYLOAD_MAX_BYTES);
    raw_send_frame(fd, 0x82, text, n + 4);
    hear(fd, INVALID);
    expect_silence(fd);
    assert_in_range(atomic_load(&w->spent_us), 0, BOUND_US);
    memset(text + 4, '[', MILLION);
    raw_send_frame(fd, 0x82, text, MILLION + 4);
    hear(fd, PARSE);
    expect_silence(fd);
    assert_in_range(atomic_load(&w->spent_us), 0, BOUND_US);
    assert_int_equal(atomic_load(&w->calls), 0);
    free(text);
    raw_close(fd);
}

static void *answer_many(void *arg)
{
    world *const w = arg;
    for (int i = 0; i < 16; i++)
        (void)ln_rpc_result(&w->tickets[i], LN_SPAN("1"));
    return NULL;
}

static void of_many_answers_to_a_call_one_counts(void **state)
{
    world *const w = *state;
    const int fd = enter(w);
    pthread_t threads[4];

    for (int i = 0; i < 16; i++)
        say(fd, "{\"jsonrpc\":\"2.0\",\"method\":\"later\",\"id\":1}");
    kit_wait_for(&w->kept, 16);
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, answer_many, w), 0);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    for (int i = 0; i < 16; i++)
        hear(fd, OK("1", "1"));
    expect_silence(fd);
    raw_close(fd);
}

static int one_life(const ln_allocator *alloc, void *user)
{
    const ln_server_options options = {.allocator = alloc};
    (void)user;

    ln_server *const server = ln_server_new(&options);
    if (server == NULL)
        return LN_ERR_NOMEM;
    const ln_command_bridge bridge = {.id = 5, .topic = "news", .kind = LN_TEXT};
    const ln_command_options o = {.bridges = &bridge, .bridge_count = 1};
    ln_command *game;
    int rc = ln_command_mount(server, "/ws", &o, &game);
    if (rc == 0)
        rc = ln_command_method(game, "a", on_echo, NULL);
    for (int i = 0; i < 10 && rc == 0; i++) {
        const char name[] = {(char)('b' + i), '\0'};
        rc = ln_command_method(game, name, on_echo, NULL);
    }
    if (rc == 0)
        rc = ln_command_on_range(game, &(ln_command_range){.first = 1, .last = 7});
    ln_server_free(server);
    return rc;
}

static void running_out_of_memory_is_an_error(void **state)
{
    (void)state;
    assert_true(failing_alloc_sweep(one_life, NULL) > 20);
}

#define ONE(test)   cmocka_unit_test_setup_teardown(test, set_up_one, tear_down)
#define THREE(test) cmocka_unit_test_setup_teardown(test, set_up_three, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ONE(the_examples_of_the_specification_come_out),
        ONE(what_is_no_json_is_a_parse_error),
        ONE(what_is_no_request_is_an_invalid_one),
        ONE(ids_come_back_as_they_were_written),
        ONE(an_id_has_a_longest_length),
        ONE(params_reach_the_handler_as_they_are),
        ONE(handlers_choose_what_is_answered),
        ONE(notifications_are_never_answered),
        ONE(method_names_are_compared_as_they_are_meant),
        ONE(methods_come_and_go_while_it_runs),
        THREE(methods_come_and_go_while_it_runs),
        cmocka_unit_test(methods_are_bounded_in_number_and_length),
        ONE(a_batch_is_bounded),
        ONE(the_answers_of_a_batch_are_bounded),
        ONE(what_a_batch_holds_is_judged_one_by_one),
        ONE(an_answer_may_come_later_from_any_thread),
        THREE(an_answer_may_come_later_from_any_thread),
        ONE(a_handler_may_answer_the_call_of_another_peer),
        THREE(a_handler_may_answer_the_call_of_another_peer),
        ONE(a_batch_waits_for_its_last_answer),
        ONE(calls_without_an_answer_are_bounded),
        ONE(an_answer_to_who_has_gone_is_an_error),
        THREE(an_answer_to_who_has_gone_is_an_error),
        ONE(a_peer_answers_our_calls),
        THREE(a_peer_answers_our_calls),
        ONE(null_beside_a_result_is_no_error_and_beside_an_error_no_result),
        ONE(a_call_of_ours_ends_without_an_answer),
        ONE(calls_of_ours_are_bounded),
        cmocka_unit_test(calls_of_ours_end_with_the_server),
        cmocka_unit_test_setup_teardown(errors_go_apart_if_asked_for, set_up_apart, tear_down),
        ONE(bombs_cost_nothing),
        THREE(of_many_answers_to_a_call_one_counts),
        cmocka_unit_test(running_out_of_memory_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
