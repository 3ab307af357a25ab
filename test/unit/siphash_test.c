/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/map.h"

/* Seed bytes 00 01 .. 0f, as two little-endian words. */
static const uint64_t seed[2] = {UINT64_C(0x0706050403020100), UINT64_C(0x0f0e0d0c0b0a0908)};

/* Of the bytes 00 01 02 .., as many as the index: what the authors' reference prints with one and
 * three rounds. */
static const uint64_t published[] = {
    UINT64_C(0xabac0158050fc4dc), UINT64_C(0xc9f49bf37d57ca93), UINT64_C(0x82cb9b024dc7d44d),
    UINT64_C(0x8bf80ab8e7ddf7fb), UINT64_C(0xcf75576088d38328), UINT64_C(0xdef9d52f49533b67),
    UINT64_C(0xc50d2b50c59f22a7), UINT64_C(0xd3927d989bb11140), UINT64_C(0x369095118d299a8e),
    UINT64_C(0x25a48eb36c063de4), UINT64_C(0x79de85ee92ff097f), UINT64_C(0x70c118c1f94dc352),
    UINT64_C(0x78a384b157b4d9a2), UINT64_C(0x306f760c1229ffa7), UINT64_C(0x605aa111c0f95d34),
    UINT64_C(0xd320d86d2a519956), UINT64_C(0xcc4fdd1a7d908b66), UINT64_C(0x9cf2689063dbd80c),
    UINT64_C(0x8ffc389cb473e63e), UINT64_C(0xf21f9de58d297d1c), UINT64_C(0xc0dc2f46a6cce040),
};

static void the_published_values_come_out(void **state)
{
    (void)state;
    uint8_t bytes[LN_ARRAY_SIZE(published)];
    for (size_t n = 0; n < sizeof bytes; n++) {
        bytes[n] = (uint8_t)n;
        const uint64_t hash = ln_siphash13(seed, (ln_span){bytes, n});
        if (hash != published[n])
            fail_msg("%zu bytes", n);
    }
    assert_true(ln_siphash13(seed, (ln_span){NULL, 0}) == published[0]);
    assert_true(ln_siphash13((const uint64_t[2]){0, 0}, (ln_span){NULL, 0}) ==
                UINT64_C(0xd1fba762150c532c));
}

static void the_address_does_not_matter(void **state)
{
    (void)state;
    static const uint8_t bytes[] = {0,  1,  2,  3,  4,  5,  6,  7,  8,  9,
                                    10, 11, 12, 13, 14, 15, 16, 17, 18, 19};
    uint8_t moved[8 + sizeof bytes];
    for (size_t offset = 0; offset < 8; offset++) {
        memcpy(moved + offset, bytes, sizeof bytes);
        assert_true(ln_siphash13(seed, (ln_span){moved + offset, sizeof bytes}) ==
                    published[sizeof bytes]);
    }
}

static void every_bit_of_key_seed_and_length_counts(void **state)
{
    (void)state;
    uint8_t bytes[19] = {0};
    const ln_span key = {bytes, sizeof bytes};
    const uint64_t plain = ln_siphash13(seed, key);
    for (size_t bit = 0; bit < 8 * sizeof bytes; bit++) {
        bytes[bit / 8] = (uint8_t)(1 << bit % 8);
        assert_true(ln_siphash13(seed, key) != plain);
        bytes[bit / 8] = 0;
    }
    for (int bit = 0; bit < 128; bit++) {
        uint64_t other[2] = {seed[0], seed[1]};
        other[bit / 64] ^= UINT64_C(1) << bit % 64;
        assert_true(ln_siphash13(other, key) != plain);
    }
    assert_true(ln_siphash13(seed, (ln_span){bytes, sizeof bytes - 1}) != plain);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_published_values_come_out),
        cmocka_unit_test(the_address_does_not_matter),
        cmocka_unit_test(every_bit_of_key_seed_and_length_counts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
