/* SPDX-License-Identifier: MIT */
#include "loop.h"

#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "backend.h"
#include "log.h"
#include "random.h"
#include "watch.h"

enum { DRAIN_TURNS = 64, DRAIN_TURN_MS = 10 };

static _Thread_local ln_loop *current;

ln_loop *ln_loop_current(void)
{
    return current;
}

uint64_t ln_loop_clock_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

void ln_loop_tick(ln_loop *loop)
{
    loop->now_ms = ln_loop_clock_ms();
}

/* Making and freeing */

static void fini(ln_loop *loop)
{
    ln_random_free(loop->random);
    ln_free(loop->alloc, loop->scratch);
    ln_free(loop->alloc, loop->log);
    ln_free(loop->alloc, loop);
}

static int init(ln_loop *loop, const ln_loop_options *o)
{
    loop->corked_end = &loop->corked;
    ln_list_init(&loop->handles);
    ln_pool_init(&loop->pool, loop->alloc);
    ln_mailbox_init(&loop->mail);
    ln_loop_tick(loop);
    ln_wheel_init(&loop->wheel, loop->now_ms);

    loop->log = ln_alloc(loop->alloc, sizeof *loop->log);
    loop->scratch = ln_alloc(loop->alloc, LN_LOOP_RECV_BYTES);
    loop->random = ln_random_new();
    if (!loop->log || !loop->scratch || !loop->random)
        return LN_ERR_NOMEM;
    ln_log_init(loop->log, o->log, o->log_user, o->log_level ? o->log_level : LN_LOG_INFO);
    return 0;
}

static int open_backend(ln_loop *loop, const ln_backend *backend)
{
    loop->backend = backend;
    return backend->open(loop);
}

/* io_uring where it works: old kernels lack it, sandboxes deny it, limits on locked memory starve
 * it. */
static int open_best(ln_loop *loop)
{
    return open_backend(loop, &ln_backend_uring) == 0 ? 0 : open_backend(loop, &ln_backend_epoll);
}

static int choose_backend(ln_loop *loop, enum ln_io io)
{
    switch (io) {
    case LN_IO_EPOLL:
        return open_backend(loop, &ln_backend_epoll);
    case LN_IO_URING:
        return open_backend(loop, &ln_backend_uring);
    case LN_IO_AUTO:
        break;
    }
    if (io != LN_IO_AUTO)
        return LN_ERR_INVALID;

    const ln_span wish = ln_text(getenv("LINNET_IO"));
    if (wish.size == 0)
        return open_best(loop);
    if (ln_text_equal(wish, LN_SPAN("epoll")))
        return open_backend(loop, &ln_backend_epoll);
    if (ln_text_equal(wish, LN_SPAN("uring")))
        return open_backend(loop, &ln_backend_uring);
    ln_log_say(loop->log, LN_LOG_ERROR, loop->now_ms, "LINNET_IO is neither epoll nor uring",
               ln_log_pair("value", wish));
    return LN_ERR_INVALID;
}

int ln_loop_new(const ln_loop_options *options, ln_loop **loop)
{
    static const ln_loop_options defaults;
    const ln_loop_options *const o = options ? options : &defaults;
    ln_loop *const l = ln_alloc_zero(o->allocator, sizeof *l);
    if (!l)
        return LN_ERR_NOMEM;
    l->alloc = o->allocator;

    int rc = init(l, o);
    if (rc == 0)
        rc = choose_backend(l, o->io);
    if (rc < 0) {
        fini(l);
        return rc;
    }
    *loop = l;
    return 0;
}

static bool reap_one(ln_sock *s)
{
    if (!s->loop->backend->end(s))
        return false;
    if (s->fd >= 0 && ln_sock_kind(s) != LN_SOCK_WATCH)
        s->loop->backend->release(s);
    s->loop->sockets--;
    s->ops->on_closed(s);
    return true;
}

/* Closed socks get on_closed; those the system still holds wait in `ending` for their
 * completions. */
static unsigned reap(ln_loop *loop)
{
    ln_sock *lists[] = {loop->closing, loop->ending};
    unsigned count = 0;
    loop->closing = loop->ending = NULL;
    for (unsigned i = 0; i < LN_ARRAY_SIZE(lists); i++) {
        for (ln_sock *s = lists[i], *next; s; s = next) {
            next = s->next;
            if (reap_one(s)) {
                count++;
                continue;
            }
            s->next = loop->ending;
            loop->ending = s;
        }
    }
    return count;
}

static void flush_one(ln_sock *s)
{
    const unsigned lost = LN_SOCK_BROKEN | LN_SOCK_PAUSED; /* nothing is left to find the end */
    if (s->flags & LN_SOCK_CLOSING) {
        s->next = s->loop->closing;
        s->loop->closing = s;
    } else if (LN_UNLIKELY(ln_sock_kind(s) != LN_SOCK_STREAM)) {
        ln_sock_start_again(s);
    } else if (LN_UNLIKELY((s->flags & (lost | LN_SOCK_FAILED)) == lost)) {
        ln_sock_receive_ended(s, 0);
    } else {
        if (s->flags & LN_SOCK_SENDING)
            s->loop->backend->hurry(s);
        s->ops->on_flush(s);
    }
}

void ln_sock_uncork(ln_sock *s, ln_sock **mark)
{
    LN_ASSERT(s->loop->corked_end == &s->next);
    *mark = NULL;
    s->loop->corked_end = mark;
    s->flags &= (uint8_t)~LN_SOCK_CORKED;
    flush_one(s);
}

static unsigned flush(ln_loop *loop)
{
    ln_sock *s = loop->corked;
    unsigned count = 0;
    loop->corked = NULL;
    loop->corked_end = &loop->corked;
    for (ln_sock *next; s; s = next) {
        next = s->next;
        s->flags &= (uint8_t)~LN_SOCK_CORKED;
        flush_one(s);
        count++;
    }
    return count;
}

static unsigned read_mail(ln_loop *loop)
{
    unsigned count = 0;
    if (!ln_mailbox_look(&loop->mail))
        return 0;
    for (ln_letter *letter;
         count < LN_LOOP_LETTERS_PER_TURN && (letter = ln_mailbox_take(&loop->mail)); count++)
        letter->handle(letter, loop);
    if (count == LN_LOOP_LETTERS_PER_TURN)
        ln_mailbox_look_again(&loop->mail);
    return count;
}

/* Is there anything that a turn would do without waiting? */
static bool has_work(const ln_loop *loop)
{
    return loop->corked || loop->closing || ln_mailbox_is_awake(&loop->mail);
}

/* -1 = no timer is set. */
static int64_t until_timer_ms(const ln_loop *loop, uint64_t now_ms)
{
    const uint64_t next_ms = ln_wheel_next_ms(&loop->wheel);
    if (next_ms == UINT64_MAX)
        return -1;
    return next_ms > now_ms ? (int64_t)(next_ms - now_ms) : 0;
}

/* Phases 1 to 4; how many were called back. */
static unsigned work(ln_loop *loop)
{
    unsigned count = ln_wheel_advance(&loop->wheel, loop->now_ms);
    count += read_mail(loop);
    count += flush(loop);
    return count + reap(loop);
}

/* Phases 5 and 6. */
static int wait_and_dispatch(ln_loop *loop, int64_t timeout_ms)
{
    if (timeout_ms != 0) {
        const int64_t timer_ms = has_work(loop) ? 0 : until_timer_ms(loop, loop->now_ms);
        if (timer_ms >= 0 && (timeout_ms < 0 || timer_ms < timeout_ms))
            timeout_ms = timer_ms;
    }
    return loop->backend->wait(loop, timeout_ms);
}

/* Lets closed socks end. Gives up when the back end does, as io_uring's does on any thread but the
 * loop's own. */
static void drain(ln_loop *loop)
{
    for (unsigned i = 0; i < DRAIN_TURNS && (loop->corked || loop->closing || loop->ending); i++) {
        if (ln_loop_turn(loop, DRAIN_TURN_MS) < 0)
            break;
    }
}

static void return_mail(ln_loop *loop)
{
    ln_letter *letter;
    while ((letter = ln_mailbox_take(&loop->mail)))
        letter->handle(letter, NULL);
}

/* What drain() had to leave; the back end is closed, so the system has let go of it. */
static void abandon(ln_loop *loop)
{
    while (loop->closing || loop->ending) {
        ln_sock **const list = loop->closing ? &loop->closing : &loop->ending;
        ln_sock *const s = *list;
        *list = s->next;
        if (s->fd >= 0 && ln_sock_kind(s) != LN_SOCK_WATCH)
            close(s->fd);
        loop->sockets--;
        s->ops->on_closed(s);
    }
}

void ln_loop_free(ln_loop *loop)
{
    if (!loop)
        return;
    LN_ASSERT(current != loop);
    return_mail(loop);
    ln_watch_free_all(loop);
    drain(loop);
    loop->backend->close(loop);
    abandon(loop);
    return_mail(loop);
    if (loop->sockets > 0)
        ln_log_say(loop->log, LN_LOG_ERROR, loop->now_ms, "loop freed with sockets left",
                   ln_log_number("sockets", loop->sockets));
    ln_log_fini(loop->log);
    ln_pool_fini(&loop->pool);
    fini(loop);
}

/* Running */

int ln_loop_run(ln_loop *loop)
{
    ln_loop *const outer = current;
    int rc = 0;
    bool is_last = false;
    current = loop;
    ln_loop_tick(loop);
    while (rc == 0 && !is_last) {
        /* What the last callbacks wanted still goes to the system. */
        is_last = atomic_load_explicit(&loop->stop, memory_order_relaxed) &&
                  atomic_exchange_explicit(&loop->stop, false, memory_order_acq_rel);
        work(loop);
        rc = wait_and_dispatch(loop, is_last ? 0 : -1);
    }
    current = outer;
    return rc;
}

void ln_loop_stop(ln_loop *loop)
{
    atomic_store_explicit(&loop->stop, true, memory_order_release);
    loop->backend->wake(loop);
}

int ln_loop_turn(ln_loop *loop, int timeout_ms)
{
    ln_loop *const outer = current;
    current = loop;
    ln_loop_tick(loop); /* somebody else may have slept meanwhile */
    const unsigned count = work(loop);
    /* What was called back may be just what the caller waits for. */
    const int rc = wait_and_dispatch(loop, count > 0 ? 0 : timeout_ms);
    current = outer;
    return rc;
}

int ln_loop_fd(const ln_loop *loop)
{
    return loop->backend->descriptor(loop);
}

int ln_loop_timeout_ms(const ln_loop *loop)
{
    if (has_work(loop) || loop->backend->has_work(loop))
        return 0;
    const int64_t timer_ms = until_timer_ms(loop, ln_loop_clock_ms());
    return timer_ms < INT32_MAX ? (int)timer_ms : INT32_MAX;
}

const char *ln_loop_backend(const ln_loop *loop)
{
    return loop->backend->name;
}

uint64_t ln_loop_now_ms(const ln_loop *loop)
{
    return loop->now_ms;
}

/* From other threads */

void ln_loop_send_letter(ln_loop *loop, ln_letter *letter)
{
    if (ln_mailbox_post(&loop->mail, letter) && current != loop)
        loop->backend->wake(loop);
}

struct post {
    ln_letter letter;
    ln_loop *loop;
    void (*fn)(void *arg);
    void *arg;
};

static void run_post(ln_letter *letter, ln_loop *loop)
{
    struct post *const post = LN_CONTAINER_OF(letter, struct post, letter);
    const struct post copy = *post;
    ln_free(copy.loop->alloc, post);
    atomic_fetch_sub_explicit(&copy.loop->posted, 1, memory_order_relaxed);
    if (loop)
        copy.fn(copy.arg);
}

int ln_loop_post(ln_loop *loop, void (*fn)(void *arg), void *arg)
{
    if (atomic_fetch_add_explicit(&loop->posted, 1, memory_order_relaxed) >= LN_LOOP_POSTS_MAX) {
        atomic_fetch_sub_explicit(&loop->posted, 1, memory_order_relaxed);
        return LN_ERR_LIMIT;
    }
    struct post *const post = ln_alloc(loop->alloc, sizeof *post);
    if (!post) {
        atomic_fetch_sub_explicit(&loop->posted, 1, memory_order_relaxed);
        return LN_ERR_NOMEM;
    }
    *post = (struct post){.letter.handle = run_post, .loop = loop, .fn = fn, .arg = arg};
    ln_loop_send_letter(loop, &post->letter);
    return 0;
}
