/* SPDX-License-Identifier: MIT */
/*
 * utf8 - is this text UTF-8 (RFC 3629), also when it comes in pieces.
 *
 * A feed answers for all of its bytes: LN_UTF8_REJECT as soon as it held a byte that no valid text
 * could continue with, so that a bad message is refused before it is whole (RFC 6455 8.1).
 *
 * Three kinds of variant. The scalar one is a table that takes one byte at a time, written down
 * from the grammar of RFC 3629; it is the reference. The word one skips ASCII eight bytes at a
 * time. The vector ones (utf8_x86.c, utf8_arm.c) classify 64 bytes at a time; the fastest is chosen
 * once, before main.
 *
 * Invariant: every variant returns what the reference returns, for every state and every bytes.
 */
#ifndef LN_UTF8_H
#define LN_UTF8_H

#include <string.h>

#include "base/base.h"

enum { LN_UTF8_ACCEPT = 0, LN_UTF8_REJECT = 1 }; /* other values: inside a code point */

/*
 * Runs `n` bytes from `state` (LN_UTF8_ACCEPT at the start). The new state: LN_UTF8_ACCEPT at a
 * code point's end, LN_UTF8_REJECT for ever once invalid, else in between.
 */
uint8_t ln_utf8_feed(uint8_t state, const uint8_t *bytes, size_t n);

/* A whole text. */
bool ln_utf8_is_valid(const void *bytes, size_t n);

/* Nothing but ASCII: for short texts, done without a call. */
LN_INLINE bool ln_utf8_is_ascii(const uint8_t *bytes, size_t n)
{
    uint64_t word, all = 0;

    if (n >= sizeof word) {
        for (size_t i = 0; i < n - sizeof word; i += sizeof word) {
            memcpy(&word, bytes + i, sizeof word);
            all |= word;
        }
        memcpy(&word, bytes + n - sizeof word, sizeof word); /* may overlap the one before */
        all |= word;
    } else {
        for (size_t i = 0; i < n; i++)
            all |= bytes[i];
    }
    return (all & UINT64_C(0x8080808080808080)) == 0;
}

typedef uint8_t ln_utf8_fn(uint8_t state, const uint8_t *bytes, size_t n);

/* The reference. */
uint8_t ln_utf8_scalar(uint8_t state, const uint8_t *bytes, size_t n);

/* The variants, for tests and benchmarks: true while index < their number; unsupported ones give
 * NULL. 0 is scalar. */
bool ln_utf8_variant(unsigned index, const char **name, ln_utf8_fn **fn);

/* What an architecture's file offers, the fastest last; a NULL name ends the list. */
typedef struct ln_utf8_offer {
    const char *name;
    ln_utf8_fn *fn;
    bool (*is_supported)(void);
} ln_utf8_offer;
extern const ln_utf8_offer ln_utf8_offers[];

#endif
