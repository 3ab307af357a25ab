/* SPDX-License-Identifier: MIT */
#include "failing_alloc.h"

#include <pthread.h>

#include "base/slots.h"

enum { INDEX_BITS = 24 };

static uint32_t index_of(uint64_t name)
{
    return (uint32_t)(name & ((1 << INDEX_BITS) - 1));
}

/* The table is 8 KiB: not for every test's stack. */
static ln_slots slots;

static uint64_t add(void *value)
{
    uint64_t name = 0;
    assert_int_equal(ln_slots_add(&slots, value, &name), 0);
    return name;
}

static void a_name_finds_its_value_until_it_is_removed(void **state)
{
    (void)state;
    failing_alloc fa;
    failing_alloc_init(&fa, FAILING_NEVER);
    ln_slots_init(&slots, &fa.hook);
    int a, b;
    const uint64_t first = add(&a), second = add(&b);
    assert_true(first != 0 && second != 0 && first != second);
    assert_ptr_equal(ln_slots_find(&slots, first), &a);
    assert_ptr_equal(ln_slots_find(&slots, second), &b);
    assert_non_null(ln_slots_peek(&slots, first));

    ln_slots_remove(&slots, first);
    assert_null(ln_slots_find(&slots, first));
    assert_null(ln_slots_peek(&slots, first));
    assert_ptr_equal(ln_slots_find(&slots, second), &b);
    ln_slots_fini(&slots);
    failing_alloc_assert_empty(&fa);
}

static void a_retired_name_finds_nothing_but_keeps_its_slot(void **state)
{
    (void)state;
    ln_slots_init(&slots, NULL);
    int value, other;
    const uint64_t name = add(&value);
    ln_slots_retire(&slots, name);
    assert_null(ln_slots_find(&slots, name));
    assert_null(ln_slots_peek(&slots, name));
    uint32_t cursor = 0;
    assert_ptr_equal(ln_slots_next(&slots, &cursor), &value);

    for (int i = 0; i < 2 * LN_SLOTS_PAGE; i++)
        assert_int_not_equal(index_of(add(&other)), index_of(name));
    ln_slots_remove(&slots, name);
    cursor = 0;
    assert_ptr_equal(ln_slots_next(&slots, &cursor), &other);
    assert_int_equal(slots.free_count, LN_SLOTS_PAGE);
    ln_slots_fini(&slots);
}

static void names_that_were_never_given_out_find_nothing(void **state)
{
    (void)state;
    ln_slots_init(&slots, NULL);
    assert_null(ln_slots_peek(&slots, 0));
    assert_null(ln_slots_peek(&slots, UINT64_C(1) << INDEX_BITS)); /* no page yet */

    int value;
    const uint64_t name = add(&value);
    const uint64_t generation = UINT64_C(1) << INDEX_BITS;
    const uint64_t wrong[] = {
        0,
        name + 1,                 /* a free slot's index, a taken one's generation */
        (name & ~generation) + 1, /* a free slot as it is: even generation */
        name + generation,        /* the generation after */
        name + 2 * generation,    /* the next occupant's */
        name | UINT64_C(1) << 56, /* above the generation */
        name | UINT64_C(1) << 63,
        generation | LN_SLOTS_PAGE,                      /* no such page */
        generation | LN_SLOTS_PAGE * LN_SLOTS_PAGES_MAX, /* there can be no such page */
        generation | ((1 << INDEX_BITS) - 1),
        UINT64_MAX,
    };
    for (size_t i = 0; i < LN_ARRAY_SIZE(wrong); i++) {
        assert_null(ln_slots_find(&slots, wrong[i]));
        assert_null(ln_slots_peek(&slots, wrong[i]));
    }
    assert_ptr_equal(ln_slots_find(&slots, name), &value);
    ln_slots_fini(&slots);
}

static void a_freed_slot_goes_to_the_back_of_the_queue_and_gets_a_new_name(void **state)
{
    (void)state;
    ln_slots_init(&slots, NULL);
    int value;
    const uint64_t first = add(&value);
    ln_slots_remove(&slots, first);
    for (int i = 1; i < LN_SLOTS_PAGE; i++) {
        const uint64_t other = add(&value);
        assert_int_not_equal(index_of(other), index_of(first));
        ln_slots_remove(&slots, other);
    }
    const uint64_t again = add(&value);
    assert_int_equal(index_of(again), index_of(first));
    assert_true(again == first + (UINT64_C(2) << INDEX_BITS));
    assert_null(ln_slots_find(&slots, first));
    assert_ptr_equal(ln_slots_find(&slots, again), &value);
    assert_int_equal(slots.size, LN_SLOTS_PAGE);
    ln_slots_fini(&slots);
}

static void a_generation_that_wraps_around_stays_odd(void **state)
{
    (void)state;
    ln_slots_init(&slots, NULL);
    int value;
    const uint64_t first = add(&value);
    ln_slot *slot = ln_slots_peek(&slots, first);
    ln_slots_remove(&slots, first);
    slot->generation = UINT32_MAX - 1; /* 2^31 - 1 occupants later */

    uint64_t last = 0, after = 0;
    for (int i = 0; i < 2 * LN_SLOTS_PAGE; i++) {
        const uint64_t name = add(&value);
        ln_slots_remove(&slots, name);
        if (index_of(name) == index_of(first)) {
            last = last ? last : name;
            after = name;
        }
    }
    assert_true(last >> INDEX_BITS == UINT32_MAX);
    assert_true(after == first); /* the first name once more, as documented */
    ln_slots_fini(&slots);
}

static void all_slots_can_be_taken_and_not_one_more(void **state)
{
    (void)state;
    enum { ALL = LN_SLOTS_PAGE * LN_SLOTS_PAGES_MAX };
    failing_alloc fa;
    failing_alloc_init(&fa, FAILING_NEVER);
    ln_slots_init(&slots, &fa.hook);
    uint64_t *names = malloc(ALL * sizeof *names);
    const ln_slot *first_slot = NULL;
    for (size_t i = 0; i < ALL; i++) {
        names[i] = add(&names[i]);
        if (i == 0)
            first_slot = ln_slots_peek(&slots, names[0]);
    }
    uint64_t name = 77;
    assert_int_equal(ln_slots_add(&slots, &name, &name), LN_ERR_LIMIT);
    assert_true(name == 77);
    assert_ptr_equal(ln_slots_peek(&slots, names[0]), first_slot); /* pages never move */
    for (size_t i = 0; i < ALL; i++)
        assert_ptr_equal(ln_slots_find(&slots, names[i]), &names[i]);

    ln_slots_remove(&slots, names[12345]);
    const uint64_t again = add(&name);
    assert_int_equal(index_of(again), index_of(names[12345]));
    assert_int_equal(ln_slots_add(&slots, &name, &name), LN_ERR_LIMIT);
    ln_slots_fini(&slots);
    failing_alloc_assert_empty(&fa);
    free(names);
}

static void iteration_gives_the_live_ones_even_while_they_are_removed(void **state)
{
    (void)state;
    enum { COUNT = 3000 };
    static struct {
        uint64_t name;
        int seen;
    } guests[COUNT], *guest;
    ln_slots_init(&slots, NULL);
    for (size_t i = 0; i < COUNT; i++) {
        guests[i].name = add(&guests[i]);
        guests[i].seen = 0;
    }
    for (size_t i = 0; i < COUNT; i += 3)
        ln_slots_remove(&slots, guests[i].name);

    uint32_t cursor = 0;
    while ((guest = ln_slots_next(&slots, &cursor)) != NULL) {
        guest->seen++;
        ln_slots_remove(&slots, guest->name);
    }
    for (size_t i = 0; i < COUNT; i++)
        assert_int_equal(guests[i].seen, i % 3 != 0);
    cursor = 0;
    assert_null(ln_slots_next(&slots, &cursor));
    ln_slots_fini(&slots);
}

static void what_is_pending_survives_a_change_of_occupant(void **state)
{
    (void)state;
    ln_slots_init(&slots, NULL);
    int value;
    const uint64_t first = add(&value);
    ln_slot *slot = ln_slots_peek(&slots, first);
    atomic_fetch_add(&slot->pending_bytes, 100);
    ln_slots_remove(&slots, first);
    for (int i = 0; i < LN_SLOTS_PAGE; i++)
        add(&value);
    assert_int_equal(slot->pending_bytes, 100); /* whoever added it takes it off */
    ln_slots_fini(&slots);
}

static int take_two_pages(const ln_allocator *alloc, void *user)
{
    (void)user;
    ln_slots_init(&slots, alloc);
    int rc = 0, value;
    uint64_t name = 0;
    for (int i = 0; i <= LN_SLOTS_PAGE && rc == 0; i++) {
        const uint64_t before = name;
        rc = ln_slots_add(&slots, &value, &name);
        assert_true(rc == 0 || name == before);
    }
    /* What was taken can be given back, and taken again, without memory. */
    if (slots.size > 0) {
        ln_slots_remove(&slots, name);
        assert_int_equal(ln_slots_add(&slots, &value, &name), 0);
    }
    ln_slots_fini(&slots);
    return rc;
}

static void out_of_memory_leaves_the_slots_as_they_were(void **state)
{
    (void)state;
    assert_int_equal(failing_alloc_sweep(take_two_pages, NULL), 4); /* a ring and a page, twice */
}

/* The newest name, for readers to try; and whether the owner has finished. */
typedef struct stage {
    _Atomic uint64_t newest;
    _Atomic bool is_over;
    _Atomic uint64_t hits, misses;
} stage;

/* A live slot's bytes may be added to at any time; what this thread added it takes off again. */
static void *try_the_newest(void *arg)
{
    stage *st = arg;
    while (!atomic_load(&st->is_over)) {
        ln_slot *slot = ln_slots_peek(&slots, atomic_load(&st->newest));
        if (!slot) {
            atomic_fetch_add(&st->misses, 1);
            continue;
        }
        atomic_fetch_add(&slot->pending_bytes, 7);
        atomic_fetch_sub(&slot->pending_bytes, 7);
        atomic_fetch_add(&st->hits, 1);
    }
    return NULL;
}

static void other_threads_may_ask_while_the_owner_adds_and_removes(void **state)
{
    (void)state;
    enum { READERS = 2, KEPT = 5 * LN_SLOTS_PAGE, ROUNDS = 5 };
    ln_slots_init(&slots, NULL);
    static stage st;
    static uint64_t names[KEPT];
    pthread_t readers[READERS];
    for (int i = 0; i < READERS; i++)
        assert_int_equal(pthread_create(&readers[i], NULL, try_the_newest, &st), 0);

    /* At least ROUNDS, and on until the readers have seen both answers. */
    for (int round = 0; round < ROUNDS || st.hits == 0 || st.misses == 0; round++) {
        for (size_t i = 0; i < KEPT; i++) {
            names[i] = add(&names[i]);
            atomic_store(&st.newest, names[i]);
        }
        for (size_t i = KEPT; i-- > 0;)
            ln_slots_remove(&slots, names[i]);
    }
    atomic_store(&st.is_over, true);
    for (int i = 0; i < READERS; i++)
        assert_int_equal(pthread_join(readers[i], NULL), 0);

    for (size_t i = 0; i < KEPT; i++)
        assert_int_equal(ln_slots_peek(&slots, add(&names[i]))->pending_bytes, 0);
    ln_slots_fini(&slots);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_name_finds_its_value_until_it_is_removed),
        cmocka_unit_test(a_retired_name_finds_nothing_but_keeps_its_slot),
        cmocka_unit_test(names_that_were_never_given_out_find_nothing),
        cmocka_unit_test(a_freed_slot_goes_to_the_back_of_the_queue_and_gets_a_new_name),
        cmocka_unit_test(a_generation_that_wraps_around_stays_odd),
        cmocka_unit_test(all_slots_can_be_taken_and_not_one_more),
        cmocka_unit_test(iteration_gives_the_live_ones_even_while_they_are_removed),
        cmocka_unit_test(what_is_pending_survives_a_change_of_occupant),
        cmocka_unit_test(out_of_memory_leaves_the_slots_as_they_were),
        cmocka_unit_test(other_threads_may_ask_while_the_owner_adds_and_removes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
