/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "guarded.h"
#include "proto/utf8.h"

enum { TEXT = 400 }; /* bytes of the long texts: several blocks of the vector variants and a rest */

static ln_utf8_fn *variants[8]; /* those that this processor has, then ln_utf8_feed() itself */
static const char *names[8];
static unsigned variant_count;

static int find_variants(void **state)
{
    (void)state;
    ln_utf8_fn *fn;
    for (unsigned i = 0; ln_utf8_variant(i, &names[variant_count], &fn); i++)
        if (fn)
            variants[variant_count++] = fn;
    names[variant_count] = "feed";
    variants[variant_count++] = ln_utf8_feed;
    return 0;
}

/* Length of the code point at the front by decoding it, 0 if there is none: no table, no state. */
static size_t decoded(const uint8_t *p, size_t n)
{
    static const uint32_t least[5] = {0, 0, 0x80, 0x800, 0x10000};
    const size_t size = p[0] < 0x80       ? 1
                        : p[0] >> 5 == 6  ? 2
                        : p[0] >> 4 == 14 ? 3
                        : p[0] >> 3 == 30 ? 4
                                          : 0;
    uint32_t value = size < 2 ? p[0] : p[0] & (0x7fU >> size);

    if (size == 0 || size > n)
        return 0;
    for (size_t i = 1; i < size; i++) {
        if (p[i] >> 6 != 2)
            return 0;
        value = value << 6 | (p[i] & 0x3fU);
    }
    const bool is_surrogate = value >= 0xd800 && value <= 0xdfff;
    return value < least[size] || value > 0x10ffff || is_surrogate ? 0 : size;
}

static bool decodes(const uint8_t *p, size_t n)
{
    for (size_t size; n > 0; p += size, n -= size)
        if ((size = decoded(p, n)) == 0)
            return false;
    return true;
}

/* Some text begins with these bytes: they decode, or do with up to three of the tails at the
 * borders of a range. */
static bool can_begin(const uint8_t *bytes, size_t n)
{
    static const uint8_t tails[] = {0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf};
    uint8_t longer[8];

    if (decodes(bytes, n))
        return true;
    memcpy(longer, bytes, n);
    for (unsigned i = 0; i < 6 * 6 * 6; i++) {
        longer[n] = tails[i % 6];
        longer[n + 1] = tails[i / 6 % 6];
        longer[n + 2] = tails[i / 36];
        for (size_t more = 1; more <= 3; more++)
            if (decodes(longer, n + more))
                return true;
    }
    return false;
}

static void check_reference(const uint8_t *bytes, size_t n)
{
    const uint8_t got = ln_utf8_scalar(LN_UTF8_ACCEPT, bytes, n);
    if ((got == LN_UTF8_ACCEPT) != decodes(bytes, n))
        fail_msg("%zu bytes from %02x %02x: state %u", n, bytes[0], bytes[1], got);
}

static void check_first_wrong(const uint8_t *bytes, size_t n)
{
    const uint8_t got = ln_utf8_scalar(LN_UTF8_ACCEPT, bytes, n);
    if ((got == LN_UTF8_REJECT) == can_begin(bytes, n))
        fail_msg("%zu bytes from %02x %02x: state %u, not at the first wrong byte", n, bytes[0],
                 bytes[1], got);
}

/* Whole, and cut in two at every place: states as the reference's, in the middle and at the end. */
static void check_splits(const uint8_t *bytes, size_t n)
{
    const uint8_t wanted = ln_utf8_scalar(LN_UTF8_ACCEPT, bytes, n);

    for (unsigned v = 1; v < variant_count; v++) {
        if (variants[v](LN_UTF8_ACCEPT, bytes, n) != wanted)
            fail_msg("%s: %zu bytes from %02x %02x %02x", names[v], n, bytes[0], bytes[1],
                     bytes[2]);
        for (size_t cut = 1; cut < n; cut++) {
            const uint8_t middle = variants[v](LN_UTF8_ACCEPT, bytes, cut);
            if (middle != ln_utf8_scalar(LN_UTF8_ACCEPT, bytes, cut) ||
                variants[v](middle, bytes + cut, n - cut) != wanted)
                fail_msg("%s: cut at %zu of %zu from %02x %02x %02x", names[v], cut, n, bytes[0],
                         bytes[1], bytes[2]);
        }
    }
}

static void the_reference_accepts_what_decodes(void **state)
{
    (void)state;
    uint8_t bytes[4];

    for (unsigned i = 0; i < 256 * 256 * 256; i++) {
        bytes[0] = (uint8_t)(i >> 16);
        bytes[1] = (uint8_t)(i >> 8);
        bytes[2] = (uint8_t)i;
        check_reference(bytes, 3);
        if (bytes[2] == 0)
            check_reference(bytes, 2);
        if (bytes[2] == 0 && bytes[1] == 0)
            check_reference(bytes, 1);
    }
    assert_int_equal(ln_utf8_scalar(LN_UTF8_ACCEPT, bytes, 0), LN_UTF8_ACCEPT);
}

static void the_reference_rejects_at_the_first_wrong_byte(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 256 * 256; i++) {
        const uint8_t bytes[2] = {(uint8_t)(i >> 8), (uint8_t)i};
        check_first_wrong(bytes, 1);
        check_first_wrong(bytes, 2);
    }
}

/* Below 80 two ASCII bytes stand for all: what follows does not depend on which it was. */
static void every_variant_agrees_on_all_short_sequences_and_splits(void **state)
{
    (void)state;
    for (unsigned first = 0x7f; first < 256; first++) {
        for (unsigned i = 0; i < 256 * 256; i++) {
            const uint8_t bytes[3] = {(uint8_t)first, (uint8_t)(i >> 8), (uint8_t)i};
            check_splits(bytes, 3);
            if (bytes[2] == 0)
                check_splits(bytes, 2);
            if (i == 0)
                check_splits(bytes, 1);
        }
    }
}

/* The borders of every range of the grammar, and their neighbours. */
static const uint8_t borders[] = {0x00, 0x41, 0x7f, 0x80, 0x81, 0x8f, 0x90, 0x91, 0x9f, 0xa0,
                                  0xa1, 0xbe, 0xbf, 0xc0, 0xc1, 0xc2, 0xc3, 0xdf, 0xe0, 0xe1,
                                  0xec, 0xed, 0xee, 0xef, 0xf0, 0xf1, 0xf3, 0xf4, 0xf5, 0xf6,
                                  0xf7, 0xf8, 0xf9, 0xfa, 0xfb, 0xfc, 0xfd, 0xfe, 0xff};

static void every_variant_agrees_on_the_borders_of_four_bytes(void **state)
{
    (void)state;
    enum { N = LN_ARRAY_SIZE(borders) };

    for (unsigned i = 0; i < N * N * N * N; i++) {
        const uint8_t bytes[4] = {borders[i % N], borders[i / N % N], borders[i / N / N % N],
                                  borders[i / N / N / N]};
        check_reference(bytes, 4);
        check_splits(bytes, 4);
        if (i < N * N * N)
            check_first_wrong(bytes, 3);
    }
}

/* ---- long texts ---- */

static uint32_t seed = 1;

static uint32_t random_below(uint32_t n)
{
    seed = seed * 1664525 + 1013904223;
    return (uint32_t)((uint64_t)(seed >> 8) * n >> 24);
}

static size_t encode(uint32_t value, uint8_t out[4])
{
    const size_t n = value < 0x80 ? 1 : value < 0x800 ? 2 : value < 0x10000 ? 3 : 4;
    if (n == 1) {
        out[0] = (uint8_t)value;
        return 1;
    }
    for (size_t i = n; i-- > 1; value >>= 6)
        out[i] = (uint8_t)(0x80 | (value & 0x3f));
    out[0] = (uint8_t)(0xf00 >> n | value); /* n ones, then the highest bits */
    return n;
}

/* `n` bytes of valid text; the larger `mix`, the less ASCII. */
static void write_text(uint8_t *text, size_t n, uint32_t mix)
{
    static const uint32_t end[4] = {0x80, 0x800, 0xd800, 0x110000},
                          begin[4] = {0x20, 0x80, 0x800, 0x10000};
    uint8_t one[4];

    for (size_t at = 0, size; at < n; at += size) {
        const uint32_t kind = random_below(8) < mix ? random_below(4) : 0;
        size = encode(begin[kind] + random_below(end[kind] - begin[kind]), one);
        if (size > n - at)
            size = encode('.', one);
        memcpy(text + at, one, size);
    }
}

static void check_long(const uint8_t *text, size_t n)
{
    const uint8_t wanted = ln_utf8_scalar(LN_UTF8_ACCEPT, text, n);
    for (unsigned v = 1; v < variant_count; v++)
        if (variants[v](LN_UTF8_ACCEPT, text, n) != wanted)
            fail_msg("%s: text of %zu, wanted state %u", names[v], n, wanted);
}

static void every_prefix_of_a_text_ends_in_the_right_state(void **state)
{
    (void)state;
    guarded g;
    uint8_t text[TEXT];

    guarded_init(&g, TEXT);
    for (uint32_t mix = 0; mix <= 8; mix++) {
        write_text(text, TEXT, mix);
        assert_true(ln_utf8_is_valid(text, TEXT));
        for (size_t n = 0; n <= TEXT; n++) {
            uint8_t *const at_end = guarded_end(&g, n); /* reading one byte more is a crash */
            memcpy(at_end, text, n);
            check_long(at_end, n);
            memcpy(guarded_begin(&g), text + TEXT - n, n); /* may begin inside a code point */
            check_long(guarded_begin(&g), n);
        }
    }
    guarded_fini(&g);
}

/* One of each kind of mistake. */
static const struct {
    const char *bytes;
    size_t size;
} mistakes[] = {
    {"\x80", 1}, /* a tail alone */
    {"\xbf", 1},
    {"\xc0\x80", 2}, /* overlong */
    {"\xc1\xbf", 2},
    {"\xe0\x9f\xbf", 3},
    {"\xf0\x8f\xbf\xbf", 4},
    {"\xed\xa0\x80", 3}, /* surrogates */
    {"\xed\xbf\xbf", 3},
    {"\xf4\x90\x80\x80", 4}, /* above U+10FFFF */
    {"\xf5\x80\x80\x80", 4},
    {"\xf8\x88\x80\x80\x80", 5},
    {"\xff", 1},
    {"\xc3\x41", 2}, /* cut short */
    {"\xe2\x82\x41", 3},
    {"\xf0\x9f\x98\x41", 4},
    {"\xe2\xe2\x82\xac", 4},
    {"\xc3\xa4\xa4", 3}, /* a tail too many */
};

static void one_mistake_anywhere_in_a_long_text_is_found(void **state)
{
    (void)state;
    uint8_t text[TEXT + 8];

    for (uint32_t mix = 0; mix <= 8; mix += 4) {
        for (size_t m = 0; m < LN_ARRAY_SIZE(mistakes); m++) {
            for (size_t at = 0; at <= TEXT; at++) {
                const size_t size = mistakes[m].size;
                write_text(text, at, mix);
                memcpy(text + at, mistakes[m].bytes, size);
                write_text(text + at + size, TEXT + 8 - at - size, mix);
                assert_int_equal(ln_utf8_scalar(LN_UTF8_ACCEPT, text, TEXT + 8), LN_UTF8_REJECT);
                check_long(text, TEXT + 8);
                check_long(text, at + size);
                check_long(text, at + 1);
            }
        }
    }
}

static void a_code_point_cut_short_before_any_other_is_found(void **state)
{
    (void)state;
    static const char *const begun[] = {"\xc3", "\xe2",     "\xe2\x82",
                                        "\xf0", "\xf0\x9f", "\xf0\x9f\x98"};
    static const char *const next[] = {"a", "\xc3\xa4", "\xe2\x82\xac", "\xf0\x9f\x98\x80"};
    uint8_t text[TEXT + 8];

    for (size_t i = 0; i < LN_ARRAY_SIZE(begun) * LN_ARRAY_SIZE(next); i++) {
        const char *const first = begun[i % LN_ARRAY_SIZE(begun)];
        const char *const second = next[i / LN_ARRAY_SIZE(begun)];
        for (size_t at = 0; at <= TEXT; at++) {
            memset(text, 'x', sizeof text);
            memcpy(text + at, first, strlen(first));
            memcpy(text + at + strlen(first), second, strlen(second));
            assert_int_equal(ln_utf8_scalar(LN_UTF8_ACCEPT, text, sizeof text), LN_UTF8_REJECT);
            for (size_t n = at + strlen(first); n < at + 8; n++) /* the second one cut, too */
                check_long(text, n);
            check_long(text, sizeof text);
        }
    }
}

static void a_text_may_be_cut_anywhere(void **state)
{
    (void)state;
    uint8_t text[TEXT];

    for (uint32_t mix = 2; mix <= 8; mix += 3) {
        write_text(text, TEXT, mix);
        check_splits(text, TEXT);
        text[TEXT / 2] = 0xff;
        check_splits(text, TEXT);
    }
}

static void a_rejected_text_stays_rejected(void **state)
{
    (void)state;
    uint8_t text[TEXT];
    write_text(text, TEXT, 4);
    for (unsigned v = 0; v < variant_count; v++) {
        assert_int_equal(variants[v](LN_UTF8_REJECT, text, TEXT), LN_UTF8_REJECT);
        assert_int_equal(variants[v](LN_UTF8_REJECT, text, 0), LN_UTF8_REJECT);
    }
}

static void an_unfinished_text_is_not_valid(void **state)
{
    (void)state;
    assert_true(ln_utf8_is_valid("", 0));
    assert_true(ln_utf8_is_valid(NULL, 0));
    assert_true(ln_utf8_is_valid("\xe2\x82\xac", 3));
    assert_false(ln_utf8_is_valid("\xe2\x82", 2));
    assert_false(ln_utf8_is_valid("0123456789abcdef0123456789abcdef\xf0\x9f\x98", 35));
}

static void there_is_a_variant_for_this_processor(void **state)
{
    (void)state;
    const char *name;
    ln_utf8_fn *fn;
    assert_true(variant_count >= 3);
    assert_string_equal(names[0], "scalar");
    assert_ptr_equal(variants[0], ln_utf8_scalar);
    assert_false(ln_utf8_variant(100, &name, &fn));
}

static void ascii_is_told_from_the_rest_at_any_length_and_place(void **state)
{
    (void)state;
    for (size_t n = 0; n <= 130; n++) {
        uint8_t *const text = malloc(n > 0 ? n : 1);
        assert_non_null(text);
        memset(text, 0x7f, n);
        assert_true(ln_utf8_is_ascii(text, n));
        for (size_t i = 0; i < n; i++) {
            text[i] = 0x80;
            assert_false(ln_utf8_is_ascii(text, n));
            text[i] = 0;
        }
        free(text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(there_is_a_variant_for_this_processor),
        cmocka_unit_test(the_reference_accepts_what_decodes),
        cmocka_unit_test(the_reference_rejects_at_the_first_wrong_byte),
        cmocka_unit_test(every_variant_agrees_on_all_short_sequences_and_splits),
        cmocka_unit_test(every_variant_agrees_on_the_borders_of_four_bytes),
        cmocka_unit_test(every_prefix_of_a_text_ends_in_the_right_state),
        cmocka_unit_test(one_mistake_anywhere_in_a_long_text_is_found),
        cmocka_unit_test(a_code_point_cut_short_before_any_other_is_found),
        cmocka_unit_test(a_text_may_be_cut_anywhere),
        cmocka_unit_test(a_rejected_text_stays_rejected),
        cmocka_unit_test(an_unfinished_text_is_not_valid),
        cmocka_unit_test(ascii_is_told_from_the_rest_at_any_length_and_place),
    };
    return cmocka_run_group_tests(tests, find_variants, NULL);
}
