/* SPDX-License-Identifier: MIT */
/*
 * mesh_sim - workers joined by the mesh, on virtual time: who gets what, predicted to the message.
 *
 *     mesh_sim [SEEDS [FIRST]]      default: 1000 seeds from 1
 *
 * back end: any (the loops carry letters only, and are turned by hand)
 *
 * One seed is a world of two to four workers, each with a hub, a loop and dozens of subscribers to
 * names and filters. Time is a count of ticks. At each tick people of any worker join, leave,
 * vanish and publish, some to everybody, also from inside deliveries, and so does a thread that is
 * no worker; and those workers turn whose time has come. Each lags behind in its own way, so that
 * what one publishes reaches the others at different times and in different company; one world in
 * 32 has a worker that stalls until the mesh holds no more for it. What wires between two hubs may
 * do out of step, and what happens without memory, is for hub_sim.
 *
 * The model knows who is in what since when, and of each worker the parcels that are on their way
 * to it, in order. From that follows what each subscriber must get, and that is all it may.
 *
 * Checked
 *   1. A publication is brought to a worker exactly if somebody there was subscribed when it was
 *      made, once, in the order made, with the worker's next turn; what is beyond the bound is
 *      refused and told.
 *   2. Whoever was subscribed when it began to be delivered and has not left that since gets it,
 *      exactly once; nobody else does.
 *   3. Messages of one publisher arrive in order, wherever they were published.
 *   4. When all have left, nothing is under way, and the memory is given back.
 */
#include <inttypes.h>
#include <linnet/loop.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dialect/mesh.h"
#include "sim_names.h"

enum {
    WORKERS_MAX = 4,
    EACH_MAX = 24, /* people of one worker */
    PEOPLE_MAX = WORKERS_MAX * EACH_MAX,
    STRANGER = PEOPLE_MAX, /* publishes from a thread of its own */
    TICKS = 300,
    STALL_TICKS = LN_MESH_PENDING_MAX, /* with two publications a tick more than enough */
    INBOX_MAX = 2 * LN_MESH_PENDING_MAX,
    TURNS_MAX = LN_HUB_CASCADE_MAX + 1
};

typedef struct world world;

/* On the heap, so that a sanitizer sees who touches one that has vanished. */
typedef struct person {
    ln_subscriber sub;
    world *world;
    unsigned index;
} person;

/* A publication, as the model knows it. */
typedef struct turn {
    uint64_t serial, excluded;
    uint64_t began;
    unsigned topic;
} turn;

/* A worker and its model. */
typedef struct place {
    world *world;
    ln_hub *hub;
    ln_loop *loop;
    unsigned lag;                /* most ticks between two turns */
    uint64_t due;                /* its next turn */
    unsigned counts[SIM_TOPICS]; /* members */
    turn inbox[INBOX_MAX];       /* on their way to it */
    uint64_t inbox_head, inbox_tail;
    bool is_busy;
    turn turns[TURNS_MAX]; /* of the outermost publication under way; [0] is itself */
    unsigned current, turn_count;
} place;

struct world {
    uint64_t seed, random, tick;
    ln_allocator hook;
    size_t live_bytes;
    unsigned act_one_in, reply_one_in;
    unsigned place_count, person_count, name_count, filter_count;
    uint64_t clock;  /* counts joins and beginnings */
    uint64_t serial; /* of the last message */
    ln_mesh *mesh;
    place places[WORKERS_MAX];
    person *people[PEOPLE_MAX];
    uint64_t joined[PEOPLE_MAX][SIM_TOPICS];    /* when, 0 = not in */
    uint64_t got[PEOPLE_MAX];                   /* the serial it had last */
    uint64_t heard[PEOPLE_MAX][PEOPLE_MAX + 1]; /* of each publisher, the last serial */
};

/* What a message carries. */
typedef struct cargo {
    uint64_t serial;
    unsigned publisher;
} cargo;

static ln_loop *loops[WORKERS_MAX];
static uint64_t total_publications, total_parcels, total_refused, total_deliveries;

/* -- Chance and memory ------------------------------------------------------------------------- */

_Noreturn static void fault(const world *w, const char *what)
{
    fprintf(stderr, "mesh_sim: seed %" PRIu64 " tick %" PRIu64 ": %s\n", w->seed, w->tick, what);
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
    return pick(w, n) == 0;
}

/* Keeps the size in front of the block. */
static void *resize(void *user, void *old, size_t size)
{
    world *w = user;
    size_t *from = old ? (size_t *)old - 2 : NULL;
    w->live_bytes += size - (from ? *from : 0);
    if (size == 0) {
        free(from);
        return NULL;
    }
    size_t *to = realloc(from, 2 * sizeof *to + size);
    check(w, to, "out of memory");
    *to = size;
    return to + 2;
}

static unsigned pick_topic(world *w)
{
    const unsigned i = pick(w, w->name_count + w->filter_count);
    return i < w->name_count ? i : SIM_NAMES + i - w->name_count;
}

static unsigned pick_name(world *w)
{
    return is_one_in(w, 12) ? SIM_EVERYBODY : pick(w, w->name_count);
}

static place *place_of(world *w, unsigned who)
{
    return &w->places[who % w->place_count];
}

/* -- The model --------------------------------------------------------------------------------- */

static bool is_due(const world *w, const turn *t, unsigned who)
{
    if (t->excluded == who + 1)
        return false;
    for (unsigned i = 0; i < SIM_TOPICS; i++) {
        const uint64_t joined = w->joined[who][i];
        if (joined > 0 && joined < t->began && sim_covers(i, t->topic))
            return true;
    }
    return false;
}

/* The current publication has ended, and the next one begins. */
static void end(world *w, place *p)
{
    const turn *t = &p->turns[p->current++];
    for (unsigned who = (unsigned)(p - w->places); who < w->person_count; who += w->place_count)
        check(w, !is_due(w, t, who) || w->got[who] == t->serial, "a subscriber was left out");
    if (p->current < p->turn_count)
        p->turns[p->current].began = ++w->clock;
}

/* The hub takes a publication: it begins, or waits for the end of the others. */
static void take(world *w, place *p, turn t)
{
    t.began = ++w->clock;
    p->turns[p->turn_count++] = t;
    if (!p->is_busy)
        p->current = 0;
    p->is_busy = true;
}

/* The call that began the outermost publication has returned. */
static void end_all(world *w, place *p)
{
    while (p->current < p->turn_count)
        end(w, p);
    p->is_busy = false;
    p->turn_count = 0;
}

static bool is_wanted(const place *p, unsigned name)
{
    for (unsigned i = 0; i < SIM_TOPICS; i++)
        if (p->counts[i] > 0 && sim_covers(i, name))
            return true;
    return name == SIM_EVERYBODY;
}

/* Puts a publication of `from`, or of nobody's, on its way; what the mesh has to say to that. */
static int post(world *w, const place *from, turn t)
{
    int rc = 0;
    for (unsigned i = 0; i < w->place_count; i++) {
        place *to = &w->places[i];
        if (to == from || !is_wanted(to, t.topic))
            continue;
        if (to->inbox_tail - to->inbox_head == LN_MESH_PENDING_MAX)
            rc = LN_ERR_WOULD_EXCEED;
        else
            to->inbox[to->inbox_tail++ % INBOX_MAX] = t;
    }
    total_refused += rc < 0;
    return rc;
}

/* -- What people do ---------------------------------------------------------------------------- */

static void forget(world *w, unsigned who, unsigned topic)
{
    if (w->joined[who][topic] == 0)
        return;
    w->joined[who][topic] = 0;
    place_of(w, who)->counts[topic]--;
}

static void join(world *w, unsigned who, unsigned topic)
{
    place *p = place_of(w, who);
    check(w, ln_hub_subscribe(p->hub, &w->people[who]->sub, sim_name(topic)) == 0,
          "could not subscribe");
    if (w->joined[who][topic] > 0)
        return;
    w->joined[who][topic] = ++w->clock;
    p->counts[topic]++;
}

static void leave(world *w, unsigned who, unsigned topic)
{
    const int rc = ln_hub_unsubscribe(place_of(w, who)->hub, &w->people[who]->sub, sim_name(topic));
    check(w, rc == (w->joined[who][topic] > 0 ? 0 : LN_ERR_NOT_FOUND), "could not leave");
    forget(w, who, topic);
}

static void leave_all(world *w, unsigned who)
{
    ln_hub_leave_all(place_of(w, who)->hub, &w->people[who]->sub);
    for (unsigned topic = 0; topic < SIM_TOPICS; topic++)
        forget(w, who, topic);
}

static ln_delivery on_deliver(ln_subscriber *s, ln_msg *m);

static void appear(world *w, unsigned who)
{
    person *body = malloc(sizeof *body);
    check(w, body, "out of memory");
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

/* A message and its row in the model. */
static ln_msg *make(world *w, unsigned who, unsigned topic, turn *t)
{
    const cargo c = {.serial = ++w->serial, .publisher = who};
    ln_msg *m = ln_msg_new(&w->hook, LN_MSG_BINARY, sim_name(topic), (ln_span){0},
                           (ln_span){&c, sizeof c}, who + 1);
    check(w, m, "no message");
    m->excluded = pick(w, 2) ? who + 1 : 0;
    *t = (turn){.serial = c.serial, .topic = topic, .excluded = m->excluded};
    total_publications++;
    return m;
}

static void publish(world *w, unsigned who, unsigned topic)
{
    place *p = place_of(w, who);
    turn t;
    ln_msg *m = make(w, who, topic, &t);
    const bool is_first = !p->is_busy, is_cut = p->turn_count == TURNS_MAX;
    int wanted = LN_ERR_LIMIT;
    if (!is_cut) {
        take(w, p, t);
        wanted = post(w, p, t);
    }
    const int rc = (topic == SIM_EVERYBODY ? ln_hub_broadcast : ln_hub_publish)(p->hub, m, NULL);
    check(w, rc == wanted, "what became of a publication was told otherwise");
    if (is_first)
        end_all(w, p);
    ln_msg_unref(m);
}

static void publish_as_stranger(world *w, unsigned topic)
{
    turn t;
    ln_msg *m = make(w, STRANGER, topic, &t);
    const int wanted = post(w, NULL, t);
    check(w, ln_mesh_publish(w->mesh, m) == wanted, "a stranger was told otherwise");
    ln_msg_unref(m);
}

/* Somebody of worker `at` joins or leaves something. */
static void wander(world *w, unsigned at)
{
    const unsigned who = at + w->place_count * pick(w, w->person_count / w->place_count);
    const unsigned topic = pick_topic(w);
    const unsigned what = pick(w, 16);
    if (what < 9)
        join(w, who, topic);
    else if (what < 14)
        leave(w, who, topic);
    else if (what < 15)
        leave_all(w, who);
    else
        vanish(w, who);
}

static ln_delivery on_deliver(ln_subscriber *s, ln_msg *m)
{
    const person *body = LN_CONTAINER_OF(s, person, sub);
    world *w = body->world;
    const unsigned who = body->index;
    place *p = place_of(w, who);
    cargo c;
    check(w, w->people[who] == body && p->is_busy, "a delivery out of nowhere");
    memcpy(&c, m->payload.data, sizeof c);

    while (p->current < p->turn_count && p->turns[p->current].serial != c.serial)
        end(w, p);
    check(w, p->current < p->turn_count, "a publication out of its turn");
    check(w, is_due(w, &p->turns[p->current], who), "a message for somebody it was not meant for");
    check(w, w->got[who] != c.serial, "a message twice");
    check(w, w->heard[who][c.publisher] < c.serial, "messages of one publisher out of order");
    w->got[who] = w->heard[who][c.publisher] = c.serial;
    total_deliveries++;

    if (is_one_in(w, w->act_one_in))
        wander(w, who % w->place_count); /* from here on `s` may be gone */
    if (is_one_in(w, w->reply_one_in))
        publish(w, who, pick_name(w));
    return LN_DELIVERED;
}

/* -- Virtual time ------------------------------------------------------------------------------ */

static void on_parcel(void *arg, ln_msg *m)
{
    place *p = arg;
    world *w = p->world;
    cargo c;
    memcpy(&c, m->payload.data, sizeof c);
    check(w, p->inbox_head != p->inbox_tail, "a parcel that nobody sent");
    const turn t = p->inbox[p->inbox_head++ % INBOX_MAX];
    check(w, t.serial == c.serial, "a parcel is missing, or out of order, or comes twice");
    take(w, p, t);
    check(w, ln_hub_deliver(p->hub, m, NULL) == 0, "a parcel was refused");
    end_all(w, p);
    total_parcels++;
}

/* The worker's loop turns: all that was under way to it has come, up to what one turn takes. */
static void turn_worker(world *w, place *p)
{
    const uint64_t tail = p->inbox_tail;
    const uint64_t most = p->inbox_head + LN_LOOP_LETTERS_PER_TURN;
    check(w, ln_loop_turn(p->loop, 0) == 0, "a loop cannot turn");
    check(w, p->inbox_head == (tail < most ? tail : most), "a turn left parcels behind");
    p->due = w->tick + 1 + pick(w, p->lag);
}

static void live_one_tick(world *w)
{
    for (unsigned n = pick(w, 4); n > 0; n--)
        wander(w, pick(w, w->place_count));
    for (unsigned n = 1 + pick(w, 2); n > 0; n--)
        publish(w, pick(w, w->person_count), pick_name(w));
    if (is_one_in(w, 4))
        publish_as_stranger(w, pick_name(w));
    for (unsigned i = 0; i < w->place_count; i++)
        if (w->places[i].due <= w->tick)
            turn_worker(w, &w->places[i]);
}

/* -- A world ----------------------------------------------------------------------------------- */

static void create(world *w, uint64_t seed)
{
    static const ln_hub_limits limits = {.topic_max_bytes = 32,
                                         .topics_per_subscriber = SIM_TOPICS};
    memset(w, 0, sizeof *w);
    w->seed = seed;
    w->random = sim_random(seed);
    for (unsigned i = 0; i < 8; i++)
        (void)pick(w, 2);
    w->hook = (ln_allocator){.resize = resize, .user = w};
    w->place_count = 2 + pick(w, WORKERS_MAX - 1);
    w->person_count = w->place_count * (1 + pick(w, EACH_MAX));
    w->name_count = 1 + pick(w, SIM_NAMES);
    w->filter_count = is_one_in(w, 4) ? 0 : 1 + pick(w, SIM_FILTERS);
    w->act_one_in = 2 + pick(w, 40);
    w->reply_one_in = w->person_count * (1 + pick(w, 4));
    w->mesh = ln_mesh_new(&w->hook, (const uint64_t[2]){seed, 0});
    check(w, w->mesh, "no mesh");
    for (unsigned i = 0; i < w->place_count; i++) {
        place *p = &w->places[i];
        p->world = w;
        p->loop = loops[i];
        p->lag = 1 + pick(w, 1 + pick(w, 30));
        p->hub = ln_hub_new(&w->hook, &limits, (const uint64_t[2]){seed, i + 1});
        check(w, p->hub, "no hub");
        ln_mesh_join(w->mesh, p->hub, i, p->loop, on_parcel, p);
        ln_hub_attach(p->hub, ln_mesh_backplane(w->mesh));
    }
    for (unsigned who = 0; who < w->person_count; who++)
        appear(w, who);
}

/* People go, what is under way comes to nobody, and the memory is given back. */
static void wind_up(world *w)
{
    for (unsigned who = 0; who < w->person_count; who++) {
        leave_all(w, who);
        free(w->people[who]);
    }
    for (unsigned i = 0; i < w->place_count; i++) {
        place *p = &w->places[i];
        while (p->inbox_head != p->inbox_tail)
            turn_worker(w, p);
        turn_worker(w, p); /* nothing more comes */
        check(w, ln_hub_topic_count(p->hub) == 0, "a topic without members");
        ln_hub_free(p->hub);
    }
    ln_mesh_free(w->mesh); /* insists that nothing is wanted any more */
    check(w, w->live_bytes == 0, "memory leaked");
}

static void run(world *w, uint64_t seed)
{
    create(w, seed);
    const bool has_stall = seed % 32 == 0;
    const uint64_t ticks = has_stall ? STALL_TICKS : TICKS;
    if (has_stall)
        w->places[0].due = STALL_TICKS;
    for (w->tick = 1; w->tick <= ticks; w->tick++)
        live_one_tick(w);
    wind_up(w);
}

int main(int argc, char **argv)
{
    static const ln_loop_options options = {.io = LN_IO_EPOLL};
    const uint64_t seeds = argc > 1 ? strtoull(argv[1], NULL, 10) : 1000;
    const uint64_t first = argc > 2 ? strtoull(argv[2], NULL, 10) : 1;
    world *w = malloc(sizeof *w);
    if (!w || seeds == 0)
        return 2;
    for (unsigned i = 0; i < WORKERS_MAX; i++)
        check(w, ln_loop_new(&options, &loops[i]) == 0, "no loop");
    for (uint64_t seed = first; seed < first + seeds; seed++)
        run(w, seed);
    for (unsigned i = 0; i < WORKERS_MAX; i++)
        ln_loop_free(loops[i]);
    free(w);
    printf("mesh_sim: %" PRIu64 " seeds from %" PRIu64 ": %" PRIu64 " publications, %" PRIu64
           " parcels, %" PRIu64 " refused by the bound, %" PRIu64 " deliveries; no fault\n",
           seeds, first, total_publications, total_parcels, total_refused, total_deliveries);
    return 0;
}
