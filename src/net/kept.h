/* SPDX-License-Identifier: MIT */
/*
 * kept - received bytes that came when nobody wanted them: a socket was paused while they were on
 * their way up.
 *
 * For a back end that cannot leave bytes in the system once they are received. What a socket can
 * make us keep is what one turn received for it, at most about its receive buffer in the kernel:
 * pausing cancels the operation.
 *
 * Invariants
 *   1. Pieces of one socket come out in the order they went in.
 *   2. A record exists exactly while its socket has pieces, or is in the ready list.
 */
#ifndef LN_KEPT_H
#define LN_KEPT_H

#include "base/alloc.h"

enum { LN_KEPT_BUCKETS = 256 };

typedef struct ln_sock ln_sock;

typedef struct ln_piece {
    struct ln_piece *next;
    uint8_t *bytes; /* in `copy`, or lent by the socket's owner */
    size_t size;
    uint8_t copy[];
} ln_piece;

typedef struct ln_kept_sock {
    struct ln_kept_sock *next; /* in its bucket */
    struct ln_kept_sock *next_ready;
    ln_sock *sock; /* NULL: dropped while ready */
    ln_piece *first;
    ln_piece **end;
    bool is_ready;
} ln_kept_sock;

typedef struct ln_kept {
    const ln_allocator *alloc;
    ln_kept_sock *ready; /* resumed; in this order */
    ln_kept_sock **ready_end;
    ln_kept_sock *buckets[LN_KEPT_BUCKETS];
} ln_kept;

void ln_kept_init(ln_kept *k, const ln_allocator *alloc);
void ln_kept_fini(ln_kept *k);

/* Keeps a copy of `bytes`, or the lent memory itself. LN_ERR_NOMEM. */
LN_NODISCARD int ln_kept_add(ln_kept *k, ln_sock *s, const uint8_t *bytes, size_t n);
LN_NODISCARD int ln_kept_add_lent(ln_kept *k, ln_sock *s, uint8_t *bytes, size_t n);

/* The socket was resumed: next() will give its record. Harmless when it is ready already. */
void ln_kept_resume(ln_kept *k, ln_sock *s);

/* Forgets a socket that is being closed. Harmless when nothing is kept. */
void ln_kept_drop(ln_kept *k, ln_sock *s);

/*
 * The next ready record, or NULL; it is the caller's until put back with done(). Meanwhile pieces
 * may be added, and pop() takes them: free each with ln_free().
 */
ln_kept_sock *ln_kept_next(ln_kept *k);
ln_piece *ln_kept_pop(ln_kept_sock *record);
/* True when nothing is left of it; else it waits for the next resume(). */
bool ln_kept_done(ln_kept *k, ln_kept_sock *record);

#endif
