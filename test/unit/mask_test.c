/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "guarded.h"
#include "proto/mask.h"

enum { SIZE_MAX_TESTED = 300, ROOM = 512, MARGIN = 32 };

static uint8_t plain[ROOM];  /* what is masked */
static uint8_t wanted[ROOM]; /* what the reference made of it */

static uint32_t key_of(const char bytes[4])
{
    uint32_t key;
    memcpy(&key, bytes, sizeof key);
    return key;
}

static ln_mask_fn *reference(void)
{
    const char *name;
    ln_mask_fn *fn;
    assert_true(ln_mask_variant(0, &name, &fn));
    assert_string_equal(name, "scalar");
    return fn;
}

static void inline_one(uint8_t *to, const uint8_t *from, size_t n, uint32_t key, size_t offset)
{
    ln_mask_copy(to, from, n, key, offset);
}

/* Everything under test: the variants that this processor has, then ln_mask_copy() itself. */
static ln_mask_fn *variants[8];
static unsigned variant_count;

static int set_up(void **state)
{
    (void)state;
    const char *name;
    ln_mask_fn *fn;
    for (unsigned i = 0; ln_mask_variant(i, &name, &fn); i++)
        if (fn)
            variants[variant_count++] = fn;
    variants[variant_count++] = inline_one;
    for (size_t i = 0; i < ROOM; i++)
        plain[i] = (uint8_t)(i * 131 + (i >> 3));
    return 0;
}

static void the_reference_agrees_with_the_rfc(void **state)
{
    (void)state;
    /* RFC 6455 5.7: a single-frame masked text message with "Hello" */
    uint8_t out[5];
    reference()(out, (const uint8_t *)"Hello", sizeof out, key_of("\x37\xfa\x21\x3d"), 0);
    assert_memory_equal(out, "\x7f\x9f\x4d\x51\x58", sizeof out);
    reference()(out, (const uint8_t *)"llo", 3, key_of("\x37\xfa\x21\x3d"), 2);
    assert_memory_equal(out, "\x4d\x51\x58", 3);
}

/* One run between margins: the margins, and when copying the source, stay as they were. */
static void check_one(ln_mask_fn *fn, size_t n, size_t offset, size_t align, bool in_place)
{
    static uint8_t from[ROOM] __attribute__((aligned(64))), to[ROOM] __attribute__((aligned(64)));
    const uint32_t key = key_of("\x01\x9c\xe0\x7f");
    uint8_t *const source = from + MARGIN + align;
    uint8_t *const target = in_place ? source : to + MARGIN + (align * 7 + offset) % 16;
    uint8_t *const whole = in_place ? from : to;

    memset(to, 0xee, sizeof to);
    memset(from, 0xee, sizeof from);
    memcpy(source, plain, n);
    fn(target, source, n, key, offset);

    assert_memory_equal(target, wanted, n);
    for (uint8_t *p = whole; p < whole + ROOM; p++)
        if ((p < target || p >= target + n) && *p != 0xee)
            fail_msg("wrote outside: n %zu offset %zu align %zu", n, offset, align);
    if (!in_place)
        assert_memory_equal(source, plain, n);
}

static void check_all_places(ln_mask_fn *fn, size_t n, size_t offset)
{
    for (size_t align = 0; align < 16; align++) {
        check_one(fn, n, offset, align, true);
        check_one(fn, n, offset, align, false);
    }
}

static void every_variant_agrees_for_all_sizes_offsets_and_alignments(void **state)
{
    (void)state;
    for (size_t n = 0; n <= SIZE_MAX_TESTED; n++) {
        for (size_t offset = 0; offset < 8; offset++) {
            reference()(wanted, plain, n, key_of("\x01\x9c\xe0\x7f"), offset);
            for (unsigned v = 0; v < variant_count; v++)
                check_all_places(variants[v], n, offset);
        }
    }
}

static void no_variant_touches_a_byte_outside(void **state)
{
    (void)state;
    guarded from, to;
    guarded_init(&from, ROOM);
    guarded_init(&to, ROOM);
    memcpy(guarded_begin(&from), plain, ROOM);
    memcpy(guarded_end(&from, ROOM), plain, ROOM);

    for (unsigned v = 0; v < variant_count; v++) {
        for (size_t n = 0; n <= SIZE_MAX_TESTED; n++) {
            variants[v](guarded_end(&to, n), guarded_end(&from, n), n, 0x12345678, n);
            variants[v](guarded_begin(&to), guarded_begin(&from), n, 0x12345678, n);
            variants[v](guarded_end(&to, n), guarded_begin(&from), n, 0x12345678, n);
            variants[v](guarded_end(&to, n), guarded_end(&to, n), n, 0x12345678, n);
        }
    }
    guarded_fini(&from);
    guarded_fini(&to);
}

static void pieces_mask_as_the_whole_does(void **state)
{
    (void)state;
    const uint32_t key = key_of("\xa1\xb2\xc3\xd4");
    uint8_t out[ROOM];

    reference()(wanted, plain, ROOM, key, 0);
    for (unsigned v = 0; v < variant_count; v++) {
        for (size_t step = 1; step < ROOM; step++) {
            memcpy(out, plain, ROOM);
            for (size_t at = 0; at < ROOM; at += step)
                variants[v](out + at, out + at, ln_min_size(step, ROOM - at), key, at);
            assert_memory_equal(out, wanted, ROOM);
        }
    }
}

static void a_turned_key_begins_in_the_middle(void **state)
{
    (void)state;
    for (size_t offset = 0; offset < 9; offset++) {
        uint8_t a[64], b[64];
        reference()(a, plain, sizeof a, 0x0badcafe, offset);
        reference()(b, plain, sizeof b, ln_mask_turned(0x0badcafe, offset), 0);
        assert_memory_equal(a, b, sizeof a);
    }
}

static void the_last_supported_variant_is_the_one_in_use(void **state)
{
    (void)state;
    const char *name = NULL;
    ln_mask_fn *fn, *best = NULL;
    unsigned count = 0;

    while (ln_mask_variant(count, &name, &fn)) {
        assert_non_null(name);
        best = fn ? fn : best;
        count++;
    }
    assert_true(count >= 2);
    assert_ptr_equal(best, ln_mask_long);
    assert_false(ln_mask_variant(count + 100, &name, &fn));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_reference_agrees_with_the_rfc),
        cmocka_unit_test(every_variant_agrees_for_all_sizes_offsets_and_alignments),
        cmocka_unit_test(no_variant_touches_a_byte_outside),
        cmocka_unit_test(pieces_mask_as_the_whole_does),
        cmocka_unit_test(a_turned_key_begins_in_the_middle),
        cmocka_unit_test(the_last_supported_variant_is_the_one_in_use),
    };
    return cmocka_run_group_tests(tests, set_up, NULL);
}
