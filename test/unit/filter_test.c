/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "guard_page.h"
#include "hub/filter.h"

static ln_span span(const char *z)
{
    return (ln_span){z, strlen(z)};
}

static void a_filter_has_a_token_that_is_a_wildcard(void **state)
{
    (void)state;
    static const char *const filters[] = {"*",   ">",   "*.",  ".*",  "a.*",  "*.a", "a.*.b",
                                          "a.>", "*.>", "..>", ">.*", "*.*.", "a*.*"};
    static const char *const names[] = {"",     "a",   "a*", "*a", "**",   "a.b*", "a.*b.c", ">a",
                                        "a.>b", ">.a", "a>", ">>", "a.>.", ".",    "a.**.b"};
    for (size_t i = 0; i < sizeof filters / sizeof filters[0]; i++)
        if (!ln_filter_is(span(filters[i])))
            fail_msg("%s is a filter", filters[i]);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (ln_filter_is(span(names[i])))
            fail_msg("%s is a name", names[i]);
    assert_false(ln_filter_is((ln_span){NULL, 0}));
}

static void a_filter_has_no_empty_token(void **state)
{
    (void)state;
    static const char *const bad[] = {"*.", ".*", "a..*", ".>", "*..>", "..>", "*.a."};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(ln_filter_check(span(bad[i])), LN_ERR_INVALID);
    assert_int_equal(ln_filter_check(span("*")), 0);
    assert_int_equal(ln_filter_check(span("a.>.*.b")), 0);
}

static void the_tokens_of_a_filter_are_bounded(void **state)
{
    (void)state;
    char text[2 * LN_FILTER_LEVELS_MAX + 2] = "";
    for (int i = 0; i < LN_FILTER_LEVELS_MAX; i++)
        strcat(text, i == 0 ? "*" : ".a");
    assert_int_equal(ln_filter_check(span(text)), 0);
    strcat(text, ".");
    strcat(text, ">");
    assert_int_equal(ln_filter_check(span(text)), LN_ERR_LIMIT);
}

static void what_a_filter_matches(void **state)
{
    (void)state;
    static const struct {
        const char *filter, *matched, *other;
    } cases[] = {
        {"*", "a", "a.b"},
        {"*.*", ".", "a"}, /* an empty token is one */
        {">", "a", NULL},
        {">", "a.b.c.", NULL},
        {"a.*", "a.b", "a"},
        {"a.*", "a.", "a.b.c"},
        {"a.*", "a.*", "b.a"},
        {"*.b", "a.b", "a.bb"},
        {"*.b", ".b", "b"},
        {"a.>", "a.b", "a"},
        {"a.>", "a.b.c", "b.a.c"},
        {"a.>", "a.", "aa.b"},
        {"*.>", "a.b", "a"},
        {"a.*.c", "a.b.c", "a.b.b"},
        {"a.*.c", "a..c", "a.c"},
        {"*.*", "a.b", "a.b.c"},
        {"a.>.*", "a.>.b", "a.b.c"}, /* `>` inside is itself */
        {"a*.*", "a*.b", "ab.b"},
        {"\xC3\xA9.*", "\xC3\xA9.t", "\xC3\xA8.t"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        if (!ln_filter_matches(span(cases[i].filter), span(cases[i].matched)))
            fail_msg("%s matches %s", cases[i].filter, cases[i].matched);
        if (cases[i].other && ln_filter_matches(span(cases[i].filter), span(cases[i].other)))
            fail_msg("%s does not match %s", cases[i].filter, cases[i].other);
    }
}

static void names_set_apart_are_matched_by_their_first_token_only(void **state)
{
    (void)state;
    assert_false(ln_filter_matches(span(">"), span("$a.b")));
    assert_false(ln_filter_matches(span("*.b"), span("$a.b")));
    assert_false(ln_filter_matches(span("*"), span("$")));
    assert_true(ln_filter_matches(span("$a.*"), span("$a.b")));
    assert_true(ln_filter_matches(span("$a.>"), span("$a.b.c")));
    assert_true(ln_filter_matches(span("a.*"), span("a.$b")));
    assert_true(ln_filter_matches(span("*"), span("a$")));
}

static void nothing_outside_of_the_spans_is_read(void **state)
{
    (void)state;
    static const char *const samples[] = {"*", ">", "a.>", "*.b", "a.*.c", "a.b.*"};
    for (size_t i = 0; i < sizeof samples / sizeof samples[0]; i++) {
        const ln_span tight = guard_page_text(samples[i]);
        assert_true(ln_filter_is(tight));
        assert_int_equal(ln_filter_check(tight), 0);
        for (size_t k = 0; k < sizeof samples / sizeof samples[0]; k++)
            assert_int_equal(ln_filter_matches(span(samples[k]), tight),
                             ln_filter_matches(span(samples[k]), span(samples[i])));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_filter_has_a_token_that_is_a_wildcard),
        cmocka_unit_test(a_filter_has_no_empty_token),
        cmocka_unit_test(the_tokens_of_a_filter_are_bounded),
        cmocka_unit_test(what_a_filter_matches),
        cmocka_unit_test(names_set_apart_are_matched_by_their_first_token_only),
        cmocka_unit_test(nothing_outside_of_the_spans_is_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
