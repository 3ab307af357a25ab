/* SPDX-License-Identifier: MIT */
/* rpcmethods.c - the table of methods: one piece of memory for each version, its names at the
 * end. */
#include <string.h>

#include "base/map.h"
#include "base/text.h"
#include "net/random.h"
#include "rpcinner.h"

typedef struct ln_rpc_method {
    ln_span name;
    ln_rpc_service service;
} method;

typedef struct methods {
    ln_map map;
    uint64_t version; /* from 1; no two have the same */
    size_t count;
    size_t names_bytes;
    method list[];
} methods;

static void free_methods(void *version, const ln_allocator *alloc)
{
    methods *const m = version;

    ln_map_fini(&m->map);
    ln_free(alloc, m);
}

static methods *new_methods(const ln_rpc *rpc, size_t count, size_t names_bytes)
{
    const ln_allocator *const alloc = rpc->server->alloc;
    methods *const m = ln_alloc(alloc, sizeof *m + count * sizeof m->list[0] + names_bytes);

    if (m == NULL)
        return NULL;
    ln_map_init(&m->map, alloc, rpc->seed);
    m->count = m->names_bytes = 0;
    return m;
}

/* Copies an entry to the end; the room was asked for. `names`: where the names of this version
 * stand. */
static int add(methods *m, char *names, const method *from)
{
    method *const to = &m->list[m->count];

    if (from->name.size > 0)
        memcpy(names + m->names_bytes, from->name.data, from->name.size);
    *to = (method){.name = {names + m->names_bytes, from->name.size}, .service = from->service};
    const int rc = ln_map_add(&m->map, to->name, to);
    if (rc < 0)
        return rc;
    m->count++;
    m->names_bytes += from->name.size;
    return 0;
}

/* `old` (or NULL) without the name of `change`, and with it if it has a handler. */
static int make_version(const ln_rpc *rpc, const methods *old, const method *change,
                        methods **fresh)
{
    const size_t old_count = old == NULL ? 0 : old->count;
    const size_t old_bytes = old == NULL ? 0 : old->names_bytes;

    methods *const m = new_methods(rpc, old_count + 1, old_bytes + change->name.size);
    if (m == NULL)
        return LN_ERR_NOMEM;
    m->version = old == NULL ? 1 : old->version + 1;
    char *const names = (char *)&m->list[old_count + 1];
    int rc = 0;
    for (size_t i = 0; i < old_count && rc == 0; i++)
        if (!ln_text_equal(old->list[i].name, change->name))
            rc = add(m, names, &old->list[i]);
    if (rc == 0 && change->service.handler != NULL)
        rc = m->count == LN_RPC_METHODS_MAX ? LN_ERR_LIMIT : add(m, names, change);
    if (rc < 0) {
        free_methods(m, rpc->server->alloc);
        return rc;
    }
    *fresh = m;
    return 0;
}

int ln_rpc_set_method(ln_rpc *rpc, ln_span name, const ln_rpc_service *service)
{
    const method change = {.name = name, .service = *service};
    methods *fresh;

    if (name.size > LN_RPC_METHOD_MAX_BYTES)
        return LN_ERR_INVALID;
    const methods *const old = ln_shelf_take(&rpc->methods);
    int rc = make_version(rpc, old, &change, &fresh);
    if (rc == 0) {
        rc = ln_shelf_put(&rpc->methods, fresh);
        if (rc < 0)
            free_methods(fresh, rpc->server->alloc);
    }
    ln_shelf_give(&rpc->methods);
    return rc;
}

bool ln_rpc_find_method(const ln_rpc_peer *p, ln_span name, ln_rpc_service *service)
{
    const methods *const m = ln_shelf_get(&p->rpc->methods);
    ln_rpc_desk *const desk = ln_rpc_desk_of(p);

    if (m == NULL)
        return false;
    if (desk->version != m->version || !ln_text_equal(desk->latest->name, name)) {
        const method *const found = ln_map_find(&m->map, name);
        if (found == NULL)
            return false;
        desk->version = m->version;
        desk->latest = found;
    }
    *service = desk->latest->service;
    return true;
}

int ln_rpc_init(ln_rpc *rpc, ln_server *server, const ln_rpc_carrier *carrier)
{
    *rpc = (ln_rpc){.server = server, .carrier = carrier};
    ln_shelf_init(&rpc->methods, server, free_methods);
    ln_random_fill(rpc->seed, sizeof rpc->seed);
    rpc->desks = ln_alloc_zero(server->alloc, server->worker_count * sizeof *rpc->desks);
    if (rpc->desks == NULL)
        return LN_ERR_NOMEM;
    for (unsigned i = 0; i < server->worker_count; i++)
        ln_buf_init(&rpc->desks[i].scratch, server->alloc);
    return 0;
}

uint64_t ln_rpc_calls(const ln_rpc *rpc)
{
    uint64_t calls = 0;

    for (unsigned i = 0; i < rpc->server->worker_count; i++)
        calls += atomic_load_explicit(&rpc->desks[i].calls, memory_order_relaxed);
    return calls;
}

void ln_rpc_fini(ln_rpc *rpc)
{
    for (unsigned i = 0; rpc->desks != NULL && i < rpc->server->worker_count; i++)
        ln_buf_fini(&rpc->desks[i].scratch);
    ln_free(rpc->server->alloc, rpc->desks);
    ln_shelf_fini(&rpc->methods);
}
