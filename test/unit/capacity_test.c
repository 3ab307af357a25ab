/* SPDX-License-Identifier: MIT */
#include "failing_alloc.h"

#include "dialect/capacity.h"
#include "net/thread.h"

static const uint64_t seed[2] = {1, 2};
static failing_alloc fa;

#define UNTOUCHED ((ln_capacity_obstacle)77)

static ln_capacity *with_bounds(uint32_t topics, uint32_t per_topic, uint64_t all)
{
    failing_alloc_init(&fa, FAILING_NEVER);
    ln_capacity *c = ln_capacity_new(
        &fa.hook, &(ln_capacity_bounds){.topics = topics, .per_topic = per_topic, .all = all},
        seed);
    assert_non_null(c);
    return c;
}

static void done(ln_capacity *c)
{
    assert_true(ln_capacity_total(c) == 0);
    ln_capacity_free(c);
    failing_alloc_assert_empty(&fa);
}

static void take(ln_capacity *c, ln_span topic)
{
    ln_capacity_obstacle why = UNTOUCHED;
    assert_int_equal(ln_capacity_take(c, topic, &why), 0);
    assert_int_equal(why, UNTOUCHED);
}

static void assert_full(ln_capacity *c, ln_span topic, ln_capacity_obstacle expected)
{
    ln_capacity_obstacle why = UNTOUCHED;
    assert_int_equal(ln_capacity_take(c, topic, &why), LN_ERR_LIMIT);
    assert_int_equal(why, expected);
}

static void a_topic_is_full_at_its_bound_and_all_at_theirs(void **state)
{
    (void)state;
    ln_capacity *c = with_bounds(0, 2, 3);
    take(c, LN_SPAN("a"));
    take(c, LN_SPAN("a"));
    assert_full(c, LN_SPAN("a"), LN_CAPACITY_TOPIC_FULL);
    take(c, LN_SPAN("b"));
    assert_full(c, LN_SPAN("b"), LN_CAPACITY_ALL_FULL);
    assert_full(c, LN_SPAN("a"), LN_CAPACITY_ALL_FULL);
    assert_true(ln_capacity_total(c) == 3);
    assert_int_equal(ln_capacity_count(c, LN_SPAN("a")), 2);
    assert_int_equal(ln_capacity_count(c, LN_SPAN("c")), 0);
    ln_capacity_give(c, LN_SPAN("a"));
    take(c, LN_SPAN("c"));
    ln_capacity_give(c, LN_SPAN("a"));
    ln_capacity_give(c, LN_SPAN("b"));
    ln_capacity_give(c, LN_SPAN("c"));
    done(c);
    ln_capacity_free(NULL);
}

static void without_bounds_it_only_counts(void **state)
{
    (void)state;
    ln_capacity *c = with_bounds(0, 0, 0);
    for (int i = 0; i < 10000; i++)
        take(c, LN_SPAN("a"));
    assert_int_equal(ln_capacity_count(c, LN_SPAN("a")), 10000);
    for (int i = 0; i < 10000; i++)
        ln_capacity_give(c, LN_SPAN("a"));
    assert_int_equal(ln_capacity_count(c, LN_SPAN("a")), 0);
    done(c);
}

static void topics_are_bounded_and_listed(void **state)
{
    (void)state;
    ln_capacity *c = with_bounds(2, 0, 0);
    ln_span rest, topic;
    uint32_t taken, sum = 0;
    ln_buf list;

    take(c, LN_SPAN("a"));
    take(c, LN_SPAN("bb"));
    assert_full(c, LN_SPAN("c"), LN_CAPACITY_TOPICS_FULL);
    take(c, LN_SPAN("bb"));
    assert_int_equal(ln_capacity_topics(c), 2);
    ln_buf_init(&list, &fa.hook);
    assert_int_equal(ln_capacity_list(c, &list), 0);
    rest = (ln_span){list.data, list.size};
    while (ln_capacity_next(&rest, &topic, &taken)) {
        assert_int_equal(topic.size, taken); /* "a" has one, "bb" two */
        assert_memory_equal(topic.data, taken == 1 ? "a" : "bb", taken);
        sum += taken;
    }
    assert_int_equal(sum, 3);
    ln_buf_fini(&list);
    ln_capacity_give(c, LN_SPAN("a"));
    take(c, LN_SPAN("c"));
    assert_int_equal(ln_capacity_topics(c), 2);
    ln_capacity_give(c, LN_SPAN("bb"));
    ln_capacity_give(c, LN_SPAN("bb"));
    ln_capacity_give(c, LN_SPAN("c"));
    assert_int_equal(ln_capacity_topics(c), 0);
    done(c);
}

/* -- Racing ------------------------------------------------------------------------------------ */

enum { THREADS = 4, ROUNDS = 3000, TOPIC_BOUND = 2, BOUND = 3 };

typedef struct crowd {
    ln_capacity *c;
    atomic_int inside, in_a;
    atomic_int too_many;
} crowd;

static void *come_and_go(void *arg)
{
    crowd *w = arg;
    for (int i = 0; i < ROUNDS; i++) {
        const bool is_a = i % 3 > 0;
        const ln_span topic = is_a ? LN_SPAN("a") : LN_SPAN("b");
        ln_capacity_obstacle why = UNTOUCHED;
        if (ln_capacity_take(w->c, topic, &why) < 0)
            continue;
        const bool is_over = atomic_fetch_add(&w->inside, 1) >= BOUND;
        const bool is_topic_over = is_a && atomic_fetch_add(&w->in_a, 1) >= TOPIC_BOUND;
        atomic_fetch_add(&w->too_many, is_over || is_topic_over);
        if (i % 7 == 0)
            ln_capacity_count(w->c, topic);
        atomic_fetch_sub(&w->inside, 1);
        atomic_fetch_sub(&w->in_a, is_a);
        ln_capacity_give(w->c, topic);
    }
    return NULL;
}

static void racing_threads_never_pass_a_bound(void **state)
{
    (void)state;
    crowd w = {.c = with_bounds(0, TOPIC_BOUND, BOUND)};
    ln_thread threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(ln_thread_start(&threads[i], come_and_go, &w), 0);
    for (int i = 0; i < THREADS; i++)
        ln_thread_join(&threads[i]);
    assert_int_equal(atomic_load(&w.too_many), 0);
    done(w.c);
}

static int one_life(const ln_allocator *alloc, void *user)
{
    (void)user;
    ln_capacity_obstacle why = UNTOUCHED;
    ln_capacity *c = ln_capacity_new(alloc, &(ln_capacity_bounds){.all = 9}, seed);
    if (!c)
        return LN_ERR_NOMEM;
    const int rc = ln_capacity_take(c, LN_SPAN("a"), &why);
    assert_true(ln_capacity_total(c) == (rc == 0));
    assert_int_equal(ln_capacity_count(c, LN_SPAN("a")), rc == 0);
    if (rc == 0)
        ln_capacity_give(c, LN_SPAN("a"));
    ln_capacity_free(c);
    return rc;
}

static void out_of_memory_takes_no_place(void **state)
{
    (void)state;
    assert_int_equal(failing_alloc_sweep(one_life, NULL), 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_topic_is_full_at_its_bound_and_all_at_theirs),
        cmocka_unit_test(without_bounds_it_only_counts),
        cmocka_unit_test(topics_are_bounded_and_listed),
        cmocka_unit_test(racing_threads_never_pass_a_bound),
        cmocka_unit_test(out_of_memory_takes_no_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
