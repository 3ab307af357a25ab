/* SPDX-License-Identifier: MIT */
#include "watch.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "backend.h"

/* First in every handle. */
struct handle {
    ln_link link; /* in loop->handles */
    void (*drop)(struct handle *h);
};

static void *handle_new(ln_loop *loop, size_t size, void (*drop)(struct handle *h))
{
    struct handle *const h = ln_alloc_zero(loop->alloc, size);
    if (!h)
        return NULL;
    h->drop = drop;
    ln_list_add(&loop->handles, &h->link);
    return h;
}

static void handle_free(ln_loop *loop, struct handle *h)
{
    ln_list_remove(&h->link);
    ln_free(loop->alloc, h);
}

void ln_watch_free_all(ln_loop *loop)
{
    while (!ln_list_is_empty(&loop->handles)) {
        struct handle *const h = LN_CONTAINER_OF(loop->handles.next, struct handle, link);
        h->drop(h);
    }
}

/* Timers */

struct ln_loop_timer {
    struct handle handle;
    ln_timer timer;
    ln_loop *loop;
    void (*fn)(void *arg);
    void *arg;
};

static void drop_timer(struct handle *h)
{
    ln_loop_cancel(LN_CONTAINER_OF(h, ln_loop_timer, handle));
}

static void fire(ln_timer *timer)
{
    ln_loop_timer *const t = LN_CONTAINER_OF(timer, ln_loop_timer, timer);
    void (*const fn)(void *arg) = t->fn;
    void *const arg = t->arg;
    handle_free(t->loop, &t->handle);
    fn(arg);
}

int ln_loop_after(ln_loop *loop, uint32_t ms, void (*fn)(void *arg), void *arg,
                  ln_loop_timer **timer)
{
    ln_loop_timer *const t = handle_new(loop, sizeof *t, drop_timer);
    if (!t)
        return LN_ERR_NOMEM;
    t->loop = loop;
    t->fn = fn;
    t->arg = arg;
    ln_timer_init(&t->timer, fire);
    ln_timer_set(&loop->wheel, &t->timer, loop->now_ms + ms);
    if (timer)
        *timer = t;
    return 0;
}

void ln_loop_cancel(ln_loop_timer *timer)
{
    if (!timer)
        return;
    ln_timer_clear(&timer->loop->wheel, &timer->timer);
    handle_free(timer->loop, &timer->handle);
}

/* Descriptors */

struct ln_loop_watch {
    struct handle handle;
    ln_sock sock;
    void (*fn)(void *arg);
    void *arg;
};

static void on_readable(ln_sock *s, int result)
{
    (void)result;
    const ln_loop_watch *const w = LN_CONTAINER_OF(s, ln_loop_watch, sock);
    w->fn(w->arg);
}

static void on_watch_closed(ln_sock *s)
{
    ln_loop_watch *const w = LN_CONTAINER_OF(s, ln_loop_watch, sock);
    ln_free(s->loop->alloc, w);
}

static const ln_sock_ops watch_ops = {.on_result = on_readable, .on_closed = on_watch_closed};

static void drop_watch(struct handle *h)
{
    ln_loop_unwatch(LN_CONTAINER_OF(h, ln_loop_watch, handle));
}

int ln_loop_watch_fd(ln_loop *loop, int fd, void (*fn)(void *arg), void *arg, ln_loop_watch **watch)
{
    if (fcntl(fd, F_GETFD) < 0)
        return LN_ERR_INVALID;
    ln_loop_watch *const w = handle_new(loop, sizeof *w, drop_watch);
    if (!w)
        return LN_ERR_NOMEM;
    w->fn = fn;
    w->arg = arg;
    const int rc = ln_sock_start(&w->sock, loop, fd, LN_SOCK_WATCH, &watch_ops);
    if (rc < 0) {
        handle_free(loop, &w->handle);
        return rc;
    }
    if (watch)
        *watch = w;
    return 0;
}

void ln_loop_unwatch(ln_loop_watch *watch)
{
    if (!watch)
        return;
    ln_list_remove(&watch->handle.link);
    ln_sock_close(&watch->sock);
}

/* Signals */

struct signals {
    struct handle handle;
    ln_sock sock;     /* a signalfd */
    sigset_t blocked; /* by us */
    void (*fn)(void *arg, int number);
    void *arg;
};

/* Signals that came since would be delivered the ordinary way, and mostly kill. They were meant for
 * the loop: dropped. */
static void unblock(const sigset_t *blocked)
{
    const struct timespec at_once = {0};
    while (sigtimedwait(blocked, NULL, &at_once) > 0)
        ;
    pthread_sigmask(SIG_UNBLOCK, blocked, NULL);
}

static void on_signals(ln_sock *s, int result)
{
    (void)result;
    const struct signals *const w = LN_CONTAINER_OF(s, struct signals, sock);
    struct signalfd_siginfo info;
    while (!ln_sock_is_closing(s) && read(s->fd, &info, sizeof info) == (ssize_t)sizeof info)
        w->fn(w->arg, (int)info.ssi_signo);
}

static void on_signals_closed(ln_sock *s)
{
    struct signals *const w = LN_CONTAINER_OF(s, struct signals, sock);
    close(s->fd);
    unblock(&w->blocked);
    ln_free(s->loop->alloc, w);
}

static const ln_sock_ops signals_ops = {.on_result = on_signals, .on_closed = on_signals_closed};

static void drop_signals(struct handle *h)
{
    struct signals *const w = LN_CONTAINER_OF(h, struct signals, handle);
    ln_list_remove(&h->link);
    ln_sock_close(&w->sock);
}

/* Blocks `wanted`; those among them that were not blocked before in *newly. */
static void block(const sigset_t *wanted, const int *numbers, sigset_t *newly)
{
    sigset_t before;
    sigemptyset(newly);
    pthread_sigmask(SIG_BLOCK, wanted, &before);
    for (const int *n = numbers; *n; n++) {
        if (!sigismember(&before, *n))
            sigaddset(newly, *n);
    }
}

int ln_loop_watch_signals(ln_loop *loop, const int *numbers, void (*fn)(void *arg, int number),
                          void *arg)
{
    sigset_t wanted;
    sigemptyset(&wanted);
    for (const int *n = numbers; *n; n++) {
        if (sigaddset(&wanted, *n) < 0)
            return LN_ERR_INVALID;
    }
    struct signals *const w = handle_new(loop, sizeof *w, drop_signals);
    if (!w)
        return LN_ERR_NOMEM;
    w->fn = fn;
    w->arg = arg;
    block(&wanted, numbers, &w->blocked);

    const int fd = signalfd(-1, &wanted, SFD_NONBLOCK | SFD_CLOEXEC);
    int rc = fd < 0 ? LN_ERR_DESCRIPTORS
                    : ln_sock_start(&w->sock, loop, fd, LN_SOCK_WATCH, &signals_ops);
    if (rc < 0) {
        if (fd >= 0)
            close(fd);
        pthread_sigmask(SIG_UNBLOCK, &w->blocked, NULL);
        handle_free(loop, &w->handle);
    }
    return rc;
}
