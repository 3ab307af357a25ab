/* SPDX-License-Identifier: MIT */
/*
 * shelf - a table that workers read without a lock and any thread may replace: handlers, methods.
 *
 * A version is never changed once it is on the shelf. The old one goes when every worker has been
 * back to its loop, which a letter to each of them tells: nobody reads it then.
 */
#ifndef LN_SHELF_H
#define LN_SHELF_H

#include "peer/serverinner.h"

typedef struct ln_shelf {
    _Atomic(void *) version;
    ln_server *server;
    void (*free)(void *version, const ln_allocator *alloc);
    ln_lock lock;
} ln_shelf;

/* Empty: its version is NULL. */
void ln_shelf_init(ln_shelf *s, ln_server *server,
                   void (*free)(void *version, const ln_allocator *alloc));
/* No worker runs any more. */
void ln_shelf_fini(ln_shelf *s);

/* What stands there, or NULL; a worker's until it returns to its loop. */
const void *ln_shelf_get(const ln_shelf *s);

/*
 * To replace it: take the shelf, make a version from the old one, put it there, give the shelf
 * back. put() takes over `fresh`; LN_ERR_NOMEM, which leaves both as they were.
 */
const void *ln_shelf_take(ln_shelf *s);
LN_NODISCARD int ln_shelf_put(ln_shelf *s, void *fresh);
void ln_shelf_give(ln_shelf *s);

#endif
