/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <sched.h>

#include "net/mail.h"

enum { WRITERS = 4, LETTERS = 20000 };

struct numbered {
    ln_letter letter;
    unsigned writer, number;
};

static ln_mailbox box;
static struct numbered all[WRITERS][LETTERS];
static _Atomic unsigned wake_ups;

static struct numbered *take(void)
{
    ln_letter *const l = ln_mailbox_take(&box);
    return l ? LN_CONTAINER_OF(l, struct numbered, letter) : NULL;
}

static void an_empty_box_gives_nothing_and_needs_no_look(void **state)
{
    (void)state;
    ln_mailbox_init(&box);
    assert_false(ln_mailbox_look(&box));
    assert_false(ln_mailbox_is_awake(&box));
    assert_null(take());
    assert_null(take());
}

static void letters_come_in_the_order_they_were_posted(void **state)
{
    (void)state;
    ln_mailbox_init(&box);
    for (unsigned i = 0; i < 5; i++) {
        all[0][i].number = i;
        ln_mailbox_post(&box, &all[0][i].letter);
    }
    for (unsigned i = 0; i < 5; i++)
        assert_ptr_equal(take(), &all[0][i]);
    assert_null(take());
}

static void only_the_first_letter_since_the_last_look_wakes(void **state)
{
    (void)state;
    ln_mailbox_init(&box);
    assert_true(ln_mailbox_post(&box, &all[0][0].letter));
    assert_false(ln_mailbox_post(&box, &all[0][1].letter));
    assert_true(ln_mailbox_is_awake(&box));
    assert_true(ln_mailbox_look(&box));
    assert_false(ln_mailbox_look(&box));
    assert_ptr_equal(take(), &all[0][0]);
    assert_true(
        ln_mailbox_post(&box, &all[0][2].letter)); /* the reader may have finished: wake it again */
    assert_ptr_equal(take(), &all[0][1]);
    assert_ptr_equal(take(), &all[0][2]);
    assert_null(take());
}

static void a_reader_that_stops_early_looks_again_without_a_wake_up(void **state)
{
    (void)state;
    ln_mailbox_init(&box);
    ln_mailbox_post(&box, &all[0][0].letter);
    ln_mailbox_post(&box, &all[0][1].letter);
    assert_true(ln_mailbox_look(&box));
    assert_non_null(take());
    ln_mailbox_look_again(&box);
    assert_false(ln_mailbox_post(&box, &all[0][2].letter));
    assert_true(ln_mailbox_look(&box));
    assert_ptr_equal(take(), &all[0][1]);
    assert_ptr_equal(take(), &all[0][2]);
}

static void a_letter_may_be_posted_again_once_it_was_taken(void **state)
{
    (void)state;
    ln_mailbox_init(&box);
    for (unsigned i = 0; i < 1000; i++) {
        ln_mailbox_post(&box, &all[0][0].letter);
        ln_mailbox_post(&box, &all[0][1].letter);
        assert_ptr_equal(take(), &all[0][0]);
        assert_ptr_equal(take(), &all[0][1]);
        assert_null(take());
    }
}

static void *write_letters(void *arg)
{
    const unsigned writer = (unsigned)(uintptr_t)arg;
    for (unsigned i = 0; i < LETTERS; i++) {
        all[writer][i].writer = writer;
        all[writer][i].number = i;
        if (ln_mailbox_post(&box, &all[writer][i].letter))
            atomic_fetch_add(&wake_ups, 1);
        if (i % 64 == 0)
            sched_yield();
    }
    return NULL;
}

/* The reader sleeps unless it is woken up: a letter without a wake-up would be missed, and the test
 * would not end. */
static void many_writers_lose_nothing_and_each_keeps_its_order(void **state)
{
    (void)state;
    pthread_t threads[WRITERS];
    unsigned next[WRITERS] = {0};
    unsigned got = 0, seen = 0;

    ln_mailbox_init(&box);
    atomic_store(&wake_ups, 0);
    for (uintptr_t i = 0; i < WRITERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, write_letters, (void *)i), 0);
    while (got < WRITERS * LETTERS) {
        while (atomic_load(&wake_ups) == seen)
            sched_yield();
        seen++;
        if (!ln_mailbox_look(&box))
            continue;
        for (struct numbered *n; (n = take()); got++)
            assert_int_equal(n->number, next[n->writer]++);
    }
    for (unsigned i = 0; i < WRITERS; i++)
        pthread_join(threads[i], NULL);
    assert_null(take());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_box_gives_nothing_and_needs_no_look),
        cmocka_unit_test(letters_come_in_the_order_they_were_posted),
        cmocka_unit_test(only_the_first_letter_since_the_last_look_wakes),
        cmocka_unit_test(a_reader_that_stops_early_looks_again_without_a_wake_up),
        cmocka_unit_test(a_letter_may_be_posted_again_once_it_was_taken),
        cmocka_unit_test(many_writers_lose_nothing_and_each_keeps_its_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
