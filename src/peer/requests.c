/* SPDX-License-Identifier: MIT */
#include "requests.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "proto/upgrade.h"
#include "route.h"

enum { ANSWER_HEAD_MAX_BYTES = 16384 };

/* ---- life ---- */

static int parse(ln_exchange *x, ln_request *r, ln_span whole)
{
    memcpy(r->bytes, whole.data, whole.size);
    x->parser.whole = (ln_span){r->bytes, whole.size};
    if (!ln_head_next(&x->parser, &r->head))
        return LN_ERR_PROTOCOL;
    r->is_head = ln_text_equal(r->head.method, LN_SPAN("HEAD"));
    r->path = (char *)r->bytes + whole.size;
    ln_span authority;
    return ln_url_split_target(r->head.target, r->path, r->head.target.size + 2, &r->path_size,
                               &r->query, &authority);
}

int ln_request_new(ln_exchange *x, ln_request **request)
{
    const ln_allocator *const alloc = ln_conn_home(x->conn)->alloc;
    const ln_span whole = x->parser.whole;

    /* A decoded path is no longer than the target, which is no longer than the head. */
    ln_request *const r = ln_alloc_zero(alloc, sizeof *r + 2 * whole.size + 2);
    if (r == NULL)
        return LN_ERR_NOMEM;
    r->exchange = x;
    ln_buf_init(&r->body_bytes, alloc);
    ln_buf_init(&r->extra, alloc);
    const int rc = parse(x, r, whole);
    if (rc < 0) {
        ln_free(alloc, r);
        return rc;
    }
    *request = r;
    return 0;
}

void ln_request_free(ln_request *r)
{
    if (r == NULL)
        return;
    if (r->is_deferred && !r->is_answered && r->on_gone != NULL)
        r->on_gone(r, r->gone_user);
    if (r->user_alloc != NULL)
        ln_free(r->user_alloc, r->user);
    ln_buf_fini(&r->body_bytes);
    ln_buf_fini(&r->extra);
    ln_free(ln_conn_home(r->exchange->conn)->alloc, r);
}

/* ---- the head of an answer ---- */

static int write_date(ln_buf *out)
{
    char text[LN_HEAD_DATE_SIZE];
    const ln_span date = ln_head_date(time(NULL), text);

    if (date.size == 0)
        return 0; /* a clock out of range: no date is better than a wrong one (RFC 9110 6.6.1) */
    return ln_head_write_field(out, LN_SPAN("Date"), date, ANSWER_HEAD_MAX_BYTES);
}

static int write_length(ln_buf *out, uint64_t length)
{
    char text[24];
    const int n = snprintf(text, sizeof text, "%llu", (unsigned long long)length);
    return ln_head_write_field(out, LN_SPAN("Content-Length"), (ln_span){text, (size_t)n},
                               ANSWER_HEAD_MAX_BYTES);
}

/* What goes with certain statuses (RFC 6455 4.2.2, RFC 9110 15.5.22). */
static int write_status_fields(ln_buf *out, const ln_request *r, unsigned status)
{
    int rc = 0;

    if (status == 426)
        rc = ln_head_write_field(out, LN_SPAN("Upgrade"), LN_SPAN("websocket"),
                                 ANSWER_HEAD_MAX_BYTES);
    if (rc == 0 && (status == 426 || (status == 400 && r != NULL && r->is_upgrade)))
        rc = ln_head_write_field(out, LN_SPAN("Sec-WebSocket-Version"), LN_SPAN("13"),
                                 ANSWER_HEAD_MAX_BYTES);
    if (rc == 0 && status == 405 &&
        (r == NULL || r->is_upgrade || r->route == NULL || r->route->kind != LN_ROUTE_HTTP))
        rc =
            ln_head_write_field(out, LN_SPAN("Allow"), LN_SPAN("GET, HEAD"), ANSWER_HEAD_MAX_BYTES);
    return rc;
}

int ln_request_write_head(const ln_request *r, unsigned status, const char *type, uint64_t length,
                          bool closes, ln_buf *out)
{
    int rc = ln_head_write_status(out, status, ANSWER_HEAD_MAX_BYTES);
    if (rc == 0)
        rc = write_date(out);
    if (rc == 0 && type != NULL)
        rc =
            ln_head_write_field(out, LN_SPAN("Content-Type"), ln_text(type), ANSWER_HEAD_MAX_BYTES);
    if (rc == 0 && status != 304 && status != 204)
        rc = write_length(out, length);
    if (rc == 0 && type != NULL)
        rc = ln_head_write_field(out, LN_SPAN("X-Content-Type-Options"), LN_SPAN("nosniff"),
                                 ANSWER_HEAD_MAX_BYTES);
    if (rc == 0)
        rc = write_status_fields(out, r, status);
    if (rc == 0 && closes)
        rc = ln_head_write_field(out, LN_SPAN("Connection"),
                                 status == 426 ? LN_SPAN("Upgrade, close") : LN_SPAN("close"),
                                 ANSWER_HEAD_MAX_BYTES);
    if (rc == 0 && r != NULL && r->extra.size > 0)
        rc = ln_buf_append(out, r->extra.data, r->extra.size, ANSWER_HEAD_MAX_BYTES);
    return rc == 0 ? ln_head_write_end(out, ANSWER_HEAD_MAX_BYTES) : rc;
}

/* ---- what handlers ask ---- */

ln_span ln_request_method(const ln_request *r)
{
    return r->head.method;
}

ln_span ln_request_path(const ln_request *r)
{
    return (ln_span){r->path, r->path_size};
}

ln_span ln_request_query(const ln_request *r)
{
    return r->query;
}

int ln_request_param(const ln_request *r, const char *name, char *buffer, size_t size)
{
    return ln_url_param(r->query, ln_text(name), buffer, size);
}

ln_span ln_request_header(const ln_request *r, const char *name)
{
    return ln_head_find(&r->head, name, NULL);
}

bool ln_request_header_at(const ln_request *r, size_t index, ln_span *name, ln_span *value)
{
    if (index >= r->head.field_count)
        return false;
    *name = r->head.fields[index].name;
    *value = r->head.fields[index].value;
    return true;
}

ln_span ln_request_body(const ln_request *r)
{
    return (ln_span){r->body_bytes.data, r->body_bytes.size};
}

ln_span ln_request_remote(const ln_request *request)
{
    ln_request *const r = (ln_request *)(uintptr_t)request; /* found out when first asked for */
    ln_address peer;

    if (r->remote_size == 0 && ln_address_of_peer(r->exchange->conn->stream.sock.fd, &peer) == 0)
        r->remote_size = ln_address_write(&peer, r->remote);
    return (ln_span){r->remote, r->remote_size};
}

bool ln_request_is_tls(const ln_request *r)
{
    return r->exchange->conn->stream.tls != NULL;
}

ln_server *ln_request_server(const ln_request *r)
{
    return ln_conn_home(r->exchange->conn)->server;
}

/* ---- what handlers do ---- */

/* Fields that the answer has already, or that only we may set. */
static bool is_ours(ln_span name)
{
    static const char *const ours[] = {
        "Content-Length",       "Transfer-Encoding",        "Connection", "Upgrade",
        "Sec-WebSocket-Accept", "Sec-WebSocket-Extensions", "Date",       "Sec-WebSocket-Protocol"};
    for (size_t i = 0; i < LN_ARRAY_SIZE(ours); i++) {
        if (ln_text_equal_nocase(name, ln_text(ours[i])))
            return true;
    }
    return false;
}

int ln_request_add_header(ln_request *r, const char *name, ln_span value)
{
    if (r->is_answered)
        return LN_ERR_STATE;
    if (is_ours(ln_text(name)))
        return LN_ERR_INVALID;
    return ln_head_write_field(&r->extra, ln_text(name), value, ANSWER_HEAD_MAX_BYTES / 2);
}

/* A connection that was given up keeps its request until it is freed, which is a turn later or
 * more. */
static bool is_answerable(const ln_request *r)
{
    return r->exchange->conn->phase == LN_CONN_HTTP;
}

int ln_request_reply(ln_request *r, unsigned status, const char *type, ln_span body)
{
    ln_exchange *const x = r->exchange;

    if (r->is_answered)
        return LN_ERR_STATE;
    if (status < 200 || status > 599)
        return LN_ERR_INVALID;
    if (!is_answerable(r))
        return LN_ERR_CLOSED;
    if (r->is_upgrade) {
        r->is_refused = true;
        x->ends = true; /* never read as HTTP what may be WebSocket already: request smuggling */
        ln_count(&ln_conn_home(x->conn)->counters.refused, 1);
    }
    const int rc = ln_exchange_answer(x, status, type, body);
    if (rc < 0)
        return rc;
    r->is_answered = true;
    if (r->is_at_handler)
        r->is_deferred = false;
    if (r->is_deferred)
        ln_exchange_next(x); /* otherwise dispatch goes on when the handler returns */
    return 0;
}

int ln_request_defer(ln_request *r, void (*on_gone)(ln_request *request, void *user), void *user)
{
    if (r->is_answered || r->is_deferred)
        return LN_ERR_STATE;
    r->is_deferred = true;
    r->on_gone = on_gone;
    r->gone_user = user;
    return 0;
}

int ln_request_accept(ln_request *r)
{
    if (!r->is_upgrade || !r->is_deferred || r->is_answered || r->is_refused)
        return LN_ERR_STATE;
    if (!is_answerable(r))
        return LN_ERR_CLOSED;
    if (r->is_at_handler) { /* as if it had not been deferred: its return accepts it */
        r->is_deferred = false;
        return 0;
    }
    r->on_gone = NULL; /* whatever becomes of it: for the application it ends here */
    ln_exchange_complete_upgrade(r->exchange);
    return 0;
}

void ln_request_set_user(ln_request *r, void *user)
{
    r->user = user;
}

void ln_request_set_owned_user(ln_request *r, void *user, const ln_allocator *alloc)
{
    r->user = user;
    r->user_alloc = alloc;
}
