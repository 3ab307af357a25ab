/* SPDX-License-Identifier: MIT */
#include "hub.h"

#include <string.h>

#include "base/name.h"
#include "hubinner.h"

static uint64_t read_from(const _Atomic uint64_t *counter)
{
    return atomic_load_explicit(counter, memory_order_relaxed);
}

static void take_one(_Atomic uint64_t *counter)
{
    const uint64_t value = read_from(counter);
    LN_ASSERT(value > 0);
    atomic_store_explicit(counter, value - 1, memory_order_relaxed);
}

ln_hub *ln_hub_new(const ln_allocator *alloc, const ln_hub_limits *limits, const uint64_t seed[2])
{
    LN_ASSERT(limits->topic_max_bytes > 0 && limits->topic_max_bytes <= LN_HUB_NAME_MAX_BYTES);
    LN_ASSERT(limits->topics_per_subscriber > 0);
    ln_hub *hub = ln_alloc_zero(alloc, sizeof *hub);
    if (!hub)
        return NULL;
    hub->alloc = alloc;
    hub->limits = *limits;
    hub->last = &hub->first;
    ln_map_init(&hub->topics, alloc, seed);
    ln_sieve_init(&hub->sieve, alloc, seed);
    ln_list_init(&hub->all);
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
    ln_sieve_fini(&hub->sieve);
    ln_map_fini(&hub->topics);
    ln_free(hub->alloc, hub);
}

void ln_hub_attach(ln_hub *hub, ln_backplane *backplane)
{
    LN_ASSERT(hub->topics.count == 0);
    hub->backplane = backplane;
}

void ln_hub_set_bounds(ln_hub *hub, const ln_hub_bounds *bounds)
{
    hub->bounds = *bounds;
}

bool ln_hub_is_topic(ln_span topic, uint32_t max_bytes)
{
    return ln_name_is_valid(topic, max_bytes) && !ln_filter_is(topic);
}

/* -- Topics ------------------------------------------------------------------------------------ */

/* In the map, and in the sieve if it is a filter. */
static int enter_topic(ln_hub *hub, ln_topic *t)
{
    int rc = ln_map_add(&hub->topics, ln_topic_name(t), t);
    LN_ASSERT(rc != LN_ERR_EXISTS);
    if (rc < 0 || !t->is_filter)
        return rc;
    rc = ln_sieve_add(&hub->sieve, ln_topic_name(t), t);
    if (rc < 0)
        (void)ln_map_remove(&hub->topics, ln_topic_name(t));
    return rc;
}

/* A topic without members, of which the backplane knows nothing yet. */
static int add_topic(ln_hub *hub, ln_span name, ln_topic **topic)
{
    ln_topic *t = ln_alloc_zero(hub->alloc, sizeof *t + name.size);
    if (!t)
        return LN_ERR_NOMEM;
    t->name_bytes = (uint16_t)name.size;
    t->is_filter = ln_filter_is(name);
    memcpy(t->name, name.data, name.size);
    const int rc = enter_topic(hub, t);
    if (rc < 0) {
        ln_free(hub->alloc, t);
        return rc;
    }
    ln_list_init(&t->link);
    ln_list_add(&hub->all, &t->link);
    ln_hub_count(&hub->counters.topics, 1);
    *topic = t;
    return 0;
}

static void remove_topic(ln_hub *hub, ln_topic *t)
{
    LN_ASSERT(t->crowd.live == 0);
    if (t->is_filter)
        ln_sieve_remove(&hub->sieve, ln_topic_name(t));
    ln_list_remove(&t->link);
    void *removed = ln_map_remove(&hub->topics, ln_topic_name(t));
    LN_ASSERT(removed == t);
    take_one(&hub->counters.topics);
    ln_crowd_fini(&t->crowd, hub->alloc);
    ln_free(hub->alloc, t->parking);
    ln_free(hub->alloc, t);
}

/* The last member has left. */
static void end_topic(ln_hub *hub, ln_topic *t)
{
    if (hub->backplane)
        (void)hub->backplane->interest(hub->backplane, hub, ln_topic_name(t), false);
    remove_topic(hub, t);
}

void ln_hub_mend(ln_hub *hub)
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
        rc = hub->backplane->interest(hub->backplane, hub, ln_topic_name(t), true);
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
    if (s->count++ == 0)
        s->reached = 0; /* numbers may have begun anew meanwhile */
    ln_hub_count(&hub->counters.members, 1);
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

    if (m->seat < t->crowd.parked)
        ln_parking_leave(t->parking, s);
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

static ln_hub_obstacle obstacle(const ln_hub *hub, const ln_topic *t, const ln_subscriber *s)
{
    const ln_hub_bounds *b = &hub->bounds;
    if (s->count >= hub->limits.topics_per_subscriber)
        return LN_HUB_SUBSCRIBER_IS_FULL;
    if (b->members_per_topic > 0 && t && t->crowd.live >= b->members_per_topic)
        return LN_HUB_TOPIC_IS_FULL;
    if (b->members > 0 && read_from(&hub->counters.members) >= b->members)
        return LN_HUB_IS_FULL;
    return LN_HUB_IS_FREE;
}

ln_hub_obstacle ln_hub_find_obstacle(const ln_hub *hub, const ln_subscriber *s, ln_span topic)
{
    const ln_topic *t = ln_map_find(&hub->topics, topic);
    return t && find_member(t, s) ? LN_HUB_IS_FREE : obstacle(hub, t, s);
}

int ln_hub_subscribe(ln_hub *hub, ln_subscriber *s, ln_span topic)
{
    if (!ln_name_is_valid(topic, hub->limits.topic_max_bytes))
        return LN_ERR_INVALID;
    ln_topic *t = ln_map_find(&hub->topics, topic);
    if (t && find_member(t, s))
        return 0;
    if (obstacle(hub, t, s) != LN_HUB_IS_FREE)
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

void ln_hub_park(ln_subscriber *s, ln_hub_account *account, uint32_t full_bytes)
{
    LN_ASSERT(account && (!s->account || s->account == account));
    if (!s->account || full_bytes < s->full_bytes)
        s->full_bytes = full_bytes;
    s->account = account;
}

void ln_hub_unpark(ln_subscriber *s)
{
    for (const ln_member *m = s->members; s->account && m; m = m->next) {
        ln_topic *t = m->topic;
        if (m->seat >= t->crowd.parked)
            continue;
        ln_parking_leave(t->parking, s);
        ln_crowd_unpark(&t->crowd, m->seat);
    }
    s->account = NULL;
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

void ln_hub_each_topic(const ln_hub *hub, bool (*fn)(ln_span topic, size_t members, void *arg),
                       void *arg)
{
    for (const ln_link *at = hub->all.next; at != &hub->all; at = at->next) {
        const ln_topic *t = ln_topic_linked(at);
        if (t->crowd.live > 0 && !fn(ln_topic_name(t), t->crowd.live, arg))
            return;
    }
}

void ln_hub_each_of(const ln_subscriber *s, bool (*fn)(ln_span topic, void *arg), void *arg)
{
    for (const ln_member *m = s->members; m; m = m->next)
        if (!fn(ln_topic_name(m->topic), arg))
            return;
}

void ln_hub_stats_get(const ln_hub *hub, ln_hub_stats *stats)
{
    const ln_hub_counters *c = &hub->counters;
    *stats = (ln_hub_stats){.publications = read_from(&c->publications),
                            .deliveries = read_from(&c->outcomes[LN_DELIVERED]),
                            .queued = read_from(&c->outcomes[LN_DELIVERY_QUEUED]),
                            .dropped = read_from(&c->outcomes[LN_DELIVERY_DROPPED]),
                            .closed = read_from(&c->outcomes[LN_DELIVERY_CLOSED]),
                            .topics = read_from(&c->topics),
                            .members = read_from(&c->members)};
}
