/* SPDX-License-Identifier: MIT */
/*
 * jobs - work that may block, on a bounded number of threads; what comes of it goes back to the
 * loop by mail.
 *
 * A job is embedded in what it works on, so handing it over allocates nothing. Jobs with the same
 * key run one after the other, in the order they were submitted: with a connection's id as the
 * key, a connection's handlers may block and still see its messages in order.
 *
 * States of a job, and who brings it there
 *   yours -> waiting   ln_jobs_submit()
 *   waiting -> running a thread, when no other job of its key is before it
 *   running -> sent    the same thread, after work()
 *   waiting -> sent    ln_jobs_free(): is_cancelled
 *   sent -> yours      the loop calls done()
 *
 * Invariants
 *   1. done() is called exactly once for each job that was submitted, on the loop's thread; with
 *      `loop` NULL, on whichever thread frees the loop, when that has ended before (mail.h).
 *   2. Of the jobs of one key that a loop submitted, done() comes in their order, and before
 *      another one's work() has begun the one before has been sent.
 *   3. Nothing touches a job after it has been sent but its owner.
 */
#ifndef LN_JOBS_H
#define LN_JOBS_H

#include "base/alloc.h"
#include "mail.h"

enum {
    LN_JOBS_THREADS_MAX = 64,
    LN_JOBS_WAITING_MAX = 4096 /* without a thread yet */
};

typedef struct ln_job ln_job;
struct ln_job {
    void (*work)(ln_job *job);                /* on a thread of the pool; may block, must end */
    void (*done)(ln_job *job, ln_loop *loop); /* the job is its owner's again, who may free it */
    bool is_cancelled;                        /* for done(): work() was not called */

    ln_letter letter; /* from here on the pool's */
    ln_loop *loop;
    uint64_t key;
    ln_job *next;      /* in the queue of those that may run */
    ln_job *follower;  /* of the same key, to be queued after this one */
    ln_job *neighbour; /* in the same bucket of ln_jobs.last */
};

typedef struct ln_jobs ln_jobs;

/*
 * A pool of up to `threads` threads, which are started when there is work, and `waiting` jobs
 * beyond those that run; both from 1 to the limits above, else LN_ERR_INVALID. LN_ERR_NOMEM.
 */
LN_NODISCARD int ln_jobs_new(const ln_allocator *alloc, unsigned threads, unsigned waiting,
                             ln_jobs **jobs);

/*
 * Cancels what waits, waits for what runs, and has everything sent when it returns: after that the
 * loops may be freed, and not before. Nobody submits meanwhile. Not on a thread of the pool. Accepts
 * NULL.
 */
void ln_jobs_free(ln_jobs *jobs);

/*
 * Has `job` done for `loop`; its `work` and `done` are set. `key` 0: in no order. Any thread.
 * LN_ERR_WOULD_EXCEED (too many are waiting), LN_ERR_NOMEM (there is no thread, and no new one):
 * the job is still the caller's, and done() will not be called.
 */
LN_NODISCARD int ln_jobs_submit(ln_jobs *jobs, ln_loop *loop, uint64_t key, ln_job *job);

#endif
