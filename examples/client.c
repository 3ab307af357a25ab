/* SPDX-License-Identifier: MIT */
/*
 * client.c - says hello, prints what comes back, and stays connected: after a loss it reconnects by
 * itself.
 *
 *     client ws://127.0.0.1:8080/echo
 */
#include <stdio.h>

#include <linnet/linnet.h>

static void on_open(ln_conn *c, const ln_request *request, void *user)
{
    (void)request;
    (void)user;
    ln_conn_send(c, LN_TEXT, LN_SPAN("hello"));
}

static void on_message(ln_conn *c, const ln_message *m, void *user)
{
    (void)c;
    (void)user;
    printf("%.*s\n", (int)m->data.size, (const char *)m->data.data);
    fflush(stdout);
}

static void on_close(ln_conn *c, const ln_close_info *info, void *user)
{
    (void)c;
    (void)user;
    fprintf(stderr, "closed: %u %.*s\n", info->code, (int)info->reason.size,
            (const char *)info->reason.data);
}

static void on_failure(ln_client *client, int err, unsigned status, const char *what,
                       int64_t retry_ms, void *user)
{
    (void)client;
    (void)err;
    (void)user;
    fprintf(stderr, "failed: %s (status %u), again in %lld ms\n", what, status,
            (long long)retry_ms);
}

int main(int argc, char **argv)
{
    const ln_ws_handlers handlers = {
        .on_open = on_open, .on_message = on_message, .on_close = on_close};
    const ln_client_options options = {.reconnect = true, .on_failure = on_failure};
    ln_loop *loop;
    ln_client *client = NULL;

    int rc = ln_loop_new(NULL, &loop);
    if (rc < 0)
        return 1;
    rc = ln_client_new(loop, argc > 1 ? argv[1] : "ws://127.0.0.1:8080/echo", &handlers, &options,
                       &client);
    if (rc < 0)
        fprintf(stderr, "client: %s\n", ln_strerror(rc));
    else
        rc = ln_loop_run(loop);
    ln_client_free(client);
    ln_loop_free(loop);
    return rc < 0;
}
