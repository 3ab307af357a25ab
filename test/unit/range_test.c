/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "peer/range.h"

static void assert_part(const char *field, uint64_t size, uint64_t first, uint64_t length)
{
    ln_range r = {UINT64_MAX, UINT64_MAX};
    const ln_range_result result = ln_range_parse((ln_span){field, strlen(field)}, size, &r);

    if (result != LN_RANGE_PART || r.first != first || r.length != length)
        fail_msg("%s of %llu: %d, %llu+%llu", field, (unsigned long long)size, result,
                 (unsigned long long)r.first, (unsigned long long)r.length);
}

static void assert_result(const char *field, uint64_t size, ln_range_result expected)
{
    ln_range r = {77, 78};
    const ln_range_result result = ln_range_parse((ln_span){field, strlen(field)}, size, &r);

    if (result != expected)
        fail_msg("%s of %llu: %d", field, (unsigned long long)size, result);
    assert_true(r.first == 77 && r.length == 78);
}

static void one_range_is_a_part(void **state)
{
    (void)state;
    assert_part("bytes=0-0", 10, 0, 1);
    assert_part("bytes=2-5", 10, 2, 4);
    assert_part("bytes=9-", 10, 9, 1);
    assert_part("bytes=0-", 10, 0, 10);
    assert_part("bytes=5-99", 10, 5, 5);
    assert_part("bytes=0-9", 10, 0, 10);
    assert_part("bytes=-3", 10, 7, 3);
    assert_part("bytes=-10", 10, 0, 10);
    assert_part("bytes=-99", 10, 0, 10);
    assert_part("bytes=0-18446744073709551615", 10, 0, 10);
    assert_part("bytes=-18446744073709551615", 10, 0, 10);
    assert_part("bytes=0-", UINT64_MAX, 0, UINT64_MAX);
}

static void what_does_not_exist_is_outside(void **state)
{
    (void)state;
    assert_result("bytes=10-", 10, LN_RANGE_OUTSIDE);
    assert_result("bytes=10-20", 10, LN_RANGE_OUTSIDE);
    assert_result("bytes=18446744073709551615-", 10, LN_RANGE_OUTSIDE);
    assert_result("bytes=-0", 10, LN_RANGE_OUTSIDE);
    assert_result("bytes=0-", 0, LN_RANGE_OUTSIDE);
    assert_result("bytes=-1", 0, LN_RANGE_OUTSIDE);
}

static void anything_else_means_the_whole(void **state)
{
    (void)state;
    static const char *const fields[] = {"",
                                         "bytes",
                                         "bytes=",
                                         "bytes=-",
                                         "bytes=5-2",
                                         "bytes=a-b",
                                         "bytes=1-2x",
                                         "bytes=0-1,3-",
                                         "bytes=--1",
                                         "bytes=1",
                                         "lines=0-1",
                                         "bytes=1--2",
                                         "bytes=+1-2",
                                         "bytes= 1-2",
                                         "bytes=-1 ",
                                         "bytes=0x1-2",
                                         "bytes=18446744073709551616-"};
    ln_range r = {77, 78};

    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
        assert_result(fields[i], 10, LN_RANGE_NONE);
    assert_int_equal(ln_range_parse((ln_span){NULL, 0}, 10, &r), LN_RANGE_NONE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_range_is_a_part),
        cmocka_unit_test(what_does_not_exist_is_outside),
        cmocka_unit_test(anything_else_means_the_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
