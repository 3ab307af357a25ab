/* SPDX-License-Identifier: MIT */
#include "bucket.h"

#include "base.h"

/* Level after the time that has passed; saturates at the burst before it can overflow. */
static uint64_t refilled(const ln_bucket *b, const ln_bucket_rate *rate, uint64_t now_ms)
{
    const uint64_t full = (uint64_t)rate->burst * 1000;
    const uint64_t passed_ms = now_ms > b->seen_ms ? now_ms - b->seen_ms : 0;

    /* One token per second is one thousandth per millisecond, so the rate is also millis per
     * millisecond. */
    if (passed_ms >= full) /* rested long enough at any rate; also keeps the product below small */
        return full;
    const uint64_t level = b->level_millis + passed_ms * rate->per_second;
    return level < full ? level : full;
}

void ln_bucket_init(ln_bucket *b, const ln_bucket_rate *rate, uint64_t now_ms)
{
    LN_ASSERT(rate->per_second <= LN_BUCKET_RATE_MAX && rate->burst <= LN_BUCKET_BURST_MAX);
    *b = (ln_bucket){.seen_ms = now_ms, .level_millis = (uint64_t)rate->burst * 1000};
}

bool ln_bucket_take(ln_bucket *b, const ln_bucket_rate *rate, uint32_t tokens, uint64_t now_ms)
{
    if (rate->per_second == 0)
        return true;

    const uint64_t cost = (uint64_t)tokens * 1000;
    const uint64_t level = refilled(b, rate, now_ms);
    const bool granted = cost <= level;

    b->level_millis = granted ? level - cost : level;
    if (now_ms > b->seen_ms)
        b->seen_ms = now_ms;
    LN_ASSERT(b->level_millis <= (uint64_t)rate->burst * 1000);
    return granted;
}

uint64_t ln_bucket_wait_ms(const ln_bucket *b, const ln_bucket_rate *rate, uint32_t tokens,
                           uint64_t now_ms)
{
    if (rate->per_second == 0)
        return 0;
    if (tokens > rate->burst)
        return UINT64_MAX;

    const uint64_t cost = (uint64_t)tokens * 1000;
    const uint64_t level = refilled(b, rate, now_ms);
    return cost <= level ? 0 : (cost - level + rate->per_second - 1) / rate->per_second;
}
