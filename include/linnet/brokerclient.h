/* SPDX-License-Identifier: MIT */
/*
 * linnet/brokerclient.h - a client of a broker (WebSocketMQ): publish and subscribe, requests both
 * ways, registered under a name, and connected again after every loss.
 *
 * States                         left by
 *   LN_BROKER_CLIENT_CONNECTING  registered -> OPEN; anything else -> WAITING or STOPPED
 *   LN_BROKER_CLIENT_OPEN        the connection ends -> WAITING or STOPPED
 *   LN_BROKER_CLIENT_WAITING     the back-off, with full jitter, is over -> CONNECTING
 *   LN_BROKER_CLIENT_STOPPED     for good
 *
 * Promises
 *   1. A request ends exactly once: answered, refused, timed out, lost with its connection, or
 *      cancelled. None is ever sent twice.
 *   2. After each connecting it registers, then subscribes to what it is subscribed to, then sends
 *      what has waited, in the order of the calls.
 *   3. What waits is bounded in number, bytes and age; what is refused or dropped is counted.
 *
 * Three ways to run it
 *   on a loop of yours        ln_broker_client_new(loop, ...) and ln_loop_run(loop)
 *   on a thread of its own    ln_broker_client_new(NULL, ...); ln_broker_client_wait_open() and
 *                             ln_broker_client_request_wait() block the caller
 *   inside a foreign loop     as the first, with ln_loop_fd(), ln_loop_timeout_ms() and
 *                             ln_loop_turn(loop, 0)
 *
 * Handlers run on the thread of the loop, one at a time; each may call any function here, but the
 * two that block, and ln_broker_client_free() if the thread is the client's own. Functions are for
 * any thread, unless they say otherwise.
 */
#ifndef LINNET_BROKERCLIENT_H
#define LINNET_BROKERCLIENT_H

#include <linnet/client.h>
#include <linnet/json.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct ln_broker_client ln_broker_client;

enum ln_broker_client_state {
    LN_BROKER_CLIENT_CONNECTING = 1,
    LN_BROKER_CLIENT_OPEN = 2,
    LN_BROKER_CLIENT_WAITING = 3,
    LN_BROKER_CLIENT_STOPPED = 4
};

/* What it speaks; a server tells them apart. */
enum ln_broker_client_wire {
    LN_BROKER_CLIENT_FLAT = 0,  /* {"id","type","topic","payload"} */
    LN_BROKER_CLIENT_HEADED = 1 /* the older {"header","body"} */
};

typedef struct ln_broker_client_options {
    enum ln_broker_client_wire wire;
    /* How others will know it. */
    const char *id;   /* what it asks to be called; NULL = 32 random hexadecimal digits */
    const char *name; /* for people; NULL = the server's choice */
    const char *type; /* NULL = "generic" */
    const char *page; /* where it can be looked at, a URL; NULL = none */

    const ln_client_header *headers; /* as ln_client_options, like the next two */
    size_t header_count;
    const char *origin;
    const ln_tls_options *tls;
    ln_ws_options ws; /* message_max_bytes: 0 = 2 MiB; overflow does not count */
    /*
     * Asked before each attempt to connect, the first one from inside ln_broker_client_new(): what
     * goes behind "Authorization: Bearer ". Borrowed until asked again; NULL = none this time.
     */
    const char *(*token)(ln_broker_client *client, void *user);

    bool is_one_shot; /* the first failure, or loss, stops it */
    uint32_t reconnect_base_ms;
    uint32_t reconnect_max_ms;
    uint32_t reconnect_attempts; /* in a row, before it stops; 0 = no end */

    uint32_t request_ms;         /* a request ends, unless it says otherwise */
    uint32_t requests_max;       /* that have not ended */
    uint32_t queue_max_messages; /* that wait to be sent: offline, or for another thread */
    uint32_t queue_max_bytes;    /* of them */
    uint32_t queue_max_ms;       /* a publication that has waited longer is dropped */

    /* A change of state; `wait_ms`: WAITING only, until it connects again. */
    void (*on_state)(ln_broker_client *client, enum ln_broker_client_state state, int64_t wait_ms,
                     void *user);
    /*
     * What no call of yours tells: an attempt failed (errors of ln_client_options.on_failure), the
     * connection ended (LN_ERR_CLOSED: the server closed it; LN_ERR_RESET and others: it broke), the
     * server refused the registration, a subscription or a publication (LN_ERR_REFUSED), does not
     * answer the registration (LN_ERR_TIMEOUT), or sent what is none of its protocol
     * (LN_ERR_PROTOCOL); and a sentence about it, borrowed until the handler returns.
     */
    void (*on_error)(ln_broker_client *client, int err, const char *what, void *user);
    void *user;

    /* For a thread of its own: its loop. Back end, allocator, log. NULL = all defaults. */
    const ln_loop_options *loop;

    /*
     * Stops when the server answers an attempt with an HTTP status that waiting does not change:
     * below 500, but for 408, 425 and 429; as long as none has succeeded. Afterwards such a status may
     * come from a proxy while the server is away, and it goes on.
     */
    bool stops_if_refused;
} ln_broker_client_options;

/*
 * A client of "ws://host[:port]/path" or "wss://...", which starts to connect at once; owned. `loop`
 * must outlive it; NULL = on a thread of its own. Everything is copied. The thread of the loop, or
 * before it runs. LN_ERR_INVALID (URL, header, a limit), LN_ERR_TLS, LN_ERR_DESCRIPTORS,
 * LN_ERR_NOMEM.
 */
LN_API int ln_broker_client_new(ln_loop *loop, const char *url,
                                const ln_broker_client_options *options, ln_broker_client **client);

/*
 * Says goodbye for good: what was called before and can be sent is, all else is dropped, requests
 * end with LN_ERR_CLOSED. on_state tells STOPPED when the connection is closed.
 */
LN_API void ln_broker_client_stop(ln_broker_client *client);

/*
 * Stops if need be and frees; no thread may be inside a call for it, no ticket of it be used later.
 * With a thread of its own it waits for the goodbye; on a loop of yours, where it must be called on
 * its thread or when that does not run, there is none: stop, and wait for STOPPED, if you want one.
 * Accepts NULL.
 */
LN_API void ln_broker_client_free(ln_broker_client *client);

LN_API enum ln_broker_client_state ln_broker_client_state_get(const ln_broker_client *client);

/*
 * The name it has at the server, or, before the first registration, the one it will ask for: into
 * `buffer` of `size` bytes, NUL-terminated. Its length; LN_ERR_LIMIT if it does not fit.
 */
LN_API int ln_broker_client_id(const ln_broker_client *client, char *buffer, size_t size);

/*
 * Blocks until it is open. LN_ERR_TIMEOUT; LN_ERR_CLOSED: it has stopped; LN_ERR_STATE: on the
 * thread of the loop, which would wait for itself.
 */
LN_API int ln_broker_client_wait_open(ln_broker_client *client, uint32_t timeout_ms);

/* ---- requests ---- */

/* How a request of ours ended. Spans are borrowed until the handler returns. */
typedef struct ln_broker_client_reply {
    /*
     * 0: `payload`. LN_ERR_REFUSED: the other side answered with an error, `code` and `message`.
     * LN_ERR_TIMEOUT: with nothing. LN_ERR_RESET: the connection was lost after it had been sent;
     * whether it was carried out is unknown. LN_ERR_CLOSED: the client was stopped. LN_ERR_NOMEM
     * (ln_broker_client_request_wait() only): there was no memory to hand the answer over.
     */
    int error;
    ln_span payload; /* JSON; empty if the answer had none */
    int64_t code;    /* 404: nobody serves the topic; 400: the payload is wrong; 500: it failed */
    ln_span message; /* plain text */
} ln_broker_client_reply;

typedef void ln_broker_client_reply_handler(const ln_broker_client_reply *reply, void *user);

/* What is asked, and of whom. Copied. */
typedef struct ln_broker_client_order {
    ln_span topic;
    ln_span payload; /* JSON; empty = none */
    ln_span target;  /* the id of another client, which the server asks for us; empty = itself */
    uint32_t timeout_ms;                      /* from now; 0 = the client's request_ms */
    ln_broker_client_reply_handler *on_reply; /* once, unless it is cancelled; NULL = ignored */
    void *user;
} ln_broker_client_order;

/*
 * Asks. While the client is not open it waits in the queue. `request` may be NULL; else it gets the
 * name to cancel it by. An error here means that on_reply does not come: LN_ERR_INVALID (no topic,
 * no UTF-8, no JSON, timeout), LN_ERR_LIMIT (requests_max), LN_ERR_WOULD_EXCEED (the queue is full),
 * LN_ERR_CLOSED (stopped), LN_ERR_NOMEM.
 */
LN_API int ln_broker_client_request(ln_broker_client *client, const ln_broker_client_order *order,
                                    uint64_t *request);

/*
 * The same, and returns when it has ended: with reply.error, on_reply having run on the calling
 * thread. Any thread but that of the loop, which has to run: LN_ERR_STATE.
 */
LN_API int ln_broker_client_request_wait(ln_broker_client *client,
                                         const ln_broker_client_order *order);

/*
 * Takes a request back: on_reply does not come any more. The server is not told; it may carry it out
 * and answer all the same. LN_ERR_NOT_FOUND: it has ended, or is about to.
 */
LN_API int ln_broker_client_cancel(ln_broker_client *client, uint64_t request);

/* ---- topics ---- */

/*
 * Publishes to all who are subscribed, itself included. `payload`: JSON, or empty. 0: sent, or
 * waiting to be. LN_ERR_INVALID, LN_ERR_WOULD_EXCEED (the queue is full; counted), LN_ERR_CLOSED,
 * LN_ERR_NOMEM.
 */
LN_API int ln_broker_client_publish(ln_broker_client *client, ln_span topic, ln_span payload);

/* `topic` is that of the publication, also for a filter. Borrowed until the handler returns. */
typedef void ln_broker_client_handler(ln_broker_client *client, ln_span topic, ln_span payload,
                                      void *user);

/*
 * Hands on what is published to a topic or a filter (linnet/topic.h), now and after each
 * reconnecting. There may be several handlers for one, called in the order in which they came.
 * `subscription` may be NULL. LN_ERR_INVALID, LN_ERR_LIMIT (doc/limits.md), LN_ERR_WOULD_EXCEED,
 * LN_ERR_CLOSED, LN_ERR_NOMEM.
 */
LN_API int ln_broker_client_subscribe(ln_broker_client *client, ln_span topic,
                                      ln_broker_client_handler *handler, void *user,
                                      uint64_t *subscription);

/*
 * Ends one of them: from inside a handler at once, also for the publication it was called for; from
 * another thread soon. LN_ERR_NOT_FOUND (on the thread of the loop), LN_ERR_WOULD_EXCEED,
 * LN_ERR_CLOSED, LN_ERR_NOMEM.
 */
LN_API int ln_broker_client_unsubscribe(ln_broker_client *client, uint64_t subscription);

/* ---- being asked ---- */

/* Where an answer goes. Copy it to answer later. The members are linnet's. */
typedef struct ln_broker_client_ticket {
    ln_broker_client *client;
    uint64_t serial;
} ln_broker_client_ticket;

/* A request of the server, or of a client through it. Borrowed until the handler returns. */
typedef struct ln_broker_client_call {
    ln_span topic;
    ln_span payload; /* JSON, as received; empty if there was none */
    ln_broker_client_ticket ticket;
} ln_broker_client_call;

/*
 * Returns 0 when it has answered (without an answer it is one without a payload), LN_ERR_AGAIN to
 * answer later, LN_ERR_INVALID for a payload that is wrong (400); any other error is answered with
 * 500 and what ln_strerror() says.
 */
typedef int ln_broker_client_service(const ln_broker_client_call *call, void *user);

/*
 * Serves a topic; replaces who did so far; NULL ends it. What nobody serves is answered with 404.
 * LN_ERR_INVALID, LN_ERR_LIMIT, LN_ERR_WOULD_EXCEED, LN_ERR_CLOSED, LN_ERR_NOMEM.
 */
LN_API int ln_broker_client_serve(ln_broker_client *client, ln_span topic,
                                  ln_broker_client_service *service, void *user);

/*
 * Answers, once: with a result (JSON, or empty), or with an error, whose `message` is plain text.
 * Copied. LN_ERR_NOT_FOUND: it was answered already, or its connection is gone. LN_ERR_INVALID: no
 * JSON, no UTF-8; it is not answered by that. LN_ERR_WOULD_EXCEED, LN_ERR_NOMEM.
 */
LN_API int ln_broker_client_result(const ln_broker_client_ticket *ticket, ln_span result);
LN_API int ln_broker_client_error(const ln_broker_client_ticket *ticket, int code, ln_span message);

/* ---- figures ---- */

typedef struct ln_broker_client_stats {
    uint64_t connects_total;  /* attempts */
    uint64_t opened_total;    /* registrations */
    uint64_t requests;        /* that have not ended */
    uint64_t requests_total;  /* sent */
    uint64_t replies_total;   /* answered, with errors too */
    uint64_t timeouts_total;  /* requests without an answer */
    uint64_t lost_total;      /* requests that were lost with a connection */
    uint64_t strays_total;    /* answers to no request of ours, or too late */
    uint64_t published_total; /* sent */
    uint64_t received_total;  /* publications */
    uint64_t unwanted_total;  /* publications that nobody here is subscribed to */
    uint64_t served_total;    /* requests of the server */
    uint64_t unserved_total;  /* of them without a handler, or beyond what may be due */
    uint64_t malformed_total; /* messages that are none of the protocol */
    uint64_t queued;          /* messages that wait to be sent */
    uint64_t refused_total;   /* publications that the full queue did not take */
    uint64_t dropped_total;   /* publications that waited too long, or until the end */
} ln_broker_client_stats;

/* Fills *stats; the numbers are a moment's. */
LN_API void ln_broker_client_stats_get(const ln_broker_client *client,
                                       ln_broker_client_stats *stats);

#ifdef __cplusplus
}
#endif
#endif
