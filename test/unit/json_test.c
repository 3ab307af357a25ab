/* SPDX-License-Identifier: MIT */
/*
 * The JSON reader: what RFC 8259 allows and what it does not, each production and each error once,
 * and where it leaves a choice, ours.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "guard_page.h"
#include "linear_time.h"
#include "proto/json.h"
#include "proto/jsonscan.h"

/* ---- whole texts ---- */

typedef struct sample {
    const char *bytes;
    size_t size;
} sample;

#define T(literal)                                                                                 \
    {                                                                                              \
        literal, sizeof(literal) - 1                                                               \
    }
#define BAD(at, literal)                                                                           \
    {                                                                                              \
        {literal, sizeof(literal) - 1}, at                                                         \
    }

static const sample good[] = {
    /* values of each kind, alone */
    T("null"),
    T("true"),
    T("false"),
    T("0"),
    T("\"\""),
    T("[]"),
    T("{}"),
    T("\"a\""),
    T("42"),
    /* blanks: RFC 8259 2 */
    T(" 1"),
    T("1 "),
    T("\t\n\r 1 \r\n\t"),
    T("[ ]"),
    T("{ }"),
    T(" [ 1 , 2 ] "),
    T("{ \"a\" : 1 , \"b\" : 2 }"),
    T("[1\n,\r2\t,3]"),
    /* numbers: 6 */
    T("-0"),
    T("-1"),
    T("10"),
    T("1234567890"),
    T("0.5"),
    T("-0.5"),
    T("1.0"),
    T("0.0"),
    T("1e5"),
    T("1E5"),
    T("1e+5"),
    T("1e-5"),
    T("1.5e10"),
    T("0e0"),
    T("0e1"),
    T("0E+1"),
    T("-0e-0"),
    T("1e0000005"),
    T("1.000000000000000005"),
    T("123456789012345678901234567890"),
    T("1e308"),
    T("1.7976931348623157e308"),
    T("-1.7976931348623157e308"),
    T("1e-400"),
    T("5e-324"),
    T("0e99999"),
    T("1e-99999999999999999999"),
    T("0.0000000000000000000000000000000000000000000000"
      "00000000000000000000000000001"),
    T("0.000000000000000000000000000000000000001e340"),
    /* strings: 7 */
    T("\" \""),
    T("\"/\""),
    T("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\""),
    T("\"\\u0000\""),
    T("\"\\u00e4\""),
    T("\"\\u00E4\""),
    T("\"\\uD7FF\""),
    T("\"\\uE000\""),
    T("\"\\uFFFF\""),
    T("\"\\uD800\\uDC00\""),
    T("\"\\udbff\\udfff\""),
    T("\"\\uD83D\\uDE00\\uD83D\\uDE00\""),
    T("\"\x7f\""),
    T("\"\xc3\xa4\""),
    T("\"\xe2\x80\xa8\xe2\x80\xa9\""),
    T("\"\xf0\x9f\x98\x80\""),
    T("\"\xf4\x8f\xbf\xbf\""),
    T("\"\xef\xbb\xbf\""),
    T("\"\xef\xbf\xbe\""),
    T("\"\\\\u12\""),
    T("\"[{,:}]\""),
    T("\"a b\\u0020c\""),
    T("\"\\\\\""),
    T("\"\\\"\""),
    /* arrays and objects: 4, 5 */
    T("[1]"),
    T("[1,2]"),
    T("[[]]"),
    T("[[],[]]"),
    T("[{}]"),
    T("[null,true,false,0,\"\",[],{}]"),
    T("{\"a\":1}"),
    T("{\"\":0}"),
    T("{\"a\":{\"b\":[{}]}}"),
    T("{\"a\":1,\"a\":2}"),
    T("{\"\\u0061\":1}"),
    T("[[[[[[[[1]]]]]]]]"),
    T("{\"a\":[],\"b\":{}}"),
};

typedef struct bad_text {
    sample text;
    size_t at; /* where it shows */
} bad_text;

static const bad_text bad[] = {
    /* nothing, or more than one value */
    BAD(0, ""),
    BAD(1, " "),
    BAD(2, "1 2"),
    BAD(2, "[]]"),
    BAD(2, "{}}"),
    BAD(2, "[][]"),
    BAD(2, "\"\"\"\""),
    BAD(1, "1,"),
    BAD(4, "null,"),
    BAD(2, "{}#"),
    BAD(1, "1\xc3\xa4"),
    BAD(1, "1\0"),
    BAD(2, "[]\f"),
    /* words */
    BAD(0, "nul"),
    BAD(0, "Null"),
    BAD(0, "TRUE"),
    BAD(0, "tru"),
    BAD(4, "truex"),
    BAD(0, "fals"),
    BAD(0, "nan"),
    BAD(0, "NaN"),
    BAD(0, "Infinity"),
    BAD(0, "-Infinity"),
    BAD(0, "undefined"),
    BAD(0, "a"),
    BAD(0, "'a'"),
    BAD(0, "\xef\xbb\xbf{}"),
    BAD(0, "\x00"),
    BAD(0, "\xff"),
    BAD(0, "/**/1"),
    BAD(2, "1 //"),
    BAD(0, "\v1"),
    BAD(0, "\xc2\xa0"
           "1"),
    BAD(0, "="),
    /* numbers */
    BAD(0, "-"),
    BAD(0, "+1"),
    BAD(0, "--1"),
    BAD(0, "01"),
    BAD(0, "-01"),
    BAD(0, "00"),
    BAD(0, "1."),
    BAD(0, "-1."),
    BAD(0, ".5"),
    BAD(0, "-.5"),
    BAD(0, "1.e5"),
    BAD(0, "1e"),
    BAD(0, "1E+"),
    BAD(0, "1e-"),
    BAD(3, "1e5.5"),
    BAD(1, "0x10"),
    BAD(1, "1_000"),
    BAD(3, "1.5.5"),
    BAD(2, "1 .5"),
    BAD(0, "- 1"),
    BAD(1, "1a"),
    BAD(2, "12f"),
    BAD(1, "1+1"),
    BAD(0, "\xef\xbc\x91"),
    BAD(0, "1e309"),
    BAD(0, "-1e309"),
    BAD(0, "1e400"),
    BAD(0, "1.8e308"),
    BAD(0, "10e308"),
    BAD(0, "1e99999999999999999999"),
    BAD(0, "1E+0000000000000000000400"),
    BAD(0,
        "1797693134862315708145274237317043567980705675258449965989174768031572607800285387605895"
        "58632766878171540458953514382464234e200"),
    /* strings */
    BAD(1, "\""),
    BAD(2, "\"a"),
    BAD(2, "\"a\n\""),
    BAD(1, "\"\0\""),
    BAD(1, "\"\x1f\""),
    BAD(1, "\"\t\""),
    BAD(3, "\"\\\""),
    BAD(1, "\"\\a\""),
    BAD(1, "\"\\x41\""),
    BAD(1, "\"\\'\""),
    BAD(1, "\"\\0\""),
    BAD(1, "\"\\\0\""),
    BAD(1, "\"\\"),
    BAD(1, "\"\\u\""),
    BAD(1, "\"\\u1\""),
    BAD(1, "\"\\u12\""),
    BAD(1, "\"\\u123\""),
    BAD(1, "\"\\u12g4\""),
    BAD(1, "\"\\u-123\""),
    BAD(1, "\"\\u 123\""),
    BAD(1, "\"\\U0041\""),
    BAD(1, "\"\\u123"),
    BAD(1, "\"\\\xf0\x9f\x98\x80\""),
    BAD(1, "\"\\uD800\""),
    BAD(1, "\"\\uDC00\""),
    BAD(1, "\"\\uDFFF\""),
    BAD(1, "\"\\uD800\\uD800\""),
    BAD(1, "\"\\uD800\\n\""),
    BAD(1, "\"\\uD800x\""),
    BAD(1, "\"\\uD800\\u0041\""),
    BAD(1, "\"\\uD800\\u\""),
    BAD(1, "\"\\uDC00\\uD800\""),
    BAD(2, "\"a\\uDBFF\\uE000\""),
    BAD(13, "\"\\uD800\\uDC00\\uDC00\""),
    BAD(1, "\"\\uD800\\uDC0"),
    /* UTF-8 in them: RFC 3629 */
    BAD(1, "\"\x80\""),
    BAD(1, "\"\xff\""),
    BAD(1, "\"\xc0\xaf\""),
    BAD(2, "\"\xe0\x80\x80\""),
    BAD(2, "\"\xed\xa0\x80\""),
    BAD(2, "\"\xf4\x90\x80\x80\""),
    BAD(3, "\"\xe2\x82\""),
    BAD(2, "\"\xc3\""),
    BAD(3, "\"a\xc3\xc3\xa4\""),
    BAD(2, "\"\xe4\\u0020\""),
    /* arrays */
    BAD(1, "["),
    BAD(0, "]"),
    BAD(1, "[,]"),
    BAD(1, "[,1]"),
    BAD(3, "[1,]"),
    BAD(3, "[1,,2]"),
    BAD(3, "[1 2]"),
    BAD(2, "[1"),
    BAD(3, "[1,"),
    BAD(2, "[1}"),
    BAD(2, "[1:2]"),
    BAD(1, "[}"),
    BAD(3, "[\"\""),
    BAD(3, "[[]"),
    BAD(4, "[\"a\":1]"),
    BAD(1, "[*]"),
    BAD(2, "[1;2]"),
    /* objects */
    BAD(1, "{"),
    BAD(0, "}"),
    BAD(1, "{]"),
    BAD(1, "{,}"),
    BAD(1, "{1:1}"),
    BAD(1, "{a:1}"),
    BAD(1, "{'a':1}"),
    BAD(1, "{null:1}"),
    BAD(1, "{[]:1}"),
    BAD(4, "{\"a\"}"),
    BAD(4, "{\"a\""),
    BAD(4, "{\"a\",1}"),
    BAD(5, "{\"a\" 1}"),
    BAD(5, "{\"a\":}"),
    BAD(5, "{\"a\":"),
    BAD(5, "{\"a\":,}"),
    BAD(6, "{\"a\":1"),
    BAD(7, "{\"a\":1,}"),
    BAD(7, "{\"a\":1,,\"b\":2}"),
    BAD(7, "{\"a\":1 \"b\":2}"),
    BAD(6, "{\"a\":1]"),
    BAD(5, "{\"a\"::1}"),
    BAD(7, "{\"a\":1,2}"),
    BAD(7, "{\"a\":1,"),
    BAD(6, "{\"a\":1:2}"),
    BAD(1, "{{}:1}"),
    BAD(6, "{\"a\":1=1}"),
    BAD(2, "{\"\xff\":1}"),
    BAD(2, "{\"\\x\":1}"),
};

static ln_json_value token;

/* Reads it to its end, where the next byte may not be touched: NULL, or what is wrong and *at. */
static const char *fault_of(ln_span s, size_t *at)
{
    ln_json j;
    ln_json_init(&j, s);
    ln_json_finish(&j);
    const char *const fault = ln_json_fault(&j, at);
    /* it stays as it is */
    assert_int_equal(ln_json_next(&j, &token), fault == NULL ? LN_JSON_DONE : LN_JSON_FAULT);
    assert_int_equal(ln_json_next(&j, &token), fault == NULL ? LN_JSON_DONE : LN_JSON_FAULT);
    assert_ptr_equal(ln_json_fault(&j, NULL), fault);
    return fault;
}

static void what_the_grammar_allows_is_read(void **state)
{
    (void)state;
    for (size_t i = 0; i < LN_ARRAY_SIZE(good); i++) {
        const ln_span s = guard_page_bytes(good[i].bytes, good[i].size);
        size_t at = 0;
        const char *const fault = fault_of(s, &at);
        if (fault != NULL)
            fail_msg("%s: %s at %zu", good[i].bytes, fault, at);
    }
}

static void what_it_does_not_allow_is_refused_where_it_shows(void **state)
{
    (void)state;
    for (size_t i = 0; i < LN_ARRAY_SIZE(bad); i++) {
        const ln_span s = guard_page_bytes(bad[i].text.bytes, bad[i].text.size);
        size_t at = 0;
        const char *const fault = fault_of(s, &at);
        if (fault == NULL || at != bad[i].at)
            fail_msg("%s: %s at %zu, not %zu", bad[i].text.bytes, fault, at, bad[i].at);
    }
}

/* The same inside of others, where other states of the reader meet them. */
static void a_text_is_judged_the_same_within_another(void **state)
{
    static const char *const around[][2] = {
        {"[", "]"}, {"{\"k\":", "}"}, {"[0,", ",0]"}, {"{\"\":{\"k\":[[", "]]}}"}};
    char room[600];
    (void)state;
    for (size_t a = 0; a < LN_ARRAY_SIZE(around); a++) {
        const size_t before = strlen(around[a][0]), behind = strlen(around[a][1]);
        for (size_t i = 0; i < LN_ARRAY_SIZE(good) + LN_ARRAY_SIZE(bad); i++) {
            const bool is_good = i < LN_ARRAY_SIZE(good);
            const sample t = is_good ? good[i] : bad[i - LN_ARRAY_SIZE(good)].text;
            memcpy(room, around[a][0], before);
            memcpy(room + before, t.bytes, t.size);
            memcpy(room + before + t.size, around[a][1], behind);
            size_t at;
            const char *const fault =
                fault_of(guard_page_bytes(room, before + t.size + behind), &at);
            const bool is_list =
                !is_good &&
                (strchr(t.bytes, ',') != NULL || strchr(t.bytes, ']') != NULL ||
                 strchr(t.bytes, '}') != NULL || t.bytes[0] == '\0' || t.bytes[0] == ' ');
            if ((fault == NULL) != is_good &&
                !is_list) /* "1,2" may be elements of what is around */
                fail_msg("%.*s: %s", (int)(before + t.size + behind), room,
                         fault == NULL ? "read" : fault);
        }
    }
}

static void every_beginning_of_a_text_is_refused_or_a_value(void **state)
{
    static const char whole[] =
        "[-1.5e+3,{\"k\\u00e4\":[true,false,null],\"\xc3\xa4\":\"\\ud83d\\ude00\"},"
        "\"\\\\\"]";
    (void)state;
    for (size_t n = 0; n < sizeof whole - 1; n++) {
        size_t at;
        assert_non_null(fault_of(guard_page_bytes(whole, n), &at));
        assert_true(at <= n);
    }
    assert_null(fault_of(guard_page_text(whole), NULL));
}

static void nesting_ends_at_its_limit(void **state)
{
    char room[3 * LN_JSON_DEPTH_MAX + 8];
    (void)state;
    for (int depth = LN_JSON_DEPTH_MAX - 1; depth <= LN_JSON_DEPTH_MAX + 1; depth++) {
        const bool fits = depth <= LN_JSON_DEPTH_MAX;
        size_t at = 0;
        memset(room, '[', (size_t)depth);
        memset(room + depth, ']', (size_t)depth);
        assert_int_equal(fault_of(guard_page_bytes(room, 2 * (size_t)depth), &at) == NULL, fits);
        assert_int_equal(at, fits ? 0 : LN_JSON_DEPTH_MAX);
        size_t n = 0;
        for (int i = 0; i < depth - 1; i++)
            room[n++] = '[';
        room[n++] = '{';
        room[n++] = '}';
        for (int i = 0; i < depth - 1; i++)
            room[n++] = ']';
        assert_int_equal(fault_of(guard_page_bytes(room, n), &at) == NULL, fits);
    }
}

static void a_number_has_a_longest_length(void **state)
{
    char room[LN_JSON_NUMBER_MAX_BYTES + 1];
    (void)state;
    memset(room, '1', sizeof room);
    assert_null(fault_of(guard_page_bytes(room, LN_JSON_NUMBER_MAX_BYTES), NULL));
    assert_non_null(fault_of(guard_page_bytes(room, LN_JSON_NUMBER_MAX_BYTES + 1), NULL));
}

static void a_million_brackets_cost_nothing(void **state)
{
    enum { MILLION = 1000000 };
    char *const room = malloc(MILLION);
    (void)state;
    memset(room, '[', MILLION);
    const uint64_t before = linear_time_now_ns();
    size_t at;
    assert_non_null(fault_of((ln_span){room, MILLION}, &at));
    assert_true(linear_time_now_ns() - before < 1000000);
    assert_int_equal(at, LN_JSON_DEPTH_MAX);
    free(room);
}

/* `n` bytes of what is nearly a string's end, over and over. */
static void read_escapes(void *user, size_t n)
{
    const char *const pattern = user;
    const size_t size = strlen(pattern);
    char *const room = malloc(n * size + 2);

    room[0] = '"';
    for (size_t i = 0; i < n; i++)
        memcpy(room + 1 + i * size, pattern, size);
    room[1 + n * size] = '"';
    ln_json j;
    ln_json_init(&j, (ln_span){room, n * size + 2});
    assert_true(ln_json_finish(&j));
    free(room);
}

static void time_grows_with_the_text(void **state)
{
    static const char *const patterns[] = {"\\u00e4", "\\\"", "\xc3\xa4", "a\xc3\xa4\\n",
                                           "\\ud83d\\ude00"};
    (void)state;
    for (size_t i = 0; i < LN_ARRAY_SIZE(patterns); i++)
        linear_time_assert(read_escapes, (void *)(uintptr_t)patterns[i], 4096);
}

/* ---- tokens ---- */

static void tokens_are_what_stands_there(void **state)
{
    static const struct {
        ln_json_type type;
        const char *text;
    } wanted[] = {
        {LN_JSON_OBJECT, "{"},      {LN_JSON_KEY, "\"a\""},    {LN_JSON_ARRAY, "["},
        {LN_JSON_NUMBER, "-1.5e3"}, {LN_JSON_TRUE, "true"},    {LN_JSON_FALSE, "false"},
        {LN_JSON_NULL, "null"},     {LN_JSON_ARRAY_END, "]"},  {LN_JSON_KEY, "\"\\u0062\""},
        {LN_JSON_STRING, "\"x\""},  {LN_JSON_KEY, "\"c\""},    {LN_JSON_OBJECT, "{"},
        {LN_JSON_OBJECT_END, "}"},  {LN_JSON_OBJECT_END, "}"}, {LN_JSON_DONE, ""},
        {LN_JSON_DONE, ""},
    };
    ln_json j;
    (void)state;
    ln_json_init(&j,
                 guard_page_text(" { \"a\" : [ -1.5e3 , true,false, null ] , \"\\u0062\":\"x\" ,"
                                 "\"c\":{ } } "));
    for (size_t i = 0; i < LN_ARRAY_SIZE(wanted); i++) {
        assert_int_equal(ln_json_next(&j, &token), wanted[i].type);
        assert_int_equal(token.type, wanted[i].type);
        assert_int_equal(token.text.size, strlen(wanted[i].text));
        assert_memory_equal(token.text.data, wanted[i].text, token.text.size);
    }
}

static void assert_value(ln_json_value v, ln_json_type type, const char *text)
{
    assert_int_equal(v.type, type);
    assert_int_equal(v.text.size, strlen(text));
    assert_memory_equal(v.text.data, text, v.text.size);
}

static void values_are_passed_over_whole(void **state)
{
    ln_json_value v;
    ln_span key;
    ln_json j;
    (void)state;
    ln_json_init(&j, guard_page_text("{\"a\":[1,[2,{\"x\":[]}]],\"b\": {\"c\":null} ,\"d\":7}"));
    assert_int_equal(ln_json_next(&j, &v), LN_JSON_OBJECT);
    assert_true(ln_json_next_member(&j, &key, &v));
    assert_value((ln_json_value){LN_JSON_KEY, key}, LN_JSON_KEY, "\"a\"");
    assert_value(v, LN_JSON_ARRAY, "[1,[2,{\"x\":[]}]]");
    assert_true(ln_json_next_member(&j, &key, &v));
    assert_value(v, LN_JSON_OBJECT, "{\"c\":null}");
    assert_true(ln_json_next_member(&j, &key, &v));
    assert_value(v, LN_JSON_NUMBER, "7");
    assert_false(ln_json_next_member(&j, &key, &v));
    assert_null(ln_json_fault(&j, NULL));
    assert_int_equal(ln_json_next_value(&j, &v), LN_JSON_DONE);

    ln_json_init(&j, guard_page_text("[1,{},[]]"));
    assert_int_equal(ln_json_next(&j, &v), LN_JSON_ARRAY);
    assert_int_equal(ln_json_next_value(&j, &v), LN_JSON_NUMBER);
    assert_int_equal(ln_json_next_value(&j, &v), LN_JSON_OBJECT);
    assert_value(v, LN_JSON_OBJECT, "{}");
    assert_int_equal(ln_json_next_value(&j, &v), LN_JSON_ARRAY);
    assert_value(v, LN_JSON_ARRAY, "[]");
    assert_int_equal(ln_json_next_value(&j, &v), LN_JSON_NONE);
    assert_int_equal(ln_json_next_value(&j, &v), LN_JSON_DONE);

    ln_json_init(&j, guard_page_text("[[1,2"));
    assert_int_equal(ln_json_next(&j, &v), LN_JSON_ARRAY);
    assert_int_equal(ln_json_next_value(&j, &v), LN_JSON_FAULT);
}

static void an_objects_reader_learns_of_repetitions(void **state)
{
    ln_json_field f[] = {{.name = "id"}, {.name = "k\xc3\xa4"}, {.name = "none"}};
    ln_json j;
    (void)state;
    ln_json_init(&j, guard_page_text(
                         "{\"id\":1,\"x\":{\"id\":0},\"k\\u00e4\":2,\"\\u0069d\":[3],\"ID\":4}"));
    assert_int_equal(ln_json_next(&j, &token), LN_JSON_OBJECT);
    assert_true(ln_json_read_fields(&j, f, LN_ARRAY_SIZE(f)));
    assert_int_equal(f[0].count, 2);
    assert_value(f[0].value, LN_JSON_ARRAY, "[3]");
    assert_int_equal(f[1].count, 1);
    assert_value(f[1].value, LN_JSON_NUMBER, "2");
    assert_int_equal(f[2].count, 0);
    assert_int_equal(f[2].value.type, LN_JSON_NONE);
    assert_true(ln_json_finish(&j));

    ln_json_init(&j, guard_page_text("{\"id\":1,"));
    assert_int_equal(ln_json_next(&j, &token), LN_JSON_OBJECT);
    assert_false(ln_json_read_fields(&j, f, LN_ARRAY_SIZE(f)));
}

/* ---- what values mean ---- */

static void strings_are_decoded(void **state)
{
    static const struct {
        sample raw, meant;
    } pairs[] = {
        {T("\"\""), T("")},
        {T("\"plain\""), T("plain")},
        {T("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\""), T("\"\\/\b\f\n\r\t")},
        {T("\"a\\u0000b\""), T("a\0b")},
        {T("\"\\u007f\\u0080\\u07FF\\u0800\\uffff\""),
         T("\x7f\xc2\x80\xdf\xbf\xe0\xa0\x80\xef\xbf\xbf")},
        {T("\"\\uD800\\uDC00\\uDBFF\\uDFFF\""), T("\xf0\x90\x80\x80\xf4\x8f\xbf\xbf")},
        {T("\"\xc3\xa4\\n\xc3\xa4\""), T("\xc3\xa4\n\xc3\xa4")},
    };
    (void)state;
    for (size_t i = 0; i < LN_ARRAY_SIZE(pairs); i++) {
        uint8_t room[64];
        const ln_span raw = guard_page_bytes(pairs[i].raw.bytes, pairs[i].raw.size);
        const ln_span meant = {pairs[i].meant.bytes, pairs[i].meant.size};
        assert_int_equal(ln_json_decode(raw, room), meant.size);
        assert_memory_equal(room, meant.data, meant.size);
        assert_true(ln_json_is(raw, meant));
        assert_int_equal(ln_json_is(raw, (ln_span){meant.data, meant.size / 2}), meant.size == 0);
        assert_false(ln_json_is(raw, LN_SPAN("something else of some length")));
    }
    /* an escape is not the characters that it is written with */
    assert_false(ln_json_is(LN_SPAN("\"\\n\""), LN_SPAN("\\n")));
}

static void numbers_have_their_value(void **state)
{
    static const struct {
        const char *text;
        double wanted;
    } doubles[] = {{"0", 0},
                   {"-1.5", -1.5},
                   {"1e3", 1000},
                   {"1.25e-2", 0.0125},
                   {"0.1", 0.1},
                   {"1e308", 1e308},
                   {"5e-324", 5e-324},
                   {"1e-400", 0},
                   {"123.456e7", 123.456e7},
                   {"2.5E+1", 25},
                   {"1e-99999999999", 0}};
    static const struct {
        const char *text;
        int rc;
        int64_t wanted;
    } integers[] = {{"0", 0, 0},
                    {"-0", 0, 0},
                    {"-17", 0, -17},
                    {"9223372036854775807", 0, INT64_MAX},
                    {"-9223372036854775808", 0, INT64_MIN},
                    {"9223372036854775808", LN_ERR_LIMIT, 0},
                    {"1.0", 0, 1},
                    {"-2.5e1", 0, -25},
                    {"1e3", 0, 1000},
                    {"1.5", LN_ERR_INVALID, 0},
                    {"1e300", LN_ERR_LIMIT, 0},
                    {"1e-3", LN_ERR_INVALID, 0}};
    (void)state;
    for (size_t i = 0; i < LN_ARRAY_SIZE(doubles); i++) {
        double d = -7;
        assert_int_equal(ln_json_double(guard_page_text(doubles[i].text), &d), 0);
        assert_memory_equal(&d, &doubles[i].wanted, sizeof d);
    }
    for (size_t i = 0; i < LN_ARRAY_SIZE(integers); i++) {
        int64_t n = -7;
        assert_int_equal(ln_json_integer(guard_page_text(integers[i].text), &n), integers[i].rc);
        assert_true(n == (integers[i].rc == 0 ? integers[i].wanted : -7));
    }
}

/* ---- for applications ---- */

static void applications_find_members_and_elements(void **state)
{
    const ln_span object = guard_page_text("{\"a\":1,\"b\":{\"a\":2},\"c\":3,\"c\":4}");
    const ln_span array = guard_page_text("[\"x\",[],{}]");
    ln_span v = LN_SPAN("untouched");
    (void)state;
    assert_int_equal(ln_json_find(object, "a", 9, &v), 0);
    assert_value((ln_json_value){LN_JSON_NONE, v}, LN_JSON_NONE, "1");
    assert_int_equal(ln_json_find(object, "b", 9, &v), 0);
    assert_value((ln_json_value){LN_JSON_NONE, v}, LN_JSON_NONE, "{\"a\":2}");
    assert_int_equal(ln_json_find(object, "c", 9, &v), LN_ERR_EXISTS);
    assert_int_equal(ln_json_find(object, "d", 0, &v), LN_ERR_NOT_FOUND);
    assert_int_equal(ln_json_find(object, NULL, 0, &v), LN_ERR_NOT_FOUND);
    assert_int_equal(ln_json_find(array, NULL, 0, &v), 0);
    assert_value((ln_json_value){LN_JSON_NONE, v}, LN_JSON_NONE, "\"x\"");
    assert_int_equal(ln_json_find(array, "a", 2, &v), 0);
    assert_value((ln_json_value){LN_JSON_NONE, v}, LN_JSON_NONE, "{}");
    assert_int_equal(ln_json_find(array, "a", 3, &v), LN_ERR_NOT_FOUND);
    assert_int_equal(ln_json_find(LN_SPAN("7"), "a", 0, &v), LN_ERR_NOT_FOUND);
    assert_int_equal(ln_json_find(LN_SPAN("{\"a\":1}}"), "a", 0, &v), LN_ERR_PROTOCOL);
    assert_int_equal(ln_json_find(LN_SPAN("[1,"), "a", 0, &v), LN_ERR_PROTOCOL);
    assert_int_equal(ln_json_find(LN_SPAN(""), "a", 0, &v), LN_ERR_PROTOCOL);
    assert_int_equal(ln_json_find((ln_span){NULL, 0}, "a", 0, &v), LN_ERR_PROTOCOL);
}

static void applications_read_texts_and_numbers(void **state)
{
    char room[8];
    double d;
    (void)state;
    assert_int_equal(ln_json_text(guard_page_text("\"ab\\u00e4\""), room, sizeof room), 4);
    assert_string_equal(room, "ab\xc3\xa4");
    assert_int_equal(ln_json_text(LN_SPAN("\"\""), room, 1), 0);
    assert_int_equal(ln_json_text(LN_SPAN("\"1234567\""), room, sizeof room), 7);
    assert_int_equal(ln_json_text(LN_SPAN("\"12345678\""), room, sizeof room), LN_ERR_LIMIT);
    assert_int_equal(ln_json_text(LN_SPAN("7"), room, sizeof room), LN_ERR_INVALID);
    assert_int_equal(ln_json_text(LN_SPAN("\"a"), room, sizeof room), LN_ERR_PROTOCOL);
    assert_int_equal(ln_json_number(LN_SPAN("2.5"), &d), 0);
    assert_true(d == 2.5);
    assert_int_equal(ln_json_number(LN_SPAN("\"2\""), &d), LN_ERR_INVALID);
    assert_int_equal(ln_json_number(LN_SPAN("2,"), &d), LN_ERR_PROTOCOL);
}

static void applications_write_strings(void **state)
{
    char room[16];
    (void)state;
    assert_int_equal(ln_json_quote(LN_SPAN("a\"\n\x01"), room, sizeof room), 13);
    assert_string_equal(room, "\"a\\\"\\n\\u0001\"");
    assert_int_equal(ln_json_quote(LN_SPAN(""), room, 3), 2);
    assert_string_equal(room, "\"\"");
    assert_int_equal(ln_json_quote(LN_SPAN(""), room, 2), LN_ERR_LIMIT);
    assert_int_equal(ln_json_quote(LN_SPAN("12345"), room, 8), 7);
    assert_int_equal(ln_json_quote(LN_SPAN("123456"), room, 8), LN_ERR_LIMIT);
    assert_int_equal(ln_json_quote(LN_SPAN("\xff"), room, sizeof room), LN_ERR_INVALID);
}

/* ---- the scan ---- */

/* Every variant against the reference: each stop, and a byte that is no ASCII, at every place of
 * lengths around the widths of the variants. */
static void every_variant_finds_what_the_reference_finds(void **state)
{
    enum { LONGEST = 100 };
    static const uint8_t specials[] = {'"', '\\', 0x00, 0x1f, 0x20, 0x7f, 0x80, 0xff,
                                       '!', '#',  '[',  ']',  0xa2, 0xdc, 0x9f};
    uint8_t room[LONGEST];
    const char *name;
    ln_jsonscan_fn *fn;
    (void)state;
    for (unsigned v = 1; ln_jsonscan_variant(v, &name, &fn); v++) {
        for (size_t n = 0; n <= LONGEST && fn != NULL; n++) {
            for (size_t k = 0; k < (n + 1) * LN_ARRAY_SIZE(specials); k++) {
                memset(room, 'x', n);
                const size_t at = k / LN_ARRAY_SIZE(specials);
                if (at < n)
                    room[at] = specials[k % LN_ARRAY_SIZE(specials)];
                if (at > 2)
                    room[at / 2] = k % 2 == 0 ? 0xc3 : '"';
                const ln_span s = guard_page_bytes(room, n);
                bool wanted = false, got = false;
                const size_t end = ln_jsonscan_scalar(s.data, n, &wanted);
                if (fn(s.data, n, &got) != end || got != wanted)
                    fail_msg("%s: %zu bytes, special %zu at %zu", name, n, k % 15, at);
            }
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_the_grammar_allows_is_read),
        cmocka_unit_test(what_it_does_not_allow_is_refused_where_it_shows),
        cmocka_unit_test(a_text_is_judged_the_same_within_another),
        cmocka_unit_test(every_beginning_of_a_text_is_refused_or_a_value),
        cmocka_unit_test(nesting_ends_at_its_limit),
        cmocka_unit_test(a_number_has_a_longest_length),
        cmocka_unit_test(a_million_brackets_cost_nothing),
        cmocka_unit_test(time_grows_with_the_text),
        cmocka_unit_test(tokens_are_what_stands_there),
        cmocka_unit_test(values_are_passed_over_whole),
        cmocka_unit_test(an_objects_reader_learns_of_repetitions),
        cmocka_unit_test(strings_are_decoded),
        cmocka_unit_test(numbers_have_their_value),
        cmocka_unit_test(applications_find_members_and_elements),
        cmocka_unit_test(applications_read_texts_and_numbers),
        cmocka_unit_test(applications_write_strings),
        cmocka_unit_test(every_variant_finds_what_the_reference_finds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
