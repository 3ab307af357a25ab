/* SPDX-License-Identifier: MIT */
/*
 * capacity - how many may be in topics, over all workers: one count for each topic, one for all, and
 * the number of topics.
 *
 * A hub bounds what one worker holds (ln_hub_bounds); this bounds a server. It knows no subscriber:
 * who wants to come takes a place first, and whoever took it gives it back exactly once, after
 * leaving, or when nothing came of it (the handshake broke off, subscribing failed). So a full
 * topic can be answered before the connection is accepted. Who is in already takes none.
 *
 * Invariants
 *   1. Places taken never pass a bound, whoever races: one lock covers looking and taking. It is
 *      held for one look-up, and what is refused has changed nothing.
 *   2. A topic is known here exactly while somebody holds a place in it.
 *
 * Any thread, but for new and free.
 */
#ifndef LN_CAPACITY_H
#define LN_CAPACITY_H

#include "base/buf.h"

typedef struct ln_capacity ln_capacity;

/* 0 = none. */
typedef struct ln_capacity_bounds {
    uint32_t topics;
    uint32_t per_topic;
    uint64_t all;
} ln_capacity_bounds;

/* What keeps somebody out. */
typedef enum ln_capacity_obstacle {
    LN_CAPACITY_ALL_FULL,
    LN_CAPACITY_TOPIC_FULL,
    LN_CAPACITY_TOPICS_FULL /* it would be one topic more */
} ln_capacity_obstacle;

/* `seed`: 16 secret random bytes. NULL when out of memory. */
ln_capacity *ln_capacity_new(const ln_allocator *alloc, const ln_capacity_bounds *bounds,
                             const uint64_t seed[2]);
/* Every place must have been given back. Accepts NULL. */
void ln_capacity_free(ln_capacity *c);

/*
 * Takes a place in `topic`. 0; LN_ERR_LIMIT, and *obstacle is the first of its kinds that is in the
 * way; LN_ERR_NOMEM.
 */
LN_NODISCARD int ln_capacity_take(ln_capacity *c, ln_span topic, ln_capacity_obstacle *obstacle);

/* Gives one back. Needs no memory. */
void ln_capacity_give(ln_capacity *c, ln_span topic);

/* Places taken, now: in all, and in `topic`. */
uint64_t ln_capacity_total(ln_capacity *c);
uint32_t ln_capacity_count(ln_capacity *c, ln_span topic);

/* Topics in which places are taken, now. */
size_t ln_capacity_topics(ln_capacity *c);

/*
 * Copies all of them to `list`, in no particular order: for each its places in four bytes, the
 * length of its name in two, and the name. LN_ERR_NOMEM.
 */
LN_NODISCARD int ln_capacity_list(ln_capacity *c, ln_buf *list);

/* Cuts the next one off the front of such a list; false at its end. */
bool ln_capacity_next(ln_span *list, ln_span *topic, uint32_t *taken);

#endif
