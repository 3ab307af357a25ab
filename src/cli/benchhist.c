/* SPDX-License-Identifier: MIT */
#include "benchhist.h"

enum { STEP_BITS = 6, EXACT = 2 * LN_BENCHHIST_STEPS };

_Static_assert(1 << STEP_BITS == LN_BENCHHIST_STEPS, "an index is made of bits");

static size_t index_of(uint64_t ns)
{
    if (ns < EXACT)
        return (size_t)ns;
    const unsigned shift = 63U - (unsigned)__builtin_clzll(ns) - STEP_BITS;
    const size_t i = (size_t)shift * LN_BENCHHIST_STEPS + (size_t)(ns >> shift);
    return ln_min_size(i, LN_BENCHHIST_BUCKETS - 1);
}

uint64_t ln_benchhist_floor(size_t i)
{
    if (i < EXACT)
        return i;
    return (uint64_t)(i % LN_BENCHHIST_STEPS + LN_BENCHHIST_STEPS) << (i / LN_BENCHHIST_STEPS - 1);
}

void ln_benchhist_add(ln_benchhist *h, uint64_t ns)
{
    h->buckets[index_of(ns)]++;
    h->count++;
    h->sum_ns += ns;
    if (ns > h->max_ns)
        h->max_ns = ns;
}

void ln_benchhist_merge(ln_benchhist *into, const ln_benchhist *from)
{
    if (from->count == 0)
        return;
    for (size_t i = 0; i < LN_BENCHHIST_BUCKETS; i++)
        into->buckets[i] += from->buckets[i];
    into->count += from->count;
    into->sum_ns += from->sum_ns;
    if (from->max_ns > into->max_ns)
        into->max_ns = from->max_ns;
}

/* How many make up `ppm` of a million, rounded up; in two parts, so that nothing overflows. */
static uint64_t rank_of(uint64_t count, uint32_t ppm)
{
    const uint64_t part = count % 1000000 * ppm;
    const uint64_t rank = count / 1000000 * ppm + (part + 999999) / 1000000;
    return rank > 0 ? rank : 1;
}

uint64_t ln_benchhist_at(const ln_benchhist *h, uint32_t ppm)
{
    if (h->count == 0)
        return 0;
    const uint64_t rank = rank_of(h->count, ppm);
    uint64_t seen = 0;
    size_t i = 0;
    while (i < LN_BENCHHIST_BUCKETS && seen < rank)
        seen += h->buckets[i++];
    const uint64_t ceiling = ln_benchhist_floor(i) - 1; /* of the bucket before */
    return i == LN_BENCHHIST_BUCKETS || ceiling > h->max_ns ? h->max_ns : ceiling;
}

uint64_t ln_benchhist_mean(const ln_benchhist *h)
{
    return h->count > 0 ? h->sum_ns / h->count : 0;
}

uint64_t ln_benchhist_below(const ln_benchhist *h, uint64_t ns)
{
    uint64_t n = 0;
    for (size_t i = 0; i < LN_BENCHHIST_BUCKETS && ln_benchhist_floor(i) < ns; i++)
        n += h->buckets[i];
    return n;
}
