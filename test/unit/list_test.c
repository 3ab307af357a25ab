/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/list.h"

typedef struct guest {
    int number;
    ln_link link;
} guest;

/* The ring's numbers as decimal digits, read forwards; -1 if reading backwards tells something
 * else. */
static long digits(const ln_link *head)
{
    long forwards = 0, backwards = 0, unit = 1;
    for (ln_link *at = head->next; at != head; at = at->next)
        forwards = forwards * 10 + LN_CONTAINER_OF(at, guest, link)->number;
    for (ln_link *at = head->prev; at != head; at = at->prev, unit *= 10)
        backwards += unit * LN_CONTAINER_OF(at, guest, link)->number;
    return forwards == backwards ? forwards : -1;
}

static void a_fresh_ring_is_empty(void **state)
{
    (void)state;
    ln_link head;
    ln_list_init(&head);
    assert_true(ln_list_is_empty(&head));
    assert_ptr_equal(head.prev, &head);
}

static void adding_before_the_head_is_adding_at_the_end(void **state)
{
    (void)state;
    ln_link head;
    ln_list_init(&head);
    guest guests[] = {{.number = 1}, {.number = 2}, {.number = 3}};
    for (size_t i = 0; i < LN_ARRAY_SIZE(guests); i++)
        ln_list_add(&head, &guests[i].link);
    assert_false(ln_list_is_empty(&head));
    assert_int_equal(digits(&head), 123);
}

static void adding_before_a_node_puts_it_there(void **state)
{
    (void)state;
    ln_link head;
    ln_list_init(&head);
    guest a = {.number = 1}, b = {.number = 2}, c = {.number = 3};
    ln_list_add(&head, &c.link);
    ln_list_add(&c.link, &a.link);
    ln_list_add(&c.link, &b.link);
    assert_int_equal(digits(&head), 123);
}

static void a_removed_node_is_unlinked_and_removing_it_again_is_harmless(void **state)
{
    (void)state;
    ln_link head;
    ln_list_init(&head);
    guest guests[] = {{.number = 1}, {.number = 2}, {.number = 3}};
    for (size_t i = 0; i < LN_ARRAY_SIZE(guests); i++)
        ln_list_add(&head, &guests[i].link);

    ln_list_remove(&guests[1].link);
    assert_int_equal(digits(&head), 13);
    assert_true(ln_list_is_empty(&guests[1].link));
    ln_list_remove(&guests[1].link);
    assert_int_equal(digits(&head), 13);

    ln_list_remove(&guests[0].link);
    ln_list_remove(&guests[2].link);
    assert_true(ln_list_is_empty(&head));
    ln_list_add(&head, &guests[1].link);
    assert_int_equal(digits(&head), 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_fresh_ring_is_empty),
        cmocka_unit_test(adding_before_the_head_is_adding_at_the_end),
        cmocka_unit_test(adding_before_a_node_puts_it_there),
        cmocka_unit_test(a_removed_node_is_unlinked_and_removing_it_again_is_harmless),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
