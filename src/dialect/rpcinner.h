/* SPDX-License-Identifier: MIT */
/* rpcinner - what the files of rpc share. */
#ifndef LN_RPCINNER_H
#define LN_RPCINNER_H

#include "proto/json.h"
#include "rpc.h"

/* What an answer says. */
typedef struct ln_rpc_answer {
    int code;        /* 0 = a result */
    ln_span result;  /* JSON; empty = null */
    ln_span message; /* plain text */
    ln_span data;    /* JSON or empty */
} ln_rpc_answer;

/* The answers of a batch, until all are there. */
typedef struct ln_rpc_batch {
    ln_rpc_peer *peer; /* NULL: gone meanwhile */
    size_t bytes;      /* of the answers */
    uint32_t left;     /* answers to come, and 1 while it is being read */
    uint32_t count;    /* of slots */
    ln_buf slots[];    /* empty: none is owed */
} ln_rpc_batch;

/* A call of the peer whose handler runs, on the stack; or, handed on, in memory of its own. */
typedef struct ln_rpc_call_in {
    ln_link link; /* in peer->pending, when handed on */
    uint64_t serial;
    ln_span id; /* as written; empty: a notification */
    ln_rpc_batch *batch;
    uint32_t slot;
    bool is_answered;
    char id_bytes[];
} ln_rpc_call_in;

/* rpcmethods.c: the handler and its user pointer; false: there is none. */
bool ln_rpc_find_method(const ln_rpc *rpc, ln_span method, ln_rpc_handler **handler, void **user);

/* rpcanswer.c: answers a call, whose batch or connection takes it from there. As
 * ln_rpc_result(). */
int ln_rpc_answer_call(ln_rpc_peer *p, ln_rpc_call_in *call, const ln_rpc_answer *answer);
/* An answer to nobody's id: null. */
void ln_rpc_answer_null(ln_rpc_peer *p, ln_rpc_batch *batch, uint32_t slot, int code);
/* One answer less to wait for; the last one sends the batch. */
void ln_rpc_batch_settle(ln_rpc_batch *batch);
/* Keeps a call for later. LN_ERR_NOMEM. */
LN_NODISCARD int ln_rpc_keep(ln_rpc_peer *p, const ln_rpc_call_in *call);
void ln_rpc_forget_pending(ln_rpc_peer *p);
/* The specification's words for a code. */
ln_span ln_rpc_words(int code);

/* Sends prefix and text. What ln_conn_send() says. */
int ln_rpc_send(ln_rpc_peer *p, ln_span prefix, ln_span text);

/* rpcrequest.c: the peer's answer to a call of ours. */
void ln_rpc_take_reply(ln_rpc_peer *p, const ln_json_value *id, const ln_json_value *result,
                       const ln_json_value *error);
void ln_rpc_end_requests(ln_rpc_peer *p);

/* rpcletter.c: how a letter reaches a peer: the connection is named, counted against what may be under way. */
typedef struct ln_rpc_letter {
    ln_letter letter;
    ln_rpc *rpc;
    ln_worker *worker;
    ln_slot *slot;
    ln_conn_id conn;
    uint32_t cost_bytes;
} ln_rpc_letter;

/* The peer if the id is alive and this its thread, else NULL. */
ln_rpc_peer *ln_rpc_peer_here(ln_rpc *rpc, ln_conn_id conn);
/*
 * Posts `l`, whose owner has filled in letter.handle, rpc and conn; `size` of it counts.
 * LN_ERR_CLOSED, LN_ERR_WOULD_EXCEED: it was not posted.
 */
LN_NODISCARD int ln_rpc_post(ln_rpc_letter *l, size_t size);
/* In handle(): takes its bytes off the account. The peer, or NULL. */
ln_rpc_peer *ln_rpc_arrived(ln_rpc_letter *l, ln_loop *loop);

#endif
