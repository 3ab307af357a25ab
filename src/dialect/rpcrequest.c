/* SPDX-License-Identifier: MIT */
/*
 * rpcrequest.c - calls of ours to a peer. Each is one piece of memory from the call to its end: a
 * letter while it is on its way to the connection's thread, then a link in the peer's list with a
 * timer. To who made it it is a number, which any thread may cancel.
 */
#include <string.h>

#include "base/limits.h"
#include "base/text.h"
#include "proto/jsonwrite.h"
#include "proto/utf8.h"
#include "rpcinner.h"

typedef struct call_out {
    ln_rpc_letter head;
    ln_link link; /* in peer->requests */
    ln_timer timer;
    ln_rpc_peer *peer;
    uint64_t serial; /* for its id on the wire */
    uint64_t order;  /* its number for who made it */
    uint32_t timeout_ms;
    ln_rpc_reply_handler *on_reply; /* NULL: a notification */
    void *user;
    ln_span method;
    ln_span params;
    uint8_t bytes[];
} call_out;

/* ---- ending ---- */

/* Not in any list any more: tells, and frees. */
static void end(call_out *o, const ln_rpc_reply *reply)
{
    const ln_allocator *const alloc = o->head.rpc->server->alloc;

    if (o->on_reply != NULL)
        o->on_reply(reply, o->user);
    ln_free(alloc, o);
}

static void fail(call_out *o, int error)
{
    const ln_rpc_reply reply = {.conn = o->head.conn, .error = error, .serial = o->serial};
    end(o, &reply);
}

static void unlink_call(call_out *o)
{
    ln_list_remove(&o->link);
    o->peer->request_count--;
    ln_timer_clear(&ln_conn_home(o->peer->conn)->loop->wheel, &o->timer);
}

static void on_timeout(ln_timer *timer)
{
    call_out *const o = LN_CONTAINER_OF(timer, call_out, timer);

    unlink_call(o);
    fail(o, LN_ERR_TIMEOUT);
}

void ln_rpc_end_requests(ln_rpc_peer *p)
{
    while (!ln_list_is_empty(&p->requests)) {
        call_out *const o = LN_CONTAINER_OF(p->requests.next, call_out, link);
        unlink_call(o);
        fail(o, LN_ERR_CLOSED);
    }
}

/* ---- the peer's answer ---- */

static call_out *find(const ln_rpc_peer *p, uint64_t serial)
{
    for (ln_link *l = p->requests.next; l != &p->requests; l = l->next) {
        call_out *const o = LN_CONTAINER_OF(l, call_out, link);
        if (o->serial == serial)
            return o;
    }
    return NULL;
}

bool ln_rpc_end_request(ln_rpc_peer *p, uint64_t serial, ln_rpc_reply *reply)
{
    call_out *const o = find(p, serial);

    if (o == NULL)
        return false;
    unlink_call(o);
    reply->conn = p->conn->id;
    reply->serial = serial;
    end(o, reply);
    return true;
}

void ln_rpc_count_stray(ln_rpc_peer *p)
{
    atomic_fetch_add_explicit(&p->rpc->stats.stray_answers, 1, memory_order_relaxed);
}

/* ---- calling ---- */

static int send_request(ln_rpc_peer *p, call_out *o)
{
    const ln_rpc_carrier *const carrier = p->rpc->carrier;

    if (o->on_reply != NULL && p->request_count >= carrier->requests_max)
        return LN_ERR_LIMIT;
    o->serial = ++p->serial;
    const ln_rpc_call_out call = {.method = o->method,
                                  .params = o->params,
                                  .serial = o->serial,
                                  .timeout_ms = o->on_reply == NULL ? 0 : o->timeout_ms};
    ln_buf *const text = ln_rpc_take_scratch(p);
    int rc = ln_json_write_span(text, carrier->prefix);
    if (rc == 0)
        rc = carrier->speech->write_call(p, &call, text);
    if (rc == 0)
        rc = ln_conn_send(p->conn, carrier->kind, (ln_span){text->data, text->size});
    ln_rpc_give_scratch(text);
    return rc < 0 ? rc : 0;
}

/* On the connection's thread: takes `o` over, unless it could not be sent. */
static int begin(ln_rpc_peer *p, call_out *o)
{
    ln_loop *const loop = ln_conn_home(p->conn)->loop;

    const int rc = send_request(p, o);
    if (rc < 0)
        return rc;
    if (o->on_reply == NULL) {
        ln_free(p->rpc->server->alloc, o);
        return 0;
    }
    o->peer = p;
    ln_list_add(&p->requests, &o->link);
    p->request_count++;
    ln_timer_init(&o->timer, on_timeout);
    ln_timer_set(&loop->wheel, &o->timer, loop->now_ms + o->timeout_ms);
    return 0;
}

static void on_letter(ln_letter *letter, ln_loop *loop)
{
    call_out *const o = LN_CONTAINER_OF(letter, call_out, head.letter);

    atomic_fetch_sub(&o->head.rpc->mailed, 1);
    ln_rpc_peer *const p = ln_rpc_arrived(&o->head, loop);
    const int rc = p == NULL ? LN_ERR_CLOSED : begin(p, o);
    if (rc < 0)
        fail(o, rc);
}

/* Copies the order. */
static call_out *make(ln_rpc *rpc, const ln_rpc_order *order, uint32_t timeout_ms)
{
    const size_t size = order->method.size + order->params.size;
    call_out *const o = ln_alloc(rpc->server->alloc, sizeof *o + size);

    if (o == NULL)
        return NULL;
    *o = (call_out){.head = {.letter = {.handle = on_letter}, .rpc = rpc, .conn = order->conn},
                    .order = 1 + atomic_fetch_add_explicit(&rpc->orders, 1, memory_order_relaxed),
                    .timeout_ms = timeout_ms,
                    .on_reply = order->on_reply,
                    .user = order->user,
                    .method = {o->bytes, order->method.size},
                    .params = {o->bytes + order->method.size, order->params.size}};
    if (order->method.size > 0)
        memcpy(o->bytes, order->method.data, order->method.size);
    if (order->params.size > 0)
        memcpy(o->bytes + order->method.size, order->params.data, order->params.size);
    return o;
}

static int mail(call_out *o)
{
    ln_rpc *const rpc = o->head.rpc;

    atomic_fetch_add(&rpc->mailed, 1);
    const int rc = ln_rpc_post(&o->head, sizeof *o + o->method.size + o->params.size);
    if (rc < 0)
        atomic_fetch_sub(&rpc->mailed, 1);
    return rc;
}

int ln_rpc_request(ln_rpc *rpc, const ln_rpc_order *order, ln_rpc_ticket *ticket)
{
    ln_worker *const w = ln_server_worker_of(rpc->server, order->conn);
    uint32_t timeout_ms;

    int rc = ln_limit_get(ln_limit_find(LN_SPAN("RPC_TIMEOUT_MS")), order->timeout_ms, &timeout_ms);
    if (rc < 0 || !ln_utf8_is_valid(order->method.data, order->method.size) ||
        !rpc->carrier->speech->is_params(order->params))
        return LN_ERR_INVALID;
    if (w == NULL)
        return LN_ERR_CLOSED;
    const bool is_here = ln_loop_current() == w->home.loop;
    ln_rpc_peer *const p = is_here ? ln_rpc_peer_here(rpc, order->conn) : NULL;
    if (is_here && p == NULL)
        return LN_ERR_CLOSED;
    call_out *const o = make(rpc, order, timeout_ms);
    if (o == NULL)
        return LN_ERR_NOMEM;
    if (ticket != NULL) /* o may be gone when it is posted */
        *ticket = (ln_rpc_ticket){rpc, order->conn, o->order};
    rc = is_here ? begin(p, o) : mail(o);
    if (rc < 0)
        ln_free(rpc->server->alloc, o);
    return rc;
}

/* ---- cancelling ---- */

static int cancel_here(const ln_rpc_peer *p, uint64_t order)
{
    for (ln_link *l = p->requests.next; l != &p->requests; l = l->next) {
        call_out *const o = LN_CONTAINER_OF(l, call_out, link);
        if (o->order != order)
            continue;
        unlink_call(o);
        fail(o, LN_ERR_CANCELLED);
        return 0;
    }
    return LN_ERR_NOT_FOUND;
}

/* A cancellation on its way; behind the call that it is about. */
typedef struct retraction {
    ln_rpc_letter head;
    uint64_t order;
} retraction;

static void on_retraction(ln_letter *letter, ln_loop *loop)
{
    retraction *const r = LN_CONTAINER_OF(letter, retraction, head.letter);
    const ln_allocator *const alloc = r->head.rpc->server->alloc;

    const ln_rpc_peer *const p = ln_rpc_arrived(&r->head, loop);
    if (p != NULL)
        (void)cancel_here(p, r->order); /* it may have ended */
    ln_free(alloc, r);
}

int ln_rpc_cancel(const ln_rpc_ticket *ticket)
{
    ln_rpc *const rpc = ticket->engine;
    const ln_worker *const w = ln_server_worker_of(rpc->server, ticket->conn);

    if (w == NULL)
        return LN_ERR_CLOSED;
    if (ln_loop_current() == w->home.loop) {
        const ln_rpc_peer *const p = ln_rpc_peer_here(rpc, ticket->conn);
        const int rc = p == NULL ? LN_ERR_CLOSED : cancel_here(p, ticket->serial);
        /* else it may be one of those that wait for this thread, and is met behind it */
        if (rc != LN_ERR_NOT_FOUND || atomic_load(&rpc->mailed) == 0)
            return rc;
    }
    retraction *const r = ln_alloc(rpc->server->alloc, sizeof *r);
    if (r == NULL)
        return LN_ERR_NOMEM;
    *r = (retraction){
        .head = {.letter = {.handle = on_retraction}, .rpc = rpc, .conn = ticket->conn},
        .order = ticket->serial};
    const int rc = ln_rpc_post(&r->head, sizeof *r);
    if (rc < 0)
        ln_free(rpc->server->alloc, r);
    return rc;
}
