/* SPDX-License-Identifier: MIT */
/* Lines as payloads and payloads as lines: what a text becomes, and that a publication stays a line. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/text.h"
#include "cli/payload.h"
#include "failing_alloc.h"

typedef int conversion(ln_buf *out, ln_span text, ln_payload_look look);

static void assert_becomes(conversion *convert, ln_payload_look look, ln_span text,
                           const char *wanted)
{
    ln_buf out;
    ln_buf_init(&out, NULL);
    assert_int_equal(ln_buf_append(&out, "<", 1, SIZE_MAX), 0); /* it is appended */
    assert_int_equal(convert(&out, text, look), 0);
    assert_int_equal(out.size, strlen(wanted) + 1);
    assert_memory_equal(out.data + 1, wanted, out.size - 1);
    ln_buf_fini(&out);
}

static void assert_refused(ln_payload_look look, ln_span text, int rc)
{
    ln_buf out;
    ln_buf_init(&out, NULL);
    assert_int_equal(ln_payload_write(&out, text, look), rc);
    assert_int_equal(out.size, 0);
    ln_buf_fini(&out);
}

static void a_text_becomes_a_string(void **state)
{
    (void)state;
    assert_becomes(ln_payload_write, LN_PAYLOAD_TEXT, LN_SPAN(""), "\"\"");
    assert_becomes(ln_payload_write, LN_PAYLOAD_TEXT, LN_SPAN("21.5"), "\"21.5\"");
    assert_becomes(ln_payload_write, LN_PAYLOAD_TEXT, LN_SPAN("\"\\\t\xc3\xa4\0"),
                   "\"\\\"\\\\\\t\xc3\xa4\\u0000\"");
    assert_becomes(ln_payload_write, LN_PAYLOAD_TEXT, LN_SPAN("\1\2\3\4"),
                   "\"\\u0001\\u0002\\u0003\\u0004\"");
    assert_refused(LN_PAYLOAD_TEXT, LN_SPAN("a\xff"), LN_ERR_ENCODING);
}

static void json_stays_as_it_is_and_nothing_else_passes(void **state)
{
    (void)state;
    assert_becomes(ln_payload_write, LN_PAYLOAD_JSON, LN_SPAN(" {\"a\": [1]} "), " {\"a\": [1]} ");
    assert_becomes(ln_payload_write, LN_PAYLOAD_JSON, LN_SPAN("null"), "null");
    assert_refused(LN_PAYLOAD_JSON, LN_SPAN(""), LN_ERR_INVALID);
    assert_refused(LN_PAYLOAD_JSON, LN_SPAN("21,5"), LN_ERR_INVALID);
    assert_refused(LN_PAYLOAD_JSON, LN_SPAN("[1,2"), LN_ERR_INVALID);
    assert_refused(LN_PAYLOAD_JSON, LN_SPAN("\"\xff\""), LN_ERR_INVALID);
}

static void a_string_is_shown_as_what_it_says(void **state)
{
    (void)state;
    assert_becomes(ln_payload_show, LN_PAYLOAD_TEXT, LN_SPAN("\"a\\tb \\u00e4\\\"\""),
                   "a\tb \xc3\xa4\"");
    assert_becomes(ln_payload_show, LN_PAYLOAD_TEXT, LN_SPAN("\"\""), "");
    assert_becomes(ln_payload_show, LN_PAYLOAD_TEXT, LN_SPAN(""), "");
    assert_becomes(ln_payload_show, LN_PAYLOAD_TEXT, LN_SPAN("{\"a\":\"\\u00e4\"}"),
                   "{\"a\":\"\\u00e4\"}");
    assert_becomes(ln_payload_show, LN_PAYLOAD_JSON, LN_SPAN("\"a\\tb\""), "\"a\\tb\"");
}

static void what_is_shown_is_one_line(void **state)
{
    (void)state;
    assert_becomes(ln_payload_show, LN_PAYLOAD_TEXT, LN_SPAN("\"a\\nb\""), "\"a\\nb\"");
    assert_becomes(ln_payload_show, LN_PAYLOAD_TEXT, LN_SPAN("\"\\u001b[2J\""), "\"\\u001b[2J\"");
    assert_becomes(ln_payload_show, LN_PAYLOAD_TEXT, LN_SPAN("{\n \"a\":\r\n1}"), "{  \"a\":  1}");
    assert_becomes(ln_payload_show, LN_PAYLOAD_JSON, LN_SPAN("[\n1\n]"), "[ 1 ]");
    assert_becomes(ln_payload_show, LN_PAYLOAD_RAW, LN_SPAN("\"a\\nb\""), "a\nb");
    assert_becomes(ln_payload_show, LN_PAYLOAD_RAW, LN_SPAN("[\n1]"), "[\n1]");
}

static int show_topic(ln_buf *out, ln_span topic, ln_payload_look look)
{
    (void)look;
    return ln_payload_show_topic(out, topic);
}

static void a_topic_is_one_word(void **state)
{
    (void)state;
    assert_becomes(show_topic, LN_PAYLOAD_TEXT, LN_SPAN("a.b-c\xc3\xa4"), "a.b-c\xc3\xa4");
    assert_becomes(show_topic, LN_PAYLOAD_TEXT, LN_SPAN("a b"), "\"a b\"");
    assert_becomes(show_topic, LN_PAYLOAD_TEXT, LN_SPAN("a\nb"), "\"a\\nb\"");
    assert_becomes(show_topic, LN_PAYLOAD_TEXT, LN_SPAN("\"a"), "\"\\\"a\"");
}

static int convert_all(const ln_allocator *alloc, void *user)
{
    ln_buf out;
    (void)user;
    ln_buf_init(&out, alloc);
    int rc = ln_payload_write(&out, LN_SPAN("a text"), LN_PAYLOAD_TEXT);
    if (rc == 0)
        rc = ln_payload_write(&out, LN_SPAN("[1]"), LN_PAYLOAD_JSON);
    if (rc == 0)
        rc = ln_payload_show(&out, LN_SPAN("\"a longer text\""), LN_PAYLOAD_TEXT);
    if (rc == 0)
        rc = ln_payload_show_topic(&out, LN_SPAN("a b"));
    ln_buf_fini(&out);
    return rc;
}

static void memory_may_run_out_anywhere(void **state)
{
    (void)state;
    assert_true(failing_alloc_sweep(convert_all, NULL) > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_text_becomes_a_string),
        cmocka_unit_test(json_stays_as_it_is_and_nothing_else_passes),
        cmocka_unit_test(a_string_is_shown_as_what_it_says),
        cmocka_unit_test(what_is_shown_is_one_line),
        cmocka_unit_test(a_topic_is_one_word),
        cmocka_unit_test(memory_may_run_out_anywhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
