/* SPDX-License-Identifier: MIT */
/*
 * rpc - calls over any connection that carries texts, both ways; linnet/rpc.h is what applications
 * see of it. What a text looks like is a matter of its speech (JSON-RPC 2.0, jsonrpc.org/specification,
 * or the broker's envelopes), and how it travels of the dialect: it says what stands in front of a
 * text, and where a connection keeps its peer.
 *
 *   rpc.c         JSON-RPC: texts of a peer: single, batch, request, notification, answer
 *   rpcspeech.c   JSON-RPC: how answers and calls are written
 *   rpccall.c     a call of a peer, from its handler to its end; handlers that may block
 *   rpcmethods.c  the table of methods
 *   rpcanswer.c   answers, at once, later, and from other threads
 *   rpcletter.c   how those reach the connection's thread
 *   rpcrequest.c  calls of ours
 *
 * Invariants
 *   1. A request with an id is answered exactly once or its connection is closed; one without gets
 *      no byte.
 *   2. The answers of a batch leave as one text, in its order, when the last one is there.
 *   3. A call of ours ends exactly once: answered, late, cancelled, or with its connection.
 *   4. A peer belongs to its connection's loop. From other threads only letters come, which name the
 *      connection by its id and the call by its serial number; neither is ever used again.
 *   5. What a peer makes us keep is bounded: the calls of a batch, calls handed on
 *      (carrier->pending_max) and what they bring, ids.
 *   6. A call that is answered by its handler allocates nothing once its worker's scratch has grown
 *      to what is usual.
 */
#ifndef LN_RPC_H
#define LN_RPC_H

#include <linnet/rpc.h>

#include "base/buf.h"
#include "shelf.h"

enum {
    LN_RPC_BATCH_MAX = 100,
    LN_RPC_BATCH_REPLY_MAX_BYTES = 1 << 20, /* from there on its calls are not made any more */
    LN_RPC_PENDING_MAX = 32,                /* JSON-RPC calls of one peer that were handed on */
    LN_RPC_REQUESTS_MAX = 32,               /* calls of ours to one peer, with JSON-RPC */
    LN_RPC_JOBS_MAX_BYTES = 4 << 20,        /* of one peer, with handlers that may block */
    LN_RPC_ID_MAX_BYTES = 256,              /* as written */
    LN_RPC_METHOD_MAX_BYTES = 256,
    LN_RPC_METHODS_MAX = 4096,
    LN_RPC_SCRATCH_MAX_BYTES = 65536 /* kept by a worker for the next text */
};

typedef struct ln_rpc ln_rpc;
typedef struct ln_rpc_peer ln_rpc_peer;
typedef struct ln_rpc_speech ln_rpc_speech;

/* What texts look like in JSON-RPC 2.0. */
extern const ln_rpc_speech ln_rpc_json;

/* How a dialect carries texts. */
typedef struct ln_rpc_carrier {
    const ln_rpc_speech *speech;
    enum ln_kind kind;
    ln_span prefix;       /* in front of every text; static */
    ln_span error_prefix; /* in front of an error that is an answer by itself */
    size_t text_max_bytes;
    uint32_t pending_max;  /* calls of one peer that were handed on */
    uint32_t requests_max; /* calls of ours to one peer */
    /* The peer of a connection, or NULL if it is none of this engine's. */
    ln_rpc_peer *(*peer_of)(ln_conn *c);
    /* May the peer make `calls` more? False: it has been dealt with. */
    bool (*spend)(ln_conn *c, uint32_t calls);
    /*
     * A call that brings so many bytes goes to the pool: LN_ERR_WOULD_EXCEED if it must not. It has
     * come back; `p` NULL: its connection has ended, or its loop. Both NULL: a peer may have
     * LN_RPC_JOBS_MAX_BYTES there.
     */
    int (*hand_out)(ln_rpc_peer *p, size_t bytes);
    void (*take_back)(ln_rpc *rpc, ln_rpc_peer *p, size_t bytes);
    /* An answer did not fit into the send queue, and has been counted. */
    void (*lose)(ln_conn *c);
} ln_rpc_carrier;

typedef struct ln_rpc_stats {
    _Atomic uint64_t errors;        /* answered with an error */
    _Atomic uint64_t stray_answers; /* of peers, to no call of ours */
} ln_rpc_stats;

/* What a worker has at hand; only its thread writes here. */
typedef struct ln_rpc_desk {
    _Atomic uint64_t calls;             /* requests and notifications that were in order */
    ln_buf scratch;                     /* what it writes is made here */
    ln_rpc_peer *calling;               /* whose call's handler runs on its loop, or NULL */
    ln_span params;                     /* that call's: JSON, which was checked */
    uint64_t version;                   /* of the table that `latest` is in; 0: none */
    const struct ln_rpc_method *latest; /* which was called: calls come in flocks */
} ln_rpc_desk;

/* The methods of an endpoint. Lives as long as its server. */
struct ln_rpc {
    ln_server *server;
    const ln_rpc_carrier *carrier;
    ln_shelf methods;
    uint64_t seed[2];
    ln_rpc_desk *desks; /* one for each worker */
    _Atomic uint64_t orders;
    _Atomic uint32_t mailed; /* calls of ours on their way to their connection's thread */
    ln_rpc_stats stats;
};

/* LN_ERR_NOMEM, after which fini() is owed all the same. */
LN_NODISCARD int ln_rpc_init(ln_rpc *rpc, ln_server *server, const ln_rpc_carrier *carrier);
/* Behind the last connection. */
void ln_rpc_fini(ln_rpc *rpc);

/* Of all workers. Any thread. */
uint64_t ln_rpc_calls(const ln_rpc *rpc);

/* Who serves a method. `is_blocking`: on a thread of the pool, where call->conn is NULL. */
typedef struct ln_rpc_service {
    ln_rpc_handler *handler;
    void *user;
    bool is_blocking;
} ln_rpc_service;

/*
 * Serves `method`; a NULL handler ends that. Any thread, any time. LN_ERR_INVALID (longer than
 * LN_RPC_METHOD_MAX_BYTES), LN_ERR_LIMIT, LN_ERR_NOMEM.
 */
int ln_rpc_set_method(ln_rpc *rpc, ln_span method, const ln_rpc_service *service);

/* One end of a connection. */
struct ln_rpc_peer {
    ln_rpc *rpc;
    ln_conn *conn;
    ln_link pending;                /* calls of the peer that were handed on */
    ln_link requests;               /* calls of ours */
    struct ln_rpc_call_in *current; /* the call whose handler runs */
    uint64_t serial;                /* the last one given, of either direction */
    size_t job_bytes;               /* what calls with handlers that may block bring */
    uint32_t pending_count;
    uint32_t request_count;
};

void ln_rpc_peer_init(ln_rpc_peer *p, ln_rpc *rpc, ln_conn *c);
/* In on_close: forgets the peer's calls, and ends ours. */
void ln_rpc_peer_fini(ln_rpc_peer *p);

/* JSON-RPC: a text of the peer, which may be anything. */
void ln_rpc_take(ln_rpc_peer *p, ln_span text);

/*
 * Calls `method` of a peer; `params`: what its speech allows (JSON-RPC: an array or an object), or
 * empty. With `on_reply` NULL it is a notification. `timeout_ms` 0 = default. Any thread; an error
 * here means that on_reply is not called, and errors that show on the connection's own thread go to
 * on_reply: see ln_rpc_reply. LN_ERR_CLOSED, LN_ERR_INVALID, LN_ERR_NOMEM, LN_ERR_WOULD_EXCEED.
 */
typedef struct ln_rpc_order {
    ln_conn_id conn;
    ln_span method;
    ln_span params;
    uint32_t timeout_ms;
    ln_rpc_reply_handler *on_reply;
    void *user;
} ln_rpc_order;
/* `ticket` (may be NULL) names the call for ln_rpc_cancel(). */
int ln_rpc_request(ln_rpc *rpc, const ln_rpc_order *order, ln_rpc_ticket *ticket);

/*
 * Ends a call of ours: its on_reply gets LN_ERR_CANCELLED, unless it had another end before; an
 * answer that comes is a stray one. Any thread. LN_ERR_NOT_FOUND (on the connection's thread only:
 * it has ended; 0 when that is not certain), LN_ERR_CLOSED, LN_ERR_WOULD_EXCEED, LN_ERR_NOMEM.
 */
int ln_rpc_cancel(const ln_rpc_ticket *ticket);

/*
 * While its handler runs: this call waits for that call of ours, which is cancelled when the peer
 * goes before.
 */
void ln_rpc_hand_on(ln_rpc_peer *p, const ln_rpc_ticket *onward);

#endif
