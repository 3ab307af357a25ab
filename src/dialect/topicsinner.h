/* SPDX-License-Identifier: MIT */
/*
 * topicsinner - topics from inside: for topics.c, which joins connections and hubs, and topicsout.c,
 * which brings connections what is published.
 */
#ifndef LN_TOPICSINNER_H
#define LN_TOPICSINNER_H

#include "mesh.h"
#include "topics.h"

typedef struct ln_topics_side ln_topics_side;
typedef struct ln_topics_account ln_topics_account;

struct ln_topics {
    const ln_allocator *alloc;
    ln_mesh *mesh;
    ln_lock lock;          /* of these two; taken before a side's */
    ln_link guests;        /* of worker 0 */
    ln_topics_side *first; /* its share while it runs */
};

/* One worker's share: home->service. */
struct ln_topics_side {
    ln_hub *hub;
    ln_topics *topics;
    ln_home *home;
    ln_lock lock; /* of the hub: its thread changes it, others count in it, and bring guests */
    bool is_delivering; /* its thread has the lock, and is in a delivery */
    ln_topics_account *accounts;
};

/* A connection that subscribes: its attachment. */
typedef struct ln_topics_listener {
    ln_subscriber subscriber;
    ln_conn *conn;
    ln_topics_send *send;    /* its dialect's way to be told */
    _Atomic uint64_t *tally; /* of deliveries; NULL = nobody asks */
} ln_topics_listener;

/* A connection subscribes for the first time: its listener, as plain WebSocket. */
void ln_topics_listener_init(ln_topics_listener *l, ln_conn *c);

/* Brings one publication to it. Under the side's lock. */
ln_delivery ln_topics_deliver_to(ln_topics_listener *l, ln_msg *m);

/* Everything is brought to it again, if it was parked (hub.h). On its thread, also in a delivery. */
void ln_topics_unpark(ln_topics_listener *l);

/* At the end of a side. */
void ln_topics_free_accounts(ln_topics_side *side);

#endif
