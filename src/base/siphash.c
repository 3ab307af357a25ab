/* SPDX-License-Identifier: MIT */
/* siphash - SipHash-1-3 (Aumasson, Bernstein 2012): one round a word, three to finish; declared in
 * map.h. */
#include "map.h"

typedef struct sip {
    uint64_t v0, v1, v2, v3;
} sip;

LN_INLINE uint64_t rotated(uint64_t x, int bits)
{
    return x << bits | x >> (64 - bits);
}

LN_INLINE void mix(sip *s)
{
    s->v0 += s->v1;
    s->v1 = rotated(s->v1, 13) ^ s->v0;
    s->v0 = rotated(s->v0, 32);
    s->v2 += s->v3;
    s->v3 = rotated(s->v3, 16) ^ s->v2;
    s->v0 += s->v3;
    s->v3 = rotated(s->v3, 21) ^ s->v0;
    s->v2 += s->v1;
    s->v1 = rotated(s->v1, 17) ^ s->v2;
    s->v2 = rotated(s->v2, 32);
}

LN_INLINE void absorb(sip *s, uint64_t word)
{
    s->v3 ^= word;
    mix(s);
    s->v0 ^= word;
}

/* The bytes after the last whole word, the first one lowest. */
LN_INLINE uint64_t last_word(const uint8_t *p, size_t size)
{
    const size_t rest = size % 8;
    if (rest == 0)
        return 0;
    if (size > 8) /* one load that overlaps what has been absorbed already */
        return ln_load_le64(p + size - 8) >> (64 - 8 * rest);
    uint64_t word = 0;
    for (size_t i = 0; i < rest; i++)
        word |= (uint64_t)p[i] << (8 * i);
    return word;
}

LN_HOT uint64_t ln_siphash13(const uint64_t seed[2], ln_span key)
{
    sip s = {
        .v0 = seed[0] ^ UINT64_C(0x736f6d6570736575),
        .v1 = seed[1] ^ UINT64_C(0x646f72616e646f6d),
        .v2 = seed[0] ^ UINT64_C(0x6c7967656e657261),
        .v3 = seed[1] ^ UINT64_C(0x7465646279746573),
    };
    const uint8_t *p = key.data;

    for (size_t i = 0; i + 8 <= key.size; i += 8)
        absorb(&s, ln_load_le64(p + i));
    absorb(&s, (uint64_t)key.size << 56 | last_word(p, key.size));

    s.v2 ^= 0xff;
    for (int i = 0; i < 3; i++)
        mix(&s);
    return s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
}
