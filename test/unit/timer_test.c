/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>

#include "net/timer.h"

enum { TIMERS = 200 };

/* A naive model beside the wheel: an array that is searched. */
struct item {
    ln_timer timer;
    uint64_t at_ms; /* the model's idea */
    uint64_t order; /* when it was set, in calls */
    bool is_set;
    bool is_fired; /* in this advance */
};

static ln_wheel wheel;
static struct item items[TIMERS];
static uint64_t calls;
static unsigned fired;
static const struct item *last_fired;

static uint64_t seed = 88172645463325252u;

static uint64_t chance(uint64_t below)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed % below;
}

static void set(struct item *i, uint64_t at_ms)
{
    i->at_ms = at_ms;
    i->order = calls++;
    i->is_set = true;
    ln_timer_set(&wheel, &i->timer, at_ms);
}

static void clear(struct item *i)
{
    i->is_set = false;
    ln_timer_clear(&wheel, &i->timer);
}

/* Due at a time that had passed already counts as due when it was set. */
static void note(ln_timer *timer)
{
    struct item *const i = LN_CONTAINER_OF(timer, struct item, timer);
    assert_false(ln_timer_is_set(timer));
    assert_true(i->is_set);
    assert_true(i->at_ms <= wheel.now_ms);
    if (last_fired && last_fired->at_ms == i->at_ms)
        assert_true(last_fired->order < i->order);
    i->is_set = false;
    i->is_fired = true;
    last_fired = i;
    fired++;
}

static void start(uint64_t now_ms)
{
    ln_wheel_init(&wheel, now_ms);
    for (int i = 0; i < TIMERS; i++) {
        items[i] = (struct item){.is_set = false};
        ln_timer_init(&items[i].timer, note);
    }
    last_fired = NULL;
    fired = 0;
}

static unsigned model_due(uint64_t now_ms)
{
    unsigned n = 0;
    for (int i = 0; i < TIMERS; i++)
        n += items[i].is_set && items[i].at_ms <= now_ms;
    return n;
}

static uint64_t model_next_ms(void)
{
    uint64_t next = UINT64_MAX;
    for (int i = 0; i < TIMERS; i++) {
        if (items[i].is_set && items[i].at_ms < next)
            next = items[i].at_ms;
    }
    return next;
}

static void advance(uint64_t now_ms)
{
    const unsigned due = model_due(now_ms);
    last_fired = NULL;
    fired = 0;
    assert_int_equal(ln_wheel_advance(&wheel, now_ms), due);
    assert_int_equal(fired, due);
    assert_int_equal(model_due(now_ms), 0);
}

/* Small steps, large ones, and now and then one across the whole wheel. */
static uint64_t some_delay(void)
{
    static const uint64_t scales[] = {
        2, 64, 70, 4096, 5000, 300000, 1u << 24, 1u << 30, (uint64_t)1 << 33};
    return chance(scales[chance(LN_ARRAY_SIZE(scales))]);
}

static void it_agrees_with_a_naive_model(void **state)
{
    (void)state;
    const uint64_t begins[] = {
        0, 1, 63, 4095, 123456789, ((uint64_t)1 << 30) - 5, ((uint64_t)1 << 40) + 77};
    for (size_t b = 0; b < LN_ARRAY_SIZE(begins); b++) {
        start(begins[b]);
        uint64_t now_ms = begins[b];
        for (int step = 0; step < 20000; step++) {
            struct item *const i = &items[chance(TIMERS)];
            if (chance(3) == 0)
                clear(i);
            else
                set(i, now_ms + some_delay());
            assert_true(ln_timer_is_set(&i->timer) == i->is_set);
            const uint64_t next_ms = ln_wheel_next_ms(&wheel);
            assert_true(next_ms <= model_next_ms());
            assert_true((next_ms == UINT64_MAX) == (model_next_ms() == UINT64_MAX));
            if (chance(4) == 0) {
                now_ms += some_delay();
                advance(now_ms);
            }
        }
    }
}

static void sleeping_until_next_ms_misses_nothing(void **state)
{
    (void)state;
    start(1000);
    for (int i = 0; i < TIMERS; i++)
        set(&items[i], 1000 + some_delay());
    unsigned wake_ups = 0;
    for (uint64_t next_ms; (next_ms = ln_wheel_next_ms(&wheel)) != UINT64_MAX; wake_ups++)
        advance(next_ms);
    assert_int_equal(model_due(UINT64_MAX), 0);
    assert_true(wake_ups <= TIMERS * (LN_WHEEL_LEVELS + 10)); /* cascades, not every millisecond */
}

static void a_timer_never_fires_early_and_fires_at_its_time(void **state)
{
    (void)state;
    const uint64_t delays[] = {1,
                               63,
                               64,
                               65,
                               4095,
                               4096,
                               4097,
                               262144,
                               1u << 30,
                               ((uint64_t)1 << 30) + 1,
                               (uint64_t)1 << 35};
    for (size_t d = 0; d < LN_ARRAY_SIZE(delays); d++) {
        start(500);
        set(&items[0], 500 + delays[d]);
        assert_int_equal(ln_wheel_advance(&wheel, 500 + delays[d] - 1), 0);
        assert_int_equal(ln_wheel_advance(&wheel, 500 + delays[d]), 1);
        assert_true(ln_wheel_next_ms(&wheel) == UINT64_MAX);
    }
}

static void those_of_one_millisecond_fire_in_the_order_they_were_set(void **state)
{
    (void)state;
    start(0);
    /* The first from afar, through two cascades; the last when it is near: the same list all the
     * time. */
    set(&items[3], 5000);
    advance(4000);
    set(&items[1], 5000);
    advance(4990);
    set(&items[2], 5000);
    advance(5000); /* note() checks the order */
    assert_ptr_equal(last_fired, &items[2]);
}

static void a_time_that_has_passed_fires_at_the_next_advance(void **state)
{
    (void)state;
    start(700);
    set(&items[0], 0);
    set(&items[1], 700);
    assert_true(ln_wheel_next_ms(&wheel) <= 700);
    assert_int_equal(ln_wheel_advance(&wheel, 700), 2);
}

static void time_does_not_run_backwards(void **state)
{
    (void)state;
    start(700);
    set(&items[0], 710);
    assert_int_equal(ln_wheel_advance(&wheel, 600), 0);
    assert_int_equal(ln_wheel_advance(&wheel, 709), 0);
    assert_int_equal(ln_wheel_advance(&wheel, 710), 1);
}

static void set_again_at_once(ln_timer *timer)
{
    fired++;
    ln_timer_set(&wheel, timer, wheel.now_ms);
}

static void a_timer_that_sets_itself_again_does_not_keep_the_loop(void **state)
{
    (void)state;
    start(0);
    ln_timer_init(&items[0].timer, set_again_at_once);
    ln_timer_set(&wheel, &items[0].timer, 5);
    for (unsigned i = 1; i <= 3; i++) {
        assert_int_equal(ln_wheel_advance(&wheel, 10), 1);
        assert_int_equal(fired, i);
    }
}

static void clear_the_others(ln_timer *timer)
{
    (void)timer;
    fired++;
    ln_timer_clear(&wheel, &items[1].timer);        /* due in the same advance, and not fired yet */
    ln_timer_set(&wheel, &items[2].timer, 1000000); /* moved away */
    ln_timer_clear(&wheel, &items[3].timer);        /* far */
}

static void a_firing_timer_may_clear_and_move_those_that_are_due(void **state)
{
    (void)state;
    start(0);
    ln_timer_init(&items[0].timer, clear_the_others);
    ln_timer_set(&wheel, &items[0].timer, 10);
    set(&items[1], 10);
    set(&items[2], 11);
    set(&items[3], 99999);
    assert_int_equal(ln_wheel_advance(&wheel, 20), 1);
    assert_int_equal(fired, 1);
    assert_false(ln_timer_is_set(&items[1].timer));
    assert_true(ln_timer_is_set(&items[2].timer));
    assert_true(ln_wheel_next_ms(&wheel) <= 1000000);
    ln_timer_clear(&wheel, &items[2].timer);
    assert_true(ln_wheel_next_ms(&wheel) == UINT64_MAX);
}

static void free_it(ln_timer *timer)
{
    fired++;
    free(LN_CONTAINER_OF(timer, struct item, timer));
}

static void a_firing_timer_may_free_itself(void **state)
{
    (void)state;
    start(0);
    struct item *const i = malloc(sizeof *i);
    ln_timer_init(&i->timer, free_it);
    ln_timer_set(&wheel, &i->timer, 3);
    assert_int_equal(ln_wheel_advance(&wheel, 3), 1);
    assert_int_equal(ln_wheel_advance(&wheel, 100), 0);
}

static void clearing_what_is_not_set_is_harmless(void **state)
{
    (void)state;
    start(0);
    ln_timer_clear(&wheel, &items[0].timer);
    set(&items[0], 70);
    ln_timer_clear(&wheel, &items[0].timer);
    ln_timer_clear(&wheel, &items[0].timer);
    assert_int_equal(ln_wheel_advance(&wheel, 100), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_agrees_with_a_naive_model),
        cmocka_unit_test(sleeping_until_next_ms_misses_nothing),
        cmocka_unit_test(a_timer_never_fires_early_and_fires_at_its_time),
        cmocka_unit_test(those_of_one_millisecond_fire_in_the_order_they_were_set),
        cmocka_unit_test(a_time_that_has_passed_fires_at_the_next_advance),
        cmocka_unit_test(time_does_not_run_backwards),
        cmocka_unit_test(a_timer_that_sets_itself_again_does_not_keep_the_loop),
        cmocka_unit_test(a_firing_timer_may_clear_and_move_those_that_are_due),
        cmocka_unit_test(a_firing_timer_may_free_itself),
        cmocka_unit_test(clearing_what_is_not_set_is_harmless),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
