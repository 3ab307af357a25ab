/* SPDX-License-Identifier: MIT */
#include "failing_alloc.h"

#include <pthread.h>

#include "base/block.h"

static void a_block_lives_until_its_last_reference(void **state)
{
    (void)state;
    failing_alloc fa;
    failing_alloc_init(&fa, FAILING_NEVER);
    ln_block *b = ln_block_new(&fa.hook, 5);
    assert_int_equal(b->size, 5);
    memcpy(b->bytes, "bytes", 5);
    assert_ptr_equal(ln_block_ref(b), b);
    ln_block_unref(b);
    assert_true(fa.live_blocks == 1);
    assert_memory_equal(b->bytes, "bytes", 5);
    ln_block_unref(b);
    failing_alloc_assert_empty(&fa);
}

static void unref_accepts_null(void **state)
{
    (void)state;
    ln_block_unref(NULL);
}

static void a_block_may_be_empty(void **state)
{
    (void)state;
    ln_block *b = ln_block_new(NULL, 0);
    assert_non_null(b);
    assert_int_equal(b->size, 0);
    ln_block_unref(b);
}

static void a_size_that_wraps_around_is_out_of_memory(void **state)
{
    (void)state;
    failing_alloc fa;
    failing_alloc_init(&fa, FAILING_NEVER);
    assert_null(ln_block_new(&fa.hook, SIZE_MAX));
    assert_null(ln_block_new(&fa.hook, SIZE_MAX - sizeof(ln_block) + 1));
    assert_true(fa.calls == 0);
}

static int make_one(const ln_allocator *alloc, void *user)
{
    (void)user;
    ln_block *b = ln_block_new(alloc, 100);
    ln_block_unref(b);
    return b ? 0 : LN_ERR_NOMEM;
}

static void out_of_memory_is_null(void **state)
{
    (void)state;
    assert_int_equal(failing_alloc_sweep(make_one, NULL), 1);
}

enum { READERS = 4, ROUNDS = 20000, BYTES = 64 };

/* Takes and gives references while reading, then gives back the one it was handed. */
static void *read_and_share(void *arg)
{
    ln_block *b = arg;
    uintptr_t wrong = 0;
    for (int i = 0; i < ROUNDS; i++) {
        ln_block *mine = ln_block_ref(b);
        wrong += mine->bytes[i % BYTES] != (uint8_t)(i % BYTES);
        ln_block_unref(mine);
    }
    ln_block_unref(b);
    return (void *)wrong;
}

static void the_last_of_many_threads_frees(void **state)
{
    (void)state;
    failing_alloc fa;
    failing_alloc_init(&fa, FAILING_NEVER);
    ln_block *b = ln_block_new(&fa.hook, BYTES);
    for (size_t i = 0; i < BYTES; i++)
        b->bytes[i] = (uint8_t)i;

    pthread_t readers[READERS];
    for (int i = 0; i < READERS; i++)
        assert_int_equal(pthread_create(&readers[i], NULL, read_and_share, ln_block_ref(b)), 0);
    ln_block_unref(b); /* the readers' references keep it */
    for (int i = 0; i < READERS; i++) {
        void *wrong;
        assert_int_equal(pthread_join(readers[i], &wrong), 0);
        assert_null(wrong);
    }
    failing_alloc_assert_empty(&fa);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_block_lives_until_its_last_reference),
        cmocka_unit_test(unref_accepts_null),
        cmocka_unit_test(a_block_may_be_empty),
        cmocka_unit_test(a_size_that_wraps_around_is_out_of_memory),
        cmocka_unit_test(out_of_memory_is_null),
        cmocka_unit_test(the_last_of_many_threads_frees),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
