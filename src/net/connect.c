/* SPDX-License-Identifier: MIT */
/*
 * Connecting out: connect() by hand, then the back end's wait for the one moment when it has
 * succeeded or failed.
 *
 *   connecting   sock open, timer unset     -> on_result() -> gone
 *   refused      sock never opened, timer due at once -> tell_failure() -> gone
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include "backend.h"

struct ln_connect {
    ln_sock sock;
    ln_timer timer; /* set: it failed at once, which is told from the next turn */
    ln_loop *loop;
    void (*done)(void *arg, int err, int fd);
    void *arg;
    int err;
    bool is_bound; /* to an address that the caller chose */
};

static int err_of(const ln_connect *c, int error)
{
    switch (error) {
    case EADDRNOTAVAIL: /* without a choice: no way there, as when IPv6 is off */
    case EADDRINUSE:
        return c->is_bound ? LN_ERR_ADDRESS : LN_ERR_CONNECT;
    case EACCES:
    case EPERM:
        return LN_ERR_ACCESS;
    case ETIMEDOUT:
        return LN_ERR_TIMEOUT;
    case ENOMEM:
    case ENOBUFS:
        return LN_ERR_IO;
    default:
        return LN_ERR_CONNECT;
    }
}

static void on_result(ln_sock *s, int result)
{
    (void)result;
    ln_connect *const c = LN_CONTAINER_OF(s, ln_connect, sock);
    int error = 0;
    socklen_t length = sizeof error;
    if (getsockopt(s->fd, SOL_SOCKET, SO_ERROR, &error, &length) < 0)
        error = errno;

    ln_sock_close(s);
    if (error) {
        c->done(c->arg, err_of(c, error), -1);
        return;
    }
    const int fd = s->fd;
    s->fd = -1; /* the callee's from here */
    c->done(c->arg, 0, fd);
}

static void on_closed(ln_sock *s)
{
    ln_free(s->loop->alloc, LN_CONTAINER_OF(s, ln_connect, sock));
}

static const ln_sock_ops connect_ops = {.on_result = on_result, .on_closed = on_closed};

static void tell_failure(ln_timer *timer)
{
    ln_connect *const c = LN_CONTAINER_OF(timer, ln_connect, timer);
    const ln_connect copy = *c;
    ln_free(copy.loop->alloc, c);
    copy.done(copy.arg, copy.err, -1);
}

static const struct sockaddr *sockaddr_of(const ln_address *a)
{
    return (const struct sockaddr *)(const void *)a->bytes;
}

/* The port is chosen when connecting: a local port then serves as often as there are peers. */
static int bind_to(int fd, const ln_address *from)
{
    const int yes = 1;
    setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &yes, sizeof yes);
    return bind(fd, sockaddr_of(from), from->length);
}

/* 0: under way; > 0: the errno with which it failed at once; < 0: nothing was started. */
static int begin(ln_connect *c, const ln_address *to, const ln_address *from)
{
    const int family = sockaddr_of(to)->sa_family;
    const int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return errno == EMFILE || errno == ENFILE ? LN_ERR_DESCRIPTORS : errno;
    const int yes = 1;
    if (family != AF_UNIX)
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);

    if ((from != NULL && bind_to(fd, from) < 0) ||
        (connect(fd, sockaddr_of(to), to->length) < 0 && errno != EINPROGRESS)) {
        const int error = errno;
        close(fd);
        return error;
    }
    const int rc = ln_sock_start(&c->sock, c->loop, fd, LN_SOCK_CONNECT, &connect_ops);
    if (rc < 0)
        close(fd);
    return rc;
}

static bool is_address(const ln_address *a)
{
    const struct sockaddr *const s = sockaddr_of(a);

    if (a->length < sizeof s->sa_family || a->length > sizeof(struct sockaddr_storage))
        return false;
    return s->sa_family == AF_INET || s->sa_family == AF_INET6 || s->sa_family == AF_UNIX;
}

int ln_connect_start(ln_loop *loop, const ln_address *to, const ln_address *from,
                     void (*done)(void *arg, int err, int fd), void *arg, ln_connect **handle)
{
    if (!is_address(to))
        return LN_ERR_ADDRESS;
    if (from != NULL && sockaddr_of(from)->sa_family != sockaddr_of(to)->sa_family)
        return LN_ERR_ADDRESS;
    ln_connect *const c = ln_alloc(loop->alloc, sizeof *c);
    if (!c)
        return LN_ERR_NOMEM;
    *c = (ln_connect){.loop = loop, .done = done, .arg = arg, .is_bound = from != NULL};
    ln_timer_init(&c->timer, tell_failure);

    const int rc = begin(c, to, from);
    if (rc < 0) {
        ln_free(loop->alloc, c);
        return rc;
    }
    if (rc > 0) {
        c->err = err_of(c, rc);
        ln_timer_set(&loop->wheel, &c->timer, loop->now_ms);
    }
    *handle = c;
    return 0;
}

void ln_connect_cancel(ln_connect *handle)
{
    if (ln_timer_is_set(&handle->timer)) {
        ln_timer_clear(&handle->loop->wheel, &handle->timer);
        ln_free(handle->loop->alloc, handle);
        return;
    }
    ln_sock_close(&handle->sock);
}
