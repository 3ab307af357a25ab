/* SPDX-License-Identifier: MIT */
/*
 * password - what is kept of a room's password: a salt and a slow hash.
 *
 * Hashing and verifying take about a tenth of a second and 32 MiB each, on purpose: they are work
 * for net/jobs.h and never for a loop's thread. Holds nothing; any thread, several at once.
 *
 *   $scrypt$ln=15,r=8,p=1$SALT$KEY     what we write (RFC 7914; as passlib and others write it)
 *   ROUNDS$SALT$KEY                    PBKDF2-HMAC-SHA512, of 32 or 64 bytes: plumego's
 *
 * SALT and KEY are base64, ours without padding, plumego's with it.
 */
#ifndef LN_PASSWORD_H
#define LN_PASSWORD_H

#include <linnet/auth.h>

#include "base/base.h"

enum {
    LN_PASSWORD_MAX_BYTES = 4096,
    LN_PASSWORD_COST = 15,           /* ln: 2^15 blocks of 1 KiB */
    LN_PASSWORD_COST_MAX = 17,       /* of a stored hash: 128 MiB, half a second */
    LN_PASSWORD_ROUNDS_MAX = 2000000 /* likewise: a second */
};

/*
 * 0: it is the password. LN_ERR_POLICY: it is not, or is longer than any can be; LN_ERR_INVALID: no
 * hash; LN_ERR_NOMEM. The comparison takes as long for the first byte as for the last.
 */
LN_NODISCARD int ln_password_verify(ln_span hash, ln_span password);

#endif
