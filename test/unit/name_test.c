/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/name.h"

/* The definition of UTF-8 the other way round: a code point, written out. Its length. */
static size_t encode(uint32_t code, uint8_t bytes[4])
{
    if (code < 0x80) {
        bytes[0] = (uint8_t)code;
        return 1;
    }
    const size_t length = code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    for (size_t i = length; i-- > 1; code >>= 6)
        bytes[i] = (uint8_t)(0x80 | (code & 0x3F));
    bytes[0] = (uint8_t)(0xF00 >> length | code);
    return length;
}

static bool is_printable(uint32_t code)
{
    const bool is_surrogate = code >= 0xD800 && code <= 0xDFFF;
    return code >= 0x20 && !(code >= 0x7F && code <= 0x9F) && !is_surrogate;
}

static bool is_valid(const void *bytes, size_t n)
{
    return ln_name_is_valid((ln_span){bytes, n}, 64);
}

static void every_code_point_is_a_name_unless_control_or_surrogate(void **state)
{
    (void)state;
    for (uint32_t code = 0; code <= 0x10FFFF; code++) {
        uint8_t bytes[4];
        const size_t n = encode(code, bytes);
        if (is_valid(bytes, n) != is_printable(code))
            fail_msg("U+%04X", (unsigned)code);
    }
}

/* Together with the test above: nothing but the 1,111,998 printable code points is accepted as a
 * single character. */
static void no_other_bytes_are_a_character(void **state)
{
    (void)state;
    unsigned singles = 0, pairs = 0, triples = 0, quads = 0;
    uint8_t b[4];
    for (unsigned i = 0; i < 256; i++) {
        b[0] = (uint8_t)i;
        singles += is_valid(b, 1);
        for (unsigned j = 0; j < 256; j++) {
            b[1] = (uint8_t)j;
            pairs += i >= 0x80 && is_valid(b, 2);
            for (unsigned k = 0; k < 256; k++) {
                b[2] = (uint8_t)k;
                triples += i >= 0xE0 && is_valid(b, 3);
                for (unsigned l = 0x7F; l <= 0xC0 && i >= 0xF0; l++) {
                    b[3] = (uint8_t)l;
                    quads += is_valid(b, 4);
                }
            }
        }
    }
    assert_int_equal(singles, 95);
    assert_int_equal(pairs, 0x800 - 0xA0);
    assert_int_equal(triples, 0x10000 - 0x800 - 0x800);
    assert_int_equal(quads, 0x110000 - 0x10000);
}

static void a_character_cut_short_is_no_name(void **state)
{
    (void)state;
    const char *const whole[] = {"caf\xC3\xA9", "\xE2\x82\xAC", "a\xF0\x9F\x98\x80"};
    for (size_t i = 0; i < 3; i++) {
        const size_t n = strlen(whole[i]);
        assert_true(is_valid(whole[i], n));
        assert_false(is_valid(whole[i], n - 1));
    }
}

static void a_control_character_anywhere_spoils_it(void **state)
{
    (void)state;
    char name[] = "a room of one's own";
    for (size_t i = 0; i < sizeof name - 1; i++) {
        const char kept = name[i];
        assert_true(is_valid(name, sizeof name - 1));
        name[i] = '\n';
        assert_false(is_valid(name, sizeof name - 1));
        name[i] = kept;
    }
}

static void length_is_bounded_on_both_sides(void **state)
{
    (void)state;
    char name[65];
    memset(name, 'x', sizeof name);
    assert_false(is_valid(name, 0));
    assert_false(ln_name_is_valid((ln_span){NULL, 0}, 64));
    assert_true(is_valid(name, 1));
    assert_true(is_valid(name, 64));
    assert_false(is_valid(name, 65));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_code_point_is_a_name_unless_control_or_surrogate),
        cmocka_unit_test(no_other_bytes_are_a_character),
        cmocka_unit_test(a_character_cut_short_is_no_name),
        cmocka_unit_test(a_control_character_anywhere_spoils_it),
        cmocka_unit_test(length_is_bounded_on_both_sides),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
