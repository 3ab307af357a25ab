/* SPDX-License-Identifier: MIT */
/* The book of pages that hot reload knows: what is told of them, byte for byte, and every bound. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/text.h"
#include "cli/reloadbook.h"
#include "failing_alloc.h"

enum { NOW_S = 1767225600 }; /* 2026-01-01 */

static ln_reloadbook book;

static int set_up(void **state)
{
    (void)state;
    ln_reloadbook_init(&book, NULL);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    ln_reloadbook_fini(&book);
    return 0;
}

static void see(ln_conn_id conn, const char *id, const char *url, bool is_ready)
{
    const ln_reloadbook_who who = {.conn = conn, .id = ln_text(id), .url = ln_text(url)};
    assert_int_equal(ln_reloadbook_see(&book, &who, is_ready, NOW_S), 0);
}

static int report(ln_conn_id conn, ln_span payload, int64_t now_s)
{
    static ln_reloadbook_error error;
    const int rc = ln_reloadbook_read(&book, payload, now_s, &error);
    return rc == 0 ? ln_reloadbook_keep(&book, conn, &error, now_s) : rc;
}

static void assert_status(const char *wanted)
{
    ln_buf out;
    ln_buf_init(&out, NULL);
    assert_int_equal(ln_reloadbook_write(&book, &out), 0);
    assert_int_equal(ln_buf_append(&out, "", 1, SIZE_MAX), 0);
    assert_string_equal((char *)out.data, wanted);
    ln_buf_fini(&out);
}

static void the_status_is_that_of_the_protocol(void **state)
{
    (void)state;
    assert_status("{\"clients\":[]}");
    see(1, "one", "http://a/\"x\"", true);
    see(2, "two", NULL, false);
    assert_int_equal(report(2,
                            LN_SPAN("{\"message\":\"a\\u00e4\\n\",\"filename\":\"f.js\","
                                    "\"lineno\":3,\"colno\":14,\"stack\":\"s\","
                                    "\"timestamp\":\"then\"}"),
                            NOW_S + 1),
                     0);
    assert_int_equal(report(2, LN_SPAN("{}"), NOW_S + 61), 0);
    assert_status("{\"clients\":[{\"id\":\"one\",\"status\":\"ready\",\"url\":\"http://a/"
                  "\\\"x\\\"\",\"lastSeen\":\"2026-01-01T00:00:00Z\"},"
                  "{\"id\":\"two\",\"status\":\"connected\",\"lastSeen\":\"2026-01-01T00:01:01Z\","
                  "\"errors\":[{\"message\":\"a\xc3\xa4\\n\",\"filename\":\"f.js\",\"line\":3,"
                  "\"column\":14,\"stack\":\"s\",\"timestamp\":\"then\"},"
                  "{\"message\":\"Unknown error\",\"timestamp\":\"2026-01-01T00:01:01Z\"}]}]}");
}

static void a_page_is_one_however_often_it_is_seen(void **state)
{
    (void)state;
    see(7, "id", "http://a/", false);
    assert_int_equal(ln_reloadbook_ready(&book), 0);
    see(7, "id", NULL, true);
    see(7, "id", "http://b/", false);
    assert_int_equal(ln_reloadbook_ready(&book), 1);
    assert_status("{\"clients\":[{\"id\":\"id\",\"status\":\"ready\",\"url\":\"http://b/\","
                  "\"lastSeen\":\"2026-01-01T00:00:00Z\"}]}");
    ln_reloadbook_forget(&book, 8);
    ln_reloadbook_forget(&book, 7);
    assert_status("{\"clients\":[]}");
    assert_int_equal(report(7, LN_SPAN("{}"), NOW_S), LN_ERR_NOT_FOUND);
}

static void what_is_not_what_it_should_be_counts_as_absent(void **state)
{
    (void)state;
    static const char *const odd[] = {
        "[]",
        "7",
        "",
        "{\"message\":7,\"filename\":[],\"lineno\":\"3\",\"colno\":-1,\"stack\":{}}",
        "{\"lineno\":0,\"colno\":1e300,\"timestamp\":null}",
        "{\"message\":\"a\",\"message\":\"b\"}",
    };
    see(1, "x", NULL, true);
    for (size_t i = 0; i < LN_ARRAY_SIZE(odd); i++) {
        ln_reloadbook_error error;
        assert_int_equal(ln_reloadbook_read(&book, ln_text(odd[i]), NOW_S, &error), 0);
        assert_string_equal(error.message, "Unknown error");
        assert_string_equal(error.file, "");
        assert_int_equal(error.line, 0);
        assert_int_equal(error.column, 0);
        assert_string_equal(error.stamp, "2026-01-01T00:00:00Z");
    }
}

/* {"message":"...","filename":"...","stack":"..."} of 2-byte characters, behind one of 1. */
static char *large_payload(size_t characters)
{
    char *const json = malloc(3 * (2 * characters + 64)), *at = json;
    static const char *const names[] = {"{\"message\":\"x", "\",\"filename\":\"x",
                                        "\",\"stack\":\"x"};

    assert_non_null(json);
    for (size_t i = 0; i < 3; i++) {
        at += sprintf(at, "%s", names[i]);
        for (size_t n = 0; n < characters; n++)
            at += sprintf(at, "\xc3\xa4");
    }
    sprintf(at, "\"}");
    return json;
}

static void texts_are_cut_between_characters(void **state)
{
    (void)state;
    static ln_reloadbook_error error;
    char *const json = large_payload(20000);

    assert_int_equal(ln_reloadbook_read(&book, ln_text(json), NOW_S, &error), 0);
    assert_int_equal(strlen(error.message), LN_RELOADBOOK_TEXT_MAX_BYTES - 1);
    assert_int_equal(strlen(error.file), LN_RELOADBOOK_NAME_MAX_BYTES - 1);
    assert_int_equal(strlen(error.stack), LN_RELOADBOOK_STACK_MAX_BYTES - 1);
    see(1, "x", NULL, true);
    assert_int_equal(ln_reloadbook_keep(&book, 1, &error, NOW_S), 0);

    const ln_reloadbook_who who = {.conn = 2, .id = ln_text(json), .url = ln_text(json)};
    assert_int_equal(ln_reloadbook_see(&book, &who, false, NOW_S), 0);
    assert_true(strlen(book.pages[1]->id) <= LN_RELOADBOOK_NAME_MAX_BYTES);
    assert_true(strlen(book.pages[1]->url) <= LN_RELOADBOOK_NAME_MAX_BYTES);
    free(json);
}

static void report_number(ln_conn_id conn, unsigned number)
{
    char json[64];
    snprintf(json, sizeof json, "{\"message\":\"%u\"}", number);
    assert_int_equal(report(conn, ln_text(json), NOW_S), 0);
}

static void assert_first(const ln_reloadbook_page *page, const char *message)
{
    char wanted[64];
    snprintf(wanted, sizeof wanted, "{\"message\":\"%s\"", message);
    assert_memory_equal(page->errors[page->first], wanted, strlen(wanted));
}

static void a_page_keeps_its_latest_errors(void **state)
{
    (void)state;
    see(1, "x", NULL, true);
    for (unsigned i = 0; i < LN_RELOADBOOK_ERRORS_MAX + 7; i++)
        report_number(1, i);
    assert_int_equal(book.pages[0]->count, LN_RELOADBOOK_ERRORS_MAX);
    assert_int_equal(book.errors, LN_RELOADBOOK_ERRORS_MAX);
    assert_first(book.pages[0], "7");
}

static void all_pages_together_keep_so_many(void **state)
{
    (void)state;
    const unsigned pages = LN_RELOADBOOK_TOTAL_MAX / LN_RELOADBOOK_ERRORS_MAX + 2;
    unsigned number = 0;

    for (unsigned page = 1; page <= pages; page++) {
        see(page, "x", NULL, true);
        for (unsigned i = 0; i < LN_RELOADBOOK_ERRORS_MAX; i++)
            report_number(page, number++);
    }
    assert_int_equal(book.errors, LN_RELOADBOOK_TOTAL_MAX);
    assert_int_equal(book.pages[0]->count, 0);
    assert_int_equal(book.pages[pages - 1]->count, LN_RELOADBOOK_ERRORS_MAX);
}

static void the_page_not_seen_for_longest_makes_room(void **state)
{
    (void)state;
    for (ln_conn_id conn = 1; conn <= LN_RELOADBOOK_PAGES_MAX; conn++) {
        const ln_reloadbook_who who = {.conn = conn, .id = LN_SPAN("x")};
        assert_int_equal(
            ln_reloadbook_see(&book, &who, true, conn == 500 ? NOW_S : NOW_S + (int64_t)conn), 0);
    }
    see(LN_RELOADBOOK_PAGES_MAX + 1, "x", NULL, true);
    assert_int_equal(book.count, LN_RELOADBOOK_PAGES_MAX);
    assert_int_equal(report(500, LN_SPAN("{}"), NOW_S), LN_ERR_NOT_FOUND);
    assert_int_equal(report(1, LN_SPAN("{}"), NOW_S), 0);
}

static int one_life(const ln_allocator *alloc, void *user)
{
    ln_reloadbook b;
    ln_reloadbook_error error;
    ln_buf out;
    const ln_reloadbook_who who = {.conn = 1, .id = LN_SPAN("x"), .url = LN_SPAN("http://a/")};

    (void)user;
    ln_reloadbook_init(&b, alloc);
    ln_buf_init(&out, alloc);
    int rc = ln_reloadbook_see(&b, &who, true, NOW_S);
    if (rc == 0)
        rc = ln_reloadbook_read(&b, LN_SPAN("{\"message\":\"boom\"}"), NOW_S, &error);
    if (rc == 0)
        rc = ln_reloadbook_keep(&b, 1, &error, NOW_S);
    if (rc == 0)
        rc = ln_reloadbook_write(&b, &out);
    ln_buf_fini(&out);
    ln_reloadbook_fini(&b);
    return rc;
}

static void memory_may_run_out_anywhere(void **state)
{
    (void)state;
    assert_true(failing_alloc_sweep(one_life, NULL) > 0);
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(the_status_is_that_of_the_protocol),
        CASE(a_page_is_one_however_often_it_is_seen),
        CASE(what_is_not_what_it_should_be_counts_as_absent),
        CASE(texts_are_cut_between_characters),
        CASE(a_page_keeps_its_latest_errors),
        CASE(all_pages_together_keep_so_many),
        CASE(the_page_not_seen_for_longest_makes_room),
        CASE(memory_may_run_out_anywhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
