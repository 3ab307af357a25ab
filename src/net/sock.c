/* SPDX-License-Identifier: MIT */
/* The half of a sock that is the same for every back end: flags, lists, and the order in which its
 * end is told. */
#include "sock.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include "backend.h"

int ln_sock_start(ln_sock *s, ln_loop *loop, int fd, unsigned kind, const ln_sock_ops *ops)
{
    *s = (ln_sock){.loop = loop, .ops = ops, .fd = fd, .io_flags = (uint8_t)kind};
    const int rc = loop->backend->start(s);
    if (rc < 0)
        return rc;
    loop->sockets++;
    return 0;
}

int ln_sock_open(ln_sock *s, ln_loop *loop, int fd, const ln_sock_ops *ops)
{
    const int rc = ln_sock_start(s, loop, fd, LN_SOCK_STREAM, ops);
    if (rc < 0)
        close(fd);
    return rc;
}

void ln_sock_set_ops(ln_sock *s, const ln_sock_ops *ops)
{
    s->ops = ops;
}

static bool may_send(ln_sock *s, int k)
{
    LN_ASSERT(k > 0 && k <= LN_SOCK_SPANS_MAX);
    if (LN_UNLIKELY(s->flags & (LN_SOCK_CLOSING | LN_SOCK_BROKEN | LN_SOCK_FAILED))) {
        s->flags |= LN_SOCK_SENDING; /* nothing leaves any more, and nobody needs to try again */
        return false;
    }
    LN_ASSERT(!(s->flags & (LN_SOCK_SENDING | LN_SOCK_SHUT)));
    return true;
}

size_t ln_sock_send(ln_sock *s, const ln_span *spans, int k)
{
    return may_send(s, k) ? s->loop->backend->send(s, spans, k) : 0;
}

size_t ln_sock_send_quiet(ln_sock *s, const ln_span *spans, int k)
{
    return may_send(s, k) ? s->loop->backend->send_quiet(s, spans, k) : 0;
}

size_t ln_sock_write(ln_sock *s, const ln_span *spans, int k)
{
    const struct msghdr message = {.msg_iov = (struct iovec *)(uintptr_t)spans,
                                   .msg_iovlen = (size_t)k};

    if (!may_send(s, k))
        return 0;
    const ssize_t n = sendmsg(s->fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    return n > 0 ? (size_t)n : 0;
}

bool ln_sock_is_sending(const ln_sock *s)
{
    return s->flags & LN_SOCK_SENDING;
}

void ln_sock_cork(ln_sock *s)
{
    if (s->flags & (LN_SOCK_CORKED | LN_SOCK_CLOSING))
        return;
    s->flags |= LN_SOCK_CORKED;
    s->next = NULL;
    *s->loop->corked_end = s;
    s->loop->corked_end = &s->next;
}

void ln_sock_pause(ln_sock *s)
{
    if (s->flags & (LN_SOCK_PAUSED | LN_SOCK_CLOSING))
        return;
    s->flags |= LN_SOCK_PAUSED;
    s->loop->backend->stop(s);
}

void ln_sock_resume(ln_sock *s)
{
    if (!(s->flags & LN_SOCK_PAUSED) || s->flags & LN_SOCK_CLOSING)
        return;
    s->flags &= (uint8_t)~LN_SOCK_PAUSED;
    ln_sock_start_again(s);
}

void ln_sock_start_again(ln_sock *s)
{
    if (!ln_sock_wants_input(s) || s->loop->backend->start(s) == 0)
        return;
    if (ln_sock_kind(s) == LN_SOCK_STREAM)
        ln_sock_break(s);
    else
        ln_sock_cork(s);
}

void ln_sock_break(ln_sock *s)
{
    s->flags |= LN_SOCK_BROKEN | LN_SOCK_PAUSED;
    ln_sock_cork(s);
}

bool ln_sock_is_paused(const ln_sock *s)
{
    return s->flags & LN_SOCK_PAUSED;
}

void ln_sock_shutdown(ln_sock *s)
{
    if (s->flags & (LN_SOCK_SHUT | LN_SOCK_CLOSING | LN_SOCK_BROKEN | LN_SOCK_FAILED))
        return;
    LN_ASSERT(!(s->flags & LN_SOCK_SENDING));
    s->flags |= LN_SOCK_SHUT;
    shutdown(s->fd, SHUT_WR); /* by hand: io_uring would give it to a thread */
}

void ln_sock_close(ln_sock *s)
{
    if (s->flags & LN_SOCK_CLOSING)
        return;
    s->flags |= LN_SOCK_CLOSING;
    if (s->flags & LN_SOCK_CORKED)
        return; /* the flush phase moves it: one link, one list at a time */
    s->next = s->loop->closing;
    s->loop->closing = s;
}

void ln_sock_reset(ln_sock *s)
{
    const struct linger at_once = {.l_onoff = 1, .l_linger = 0};
    if (!(s->flags & LN_SOCK_CLOSING))
        setsockopt(s->fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    ln_sock_close(s);
}

bool ln_sock_is_closing(const ln_sock *s)
{
    return s->flags & LN_SOCK_CLOSING;
}

void ln_sock_set_user_timeout(ln_sock *s, uint32_t ms)
{
    const unsigned value = ms;
    /* Other than TCP has no such option, and no harm is done. */
    setsockopt(s->fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &value, sizeof value);
}

static int err_of(int error)
{
    switch (error) {
    case 0:
        return 0;
    case ECONNRESET:
    case EPIPE:
        return LN_ERR_RESET;
    case ETIMEDOUT:
        return LN_ERR_TIMEOUT;
    default:
        return LN_ERR_IO;
    }
}

bool ln_sock_is_shortage(int error)
{
    return error == ENOBUFS || error == ENOMEM;
}

static void report(ln_sock *s, int err)
{
    const unsigned told = err ? LN_SOCK_FAILED : LN_SOCK_ENDED;
    if (s->flags & (LN_SOCK_CLOSING | told))
        return;
    s->flags |= (uint8_t)(LN_SOCK_ENDED | told);
    s->ops->on_end(s, err);
}

void ln_sock_receive_ended(ln_sock *s, int error)
{
    /* A send that failed took the error with it, and what is left looks like an orderly end. */
    if (!error && s->flags & LN_SOCK_BROKEN)
        error = ECONNRESET;
    report(s, err_of(error));
}

void ln_sock_send_failed(ln_sock *s, int error)
{
    s->flags |= LN_SOCK_SENDING;
    report(s, err_of(error));
}
