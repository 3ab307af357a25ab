/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "guard_page.h"
#include "proto/authority.h"

static void assert_authority(const char *text, const char *host, uint16_t port, bool is_ipv6)
{
    ln_authority a;
    if (ln_authority_parse(guard_page_text(text), &a) != 0)
        fail_msg("%s was refused", text);
    assert_true(ln_text_equal(a.host, ln_text(host)));
    assert_int_equal(a.port, port);
    assert_int_equal(a.is_ipv6, is_ipv6);
}

static void assert_refused(const char *text)
{
    ln_authority a = {.port = 7};
    if (ln_authority_parse(guard_page_text(text), &a) != LN_ERR_INVALID)
        fail_msg("%s was accepted", text);
    assert_int_equal(a.port, 7); /* nothing is written on failure */
}

static void names_and_ports_are_taken_apart(void **state)
{
    (void)state;
    assert_authority("a", "a", 0, false);
    assert_authority("Example.com.", "Example.com.", 0, false);
    assert_authority("my_host-1.example:8080", "my_host-1.example", 8080, false);
    assert_authority("192.0.2.1:1", "192.0.2.1", 1, false);
    assert_authority("a:65535", "a", 65535, false);
    assert_authority("[::1]", "::1", 0, true);
    assert_authority("[2001:DB8::1]:443", "2001:DB8::1", 443, true);
}

static void what_could_be_read_in_two_ways_is_refused(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",         ":",     ":80",      "a:",         "a:0",     "a:080",  "a:65536", "a:99999",
        "a:100000", "a:+80", "a:-1",     "a:8o",       "a:80:80", "a:80/",  "a b",     "a/b",
        "a?b",      "a#b",   "u@a",      "u:p@a",      "a,b",     "a%41",   "a\\b",    "\xc3\xa4",
        "a\tb",     "a\x7f", "[]",       "[",          "[::1",    "::1",    "[::1]x",  "[::1]:",
        "[::1]80",  "[a.b]", "[::1%25]", "[::1%eth0]", "[v1.a]",  "[::1]]", "[[::1]]", "x[::1]",
        "a:80 ",    " a",    "a\r\nb",
    };
    for (size_t i = 0; i < LN_ARRAY_SIZE(texts); i++)
        assert_refused(texts[i]);
    ln_authority a;
    assert_int_equal(ln_authority_parse(guard_page_bytes("a\0b", 3), &a), LN_ERR_INVALID);
    assert_int_equal(ln_authority_parse((ln_span){NULL, 0}, &a), LN_ERR_INVALID);
}

static void addresses_of_version_6_are_checked(void **state)
{
    (void)state;
    static const char *const good[] = {
        "::",
        "::1",
        "1::",
        "1::2",
        "1:2:3:4:5:6:7:8",
        "::2:3:4:5:6:7:8",
        "1:2:3:4:5:6:7::",
        "1:2:3::5:6:7:8",
        "abcd:EF01::",
        "::ffff:192.0.2.1",
        "::255.255.255.255",
        "1:2:3:4:5:6:0.0.0.0",
        "64:ff9b::192.0.2.33",
        "0000:0000:0000:0000:0000:ffff:255.255.255.255",
    };
    static const char *const bad[] = {
        ":",
        ":::",
        "1",
        "1:",
        ":1",
        "1::2::3",
        "1:2:3:4:5:6:7",
        "1:2:3:4:5:6:7:8:9",
        "1:2:3:4:5:6:7:8::",
        "::1:2:3:4:5:6:7:8",
        "12345::",
        "g::",
        "1:::2",
        "::1:",
        "1::2:",
        "::1.2.3",
        "::1.2.3.4.5",
        "::1.2.3.256",
        "::01.2.3.4",
        "::1.2.3.",
        "::.2.3.4",
        "1.2.3.4",
        "1.2.3.4::",
        "::1.2.3.4:5",
        "1:2:3:4:5:6:7:1.2.3.4",
        "::1.2.3.4 ",
        "::1. 2.3.4",
        "0:0:0:0:0:ffff:255.255.255.2555",
        "::000000000000000000000000000000000000000000000001",
    };
    char text[128];
    for (size_t i = 0; i < LN_ARRAY_SIZE(good); i++) {
        snprintf(text, sizeof text, "[%s]", good[i]);
        assert_authority(text, good[i], 0, true);
    }
    for (size_t i = 0; i < LN_ARRAY_SIZE(bad); i++) {
        snprintf(text, sizeof text, "[%s]", bad[i]);
        assert_refused(text);
    }
}

static void a_host_has_up_to_255_bytes(void **state)
{
    (void)state;
    char text[LN_AUTHORITY_HOST_MAX_BYTES + 2] = {0};
    memset(text, 'a', LN_AUTHORITY_HOST_MAX_BYTES);
    assert_authority(text, text, 0, false);
    text[LN_AUTHORITY_HOST_MAX_BYTES] = 'a';
    assert_refused(text);
}

/* Every text of up to four of these characters: no crash at the guard page, and what is accepted
 * adds up. */
static void short_texts_are_judged_consistently(void **state)
{
    (void)state;
    static const char letters[] = "a1:.[]";
    const size_t base = sizeof letters; /* one more: nothing */
    unsigned accepted = 0;
    for (size_t n = 0; n < base * base * base * base; n++) {
        char text[5];
        size_t size = 0;
        for (size_t rest = n; rest > 0; rest /= base)
            if (rest % base != 0)
                text[size++] = letters[rest % base - 1];
        ln_authority a;
        if (ln_authority_parse(guard_page_bytes(text, size), &a) != 0)
            continue;
        accepted++;
        const size_t brackets = a.is_ipv6 ? 2 : 0;
        assert_true(a.host.size > 0);
        assert_true(a.port == 0 ? a.host.size + brackets == size : a.host.size + brackets < size);
    }
    assert_true(accepted > 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_and_ports_are_taken_apart),
        cmocka_unit_test(what_could_be_read_in_two_ways_is_refused),
        cmocka_unit_test(addresses_of_version_6_are_checked),
        cmocka_unit_test(a_host_has_up_to_255_bytes),
        cmocka_unit_test(short_texts_are_judged_consistently),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
