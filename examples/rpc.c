/* SPDX-License-Identifier: MIT */
/*
 * rpc.c - a game server's two ways to talk: commands by number, JSON-RPC 2.0 by name.
 *
 *   command 1           comes back as it is
 *   command 2           two hundred commands, then a close with a code of our own
 *   command 3           a close without a word
 *   echo                its params
 *   subtract            [a, b] or {"minuend": a, "subtrahend": b}
 *   boom                an error
 *   later               its params, half a second later
 *   ask                 asks the caller to "add" [1, 2], and tells what it said
 *
 *     rpc [ADDRESS [RATE]]      ws://ADDRESS/ws, 127.0.0.1:8080 if none is given; RATE messages a
 *                               second for each client instead of a hundred, 0 for as many as come
 */
#include <linnet/command.h>
#include <linnet/linnet.h>
#include <stdio.h>
#include <stdlib.h>

static ln_command *game;

/* ---- commands ---- */

static void on_echo(ln_conn *c, uint32_t id, ln_span payload, void *user)
{
    ln_command_send(game, ln_conn_get_id(c), id, payload);
}

/* What was sent before a close arrives before it. */
static void on_farewell(ln_conn *c, uint32_t id, ln_span payload, void *user)
{
    char text[16];

    for (int i = 0; i < 200; i++) {
        const int n = snprintf(text, sizeof text, "%d", i);
        ln_command_send(game, ln_conn_get_id(c), id, (ln_span){text, (size_t)n});
    }
    ln_conn_close(c, 4001, LN_SPAN("bye"));
}

static void on_leave(ln_conn *c, uint32_t id, ln_span payload, void *user)
{
    ln_conn_close(c, 1000, LN_SPAN(""));
}

/* ---- methods ---- */

static int on_method_echo(const ln_rpc_call *call, void *user)
{
    return ln_rpc_result(&call->ticket, call->params);
}

/* By name or by position: ln_json_find() does whichever the params are. */
static int on_subtract(const ln_rpc_call *call, void *user)
{
    double a, b;
    char text[32];
    ln_span value;

    if (ln_json_find(call->params, "minuend", 0, &value) < 0 || ln_json_number(value, &a) < 0 ||
        ln_json_find(call->params, "subtrahend", 1, &value) < 0 || ln_json_number(value, &b) < 0)
        return LN_ERR_INVALID; /* answered with -32602, Invalid params */
    const int n = snprintf(text, sizeof text, "%.17g", a - b);
    return ln_rpc_result(&call->ticket, (ln_span){text, (size_t)n});
}

static int on_boom(const ln_rpc_call *call, void *user)
{
    return ln_rpc_error(&call->ticket, LN_RPC_INTERNAL_ERROR, LN_SPAN("boom"), LN_SPAN(""));
}

/* ---- an answer later ---- */

typedef struct promise {
    ln_rpc_ticket ticket;
    size_t size;
    char params[];
} promise;

static void keep(void *arg)
{
    promise *p = arg;
    ln_rpc_result(&p->ticket, (ln_span){p->params, p->size}); /* the caller may be gone: an error */
    free(p);
}

static int on_later(const ln_rpc_call *call, void *user)
{
    ln_loop_timer *timer;
    promise *p = malloc(sizeof *p + call->params.size);

    if (p == NULL)
        return LN_ERR_NOMEM;
    p->ticket = call->ticket;
    p->size = call->params.size;
    for (size_t i = 0; i < p->size; i++)
        p->params[i] = ((const char *)call->params.data)[i];
    const int rc = ln_loop_after(ln_conn_loop(call->conn), 500, keep, p, &timer);
    if (rc < 0)
        free(p);
    return rc < 0 ? rc : LN_ERR_AGAIN;
}

/* ---- a question to the client ---- */

static void on_reply(const ln_rpc_reply *reply, void *user)
{
    ln_rpc_ticket *ticket = user;

    if (reply->error == 0)
        ln_rpc_result(ticket, reply->result);
    else
        ln_rpc_error(ticket, 1, LN_SPAN("you did not say"), reply->message);
    free(ticket);
}

static int on_ask(const ln_rpc_call *call, void *user)
{
    ln_rpc_ticket *ticket = malloc(sizeof *ticket);

    if (ticket == NULL)
        return LN_ERR_NOMEM;
    *ticket = call->ticket;
    const int rc = ln_command_call(game, ln_conn_get_id(call->conn), "add", LN_SPAN("[1,2]"), 1000,
                                   on_reply, ticket);
    if (rc < 0)
        free(ticket);
    return rc < 0 ? rc : LN_ERR_AGAIN;
}

int main(int argc, char **argv)
{
    const uint32_t rate = argc > 2 ? (uint32_t)atoi(argv[2]) : 100;
    const ln_command_options options = {
        .rate = {.per_second = rate == 0 ? LN_OFF : rate, .burst = 2 * rate}};
    ln_server *server = ln_server_new(NULL);

    int rc = ln_command_mount(server, "/ws", &options, &game);
    if (rc == 0) {
        ln_command_on(game, 1, on_echo, NULL);
        ln_command_on(game, 2, on_farewell, NULL);
        ln_command_on(game, 3, on_leave, NULL);
        ln_command_method(game, "echo", on_method_echo, NULL);
        ln_command_method(game, "subtract", on_subtract, NULL);
        ln_command_method(game, "boom", on_boom, NULL);
        ln_command_method(game, "later", on_later, NULL);
        ln_command_method(game, "ask", on_ask, NULL);
        rc = ln_server_listen(server, argc > 1 ? argv[1] : "127.0.0.1:8080");
    }
    if (rc == 0) {
        printf("listening on port %d\n", ln_server_port(server, 0));
        fflush(stdout);
        rc = ln_server_run(server);
    }
    if (rc < 0)
        fprintf(stderr, "rpc: %s\n", ln_strerror(rc));
    ln_server_free(server);
    return rc < 0;
}
