/* SPDX-License-Identifier: MIT */
/*
 * utf8_vector - what the vector variants of utf8 share: the classification tables, and the frame
 * around them.
 *
 * The method is the lookup of Keiser and Lemire ("Validating UTF-8 in less than one instruction per
 * byte", 2020). Whether two neighbouring bytes may stand together depends on three half bytes: both
 * of the first, and the upper one of the second. For each there is a table of 16 entries that
 * names, one bit each, the mistakes this half allows; a mistake was made where all three name it.
 * Second bytes of all forms are settled by that. What is left are third and fourth bytes: a byte
 * two after E0-FF or three after F0-FF must be the second of two tail bytes in a row, and no other
 * byte may be. TWO_TAILS marks these; the variants XOR it with where it is due, so that either one
 * without the other remains as a mistake.
 *
 * A vector variant checks whole texts only. The frame, ln_utf8_in_frame(), gives it the bytes from
 * the first to the last code point's end in a feed, and leaves the cut code points at both ends to
 * the table.
 */
#ifndef LN_UTF8_VECTOR_H
#define LN_UTF8_VECTOR_H

#include "utf8.h"

/* Mistakes of a byte (as its high half allows, as its low half allows) and the one after it. */
enum {
    HEAD_ALONE = 1 << 0,  /* C0-FF, then no tail */
    TAIL_ALONE = 1 << 1,  /* 00-7F, then a tail */
    OVERLONG_2 = 1 << 2,  /* C0-C1, then a tail */
    OVERLONG_3 = 1 << 3,  /* E0, then 80-9F */
    SURROGATE = 1 << 4,   /* ED, then A0-BF */
    TOO_LARGE = 1 << 5,   /* F4-FF, then 90-BF */
    F0_F5_BELOW = 1 << 6, /* F0 (overlong) or F5-FF (too large), then 80-8F */
    TWO_TAILS = 1 << 7,   /* 80-BF, then a tail: right or wrong by what stands before */
    ANY_LOW = HEAD_ALONE | TAIL_ALONE | TWO_TAILS /* those that do not depend on the low half */
};

/* clang-format off */

/* By the high half of the first byte. */
static const uint8_t ln_utf8_first_high[16] = {
    TAIL_ALONE, TAIL_ALONE, TAIL_ALONE, TAIL_ALONE, TAIL_ALONE, TAIL_ALONE, TAIL_ALONE, TAIL_ALONE,
    TWO_TAILS, TWO_TAILS, TWO_TAILS, TWO_TAILS, /* 8-B */
    HEAD_ALONE | OVERLONG_2,
    HEAD_ALONE,
    HEAD_ALONE | OVERLONG_3 | SURROGATE,
    HEAD_ALONE | TOO_LARGE | F0_F5_BELOW,
};

/* By the low half of the first byte. */
static const uint8_t ln_utf8_first_low[16] = {
    ANY_LOW | OVERLONG_2 | OVERLONG_3 | F0_F5_BELOW, /* C0, E0, F0 */
    ANY_LOW | OVERLONG_2,                            /* C1 */
    ANY_LOW,
    ANY_LOW,
    ANY_LOW | TOO_LARGE,                             /* F4 */
    ANY_LOW | TOO_LARGE | F0_F5_BELOW,
    ANY_LOW | TOO_LARGE | F0_F5_BELOW,
    ANY_LOW | TOO_LARGE | F0_F5_BELOW,
    ANY_LOW | TOO_LARGE | F0_F5_BELOW,
    ANY_LOW | TOO_LARGE | F0_F5_BELOW,
    ANY_LOW | TOO_LARGE | F0_F5_BELOW,
    ANY_LOW | TOO_LARGE | F0_F5_BELOW,
    ANY_LOW | TOO_LARGE | F0_F5_BELOW,
    ANY_LOW | TOO_LARGE | F0_F5_BELOW | SURROGATE,   /* ED */
    ANY_LOW | TOO_LARGE | F0_F5_BELOW,
    ANY_LOW | TOO_LARGE | F0_F5_BELOW,
};

/* By the high half of the second byte. */
static const uint8_t ln_utf8_second_high[16] = {
    HEAD_ALONE, HEAD_ALONE, HEAD_ALONE, HEAD_ALONE, HEAD_ALONE, HEAD_ALONE, HEAD_ALONE, HEAD_ALONE,
    TAIL_ALONE | TWO_TAILS | OVERLONG_2 | OVERLONG_3 | F0_F5_BELOW, /* 8 */
    TAIL_ALONE | TWO_TAILS | OVERLONG_2 | OVERLONG_3 | TOO_LARGE,
    TAIL_ALONE | TWO_TAILS | OVERLONG_2 | SURROGATE | TOO_LARGE,
    TAIL_ALONE | TWO_TAILS | OVERLONG_2 | SURROGATE | TOO_LARGE,    /* B */
    HEAD_ALONE, HEAD_ALONE, HEAD_ALONE, HEAD_ALONE,
};

/* Saturating subtraction of these from the last bytes leaves something where a code point is not
 * finished. */
static const uint8_t ln_utf8_block_end[32] = {
    255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255,
    255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 0xef, 0xdf, 0xbf,
};

/* clang-format on */

/* Bytes at the end that may begin a code point which goes on after them. */
LN_INLINE size_t ln_utf8_cut(const uint8_t *bytes, size_t n)
{
    if (n >= 1 && bytes[n - 1] >= 0xc0)
        return 1;
    if (n >= 2 && bytes[n - 2] >= 0xe0)
        return 2;
    return n >= 3 && bytes[n - 3] >= 0xf0 ? 3 : 0;
}

/* The frame around `is_whole`, which judges a text that begins and has to end at a code point's
 * border. */
LN_INLINE uint8_t ln_utf8_in_frame(uint8_t state, const uint8_t *bytes, size_t n,
                                   bool (*is_whole)(const uint8_t *bytes, size_t n))
{
    size_t begin = 0;
    while (begin < n && state != LN_UTF8_ACCEPT && state != LN_UTF8_REJECT)
        state = ln_utf8_scalar(state, bytes + begin++, 1);
    if (begin == n || state == LN_UTF8_REJECT)
        return state;

    const size_t cut = ln_utf8_cut(bytes + begin, n - begin);
    if (!is_whole(bytes + begin, n - begin - cut))
        return LN_UTF8_REJECT;
    return ln_utf8_scalar(LN_UTF8_ACCEPT, bytes + n - cut, cut);
}

#endif
