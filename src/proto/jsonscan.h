/* SPDX-License-Identifier: MIT */
/*
 * jsonscan - where the plain part of a JSON string ends: the first quotation mark, backslash or
 * control character (RFC 8259 7).
 *
 * Strings are most of a document, so this is what its reading costs. As with utf8, the scalar
 * variant is the reference, the word one looks at eight bytes at a time, and the vector ones
 * (jsonscan_x86.c, jsonscan_arm.c) at 16 or 32; the fastest is chosen once, before main.
 *
 * Invariant: every variant returns what the reference returns, and reads no byte beyond the n.
 */
#ifndef LN_JSONSCAN_H
#define LN_JSONSCAN_H

#include "base/base.h"

/*
 * How many bytes stand before the first '"', '\\' or byte below 0x20; `n` if there is none. Sets
 * *is_foreign when one of them is no ASCII, and leaves it alone else.
 */
size_t ln_jsonscan(const uint8_t *bytes, size_t n, bool *is_foreign);

typedef size_t ln_jsonscan_fn(const uint8_t *bytes, size_t n, bool *is_foreign);

/* The reference, and the portable one that the vector variants end with. */
size_t ln_jsonscan_scalar(const uint8_t *bytes, size_t n, bool *is_foreign);
size_t ln_jsonscan_word(const uint8_t *bytes, size_t n, bool *is_foreign);

/* The variants, for tests and benchmarks: true while index < their number; unsupported ones give
 * NULL. 0 is scalar. */
bool ln_jsonscan_variant(unsigned index, const char **name, ln_jsonscan_fn **fn);

/* What an architecture's file offers, the fastest last; a NULL name ends the list. */
typedef struct ln_jsonscan_offer {
    const char *name;
    ln_jsonscan_fn *fn;
    bool (*is_supported)(void);
} ln_jsonscan_offer;
extern const ln_jsonscan_offer ln_jsonscan_offers[];

#endif
