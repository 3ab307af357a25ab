/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "cli/slash.h"

static ln_slash got;

static int parse(const char *line)
{
    memset(&got, 0x5A, sizeof got);
    return ln_slash_parse(ln_text(line), &got);
}

static void assert_text(const char *wanted)
{
    assert_int_equal(got.text.size, strlen(wanted));
    assert_memory_equal(got.text.data, wanted, strlen(wanted));
}

static void only_a_slash_in_front_makes_a_command(void **state)
{
    (void)state;
    assert_true(ln_slash_is(LN_SPAN("/")));
    assert_true(ln_slash_is(LN_SPAN("/ping")));
    assert_false(ln_slash_is(LN_SPAN("")));
    assert_false(ln_slash_is(LN_SPAN(" /ping")));
    assert_false(ln_slash_is(LN_SPAN("ping/")));
}

static void ping_takes_the_rest_of_the_line(void **state)
{
    (void)state;
    assert_int_equal(parse("/ping"), 0);
    assert_int_equal(got.type, LN_SLASH_PING);
    assert_text("");
    assert_int_equal(parse("/ping  two words "), 0);
    assert_text("two words ");
}

static void close_takes_a_code_and_a_reason(void **state)
{
    (void)state;
    assert_int_equal(parse("/close"), 0);
    assert_int_equal(got.type, LN_SLASH_CLOSE);
    assert_int_equal(got.code, 0);
    assert_text("");
    assert_int_equal(parse("/close 1000"), 0);
    assert_int_equal(got.code, 1000);
    assert_int_equal(parse("/close 4999 that is all"), 0);
    assert_int_equal(got.code, 4999);
    assert_text("that is all");
}

static void wrong_commands_are_refused(void **state)
{
    (void)state;
    assert_int_equal(parse("/"), LN_ERR_NOT_FOUND);
    assert_int_equal(parse("/pin"), LN_ERR_NOT_FOUND);
    assert_int_equal(parse("/pings"), LN_ERR_NOT_FOUND);
    assert_int_equal(parse("/Close"), LN_ERR_NOT_FOUND);
    assert_int_equal(parse("/close 999"), LN_ERR_INVALID);
    assert_int_equal(parse("/close 5000"), LN_ERR_INVALID);
    assert_int_equal(parse("/close soon"), LN_ERR_INVALID);
    assert_int_equal(parse("/close 1000x"), LN_ERR_INVALID);
    assert_int_equal(parse("/close -1000"), LN_ERR_INVALID);
}

static void texts_end_where_a_control_frame_does(void **state)
{
    (void)state;
    char text[130], line[160];
    memset(text, 'x', sizeof text);
    snprintf(line, sizeof line, "/ping %.*s", 125, text);
    assert_int_equal(parse(line), 0);
    snprintf(line, sizeof line, "/ping %.*s", 126, text);
    assert_int_equal(parse(line), LN_ERR_INVALID);
    snprintf(line, sizeof line, "/close 1000 %.*s", 123, text);
    assert_int_equal(parse(line), 0);
    snprintf(line, sizeof line, "/close 1000 %.*s", 124, text);
    assert_int_equal(parse(line), LN_ERR_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_a_slash_in_front_makes_a_command),
        cmocka_unit_test(ping_takes_the_rest_of_the_line),
        cmocka_unit_test(close_takes_a_code_and_a_reason),
        cmocka_unit_test(wrong_commands_are_refused),
        cmocka_unit_test(texts_end_where_a_control_frame_does),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
