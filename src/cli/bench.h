/* SPDX-License-Identifier: MIT */
/*
 * bench - `linnet bench`: the settings of a load test, as its options write them, and the plan that
 * follows from them, which every worker reads and none changes.
 *
 * A map of its parts, in reading order:
 *   bench.c         the verb: options, help, the plan
 *   benchrun.c      the conductor: phases, progress, signals, what the server costs
 *   benchfleet.c    threads and processes;  benchboard.c  what they share
 *   benchworker.c   a loop with connections; benchsender.c  sending at a depth or a pace
 *   benchecho.c, benchfanout.c, benchidle.c, benchshake.c   the four loads
 *   benchmessage.c, benchorder.c, benchpace.c, benchhist.c, benchtally.c   what they reckon with
 *   benchresult.c   the sum; benchtext.c, benchjson.c, benchpage.c  three ways to tell it
 */
#ifndef LN_BENCH_H
#define LN_BENCH_H

#include "benchmessage.h"
#include "benchsource.h"
#include "dial.h"
#include "offer.h"

enum { LN_BENCH_PIDS_MAX = LN_OPTION_LIST_MAX };

typedef struct ln_bench_settings {
    ln_dial_settings dial; /* how to connect: headers, TLS, time-out */
    uint32_t connections;
    uint32_t depth; /* or LN_OPTION_UNSET */
    uint32_t size_bytes;
    uint32_t time_ms;
    uint32_t warmup_ms;
    uint32_t rate; /* a second, of all together; 0 = as fast as answers come */
    uint32_t publishers;
    uint32_t seed;       /* or LN_OPTION_UNSET */
    uint32_t threads;    /* or LN_OPTION_UNSET */
    uint32_t connecting; /* at a time */
    ln_option_list pids;
    char *source;
    char *report;
    bool is_text;
    bool is_json;
} ln_bench_settings;

typedef struct ln_benchmode ln_benchmode;

typedef struct ln_benchplan {
    const ln_benchmode *mode;
    const ln_bench_settings *set;
    const char *url;
    const ln_client_options *client;
    ln_benchmessage_kit messages;
    ln_benchsource source;
    uint64_t seed;
    uint32_t links;      /* connections, publishers included */
    uint32_t publishers; /* the last ones of them; fanout only */
    uint32_t depth;
    uint32_t workers;   /* threads with a loop each, in all processes */
    uint32_t processes; /* 1 = this one alone */
    uint64_t step_ns;   /* of the time line */
    unsigned steps;
    uint32_t pids[LN_BENCH_PIDS_MAX];
    unsigned pid_count;
} ln_benchplan;

/* Steps of a plan's time line, and the one for what came when it was over. */
LN_INLINE unsigned ln_bench_slices(const ln_benchplan *plan)
{
    return plan->steps + 1;
}

/* Monotonic nanoseconds, the same clock in all threads and processes. */
uint64_t ln_bench_clock_ns(void);

#endif
