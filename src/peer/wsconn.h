/* SPDX-License-Identifier: MIT */
/*
 * wsconn - a connection: a stream, the WebSocket machine, and what lies between them and the
 * handlers.
 *
 * One object for a connection's whole life. While it speaks HTTP it has an ln_exchange beside it,
 * which goes away with the upgrade.
 *
 * Phases                       left by
 *   LN_CONN_HTTP               101 sent or received -> OPEN; anything else -> ENDING
 *   LN_CONN_OPEN               the machine's CLOSED event -> ENDING (on_close has been called)
 *   LN_CONN_ENDING             output flushed, FIN sent, peer's FIN seen, or the deadline -> GONE
 *   LN_CONN_GONE               the stream's on_closed: memory is freed
 *
 * Handlers are called from four places only: bytes received, the end of the stream, the timer, and
 * the flush at the end of a turn. A call of the application only changes the machine and corks the
 * stream, so nothing is ever re-entered.
 */
#ifndef LN_WSCONN_H
#define LN_WSCONN_H

#include "net/stream.h"
#include "site.h"

typedef struct ln_exchange ln_exchange;
typedef struct ln_conn_more ln_conn_more;

/* An ln_conn_id is the name in its worker's slots, and the worker above it. */
#define LN_CONN_WORKER_SHIFT 56
#define LN_CONN_NAME_MASK    ((UINT64_C(1) << LN_CONN_WORKER_SHIFT) - 1)

enum {
    /* After an HTTP answer that ends the connection: for the peer to take it and to leave. */
    LN_CONN_LINGER_MS = 5000,
    /* What a connection that is shed may keep, for its close frame to come behind it. */
    LN_CONN_SHED_KEEPS_BYTES = 131072,
    LN_CONN_PINGS_MAX_BYTES = 4096 /* of ours beyond a full queue */
};

enum { LN_CONN_HTTP, LN_CONN_OPEN, LN_CONN_ENDING, LN_CONN_GONE };

enum {
    LN_CONN_ABOVE_HIGH = 0x01, /* on_drain is owed */
    LN_CONN_PAUSED = 0x02,
    LN_CONN_PEER_ENDED = 0x08, /* nothing more will be received */
    LN_CONN_FIN_SENT = 0x10,
    LN_CONN_ANNOUNCED = 0x20,   /* on_open was called: on_close is owed */
    LN_CONN_SKIPS_FLUSH = 0x40, /* reset: what is queued does not matter any more */
    LN_CONN_WATCHED = 0x80      /* hooks->on_room is owed */
};

struct ln_conn {
    ln_stream stream;
    ln_timer timer;
    ln_ws ws;
    union {
        ln_home *home;    /* until ws.config leads to it */
        void *attachment; /* then: what the floors above hang on */
    } as;
    union {
        ln_exchange *http; /* until ws.config is set; NULL: a client's */
        void *user;        /* then */
    } of;
    ln_conn_more *more; /* what few connections have */
    uint64_t id;
    uint32_t laggard; /* in home->laggards, while output waits; 0 = none does */
    uint8_t phase;
    uint8_t flags;
    int8_t error; /* enum ln_err for ln_close_info, or 0 */
};

/* What few connections have; made on first need. */
struct ln_conn_more {
    ln_span subprotocol; /* in the endpoint's memory */
    ln_buf stash;        /* received and not yet fed, from stash_at on: while it is paused */
    size_t stash_at;
    struct ln_meta *meta;
    struct ln_sendq *waiting;   /* messages one by one, where that is needed */
    ln_queue_options queue;     /* ln_conn_set_queue() */
    struct ln_sendwait *parked; /* threads that wait for room in the queue */
    bool has_queue;
    void (*on_free)(ln_conn *c, void *owner); /* a client is told when the memory goes */
    void *owner;
};

/* A connection over a connected descriptor, speaking HTTP first; `http` is made by the caller's
 * exchange functions. */
LN_INLINE ln_conn *ln_conn_of_stream(ln_stream *s)
{
    return LN_CONTAINER_OF(s, ln_conn, stream);
}

LN_INLINE ln_site *ln_conn_site(const ln_conn *c)
{
    return LN_CONTAINER_OF(c->ws.config, ln_site, config);
}

LN_INLINE ln_home *ln_conn_home(const ln_conn *c)
{
    return c->ws.config == NULL ? c->as.home : ln_conn_site(c)->home;
}

extern const ln_stream_ops ln_conn_ops;

/* A zeroed connection of `home` in phase HTTP, with a slot if the home has slots. NULL when out of
 * memory or slots. */
ln_conn *ln_conn_new(ln_home *home);

/* Frees one that never got a stream, or whose stream is closed. */
void ln_conn_free(ln_conn *c);

/* c->more, made on first need; NULL when out of memory. */
ln_conn_more *ln_conn_need_more(ln_conn *c);

/*
 * The handshake is done: becomes a WebSocket of `site`. `deflate` is taken over. `rest`: bytes that
 * came right behind it. The output that the exchange has queued goes first. Calls on_open.
 */
void ln_conn_upgrade(ln_conn *c, ln_site *site, ln_deflate *deflate, const ln_request *request,
                     void *user);

/* HTTP phase: the exchange is finished with; flush its output, then end. */
void ln_conn_finish(ln_conn *c);

/*
 * Its queue has to go, now: what is not under way is let go of, and the close frame (1013) goes behind
 * the rest if that is little; else, or if it was closing already, it is reset. Calls no handler.
 */
void ln_conn_shed(ln_conn *c);

/* Ends without a goodbye, from any phase; on_close, if owed, comes at the end of the turn and
 * reports `error`. */
void ln_conn_drop(ln_conn *c, int error);

/* The end of one that was dropped, at once: on_close, if owed, comes from here. From inside a handler
 * of it, too, whose message stays. */
void ln_conn_end(ln_conn *c);

/* Received bytes wait to be fed; until they have been, the stream is not resumed. */
LN_INLINE bool ln_conn_has_stash(const ln_conn *c)
{
    return c->more != NULL && c->more->stash.size > 0;
}

/* WebSocket bytes, writable: feed, handle, keep what a paused connection cannot take. */
void ln_conn_feed(ln_conn *c, uint8_t *bytes, size_t n);

/*
 * Everything that may have to happen after something happened: events of calls, output, deadlines,
 * the end. Called after a completed send, a tick, and once at the end of a turn in which the
 * application did something or bytes came.
 */
void ln_conn_settle(ln_conn *c);

/* Gives the stream what it takes. */
void ln_conn_push(ln_conn *c);

/* Moves messages that wait into the machine while it has less than `below_bytes` to do. For a
 * connection with `more`. */
void ln_conn_refill(ln_conn *c, size_t below_bytes);

/* `n` bytes of the output are gone. */
void ln_conn_sent(ln_conn *c, size_t n);

/* Sets the timer to the earliest thing that is due. */
void ln_conn_arm(ln_conn *c);

/* Something was queued or changed: everything else happens at the end of the turn. */
LN_INLINE void ln_conn_touch(ln_conn *c)
{
    ln_stream_cork(&c->stream);
}

/*
 * Queues a shared frame, by the connection's overflow policy; as ln_conn_send(), or, with the name of
 * what it is the latest of (a topic's), as ln_conn_send_latest().
 */
int ln_conn_send_block(ln_conn *c, ln_block *frame);
int ln_conn_send_block_latest(ln_conn *c, ln_block *frame, ln_span name);

/*
 * Just now a frame has found no room. True: no larger one will, and will be refused or dropped
 * likewise, until hooks->on_room is called. False: nobody knows.
 */
bool ln_conn_watch_room(ln_conn *c);

/* The slot for the floors above. */
LN_INLINE void *ln_conn_attachment(const ln_conn *c)
{
    return c->as.attachment;
}

LN_INLINE void ln_conn_attach(ln_conn *c, void *attachment)
{
    c->as.attachment = attachment;
}

#endif
