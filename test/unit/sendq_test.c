/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "failing_alloc.h"
#include "peer/sendq.h"

static ln_block *block_of(size_t size)
{
    ln_block *const b = ln_block_new(&ln_alloc_libc, size);
    assert_non_null(b);
    return b;
}

static void what_was_pushed_first_comes_first(void **state)
{
    (void)state;
    ln_sendq *const q = ln_sendq_new(&ln_alloc_libc);
    ln_block *const b = block_of(10);
    int kind, pushed = 0, popped = 0;

    assert_non_null(q);
    assert_null(ln_sendq_pop(q, &kind));
    for (int round = 0; round < 50; round++) { /* grows while its begin is anywhere in the ring */
        for (int i = 0; i < 7; i++)
            assert_int_equal(ln_sendq_push(q, b, pushed++), 0);
        for (int i = 0; i < 5; i++) {
            assert_ptr_equal(ln_sendq_pop(q, &kind), b);
            assert_int_equal(kind, popped++);
            ln_block_unref(b);
        }
    }
    while (ln_sendq_pop(q, &kind) != NULL) {
        assert_int_equal(kind, popped++);
        ln_block_unref(b);
    }
    assert_int_equal(popped, pushed);
    ln_block_unref(b);
    ln_sendq_free(q, &ln_alloc_libc);
}

static void bytes_are_zero_exactly_when_it_is_empty(void **state)
{
    (void)state;
    ln_sendq *const q = ln_sendq_new(&ln_alloc_libc);
    ln_block *const empty = block_of(0), *const full = block_of(100);
    int kind;

    assert_int_equal(ln_sendq_bytes(NULL), 0);
    assert_int_equal(ln_sendq_bytes(q), 0);
    assert_int_equal(ln_sendq_push(q, empty, 1), 0);
    const size_t cost = ln_sendq_bytes(q);
    assert_true(cost > 0); /* a flood of empty messages costs as well */
    assert_int_equal(ln_sendq_push(q, full, 2), 0);
    assert_int_equal(ln_sendq_bytes(q), 2 * cost + 100);
    ln_block_unref(ln_sendq_pop(q, &kind));
    assert_int_equal(ln_sendq_bytes(q), cost + 100);
    ln_block_unref(ln_sendq_pop(q, &kind));
    assert_int_equal(ln_sendq_bytes(q), 0);
    ln_block_unref(empty);
    ln_block_unref(full);
    ln_sendq_free(q, &ln_alloc_libc);
}

static int one_life(const ln_allocator *alloc, void *user)
{
    ln_sendq *const q = ln_sendq_new(alloc);
    ln_block *const b = user;
    int rc = q == NULL ? LN_ERR_NOMEM : 0;

    for (int i = 0; i < 100 && rc == 0; i++) {
        const size_t before = ln_sendq_bytes(q);
        rc = ln_sendq_push(q, b, 0);
        assert_true(rc == 0 || ln_sendq_bytes(q) == before);
    }
    ln_sendq_free(q, alloc); /* with the messages that wait */
    return rc;
}

static void running_out_of_memory_leaves_nothing(void **state)
{
    (void)state;
    ln_block *const b = block_of(3);
    assert_true(failing_alloc_sweep(one_life, b) >= 4);
    ln_sendq_free(NULL, &ln_alloc_libc);
    ln_block_unref(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_pushed_first_comes_first),
        cmocka_unit_test(bytes_are_zero_exactly_when_it_is_empty),
        cmocka_unit_test(running_out_of_memory_leaves_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
