/* SPDX-License-Identifier: MIT */
/*
 * ws - the WebSocket machine (RFC 6455 sections 5 to 8, RFC 7692): bytes to messages and messages
 * to bytes.
 *
 * Both roles in one code. No socket, no clock, no log, no callback. Begins where the opening
 * handshake ended.
 *
 * Invariants
 *   1. After a fault, and after LN_WS_CLOSED has been given out, no other event comes: nothing is
 *      delivered after a protocol error.
 *   2. Exactly one LN_WS_CLOSED comes, last.
 *   3. Memory for a message grows with the bytes that arrived, never with a length that was
 *      announced, and never beyond message_max. An idle machine holds none.
 *   4. Pongs waiting behind unsent output take one slot: the latest ping's (RFC 6455 5.5.3).
 *   5. No data leaves after a close frame (RFC 6455 5.5.1); until the peer's has come, pings are
 *      still answered (5.5.2).
 *
 * States                       left by
 *   OPEN                       send_close -> CLOSING; peer's close -> CLOSED; fault, eof, abort ->
 *                              CLOSED
 *   CLOSING (we sent ours)     peer's close, fault, eof, deadline -> CLOSED
 *   CLOSED                     ln_ws_is_over() once the output is sent
 */
#ifndef LN_WS_H
#define LN_WS_H

#include "base/bucket.h"
#include "base/chain.h"
#include "base/spare.h"
#include "deflate.h"
#include "frame.h"

enum { LN_WS_REASON_MAX_BYTES = 123 }; /* of a close frame: RFC 6455 5.5 and 5.5.1 */

typedef enum ln_ws_role { LN_WS_SERVER, LN_WS_CLIENT } ln_ws_role;

/* What all connections of an endpoint on one loop share. Unchanged while a machine uses it; 0 = no
 * limit, no deadline. */
typedef struct ln_ws_config {
    ln_ws_role role;
    bool is_streaming; /* data comes as LN_WS_PIECE, not as whole LN_WS_MESSAGE */
    bool trusts_text;  /* do not check the UTF-8 of outgoing text */
    /* below 4 GiB, also where 0 leaves it open: what an event can hold */
    uint64_t message_max_bytes;
    uint64_t frame_max_bytes;
    uint32_t fragments_max;
    ln_bucket_rate control_rate; /* pings and pongs that a peer may send */
    uint32_t ping_interval_ms;
    uint32_t pong_wait_ms;
    uint32_t idle_ms;
    uint32_t message_ms; /* from a message's first byte to its last */
    uint32_t close_wait_ms;
    uint32_t deflate_min_bytes;
    ln_pool *pool;             /* for output */
    const ln_allocator *alloc; /* for input */
    ln_buf *scratch;           /* for compressing; shared by all of the loop, empty between calls */
    ln_spare *spare;           /* for large messages; NULL = none */
    uint32_t (*mask_key)(void *user); /* client: four unpredictable bytes */
    void *mask_user;
} ln_ws_config;

typedef enum ln_ws_event_type {
    LN_WS_MESSAGE, /* a whole one */
    LN_WS_PIECE,   /* streaming: a piece; `first`, `last` */
    LN_WS_PING,    /* has been answered */
    LN_WS_PONG,
    LN_WS_CLOSED
} ln_ws_event_type;

typedef struct ln_ws_event {
    ln_ws_event_type type;
    enum ln_kind kind; /* message, piece */
    bool is_first, is_last;
    /* payload; CLOSED: the reason. Valid until the next call of next, feed, tick or eof */
    ln_span data;
    /* CLOSED */
    uint16_t code;
    enum { LN_WS_BY_US = 1, LN_WS_BY_PEER = 2 } by;
    bool is_clean;
} ln_ws_event;

typedef struct ln_ws_message ln_ws_message; /* a message being received */
/* what few connections need: split headers, control payloads, reasons */
typedef struct ln_ws_extra ln_ws_extra;

typedef struct ln_ws {
    const ln_ws_config *config;
    ln_chain out;
    ln_ws_message *message;
    ln_ws_extra *extra;
    ln_deflate *deflate;       /* owned; NULL = not negotiated */
    uint64_t left;             /* payload bytes of the current frame still to come */
    const uint8_t *event_data; /* of the pending event, or of the one given out last; then NULL */
    uint32_t event_size;
    uint32_t mask;
    /* when the peer was last heard, or when the unanswered ping or our close went */
    uint64_t mark_ms;
    uint64_t message_ms;     /* when its last message ended */
    uint32_t control_ms;     /* the low half of the time of its last control frame */
    uint32_t control_millis; /* and how many more it may send then, in thousandths */
    uint16_t close_code;     /* ours or the peer's, once closing */
    uint8_t state : 2;
    uint8_t phase : 2;        /* where in a frame we are */
    uint8_t sending_utf8 : 4; /* of the text of a fragmented send, up to here */
    uint8_t sending : 2;      /* a fragmented send is open: its kind */
    uint8_t fault : 6;
    uint8_t first_byte; /* FIN, RSV, opcode of the current frame */
    uint8_t flags;
    uint8_t pending; /* the event that next() will give */
    /* 0-255: up to an eighth of the ping interval earlier, so that peers do not ping in step */
    uint8_t spread;
} ln_ws;

_Static_assert(sizeof(void *) != 8 || sizeof(ln_ws) == 112, "an idle connection is small");

/* Takes over `deflate` (NULL = not negotiated); allocates nothing. `now_ms`: monotonic. */
void ln_ws_init(ln_ws *m, const ln_ws_config *config, ln_deflate *deflate, uint64_t now_ms);
void ln_ws_fini(ln_ws *m);

/*
 * Takes received bytes, which are changed in place (unmasking). Returns how many were used: all of
 * them, or fewer because an event is ready: then call next() until it has none, and feed the rest.
 * After CLOSED all bytes are ignored.
 */
size_t ln_ws_feed(ln_ws *m, uint8_t *bytes, size_t n, uint64_t now_ms);

/*
 * Where the transport may receive next, so that a long payload is not copied: the memory that
 * follows what has come of the message, *n bytes of it; NULL = anywhere. Bytes fed from there are
 * already in place. It stays until they are fed, or until fini.
 */
uint8_t *ln_ws_lend(ln_ws *m, size_t *n);

/*
 * feed() and next() in one step for the commonest input, a whole uncompressed message of up to 125
 * bytes at the front of `bytes`. Returns how many bytes it took: the message is in *kind and *data,
 * which is valid until the next call: call until it returns 0, which is something else (or nothing),
 * left as it is for feed().
 */
size_t ln_ws_take_short(ln_ws *m, uint8_t *bytes, size_t n, uint64_t now_ms, enum ln_kind *kind,
                        ln_span *data);

/*
 * The next event; false when there is none, which also gives back the memory of the message before:
 * always ask until false. The span in an event is valid until the next call of this, feed, tick or
 * eof.
 */
bool ln_ws_next(ln_ws *m, ln_ws_event *event);

/*
 * Queues a message. 0; LN_ERR_CLOSED after a close; LN_ERR_BUSY between pieces; LN_ERR_INVALID (bad
 * UTF-8 in text, unless trusted; 2 GiB or more); LN_ERR_NOMEM (nothing was queued).
 */
int ln_ws_send(ln_ws *m, enum ln_kind kind, ln_span data);

/*
 * For a transport that can write at once: a message that need not be copied into the output first.
 * begin() judges it as ln_ws_send() does and writes its frame's head; the size of that, or an error,
 * or LN_ERR_UNSUPPORTED where the payload is not sent as it is (compressed, masked): send it as any
 * other. The transport then writes the output, `head` and `data`, in this order and as far as it
 * goes, and end() is told how many bytes of head and data together have left; the rest is queued.
 * LN_ERR_NOMEM from end(): if some had left, the machine has failed.
 */
int ln_ws_send_begin(ln_ws *m, enum ln_kind kind, ln_span data, uint8_t head[LN_FRAME_HEAD_MAX]);
int ln_ws_send_end(ln_ws *m, ln_span head, ln_span data, size_t n);

/*
 * The next piece of a fragmented message; `kind` counts on the first. Other messages wait until the
 * last one. Errors as ln_ws_send(); text may be cut anywhere, and must be UTF-8 as a whole.
 */
int ln_ws_send_piece(ln_ws *m, enum ln_kind kind, ln_span data, bool is_last);

/* A whole frame made by ln_ws_encode(), shared. Server role. Waits behind an open fragmented send. */
int ln_ws_send_block(ln_ws *m, ln_block *frame);

/* The frame a server sends for a message, to be shared among connections: plain, or compressed
 * payload with RSV1. */
ln_block *ln_ws_encode(const ln_allocator *alloc, enum ln_kind kind, ln_span payload,
                       bool is_deflated);

/* Up to 125 bytes. LN_ERR_INVALID, LN_ERR_CLOSED, LN_ERR_NOMEM. */
int ln_ws_send_ping(ln_ws *m, ln_span data);

/* Begins the closing handshake: RFC 6455 7.4 codes that may be sent, or 0 for none; reason <= 123
 * bytes of UTF-8. */
int ln_ws_send_close(ln_ws *m, uint16_t code, ln_span reason, uint64_t now_ms);

/* True for a code that an endpoint may put into a close frame (RFC 6455 7.4.1, 7.4.2). */
bool ln_ws_is_code(uint16_t code);

/* Up to k spans of output, borrowed until sent(); their number. Then how many bytes of them
 * left. */
int ln_ws_pull(const ln_ws *m, ln_span *spans, int k);
void ln_ws_sent(ln_ws *m, size_t n);
/* Bytes of output, those included that wait for the end of a fragmented message. */
size_t ln_ws_queued(const ln_ws *m);

/* Time passes: pings, deadlines. A silent peer's compression contexts are given back with the
 * ping. */
void ln_ws_tick(ln_ws *m, uint64_t now_ms);
/*
 * When tick() is next due, monotonic; UINT64_MAX = never. Receiving and sending only ever move it
 * later, except: when ln_ws_is_receiving() becomes true the message deadline begins, with
 * send_close() the close deadline does, and an answer to a ping brings the next ping nearer where
 * ping_interval_ms < pong_wait_ms.
 */
uint64_t ln_ws_deadline(const ln_ws *m);

/*
 * For whoever has kept the peer's bytes from us on purpose: it counts as heard now, and what it is
 * late with (a message, the rest of one) as due from now on.
 */
void ln_ws_touch(ln_ws *m, uint64_t now_ms);

/*
 * The transport ended without a close frame: CLOSED 1006 by the peer follows, unless it was over;
 * output is discarded. Spans that were pulled stay as they are until sent() or fini: a send may be
 * under way. An event that next() has not given out yet is lost.
 */
void ln_ws_eof(ln_ws *m);

/* We end it without a goodbye: CLOSED 1006 by us; the rest as with eof(). */
void ln_ws_abort(ln_ws *m);

/* Ends it for a reason from outside: queues close(code, reason) and gives CLOSED by us at once,
 * unclean. */
void ln_ws_fail(ln_ws *m, uint16_t code, const char *reason);
/* The same; of the output only the first `kept` segments stay, and the rest of a frame there. */
void ln_ws_shed(ln_ws *m, size_t kept, uint16_t code, const char *reason);

/* A sticky violation: its close code, 0 if none; *reason is a static sentence. */
uint16_t ln_ws_fault(const ln_ws *m, const char **reason);

/*
 * The same as an error: what a violation was (LN_ERR_PROTOCOL, _ENCODING, _TOO_BIG, _POLICY), or
 * what the world did (LN_ERR_RESET, _TIMEOUT, _NOMEM); 0 for an orderly end or an abort of ours.
 */
int ln_ws_error(const ln_ws *m);

/* CLOSED has been given out and all output is sent: shut the transport down. */
bool ln_ws_is_over(const ln_ws *m);

/* Open for sending data. */
bool ln_ws_is_open(const ln_ws *m);

/* In the middle of a message, a frame or a header: memory is held. */
bool ln_ws_is_receiving(const ln_ws *m);

#endif
