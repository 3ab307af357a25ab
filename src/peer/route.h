/* SPDX-License-Identifier: MIT */
/*
 * route - which path is for whom. Built before the server runs, read-only after that, shared by all
 * workers.
 *
 * A path is exact, or a subtree if it ends with '/'; the longest match wins. One path may have a
 * WebSocket endpoint and an HTTP handler: an upgrade goes to the first, everything else to the
 * second.
 */
#ifndef LN_ROUTE_H
#define LN_ROUTE_H

#include "files.h"
#include "site.h"

enum {
    LN_ROUTES_MAX = 256, /* looked through one by one */
    LN_ROUTE_PATH_MAX_BYTES = 1024
};

typedef enum ln_route_kind { LN_ROUTE_WS, LN_ROUTE_HTTP, LN_ROUTE_FILES } ln_route_kind;

typedef struct ln_route {
    ln_route_kind kind;
    ln_span path;
    bool is_subtree;
    ln_plan plan;             /* WS */
    unsigned site;            /* WS: index in ln_home.sites */
    ln_http_handler *handler; /* HTTP */
    /*
     * HTTP: asked, before a body is read, whether its request may come in. False: it has answered,
     * and the connection ends; or could not, for want of memory. NULL = any may.
     */
    bool (*admit)(ln_request *request, void *user);
    void *user;
    ln_files *files; /* FILES */
} ln_route;

typedef struct ln_routes {
    const ln_allocator *alloc;
    ln_route *list[LN_ROUTES_MAX];
    unsigned count;
    unsigned site_count;
} ln_routes;

void ln_routes_init(ln_routes *r, const ln_allocator *alloc);
void ln_routes_fini(ln_routes *r);

/* A new route, zeroed but for path and kind, owned by the table. LN_ERR_INVALID, LN_ERR_EXISTS,
 * LN_ERR_LIMIT, LN_ERR_NOMEM. */
LN_NODISCARD int ln_routes_add(ln_routes *r, ln_route_kind kind, const char *path,
                               ln_route **route);

/* Takes the last one added back, if what it is for could not be made. */
void ln_routes_remove_last(ln_routes *r);

/* The longest match that is (or is not) for upgrades; NULL if there is none. */
const ln_route *ln_routes_find(const ln_routes *r, ln_span path, bool is_upgrade);

#endif
