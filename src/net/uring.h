/* SPDX-License-Identifier: MIT */
/*
 * uring - one ring a loop: what uring.c (the ring and the turn), uringsock.c (operations and their
 * completions) and uringprobe.c (does this kernel do what we rely on?) share.
 *
 * A turn is one io_uring_enter: it submits what the turn prepared and waits for what comes. Three
 * things make that true:
 *   - accepting and receiving are multishot, into buffers that all sockets share (a ring of them:
 *     "buffers" below);
 *   - a send is quick: MSG_DONTWAIT with a completion only if it did not go out whole. Sends are
 *     done when the submission is, so those without a completion have succeeded, and a quiet one
 *     does not end the waiting;
 *   - one that came short is slow the next time: it waits for room in the kernel and completes like
 *     anything else.
 *
 * Invariants
 *   1. sock->inflight counts the operations whose completion has not been seen; a quick send is one
 *      until it is settled.
 *   2. Quick sends are settled after a submission that left nothing behind, and when no completion
 *      is hidden in the kernel's overflow list; a missing completion means success only then.
 *   3. At most one receive per sock is in the system: multishot, one-shot into a shared buffer, or
 *      into lent memory.
 *   4. The ring is made disabled and belongs to the thread of the first turn, or of the call that
 *      filled its queue.
 */
#ifndef LN_URING_H
#define LN_URING_H

#include <liburing.h>
#include <pthread.h>

#include "backend.h"
#include "kept.h"

enum {
    LN_URING_SUBMISSIONS = 1024, /* more in one turn: one more system call for each thousand */
    LN_URING_COMPLETIONS = 8192,
    LN_URING_BUFFER_BYTES = 16384,
    LN_URING_BUFFERS_FIRST = 64, /* few: they are used in turn, and should stay in the cache */
    LN_URING_BUFFERS_MAX = 1024, /* doubled up to this whenever they run out */
    LN_URING_BUFFER_GROUP = 0,
    LN_URING_QUICK_MAX = 4096, /* quick sends a turn; the others are slow ones */
    LN_URING_LENT_BUCKETS = 256,
    LN_URING_ARENA_BYTES = 131072 /* message headers and vectors until they are submitted */
};

/* user_data: a pointer or index, shifted or aligned so that these fit below it. */
enum {
    LN_URING_IGNORE = 0,  /* cancellations, closes */
    LN_URING_RECEIVE = 1, /* | sock */
    LN_URING_LENT = 2,    /* | sock */
    LN_URING_SEND = 3,    /* | sock */
    LN_URING_QUICK = 4,   /* | index << 3 */
    LN_URING_ACCEPT = 5,  /* | sock */
    LN_URING_POLL = 6,    /* | sock */
    LN_URING_WAKE = 7,
    LN_URING_TAG_BITS = 3,
    LN_URING_TAG_MASK = 7
};

/* io_flags above the kind */
enum {
    LN_URING_BUSY = 0x04,      /* the sock's operation is in the system */
    LN_URING_STOPPING = 0x08,  /* ... and is being cancelled */
    LN_URING_CANCELLED = 0x10, /* closing: everything is */
    LN_URING_KEPT = 0x20,      /* bytes in ln_uring.kept */
    LN_URING_ONE_SHOT = 0x40,  /* the receive is, or was last, into lent memory: no multishot yet */
    LN_URING_SLOW = 0x80       /* the last quick send came short */
};

typedef struct ln_uring_quick {
    ln_sock *sock;
    size_t size;
    int32_t result; /* LN_URING_ALL, or what the completion said */
} ln_uring_quick;

enum { LN_URING_ALL = INT32_MAX };

/* A receive into an owner's memory; found by its sock, so that it can be cancelled by its user_data
 * as anything else. */
typedef struct ln_uring_lent {
    struct ln_uring_lent *next;
    ln_sock *sock;
    uint8_t *memory;
} ln_uring_lent;

typedef struct ln_uring {
    struct io_uring ring;
    struct io_uring_buf_ring *buffer_ring;
    uint8_t *buffers;
    unsigned buffer_count; /* in circulation */
    unsigned returned;     /* added to the ring, not yet shown to the kernel */
    unsigned quick_count;
    ln_uring_quick *quick;      /* of the coming submission */
    ln_uring_quick *quick_done; /* being settled */
    uint8_t *arena;
    size_t arena_used;
    ln_uring_lent *lent[LN_URING_LENT_BUCKETS]; /* under way */
    ln_uring_lent *lent_free;
    ln_kept kept;
    int wake_fd;
    int told_fd; /* for a foreign loop: an event for each completion; -1 until it asks */
    bool is_enabled;
    bool is_wake_watched;
    bool must_hurry;  /* something could not be prepared or settled: the next wait must not sleep */
    pthread_t thread; /* when enabled */
} ln_uring;

/* The ring itself, with the best flags this kernel takes, disabled. 0 or a negative errno. */
int ln_uring_setup(struct io_uring *ring, unsigned submissions, unsigned completions);
/* From here on it is the calling thread's. 0 or a negative errno. */
int ln_uring_enable(struct io_uring *ring);
/* Does what we rely on work here? Tries it out, in about 100 microseconds. */
bool ln_uring_probe(void);

/* A cleared entry for the next submission; submits when the queue is full. NULL when the system
 * takes nothing. */
struct io_uring_sqe *ln_uring_prepare(ln_uring *u);
/* Hands over what is prepared, without waiting. */
void ln_uring_submit(ln_uring *u);
/* More shared buffers, if there may be. */
void ln_uring_grow(ln_uring *u);
/* The bytes in it have been handed up. */
void ln_uring_return_buffer(ln_uring *u, unsigned id);

/* uringsock.c: the back end's functions for socks, and what completions mean for them */
int ln_uring_start(ln_sock *s);
void ln_uring_stop(ln_sock *s);
size_t ln_uring_send(ln_sock *s, const ln_span *spans, int k);
size_t ln_uring_send_quiet(ln_sock *s, const ln_span *spans, int k);
void ln_uring_hurry(ln_sock *s);
bool ln_uring_end(ln_sock *s);
void ln_uring_release(ln_sock *s);
void ln_uring_complete(ln_uring *u, const struct io_uring_cqe *cqe);
void ln_uring_settle(const ln_uring_quick *quick);
void ln_uring_hand_up_kept(ln_uring *u);

#endif
