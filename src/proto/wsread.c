/* SPDX-License-Identifier: MIT */
/*
 * wsread.c - the receiving half of the WebSocket machine: headers, control frames, data, up to
 * whole messages.
 *
 * Where in a frame (phase), and what leads on
 *   WS_HEAD      take_head: header complete -> WS_DATA or WS_CONTROL, or WS_HEAD again after a
 *                small whole message
 *   WS_DATA      take_data: the frame's payload is complete -> WS_HEAD
 *   WS_CONTROL   take_control: the same
 */
#include <string.h>

#include "mask.h"
#include "utf8.h"
#include "wsinner.h"

enum {
    /* Less is copied from where it happens to be received. */
    LEND_MIN_BYTES = 32768,
    /* What the processor still has in its second cache when it is unmasked. */
    LEND_MAX_BYTES = 262144
};

/* How many of `n` bytes belong to the current frame. */
static size_t most_of(const ln_ws *m, size_t n)
{
    return n < m->left ? n : (size_t)m->left;
}

/* Bytes that a message may have; a whole one no more than an event can show. */
static size_t message_limit(const ln_ws *m)
{
    const uint64_t max = m->config->message_max_bytes,
                   most = m->config->is_streaming ? SIZE_MAX : UINT32_MAX;
    return (size_t)(max == 0 || max > most ? most : max);
}

/* What the pending event will show. A message is below 4 GiB: 8 bytes less for each idle
 * connection. */
static void set_event_data(ln_ws *m, ln_span data)
{
    LN_ASSERT(data.size <= UINT32_MAX);
    m->event_data = data.data;
    m->event_size = (uint32_t)data.size;
}

/* ---- control frames ---- */

/*
 * A token bucket as bucket.h's, in half the room: of the time only the low half is kept. A peer
 * that is silent for 49 days may find its bucket less full than it should be, for the next second.
 */
static bool may_control(ln_ws *m, uint64_t now_ms)
{
    const ln_bucket_rate *const rate = &m->config->control_rate;
    const uint64_t full = (uint64_t)rate->burst * 1000;

    if (rate->per_second == 0)
        return true;
    uint64_t level =
        m->control_millis + (uint64_t)((uint32_t)now_ms - m->control_ms) * rate->per_second;
    level = level < full ? level : full;
    m->control_ms = (uint32_t)now_ms;
    m->control_millis = (uint32_t)(level >= 1000 ? level - 1000 : level);
    return level >= 1000;
}

/* The peer's close frame: the last thing that counts from it (RFC 6455 5.5.1, 7.1.5). */
static void got_close(ln_ws *m, const uint8_t *payload, size_t n)
{
    if (n == 1) {
        ln_ws_give_up(m, WS_FAULT_CLOSE_LENGTH);
        return;
    }
    const uint16_t code = n == 0 ? 1005 : ln_load_be16(payload);
    if (n > 0 && !ln_ws_is_code(code)) {
        ln_ws_give_up(m, WS_FAULT_CLOSE_CODE);
        return;
    }
    if (n > 2 && !ln_utf8_is_valid(payload + 2, n - 2)) {
        ln_ws_give_up(m, WS_FAULT_CLOSE_REASON);
        return;
    }
    ln_ws_abandon_message(m);
    if (m->state == WS_CLOSING) {
        ln_ws_enter_closed(m, m->close_code, WS_CLOSED_CLEANLY);
        return;
    }
    ln_ws_put_close(m, n == 0 ? 0 : code, NULL, 0);
    ln_ws_keep_reason(m, n > 2 ? payload + 2 : NULL, n > 2 ? n - 2 : 0);
    ln_ws_enter_closed(m, code, WS_CLOSED_BY_PEER | WS_CLOSED_CLEANLY);
}

static void got_control(ln_ws *m, const uint8_t *payload, size_t n, uint64_t now_ms)
{
    const uint8_t opcode = m->first_byte & LN_FRAME_OPCODE;

    m->phase = WS_HEAD;
    if (opcode == LN_OPCODE_CLOSE) {
        got_close(m, payload, n);
        return;
    }
    if (!may_control(m, now_ms)) {
        ln_ws_give_up(m, WS_FAULT_CONTROL_RATE);
        return;
    }
    if (opcode == LN_OPCODE_PING && ln_ws_put_pong(m, payload, n) < 0) {
        ln_ws_give_up(m, WS_FAULT_MEMORY);
        return;
    }
    if (m->state != WS_OPEN)
        return;
    set_event_data(m, (ln_span){payload, n});
    m->pending = (opcode == LN_OPCODE_PING ? LN_WS_PING : LN_WS_PONG) + 1;
}

/* A control payload: used in place when whole, else gathered. */
static size_t take_control(ln_ws *m, uint8_t *bytes, size_t n, uint64_t now_ms)
{
    const size_t take = most_of(m, n);
    const bool is_split = take < m->left || (m->extra != NULL && m->extra->control_size > 0);

    if (!is_split) {
        ln_mask_copy(bytes, bytes, take, m->mask, 0);
        m->left = 0;
        got_control(m, bytes, take, now_ms);
        return take;
    }
    ln_ws_extra *const x = ln_ws_need_extra(m);
    if (x == NULL) {
        ln_ws_give_up(m, WS_FAULT_MEMORY);
        return take;
    }
    LN_ASSERT(x->control_size + take <= LN_FRAME_CONTROL_MAX);
    ln_mask_copy(x->control + x->control_size, bytes, take, m->mask, x->control_size);
    x->control_size += (uint8_t)take;
    m->left -= take;
    if (m->left == 0) {
        const size_t size = x->control_size;
        x->control_size = 0;
        got_control(m, x->control, size, now_ms);
    }
    return take;
}

/* ---- data frames ---- */

/* Once we have begun to close, what still comes is read and forgotten. */
static void give_message(ln_ws *m, enum ln_kind kind, ln_span data, uint64_t now_ms)
{
    m->message_ms = now_ms;
    if (m->state != WS_OPEN)
        return;
    set_event_data(m, data);
    m->first_byte = (uint8_t)kind;
    m->pending = LN_WS_MESSAGE + 1;
}

static void give_piece(ln_ws *m, ln_span data, bool is_last, uint64_t now_ms)
{
    ln_ws_message *const g = m->message;

    if (m->state != WS_OPEN)
        return;
    set_event_data(m, data);
    m->flags &= (uint8_t) ~(WS_PIECE_FIRST | WS_PIECE_LAST);
    m->flags |= (uint8_t)((g->is_begun ? 0 : WS_PIECE_FIRST) | (is_last ? WS_PIECE_LAST : 0));
    g->is_begun = true;
    m->pending = LN_WS_PIECE + 1;
    if (is_last)
        m->message_ms = now_ms;
}

/* Text is checked as it comes, so that a bad message fails at the first feed that shows it (RFC
 * 6455 8.1). */
static bool check_text(ln_ws *m, const uint8_t *bytes, size_t n, bool is_last)
{
    ln_ws_message *const g = m->message;

    if (g->opcode != LN_OPCODE_TEXT)
        return true;
    g->utf8 = ln_utf8_feed(g->utf8, bytes, n);
    if (g->utf8 != LN_UTF8_REJECT && (!is_last || g->utf8 == LN_UTF8_ACCEPT))
        return true;
    ln_ws_give_up(m, WS_FAULT_TEXT);
    return false;
}

/* The next bytes of a compressed message: inflated into message->data, within the limit. */
static bool inflate(ln_ws *m, uint8_t *bytes, size_t n, bool is_last, ln_span *fresh)
{
    ln_ws_message *const g = m->message;
    const size_t before = g->data.size;

    const int rc = ln_deflate_inflate(m->deflate, bytes, n, is_last, &g->data, message_limit(m));
    *fresh = (ln_span){g->data.data == NULL ? NULL : g->data.data + before, g->data.size - before};
    if (rc == 0)
        return true;
    /* What came out before it is judged first, as if the bytes had come one by one. */
    if (check_text(m, fresh->data, fresh->size, false))
        ln_ws_give_up(m, rc == LN_ERR_TOO_BIG ? WS_FAULT_MESSAGE_SIZE
                         : rc == LN_ERR_NOMEM ? WS_FAULT_MEMORY
                                              : WS_FAULT_INFLATE);
    return false;
}

/*
 * What to make room for when `n` bytes have come: they, and what is announced to follow, but no more
 * than has come already, so that a frame that fits is not moved and one that only says that it is
 * long costs nothing.
 */
static size_t room_for(ln_ws *m, size_t n)
{
    ln_buf *const data = &m->message->data;
    const size_t ahead = (size_t)ln_min_size(m->left, data->size + n);

    if (data->capacity == 0 && n + m->left >= LN_SPARE_MIN_BYTES && m->config->spare != NULL)
        ln_spare_take(m->config->spare, data);
    return n + ahead;
}

uint8_t *ln_ws_lend(ln_ws *m, size_t *n)
{
    ln_ws_message *const g = m->message;

    if (g == NULL || m->phase != WS_DATA || m->left < LEND_MIN_BYTES || g->is_deflated ||
        m->config->is_streaming || m->state != WS_OPEN || m->pending != WS_NOTHING)
        return NULL;
    ln_buf *const data = &g->data;
    if (data->size == data->capacity &&
        ln_buf_reserve(data, ln_min_size(m->left, data->size), message_limit(m)) < 0)
        return NULL;
    if (data->capacity - data->size < LEND_MIN_BYTES)
        return NULL;
    g->is_lent = true;
    *n = ln_min_size(ln_min_size(m->left, data->capacity - data->size), LEND_MAX_BYTES);
    return data->data + data->size;
}

/* The next bytes of a plain message: gathered, or when streaming left where they are. */
static bool gather(ln_ws *m, uint8_t *bytes, size_t n, ln_span *fresh)
{
    ln_buf *const data = &m->message->data;

    if (m->config->is_streaming) {
        ln_mask_copy(bytes, bytes, n, m->mask, 0);
        *fresh = (ln_span){bytes, n};
        return true;
    }
    *fresh = (ln_span){NULL, 0};
    if (n == 0)
        return true;
    m->message->is_lent = false;
    if (bytes != data->data + data->size && /* NULL + 0 differs, too */
        ln_buf_reserve(data, room_for(m, n), message_limit(m)) < 0) {
        ln_ws_give_up(m, WS_FAULT_MEMORY);
        return false;
    }
    uint8_t *const to = data->data + data->size;
    ln_mask_copy(to, bytes, n, m->mask, 0);
    data->size += n;
    *fresh = (ln_span){to, n};
    return true;
}

/* Part of the current frame's payload, not yet unmasked. */
static void got_data(ln_ws *m, uint8_t *bytes, size_t n, uint64_t now_ms)
{
    ln_ws_message *const g = m->message;
    const bool is_last = m->left == 0 && (m->first_byte & LN_FRAME_FIN);
    ln_span fresh;

    if (m->config->is_streaming)
        g->data.size = 0; /* the piece before was consumed */
    if (g->is_deflated)
        ln_mask_copy(bytes, bytes, n, m->mask, 0);
    if (g->is_deflated ? !inflate(m, bytes, n, is_last, &fresh) : !gather(m, bytes, n, &fresh))
        return;
    if (!check_text(m, fresh.data, fresh.size, is_last))
        return;
    if (m->left == 0)
        m->phase = WS_HEAD;
    if (m->config->is_streaming) {
        if (fresh.size > 0 || is_last)
            give_piece(m, fresh, is_last, now_ms);
    } else if (is_last) {
        give_message(m, (enum ln_kind)g->opcode, (ln_span){g->data.data, g->data.size}, now_ms);
    }
    if (is_last)
        m->flags |= WS_MESSAGE_GIVEN;
}

static size_t take_data(ln_ws *m, uint8_t *bytes, size_t n, uint64_t now_ms)
{
    const size_t take = most_of(m, n);

    m->left -= take;
    m->message->wire += take;
    got_data(m, bytes, take, now_ms);
    /* what is left of a frame always begins with the key's first byte */
    m->mask = ln_mask_turned(m->mask, take);
    return take;
}

/* ---- headers ---- */

/*
 * The payload bytes that a message of the allowed size may have, this frame included. Compressed
 * ones are judged by what they inflate to; here only against what no compressor makes: zlib adds an
 * eighth at worst, and up to 16 bytes where a fragment ends.
 */
static uint64_t wire_limit(const ln_ws *m, const ln_frame *f)
{
    const ln_ws_message *const g = m->message;
    const uint64_t max = message_limit(m),
                   slack = max / 4 + (g == NULL ? 1 : g->fragments + UINT64_C(1)) * 16;
    const bool is_deflated = g == NULL ? (f->first & LN_FRAME_RSV1) != 0 : g->is_deflated;

    return is_deflated && max < UINT64_MAX - slack ? max + slack : max;
}

/* May this data frame come now, and is there room for it? A fault, or 0. */
static uint8_t judge_data(const ln_ws *m, const ln_frame *f)
{
    const ln_ws_config *const c = m->config;
    const ln_ws_message *const g = m->message;
    const bool is_continuation = (f->first & LN_FRAME_OPCODE) == LN_OPCODE_CONTINUATION;
    const uint64_t before = g == NULL ? 0 : g->wire;

    if (is_continuation && g == NULL)
        return WS_FAULT_STRAY_CONTINUATION;
    if (!is_continuation && g != NULL)
        return WS_FAULT_NESTED_MESSAGE;
    /* A limit that is no narrower than the message's adds nothing to it; a compressed frame may
     * then be longer. */
    if (c->frame_max_bytes > 0 && c->frame_max_bytes < message_limit(m) &&
        f->length > c->frame_max_bytes)
        return WS_FAULT_FRAME_SIZE;
    const uint64_t wire_max = wire_limit(m, f);
    if (f->length > wire_max || before > wire_max - f->length)
        return WS_FAULT_MESSAGE_SIZE;
    if (c->fragments_max > 0 && g != NULL && g->fragments >= c->fragments_max)
        return WS_FAULT_FRAGMENTS;
    return 0;
}

/* A first frame that is not a small whole message: what it needs to be remembered by. */
static bool begin_message(ln_ws *m, const ln_frame *f, uint64_t now_ms)
{
    ln_ws_message *const g = ln_alloc_zero(m->config->alloc, sizeof *g);

    if (g == NULL) {
        ln_ws_give_up(m, WS_FAULT_MEMORY);
        return false;
    }
    ln_buf_init(&g->data, m->config->alloc);
    g->opcode = f->first & LN_FRAME_OPCODE;
    g->is_deflated = (f->first & LN_FRAME_RSV1) != 0;
    g->began_ms = now_ms;
    m->message = g;
    return true;
}

/* A header of a data frame is complete. `left` bytes follow it in this feed. */
static size_t begin_data(ln_ws *m, const ln_frame *f, uint8_t *payload, size_t left,
                         uint64_t now_ms)
{
    const uint8_t fault = judge_data(m, f);
    if (fault != 0) {
        ln_ws_give_up(m, fault);
        return 0;
    }
    m->first_byte = f->first;
    m->mask = f->mask;
    m->left = f->length;

    /* Whole, plain, and all there: lent out where it lies. */
    if (m->message == NULL && (f->first & ~LN_OPCODE_TEXT & ~LN_OPCODE_BINARY) == LN_FRAME_FIN &&
        f->length <= left && !m->config->is_streaming) {
        const size_t n = (size_t)f->length;
        m->left = 0;
        ln_mask_copy(payload, payload, n, f->mask, 0);
        if ((f->first & LN_FRAME_OPCODE) == LN_OPCODE_TEXT && !ln_utf8_is_valid(payload, n)) {
            ln_ws_give_up(m, WS_FAULT_TEXT);
            return n;
        }
        give_message(m, (enum ln_kind)(f->first & LN_FRAME_OPCODE), (ln_span){payload, n}, now_ms);
        return n;
    }
    if (m->message == NULL && !begin_message(m, f, now_ms))
        return 0;
    m->message->fragments++;
    m->phase = WS_DATA;
    if (f->length == 0) /* nothing will follow that could complete it */
        got_data(m, payload, 0, now_ms);
    return 0;
}

static size_t begin_frame(ln_ws *m, const ln_frame *f, uint8_t *payload, size_t left,
                          uint64_t now_ms)
{
    if ((f->first & LN_FRAME_OPCODE) < LN_OPCODE_CLOSE)
        return begin_data(m, f, payload, left, now_ms);

    m->first_byte = f->first;
    m->mask = f->mask;
    m->left = f->length;
    m->phase = WS_CONTROL;
    if (f->length == 0)
        got_control(m, NULL, 0, now_ms);
    return 0;
}

/* Part of a header: kept, and looked at together with what was kept before. */
static size_t take_split_head(ln_ws *m, uint8_t *bytes, size_t n, uint64_t now_ms)
{
    ln_ws_extra *const x = ln_ws_need_extra(m);
    if (x == NULL) {
        ln_ws_give_up(m, WS_FAULT_MEMORY);
        return n;
    }
    const bool is_masked = m->config->role == LN_WS_SERVER;
    size_t used = 0;
    int rc = 0;
    ln_frame f;
    ln_frame_fault fault;

    while (rc == 0 && used < n) {
        LN_ASSERT(x->head_size < LN_FRAME_HEAD_MAX);
        x->head[x->head_size++] = bytes[used++];
        rc = ln_frame_parse(x->head, x->head_size, is_masked, m->deflate != NULL, &f, &fault);
    }
    if (rc < 0) {
        ln_ws_give_up(m, (uint8_t)fault);
    } else if (rc > 0) {
        x->head_size = 0;
        used += begin_frame(m, &f, bytes + used, n - used, now_ms);
    }
    return used;
}

static size_t take_head(ln_ws *m, uint8_t *bytes, size_t n, uint64_t now_ms)
{
    if (m->extra != NULL && m->extra->head_size > 0)
        return take_split_head(m, bytes, n, now_ms);

    ln_frame f;
    ln_frame_fault fault;
    const int rc =
        ln_frame_parse(bytes, n, m->config->role == LN_WS_SERVER, m->deflate != NULL, &f, &fault);
    if (LN_UNLIKELY(rc < 0)) {
        ln_ws_give_up(m, (uint8_t)fault);
        return n;
    }
    if (LN_UNLIKELY(rc == 0))
        return take_split_head(m, bytes, n, now_ms);
    return f.size + begin_frame(m, &f, bytes + f.size, n - f.size, now_ms);
}

/* ---- the verbs ---- */

LN_HOT size_t ln_ws_take_short(ln_ws *m, uint8_t *bytes, size_t n, uint64_t now_ms,
                               enum ln_kind *kind, ln_span *data)
{
    enum { HEAD_BYTES = 6 }; /* first byte, length, mask */
    const ln_ws_config *const c = m->config;

    m->event_data = NULL; /* the message before is done with */
    if (LN_UNLIKELY(c->role != LN_WS_SERVER || c->is_streaming || n < HEAD_BYTES ||
                    m->state != WS_OPEN || m->phase != WS_HEAD || m->pending != WS_NOTHING ||
                    ((uintptr_t)m->message | (uintptr_t)m->extra) != 0))
        return 0;
    const uint8_t opcode = bytes[0] & LN_FRAME_OPCODE;
    const size_t size = bytes[1] ^ LN_FRAME_MASKED; /* above 125: longer, or not masked */
    if (LN_UNLIKELY((bytes[0] & ~LN_FRAME_OPCODE) != LN_FRAME_FIN ||
                    (opcode != LN_OPCODE_TEXT && opcode != LN_OPCODE_BINARY) ||
                    size > LN_FRAME_CONTROL_MAX || n - HEAD_BYTES < size ||
                    /* 0, which is no limit, becomes the largest number; a message as long as the
                     * limit is feed()'s */
                    size > c->frame_max_bytes - 1 || size > c->message_max_bytes - 1))
        return 0;

    uint8_t *const payload = bytes + HEAD_BYTES;
    uint32_t mask;
    memcpy(&mask, bytes + 2, sizeof mask);
    ln_mask_copy(payload, payload, size, mask, 0);
    if (opcode == LN_OPCODE_TEXT && !ln_utf8_is_ascii(payload, size) &&
        LN_UNLIKELY(!ln_utf8_is_valid(payload, size))) {
        ln_mask_copy(payload, payload, size, mask, 0); /* feed() says what is wrong with it */
        return 0;
    }
    m->mark_ms = m->message_ms = now_ms;
    m->flags &= (uint8_t)~WS_PING_UNANSWERED;
    m->first_byte = opcode;
    set_event_data(m, (ln_span){payload, size});
    *kind = (enum ln_kind)opcode;
    *data = (ln_span){payload, size};
    return HEAD_BYTES + size;
}

size_t ln_ws_feed(ln_ws *m, uint8_t *bytes, size_t n, uint64_t now_ms)
{
    size_t used = 0;

    if (LN_LIKELY(m->state == WS_OPEN)) {
        m->mark_ms = now_ms;
        m->flags &= (uint8_t)~WS_PING_UNANSWERED;
    }
    while (used < n && m->pending == WS_NOTHING && m->state != WS_CLOSED) {
        size_t took = 0;
        switch (m->phase) {
        case WS_HEAD:
            if (LN_UNLIKELY(m->flags & WS_MESSAGE_GIVEN))
                ln_ws_free_message(m);
            took = take_head(m, bytes + used, n - used, now_ms);
            break;
        case WS_DATA:
            took = take_data(m, bytes + used, n - used, now_ms);
            break;
        case WS_CONTROL:
            took = take_control(m, bytes + used, n - used, now_ms);
            break;
        }
        LN_ASSERT(took > 0 || m->state == WS_CLOSED);
        used += took;
    }
    return m->state == WS_CLOSED ? n : used;
}
