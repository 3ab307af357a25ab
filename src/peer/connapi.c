/* SPDX-License-Identifier: MIT */
/*
 * connapi.c - what an application may do with a connection (linnet/conn.h). Changes the machine,
 * corks the stream, and leaves the rest to the end of the turn.
 */
#include "connqueue.h"
#include "meta.h"

enum {
    /* From here on a system call costs less than a copy. */
    THROUGH_BYTES = 8192
};

static const ln_span nameless = {NULL, 0};

/* ---- identity ---- */

ln_conn_id ln_conn_get_id(const ln_conn *c)
{
    return c->id;
}

ln_server *ln_conn_server(const ln_conn *c)
{
    return ln_conn_home(c)->server;
}

ln_loop *ln_conn_loop(const ln_conn *c)
{
    return c->stream.sock.loop;
}

ln_span ln_conn_subprotocol(const ln_conn *c)
{
    return c->more == NULL || c->more->subprotocol.data == NULL ? (ln_span){"", 0}
                                                                : c->more->subprotocol;
}

ln_span ln_conn_remote(const ln_conn *c)
{
    /* Asked for rarely, and a connection has no room to keep it: written where the loop has
     * space. */
    char *const text = (char *)c->stream.sock.loop->scratch;
    ln_address peer;

    if (ln_address_of_peer(c->stream.sock.fd, &peer) < 0)
        return (ln_span){"", 0};
    return (ln_span){text, ln_address_write(&peer, text)};
}

void *ln_conn_user(const ln_conn *c)
{
    return c->ws.config == NULL ? NULL : c->of.user;
}

void ln_conn_set_user(ln_conn *c, void *user)
{
    if (c->ws.config != NULL)
        c->of.user = user;
}

int ln_conn_set(ln_conn *c, const char *key, ln_value value)
{
    ln_conn_more *const more = ln_conn_need_more(c);
    return more == NULL ? LN_ERR_NOMEM
                        : ln_meta_set(&more->meta, key, value, ln_conn_home(c)->alloc);
}

ln_value ln_conn_get(const ln_conn *c, const char *key)
{
    return c->more == NULL ? (ln_value){.type = LN_VALUE_NONE} : ln_meta_get(c->more->meta, key);
}

/* ---- sending ---- */

/*
 * The common case, in which no limit, policy or order has to be looked at: nothing but a little
 * output waits. `size` is that of a message.
 */
LN_INLINE bool is_easy(const ln_conn *c, size_t size)
{
    const uintptr_t unusual =
        (uintptr_t)c->more | (uintptr_t)c->stream.tls | (uintptr_t)c->ws.extra;
    return c->phase == LN_CONN_OPEN && unusual == 0 && !(c->flags & LN_CONN_ABOVE_HIGH) &&
           c->ws.out.bytes + size < ln_conn_site(c)->easy_bytes;
}

/* A message is in the queue: 0, or 1 above high water. */
LN_INLINE int queued(ln_conn *c)
{
    const ln_site *const site = ln_conn_site(c);

    ln_count(&site->home->counters.messages_out, 1);
    ln_conn_touch(c);
    const bool is_much = ln_ws_queued(&c->ws) >= LN_SITE_PUSH_BYTES;
    if (LN_LIKELY(!is_much && !(c->flags & LN_CONN_ABOVE_HIGH) && c->more == NULL))
        return 0;
    if (!is_much && !ln_connqueue_is_high(c))
        return 0;
    if (!ln_stream_is_sending(&c->stream))
        ln_conn_push(c);
    if (!ln_connqueue_is_high(c))
        return 0;
    c->flags |= LN_CONN_ABOVE_HIGH;
    return 1;
}

/* Easily queued. */
LN_INLINE int counted(ln_conn *c, int rc)
{
    if (LN_UNLIKELY(rc < 0))
        return rc;
    ln_count(&ln_conn_site(c)->home->counters.messages_out, 1);
    ln_conn_touch(c);
    return 0;
}

/* Behind the output that waits, without being copied as far as the system takes it. */
static int send_through(ln_conn *c, enum ln_kind kind, ln_span data)
{
    uint8_t head[LN_FRAME_HEAD_MAX];
    ln_span spans[LN_SOCK_SPANS_MAX];

    const int size = ln_ws_send_begin(&c->ws, kind, data, head);
    if (size < 0)
        return size == LN_ERR_UNSUPPORTED ? ln_ws_send(&c->ws, kind, data) : size;
    int k = ln_ws_pull(&c->ws, spans, LN_SOCK_SPANS_MAX - 2);
    const size_t before = c->ws.out.bytes;
    size_t waiting = 0;
    for (int i = 0; i < k; i++)
        waiting += spans[i].size;
    if (waiting < before) /* too many pieces for one call */
        return ln_ws_send(&c->ws, kind, data);
    spans[k++] = (ln_span){head, (size_t)size};
    spans[k++] = data;
    const size_t n = ln_stream_write(&c->stream, spans, k);
    const size_t old = ln_min_size(n, before);
    if (old > 0)
        ln_conn_sent(c, old);
    ln_count(&ln_conn_site(c)->home->counters.bytes_out, n);
    return ln_ws_send_end(&c->ws, (ln_span){head, (size_t)size}, data, n - old);
}

/* Much, and the system may take it as it is. */
static bool goes_through(const ln_conn *c, ln_span data)
{
    return data.size >= THROUGH_BYTES && !ln_stream_is_sending(&c->stream) && c->more == NULL;
}

/* Looks at everything. */
static int send_message(ln_conn *c, enum ln_kind kind, ln_span data, ln_span name)
{
    const uint64_t key = ln_connqueue_key(c, name);

    if (LN_UNLIKELY(c->ws.sending != 0))
        return LN_ERR_BUSY;
    int rc = ln_connqueue_make_room(c, data.size, key);
    if (LN_UNLIKELY(rc < 0))
        return rc;
    if (LN_UNLIKELY(ln_connqueue_has_to_wait(c))) {
        rc = ln_connqueue_put_message(c, kind, data, key);
        return rc < 0 ? rc : queued(c);
    }
    if (LN_UNLIKELY(ln_connqueue_expect(c) < 0))
        return LN_ERR_NOMEM;
    rc = goes_through(c, data) ? send_through(c, kind, data) : ln_ws_send(&c->ws, kind, data);
    if (LN_UNLIKELY(rc < 0))
        return rc;
    ln_connqueue_begun(c);
    return queued(c);
}

LN_HOT int ln_conn_send(ln_conn *c, enum ln_kind kind, ln_span data)
{
    if (LN_LIKELY(is_easy(c, data.size) && data.size < THROUGH_BYTES))
        return counted(c, ln_ws_send(&c->ws, kind, data));
    return send_message(c, kind, data, nameless);
}

int ln_conn_send_latest(ln_conn *c, ln_span key, enum ln_kind kind, ln_span data)
{
    if (c->phase != LN_CONN_OPEN)
        return LN_ERR_CLOSED;
    return send_message(c, kind, data, key);
}

int ln_conn_send_piece(ln_conn *c, enum ln_kind kind, ln_span data, bool is_last)
{
    const bool is_first = c->ws.sending == 0;

    int rc = is_first ? ln_connqueue_make_room(c, data.size, 0)
                      : ln_connqueue_make_room_for_piece(c, data.size);
    if (rc < 0)
        return rc;
    if (is_first && c->more != NULL)
        ln_conn_refill(c, SIZE_MAX); /* what waits came first */
    if (ln_connqueue_expect(c) < 0)
        return LN_ERR_NOMEM;
    rc = ln_ws_send_piece(&c->ws, kind, data, is_last);
    if (rc < 0)
        return rc;
    if (is_first)
        ln_connqueue_begun(c);
    else
        ln_connqueue_gone_on(c);
    return queued(c);
}

/* As send_message(). */
static int send_frame(ln_conn *c, ln_block *frame, ln_span name)
{
    const uint64_t key = ln_connqueue_key(c, name);

    int rc = ln_connqueue_make_room(c, frame->size, key);
    if (LN_UNLIKELY(rc < 0))
        return rc;
    if (LN_UNLIKELY(ln_connqueue_has_to_wait(c))) {
        rc = ln_connqueue_put_frame(c, frame, key);
        return rc < 0 ? rc : queued(c);
    }
    if (LN_UNLIKELY(ln_connqueue_expect(c) < 0))
        return LN_ERR_NOMEM;
    rc = ln_ws_send_block(&c->ws, frame);
    if (LN_UNLIKELY(rc < 0))
        return rc;
    ln_connqueue_begun(c);
    return queued(c);
}

LN_HOT int ln_conn_send_block(ln_conn *c, ln_block *frame)
{
    if (LN_LIKELY(is_easy(c, frame->size)))
        return counted(c, ln_ws_send_block(&c->ws, frame));
    return send_frame(c, frame, nameless);
}

LN_HOT int ln_conn_send_block_latest(ln_conn *c, ln_block *frame, ln_span name)
{
    if (LN_LIKELY(is_easy(c, frame->size)))
        return counted(c, ln_ws_send_block(&c->ws, frame));
    return send_frame(c, frame, name);
}

int ln_conn_ping(ln_conn *c, ln_span data)
{
    if (c->phase != LN_CONN_OPEN)
        return LN_ERR_CLOSED;
    if (!ln_connqueue_takes_ping(c))
        return LN_ERR_WOULD_EXCEED;
    const int rc = ln_ws_send_ping(&c->ws, data);
    if (rc == 0)
        ln_conn_touch(c);
    return rc;
}

/* ---- ending ---- */

int ln_conn_close(ln_conn *c, uint16_t code, ln_span reason)
{
    if (c->phase != LN_CONN_OPEN)
        return LN_ERR_CLOSED;
    /* What still waits goes before the close frame. */
    if (c->more != NULL)
        ln_conn_refill(c, SIZE_MAX);
    const int rc = ln_ws_send_close(&c->ws, code, reason, c->stream.sock.loop->now_ms);
    if (rc < 0)
        return rc;
    if (c->more != NULL)
        ln_sendq_clear(c->more->waiting); /* behind a fragmented message that does not end */
    ln_connqueue_moved(c); /* nothing has room any more, and that is another answer */
    ln_conn_resume(c);     /* the peer's close frame has to be seen */
    ln_conn_touch(c);
    return 0;
}

void ln_conn_abort(ln_conn *c)
{
    ln_conn_drop(c, 0);
}

/* ---- reading ---- */

void ln_conn_pause(ln_conn *c)
{
    if (c->phase != LN_CONN_OPEN || (c->flags & LN_CONN_PAUSED))
        return;
    c->flags |= LN_CONN_PAUSED;
    ln_stream_pause(&c->stream);
}

void ln_conn_resume(ln_conn *c)
{
    if (c->phase != LN_CONN_OPEN || !(c->flags & LN_CONN_PAUSED))
        return;
    c->flags &= (uint8_t)~LN_CONN_PAUSED;
    ln_ws_touch(&c->ws, c->stream.sock.loop->now_ms);
    if (!ln_conn_has_stash(c))
        ln_stream_resume(&c->stream);
    ln_conn_touch(c); /* what was kept back is handled at the end of the turn */
}
