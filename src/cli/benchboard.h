/* SPDX-License-Identifier: MIT */
/*
 * benchboard - the memory that the threads and processes of a load test share: what is to be done
 * now, and a tally for each worker.
 *
 * Phases                    begun by the conductor when
 *   LN_BENCHPHASE_OPEN      at once: workers open their connections
 *   LN_BENCHPHASE_RUN       all are open: the load begins at begin_ns, is measured from from_ns on
 *                           and ends at until_ns; answers may come later
 *   LN_BENCHPHASE_CLOSE     all is settled, or the patience has ended: workers say goodbye
 *   LN_BENCHPHASE_ABORT     the user said twice that it is enough
 */
#ifndef LN_BENCHBOARD_H
#define LN_BENCHBOARD_H

#include "bench.h"
#include "benchtally.h"

enum ln_benchphase {
    LN_BENCHPHASE_OPEN = 0,
    LN_BENCHPHASE_RUN,
    LN_BENCHPHASE_CLOSE,
    LN_BENCHPHASE_ABORT
};

enum { LN_BENCHBOARD_PUBLISHERS_MAX = 256 };

typedef struct ln_benchboard {
    _Atomic uint32_t phase;
    _Atomic uint64_t begin_ns;
    _Atomic uint64_t from_ns;
    _Atomic uint64_t until_ns; /* may come closer while it runs */
    _Atomic uint64_t published[LN_BENCHBOARD_PUBLISHERS_MAX];
    size_t size;
    size_t tally_size;
    uint32_t workers;
} ln_benchboard;

/* All zero but the tallies' slice_count. LN_ERR_NOMEM. */
LN_NODISCARD int ln_benchboard_new(const ln_benchplan *plan, ln_benchboard **board);
void ln_benchboard_free(ln_benchboard *board); /* accepts NULL */

ln_benchtally *ln_benchboard_tally(ln_benchboard *board, uint32_t worker);

/* The sums of the counters that may be read at any time. */
typedef struct ln_benchboard_sum {
    uint64_t opened, failed, closed, events, trouble;
    bool is_settled;
} ln_benchboard_sum;

ln_benchboard_sum ln_benchboard_look(ln_benchboard *board);

#endif
