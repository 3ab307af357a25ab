/* SPDX-License-Identifier: MIT */
#include "failing_alloc.h"

#include "base/buf.h"

static void a_fresh_buffer_owns_nothing(void **state)
{
    (void)state;
    failing_alloc fa;
    failing_alloc_init(&fa, FAILING_NEVER);
    ln_buf b;
    ln_buf_init(&b, &fa.hook);
    assert_int_equal(ln_buf_reserve(&b, 0, 0), 0);
    assert_int_equal(ln_buf_append(&b, NULL, 0, 0), 0);
    ln_buf_consume(&b, 0);
    assert_null(b.data);
    assert_true(b.size == 0 && b.capacity == 0 && fa.calls == 0);
    ln_buf_fini(&b);
}

static void a_million_single_bytes_cost_few_moves(void **state)
{
    (void)state;
    enum { COUNT = 1000000 };
    failing_alloc fa;
    failing_alloc_init(&fa, FAILING_NEVER);
    ln_buf b;
    ln_buf_init(&b, &fa.hook);
    for (size_t i = 0; i < COUNT; i++) {
        const uint8_t byte = (uint8_t)(i * 31);
        assert_int_equal(ln_buf_append(&b, &byte, 1, COUNT), 0);
    }
    assert_int_equal(b.size, COUNT);
    for (size_t i = 0; i < COUNT; i++)
        if (b.data[i] != (uint8_t)(i * 31))
            fail_msg("byte %zu is wrong", i);
    assert_in_range(fa.calls, 1, 20); /* doubling */
    ln_buf_fini(&b);
    failing_alloc_assert_empty(&fa);
}

static void the_limit_itself_fits_and_one_more_does_not(void **state)
{
    (void)state;
    enum { LIMIT = 100 };
    uint8_t bytes[LIMIT + 1] = {7};
    ln_buf b;
    ln_buf_init(&b, NULL);
    assert_int_equal(ln_buf_append(&b, bytes, LIMIT + 1, LIMIT), LN_ERR_TOO_BIG);
    assert_null(b.data);
    for (size_t n = 0; n < LIMIT; n++) {
        assert_int_equal(ln_buf_append(&b, bytes, 1, LIMIT), 0);
        assert_true(b.capacity <= LIMIT);
    }
    assert_int_equal(ln_buf_append(&b, bytes, 1, LIMIT), LN_ERR_TOO_BIG);
    assert_int_equal(ln_buf_append(&b, bytes, 0, LIMIT), 0);
    assert_int_equal(ln_buf_append(&b, bytes, 0, LIMIT - 1), LN_ERR_TOO_BIG);
    assert_int_equal(b.size, LIMIT);
    ln_buf_fini(&b);
}

static void the_first_allocation_stays_below_a_small_limit_too(void **state)
{
    (void)state;
    ln_buf b;
    ln_buf_init(&b, NULL);
    assert_int_equal(ln_buf_append(&b, "x", 1, 10), 0);
    assert_int_equal(b.capacity, 10);
    ln_buf_fini(&b);
}

static void sizes_that_wrap_around_are_too_big(void **state)
{
    (void)state;
    ln_buf b;
    ln_buf_init(&b, NULL);
    assert_int_equal(ln_buf_append(&b, "ab", 2, SIZE_MAX), 0);
    assert_int_equal(ln_buf_reserve(&b, SIZE_MAX, SIZE_MAX), LN_ERR_TOO_BIG);
    assert_int_equal(ln_buf_reserve(&b, SIZE_MAX - 1, SIZE_MAX), LN_ERR_TOO_BIG);
    assert_memory_equal(b.data, "ab", 2);
    ln_buf_fini(&b);
}

static void reserved_room_is_there_and_does_not_move_while_it_lasts(void **state)
{
    (void)state;
    ln_buf b;
    ln_buf_init(&b, NULL);
    assert_int_equal(ln_buf_append(&b, "head", 4, 10000), 0);
    assert_int_equal(ln_buf_reserve(&b, 5000, 10000), 0);
    assert_int_equal(b.size, 4);
    assert_true(b.capacity >= 5004);

    const uint8_t *const before = b.data;
    memset(b.data + b.size, 'x', 5000);
    b.size += 5000;
    assert_ptr_equal(b.data, before);
    assert_memory_equal(b.data, "headxxxx", 8);
    ln_buf_fini(&b);
}

static void consuming_moves_the_rest_to_the_front(void **state)
{
    (void)state;
    ln_buf b;
    ln_buf_init(&b, NULL);
    assert_int_equal(ln_buf_append(&b, "abcdefgh", 8, 100), 0);
    ln_buf_consume(&b, 0);
    assert_int_equal(b.size, 8);
    ln_buf_consume(&b, 3);
    assert_int_equal(b.size, 5);
    assert_memory_equal(b.data, "defgh", 5);
    ln_buf_consume(&b, 5);
    assert_int_equal(b.size, 0);
    assert_int_equal(ln_buf_append(&b, "z", 1, 100), 0);
    assert_memory_equal(b.data, "z", 1);
    ln_buf_fini(&b);
}

static void a_released_buffer_owns_nothing_and_can_be_used_again(void **state)
{
    (void)state;
    failing_alloc fa;
    failing_alloc_init(&fa, FAILING_NEVER);
    ln_buf b;
    ln_buf_init(&b, &fa.hook);
    assert_int_equal(ln_buf_append(&b, "abc", 3, 100), 0);
    ln_buf_release(&b);
    failing_alloc_assert_empty(&fa);
    assert_true(b.data == NULL && b.size == 0 && b.capacity == 0);
    assert_int_equal(ln_buf_append(&b, "de", 2, 100), 0);
    assert_memory_equal(b.data, "de", 2);
    assert_true(fa.live_blocks == 1); /* still of the same allocator */
    ln_buf_fini(&b);
    failing_alloc_assert_empty(&fa);
}

/* Two appends; the second needs a move. An error must leave size and bytes alone. */
static int append_twice(const ln_allocator *alloc, void *user)
{
    (void)user;
    static const uint8_t many[1000] = {0};
    ln_buf b;
    ln_buf_init(&b, alloc);
    int rc = ln_buf_append(&b, "abc", 3, 2000);
    assert_int_equal(b.size, rc == 0 ? 3 : 0);
    if (rc == 0) {
        rc = ln_buf_append(&b, many, sizeof many, 2000);
        assert_int_equal(b.size, rc == 0 ? 1003 : 3);
        assert_memory_equal(b.data, "abc", 3);
    }
    assert_true((b.data == NULL) == (b.capacity == 0));
    ln_buf_fini(&b);
    return rc;
}

static void out_of_memory_changes_nothing(void **state)
{
    (void)state;
    assert_int_equal(failing_alloc_sweep(append_twice, NULL), 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_fresh_buffer_owns_nothing),
        cmocka_unit_test(a_million_single_bytes_cost_few_moves),
        cmocka_unit_test(the_limit_itself_fits_and_one_more_does_not),
        cmocka_unit_test(the_first_allocation_stays_below_a_small_limit_too),
        cmocka_unit_test(sizes_that_wrap_around_are_too_big),
        cmocka_unit_test(reserved_room_is_there_and_does_not_move_while_it_lasts),
        cmocka_unit_test(consuming_moves_the_rest_to_the_front),
        cmocka_unit_test(a_released_buffer_owns_nothing_and_can_be_used_again),
        cmocka_unit_test(out_of_memory_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
