/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "failing_alloc.h"
#include "proto/head.h"

enum { LIMIT = 4096 };

static const ln_head_limits limits = {.bytes_max = LIMIT, .fields_max = LN_HEAD_FIELDS_MAX};

static ln_buf out;

static int set_up(void **state)
{
    (void)state;
    ln_buf_init(&out, NULL);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    ln_buf_fini(&out);
    return 0;
}

static void assert_written(const char *text)
{
    assert_int_equal(out.size, strlen(text));
    assert_memory_equal(out.data, text, out.size);
    out.size = 0;
}

/* What was written, read back by the parser; the spans are valid until `out` changes. */
static bool read_back(ln_head_role role, ln_head *head)
{
    ln_head_parser p;
    ln_head_init(&p, role, &limits, NULL);
    const size_t used = ln_head_feed(&p, out.data, out.size);
    const bool is_read = ln_head_next(&p, head) && used == out.size;
    ln_head_fini(&p);
    return is_read;
}

static void lines_look_as_the_rfc_has_them(void **state)
{
    (void)state;
    assert_int_equal(ln_head_write_request(&out, LN_SPAN("GET"), LN_SPAN("/x?y"), LIMIT), 0);
    assert_int_equal(ln_head_write_field(&out, LN_SPAN("Host"), LN_SPAN("a:1"), LIMIT), 0);
    assert_int_equal(ln_head_write_field(&out, LN_SPAN("X"), LN_SPAN(""), LIMIT), 0);
    assert_int_equal(ln_head_write_end(&out, LIMIT), 0);
    assert_written("GET /x?y HTTP/1.1\r\nHost: a:1\r\nX: \r\n\r\n");

    assert_int_equal(ln_head_write_status(&out, 101, LIMIT), 0);
    assert_written("HTTP/1.1 101 Switching Protocols\r\n");
    assert_int_equal(ln_head_write_status(&out, 599, LIMIT), 0);
    assert_written("HTTP/1.1 599 Unknown\r\n");
}

static void a_target_without_a_path_gets_one(void **state)
{
    (void)state;
    assert_int_equal(ln_head_write_request(&out, LN_SPAN("GET"), LN_SPAN("?a=b"), LIMIT), 0);
    assert_written("GET /?a=b HTTP/1.1\r\n");
}

static void every_status_is_written_or_refused(void **state)
{
    (void)state;
    for (unsigned status = 0; status <= 1100; status++) {
        ln_head head;
        const bool is_status = status >= 100 && status <= 999;
        assert_int_equal(ln_head_write_status(&out, status, LIMIT), is_status ? 0 : LN_ERR_INVALID);
        if (!is_status) {
            assert_int_equal(out.size, 0);
            continue;
        }
        assert_int_equal(ln_head_write_end(&out, LIMIT), 0);
        assert_true(read_back(LN_HEAD_RESPONSE, &head));
        assert_int_equal(head.status, status);
        assert_true(ln_text_equal(head.reason, ln_text(ln_head_reason(status))));
        out.size = 0;
    }
}

static void reasons_are_those_of_the_registry(void **state)
{
    (void)state;
    assert_string_equal(ln_head_reason(100), "Continue");
    assert_string_equal(ln_head_reason(400), "Bad Request");
    assert_string_equal(ln_head_reason(404), "Not Found");
    assert_string_equal(ln_head_reason(405), "Method Not Allowed");
    assert_string_equal(ln_head_reason(413), "Content Too Large");
    assert_string_equal(ln_head_reason(414), "URI Too Long");
    assert_string_equal(ln_head_reason(426), "Upgrade Required");
    assert_string_equal(ln_head_reason(431), "Request Header Fields Too Large");
    assert_string_equal(ln_head_reason(501), "Not Implemented");
    assert_string_equal(ln_head_reason(503), "Service Unavailable");
    assert_string_equal(ln_head_reason(505), "HTTP Version Not Supported");
    assert_string_equal(ln_head_reason(511), "Network Authentication Required");
    assert_string_equal(ln_head_reason(512), "Unknown");
    assert_string_equal(ln_head_reason(0), "Unknown");
    assert_string_equal(ln_head_reason(418), "Unknown");
    assert_string_equal(ln_head_reason(UINT32_MAX), "Unknown");
}

/* Writes a whole request, of which one part is `part`; refused, or read back with the same parts as
 * were written. */
static void write_with(ln_span method, ln_span target, ln_span name, ln_span value)
{
    ln_head head;
    out.size = 0;
    const int line = ln_head_write_request(&out, method, target, LIMIT);
    if (line < 0) {
        assert_int_equal(line, LN_ERR_INVALID);
        assert_int_equal(out.size, 0);
        return;
    }
    assert_int_equal(ln_head_write_field(&out, LN_SPAN("Host"), LN_SPAN("a"), LIMIT), 0);
    const size_t before = out.size;
    const int field = ln_head_write_field(&out, name, value, LIMIT);
    if (field < 0) {
        assert_int_equal(field, LN_ERR_INVALID);
        assert_int_equal(out.size, before);
        return;
    }
    assert_int_equal(ln_head_write_end(&out, LIMIT), 0);
    if (!read_back(LN_HEAD_REQUEST, &head)) {
        /* a target of no form that the method has, or another Host, is well written and still no
         * request */
        assert_true(*(const char *)target.data != '/' ||
                    ln_text_equal_nocase(name, LN_SPAN("Host")));
        return;
    }
    assert_int_equal(head.field_count, 2);
    assert_true(ln_text_equal(head.method, method));
    assert_true(ln_text_equal(head.fields[1].name, name));
    assert_true(ln_text_equal(head.fields[1].value, ln_text_trim(value)));
}

static void dates_are_english_and_of_one_length(void **state)
{
    (void)state;
    static const struct {
        int64_t unix_s;
        const char *date;
    } cases[] = {
        {784111777, "Sun, 06 Nov 1994 08:49:37 GMT"}, /* RFC 9110 5.6.7 */
        {0, "Thu, 01 Jan 1970 00:00:00 GMT"},
        {951782400, "Tue, 29 Feb 2000 00:00:00 GMT"},
        {-62167219200, "Sat, 01 Jan 0000 00:00:00 GMT"},
        {253402300799, "Fri, 31 Dec 9999 23:59:59 GMT"},
        {-62167219201, ""},
        {253402300800, ""},
        {INT64_MAX, ""},
    };
    char text[LN_HEAD_DATE_SIZE];

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_true(ln_text_equal(ln_head_date(cases[i].unix_s, text), ln_text(cases[i].date)));
}

static void no_character_breaks_out_of_its_line(void **state)
{
    (void)state;
    for (int c = 0; c < 256; c++) {
        const char alone[] = {(char)c}, inside[] = {'a', (char)c, 'b'},
                   path[] = {'/', (char)c, 'b'};
        const ln_span one = {alone, 1}, three = {inside, 3}, target = {path, 3};
        const ln_span get = LN_SPAN("GET"), root = LN_SPAN("/"), name = LN_SPAN("X"),
                      value = LN_SPAN("v");

        write_with(one, root, name, value);
        write_with(three, root, name, value);
        write_with(get, one, name, value);
        write_with(get, target, name, value);
        write_with(get, root, one, value);
        write_with(get, root, three, value);
        write_with(get, root, name, one);
        write_with(get, root, name, three);

        const bool is_text = c == '\t' || (c >= 0x20 && c != 0x7f);
        out.size = 0;
        assert_int_equal(ln_head_write_field(&out, name, three, LIMIT),
                         is_text ? 0 : LN_ERR_INVALID);
    }
}

static void empty_parts_are_refused(void **state)
{
    (void)state;
    const ln_span none = {NULL, 0};
    assert_int_equal(ln_head_write_request(&out, none, LN_SPAN("/"), LIMIT), LN_ERR_INVALID);
    assert_int_equal(ln_head_write_request(&out, LN_SPAN("GET"), none, LIMIT), LN_ERR_INVALID);
    assert_int_equal(ln_head_write_field(&out, none, LN_SPAN("x"), LIMIT), LN_ERR_INVALID);
    assert_int_equal(out.size, 0);
    assert_int_equal(ln_head_write_field(&out, LN_SPAN("X"), none, LIMIT), 0);
    assert_written("X: \r\n");
}

static void a_line_fits_whole_or_not_at_all(void **state)
{
    (void)state;
    const ln_span name = LN_SPAN("Name"), value = LN_SPAN("value");
    for (size_t limit = 0; limit <= 13; limit++) {
        const int rc = ln_head_write_field(&out, name, value, limit);
        assert_int_equal(rc, limit < 13 ? LN_ERR_TOO_BIG : 0);
        assert_int_equal(out.size, limit < 13 ? 0 : 13);
    }
    assert_int_equal(ln_head_write_end(&out, 14), LN_ERR_TOO_BIG);
    assert_int_equal(ln_head_write_status(&out, 200, 20), LN_ERR_TOO_BIG);
    assert_int_equal(ln_head_write_request(&out, LN_SPAN("GET"), LN_SPAN("/"), 20), LN_ERR_TOO_BIG);
    assert_written("Name: value\r\n");
}

static int write_all(const ln_allocator *alloc, void *user)
{
    (void)user;
    char value[300];
    memset(value, 'v', sizeof value);
    ln_buf b;
    ln_buf_init(&b, alloc);
    int rc = ln_head_write_status(&b, 200, LIMIT);
    for (int i = 0; i < 4 && rc == 0; i++) {
        const size_t before = b.size;
        rc = ln_head_write_field(&b, LN_SPAN("X"), (ln_span){value, sizeof value}, LIMIT);
        assert_int_equal(b.size, rc == 0 ? before + sizeof value + 5 : before);
    }
    if (rc == 0)
        rc = ln_head_write_end(&b, LIMIT);
    ln_buf_fini(&b);
    return rc;
}

static void out_of_memory_writes_nothing(void **state)
{
    (void)state;
    assert_true(failing_alloc_sweep(write_all, NULL) >= 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(lines_look_as_the_rfc_has_them, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_target_without_a_path_gets_one, set_up, tear_down),
        cmocka_unit_test_setup_teardown(every_status_is_written_or_refused, set_up, tear_down),
        cmocka_unit_test(reasons_are_those_of_the_registry),
        cmocka_unit_test(dates_are_english_and_of_one_length),
        cmocka_unit_test_setup_teardown(no_character_breaks_out_of_its_line, set_up, tear_down),
        cmocka_unit_test_setup_teardown(empty_parts_are_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_line_fits_whole_or_not_at_all, set_up, tear_down),
        cmocka_unit_test(out_of_memory_writes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
