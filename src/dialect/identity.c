/* SPDX-License-Identifier: MIT */
#include "identity.h"

#include <stdatomic.h>

#include "base/alloc.h"
#include "base/text.h"

/* The roles' spans stand behind it, and behind these all text. */
typedef struct card {
    const ln_allocator *alloc;
    _Atomic uint32_t refs;
    ln_identity identity;
    ln_span roles[];
} card;

static card *card_of(const ln_identity *identity)
{
    return LN_CONTAINER_OF((ln_identity *)(uintptr_t)identity, card, identity);
}

static size_t size_of_text(const ln_identity *parts)
{
    size_t n = parts->id.size + parts->name.size + parts->email.size + parts->claims.size;
    for (size_t i = 0; i < parts->role_count; i++)
        n += parts->roles[i].size;
    return n;
}

int ln_identity_new(const ln_allocator *alloc, const ln_identity *parts,
                    const ln_identity **identity)
{
    const size_t spans = parts->role_count * sizeof(ln_span);
    card *const c = ln_alloc(alloc, sizeof *c + spans + size_of_text(parts));
    if (c == NULL)
        return LN_ERR_NOMEM;
    c->alloc = alloc;
    atomic_init(&c->refs, 1);
    c->identity = *parts;
    c->identity.roles = c->roles;
    char *at = (char *)(c->roles + parts->role_count);
    c->identity.id = ln_text_place(&at, parts->id);
    c->identity.name = ln_text_place(&at, parts->name);
    c->identity.email = ln_text_place(&at, parts->email);
    c->identity.claims = ln_text_place(&at, parts->claims);
    for (size_t i = 0; i < parts->role_count; i++)
        c->roles[i] = ln_text_place(&at, parts->roles[i]);
    *identity = &c->identity;
    return 0;
}

const ln_identity *ln_identity_ref(const ln_identity *identity)
{
    atomic_fetch_add_explicit(&card_of(identity)->refs, 1, memory_order_relaxed);
    return identity;
}

void ln_identity_unref(const ln_identity *identity)
{
    if (identity == NULL)
        return;
    card *const c = card_of(identity);
    if (atomic_fetch_sub_explicit(&c->refs, 1, memory_order_acq_rel) == 1)
        ln_free(c->alloc, c);
}

bool ln_identity_has_role(const ln_identity *identity, ln_span role)
{
    for (size_t i = 0; identity != NULL && i < identity->role_count; i++)
        if (ln_text_equal(identity->roles[i], role))
            return true;
    return false;
}
