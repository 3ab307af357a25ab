/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "proto/charclass.h"

#define LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define DIGITS  "0123456789"

static bool is_in(int c, const char *members)
{
    return c != '\0' && c < 128 && strchr(members, c) != NULL;
}

static void every_entry_is_what_the_grammars_say(void **state)
{
    (void)state;
    for (int c = 0; c < 256; c++) {
        const bool is_obs_text = c >= 0x80, is_vchar = c > 0x20 && c < 0x7f,
                   is_blank = c == ' ' || c == '\t';
        const uint8_t b = (uint8_t)c;
        assert_int_equal(ln_charclass_has(b, LN_CHAR_TOKEN),
                         is_in(c, LETTERS DIGITS "!#$%&'*+-.^_`|~"));
        assert_int_equal(ln_charclass_has(b, LN_CHAR_VALUE), is_vchar || is_obs_text || is_blank);
        assert_int_equal(ln_charclass_has(b, LN_CHAR_VISIBLE), is_vchar || is_obs_text);
        assert_int_equal(ln_charclass_has(b, LN_CHAR_TARGET), is_vchar && c != '#');
        assert_int_equal(ln_charclass_has(b, LN_CHAR_HOST), is_in(c, LETTERS DIGITS "-._"));
        assert_int_equal(ln_charclass_has(b, LN_CHAR_SCHEME), is_in(c, LETTERS DIGITS "+-."));
        assert_int_equal(ln_charclass_has(b, LN_CHAR_DIGIT), is_in(c, DIGITS));
        assert_int_equal(ln_charclass_has(b, LN_CHAR_BASE64), is_in(c, LETTERS DIGITS "+/"));
    }
}

static void no_class_goes_beyond_a_line(void **state)
{
    (void)state;
    assert_int_equal(ln_charclass_table['\r'], 0);
    assert_int_equal(ln_charclass_table['\n'], 0);
    assert_int_equal(ln_charclass_table['\0'], 0);
    assert_int_equal(ln_charclass_table[0x7f], 0);
}

static void a_span_ends_at_the_first_other_character(void **state)
{
    (void)state;
    assert_int_equal(ln_charclass_span(LN_SPAN("12a3"), LN_CHAR_DIGIT), 2);
    assert_int_equal(ln_charclass_span(LN_SPAN("a12"), LN_CHAR_DIGIT), 0);
    assert_int_equal(ln_charclass_span(LN_SPAN("12"), LN_CHAR_DIGIT), 2);
    assert_int_equal(ln_charclass_span((ln_span){NULL, 0}, LN_CHAR_DIGIT), 0);
    assert_true(ln_charclass_is_all(LN_SPAN("12"), LN_CHAR_DIGIT));
    assert_false(ln_charclass_is_all(LN_SPAN("12 "), LN_CHAR_DIGIT));
    assert_true(ln_charclass_is_all(LN_SPAN("1 2"), LN_CHAR_DIGIT | LN_CHAR_VALUE));
    assert_true(ln_charclass_is_all((ln_span){NULL, 0}, LN_CHAR_DIGIT));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_entry_is_what_the_grammars_say),
        cmocka_unit_test(no_class_goes_beyond_a_line),
        cmocka_unit_test(a_span_ends_at_the_first_other_character),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
