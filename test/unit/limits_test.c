/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <linnet/conn.h>

#include "base/limits.h"
#include "base/text.h"

enum { UNTOUCHED = 4711 };

static void assert_takes(const ln_limit *limit, uint32_t asked, uint32_t want)
{
    uint32_t value = UNTOUCHED;
    assert_int_equal(ln_limit_get(limit, asked, &value), 0);
    assert_int_equal(value, want);
}

static void assert_refuses(const ln_limit *limit, uint32_t asked)
{
    uint32_t value = UNTOUCHED;
    assert_int_equal(ln_limit_get(limit, asked, &value), LN_ERR_INVALID);
    assert_int_equal(value, UNTOUCHED);
}

/* Runs once for each row, under the row's name. */
static void a_row_holds_on_both_sides(void **state)
{
    const ln_limit *limit = ln_limit_find(ln_text(*state));
    assert_non_null(limit);
    assert_true(limit->reason[0] != '\0');
    assert_true(limit->usual <= limit->most);
    assert_true(limit->usual >= limit->least);

    assert_takes(limit, 0, limit->usual);
    assert_takes(limit, limit->most, limit->most);
    assert_refuses(limit, limit->most + 1);
    if (limit->least == 0) {
        assert_takes(limit, LN_OFF, 0);
        assert_takes(limit, 1, 1);
        return;
    }
    assert_refuses(limit, LN_OFF);
    assert_takes(limit, limit->least, limit->least);
    if (limit->least > 1)
        assert_refuses(limit, limit->least - 1);
}

static void a_name_is_found_in_any_case_and_whole_only(void **state)
{
    (void)state;
    const ln_limit *limit = ln_limit_find(LN_SPAN("queue_max_bytes"));
    assert_non_null(limit);
    assert_string_equal(limit->name, "QUEUE_MAX_BYTES");
    assert_ptr_equal(ln_limit_find(LN_SPAN("QUEUE_MAX_BYTES")), limit);
    assert_null(ln_limit_find(LN_SPAN("QUEUE_MAX")));
    assert_null(ln_limit_find(LN_SPAN("QUEUE_MAX_BYTES_")));
    assert_null(ln_limit_find((ln_span){0}));
}

static void the_constants_are_the_table(void **state)
{
    (void)state;
#define LN_LIMIT(NAME, usual_, least_, most_, UNIT, reason_)                                       \
    {                                                                                              \
        const ln_limit *limit = ln_limit_find(LN_SPAN(#NAME));                                     \
        assert_int_equal(limit->usual, LN_DEFAULT_##NAME);                                         \
        assert_int_equal(limit->least, LN_MIN_##NAME);                                             \
        assert_int_equal(limit->most, LN_MAX_##NAME);                                              \
    }
#define LN_FIXED(NAME, value, UNIT, reason)
#include "limits.def"
#undef LN_LIMIT
#undef LN_FIXED
}

static void walking_the_table_meets_every_row_once(void **state)
{
    (void)state;
    size_t n = 0;
    for (const ln_limit *limit; (limit = ln_limit_at(n)) != NULL; n++)
        assert_ptr_equal(ln_limit_find(ln_text(limit->name)), limit);
    assert_true(n > 20);
    assert_null(ln_limit_at(n + 1));
    assert_null(ln_limit_at(SIZE_MAX));
}

static void the_defaults_fit_each_other(void **state)
{
    (void)state;
    assert_true(LN_DEFAULT_LOW_WATER_BYTES < LN_DEFAULT_HIGH_WATER_BYTES);
    assert_true(LN_DEFAULT_HIGH_WATER_BYTES < LN_DEFAULT_QUEUE_MAX_BYTES);
    assert_true(LN_DEFAULT_FRAME_MAX_BYTES <= LN_DEFAULT_MESSAGE_MAX_BYTES);
    assert_true(LN_DEFAULT_RECONNECT_BASE_MS < LN_DEFAULT_RECONNECT_MAX_MS);
    assert_true(LN_DEFAULT_CLOSE_WAIT_MS < LN_DEFAULT_DRAIN_MS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define LN_LIMIT(NAME, usual, least, most, UNIT, reason)                                           \
    {"a_row_holds_on_both_sides: " #NAME, a_row_holds_on_both_sides, NULL, NULL, #NAME},
#define LN_FIXED(NAME, value, UNIT, reason)
#include "limits.def"
#undef LN_LIMIT
#undef LN_FIXED
        cmocka_unit_test(a_name_is_found_in_any_case_and_whole_only),
        cmocka_unit_test(the_constants_are_the_table),
        cmocka_unit_test(walking_the_table_meets_every_row_once),
        cmocka_unit_test(the_defaults_fit_each_other),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
