/* SPDX-License-Identifier: MIT */
/*
 * Storms of joins and leaves through hubs joined by the mesh, a roster and the places of a server:
 * what they hold grows with who is in, and not with who has come and gone.
 *
 * back end: any (the loops are there, but nothing is sent)
 */
#include "failing_alloc.h"

#include <linnet/loop.h>
#include <stdio.h>

#include "dialect/capacity.h"
#include "dialect/mesh.h"
#include "hub/roster.h"

enum {
    CROWD = 10000,
    STEPS = LN_SANITIZED ? 100000 : 1000000, /* joins and leaves */
    FLUSH_EACH = 1000,                       /* of them */
    LISTED = 100,                            /* people told by name */
    HUBS = 2
};

static const uint64_t seed[2] = {7, 8};
static failing_alloc fa;
static uint32_t chance = 0x57024;

static unsigned pick(unsigned n)
{
    chance ^= chance << 13;
    chance ^= chance >> 17;
    chance ^= chance << 5;
    return chance % n;
}

static ln_delivery ignore(ln_subscriber *s, ln_msg *m)
{
    (void)s;
    (void)m;
    return LN_DELIVERED;
}

/* ---- hubs ---- */

typedef struct world {
    ln_mesh *mesh;
    ln_hub *hubs[HUBS];
    ln_loop *loops[HUBS];
    ln_subscriber *people; /* CROWD, of the hubs in turn */
} world;

static void no_parcel(void *arg, ln_msg *m)
{
    (void)arg;
    (void)m;
    fail();
}

static void set_up_world(world *w)
{
    static const ln_hub_limits limits = {.topic_max_bytes = 64, .topics_per_subscriber = 64};
    failing_alloc_init(&fa, FAILING_NEVER);
    w->mesh = ln_mesh_new(&fa.hook, seed);
    w->people = calloc(CROWD, sizeof *w->people);
    for (unsigned i = 0; i < HUBS; i++) {
        w->hubs[i] = ln_hub_new(&fa.hook, &limits, seed);
        assert_int_equal(ln_loop_new(NULL, &w->loops[i]), 0);
        ln_mesh_join(w->mesh, w->hubs[i], i, w->loops[i], no_parcel, NULL);
        ln_hub_attach(w->hubs[i], ln_mesh_backplane(w->mesh));
    }
    for (unsigned i = 0; i < CROWD; i++)
        ln_subscriber_init(&w->people[i], ignore, i + 1);
}

static void tear_down_world(world *w)
{
    for (unsigned i = 0; i < HUBS; i++) {
        ln_hub_free(w->hubs[i]);
        ln_loop_free(w->loops[i]);
    }
    ln_mesh_free(w->mesh);
    free(w->people);
    failing_alloc_assert_empty(&fa);
}

static void come(world *w, unsigned who, ln_span topic)
{
    assert_int_equal(ln_hub_subscribe(w->hubs[who % HUBS], &w->people[who], topic), 0);
}

static void go(world *w, unsigned who, ln_span topic)
{
    assert_int_equal(ln_hub_unsubscribe(w->hubs[who % HUBS], &w->people[who], topic), 0);
}

static void a_storm_through_one_room_leaves_nothing(void **state)
{
    (void)state;
    const ln_span room = LN_SPAN("room");
    bool *is_in = calloc(CROWD, sizeof *is_in);
    world w;
    set_up_world(&w);
    come(&w, 0, room);
    come(&w, 1, room);
    const size_t before = fa.live_bytes;
    for (unsigned who = 2; who < CROWD; who++)
        come(&w, who, room);
    const size_t full = fa.live_bytes;
    for (unsigned i = 0; i < STEPS; i++) {
        const unsigned who = 2 + pick(CROWD - 2);
        (is_in[who] ? come : go)(&w, who, room); /* all began inside */
        is_in[who] = !is_in[who];
        assert_in_range(fa.live_bytes, before, full + full / 2);
    }
    for (unsigned who = 2; who < CROWD; who++)
        if (!is_in[who])
            go(&w, who, room);
    assert_in_range(fa.live_bytes, 0, before + 256);
    go(&w, 0, room);
    go(&w, 1, room);
    tear_down_world(&w);
    free(is_in);
}

/* Every room is new, and every eighth a filter; 1,000 at a time. */
static void a_storm_of_new_rooms_leaves_nothing(void **state)
{
    (void)state;
    enum { AT_ONCE = 1000 };
    char names[AT_ONCE][32];
    world w;
    set_up_world(&w);
    size_t first_full = 0;
    for (unsigned i = 0; i < STEPS / 2; i++) {
        const unsigned slot = i % AT_ONCE;
        if (i >= AT_ONCE)
            go(&w, slot, (ln_span){names[slot], strlen(names[slot])});
        else
            first_full = fa.live_bytes;
        sprintf(names[slot], i % 8 == 0 ? "r%u.*" : "r%u", i);
        come(&w, slot, (ln_span){names[slot], strlen(names[slot])});
        assert_in_range(fa.live_bytes, 0, i < AT_ONCE ? SIZE_MAX : first_full + first_full / 2);
    }
    for (unsigned slot = 0; slot < AT_ONCE; slot++)
        go(&w, slot, (ln_span){names[slot], strlen(names[slot])});
    assert_in_range(fa.live_bytes, 0, 32768); /* the maps' and the sieve's least tables */
    tear_down_world(&w);
}

/* ---- presence ---- */

/* What is told is bounded by the flushes, and what is kept by who is there. */
static void storm_of_presence(unsigned crowd)
{
    static const ln_roster_limits limits = {.room_max_bytes = 16,
                                            .rooms = 4,
                                            .people_per_room = CROWD,
                                            .rooms_per_person = 3,
                                            .list_max = LISTED};
    const ln_span room = LN_SPAN("room"), name = LN_SPAN("name");
    failing_alloc_init(&fa, FAILING_NEVER);
    ln_roster *r = ln_roster_new(&fa.hook, &limits, seed);
    ln_roster_news news;
    uint64_t told = 0, news_count = 0;
    for (unsigned id = 0; id < crowd; id++)
        assert_int_equal(ln_roster_join(r, room, id, name), 0);
    while (ln_roster_flush_next(r, &news))
        ;
    const size_t full = fa.live_bytes;
    for (unsigned i = 0; i < STEPS; i++) {
        const uint64_t id = pick(crowd);
        if (ln_roster_leave(r, room, id) < 0)
            assert_int_equal(ln_roster_join(r, room, id, name), 0);
        assert_in_range(fa.live_bytes, 0, full + full / 2 + 4096);
        while (i % FLUSH_EACH == 0 && ln_roster_flush_next(r, &news)) {
            told += news.joined_count + news.left_count;
            news_count++;
        }
    }
    assert_in_range(news_count, 1, STEPS / FLUSH_EACH);
    assert_in_range(told, crowd > LISTED ? 0 : 1, crowd > LISTED ? 0 : news_count * LISTED);
    for (unsigned id = 0; id < crowd; id++)
        (void)ln_roster_leave(r, room, id);
    while (ln_roster_flush_next(r, &news))
        ;
    assert_int_equal(ln_roster_room_count(r), 0);
    ln_roster_free(r);
    failing_alloc_assert_empty(&fa);
}

static void a_storm_of_presence_is_told_once_a_flush(void **state)
{
    (void)state;
    storm_of_presence(LISTED);
    storm_of_presence(CROWD);
}

/* ---- places ---- */

static void a_storm_of_places_leaves_nothing(void **state)
{
    (void)state;
    static const ln_capacity_bounds bounds = {.per_topic = 100, .all = 1000};
    unsigned held[50] = {0}, total = 0;
    char name[16];
    failing_alloc_init(&fa, FAILING_NEVER);
    ln_capacity *c = ln_capacity_new(&fa.hook, &bounds, seed);
    const size_t before = fa.live_bytes;
    for (unsigned i = 0; i < STEPS || total > 0; i++) {
        ln_capacity_obstacle why;
        const unsigned room = pick(LN_ARRAY_SIZE(held));
        const bool takes = i < STEPS && pick(100) < 55;
        const ln_span span = {name, (size_t)sprintf(name, "room%u", room)};
        const int rc = takes ? ln_capacity_take(c, span, &why) : LN_ERR_LIMIT;
        const bool has_room = held[room] < bounds.per_topic && total < bounds.all;
        assert_int_equal(rc, takes && has_room ? 0 : LN_ERR_LIMIT);
        if (!takes && held[room] > 0) {
            ln_capacity_give(c, span);
            held[room]--;
            total--;
        }
        held[room] += rc == 0;
        total += rc == 0;
        assert_int_equal(ln_capacity_total(c), total);
    }
    assert_in_range(fa.live_bytes, 0, before + 1024);
    ln_capacity_free(c);
    failing_alloc_assert_empty(&fa);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_storm_through_one_room_leaves_nothing),
        cmocka_unit_test(a_storm_of_new_rooms_leaves_nothing),
        cmocka_unit_test(a_storm_of_presence_is_told_once_a_flush),
        cmocka_unit_test(a_storm_of_places_leaves_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
