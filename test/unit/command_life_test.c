/* SPDX-License-Identifier: MIT */
/* A server of the command dialect from its start to its end, and its clients from coming to going:
 * restarts, order, farewells plain and over TLS, one that never reads, other dialects on one topic. */
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
#include <linnet/rooms.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

#include "dialect/commandinner.h"
#include "raw_client.h"
#include "server_kit.h"
#include "test_certs.h"

enum { ECHO = 1, FAREWELL = 2, WELCOME = 3, BYE = 4, SPREAD = 5, BRIDGED = 0x0200, BURST = 200 };

typedef struct world {
    ln_server *server;
    ln_command *game;
    int port, tls_port;
    atomic_int connects, handled, disconnects, code;
    atomic_int asked, replies; /* calls to clients, and how many have ended */
    atomic_int is_over;        /* for whoever floods */
    _Atomic ln_conn_id last;   /* who came last */
    bool is_watched;           /* everybody is told who comes and goes */
} world;

/* ---- handlers ---- */

static void on_echo(ln_conn *c, uint32_t id, ln_span payload, void *user)
{
    world *const w = user;
    assert_int_equal(atomic_load(&w->disconnects), 0);
    assert_true(ln_command_is_alive(w->game, ln_conn_get_id(c)));
    atomic_fetch_add(&w->handled, 1);
    (void)ln_command_send(w->game, ln_conn_get_id(c), id, payload);
}

static void on_farewell(ln_conn *c, uint32_t id, ln_span payload, void *user)
{
    world *const w = user;
    char text[16];
    (void)payload;

    for (int i = 0; i < BURST; i++) {
        const int n = snprintf(text, sizeof text, "%d", i);
        assert_true(ln_command_send(w->game, ln_conn_get_id(c), id, (ln_span){text, (size_t)n}) >=
                    0);
    }
    assert_true(ln_command_is_alive(w->game, ln_conn_get_id(c)));
    assert_int_equal(ln_conn_close(c, 4001, LN_SPAN("bye")), 0);
    assert_false(ln_command_is_alive(w->game, ln_conn_get_id(c)));
}

static void on_reply(const ln_rpc_reply *reply, void *user)
{
    world *const w = user;
    assert_int_equal(reply->error, LN_ERR_CLOSED);
    assert_int_equal(atomic_load(&w->disconnects), 0);
    atomic_fetch_add(&w->replies, 1);
    /* who asks again is told at once, and this does not go on for ever */
    assert_int_equal(ln_command_call(w->game, reply->conn, "more", LN_SPAN(""), 0, on_reply, w),
                     LN_ERR_CLOSED);
}

static void on_ask(ln_conn *c, uint32_t id, ln_span payload, void *user)
{
    world *const w = user;
    (void)id;
    (void)payload;
    assert_int_equal(
        ln_command_call(w->game, ln_conn_get_id(c), "ask", LN_SPAN("[]"), 0, on_reply, w), 0);
    atomic_fetch_add(&w->asked, 1);
}

static void on_connect(ln_conn *c, const ln_request *request, void *user)
{
    world *const w = user;
    (void)request;
    atomic_store(&w->last, ln_conn_get_id(c));
    /* in this order, whatever is published meanwhile */
    assert_true(ln_command_send(w->game, ln_conn_get_id(c), WELCOME, LN_SPAN("1")) >= 0);
    assert_int_equal(ln_command_publish(w->game, LN_SPAN(""), WELCOME, ln_command_uuid(c), 0), 0);
    assert_int_equal(atomic_load(&w->handled), 0);
    atomic_fetch_add(&w->connects, 1);
}

static void on_disconnect(ln_conn *c, bool is_voluntary, const ln_close_info *info, void *user)
{
    world *const w = user;
    (void)is_voluntary;
    assert_int_equal(atomic_load(&w->replies), atomic_load(&w->asked));
    assert_false(ln_command_is_alive(w->game, ln_conn_get_id(c)));
    if (w->is_watched)
        (void)ln_command_publish(w->game, LN_SPAN(""), BYE, ln_command_uuid(c), 0);
    atomic_store(&w->code, info->code);
    atomic_fetch_add(&w->disconnects, 1);
}

/* ---- worlds ---- */

/* The same endpoints each time. */
static void build(world *w, unsigned workers)
{
    const ln_server_options options = {.workers = workers, .log = kit_quiet, .drain_ms = 2000};
    const ln_command_bridge lobby = {.id = BRIDGED, .topic = "lobby", .kind = LN_TEXT};
    const ln_command_options game = {.rate = {.per_second = LN_OFF},
                                     .bridges = &lobby,
                                     .bridge_count = 1,
                                     .on_connect = w->is_watched ? on_connect : NULL,
                                     .on_disconnect = on_disconnect,
                                     .user = w};

    w->server = ln_server_new(&options);
    assert_non_null(w->server);
    assert_int_equal(ln_command_mount(w->server, "/ws", &game, &w->game), 0);
    assert_int_equal(ln_command_on(w->game, ECHO, on_echo, w), 0);
    assert_int_equal(ln_command_on(w->game, FAREWELL, on_farewell, w), 0);
}

static void start_at(world *w, const char *address)
{
    assert_int_equal(ln_server_listen(w->server, address), 0);
    w->port = ln_server_port(w->server, 0);
    assert_int_equal(ln_server_start(w->server), 0);
}

static void end(world *w)
{
    kit_end(w->server);
}

/* ---- peers ---- */

static int enter_at(const world *w, const char *path)
{
    return raw_enter(w->port, path, "");
}

static void say(int fd, uint32_t id, const char *text)
{
    uint8_t bytes[256];
    const size_t n = strlen(text);
    ln_store_be32(bytes, id);
    memcpy(bytes + 4, text, n);
    raw_send_frame(fd, 0x82, bytes, n + 4);
}

static void hear(int fd, uint32_t id, const char *text)
{
    const raw_frame f = raw_read_frame(fd);
    assert_int_equal(f.first, 0x82);
    assert_int_equal(ln_load_be32(f.payload), id);
    assert_string_equal((const char *)f.payload + 4, text);
}

/* ---- the server ---- */

static void it_starts_once_and_stops_as_often_as_one_likes(void **state)
{
    world w = {.port = 0};
    (void)state;

    build(&w, 2);
    assert_int_equal(ln_server_join(w.server), LN_ERR_STATE); /* it does not run yet */
    start_at(&w, "127.0.0.1:0");
    assert_int_equal(ln_server_start(w.server), LN_ERR_STATE);
    assert_int_equal(ln_server_run(w.server), LN_ERR_STATE);
    const int fd = enter_at(&w, "/ws");
    say(fd, ECHO, "x");
    hear(fd, ECHO, "x");
    for (int i = 0; i < 3; i++)
        ln_server_stop(w.server);
    assert_int_equal(ln_server_join(w.server), 0);
    ln_server_stop(w.server);
    assert_int_equal(ln_server_join(w.server), LN_ERR_STATE);
    /* it had one life: who wants another one makes another one */
    assert_int_equal(ln_server_start(w.server), LN_ERR_STATE);
    /* what is asked of it from now on is an error and no more */
    assert_int_equal(ln_command_publish(w.game, LN_SPAN(""), 1, LN_SPAN(""), 0), LN_ERR_STATE);
    assert_int_equal(ln_command_on(w.game, ECHO, NULL, NULL), 0);
    assert_int_equal(ln_command_method(w.game, "m", NULL, NULL), 0);
    assert_int_equal(atomic_load(&w.disconnects), 1);
    raw_close(fd);
    ln_server_free(w.server);
}

static void a_busy_port_is_an_error_at_once(void **state)
{
    world first = {.port = 0}, second = {.port = 0};
    char address[32];
    (void)state;

    build(&first, 1);
    start_at(&first, "127.0.0.1:0");
    snprintf(address, sizeof address, "127.0.0.1:%d", first.port);
    build(&second, 1);
    assert_int_equal(ln_server_listen(second.server, address), LN_ERR_ADDRESS);
    /* and no harm to either */
    start_at(&second, "127.0.0.1:0");
    const int a = enter_at(&first, "/ws"), b = enter_at(&second, "/ws");
    say(a, ECHO, "first");
    say(b, ECHO, "second");
    hear(a, ECHO, "first");
    hear(b, ECHO, "second");
    raw_close(a);
    raw_close(b);
    end(&first);
    end(&second);
}

static void a_new_one_takes_the_place_of_the_old(void **state)
{
    enum { LIVES = 5, CLIENTS = 8 };
    char address[32] = "127.0.0.1:0";
    int fds[CLIENTS];
    (void)state;

    for (int life = 0; life < LIVES; life++) {
        world w = {.port = 0};
        build(&w, 2);
        start_at(&w, address);
        snprintf(address, sizeof address, "127.0.0.1:%d", w.port);
        for (int i = 0; i < CLIENTS; i++) {
            fds[i] = enter_at(&w, "/ws");
            say(fds[i], ECHO, "is it you?");
            hear(fds[i], ECHO, "is it you?");
        }
        ln_server_stop(w.server);
        for (int i = 0; i < CLIENTS; i++) {
            assert_int_equal(raw_close_code(raw_read_frame(fds[i])), 1001);
            raw_send_frame(fds[i], 0x88, "\x03\xe9", 2);
            raw_close(fds[i]);
        }
        assert_int_equal(ln_server_join(w.server), 0);
        /* nothing is heard of it after that */
        assert_int_equal(atomic_load(&w.disconnects), CLIENTS);
        assert_int_equal(atomic_load(&w.code), 1001);
        ln_server_free(w.server);
    }
}

static void *change_handlers(void *arg)
{
    world *const w = arg;
    for (uint32_t i = 0; atomic_load(&w->is_over) == 0; i++) {
        assert_int_equal(ln_command_on(w->game, 100 + i % 7, on_echo, w), 0);
        const int rc = ln_command_publish(w->game, LN_SPAN("nobody"), 1, LN_SPAN(""), 0);
        assert_true(rc == 0 || rc == LN_ERR_STATE || rc == LN_ERR_WOULD_EXCEED);
    }
    return NULL;
}

static void handlers_may_change_while_it_starts_and_stops(void **state)
{
    (void)state;
    for (int life = 0; life < 20; life++) {
        world w = {.port = 0};
        pthread_t thread;
        build(&w, 3);
        assert_int_equal(ln_server_listen(w.server, "127.0.0.1:0"), 0);
        w.port = ln_server_port(w.server, 0);
        for (uint32_t id = 100; id < 107; id++)
            assert_int_equal(ln_command_on(w.game, id, on_echo, &w), 0);
        assert_int_equal(pthread_create(&thread, NULL, change_handlers, &w), 0);
        kit_rest_ms(1);
        assert_int_equal(ln_server_start(w.server), 0);
        const int fd = enter_at(&w, "/ws");
        for (uint32_t id = 100; id < 107; id++) {
            say(fd, id, "x");
            hear(fd, id, "x");
        }
        raw_close(fd);
        assert_int_equal(kit_halt(w.server), 0);
        atomic_store(&w.is_over, 1);
        pthread_join(thread, NULL);
        ln_server_free(w.server);
    }
}

static void silence_of_a_minute_is_the_end(void **state)
{
    world w = {.port = 0};
    (void)state;

    build(&w, 1);
    const ln_route *const route = ln_routes_find(&w.server->routes, LN_SPAN("/ws"), true);
    const ln_ws_options *const o = &route->plan.options;
    assert_int_equal(o->ping_interval_ms + o->pong_wait_ms, 60000);
    assert_true(o->ping_interval_ms <= 54000);
    assert_int_equal(o->idle_ms, 0); /* who only answers pings stays */
    assert_int_equal(o->message_max_bytes, 4 + LN_COMMAND_PAYLOAD_MAX_BYTES);
    ln_server_free(w.server);
}

/* ---- coming and going ---- */

static void *flood(void *arg)
{
    world *const w = arg;
    while (atomic_load(&w->is_over) == 0) {
        (void)ln_command_publish(w->game, LN_SPAN(""), SPREAD, LN_SPAN("x"), 0);
        kit_rest_ms(1);
    }
    return NULL;
}

/* The next one of that command; between them come the flood, and who left before. */
static raw_frame hear_next(int fd, uint32_t id)
{
    raw_frame f = raw_read_frame(fd);
    while (f.first == 0x82 && ln_load_be32(f.payload) != id)
        f = raw_read_frame(fd);
    assert_int_equal(f.first, 0x82);
    return f;
}

static void a_client_comes_and_goes_in_order(void **state)
{
    world w = {.is_watched = true};
    pthread_t thread;
    char uuid[37] = "";
    (void)state;

    build(&w, 2);
    start_at(&w, "127.0.0.1:0");
    assert_int_equal(pthread_create(&thread, NULL, flood, &w), 0);
    for (int i = 0; i < 20; i++) {
        const int fd = enter_at(&w, "/ws");
        /* nothing before the welcome, not even of the flood; then itself among all */
        hear(fd, WELCOME, "1");
        assert_true(ln_command_is_alive(w.game, atomic_load(&w.last)));
        const raw_frame f = hear_next(fd, WELCOME);
        assert_int_equal(f.size, 4 + 36);
        memcpy(uuid, f.payload + 4, 36);
        const int other = enter_at(&w, "/ws");
        hear(other, WELCOME, "1");
        raw_send_frame(fd, 0x88, "\x03\xe8", 2);
        /* what on_disconnect publishes: to the other one, after that one's own coming */
        (void)hear_next(other, WELCOME);
        while (memcmp(hear_next(other, BYE).payload + 4, uuid, 36) != 0)
            ;
        raw_close(fd);
        raw_close(other);
        kit_wait_for(&w.disconnects, 2 * i + 2);
    }
    atomic_store(&w.is_over, 1);
    pthread_join(thread, NULL);
    /* a message is handled between the two */
    atomic_store(&w.disconnects, 0);
    const int fd = enter_at(&w, "/ws");
    for (int i = 0; i < 5; i++)
        say(fd, ECHO, "x");
    kit_wait_for(&w.handled, 5);
    raw_close(fd);
    kit_wait_for(&w.disconnects, 1);
    assert_int_equal(atomic_load(&w.handled), 5);
    assert_int_equal(atomic_load(&w.connects), 41);
    assert_false(ln_command_is_alive(w.game, atomic_load(&w.last)));
    assert_false(ln_command_is_alive(w.game, 0));
    assert_false(ln_command_is_alive(w.game, UINT64_MAX));
    end(&w);
}

static void calls_to_a_client_end_before_it_is_gone(void **state)
{
    world w = {.port = 0};
    (void)state;

    build(&w, 1);
    assert_int_equal(ln_command_on(w.game, ECHO, on_ask, &w), 0);
    start_at(&w, "127.0.0.1:0");
    const int fd = enter_at(&w, "/ws");
    for (int i = 0; i < 5; i++) {
        say(fd, ECHO, "");
        (void)hear_next(fd, LN_COMMAND_RPC);
    }
    raw_close(fd);
    kit_wait_for(&w.disconnects, 1);
    assert_int_equal(atomic_load(&w.asked), 5);
    assert_int_equal(atomic_load(&w.replies), 5);
    end(&w);
}

/* ---- farewells ---- */

/* 200 commands and a close frame, to the byte. */
static size_t write_farewell(uint8_t *to)
{
    uint8_t *at = to;

    for (int i = 0; i < BURST; i++) {
        const int n = snprintf((char *)at + 6, 16, "%d", i);
        *at++ = 0x82;
        *at++ = (uint8_t)(n + 4);
        ln_store_be32(at, FAREWELL);
        at += 4 + n;
    }
    memcpy(at,
           "\x88\x05\x0f\xa1"
           "bye",
           7);
    return (size_t)(at - to) + 7;
}

static void what_was_sent_before_a_close_arrives_and_then_the_code(void **state)
{
    enum { TIMES = 500 };
    world w = {.port = 0};
    uint8_t wanted[BURST * 16];
    const size_t size = write_farewell(wanted);
    (void)state;

    build(&w, 2);
    start_at(&w, "127.0.0.1:0");
    for (int i = 0; i < TIMES; i++) {
        const int fd = enter_at(&w, "/ws");
        size_t n;
        bool is_fin;
        say(fd, FAREWELL, "");
        raw_send_frame(fd, 0x88, "\x0f\xa1", 2);
        const char *const got = raw_read_all(fd, &n, &is_fin);
        /* the peer's own close may cross ours: what is ours comes first */
        assert_int_equal(n, size);
        assert_memory_equal(got, wanted, size);
        assert_true(is_fin);
        raw_close(fd);
    }
    kit_wait_for(&w.disconnects, TIMES);
    end(&w);
}

/* Reads `n` bytes of a TLS stream. */
static void read_all(SSL *ssl, uint8_t *to, size_t n)
{
    for (size_t got = 0; got < n;) {
        const int some = SSL_read(ssl, to + got, (int)(n - got));
        assert_true(some > 0);
        got += (size_t)some;
    }
}

static void one_farewell_over_tls(const world *w, SSL_CTX *ctx, const uint8_t *wanted, size_t size)
{
    static const char head[] =
        "GET /ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
    static const uint8_t command[] = {0x82, 0x84, 0, 0, 0, 0, 0, 0, 0, FAREWELL};
    uint8_t got[BURST * 16];
    SSL *const ssl = SSL_new(ctx);
    const int fd = raw_connect(w->tls_port);
    size_t n = 0;

    assert_int_equal(SSL_set_fd(ssl, fd), 1);
    assert_int_equal(SSL_connect(ssl), 1);
    assert_int_equal(SSL_write(ssl, head, sizeof head - 1), (int)sizeof head - 1);
    do
        read_all(ssl, got + n++, 1);
    while (n < 4 || memcmp(got + n - 4, "\r\n\r\n", 4) != 0);
    assert_int_equal(SSL_write(ssl, command, sizeof command), (int)sizeof command);
    read_all(ssl, got, size);
    assert_memory_equal(got, wanted, size);
    SSL_free(ssl);
    raw_close(fd);
}

static void over_tls_as_well(void **state)
{
    enum { TIMES = 50 };
    world w = {.port = 0};
    uint8_t wanted[BURST * 16];
    const size_t size = write_farewell(wanted);
    const test_cert_spec spec = {.subject = "localhost", .names = "DNS:localhost"};
    test_cert cert;
    (void)state;

    test_cert_make(&spec, &cert);
    const ln_tls_identity identity = {.cert_file = test_cert_write_chain(&cert, "cert.pem"),
                                      .key_file = test_cert_write_key(&cert, "key.pem", NULL)};
    const ln_tls_options tls = {.identities = &identity, .identity_count = 1};
    build(&w, 2);
    assert_int_equal(ln_server_listen_tls(w.server, "127.0.0.1:0", &tls), 0);
    w.tls_port = ln_server_port(w.server, 0);
    assert_int_equal(ln_server_start(w.server), 0);
    SSL_CTX *const ctx = SSL_CTX_new(TLS_client_method());
    for (int i = 0; i < TIMES; i++)
        one_farewell_over_tls(&w, ctx, wanted, size);
    kit_wait_for(&w.disconnects, TIMES);
    end(&w);
    SSL_CTX_free(ctx);
    test_cert_fini(&cert);
    test_certs_remove();
}

/* ---- one that never reads ---- */

/* Processor time of everybody here while 300 pieces go out and one client reads them. */
static double spread_pieces(world *w, int reader)
{
    enum { PIECES = 300, PIECE = 32768 };
    char *const piece = calloc(1, PIECE);
    const clock_t begin = clock();

    for (int i = 0; i < PIECES; i++) {
        assert_int_equal(
            ln_command_publish(w->game, LN_SPAN(""), SPREAD, (ln_span){piece, PIECE}, 0), 0);
        raw_frame f = raw_read_frame(reader);
        while (ln_load_be32(f.payload) != SPREAD)
            f = raw_read_frame(reader);
        assert_int_equal(f.size, 4 + PIECE);
    }
    free(piece);
    return (double)(clock() - begin) / CLOCKS_PER_SEC;
}

static void one_that_never_reads_slows_nobody_down(void **state)
{
    world w = {.port = 0};
    (void)state;

    build(&w, 1);
    start_at(&w, "127.0.0.1:0");
    const int reader = enter_at(&w, "/ws");
    (void)spread_pieces(&w, reader);
    const double without = spread_pieces(&w, reader);
    const int deaf = enter_at(&w, "/ws");
    const double with = spread_pieces(&w, reader);
    /* a delivery more for each, until it is closed; the tenth of a second is for a coarse clock */
    if (with > 3 * without + 0.1)
        fail_msg("%.3f s without it, %.3f s with it", without, with);
    kit_wait_for(&w.disconnects, 1);
    assert_int_equal(atomic_load(&w.code), 1008);
    (void)spread_pieces(&w, reader);
    assert_int_equal(atomic_load(&w.disconnects), 1);
    raw_close(deaf);
    raw_close(reader);
    end(&w);
    assert_int_equal(atomic_load(&w.disconnects), 2);
}

/* ---- one topic, three dialects ---- */

enum { GAME, ROOM, PLAIN, KINDS, EACH = 5, PEERS = KINDS * EACH, WORDS = 60 };

static void on_open(ln_conn *c, const ln_request *request, void *user)
{
    (void)request;
    (void)user;
    assert_int_equal(ln_conn_subscribe(c, LN_SPAN("lobby")), 0);
}

static void on_word(ln_conn *c, const ln_message *m, void *user)
{
    (void)user;
    assert_int_equal(ln_conn_publish(c, LN_SPAN("lobby"), m->kind, m->data, NULL), 0);
}

/* "PEER NUMBER" as its dialect shows it. */
static void take_word(int kind, const raw_frame *f, int next[PEERS])
{
    const char *text = (const char *)f->payload;
    int peer, number;

    assert_int_equal(f->first, kind == GAME ? 0x82 : 0x81);
    if (kind == GAME) {
        assert_int_equal(ln_load_be32(f->payload), BRIDGED);
        text += 4;
    }
    assert_int_equal(sscanf(text, "%d %d", &peer, &number), 2);
    assert_in_range(peer, 0, PEERS - 1);
    assert_int_equal(number, next[peer]);
    next[peer]++;
}

static void three_dialects_meet_on_one_topic(void **state)
{
    static const char *const paths[KINDS] = {"/ws", "/rooms?room=lobby", "/plain"};
    const ln_ws_handlers plain = {.on_open = on_open, .on_message = on_word};
    world w = {.port = 0};
    int fds[PEERS];
    char word[32];
    (void)state;

    build(&w, 2);
    assert_int_equal(ln_rooms_mount(w.server, "/rooms", NULL), 0);
    assert_int_equal(ln_server_ws(w.server, "/plain", &plain, NULL), 0);
    start_at(&w, "127.0.0.1:0");
    for (int i = 0; i < PEERS; i++)
        fds[i] = enter_at(&w, paths[i % KINDS]);
    for (int i = 0; i < 5000 && ln_topic_count(w.server, LN_SPAN("lobby")) < PEERS; i++)
        kit_rest_ms(1);
    for (int number = 0; number < WORDS; number++) {
        for (int i = 0; i < PEERS; i++) {
            snprintf(word, sizeof word, "%d %d", i, number);
            if (i % KINDS == GAME)
                say(fds[i], BRIDGED, word);
            else
                raw_send_text(fds[i], word);
        }
    }
    for (int i = 0; i < PEERS; i++) {
        int next[PEERS] = {0};
        for (int k = 0; k < PEERS * WORDS; k++) {
            const raw_frame f = raw_read_frame(fds[i]);
            take_word(i % KINDS, &f, next);
        }
    }
    for (int i = 0; i < PEERS; i++)
        raw_close(fds[i]);
    end(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_starts_once_and_stops_as_often_as_one_likes),
        cmocka_unit_test(a_busy_port_is_an_error_at_once),
        cmocka_unit_test(a_new_one_takes_the_place_of_the_old),
        cmocka_unit_test(handlers_may_change_while_it_starts_and_stops),
        cmocka_unit_test(silence_of_a_minute_is_the_end),
        cmocka_unit_test(a_client_comes_and_goes_in_order),
        cmocka_unit_test(calls_to_a_client_end_before_it_is_gone),
        cmocka_unit_test(what_was_sent_before_a_close_arrives_and_then_the_code),
        cmocka_unit_test(over_tls_as_well),
        cmocka_unit_test(one_that_never_reads_slows_nobody_down),
        cmocka_unit_test(three_dialects_meet_on_one_topic),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
