/* SPDX-License-Identifier: MIT */
/*
 * rpccall.c - a call of a peer, from its handler to its end: on the connection's loop, or, if the
 * handler may block, copied into a job of the server's pool, with the connection's id as the key,
 * so that those of one peer stay in order.
 */
#include <string.h>

#include "base/text.h"
#include "rpcinner.h"

/* A call on its way to a thread of the pool and back; meanwhile it is kept as one that is answered
 * later. */
typedef struct rpc_job {
    ln_job job;
    ln_rpc *rpc;
    ln_rpc_service service;
    ln_rpc_ticket ticket;
    ln_span method;
    ln_span params;
    bool is_notification;
    int rc; /* what the handler returned */
    uint8_t bytes[];
} rpc_job;

/* Its handler has returned `rc`, which is not LN_ERR_AGAIN. */
static void conclude(ln_rpc_peer *p, ln_rpc_call_in *call, int rc, ln_span params)
{
    static const ln_rpc_answer nothing;
    const ln_rpc_speech *const speech = p->rpc->carrier->speech;

    if (call->is_answered || !call->is_owed)
        return;
    if (rc >= 0)
        (void)ln_rpc_answer_call(p, call, &nothing);
    else if (rc == LN_ERR_INVALID)
        speech->refuse(p, call, LN_RPC_IS_UNSUITABLE, params);
    else
        speech->refuse(p, call, LN_RPC_HAS_FAILED, ln_text(ln_strerror(rc)));
}

/* ---- accounts ---- */

static int hand_out(ln_rpc_peer *p, size_t bytes)
{
    const ln_rpc_carrier *const carrier = p->rpc->carrier;

    if (carrier->hand_out != NULL)
        return carrier->hand_out(p, bytes);
    if (p->job_bytes > LN_RPC_JOBS_MAX_BYTES)
        return LN_ERR_WOULD_EXCEED;
    p->job_bytes += bytes;
    return 0;
}

/* `p` NULL: it is gone. */
static void take_back(ln_rpc *rpc, ln_rpc_peer *p, size_t bytes)
{
    if (rpc->carrier->take_back != NULL)
        rpc->carrier->take_back(rpc, p, bytes);
    else if (p != NULL)
        p->job_bytes -= bytes;
}

static size_t bytes_of(const rpc_job *j)
{
    return j->method.size + j->params.size;
}

/* ---- on the pool ---- */

static void work(ln_job *job)
{
    rpc_job *const j = LN_CONTAINER_OF(job, rpc_job, job);
    const ln_rpc_call view = {.method = j->method,
                              .params = j->params,
                              .is_notification = j->is_notification,
                              .ticket = j->ticket};
    j->rc = j->service.handler(&view, j->service.user);
}

/* What the handler has sent as an answer came before this: both are letters of one thread. */
static void settle(ln_rpc_peer *p, const rpc_job *j)
{
    ln_rpc_call_in *const kept = ln_rpc_find_kept(p, j->ticket.serial);

    if (kept == NULL || j->rc == LN_ERR_AGAIN)
        return;
    conclude(p, kept, j->rc, j->params);
    ln_rpc_drop_kept(p, kept);
}

static void done(ln_job *job, ln_loop *loop)
{
    rpc_job *const j = LN_CONTAINER_OF(job, rpc_job, job);

    ln_rpc_peer *const p = loop == NULL ? NULL : ln_rpc_peer_here(j->rpc, j->ticket.conn);
    if (p != NULL)
        settle(p, j);
    take_back(j->rpc, p, bytes_of(j));
    ln_free(j->rpc->server->alloc, j);
}

static rpc_job *make_job(const ln_rpc_peer *p, const ln_rpc_service *service, ln_span method,
                         ln_span params)
{
    rpc_job *const j = ln_alloc(p->rpc->server->alloc, sizeof *j + method.size + params.size);

    if (j == NULL)
        return NULL;
    *j = (rpc_job){.job = {.work = work, .done = done},
                   .rpc = p->rpc,
                   .service = *service,
                   .rc = LN_ERR_CANCELLED, /* unless it is called */
                   .method = {j->bytes, method.size},
                   .params = {j->bytes + method.size, params.size}};
    if (method.size > 0)
        memcpy(j->bytes, method.data, method.size);
    if (params.size > 0)
        memcpy(j->bytes + method.size, params.data, params.size);
    return j;
}

/* Who is owed nothing is not waited for. */
static int submit(ln_rpc_peer *p, const ln_rpc_call_in *call, rpc_job *j)
{
    int rc = call->is_owed ? ln_rpc_keep(p, call) : 0;

    if (rc < 0)
        return rc;
    rc = ln_jobs_submit(ln_server_jobs(p->rpc->server), ln_conn_home(p->conn)->loop, p->conn->id,
                        &j->job);
    if (rc < 0 && call->is_owed)
        ln_rpc_drop_kept(p, ln_rpc_find_kept(p, call->serial));
    return rc;
}

/* LN_ERR_NOMEM; LN_ERR_WOULD_EXCEED: too much is under way. */
static int delegate(ln_rpc_peer *p, const ln_rpc_call_in *call, const ln_rpc_service *service,
                    ln_span method, ln_span params)
{
    rpc_job *const j = make_job(p, service, method, params);
    if (j == NULL)
        return LN_ERR_NOMEM;
    j->ticket = (ln_rpc_ticket){p->rpc, p->conn->id, call->is_owed ? call->serial : 0};
    j->is_notification = !call->is_owed;
    int rc = hand_out(p, bytes_of(j));
    if (rc == 0) {
        rc = submit(p, call, j);
        if (rc < 0)
            take_back(p->rpc, p, bytes_of(j));
    }
    if (rc < 0)
        ln_free(p->rpc->server->alloc, j);
    return rc;
}

/* ---- on the loop ---- */

/* For whom nothing is kept there is always room. */
static bool is_too_busy(const ln_rpc_peer *p, const ln_rpc_call_in *call)
{
    if (!call->is_owed)
        return false;
    return p->pending_count >= p->rpc->carrier->pending_max ||
           (call->batch != NULL && call->batch->bytes > LN_RPC_BATCH_REPLY_MAX_BYTES);
}

static void run_here(ln_rpc_peer *p, ln_rpc_call_in *call, const ln_rpc_service *service,
                     ln_span method, ln_span params)
{
    const ln_rpc_call view = {.conn = p->conn,
                              .method = method,
                              .params = params,
                              .is_notification = !call->is_owed,
                              .ticket = {p->rpc, p->conn->id, call->is_owed ? call->serial : 0}};
    ln_rpc_desk *const desk = ln_rpc_desk_of(p);

    LN_ASSERT(desk->calling == NULL);
    p->current = call;
    desk->calling = p;
    desk->params = params;
    int rc = service->handler(&view, service->user);
    desk->calling = NULL;
    p->current = NULL;
    if (rc == LN_ERR_AGAIN && call->is_owed && !call->is_answered) {
        rc = ln_rpc_keep(p, call);
        if (rc == 0)
            return;
    }
    conclude(p, call, rc, params);
}

void ln_rpc_run(ln_rpc_peer *p, ln_rpc_call_in *call, ln_span method, ln_span params)
{
    const ln_rpc_speech *const speech = p->rpc->carrier->speech;
    ln_rpc_service service;

    if (!ln_rpc_find_method(p, method, &service)) {
        speech->refuse(p, call, LN_RPC_IS_UNKNOWN, method);
        return;
    }
    if (is_too_busy(p, call)) {
        speech->refuse(p, call, LN_RPC_IS_TOO_MUCH, (ln_span){"", 0});
        return;
    }
    call->serial = ++p->serial;
    if (!service.is_blocking) {
        run_here(p, call, &service, method, params);
        return;
    }
    const int rc = delegate(p, call, &service, method, params);
    if (rc < 0 && !call->is_owed) /* nobody will be told */
        ln_count(&ln_conn_home(p->conn)->counters.dropped, 1);
    else if (rc == LN_ERR_WOULD_EXCEED)
        speech->refuse(p, call, LN_RPC_IS_TOO_MUCH, (ln_span){"", 0});
    else if (rc < 0)
        conclude(p, call, rc, params);
}

void ln_rpc_hand_on(ln_rpc_peer *p, const ln_rpc_ticket *onward)
{
    LN_ASSERT(p->current != NULL);
    p->current->onward = *onward;
}
