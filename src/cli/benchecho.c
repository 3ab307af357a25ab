/* SPDX-License-Identifier: MIT */
/*
 * benchecho - the load `echo`: sends, and wants the same back: in order, once, to the last byte.
 *
 * Only what was compared is counted. A message that a later one has overtaken is in flight no more:
 * it is late when it comes, and lost if it never does.
 */
#include <inttypes.h>

#include "benchorder.h"
#include "benchsender.h"

typedef struct echo_link {
    ln_benchsender sender; /* first: ln_benchround looks for it there */
    ln_benchorder order;
    bool was_greeted;
    uint64_t ring[];
} echo_link;

static size_t own_bytes(const ln_benchplan *plan)
{
    return sizeof(echo_link) + ln_benchsender_ring(plan) * sizeof(uint64_t);
}

static size_t load_bytes(const ln_benchplan *plan)
{
    (void)plan;
    return sizeof(ln_benchround);
}

static void on_ready(ln_benchworker *w)
{
    ln_benchround *const round = w->load;
    *round = (ln_benchround){.links = w->links, .count = w->link_count};
    w->lanes = w->plan->links;
    for (uint32_t i = 0; i < w->link_count; i++) {
        echo_link *const e = w->links[i].own;
        ln_benchsender_init(&e->sender, w->plan, w->links[i].index, e->ring);
    }
}

static void on_begin(ln_benchworker *w)
{
    w->has_begun = true;
    for (uint32_t i = 0; i < w->link_count; i++)
        ln_benchsender_fill(&w->links[i], w->links[i].own);
}

static uint64_t on_turn(ln_benchworker *w, uint64_t now_ns)
{
    return ln_benchround_fill_due(w->load, w, now_ns);
}

static bool is_settled(ln_benchworker *w)
{
    return w->in_flight == 0;
}

/* ------------------------------------------------------------------------------------------------
 * what comes back */

/* What stands in for the message that should have come next: it came, but not as it should. */
static void take_place(ln_benchlink *link, echo_link *e)
{
    if (e->order.next < e->sender.sent)
        (void)ln_benchorder_take(&e->order, e->order.next);
    ln_benchsender_answer(link->worker, &e->sender, ln_benchorder_top(&e->order));
}

static void take_foreign(ln_benchlink *link, echo_link *e, const ln_message *message)
{
    ln_benchtally *const t = link->worker->tally;
    /* A server may greet: one message before it has answered anything. */
    if (!e->was_greeted && ln_benchorder_top(&e->order) == 0) {
        e->was_greeted = true;
        t->foreign++;
        return;
    }
    ln_benchtally_fault(t, LN_BENCHFAULT_STRANGE, 1, "connection %u: %zu bytes that were not sent",
                        (unsigned)link->index, message->data.size);
}

static void take_ours(ln_benchlink *link, echo_link *e, const ln_benchmessage *m)
{
    ln_benchworker *const w = link->worker;
    const uint64_t now_ns = ln_benchworker_now(w);
    if (m->sender != e->sender.lane || m->number >= e->sender.sent) {
        ln_benchtally_fault(w->tally, LN_BENCHFAULT_STRANGE, 1,
                            "connection %u: message %" PRIu64 " of connection %u",
                            (unsigned)link->index, m->number, (unsigned)m->sender);
        return;
    }
    switch (ln_benchorder_take(&e->order, m->number)) {
    case LN_BENCHORDER_NEXT:
    case LN_BENCHORDER_AHEAD:
        w->tally->verified++;
        ln_benchworker_count(w, ln_benchsender_due(&e->sender, m->number), now_ns);
        ln_benchsender_answer(w, &e->sender, ln_benchorder_top(&e->order));
        break;
    case LN_BENCHORDER_LATE:
        ln_benchtally_fault(w->tally, LN_BENCHFAULT_REORDERED, 1,
                            "connection %u: message %" PRIu64 " came behind message %" PRIu64,
                            (unsigned)link->index, m->number, ln_benchorder_top(&e->order) - 1);
        break;
    case LN_BENCHORDER_AGAIN:
        ln_benchtally_fault(w->tally, LN_BENCHFAULT_REPEATED, 1, "connection %u: message %" PRIu64,
                            (unsigned)link->index, m->number);
        break;
    }
}

static void on_message(ln_benchlink *link, const ln_message *message)
{
    ln_benchworker *const w = link->worker;
    echo_link *const e = link->own;
    const enum ln_kind kind = w->plan->set->is_text ? LN_TEXT : LN_BINARY;
    ln_benchmessage m;
    switch (ln_benchmessage_read(&w->plan->messages, message->data, &m)) {
    case LN_BENCHMESSAGE_OURS:
        if (message->kind == kind) {
            take_ours(link, e, &m);
            break;
        }
        ln_benchtally_fault(w->tally, LN_BENCHFAULT_KIND, 1, "connection %u: message %" PRIu64 "%s",
                            (unsigned)link->index, m.number,
                            kind == LN_TEXT ? " was text and came as binary"
                                            : " was binary and came as text");
        take_place(link, e);
        break;
    case LN_BENCHMESSAGE_DAMAGED:
        ln_benchtally_fault(w->tally, LN_BENCHFAULT_CORRUPTED, 1,
                            "connection %u: in place of message %" PRIu64, (unsigned)link->index,
                            e->order.next);
        take_place(link, e);
        break;
    case LN_BENCHMESSAGE_FOREIGN:
        take_foreign(link, e, message);
        break;
    }
    ln_benchsender_fill(link, &e->sender);
}

/* ------------------------------------------------------------------------------------------------
 * ends */

static void on_gone(ln_benchlink *link)
{
    echo_link *const e = link->own;
    ln_benchsender_end(link->worker, &e->sender);
}

static void on_end(ln_benchworker *w)
{
    for (uint32_t i = 0; i < w->link_count; i++) {
        echo_link *const e = w->links[i].own;
        const uint64_t missing = ln_benchorder_missing(&e->order, e->sender.sent);
        ln_benchtally_fault(w->tally, LN_BENCHFAULT_LOST, missing,
                            "connection %u: message %" PRIu64 " of %" PRIu64,
                            (unsigned)w->links[i].index, e->order.next, e->sender.sent);
        ln_benchsender_note_unsent(&w->links[i], &e->sender);
    }
}

const ln_benchmode ln_benchecho = {
    .name = "echo",
    .event = "message",
    .events = "messages",
    .own_bytes = own_bytes,
    .load_bytes = load_bytes,
    .on_ready = on_ready,
    .on_begin = on_begin,
    .on_turn = on_turn,
    .is_settled = is_settled,
    .on_end = on_end,
    .on_message = on_message,
    .on_gone = on_gone,
};
