/* SPDX-License-Identifier: MIT */
/*
 * ws.c - the WebSocket machine's life: how it begins and ends, what it gives out, and time.
 * Receiving is wsread.c, sending is wssend.c.
 */
#include "ws.h"

#include <string.h>

#include "utf8.h"
#include "wsinner.h"

static const struct {
    uint16_t code;
    int8_t err;
    const char *text;
} faults[WS_FAULT_COUNT] = {
    [LN_FRAME_RESERVED_BITS] = {1002, LN_ERR_PROTOCOL, "reserved bits are set"},
    [LN_FRAME_RESERVED_OPCODE] = {1002, LN_ERR_PROTOCOL, "reserved opcode"},
    [LN_FRAME_SPLIT_CONTROL] = {1002, LN_ERR_PROTOCOL, "control frame is fragmented"},
    [LN_FRAME_LONG_CONTROL] = {1002, LN_ERR_PROTOCOL, "control frame is longer than 125 bytes"},
    [LN_FRAME_NOT_MINIMAL] = {1002, LN_ERR_PROTOCOL, "frame length is not minimally encoded"},
    [LN_FRAME_LENGTH_TOP_BIT] = {1002, LN_ERR_PROTOCOL, "frame length has its highest bit set"},
    [LN_FRAME_MASK_MISSING] = {1002, LN_ERR_PROTOCOL, "frame from a client is not masked"},
    [LN_FRAME_MASK_FORBIDDEN] = {1002, LN_ERR_PROTOCOL, "frame from a server is masked"},
    [WS_FAULT_STRAY_CONTINUATION] = {1002, LN_ERR_PROTOCOL, "continuation without a message"},
    [WS_FAULT_NESTED_MESSAGE] = {1002, LN_ERR_PROTOCOL, "new message inside a fragmented one"},
    [WS_FAULT_CLOSE_LENGTH] = {1002, LN_ERR_PROTOCOL, "close frame with one byte"},
    [WS_FAULT_CLOSE_CODE] = {1002, LN_ERR_PROTOCOL, "close code is not allowed"},
    [WS_FAULT_CLOSE_REASON] = {1007, LN_ERR_ENCODING, "close reason is not UTF-8"},
    [WS_FAULT_TEXT] = {1007, LN_ERR_ENCODING, "text is not UTF-8"},
    [WS_FAULT_FRAME_SIZE] = {1009, LN_ERR_TOO_BIG, "frame is too big"},
    [WS_FAULT_MESSAGE_SIZE] = {1009, LN_ERR_TOO_BIG, "message is too big"},
    [WS_FAULT_FRAGMENTS] = {1008, LN_ERR_POLICY, "message has too many fragments"},
    [WS_FAULT_CONTROL_RATE] = {1008, LN_ERR_POLICY, "too many control frames"},
    [WS_FAULT_INFLATE] = {1007, LN_ERR_ENCODING, "compressed data does not inflate"},
    [WS_FAULT_MEMORY] = {1011, LN_ERR_NOMEM, "out of memory"},
    [WS_FAULT_SLOW_MESSAGE] = {1008, LN_ERR_POLICY, "message took too long"},
    [WS_FAULT_PING_TIMEOUT] = {1011, LN_ERR_TIMEOUT, "ping timeout"},
    [WS_FAULT_CLOSE_TIMEOUT] = {1006, LN_ERR_TIMEOUT, "no answer to close"},
    [WS_FAULT_EOF] = {1006, LN_ERR_RESET, ""},
    [WS_FAULT_ABORT] = {1006, 0, ""},
};

/* ---- life ---- */

void ln_ws_init(ln_ws *m, const ln_ws_config *config, ln_deflate *deflate, uint64_t now_ms)
{
    LN_ASSERT(config->pool != NULL && config->scratch != NULL);
    LN_ASSERT(config->role == LN_WS_SERVER || config->mask_key != NULL);
    LN_ASSERT(config->control_rate.burst <= LN_BUCKET_BURST_MAX);
    *m = (ln_ws){.config = config, .deflate = deflate, .mark_ms = now_ms, .message_ms = now_ms};
    m->control_ms = (uint32_t)now_ms;
    m->control_millis = config->control_rate.burst * 1000;
}

void ln_ws_free_message(ln_ws *m)
{
    if (m->message == NULL || m->message->is_lent)
        return;
    if (m->config->spare != NULL)
        ln_spare_give(m->config->spare, &m->message->data);
    ln_buf_fini(&m->message->data);
    ln_free(m->config->alloc, m->message);
    m->message = NULL;
    m->flags &= (uint8_t)~WS_MESSAGE_GIVEN;
}

void ln_ws_abandon_message(ln_ws *m)
{
    if (m->message != NULL)
        m->flags |= WS_MESSAGE_GIVEN;
}

void ln_ws_abandon_send(ln_ws *m)
{
    m->sending = 0;
    m->sending_utf8 = LN_UTF8_ACCEPT;
    if (m->extra != NULL)
        ln_chain_fini(&m->extra->held, m->config->pool);
}

void ln_ws_fini(ln_ws *m)
{
    if (m->config == NULL)
        return;
    if (m->message != NULL)
        m->message->is_lent = false; /* the transport is gone */
    ln_ws_free_message(m);
    ln_chain_fini(&m->out, m->config->pool);
    if (m->extra != NULL)
        ln_chain_fini(&m->extra->held, m->config->pool);
    ln_free(m->config->alloc, m->extra);
    ln_deflate_free(m->deflate);
    *m = (ln_ws){.state = WS_CLOSED};
}

ln_ws_extra *ln_ws_need_extra(ln_ws *m)
{
    if (m->extra == NULL)
        m->extra = ln_alloc_zero(m->config->alloc, sizeof *m->extra);
    return m->extra;
}

void ln_ws_drop_extra(ln_ws *m)
{
    const ln_ws_extra *x = m->extra;
    if (x == NULL || m->state != WS_OPEN || x->head_size > 0 || m->phase == WS_CONTROL ||
        x->has_pong || x->held.bytes > 0)
        return;
    ln_free(m->config->alloc, m->extra);
    m->extra = NULL;
}

/* ---- endings ---- */

void ln_ws_enter_closed(ln_ws *m, uint16_t code, uint8_t how)
{
    LN_ASSERT(m->state != WS_CLOSED);
    ln_ws_abandon_send(m);
    m->state = WS_CLOSED;
    m->phase = WS_HEAD;
    m->close_code = code;
    m->flags = (uint8_t)((m->flags & WS_MESSAGE_GIVEN) | how);
    m->pending = LN_WS_CLOSED + 1;
    m->left = 0;
}

void ln_ws_give_up(ln_ws *m, uint8_t fault)
{
    if (m->state == WS_CLOSED)
        return;
    const uint16_t code = faults[fault].code;
    const char *const text = faults[fault].text;

    ln_ws_abandon_message(m);
    m->fault = fault & 63u;
    if (m->state == WS_OPEN && code != 1006)
        ln_ws_put_close(m, code, text, strlen(text));
    ln_ws_keep_reason(m, text, strlen(text));
    ln_ws_enter_closed(m, code, 0);
}

/*
 * The transport may have lent pulled spans to the system, so the output is put aside instead of
 * freed. Without memory for that it stays where it is, and leaves after all.
 */
static void discard_output(ln_ws *m)
{
    LN_ASSERT(m->state == WS_CLOSED);
    if (m->out.bytes == 0)
        return;
    ln_ws_extra *const x = ln_ws_need_extra(m);
    if (x != NULL)
        ln_chain_splice(&x->held, &m->out);
}

void ln_ws_eof(ln_ws *m)
{
    if (m->state == WS_CLOSED)
        return;
    ln_ws_give_up(m, WS_FAULT_EOF);
    m->flags |= WS_CLOSED_BY_PEER;
    discard_output(m);
}

void ln_ws_abort(ln_ws *m)
{
    ln_ws_give_up(m, WS_FAULT_ABORT);
    discard_output(m);
}

void ln_ws_fail(ln_ws *m, uint16_t code, const char *reason)
{
    if (m->state == WS_CLOSED)
        return;
    ln_ws_abandon_message(m);
    if (m->state == WS_OPEN)
        ln_ws_put_close(m, code, reason, strlen(reason));
    ln_ws_keep_reason(m, reason, strlen(reason));
    ln_ws_enter_closed(m, code, 0);
}

void ln_ws_shed(ln_ws *m, size_t kept, uint16_t code, const char *reason)
{
    LN_ASSERT(m->state == WS_OPEN);
    ln_chain_cut(&m->out, m->config->pool, kept);
    ln_ws_fail(m, code, reason);
}

uint16_t ln_ws_fault(const ln_ws *m, const char **reason)
{
    if (m->fault == 0)
        return 0;
    if (reason != NULL)
        *reason = faults[m->fault].text;
    return faults[m->fault].code;
}

int ln_ws_error(const ln_ws *m)
{
    return faults[m->fault].err;
}

bool ln_ws_is_over(const ln_ws *m)
{
    return m->state == WS_CLOSED && m->pending == WS_NOTHING && m->out.bytes == 0;
}

bool ln_ws_is_open(const ln_ws *m)
{
    return m->state == WS_OPEN;
}

bool ln_ws_is_receiving(const ln_ws *m)
{
    return m->phase != WS_HEAD || m->message != NULL ||
           (m->extra != NULL && m->extra->head_size > 0);
}

/* ---- the verbs ---- */

static void fill_closed(ln_ws *m, ln_ws_event *event)
{
    const ln_ws_extra *const x = m->extra;

    event->code = m->close_code;
    event->by = m->flags & WS_CLOSED_BY_PEER ? LN_WS_BY_PEER : LN_WS_BY_US;
    event->is_clean = (m->flags & WS_CLOSED_CLEANLY) != 0;
    event->data = x == NULL ? (ln_span){"", 0} : (ln_span){x->reason, x->reason_size};
    m->flags |= WS_CLOSED_GIVEN;
}

bool ln_ws_next(ln_ws *m, ln_ws_event *event)
{
    if (m->pending == WS_NOTHING) {
        m->event_data = NULL;
        if (LN_UNLIKELY(m->flags & WS_MESSAGE_GIVEN))
            ln_ws_free_message(m);
        if (LN_UNLIKELY(m->extra != NULL))
            ln_ws_drop_extra(m);
        return false;
    }
    LN_ASSERT(!(m->flags & WS_CLOSED_GIVEN));
    *event = (ln_ws_event){.type = (ln_ws_event_type)(m->pending - 1),
                           .kind = (enum ln_kind)(m->first_byte & LN_FRAME_OPCODE),
                           .is_first = true,
                           .is_last = true,
                           .data = {m->event_data, m->event_size}};
    if (event->type == LN_WS_PIECE) {
        event->kind = (enum ln_kind)m->message->opcode;
        event->is_first = (m->flags & WS_PIECE_FIRST) != 0;
        event->is_last = (m->flags & WS_PIECE_LAST) != 0;
    } else if (event->type == LN_WS_CLOSED) {
        fill_closed(m, event);
    }
    m->pending = WS_NOTHING;
    return true;
}

/* ---- time ---- */

static uint64_t ping_interval_ms(const ln_ws *m)
{
    const uint64_t interval = m->config->ping_interval_ms;
    return interval - interval * m->spread / (8 * 256);
}

/* When the peer's silence has consequences. */
static uint64_t silence_ms(const ln_ws *m)
{
    if (m->config->ping_interval_ms == 0)
        return UINT64_MAX;
    if (m->flags & WS_PING_UNANSWERED)
        return m->config->pong_wait_ms == 0 ? UINT64_MAX : m->mark_ms + m->config->pong_wait_ms;
    return m->mark_ms + ping_interval_ms(m);
}

static uint64_t idle_ms(const ln_ws *m)
{
    return m->config->idle_ms == 0 ? UINT64_MAX : m->message_ms + m->config->idle_ms;
}

static uint64_t slow_message_ms(const ln_ws *m)
{
    const ln_ws_message *const g = m->message;
    return g == NULL || m->config->message_ms == 0 ? UINT64_MAX
                                                   : g->began_ms + m->config->message_ms;
}

static uint64_t close_ms(const ln_ws *m)
{
    return m->config->close_wait_ms == 0 ? UINT64_MAX : m->mark_ms + m->config->close_wait_ms;
}

uint64_t ln_ws_deadline(const ln_ws *m)
{
    if (m->state == WS_CLOSED)
        return UINT64_MAX;
    if (m->state == WS_CLOSING)
        return close_ms(m);
    uint64_t due = silence_ms(m);
    if (idle_ms(m) < due)
        due = idle_ms(m);
    if (slow_message_ms(m) < due)
        due = slow_message_ms(m);
    return due;
}

/*
 * The peer was silent for as long as is allowed: ask, or give it up. A slow reader cannot answer a
 * ping that still waits behind other output; as long as that output moves it counts as alive.
 */
static void heard_nothing(ln_ws *m, uint64_t now_ms)
{
    if (m->flags & WS_PING_UNANSWERED) {
        if (!(m->flags & WS_OUTPUT_MOVED) || m->out.bytes == 0) {
            ln_ws_give_up(m, WS_FAULT_PING_TIMEOUT);
            return;
        }
    } else if (ln_ws_put_control(m, LN_OPCODE_PING, NULL, 0) < 0) {
        return; /* tried again at the next tick: nothing was marked */
    } else if (m->deflate != NULL) {
        ln_deflate_idle(m->deflate);
    }
    m->flags |= WS_PING_UNANSWERED;
    m->flags &= (uint8_t)~WS_OUTPUT_MOVED;
    m->mark_ms = now_ms;
}

void ln_ws_tick(ln_ws *m, uint64_t now_ms)
{
    if (m->state == WS_CLOSED)
        return;
    if (m->state == WS_CLOSING) {
        if (now_ms >= close_ms(m))
            ln_ws_give_up(m, WS_FAULT_CLOSE_TIMEOUT);
        return;
    }
    if (now_ms >= slow_message_ms(m)) {
        ln_ws_give_up(m, WS_FAULT_SLOW_MESSAGE);
    } else if (now_ms >= idle_ms(m)) {
        /* open: it cannot fail but for memory, then EOF tells */
        (void)ln_ws_send_close(m, 1000, LN_SPAN("idle"), now_ms);
    } else if (now_ms >= silence_ms(m)) {
        heard_nothing(m, now_ms);
    }
}

void ln_ws_touch(ln_ws *m, uint64_t now_ms)
{
    if (m->state != WS_OPEN)
        return;
    m->mark_ms = now_ms;
    m->flags &= (uint8_t)~WS_PING_UNANSWERED;
    m->message_ms = now_ms;
    if (m->message != NULL)
        m->message->began_ms = now_ms;
}

bool ln_ws_is_code(uint16_t code)
{
    return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) ||
           (code >= 3000 && code <= 4999);
}
