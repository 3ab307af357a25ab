/* SPDX-License-Identifier: MIT */
#include "benchorder.h"

enum { WINDOW = 64 };

/* `next` is settled, come or missed: on to the first behind it that has not come. */
static void advance(ln_benchorder *o)
{
    o->next++;
    while (o->ahead & 1) {
        o->ahead >>= 1;
        o->next++;
    }
    o->ahead >>= 1;
}

enum ln_benchorder_verdict ln_benchorder_take(ln_benchorder *o, uint64_t n)
{
    while (n > o->next + WINDOW) {
        o->missed++;
        advance(o);
    }
    if (n < o->next)
        return LN_BENCHORDER_AGAIN;
    if (n == o->next) {
        const bool is_late = o->ahead != 0;
        advance(o);
        return is_late ? LN_BENCHORDER_LATE : LN_BENCHORDER_NEXT;
    }
    const uint64_t above = o->ahead >> (n - o->next - 1);
    if (above & 1)
        return LN_BENCHORDER_AGAIN;
    o->ahead |= UINT64_C(1) << (n - o->next - 1);
    return above != 0 ? LN_BENCHORDER_LATE : LN_BENCHORDER_AHEAD;
}

uint64_t ln_benchorder_top(const ln_benchorder *o)
{
    return o->ahead == 0 ? o->next : o->next + 1 + WINDOW - (unsigned)__builtin_clzll(o->ahead);
}

uint64_t ln_benchorder_missing(const ln_benchorder *o, uint64_t sent)
{
    const uint64_t behind = sent > o->next ? sent - o->next : 0;
    const uint64_t come = (unsigned)__builtin_popcountll(o->ahead);
    return o->missed + (behind > come ? behind - come : 0);
}
