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

/* The table that stands at `place`. */
static const ln_map_table *table_at(const ln_map *m, size_t place)
{
    return m->depth > 0 ? m->tables[place] : m->only;
}

/* The entries of one table; that each is found is what the fourth invariant amounts to. */
static size_t assert_table_holds(const ln_map *m, const ln_map_table *t, size_t place)
{
    size_t taken = 0;
    assert_true(t->count <= ((size_t)m->mask + 1) / 4 * 3);
    for (size_t i = 0; i <= m->mask; i++) {
        const ln_map_slot *slot = &t->slots[i];
        if (!slot->value)
            continue;
        taken++;
        assert_ptr_equal(ln_map_find(m, slot->key), slot->value);
        if (t->depth > 0)
            assert_int_equal(slot->hash >> (64 - t->depth), place >> (m->depth - t->depth));
    }
    assert_int_equal(taken, t->count);
    return taken;
}

/* The invariants of map.h. */
static void assert_holds(const ln_map *m)
{
    const size_t slots = (size_t)m->mask + 1;
    size_t taken = 0;
    if (!m->only && m->depth == 0) {
        assert_int_equal(m->count, 0);
        return;
    }
    assert_true((slots & (slots - 1)) == 0 && slots <= LN_MAP_TABLE_SLOTS);
    assert_true(m->depth == 0 || slots == LN_MAP_TABLE_SLOTS);
    for (size_t place = 0; place < (size_t)1 << m->depth;) {
        const ln_map_table *t = table_at(m, place);
        const size_t span = (size_t)1 << (m->depth - t->depth);
        assert_int_equal(place % span, 0);
        for (size_t i = 0; i < span; i++)
            assert_ptr_equal(table_at(m, place + i), t);
        taken += assert_table_holds(m, t, place);
        place += span;
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
    enum { COUNT = 5000 }; /* several tables */
    static entry entries[COUNT];
    ln_map m;
    ln_map_init(&m, NULL, seed);
    for (uint32_t i = 0; i < COUNT; i++) {
        entries[i] = (entry){.key = i};
        assert_int_equal(ln_map_add(&m, key_of(&entries[i]), &entries[i]), 0);
    }
    assert_true(m.depth > 1);
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
    assert_int_equal(m.depth, 11); /* 2,048 tables, half full */
    assert_holds(&m);

    for (uint32_t i = 0; i < COUNT; i += 2)
        assert_ptr_equal(ln_map_remove(&m, key_of(&entries[i])), &entries[i]);
    assert_int_equal(m.count, COUNT / 2);
    for (uint32_t i = 0; i < COUNT; i++)
        assert_ptr_equal(ln_map_find(&m, key_of(&entries[i])), i % 2 ? &entries[i] : NULL);
    for (uint32_t i = 1; i < COUNT; i += 2)
        assert_ptr_equal(ln_map_remove(&m, key_of(&entries[i])), &entries[i]);
    assert_int_equal(m.count, 0);
    assert_true(fa.live_blocks == 1);
    assert_true(fa.live_bytes == sizeof(ln_map_table) + 8 * sizeof(ln_map_slot));
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
    enum { COUNT = 700 }; /* one table */
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
    assert_int_equal(m.mask, 1023);
    assert_true(fa.failures > 0);
    assert_holds(&m);
    ln_map_fini(&m);
    failing_alloc_assert_empty(&fa);
}

enum { SWEPT = 2000 }; /* some splits */

static int grow_and_shrink(const ln_allocator *alloc, void *user)
{
    (void)user;
    static entry entries[SWEPT];
    ln_map m;
    ln_map_init(&m, alloc, seed);
    int rc = 0;
    uint32_t i = 0;
    for (; i < SWEPT && rc == 0; i++) {
        entries[i] = (entry){.key = i};
        rc = ln_map_add(&m, key_of(&entries[i]), &entries[i]);
        assert_int_equal(m.count, rc == 0 ? i + 1 : i);
    }
    assert_holds(&m);
    if (rc < 0) { /* the same once more, when there is memory */
        const int again = ln_map_add(&m, key_of(&entries[i - 1]), &entries[i - 1]);
        assert_int_equal(m.count, again == 0 ? i : i - 1);
        assert_holds(&m);
    }
    for (i = 0; m.count > 0; i++) {
        assert_ptr_equal(ln_map_remove(&m, key_of(&entries[i])), &entries[i]);
        if (i % 128 == 0)
            assert_holds(&m);
    }
    ln_map_fini(&m);
    return rc;
}

static void out_of_memory_leaves_the_map_as_it_was(void **state)
{
    (void)state;
    /* 8 to 1,024 slots and back; between them two, three or four tables and their places */
    assert_in_range(failing_alloc_sweep(grow_and_shrink, NULL), 8 + 2 + 7, 8 + 6 + 7);
}

static void no_memory_is_needed_to_merge(void **state)
{
    (void)state;
    enum { COUNT = 20000 };
    static entry entries[COUNT];
    failing_alloc fa;
    failing_alloc_init(&fa, FAILING_NEVER);
    ln_map m;
    ln_map_init(&m, &fa.hook, seed);
    for (uint32_t i = 0; i < COUNT; i++) {
        entries[i] = (entry){.key = i};
        assert_int_equal(ln_map_add(&m, key_of(&entries[i]), &entries[i]), 0);
    }
    const size_t blocks = fa.live_blocks;
    failing_alloc_refuse(&fa);
    for (uint32_t i = 0; i < COUNT; i++)
        assert_non_null(ln_map_remove(&m, key_of(&entries[i])));
    assert_true(blocks > 16 && fa.live_blocks == 1 && m.depth == 0);
    ln_map_fini(&m);
    failing_alloc_assert_empty(&fa);
}

/* -- Growing without a pause, and hostile keys ------------------------------------------------- */

/* The most memory that one call asked for. */
typedef struct meter {
    ln_allocator hook;
    size_t in_call, most;
} meter;

static void *metered(void *user, void *old, size_t size)
{
    meter *me = user;
    me->in_call += size;
    me->most = me->in_call > me->most ? me->in_call : me->most;
    if (size > 0)
        return realloc(old, size);
    free(old);
    return NULL;
}

static void no_call_moves_more_than_a_table(void **state)
{
    (void)state;
    enum { COUNT = 300000 };
    entry *entries = malloc(COUNT * sizeof *entries);
    meter me = {.hook = {.resize = metered, .user = &me}};
    ln_map m;
    ln_map_init(&m, &me.hook, seed);
    for (uint32_t i = 0; i < COUNT; i++) {
        entries[i] = (entry){.key = i};
        me.in_call = 0;
        assert_int_equal(ln_map_add(&m, key_of(&entries[i]), &entries[i]), 0);
    }
    /* a table of 32 KiB, and now and then the places of all tables, 8 bytes each */
    assert_true(me.most < 2 * LN_MAP_TABLE_SLOTS * sizeof(ln_map_slot));
    for (uint32_t i = 0; i < COUNT; i++) {
        me.in_call = 0;
        assert_non_null(ln_map_remove(&m, key_of(&entries[i])));
    }
    assert_true(me.most < 2 * LN_MAP_TABLE_SLOTS * sizeof(ln_map_slot));
    ln_map_fini(&m);
    free(entries);
}

/* Slots that finding all keys once looks at, beyond the first. */
static size_t detours(const ln_map *m)
{
    size_t sum = 0;
    for (size_t place = 0; place < (size_t)1 << m->depth;) {
        const ln_map_table *t = table_at(m, place);
        for (size_t i = 0; i <= m->mask; i++)
            if (t->slots[i].value)
                sum += (i - t->slots[i].hash) & m->mask;
        place += (size_t)1 << (m->depth - t->depth);
    }
    return sum;
}

enum { CRAFTED = 1 << 17, CRAFTED_BYTES = 34 };

static size_t detours_of(const char *keys)
{
    ln_map m;
    ln_map_init(&m, NULL, seed);
    for (size_t i = 0; i < CRAFTED; i++) {
        const char *key = keys + i * CRAFTED_BYTES;
        assert_int_equal(ln_map_add(&m, (ln_span){key, CRAFTED_BYTES}, (void *)(uintptr_t)key), 0);
    }
    const size_t sum = detours(&m);
    ln_map_fini(&m);
    return sum;
}

/* Counted, not timed: what bench/hub_names times. */
static void keys_that_collide_elsewhere_take_no_longer_ways(void **state)
{
    (void)state;
    uint32_t random = 0xca11ab1e, djb2 = 0;
    char *keys = malloc((size_t)CRAFTED * CRAFTED_BYTES);
    for (size_t i = 0; i < (size_t)CRAFTED * CRAFTED_BYTES; i++)
        keys[i] = (char)('a' + roll(&random) % 26);
    const size_t usual = detours_of(keys);

    for (size_t i = 0; i < CRAFTED; i++) {
        uint32_t hash = 5381;
        for (size_t at = 0; at < CRAFTED_BYTES; at += 2)
            memcpy(keys + i * CRAFTED_BYTES + at, i >> at / 2 & 1 ? "Ab" : "BA", 2);
        for (size_t at = 0; at < CRAFTED_BYTES; at++)
            hash = hash * 33 + (uint8_t)keys[i * CRAFTED_BYTES + at];
        assert_true(i == 0 || hash == djb2); /* a weak hash would put all into one slot */
        djb2 = hash;
    }
    assert_in_range(detours_of(keys), usual / 10 * 9, usual / 10 * 11);

    memset(keys, 0, (size_t)CRAFTED * CRAFTED_BYTES); /* differ in the high bits of a word only */
    for (size_t i = 0; i < CRAFTED; i++) {
        keys[i * CRAFTED_BYTES + 29] = (char)(i >> 16);
        keys[i * CRAFTED_BYTES + 30] = (char)(i >> 8);
        keys[i * CRAFTED_BYTES + 31] = (char)i;
    }
    assert_in_range(detours_of(keys), usual / 10 * 9, usual / 10 * 11);
    free(keys);
}

static bool is_key(ln_span key, ln_span arg)
{
    return key.size == arg.size && memcmp(key.data, arg.data, arg.size) == 0;
}

static bool is_any(ln_span key, ln_span arg)
{
    (void)key;
    (void)arg;
    return true;
}

static void a_hash_of_the_callers_may_be_shared_by_different_keys(void **state)
{
    (void)state;
    ln_map m;
    ln_map_init(&m, NULL, seed);
    int one, two;
    assert_null(ln_map_find_hashed(&m, 7, is_any, LN_SPAN("")));
    assert_int_equal(ln_map_add_hashed(&m, 7, LN_SPAN("one"), &one), 0);
    assert_int_equal(ln_map_add_hashed(&m, 7, LN_SPAN("two"), &two), 0);
    assert_int_equal(ln_map_add_hashed(&m, 7, LN_SPAN("two"), &two), LN_ERR_EXISTS);
    assert_ptr_equal(ln_map_find_hashed(&m, 7, is_key, LN_SPAN("one")), &one);
    assert_ptr_equal(ln_map_find_hashed(&m, 7, is_key, LN_SPAN("two")), &two);
    assert_null(ln_map_find_hashed(&m, 7, is_key, LN_SPAN("three")));
    assert_null(ln_map_find_hashed(&m, 15, is_any, LN_SPAN("one"))); /* the same slot */
    assert_null(ln_map_remove_hashed(&m, 15, LN_SPAN("one")));
    assert_ptr_equal(ln_map_remove_hashed(&m, 7, LN_SPAN("one")), &one);
    assert_ptr_equal(ln_map_find_hashed(&m, 7, is_any, LN_SPAN("")), &two);
    ln_map_fini(&m);
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
        cmocka_unit_test(no_memory_is_needed_to_merge),
        cmocka_unit_test(no_call_moves_more_than_a_table),
        cmocka_unit_test(keys_that_collide_elsewhere_take_no_longer_ways),
        cmocka_unit_test(a_hash_of_the_callers_may_be_shared_by_different_keys),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
