/* SPDX-License-Identifier: MIT */
/*
 * watchtree - which files below a folder have changed: noticed by the system (inotify), told
 * together once they have come to rest.
 *
 * Editors and compilers change several files, and each several times, in a moment. A change is told
 * when nothing more has changed for `rest_ms`, or, where changing never ends, LN_WATCHTREE_PATIENCE
 * times that after it began.
 *
 * Not seen: what symbolic links below the folder lead to, and what ln_watchtree_is_ignored() says.
 * A folder that is removed and made again is found again.
 *
 * Invariants
 *   1. Each folder below the root that exists is watched once, up to WATCHTREE_FOLDERS_MAX.
 *   2. `names` holds each changed file once; what is not in it any more for lack of room is counted
 *      in `unnamed`.
 *   3. Nothing here sleeps or reads a clock.
 */
#ifndef LN_WATCHTREE_H
#define LN_WATCHTREE_H

#include "base/alloc.h"

enum {
    LN_WATCHTREE_FOLDERS_MAX = 4096,
    LN_WATCHTREE_NAMES_MAX = 64,
    LN_WATCHTREE_PATIENCE = 10,
    LN_WATCHTREE_REOPEN_MS = 1000,
    LN_WATCHTREE_WHY_SIZE = 512
};

typedef struct ln_watchtree ln_watchtree;

/*
 * Watches `folder`, in *tree; owned. LN_ERR_NOT_FOUND, LN_ERR_ACCESS; LN_ERR_LIMIT: more folders
 * than we or the system watch; LN_ERR_DESCRIPTORS, LN_ERR_IO, LN_ERR_NOMEM. *why is then a sentence
 * about it.
 */
LN_NODISCARD int ln_watchtree_new(const ln_allocator *alloc, const char *folder, uint32_t rest_ms,
                                  ln_watchtree **tree, char why[LN_WATCHTREE_WHY_SIZE]);
void ln_watchtree_free(ln_watchtree *t); /* accepts NULL */

/* Readable when something has happened. The tree's, for its life. */
int ln_watchtree_fd(const ln_watchtree *t);

/* Takes in what has happened; never waits. `now_ms`: monotonic. */
void ln_watchtree_read(ln_watchtree *t, uint64_t now_ms);

/* When ln_watchtree_next() is due; UINT64_MAX if only reading can change that. */
uint64_t ln_watchtree_deadline(const ln_watchtree *t);

/* The changes that are told at once. Borrowed until the next call with the tree. */
typedef struct ln_watchtree_change {
    const char *const *names; /* relative to the folder, with slashes */
    size_t count;
    size_t unnamed; /* further ones, or an unknown number: at least 1 */
    /* A sentence if something is not watched any more, or again; NULL else. */
    const char *trouble;
} ln_watchtree_change;

/* True: *change is due now, and told with this. */
bool ln_watchtree_next(ln_watchtree *t, uint64_t now_ms, ln_watchtree_change *change);

/* Whether a file or folder of that name (without a path) is passed over: hidden ones, what editors,
 * browsers and compilers keep for a moment, and folders that hold other people's files. */
bool ln_watchtree_is_ignored(const char *name);

#endif
