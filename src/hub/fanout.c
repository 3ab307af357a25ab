/* SPDX-License-Identifier: MIT */
/*
 * fanout.c - the publications of a hub (hub.h): whom they reach, and in which order.
 */
#include "hubinner.h"

enum {
    /* Subscribers, which lie anywhere: 1 to 10,000 costs 3 ns each with it, 6 ns without. */
    PREFETCH_AHEAD = 8,
    /* Topics of a subscriber that is parked: as many are looked at when it no longer is. */
    PARKED_TOPICS_MAX = 64
};

/* ---- the parked ---- */

/* The parked are called again like all others; no seat moves. */
static void open_parking(ln_topic *t)
{
    t->crowd.parked = 0;
    ln_parking_clear(t->parking);
}

/* The member in seat `i` has dropped a publication; if it asked to be parked, it is. */
static LN_COLD void park(const ln_hub *hub, ln_topic *t, uint32_t i)
{
    const ln_subscriber *s = t->crowd.seats[i].who;
    if (!s || !s->account || s->count > PARKED_TOPICS_MAX)
        return;
    if (ln_parking_enter(&t->parking, hub->alloc, s) == 0)
        ln_crowd_park(&t->crowd, i);
}

/* The account of who must not get it, if that is parked here. */
static const ln_hub_account *excluded_account(const ln_crowd *c, uint64_t id)
{
    for (uint32_t i = 0; id != 0 && i < c->parked; i++)
        if (c->seats[i].who && c->seats[i].who->id == id)
            return c->seats[i].who->account;
    return NULL;
}

/* `m` goes past the parked, unless it is small enough for one of them: then they are no longer.
 * How many they were is added to *dropped. */
static LN_COLD void pass(ln_topic *t, const ln_msg *m, uint32_t *dropped)
{
    if (m->payload.size < t->parking->min_bytes) {
        open_parking(t);
        return;
    }
    const ln_hub_account *excluded = excluded_account(&t->crowd, m->excluded);
    for (uint32_t i = 0; i < t->parking->used; i++) {
        const ln_parking_lot *lot = &t->parking->lots[i];
        const uint32_t count = lot->count - (lot->account == excluded);
        if (count > 0)
            lot->account->miss(lot->account, m, count);
        *dropped += count;
    }
}

/* ---- the others ---- */

/*
 * Calls whoever sat there, from seat `first` on, when it began. Seats may be vacated, and the array
 * may grow and move, at every call. `serial`: whom this number marks has had it, or 0 where nobody
 * can sit twice; then those who ask are parked, which moves no seat that was not reached yet.
 */
LN_INLINE void walk(const ln_hub *hub, ln_topic *t, uint32_t first, uint32_t size, ln_msg *m,
                    uint32_t serial, uint32_t outcomes[LN_HUB_OUTCOMES])
{
    const uint64_t excluded = m->excluded;

    for (uint32_t i = first; i < size; i++) {
        const ln_seat *seat = &t->crowd.seats[i];
        if (size - i > PREFETCH_AHEAD)
            LN_PREFETCH(seat[PREFETCH_AHEAD].who);
        ln_subscriber *s = seat->who;
        if (!s || (s->id == excluded && excluded != 0))
            continue;
        if (serial != 0) {
            if (s->reached == serial)
                continue;
            s->reached = serial;
        }
        const ln_delivery outcome = s->deliver(s, m);
        LN_ASSERT((unsigned)outcome < LN_HUB_OUTCOMES);
        outcomes[outcome]++;
        if (LN_UNLIKELY(outcome == LN_DELIVERY_DROPPED) && serial == 0)
            park(hub, t, i);
    }
}

/* Two loops of one text: the ordinary one need not know of marks, which cost it a quarter. */
LN_HOT static void fan_out(const ln_hub *hub, ln_topic *t, ln_msg *m,
                           uint32_t outcomes[LN_HUB_OUTCOMES])
{
    const uint32_t size = t->crowd.size;
    if (LN_UNLIKELY(t->crowd.parked > 0))
        pass(t, m, &outcomes[LN_DELIVERY_DROPPED]);
    walk(hub, t, t->crowd.parked, size, m, 0, outcomes);
}

/* Those who sat in the first `size` seats. Parked ones are called like others: they might sit
 * twice. */
static void fan_out_once(const ln_hub *hub, ln_topic *t, uint32_t size, ln_msg *m, uint32_t serial,
                         uint32_t outcomes[LN_HUB_OUTCOMES])
{
    walk(hub, t, 0, size, m, serial, outcomes);
}

/* Settles whom a publication that can reach somebody twice reaches in `t`. */
static void set_reach(ln_topic *t)
{
    open_parking(t);
    t->reach = t->crowd.size;
}

static void forget_marks(ln_hub *hub)
{
    for (const ln_link *at = hub->all.next; at != &hub->all; at = at->next) {
        const ln_crowd *crowd = &ln_topic_linked(at)->crowd;
        for (uint32_t i = 0; i < crowd->size; i++)
            crowd->seats[i].who->reached = 0;
    }
}

/* Never 0, which nobody is marked with: after four thousand million it begins anew. */
static uint32_t next_serial(ln_hub *hub)
{
    LN_ASSERT(!hub->torn); /* no seat is vacant */
    if (LN_UNLIKELY(++hub->serial == 0)) {
        forget_marks(hub);
        hub->serial = 1;
    }
    return hub->serial;
}

/*
 * To the members of `t`, which may be NULL, and of the filters that match. Who they are is settled
 * before the first is called; the sieve's array may move at every call.
 */
static void reach_matching(ln_hub *hub, ln_topic *t, ln_msg *m, uint32_t outcomes[LN_HUB_OUTCOMES])
{
    const size_t count = ln_sieve_match(&hub->sieve, m->topic);
    const uint32_t serial = next_serial(hub);

    if (count == 0) {
        if (t)
            fan_out(hub, t, m, outcomes);
        return;
    }
    for (size_t i = 0; i < count; i++)
        set_reach(hub->sieve.found[i]);
    if (t) {
        set_reach(t);
        fan_out_once(hub, t, t->reach, m, serial, outcomes);
    }
    for (size_t i = 0; i < count; i++) {
        ln_topic *filter = hub->sieve.found[i];
        fan_out_once(hub, filter, filter->reach, m, serial, outcomes);
    }
}

/* To everybody. Topics that appear meanwhile stand behind the last one, and none vanishes. */
static void reach_all(ln_hub *hub, ln_msg *m, uint32_t outcomes[LN_HUB_OUTCOMES])
{
    const ln_link *const last = hub->all.prev;
    const uint32_t serial = next_serial(hub);

    for (const ln_link *at = hub->all.next; at != &hub->all; at = at->next)
        set_reach(ln_topic_linked(at));
    for (const ln_link *at = &hub->all; at != last;) {
        at = at->next;
        fan_out_once(hub, ln_topic_linked(at), ln_topic_linked(at)->reach, m, serial, outcomes);
    }
}

/* The topic of this very name, if it has one and is no filter. */
static ln_topic *topic_named(const ln_hub *hub, ln_span name)
{
    ln_topic *t = ln_map_find(&hub->topics, name);
    return t && !t->is_filter ? t : NULL;
}

/* `t`: topic_named() as the message. */
static void reach(ln_hub *hub, ln_topic *t, ln_msg *m, uint32_t outcomes[LN_HUB_OUTCOMES])
{
    if (LN_UNLIKELY(m->topic.size == 0))
        reach_all(hub, m, outcomes);
    else if (LN_UNLIKELY(!ln_sieve_is_empty(&hub->sieve)))
        reach_matching(hub, t, m, outcomes);
    else if (t)
        fan_out(hub, t, m, outcomes);
}

static void deliver_one(ln_hub *hub, ln_topic *t, ln_msg *m, ln_hub_result *result)
{
    LN_ASSERT(hub->is_busy && !hub->torn);
    uint32_t outcomes[LN_HUB_OUTCOMES] = {0};
    reach(hub, t, m, outcomes);
    ln_hub_mend(hub);

    for (unsigned i = 0; i < LN_HUB_OUTCOMES; i++)
        ln_hub_count(&hub->counters.outcomes[i], outcomes[i]);
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
    ln_hub_waiting *w = ln_alloc(hub->alloc, sizeof *w);
    if (!w)
        return LN_ERR_NOMEM;
    *w = (ln_hub_waiting){.m = ln_msg_ref(m)};
    *hub->last = w;
    hub->last = &w->next;
    hub->cascade++;
    if (result)
        *result = (ln_hub_result){0};
    return 0;
}

/* Delivers `m`, then what deliveries have published meanwhile, one after the other. */
static void deliver_all(ln_hub *hub, ln_topic *t, ln_msg *m, ln_hub_result *result)
{
    deliver_one(hub, t, m, result);
    while (hub->first) {
        ln_hub_waiting *w = hub->first;
        hub->first = w->next;
        if (!hub->first)
            hub->last = &hub->first;
        deliver_one(hub, topic_named(hub, w->m->topic), w->m, NULL);
        ln_msg_unref(w->m);
        ln_free(hub->alloc, w);
    }
    hub->cascade = 0;
    hub->is_busy = false;
}

static int hand_on(ln_hub *hub, ln_msg *m)
{
    ln_hub_count(&hub->counters.publications, 1);
    return hub->backplane ? hub->backplane->publish(hub->backplane, hub, m) : 0;
}

static int send(ln_hub *hub, ln_topic *t, ln_msg *m, ln_hub_result *result)
{
    if (hub->is_busy) {
        const int rc = wait_turn(hub, m, result);
        return rc < 0 ? rc : hand_on(hub, m);
    }
    hub->is_busy = true; /* before the backplane, which may bring an answer at once */
    const int rc = hand_on(hub, m);
    deliver_all(hub, t, m, result); /* the backplane cannot have ended it */
    return rc;
}

int ln_hub_publish(ln_hub *hub, ln_msg *m, ln_hub_result *result)
{
    ln_topic *t = topic_named(hub, m->topic);
    if (!t && !ln_hub_is_topic(m->topic, hub->limits.topic_max_bytes))
        return LN_ERR_INVALID; /* a name that exists has been checked */
    return send(hub, t, m, result);
}

int ln_hub_broadcast(ln_hub *hub, ln_msg *m, ln_hub_result *result)
{
    return m->topic.size == 0 ? send(hub, NULL, m, result) : LN_ERR_INVALID;
}

int ln_hub_deliver(ln_hub *hub, ln_msg *m, ln_hub_result *result)
{
    if (hub->is_busy)
        return wait_turn(hub, m, result);
    hub->is_busy = true;
    deliver_all(hub, topic_named(hub, m->topic), m, result);
    return 0;
}
