/* SPDX-License-Identifier: MIT */
/*
 * home - what the connections of one loop share: a worker's, or a client's.
 *
 * Belongs to the loop's thread. Only the counters are read by others.
 */
#ifndef LN_HOME_H
#define LN_HOME_H

#include <linnet/server.h>

#include "base/slots.h"
#include "budget.h"
#include "connpage.h"
#include "laggards.h"
#include "net/address.h"
#include "net/log.h"
#include "net/tls.h"
#include "proto/ws.h"

/* Counters of one home: written by its thread, read by any. The members stand for those of
 * ln_server_stats. */
typedef struct ln_counters {
    _Atomic uint64_t connections;
    _Atomic uint64_t accepted;
    _Atomic uint64_t opened;
    _Atomic uint64_t closed;
    _Atomic uint64_t refused;
    _Atomic uint64_t malformed;
    _Atomic uint64_t shed;
    _Atomic uint64_t handshake_timeouts;
    _Atomic uint64_t protocol_errors;
    _Atomic uint64_t messages_in;
    _Atomic uint64_t messages_out;
    _Atomic uint64_t bytes_in;
    _Atomic uint64_t bytes_out;
    _Atomic uint64_t dropped;
    _Atomic uint64_t overflow_closes;
    _Atomic uint64_t queued_bytes;
    _Atomic uint64_t requests;
    _Atomic uint64_t dropped_newest;
    _Atomic uint64_t dropped_oldest;
    _Atomic uint64_t replaced;
    _Atomic uint64_t queue_refused;
    _Atomic uint64_t shed_slow;
    _Atomic uint64_t queued_connections;
} ln_counters;

/* One writer, so neither of these needs a locked instruction. */
LN_INLINE void ln_count(_Atomic uint64_t *counter, uint64_t n)
{
    atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + n,
                          memory_order_relaxed);
}

LN_INLINE void ln_uncount(_Atomic uint64_t *counter, uint64_t n)
{
    atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) - n,
                          memory_order_relaxed);
}

typedef struct ln_conn_hooks ln_conn_hooks;

/*
 * What floors above hang onto connections (subscriptions, rooms): told when a connection's on_close
 * has been called, and when there may be room again. `attachment` is the conn's slot that ln_conn_attachment() lends them, NULL if
 * they did not use it.
 */
struct ln_conn_hooks {
    void (*on_gone)(ln_conn *c, void *attachment);
    void (*on_room)(ln_conn *c, void *attachment); /* after ln_conn_watch_room() */
};

struct ln_home {
    ln_loop *loop;
    ln_server *server; /* NULL: a client's */
    const ln_allocator *alloc;
    ln_slots *slots;                /* NULL: a client's, whose connections have no ids */
    ln_connpages pages;             /* with slots: where the connections are */
    unsigned worker;                /* index */
    const struct ln_routes *routes; /* NULL: a client's */
    struct ln_site *sites;          /* one for each WebSocket route */
    const ln_conn_hooks *hooks;     /* may be NULL */
    void *service;                  /* the hub floor's state for this worker */
    ln_zpool *zpool;                /* made on first need */
    ln_buf scratch;                 /* for compressing */
    ln_spare spare;                 /* for large messages */
    uint64_t seed[2];               /* for keys of messages */
    ln_counters counters;
    uint32_t conn_count; /* that hold memory: also those that are ending */
    uint32_t header_max_bytes;
    uint32_t body_max_bytes;
    uint32_t handshake_ms; /* from the accept to the end of the first request */
    uint32_t http_idle_ms;
    uint32_t connections_max; /* of this worker */
    bool is_draining;
    void (*on_empty)(ln_home *home); /* draining, and the last connection is gone */
    ln_laggards laggards;
    ln_budget_share share; /* a server's */
};

void ln_home_init(ln_home *home, ln_loop *loop, const ln_allocator *alloc);
void ln_home_fini(ln_home *home);

/* The compression contexts of this loop, or NULL when out of memory. */
ln_zpool *ln_home_zpool(ln_home *home);

/* Four unpredictable bytes for a frame's mask; `home` is an ln_home. */
uint32_t ln_home_mask_key(void *home);

#endif
