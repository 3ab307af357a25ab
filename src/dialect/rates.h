/* SPDX-License-Identifier: MIT */
/*
 * rates - how much a neighbourhood of addresses, and a user, may send: token buckets in messages
 * and bytes, whatever the number of their connections.
 *
 * One for each worker, used by its thread alone: a limit holds on each worker, so over n workers
 * somebody may get up to n times of it. Time is an argument.
 *
 * The table is bounded. A bucket that has filled up again is as good as none, and makes room for
 * another, the longest unused first. When there is no room left, or no memory, newcomers share one
 * bucket with each other: a flood of addresses shortens the newcomers' share and nobody else's.
 *
 * Invariants
 *   1. map.count <= options.keys_max; each entry is in the map and in the ring, the most recently
 *      used at its end.
 *   2. A refusal spends nothing, neither of the address nor of the user.
 *   3. In any time a key gets no more than burst + rate x time, and what is left over from bytes to
 *      KiB is carried on: nothing is free because it is small.
 */
#ifndef LN_RATES_H
#define LN_RATES_H

#include "base/bucket.h"
#include "base/list.h"
#include "base/map.h"
#include "net/address.h"

enum { LN_RATES_KEYS_MAX = 64 << 10 };

/* Both buckets: LN_BUCKET_RATE_MAX and LN_BUCKET_BURST_MAX at most; per_second 0 = no limit. */
typedef struct ln_rates_limit {
    ln_bucket_rate messages;
    ln_bucket_rate kib; /* of payload. What is larger than the burst takes all of it */
} ln_rates_limit;

typedef struct ln_rates_options {
    ln_rates_limit address; /* of each prefix */
    ln_rates_limit user;    /* of each id */
    unsigned v4_bits;       /* 0 = 32 */
    unsigned v6_bits;       /* 0 = 64: what a household gets */
    size_t keys_max;        /* prefixes and users together; 0 = LN_RATES_KEYS_MAX */
} ln_rates_options;

/* Whom something counts for: made once for a connection, good for the object that made it. */
typedef struct ln_rates_key {
    uint8_t bytes[LN_ADDRESS_PREFIX_BYTES];
} ln_rates_key;

typedef struct ln_rates_entry {
    ln_link age; /* in ln_rates.ring */
    ln_bucket messages;
    ln_bucket kib;
    uint32_t odd_bytes; /* taken, and less than a KiB so far */
    ln_rates_key key;
} ln_rates_entry;

typedef struct ln_rates {
    const ln_allocator *alloc;
    ln_rates_options options; /* with its defaults */
    uint64_t seeds[2][2];     /* users are known by a hash of 128 bits */
    ln_map map;
    ln_link ring;
    ln_rates_entry crowds[2]; /* addresses, users: those without an entry of their own */
    uint64_t crowded_total;   /* how often one of these was used */
} ln_rates;

/* `seed`: 16 secret random bytes. LN_ERR_INVALID: an option beyond its bounds. Allocates nothing. */
LN_NODISCARD int ln_rates_init(ln_rates *r, const ln_rates_options *options,
                               const ln_allocator *alloc, const uint64_t seed[2], uint64_t now_ms);
void ln_rates_fini(ln_rates *r);

void ln_rates_key_of_address(const ln_rates *r, const ln_address *address, ln_rates_key *key);
void ln_rates_key_of_user(const ln_rates *r, ln_span id, ln_rates_key *key);

/*
 * May a message of `bytes` pass now? 0: it may, and is paid for. Else nothing is paid, and the
 * milliseconds until it may, if nobody else takes anything: pause reading that long, or refuse.
 * `user` NULL = anonymous. `now_ms`: monotonic.
 */
uint64_t ln_rates_take(ln_rates *r, const ln_rates_key *address, const ln_rates_key *user,
                       size_t bytes, uint64_t now_ms);

/* Frees what has filled up: for a timer, so that memory returns after a flood. How many. */
size_t ln_rates_sweep(ln_rates *r, uint64_t now_ms);

#endif
