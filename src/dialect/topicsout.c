/* SPDX-License-Identifier: MIT */
/*
 * topicsout.c - how publications come to the connections that subscribe.
 */
#include "base/text.h"
#include "topicsinner.h"

/* Where publications are counted that went past subscribers without room: one for each policy and
 * tally that such have. Lives as long as its side. */
struct ln_topics_account {
    ln_hub_account base;
    ln_topics_account *next;
    ln_counters *counters;
    _Atomic uint64_t *tally; /* NULL = none */
    bool drops_newest;       /* else it refuses */
};

/* ---- delivery ---- */

static ln_block *make_plain(const ln_msg *m, void *arg)
{
    const ln_home *const home = arg;
    return ln_ws_encode(home->alloc, m->kind == LN_MSG_BINARY ? LN_BINARY : LN_TEXT, m->payload,
                        false);
}

/* Compressed once for everybody; the plain frame if that is not smaller. */
static ln_block *make_deflated(const ln_msg *m, void *arg)
{
    ln_home *const home = arg;
    ln_zpool *const zpool = ln_home_zpool(home);
    ln_buf out;

    if (zpool == NULL)
        return NULL;
    ln_buf_init(&out, home->alloc);
    ln_block *block = NULL;
    const int rc = ln_deflate_shared(zpool, LN_SITE_DEFLATE_LEVEL, LN_TOPICS_SHARED_BITS,
                                     m->payload.data, m->payload.size, &out);
    if (rc == 0 && out.size < m->payload.size)
        block = ln_ws_encode(home->alloc, m->kind == LN_MSG_BINARY ? LN_BINARY : LN_TEXT,
                             (ln_span){out.data, out.size}, true);
    else if (rc == 0)
        block = make_plain(m, arg);
    ln_buf_fini(&out);
    return block;
}

/* The frame that this connection can be given. */
static ln_block *frame_for(const ln_conn *c, ln_msg *m)
{
    ln_home *const home = ln_conn_home(c);
    uint8_t bits;

    if (c->ws.deflate != NULL && m->payload.size >= c->ws.config->deflate_min_bytes &&
        ln_deflate_is_shareable(c->ws.deflate, &bits) &&
        (bits >= LN_TOPICS_SHARED_BITS || m->payload.size <= (size_t)1 << bits))
        return ln_msg_form(m, LN_FORM_DEFLATED, make_deflated, home);
    return ln_msg_form(m, LN_FORM_PLAIN, make_plain, home);
}

static int send_plain(ln_conn *c, ln_msg *m)
{
    ln_block *const frame = frame_for(c, m);
    return frame == NULL ? LN_ERR_NOMEM : ln_conn_send_block_latest(c, frame, m->topic);
}

/* ---- without room ---- */

/* What linnet itself tells (presence) has no publisher, and is nobody's message. */
static bool is_tallied(const ln_msg *m)
{
    return m->publisher != 0 || !ln_topics_is_reserved(m->topic);
}

static void miss(ln_hub_account *base, const ln_msg *m, uint32_t subscribers)
{
    const ln_topics_account *const a = LN_CONTAINER_OF(base, ln_topics_account, base);

    ln_count(&a->counters->dropped, subscribers);
    ln_count(a->drops_newest ? &a->counters->dropped_newest : &a->counters->queue_refused,
             subscribers);
    if (a->tally != NULL && is_tallied(m))
        ln_count(&a->tally[LN_DELIVERY_DROPPED], subscribers);
}

/* The account for that policy and tally; NULL when out of memory. */
static ln_topics_account *need_account(ln_topics_side *here, bool drops_newest,
                                       _Atomic uint64_t *tally)
{
    ln_topics_account *a = here->accounts;

    while (a != NULL && (a->drops_newest != drops_newest || a->tally != tally))
        a = a->next;
    if (a != NULL)
        return a;
    a = ln_alloc(here->topics->alloc, sizeof *a);
    if (a == NULL)
        return NULL;
    *a = (ln_topics_account){.base = {.miss = miss},
                             .next = here->accounts,
                             .counters = &here->home->counters,
                             .tally = tally,
                             .drops_newest = drops_newest};
    here->accounts = a;
    return a;
}

/*
 * Its queue was full for `m`: if that stays so until output leaves, it is parked. Publications then
 * go past it without a look at the connection, which would cost six cache lines: of ten thousand
 * subscribers who do not read, that is most of what a publication costs.
 */
static LN_COLD void park(ln_topics_listener *l, const ln_msg *m, int rc)
{
    if (l->send != send_plain || !ln_conn_watch_room(l->conn))
        return;
    ln_topics_account *const a =
        need_account(ln_conn_home(l->conn)->service, rc == LN_ERR_DROPPED, l->tally);
    if (a != NULL && (l->subscriber.account == NULL || l->subscriber.account == &a->base))
        ln_hub_park(&l->subscriber, &a->base, (uint32_t)m->payload.size);
}

void ln_topics_unpark(ln_topics_listener *l)
{
    ln_topics_side *const here = ln_conn_home(l->conn)->service;
    const bool must_lock = !here->is_delivering;

    if (l->subscriber.account == NULL)
        return;
    if (must_lock)
        ln_lock_take(&here->lock);
    ln_hub_unpark(&l->subscriber);
    if (must_lock)
        ln_lock_give(&here->lock);
}

void ln_topics_free_accounts(ln_topics_side *side)
{
    while (side->accounts != NULL) {
        ln_topics_account *const a = side->accounts;
        side->accounts = a->next;
        ln_free(side->topics->alloc, a);
    }
}

/* ---- delivery ---- */

static ln_delivery give(ln_topics_listener *l, ln_msg *m)
{
    ln_conn *const c = l->conn;
    const int rc = l->send(c, m);
    if (LN_LIKELY(rc == 0))
        return LN_DELIVERED;
    if (rc > 0)
        return LN_DELIVERY_QUEUED;
    if (rc == LN_ERR_CLOSED) {
        /* Out at once, so that it is counted once; the lock is held by who publishes. */
        const ln_topics_side *const here = ln_conn_home(c)->service;
        ln_hub_leave_all(here->hub, &l->subscriber);
        return LN_DELIVERY_CLOSED;
    }
    if (rc == LN_ERR_WOULD_EXCEED || rc == LN_ERR_DROPPED)
        park(l, m, rc);
    if (rc != LN_ERR_DROPPED && rc != LN_ERR_UNSUPPORTED) /* those have been counted */
        ln_count(&ln_conn_home(c)->counters.dropped, 1);
    return LN_DELIVERY_DROPPED;
}

ln_delivery ln_topics_deliver_to(ln_topics_listener *l, ln_msg *m)
{
    ln_hub_account *const account = l->subscriber.account;

    if (LN_UNLIKELY(account != NULL) && m->payload.size >= l->subscriber.full_bytes) {
        account->miss(account, m, 1);
        return LN_DELIVERY_DROPPED;
    }
    const ln_delivery d = give(l, m);
    if (l->tally != NULL && is_tallied(m))
        ln_count(&l->tally[d], 1);
    return d;
}

static ln_delivery deliver(ln_subscriber *s, ln_msg *m)
{
    return ln_topics_deliver_to(LN_CONTAINER_OF(s, ln_topics_listener, subscriber), m);
}

void ln_topics_listener_init(ln_topics_listener *l, ln_conn *c)
{
    *l = (ln_topics_listener){.conn = c, .send = send_plain};
    ln_subscriber_init(&l->subscriber, deliver, c->id);
}
