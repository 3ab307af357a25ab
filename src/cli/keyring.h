/* SPDX-License-Identifier: MIT */
/*
 * keyring - the files that say who is who and may do what, read into what linnet/rooms.h takes; and
 * read again while it serves.
 *
 * The file of rooms' passwords has a line ROOM:HASH for each, what follows the last colon being
 * the hash; blank lines and lines that begin with # are passed over.
 */
#ifndef LN_KEYRING_H
#define LN_KEYRING_H

#include <linnet/rooms.h>

#include "serveoptions.h"

enum {
    LN_KEYRING_WHY_SIZE = 512,
    LN_KEYRING_FILE_MAX_BYTES = 32 << 20, /* of rules, or passwords */
    LN_KEYRING_LINES_MAX = 65536          /* of passwords */
};

typedef struct ln_keyring {
    ln_rooms_policy policy;
    char *passwords; /* the file's text, which the policy points into */
    ln_rooms_password *list;
} ln_keyring;

/*
 * Reads what the settings name; `secret`: of the environment, may be NULL. On an error there is
 * nothing to free, and `why` is a sentence with the file it is about: LN_ERR_INVALID,
 * LN_ERR_NOT_FOUND, LN_ERR_ACCESS, LN_ERR_IO, LN_ERR_LIMIT, LN_ERR_NOMEM.
 */
LN_NODISCARD int ln_keyring_read(ln_keyring *k, const ln_serve_settings *s, const char *secret,
                                 char why[LN_KEYRING_WHY_SIZE]);
void ln_keyring_free(ln_keyring *k);

/* The rules in a file. As above. */
LN_NODISCARD int ln_keyring_read_rules(const char *file, ln_rules **rules,
                                       char why[LN_KEYRING_WHY_SIZE]);

#endif
