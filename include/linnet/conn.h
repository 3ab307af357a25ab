/* SPDX-License-Identifier: MIT */
/*
 * linnet/conn.h - a WebSocket connection, the same for a server's and for a client's side, and its
 * handlers.
 *
 * Promises
 *   1. on_open comes first, on_close last and exactly once; nothing comes after on_close, where `c`
 *      is valid for the last time.
 *   2. Messages come in order, one at a time. None is delivered after a protocol error.
 *   3. A send never blocks and says what happened. What was queued before ln_conn_close() is
 *      flushed (bounded by the close deadline), then the close frame goes, then the connection
 *      ends: the peer sees the code.
 *   4. Any function may be called from inside any handler, ln_conn_close() and ln_conn_abort()
 *      included.
 *
 * Everything taking an `ln_conn *` is for the thread of the connection's loop, where the handlers
 * run. From other threads, or later, use the id with ln_send(), ln_close() and ln_publish()
 * (linnet/server.h).
 */
#ifndef LINNET_CONN_H
#define LINNET_CONN_H

#include <linnet/http.h>
#include <linnet/loop.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct ln_conn ln_conn;

/* A message, or a piece of one when the endpoint streams. Borrowed until the handler returns. */
typedef struct ln_message {
    enum ln_kind kind;
    /* writable by nobody; text is valid UTF-8, whole code points only when the message is whole */
    ln_span data;
    bool is_first; /* always true for on_message */
    bool is_last;  /* always true for on_message */
} ln_message;

enum ln_closed_by { LN_CLOSED_BY_US = 1, LN_CLOSED_BY_PEER = 2 };

/* How a connection ended. */
typedef struct ln_close_info {
    /* RFC 6455 7.4; 1005 = the peer gave none, 1006 = it ended without a close frame */
    uint16_t code;
    ln_span reason; /* UTF-8; ours or the peer's, whoever closed; borrowed until on_close returns */
    enum ln_closed_by by;
    bool is_clean; /* both close frames were exchanged (RFC 6455 7.1.4) */
    /* why, if not by agreement: LN_ERR_PROTOCOL, LN_ERR_RESET, LN_ERR_TIMEOUT, ...; else 0 */
    int error;
} ln_close_info;

/* Every member may be NULL. `user` is passed to all of them. */
typedef struct ln_ws_handlers {
    /* Server: an upgrade asks for admission; the request's answer decides (linnet/http.h). */
    void (*on_request)(ln_request *request, void *user);
    /* The handshake is done. `request` is borrowed until the handler returns; NULL on a client. */
    void (*on_open)(ln_conn *c, const ln_request *request, void *user);
    /* A whole message. */
    void (*on_message)(ln_conn *c, const ln_message *message, void *user);
    /* Instead of on_message: pieces as they arrive, nothing buffered. Set one of the two. */
    void (*on_chunk)(ln_conn *c, const ln_message *piece, void *user);
    /* A ping came and has been answered already. */
    void (*on_ping)(ln_conn *c, ln_span data, void *user);
    void (*on_pong)(ln_conn *c, ln_span data, void *user);
    /* The send queue fell below low water after it had passed high water; once per crossing. */
    void (*on_drain)(ln_conn *c, void *user);
    /* Something went wrong that did not come from a call of yours: `err` and a static sentence.
     * on_close follows if fatal. */
    void (*on_error)(ln_conn *c, int err, const char *what, void *user);
    void (*on_close)(ln_conn *c, const ln_close_info *info, void *user);
    void *user;
} ln_ws_handlers;

/* What to do with a message that does not fit into the send queue. */
enum ln_overflow {
    /* the call returns LN_ERR_WOULD_EXCEED; a published message is dropped */
    LN_OVERFLOW_REFUSE = 0,
    LN_OVERFLOW_DROP_NEWEST = 1, /* this message is dropped and counted */
    LN_OVERFLOW_DROP_OLDEST = 2, /* whole messages not yet begun are dropped from the front */
    LN_OVERFLOW_CLOSE = 3,       /* the connection is closed with 1008 "too slow" */
    /* of messages not yet begun, one with the same key (ln_conn_send_latest()) gives way to the newer,
     * which goes to the end; when that is not enough, as DROP_OLDEST */
    LN_OVERFLOW_KEEP_LATEST = 4
};

/* Limits and habits of an endpoint or client. 0 = the default (doc/limits.md); LN_OFF = none, where
 * that is allowed. */
#define LN_OFF UINT32_MAX
typedef struct ln_ws_options {
    const char *subprotocols; /* ours in order of preference, comma separated; NULL = none */
    /* server: allowed origins, comma separated, "*" = all; NULL = same origin */
    const char *origins;
    uint32_t message_max_bytes;  /* whole message, after inflating */
    uint32_t frame_max_bytes;    /* one frame on the wire */
    uint32_t fragments_max;      /* frames of one message */
    uint32_t control_per_second; /* pings and pongs a peer may send; burst is four times that */
    uint32_t handshake_ms;       /* from accept or connect to open */
    uint32_t ping_interval_ms;   /* silence before a ping is sent */
    uint32_t pong_wait_ms;       /* silence after a ping before the peer counts as lost */
    /* without a message from the peer before it is closed with 1000 "idle" */
    uint32_t idle_ms;
    uint32_t close_wait_ms;    /* for flushing, and for the peer's close frame, together */
    uint32_t queue_max_bytes;  /* send queue: no message is begun beyond it */
    uint32_t high_water_bytes; /* on_drain is armed above this */
    uint32_t low_water_bytes;  /* and fires below this */
    enum ln_overflow overflow;
    bool deflate; /* permessage-deflate (RFC 7692) */
    /* keep compression contexts between messages: smaller, but memory per connection */
    bool deflate_context_takeover;
    uint32_t deflate_min_bytes; /* smaller messages are sent as they are */
    bool trust_text;            /* do not check the UTF-8 of text that we send */
    /* send queue: messages accepted and not yet given to the system (over TLS: encrypted). A full
     * one is above high water, and on_drain wants half of them gone as well */
    uint32_t queue_max_messages;
} ln_ws_options;

/* The send queue of one connection; 0 = as its endpoint has it, LN_OFF as there. */
typedef struct ln_queue_options {
    enum ln_overflow overflow; /* LN_OVERFLOW_REFUSE, being 0, is the endpoint's as well */
    uint32_t max_bytes;
    uint32_t max_messages;
    uint32_t high_water_bytes;
    uint32_t low_water_bytes;
} ln_queue_options;

/* Identity and state. */
LN_API ln_conn_id ln_conn_get_id(const ln_conn *c);
LN_API ln_server *ln_conn_server(const ln_conn *c); /* NULL on a client */
LN_API ln_loop *ln_conn_loop(const ln_conn *c);
LN_API ln_span ln_conn_subprotocol(const ln_conn *c); /* empty if none was chosen */
/* as ln_request_remote(); borrowed until the next call */
LN_API ln_span ln_conn_remote(const ln_conn *c);

/*
 * Queues one message; the bytes are copied or sent before it returns.
 *
 * 0: queued or sent. 1: the same, and the queue is above high water: better wait for on_drain.
 * LN_ERR_WOULD_EXCEED, LN_ERR_DROPPED: queue full, by policy. LN_ERR_CLOSED: closing or closed.
 * LN_ERR_BUSY: between the pieces of a fragmented send. LN_ERR_INVALID: kind, or text that is not
 * UTF-8. LN_ERR_NOMEM.
 */
LN_API int ln_conn_send(ln_conn *c, enum ln_kind kind, ln_span data);

/*
 * The same for a state of which only the latest counts, under the name `key` (any bytes; those of a
 * topic name its publications as well). Matters with LN_OVERFLOW_KEEP_LATEST; otherwise, and with an
 * empty key, it is ln_conn_send().
 */
LN_API int ln_conn_send_latest(ln_conn *c, ln_span key, enum ln_kind kind, ln_span data);

/* The next piece of a fragmented message (RFC 6455 5.4); `kind` counts on the first. Results as
 * ln_conn_send(). */
LN_API int ln_conn_send_piece(ln_conn *c, enum ln_kind kind, ln_span data, bool is_last);

/* A ping with up to 125 bytes (RFC 6455 5.5.2). Goes beyond the queue's limit, as all control frames
 * do, by a few KiB: then LN_ERR_WOULD_EXCEED. LN_ERR_INVALID, LN_ERR_CLOSED. */
LN_API int ln_conn_ping(ln_conn *c, ln_span data);

/*
 * Begins the closing handshake. `code`: 1000-1003, 1007-1014, 3000-4999, or 0 for a close frame
 * without one. `reason`: UTF-8, up to 123 bytes. LN_ERR_INVALID; a second call does nothing and
 * returns LN_ERR_CLOSED.
 */
LN_API int ln_conn_close(ln_conn *c, uint16_t code, ln_span reason);

/* Ends the connection now: nothing more is sent. on_close reports 1006. */
LN_API void ln_conn_abort(ln_conn *c);

/* Stops reading, so that TCP holds the peer back; a message being handled still ends. Resuming
 * twice is harmless. */
LN_API void ln_conn_pause(ln_conn *c);
LN_API void ln_conn_resume(ln_conn *c);

/* Bytes queued and not yet given to the system. */
LN_API size_t ln_conn_queued_bytes(const ln_conn *c);

/*
 * Another send queue for this connection than its endpoint's, from the next message on; NULL = the
 * endpoint's again. What is queued stays, and counts as messages only if it was counted before.
 * LN_ERR_INVALID: out of range, or low above high water or high water above the maximum;
 * LN_ERR_CLOSED, LN_ERR_NOMEM.
 */
LN_API int ln_conn_set_queue(ln_conn *c, const ln_queue_options *options);

typedef struct ln_queue_state {
    size_t bytes;
    /* where their number is bounded; else those that may still be dropped */
    uint32_t messages;
    uint64_t age_ms; /* for how long something waits and nothing has left */
} ln_queue_state;

LN_API void ln_conn_queue_get(const ln_conn *c, ln_queue_state *state);

/* A pointer of yours. */
LN_API void *ln_conn_user(const ln_conn *c);
LN_API void ln_conn_set_user(ln_conn *c, void *user);

/* Typed metadata: small facts about a connection, by name; copied in, gone after on_close. */
enum ln_value_type {
    LN_VALUE_NONE = 0,
    LN_VALUE_INT = 1,
    LN_VALUE_REAL = 2,
    LN_VALUE_TEXT = 3,
    LN_VALUE_POINTER = 4
};
typedef struct ln_value {
    enum ln_value_type type;
    union {
        int64_t integer;
        double real;
        ln_span text;
        void *pointer;
    } as;
} ln_value;

/* Sets (copies), or with LN_VALUE_NONE removes, `key`. LN_ERR_LIMIT: too many or too long.
 * LN_ERR_NOMEM. */
LN_API int ln_conn_set(ln_conn *c, const char *key, ln_value value);
/* The value of `key`; type LN_VALUE_NONE if absent. Text is borrowed until the key is set again or
 * on_close. */
LN_API ln_value ln_conn_get(const ln_conn *c, const char *key);

#ifdef __cplusplus
}
#endif
#endif
