/* SPDX-License-Identifier: MIT */
/*
 * Every call about a connection inside every callback of it, two in a row: nothing is touched that
 * is gone (which a sanitizer sees), nothing comes behind on_close, and that comes once.
 *
 * A peer asks for /m or /c (messages or pieces) with ?plan=XYZ, a letter each: in which callback,
 * which call, and which one after it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>
#include <linnet/linnet.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "raw_client.h"
#include "server_kit.h"

enum {
    LONG = 300000,
    LONG_ONES = 24 /* more than the system takes */,
    CLOSE_BYTES = 8,
    CALLS = 15
};

/* ---- the calls ---- */

static int call_send(ln_conn *c)
{
    return ln_conn_send(c, LN_TEXT, LN_SPAN("words"));
}

static int call_send_long(ln_conn *c)
{
    static char text[LONG];
    return ln_conn_send(c, LN_BINARY, (ln_span){text, sizeof text});
}

static int call_send_piece(ln_conn *c)
{
    return ln_conn_send_piece(c, LN_TEXT, LN_SPAN("part"), false);
}

static int call_send_last(ln_conn *c)
{
    return ln_conn_send_piece(c, LN_TEXT, LN_SPAN("end"), true);
}

static int call_ping(ln_conn *c)
{
    return ln_conn_ping(c, LN_SPAN("?"));
}

static int call_close(ln_conn *c)
{
    return ln_conn_close(c, 4000, LN_SPAN("enough"));
}

static int call_abort(ln_conn *c)
{
    ln_conn_abort(c);
    return 0;
}

static int call_pause_and_resume(ln_conn *c)
{
    ln_conn_pause(c);
    ln_conn_resume(c);
    return 0;
}

static int call_subscribe(ln_conn *c)
{
    return ln_conn_subscribe(c, LN_SPAN("t.*"));
}

static int call_unsubscribe(ln_conn *c)
{
    return ln_conn_unsubscribe(c, LN_SPAN("t.*"));
}

static int call_publish(ln_conn *c)
{
    return ln_conn_publish(c, LN_SPAN("t.a"), LN_TEXT, LN_SPAN("news"), NULL);
}

static int call_publish_from_anywhere(ln_conn *c)
{
    return ln_publish(ln_conn_server(c), LN_SPAN("t.b"), LN_TEXT, LN_SPAN("news"));
}

static int call_send_by_id(ln_conn *c)
{
    return ln_send(ln_conn_server(c), ln_conn_get_id(c), LN_TEXT, LN_SPAN("letter"));
}

static int call_close_by_id(ln_conn *c)
{
    return ln_close(ln_conn_server(c), ln_conn_get_id(c), 4001, LN_SPAN("by letter"));
}

static int call_set(ln_conn *c)
{
    return ln_conn_set(c, "key", (ln_value){.type = LN_VALUE_INT, .as.integer = 1});
}

typedef int call_fn(ln_conn *c);
static call_fn *const calls[CALLS] = {
    call_send,       call_send_long,   call_send_piece, call_send_last,
    call_ping,       call_close,       call_abort,      call_pause_and_resume,
    call_subscribe,  call_unsubscribe, call_publish,    call_publish_from_anywhere,
    call_send_by_id, call_close_by_id, call_set};

/* ---- the callbacks ---- */

typedef enum moment { OPEN, MESSAGE, PING, PONG, DRAIN, CLOSE, MOMENTS } moment;

typedef struct plan {
    unsigned moment, first, second;
    bool is_over;
} plan;

static plan plans[MOMENTS * CALLS * CALLS];
static atomic_uint opened, closed, faults, flooded, reached[MOMENTS];

static void act(ln_conn *c, moment now)
{
    const plan *const p = ln_conn_user(c);
    const int late = now == CLOSE ? LN_ERR_CLOSED : 0;

    atomic_fetch_add(&faults, p->is_over);
    if (p->moment != (unsigned)now)
        return;
    atomic_fetch_add(&reached[now], 1);
    (void)calls[p->first](c);
    (void)calls[p->second](c);
    if (late != 0)
        atomic_fetch_add(&faults, call_send(c) != late || call_subscribe(c) != late ||
                                      call_close(c) != late || call_ping(c) != late);
}

static void on_open(ln_conn *c, const ln_request *request, void *user)
{
    char words[4] = "";
    plan *const p = &plans[atomic_fetch_add(&opened, 1)];
    (void)user;
    if (ln_request_param(request, "plan", words, sizeof words) != 3)
        abort();
    *p = (plan){(unsigned)(words[0] - 'a'), (unsigned)(words[1] - 'a'), (unsigned)(words[2] - 'a'),
                false};
    ln_conn_set_user(c, p);
    act(c, OPEN);
}

static void on_message(ln_conn *c, const ln_message *message, void *user)
{
    const plan *const p = ln_conn_user(c);
    (void)message;
    (void)user;
    for (int i = 0; p->moment == DRAIN && i < LONG_ONES; i++)
        (void)call_send_long(c);
    atomic_fetch_add(&flooded, p->moment == DRAIN);
    act(c, MESSAGE);
}

static void on_ping(ln_conn *c, ln_span data, void *user)
{
    (void)data;
    (void)user;
    act(c, PING);
}

static void on_pong(ln_conn *c, ln_span data, void *user)
{
    (void)data;
    (void)user;
    act(c, PONG);
}

static void on_drain(ln_conn *c, void *user)
{
    (void)user;
    act(c, DRAIN);
}

static void on_close(ln_conn *c, const ln_close_info *info, void *user)
{
    plan *const p = ln_conn_user(c);
    (void)info;
    (void)user;
    act(c, CLOSE);
    atomic_fetch_add(&faults, p->is_over);
    p->is_over = true;
    atomic_fetch_add(&closed, 1);
}

/* ---- peers ---- */

/* Says all it has to say at once: it may be cut off at any moment. */
static void live_once(int port, const char *path, unsigned now, unsigned first, unsigned second)
{
    static const char frames[] = "\x89\x84\0\0\0\0ping"
                                 "\x01\x83\0\0\0\0one"
                                 "\x8a\x84\0\0\0\0pong"
                                 "\x80\x83\0\0\0\0two"
                                 "\x88\x82\0\0\0\0\x03\xe8";
    char bytes[512], rest[65536];
    const unsigned drained = atomic_load(&reached[DRAIN]), floods = atomic_load(&flooded);
    const int fd = raw_connect(port);
    const int head = snprintf(bytes, sizeof bytes,
                              "GET %s?plan=%c%c%c HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n"
                              "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                              "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n",
                              path, 'a' + now, 'a' + first, 'a' + second);
    memcpy(bytes + head, frames, sizeof frames - 1);
    size_t later = now == DRAIN ? CLOSE_BYTES : 0; /* when it has drained */
    const int small = 32768;
    if (now == DRAIN)
        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    raw_send(fd, bytes, (size_t)head + sizeof frames - 1 - later);
    while (now == DRAIN && atomic_load(&flooded) == floods)
        sched_yield();
    const struct timeval moment_long = {.tv_usec = 10000};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &moment_long, sizeof moment_long);
    ssize_t n = 1;
    while (n > 0 || (n < 0 && errno == EAGAIN)) {
        n = recv(fd, rest, sizeof rest, 0);
        if (later > 0 && atomic_load(&reached[DRAIN]) > drained) {
            /* At once: a callback that sends more may drain again and again without a pause. */
            (void)send(fd, frames + sizeof frames - 1 - later, later, MSG_NOSIGNAL);
            later = 0;
        }
    }
    raw_close(fd);
}

static void every_call_is_harmless_in_every_callback(void **state)
{
    (void)state;
    const ln_ws_options ws = {
        .high_water_bytes = 4096, .low_water_bytes = 1024, .close_wait_ms = 1000};
    ln_ws_handlers handlers = {.on_open = on_open,
                               .on_message = on_message,
                               .on_ping = on_ping,
                               .on_pong = on_pong,
                               .on_drain = on_drain,
                               .on_close = on_close};
    ln_server *const server =
        ln_server_new(&(ln_server_options){.workers = 1, .log = kit_quiet, .drain_ms = 2000});
    assert_int_equal(ln_server_ws(server, "/m", &handlers, &ws), 0);
    handlers.on_chunk = on_message;
    handlers.on_message = NULL;
    assert_int_equal(ln_server_ws(server, "/c", &handlers, &ws), 0);
    assert_int_equal(ln_server_listen(server, "127.0.0.1:0"), 0);
    assert_int_equal(ln_server_start(server), 0);
    const int port = ln_server_port(server, 0);

    unsigned lives = 0;
    for (unsigned now = 0; now < MOMENTS; now++)
        for (unsigned first = 0; first < CALLS; first++)
            for (unsigned second = 0; second < CALLS; second++, lives++)
                live_once(port, lives % 2 ? "/m" : "/c", now, first, second);
    ln_server_stop(server);
    assert_int_equal(ln_server_join(server), 0);
    ln_server_free(server);
    assert_int_equal(atomic_load(&opened), lives);
    assert_int_equal(atomic_load(&closed), lives);
    assert_int_equal(atomic_load(&faults), 0);
    for (unsigned now = 0; now < MOMENTS; now++)
        assert_true(atomic_load(&reached[now]) >= CALLS * CALLS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_call_is_harmless_in_every_callback),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
