/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "guard_page.h"
#include "linear_time.h"
#include "proto/url.h"

static bool is(ln_span s, const char *text)
{
    return ln_text_equal(s, ln_text(text));
}

static void assert_url(const char *text, bool is_secure, const char *host, uint16_t port,
                       const char *target)
{
    ln_url u;
    if (ln_url_parse(guard_page_text(text), &u) != 0)
        fail_msg("%s was refused", text);
    assert_int_equal(u.is_secure, is_secure);
    assert_true(is(u.host, host));
    assert_int_equal(u.port, port);
    assert_true(is(u.target, target));
}

static void a_url_is_taken_apart(void **state)
{
    (void)state;
    assert_url("ws://a", false, "a", 80, "/");
    assert_url("wss://a", true, "a", 443, "/");
    assert_url("http://a/", false, "a", 80, "/");
    assert_url("HTTPS://A.b:8443/c%20d?e=f&g", true, "A.b", 8443, "/c%20d?e=f&g");
    assert_url("Ws://[::1]:1/x", false, "::1", 1, "/x");
    assert_url("ws://a?x=1", false, "a", 80, "?x=1");
    assert_url("ws://a//b/../c", false, "a", 80, "//b/../c");

    ln_url u;
    assert_int_equal(ln_url_parse(LN_SPAN("ws://[::1]:80/"), &u), 0);
    assert_true(u.is_ipv6 && u.has_port);
    assert_int_equal(ln_url_parse(LN_SPAN("ws://1.2.3.4/"), &u), 0);
    assert_false(u.is_ipv6 || u.has_port);
}

static void bad_urls_are_refused(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",
        "a",
        "/",
        "ws",
        "ws:",
        "ws:/",
        "ws://",
        "ws:///x",
        "ws:a",
        "ftp://a",
        "wsss://a",
        " ws://a",
        "ws://a ",
        "ws://a/ b",
        "ws://a/\t",
        "ws://u@a",
        "ws://u:p@a",
        "ws://a:",
        "ws://a:0",
        "ws://a:65536",
        "ws://a:x",
        "ws://a:-1",
        "ws://a#f",
        "ws://a/#f",
        "ws://a?#f",
        "ws://a/x\r\n",
        "ws://a/\x7f",
        "ws://a/\xc3\xa4",
        "ws://\xc3\xa4",
        "ws://[::1",
        "ws://::1",
        "ws://a\\b",
        "ws://%61",
        "ws://?x",
        "ws://a\r\nb",
        "//a/b",
        "wss//a",
    };
    for (size_t i = 0; i < LN_ARRAY_SIZE(texts); i++) {
        ln_url u;
        if (ln_url_parse(guard_page_text(texts[i]), &u) != LN_ERR_INVALID)
            fail_msg("%s was accepted", texts[i]);
    }
    ln_url u;
    assert_int_equal(ln_url_parse(guard_page_bytes("ws://a/\0", 8), &u), LN_ERR_INVALID);
    assert_int_equal(ln_url_parse((ln_span){NULL, 0}, &u), LN_ERR_INVALID);
}

/* Splits, with a buffer of exactly the size that is asked for, against a guard page of its own. */
static int split(const char *target, size_t n, ln_span *path, ln_span *query, ln_span *authority)
{
    const ln_span room = guard_page_bytes(target, n);
    char *buffer = (char *)guard_page_bytes("", 1).data - n;
    size_t length;
    const int rc = ln_url_split_target(room, buffer, n + 1, &length, query, authority);
    if (rc == 0) {
        assert_true(length <= (n > 0 ? n : 1));
        assert_int_equal(buffer[length], '\0');
        *path = (ln_span){buffer, length};
    }
    return rc;
}

static void assert_path(const char *target, const char *wanted)
{
    ln_span path, query, authority;
    if (split(target, strlen(target), &path, &query, &authority) != 0)
        fail_msg("%s was refused", target);
    if (!is(path, wanted))
        fail_msg("%s gave %.*s", target, (int)path.size, (const char *)path.data);
    assert_int_equal(query.size, 0);
    assert_int_equal(authority.size, 0);
}

static void a_path_is_decoded_once_and_made_plain(void **state)
{
    (void)state;
    assert_path("/", "/");
    assert_path("/a/b", "/a/b");
    assert_path("/a%20b%c3%A4", "/a b\xc3\xa4");
    assert_path("/%2541", "/%41");
    assert_path("/%09%0F%f0", "/\t\x0f\xf0");
    assert_path("/%252e%252e/a", "/%2e%2e/a");
    assert_path("/a+b", "/a+b");
    assert_path("//a//b", "//a//b");
    assert_path("/.", "/");
    assert_path("/./", "/");
    assert_path("/a/.", "/a/");
    assert_path("/a/./b", "/a/b");
    assert_path("/a/..", "/");
    assert_path("/a/../", "/");
    assert_path("/a/../b", "/b");
    assert_path("/a/b/../../c", "/c");
    assert_path("/a/b/..", "/a/");
    assert_path("/a//../b", "/a/b");
    assert_path("//..", "/");
    assert_path("/a/%2e%2E/b", "/b");
    assert_path("/a/.%2e/b", "/b");
    assert_path("/a/%2e/b", "/a/b");
    assert_path("/...", "/...");
    assert_path("/..a/.b/a../c.", "/..a/.b/a../c.");
    assert_path("/a?", "/a");
}

static void paths_that_open_file_servers_are_refused(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",
        "a",
        "*",
        "?x",
        "a:80",
        "/..",
        "/../",
        "/../a",
        "/./..",
        "/a/../..",
        "/a/../../b",
        "/%2e%2e",
        "/%2e./x",
        "/.%2E/x",
        "/a/%2e%2e/%2e%2e/x",
        "/%2f",
        "/a%2Fb",
        "/..%2f",
        "/%5c",
        "/a%5Cb",
        "/\\",
        "/..\\a",
        "/%00",
        "/a%00.txt",
        "/%",
        "/%4",
        "/%zz",
        "/%4g",
        "/%g4",
        "/%%34",
        "/a%",
        "/a b",
        "/a\tb",
        "/\x7f",
        "/\x80",
        "/a#b",
        "/a?b#c",
        "/a?b c",
        "/a\r\n",
        "http://",
        "http:///a",
        "ftp://a/b",
        "http://u@a/b",
        "http://a/..",
        "http://a/%00",
        "http:/a",
        "http://a:0/",
    };
    for (size_t i = 0; i < LN_ARRAY_SIZE(texts); i++) {
        ln_span path, query, authority;
        if (split(texts[i], strlen(texts[i]), &path, &query, &authority) != LN_ERR_INVALID)
            fail_msg("%s was accepted", texts[i]);
    }
    ln_span path, query, authority;
    assert_int_equal(split("/a\0b", 4, &path, &query, &authority), LN_ERR_INVALID);
}

static void queries_and_authorities_come_apart(void **state)
{
    (void)state;
    static const struct {
        const char *target, *path, *query, *authority;
    } cases[] = {
        {"/a?b=%41&c", "/a", "b=%41&c", ""},
        {"/?", "/", "", ""},
        {"/a?b?c/../d", "/a", "b?c/../d", ""},
        {"/a?%zz%00", "/a", "%zz%00", ""}, /* a query is decoded by who reads it */
        {"http://h:81/a/../b?c", "/b", "c", "h:81"},
        {"wss://h", "/", "", "h"},
        {"HTTP://h?x", "/", "x", "h"},
        {"https://[::1]:1/", "/", "", "[::1]:1"},
    };
    for (size_t i = 0; i < LN_ARRAY_SIZE(cases); i++) {
        ln_span path, query, authority;
        assert_int_equal(split(cases[i].target, strlen(cases[i].target), &path, &query, &authority),
                         0);
        assert_true(is(path, cases[i].path));
        assert_true(is(query, cases[i].query));
        assert_true(is(authority, cases[i].authority));
        assert_true(is(ln_url_authority(ln_text(cases[i].target)), cases[i].authority));
    }
}

/* What a file server relies on, for every short path of the characters that matter. */
static void no_short_path_leaves_the_root(void **state)
{
    (void)state;
    static const char *const pieces[] = {"",    "/",  ".", "a", "%2e", "%2f", "%5c",
                                         "%00", "\\", "%", "?", "%61", ";"};
    const size_t base = LN_ARRAY_SIZE(pieces);
    unsigned accepted = 0;

    for (size_t n = 0; n < base * base * base * base * base; n++) {
        char target[32] = "/";
        for (size_t rest = n; rest > 0; rest /= base)
            strcat(target, pieces[rest % base]);
        ln_span path, query, authority;
        if (split(target, strlen(target), &path, &query, &authority) != 0)
            continue;
        accepted++;
        const char *p = path.data;
        assert_true(p[0] == '/' && strlen(p) == path.size);
        assert_null(strchr(p, '\\'));
        assert_null(strstr(p, "/./"));
        assert_null(strstr(p, "/../"));
        const char *last = strrchr(p, '/');
        assert_true(strcmp(last, "/.") != 0 && strcmp(last, "/..") != 0);
    }
    assert_true(accepted > 10000);
}

static void parameters_are_found_and_decoded(void **state)
{
    (void)state;
    static const struct {
        const char *query, *name, *value;
    } cases[] = {
        {"a=1&b=2&a=3", "a", "1"},
        {"a=1&b=2", "b", "2"},
        {"a=%41%2b+b", "a", "A+ b"},
        {"a", "a", ""},
        {"a=", "a", ""},
        {"a=b=c", "a", "b=c"},
        {"%61=1", "a", "1"},
        {"a+b=1", "a b", "1"},
        {"%zz=1&a=2", "a", "2"},
        {"&&a=1", "a", "1"},
        {"ab=1&a=2", "a", "2"},
        {"a=%c3%a4", "a", "\xc3\xa4"},
        {"a=%26&b", "a", "&"},
        {"a=%3d", "a", "="},
        {"A=1&a=2", "a", "2"},
    };
    char buffer[64];
    for (size_t i = 0; i < LN_ARRAY_SIZE(cases); i++) {
        const int n = ln_url_param(guard_page_text(cases[i].query), guard_page_text(cases[i].name),
                                   buffer, sizeof buffer);
        if (n < 0)
            fail_msg("%s: %d", cases[i].query, n);
        assert_int_equal(n, strlen(cases[i].value));
        assert_string_equal(buffer, cases[i].value);
    }
}

static void parameters_that_are_not_there_or_broken_say_so(void **state)
{
    (void)state;
    char buffer[64];
    assert_int_equal(ln_url_param(guard_page_text("a=1"), LN_SPAN("b"), buffer, sizeof buffer),
                     LN_ERR_NOT_FOUND);
    assert_int_equal(ln_url_param(guard_page_text(""), LN_SPAN("b"), buffer, sizeof buffer),
                     LN_ERR_NOT_FOUND);
    assert_int_equal(ln_url_param((ln_span){NULL, 0}, LN_SPAN("b"), buffer, sizeof buffer),
                     LN_ERR_NOT_FOUND);
    static const char *const broken[] = {"a=%", "a=%4", "a=%zz", "a=%00", "a=b%00c", "a=x%"};
    for (size_t i = 0; i < LN_ARRAY_SIZE(broken); i++)
        assert_int_equal(
            ln_url_param(guard_page_text(broken[i]), LN_SPAN("a"), buffer, sizeof buffer),
            LN_ERR_INVALID);
    assert_int_equal(ln_url_param(guard_page_text("a="), LN_SPAN("a"), buffer, 0), LN_ERR_LIMIT);
    for (size_t size = 0; size <= 6; size++) {
        char *room = (char *)guard_page_bytes("......", size).data;
        const int n = ln_url_param(guard_page_text("a=h%65llo"), LN_SPAN("a"), room, size);
        assert_int_equal(n, size < 6 ? LN_ERR_LIMIT : 5);
    }
}

static void split_repeated(void *user, size_t n)
{
    const char *piece = user;
    char *target = malloc(n + 64), *buffer = malloc(n + 65);
    assert_non_null(target);
    assert_non_null(buffer);
    size_t at = 0;
    for (const size_t size = strlen(piece); at < n; at += size)
        memcpy(target + at, piece, size);
    size_t length;
    ln_span query, authority;
    assert_int_equal(
        ln_url_split_target((ln_span){target, at}, buffer, at + 1, &length, &query, &authority), 0);
    assert_int_equal(ln_url_param((ln_span){target, at}, LN_SPAN("b"), buffer, at + 1),
                     LN_ERR_NOT_FOUND);
    free(target);
    free(buffer);
}

static void climb(void *user, size_t n)
{
    (void)user;
    char *target = malloc(n * 5 + 1), *buffer = malloc(n * 5 + 2);
    assert_non_null(target);
    assert_non_null(buffer);
    for (size_t i = 0; i < n; i++) { /* n segments down, then n up */
        memcpy(target + 2 * i, "/a", 2);
        memcpy(target + 2 * n + 3 * i, "/..", 3);
    }
    size_t length;
    ln_span query, authority;
    assert_int_equal(ln_url_split_target((ln_span){target, 5 * n}, buffer, 5 * n + 1, &length,
                                         &query, &authority),
                     0);
    assert_int_equal(length, 1);
    free(target);
    free(buffer);
}

static void time_grows_with_the_size(void **state)
{
    (void)state;
    linear_time_assert(split_repeated, "/aaaaaaaa", 4096);
    linear_time_assert(split_repeated, "/a/..", 4096);
    linear_time_assert(split_repeated, "/", 4096);
    linear_time_assert(split_repeated, "/%61&=", 4096);
    linear_time_assert(climb, NULL, 2048);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_url_is_taken_apart),
        cmocka_unit_test(bad_urls_are_refused),
        cmocka_unit_test(a_path_is_decoded_once_and_made_plain),
        cmocka_unit_test(paths_that_open_file_servers_are_refused),
        cmocka_unit_test(queries_and_authorities_come_apart),
        cmocka_unit_test(no_short_path_leaves_the_root),
        cmocka_unit_test(parameters_are_found_and_decoded),
        cmocka_unit_test(parameters_that_are_not_there_or_broken_say_so),
        cmocka_unit_test(time_grows_with_the_size),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
