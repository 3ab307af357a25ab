/* SPDX-License-Identifier: MIT */
/*
 * linear_time - does work grow with its input, or with the square of it?
 *
 *     static void work(void *user, size_t n) { ... }
 *     linear_time_assert(work, NULL, 4096);
 *
 * Compares processor time for n and for 16 n, the best of several runs. Linear work takes 16 times
 * as long, quadratic work 256 times; the bound lies between them, so that neither a busy machine
 * nor a sanitizer makes a difference.
 */
#ifndef LINEAR_TIME_H
#define LINEAR_TIME_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include <cmocka.h>

enum {
    LINEAR_TIME_RUNS = 5,
    LINEAR_TIME_FACTOR = 16,
    LINEAR_TIME_BOUND = 64,
    LINEAR_TIME_SLACK_NS = 200000
};

typedef void linear_time_work(void *user, size_t n);

static inline uint64_t linear_time_now_ns(void)
{
    struct timespec t;
    assert_int_equal(clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t), 0);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static inline uint64_t linear_time_best_ns(linear_time_work *work, void *user, size_t n)
{
    uint64_t best = UINT64_MAX;
    for (int i = 0; i < LINEAR_TIME_RUNS; i++) {
        const uint64_t begin = linear_time_now_ns();
        work(user, n);
        const uint64_t passed = linear_time_now_ns() - begin;
        best = passed < best ? passed : best;
    }
    return best;
}

static inline void linear_time_assert(linear_time_work *work, void *user, size_t n)
{
    const uint64_t small = linear_time_best_ns(work, user, n);
    const uint64_t large = linear_time_best_ns(work, user, n * LINEAR_TIME_FACTOR);
    if (large > small * LINEAR_TIME_BOUND + LINEAR_TIME_SLACK_NS)
        fail_msg("%zu bytes: %llu ns; %d times as many: %llu ns", n, (unsigned long long)small,
                 LINEAR_TIME_FACTOR, (unsigned long long)large);
}

#endif
