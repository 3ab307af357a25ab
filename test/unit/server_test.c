/* SPDX-License-Identifier: MIT */
/*
 * The server as a peer sees it, over real sockets: HTTP, upgrades, messages, endings. Runs with
 * both back ends.
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
#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "failing_alloc.h"
#include "raw_client.h"
#include "server_kit.h"

/* What the handlers saw; they run on the worker's thread, the tests wait for it. */
typedef struct seen {
    atomic_int opened, closed, messages, pieces, drained, gone;
    atomic_int close_code, close_by, close_error;
    atomic_bool is_clean;
    _Atomic ln_conn_id id;
    ln_request *_Atomic deferred;
} seen;

typedef struct world {
    ln_server *server;
    failing_alloc memory;
    int port;
    seen seen;
    char folder[64];
} world;

static enum ln_io back_end;

/* ---- handlers ---- */

static void on_open(ln_conn *c, const ln_request *request, void *user)
{
    seen *const s = user;
    (void)request;
    atomic_store(&s->id, ln_conn_get_id(c));
    atomic_fetch_add(&s->opened, 1);
}

static void on_close(ln_conn *c, const ln_close_info *info, void *user)
{
    seen *const s = user;
    (void)c;
    atomic_store(&s->close_code, info->code);
    atomic_store(&s->close_by, (int)info->by);
    atomic_store(&s->close_error, info->error);
    atomic_store(&s->is_clean, info->is_clean);
    atomic_fetch_add(&s->closed, 1);
}

static void echo(ln_conn *c, const ln_message *m, void *user)
{
    seen *const s = user;
    atomic_fetch_add(&s->messages, 1);
    assert_true(m->is_first && m->is_last);
    ln_conn_send(c, m->kind, m->data);
}

/* Sends 200 numbered messages and closes with 4001. */
static void on_burst(ln_conn *c, const ln_message *m, void *user)
{
    char text[16];
    (void)m;
    (void)user;
    for (int i = 0; i < 200; i++) {
        const int n = snprintf(text, sizeof text, "%d", i);
        assert_true(ln_conn_send(c, LN_TEXT, (ln_span){text, (size_t)n}) >= 0);
    }
    assert_int_equal(ln_conn_close(c, 4001, LN_SPAN("bye")), 0);
    assert_int_equal(ln_conn_close(c, 4002, LN_SPAN("again")), LN_ERR_CLOSED);
    assert_int_equal(ln_conn_send(c, LN_TEXT, LN_SPAN("late")), LN_ERR_CLOSED);
}

static void on_piece(ln_conn *c, const ln_message *piece, void *user)
{
    seen *const s = user;
    atomic_fetch_add(&s->pieces, 1);
    ln_conn_send_piece(c, piece->kind, piece->data, piece->is_last);
}

static void on_request(ln_request *r, void *user)
{
    (void)user;
    if (ln_request_header(r, "X-Refuse").data != NULL)
        ln_request_reply(r, 401, "text/plain", LN_SPAN("no token"));
    ln_request_add_header(r, "X-Room", LN_SPAN("7"));
}

static void on_gone(ln_request *r, void *user)
{
    seen *const s = user;
    (void)r;
    atomic_fetch_add(&s->gone, 1);
}

static void on_later(ln_request *r, void *user)
{
    seen *const s = user;
    ln_request_defer(r, on_gone, s);
    atomic_store(&s->deferred, r);
    atomic_fetch_add(&s->messages, 1);
}

static void accept_deferred(void *arg)
{
    seen *const s = arg;
    assert_int_equal(ln_request_accept(atomic_load(&s->deferred)), 0);
}

/* Deferred for somebody who knows the answer already. */
static void on_at_once(ln_request *r, void *user)
{
    assert_int_equal(ln_request_defer(r, on_gone, user), 0);
    if (ln_request_header(r, "X-Refuse").data != NULL)
        assert_int_equal(ln_request_reply(r, 401, "text/plain", LN_SPAN("no token")), 0);
    else
        assert_int_equal(ln_request_accept(r), 0);
}

static void on_page_at_once(ln_request *r, void *user)
{
    assert_int_equal(ln_request_defer(r, on_gone, user), 0);
    assert_int_equal(ln_request_reply(r, 200, "text/plain", LN_SPAN("page")), 0);
}

/* In the turn in which its connection was given up, and before that is freed. */
static void answer_too_late(void *arg)
{
    seen *const s = arg;
    ln_request *const r = atomic_load(&s->deferred);

    assert_int_equal(atomic_load(&s->gone), 0);
    assert_int_equal(ln_request_accept(r), LN_ERR_CLOSED);
    assert_int_equal(ln_request_reply(r, 403, NULL, LN_SPAN("no")), LN_ERR_CLOSED);
    atomic_fetch_add(&s->closed, 1);
}

/* Letters are read in the order in which they were written, all of them in one turn. */
static void stop_and_answer(void *arg)
{
    world *const w = arg;

    ln_server_stop(w->server);
    ln_server_stop(w->server);
    assert_int_equal(ln_server_post(w->server, 0, answer_too_late, &w->seen), 0);
}

static void accept_without_memory(void *arg)
{
    world *const w = arg;

    failing_alloc_refuse(&w->memory);
    assert_int_equal(ln_request_accept(atomic_load(&w->seen.deferred)), 0);
    failing_alloc_allow(&w->memory);
}

static void on_hello(ln_request *r, void *user)
{
    char name[32];
    (void)user;
    if (ln_request_param(r, "name", name, sizeof name) < 0)
        strcpy(name, "nobody");
    ln_request_add_header(r, "X-Extra", LN_SPAN("1"));
    assert_int_equal(ln_request_add_header(r, "X-Bad", LN_SPAN("a\r\nSet-Cookie: x")),
                     LN_ERR_INVALID);
    ln_request_reply(r, 200, "text/plain", (ln_span){name, strlen(name)});
    assert_int_equal(ln_request_reply(r, 200, NULL, LN_SPAN("")), LN_ERR_STATE);
}

static void on_post(ln_request *r, void *user)
{
    (void)user;
    ln_request_reply(r, 200, "text/plain", ln_request_body(r));
}

static void on_silence(ln_request *r, void *user)
{
    (void)r;
    (void)user;
}

/* ---- the world ---- */

static void write_file(const world *w, const char *name, const char *text)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", w->folder, name);
    FILE *const f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static int set_up(void **state)
{
    world *const w = calloc(1, sizeof *w);
    char path[128];

    strcpy(w->folder, "/tmp/linnet-server-test-XXXXXX");
    assert_non_null(mkdtemp(w->folder));
    write_file(w, "index.html", "<p>index</p>");
    write_file(w, "a.txt", "0123456789");
    write_file(w, ".hidden", "secret");
    snprintf(path, sizeof path, "%s/sub", w->folder);
    assert_int_equal(mkdir(path, 0755), 0);
    write_file(w, "sub/index.html", "sub");
    snprintf(path, sizeof path, "%s/out", w->folder);
    assert_int_equal(symlink("/etc/hostname", path), 0);

    failing_alloc_init(&w->memory, FAILING_NEVER);
    const ln_server_options options = {
        .io = back_end, .log = kit_quiet, .drain_ms = 2000, .allocator = &w->memory.hook};
    w->server = ln_server_new(&options);
    seen *const s = &w->seen;
    const ln_ws_handlers echoes = {.on_request = on_request,
                                   .on_open = on_open,
                                   .on_message = echo,
                                   .on_close = on_close,
                                   .user = s};
    const ln_ws_handlers bursts = {.on_message = on_burst, .on_close = on_close, .user = s};
    const ln_ws_handlers pieces = {.on_chunk = on_piece, .on_close = on_close, .user = s};
    const ln_ws_handlers later = {
        .on_request = on_later, .on_open = on_open, .on_message = echo, .user = s};
    const ln_ws_handlers at_once = {.on_request = on_at_once, .on_open = on_open, .user = s};
    const ln_ws_options small = {
        .message_max_bytes = 1000, .subprotocols = "v2, v1", .close_wait_ms = 300};
    const ln_ws_options quick = {.ping_interval_ms = 60, .pong_wait_ms = 60, .close_wait_ms = 300};
    const ln_ws_options open_to_all = {.origins = "https://good.example", .deflate = true};
    assert_int_equal(ln_server_ws(w->server, "/echo", &echoes, NULL), 0);
    assert_int_equal(ln_server_ws(w->server, "/small", &echoes, &small), 0);
    assert_int_equal(ln_server_ws(w->server, "/quick", &echoes, &quick), 0);
    assert_int_equal(ln_server_ws(w->server, "/origin", &echoes, &open_to_all), 0);
    assert_int_equal(ln_server_ws(w->server, "/burst", &bursts, NULL), 0);
    assert_int_equal(ln_server_ws(w->server, "/pieces", &pieces, NULL), 0);
    assert_int_equal(ln_server_ws(w->server, "/later", &later, NULL), 0);
    assert_int_equal(ln_server_ws(w->server, "/at-once", &at_once, NULL), 0);
    assert_int_equal(ln_server_http(w->server, "/page-at-once", on_page_at_once, s), 0);
    assert_int_equal(ln_server_ws(w->server, "/echo", &echoes, NULL), LN_ERR_EXISTS);
    assert_int_equal(ln_server_http(w->server, "/hello", on_hello, NULL), 0);
    assert_int_equal(ln_server_http(w->server, "/post", on_post, NULL), 0);
    assert_int_equal(ln_server_http(w->server, "/silence", on_silence, NULL), 0);
    assert_int_equal(ln_server_files(w->server, "/files/", w->folder), 0);
    w->port = kit_serve(w->server);
    *state = w;
    return 0;
}

static int tear_down(void **state)
{
    world *const w = *state;
    char command[128];

    kit_end(w->server);
    failing_alloc_assert_empty(&w->memory);
    snprintf(command, sizeof command, "rm -r %s", w->folder);
    assert_int_equal(system(command), 0);
    free(w);
    return 0;
}

/* One request on a connection of its own; the whole answer. */
static const char *ask(const world *w, const char *request)
{
    const int fd = raw_connect(w->port);
    raw_say(fd, request);
    const char *const answer = raw_read_all(fd, NULL, NULL);
    raw_close(fd);
    return answer;
}

static bool begins(const char *text, const char *with)
{
    return strncmp(text, with, strlen(with)) == 0;
}

static void assert_status(const char *answer, int status)
{
    char line[32];
    snprintf(line, sizeof line, "HTTP/1.1 %d ", status);
    if (!begins(answer, line))
        fail_msg("wanted %d, got: %.200s", status, answer);
}

#define GET(target, lines)                                                                         \
    "GET " target " HTTP/1.1\r\nHost: h\r\nConnection: close\r\n" lines "\r\n"

/* ---- HTTP ---- */

static void a_handler_answers_with_its_headers(void **state)
{
    const char *const answer = ask(*state, GET("/hello?name=a%20b", ""));
    assert_status(answer, 200);
    assert_non_null(strstr(answer, "\r\nX-Extra: 1\r\n"));
    assert_non_null(strstr(answer, "\r\nContent-Length: 3\r\n"));
    assert_non_null(strstr(answer, "\r\n\r\na b"));
    assert_null(strstr(answer, "Set-Cookie"));
}

static void kept_alive_connections_answer_pipelined_requests_in_order(void **state)
{
    const world *const w = *state;
    const int fd = raw_connect(w->port);

    raw_say(
        fd,
        "GET /hello?name=one HTTP/1.1\r\nHost: h\r\n\r\nGET /hello?name=two HTTP/1.1\r\nHost: "
        "h\r\n\r\n"
        "POST /post HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
        "3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n");
    const char *const all = raw_read_all(fd, NULL, NULL);
    const char *const one = strstr(all, "one");
    const char *const two = one == NULL ? NULL : strstr(one, "two");
    assert_non_null(two);
    assert_non_null(strstr(two, "\r\n\r\nabcde"));
    raw_close(fd);
}

static void a_request_may_come_byte_by_byte(void **state)
{
    const world *const w = *state;
    const char *const request = GET("/hello?name=slow", "");
    const int fd = raw_connect(w->port);

    for (const char *p = request; *p != '\0'; p++)
        raw_send(fd, p, 1);
    assert_non_null(strstr(raw_read_all(fd, NULL, NULL), "slow"));
    raw_close(fd);
}

static void bad_requests_get_their_status_and_the_end(void **state)
{
    assert_status(ask(*state, "GET / HTTP/1.1\r\n\r\n"), 400); /* no Host */
    assert_status(ask(*state, "GET / HTTP/2.7\r\nHost: h\r\n\r\n"), 505);
    /* blank before the colon */
    assert_status(ask(*state, "GET / HTTP/1.1\r\nHost : h\r\n\r\n"), 400);
    assert_status(ask(*state, "POST /post HTTP/1.1\r\nHost: h\r\nContent-Length: "
                              "1\r\nTransfer-Encoding: chunked\r\n\r\n"),
                  400);
    assert_status(ask(*state, "POST /post HTTP/1.1\r\nHost: h\r\nContent-Length: 99999999\r\n\r\n"),
                  413);
    assert_status(ask(*state, GET("/%2e%2e/%2fetc/passwd", "")), 400);
    assert_status(ask(*state, GET("/nowhere", "")), 404);
    assert_status(ask(*state, GET("/echo", "")), 426); /* a WebSocket's path without an upgrade */
    assert_status(ask(*state, GET("/silence", "")), 500);
}

static void head_gets_the_same_head_and_no_body(void **state)
{
    const char *const answer =
        ask(*state, "HEAD /hello HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    assert_status(answer, 200);
    assert_non_null(strstr(answer, "Content-Length: 6\r\n"));
    assert_string_equal(strstr(answer, "\r\n\r\n"), "\r\n\r\n");
}

/* ---- files ---- */

static void files_are_served_with_type_range_and_etag(void **state)
{
    char etag[64], again[256];

    const char *answer = ask(*state, GET("/files/a.txt", ""));
    assert_status(answer, 200);
    assert_non_null(strstr(answer, "Content-Type: text/plain; charset=utf-8\r\n"));
    assert_non_null(strstr(answer, "\r\n\r\n0123456789"));
    const char *const tag = strstr(answer, "\r\nETag: ");
    assert_non_null(tag);
    assert_int_equal(sscanf(tag, "\r\nETag: %63s", etag), 1);

    snprintf(
        again, sizeof again,
        "GET /files/a.txt HTTP/1.1\r\nHost: h\r\nConnection: close\r\nIf-None-Match: %s\r\n\r\n",
        etag);
    answer = ask(*state, again);
    assert_status(answer, 304);
    assert_string_equal(strstr(answer, "\r\n\r\n"), "\r\n\r\n");
    answer = ask(*state, GET("/files/a.txt", "Range: bytes=2-4\r\n"));
    assert_status(answer, 206);
    assert_non_null(strstr(answer, "Content-Range: bytes 2-4/10\r\n"));
    assert_string_equal(strstr(answer, "\r\n\r\n"), "\r\n\r\n234");
    assert_string_equal(strstr(ask(*state, GET("/files/a.txt", "Range: bytes=-3\r\n")), "\r\n\r\n"),
                        "\r\n\r\n789");
    assert_status(ask(*state, GET("/files/a.txt", "Range: bytes=10-\r\n")), 416);
    assert_status(
        ask(*state, "DELETE /files/a.txt HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"), 405);
}

static void folders_lead_to_their_index(void **state)
{
    assert_non_null(strstr(ask(*state, GET("/files/", "")), "<p>index</p>"));
    assert_non_null(strstr(ask(*state, GET("/files/sub/", "")), "\r\n\r\nsub"));
    const char *const answer = ask(*state, GET("/files/sub?x=1", ""));
    assert_status(answer, 301);
    assert_non_null(strstr(answer, "Location: /files/sub/\r\n"));
}

static void nothing_outside_or_hidden_is_served(void **state)
{
    assert_status(ask(*state, GET("/files/out", "")), 404); /* a link that leads outside */
    assert_status(ask(*state, GET("/files/.hidden", "")), 404);
    assert_status(ask(*state, GET("/files/none", "")), 404);
    assert_status(ask(*state, GET("/files/sub/%2e%2e/%2e%2e/%2e%2e/etc/passwd", "")), 400);
    assert_status(ask(*state, GET("/files/..%2f..%2fetc/passwd", "")), 400);
    assert_status(ask(*state, GET("/files/a.txt%00.html", "")), 400);
}

/* ---- upgrades ---- */

static void an_upgrade_answers_exactly(void **state)
{
    const world *const w = *state;
    const int fd = raw_connect(w->port);

    assert_string_equal(
        raw_upgrade(fd, "/echo", ""),
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nX-Room: 7\r\n\r\n");
    raw_close(fd);
}

static void refusals_name_the_reason_and_end_the_connection(void **state)
{
    const world *const w = *state;
    static const struct {
        const char *request;
        int status;
    } rows[] = {
        {"GET /echo HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
         "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 12\r\n\r\n",
         426},
        {"GET /echo HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
         "Sec-WebSocket-Version: 13\r\n\r\n",
         400},
        {"GET /echo HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\n"
         "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n",
         426},
        {"POST /echo HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
         "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n",
         405},
        {"GET /none HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
         "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n",
         404},
        {"GET /echo HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nX-Refuse: "
         "1\r\n"
         "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n",
         401},
        {"GET /echo HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nOrigin: "
         "http://evil.example\r\n"
         "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n",
         403},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char both[1024];
        /* What follows a refused upgrade is never read as HTTP. */
        snprintf(both, sizeof both, "%sGET /hello?name=smuggled HTTP/1.1\r\nHost: h\r\n\r\n",
                 rows[i].request);
        const char *const answer = ask(w, both);
        assert_status(answer, rows[i].status);
        assert_null(strstr(answer, "smuggled"));
        if (rows[i].status == 426)
            assert_non_null(strstr(answer, "Sec-WebSocket-Version: 13\r\n"));
    }
}

static void origins_are_compared_whole(void **state)
{
    const world *const w = *state;
    int fd = raw_connect(w->port);
    assert_status(raw_upgrade(fd, "/origin", "Origin: https://good.example\r\n"), 101);
    raw_close(fd);
    fd = raw_connect(w->port);
    assert_status(raw_upgrade(fd, "/origin", "Origin: http://good.example\r\n"), 403);
    raw_close(fd);
    fd = raw_connect(w->port);
    /* the same as Host */
    assert_status(raw_upgrade(fd, "/echo", "Origin: http://test.example\r\n"), 101);
    raw_close(fd);
}

static void the_first_subprotocol_of_ours_is_chosen(void **state)
{
    const world *const w = *state;
    const int fd = raw_connect(w->port);
    assert_non_null(strstr(raw_upgrade(fd, "/small", "Sec-WebSocket-Protocol: v1, other, v2\r\n"),
                           "\r\nSec-WebSocket-Protocol: v2\r\n"));
    raw_close(fd);
}

static void frames_in_the_segment_of_the_upgrade_are_messages(void **state)
{
    const world *const w = *state;
    const int fd = raw_connect(w->port);

    raw_send(
        fd,
        "GET /echo HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        "\x81\x82\0\0\0\0hi",
        sizeof "GET /echo HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
               "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n" -
            1 + 8);
    assert_status(raw_read_until(fd, "\r\n\r\n"), 101);
    const raw_frame f = raw_read_frame(fd);
    assert_int_equal(f.first, 0x81);
    assert_string_equal((const char *)f.payload, "hi");
    raw_close(fd);
}

static void a_deferred_upgrade_waits_and_keeps_what_came_meanwhile(void **state)
{
    world *const w = *state;
    const int fd = raw_connect(w->port);

    raw_say(fd, "GET /later HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n");
    kit_wait_for(&w->seen.messages, 1);
    raw_send_text(fd, "early");
    /* The request's own loop decides, as the contract asks. */
    assert_int_equal(ln_server_post(w->server, 0, accept_deferred, &w->seen), 0);
    assert_status(raw_read_until(fd, "\r\n\r\n"), 101);
    assert_string_equal((const char *)raw_read_frame(fd).payload, "early");
    raw_close(fd);
}

/* What nobody looked at before the decision: the refusal ends the request, and is the only one. */
static void a_deferred_upgrade_that_is_malformed_after_all_is_refused(void **state)
{
    world *const w = *state;
    const int fd = raw_connect(w->port);
    bool is_fin;
    size_t n;

    raw_say(fd, "GET /later HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
                "Sec-WebSocket-Protocol: a, a\r\n\r\n");
    kit_wait_for(&w->seen.messages, 1);
    assert_int_equal(ln_server_post(w->server, 0, accept_deferred, &w->seen), 0);
    const char *const answer = raw_read_all(fd, &n, &is_fin);
    assert_status(answer, 400);
    assert_string_equal(strstr(answer, "\r\n\r\n") + 4, "Sec-WebSocket-Protocol is malformed\n");
    assert_true(is_fin);
    raw_close(fd);
}

static void a_deferred_request_whose_peer_leaves_is_gone(void **state)
{
    world *const w = *state;
    const int fd = raw_connect(w->port);

    raw_say(fd, "GET /later HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n");
    kit_wait_for(&w->seen.messages, 1);
    ln_server_stop(w->server);
    ln_server_stop(w->server);
    kit_wait_for(&w->seen.gone, 1);
    raw_close(fd);
}

static void what_was_accepted_is_not_gone_also_without_memory(void **state)
{
    world *const w = *state;
    const int fd = raw_connect(w->port);
    bool is_fin;
    size_t n;

    raw_say(fd, "GET /later HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n");
    kit_wait_for(&w->seen.messages, 1);
    assert_int_equal(ln_server_post(w->server, 0, accept_without_memory, w), 0);
    (void)raw_read_all(fd, &n, &is_fin);
    assert_int_equal(n, 0);
    raw_close(fd);
    assert_int_equal(kit_halt(w->server), 0);
    assert_int_equal(atomic_load(&w->seen.opened), 0);
    assert_int_equal(atomic_load(&w->seen.gone), 0);
}

static void a_deferred_request_may_be_answered_before_the_handler_returns(void **state)
{
    world *const w = *state;
    int fd = raw_connect(w->port);

    assert_status(raw_upgrade(fd, "/at-once", ""), 101);
    kit_wait_for(&w->seen.opened, 1);
    raw_close(fd);
    fd = raw_connect(w->port);
    assert_status(raw_upgrade(fd, "/at-once", "X-Refuse: yes\r\n"), 401);
    raw_close(fd);
    fd = raw_connect(w->port);
    for (int i = 0; i < 2; i++) {
        raw_say(fd, "GET /page-at-once HTTP/1.1\r\nHost: h\r\n\r\n");
        assert_status(raw_read_until(fd, "page"), 200);
    }
    raw_close(fd);
    assert_int_equal(atomic_load(&w->seen.gone), 0);
}

static void a_deferred_request_whose_connection_has_ended_takes_no_answer(void **state)
{
    world *const w = *state;
    const int fd = raw_connect(w->port);

    raw_say(fd, "GET /later HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n");
    kit_wait_for(&w->seen.messages, 1);
    assert_int_equal(ln_server_post(w->server, 0, stop_and_answer, w), 0);
    kit_wait_for(&w->seen.gone, 1);
    assert_int_equal(atomic_load(&w->seen.closed), 1);
    assert_int_equal(atomic_load(&w->seen.opened), 0);
    raw_close(fd);
}

/* ---- messages and endings ---- */

static void messages_of_every_length_class_come_back(void **state)
{
    const world *const w = *state;
    static const size_t sizes[] = {0, 1, 125, 126, 65535, 65536, 1 << 20};
    uint8_t *const bytes = malloc(1 << 20);
    const int fd = raw_connect(w->port);

    assert_status(raw_upgrade(fd, "/echo", ""), 101);
    for (size_t i = 0; i < 1 << 20; i++)
        bytes[i] = (uint8_t)(i * 7);
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        raw_send_frame(fd, 0x82, bytes, sizes[i]);
        const raw_frame f = raw_read_frame(fd);
        assert_int_equal(f.first, 0x82);
        assert_int_equal(f.size, sizes[i]);
        assert_memory_equal(f.payload, bytes, sizes[i]);
    }
    free(bytes);
    raw_close(fd);
}

static void what_was_sent_before_a_close_arrives_then_the_code(void **state)
{
    const world *const w = *state;
    char text[16];
    bool is_fin;

    for (int round = 0; round < 20; round++) {
        const int fd = raw_connect(w->port);
        assert_status(raw_upgrade(fd, "/burst", ""), 101);
        raw_send_text(fd, "go");
        for (int i = 0; i < 50; i++) /* unread input must not turn the close into a reset */
            raw_send_text(fd, "more");
        for (int i = 0; i < 200; i++) {
            snprintf(text, sizeof text, "%d", i);
            assert_string_equal((const char *)raw_read_frame(fd).payload, text);
        }
        const raw_frame f = raw_read_frame(fd);
        assert_int_equal(raw_close_code(f), 4001);
        assert_string_equal((const char *)f.payload + 2, "bye");
        raw_send_frame(fd, 0x88, "\x0f\xa1", 2);
        raw_read_all(fd, NULL, &is_fin);
        assert_true(is_fin);
        raw_close(fd);
    }
}

static void a_peers_close_is_answered_and_reported(void **state)
{
    world *const w = *state;
    bool is_fin;
    const int fd = raw_connect(w->port);

    assert_status(raw_upgrade(fd, "/echo", ""), 101);
    raw_send_frame(fd, 0x88, "\x0b\xb8leaving", 9);
    assert_int_equal(raw_close_code(raw_read_frame(fd)), 3000);
    raw_read_all(fd, NULL, &is_fin);
    assert_true(is_fin);
    kit_wait_for(&w->seen.closed, 1);
    assert_int_equal(w->seen.close_code, 3000);
    assert_int_equal(w->seen.close_by, LN_CLOSED_BY_PEER);
    assert_true(w->seen.is_clean);
    raw_close(fd);
}

static void a_peer_that_vanishes_is_reported_once(void **state)
{
    world *const w = *state;
    ln_server_stats stats;
    const int fd = raw_connect(w->port);

    assert_status(raw_upgrade(fd, "/echo", ""), 101);
    kit_wait_for(&w->seen.opened, 1);
    raw_close(fd);
    kit_wait_for(&w->seen.closed, 1);
    assert_int_equal(w->seen.close_code, 1006);
    assert_int_equal(w->seen.close_error, LN_ERR_RESET);
    assert_false(w->seen.is_clean);
    ln_server_stats_get(w->server, &stats);
    assert_int_equal(stats.connections, 0);
    assert_int_equal(stats.opened_total, 1);
    assert_int_equal(stats.closed_total, 1);
    assert_int_equal(stats.protocol_errors_total, 0);
}

/* The end comes with the last bytes, while what answers them is on its way: nothing else happens
 * then that would tell of it. */
static void who_ends_behind_the_last_words_is_let_go_at_once(void **state)
{
    enum { TIMES = 200, PATIENCE_S = 20 };
    static const char request[] = "GET /echo HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n"
                                  "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                                  "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    world *const w = *state;
    const time_t began = time(NULL);

    for (int i = 0; i < TIMES; i++) {
        const int fd = raw_connect(w->port);
        bool is_fin;
        raw_say(fd, request);
        if (i % 2)
            raw_send_text(fd, "last words");
        shutdown(fd, SHUT_WR);
        const char *const answer = raw_read_all(fd, NULL, &is_fin);
        assert_status(answer, 101);
        assert_true(is_fin);
        raw_close(fd);
        assert_true(time(NULL) - began <= PATIENCE_S);
    }
}

static void violations_get_their_code_and_are_counted(void **state)
{
    world *const w = *state;
    ln_server_stats stats;
    static const struct {
        const char *bytes;
        size_t n;
        int code;
    } rows[] = {
        {"\x81\x01x", 3, 1002},                /* not masked */
        {"\x81\x81\0\0\0\0\xff", 7, 1007},     /* not UTF-8 */
        {"\x82\xfe\x03\xe9\0\0\0\0", 8, 1009}, /* 1001 bytes, 1000 allowed */
        {"\x80\x80\0\0\0\0", 6, 1002},         /* continuation of nothing */
        {"\xc1\x80\0\0\0\0", 6, 1002},         /* RSV1 without an extension */
    };
    const int count = sizeof rows / sizeof rows[0];
    for (int i = 0; i < count; i++) {
        const int fd = raw_connect(w->port);
        assert_status(raw_upgrade(fd, "/small", ""), 101);
        raw_send(fd, rows[i].bytes, rows[i].n);
        raw_send_text(fd, "never delivered");
        assert_int_equal(raw_close_code(raw_read_frame(fd)), rows[i].code);
        kit_wait_for(&w->seen.closed, i + 1);
        assert_int_equal(w->seen.close_code, rows[i].code);
        assert_int_equal(w->seen.close_by, LN_CLOSED_BY_US);
        raw_close(fd);
    }
    assert_int_equal(w->seen.messages, 0);
    ln_server_stats_get(w->server, &stats);
    assert_int_equal(stats.protocol_errors_total, count);
}

static void a_silent_peer_is_pinged_and_given_up(void **state)
{
    world *const w = *state;
    const int fd = raw_connect(w->port);

    assert_status(raw_upgrade(fd, "/quick", ""), 101);
    assert_int_equal(raw_read_frame(fd).first, 0x89);
    kit_wait_for(&w->seen.closed, 1);
    assert_int_equal(w->seen.close_error, LN_ERR_TIMEOUT);
    assert_true(raw_ends_within(fd, 2000));
    raw_close(fd);
}

static void a_peer_that_answers_pings_stays(void **state)
{
    world *const w = *state;
    const int fd = raw_connect(w->port);

    assert_status(raw_upgrade(fd, "/quick", ""), 101);
    for (int i = 0; i < 6; i++) {
        assert_int_equal(raw_read_frame(fd).first, 0x89);
        raw_send_frame(fd, 0x8a, "", 0);
    }
    assert_int_equal(w->seen.closed, 0);
    raw_close(fd);
}

static void an_endpoint_may_stream_both_ways(void **state)
{
    world *const w = *state;
    const size_t size = 900000;
    char *const bytes = malloc(size);
    const int fd = raw_connect(w->port);
    size_t got = 0;
    raw_frame f;

    memset(bytes, 'x', size);
    assert_status(raw_upgrade(fd, "/pieces", ""), 101);
    raw_send_frame(fd, 0x01, bytes, size / 2);
    raw_send_frame(fd, 0x89, "p", 1);
    raw_send_frame(fd, 0x80, bytes, size - size / 2);
    bool has_pong = false;
    do {
        f = raw_read_frame(fd);
        if (f.first == 0x8a)
            has_pong = true;
        else
            got += f.size;
    } while (f.first != 0x80);
    assert_int_equal(got, size);
    if (!has_pong) /* behind much output a pong waits until that has drained */
        assert_int_equal(raw_read_frame(fd).first, 0x8a);
    assert_true(atomic_load(&w->seen.pieces) > 1);
    free(bytes);
    raw_close(fd);
}

static void ids_work_from_other_threads_and_die_with_the_connection(void **state)
{
    world *const w = *state;
    const int fd = raw_connect(w->port);

    assert_status(raw_upgrade(fd, "/echo", ""), 101);
    kit_wait_for(&w->seen.opened, 1);
    const ln_conn_id id = atomic_load(&w->seen.id);
    assert_int_equal(ln_send(w->server, id, LN_TEXT, LN_SPAN("from outside")), 0);
    assert_string_equal((const char *)raw_read_frame(fd).payload, "from outside");
    assert_int_equal(ln_send(w->server, id, (enum ln_kind)7, LN_SPAN("x")), LN_ERR_INVALID);
    assert_int_equal(ln_close(w->server, id, 1005, LN_SPAN("")), LN_ERR_INVALID);
    assert_int_equal(ln_close(w->server, id, 4000, LN_SPAN("out")), 0);
    assert_int_equal(raw_close_code(raw_read_frame(fd)), 4000);
    raw_send_frame(fd, 0x88, "\x0f\xa0", 2);
    kit_wait_for(&w->seen.closed, 1);
    assert_true(w->seen.is_clean);
    assert_int_equal(ln_send(w->server, id, LN_TEXT, LN_SPAN("x")), LN_ERR_CLOSED);
    assert_int_equal(ln_send(w->server, 0, LN_TEXT, LN_SPAN("x")), LN_ERR_CLOSED);
    assert_int_equal(ln_send(w->server, UINT64_MAX, LN_TEXT, LN_SPAN("x")), LN_ERR_CLOSED);
    raw_close(fd);
}

static void a_graceful_stop_says_1001_to_everybody(void **state)
{
    world *const w = *state;
    int fds[20];
    bool is_fin;

    for (int i = 0; i < 20; i++) {
        fds[i] = raw_connect(w->port);
        assert_status(raw_upgrade(fds[i], "/echo", ""), 101);
    }
    const int idle = raw_connect(w->port);
    ln_server_stop(w->server);
    assert_true(ln_server_is_stopping(w->server));
    for (int i = 0; i < 20; i++) {
        assert_int_equal(raw_close_code(raw_read_frame(fds[i])), 1001);
        raw_send_frame(fds[i], 0x88, "\x03\xe9", 2);
        raw_read_all(fds[i], NULL, &is_fin);
        assert_true(is_fin);
        raw_close(fds[i]);
    }
    assert_true(raw_ends_within(idle, 2000));
    raw_close(idle);
    assert_int_equal(ln_server_join(w->server), 0);
    assert_int_equal(w->seen.closed, 20);
}

static void a_stop_before_the_start_serves_nobody(void **state)
{
    (void)state;
    const ln_server_options options = {.io = back_end, .log = kit_quiet};
    ln_server *const server = ln_server_new(&options);

    assert_int_equal(ln_server_listen(server, "127.0.0.1:0"), 0);
    ln_server_stop(server);
    assert_int_equal(ln_server_run(server), 0);
    ln_server_free(server);
}

static void wrong_options_and_addresses_are_errors(void **state)
{
    (void)state;
    const ln_server_options options = {.io = back_end, .log = kit_quiet};
    ln_server *const server = ln_server_new(&options);
    const ln_ws_options tiny = {.queue_max_bytes = 100, .high_water_bytes = 200};
    const ln_ws_handlers both = {.on_message = echo, .on_chunk = on_piece};

    assert_int_equal(ln_server_ws(server, "no-slash", NULL, NULL), LN_ERR_INVALID);
    assert_int_equal(ln_server_ws(server, "/x", NULL, &tiny), LN_ERR_INVALID);
    assert_int_equal(ln_server_ws(server, "/x", &both, NULL), LN_ERR_INVALID);
    /* the failures left nothing behind */
    assert_int_equal(ln_server_ws(server, "/x", NULL, NULL), 0);
    assert_int_equal(ln_server_files(server, "/f/", "/no/such/folder"), LN_ERR_NOT_FOUND);
    assert_int_equal(ln_server_listen(server, "nonsense"), LN_ERR_ADDRESS);
    assert_int_equal(ln_server_listen(server, "127.0.0.1:0"), 0);
    char taken[32];
    snprintf(taken, sizeof taken, "127.0.0.1:%d", ln_server_port(server, 0));
    ln_server *const second = ln_server_new(&options);
    assert_int_equal(ln_server_listen(second, taken), LN_ERR_ADDRESS);
    ln_server_free(second);
    ln_server_free(server);
    ln_server_free(NULL);
}

static void a_port_is_not_shared_with_another_server(void **state)
{
    (void)state;
    const ln_server_options options = {.io = back_end, .workers = 2, .log = kit_quiet};
    ln_server *const first = ln_server_new(&options), *const second = ln_server_new(&options);

    assert_int_equal(ln_server_listen(first, "127.0.0.1:0"), 0);
    char taken[32];
    snprintf(taken, sizeof taken, "127.0.0.1:%d", ln_server_port(first, 0));
    assert_int_equal(ln_server_listen(second, taken), LN_ERR_ADDRESS);
    ln_server_free(first);
    assert_int_equal(ln_server_listen(second, taken), 0);
    ln_server_free(second);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_handler_answers_with_its_headers),
        CASE(kept_alive_connections_answer_pipelined_requests_in_order),
        CASE(a_request_may_come_byte_by_byte),
        CASE(bad_requests_get_their_status_and_the_end),
        CASE(head_gets_the_same_head_and_no_body),
        CASE(files_are_served_with_type_range_and_etag),
        CASE(folders_lead_to_their_index),
        CASE(nothing_outside_or_hidden_is_served),
        CASE(an_upgrade_answers_exactly),
        CASE(refusals_name_the_reason_and_end_the_connection),
        CASE(origins_are_compared_whole),
        CASE(the_first_subprotocol_of_ours_is_chosen),
        CASE(frames_in_the_segment_of_the_upgrade_are_messages),
        CASE(a_deferred_upgrade_waits_and_keeps_what_came_meanwhile),
        CASE(a_deferred_upgrade_that_is_malformed_after_all_is_refused),
        CASE(a_deferred_request_whose_peer_leaves_is_gone),
        CASE(a_deferred_request_whose_connection_has_ended_takes_no_answer),
        CASE(a_deferred_request_may_be_answered_before_the_handler_returns),
        CASE(what_was_accepted_is_not_gone_also_without_memory),
        CASE(messages_of_every_length_class_come_back),
        CASE(what_was_sent_before_a_close_arrives_then_the_code),
        CASE(a_peers_close_is_answered_and_reported),
        CASE(a_peer_that_vanishes_is_reported_once),
        CASE(who_ends_behind_the_last_words_is_let_go_at_once),
        CASE(violations_get_their_code_and_are_counted),
        CASE(a_silent_peer_is_pinged_and_given_up),
        CASE(a_peer_that_answers_pings_stays),
        CASE(an_endpoint_may_stream_both_ways),
        CASE(ids_work_from_other_threads_and_die_with_the_connection),
        CASE(a_graceful_stop_says_1001_to_everybody),
        cmocka_unit_test(a_stop_before_the_start_serves_nobody),
        cmocka_unit_test(wrong_options_and_addresses_are_errors),
        cmocka_unit_test(a_port_is_not_shared_with_another_server),
    };
    back_end = LN_IO_EPOLL;
    const int failed = cmocka_run_group_tests_name("server on epoll", tests, NULL, NULL);
    back_end = LN_IO_URING;
    return failed + cmocka_run_group_tests_name("server on io_uring", tests, NULL, NULL);
}
