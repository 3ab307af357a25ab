/* SPDX-License-Identifier: MIT */
/*
 * backend - what a loop asks of the system, in the shape of completions; epoll.c and uring.c
 * answer.
 *
 * Only loop.c, sock.c and the back ends include this. A back end sees four kinds of sock; "the
 * operation" below is what its kind does until it is stopped: receive, accept, wait for one
 * connect, wait for input.
 *
 * Invariants
 *   1. Callbacks come from wait() only, never from a function that a callback may call.
 *   2. After every callback the back end looks at the flags again: the sock may be paused, or
 *      closing.
 *   3. wait() makes one system call when nothing has gone wrong and nobody has filled a queue.
 */
#ifndef LN_BACKEND_H
#define LN_BACKEND_H

#include "sock.h"

/* What a sock is for; in the low bits of io_flags. */
enum {
    LN_SOCK_STREAM = 0,  /* received: on_recv, on_end */
    LN_SOCK_LISTEN = 1,  /* accepted: on_result, a descriptor or a negative errno */
    LN_SOCK_CONNECT = 2, /* writable, once: on_result, 0 */
    LN_SOCK_WATCH = 3,   /* readable or at its end, in each turn: on_result, 0; closes nothing */
    LN_SOCK_KIND_MASK = 3
};

/* ln_sock.flags */
enum {
    LN_SOCK_CORKED = 1,  /* in loop->corked */
    LN_SOCK_CLOSING = 2, /* ln_sock_close() was called */
    LN_SOCK_PAUSED = 4,  /* the operation is not wanted now */
    LN_SOCK_SENDING = 8, /* between a send that did not end at once and on_sent */
    LN_SOCK_ENDED = 16,  /* on_end was called: nothing is received any more */
    LN_SOCK_BROKEN =
        32, /* on_end is owed: after what was received is handed up; at once if paused */
    LN_SOCK_FAILED = 64, /* on_end was called with an error */
    LN_SOCK_SHUT = 128   /* FIN was sent */
};

struct ln_backend {
    const char *name;

    /* loop->io. LN_ERR_NOMEM, LN_ERR_DESCRIPTORS, LN_ERR_UNSUPPORTED. */
    int (*open)(ln_loop *loop);
    /* No sock is left but such as end() has not finished; the system lets go of their memory
     * here. */
    void (*close)(ln_loop *loop);
    int (*descriptor)(const ln_loop *loop);
    /* Something is prepared that only wait() hands to the system. */
    bool (*has_work)(const ln_loop *loop);
    /* Submits, waits, reads the clock (ln_loop_tick()), calls back. -1 = no limit. 0 or
     * LN_ERR_IO. */
    int (*wait)(ln_loop *loop, int64_t timeout_ms);
    /* Makes a wait() return that is under way or comes next. Any thread, and signal handlers. */
    void (*wake)(ln_loop *loop);

    /* Begins the operation, for the first time or after stop(). LN_ERR_NOMEM, LN_ERR_INVALID
     * (epoll: bad descriptor). */
    int (*start)(ln_sock *s);
    /* LN_SOCK_PAUSED was set: what is under way need not be finished, and must not be called
     * back. */
    void (*stop)(ln_sock *s);
    /* As ln_sock_send(); sets LN_SOCK_SENDING if it returns less than given. */
    size_t (*send)(ln_sock *s, const ln_span *spans, int k);
    size_t (*send_quiet)(ln_sock *s, const ln_span *spans, int k);
    /* Somebody wants on_sent of a send that may have been quiet. */
    void (*hurry)(ln_sock *s);
    /* Closing: cancels what is under way; called in each turn until it is true, when nothing is
     * left. */
    bool (*end)(ln_sock *s);
    /* Closes a stream's descriptor, maybe only with the next wait(). */
    void (*release)(ln_sock *s);
};

extern const ln_backend ln_backend_epoll;
extern const ln_backend ln_backend_uring;

/* Reads the clock into loop->now_ms. */
void ln_loop_tick(ln_loop *loop);

/* A sock of any kind: `fd` is taken over (LN_SOCK_WATCH: borrowed). Errors as start(); then nothing
 * was taken. */
LN_NODISCARD int ln_sock_start(ln_sock *s, ln_loop *loop, int fd, unsigned kind,
                               const ln_sock_ops *ops);

/* start() once more; when the system has no memory for it, a stream breaks and anything else tries
 * in each turn. */
void ln_sock_start_again(ln_sock *s);
/* An operation is lost for want of memory: on_end comes from the next flush phase, not from inside
 * the owner's call. */
void ln_sock_break(ln_sock *s);

LN_INLINE unsigned ln_sock_kind(const ln_sock *s)
{
    return s->io_flags & LN_SOCK_KIND_MASK;
}

/* May the operation be under way, and its results be handed up? */
LN_INLINE bool ln_sock_wants_input(const ln_sock *s)
{
    return !(s->flags & (LN_SOCK_PAUSED | LN_SOCK_ENDED | LN_SOCK_CLOSING));
}

/*
 * For the back ends: receiving is over (`error` 0: the peer's FIN; else an errno), or a send
 * failed. Both see to it that on_end comes at most once with 0 and once with an error, in this
 * order.
 */
void ln_sock_receive_ended(ln_sock *s, int error);
void ln_sock_send_failed(ln_sock *s, int error);

/* A send that failed so took nothing, broke nothing, and may be tried again: the system was short of
 * memory for a moment, as it is when thousands of readers stall at once. */
bool ln_sock_is_shortage(int error);

/*
 * For the back ends, around the call that hands up what a sock received: if the sock is all that
 * was corked in it, its output need not wait for the turn's end, since nobody else's input added to
 * it. It is sent while the sock is still in the processor's cache.
 */
void ln_sock_uncork(ln_sock *s, ln_sock **mark);

LN_INLINE ln_sock **ln_loop_corked_mark(const ln_loop *loop)
{
    return loop->corked_end;
}

LN_INLINE void ln_sock_flush_alone(ln_sock *s, ln_sock **mark)
{
    if (LN_LIKELY(*mark == s && s->next == NULL))
        ln_sock_uncork(s, mark);
}

#endif
