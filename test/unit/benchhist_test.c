/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cli/benchhist.h"

static ln_benchhist *fresh(void)
{
    ln_benchhist *const h = calloc(1, sizeof *h);
    assert_non_null(h);
    return h;
}

static void an_empty_one_says_nothing(void **state)
{
    (void)state;
    ln_benchhist *const h = fresh();
    assert_int_equal(ln_benchhist_at(h, 500000), 0);
    assert_int_equal(ln_benchhist_mean(h), 0);
    assert_int_equal(ln_benchhist_below(h, UINT64_MAX), 0);
    free(h);
}

static void each_bucket_begins_where_the_one_before_ends(void **state)
{
    (void)state;
    for (size_t i = 0; i < LN_BENCHHIST_BUCKETS; i++) {
        const uint64_t low = ln_benchhist_floor(i), high = ln_benchhist_floor(i + 1);
        assert_true(low < high);
        if (high - low > 1)
            assert_true((high - low) * LN_BENCHHIST_STEPS <= low);
    }
}

/* Both ends of every bucket are counted in it, and in no other. */
static void every_value_is_counted_in_its_bucket(void **state)
{
    (void)state;
    for (size_t i = 0; i < LN_BENCHHIST_BUCKETS; i++) {
        ln_benchhist *const h = fresh();
        ln_benchhist_add(h, ln_benchhist_floor(i));
        ln_benchhist_add(h, ln_benchhist_floor(i + 1) - 1);
        assert_int_equal(h->buckets[i], 2);
        free(h);
    }
}

static void a_percentile_is_right_within_its_error_and_never_low(void **state)
{
    (void)state;
    ln_benchhist *const h = fresh();
    for (uint64_t v = 1; v <= 1000; v++)
        ln_benchhist_add(h, v * 1000);
    static const uint32_t points[] = {1, 1000, 10000, 500000, 900000, 990000, 999000, 1000000};
    for (size_t i = 0; i < LN_ARRAY_SIZE(points); i++) {
        const uint64_t exact = (points[i] + 999) / 1000 * 1000;
        const uint64_t found = ln_benchhist_at(h, points[i]);
        assert_in_range(found, exact, exact + exact / LN_BENCHHIST_STEPS);
    }
    assert_int_equal(ln_benchhist_at(h, 1000000), 1000000);
    assert_int_equal(ln_benchhist_mean(h), 500500);
    free(h);
}

static void one_in_a_thousand_is_not_in_p99_9_but_two_are(void **state)
{
    (void)state;
    ln_benchhist *const h = fresh();
    for (int i = 0; i < 999; i++)
        ln_benchhist_add(h, 100);
    ln_benchhist_add(h, 5000000);
    assert_int_equal(ln_benchhist_at(h, 999000), 100);
    ln_benchhist_add(h, 5000000);
    assert_int_equal(ln_benchhist_at(h, 999000), 5000000);
    free(h);
}

static void what_is_too_long_is_counted_last_and_keeps_its_maximum(void **state)
{
    (void)state;
    ln_benchhist *const h = fresh();
    ln_benchhist_add(h, UINT64_C(1) << 50);
    assert_int_equal(h->buckets[LN_BENCHHIST_BUCKETS - 1], 1);
    assert_true(ln_benchhist_at(h, 500000) == UINT64_C(1) << 50);
    free(h);
}

static void a_sum_of_parts_is_as_good_as_the_whole(void **state)
{
    (void)state;
    ln_benchhist *const whole = fresh(), *const even = fresh(), *const odd = fresh();
    uint64_t x = 1;
    for (int i = 0; i < 10000; i++) {
        x = x * 6364136223846793005U + 1442695040888963407U;
        ln_benchhist_add(whole, x >> 30);
        ln_benchhist_add(i % 2 ? odd : even, x >> 30);
    }
    ln_benchhist_merge(even, odd);
    assert_memory_equal(whole, even, sizeof *whole);
    free(whole);
    free(even);
    free(odd);
}

static void counts_of_billions_do_not_overflow(void **state)
{
    (void)state;
    ln_benchhist *const h = fresh();
    h->buckets[5] = UINT64_C(1) << 60;
    h->buckets[7] = UINT64_C(1) << 60;
    h->count = UINT64_C(1) << 61;
    h->max_ns = 7;
    assert_int_equal(ln_benchhist_at(h, 499999), 5);
    assert_int_equal(ln_benchhist_at(h, 500001), 7);
    free(h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_one_says_nothing),
        cmocka_unit_test(each_bucket_begins_where_the_one_before_ends),
        cmocka_unit_test(every_value_is_counted_in_its_bucket),
        cmocka_unit_test(a_percentile_is_right_within_its_error_and_never_low),
        cmocka_unit_test(one_in_a_thousand_is_not_in_p99_9_but_two_are),
        cmocka_unit_test(what_is_too_long_is_counted_last_and_keeps_its_maximum),
        cmocka_unit_test(a_sum_of_parts_is_as_good_as_the_whole),
        cmocka_unit_test(counts_of_billions_do_not_overflow),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
