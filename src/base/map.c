/* SPDX-License-Identifier: MIT */
#include "map.h"

#include "text.h"

enum { FIRST_SLOTS = 8 };

void ln_map_init(ln_map *m, const ln_allocator *alloc, const uint64_t seed[2])
{
    *m = (ln_map){.alloc = alloc, .seed = {seed[0], seed[1]}};
}

void ln_map_fini(ln_map *m)
{
    ln_free(m->alloc, m->slots);
    m->slots = NULL;
    m->mask = m->count = 0;
}

static size_t slot_count(const ln_map *m)
{
    return m->slots ? m->mask + 1 : 0;
}

/* The slot that holds `key`, or the free one where it belongs; needs slots, of which one is free
 * (invariant 1). */
static size_t locate(const ln_map *m, uint64_t hash, ln_span key)
{
    size_t i = hash & m->mask;
    for (; m->slots[i].value; i = (i + 1) & m->mask)
        if (m->slots[i].hash == hash && ln_text_equal(m->slots[i].key, key))
            break;
    return i;
}

/* Moves everything to a table of `slots`. LN_ERR_NOMEM leaves the old one. */
static int resize(ln_map *m, size_t slots)
{
    if (slots > SIZE_MAX / sizeof *m->slots)
        return LN_ERR_NOMEM;
    ln_map_slot *fresh = ln_alloc_zero(m->alloc, slots * sizeof *fresh);
    if (!fresh)
        return LN_ERR_NOMEM;

    const size_t old_slots = slot_count(m);
    const size_t mask = slots - 1;
    for (size_t i = 0; i < old_slots; i++) {
        const ln_map_slot *old = &m->slots[i];
        if (!old->value)
            continue;
        size_t to = old->hash & mask;
        while (fresh[to].value)
            to = (to + 1) & mask;
        fresh[to] = *old;
    }
    ln_free(m->alloc, m->slots);
    m->slots = fresh;
    m->mask = mask;
    return 0;
}

void *ln_map_find(const ln_map *m, ln_span key)
{
    if (m->count == 0)
        return NULL;
    return m->slots[locate(m, ln_siphash13(m->seed, key), key)].value;
}

int ln_map_add(ln_map *m, ln_span key, void *value)
{
    LN_ASSERT(value);
    const uint64_t hash = ln_siphash13(m->seed, key);
    if (m->count > 0 && m->slots[locate(m, hash, key)].value)
        return LN_ERR_EXISTS;

    const size_t slots = slot_count(m);
    if (m->count + 1 > slots / 4 * 3) {
        const int rc = resize(m, slots > 0 ? slots * 2 : FIRST_SLOTS);
        if (rc < 0)
            return rc;
    }
    m->slots[locate(m, hash, key)] = (ln_map_slot){.hash = hash, .key = key, .value = value};
    m->count++;
    return 0;
}

/*
 * Frees slot `hole` and closes the gap (invariant 3): of the run behind it, every entry that may
 * stand as early as the hole moves there, and leaves a new one. No tombstones, so a search never
 * gets longer with age.
 */
static void vacate(ln_map *m, size_t hole)
{
    for (size_t i = (hole + 1) & m->mask; m->slots[i].value; i = (i + 1) & m->mask) {
        const size_t from_home = (i - m->slots[i].hash) & m->mask;
        const size_t from_hole = (i - hole) & m->mask;
        if (from_home >= from_hole) {
            m->slots[hole] = m->slots[i];
            hole = i;
        }
    }
    m->slots[hole] = (ln_map_slot){0};
}

void *ln_map_remove(ln_map *m, ln_span key)
{
    if (m->count == 0)
        return NULL;
    const size_t at = locate(m, ln_siphash13(m->seed, key), key);
    void *value = m->slots[at].value;
    if (!value)
        return NULL;

    vacate(m, at);
    m->count--;
    const size_t slots = slot_count(m);
    /* Without memory for a smaller table the larger one serves as well. */
    if (slots > FIRST_SLOTS && m->count < slots / 8)
        (void)resize(m, slots / 2);
    return value;
}

void *ln_map_next(const ln_map *m, size_t *cursor)
{
    const size_t slots = slot_count(m);
    while (*cursor < slots) {
        void *value = m->slots[(*cursor)++].value;
        if (value)
            return value;
    }
    return NULL;
}
