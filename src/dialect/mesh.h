/* SPDX-License-Identifier: MIT */
/*
 * mesh - the backplane inside one process: brings a worker's publications to the other workers that
 * want them.
 *
 * A table of topics and filters with one bit a worker, under a lock that is held for one look-up;
 * the publications travel as letters, so a worker gets those of another in the order they were
 * made, and wakes up once for all that came meanwhile.
 *
 * Invariants
 *   1. A publication goes to the other workers that want its topic, by name or by any filter, when
 *      it is looked up, each once; so to every subscriber whose subscribe had returned before. A
 *      message with an empty topic goes to all of them.
 *   2. A want exists exactly while a worker wants it, in the sieve too if it is a filter.
 */
#ifndef LN_MESH_H
#define LN_MESH_H

#include "hub/hub.h"
#include "net/loop.h"

enum {
    LN_MESH_WORKERS_MAX = 64,
    /* Publications on their way to one worker; a worker that is behind loses what is beyond. */
    LN_MESH_PENDING_MAX = 8192
};

typedef struct ln_mesh ln_mesh;

ln_mesh *ln_mesh_new(const ln_allocator *alloc, const uint64_t seed[2]);
void ln_mesh_free(ln_mesh *mesh);

/* The backplane for hubs to attach to. */
ln_backplane *ln_mesh_backplane(ln_mesh *mesh);

/*
 * Joins a worker's hub. `deliver` runs on the worker's thread for each publication of somebody
 * else's; `arg` is its. Before any thread runs.
 */
void ln_mesh_join(ln_mesh *mesh, ln_hub *hub, unsigned worker, ln_loop *loop,
                  void (*deliver)(void *arg, ln_msg *m), void *arg);

/*
 * Brings `m` to every worker that wants it, or to all if its topic is empty; from a thread that is
 * none of them. The topic is no filter: callers check (ln_hub_is_topic). LN_ERR_WOULD_EXCEED,
 * LN_ERR_NOMEM: some worker does not get it.
 */
int ln_mesh_publish(ln_mesh *mesh, ln_msg *m);

#endif
