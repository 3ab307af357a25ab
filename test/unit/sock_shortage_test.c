/* SPDX-License-Identifier: MIT */
/*
 * A system that has no memory for a send: the connection lives, and the bytes go when it has. Here the
 * system's calls are replaced, so this is about epoll; with io_uring nobody stands between.
 */
#include "loop_kit.h"

#include <sys/syscall.h>

#include "net/backend.h"
#include "net/sock.h"

static int failures_left, failure;

static ssize_t passed_on(int fd, const struct msghdr *message, int flags)
{
    if (failures_left > 0) {
        failures_left--;
        errno = failure;
        return -1;
    }
    return syscall(SYS_sendmsg, fd, message, flags);
}

ssize_t sendmsg(int fd, const struct msghdr *message, int flags)
{
    return passed_on(fd, message, flags);
}

ssize_t send(int fd, const void *bytes, size_t n, int flags)
{
    struct iovec span = {(void *)(uintptr_t)bytes, n};
    return passed_on(fd, &(struct msghdr){.msg_iov = &span, .msg_iovlen = 1}, flags);
}

typedef struct end {
    ln_sock sock; /* first */
    unsigned sents, ends, closes;
    int err;
} end;

static void on_recv(ln_sock *s, uint8_t *bytes, size_t n)
{
    (void)s;
    (void)bytes;
    (void)n;
    fail();
}

static void on_sent(ln_sock *s, size_t n)
{
    assert_int_equal(n, 0);
    ((end *)s)->sents++;
}

static void on_end(ln_sock *s, int err)
{
    ((end *)s)->ends++;
    ((end *)s)->err = err;
}

static void on_flush(ln_sock *s)
{
    (void)s;
}

static void on_closed(ln_sock *s)
{
    ((end *)s)->closes++;
}

static const ln_sock_ops ops = {.on_recv = on_recv,
                                .on_sent = on_sent,
                                .on_end = on_end,
                                .on_flush = on_flush,
                                .on_closed = on_closed};

static void open_pair(end *e, ln_loop *loop, int *peer)
{
    int fds[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
    *e = (end){0};
    assert_int_equal(ln_sock_open(&e->sock, loop, fds[0], &ops), 0);
    *peer = fds[1];
}

static void close_pair(end *e, ln_loop *loop, int peer)
{
    ln_sock_close(&e->sock);
    KIT_UNTIL(loop, e->closes == 1);
    close(peer);
    ln_loop_free(loop);
}

static void what_finds_no_memory_goes_later(void **state)
{
    static const int errors[] = {ENOBUFS, ENOMEM};
    const ln_span spans[] = {LN_SPAN("hel"), LN_SPAN("lo")};

    for (size_t i = 0; i < 2 * sizeof errors / sizeof *errors; i++) {
        ln_loop *const loop = kit_loop(state);
        const int k = 1 + (int)(i % 2); /* by send() and by sendmsg() */
        char bytes[8];
        int peer;
        end e;

        open_pair(&e, loop, &peer);
        failure = errors[i / 2];
        failures_left = 3;
        for (unsigned tries = 0; tries < 3; tries++) {
            assert_int_equal(ln_sock_send(&e.sock, spans, k), 0);
            assert_true(ln_sock_is_sending(&e.sock));
            KIT_UNTIL(loop, e.sents > tries);
        }
        const int all = k == 1 ? 3 : 5;
        assert_int_equal(ln_sock_send(&e.sock, spans, k), all);
        assert_int_equal(read(peer, bytes, sizeof bytes), all);
        assert_memory_equal(bytes, "hello", (size_t)all);
        assert_int_equal(e.ends, 0);
        close_pair(&e, loop, peer);
    }
}

static void what_fails_otherwise_is_the_end(void **state)
{
    ln_loop *const loop = kit_loop(state);
    const ln_span span = LN_SPAN("hello");
    int peer;
    end e;

    open_pair(&e, loop, &peer);
    failure = ENETDOWN;
    failures_left = 1;
    assert_int_equal(ln_sock_send(&e.sock, &span, 1), 0);
    KIT_UNTIL(loop, e.ends == 1);
    assert_int_equal(e.err, LN_ERR_IO);
    close_pair(&e, loop, peer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        KIT_ONE("epoll", what_finds_no_memory_goes_later, &kit_epoll),
        KIT_ONE("epoll", what_fails_otherwise_is_the_end, &kit_epoll),
    };
    (void)kit_uring; /* not here */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
