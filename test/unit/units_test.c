/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cli/units.h"

typedef int parse_function(ln_span text, uint64_t *value);

typedef struct sample {
    const char *text;
    int rc;
    uint64_t value;
} sample;

static void check(parse_function *parse, const sample *samples, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        uint64_t value = 77;
        const int rc = parse(ln_text(samples[i].text), &value);
        const uint64_t wanted =
            samples[i].rc < 0 ? 77 : samples[i].value; /* an error writes nothing */
        if (rc != samples[i].rc || value != wanted)
            fail_msg("\"%s\": %d, %llu", samples[i].text, rc, (unsigned long long)value);
    }
}

static void durations_have_units_and_bare_numbers_count_seconds(void **state)
{
    (void)state;
    static const sample samples[] = {
        {"0", 0, 0},
        {"10", 0, 10000},
        {"500ms", 0, 500},
        {"10s", 0, 10000},
        {"1m", 0, 60000},
        {"2h", 0, 7200000},
        {"1d", 0, 86400000},
        {"1.5s", 0, 1500},
        {"0.5", 0, 500},
        {"1.25m", 0, 75000},
        {"0.001s", 0, 1},
        {"1.0ms", 0, 1},
        {"2.500h", 0, 9000000},
        {"007s", 0, 7000},
    };
    check(ln_units_parse_duration, samples, LN_ARRAY_SIZE(samples));
}

static void sizes_have_binary_and_decimal_units_in_any_case(void **state)
{
    (void)state;
    static const sample samples[] = {
        {"0", 0, 0},         {"4096", 0, 4096},   {"1B", 0, 1},           {"64KiB", 0, 65536},
        {"64kib", 0, 65536}, {"64k", 0, 65536},   {"1M", 0, 1048576},     {"1MiB", 0, 1048576},
        {"1MB", 0, 1000000}, {"1kb", 0, 1000},    {"2G", 0, 2147483648u}, {"1GB", 0, 1000000000},
        {"1.5K", 0, 1536},   {"0.5M", 0, 524288},
    };
    check(ln_units_parse_size, samples, LN_ARRAY_SIZE(samples));
}

static void what_is_no_quantity_is_refused(void **state)
{
    (void)state;
    static const sample durations[] = {
        {"", LN_ERR_INVALID, 0},      {"s", LN_ERR_INVALID, 0},     {"-1s", LN_ERR_INVALID, 0},
        {"+1s", LN_ERR_INVALID, 0},   {"1 s", LN_ERR_INVALID, 0},   {"1x", LN_ERR_INVALID, 0},
        {"1S", LN_ERR_INVALID, 0},    {"1M", LN_ERR_INVALID, 0},    {"1.s", LN_ERR_INVALID, 0},
        {".5s", LN_ERR_INVALID, 0},   {"1.2.3", LN_ERR_INVALID, 0}, {"1.0001s", LN_ERR_INVALID, 0},
        {"0.5ms", LN_ERR_INVALID, 0}, {"1m30s", LN_ERR_INVALID, 0}, {"1ms ", LN_ERR_INVALID, 0},
        {"1msx", LN_ERR_INVALID, 0},  {"0x10", LN_ERR_INVALID, 0},  {"1e3", LN_ERR_INVALID, 0},
    };
    check(ln_units_parse_duration, durations, LN_ARRAY_SIZE(durations));
    static const sample sizes[] = {
        {"", LN_ERR_INVALID, 0},     {"K", LN_ERR_INVALID, 0},
        {"-1K", LN_ERR_INVALID, 0},  {"1T", LN_ERR_INVALID, 0},
        {"0.5B", LN_ERR_INVALID, 0}, {"0.001K", LN_ERR_INVALID, 0}, /* 1.024 bytes */
    };
    check(ln_units_parse_size, sizes, LN_ARRAY_SIZE(sizes));
}

static void what_does_not_fit_is_a_limit(void **state)
{
    (void)state;
    static const sample samples[] = {
        {"99999999999999999999", LN_ERR_LIMIT, 0},
        {"18446744073709551615", LN_ERR_LIMIT, 0},
        {"9999999999999999G", LN_ERR_LIMIT, 0},
        {"16777215M", 0, UINT64_C(16777215) << 20},
    };
    check(ln_units_parse_size, samples, LN_ARRAY_SIZE(samples));
}

static void formatting_takes_the_largest_whole_unit(void **state)
{
    (void)state;
    char text[LN_UNITS_TEXT_SIZE];
    ln_units_format_duration(0, text);
    assert_string_equal(text, "0ms");
    ln_units_format_duration(1500, text);
    assert_string_equal(text, "1500ms");
    ln_units_format_duration(90000, text);
    assert_string_equal(text, "90s");
    ln_units_format_duration(120000, text);
    assert_string_equal(text, "2m");
    ln_units_format_size(65536, text);
    assert_string_equal(text, "64KiB");
    ln_units_format_size(1000, text);
    assert_string_equal(text, "1000B");
    ln_units_format_size(UINT64_C(3) << 30, text);
    assert_string_equal(text, "3GiB");
}

static void what_was_formatted_parses_to_the_same(void **state)
{
    (void)state;
    for (uint64_t v = 0; v < UINT64_C(1) << 40; v = v * 3 + 1) {
        char text[LN_UNITS_TEXT_SIZE];
        uint64_t again = 0;
        ln_units_format_duration(v, text);
        assert_int_equal(ln_units_parse_duration(ln_text(text), &again), 0);
        assert_true(again == v);
        ln_units_format_size(v * 1024, text);
        assert_int_equal(ln_units_parse_size(ln_text(text), &again), 0);
        assert_true(again == v * 1024);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(durations_have_units_and_bare_numbers_count_seconds),
        cmocka_unit_test(sizes_have_binary_and_decimal_units_in_any_case),
        cmocka_unit_test(what_is_no_quantity_is_refused),
        cmocka_unit_test(what_does_not_fit_is_a_limit),
        cmocka_unit_test(formatting_takes_the_largest_whole_unit),
        cmocka_unit_test(what_was_formatted_parses_to_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
