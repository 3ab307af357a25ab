/* SPDX-License-Identifier: MIT */
#include "route.h"

#include <string.h>

#include "base/text.h"

void ln_routes_init(ln_routes *r, const ln_allocator *alloc)
{
    *r = (ln_routes){.alloc = alloc};
}

static void free_route(ln_route *route, const ln_allocator *alloc)
{
    if (route->kind == LN_ROUTE_WS)
        ln_plan_fini(&route->plan, alloc);
    ln_files_free(route->files);
    ln_free(alloc, route);
}

void ln_routes_fini(ln_routes *r)
{
    while (r->count > 0)
        ln_routes_remove_last(r);
}

void ln_routes_remove_last(ln_routes *r)
{
    LN_ASSERT(r->count > 0);
    ln_route *const route = r->list[--r->count];
    if (route->kind == LN_ROUTE_WS)
        r->site_count--;
    free_route(route, r->alloc);
}

/* Plain visible ASCII that a decoded path can equal. */
static bool is_path(ln_span path)
{
    const char *const p = path.data;

    if (path.size == 0 || path.size > LN_ROUTE_PATH_MAX_BYTES || p[0] != '/')
        return false;
    for (size_t i = 0; i < path.size; i++) {
        if (p[i] <= ' ' || p[i] > '~' || p[i] == '?' || p[i] == '#' || p[i] == '%' || p[i] == '\\')
            return false;
    }
    return true;
}

static bool is_same_purpose(ln_route_kind a, ln_route_kind b)
{
    return (a == LN_ROUTE_WS) == (b == LN_ROUTE_WS);
}

int ln_routes_add(ln_routes *r, ln_route_kind kind, const char *path, ln_route **route)
{
    const ln_span text = ln_text(path);

    if (!is_path(text))
        return LN_ERR_INVALID;
    for (unsigned i = 0; i < r->count; i++) {
        if (is_same_purpose(r->list[i]->kind, kind) && ln_text_equal(r->list[i]->path, text))
            return LN_ERR_EXISTS;
    }
    if (r->count == LN_ROUTES_MAX)
        return LN_ERR_LIMIT;

    ln_route *const fresh = ln_alloc_zero(r->alloc, sizeof *fresh + text.size);
    if (fresh == NULL)
        return LN_ERR_NOMEM;
    memcpy(fresh + 1, text.data, text.size);
    fresh->kind = kind;
    fresh->path = (ln_span){fresh + 1, text.size};
    fresh->is_subtree = path[text.size - 1] == '/';
    if (kind == LN_ROUTE_WS)
        fresh->site = r->site_count++;
    r->list[r->count++] = fresh;
    *route = fresh;
    return 0;
}

static bool is_match(const ln_route *route, ln_span path)
{
    return route->is_subtree ? ln_text_has_prefix(path, route->path)
                             : ln_text_equal(path, route->path);
}

const ln_route *ln_routes_find(const ln_routes *r, ln_span path, bool is_upgrade)
{
    const ln_route *best = NULL;

    for (unsigned i = 0; i < r->count; i++) {
        const ln_route *const route = r->list[i];
        if ((route->kind == LN_ROUTE_WS) != is_upgrade || !is_match(route, path))
            continue;
        if (best == NULL || route->path.size > best->path.size)
            best = route;
    }
    return best;
}
