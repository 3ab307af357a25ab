/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "cli/benchmessage.h"

enum { MOST = 4096 };

static ln_benchmessage_kit kit_of(size_t size, uint64_t seed, bool is_text, bool is_timed)
{
    ln_benchmessage_kit kit;
    const ln_benchmessage_options o = {
        .size = size, .seed = seed, .is_text = is_text, .is_timed = is_timed};
    assert_int_equal(ln_benchmessage_init(&kit, &o), 0);
    return kit;
}

static enum ln_benchmessage_verdict judge(const ln_benchmessage_kit *kit, const uint8_t *bytes,
                                          size_t n)
{
    ln_benchmessage m;
    return ln_benchmessage_read(kit, (ln_span){bytes, n}, &m);
}

static void what_is_written_is_read(void **state)
{
    (void)state;
    static const size_t sizes[] = {16, 17, 20, 32, 128, 4096};
    const ln_benchmessage sent = {
        .sender = 999999, .number = (UINT64_C(1) << 42) - 1, .due_ns = (UINT64_C(1) << 48) - 1};
    for (size_t i = 0; i < LN_ARRAY_SIZE(sizes); i++) {
        for (int timed = 0; timed <= (sizes[i] >= LN_BENCHMESSAGE_TIMED_MIN_BYTES); timed++) {
            uint8_t bytes[MOST];
            ln_benchmessage found;
            ln_benchmessage_kit kit = kit_of(sizes[i], 3, false, timed);
            ln_benchmessage_write(&kit, &sent, bytes);
            assert_int_equal(ln_benchmessage_read(&kit, (ln_span){bytes, sizes[i]}, &found),
                             LN_BENCHMESSAGE_OURS);
            assert_int_equal(found.sender, sent.sender);
            assert_true(found.number == sent.number);
            assert_true(found.due_ns == (timed ? sent.due_ns : 0));
            ln_benchmessage_fini(&kit);
        }
    }
}

/* Each byte, changed to each other value, of messages with and without a time. */
static void any_byte_that_changes_is_noticed(void **state)
{
    (void)state;
    static const struct {
        size_t size;
        bool is_timed;
    } shapes[] = {{16, false}, {40, false}, {32, true}, {64, true}};
    for (size_t s = 0; s < LN_ARRAY_SIZE(shapes); s++) {
        uint8_t bytes[64];
        ln_benchmessage_kit kit = kit_of(shapes[s].size, 11, false, shapes[s].is_timed);
        const ln_benchmessage m = {.sender = 5, .number = 1234, .due_ns = 5555555};
        ln_benchmessage_write(&kit, &m, bytes);
        for (size_t i = 0; i < shapes[s].size; i++) {
            const uint8_t right = bytes[i];
            for (unsigned wrong = 0; wrong < 256; wrong++) {
                bytes[i] = (uint8_t)wrong;
                assert_int_equal(judge(&kit, bytes, shapes[s].size),
                                 wrong == right ? LN_BENCHMESSAGE_OURS : LN_BENCHMESSAGE_DAMAGED);
            }
            bytes[i] = right;
        }
        ln_benchmessage_fini(&kit);
    }
}

static void a_message_that_is_cut_is_damaged_and_anything_else_foreign(void **state)
{
    (void)state;
    uint8_t bytes[65];
    ln_benchmessage_kit kit = kit_of(64, 1, false, false);
    ln_benchmessage_write(&kit, &(ln_benchmessage){.number = 1}, bytes);
    bytes[64] = 'x';
    assert_int_equal(judge(&kit, bytes, 63), LN_BENCHMESSAGE_DAMAGED);
    assert_int_equal(judge(&kit, bytes, 65), LN_BENCHMESSAGE_DAMAGED);
    assert_int_equal(judge(&kit, bytes, 2), LN_BENCHMESSAGE_FOREIGN);
    assert_int_equal(judge(&kit, NULL, 0), LN_BENCHMESSAGE_FOREIGN);
    assert_int_equal(judge(&kit, (const uint8_t *)"welcome", 7), LN_BENCHMESSAGE_FOREIGN);
    ln_benchmessage_fini(&kit);
}

static void another_run_s_messages_are_not_ours(void **state)
{
    (void)state;
    uint8_t bytes[65];
    ln_benchmessage_kit old = kit_of(65, 1, false, false), kit = kit_of(64, 2, false, false);
    ln_benchmessage_write(&old, &(ln_benchmessage){.number = 1}, bytes);
    assert_int_equal(judge(&kit, bytes, 65), LN_BENCHMESSAGE_FOREIGN);
    assert_int_equal(judge(&kit, bytes, 64), LN_BENCHMESSAGE_DAMAGED); /* our size: not let pass */
    ln_benchmessage_fini(&old);
    ln_benchmessage_fini(&kit);
}

static void the_same_seed_makes_the_same_bytes(void **state)
{
    (void)state;
    uint8_t first[256], second[256], other[256];
    ln_benchmessage_kit a = kit_of(256, 9, true, false), b = kit_of(256, 9, true, false),
                        c = kit_of(256, 10, true, false);
    const ln_benchmessage m = {.sender = 1, .number = 2};
    ln_benchmessage_write(&a, &m, first);
    ln_benchmessage_write(&b, &m, second);
    ln_benchmessage_write(&c, &m, other);
    assert_memory_equal(first, second, 256);
    assert_memory_not_equal(first, other, 256);
    ln_benchmessage_write(&b, &(ln_benchmessage){.sender = 1, .number = 3}, second);
    assert_memory_not_equal(first + 16, second + 16, 240);
    ln_benchmessage_fini(&a);
    ln_benchmessage_fini(&b);
    ln_benchmessage_fini(&c);
}

static void text_is_printable(void **state)
{
    (void)state;
    uint8_t bytes[1024];
    ln_benchmessage_kit kit = kit_of(1024, 4, true, true);
    for (uint64_t n = 0; n < 1000; n++) {
        ln_benchmessage_write(&kit, &(ln_benchmessage){.number = n, .due_ns = n * n}, bytes);
        for (size_t i = 0; i < sizeof bytes; i++)
            assert_in_range(bytes[i], 0x20, 0x7E);
    }
    ln_benchmessage_fini(&kit);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_is_read),
        cmocka_unit_test(any_byte_that_changes_is_noticed),
        cmocka_unit_test(a_message_that_is_cut_is_damaged_and_anything_else_foreign),
        cmocka_unit_test(another_run_s_messages_are_not_ours),
        cmocka_unit_test(the_same_seed_makes_the_same_bytes),
        cmocka_unit_test(text_is_printable),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
