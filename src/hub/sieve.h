/* SPDX-License-Identifier: MIT */
/*
 * sieve - many filters, and which of them match a name: in a time that nobody's choice of filters
 * can make long.
 *
 * Filters of the same length whose wildcards stand in the same places have one *shape*. A filter's
 * fingerprint is the exclusive or of keyed hashes of its other tokens, each with its place. For a
 * name all such hashes are made once; then every shape that could match says which of them to
 * combine, and asks in one look-up for the filter that has this fingerprint. So the work is one
 * small step for each shape, however the filters overlap: nothing branches. Ordinary sets have a
 * handful of shapes.
 *
 * Most steps of a hostile set end in the row of the shape itself: 64 marks, of which each filter
 * sets one, tell that nobody has the fingerprint. A look-up in vain needs a mark to be hit by
 * chance, so of n filters at most n / 64 cost one, whatever their shapes.
 *
 * Invariants
 *   1. A shape exists exactly while a filter has it. For each there is a place in `found`, so that
 *      match() needs no memory: one shape can match once.
 *   2. Shapes with more than LN_SIEVE_PLAIN_STARS `*` are at most LN_SIEVE_RARE_MAX. The others
 *      are some 12,000 at most, and never refused: nobody's odd filters keep out ordinary ones.
 *   3. A mark is set while a filter of its shape needs it. It may stay longer only when more than
 *      65,535 filters have shared it.
 *
 * One thread at a time.
 */
#ifndef LN_SIEVE_H
#define LN_SIEVE_H

#include "base/map.h"
#include "filter.h"

enum {
    LN_SIEVE_PLAIN_STARS = 2,
    LN_SIEVE_RARE_MAX = 16384, /* shapes: some 0.1 ms for a name that all of them may match */
    LN_SIEVE_MARKS = 64
};

/* What a step of the search reads of a shape. */
typedef struct ln_sieve_row {
    uint64_t marks;
    uint32_t mask; /* places whose tokens are spelled out, the first one lowest */
} ln_sieve_row;

/* The shapes of one length, with or without `>` behind it, side by side. */
typedef struct ln_sieve_rank {
    ln_sieve_row *rows;
    uint32_t size;
    uint32_t capacity;
} ln_sieve_rank;

typedef struct ln_sieve {
    const ln_allocator *alloc;
    ln_map filters; /* by fingerprint; the text to the value */
    ln_map shapes;
    ln_sieve_rank exact[LN_FILTER_LEVELS_MAX + 1]; /* by the number of tokens */
    ln_sieve_rank tails[LN_FILTER_LEVELS_MAX + 1]; /* by the number of tokens before `>` */
    uint32_t rare;                                 /* shapes that count towards the limit */
    uint32_t found_capacity;
    void **found; /* what match() gave last */
} ln_sieve;

/* `seed`: 16 secret random bytes. */
void ln_sieve_init(ln_sieve *s, const ln_allocator *alloc, const uint64_t seed[2]);
/* No filter may be left. */
void ln_sieve_fini(ln_sieve *s);

/*
 * Adds a filter (ln_filter_is) that is not in it; its bytes must stay while it is. `value` != NULL.
 * LN_ERR_INVALID, LN_ERR_LIMIT (its own tokens, or shapes), LN_ERR_NOMEM leave it as it was.
 */
LN_NODISCARD int ln_sieve_add(ln_sieve *s, ln_span filter, void *value);

/* Removes a filter that is in it. Needs no memory. */
void ln_sieve_remove(ln_sieve *s, ln_span filter);

/*
 * Puts the values of the filters that match `name` into s->found, in no particular order; returns
 * how many. They stay there until the next call, also when filters are added meanwhile, which may
 * move the array.
 */
size_t ln_sieve_match(ln_sieve *s, ln_span name);

LN_INLINE bool ln_sieve_is_empty(const ln_sieve *s)
{
    return s->filters.count == 0;
}

#endif
