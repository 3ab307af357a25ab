/* SPDX-License-Identifier: MIT */
#include "sieve.h"

enum {
    LEVELS = LN_FILTER_LEVELS_MAX,
    /* Places are combined four at a time: sixteen sums are made for each four tokens of a name. */
    GROUP = 4,
    GROUPS = LEVELS / GROUP,
    SUMS = 1 << GROUP,
    CAPACITY_MIN = 2
};

/* Filters that are alike but for their tokens. */
typedef struct shape {
    uint64_t key;
    uint32_t count; /* filters */
    uint32_t place; /* of its row in its rank */
    uint16_t uses[LN_SIEVE_MARKS];
} shape;

/* A filter taken apart: its shape's key, and the sum of its other tokens. */
typedef struct outline {
    uint64_t key;
    uint64_t sum;
} outline;

/* A name taken apart. */
typedef struct reading {
    ln_span name;
    uint32_t levels;   /* tokens, at most LEVELS + 1: no filter is longer */
    uint32_t required; /* places that a filter must spell out */
    uint64_t sums[GROUPS][SUMS];
} reading;

void ln_sieve_init(ln_sieve *s, const ln_allocator *alloc, const uint64_t seed[2])
{
    *s = (ln_sieve){.alloc = alloc};
    ln_map_init(&s->filters, alloc, seed);
    ln_map_init(&s->shapes, alloc, seed);
}

void ln_sieve_fini(ln_sieve *s)
{
    LN_ASSERT(s->filters.count == 0 && s->shapes.count == 0 && s->rare == 0);
    ln_map_fini(&s->filters);
    ln_map_fini(&s->shapes);
    ln_free(s->alloc, s->found);
    for (uint32_t levels = 0; levels <= LEVELS; levels++) {
        ln_free(s->alloc, s->exact[levels].rows);
        ln_free(s->alloc, s->tails[levels].rows);
    }
}

/* -- Shapes and sums --------------------------------------------------------------------------- */

/* Of the shapes with `levels` tokens, not counting `>`; | their mask. */
static uint64_t rank_key(uint32_t levels, bool has_tail)
{
    return (uint64_t)levels << 32 | (uint64_t)has_tail << 40;
}

static uint32_t levels_of(uint64_t key)
{
    return key >> 32 & 0xFF;
}

static ln_sieve_rank *rank_of(ln_sieve *s, uint64_t key)
{
    const uint32_t levels = levels_of(key);
    LN_ASSERT(levels <= LEVELS);
    return key >> 40 ? &s->tails[levels] : &s->exact[levels];
}

static bool is_rare(uint64_t key)
{
    uint32_t stars = levels_of(key);
    for (uint32_t mask = (uint32_t)key; mask != 0; mask &= mask - 1)
        stars--;
    return stars > LN_SIEVE_PLAIN_STARS;
}

/* Keyed, so that nobody can choose tokens whose sums meet. */
static uint64_t hash_token(const ln_sieve *s, uint32_t level, ln_span token)
{
    const uint64_t seed[2] = {s->filters.seed[0] + level, s->filters.seed[1]};
    return ln_siphash13(seed, token);
}

/* Mixed once more (MurmurHash3's last step): sums of sums are not independent in every bit. */
static uint64_t fingerprint(uint64_t key, uint64_t sum)
{
    uint64_t x = sum ^ key * UINT64_C(0x9E3779B97F4A7C15);
    x = (x ^ x >> 33) * UINT64_C(0xFF51AFD7ED558CCD);
    x = (x ^ x >> 33) * UINT64_C(0xC4CEB9FE1A85EC53);
    return x ^ x >> 33;
}

/* Multiplied by a number of the shape's: else a token that meets the mark of a filter in one shape
 * would meet it in all, as sums differ by the same everywhere. */
LN_INLINE unsigned mark_of(uint32_t mask, uint64_t sum)
{
    return (unsigned)(sum * (2 * (uint64_t)mask + 1) / (UINT64_MAX / LN_SIEVE_MARKS + 1));
}

/* Of a checked filter. */
static outline outline_of(const ln_sieve *s, ln_span filter)
{
    uint32_t level = 0, mask = 0;
    uint64_t sum = 0;
    bool has_tail = false;
    for (ln_span token; ln_filter_next(&filter, &token); level++) {
        has_tail = !filter.data && ln_filter_is_token(token, '>');
        if (has_tail)
            break;
        if (ln_filter_is_token(token, '*'))
            continue;
        mask |= UINT32_C(1) << level;
        sum ^= hash_token(s, level, token);
    }
    LN_ASSERT(level <= LEVELS);
    return (outline){.key = rank_key(level, has_tail) | mask, .sum = sum};
}

/* -- Adding and removing ----------------------------------------------------------------------- */

/* `array` with room for `wanted`, or smaller if it has become much too large. NULL: no memory, and
 * the array is as it was; or nothing is wanted any more. */
static void *fitted(const ln_sieve *s, void *array, uint32_t *capacity, uint32_t wanted,
                    size_t each)
{
    if (wanted == 0) {
        ln_free(s->alloc, array);
        *capacity = 0;
        return NULL;
    }
    const bool is_short = wanted > *capacity;
    if (!is_short && wanted >= *capacity / 4)
        return array;
    const uint32_t fit = wanted + wanted / 2 + CAPACITY_MIN;
    void *moved = ln_realloc(s->alloc, array, fit * each);
    if (moved)
        *capacity = fit;
    return moved || is_short ? moved : array;
}

/* Room for one shape more: a row for it, and a place in `found`. */
static int reserve(ln_sieve *s, ln_sieve_rank *rank)
{
    void **found =
        fitted(s, s->found, &s->found_capacity, (uint32_t)s->shapes.count + 1, sizeof *s->found);
    if (!found)
        return LN_ERR_NOMEM;
    s->found = found;
    ln_sieve_row *rows = fitted(s, rank->rows, &rank->capacity, rank->size + 1, sizeof *rank->rows);
    if (!rows)
        return LN_ERR_NOMEM;
    rank->rows = rows;
    return 0;
}

/* A shape without filters. */
static int add_shape(ln_sieve *s, uint64_t key, shape **made)
{
    ln_sieve_rank *rank = rank_of(s, key);
    if (is_rare(key) && s->rare >= LN_SIEVE_RARE_MAX)
        return LN_ERR_LIMIT;
    const int reserved = reserve(s, rank);
    shape *sh = reserved < 0 ? NULL : ln_alloc_zero(s->alloc, sizeof *sh);
    if (!sh)
        return LN_ERR_NOMEM;
    sh->key = key;
    sh->place = rank->size;
    const int rc = ln_map_add(&s->shapes, (ln_span){&sh->key, sizeof sh->key}, sh);
    LN_ASSERT(rc != LN_ERR_EXISTS);
    if (rc < 0) {
        ln_free(s->alloc, sh);
        return rc;
    }
    rank->rows[rank->size++] = (ln_sieve_row){.mask = (uint32_t)key};
    s->rare += is_rare(key);
    *made = sh;
    return 0;
}

static shape *find_shape(const ln_sieve *s, uint64_t key)
{
    return ln_map_find(&s->shapes, (ln_span){&key, sizeof key});
}

static void remove_shape(ln_sieve *s, shape *sh)
{
    ln_sieve_rank *rank = rank_of(s, sh->key);
    LN_ASSERT(sh->count == 0 && sh->place < rank->size);
    const ln_sieve_row last = rank->rows[--rank->size];
    if (sh->place < rank->size) {
        shape *moved = find_shape(s, (sh->key & ~(uint64_t)UINT32_MAX) | last.mask);
        LN_ASSERT(moved && moved->place == rank->size);
        moved->place = sh->place;
        rank->rows[sh->place] = last;
    }
    rank->rows = fitted(s, rank->rows, &rank->capacity, rank->size, sizeof *rank->rows);
    s->rare -= is_rare(sh->key);
    (void)ln_map_remove(&s->shapes, (ln_span){&sh->key, sizeof sh->key});
    s->found = fitted(s, s->found, &s->found_capacity, (uint32_t)s->shapes.count, sizeof *s->found);
    ln_free(s->alloc, sh);
}

static void set_mark(ln_sieve *s, shape *sh, unsigned mark)
{
    if (sh->uses[mark] < UINT16_MAX)
        sh->uses[mark]++;
    rank_of(s, sh->key)->rows[sh->place].marks |= UINT64_C(1) << mark;
}

/* A count that has reached its end stays there: how many there were is forgotten. */
static void clear_mark(ln_sieve *s, shape *sh, unsigned mark)
{
    LN_ASSERT(sh->uses[mark] > 0);
    if (sh->uses[mark] < UINT16_MAX && --sh->uses[mark] == 0)
        rank_of(s, sh->key)->rows[sh->place].marks &= ~(UINT64_C(1) << mark);
}

int ln_sieve_add(ln_sieve *s, ln_span filter, void *value)
{
    LN_ASSERT(ln_filter_is(filter));
    int rc = ln_filter_check(filter);
    if (rc < 0)
        return rc;
    const outline o = outline_of(s, filter);
    shape *sh = find_shape(s, o.key);
    rc = sh ? 0 : add_shape(s, o.key, &sh);
    if (rc < 0)
        return rc;
    rc = ln_map_add_hashed(&s->filters, fingerprint(o.key, o.sum), filter, value);
    LN_ASSERT(rc != LN_ERR_EXISTS);
    if (rc == 0) {
        sh->count++;
        set_mark(s, sh, mark_of((uint32_t)o.key, o.sum));
    } else if (sh->count == 0) {
        remove_shape(s, sh);
    }
    return rc;
}

void ln_sieve_remove(ln_sieve *s, ln_span filter)
{
    const outline o = outline_of(s, filter);
    shape *sh = find_shape(s, o.key);
    const void *value = ln_map_remove_hashed(&s->filters, fingerprint(o.key, o.sum), filter);
    LN_ASSERT(sh && sh->count > 0 && value);
    clear_mark(s, sh, mark_of((uint32_t)o.key, o.sum));
    if (--sh->count == 0)
        remove_shape(s, sh);
}

/* -- Matching ---------------------------------------------------------------------------------- */

/* Adds the tokens of one group, from `level` on, to the reading: the sum of each choice of them. */
static void read_group(const ln_sieve *s, reading *r, uint32_t level, ln_span *rest)
{
    uint64_t *const sums = r->sums[level / GROUP];
    ln_span token;
    sums[0] = 0;
    for (unsigned chosen = 1; chosen < SUMS; chosen *= 2) {
        const bool is_there = ln_filter_next(rest, &token);
        const uint64_t hash = is_there ? hash_token(s, r->levels, token) : 0;
        r->levels += is_there;
        for (unsigned others = 0; others < chosen; others++)
            sums[chosen + others] = sums[others] ^ hash;
    }
}

static void read_name(const ln_sieve *s, reading *r, ln_span name)
{
    const bool is_set_apart = name.size > 0 && *(const char *)name.data == '$';
    r->name = name;
    r->levels = 0;
    r->required = is_set_apart ? 1 : 0;
    ln_span rest = name;
    for (uint32_t level = 0; level < LEVELS && rest.data; level += GROUP)
        read_group(s, r, level, &rest);
    if (rest.data)
        r->levels = LEVELS + 1;
}

/* The sum of the tokens in the places of `mask`, all of which are in the first `groups`. */
LN_INLINE uint64_t sum_of(const reading *r, uint32_t mask, uint32_t groups)
{
    uint64_t sum = 0;
    for (uint32_t group = 0; group < groups; group++, mask >>= GROUP)
        sum ^= r->sums[group][mask % SUMS];
    return sum;
}

/* Asks the shapes of one rank; `count` have been found. */
LN_HOT static size_t ask(ln_sieve *s, const ln_sieve_rank *rank, uint64_t key, const reading *r,
                         size_t count)
{
    const uint32_t groups = (levels_of(key) + GROUP - 1) / GROUP; /* the same for all: predicted */
    for (uint32_t i = 0; i < rank->size; i++) {
        const ln_sieve_row *row = &rank->rows[i];
        const uint64_t sum = sum_of(r, row->mask, groups);
        if (!(row->marks >> mark_of(row->mask, sum) & 1) ||
            (row->mask & r->required) != r->required)
            continue;
        void *value = ln_map_find_hashed(&s->filters, fingerprint(key | row->mask, sum),
                                         ln_filter_matches, r->name);
        LN_ASSERT(!value || count < s->found_capacity);
        if (value)
            s->found[count++] = value;
    }
    return count;
}

size_t ln_sieve_match(ln_sieve *s, ln_span name)
{
    size_t count = 0;
    reading r;
    if (ln_sieve_is_empty(s) || name.size == 0)
        return 0;
    read_name(s, &r, name);
    if (r.levels <= LEVELS)
        count = ask(s, &s->exact[r.levels], rank_key(r.levels, false), &r, 0);
    for (uint32_t levels = 0; levels < r.levels && levels < LEVELS; levels++)
        count = ask(s, &s->tails[levels], rank_key(levels, true), &r, count);
    return count;
}
