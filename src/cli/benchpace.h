/* SPDX-License-Identifier: MIT */
/*
 * benchpace - when things are due: number n of them at `start` and n / rate seconds.
 *
 * No clock and no state: whoever is late knows exactly by how much, and nothing drifts. What is due
 * is numbered through all connections, so that connection c of C takes care of c, c + C, c + 2C.
 */
#ifndef LN_BENCHPACE_H
#define LN_BENCHPACE_H

#include "base/base.h"

typedef struct ln_benchpace {
    uint64_t start_ns;   /* monotonic */
    uint32_t per_second; /* 0 = no pace: nothing is ever due */
} ln_benchpace;

/* When number `n` is due; UINT64_MAX without a pace. */
uint64_t ln_benchpace_due(const ln_benchpace *p, uint64_t n);

/* How many have become due by `now_ns`, that moment included. */
uint64_t ln_benchpace_count(const ln_benchpace *p, uint64_t now_ns);

/* How many of the first `count` are connection `lane`'s, of `lanes`. */
uint64_t ln_benchpace_share(uint64_t count, uint32_t lane, uint32_t lanes);

#endif
