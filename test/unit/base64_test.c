/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/text.h"
#include "cli/base64.h"

static void the_vectors_of_rfc_4648_section_10(void **state)
{
    (void)state;
    static const char *const vectors[][2] = {
        {"", ""},
        {"f", "Zg=="},
        {"fo", "Zm8="},
        {"foo", "Zm9v"},
        {"foob", "Zm9vYg=="},
        {"fooba", "Zm9vYmE="},
        {"foobar", "Zm9vYmFy"},
    };
    for (size_t i = 0; i < LN_ARRAY_SIZE(vectors); i++) {
        char text[16] = "";
        ln_base64_write(ln_text(vectors[i][0]), text);
        assert_string_equal(text, vectors[i][1]);
        assert_int_equal(ln_base64_size(strlen(vectors[i][0])), strlen(vectors[i][1]));
    }
}

static void all_digits_are_used(void **state)
{
    (void)state;
    uint8_t bytes[48];
    char text[65] = "";
    uint32_t bits = 0;
    size_t n = 0;
    for (uint32_t digit = 0; digit < 64;
         digit++) { /* the digits 0, 1, 2, ... in a row of six bits each */
        bits = bits << 6 | digit;
        if (digit % 4 == 3) {
            bytes[n++] = (uint8_t)(bits >> 16);
            bytes[n++] = (uint8_t)(bits >> 8);
            bytes[n++] = (uint8_t)bits;
        }
    }
    ln_base64_write((ln_span){bytes, n}, text);
    assert_string_equal(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_vectors_of_rfc_4648_section_10),
        cmocka_unit_test(all_digits_are_used),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
