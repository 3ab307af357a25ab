/* SPDX-License-Identifier: MIT */
/*
 * routes - what `linnet serve` answers, apart from files.
 *
 *   /health   200 while the process works       /ready   200, or 503 while it drains
 *   /echo     every message comes back, whatever its size and shape: for measuring and conformance
 *   /rooms    the rooms dialect (linnet/rooms.h), with presence
 *   /ws       the command dialect (linnet/command.h), with a chat (chat.h)
 *   /wsmq     the broker dialect (linnet/broker.h), with some topics to ask (brokerdemo.h)
 */
#ifndef LN_ROUTES_H
#define LN_ROUTES_H

#include <linnet/server.h>

#include "chat.h"

/* Mounts them all; `common` for endpoints without limits of their own, copied; `chat` has to outlive
 * the server. An error as ln_server_ws() has them. */
LN_NODISCARD int ln_routes_mount(ln_server *server, const ln_ws_options *common, ln_chat *chat);

#endif
