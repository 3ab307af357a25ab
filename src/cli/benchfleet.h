/* SPDX-License-Identifier: MIT */
/*
 * benchfleet - the workers of a load test on their threads, and the processes that these are in.
 *
 * One process, this one, unless there are more connections than it may have descriptors: then
 * children share them, which tell what they counted through the board (benchboard.h). A child ends
 * by itself when its parent is gone.
 */
#ifndef LN_BENCHFLEET_H
#define LN_BENCHFLEET_H

#include "benchworker.h"

#include <pthread.h>
#include <sys/types.h>

typedef struct ln_benchfleet ln_benchfleet;

typedef struct ln_benchseat { /* a worker and its thread */
    ln_benchfleet *fleet;
    ln_benchworker worker;
    pthread_t thread;
} ln_benchseat;

struct ln_benchfleet {
    const ln_benchplan *plan;
    ln_benchboard *board;
    ln_benchseat *seats; /* of this process; NULL in the parent of children */
    uint32_t seat_count;
    pid_t *children; /* 0 = has ended */
    uint32_t child_count;
    uint32_t lost_count;      /* children that ended in disorder */
    _Atomic uint32_t working; /* threads of this process that have not ended */
};

/* How many connections a process may have; raises the limit of this one as far as it may. */
uint32_t ln_benchfleet_room(void);

/*
 * Starts everybody. Signals should be blocked: threads and children inherit that. LN_ERR_NOMEM,
 * LN_ERR_LIMIT (no more threads or processes): those that were started must be joined all the same.
 */
LN_NODISCARD int ln_benchfleet_start(ln_benchfleet *f, const ln_benchplan *plan,
                                     ln_benchboard *board);

/* Does anybody still work? Never waits. */
bool ln_benchfleet_is_working(ln_benchfleet *f);

/* Ends children that do not end by themselves; threads do, when the board says so. */
void ln_benchfleet_kill(ln_benchfleet *f);

/* Waits for all, and frees what start() made. */
void ln_benchfleet_join(ln_benchfleet *f);

#endif
