/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/base.h"

static bool is_known(int err)
{
    return strcmp(ln_strerror(err), "unknown error") != 0;
}

static void every_error_has_words_of_its_own(void **state)
{
    (void)state;
    int known = 0;
    for (int err = -100; err <= 100; err++) {
        known += is_known(err);
        for (int other = -100; other < err; other++)
            if (is_known(err))
                assert_string_not_equal(ln_strerror(err), ln_strerror(other));
    }
    assert_int_equal(known, 5 + 7 + 6 + 10); /* the four families */
}

static void the_ends_of_each_family_are_known_and_their_neighbours_are_not(void **state)
{
    (void)state;
    static const int families[][2] = {
        {LN_ERR_AGAIN, LN_ERR_CANCELLED},
        {LN_ERR_INVALID, LN_ERR_UNSUPPORTED},
        {LN_ERR_PROTOCOL, LN_ERR_POLICY},
        {LN_ERR_NOMEM, LN_ERR_ACCESS},
    };
    for (size_t i = 0; i < LN_ARRAY_SIZE(families); i++) {
        assert_false(is_known(families[i][0] + 1));
        assert_true(is_known(families[i][0]));
        assert_true(is_known(families[i][1]));
        assert_false(is_known(families[i][1] - 1));
    }
    assert_false(is_known(0));
    assert_false(is_known(INT32_MIN));
    assert_false(is_known(INT32_MAX));
}

static void words_are_one_phrase_without_an_end(void **state)
{
    (void)state;
    for (int err = -100; err <= 0; err++) {
        const char *words = ln_strerror(err);
        assert_in_range(strlen(words), 4, 60);
        assert_null(strpbrk(words, "\n.%"));
    }
}

static void the_library_is_of_the_version_of_its_headers(void **state)
{
    (void)state;
    char expected[32];
    snprintf(expected, sizeof expected, "%d.%d.%d", LN_VERSION_MAJOR, LN_VERSION_MINOR,
             LN_VERSION_PATCH);
    assert_string_equal(ln_version(), expected);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_error_has_words_of_its_own),
        cmocka_unit_test(the_ends_of_each_family_are_known_and_their_neighbours_are_not),
        cmocka_unit_test(words_are_one_phrase_without_an_end),
        cmocka_unit_test(the_library_is_of_the_version_of_its_headers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
