/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cli/benchproc.h"
#include "cli/benchwords.h"

#include <unistd.h>

static char text[LN_BENCHWORDS_BYTES];

static void counts_have_commas(void **state)
{
    (void)state;
    static const struct {
        uint64_t n;
        const char *text;
    } rows[] = {{0, "0"},
                {999, "999"},
                {1000, "1,000"},
                {123456, "123,456"},
                {1234567, "1,234,567"},
                {UINT64_MAX, "18,446,744,073,709,551,615"}};
    for (size_t i = 0; i < LN_ARRAY_SIZE(rows); i++) {
        ln_benchwords_count(rows[i].n, text);
        assert_string_equal(text, rows[i].text);
    }
}

static void numbers_have_three_figures_and_a_unit(void **state)
{
    (void)state;
    static const struct {
        void (*write)(double n, char *text);
        double n;
        const char *text;
    } rows[] = {{ln_benchwords_time, 0, "0 ns"},
                {ln_benchwords_time, 999, "999 ns"},
                {ln_benchwords_time, 999.6, "1.00 µs"},
                {ln_benchwords_time, 12345, "12.3 µs"},
                {ln_benchwords_time, 999600, "1.00 ms"},
                {ln_benchwords_time, 1.5e9, "1.50 s"},
                {ln_benchwords_time, 99.96e9, "100 s"},
                {ln_benchwords_bytes, 850, "850 B"},
                {ln_benchwords_bytes, 1000, "0.98 KiB"},
                {ln_benchwords_bytes, 65536, "64.0 KiB"},
                {ln_benchwords_bytes, 3 * 1048576, "3.00 MiB"},
                {ln_benchwords_bytes, 1e12, "931 GiB"},
                {ln_benchwords_rate, 0, "0.00"},
                {ln_benchwords_rate, 9.996, "10.0"},
                {ln_benchwords_rate, 99.4, "99.4"},
                {ln_benchwords_rate, 12345.6, "12,346"}};
    for (size_t i = 0; i < LN_ARRAY_SIZE(rows); i++) {
        rows[i].write(rows[i].n, text);
        assert_string_equal(text, rows[i].text);
    }
}

static void expect(void (*write)(const char *text, FILE *out), const char *in, const char *out)
{
    char *found = NULL;
    size_t size = 0;
    FILE *const file = open_memstream(&found, &size);
    assert_non_null(file);
    write(in, file);
    fclose(file);
    assert_string_equal(found, out);
    free(found);
}

static void foreign_text_steers_nothing(void **state)
{
    (void)state;
    expect(ln_benchwords_write_plain,
           "a\033[31m\r\n\x7f"
           "b",
           "a?[31m???b");
    expect(ln_benchwords_write_plain,
           "\xc2\x9b"
           "x",
           "??x"); /* C1 */
    expect(ln_benchwords_write_plain, "Grün € 🐦", "Grün € 🐦");
    expect(ln_benchwords_write_json, "\"\\\n\"", "\"\\\"\\\\?\\\"\"");
    expect(ln_benchwords_write_html, "<a href=\"x\">&", "&lt;a href=&quot;x&quot;&gt;&amp;");
}

static void what_is_not_utf8_is_a_question_mark(void **state)
{
    (void)state;
    expect(ln_benchwords_write_json, "\xff", "\"?\"");
    expect(ln_benchwords_write_json, "\xc3", "\"?\"");                /* cut */
    expect(ln_benchwords_write_json, "\xe2\x82", "\"??\"");           /* cut */
    expect(ln_benchwords_write_json, "\xc0\xaf", "\"??\"");           /* overlong */
    expect(ln_benchwords_write_json, "\xe0\x9f\xbf", "\"???\"");      /* overlong */
    expect(ln_benchwords_write_json, "\xed\xa0\x80", "\"???\"");      /* surrogate */
    expect(ln_benchwords_write_json, "\xf4\x90\x80\x80", "\"????\""); /* beyond */
    expect(ln_benchwords_write_json, "\xf4\x8f\xbf\xbf", "\"\xf4\x8f\xbf\xbf\"");
}

/* ---- /proc ---- */

static void our_own_process_has_time_and_memory(void **state)
{
    (void)state;
    ln_benchproc_cpu cpu = {0};
    uint64_t before = 0, after = 0;
    static volatile uint64_t work;
    while (cpu.user_us + cpu.system_us < 30000) {
        for (int i = 0; i < 1000000; i++)
            work += (uint64_t)i;
        cpu = (ln_benchproc_cpu){0};
        assert_int_equal(ln_benchproc_add_cpu((uint32_t)getpid(), &cpu), 0);
    }
    assert_int_equal(ln_benchproc_add_memory((uint32_t)getpid(), &before), 0);
    char *const block = malloc(8 << 20);
    assert_non_null(block);
    memset(block, 1, 8 << 20);
    assert_int_equal(ln_benchproc_add_memory((uint32_t)getpid(), &after), 0);
    /* A sanitizer keeps books on it, several times as large; a wrong unit is a thousand times off. */
    assert_in_range(after - before, 7 << 20, 80 << 20);
    free(block);
}

static void a_process_that_is_not_there_is_an_error(void **state)
{
    (void)state;
    ln_benchproc_cpu cpu = {0};
    uint64_t bytes = 0;
    assert_int_equal(ln_benchproc_add_cpu(INT32_MAX, &cpu), LN_ERR_NOT_FOUND);
    assert_int_equal(ln_benchproc_add_memory(INT32_MAX, &bytes), LN_ERR_ACCESS);
}

static void values_of_proc_are_found_by_key(void **state)
{
    (void)state;
    char value[64], tiny[4];
    ln_benchproc_value("/proc/self/status", "Threads", value, sizeof value);
    assert_string_equal(value, "1");
    ln_benchproc_value("/proc/self/status", "State", tiny, sizeof tiny);
    assert_int_equal(strlen(tiny), 3);
    ln_benchproc_value("/proc/self/status", "No such key", value, sizeof value);
    assert_string_equal(value, "");
    ln_benchproc_value("/nonexistent", "x", value, sizeof value);
    assert_string_equal(value, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counts_have_commas),
        cmocka_unit_test(numbers_have_three_figures_and_a_unit),
        cmocka_unit_test(foreign_text_steers_nothing),
        cmocka_unit_test(what_is_not_utf8_is_a_question_mark),
        cmocka_unit_test(our_own_process_has_time_and_memory),
        cmocka_unit_test(a_process_that_is_not_there_is_an_error),
        cmocka_unit_test(values_of_proc_are_found_by_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
