/* SPDX-License-Identifier: MIT */
#include "failing_alloc.h"

#include <stdio.h>

#include "base/base.h"
#include "hub/roster.h"

static const ln_roster_limits limits = {
    .room_max_bytes = 16, .rooms = 4, .people_per_room = 8, .rooms_per_person = 3, .list_max = 4};
static const uint64_t seed[2] = {3, 4};

#define ROOM LN_SPAN("lobby")
#define ANN  LN_SPAN("Ann")
#define BOB  LN_SPAN("Bob")

static failing_alloc fa;

static ln_roster *with_roster(void)
{
    failing_alloc_init(&fa, FAILING_NEVER);
    ln_roster *r = ln_roster_new(&fa.hook, &limits, seed);
    assert_non_null(r);
    return r;
}

static void done(ln_roster *r)
{
    ln_roster_free(r);
    failing_alloc_assert_empty(&fa);
}

static void join(ln_roster *r, ln_span room, uint64_t id, ln_span name)
{
    assert_int_equal(ln_roster_join(r, room, id, name), 0);
}

static void join_many(ln_roster *r, ln_span room, uint64_t first, uint64_t last)
{
    for (uint64_t id = first; id <= last; id++)
        join(r, room, id, LN_SPAN("x"));
}

static void leave(ln_roster *r, ln_span room, uint64_t id)
{
    assert_int_equal(ln_roster_leave(r, room, id), 0);
}

/* News as text: "lobby diff 2: +1=Ann +2=Bob -3". */
static const char *in_words(const ln_roster_news *n)
{
    static const char *const views[] = {"same", "diff", "list", "count"};
    static char words[512];
    int at = sprintf(words, "%.*s %s %u:", (int)n->room.size, (const char *)n->room.data,
                     views[n->view], (unsigned)n->count);
    for (size_t i = 0; i < n->joined_count; i++) {
        const ln_presence *p = &n->joined[i];
        at += sprintf(words + at, " +%u=%.*s", (unsigned)p->id, (int)p->name.size,
                      (const char *)p->name.data);
    }
    for (size_t i = 0; i < n->left_count; i++)
        at += sprintf(words + at, " -%u", (unsigned)n->left[i]);
    return words;
}

static const char *flushed(ln_roster *r, ln_span room)
{
    ln_roster_news news;
    assert_int_equal(ln_roster_flush(r, room, &news), 0);
    return in_words(&news);
}

static const char *snapshot(ln_roster *r, ln_span room)
{
    ln_roster_news news;
    assert_int_equal(ln_roster_snapshot(r, room, &news), 0);
    return in_words(&news);
}

static void a_room_exists_while_somebody_is_in_it(void **state)
{
    (void)state;
    ln_roster *r = with_roster();
    ln_roster_news news;
    assert_int_equal(ln_roster_flush(r, ROOM, &news), LN_ERR_NOT_FOUND);
    assert_int_equal(ln_roster_snapshot(r, ROOM, &news), LN_ERR_NOT_FOUND);
    assert_int_equal(ln_roster_leave(r, ROOM, 1), LN_ERR_NOT_FOUND);
    join(r, ROOM, 1, ANN);
    assert_true(ln_roster_is_in(r, ROOM, 1));
    assert_false(ln_roster_is_in(r, ROOM, 2));
    assert_int_equal(ln_roster_count(r, ROOM), 1);
    leave(r, ROOM, 1);
    assert_int_equal(ln_roster_leave(r, ROOM, 1), LN_ERR_NOT_FOUND);
    assert_int_equal(ln_roster_room_count(r), 0);
    assert_false(ln_roster_flush_next(r, &news));
    done(r);
    ln_roster_free(NULL);
}

static void a_flush_tells_who_came_and_went_since_the_last(void **state)
{
    (void)state;
    ln_roster *r = with_roster();
    join(r, ROOM, 1, ANN);
    join(r, ROOM, 2, BOB);
    assert_string_equal(flushed(r, ROOM), "lobby diff 2: +1=Ann +2=Bob");
    assert_string_equal(flushed(r, ROOM), "lobby same 2:");
    leave(r, ROOM, 1);
    join(r, ROOM, 3, LN_SPAN(""));
    assert_string_equal(flushed(r, ROOM), "lobby diff 2: +3= -1");
    done(r);
}

static void what_is_undone_before_the_flush_is_not_told(void **state)
{
    (void)state;
    ln_roster *r = with_roster();
    ln_roster_news news;
    join(r, ROOM, 1, ANN);
    assert_string_equal(flushed(r, ROOM), "lobby diff 1: +1=Ann");
    join(r, ROOM, 2, BOB); /* came and went */
    leave(r, ROOM, 2);
    leave(r, ROOM, 1); /* went and came back */
    join(r, ROOM, 1, ANN);
    join(r, ROOM, 1, ANN); /* was there already */
    assert_false(ln_roster_flush_next(r, &news));
    assert_string_equal(flushed(r, ROOM), "lobby same 1:");
    done(r);
}

static void a_new_name_is_told_like_a_join(void **state)
{
    (void)state;
    ln_roster *r = with_roster();
    join(r, ROOM, 1, ANN);
    join(r, ROOM, 1, LN_SPAN("Anna")); /* not told yet under the first */
    assert_string_equal(flushed(r, ROOM), "lobby diff 1: +1=Anna");
    join(r, ROOM, 1, LN_SPAN("Annabelle"));
    assert_string_equal(flushed(r, ROOM), "lobby diff 1: +1=Annabelle");
    leave(r, ROOM, 1);
    join(r, ROOM, 1, BOB); /* came back as another */
    leave(r, ROOM, 1);
    join(r, ROOM, 1, BOB);
    assert_string_equal(flushed(r, ROOM), "lobby diff 1: +1=Bob");
    join(r, ROOM, 1, ANN);
    leave(r, ROOM, 1);
    assert_string_equal(flushed(r, ROOM), "lobby diff 0: -1");
    assert_int_equal(ln_roster_room_count(r), 0);
    done(r);
}

static void versions_chain_the_diffs_and_outlive_the_room(void **state)
{
    (void)state;
    ln_roster *r = with_roster();
    ln_roster_news news;
    join(r, ROOM, 1, ANN);
    assert_int_equal(ln_roster_flush(r, ROOM, &news), 0);
    const uint64_t first = news.version;
    assert_true(news.since == 0 && first > 0);
    assert_int_equal(ln_roster_flush(r, ROOM, &news), 0);
    assert_true(news.version == first); /* nothing new, no new version */
    join(r, LN_SPAN("garden"), 1, ANN);
    assert_true(ln_roster_flush_next(r, &news));
    leave(r, ROOM, 1);
    assert_true(ln_roster_flush_next(r, &news));
    const uint64_t second = news.version;
    assert_true(news.since == first && second > first);
    join(r, ROOM, 1, ANN);
    assert_true(ln_roster_flush_next(r, &news));
    assert_true(news.since == 0 && news.version > second);
    done(r);
}

static void changed_rooms_are_flushed_in_the_order_of_their_changes(void **state)
{
    (void)state;
    ln_roster *r = with_roster();
    ln_roster_news news;
    join(r, LN_SPAN("b"), 1, ANN);
    join(r, LN_SPAN("a"), 1, ANN);
    join(r, LN_SPAN("b"), 2, BOB);
    assert_true(ln_roster_flush_next(r, &news));
    assert_string_equal(in_words(&news), "b diff 2: +1=Ann +2=Bob");
    assert_int_equal(ln_roster_leave_all(r, 1), 2);
    assert_true(ln_roster_flush_next(r, &news)); /* "a": came and went, so it is "b" again */
    assert_string_equal(in_words(&news), "b diff 1: -1");
    assert_false(ln_roster_flush_next(r, &news));
    done(r);
}

static void a_large_room_is_a_number(void **state)
{
    (void)state;
    ln_roster *r = with_roster();
    join_many(r, ROOM, 1, 4);
    assert_string_equal(flushed(r, ROOM), "lobby diff 4: +1=x +2=x +3=x +4=x");
    leave(r, ROOM, 2);
    join_many(r, ROOM, 5, 6);
    assert_string_equal(flushed(r, ROOM), "lobby count 5:");
    leave(r, ROOM, 1);
    join(r, ROOM, 7, BOB);
    assert_string_equal(flushed(r, ROOM), "lobby same 5:"); /* others, but as many */
    leave(r, ROOM, 7);
    join(r, ROOM, 3, ANN);
    assert_string_equal(flushed(r, ROOM), "lobby list 4: +4=x +5=x +6=x +3=Ann");
    leave(r, ROOM, 4);
    assert_string_equal(flushed(r, ROOM), "lobby diff 3: -4");
    done(r);
}

static void a_counted_room_that_empties_says_so_and_ends(void **state)
{
    (void)state;
    ln_roster *r = with_roster();
    join_many(r, ROOM, 1, 5);
    assert_string_equal(flushed(r, ROOM), "lobby count 5:");
    for (uint64_t id = 1; id <= 5; id++)
        leave(r, ROOM, id);
    assert_int_equal(ln_roster_room_count(r), 1);
    assert_string_equal(flushed(r, ROOM), "lobby list 0:");
    assert_int_equal(ln_roster_room_count(r), 0);
    done(r);
}

static void a_snapshot_is_what_the_last_flush_told(void **state)
{
    (void)state;
    ln_roster *r = with_roster();
    ln_roster_news news;
    join(r, ROOM, 1, ANN);
    join(r, ROOM, 2, BOB);
    assert_string_equal(snapshot(r, ROOM), "lobby list 0:");
    assert_int_equal(ln_roster_flush(r, ROOM, &news), 0);
    const uint64_t version = news.version;
    leave(r, ROOM, 1);
    join(r, ROOM, 3, ANN);
    assert_int_equal(ln_roster_snapshot(r, ROOM, &news), 0);
    assert_string_equal(in_words(&news), "lobby list 2: +2=Bob +1=Ann");
    assert_true(news.version == version);
    assert_string_equal(flushed(r, ROOM), "lobby diff 2: +3=Ann -1");
    join_many(r, ROOM, 4, 6);
    assert_string_equal(flushed(r, ROOM), "lobby count 5:");
    leave(r, ROOM, 5);
    assert_string_equal(snapshot(r, ROOM), "lobby count 5:");
    done(r);
}

static void the_list_is_who_is_there_now(void **state)
{
    (void)state;
    ln_roster *r = with_roster();
    ln_presence list[8];
    assert_int_equal(ln_roster_list(r, ROOM, list, 8), 0);
    join_many(r, ROOM, 1, 3);
    (void)flushed(r, ROOM);
    leave(r, ROOM, 2);
    join(r, ROOM, 4, BOB);
    assert_int_equal(ln_roster_list(r, ROOM, list, 8), 3);
    assert_true(list[0].id == 1 && list[1].id == 3 && list[2].id == 4);
    assert_memory_equal(list[2].name.data, "Bob", 3);
    list[1].id = 99;
    assert_int_equal(ln_roster_list(r, ROOM, list, 1), 3);
    assert_true(list[0].id == 1 && list[1].id == 99);
    done(r);
}

static void names_are_checked(void **state)
{
    (void)state;
    char longest[LN_ROSTER_NAME_BYTES + 1];
    memset(longest, 'n', sizeof longest);
    ln_roster *r = with_roster();
    assert_int_equal(ln_roster_join(r, (ln_span){0}, 1, ANN), LN_ERR_INVALID);
    assert_int_equal(ln_roster_join(r, LN_SPAN("seventeen letters"), 1, ANN), LN_ERR_INVALID);
    assert_int_equal(ln_roster_join(r, ROOM, 1, LN_SPAN("A\nB")), LN_ERR_INVALID);
    assert_int_equal(ln_roster_join(r, ROOM, 1, LN_SPAN("\xFF")), LN_ERR_INVALID);
    assert_int_equal(ln_roster_join(r, ROOM, 1, (ln_span){longest, sizeof longest}),
                     LN_ERR_INVALID);
    assert_int_equal(ln_roster_room_count(r), 0);
    join(r, LN_SPAN("sixteen letters!"), 1, (ln_span){longest, sizeof longest - 1});
    done(r);
}

static void every_limit_holds_and_leaving_makes_room(void **state)
{
    (void)state;
    ln_roster *r = with_roster();
    join_many(r, ROOM, 1, 8);
    assert_int_equal(ln_roster_join(r, ROOM, 9, ANN), LN_ERR_LIMIT); /* people_per_room */
    assert_string_equal(flushed(r, ROOM), "lobby count 8:");
    join(r, LN_SPAN("2"), 1, ANN);
    join(r, LN_SPAN("3"), 1, ANN);
    assert_int_equal(ln_roster_join(r, LN_SPAN("4"), 1, ANN), LN_ERR_LIMIT); /* rooms_per_person */
    assert_int_equal(ln_roster_room_count(r), 3);
    join(r, LN_SPAN("4"), 2, ANN);
    assert_int_equal(ln_roster_join(r, LN_SPAN("5"), 3, ANN), LN_ERR_LIMIT); /* rooms */
    join(r, ROOM, 8, BOB); /* who is in may have a new name */

    leave(r, ROOM, 8);
    join(r, ROOM, 9, ANN);
    assert_int_equal(ln_roster_join(r, ROOM, 8, ANN), LN_ERR_LIMIT);
    leave(r, LN_SPAN("3"), 1);
    join(r, LN_SPAN("4"), 1, ANN);
    assert_int_equal(ln_roster_leave_all(r, 77), 0);
    assert_int_equal(ln_roster_leave_all(r, 1), 3);
    assert_int_equal(ln_roster_leave_all(r, 1), 0);
    done(r);
}

static void who_is_only_remembered_cannot_return_to_a_full_room(void **state)
{
    (void)state;
    ln_roster *r = with_roster();
    join_many(r, ROOM, 1, 2);
    (void)flushed(r, ROOM);
    leave(r, ROOM, 1);
    join_many(r, ROOM, 3, 9);
    assert_int_equal(ln_roster_join(r, ROOM, 1, ANN), LN_ERR_LIMIT);
    leave(r, ROOM, 9);
    join(r, ROOM, 1, ANN);
    assert_int_equal(ln_roster_count(r, ROOM), 8);
    done(r);
}

static void a_roster_is_freed_with_everybody_in_it(void **state)
{
    (void)state;
    ln_roster *r = with_roster();
    join_many(r, ROOM, 1, 8);
    (void)flushed(r, ROOM);
    join_many(r, LN_SPAN("garden"), 1, 3);
    (void)flushed(r, LN_SPAN("garden"));
    leave(r, LN_SPAN("garden"), 2);
    done(r);
}

static int one_life(const ln_allocator *alloc, void *user)
{
    (void)user;
    ln_roster *r = ln_roster_new(alloc, &limits, seed);
    if (!r)
        return LN_ERR_NOMEM;
    int rc = 0;
    for (uint64_t id = 1; id <= 10; id++) {
        const ln_span room = id % 2 ? ROOM : LN_SPAN("garden");
        const size_t before = ln_roster_count(r, room);
        const int one = ln_roster_join(r, room, id, ANN);
        assert_int_equal(ln_roster_count(r, room), before + (one == 0));
        assert_int_equal(ln_roster_is_in(r, room, id), one == 0);
        assert_int_equal(ln_roster_leave_all(r, 100), 0);
        rc = one < 0 ? one : rc;
    }
    const size_t rooms = ln_roster_room_count(r);
    ln_roster_news news;
    for (size_t i = 0; i < rooms; i++)
        assert_true(ln_roster_flush_next(r, &news)); /* no empty room stayed behind */
    const bool was_in = ln_roster_is_in(r, ROOM, 1);
    const int renamed = ln_roster_join(r, ROOM, 1, BOB);
    assert_int_equal(ln_roster_is_in(r, ROOM, 1), was_in || renamed == 0);
    rc = renamed < 0 ? renamed : rc;
    for (uint64_t id = 1; id <= 10; id++)
        (void)ln_roster_leave_all(r, id);
    while (ln_roster_flush_next(r, &news))
        ;
    assert_int_equal(ln_roster_room_count(r), 0);
    ln_roster_free(r);
    return rc;
}

static void running_out_of_memory_changes_nothing(void **state)
{
    (void)state;
    assert_true(failing_alloc_sweep(one_life, NULL) > 20);
}

/* -- A random life, seen by somebody who only follows the news --------------------------------- */

enum { PEOPLE = 10, ROOMS = 3, NAMES = 3 };

typedef struct follower {
    uint64_t version;
    bool is_listed;
    uint32_t count;
    int names[PEOPLE]; /* -1 = not there */
} follower;

static uint64_t chance;

static unsigned pick(unsigned n)
{
    chance ^= chance << 13;
    chance ^= chance >> 7;
    chance ^= chance << 17;
    return (unsigned)((chance >> 20) % n);
}

static void forget_all(follower *f)
{
    for (int i = 0; i < PEOPLE; i++)
        f->names[i] = -1;
}

static void start_to_follow(follower *f)
{
    *f = (follower){.is_listed = true};
    forget_all(f);
}

static void follow(follower *f, const ln_roster_news *n)
{
    if (n->view == LN_ROSTER_SAME)
        return;
    f->is_listed = n->view != LN_ROSTER_COUNT;
    f->count = n->count;
    if (n->view == LN_ROSTER_DIFF)
        assert_true(n->since == f->version || n->since == 0);
    if (n->view != LN_ROSTER_DIFF || n->since == 0)
        forget_all(f);
    for (size_t i = 0; i < n->left_count; i++)
        f->names[n->left[i]] = -1;
    for (size_t i = 0; i < n->joined_count; i++)
        f->names[n->joined[i].id] = *(const char *)n->joined[i].name.data - 'A';
    f->version = n->version;
}

static void assert_follows(const follower *f, const int truth[PEOPLE])
{
    uint32_t count = 0;
    for (int i = 0; i < PEOPLE; i++) {
        count += truth[i] >= 0;
        if (f->is_listed)
            assert_int_equal(f->names[i], truth[i]);
    }
    assert_int_equal(f->count, count);
}

typedef struct life {
    ln_roster *r;
    int truth[ROOMS][PEOPLE];
    follower followers[ROOMS][2]; /* one from the beginning, one who turns up anew now and then */
} life;

static void live_one_step(life *l)
{
    static const char rooms[ROOMS] = "123";
    static const char names[NAMES] = "ABC";
    const unsigned at = pick(ROOMS), who = pick(PEOPLE), what = pick(12);
    const ln_span room = {&rooms[at], 1};
    int *is_there = &l->truth[at][who];
    ln_roster_news news;

    if (what < 5) {
        *is_there = (int)pick(NAMES);
        join(l->r, room, who, (ln_span){&names[*is_there], 1});
    } else if (what < 9) {
        assert_int_equal(ln_roster_leave(l->r, room, who), *is_there >= 0 ? 0 : LN_ERR_NOT_FOUND);
        *is_there = -1;
    } else if (what < 10) {
        size_t left = 0;
        for (int i = 0; i < ROOMS; i++) {
            left += l->truth[i][who] >= 0;
            l->truth[i][who] = -1;
        }
        assert_int_equal(ln_roster_leave_all(l->r, who), left);
    } else if (what < 11) {
        start_to_follow(&l->followers[at][1]);
        if (ln_roster_snapshot(l->r, room, &news) == 0)
            follow(&l->followers[at][1], &news);
    } else if (ln_roster_flush(l->r, room, &news) == 0) {
        for (int i = 0; i < 2; i++) {
            follow(&l->followers[at][i], &news);
            assert_follows(&l->followers[at][i], l->truth[at]);
        }
    }
}

static void a_follower_of_the_news_knows_who_is_there(void **state)
{
    (void)state;
    const ln_roster_limits wide = {.room_max_bytes = 1,
                                   .rooms = ROOMS,
                                   .people_per_room = PEOPLE,
                                   .rooms_per_person = ROOMS,
                                   .list_max = 4};
    for (uint64_t s = 1; s <= 200; s++) {
        chance = s * UINT64_C(0x9E3779B97F4A7C15);
        failing_alloc_init(&fa, FAILING_NEVER);
        life l = {.r = ln_roster_new(&fa.hook, &wide, seed)};
        memset(l.truth, 0xFF, sizeof l.truth);
        for (int i = 0; i < ROOMS; i++) {
            start_to_follow(&l.followers[i][0]);
            start_to_follow(&l.followers[i][1]);
        }
        for (int step = 0; step < 300; step++)
            live_one_step(&l);
        done(l.r);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_room_exists_while_somebody_is_in_it),
        cmocka_unit_test(a_flush_tells_who_came_and_went_since_the_last),
        cmocka_unit_test(what_is_undone_before_the_flush_is_not_told),
        cmocka_unit_test(a_new_name_is_told_like_a_join),
        cmocka_unit_test(versions_chain_the_diffs_and_outlive_the_room),
        cmocka_unit_test(changed_rooms_are_flushed_in_the_order_of_their_changes),
        cmocka_unit_test(a_large_room_is_a_number),
        cmocka_unit_test(a_counted_room_that_empties_says_so_and_ends),
        cmocka_unit_test(a_snapshot_is_what_the_last_flush_told),
        cmocka_unit_test(the_list_is_who_is_there_now),
        cmocka_unit_test(names_are_checked),
        cmocka_unit_test(every_limit_holds_and_leaving_makes_room),
        cmocka_unit_test(who_is_only_remembered_cannot_return_to_a_full_room),
        cmocka_unit_test(a_roster_is_freed_with_everybody_in_it),
        cmocka_unit_test(running_out_of_memory_changes_nothing),
        cmocka_unit_test(a_follower_of_the_news_knows_who_is_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
