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
    ln_capacity_bounds bounds;
    ln_lock lock; /* of what follows */
    ln_map halls;
    uint64_t taken;
};

ln_capacity *ln_capacity_new(const ln_allocator *alloc, const ln_capacity_bounds *bounds,
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

/* What keeps somebody out of `topic`, whose hall is `h`, if anything. */
static bool is_in_the_way(const ln_capacity *c, const hall *h, ln_capacity_obstacle *obstacle)
{
    const ln_capacity_bounds *const b = &c->bounds;

    if (b->all > 0 && c->taken >= b->all)
        *obstacle = LN_CAPACITY_ALL_FULL;
    else if (h != NULL && b->per_topic > 0 && h->taken >= b->per_topic)
        *obstacle = LN_CAPACITY_TOPIC_FULL;
    else if (h == NULL && b->topics > 0 && c->halls.count >= b->topics)
        *obstacle = LN_CAPACITY_TOPICS_FULL;
    else
        return false;
    return true;
}

/* The lock is held. */
static int take(ln_capacity *c, ln_span topic, ln_capacity_obstacle *obstacle)
{
    hall *const h = ln_map_find(&c->halls, topic);

    if (is_in_the_way(c, h, obstacle))
        return LN_ERR_LIMIT;
    const int rc = h == NULL ? open_hall(c, topic) : 0;
    if (rc < 0)
        return rc;
    if (h != NULL)
        h->taken++;
    c->taken++;
    return 0;
}

int ln_capacity_take(ln_capacity *c, ln_span topic, ln_capacity_obstacle *obstacle)
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

size_t ln_capacity_topics(ln_capacity *c)
{
    ln_lock_take(&c->lock);
    const size_t topics = c->halls.count;
    ln_lock_give(&c->lock);
    return topics;
}

/* ---- lists ---- */

enum { ITEM_HEAD = 6 };

static int write_item(ln_buf *list, const hall *h)
{
    uint8_t head[ITEM_HEAD];

    ln_store_be32(head, h->taken);
    ln_store_be16(head + 4, (uint16_t)h->size);
    const int rc = ln_buf_append(list, head, sizeof head, SIZE_MAX);
    return rc == 0 ? ln_buf_append(list, h->name, h->size, SIZE_MAX) : rc;
}

int ln_capacity_list(ln_capacity *c, ln_buf *list)
{
    size_t cursor = 0;
    int rc = 0;

    ln_lock_take(&c->lock);
    for (const hall *h = ln_map_next(&c->halls, &cursor); h != NULL && rc == 0;
         h = ln_map_next(&c->halls, &cursor))
        rc = write_item(list, h);
    ln_lock_give(&c->lock);
    return rc;
}

bool ln_capacity_next(ln_span *list, ln_span *topic, uint32_t *taken)
{
    const uint8_t *const p = list->data;

    if (list->size == 0)
        return false;
    *taken = ln_load_be32(p);
    *topic = (ln_span){p + ITEM_HEAD, ln_load_be16(p + 4)};
    const size_t used = ITEM_HEAD + topic->size;
    LN_ASSERT(used <= list->size);
    *list = (ln_span){p + used, list->size - used};
    return true;
}
