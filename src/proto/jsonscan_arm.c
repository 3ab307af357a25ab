/* SPDX-License-Identifier: MIT */
/* jsonscan_arm - the vector variant of jsonscan for 64-bit ARM: 16 bytes at a time with NEON. */
#include "jsonscan.h"

#ifdef LN_ARCH_ARM
#include <arm_neon.h>

static bool has_neon(void)
{
    return true;
}

static size_t scan_neon(const uint8_t *bytes, size_t n, bool *is_foreign)
{
    size_t i = 0;
    uint8x16_t seen = vdupq_n_u8(0);

    for (; n - i >= 16; i += 16) {
        const uint8x16_t v = vld1q_u8(bytes + i);
        const uint8x16_t marks =
            vorrq_u8(vceqq_u8(v, vdupq_n_u8('"')), vceqq_u8(v, vdupq_n_u8('\\')));
        if (vmaxvq_u8(vorrq_u8(marks, vcltq_u8(v, vdupq_n_u8(0x20)))) != 0)
            break; /* the word variant finds where in these 16 */
        seen = vorrq_u8(seen, v);
    }
    if (vmaxvq_u8(seen) >= 0x80)
        *is_foreign = true;
    return i + ln_jsonscan_word(bytes + i, n - i, is_foreign);
}

const ln_jsonscan_offer ln_jsonscan_offers[] = {{"neon", scan_neon, has_neon}, {NULL, NULL, NULL}};
#endif
