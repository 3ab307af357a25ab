/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "failing_alloc.h"
#include "linear_time.h"
#include "proto/head.h"
#include "splits.h"

static const ln_head_limits limits = {.bytes_max = 8192, .fields_max = LN_HEAD_FIELDS_MAX};

/* What a parser is made with. */
typedef struct setting {
    ln_head_role role;
    ln_head_limits limits;
} setting;

static void say_span(splits_text *t, const char *before, ln_span s)
{
    assert_non_null(s.data);
    splits_say(t, "%s", before);
    splits_say_bytes(t, s.data, s.size);
}

static void say_head(splits_text *t, ln_head_role role, const ln_head *head)
{
    if (role == LN_HEAD_REQUEST) {
        assert_null(head->reason.data);
        say_span(t, "", head->method);
        say_span(t, " ", head->target);
        splits_say(t, " 1.%u", head->minor);
    } else {
        assert_null(head->target.data);
        splits_say(t, "1.%u %u", head->minor, head->status);
        say_span(t, " ", head->reason);
    }
    for (unsigned i = 0; i < head->field_count; i++) {
        say_span(t, "|", head->fields[i].name);
        say_span(t, "=", head->fields[i].value);
    }
}

static void parse(void *user, splits_feeder *feeder, splits_text *outcome)
{
    const setting *s = user;
    ln_head_parser p;
    ln_head head;
    uint8_t *piece;
    size_t n, used = 0;
    bool is_done = false;

    ln_head_init(&p, s->role, &s->limits, NULL);
    while (splits_next(feeder, &piece, &n)) {
        const size_t taken = ln_head_feed(&p, piece, n);
        assert_true(taken <= n);
        used += taken;
        if (!is_done && ln_head_next(&p, &head)) {
            is_done = true;
            say_head(outcome, s->role, &head);
        }
        if (!is_done && ln_head_fault(&p, NULL) == 0)
            assert_int_equal(taken, n);
    }
    const char *text;
    const unsigned status = ln_head_fault(&p, &text);
    if (status != 0)
        splits_say(outcome, "!%u %s", status, text);
    else if (!is_done)
        splits_say(outcome, "...");
    splits_say(outcome, " @%zu", used);
    ln_head_fini(&p);
}

/* The outcome, the same in every way of feeding, without the number of bytes used. */
static const char *outcome_of(ln_head_role role, const void *bytes, size_t n)
{
    static char text[SPLITS_TEXT_MAX];
    setting s = {.role = role, .limits = limits};
    strcpy(text, splits_run(parse, &s, bytes, n));
    *strrchr(text, ' ') = '\0';
    return text;
}

static const char *request(const char *text)
{
    return outcome_of(LN_HEAD_REQUEST, text, strlen(text));
}

static const char *response(const char *text)
{
    return outcome_of(LN_HEAD_RESPONSE, text, strlen(text));
}

#define HOST                "Host: a\r\n"
#define REQUEST_WITH(lines) "GET / HTTP/1.1\r\n" HOST lines "\r\n"

static void a_request_is_taken_apart(void **state)
{
    (void)state;
    assert_string_equal(
        request("GET /chat?x=1 HTTP/1.1\r\nHost: example.com:8080\r\nX-Empty:\r\n"
                "x-blanks: \t a  b\t \r\nObs: \x80\xff\r\n\r\n"),
        "GET /chat?x=1 1.1|Host=example.com:8080|X-Empty=|x-blanks=a  b|Obs=\x80\xff");
    assert_string_equal(request("M-SEARCH / HTTP/1.0\r\n\r\n"), "M-SEARCH / 1.0");
    assert_string_equal(request("GET / HTTP/1.0\r\n" HOST "\r\n"), "GET / 1.0|Host=a");
}

static void a_response_is_taken_apart(void **state)
{
    (void)state;
    assert_string_equal(response("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n"),
                        "1.1 101 Switching Protocols|Upgrade=websocket");
    assert_string_equal(response("HTTP/1.0 999 \xe4\t!\r\n\r\n"), "1.0 999 \xe4\t!");
    assert_string_equal(response("HTTP/1.1 100 \r\n\r\n"), "1.1 100 ");
    assert_string_equal(response("HTTP/1.1 200\r\n\r\n"), "1.1 200 ");
}

static void all_four_forms_of_a_target_are_known(void **state)
{
    (void)state;
    assert_string_equal(request("GET http://a:80/x HTTP/1.1\r\n" HOST "\r\n"),
                        "GET http://a:80/x 1.1|Host=a");
    assert_string_equal(request("GET WSS://a?x HTTP/1.1\r\n" HOST "\r\n"),
                        "GET WSS://a?x 1.1|Host=a");
    assert_string_equal(request("CONNECT [::1]:443 HTTP/1.1\r\n" HOST "\r\n"),
                        "CONNECT [::1]:443 1.1|Host=a");
    assert_string_equal(request("OPTIONS * HTTP/1.1\r\n" HOST "\r\n"), "OPTIONS * 1.1|Host=a");
    assert_string_equal(request("GET //x HTTP/1.1\r\n" HOST "\r\n"), "GET //x 1.1|Host=a");
}

typedef struct bad {
    const char *text;
    const char *outcome;
} bad;

static void assert_all(const char *(*run)(const char *), const bad *cases, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const char *seen = run(cases[i].text);
        if (strcmp(seen, cases[i].outcome) != 0)
            fail_msg("%s\nwanted %s\n   got %s", cases[i].text, cases[i].outcome, seen);
    }
}

#define NO_METHOD  "!400 the request line does not begin with a method"
#define NO_TARGET  "!400 the request line has no valid target"
#define NO_VERSION "!400 the start line has no HTTP version"
#define MISFIT     "!400 the target does not fit the method"
#define NO_END     "!400 the request line does not end after the version"
#define VERSION    "!505 only HTTP/1.0 and HTTP/1.1 are spoken here"
#define BARE_LF    "!400 a line feed without a carriage return"

static void malformed_request_lines_are_refused(void **state)
{
    (void)state;
    static const bad cases[] = {
        {" GET / HTTP/1.1\r\n" HOST "\r\n", NO_METHOD},
        {"G(T / HTTP/1.1\r\n" HOST "\r\n", NO_METHOD},
        {"GET\t/ HTTP/1.1\r\n" HOST "\r\n", NO_METHOD},
        {"GET\r\n" HOST "\r\n", NO_METHOD},
        {"GET  / HTTP/1.1\r\n" HOST "\r\n", NO_TARGET},
        {"GET /\x7f HTTP/1.1\r\n" HOST "\r\n", NO_TARGET},
        {"GET /\xc3\xa4 HTTP/1.1\r\n" HOST "\r\n", NO_TARGET},
        {"GET /#x HTTP/1.1\r\n" HOST "\r\n", NO_TARGET},
        {"GET /\r\n" HOST "\r\n", NO_TARGET},
        {"GET / \r\n" HOST "\r\n", NO_VERSION},
        {"GET /  HTTP/1.1\r\n" HOST "\r\n", NO_VERSION},
        {"GET / http/1.1\r\n" HOST "\r\n", NO_VERSION},
        {"GET / HTTP/1.10\r\n" HOST "\r\n", NO_VERSION},
        {"GET / HTTP/11\r\n" HOST "\r\n", NO_VERSION},
        {"GET / HTTP/1,1\r\n" HOST "\r\n", NO_VERSION},
        {"GET / HTTP/x.1\r\n" HOST "\r\n", NO_VERSION},
        {"GET / HTTP/1.x\r\n" HOST "\r\n", NO_VERSION},
        {"GET / HTTP/+1.1\r\n" HOST "\r\n", NO_VERSION},
        {"GET / HTTP/1.2\r\n" HOST "\r\n", VERSION},
        {"GET / HTTP/0.9\r\n" HOST "\r\n", VERSION},
        {"GET / HTTP/2.0\r\n" HOST "\r\n", VERSION},
        {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", VERSION},
        {"GET / HTTP/1.1 \r\n" HOST "\r\n", NO_END},
        {"GET / HTTP/1.1\rx\r\n" HOST "\r\n", NO_END},
        {"GET / HTTP/1.1\n" HOST "\r\n", BARE_LF},
        {"\nGET / HTTP/1.1\r\n" HOST "\r\n", BARE_LF},
        {"\rGET / HTTP/1.1\r\n" HOST "\r\n", "!400 a carriage return without a line feed"},
        {"\r\n\rGET / HTTP/1.1\r\n" HOST "\r\n", "!400 a carriage return without a line feed"},
        {"GET * HTTP/1.1\r\n" HOST "\r\n", MISFIT},
        {"OPTIONS ** HTTP/1.1\r\n" HOST "\r\n", MISFIT},
        {"GET a:80 HTTP/1.1\r\n" HOST "\r\n", MISFIT},
        {"GET x/y HTTP/1.1\r\n" HOST "\r\n", MISFIT},
        {"GET ?x HTTP/1.1\r\n" HOST "\r\n", MISFIT},
        {"GET ftp://a/ HTTP/1.1\r\n" HOST "\r\n", MISFIT},
        {"GET http:///x HTTP/1.1\r\n" HOST "\r\n", MISFIT},
        {"GET http://u@a/ HTTP/1.1\r\n" HOST "\r\n", MISFIT},
        {"CONNECT /x HTTP/1.1\r\n" HOST "\r\n", MISFIT},
        {"CONNECT a HTTP/1.1\r\n" HOST "\r\n", MISFIT},
        {"CONNECT a:80/ HTTP/1.1\r\n" HOST "\r\n", MISFIT},
        {"CONNECT http://a:80 HTTP/1.1\r\n" HOST "\r\n", MISFIT},
    };
    assert_all(request, cases, LN_ARRAY_SIZE(cases));
}

static void malformed_status_lines_are_refused(void **state)
{
    (void)state;
    static const bad cases[] = {
        {"HTTP/1.1 \r\n\r\n", "!400 the status line has no status"},
        {"HTTP/1.1\r\n\r\n", "!400 the status line has no status"},
        {"HTTP/1.1  200 OK\r\n\r\n", "!400 the status line has no status"},
        {"HTTP/1.1 20 OK\r\n\r\n", "!400 the status line has no status"},
        {"HTTP/1.1 2000 OK\r\n\r\n", "!400 the status line has no status"},
        {"HTTP/1.1 099 OK\r\n\r\n", "!400 the status line has no status"},
        {"HTTP/1.1 +20 OK\r\n\r\n", "!400 the status line has no status"},
        {"HTTP/1.1 200x OK\r\n\r\n", "!400 the status is not three digits"},
        {"HTTP/1.1 200 O\001K\r\n\r\n", "!400 a control character in the reason"},
        {"HTTP/1.1 200 OK\rx\r\n\r\n", "!400 a control character in the reason"},
        {"HTTP/1.2 200 OK\r\n\r\n", VERSION},
        {"ICY 200 OK\r\n\r\n", NO_VERSION},
        {"\r\nHTTP/1.1 200 OK\r\n\r\n", NO_VERSION},
        {"HTTP/1.1 200 OK\n\n", BARE_LF},
    };
    assert_all(response, cases, LN_ARRAY_SIZE(cases));
}

#define BAD_NAME  "!400 a field's name is no token"
#define BAD_VALUE "!400 a control character in a field's value"

static void malformed_fields_are_refused(void **state)
{
    (void)state;
    static const bad cases[] = {
        {REQUEST_WITH("A : b\r\n"), "!400 a blank before a field's colon"},
        {REQUEST_WITH("A\t: b\r\n"), "!400 a blank before a field's colon"},
        {REQUEST_WITH("A b\r\n"), "!400 a blank before a field's colon"},
        {REQUEST_WITH("A: b\r\n c\r\n"), "!400 a folded line"},
        {REQUEST_WITH("A: b\r\n\t\r\n"), "!400 a folded line"},
        {"GET / HTTP/1.1\r\n " HOST "\r\n", "!400 a folded line"},
        {REQUEST_WITH(": b\r\n"), BAD_NAME},
        {REQUEST_WITH("A\r\n"), BAD_NAME},
        {REQUEST_WITH("A(b: c\r\n"), BAD_NAME},
        {REQUEST_WITH("A\x80: c\r\n"), BAD_NAME},
        {REQUEST_WITH("A\r: c\r\n"), BAD_NAME},
        {REQUEST_WITH("\rA: c\r\n"), BAD_NAME},
        {REQUEST_WITH("A: b\rc\r\n"), BAD_VALUE},
        {REQUEST_WITH("A: b\r\r\n"), BAD_VALUE},
        {REQUEST_WITH("A: b\001\r\n"), BAD_VALUE},
        {REQUEST_WITH("A: b\x7f\r\n"), BAD_VALUE},
        {REQUEST_WITH("A: b\n"), BARE_LF},
        {REQUEST_WITH("A: b\nC: d\r\n"), BARE_LF},
        {"GET / HTTP/1.1\r\n" HOST "\n", BARE_LF},
    };
    assert_all(request, cases, LN_ARRAY_SIZE(cases));

    static const char nul[] = "GET / HTTP/1.1\r\n" HOST "A: b\0c\r\n\r\n";
    assert_string_equal(outcome_of(LN_HEAD_REQUEST, nul, sizeof nul - 1), BAD_VALUE);
    static const char nul_name[] = "GET / HTTP/1.1\r\n" HOST "A\0: b\r\n\r\n";
    assert_string_equal(outcome_of(LN_HEAD_REQUEST, nul_name, sizeof nul_name - 1), BAD_NAME);
}

static void there_is_exactly_one_host_that_can_be_one(void **state)
{
    (void)state;
    static const bad cases[] = {
        {"GET / HTTP/1.1\r\n\r\n", "!400 the Host field is missing"},
        {"GET / HTTP/1.1\r\nX-Host: a\r\n\r\n", "!400 the Host field is missing"},
        {"GET / HTTP/1.1\r\nHost: a\r\nhost: a\r\n\r\n", "!400 more than one Host field"},
        {"GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n", "!400 more than one Host field"},
        {"GET / HTTP/1.1\r\nHost:\r\n\r\n", "!400 the Host field names no host"},
        {"GET / HTTP/1.0\r\nHost:\r\n\r\n", "!400 the Host field names no host"},
        {"GET / HTTP/1.1\r\nHost: a b\r\n\r\n", "!400 the Host field names no host"},
        {"GET / HTTP/1.1\r\nHost: a, b\r\n\r\n", "!400 the Host field names no host"},
        {"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", "!400 the Host field names no host"},
        {"GET / HTTP/1.1\r\nHost: u@a\r\n\r\n", "!400 the Host field names no host"},
        {"GET / HTTP/1.1\r\nHost: a:65536\r\n\r\n", "!400 the Host field names no host"},
    };
    assert_all(request, cases, LN_ARRAY_SIZE(cases));
    assert_string_equal(response("HTTP/1.1 200 OK\r\nHost: a b\r\nHost: c\r\n\r\n"),
                        "1.1 200 OK|Host=a b|Host=c");
}

static void two_blank_lines_may_come_first(void **state)
{
    (void)state;
    assert_string_equal(request("\r\n" REQUEST_WITH("")), "GET / 1.1|Host=a");
    assert_string_equal(request("\r\n\r\n" REQUEST_WITH("")), "GET / 1.1|Host=a");
    assert_string_equal(request("\r\n\r\n\r\n" REQUEST_WITH("")), NO_METHOD);
    assert_string_equal(request("\r\n\r\n"), "...");
}

static void whatever_is_cut_off_is_unfinished(void **state)
{
    (void)state;
    static const char text[] = REQUEST_WITH("A: b\r\n");
    for (size_t n = 1; n < sizeof text - 1; n++)
        assert_string_equal(outcome_of(LN_HEAD_REQUEST, text, n), "...");
}

static void what_follows_the_head_is_left_alone(void **state)
{
    (void)state;
    setting s = {.role = LN_HEAD_REQUEST, .limits = limits};
    const char text[] = "\r\n" REQUEST_WITH("") "\x81\x80more\r\n\r\n";
    char wanted[64];
    snprintf(wanted, sizeof wanted, "GET / 1.1|Host=a @%zu", strlen("\r\n" REQUEST_WITH("")));
    assert_string_equal(splits_run(parse, &s, text, sizeof text - 1), wanted);
}

/* Each character of a head, replaced by each of the 256: what is accepted has no character out of
 * place. */
static void no_character_out_of_place_is_accepted(void **state)
{
    (void)state;
    static const char text[] = "GET /x HTTP/1.1\r\nHost: a\r\nAb: c d\r\n\r\n";
    const size_t value_at = (size_t)(strstr(text, "c d") - text);
    unsigned accepted = 0;

    for (size_t at = 0; at < sizeof text - 1; at++) {
        for (int c = 0; c < 256; c++) {
            uint8_t changed[sizeof text];
            memcpy(changed, text, sizeof text);
            changed[at] = (uint8_t)c;
            const char *seen = outcome_of(LN_HEAD_REQUEST, changed, sizeof text - 1);
            if (seen[0] == '!' || strcmp(seen, "...") == 0)
                continue;
            accepted++;
            assert_null(strpbrk(seen, "\r\n\001\x7f"));
            if (c < 0x20 ||
                c > 0x7e) /* blanks around a value, and obs-text in one, are all there is */
                assert_true(c == '\t' || (c >= 0x80 && at >= value_at - 1) || c == text[at]);
        }
    }
    assert_true(accepted > sizeof text - 1);
}

static const char *limited(ln_head_role role, uint32_t bytes_max, uint32_t fields_max,
                           const char *text)
{
    setting s = {.role = role, .limits = {.bytes_max = bytes_max, .fields_max = fields_max}};
    return splits_run(parse, &s, text, strlen(text));
}

static void the_size_is_bounded(void **state)
{
    (void)state;
    static const char text[] = REQUEST_WITH("A: b\r\n");
    const uint32_t size = sizeof text - 1;
    char wanted[128];

    snprintf(wanted, sizeof wanted, "GET / 1.1|Host=a|A=b @%u", size);
    assert_string_equal(limited(LN_HEAD_REQUEST, size, 2, text), wanted);
    for (uint32_t max = 1; max < size; max++) {
        const bool has_line = max >= strlen("GET / HTTP/1.1\r\n");
        snprintf(wanted, sizeof wanted, "!%s @%u",
                 has_line ? "431 the header is too large" : "414 the request line is too long",
                 max);
        assert_string_equal(limited(LN_HEAD_REQUEST, max, 2, text), wanted);
    }
    assert_string_equal(limited(LN_HEAD_RESPONSE, 12, 2, "HTTP/1.1 200 OK\r\n\r\n"),
                        "!431 the header is too large @12");
    /* blank lines in front do not count */
    assert_memory_equal(limited(LN_HEAD_REQUEST, size, 2, "\r\n\r\n" REQUEST_WITH("A: b\r\n")),
                        "GET ", 4);
}

static void the_number_of_fields_is_bounded(void **state)
{
    (void)state;
    char text[4096];
    for (uint32_t max = 1; max <= LN_HEAD_FIELDS_MAX; max++) {
        for (uint32_t n = max; n <= max + 1; n++) {
            size_t at = (size_t)sprintf(text, "GET / HTTP/1.1\r\n");
            for (uint32_t i = 0; i < n; i++)
                at += (size_t)sprintf(text + at, "%s: a\r\n", i == 0 ? "Host" : "X");
            strcpy(text + at, "\r\n");
            const char *seen = limited(LN_HEAD_REQUEST, sizeof text, max, text);
            if (n > max)
                assert_memory_equal(seen, "!431 too many header fields", 27);
            else
                assert_memory_equal(seen, "GET / 1.1|Host=a", 16);
        }
    }
    assert_memory_equal(limited(LN_HEAD_REQUEST, 100, 0, REQUEST_WITH("")), "!431", 4);
}

static void a_head_in_one_piece_is_not_copied(void **state)
{
    (void)state;
    failing_alloc fa;
    failing_alloc_init(&fa, 0);
    static const char text[] = "\r\n" REQUEST_WITH("A: b\r\n") "rest";
    const uint8_t *bytes = (const uint8_t *)text;
    ln_head_parser p;
    ln_head head;

    ln_head_init(&p, LN_HEAD_REQUEST, &limits, &fa.hook);
    assert_int_equal(ln_head_feed(&p, bytes, sizeof text - 1), sizeof text - 1 - 4);
    assert_false(ln_head_is_partial(&p));
    assert_true(ln_head_next(&p, &head));
    assert_ptr_equal(head.method.data, bytes + 2);
    assert_int_equal(fa.calls, 0);
    ln_head_fini(&p);
}

static void one_head_comes_at_a_time(void **state)
{
    (void)state;
    static const char text[] = REQUEST_WITH("") "POST /2 HTTP/1.1\r\n" HOST "\r\n";
    const uint8_t *bytes = (const uint8_t *)text;
    const size_t first = strlen(REQUEST_WITH(""));
    ln_head_parser p;
    ln_head head;

    ln_head_init(&p, LN_HEAD_REQUEST, &limits, NULL);
    assert_false(ln_head_next(&p, &head));
    assert_int_equal(ln_head_feed(&p, bytes, 10), 10);
    assert_true(ln_head_is_partial(&p));
    assert_false(ln_head_next(&p, &head));
    assert_int_equal(ln_head_feed(&p, bytes + 10, sizeof text - 11), first - 10);
    assert_int_equal(ln_head_feed(&p, bytes + first, 1), 0);
    assert_false(ln_head_is_partial(&p)); /* kept, but finished */
    assert_true(ln_head_next(&p, &head));
    assert_false(ln_head_next(&p, &head));
    assert_int_equal(ln_head_feed(&p, bytes + first, 1), 0);
    ln_head_reset(&p);
    assert_false(ln_head_is_partial(&p));
    assert_int_equal(ln_head_feed(&p, bytes + first, sizeof text - 1 - first),
                     sizeof text - 1 - first);
    assert_true(ln_head_next(&p, &head));
    assert_true(ln_text_equal(head.target, LN_SPAN("/2")));
    ln_head_fini(&p);
}

static void nothing_is_no_part_of_a_head(void **state)
{
    (void)state;
    ln_head_parser p;
    for (int role = LN_HEAD_REQUEST; role <= LN_HEAD_RESPONSE; role++) {
        ln_head_init(&p, (ln_head_role)role, &limits, NULL);
        assert_false(ln_head_is_partial(&p));
        assert_int_equal(ln_head_feed(&p, (const uint8_t *)"", 0), 0);
        assert_false(ln_head_is_partial(&p));
        assert_int_equal(ln_head_feed(&p, (const uint8_t *)"H", 1), 1);
        assert_true(ln_head_is_partial(&p));
        ln_head_fini(&p);
    }
}

static void half_a_head_is_forgotten_by_reset(void **state)
{
    (void)state;
    ln_head_parser p;
    ln_head head;
    const char *text = REQUEST_WITH("");
    ln_head_init(&p, LN_HEAD_REQUEST, &limits, NULL);
    ln_head_feed(&p, (const uint8_t *)"\r\nPOST /x", 9);
    ln_head_reset(&p);
    assert_false(ln_head_is_partial(&p));
    assert_int_equal(ln_head_feed(&p, (const uint8_t *)text, strlen(text)), strlen(text));
    assert_true(ln_head_next(&p, &head));
    assert_true(ln_text_equal(head.method, LN_SPAN("GET")));
    ln_head_fini(&p);
}

static void a_fault_stays(void **state)
{
    (void)state;
    ln_head_parser p;
    ln_head head;
    const char *text, *again;
    const char *good = REQUEST_WITH("");
    ln_head_init(&p, LN_HEAD_REQUEST, &limits, NULL);
    assert_int_equal(ln_head_fault(&p, &text), 0);
    assert_null(text);
    ln_head_feed(&p, (const uint8_t *)"GET\n", 4);
    assert_int_equal(ln_head_fault(&p, &text), 400);
    assert_int_equal(ln_head_feed(&p, (const uint8_t *)good, strlen(good)), 0);
    assert_false(ln_head_next(&p, &head));
    ln_head_reset(&p);
    assert_int_equal(ln_head_feed(&p, (const uint8_t *)good, strlen(good)), 0);
    assert_int_equal(ln_head_fault(&p, &again), 400);
    assert_ptr_equal(text, again);
    ln_head_fini(&p);
}

static void parse_text(const char *text, ln_head *head)
{
    ln_head_parser p;
    ln_head_init(&p, LN_HEAD_RESPONSE, &limits, NULL);
    assert_int_equal(ln_head_feed(&p, (const uint8_t *)text, strlen(text)), strlen(text));
    assert_true(ln_head_next(&p, head));
    ln_head_fini(&p); /* `text` was one piece, so the spans live on */
}

static void fields_are_found_by_name_in_any_case(void **state)
{
    (void)state;
    ln_head head;
    unsigned count;
    parse_text("HTTP/1.1 200 OK\r\nA: 1\r\nAB: 2\r\na: 3\r\nE:\r\n\r\n", &head);

    assert_true(ln_text_equal(ln_head_find(&head, "a", &count), LN_SPAN("1")));
    assert_int_equal(count, 2);
    assert_true(ln_text_equal(ln_head_find(&head, "ab", &count), LN_SPAN("2")));
    assert_int_equal(count, 1);
    assert_null(ln_head_find(&head, "B", &count).data);
    assert_int_equal(count, 0);
    assert_non_null(ln_head_find(&head, "E", NULL).data);
    assert_int_equal(ln_head_find(&head, "E", NULL).size, 0);
}

static void tokens_are_found_in_lists_and_in_several_fields(void **state)
{
    (void)state;
    ln_head head;
    parse_text("HTTP/1.1 200 OK\r\nC: keep-alive, Upgrade\r\nc:,x ,\r\nD: upgrade\r\nE:\r\n\r\n",
               &head);

    assert_true(ln_head_has_token(&head, "C", "upgrade"));
    assert_true(ln_head_has_token(&head, "c", "KEEP-ALIVE"));
    assert_true(ln_head_has_token(&head, "C", "x"));
    assert_false(ln_head_has_token(&head, "C", "grade"));
    assert_false(ln_head_has_token(&head, "C", "keep-alive, Upgrade"));
    assert_false(ln_head_has_token(&head, "E", "upgrade"));
    assert_false(ln_head_has_token(&head, "F", "upgrade"));

    parse_text("HTTP/1.1 200 OK\r\nA: b\r\n\r\n", &head); /* what was there before is gone */
    assert_false(ln_head_has_token(&head, "C", "x"));
    assert_false(ln_head_has_token(&head, "D", "upgrade"));
    assert_null(ln_head_find(&head, "D", NULL).data);
}

static void a_bearers_token_is_told_from_other_credentials(void **state)
{
    (void)state;
    static const struct {
        const char *value, *token; /* NULL: of another scheme */
    } cases[] = {
        {"Bearer a.b.c", "a.b.c"},
        {"bEARER  x\t", "x"},
        {"Bearer", ""},
        {"Bearer ", ""},
        {"Bearers x", NULL},
        {"Bearer\tx", NULL},
        {"Basic Bearer", NULL},
        {"Beare", NULL},
        {"", NULL},
        {NULL, NULL},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const ln_span token = ln_head_bearer(ln_text(cases[i].value));
        assert_int_equal(token.data != NULL, cases[i].token != NULL);
        assert_true(ln_text_equal(token, ln_text(cases[i].token)));
    }
}

static int life_in_pieces(const ln_allocator *alloc, void *user)
{
    const char *text = user;
    ln_head_parser p;
    ln_head head;
    ln_head_init(&p, LN_HEAD_REQUEST, &limits, alloc);
    for (size_t i = 0; text[i]; i++)
        ln_head_feed(&p, (const uint8_t *)text + i, 1);
    const bool is_done = ln_head_next(&p, &head);
    const unsigned fault = ln_head_fault(&p, NULL);
    assert_int_equal(fault, is_done ? 0 : 503);
    if (is_done)
        assert_int_equal(head.field_count, 2);
    ln_head_fini(&p);
    return is_done ? 0 : LN_ERR_NOMEM;
}

static void out_of_memory_is_a_fault(void **state)
{
    (void)state;
    static char text[2048];
    const int prefix = sprintf(text, "GET / HTTP/1.1\r\n" HOST "A: ");
    memset(text + prefix, 'x', 1000);
    strcpy(text + prefix + 1000, "\r\n\r\n");
    assert_true(failing_alloc_sweep(life_in_pieces, text) >= 4);
}

/* A head of n bytes, byte by byte, and its fields looked up. */
static void feed_slowly(void *user, size_t n)
{
    const char *line = user;
    char *text = malloc(n + 256);
    const ln_head_limits wide = {.bytes_max = UINT32_MAX, .fields_max = LN_HEAD_FIELDS_MAX};
    ln_head_parser p;
    ln_head head;

    assert_non_null(text);
    size_t at = (size_t)sprintf(text, "GET / HTTP/1.1\r\n" HOST "A:");
    for (const size_t size = strlen(line); at < n; at += size)
        memcpy(text + at, line, size);
    at += (size_t)sprintf(text + at, "\r\n\r\n");

    ln_head_init(&p, LN_HEAD_REQUEST, &wide, NULL);
    for (size_t i = 0; i < at; i++)
        ln_head_feed(&p, (const uint8_t *)text + i, 1);
    if (ln_head_next(&p, &head))
        assert_false(ln_head_has_token(&head, "A", "none"));
    ln_head_fini(&p);
    free(text);
}

static void time_grows_with_the_size(void **state)
{
    (void)state;
    linear_time_assert(feed_slowly, "x", 4096);
    linear_time_assert(feed_slowly, " ", 4096);
    linear_time_assert(feed_slowly, ",", 4096);
    linear_time_assert(feed_slowly, "\r\nA: b", 4096); /* too many fields */
    linear_time_assert(feed_slowly, "\r", 4096);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_is_taken_apart),
        cmocka_unit_test(a_response_is_taken_apart),
        cmocka_unit_test(all_four_forms_of_a_target_are_known),
        cmocka_unit_test(malformed_request_lines_are_refused),
        cmocka_unit_test(malformed_status_lines_are_refused),
        cmocka_unit_test(malformed_fields_are_refused),
        cmocka_unit_test(there_is_exactly_one_host_that_can_be_one),
        cmocka_unit_test(two_blank_lines_may_come_first),
        cmocka_unit_test(whatever_is_cut_off_is_unfinished),
        cmocka_unit_test(what_follows_the_head_is_left_alone),
        cmocka_unit_test(no_character_out_of_place_is_accepted),
        cmocka_unit_test(the_size_is_bounded),
        cmocka_unit_test(the_number_of_fields_is_bounded),
        cmocka_unit_test(a_head_in_one_piece_is_not_copied),
        cmocka_unit_test(one_head_comes_at_a_time),
        cmocka_unit_test(nothing_is_no_part_of_a_head),
        cmocka_unit_test(half_a_head_is_forgotten_by_reset),
        cmocka_unit_test(a_fault_stays),
        cmocka_unit_test(fields_are_found_by_name_in_any_case),
        cmocka_unit_test(tokens_are_found_in_lists_and_in_several_fields),
        cmocka_unit_test(a_bearers_token_is_told_from_other_credentials),
        cmocka_unit_test(out_of_memory_is_a_fault),
        cmocka_unit_test(time_grows_with_the_size),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
