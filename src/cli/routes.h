/* SPDX-License-Identifier: MIT */
/*
 * routes - what `linnet serve` answers, apart from files.
 *
 *   /health   200 while the process works       /ready   200, or 503 while it drains
 *   /echo     every message comes back, whatever its size and shape: for measuring and conformance
 *   /rooms    the rooms dialect (linnet/rooms.h), with presence
 */
#ifndef LN_ROUTES_H
#define LN_ROUTES_H

#include <linnet/server.h>

#include "base/base.h"

/* Mounts them all; `common` for endpoints without limits of their own, copied. An error as
 * ln_server_ws() has them. */
LN_NODISCARD int ln_routes_mount(ln_server *server, const ln_ws_options *common);

#endif
