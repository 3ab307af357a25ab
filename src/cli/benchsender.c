/* SPDX-License-Identifier: MIT */
#include "benchsender.h"

#include <inttypes.h>

uint32_t ln_benchsender_ring(const ln_benchplan *plan)
{
    uint32_t n = 1;
    while (n < plan->depth)
        n *= 2;
    return n;
}

void ln_benchsender_init(ln_benchsender *s, const ln_benchplan *plan, uint32_t lane, uint64_t *ring)
{
    *s = (ln_benchsender){.lane = lane, .mask = ln_benchsender_ring(plan) - 1, .due_ns = ring};
}

/* Message s->sent; false if the connection does not take it. */
static bool send_one(ln_benchlink *link, ln_benchsender *s, uint64_t due_ns)
{
    ln_benchworker *const w = link->worker;
    const ln_benchmessage m = {
        .sender = s->lane, .number = s->sent, .due_ns = due_ns - w->pace.start_ns};
    const enum ln_kind kind = w->plan->set->is_text ? LN_TEXT : LN_BINARY;
    ln_benchmessage_write(&w->plan->messages, &m, w->scratch);
    const int rc = ln_conn_send(link->conn, kind, (ln_span){w->scratch, w->plan->messages.size});
    if (rc < 0) {
        /* A full queue empties, a closed connection says so itself. */
        if (rc != LN_ERR_CLOSED && rc != LN_ERR_WOULD_EXCEED)
            ln_benchtally_fault(w->tally, LN_BENCHFAULT_OURS, 1, "sending: %s", ln_strerror(rc));
        return false;
    }
    s->due_ns[s->sent & s->mask] = due_ns;
    s->sent++;
    w->in_flight++;
    w->tally->sent++;
    return true;
}

void ln_benchsender_fill(ln_benchlink *link, ln_benchsender *s)
{
    ln_benchworker *const w = link->worker;
    const bool is_paced = w->pace.per_second > 0;
    if (link->conn == NULL || !w->has_begun)
        return;
    while (s->sent - s->answered < w->plan->depth) {
        const uint64_t now_ns = ln_benchworker_now(w);
        const uint64_t due_ns =
            is_paced ? ln_benchpace_due(&w->pace, s->sent * w->lanes + s->lane) : now_ns;
        if (due_ns > now_ns || due_ns >= w->until_ns || now_ns >= w->until_ns + w->grace_ns ||
            !send_one(link, s, due_ns))
            return;
        if (is_paced && due_ns >= w->from_ns)
            ln_benchhist_add(&w->tally->lateness, now_ns - due_ns);
    }
}

void ln_benchsender_answer(ln_benchworker *w, ln_benchsender *s, uint64_t answered)
{
    LN_ASSERT(answered >= s->answered && answered <= s->sent);
    w->in_flight -= (uint32_t)(answered - s->answered);
    s->answered = answered;
}

void ln_benchsender_end(ln_benchworker *w, ln_benchsender *s)
{
    ln_benchsender_answer(w, s, s->sent);
}

void ln_benchsender_note_unsent(const ln_benchlink *link, const ln_benchsender *s)
{
    const ln_benchworker *const w = link->worker;
    if (!w->has_begun || link->conn == NULL)
        return;
    const uint64_t due =
        ln_benchpace_share(ln_benchpace_count(&w->pace, w->until_ns - 1), s->lane, w->lanes);
    if (due > s->sent)
        ln_benchtally_fault(w->tally, LN_BENCHFAULT_UNSENT, due - s->sent,
                            "connection %u: %" PRIu64 " were due, %" PRIu64 " found room (%u in "
                            "flight)",
                            (unsigned)link->index, due, s->sent, (unsigned)w->plan->depth);
}

uint64_t ln_benchround_fill_due(ln_benchround *r, ln_benchworker *w, uint64_t now_ns)
{
    while (r->count > 0) {
        ln_benchlink *const link = &r->links[r->at];
        ln_benchsender *const s = link->own;
        const uint64_t due_ns = ln_benchpace_due(&w->pace, r->round * w->lanes + s->lane);
        if (due_ns > now_ns || due_ns >= w->until_ns)
            return due_ns;
        ln_benchsender_fill(link, s);
        if (++r->at == r->count) {
            r->at = 0;
            r->round++;
        }
    }
    return UINT64_MAX;
}
