/* SPDX-License-Identifier: MIT */
#include "failing_alloc.h"

#include <stdio.h>

#include "base/list.h"
#include "hub/hubinner.h"

static const ln_hub_limits limits = {.topic_max_bytes = 16, .topics_per_subscriber = 64};
static const uint64_t seed[2] = {1, 2};

/* A subscriber that writes down what it gets, as "id:payload ", and then does as it was told. */
typedef struct peer peer;
struct peer {
    ln_subscriber sub;
    ln_hub *hub;
    char *heard;
    ln_delivery outcome;
    void (*act)(peer *p, ln_msg *m);
    peer *other;
    int rc; /* of what it did */
};

static char heard[4096];

static ln_delivery on_message(ln_subscriber *s, ln_msg *m)
{
    peer *p = LN_CONTAINER_OF(s, peer, sub);
    const ln_delivery outcome = p->outcome;
    char *end = p->heard + strlen(p->heard);
    sprintf(end, "%u:%.*s ", (unsigned)s->id, (int)m->payload.size, (const char *)m->payload.data);
    if (p->act)
        p->act(p, m);
    return outcome;
}

static void init_peers(peer *peers, size_t n, ln_hub *hub)
{
    heard[0] = '\0';
    for (size_t i = 0; i < n; i++) {
        peers[i] = (peer){.hub = hub, .heard = heard};
        ln_subscriber_init(&peers[i].sub, on_message, i + 1);
    }
}

static void join_all(peer *peers, size_t n, ln_span topic)
{
    for (size_t i = 0; i < n; i++)
        assert_int_equal(ln_hub_subscribe(peers[i].hub, &peers[i].sub, topic), 0);
}

static void leave_all(peer *peers, size_t n)
{
    for (size_t i = 0; i < n; i++)
        ln_hub_leave_all(peers[i].hub, &peers[i].sub);
}

static int say(ln_hub *hub, ln_span topic, ln_span payload, uint64_t excluded,
               ln_hub_result *result)
{
    ln_msg *m = ln_msg_new(NULL, LN_MSG_TEXT, topic, (ln_span){0}, payload, 0);
    m->excluded = excluded;
    const int rc = ln_hub_publish(hub, m, result);
    ln_msg_unref(m);
    return rc;
}

#define TOPIC LN_SPAN("lobby")
#define OTHER LN_SPAN("garden")

/* A hub with its allocator; with_hub() gives a fresh one, done() insists that everything came
 * back. */
static failing_alloc fa;

static ln_hub *with_hub(void)
{
    failing_alloc_init(&fa, FAILING_NEVER);
    ln_hub *hub = ln_hub_new(&fa.hook, &limits, seed);
    assert_non_null(hub);
    return hub;
}

static void done(ln_hub *hub)
{
    assert_int_equal(ln_hub_topic_count(hub), 0);
    ln_hub_free(hub);
    failing_alloc_assert_empty(&fa);
}

static void a_topic_exists_while_somebody_is_in_it(void **state)
{
    (void)state;
    ln_hub *hub = with_hub();
    peer p[2];
    init_peers(p, 2, hub);
    assert_int_equal(say(hub, TOPIC, LN_SPAN("hello?"), 0, NULL), 0);
    join_all(p, 2, TOPIC);
    assert_int_equal(ln_hub_topic_count(hub), 1);
    assert_int_equal(ln_hub_member_count(hub, TOPIC), 2);
    assert_int_equal(ln_hub_member_count(hub, OTHER), 0);
    assert_int_equal(ln_hub_unsubscribe(hub, &p[0].sub, TOPIC), 0);
    assert_int_equal(ln_hub_unsubscribe(hub, &p[0].sub, TOPIC), LN_ERR_NOT_FOUND);
    assert_int_equal(ln_hub_unsubscribe(hub, &p[1].sub, OTHER), LN_ERR_NOT_FOUND);
    assert_int_equal(ln_hub_topic_count(hub), 1);
    ln_hub_leave_all(hub, &p[1].sub);
    assert_string_equal(heard, "");
    done(hub);
    ln_hub_free(NULL);
}

static void subscribing_twice_is_once(void **state)
{
    (void)state;
    ln_hub *hub = with_hub();
    peer p[1];
    init_peers(p, 1, hub);
    join_all(p, 1, TOPIC);
    join_all(p, 1, TOPIC);
    assert_int_equal(ln_hub_member_count(hub, TOPIC), 1);
    assert_int_equal(say(hub, TOPIC, LN_SPAN("once"), 0, NULL), 0);
    assert_string_equal(heard, "1:once ");
    assert_int_equal(ln_hub_unsubscribe(hub, &p[0].sub, TOPIC), 0);
    done(hub);
}

static void a_bad_name_is_refused_everywhere(void **state)
{
    (void)state;
    const ln_span bad[] = {
        {0}, LN_SPAN("line\nbreak"), LN_SPAN("\xC0\x80"), LN_SPAN("seventeen letters")};
    ln_hub *hub = with_hub();
    peer p[1];
    init_peers(p, 1, hub);
    for (size_t i = 0; i < LN_ARRAY_SIZE(bad); i++) {
        ln_hub_result result = {.delivered = 99};
        assert_int_equal(ln_hub_subscribe(hub, &p[0].sub, bad[i]), LN_ERR_INVALID);
        assert_int_equal(say(hub, bad[i], LN_SPAN("x"), 0, &result), LN_ERR_INVALID);
        assert_int_equal(result.delivered, 99);
    }
    assert_int_equal(ln_hub_subscribe(hub, &p[0].sub, LN_SPAN("sixteen letters!")), 0);
    ln_hub_leave_all(hub, &p[0].sub);
    done(hub);
}

static void a_subscriber_has_its_limit(void **state)
{
    (void)state;
    ln_hub *hub = with_hub();
    peer p[1];
    init_peers(p, 1, hub);
    char name[] = "room  ";
    for (int i = 0; i < 65; i++) {
        name[4] = (char)('0' + i / 10);
        name[5] = (char)('0' + i % 10);
        const int rc = ln_hub_subscribe(hub, &p[0].sub, LN_SPAN(name));
        assert_int_equal(rc, i < 64 ? 0 : LN_ERR_LIMIT);
    }
    assert_int_equal(ln_hub_subscribe(hub, &p[0].sub, LN_SPAN("room00")), 0); /* is in already */
    assert_int_equal(ln_hub_topic_count(hub), 64);
    assert_int_equal(ln_hub_unsubscribe(hub, &p[0].sub, LN_SPAN("room31")), 0);
    assert_int_equal(ln_hub_unsubscribe(hub, &p[0].sub, LN_SPAN("room31")), LN_ERR_NOT_FOUND);
    assert_int_equal(ln_hub_subscribe(hub, &p[0].sub, LN_SPAN("room64")), 0);
    ln_hub_leave_all(hub, &p[0].sub);
    done(hub);
}

static void everybody_else_gets_it_and_outcomes_are_counted(void **state)
{
    (void)state;
    ln_hub *hub = with_hub();
    peer p[6];
    init_peers(p, 6, hub);
    join_all(p, 6, TOPIC);
    p[1].outcome = LN_DELIVERY_QUEUED;
    p[2].outcome = LN_DELIVERY_DROPPED;
    p[3].outcome = p[4].outcome = LN_DELIVERY_CLOSED;
    ln_hub_result result;
    assert_int_equal(say(hub, TOPIC, LN_SPAN("a"), 6, &result), 0);
    assert_string_equal(heard, "1:a 2:a 3:a 4:a 5:a ");
    assert_int_equal(result.delivered, 1);
    assert_int_equal(result.queued, 1);
    assert_int_equal(result.dropped, 1);
    assert_int_equal(result.closed, 2);

    ln_hub_stats stats;
    ln_hub_stats_get(hub, &stats);
    assert_true(stats.publications == 1 && stats.deliveries == 1 && stats.queued == 1);
    assert_true(stats.dropped == 1 && stats.closed == 2 && stats.topics == 1 && stats.members == 6);
    leave_all(p, 6);
    ln_hub_stats_get(hub, &stats);
    assert_true(stats.deliveries == 1 && stats.topics == 0 && stats.members == 0);
    done(hub);
}

static void nobody_is_excluded_by_the_id_0(void **state)
{
    (void)state;
    ln_hub *hub = with_hub();
    peer p[1];
    init_peers(p, 1, hub);
    p[0].sub.id = 0;
    join_all(p, 1, TOPIC);
    assert_int_equal(say(hub, TOPIC, LN_SPAN("a"), 0, NULL), 0);
    assert_string_equal(heard, "0:a ");
    leave_all(p, 1);
    done(hub);
}

static void leaving_in_any_order_loses_nobody_else(void **state)
{
    (void)state;
    enum { PEERS = 50 };
    ln_hub *hub = with_hub();
    peer p[PEERS];
    init_peers(p, PEERS, hub);
    join_all(p, PEERS, TOPIC);
    bool is_in[PEERS];
    memset(is_in, true, sizeof is_in);
    for (size_t k = 0; k < PEERS; k++) {
        /* 37 and 50 have no common factor: everybody's turn comes. */
        const size_t leaver = k * 37 % PEERS;
        assert_int_equal(ln_hub_unsubscribe(hub, &p[leaver].sub, TOPIC), 0);
        is_in[leaver] = false;
        heard[0] = '\0';
        assert_int_equal(say(hub, TOPIC, LN_SPAN("."), 0, NULL), 0);
        size_t expected = 0;
        for (size_t i = 0; i < PEERS; i++) {
            char call[8];
            sprintf(call, " %u:.", (unsigned)i + 1);
            char all[4097] = " ";
            strcat(all, heard);
            assert_int_equal(strstr(all, call) != NULL, is_in[i]);
            assert_int_equal(ln_hub_is_member(hub, &p[i].sub, TOPIC), is_in[i]);
            expected += is_in[i];
        }
        assert_int_equal(ln_hub_member_count(hub, TOPIC), expected);
    }
    done(hub);
}

/* -- What a delivery may do -------------------------------------------------------------------- */

static void leave_topic(peer *p, ln_msg *m)
{
    p->rc = ln_hub_unsubscribe(p->hub, &p->sub, m->topic);
}

static void vanish_other(peer *p, ln_msg *m)
{
    (void)m;
    if (!p->other)
        return;
    ln_hub_leave_all(p->hub, &p->other->sub);
    free(p->other);
    p->other = NULL;
}

static void bring_other(peer *p, ln_msg *m)
{
    p->rc = ln_hub_subscribe(p->hub, &p->other->sub, m->topic);
}

static void shuffle_other(peer *p, ln_msg *m)
{
    assert_int_equal(ln_hub_unsubscribe(p->hub, &p->other->sub, m->topic), 0);
    bring_other(p, m);
}

static void a_leaver_during_a_publication_is_skipped(void **state)
{
    (void)state;
    ln_hub *hub = with_hub();
    peer p[4];
    init_peers(p, 4, hub);
    peer *victim = malloc(sizeof *victim);
    *victim = (peer){.hub = hub, .heard = heard};
    ln_subscriber_init(&victim->sub, on_message, 9);
    join_all(p, 3, TOPIC);
    join_all(victim, 1, TOPIC);
    join_all(victim, 1, OTHER);
    join_all(p + 3, 1, TOPIC);
    p[0].act = leave_topic;
    p[1].act = vanish_other; /* gone and freed before its turn */
    p[1].other = victim;

    ln_hub_result result;
    assert_int_equal(say(hub, TOPIC, LN_SPAN("a"), 0, &result), 0);
    assert_string_equal(heard, "1:a 2:a 3:a 4:a ");
    assert_int_equal(result.delivered, 4);
    assert_int_equal(p[0].rc, 0);
    assert_int_equal(ln_hub_member_count(hub, TOPIC), 3);
    assert_int_equal(ln_hub_topic_count(hub), 1);

    heard[0] = '\0';
    assert_int_equal(say(hub, TOPIC, LN_SPAN("b"), 0, NULL), 0);
    assert_string_equal(heard, "2:b 3:b 4:b ");
    leave_all(p, 4);
    done(hub);
}

static void a_joiner_during_a_publication_waits_for_the_next(void **state)
{
    (void)state;
    ln_hub *hub = with_hub();
    peer p[20];
    init_peers(p, 20, hub);
    join_all(p, 1, TOPIC);
    for (size_t i = 0; i < 19; i++) { /* each brings the next; the seats move as they grow */
        p[i].act = bring_other;
        p[i].other = &p[i + 1];
    }
    for (size_t round = 1; round < 20; round++) {
        ln_hub_result result;
        assert_int_equal(say(hub, TOPIC, LN_SPAN("a"), 0, &result), 0);
        assert_int_equal(result.delivered, round);
        assert_int_equal(ln_hub_member_count(hub, TOPIC), round + 1);
    }
    leave_all(p, 20);
    done(hub);
}

static void who_leaves_and_joins_again_meanwhile_gets_nothing_twice(void **state)
{
    (void)state;
    ln_hub *hub = with_hub();
    peer p[3];
    init_peers(p, 3, hub);
    join_all(p, 3, TOPIC);
    p[1].act = shuffle_other;
    p[1].other = &p[0]; /* it had the message */
    assert_int_equal(say(hub, TOPIC, LN_SPAN("a"), 0, NULL), 0);
    p[1].other = &p[2]; /* its turn would have come */
    assert_int_equal(say(hub, TOPIC, LN_SPAN("b"), 0, NULL), 0);
    assert_string_equal(heard, "1:a 2:a 3:a 2:b 1:b ");
    leave_all(p, 3);
    done(hub);
}

static void reply(peer *p, ln_msg *m)
{
    if (m->payload.size == 1)
        p->rc = say(p->hub, p->other ? OTHER : TOPIC, LN_SPAN("re"), 0, NULL);
}

static void what_a_delivery_publishes_waits_for_the_end(void **state)
{
    (void)state;
    ln_hub *hub = with_hub();
    peer p[3];
    init_peers(p, 3, hub);
    join_all(p, 3, TOPIC);
    join_all(p + 1, 2, OTHER);
    p[0].act = p[1].act = reply;
    p[0].other = p;
    ln_hub_result result;
    assert_int_equal(say(hub, TOPIC, LN_SPAN("a"), 0, &result), 0);
    assert_string_equal(heard, "1:a 2:a 3:a 2:re 3:re 1:re 2:re 3:re ");
    assert_int_equal(result.delivered, 3);
    ln_hub_stats stats;
    ln_hub_stats_get(hub, &stats);
    assert_true(stats.publications == 3 && stats.deliveries == 8);
    leave_all(p, 3);
    done(hub);
}

static void reply_for_ever(peer *p, ln_msg *m)
{
    (void)m;
    ln_hub_result result = {.delivered = 99};
    const int rc = say(p->hub, TOPIC, LN_SPAN("b"), 0, &result);
    if (rc == 0)
        assert_int_equal(result.delivered, 0);
    p->rc = rc < 0 ? rc : p->rc;
    p->heard[0] = '\0';
}

static void a_circle_of_replies_is_cut(void **state)
{
    (void)state;
    ln_hub *hub = with_hub();
    peer p[2];
    init_peers(p, 2, hub);
    join_all(p, 2, TOPIC);
    p[0].act = p[1].act = reply_for_ever;
    for (uint64_t round = 1; round <= 2; round++) {
        assert_int_equal(say(hub, TOPIC, LN_SPAN("b"), 0, NULL), 0);
        assert_int_equal(p[0].rc, LN_ERR_LIMIT);
        ln_hub_stats stats;
        ln_hub_stats_get(hub, &stats);
        assert_true(stats.publications == round * (LN_HUB_CASCADE_MAX + 1));
        assert_true(stats.deliveries == stats.publications * 2);
    }
    leave_all(p, 2);
    done(hub);
}

static void ask(peer *p, ln_msg *m)
{
    const bool is_in = ln_hub_is_member(p->hub, &p->other->sub, m->topic);
    p->rc = (int)ln_hub_member_count(p->hub, m->topic) * 10 + is_in;
}

static void asking_during_a_publication_sees_who_is_left(void **state)
{
    (void)state;
    ln_hub *hub = with_hub();
    peer p[3];
    init_peers(p, 3, hub);
    join_all(p, 3, TOPIC);
    p[0].act = leave_topic;
    p[1].act = p[2].act = ask;
    p[1].other = &p[0];
    p[2].other = &p[1];
    assert_int_equal(say(hub, TOPIC, LN_SPAN("a"), 0, NULL), 0);
    assert_int_equal(p[1].rc, 20);
    assert_int_equal(p[2].rc, 21);
    leave_all(p, 3);
    done(hub);
}

static void count_one(ln_subscriber *s, void *arg)
{
    *(uint64_t *)arg += s->id;
}

static void count_each(peer *p, ln_msg *m)
{
    uint64_t sum = 0;
    assert_int_equal(ln_hub_unsubscribe(p->hub, &p->other->sub, m->topic), 0);
    ln_hub_each(p->hub, m->topic, count_one, &sum);
    p->rc = (int)sum;
}

static void each_calls_the_members_only(void **state)
{
    (void)state;
    ln_hub *hub = with_hub();
    peer p[4];
    init_peers(p, 4, hub);
    join_all(p, 4, TOPIC);
    uint64_t sum = 0;
    ln_hub_each(hub, TOPIC, count_one, &sum);
    ln_hub_each(hub, OTHER, count_one, &sum);
    assert_int_equal(sum, 10);
    p[0].act = count_each;
    p[0].other = &p[2];
    assert_int_equal(say(hub, TOPIC, LN_SPAN("a"), 0, NULL), 0);
    assert_int_equal(p[0].rc, 7);
    leave_all(p, 4);
    done(hub);
}

/* -- Filters ----------------------------------------------------------------------------------- */

static void a_filter_gets_what_is_published_to_names_it_matches(void **state)
{
    (void)state;
    ln_hub *hub = with_hub();
    peer p[4];
    init_peers(p, 4, hub);
    join_all(p, 1, LN_SPAN("a.b"));
    join_all(p + 1, 1, LN_SPAN("a.*"));
    join_all(p + 2, 1, LN_SPAN(">"));
    join_all(p + 3, 1, LN_SPAN("*.c"));
    ln_hub_result result;
    assert_int_equal(say(hub, LN_SPAN("a.b"), LN_SPAN("1"), 0, &result), 0);
    assert_int_equal(result.delivered, 3);
    assert_int_equal(say(hub, LN_SPAN("$a.b"), LN_SPAN("2"), 0, &result), 0);
    assert_int_equal(result.delivered, 0);
    assert_int_equal(say(hub, LN_SPAN("b.c"), LN_SPAN("3"), 3, &result), 0);
    assert_int_equal(result.delivered, 1); /* one of two is excluded */
    assert_int_equal(ln_hub_topic_count(hub), 4);
    assert_int_equal(ln_hub_member_count(hub, LN_SPAN("a.*")), 1);
    assert_true(ln_hub_is_member(hub, &p[2].sub, LN_SPAN(">")));
    assert_false(ln_hub_is_member(hub, &p[2].sub, LN_SPAN("a.b")));
    assert_int_equal(ln_hub_unsubscribe(hub, &p[2].sub, LN_SPAN(">")), 0);
    assert_int_equal(ln_hub_unsubscribe(hub, &p[2].sub, LN_SPAN(">")), LN_ERR_NOT_FOUND);
    heard[0] = '\0';
    assert_int_equal(say(hub, LN_SPAN("x"), LN_SPAN("4"), 0, NULL), 0);
    assert_string_equal(heard, "");
    leave_all(p, 4);
    done(hub);
}

static void nobody_publishes_to_a_filter_and_a_bad_one_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {"a..*", "*.", ".>"};
    ln_hub *hub = with_hub();
    peer p[1];
    init_peers(p, 1, hub);
    join_all(p, 1, LN_SPAN("a.*"));
    ln_hub_result result = {.delivered = 99};
    assert_int_equal(say(hub, LN_SPAN("a.*"), LN_SPAN("x"), 0, &result), LN_ERR_INVALID);
    assert_int_equal(say(hub, LN_SPAN(">"), LN_SPAN("x"), 0, &result), LN_ERR_INVALID);
    assert_int_equal(result.delivered, 99);
    for (size_t i = 0; i < LN_ARRAY_SIZE(bad); i++) {
        const ln_span name = {bad[i], strlen(bad[i])};
        assert_int_equal(ln_hub_subscribe(hub, &p[0].sub, name), LN_ERR_INVALID);
        assert_int_equal(ln_hub_unsubscribe(hub, &p[0].sub, name), LN_ERR_NOT_FOUND);
    }
    assert_int_equal(ln_hub_topic_count(hub), 1);

    /* what a careless backplane brings is for names that are spelled so, and nobody's */
    ln_msg *m = ln_msg_new(NULL, LN_MSG_TEXT, LN_SPAN(">"), (ln_span){0}, LN_SPAN("x"), 0);
    assert_int_equal(ln_hub_deliver(hub, m, &result), 0);
    assert_int_equal(result.delivered, 0);
    ln_msg_unref(m);
    leave_all(p, 1);
    done(hub);
}

static void who_matches_several_times_gets_it_once(void **state)
{
    (void)state;
    ln_hub *hub = with_hub();
    peer p[3];
    init_peers(p, 3, hub);
    for (size_t i = 0; i < 2; i++) {
        join_all(p + i, 1, LN_SPAN("a.b"));
        join_all(p + i, 1, LN_SPAN("a.*"));
        join_all(p + i, 1, LN_SPAN(">"));
    }
    join_all(p + 2, 1, LN_SPAN("*.b"));
    for (int round = 0; round < 3; round++) {
        ln_hub_result result;
        heard[0] = '\0';
        assert_int_equal(say(hub, LN_SPAN("a.b"), LN_SPAN("x"), 0, &result), 0);
        assert_int_equal(result.delivered, 3);
        assert_string_equal(heard, "1:x 2:x 3:x ");
    }
    leave_all(p, 3);
    done(hub);
}

static void the_numbers_of_publications_may_begin_anew(void **state)
{
    (void)state;
    ln_hub *hub = with_hub();
    peer p[3];
    init_peers(p, 3, hub);
    join_all(p, 2, LN_SPAN("a.*"));
    join_all(p + 2, 1, LN_SPAN("b.*"));
    for (int i = 0; i < 3; i++) /* marked with 1 to 3 */
        assert_int_equal(say(hub, LN_SPAN("a.b"), LN_SPAN("x"), 0, NULL), 0);
    assert_int_equal(say(hub, LN_SPAN("b.b"), LN_SPAN("x"), 0, NULL), 0);
    assert_int_equal(hub->serial, 4);
    assert_int_equal(p[2].sub.reached, 4);
    leave_all(p + 1, 1); /* and keeps its mark, 3 */
    hub->serial = UINT32_MAX - 1;
    for (uint32_t serial = UINT32_MAX; serial != 4; serial = hub->serial + 1) {
        heard[0] = '\0';
        if (serial == 3)
            join_all(p + 1, 1, LN_SPAN("a.*"));
        assert_int_equal(say(hub, LN_SPAN("a.b"), LN_SPAN("x"), 0, NULL), 0);
        assert_string_equal(heard, serial == 3 ? "1:x 2:x " : "1:x ");
    }
    heard[0] = '\0';
    assert_int_equal(say(hub, LN_SPAN("b.b"), LN_SPAN("x"), 0, NULL), 0);
    assert_int_equal(hub->serial, 4);
    assert_string_equal(heard, "3:x ");
    leave_all(p, 3);
    done(hub);
}

static void leave_the_name(peer *p, ln_msg *m)
{
    p->rc = ln_hub_unsubscribe(p->hub, &p->other->sub, m->topic);
}

static void who_leaves_the_name_is_still_reached_through_a_filter(void **state)
{
    (void)state;
    ln_hub *hub = with_hub();
    peer p[3];
    init_peers(p, 3, hub);
    join_all(p, 3, LN_SPAN("a.b"));
    join_all(p + 2, 1, LN_SPAN("a.*"));
    p[0].act = p[1].act = leave_the_name;
    p[0].other = &p[1]; /* out before its turn */
    ln_hub_result result;
    assert_int_equal(say(hub, LN_SPAN("a.b"), LN_SPAN("x"), 0, &result), 0);
    assert_string_equal(heard, "1:x 3:x ");
    heard[0] = '\0';
    p[0].other = &p[2];
    assert_int_equal(say(hub, LN_SPAN("a.b"), LN_SPAN("y"), 0, &result), 0);
    assert_string_equal(heard, "1:y 3:y ");
    leave_all(p, 3);
    done(hub);
}

static void bring_to_a_filter(peer *p, ln_msg *m)
{
    (void)m;
    p->rc = ln_hub_subscribe(p->hub, &p->other->sub, LN_SPAN("a.*"));
}

static void who_joins_a_filter_meanwhile_waits_for_the_next(void **state)
{
    (void)state;
    ln_hub *hub = with_hub();
    peer p[4];
    init_peers(p, 4, hub);
    join_all(p, 1, LN_SPAN("a.b"));
    join_all(p + 3, 1, LN_SPAN("a.*")); /* its members are visited after the name's */
    p[0].act = bring_to_a_filter;
    p[0].other = &p[1];
    assert_int_equal(say(hub, LN_SPAN("a.b"), LN_SPAN("x"), 0, NULL), 0);
    assert_string_equal(heard, "1:x 4:x ");
    p[0].other = &p[2];
    assert_int_equal(say(hub, LN_SPAN("a.b"), LN_SPAN("y"), 0, NULL), 0);
    assert_string_equal(heard, "1:x 4:x 1:y 4:y 2:y ");
    leave_all(p, 4);
    done(hub);
}

static void filters_need_memory_when_they_come_and_none_when_they_match(void **state)
{
    (void)state;
    static const char *const filters[] = {"*.b", "a.*", ">", "*.*", "a.>"};
    ln_hub *hub = with_hub();
    peer p[5];
    init_peers(p, 5, hub);
    const size_t before = fa.live_bytes;
    for (size_t i = 0; i < 5; i++)
        join_all(p + i, 1, (ln_span){filters[i], strlen(filters[i])});
    ln_msg *m = ln_msg_new(NULL, LN_MSG_TEXT, LN_SPAN("a.b"), (ln_span){0}, LN_SPAN("x"), 0);
    const size_t calls = fa.calls;
    ln_hub_result result;
    assert_int_equal(ln_hub_publish(hub, m, &result), 0);
    assert_int_equal(result.delivered, 5);
    assert_true(fa.calls == calls);
    ln_msg_unref(m);
    leave_all(p, 5);
    assert_in_range(fa.live_bytes, before, before + 1024);
    done(hub);
}

/* -- Everybody --------------------------------------------------------------------------------- */

static int cry(ln_hub *hub, ln_span payload, uint64_t excluded, ln_hub_result *result)
{
    ln_msg *m = ln_msg_new(NULL, LN_MSG_TEXT, (ln_span){0}, (ln_span){0}, payload, 0);
    m->excluded = excluded;
    const int rc = ln_hub_broadcast(hub, m, result);
    ln_msg_unref(m);
    return rc;
}

static void bring_elsewhere(peer *p, ln_msg *m)
{
    (void)m;
    p->rc = ln_hub_subscribe(p->hub, &p->other->sub, LN_SPAN("new"));
}

static void a_broadcast_reaches_everybody_once(void **state)
{
    (void)state;
    ln_hub *hub = with_hub();
    peer p[5];
    init_peers(p, 5, hub);
    ln_hub_result result;
    assert_int_equal(cry(hub, LN_SPAN("hello?"), 0, &result), 0);
    assert_int_equal(result.delivered, 0);
    join_all(p, 2, TOPIC);
    join_all(p + 1, 2, OTHER);
    join_all(p, 3, LN_SPAN("$own"));
    join_all(p + 3, 1, LN_SPAN("a.*"));
    p[0].act = bring_elsewhere; /* too late for this one */
    p[0].other = &p[4];
    assert_int_equal(cry(hub, LN_SPAN("x"), 3, &result), 0);
    assert_string_equal(heard, "1:x 2:x 4:x ");
    assert_int_equal(result.delivered, 3);
    p[0].act = NULL;
    heard[0] = '\0';
    assert_int_equal(cry(hub, LN_SPAN("y"), 0, NULL), 0);
    assert_string_equal(heard, "1:y 2:y 3:y 4:y 5:y ");
    assert_int_equal(say(hub, (ln_span){0}, LN_SPAN("x"), 0, NULL), LN_ERR_INVALID);
    ln_msg *m = ln_msg_new(NULL, LN_MSG_TEXT, TOPIC, (ln_span){0}, LN_SPAN("x"), 0);
    assert_int_equal(ln_hub_broadcast(hub, m, NULL), LN_ERR_INVALID);
    ln_msg_unref(m);
    leave_all(p, 5);
    done(hub);
}

/* -- Bounds ------------------------------------------------------------------------------------ */

static void a_topic_and_a_hub_can_be_full(void **state)
{
    (void)state;
    ln_hub *hub = with_hub();
    peer p[4];
    init_peers(p, 4, hub);
    ln_hub_set_bounds(hub, &(ln_hub_bounds){.members_per_topic = 2, .members = 4});
    join_all(p, 2, TOPIC);
    assert_int_equal(ln_hub_subscribe(hub, &p[2].sub, TOPIC), LN_ERR_LIMIT);
    assert_int_equal(ln_hub_find_obstacle(hub, &p[2].sub, TOPIC), LN_HUB_TOPIC_IS_FULL);
    assert_int_equal(ln_hub_find_obstacle(hub, &p[2].sub, OTHER), LN_HUB_IS_FREE);
    join_all(p, 2, TOPIC); /* who is in may say so again */
    assert_int_equal(ln_hub_find_obstacle(hub, &p[0].sub, TOPIC), LN_HUB_IS_FREE);
    join_all(p + 2, 2, LN_SPAN("a.*"));
    assert_int_equal(ln_hub_subscribe(hub, &p[0].sub, OTHER), LN_ERR_LIMIT);
    assert_int_equal(ln_hub_find_obstacle(hub, &p[0].sub, OTHER), LN_HUB_IS_FULL);
    assert_int_equal(ln_hub_topic_count(hub), 2);

    assert_int_equal(ln_hub_unsubscribe(hub, &p[0].sub, TOPIC), 0);
    join_all(p + 2, 1, TOPIC);
    assert_int_equal(ln_hub_subscribe(hub, &p[0].sub, OTHER), LN_ERR_LIMIT);
    ln_hub_set_bounds(hub, &(ln_hub_bounds){0});
    join_all(p, 4, TOPIC);
    assert_int_equal(ln_hub_member_count(hub, TOPIC), 4);
    leave_all(p, 4);
    done(hub);
}

static void leave_and_bring(peer *p, ln_msg *m)
{
    leave_topic(p, m);
    p->rc = ln_hub_subscribe(p->hub, &p->other->sub, m->topic);
}

static void who_leaves_during_a_publication_makes_room(void **state)
{
    (void)state;
    ln_hub *hub = with_hub();
    peer p[3];
    init_peers(p, 3, hub);
    ln_hub_set_bounds(hub, &(ln_hub_bounds){.members_per_topic = 2, .members = 2});
    join_all(p, 2, TOPIC);
    p[0].act = leave_and_bring;
    p[0].other = &p[2];
    assert_int_equal(say(hub, TOPIC, LN_SPAN("a"), 0, NULL), 0);
    assert_int_equal(p[0].rc, 0);
    assert_int_equal(ln_hub_member_count(hub, TOPIC), 2);
    leave_all(p, 3);
    done(hub);
}

/* -- Lists ------------------------------------------------------------------------------------- */

static bool write_topic(ln_span topic, size_t members, void *arg)
{
    char *out = arg;
    sprintf(out + strlen(out), "%.*s=%zu ", (int)topic.size, (const char *)topic.data, members);
    return topic.size < 6;
}

static bool write_own(ln_span topic, void *arg)
{
    return write_topic(topic, 1, arg);
}

static void topics_are_listed_until_it_is_enough(void **state)
{
    (void)state;
    char out[100] = "";
    ln_hub *hub = with_hub();
    peer p[3];
    init_peers(p, 3, hub);
    ln_hub_each_topic(hub, write_topic, out);
    assert_string_equal(out, "");
    join_all(p, 3, TOPIC);
    join_all(p, 1, LN_SPAN("a.*"));
    join_all(p, 2, OTHER); /* its name ends the list */
    join_all(p, 1, LN_SPAN("z"));
    ln_hub_each_topic(hub, write_topic, out);
    assert_string_equal(out, "lobby=3 a.*=1 garden=2 ");
    out[0] = '\0';
    ln_hub_each_of(&p[1].sub, write_own, out);
    assert_string_equal(out, "garden=1 ");
    assert_int_equal(p[1].sub.count, 2);
    leave_all(p, 3);
    done(hub);
}

/* -- The backplane ----------------------------------------------------------------------------- */

/* Writes what it is told into `heard`: "+topic ", "-topic ", ">payload ". */
typedef struct plane {
    ln_backplane base;
    int rc;        /* what it answers */
    ln_msg *reply; /* brought at once when something is published */
} plane;

static int on_interest(ln_backplane *b, ln_hub *hub, ln_span topic, bool wanted)
{
    (void)hub;
    const plane *pl = LN_CONTAINER_OF(b, plane, base);
    sprintf(heard + strlen(heard), "%c%.*s ", wanted ? '+' : '-', (int)topic.size,
            (const char *)topic.data);
    return pl->rc;
}

static int on_publish(ln_backplane *b, ln_hub *from, ln_msg *m)
{
    plane *pl = LN_CONTAINER_OF(b, plane, base);
    sprintf(heard + strlen(heard), ">%.*s ", (int)m->payload.size, (const char *)m->payload.data);
    ln_msg *answer = pl->reply;
    pl->reply = NULL;
    if (answer)
        assert_int_equal(ln_hub_deliver(from, answer, NULL), 0);
    ln_msg_unref(answer);
    return pl->rc;
}

static plane with_plane(void)
{
    return (plane){.base = {.interest = on_interest, .publish = on_publish}};
}

static void interest_begins_with_the_first_and_ends_with_the_last(void **state)
{
    (void)state;
    ln_hub *hub = with_hub();
    plane pl = with_plane();
    ln_hub_attach(hub, &pl.base);
    peer p[2];
    init_peers(p, 2, hub);
    join_all(p, 2, TOPIC);
    join_all(p, 1, OTHER);
    assert_string_equal(heard, "+lobby +garden ");
    ln_hub_leave_all(hub, &p[0].sub);
    assert_string_equal(heard, "+lobby +garden -garden ");
    ln_hub_leave_all(hub, &p[1].sub);
    assert_string_equal(heard, "+lobby +garden -garden -lobby ");
    heard[0] = '\0';
    join_all(p, 2, LN_SPAN("lob*.*"));
    leave_all(p, 2);
    assert_int_equal(cry(hub, LN_SPAN("all"), 0, NULL), 0);
    assert_string_equal(heard, "+lob*.* -lob*.* >all ");
    done(hub);
}

static void refused_interest_undoes_the_subscription(void **state)
{
    (void)state;
    ln_hub *hub = with_hub();
    plane pl = with_plane();
    ln_hub_attach(hub, &pl.base);
    peer p[1];
    init_peers(p, 1, hub);
    pl.rc = LN_ERR_NOMEM;
    assert_int_equal(ln_hub_subscribe(hub, &p[0].sub, TOPIC), LN_ERR_NOMEM);
    assert_int_equal(p[0].sub.count, 0);
    assert_int_equal(ln_hub_topic_count(hub), 0);
    assert_string_equal(heard, "+lobby ");
    pl.rc = 0;
    join_all(p, 1, TOPIC);
    pl.rc = LN_ERR_NOMEM; /* a withdrawal cannot fail */
    assert_int_equal(ln_hub_unsubscribe(hub, &p[0].sub, TOPIC), 0);
    assert_string_equal(heard, "+lobby +lobby -lobby ");
    done(hub);
}

static void interest_ends_with_the_publication_in_which_all_left(void **state)
{
    (void)state;
    ln_hub *hub = with_hub();
    plane pl = with_plane();
    ln_hub_attach(hub, &pl.base);
    peer p[2];
    init_peers(p, 2, hub);
    join_all(p, 2, TOPIC);
    p[0].act = p[1].act = leave_topic;
    assert_int_equal(say(hub, TOPIC, LN_SPAN("a"), 0, NULL), 0);
    assert_string_equal(heard, "+lobby >a 1:a 2:a -lobby ");

    heard[0] = '\0';
    join_all(p, 1, TOPIC);
    p[0].act = shuffle_other; /* gone and back: nobody need know */
    p[0].other = &p[0];
    assert_int_equal(say(hub, TOPIC, LN_SPAN("b"), 0, NULL), 0);
    assert_string_equal(heard, "+lobby >b 1:b ");
    leave_all(p, 1);
    done(hub);
}

static void the_backplane_hears_first_and_its_error_is_told_after_delivering(void **state)
{
    (void)state;
    ln_hub *hub = with_hub();
    plane pl = with_plane();
    ln_hub_attach(hub, &pl.base);
    peer p[1];
    init_peers(p, 1, hub);
    join_all(p, 1, TOPIC);
    heard[0] = '\0';
    pl.rc = LN_ERR_NOMEM;
    ln_hub_result result;
    assert_int_equal(say(hub, TOPIC, LN_SPAN("a"), 0, &result), LN_ERR_NOMEM);
    assert_int_equal(result.delivered, 1);
    assert_string_equal(heard, ">a 1:a ");
    leave_all(p, 1);
    done(hub);
}

static void what_the_backplane_brings_is_not_handed_back_and_keeps_its_turn(void **state)
{
    (void)state;
    ln_hub *hub = with_hub();
    plane pl = with_plane();
    ln_hub_attach(hub, &pl.base);
    peer p[2];
    init_peers(p, 2, hub);
    join_all(p, 2, TOPIC);
    heard[0] = '\0';
    ln_msg *m = ln_msg_new(NULL, LN_MSG_TEXT, TOPIC, (ln_span){0}, LN_SPAN("far"), 0);
    ln_hub_result result;
    assert_int_equal(ln_hub_deliver(hub, m, &result), 0);
    assert_int_equal(result.delivered, 2);
    assert_string_equal(heard, "1:far 2:far ");

    heard[0] = '\0';
    pl.reply = m; /* an answer that comes before the question was delivered here */
    assert_int_equal(say(hub, TOPIC, LN_SPAN("a"), 0, NULL), 0);
    assert_string_equal(heard, ">a 1:a 2:a 1:far 2:far ");
    ln_hub_stats stats;
    ln_hub_stats_get(hub, &stats);
    assert_true(stats.publications == 1 && stats.deliveries == 6);
    leave_all(p, 2);
    done(hub);
}

/* -- Memory ------------------------------------------------------------------------------------ */

static int one_life(const ln_allocator *alloc, void *user)
{
    plane *pl = user;
    ln_hub *hub = ln_hub_new(alloc, &limits, seed);
    if (!hub)
        return LN_ERR_NOMEM;
    ln_hub_attach(hub, &pl->base);
    peer p[12];
    init_peers(p, 12, hub);
    p[0].act = reply;
    p[0].other = p;
    int rc = 0;
    for (size_t i = 0; i < 12; i++) {
        const ln_span topic = i % 3 == 0 ? LN_SPAN("gard*.*") : i % 2 ? TOPIC : OTHER;
        const int one = ln_hub_subscribe(hub, &p[i].sub, topic);
        assert_int_equal(ln_hub_is_member(hub, &p[i].sub, topic), one == 0);
        rc = one < 0 ? one : rc;
    }
    ln_hub_result result;
    assert_int_equal(say(hub, OTHER, LN_SPAN("a"), 0, &result), 0);
    assert_int_equal(result.delivered, ln_hub_member_count(hub, OTHER));
    rc = p[0].rc < 0 ? p[0].rc : rc;
    leave_all(p, 12);
    assert_int_equal(ln_hub_topic_count(hub), 0);
    ln_hub_free(hub);
    return rc;
}

static void running_out_of_memory_leaves_everything_in_order(void **state)
{
    (void)state;
    plane pl = with_plane();
    assert_true(failing_alloc_sweep(one_life, &pl) > 10);
}

enum { CROWD = 10000 };

static void a_subscription_costs_at_most_64_bytes_beside_the_subscriber(void **state)
{
    (void)state;
    ln_hub *hub = with_hub();
    peer *p = calloc(CROWD, sizeof *p);
    init_peers(p, CROWD, hub);
    const size_t before = atomic_load(&fa.live_bytes);
    for (size_t i = 0; i < CROWD; i++) {
        assert_int_equal(ln_hub_subscribe(hub, &p[i].sub, TOPIC), 0);
        const size_t used = atomic_load(&fa.live_bytes) - before;
        if (i > 1000)
            assert_in_range(used / (i + 1), 1, 64);
    }
    leave_all(p, CROWD);
    free(p);
    done(hub);
}

static void leave_quietly(peer *p, ln_msg *m)
{
    leave_topic(p, m);
    p->heard[0] = '\0';
}

static void after_a_storm_the_memory_goes_back(void **state)
{
    (void)state;
    ln_hub *hub = with_hub();
    peer *p = calloc(CROWD, sizeof *p);
    init_peers(p, CROWD, hub);
    join_all(p, 1, TOPIC);
    const size_t one = atomic_load(&fa.live_bytes);
    for (int during_publication = 0; during_publication < 2; during_publication++) {
        join_all(p, CROWD, TOPIC);
        assert_true(atomic_load(&fa.live_bytes) > one + 32 * CROWD);
        for (size_t i = 1; i < CROWD; i++)
            p[i].act = leave_quietly;
        if (during_publication)
            assert_int_equal(say(hub, TOPIC, LN_SPAN("bye"), 0, NULL), 0);
        else
            leave_all(p + 1, CROWD - 1);
        assert_int_equal(ln_hub_member_count(hub, TOPIC), 1);
        assert_in_range(atomic_load(&fa.live_bytes), 0, one + 128);
    }
    leave_all(p, 1);
    free(p);
    done(hub);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_topic_exists_while_somebody_is_in_it),
        cmocka_unit_test(subscribing_twice_is_once),
        cmocka_unit_test(a_bad_name_is_refused_everywhere),
        cmocka_unit_test(a_subscriber_has_its_limit),
        cmocka_unit_test(everybody_else_gets_it_and_outcomes_are_counted),
        cmocka_unit_test(nobody_is_excluded_by_the_id_0),
        cmocka_unit_test(leaving_in_any_order_loses_nobody_else),
        cmocka_unit_test(a_leaver_during_a_publication_is_skipped),
        cmocka_unit_test(a_joiner_during_a_publication_waits_for_the_next),
        cmocka_unit_test(who_leaves_and_joins_again_meanwhile_gets_nothing_twice),
        cmocka_unit_test(what_a_delivery_publishes_waits_for_the_end),
        cmocka_unit_test(a_circle_of_replies_is_cut),
        cmocka_unit_test(asking_during_a_publication_sees_who_is_left),
        cmocka_unit_test(each_calls_the_members_only),
        cmocka_unit_test(a_filter_gets_what_is_published_to_names_it_matches),
        cmocka_unit_test(nobody_publishes_to_a_filter_and_a_bad_one_is_refused),
        cmocka_unit_test(who_matches_several_times_gets_it_once),
        cmocka_unit_test(the_numbers_of_publications_may_begin_anew),
        cmocka_unit_test(who_leaves_the_name_is_still_reached_through_a_filter),
        cmocka_unit_test(who_joins_a_filter_meanwhile_waits_for_the_next),
        cmocka_unit_test(filters_need_memory_when_they_come_and_none_when_they_match),
        cmocka_unit_test(a_broadcast_reaches_everybody_once),
        cmocka_unit_test(a_topic_and_a_hub_can_be_full),
        cmocka_unit_test(who_leaves_during_a_publication_makes_room),
        cmocka_unit_test(topics_are_listed_until_it_is_enough),
        cmocka_unit_test(interest_begins_with_the_first_and_ends_with_the_last),
        cmocka_unit_test(refused_interest_undoes_the_subscription),
        cmocka_unit_test(interest_ends_with_the_publication_in_which_all_left),
        cmocka_unit_test(the_backplane_hears_first_and_its_error_is_told_after_delivering),
        cmocka_unit_test(what_the_backplane_brings_is_not_handed_back_and_keeps_its_turn),
        cmocka_unit_test(running_out_of_memory_leaves_everything_in_order),
        cmocka_unit_test(a_subscription_costs_at_most_64_bytes_beside_the_subscriber),
        cmocka_unit_test(after_a_storm_the_memory_goes_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
