/* SPDX-License-Identifier: MIT */
/*
 * broker.c - a server that asks its clients: once a second each page that has registered is called
 * with `server.ping`, and what it answers is told. Every call ends with a line here, whatever becomes
 * of the page.
 *
 *   example.echo       what was sent comes back
 *   example.where      what the broker knows of the caller
 *   news.*             what clients publish there is told here
 *
 *     broker [ADDRESS [MS]]      ws://ADDRESS/wsmq, 127.0.0.1:8080 if none is given; MS milliseconds
 *                                between two pings, 1000 if they are not given
 */
#include <linnet/broker.h>
#include <linnet/linnet.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static ln_broker *broker;
static uint32_t interval_ms = 1000;

/* ---- the server asks ---- */

static void on_pong(const ln_rpc_reply *reply, void *user)
{
    const unsigned long long conn = reply->conn;

    if (reply->error == 0)
        printf("%llx answered %.*s\n", conn, (int)reply->result.size,
               (const char *)reply->result.data);
    else if (reply->error == LN_ERR_REFUSED)
        printf("%llx refused: %lld %.*s\n", conn, (long long)reply->code, (int)reply->message.size,
               (const char *)reply->message.data);
    else
        printf("%llx did not answer: %s\n", conn, ln_strerror(reply->error));
    fflush(stdout);
}

static bool ask(const ln_broker_info *client, void *user)
{
    char payload[100];
    const int n =
        snprintf(payload, sizeof payload, "{\"timestamp\":%lld,\"message\":\"Ping from server\"}",
                 (long long)time(NULL));
    const ln_broker_request_options request = {.conn = client->conn,
                                               .topic = LN_SPAN("server.ping"),
                                               .payload = {payload, (size_t)n},
                                               .timeout_ms = 5000,
                                               .on_reply = on_pong};

    /* an error here is the end of it: on_pong does not come */
    const int rc = client->is_registered ? ln_broker_request(broker, &request, NULL) : 0;
    if (rc < 0)
        printf("%llx cannot be asked: %s\n", (unsigned long long)client->conn, ln_strerror(rc));
    return true;
}

static void ask_all(void *arg)
{
    ln_loop *loop = arg;
    ln_loop_timer *timer;

    ln_broker_each(broker, ask, NULL);
    if (ln_loop_after(loop, interval_ms, ask_all, loop, &timer) < 0)
        fprintf(stderr, "broker: no more pings\n");
}

static void on_worker_start(ln_server *server, unsigned worker, ln_loop *loop, void *user)
{
    ln_loop_timer *timer;

    if (worker == 0 && ln_loop_after(loop, interval_ms, ask_all, loop, &timer) < 0)
        fprintf(stderr, "broker: no pings\n");
}

/* ---- clients ask ---- */

static int on_echo(const ln_rpc_call *call, void *user)
{
    return ln_rpc_result(&call->ticket, call->params);
}

static int on_where(const ln_rpc_call *call, void *user)
{
    ln_broker_info client;
    char url[6 * 2048 + 3], text[sizeof url + 16]; /* a URL is cut at 2048 bytes */

    ln_broker_info_get(call->conn, &client);
    ln_json_quote(client.url, url, sizeof url);
    const int n = snprintf(text, sizeof text, "{\"url\":%s}", url);
    return ln_rpc_result(&call->ticket, (ln_span){text, (size_t)n});
}

/* ---- clients come, go and publish ---- */

static void on_registered(ln_conn *c, const ln_broker_info *client, void *user)
{
    char name[6 * 256 + 3]; /* a name is cut at 256 bytes; as in JSON it is harmless */
    const int n = ln_json_quote(client->name, name, sizeof name);

    printf("%llx is %.*s\n", (unsigned long long)client->conn, n - 2, name + 1); /* no quotes */
    fflush(stdout);
}

static void on_disconnect(ln_conn *c, const ln_broker_info *client, const ln_close_info *info,
                          void *user)
{
    printf("%llx left with %u\n", (unsigned long long)client->conn, info->code);
    fflush(stdout);
}

static void on_news(ln_broker *from, const ln_broker_publication *p, void *user)
{
    printf("%.*s: %.*s\n", (int)p->topic.size, (const char *)p->topic.data, (int)p->payload.size,
           (const char *)p->payload.data);
    fflush(stdout);
}

int main(int argc, char **argv)
{
    const ln_server_options options = {.on_worker_start = on_worker_start};
    const ln_broker_options how = {.on_registered = on_registered, .on_disconnect = on_disconnect};
    ln_server *server = ln_server_new(&options);

    if (argc > 2)
        interval_ms = (uint32_t)atoi(argv[2]);
    int rc = ln_broker_mount(server, "/wsmq", &how, &broker);
    if (rc == 0) {
        ln_broker_handle(broker, "example.echo", on_echo, NULL);
        ln_broker_handle(broker, "example.where", on_where, NULL);
        ln_broker_subscribe(broker, "news.*", on_news, NULL);
        rc = ln_server_listen(server, argc > 1 ? argv[1] : "127.0.0.1:8080");
    }
    if (rc == 0) {
        printf("listening on port %d\n", ln_server_port(server, 0));
        fflush(stdout);
        rc = ln_server_run(server);
    }
    if (rc < 0)
        fprintf(stderr, "broker: %s\n", ln_strerror(rc));
    ln_server_free(server);
    return rc < 0;
}
