/* SPDX-License-Identifier: MIT */
/*
 * loop_kit - what the tests of the net floor share: each test once per back end, turning until
 * something holds, and descriptors that are all given back.
 *
 *     static void the_promise(void **state) { ln_loop *loop = kit_loop(state); ...;
 *     ln_loop_free(loop); }
 *     const struct CMUnitTest tests[] = { KIT_BOTH(the_promise) };
 */
#ifndef LOOP_KIT_H
#define LOOP_KIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "net/loop.h"

typedef struct kit_state {
    enum ln_io io;
    const ln_allocator *alloc;
} kit_state;

static kit_state kit_epoll = {.io = LN_IO_EPOLL};
static kit_state kit_uring = {.io = LN_IO_URING};

static int kit_fds_before;

/* Descriptors that are open in this process. */
static inline int kit_count_fds(void)
{
    DIR *const d = opendir("/proc/self/fd");
    int n = -1; /* opendir's own */
    while (readdir(d))
        n++;
    closedir(d);
    return n;
}

static inline int kit_setup(void **state)
{
    (void)state;
    kit_fds_before = kit_count_fds();
    return 0;
}

static inline int kit_teardown(void **state)
{
    (void)state;
    const int left = kit_count_fds() - kit_fds_before;
    if (left != 0)
        print_error("%d descriptors were not closed\n", left);
    return left;
}

#define KIT_ONE(label, test, pre)                                                                  \
    {                                                                                              \
        label ": " #test, test, kit_setup, kit_teardown, pre                                       \
    }
#define KIT_BOTH(test) KIT_ONE("epoll", test, &kit_epoll), KIT_ONE("uring", test, &kit_uring)

/* A loop with the back end of this run; skips the test where the machine has none. */
static inline ln_loop *kit_loop_with(void **state, const ln_allocator *alloc)
{
    const kit_state *const s = *state;
    const ln_loop_options options = {.io = s->io, .allocator = alloc};
    ln_loop *loop = NULL;
    const int rc = ln_loop_new(&options, &loop);
    if (rc == LN_ERR_UNSUPPORTED && s->io == LN_IO_URING)
        skip();
    assert_int_equal(rc, 0);
    return loop;
}

static inline ln_loop *kit_loop(void **state)
{
    return kit_loop_with(state, NULL);
}

static inline uint64_t kit_now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* Turns until `condition` holds; ten seconds are a failure. */
#define KIT_UNTIL(loop, condition)                                                                 \
    do {                                                                                           \
        const uint64_t kit_begin_ms = kit_now_ms();                                                \
        while (!(condition)) {                                                                     \
            assert_int_equal(ln_loop_turn(loop, 20), 0);                                           \
            if (kit_now_ms() - kit_begin_ms > 10000)                                               \
                fail_msg("never: %s", #condition);                                                 \
        }                                                                                          \
    } while (0)

/* Turns until nothing has happened for a while. */
static inline void kit_rest(ln_loop *loop)
{
    for (int i = 0; i < 8; i++)
        assert_int_equal(ln_loop_turn(loop, 2), 0);
}

static inline void kit_nonblocking(int fd)
{
    assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
}

/* A pair of Unix stream sockets, not blocking. */
static inline void kit_pair(int fds[2])
{
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
}

/* The same over TCP on the loopback interface. */
static inline void kit_tcp_pair(int fds[2])
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t length = sizeof a;
    const int door = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(door, (struct sockaddr *)&a, sizeof a), 0);
    assert_int_equal(listen(door, 1), 0);
    assert_int_equal(getsockname(door, (struct sockaddr *)&a, &length), 0);
    fds[1] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fds[1], (struct sockaddr *)&a, sizeof a), 0);
    fds[0] = accept(door, NULL, NULL);
    assert_true(fds[0] >= 0);
    close(door);
    kit_nonblocking(fds[0]);
    kit_nonblocking(fds[1]);
}

/* Closes a TCP socket so that the peer gets a reset. */
static inline void kit_close_by_reset(int fd)
{
    const struct linger at_once = {.l_onoff = 1, .l_linger = 0};
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once), 0);
    close(fd);
}

/* The byte at position `i` of a long stream: repeats nowhere near a buffer's size. */
static inline uint8_t kit_byte(size_t i)
{
    return (uint8_t)(i * 31 + (i >> 8) * 17 + (i >> 16));
}

#endif
