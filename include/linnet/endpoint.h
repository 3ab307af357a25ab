/* SPDX-License-Identifier: MIT */
/*
 * linnet/endpoint.h - one end of a WebSocket connection without any I/O: for programs that have
 * sockets, a loop and a clock of their own. The opening handshake, the messages, the closing
 * handshake; no thread, no descriptor, no callback.
 *
 * Bytes that you received go in with ln_endpoint_feed(); events come out with ln_endpoint_next();
 * what you want to say goes in with ln_endpoint_send() and its kin; bytes to send come out with
 * ln_endpoint_pull(), and ln_endpoint_sent() tells how many are gone. Time is an argument: call
 * ln_endpoint_tick() when ln_endpoint_deadline() has come.
 *
 *     received -> feed -> next (until false) -> pull -> your socket -> sent
 *
 * examples/embed.c is an echo server on poll(). Not thread-safe; one thread at a time for each
 * endpoint.
 */
#ifndef LINNET_ENDPOINT_H
#define LINNET_ENDPOINT_H

#include <linnet/client.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct ln_endpoint ln_endpoint;

enum ln_event_type {
    /* server: an upgrade that is in order asks for admission; accept or refuse it */
    LN_EVENT_REQUEST = 1,
    LN_EVENT_OPEN = 2,    /* the handshake is done */
    LN_EVENT_MESSAGE = 3, /* a whole message */
    LN_EVENT_PIECE = 4,   /* the same in pieces, if the endpoint streams */
    LN_EVENT_PING = 5,    /* has been answered */
    LN_EVENT_PONG = 6,
    /* last, once, after OPEN: `close` says how it ended; send what is left to pull, then close */
    LN_EVENT_CLOSED = 7,
    /* last, once, instead of OPEN: `error`, `status`; send what is left to pull, then close */
    LN_EVENT_FAILED = 8
};

/* Spans are borrowed until the next call of next, feed, tick or eof; `close.reason` likewise. */
typedef struct ln_event {
    enum ln_event_type type;
    ln_message message;  /* MESSAGE, PIECE */
    ln_span data;        /* PING, PONG; REQUEST: the target, as received; FAILED: a sentence */
    ln_close_info close; /* CLOSED */
    int error;           /* FAILED: LN_ERR_HANDSHAKE, LN_ERR_REFUSED, LN_ERR_TIMEOUT, ... */
    unsigned status;     /* FAILED: the HTTP status received or answered; 0 if there was none */
} ln_event;

typedef struct ln_endpoint_options {
    ln_ws_options ws;                /* limits, subprotocols, origins, permessage-deflate */
    bool streams;                    /* data comes as LN_EVENT_PIECE */
    bool is_secure;                  /* server: the transport is TLS; for the same-origin rule */
    const ln_client_header *headers; /* client: more header fields */
    size_t header_count;
    const char *origin; /* client */
    const ln_allocator *allocator;
    /* Unpredictable bytes for keys and masks; NULL = the system's generator. */
    void (*random)(void *user, void *bytes, size_t n);
    void *random_user;
} ln_endpoint_options;

/* `now_ms`: your monotonic clock, the same in all calls. Owned. LN_ERR_INVALID, LN_ERR_NOMEM. */
LN_API int ln_endpoint_new_server(const ln_endpoint_options *options, uint64_t now_ms,
                                  ln_endpoint **endpoint);

/* The request is ready to be pulled. The URL's host and port are yours to connect to (and to
 * secure). */
LN_API int ln_endpoint_new_client(const char *url, const ln_endpoint_options *options,
                                  uint64_t now_ms, ln_endpoint **endpoint);

/* In any state; accepts NULL. */
LN_API void ln_endpoint_free(ln_endpoint *endpoint);

/*
 * Received bytes, which are changed in place. How many were used: fewer than `size` means that an
 * event is ready; take it and feed the rest. After the last event everything is used and forgotten.
 */
LN_API size_t ln_endpoint_feed(ln_endpoint *endpoint, void *bytes, size_t size, uint64_t now_ms);

/* The next event; false if there is none. Always ask until false. */
LN_API bool ln_endpoint_next(ln_endpoint *endpoint, ln_event *event);

/* A header field of the peer's handshake, between REQUEST or OPEN and the next feed; data NULL if
 * absent. */
LN_API ln_span ln_endpoint_header(const ln_endpoint *endpoint, const char *name);

/* Server, after REQUEST. Refusing ends it: `status` 400-599. LN_ERR_STATE, LN_ERR_INVALID,
 * LN_ERR_NOMEM. */
LN_API int ln_endpoint_accept(ln_endpoint *endpoint, uint64_t now_ms);
LN_API int ln_endpoint_refuse(ln_endpoint *endpoint, unsigned status);

/* The subprotocol agreed upon; empty if none. */
LN_API ln_span ln_endpoint_subprotocol(const ln_endpoint *endpoint);

/* As ln_conn_send(), ln_conn_send_piece(), ln_conn_ping(), ln_conn_close(), but without a queue
 * limit: see _queued(). */
LN_API int ln_endpoint_send(ln_endpoint *endpoint, enum ln_kind kind, ln_span data);
LN_API int ln_endpoint_send_piece(ln_endpoint *endpoint, enum ln_kind kind, ln_span data,
                                  bool is_last);
LN_API int ln_endpoint_ping(ln_endpoint *endpoint, ln_span data);
LN_API int ln_endpoint_close(ln_endpoint *endpoint, uint16_t code, ln_span reason, uint64_t now_ms);

/* Up to `max` spans to be sent, in order, borrowed until sent(); their number. Then: how many bytes
 * of them are gone. */
LN_API int ln_endpoint_pull(const ln_endpoint *endpoint, ln_span *spans, int max);
LN_API void ln_endpoint_sent(ln_endpoint *endpoint, size_t size);
LN_API size_t ln_endpoint_queued(const ln_endpoint *endpoint);

/* When tick() is due; UINT64_MAX = never. Ask again after every feed and send. */
LN_API uint64_t ln_endpoint_deadline(const ln_endpoint *endpoint);
LN_API void ln_endpoint_tick(ln_endpoint *endpoint, uint64_t now_ms);

/* The transport has ended; the last event follows unless it was given. Take what next() has first:
 * it is lost else. */
LN_API void ln_endpoint_eof(ln_endpoint *endpoint);

#ifdef __cplusplus
}
#endif
#endif
