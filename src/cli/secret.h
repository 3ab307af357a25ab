/* SPDX-License-Identifier: MIT */
/* secret - a password or a token from a file, so that it stands in no list of processes. */
#ifndef LN_SECRET_H
#define LN_SECRET_H

#include "base/base.h"

enum { LN_SECRET_SIZE = 1024 }; /* with the NUL */

/*
 * The first line of the file `path`, without its newline, into `secret`. LN_ERR_NOT_FOUND,
 * LN_ERR_ACCESS, LN_ERR_IO (cannot be read); LN_ERR_INVALID: the line is empty or holds a NUL;
 * LN_ERR_LIMIT: too long.
 */
LN_NODISCARD int ln_secret_read(const char *path, char secret[LN_SECRET_SIZE]);

/* A token: `word`, or, where that is NULL or "-", the first line of standard input without the blanks
 * around it, in `room`; as much of it as fits. */
ln_span ln_secret_ask(const char *word, char *room, size_t size);

/* Overwrites it; not optimised away. */
void ln_secret_wipe(char *secret);

#endif
