/* SPDX-License-Identifier: MIT */
/*
 * loop - one thread's turn: timers, mail, completions, corked output, reaping.
 *
 * The public face is linnet/loop.h; this is what the floors above use.
 *
 * A turn, in this order
 *   1. expire    timers that are due
 *   2. mail      what other threads posted
 *   3. flush     every socket that was corked gets on_flush once: all output of the turn leaves in
 *      one send
 *   4. reap      closed sockets whose operations are over get on_closed
 *   5. wait      the back end submits what is pending and waits, at most until the next timer
 *   6. dispatch  completions: accepted, received, sent
 * Work made in 6 is flushed before the next 5, and never waits for it; a socket whose own bytes
 * caused all of its output, and nobody else's, is flushed as soon as they have been handled. Work made in 2 to 4 after
 * its phase keeps 5 from sleeping; it is not looped over, so that nobody can keep the loop from its
 * descriptors.
 *
 * Lifetime
 *   1. A socket is never freed by the loop: on_closed is the last call for it, then its memory is
 *      the owner's again.
 *   2. ln_sock_close() only marks. Nothing but on_closed is called for a marked socket.
 *   3. Everything here is for the loop's thread, except mail (mail.h) and ln_loop_stop().
 */
#ifndef LN_LOOP_H
#define LN_LOOP_H

#include <linnet/loop.h>

#include "base/chain.h"
#include "base/list.h"
#include "mail.h"
#include "timer.h"

typedef struct ln_sock ln_sock;
typedef struct ln_backend ln_backend;
struct ln_log;

enum {
    LN_LOOP_RECV_BYTES = 65536,      /* the lent receive buffer of the epoll back end */
    LN_LOOP_LETTERS_PER_TURN = 4096, /* more wait for the next turn */
    LN_LOOP_POSTS_MAX = 65536        /* ln_loop_post() calls waiting to be run */
};

struct ln_loop {
    const ln_backend *backend; /* its functions: backend.h */
    void *io;                  /* its state */
    const ln_allocator *alloc;
    struct ln_log *log;
    uint64_t now_ms;      /* monotonic, read once a turn */
    ln_sock *corked;      /* first to be flushed; linked through sock->next */
    ln_sock **corked_end; /* where the next one goes */
    ln_sock *closing;     /* marked since the last reaping */
    ln_sock *ending;      /* reaped in vain: the system still has operations of theirs */
    uint32_t sockets;     /* open or closing */
    void *owner;          /* for the floors above: the worker */
    uint8_t *scratch; /* LN_LOOP_RECV_BYTES, for whoever works right now; never across a callback */
    struct ln_random *random; /* the pool of ln_loop_random() */
    ln_link handles;          /* what the public interface made and the loop frees: watch.c */
    ln_pool pool;
    ln_wheel wheel;
    ln_mailbox mail;         /* from here on, other threads write */
    _Atomic uint32_t posted; /* ln_loop_post() calls not yet run */
    _Atomic bool stop;
};

/* The loop whose turn runs on this thread, or NULL. */
ln_loop *ln_loop_current(void);

/* The clock that now_ms is read from, read now. Any thread. */
uint64_t ln_loop_clock_ms(void);

/* Unpredictable bytes from a per-loop pool filled by the system's generator; never the same again
 * after a fork. */
void ln_loop_random(ln_loop *loop, void *bytes, size_t n);

#endif
