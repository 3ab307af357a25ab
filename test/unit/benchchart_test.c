/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cli/benchchart.h"
#include "cli/benchwords.h"

static void word(double value, char *text)
{
    snprintf(text, LN_BENCHWORDS_BYTES, "%g", value);
}

/* How often `what` stands in what was written. */
static unsigned count(const char *text, const char *what)
{
    unsigned n = 0;
    for (; (text = strstr(text, what)) != NULL; text++)
        n++;
    return n;
}

static void scales_hold_their_values_and_clamp_others(void **state)
{
    (void)state;
    static const double highs[] = {0, 1e-3, 1, 3, 97, 100, 12345, 1e9};
    for (size_t i = 0; i < LN_ARRAY_SIZE(highs); i++) {
        const ln_benchscale s = ln_benchscale_linear(highs[i]);
        assert_true(s.high > highs[i] && s.high < highs[i] * 2 + 1e-6);
        assert_true(ln_benchscale_place(&s, -1) == 0 && ln_benchscale_place(&s, s.high * 2) == 1);
        assert_true(ln_benchscale_place(&s, highs[i]) < 1);
    }
}

static void a_logarithmic_scale_is_never_narrow_and_each_factor_is_alike(void **state)
{
    (void)state;
    static const double ends[][2] = {{0, 0}, {5, 5}, {1000, 1100}, {100, 1e9}};
    for (size_t i = 0; i < LN_ARRAY_SIZE(ends); i++) {
        const ln_benchscale s = ln_benchscale_log(ends[i][0], ends[i][1]);
        assert_true(s.low > 0 && s.high / s.low >= 4);
        assert_true(s.low <= ends[i][0] || ends[i][0] < 1);
        assert_true(s.high >= ends[i][1]);
        assert_true(ln_benchscale_place(&s, 0) == 0);
    }
    const ln_benchscale s = {.low = 1, .high = 10000, .is_log = true};
    assert_true(ln_benchscale_place(&s, 100) > 0.4999 && ln_benchscale_place(&s, 100) < 0.5001);
}

static void an_axis_has_a_handful_of_ticks(void **state)
{
    (void)state;
    static const double highs[] = {0.7, 1, 2.5, 10, 59, 60, 400, 86400, 123456789};
    for (size_t i = 0; i < 2 * LN_ARRAY_SIZE(highs); i++) {
        const double high = highs[i / 2];
        const ln_benchscale s =
            i % 2 ? ln_benchscale_log(high, high * high * 50) : ln_benchscale_linear(high);
        char *text = NULL;
        size_t size = 0;
        FILE *const out = open_memstream(&text, &size);
        assert_non_null(out);
        ln_benchchart_ticks_y(out, &s, word);
        fclose(out);
        assert_in_range(count(text, "<i class=\"y\""), 2, 20);
        free(text);
    }
}

static void a_bar_of_few_is_seen_and_stays_within(void **state)
{
    (void)state;
    char *text = NULL;
    size_t size = 0;
    FILE *const out = open_memstream(&text, &size);
    assert_non_null(out);
    ln_benchchart_bar(out, 0.5, 0.6, 1e-9, "1 < 2");
    fclose(out);
    assert_string_equal(text, "<rect class=\"bar\" x=\"500.0\" y=\"996.0\" width=\"100.0\" "
                              "height=\"4.0\"><title>1 &lt; 2</title></rect>\n");
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scales_hold_their_values_and_clamp_others),
        cmocka_unit_test(a_logarithmic_scale_is_never_narrow_and_each_factor_is_alike),
        cmocka_unit_test(an_axis_has_a_handful_of_ticks),
        cmocka_unit_test(a_bar_of_few_is_seen_and_stays_within),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
