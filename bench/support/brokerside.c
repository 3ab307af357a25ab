/* SPDX-License-Identifier: MIT */
#include "brokerside.h"

#include <linnet/broker.h>
#include <linnet/linnet.h>
#include <stdio.h>
#include <stdlib.h>

typedef struct side {
    _Atomic uint8_t *executed;
    uint64_t count;
} side;

static int on_count(const ln_rpc_call *call, void *user)
{
    const side *const s = user;
    double n;

    if (ln_json_number(call->params, &n) < 0 || n < 0 || n >= (double)s->count)
        return LN_ERR_INVALID;
    atomic_fetch_add(&s->executed[(uint64_t)n], 1);
    return ln_rpc_result(&call->ticket, call->params);
}

_Noreturn void brokerside_run(int port, _Atomic uint8_t *executed, uint64_t count)
{
    side s = {executed, count};
    ln_server *const server =
        ln_server_new(&(ln_server_options){.workers = 2, .log_level = LN_LOG_ERROR});
    ln_broker *broker;
    char address[32];

    snprintf(address, sizeof address, "127.0.0.1:%d", port);
    int rc = ln_broker_mount(server, "/wsmq", NULL, &broker);
    if (rc == 0)
        rc = ln_broker_handle(broker, "count", on_count, &s);
    if (rc == 0)
        rc = ln_server_listen(server, address);
    if (rc == 0)
        rc = ln_server_run(server);
    fprintf(stderr, "drill_broker: the server: %s\n", ln_strerror(rc));
    exit(1);
}
