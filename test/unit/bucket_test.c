/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/bucket.h"

static const ln_bucket_rate rate = {.per_second = 100, .burst = 200};

static unsigned take_all(ln_bucket *b, uint64_t now_ms)
{
    unsigned n = 0;
    while (ln_bucket_take(b, &rate, 1, now_ms))
        n++;
    return n;
}

static void a_rested_peer_spends_exactly_its_burst(void **state)
{
    (void)state;
    ln_bucket b;
    ln_bucket_init(&b, &rate, 5000);
    assert_int_equal(take_all(&b, 5000), 200);
    assert_int_equal(take_all(&b, 5009), 0); /* 9 ms at 100/s is nine tenths of a token */
    assert_int_equal(take_all(&b, 5010), 1);
}

static void refusal_spends_nothing(void **state)
{
    (void)state;
    ln_bucket b;
    ln_bucket_init(&b, &rate, 0);
    assert_false(ln_bucket_take(&b, &rate, 201, 0));
    assert_int_equal(take_all(&b, 0), 200);
}

static void years_of_rest_do_not_overflow(void **state)
{
    (void)state;
    ln_bucket b;
    ln_bucket_init(&b, &rate, 0);
    take_all(&b, 0);
    assert_int_equal(take_all(&b, UINT64_MAX), 200);
}

static void a_clock_that_jumps_back_gives_no_tokens(void **state)
{
    (void)state;
    ln_bucket b;
    ln_bucket_init(&b, &rate, 10000);
    take_all(&b, 10000);
    assert_int_equal(take_all(&b, 0), 0);
    assert_int_equal(take_all(&b, 10010), 1);
}

static void wait_is_the_first_moment_that_succeeds(void **state)
{
    (void)state;
    ln_bucket b;
    ln_bucket_init(&b, &rate, 0);
    take_all(&b, 0);
    for (uint32_t want = 1; want <= rate.burst; want++) {
        const uint64_t wait = ln_bucket_wait_ms(&b, &rate, want, 0);
        ln_bucket early = b, due = b;
        assert_false(ln_bucket_take(&early, &rate, want, wait - 1));
        assert_true(ln_bucket_take(&due, &rate, want, wait));
    }
    assert_true(ln_bucket_wait_ms(&b, &rate, rate.burst + 1, 0) == UINT64_MAX);
}

static void a_rate_of_zero_is_no_limit(void **state)
{
    (void)state;
    const ln_bucket_rate free_of_charge = {.per_second = 0, .burst = 0};
    ln_bucket b;
    ln_bucket_init(&b, &free_of_charge, 0);
    assert_true(ln_bucket_take(&b, &free_of_charge, UINT32_MAX, 0));
    assert_true(ln_bucket_wait_ms(&b, &free_of_charge, UINT32_MAX, 0) == 0);
}

static void the_largest_rate_and_burst_stay_exact(void **state)
{
    (void)state;
    const ln_bucket_rate largest = {.per_second = LN_BUCKET_RATE_MAX, .burst = LN_BUCKET_BURST_MAX};
    ln_bucket b;
    ln_bucket_init(&b, &largest, 0);
    assert_true(ln_bucket_take(&b, &largest, LN_BUCKET_BURST_MAX, 0));
    assert_false(ln_bucket_take(&b, &largest, 1, 0));
    assert_true(ln_bucket_take(&b, &largest, 1000, 1)); /* a thousand tokens a millisecond */
    assert_false(ln_bucket_take(&b, &largest, 1, 1));
    assert_true(ln_bucket_take(&b, &largest, LN_BUCKET_BURST_MAX, UINT64_MAX));
    assert_false(ln_bucket_take(&b, &largest, 1, UINT64_MAX));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_rested_peer_spends_exactly_its_burst),
        cmocka_unit_test(refusal_spends_nothing),
        cmocka_unit_test(years_of_rest_do_not_overflow),
        cmocka_unit_test(a_clock_that_jumps_back_gives_no_tokens),
        cmocka_unit_test(wait_is_the_first_moment_that_succeeds),
        cmocka_unit_test(a_rate_of_zero_is_no_limit),
        cmocka_unit_test(the_largest_rate_and_burst_stay_exact),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
