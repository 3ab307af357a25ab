/* SPDX-License-Identifier: MIT */
/*
 * wsinner - what the files of the WebSocket machine share: ws.c, wsread.c, wssend.c. For them only.
 */
#ifndef LN_WSINNER_H
#define LN_WSINNER_H

#include "frame.h"
#include "ws.h"

enum { WS_OPEN, WS_CLOSING, WS_CLOSED }; /* ln_ws.state */

enum { WS_HEAD, WS_DATA, WS_CONTROL }; /* ln_ws.phase */

enum { /* ln_ws.flags */
       WS_PING_UNANSWERED = 0x01,
       WS_CLOSED_BY_PEER = 0x02,
       WS_CLOSED_CLEANLY = 0x04,
       WS_CLOSED_GIVEN = 0x08,
       WS_PIECE_FIRST = 0x10,
       WS_PIECE_LAST = 0x20,
       /* message->data may be lent out by the last event: free it on the next call */
       WS_MESSAGE_GIVEN = 0x40,
       WS_OUTPUT_MOVED = 0x80 /* something was sent since the unanswered ping was queued */
};

/* ln_ws.pending: 0, or an event type + 1. */
enum { WS_NOTHING = 0 };

/* Why a machine gave up; the first part is ln_frame_fault. */
enum {
    WS_FAULT_STRAY_CONTINUATION = LN_FRAME_MASK_FORBIDDEN + 1,
    WS_FAULT_NESTED_MESSAGE,
    WS_FAULT_CLOSE_LENGTH,
    WS_FAULT_CLOSE_CODE,
    WS_FAULT_CLOSE_REASON,
    WS_FAULT_TEXT,
    WS_FAULT_FRAME_SIZE,
    WS_FAULT_MESSAGE_SIZE,
    WS_FAULT_FRAGMENTS,
    WS_FAULT_CONTROL_RATE,
    WS_FAULT_INFLATE,
    WS_FAULT_MEMORY,
    WS_FAULT_SLOW_MESSAGE,
    WS_FAULT_PING_TIMEOUT,
    WS_FAULT_CLOSE_TIMEOUT,
    WS_FAULT_EOF,
    WS_FAULT_ABORT,
    WS_FAULT_COUNT
};
_Static_assert(WS_FAULT_COUNT <= 64, "ln_ws.fault has six bits");

/* A message being received that is not whole in one feed, or needs state of its own. */
struct ln_ws_message {
    ln_buf data;       /* what has arrived, unmasked; inflated, if it is deflated */
    uint64_t wire;     /* payload bytes on the wire so far, over all frames */
    uint64_t began_ms; /* for the message deadline */
    uint32_t fragments;
    uint8_t opcode;
    uint8_t utf8; /* state of the validator */
    bool is_deflated;
    bool is_begun; /* streaming: a piece has been given out */
    bool is_lent;  /* the transport may be receiving into data: not to be freed, except by fini */
};

/* What a connection needs now and then. Bytes are counted, not terminated. */
struct ln_ws_extra {
    /* frames that wait for the end of a fragmented send; CLOSED: discarded output, perhaps lent
     * out */
    ln_chain held;
    uint8_t head[LN_FRAME_HEAD_MAX];
    uint8_t head_size;    /* of a header that came in pieces */
    uint8_t control_size; /* of a control payload that came in pieces */
    uint8_t pong_size;
    bool has_pong; /* a pong waits for the output to drain */
    uint8_t reason_size;
    uint8_t control[LN_FRAME_CONTROL_MAX];
    uint8_t pong[LN_FRAME_CONTROL_MAX];
    uint8_t reason[LN_FRAME_CONTROL_MAX];
};

enum {
    /*
     * Pongs are queued one by one while less output than this waits; behind more, only the latest
     * is kept. A polite peer gets every pong, one that pings and never reads costs no more than
     * this.
     */
    WS_PONG_BACKLOG_BYTES = 16384
};

/* m->extra, made on first need; NULL when out of memory. */
ln_ws_extra *ln_ws_need_extra(ln_ws *m);

/* Frees m->extra if nothing is in it. */
void ln_ws_drop_extra(ln_ws *m);

/* Queues a control frame, past every limit. LN_ERR_NOMEM. */
int ln_ws_put_control(ln_ws *m, uint8_t opcode, const uint8_t *payload, size_t n);

/* Answers a ping, now or when the output has drained. */
LN_NODISCARD int ln_ws_put_pong(ln_ws *m, const uint8_t *payload, size_t n);

/* Queues a close frame; a failure for want of memory is left out: the transport's end says
 * enough. */
void ln_ws_put_close(ln_ws *m, uint16_t code, const void *reason, size_t n);

/* Keeps a reason for the CLOSED event; none if there is no memory for it. */
void ln_ws_keep_reason(ln_ws *m, const void *reason, size_t n);

/* Ends the machine for `fault` (WS_FAULT_...): the close frame is queued, CLOSED by us is pending.
 * Once; later calls do nothing. */
void ln_ws_give_up(ln_ws *m, uint8_t fault);

/* CLOSED is pending with `code`; `how`: WS_CLOSED_... flags. */
void ln_ws_enter_closed(ln_ws *m, uint16_t code, uint8_t how);

/* The message being received, and all its memory. */
void ln_ws_free_message(ln_ws *m);

/* It will never be whole. A part of it may be lent out, so next() frees it. */
void ln_ws_abandon_message(ln_ws *m);

/* The end of a fragmented send will not come, nor what waits for it. */
void ln_ws_abandon_send(ln_ws *m);

#endif
