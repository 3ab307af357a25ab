/* SPDX-License-Identifier: MIT */
#include "failing_alloc.h"

#include "base/alloc.h"

static void no_allocator_means_the_c_library(void **state)
{
    (void)state;
    char *p = ln_alloc(NULL, 10);
    memcpy(p, "nine here", 10);
    p = ln_realloc(NULL, p, 100000);
    assert_string_equal(p, "nine here");
    ln_free(NULL, p);
    ln_free(NULL, NULL);

    assert_null(ln_alloc_libc.resize(ln_alloc_libc.user, ln_alloc(NULL, 1), 0));
}

static void cleared_memory_is_clear(void **state)
{
    (void)state;
    failing_alloc fa;
    failing_alloc_init(&fa, FAILING_NEVER);
    static const uint8_t zeros[300] = {0};
    uint8_t *p = ln_alloc_zero(&fa.hook, sizeof zeros);
    assert_memory_equal(p, zeros, sizeof zeros);
    ln_free(&fa.hook, p);
    failing_alloc_assert_empty(&fa);
}

static void freeing_nothing_does_not_reach_the_hook(void **state)
{
    (void)state;
    const ln_allocator broken = {0};
    ln_free(&broken, NULL);
}

static void a_copied_string_ends_in_nul(void **state)
{
    (void)state;
    failing_alloc fa;
    failing_alloc_init(&fa, FAILING_NEVER);
    char *some = ln_strndup(&fa.hook, "abcdef", 3);
    char *none = ln_strndup(&fa.hook, NULL, 0);
    assert_string_equal(some, "abc");
    assert_string_equal(none, "");
    ln_free(&fa.hook, some);
    ln_free(&fa.hook, none);
    failing_alloc_assert_empty(&fa);
    assert_null(ln_strndup(&fa.hook, "x", SIZE_MAX));
}

static void refusal_comes_back_as_null_and_leaves_the_old_block(void **state)
{
    (void)state;
    failing_alloc fa;
    failing_alloc_init(&fa, FAILING_NEVER);
    char *p = ln_strndup(&fa.hook, "kept", 4);
    failing_alloc_refuse(&fa);
    assert_null(ln_alloc(&fa.hook, 1));
    assert_null(ln_alloc_zero(&fa.hook, 1));
    assert_null(ln_strndup(&fa.hook, "x", 1));
    assert_null(ln_realloc(&fa.hook, p, 100));
    assert_string_equal(p, "kept");
    ln_free(&fa.hook, p);
    failing_alloc_assert_empty(&fa);
}

static int two_blocks_and_a_move(const ln_allocator *alloc, void *user)
{
    void *a = ln_alloc(alloc, 10);
    void *b = ln_alloc(alloc, 20);
    void *moved = a ? ln_realloc(alloc, a, 30) : NULL;
    const int rc = moved && b ? 0 : LN_ERR_NOMEM;

    *(int *)user += rc == LN_ERR_NOMEM;
    ln_free(alloc, moved ? moved : a);
    ln_free(alloc, b);
    return rc;
}

static void the_sweep_fails_each_call_alone_and_then_with_all_after_it(void **state)
{
    (void)state;
    int failed_runs = 0;
    assert_int_equal(failing_alloc_sweep(two_blocks_and_a_move, &failed_runs), 3);
    assert_int_equal(failed_runs, 3 + 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_allocator_means_the_c_library),
        cmocka_unit_test(cleared_memory_is_clear),
        cmocka_unit_test(freeing_nothing_does_not_reach_the_hook),
        cmocka_unit_test(a_copied_string_ends_in_nul),
        cmocka_unit_test(refusal_comes_back_as_null_and_leaves_the_old_block),
        cmocka_unit_test(the_sweep_fails_each_call_alone_and_then_with_all_after_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
