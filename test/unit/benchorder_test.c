/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "cli/benchorder.h"

/* The verdicts over numbers that come, as letters: n a l A (next, ahead, late, again). */
static void expect(ln_benchorder *o, const uint64_t *numbers, const char *verdicts)
{
    static const char letters[] = {[LN_BENCHORDER_NEXT] = 'n',
                                   [LN_BENCHORDER_AHEAD] = 'a',
                                   [LN_BENCHORDER_LATE] = 'l',
                                   [LN_BENCHORDER_AGAIN] = 'A'};
    char found[64] = "";
    for (size_t i = 0; i < strlen(verdicts); i++)
        found[i] = letters[ln_benchorder_take(o, numbers[i])];
    assert_string_equal(found, verdicts);
}

static void in_order_each_is_the_next(void **state)
{
    (void)state;
    ln_benchorder o = {0};
    expect(&o, (const uint64_t[]){0, 1, 2, 3}, "nnnn");
    assert_int_equal(ln_benchorder_top(&o), 4);
    assert_int_equal(ln_benchorder_missing(&o, 4), 0);
    assert_int_equal(ln_benchorder_missing(&o, 7), 3);
}

static void two_that_are_swapped_are_one_late(void **state)
{
    (void)state;
    ln_benchorder o = {0};
    expect(&o, (const uint64_t[]){0, 2, 1, 3}, "naln");
    assert_int_equal(ln_benchorder_missing(&o, 4), 0);
}

static void a_gap_is_missing_until_it_is_filled(void **state)
{
    (void)state;
    ln_benchorder o = {0};
    expect(&o, (const uint64_t[]){0, 1, 4, 5}, "nnaa");
    assert_int_equal(ln_benchorder_top(&o), 6);
    assert_int_equal(ln_benchorder_missing(&o, 6), 2);
    assert_int_equal(ln_benchorder_missing(&o, 8), 4);
    expect(&o, (const uint64_t[]){3, 2}, "ll");
    assert_int_equal(ln_benchorder_missing(&o, 6), 0);
    assert_int_equal(o.next, 6);
}

static void twice_is_again_before_and_behind_a_gap(void **state)
{
    (void)state;
    ln_benchorder o = {0};
    expect(&o, (const uint64_t[]){0, 0, 2, 2, 1, 1, 3}, "nAaAlAn");
    assert_int_equal(ln_benchorder_missing(&o, 4), 0);
}

static void the_window_reaches_64_behind_the_gap(void **state)
{
    (void)state;
    ln_benchorder o = {0};
    expect(&o, (const uint64_t[]){64}, "a");
    assert_int_equal(o.next, 0);
    expect(&o, (const uint64_t[]){0}, "l");
    assert_int_equal(o.next, 1);
    expect(&o, (const uint64_t[]){66}, "a"); /* 1 is given up */
    assert_int_equal(o.missed, 1);
    expect(&o, (const uint64_t[]){1}, "A");
    assert_int_equal(ln_benchorder_missing(&o, 67), 64 + 0); /* 1 to 63 and 65 */
}

static void a_leap_gives_up_what_it_leaves_behind(void **state)
{
    (void)state;
    ln_benchorder o = {0};
    expect(&o, (const uint64_t[]){0, 3, 1000}, "naa");
    assert_int_equal(ln_benchorder_missing(&o, 1001), 998);
    assert_int_equal(ln_benchorder_top(&o), 1001);
}

/* Against a plain list, on numbers that are drawn at random around a moving place. */
static void it_agrees_with_a_list(void **state)
{
    (void)state;
    enum { COUNT = 4000 };
    static bool has[COUNT + 64];
    memset(has, 0, sizeof has);
    ln_benchorder o = {0};
    uint64_t x = 7, top = 0;
    for (uint64_t i = 0; i < COUNT; i++) {
        x = x * 6364136223846793005U + 1442695040888963407U;
        const uint64_t n = i + (x >> 33) % 32;
        const enum ln_benchorder_verdict v = ln_benchorder_take(&o, n);
        if (has[n])
            assert_int_equal(v, LN_BENCHORDER_AGAIN);
        else if (n < top)
            assert_int_not_equal(v, LN_BENCHORDER_NEXT);
        else
            assert_true(v == LN_BENCHORDER_NEXT || v == LN_BENCHORDER_AHEAD);
        has[n] = true;
        if (n >= top)
            top = n + 1;
        assert_int_equal(ln_benchorder_top(&o), top);
        uint64_t missing = 0;
        for (uint64_t k = 0; i % 97 == 0 && k < top; k++)
            missing += !has[k];
        if (i % 97 == 0 && o.missed == 0)
            assert_int_equal(ln_benchorder_missing(&o, top), missing);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(in_order_each_is_the_next),
        cmocka_unit_test(two_that_are_swapped_are_one_late),
        cmocka_unit_test(a_gap_is_missing_until_it_is_filled),
        cmocka_unit_test(twice_is_again_before_and_behind_a_gap),
        cmocka_unit_test(the_window_reaches_64_behind_the_gap),
        cmocka_unit_test(a_leap_gives_up_what_it_leaves_behind),
        cmocka_unit_test(it_agrees_with_a_list),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
