/* SPDX-License-Identifier: MIT */
#include <stdio.h>

#include "failing_alloc.h"

#include "base/text.h"
#include "dialect/rates.h"

static const uint64_t seed[2] = {0x5eed, 0x0ddba11};

static const ln_rates_options usual = {
    .address = {.messages = {.per_second = 10, .burst = 20}},
    .user = {.messages = {.per_second = 5, .burst = 8}},
};

static void start(ln_rates *r, const ln_rates_options *options)
{
    assert_int_equal(ln_rates_init(r, options, NULL, seed, 0), 0);
}

static ln_rates_key address_key(const ln_rates *r, const char *text)
{
    ln_address address;
    ln_rates_key key;
    assert_int_equal(ln_address_parse(ln_text(text), &address), 0);
    ln_rates_key_of_address(r, &address, &key);
    return key;
}

static ln_rates_key user_key(const ln_rates *r, const char *id)
{
    ln_rates_key key;
    ln_rates_key_of_user(r, ln_text(id), &key);
    return key;
}

/* How many messages pass at once. */
static unsigned drain(ln_rates *r, const ln_rates_key *address, const ln_rates_key *user,
                      size_t bytes, uint64_t now_ms)
{
    unsigned n = 0;
    while (n < 100000 && ln_rates_take(r, address, user, bytes, now_ms) == 0)
        n++;
    return n;
}

/* The ring and the map hold the same. */
static void assert_holds(const ln_rates *r)
{
    size_t count = 0;
    for (const ln_link *l = r->ring.next; l != &r->ring; l = l->next) {
        const ln_rates_entry *const e =
            LN_CONTAINER_OF((ln_link *)(uintptr_t)l, ln_rates_entry, age);
        assert_ptr_equal(ln_map_find(&r->map, (ln_span){e->key.bytes, sizeof e->key.bytes}), e);
        count++;
    }
    assert_int_equal(count, r->map.count);
    assert_true(count <= r->options.keys_max);
}

static void an_address_and_a_user_each_have_their_own(void **state)
{
    (void)state;
    ln_rates r;
    start(&r, &usual);
    const ln_rates_key here = address_key(&r, "192.0.2.1:1"),
                       there = address_key(&r, "192.0.2.2:1");
    const ln_rates_key ann = user_key(&r, "ann"), bob = user_key(&r, "bob");
    assert_int_equal(drain(&r, &here, NULL, 1, 0), 20);
    assert_int_equal(drain(&r, &there, &ann, 1, 0), 8);
    assert_int_equal(drain(&r, &there, &bob, 1, 0), 8);
    assert_int_equal(drain(&r, &there, NULL, 1, 0), 4); /* what both have left of the address */
    assert_int_equal(drain(&r, &here, NULL, 1, 1000), 10);
    assert_holds(&r);
    ln_rates_fini(&r);
}

static void a_refusal_spends_nothing_of_either(void **state)
{
    (void)state;
    ln_rates r;
    start(&r, &usual);
    const ln_rates_key here = address_key(&r, "192.0.2.1:1"), ann = user_key(&r, "ann");
    assert_int_equal(drain(&r, &here, &ann, 1, 0), 8);
    for (int i = 0; i < 100; i++)
        assert_true(ln_rates_take(&r, &here, &ann, 1, 0) > 0);
    assert_int_equal(drain(&r, &here, NULL, 1, 0), 12);
    ln_rates_fini(&r);
}

static void the_wait_is_the_first_moment_that_succeeds(void **state)
{
    (void)state;
    ln_rates r;
    ln_rates_options o = usual;
    o.address.kib = (ln_bucket_rate){.per_second = 3, .burst = 4};
    start(&r, &o);
    const ln_rates_key here = address_key(&r, "192.0.2.1:1"), ann = user_key(&r, "ann");
    uint64_t now_ms = 0;
    for (int i = 0; i < 200; i++) {
        const size_t bytes = (size_t)i * 37 % 3000;
        const uint64_t wait_ms = ln_rates_take(&r, &here, &ann, bytes, now_ms);
        if (wait_ms == 0)
            continue;
        assert_true(wait_ms < 60000);
        assert_true(ln_rates_take(&r, &here, &ann, bytes, now_ms + wait_ms - 1) > 0);
        now_ms += wait_ms;
        assert_int_equal(ln_rates_take(&r, &here, &ann, bytes, now_ms), 0);
    }
    assert_true(now_ms > 0);
    ln_rates_fini(&r);
}

static void small_bytes_add_up(void **state)
{
    (void)state;
    ln_rates r;
    const ln_rates_options o = {.address.kib = {.per_second = 1, .burst = 10}};
    start(&r, &o);
    const ln_rates_key here = address_key(&r, "192.0.2.1:1");
    assert_int_equal(drain(&r, &here, NULL, 100, 0), (11 * 1024 - 1) / 100);
    assert_int_equal(drain(&r, &here, NULL, 100, 10 * 1000),
                     (21 * 1024 - 1) / 100 - (11 * 1024 - 1) / 100); /* what was left counts */
    ln_rates_fini(&r);
}

/* It passes when the bucket is full, and empties it: nobody is shut out for good. */
static void a_message_larger_than_the_burst_takes_all_of_it(void **state)
{
    (void)state;
    ln_rates r;
    const ln_rates_options o = {.address.kib = {.per_second = 2, .burst = 10}};
    start(&r, &o);
    const ln_rates_key here = address_key(&r, "192.0.2.1:1");
    assert_int_equal(ln_rates_take(&r, &here, NULL, 1 << 20, 0), 0);
    assert_int_equal(ln_rates_take(&r, &here, NULL, 1 << 20, 0), 5000);
    assert_int_equal(ln_rates_take(&r, &here, NULL, 1 << 20, 4999), 1);
    assert_int_equal(ln_rates_take(&r, &here, NULL, SIZE_MAX, 5000), 0);
    ln_rates_fini(&r);
}

static void what_has_no_limit_is_not_counted(void **state)
{
    (void)state;
    ln_rates r;
    start(&r, &(ln_rates_options){0});
    const ln_rates_key here = address_key(&r, "192.0.2.1:1"), ann = user_key(&r, "ann");
    assert_int_equal(drain(&r, &here, &ann, SIZE_MAX, 0), 100000);
    assert_int_equal(r.map.count, 0);
    ln_rates_fini(&r);
}

static bool is_same(const ln_rates *r, const char *a, const char *b)
{
    const ln_rates_key x = address_key(r, a), y = address_key(r, b);
    return memcmp(&x, &y, sizeof x) == 0;
}

static void neighbours_share_a_prefix(void **state)
{
    (void)state;
    ln_rates r;
    start(&r, &usual);
    assert_true(is_same(&r, "192.0.2.1:1", "192.0.2.1:65535"));
    assert_false(is_same(&r, "192.0.2.1:1", "192.0.2.2:1"));
    assert_true(is_same(&r, "[2001:db8:1:2::1]:1", "[2001:db8:1:2:ffff:ffff:ffff:ffff]:9"));
    assert_false(is_same(&r, "[2001:db8:1:2::1]:1", "[2001:db8:1:3::1]:1"));
    assert_true(is_same(&r, "[::ffff:192.0.2.1]:1", "192.0.2.1:2")); /* a v4 peer of a v6 socket */
    assert_false(is_same(&r, "[::]:1", "0.0.0.0:1"));
    assert_true(is_same(&r, "unix:/a", "unix:@b"));
    assert_false(is_same(&r, "unix:/a", "0.0.0.0:1"));
    ln_rates_fini(&r);
    ln_rates_options o = usual;
    o.v4_bits = 22;
    o.v6_bits = 61;
    start(&r, &o);
    assert_true(is_same(&r, "192.0.0.1:1", "192.0.3.255:1"));
    assert_false(is_same(&r, "192.0.3.255:1", "192.0.4.0:1"));
    assert_true(is_same(&r, "[2001:db8:0:8::1]:1", "[2001:db8:0:f::1]:1"));
    assert_false(is_same(&r, "[2001:db8:0:8::1]:1", "[2001:db8:0:10::1]:1"));
    ln_rates_fini(&r);
}

static void users_are_told_apart_and_from_addresses(void **state)
{
    (void)state;
    ln_rates r;
    start(&r, &usual);
    static char long_id[8192];
    memset(long_id, 'a', sizeof long_id - 1);
    const ln_rates_key keys[] = {user_key(&r, ""),          user_key(&r, "a"),
                                 user_key(&r, "b"),         user_key(&r, long_id),
                                 user_key(&r, long_id + 1), address_key(&r, "0.0.0.0:1")};
    for (size_t i = 0; i < LN_ARRAY_SIZE(keys); i++)
        for (size_t j = 0; j < i; j++)
            assert_memory_not_equal(&keys[i], &keys[j], sizeof keys[i]);
    const ln_rates_key again = user_key(&r, "a");
    assert_memory_equal(&again, &keys[1], sizeof again);
    assert_memory_not_equal(keys[1].bytes + 1, keys[1].bytes + 9, 8); /* two hashes, not one */
    ln_rates_fini(&r);
}

static ln_rates_key numbered(const ln_rates *r, unsigned n)
{
    char text[32];
    snprintf(text, sizeof text, "10.%u.%u.%u:1", n >> 16 & 255, n >> 8 & 255, n & 255);
    return address_key(r, text);
}

static void the_table_is_bounded(void **state)
{
    (void)state;
    ln_rates r;
    ln_rates_options o = usual;
    o.keys_max = LN_RATES_KEYS_MAX + 1;
    assert_int_equal(ln_rates_init(&r, &o, NULL, seed, 0), LN_ERR_INVALID);
    failing_alloc fa;
    failing_alloc_init(&fa, FAILING_NEVER);
    assert_int_equal(ln_rates_init(&r, &usual, &fa.hook, seed, 0), 0);
    for (unsigned i = 0; i < LN_RATES_KEYS_MAX + 1000; i++) {
        const ln_rates_key key = numbered(&r, i);
        ln_rates_take(&r, &key, NULL, 1, 0);
    }
    assert_int_equal(r.map.count, LN_RATES_KEYS_MAX);
    assert_true(fa.live_bytes < 12 << 20);
    assert_int_equal(r.crowded_total, 1000);
    assert_holds(&r);
    ln_rates_fini(&r);
    failing_alloc_assert_empty(&fa);
}

static void newcomers_without_room_share_and_nobody_else_pays(void **state)
{
    (void)state;
    ln_rates r;
    ln_rates_options o = usual;
    o.keys_max = 8;
    start(&r, &o);
    ln_rates_key old[8];
    for (unsigned i = 0; i < 8; i++) {
        old[i] = numbered(&r, i);
        assert_int_equal(ln_rates_take(&r, &old[i], NULL, 1, 0), 0);
    }
    unsigned passed = 0;
    for (unsigned i = 100; i < 1100; i++) {
        const ln_rates_key key = numbered(&r, i);
        passed += ln_rates_take(&r, &key, NULL, 1, 1) == 0;
    }
    assert_int_equal(passed, 20); /* a thousand of them had one burst together */
    assert_int_equal(drain(&r, &old[3], NULL, 1, 1), 19);
    const ln_rates_key ann = user_key(&r, "ann"); /* users have a crowd of their own */
    assert_int_equal(drain(&r, &old[4], &ann, 1, 1), 8);
    assert_holds(&r);
    ln_rates_fini(&r);
}

static void a_rested_bucket_makes_room(void **state)
{
    (void)state;
    ln_rates r;
    ln_rates_options o = usual;
    o.keys_max = 4;
    start(&r, &o);
    for (unsigned i = 0; i < 4; i++) {
        const ln_rates_key key = numbered(&r, i);
        assert_int_equal(drain(&r, &key, NULL, 1, i), 20);
    }
    const ln_rates_key late = numbered(&r, 9);
    assert_int_equal(ln_rates_take(&r, &late, NULL, 1, 1999), 0);
    assert_int_equal(r.crowded_total, 1); /* the first is full again after 2 s, not before */
    assert_int_equal(ln_rates_take(&r, &late, NULL, 1, 2000), 0);
    assert_int_equal(r.crowded_total, 1);
    assert_int_equal(r.map.count, 4);
    const ln_rates_key second = numbered(&r, 1); /* which still has what it had */
    assert_true(ln_rates_take(&r, &second, NULL, 1, 1) > 0);
    assert_holds(&r);
    ln_rates_fini(&r);
}

/* The entry just used is not taken away for the other key of the same message. */
static void a_table_for_one_is_safe(void **state)
{
    (void)state;
    ln_rates r;
    ln_rates_options o = usual;
    o.keys_max = 1;
    start(&r, &o);
    for (uint64_t now_ms = 0; now_ms < 100000; now_ms += 777) {
        const ln_rates_key here = numbered(&r, (unsigned)now_ms);
        const ln_rates_key who = user_key(&r, now_ms % 2 ? "ann" : "bob");
        ln_rates_take(&r, &here, &who, 1, now_ms);
        assert_holds(&r);
    }
    ln_rates_fini(&r);
}

static void a_sweep_gives_memory_back(void **state)
{
    (void)state;
    failing_alloc fa;
    failing_alloc_init(&fa, FAILING_NEVER);
    ln_rates r;
    assert_int_equal(ln_rates_init(&r, &usual, &fa.hook, seed, 0), 0);
    for (unsigned i = 0; i < 1000; i++) {
        const ln_rates_key key = numbered(&r, i);
        assert_int_equal(ln_rates_take(&r, &key, NULL, 1, 0), 0);
    }
    assert_int_equal(ln_rates_sweep(&r, 99), 0);
    assert_int_equal(r.map.count, 1000);
    const ln_rates_key busy = numbered(&r, 500);
    assert_int_equal(ln_rates_take(&r, &busy, NULL, 1, 99), 0);
    assert_int_equal(ln_rates_sweep(&r, 100), 999);
    assert_int_equal(r.map.count, 1);
    assert_holds(&r);
    assert_int_equal(ln_rates_sweep(&r, 10000), 1);
    assert_int_equal(ln_rates_sweep(&r, 10000), 0);
    ln_rates_fini(&r);
    failing_alloc_assert_empty(&fa);
}

static void options_are_bounded(void **state)
{
    (void)state;
    ln_rates r;
    ln_rates_options bad[] = {usual, usual, usual, usual, usual};
    bad[0].v4_bits = 33;
    bad[1].v6_bits = 129;
    bad[2].address.messages.per_second = LN_BUCKET_RATE_MAX + 1;
    bad[3].user.kib = (ln_bucket_rate){.per_second = 1, .burst = LN_BUCKET_BURST_MAX + 1};
    bad[4].user.kib = (ln_bucket_rate){.per_second = 1}; /* a bucket that holds nothing */
    for (size_t i = 0; i < LN_ARRAY_SIZE(bad); i++)
        assert_int_equal(ln_rates_init(&r, &bad[i], NULL, seed, 0), LN_ERR_INVALID);
}

static void a_clock_that_jumps_back_gives_nothing(void **state)
{
    (void)state;
    ln_rates r;
    start(&r, &usual);
    const ln_rates_key here = address_key(&r, "192.0.2.1:1");
    assert_int_equal(drain(&r, &here, NULL, 1, 100000), 20);
    assert_int_equal(drain(&r, &here, NULL, 1, 0), 0);
    assert_int_equal(drain(&r, &here, NULL, 1, UINT64_MAX), 20);
    ln_rates_fini(&r);
}

static void without_memory_everybody_shares(void **state)
{
    (void)state;
    failing_alloc fa;
    failing_alloc_init(&fa, FAILING_NEVER);
    ln_rates r;
    assert_int_equal(ln_rates_init(&r, &usual, &fa.hook, seed, 0), 0);
    failing_alloc_refuse(&fa);
    unsigned passed = 0;
    for (unsigned i = 0; i < 100; i++) {
        const ln_rates_key key = numbered(&r, i);
        passed += ln_rates_take(&r, &key, NULL, 1, 0) == 0;
    }
    assert_int_equal(passed, 20);
    fa.mode = FAILING_ONCE;
    for (unsigned i = 0; i < 50; i++) { /* entry or map: each alone */
        fa.fail_at = fa.calls + i % 2;
        const ln_rates_key key = numbered(&r, 1000 + i);
        ln_rates_take(&r, &key, NULL, 1, 0);
        assert_holds(&r);
    }
    ln_rates_fini(&r);
    failing_alloc_assert_empty(&fa);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_address_and_a_user_each_have_their_own),
        cmocka_unit_test(a_refusal_spends_nothing_of_either),
        cmocka_unit_test(the_wait_is_the_first_moment_that_succeeds),
        cmocka_unit_test(small_bytes_add_up),
        cmocka_unit_test(a_message_larger_than_the_burst_takes_all_of_it),
        cmocka_unit_test(what_has_no_limit_is_not_counted),
        cmocka_unit_test(neighbours_share_a_prefix),
        cmocka_unit_test(users_are_told_apart_and_from_addresses),
        cmocka_unit_test(the_table_is_bounded),
        cmocka_unit_test(newcomers_without_room_share_and_nobody_else_pays),
        cmocka_unit_test(a_rested_bucket_makes_room),
        cmocka_unit_test(a_table_for_one_is_safe),
        cmocka_unit_test(a_sweep_gives_memory_back),
        cmocka_unit_test(options_are_bounded),
        cmocka_unit_test(a_clock_that_jumps_back_gives_nothing),
        cmocka_unit_test(without_memory_everybody_shares),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
