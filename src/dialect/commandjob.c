/* SPDX-License-Identifier: MIT */
/*
 * commandjob.c - handlers that may block: what a client sends to them is copied into a job of the
 * server's pool, with the connection's id as the key, so that the jobs of one client stay in order.
 * A client with too many of them under way is not read; when all clients together have too much,
 * commands end their connection and calls are answered so.
 */
#include <string.h>

#include "base/text.h"
#include "commandinner.h"

/* What jobs have in common. */
typedef struct errand {
    ln_job job;
    ln_command *game;
    ln_worker *worker;
    ln_conn_id conn;
    size_t size; /* of what was copied */
} errand;

typedef struct command_job {
    errand errand;
    ln_command_blocking_handler *handler;
    void *user;
    uint32_t id;
    uint8_t payload[];
} command_job;

typedef struct method_job {
    errand errand;
    const ln_command_service *service;
    ln_rpc_call call; /* its spans lie in bytes[] */
    int result;       /* of the handler */
    char bytes[];
} method_job;

/* ---- accounts ---- */

/* Its client has room for another, if it is still there. */
static void give_back(const errand *e)
{
    ln_conn *const c = ln_slots_find(&e->worker->slots, e->conn & LN_CONN_NAME_MASK);
    ln_command_client *const client = c == NULL ? NULL : ln_command_client_of(c);

    if (client == NULL)
        return;
    client->job_count--;
    client->job_bytes -= e->size;
    if (client->is_held && client->job_count < LN_COMMAND_JOBS_MAX &&
        client->job_bytes < LN_COMMAND_JOBS_MAX_BYTES) {
        client->is_held = false;
        ln_conn_resume(c);
    }
}

/* On the loop; or, with NULL, when that has ended. */
static void account(const errand *e, const ln_loop *loop)
{
    atomic_fetch_sub_explicit(&e->game->job_bytes, e->size, memory_order_relaxed);
    if (loop != NULL)
        give_back(e);
}

/* What ln_jobs_submit() says, and the same if too much is under way. */
static int submit(errand *e, ln_command *game, ln_conn *c, size_t size)
{
    ln_home *const home = ln_conn_home(c);
    ln_command_client *const client = ln_command_client_of(c);

    e->game = game;
    e->worker = home->loop->owner;
    e->conn = c->id;
    e->size = size;
    const size_t before = atomic_fetch_add_explicit(&game->job_bytes, size, memory_order_relaxed);
    const int rc = before + size > LN_COMMAND_JOBS_ALL_MAX_BYTES
                       ? LN_ERR_WOULD_EXCEED
                       : ln_jobs_submit(ln_server_jobs(game->server), home->loop, c->id, &e->job);
    if (rc < 0) {
        atomic_fetch_sub_explicit(&game->job_bytes, size, memory_order_relaxed);
        return rc;
    }
    client->job_count++;
    client->job_bytes += size;
    /* one that the application does not want to be read stays its own to resume */
    if (!(c->flags & LN_CONN_PAUSED) && (client->job_count >= LN_COMMAND_JOBS_MAX ||
                                         client->job_bytes >= LN_COMMAND_JOBS_MAX_BYTES)) {
        client->is_held = true;
        ln_conn_pause(c);
    }
    return 0;
}

/* ---- commands ---- */

static void work_on_command(ln_job *job)
{
    const command_job *const j = LN_CONTAINER_OF(job, command_job, errand.job);
    j->handler(j->errand.game, j->errand.conn, j->id, (ln_span){j->payload, j->errand.size},
               j->user);
}

static void command_done(ln_job *job, ln_loop *loop)
{
    command_job *const j = LN_CONTAINER_OF(job, command_job, errand.job);

    account(&j->errand, loop);
    ln_free(j->errand.game->alloc, j);
}

void ln_command_delegate(ln_command *game, ln_conn *c, const ln_command_range *range, uint32_t id,
                         ln_span payload)
{
    command_job *const j = ln_alloc(game->alloc, sizeof *j + payload.size);

    if (j == NULL) {
        (void)ln_conn_close(c, 1011, LN_SPAN("out of memory"));
        return;
    }
    *j = (command_job){.errand = {.job = {.work = work_on_command, .done = command_done}},
                       .handler = range->blocking,
                       .user = range->user,
                       .id = id};
    if (payload.size > 0)
        memcpy(j->payload, payload.data, payload.size);
    if (submit(&j->errand, game, c, payload.size) < 0) {
        ln_free(game->alloc, j);
        (void)ln_conn_close(c, 1013, LN_SPAN("too much to do"));
    }
}

/* ---- methods ---- */

static void work_on_method(ln_job *job)
{
    method_job *const j = LN_CONTAINER_OF(job, method_job, errand.job);
    j->result = j->service->handler(&j->call, j->service->user);
}

/* As if the handler had returned on the loop. What it answered itself has come before: the second
 * answer is nobody's. */
static void conclude(const method_job *j)
{
    const ln_rpc_ticket *const ticket = &j->call.ticket;

    if (j->result >= 0)
        (void)ln_rpc_result(ticket, LN_SPAN(""));
    else if (j->result == LN_ERR_INVALID)
        (void)ln_rpc_error(ticket, LN_RPC_INVALID_PARAMS, LN_SPAN("Invalid params"), LN_SPAN(""));
    else if (j->result != LN_ERR_AGAIN)
        (void)ln_rpc_error(ticket, LN_RPC_INTERNAL_ERROR, ln_text(ln_strerror(j->result)),
                           LN_SPAN(""));
}

static void method_done(ln_job *job, ln_loop *loop)
{
    method_job *const j = LN_CONTAINER_OF(job, method_job, errand.job);

    if (loop != NULL && !job->is_cancelled)
        conclude(j);
    account(&j->errand, loop);
    ln_free(j->errand.game->alloc, j);
}

static method_job *copy_call(const ln_allocator *alloc, const ln_rpc_call *call,
                             const ln_command_service *service)
{
    const size_t size = call->method.size + call->params.size;
    method_job *const j = ln_alloc(alloc, sizeof *j + size);

    if (j == NULL)
        return NULL;
    *j = (method_job){.errand = {.job = {.work = work_on_method, .done = method_done}},
                      .service = service,
                      .call = {.method = {j->bytes, call->method.size},
                               .params = {j->bytes + call->method.size, call->params.size},
                               .is_notification = call->is_notification,
                               .ticket = call->ticket}};
    if (call->method.size > 0)
        memcpy(j->bytes, call->method.data, call->method.size);
    if (call->params.size > 0)
        memcpy(j->bytes + call->method.size, call->params.data, call->params.size);
    return j;
}

/* Serves such a method on the loop: hands it on. */
static int delegate_call(const ln_rpc_call *call, void *user)
{
    ln_command *const game = ln_command_of(call->conn);
    method_job *const j = copy_call(game->alloc, call, user);

    if (j == NULL)
        return LN_ERR_NOMEM;
    if (submit(&j->errand, game, call->conn, call->method.size + call->params.size) == 0)
        return LN_ERR_AGAIN;
    ln_free(game->alloc, j);
    (void)ln_rpc_error(&call->ticket, LN_RPC_BUSY, LN_SPAN("Too many calls"), LN_SPAN(""));
    return 0;
}

/*
 * The record of a handler and its user pointer, which stays as long as the endpoint: calls that were
 * handed on may still name it when its method has another one.
 */
static int find_service(ln_command *game, ln_rpc_handler *handler, void *user,
                        ln_command_service **service)
{
    unsigned count = 0;

    for (ln_command_service *s = game->services; s != NULL; s = s->next, count++) {
        if (s->handler != handler || s->user != user)
            continue;
        *service = s;
        return 0;
    }
    if (count == LN_RPC_METHODS_MAX)
        return LN_ERR_LIMIT;
    ln_command_service *const fresh = ln_alloc(game->alloc, sizeof *fresh);
    if (fresh == NULL)
        return LN_ERR_NOMEM;
    *fresh = (ln_command_service){.handler = handler, .user = user, .next = game->services};
    *service = game->services = fresh;
    return 0;
}

void ln_command_free_services(ln_command *game)
{
    while (game->services != NULL) {
        ln_command_service *const s = game->services;
        game->services = s->next;
        ln_free(game->alloc, s);
    }
}

int ln_command_method_blocking(ln_command *game, const char *name, ln_rpc_handler *handler,
                               void *user)
{
    ln_command_service *service;

    if (handler == NULL)
        return ln_command_method(game, name, NULL, NULL);
    if (ln_server_jobs(game->server) == NULL)
        return LN_ERR_NOMEM;
    ln_lock_take(&game->services_lock);
    const int rc = find_service(game, handler, user, &service);
    ln_lock_give(&game->services_lock);
    return rc < 0 ? rc : ln_rpc_set_method(&game->rpc, ln_text(name), delegate_call, service);
}
