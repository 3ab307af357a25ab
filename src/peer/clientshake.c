/* SPDX-License-Identifier: MIT */
/*
 * clientshake.c - the client's side of the opening handshake: the request out, the response judged,
 * over to wsconn. Of a response that refuses, a short body is read, since it may say why.
 */
#include <stdio.h>
#include <string.h>

#include "base/name.h"
#include "clientinner.h"
#include "net/fd.h"

static int write_request(ln_client *k, ln_buf *out)
{
    uint8_t random[16];

    ln_loop_random(k->home.loop, random, sizeof random);
    return ln_opening_write(&k->opening, &k->site, random, out);
}

int ln_client_check_request(ln_client *k)
{
    ln_buf out;

    ln_buf_init(&out, k->home.alloc);
    const int rc = write_request(k, &out);
    ln_buf_fini(&out);
    return rc;
}

/* ---- the connection while it shakes hands ---- */

static ln_client *client_of(const ln_conn *c)
{
    return LN_CONTAINER_OF(c->as.home, ln_client, home);
}

/* A connection that its client has given up may still hear from its stream. */
static bool is_current(const ln_conn *c)
{
    return client_of(c)->conn == c;
}

static void on_stream_open(ln_stream *s)
{
    ln_conn *const c = ln_conn_of_stream(s);
    ln_client *const k = client_of(c);
    ln_buf out;

    if (!is_current(c))
        return;
    ln_buf_init(&out, k->home.alloc);
    int rc = write_request(k, &out);
    if (rc == 0)
        rc = ln_chain_append(&c->ws.out, &k->home.loop->pool, out.data, out.size);
    ln_buf_fini(&out);
    if (rc < 0)
        ln_client_fail(k, rc, 0, ln_strerror(rc));
    else
        ln_conn_touch(c);
}

/* ---- refusals ---- */

/* What the server has said, if it is all of it and fit to be shown on a line; else empty. */
static ln_span words_of(const ln_client_refusal *r)
{
    static const char blanks[] = " \t\r\n";
    size_t from = 0, to = r->size;

    if (!ln_body_is_done(&r->body))
        return (ln_span){"", 0};
    while (from < to && memchr(blanks, r->words[from], sizeof blanks - 1) != NULL)
        from++;
    while (to > from && memchr(blanks, r->words[to - 1], sizeof blanks - 1) != NULL)
        to--;
    const ln_span words = {r->words + from, to - from};
    return ln_name_is_valid(words, LN_CLIENT_WORDS_MAX_BYTES) ? words : (ln_span){"", 0};
}

void ln_client_refuse(ln_client *k)
{
    static const char opening[] = "the server answered: ";
    const ln_client_refusal *const r = k->refusal;
    char what[sizeof opening + LN_CLIENT_WORDS_MAX_BYTES];

    const ln_span words = words_of(r);
    if (words.size > 0)
        snprintf(what, sizeof what, "%s%.*s", opening, (int)words.size, (const char *)words.data);
    else
        snprintf(what, sizeof what, "%s", r->reason);
    ln_client_fail(k, LN_ERR_REFUSED, r->status, what);
}

static void hear(ln_client *k, const uint8_t *bytes, size_t n)
{
    ln_client_refusal *const r = k->refusal;
    ln_span piece;

    while (n > 0 && !ln_body_is_done(&r->body) && ln_body_fault(&r->body, NULL) == 0) {
        const size_t used = ln_body_feed(&r->body, bytes, n);
        bytes += used;
        n -= used;
        while (ln_body_next(&r->body, &piece)) {
            LN_ASSERT(piece.size <= sizeof r->words - r->size);
            memcpy(r->words + r->size, piece.data, piece.size);
            r->size += piece.size;
        }
    }
    if (ln_body_is_done(&r->body) || ln_body_fault(&r->body, NULL) != 0)
        ln_client_refuse(k);
}

/* A body that ends with the connection is not waited for. */
static bool may_have_words(const ln_head *head)
{
    return ln_head_find(head, "Content-Length", NULL).data != NULL ||
           ln_head_find(head, "Transfer-Encoding", NULL).data != NULL;
}

static void take_refusal(ln_client *k, const ln_head *head, const ln_upgrade_result *result,
                         const uint8_t *rest, size_t rest_size)
{
    const unsigned status = result->status;

    if (may_have_words(head))
        k->refusal = ln_alloc_zero(k->home.alloc, sizeof *k->refusal);
    if (k->refusal == NULL) {
        ln_client_fail(k, LN_ERR_REFUSED, status, result->reason);
        return;
    }
    k->refusal->status = status;
    k->refusal->reason = result->reason;
    ln_body_init(&k->refusal->body, LN_HEAD_RESPONSE, head,
                 status < 200 || status == 204 || status == 304, LN_CLIENT_WORDS_MAX_BYTES);
    hear(k, rest, rest_size);
}

/* ---- the response ---- */

/* Its head is complete: a WebSocket, or a failure. */
static void judge(ln_client *k, const ln_head *head, uint8_t *rest, size_t rest_size)
{
    ln_conn *const c = k->conn;
    ln_upgrade_result result;
    ln_deflate *deflate;

    const int rc = ln_opening_judge(&k->opening, &k->site, head, &result, &deflate);
    if (rc == LN_ERR_REFUSED) {
        take_refusal(k, head, &result, rest, rest_size);
        return;
    }
    if (rc < 0) {
        ln_client_fail(k, rc, result.status, result.reason);
        return;
    }
    if (result.subprotocol.size > 0)
        c->more->subprotocol = result.subprotocol;
    ln_client_opened(k);
    c->stream.ops = &ln_conn_ops;
    ln_conn_upgrade(c, &k->site, deflate, NULL, NULL);
    ln_conn_feed(c, rest, rest_size);
}

static void on_stream_recv(ln_stream *s, uint8_t *bytes, size_t n)
{
    ln_conn *const c = ln_conn_of_stream(s);
    ln_client *const k = client_of(c);
    ln_head head;
    const char *text;

    if (!is_current(c))
        return;
    if (k->refusal != NULL) {
        hear(k, bytes, n);
        return;
    }
    const size_t used = ln_head_feed(&k->parser, bytes, n);
    if (ln_head_next(&k->parser, &head))
        judge(k, &head, bytes + used, n - used);
    else if (ln_head_fault(&k->parser, &text) != 0)
        ln_client_fail(k, LN_ERR_HANDSHAKE, 0, text);
}

static void on_stream_sent(ln_stream *s, size_t n)
{
    ln_conn *const c = ln_conn_of_stream(s);

    ln_conn_sent(c, n);
    if (is_current(c))
        ln_conn_push(c);
}

static void on_stream_end(ln_stream *s, int err)
{
    ln_conn *const c = ln_conn_of_stream(s);

    c->flags |= LN_CONN_PEER_ENDED;
    if (!is_current(c))
        return;
    if (client_of(c)->refusal != NULL) {
        ln_client_refuse(client_of(c));
        return;
    }
    const char *const what =
        err == LN_ERR_TLS ? ln_stream_tls_error(s) : "the peer ended the connection";
    ln_client_fail(client_of(c), err == 0 ? LN_ERR_HANDSHAKE : err, 0, what);
}

static void on_stream_flush(ln_stream *s)
{
    ln_conn *const c = ln_conn_of_stream(s);

    if (is_current(c))
        ln_conn_push(c);
    else
        ln_conn_settle(c);
}

static void on_stream_closed(ln_stream *s)
{
    ln_conn_free(ln_conn_of_stream(s));
}

static const ln_stream_ops shaking_ops = {
    .on_open = on_stream_open,
    .on_recv = on_stream_recv,
    .on_sent = on_stream_sent,
    .on_end = on_stream_end,
    .on_flush = on_stream_flush,
    .on_closed = on_stream_closed,
};

int ln_client_shake(ln_client *k, int fd)
{
    const ln_head_limits limits = {LN_OPENING_RESPONSE_MAX_BYTES, LN_HEAD_FIELDS_MAX};

    ln_conn *const c = ln_conn_new(&k->home);
    ln_conn_more *const more = c == NULL ? NULL : ln_conn_need_more(c);
    if (more == NULL) {
        if (c != NULL)
            ln_conn_free(c);
        ln_fd_close(fd);
        return LN_ERR_NOMEM;
    }
    more->on_free = ln_client_forget;
    more->owner = k;
    ln_head_fini(&k->parser);
    ln_head_init(&k->parser, LN_HEAD_RESPONSE, &limits, k->home.alloc);
    k->conn = c;
    k->state = LN_CLIENT_SHAKING;
    const int rc =
        ln_stream_open_client(&c->stream, k->home.loop, fd, k->tls, k->server_name, &shaking_ops);
    if (rc < 0) {
        k->conn = NULL;
        ln_conn_free(c);
    }
    return rc;
}
