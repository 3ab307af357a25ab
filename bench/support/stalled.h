/* SPDX-License-Identifier: MIT */
/*
 * stalled - the readers of drill_stalled.c: processes of many connections each, which read all that
 * comes, or nothing until they must, and count what they miss.
 */
#ifndef STALLED_H
#define STALLED_H

#include <stdatomic.h>
#include <stdint.h>

enum {
    STALLED_PAYLOAD = 1024,
    STALLED_PROCESSES_MAX = 64,
    STALLED_LATENCIES = 1 << 18 /* of 10 us */
};

/* Of the endpoints, in the order of stalled_paths. */
enum { REFUSE, NEWEST, OLDEST, LATEST, CLOSE, POLICIES };
extern const char *const stalled_paths[POLICIES];

/* What a process of readers has seen; in memory that all share. */
struct stalled_tally {
    _Alignas(64) _Atomic int is_ready; /* all of it is written by its process alone */
    _Atomic uint64_t missing[POLICIES];
    _Atomic uint64_t closed, shed;
    _Atomic uint32_t slowest; /* healthy: the sequence number all of them have passed */
    _Atomic uint64_t delivered;
    _Atomic uint32_t latencies[STALLED_LATENCIES];
};

struct stalled_shared {
    _Atomic int port, small_port;
    _Atomic int must_read; /* 2: nothing waits in the server any more */
    _Atomic int must_end;
    _Atomic uint32_t published;
    _Atomic int is_measuring;
    struct stalled_tally tallies[STALLED_PROCESSES_MAX];
};

/* In memory that all processes share; set before the first of them begins. */
extern struct stalled_shared *stalled_shared;

/* What a message carries: its number and, behind it, when it was due. */
enum { STALLED_DUE_AT = 8 };

/* The process of `count` readers from number `first` on, to its end. */
_Noreturn void stalled_read_all(struct stalled_tally *t, int count, int first, int is_healthy);

#endif
