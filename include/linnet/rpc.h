/* SPDX-License-Identifier: MIT */
/*
 * linnet/rpc.h - calls as handlers see them, the same for every dialect that has them: calls of
 * peers, their answers at once or later, and calls to peers. The command dialect speaks JSON-RPC 2.0;
 * in the broker dialect (linnet/broker.h) they are requests.
 *
 * What peers send is judged before a handler runs: it gets valid JSON only. Ids are echoed as they
 * were written; with JSON-RPC, who sent none gets no answer, and the answers of a batch are one
 * message, in its order.
 */
#ifndef LINNET_RPC_H
#define LINNET_RPC_H

#include <linnet/json.h>
#include <linnet/server.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The error codes of the specification; -32000 to -32099 and all others are free. */
enum ln_rpc_code {
    LN_RPC_PARSE_ERROR = -32700,
    LN_RPC_INVALID_REQUEST = -32600,
    LN_RPC_METHOD_NOT_FOUND = -32601,
    LN_RPC_INVALID_PARAMS = -32602,
    LN_RPC_INTERNAL_ERROR = -32603,
    /* linnet's own: too many calls without an answer, or a batch whose answers are too long */
    LN_RPC_BUSY = -32000
};

/* Where an answer goes. Copy it to answer later; valid for life, also when the connection is gone.
 * The members are linnet's. */
typedef struct ln_rpc_ticket {
    void *engine;
    ln_conn_id conn;
    uint64_t serial;
} ln_rpc_ticket;

/* A call, borrowed until the handler returns. */
typedef struct ln_rpc_call {
    ln_conn *conn;  /* who calls; NULL on a thread of the pool, where ticket.conn is its name */
    ln_span method; /* its name; the topic of a request */
    /* as received, for ln_json_find(); empty if there was none. With JSON-RPC an array or an object */
    ln_span params;
    bool is_notification; /* no answer is wanted; giving one is harmless */
    ln_rpc_ticket ticket;
} ln_rpc_call;

/*
 * Serves a method, on the loop of the connection unless it was said to block. Returns 0 when it has
 * answered (without an answer the result is null), LN_ERR_AGAIN to answer later, LN_ERR_INVALID for
 * params that are wrong (-32602); any other error is answered with -32603 and what ln_strerror()
 * says. (A broker's codes are its own.) What ln_rpc_result() returns is worth returning: an answer
 * that it could not take is not to become null.
 */
typedef int ln_rpc_handler(const ln_rpc_call *call, void *user);

/*
 * Answers, once: with a result (JSON text; "" means null), or with an error, whose `message` is
 * plain text and `data` JSON or empty. Copied. Any thread.
 *
 * LN_ERR_CLOSED: the connection is gone. LN_ERR_NOT_FOUND: it was answered already (from another
 * thread, which does not wait: 0). LN_ERR_INVALID: no JSON; a result that is none is answered with
 * -32603 "Internal error", in the broker dialect with 500 "Server error creating response".
 * LN_ERR_WOULD_EXCEED, LN_ERR_NOMEM.
 */
LN_API int ln_rpc_result(const ln_rpc_ticket *ticket, ln_span result);
LN_API int ln_rpc_error(const ln_rpc_ticket *ticket, int code, ln_span message, ln_span data);

/* How a call of ours ended. Spans are borrowed until the handler returns. */
typedef struct ln_rpc_reply {
    ln_conn_id conn;
    /* 0: `result`. LN_ERR_REFUSED: the peer answered with an error. LN_ERR_TIMEOUT: with nothing.
     * LN_ERR_CLOSED: the connection ended before. LN_ERR_CANCELLED: we took it back.
     * LN_ERR_PROTOCOL: with something malformed. LN_ERR_LIMIT, LN_ERR_WOULD_EXCEED, LN_ERR_NOMEM:
     * it was not sent. */
    int error;
    ln_span result;  /* JSON */
    int64_t code;    /* of an error */
    ln_span message; /* its message, as JSON */
    ln_span data;    /* its data, as JSON; empty if it has none */
    uint64_t serial; /* the number of the call on its connection; 0 if it never got there */
} ln_rpc_reply;

/* Called once for each call of ours, on the connection's loop, or, if that has ended, on the thread
 * that ends it. */
typedef void ln_rpc_reply_handler(const ln_rpc_reply *reply, void *user);

#ifdef __cplusplus
}
#endif
#endif
