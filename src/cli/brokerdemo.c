/* SPDX-License-Identifier: MIT */
#include "brokerdemo.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/text.h"
#include "routes.h"

/* Nobody gets round the doors of the rooms here, where all are anonymous. */
static bool allow(const ln_broker_wish *wish, void *user)
{
    ln_rooms *const rooms = ln_rooms_find(ln_conn_server(wish->conn), LN_ROUTES_ROOMS);

    if (ln_reload_on_wish(user, wish))
        return true;
    switch (wish->act) {
    case LN_BROKER_SUBSCRIBE:
        return ln_rooms_may(rooms, NULL, LN_VERB_SUBSCRIBE, wish->topic);
    case LN_BROKER_PUBLISH:
        return ln_rooms_may(rooms, NULL, LN_VERB_PUBLISH, wish->topic);
    case LN_BROKER_LIST:
    case LN_BROKER_PROXY:
        return true;
    }
    return false;
}

static void on_disconnect(ln_conn *c, const ln_broker_info *client, const ln_close_info *info,
                          void *user)
{
    (void)client;
    (void)info;
    ln_reload_on_disconnect(user, c);
}

static int on_echo(const ln_rpc_call *call, void *user)
{
    (void)user;
    return ln_rpc_result(&call->ticket, call->params);
}

static int on_time(const ln_rpc_call *call, void *user)
{
    char text[64];
    const time_t now = time(NULL);
    struct tm utc;
    (void)user;

    if (gmtime_r(&now, &utc) == NULL)
        return LN_ERR_IO;
    const size_t n = strftime(text, sizeof text, "{\"currentTime\":\"%Y-%m-%dT%H:%M:%SZ\"}", &utc);
    return ln_rpc_result(&call->ticket, (ln_span){text, n});
}

static int on_error_test(const ln_rpc_call *call, void *user)
{
    ln_span wish;
    (void)user;

    if (ln_json_find(call->params, "shouldError", 0, &wish) == 0 &&
        ln_text_equal(wish, LN_SPAN("true")))
        return ln_rpc_error(&call->ticket, LN_BROKER_FAILED,
                            LN_SPAN("simulated server error requested by client"), LN_SPAN(""));
    return ln_rpc_result(&call->ticket, LN_SPAN("{\"message\":\"No error requested\"}"));
}

/* ---- later ---- */

typedef struct promise {
    ln_rpc_ticket ticket;
    unsigned delay_ms;
} promise;

static void keep(void *arg)
{
    promise *const p = arg;
    char text[64];

    const int n =
        snprintf(text, sizeof text, "{\"message\":\"Completed after %u ms\"}", p->delay_ms);
    (void)ln_rpc_result(&p->ticket, (ln_span){text, (size_t)n}); /* the client may be gone */
    free(p);
}

static int on_slow(const ln_rpc_call *call, void *user)
{
    double delay_ms = 0;
    ln_loop_timer *timer;
    ln_span value;
    (void)user;

    if (ln_json_find(call->params, "delayMilliseconds", 0, &value) < 0 ||
        ln_json_number(value, &delay_ms) < 0 || delay_ms < 0 ||
        delay_ms > LN_BROKERDEMO_DELAY_MAX_MS)
        return LN_ERR_INVALID;
    promise *const p = malloc(sizeof *p);
    if (p == NULL)
        return LN_ERR_NOMEM;
    *p = (promise){.ticket = call->ticket, .delay_ms = (unsigned)delay_ms};
    const int rc = ln_loop_after(ln_conn_loop(call->conn), p->delay_ms, keep, p, &timer);
    if (rc < 0)
        free(p);
    return rc < 0 ? rc : LN_ERR_AGAIN;
}

int ln_brokerdemo_mount(ln_server *server, const char *path, const ln_ws_options *ws,
                        ln_reload *reload)
{
    static const struct {
        const char *topic;
        ln_rpc_handler *handler;
    } handlers[] = {{"example.echo", on_echo},
                    {"system:get_time", on_time},
                    {"system:error_test", on_error_test},
                    {"server:slow_request", on_slow}};
    const ln_broker_options options = {
        .allow = allow, .on_disconnect = on_disconnect, .user = reload, .ws = ws};
    ln_broker *broker;

    int rc = ln_broker_mount(server, path, &options, &broker);
    for (size_t i = 0; i < LN_ARRAY_SIZE(handlers) && rc == 0; i++)
        rc = ln_broker_handle(broker, handlers[i].topic, handlers[i].handler, NULL);
    return rc == 0 && reload != NULL ? ln_reload_mount(reload, server, broker) : rc;
}
