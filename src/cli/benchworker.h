/* SPDX-License-Identifier: MIT */
/*
 * benchworker - a thread of a load test: a loop, its share of the connections, its tally.
 *
 * It knows how to open, count and close connections, and nothing of what is said on them: that is a
 * load's, a table of functions (echo, fanout, idle, handshake).
 *
 * States of a link               left by
 *   LN_BENCHLINK_REST            its turn to open has come
 *   LN_BENCHLINK_OPENING         on_open -> OPEN; on_failure -> ENDED
 *   LN_BENCHLINK_OPEN            on_close -> ENDED
 *   LN_BENCHLINK_ENDED           handshake: back to REST
 *
 * Invariants
 *   1. Nothing is allocated for a message, and no lock is taken.
 *   2. A worker never waits for another: the board (benchboard.h) tells it what to do.
 */
#ifndef LN_BENCHWORKER_H
#define LN_BENCHWORKER_H

#include "benchboard.h"
#include "benchpace.h"

enum { LN_BENCHLINK_REST = 0, LN_BENCHLINK_OPENING, LN_BENCHLINK_OPEN, LN_BENCHLINK_ENDED };

typedef struct ln_benchworker ln_benchworker;

typedef struct ln_benchlink {
    ln_benchworker *worker;
    ln_client *client;
    ln_conn *conn; /* NULL unless OPEN */
    void *own;     /* the load's, zeroed at first */
    uint64_t begun_ns;
    uint32_t index; /* through all workers */
    uint8_t state;
    bool was_open;
} ln_benchlink;

/* A load. Members may be NULL where nothing is to be done. */
struct ln_benchmode {
    const char *name;
    const char *event; /* what it counts, one and many of them */
    const char *events;
    bool opens_by_itself;                           /* connections, while it runs */
    size_t (*own_bytes)(const ln_benchplan *plan);  /* of a link */
    size_t (*load_bytes)(const ln_benchplan *plan); /* of a worker; zeroed at first */
    void (*on_ready)(ln_benchworker *w);            /* before the first connection */
    void (*on_begin)(ln_benchworker *w);            /* the load may begin */
    /* After each turn from then on; when to come again at the latest, UINT64_MAX = whenever. */
    uint64_t (*on_turn)(ln_benchworker *w, uint64_t now_ns);
    bool (*is_settled)(ln_benchworker *w); /* asked when the time is over */
    void (*on_end)(ln_benchworker *w);     /* counts what is missing; the last, once */
    void (*on_open)(ln_benchlink *link);
    void (*on_message)(ln_benchlink *link, const ln_message *message);
    void (*on_pong)(ln_benchlink *link, ln_span data);
    void (*on_gone)(ln_benchlink *link); /* was open */
    void (*on_failed)(ln_benchlink *link);
};

extern const ln_benchmode ln_benchecho, ln_benchfanout, ln_benchidle, ln_benchshake;

struct ln_benchworker {
    const ln_benchplan *plan;
    ln_benchboard *board;
    ln_benchtally *tally;
    uint32_t index;
    uint32_t link_count; /* links[i] is connection index + i * plan->workers */
    ln_benchlink *links;
    uint8_t *own;     /* of all links */
    void *load;       /* the load's */
    uint8_t *scratch; /* a message on its way out */
    ln_loop *loop;
    ln_client *reader; /* wss: read the certificates for all others, and never connects */
    uint32_t begun;    /* links whose turn has come */
    uint32_t opening;
    uint32_t open;
    /* While it runs. */
    ln_benchpace pace;
    uint64_t from_ns;
    uint64_t until_ns;
    uint64_t grace_ns; /* for what was due by then to leave; as long again for its answers */
    uint32_t lanes;    /* who share the pace */
    uint32_t in_flight;
    bool is_running;
    bool has_begun;
    bool is_closing;
    uint64_t cpu_from_ns; /* of this thread when the measured time began; 0 = not yet */
    bool has_cpu;
    /* The clock, as handlers see it. */
    uint64_t now_ns;
    unsigned now_uses;
    /* Paced: wakes the loop more exactly than its own timers, which count milliseconds. */
    int timer_fd;
    uint64_t timer_ns;
    ln_loop_watch *timer_watch;
    char complaint[LN_BENCHTALLY_EXAMPLE_BYTES]; /* the log's last error */
};

/* Works until the board says that it is over. Everything it found out is in its tally. */
void ln_benchworker_run(ln_benchworker *w);

/* The time, for handlers: read once for several small messages. */
uint64_t ln_benchworker_now(ln_benchworker *w);

/* An event that was due at `due_ns` was completed now: counts it where it belongs. */
void ln_benchworker_count(ln_benchworker *w, uint64_t due_ns, uint64_t now_ns);

/* Begins to open a link in REST, due at `begun_ns`. A failure is noted, and on_failed called. */
void ln_benchworker_open(ln_benchlink *link, uint64_t begun_ns);

#endif
