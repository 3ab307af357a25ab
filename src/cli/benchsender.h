/* SPDX-License-Identifier: MIT */
/*
 * benchsender - the sending side of a connection: how many messages are in flight, and which is due.
 *
 * Closed loop: the next is due when there is room in flight. Paced: message n of lane l is due when
 * the plan's pace says so (benchpace.h), whatever the answers do; one that finds no room leaves
 * late, and its latency counts from when it was due: nothing is omitted because the server stalls.
 */
#ifndef LN_BENCHSENDER_H
#define LN_BENCHSENDER_H

#include "benchworker.h"

typedef struct ln_benchsender {
    uint64_t sent;
    uint64_t answered; /* in flight are sent - answered */
    uint32_t lane;     /* and the sender's number in its messages */
    uint32_t mask;
    uint64_t *due_ns; /* of those in flight, by number modulo mask + 1; borrowed */
} ln_benchsender;

/* How many numbers `ring` must have. */
uint32_t ln_benchsender_ring(const ln_benchplan *plan);
void ln_benchsender_init(ln_benchsender *s, const ln_benchplan *plan, uint32_t lane,
                         uint64_t *ring);

/* Sends what is due and has room; to be called when either may have changed. */
void ln_benchsender_fill(ln_benchlink *link, ln_benchsender *s);

/* The first `answered` messages are not in flight any more. */
void ln_benchsender_answer(ln_benchworker *w, ln_benchsender *s, uint64_t answered);

/* Nothing is in flight, and nothing will be: the connection has ended. */
void ln_benchsender_end(ln_benchworker *w, ln_benchsender *s);

/* When message `number` was due; it must be in flight. */
LN_INLINE uint64_t ln_benchsender_due(const ln_benchsender *s, uint64_t number)
{
    return s->due_ns[number & s->mask];
}

/* Notes as faults what was due within the time and never left, while the connection stood. */
void ln_benchsender_note_unsent(const ln_benchlink *link, const ln_benchsender *s);

/*
 * Who is next: goes round all senders of a worker in the order in which their messages are due.
 * fill_due() lets each send that is due by `now_ns` and returns when the next one is.
 */
typedef struct ln_benchround {
    ln_benchlink *links; /* whose `own` begins with an ln_benchsender; lanes ascending */
    uint32_t count;
    uint32_t at;
    uint64_t round;
} ln_benchround;

uint64_t ln_benchround_fill_due(ln_benchround *r, ln_benchworker *w, uint64_t now_ns);

#endif
