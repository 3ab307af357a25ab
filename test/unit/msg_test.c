/* SPDX-License-Identifier: MIT */
#include "failing_alloc.h"

#include <pthread.h>

#include "hub/msg.h"

static ln_msg *hello(const ln_allocator *alloc)
{
    return ln_msg_new(alloc, LN_MSG_JSON, LN_SPAN("lobby"), LN_SPAN("greeting"),
                      LN_SPAN("\"hello\""), 7);
}

static void assert_span(ln_span s, const char *expected)
{
    assert_int_equal(s.size, strlen(expected));
    assert_memory_equal(s.data, expected, s.size);
}

/* Makes a block of what `arg` points to, and counts in it. */
typedef struct maker {
    const ln_allocator *alloc;
    unsigned calls;
    ln_block *rival; /* set: somebody else fills the slot while this one is at work */
} maker;

static ln_block *make(const ln_msg *m, void *arg)
{
    maker *by = arg;
    ln_block *b = ln_block_new(by->alloc, m->payload.size);
    by->calls++;
    if (b)
        memcpy(b->bytes, m->payload.data, m->payload.size);
    return b;
}

static ln_block *make_late(const ln_msg *m, void *arg)
{
    maker *by = arg;
    by->rival = ln_msg_form((ln_msg *)m, 2, make, by);
    return make(m, by);
}

static void a_message_keeps_copies_of_its_own(void **state)
{
    (void)state;
    failing_alloc fa;
    failing_alloc_init(&fa, FAILING_NEVER);
    char payload[] = "first";
    ln_msg *m =
        ln_msg_new(&fa.hook, LN_MSG_BINARY, LN_SPAN("t"), (ln_span){0}, (ln_span){payload, 5}, 42);
    memset(payload, 'x', 5);
    assert_span(m->topic, "t");
    assert_span(m->payload, "first");
    assert_int_equal(m->event.size, 0);
    assert_int_equal(m->kind, LN_MSG_BINARY);
    assert_true(m->publisher == 42 && m->excluded == 0);
    ln_msg_unref(m);
    failing_alloc_assert_empty(&fa);
}

static void the_last_reference_frees(void **state)
{
    (void)state;
    failing_alloc fa;
    failing_alloc_init(&fa, FAILING_NEVER);
    ln_msg *m = hello(&fa.hook);
    assert_ptr_equal(ln_msg_ref(m), m);
    ln_msg_unref(m);
    assert_span(m->event, "greeting");
    ln_msg_unref(m);
    ln_msg_unref(NULL);
    failing_alloc_assert_empty(&fa);
}

static void a_form_is_made_once_and_each_slot_has_its_own(void **state)
{
    (void)state;
    failing_alloc fa;
    failing_alloc_init(&fa, FAILING_NEVER);
    maker by = {.alloc = &fa.hook};
    ln_msg *m = hello(&fa.hook);
    ln_block *forms[LN_MSG_FORMS];
    for (unsigned i = 0; i < LN_MSG_FORMS; i++)
        forms[i] = ln_msg_form(m, i, make, &by);
    assert_int_equal(by.calls, LN_MSG_FORMS);
    for (unsigned i = 0; i < LN_MSG_FORMS; i++) {
        assert_ptr_equal(ln_msg_form(m, i, make, &by), forms[i]);
        for (unsigned j = 0; j < i; j++)
            assert_ptr_not_equal(forms[i], forms[j]);
    }
    assert_int_equal(by.calls, LN_MSG_FORMS);
    ln_msg_unref(m);
    failing_alloc_assert_empty(&fa);
}

static void the_slower_of_two_makers_gets_the_block_of_the_other(void **state)
{
    (void)state;
    failing_alloc fa;
    failing_alloc_init(&fa, FAILING_NEVER);
    maker by = {.alloc = &fa.hook};
    ln_msg *m = hello(&fa.hook);
    ln_block *form = ln_msg_form(m, 2, make_late, &by);
    assert_int_equal(by.calls, 2);
    assert_non_null(form);
    assert_ptr_equal(form, by.rival);
    assert_int_equal(atomic_load(&fa.live_blocks), 2); /* the message and one form */
    ln_msg_unref(m);
    failing_alloc_assert_empty(&fa);
}

static void a_form_outlives_its_message_for_who_keeps_it(void **state)
{
    (void)state;
    failing_alloc fa;
    failing_alloc_init(&fa, FAILING_NEVER);
    maker by = {.alloc = &fa.hook};
    ln_msg *m = hello(&fa.hook);
    ln_block *queued = ln_block_ref(ln_msg_form(m, 0, make, &by));
    ln_msg_unref(m);
    assert_memory_equal(queued->bytes, "\"hello\"", 7);
    ln_block_unref(queued);
    failing_alloc_assert_empty(&fa);
}

static void a_size_that_overflows_is_out_of_memory(void **state)
{
    (void)state;
    const ln_span vast = {"", SIZE_MAX / 2};
    assert_null(ln_msg_new(NULL, LN_MSG_TEXT, vast, (ln_span){0}, vast, 0));
    assert_null(
        ln_msg_new(NULL, LN_MSG_TEXT, (ln_span){"", SIZE_MAX}, (ln_span){0}, (ln_span){0}, 0));
    assert_null(
        ln_msg_new(NULL, LN_MSG_TEXT, (ln_span){"", 1}, (ln_span){"", SIZE_MAX}, (ln_span){0}, 0));
}

/* A worker: needs every form and checks it, holding a reference of its own. */
static void *use_forms(void *arg)
{
    ln_msg *m = arg;
    maker by = {.alloc = m->alloc};
    size_t wrong = 0;
    for (unsigned i = 0; i < LN_MSG_FORMS; i++) {
        const ln_block *form = ln_msg_form(m, i, make, &by);
        wrong += !form || memcmp(form->bytes, "\"hello\"", 7) != 0;
    }
    ln_msg_unref(m);
    return wrong > 0 ? arg : NULL;
}

static void workers_may_need_the_same_form_at_once(void **state)
{
    (void)state;
    enum { WORKERS = 4, ROUNDS = 100 };
    failing_alloc fa;
    failing_alloc_init(&fa, FAILING_NEVER);
    for (int round = 0; round < ROUNDS; round++) {
        pthread_t workers[WORKERS];
        ln_msg *m = hello(&fa.hook);
        for (int i = 0; i < WORKERS; i++)
            assert_int_equal(pthread_create(&workers[i], NULL, use_forms, ln_msg_ref(m)), 0);
        ln_msg_unref(m);
        for (int i = 0; i < WORKERS; i++) {
            void *fault;
            assert_int_equal(pthread_join(workers[i], &fault), 0);
            assert_null(fault);
        }
        failing_alloc_assert_empty(&fa);
    }
}

static int one_life(const ln_allocator *alloc, void *user)
{
    (void)user;
    maker by = {.alloc = alloc};
    ln_msg *m = hello(alloc);
    if (!m)
        return LN_ERR_NOMEM;
    const ln_block *form = ln_msg_form(m, 1, make, &by);
    const int rc = form ? 0 : LN_ERR_NOMEM;
    if (!form) { /* a failure is not remembered */
        const unsigned before = by.calls;
        (void)ln_msg_form(m, 1, make, &by);
        assert_int_equal(by.calls, before + 1);
    }
    ln_msg_unref(m);
    return rc;
}

static void running_out_of_memory_leaks_nothing(void **state)
{
    (void)state;
    assert_int_equal(failing_alloc_sweep(one_life, NULL), 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_message_keeps_copies_of_its_own),
        cmocka_unit_test(the_last_reference_frees),
        cmocka_unit_test(a_form_is_made_once_and_each_slot_has_its_own),
        cmocka_unit_test(the_slower_of_two_makers_gets_the_block_of_the_other),
        cmocka_unit_test(a_form_outlives_its_message_for_who_keeps_it),
        cmocka_unit_test(a_size_that_overflows_is_out_of_memory),
        cmocka_unit_test(workers_may_need_the_same_form_at_once),
        cmocka_unit_test(running_out_of_memory_leaks_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
