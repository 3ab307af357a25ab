/* SPDX-License-Identifier: MIT */
/* The broker's messages, byte for byte (dialect/envelope.h). No loop is used; back end: any. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/text.h"
#include "dialect/envelope.h"
#include "failing_alloc.h"

#define Q(text)                                                                                    \
    {                                                                                              \
        "\"" text "\"", sizeof(text) + 1                                                           \
    }

/* ---- what is written, byte for byte; reading gives the same back ---- */

typedef struct written {
    ln_envelope e;
    const char *text;
} written;

static const written texts[] = {
    {{.style = LN_ENVELOPE_FLAT,
      .type = LN_ENVELOPE_REQUEST,
      .id = Q("0af1"),
      .topic = Q("system:register"),
      .payload = {"{\"a\": [1,2]}", 12}},
     "{\"id\":\"0af1\",\"type\":\"request\",\"topic\":\"system:register\",\"payload\":{\"a\": "
     "[1,2]}}\n"},
    {{.style = LN_ENVELOPE_FLAT,
      .type = LN_ENVELOPE_RESPONSE,
      .id = Q("\\u0041\\n"),
      .topic = Q("t")},
     "{\"id\":\"\\u0041\\n\",\"type\":\"response\",\"topic\":\"t\"}\n"},
    {{.style = LN_ENVELOPE_FLAT,
      .type = LN_ENVELOPE_ERROR,
      .id = Q("1"),
      .topic = Q("t"),
      .has_error = true,
      .error_code = 404,
      .error_message = Q("No handler for topic: t")},
     "{\"id\":\"1\",\"type\":\"error\",\"topic\":\"t\",\"error\":{\"code\":404,\"message\":\"No "
     "handler for topic: t\"}}\n"},
    {{.style = LN_ENVELOPE_FLAT,
      .type = LN_ENVELOPE_ERROR,
      .id = Q("1"),
      .has_error = true,
      .error_code = 400,
      .error_message = Q("Subscription topic cannot be empty")},
     "{\"id\":\"1\",\"type\":\"error\",\"error\":{\"code\":400,\"message\":\"Subscription topic "
     "cannot be empty\"}}\n"},
    {{.style = LN_ENVELOPE_FLAT,
      .type = LN_ENVELOPE_ERROR,
      .has_error = true,
      .error_message = Q("m")},
     "{\"type\":\"error\",\"error\":{\"message\":\"m\"}}\n"},
    {{.style = LN_ENVELOPE_FLAT,
      .type = LN_ENVELOPE_RESPONSE,
      .has_error = true,
      .error_code = INT64_MIN},
     "{\"type\":\"response\",\"error\":{\"code\":-9223372036854775808}}\n"},
    {{.style = LN_ENVELOPE_FLAT, .type = LN_ENVELOPE_ERROR, .has_error = true},
     "{\"type\":\"error\",\"error\":{}}\n"},
    {{.style = LN_ENVELOPE_FLAT,
      .type = LN_ENVELOPE_PUBLISH,
      .topic = Q("T"),
      .payload = {"null", 4}},
     "{\"type\":\"publish\",\"topic\":\"T\",\"payload\":null}\n"},
    {{.style = LN_ENVELOPE_FLAT,
      .type = LN_ENVELOPE_SUBSCRIBE,
      .id = Q("2"),
      .topic = Q("T"),
      .payload = {"null", 4}},
     "{\"id\":\"2\",\"type\":\"subscribe_request\",\"topic\":\"T\",\"payload\":null}\n"},
    {{.style = LN_ENVELOPE_FLAT, .type = LN_ENVELOPE_UNSUBSCRIBE, .id = Q("2"), .topic = Q("T")},
     "{\"id\":\"2\",\"type\":\"unsubscribe_request\",\"topic\":\"T\"}\n"},
    {{.style = LN_ENVELOPE_FLAT,
      .type = LN_ENVELOPE_ACK,
      .id = Q("2"),
      .topic = Q("T"),
      .payload = {"{\"status\":\"subscribed\",\"topic\":\"T\"}", 35}},
     "{\"id\":\"2\",\"type\":\"subscription_ack\",\"topic\":\"T\",\"payload\":{\"status\":"
     "\"subscribed\",\"topic\":\"T\"}}\n"},
    {{.style = LN_ENVELOPE_HEADED,
      .type = LN_ENVELOPE_PUBLISH,
      .message_id = Q("17-1"),
      .topic = Q("_internal.client.registered"),
      .timestamp_ms = 1746900000000,
      .payload = {"{\"status\":\"registered\"}", 23}},
     "{\"header\":{\"messageID\":\"17-1\",\"type\":\"event\",\"topic\":\"_internal.client."
     "registered\",\"timestamp\":1746900000000},\"body\":{\"status\":\"registered\"}}"},
    {{.style = LN_ENVELOPE_HEADED,
      .type = LN_ENVELOPE_REQUEST,
      .message_id = Q("m"),
      .id = Q("c"),
      .topic = Q("server.ping"),
      .timestamp_ms = 5,
      .ttl_ms = 5000,
      .payload = {"[]", 2}},
     "{\"header\":{\"messageID\":\"m\",\"correlationID\":\"c\",\"type\":\"request\",\"topic\":"
     "\"server.ping\",\"timestamp\":5,\"ttl\":5000},\"body\":[]}"},
    {{.style = LN_ENVELOPE_HEADED,
      .type = LN_ENVELOPE_RESPONSE,
      .message_id = Q("m"),
      .id = Q("c"),
      .topic = Q("c"),
      .payload = {"null", 4}},
     "{\"header\":{\"messageID\":\"m\",\"correlationID\":\"c\",\"type\":\"response\",\"topic\":"
     "\"c\",\"timestamp\":0},\"body\":null}"},
    {{.style = LN_ENVELOPE_HEADED,
      .type = LN_ENVELOPE_ERROR,
      .message_id = Q("m"),
      .id = Q("c"),
      .topic = Q("c"),
      .payload = {"{\"error\":\"handler error: x\"}", 28}},
     "{\"header\":{\"messageID\":\"m\",\"correlationID\":\"c\",\"type\":\"error\",\"topic\":\"c\","
     "\"timestamp\":0},\"body\":{\"error\":\"handler error: x\"}}"},
    {{.style = LN_ENVELOPE_HEADED, .type = LN_ENVELOPE_SUBSCRIBE, .topic = Q("news")},
     "{\"header\":{\"messageID\":\"\",\"type\":\"subscribe\",\"topic\":\"subscribe\",\"timestamp\":"
     "0},\"body\":\"news\"}"},
    {{.style = LN_ENVELOPE_HEADED, .type = LN_ENVELOPE_UNSUBSCRIBE, .topic = Q("news")},
     "{\"header\":{\"messageID\":\"\",\"type\":\"unsubscribe\",\"topic\":\"unsubscribe\","
     "\"timestamp\":0},\"body\":\"news\"}"},
};

static void assert_span(ln_span got, ln_span expected)
{
    assert_int_equal(got.size, expected.size);
    if (expected.size > 0)
        assert_memory_equal(got.data, expected.data, expected.size);
}

static void assert_same(const ln_envelope *got, const ln_envelope *expected)
{
    assert_int_equal(got->style, expected->style);
    assert_int_equal(got->type, expected->type);
    assert_span(got->id, expected->id);
    assert_span(got->topic, expected->topic);
    assert_span(got->payload, expected->payload);
    assert_int_equal(got->has_error, expected->has_error);
    assert_true(got->error_code == expected->error_code);
    assert_span(got->error_message, expected->error_message);
    assert_span(got->message_id, expected->message_id);
    assert_true(got->timestamp_ms == expected->timestamp_ms);
    assert_true(got->ttl_ms == expected->ttl_ms);
}

static void every_message_is_written_byte_for_byte(void **state)
{
    (void)state;
    for (size_t i = 0; i < LN_ARRAY_SIZE(texts); i++) {
        const size_t size = strlen(texts[i].text);
        ln_buf b;

        assert_int_equal(ln_envelope_size(&texts[i].e), size);
        ln_buf_init(&b, &ln_alloc_libc);
        assert_int_equal(ln_buf_append(&b, "before", 6, SIZE_MAX), 0);
        assert_int_equal(ln_envelope_write(&b, &texts[i].e), 0);
        assert_int_equal(b.size, 6 + size);
        assert_memory_equal(b.data + 6, texts[i].text, size);
        ln_buf_fini(&b);
    }
}

/* In memory of exactly its size, so that a sanitizer sees what is read beyond. */
static int read_exactly(const char *text, ln_envelope *e, char **copy)
{
    const size_t size = strlen(text);

    *copy = malloc(size > 0 ? size : 1);
    assert_non_null(*copy);
    memcpy(*copy, text, size);
    return ln_envelope_read((ln_span){*copy, size}, e);
}

static void what_was_written_is_read_again(void **state)
{
    (void)state;
    for (size_t i = 0; i < LN_ARRAY_SIZE(texts); i++) {
        ln_envelope e;
        char *copy;

        assert_int_equal(read_exactly(texts[i].text, &e, &copy), 0);
        assert_same(&e, &texts[i].e);
        free(copy);
    }
}

static void no_part_of_a_message_is_one(void **state)
{
    (void)state;
    for (size_t i = 0; i < LN_ARRAY_SIZE(texts); i++) {
        const size_t size = strlen(texts[i].text) - (texts[i].e.style == LN_ENVELOPE_FLAT);
        for (size_t n = 0; n < size; n++) {
            ln_envelope e;
            char *const copy = malloc(n > 0 ? n : 1);
            memcpy(copy, texts[i].text, n);
            assert_int_equal(ln_envelope_read((ln_span){copy, n}, &e), LN_ERR_PROTOCOL);
            free(copy);
        }
    }
}

/* ---- what peers send otherwise ---- */

static void what_is_of_the_wrong_shape_is_malformed(void **state)
{
    (void)state;
    static const char *const wrong[] = {
        "",
        "not json",
        "[]",
        "5",
        "\"request\"",
        "true",
        "{\"id\":5}",
        "{\"type\":[]}",
        "{\"topic\":{}}",
        "{\"error\":\"x\"}",
        "{\"error\":5}",
        "{\"error\":{\"code\":\"404\"}}",
        "{\"error\":{\"code\":1.5}}",
        "{\"error\":{\"message\":5}}",
        "{\"id\":5,\"id\":\"1\"}",
        "{} {}",
        "{\"header\":{\"type\":5}}",
        "{\"header\":{\"topic\":[]}}",
        "{\"header\":{\"messageID\":1}}",
        "{\"header\":{\"correlationID\":1}}",
        "{\"header\":{\"timestamp\":\"1\"}}",
        "{\"header\":{\"ttl\":0.5}}",
        "{\"header\":{\"type\":\"subscribe\"},\"body\":5}",
    };
    for (size_t i = 0; i < LN_ARRAY_SIZE(wrong); i++) {
        ln_envelope e = {.type = LN_ENVELOPE_ACK};
        char *copy;
        assert_int_equal(read_exactly(wrong[i], &e, &copy), LN_ERR_PROTOCOL);
        assert_int_equal(e.type, LN_ENVELOPE_ACK); /* not written */
        free(copy);
    }
}

static void what_is_of_no_type_is_not_malformed(void **state)
{
    (void)state;
    static const char *const odd[] = {"null",
                                      "{}",
                                      "{\"type\":null}",
                                      "{\"type\":\"\"}",
                                      "{\"type\":\"event\"}",
                                      "{\"type\":\"subscribe\"}",
                                      "{\"type\":\"Request\"}",
                                      "{\"Type\":\"request\"}",
                                      "{\"header\":\"request\"}",
                                      "{\"header\":{}}",
                                      "{\"header\":{\"type\":\"publish\"}}",
                                      "{\"header\":{\"type\":\"subscription_ack\"}}"};
    for (size_t i = 0; i < LN_ARRAY_SIZE(odd); i++) {
        ln_envelope e;
        char *copy;
        assert_int_equal(read_exactly(odd[i], &e, &copy), 0);
        assert_int_equal(e.type, LN_ENVELOPE_UNKNOWN);
        free(copy);
    }
}

static ln_envelope read_good(const char *text)
{
    ln_envelope e;
    assert_int_equal(ln_envelope_read(ln_text(text), &e), 0);
    return e;
}

static void what_is_not_known_is_passed_over_and_the_last_one_counts(void **state)
{
    (void)state;
    ln_envelope e =
        read_good("{\"x\":{\"id\":1},\"id\":\"1\",\"type\":\"error\",\"type\":\"publish\","
                  "\"id\":\"2\",\"topic\":\"a\",\"payload\":1,\"payload\":[2]}");
    assert_int_equal(e.type, LN_ENVELOPE_PUBLISH);
    assert_span(e.id, LN_SPAN("\"2\""));
    assert_span(e.payload, LN_SPAN("[2]"));

    e = read_good("{\"id\":\"1\",\"id\":null,\"topic\":\"\",\"type\":\"request\"}");
    assert_span(e.id, LN_SPAN("\"1\"")); /* null says nothing */
    assert_int_equal(e.topic.size, 0);   /* the empty topic is none */
    assert_int_equal(e.payload.size, 0);

    e = read_good("{\"error\":{\"code\":4,\"x\":1},\"error\":{\"message\":\"m\"}}");
    assert_true(e.has_error && e.error_code == 4);
    assert_span(e.error_message, LN_SPAN("\"m\""));
    e = read_good("{\"error\":{\"code\":4},\"error\":null}");
    assert_true(!e.has_error && e.error_code == 0);
}

/* What begins as every message does may go on as it likes. */
static void what_begins_as_usual_is_read_to_its_end(void **state)
{
    (void)state;
    static const char begin[] = "{\"id\":\"1\",\"type\":\"publish\",\"topic\":\"t\",\"payload\":";
    static const char *const wrong[] = {"",     "}",    "1",           "1,}",
                                        "1}}",  "{}",   "1,\"id\":5}", "1,\"x\"}",
                                        "nul}", "1} x", "\"\xff\"}",   "\"\xc3\"}"};
    char text[200];
    ln_envelope e;
    char *copy;

    for (size_t i = 0; i < LN_ARRAY_SIZE(wrong); i++) {
        snprintf(text, sizeof text, "%s%s", begin, wrong[i]);
        assert_int_equal(read_exactly(text, &e, &copy), LN_ERR_PROTOCOL);
        free(copy);
    }
    snprintf(text, sizeof text, "%s%s", begin,
             " [1 , {}] ,\"id\":\"2\",\"payload\":7, \"x\":{} }\n");
    e = read_good(text);
    assert_int_equal(e.type, LN_ENVELOPE_PUBLISH);
    assert_span(e.id, LN_SPAN("\"2\""));
    assert_span(e.topic, LN_SPAN("\"t\""));
    assert_span(e.payload, LN_SPAN("7"));
    snprintf(text, sizeof text, "%s%s", begin, "1,\"header\":{\"type\":\"event\"},\"body\":2}");
    e = read_good(text);
    assert_int_equal(e.style, LN_ENVELOPE_HEADED);
    assert_span(e.payload, LN_SPAN("2"));

    /* brackets count from the outermost one, however it was read */
    for (int spaces = 0; spaces < 2; spaces++)
        for (int depth = 63; depth <= 64; depth++) {
            char deep[300] = "";
            for (int i = 0; i < depth; i++)
                strcat(deep, "[");
            for (int i = 0; i < depth; i++)
                strcat(deep, "]");
            char whole[400];
            snprintf(whole, sizeof whole, "%s%s%s}", spaces ? " " : "", begin, deep);
            assert_int_equal(read_exactly(whole, &e, &copy), depth == 63 ? 0 : LN_ERR_PROTOCOL);
            free(copy);
        }
}

static void a_header_tells_the_generation(void **state)
{
    (void)state;
    ln_envelope e =
        read_good("{\"id\":5,\"type\":[],\"body\":{\"a\":1},\"header\":{\"type\":"
                  "\"event\",\"topic\":\"t\",\"timestamp\":1e3,\"new\":[]},\"payload\":2}");
    assert_int_equal(e.style, LN_ENVELOPE_HEADED);
    assert_int_equal(e.type, LN_ENVELOPE_PUBLISH);
    assert_span(e.payload, LN_SPAN("{\"a\":1}"));
    assert_int_equal(e.timestamp_ms, 1000);
    assert_int_equal(e.id.size, 0);

    e = read_good("{\"header\":[],\"body\":1,\"type\":\"publish\",\"topic\":\"t\"}");
    assert_int_equal(e.style, LN_ENVELOPE_FLAT);
    assert_int_equal(e.type, LN_ENVELOPE_PUBLISH);
    assert_int_equal(e.payload.size, 0);

    static const char *const headed[] = {"{\"header\":{\"topic\":5}}",
                                         "{\"id\":5,\"header\":{\"ttl\":\"x\"},\"body\":1}"};
    static const char *const others[] = {"",           "nonsense",        "[{\"header\":{}}]",
                                         "{\"id\":5}", "{\"header\":[]}", "{\"header\":{}"};
    for (size_t i = 0; i < LN_ARRAY_SIZE(headed); i++) {
        assert_int_equal(ln_envelope_read(ln_text(headed[i]), &e), LN_ERR_PROTOCOL);
        assert_true(ln_envelope_is_headed(ln_text(headed[i])));
    }
    for (size_t i = 0; i < LN_ARRAY_SIZE(others); i++)
        assert_false(ln_envelope_is_headed(ln_text(others[i])));
}

static void the_oldest_clients_name_the_topic_in_the_body(void **state)
{
    (void)state;
    ln_envelope e = read_good(
        "{\"header\":{\"type\":\"subscribe\",\"topic\":\"subscribe\"},\"body\":\"news\"}");
    assert_int_equal(e.type, LN_ENVELOPE_SUBSCRIBE);
    assert_span(e.topic, LN_SPAN("\"news\""));
    assert_int_equal(e.payload.size, 0);
    e = read_good("{\"header\":{\"type\":\"unsubscribe\",\"topic\":\"unsubscribe\"}}");
    assert_int_equal(e.type, LN_ENVELOPE_UNSUBSCRIBE);
    assert_int_equal(e.topic.size, 0);
}

static void a_string_is_what_it_means(void **state)
{
    (void)state;
    uint8_t room[32];
    const ln_span plain = LN_SPAN("\"topic\"");

    const ln_span inside = ln_envelope_text(plain, room);
    assert_span(inside, LN_SPAN("topic"));
    assert_ptr_equal(inside.data, (const char *)plain.data + 1); /* not copied */
    assert_span(ln_envelope_text(LN_SPAN("\"a\\u00e4\\n\""), room), LN_SPAN("a\xc3\xa4\n"));
    assert_span(ln_envelope_text((ln_span){NULL, 0}, room), LN_SPAN(""));

    const ln_envelope e = read_good("{\"t\\u0079pe\":\"re\\u0071uest\",\"to\\u0070ic\":\"t\"}");
    assert_int_equal(e.type, LN_ENVELOPE_REQUEST);
    assert_span(e.topic, LN_SPAN("\"t\""));
}

/* ---- failures ---- */

static void assert_failure(const char *text, int64_t code, ln_span message)
{
    const ln_envelope e = read_good(text);
    ln_envelope_failure f;

    assert_true(ln_envelope_is_failure(&e, &f));
    assert_true(f.code == code);
    assert_span(f.message, message);
}

static void failures_are_known_in_every_shape(void **state)
{
    (void)state;
    ln_envelope_failure f;

    assert_failure("{\"type\":\"error\",\"error\":{\"code\":404,\"message\":\"m\"}}", 404,
                   LN_SPAN("\"m\""));
    assert_failure("{\"type\":\"response\",\"error\":{\"message\":\"m\"}}", 0, LN_SPAN("\"m\""));
    assert_failure("{\"type\":\"response\",\"payload\":1,\"error\":{}}", 0, LN_SPAN(""));
    assert_failure("{\"type\":\"error\",\"payload\":{\"error\":\"m\"}}", 0, LN_SPAN("\"m\""));
    assert_failure("{\"type\":\"error\",\"payload\":{\"error\":{\"message\":\"m\",\"code\":7}}}", 7,
                   LN_SPAN("\"m\""));
    assert_failure("{\"type\":\"error\",\"payload\":{\"error\":5}}", 0, LN_SPAN(""));
    assert_failure("{\"type\":\"error\",\"payload\":[\"error\"]}", 0, LN_SPAN(""));
    assert_failure("{\"type\":\"error\"}", 0, LN_SPAN(""));
    assert_failure("{\"header\":{\"type\":\"error\"},\"body\":{\"error\":{\"message\":\"m\"}}}", 0,
                   LN_SPAN("\"m\""));
    assert_failure("{\"header\":{\"type\":\"error\"},\"body\":{\"error\":\"m\"}}", 0,
                   LN_SPAN("\"m\""));

    const ln_envelope good = read_good("{\"type\":\"response\",\"payload\":{\"error\":\"m\"}}");
    assert_false(ln_envelope_is_failure(&good, &f)); /* a result that has such a member */
}

/* ---- memory ---- */

static int one_life(const ln_allocator *alloc, void *user)
{
    ln_buf b;
    (void)user;

    ln_buf_init(&b, alloc);
    const int rc = ln_envelope_write(&b, &texts[0].e);
    assert_true(rc == 0 || b.size == 0);
    ln_buf_fini(&b);
    return rc;
}

static void running_out_of_memory_is_an_error(void **state)
{
    (void)state;
    assert_true(failing_alloc_sweep(one_life, NULL) >= 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_message_is_written_byte_for_byte),
        cmocka_unit_test(what_was_written_is_read_again),
        cmocka_unit_test(no_part_of_a_message_is_one),
        cmocka_unit_test(what_is_of_the_wrong_shape_is_malformed),
        cmocka_unit_test(what_is_of_no_type_is_not_malformed),
        cmocka_unit_test(what_is_not_known_is_passed_over_and_the_last_one_counts),
        cmocka_unit_test(what_begins_as_usual_is_read_to_its_end),
        cmocka_unit_test(a_header_tells_the_generation),
        cmocka_unit_test(the_oldest_clients_name_the_topic_in_the_body),
        cmocka_unit_test(a_string_is_what_it_means),
        cmocka_unit_test(failures_are_known_in_every_shape),
        cmocka_unit_test(running_out_of_memory_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
