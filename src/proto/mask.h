/* SPDX-License-Identifier: MIT */
/*
 * mask - XOR with a repeating 4-byte key (RFC 6455 5.3), in place or while copying.
 *
 * Short runs, which most messages are, are done inline, eight bytes at a time. Long ones go to the
 * fastest variant the processor has, chosen once before main; the scalar variant is the reference
 * that tests compare with. Each architecture is a file (mask_x86.c, mask_arm.c) that offers its
 * variants.
 */
#ifndef LN_MASK_H
#define LN_MASK_H

#include <string.h>

#include "base/base.h"

/* Where a call begins to pay: 64 bytes take 5 ns inline and with AVX2, 128 take 10 and 5. */
enum { LN_MASK_LONG_BYTES = 64 };

/* `key` as it stands in memory on the wire; `offset`: bytes of this frame that were masked before
 * (mod 4 counts). */
typedef void ln_mask_fn(uint8_t *to, const uint8_t *from, size_t n, uint32_t key, size_t offset);

/* The chosen variant, for runs of any length. */
extern ln_mask_fn *ln_mask_long;

/* The key as the byte at `offset` sees it, so that masking can begin there with offset 0. */
LN_INLINE uint32_t ln_mask_turned(uint32_t key, size_t offset)
{
    const unsigned bits = (unsigned)(offset & 3) * 8, back = (32 - bits) & 31;
    return LN_IS_LITTLE_ENDIAN ? key >> bits | key << back : key << bits | key >> back;
}

/* Any length, fewest instructions for few bytes; the variants finish with it. */
LN_INLINE void ln_mask_short(uint8_t *to, const uint8_t *from, size_t n, uint32_t key,
                             size_t offset)
{
    const uint32_t turned = ln_mask_turned(key, offset);
    const uint32_t end = ln_mask_turned(turned, n); /* as the bytes at n - 4 and n - 8 see it */
    uint64_t word, last;
    uint32_t half, last_half;

    /* The last word may overlap the one before: it is read before that one is overwritten in
     * place. */
    if (n >= sizeof word) {
        memcpy(&last, from + n - sizeof last, sizeof last);
        last ^= (uint64_t)end << 32 | end;
        for (size_t i = 0; i < n - sizeof last; i += sizeof word) {
            memcpy(&word, from + i, sizeof word);
            word ^= (uint64_t)turned << 32 | turned;
            memcpy(to + i, &word, sizeof word);
        }
        memcpy(to + n - sizeof last, &last, sizeof last);
    } else if (n >= sizeof half) {
        memcpy(&half, from, sizeof half);
        memcpy(&last_half, from + n - sizeof half, sizeof half);
        half ^= turned;
        last_half ^= end;
        memcpy(to, &half, sizeof half);
        memcpy(to + n - sizeof half, &last_half, sizeof half);
    } else {
        uint8_t bytes[sizeof turned];
        memcpy(bytes, &turned, sizeof turned);
        for (size_t i = 0; i < n; i++)
            to[i] = from[i] ^ bytes[i];
    }
}

/* Masks or unmasks n bytes; `to` == `from` is allowed, other overlaps are not. Short runs are done
 * without a call. */
LN_INLINE void ln_mask_copy(uint8_t *to, const uint8_t *from, size_t n, uint32_t key, size_t offset)
{
    if (LN_LIKELY(n < LN_MASK_LONG_BYTES))
        ln_mask_short(to, from, n, key, offset);
    else
        ln_mask_long(to, from, n, key, offset);
}

/* The variants, by name, for tests and benchmarks: true while index < their number; unsupported
 * ones give NULL. */
bool ln_mask_variant(unsigned index, const char **name, ln_mask_fn **fn);

/* What an architecture's file offers, the fastest last; a NULL name ends the list. */
typedef struct ln_mask_offer {
    const char *name;
    ln_mask_fn *fn;
    bool (*is_supported)(void);
} ln_mask_offer;
extern const ln_mask_offer ln_mask_offers[];

#endif
