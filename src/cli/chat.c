/* SPDX-License-Identifier: MIT */
#include "chat.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/buf.h"
#include "base/list.h"
#include "base/text.h"

enum { MESSAGE = 1, JOINED = 3, LEFT = 4, LIST = 5, PEOPLE = 6, NAME = 8 };

enum { TIME_SIZE = sizeof "2026-11-21T00:18:21.848923294Z" };

/* Somebody in the room. Names and texts stay as JSON wrote them: what came in a string's quotes
 * goes out in them. */
typedef struct person {
    ln_link link;
    char id[40];
    char joined[TIME_SIZE];
    size_t name_size;
    char name[LN_CHAT_NAME_MAX_BYTES]; /* quotes included */
} person;

struct ln_chat {
    ln_command *game;
    pthread_mutex_t lock; /* of the list and of what is in it: workers share it */
    ln_link people;       /* in the order they came */
};

/* ---- writing ---- */

/* RFC 3339, nanoseconds, UTC. */
static void write_now(char text[TIME_SIZE])
{
    struct timespec now;
    struct tm parts;

    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &parts);
    const size_t n = strftime(text, TIME_SIZE, "%Y-%m-%dT%H:%M:%S", &parts);
    snprintf(text + n, TIME_SIZE - n, ".%09ldZ", now.tv_nsec);
}

static int put(ln_buf *out, ln_span text)
{
    return ln_buf_append(out, text.data, text.size, LN_COMMAND_PAYLOAD_MAX_BYTES);
}

static int put_all(ln_buf *out, const ln_span *texts, size_t n)
{
    int rc = 0;
    for (size_t i = 0; i < n && rc == 0; i++)
        rc = put(out, texts[i]);
    return rc;
}

static int put_person(ln_buf *out, const person *p)
{
    const ln_span parts[] = {LN_SPAN("{\"id\":\""),
                             ln_text(p->id),
                             LN_SPAN("\",\"username\":"),
                             {p->name, p->name_size},
                             LN_SPAN(",\"joinedAt\":\""),
                             ln_text(p->joined),
                             LN_SPAN("\"}")};
    return put_all(out, parts, LN_ARRAY_SIZE(parts));
}

/* ---- reading ---- */

/* The string `name` of an object, as it stands there; "" if it is absent or null. False: the object
 * is none, or the member something else. */
static bool read_string(ln_span object, const char *name, ln_span *string)
{
    const int rc = ln_json_find(object, name, SIZE_MAX, string);
    const bool is_absent =
        rc == LN_ERR_NOT_FOUND || (rc == 0 && ln_text_equal(*string, LN_SPAN("null")));
    const char *const first = object.data;

    if (is_absent)
        *string = LN_SPAN("\"\"");
    else if (rc < 0 || *(const char *)string->data != '"')
        return false;
    return first[strspn(first, " \t\r\n")] == '{';
}

/* "dddd-dd-ddTdd:dd:dd", a fraction perhaps, and Z or an offset: the shape of RFC 3339. */
static bool is_time(ln_span string)
{
    static const char shape[] = "\"0000-00-00T00:00:00";
    const char *const text = string.data;
    size_t at = 0;

    for (; at < sizeof shape - 1; at++) {
        const bool is_digit = at < string.size && text[at] >= '0' && text[at] <= '9';
        if (at >= string.size || (shape[at] == '0' ? !is_digit : text[at] != shape[at]))
            return false;
    }
    if (text[at] == '.')
        at += 1 + strspn(text + at + 1, "0123456789");
    return text[at] == 'Z' ? at + 2 == string.size
                           : (text[at] == '+' || text[at] == '-') && at + 7 == string.size;
}

/* ---- commands ---- */

/* To everybody. Somebody who cannot be told is closed as too slow; without memory nobody is told. */
static void tell(const ln_chat *chat, uint32_t id, const ln_buf *payload)
{
    (void)ln_command_publish(chat->game, LN_SPAN(""), id, (ln_span){payload->data, payload->size},
                             0);
}

static void tell_person(ln_chat *chat, uint32_t id, const person *p)
{
    ln_buf text;

    ln_buf_init(&text, NULL);
    if (put_person(&text, p) == 0)
        tell(chat, id, &text);
    ln_buf_fini(&text);
}

static void on_message(ln_conn *c, uint32_t id, ln_span payload, void *user)
{
    const ln_chat *const chat = user;
    ln_span name, message, timestamp;
    char now[TIME_SIZE];
    ln_buf text;
    (void)c;

    if (!read_string(payload, "username", &name) || !read_string(payload, "message", &message) ||
        !read_string(payload, "timestamp", &timestamp) ||
        (timestamp.size > 2 && !is_time(timestamp)))
        return;
    write_now(now);
    const ln_span parts[] = {LN_SPAN("{\"username\":"),
                             name,
                             LN_SPAN(",\"message\":"),
                             message,
                             LN_SPAN(",\"timestamp\":\""),
                             ln_text(now),
                             LN_SPAN("\"}")};
    ln_buf_init(&text, NULL);
    if (put_all(&text, parts, LN_ARRAY_SIZE(parts)) == 0)
        tell(chat, id, &text);
    ln_buf_fini(&text);
}

static void on_name(ln_conn *c, uint32_t id, ln_span payload, void *user)
{
    ln_chat *const chat = user;
    person *const p = ln_conn_user(c);
    ln_span name;
    (void)id;

    if (p == NULL || !read_string(payload, "username", &name) || name.size > sizeof p->name)
        return;
    pthread_mutex_lock(&chat->lock);
    memcpy(p->name, name.data, name.size);
    p->name_size = name.size;
    pthread_mutex_unlock(&chat->lock);
    tell_person(chat, JOINED, p); /* nobody else changes it */
}

static int put_people(ln_chat *chat, ln_buf *text)
{
    ln_span before = LN_SPAN("[");
    unsigned count = 0;
    int rc = 0;

    for (const ln_link *l = chat->people.next;
         l != &chat->people && rc == 0 && count < LN_CHAT_LIST_MAX; l = l->next, count++) {
        rc = put(text, before);
        if (rc == 0)
            rc = put_person(text, LN_CONTAINER_OF(l, person, link));
        before = LN_SPAN(",");
    }
    if (rc == 0 && count == 0)
        rc = put(text, before);
    return rc == 0 ? put(text, LN_SPAN("]")) : rc;
}

static void on_list(ln_conn *c, uint32_t id, ln_span payload, void *user)
{
    ln_chat *const chat = user;
    ln_buf text;
    (void)id;
    (void)payload;

    ln_buf_init(&text, NULL);
    pthread_mutex_lock(&chat->lock);
    const int rc = put_people(chat, &text);
    pthread_mutex_unlock(&chat->lock);
    if (rc == 0) /* who has no room for it is closed by its policy */
        (void)ln_command_send(chat->game, ln_conn_get_id(c), PEOPLE,
                              (ln_span){text.data, text.size});
    ln_buf_fini(&text);
}

/* ---- coming and going ---- */

static void on_connect(ln_conn *c, const ln_request *request, void *user)
{
    ln_chat *const chat = user;
    const ln_span id = ln_command_uuid(c);
    person *const p = ln_alloc_zero(NULL, sizeof *p);
    (void)request;

    ln_conn_set_user(c, p);
    if (p == NULL) {
        (void)ln_conn_close(c, 1013, LN_SPAN("no room"));
        return;
    }
    memcpy(p->id, id.data, id.size);
    p->name_size = (size_t)snprintf(p->name, sizeof p->name, "\"Guest_%.8s\"", p->id);
    write_now(p->joined);
    pthread_mutex_lock(&chat->lock);
    ln_list_add(&chat->people, &p->link);
    pthread_mutex_unlock(&chat->lock);
}

static void on_disconnect(ln_conn *c, bool is_voluntary, const ln_close_info *info, void *user)
{
    ln_chat *const chat = user;
    person *const p = ln_conn_user(c);
    (void)is_voluntary;
    (void)info;

    if (p == NULL)
        return;
    pthread_mutex_lock(&chat->lock);
    ln_list_remove(&p->link);
    pthread_mutex_unlock(&chat->lock);
    tell_person(chat, LEFT, p);
    ln_free(NULL, p);
}

/* ---- life ---- */

ln_chat *ln_chat_new(void)
{
    ln_chat *const chat = ln_alloc_zero(NULL, sizeof *chat);

    if (chat == NULL)
        return NULL;
    pthread_mutex_init(&chat->lock, NULL);
    ln_list_init(&chat->people);
    return chat;
}

void ln_chat_free(ln_chat *chat)
{
    if (chat == NULL)
        return;
    pthread_mutex_destroy(&chat->lock);
    ln_free(NULL, chat);
}

int ln_chat_mount(ln_chat *chat, ln_server *server, const char *path, const ln_ws_options *ws)
{
    static const struct {
        uint32_t id;
        ln_command_handler *handler;
    } handlers[] = {{MESSAGE, on_message}, {LIST, on_list}, {NAME, on_name}};
    const ln_command_options options = {
        .on_connect = on_connect, .on_disconnect = on_disconnect, .user = chat, .ws = ws};

    int rc = ln_command_mount(server, path, &options, &chat->game);
    for (size_t i = 0; i < LN_ARRAY_SIZE(handlers) && rc == 0; i++)
        rc = ln_command_on(chat->game, handlers[i].id, handlers[i].handler, chat);
    return rc;
}
