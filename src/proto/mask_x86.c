/* SPDX-License-Identifier: MIT */
/* mask_x86 - masking with SSE2 (every x86-64 has it) and AVX2. Unaligned accesses cost nothing
 * extra on either. */
#include "mask.h"

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

static void mask_sse2(uint8_t *to, const uint8_t *from, size_t n, uint32_t key, size_t offset)
{
    const __m128i keys = _mm_set1_epi32((int)ln_mask_turned(key, offset));

    for (; n >= 64; n -= 64, from += 64, to += 64) {
        const __m128i a = _mm_loadu_si128((const __m128i *)from);
        const __m128i b = _mm_loadu_si128((const __m128i *)(from + 16));
        const __m128i c = _mm_loadu_si128((const __m128i *)(from + 32));
        const __m128i d = _mm_loadu_si128((const __m128i *)(from + 48));
        _mm_storeu_si128((__m128i *)to, _mm_xor_si128(a, keys));
        _mm_storeu_si128((__m128i *)(to + 16), _mm_xor_si128(b, keys));
        _mm_storeu_si128((__m128i *)(to + 32), _mm_xor_si128(c, keys));
        _mm_storeu_si128((__m128i *)(to + 48), _mm_xor_si128(d, keys));
    }
    ln_mask_short(to, from, n, key, offset); /* whole blocks leave the phase as it was */
}

LN_TARGET("avx2")
static void mask_avx2(uint8_t *to, const uint8_t *from, size_t n, uint32_t key, size_t offset)
{
    const __m256i keys = _mm256_set1_epi32((int)ln_mask_turned(key, offset));

    for (; n >= 128; n -= 128, from += 128, to += 128) {
        const __m256i a = _mm256_loadu_si256((const __m256i *)from);
        const __m256i b = _mm256_loadu_si256((const __m256i *)(from + 32));
        const __m256i c = _mm256_loadu_si256((const __m256i *)(from + 64));
        const __m256i d = _mm256_loadu_si256((const __m256i *)(from + 96));
        _mm256_storeu_si256((__m256i *)to, _mm256_xor_si256(a, keys));
        _mm256_storeu_si256((__m256i *)(to + 32), _mm256_xor_si256(b, keys));
        _mm256_storeu_si256((__m256i *)(to + 64), _mm256_xor_si256(c, keys));
        _mm256_storeu_si256((__m256i *)(to + 96), _mm256_xor_si256(d, keys));
    }
    for (; n >= 32; n -= 32, from += 32, to += 32) {
        const __m256i a = _mm256_loadu_si256((const __m256i *)from);
        _mm256_storeu_si256((__m256i *)to, _mm256_xor_si256(a, keys));
    }
    ln_mask_short(to, from, n, key, offset);
}

const ln_mask_offer ln_mask_offers[] = {
    {"sse2", mask_sse2, has_sse2}, {"avx2", mask_avx2, has_avx2}, {NULL, NULL, NULL}};
#endif
