/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "failing_alloc.h"
#include "proto/jsonwrite.h"

static void assert_string(ln_span text, const char *expected)
{
    ln_buf b;

    ln_buf_init(&b, &ln_alloc_libc);
    assert_int_equal(ln_json_write_string(&b, text), 0);
    assert_int_equal(b.size, strlen(expected));
    assert_memory_equal(b.data, expected, b.size);
    ln_buf_fini(&b);
}

static void only_what_has_to_be_is_escaped(void **state)
{
    (void)state;
    assert_string(LN_SPAN(""), "\"\"");
    assert_string(LN_SPAN("plain"), "\"plain\"");
    assert_string(LN_SPAN("\"\\\n\r\t"), "\"\\\"\\\\\\n\\r\\t\"");
    assert_string(LN_SPAN("a\"b\"c"), "\"a\\\"b\\\"c\"");
    assert_string(LN_SPAN("\0\x01\x1f\x20\x7f"), "\"\\u0000\\u0001\\u001f\x20\x7f\"");
    assert_string(LN_SPAN("\xc3\xa4/\xf0\x9f\x98\x80<"), "\"\xc3\xa4/\xf0\x9f\x98\x80<\"");
}

static void numbers_are_written_whole(void **state)
{
    (void)state;
    static const char expected[] =
        "0 18446744073709551615 \"0\" \"ffffffffffffffff\" \"1f\" -9223372036854775808 7";
    ln_buf b;

    ln_buf_init(&b, &ln_alloc_libc);
    assert_int_equal(ln_json_write_u64(&b, 0), 0);
    assert_int_equal(ln_json_write_raw(&b, " "), 0);
    assert_int_equal(ln_json_write_u64(&b, UINT64_MAX), 0);
    assert_int_equal(ln_json_write_raw(&b, " "), 0);
    assert_int_equal(ln_json_write_hex(&b, 0), 0);
    assert_int_equal(ln_json_write_raw(&b, " "), 0);
    assert_int_equal(ln_json_write_hex(&b, UINT64_MAX), 0);
    assert_int_equal(ln_json_write_raw(&b, " "), 0);
    assert_int_equal(ln_json_write_hex(&b, 31), 0);
    assert_int_equal(ln_json_write_span(&b, LN_SPAN(" ")), 0);
    assert_int_equal(ln_json_write_i64(&b, INT64_MIN), 0);
    assert_int_equal(ln_json_write_span(&b, LN_SPAN(" 7")), 0);
    assert_int_equal(b.size, sizeof expected - 1);
    assert_memory_equal(b.data, expected, b.size);
    ln_buf_fini(&b);
}

static int one_life(const ln_allocator *alloc, void *user)
{
    char text[200];
    ln_buf b;
    (void)user;

    memset(text, '"', sizeof text);
    ln_buf_init(&b, alloc);
    const int rc = ln_json_write_string(&b, (ln_span){text, sizeof text});
    ln_buf_fini(&b);
    return rc;
}

static void running_out_of_memory_is_an_error(void **state)
{
    (void)state;
    assert_true(failing_alloc_sweep(one_life, NULL) > 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_what_has_to_be_is_escaped),
        cmocka_unit_test(numbers_are_written_whole),
        cmocka_unit_test(running_out_of_memory_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
