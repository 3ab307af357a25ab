/* SPDX-License-Identifier: MIT */
/*
 * topic_server - a server whose connections do nothing but subscribe to one topic: what the memory
 * of a subscription is measured on.
 *
 *     topic_server PORT        ws://127.0.0.1:PORT/topic
 */
#include <stdio.h>
#include <stdlib.h>

#include <linnet/linnet.h>

static void on_open(ln_conn *c, const ln_request *request, void *user)
{
    (void)request;
    (void)user;
    if (ln_conn_subscribe(c, LN_SPAN("topic")) < 0)
        ln_conn_abort(c);
}

int main(int argc, char **argv)
{
    char address[32];
    ln_server *const server = ln_server_new(NULL);

    snprintf(address, sizeof address, "127.0.0.1:%d", argc > 1 ? atoi(argv[1]) : 9003);
    int rc = ln_server_ws(server, "/topic", &(ln_ws_handlers){.on_open = on_open}, NULL);
    if (rc == 0)
        rc = ln_server_listen(server, address);
    if (rc == 0)
        rc = ln_server_run(server);
    if (rc < 0)
        fprintf(stderr, "topic_server: %s\n", ln_strerror(rc));
    ln_server_free(server);
    return rc < 0;
}
