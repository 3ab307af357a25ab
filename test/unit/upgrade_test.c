/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <openssl/crypto.h>

#include "failing_alloc.h"
#include "guard_page.h"
#include "linear_time.h"
#include "proto/upgrade.h"

enum { LIMIT = 65536 };

static const ln_head_limits limits = {.bytes_max = 1 << 20, .fields_max = LN_HEAD_FIELDS_MAX};

#define KEY    "dGhlIHNhbXBsZSBub25jZQ==" /* RFC 6455 1.3 */
#define ACCEPT "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="

static void parse(ln_head_role role, ln_span text, ln_head *head)
{
    ln_head_parser p;
    ln_head_init(&p, role, &limits, NULL);
    assert_int_equal(ln_head_feed(&p, text.data, text.size), text.size);
    const char *why = "unfinished";
    if (!ln_head_next(&p, head)) {
        ln_head_fault(&p, &why);
        fail_msg("%s: %.*s", why, (int)text.size, (const char *)text.data);
    }
    ln_head_fini(&p);
}

/* A head with these lines, against a guard page; alive for a few calls. */
static const ln_head *head_of(ln_head_role role, const char *text)
{
    static ln_head head;
    parse(role, guard_page_text(text), &head);
    return &head;
}

/* The fields of a good request, for leaving out, changing and doubling. */
static const char *const good_fields[] = {
    "Host: example.com",         "Upgrade: websocket",        "Connection: Upgrade",
    ("Sec-WebSocket-Key: " KEY), "Sec-WebSocket-Version: 13",
};
enum { GOOD_FIELDS = LN_ARRAY_SIZE(good_fields) };

static unsigned status_of(const char *text)
{
    ln_upgrade_verdict v;
    ln_upgrade_check_request(head_of(LN_HEAD_REQUEST, text), &v);
    assert_int_equal(v.status == 101, v.reason == NULL);
    assert_int_equal(v.status == 101, v.key.size == LN_UPGRADE_KEY_BYTES);
    return v.status;
}

enum { TEXT_SIZE = 2048 };

/* A request line, the good fields, of which number `changed` (or none: -1) is replaced, and more
 * lines. */
static void write_with(char text[TEXT_SIZE], const char *line, int changed, const char *replacement,
                       const char *more)
{
    size_t n = (size_t)snprintf(text, TEXT_SIZE, "%s\r\n", line);
    for (int i = 0; i < GOOD_FIELDS; i++) {
        const char *field = i == changed ? replacement : good_fields[i];
        if (field)
            n += (size_t)snprintf(text + n, TEXT_SIZE - n, "%s\r\n", field);
    }
    snprintf(text + n, TEXT_SIZE - n, "%s\r\n", more);
}

static unsigned status_with(const char *line, int changed, const char *replacement,
                            const char *more)
{
    char text[TEXT_SIZE];
    write_with(text, line, changed, replacement, more);
    return status_of(text);
}

#define GET "GET /chat HTTP/1.1"

static ln_upgrade_fault fault_with(const char *line, int changed, const char *replacement)
{
    char text[TEXT_SIZE];
    ln_upgrade_verdict v;

    write_with(text, line, changed, replacement, "");
    ln_upgrade_check_request(head_of(LN_HEAD_REQUEST, text), &v);
    assert_int_not_equal(v.status, 101);
    return v.fault;
}

static void a_refusal_says_what_is_wrong(void **state)
{
    (void)state;
    assert_int_equal(fault_with("PUT /chat HTTP/1.1", -1, NULL), LN_UPGRADE_BAD_METHOD);
    assert_int_equal(fault_with("GET /chat HTTP/1.0", -1, NULL), LN_UPGRADE_BAD_FORM);
    assert_int_equal(fault_with(GET, 1, NULL), LN_UPGRADE_BAD_FORM);
    assert_int_equal(fault_with(GET, 2, NULL), LN_UPGRADE_BAD_FORM);
    assert_int_equal(fault_with(GET, 3, NULL), LN_UPGRADE_NO_KEY);
    assert_int_equal(fault_with(GET, 3, "Sec-WebSocket-Key: "), LN_UPGRADE_NO_KEY);
    assert_int_equal(fault_with(GET, 3, "Sec-WebSocket-Key: x"), LN_UPGRADE_BAD_KEY);
    assert_int_equal(fault_with(GET, 4, NULL), LN_UPGRADE_BAD_VERSION);
    assert_int_equal(fault_with(GET, 4, "Sec-WebSocket-Version: 8"), LN_UPGRADE_BAD_VERSION);
}

static void the_key_of_the_rfc_is_accepted(void **state)
{
    (void)state;
    char accept[LN_UPGRADE_ACCEPT_BYTES];
    assert_int_equal(ln_upgrade_accept_key(guard_page_text(KEY), accept), 0);
    assert_memory_equal(accept, ACCEPT, LN_UPGRADE_ACCEPT_BYTES);
}

static void keys_are_24_characters_of_exact_base64(void **state)
{
    (void)state;
    assert_true(ln_upgrade_is_key(guard_page_text(KEY)));
    assert_true(ln_upgrade_is_key(guard_page_text("AAAAAAAAAAAAAAAAAAAAAA==")));
    assert_true(ln_upgrade_is_key(guard_page_text("+/+/+/+/+/+/+/+/+/+/+w==")));
    for (size_t n = 0; n <= 64; n++) {
        char text[65];
        memset(text, 'A', sizeof text);
        if (n >= 2)
            text[n - 1] = text[n - 2] = '=';
        assert_int_equal(ln_upgrade_is_key(guard_page_bytes(text, n)), n == 24);
        memset(text, 'A', sizeof text);
        assert_false(ln_upgrade_is_key(guard_page_bytes(text, n)));
    }
}

static bool is_base64(int c)
{
    return c != 0 && c < 128 &&
           strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/", c);
}

static void every_byte_at_every_place_of_a_key_is_judged(void **state)
{
    (void)state;
    unsigned accepted = 0;
    for (size_t at = 0; at < LN_UPGRADE_KEY_BYTES; at++) {
        for (int c = 0; c < 256; c++) {
            char text[] = KEY;
            text[at] = (char)c;
            const bool is_key = ln_upgrade_is_key(guard_page_bytes(text, LN_UPGRADE_KEY_BYTES));
            /* the 22nd character carries two bits; the other four would be stray */
            const bool wanted = at > 21    ? c == '='
                                : at == 21 ? c && c < 128 && strchr("AQgw", c)
                                           : is_base64(c);
            assert_int_equal(is_key, wanted);
            accepted += is_key;
        }
    }
    assert_int_equal(accepted, 21 * 64 + 4 + 2);
}

static void a_key_is_made_of_all_its_random_bytes(void **state)
{
    (void)state;
    uint8_t random[16];
    char key[LN_UPGRADE_KEY_BYTES], other[LN_UPGRADE_KEY_BYTES];
    memcpy(random, "the sample nonce", sizeof random);
    ln_upgrade_make_key(random, key);
    assert_memory_equal(key, KEY, sizeof key);
    for (size_t i = 0; i < 8 * sizeof random; i++) {
        random[i / 8] ^= (uint8_t)(1 << i % 8);
        ln_upgrade_make_key(random, other);
        assert_memory_not_equal(key, other, sizeof key);
        random[i / 8] ^= (uint8_t)(1 << i % 8);
    }
}

static void a_good_request_is_upgraded(void **state)
{
    (void)state;
    assert_int_equal(status_with(GET, -1, NULL, ""), 101);
    assert_int_equal(status_with(GET, 1, "upgrade: h2c, WebSocket", ""), 101);
    assert_int_equal(status_with(GET, 2, "connection: keep-alive, upgrade", ""), 101);
    assert_int_equal(status_with(GET, -1, NULL, "Connection: keep-alive\r\n"), 101);
    assert_int_equal(status_with(GET, 2, "Connection: keep-alive\r\nConnection: Upgrade", ""), 101);
    assert_int_equal(status_with(GET, -1, NULL, "Content-Length: 0\r\n"), 101);
    assert_int_equal(status_with("GET http://example.com/chat HTTP/1.1", -1, NULL, ""), 101);
    assert_true(ln_upgrade_is_wanted(
        head_of(LN_HEAD_REQUEST, GET "\r\nHost: a\r\nUpgrade: WEBSOCKET\r\n\r\n")));
}

static void only_get_with_upgrade_is_wanted(void **state)
{
    (void)state;
    assert_false(ln_upgrade_is_wanted(head_of(LN_HEAD_REQUEST, GET "\r\nHost: a\r\n\r\n")));
    assert_false(
        ln_upgrade_is_wanted(head_of(LN_HEAD_REQUEST, GET "\r\nHost: a\r\nUpgrade: h2c\r\n\r\n")));
    assert_false(ln_upgrade_is_wanted(
        head_of(LN_HEAD_REQUEST, "get / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n\r\n")));
    assert_false(ln_upgrade_is_wanted(
        head_of(LN_HEAD_REQUEST, "POST / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n\r\n")));
}

static void every_mandatory_field_is_needed_once(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        unsigned missing, empty, wrong, twice;
    } rows[] = {
        {"Host:", 0, 0, 101, 0}, /* 0: the head parser has refused it already */
        {"Upgrade:", 426, 426, 426, 400},
        {"Connection:", 426, 426, 426, 101}, /* a list: twice is one list */
        {"Sec-WebSocket-Key:", 400, 400, 400, 400},
        {"Sec-WebSocket-Version:", 426, 426, 426, 400},
    };
    for (int i = 0; i < GOOD_FIELDS; i++) {
        char wrong[128], twice[256];
        snprintf(wrong, sizeof wrong, "%s x", rows[i].name);
        if (rows[i].missing) {
            assert_int_equal(status_with(GET, i, NULL, ""), rows[i].missing);
            assert_int_equal(status_with(GET, i, rows[i].name, ""), rows[i].empty);
            snprintf(twice, sizeof twice, "%s\r\n", good_fields[i]);
            assert_int_equal(status_with(GET, -1, NULL, twice), rows[i].twice);
            snprintf(twice, sizeof twice, "%s x\r\n", rows[i].name);
            assert_int_equal(status_with(GET, -1, NULL, twice), rows[i].twice);
        }
        assert_int_equal(status_with(GET, i, wrong, ""), rows[i].wrong);
    }
}

/* 0 to all fields there, at every limit: nobody relies on a field that the limit has cut off. */
static void a_mandatory_field_is_found_at_every_place(void **state)
{
    (void)state;
    for (int fields = GOOD_FIELDS; fields <= LN_HEAD_FIELDS_MAX; fields++) {
        for (int shift = 0; shift + GOOD_FIELDS <= fields; shift += 7) {
            char text[4096] = GET "\r\n";
            for (int i = 0; i < fields; i++) {
                const bool is_good = i >= shift && i < shift + GOOD_FIELDS;
                strcat(strcat(text, is_good ? good_fields[i - shift] : "X: y"), "\r\n");
            }
            assert_int_equal(status_of(strcat(text, "\r\n")), 101);
        }
    }
}

static void checks_come_in_order(void **state)
{
    (void)state;
    /* each is wrong in all that follows, too */
    assert_int_equal(status_of("POST / HTTP/1.0\r\nContent-Length: 5\r\n\r\n"), 405);
    assert_int_equal(status_of("GET / HTTP/1.0\r\nContent-Length: 5\r\n\r\n"), 400);
    assert_int_equal(status_of("GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n"), 426);
    assert_int_equal(
        status_of("GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nContent-Length: 5\r\n\r\n"),
        426);
    assert_int_equal(
        status_of("GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: upgrade\r\n"
                  "Content-Length: 5\r\n\r\n"),
        400);
    assert_int_equal(
        status_of("GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n"),
        426);
    assert_int_equal(status_with("GET / HTTP/1.0", -1, NULL, ""), 400);
    assert_int_equal(status_with("HEAD / HTTP/1.1", -1, NULL, ""), 405);
}

static void a_head_without_host_is_refused_here_too(void **state)
{
    (void)state;
    ln_upgrade_verdict v;
    ln_head head = *head_of(LN_HEAD_REQUEST, GET "\r\nHost: a\r\nUpgrade: websocket\r\n\r\n");
    head.fields[0].name = LN_SPAN("X");
    ln_upgrade_check_request(&head, &v);
    assert_int_equal(v.status, 400);
    head.fields[0].name = head.fields[1].name = LN_SPAN("Host");
    ln_upgrade_check_request(&head, &v);
    assert_int_equal(v.status, 400);
}

static void an_upgrade_has_no_body(void **state)
{
    (void)state;
    assert_int_equal(status_with(GET, -1, NULL, "Content-Length: 1\r\n"), 400);
    assert_int_equal(status_with(GET, -1, NULL, "Content-Length: x\r\n"), 400);
    assert_int_equal(status_with(GET, -1, NULL, "Content-Length:\r\n"), 400);
    assert_int_equal(status_with(GET, -1, NULL, "Content-Length: +0\r\n"), 400);
    assert_int_equal(status_with(GET, -1, NULL, "Content-Length: 0\r\nContent-Length: 0\r\n"), 400);
    assert_int_equal(status_with(GET, -1, NULL, "Content-Length: 18446744073709551616\r\n"), 400);
    assert_int_equal(status_with(GET, -1, NULL, "Transfer-Encoding: chunked\r\n"), 400);
    assert_int_equal(status_with(GET, -1, NULL, "Transfer-Encoding:\r\n"), 400);
}

static void only_version_13_is_spoken(void **state)
{
    (void)state;
    static const char *const values[] = {"0",   "8",   "12",     "14",  "013", "13, 8",
                                         "13,", "+13", "\"13\"", "1 3", "113", "130"};
    for (size_t i = 0; i < LN_ARRAY_SIZE(values); i++) {
        char field[64];
        snprintf(field, sizeof field, "Sec-WebSocket-Version: %s", values[i]);
        assert_int_equal(status_with(GET, 4, field, ""), 426);
    }
}

/* Subprotocols */

static const char *chosen(const char *fields, const char *ours, bool *is_malformed)
{
    static char name[256];
    char text[4096];
    snprintf(text, sizeof text, GET "\r\nHost: a\r\n%s\r\n", fields);
    const ln_span own = guard_page_text(ours);
    const ln_span s =
        ln_upgrade_choose_subprotocol(head_of(LN_HEAD_REQUEST, text), own, is_malformed);
    if (s.size > 0) {
        assert_true((const char *)s.data >= (const char *)own.data);
        assert_true((const char *)s.data + s.size <= (const char *)own.data + own.size);
    }
    snprintf(name, sizeof name, "%.*s", (int)s.size, s.size > 0 ? (const char *)s.data : "");
    return name;
}

#define PROTOCOL "Sec-WebSocket-Protocol: "

static void the_first_of_ours_that_is_offered_is_chosen(void **state)
{
    (void)state;
    bool bad = true;
    assert_string_equal(chosen(PROTOCOL "a, b\r\n", "b, a", &bad), "b");
    assert_false(bad);
    assert_string_equal(chosen(PROTOCOL "a, b\r\n", "c,b", NULL), "b");
    assert_string_equal(chosen(PROTOCOL "a\r\nsec-websocket-protocol: b\r\n", "b", NULL), "b");
    assert_string_equal(chosen(PROTOCOL "a,b\r\n", "c", NULL), "");
    assert_string_equal(chosen(PROTOCOL "A\r\n", "a", NULL), "");
    assert_string_equal(chosen(PROTOCOL "ab\r\n", "a", NULL), "");
    assert_string_equal(chosen(PROTOCOL "a\r\n", "ab", NULL), "");
    assert_string_equal(chosen(PROTOCOL "a\r\n", "", &bad), "");
    assert_false(bad);
    assert_string_equal(chosen("", "a", &bad), "");
    assert_false(bad);
    const ln_head *head = head_of(LN_HEAD_REQUEST, GET "\r\nHost: a\r\n" PROTOCOL "a\r\n\r\n");
    assert_int_equal(ln_upgrade_choose_subprotocol(head, (ln_span){NULL, 0}, NULL).size, 0);
}

static void malformed_offers_choose_nothing(void **state)
{
    (void)state;
    static const char *const fields[] = {
        PROTOCOL "a, a\r\n",
        PROTOCOL "a\r\n" PROTOCOL "a\r\n",
        PROTOCOL "a, b c\r\n",
        PROTOCOL "a,\r\n",
        PROTOCOL ",a\r\n",
        PROTOCOL "a,,b\r\n",
        PROTOCOL "\r\n",
        PROTOCOL "a, (b)\r\n",
        PROTOCOL "a\r\n" PROTOCOL "\r\n",
        PROTOCOL "a, \"b\"\r\n",
        PROTOCOL "a;b\r\n",
        PROTOCOL "a, \xc3\xa4\r\n",
    };
    for (size_t i = 0; i < LN_ARRAY_SIZE(fields); i++) {
        bool bad = false;
        assert_string_equal(chosen(fields[i], "a", &bad), "");
        if (!bad)
            fail_msg("%s", fields[i]);
    }
}

static void the_number_of_names_is_bounded(void **state)
{
    (void)state;
    for (int n = LN_UPGRADE_SUBPROTOCOLS_MAX; n <= LN_UPGRADE_SUBPROTOCOLS_MAX + 1; n++) {
        char field[1024] = PROTOCOL "p0";
        for (int i = 1; i < n; i++)
            sprintf(field + strlen(field), ", p%d", i);
        bool bad;
        const char *name = chosen(strcat(field, "\r\n"), "p31", &bad);
        assert_int_equal(bad, n > LN_UPGRADE_SUBPROTOCOLS_MAX);
        assert_string_equal(name, bad ? "" : "p31");
    }
}

/* Origins */

static bool is_allowed(const char *host, const char *origins, const char *allowed, bool is_secure)
{
    char text[1024];
    snprintf(text, sizeof text, GET "\r\nHost: %s\r\n%s\r\n", host, origins);
    const ln_head *head = head_of(LN_HEAD_REQUEST, text);
    return ln_upgrade_is_origin_allowed(head, guard_page_text(allowed), is_secure);
}

typedef struct origin_row {
    const char *origin;
    bool same_plain;  /* Host example.com, not secure, nothing configured */
    bool same_secure; /* the same over TLS */
    bool listed;      /* https://example.com, http://a.b:81 configured */
} origin_row;

static const origin_row origin_rows[] = {
    {"http://example.com", true, false, false},
    {"https://example.com", false, true, true},
    {"http://example.com:80", true, false, false},
    {"https://example.com:443", false, true, true},
    {"http://example.com:443", false, false, false},
    {"https://example.com:80", false, false, false},
    {"http://example.com:8080", false, false, false},
    {"HTTPS://EXAMPLE.COM", false, true, true},
    {"https://example.com.", false, false, false},
    {"https://example.com/", false, false, false},
    {"https://example.com/path", false, false, false},
    {"https://example.com?x", false, false, false},
    {"https://evilexample.com", false, false, false},
    {"https://example.com.evil", false, false, false},
    {"https://example.comevil", false, false, false},
    {"https://sub.example.com", false, false, false},
    {"https://example.com@evil.com", false, false, false},
    {"https://evil.com@example.com", false, false, false},
    {"https://user:pass@example.com", false, false, false},
    {"https://[::1]", false, false, false},
    {"https://ex\xc3\xa4mple.com", false, false, false},
    {"https://example\xe3\x80\x82"
     "com",
     false, false, false},
    {"https://xn--exmple-cua.com", false, false, false},
    {"https://example.com https://example.com", false, false, false},
    {"https://example.com,https://example.com", false, false, false},
    {"wss://example.com", false, false, false},
    {"//example.com", false, false, false},
    {"example.com", false, false, false},
    {"null", false, false, false},
    {"", false, false, false},
    {"*", false, false, false},
    {"file://", false, false, false},
    {"http://a.b:81", false, false, true},
    {"http://a.b", false, false, false},
    {"http://A.B:81", false, false, true},
    {"https://a.b:81", false, false, false},
};

static void origins_are_judged_as_the_table_has_it(void **state)
{
    (void)state;
    for (size_t i = 0; i < LN_ARRAY_SIZE(origin_rows); i++) {
        const origin_row *r = &origin_rows[i];
        char field[256];
        snprintf(field, sizeof field, "Origin: %s\r\n", r->origin);
        const bool plain = is_allowed("example.com", field, "", false);
        const bool secure = is_allowed("example.com", field, "", true);
        const bool listed = is_allowed("x", field, "https://example.com, http://a.b:81", false);
        if (plain != r->same_plain || secure != r->same_secure || listed != r->listed)
            fail_msg("%s: %d %d %d", r->origin, plain, secure, listed);
        assert_true(is_allowed("x", field, "*", false));
        assert_true(is_allowed("x", field, "http://c, *", true));
        /* two are none, whatever they are */
        snprintf(field, sizeof field, "Origin: %s\r\nOrigin: %s\r\n", r->origin, r->origin);
        assert_false(is_allowed("example.com", field, "", false));
        assert_false(is_allowed("example.com", field, "", true));
        assert_false(is_allowed("example.com", field, "*", true));
    }
}

static void no_origin_is_no_browser(void **state)
{
    (void)state;
    assert_true(is_allowed("example.com", "", "", false));
    assert_true(is_allowed("example.com", "", "https://other", false));
    assert_true(is_allowed("example.com", "Sec-Origin: https://evil\r\n", "", false));
}

static void the_host_decides_what_the_same_origin_is(void **state)
{
    (void)state;
    assert_true(is_allowed("example.com:8080", "Origin: http://example.com:8080\r\n", "", false));
    assert_false(is_allowed("example.com:8080", "Origin: http://example.com\r\n", "", false));
    assert_false(is_allowed("example.com", "Origin: http://example.com:8080\r\n", "", false));
    assert_true(is_allowed("EXAMPLE.com:443", "Origin: https://example.com\r\n", "", true));
    assert_true(is_allowed("[::1]:8080", "Origin: http://[::1]:8080\r\n", "", false));
    assert_false(is_allowed("example.com.", "Origin: http://example.com\r\n", "", false));
    assert_true(is_allowed("example.com", "Origin: http://example.com\r\n", " \t", false));

    /* RFC 9112 3.2.2: an absolute target's authority takes the place of Host */
    const ln_head *head =
        head_of(LN_HEAD_REQUEST, "GET http://a/x HTTP/1.1\r\nHost: b\r\nOrigin: http://a\r\n\r\n");
    assert_true(ln_upgrade_is_origin_allowed(head, (ln_span){NULL, 0}, false));
    head =
        head_of(LN_HEAD_REQUEST, "GET http://a/x HTTP/1.1\r\nHost: b\r\nOrigin: http://b\r\n\r\n");
    assert_false(ln_upgrade_is_origin_allowed(head, (ln_span){NULL, 0}, false));
}

static void malformed_entries_of_the_list_match_nothing(void **state)
{
    (void)state;
    assert_false(is_allowed("x", "Origin: null\r\n", "null", false));
    assert_false(is_allowed("x", "Origin: https://a/\r\n", "https://a/", false));
    assert_false(
        is_allowed("x", "Origin: https://a\r\n", "a,https://a/,https://*,,https://", false));
    assert_false(is_allowed("a", "Origin: https://a\r\n", ",",
                            true)); /* configured, if badly: not the same origin */
}

/* Writing */

static ln_upgrade_offer good_offer(void)
{
    return (ln_upgrade_offer){
        .host = LN_SPAN("example.com:81"),
        .target = LN_SPAN("/chat?x"),
        .key = LN_SPAN(KEY),
        .origin = LN_SPAN("http://example.com"),
        .subprotocols = LN_SPAN("a, b"),
        .extensions = LN_SPAN("permessage-deflate"),
    };
}

static void assert_written(ln_buf *out, const char *text)
{
    assert_int_equal(out->size, strlen(text));
    assert_memory_equal(out->data, text, out->size);
    out->size = 0;
}

static void a_response_is_written(void **state)
{
    (void)state;
    ln_buf out;
    ln_buf_init(&out, NULL);
    const ln_span none = {NULL, 0};
    const ln_field extra[] = {{LN_SPAN("X-Sec-WebSocket-Accept"), LN_SPAN("a=b")},
                              {LN_SPAN("X"), none}};

    assert_int_equal(ln_upgrade_write_response(&out, LN_SPAN(KEY), none, none, NULL, 0, LIMIT), 0);
    assert_written(
        &out, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
              "Sec-WebSocket-Accept: " ACCEPT "\r\n\r\n");
    assert_int_equal(ln_upgrade_write_response(&out, LN_SPAN(KEY), LN_SPAN("chat"),
                                               LN_SPAN("permessage-deflate"), extra, 2, LIMIT),
                     0);
    assert_written(
        &out, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
              "Sec-WebSocket-Accept: " ACCEPT "\r\nSec-WebSocket-Protocol: chat\r\n"
              "Sec-WebSocket-Extensions: permessage-deflate\r\nX-Sec-WebSocket-Accept: a=b\r\nX: "
              "\r\n\r\n");
    ln_buf_fini(&out);
}

static void a_request_is_written(void **state)
{
    (void)state;
    ln_buf out;
    ln_buf_init(&out, NULL);
    ln_upgrade_offer offer = good_offer();
    assert_int_equal(ln_upgrade_write_request(&out, &offer, LIMIT), 0);
    assert_written(&out, "GET /chat?x HTTP/1.1\r\nHost: example.com:81\r\nUpgrade: websocket\r\n"
                         "Connection: Upgrade\r\nSec-WebSocket-Key: " KEY
                         "\r\nSec-WebSocket-Version: 13\r\n"
                         "Origin: http://example.com\r\nSec-WebSocket-Protocol: a, b\r\n"
                         "Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n");
    offer =
        (ln_upgrade_offer){.host = LN_SPAN("[::1]"), .target = LN_SPAN("?x"), .key = LN_SPAN(KEY)};
    assert_int_equal(ln_upgrade_write_request(&out, &offer, LIMIT), 0);
    assert_written(
        &out, "GET /?x HTTP/1.1\r\nHost: [::1]\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
              "Sec-WebSocket-Key: " KEY "\r\nSec-WebSocket-Version: 13\r\n\r\n");
    ln_buf_fini(&out);
}

static void reserved_fields_are_refused(void **state)
{
    (void)state;
    static const char *const names[] = {
        "Host",
        "CONNECTION",
        "upgrade",
        "Sec-WebSocket-Accept",
        "sec-websocket-x",
        "Content-Length",
        "transfer-encoding",
        "",
        "a b",
        "a:",
        "Sec-WebSocket-",
    };
    ln_buf out;
    ln_buf_init(&out, NULL);
    assert_int_equal(ln_head_write_status(&out, 100, LIMIT), 0);
    const size_t before = out.size;
    for (size_t i = 0; i < LN_ARRAY_SIZE(names); i++) {
        const ln_field extra = {ln_text(names[i]), LN_SPAN("x")};
        ln_upgrade_offer offer = good_offer();
        offer.extra = &extra;
        offer.extra_count = 1;
        const ln_span none = {NULL, 0};
        assert_int_equal(ln_upgrade_write_request(&out, &offer, LIMIT), LN_ERR_INVALID);
        assert_int_equal(ln_upgrade_write_response(&out, offer.key, none, none, &extra, 1, LIMIT),
                         LN_ERR_INVALID);
        assert_int_equal(out.size, before);
    }
    ln_buf_fini(&out);
}

static unsigned field_count_of(const ln_buf *out, ln_head_role role)
{
    ln_head head;
    parse(role, (ln_span){out->data, out->size}, &head);
    return head.field_count;
}

/* All 256 bytes in every part that comes from outside: the number of fields never changes. */
static void no_byte_breaks_out_of_its_line(void **state)
{
    (void)state;
    ln_buf out;
    ln_buf_init(&out, NULL);
    unsigned written = 0;
    for (int c = 0; c < 256; c++) {
        const char bytes[] = {'/', (char)c, 'x'};
        const ln_span odd = {bytes + 1, 2}, odd_target = {bytes, 3};
        const ln_field extra = {LN_SPAN("X-Extra"), odd};
        ln_upgrade_offer offers[7];
        for (size_t i = 0; i < LN_ARRAY_SIZE(offers); i++)
            offers[i] = good_offer();
        offers[0].host = odd;
        offers[1].target = odd_target;
        offers[2].origin = odd;
        offers[3].subprotocols = odd;
        offers[4].extensions = odd;
        offers[5].extra = &extra;
        offers[5].extra_count = 1;
        offers[6].key = odd;
        for (size_t i = 0; i < LN_ARRAY_SIZE(offers); i++) {
            out.size = 0;
            const int rc = ln_upgrade_write_request(&out, &offers[i], LIMIT);
            assert_true(rc == 0 || (rc == LN_ERR_INVALID && out.size == 0));
            if (rc == 0)
                assert_int_equal(field_count_of(&out, LN_HEAD_REQUEST), i == 5 ? 9 : 8);
            written += rc == 0;
            if (c < 0x20 && c != '\t')
                assert_int_equal(rc, LN_ERR_INVALID);
        }
        for (int i = 0; i < 2; i++) {
            out.size = 0;
            const ln_span none = {NULL, 0};
            const int rc = ln_upgrade_write_response(&out, LN_SPAN(KEY), i == 0 ? odd : none,
                                                     i == 1 ? odd : none, NULL, 0, LIMIT);
            assert_true(rc == 0 || (rc == LN_ERR_INVALID && out.size == 0));
            if (rc == 0)
                assert_int_equal(field_count_of(&out, LN_HEAD_RESPONSE), 4);
        }
    }
    assert_true(written > 256);
    ln_buf_fini(&out);
}

static void offers_that_no_server_takes_are_refused(void **state)
{
    (void)state;
    ln_buf out;
    ln_buf_init(&out, NULL);
    ln_upgrade_offer offers[8];
    for (size_t i = 0; i < LN_ARRAY_SIZE(offers); i++)
        offers[i] = good_offer();
    offers[0].target = LN_SPAN("");
    offers[1].target = LN_SPAN("chat");
    offers[2].target = LN_SPAN("http://a/");
    offers[3].key = LN_SPAN("AAAAAAAAAAAAAAAAAAAAAB==");
    offers[4].host = LN_SPAN("a/b");
    offers[5].subprotocols = LN_SPAN("a, a");
    offers[6].subprotocols = LN_SPAN("a,");
    offers[7].subprotocols = LN_SPAN("a b");
    for (size_t i = 0; i < LN_ARRAY_SIZE(offers); i++)
        assert_int_equal(ln_upgrade_write_request(&out, &offers[i], LIMIT), LN_ERR_INVALID);
    const ln_span none = {NULL, 0};
    assert_int_equal(ln_upgrade_write_response(&out, LN_SPAN("x"), none, none, NULL, 0, LIMIT),
                     LN_ERR_INVALID);
    assert_int_equal(
        ln_upgrade_write_response(&out, LN_SPAN(KEY), LN_SPAN("a b"), none, NULL, 0, LIMIT),
        LN_ERR_INVALID);
    assert_null(out.data);
    ln_buf_fini(&out);
}

/* Both sides' writers, with `before` bytes already in the buffer, into exactly `limit` bytes. */
static int write_both(const ln_allocator *alloc, size_t limit, size_t sizes[2])
{
    ln_buf out;
    const ln_upgrade_offer offer = good_offer();
    ln_buf_init(&out, alloc);
    int rc = ln_upgrade_write_request(&out, &offer, limit);
    sizes[0] = out.size;
    assert_true(rc == 0 || out.size == 0);
    if (rc == 0) {
        rc = ln_upgrade_write_response(&out, offer.key, LN_SPAN("a"), offer.extensions, NULL, 0,
                                       limit + out.size);
        sizes[1] = out.size - sizes[0];
        assert_true(rc == 0 || sizes[1] == 0);
    }
    ln_buf_fini(&out);
    return rc;
}

static void a_head_is_written_whole_or_not_at_all(void **state)
{
    (void)state;
    size_t full[2], cut[2];
    assert_int_equal(write_both(NULL, LIMIT, full), 0);
    const size_t larger = full[0] > full[1] ? full[0] : full[1];
    for (size_t limit = 0; limit < larger; limit++)
        assert_int_equal(write_both(NULL, limit, cut), LN_ERR_TOO_BIG);
    assert_int_equal(write_both(NULL, larger, cut), 0);
}

static int write_life(const ln_allocator *alloc, void *user)
{
    (void)user;
    size_t sizes[2];
    return write_both(alloc, LIMIT, sizes);
}

static void out_of_memory_writes_nothing(void **state)
{
    (void)state;
    assert_true(failing_alloc_sweep(write_life, NULL) >= 3);
}

/* A response */

static const char *const good_answer[] = {
    "HTTP/1.1 101 Switching Protocols",
    "Upgrade: websocket",
    "Connection: Upgrade",
    ("Sec-WebSocket-Accept: " ACCEPT),
};

static int answer_with(const ln_pmd_params *pmd, int changed, const char *replacement,
                       const char *more, ln_upgrade_result *result)
{
    const ln_upgrade_offer offer = good_offer();
    char text[2048] = "";
    for (int i = 0; i < (int)LN_ARRAY_SIZE(good_answer); i++) {
        const char *line = i == changed ? replacement : good_answer[i];
        if (line)
            strcat(strcat(text, line), "\r\n");
    }
    strcat(strcat(text, more), "\r\n");
    ln_upgrade_check_response(head_of(LN_HEAD_RESPONSE, text), &offer, pmd, result);
    assert_int_equal(result->rc == 0, result->reason == NULL);
    if (result->rc != 0)
        assert_true(!result->has_deflate && result->subprotocol.size == 0);
    return result->rc;
}

static const ln_pmd_params pmd_wish = {.server_max_window_bits = 15, .client_max_window_bits = 15};

static void a_good_response_opens(void **state)
{
    (void)state;
    ln_upgrade_result r;
    assert_int_equal(answer_with(NULL, -1, NULL, "", &r), 0);
    assert_int_equal(r.status, 101);
    assert_int_equal(r.subprotocol.size, 0);
    assert_false(r.has_deflate);
    assert_int_equal(answer_with(&pmd_wish, -1, NULL, "Sec-WebSocket-Protocol: b\r\n", &r), 0);
    assert_true(ln_text_equal(r.subprotocol, LN_SPAN("b")));
    assert_false(r.has_deflate);
    assert_int_equal(
        answer_with(&pmd_wish, -1, NULL, "Sec-WebSocket-Extensions: permessage-deflate\r\n", &r),
        0);
    assert_true(r.has_deflate);
    assert_int_equal(r.deflate.server_max_window_bits, 15);
    assert_int_equal(answer_with(NULL, 1, "UPGRADE: WebSocket", "", &r), 0);
    assert_int_equal(answer_with(NULL, 2, "Connection: x, UPGRADE", "", &r), 0);
    assert_int_equal(answer_with(NULL, 0, "HTTP/1.1 101", "", &r), 0);
}

static void another_status_is_a_refusal(void **state)
{
    (void)state;
    ln_upgrade_result r;
    static const unsigned statuses[] = {100, 102, 200, 301, 400, 401, 403, 426, 500, 503, 999};
    for (size_t i = 0; i < LN_ARRAY_SIZE(statuses); i++) {
        char line[64];
        snprintf(line, sizeof line, "HTTP/1.1 %u x", statuses[i]);
        assert_int_equal(answer_with(NULL, 0, line, "", &r), LN_ERR_REFUSED);
        assert_int_equal(r.status, statuses[i]);
    }
}

static void every_fault_of_a_response_fails_the_handshake(void **state)
{
    (void)state;
    static const struct {
        int changed;
        const char *replacement;
        const char *more;
    } rows[] = {
        {0, "HTTP/1.0 101 x", ""},
        {1, NULL, ""},
        {1, "Upgrade:", ""},
        {1, "Upgrade: h2c", ""},
        {1, "Upgrade: websocket, h2c", ""},
        {-1, NULL, "Upgrade: websocket\r\n"},
        {2, NULL, ""},
        {2, "Connection:", ""},
        {2, "Connection: close", ""},
        {3, NULL, ""},
        {3, "Sec-WebSocket-Accept:", ""},
        {3, "Sec-WebSocket-Accept: S3pPLMBiTxaQ9kYGzzhZRbK+xOo=", ""},
        {3, "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo", ""},
        {3, "Sec-WebSocket-Accept: " KEY, ""},
        {-1, NULL, "Sec-WebSocket-Accept: " ACCEPT "\r\n"},
        {-1, NULL, "Sec-WebSocket-Protocol: c\r\n"},
        {-1, NULL, "Sec-WebSocket-Protocol: A\r\n"},
        {-1, NULL, "Sec-WebSocket-Protocol:\r\n"},
        {-1, NULL, "Sec-WebSocket-Protocol: a, b\r\n"},
        {-1, NULL, "Sec-WebSocket-Protocol: a\r\nSec-WebSocket-Protocol: a\r\n"},
        {-1, NULL, "Sec-WebSocket-Extensions: x\r\n"},
        {-1, NULL, "Sec-WebSocket-Extensions: permessage-deflate; x\r\n"},
        {-1, NULL, "Sec-WebSocket-Extensions: permessage-deflate, permessage-deflate\r\n"},
        {-1, NULL, "Sec-WebSocket-Protocol: a\r\nSec-WebSocket-Extensions: x\r\n"},
    };
    ln_upgrade_result r;
    for (size_t i = 0; i < LN_ARRAY_SIZE(rows); i++) {
        if (answer_with(&pmd_wish, rows[i].changed, rows[i].replacement, rows[i].more, &r) !=
            LN_ERR_HANDSHAKE)
            fail_msg("%s %s", rows[i].replacement ? rows[i].replacement : "-", rows[i].more);
        assert_int_equal(r.status, 101);
    }
    assert_int_equal(
        answer_with(NULL, -1, NULL, "Sec-WebSocket-Extensions: permessage-deflate\r\n", &r),
        LN_ERR_HANDSHAKE);
}

static void a_client_and_a_server_agree(void **state)
{
    (void)state;
    ln_buf out;
    ln_head head;
    ln_upgrade_verdict verdict;
    ln_upgrade_result result;
    uint8_t random[16] = {1, 2, 3};
    char key[LN_UPGRADE_KEY_BYTES], text[LN_PMD_TEXT_MAX_BYTES];
    ln_pmd_params agreed;
    size_t length;

    ln_upgrade_make_key(random, key);
    ln_upgrade_offer offer = good_offer();
    offer.key = (ln_span){key, sizeof key};
    char offered[LN_PMD_TEXT_MAX_BYTES];
    offer.extensions = (ln_span){offered, ln_pmd_write_offer(&pmd_wish, offered)};
    ln_buf_init(&out, NULL);
    assert_int_equal(ln_upgrade_write_request(&out, &offer, LIMIT), 0);
    parse(LN_HEAD_REQUEST, (ln_span){out.data, out.size}, &head);
    ln_upgrade_check_request(&head, &verdict);
    assert_int_equal(verdict.status, 101);
    const ln_span name = ln_upgrade_choose_subprotocol(&head, LN_SPAN("x,b"), NULL);
    const ln_pmd_params wish = {.server_max_window_bits = 10, .client_max_window_bits = 11};
    assert_int_equal(ln_pmd_accept(&head, &wish, &agreed, text, &length), 1);

    ln_buf answer;
    ln_buf_init(&answer, NULL);
    assert_int_equal(ln_upgrade_write_response(&answer, verdict.key, name, (ln_span){text, length},
                                               NULL, 0, LIMIT),
                     0);
    parse(LN_HEAD_RESPONSE, (ln_span){answer.data, answer.size}, &head);
    ln_upgrade_check_response(&head, &offer, &pmd_wish, &result);
    assert_int_equal(result.rc, 0);
    assert_true(ln_text_equal(result.subprotocol, LN_SPAN("b")));
    assert_memory_equal(&result.deflate, &agreed, sizeof agreed);
    ln_buf_fini(&answer);
    ln_buf_fini(&out);
}

/* OpenSSL's memory, so that its digest can be made to fail. */
static bool is_memory_refused;

static void *digest_malloc(size_t n, const char *file, int line)
{
    (void)file, (void)line;
    return is_memory_refused ? NULL : malloc(n);
}

static void *digest_realloc(void *old, size_t n, const char *file, int line)
{
    (void)file, (void)line;
    return is_memory_refused ? NULL : realloc(old, n);
}

static void digest_free(void *p, const char *file, int line)
{
    (void)file, (void)line;
    free(p);
}

static void a_digest_that_is_not_to_be_had_is_out_of_memory(void **state)
{
    (void)state;
    const ln_span none = {NULL, 0};
    char accept[LN_UPGRADE_ACCEPT_BYTES];
    ln_upgrade_result result;
    ln_buf out;
    ln_buf_init(&out, NULL);
    assert_int_equal(answer_with(NULL, -1, NULL, "", &result), 0);
    is_memory_refused = true;
    const int rc = ln_upgrade_accept_key(LN_SPAN(KEY), accept);
    const int written = ln_upgrade_write_response(&out, LN_SPAN(KEY), none, none, NULL, 0, LIMIT);
    const int answered = answer_with(NULL, -1, NULL, "", &result);
    is_memory_refused = false;
    assert_int_equal(rc, LN_ERR_NOMEM);
    assert_int_equal(written, LN_ERR_NOMEM);
    assert_int_equal(answered, LN_ERR_NOMEM);
    assert_int_equal(out.size, 0);
    ln_buf_fini(&out);
}

/* A request with `n` bytes of one field, judged in every way. */
static void judge_long_field(void *user, size_t n)
{
    const char *piece = user, *name = strchr(piece, '|') + 1;
    const size_t size = (size_t)(name - 1 - piece);
    char *text = malloc(n + 256);
    assert_non_null(text);
    size_t at = (size_t)sprintf(text, GET "\r\nHost: a\r\n%s: x", name);
    for (; at < n; at += size)
        memcpy(text + at, piece, size);
    at += (size_t)sprintf(text + at, "\r\n\r\n");

    ln_head head;
    ln_upgrade_verdict verdict;
    parse(LN_HEAD_REQUEST, (ln_span){text, at}, &head);
    ln_upgrade_check_request(&head, &verdict);
    assert_int_not_equal(verdict.status, 101);
    ln_upgrade_choose_subprotocol(&head, LN_SPAN("a,b,c,d,e,f,g,h"), NULL);
    ln_upgrade_is_origin_allowed(&head, LN_SPAN("http://a,http://b"), false);
    free(text);
}

static void time_grows_with_the_size(void **state)
{
    (void)state;
    static const char *const rows[] = {
        ",a|Sec-WebSocket-Protocol",
        "a|Sec-WebSocket-Protocol",
        " |Sec-WebSocket-Protocol",
        ", |Connection",
        ",a|Upgrade",
        "a|Origin",
        ":|Origin",
        "0|Content-Length",
        "a|Sec-WebSocket-Key",
        ",|X",
    };
    for (size_t i = 0; i < LN_ARRAY_SIZE(rows); i++)
        linear_time_assert(judge_long_field, (void *)rows[i], 4096);
}

int main(void)
{
    if (CRYPTO_set_mem_functions(digest_malloc, digest_realloc, digest_free) != 1)
        return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_refusal_says_what_is_wrong),
        cmocka_unit_test(the_key_of_the_rfc_is_accepted),
        cmocka_unit_test(keys_are_24_characters_of_exact_base64),
        cmocka_unit_test(every_byte_at_every_place_of_a_key_is_judged),
        cmocka_unit_test(a_key_is_made_of_all_its_random_bytes),
        cmocka_unit_test(a_good_request_is_upgraded),
        cmocka_unit_test(only_get_with_upgrade_is_wanted),
        cmocka_unit_test(every_mandatory_field_is_needed_once),
        cmocka_unit_test(a_mandatory_field_is_found_at_every_place),
        cmocka_unit_test(checks_come_in_order),
        cmocka_unit_test(a_head_without_host_is_refused_here_too),
        cmocka_unit_test(an_upgrade_has_no_body),
        cmocka_unit_test(only_version_13_is_spoken),
        cmocka_unit_test(the_first_of_ours_that_is_offered_is_chosen),
        cmocka_unit_test(malformed_offers_choose_nothing),
        cmocka_unit_test(the_number_of_names_is_bounded),
        cmocka_unit_test(origins_are_judged_as_the_table_has_it),
        cmocka_unit_test(no_origin_is_no_browser),
        cmocka_unit_test(the_host_decides_what_the_same_origin_is),
        cmocka_unit_test(malformed_entries_of_the_list_match_nothing),
        cmocka_unit_test(a_response_is_written),
        cmocka_unit_test(a_request_is_written),
        cmocka_unit_test(reserved_fields_are_refused),
        cmocka_unit_test(no_byte_breaks_out_of_its_line),
        cmocka_unit_test(offers_that_no_server_takes_are_refused),
        cmocka_unit_test(a_head_is_written_whole_or_not_at_all),
        cmocka_unit_test(out_of_memory_writes_nothing),
        cmocka_unit_test(a_good_response_opens),
        cmocka_unit_test(another_status_is_a_refusal),
        cmocka_unit_test(every_fault_of_a_response_fails_the_handshake),
        cmocka_unit_test(a_client_and_a_server_agree),
        cmocka_unit_test(a_digest_that_is_not_to_be_had_is_out_of_memory),
        cmocka_unit_test(time_grows_with_the_size),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
