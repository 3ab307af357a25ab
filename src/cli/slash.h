/* SPDX-License-Identifier: MIT */
/*
 * slash - the commands that a typed line may be under --slash.
 *
 *   /ping [DATA]
 *   /close [CODE [REASON]]
 */
#ifndef LN_SLASH_H
#define LN_SLASH_H

#include "base/text.h"

typedef enum ln_slash_type { LN_SLASH_PING, LN_SLASH_CLOSE } ln_slash_type;

typedef struct ln_slash {
    ln_slash_type type;
    uint16_t code; /* close: 0 = none was given */
    ln_span text;  /* ping: data; close: reason; borrowed from the line */
} ln_slash;

/* Does `line` want to be a command? */
bool ln_slash_is(ln_span line);

/* Reads a command. LN_ERR_NOT_FOUND: there is none of that name; LN_ERR_INVALID: no such code, or
 * too long a text. */
LN_NODISCARD int ln_slash_parse(ln_span line, ln_slash *slash);

#endif
