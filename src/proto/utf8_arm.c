/* SPDX-License-Identifier: MIT */
/* utf8_arm - the vector variant of utf8 for 64-bit ARM: 16 bytes at a time with NEON. */
#include "utf8_vector.h"

#ifdef LN_ARCH_ARM
#include <arm_neon.h>
#include <string.h>

enum { BLOCK = 64 }; /* bytes between two looks at whether all is ASCII */

static bool has_neon(void)
{
    return true;
}

typedef struct check {
    uint8x16_t before;     /* the last 16 bytes of the block before */
    uint8x16_t unfinished; /* not zero where a code point began there and has to go on */
    uint8x16_t mistakes;   /* of all blocks so far */
} check;

/* The mistakes of 16 bytes that follow `before`. */
LN_INLINE uint8x16_t mistakes_of(uint8x16_t bytes, uint8x16_t before)
{
    const uint8x16_t back1 = vextq_u8(before, bytes, 15);
    const uint8x16_t back2 = vextq_u8(before, bytes, 14);
    const uint8x16_t back3 = vextq_u8(before, bytes, 13);

    const uint8x16_t first_high = vqtbl1q_u8(vld1q_u8(ln_utf8_first_high), vshrq_n_u8(back1, 4));
    const uint8x16_t first_low =
        vqtbl1q_u8(vld1q_u8(ln_utf8_first_low), vandq_u8(back1, vdupq_n_u8(0x0f)));
    const uint8x16_t second_high = vqtbl1q_u8(vld1q_u8(ln_utf8_second_high), vshrq_n_u8(bytes, 4));
    const uint8x16_t pairs = vandq_u8(vandq_u8(first_high, first_low), second_high);

    const uint8x16_t third = vcgeq_u8(back2, vdupq_n_u8(0xe0));
    const uint8x16_t fourth = vcgeq_u8(back3, vdupq_n_u8(0xf0));
    const uint8x16_t due = vandq_u8(vorrq_u8(third, fourth), vdupq_n_u8(TWO_TAILS));
    return veorq_u8(pairs, due);
}

LN_INLINE void check_block(check *c, const uint8_t bytes[BLOCK])
{
    const uint8x16_t v0 = vld1q_u8(bytes), v1 = vld1q_u8(bytes + 16);
    const uint8x16_t v2 = vld1q_u8(bytes + 32), v3 = vld1q_u8(bytes + 48);

    if (vmaxvq_u8(vorrq_u8(vorrq_u8(v0, v1), vorrq_u8(v2, v3))) < 0x80) {
        c->mistakes = vorrq_u8(c->mistakes, c->unfinished);
        c->unfinished = vdupq_n_u8(0);
    } else {
        const uint8x16_t left = vorrq_u8(mistakes_of(v0, c->before), mistakes_of(v1, v0));
        const uint8x16_t right = vorrq_u8(mistakes_of(v2, v1), mistakes_of(v3, v2));
        c->mistakes = vorrq_u8(c->mistakes, vorrq_u8(left, right));
        c->unfinished = vqsubq_u8(v3, vld1q_u8(ln_utf8_block_end + 16));
    }
    c->before = v3;
}

static bool is_whole(const uint8_t *bytes, size_t n)
{
    check c = {vdupq_n_u8(0), vdupq_n_u8(0), vdupq_n_u8(0)};

    for (; n >= BLOCK; bytes += BLOCK, n -= BLOCK)
        check_block(&c, bytes);
    if (n > 0) {
        uint8_t rest[BLOCK] = {0};
        memcpy(rest, bytes, n);
        check_block(&c, rest);
    }
    return vmaxvq_u8(vorrq_u8(c.mistakes, c.unfinished)) == 0;
}

static uint8_t utf8_neon(uint8_t state, const uint8_t *bytes, size_t n)
{
    return ln_utf8_in_frame(state, bytes, n, is_whole);
}

const ln_utf8_offer ln_utf8_offers[] = {{"neon", utf8_neon, has_neon}, {NULL, NULL, NULL}};
#endif
