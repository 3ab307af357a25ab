/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/map.h"
#include "failing_alloc.h"
#include "linear_time.h"
#include "peer/sendq.h"

static ln_block *block_of(size_t size)
{
    ln_block *const b = ln_block_new(&ln_alloc_libc, size);
    assert_non_null(b);
    return b;
}

static void push(ln_sendq *q, ln_block *b, int kind, uint64_t key)
{
    assert_int_equal(ln_sendq_reserve(q), 0);
    ln_sendq_push(q, b, kind, key);
}

static void begin(ln_sendq *q, size_t ahead)
{
    assert_int_equal(ln_sendq_reserve(q), 0);
    ln_sendq_begin(q, ahead);
}

static void what_was_pushed_first_comes_first(void **state)
{
    (void)state;
    ln_sendq *const q = ln_sendq_new(&ln_alloc_libc);
    ln_block *const b = block_of(10);
    int kind, pushed = 0, popped = 0;

    assert_non_null(q);
    assert_null(ln_sendq_pop(q, &kind));
    for (int round = 0; round < 50; round++) { /* grows while free entries lie anywhere */
        for (int i = 0; i < 7; i++)
            push(q, b, pushed++ % 200, 0);
        for (int i = 0; i < 5; i++) {
            assert_ptr_equal(ln_sendq_pop(q, &kind), b);
            assert_int_equal(kind, popped++ % 200);
            ln_block_unref(b);
        }
    }
    assert_int_equal(ln_sendq_waiting(q), 100);
    while (ln_sendq_pop(q, &kind) != NULL) {
        assert_int_equal(kind, popped++ % 200);
        ln_block_unref(b);
    }
    assert_int_equal(popped, pushed);
    ln_block_unref(b);
    ln_sendq_free(q);
}

static void bytes_are_zero_exactly_when_nothing_waits(void **state)
{
    (void)state;
    ln_sendq *const q = ln_sendq_new(&ln_alloc_libc);
    ln_block *const empty = block_of(0), *const full = block_of(100);
    int kind;

    assert_int_equal(ln_sendq_bytes(NULL), 0);
    assert_int_equal(ln_sendq_messages(NULL), 0);
    assert_int_equal(ln_sendq_waiting(NULL), 0);
    assert_int_equal(ln_sendq_cost(NULL, 1), 0);
    assert_int_equal(ln_sendq_bytes(q), 0);
    push(q, empty, 1, 0);
    const size_t cost = ln_sendq_bytes(q);
    assert_true(cost > 0); /* a flood of empty messages costs as well */
    push(q, full, 2, 5);
    assert_int_equal(ln_sendq_bytes(q), 2 * cost + 100);
    assert_int_equal(ln_sendq_cost(q, 5), cost + 100);
    begin(q, 50);
    assert_int_equal(ln_sendq_bytes(q), 2 * cost + 100); /* those are in the machine */
    ln_block_unref(ln_sendq_pop(q, &kind));
    assert_int_equal(ln_sendq_bytes(q), cost + 100);
    ln_block_unref(ln_sendq_pop(q, &kind));
    assert_int_equal(ln_sendq_bytes(q), 0);
    assert_int_equal(ln_sendq_messages(q), 1);
    ln_block_unref(empty);
    ln_block_unref(full);
    ln_sendq_free(q);
}

static void one_that_waits_can_be_found_and_removed_by_its_key(void **state)
{
    (void)state;
    ln_sendq *const q = ln_sendq_new(&ln_alloc_libc);
    ln_block *const b = block_of(10);
    int kind;

    assert_false(ln_sendq_remove(q, 7));
    for (int i = 1; i <= 20; i++)
        push(q, b, i, (uint64_t)i << 40); /* all in one bucket: the low bits are the same */
    push(q, b, 21, 0);
    assert_false(ln_sendq_remove(q, 7));
    assert_false(ln_sendq_remove(q, 0)); /* no key is no key */
    assert_true(ln_sendq_remove(q, UINT64_C(1) << 40));
    assert_true(ln_sendq_remove(q, UINT64_C(10) << 40));
    assert_false(ln_sendq_remove(q, UINT64_C(10) << 40));
    assert_true(ln_sendq_remove(q, UINT64_C(20) << 40));
    push(q, b, 22, UINT64_C(10) << 40); /* the newer goes to the end */
    for (int expected = 2; expected <= 22; expected++) {
        if (expected == 10 || expected == 20)
            continue;
        assert_non_null(ln_sendq_pop(q, &kind));
        assert_int_equal(kind, expected);
        ln_block_unref(b);
    }
    assert_int_equal(ln_sendq_waiting(q), 0);
    ln_block_unref(b);
    ln_sendq_free(q);
}

static void a_message_counts_until_its_last_byte_is_gone(void **state)
{
    (void)state;
    ln_sendq *const q = ln_sendq_new(&ln_alloc_libc);
    ln_block *const b = block_of(10);
    int kind;

    begin(q, 12);      /* the first: 12 bytes */
    begin(q, 12 + 30); /* the second, behind it */
    push(q, b, 1, 0);
    push(q, b, 2, 0);
    assert_int_equal(ln_sendq_messages(q), 4);
    ln_sendq_sent(q, 11);
    assert_int_equal(ln_sendq_messages(q), 4);
    ln_sendq_sent(q, 1);
    assert_int_equal(ln_sendq_messages(q), 3);
    ln_block_unref(ln_sendq_pop(q, &kind)); /* it begins: 30 bytes are ahead, and its own */
    ln_sendq_begin(q, 30 + 12);
    assert_int_equal(ln_sendq_messages(q), 3);
    assert_int_equal(ln_sendq_waiting(q), 1);
    ln_sendq_sent(q, 41);
    assert_int_equal(ln_sendq_messages(q), 2);
    ln_sendq_go_on(q, 1 + 20); /* another piece of it */
    ln_sendq_sent(q, 1);
    assert_int_equal(ln_sendq_messages(q), 2);
    ln_sendq_sent(q, 20);
    assert_int_equal(ln_sendq_messages(q), 1);
    ln_sendq_go_on(q, 5); /* and one more: all before it is gone, and it is not done yet */
    assert_int_equal(ln_sendq_messages(q), 2);
    ln_block_unref(ln_sendq_pop(q, &kind));
    assert_int_equal(kind, 2);
    ln_sendq_sent(q, 5);
    assert_int_equal(ln_sendq_messages(q), 0);
    ln_block_unref(b);
    ln_sendq_free(q);
}

/* Twenty messages for each of `keys` keys: all but the first of a key replace one. */
static void replace_many(void *user, size_t keys)
{
    (void)user;
    static const uint64_t seed[2] = {1, 2};
    ln_sendq *const q = ln_sendq_new(&ln_alloc_libc);
    ln_block *const b = block_of(10);
    size_t replaced = 0;

    for (size_t i = 0; i < 20 * keys; i++) {
        const uint32_t name = (uint32_t)(i * 7919 % keys);
        const uint64_t key = ln_siphash13(seed, (ln_span){&name, sizeof name});
        assert_int_equal(ln_sendq_reserve(q), 0);
        replaced += ln_sendq_remove(q, key);
        ln_sendq_push(q, b, 0, key);
    }
    assert_int_equal(ln_sendq_waiting(q), keys);
    assert_int_equal(replaced, 19 * keys);
    ln_sendq_free(q);
    ln_block_unref(b);
}

static void replacing_costs_the_same_however_much_waits(void **state)
{
    (void)state;
    linear_time_assert(replace_many, NULL, 625); /* up to 10,000 keys */
}

static void a_burst_does_not_cost_its_memory_for_ever(void **state)
{
    (void)state;
    failing_alloc fa;
    int kind;

    failing_alloc_init(&fa, FAILING_NEVER);
    ln_sendq *const q = ln_sendq_new(&fa.hook);
    ln_block *const b = block_of(10);
    for (int i = 0; i < 1000; i++)
        push(q, b, 0, 0);
    for (int i = 0; i < 1000; i++) {
        ln_block_unref(ln_sendq_pop(q, &kind));
        ln_sendq_begin(q, (size_t)i + 1);
    }
    assert_true(fa.live_bytes > 32000);
    ln_sendq_sent(q, 1000);
    assert_true(fa.live_bytes < 1000);
    push(q, b, 0, 0); /* and it goes on */
    ln_sendq_free(q);
    ln_block_unref(b);
    failing_alloc_assert_empty(&fa);
}

static int one_life(const ln_allocator *alloc, void *user)
{
    ln_sendq *const q = ln_sendq_new(alloc);
    ln_block *const b = user;
    int rc = q == NULL ? LN_ERR_NOMEM : 0;

    for (int i = 0; i < 100 && rc == 0; i++) {
        const size_t before = ln_sendq_bytes(q);
        rc = ln_sendq_reserve(q);
        assert_int_equal(ln_sendq_bytes(q), before);
        if (rc == 0 && i % 3 == 0)
            ln_sendq_begin(q, 1);
        else if (rc == 0)
            ln_sendq_push(q, b, 0, (uint64_t)i);
    }
    for (int i = 0; i < 100 && rc == 0; i++)
        assert_true(ln_sendq_cost(q, (uint64_t)i) > 0 || i % 3 == 0);
    ln_sendq_free(q); /* with the messages that wait */
    return rc;
}

static void running_out_of_memory_leaves_nothing(void **state)
{
    (void)state;
    ln_block *const b = block_of(3);
    assert_true(failing_alloc_sweep(one_life, b) >= 4);
    ln_sendq_free(NULL);
    ln_sendq_clear(NULL);
    ln_block_unref(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_pushed_first_comes_first),
        cmocka_unit_test(bytes_are_zero_exactly_when_nothing_waits),
        cmocka_unit_test(one_that_waits_can_be_found_and_removed_by_its_key),
        cmocka_unit_test(a_message_counts_until_its_last_byte_is_gone),
        cmocka_unit_test(replacing_costs_the_same_however_much_waits),
        cmocka_unit_test(a_burst_does_not_cost_its_memory_for_ever),
        cmocka_unit_test(running_out_of_memory_leaves_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
