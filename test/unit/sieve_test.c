/* SPDX-License-Identifier: MIT */
#include "failing_alloc.h"

#include <stdio.h>

#include "hub/sieve.h"
#include "linear_time.h"

static const uint64_t seed[2] = {0x5eed, 0x0ddba11};
static failing_alloc fa;

static ln_span span(const char *z)
{
    return (ln_span){z, strlen(z)};
}

static void with_sieve(ln_sieve *s)
{
    failing_alloc_init(&fa, FAILING_NEVER);
    ln_sieve_init(s, &fa.hook, seed);
}

/* Insists that only the least tables of two maps are left. */
static void done(ln_sieve *s)
{
    assert_true(ln_sieve_is_empty(s) && s->rare == 0);
    assert_in_range(fa.live_bytes, 0, 2 * (sizeof(ln_map_table) + 8 * sizeof(ln_map_slot)));
    ln_sieve_fini(s);
    failing_alloc_assert_empty(&fa);
}

/* The values are the texts. */
static void add(ln_sieve *s, const char *filter)
{
    assert_int_equal(ln_sieve_add(s, span(filter), (void *)(uintptr_t)filter), 0);
}

static bool has_found(const ln_sieve *s, size_t count, const char *filter)
{
    size_t seen = 0;
    for (size_t i = 0; i < count; i++)
        seen += s->found[i] == filter;
    assert_in_range(seen, 0, 1);
    return seen == 1;
}

static void it_finds_what_matches(void **state)
{
    (void)state;
    static const char *const filters[] = {"a.*", "*.b", "*.*", "a.>", ">", "*", "a.*.c", "b.>"};
    ln_sieve s;
    with_sieve(&s);
    assert_int_equal(ln_sieve_match(&s, LN_SPAN("a.b")), 0);
    for (size_t i = 0; i < LN_ARRAY_SIZE(filters); i++)
        add(&s, filters[i]);
    assert_int_equal(ln_sieve_match(&s, LN_SPAN("a.b")), 5);
    for (size_t i = 0; i < LN_ARRAY_SIZE(filters); i++)
        assert_int_equal(has_found(&s, 5, filters[i]), i < 5);
    assert_int_equal(ln_sieve_match(&s, LN_SPAN("a")), 2);
    assert_int_equal(ln_sieve_match(&s, LN_SPAN("a.b.c")), 3);
    assert_int_equal(ln_sieve_match(&s, LN_SPAN("$a.b")), 0);
    for (size_t i = 0; i < LN_ARRAY_SIZE(filters); i++)
        ln_sieve_remove(&s, span(filters[i]));
    done(&s);
}

static void bad_filters_are_refused(void **state)
{
    (void)state;
    char deep[2 * LN_FILTER_LEVELS_MAX + 2] = "*";
    ln_sieve s;
    with_sieve(&s);
    for (int i = 0; i < LN_FILTER_LEVELS_MAX; i++)
        strcat(deep, ".a");
    assert_int_equal(ln_sieve_add(&s, LN_SPAN("a..*"), &s), LN_ERR_INVALID);
    assert_int_equal(ln_sieve_add(&s, span(deep), &s), LN_ERR_LIMIT);
    deep[2 * LN_FILTER_LEVELS_MAX - 1] = '\0';
    add(&s, deep);
    deep[0] = 'z'; /* the longest name that it matches */
    assert_int_equal(ln_sieve_match(&s, span(deep)), 1);
    deep[0] = '*';
    ln_sieve_remove(&s, span(deep));
    done(&s);
}

static void names_longer_than_any_filter_are_matched_by_their_beginning(void **state)
{
    (void)state;
    char name[256] = "a";
    char filter[2 * LN_FILTER_LEVELS_MAX] = "*";
    ln_sieve s;
    with_sieve(&s);
    for (int i = 1; i < 100; i++)
        strcat(name, ".a");
    for (int i = 1; i + 1 < LN_FILTER_LEVELS_MAX; i++)
        strcat(filter, i % 2 ? ".a" : ".*");
    strcat(filter, ".>");
    add(&s, filter);
    add(&s, ">");
    assert_int_equal(ln_sieve_match(&s, span(name)), 2);
    name[2 * LN_FILTER_LEVELS_MAX - 1] = '\0'; /* as many tokens */
    assert_int_equal(ln_sieve_match(&s, span(name)), 2);
    name[2 * LN_FILTER_LEVELS_MAX - 3] = '\0'; /* nothing left for `>` */
    assert_int_equal(ln_sieve_match(&s, span(name)), 1);
    ln_sieve_remove(&s, span(filter));
    ln_sieve_remove(&s, LN_SPAN(">"));
    done(&s);
}

static void matching_needs_no_memory(void **state)
{
    (void)state;
    static const char *const filters[] = {"*", ">", "a.*", "*.b", "*.*", "a.>", "*.>"};
    ln_sieve s;
    with_sieve(&s);
    for (size_t i = 0; i < LN_ARRAY_SIZE(filters); i++)
        add(&s, filters[i]);
    const size_t calls = fa.calls;
    assert_int_equal(ln_sieve_match(&s, LN_SPAN("a.b")), 6);
    assert_true(fa.calls == calls);
    failing_alloc_refuse(&fa);
    for (size_t i = 0; i < LN_ARRAY_SIZE(filters); i++)
        ln_sieve_remove(&s, span(filters[i]));
    assert_true(ln_sieve_is_empty(&s));
    ln_sieve_fini(&s);
    failing_alloc_assert_empty(&fa);
}

/* Filter number `n` below 2^bits: `*` where n has a bit, then a token. */
static void write_shape(unsigned n, unsigned bits, const char *last, char *out)
{
    out[0] = '\0';
    for (unsigned bit = 0; bit < bits; bit++)
        strcat(out, n >> bit & 1 ? "*." : "a.");
    strcat(out, last);
}

static unsigned bits_of(unsigned n)
{
    unsigned bits = 0;
    for (; n != 0; n &= n - 1)
        bits++;
    return bits;
}

static void odd_shapes_are_bounded_and_keep_no_ordinary_ones_out(void **state)
{
    (void)state;
    enum { BITS = 15, TEXT = 2 * BITS + 2 };
    char *texts = malloc((size_t)TEXT << BITS);
    unsigned added = 0, refused = 0;
    ln_sieve s;
    with_sieve(&s);
    for (unsigned n = 1; n < 1U << BITS; n++) {
        char *text = texts + (size_t)n * TEXT;
        write_shape(n, BITS, "z", text);
        const int rc = ln_sieve_add(&s, span(text), text);
        const bool is_rare = bits_of(n) > LN_SIEVE_PLAIN_STARS;
        const bool has_room = !is_rare || added < LN_SIEVE_RARE_MAX;
        assert_int_equal(rc, has_room ? 0 : LN_ERR_LIMIT);
        added += is_rare && rc == 0;
        refused += rc != 0;
        if (rc < 0)
            text[0] = '\0';
    }
    assert_int_equal(added, LN_SIEVE_RARE_MAX);
    assert_true(refused > 0);
    /* every one that got in is found; a shape that is there takes more filters */
    write_shape(0, BITS, "z", texts);
    assert_int_equal(ln_sieve_match(&s, span(texts)), s.filters.count);
    texts[strlen(texts) - 1] = 'y';
    assert_int_equal(ln_sieve_match(&s, span(texts)), 0);
    write_shape(7, BITS, "y", texts);
    add(&s, texts);
    ln_sieve_remove(&s, span(texts));
    for (unsigned n = 1; n < 1U << BITS; n++)
        if (texts[(size_t)n * TEXT] != '\0')
            ln_sieve_remove(&s, span(texts + (size_t)n * TEXT));
    done(&s);
    free(texts);
}

/* -- In time ----------------------------------------------------------------------------------- */

enum {
    MANY_MASKS = 8000,
    MANY_WORDS = 13,
    MANY = MANY_MASKS * MANY_WORDS,
    MANY_TEXT = 80,
    MANY_NAMES = 300,
    MANY_ROUNDS = 3,
    P99_MAX_NS = LN_SANITIZED ? 40000000 : 4000000 /* 0.2 to 0.5 ms are usual */
};

/* 30 tokens, `*` and "a" as chance has it but never the same twice, one of 13 words, and anything. */
static void write_one_of_many(unsigned i, char *out)
{
    const uint32_t mask = (i % MANY_MASKS + 1) * UINT32_C(0x9E3779B1) & 0x3fffffff;
    for (unsigned level = 0; level < LN_FILTER_LEVELS_MAX - 2; level++)
        out += sprintf(out, "%s.", mask >> level & 1 ? "*" : "a");
    sprintf(out, "word%u.%s", i / MANY_MASKS, i / MANY_MASKS % 2 ? ">" : "*");
}

static int by_time(const void *a, const void *b)
{
    const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

/* How many match a name that follows them all until the last token but one. */
static size_t match_one_of_many(ln_sieve *s, unsigned i, const char *word)
{
    char name[MANY_TEXT], *at = name;
    for (unsigned level = 0; level < LN_FILTER_LEVELS_MAX - 2; level++)
        at += sprintf(at, "%s.", level == i % 64 ? "b" : "a");
    sprintf(at, "%s.x", word);
    return ln_sieve_match(s, span(name));
}

/* Of names that ask every shape to the end, and match nothing. */
static uint64_t p99_of_matching(ln_sieve *s)
{
    uint64_t times[MANY_NAMES];
    for (unsigned i = 0; i < MANY_NAMES * MANY_ROUNDS; i++) {
        const uint64_t begin = linear_time_now_ns();
        assert_int_equal(match_one_of_many(s, i % MANY_NAMES, "none"), 0);
        const uint64_t passed = linear_time_now_ns() - begin;
        uint64_t *best = &times[i % MANY_NAMES];
        *best = i < MANY_NAMES || passed < *best ? passed : *best;
    }
    qsort(times, MANY_NAMES, sizeof *times, by_time);
    return times[MANY_NAMES * 99 / 100];
}

static void a_hundred_thousand_filters_of_32_levels_make_no_name_dear(void **state)
{
    (void)state;
    char *texts = malloc((size_t)MANY * MANY_TEXT);
    ln_sieve s;
    with_sieve(&s);
    for (unsigned i = 0; i < MANY; i++) {
        write_one_of_many(i, texts + (size_t)i * MANY_TEXT);
        add(&s, texts + (size_t)i * MANY_TEXT);
    }
    assert_int_equal(match_one_of_many(&s, 63, "word3"), MANY_MASKS);
    const uint64_t p99 = p99_of_matching(&s);
    if (p99 > P99_MAX_NS)
        fail_msg("%llu ns", (unsigned long long)p99);
    for (unsigned i = 0; i < MANY; i++)
        ln_sieve_remove(&s, span(texts + (size_t)i * MANY_TEXT));
    done(&s);
    free(texts);
}

/* -- Against one by one ------------------------------------------------------------------------ */

enum { POOL = 400, STEPS = 20000, LEVELS = 5, TEXT_MAX = 4 * LN_FILTER_LEVELS_MAX };

static uint32_t chance = 0xca11ab1e;

static unsigned pick(unsigned n)
{
    chance ^= chance << 13;
    chance ^= chance >> 17;
    chance ^= chance << 5;
    return (chance >> 3) % n;
}

/* A few tokens of few letters, so that much matches; `wild` of them in ten are wildcards. */
static void write_random(char *out, unsigned wild)
{
    static const char *const tokens[] = {"a", "b", "$", "", "a*", ">b"};
    const unsigned levels = pick(20) == 0 ? 28 + pick(8) : 1 + pick(LEVELS);
    out[0] = '\0';
    for (unsigned level = 0; level < levels; level++) {
        if (level > 0)
            strcat(out, ".");
        if (pick(10) < wild)
            strcat(out, level + 1 == levels && pick(2) ? ">" : "*");
        else
            strcat(out, tokens[pick(wild > 0 || pick(8) ? 2 : 6)]);
    }
}

static void random_filters_match_as_one_by_one(void **state)
{
    (void)state;
    static char pool[POOL][TEXT_MAX];
    static bool is_in[POOL];
    size_t matches = 0;
    ln_sieve s;
    with_sieve(&s);
    for (unsigned i = 0; i < POOL; i++) {
        bool is_new;
        do {
            write_random(pool[i], 1 + pick(9));
            is_new = ln_filter_is(span(pool[i])) && ln_filter_check(span(pool[i])) == 0;
            for (unsigned k = 0; k < i; k++)
                is_new = is_new && strcmp(pool[i], pool[k]) != 0;
        } while (!is_new);
    }
    for (int step = 0; step < STEPS; step++) {
        const unsigned i = pick(POOL);
        if (pick(2) && step / 1000 % 2 == is_in[i]) { /* tides */
            if (is_in[i])
                ln_sieve_remove(&s, span(pool[i]));
            else
                add(&s, pool[i]);
            is_in[i] = !is_in[i];
        }
        char name[TEXT_MAX];
        do
            write_random(name, 0);
        while (name[0] == '\0');
        const size_t count = ln_sieve_match(&s, span(name));
        size_t expected = 0;
        for (unsigned k = 0; k < POOL; k++) {
            const bool is = is_in[k] && ln_filter_matches(span(pool[k]), span(name));
            if (is != has_found(&s, count, pool[k]))
                fail_msg("%s and %s", pool[k], name);
            expected += is;
        }
        assert_int_equal(count, expected);
        matches += count;
    }
    assert_true(matches > STEPS);
    for (unsigned i = 0; i < POOL; i++)
        if (is_in[i])
            ln_sieve_remove(&s, span(pool[i]));
    done(&s);
}

static void many_filters_of_one_shape_come_and_go(void **state)
{
    (void)state;
    enum { COUNT = 70000, TEXT = 16 }; /* some marks are shared by thousands */
    char(*texts)[TEXT] = malloc(COUNT * sizeof *texts);
    ln_sieve s;
    with_sieve(&s);
    for (unsigned i = 0; i < COUNT; i++) {
        snprintf(texts[i], TEXT, "*.%u", i);
        add(&s, texts[i]);
    }
    assert_int_equal(s.shapes.count, 1);
    for (unsigned i = 0; i < COUNT; i++) {
        char name[TEXT + 1];
        snprintf(name, sizeof name, "x.%u", i);
        assert_int_equal(ln_sieve_match(&s, span(name)), 1);
        assert_ptr_equal(s.found[0], texts[i]);
        ln_sieve_remove(&s, span(texts[i]));
        assert_int_equal(ln_sieve_match(&s, span(name)), 0);
    }
    done(&s);
    free(texts);
}

static int one_life(const ln_allocator *alloc, void *user)
{
    static const char *const filters[] = {"*", "a.*", "b.*", "a.>", "*.*.*.*", "*.*.*", "c.*", ">"};
    bool is_in[LN_ARRAY_SIZE(filters)];
    int result = 0;
    ln_sieve s;
    (void)user;
    ln_sieve_init(&s, alloc, seed);
    for (size_t i = 0; i < LN_ARRAY_SIZE(filters); i++) {
        const size_t shapes = s.shapes.count;
        const int rc = ln_sieve_add(&s, span(filters[i]), (void *)(uintptr_t)filters[i]);
        is_in[i] = rc == 0;
        assert_true(rc == 0 || s.shapes.count == shapes);
        result = rc < 0 ? rc : result;
    }
    assert_int_equal(ln_sieve_match(&s, LN_SPAN("a.x")), is_in[1] + is_in[3] + is_in[7]);
    for (size_t i = 0; i < LN_ARRAY_SIZE(filters); i++)
        if (is_in[i])
            ln_sieve_remove(&s, span(filters[i]));
    ln_sieve_fini(&s);
    return result;
}

static void out_of_memory_leaves_it_as_it_was(void **state)
{
    (void)state;
    assert_true(failing_alloc_sweep(one_life, NULL) > 15);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_finds_what_matches),
        cmocka_unit_test(bad_filters_are_refused),
        cmocka_unit_test(names_longer_than_any_filter_are_matched_by_their_beginning),
        cmocka_unit_test(matching_needs_no_memory),
        cmocka_unit_test(odd_shapes_are_bounded_and_keep_no_ordinary_ones_out),
        cmocka_unit_test(a_hundred_thousand_filters_of_32_levels_make_no_name_dear),
        cmocka_unit_test(random_filters_match_as_one_by_one),
        cmocka_unit_test(many_filters_of_one_shape_come_and_go),
        cmocka_unit_test(out_of_memory_leaves_it_as_it_was),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
