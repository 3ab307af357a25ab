/* SPDX-License-Identifier: MIT */
/*
 * benchhist - how often which latency was seen: fixed memory, a known error, and sums of them are
 * as good as one.
 *
 * The buckets are log-linear (as in Gil Tene's HdrHistogram): one for each nanosecond below 128,
 * then 64 for each doubling. Counting is an index and an increment; nothing is kept in order.
 *
 * Invariants
 *   1. A bucket is at most 1/64 of its lowest value wide: that is the error of every percentile.
 *   2. `count` is the sum of the buckets. `max_ns` is exact; what is longer than 18 minutes is
 *      counted in the last bucket.
 */
#ifndef LN_BENCHHIST_H
#define LN_BENCHHIST_H

#include "base/base.h"

enum {
    LN_BENCHHIST_STEPS = 64,    /* buckets of a doubling */
    LN_BENCHHIST_BUCKETS = 2240 /* up to 2^40 ns */
};

typedef struct ln_benchhist {
    uint64_t count;
    uint64_t sum_ns;
    uint64_t max_ns;
    uint64_t buckets[LN_BENCHHIST_BUCKETS];
} ln_benchhist;

/* All zero is an empty one. */
void ln_benchhist_add(ln_benchhist *h, uint64_t ns);
void ln_benchhist_merge(ln_benchhist *into, const ln_benchhist *from);

/*
 * The value that `ppm` of a million are not above: 500000 is the median, 1000000 the maximum. The
 * upper end of its bucket, so never too low. 0 when empty.
 */
uint64_t ln_benchhist_at(const ln_benchhist *h, uint32_t ppm);

/* 0 when empty. */
uint64_t ln_benchhist_mean(const ln_benchhist *h);

/* How many are in buckets that lie wholly or partly below `ns`. */
uint64_t ln_benchhist_below(const ln_benchhist *h, uint64_t ns);

/* The lowest value that bucket `i` counts; i may be LN_BENCHHIST_BUCKETS. */
uint64_t ln_benchhist_floor(size_t i);

#endif
