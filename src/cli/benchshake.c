/* SPDX-License-Identifier: MIT */
/*
 * benchshake - the load `handshake`: opens connections, says goodbye, opens the next.
 *
 * Each link is a place for one connection at a time. A client that said goodbye stays a moment, so
 * that the server may end the TCP connection first (RFC 6455 7.1.1) and keep its TIME-WAIT: a
 * client that ends first is soon out of ports.
 */
#include <inttypes.h>

#include "base/alloc.h"
#include "benchsender.h"

enum {
    STAY_MS = 100,
    REST_MS = 10,   /* of a place where an opening failed: no storm on a server that is down */
    STAYING = 16384 /* clients that stay at a time, at most; the oldest is freed for the next */
};

static const uint64_t millisecond_ns = 1000000;

typedef struct staying {
    ln_client *client;
    uint64_t until_ns;
} staying;

typedef struct shake_link {
    uint64_t rest_until_ns;
} shake_link;

typedef struct shake_load {
    uint64_t begun;       /* of this worker's part of the pace */
    uint32_t at;          /* the place that is looked at first */
    uint64_t first, last; /* of those who stay, modulo STAYING */
    staying stays[STAYING];
} shake_load;

static size_t own_bytes(const ln_benchplan *plan)
{
    (void)plan;
    return sizeof(shake_link);
}

static size_t load_bytes(const ln_benchplan *plan)
{
    (void)plan;
    return sizeof(shake_load);
}

static void free_first(shake_load *load)
{
    ln_client_free(load->stays[load->first++ % STAYING].client);
}

/* The place is free again; its client stays: to free it now would cut the goodbye short. */
static void vacate(ln_benchlink *link)
{
    shake_load *const load = link->worker->load;
    const uint64_t now_ns = ln_bench_clock_ns();
    if (link->worker->is_closing)
        return;
    if (link->client != NULL) {
        if (load->last - load->first == STAYING)
            free_first(load);
        load->stays[load->last++ % STAYING] =
            (staying){.client = link->client, .until_ns = now_ns + STAY_MS * millisecond_ns};
    }
    link->client = NULL;
    link->state = LN_BENCHLINK_REST;
}

/* When the next opening is due; UINT64_MAX: not within this run. */
static uint64_t next_due(const ln_benchworker *w, uint64_t now_ns)
{
    const shake_load *const load = w->load;
    if (now_ns >= w->until_ns)
        return UINT64_MAX;
    if (w->pace.per_second == 0)
        return now_ns;
    const uint64_t due_ns = ln_benchpace_due(&w->pace, load->begun * w->plan->workers + w->index);
    return due_ns < w->until_ns ? due_ns : UINT64_MAX;
}

/* A place that is free, or NULL. Goes round, so that all are used alike. */
static ln_benchlink *find_place(ln_benchworker *w, uint64_t now_ns)
{
    shake_load *const load = w->load;
    for (uint32_t i = 0; i < w->link_count; i++) {
        ln_benchlink *const link = &w->links[load->at];
        const shake_link *const own = link->own;
        load->at = load->at + 1 < w->link_count ? load->at + 1 : 0;
        if (link->state == LN_BENCHLINK_REST && own->rest_until_ns <= now_ns)
            return link;
    }
    return NULL;
}

static uint64_t on_turn(ln_benchworker *w, uint64_t now_ns)
{
    shake_load *const load = w->load;
    while (load->first != load->last && load->stays[load->first % STAYING].until_ns <= now_ns)
        free_first(load);
    uint64_t due_ns = next_due(w, now_ns);
    while (due_ns <= now_ns && w->open + w->opening < w->link_count) {
        ln_benchlink *const link = find_place(w, now_ns);
        if (link == NULL)
            return now_ns + REST_MS * millisecond_ns;
        load->begun++;
        w->tally->sent++;
        if (w->pace.per_second > 0 && due_ns >= w->from_ns)
            ln_benchhist_add(&w->tally->lateness, now_ns - due_ns);
        ln_benchworker_open(link, due_ns);
        due_ns = next_due(w, now_ns);
    }
    return due_ns > now_ns ? due_ns : UINT64_MAX; /* else the next place that is free decides */
}

static bool is_settled(ln_benchworker *w)
{
    return w->opening == 0;
}

static void on_open(ln_benchlink *link)
{
    ln_benchworker *const w = link->worker;
    w->tally->verified++;
    ln_benchworker_count(w, link->begun_ns, ln_bench_clock_ns());
    (void)ln_conn_close(link->conn, 1000, (ln_span){NULL, 0}); /* closing already is as good */
}

static void on_message(ln_benchlink *link, const ln_message *message)
{
    (void)message;
    link->worker->tally->foreign++;
}

static void on_failed(ln_benchlink *link)
{
    shake_link *const own = link->own;
    own->rest_until_ns = ln_bench_clock_ns() + REST_MS * millisecond_ns;
    vacate(link);
}

/* What was due while no place was free. */
static void on_end(ln_benchworker *w)
{
    shake_load *const load = w->load;
    const uint64_t count = w->has_begun ? ln_benchpace_count(&w->pace, w->until_ns - 1) : 0;
    const uint64_t due = ln_benchpace_share(count, w->index, w->plan->workers);
    if (due > load->begun)
        ln_benchtally_fault(w->tally, LN_BENCHFAULT_UNSENT, due - load->begun,
                            "worker %u: %" PRIu64 " were due, %" PRIu64 " found one of %u places",
                            (unsigned)w->index, due, load->begun, (unsigned)w->link_count);
    while (load->first != load->last)
        free_first(load);
}

const ln_benchmode ln_benchshake = {
    .name = "handshake",
    .event = "handshake",
    .events = "handshakes",
    .opens_by_itself = true,
    .own_bytes = own_bytes,
    .load_bytes = load_bytes,
    .on_turn = on_turn,
    .is_settled = is_settled,
    .on_end = on_end,
    .on_open = on_open,
    .on_message = on_message,
    .on_gone = vacate,
    .on_failed = on_failed,
};
