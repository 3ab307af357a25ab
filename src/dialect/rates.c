/* SPDX-License-Identifier: MIT */
#include "rates.h"

#include <string.h>

enum {
    KIB = 1024,
    USER = 'u',       /* a key's first byte; addresses have 0, 4 or 6 */
    EVICTIONS_MAX = 4 /* tried for a newcomer */
};

/* ---- buckets ---- */

static const ln_rates_limit *limit_of(const ln_rates *r, const ln_rates_key *key)
{
    return key->bytes[0] == USER ? &r->options.user : &r->options.address;
}

static void fill(ln_rates_entry *e, const ln_rates_limit *limit, uint64_t now_ms)
{
    ln_bucket_init(&e->messages, &limit->messages, now_ms);
    ln_bucket_init(&e->kib, &limit->kib, now_ms);
    e->odd_bytes = 0;
}

/* Of the KiB that `bytes` complete, and no more than there can be. */
static uint32_t price_of(const ln_rates_entry *e, const ln_rates_limit *limit, size_t bytes)
{
    const size_t kib = bytes / KIB + (e->odd_bytes + bytes % KIB) / KIB;
    return (uint32_t)ln_min_size(kib, limit->kib.burst);
}

static uint64_t wait_of(const ln_rates_entry *e, const ln_rates_limit *limit, size_t bytes,
                        uint64_t now_ms)
{
    const uint64_t one = ln_bucket_wait_ms(&e->messages, &limit->messages, 1, now_ms);
    const uint64_t all = ln_bucket_wait_ms(&e->kib, &limit->kib, price_of(e, limit, bytes), now_ms);
    return one > all ? one : all;
}

static void pay(ln_rates_entry *e, const ln_rates_limit *limit, size_t bytes, uint64_t now_ms)
{
    const bool has_one = ln_bucket_take(&e->messages, &limit->messages, 1, now_ms);
    const bool has_all = ln_bucket_take(&e->kib, &limit->kib, price_of(e, limit, bytes), now_ms);
    LN_ASSERT(has_one && has_all);
    e->odd_bytes = (uint32_t)((e->odd_bytes + bytes % KIB) % KIB);
}

/* As good as new. */
static bool is_full(const ln_rates_entry *e, const ln_rates_limit *limit, uint64_t now_ms)
{
    return ln_bucket_wait_ms(&e->messages, &limit->messages, limit->messages.burst, now_ms) == 0 &&
           ln_bucket_wait_ms(&e->kib, &limit->kib, limit->kib.burst, now_ms) == 0;
}

/* ---- table ---- */

static ln_span span_of(const ln_rates_key *key)
{
    return (ln_span){key->bytes, sizeof key->bytes};
}

static void evict(ln_rates *r, ln_rates_entry *e)
{
    ln_map_remove(&r->map, span_of(&e->key));
    ln_list_remove(&e->age);
    ln_free(r->alloc, e);
}

/* Up to `most` of the longest unused; the last used one stays, which the caller may hold. */
static size_t evict_full(ln_rates *r, size_t most, uint64_t now_ms)
{
    size_t count = 0;
    ln_link *next = r->ring.next;
    for (size_t i = 0; i < most && next != &r->ring && next != r->ring.prev; i++) {
        ln_rates_entry *const e = LN_CONTAINER_OF(next, ln_rates_entry, age);
        next = next->next;
        if (!is_full(e, limit_of(r, &e->key), now_ms))
            continue;
        evict(r, e);
        count++;
    }
    return count;
}

static ln_rates_entry *add(ln_rates *r, const ln_rates_key *key, uint64_t now_ms)
{
    evict_full(r, EVICTIONS_MAX, now_ms);
    if (r->map.count >= r->options.keys_max)
        return NULL;
    ln_rates_entry *const e = ln_alloc(r->alloc, sizeof *e);
    if (e == NULL)
        return NULL;
    e->key = *key;
    ln_list_init(&e->age);
    fill(e, limit_of(r, key), now_ms);
    if (ln_map_add(&r->map, span_of(&e->key), e) < 0) {
        ln_free(r->alloc, e);
        return NULL;
    }
    return e;
}

/* The key's entry, as the last used one; or its crowd's. NULL for what has no limit. */
static ln_rates_entry *touch(ln_rates *r, const ln_rates_key *key, uint64_t now_ms)
{
    if (key == NULL ||
        (limit_of(r, key)->messages.per_second == 0 && limit_of(r, key)->kib.per_second == 0))
        return NULL;
    ln_rates_entry *e = ln_map_find(&r->map, span_of(key));
    if (e == NULL)
        e = add(r, key, now_ms);
    if (e == NULL) {
        r->crowded_total++;
        return &r->crowds[key->bytes[0] == USER];
    }
    ln_list_remove(&e->age);
    ln_list_add(&r->ring, &e->age);
    return e;
}

/* ---- what the header promises ---- */

static bool is_within(const ln_bucket_rate *rate)
{
    return rate->per_second <= LN_BUCKET_RATE_MAX && rate->burst <= LN_BUCKET_BURST_MAX &&
           (rate->per_second == 0 || rate->burst > 0);
}

int ln_rates_init(ln_rates *r, const ln_rates_options *options, const ln_allocator *alloc,
                  const uint64_t seed[2], uint64_t now_ms)
{
    const ln_rates_options *const o = options;
    if (!is_within(&o->address.messages) || !is_within(&o->address.kib) ||
        !is_within(&o->user.messages) || !is_within(&o->user.kib) || o->v4_bits > 32 ||
        o->v6_bits > 128 || o->keys_max > LN_RATES_KEYS_MAX)
        return LN_ERR_INVALID;
    *r = (ln_rates){.alloc = alloc, .options = *o};
    r->options.v4_bits = o->v4_bits > 0 ? o->v4_bits : 32;
    r->options.v6_bits = o->v6_bits > 0 ? o->v6_bits : 64;
    r->options.keys_max = o->keys_max > 0 ? o->keys_max : LN_RATES_KEYS_MAX;
    for (size_t i = 0; i < 2; i++) { /* two hashes that nobody can tell from independent ones */
        r->seeds[i][0] = ln_siphash13(seed, LN_SPAN("users")) + i;
        r->seeds[i][1] = seed[i];
    }
    ln_map_init(&r->map, alloc, seed);
    ln_list_init(&r->ring);
    fill(&r->crowds[0], &r->options.address, now_ms);
    fill(&r->crowds[1], &r->options.user, now_ms);
    return 0;
}

void ln_rates_fini(ln_rates *r)
{
    while (!ln_list_is_empty(&r->ring))
        evict(r, LN_CONTAINER_OF(r->ring.next, ln_rates_entry, age));
    ln_map_fini(&r->map);
}

void ln_rates_key_of_address(const ln_rates *r, const ln_address *address, ln_rates_key *key)
{
    ln_address_prefix(address, r->options.v4_bits, r->options.v6_bits, key->bytes);
}

void ln_rates_key_of_user(const ln_rates *r, ln_span id, ln_rates_key *key)
{
    key->bytes[0] = USER;
    ln_store_be64(key->bytes + 1, ln_siphash13(r->seeds[0], id));
    ln_store_be64(key->bytes + 9, ln_siphash13(r->seeds[1], id));
}

uint64_t ln_rates_take(ln_rates *r, const ln_rates_key *address, const ln_rates_key *user,
                       size_t bytes, uint64_t now_ms)
{
    ln_rates_entry *const a = touch(r, address, now_ms);
    ln_rates_entry *const u = touch(r, user, now_ms);
    const uint64_t of_address = a != NULL ? wait_of(a, &r->options.address, bytes, now_ms) : 0;
    const uint64_t of_user = u != NULL ? wait_of(u, &r->options.user, bytes, now_ms) : 0;
    if (of_address > 0 || of_user > 0)
        return of_address > of_user ? of_address : of_user;
    if (a != NULL)
        pay(a, &r->options.address, bytes, now_ms);
    if (u != NULL)
        pay(u, &r->options.user, bytes, now_ms);
    return 0;
}

size_t ln_rates_sweep(ln_rates *r, uint64_t now_ms)
{
    size_t count = evict_full(r, SIZE_MAX, now_ms);
    ln_link *const last = r->ring.prev; /* nobody holds it now */
    ln_rates_entry *const e = LN_CONTAINER_OF(last, ln_rates_entry, age);
    if (last != &r->ring && is_full(e, limit_of(r, &e->key), now_ms)) {
        evict(r, e);
        count++;
    }
    return count;
}
