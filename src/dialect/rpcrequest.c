/* SPDX-License-Identifier: MIT */
/*
 * rpcrequest.c - calls of ours to a peer. Each is one piece of memory from the call to its end: a
 * letter while it is on its way to the connection's thread, then a link in the peer's list with a
 * timer.
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
    uint64_t serial; /* its id on the wire */
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
    const ln_rpc_reply reply = {.conn = o->head.conn, .error = error};
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

static void read_error(const ln_json_value *error, ln_rpc_reply *reply)
{
    ln_json_field f[] = {{.name = "code"}, {.name = "message"}, {.name = "data"}};
    ln_json_value bracket;
    ln_json j;

    ln_json_init(&j, error->text);
    reply->error = LN_ERR_PROTOCOL;
    if (ln_json_next(&j, &bracket) != LN_JSON_OBJECT || !ln_json_read_fields(&j, f, 3))
        return;
    if (f[0].value.type != LN_JSON_NUMBER || ln_json_integer(f[0].value.text, &reply->code) < 0)
        return;
    if (f[1].value.type == LN_JSON_STRING)
        reply->message = f[1].value.text;
    if (f[2].value.type != LN_JSON_NONE)
        reply->data = f[2].value.text;
    reply->error = LN_ERR_REFUSED;
}

static call_out *find(const ln_rpc_peer *p, const ln_json_value *id)
{
    int64_t serial;

    if (id->type != LN_JSON_NUMBER || ln_json_integer(id->text, &serial) < 0)
        return NULL;
    for (ln_link *l = p->requests.next; l != &p->requests; l = l->next) {
        call_out *const o = LN_CONTAINER_OF(l, call_out, link);
        if (o->serial == (uint64_t)serial)
            return o;
    }
    return NULL;
}

void ln_rpc_take_reply(ln_rpc_peer *p, const ln_json_value *id, const ln_json_value *result,
                       const ln_json_value *error)
{
    ln_rpc_reply reply = {.conn = p->conn->id};

    call_out *const o = find(p, id);
    if (o == NULL) {
        /* too late, twice, or made up; answering an answer would begin a circle */
        atomic_fetch_add_explicit(&p->rpc->stats.stray_answers, 1, memory_order_relaxed);
        return;
    }
    unlink_call(o);
    if (result->type != LN_JSON_NONE && error->type != LN_JSON_NONE)
        reply.error = LN_ERR_PROTOCOL;
    else if (error->type != LN_JSON_NONE)
        read_error(error, &reply);
    else
        reply.result = result->text;
    end(o, &reply);
}

/* ---- calling ---- */

static int write_request(const call_out *o, ln_buf *text)
{
    int rc = ln_json_write_raw(text, "{\"jsonrpc\":\"2.0\",\"method\":");
    if (rc == 0)
        rc = ln_json_write_string(text, o->method);
    if (rc == 0 && o->params.size > 0) {
        rc = ln_json_write_raw(text, ",\"params\":");
        if (rc == 0)
            rc = ln_json_write_span(text, o->params);
    }
    if (rc == 0 && o->on_reply != NULL) {
        rc = ln_json_write_raw(text, ",\"id\":");
        if (rc == 0)
            rc = ln_json_write_u64(text, o->serial);
    }
    return rc == 0 ? ln_json_write_raw(text, "}") : rc;
}

static int send_request(ln_rpc_peer *p, call_out *o)
{
    ln_buf text;

    if (o->on_reply != NULL && p->request_count >= LN_RPC_REQUESTS_MAX)
        return LN_ERR_LIMIT;
    ln_buf_init(&text, p->rpc->server->alloc);
    o->serial = ++p->serial;
    int rc = write_request(o, &text);
    if (rc == 0)
        rc = ln_rpc_send(p, p->rpc->carrier->prefix, (ln_span){text.data, text.size});
    ln_buf_fini(&text);
    return rc;
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

/* An array or an object, or nothing. */
static bool is_params(ln_span text)
{
    ln_json_value first;
    ln_json j;

    if (text.size == 0)
        return true;
    ln_json_init(&j, text);
    const ln_json_type type = ln_json_next(&j, &first);
    return (type == LN_JSON_ARRAY || type == LN_JSON_OBJECT) && ln_json_finish(&j);
}

int ln_rpc_request(ln_rpc *rpc, const ln_rpc_order *order)
{
    ln_worker *const w = ln_server_worker_of(rpc->server, order->conn);
    uint32_t timeout_ms;

    int rc = ln_limit_get(ln_limit_find(LN_SPAN("RPC_TIMEOUT_MS")), order->timeout_ms, &timeout_ms);
    if (rc < 0 || !ln_utf8_is_valid(order->method.data, order->method.size) ||
        !is_params(order->params))
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
    rc = is_here ? begin(p, o)
                 : ln_rpc_post(&o->head, sizeof *o + order->method.size + order->params.size);
    if (rc < 0)
        ln_free(rpc->server->alloc, o);
    return rc;
}
