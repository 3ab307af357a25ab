/* SPDX-License-Identifier: MIT */
/*
 * benchtally - what one worker of a load test counts, and what all of them counted together.
 *
 * Fixed memory, made before the first connection; it may lie in memory that processes share. One
 * worker writes it. The atomics may be read meanwhile, the rest when the worker has ended.
 */
#ifndef LN_BENCHTALLY_H
#define LN_BENCHTALLY_H

#include <stdatomic.h>

#include "benchhist.h"

enum { LN_BENCHTALLY_EXAMPLE_BYTES = 160 };

/* What can go wrong, in the order in which it is told. */
enum ln_benchfault {
    LN_BENCHFAULT_CONNECT = 0, /* nobody answers, no address, no port */
    LN_BENCHFAULT_TLS,
    LN_BENCHFAULT_REFUSED, /* another status than 101 */
    LN_BENCHFAULT_HANDSHAKE,
    LN_BENCHFAULT_TIMEOUT, /* of an opening */
    LN_BENCHFAULT_CLOSED,  /* by the peer, while it was needed */
    LN_BENCHFAULT_LOST,
    LN_BENCHFAULT_REPEATED,
    LN_BENCHFAULT_REORDERED,
    LN_BENCHFAULT_CORRUPTED,
    LN_BENCHFAULT_KIND,    /* binary came back as text, or the other way round */
    LN_BENCHFAULT_STRANGE, /* not what was sent on that connection */
    LN_BENCHFAULT_SILENT,  /* a ping without a pong */
    LN_BENCHFAULT_UNSENT,  /* due and never sent: the pace was not kept */
    LN_BENCHFAULT_OURS,    /* memory, descriptors, a process of ours */
    LN_BENCHFAULT_COUNT
};

/* How a fault is called: in JSON, and behind a number: "3 connections were closed". */
typedef struct ln_benchfault_words {
    const char *key;
    const char *one;
    const char *many;
} ln_benchfault_words;

extern const ln_benchfault_words ln_benchtally_words[LN_BENCHFAULT_COUNT];

/* A step of the time line. What is counted depends on the load: messages, deliveries, pongs,
 * handshakes. */
typedef struct ln_benchslice {
    uint64_t events;
    ln_benchhist latency;
} ln_benchslice;

typedef struct ln_benchtally {
    _Atomic uint64_t opened;  /* connections that ever were open */
    _Atomic uint64_t failed;  /* connections that never were */
    _Atomic uint64_t closed;  /* connections that are open no longer */
    _Atomic uint64_t events;  /* within the measured time */
    _Atomic uint64_t trouble; /* faults of all kinds */
    _Atomic uint64_t last_open_ns;
    _Atomic bool is_settled; /* nothing more is on its way */
    uint64_t sent;
    uint64_t verified;
    uint64_t expected; /* fanout: deliveries there should have been */
    uint64_t foreign;  /* messages that are none of ours, where that is allowed */
    uint64_t returned; /* fanout: what came back to publishers, and was in order */
    uint64_t cpu_ns;   /* of the worker, within the measured time */
    uint64_t faults[LN_BENCHFAULT_COUNT];
    char examples[LN_BENCHFAULT_COUNT][LN_BENCHTALLY_EXAMPLE_BYTES]; /* the first of each kind */
    ln_benchhist opening;  /* TCP, TLS and WebSocket handshake */
    ln_benchhist lateness; /* paced: how long after it was due a message left */
    unsigned slice_count;
    ln_benchslice slices[]; /* the last one: answers that came when the time was over */
} ln_benchtally;

size_t ln_benchtally_size(unsigned slice_count);

/* One more of an atomic counter; its only writer needs no locked instruction. */
LN_INLINE void ln_benchtally_count(_Atomic uint64_t *counter, uint64_t n)
{
    atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + n,
                          memory_order_relaxed);
}

/* Notes `n` faults; the example is kept if it is the first of its kind. */
LN_PRINTF(4, 5)
void ln_benchtally_fault(ln_benchtally *t, enum ln_benchfault fault, uint64_t n,
                         const char *example, ...);

/* Adds `from`, of a worker that has ended, to `into`; both have as many slices. */
void ln_benchtally_merge(ln_benchtally *into, const ln_benchtally *from);

#endif
