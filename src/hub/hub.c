/* SPDX-License-Identifier: MIT */
#include "hub.h"

#include <stdatomic.h>
#include <string.h>

#include "base/name.h"
#include "crowd.h"

enum {
    OUTCOMES = LN_DELIVERY_CLOSED + 1,
    /* Subscribers, which lie anywhere: 1 to 10,000 costs 3 ns each with it, 6 ns without. */
    PREFETCH_AHEAD = 8
};

struct ln_topic {
    ln_crowd crowd;
    uint32_t name_bytes;
    ln_topic *torn_next; /* in hub->torn, exactly while a seat is vacant */
    char name[];
};

/* A publication made during another one. */
typedef struct waiting {
    struct waiting *next;
    ln_msg *m; /* owned */
} waiting;

/* Written by the owner only, so that adding needs no locked instruction. */
typedef struct counters {
    _Atomic uint64_t publications;
    _Atomic uint64_t outcomes[OUTCOMES];
    _Atomic uint64_t topics;
    _Atomic uint64_t members;
} counters;

struct ln_hub {
    const ln_allocator *alloc;
    ln_hub_limits limits;
    ln_backplane *backplane;
    ln_map topics; /* name to ln_topic */
    ln_members members;
    bool is_busy;     /* a publication is under way */
    ln_topic *torn;   /* topics with vacant seats */
    waiting *first;   /* publications that wait for the end of this one */
    waiting **last;   /* where the next goes */
    uint32_t cascade; /* how many have waited since the outermost began */
    counters counters;
};

static void add_to(_Atomic uint64_t *counter, uint64_t n)
{
    const uint64_t value = atomic_load_explicit(counter, memory_order_relaxed);
    atomic_store_explicit(counter, value + n, memory_order_relaxed);
}

static void take_one(_Atomic uint64_t *counter)
{
    const uint64_t value = atomic_load_explicit(counter, memory_order_relaxed);
    LN_ASSERT(value > 0);
    atomic_store_explicit(counter, value - 1, memory_order_relaxed);
}

static uint64_t read_from(const _Atomic uint64_t *counter)
{
    return atomic_load_explicit(counter, memory_order_relaxed);
}

static ln_span name_of(const ln_topic *t)
{
    return (ln_span){t->name, t->name_bytes};
}

ln_hub *ln_hub_new(const ln_allocator *alloc, const ln_hub_limits *limits, const uint64_t seed[2])
{
    LN_ASSERT(limits->topic_max_bytes > 0 && limits->topics_per_subscriber > 0);
    ln_hub *hub = ln_alloc_zero(alloc, sizeof *hub);
    if (!hub)
        return NULL;
    hub->alloc = alloc;
    hub->limits = *limits;
    hub->last = &hub->first;
    ln_map_init(&hub->topics, alloc, seed);
    ln_members_init(&hub->members, alloc);
    return hub;
}

void ln_hub_free(ln_hub *hub)
{
    if (!hub)
        return;
    LN_ASSERT(!hub->is_busy && !hub->first && !hub->torn);
    LN_ASSERT(hub->topics.count == 0);
    ln_members_fini(&hub->members);
    ln_map_fini(&hub->topics);
    ln_free(hub->alloc, hub);
}

void ln_hub_attach(ln_hub *hub, ln_backplane *backplane)
{
    LN_ASSERT(hub->topics.count == 0);
    hub->backplane = backplane;
}

bool ln_hub_is_topic(ln_span topic, uint32_t max_bytes)
{
    return ln_name_is_valid(topic, max_bytes);
}

/* -- Topics ------------------------------------------------------------------------------------ */

/* A topic without members, in the map, of which the backplane knows nothing yet. */
static int add_topic(ln_hub *hub, ln_span name, ln_topic **topic)
{
    ln_topic *t = ln_alloc_zero(hub->alloc, sizeof *t + name.size);
    if (!t)
        return LN_ERR_NOMEM;
    t->name_bytes = (uint32_t)name.size;
    memcpy(t->name, name.data, name.size);
    const int rc = ln_map_add(&hub->topics, name_of(t), t);
    LN_ASSERT(rc != LN_ERR_EXISTS);
    if (rc < 0) {
        ln_free(hub->alloc, t);
        return rc;
    }
    add_to(&hub->counters.topics, 1);
    *topic = t;
    return 0;
}

static void remove_topic(ln_hub *hub, ln_topic *t)
{
    LN_ASSERT(t->crowd.live == 0);
    void *removed = ln_map_remove(&hub->topics, name_of(t));
    LN_ASSERT(removed == t);
    take_one(&hub->counters.topics);
    ln_crowd_fini(&t->crowd, hub->alloc);
    ln_free(hub->alloc, t);
}

/* The last member has left. */
static void end_topic(ln_hub *hub, ln_topic *t)
{
    if (hub->backplane)
        (void)hub->backplane->interest(hub->backplane, hub, name_of(t), false);
    remove_topic(hub, t);
}

/* Puts right what was left during the publication that has just ended. */
static void mend(ln_hub *hub)
{
    while (hub->torn) {
        ln_topic *t = hub->torn;
        hub->torn = t->torn_next;
        t->torn_next = NULL;
        ln_crowd_compact(&t->crowd, hub->alloc);
        if (t->crowd.live == 0)
            end_topic(hub, t);
    }
}

/* -- Members ----------------------------------------------------------------------------------- */

void ln_subscriber_init(ln_subscriber *s, ln_deliver_fn *deliver, uint64_t id)
{
    LN_ASSERT(deliver);
    *s = (ln_subscriber){.deliver = deliver, .id = id};
}

/* Searches the shorter side, so that neither a large topic nor a subscriber to many makes it
 * dear. */
static ln_member *find_member(const ln_topic *t, const ln_subscriber *s)
{
    if (t->crowd.size < s->count)
        return ln_crowd_find(&t->crowd, s);
    for (ln_member *m = s->members; m; m = m->next)
        if (m->topic == t)
            return m;
    return NULL;
}

/* Reserves everything that joining needs, then joins. */
static int join(ln_hub *hub, ln_topic *t, ln_subscriber *s)
{
    ln_member *m = ln_members_take(&hub->members);
    if (!m)
        return LN_ERR_NOMEM;
    int rc = ln_crowd_reserve(&t->crowd, hub->alloc);
    /* Vacant seats: everybody left during this publication, and the interest was not
     * withdrawn yet. */
    if (rc == 0 && t->crowd.size == 0 && hub->backplane)
        rc = hub->backplane->interest(hub->backplane, hub, name_of(t), true);
    if (rc < 0) {
        ln_members_give(&hub->members, m);
        return rc;
    }
    ln_crowd_add(&t->crowd, s, m);
    m->topic = t;
    m->next = s->members;
    m->link = &s->members;
    if (m->next)
        m->next->link = &m->next;
    s->members = m;
    s->count++;
    add_to(&hub->counters.members, 1);
    return 0;
}

static void leave(ln_hub *hub, ln_subscriber *s, ln_member *m)
{
    ln_topic *t = m->topic;
    LN_ASSERT(t->crowd.seats[m->seat].who == s && s->count > 0);

    *m->link = m->next;
    if (m->next)
        m->next->link = m->link;
    s->count--;
    take_one(&hub->counters.members);

    if (hub->is_busy) {
        if (t->crowd.live == t->crowd.size) {
            t->torn_next = hub->torn;
            hub->torn = t;
        }
        ln_crowd_vacate(&t->crowd, m->seat);
    } else {
        ln_crowd_remove(&t->crowd, hub->alloc, m->seat);
    }
    ln_members_give(&hub->members, m);
    if (t->crowd.size == 0)
        end_topic(hub, t);
}

int ln_hub_subscribe(ln_hub *hub, ln_subscriber *s, ln_span topic)
{
    if (!ln_hub_is_topic(topic, hub->limits.topic_max_bytes))
        return LN_ERR_INVALID;
    ln_topic *t = ln_map_find(&hub->topics, topic);
    if (t && find_member(t, s))
        return 0;
    if (s->count >= hub->limits.topics_per_subscriber)
        return LN_ERR_LIMIT;

    int rc = t ? 0 : add_topic(hub, topic, &t);
    if (rc < 0)
        return rc;
    rc = join(hub, t, s);
    if (rc < 0 && t->crowd.size == 0)
        remove_topic(hub, t);
    return rc;
}

int ln_hub_unsubscribe(ln_hub *hub, ln_subscriber *s, ln_span topic)
{
    const ln_topic *t = ln_map_find(&hub->topics, topic);
    ln_member *m = t ? find_member(t, s) : NULL;
    if (!m)
        return LN_ERR_NOT_FOUND;
    leave(hub, s, m);
    return 0;
}

void ln_hub_leave_all(ln_hub *hub, ln_subscriber *s)
{
    while (s->members)
        leave(hub, s, s->members);
    LN_ASSERT(s->count == 0);
}

/* -- Publications ------------------------------------------------------------------------------ */

/* Calls whoever sat there when it began. Seats may be vacated, and the array may grow and move, at
 * every call. */
LN_HOT static void fan_out(const ln_topic *t, ln_msg *m, uint32_t outcomes[OUTCOMES])
{
    const uint32_t size = t->crowd.size;
    const uint64_t excluded = m->excluded;

    for (uint32_t i = 0; i < size; i++) {
        const ln_seat *seat = &t->crowd.seats[i];
        if (size - i > PREFETCH_AHEAD)
            LN_PREFETCH(seat[PREFETCH_AHEAD].who);
        ln_subscriber *s = seat->who;
        if (!s || (s->id == excluded && excluded != 0))
            continue;
        const ln_delivery outcome = s->deliver(s, m);
        LN_ASSERT((unsigned)outcome < OUTCOMES);
        outcomes[outcome]++;
    }
}

static void deliver_one(ln_hub *hub, ln_msg *m, ln_hub_result *result)
{
    LN_ASSERT(hub->is_busy && !hub->torn);
    uint32_t outcomes[OUTCOMES] = {0};
    const ln_topic *t = ln_map_find(&hub->topics, m->topic);
    if (t)
        fan_out(t, m, outcomes);
    mend(hub);

    for (unsigned i = 0; i < OUTCOMES; i++)
        add_to(&hub->counters.outcomes[i], outcomes[i]);
    if (result)
        *result = (ln_hub_result){.delivered = outcomes[LN_DELIVERED],
                                  .queued = outcomes[LN_DELIVERY_QUEUED],
                                  .dropped = outcomes[LN_DELIVERY_DROPPED],
                                  .closed = outcomes[LN_DELIVERY_CLOSED]};
}

/* Keeps `m` until the publication under way has ended. */
static int wait_turn(ln_hub *hub, ln_msg *m, ln_hub_result *result)
{
    LN_ASSERT(hub->is_busy);
    if (hub->cascade == LN_HUB_CASCADE_MAX)
        return LN_ERR_LIMIT;
    waiting *w = ln_alloc(hub->alloc, sizeof *w);
    if (!w)
        return LN_ERR_NOMEM;
    *w = (waiting){.m = ln_msg_ref(m)};
    *hub->last = w;
    hub->last = &w->next;
    hub->cascade++;
    if (result)
        *result = (ln_hub_result){0};
    return 0;
}

/* Delivers `m`, then what deliveries have published meanwhile, one after the other. */
static void deliver_all(ln_hub *hub, ln_msg *m, ln_hub_result *result)
{
    deliver_one(hub, m, result);
    while (hub->first) {
        waiting *w = hub->first;
        hub->first = w->next;
        if (!hub->first)
            hub->last = &hub->first;
        deliver_one(hub, w->m, NULL);
        ln_msg_unref(w->m);
        ln_free(hub->alloc, w);
    }
    hub->cascade = 0;
    hub->is_busy = false;
}

static int hand_on(ln_hub *hub, ln_msg *m)
{
    add_to(&hub->counters.publications, 1);
    return hub->backplane ? hub->backplane->publish(hub->backplane, hub, m) : 0;
}

int ln_hub_publish(ln_hub *hub, ln_msg *m, ln_hub_result *result)
{
    if (!ln_hub_is_topic(m->topic, hub->limits.topic_max_bytes))
        return LN_ERR_INVALID;
    if (hub->is_busy) {
        const int rc = wait_turn(hub, m, result);
        return rc < 0 ? rc : hand_on(hub, m);
    }
    hub->is_busy = true; /* before the backplane, which may bring an answer at once */
    const int rc = hand_on(hub, m);
    deliver_all(hub, m, result);
    return rc;
}

int ln_hub_deliver(ln_hub *hub, ln_msg *m, ln_hub_result *result)
{
    if (hub->is_busy)
        return wait_turn(hub, m, result);
    hub->is_busy = true;
    deliver_all(hub, m, result);
    return 0;
}

/* -- Questions --------------------------------------------------------------------------------- */

size_t ln_hub_topic_count(const ln_hub *hub)
{
    return hub->topics.count;
}

size_t ln_hub_member_count(const ln_hub *hub, ln_span topic)
{
    const ln_topic *t = ln_map_find(&hub->topics, topic);
    return t ? t->crowd.live : 0;
}

bool ln_hub_is_member(const ln_hub *hub, const ln_subscriber *s, ln_span topic)
{
    const ln_topic *t = ln_map_find(&hub->topics, topic);
    return t && find_member(t, s);
}

void ln_hub_each(const ln_hub *hub, ln_span topic, void (*fn)(ln_subscriber *s, void *arg),
                 void *arg)
{
    const ln_topic *t = ln_map_find(&hub->topics, topic);
    for (uint32_t i = 0; t && i < t->crowd.size; i++)
        if (t->crowd.seats[i].who)
            fn(t->crowd.seats[i].who, arg);
}

void ln_hub_stats_get(const ln_hub *hub, ln_hub_stats *stats)
{
    const counters *c = &hub->counters;
    *stats = (ln_hub_stats){.publications = read_from(&c->publications),
                            .deliveries = read_from(&c->outcomes[LN_DELIVERED]),
                            .queued = read_from(&c->outcomes[LN_DELIVERY_QUEUED]),
                            .dropped = read_from(&c->outcomes[LN_DELIVERY_DROPPED]),
                            .closed = read_from(&c->outcomes[LN_DELIVERY_CLOSED]),
                            .topics = read_from(&c->topics),
                            .members = read_from(&c->members)};
}
