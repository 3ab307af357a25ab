/* SPDX-License-Identifier: MIT */
/*
 * commandjob.c - handlers that may block: a command is copied into a job of the server's pool, with
 * its connection's id as the key, so that those of one client stay in order; so are calls of methods
 * (rpccall.c), which have one account with commands. A client with too many of both under way is not
 * read; when all clients together have too much, commands end their connection and calls are
 * answered so.
 */
#include <string.h>

#include "base/text.h"
#include "commandinner.h"

typedef struct command_job {
    ln_job job;
    ln_command *game;
    ln_worker *worker;
    ln_conn_id conn;
    ln_command_blocking_handler *handler;
    void *user;
    uint32_t id;
    size_t size;
    uint8_t payload[];
} command_job;

/* ---- accounts ---- */

static bool has_enough(const ln_command_client *client)
{
    return client->job_count >= LN_COMMAND_JOBS_MAX ||
           client->job_bytes >= LN_COMMAND_JOBS_MAX_BYTES;
}

int ln_command_hand_out(ln_rpc_peer *p, size_t bytes)
{
    ln_command_client *const client = LN_CONTAINER_OF(p, ln_command_client, rpc);
    ln_command *const game = ln_command_of(p->conn);

    const size_t before = atomic_fetch_add_explicit(&game->job_bytes, bytes, memory_order_relaxed);
    if (before + bytes > LN_COMMAND_JOBS_ALL_MAX_BYTES) {
        atomic_fetch_sub_explicit(&game->job_bytes, bytes, memory_order_relaxed);
        return LN_ERR_WOULD_EXCEED;
    }
    client->job_count++;
    client->job_bytes += bytes;
    /* one that the application does not want to be read stays its own to resume */
    if (!(p->conn->flags & LN_CONN_PAUSED) && has_enough(client)) {
        client->is_held = true;
        ln_conn_pause(p->conn);
    }
    return 0;
}

void ln_command_take_back(ln_rpc *rpc, ln_rpc_peer *p, size_t bytes)
{
    ln_command *const game = LN_CONTAINER_OF(rpc, ln_command, rpc);

    atomic_fetch_sub_explicit(&game->job_bytes, bytes, memory_order_relaxed);
    if (p == NULL)
        return;
    ln_command_client *const client = LN_CONTAINER_OF(p, ln_command_client, rpc);
    client->job_count--;
    client->job_bytes -= bytes;
    if (client->is_held && !has_enough(client)) {
        client->is_held = false;
        ln_conn_resume(p->conn);
    }
}

/* ---- commands ---- */

static void work(ln_job *job)
{
    const command_job *const j = LN_CONTAINER_OF(job, command_job, job);
    j->handler(j->game, j->conn, j->id, (ln_span){j->payload, j->size}, j->user);
}

/* Its client, if it is still there. */
static ln_command_client *client_of(const command_job *j)
{
    ln_conn *const c = ln_slots_find(&j->worker->slots, j->conn & LN_CONN_NAME_MASK);
    return c == NULL ? NULL : ln_command_client_of(c);
}

static void done(ln_job *job, ln_loop *loop)
{
    command_job *const j = LN_CONTAINER_OF(job, command_job, job);
    ln_command_client *const client = loop == NULL ? NULL : client_of(j);

    ln_command_take_back(&j->game->rpc, client == NULL ? NULL : &client->rpc, j->size);
    ln_free(j->game->alloc, j);
}

static int submit(ln_command *game, ln_rpc_peer *p, command_job *j)
{
    int rc = ln_command_hand_out(p, j->size);

    if (rc < 0)
        return rc;
    rc =
        ln_jobs_submit(ln_server_jobs(game->server), ln_conn_home(p->conn)->loop, j->conn, &j->job);
    if (rc < 0)
        ln_command_take_back(&game->rpc, p, j->size);
    return rc;
}

void ln_command_delegate(ln_command *game, ln_conn *c, const ln_command_range *range, uint32_t id,
                         ln_span payload)
{
    command_job *const j = ln_alloc(game->alloc, sizeof *j + payload.size);

    if (j == NULL) {
        (void)ln_conn_close(c, 1011, LN_SPAN("out of memory"));
        return;
    }
    *j = (command_job){.job = {.work = work, .done = done},
                       .game = game,
                       .worker = ln_conn_home(c)->loop->owner,
                       .conn = c->id,
                       .handler = range->blocking,
                       .user = range->user,
                       .id = id,
                       .size = payload.size};
    if (payload.size > 0)
        memcpy(j->payload, payload.data, payload.size);
    if (submit(game, &ln_command_client_of(c)->rpc, j) < 0) {
        ln_free(game->alloc, j);
        (void)ln_conn_close(c, 1013, LN_SPAN("too much to do"));
    }
}

int ln_command_method_blocking(ln_command *game, const char *name, ln_rpc_handler *handler,
                               void *user)
{
    const ln_rpc_service service = {.handler = handler, .user = user, .is_blocking = true};

    if (handler != NULL && ln_server_jobs(game->server) == NULL)
        return LN_ERR_NOMEM;
    return ln_rpc_set_method(&game->rpc, ln_text(name), &service);
}
