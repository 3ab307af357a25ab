/* SPDX-License-Identifier: MIT */
/* What a client of the broker dialect can make us keep, do or wait for ends somewhere; and what it
 * costs when it does nothing unusual. */
#include "broker_kit.h"

#include <pthread.h>
#include <sys/socket.h>

#include "base/text.h"
#include "failing_alloc.h"

/* ---- requests ---- */

static void requests_without_an_answer_are_bounded(void **state)
{
    kit_world *const w = *state;
    const int fd = kit_enter(w);
    char text[100];

    for (int i = 0; i < LN_BROKER_CALLS_MAX; i++) {
        snprintf(text, sizeof text, "{\"id\":\"%d\",\"type\":\"request\",\"topic\":\"later\"}", i);
        raw_send_text(fd, text);
    }
    kit_expect(fd, "{\"id\":\"x\",\"type\":\"request\",\"topic\":\"later\"}",
               "{\"id\":\"x\",\"type\":\"error\",\"topic\":\"later\",\"error\":{\"code\":503,"
               "\"message\":\"Too many requests\"}}\n");
    assert_int_equal(atomic_load(&w->kept), LN_BROKER_CALLS_MAX);
    assert_int_equal(ln_rpc_result(&w->tickets[7], LN_SPAN("7")), 0);
    kit_hear(fd, "{\"id\":\"7\",\"type\":\"response\",\"topic\":\"later\",\"payload\":7}\n");
    raw_send_text(fd, "{\"id\":\"y\",\"type\":\"request\",\"topic\":\"later\"}");
    kit_wait_for(&w->kept, LN_BROKER_CALLS_MAX + 1);
    raw_close(fd);
}

static int on_waiting(const ln_rpc_call *call, void *user)
{
    kit_world *const w = user;
    (void)call;
    for (int i = 0; i < 5000 && atomic_load(&w->is_free) == 0; i++)
        kit_rest_ms(1);
    return 0;
}

static void what_blocking_handlers_are_given_is_bounded(void **state)
{
    enum { PAYLOAD = 1000000, FIT = LN_RPC_JOBS_MAX_BYTES / PAYLOAD + 1 };
    kit_world *const w = *state;
    const int fd = kit_enter(w);
    char *const text = malloc(PAYLOAD + 100);

    assert_int_equal(ln_broker_handle_blocking(w->broker, "slow", on_waiting, w), 0);

    const int n =
        sprintf(text, "{\"id\":\"1\",\"type\":\"request\",\"topic\":\"slow\",\"payload\":\"");
    memset(text + n, 'x', PAYLOAD - 2);
    strcpy(text + n + PAYLOAD - 2, "\"}");
    for (int i = 0; i <= FIT; i++)
        raw_send_text(fd, text);
    kit_hear(fd, "{\"id\":\"1\",\"type\":\"error\",\"topic\":\"slow\",\"error\":{\"code\":503,"
                 "\"message\":\"Too many requests\"}}\n");
    atomic_store(&w->is_free, 1);
    for (int i = 0; i < FIT; i++)
        assert_memory_equal(kit_hear_any(fd), "{\"id\":\"1\",\"type\":\"response\"", 26);
    raw_send_text(fd, text);
    assert_memory_equal(kit_hear_any(fd), "{\"id\":\"1\",\"type\":\"response\"", 26);
    free(text);
    raw_close(fd);
}

static void ids_and_topics_of_requests_have_a_longest_length(void **state)
{
    const kit_world *const w = *state;
    const int fd = kit_enter(w);
    char id[300] = "", text[4000], topic[2000] = "";

    memset(id, 'i', LN_RPC_ID_MAX_BYTES - 2); /* and its quotes */
    snprintf(text, sizeof text, "{\"id\":\"%s\",\"type\":\"request\",\"topic\":\"nothing\"}", id);
    raw_send_text(fd, text);
    assert_non_null(strstr(kit_hear_any(fd), "\"response\""));
    strcat(id, "i");
    snprintf(text, sizeof text, "{\"id\":\"%s\",\"type\":\"request\",\"topic\":\"nothing\"}", id);
    raw_send_text(fd, text);
    const char *const heard = kit_hear_any(fd);
    assert_non_null(strstr(heard, id));
    assert_non_null(
        strstr(heard, "\"error\":{\"code\":400,\"message\":\"Request id is too long\"}"));

    memset(topic, 't', LN_BROKER_TOPIC_ROOM - 2);
    snprintf(text, sizeof text, "{\"id\":\"1\",\"type\":\"request\",\"topic\":\"%s\"}", topic);
    raw_send_text(fd, text);
    assert_non_null(
        strstr(kit_hear_any(fd), "{\"code\":404,\"message\":\"No handler for topic: tt"));
    snprintf(text, sizeof text, "{\"id\":\"1\",\"type\":\"request\",\"topic\":\"%st\"}", topic);
    raw_send_text(fd, text);
    assert_non_null(
        strstr(kit_hear_any(fd), "{\"code\":400,\"message\":\"Request topic is too long\"}"));
    raw_close(fd);
}

static void what_an_error_repeats_is_cut(void **state)
{
    const kit_world *const w = *state;
    const int fd = kit_enter(w);
    char text[1000], heard[1000], raw[301] = "";

    for (int i = 0; i < 100; i++)
        strcat(raw, "\xe2\x82\xac"); /* three bytes: 256 is within one */
    assert_int_equal(ln_broker_handle(w->broker, "bad", kit_on_fail, NULL), 0);
    snprintf(
        text, sizeof text,
        "{\"id\":\"1\",\"type\":\"request\",\"topic\":\"system:list_clients\",\"payload\":\"%s\"}",
        raw);
    snprintf(
        heard, sizeof heard,
        "{\"id\":\"1\",\"type\":\"error\",\"topic\":\"system:list_clients\",\"error\":{\"code\":"
        "400,\"message\":\"Invalid request payload: failed to unmarshal payload. Raw: "
        "\\\"%.*s\"}}\n",
        (LN_BROKER_RAW_MAX_BYTES - 1) / 3 * 3, raw);
    kit_expect(fd, text, heard);
    raw_close(fd);
}

static void requests_to_one_client_are_bounded(void **state)
{
    kit_world *const w = *state;
    const int fd = kit_enter(w);

    kit_wait_for(&w->connects, 1);
    const ln_broker_request_options r = {
        .conn = atomic_load(&w->last), .topic = LN_SPAN("t"), .on_reply = kit_on_reply, .user = w};
    for (int i = 0; i < LN_BROKER_REQUESTS_MAX; i++) {
        assert_int_equal(ln_broker_request(w->broker, &r, NULL), 0);
        assert_non_null(strstr(kit_hear_any(fd), "\"type\":\"request\",\"topic\":\"t\"}"));
    }
    assert_int_equal(ln_broker_request(w->broker, &r, NULL), 0);
    kit_wait_for(&w->replies, 1);
    assert_int_equal(atomic_load(&w->reply_error), LN_ERR_LIMIT);
    raw_close(fd);
    kit_wait_for(&w->replies, 1 + LN_BROKER_REQUESTS_MAX);
    assert_int_equal(atomic_load(&w->reply_error), LN_ERR_CLOSED);
}

static void a_client_that_never_answers_is_not_waited_for(void **state)
{
    (void)state;
    const ln_broker_options options = {.request_ms = 150};
    kit_world *const w = kit_start(1, &options, NULL);
    const int fd = kit_enter_at(w, "/wsmq?client_id=deaf", "");
    char expected[300];

    kit_wait_for(&w->connects, 1);
    const ln_broker_request_options r = {
        .conn = atomic_load(&w->last), .topic = LN_SPAN("t"), .on_reply = kit_on_reply, .user = w};
    assert_int_equal(ln_broker_request(w->broker, &r, NULL), 0);
    (void)kit_hear_any(fd);
    kit_wait_for(&w->replies, 1);
    assert_int_equal(atomic_load(&w->reply_error), LN_ERR_TIMEOUT);

    atomic_store(&w->allows_proxy, true);
    raw_send_text(fd, "{\"id\":\"1\",\"type\":\"request\",\"topic\":\"system:proxy\",\"payload\":{"
                      "\"targetId\":\"deaf\",\"topic\":\"t\"}}");
    char id[33] = "";
    memcpy(id, kit_hear_any(fd) + 7, 32);
    snprintf(expected, sizeof expected,
             "{\"id\":\"1\",\"type\":\"error\",\"topic\":\"system:proxy\",\"error\":{\"code\":500,"
             "\"message\":\"proxy target error: request to client deaf (ID: %s) timed out after "
             "150ms\"}}\n",
             id);
    kit_hear(fd, expected);
    raw_close(fd);
    kit_stop(w);
}

/* ---- what is said of a client ---- */

static void a_clients_id_has_a_longest_length(void **state)
{
    kit_world *const w = *state;
    char target[300] = "/wsmq?client_id=", wish[LN_BROKER_ID_MAX_BYTES + 2] = "";
    ln_conn_id conn;

    memset(wish, 'i', LN_BROKER_ID_MAX_BYTES);
    strcat(target, wish);
    const int a = kit_enter_at(w, target, "");
    assert_string_equal(kit_register(a, wish, "x"), wish);
    assert_int_equal(ln_broker_find_session(w->broker, ln_text(wish), &conn), 0);
    strcat(target, "i");
    strcat(wish, "i");
    const int b = kit_enter_at(w, target, "");
    const char *const id = kit_register(b, wish, "x");
    assert_int_equal(strlen(id), LN_BROKER_MADE_ID_SIZE); /* another one, on both occasions */
    assert_int_equal(ln_broker_find_session(w->broker, ln_text(id), &conn), 0);
    assert_int_equal(ln_broker_find_session(w->broker, ln_text(wish), &conn), LN_ERR_NOT_FOUND);
    const int c = kit_enter_at(w, "/wsmq?client_id=x", ""); /* upstream died of a short one */
    assert_string_equal(kit_register(c, "", "x"), "x");
    const int d = kit_enter_at(w, "/wsmq?client_id=%0a", "");
    assert_int_equal(strlen(kit_register(d, "", "x")), LN_BROKER_MADE_ID_SIZE);
    const int e = kit_enter_at(w, "/wsmq?client_id=%c2%9b31m", ""); /* terminals obey this, too */
    assert_int_equal(strlen(kit_register(e, "", "x")), LN_BROKER_MADE_ID_SIZE);
    raw_close(a);
    raw_close(b);
    raw_close(c);
    raw_close(d);
    raw_close(e);
}

static bool check_sizes(const ln_broker_info *client, void *user)
{
    (void)user;
    assert_int_equal(client->name.size, LN_BROKER_NAME_MAX_BYTES - 1); /* whole characters */
    assert_int_equal(client->type.size, LN_BROKER_TYPE_MAX_BYTES);
    assert_int_equal(client->url.size, LN_BROKER_URL_MAX_BYTES);
    return true;
}

static void what_a_client_says_of_itself_is_cut(void **state)
{
    kit_world *const w = *state;
    const int fd = kit_enter(w);
    char *const text = malloc(8000);
    char name[600] = "x", type[100] = "", url[2100] = "";

    for (int i = 0; i < 200; i++)
        strcat(name, "\xc3\xa4");
    memset(type, 't', 65);
    memset(url, 'u', 2049);
    snprintf(text, 8000,
             "{\"id\":\"r\",\"type\":\"request\",\"topic\":\"system:register\",\"payload\":{"
             "\"clientName\":\"%s\",\"clientType\":\"%s\",\"clientUrl\":\"%s\"}}",
             name, type, url);
    raw_send_text(fd, text);
    (void)kit_hear_any(fd);
    assert_int_equal(ln_broker_each(w->broker, check_sizes, NULL), 1);
    free(text);
    raw_close(fd);
}

static void a_list_has_a_longest_length(void **state)
{
    (void)state;
    static ln_broker b;
    static ln_broker_entry entries[LN_BROKER_LIST_MAX + 1];
    static char ids[LN_BROKER_LIST_MAX + 1][8];
    ln_buf out;

    ln_broker_directory_init(&b.directory, &ln_alloc_libc);
    ln_buf_init(&out, &ln_alloc_libc);
    for (size_t i = 0; i < LN_ARRAY_SIZE(entries); i++) {
        entries[i].id = (ln_span){ids[i], (size_t)snprintf(ids[i], 8, "%zu", i)};
        if (i == LN_BROKER_LIST_MAX) {
            assert_int_equal(ln_broker_list(&b, (ln_span){"", 0}, &out), 0);
            assert_memory_equal(out.data + out.size - 3, "}]}", 3);
            out.size = 0;
        }
        assert_int_equal(ln_map_add(&b.directory.ids, entries[i].id, &entries[i]), 0);
    }
    assert_int_equal(ln_broker_list(&b, (ln_span){"", 0}, &out), 0);
    assert_memory_equal(out.data + out.size - 16, "}],\"total\":1001}", 16);
    int count = 0;
    for (size_t i = 0; i + 5 < out.size; i++)
        count += memcmp(out.data + i, "{\"id\":", 6) == 0;
    assert_int_equal(count, LN_BROKER_LIST_MAX);
    ln_buf_fini(&out);
    ln_broker_directory_fini(&b.directory);
}

/* As that of a large server: clients of whom there is nothing but an id. */
static void fill_directory(ln_broker *b, ln_broker_entry *entries, char (*ids)[8], size_t count)
{
    ln_lock_take(&b->directory.lock);
    for (size_t i = 0; i < count; i++) {
        entries[i].id = (ln_span){ids[i], (size_t)snprintf(ids[i], sizeof ids[i], "%zu", i)};
        assert_int_equal(ln_map_add(&b->directory.ids, entries[i].id, &entries[i]), 0);
    }
    ln_lock_give(&b->directory.lock);
}

static void lists_have_a_rate(void **state)
{
    enum { CLIENTS = 90000, STEPS = CLIENTS + 1 + 10 * LN_BROKER_LIST_MAX, LISTS = 40 };
    static ln_broker_entry entries[CLIENTS];
    static char ids[CLIENTS][8];
    kit_world *const w = *state;
    const int fd = kit_enter(w);
    unsigned good = 0, answers;

    kit_expect_silence(fd);
    fill_directory(w->broker, entries, ids, CLIENTS);
    assert_int_equal(ln_broker_list_steps(w->broker, LN_SPAN("x")), STEPS);
    assert_int_equal(ln_broker_list_steps(w->broker, LN_SPAN("")), 11 * LN_BROKER_LIST_MAX);
    for (int i = 0; i < LISTS; i++)
        raw_send_text(fd, "{\"id\":\"l\",\"type\":\"request\",\"topic\":\"system:list_clients\","
                          "\"payload\":{\"clientType\":\"x\"}}");
    for (answers = 0; answers < LISTS; answers++) {
        const char *const heard = kit_hear_any(fd);
        if (strstr(heard, "{\"clients\":[]}") == NULL)
            break;
        good++;
    }
    /* eight seconds are needed for all others to be permitted */
    assert_in_range(good, LN_BROKER_LIST_STEPS_BURST / STEPS, LISTS - 1);
    while (++answers < LISTS)
        (void)kit_hear_any(fd);
    raw_send_text(fd, "{\"id\":\"l\",\"type\":\"request\",\"topic\":\"system:list_clients\","
                      "\"payload\":{\"clientType\":\"x\"}}");
    const char *heard = kit_hear_any(fd);
    while (strstr(heard, "\"code\":503,\"message\":\"Too many requests\"") !=
           NULL) { /* it passes */
        kit_rest_ms(50);
        raw_send_text(fd, "{\"id\":\"l\",\"type\":\"request\",\"topic\":\"system:list_clients\","
                          "\"payload\":{\"clientType\":\"x\"}}");
        heard = kit_hear_any(fd);
    }
    assert_non_null(strstr(heard, "{\"clients\":[]}"));
    raw_close(fd);
}

/* ---- who is too slow ---- */

static void who_does_not_read_is_closed_at_its_third_loss(void **state)
{
    (void)state;
    enum { PIECE = 60000, PIECES_MAX = 2000 };
    const ln_ws_options ws = {.queue_max_bytes = 1 << 17};
    const ln_broker_options options = {.ws = &ws};
    kit_world *const w = kit_start(1, &options, NULL);
    const int deaf = kit_enter(w), reader = kit_enter(w);
    char *const payload = malloc(PIECE);
    ln_broker_stats stats = {.clients = 0};
    raw_frame f;

    memset(payload, '7', PIECE);
    payload[0] = payload[PIECE - 1] = '"';
    kit_subscribe(deaf, "t");
    kit_subscribe(reader, "t");
    for (int i = 0; i < PIECES_MAX && stats.slow_closes_total == 0; i++) {
        assert_int_equal(ln_broker_publish(w->broker, LN_SPAN("t"), (ln_span){payload, PIECE}), 0);
        assert_in_range(strlen(kit_hear_any(reader)), PIECE, PIECE + 100); /* loses nothing */
        ln_broker_stats_get(w->broker, &stats);
        assert_in_range(stats.dropped_total, 0, 3);
    }
    assert_int_equal(stats.slow_closes_total, 1);
    assert_int_equal(stats.dropped_total, 3);
    do /* what was queued comes first */
        f = raw_read_frame(deaf);
    while (f.first == 0x81);
    assert_int_equal(f.first, 0x88);
    assert_string_equal((const char *)f.payload, "\x03\xf0too many dropped messages");
    kit_wait_for(&w->disconnects, 1);
    kit_expect_silence(reader);
    free(payload);
    raw_close(deaf);
    raw_close(reader);
    kit_stop(w);
}

/* Publishes until a client that does not read has lost `losses` in all; how many it has been sent. */
static int lose(const kit_world *w, int reader, ln_span payload, uint64_t losses)
{
    ln_broker_stats stats;
    int count = 0;

    do {
        assert_true(count++ < 2000);
        assert_int_equal(ln_broker_publish(w->broker, LN_SPAN("t"), payload), 0);
        assert_in_range(strlen(kit_hear_any(reader)), payload.size, payload.size + 100);
        ln_broker_stats_get(w->broker, &stats);
    } while (stats.dropped_total < losses);
    assert_int_equal(stats.dropped_total, losses);
    return count;
}

/* Upstream counted for the life of a connection. */
static void losses_are_forgotten_when_a_client_has_caught_up(void **state)
{
    (void)state;
    enum { PIECE = 60000 };
    const ln_ws_options ws = {.queue_max_bytes = 1 << 17};
    const ln_broker_options options = {.ws = &ws};
    kit_world *const w = kit_start(1, &options, NULL);
    const int slow = kit_enter(w), reader = kit_enter(w);
    char *const bytes = malloc(PIECE);
    const ln_span payload = {bytes, PIECE};
    ln_broker_stats stats;

    memset(bytes, '7', PIECE);
    bytes[0] = bytes[PIECE - 1] = '"';
    kit_subscribe(slow, "t");
    kit_subscribe(reader, "t");
    for (uint64_t losses = 2; losses <= 6; losses += 2) {
        const int count = lose(w, reader, payload, losses);
        for (int i = 0; i < count - 2; i++)
            (void)kit_hear_any(slow);
        kit_expect_silence(slow); /* nothing is left */
    }
    ln_broker_stats_get(w->broker, &stats);
    assert_int_equal(stats.slow_closes_total, 0);
    free(bytes);
    raw_close(slow);
    raw_close(reader);
    kit_stop(w);
}

/* One message may be longer than the queue if that is empty; the system does not take so much. */
static int on_fill(const ln_rpc_call *call, void *user)
{
    enum { MUCH = 20000000 };
    kit_world *const w = user;
    char *const payload = malloc(MUCH);

    memset(payload, '1', MUCH);
    payload[0] = payload[MUCH - 1] = '"';
    assert_int_equal(
        ln_broker_send(w->broker, call->ticket.conn, LN_SPAN("t"), (ln_span){payload, MUCH}), 0);
    free(payload);
    assert_int_equal(ln_rpc_result(&call->ticket, LN_SPAN("1")), LN_ERR_WOULD_EXCEED);
    atomic_fetch_add(&w->calls, 1);
    return 0;
}

/* Upstream's answer was dropped, and who asked waited for ever. */
static void an_answer_that_does_not_fit_ends_the_connection(void **state)
{
    static const char end[] = "\x03\xf0too many dropped messages";
    kit_world *const w = *state;
    const int fd = kit_enter(w);
    char bytes[65536], last[sizeof end] = "";
    ssize_t n;

    assert_int_equal(ln_broker_handle(w->broker, "fill", on_fill, w), 0);
    raw_send_text(fd, "{\"id\":\"1\",\"type\":\"request\",\"topic\":\"fill\"}");
    kit_wait_for(&w->calls, 1);                          /* nothing is read before */
    while ((n = recv(fd, bytes, sizeof bytes, 0)) > 0) { /* what was queued comes first */
        const size_t fresh = ln_min_size((size_t)n, sizeof end - 1);
        memmove(last, last + fresh, sizeof end - 1 - fresh);
        memcpy(last + sizeof end - 1 - fresh, bytes + (size_t)n - fresh, fresh);
        if (memcmp(last, end, sizeof end - 1) == 0)
            break;
    }
    assert_memory_equal(last, end, sizeof end - 1);
    raw_close(fd);
}

enum { FLOOD = 8000, LONG_PAYLOAD = 5000 }; /* more than the system's buffers hold */

static void *send_flood(void *arg)
{
    char text[LONG_PAYLOAD + 100], room[LONG_PAYLOAD + 1] = "";
    memset(room, 'x', LONG_PAYLOAD);
    for (int i = 0; i < FLOOD; i++) {
        snprintf(text, sizeof text,
                 "{\"id\":\"%d\",\"type\":\"request\",\"topic\":\"echo\",\"payload\":\"%s\"}", i,
                 room);
        raw_send_text(*(const int *)arg, text);
    }
    return NULL;
}

static void who_does_not_take_its_answers_is_not_read(void **state)
{
    (void)state;
    const ln_ws_options ws = {.high_water_bytes = 512 << 10, .low_water_bytes = 128 << 10};
    const ln_broker_options options = {.ws = &ws};
    kit_world *const w = kit_start(1, &options, NULL);
    const int fd = kit_enter(w);
    pthread_t thread;
    int before;

    pthread_create(&thread, NULL, send_flood, (void *)(uintptr_t)&fd);
    kit_wait_for(&w->calls, 1);
    do { /* until nothing moves any more */
        before = atomic_load(&w->calls);
        kit_rest_ms(100);
    } while (before != atomic_load(&w->calls));
    assert_in_range(before, 1, FLOOD - 1);
    for (int i = 0; i < FLOOD; i++) {
        char begin[32];
        snprintf(begin, sizeof begin, "{\"id\":\"%d\",", i);
        assert_memory_equal(kit_hear_any(fd), begin, strlen(begin)); /* all of them, in order */
    }
    pthread_join(thread, NULL);
    raw_close(fd);
    kit_stop(w);
}

/* ---- subscribers of the application ---- */

static void on_flooding_publication(ln_broker *broker, const ln_broker_publication *p, void *user)
{
    kit_world *const w = user;

    for (int i = 0; ln_text_equal(p->payload, LN_SPAN("0")) && i < LN_BROKER_GUEST_PENDING_MAX + 5;
         i++)
        assert_int_equal(ln_broker_publish(broker, LN_SPAN("t"), LN_SPAN("1")), 0);
    atomic_fetch_add(&w->heard, 1);
}

static void what_waits_for_a_subscriber_is_bounded(void **state)
{
    kit_world *const w = *state;
    ln_broker_stats stats;

    assert_int_equal(ln_broker_subscribe(w->broker, "t", on_flooding_publication, w), 0);
    assert_int_equal(ln_broker_publish(w->broker, LN_SPAN("t"), LN_SPAN("0")), 0);
    kit_wait_for(&w->heard, 1 + LN_BROKER_GUEST_PENDING_MAX);
    ln_broker_stats_get(w->broker, &stats);
    assert_int_equal(stats.dropped_total, 5);
    assert_int_equal(ln_broker_publish(w->broker, LN_SPAN("t"), LN_SPAN("2")), 0);
    kit_wait_for(&w->heard, 2 + LN_BROKER_GUEST_PENDING_MAX);
}

/* ---- pings ---- */

static void pings_are_numbered_and_have_to_be_answered(void **state)
{
    (void)state;
    const ln_ws_options ws = {.ping_interval_ms = 100, .pong_wait_ms = 400};
    const ln_broker_options options = {.ws = &ws};
    kit_world *const w = kit_start(1, &options, NULL);
    const int fd = kit_enter(w);
    ln_broker_stats stats;
    char number[16];

    for (int i = 1; i <= 12; i++) {
        snprintf(number, sizeof number, "%d", i);
        const raw_frame f = raw_read_frame(fd);
        assert_int_equal(f.first, 0x89);
        assert_string_equal((const char *)f.payload, number);
        raw_send_frame(fd, 0x8a, number, strlen(number));
    }
    assert_string_equal((const char *)raw_read_frame(fd).payload, "13");
    raw_send_frame(fd, 0x8a, "12", 2); /* an old one is none */
    kit_expect_silence(fd);            /* nor does anything else count */
    kit_hear_close(fd, 1008, "ping failure");
    ln_broker_stats_get(w->broker, &stats);
    assert_int_equal(stats.ping_failures_total, 1);
    raw_close(fd);
    kit_stop(w);
}

/* ---- memory ---- */

static void ask_many(int fd, int count)
{
    enum { DEPTH = 16 };
    char text[300], payload[101] = "";

    memset(payload, 'x', 100);
    snprintf(
        text, sizeof text,
        "{\"id\":\"1234567890abcdef\",\"type\":\"request\",\"topic\":\"echo\",\"payload\":\"%s\"}",
        payload);
    for (int i = 0; i < count; i += DEPTH) {
        for (int k = 0; k < DEPTH; k++)
            raw_send_text(fd, text);
        for (int k = 0; k < DEPTH; k++)
            assert_memory_equal(kit_hear_any(fd), "{\"id\":\"1234567890abcdef\",", 24);
    }
}

static void a_request_that_is_answered_at_once_allocates_nothing(void **state)
{
    (void)state;
    failing_alloc fa;

    if (LN_SANITIZED)
        skip(); /* pools keep nothing then */
    failing_alloc_init(&fa, FAILING_NEVER);
    kit_world *const w = kit_start(1, NULL, &fa.hook);
    const int fd = kit_enter(w);
    ask_many(fd, 2000); /* pools and buffers grow to what is usual */
    const size_t before = atomic_load(&fa.calls);
    ask_many(fd, 2000);
    assert_int_equal(atomic_load(&fa.calls), before);
    raw_close(fd);
    kit_stop(w);
    failing_alloc_assert_empty(&fa);
}

static void memory_for_a_long_text_is_given_back(void **state)
{
    (void)state;
    enum { LONG = 200000 };
    kit_world *const w = kit_start(1, NULL, NULL);
    const int fd = kit_enter(w);
    char *const text = malloc(LONG + 100);

    ask_many(fd, 16);
    const int n =
        sprintf(text, "{\"id\":\"1\",\"type\":\"request\",\"topic\":\"echo\",\"payload\":\"");
    memset(text + n, 'x', LONG);
    strcpy(text + n + LONG, "\"}");
    raw_send_text(fd, text);
    assert_in_range(strlen(kit_hear_any(fd)), LONG, LONG + 100);
    raw_close(fd);
    assert_int_equal(kit_halt(w->server), 0);
    assert_int_equal(w->broker->rpc.desks[0].scratch.capacity, 0);
    ln_server_free(w->server);
    free(w);
    free(text);
}

/* A visit that does everything once, sent at one go, so that it does not matter where it is cut. */
static const char *const visits[][12] = {
    {"{\"id\":\"1\",\"type\":\"request\",\"topic\":\"system:register\",\"payload\":{\"clientId\":"
     "\"s\"}}",
     "{\"id\":\"2\",\"type\":\"subscribe_request\",\"topic\":\"t\"}",
     "{\"id\":\"3\",\"type\":\"subscribe_request\",\"topic\":\"t.>\"}",
     "{\"type\":\"publish\",\"topic\":\"t\",\"payload\":[1]}",
     "{\"id\":\"4\",\"type\":\"request\",\"topic\":\"later\"}",
     "{\"id\":\"5\",\"type\":\"request\",\"topic\":\"slow\",\"payload\":1}",
     "{\"id\":\"6\",\"type\":\"request\",\"topic\":\"boom\"}",
     "{\"id\":\"7\",\"type\":\"request\",\"topic\":\"system:list_clients\"}",
     "{\"id\":\"8\",\"type\":\"request\",\"topic\":\"system:proxy\",\"payload\":{\"targetId\":"
     "\"me\","
     "\"topic\":\"t\"}}",
     "{\"id\":\"9\",\"type\":\"request\",\"topic\":\"system:proxy\",\"payload\":{\"targetId\":"
     "\"no\"}}",
     "{\"id\":\"10\",\"type\":\"unsubscribe_request\",\"topic\":\"t\"}", NULL},
    {"{\"header\":{\"type\":\"event\",\"topic\":\"_client.register\"},\"body\":{\"pageSessionID\":"
     "\"p\"}}",
     "{\"header\":{\"type\":\"subscribe\",\"topic\":\"subscribe\"},\"body\":\"t\"}",
     "{\"header\":{\"type\":\"event\",\"topic\":\"t\"},\"body\":1}",
     "{\"header\":{\"messageID\":\"m\",\"type\":\"request\",\"topic\":\"boom\"},\"body\":1}",
     "{\"header\":{\"messageID\":\"m\",\"type\":\"request\",\"topic\":\"later\"},\"body\":1}",
     NULL},
};

static size_t add_text(uint8_t *to, const char *text)
{
    const size_t n = strlen(text);

    to[0] = 0x81;
    to[1] = 0x80 | 126;
    ln_store_be16(to + 2, (uint16_t)n);
    memset(to + 4, 0, 4);
    memcpy(to + 8, text, n);
    return n + 8;
}

static void visit(int port, const char *const *texts)
{
    static const char head[] = "GET /wsmq?client_id=me HTTP/1.1\r\nHost: test.example\r\nUpgrade: "
                               "websocket\r\nConnection: "
                               "Upgrade\r\nSec-WebSocket-Key: "
                               "dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
    uint8_t bytes[8192];
    size_t n = sizeof head - 1;
    const int fd = raw_connect(port);

    memcpy(bytes, head, n);
    for (; *texts != NULL; texts++)
        n += add_text(bytes + n, *texts);
    memcpy(bytes + n, "\x88\x82\0\0\0\0\x03\xe8", 8);
    n += 8;
    assert_int_equal(send(fd, bytes, n, MSG_NOSIGNAL), n);
    assert_true(raw_ends_within(fd, 6000));
    raw_close(fd);
}

static void on_visitor(const ln_rpc_reply *reply, void *user)
{
    (void)reply;
    (void)user;
}

static int on_visitor_later(const ln_rpc_call *call, void *user)
{
    ln_broker *const broker = *(ln_broker **)user;
    const ln_broker_request_options r = {
        .conn = call->ticket.conn, .topic = LN_SPAN("ask"), .on_reply = on_visitor};
    (void)ln_broker_request(broker, &r, NULL);
    (void)ln_broker_send(broker, call->ticket.conn, LN_SPAN("t"), LN_SPAN("1"));
    (void)ln_broker_publish(broker, LN_SPAN("t.x"), LN_SPAN("1"));
    return LN_ERR_AGAIN;
}

static int on_visitor_slow(const ln_rpc_call *call, void *user)
{
    (void)user;
    (void)ln_rpc_result(&call->ticket, LN_SPAN("[1]"));
    return 0;
}

static int on_visitor_boom(const ln_rpc_call *call, void *user)
{
    (void)user;
    (void)ln_rpc_error(&call->ticket, 500, LN_SPAN("boom"), LN_SPAN(""));
    return 0;
}

static void on_visitor_publication(ln_broker *broker, const ln_broker_publication *p, void *user)
{
    (void)broker;
    (void)p;
    (void)user;
}

static bool allow_all(const ln_broker_wish *wish, void *user)
{
    (void)wish;
    (void)user;
    return true;
}

static int build(ln_server *server, ln_broker **broker)
{
    const ln_broker_options options = {.allow = allow_all};

    int rc = ln_broker_mount(server, "/wsmq", &options, broker);
    if (rc == 0)
        rc = ln_broker_handle(*broker, "later", on_visitor_later, broker);
    if (rc == 0)
        rc = ln_broker_handle(*broker, "boom", on_visitor_boom, NULL);
    if (rc == 0)
        rc = ln_broker_handle_blocking(*broker, "slow", on_visitor_slow, NULL);
    if (rc == 0)
        rc = ln_broker_subscribe(*broker, "t", on_visitor_publication, NULL);
    return rc == 0 ? ln_server_listen(server, "127.0.0.1:0") : rc;
}

static int one_life(const ln_allocator *alloc, void *user)
{
    const ln_server_options options = {.allocator = alloc, .log = kit_quiet};
    ln_broker *broker;

    ln_server *const server = ln_server_new(&options);
    if (server == NULL)
        return LN_ERR_NOMEM;
    int rc = build(server, &broker);
    if (rc == 0)
        rc = ln_server_start(server);
    if (rc == 0) {
        visit(ln_server_port(server, 0), user);
        (void)kit_halt(server);
    }
    ln_server_free(server);
    return rc;
}

static void running_out_of_memory_ends_a_client_at_worst(void **state)
{
    (void)state;
    for (size_t i = 0; i < LN_ARRAY_SIZE(visits); i++)
        assert_true(failing_alloc_sweep_mode(one_life, (void *)(uintptr_t)visits[i], FAILING_ONCE) >
                    40);
}

/* ---- threads ---- */

enum { ROUNDS = 150, VISITORS = 15 };

static void *use_everything(void *arg)
{
    kit_world *const w = arg;
    ln_rpc_ticket ticket;
    ln_conn_id conn;

    for (int i = 0; i < ROUNDS; i++) {
        const ln_broker_request_options r = {.conn = atomic_load(&w->last),
                                             .topic = LN_SPAN("ask"),
                                             .timeout_ms = 50,
                                             .on_reply = on_visitor};
        (void)ln_broker_publish(w->broker, LN_SPAN("t.x"), LN_SPAN("[1]"));
        if (ln_broker_request(w->broker, &r, &ticket) == 0 && i % 2 == 0)
            (void)ln_broker_cancel(&ticket);
        (void)ln_broker_subscribe(w->broker, "t.*", i % 3 == 0 ? NULL : on_visitor_publication, w);
        (void)ln_broker_find_session(w->broker, LN_SPAN("s"), &conn);
        (void)ln_broker_handle(w->broker, "moving", i % 2 == 0 ? kit_on_nothing : NULL, w);
        ln_broker_stats stats;
        ln_broker_stats_get(w->broker, &stats);
    }
    return NULL;
}

static bool pass(const ln_broker_info *client, void *user)
{
    (void)user;
    return client->id.size > 0;
}

static void threads_may_do_everything_at_once(void **state)
{
    kit_world *const w = *state;
    pthread_t threads[2];

    atomic_store(&w->allows_proxy, true);
    for (size_t i = 0; i < LN_ARRAY_SIZE(threads); i++)
        pthread_create(&threads[i], NULL, use_everything, w);
    for (int i = 0; i < VISITORS; i++) {
        const int fd = kit_enter(w);
        raw_send_text(fd, "{\"type\":\"subscribe_request\",\"topic\":\"t.>\"}");
        raw_send_text(fd, "{\"id\":\"1\",\"type\":\"request\",\"topic\":\"moving\"}");
        raw_send_text(fd, "{\"type\":\"publish\",\"topic\":\"t.y\"}");
        raw_send_text(fd, "{\"type\":\"request\",\"topic\":\"system:register\",\"payload\":{"
                          "\"clientId\":\"s\"}}");
        kit_wait_for(&w->registrations, i + 1);
        assert_true(ln_broker_each(w->broker, pass, NULL) >= 1);
        raw_close(fd);
    }
    for (size_t i = 0; i < LN_ARRAY_SIZE(threads); i++)
        pthread_join(threads[i], NULL);
    kit_wait_for(&w->disconnects, VISITORS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        KIT_ONE(requests_without_an_answer_are_bounded),
        KIT_ONE(what_blocking_handlers_are_given_is_bounded),
        KIT_ONE(ids_and_topics_of_requests_have_a_longest_length),
        KIT_ONE(what_an_error_repeats_is_cut),
        KIT_ONE(requests_to_one_client_are_bounded),
        cmocka_unit_test(a_client_that_never_answers_is_not_waited_for),
        KIT_ONE(a_clients_id_has_a_longest_length),
        KIT_ONE(what_a_client_says_of_itself_is_cut),
        cmocka_unit_test(a_list_has_a_longest_length),
        KIT_ONE(lists_have_a_rate),
        cmocka_unit_test(who_does_not_read_is_closed_at_its_third_loss),
        cmocka_unit_test(losses_are_forgotten_when_a_client_has_caught_up),
        KIT_ONE(an_answer_that_does_not_fit_ends_the_connection),
        cmocka_unit_test(who_does_not_take_its_answers_is_not_read),
        KIT_ONE(what_waits_for_a_subscriber_is_bounded),
        cmocka_unit_test(pings_are_numbered_and_have_to_be_answered),
        cmocka_unit_test(a_request_that_is_answered_at_once_allocates_nothing),
        cmocka_unit_test(memory_for_a_long_text_is_given_back),
        cmocka_unit_test(running_out_of_memory_ends_a_client_at_worst),
        KIT_THREE(threads_may_do_everything_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
