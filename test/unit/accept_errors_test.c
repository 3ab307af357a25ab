/* SPDX-License-Identifier: MIT */
/*
 * A listener whose accept() fails in all ways it can (accept(2)): none of them is its end, and none
 * of them a loop without a pause. Here the system's call is replaced, so this is about epoll; with
 * io_uring nobody stands between.
 */
#include "loop_kit.h"

#include <sys/syscall.h>
#include <time.h>

#include "net/address.h"
#include "net/backend.h"
#include "net/listener.h"

static int failure; /* errno of every call; 0 = it is passed on */
static unsigned failures;

/* The C library declares accept4() with a type of its own. */
int accept_instead(int fd, struct sockaddr *address, socklen_t *length,
                   int flags) __asm__("accept4");

int accept_instead(int fd, struct sockaddr *address, socklen_t *length, int flags)
{
    if (failure != 0) {
        failures++;
        errno = failure;
        return -1;
    }
    return (int)syscall(SYS_accept4, fd, address, length, flags);
}

static ln_listener listener;
static unsigned accepted, closed;

static void on_accept(ln_listener *l, int fd)
{
    assert_ptr_equal(l, &listener);
    accepted++;
    close(fd);
}

static void on_closed(ln_listener *l)
{
    (void)l;
    closed++;
}

static uint64_t cpu_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static int connect_to(const ln_address *address)
{
    const struct sockaddr *const any = (const struct sockaddr *)address->bytes;
    const int fd = socket(any->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, any, address->length), 0);
    return fd;
}

/* Errors of the connection at the front of the queue: accepting goes on with the next at once.
 * Everything else needs time, and is given some. */
static void after_any_error_it_accepts_again(void **state)
{
    static const int errors[] = {
        EAGAIN,    EINTR,       ECONNABORTED, EPERM,        EPROTO,          ENOPROTOOPT,
        ENETDOWN,  ENETUNREACH, EHOSTDOWN,    EHOSTUNREACH, ENONET,          EMFILE,
        ENFILE,    ENOBUFS,     ENOMEM,       EOPNOTSUPP,   ESOCKTNOSUPPORT, EPROTONOSUPPORT,
        ETIMEDOUT, ENOSR,       EFAULT,       EINVAL,       ECONNREFUSED,    EIO,
        ENOSPC,    EACCES,      EBADF};
    ln_loop *const loop = kit_loop(state);
    ln_address address, self;
    int fd;

    assert_int_equal(ln_address_parse(LN_SPAN("127.0.0.1:0"), &address), 0);
    assert_int_equal(ln_listen(&address, false, &fd), 0);
    assert_int_equal(ln_address_of_self(fd, &self), 0);
    assert_int_equal(ln_listener_open(&listener, loop, fd, on_accept), 0);
    for (size_t i = 0; i < sizeof errors / sizeof *errors; i++) {
        const uint64_t began_ms = cpu_ms();
        accepted = failures = 0;
        failure = errors[i];
        const int client = connect_to(&self);
        KIT_UNTIL(loop, failures > 0);
        for (int turns = 0; turns < 5; turns++)
            assert_int_equal(ln_loop_turn(loop, 1), 0);
        failure = 0;
        assert_int_equal(accepted, 0);
        const int other = connect_to(&self);
        KIT_UNTIL(loop, accepted == 2);
        assert_true(cpu_ms() - began_ms < 1000);
        close(client);
        close(other);
    }
    ln_listener_close(&listener, on_closed);
    KIT_UNTIL(loop, closed == 1);
    ln_loop_free(loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        KIT_ONE("epoll", after_any_error_it_accepts_again, &kit_epoll),
    };
    (void)kit_uring; /* not here */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
