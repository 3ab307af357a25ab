/* SPDX-License-Identifier: MIT */
/*
 * Structs as JSON: each type at its bounds both ways, each way not to fit with its sentence, and
 * that nothing is stored unless all of it fits. What must not compile: tools/check-shapes.
 */
#include <float.h>
#include <locale.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <linnet/shape.h>

#include "guarded.h"
#include "proto/utf8.h"

/* ---- shapes ---- */

typedef struct place {
    double x, y;
} place;
LN_SHAPE(place, LN_FIELD(place, x), LN_FIELD(place, y));

typedef struct player {
    char name[8];
    uint8_t level;
    place at;
    uint16_t score_count;
    int64_t scores[4];
    bool has_guild;
    char guild[6];
    ln_span extra;
    size_t way_count;
    place ways[2];
    uint8_t tag_count;
    char tags[2][4];
} player;
LN_SHAPE(player, LN_FIELD(player, name), LN_FIELD(player, level),
         LN_FIELD_SHAPE(player, at, place, .is_optional = true),
         LN_FIELD_ARRAY(player, scores, score_count, .as = "bestScores", .is_optional = true),
         LN_FIELD(player, guild, LN_PRESENT(player, has_guild)),
         LN_FIELD(player, extra, .is_optional = true),
         LN_FIELD_SHAPE_ARRAY(player, ways, way_count, place, .is_optional = true),
         LN_FIELD_ARRAY(player, tags, tag_count, .is_optional = true));

typedef struct numbers {
    int8_t i8;
    int16_t i16;
    int32_t i32;
    int64_t i64;
    uint8_t u8;
    uint16_t u16;
    uint32_t u32;
    uint64_t u64;
    long long ll;
    unsigned long long ull;
    float f;
    double d;
    bool b;
} numbers;
LN_SHAPE(numbers, LN_FIELD(numbers, i8, .is_optional = true),
         LN_FIELD(numbers, i16, .is_optional = true), LN_FIELD(numbers, i32, .is_optional = true),
         LN_FIELD(numbers, i64, .is_optional = true), LN_FIELD(numbers, u8, .is_optional = true),
         LN_FIELD(numbers, u16, .is_optional = true), LN_FIELD(numbers, u32, .is_optional = true),
         LN_FIELD(numbers, u64, .is_optional = true), LN_FIELD(numbers, ll, .is_optional = true),
         LN_FIELD(numbers, ull, .is_optional = true), LN_FIELD(numbers, f, .is_optional = true),
         LN_FIELD(numbers, d, .is_optional = true), LN_FIELD(numbers, b, .is_optional = true));

typedef struct strict {
    int32_t a;
} strict;
LN_SHAPE_STRICT(strict, LN_FIELD(strict, a, .is_optional = true));

static ln_span text(const char *z)
{
    return (ln_span){z, strlen(z)};
}

/* ---- bounds ---- */

typedef struct bound {
    const char *json;
    const char *why; /* NULL: it fits, and is written again as it stands */
} bound;

static const bound bounds[] = {
    {"{\"i8\":127}", NULL},
    {"{\"i8\":-128}", NULL},
    {"{\"i8\":128}", "i8: above 127"},
    {"{\"i8\":-129}", "i8: below -128"},
    {"{\"i16\":32767}", NULL},
    {"{\"i16\":-32768}", NULL},
    {"{\"i16\":32768}", "i16: above 32767"},
    {"{\"i16\":-32769}", "i16: below -32768"},
    {"{\"i32\":2147483647}", NULL},
    {"{\"i32\":-2147483648}", NULL},
    {"{\"i32\":2147483648}", "i32: above 2147483647"},
    {"{\"i32\":-2147483649}", "i32: below -2147483648"},
    {"{\"i64\":9223372036854775807}", NULL},
    {"{\"i64\":-9223372036854775808}", NULL},
    {"{\"i64\":9223372036854775808}", "i64: above 9223372036854775807"},
    {"{\"i64\":-9223372036854775809}", "i64: below -9223372036854775808"},
    {"{\"i64\":1e300}", "i64: above 9223372036854775807"},
    {"{\"i64\":-1e300}", "i64: below -9223372036854775808"},
    {"{\"i64\":1e17}", "i64: beyond 2^53 and not in plain digits"},
    {"{\"ll\":-9223372036854775808}", NULL},
    {"{\"u8\":255}", NULL},
    {"{\"u8\":256}", "u8: above 255"},
    {"{\"u8\":-1}", "u8: below 0"},
    {"{\"u16\":65535}", NULL},
    {"{\"u16\":65536}", "u16: above 65535"},
    {"{\"u32\":4294967295}", NULL},
    {"{\"u32\":4294967296}", "u32: above 4294967295"},
    {"{\"u64\":18446744073709551615}", NULL},
    {"{\"u64\":18446744073709551616}", "u64: above 18446744073709551615"},
    {"{\"u64\":-1}", "u64: below 0"},
    {"{\"u64\":-99999999999999999999}", "u64: below 0"},
    {"{\"u64\":1e30}", "u64: above 18446744073709551615"},
    {"{\"u64\":-1e30}", "u64: below 0"},
    {"{\"u64\":1e19}", "u64: beyond 2^53 and not in plain digits"},
    {"{\"ull\":18446744073709551615}", NULL},
    {"{\"i32\":1.5}", "i32: not a whole number"},
    {"{\"u32\":0.5}", "u32: not a whole number"},
    {"{\"i32\":true}", "i32: not a number"},
    {"{\"i32\":\"1\"}", "i32: not a number"},
    {"{\"f\":3.4028235e+38}", NULL},
    {"{\"f\":-3.4028235e+38}", NULL},
    {"{\"f\":3.40282357e38}", "f: beyond a float"}, /* just nearer to 2^128 */
    {"{\"f\":3.41e38}", "f: beyond a float"},
    {"{\"f\":-1e300}", "f: beyond a float"},
    {"{\"f\":0.1}", NULL},
    {"{\"d\":1.7976931348623157e+308}", NULL},
    {"{\"d\":4.94065645841247e-324}", NULL},
    {"{\"d\":0.1}", NULL},
    {"{\"d\":-0}", NULL},
    {"{\"d\":0.30000000000000004}", NULL},
    {"{\"d\":[]}", "d: not a number"},
    {"{\"b\":true}", NULL},
    {"{\"b\":false}", NULL},
    {"{\"b\":1}", "b: not true or false"},
};

/* All members are written; what is asked about stands among them. */
static void assert_written(const numbers *n, const char *json)
{
    char out[512], member[64];

    assert_true(numbers_write(n, out, sizeof out, NULL) > 0);
    snprintf(member, sizeof member, "%.*s", (int)strlen(json) - 2, json + 1);
    const char *const found = strstr(out, member);
    if (found == NULL)
        fail_msg("%s is not in %s", member, out);
    assert_true(strchr(",}", found[strlen(member)]) != NULL);
}

static void each_type_is_exact_at_its_bounds(void **state)
{
    (void)state;
    for (size_t i = 0; i < LN_ARRAY_SIZE(bounds); i++) {
        numbers n = {0};
        char why[LN_SHAPE_WHY_SIZE] = "";
        const int rc = numbers_read(text(bounds[i].json), &n, why);
        if (bounds[i].why == NULL) {
            if (rc != 0)
                fail_msg("%s: %s", bounds[i].json, why);
            assert_written(&n, bounds[i].json);
            continue;
        }
        assert_int_equal(rc, LN_ERR_INVALID);
        assert_string_equal(why, bounds[i].why);
    }
}

static void whole_numbers_may_be_written_in_any_way(void **state)
{
    (void)state;
    numbers n;
    assert_int_equal(numbers_read(text("{\"u8\":2.55e2,\"i8\":-1.0,\"u64\":1e2}"), &n, NULL), 0);
    assert_int_equal(n.u8, 255);
    assert_int_equal(n.i8, -1);
    assert_int_equal(n.u64, 100);
}

/* ---- what fits ---- */

static void a_struct_is_read_whole(void **state)
{
    (void)state;
    player p = {.level = 1, .has_guild = true};
    const ln_span json =
        text("{ \"tags\":[\"a\",\"b\\u0062b\"], \"ways\":[{\"x\":1,\"y\":2},{\"y\":4,\"x\":3}],\n"
             "\"extra\": [1, {\"deep\": null}], \"guild\":\"\\ud83d\\ude00\", \"unknown\":{},"
             "\"bestScores\":[1,-2,3,4], \"at\":{\"x\":-1.5,\"y\":2e3},\"level\":255,"
             "\"name\":\"\\u00e4\\\"\\\\\\n/a\"}");
    char why[LN_SHAPE_WHY_SIZE] = "";

    assert_int_equal(player_read(json, &p, why), 0);
    assert_string_equal(p.name, "\xc3\xa4\"\\\n/a");
    assert_int_equal(p.level, 255);
    assert_true(p.at.x == -1.5 && p.at.y == 2000);
    assert_int_equal(p.score_count, 4);
    assert_int_equal(p.scores[1], -2);
    assert_true(p.has_guild);
    assert_string_equal(p.guild, "\xf0\x9f\x98\x80");
    assert_int_equal(p.extra.size, strlen("[1, {\"deep\": null}]"));
    assert_ptr_equal(p.extra.data, strstr(json.data, "[1, "));
    assert_int_equal(p.way_count, 2);
    assert_true(p.ways[1].x == 3 && p.ways[1].y == 4);
    assert_int_equal(p.tag_count, 2);
    assert_string_equal(p.tags[1], "bbb");
    assert_string_equal(why, "");
}

static void what_is_optional_may_be_absent_or_null(void **state)
{
    (void)state;
    player p = {.at = {.x = 7}, .score_count = 3, .has_guild = true, .guild = "old"};

    assert_int_equal(
        player_read(text("{\"name\":\"\",\"level\":0,\"guild\":null,\"at\":null}"), &p, NULL), 0);
    assert_true(p.at.x == 7);
    assert_int_equal(p.score_count, 3);
    assert_false(p.has_guild);
    assert_string_equal(p.guild, "old");
    assert_int_equal(numbers_read(LN_SPAN(""), &(numbers){0}, NULL), 0);
}

static void what_is_written_reads_back(void **state)
{
    (void)state;
    const player p = {.name = "\x01\"\xe2\x82\xac",
                      .level = 9,
                      .at = {.x = 1.0 / 3, .y = -1e-7},
                      .score_count = 2,
                      .scores = {INT64_MIN, INT64_MAX},
                      .extra = LN_SPAN("[ 1 ]"),
                      .way_count = 1,
                      .ways = {{.x = 0.5}},
                      .tag_count = 1,
                      .tags = {"abc"}};
    static const char wanted[] =
        "{\"name\":\"\\u0001\\\"\xe2\x82\xac\",\"level\":9,"
        "\"at\":{\"x\":0.3333333333333333,\"y\":-1e-07},"
        "\"bestScores\":[-9223372036854775808,9223372036854775807],"
        "\"extra\":[ 1 ],\"ways\":[{\"x\":0.5,\"y\":0}],\"tags\":[\"abc\"]}";
    char out[512];
    player back = {.has_guild = true};

    const int n = player_write(&p, out, sizeof out, NULL);
    assert_string_equal(out, wanted);
    assert_int_equal(n, sizeof wanted - 1);
    assert_int_equal(player_read(text(out), &back, NULL), 0);
    assert_string_equal(back.name, p.name);
    assert_true(back.at.x == p.at.x && back.at.y == p.at.y);
    assert_memory_equal(back.scores, p.scores, 2 * sizeof *p.scores);
    assert_false(back.has_guild);
}

static void every_float_reads_back_the_same(void **state)
{
    (void)state;
    uint64_t seed = 88172645463325252u;

    for (int i = 0; i < 20000; i++) {
        numbers n = {0}, back;
        char out[512];
        seed ^= seed << 13, seed ^= seed >> 7, seed ^= seed << 17;
        memcpy(&n.d, &seed, sizeof n.d);
        memcpy(&n.f, &seed, sizeof n.f);
        if (!isfinite(n.d) || !isfinite(n.f))
            continue;
        assert_true(numbers_write(&n, out, sizeof out, NULL) > 0);
        assert_int_equal(numbers_read(text(out), &back, NULL), 0);
        assert_memory_equal(&back.d, &n.d, sizeof n.d);
        assert_memory_equal(&back.f, &n.f, sizeof n.f);
    }
}

static void a_locale_makes_no_difference(void **state)
{
    (void)state;
    static const char *const names[] = {"de_DE.UTF-8", "fr_FR.UTF-8", "ps_AF.UTF-8"};
    bool has_one = false;

    for (size_t i = 0; i < LN_ARRAY_SIZE(names) && !has_one; i++)
        has_one = setlocale(LC_ALL, names[i]) != NULL;
    if (!has_one)
        skip();
    char out[64];
    assert_true(place_write(&(place){.x = 1.5, .y = -1.25e-10}, out, sizeof out, NULL) > 0);
    setlocale(LC_ALL, "C");
    assert_string_equal(out, "{\"x\":1.5,\"y\":-1.25e-10}");
}

/* ---- what does not ---- */

#define PLAYER(rest) "{\"name\":\"a\",\"level\":1" rest "}"

static const bound misfits[] = {
    {"{\"level\":1}", "name: missing"},
    {"{\"name\":null,\"level\":1}", "name: not a string"},
    {"{\"name\":\"12345678\",\"level\":1}", "name: longer than 7 bytes"},
    {"{\"name\":\"\\u20ac\\u20ac\\u00e4\",\"level\":1}", "name: longer than 7 bytes"},
    {"{\"name\":\"a\\u0000b\",\"level\":1}", "name: has a NUL in it"},
    {PLAYER(",\"level\":2"), "level: there twice"},
    {PLAYER(",\"l\\u0065vel\":2"), "level: there twice"},
    {PLAYER(",\"guild\":null,\"guild\":null"), "guild: there twice"},
    {PLAYER(",\"at\":[1,2]"), "at: not an object"},
    {PLAYER(",\"at\":{\"x\":1}"), "at.y: missing"},
    {PLAYER(",\"at\":{\"x\":1,\"y\":\"\"}"), "at.y: not a number"},
    {PLAYER(",\"bestScores\":{}"), "bestScores: not an array"},
    {PLAYER(",\"bestScores\":[1,2,3,4,5]"), "bestScores: more than 4 elements"},
    {PLAYER(",\"bestScores\":[1,2,null]"), "bestScores[2]: not a number"},
    {PLAYER(",\"ways\":[{\"x\":1,\"y\":2},{\"x\":1,\"y\":{}}]"), "ways[1].y: not a number"},
    {PLAYER(",\"tags\":[\"abcd\"]"), "tags[0]: longer than 3 bytes"},
    {"[]", "not an object"},
    {"7", "not an object"},
};

static void what_does_not_fit_says_where_and_why(void **state)
{
    (void)state;
    for (size_t i = 0; i < LN_ARRAY_SIZE(misfits); i++) {
        char why[LN_SHAPE_WHY_SIZE] = "";
        player p;
        memset(&p, 0xa5, sizeof p);
        const player before = p;
        assert_int_equal(player_read(text(misfits[i].json), &p, why), LN_ERR_INVALID);
        assert_string_equal(why, misfits[i].why);
        assert_memory_equal(&p, &before, sizeof p);
        assert_int_equal(player_read(text(misfits[i].json), &p, NULL), LN_ERR_INVALID);
    }
}

static void what_is_no_json_says_so(void **state)
{
    (void)state;
    char why[LN_SHAPE_WHY_SIZE];
    player p = {.level = 77};

    assert_int_equal(player_read(text("{\"level\":1,}"), &p, why), LN_ERR_PROTOCOL);
    assert_string_equal(why, "no JSON: a member has no name, at byte 11");
    assert_int_equal(player_read(text(PLAYER("") "x"), &p, why), LN_ERR_PROTOCOL);
    assert_int_equal(p.level, 77);
}

static void a_backslash_before_u0000_is_no_nul(void **state)
{
    (void)state;
    player p;
    assert_int_equal(player_read(text("{\"name\":\"\\\\u0000\",\"level\":0}"), &p, NULL), 0);
    assert_string_equal(p.name, "\\u0000");
}

static void a_strict_shape_refuses_what_it_does_not_know(void **state)
{
    (void)state;
    char why[LN_SHAPE_WHY_SIZE], json[256], *at = json;
    strict s;

    assert_int_equal(strict_read(text("{\"a\":1,\"colour\":2}"), &s, why), LN_ERR_INVALID);
    assert_string_equal(why, "no member is called \"colour\"");

    /* a long one is cut, and not within a code point */
    at += sprintf(at, "{\"");
    for (int i = 0; i < 40; i++)
        at += sprintf(at, "\xe2\x82\xac");
    sprintf(at, "\":1}");
    assert_int_equal(strict_read(text(json), &s, why), LN_ERR_INVALID);
    assert_true(ln_utf8_is_valid(why, strlen(why)));
    assert_string_equal(why + strlen(why) - 6, "\xe2\x82\xac...");
}

typedef struct deep {
    int32_t n;
} deep;
#define LONG "\xe2\x82\xac\xe2\x82\xac\xe2\x82\xac\xe2\x82\xac\xe2\x82\xac\xe2\x82\xac"
LN_SHAPE(deep, LN_FIELD(deep, n, .as = LONG LONG LONG LONG LONG LONG LONG LONG LONG LONG));

static void a_long_path_is_cut_between_code_points(void **state)
{
    (void)state;
    char why[LN_SHAPE_WHY_SIZE + 1];
    deep d;

    why[LN_SHAPE_WHY_SIZE] = 'x';
    assert_int_equal(deep_read(text("{}"), &d, why), LN_ERR_INVALID);
    assert_true(strlen(why) >= LN_SHAPE_WHY_SIZE - 4 && strlen(why) < LN_SHAPE_WHY_SIZE);
    assert_true(ln_utf8_is_valid(why, strlen(why)));
    assert_int_equal(why[LN_SHAPE_WHY_SIZE], 'x');
}

/* ---- what cannot be written ---- */

static void assert_unwritable(const player *p, const char *sentence)
{
    char out[256], why[LN_SHAPE_WHY_SIZE];

    assert_int_equal(player_write(p, out, sizeof out, why), LN_ERR_INVALID);
    assert_string_equal(why, sentence);
}

static void what_is_no_value_is_not_written(void **state)
{
    (void)state;
    assert_unwritable(&(player){.name = {'1', '2', '3', '4', '5', '6', '7', '8'}},
                      "name: no NUL ends it");
    assert_unwritable(&(player){.name = "\xff"}, "name: not UTF-8");
    assert_unwritable(&(player){.at.y = (double)NAN}, "at.y: not a finite number");
    assert_unwritable(&(player){.at.x = (double)INFINITY}, "at.x: not a finite number");
    assert_unwritable(&(player){.score_count = 5}, "bestScores: 5 elements in an array of 4");
    assert_unwritable(&(player){.way_count = SIZE_MAX},
                      "ways: 18446744073709551615 elements in an array of 2");
    assert_unwritable(&(player){.way_count = 2, .ways[1].y = (double)NAN},
                      "ways[1].y: not a finite number");
    assert_unwritable(&(player){.extra = LN_SPAN("{\"a\":}")}, "extra: no JSON: not a value");
}

static void an_empty_span_is_null(void **state)
{
    (void)state;
    char out[256];
    assert_true(player_write(&(player){.level = 0}, out, sizeof out, NULL) > 0);
    assert_non_null(strstr(out, "\"extra\":null"));
}

static void no_byte_is_written_behind_the_buffer(void **state)
{
    (void)state;
    const player p = {.name = "ann\t",
                      .has_guild = true,
                      .guild = "x",
                      .score_count = 2,
                      .scores = {12, 3},
                      .way_count = 1,
                      .tag_count = 1,
                      .tags = {"a"}};
    char out[256], why[LN_SHAPE_WHY_SIZE];
    guarded room;
    const int n = player_write(&p, out, sizeof out, NULL);

    assert_true(n > 0);
    guarded_init(&room, sizeof out);
    for (size_t size = 0; size <= (size_t)n; size++)
        assert_int_equal(player_write(&p, (char *)guarded_end(&room, size), size, why),
                         LN_ERR_LIMIT);
    assert_string_equal(why, "does not fit into 126 bytes");
    assert_int_equal(player_write(&p, out, (size_t)n + 1, NULL), n);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_type_is_exact_at_its_bounds),
        cmocka_unit_test(whole_numbers_may_be_written_in_any_way),
        cmocka_unit_test(a_struct_is_read_whole),
        cmocka_unit_test(what_is_optional_may_be_absent_or_null),
        cmocka_unit_test(what_is_written_reads_back),
        cmocka_unit_test(every_float_reads_back_the_same),
        cmocka_unit_test(a_locale_makes_no_difference),
        cmocka_unit_test(what_does_not_fit_says_where_and_why),
        cmocka_unit_test(what_is_no_json_says_so),
        cmocka_unit_test(a_backslash_before_u0000_is_no_nul),
        cmocka_unit_test(a_strict_shape_refuses_what_it_does_not_know),
        cmocka_unit_test(a_long_path_is_cut_between_code_points),
        cmocka_unit_test(what_is_no_value_is_not_written),
        cmocka_unit_test(an_empty_span_is_null),
        cmocka_unit_test(no_byte_is_written_behind_the_buffer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
