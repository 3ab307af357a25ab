/* SPDX-License-Identifier: MIT */
/*
 * linnet/command.h - the command dialect, for games: numbered commands in binary messages, and
 * JSON-RPC 2.0 beside them.
 *
 *   offset 0..3   command id, unsigned, big-endian
 *   offset 4..    payload, 0 to 10,485,760 bytes
 *
 * One message is one command. A client may send it as text or binary, it gets binary. Ids from
 * 0xFFFFFFFE on are taken: LN_COMMAND_RPC carries JSON-RPC both ways, LN_COMMAND_RPC_ERROR only
 * answers that are errors, if asked for; from clients it is passed over. A message below four bytes
 * is closed with 1002 "Invalid message format", one that is too long with 1009, a client over its
 * rate with 1008 "Rate limit exceeded". An id without a handler is passed over. Everything passed
 * over is counted.
 *
 * Order for each client: on_connect, then its messages one by one, then on_disconnect, once. From
 * inside on_connect to the end of on_disconnect it can be sent to and gets what is published to
 * everybody; nothing reaches it before what on_connect sends. Handlers run on its loop;
 * ln_conn_user() is theirs, ln_conn_remote(), ln_conn_close(), ln_conn_subscribe() and the rest of
 * linnet/conn.h and topic.h work as ever.
 */
#ifndef LINNET_COMMAND_H
#define LINNET_COMMAND_H

#include <linnet/rpc.h>
#include <linnet/topic.h>

#ifdef __cplusplus
extern "C" {
#endif

#define LN_COMMAND_RPC       UINT32_C(0xFFFFFFFF)
#define LN_COMMAND_RPC_ERROR UINT32_C(0xFFFFFFFE)

enum { LN_COMMAND_PAYLOAD_MAX_BYTES = 10485760 };

typedef struct ln_command ln_command;

/* `payload` is borrowed until the handler returns. */
typedef void ln_command_handler(ln_conn *c, uint32_t id, ln_span payload, void *user);

/*
 * A handler that may block: runs on a thread of a pool, where the connection is only a name and may
 * be gone already. What one client sends to such handlers is still handled one by one, in order;
 * while too much of it waits, its connection is not read.
 */
typedef void ln_command_blocking_handler(ln_command *game, ln_conn_id conn, uint32_t id,
                                         ln_span payload, void *user);

/* Commands from `first` to `last`, and who handles them: one of the two, or nobody. */
typedef struct ln_command_range {
    uint32_t first;
    uint32_t last;
    ln_command_handler *handler;
    ln_command_blocking_handler *blocking;
    void *user;
} ln_command_range;

/* A bucket of tokens for each client, full at first; a message takes one, a batch one for each
 * call. 0 = the default, 100 and 200; LN_OFF in per_second = no limit. */
typedef struct ln_command_rate {
    uint32_t per_second;
    uint32_t burst;
} ln_command_rate;

/*
 * Joins a command to a topic, so that clients of this dialect meet those of others: what a client
 * sends as `id` is published to `topic` as a message of `kind`, and what anybody publishes there
 * reaches every client here as `id`. A payload that is to be text and is no UTF-8 is passed over.
 * A handler for `id` goes before: then the way in is the handler's.
 */
typedef struct ln_command_bridge {
    uint32_t id;
    const char *topic;
    enum ln_kind kind;
} ln_command_bridge;

typedef struct ln_command_options {
    ln_command_rate rate;
    /* JSON-RPC errors that are answers by themselves go out on LN_COMMAND_RPC_ERROR */
    bool errors_apart;
    const ln_command_bridge *bridges;
    size_t bridge_count;
    /* Before the client is open: the place to refuse it, see ln_ws_handlers.on_request. */
    void (*on_request)(ln_request *request, void *user);
    void (*on_connect)(ln_conn *c, const ln_request *request, void *user);
    /* `is_voluntary`: the client began it with a close frame. `info` says the rest. */
    void (*on_disconnect)(ln_conn *c, bool is_voluntary, const ln_close_info *info, void *user);
    void *user;
    /*
     * Limits and origins. What is 0 there has this dialect's default: messages of the largest
     * payload, a ping after 20 s of silence, the end 40 s later. NULL = all of these, same origin,
     * and a client that does not read is closed (LN_OVERFLOW_CLOSE).
     */
    const ln_ws_options *ws;
} ln_command_options;

/*
 * Serves the dialect at `path`, in *game; the server's, which frees it. Everything is copied; NULL
 * options = all defaults. Before the server runs. LN_ERR_INVALID (path, a limit, a bridge),
 * LN_ERR_EXISTS, LN_ERR_LIMIT, LN_ERR_STATE, LN_ERR_NOMEM.
 */
LN_API int ln_command_mount(ln_server *server, const char *path, const ln_command_options *options,
                            ln_command **game);

/*
 * Handles `id`, or a range; replaces who did so far, the latest call counts; without a handler it
 * ends. At any time, also from handlers; before the server runs from one thread, then from any.
 * LN_ERR_INVALID: a reserved id, first > last, both handlers. LN_ERR_LIMIT, LN_ERR_NOMEM.
 */
LN_API int ln_command_on(ln_command *game, uint32_t id, ln_command_handler *handler, void *user);
LN_API int ln_command_on_range(ln_command *game, const ln_command_range *range);

/* Serves a JSON-RPC method; likewise. LN_ERR_INVALID: a name of more than 256 bytes. */
LN_API int ln_command_method(ln_command *game, const char *name, ln_rpc_handler *handler,
                             void *user);

/*
 * The same with a handler that may block: it runs on a thread of the pool, after and before what else
 * its client sent to such handlers. call->conn is NULL there, and call->ticket the way to answer, if
 * the connection is not gone. While too much of a client waits it is not read, and what is too much
 * for all is answered with LN_RPC_BUSY.
 */
LN_API int ln_command_method_blocking(ln_command *game, const char *name, ln_rpc_handler *handler,
                                      void *user);

/* Sends a command to one client. As ln_send(); LN_ERR_LIMIT: the payload is too long. Any
 * thread. */
LN_API int ln_command_send(ln_command *game, ln_conn_id conn, uint32_t id, ln_span payload);

/*
 * Sends a command to all subscribers of `topic`, or, if it is empty, to all clients; not to
 * `except`, if that is not 0. Encoded once. Subscribers of other dialects get the payload, and the
 * id, in decimal, as the event's name. Never waits: what a client cannot take is its overflow
 * policy's business. Any thread. LN_ERR_INVALID (topic), LN_ERR_LIMIT, LN_ERR_STATE (not running),
 * LN_ERR_WOULD_EXCEED (some worker is too far behind and does not get it), LN_ERR_NOMEM.
 */
LN_API int ln_command_publish(ln_command *game, ln_span topic, uint32_t id, ln_span payload,
                              ln_conn_id except);

/*
 * Calls a JSON-RPC method of a client; `params`: JSON, an array or an object, or empty. on_reply
 * comes once, `timeout_ms` (0 = 30 s) from now at the latest; NULL makes it a notification. Any
 * thread. An error here means that on_reply does not come: LN_ERR_CLOSED, LN_ERR_INVALID,
 * LN_ERR_LIMIT (32 wait for an answer), LN_ERR_WOULD_EXCEED, LN_ERR_NOMEM.
 */
LN_API int ln_command_call(ln_command *game, ln_conn_id conn, const char *method, ln_span params,
                           uint32_t timeout_ms, ln_rpc_reply_handler *on_reply, void *user);

/* The client's name for others: a random UUID, 36 characters, borrowed until on_disconnect has
 * returned. On its loop. */
LN_API ln_span ln_command_uuid(const ln_conn *c);

/* Whether a client is there to be sent to: on its loop until its closing begins, on other threads
 * until it is gone, which may be at any moment. Any thread. */
LN_API bool ln_command_is_alive(const ln_command *game, ln_conn_id conn);

/* Since the start. */
typedef struct ln_command_stats {
    uint64_t clients;            /* now */
    uint64_t malformed_total;    /* below four bytes: closed */
    uint64_t rate_limited_total; /* closed */
    uint64_t unknown_total;      /* no handler for the id */
    uint64_t reserved_total;     /* LN_COMMAND_RPC_ERROR from a client */
    uint64_t unsuitable_total;   /* no text for a bridge, or no id for what came over one */
    uint64_t rpc_calls_total;    /* requests and notifications in order */
    uint64_t rpc_errors_total;   /* answered with an error */
    uint64_t rpc_strays_total;   /* answers to no call of ours */
} ln_command_stats;

/* Fills *stats. Any thread. */
LN_API void ln_command_stats_get(const ln_command *game, ln_command_stats *stats);

#ifdef __cplusplus
}
#endif
#endif
