/* SPDX-License-Identifier: MIT */
#include "queue_kit.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <semaphore.h>
#include <sys/socket.h>

#include "raw_client.h"
#include "server_kit.h"

/* ---- the server ---- */

static void on_open(ln_conn *c, const ln_request *request, void *user)
{
    queue_place *const p = user;
    queue_peer *const peer = &p->peers[atomic_load(&p->count)];

    (void)request;
    peer->place = p;
    peer->conn = c;
    peer->id = ln_conn_get_id(c);
    ln_conn_set_user(c, peer);
    atomic_fetch_add(&p->count, 1);
}

static void on_drain(ln_conn *c, void *user)
{
    (void)user;
    atomic_fetch_add(&((queue_peer *)ln_conn_user(c))->drains, 1);
}

static void on_close(ln_conn *c, const ln_close_info *info, void *user)
{
    queue_peer *const peer = ln_conn_user(c);

    (void)user;
    atomic_store(&peer->close_code, info->code);
    atomic_store(&peer->close_error, info->error);
    atomic_fetch_add(&peer->closed, 1);
}

queue_place *queue_begin(const ln_server_options *server, const ln_ws_options *ws)
{
    queue_place *const p = calloc(1, sizeof *p);
    const ln_ws_handlers handlers = {
        .on_open = on_open, .on_drain = on_drain, .on_close = on_close, .user = p};
    ln_server_options options = {.drain_ms = 100};

    assert_non_null(p);
    if (server != NULL)
        options = *server;
    options.log = kit_quiet;
    p->server = ln_server_new(&options);
    assert_non_null(p->server);
    assert_int_equal(ln_server_ws(p->server, "/x", &handlers, ws), 0);
    p->port = kit_serve(p->server);
    return p;
}

void queue_end(queue_place *p)
{
    assert_int_equal(kit_halt(p->server), 0);
    assert_int_equal(queue_stats(p).queued_bytes, 0);
    assert_int_equal(queue_stats(p).queued_connections, 0);
    ln_server_free(p->server);
    free(p);
}

ln_server_stats queue_stats(const queue_place *p)
{
    ln_server_stats stats;

    ln_server_stats_get(p->server, &stats);
    return stats;
}

/* ---- peers ---- */

queue_peer *queue_enter(queue_place *p)
{
    const struct sockaddr_in to = {.sin_family = AF_INET,
                                   .sin_port = htons((uint16_t)p->port),
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    const int small = 4096, before = atomic_load(&p->count);
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0 && before < QUEUE_PEERS_MAX);
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small), 0);
    assert_int_equal(connect(fd, (const struct sockaddr *)&to, sizeof to), 0);
    assert_non_null(strstr(raw_upgrade(fd, "/x", ""), " 101 "));
    kit_wait_for(&p->count, before + 1);
    p->peers[before].fd = fd;
    return &p->peers[before];
}

void queue_leave(queue_peer *peer)
{
    raw_close(peer->fd);
    kit_wait_for(&peer->closed, 1);
}

static void read_exactly(int fd, uint8_t *to, size_t n)
{
    const struct timeval patience = {.tv_sec = 10};
    const int larger = 262144;

    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience), 0);
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &larger, sizeof larger), 0);
    while (n > 0) {
        const ssize_t got = recv(fd, to, n, 0);
        if (got < 0 && errno == EINTR)
            continue; /* a ring's doing: with a time-out the system does not go on by itself */
        if (got <= 0)
            fail_msg("%zu bytes missing: %s", n, got == 0 ? "end" : strerror(errno));
        to += got;
        n -= (size_t)got;
    }
}

void queue_read_filler(queue_peer *peer, size_t size)
{
    uint8_t *const frame = malloc(10 + size);

    assert_non_null(frame);
    read_exactly(peer->fd, frame, 10 + size);
    assert_int_equal(frame[0], 0x82);
    assert_int_equal(frame[1], 127);
    free(frame);
}

void queue_expect(queue_peer *peer, const char *text)
{
    const raw_frame f = raw_read_frame(peer->fd);

    assert_int_equal(f.first, 0x81);
    assert_string_equal((const char *)f.payload, text);
}

/* ---- on the loop ---- */

typedef struct call {
    void (*fn)(ln_conn *c, void *arg);
    queue_peer *peer;
    void *arg;
    sem_t done;
} call;

static void run(void *arg)
{
    call *const what = arg;

    if (atomic_load(&what->peer->closed) == 0) /* else there is no connection any more */
        what->fn(what->peer->conn, what->arg);
    sem_post(&what->done);
}

void queue_on_loop(queue_peer *peer, void (*fn)(ln_conn *c, void *arg), void *arg)
{
    call what = {.fn = fn, .peer = peer, .arg = arg};

    sem_init(&what.done, 0, 0);
    assert_int_equal(ln_server_post(peer->place->server, (unsigned)(peer->id >> 56), run, &what),
                     0);
    while (sem_wait(&what.done) != 0)
        ;
    sem_destroy(&what.done);
}

static void send_filler(ln_conn *c, void *arg)
{
    const size_t size = *(const size_t *)arg;
    uint8_t *const bytes = calloc(1, size);

    assert_non_null(bytes);
    assert_true(ln_conn_send(c, LN_BINARY, (ln_span){bytes, size}) >= 0);
    assert_true(ln_conn_queued_bytes(c) > size / 4);
    free(bytes);
}

static void get_bytes(ln_conn *c, void *arg)
{
    *(size_t *)arg = ln_conn_queued_bytes(c);
}

/* The system takes more for a while. */
static void wait_until_still(queue_peer *peer)
{
    size_t before = 0, now = 0;

    for (int still = 0; still < 3; still = now == before ? still + 1 : 0) {
        before = now;
        kit_rest_ms(10);
        queue_on_loop(peer, get_bytes, &now);
    }
}

void queue_stall(queue_peer *peer, size_t size)
{
    queue_on_loop(peer, send_filler, &size);
    wait_until_still(peer);
}
