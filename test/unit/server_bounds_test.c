/* SPDX-License-Identifier: MIT */
/*
 * What the limits of src/limits.def do to a peer of a running server, each from both sides: the
 * last that is allowed, and the first that is not. Times are small ones, set by options; what the
 * codecs bound is in their own tests too.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <linnet/linnet.h>
#include <linnet/rooms.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>

#include "base/limits.h"
#include "dialect/mesh.h"
#include "raw_client.h"
#include "server_kit.h"

enum { SOON_MS = 150, LATE_MS = 3000, PIECE = 10000, LETTER = 65536, POSTS_MAX = 64 };

/* A server with one endpoint, /x, and what its handlers saw, on the worker's thread. */
typedef struct place {
    ln_server *server;
    int port;
    atomic_int opened, closed, close_code;
    atomic_int sent;      /* messages that a flooding handler could send */
    atomic_int above;     /* results of 1 among them */
    atomic_int refusal;   /* the result that ended it */
    atomic_size_t queued; /* ln_conn_queued_bytes() then */
    atomic_int drains;
    atomic_bool is_held; /* a handler waits until it is false */
    _Atomic ln_conn_id id;
} place;

/* ---- handlers ---- */

static void on_open(ln_conn *c, const ln_request *request, void *user)
{
    place *p = user;
    (void)request;
    atomic_store(&p->id, ln_conn_get_id(c));
    atomic_fetch_add(&p->opened, 1);
}

static void on_close(ln_conn *c, const ln_close_info *info, void *user)
{
    place *p = user;
    (void)c;
    atomic_store(&p->close_code, info->code);
    atomic_fetch_add(&p->closed, 1);
}

static void on_drain(ln_conn *c, void *user)
{
    place *p = user;
    (void)c;
    atomic_fetch_add(&p->drains, 1);
}

/* Sends until it is refused; what the peer does not read has to end somewhere. */
static void flood(ln_conn *c, place *p)
{
    static const uint8_t piece[PIECE];
    int rc = 0;
    while (rc >= 0 && atomic_load(&p->sent) < 100000) {
        rc = ln_conn_send(c, LN_BINARY, (ln_span){piece, sizeof piece});
        if (rc >= 0)
            atomic_fetch_add(&p->sent, 1);
        if (rc == 1)
            atomic_fetch_add(&p->above, 1);
    }
    atomic_store(&p->queued, ln_conn_queued_bytes(c));
    atomic_store(&p->refusal, rc);
}

/* Facts until they are too many, then until their bytes are. */
static void remember(ln_conn *c, place *p)
{
    static const char text[2 * PIECE];
    char key[16];
    int keys = 0, rc = 0;
    for (; keys < 1000 && rc == 0; keys++) {
        snprintf(key, sizeof key, "k%d", keys);
        rc = ln_conn_set(c, key, (ln_value){.type = LN_VALUE_INT, .as.integer = keys});
    }
    assert_int_equal(rc, LN_ERR_LIMIT);
    atomic_store(&p->sent, keys - 1);
    for (int i = 0; i < keys; i++) {
        snprintf(key, sizeof key, "k%d", i);
        assert_int_equal(ln_conn_set(c, key, (ln_value){.type = LN_VALUE_NONE}), 0);
    }
    size_t size = sizeof text;
    while (size > 0 &&
           ln_conn_set(c, "t", (ln_value){.type = LN_VALUE_TEXT, .as.text = {text, size}}) ==
               LN_ERR_LIMIT)
        size--;
    atomic_store(&p->queued, size);
}

/* The first letter of a message is an order; anything else is echoed. */
static void on_message(ln_conn *c, const ln_message *m, void *user)
{
    place *p = user;
    const char order = m->data.size > 0 ? *(const char *)m->data.data : 'e';
    switch (order) {
    case 'f':
        flood(c, p);
        break;
    case 'm':
        remember(c, p);
        break;
    case 'c':
        assert_int_equal(ln_conn_close(c, 4000, LN_SPAN("bye")), 0);
        break;
    case 's':
        assert_int_equal(ln_conn_subscribe(c, LN_SPAN("topic")), 0);
        break;
    case 'h':
        while (atomic_load(&p->is_held))
            kit_rest_ms(1);
        break;
    default:
        assert_true(ln_conn_send(c, m->kind, m->data) >= 0);
    }
}

/* ---- places ---- */

static void on_get(ln_request *request, void *user)
{
    (void)user;
    assert_int_equal(ln_request_reply(request, 200, "text/plain", LN_SPAN("here")), 0);
}

static place *begin_with(ln_server_options server, const ln_ws_options *ws)
{
    place *p = calloc(1, sizeof *p);
    const ln_ws_handlers handlers = {.on_open = on_open,
                                     .on_message = on_message,
                                     .on_drain = on_drain,
                                     .on_close = on_close,
                                     .user = p};
    server.log = kit_quiet;
    p->server = ln_server_new(&server);
    assert_non_null(p->server);
    assert_int_equal(ln_server_ws(p->server, "/x", &handlers, ws), 0);
    assert_int_equal(ln_server_http(p->server, "/get", on_get, NULL), 0);
    p->port = kit_serve(p->server);
    return p;
}

static place *begin(const ln_ws_options *ws)
{
    return begin_with((ln_server_options){.drain_ms = 100}, ws);
}

static void end(place *p)
{
    assert_int_equal(kit_halt(p->server), 0);
    ln_server_free(p->server);
    free(p);
}

static int enter(const place *p, const char *lines)
{
    return raw_enter(p->port, "/x", lines);
}

static void assert_echoed(int fd, uint8_t first, const void *payload, size_t n)
{
    raw_send_frame(fd, first, payload, n);
    const raw_frame f = raw_read_frame(fd);
    assert_int_equal(f.first & 0x8f, first);
    assert_int_equal(f.size, n);
}

static void assert_closed(int fd, uint16_t code)
{
    assert_int_equal(raw_close_code(raw_read_frame(fd)), code);
    raw_close(fd);
}

/* Ends, and not before `least_ms`. */
static void assert_ends(int fd, int64_t since_ms, int64_t least_ms)
{
    assert_true(raw_ends_within(fd, LATE_MS));
    assert_true(kit_clock_ms() - since_ms >= least_ms);
    raw_close(fd);
}

/* ---- sizes ---- */

static void a_message_is_bounded(void **state)
{
    (void)state;
    place *p = begin(&(ln_ws_options){.message_max_bytes = 200});
    const uint8_t bytes[201] = {0};
    const int fd = enter(p, "");
    assert_echoed(fd, 0x82, bytes, 200);
    raw_send_frame(fd, 0x02, bytes, 150); /* in pieces it is the same message */
    raw_send_frame(fd, 0x80, bytes, 51);
    assert_closed(fd, 1009);
    const int other = enter(p, "");
    raw_send_frame(other, 0x82, bytes, 201);
    assert_closed(other, 1009);
    end(p);
}

static void a_frame_is_bounded(void **state)
{
    (void)state;
    place *p = begin(&(ln_ws_options){.message_max_bytes = 1000, .frame_max_bytes = 130});
    const uint8_t bytes[131] = {0};
    const int fd = enter(p, "");
    raw_send_frame(fd, 0x02, bytes, 130);
    raw_send_frame(fd, 0x80, bytes, 130);
    assert_int_equal(raw_read_frame(fd).size, 260);
    raw_send_frame(fd, 0x82, bytes, 131);
    assert_closed(fd, 1009);
    end(p);
}

static void fragments_are_bounded(void **state)
{
    (void)state;
    place *p = begin(&(ln_ws_options){.fragments_max = 3});
    const int fd = enter(p, "");
    for (int last = 0; last < 2; last++) { /* the second message has one more */
        raw_send_frame(fd, 0x02, "", 0);
        for (int i = 0; i < last + 1; i++)
            raw_send_frame(fd, 0x00, "", 0);
        raw_send_frame(fd, 0x80, "", 0);
        if (last == 0)
            assert_int_equal(raw_read_frame(fd).first, 0x82);
    }
    assert_closed(fd, 1008);
    end(p);
}

static void heads_and_bodies_of_requests_are_bounded(void **state)
{
    (void)state;
    place *p = begin_with(
        (ln_server_options){.request_header_max_bytes = 300, .request_body_max_bytes = 10}, NULL);
    char request[512];
    for (int over = 0; over < 2; over++) {
        const int fd = raw_connect(p->port);
        const int n = snprintf(request, sizeof request, "GET /get HTTP/1.1\r\nHost: h\r\nX: ");
        memset(request + n, 'x', sizeof request - (size_t)n);
        memcpy(request + 300 + over - 4, "\r\n\r\n", 4);
        raw_send(fd, request, 300 + (size_t)over);
        assert_non_null(strstr(raw_read_until(fd, "\r\n\r\n"), over ? " 431 " : " 200 "));
        raw_close(fd);
    }
    for (int over = 0; over < 2; over++) {
        const int fd = raw_connect(p->port);
        const int n = snprintf(
            request, sizeof request,
            "POST /get HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n01234567890", 10 + over);
        raw_send(fd, request, (size_t)n - 1 + (size_t)over);
        assert_non_null(strstr(raw_read_until(fd, "\r\n\r\n"), over ? " 413 " : " 200 "));
        raw_close(fd);
    }
    end(p);
}

static void short_messages_are_not_compressed(void **state)
{
    (void)state;
    place *p = begin(&(ln_ws_options){.deflate = true, .deflate_min_bytes = 100});
    const int fd = raw_connect(p->port);
    uint8_t bytes[100];
    memset(bytes, 'e', sizeof bytes);
    assert_non_null(
        strstr(raw_upgrade(fd, "/x", "Sec-WebSocket-Extensions: permessage-deflate\r\n"),
               "permessage-deflate"));
    raw_send_frame(fd, 0x81, bytes, 99);
    assert_int_equal(raw_read_frame(fd).first, 0x81);
    raw_send_frame(fd, 0x81, bytes, 100);
    assert_int_equal(raw_read_frame(fd).first, 0xc1); /* RSV1: RFC 7692 6 */
    raw_close(fd);
    end(p);
}

/* ---- rates and numbers ---- */

static void control_frames_are_bounded(void **state)
{
    (void)state;
    place *p = begin(&(ln_ws_options){.control_per_second = 2});
    const int fd = enter(p, "");
    const int burst = 2 * LN_CONTROL_BURST_SECONDS;
    for (int i = 0; i < burst; i++) {
        raw_send_frame(fd, 0x89, "?", 1);
        assert_int_equal(raw_read_frame(fd).first, 0x8a);
    }
    for (int i = 0; i < burst; i++) /* more than can have come back meanwhile */
        raw_send_frame(fd, 0x89, "?", 1);
    raw_frame f = raw_read_frame(fd);
    for (int i = 0; i < burst && f.first == 0x8a; i++)
        f = raw_read_frame(fd);
    assert_int_equal(raw_close_code(f), 1008);
    raw_close(fd);
    end(p);
}

static void connections_are_bounded(void **state)
{
    (void)state;
    place *p = begin_with((ln_server_options){.connections_max = 2, .drain_ms = 100}, NULL);
    const int one = enter(p, ""), two = enter(p, "");
    const int three = raw_connect(p->port);
    assert_non_null(strstr(raw_upgrade(three, "/x", ""), " 503 "));
    raw_close(three);
    raw_close(one);
    kit_wait_for(&p->closed, 1);
    kit_rest_ms(SOON_MS); /* its memory goes a little later than its on_close */
    raw_close(enter(p, ""));
    raw_close(two);
    end(p);
}

static void workers_are_bounded(void **state)
{
    (void)state;
    const ln_server_options most = {.workers = LN_MAX_WORKERS, .log = kit_quiet};
    const ln_server_options more = {.workers = LN_MAX_WORKERS + 1, .log = kit_quiet};
    ln_server *server = ln_server_new(&most);
    assert_non_null(server);
    ln_server_free(server);
    assert_null(ln_server_new(&more));
}

static void routes_are_bounded_in_number_and_length(void **state)
{
    (void)state;
    ln_server *server = ln_server_new(&(ln_server_options){.log = kit_quiet});
    char path[2048];
    int count = 0, rc = 0;
    while (rc == 0 && count < 10000) {
        snprintf(path, sizeof path, "/%d", count);
        rc = ln_server_http(server, path, on_get, NULL);
        count += rc == 0;
    }
    assert_int_equal(rc, LN_ERR_LIMIT);
    assert_int_equal(count, 256);
    ln_server_free(server);

    server = ln_server_new(&(ln_server_options){.log = kit_quiet});
    memset(path, 'a', sizeof path);
    path[0] = '/';
    path[1025] = '\0';
    assert_int_equal(ln_server_http(server, path, on_get, NULL), LN_ERR_INVALID);
    path[1024] = '\0';
    assert_int_equal(ln_server_http(server, path, on_get, NULL), 0);
    ln_server_free(server);
}

static void what_a_server_frees_for_others_is_bounded(void **state)
{
    (void)state;
    ln_server *server = ln_server_new(&(ln_server_options){.log = kit_quiet});
    char path[16];
    int count = 0, rc = 0;
    while (rc == 0 && count < 1000) {
        snprintf(path, sizeof path, "/%d", count);
        rc = ln_rooms_mount(server, path, NULL);
        count += rc == 0;
    }
    assert_int_equal(rc, LN_ERR_LIMIT);
    assert_int_equal(count, 64);
    ln_server_free(server);
}

static void listeners_are_bounded(void **state)
{
    (void)state;
    ln_server *server = ln_server_new(&(ln_server_options){.log = kit_quiet});
    int count = 0, rc = 0;
    while (rc == 0 && count < 1000) {
        rc = ln_server_listen(server, "127.0.0.1:0");
        count += rc == 0;
    }
    assert_int_equal(rc, LN_ERR_LIMIT);
    assert_int_equal(count, 16);
    ln_server_free(server);
}

static void facts_are_bounded_in_number_and_bytes(void **state)
{
    (void)state;
    place *p = begin(NULL);
    const int fd = enter(p, "");
    raw_send_text(fd, "m");
    assert_echoed(fd, 0x81, "done", 4);
    assert_int_equal(atomic_load(&p->sent), 32);
    assert_int_equal(atomic_load(&p->queued), 4096 - sizeof "t");
    raw_close(fd);
    end(p);
}

/* ---- queues ---- */

static void what_a_deaf_peer_makes_us_keep_is_bounded(void **state)
{
    (void)state;
    place *p = begin(&(ln_ws_options){.queue_max_bytes = 200000, .close_wait_ms = SOON_MS});
    const int fd = enter(p, "");
    raw_send_text(fd, "f");
    while (atomic_load(&p->refusal) == 0)
        kit_rest_ms(1);
    assert_int_equal(atomic_load(&p->refusal), LN_ERR_WOULD_EXCEED);
    assert_true(atomic_load(&p->queued) <= 200000);
    assert_true(atomic_load(&p->queued) > 200000 - 2 * PIECE);
    raw_close(fd);
    end(p);
}

static void high_water_is_told_and_low_water_once(void **state)
{
    (void)state;
    /* More than the system's own buffers take, so that it cannot fall below low water unread. */
    place *p = begin(&(ln_ws_options){
        .queue_max_bytes = 30000000, .high_water_bytes = 15000000, .low_water_bytes = 1000});
    const int fd = enter(p, "");
    raw_send_text(fd, "f");
    while (atomic_load(&p->refusal) == 0)
        kit_rest_ms(1);
    /* 1,500 messages lie between the two; a few more or less for the heads of the frames. */
    assert_in_range(atomic_load(&p->above), 1497, 1503);
    assert_int_equal(atomic_load(&p->drains), 0);
    for (int i = atomic_load(&p->sent); i > 0; i--)
        assert_int_equal(raw_read_frame(fd).size, PIECE);
    kit_wait_for(&p->drains, 1);
    assert_echoed(fd, 0x81, "e", 1);
    assert_int_equal(atomic_load(&p->drains), 1);
    raw_close(fd);
    end(p);
}

static void what_other_threads_post_is_bounded(void **state)
{
    (void)state;
    static const uint8_t letter[LETTER];
    place *p = begin(&(ln_ws_options){.queue_max_bytes = 2 * LN_DEFAULT_MAIL_PENDING_BYTES});
    const int fd = enter(p, "");
    atomic_store(&p->is_held, true);
    raw_send_text(fd, "h");
    kit_rest_ms(20);
    int count = 0, rc = 0;
    while (rc == 0 && count < POSTS_MAX) {
        rc = ln_send(p->server, atomic_load(&p->id), LN_BINARY, (ln_span){letter, sizeof letter});
        count += rc == 0;
    }
    atomic_store(&p->is_held, false);
    assert_int_equal(rc, LN_ERR_WOULD_EXCEED);
    assert_in_range(count, LN_DEFAULT_MAIL_PENDING_BYTES / LETTER - 1,
                    LN_DEFAULT_MAIL_PENDING_BYTES / LETTER);
    for (int i = 0; i < count; i++)
        assert_int_equal(raw_read_frame(fd).size, LETTER);
    /* The account is settled: there is room again. */
    assert_int_equal(ln_send(p->server, atomic_load(&p->id), LN_TEXT, LN_SPAN("more")), 0);
    assert_int_equal(raw_read_frame(fd).size, 4);
    raw_close(fd);
    end(p);
}

static void publications_on_their_way_are_bounded(void **state)
{
    (void)state;
    place *p = begin(NULL);
    const int fd = enter(p, "");
    raw_send_text(fd, "s");
    assert_echoed(fd, 0x81, "e", 1);
    atomic_store(&p->is_held, true);
    raw_send_text(fd, "h");
    kit_rest_ms(20);
    int count = 0, rc = 0;
    while (rc == 0 && count < 100000) {
        rc = ln_publish(p->server, LN_SPAN("topic"), LN_TEXT, LN_SPAN("x"));
        count += rc == 0;
    }
    atomic_store(&p->is_held, false);
    assert_int_equal(rc, LN_ERR_WOULD_EXCEED);
    assert_int_equal(count, LN_MESH_PENDING_MAX);
    for (int i = 0; i < count; i++)
        assert_int_equal(raw_read_frame(fd).size, 1);
    raw_close(fd);
    end(p);
}

/* ---- times ---- */

static void a_handshake_has_a_deadline(void **state)
{
    (void)state;
    place *p = begin(&(ln_ws_options){.handshake_ms = SOON_MS});
    const int64_t since_ms = kit_clock_ms();
    const int in_time = enter(p, ""), silent = raw_connect(p->port), slow = raw_connect(p->port);
    raw_say(slow, "GET /x HTTP/1.1\r\nHost: h\r\n");
    assert_ends(silent, since_ms, SOON_MS - 10);
    assert_ends(slow, since_ms, SOON_MS - 10);
    kit_rest_ms(2 * SOON_MS);
    assert_echoed(in_time, 0x81, "e", 1);
    raw_close(in_time);
    end(p);
}

static void an_idle_peer_is_sent_away(void **state)
{
    (void)state;
    place *p = begin(&(ln_ws_options){.idle_ms = 2 * SOON_MS});
    const int fd = enter(p, "");
    const int64_t since_ms = kit_clock_ms();
    for (int i = 0; i < 4; i++) { /* twice as long as an idle one may stay */
        kit_rest_ms(SOON_MS);
        assert_echoed(fd, 0x81, "e", 1);
    }
    raw_send_frame(fd, 0x89, "", 0); /* a ping is no message */
    assert_int_equal(raw_read_frame(fd).first, 0x8a);
    assert_closed(fd, 1000);
    assert_true(kit_clock_ms() - since_ms >= 6 * SOON_MS - 10);
    end(p);
}

static void a_peer_that_does_not_answer_a_close_is_left(void **state)
{
    (void)state;
    place *p = begin(&(ln_ws_options){.close_wait_ms = SOON_MS});
    const int fd = enter(p, "");
    const int64_t since_ms = kit_clock_ms();
    raw_send_text(fd, "c");
    assert_int_equal(raw_close_code(raw_read_frame(fd)), 4000);
    kit_wait_for(&p->closed, 1);
    assert_true(kit_clock_ms() - since_ms >= SOON_MS - 10);
    assert_int_equal(atomic_load(&p->close_code), 1006);
    assert_ends(fd, since_ms, SOON_MS - 10);
    end(p);
}

static void a_stop_waits_for_goodbyes_and_not_for_ever(void **state)
{
    (void)state;
    place *p = begin_with((ln_server_options){.drain_ms = 2 * SOON_MS},
                          &(ln_ws_options){.close_wait_ms = LATE_MS});
    const int fd = enter(p, "");
    const int64_t since_ms = kit_clock_ms();
    ln_server_stop(p->server);
    assert_int_equal(ln_server_join(p->server), 0);
    assert_in_range(kit_clock_ms() - since_ms, 2 * SOON_MS - 10, LATE_MS - 1);
    assert_int_equal(atomic_load(&p->closed), 1);
    assert_closed(fd, 1001);
    ln_server_free(p->server);
    free(p);
}

static void a_kept_connection_without_a_request_ends(void **state)
{
    (void)state;
    place *p = begin_with((ln_server_options){.http_idle_ms = 2 * SOON_MS}, NULL);
    const int fd = raw_connect(p->port);
    int64_t since_ms = 0;
    for (int i = 0; i < 3; i++) {
        raw_say(fd, "GET /get HTTP/1.1\r\nHost: h\r\n\r\n");
        assert_non_null(strstr(raw_read_until(fd, "here"), " 200 "));
        since_ms = kit_clock_ms();
        kit_rest_ms(i < 2 ? SOON_MS : 0);
    }
    assert_ends(fd, since_ms, 2 * SOON_MS - 10);
    end(p);
}

/* A peer that takes its answer and stays is waited for, and then is not. */
static void an_ending_connection_lingers_and_goes(void **state)
{
    (void)state;
    place *p = begin(NULL);
    const int fd = raw_connect(p->port);
    const int64_t since_ms = kit_clock_ms();
    raw_say(fd, "GET /get HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    assert_non_null(strstr(raw_read_all(fd, NULL, NULL), " 200 "));
    while (send(fd, "?", 1, MSG_NOSIGNAL) == 1 && kit_clock_ms() - since_ms < 10000)
        kit_rest_ms(50);
    assert_in_range(kit_clock_ms() - since_ms, 4900, 7000);
    raw_close(fd);
    end(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_message_is_bounded),
        cmocka_unit_test(a_frame_is_bounded),
        cmocka_unit_test(fragments_are_bounded),
        cmocka_unit_test(heads_and_bodies_of_requests_are_bounded),
        cmocka_unit_test(short_messages_are_not_compressed),
        cmocka_unit_test(control_frames_are_bounded),
        cmocka_unit_test(connections_are_bounded),
        cmocka_unit_test(workers_are_bounded),
        cmocka_unit_test(routes_are_bounded_in_number_and_length),
        cmocka_unit_test(what_a_server_frees_for_others_is_bounded),
        cmocka_unit_test(listeners_are_bounded),
        cmocka_unit_test(facts_are_bounded_in_number_and_bytes),
        cmocka_unit_test(what_a_deaf_peer_makes_us_keep_is_bounded),
        cmocka_unit_test(high_water_is_told_and_low_water_once),
        cmocka_unit_test(what_other_threads_post_is_bounded),
        cmocka_unit_test(publications_on_their_way_are_bounded),
        cmocka_unit_test(a_handshake_has_a_deadline),
        cmocka_unit_test(an_idle_peer_is_sent_away),
        cmocka_unit_test(a_peer_that_does_not_answer_a_close_is_left),
        cmocka_unit_test(a_stop_waits_for_goodbyes_and_not_for_ever),
        cmocka_unit_test(a_kept_connection_without_a_request_ends),
        cmocka_unit_test(an_ending_connection_lingers_and_goes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
