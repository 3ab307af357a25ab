/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "net/log.h"

/* What the hook saw. */
static struct {
    unsigned lines;
    enum ln_log_level level;
    char last[2 * LN_LOG_LINE_MAX];
    size_t size;
} seen;

static void remember(void *user, enum ln_log_level level, ln_span line)
{
    (void)user;
    seen.lines++;
    seen.level = level;
    seen.size = line.size;
    assert_true(line.size < sizeof seen.last);
    memcpy(seen.last, line.data, line.size);
    seen.last[line.size] = '\0';
}

static ln_log new_log(enum ln_log_level level)
{
    ln_log log;
    memset(&seen, 0, sizeof seen);
    ln_log_init(&log, remember, NULL, level);
    return log;
}

static const char *escaped(ln_span text)
{
    static char buffer[1024];
    const size_t n = ln_log_escape(text, buffer, sizeof buffer);
    assert_int_equal(n, strlen(buffer));
    return buffer;
}

static const char *line_of(ln_span value)
{
    ln_log log = new_log(LN_LOG_INFO);
    ln_log_say(&log, LN_LOG_INFO, 0, "event", ln_log_pair("key", value));
    return seen.last;
}

static void a_line_is_a_message_and_its_pairs(void **state)
{
    (void)state;
    ln_log log = new_log(LN_LOG_INFO);
    ln_log_say(&log, LN_LOG_WARN, 0, "upgrade refused", ln_log_pair("path", LN_SPAN("/ws")),
               ln_log_number("status", 403), ln_log_number("least", INT64_MIN));
    assert_string_equal(seen.last,
                        "upgrade refused path=/ws status=403 least=-9223372036854775808");
    assert_int_equal(seen.size, strlen(seen.last));
    assert_int_equal(seen.level, LN_LOG_WARN);

    ln_log_write(&log, LN_LOG_INFO, 0, "alone", NULL, 0);
    assert_string_equal(seen.last, "alone");
}

static void levels_beyond_the_chosen_one_are_silent(void **state)
{
    (void)state;
    for (enum ln_log_level chosen = LN_LOG_ERROR; chosen <= LN_LOG_DEBUG; chosen++) {
        ln_log log = new_log(chosen);
        for (enum ln_log_level level = LN_LOG_ERROR; level <= LN_LOG_DEBUG; level++)
            ln_log_write(&log, level, 0, "x", NULL, 0);
        assert_int_equal(seen.lines, chosen);
    }
    ln_log log = new_log(0);
    ln_log_write(&log, LN_LOG_INFO, 0, "x", NULL, 0);
    ln_log_write(&log, LN_LOG_DEBUG, 0, "x", NULL, 0);
    assert_int_equal(seen.lines, 1);
}

static void values_a_reader_could_misread_stand_in_quotes(void **state)
{
    (void)state;
    assert_string_equal(line_of(LN_SPAN("plain")), "event key=plain");
    assert_string_equal(line_of((ln_span){NULL, 0}), "event key=\"\"");
    assert_string_equal(line_of(LN_SPAN("two words")), "event key=\"two words\"");
    assert_string_equal(line_of(LN_SPAN("a=b")), "event key=\"a=b\"");
    assert_string_equal(line_of(LN_SPAN("say \"hi\"")), "event key=\"say \\\"hi\\\"\"");
    assert_string_equal(line_of(LN_SPAN("c:\\x")), "event key=\"c:\\\\x\"");
    assert_string_equal(line_of(LN_SPAN("a\nWARN forged=1")), "event key=\"a\\x0AWARN forged=1\"");
}

static void every_single_byte_is_harmless(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 256; i++) {
        const uint8_t byte = (uint8_t)i;
        char expected[8];
        if (i < 0x20 || i >= 0x7F)
            snprintf(expected, sizeof expected, "\\x%02X", i);
        else
            snprintf(expected, sizeof expected, "%s%c", i == '"' || i == '\\' ? "\\" : "", (int)i);
        assert_string_equal(escaped((ln_span){&byte, 1}), expected);
    }
}

static void deceptive_characters_are_named(void **state)
{
    (void)state;
    assert_string_equal(escaped(LN_SPAN("a\xE2\x80\xAE"
                                        "b")),
                        "a\\u{202E}b");
    assert_string_equal(escaped(LN_SPAN("\xE2\x80\xA8\xE2\x80\xA9")), "\\u{2028}\\u{2029}");
    assert_string_equal(escaped(LN_SPAN("\xC2\x80\xC2\x85\xC2\x9F")),
                        "\\u{0080}\\u{0085}\\u{009F}");
    assert_string_equal(escaped(LN_SPAN("\xE2\x80\xAA\xE2\x81\xA6\xE2\x81\xA9\xD8\x9C")),
                        "\\u{202A}\\u{2066}\\u{2069}\\u{061C}");
    assert_string_equal(escaped(LN_SPAN("\xE2\x80\x8E\xE2\x80\x8F\xEF\xBB\xBF")),
                        "\\u{200E}\\u{200F}\\u{FEFF}");
    assert_string_equal(escaped(LN_SPAN("\xC2\xAD\xE2\x80\x8B\xEF\xBF\xBB\xF3\xA0\x81\x81")),
                        "\\u{00AD}\\u{200B}\\u{FFFB}\\u{E0041}");
    /* Their neighbours, and what only looks alarming, stay as they are. */
    assert_string_equal(escaped(LN_SPAN("\xC2\xA0\xE2\x80\xA7\xE2\x80\xAF")),
                        "\xC2\xA0\xE2\x80\xA7\xE2\x80\xAF");
    assert_string_equal(escaped(LN_SPAN("Zo\xC3\xAB \xE2\x82\xAC \xF0\x9F\xA6\x86")),
                        "Zo\xC3\xAB \xE2\x82\xAC \xF0\x9F\xA6\x86");
}

static void bytes_that_are_no_utf8_are_shown_one_by_one(void **state)
{
    (void)state;
    assert_string_equal(escaped(LN_SPAN("\xC0\xAF")), "\\xC0\\xAF");          /* overlong */
    assert_string_equal(escaped(LN_SPAN("\xE0\x80\x8A")), "\\xE0\\x80\\x8A"); /* overlong newline */
    assert_string_equal(escaped(LN_SPAN("\xF0\x80\x80\x8A")), "\\xF0\\x80\\x80\\x8A");
    assert_string_equal(escaped(LN_SPAN("\xED\xA0\x80")), "\\xED\\xA0\\x80"); /* surrogate */
    assert_string_equal(escaped(LN_SPAN("\xF4\x90\x80\x80")),
                        "\\xF4\\x90\\x80\\x80"); /* above U+10FFFF */
    assert_string_equal(escaped(LN_SPAN("\xF8\x88\x80\x80\x80")), "\\xF8\\x88\\x80\\x80\\x80");
    assert_string_equal(escaped(LN_SPAN("\xE2\x80")), "\\xE2\\x80"); /* ends too early */
    assert_string_equal(escaped(LN_SPAN("\xE2\x28\xA1")), "\\xE2(\\xA1");
    assert_string_equal(escaped(LN_SPAN("\x80")), "\\x80");
}

/* Every code point: a line never holds a control character and is what ASCII readers and UTF-8
 * readers agree on. */
static void no_code_point_breaks_a_line(void **state)
{
    (void)state;
    for (uint32_t c = 0x80; c <= 0x10FFFF; c++) {
        const uint8_t two[] = {(uint8_t)(0xC0 | c >> 6), (uint8_t)(0x80 | (c & 0x3F))};
        const uint8_t three[] = {(uint8_t)(0xE0 | c >> 12), (uint8_t)(0x80 | (c >> 6 & 0x3F)),
                                 two[1]};
        const uint8_t four[] = {(uint8_t)(0xF0 | c >> 18), (uint8_t)(0x80 | (c >> 12 & 0x3F)),
                                three[1], two[1]};
        const ln_span text = c < 0x800     ? (ln_span){two, sizeof two}
                             : c < 0x10000 ? (ln_span){three, sizeof three}
                                           : (ln_span){four, sizeof four};
        const char *out = escaped(text);
        const bool is_same = strlen(out) == text.size && memcmp(out, text.data, text.size) == 0;
        const bool is_escape = out[0] == '\\' && (out[1] == 'x' || out[1] == 'u');
        assert_true(is_same != is_escape);
        if (c < 0xA0 || (c >= 0xD800 && c < 0xE000))
            assert_true(is_escape);
    }
}

static void cutting_never_splits_a_character(void **state)
{
    (void)state;
    const ln_span text = LN_SPAN("ab\xF0\x9F\xA6\x86\x01\xE2\x80\xAE"
                                 "cd");
    static const char whole[] = "ab\xF0\x9F\xA6\x86\\x01\\u{202E}cd";
    static const size_t ends[] = {0,  1,  2,  6,
                                  10, 18, 19, 20}; /* between the characters of `whole` */
    for (size_t size = 1; size <= sizeof whole + 2; size++) {
        char out[64];
        memset(out, '#', sizeof out);
        const size_t n = ln_log_escape(text, out, size);
        assert_true(n < size && out[n] == '\0' && out[size] == '#');
        if (size >= sizeof whole) {
            assert_string_equal(out, whole);
            continue;
        }
        size_t cut = 0;
        for (size_t i = 0; i < sizeof ends / sizeof *ends; i++)
            if (ends[i] + 3 < size)
                cut = ends[i];
        assert_memory_equal(out, whole, cut);
        assert_memory_equal(out + cut, "...", n - cut);
        assert_int_equal(n, size <= 3 ? size - 1 : cut + 3);
    }
    assert_int_equal(ln_log_escape(text, NULL, 0), 0);
}

static void a_long_value_is_cut_and_a_long_line_leaves_pairs_out(void **state)
{
    (void)state;
    static char text[100000];
    memset(text, 'v', sizeof text);
    line_of((ln_span){text, sizeof text});
    assert_int_equal(seen.size, strlen("event key=") + LN_LOG_VALUE_MAX);
    assert_string_equal(seen.last + seen.size - 5, "vv...");

    memset(text, '\x01', sizeof text);
    ln_log log = new_log(LN_LOG_INFO);
    ln_log_field fields[16];
    for (unsigned i = 0; i < 16; i++)
        fields[i] = ln_log_pair("k", (ln_span){text, sizeof text});
    ln_log_write(&log, LN_LOG_INFO, 0, "m", fields, 16);
    assert_true(seen.size <= LN_LOG_LINE_MAX);
    assert_string_equal(seen.last + seen.size - strlen("...\" ..."), "...\" ...");

    /* Every length up to the limit: never beyond it, and cut exactly when it has to be. */
    memset(text, 'v', sizeof text);
    for (size_t n = 0; n < LN_LOG_VALUE_MAX; n++) {
        for (unsigned i = 0; i < 4; i++)
            fields[i].text.size = i < 3 ? 250 : n;
        ln_log_write(&log, LN_LOG_INFO, 0, "m", fields, 4);
        assert_true(seen.size <= LN_LOG_LINE_MAX);
        const bool is_cut = strcmp(seen.last + seen.size - 4, " ...") == 0;
        assert_int_equal(is_cut, 1 + 3 * 253 + 3 + n + 2 + 4 > LN_LOG_LINE_MAX);
    }
}

static void a_flood_is_cut_to_a_hundred_lines_and_counted(void **state)
{
    (void)state;
    ln_log log = new_log(LN_LOG_INFO);
    for (unsigned i = 0; i < 1000000; i++)
        ln_log_write(&log, LN_LOG_ERROR, 7000 + i / 1000, "bad", NULL, 0);
    const unsigned passed = seen.lines;
    assert_true(passed >= 10 && passed <= LN_LOG_LINES_MAX);

    ln_log_write(&log, LN_LOG_INFO, 8500, "calm", NULL, 0);
    assert_int_equal(seen.lines, passed + 2);
    assert_string_equal(seen.last, "calm");
    ln_log_write(&log, LN_LOG_INFO, 9999, "calm", NULL, 0);
    assert_int_equal(seen.lines, passed + 3); /* reported once */
}

static void the_report_says_how_many_were_lost(void **state)
{
    (void)state;
    ln_log log = new_log(LN_LOG_INFO);
    for (unsigned i = 0; i < 1000; i++)
        ln_log_write(&log, LN_LOG_WARN, 1, "bad", NULL, 0);
    const unsigned passed = seen.lines;
    ln_log_fini(&log);
    char expected[64];
    snprintf(expected, sizeof expected, "log lines suppressed lines=%u", 1000 - passed);
    assert_string_equal(seen.last, expected);
    assert_int_equal(seen.level, LN_LOG_WARN);
    ln_log_fini(&log);
    assert_int_equal(seen.lines, passed + 1);
}

static void warnings_never_drown_errors(void **state)
{
    (void)state;
    ln_log log = new_log(LN_LOG_INFO);
    for (unsigned i = 0; i < 1000; i++)
        ln_log_write(&log, LN_LOG_WARN, 1, "a peer can do this", NULL, 0);
    const unsigned passed = seen.lines;
    ln_log_write(&log, LN_LOG_ERROR, 1, "disk full", NULL, 0);
    assert_int_equal(seen.lines, passed + 1);
    assert_string_equal(seen.last, "disk full");
}

/* Errors and warnings together, a minute long: no window of a second holds more than the limit. */
static void no_second_holds_more_lines_than_the_limit(void **state)
{
    (void)state;
    enum { MINUTE = 60000 };
    static unsigned at[MINUTE + 1];
    ln_log log = new_log(LN_LOG_INFO);
    for (uint64_t now = 0; now < MINUTE; now++) {
        for (unsigned i = 0; i < 5; i++) {
            ln_log_write(&log, LN_LOG_ERROR, now, "bad", NULL, 0);
            ln_log_write(&log, LN_LOG_WARN, now, "odd", NULL, 0);
        }
        at[now + 1] = seen.lines;
        if (now >= 999)
            assert_true(at[now + 1] - at[now - 999] <= LN_LOG_LINES_MAX);
    }
    assert_true(seen.lines > 60 * LN_LOG_LINES_MAX / 3); /* and the log is not silent either */
}

static void information_is_not_limited(void **state)
{
    (void)state;
    ln_log log = new_log(LN_LOG_DEBUG);
    for (unsigned i = 0; i < 5000; i++)
        ln_log_write(&log, i % 2 ? LN_LOG_INFO : LN_LOG_DEBUG, 1, "x", NULL, 0);
    assert_int_equal(seen.lines, 5000);
}

static void standard_error_gets_time_level_and_one_write(void **state)
{
    (void)state;
    int ends[2];
    assert_int_equal(pipe2(ends, O_DIRECT), 0); /* packet mode: a read returns exactly one write */
    const int saved = dup(STDERR_FILENO);
    dup2(ends[1], STDERR_FILENO);
    ln_log log;
    ln_log_init(&log, NULL, NULL, LN_LOG_INFO);
    ln_log_say(&log, LN_LOG_WARN, 0, "hello", ln_log_pair("a", LN_SPAN("b c")));
    ln_log_write(&log, LN_LOG_ERROR, 0, "bye", NULL, 0);
    dup2(saved, STDERR_FILENO);
    close(saved);

    char got[256];
    ssize_t n = read(ends[0], got, sizeof got - 1);
    got[n > 0 ? n : 0] = '\0';
    int year, month, day, hour, minute, second, ms, length = 0;
    assert_int_equal(sscanf(got, "%4d-%2d-%2dT%2d:%2d:%2d.%3dZ%n", &year, &month, &day, &hour,
                            &minute, &second, &ms, &length),
                     7);
    assert_int_equal(length, strlen("2026-11-21T03:04:05.123Z"));
    assert_string_equal(got + length, " WARN hello a=\"b c\"\n");

    n = read(ends[0], got, sizeof got - 1);
    got[n > 0 ? n : 0] = '\0';
    assert_string_equal(got + length, " ERROR bye\n");
    close(ends[0]);
    close(ends[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_line_is_a_message_and_its_pairs),
        cmocka_unit_test(levels_beyond_the_chosen_one_are_silent),
        cmocka_unit_test(values_a_reader_could_misread_stand_in_quotes),
        cmocka_unit_test(every_single_byte_is_harmless),
        cmocka_unit_test(deceptive_characters_are_named),
        cmocka_unit_test(bytes_that_are_no_utf8_are_shown_one_by_one),
        cmocka_unit_test(no_code_point_breaks_a_line),
        cmocka_unit_test(cutting_never_splits_a_character),
        cmocka_unit_test(a_long_value_is_cut_and_a_long_line_leaves_pairs_out),
        cmocka_unit_test(a_flood_is_cut_to_a_hundred_lines_and_counted),
        cmocka_unit_test(the_report_says_how_many_were_lost),
        cmocka_unit_test(warnings_never_drown_errors),
        cmocka_unit_test(no_second_holds_more_lines_than_the_limit),
        cmocka_unit_test(information_is_not_limited),
        cmocka_unit_test(standard_error_gets_time_level_and_one_write),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
