/* SPDX-License-Identifier: MIT */
/* mask_arm - masking with NEON, which every 64-bit ARM has. */
#include "mask.h"

#ifdef LN_ARCH_ARM
#include <arm_neon.h>

static bool has_neon(void)
{
    return true;
}

static void mask_neon(uint8_t *to, const uint8_t *from, size_t n, uint32_t key, size_t offset)
{
    const uint8x16_t keys = vreinterpretq_u8_u32(vdupq_n_u32(ln_mask_turned(key, offset)));

    for (; n >= 64; n -= 64, from += 64, to += 64) {
        const uint8x16_t a = vld1q_u8(from), b = vld1q_u8(from + 16);
        const uint8x16_t c = vld1q_u8(from + 32), d = vld1q_u8(from + 48);
        vst1q_u8(to, veorq_u8(a, keys));
        vst1q_u8(to + 16, veorq_u8(b, keys));
        vst1q_u8(to + 32, veorq_u8(c, keys));
        vst1q_u8(to + 48, veorq_u8(d, keys));
    }
    ln_mask_short(to, from, n, key, offset); /* whole blocks leave the phase as it was */
}

const ln_mask_offer ln_mask_offers[] = {{"neon", mask_neon, has_neon}, {NULL, NULL, NULL}};
#endif
