/* SPDX-License-Identifier: MIT */
/* echo - the smallest server: sends back what it gets, on ws://127.0.0.1:8080/echo. */
#include <linnet/linnet.h>

static void on_message(ln_conn *c, const ln_message *m, void *user)
{
    ln_conn_send(c, m->kind, m->data);
}

int main(void)
{
    ln_server *server = ln_server_new(NULL);
    ln_server_ws(server, "/echo", &(ln_ws_handlers){.on_message = on_message}, NULL);
    ln_server_listen(server, "127.0.0.1:8080");
    return ln_server_run(server);
}
