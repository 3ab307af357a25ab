/* SPDX-License-Identifier: MIT */
/* jsonscan_x86 - the vector variants of jsonscan for x86-64: 16 bytes at a time with SSE2, which
 * every such processor has, 32 with AVX2. */
#include "jsonscan.h"

#ifdef LN_ARCH_X86
#include <immintrin.h>

static bool has_sse2(void)
{
    return true;
}

static bool has_avx2(void)
{
    __builtin_cpu_init(); /* we may be called before the C library's own constructors */
    return __builtin_cpu_supports("avx2");
}

/* ---- SSE2 ---- */

/* One bit for each byte that ends the run. */
LN_INLINE unsigned stops16(__m128i v)
{
    const __m128i quote = _mm_cmpeq_epi8(v, _mm_set1_epi8('"'));
    const __m128i escape = _mm_cmpeq_epi8(v, _mm_set1_epi8('\\'));
    const __m128i control = _mm_cmpeq_epi8(_mm_min_epu8(v, _mm_set1_epi8(0x1f)), v);
    return (unsigned)_mm_movemask_epi8(_mm_or_si128(_mm_or_si128(quote, escape), control));
}

static size_t scan_sse2(const uint8_t *bytes, size_t n, bool *is_foreign)
{
    unsigned seen = 0;

    if (n < 16)
        return ln_jsonscan_word(bytes, n, is_foreign);
    for (size_t i = 0; i < n; i += 16) {
        i = ln_min_size(i, n - 16); /* the last ones with some before them, which are plain */
        const __m128i v = _mm_loadu_si128((const __m128i *)(bytes + i));
        const unsigned stops = stops16(v);
        const unsigned high = (unsigned)_mm_movemask_epi8(v);
        if (stops != 0) {
            if ((seen | (high & (stops - 1) & ~stops)) != 0) /* of the bytes before the stop */
                *is_foreign = true;
            return i + (unsigned)__builtin_ctz(stops);
        }
        seen |= high;
    }
    if (seen != 0)
        *is_foreign = true;
    return n;
}

/* ---- AVX2: the same, twice as wide ---- */

LN_TARGET("avx2") LN_INLINE uint32_t stops32(__m256i v)
{
    const __m256i quote = _mm256_cmpeq_epi8(v, _mm256_set1_epi8('"'));
    const __m256i escape = _mm256_cmpeq_epi8(v, _mm256_set1_epi8('\\'));
    const __m256i control = _mm256_cmpeq_epi8(_mm256_min_epu8(v, _mm256_set1_epi8(0x1f)), v);
    return (uint32_t)_mm256_movemask_epi8(_mm256_or_si256(_mm256_or_si256(quote, escape), control));
}

LN_TARGET("avx2") static size_t scan_avx2(const uint8_t *bytes, size_t n, bool *is_foreign)
{
    uint32_t seen = 0;

    if (n < 32)
        return scan_sse2(bytes, n, is_foreign);
    for (size_t i = 0; i < n; i += 32) {
        i = ln_min_size(i, n - 32);
        const __m256i v = _mm256_loadu_si256((const __m256i *)(bytes + i));
        const uint32_t stops = stops32(v);
        const uint32_t high = (uint32_t)_mm256_movemask_epi8(v);
        if (stops != 0) {
            if ((seen | (high & (stops - 1) & ~stops)) != 0)
                *is_foreign = true;
            return i + (unsigned)__builtin_ctz(stops);
        }
        seen |= high;
    }
    if (seen != 0)
        *is_foreign = true;
    return n;
}

const ln_jsonscan_offer ln_jsonscan_offers[] = {
    {"sse2", scan_sse2, has_sse2}, {"avx2", scan_avx2, has_avx2}, {NULL, NULL, NULL}};
#endif
