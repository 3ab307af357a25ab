/* SPDX-License-Identifier: MIT */
#include "members.h"

typedef struct page {
    ln_link link;
    ln_member *free; /* given back; what was never taken begins at `fresh` */
    uint32_t fresh;
    uint32_t used;
    ln_member members[LN_MEMBERS_A_PAGE];
} page;

void ln_members_init(ln_members *m, const ln_allocator *alloc)
{
    m->alloc = alloc;
    ln_list_init(&m->roomy);
}

void ln_members_fini(ln_members *m)
{
    LN_ASSERT(ln_list_is_empty(&m->roomy));
}

static bool add_page(ln_members *m)
{
    page *p = ln_alloc(m->alloc, sizeof *p);
    if (!p)
        return false;
    p->free = NULL;
    p->fresh = p->used = 0;
    ln_list_init(&p->link);
    ln_list_add(&m->roomy, &p->link);
    return true;
}

ln_member *ln_members_take(ln_members *m)
{
    if (ln_list_is_empty(&m->roomy) && !add_page(m))
        return NULL;
    page *p = LN_CONTAINER_OF(m->roomy.next, page, link);
    LN_ASSERT(p->used < LN_MEMBERS_A_PAGE);

    ln_member *member = p->free;
    if (member) {
        p->free = member->next;
    } else {
        member = &p->members[p->fresh];
        member->place = p->fresh++;
    }
    if (++p->used == LN_MEMBERS_A_PAGE)
        ln_list_remove(&p->link);
    return member;
}

void ln_members_give(ln_members *m, ln_member *member)
{
    LN_ASSERT(member->place < LN_MEMBERS_A_PAGE);
    page *p = LN_CONTAINER_OF(member - member->place, page, members[0]);
    LN_ASSERT(p->used > 0 && p->used <= LN_MEMBERS_A_PAGE);

    member->next = p->free;
    p->free = member;
    if (p->used-- == LN_MEMBERS_A_PAGE)
        ln_list_add(m->roomy.next, &p->link); /* in front: the next node taken is warm */
    if (p->used > 0)
        return;
    ln_list_remove(&p->link);
    ln_free(m->alloc, p);
}
