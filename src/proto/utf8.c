/* SPDX-License-Identifier: MIT */
#include "utf8.h"

#include <string.h>

/* clang-format off */

/* What the next bytes may be: nothing special, nothing at all, so many tails, or a tail of a
 * narrower range. */
enum { OK = LN_UTF8_ACCEPT, NO = LN_UTF8_REJECT, T1, T2, T3, AFTER_E0, AFTER_ED, AFTER_F0,
       AFTER_F4, STATES };

/* Bytes that the grammar of RFC 3629 section 4 treats alike: tails in three ranges, then heads by
 * what follows. */
enum { AS, T8, T9, TA, XX, H2, E0, H3, ED, F0, H4, F4, CLASSES };

static const uint8_t classes[256] = { /* below 80: AS */
    [0x80] =
    T8, T8, T8, T8, T8, T8, T8, T8, T8, T8, T8, T8, T8, T8, T8, T8, /* 80 */
    T9, T9, T9, T9, T9, T9, T9, T9, T9, T9, T9, T9, T9, T9, T9, T9,
    TA, TA, TA, TA, TA, TA, TA, TA, TA, TA, TA, TA, TA, TA, TA, TA, /* A0 */
    TA, TA, TA, TA, TA, TA, TA, TA, TA, TA, TA, TA, TA, TA, TA, TA,
    /* C0: C0 and C1 would be overlong */
    XX, XX, H2, H2, H2, H2, H2, H2, H2, H2, H2, H2, H2, H2, H2, H2,
    H2, H2, H2, H2, H2, H2, H2, H2, H2, H2, H2, H2, H2, H2, H2, H2,
    E0, H3, H3, H3, H3, H3, H3, H3, H3, H3, H3, H3, H3, ED, H3, H3, /* E0 */
    /* F0: from F5 on above U+10FFFF */
    F0, H4, H4, H4, F4, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX,
};

static const uint8_t transitions[STATES][CLASSES] = {
    /*              AS  T8  T9  TA  XX  H2  E0        H3  ED        F0        H4  F4 */
    [OK]       =  { OK, NO, NO, NO, NO, T1, AFTER_E0, T2, AFTER_ED, AFTER_F0, T3, AFTER_F4 },
    [NO]       =  { NO, NO, NO, NO, NO, NO, NO,       NO, NO,       NO,       NO, NO },
    [T1]       =  { NO, OK, OK, OK, NO, NO, NO,       NO, NO,       NO,       NO, NO },
    [T2]       =  { NO, T1, T1, T1, NO, NO, NO,       NO, NO,       NO,       NO, NO },
    [T3]       =  { NO, T2, T2, T2, NO, NO, NO,       NO, NO,       NO,       NO, NO },
    /* below: overlong */
    [AFTER_E0] =  { NO, NO, NO, T1, NO, NO, NO,       NO, NO,       NO,       NO, NO },
    /* above: surrogates */
    [AFTER_ED] =  { NO, T1, T1, NO, NO, NO, NO,       NO, NO,       NO,       NO, NO },
    /* below: overlong */
    [AFTER_F0] =  { NO, NO, T2, T2, NO, NO, NO,       NO, NO,       NO,       NO, NO },
    /* above: > U+10FFFF */
    [AFTER_F4] =  { NO, T2, NO, NO, NO, NO, NO,       NO, NO,       NO,       NO, NO },
};

/* clang-format on */

uint8_t ln_utf8_scalar(uint8_t state, const uint8_t *bytes, size_t n)
{
    LN_ASSERT(state < STATES);
    for (size_t i = 0; i < n; i++)
        state = transitions[state][classes[bytes[i]]];
    return state;
}

static const uint64_t highest_bits = UINT64_C(0x8080808080808080);

LN_INLINE uint64_t load(const uint8_t bytes[8])
{
    uint64_t word;
    memcpy(&word, bytes, sizeof word);
    return word;
}

static uint8_t utf8_word(uint8_t state, const uint8_t *bytes, size_t n)
{
    for (; n >= 8 && state != LN_UTF8_REJECT; bytes += 8, n -= 8)
        if (state != LN_UTF8_ACCEPT || (load(bytes) & highest_bits))
            state = ln_utf8_scalar(state, bytes, 8);
    return ln_utf8_scalar(state, bytes, n);
}

static const ln_utf8_offer portable[] = {{"scalar", ln_utf8_scalar, NULL},
                                         {"word", utf8_word, NULL}};

static ln_utf8_fn *best = utf8_word;

LN_BEFORE_MAIN static void choose(void)
{
    for (const ln_utf8_offer *o = ln_utf8_offers; o->name; o++)
        if (o->is_supported())
            best = o->fn;
}

/* n >= 8; the last word may overlap the one before. */
static bool is_ascii(const uint8_t *bytes, size_t n)
{
    uint64_t all = load(bytes + n - 8);
    for (size_t i = 0; i < n - 8; i += 8)
        all |= load(bytes + i);
    return (all & highest_bits) == 0;
}

uint8_t ln_utf8_feed(uint8_t state, const uint8_t *bytes, size_t n)
{
    /* Most messages are short and ASCII: 20 bytes take 3 ns like this and 9 ns in a vector
     * variant. */
    enum { VECTOR_MIN_BYTES = 16, ASCII_MAX_BYTES = 128 };

    if (n >= 8 && n <= ASCII_MAX_BYTES && state == LN_UTF8_ACCEPT && is_ascii(bytes, n))
        return LN_UTF8_ACCEPT;
    return n < VECTOR_MIN_BYTES ? utf8_word(state, bytes, n) : best(state, bytes, n);
}

bool ln_utf8_is_valid(const void *bytes, size_t n)
{
    return ln_utf8_feed(LN_UTF8_ACCEPT, bytes, n) == LN_UTF8_ACCEPT;
}

bool ln_utf8_variant(unsigned index, const char **name, ln_utf8_fn **fn)
{
    if (index < LN_ARRAY_SIZE(portable)) {
        *name = portable[index].name;
        *fn = portable[index].fn;
        return true;
    }
    const ln_utf8_offer *o = ln_utf8_offers;
    for (unsigned i = LN_ARRAY_SIZE(portable); i < index && o->name; i++)
        o++;
    if (!o->name)
        return false;
    *name = o->name;
    *fn = o->is_supported() ? o->fn : NULL;
    return true;
}
