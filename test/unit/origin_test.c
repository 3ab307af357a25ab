/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "guard_page.h"
#include "proto/origin.h"

static void assert_origin(const char *text, const char *scheme, const char *host, uint16_t port)
{
    ln_origin o;
    if (ln_origin_parse(guard_page_text(text), &o) != 0)
        fail_msg("%s was refused", text);
    assert_true(ln_text_equal(o.scheme, ln_text(scheme)));
    assert_true(ln_text_equal(o.host, ln_text(host)));
    assert_int_equal(o.port, port);
}

static void an_origin_has_three_parts(void **state)
{
    (void)state;
    assert_origin("http://a", "http", "a", 80);
    assert_origin("https://a", "https", "a", 443);
    assert_origin("HTTPS://Example.com:8443", "HTTPS", "Example.com", 8443);
    assert_origin("https://a:443", "https", "a", 443);
    assert_origin("ws://a", "ws", "a", 80);
    assert_origin("wss://a", "wss", "a", 443);
    assert_origin("https://[::1]:1", "https", "[::1]", 1);
    assert_origin("moz-extension://0a-1b", "moz-extension", "0a-1b", 0);
    assert_origin("capacitor://localhost", "capacitor", "localhost", 0);
    assert_origin("app://a", "app", "a", 0);
    assert_origin("Zz+1.-://a", "Zz+1.-", "a", 0);
}

static void what_is_no_origin_is_refused(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",
        "null",
        "NULL",
        "*",
        "a",
        "a:80",
        "//a",
        "http:a",
        "http:/a",
        "http//a",
        "http://",
        "http:///",
        "http://a/",
        "http://a/b",
        "http://a?b",
        "http://a#b",
        "http://u@a",
        "http://u:p@a",
        "http://a:",
        "http://a:0",
        "http://a:65536",
        "http://a b",
        " http://a",
        "http://a ",
        "http://a,http://b",
        "http://a http://b",
        "://a",
        "1http://a",
        "+x://a",
        "ht_tp://a",
        "file://",
        "http://a\r",
        "http://a\\b",
        "http://\xc3\xa4",
        "http://[::1",
        "http://::1",
        "http://a%2e",
        "data:text/html",
        "http",
        "http:",
        "http:/",
    };
    for (size_t i = 0; i < LN_ARRAY_SIZE(texts); i++) {
        ln_origin o;
        if (ln_origin_parse(guard_page_text(texts[i]), &o) != LN_ERR_INVALID)
            fail_msg("%s was accepted", texts[i]);
    }
    ln_origin o;
    assert_int_equal(ln_origin_parse((ln_span){NULL, 0}, &o), LN_ERR_INVALID);
}

static bool are_equal(const char *a, const char *b)
{
    ln_origin x, y;
    assert_int_equal(ln_origin_parse(guard_page_text(a), &x), 0);
    assert_int_equal(ln_origin_parse(guard_page_text(b), &y), 0);
    assert_int_equal(ln_origin_equal(&x, &y), ln_origin_equal(&y, &x));
    return ln_origin_equal(&x, &y);
}

static void equal_means_all_three(void **state)
{
    (void)state;
    assert_true(are_equal("http://a", "http://a"));
    assert_true(are_equal("http://a", "HTTP://A"));
    assert_true(are_equal("http://a:80", "http://a"));
    assert_true(are_equal("https://a:443", "https://a"));
    assert_true(are_equal("http://[::A]", "http://[::a]:80"));
    assert_false(are_equal("http://a", "https://a"));
    assert_false(are_equal("http://a:443", "https://a"));
    assert_false(are_equal("http://a:81", "http://a"));
    assert_false(are_equal("http://a.", "http://a"));
    assert_false(are_equal("http://aa", "http://a"));
    assert_false(are_equal("http://b.a", "http://a"));
    assert_false(are_equal("http://a.b", "http://a"));
    assert_false(are_equal("http://a", "ws://a"));
    assert_false(are_equal("http://[::1]", "http://[0::1]"));
}

static void a_host_field_has_an_origin(void **state)
{
    (void)state;
    ln_origin host, page;
    assert_int_equal(ln_origin_of_host(guard_page_text("a:8080"), false, &host), 0);
    assert_int_equal(ln_origin_parse(LN_SPAN("http://a:8080"), &page), 0);
    assert_true(ln_origin_equal(&host, &page));
    assert_int_equal(ln_origin_of_host(guard_page_text("[::1]"), true, &host), 0);
    assert_int_equal(ln_origin_parse(LN_SPAN("https://[::1]:443"), &page), 0);
    assert_true(ln_origin_equal(&host, &page));
    assert_int_equal(ln_origin_of_host(guard_page_text("a/b"), true, &host), LN_ERR_INVALID);
    assert_int_equal(ln_origin_of_host((ln_span){NULL, 0}, true, &host), LN_ERR_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_origin_has_three_parts),
        cmocka_unit_test(what_is_no_origin_is_refused),
        cmocka_unit_test(equal_means_all_three),
        cmocka_unit_test(a_host_field_has_an_origin),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
