/* SPDX-License-Identifier: MIT */
/*
 * rooms.c - the rooms dialect (linnet/rooms.h): a room is a topic, a member a subscriber.
 */
#include <linnet/rooms.h>
#include <string.h>

#include "base/name.h"
#include "base/text.h"
#include "hub/roster.h"
#include "peer/requests.h"
#include "presence.h"
#include "topics.h"

enum { ROOM_NAME_MAX_BYTES = 128 };

/* The endpoint: lives as long as the server. */
typedef struct rooms {
    const ln_allocator *alloc;
    char *default_room;
    ln_presence_desk *desk; /* NULL = no presence */
} rooms;

/* A member, made when it asks for admission; the connection's user pointer. */
typedef struct guest {
    const rooms *rooms;
    bool follows;
    bool is_listed;
    size_t room_size;
    size_t name_size;
    char name[LN_ROSTER_NAME_BYTES];
    char room[];
} guest;

/* ---- admission ---- */

static bool is_room_name(ln_span name)
{
    const char *const p = name.data;

    if (name.size == 0 || name.size > ROOM_NAME_MAX_BYTES)
        return false;
    for (size_t i = 0; i < name.size; i++) {
        const bool is_letter = (p[i] >= 'a' && p[i] <= 'z') || (p[i] >= 'A' && p[i] <= 'Z');
        const bool is_other =
            (p[i] >= '0' && p[i] <= '9') || (p[i] != '\0' && strchr("._:-", p[i]) != NULL);
        if (!is_letter && !is_other)
            return false;
    }
    return true;
}

static void refuse(ln_request *r, unsigned status, const char *json)
{
    /* only for want of memory: 500 then */
    (void)ln_request_reply(r, status, "application/json", ln_text(json));
}

/* The room asked for, in `buffer`; false: refused. */
static bool read_room(const rooms *rm, ln_request *r, char buffer[ROOM_NAME_MAX_BYTES + 1],
                      size_t *size)
{
    int n = ln_request_param(r, "room", buffer, ROOM_NAME_MAX_BYTES + 1);
    if (n == LN_ERR_NOT_FOUND || n == 0) {
        n = (int)strlen(rm->default_room);
        memcpy(buffer, rm->default_room, (size_t)n + 1);
    }
    if (n < 0 || !is_room_name((ln_span){buffer, (size_t)n})) {
        refuse(r, 400,
               "{\"error\":{\"code\":\"WEBSOCKET_INVALID_ROOM\",\"message\":\"invalid websocket "
               "room\"}}\n");
        return false;
    }
    *size = (size_t)n;
    return true;
}

/* The name to be shown; false: refused. */
static bool read_name(ln_request *r, guest *g)
{
    char buffer[LN_ROSTER_NAME_BYTES + 1];

    const int n = ln_request_param(r, "name", buffer, sizeof buffer);
    if (n == LN_ERR_NOT_FOUND)
        return true;
    if (n < 0 || (n > 0 && !ln_name_is_valid((ln_span){buffer, (size_t)n}, LN_ROSTER_NAME_BYTES))) {
        refuse(r, 400,
               "{\"error\":{\"code\":\"WEBSOCKET_INVALID_NAME\",\"message\":\"invalid name\"}}\n");
        return false;
    }
    memcpy(g->name, buffer, (size_t)n);
    g->name_size = (size_t)n;
    return true;
}

static void on_request(ln_request *r, void *user)
{
    const rooms *const rm = user;
    char room[ROOM_NAME_MAX_BYTES + 1], wish[8];
    size_t size;

    if (!read_room(rm, r, room, &size))
        return;
    guest *const g = ln_alloc_zero(rm->alloc, sizeof *g + size);
    if (g == NULL) {
        refuse(r, 503, "{\"error\":{\"code\":\"OUT_OF_MEMORY\",\"message\":\"out of memory\"}}\n");
        return;
    }
    g->rooms = rm;
    g->room_size = size;
    memcpy(g->room, room, size);
    if (!read_name(r, g)) {
        ln_free(rm->alloc, g);
        return;
    }
    const int n = ln_request_param(r, "presence", wish, sizeof wish);
    g->follows = rm->desk != NULL && n == 1 && wish[0] == '1';
    ln_request_set_owned_user(r, g, rm->alloc);
}

/* ---- in the room ---- */

static ln_span room_of(const guest *g)
{
    return (ln_span){g->room, g->room_size};
}

static void on_open(ln_conn *c, const ln_request *request, void *user)
{
    const rooms *const rm = user;
    guest *const g = ln_conn_user(c);
    (void)request;

    int rc = ln_topics_subscribe(c, room_of(g));
    if (rc == 0 && rm->desk != NULL)
        g->is_listed =
            ln_presence_enter(rm->desk, c, room_of(g), (ln_span){g->name, g->name_size}) == 0;
    if (rc == 0 && g->follows)
        rc = ln_presence_follow(rm->desk, c, room_of(g));
    if (rc < 0)
        /* it is open: nothing can go wrong */
        (void)ln_conn_close(c, 1013, LN_SPAN("the room cannot be joined"));
}

static void on_message(ln_conn *c, const ln_message *message, void *user)
{
    const guest *const g = ln_conn_user(c);
    (void)user;

    /* Out of memory: this message is lost, as to a full queue. */
    (void)ln_conn_publish(c, room_of(g), message->kind, message->data, NULL);
}

static void on_close(ln_conn *c, const ln_close_info *info, void *user)
{
    const rooms *const rm = user;
    guest *const g = ln_conn_user(c);
    (void)info;

    if (g->is_listed)
        ln_presence_leave(rm->desk, c, room_of(g));
    ln_free(rm->alloc, g);
}

/* ---- life ---- */

static void free_rooms(void *state)
{
    rooms *const rm = state;

    ln_presence_free(rm->desk);
    ln_free(rm->alloc, rm->default_room);
    ln_free(rm->alloc, rm);
}

static int make(const ln_allocator *alloc, const ln_rooms_options *o, rooms **made)
{
    const ln_span room = o->default_room == NULL ? LN_SPAN("default") : ln_text(o->default_room);

    if (!is_room_name(room))
        return LN_ERR_INVALID;
    rooms *const rm = ln_alloc_zero(alloc, sizeof *rm);
    if (rm == NULL)
        return LN_ERR_NOMEM;
    rm->alloc = alloc;
    rm->default_room = ln_strndup(alloc, room.data, room.size);
    rm->desk = o->presence ? ln_presence_new(alloc) : NULL;
    if (rm->default_room == NULL || (o->presence && rm->desk == NULL)) {
        free_rooms(rm);
        return LN_ERR_NOMEM;
    }
    *made = rm;
    return 0;
}

int ln_rooms_mount(ln_server *server, const char *path, const ln_rooms_options *options)
{
    static const ln_rooms_options no_options;
    const ln_rooms_options *const o = options == NULL ? &no_options : options;
    rooms *rm;

    int rc = make(server->alloc, o, &rm);
    if (rc < 0)
        return rc;
    const ln_ws_handlers handlers = {.on_request = on_request,
                                     .on_open = on_open,
                                     .on_message = on_message,
                                     .on_close = on_close,
                                     .user = rm};
    rc = ln_server_ws(server, path, &handlers, o->ws);
    if (rc == 0) {
        rc = ln_server_own(server, rm, free_rooms);
        if (rc == 0)
            return 0;
        ln_routes_remove_last(&server->routes);
    }
    free_rooms(rm);
    return rc;
}
