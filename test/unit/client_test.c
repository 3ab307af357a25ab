/* SPDX-License-Identifier: MIT */
/*
 * The client against our server and against listeners of the test's own, which say what a server
 * should not. Client and listener share the test's thread: the loop is turned until what the test
 * waits for has come.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <linnet/linnet.h>
#include <poll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "failing_alloc.h"
#include "proto/upgrade.h"
#include "server_kit.h"

enum { WAIT_MS = 10000, TEXT_MAX = 8192 };

/* What a handler does besides noting that it was called. */
enum act { NOTHING, SAY, CLOSE, STOP, FREE };

typedef struct rig {
    ln_loop *loop;
    ln_client *client;
    int listener; /* the test's own; -1 = none */
    int peer;     /* the connection accepted from it */
    char url[64];
    char request[TEXT_MAX]; /* as the peer received it */
    /* what the handlers saw */
    char trace[64]; /* o open, m message, c close, f failure */
    char text[320]; /* the last message, or the sentence about a failure */
    char subprotocol[16];
    int opened, closed, failed, messages;
    int err, close_code, close_error;
    unsigned status;
    int64_t retry_ms;
    bool is_clean;
    enum ln_closed_by by;
    enum act on_open, on_message, on_close, on_failure;
} rig;

/* ---- handlers ---- */

static void note(rig *r, char what, enum act act, ln_conn *c)
{
    const size_t n = strlen(r->trace);
    assert_true(n < sizeof r->trace - 1);
    r->trace[n] = what;
    switch (act) {
    case NOTHING:
        break;
    case SAY:
        assert_int_equal(ln_conn_send(c, LN_TEXT, LN_SPAN("hi")), 0);
        break;
    case CLOSE:
        (void)ln_conn_close(c, 4000, LN_SPAN("done"));
        break;
    case STOP:
        ln_client_stop(r->client);
        break;
    case FREE:
        ln_client_free(r->client);
        r->client = NULL;
        break;
    }
}

static void on_open(ln_conn *c, const ln_request *request, void *user)
{
    rig *const r = user;
    const ln_span name = ln_conn_subprotocol(c);
    assert_null(request);
    assert_null(ln_conn_server(c));
    assert_ptr_equal(ln_conn_loop(c), r->loop);
    assert_ptr_equal(ln_client_conn(r->client), c);
    snprintf(r->subprotocol, sizeof r->subprotocol, "%.*s", (int)name.size,
             (const char *)name.data);
    r->opened++;
    note(r, 'o', r->on_open, c);
}

static void on_message(ln_conn *c, const ln_message *m, void *user)
{
    rig *const r = user;
    snprintf(r->text, sizeof r->text, "%.*s", (int)m->data.size, (const char *)m->data.data);
    r->messages++;
    const size_t n = strlen(r->text);
    note(r, 'm', r->on_message, c);
    assert_memory_equal(m->data.data, r->text, n); /* it is ours until we return */
}

static void on_close(ln_conn *c, const ln_close_info *info, void *user)
{
    rig *const r = user;
    r->close_code = info->code;
    r->close_error = info->error;
    r->is_clean = info->is_clean;
    r->by = info->by;
    r->closed++;
    note(r, 'c', r->on_close, c);
}

static void on_failure(ln_client *client, int err, unsigned status, const char *what,
                       int64_t retry_ms, void *user)
{
    rig *const r = user;
    assert_ptr_equal(client, r->client);
    assert_null(ln_client_conn(client));
    snprintf(r->text, sizeof r->text, "%s", what);
    r->err = err;
    r->status = status;
    r->retry_ms = retry_ms;
    r->failed++;
    note(r, 'f', r->on_failure, NULL);
}

/* ---- the rig ---- */

static int listen_at(int port)
{
    struct sockaddr_in at = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const int yes = 1;
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes), 0);
    assert_int_equal(bind(fd, (const struct sockaddr *)&at, sizeof at), 0);
    assert_int_equal(listen(fd, 8), 0);
    return fd;
}

static int port_of(int fd)
{
    struct sockaddr_in at;
    socklen_t size = sizeof at;
    assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &size), 0);
    return ntohs(at.sin_port);
}

static int set_up(void **state)
{
    rig *const r = calloc(1, sizeof *r);
    assert_int_equal(ln_loop_new(&(ln_loop_options){.log = kit_quiet}, &r->loop), 0);
    r->listener = listen_at(0);
    r->peer = -1;
    snprintf(r->url, sizeof r->url, "ws://127.0.0.1:%d/path?q=1", port_of(r->listener));
    *state = r;
    return 0;
}

static void turns(rig *r, int count)
{
    for (int i = 0; i < count; i++)
        assert_int_equal(ln_loop_turn(r->loop, 1), 0);
}

static void hang_up(rig *r)
{
    if (r->peer >= 0)
        close(r->peer);
    r->peer = -1;
}

static int tear_down(void **state)
{
    rig *const r = *state;
    ln_client_free(r->client);
    r->client = NULL;
    hang_up(r);
    turns(r, 20);
    close(r->listener);
    ln_loop_free(r->loop);
    free(r);
    return 0;
}

static void start(rig *r, const char *url, ln_client_options o)
{
    const ln_ws_handlers handlers = {
        .on_open = on_open, .on_message = on_message, .on_close = on_close, .user = r};
    o.on_failure = on_failure;
    o.user = r;
    assert_int_equal(ln_client_new(r->loop, url, &handlers, &o, &r->client), 0);
    assert_null(ln_client_conn(r->client));
    assert_string_equal(r->trace, ""); /* nothing comes from inside the call */
}

static void turn_until(rig *r, const int *value, int at_least)
{
    const int64_t until = kit_clock_ms() + WAIT_MS;
    while (*value < at_least && kit_clock_ms() < until)
        assert_int_equal(ln_loop_turn(r->loop, 10), 0);
    assert_true(*value >= at_least);
}

/* ---- the peer ---- */

static void turn_until_readable(rig *r, int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    const int64_t until = kit_clock_ms() + WAIT_MS;
    while (poll(&p, 1, 0) == 0 && kit_clock_ms() < until)
        assert_int_equal(ln_loop_turn(r->loop, 1), 0);
    assert_int_equal(poll(&p, 1, 0), 1);
}

static void peer_accept(rig *r)
{
    turn_until_readable(r, r->listener);
    r->peer = accept(r->listener, NULL, NULL);
    assert_true(r->peer >= 0);
}

/* Accepts and reads the whole request. */
static void peer_take(rig *r)
{
    size_t n = 0;
    peer_accept(r);
    r->request[0] = '\0';
    while (strstr(r->request, "\r\n\r\n") == NULL) {
        turn_until_readable(r, r->peer);
        const ssize_t got = recv(r->peer, r->request + n, sizeof r->request - 1 - n, 0);
        assert_true(got > 0);
        n += (size_t)got;
        r->request[n] = '\0';
    }
}

static void peer_say(const rig *r, const char *bytes, size_t n)
{
    assert_int_equal(send(r->peer, bytes, n, MSG_NOSIGNAL), n);
}

/* The 101 to the request, with these further lines and `tail` behind it; its length. */
static size_t answer(const rig *r, const char *lines, const char *tail, char out[1024])
{
    char accept[LN_UPGRADE_ACCEPT_BYTES];
    const char *const key = strstr(r->request, "Sec-WebSocket-Key: ");
    assert_non_null(key);
    assert_int_equal(ln_upgrade_accept_key((ln_span){key + 19, 24}, accept), 0);
    const int n =
        snprintf(out, 1024,
                 "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                 "Sec-WebSocket-Accept: %.28s\r\n%s\r\n%s",
                 accept, lines, tail);
    return (size_t)n;
}

static void peer_upgrade(rig *r, const char *lines, const char *tail)
{
    char text[1024];
    peer_take(r);
    const size_t n = answer(r, lines, tail, text);
    peer_say(r, text, n);
}

static void open_up(rig *r, ln_client_options o)
{
    start(r, r->url, o);
    peer_upgrade(r, "", "");
    turn_until(r, &r->opened, 1);
}

/* ---- being connected ---- */

static void the_request_is_what_was_asked_for(void **state)
{
    rig *const r = *state;
    char host[40];
    const ln_client_header headers[] = {{"X-Token", "abc"}, {"Cookie", "a=b; c=d"}};

    start(r, r->url,
          (ln_client_options){.headers = headers,
                              .header_count = 2,
                              .origin = "https://o.example",
                              .ws = {.subprotocols = "v1, v2", .deflate = true}});
    peer_upgrade(r, "Sec-WebSocket-Protocol: v2\r\n", "");
    turn_until(r, &r->opened, 1);
    assert_int_equal(strncmp(r->request, "GET /path?q=1 HTTP/1.1\r\n", 24), 0);
    snprintf(host, sizeof host, "\r\nHost: 127.0.0.1:%d\r\n", port_of(r->listener));
    assert_non_null(strstr(r->request, host));
    assert_non_null(strstr(r->request, "\r\nX-Token: abc\r\n"));
    assert_non_null(strstr(r->request, "\r\nCookie: a=b; c=d\r\n"));
    assert_non_null(strstr(r->request, "\r\nOrigin: https://o.example\r\n"));
    assert_non_null(strstr(r->request, "\r\nSec-WebSocket-Protocol: v1, v2\r\n"));
    assert_non_null(strstr(r->request, "\r\nSec-WebSocket-Extensions: permessage-deflate"));
    assert_non_null(strstr(r->request, "\r\nSec-WebSocket-Version: 13\r\n"));
    assert_string_equal(r->subprotocol, "v2");
}

static void certificates_that_were_read_serve_other_clients(void **state)
{
    rig *const r = *state;
    const ln_tls_options trusting = {.insecure = true}, hopeless = {.ca_file = "/nonexistent"};
    const ln_client_options first = {.tls = &trusting}, bad = {.tls = &hopeless};
    ln_client *reader = NULL, *plain = NULL, *client = NULL;

    assert_int_equal(ln_client_new(r->loop, "wss://127.0.0.1/", NULL, &bad, &client), LN_ERR_TLS);
    assert_int_equal(ln_client_new(r->loop, "wss://127.0.0.1/", NULL, &first, &reader), 0);
    assert_int_equal(ln_client_new(r->loop, r->url, NULL, NULL, &plain), 0);
    ln_client_options o = {.tls = &hopeless, .tls_of = plain};
    assert_int_equal(ln_client_new(r->loop, "wss://127.0.0.1/", NULL, &o, &client), LN_ERR_INVALID);
    o.tls_of = reader;
    assert_int_equal(ln_client_new(r->loop, "wss://127.0.0.1/", NULL, &o, &client), 0);
    ln_client_free(reader);
    ln_client_free(plain);
    ln_client_free(client);
}

static void it_connects_from_the_address_it_was_given(void **state)
{
    rig *const r = *state;
    struct sockaddr_in from;
    socklen_t size = sizeof from;

    open_up(r, (ln_client_options){.local_address = "127.0.0.9"});
    assert_int_equal(getpeername(r->peer, (struct sockaddr *)&from, &size), 0);
    assert_int_equal(ntohl(from.sin_addr.s_addr), 0x7F000009);
}

static void an_address_that_is_not_ours_fails_the_attempt(void **state)
{
    static const char *const foreign[] = {"192.0.2.1", "::1"}; /* the other one's family differs */
    rig *const r = *state;

    for (size_t i = 0; i < 2; i++) {
        r->trace[0] = '\0';
        start(r, r->url, (ln_client_options){.local_address = foreign[i]});
        turn_until(r, &r->failed, (int)i + 1);
        assert_int_equal(r->err, LN_ERR_ADDRESS);
        ln_client_free(r->client);
        r->client = NULL;
    }
}

static void what_was_not_asked_for_is_not_sent(void **state)
{
    rig *const r = *state;
    open_up(r, (ln_client_options){.reconnect = false});
    assert_null(strstr(r->request, "Origin"));
    assert_null(strstr(r->request, "Sec-WebSocket-Protocol"));
    assert_null(strstr(r->request, "Sec-WebSocket-Extensions"));
    assert_string_equal(r->subprotocol, "");
}

static void each_attempt_has_its_own_key(void **state)
{
    rig *const r = *state;
    char first[25];

    start(r, r->url,
          (ln_client_options){.reconnect = true, .reconnect_base_ms = 1, .reconnect_max_ms = 1});
    peer_take(r);
    memcpy(first, strstr(r->request, "Sec-WebSocket-Key: ") + 19, 24);
    hang_up(r);
    turn_until(r, &r->failed, 1);
    peer_take(r);
    assert_memory_not_equal(first, strstr(r->request, "Sec-WebSocket-Key: ") + 19, 24);
}

static void an_answer_may_come_byte_by_byte(void **state)
{
    rig *const r = *state;
    char text[1024];

    start(r, r->url, (ln_client_options){.reconnect = false});
    peer_take(r);
    const size_t n = answer(r, "", "\x81\x02hi", text);
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(r->opened, i >= n - 4);
        peer_say(r, text + i, 1);
        turns(r, 2);
    }
    turn_until(r, &r->messages, 1);
    assert_string_equal(r->text, "hi");
    assert_string_equal(r->trace, "om");
}

static void frames_right_behind_the_answer_are_messages(void **state)
{
    rig *const r = *state;
    start(r, r->url, (ln_client_options){.reconnect = false});
    peer_upgrade(r, "", "\x81\x03one\x81\x03two\x88\x02\x0f\xa1");
    turn_until(r, &r->closed, 1);
    assert_string_equal(r->trace, "ommc");
    assert_string_equal(r->text, "two");
    assert_int_equal(r->close_code, 4001);
    assert_int_equal(r->by, LN_CLOSED_BY_PEER);
}

static void a_peer_that_vanishes_is_reported(void **state)
{
    rig *const r = *state;
    open_up(r, (ln_client_options){.reconnect = false});
    hang_up(r);
    turn_until(r, &r->closed, 1);
    assert_int_equal(r->close_code, 1006);
    assert_false(r->is_clean);
    assert_null(ln_client_conn(r->client));
    assert_string_equal(r->trace, "oc");
}

static void a_masked_frame_from_a_server_ends_it(void **state)
{
    rig *const r = *state;
    open_up(r, (ln_client_options){.reconnect = false});
    peer_say(r, "\x81\x81\x00\x00\x00\x00x", 7);
    turn_until(r, &r->closed, 1);
    assert_int_equal(r->close_code, 1002);
    assert_int_equal(r->close_error, LN_ERR_PROTOCOL);
}

/* ---- against our server ---- */

static void echo(ln_conn *c, const ln_message *m, void *user)
{
    (void)user;
    ln_conn_send(c, m->kind, m->data);
}

static void refuse(ln_request *request, void *user)
{
    (void)user;
    ln_request_reply(request, 403, "text/plain", LN_SPAN("no"));
}

static ln_server *serve(int *port)
{
    char address[32];
    const ln_ws_handlers echoes = {.on_message = echo}, refusals = {.on_request = refuse};
    ln_server *const server =
        ln_server_new(&(ln_server_options){.log = kit_quiet, .drain_ms = 1000});

    snprintf(address, sizeof address, "127.0.0.1:%d", *port);
    assert_non_null(server);
    assert_int_equal(ln_server_ws(server, "/echo", &echoes,
                                  &(ln_ws_options){.deflate = true, .subprotocols = "v2"}),
                     0);
    assert_int_equal(ln_server_ws(server, "/no", &refusals, NULL), 0);
    assert_int_equal(ln_server_listen(server, address), 0);
    *port = ln_server_port(server, 0);
    assert_int_equal(ln_server_start(server), 0);
    return server;
}

static void end_server(ln_server *server)
{
    assert_int_equal(kit_halt(server), 0);
    ln_server_free(server);
}

static void it_opens_speaks_and_closes_in_order(void **state)
{
    rig *const r = *state;
    int port = 0;
    char url[64];
    ln_server *const server = serve(&port);

    snprintf(url, sizeof url, "ws://localhost:%d/echo", port);
    r->on_open = SAY;
    r->on_message = CLOSE;
    start(r, url, (ln_client_options){.ws = {.deflate = true, .subprotocols = "v1,v2"}});
    turn_until(r, &r->closed, 1);
    assert_string_equal(r->trace, "omc");
    assert_string_equal(r->text, "hi");
    assert_string_equal(r->subprotocol, "v2");
    assert_int_equal(r->close_code, 4000);
    assert_int_equal(r->by, LN_CLOSED_BY_US);
    assert_int_equal(r->close_error, 0);
    assert_true(r->is_clean);
    end_server(server);
}

static void a_refusal_reports_the_status(void **state)
{
    rig *const r = *state;
    int port = 0;
    char url[64];
    ln_server *const server = serve(&port);

    snprintf(url, sizeof url, "ws://127.0.0.1:%d/no", port);
    start(r, url, (ln_client_options){.reconnect = false});
    turn_until(r, &r->failed, 1);
    assert_int_equal(r->err, LN_ERR_REFUSED);
    assert_int_equal(r->status, 403);
    assert_int_equal(r->retry_ms, -1);
    end_server(server);
}

static void it_returns_when_the_server_does(void **state)
{
    rig *const r = *state;
    int port = 0;
    char url[64];
    ln_server *server = serve(&port);

    snprintf(url, sizeof url, "ws://127.0.0.1:%d/echo", port);
    start(r, url,
          (ln_client_options){.reconnect = true, .reconnect_base_ms = 10, .reconnect_max_ms = 40});
    turn_until(r, &r->opened, 1);
    ln_server_stop(server);
    turn_until(r, &r->closed, 1);
    assert_int_equal(r->close_code, 1001);
    end_server(server);
    turn_until(r, &r->failed, 3);
    assert_int_equal(r->err, LN_ERR_CONNECT);
    assert_in_range(r->retry_ms, 0, 40);
    server = serve(&port);
    turn_until(r, &r->opened, 2);
    assert_non_null(ln_client_conn(r->client));
    end_server(server);
    turn_until(r, &r->closed, 2);
}

/* ---- failures ---- */

static void wrong_arguments_are_errors(void **state)
{
    rig *const r = *state;
    static const char *const urls[] = {
        "",          "ftp://h/",   "ws://",           "ws:///x",     "ws://h:0/x", "ws://h:65536/",
        "ws://h/#f", "ws://h/a b", "ws://h/\r\nX: y", "ws://[::1/x", "ws://u:p@h/"};
    static const ln_client_header bad[] = {{"Host", "x"},
                                           {"Upgrade", "x"},
                                           {"Sec-WebSocket-Key", "x"},
                                           {"connection", "x"},
                                           {"X", "a\r\nY: z"},
                                           {"X Y", "z"},
                                           {"", "z"},
                                           {"Sec-WebSocket-Protocol", "x"}};
    ln_client *client = NULL;

    for (size_t i = 0; i < sizeof urls / sizeof *urls; i++) {
        const int rc = ln_client_new(r->loop, urls[i], NULL, NULL, &client);
        if (rc != LN_ERR_INVALID)
            fail_msg("%s gives %d", urls[i], rc);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        const ln_client_options o = {.headers = &bad[i], .header_count = 1};
        if (ln_client_new(r->loop, r->url, NULL, &o, &client) != LN_ERR_INVALID)
            fail_msg("header %s is taken", bad[i].name);
    }
    static const char *const places[] = {
        "",
        "nowhere",
        "127.0.0.1:80",
        "[::1]",
        "unix:x",
        "1111:2222:3333:4444:5555:6666:7777:8888:1111:2222:3333:4444:5555:6666:7777:8888:1111:2222:"
        "3333:4444:5555:6666:7777:8888"};
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        const ln_client_options o = {.local_address = places[i]};
        if (ln_client_new(r->loop, r->url, NULL, &o, &client) != LN_ERR_INVALID)
            fail_msg("local address %s is taken", places[i]);
    }
    const ln_client_options origin = {.origin = "x\r\ny"}, name = {.ws = {.subprotocols = "a b"}},
                            range = {.ws = {.handshake_ms = 9}};
    const ln_ws_handlers both = {.on_message = on_message, .on_chunk = on_message};
    assert_int_equal(ln_client_new(r->loop, r->url, NULL, &origin, &client), LN_ERR_INVALID);
    assert_int_equal(ln_client_new(r->loop, r->url, NULL, &name, &client), LN_ERR_INVALID);
    assert_int_equal(ln_client_new(r->loop, r->url, NULL, &range, &client), LN_ERR_INVALID);
    assert_int_equal(ln_client_new(r->loop, r->url, &both, NULL, &client), LN_ERR_INVALID);
    assert_null(client);
}

static void answers_that_are_not_ours_fail(void **state)
{
    rig *const r = *state;
    static const struct {
        const char *text;
        int err;
        unsigned status;
    } cases[] = {
        {"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", LN_ERR_REFUSED, 404},
        {"HTTP/1.1 301 Moved\r\nLocation: /\r\n\r\n", LN_ERR_REFUSED, 301},
        {"HTTP/1.1 200 OK\r\n\r\n<html>", LN_ERR_REFUSED, 200},
        {"HTTP/1.1 101 S\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
         "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n",
         LN_ERR_HANDSHAKE, 101},
        {"HTTP/1.1 101 S\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n", LN_ERR_HANDSHAKE,
         101},
        {"SSH-2.0-OpenSSH_9.2\r\n\r\n", LN_ERR_HANDSHAKE, 0},
        {"HTTP/1.1 101 S\r\nA B: c\r\n\r\n", LN_ERR_HANDSHAKE, 0},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        r->failed = 0;
        r->trace[0] = '\0';
        start(r, r->url, (ln_client_options){.reconnect = false});
        peer_take(r);
        peer_say(r, cases[i].text, strlen(cases[i].text));
        turn_until(r, &r->failed, 1);
        if (r->err != cases[i].err || r->status != cases[i].status)
            fail_msg("%s: %d, %u", cases[i].text, r->err, r->status);
        assert_string_equal(r->trace, "f");
        assert_true(r->text[0] != '\0');
        ln_client_free(r->client);
        hang_up(r);
        turns(r, 5);
    }
    r->client = NULL;
}

/* Lets one attempt get `text`, in pieces of `size` bytes; the peer hangs up behind it if asked to. */
static void be_refused(rig *r, const char *text, size_t size, bool hangs_up)
{
    const size_t n = strlen(text);

    r->failed = 0;
    r->trace[0] = '\0';
    start(r, r->url, (ln_client_options){.reconnect = false});
    peer_take(r);
    for (size_t at = 0; at < n; at += size) {
        peer_say(r, text + at, n - at < size ? n - at : size);
        turns(r, 2);
    }
    if (hangs_up)
        hang_up(r);
    turn_until(r, &r->failed, 1);
    assert_int_equal(r->err, LN_ERR_REFUSED);
    assert_int_equal(r->status, 404);
    ln_client_free(r->client);
    r->client = NULL;
    if (!hangs_up)
        hang_up(r);
    turns(r, 5);
}

static void a_short_body_of_a_refusal_is_told(void **state)
{
#define NOT_FOUND "HTTP/1.1 404 Not Found\r\n"
    static const char silent[] = "the server answered with another status";
    static const struct {
        const char *text;
        const char *sentence;
        bool hangs_up;
    } cases[] = {
        {NOT_FOUND "Content-Length: 14\r\n\r\n no such room\n", "the server answered: no such room",
         false},
        {NOT_FOUND "Transfer-Encoding: chunked\r\n\r\n3\r\nno \r\n5\r\nt\xc3\xa4sk\r\n0\r\n\r\n",
         "the server answered: no t\xc3\xa4sk", false},
        {NOT_FOUND "Content-Length: 0\r\n\r\n", silent, false},
        {NOT_FOUND "Content-Length: 3\r\n\r\n \r\n", silent, false},
        {NOT_FOUND "Content-Length: 3\r\n\r\na\nb", silent, false},     /* not one line */
        {NOT_FOUND "Content-Length: 5\r\n\r\n\x1b[31m", silent, false}, /* steers terminals */
        {NOT_FOUND "Content-Length: 2\r\n\r\n\xc3\x28", silent, false}, /* no UTF-8 */
        {NOT_FOUND "Content-Length: 5\r\n\r\nhalf", silent, true},
        {NOT_FOUND "Content-Length: x\r\n\r\nwhat", silent, false},
        {NOT_FOUND "Transfer-Encoding: chunked\r\n\r\nzz\r\n", silent, false},
        {NOT_FOUND "\r\nwho knows where it ends", silent, false},
    };
    rig *const r = *state;
    char text[512], sentence[512];

    for (size_t i = 0; i < LN_ARRAY_SIZE(cases); i++) {
        be_refused(r, cases[i].text, strlen(cases[i].text), cases[i].hangs_up);
        assert_string_equal(r->text, cases[i].sentence);
    }
    be_refused(r, cases[0].text, 1, false);
    assert_string_equal(r->text, cases[0].sentence);
    for (int size = 256; size <= 257; size++) {
        snprintf(text, sizeof text, NOT_FOUND "Content-Length: %d\r\n\r\n%0*d", size, size, 7);
        snprintf(sentence, sizeof sentence, "the server answered: %0*d", size, 7);
        be_refused(r, text, strlen(text), false);
        assert_string_equal(r->text, size == 256 ? sentence : silent);
    }
#undef NOT_FOUND
}

static void the_rest_of_a_refusal_has_the_time_of_the_handshake(void **state)
{
    static const char text[] = "HTTP/1.1 404 Not Found\r\nContent-Length: 5\r\n\r\nhalf";
    rig *const r = *state;

    start(r, r->url, (ln_client_options){.ws = {.handshake_ms = 50}});
    peer_take(r);
    peer_say(r, text, sizeof text - 1);
    turn_until(r, &r->failed, 1);
    assert_int_equal(r->err, LN_ERR_REFUSED);
    assert_int_equal(r->status, 404);
}

static void a_client_may_go_while_it_hears_a_refusal(void **state)
{
    static const char text[] = "HTTP/1.1 404 Not Found\r\nContent-Length: 5\r\n\r\nhalf";
    rig *const r = *state;

    start(r, r->url, (ln_client_options){.reconnect = false});
    peer_take(r);
    peer_say(r, text, sizeof text - 1);
    turns(r, 5);
    ln_client_stop(r->client);
    turns(r, 5);
    assert_string_equal(r->trace, "");
}

static void what_was_not_offered_is_not_accepted(void **state)
{
    rig *const r = *state;
    static const char *const lines[] = {"Sec-WebSocket-Protocol: v1\r\n",
                                        "Sec-WebSocket-Extensions: permessage-deflate\r\n"};

    for (size_t i = 0; i < 2; i++) {
        r->failed = 0;
        r->trace[0] = '\0';
        start(r, r->url, (ln_client_options){.reconnect = false});
        peer_upgrade(r, lines[i], "");
        turn_until(r, &r->failed, 1);
        assert_int_equal(r->err, LN_ERR_HANDSHAKE);
        ln_client_free(r->client);
        r->client = NULL;
        hang_up(r);
        turns(r, 5);
    }
}

static void a_peer_that_ends_the_handshake_fails_it(void **state)
{
    rig *const r = *state;
    start(r, r->url, (ln_client_options){.reconnect = false});
    peer_take(r);
    peer_say(r, "HTTP/1.1 101 Sw", 15);
    hang_up(r);
    turn_until(r, &r->failed, 1);
    assert_int_equal(r->err, LN_ERR_HANDSHAKE);
    assert_string_equal(r->trace, "f");
}

static void a_silent_peer_is_given_up_in_time(void **state)
{
    rig *const r = *state;
    const int64_t begin = kit_clock_ms();
    start(r, r->url, (ln_client_options){.ws = {.handshake_ms = 80}});
    peer_take(r);
    peer_say(r, "HTTP/1.1 101 Sw", 15);
    turn_until(r, &r->failed, 1);
    assert_int_equal(r->err, LN_ERR_TIMEOUT);
    assert_true(kit_clock_ms() - begin >= 75);
    assert_int_equal(r->status, 0);
}

static void a_name_without_address_is_reported(void **state)
{
    rig *const r = *state;
    start(r, "ws://no-such-host.invalid/", (ln_client_options){.ws = {.handshake_ms = 60000}});
    turn_until(r, &r->failed, 1);
    assert_int_equal(r->err, LN_ERR_RESOLVE);
}

static void endless_headers_are_cut(void **state)
{
    rig *const r = *state;
    char line[1025] = "X-Padding: ";

    memset(line + 11, 'x', 1011);
    memcpy(line + 1022, "\r\n", 3);
    start(r, r->url, (ln_client_options){.reconnect = false});
    peer_take(r);
    peer_say(r, "HTTP/1.1 101 S\r\n", 16);
    for (int i = 0; i < 15; i++) {
        peer_say(r, line, 1024);
        turns(r, 2);
    }
    assert_int_equal(r->failed, 0);
    peer_say(r, line, 1024);
    turn_until(r, &r->failed, 1);
    assert_int_equal(r->err, LN_ERR_HANDSHAKE);
}

/* ---- stopping and freeing ---- */

/* Each state in which a client can be, by how it gets there. */
static void nobody(rig *r)
{
    start(r, r->url, (ln_client_options){.reconnect = true});
}

static void resolving(rig *r)
{
    start(r, "ws://localhost:1/", (ln_client_options){.reconnect = true});
    turns(r, 1);
}

static void connecting(rig *r)
{
    start(r, r->url, (ln_client_options){.reconnect = true});
    turns(r, 2);
}

static void shaking(rig *r)
{
    start(r, r->url, (ln_client_options){.reconnect = true});
    peer_take(r);
    peer_say(r, "HTTP/1.1 101 S", 14);
    turns(r, 2);
}

static void open_now(rig *r)
{
    open_up(r, (ln_client_options){.reconnect = true});
}

static void closing(rig *r)
{
    open_up(r, (ln_client_options){.reconnect = true});
    assert_int_equal(ln_conn_close(ln_client_conn(r->client), 1000, LN_SPAN("")), 0);
}

static void waiting(rig *r)
{
    start(r, r->url,
          (ln_client_options){
              .reconnect = true, .reconnect_base_ms = 60000, .reconnect_max_ms = 86400000});
    peer_take(r);
    hang_up(r);
    turn_until(r, &r->failed, 1);
}

static void (*const states[])(rig *r) = {nobody,   resolving, connecting, shaking,
                                         open_now, closing,   waiting};
enum { STATES = sizeof states / sizeof *states };

/* Without a peer of the old connection, and with an empty list of what happened. */
static void clear(rig *r)
{
    struct pollfd p = {.fd = r->listener, .events = POLLIN};
    hang_up(r);
    turns(r, 10);
    while (poll(&p, 1, 0) == 1)
        close(accept(r->listener, NULL, NULL));
    memset(r->trace, 0, sizeof r->trace);
    r->opened = r->closed = r->failed = r->messages = 0;
}

static void it_can_be_freed_in_every_state(void **state)
{
    rig *const r = *state;
    for (int i = 0; i < STATES; i++) {
        states[i](r);
        ln_client_free(r->client);
        r->client = NULL;
        assert_int_equal(r->closed, r->opened); /* on_close has come */
        clear(r);
        assert_string_equal(r->trace, "");
    }
}

static void it_can_be_stopped_in_every_state(void **state)
{
    rig *const r = *state;
    for (int i = 0; i < STATES; i++) {
        states[i](r);
        ln_client_stop(r->client);
        ln_client_stop(r->client);
        const int failed = r->failed, opened = r->opened;
        if (r->opened > 0 && r->closed == 0) {
            peer_say(r, "\x88\x02\x03\xe8", 4);
            turn_until(r, &r->closed, 1);
            assert_int_equal(r->close_code, 1000);
            assert_true(r->is_clean);
        }
        turns(r, 20);
        assert_int_equal(r->failed, failed); /* it was asked to: no failure, and no other attempt */
        assert_int_equal(r->opened, opened);
        assert_null(ln_client_conn(r->client));
        ln_client_free(r->client);
        r->client = NULL;
        clear(r);
    }
}

static void stop_or_free_in(rig *r, enum act *handler, enum act act)
{
    *handler = act;
    start(r, r->url,
          (ln_client_options){.reconnect = true, .reconnect_base_ms = 1, .reconnect_max_ms = 1});
    if (handler == &r->on_failure) {
        peer_take(r);
        hang_up(r);
        turn_until(r, &r->failed, 1);
    } else {
        peer_upgrade(r, "",
                     handler == &r->on_open ? "\x81\x01x\x81\x01y" : "\x81\x01x\x88\x02\x03\xe8");
        turn_until(r, &r->opened, 1);
        if (act == STOP && handler != &r->on_close) {
            turns(r, 5);
            (void)send(r->peer, "\x88\x02\x03\xe8", 4, MSG_NOSIGNAL);
        }
        turn_until(r, &r->closed, 1);
    }
    turns(r, 20); /* a reconnect would have been made by now */
    assert_int_equal(r->opened + r->failed, 1);
    assert_int_equal(r->closed, r->opened);
    *handler = NOTHING;
    ln_client_free(r->client);
    r->client = NULL;
    clear(r);
}

static void it_can_be_stopped_inside_each_handler(void **state)
{
    rig *const r = *state;
    stop_or_free_in(r, &r->on_open, STOP);
    stop_or_free_in(r, &r->on_message, STOP);
    stop_or_free_in(r, &r->on_close, STOP);
    stop_or_free_in(r, &r->on_failure, STOP);
}

static void it_can_be_freed_inside_on_open(void **state)
{
    rig *const r = *state;
    stop_or_free_in(r, &r->on_open, FREE);
}

static void it_can_be_freed_inside_on_message(void **state)
{
    rig *const r = *state;
    stop_or_free_in(r, &r->on_message, FREE);
}

static void a_message_outlives_the_client_that_is_freed_in_it(void **state)
{
    rig *const r = *state;
    r->on_message = FREE;
    start(r, r->url, (ln_client_options){.reconnect = false});
    peer_upgrade(r, "", "\x01\x03one\x80\x03two"); /* gathered in memory of its own */
    turn_until(r, &r->closed, 1);
    assert_string_equal(r->trace, "omc");
    assert_string_equal(r->text, "onetwo");
    turns(r, 5);
}

static void it_can_be_freed_inside_on_close(void **state)
{
    rig *const r = *state;
    stop_or_free_in(r, &r->on_close, FREE);
}

static void it_can_be_freed_inside_on_failure(void **state)
{
    rig *const r = *state;
    stop_or_free_in(r, &r->on_failure, FREE);
}

static void a_clean_end_is_followed_by_another_attempt(void **state)
{
    rig *const r = *state;
    start(r, r->url,
          (ln_client_options){.reconnect = true, .reconnect_base_ms = 1, .reconnect_max_ms = 1});
    peer_upgrade(r, "", "\x88\x02\x03\xe8");
    turn_until(r, &r->closed, 1);
    hang_up(r);
    peer_upgrade(r, "", "\x81\x01x");
    turn_until(r, &r->messages, 1);
    assert_string_equal(r->trace, "ocom");
}

/* ---- memory ---- */

static int one_life(const ln_allocator *alloc, void *user)
{
    const ln_client_header header = {"X-Token", "abc"};
    const ln_client_options o = {.headers = &header,
                                 .header_count = 1,
                                 .origin = "o",
                                 .ws = {.subprotocols = "v1", .deflate = true}};
    ln_loop *loop = NULL;
    ln_client *client = NULL;
    /* Not io_uring: the system is late in giving back the locked memory of so many rings. */
    int rc = ln_loop_new(
        &(ln_loop_options){.io = LN_IO_EPOLL, .allocator = alloc, .log = kit_quiet}, &loop);

    if (rc == 0)
        rc = ln_client_new(loop, user, NULL, &o, &client);
    if (rc == 0)
        (void)ln_loop_turn(loop, 0);
    ln_client_free(client);
    if (loop != NULL)
        (void)ln_loop_turn(loop, 0);
    ln_loop_free(loop);
    return rc;
}

static void running_out_of_memory_leaves_nothing(void **state)
{
    rig *const r = *state;
    assert_true(failing_alloc_sweep(one_life, r->url) > 10);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(the_request_is_what_was_asked_for),
        CASE(certificates_that_were_read_serve_other_clients),
        CASE(it_connects_from_the_address_it_was_given),
        CASE(an_address_that_is_not_ours_fails_the_attempt),
        CASE(what_was_not_asked_for_is_not_sent),
        CASE(each_attempt_has_its_own_key),
        CASE(an_answer_may_come_byte_by_byte),
        CASE(frames_right_behind_the_answer_are_messages),
        CASE(a_peer_that_vanishes_is_reported),
        CASE(a_masked_frame_from_a_server_ends_it),
        CASE(it_opens_speaks_and_closes_in_order),
        CASE(a_refusal_reports_the_status),
        CASE(it_returns_when_the_server_does),
        CASE(wrong_arguments_are_errors),
        CASE(answers_that_are_not_ours_fail),
        CASE(a_short_body_of_a_refusal_is_told),
        CASE(the_rest_of_a_refusal_has_the_time_of_the_handshake),
        CASE(a_client_may_go_while_it_hears_a_refusal),
        CASE(what_was_not_offered_is_not_accepted),
        CASE(a_peer_that_ends_the_handshake_fails_it),
        CASE(a_silent_peer_is_given_up_in_time),
        CASE(a_name_without_address_is_reported),
        CASE(endless_headers_are_cut),
        CASE(it_can_be_freed_in_every_state),
        CASE(it_can_be_stopped_in_every_state),
        CASE(it_can_be_stopped_inside_each_handler),
        CASE(it_can_be_freed_inside_on_open),
        CASE(it_can_be_freed_inside_on_message),
        CASE(a_message_outlives_the_client_that_is_freed_in_it),
        CASE(it_can_be_freed_inside_on_close),
        CASE(it_can_be_freed_inside_on_failure),
        CASE(a_clean_end_is_followed_by_another_attempt),
        CASE(running_out_of_memory_leaves_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
