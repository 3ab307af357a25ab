/* SPDX-License-Identifier: MIT */
/*
 * chat/server.c - the chat of `linnet serve`, as a program of its own: commands with JSON in them.
 *
 *   0x0001  {"username","message"} from a client; with "timestamp" to everybody
 *   0x0003  {"id","username","joinedAt"} to everybody: somebody said who he is
 *   0x0004  the same: somebody left
 *   0x0005  asks for, and 0x0006 brings, a list of those who are there
 *   0x0008  {"username"} from a client: its name
 *
 *     chat-server [ADDRESS]       ws://ADDRESS/ws, 127.0.0.1:8080 if none is given
 */
#include <linnet/command.h>
#include <linnet/linnet.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum { MESSAGE = 1, JOINED = 3, LEFT = 4, LIST = 5, PEOPLE = 6, NAME = 8 };
enum { PEOPLE_MAX = 1000, TEXT_MAX = 4096 };

/* One worker, so one thread: no lock. Strings are kept as JSON wrote them, quotes and all. */
typedef struct person {
    ln_conn_id conn;
    char id[37];
    char name[128];
    char joined[32];
} person;

static ln_command *game;
static person people[PEOPLE_MAX];
static int count;

static const char *now(void)
{
    static char text[32];
    const time_t seconds = time(NULL);
    strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", gmtime(&seconds));
    return text;
}

/* Member `name` of a JSON object into `text`, as a JSON string; false if it is something else. */
static bool read_string(ln_span json, const char *name, char *text, size_t size)
{
    const char *const first = json.data;
    ln_span value = LN_SPAN("\"\"");
    const int rc = ln_json_find(json, name, SIZE_MAX, &value);

    if (rc != LN_ERR_PROTOCOL && first[strspn(first, " \t\r\n")] != '{')
        return false;
    if ((rc < 0 && rc != LN_ERR_NOT_FOUND) || value.size >= size || *(char *)value.data != '"')
        return false;
    memcpy(text, value.data, value.size);
    text[value.size] = '\0';
    return true;
}

static int write_person(char *text, size_t size, const person *p)
{
    return snprintf(text, size, "{\"id\":\"%s\",\"username\":%s,\"joinedAt\":\"%s\"}", p->id,
                    p->name, p->joined);
}

static void tell(uint32_t id, const person *p)
{
    char text[512];
    const int n = write_person(text, sizeof text, p);
    ln_command_publish(game, LN_SPAN(""), id, (ln_span){text, (size_t)n}, 0);
}

static void on_message(ln_conn *c, uint32_t id, ln_span payload, void *user)
{
    static char name[TEXT_MAX], message[TEXT_MAX], text[3 * TEXT_MAX];

    if (!read_string(payload, "username", name, sizeof name) ||
        !read_string(payload, "message", message, sizeof message))
        return;
    const int n =
        snprintf(text, sizeof text, "{\"username\":%s,\"message\":%s,\"timestamp\":\"%s\"}", name,
                 message, now());
    ln_command_publish(game, LN_SPAN(""), MESSAGE, (ln_span){text, (size_t)n}, 0);
}

static void on_name(ln_conn *c, uint32_t id, ln_span payload, void *user)
{
    person *p = ln_conn_user(c);

    if (p != NULL && read_string(payload, "username", p->name, sizeof p->name))
        tell(JOINED, p);
}

static void on_list(ln_conn *c, uint32_t id, ln_span payload, void *user)
{
    static char text[PEOPLE_MAX * 300];
    size_t n = 0;

    text[n++] = '[';
    for (int i = 0, listed = 0; i < PEOPLE_MAX; i++) {
        if (people[i].conn == 0)
            continue;
        if (listed++ > 0)
            text[n++] = ',';
        n += (size_t)write_person(text + n, sizeof text - n, &people[i]);
    }
    text[n++] = ']';
    ln_command_send(game, ln_conn_get_id(c), PEOPLE, (ln_span){text, n});
}

static void on_connect(ln_conn *c, const ln_request *request, void *user)
{
    person *p = people;

    if (count == PEOPLE_MAX) {
        ln_conn_close(c, 1013, LN_SPAN("the room is full"));
        return;
    }
    while (p->conn != 0)
        p++;
    count++;
    p->conn = ln_conn_get_id(c);
    memcpy(p->id, ln_command_uuid(c).data, 36);
    snprintf(p->name, sizeof p->name, "\"Guest_%.8s\"", p->id);
    snprintf(p->joined, sizeof p->joined, "%s", now());
    ln_conn_set_user(c, p);
}

static void on_disconnect(ln_conn *c, bool is_voluntary, const ln_close_info *info, void *user)
{
    person *p = ln_conn_user(c);

    if (p == NULL)
        return;
    tell(LEFT, p);
    p->conn = 0;
    count--;
}

int main(int argc, char **argv)
{
    const ln_ws_options ws = {.origins = "*", .overflow = LN_OVERFLOW_CLOSE};
    const ln_command_options options = {
        .on_connect = on_connect, .on_disconnect = on_disconnect, .ws = &ws};
    ln_server *server = ln_server_new(NULL);

    int rc = ln_command_mount(server, "/ws", &options, &game);
    if (rc == 0)
        rc = ln_command_on(game, MESSAGE, on_message, NULL);
    if (rc == 0)
        rc = ln_command_on(game, LIST, on_list, NULL);
    if (rc == 0)
        rc = ln_command_on(game, NAME, on_name, NULL);
    if (rc == 0)
        rc = ln_server_listen(server, argc > 1 ? argv[1] : "127.0.0.1:8080");
    if (rc == 0)
        rc = ln_server_run(server);
    if (rc < 0)
        fprintf(stderr, "chat: %s\n", ln_strerror(rc));
    ln_server_free(server);
    return rc < 0;
}
