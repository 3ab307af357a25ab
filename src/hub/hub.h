/* SPDX-License-Identifier: MIT */
/*
 * hub - topics, who subscribes to them, and fan-out. One per worker; knows no WebSocket, no socket,
 * no thread.
 *
 * A subscriber is any object with an embedded ln_subscriber and one function that takes a message.
 * That function may call the hub: joining and leaving take effect at once (also of other
 * subscribers, which may even be freed once they have left everything); what it publishes waits
 * until the publication under way has ended.
 *
 * Who subscribes to a filter (filter.h) gets what is published to every name that it matches. A
 * filter is a topic of its own, with its members, and nobody publishes to it.
 *
 * Invariants
 *   1. A topic exists exactly while it has a subscriber, or until the publication ends in which it
 *      lost the last one.
 *   2. topic->crowd is dense; a member knows its seat, so leaving is O(1) whatever the size.
 *   3. A publication reaches those who were subscribed to the name, or to a filter that matches it,
 *      when it began, each once, however many of its topics match. Who leaves a topic during it is
 *      no longer reached through this one, also when it joins again before it was reached.
 *   4. Order: two publications reach a subscriber that gets both in the order of the calls,
 *      whatever their names. One is delivered at a time; the stack does not grow with publications
 *      that cause others.
 *   5. While a publication is under way no seat moves and no topic vanishes; what lost members is
 *      in hub->torn and put right at the end.
 *   6. The backplane has been told of interest exactly for the topics that exist.
 *   7. Delivering needs no memory: what it uses was reserved by subscribing. (Parking takes some, and
 *      goes without.)
 *   8. Who is parked may still be called; each publication reaches it or its account, not both.
 */
#ifndef LN_HUB_H
#define LN_HUB_H

#include "backplane.h"
#include "base/base.h"

typedef struct ln_topic ln_topic;
typedef struct ln_member ln_member; /* one subscriber in one topic */
typedef struct ln_subscriber ln_subscriber;

/*
 * What a subscriber that has no room is not called for. `miss` hears of a publication that went past
 * `subscribers` of those who are parked with this account; for them it counts as dropped. It must not
 * call the hub.
 */
typedef struct ln_hub_account ln_hub_account;
struct ln_hub_account {
    void (*miss)(ln_hub_account *account, const ln_msg *m, uint32_t subscribers);
};

/* What became of one delivery. */
typedef enum ln_delivery {
    LN_DELIVERED,
    LN_DELIVERY_QUEUED,
    LN_DELIVERY_DROPPED,
    LN_DELIVERY_CLOSED
} ln_delivery;

/* Takes its own reference of `m` if it keeps it. */
typedef ln_delivery ln_deliver_fn(ln_subscriber *s, ln_msg *m);

struct ln_subscriber {
    ln_deliver_fn *deliver;
    uint64_t id;             /* compared with msg->excluded */
    ln_member *members;      /* its memberships */
    uint32_t count;          /* of them */
    uint32_t reached;        /* number of the last publication that could have reached it twice */
    ln_hub_account *account; /* it is parked; NULL = it is not */
    uint32_t full_bytes;     /* then: payloads of that size and above find no room */
};

/* Publications that one may cause, directly and through others, before it has ended: cuts circles
 * of replies. */
enum { LN_HUB_CASCADE_MAX = 1024 };
enum { LN_HUB_NAME_MAX_BYTES = 65535 };

/* Both at least 1. */
typedef struct ln_hub_limits {
    uint32_t topic_max_bytes; /* at most LN_HUB_NAME_MAX_BYTES */
    uint32_t topics_per_subscriber;
} ln_hub_limits;

/* How many may be in; 0 = no bound. Of one hub: what all workers share is counted by
 * dialect/capacity.h. */
typedef struct ln_hub_bounds {
    uint32_t members_per_topic;
    uint64_t members; /* subscriptions in all */
} ln_hub_bounds;

/* What keeps a subscriber out. */
typedef enum ln_hub_obstacle {
    LN_HUB_IS_FREE,
    LN_HUB_SUBSCRIBER_IS_FULL, /* it is in as many topics as one may be */
    LN_HUB_TOPIC_IS_FULL,
    LN_HUB_IS_FULL
} ln_hub_obstacle;

typedef struct ln_hub_result {
    uint32_t delivered, queued, dropped, closed;
} ln_hub_result;

/* Totals since the start, but topics and members: now. */
typedef struct ln_hub_stats {
    uint64_t publications; /* made here; what the backplane brings was counted where it was made */
    uint64_t deliveries;   /* of both; LN_DELIVERED only */
    uint64_t queued;
    uint64_t dropped;
    uint64_t closed;
    uint64_t topics;  /* filters included */
    uint64_t members; /* subscriptions */
} ln_hub_stats;

/* `seed`: 16 secret random bytes. NULL when out of memory. */
ln_hub *ln_hub_new(const ln_allocator *alloc, const ln_hub_limits *limits, const uint64_t seed[2]);

/* No subscriber may be left, no publication under way. Accepts NULL. */
void ln_hub_free(ln_hub *hub);

/* NULL = stand-alone. Set before the first subscription. */
void ln_hub_attach(ln_hub *hub, ln_backplane *backplane);

/* Other bounds from now on; who is in stays. */
void ln_hub_set_bounds(ln_hub *hub, const ln_hub_bounds *bounds);

/* In no topic. `s` must stay where it is while it is in one, and is of one hub for life. */
void ln_subscriber_init(ln_subscriber *s, ln_deliver_fn *deliver, uint64_t id);

/*
 * `topic`: a name or a filter. 0, also when already in, which no limit hinders; LN_ERR_INVALID
 * (name, or an empty token in a filter), LN_ERR_LIMIT (an obstacle, or what filter.h and sieve.h
 * bound), LN_ERR_NOMEM, or what the backplane says.
 */
int ln_hub_subscribe(ln_hub *hub, ln_subscriber *s, ln_span topic);
/* LN_ERR_NOT_FOUND. */
int ln_hub_unsubscribe(ln_hub *hub, ln_subscriber *s, ln_span topic);
/* Leaves everything; safe during a publication. */
void ln_hub_leave_all(ln_hub *hub, ln_subscriber *s);

/*
 * Parks `s`, from inside its own delivery, which it answers with LN_DELIVERY_DROPPED: from now on
 * publications of `full_bytes` and more may be told to the account instead, one call for all, so that
 * thousands that do not read cost nothing. Again with the same account: for smaller ones, too. What
 * reaches it nevertheless (in many topics, with filters, broadcasts) it has to tell the account
 * itself.
 */
void ln_hub_park(ln_subscriber *s, ln_hub_account *account, uint32_t full_bytes);
/* Everything is brought to `s` again, but for a publication under way. O(s->count). */
void ln_hub_unpark(ln_subscriber *s);

/* What would keep `s` out of `topic` now: for who must say why, before or after. */
ln_hub_obstacle ln_hub_find_obstacle(const ln_hub *hub, const ln_subscriber *s, ln_span topic);

/*
 * Hands on to the backplane and delivers here. `result` may be NULL. LN_ERR_INVALID for a bad topic
 * name or a filter; an error of the backplane, after delivering here.
 *
 * From inside a delivery: waits its turn, *result is all zeros, and those are reached who are
 * subscribed then. LN_ERR_NOMEM or LN_ERR_LIMIT (LN_HUB_CASCADE_MAX): it goes nowhere.
 */
int ln_hub_publish(ln_hub *hub, ln_msg *m, ln_hub_result *result);

/*
 * The same for everybody: each subscriber that is in any topic, once, on all hubs. The message's
 * topic is empty: LN_ERR_INVALID if it is not.
 */
int ln_hub_broadcast(ln_hub *hub, ln_msg *m, ln_hub_result *result);

/*
 * What the backplane brings, broadcasts too: delivers here only. 0, also when nobody here is
 * subscribed; from inside a delivery as ln_hub_publish().
 */
int ln_hub_deliver(ln_hub *hub, ln_msg *m, ln_hub_result *result);

/* Topics that exist, filters included. */
size_t ln_hub_topic_count(const ln_hub *hub);
/* Of this very name or filter: who is reached through another one does not count. */
size_t ln_hub_member_count(const ln_hub *hub, ln_span topic);
bool ln_hub_is_member(const ln_hub *hub, const ln_subscriber *s, ln_span topic);

/* Calls fn for each member of `topic`; fn must not change the hub. */
void ln_hub_each(const ln_hub *hub, ln_span topic, void (*fn)(ln_subscriber *s, void *arg),
                 void *arg);

/*
 * Calls fn for each topic that has members, the oldest first; fn must not change the hub, and ends
 * it by returning false. `topic` is borrowed until fn returns.
 */
void ln_hub_each_topic(const ln_hub *hub, bool (*fn)(ln_span topic, size_t members, void *arg),
                       void *arg);

/* The same for the topics of `s`, s->count of them, in no particular order. */
void ln_hub_each_of(const ln_subscriber *s, bool (*fn)(ln_span topic, void *arg), void *arg);

/* Fills *stats. Any thread; the numbers are a moment's, not a transaction's. */
void ln_hub_stats_get(const ln_hub *hub, ln_hub_stats *stats);

/* May be published to: 1 to max_bytes of valid UTF-8 without control characters, and no filter. */
bool ln_hub_is_topic(ln_span topic, uint32_t max_bytes);

#endif
