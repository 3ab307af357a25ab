/* SPDX-License-Identifier: MIT */
#include "failing_alloc.h"

#include "base/map.h"

static const uint64_t seed[2] = {0x5eed, 0x0ddba11};

typedef struct entry {
    uint32_t key;
    bool is_in;
} entry;

static ln_span key_of(const entry *e)
{
    return (ln_span){&e->key, sizeof e->key};
}

/* The invariants of map.h; that each entry is found is what the third amounts to. */
static void assert_holds(const ln_map *m)
{
    const size_t slots = m->slots ? m->mask + 1 : 0;
    size_t taken = 0;
    assert_true((slots & (slots - 1)) == 0);
    assert_true(m->count <= slots / 4 * 3);
    for (size_t i = 0; i < slots; i++) {
        if (!m->slots[i].value)
            continue;
        taken++;
        assert_ptr_equal(ln_map_find(m, m->slots[i].key), m->slots[i].value);
    }
    assert_int_equal(taken, m->count);
}

static void a_fresh_map_finds_nothing_and_owns_nothing(void **state)
{
    (void)state;
    failing_alloc fa;
    failing_alloc_init(&fa, FAILING_NEVER);
    ln_map m;
    ln_map_init(&m, &fa.hook, seed);
    size_t cursor = 0;
    assert_null(ln_map_find(&m, LN_SPAN("a")));
    assert_null(ln_map_remove(&m, LN_SPAN("a")));
    assert_null(ln_map_next(&m, &cursor));
    assert_true(fa.calls == 0);
    ln_map_fini(&m);
}

static void what_was_added_is_found_until_it_is_removed(void **state)
{
    (void)state;
    failing_alloc fa;
    failing_alloc_init(&fa, FAILING_NEVER);
    ln_map m;
    ln_map_init(&m, &fa.hook, seed);
    int one, two, nameless;
    assert_int_equal(ln_map_add(&m, LN_SPAN("one"), &one), 0);
    assert_int_equal(ln_map_add(&m, LN_SPAN("two"), &two), 0);
    assert_int_equal(ln_map_add(&m, LN_SPAN(""), &nameless), 0);
    assert_ptr_equal(ln_map_find(&m, LN_SPAN("one")), &one);
    assert_ptr_equal(ln_map_find(&m, LN_SPAN("two")), &two);
    assert_ptr_equal(ln_map_find(&m, (ln_span){NULL, 0}), &nameless);
    assert_null(ln_map_find(&m, LN_SPAN("on")));
    assert_null(ln_map_find(&m, LN_SPAN("one\0")));

    assert_ptr_equal(ln_map_remove(&m, LN_SPAN("one")), &one);
    assert_null(ln_map_remove(&m, LN_SPAN("one")));
    assert_null(ln_map_find(&m, LN_SPAN("one")));
    assert_ptr_equal(ln_map_find(&m, LN_SPAN("two")), &two);
    assert_int_equal(m.count, 2);
    ln_map_fini(&m);
    failing_alloc_assert_empty(&fa);
    assert_null(ln_map_find(&m, LN_SPAN("two")));
}

static void a_key_is_added_once(void **state)
{
    (void)state;
    ln_map m;
    ln_map_init(&m, NULL, seed);
    int first, second;
    assert_int_equal(ln_map_add(&m, LN_SPAN("key"), &first), 0);
    assert_int_equal(ln_map_add(&m, LN_SPAN("key"), &second), LN_ERR_EXISTS);
    assert_ptr_equal(ln_map_find(&m, LN_SPAN("key")), &first);
    assert_int_equal(m.count, 1);
    ln_map_fini(&m);
}

static void an_existing_key_does_not_make_a_full_table_grow(void **state)
{
    (void)state;
    ln_map m;
    ln_map_init(&m, NULL, seed);
    entry entries[6]; /* three quarters of the first eight slots */
    for (uint32_t i = 0; i < 6; i++) {
        entries[i] = (entry){.key = i};
        assert_int_equal(ln_map_add(&m, key_of(&entries[i]), &entries[i]), 0);
    }
    assert_int_equal(m.mask, 7);
    assert_int_equal(ln_map_add(&m, key_of(&entries[3]), &entries[0]), LN_ERR_EXISTS);
    assert_int_equal(m.mask, 7);
    entry seventh = {.key = 7};
    assert_int_equal(ln_map_add(&m, key_of(&seventh), &seventh), 0);
    assert_int_equal(m.mask, 15);
    ln_map_fini(&m);
}

static void iteration_gives_every_value_once(void **state)
{
    (void)state;
    enum { COUNT = 1000 };
    static entry entries[COUNT];
    ln_map m;
    ln_map_init(&m, NULL, seed);
    for (uint32_t i = 0; i < COUNT; i++) {
        entries[i] = (entry){.key = i};
        assert_int_equal(ln_map_add(&m, key_of(&entries[i]), &entries[i]), 0);
    }
    size_t cursor = 0, seen = 0;
    for (entry *e; (e = ln_map_next(&m, &cursor)) != NULL; seen++) {
        assert_false(e->is_in);
        e->is_in = true;
    }
    assert_int_equal(seen, COUNT);
    assert_null(ln_map_next(&m, &cursor));
    ln_map_fini(&m);
}

static uint32_t roll(uint32_t *random)
{
    *random ^= *random << 13;
    *random ^= *random >> 17;
    *random ^= *random << 5;
    return *random;
}

/* Many rounds over few keys: runs wrap around the end, and every kind of gap is closed. */
static void random_steps_agree_with_a_flat_array(void **state)
{
    (void)state;
    enum { KEYS = 100, STEPS = 50000 };
    entry model[KEYS];
    for (uint32_t i = 0; i < KEYS; i++)
        model[i] = (entry){.key = i * 2654435761u};
    ln_map m;
    ln_map_init(&m, NULL, seed);
    uint32_t random = 0xca11ab1e;
    size_t count = 0;
    for (int i = 0; i < STEPS; i++) {
        entry *e = &model[roll(&random) % KEYS];
        const uint32_t tide =
            (uint32_t)i / 500 % 4; /* mostly adding, then mostly removing: grows and shrinks */
        if (roll(&random) % 4 < tide) {
            assert_ptr_equal(ln_map_remove(&m, key_of(e)), e->is_in ? e : NULL);
            count -= e->is_in;
            e->is_in = false;
        } else {
            assert_int_equal(ln_map_add(&m, key_of(e), e), e->is_in ? LN_ERR_EXISTS : 0);
            count += !e->is_in;
            e->is_in = true;
        }
        const entry *other = &model[roll(&random) % KEYS];
        assert_ptr_equal(ln_map_find(&m, key_of(other)), other->is_in ? other : NULL);
        assert_int_equal(m.count, count);
        if (i % 16 == 0)
            assert_holds(&m);
    }
    ln_map_fini(&m);
}

static void a_million_entries_come_and_go(void **state)
{
    (void)state;
    enum { COUNT = 1000000 };
    failing_alloc fa;
    failing_alloc_init(&fa, FAILING_NEVER);
    entry *entries = malloc(COUNT * sizeof *entries);
    ln_map m;
    ln_map_init(&m, &fa.hook, seed);
    for (uint32_t i = 0; i < COUNT; i++) {
        entries[i] = (entry){.key = i};
        assert_int_equal(ln_map_add(&m, key_of(&entries[i]), &entries[i]), 0);
    }
    assert_int_equal(m.mask, (1 << 21) - 1);
    assert_holds(&m);

    for (uint32_t i = 0; i < COUNT; i += 2)
        assert_ptr_equal(ln_map_remove(&m, key_of(&entries[i])), &entries[i]);
    assert_int_equal(m.count, COUNT / 2);
    for (uint32_t i = 0; i < COUNT; i++)
        assert_ptr_equal(ln_map_find(&m, key_of(&entries[i])), i % 2 ? &entries[i] : NULL);
    for (uint32_t i = 1; i < COUNT; i += 2)
        assert_ptr_equal(ln_map_remove(&m, key_of(&entries[i])), &entries[i]);
    assert_int_equal(m.count, 0);
    assert_true(fa.live_blocks == 1 && fa.live_bytes == 8 * sizeof(ln_map_slot));
    ln_map_fini(&m);
    failing_alloc_assert_empty(&fa);
    free(entries);
}

static void it_halves_below_an_eighth_and_not_before(void **state)
{
    (void)state;
    enum { COUNT = 48 }; /* three quarters of 64 */
    entry entries[COUNT];
    ln_map m;
    ln_map_init(&m, NULL, seed);
    for (uint32_t i = 0; i < COUNT; i++) {
        entries[i] = (entry){.key = i};
        assert_int_equal(ln_map_add(&m, key_of(&entries[i]), &entries[i]), 0);
    }
    for (uint32_t i = COUNT; i > 8; i--)
        assert_non_null(ln_map_remove(&m, key_of(&entries[i - 1])));
    assert_int_equal(m.mask, 63);
    assert_non_null(ln_map_remove(&m, key_of(&entries[7])));
    assert_int_equal(m.mask, 31);
    assert_holds(&m);
    ln_map_fini(&m);
}

static void without_memory_it_does_not_shrink_but_still_removes(void **state)
{
    (void)state;
    enum { COUNT = 1000 };
    static entry entries[COUNT];
    failing_alloc fa;
    failing_alloc_init(&fa, FAILING_NEVER);
    ln_map m;
    ln_map_init(&m, &fa.hook, seed);
    for (uint32_t i = 0; i < COUNT; i++) {
        entries[i] = (entry){.key = i};
        assert_int_equal(ln_map_add(&m, key_of(&entries[i]), &entries[i]), 0);
    }
    failing_alloc_refuse(&fa);
    for (uint32_t i = 0; i + 1 < COUNT; i++)
        assert_ptr_equal(ln_map_remove(&m, key_of(&entries[i])), &entries[i]);
    assert_int_equal(m.mask, 2047);
    assert_true(fa.failures > 0);
    assert_holds(&m);
    ln_map_fini(&m);
    failing_alloc_assert_empty(&fa);
}

static int grow_and_shrink(const ln_allocator *alloc, void *user)
{
    (void)user;
    enum { COUNT = 100 };
    static entry entries[COUNT];
    ln_map m;
    ln_map_init(&m, alloc, seed);
    int rc = 0;
    for (uint32_t i = 0; i < COUNT && rc == 0; i++) {
        entries[i] = (entry){.key = i};
        rc = ln_map_add(&m, key_of(&entries[i]), &entries[i]);
        assert_int_equal(m.count, rc == 0 ? i + 1 : i);
        assert_holds(&m);
    }
    for (uint32_t i = 0; m.count > 0; i++)
        assert_ptr_equal(ln_map_remove(&m, key_of(&entries[i])), &entries[i]);
    ln_map_fini(&m);
    return rc;
}

static void out_of_memory_leaves_the_map_as_it_was(void **state)
{
    (void)state;
    /* 8, 16, 32, 64, 128, 256 slots and back to 8 */
    assert_int_equal(failing_alloc_sweep(grow_and_shrink, NULL), 6 + 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_fresh_map_finds_nothing_and_owns_nothing),
        cmocka_unit_test(what_was_added_is_found_until_it_is_removed),
        cmocka_unit_test(a_key_is_added_once),
        cmocka_unit_test(an_existing_key_does_not_make_a_full_table_grow),
        cmocka_unit_test(iteration_gives_every_value_once),
        cmocka_unit_test(random_steps_agree_with_a_flat_array),
        cmocka_unit_test(a_million_entries_come_and_go),
        cmocka_unit_test(it_halves_below_an_eighth_and_not_before),
        cmocka_unit_test(without_memory_it_does_not_shrink_but_still_removes),
        cmocka_unit_test(out_of_memory_leaves_the_map_as_it_was),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
