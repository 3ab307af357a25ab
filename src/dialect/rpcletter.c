/* SPDX-License-Identifier: MIT */
/* rpcletter.c - the way from any thread to a peer: found at once on its own, by letter from
 * another, within what may be under way to one connection. */
#include "base/limits.h"
#include "rpcinner.h"

/* NULL also for the connections of others. */
static ln_rpc_peer *find_peer(const ln_rpc *rpc, ln_worker *w, ln_conn_id id)
{
    ln_conn *const c = ln_slots_find(&w->slots, id & LN_CONN_NAME_MASK);
    ln_rpc_peer *const p = c == NULL ? NULL : rpc->carrier->peer_of(c);
    return p != NULL && p->rpc == rpc ? p : NULL;
}

ln_rpc_peer *ln_rpc_peer_here(ln_rpc *rpc, ln_conn_id id)
{
    ln_worker *const w = ln_server_worker_of(rpc->server, id);

    if (w == NULL || ln_loop_current() != w->home.loop)
        return NULL;
    return find_peer(rpc, w, id);
}

int ln_rpc_post(ln_rpc_letter *l, size_t size)
{
    ln_worker *const w = ln_server_worker_of(l->rpc->server, l->conn);
    ln_slot *const slot = w == NULL ? NULL : ln_slots_peek(&w->slots, l->conn & LN_CONN_NAME_MASK);

    if (slot == NULL)
        return LN_ERR_CLOSED;
    /* One that is larger than all that may be under way goes when nothing else is. */
    const uint32_t cost = (uint32_t)ln_min_size(size, LN_DEFAULT_MAIL_PENDING_BYTES);
    const uint32_t before =
        atomic_fetch_add_explicit(&slot->pending_bytes, cost, memory_order_relaxed);
    if (before > 0 && before + cost > LN_DEFAULT_MAIL_PENDING_BYTES) {
        atomic_fetch_sub_explicit(&slot->pending_bytes, cost, memory_order_relaxed);
        return LN_ERR_WOULD_EXCEED;
    }
    l->worker = w;
    l->slot = slot;
    l->cost_bytes = cost;
    ln_loop_send_letter(w->home.loop, &l->letter);
    return 0;
}

ln_rpc_peer *ln_rpc_arrived(ln_rpc_letter *l, ln_loop *loop)
{
    atomic_fetch_sub_explicit(&l->slot->pending_bytes, l->cost_bytes, memory_order_relaxed);
    return loop == NULL ? NULL : find_peer(l->rpc, l->worker, l->conn);
}
