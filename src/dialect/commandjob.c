/* SPDX-License-Identifier: MIT */
/*
 * commandjob.c - handlers that may block: a command is copied into a job of the server's pool, with
 * its connection's id as the key, so that those of one client stay in order. A client with too many
 * of them under way is not read.
 */
#include <string.h>

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

static void work(ln_job *job)
{
    const command_job *const j = LN_CONTAINER_OF(job, command_job, job);
    j->handler(j->game, j->conn, j->id, (ln_span){j->payload, j->size}, j->user);
}

/* Its client, if it is still there. */
static void give_back(const command_job *j)
{
    ln_conn *const c = ln_slots_find(&j->worker->slots, j->conn & LN_CONN_NAME_MASK);
    ln_command_client *const client = c == NULL ? NULL : ln_command_client_of(c);

    if (client == NULL)
        return;
    client->job_count--;
    client->job_bytes -= j->size;
    if (client->is_held && client->job_count < LN_COMMAND_JOBS_MAX &&
        client->job_bytes < LN_COMMAND_JOBS_MAX_BYTES) {
        client->is_held = false;
        ln_conn_resume(c);
    }
}

static void done(ln_job *job, ln_loop *loop)
{
    command_job *const j = LN_CONTAINER_OF(job, command_job, job);

    if (loop != NULL)
        give_back(j);
    ln_free(j->game->alloc, j);
}

void ln_command_delegate(ln_command *game, ln_conn *c, const ln_command_range *range, uint32_t id,
                         ln_span payload)
{
    ln_home *const home = ln_conn_home(c);
    ln_command_client *const client = ln_command_client_of(c);
    command_job *const j = ln_alloc(game->alloc, sizeof *j + payload.size);

    if (j == NULL) {
        (void)ln_conn_close(c, 1011, LN_SPAN("out of memory"));
        return;
    }
    *j = (command_job){.job = {.work = work, .done = done},
                       .game = game,
                       .worker = home->loop->owner,
                       .conn = c->id,
                       .handler = range->blocking,
                       .user = range->user,
                       .id = id,
                       .size = payload.size};
    if (payload.size > 0)
        memcpy(j->payload, payload.data, payload.size);
    if (ln_jobs_submit(ln_server_jobs(game->server), home->loop, c->id, &j->job) < 0) {
        ln_free(game->alloc, j);
        (void)ln_conn_close(c, 1013, LN_SPAN("too much to do"));
        return;
    }
    client->job_count++;
    client->job_bytes += payload.size;
    if (client->job_count >= LN_COMMAND_JOBS_MAX ||
        client->job_bytes >= LN_COMMAND_JOBS_MAX_BYTES) {
        client->is_held = true;
        ln_conn_pause(c);
    }
}
