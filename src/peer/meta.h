/* SPDX-License-Identifier: MIT */
/* meta - typed facts about a connection, by name: a short list, searched in order. */
#ifndef LN_META_H
#define LN_META_H

#include <linnet/conn.h>

#include "base/alloc.h"

enum {
    /* a connection's facts are few; more belong into the application's own struct */
    LN_META_KEYS_MAX = 32,
    LN_META_BYTES_MAX = 4096 /* keys and texts together */
};

typedef struct ln_meta ln_meta;

/* Sets or, with LN_VALUE_NONE, removes. *list is made on first need. LN_ERR_INVALID, LN_ERR_LIMIT,
 * LN_ERR_NOMEM. */
LN_NODISCARD int ln_meta_set(ln_meta **list, const char *key, ln_value value,
                             const ln_allocator *alloc);
ln_value ln_meta_get(const ln_meta *list, const char *key);
void ln_meta_free(ln_meta *list, const ln_allocator *alloc);

#endif
