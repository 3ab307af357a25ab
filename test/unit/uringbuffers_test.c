/* SPDX-License-Identifier: MIT */
/* The shared receive buffers of an io_uring loop: enough for any crowd, and never more than
 * LN_URING_BUFFERS_MAX. */
#include "loop_kit.h"

#include "net/sock.h"
#include "net/uring.h"

enum { CROWD = 200 }; /* whose sockets hold more than all buffers together: some 40 MiB */

typedef struct reader {
    ln_sock sock;
    size_t received;
    bool is_closed;
} reader;

static void on_recv(ln_sock *s, uint8_t *bytes, size_t n)
{
    (void)bytes;
    LN_CONTAINER_OF(s, reader, sock)->received += n;
}

static void on_sent(ln_sock *s, size_t n)
{
    (void)s;
    (void)n;
}

static void on_end(ln_sock *s, int err)
{
    (void)s;
    (void)err;
}

static void on_flush(ln_sock *s)
{
    (void)s;
}

static void on_closed(ln_sock *s)
{
    LN_CONTAINER_OF(s, reader, sock)->is_closed = true;
}

static const ln_sock_ops ops = {.on_recv = on_recv,
                                .on_sent = on_sent,
                                .on_end = on_end,
                                .on_flush = on_flush,
                                .on_closed = on_closed};

/* As much as the system takes. */
static size_t fill(int fd)
{
    static const uint8_t bytes[65536];
    size_t total = 0;
    for (ssize_t n; (n = send(fd, bytes, sizeof bytes, MSG_NOSIGNAL)) > 0;)
        total += (size_t)n;
    return total;
}

static size_t sum_of(const reader *readers)
{
    size_t sum = 0;
    for (int i = 0; i < CROWD; i++)
        sum += readers[i].received;
    return sum;
}

static bool are_closed(const reader *readers)
{
    int n = 0;
    while (n < CROWD && readers[n].is_closed)
        n++;
    return n == CROWD;
}

static void a_crowd_is_read_with_a_bounded_number(void **state)
{
    ln_loop *loop = kit_loop(state);
    const ln_uring *u = loop->io;
    static reader readers[CROWD];
    int peers[CROWD];
    size_t sent = 0;
    memset(readers, 0, sizeof readers);
    assert_int_equal(u->buffer_count, LN_URING_BUFFERS_FIRST);
    for (int i = 0; i < CROWD; i++) {
        int fds[2];
        kit_pair(fds);
        peers[i] = fds[1];
        sent += fill(fds[1]);
        assert_int_equal(ln_sock_open(&readers[i].sock, loop, fds[0], &ops), 0);
    }
    assert_true(sent > (size_t)LN_URING_BUFFERS_MAX * LN_URING_BUFFER_BYTES);
    KIT_UNTIL(loop, sum_of(readers) == sent);
    assert_true(u->buffer_count > LN_URING_BUFFERS_FIRST);
    for (int i = 0; i < 16; i++) /* asked for more often than any crowd can */
        ln_uring_grow(loop->io);
    assert_int_equal(u->buffer_count, LN_URING_BUFFERS_MAX);

    for (int i = 0; i < CROWD; i++) {
        ln_sock_close(&readers[i].sock);
        close(peers[i]);
    }
    KIT_UNTIL(loop, are_closed(readers));
    ln_loop_free(loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        KIT_ONE("uring", a_crowd_is_read_with_a_bounded_number, &kit_uring)};
    (void)kit_epoll;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
