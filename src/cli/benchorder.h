/* SPDX-License-Identifier: MIT */
/*
 * benchorder - what became of numbered messages: each once and in order, or what else.
 *
 * Remembers the first number that is missing and which of the 64 behind it have come.
 *
 * Invariants
 *   1. Each number below `next` came, or is counted in `missed`.
 *   2. `next` itself has not come; bit i of `ahead` says that next + 1 + i has.
 */
#ifndef LN_BENCHORDER_H
#define LN_BENCHORDER_H

#include "base/base.h"

typedef struct ln_benchorder {
    uint64_t next;
    uint64_t ahead;
    uint64_t missed; /* given up: 65 or more later ones have come */
} ln_benchorder;

enum ln_benchorder_verdict {
    LN_BENCHORDER_NEXT = 1, /* just what was to come */
    LN_BENCHORDER_AHEAD,    /* higher than all before it, but something before it is missing */
    LN_BENCHORDER_LATE,     /* a later one has come already */
    LN_BENCHORDER_AGAIN     /* has come already, or was given up */
};

/* Takes note of number `n`, at most a few thousand above the highest before. All zero expects 0. */
enum ln_benchorder_verdict ln_benchorder_take(ln_benchorder *o, uint64_t n);

/* One more than the highest that has come. */
uint64_t ln_benchorder_top(const ln_benchorder *o);

/* How many of the first `sent` have not come. */
uint64_t ln_benchorder_missing(const ln_benchorder *o, uint64_t sent);

#endif
