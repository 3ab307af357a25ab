/* SPDX-License-Identifier: MIT */
/*
 * test_streams - two ends of a connection on one loop, each counting what it is told, for tests of
 * streams.
 *
 * What an end sends and receives is a pattern: byte number i of a direction is test_byte(i), so
 * that a lost, doubled or moved byte is found where it happens.
 */
#ifndef TEST_STREAMS_H
#define TEST_STREAMS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/loop.h"
#include "net/stream.h"

enum { TEST_TURNS_MAX = 20000, TEST_NO_END = 1 };

typedef struct test_end test_end;
struct test_end {
    ln_stream stream;
    unsigned opens, ends, flushes, closes;
    unsigned drains; /* on_sent with nothing left in the stream */
    int end_err;     /* of the last on_end; TEST_NO_END before it */
    size_t got;
    size_t to_send;
    size_t sent;
    size_t piece; /* bytes a span; 0 = all in one */
    void (*after_open)(test_end *e);
    void (*after_recv)(test_end *e);
    void (*after_end)(test_end *e);
    void *user;
    uint8_t block[65536]; /* what is being sent: must stay until it has left */
};

static inline uint8_t test_byte(size_t i)
{
    return (uint8_t)(i * 7 + (i >> 8) * 13 + (i >> 16));
}

static inline test_end *test_end_of(ln_stream *s)
{
    return LN_CONTAINER_OF(s, test_end, stream);
}

/* Sends what is to be sent, as far as the stream takes it. */
static inline void test_end_send(test_end *e)
{
    enum { SPANS = 16 };
    while (e->sent < e->to_send && !ln_stream_is_sending(&e->stream) &&
           !ln_stream_is_closing(&e->stream)) {
        const size_t n = ln_min_size(sizeof e->block, e->to_send - e->sent);
        ln_span spans[SPANS];
        int k = 0;
        size_t used = 0;
        for (size_t i = 0; i < n; i++)
            e->block[i] = test_byte(e->sent + i);
        while (k < SPANS && used < n) {
            const size_t size = ln_min_size(e->piece ? e->piece : n, n - used);
            spans[k++] = (ln_span){e->block + used, size};
            used += size;
        }
        e->sent += ln_stream_send(&e->stream, spans, k);
    }
}

static inline void test_end_on_open(ln_stream *s)
{
    test_end *const e = test_end_of(s);
    assert_int_equal(e->got + e->ends + e->closes, 0);
    e->opens++;
    if (e->after_open)
        e->after_open(e);
}

static inline void test_end_on_recv(ln_stream *s, uint8_t *bytes, size_t n)
{
    test_end *const e = test_end_of(s);
    assert_true(n > 0);
    assert_int_equal(e->opens, 1);
    assert_int_equal(e->ends + e->closes, 0);
    for (size_t i = 0; i < n; i++)
        if (bytes[i] != test_byte(e->got + i))
            fail_msg("byte %zu is %02x, not %02x", e->got + i, bytes[i], test_byte(e->got + i));
    memset(bytes, 0xEE, n); /* it is ours to write */
    e->got += n;
    if (e->after_recv)
        e->after_recv(e);
}

static inline void test_end_on_sent(ln_stream *s, size_t n)
{
    test_end *const e = test_end_of(s);
    assert_int_equal(e->closes, 0);
    e->sent += n;
    e->drains += ln_stream_queued(s) == 0;
    test_end_send(e);
}

static inline void test_end_on_end(ln_stream *s, int err)
{
    test_end *const e = test_end_of(s);
    assert_int_equal(e->closes, 0);
    assert_true(e->ends == 0 || (e->ends == 1 && e->end_err == 0 && err < 0));
    e->ends++;
    e->end_err = err;
    if (e->after_end)
        e->after_end(e);
}

static inline void test_end_on_flush(ln_stream *s)
{
    test_end *const e = test_end_of(s);
    assert_int_equal(e->closes, 0);
    e->flushes++;
    test_end_send(e);
}

static inline void test_end_on_closed(ln_stream *s)
{
    test_end_of(s)->closes++;
}

static const ln_stream_ops test_end_ops = {
    .on_open = test_end_on_open,
    .on_recv = test_end_on_recv,
    .on_sent = test_end_on_sent,
    .on_end = test_end_on_end,
    .on_flush = test_end_on_flush,
    .on_closed = test_end_on_closed,
};

static inline void test_end_init(test_end *e)
{
    *e = (test_end){.end_err = TEST_NO_END};
}

/* Asks for `n` bytes to be sent, and for the loop to begin with it. */
static inline void test_end_queue(test_end *e, size_t n)
{
    e->to_send += n;
    ln_stream_cork(&e->stream);
}

static inline void test_end_close_after(test_end *e)
{
    ln_stream_close(&e->stream);
}

/* A connected pair of non-blocking stream sockets. */
static inline void test_pair(int fds[2])
{
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
}

/* The same over TCP, where a reset is a reset. */
static inline void test_tcp_pair(int fds[2])
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t length = sizeof address;
    const int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(listener, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(listener, 1), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &length), 0);
    fds[1] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fds[1], (struct sockaddr *)&address, sizeof address), 0);
    fds[0] = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    assert_true(fds[0] >= 0);
    fcntl(fds[1], F_SETFL, O_NONBLOCK);
    close(listener);
}

static inline ln_loop *test_loop(const ln_allocator *alloc)
{
    ln_loop *loop = NULL;
    assert_int_equal(ln_loop_new(&(ln_loop_options){.allocator = alloc}, &loop), 0);
    return loop;
}

/* Turns the loop until `condition` holds. */
#define test_until(loop, condition)                                                                \
    do {                                                                                           \
        unsigned turns_ = 0;                                                                       \
        while (!(condition) && turns_++ < TEST_TURNS_MAX)                                          \
            assert_int_equal(ln_loop_turn(loop, turns_ > 9), 0);                                   \
        assert_true(condition);                                                                    \
    } while (0)

/* Some turns in which nothing new should happen. */
static inline void test_rest(ln_loop *loop)
{
    for (int i = 0; i < 20; i++)
        assert_int_equal(ln_loop_turn(loop, i % 5 == 4), 0);
}

/*
 * Carries up to `n` bytes from `from` to `to`, both non-blocking; a FIN too. Returns what it
 * carried, 0 for nothing or FIN, -1 when one end is broken.
 */
static inline ssize_t test_carry(int from, int to, size_t n)
{
    uint8_t bytes[65536];
    const ssize_t got = recv(from, bytes, ln_min_size(n, sizeof bytes), 0);
    if (got > 0)
        return send(to, bytes, (size_t)got, MSG_NOSIGNAL) == got ? got : -1;
    if (got == 0)
        shutdown(to, SHUT_WR);
    return got == 0 || errno == EAGAIN ? 0 : -1;
}

/* Two ends joined by a pair; contexts NULL = plain. */
typedef struct test_link {
    ln_loop *loop;
    test_end server;
    test_end client;
} test_link;

/* Takes over both descriptors. */
static inline void test_link_open_fds(test_link *l, ln_loop *loop, const int fds[2],
                                      ln_tls_context *server, ln_tls_context *client,
                                      const char *name)
{
    l->loop = loop;
    test_end_init(&l->server);
    test_end_init(&l->client);
    assert_int_equal(ln_stream_open_server(&l->server.stream, loop, fds[0], server, &test_end_ops),
                     0);
    assert_int_equal(
        ln_stream_open_client(&l->client.stream, loop, fds[1], client, name, &test_end_ops), 0);
}

static inline void test_link_open(test_link *l, ln_loop *loop, ln_tls_context *server,
                                  ln_tls_context *client, const char *name)
{
    int fds[2];
    test_pair(fds);
    test_link_open_fds(l, loop, fds, server, client, name);
}

static inline void test_link_close(test_link *l)
{
    ln_stream_close(&l->server.stream);
    ln_stream_close(&l->client.stream);
    test_until(l->loop, l->server.closes == 1 && l->client.closes == 1);
}

#endif
