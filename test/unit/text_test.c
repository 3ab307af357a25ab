/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/text.h"

static bool is(ln_span s, const char *expected)
{
    return ln_text_equal(s, ln_text(expected));
}

static void a_span_over_nothing_is_empty(void **state)
{
    (void)state;
    assert_null(ln_text(NULL).data);
    assert_int_equal(ln_text(NULL).size, 0);
    assert_int_equal(ln_text("").size, 0);
    assert_int_equal(ln_text("abc").size, 3);
}

static void equality_is_of_length_and_every_byte(void **state)
{
    (void)state;
    assert_true(ln_text_equal(ln_text("abc"), ln_text("abc")));
    assert_false(ln_text_equal(ln_text("abc"), ln_text("abC")));
    assert_false(ln_text_equal(ln_text("abc"), ln_text("abcd")));
    assert_true(ln_text_equal(ln_text(NULL), ln_text("")));
    assert_true(ln_text_equal(LN_SPAN("a\0b"), LN_SPAN("a\0b")));
    assert_false(ln_text_equal(LN_SPAN("a\0b"), LN_SPAN("a\0c")));
}

/* Every pair of bytes: equal without case exactly when equal, or two cases of one ASCII letter. */
static void only_ascii_letters_have_a_case(void **state)
{
    (void)state;
    for (int a = 0; a < 256; a++) {
        for (int b = 0; b < 256; b++) {
            const bool both =
                (a >= 'A' && a <= 'Z' && b == a + 32) || (b >= 'A' && b <= 'Z' && a == b + 32);
            const uint8_t x = (uint8_t)a, y = (uint8_t)b;
            assert_int_equal(ln_text_equal_nocase((ln_span){&x, 1}, (ln_span){&y, 1}),
                             a == b || both);
        }
    }
    assert_true(ln_text_equal_nocase(ln_text("WebSocket"), ln_text("websockeT")));
    assert_false(ln_text_equal_nocase(ln_text("WebSocket"), ln_text("websockets")));
    assert_true(ln_text_equal_nocase(ln_text(NULL), ln_text("")));
}

static void a_prefix_is_no_longer_than_the_text(void **state)
{
    (void)state;
    assert_true(ln_text_has_prefix(ln_text("abc"), ln_text("")));
    assert_true(ln_text_has_prefix(ln_text("abc"), ln_text("ab")));
    assert_true(ln_text_has_prefix(ln_text("abc"), ln_text("abc")));
    assert_false(ln_text_has_prefix(ln_text("abc"), ln_text("abcd")));
    assert_false(ln_text_has_prefix(ln_text("abc"), ln_text("b")));
    assert_true(ln_text_has_prefix(ln_text(NULL), ln_text(NULL)));
    assert_false(ln_text_has_prefix(ln_text(NULL), ln_text("a")));
}

static void trimming_takes_spaces_and_tabs_from_both_ends_only(void **state)
{
    (void)state;
    assert_true(is(ln_text_trim(ln_text(" \t a b\t \t")), "a b"));
    assert_true(is(ln_text_trim(ln_text("a")), "a"));
    assert_true(is(ln_text_trim(ln_text("\ra\n")), "\ra\n"));
    assert_true(is(ln_text_trim(ln_text(" \t ")), ""));
    assert_true(is(ln_text_trim(ln_text(NULL)), ""));
}

/* The elements of `list`, each in brackets. */
static const char *elements(ln_span list, char separator)
{
    static char all[128];
    size_t n = 0;
    ln_span item;
    while (ln_text_next(&list, separator, &item)) {
        assert_true(n + item.size + 3 < sizeof all);
        all[n++] = '[';
        if (item.size > 0)
            memcpy(all + n, item.data, item.size);
        n += item.size;
        all[n++] = ']';
    }
    all[n] = '\0';
    return all;
}

static void texts_are_placed_one_behind_the_other(void **state)
{
    (void)state;
    char room[8] = "-------";
    char *at = room;
    const ln_span a = ln_text_place(&at, ln_text("ab"));
    const ln_span none = ln_text_place(&at, ln_text(NULL));
    const ln_span b = ln_text_place(&at, LN_SPAN("c\0d"));
    assert_ptr_equal(a.data, room);
    assert_ptr_equal(none.data, room + 2);
    assert_int_equal(none.size, 0);
    assert_ptr_equal(b.data, room + 2);
    assert_true(is(a, "ab") && ln_text_equal(b, LN_SPAN("c\0d")));
    assert_ptr_equal(at, room + 5);
    assert_memory_equal(room, "abc\0d--", 8);
}

static void n_separators_make_n_and_one_elements(void **state)
{
    (void)state;
    assert_string_equal(elements(ln_text("a,,b"), ','), "[a][][b]");
    assert_string_equal(elements(ln_text("a,,b,"), ','), "[a][][b][]");
    assert_string_equal(elements(ln_text(","), ','), "[][]");
    assert_string_equal(elements(ln_text("one"), ','), "[one]");
    assert_string_equal(elements(ln_text(""), ','), "[]");
    assert_string_equal(elements(ln_text(NULL), ','), "");
}

static void elements_are_trimmed_and_other_separators_kept(void **state)
{
    (void)state;
    assert_string_equal(elements(ln_text(" a ;q=1 ,\tb c, "), ','), "[a ;q=1][b c][]");
    assert_string_equal(elements(ln_text("a ;q=1 ,\tb"), ';'), "[a][q=1 ,\tb]");
}

static void a_used_up_list_leaves_the_item_alone(void **state)
{
    (void)state;
    ln_span rest = ln_text("last"), item;
    assert_true(ln_text_next(&rest, ',', &item));
    assert_null(rest.data);
    assert_false(ln_text_next(&rest, ',', &item));
    assert_true(is(item, "last"));
}

static void numbers_are_digits_and_nothing_else(void **state)
{
    (void)state;
    static const char *const wrong[] = {"",    " 1",  "1 ", "+1", "-1", "0x1",
                                        "1.0", "1e3", "a",  "/",  ":",  "99999999999999999999999x"};
    uint64_t value = 77;
    for (size_t i = 0; i < LN_ARRAY_SIZE(wrong); i++)
        assert_int_equal(ln_text_parse_u64(ln_text(wrong[i]), UINT64_MAX, &value), LN_ERR_INVALID);
    assert_int_equal(ln_text_parse_u64(ln_text(NULL), UINT64_MAX, &value), LN_ERR_INVALID);
    assert_int_equal(ln_text_parse_u64(LN_SPAN("1\0"), UINT64_MAX, &value), LN_ERR_INVALID);
    assert_true(value == 77);

    assert_int_equal(ln_text_parse_u64(ln_text("0000000000000000000000000042"), 100, &value), 0);
    assert_true(value == 42);
    assert_int_equal(ln_text_parse_u64(ln_text("1234567890"), UINT64_MAX, &value), 0);
    assert_true(value == 1234567890);
}

static void a_number_may_be_the_limit_but_not_more(void **state)
{
    (void)state;
    uint64_t value = 77;
    assert_int_equal(ln_text_parse_u64(ln_text("18446744073709551615"), UINT64_MAX, &value), 0);
    assert_true(value == UINT64_MAX);
    value = 77;
    assert_int_equal(ln_text_parse_u64(ln_text("18446744073709551616"), UINT64_MAX, &value),
                     LN_ERR_LIMIT);
    assert_int_equal(ln_text_parse_u64(ln_text("99999999999999999999999"), UINT64_MAX, &value),
                     LN_ERR_LIMIT);
    assert_int_equal(ln_text_parse_u64(ln_text("1"), 0, &value), LN_ERR_LIMIT);
    assert_int_equal(ln_text_parse_u64(ln_text("10"), 9, &value), LN_ERR_LIMIT);
    assert_true(value == 77);

    for (uint64_t max = 0; max < 300; max++) {
        for (unsigned n = 0; n < 300; n++) {
            const char digits[] = {(char)('0' + n / 100), (char)('0' + n / 10 % 10),
                                   (char)('0' + n % 10), '\0'};
            const int rc = ln_text_parse_u64(ln_text(digits), max, &value);
            assert_int_equal(rc, n <= max ? 0 : LN_ERR_LIMIT);
            if (rc == 0)
                assert_true(value == n);
        }
    }
}

static void every_byte_is_a_hexadecimal_digit_or_not(void **state)
{
    (void)state;
    static const char digits[] = "0123456789abcdef0123456789ABCDEF";
    for (int c = 0; c < 256; c++) {
        const char *at = c ? strchr(digits, c) : NULL;
        assert_int_equal(ln_text_hex((uint8_t)c), at ? (at - digits) % 16 : -1);
    }
}

static void every_byte_is_a_token_character_or_not(void **state)
{
    (void)state;
    static const char delimiters[] = "\"(),/:;<=>?@[\\]{}";
    for (int c = 0; c < 256; c++) {
        const uint8_t byte = (uint8_t)c;
        const bool visible = c > ' ' && c < 0x7f;
        assert_int_equal(ln_text_is_token((ln_span){&byte, 1}), visible && !strchr(delimiters, c));
    }
    assert_true(ln_text_is_token(ln_text("permessage-deflate")));
    assert_false(ln_text_is_token(ln_text("two words")));
    assert_false(ln_text_is_token(ln_text("")));
    assert_false(ln_text_is_token(ln_text(NULL)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_span_over_nothing_is_empty),
        cmocka_unit_test(equality_is_of_length_and_every_byte),
        cmocka_unit_test(only_ascii_letters_have_a_case),
        cmocka_unit_test(a_prefix_is_no_longer_than_the_text),
        cmocka_unit_test(trimming_takes_spaces_and_tabs_from_both_ends_only),
        cmocka_unit_test(texts_are_placed_one_behind_the_other),
        cmocka_unit_test(n_separators_make_n_and_one_elements),
        cmocka_unit_test(elements_are_trimmed_and_other_separators_kept),
        cmocka_unit_test(a_used_up_list_leaves_the_item_alone),
        cmocka_unit_test(numbers_are_digits_and_nothing_else),
        cmocka_unit_test(a_number_may_be_the_limit_but_not_more),
        cmocka_unit_test(every_byte_is_a_hexadecimal_digit_or_not),
        cmocka_unit_test(every_byte_is_a_token_character_or_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
