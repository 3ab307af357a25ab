/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "peer/mediatype.h"

static void the_extension_decides(void **state)
{
    (void)state;
    assert_string_equal(ln_media_type("/index.html"), "text/html; charset=utf-8");
    assert_string_equal(ln_media_type("/a/b.min.js"), "text/javascript; charset=utf-8");
    assert_string_equal(ln_media_type("x.WASM"), "application/wasm");
    assert_string_equal(ln_media_type("x.SvG"), "image/svg+xml");
    assert_string_equal(ln_media_type("x.json"), "application/json");
    assert_string_equal(ln_media_type("x.woff2"), "font/woff2");
}

static void what_is_not_known_is_bytes(void **state)
{
    (void)state;
    static const char *const names[] = {"",          "/",       "html", "x.",     "x.unknown",
                                        "/a.html/x", "x.htmlx", "x.ht", "x.html."};

    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        assert_string_equal(ln_media_type(names[i]), "application/octet-stream");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_extension_decides),
        cmocka_unit_test(what_is_not_known_is_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
