/* SPDX-License-Identifier: MIT */
/*
 * benchmessage - the messages of a load test: made from a seed, known again to the last byte.
 *
 * A head of 16 digits (6 bits each, letters that any text may hold) says which run, which sender
 * and which of its messages; a timed one adds 8 digits for the moment at which it was due. Behind
 * it stands a piece of a pool of pseudo-random bytes, or words, from a place that follows from the
 * head: nobody has to keep a message to compare it.
 *
 *   run 3   sender 5   number 7   check 1   [due 8]   piece of the pool
 *
 * The check digit notices any single digit that changed; all later bytes are compared.
 */
#ifndef LN_BENCHMESSAGE_H
#define LN_BENCHMESSAGE_H

#include "base/base.h"

enum {
    LN_BENCHMESSAGE_MIN_BYTES = 16,
    LN_BENCHMESSAGE_TIMED_MIN_BYTES = 32 /* eight bytes of the pool vouch for the time */
};

typedef struct ln_benchmessage {
    uint32_t sender;
    uint64_t number;
    uint64_t due_ns; /* timed: since a moment that all senders share, below 2^48 */
} ln_benchmessage;

/* Shared by all who send and check; read-only once made. */
typedef struct ln_benchmessage_kit {
    uint8_t *pool;
    size_t size; /* of each message */
    uint32_t run;
    bool is_timed;
} ln_benchmessage_kit;

typedef struct ln_benchmessage_options {
    size_t size; /* bytes, at least the minimum */
    uint64_t seed;
    bool is_text; /* words in ASCII, which compress about as chat does; else any bytes */
    bool is_timed;
} ln_benchmessage_options;

enum ln_benchmessage_verdict {
    LN_BENCHMESSAGE_OURS = 1,
    LN_BENCHMESSAGE_DAMAGED, /* of our size, or with our run's digits in front, but not as sent */
    LN_BENCHMESSAGE_FOREIGN
};

/* LN_ERR_NOMEM. */
LN_NODISCARD int ln_benchmessage_init(ln_benchmessage_kit *kit,
                                      const ln_benchmessage_options *options);
void ln_benchmessage_fini(ln_benchmessage_kit *kit);

/* Writes kit->size bytes. */
void ln_benchmessage_write(const ln_benchmessage_kit *kit, const ln_benchmessage *m, uint8_t *out);

/* OURS: *m is filled, and every byte is as write() makes it. */
enum ln_benchmessage_verdict ln_benchmessage_read(const ln_benchmessage_kit *kit, ln_span bytes,
                                                  ln_benchmessage *m);

#endif
