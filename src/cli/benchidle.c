/* SPDX-License-Identifier: MIT */
/*
 * benchidle - the load `idle`: connections that say nothing, then one ping on each: are they alive?
 *
 * The time is how long they are held; what they cost, the conductor reads from the server's /proc.
 */
#include <string.h>

#include "benchworker.h"

enum { PINGS_A_TURN = 200 }; /* so that the first is not kept waiting by the last */

typedef struct idle_link {
    uint64_t pinged_ns; /* 0 = not yet */
    bool is_answered;
} idle_link;

typedef struct idle_load {
    uint32_t next; /* link to ping */
    uint32_t awaited;
} idle_load;

static size_t own_bytes(const ln_benchplan *plan)
{
    (void)plan;
    return sizeof(idle_link);
}

static size_t load_bytes(const ln_benchplan *plan)
{
    (void)plan;
    return sizeof(idle_load);
}

static void ping(ln_benchlink *link, idle_load *load)
{
    idle_link *const idle = link->own;
    if (link->conn == NULL ||
        ln_conn_ping(link->conn, (ln_span){&link->index, sizeof link->index}) < 0)
        return;
    idle->pinged_ns = ln_bench_clock_ns();
    load->awaited++;
    link->worker->tally->sent++;
}

/* Nothing, until the time is over. */
static uint64_t on_turn(ln_benchworker *w, uint64_t now_ns)
{
    idle_load *const load = w->load;
    if (now_ns < w->until_ns)
        return w->until_ns;
    for (unsigned i = 0; i < PINGS_A_TURN && load->next < w->link_count; i++)
        ping(&w->links[load->next++], load);
    return load->next < w->link_count ? now_ns : UINT64_MAX;
}

static bool is_settled(ln_benchworker *w)
{
    const idle_load *const load = w->load;
    return load->next == w->link_count && load->awaited == 0;
}

static void on_pong(ln_benchlink *link, ln_span data)
{
    ln_benchworker *const w = link->worker;
    idle_link *const idle = link->own;
    idle_load *const load = w->load;
    const uint64_t now_ns = ln_bench_clock_ns();
    if (idle->pinged_ns == 0 || idle->is_answered || data.size != sizeof link->index ||
        memcmp(data.data, &link->index, data.size) != 0)
        return; /* RFC 6455 5.5.3 lets a peer send pongs that nobody asked for */
    idle->is_answered = true;
    load->awaited--;
    w->tally->verified++;
    ln_benchworker_count(w, idle->pinged_ns, now_ns);
}

static void on_message(ln_benchlink *link, const ln_message *message)
{
    (void)message;
    link->worker->tally->foreign++;
}

static void on_gone(ln_benchlink *link)
{
    const idle_link *const idle = link->own;
    idle_load *const load = link->worker->load;
    if (idle->pinged_ns != 0 && !idle->is_answered)
        load->awaited--;
}

static void on_end(ln_benchworker *w)
{
    for (uint32_t i = 0; i < w->link_count; i++) {
        const idle_link *const idle = w->links[i].own;
        if (idle->pinged_ns != 0 && !idle->is_answered)
            ln_benchtally_fault(w->tally, LN_BENCHFAULT_SILENT, 1, "connection %u",
                                (unsigned)w->links[i].index);
    }
}

const ln_benchmode ln_benchidle = {
    .name = "idle",
    .event = "pong",
    .events = "pongs",
    .own_bytes = own_bytes,
    .load_bytes = load_bytes,
    .on_turn = on_turn,
    .is_settled = is_settled,
    .on_end = on_end,
    .on_message = on_message,
    .on_pong = on_pong,
    .on_gone = on_gone,
};
