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
#include "proto/pmd.h"

#define PMD "permessage-deflate"

static const ln_pmd_params any = {.server_max_window_bits = 15, .client_max_window_bits = 15};

/* A head with one Sec-WebSocket-Extensions per line of `values`, each against a guard page. */
static void fill_head(const char *values, ln_head *head)
{
    ln_span rest = ln_text(values), line;
    head->field_count = 0;
    while (ln_text_next(&rest, '\n', &line)) {
        assert_true(head->field_count < GUARD_PAGE_SPANS);
        head->fields[head->field_count++] = (ln_field){
            .name = LN_SPAN("sec-websocket-EXTENSIONS"),
            .value = guard_page_bytes(line.data, line.size),
        };
    }
}

/* The server's answer; "" if it accepts none, "!" if the field does not parse. */
static const char *answer(const ln_pmd_params *wish, const char *values)
{
    static char text[LN_PMD_TEXT_MAX_BYTES + 1];
    ln_head head;
    ln_pmd_params agreed = {.server_max_window_bits = 99};
    size_t length = 99;
    fill_head(values, &head);
    const int rc = ln_pmd_accept(&head, wish, &agreed, text, &length);
    if (rc <= 0) {
        assert_true(agreed.server_max_window_bits == 99 && length == 99);
        assert_true(rc == 0 || rc == LN_ERR_PROTOCOL);
        return rc == 0 ? "" : "!";
    }
    assert_int_equal(rc, 1);
    assert_true(length < LN_PMD_TEXT_MAX_BYTES);
    assert_in_range(agreed.server_max_window_bits, 9, 15);
    assert_in_range(agreed.client_max_window_bits, 9, 15);
    text[length] = '\0';
    return text;
}

/* What the client makes of a response: "S15 C15 s c" (letters: no context takeover), "none"
 * or "!". */
static const char *judged(const ln_pmd_params *offered, const char *values)
{
    static char text[32];
    ln_head head;
    ln_pmd_params p = {.server_max_window_bits = 99};
    fill_head(values, &head);
    const int rc = ln_pmd_check(&head, offered, &p);
    if (rc <= 0) {
        assert_int_equal(p.server_max_window_bits, 99);
        assert_true(rc == 0 || rc == LN_ERR_PROTOCOL);
        return rc == 0 ? "none" : "!";
    }
    assert_int_equal(rc, 1);
    snprintf(text, sizeof text, "S%u C%u%s%s", p.server_max_window_bits, p.client_max_window_bits,
             p.server_no_context_takeover ? " s" : "", p.client_no_context_takeover ? " c" : "");
    return text;
}

typedef struct row {
    const char *values;
    const char *outcome;
} row;

static void assert_answers(const ln_pmd_params *wish, const row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const char *seen = answer(wish, rows[i].values);
        if (strcmp(seen, rows[i].outcome) != 0)
            fail_msg("%s\nwanted %s\n   got %s", rows[i].values, rows[i].outcome, seen);
    }
}

static void assert_judged(const ln_pmd_params *offered, const row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const char *seen = judged(offered, rows[i].values);
        if (strcmp(seen, rows[i].outcome) != 0)
            fail_msg("%s\nwanted %s\n   got %s", rows[i].values, rows[i].outcome, seen);
    }
}

static void an_offer_is_answered(void **state)
{
    (void)state;
    static const row rows[] = {
        {PMD, PMD},
        {PMD "; client_max_window_bits", PMD},
        {PMD "; client_max_window_bits=15", PMD},
        {PMD "; client_max_window_bits=10", PMD "; client_max_window_bits=10"},
        {PMD "; client_max_window_bits=8", PMD "; client_max_window_bits=8"},
        {PMD "; server_max_window_bits=15", PMD "; server_max_window_bits=15"},
        {PMD "; server_max_window_bits=9", PMD "; server_max_window_bits=9"},
        {PMD "; server_no_context_takeover", PMD "; server_no_context_takeover"},
        {PMD "; client_no_context_takeover", PMD "; client_no_context_takeover"},
        {PMD ";client_max_window_bits=11;server_max_window_bits=12 ; "
             "client_no_context_takeover\t;server_no_context_takeover",
         PMD "; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=12; "
             "client_max_window_bits=11"},
        {"", ""},
        {"x-webkit-deflate-frame", ""},
    };
    assert_answers(&any, rows, LN_ARRAY_SIZE(rows));
    ln_head head = {.field_count = 0};
    ln_pmd_params agreed;
    char text[LN_PMD_TEXT_MAX_BYTES];
    size_t length;
    assert_int_equal(ln_pmd_accept(&head, &any, &agreed, text, &length), 0);
}

static void a_server_gets_what_it_wishes_or_declines(void **state)
{
    (void)state;
    const ln_pmd_params small = {.server_max_window_bits = 10, .client_max_window_bits = 11};
    static const row rows[] = {
        {PMD, ""}, /* a client that did not say it could cannot be told to use a smaller window */
        {PMD "; server_max_window_bits=12", ""},
        {PMD "; client_max_window_bits",
         PMD "; server_max_window_bits=10; client_max_window_bits=11"},
        {PMD "; client_max_window_bits=9",
         PMD "; server_max_window_bits=10; client_max_window_bits=9"},
        {PMD "; client_max_window_bits=8",
         PMD "; server_max_window_bits=10; client_max_window_bits=8"},
        {PMD "; client_max_window_bits; server_max_window_bits=9",
         PMD "; server_max_window_bits=9; client_max_window_bits=11"},
        {PMD ", " PMD "; client_max_window_bits",
         PMD "; server_max_window_bits=10; client_max_window_bits=11"},
    };
    assert_answers(&small, rows, LN_ARRAY_SIZE(rows));

    const ln_pmd_params reset = {true, true, 15, 15};
    assert_string_equal(answer(&reset, PMD),
                        PMD "; server_no_context_takeover; client_no_context_takeover");

    const ln_pmd_params eight = {.server_max_window_bits = 8, .client_max_window_bits = 8};
    assert_string_equal(answer(&eight, PMD "; client_max_window_bits"),
                        PMD "; server_max_window_bits=9; client_max_window_bits=9");
}

static void the_first_acceptable_offer_wins(void **state)
{
    (void)state;
    static const row rows[] = {
        {PMD "; server_max_window_bits=10, " PMD, PMD "; server_max_window_bits=10"},
        {PMD "; server_max_window_bits=8, " PMD "; server_no_context_takeover",
         PMD "; server_no_context_takeover"},
        {PMD "; x, " PMD, PMD},
        {"x, y; z=1; w, " PMD, PMD},
        {"x\n" PMD "; server_max_window_bits=9\n" PMD, PMD "; server_max_window_bits=9"},
        {PMD "; server_max_window_bits=8\n" PMD "; server_max_window_bits=9",
         PMD "; server_max_window_bits=9"},
        {PMD "; server_max_window_bits=8", ""},
        {", ," PMD ",,", PMD},
        {",", ""},
    };
    assert_answers(&any, rows, LN_ARRAY_SIZE(rows));
}

/* RFC 7692 7.1: such offers are declined; the next may still be good. */
static void offers_with_wrong_parameters_are_passed_over(void **state)
{
    (void)state;
    static const char *const params[] = {
        "x",
        "x=1",
        "Server_no_context_takeover",
        "server_no_context_takeover=1",
        "server_no_context_takeover=\"1\"",
        "client_no_context_takeover=true",
        "server_no_context_takeover; server_no_context_takeover",
        "client_no_context_takeover; client_no_context_takeover",
        "client_max_window_bits; client_max_window_bits",
        "client_max_window_bits=10; client_max_window_bits=10",
        "server_max_window_bits=10; server_max_window_bits=11",
        "server_max_window_bits",
        "constructor",
    };
    for (size_t i = 0; i < LN_ARRAY_SIZE(params); i++) {
        char values[512];
        snprintf(values, sizeof values, PMD "; %s", params[i]);
        assert_string_equal(answer(&any, values), "");
        snprintf(values, sizeof values, PMD "; %s, " PMD, params[i]);
        assert_string_equal(answer(&any, values), PMD);
        snprintf(values, sizeof values, PMD "; %s", params[i]);
        assert_string_equal(judged(&any, values), "!");
    }
}

static void only_the_exact_name_is_ours(void **state)
{
    (void)state;
    static const char *const names[] = {
        "Permessage-Deflate", (PMD "2"),     "permessage-deflat", "perframe-deflate",
        ("x-" PMD),           "constructor", "__proto__",
    };
    for (size_t i = 0; i < LN_ARRAY_SIZE(names); i++) {
        assert_string_equal(answer(&any, names[i]), "");
        assert_string_equal(judged(&any, names[i]), "!");
    }
    char name[4097];
    memset(name, 'p', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    assert_string_equal(answer(&any, name), "");
}

static void fields_that_do_not_parse_are_errors(void **state)
{
    (void)state;
    static const char *const values[] = {
        ";a",
        ";a=b, " PMD,
        PMD ";",
        PMD "; ;x",
        PMD "; =1",
        PMD "; a=",
        PMD "; a=;b",
        PMD "; a=\"\"",
        PMD "; a=\"",
        PMD "; a=\"b",
        PMD "; a=\"b\\",
        PMD "; a=\"b\\\"",
        PMD "; a=\"b c\"",
        PMD "; a=\"b,c\"",
        PMD "; a=\"b;\"",
        PMD "; a=\"b\"c",
        PMD "; a=b=c",
        PMD "; a b",
        PMD " x",
        PMD "/x",
        PMD "; a=\"\\ \"",
        PMD "; a=(b)",
        "\"" PMD "\"",
        ";",
        "=",
        "(x), " PMD,
        "a=b",
        PMD ", x y",
        PMD ", ;",
        PMD "\nx y",
        PMD "; a=\x80",
        "\xc3\xa4",
        PMD "; a=\"\x80\"",
        PMD "; \"a\"=b",
        PMD "; a=b\"c\"",
        PMD "; a='b c'",
    };
    for (size_t i = 0; i < LN_ARRAY_SIZE(values); i++) {
        if (strcmp(answer(&any, values[i]), "!") != 0 || strcmp(judged(&any, values[i]), "!") != 0)
            fail_msg("%s was accepted", values[i]);
    }
}

static void values_may_be_quoted(void **state)
{
    (void)state;
    static const row rows[] = {
        {PMD "; server_max_window_bits=\"10\"", PMD "; server_max_window_bits=10"},
        {PMD "; server_max_window_bits=\"1\\0\"", PMD "; server_max_window_bits=10"},
        {PMD "; server_max_window_bits=\"\\9\"", PMD "; server_max_window_bits=9"},
        {PMD "; server_max_window_bits = \"10\" ; client_no_context_takeover",
         PMD "; client_no_context_takeover; server_max_window_bits=10"},
        {PMD "; server_max_window_bits=\"8\"", ""},
        {PMD "; server_max_window_bits=\"16\"", ""},
        {"x; a=\"b\\c\", " PMD, PMD},
        {"x; a=\"\\\\\", " PMD, "!"}, /* a backslash is no token character, escaped or not */
    };
    assert_answers(&any, rows, LN_ARRAY_SIZE(rows));
}

/* Bits in either parameter, in either direction, spelled as `spelling`. */
static void assert_bits(const char *spelling, int bits)
{
    char values[256], wanted[256];
    const bool is_good = bits >= 8 && bits <= 15;

    snprintf(values, sizeof values, PMD "; server_max_window_bits=%s", spelling);
    snprintf(wanted, sizeof wanted, PMD "; server_max_window_bits=%d", bits);
    assert_string_equal(answer(&any, values), is_good && bits > 8 ? wanted : "");
    snprintf(wanted, sizeof wanted, "S%d C15", bits == 8 ? 9 : bits);
    assert_string_equal(judged(&any, values), is_good ? wanted : "!");

    snprintf(values, sizeof values, PMD "; client_max_window_bits=%s", spelling);
    snprintf(wanted, sizeof wanted, bits == 15 ? PMD : PMD "; client_max_window_bits=%d", bits);
    assert_string_equal(answer(&any, values), is_good ? wanted : "");
    snprintf(wanted, sizeof wanted, "S15 C%d", bits);
    assert_string_equal(judged(&any, values), is_good && bits > 8 ? wanted : "!");
}

static void window_bits_are_8_to_15_and_nothing_else(void **state)
{
    (void)state;
    for (int bits = 0; bits <= 255; bits++) {
        char text[32];
        snprintf(text, sizeof text, "%d", bits);
        assert_bits(text, bits);
        snprintf(text, sizeof text, "\"%d\"", bits);
        assert_bits(text, bits);
        snprintf(text, sizeof text, "0%d", bits);
        assert_bits(text, -1);
        snprintf(text, sizeof text, "-%d", bits);
        assert_bits(text, -1);
        snprintf(text, sizeof text, "+%d", bits);
        assert_bits(text, -1);
        snprintf(text, sizeof text, "%d.0", bits);
        assert_bits(text, -1);
        snprintf(text, sizeof text, "%d%d", 100 + bits, bits);
        assert_bits(text, -1);
        snprintf(text, sizeof text, "0x%x", bits);
        assert_bits(text, -1);
    }
    static const char *const odd[] = {
        "a", "1e1", "1a", "a5", "1_0", "4294967306", "18446744073709551626", "00000000010", "1*"};
    for (size_t i = 0; i < LN_ARRAY_SIZE(odd); i++)
        assert_bits(odd[i], -1);
    for (int a = '!'; a < 0x7f; a++) { /* every two characters */
        for (int b = '!'; b < 0x7f; b++) {
            if (strchr("\"(),/:;<=>?@[\\]{}", a) || strchr("\"(),/:;<=>?@[\\]{}", b))
                continue;
            const char text[] = {(char)a, (char)b, '\0'};
            assert_bits(text, a == '1' && b >= '0' && b <= '5' ? 10 + b - '0' : -1);
        }
    }
}

static const char *offer_of(ln_pmd_params wish)
{
    static char text[LN_PMD_TEXT_MAX_BYTES + 1];
    text[ln_pmd_write_offer(&wish, text)] = '\0';
    return text;
}

static void an_offer_says_what_is_wished(void **state)
{
    (void)state;
    assert_string_equal(offer_of(any), PMD "; client_max_window_bits");
    assert_string_equal(
        offer_of((ln_pmd_params){true, true, 10, 12}),
        PMD "; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=10; "
            "client_max_window_bits=12");
    assert_string_equal(offer_of((ln_pmd_params){false, false, 15, 0}), PMD);
    assert_string_equal(offer_of((ln_pmd_params){false, false, 8, 8}),
                        PMD "; server_max_window_bits=9; client_max_window_bits=9");
}

static void a_response_is_judged(void **state)
{
    (void)state;
    static const row rows[] = {
        {PMD, "S15 C15"},
        {"", "none"},
        {PMD "; server_no_context_takeover", "S15 C15 s"},
        {PMD "; client_no_context_takeover", "S15 C15 c"},
        {PMD "; server_max_window_bits=10; client_max_window_bits=\"11\"", "S10 C11"},
        {PMD "; client_max_window_bits", "!"}, /* a value is optional in offers only */
        {PMD "; server_max_window_bits", "!"},
        {PMD ", " PMD, "!"},
        {PMD "\n" PMD, "!"},
        {PMD ", x", "!"},
        {"x", "!"},
        {"x, " PMD, "!"},
    };
    assert_judged(&any, rows, LN_ARRAY_SIZE(rows));
    ln_head head = {.field_count = 0};
    ln_pmd_params agreed;
    assert_int_equal(ln_pmd_check(&head, &any, &agreed), 0);
}

static void a_response_may_not_be_looser_than_the_offer(void **state)
{
    (void)state;
    const ln_pmd_params small = {true, true, 10, 11};
    static const row rows[] = {
        {PMD "; server_no_context_takeover; server_max_window_bits=10", "S10 C11 s c"},
        {PMD "; server_no_context_takeover; server_max_window_bits=8", "S9 C11 s c"},
        {PMD "; server_no_context_takeover; server_max_window_bits=10; client_max_window_bits=11",
         "S10 C11 s c"},
        {PMD "; server_no_context_takeover; server_max_window_bits=10; client_max_window_bits=9",
         "S10 C9 s c"},
        {PMD "; server_no_context_takeover; server_max_window_bits=10; client_max_window_bits=12",
         "!"},
        {PMD "; server_no_context_takeover; server_max_window_bits=11", "!"},
        {PMD "; server_no_context_takeover", "!"},
        {PMD "; server_max_window_bits=10", "!"},
        {PMD, "!"},
    };
    assert_judged(&small, rows, LN_ARRAY_SIZE(rows));
    const ln_pmd_params silent = {false, false, 15, 0};
    static const row silent_rows[] = {
        {PMD, "S15 C15"},
        {PMD "; client_max_window_bits=15", "!"},
        {PMD "; client_max_window_bits=10", "!"},
        {PMD "; client_no_context_takeover", "S15 C15 c"},
    };
    assert_judged(&silent, silent_rows, LN_ARRAY_SIZE(silent_rows));
}

/* Both sides, all wishes: what they agree on is the same, and no looser than either wished. */
static void both_sides_agree_on_the_same(void **state)
{
    (void)state;
    unsigned agreed_count = 0;
    for (unsigned n = 0; n < 16u * 8 * 8 * 8 * 9; n++) {
        const ln_pmd_params server = {n & 1, n & 2, (uint8_t)(8 + n / 16 % 8),
                                      (uint8_t)(8 + n / 128 % 8)};
        const unsigned client_bits = n / 8192;
        const ln_pmd_params client = {n & 4, n & 8, (uint8_t)(8 + n / 1024 % 8),
                                      (uint8_t)(client_bits == 8 ? 0 : 8 + client_bits)};
        ln_head head;
        ln_pmd_params ours, theirs;
        char text[LN_PMD_TEXT_MAX_BYTES + 1];
        size_t length;

        fill_head(offer_of(client), &head);
        if (ln_pmd_accept(&head, &server, &ours, text, &length) != 1) {
            assert_true(client.client_max_window_bits == 0 && server.client_max_window_bits < 15);
            continue;
        }
        agreed_count++;
        text[length] = '\0';
        fill_head(text, &head);
        assert_int_equal(ln_pmd_check(&head, &client, &theirs), 1);
        assert_memory_equal(&ours, &theirs, sizeof ours);
        assert_true(ours.server_max_window_bits <=
                    (server.server_max_window_bits < 9 ? 9 : server.server_max_window_bits));
        assert_true(ours.client_max_window_bits <=
                    (server.client_max_window_bits < 9 ? 9 : server.client_max_window_bits));
        assert_true(ours.server_max_window_bits <=
                    (client.server_max_window_bits < 9 ? 9 : client.server_max_window_bits));
        assert_true(ours.server_no_context_takeover >= server.server_no_context_takeover);
        assert_true(ours.client_no_context_takeover >= server.client_no_context_takeover);
        assert_true(ours.server_no_context_takeover >= client.server_no_context_takeover);
    }
    assert_int_equal(agreed_count,
                     16 * 8 * 8 * 8 * 8 +
                         16 * 8 * 8); /* a silent client: only with servers that take 15 */
}

static void every_byte_at_every_place_is_judged(void **state)
{
    (void)state;
    static const char text[] = PMD "; server_max_window_bits=\"10\"";
    for (size_t at = 0; at < sizeof text - 1; at++) {
        for (int c = 1; c < 256; c++) {
            char changed[sizeof text];
            memcpy(changed, text, sizeof text);
            changed[at] = (char)c;
            if (c == '\n')
                continue;
            const char *seen = answer(&any, changed);
            /* only the digits and the backslash can change what is agreed */
            if (strcmp(seen, PMD "; server_max_window_bits=10") == 0)
                assert_true(c == text[at] || c == '\t');
            else if (seen[0] == 'p')
                assert_true(at >= strlen(PMD));
        }
    }
}

static void judge_repeated(void *user, size_t n)
{
    const char *piece = user;
    const size_t size = strlen(piece);
    char *value = malloc(n + 64);
    assert_non_null(value);
    size_t at = (size_t)sprintf(value, "a; b=\"c");
    if (piece[0] == ',' || piece[0] == ';' || piece[0] == ' ')
        at = (size_t)sprintf(value, "a");
    for (; at < n; at += size)
        memcpy(value + at, piece, size);

    ln_head head = {.field_count = 1,
                    .fields = {{LN_SPAN("Sec-WebSocket-Extensions"), {value, at}}}};
    ln_pmd_params agreed;
    char text[LN_PMD_TEXT_MAX_BYTES];
    size_t length;
    assert_true(ln_pmd_accept(&head, &any, &agreed, text, &length) <= 0);
    assert_int_equal(ln_pmd_check(&head, &any, &agreed), LN_ERR_PROTOCOL);
    free(value);
}

static void time_grows_with_the_size(void **state)
{
    (void)state;
    linear_time_assert(judge_repeated, "\\c", 4096); /* a; b="c\c\c\c... */
    linear_time_assert(judge_repeated, " ", 4096);
    linear_time_assert(judge_repeated, ",a", 4096);
    linear_time_assert(judge_repeated, ",", 4096);
    linear_time_assert(judge_repeated, ";a", 4096);
    linear_time_assert(judge_repeated, ", " PMD "; x", 4096);
    linear_time_assert(judge_repeated, "x", 4096);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_offer_is_answered),
        cmocka_unit_test(a_server_gets_what_it_wishes_or_declines),
        cmocka_unit_test(the_first_acceptable_offer_wins),
        cmocka_unit_test(offers_with_wrong_parameters_are_passed_over),
        cmocka_unit_test(only_the_exact_name_is_ours),
        cmocka_unit_test(fields_that_do_not_parse_are_errors),
        cmocka_unit_test(values_may_be_quoted),
        cmocka_unit_test(window_bits_are_8_to_15_and_nothing_else),
        cmocka_unit_test(an_offer_says_what_is_wished),
        cmocka_unit_test(a_response_is_judged),
        cmocka_unit_test(a_response_may_not_be_looser_than_the_offer),
        cmocka_unit_test(both_sides_agree_on_the_same),
        cmocka_unit_test(every_byte_at_every_place_is_judged),
        cmocka_unit_test(time_grows_with_the_size),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
