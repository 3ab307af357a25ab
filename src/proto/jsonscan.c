/* SPDX-License-Identifier: MIT */
#include "jsonscan.h"

static bool is_stop(uint8_t c)
{
    return c == '"' || c == '\\' || c < 0x20;
}

size_t ln_jsonscan_scalar(const uint8_t *bytes, size_t n, bool *is_foreign)
{
    size_t i = 0;
    for (; i < n && !is_stop(bytes[i]); i++)
        if (bytes[i] >= 0x80)
            *is_foreign = true;
    return i;
}

#define EACH(byte) (UINT64_C(0x0101010101010101) * (byte))

static const uint64_t highest_bits = EACH(0x80);

/* Highest bits where a byte is below `least` <= 0x80, and perhaps above the first such one: a
 * borrow only travels upwards. */
LN_INLINE uint64_t below(uint64_t word, uint64_t least)
{
    return (word - EACH(least)) & ~word & highest_bits;
}

size_t ln_jsonscan_word(const uint8_t *bytes, size_t n, bool *is_foreign)
{
    size_t i = 0;
    for (; n - i >= 8; i += 8) {
        const uint64_t word = ln_load_le64(bytes + i);
        const uint64_t stops =
            below(word, 0x20) | below(word ^ EACH('"'), 1) | below(word ^ EACH('\\'), 1);
        if (stops != 0) {
            if ((word & highest_bits & (stops - 1) & ~stops) != 0) /* of the bytes before it */
                *is_foreign = true;
            return i + (unsigned)__builtin_ctzll(stops) / 8;
        }
        if (word & highest_bits)
            *is_foreign = true;
    }
    return i + ln_jsonscan_scalar(bytes + i, n - i, is_foreign);
}

static const ln_jsonscan_offer portable[] = {{"scalar", ln_jsonscan_scalar, NULL},
                                             {"word", ln_jsonscan_word, NULL}};

static ln_jsonscan_fn *best = ln_jsonscan_word;

LN_BEFORE_MAIN static void choose(void)
{
    for (const ln_jsonscan_offer *o = ln_jsonscan_offers; o->name; o++)
        if (o->is_supported())
            best = o->fn;
}

size_t ln_jsonscan(const uint8_t *bytes, size_t n, bool *is_foreign)
{
    const size_t plain = best(bytes, n, is_foreign);
    LN_ASSERT(plain <= n && (plain == n || is_stop(bytes[plain])));
    return plain;
}

bool ln_jsonscan_variant(unsigned index, const char **name, ln_jsonscan_fn **fn)
{
    if (index < LN_ARRAY_SIZE(portable)) {
        *name = portable[index].name;
        *fn = portable[index].fn;
        return true;
    }
    const ln_jsonscan_offer *o = ln_jsonscan_offers;
    for (unsigned i = LN_ARRAY_SIZE(portable); i < index && o->name; i++)
        o++;
    if (!o->name)
        return false;
    *name = o->name;
    *fn = o->is_supported() ? o->fn : NULL;
    return true;
}
