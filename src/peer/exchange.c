/* SPDX-License-Identifier: MIT */
#include "exchange.h"

#include <string.h>

#include "files.h"
#include "requests.h"
#include "route.h"

int ln_exchange_open(ln_conn *c)
{
    ln_home *const home = c->as.home;
    ln_exchange *const x = ln_alloc_zero(home->alloc, sizeof *x);

    if (x == NULL)
        return LN_ERR_NOMEM;
    const ln_head_limits limits = {home->header_max_bytes, LN_HEAD_FIELDS_MAX};
    ln_head_init(&x->parser, LN_HEAD_REQUEST, &limits, home->alloc);
    ln_buf_init(&x->waiting, home->alloc);
    x->conn = c;
    x->is_first = true;
    x->due_ms = home->loop->now_ms + home->handshake_ms;
    c->of.http = x;
    return 0;
}

void ln_exchange_free(ln_exchange *x)
{
    if (x == NULL)
        return;
    ln_home *const home = ln_conn_home(x->conn);
    ln_request_free(x->request);
    ln_filesend_free(x->file);
    ln_head_fini(&x->parser);
    ln_buf_fini(&x->waiting);
    ln_chain_fini(&x->out, &home->loop->pool);
    ln_free(home->alloc, x);
}

/* ---- answers ---- */

/* A peer's head or body that cannot be understood: say so, and end. */
static void refuse(ln_exchange *x, unsigned status, const char *text)
{
    ln_home *const home = ln_conn_home(x->conn);

    x->ends = true;
    ln_log_say(home->loop->log, LN_LOG_DEBUG, home->loop->now_ms, "request refused",
               ln_log_number("status", status), ln_log_pair("reason", ln_text(text)));
    if (ln_exchange_answer(x, status, "text/plain", ln_text(text)) < 0)
        ln_conn_drop(x->conn, LN_ERR_NOMEM);
    else
        ln_exchange_next(x);
}

int ln_exchange_begin_answer(ln_exchange *x, unsigned status, const char *type, uint64_t length)
{
    ln_home *const home = ln_conn_home(x->conn);
    ln_buf head;

    ln_buf_init(&head, home->alloc);
    int rc = ln_request_write_head(x->request, status, type, length, x->ends, &head);
    if (rc == 0)
        rc = ln_chain_append(&x->out, &home->loop->pool, head.data, head.size);
    ln_buf_fini(&head);
    return rc;
}

int ln_exchange_answer(ln_exchange *x, unsigned status, const char *type, ln_span body)
{
    ln_home *const home = ln_conn_home(x->conn);

    const int rc = ln_exchange_begin_answer(x, status, type, body.size);
    if (rc < 0 || body.size == 0 || (x->request != NULL && x->request->is_head))
        return rc;
    return ln_chain_append(&x->out, &home->loop->pool, body.data, body.size);
}

void ln_exchange_next(ln_exchange *x)
{
    ln_home *const home = ln_conn_home(x->conn);

    ln_request_free(x->request);
    x->request = NULL;
    if (x->ends || home->is_draining || (x->conn->flags & LN_CONN_PEER_ENDED)) {
        ln_conn_finish(x->conn);
        return;
    }
    ln_head_reset(&x->parser);
    x->is_first = false;
    x->due_ms = home->loop->now_ms + home->http_idle_ms;
    ln_conn_touch(x->conn); /* the flush looks at what has been waiting */
}

/* ---- receiving ---- */

/* The head is complete: from here on there is a request. */
static void begin_request(ln_exchange *x)
{
    ln_home *const home = ln_conn_home(x->conn);

    const int rc = ln_request_new(x, &x->request);
    if (rc < 0) {
        const char *text = rc == LN_ERR_NOMEM ? "out of memory" : "the target is malformed";
        const unsigned status = rc == LN_ERR_PROTOCOL ? ln_head_fault(&x->parser, &text)
                                : rc == LN_ERR_NOMEM  ? 503
                                                      : 400;
        refuse(x, status, text);
        return;
    }
    ln_count(&home->counters.requests, 1);
    ln_body_init(&x->request->body, LN_HEAD_REQUEST, &x->request->head, false,
                 home->body_max_bytes);
    if (ln_body_is_done(&x->request->body))
        return;
    x->due_ms = home->loop->now_ms + home->http_idle_ms; /* it may take longer than a handshake */
    ln_exchange_screen(x);
}

/* Bytes of the body; the request is dispatched with the last of them. */
static size_t take_body(ln_exchange *x, const uint8_t *bytes, size_t n)
{
    ln_home *const home = ln_conn_home(x->conn);
    ln_request *const r = x->request;
    const char *text;
    ln_span piece;

    const size_t used = ln_body_feed(&r->body, bytes, n);
    while (ln_body_next(&r->body, &piece)) {
        if (ln_buf_append(&r->body_bytes, piece.data, piece.size, home->body_max_bytes) < 0) {
            refuse(x, 503, "out of memory");
            return used;
        }
    }
    const unsigned status = ln_body_fault(&r->body, &text);
    if (status != 0)
        refuse(x, status, text);
    else if (ln_body_is_done(&r->body))
        ln_exchange_dispatch(x);
    return used;
}

static size_t take_head(ln_exchange *x, const uint8_t *bytes, size_t n)
{
    const char *text;
    const size_t used = ln_head_feed(&x->parser, bytes, n);
    const unsigned status = ln_head_fault(&x->parser, &text);

    if (status != 0) {
        refuse(x, status, text);
        return n;
    }
    if (!ln_head_is_complete(&x->parser))
        return used;
    begin_request(x);
    if (x->request != NULL)
        (void)take_body(x, bytes, 0); /* most have none */
    return used;
}

/* Bytes in order, as far as the exchange is ready for them; the rest waits. */
static void take(ln_exchange *x, uint8_t *bytes, size_t n)
{
    ln_conn *const c = x->conn;

    while (n > 0 && c->phase == LN_CONN_HTTP) {
        if (x->request != NULL && x->request->is_dispatched) {
            if (ln_buf_append(&x->waiting, bytes, n, SIZE_MAX) < 0)
                ln_conn_drop(c, LN_ERR_NOMEM);
            else
                ln_stream_pause(&c->stream);
            return;
        }
        const size_t used = x->request == NULL ? take_head(x, bytes, n) : take_body(x, bytes, n);
        bytes += used;
        n -= used;
    }
    if (c->phase == LN_CONN_OPEN)
        ln_conn_feed(c, bytes, n);
}

void ln_exchange_recv(ln_exchange *x, uint8_t *bytes, size_t n)
{
    ln_conn *const c = x->conn;

    take(x, bytes, n);
    ln_conn_touch(c);
}

/* What waited behind an answered request. */
static void take_waiting(ln_exchange *x)
{
    ln_conn *const c = x->conn;
    ln_buf kept = x->waiting;

    if (!(c->flags & LN_CONN_PAUSED))
        ln_stream_resume(&c->stream);
    if (kept.size == 0)
        return;
    ln_buf_init(&x->waiting, kept.alloc);
    ln_exchange_recv(x, kept.data, kept.size);
    ln_buf_fini(&kept);
}

void ln_exchange_end(ln_exchange *x, int err)
{
    ln_conn *const c = x->conn;

    /* A peer may shut its side down and still wait for the answer. */
    if (err == 0 && x->request != NULL && x->request->is_dispatched) {
        x->ends = true;
        return;
    }
    if (err == 0 && x->out.bytes > 0) {
        ln_conn_finish(c);
        return;
    }
    ln_conn_drop(c, err);
}

/* ---- sending ---- */

void ln_exchange_push(ln_exchange *x, size_t sent)
{
    ln_conn *const c = x->conn;
    ln_home *const home = ln_conn_home(c);
    ln_span spans[LN_SOCK_SPANS_MAX];

    ln_chain_drop(&x->out, &home->loop->pool, sent);
    if (sent > 0) {
        ln_count(&home->counters.bytes_out, sent);
        /* a slow reader has to make progress */
        x->due_ms = home->loop->now_ms + home->http_idle_ms;
    }
    while (!ln_stream_is_sending(&c->stream) && c->phase == LN_CONN_HTTP) {
        if (x->file != NULL && x->out.bytes < LN_EXCHANGE_BACKLOG_BYTES &&
            ln_filesend_more(x->file, x)) {
            ln_filesend_free(x->file);
            x->file = NULL;
            ln_exchange_next(x);
            continue;
        }
        const int k = ln_chain_peek(&x->out, spans, LN_SOCK_SPANS_MAX);
        if (k == 0)
            break;
        const size_t n = ln_stream_send(&c->stream, spans, k);
        if (n == 0)
            break;
        ln_chain_drop(&x->out, &home->loop->pool, n);
        ln_count(&home->counters.bytes_out, n);
    }
    if (c->phase == LN_CONN_HTTP && x->request == NULL && (x->waiting.size > 0 || !x->is_first))
        take_waiting(x);
    if (c->phase == LN_CONN_HTTP)
        ln_conn_arm(c);
}

/* ---- time ---- */

void ln_exchange_expire(ln_exchange *x)
{
    ln_conn *const c = x->conn;
    ln_home *const home = ln_conn_home(c);

    if (x->request != NULL && x->request->is_dispatched && x->out.bytes == 0 && x->file == NULL) {
        x->due_ms = home->loop->now_ms + home->http_idle_ms; /* the application is thinking */
        ln_conn_arm(c);
        return;
    }
    if (x->is_first)
        ln_count(&home->counters.handshake_timeouts, 1);
    ln_conn_drop(c, LN_ERR_TIMEOUT);
}

void ln_exchange_drain(ln_exchange *x)
{
    x->ends = true;
    if (x->request == NULL && x->out.bytes == 0)
        ln_conn_finish(x->conn);
}
