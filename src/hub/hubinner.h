/* SPDX-License-Identifier: MIT */
/*
 * hubinner - a hub from inside: for hub.c, which keeps topics and members, and fanout.c, which
 * brings publications to them.
 */
#ifndef LN_HUBINNER_H
#define LN_HUBINNER_H

#include <stdatomic.h>

#include "base/list.h"
#include "crowd.h"
#include "hub.h"
#include "parking.h"
#include "sieve.h"

enum { LN_HUB_OUTCOMES = LN_DELIVERY_CLOSED + 1 };

struct ln_topic {
    ln_crowd crowd;
    uint16_t name_bytes;
    bool is_filter;
    uint32_t reach;      /* seats that were there when the publication under way began */
    ln_topic *torn_next; /* in hub->torn, exactly while a seat is vacant */
    ln_parking *parking; /* of crowd.parked; NULL if there never were any */
    ln_link link;        /* in hub->all */
    char name[];
};

/* A publication made during another one. */
typedef struct ln_hub_waiting {
    struct ln_hub_waiting *next;
    ln_msg *m; /* owned */
} ln_hub_waiting;

/* Written by the owner only, so that adding needs no locked instruction. */
typedef struct ln_hub_counters {
    _Atomic uint64_t publications;
    _Atomic uint64_t outcomes[LN_HUB_OUTCOMES];
    _Atomic uint64_t topics;
    _Atomic uint64_t members;
} ln_hub_counters;

struct ln_hub {
    const ln_allocator *alloc;
    ln_hub_limits limits;
    ln_hub_bounds bounds;
    ln_backplane *backplane;
    ln_map topics;  /* name to ln_topic, filters too */
    ln_sieve sieve; /* the filters among them */
    ln_link all;    /* topics, the oldest first */
    ln_members members;
    uint32_t serial;       /* of the last publication that could reach somebody twice */
    bool is_busy;          /* a publication is under way */
    ln_topic *torn;        /* topics with vacant seats */
    ln_hub_waiting *first; /* publications that wait for the end of this one */
    ln_hub_waiting **last; /* where the next goes */
    uint32_t cascade;      /* how many have waited since the outermost began */
    ln_hub_counters counters;
};

LN_INLINE ln_span ln_topic_name(const ln_topic *t)
{
    return (ln_span){t->name, t->name_bytes};
}

LN_INLINE ln_topic *ln_topic_linked(const ln_link *link)
{
    return LN_CONTAINER_OF(link, ln_topic, link);
}

LN_INLINE void ln_hub_count(_Atomic uint64_t *counter, uint64_t n)
{
    const uint64_t value = atomic_load_explicit(counter, memory_order_relaxed);
    atomic_store_explicit(counter, value + n, memory_order_relaxed);
}

/* Puts right what was left during the publication that has just ended. */
void ln_hub_mend(ln_hub *hub);

#endif
