/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/base64.h"
#include "base/text.h"

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

static int read_into(const char *text, char out[64])
{
    memset(out, 0, 64);
    return ln_base64_read(ln_text(text), out, 63);
}

static int read_url_into(const char *text, char out[64])
{
    memset(out, 0, 64);
    return ln_base64_read_url(ln_text(text), out, 63);
}

static void the_vectors_are_read_back(void **state)
{
    (void)state;
    static const char *const vectors[][3] = {
        {"", "", ""},
        {"f", "Zg==", "Zg"},
        {"fo", "Zm8=", "Zm8"},
        {"foo", "Zm9v", "Zm9v"},
        {"foob", "Zm9vYg==", "Zm9vYg"},
        {"fooba", "Zm9vYmE=", "Zm9vYmE"},
        {"\xfb\xff\xfe", "+//+", "-__-"},
    };
    char out[64];
    for (size_t i = 0; i < LN_ARRAY_SIZE(vectors); i++) {
        const ln_span bytes = ln_text(vectors[i][0]);
        assert_int_equal(read_into(vectors[i][1], out), bytes.size);
        assert_memory_equal(out, bytes.data, bytes.size);
        assert_int_equal(read_url_into(vectors[i][2], out), bytes.size);
        assert_memory_equal(out, bytes.data, bytes.size);
        char text[64] = "";
        ln_base64_write_url(bytes, text);
        assert_string_equal(text, vectors[i][2]);
        assert_int_equal(ln_base64_size_url(bytes.size), strlen(vectors[i][2]));
    }
}

static void what_writing_would_not_give_is_not_read(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "Z",    "Zg",       "Zg=",  "Zg===", "Zg==\n",  " Zg==", "Zh==",    "Zm9=",     "Z===",
        "====", "Zg==Zg==", "Z-8=", "Z_8=",  "Zm9vYg=", "Zm9v=", "Zm\x80v", "Zm9v Zm9v"};
    static const char *const bad_url[] = {"Z",   "Zg==", "Zh",   "Zm9", "Zm8=",   "Zm9vY",
                                          "Z+8", "Z/8",  "Zg\n", " Zg", "Zg\x80", "Zm.v"};
    char out[64];
    for (size_t i = 0; i < LN_ARRAY_SIZE(bad); i++)
        assert_int_equal(read_into(bad[i], out), LN_ERR_INVALID);
    for (size_t i = 0; i < LN_ARRAY_SIZE(bad_url); i++)
        assert_int_equal(read_url_into(bad_url[i], out), LN_ERR_INVALID);
}

/* Every text of three characters: the ones that are read are exactly those that are written. */
static void reading_and_writing_are_inverse(void **state)
{
    (void)state;
    size_t accepted = 0;
    for (unsigned code = 0; code < 1u << 24; code += 7) { /* 7 and 256 have no common factor */
        char text[3] = {(char)(code >> 16), (char)(code >> 8), (char)code}, again[8];
        uint8_t bytes[2];
        const int n = ln_base64_read_url((ln_span){text, 3}, bytes, sizeof bytes);
        if (n < 0)
            continue;
        accepted++;
        assert_int_equal(n, 2);
        ln_base64_write_url((ln_span){bytes, 2}, again);
        assert_memory_equal(again, text, 3);
    }
    assert_in_range(accepted, 65536 / 7 - 500, 65536 / 7 + 500);
}

static void the_room_is_respected(void **state)
{
    (void)state;
    uint8_t bytes[4] = {0, 0, 0, 0x55};
    assert_int_equal(ln_base64_read(LN_SPAN("Zm9v"), bytes, 2), LN_ERR_LIMIT);
    assert_int_equal(ln_base64_read_url(LN_SPAN("Zm9vYg"), bytes, 3), LN_ERR_LIMIT);
    assert_int_equal(ln_base64_read(LN_SPAN("Zm9v"), bytes, 3), 3);
    assert_int_equal(bytes[3], 0x55);
    assert_int_equal(ln_base64_read(LN_SPAN(""), bytes, 0), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_vectors_of_rfc_4648_section_10),
        cmocka_unit_test(all_digits_are_used),
        cmocka_unit_test(the_vectors_are_read_back),
        cmocka_unit_test(what_writing_would_not_give_is_not_read),
        cmocka_unit_test(reading_and_writing_are_inverse),
        cmocka_unit_test(the_room_is_respected),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
