/* SPDX-License-Identifier: MIT */
/* rpcinner - what the files of rpc share, and what a speech is made of. */
#ifndef LN_RPCINNER_H
#define LN_RPCINNER_H

#include "proto/json.h"
#include "rpc.h"

/* What an answer says. */
typedef struct ln_rpc_answer {
    int code;        /* 0 = a result */
    ln_span result;  /* JSON; empty = none */
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
    ln_span id;    /* as written; empty if there is none */
    ln_span topic; /* as written, if answers repeat it */
    ln_rpc_batch *batch;
    uint32_t slot;
    bool is_owed; /* an answer */
    bool is_answered;
    ln_rpc_ticket onward; /* the call of ours that it waits for; engine NULL: none */
    char bytes[];
} ln_rpc_call_in;

/* A call of ours to be written. */
typedef struct ln_rpc_call_out {
    ln_span method; /* plain text */
    ln_span params;
    uint64_t serial;     /* for its id */
    uint32_t timeout_ms; /* 0: a notification */
} ln_rpc_call_out;

/* Why a call is answered in our own name. */
typedef enum ln_rpc_refusal {
    LN_RPC_IS_UNKNOWN,    /* there is no such method */
    LN_RPC_IS_UNSUITABLE, /* its handler cannot do with its params */
    LN_RPC_HAS_FAILED,    /* its handler could not do it */
    LN_RPC_IS_TOO_MUCH    /* too many are under way */
} ln_rpc_refusal;

/* How texts are written. Each appends to `out`; LN_ERR_NOMEM. */
struct ln_rpc_speech {
    /* Nothing appended: there is nothing to be said. */
    int (*write_answer)(const ln_rpc_peer *p, const ln_rpc_call_in *call, const ln_rpc_answer *a,
                        ln_buf *out);
    int (*write_call)(const ln_rpc_peer *p, const ln_rpc_call_out *call, ln_buf *out);
    /* The answer's code and words. `detail`: the method, the params, what went wrong, or empty. */
    void (*refuse)(ln_rpc_peer *p, ln_rpc_call_in *call, ln_rpc_refusal why, ln_span detail);
    /* Whether a call of ours may have them. */
    bool (*is_params)(ln_span params);
    ln_span unusable; /* what is said instead of a result that is no JSON, or too long */
};

/* rpcmethods.c: who serves it; false: nobody. */
bool ln_rpc_find_method(const ln_rpc_peer *p, ln_span method, ln_rpc_service *service);

/* rpccall.c: has a call made, and answered. `call` is the caller's. */
void ln_rpc_run(ln_rpc_peer *p, ln_rpc_call_in *call, ln_span method, ln_span params);

/* rpcanswer.c: answers a call, whose batch or connection takes it from there. As
 * ln_rpc_result(). */
int ln_rpc_answer_call(ln_rpc_peer *p, ln_rpc_call_in *call, const ln_rpc_answer *answer);
/* The same outside of the count of a batch: to nobody's call. */
void ln_rpc_answer_stray(ln_rpc_peer *p, const ln_rpc_call_in *call, const ln_rpc_answer *answer);
/* One answer less to wait for; the last one sends the batch. */
void ln_rpc_batch_settle(ln_rpc_batch *batch);
/* Keeps a call for later. LN_ERR_NOMEM. */
LN_NODISCARD int ln_rpc_keep(ln_rpc_peer *p, const ln_rpc_call_in *call);
/* The call that was kept under this number, or NULL. */
ln_rpc_call_in *ln_rpc_find_kept(const ln_rpc_peer *p, uint64_t serial);
void ln_rpc_drop_kept(ln_rpc_peer *p, ln_rpc_call_in *kept);
void ln_rpc_forget_pending(ln_rpc_peer *p);

/* What the peer's worker has at hand. */
LN_INLINE ln_rpc_desk *ln_rpc_desk_of(const ln_rpc_peer *p)
{
    return &p->rpc->desks[ln_conn_home(p->conn)->worker];
}

/* Its buffer, empty, until give_back(); never across a callback. */
ln_buf *ln_rpc_take_scratch(const ln_rpc_peer *p);
void ln_rpc_give_scratch(ln_buf *scratch);

/* rpcrequest.c: the peer's answer to a call of ours; *reply is complete but for who and whom. False:
 * to none of them. */
bool ln_rpc_end_request(ln_rpc_peer *p, uint64_t serial, ln_rpc_reply *reply);
/* It was no answer of any. */
void ln_rpc_count_stray(ln_rpc_peer *p);
void ln_rpc_end_requests(ln_rpc_peer *p);

/* rpcletter.c: how a letter reaches a peer: the connection is named, and it counts against what may
 * be under way to that. */
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
