/* SPDX-License-Identifier: MIT */
#include "capacity.h"

#include <string.h>

#include "base/map.h"
#include "net/thread.h"

/* A topic in which places are taken. */
typedef struct hall {
    uint32_t taken;
    size_t size;
    char name[];
} hall;

struct ln_capacity {
    const ln_allocator *alloc;
    ln_hub_bounds bounds;
    ln_lock lock; /* of what follows */
    ln_map halls;
    uint64_t taken;
};

ln_capacity *ln_capacity_new(const ln_allocator *alloc, const ln_hub_bounds *bounds,
                             const uint64_t seed[2])
{
    ln_capacity *const c = ln_alloc_zero(alloc, sizeof *c);
    if (c == NULL)
        return NULL;
    c->alloc = alloc;
    c->bounds = *bounds;
    ln_lock_init(&c->lock);
    ln_map_init(&c->halls, alloc, seed);
    return c;
}

void ln_capacity_free(ln_capacity *c)
{
    if (c == NULL)
        return;
    LN_ASSERT(c->taken == 0 && c->halls.count == 0);
    ln_map_fini(&c->halls);
    ln_lock_fini(&c->lock);
    ln_free(c->alloc, c);
}

/* A hall where one place is taken. */
static int open_hall(ln_capacity *c, ln_span topic)
{
    hall *const h = ln_alloc(c->alloc, sizeof *h + topic.size);
    if (h == NULL)
        return LN_ERR_NOMEM;
    *h = (hall){.taken = 1, .size = topic.size};
    memcpy(h->name, topic.data, topic.size);
    const int rc = ln_map_add(&c->halls, (ln_span){h->name, h->size}, h);
    if (rc < 0)
        ln_free(c->alloc, h);
    return rc;
}

/* The lock is held. */
static int take(ln_capacity *c, ln_span topic, ln_hub_obstacle *obstacle)
{
    hall *const h = ln_map_find(&c->halls, topic);
    const bool is_full = c->bounds.members > 0 && c->taken >= c->bounds.members;

    if (is_full ||
        (h != NULL && c->bounds.members_per_topic > 0 && h->taken >= c->bounds.members_per_topic)) {
        *obstacle = is_full ? LN_HUB_IS_FULL : LN_HUB_TOPIC_IS_FULL;
        return LN_ERR_LIMIT;
    }
    const int rc = h == NULL ? open_hall(c, topic) : 0;
    if (rc < 0)
        return rc;
    if (h != NULL)
        h->taken++;
    c->taken++;
    return 0;
}

int ln_capacity_take(ln_capacity *c, ln_span topic, ln_hub_obstacle *obstacle)
{
    ln_lock_take(&c->lock);
    const int rc = take(c, topic, obstacle);
    ln_lock_give(&c->lock);
    return rc;
}

void ln_capacity_give(ln_capacity *c, ln_span topic)
{
    ln_lock_take(&c->lock);
    hall *const h = ln_map_find(&c->halls, topic);
    LN_ASSERT(h != NULL && h->taken > 0 && c->taken > 0);
    c->taken--;
    if (--h->taken == 0) {
        ln_map_remove(&c->halls, topic);
        ln_free(c->alloc, h);
    }
    ln_lock_give(&c->lock);
}

uint64_t ln_capacity_total(ln_capacity *c)
{
    ln_lock_take(&c->lock);
    const uint64_t taken = c->taken;
    ln_lock_give(&c->lock);
    return taken;
}

uint32_t ln_capacity_count(ln_capacity *c, ln_span topic)
{
    ln_lock_take(&c->lock);
    const hall *const h = ln_map_find(&c->halls, topic);
    const uint32_t taken = h == NULL ? 0 : h->taken;
    ln_lock_give(&c->lock);
    return taken;
}
