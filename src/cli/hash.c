/* SPDX-License-Identifier: MIT */
/* hash - `linnet token hash-password`: makes what `linnet serve --room-passwords` keeps. */
#include <linnet/auth.h>

#include "base/text.h"
#include "secret.h"
#include "verb.h"

static const ln_option options[] = {{0}};

static int hash(int argc, char **argv)
{
    int operands;
    char settings[1], hashed[LN_PASSWORD_HASH_SIZE], password[LN_SECRET_SIZE];
    const int code = ln_verb_begin(&ln_hash_verb, argc, argv, settings, &operands);

    if (code != LN_EXIT_NOT_YET)
        return code;
    int rc = ln_secret_read("/dev/stdin", password);
    if (rc == 0)
        rc = ln_password_hash(ln_text(password), hashed);
    ln_secret_wipe(password);
    if (rc < 0)
        return ln_verb_failed(&ln_hash_verb, rc == LN_ERR_INVALID
                                                 ? "standard input's first line is no password"
                                                 : ln_strerror(rc));
    puts(hashed);
    return LN_EXIT_DONE;
}

const ln_verb ln_hash_verb = {
    .name = "token hash-password",
    .summary = "hashes a room's password",
    .operands = "",
    .about = "Reads a password, the first line of standard input, and prints its hash (scrypt), "
             "under a new salt each time.",
    .notes = "Example: (printf 'board:'; linnet token hash-password < password) >> passwords",
    .options = options,
    .defaults = "",
    .run = hash,
};
