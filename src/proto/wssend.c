/* SPDX-License-Identifier: MIT */
/*
 * wssend.c - the sending half of the WebSocket machine: messages to frames in the output chain.
 *
 * Frames enter the chain whole, so a control frame may follow any of them: also between the frames
 * of a fragmented message, where other data frames have to wait (RFC 6455 5.4).
 */
#include <string.h>

#include "mask.h"
#include "utf8.h"
#include "wsinner.h"

enum {
    PAYLOAD_BYTES_MOST = INT32_MAX, /* a chain counts in 32 bits; compressed it may become longer */
    SCRATCH_KEPT_BYTES = 65536      /* one large message is not to cost its size for ever */
};

/* Queues one frame. LN_ERR_NOMEM leaves the chain as it was. */
static LN_HOT int put_frame(ln_ws *m, ln_chain *out, uint8_t first, const void *payload, size_t n)
{
    const ln_ws_config *const c = m->config;

    uint8_t *const to = ln_chain_reserve(out, c->pool, LN_FRAME_HEAD_MAX + n);
    if (LN_UNLIKELY(to == NULL))
        return LN_ERR_NOMEM;
    size_t size;
    if (LN_LIKELY(c->role == LN_WS_SERVER)) {
        size = ln_frame_write(to, first, n);
        if (n > 0)
            memcpy(to + size, payload, n);
    } else {
        const uint32_t key = c->mask_key(c->mask_user); /* fresh for every frame, RFC 6455 5.3 */
        size = ln_frame_write_masked(to, first, n, key);
        if (n > 0)
            ln_mask_copy(to + size, payload, n, key, 0);
    }
    ln_chain_commit(out, size + n);
    return 0;
}

int ln_ws_put_control(ln_ws *m, uint8_t opcode, const uint8_t *payload, size_t n)
{
    LN_ASSERT(n <= LN_FRAME_CONTROL_MAX);
    return put_frame(m, &m->out, (uint8_t)(LN_FRAME_FIN | opcode), payload, n);
}

int ln_ws_put_pong(ln_ws *m, const uint8_t *payload, size_t n)
{
    if (m->out.bytes < WS_PONG_BACKLOG_BYTES) {
        if (m->extra != NULL)
            /* could not be sent when its time came; now it is no longer the latest */
            m->extra->has_pong = false;
        return ln_ws_put_control(m, LN_OPCODE_PONG, payload, n);
    }
    ln_ws_extra *const x = ln_ws_need_extra(m);
    if (x == NULL)
        return LN_ERR_NOMEM;
    if (n > 0)
        memcpy(x->pong, payload, n);
    x->pong_size = (uint8_t)n;
    x->has_pong = true;
    return 0;
}

void ln_ws_put_close(ln_ws *m, uint16_t code, const void *reason, size_t n)
{
    uint8_t payload[LN_FRAME_CONTROL_MAX];

    LN_ASSERT(n + 2 <= sizeof payload);
    if (code == 0) {
        (void)ln_ws_put_control(m, LN_OPCODE_CLOSE, NULL, 0);
        return;
    }
    ln_store_be16(payload, code);
    if (n > 0)
        memcpy(payload + 2, reason, n);
    (void)ln_ws_put_control(m, LN_OPCODE_CLOSE, payload, n + 2);
}

void ln_ws_keep_reason(ln_ws *m, const void *reason, size_t n)
{
    if (n == 0)
        return;
    ln_ws_extra *const x = ln_ws_need_extra(m);
    if (x == NULL)
        return;
    n = ln_min_size(n, sizeof x->reason);
    memcpy(x->reason, reason, n);
    x->reason_size = (uint8_t)n;
}

/* Is it the very text that the machine has just given out? That one has been checked. */
static bool is_echo(const ln_ws *m, ln_span data)
{
    return data.data == m->event_data && data.size == m->event_size && m->pending == WS_NOTHING &&
           (m->first_byte & LN_FRAME_OPCODE) == LN_OPCODE_TEXT && !m->config->is_streaming;
}

/* May a data message be sent now? */
static int judge_send(const ln_ws *m, enum ln_kind kind, ln_span data)
{
    if (m->state != WS_OPEN)
        return LN_ERR_CLOSED;
    if ((kind != LN_TEXT && kind != LN_BINARY) || data.size > PAYLOAD_BYTES_MOST)
        return LN_ERR_INVALID;
    if (kind == LN_TEXT && !m->config->trusts_text && !is_echo(m, data) &&
        !ln_utf8_is_valid(data.data, data.size))
        return LN_ERR_INVALID;
    return 0;
}

/* What was compressed is in the chain, or `rc` says that it is not: then nothing later may refer to
 * it. */
static int end_deflated(ln_ws *m, int rc)
{
    ln_buf *const scratch = m->config->scratch;

    if (rc < 0)
        ln_deflate_forget(m->deflate);
    scratch->size = 0;
    if (scratch->capacity > SCRATCH_KEPT_BYTES)
        ln_buf_release(scratch);
    return rc;
}

/*
 * A whole message, compressed if that makes it smaller. With context takeover the compressor has
 * moved on, so its output is sent even when it is not.
 */
static int send_deflated(ln_ws *m, uint8_t first, ln_span data)
{
    ln_buf *const scratch = m->config->scratch;
    uint8_t bits;

    LN_ASSERT(scratch->size == 0);
    int rc = ln_deflate_compress(m->deflate, data.data, data.size, true, scratch);
    if (rc == 0) {
        const bool may_choose = ln_deflate_is_shareable(m->deflate, &bits);
        if (may_choose && scratch->size >= data.size)
            rc = put_frame(m, &m->out, first, data.data, data.size);
        else
            rc = put_frame(m, &m->out, first | LN_FRAME_RSV1, scratch->data, scratch->size);
    }
    return end_deflated(m, rc);
}

/* The commonest message: short, from a server, uncompressed, and its text needs no long look. */
LN_INLINE bool is_short(const ln_ws *m, enum ln_kind kind, ln_span data)
{
    const ln_ws_config *const c = m->config;

    return data.size <= LN_FRAME_CONTROL_MAX && m->deflate == NULL && c->role == LN_WS_SERVER &&
           m->state == WS_OPEN && m->sending == 0 &&
           (kind == LN_BINARY ||
            (kind == LN_TEXT && (is_echo(m, data) || ln_utf8_is_ascii(data.data, data.size))));
}

LN_INLINE int send_short(ln_ws *m, enum ln_kind kind, ln_span data)
{
    uint8_t *const to = ln_chain_reserve(&m->out, m->config->pool, 2 + data.size);
    if (LN_UNLIKELY(to == NULL))
        return LN_ERR_NOMEM;
    to[0] = (uint8_t)(LN_FRAME_FIN | kind);
    to[1] = (uint8_t)data.size;
    if (data.size > 0)
        memcpy(to + 2, data.data, data.size);
    ln_chain_commit(&m->out, 2 + data.size);
    return 0;
}

LN_HOT int ln_ws_send(ln_ws *m, enum ln_kind kind, ln_span data)
{
    if (LN_LIKELY(is_short(m, kind, data)))
        return send_short(m, kind, data);
    const int rc = judge_send(m, kind, data);
    if (LN_UNLIKELY(rc < 0))
        return rc;
    if (LN_UNLIKELY(m->sending != 0))
        return LN_ERR_BUSY;
    const uint8_t first = (uint8_t)(LN_FRAME_FIN | kind);
    if (m->deflate != NULL && data.size >= m->config->deflate_min_bytes && data.size > 0)
        return send_deflated(m, first, data);
    return put_frame(m, &m->out, first, data.data, data.size);
}

int ln_ws_send_begin(ln_ws *m, enum ln_kind kind, ln_span data, uint8_t head[LN_FRAME_HEAD_MAX])
{
    const bool is_deflated = m->deflate != NULL && data.size >= m->config->deflate_min_bytes;

    const int rc = judge_send(m, kind, data);
    if (rc < 0)
        return rc;
    if (m->sending != 0)
        return LN_ERR_BUSY;
    if (is_deflated || m->config->role == LN_WS_CLIENT)
        return LN_ERR_UNSUPPORTED;
    return (int)ln_frame_write(head, (uint8_t)(LN_FRAME_FIN | kind), data.size);
}

int ln_ws_send_end(ln_ws *m, ln_span head, ln_span data, size_t n)
{
    const size_t from_head = ln_min_size(n, head.size), from_data = n - from_head;
    ln_chain copy = {.head = NULL};
    int rc = ln_chain_append(&copy, m->config->pool, (const uint8_t *)head.data + from_head,
                             head.size - from_head);
    /* In chunks that the pool keeps: one of the whole size would be made for this message. */
    for (size_t at = from_data, size; rc == 0 && at < data.size; at += size) {
        size = ln_min_size(data.size - at, LN_CHAIN_LARGE_BYTES);
        rc = ln_chain_append(&copy, m->config->pool, (const uint8_t *)data.data + at, size);
    }
    if (rc == 0) {
        ln_chain_mark_whole(&copy, n == 0);
        ln_chain_splice(&m->out, &copy);
        return 0;
    }
    ln_chain_fini(&copy, m->config->pool);
    if (n > 0)
        ln_ws_give_up(m, WS_FAULT_MEMORY);
    return rc;
}

/* One frame of a fragmented message, compressed as a part of it. */
static int put_piece(ln_ws *m, uint8_t first, ln_span data, bool is_last)
{
    ln_buf *const scratch = m->config->scratch;

    if (m->deflate == NULL)
        return put_frame(m, &m->out, first, data.data, data.size);
    if (first & LN_FRAME_OPCODE)
        first |= LN_FRAME_RSV1;
    int rc = ln_deflate_compress(m->deflate, data.data, data.size, is_last, scratch);
    if (rc == 0)
        rc = put_frame(m, &m->out, first, scratch->data, scratch->size);
    return end_deflated(m, rc);
}

int ln_ws_send_piece(ln_ws *m, enum ln_kind kind, ln_span data, bool is_last)
{
    const bool is_first = m->sending == 0;
    uint8_t utf8 = m->sending_utf8;

    if (m->state != WS_OPEN)
        return LN_ERR_CLOSED;
    if ((is_first && kind != LN_TEXT && kind != LN_BINARY) || data.size > PAYLOAD_BYTES_MOST)
        return LN_ERR_INVALID;
    if ((is_first ? (uint8_t)kind : m->sending) == LN_TEXT && !m->config->trusts_text) {
        utf8 = ln_utf8_feed(utf8, data.data, data.size);
        if (utf8 == LN_UTF8_REJECT || (is_last && utf8 != LN_UTF8_ACCEPT))
            return LN_ERR_INVALID;
    }
    const uint8_t opcode = is_first ? (uint8_t)kind : LN_OPCODE_CONTINUATION;
    const int rc = put_piece(m, (uint8_t)(opcode | (is_last ? LN_FRAME_FIN : 0)), data, is_last);
    if (rc < 0)
        return rc;
    m->sending_utf8 = utf8 & 15u;
    if (!is_last) {
        if (is_first)
            m->sending = kind & 3;
        return 0;
    }
    m->sending = 0;
    if (m->extra != NULL && m->extra->held.bytes > 0)
        ln_chain_splice(&m->out, &m->extra->held);
    return 0;
}

LN_HOT int ln_ws_send_block(ln_ws *m, ln_block *frame)
{
    LN_ASSERT(m->config->role == LN_WS_SERVER);
    if (LN_UNLIKELY(m->state != WS_OPEN))
        return LN_ERR_CLOSED;
    if (LN_LIKELY(m->sending == 0))
        return ln_chain_append_block(&m->out, m->config->pool, frame);
    ln_ws_extra *const x = ln_ws_need_extra(m);
    return x == NULL ? LN_ERR_NOMEM : ln_chain_append_block(&x->held, m->config->pool, frame);
}

ln_block *ln_ws_encode(const ln_allocator *alloc, enum ln_kind kind, ln_span payload,
                       bool is_deflated)
{
    uint8_t head[LN_FRAME_HEAD_MAX];
    const uint8_t first = (uint8_t)(LN_FRAME_FIN | kind | (is_deflated ? LN_FRAME_RSV1 : 0));
    const size_t size = ln_frame_write(head, first, payload.size);

    ln_block *const block = ln_block_new(alloc, size + payload.size);
    if (block == NULL)
        return NULL;
    memcpy(block->bytes, head, size);
    if (payload.size > 0)
        memcpy(block->bytes + size, payload.data, payload.size);
    return block;
}

int ln_ws_send_ping(ln_ws *m, ln_span data)
{
    if (m->state != WS_OPEN)
        return LN_ERR_CLOSED;
    if (data.size > LN_FRAME_CONTROL_MAX)
        return LN_ERR_INVALID;
    return ln_ws_put_control(m, LN_OPCODE_PING, data.data, data.size);
}

int ln_ws_send_close(ln_ws *m, uint16_t code, ln_span reason, uint64_t now_ms)
{
    if (m->state != WS_OPEN)
        return LN_ERR_CLOSED;
    if (code == 0 ? reason.size > 0 : !ln_ws_is_code(code))
        return LN_ERR_INVALID;
    if (reason.size > LN_FRAME_CONTROL_MAX - 2 || !ln_utf8_is_valid(reason.data, reason.size))
        return LN_ERR_INVALID;

    ln_ws_put_close(m, code, reason.data, reason.size);
    ln_ws_keep_reason(m, reason.data, reason.size);
    m->state = WS_CLOSING;
    m->close_code = code == 0 ? 1005 : code;
    m->mark_ms = now_ms;
    ln_ws_abandon_send(m);
    return 0;
}

int ln_ws_pull(const ln_ws *m, ln_span *spans, int k)
{
    return ln_chain_peek(&m->out, spans, k);
}

void ln_ws_sent(ln_ws *m, size_t n)
{
    ln_ws_extra *const x = m->extra;
    const bool is_discarded = LN_UNLIKELY(m->state == WS_CLOSED) && x != NULL && x->held.bytes > 0;

    ln_chain_drop(is_discarded ? &x->held : &m->out, m->config->pool, n);
    m->flags |= WS_OUTPUT_MOVED;
    if (LN_LIKELY(x == NULL) || !x->has_pong || m->out.bytes >= WS_PONG_BACKLOG_BYTES)
        return;
    if (m->state != WS_CLOSED && ln_ws_put_control(m, LN_OPCODE_PONG, x->pong, x->pong_size) < 0)
        return; /* stays in its slot for the next time */
    x->has_pong = false;
}

size_t ln_ws_queued(const ln_ws *m)
{
    const size_t held =
        LN_LIKELY(m->extra == NULL) || m->state == WS_CLOSED ? 0 : m->extra->held.bytes;
    return m->out.bytes + held;
}
