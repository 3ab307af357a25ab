/* SPDX-License-Identifier: MIT */
/*
 * linnet/rooms.h - the rooms dialect: everybody in a room gets what anybody in it sends.
 *
 *   ws://host/rooms?room=NAME[&name=NICK][&presence=1]
 *
 * A room is a name of 1 to 128 of the characters A-Z a-z 0-9 . _ : - and exists while somebody is
 * in it; any other name is answered with 400. Every message is fanned out, as it is and with its
 * opcode, to all members of the room, its sender included, across all workers; order is kept per
 * sender.
 *
 * Presence is asked for by the client. Who asked gets the room as it was last told, then what
 * changes, its own coming included, as text messages (at most one in LN_ROOMS_PRESENCE_MS, coming
 * and going in between cancels out):
 *
 *   {"type":"presence","room":"NAME","version":7,"count":2,
 *    "members":[{"id":"1f","name":"NICK"},{"id":"2a","name":""}]}
 *   {"type":"presence","room":"NAME","version":8,"since":7,"count":2,
 *    "joined":[{"id":"3c","name":"Z"}],"left":["2a"]}
 *
 * `id` stands for one connection, `name` is what the client gave. A room of more than
 * LN_ROOMS_LIST_MAX is told as its `count` alone. Who did not ask gets no message that a member did
 * not send.
 */
#ifndef LINNET_ROOMS_H
#define LINNET_ROOMS_H

#include <linnet/server.h>

#ifdef __cplusplus
extern "C" {
#endif

enum {
    LN_ROOMS_PRESENCE_MS = 100, /* how often a room's changes are told */
    LN_ROOMS_LIST_MAX = 1000    /* people of a room that are told by name */
};

typedef struct ln_rooms_options {
    const char *default_room; /* where a client without ?room= goes; NULL = "default" */
    bool presence;            /* clients may ask for presence; else their wish is ignored */
    const ln_ws_options *ws;  /* limits and origins; NULL = all defaults */
} ln_rooms_options;

/*
 * Serves rooms at `path`. Everything is copied; NULL options = all defaults. Before the server
 * runs. LN_ERR_INVALID (path, default room), LN_ERR_EXISTS, LN_ERR_STATE, LN_ERR_NOMEM.
 */
LN_API int ln_rooms_mount(ln_server *server, const char *path, const ln_rooms_options *options);

#ifdef __cplusplus
}
#endif
#endif
