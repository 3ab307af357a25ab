/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cli/benchpace.h"

static const uint64_t second = 1000000000;

static void the_first_is_due_at_once(void **state)
{
    (void)state;
    const ln_benchpace p = {.start_ns = 77, .per_second = 3};
    assert_int_equal(ln_benchpace_due(&p, 0), 77);
    assert_int_equal(ln_benchpace_count(&p, 76), 0);
    assert_int_equal(ln_benchpace_count(&p, 77), 1);
}

static void a_second_has_exactly_its_rate(void **state)
{
    (void)state;
    static const uint32_t rates[] = {1, 3, 7, 1000, 333333, 999999, 50000000};
    for (size_t i = 0; i < LN_ARRAY_SIZE(rates); i++) {
        const ln_benchpace p = {.start_ns = 5, .per_second = rates[i]};
        for (uint64_t s = 0; s < 100000; s += 9999) {
            assert_int_equal(ln_benchpace_due(&p, s * rates[i]), 5 + s * second);
            assert_int_equal(ln_benchpace_count(&p, 5 + s * second), s * rates[i] + 1);
            assert_int_equal(ln_benchpace_count(&p, 5 + s * second - 1), s * rates[i]);
        }
    }
}

/* count() is the inverse of due(), at any moment and any rate. */
static void count_and_due_agree(void **state)
{
    (void)state;
    static const uint32_t rates[] = {1, 3, 7, 997, 48000, 1234567, 50000000};
    for (size_t i = 0; i < LN_ARRAY_SIZE(rates); i++) {
        const ln_benchpace p = {.start_ns = 123456789, .per_second = rates[i]};
        for (uint64_t n = 0; n < 2000000; n += 1 + n / 3) {
            const uint64_t due = ln_benchpace_due(&p, n);
            assert_true(ln_benchpace_count(&p, due) > n);
            assert_true(ln_benchpace_count(&p, due - 1) <= n);
        }
    }
}

static void a_year_does_not_overflow(void **state)
{
    (void)state;
    const ln_benchpace p = {.start_ns = 0, .per_second = 50000000};
    const uint64_t year = 31536000;
    assert_int_equal(ln_benchpace_due(&p, year * 50000000), year * second);
    assert_int_equal(ln_benchpace_count(&p, year * second - 1), year * 50000000);
}

static void lanes_share_without_a_rest(void **state)
{
    (void)state;
    for (uint64_t count = 0; count < 50; count++) {
        for (uint32_t lanes = 1; lanes < 9; lanes++) {
            uint64_t sum = 0;
            for (uint32_t lane = 0; lane < lanes; lane++) {
                const uint64_t share = ln_benchpace_share(count, lane, lanes);
                assert_in_range(share, count / lanes, count / lanes + 1);
                sum += share;
            }
            assert_int_equal(sum, count);
        }
    }
}

static void without_a_pace_nothing_is_due(void **state)
{
    (void)state;
    const ln_benchpace p = {.start_ns = 5};
    assert_true(ln_benchpace_due(&p, 0) == UINT64_MAX);
    assert_int_equal(ln_benchpace_count(&p, UINT64_MAX), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_is_due_at_once),
        cmocka_unit_test(a_second_has_exactly_its_rate),
        cmocka_unit_test(count_and_due_agree),
        cmocka_unit_test(a_year_does_not_overflow),
        cmocka_unit_test(lanes_share_without_a_rest),
        cmocka_unit_test(without_a_pace_nothing_is_due),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
