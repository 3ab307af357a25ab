/* SPDX-License-Identifier: MIT */
#include "places.h"

#include <string.h>

enum { PLACES = 64 }; /* at first */

ln_places *ln_places_new(const ln_server *server)
{
    return ln_alloc_zero(server->alloc, server->worker_count * sizeof(ln_places));
}

void ln_places_free(ln_places *places, const ln_server *server)
{
    for (unsigned i = 0; places != NULL && i < server->worker_count; i++)
        ln_free(server->alloc, places[i].at);
    ln_free(server->alloc, places);
}

static size_t index_of(const ln_conn *c)
{
    return ln_slots_index(c->id & LN_CONN_NAME_MASK);
}

void *ln_places_get(const ln_places *places, const ln_conn *c)
{
    const ln_places *const here = &places[c->id >> LN_CONN_WORKER_SHIFT];
    return index_of(c) < here->capacity ? here->at[index_of(c)] : NULL;
}

static int grow(ln_places *here, const ln_allocator *alloc, size_t wanted)
{
    const size_t capacity = ln_max_size(ln_max_size(PLACES, 2 * here->capacity), wanted);
    void **const grown = ln_realloc(alloc, here->at, capacity * sizeof(void *));

    if (grown == NULL)
        return LN_ERR_NOMEM;
    memset(grown + here->capacity, 0, (capacity - here->capacity) * sizeof(void *));
    here->at = grown;
    here->capacity = capacity;
    return 0;
}

int ln_places_set(ln_places *places, const ln_conn *c, void *what)
{
    ln_places *const here = &places[c->id >> LN_CONN_WORKER_SHIFT];
    const size_t index = index_of(c);

    LN_ASSERT(what != NULL);
    if (index >= here->capacity && grow(here, ln_conn_home(c)->alloc, index + 1) < 0)
        return LN_ERR_NOMEM;
    here->at[index] = what;
    return 0;
}

void ln_places_clear(ln_places *places, const ln_conn *c)
{
    const ln_places *const here = &places[c->id >> LN_CONN_WORKER_SHIFT];

    if (index_of(c) < here->capacity)
        here->at[index_of(c)] = NULL;
}
