/* SPDX-License-Identifier: MIT */
#include "routes.h"

#include <linnet/command.h>

#include "base/limits.h"
#include "base/text.h"
#include "brokerdemo.h"

enum {
    ECHO_MESSAGE_BYTES = 64 << 20,
    ECHO_FRAGMENTS = 70000,
    ECHO_QUEUE_BYTES =
        2 * ECHO_MESSAGE_BYTES /* room for one of the largest while another one leaves */
};

static bool is_get(const ln_request *request)
{
    const ln_span method = ln_request_method(request);
    return ln_text_equal(method, LN_SPAN("GET")) || ln_text_equal(method, LN_SPAN("HEAD"));
}

static void reply_status(ln_request *request, unsigned status, ln_span body)
{
    (void)ln_request_add_header(request, "Cache-Control", LN_SPAN("no-store"));
    if (!is_get(request)) {
        (void)ln_request_add_header(request, "Allow", LN_SPAN("GET, HEAD"));
        status = 405;
        body = LN_SPAN("{\"error\":\"method not allowed\"}");
    }
    (void)ln_request_reply(request, status, "application/json",
                           body); /* unanswered, it becomes a 500 */
}

static void on_health(ln_request *request, void *user)
{
    (void)user;
    reply_status(request, 200, LN_SPAN("{\"status\":\"ok\"}"));
}

static void on_ready(ln_request *request, void *user)
{
    (void)user;
    if (ln_server_is_stopping(ln_request_server(request)))
        reply_status(request, 503, LN_SPAN("{\"status\":\"draining\"}"));
    else
        reply_status(request, 200, LN_SPAN("{\"status\":\"ready\"}"));
}

static void on_echo(ln_conn *c, const ln_message *message, void *user)
{
    (void)user;
    const int rc = ln_conn_send(c, message->kind, message->data);
    if (rc == 1)
        ln_conn_pause(c); /* a client that does not read its echoes is not read either */
    else if (rc < 0 && rc != LN_ERR_CLOSED)
        (void)ln_conn_close(c, 1011, LN_SPAN("cannot echo"));
}

static void on_echo_drain(ln_conn *c, void *user)
{
    (void)user;
    ln_conn_resume(c);
}

static int mount_echo(ln_server *server, const ln_ws_options *common)
{
    ln_ws_options ws = *common;
    ws.message_max_bytes = ECHO_MESSAGE_BYTES;
    ws.queue_max_bytes = ECHO_QUEUE_BYTES;
    ws.fragments_max = ECHO_FRAGMENTS;
    ws.control_per_second = LN_OFF;
    ws.deflate = true;
    ws.trust_text = true; /* it was checked when it came in */
    const ln_ws_handlers handlers = {.on_message = on_echo, .on_drain = on_echo_drain};
    return ln_server_ws(server, "/echo", &handlers, &ws);
}

/* A client that does not read is closed. Messages may not be longer than the dialect's, whatever the
 * options say. */
static int mount_chat(ln_server *server, const ln_ws_options *common, ln_chat *chat)
{
    ln_ws_options ws = *common;
    ws.overflow = LN_OVERFLOW_CLOSE;
    if (ws.message_max_bytes > LN_COMMAND_PAYLOAD_MAX_BYTES)
        ws.message_max_bytes = 0; /* the dialect's own */
    return ln_chat_mount(chat, server, "/ws", &ws);
}

static int mount_rooms(ln_server *server, const ln_routes_options *o)
{
    ln_ws_options ws = *o->ws;
    ln_rooms_options rooms = *o->rooms;

    ws.overflow = o->overflow;
    rooms.ws = &ws;
    return ln_rooms_mount(server, LN_ROUTES_ROOMS, &rooms);
}

int ln_routes_mount(ln_server *server, const ln_routes_options *options)
{
    int rc = ln_server_http(server, "/health", on_health, NULL);
    if (rc == 0)
        rc = ln_server_http(server, "/ready", on_ready, NULL);
    if (rc == 0)
        rc = mount_echo(server, options->ws);
    if (rc == 0)
        rc = mount_rooms(server, options);
    if (rc == 0)
        rc = mount_chat(server, options->ws, options->chat);
    if (rc == 0)
        rc = ln_brokerdemo_mount(server, "/wsmq", options->ws, options->reload);
    return rc;
}
