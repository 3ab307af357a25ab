/* SPDX-License-Identifier: MIT */
/*
 * The back end that runs everywhere: readiness turned into completions.
 *
 * Level-triggered, and lazy about it: interest is changed only when an event comes that nobody
 * wants, so that pausing, resuming, ending and closing within one turn cost no system call. A
 * receive that did not fill its memory is not repeated: a steady echo is one epoll_wait a turn, one
 * recv and one send a message.
 */
#include <errno.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "backend.h"

enum {
    EVENTS_MAX = 512, /* a turn */
    RECEIVES_MAX = 8, /* a turn and sock: half a megabyte, then the others' turn */
    ACCEPTS_MAX = 64, /* a turn and listener */
};

/* io_flags above the kind: what epoll was told, and why a send failed. */
enum {
    ARMED_IN = 0x04,
    ARMED_OUT = 0x08,
    ARMED = ARMED_IN | ARMED_OUT, /* neither: not in the set, which reports hang-ups for ever */
    ALWAYS_READY = 0x10,          /* in epoll_io.always */
    FAULT_TIMEOUT = 0x40,         /* with LN_SOCK_BROKEN: ... for another reason than a reset */
    FAULT_OTHER = 0x80
};

struct epoll_io {
    int fd;
    int wake_fd;
    ln_sock **always; /* watches whose descriptor epoll refuses */
    size_t always_count;
    size_t always_capacity;
    struct epoll_event events[EVENTS_MAX];
    uint8_t buffer[LN_LOOP_RECV_BYTES];
};

_Static_assert(sizeof(ln_span) == sizeof(struct iovec) &&
                   offsetof(ln_span, data) == offsetof(struct iovec, iov_base) &&
                   offsetof(ln_span, size) == offsetof(struct iovec, iov_len),
               "spans are passed to the system as they are");

static int err_of_control(void)
{
    return errno == ENOMEM || errno == ENOSPC ? LN_ERR_NOMEM : LN_ERR_INVALID;
}

/* Tells epoll to report `armed` (ARMED_...) and nothing else. */
static int arm(ln_sock *s, unsigned armed)
{
    struct epoll_io *const io = s->loop->io;
    const unsigned before = s->io_flags & ARMED;
    if (armed == before)
        return 0;
    struct epoll_event event = {.events = (armed & ARMED_IN ? EPOLLIN : 0) |
                                          (armed & ARMED_OUT ? EPOLLOUT : 0),
                                .data.ptr = s};
    const int change = armed == 0 ? EPOLL_CTL_DEL : EPOLL_CTL_MOD;
    const int op = before == 0 ? EPOLL_CTL_ADD : change;
    if (epoll_ctl(io->fd, op, s->fd, &event) < 0)
        return err_of_control();
    s->io_flags = (uint8_t)((s->io_flags & ~ARMED) | armed);
    return 0;
}

static unsigned wanted(const ln_sock *s)
{
    if (s->flags & LN_SOCK_FAILED)
        return 0;
    return (ln_sock_wants_input(s) ? ARMED_IN : 0u) | (s->flags & LN_SOCK_SENDING ? ARMED_OUT : 0u);
}

/* Regular files are ready at any time, says poll(); epoll only says EPERM. */
static int always_add(ln_sock *s)
{
    struct epoll_io *const io = s->loop->io;
    if (io->always_count == io->always_capacity) {
        const size_t capacity = io->always_capacity ? io->always_capacity * 2 : 4;
        ln_sock **const always =
            ln_realloc(s->loop->alloc, io->always, capacity * sizeof(ln_sock *));
        if (!always)
            return LN_ERR_NOMEM;
        io->always = always;
        io->always_capacity = capacity;
    }
    s->io_flags |= ALWAYS_READY;
    io->always[io->always_count++] = s;
    return 0;
}

static void always_remove(ln_sock *s)
{
    struct epoll_io *const io = s->loop->io;
    size_t i = 0;
    while (io->always[i] != s)
        i++;
    io->always[i] = io->always[--io->always_count];
}

/* Operations */

static int epoll_start(ln_sock *s)
{
    const unsigned kind = ln_sock_kind(s);
    if (kind == LN_SOCK_CONNECT)
        return arm(s, ARMED_OUT);
    if (kind != LN_SOCK_WATCH)
        return arm(s, (s->io_flags & ARMED) | ARMED_IN);
    const int rc = arm(s, ARMED_IN);
    return rc == LN_ERR_INVALID && errno == EPERM ? always_add(s) : rc;
}

static void epoll_stop(ln_sock *s)
{
    (void)s; /* the first event that is not wanted disarms it */
}

/* Sends what the system takes now. Any failure is told from the next wait(), where callbacks
 * belong. */
static size_t epoll_send(ln_sock *s, const ln_span *spans, int k)
{
    ssize_t n;
    size_t total = spans[0].size;
    if (k == 1) {
        n = send(s->fd, spans[0].data, spans[0].size, MSG_NOSIGNAL);
    } else {
        const struct msghdr message = {.msg_iov = (struct iovec *)(uintptr_t)spans,
                                       .msg_iovlen = (size_t)k};
        for (int i = 1; i < k; i++)
            total += spans[i].size;
        n = sendmsg(s->fd, &message, MSG_NOSIGNAL);
    }
    if (LN_LIKELY(n == (ssize_t)total))
        return total;

    s->flags |= LN_SOCK_SENDING;
    if (n < 0 && errno != EAGAIN && errno != EINTR && !ln_sock_is_shortage(errno)) {
        s->flags |= LN_SOCK_BROKEN;
        if (errno != ECONNRESET && errno != EPIPE)
            s->io_flags |= errno == ETIMEDOUT ? FAULT_TIMEOUT : FAULT_OTHER;
    }
    if (arm(s, wanted(s)) < 0)
        ln_sock_break(s);
    return n > 0 ? (size_t)n : 0;
}

static void epoll_hurry(ln_sock *s)
{
    (void)s; /* what did not leave waits for room, and epoll for that */
}

static bool epoll_end(ln_sock *s)
{
    struct epoll_io *const io = s->loop->io;
    /* By hand, as close() is not enough when the descriptor was duplicated, or inherited by a
     * child. */
    if (s->io_flags & ARMED)
        epoll_ctl(io->fd, EPOLL_CTL_DEL, s->fd, NULL);
    if (s->io_flags & ALWAYS_READY)
        always_remove(s);
    s->io_flags &= (uint8_t) ~(ARMED | ALWAYS_READY);
    return true;
}

static void epoll_release(ln_sock *s)
{
    close(s->fd);
}

/* Dispatch */

static void receive(ln_sock *s)
{
    struct epoll_io *const io = s->loop->io;
    for (unsigned i = 0; i < RECEIVES_MAX && ln_sock_wants_input(s); i++) {
        size_t room = 0;
        uint8_t *memory = s->ops->lend ? s->ops->lend(s, &room) : NULL;
        if (!memory) {
            memory = io->buffer;
            room = sizeof io->buffer;
        }
        const ssize_t n = recv(s->fd, memory, room, 0);
        if (n > 0)
            s->ops->on_recv(s, memory, (size_t)n);
        else if (n == 0)
            ln_sock_receive_ended(s, 0);
        else if (errno != EAGAIN && errno != EINTR)
            ln_sock_receive_ended(s, errno);
        if (n < (ssize_t)room)
            return;
    }
}

static void send_again(ln_sock *s)
{
    s->flags &= (uint8_t)~LN_SOCK_SENDING;
    s->ops->on_sent(s, 0);
}

/* A send failed earlier; by now receive() has handed up what had come before. */
static void tell_fault(ln_sock *s)
{
    const int others = s->io_flags & FAULT_OTHER ? EIO : ECONNRESET;
    ln_sock_send_failed(s, s->io_flags & FAULT_TIMEOUT ? ETIMEDOUT : others);
}

static void stream_ready(ln_sock *s, uint32_t events)
{
    const unsigned sending = s->flags & (LN_SOCK_SENDING | LN_SOCK_BROKEN | LN_SOCK_FAILED);
    ln_sock **const mark = ln_loop_corked_mark(s->loop);
    if (events & (EPOLLOUT | EPOLLERR | EPOLLHUP) && sending == LN_SOCK_SENDING)
        send_again(s);
    if (events & (EPOLLIN | EPOLLERR | EPOLLHUP) && ln_sock_wants_input(s))
        receive(s);
    if (s->flags & LN_SOCK_BROKEN)
        tell_fault(s);
    ln_sock_flush_alone(s, mark);
}

static void listener_ready(ln_sock *s)
{
    for (unsigned i = 0; i < ACCEPTS_MAX && ln_sock_wants_input(s); i++) {
        const int fd = accept4(s->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0 && errno == EAGAIN)
            return;
        s->ops->on_result(s, fd >= 0 ? fd : -errno);
    }
}

/* What is reported and not wanted would be reported in every turn. */
static void disarm(ln_sock *s, uint32_t events)
{
    const unsigned reported = (events & (EPOLLIN | EPOLLERR | EPOLLHUP) ? ARMED_IN : 0u) |
                              (events & (EPOLLOUT | EPOLLERR | EPOLLHUP) ? ARMED_OUT : 0u);
    const unsigned useful = wanted(s);
    if (LN_UNLIKELY(reported & s->io_flags & ~useful))
        (void)arm(s, useful);
}

static void dispatch(ln_sock *s, uint32_t events)
{
    if (s->flags & LN_SOCK_CLOSING)
        return;
    switch (ln_sock_kind(s)) {
    case LN_SOCK_STREAM:
        disarm(s, events);
        stream_ready(s, events);
        return;
    case LN_SOCK_LISTEN:
        disarm(s, events);
        listener_ready(s);
        return;
    case LN_SOCK_CONNECT:
        (void)arm(s, 0);
        break;
    case LN_SOCK_WATCH:
        break;
    }
    s->ops->on_result(s, 0);
}

static int epoll_wait_and_dispatch(ln_loop *loop, int64_t timeout_ms)
{
    struct epoll_io *const io = loop->io;
    if (io->always_count > 0)
        timeout_ms = 0;
    const int limit = timeout_ms < INT32_MAX ? (int)timeout_ms : INT32_MAX;
    const int n = epoll_wait(io->fd, io->events, EVENTS_MAX, limit);
    ln_loop_tick(loop);
    if (n < 0)
        return errno == EINTR ? 0 : LN_ERR_IO;

    for (int i = 0; i < n; i++) {
        /* NULL: woken up; edge-triggered, so that nothing has to be read. */
        if (io->events[i].data.ptr)
            dispatch(io->events[i].data.ptr, io->events[i].events);
    }
    for (size_t i = 0, count = io->always_count; i < count; i++)
        dispatch(io->always[i], EPOLLIN);
    return 0;
}

static void epoll_wake(ln_loop *loop)
{
    const struct epoll_io *const io = loop->io;
    const uint64_t one = 1;
    const int saved = errno;
    const ssize_t n = write(io->wake_fd, &one, sizeof one);
    (void)n; /* full: it has been woken up often enough */
    errno = saved;
}

/* Opening and closing */

static void epoll_close(ln_loop *loop)
{
    struct epoll_io *const io = loop->io;
    if (io->fd >= 0)
        close(io->fd);
    if (io->wake_fd >= 0)
        close(io->wake_fd);
    ln_free(loop->alloc, io->always);
    ln_free(loop->alloc, io);
    loop->io = NULL;
}

static int epoll_open(ln_loop *loop)
{
    struct epoll_io *const io = ln_alloc(loop->alloc, sizeof *io);
    if (!io)
        return LN_ERR_NOMEM;
    io->always = NULL;
    io->always_count = io->always_capacity = 0;
    loop->io = io;

    struct epoll_event event = {.events = EPOLLIN | EPOLLET, .data.ptr = NULL};
    io->fd = epoll_create1(EPOLL_CLOEXEC);
    io->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (io->fd >= 0 && io->wake_fd >= 0 &&
        epoll_ctl(io->fd, EPOLL_CTL_ADD, io->wake_fd, &event) == 0)
        return 0;
    const int rc = errno == ENOMEM || errno == ENOSPC ? LN_ERR_NOMEM : LN_ERR_DESCRIPTORS;
    epoll_close(loop);
    return rc;
}

static int epoll_descriptor(const ln_loop *loop)
{
    const struct epoll_io *const io = loop->io;
    return io->fd;
}

static bool epoll_has_work(const ln_loop *loop)
{
    const struct epoll_io *const io = loop->io;
    return io->always_count > 0;
}

const ln_backend ln_backend_epoll = {
    .name = "epoll",
    .open = epoll_open,
    .close = epoll_close,
    .descriptor = epoll_descriptor,
    .has_work = epoll_has_work,
    .wait = epoll_wait_and_dispatch,
    .wake = epoll_wake,
    .start = epoll_start,
    .stop = epoll_stop,
    .send = epoll_send,
    .send_quiet = epoll_send,
    .hurry = epoll_hurry,
    .end = epoll_end,
    .release = epoll_release,
};
