/* SPDX-License-Identifier: MIT */
/*
 * dispatch.c - what a complete request is for: an upgrade judged and carried out, a handler called,
 * a file sent.
 */
#include <string.h>

#include "proto/upgrade.h"
#include "requests.h"
#include "route.h"

enum { UPGRADE_HEAD_MAX_BYTES = 8192 };

/* Answers in our own name. */
static void reply(ln_exchange *x, unsigned status, const char *text)
{
    if (ln_request_reply(x->request, status, "text/plain", ln_text(text)) < 0)
        ln_conn_drop(x->conn, LN_ERR_NOMEM);
}

/* ---- upgrades ---- */

static void refuse(ln_exchange *x, const ln_plan *plan, const ln_upgrade_verdict *why)
{
    if (plan->refuse != NULL)
        plan->refuse(x->request, why, plan->handlers.user);
    else
        reply(x, why->status, why->reason);
}

/* Is there room for one connection more? False: answered. */
static bool has_room(ln_exchange *x)
{
    ln_home *const home = ln_conn_home(x->conn);
    const uint64_t open = atomic_load_explicit(&home->counters.connections, memory_order_relaxed);

    if (!home->is_draining && open < home->connections_max)
        return true;
    ln_count(&home->counters.shed, 1);
    refuse(x, &x->request->route->plan,
           &(ln_upgrade_verdict){.status = 503,
                                 .fault = LN_UPGRADE_NO_ROOM,
                                 .reason = "no room for another connection\n"});
    return false;
}

/* The 101 into the exchange's output. */
static int write_switch(ln_exchange *x, const ln_accepted *a)
{
    ln_home *const home = ln_conn_home(x->conn);
    ln_request *const r = x->request;
    ln_buf head;

    ln_buf_init(&head, home->alloc);
    int rc = ln_upgrade_write_response(&head, ln_head_find(&r->head, "Sec-WebSocket-Key", NULL),
                                       a->subprotocol, (ln_span){a->extensions, a->extensions_size},
                                       NULL, 0, UPGRADE_HEAD_MAX_BYTES);
    if (rc == 0 && r->extra.size > 0) { /* the application's fields stand before the empty line */
        head.size -= 2;
        rc = ln_buf_append(&head, r->extra.data, r->extra.size, 2 * UPGRADE_HEAD_MAX_BYTES);
        if (rc == 0)
            rc = ln_head_write_end(&head, 2 * UPGRADE_HEAD_MAX_BYTES);
    }
    if (rc == 0)
        rc = ln_chain_append(&x->out, &home->loop->pool, head.data, head.size);
    ln_buf_fini(&head);
    return rc;
}

void ln_exchange_complete_upgrade(ln_exchange *x)
{
    ln_conn *const c = x->conn;
    ln_home *const home = ln_conn_home(c);
    ln_request *const r = x->request;
    ln_site *const site = &home->sites[r->route->site];
    const bool is_deferred = r->is_deferred; /* a refusal of what was deferred frees it */
    ln_accepted a;

    if (is_deferred && !has_room(x)) /* there was when it was asked for */
        return;
    const char *const malformed = ln_site_negotiate(site, &r->head, &a);
    if (malformed != NULL) {
        refuse(x, &r->route->plan,
               &(ln_upgrade_verdict){
                   .status = 400, .fault = LN_UPGRADE_BAD_FORM, .reason = malformed});
        if (!is_deferred)
            ln_exchange_next(x);
        return;
    }
    const bool needs_more = a.subprotocol.size > 0 || x->waiting.size > 0;
    ln_conn_more *const more = needs_more ? ln_conn_need_more(c) : NULL;
    if ((needs_more && more == NULL) || write_switch(x, &a) < 0) {
        ln_deflate_free(a.deflate);
        ln_conn_drop(c, LN_ERR_NOMEM);
        return;
    }
    r->is_answered = true;
    if (a.subprotocol.size > 0)
        more->subprotocol = a.subprotocol;
    if (x->waiting.size > 0) { /* came while the decision was pending: fed at the end of the turn */
        ln_buf_fini(&more->stash);
        more->stash = x->waiting;
        ln_buf_init(&x->waiting, home->alloc);
    }
    if (r->is_deferred)
        ln_stream_resume(&c->stream);
    r->user_alloc = NULL;
    ln_conn_upgrade(c, site, a.deflate, r, r->user);
    ln_exchange_free(x);
}

/* Every reason not to become a WebSocket, before the application is asked. False: answered. */
static bool judge_upgrade(ln_exchange *x)
{
    ln_home *const home = ln_conn_home(x->conn);
    const ln_request *const r = x->request;
    ln_upgrade_verdict verdict;

    ln_upgrade_check_request(&r->head, &verdict);
    if (verdict.status != 101) {
        ln_count(&home->counters.malformed, 1);
        refuse(x, &r->route->plan, &verdict);
        return false;
    }
    const ln_plan *const e = &r->route->plan;
    if (!ln_upgrade_is_origin_allowed(&r->head, ln_text(e->origins), ln_request_is_tls(r))) {
        ln_log_say(home->loop->log, LN_LOG_WARN, home->loop->now_ms, "origin refused",
                   ln_log_pair("origin", ln_request_header(r, "Origin")),
                   ln_log_pair("remote", ln_request_remote(r)));
        reply(x, 403, "origin is not allowed\n");
        return false;
    }
    return has_room(x);
}

static void dispatch_upgrade(ln_exchange *x)
{
    ln_request *const r = x->request;

    if (judge_upgrade(x)) {
        const ln_ws_handlers *const h = &r->route->plan.handlers;
        r->is_at_handler = true;
        if (h->on_request != NULL)
            h->on_request(r, h->user);
        r->is_at_handler = false;
        if (!r->is_answered && !r->is_deferred && !r->is_refused) {
            ln_exchange_complete_upgrade(x);
            return;
        }
    }
    if (r->is_answered && !r->is_deferred)
        ln_exchange_next(x);
    else if (r->is_refused && !r->is_answered)
        ln_conn_drop(x->conn, LN_ERR_NOMEM); /* the refusal could not be written */
    else
        ln_stream_pause(&x->conn->stream);
}

/* ---- plain requests ---- */

/* A path whose only route is a WebSocket's, asked for without an upgrade. */
static void refuse_plain(ln_exchange *x)
{
    const ln_route *const route =
        ln_routes_find(ln_conn_home(x->conn)->routes, ln_request_path(x->request), true);
    ln_upgrade_verdict verdict;

    if (route == NULL) {
        reply(x, 404, "not found\n");
    } else if (route->plan.refuse == NULL) {
        reply(x, 426, "this is a WebSocket endpoint\n");
    } else {
        ln_upgrade_check_request(&x->request->head, &verdict);
        refuse(x, &route->plan, &verdict);
    }
}

void ln_exchange_screen(ln_exchange *x)
{
    ln_request *const r = x->request;
    const ln_route *const route =
        ln_routes_find(ln_conn_home(x->conn)->routes, ln_request_path(r), false);
    const bool ends = x->ends;

    if (route == NULL || route->admit == NULL)
        return;
    x->ends = true; /* if it is answered now: what follows is its body, and no request */
    if (route->admit(r, route->user))
        x->ends = ends;
    else if (r->is_answered)
        ln_exchange_next(x);
    else
        ln_conn_drop(x->conn, LN_ERR_NOMEM);
}

static void dispatch_plain(ln_exchange *x)
{
    ln_request *const r = x->request;
    const ln_route *const route = r->route;

    if (route == NULL) {
        refuse_plain(x);
    } else if (route->kind == LN_ROUTE_HTTP) {
        r->is_at_handler = true;
        route->handler(r, route->user);
        r->is_at_handler = false;
    } else {
        /* "/files/" + "a.txt"; an exact path serves its folder's index */
        const size_t skip = route->is_subtree ? route->path.size : r->path_size;
        ln_files_answer(route->files, r, r->path + skip);
    }
    if (!r->is_answered && !r->is_deferred)
        reply(x, 500, "the handler gave no answer\n");
    if (r->is_answered && !r->is_deferred && x->file == NULL && x->conn->phase == LN_CONN_HTTP)
        ln_exchange_next(x);
}

/* Whether the peer means to upgrade: it says so, even if it says it wrongly. */
static bool means_upgrade(const ln_request *r)
{
    return ln_head_has_token(&r->head, "Upgrade", "websocket") ||
           ln_request_header(r, "Sec-WebSocket-Key").data != NULL;
}

void ln_exchange_dispatch(ln_exchange *x)
{
    ln_request *const r = x->request;
    const ln_home *const home = ln_conn_home(x->conn);
    const ln_span path = ln_request_path(r);

    r->is_dispatched = true;
    if (r->head.minor == 0 || ln_head_has_token(&r->head, "Connection", "close"))
        x->ends = true;
    if (means_upgrade(r)) {
        r->route = ln_routes_find(home->routes, path, true);
        r->is_upgrade = r->route != NULL;
        if (r->is_upgrade) {
            dispatch_upgrade(x);
            return;
        }
        x->ends = true; /* an upgrade that nobody serves: never read on as HTTP */
    }
    r->route = ln_routes_find(home->routes, path, false);
    dispatch_plain(x);
}
