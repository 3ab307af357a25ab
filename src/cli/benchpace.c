/* SPDX-License-Identifier: MIT */
#include "benchpace.h"

static const uint64_t second_ns = 1000000000;

uint64_t ln_benchpace_due(const ln_benchpace *p, uint64_t n)
{
    if (p->per_second == 0)
        return UINT64_MAX;
    /* Whole seconds apart from the rest: neither product passes 64 bits. */
    const uint64_t whole = n / p->per_second, rest = n % p->per_second;
    return p->start_ns + whole * second_ns + rest * second_ns / p->per_second;
}

uint64_t ln_benchpace_count(const ln_benchpace *p, uint64_t now_ns)
{
    if (p->per_second == 0 || now_ns < p->start_ns)
        return 0;
    /* The least n that is due later: n * second >= passed * rate, as due() rounds down. */
    const uint64_t passed_ns = now_ns - p->start_ns + 1;
    const uint64_t part = passed_ns % second_ns * p->per_second;
    return passed_ns / second_ns * p->per_second + (part + second_ns - 1) / second_ns;
}

uint64_t ln_benchpace_share(uint64_t count, uint32_t lane, uint32_t lanes)
{
    return count > lane ? (count - lane - 1) / lanes + 1 : 0;
}
