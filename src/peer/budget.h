/* SPDX-License-Identifier: MIT */
/*
 * budget - what may wait in all send queues of a server together, and who has to go when it is more.
 *
 * Each worker keeps, by size class, how much waits in its queues, and tells the server's sum when
 * its own has moved by a step. Whoever finds the sum above the budget works out from all workers'
 * classes from which size on connections have to go, so that seven eighths of the budget remain,
 * and writes each worker a letter; each sheds its own.
 *
 * So the sum may pass the budget by what the workers queue in one turn and by a step for each,
 * which together are at most a 64th of the budget. Worst first holds to within a size class, a
 * fifth.
 */
#ifndef LN_BUDGET_H
#define LN_BUDGET_H

#include <stdatomic.h>

#include "net/mail.h"

typedef struct ln_home ln_home;

enum { LN_BUDGET_CLASSES = 128 }; /* four for each power of two */

/* The server's. Fixed but for the sum. */
typedef struct ln_budget {
    uint64_t max_bytes; /* 0 = none */
    uint64_t step_bytes;
    _Atomic uint64_t queued_bytes;
} ln_budget;

/* A worker's part: written by its thread, except for what the letter says. */
typedef struct ln_budget_share {
    _Atomic uint64_t classes[LN_BUDGET_CLASSES]; /* bytes of the queues of that size */
    uint64_t told_bytes;
    ln_letter letter;
    _Atomic bool is_posted;
    _Atomic uint32_t shed_from; /* the least class that has to go */
} ln_budget_share;

void ln_budget_init(ln_budget *b, uint64_t max_bytes, unsigned workers);
void ln_budget_init_share(ln_budget_share *share);

/* A queue of this worker has gone from `before` to `now` bytes; the home's counter knows it. */
void ln_budget_count(ln_home *home, uint32_t before, uint32_t now);

#endif
