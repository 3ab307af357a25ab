/* SPDX-License-Identifier: MIT */
/*
 * linnet/server.h - a server: listeners, routes, workers, and what may be done to its connections
 * from any thread.
 *
 * Build it up (listen, ws, http, files) before ln_server_run() or ln_server_start(); after that the
 * table of routes is fixed. Each worker is a thread with a loop of its own; a connection belongs to
 * one worker for life.
 */
#ifndef LINNET_SERVER_H
#define LINNET_SERVER_H

#include <linnet/conn.h>
#include <linnet/tls.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct ln_server_options {
    unsigned workers;         /* 0 = 1 */
    enum ln_io io;            /* back end of every worker's loop */
    uint32_t connections_max; /* 0 = default; beyond it upgrades get 503 */
    uint32_t drain_ms;        /* graceful stop: how long connections may take to say goodbye */
    uint32_t request_header_max_bytes;
    uint32_t request_body_max_bytes;
    uint32_t http_idle_ms;         /* a kept-alive HTTP connection without a request */
    const ln_allocator *allocator; /* NULL = the C library's */
    ln_log_hook *log;              /* NULL = standard error */
    void *log_user;
    enum ln_log_level log_level; /* 0 = LN_LOG_INFO */
    /* Each worker, on its thread, before its first and after its last turn; `worker` counts
     * from 0. */
    void (*on_worker_start)(ln_server *server, unsigned worker, ln_loop *loop, void *user);
    void (*on_worker_stop)(ln_server *server, unsigned worker, void *user);
    void *user;
    /* what may wait in the send queues of all connections; beyond it those with the most waiting are
     * closed with 1013 "overloaded", until seven eighths of it are left. A message to many counts for
     * each it waits for. May be passed by what is queued in one turn. 0 = default; LN_OFF = none */
    uint32_t queue_budget_bytes;
} ln_server_options;

/* A new server, owned by the caller; NULL options = all defaults. NULL when out of memory. */
LN_API ln_server *ln_server_new(const ln_server_options *options);

/* Stops at once if it still runs, then frees everything. Accepts NULL. */
LN_API void ln_server_free(ln_server *server);

/*
 * Listens on "127.0.0.1:8080", ":8080" (all addresses, v6 and v4), "[::1]:0", "localhost:8080" or
 * "unix:/run/x.sock". With ln_server_listen_tls(), over TLS. The socket is bound at once, so that
 * errors come here: LN_ERR_ADDRESS, LN_ERR_ACCESS, LN_ERR_RESOLVE, LN_ERR_TLS, LN_ERR_LIMIT.
 */
LN_API int ln_server_listen(ln_server *server, const char *address);
LN_API int ln_server_listen_tls(ln_server *server, const char *address, const ln_tls_options *tls);

/* The port that listener `index` (in the order of the calls) is bound to; LN_ERR_NOT_FOUND. */
LN_API int ln_server_port(const ln_server *server, unsigned index);

/*
 * Routes. A path is exact ("/echo"), or a subtree when it ends with a slash ("/files/"); the
 * longest match wins. LN_ERR_EXISTS for the same path and purpose twice; LN_ERR_INVALID,
 * LN_ERR_STATE once it runs.
 */
LN_API int ln_server_ws(ln_server *server, const char *path, const ln_ws_handlers *handlers,
                        const ln_ws_options *options);
LN_API int ln_server_http(ln_server *server, const char *path, ln_http_handler *handler,
                          void *user);

/*
 * Serves the files below `directory` at `path`: GET and HEAD, types by extension, ETag and
 * Last-Modified, one Range, index.html for folders; never a file outside of it, a hidden one, or
 * anything but a regular file.
 */
LN_API int ln_server_files(ln_server *server, const char *path, const char *directory);

/* Serves until ln_server_stop(), worker 0 on the calling thread. 0 after a graceful stop; else what
 * went wrong. */
LN_API int ln_server_run(ln_server *server);

/* The same with all workers on threads of their own, and the wait for them. */
LN_API int ln_server_start(ln_server *server);
LN_API int ln_server_join(ln_server *server);

/*
 * Graceful stop: listeners close, every connection gets close 1001 once its queue is flushed, and
 * what is left after drain_ms is aborted. A second call aborts at once. Returns immediately. Any
 * thread, and from a signal handler.
 */
LN_API void ln_server_stop(ln_server *server);

/* True from ln_server_stop() on: /ready answers 503. Any thread. */
LN_API bool ln_server_is_stopping(const ln_server *server);

/* Reads certificates again, atomically; nobody is dropped. An error leaves the old ones in force.
 * Any thread. */
LN_API int ln_server_reload(ln_server *server);

/*
 * By id. Any thread.
 *
 * ln_send(): results as ln_conn_send(); from another thread 0 means that the owner will queue it,
 * in the order of the calls of that thread, and LN_ERR_WOULD_EXCEED that what waits for that
 * connection has reached its limit. LN_ERR_CLOSED: closing, gone, or never was.
 */
LN_API int ln_send(ln_server *server, ln_conn_id id, enum ln_kind kind, ln_span data);

/*
 * The same for a thread that would rather wait than lose the message: until it is queued within the
 * limits of that connection (0 or 1), whatever its overflow policy. LN_ERR_TIMEOUT: there was no room
 * for so long, and it will not be sent; LN_ERR_CLOSED: also at once when the connection closes
 * meanwhile; LN_ERR_STATE: this is the thread of a loop, which never waits; LN_ERR_INVALID also for a
 * timeout of 0. `data` is not copied before it is queued.
 */
LN_API int ln_send_wait(ln_server *server, ln_conn_id id, enum ln_kind kind, ln_span data,
                        uint32_t timeout_ms);

LN_API int ln_close(ln_server *server, ln_conn_id id, uint16_t code, ln_span reason);

/*
 * Runs `fn(arg)` on the thread of `worker` (from 0), where the handlers of its connections run. Any
 * thread. LN_ERR_NOT_FOUND, LN_ERR_STATE (not running), LN_ERR_NOMEM, LN_ERR_LIMIT.
 */
LN_API int ln_server_post(ln_server *server, unsigned worker, void (*fn)(void *arg), void *arg);

/* Counters since the start, summed over the workers. */
typedef struct ln_server_stats {
    uint64_t connections;    /* open WebSocket connections now */
    uint64_t accepted_total; /* TCP connections */
    uint64_t opened_total;   /* upgrades */
    uint64_t closed_total;
    uint64_t refused_total; /* upgrades answered with an error status */
    uint64_t shed_total;    /* connections turned away for want of descriptors or room */
    uint64_t handshake_timeouts_total;
    uint64_t protocol_errors_total; /* connections that a peer's violation ended */
    uint64_t messages_in_total;
    uint64_t messages_out_total;
    uint64_t bytes_in_total;
    uint64_t bytes_out_total;
    uint64_t dropped_total; /* messages that an overflow policy dropped */
    uint64_t overflow_closes_total;
    uint64_t queued_bytes;   /* in all send queues now */
    uint64_t requests_total; /* plain HTTP */
    /* of dropped_total: by LN_OVERFLOW_DROP_NEWEST, and _DROP_OLDEST or _KEEP_LATEST */
    uint64_t dropped_newest_total;
    uint64_t dropped_oldest_total;
    uint64_t replaced_total;      /* not in dropped_total: a newer one of the same key went */
    uint64_t queue_refused_total; /* messages that did not fit; published ones are dropped, too */
    uint64_t shed_slow_total;     /* connections closed for the sake of queue_budget_bytes */
    uint64_t queued_connections;  /* for which something waits now */
    uint64_t queue_age_ms;        /* the longest that one of them has waited and nothing left */
    uint64_t malformed_total; /* upgrades refused for their form: key, version, method, fields */
} ln_server_stats;

/* Fills *stats. Any thread; the numbers are a moment's, not a transaction's. */
LN_API void ln_server_stats_get(const ln_server *server, ln_server_stats *stats);

#ifdef __cplusplus
}
#endif
#endif
