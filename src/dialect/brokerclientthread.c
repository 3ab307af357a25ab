/* SPDX-License-Identifier: MIT */
/*
 * brokerclientthread.c - a broker's client on a thread of its own, and threads that wait for a
 * client to be open.
 *
 * The loop is made and freed on the thread that runs it. Whoever frees the client has it say
 * goodbye; the thread ends when the client has stopped, and leaves the client's memory to him.
 */
#include "brokerclientitem.h"
#include "net/loop.h"

/* ---- the thread ---- */

/* What the thread is told, on the stack of who starts it. */
typedef struct start {
    ln_broker_client *client; /* NULL: its memory is gone */
    const char *url;
    const ln_broker_client_options *options;
    ln_latch is_begun;
    int rc;
} start;

/* The loop, and the client's first attempt on it. */
static int begin(start *s, ln_loop **loop)
{
    int rc = ln_loop_new(s->options->loop, loop);
    if (rc < 0)
        return rc;
    rc = ln_broker_client_begin(s->client, *loop, s->url, s->options);
    if (rc < 0) {
        ln_broker_client_fini(s->client);
        s->client = NULL;
    }
    return rc;
}

static void *run(void *arg)
{
    start *const s = arg;
    ln_loop *loop = NULL;

    const int rc = begin(s, &loop);
    ln_broker_client *const k = s->client;
    s->rc = rc;
    ln_latch_open(&s->is_begun); /* `s` is gone from here on */
    if (rc == 0) {
        (void)ln_loop_run(loop);
        ln_broker_client_fini(k);
    }
    ln_loop_free(loop);
    return NULL;
}

int ln_broker_client_new_threaded(const char *url, const ln_broker_client_options *options,
                                  ln_broker_client **client)
{
    const ln_allocator *const alloc = options->loop == NULL ? NULL : options->loop->allocator;
    ln_broker_client *const k = ln_alloc_zero(alloc, sizeof *k);
    start s = {.client = k, .url = url, .options = options};
    ln_thread thread;

    if (k == NULL)
        return LN_ERR_NOMEM;
    k->alloc = alloc;
    k->has_thread = true;
    ln_latch_init(&s.is_begun);
    int rc = ln_thread_start(&thread, run, &s);
    if (rc == 0) {
        ln_latch_wait(&s.is_begun);
        rc = s.rc;
        if (rc < 0)
            ln_thread_join(&thread);
    }
    ln_latch_fini(&s.is_begun);
    if (rc < 0) {
        ln_free(alloc, s.client);
        return rc;
    }
    k->thread = thread;
    *client = k;
    return 0;
}

void ln_broker_client_join(ln_broker_client *k)
{
    LN_ASSERT(!ln_broker_client_is_here(k)); /* a thread cannot wait for its own end */
    ln_thread thread = k->thread;

    ln_broker_client_hold(k); /* the thread may be faster than we are */
    ln_lock_take(&k->lock);
    k->wants_stop = true;
    k->wants_end = true;
    ln_broker_client_kick(k);
    ln_lock_give(&k->lock);
    ln_thread_join(&thread);
    ln_broker_client_release(k);
}

/* ---- waiting ---- */

/* On the stack of who waits. */
typedef struct waiter {
    ln_link link; /* in k->waiters */
    ln_latch latch;
    int rc;
} waiter;

void ln_broker_client_wake(ln_broker_client *k, int rc)
{
    ln_lock_take(&k->lock);
    while (!ln_list_is_empty(&k->waiters)) {
        waiter *const w = LN_CONTAINER_OF(k->waiters.next, waiter, link);
        ln_list_remove(&w->link);
        w->rc = rc;
        ln_latch_open(&w->latch);
    }
    ln_lock_give(&k->lock);
}

/* What the state says to who wants it open: LN_ERR_AGAIN = that it may become so. */
static int verdict(const ln_broker_client *k)
{
    switch (ln_broker_client_state_get(k)) {
    case LN_BROKER_CLIENT_OPEN:
        return 0;
    case LN_BROKER_CLIENT_STOPPED:
        return LN_ERR_CLOSED;
    case LN_BROKER_CLIENT_CONNECTING:
    case LN_BROKER_CLIENT_WAITING:
        break;
    }
    return LN_ERR_AGAIN;
}

/* Under the lock, the state of which is told later: nobody misses it. */
static int line_up(ln_broker_client *k, waiter *w)
{
    ln_lock_take(&k->lock);
    const int rc = verdict(k);
    if (rc == LN_ERR_AGAIN)
        ln_list_add(&k->waiters, &w->link);
    ln_lock_give(&k->lock);
    return rc;
}

int ln_broker_client_wait_open(ln_broker_client *k, uint32_t timeout_ms)
{
    waiter w = {.rc = LN_ERR_TIMEOUT};

    if (ln_broker_client_is_here(k))
        return LN_ERR_STATE;
    ln_latch_init(&w.latch);
    ln_list_init(&w.link);
    int rc = line_up(k, &w);
    if (rc == LN_ERR_AGAIN) {
        (void)ln_latch_wait_ms(&w.latch, timeout_ms);
        ln_lock_take(&k->lock);
        ln_list_remove(&w.link); /* if nobody has */
        rc = w.rc;
        ln_lock_give(&k->lock);
    }
    ln_latch_fini(&w.latch);
    return rc;
}
