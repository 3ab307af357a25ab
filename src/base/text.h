/* SPDX-License-Identifier: MIT */
/* text - spans of characters: comparing, cutting, numbers. ASCII only; nothing here knows a
 * locale. */
#ifndef LN_TEXT_H
#define LN_TEXT_H

#include "base.h"

/* A span over a NUL-terminated string; NULL gives an empty one. */
ln_span ln_text(const char *z);

bool ln_text_equal(ln_span a, ln_span b);
/* ASCII letters without regard to case. */
bool ln_text_equal_nocase(ln_span a, ln_span b);
bool ln_text_has_prefix(ln_span s, ln_span prefix);

/* Without the characters in " \t" at both ends (RFC 9110 OWS). */
ln_span ln_text_trim(ln_span s);

/* Copies `s` to *at, which moves behind it; the copy. What several texts in one piece of memory are
 * made with. */
ln_span ln_text_place(char **at, ln_span s);

/*
 * Cuts the next element of a list off the front of *rest: true, and *item is what stood before the
 * next `separator`, trimmed; false when *rest is used up, which a NULL `data` marks. n separators
 * make n + 1 elements, empty ones included: "a,,b," gives "a", "", "b", "". Quotation marks mean
 * nothing here.
 */
bool ln_text_next(ln_span *rest, char separator, ln_span *item);

/* Decimal digits only, at least one, no sign. LN_ERR_INVALID; LN_ERR_LIMIT above `max`. */
LN_NODISCARD int ln_text_parse_u64(ln_span s, uint64_t max, uint64_t *value);

/* Hexadecimal digit's value, or -1. */
int ln_text_hex(uint8_t c);

/* RFC 9110 5.6.2 token characters; a non-empty run of them. */
bool ln_text_is_token(ln_span s);

#endif
