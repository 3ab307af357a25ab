/* SPDX-License-Identifier: MIT */
/*
 * routes - what `linnet serve` answers, apart from files.
 *
 *   /health   200 while the process works       /ready   200, or 503 while it drains
 *   /echo     every message comes back, whatever its size and shape: for measuring and conformance
 *   /rooms    the rooms dialect (linnet/rooms.h), with presence; /_admin/ if there is a secret
 *   /ws       the command dialect (linnet/command.h), with a chat (chat.h)
 *   /wsmq     the broker dialect (linnet/broker.h), with some topics to ask (brokerdemo.h)
 */
#ifndef LN_ROUTES_H
#define LN_ROUTES_H

#include <linnet/rooms.h>

#include "chat.h"
#include "reload.h"

#define LN_ROUTES_ROOMS "/rooms"

typedef struct ln_routes_options {
    const ln_ws_options *ws;       /* of endpoints without limits of their own */
    const ln_rooms_options *rooms; /* but for its `ws` */
    enum ln_overflow overflow;     /* in rooms */
    ln_chat *chat;                 /* has to outlive the server */
    ln_reload *reload;             /* likewise, or NULL */
} ln_routes_options;

/* Mounts them all; everything is copied. An error as ln_server_ws() and ln_rooms_mount() have
 * them. */
LN_NODISCARD int ln_routes_mount(ln_server *server, const ln_routes_options *options);

#endif
