/* SPDX-License-Identifier: MIT */
/*
 * charclass - which characters may stand where in HTTP and in URLs: one table for all parsers and
 * writers.
 *
 * Neither CR, LF nor NUL is in any class: a loop over a class always stops at the end of a line.
 */
#ifndef LN_CHARCLASS_H
#define LN_CHARCLASS_H

#include "base/base.h"

enum {
    LN_CHAR_TOKEN = 0x01,   /* RFC 9110 5.6.2 tchar */
    LN_CHAR_VALUE = 0x02,   /* RFC 9110 5.5: HTAB, SP, VCHAR, obs-text */
    LN_CHAR_VISIBLE = 0x04, /* the same without the blanks */
    LN_CHAR_TARGET = 0x08, /* a request target: VCHAR without '#', since a fragment is never sent */
    LN_CHAR_HOST = 0x10,   /* names that DNS can have: letters, digits, "-._" */
    LN_CHAR_SCHEME = 0x20, /* RFC 3986 3.1: letters, digits, "+-." */
    LN_CHAR_DIGIT = 0x40,
    LN_CHAR_BASE64 = 0x80 /* RFC 4648 4, without '=' */
};

extern const uint8_t ln_charclass_table[256];

/* True if `c` is in one of `classes`. */
LN_INLINE bool ln_charclass_has(uint8_t c, uint8_t classes)
{
    return (ln_charclass_table[c] & classes) != 0;
}

/* How many bytes from the front of `s` are in one of `classes`. */
size_t ln_charclass_span(ln_span s, uint8_t classes);

/* True if all are; an empty span has none that is not. */
bool ln_charclass_is_all(ln_span s, uint8_t classes);

#endif
