/* SPDX-License-Identifier: MIT */
/*
 * map - bytes to pointer, hashed with SipHash-1-3 under a secret seed, so that a peer cannot choose
 * colliding keys.
 *
 * Open addressing with linear probing and backward-shift deletion; the keys are borrowed from the
 * values: the entry must keep its key's bytes alive and unchanged while it is in the map. A small
 * map is one table, which doubles and halves. A large one is cut by the first bits of the hash into
 * tables that split and merge each on its own (extendible hashing: Fagin and others 1979), so that
 * no single call pauses for the size of the map.
 *
 * Invariants
 *   1. A table holds at most 3/4 of its slots, which are a power of two: up to LN_MAP_TABLE_SLOTS
 *      while it is the only one (depth 0), exactly so many after that. None is owned before the
 *      first add().
 *   2. The only table halves when it falls below 1/8, if there is memory for that; two tables that
 *      once were one merge when they are below it together, which needs no memory.
 *   3. A table of depth d holds the entries whose hashes agree in the first d bits, and stands in
 *      all 1 << (m->depth - d) places of `tables` that begin so.
 *   4. No free slot lies between an entry and the slot its hash asks for: a search ends at the
 *      first free one.
 */
#ifndef LN_MAP_H
#define LN_MAP_H

#include "alloc.h"

enum { LN_MAP_TABLE_SLOTS = 1024 }; /* 32 KiB: splitting one takes some 20 us */

typedef struct ln_map_slot {
    uint64_t hash;
    ln_span key;
    void *value; /* NULL = free slot */
} ln_map_slot;

typedef struct ln_map_table {
    uint32_t count;
    uint32_t depth; /* leading bits of the hash that its entries have in common */
    ln_map_slot slots[];
} ln_map_table;

typedef struct ln_map {
    const ln_allocator *alloc;
    ln_map_table *only;    /* while depth is 0; NULL = nothing owned */
    ln_map_table **tables; /* else 1 << depth places, by the first bits of the hash */
    uint32_t depth;
    uint32_t mask; /* slots of each table - 1; 0 while there are none */
    size_t count;
    uint64_t seed[2];
} ln_map;

/* `seed`: 16 secret random bytes, the same for the life of the map. */
void ln_map_init(ln_map *m, const ln_allocator *alloc, const uint64_t seed[2]);
void ln_map_fini(ln_map *m);

/* The value of `key`, or NULL. */
void *ln_map_find(const ln_map *m, ln_span key);

/* Adds; 0, LN_ERR_EXISTS, LN_ERR_NOMEM, which leave the map as it was. `value` != NULL. */
LN_NODISCARD int ln_map_add(ln_map *m, ln_span key, void *value);

/* Removes and returns the value, or NULL if it was not there. */
void *ln_map_remove(ln_map *m, ln_span key);

/* Iteration: *cursor begins at 0; returns the next value or NULL at the end. The map must not
 * change meanwhile. */
void *ln_map_next(const ln_map *m, size_t *cursor);

/*
 * The same for a map whose hashes are the caller's: another function of the key (or of what is
 * searched for), as unpredictable to a peer as SipHash. Never mixed with those above in one map,
 * but for ln_map_next().
 *
 * find: the value of an entry under `hash` whose key is_it(key, arg) accepts, or NULL. Keys that
 * share a hash may differ.
 */
void *ln_map_find_hashed(const ln_map *m, uint64_t hash, bool (*is_it)(ln_span key, ln_span arg),
                         ln_span arg);
LN_NODISCARD int ln_map_add_hashed(ln_map *m, uint64_t hash, ln_span key, void *value);
void *ln_map_remove_hashed(ln_map *m, uint64_t hash, ln_span key);

/* SipHash-1-3 of `key` under `seed` (Aumasson, Bernstein 2012). */
uint64_t ln_siphash13(const uint64_t seed[2], ln_span key);

#endif
