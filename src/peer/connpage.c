/* SPDX-License-Identifier: MIT */
#include "connpage.h"

#include <string.h>

#include "wsconn.h"

struct ln_connpage {
    uint32_t live;
    ln_conn conns[LN_CONNPAGE_CONNS];
};

/* Room for page number `page` in the list. */
static int grow(ln_connpages *p, uint32_t page, const ln_allocator *alloc)
{
    if (page < p->count)
        return 0;
    const uint32_t count = page + 1 > 2 * p->count ? page + 1 : 2 * p->count;
    ln_connpage **const list = ln_realloc(alloc, p->list, count * sizeof(ln_connpage *));
    if (list == NULL)
        return LN_ERR_NOMEM;
    memset(list + p->count, 0, (count - p->count) * sizeof(ln_connpage *));
    p->list = list;
    p->count = count;
    return 0;
}

ln_conn *ln_connpages_take(ln_connpages *p, uint32_t index, const ln_allocator *alloc)
{
    const uint32_t page = index / LN_CONNPAGE_CONNS;

    if (grow(p, page, alloc) < 0)
        return NULL;
    if (p->list[page] == NULL) {
        p->list[page] = ln_alloc(alloc, sizeof *p->list[page]);
        if (p->list[page] == NULL)
            return NULL;
        p->list[page]->live = 0;
    }
    ln_conn *const c = &p->list[page]->conns[index % LN_CONNPAGE_CONNS];
    p->list[page]->live++;
    memset(c, 0, sizeof *c);
    return c;
}

void ln_connpages_give(ln_connpages *p, uint32_t index, const ln_allocator *alloc)
{
    const uint32_t page = index / LN_CONNPAGE_CONNS;

    LN_ASSERT(page < p->count && p->list[page]->live > 0);
    if (--p->list[page]->live > 0)
        return;
    ln_free(alloc, p->list[page]);
    p->list[page] = NULL;
}

void ln_connpages_fini(ln_connpages *p, const ln_allocator *alloc)
{
    for (uint32_t i = 0; i < p->count; i++)
        LN_ASSERT(p->list[i] == NULL);
    ln_free(alloc, p->list);
    *p = (ln_connpages){.list = NULL};
}
