/* SPDX-License-Identifier: MIT */
/*
 * chat.c - a room in forty lines: every connection subscribes to a topic, and what one says goes to
 * all.
 *
 *     chat              then, in two terminals: linnet connect ws://127.0.0.1:8080/chat
 */
#include <stdio.h>

#include <linnet/linnet.h>

static const ln_span room = {"room", 4};

static void say(ln_conn *c, const char *what)
{
    char line[200];
    const ln_span who = ln_conn_remote(c);
    const int n =
        snprintf(line, sizeof line, "* %.*s %s", (int)who.size, (const char *)who.data, what);

    ln_conn_publish_others(c, room, LN_TEXT, (ln_span){line, (size_t)n}, NULL);
}

static void on_open(ln_conn *c, const ln_request *request, void *user)
{
    (void)request;
    (void)user;
    if (ln_conn_subscribe(c, room) < 0)
        ln_conn_close(c, 1013, LN_SPAN("no room"));
    else
        say(c, "came in");
}

static void on_message(ln_conn *c, const ln_message *m, void *user)
{
    (void)user;
    ln_conn_publish(c, room, m->kind, m->data, NULL);
}

static void on_close(ln_conn *c, const ln_close_info *info, void *user)
{
    (void)info;
    (void)user;
    say(c, "left");
}

int main(int argc, char **argv)
{
    const ln_ws_handlers handlers = {
        .on_open = on_open, .on_message = on_message, .on_close = on_close};
    ln_server *server = ln_server_new(NULL);

    ln_server_ws(server, "/chat", &handlers, NULL);
    const int rc = ln_server_listen(server, argc > 1 ? argv[1] : "127.0.0.1:8080");
    if (rc < 0)
        fprintf(stderr, "chat: %s\n", ln_strerror(rc));
    else
        ln_server_run(server);
    ln_server_free(server);
    return rc < 0;
}
