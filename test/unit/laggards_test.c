/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "failing_alloc.h"
#include "peer/laggards.h" /* back end: any */

static char names[100]; /* an address for each connection */

static ln_conn *conn(int i)
{
    return (ln_conn *)(void *)&names[i];
}

static uint64_t since(ln_laggards *l)
{
    return atomic_load(&l->since_ms);
}

static void the_longest_wait_is_known_at_any_time(void **state)
{
    (void)state;
    ln_laggards l = {.entries = NULL};
    uint32_t numbers[3];

    assert_int_equal(since(&l), 0);
    for (int i = 0; i < 3; i++)
        numbers[i] = ln_laggards_add(&l, NULL, conn(i), 100 + (uint64_t)i);
    assert_int_equal(since(&l), 100);
    ln_laggards_moved(&l, numbers[0], 110);
    assert_int_equal(since(&l), 101);
    ln_laggards_remove(&l, numbers[1]);
    assert_int_equal(since(&l), 102);
    ln_laggards_moved(&l, numbers[2], 120);
    assert_int_equal(since(&l), 110);
    ln_laggards_moved(&l, numbers[0], 110); /* nothing new */
    assert_int_equal(since(&l), 110);
    ln_laggards_remove(&l, numbers[0]);
    ln_laggards_remove(&l, numbers[2]);
    assert_int_equal(since(&l), 0);
    ln_laggards_fini(&l, NULL);
}

static void numbers_stay_while_others_come_and_go(void **state)
{
    (void)state;
    ln_laggards l = {.entries = NULL};
    uint32_t numbers[100];

    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 100; i++) {
            numbers[i] = ln_laggards_add(&l, NULL, conn(i), 1 + (uint64_t)i);
            assert_true(numbers[i] > 0);
            assert_int_equal(ln_laggards_at(&l, numbers[i])->bytes, 0);
            ln_laggards_at(&l, numbers[i])->bytes = (uint32_t)i;
        }
        for (int i = 0; i < 100; i += 2)
            ln_laggards_remove(&l, numbers[i]);
        for (int i = 1; i < 100; i += 2) {
            assert_ptr_equal(ln_laggards_at(&l, numbers[i])->conn, conn(i));
            assert_int_equal(ln_laggards_at(&l, numbers[i])->bytes, i);
        }
        assert_int_equal(l.count, 50);
        assert_int_equal(since(&l), 2);
        for (int i = 1; i < 100; i += 2)
            ln_laggards_remove(&l, numbers[i]);
    }
    assert_int_equal(l.capacity, 128); /* they were used again */
    ln_laggards_fini(&l, NULL);
}

static int one_life(const ln_allocator *alloc, void *user)
{
    ln_laggards l = {.entries = NULL};
    uint32_t numbers[100];
    int count = 0, rc = 0;
    (void)user;

    for (int i = 0; i < 100 && rc == 0; i++) {
        numbers[count] = ln_laggards_add(&l, alloc, conn(i), 1);
        rc = numbers[count] == 0 ? LN_ERR_NOMEM : 0;
        count += rc == 0;
    }
    assert_int_equal(l.count, count);
    while (count > 0)
        ln_laggards_remove(&l, numbers[--count]);
    ln_laggards_fini(&l, alloc);
    return rc;
}

static void running_out_of_memory_leaves_it_as_it_was(void **state)
{
    (void)state;
    assert_true(failing_alloc_sweep(one_life, NULL) >= 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_longest_wait_is_known_at_any_time),
        cmocka_unit_test(numbers_stay_while_others_come_and_go),
        cmocka_unit_test(running_out_of_memory_leaves_it_as_it_was),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
