/* SPDX-License-Identifier: MIT */
/* What text must not be, rule by rule; back end: any. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "dialect/roomsinner.h"

enum {
    ALL = LN_ROOMS_TEXT_NO_NEWLINES | LN_ROOMS_TEXT_NO_TABS | LN_ROOMS_TEXT_NO_CONTROLS |
          LN_ROOMS_TEXT_NOT_EMPTY
};

/* The rule that is about this byte, 0 if none is. */
static uint32_t rule_of(unsigned c)
{
    return c == '\n' || c == '\r'  ? LN_ROOMS_TEXT_NO_NEWLINES
           : c == '\t'             ? LN_ROOMS_TEXT_NO_TABS
           : c < 0x20 || c == 0x7f ? LN_ROOMS_TEXT_NO_CONTROLS
                                   : 0;
}

static void each_byte_is_judged_by_its_rule_alone(void **state)
{
    (void)state;
    for (uint32_t rules = 0; rules <= ALL; rules++) {
        for (unsigned c = 0; c < 256; c++) {
            const char text[3] = {'a', (char)c, 'b'};
            const bool is_good = (rules & rule_of(c)) == 0;
            for (size_t from = 0; from < 2; from++) /* at the end of a text, and in it */
                assert_int_equal(ln_rooms_text_is_good(rules, (ln_span){text + from, 3 - from}),
                                 is_good);
            assert_int_equal(ln_rooms_text_is_good(rules, (ln_span){text + 1, 1}), is_good);
        }
    }
}

static void an_empty_text_is_judged_by_its_rule_alone(void **state)
{
    (void)state;
    for (uint32_t rules = 0; rules <= ALL; rules++)
        assert_int_equal(ln_rooms_text_is_good(rules, (ln_span){NULL, 0}),
                         (rules & LN_ROOMS_TEXT_NOT_EMPTY) == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_byte_is_judged_by_its_rule_alone),
        cmocka_unit_test(an_empty_text_is_judged_by_its_rule_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
