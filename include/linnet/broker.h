/* SPDX-License-Identifier: MIT */
/*
 * linnet/broker.h - the broker dialect: publish and subscribe, and calls in both directions, in JSON.
 *
 *   {"id":"1","type":"request","topic":"t","payload":...,"error":{"code":404,"message":"..."}}
 *
 * What happens at which message, and the older generation of clients, is in doc/broker.md. A client
 * may subscribe to any topic or filter (linnet/topic.h) and publish to any topic, itself included
 * among those who are told; it calls what is handled here under a topic, lists other clients
 * (system:list_clients), says who it is (system:register), and, where that is allowed, calls them
 * (system:proxy).
 *
 * Publications are messages like any others of the server: subscribers of other dialects get the
 * payload, and what those publish comes here as a publish envelope: text that is JSON as it is,
 * other text as a string, bytes as a string in base64.
 *
 * Nothing that was sent or asked outlives its connection: a call ends once, and is not made again
 * for a client that comes back.
 *
 * Handlers of a client run on its loop, one at a time, between on_connect and on_disconnect;
 * ln_conn_user() is theirs. A client is thrown out with ln_close() (linnet/server.h).
 */
#ifndef LINNET_BROKER_H
#define LINNET_BROKER_H

#include <linnet/rpc.h>
#include <linnet/topic.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct ln_broker ln_broker;

/* Codes of errors that answer a request; a handler may use others, and those of linnet/rpc.h, which
 * become these. */
enum ln_broker_code {
    LN_BROKER_BAD_REQUEST = 400, /* "Invalid request payload: ..." */
    LN_BROKER_FORBIDDEN = 403,
    LN_BROKER_NOT_FOUND = 404, /* "No handler for topic: ..." */
    LN_BROKER_FAILED = 500,    /* the handler's own words */
    LN_BROKER_BUSY = 503       /* too many requests of this client have no answer yet */
};

/* A client as others see it. Spans are borrowed until the function that was given it returns. */
typedef struct ln_broker_info {
    ln_conn_id conn;
    ln_span id; /* what others name it by: no other one has it while it is connected */
    ln_span
        session_id; /* what it calls itself, which others may, too; empty until it has said so */
    ln_span name;
    ln_span type; /* "browser", ...; "unknown" until it says so */
    ln_span url;
    bool is_registered;
} ln_broker_info;

enum ln_broker_act {
    LN_BROKER_SUBSCRIBE = 1,
    LN_BROKER_PUBLISH = 2,
    LN_BROKER_LIST = 3, /* other clients */
    LN_BROKER_PROXY = 4 /* to call another client */
};

/* What a client wants to do. Borrowed until the function returns. */
typedef struct ln_broker_wish {
    enum ln_broker_act act;
    ln_conn *conn;  /* who */
    ln_span topic;  /* empty for LN_BROKER_LIST; to subscribe also a filter: who may have `>` reads
                     * everything, whatever is refused by name (ln_rules_explain() knows filters) */
    ln_span target; /* LN_BROKER_PROXY: the id of the client to be called; else empty */
} ln_broker_wish;

/* Every member may be 0 or NULL. */
typedef struct ln_broker_options {
    /* May it? NULL: everything but LN_BROKER_PROXY. */
    bool (*allow)(const ln_broker_wish *wish, void *user);
    /* Before the client is open: the place to refuse it, see ln_ws_handlers.on_request. */
    void (*on_request)(ln_request *request, void *user);
    void (*on_connect)(ln_conn *c, const ln_request *request, void *user);
    /* It has said who it is; again whenever it does so again. */
    void (*on_registered)(ln_conn *c, const ln_broker_info *client, void *user);
    void (*on_disconnect)(ln_conn *c, const ln_broker_info *client, const ln_close_info *info,
                          void *user);
    void *user;
    uint32_t request_ms; /* how long a client may take to answer; 0 = 10 s */
    /* Publications that a client may lose, without having caught up between them, until it is
     * closed with 1008 "too many dropped messages"; 0 = 3, LN_OFF = any number. */
    uint32_t drops_max;
    /*
     * Limits and origins. What is 0 there has this dialect's default: a ping each 30 s, numbered,
     * and half of that to answer it, else 1008 "ping failure". NULL = all defaults, same origin.
     */
    const ln_ws_options *ws;
} ln_broker_options;

/*
 * Serves the dialect at `path`, in *broker; the server's, which frees it. Everything is copied; NULL
 * options = all defaults. Before the server runs. LN_ERR_INVALID (path, a limit), LN_ERR_EXISTS,
 * LN_ERR_LIMIT, LN_ERR_STATE, LN_ERR_NOMEM.
 */
LN_API int ln_broker_mount(ln_server *server, const char *path, const ln_broker_options *options,
                           ln_broker **broker);

/*
 * Serves requests for `topic`, as a method of linnet/rpc.h: call->method is the topic, call->params
 * the payload, any JSON, empty if there was none. An answer without a result has no payload;
 * LN_ERR_INVALID is 400, other errors are 500, and all of them reach the client. Replaces who did so
 * far; without a handler it ends. At any time; before the server runs from one thread, then from
 * any. LN_ERR_EXISTS for a topic of the broker's own; LN_ERR_INVALID (empty, or more than 256
 * bytes), LN_ERR_LIMIT, LN_ERR_NOMEM.
 */
LN_API int ln_broker_handle(ln_broker *broker, const char *topic, ln_rpc_handler *handler,
                            void *user);

/*
 * The same for a handler that may block: it runs on a thread of a pool, where call->conn is NULL and
 * the client, named by call->ticket.conn, may be gone already. One by one for each client. Replacing
 * it does not take back calls that are on their way to it: `user` has to outlive the server.
 */
LN_API int ln_broker_handle_blocking(ln_broker *broker, const char *topic, ln_rpc_handler *handler,
                                     void *user);

/* A publication, borrowed until the handler returns. */
typedef struct ln_broker_publication {
    ln_span topic;
    ln_span payload;      /* JSON if it was published here; else what another dialect's was */
    enum ln_kind kind;    /* LN_TEXT for JSON */
    ln_conn_id publisher; /* 0: none of the server's connections */
} ln_broker_publication;

typedef void ln_broker_subscriber(ln_broker *broker, const ln_broker_publication *publication,
                                  void *user);

/*
 * Gets what is published to a topic or filter, on whichever worker, in the order of each publisher.
 * It runs on worker 0 and may do anything there, publishing and subscribing included. Replaces who
 * got it so far; NULL ends it. Any thread. A subscriber that is too far behind loses what is beyond
 * (stats). LN_ERR_INVALID, LN_ERR_LIMIT, LN_ERR_NOT_FOUND (nothing to end), LN_ERR_NOMEM.
 */
LN_API int ln_broker_subscribe(ln_broker *broker, const char *topic,
                               ln_broker_subscriber *subscriber, void *user);

/*
 * Publishes `payload` (JSON; empty = null) to all subscribers of `topic`. Encoded once for each
 * generation of clients. Never waits: what a client cannot take is its overflow policy's business.
 * Any thread. LN_ERR_INVALID (topic, or no JSON), LN_ERR_STATE (not running), LN_ERR_WOULD_EXCEED
 * (some worker is too far behind and does not get it), LN_ERR_NOMEM.
 */
LN_API int ln_broker_publish(ln_broker *broker, ln_span topic, ln_span payload);

/* The same to one client, whatever it has subscribed to. Also LN_ERR_CLOSED. */
LN_API int ln_broker_send(ln_broker *broker, ln_conn_id conn, ln_span topic, ln_span payload);

/* A request to a client. */
typedef struct ln_broker_request_options {
    ln_conn_id conn;
    ln_span topic;
    ln_span payload;     /* JSON, or empty */
    uint32_t timeout_ms; /* 0 = ln_broker_options.request_ms */
    ln_rpc_reply_handler *on_reply;
    void *user;
} ln_broker_request_options;

/*
 * Asks a client. on_reply comes exactly once: with the answer (reply->result; empty if it has none),
 * with LN_ERR_REFUSED if the client answered with an error, in whichever shape (reply->code, 0 if it
 * gave none; reply->message, a JSON string), or LN_ERR_TIMEOUT, LN_ERR_CANCELLED, LN_ERR_CLOSED and
 * the others of ln_rpc_reply. Any thread. An error here means that it does not come: LN_ERR_CLOSED,
 * LN_ERR_INVALID, LN_ERR_LIMIT (256 wait for an answer), LN_ERR_WOULD_EXCEED, LN_ERR_NOMEM.
 * `ticket` (may be NULL) is for ln_broker_cancel().
 */
LN_API int ln_broker_request(ln_broker *broker, const ln_broker_request_options *request,
                             ln_rpc_ticket *ticket);

/*
 * Ends a request before it is answered: on_reply gets LN_ERR_CANCELLED, unless it has come before or
 * is on its way. Any thread. LN_ERR_NOT_FOUND (it has come; told on the client's own loop only),
 * LN_ERR_CLOSED, LN_ERR_WOULD_EXCEED, LN_ERR_NOMEM.
 */
LN_API int ln_broker_cancel(const ln_rpc_ticket *ticket);

/*
 * Who has this id, or who said last that its id is this one. Any thread. LN_ERR_NOT_FOUND.
 */
LN_API int ln_broker_find(ln_broker *broker, ln_span id, ln_conn_id *conn);
LN_API int ln_broker_find_session(ln_broker *broker, ln_span session_id, ln_conn_id *conn);

/*
 * Calls `visit` for each client that was there when this was called, in no order, until it returns
 * false; it may do anything. How many were visited; LN_ERR_NOMEM. Any thread.
 */
LN_API int ln_broker_each(ln_broker *broker,
                          bool (*visit)(const ln_broker_info *client, void *user), void *user);

/* A client of this dialect, on its loop; spans borrowed until the handler returns. LN_ERR_NOT_FOUND:
 * the connection is none. */
LN_API int ln_broker_info_get(const ln_conn *c, ln_broker_info *client);

/* Since the start. */
typedef struct ln_broker_stats {
    uint64_t clients;         /* now */
    uint64_t malformed_total; /* messages that were none */
    uint64_t ignored_total;   /* of no type, of the other generation, without a topic */
    uint64_t refused_total;   /* subscriptions and publications that were not possible or allowed */
    uint64_t published_total; /* by clients */
    uint64_t dropped_total;   /* publications that a client, or a subscriber here, lost */
    uint64_t slow_closes_total; /* "too many dropped messages" */
    uint64_t ping_failures_total;
    uint64_t requests_total; /* of clients */
    uint64_t errors_total;   /* answered with an error */
    uint64_t strays_total;   /* answers to no request of ours, late ones among them */
} ln_broker_stats;

/* Fills *stats. Any thread. */
LN_API void ln_broker_stats_get(const ln_broker *broker, ln_broker_stats *stats);

#ifdef __cplusplus
}
#endif
#endif
