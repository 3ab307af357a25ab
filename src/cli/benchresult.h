/* SPDX-License-Identifier: MIT */
/*
 * benchresult - what a load test found out: the sum of all tallies, what the server cost, and how it
 * is to be judged. The three ways to tell it (benchtext.c, benchjson.c, benchpage.c) only read it.
 */
#ifndef LN_BENCHRESULT_H
#define LN_BENCHRESULT_H

#include "benchboard.h"
#include "benchproc.h"

enum { LN_BENCHRESULT_TEXT_BYTES = 96 };

typedef struct ln_benchresult {
    const ln_benchplan *plan;
    ln_benchtally *tally;  /* the sum; owned */
    ln_benchhist *latency; /* of all slices; owned */
    uint64_t opening_ns;   /* from the first connection's beginning to the last one's opening */
    uint64_t measured_ns;  /* 0 = nothing was */
    unsigned slices;       /* of the time line that were measured, the last maybe in part */
    bool was_interrupted;
    bool has_run; /* the load began */
    bool has_cpu;
    bool has_memory;
    ln_benchproc_cpu cpu; /* the server's, within the measured time */
    uint64_t memory_before, memory_open, memory_end;
    uint32_t lost_processes;
    int64_t unix_time; /* when it began, in seconds */
    char machine[LN_BENCHRESULT_TEXT_BYTES];
    char system[LN_BENCHRESULT_TEXT_BYTES];
    unsigned processors;
} ln_benchresult;

/* LN_ERR_NOMEM. */
LN_NODISCARD int ln_benchresult_init(ln_benchresult *r, const ln_benchplan *plan);
void ln_benchresult_fini(ln_benchresult *r);

/* Adds up the tallies of workers that have ended. */
void ln_benchresult_sum(ln_benchresult *r, ln_benchboard *board);

/* Did everything happen that should? The exit code, too, says so. */
bool ln_benchresult_is_good(const ln_benchresult *r);

/* Figures that follow; 0 where nothing was measured. */
double ln_benchresult_seconds(const ln_benchresult *r);
double ln_benchresult_rate(const ln_benchresult *r);      /* events a second */
double ln_benchresult_byte_rate(const ln_benchresult *r); /* payload a second, one way */
double ln_benchresult_opening_rate(const ln_benchresult *r);
double ln_benchresult_cpu_us(const ln_benchresult *r);    /* of the server, for each event */
double ln_benchresult_cpu_share(const ln_benchresult *r); /* 1 = a processor, all the time */
double ln_benchresult_own_share(const ln_benchresult *r); /* ours; 1 = all of our threads */
double ln_benchresult_connection_bytes(const ln_benchresult *r);
/* Events a second in slice `i` of the time line; of the last one, as far as it was measured. */
double ln_benchresult_slice_rate(const ln_benchresult *r, unsigned i);

/* True if the load generator was probably the slowest part. */
bool ln_benchresult_is_own_limit(const ln_benchresult *r);

/* Three ways to tell it. */
void ln_benchtext_write(const ln_benchresult *r, FILE *out, bool has_colour);
void ln_benchtext_complain(const ln_benchresult *r, FILE *out);
void ln_benchjson_write(const ln_benchresult *r, FILE *out);
void ln_benchpage_write(const ln_benchresult *r, FILE *out);

#endif
