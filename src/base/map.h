/* SPDX-License-Identifier: MIT */
/*
 * map - bytes to pointer, hashed with SipHash-1-3 under a secret seed, so that a peer cannot choose
 * colliding keys.
 *
 * Open addressing with linear probing and backward-shift deletion; the keys are borrowed from the
 * values: the entry must keep its key's bytes alive and unchanged while it is in the map.
 *
 * Invariants
 *   1. count <= 3/4 of the slots, which are a power of two (or none).
 *   2. It halves when it falls below 1/8 of the slots, if there is memory for that. None is owned
 *      before the first add().
 *   3. No free slot lies between an entry and the slot its hash asks for: a search ends at the
 *      first free one.
 */
#ifndef LN_MAP_H
#define LN_MAP_H

#include "alloc.h"

typedef struct ln_map_slot {
    uint64_t hash;
    ln_span key;
    void *value; /* NULL = free slot */
} ln_map_slot;

typedef struct ln_map {
    const ln_allocator *alloc;
    ln_map_slot *slots;
    size_t mask; /* slots - 1; 0 while there are none */
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

/* SipHash-1-3 of `key` under `seed` (Aumasson, Bernstein 2012). */
uint64_t ln_siphash13(const uint64_t seed[2], ln_span key);

#endif
