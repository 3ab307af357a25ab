/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/text.h"
#include "failing_alloc.h"
#include "peer/route.h"

static ln_routes table;

static int add(ln_route_kind kind, const char *path)
{
    ln_route *route = NULL;
    const int rc = ln_routes_add(&table, kind, path, &route);

    assert_int_equal(route != NULL, rc == 0);
    return rc;
}

/* The path of the route found; "" if there is none. */
static const char *find(const char *path, bool is_upgrade)
{
    static char text[LN_ROUTE_PATH_MAX_BYTES + 1];
    const ln_route *const route = ln_routes_find(&table, ln_text(path), is_upgrade);
    const ln_span found = route == NULL ? LN_SPAN("") : route->path;

    snprintf(text, sizeof text, "%.*s", (int)found.size, (const char *)found.data);
    return text;
}

static void the_longest_match_wins(void **state)
{
    (void)state;
    ln_routes_init(&table, &ln_alloc_libc);
    assert_int_equal(add(LN_ROUTE_HTTP, "/"), 0);
    assert_int_equal(add(LN_ROUTE_HTTP, "/a/b/c"), 0);
    assert_int_equal(add(LN_ROUTE_FILES, "/a/"), 0);
    assert_int_equal(add(LN_ROUTE_HTTP, "/a/b/"), 0);
    assert_string_equal(find("/", false), "/");
    assert_string_equal(find("/x", false), "/");
    assert_string_equal(find("/a", false), "/");
    assert_string_equal(find("/a/", false), "/a/");
    assert_string_equal(find("/a/x", false), "/a/");
    assert_string_equal(find("/a/b/x", false), "/a/b/");
    assert_string_equal(find("/a/b/c", false), "/a/b/c");
    assert_string_equal(find("/a/b/c/", false), "/a/b/");
    assert_string_equal(find("/A/", false), "/");
    ln_routes_fini(&table);
}

static void upgrades_and_requests_are_kept_apart(void **state)
{
    (void)state;
    ln_routes_init(&table, &ln_alloc_libc);
    assert_string_equal(find("/x", true), "");
    assert_int_equal(add(LN_ROUTE_WS, "/x"), 0);
    assert_string_equal(find("/x", false), "");
    assert_string_equal(find("/x", true), "/x");
    assert_string_equal(find("/x/", true), "");
    assert_string_equal(find("/xy", true), "");
    assert_int_equal(add(LN_ROUTE_HTTP, "/x"), 0);
    assert_int_equal(ln_routes_find(&table, LN_SPAN("/x"), false)->kind, LN_ROUTE_HTTP);
    assert_int_equal(ln_routes_find(&table, LN_SPAN("/x"), true)->kind, LN_ROUTE_WS);
    assert_int_equal(add(LN_ROUTE_FILES, "/x"), LN_ERR_EXISTS);
    assert_int_equal(add(LN_ROUTE_WS, "/x"), LN_ERR_EXISTS);
    assert_int_equal(add(LN_ROUTE_WS, "/y"), 0);
    assert_int_equal(ln_routes_find(&table, LN_SPAN("/x"), true)->site, 0);
    assert_int_equal(ln_routes_find(&table, LN_SPAN("/y"), true)->site, 1);
    ln_routes_remove_last(&table);
    assert_string_equal(find("/y", true), "");
    assert_int_equal(table.site_count, 1);
    assert_int_equal(add(LN_ROUTE_WS, "/y"), 0);
    ln_routes_fini(&table);
}

static void bad_paths_are_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {"",       "x",     " /x",   "/a b",      "/a?b", "/a#b",
                                      "/a%20b", "/a\\b", "/a\tb", "/\xc3\xa4", "/\x7f"};
    char path[LN_ROUTE_PATH_MAX_BYTES + 2];

    ln_routes_init(&table, &ln_alloc_libc);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(add(LN_ROUTE_HTTP, bad[i]), LN_ERR_INVALID);
    memset(path, 'a', sizeof path);
    path[0] = '/';
    path[LN_ROUTE_PATH_MAX_BYTES + 1] = '\0';
    assert_int_equal(add(LN_ROUTE_HTTP, path), LN_ERR_INVALID);
    path[LN_ROUTE_PATH_MAX_BYTES] = '\0';
    assert_int_equal(add(LN_ROUTE_HTTP, path), 0);
    assert_int_equal(table.count, 1);
    ln_routes_fini(&table);
}

static void the_number_is_bounded(void **state)
{
    (void)state;
    char path[16];

    ln_routes_init(&table, &ln_alloc_libc);
    for (int i = 0; i < LN_ROUTES_MAX; i++) {
        snprintf(path, sizeof path, "/%d", i);
        assert_int_equal(add(LN_ROUTE_HTTP, path), 0);
    }
    assert_int_equal(add(LN_ROUTE_HTTP, "/more"), LN_ERR_LIMIT);
    assert_string_equal(find("/255", false), "/255");
    ln_routes_fini(&table);
}

static int one_life(const ln_allocator *alloc, void *user)
{
    ln_route *route;
    (void)user;

    ln_routes_init(&table, alloc);
    int rc = ln_routes_add(&table, LN_ROUTE_WS, "/x", &route);
    if (rc == 0)
        rc = ln_plan_init(&route->plan, NULL,
                          &(ln_ws_options){.subprotocols = "v1", .origins = "*"}, alloc);
    ln_routes_fini(&table);
    return rc;
}

static void running_out_of_memory_leaves_nothing(void **state)
{
    (void)state;
    assert_int_equal(failing_alloc_sweep(one_life, NULL), 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_longest_match_wins),
        cmocka_unit_test(upgrades_and_requests_are_kept_apart),
        cmocka_unit_test(bad_paths_are_refused),
        cmocka_unit_test(the_number_is_bounded),
        cmocka_unit_test(running_out_of_memory_leaves_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
