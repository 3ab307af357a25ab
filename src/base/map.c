/* SPDX-License-Identifier: MIT */
#include "map.h"

#include "text.h"

enum {
    FIRST_SLOTS = 8,
    DEPTH_MAX = 40 /* 2^40 tables: memory ends before */
};

void ln_map_init(ln_map *m, const ln_allocator *alloc, const uint64_t seed[2])
{
    *m = (ln_map){.alloc = alloc, .seed = {seed[0], seed[1]}};
}

/* -- Tables ------------------------------------------------------------------------------------ */

/* Slots of each table. */
static size_t slot_count(const ln_map *m)
{
    return (size_t)m->mask + 1;
}

/* Where in `tables` an entry of this hash belongs, when they are 1 << depth. */
static size_t place_of(uint64_t hash, uint32_t depth)
{
    return depth > 0 ? hash >> (64 - depth) : 0;
}

static size_t place_count(const ln_map *m)
{
    return (size_t)1 << m->depth;
}

static ln_map_table *table_at(const ln_map *m, size_t place)
{
    return m->depth > 0 ? m->tables[place] : m->only;
}

/* NULL only while nothing is owned. */
LN_INLINE ln_map_table *table_of(const ln_map *m, uint64_t hash)
{
    return LN_LIKELY(m->depth == 0) ? m->only : m->tables[hash >> (64 - m->depth)];
}

/* How many places of `tables` a table stands in. */
static size_t span_of(const ln_map *m, const ln_map_table *t)
{
    return (size_t)1 << (m->depth - t->depth);
}

static ln_map_table *new_table(const ln_map *m, size_t slots, uint32_t depth)
{
    ln_map_table *t = ln_alloc_zero(m->alloc, sizeof *t + slots * sizeof t->slots[0]);
    if (t)
        t->depth = depth;
    return t;
}

void ln_map_fini(ln_map *m)
{
    const size_t places = m->only || m->depth > 0 ? place_count(m) : 0;
    for (size_t i = 0; i < places;) {
        ln_map_table *t = table_at(m, i);
        i += span_of(m, t);
        ln_free(m->alloc, t);
    }
    ln_free(m->alloc, m->tables);
    m->only = NULL;
    m->tables = NULL;
    m->depth = m->mask = 0;
    m->count = 0;
}

/* -- Entries of one table ---------------------------------------------------------------------- */

/* The slot that holds `key`, or the free one where it belongs; one slot is free (invariant 1). */
static size_t locate(const ln_map_table *t, uint32_t mask, uint64_t hash, ln_span key)
{
    size_t i = hash & mask;
    for (; t->slots[i].value; i = (i + 1) & mask)
        if (t->slots[i].hash == hash && ln_text_equal(t->slots[i].key, key))
            break;
    return i;
}

/* Puts an entry into a table that it is not in. */
static void put(ln_map_table *t, uint32_t mask, const ln_map_slot *entry)
{
    size_t i = entry->hash & mask;
    while (t->slots[i].value)
        i = (i + 1) & mask;
    t->slots[i] = *entry;
    t->count++;
}

/*
 * Frees slot `hole` and closes the gap (invariant 4): of the run behind it, every entry that may
 * stand as early as the hole moves there, and leaves a new one. No tombstones, so a search never
 * gets longer with age.
 */
static void vacate(ln_map_table *t, uint32_t mask, size_t hole)
{
    for (size_t i = (hole + 1) & mask; t->slots[i].value; i = (i + 1) & mask) {
        const size_t from_home = (i - t->slots[i].hash) & mask;
        const size_t from_hole = (i - hole) & mask;
        if (from_home >= from_hole) {
            t->slots[hole] = t->slots[i];
            hole = i;
        }
    }
    t->slots[hole] = (ln_map_slot){0};
    t->count--;
}

/* -- Growing and shrinking --------------------------------------------------------------------- */

/* Gives the only table another size. LN_ERR_NOMEM leaves the old one. */
static int resize(ln_map *m, size_t slots)
{
    LN_ASSERT(m->depth == 0 && slots <= LN_MAP_TABLE_SLOTS);
    ln_map_table *fresh = new_table(m, slots, 0);
    if (!fresh)
        return LN_ERR_NOMEM;
    const uint32_t mask = (uint32_t)(slots - 1);
    const size_t old_slots = m->only ? slot_count(m) : 0;
    for (size_t i = 0; i < old_slots; i++)
        if (m->only->slots[i].value)
            put(fresh, mask, &m->only->slots[i]);
    ln_free(m->alloc, m->only);
    m->only = fresh;
    m->mask = mask;
    return 0;
}

/* Twice the places; the tables stay. */
static int double_places(ln_map *m)
{
    const size_t places = place_count(m);
    if (m->depth == DEPTH_MAX)
        return LN_ERR_NOMEM;
    ln_map_table **tables = ln_alloc(m->alloc, 2 * places * sizeof(ln_map_table *));
    if (!tables)
        return LN_ERR_NOMEM;
    for (size_t i = 0; i < 2 * places; i++)
        tables[i] = table_at(m, i / 2);
    ln_free(m->alloc, m->tables);
    m->tables = tables;
    m->only = NULL;
    m->depth++;
    return 0;
}

/* Moves those entries to `to` whose hashes have `bit`; what fills a gap is looked at in turn. */
static void move_half(ln_map_table *from, ln_map_table *to, uint32_t mask, uint64_t bit)
{
    for (size_t i = 0; i <= mask; i++) {
        while (from->slots[i].value && (from->slots[i].hash & bit)) {
            put(to, mask, &from->slots[i]);
            vacate(from, mask, i);
        }
    }
}

/* Cuts the table of `hash` in two. LN_ERR_NOMEM leaves the entries where they were. */
static int split(ln_map *m, uint64_t hash)
{
    ln_map_table *t = table_of(m, hash);
    if (t->depth == m->depth) {
        const int rc = double_places(m);
        if (rc < 0)
            return rc;
    }
    ln_map_table *fresh = new_table(m, LN_MAP_TABLE_SLOTS, t->depth + 1);
    if (!fresh)
        return LN_ERR_NOMEM;
    const size_t first = place_of(hash, t->depth) << (m->depth - t->depth);
    move_half(t, fresh, m->mask, UINT64_C(1) << (63 - t->depth));
    t->depth++;
    const size_t half = span_of(m, t);
    for (size_t i = 0; i < half; i++)
        m->tables[first + half + i] = fresh;
    return 0;
}

/* Room for an entry of this hash. */
static int make_room(ln_map *m, uint64_t hash)
{
    int rc = m->only || m->depth > 0 ? 0 : resize(m, FIRST_SLOTS);
    while (rc == 0 && table_of(m, hash)->count + 1 > slot_count(m) / 4 * 3)
        rc = slot_count(m) < LN_MAP_TABLE_SLOTS ? resize(m, slot_count(m) * 2) : split(m, hash);
    return rc;
}

/* Half the places, if no table needs one of its own; a smaller piece of memory is only tried. */
static bool halve_places(ln_map *m)
{
    const size_t places = place_count(m);
    for (size_t i = 0; i < places; i += 2)
        if (m->tables[i] != m->tables[i + 1])
            return false;
    for (size_t i = 0; i < places / 2; i++)
        m->tables[i] = m->tables[2 * i];
    m->depth--;
    if (m->depth == 0) {
        m->only = m->tables[0];
        ln_free(m->alloc, m->tables);
        m->tables = NULL;
        return true;
    }
    ln_map_table **tables = ln_realloc(m->alloc, m->tables, places / 2 * sizeof(ln_map_table *));
    if (tables)
        m->tables = tables;
    return true;
}

/* Makes one of the table of `hash` and of the one it was split from, if they have become small. */
static bool merge(ln_map *m, uint64_t hash)
{
    ln_map_table *t = table_of(m, hash);
    if (t->depth == 0)
        return false;
    const size_t buddy_place = place_of(hash, m->depth) ^ span_of(m, t);
    ln_map_table *buddy = m->tables[buddy_place];
    if (buddy->depth != t->depth || t->count + buddy->count >= LN_MAP_TABLE_SLOTS / 4)
        return false;
    for (size_t i = 0; i <= m->mask; i++)
        if (buddy->slots[i].value)
            put(t, m->mask, &buddy->slots[i]);
    const size_t span = span_of(m, t);
    const size_t first = buddy_place / span * span;
    for (size_t i = 0; i < span; i++)
        m->tables[first + i] = t;
    ln_free(m->alloc, buddy);
    t->depth--;
    return true;
}

static void shrink(ln_map *m, uint64_t hash)
{
    while (m->depth > 0 && merge(m, hash))
        while (m->depth > 0 && halve_places(m))
            ;
    /* Without memory for a smaller table the larger one serves as well. */
    if (m->depth == 0 && slot_count(m) > FIRST_SLOTS && m->count < slot_count(m) / 8)
        (void)resize(m, slot_count(m) / 2);
}

/* -- What callers see -------------------------------------------------------------------------- */

void *ln_map_find(const ln_map *m, ln_span key)
{
    if (m->count == 0)
        return NULL;
    const uint64_t hash = ln_siphash13(m->seed, key);
    const ln_map_table *t = table_of(m, hash);
    return t->slots[locate(t, m->mask, hash, key)].value;
}

void *ln_map_find_hashed(const ln_map *m, uint64_t hash, bool (*is_it)(ln_span key, ln_span arg),
                         ln_span arg)
{
    if (m->count == 0)
        return NULL;
    const ln_map_table *t = table_of(m, hash);
    for (size_t i = hash & m->mask; t->slots[i].value; i = (i + 1) & m->mask)
        if (t->slots[i].hash == hash && is_it(t->slots[i].key, arg))
            return t->slots[i].value;
    return NULL;
}

int ln_map_add_hashed(ln_map *m, uint64_t hash, ln_span key, void *value)
{
    LN_ASSERT(value);
    if (m->count > 0) {
        const ln_map_table *t = table_of(m, hash);
        if (t->slots[locate(t, m->mask, hash, key)].value)
            return LN_ERR_EXISTS;
    }
    const int rc = make_room(m, hash);
    if (rc < 0)
        return rc;
    put(table_of(m, hash), m->mask, &(ln_map_slot){.hash = hash, .key = key, .value = value});
    m->count++;
    return 0;
}

int ln_map_add(ln_map *m, ln_span key, void *value)
{
    return ln_map_add_hashed(m, ln_siphash13(m->seed, key), key, value);
}

void *ln_map_remove_hashed(ln_map *m, uint64_t hash, ln_span key)
{
    if (m->count == 0)
        return NULL;
    ln_map_table *t = table_of(m, hash);
    const size_t at = locate(t, m->mask, hash, key);
    void *value = t->slots[at].value;
    if (!value)
        return NULL;
    vacate(t, m->mask, at);
    m->count--;
    shrink(m, hash);
    return value;
}

void *ln_map_remove(ln_map *m, ln_span key)
{
    return m->count > 0 ? ln_map_remove_hashed(m, ln_siphash13(m->seed, key), key) : NULL;
}

void *ln_map_next(const ln_map *m, size_t *cursor)
{
    if (m->count == 0)
        return NULL;
    for (size_t place; (place = *cursor / slot_count(m)) < place_count(m);) {
        const ln_map_table *t = table_at(m, place);
        const size_t end = (place + 1) * slot_count(m);
        while (*cursor < end) {
            void *value = t->slots[(*cursor)++ & m->mask].value;
            if (value)
                return value;
        }
        *cursor = (place + span_of(m, t)) * slot_count(m); /* the other places of the same table */
    }
    return NULL;
}
