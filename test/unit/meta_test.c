/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "failing_alloc.h"
#include "peer/meta.h"

static ln_value integer(int64_t n)
{
    return (ln_value){.type = LN_VALUE_INT, .as.integer = n};
}

static ln_value text(const char *bytes, size_t size)
{
    return (ln_value){.type = LN_VALUE_TEXT, .as.text = {bytes, size}};
}

static void each_type_comes_back(void **state)
{
    (void)state;
    int thing;
    char copied[] = "a\0b";
    ln_meta *list = NULL;

    assert_int_equal(ln_meta_set(&list, "i", integer(INT64_MIN), &ln_alloc_libc), 0);
    assert_int_equal(
        ln_meta_set(&list, "r", (ln_value){.type = LN_VALUE_REAL, .as.real = 0.5}, &ln_alloc_libc),
        0);
    assert_int_equal(ln_meta_set(&list, "t", text(copied, 3), &ln_alloc_libc), 0);
    assert_int_equal(ln_meta_set(&list, "e", text(NULL, 0), &ln_alloc_libc), 0);
    assert_int_equal(ln_meta_set(&list, "p",
                                 (ln_value){.type = LN_VALUE_POINTER, .as.pointer = &thing},
                                 &ln_alloc_libc),
                     0);
    memset(copied, 'x', sizeof copied);
    assert_true(ln_meta_get(list, "i").as.integer == INT64_MIN);
    assert_true(ln_meta_get(list, "r").as.real == 0.5);
    assert_int_equal(ln_meta_get(list, "t").as.text.size, 3);
    assert_memory_equal(ln_meta_get(list, "t").as.text.data, "a\0b", 3);
    assert_int_equal(ln_meta_get(list, "e").type, LN_VALUE_TEXT);
    assert_int_equal(ln_meta_get(list, "e").as.text.size, 0);
    assert_ptr_equal(ln_meta_get(list, "p").as.pointer, &thing);
    assert_int_equal(ln_meta_get(list, "absent").type, LN_VALUE_NONE);
    assert_int_equal(ln_meta_get(NULL, "i").type, LN_VALUE_NONE);
    ln_meta_free(list, &ln_alloc_libc);
}

static void setting_again_replaces_and_none_removes(void **state)
{
    (void)state;
    ln_meta *list = NULL;

    assert_int_equal(ln_meta_set(&list, "k", integer(1), &ln_alloc_libc), 0);
    assert_int_equal(ln_meta_set(&list, "l", integer(2), &ln_alloc_libc), 0);
    assert_int_equal(ln_meta_set(&list, "k", text("three", 5), &ln_alloc_libc), 0);
    assert_int_equal(ln_meta_get(list, "k").type, LN_VALUE_TEXT);
    assert_int_equal(ln_meta_get(list, "l").as.integer, 2);
    assert_int_equal(ln_meta_set(&list, "k", (ln_value){.type = LN_VALUE_NONE}, &ln_alloc_libc), 0);
    assert_int_equal(ln_meta_get(list, "k").type, LN_VALUE_NONE);
    assert_int_equal(ln_meta_set(&list, "k", (ln_value){.type = LN_VALUE_NONE}, &ln_alloc_libc), 0);
    assert_int_equal(ln_meta_set(&list, "l", (ln_value){.type = LN_VALUE_NONE}, &ln_alloc_libc), 0);
    assert_null(list);
}

static void a_value_may_be_set_to_a_part_of_itself(void **state)
{
    (void)state;
    ln_meta *list = NULL;

    assert_int_equal(ln_meta_set(&list, "k", text("abcdef", 6), &ln_alloc_libc), 0);
    const ln_span old = ln_meta_get(list, "k").as.text;
    assert_int_equal(ln_meta_set(&list, "k", text((const char *)old.data + 2, 3), &ln_alloc_libc),
                     0);
    assert_memory_equal(ln_meta_get(list, "k").as.text.data, "cde", 3);
    ln_meta_free(list, &ln_alloc_libc);
}

static void number_and_bytes_are_bounded(void **state)
{
    (void)state;
    static const char bytes[LN_META_BYTES_MAX + 1];
    char key[16];
    ln_meta *list = NULL;

    for (int i = 0; i < LN_META_KEYS_MAX; i++) {
        snprintf(key, sizeof key, "%d", i);
        assert_int_equal(ln_meta_set(&list, key, integer(i), &ln_alloc_libc), 0);
    }
    assert_int_equal(ln_meta_set(&list, "more", integer(1), &ln_alloc_libc), LN_ERR_LIMIT);
    /* replaced, not added */
    assert_int_equal(ln_meta_set(&list, "0", integer(1), &ln_alloc_libc), 0);
    ln_meta_free(list, &ln_alloc_libc);

    list = NULL;
    /* key and NUL */
    assert_int_equal(ln_meta_set(&list, "k", text(bytes, LN_META_BYTES_MAX - 2), &ln_alloc_libc),
                     0);
    assert_int_equal(ln_meta_set(&list, "k", text(bytes, LN_META_BYTES_MAX - 1), &ln_alloc_libc),
                     LN_ERR_LIMIT);
    assert_int_equal(ln_meta_set(&list, "k", text(bytes, SIZE_MAX), &ln_alloc_libc), LN_ERR_LIMIT);
    assert_int_equal(ln_meta_get(list, "k").as.text.size, LN_META_BYTES_MAX - 2); /* as it was */
    assert_int_equal(ln_meta_set(&list, "l", integer(1), &ln_alloc_libc), LN_ERR_LIMIT);
    ln_meta_free(list, &ln_alloc_libc);
}

static void wrong_arguments_are_errors(void **state)
{
    (void)state;
    ln_meta *list = NULL;

    assert_int_equal(ln_meta_set(&list, NULL, integer(1), &ln_alloc_libc), LN_ERR_INVALID);
    assert_int_equal(ln_meta_set(&list, "", integer(1), &ln_alloc_libc), LN_ERR_INVALID);
    assert_int_equal(
        ln_meta_set(&list, "k", (ln_value){.type = (enum ln_value_type)5}, &ln_alloc_libc),
        LN_ERR_INVALID);
    assert_null(list);
}

static void without_memory_the_old_value_stays(void **state)
{
    (void)state;
    failing_alloc fa;
    ln_meta *list = NULL;

    failing_alloc_init(&fa, 1);
    assert_int_equal(ln_meta_set(&list, "k", integer(1), &fa.hook), 0);
    assert_int_equal(ln_meta_set(&list, "k", integer(2), &fa.hook), LN_ERR_NOMEM);
    assert_int_equal(ln_meta_get(list, "k").as.integer, 1);
    ln_meta_free(list, &fa.hook);
    failing_alloc_assert_empty(&fa);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_type_comes_back),
        cmocka_unit_test(setting_again_replaces_and_none_removes),
        cmocka_unit_test(a_value_may_be_set_to_a_part_of_itself),
        cmocka_unit_test(number_and_bytes_are_bounded),
        cmocka_unit_test(wrong_arguments_are_errors),
        cmocka_unit_test(without_memory_the_old_value_stays),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
