/* SPDX-License-Identifier: MIT */
/*
 * reload - `linnet serve --watch DIR`: pages are told when files below DIR change, and tell what
 * goes wrong in them.
 *
 *   system:hot_reload        published: {"timestamp": SECONDS, "files": [...]}, without files if not
 *                            all are known
 *   system:hotreload_ready   asked, or published, by a page that wants to be told
 *   system:client_error      asked, or published, by a page: what went wrong in it
 *   GET /hotreload.js        the script that a page includes; with it /reload.js and /linnet.js
 *   GET /api/hotreload/status   the pages and their errors (reloadbook.h)
 *
 * Pages of old ask for nothing, they publish, before they could subscribe: whoever publishes that it
 * is ready is subscribed.
 *
 * Threads: what is called by clients and requests comes from any worker; `book` and the log's bucket
 * are under one lock. The folder is watched on worker 0.
 */
#ifndef LN_RELOAD_H
#define LN_RELOAD_H

#include <linnet/broker.h>
#include <linnet/server.h>

#include "watchtree.h"

enum { LN_RELOAD_LINES_MAX = 20 };

typedef struct ln_reload ln_reload;

/* Watches `folder`, in *reload; owned. As ln_watchtree_new(). */
LN_NODISCARD int ln_reload_new(const char *folder, uint32_t rest_ms, ln_reload **reload,
                               char why[LN_WATCHTREE_WHY_SIZE]);
/* After the server. Accepts NULL. */
void ln_reload_free(ln_reload *r);

/* Handlers and routes; before the server runs. As ln_broker_handle() and ln_server_http(). */
LN_NODISCARD int ln_reload_mount(ln_reload *r, ln_server *server, ln_broker *broker);

/* From now on changes are told. On the loop of worker 0. As ln_loop_watch_fd(). */
LN_NODISCARD int ln_reload_start(ln_reload *r, ln_loop *loop);

/* What the broker's options have to pass on; on the client's loop. Both accept NULL. True: the wish
 * is for one of the topics above, and of a page. */
bool ln_reload_on_wish(ln_reload *r, const ln_broker_wish *wish);
void ln_reload_on_disconnect(ln_reload *r, const ln_conn *c);

#endif
