/* SPDX-License-Identifier: MIT */
/*
 * Subscribers without room: a publication goes past them, and the account is told how many. That this
 * agrees with everything else a hub does is for test/sim/hub_sim.c.
 */
#include "failing_alloc.h"

#include <stdio.h>

#include "hub/hubinner.h"

enum { PEERS = 8, KINDS = LN_PARKING_LOTS + 1 };

#define TOPIC LN_SPAN("lobby")
#define LARGE LN_SPAN("0123456789")
#define SMALL LN_SPAN("01234")

/* A subscriber that has no room while it is full: for LARGE first, then for what it was refused. */
typedef struct peer {
    ln_subscriber sub;
    struct world *world;
    ln_hub_account *account;
    bool is_full;
    bool frees_itself; /* as the first to be called, which frees all others too */
    unsigned called;
} peer;

typedef struct account {
    ln_hub_account base;
    unsigned missed;
} account;

typedef struct world {
    failing_alloc fa;
    ln_hub *hub;
    account accounts[KINDS];
    peer peers[PEERS];
} world;

static void miss(ln_hub_account *base, const ln_msg *m, uint32_t subscribers)
{
    (void)m;
    LN_CONTAINER_OF(base, account, base)->missed += subscribers;
}

static void unpark_all(world *w)
{
    for (unsigned i = 0; i < PEERS; i++)
        ln_hub_unpark(&w->peers[i].sub);
}

static ln_delivery take(ln_subscriber *s, ln_msg *m)
{
    peer *const p = LN_CONTAINER_OF(s, peer, sub);

    p->called++;
    if (p->frees_itself)
        unpark_all(p->world);
    if (!p->is_full)
        return LN_DELIVERED;
    ln_hub_park(s, p->account, (uint32_t)m->payload.size);
    return LN_DELIVERY_DROPPED;
}

static int set_up(void **state)
{
    static const ln_hub_limits limits = {.topic_max_bytes = 16, .topics_per_subscriber = 128};
    static const uint64_t seed[2] = {1, 2};
    world *const w = calloc(1, sizeof *w);

    failing_alloc_init(&w->fa, FAILING_NEVER);
    w->hub = ln_hub_new(&w->fa.hook, &limits, seed);
    assert_non_null(w->hub);
    for (unsigned k = 0; k < KINDS; k++)
        w->accounts[k].base.miss = miss;
    for (unsigned i = 0; i < PEERS; i++) {
        peer *const p = &w->peers[i];
        *p = (peer){.world = w, .account = &w->accounts[i % 2].base, .is_full = true};
        ln_subscriber_init(&p->sub, take, i + 1);
        assert_int_equal(ln_hub_subscribe(w->hub, &p->sub, TOPIC), 0);
    }
    *state = w;
    return 0;
}

static int tear_down(void **state)
{
    world *const w = *state;

    for (unsigned i = 0; i < PEERS; i++)
        ln_hub_leave_all(w->hub, &w->peers[i].sub);
    ln_hub_free(w->hub);
    failing_alloc_assert_empty(&w->fa);
    free(w);
    return 0;
}

static ln_hub_result say(world *w, ln_span payload, uint64_t excluded)
{
    ln_hub_result result;
    ln_msg *const m = ln_msg_new(NULL, LN_MSG_TEXT, TOPIC, (ln_span){0}, payload, 0);

    m->excluded = excluded;
    assert_int_equal(ln_hub_publish(w->hub, m, &result), 0);
    ln_msg_unref(m);
    return result;
}

/* How many were called since the last time. */
static unsigned calls(world *w)
{
    unsigned sum = 0;

    for (unsigned i = 0; i < PEERS; i++) {
        sum += w->peers[i].called;
        w->peers[i].called = 0;
    }
    return sum;
}

static void a_publication_goes_past_those_without_room_and_counts_them(void **state)
{
    world *const w = *state;

    w->peers[3].is_full = false;
    assert_int_equal(say(w, LARGE, 0).dropped, PEERS - 1);
    assert_int_equal(calls(w), PEERS);
    for (int i = 0; i < 10; i++) {
        const ln_hub_result r = say(w, LARGE, 0);
        assert_int_equal(r.dropped, PEERS - 1);
        assert_int_equal(r.delivered, 1);
    }
    assert_int_equal(w->peers[3].called, 10);
    assert_int_equal(calls(w), 10);
    assert_int_equal(w->accounts[0].missed, 10 * PEERS / 2);
    assert_int_equal(w->accounts[1].missed, 10 * (PEERS / 2 - 1));
    assert_int_equal(ln_hub_member_count(w->hub, TOPIC), PEERS);
}

static void a_smaller_one_is_tried_by_all_and_from_then_on_goes_past_too(void **state)
{
    world *const w = *state;

    say(w, LARGE, 0);
    say(w, LARGE, 0);
    assert_int_equal(calls(w), PEERS);
    assert_int_equal(say(w, SMALL, 0).dropped, PEERS);
    assert_int_equal(calls(w), PEERS);
    assert_int_equal(say(w, SMALL, 0).dropped, PEERS);
    assert_int_equal(say(w, LARGE, 0).dropped, PEERS);
    assert_int_equal(calls(w), 0);
}

static void who_is_excluded_is_not_counted(void **state)
{
    world *const w = *state;

    say(w, LARGE, 0);
    assert_int_equal(say(w, LARGE, 3).dropped, PEERS - 1);
    assert_int_equal(say(w, LARGE, 99).dropped, PEERS);
    assert_int_equal(w->accounts[0].missed, PEERS - 1);
    assert_int_equal(w->accounts[1].missed, PEERS);
}

static void who_has_room_again_is_called_again(void **state)
{
    world *const w = *state;

    say(w, LARGE, 0);
    w->peers[5].is_full = false;
    ln_hub_unpark(&w->peers[5].sub);
    calls(w);
    assert_int_equal(say(w, LARGE, 0).delivered, 1);
    assert_int_equal(w->peers[5].called, 1);
    assert_int_equal(calls(w), 1);
}

static void who_is_freed_by_a_delivery_was_counted_for_that_one(void **state)
{
    world *const w = *state;

    w->peers[7].is_full = false;
    say(w, LARGE, 0);
    calls(w);
    w->peers[7].frees_itself = true;
    assert_int_equal(say(w, LARGE, 0).dropped, PEERS - 1);
    assert_int_equal(calls(w), 1);
    assert_int_equal(say(w, LARGE, 0).dropped, PEERS - 1);
    assert_int_equal(calls(w), PEERS);
}

static void who_leaves_while_parked_is_not_counted(void **state)
{
    world *const w = *state;

    say(w, LARGE, 0);
    assert_int_equal(ln_hub_unsubscribe(w->hub, &w->peers[0].sub, TOPIC), 0);
    assert_int_equal(ln_hub_unsubscribe(w->hub, &w->peers[7].sub, TOPIC), 0);
    assert_int_equal(say(w, LARGE, 0).dropped, PEERS - 2);
    assert_int_equal(ln_hub_subscribe(w->hub, &w->peers[0].sub, TOPIC), 0);
    calls(w);
    assert_int_equal(say(w, LARGE, 0).dropped, PEERS - 1);
    assert_int_equal(calls(w), 1); /* who came back */
}

static void with_a_wildcard_each_is_called_once(void **state)
{
    world *const w = *state;

    say(w, LARGE, 0);
    assert_int_equal(ln_hub_subscribe(w->hub, &w->peers[2].sub, LN_SPAN("*")), 0);
    calls(w);
    assert_int_equal(say(w, LARGE, 0).dropped, PEERS);
    assert_int_equal(w->peers[2].called, 1);
    assert_int_equal(calls(w), PEERS);
    assert_int_equal(ln_hub_unsubscribe(w->hub, &w->peers[2].sub, LN_SPAN("*")), 0);
    say(w, LARGE, 0);
    calls(w);
    assert_int_equal(say(w, LARGE, 0).dropped, PEERS);
    assert_int_equal(calls(w), 0);
}

static void more_accounts_than_lots_are_called(void **state)
{
    world *const w = *state;

    for (unsigned i = 0; i < PEERS; i++)
        w->peers[i].account = &w->accounts[i % KINDS].base;
    say(w, LARGE, 0);
    calls(w);
    assert_int_equal(say(w, LARGE, 0).dropped, PEERS);
    assert_int_equal(calls(w), 1);
    assert_int_equal(w->peers[LN_PARKING_LOTS].called, 0);
}

static void who_is_in_very_many_topics_is_called(void **state)
{
    world *const w = *state;
    char name[16];

    for (int i = 0; i < 64; i++) {
        snprintf(name, sizeof name, "room%d", i);
        assert_int_equal(ln_hub_subscribe(w->hub, &w->peers[1].sub, (ln_span){name, strlen(name)}),
                         0);
    }
    say(w, LARGE, 0);
    calls(w);
    assert_int_equal(say(w, LARGE, 0).dropped, PEERS);
    assert_int_equal(w->peers[1].called, 1);
    assert_int_equal(calls(w), 1);
}

static void without_memory_they_are_called(void **state)
{
    world *const w = *state;

    w->fa.mode = FAILING_FROM;
    w->fa.fail_at = atomic_load(&w->fa.calls);
    say(w, LARGE, 0);
    assert_int_equal(say(w, LARGE, 0).dropped, PEERS);
    assert_int_equal(calls(w), 2 * PEERS);
    assert_true(atomic_load(&w->fa.failures) > 0);
}

int main(void)
{
#define WITH_PEERS(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        WITH_PEERS(a_publication_goes_past_those_without_room_and_counts_them),
        WITH_PEERS(a_smaller_one_is_tried_by_all_and_from_then_on_goes_past_too),
        WITH_PEERS(who_is_excluded_is_not_counted),
        WITH_PEERS(who_has_room_again_is_called_again),
        WITH_PEERS(who_is_freed_by_a_delivery_was_counted_for_that_one),
        WITH_PEERS(who_leaves_while_parked_is_not_counted),
        WITH_PEERS(with_a_wildcard_each_is_called_once),
        WITH_PEERS(more_accounts_than_lots_are_called),
        WITH_PEERS(who_is_in_very_many_topics_is_called),
        WITH_PEERS(without_memory_they_are_called),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
