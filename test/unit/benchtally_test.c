/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cli/benchboard.h"
#include "cli/benchtally.h"

enum { SLICES = 3 };

static ln_benchtally *fresh(void)
{
    ln_benchtally *const t = calloc(1, ln_benchtally_size(SLICES));
    assert_non_null(t);
    t->slice_count = SLICES;
    return t;
}

static void every_fault_has_words_and_a_key_of_its_own(void **state)
{
    (void)state;
    for (size_t i = 0; i < LN_BENCHFAULT_COUNT; i++) {
        assert_non_null(ln_benchtally_words[i].one);
        assert_non_null(ln_benchtally_words[i].many);
        for (size_t k = 0; k < i; k++)
            assert_string_not_equal(ln_benchtally_words[i].key, ln_benchtally_words[k].key);
    }
}

static void the_first_example_of_a_kind_is_kept(void **state)
{
    (void)state;
    ln_benchtally *const t = fresh();
    ln_benchtally_fault(t, LN_BENCHFAULT_LOST, 0, "none");
    assert_int_equal(t->trouble, 0);
    ln_benchtally_fault(t, LN_BENCHFAULT_LOST, 2, "message %d", 7);
    ln_benchtally_fault(t, LN_BENCHFAULT_LOST, 1, "message %d", 9);
    ln_benchtally_fault(t, LN_BENCHFAULT_TLS, 1, "%0300d", 1); /* cut, and ended */
    assert_int_equal(t->faults[LN_BENCHFAULT_LOST], 3);
    assert_string_equal(t->examples[LN_BENCHFAULT_LOST], "message 7");
    assert_int_equal(strlen(t->examples[LN_BENCHFAULT_TLS]), LN_BENCHTALLY_EXAMPLE_BYTES - 1);
    assert_int_equal(t->trouble, 4);
    free(t);
}

static void what_two_counted_adds_up(void **state)
{
    (void)state;
    ln_benchtally *const a = fresh(), *const b = fresh(), *const sum = fresh();
    a->opened = 3;
    b->opened = 4;
    a->sent = 10;
    b->sent = 20;
    b->verified = 19;
    b->slices[2].events = 5;
    ln_benchhist_add(&a->slices[0].latency, 100);
    ln_benchhist_add(&b->slices[0].latency, 300);
    ln_benchhist_add(&b->opening, 50);
    ln_benchtally_fault(b, LN_BENCHFAULT_LOST, 1, "b's");
    ln_benchtally_merge(sum, a);
    ln_benchtally_merge(sum, b);
    assert_int_equal(sum->opened, 7);
    assert_int_equal(sum->sent, 30);
    assert_int_equal(sum->verified, 19);
    assert_int_equal(sum->slices[2].events, 5);
    assert_int_equal(sum->slices[0].latency.count, 2);
    assert_int_equal(sum->slices[0].latency.max_ns, 300);
    assert_int_equal(sum->opening.count, 1);
    assert_int_equal(sum->faults[LN_BENCHFAULT_LOST], 1);
    assert_string_equal(sum->examples[LN_BENCHFAULT_LOST], "b's");
    assert_int_equal(sum->trouble, 1);
    free(a);
    free(b);
    free(sum);
}

static void a_board_has_a_tally_for_each_worker(void **state)
{
    (void)state;
    const ln_benchplan plan = {.workers = 5, .steps = SLICES - 1};
    ln_benchboard *board;
    assert_int_equal(ln_benchboard_new(&plan, &board), 0);
    assert_false(ln_benchboard_look(board).is_settled);
    for (uint32_t i = 0; i < plan.workers; i++) {
        ln_benchtally *const t = ln_benchboard_tally(board, i);
        assert_int_equal(t->slice_count, SLICES);
        t->slices[SLICES - 1].latency.buckets[LN_BENCHHIST_BUCKETS - 1] =
            1; /* the last byte is ours */
        ln_benchtally_count(&t->opened, i);
        assert_false(ln_benchboard_look(board).is_settled);
        t->is_settled = true;
    }
    assert_int_equal(ln_benchboard_look(board).opened, 10);
    assert_true(ln_benchboard_look(board).is_settled);
    ln_benchboard_free(board);
    ln_benchboard_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_fault_has_words_and_a_key_of_its_own),
        cmocka_unit_test(the_first_example_of_a_kind_is_kept),
        cmocka_unit_test(what_two_counted_adds_up),
        cmocka_unit_test(a_board_has_a_tally_for_each_worker),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
