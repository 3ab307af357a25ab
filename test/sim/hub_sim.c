/* SPDX-License-Identifier: MIT */
/*
 * hub_sim - hubs under random life, held against a naive model after every step.
 *
 *     hub_sim [SEEDS [FIRST]]      default: 1000 seeds from 1
 *
 * One seed is a world of one to four hubs joined by a backplane with in-order wires, subscribers
 * by the hundred, a dozen names and in most a dozen filters. They join, leave, vanish (freed at
 * once) and publish, also to everybody and from inside deliveries; some have no room for large messages for a
 * while, and are parked; wires bring what they carry at
 * random moments, also at once; in half of the worlds allocations and announcements fail now and
 * then, in some a topic or a hub can be full.
 *
 * The model is a table of who joined what when, and per hub the publications in the order in which
 * it took them. So the delivery that comes is checked against the one publication that must be
 * under way, and a publication that ends against all who should have had it.
 *
 * Checked
 *   1. Whoever was subscribed, to the name or to a filter that matches it, when a publication began
 *      and has not left that since gets it, exactly once; nobody else does.
 *      Or it is parked, and one of those that the account of its kind was told of.
 *   2. Messages of one publisher arrive in order, on its own hub and across the backplane.
 *   3. Interest is announced and withdrawn in turn, and outside publications is what the members
 *      make it.
 *   4. Results, counters, lists and error values are those the model computes; bounds hold.
 *   5. When all have left, the memory is what it was.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/list.h"
#include "hub/hub.h"
#include "hub/parking.h"
#include "sim_names.h"

enum {
    HUBS_MAX = 4,
    PEOPLE_MAX = 300,
    NAMES = SIM_NAMES,
    FILTERS = SIM_FILTERS,
    TOPICS = SIM_TOPICS,
    EVERYBODY = SIM_EVERYBODY,
    TOPICS_PER_SUBSCRIBER = 5,
    OUTCOMES = LN_DELIVERY_CLOSED + 1,
    ACCOUNTS = LN_PARKING_LOTS + 2,
    SIZES = 4,       /* of payloads */
    WIRE_MAX = 4096, /* messages under way between two hubs; a power of two */
    TURNS_MAX = LN_HUB_CASCADE_MAX + 1
};

typedef struct world world;

/* A subscriber, on the heap so that a sanitizer sees who touches one that has vanished. */
typedef struct person {
    ln_subscriber sub;
    world *world;
    unsigned index;
    bool is_parked;
    size_t full_bytes; /* then */
} person;

/* What a hub tells of the parked of one kind. */
typedef struct account {
    ln_hub_account base;
    world *world;
    unsigned place, kind;
} account;

/* What the model knows of a publication that a hub has taken. */
typedef struct turn {
    uint64_t serial; /* the message's */
    uint64_t excluded;
    uint64_t began;
    unsigned topic;
    size_t size; /* of the payload */
    uint32_t outcomes[OUTCOMES];
    uint32_t passed[ACCOUNTS]; /* parked ones that it went past, as the accounts were told */
} turn;

/* A hub and its model. */
typedef struct place {
    ln_backplane base;
    world *world;
    ln_hub *hub;
    bool is_announced[TOPICS];
    unsigned counts[TOPICS]; /* members */
    unsigned members;        /* of all */
    ln_hub_bounds bounds;
    bool is_busy;
    turn turns[TURNS_MAX]; /* of the outermost publication under way; [0] is itself */
    unsigned current, turn_count;
    ln_hub_stats stats;
} place;

/* From one hub to another. */
typedef struct wire {
    ln_msg *msgs[WIRE_MAX];
    unsigned head, tail;
} wire;

struct world {
    uint64_t seed, random, step;
    ln_allocator hook;
    size_t live_bytes;
    unsigned failures; /* allocations and announcements refused */
    unsigned fail_one_in, act_one_in, reply_one_in, park_one_in;
    unsigned place_count, person_count, name_count, filter_count;
    uint64_t clock;  /* counts joins and beginnings */
    uint64_t serial; /* of the last message */
    place places[HUBS_MAX];
    wire wires[HUBS_MAX][HUBS_MAX];
    person *people[PEOPLE_MAX];
    unsigned memberships[PEOPLE_MAX];
    uint64_t joined[PEOPLE_MAX][TOPICS]; /* when, 0 = not in */
    uint64_t got[PEOPLE_MAX];            /* the serial it had last */
    uint64_t passed[PEOPLE_MAX];         /* the serial that may have gone past it last */
    account accounts[HUBS_MAX][ACCOUNTS];
    uint64_t heard[PEOPLE_MAX][PEOPLE_MAX]; /* of each publisher, the serial each person had last */
};

/* What a message carries. */
typedef struct cargo {
    uint64_t serial;
    unsigned publisher;
    unsigned topic;
} cargo;

static uint64_t total_publications, total_deliveries, total_failures, total_waits, total_cut,
    total_refused, total_passed;

/* -- Chance and memory ------------------------------------------------------------------------- */

_Noreturn static void fault(const world *w, const char *what)
{
    fprintf(stderr, "hub_sim: seed %" PRIu64 " step %" PRIu64 ": %s\n", w->seed, w->step, what);
    exit(1);
}

static void check(const world *w, bool holds, const char *what)
{
    if (!holds)
        fault(w, what);
}

static unsigned pick(world *w, unsigned n)
{
    return sim_pick(&w->random, n);
}

static bool is_one_in(world *w, unsigned n)
{
    return n > 0 && pick(w, n) == 0;
}

static bool fails(world *w)
{
    if (!is_one_in(w, w->fail_one_in))
        return false;
    w->failures++;
    total_failures++;
    return true;
}

/* Keeps the size in front of the block. */
static void *resize(void *user, void *old, size_t size)
{
    world *w = user;
    size_t *from = old ? (size_t *)old - 2 : NULL;
    size_t *to = NULL;
    if (size > 0) {
        to = fails(w) ? NULL : malloc(2 * sizeof *to + size);
        if (!to)
            return NULL;
        *to = size;
        w->live_bytes += size;
    }
    if (from && to)
        memcpy(to + 2, from + 2, *from < size ? *from : size);
    if (from) {
        w->live_bytes -= *from;
        free(from);
    }
    return to ? to + 2 : NULL;
}

static unsigned pick_topic(world *w)
{
    const unsigned i = pick(w, w->name_count + w->filter_count);
    return i < w->name_count ? i : NAMES + i - w->name_count;
}

static unsigned pick_name(world *w)
{
    return is_one_in(w, 12) ? EVERYBODY : pick(w, w->name_count);
}

static place *place_of(world *w, unsigned who)
{
    return &w->places[who % w->place_count];
}

/* -- The model of publications ----------------------------------------------------------------- */

static bool is_due(const world *w, const turn *t, unsigned who)
{
    bool is_in = false;
    for (unsigned i = 0; i < TOPICS; i++) {
        const uint64_t joined = w->joined[who][i];
        is_in |= joined > 0 && joined < t->began && sim_covers(i, t->topic);
    }
    return is_in && t->excluded != who + 1;
}

static void begin(world *w, place *p)
{
    if (p->current < p->turn_count)
        p->turns[p->current].began = ++w->clock;
}

/*
 * Those the publication may have gone past: whom it has reached nevertheless was not counted, and of
 * the others those who left before it could reach them may have been.
 */
static void check_passed(const world *w, const place *p, const turn *t, unsigned kind)
{
    unsigned most = 0, gone = 0;
    for (unsigned who = (unsigned)(p - w->places); who < w->person_count; who += w->place_count) {
        if (who % ACCOUNTS != kind || w->passed[who] != t->serial || w->got[who] == t->serial)
            continue;
        most++;
        gone += !is_due(w, t, who);
    }
    check(w, t->passed[kind] <= most && t->passed[kind] >= most - gone,
          "an account was told another number");
}

/* The current publication has ended: everybody due has had it, or it went past. */
static void end(world *w, place *p)
{
    const turn *t = &p->turns[p->current];
    for (unsigned who = (unsigned)(p - w->places); who < w->person_count; who += w->place_count)
        check(w, !is_due(w, t, who) || w->got[who] == t->serial || w->passed[who] == t->serial,
              "a subscriber was left out");
    for (unsigned kind = 0; kind < ACCOUNTS; kind++)
        check_passed(w, p, t, kind);
    p->stats.deliveries += t->outcomes[LN_DELIVERED];
    p->stats.queued += t->outcomes[LN_DELIVERY_QUEUED];
    p->stats.dropped += t->outcomes[LN_DELIVERY_DROPPED];
    p->stats.closed += t->outcomes[LN_DELIVERY_CLOSED];
    p->current++;
    begin(w, p);
}

/* The hub has taken a publication: it begins, or waits for the end of the others. */
static void take(world *w, place *p, const ln_msg *m)
{
    cargo c;
    memcpy(&c, m->payload.data, sizeof c);
    check(w, p->turn_count < TURNS_MAX, "more publications wait than the limit allows");
    p->turns[p->turn_count++] = (turn){
        .serial = c.serial, .topic = c.topic, .excluded = m->excluded, .size = m->payload.size};
    total_waits += p->is_busy;
    if (p->is_busy)
        return;
    p->is_busy = true;
    p->current = 0;
    begin(w, p);
}

/* The call that began the outermost publication has returned. */
static void end_all(world *w, place *p, const ln_hub_result *result)
{
    while (p->current < p->turn_count)
        end(w, p);
    const uint32_t told[OUTCOMES] = {result->delivered, result->queued, result->dropped,
                                     result->closed};
    check(w, memcmp(told, p->turns[0].outcomes, sizeof told) == 0,
          "the result is not what happened");
    p->is_busy = false;
    p->turn_count = 0;
}

/* After a publication that found another one under way. */
static void check_waiting(world *w, const place *p, int rc, unsigned failures_before,
                          unsigned turns_before)
{
    total_cut += rc == LN_ERR_LIMIT;
    if (turns_before == TURNS_MAX)
        check(w, rc == LN_ERR_LIMIT, "the limit of a cascade did not hold");
    else
        check(w, rc == 0 || (rc == LN_ERR_NOMEM && w->failures > failures_before),
              "a publication could not wait");
    check(w, p->is_busy, "a publication ended inside another");
}

/* -- The backplane ----------------------------------------------------------------------------- */

static unsigned topic_named(const world *w, ln_span name)
{
    for (unsigned i = 0; i <= EVERYBODY; i++)
        if (sim_name(i).size == name.size &&
            (name.size == 0 || memcmp(sim_name(i).data, name.data, name.size) == 0))
            return i;
    fault(w, "a topic nobody named");
}

/* Has the hub announced that it wants what is published to `name`? */
static bool is_wanted(const place *p, unsigned name)
{
    bool is = name == EVERYBODY;
    for (unsigned i = 0; i < TOPICS; i++)
        is |= p->is_announced[i] && sim_covers(i, name);
    return is;
}

/* Brings the next message of the wire, if there is one. */
static void bring(world *w, unsigned from, unsigned to)
{
    wire *x = &w->wires[from][to];
    if (x->head == x->tail)
        return;
    ln_msg *m = x->msgs[x->head++ % WIRE_MAX];
    place *p = &w->places[to];
    ln_hub_result result = {0};
    if (p->is_busy) {
        const unsigned failures = w->failures;
        const unsigned turns = p->turn_count;
        const int rc = ln_hub_deliver(p->hub, m, &result);
        check_waiting(w, p, rc, failures, turns);
        if (rc == 0)
            take(w, p, m);
    } else {
        take(w, p, m);
        check(w, ln_hub_deliver(p->hub, m, &result) == 0, "what the backplane brings was refused");
        end_all(w, p, &result);
    }
    ln_msg_unref(m);
}

static int on_publish(ln_backplane *b, ln_hub *from, ln_msg *m)
{
    place *p = LN_CONTAINER_OF(b, place, base);
    world *w = p->world;
    check(w, from == p->hub, "the wrong hub published");
    take(w, p, m);
    p->stats.publications++;
    const unsigned topic = topic_named(w, m->topic);
    const unsigned here = (unsigned)(p - w->places);
    for (unsigned to = 0; to < w->place_count; to++) {
        wire *x = &w->wires[here][to];
        const bool is_full =
            x->tail - x->head == WIRE_MAX; /* loses the message: at most once is all it promises */
        if (to == here || is_full || !is_wanted(&w->places[to], topic))
            continue;
        x->msgs[x->tail++ % WIRE_MAX] = ln_msg_ref(m);
        if (is_one_in(w, 8))
            bring(w, here, to);
    }
    return 0;
}

static int on_interest(ln_backplane *b, ln_hub *hub, ln_span topic, bool wanted)
{
    place *p = LN_CONTAINER_OF(b, place, base);
    world *w = p->world;
    const unsigned t = topic_named(w, topic);
    check(w, hub == p->hub && p->is_announced[t] != wanted,
          "interest was announced or withdrawn twice");
    check(w, p->counts[t] == 0, "interest changed while there were members");
    if (wanted && fails(w))
        return LN_ERR_NOMEM;
    p->is_announced[t] = wanted;
    return 0;
}

/* -- What people do ---------------------------------------------------------------------------- */

static void forget(world *w, unsigned who, unsigned topic)
{
    if (w->joined[who][topic] == 0)
        return;
    w->joined[who][topic] = 0;
    w->memberships[who]--;
    place_of(w, who)->counts[topic]--;
    place_of(w, who)->members--;
}

static ln_hub_obstacle obstacle(const world *w, const place *p, unsigned who, unsigned topic)
{
    if (w->joined[who][topic] > 0)
        return LN_HUB_IS_FREE;
    if (w->memberships[who] == TOPICS_PER_SUBSCRIBER)
        return LN_HUB_SUBSCRIBER_IS_FULL;
    if (p->bounds.members_per_topic > 0 && p->counts[topic] == p->bounds.members_per_topic)
        return LN_HUB_TOPIC_IS_FULL;
    const bool is_full = p->bounds.members > 0 && p->members == p->bounds.members;
    return is_full ? LN_HUB_IS_FULL : LN_HUB_IS_FREE;
}

static void join(world *w, unsigned who, unsigned topic)
{
    place *p = place_of(w, who);
    const bool was_in = w->joined[who][topic] > 0;
    const ln_hub_obstacle why = obstacle(w, p, who, topic);
    const unsigned failures = w->failures;
    check(w, ln_hub_find_obstacle(p->hub, &w->people[who]->sub, sim_name(topic)) == why,
          "what keeps somebody out");
    const int rc = ln_hub_subscribe(p->hub, &w->people[who]->sub, sim_name(topic));
    total_refused += why != LN_HUB_IS_FREE;
    if (why != LN_HUB_IS_FREE)
        check(w, rc == LN_ERR_LIMIT, "a bound was passed");
    else
        check(w, rc == 0 || (!was_in && rc == LN_ERR_NOMEM && w->failures > failures),
              "could not subscribe");
    if (rc < 0 || was_in)
        return;
    w->joined[who][topic] = ++w->clock;
    w->memberships[who]++;
    p->counts[topic]++;
    p->members++;
}

static void leave(world *w, unsigned who, unsigned topic)
{
    const bool was_in = w->joined[who][topic] > 0;
    forget(w, who, topic); /* before: the interest may be withdrawn in the call */
    const int rc = ln_hub_unsubscribe(place_of(w, who)->hub, &w->people[who]->sub, sim_name(topic));
    check(w, rc == (was_in ? 0 : LN_ERR_NOT_FOUND), "unsubscribe says what the model does not");
}

static void leave_all(world *w, unsigned who)
{
    for (unsigned t = 0; t < TOPICS; t++)
        forget(w, who, t);
    ln_hub_leave_all(place_of(w, who)->hub, &w->people[who]->sub);
}

static ln_delivery on_deliver(ln_subscriber *s, ln_msg *m);

/* The publication that `m` is of is under way in `p`: those before it have ended. */
static turn *turn_of(world *w, place *p, const ln_msg *m)
{
    cargo c;
    memcpy(&c, m->payload.data, sizeof c);
    while (p->current < p->turn_count && p->turns[p->current].serial != c.serial)
        end(w, p);
    check(w, p->current < p->turn_count, "a publication out of its turn");
    return &p->turns[p->current];
}

/* Marks all whom it may have gone past: who of them are called nevertheless, only the hub knows. */
static void on_miss(ln_hub_account *base, const ln_msg *m, uint32_t count)
{
    const account *a = LN_CONTAINER_OF(base, account, base);
    world *w = a->world;
    turn *t = turn_of(w, &w->places[a->place], m);
    check(w, count > 0 && t->passed[a->kind] == 0, "an account was told twice");
    for (unsigned who = a->place; who < w->person_count; who += w->place_count) {
        const person *body = w->people[who];
        if (who % ACCOUNTS == a->kind && body->is_parked && t->size >= body->full_bytes &&
            is_due(w, t, who))
            w->passed[who] = t->serial;
    }
    t->passed[a->kind] = count;
    t->outcomes[LN_DELIVERY_DROPPED] += count;
    total_passed += count;
}

static void unpark(world *w, unsigned who)
{
    ln_hub_unpark(&w->people[who]->sub);
    w->people[who]->is_parked = false;
}

static void appear(world *w, unsigned who)
{
    person *body = malloc(sizeof *body);
    check(w, body, "the simulator itself is out of memory");
    *body = (person){.world = w, .index = who};
    ln_subscriber_init(&body->sub, on_deliver, who + 1);
    w->people[who] = body;
}

static void vanish(world *w, unsigned who)
{
    leave_all(w, who);
    free(w->people[who]);
    appear(w, who);
}

static void publish(world *w, unsigned who, unsigned topic)
{
    place *p = place_of(w, who);
    const cargo bytes[SIZES] = {{.serial = ++w->serial, .publisher = who, .topic = topic}};
    const size_t size = sizeof *bytes * (is_one_in(w, 4) ? 1 + pick(w, SIZES) : SIZES);
    ln_msg *m = ln_msg_new(&w->hook, LN_MSG_BINARY, sim_name(topic), (ln_span){0},
                           (ln_span){bytes, size}, who + 1);
    if (!m)
        return;
    m->excluded = pick(w, 2) ? who + 1 : 0;
    const unsigned failures = w->failures;
    const unsigned turns = p->turn_count;
    const bool waits = p->is_busy;
    ln_hub_result result = {.delivered = 99};
    const int rc = (topic == EVERYBODY ? ln_hub_broadcast : ln_hub_publish)(p->hub, m, &result);
    if (waits) {
        check_waiting(w, p, rc, failures, turns);
        check(w, result.delivered == (rc == 0 ? 0 : 99), "a publication that waits told a result");
    } else {
        check(w, rc == 0, "a publication was refused");
        end_all(w, p, &result);
    }
    ln_msg_unref(m);
    total_publications++;
}

/* Somebody of hub `at` joins or leaves something. */
static void wander(world *w, unsigned at)
{
    const unsigned each = w->person_count / w->place_count; /* the least any hub has */
    const unsigned who = at + w->place_count * pick(w, each);
    const unsigned topic = pick_topic(w);
    const unsigned what = pick(w, 20);
    if (what >= 16)
        unpark(w, who);
    else if (what < 9)
        join(w, who, topic);
    else if (what < 14)
        leave(w, who, topic);
    else if (what < 15)
        leave_all(w, who);
    else
        vanish(w, who);
}

/* What becomes of a message of that size; now and then there is no room for it, and none from then
 * on. */
static ln_delivery answer(world *w, person *body, size_t size)
{
    if (body->is_parked && size >= body->full_bytes)
        return LN_DELIVERY_DROPPED;
    const ln_delivery outcome = (ln_delivery)pick(w, OUTCOMES);
    if (outcome != LN_DELIVERY_DROPPED || !is_one_in(w, w->park_one_in))
        return outcome;
    ln_hub_park(&body->sub, &w->accounts[body->index % w->place_count][body->index % ACCOUNTS].base,
                (uint32_t)size);
    body->is_parked = true;
    body->full_bytes = size;
    return outcome;
}

static ln_delivery on_deliver(ln_subscriber *s, ln_msg *m)
{
    person *body = LN_CONTAINER_OF(s, person, sub);
    world *w = body->world;
    const unsigned who = body->index;
    place *p = place_of(w, who);
    check(w, w->people[who] == body && p->is_busy, "a delivery out of nowhere");
    cargo c;
    memcpy(&c, m->payload.data, sizeof c);

    turn *t = turn_of(w, p, m);
    check(w, is_due(w, t, who), "a message for somebody it was not meant for");
    check(w, w->got[who] != c.serial, "a message twice");
    check(w, w->heard[who][c.publisher] < c.serial, "messages of one publisher out of order");
    w->got[who] = w->heard[who][c.publisher] = c.serial;

    const ln_delivery outcome = answer(w, body, m->payload.size);
    t->outcomes[outcome]++;
    total_deliveries++;
    if (is_one_in(w, w->act_one_in))
        wander(w, who % w->place_count); /* from here on `s` may be gone */
    if (is_one_in(w, w->reply_one_in))
        publish(w, who, pick_name(w));
    return outcome;
}

/* -- A world ----------------------------------------------------------------------------------- */

/* What is left of the model when what was listed has been taken off. */
typedef struct listing {
    world *world;
    unsigned counts[TOPICS];
} listing;

static bool take_topic(ln_span topic, size_t members, void *arg)
{
    listing *l = arg;
    const unsigned t = topic_named(l->world, topic);
    check(l->world, l->counts[t] == members, "a list of topics tells another number");
    l->counts[t] = 0;
    return true;
}

static bool take_own_topic(ln_span topic, void *arg)
{
    return take_topic(topic, 1, arg);
}

static void check_lists(world *w, const place *p, unsigned who)
{
    static const unsigned none[TOPICS];
    listing all = {.world = w}, own = {.world = w};
    memcpy(all.counts, p->counts, sizeof all.counts);
    ln_hub_each_topic(p->hub, take_topic, &all);
    for (unsigned t = 0; t < TOPICS; t++)
        own.counts[t] = w->joined[who][t] > 0;
    ln_hub_each_of(&w->people[who]->sub, take_own_topic, &own);
    check(w, memcmp(all.counts, none, sizeof none) == 0, "a topic is missing in the list");
    check(w, memcmp(own.counts, none, sizeof none) == 0, "a topic of a subscriber is missing");
}

static void check_place(world *w, place *p)
{
    unsigned topics = 0, members = 0;
    for (unsigned t = 0; t < TOPICS; t++) {
        check(w, ln_hub_member_count(p->hub, sim_name(t)) == p->counts[t], "the number of members");
        check(w, p->is_announced[t] == (p->counts[t] > 0),
              "interest is not what the members make it");
        topics += p->counts[t] > 0;
        members += p->counts[t];
        check(w, p->bounds.members_per_topic == 0 || p->counts[t] <= p->bounds.members_per_topic,
              "a topic holds too many");
    }
    check(w, members == p->members && (p->bounds.members == 0 || members <= p->bounds.members),
          "a hub holds too many");
    check(w, ln_hub_topic_count(p->hub) == topics, "the number of topics");
    p->stats.topics = topics;
    p->stats.members = members;
    ln_hub_stats stats;
    ln_hub_stats_get(p->hub, &stats);
    check(w, memcmp(&stats, &p->stats, sizeof stats) == 0, "the counters");
}

static void check_member(world *w, unsigned who, unsigned topic)
{
    const bool is_in =
        ln_hub_is_member(place_of(w, who)->hub, &w->people[who]->sub, sim_name(topic));
    check(w, is_in == (w->joined[who][topic] > 0), "who is a member");
}

static void live_one_step(world *w)
{
    const unsigned at = pick(w, w->place_count);
    const unsigned what = pick(w, 8);
    if (what < 4)
        wander(w, at);
    else if (what < 6)
        publish(w, pick(w, w->person_count), pick_name(w));
    else
        bring(w, at, pick(w, w->place_count));
    for (unsigned i = 0; i < w->place_count; i++)
        check_place(w, &w->places[i]);
    for (unsigned i = 0; i < 8; i++)
        check_member(w, pick(w, w->person_count), pick_topic(w));
    const unsigned who = pick(w, w->person_count);
    check_lists(w, place_of(w, who), who);
}

static void create(world *w, uint64_t seed)
{
    memset(w, 0, sizeof *w);
    w->seed = seed;
    w->random = sim_random(seed);
    for (unsigned i = 0; i < 8; i++)
        (void)pick(w, 2); /* small seeds differ in few bits */
    w->hook = (ln_allocator){.resize = resize, .user = w};
    w->place_count = 1 + pick(w, HUBS_MAX);
    const bool is_stormy =
        is_one_in(w, 8); /* few people who answer everything: cascades up to the limit */
    w->person_count = w->place_count * (2 + pick(w, is_stormy ? 4 : PEOPLE_MAX / HUBS_MAX - 2));
    w->name_count = 1 + pick(w, NAMES);
    w->filter_count = is_one_in(w, 4) ? 0 : 1 + pick(w, FILTERS);
    w->act_one_in = 2 + pick(w, 40);
    w->park_one_in = is_one_in(w, 3) ? 0 : 1 + pick(w, 4);
    w->reply_one_in = is_stormy ? 2 : 4 * w->person_count;
    const ln_hub_limits limits = {.topic_max_bytes = 32,
                                  .topics_per_subscriber = TOPICS_PER_SUBSCRIBER};
    for (unsigned i = 0; i < w->place_count; i++) {
        place *p = &w->places[i];
        p->world = w;
        p->base = (ln_backplane){.interest = on_interest, .publish = on_publish};
        p->hub = ln_hub_new(&w->hook, &limits, (const uint64_t[2]){seed, i});
        check(w, p->hub, "no hub");
        p->bounds.members_per_topic = is_one_in(w, 4) ? 1 + pick(w, 20) : 0;
        p->bounds.members = is_one_in(w, 4) ? 1 + pick(w, 100) : 0;
        ln_hub_set_bounds(p->hub, &p->bounds);
        ln_hub_attach(p->hub, &p->base);
        for (unsigned k = 0; k < ACCOUNTS; k++)
            w->accounts[i][k] =
                (account){.base = {.miss = on_miss}, .world = w, .place = i, .kind = k};
    }
    for (unsigned who = 0; who < w->person_count; who++)
        appear(w, who);
}

/* Everything ends: the wires are read to their ends, people go, and the memory is what it was. */
static void wind_up(world *w, size_t bytes_at_start)
{
    const bool was_failing = w->fail_one_in > 0;
    w->fail_one_in = w->reply_one_in = w->act_one_in = 0;
    for (unsigned from = 0; from < w->place_count; from++)
        for (unsigned to = 0; to < w->place_count; to++)
            while (w->wires[from][to].head != w->wires[from][to].tail)
                bring(w, from, to);
    for (unsigned who = 0; who < w->person_count; who++) {
        for (unsigned t = 0; t < TOPICS; t++)
            check_member(w, who, t);
        leave_all(w, who);
        free(w->people[who]);
    }
    for (unsigned i = 0; i < w->place_count; i++)
        check_place(w, &w->places[i]);
    /* A map keeps its least table, of 264 bytes, and a larger one when shrinking was refused. */
    check(w, was_failing || w->live_bytes <= bytes_at_start + w->place_count * 3 * 264,
          "memory did not go back");
    for (unsigned i = 0; i < w->place_count; i++)
        ln_hub_free(w->places[i].hub);
    check(w, w->live_bytes == 0, "memory leaked");
}

static void run(world *w, uint64_t seed)
{
    create(w, seed);
    const size_t bytes_at_start = w->live_bytes;
    w->fail_one_in = seed % 2 ? 0 : 20 + pick(w, 60);
    const unsigned steps = w->reply_one_in == 2 ? 60 : 800;
    /* Most begin with a crowd: by wandering alone topics would fill slowly. */
    for (unsigned who = 0; seed % 4 && who < w->person_count; who++)
        join(w, who, pick_topic(w));
    for (w->step = 1; w->step <= steps; w->step++)
        live_one_step(w);
    wind_up(w, bytes_at_start);
}

int main(int argc, char **argv)
{
    const uint64_t seeds = argc > 1 ? strtoull(argv[1], NULL, 10) : 1000;
    const uint64_t first = argc > 2 ? strtoull(argv[2], NULL, 10) : 1;
    world *w = malloc(sizeof *w);
    if (!w || seeds == 0)
        return 2;
    for (uint64_t seed = first; seed < first + seeds; seed++)
        run(w, seed);
    free(w);
    printf("hub_sim: %" PRIu64 " seeds from %" PRIu64 ": %" PRIu64 " publications (%" PRIu64
           " waited, %" PRIu64 " were cut off), %" PRIu64 " deliveries, %" PRIu64
           " refused by a bound, %" PRIu64 " went past, %" PRIu64 " failures injected; no fault\n",
           seeds, first, total_publications, total_waits, total_cut, total_deliveries,
           total_refused, total_passed, total_failures);
    return 0;
}
