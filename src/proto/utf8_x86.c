/* SPDX-License-Identifier: MIT */
/* utf8_x86 - the vector variants of utf8 for x86-64: 16 bytes at a time with SSSE3, 32 with
 * AVX2. */
#include "utf8_vector.h"

#ifdef LN_ARCH_X86
#include <immintrin.h>
#include <string.h>

enum { BLOCK = 64 }; /* bytes between two looks at whether all is ASCII */

static bool has_ssse3(void)
{
    __builtin_cpu_init(); /* we may be called before the C library's own constructors */
    return __builtin_cpu_supports("ssse3");
}

static bool has_avx2(void)
{
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx2");
}

/* ---- SSSE3 ---- */

typedef struct check16 {
    __m128i before;     /* the last 16 bytes of the block before */
    __m128i unfinished; /* not zero where a code point began there and has to go on */
    __m128i mistakes;   /* of all blocks so far */
} check16;

LN_TARGET("ssse3") LN_INLINE __m128i load16(const uint8_t *bytes)
{
    return _mm_loadu_si128((const __m128i *)bytes);
}

/* The mistakes of 16 bytes that follow `before`. */
LN_TARGET("ssse3") LN_INLINE __m128i mistakes16(__m128i bytes, __m128i before)
{
    const __m128i half = _mm_set1_epi8(0x0f);
    const __m128i back1 = _mm_alignr_epi8(bytes, before, 15);
    const __m128i back2 = _mm_alignr_epi8(bytes, before, 14);
    const __m128i back3 = _mm_alignr_epi8(bytes, before, 13);

    const __m128i first_high =
        _mm_shuffle_epi8(load16(ln_utf8_first_high), _mm_and_si128(_mm_srli_epi16(back1, 4), half));
    const __m128i first_low =
        _mm_shuffle_epi8(load16(ln_utf8_first_low), _mm_and_si128(back1, half));
    const __m128i second_high = _mm_shuffle_epi8(load16(ln_utf8_second_high),
                                                 _mm_and_si128(_mm_srli_epi16(bytes, 4), half));
    const __m128i pairs = _mm_and_si128(_mm_and_si128(first_high, first_low), second_high);

    /* The differences reach 80 from E0 and from F0 on. */
    const __m128i third = _mm_subs_epu8(back2, _mm_set1_epi8(0xe0 - 0x80));
    const __m128i fourth = _mm_subs_epu8(back3, _mm_set1_epi8(0xf0 - 0x80));
    const __m128i due = _mm_and_si128(_mm_or_si128(third, fourth), _mm_set1_epi8((char)TWO_TAILS));
    return _mm_xor_si128(pairs, due);
}

LN_TARGET("ssse3") LN_INLINE void check16_block(check16 *c, const uint8_t bytes[BLOCK])
{
    const __m128i v0 = load16(bytes), v1 = load16(bytes + 16);
    const __m128i v2 = load16(bytes + 32), v3 = load16(bytes + 48);

    if (_mm_movemask_epi8(_mm_or_si128(_mm_or_si128(v0, v1), _mm_or_si128(v2, v3))) == 0) {
        c->mistakes = _mm_or_si128(c->mistakes, c->unfinished);
        c->unfinished = _mm_setzero_si128();
    } else {
        const __m128i left = _mm_or_si128(mistakes16(v0, c->before), mistakes16(v1, v0));
        const __m128i right = _mm_or_si128(mistakes16(v2, v1), mistakes16(v3, v2));
        c->mistakes = _mm_or_si128(c->mistakes, _mm_or_si128(left, right));
        c->unfinished = _mm_subs_epu8(v3, load16(ln_utf8_block_end + 16));
    }
    c->before = v3;
}

LN_TARGET("ssse3") static bool is_whole16(const uint8_t *bytes, size_t n)
{
    check16 c = {_mm_setzero_si128(), _mm_setzero_si128(), _mm_setzero_si128()};

    for (; n >= BLOCK; bytes += BLOCK, n -= BLOCK)
        check16_block(&c, bytes);
    if (n > 0) {
        uint8_t rest[BLOCK] = {0};
        memcpy(rest, bytes, n);
        check16_block(&c, rest);
    }
    const __m128i mistakes = _mm_or_si128(c.mistakes, c.unfinished);
    return _mm_movemask_epi8(_mm_cmpeq_epi8(mistakes, _mm_setzero_si128())) == 0xffff;
}

LN_TARGET("ssse3") static uint8_t utf8_ssse3(uint8_t state, const uint8_t *bytes, size_t n)
{
    return ln_utf8_in_frame(state, bytes, n, is_whole16);
}

/* ---- AVX2: the same, with two lanes of 16 ---- */

typedef struct check32 {
    __m256i before;
    __m256i unfinished;
    __m256i mistakes;
} check32;

LN_TARGET("avx2") LN_INLINE __m256i load32(const uint8_t *bytes)
{
    return _mm256_loadu_si256((const __m256i *)bytes);
}

LN_TARGET("avx2") LN_INLINE __m256i look_up32(const uint8_t table[16], __m256i halves)
{
    const __m128i one = _mm_loadu_si128((const __m128i *)table);
    return _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(one), halves);
}

LN_TARGET("avx2") LN_INLINE __m256i mistakes32(__m256i bytes, __m256i before)
{
    const __m256i half = _mm256_set1_epi8(0x0f);
    /* alignr works within a lane, so each needs its own predecessor: the upper lane before, the
     * lower lane now. */
    const __m256i lanes = _mm256_permute2x128_si256(before, bytes, 0x21);
    const __m256i back1 = _mm256_alignr_epi8(bytes, lanes, 15);
    const __m256i back2 = _mm256_alignr_epi8(bytes, lanes, 14);
    const __m256i back3 = _mm256_alignr_epi8(bytes, lanes, 13);

    const __m256i first_high =
        look_up32(ln_utf8_first_high, _mm256_and_si256(_mm256_srli_epi16(back1, 4), half));
    const __m256i first_low = look_up32(ln_utf8_first_low, _mm256_and_si256(back1, half));
    const __m256i second_high =
        look_up32(ln_utf8_second_high, _mm256_and_si256(_mm256_srli_epi16(bytes, 4), half));
    const __m256i pairs = _mm256_and_si256(_mm256_and_si256(first_high, first_low), second_high);

    const __m256i third = _mm256_subs_epu8(back2, _mm256_set1_epi8(0xe0 - 0x80));
    const __m256i fourth = _mm256_subs_epu8(back3, _mm256_set1_epi8(0xf0 - 0x80));
    const __m256i due =
        _mm256_and_si256(_mm256_or_si256(third, fourth), _mm256_set1_epi8((char)TWO_TAILS));
    return _mm256_xor_si256(pairs, due);
}

LN_TARGET("avx2") LN_INLINE void check32_block(check32 *c, const uint8_t bytes[BLOCK])
{
    const __m256i v0 = load32(bytes), v1 = load32(bytes + 32);

    if (_mm256_movemask_epi8(_mm256_or_si256(v0, v1)) == 0) {
        c->mistakes = _mm256_or_si256(c->mistakes, c->unfinished);
        c->unfinished = _mm256_setzero_si256();
    } else {
        const __m256i both = _mm256_or_si256(mistakes32(v0, c->before), mistakes32(v1, v0));
        c->mistakes = _mm256_or_si256(c->mistakes, both);
        c->unfinished = _mm256_subs_epu8(v1, load32(ln_utf8_block_end));
    }
    c->before = v1;
}

LN_TARGET("avx2") static bool is_whole32(const uint8_t *bytes, size_t n)
{
    check32 c = {_mm256_setzero_si256(), _mm256_setzero_si256(), _mm256_setzero_si256()};

    for (; n >= BLOCK; bytes += BLOCK, n -= BLOCK)
        check32_block(&c, bytes);
    if (n > 0) {
        uint8_t rest[BLOCK] = {0};
        memcpy(rest, bytes, n);
        check32_block(&c, rest);
    }
    const __m256i mistakes = _mm256_or_si256(c.mistakes, c.unfinished);
    return _mm256_testz_si256(mistakes, mistakes);
}

LN_TARGET("avx2") static uint8_t utf8_avx2(uint8_t state, const uint8_t *bytes, size_t n)
{
    return ln_utf8_in_frame(state, bytes, n, is_whole32);
}

const ln_utf8_offer ln_utf8_offers[] = {
    {"ssse3", utf8_ssse3, has_ssse3}, {"avx2", utf8_avx2, has_avx2}, {NULL, NULL, NULL}};
#endif
