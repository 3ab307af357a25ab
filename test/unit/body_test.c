/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "linear_time.h"
#include "proto/body.h"
#include "splits.h"

enum { MAX = 1000 };

static const ln_head_limits limits = {.bytes_max = 8192, .fields_max = LN_HEAD_FIELDS_MAX};

/* What a body is begun with. */
typedef struct setting {
    ln_head_role role;
    const ln_head *head;
    bool is_bodiless;
    uint64_t max;
} setting;

static void parse_head(ln_head_role role, const char *text, ln_head *head)
{
    ln_head_parser p;
    ln_head_init(&p, role, &limits, NULL);
    assert_int_equal(ln_head_feed(&p, (const uint8_t *)text, strlen(text)), strlen(text));
    assert_true(ln_head_next(&p, head));
    ln_head_fini(&p);
}

/* Says the payload, how it ended, and the number of bytes used. */
static void run(void *user, splits_feeder *feeder, splits_text *outcome)
{
    const setting *s = user;
    ln_body b;
    uint8_t *bytes;
    size_t n, used = 0;

    ln_body_init(&b, s->role, s->head, s->is_bodiless, s->max);
    while (splits_next(feeder, &bytes, &n)) {
        size_t at = 0, taken;
        ln_span piece;
        do {
            taken = ln_body_feed(&b, bytes + at, n - at);
            assert_true(taken <= n - at);
            at += taken;
            while (ln_body_next(&b, &piece)) {
                assert_true(piece.size > 0);
                splits_say_bytes(outcome, piece.data, piece.size);
            }
        } while (taken > 0);
        used += at;
        if (at < n)
            assert_true(ln_body_is_done(&b) || ln_body_fault(&b, NULL) != 0);
    }
    const char *text;
    const unsigned status = ln_body_fault(&b, &text);
    assert_false(status != 0 && ln_body_is_done(&b));
    if (status != 0)
        splits_say(outcome, "!%u %s", status, text);
    splits_say(outcome, " %s@%zu", ln_body_is_done(&b) ? "done" : status != 0 ? "" : "...", used);
}

static const char *body_of(ln_head_role role, const char *head_text, const char *text, uint64_t max)
{
    ln_head head;
    parse_head(role, head_text, &head);
    setting s = {.role = role, .head = &head, .max = max};
    return splits_run(run, &s, text, strlen(text));
}

#define POST    "POST / HTTP/1.1\r\nHost: a\r\n"
#define CHUNKED POST "Transfer-Encoding: chunked\r\n\r\n"

static const char *post(const char *fields, const char *text)
{
    char head[1024];
    snprintf(head, sizeof head, POST "%s\r\n", fields);
    return body_of(LN_HEAD_REQUEST, head, text, MAX);
}

static const char *chunked(const char *text)
{
    return body_of(LN_HEAD_REQUEST, CHUNKED, text, MAX);
}

static void a_request_without_either_field_has_no_body(void **state)
{
    (void)state;
    assert_string_equal(post("", "GET /"), " done@0");
}

static void a_length_is_counted_down(void **state)
{
    (void)state;
    assert_string_equal(post("Content-Length: 5\r\n", "hello, more"), "hello done@5");
    assert_string_equal(post("Content-Length: 5\r\n", "hell"), "hell ...@4");
    assert_string_equal(post("Content-Length: 0\r\n", "x"), " done@0");
    assert_string_equal(post("Content-Length: 005\r\n", "hello, more"), "hello done@5");
}

static void chunks_are_joined(void **state)
{
    (void)state;
    assert_string_equal(chunked("5\r\nhello\r\n1\r\n,\r\n0\r\n\r\nmore"), "hello, done@21");
    assert_string_equal(chunked("0\r\n\r\n"), " done@5");
    assert_string_equal(chunked("00\r\n\r\n"), " done@6");
    assert_string_equal(chunked("0000000000000005\r\nhello\r\n"), "hello ...@25");
    assert_string_equal(chunked("a\r\n\r\n23456\r\n0\r\nA\r\n"), "\r\n23456\r\n0 ...@18");
    assert_string_equal(post("Transfer-Encoding:  CHUNKED \r\n", "1\r\nx\r\n0\r\n\r\n"),
                        "x done@11");
}

/* The table of what has been used to make two servers see two different requests. */
static void ambiguous_framing_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *fields;
        unsigned status;
    } cases[] = {
        {"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", 400},
        {"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", 400},
        {"Transfer-Encoding: chunked\r\nContent-Length: 0\r\n", 400},
        {"Transfer-Encoding: identity\r\nContent-Length: 5\r\n", 400},
        {"Content-Length: 5\r\nContent-Length: 5\r\n", 400},
        {"Content-Length: 5\r\nContent-Length: 6\r\n", 400},
        {"Content-Length: 5\r\ncontent-length:\r\n", 400},
        {"Content-Length: +5\r\n", 400},
        {"Content-Length: -1\r\n", 400},
        {"Content-Length: 5, 5\r\n", 400},
        {"Content-Length: 5,\r\n", 400},
        {"Content-Length: 5 5\r\n", 400},
        {"Content-Length: 0x5\r\n", 400},
        {"Content-Length: 5.0\r\n", 400},
        {"Content-Length: 1e1\r\n", 400},
        {"Content-Length: \"5\"\r\n", 400},
        {"Content-Length: \xb2\r\n", 400},
        {"Content-Length:\r\n", 400},
        {"Content-Length: five\r\n", 400},
        {"Content-Length: 99999999999999999999999x\r\n", 400},
        {"Content-Length: 1001\r\n", 413},
        {"Content-Length: 18446744073709551615\r\n", 413},
        {"Content-Length: 18446744073709551621\r\n", 413}, /* 5 modulo 2^64 */
        {"Content-Length: 99999999999999999999999999999\r\n", 413},
        {"Transfer-Encoding:\r\n", 400},
        {"Transfer-Encoding: ,chunked,\r\n", 400},
        {"Transfer-Encoding: chunked,\r\n", 400},
        {"Transfer-Encoding: chunked, chunked\r\n", 400},
        {"Transfer-Encoding: chunked, identity\r\n", 400},
        {"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", 400},
        {"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n", 400},
        {"Transfer-Encoding: gzip\r\n", 400},
        {"Transfer-Encoding: identity\r\n", 400},
        {"Transfer-Encoding: xchunked\r\n", 400},
        {"Transfer-Encoding: chunkedx\r\n", 400},
        {"Transfer-Encoding: chunked;x=y\r\n", 400},
        {"Transfer-Encoding: \"chunked\"\r\n", 400},
        {"Transfer-Encoding: chunked chunked\r\n", 400},
        {"Transfer-Encoding: gzip, chunked\r\n", 501},
        {"Transfer-Encoding: , chunked\r\n", 501},
    };
    for (size_t i = 0; i < LN_ARRAY_SIZE(cases); i++) {
        const char *seen = post(cases[i].fields, "5\r\nhello\r\n0\r\n\r\n");
        char wanted[8];
        snprintf(wanted, sizeof wanted, "!%u ", cases[i].status);
        if (strncmp(seen, wanted, strlen(wanted)) != 0 || !strstr(seen, "@0"))
            fail_msg("%sgave %s", cases[i].fields, seen);
    }
    assert_string_equal(
        body_of(LN_HEAD_REQUEST, "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", "x", MAX),
        "!400 Transfer-Encoding in HTTP/1.0 @0");
}

#define NO_NUMBER "!400 a chunk size that is no number"
#define NO_SIZE   "!400 a chunk without a size"
#define NO_LF     "!400 a carriage return without a line feed"

static void malformed_chunks_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *outcome;
    } cases[] = {
        {"5;a\r\nhello\r\n", "!400 a chunk extension @2"},
        {"5;\nhello\r\n", "!400 a chunk extension @2"},
        {"0;x=y\r\n\r\n", "!400 a chunk extension @2"},
        {"5 \r\nhello\r\n", NO_NUMBER " @2"},
        {"5\t\r\nhello\r\n", NO_NUMBER " @2"},
        {"5\nhello\r\n", NO_NUMBER " @2"},
        {"0x5\r\nhello\r\n", NO_NUMBER " @2"},
        {"5g\r\nhello\r\n", NO_NUMBER " @2"},
        {" 5\r\nhello\r\n", NO_SIZE " @1"},
        {"+5\r\nhello\r\n", NO_SIZE " @1"},
        {"-1\r\nhello\r\n", NO_SIZE " @1"},
        {";\r\nhello\r\n", NO_SIZE " @1"},
        {"\r\nhello\r\n", NO_SIZE " @1"},
        {"\n5\r\nhello\r\n", NO_SIZE " @1"},
        {"g\r\n", NO_SIZE " @1"},
        {"00000000000000005\r\nhello\r\n", "!400 a chunk size of more than 16 digits @17"},
        {"fffffffffffffffff\r\n", "!400 a chunk size of more than 16 digits @17"},
        {"ffffffffffffffff\r\n", "!413 the body is too large @18"},
        {"3e9\r\n", "!413 the body is too large @5"},
        {"5\rhello\r\n", NO_LF " @3"},
        {"5\r\r\nhello\r\n", NO_LF " @3"},
        {"5\r\nhello\n", "hello!400 a chunk that is longer than its size @9"},
        {"5\r\nhelloo\r\n", "hello!400 a chunk that is longer than its size @9"},
        {"5\r\nhello\rx", "hello" NO_LF " @10"},
        {"5\r\nhello\r\n\r\n", "hello" NO_SIZE " @11"},
        {"0\r\nX: y\r\n\r\n", "!400 a trailer field @4"},
        {"0\r\n\n", "!400 a trailer field @4"},
        {"0\r\n\rx", NO_LF " @5"},
    };
    for (size_t i = 0; i < LN_ARRAY_SIZE(cases); i++) {
        const char *seen = chunked(cases[i].text);
        if (strcmp(seen, cases[i].outcome) != 0)
            fail_msg("%s\nwanted %s\n   got %s", cases[i].text, cases[i].outcome, seen);
    }
}

/* Every byte at every place of a chunked body: outside the payload only the hexadecimal digits may
 * vary. */
static void the_grammar_of_chunks_has_no_holes(void **state)
{
    (void)state;
    static const char text[] = "02\r\nab\r\n0\r\n\r\n";
    unsigned accepted = 0;
    ln_head head;
    parse_head(LN_HEAD_REQUEST, CHUNKED, &head);
    setting s = {.role = LN_HEAD_REQUEST, .head = &head, .max = MAX};

    for (size_t at = 0; at < sizeof text - 1; at++) {
        for (int c = 0; c < 256; c++) {
            uint8_t changed[sizeof text];
            memcpy(changed, text, sizeof text);
            changed[at] = (uint8_t)c;
            const char *seen = splits_run(run, &s, changed, sizeof text - 1);
            if (!strstr(seen, "done@13"))
                continue;
            accepted++;
            assert_true(c == text[at] || at == 4 || at == 5);
        }
    }
    assert_int_equal(accepted, 11 + 2 * 256);
}

static void the_size_is_bounded_from_both_sides(void **state)
{
    (void)state;
    assert_string_equal(body_of(LN_HEAD_REQUEST, POST "Content-Length: 4\r\n\r\n", "abcd", 4),
                        "abcd done@4");
    assert_string_equal(body_of(LN_HEAD_REQUEST, POST "Content-Length: 4\r\n\r\n", "abcd", 3),
                        "!413 the body is too large @0");
    assert_string_equal(body_of(LN_HEAD_REQUEST, CHUNKED, "2\r\nab\r\n2\r\ncd\r\n0\r\n\r\n", 4),
                        "abcd done@19");
    assert_string_equal(body_of(LN_HEAD_REQUEST, CHUNKED, "2\r\nab\r\n2\r\ncd\r\n0\r\n\r\n", 3),
                        "ab!413 the body is too large @10");
    assert_string_equal(body_of(LN_HEAD_RESPONSE, "HTTP/1.1 200 OK\r\n\r\n", "abcd", 4),
                        "abcd ...@4");
    assert_string_equal(body_of(LN_HEAD_RESPONSE, "HTTP/1.1 200 OK\r\n\r\n", "abcd", 3),
                        "abc!413 the body is too large @3");
    assert_string_equal(body_of(LN_HEAD_REQUEST, CHUNKED, "ffffffffffffffff\r\nab", UINT64_MAX),
                        "ab ...@20");
}

static void responses_may_have_none(void **state)
{
    (void)state;
    ln_head head;
    parse_head(LN_HEAD_RESPONSE, "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", &head);
    setting s = {.role = LN_HEAD_RESPONSE, .head = &head, .is_bodiless = true, .max = MAX};
    assert_string_equal(splits_run(run, &s, "HTTP/1.1", 8), " done@0");
    s.is_bodiless = false;
    assert_string_equal(splits_run(run, &s, "HTTP/1.1", 8), "HTTP/ done@5");
    parse_head(LN_HEAD_RESPONSE,
               "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", &head);
    assert_string_equal(splits_run(run, &s, "HTTP/1.1", 8),
                        "!400 both Content-Length and Transfer-Encoding @0");
}

/* After `text`, does the end of the stream complete the body? */
static bool ends_well(ln_head_role role, const char *head_text, const char *text)
{
    ln_head head;
    ln_body b;
    ln_span piece;
    parse_head(role, head_text, &head);
    ln_body_init(&b, role, &head, false, MAX);
    const size_t n = strlen(text);
    for (size_t at = 0; at < n;) {
        at += ln_body_feed(&b, (const uint8_t *)text + at, n - at);
        ln_body_next(&b, &piece);
    }
    ln_body_end(&b);
    assert_int_equal(ln_body_fault(&b, NULL), ln_body_is_done(&b) ? 0 : 400);
    const bool is_done = ln_body_is_done(&b);
    ln_body_end(&b);
    assert_int_equal(ln_body_is_done(&b), is_done);
    return is_done;
}

static void the_end_of_the_stream_completes_only_what_has_no_length(void **state)
{
    (void)state;
    assert_true(ends_well(LN_HEAD_RESPONSE, "HTTP/1.1 200 OK\r\n\r\n", "abc"));
    assert_true(ends_well(LN_HEAD_RESPONSE, "HTTP/1.1 200 OK\r\n\r\n", ""));
    assert_true(ends_well(LN_HEAD_REQUEST, POST "\r\n", ""));
    assert_true(ends_well(LN_HEAD_REQUEST, POST "Content-Length: 3\r\n\r\n", "abc"));
    assert_false(ends_well(LN_HEAD_REQUEST, POST "Content-Length: 3\r\n\r\n", "ab"));
    const char *text = "2\r\nab\r\n0\r\n\r\n";
    for (size_t n = 0; n <= strlen(text); n++) {
        char cut[16] = {0};
        memcpy(cut, text, n);
        assert_int_equal(ends_well(LN_HEAD_REQUEST, CHUNKED, cut), n == strlen(text));
    }
}

static void a_body_is_not_done_before_its_last_piece_is_taken(void **state)
{
    (void)state;
    ln_head head;
    ln_body b;
    ln_span piece;
    parse_head(LN_HEAD_REQUEST, POST "Content-Length: 3\r\n\r\n", &head);
    ln_body_init(&b, LN_HEAD_REQUEST, &head, false, MAX);
    assert_false(ln_body_next(&b, &piece));
    assert_int_equal(ln_body_feed(&b, (const uint8_t *)"ab", 2), 2);
    assert_int_equal(ln_body_feed(&b, (const uint8_t *)"cd", 2), 0); /* a piece is waiting */
    assert_true(ln_body_next(&b, &piece));
    assert_int_equal(ln_body_feed(&b, (const uint8_t *)"cd", 2), 1);
    assert_false(ln_body_is_done(&b));
    assert_true(ln_body_next(&b, &piece));
    assert_true(ln_text_equal(piece, LN_SPAN("c")));
    assert_true(ln_body_is_done(&b));
    assert_int_equal(ln_body_feed(&b, (const uint8_t *)"d", 1), 0);
}

static void feed_chunks(void *user, size_t n)
{
    ln_head head;
    ln_body b;
    ln_span piece;
    const char *chunk = user;
    parse_head(LN_HEAD_REQUEST, CHUNKED, &head);
    ln_body_init(&b, LN_HEAD_REQUEST, &head, false, UINT64_MAX);
    for (size_t i = 0; i < n; i += strlen(chunk)) {
        bool has_piece = false;
        for (const char *c = chunk; *c; c++) {
            assert_int_equal(ln_body_feed(&b, (const uint8_t *)c, 1), 1);
            has_piece |= ln_body_next(&b, &piece);
        }
        assert_true(has_piece);
    }
}

static void time_grows_with_the_size(void **state)
{
    (void)state;
    linear_time_assert(feed_chunks, "1\r\nx\r\n", 1 << 14);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_without_either_field_has_no_body),
        cmocka_unit_test(a_length_is_counted_down),
        cmocka_unit_test(chunks_are_joined),
        cmocka_unit_test(ambiguous_framing_is_refused),
        cmocka_unit_test(malformed_chunks_are_refused),
        cmocka_unit_test(the_grammar_of_chunks_has_no_holes),
        cmocka_unit_test(the_size_is_bounded_from_both_sides),
        cmocka_unit_test(responses_may_have_none),
        cmocka_unit_test(the_end_of_the_stream_completes_only_what_has_no_length),
        cmocka_unit_test(a_body_is_not_done_before_its_last_piece_is_taken),
        cmocka_unit_test(time_grows_with_the_size),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
