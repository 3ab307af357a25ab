/* SPDX-License-Identifier: MIT */
/*
 * benchfanout - the load `fanout`: few publish, all hear it, in the order of each publisher.
 *
 * For any server that sends what one says to all others, or to all. Subscribers are the connections
 * before the publishers, which have connections of their own. What a publisher hears is checked but
 * not expected. Messages of other origin (who came, who went) are counted apart.
 *
 * In flight is what the subscribers on the publisher's own worker have not heard yet; no worker
 * waits for another. What one of them missed is in flight until it hears a later message.
 */
#include <inttypes.h>

#include "benchorder.h"
#include "benchsender.h"

/* A publisher has a sender with a ring, and hears too: all links are laid out alike. */
typedef struct fanout_link {
    ln_benchsender sender;  /* first: ln_benchround looks for it there */
    ln_benchorder orders[]; /* one for each publisher; then, a publisher's ring */
} fanout_link;

typedef struct fanout_load {
    ln_benchround round;
    uint32_t subscribers;  /* open, of this worker */
    uint64_t last_look_ns; /* when is_settled() went through all of them */
    bool was_settled;
    uint64_t heard[]; /* by publisher: the sum over the subscribers of the top of their orders */
} fanout_load;

enum { LOOK_MS = 5 }; /* going through all connections at each turn would be a load of its own */

static uint32_t subscribers_of(const ln_benchplan *plan)
{
    return plan->links - plan->publishers;
}

static bool is_publisher(const ln_benchlink *link)
{
    return link->index >= subscribers_of(link->worker->plan);
}

static size_t orders_bytes(const ln_benchplan *plan)
{
    return sizeof(fanout_link) + plan->publishers * sizeof(ln_benchorder);
}

static size_t own_bytes(const ln_benchplan *plan)
{
    return orders_bytes(plan) + ln_benchsender_ring(plan) * sizeof(uint64_t);
}

static size_t load_bytes(const ln_benchplan *plan)
{
    return sizeof(fanout_load) + plan->publishers * sizeof(uint64_t);
}

static void on_ready(ln_benchworker *w)
{
    fanout_load *const load = w->load;
    w->lanes = w->plan->publishers;
    for (uint32_t i = 0; i < w->link_count; i++) {
        ln_benchlink *const link = &w->links[i];
        uint8_t *const ring = (uint8_t *)link->own + orders_bytes(w->plan);
        if (!is_publisher(link))
            continue;
        if (load->round.count++ == 0)
            load->round.links = link;
        ln_benchsender_init(link->own, w->plan, link->index - subscribers_of(w->plan),
                            (uint64_t *)(void *)ring);
    }
}

static void on_open(ln_benchlink *link)
{
    fanout_load *const load = link->worker->load;
    if (!is_publisher(link))
        load->subscribers++;
}

/* ------------------------------------------------------------------------------------------------
 * publishing */

static void publish(ln_benchlink *link)
{
    fanout_link *const f = link->own;
    ln_benchsender_fill(link, &f->sender);
    atomic_store_explicit(&link->worker->board->published[f->sender.lane], f->sender.sent,
                          memory_order_release);
}

/* A message is in flight until the subscribers have heard it, on the average over them. */
static void update_flight(ln_benchlink *link)
{
    fanout_load *const load = link->worker->load;
    fanout_link *const f = link->own;
    const uint64_t heard =
        load->subscribers > 0 ? load->heard[f->sender.lane] / load->subscribers : 0;
    /* A server that invents messages must not answer what was not sent. */
    if (heard > f->sender.answered && heard <= f->sender.sent)
        ln_benchsender_answer(link->worker, &f->sender, heard);
}

static void on_begin(ln_benchworker *w)
{
    fanout_load *const load = w->load;
    w->has_begun = true;
    for (uint32_t i = 0; i < load->round.count; i++)
        publish(&load->round.links[i]);
}

static uint64_t on_turn(ln_benchworker *w, uint64_t now_ns)
{
    fanout_load *const load = w->load;
    for (uint32_t i = 0; i < load->round.count; i++)
        update_flight(&load->round.links[i]);
    const uint64_t next_ns = ln_benchround_fill_due(&load->round, w, now_ns);
    for (uint32_t i = 0; i < load->round.count; i++)
        publish(&load->round.links[i]);
    return next_ns;
}

/* ------------------------------------------------------------------------------------------------
 * hearing */

static void take_ours(ln_benchlink *link, const ln_benchmessage *m)
{
    ln_benchworker *const w = link->worker;
    fanout_load *const load = w->load;
    fanout_link *const f = link->own;
    const uint64_t now_ns = ln_benchworker_now(w);
    ln_benchorder *const order = &f->orders[m->sender];
    const uint64_t before = ln_benchorder_top(order);
    const enum ln_benchorder_verdict verdict = ln_benchorder_take(order, m->number);
    if (!is_publisher(link))
        load->heard[m->sender] += ln_benchorder_top(order) - before;
    switch (verdict) {
    case LN_BENCHORDER_NEXT:
    case LN_BENCHORDER_AHEAD:
        if (is_publisher(link)) {
            w->tally->returned++;
            break;
        }
        w->tally->verified++;
        ln_benchworker_count(w, m->due_ns + w->pace.start_ns, now_ns);
        break;
    case LN_BENCHORDER_LATE:
        ln_benchtally_fault(w->tally, LN_BENCHFAULT_REORDERED, 1,
                            "connection %u: message %" PRIu64 " of publisher %u came behind "
                            "message %" PRIu64,
                            (unsigned)link->index, m->number, (unsigned)m->sender,
                            ln_benchorder_top(order) - 1);
        break;
    case LN_BENCHORDER_AGAIN:
        ln_benchtally_fault(w->tally, LN_BENCHFAULT_REPEATED, 1,
                            "connection %u: message %" PRIu64 " of publisher %u",
                            (unsigned)link->index, m->number, (unsigned)m->sender);
        break;
    }
}

/* Of several publishers' messages nobody knows which one this was: then it is missing, too. */
static void take_damaged(ln_benchlink *link)
{
    ln_benchworker *const w = link->worker;
    fanout_load *const load = w->load;
    fanout_link *const f = link->own;
    ln_benchtally_fault(w->tally, LN_BENCHFAULT_CORRUPTED, 1, "connection %u",
                        (unsigned)link->index);
    const uint64_t published = atomic_load_explicit(&w->board->published[0], memory_order_acquire);
    if (w->plan->publishers > 1 || f->orders[0].next >= published)
        return;
    const uint64_t before = ln_benchorder_top(&f->orders[0]);
    (void)ln_benchorder_take(&f->orders[0], f->orders[0].next);
    if (!is_publisher(link))
        load->heard[0] += ln_benchorder_top(&f->orders[0]) - before;
}

static void on_message(ln_benchlink *link, const ln_message *message)
{
    ln_benchworker *const w = link->worker;
    const enum ln_kind kind = w->plan->set->is_text ? LN_TEXT : LN_BINARY;
    ln_benchmessage m;
    switch (ln_benchmessage_read(&w->plan->messages, message->data, &m)) {
    case LN_BENCHMESSAGE_OURS:
        if (m.sender >= w->plan->publishers ||
            m.number >= atomic_load_explicit(&w->board->published[m.sender], memory_order_acquire) +
                            w->plan->depth) {
            ln_benchtally_fault(w->tally, LN_BENCHFAULT_STRANGE, 1,
                                "connection %u: message %" PRIu64 " of publisher %u",
                                (unsigned)link->index, m.number, (unsigned)m.sender);
            break;
        }
        if (message->kind != kind)
            ln_benchtally_fault(w->tally, LN_BENCHFAULT_KIND, 1,
                                "connection %u: message %" PRIu64 " of publisher %u",
                                (unsigned)link->index, m.number, (unsigned)m.sender);
        take_ours(link, &m);
        break;
    case LN_BENCHMESSAGE_DAMAGED:
        take_damaged(link);
        break;
    case LN_BENCHMESSAGE_FOREIGN:
        w->tally->foreign++;
        break;
    }
}

/* ------------------------------------------------------------------------------------------------
 * ends */

static bool has_heard_all(const ln_benchlink *link)
{
    const ln_benchworker *const w = link->worker;
    const fanout_link *const f = link->own;
    if (link->conn == NULL || is_publisher(link))
        return true;
    for (uint32_t p = 0; p < w->plan->publishers; p++)
        if (ln_benchorder_top(&f->orders[p]) < atomic_load(&w->board->published[p]))
            return false;
    return true;
}

static bool is_settled(ln_benchworker *w)
{
    fanout_load *const load = w->load;
    const uint64_t now_ns = ln_benchworker_now(w);
    if (now_ns < load->last_look_ns + (uint64_t)LOOK_MS * 1000000)
        return load->was_settled;
    load->last_look_ns = now_ns;
    load->was_settled = true;
    for (uint32_t i = 0; i < w->link_count && load->was_settled; i++)
        load->was_settled = has_heard_all(&w->links[i]);
    return load->was_settled;
}

/* The others' mean must not wait for one that hears nothing more. */
static void on_gone(ln_benchlink *link)
{
    ln_benchworker *const w = link->worker;
    fanout_load *const load = w->load;
    fanout_link *const f = link->own;
    if (is_publisher(link)) {
        ln_benchsender_end(w, &f->sender);
        return;
    }
    load->subscribers--;
    for (uint32_t p = 0; p < w->plan->publishers; p++)
        load->heard[p] -= ln_benchorder_top(&f->orders[p]);
}

static void end_subscriber(ln_benchlink *link)
{
    ln_benchworker *const w = link->worker;
    const fanout_link *const f = link->own;
    for (uint32_t p = 0; p < w->plan->publishers; p++) {
        const uint64_t published = atomic_load(&w->board->published[p]);
        w->tally->expected += published;
        ln_benchtally_fault(w->tally, LN_BENCHFAULT_LOST,
                            ln_benchorder_missing(&f->orders[p], published),
                            "connection %u: message %" PRIu64 " of publisher %u",
                            (unsigned)link->index, f->orders[p].next, (unsigned)p);
    }
}

static void on_end(ln_benchworker *w)
{
    for (uint32_t i = 0; i < w->link_count; i++) {
        ln_benchlink *const link = &w->links[i];
        fanout_link *const f = link->own;
        if (is_publisher(link))
            ln_benchsender_note_unsent(link, &f->sender);
        else if (link->was_open)
            end_subscriber(link);
    }
}

const ln_benchmode ln_benchfanout = {
    .name = "fanout",
    .event = "delivery",
    .events = "deliveries",
    .own_bytes = own_bytes,
    .load_bytes = load_bytes,
    .on_ready = on_ready,
    .on_begin = on_begin,
    .on_turn = on_turn,
    .is_settled = is_settled,
    .on_end = on_end,
    .on_open = on_open,
    .on_message = on_message,
    .on_gone = on_gone,
};
