/* SPDX-License-Identifier: MIT */
/* envelopewrite.c - the words of both generations, and messages as they are written (envelope.h). */
#include <stdio.h>
#include <string.h>

#include "envelope.h"

/* ---- words ---- */

ln_span ln_envelope_word(ln_envelope_type type, ln_envelope_style style)
{
    static const ln_span flat[] = {{"", 0},
                                   {"request", 7},
                                   {"response", 8},
                                   {"error", 5},
                                   {"publish", 7},
                                   {"subscribe_request", 17},
                                   {"unsubscribe_request", 19},
                                   {"subscription_ack", 16}};
    static const ln_span headed[] = {
        {"", 0},      {"request", 7},   {"response", 8},     {"error", 5},
        {"event", 5}, {"subscribe", 9}, {"unsubscribe", 11}, {"", 0}};

    return style == LN_ENVELOPE_FLAT ? flat[type] : headed[type];
}

/* ---- writing ---- */

/* Where bytes go: without `at` they are only counted. */
typedef struct sink {
    uint8_t *at;
    size_t size;
} sink;

static void put(sink *s, ln_span bytes)
{
    if (s->at != NULL && bytes.size > 0) {
        memcpy(s->at, bytes.data, bytes.size);
        s->at += bytes.size;
    }
    s->size += bytes.size;
}

static void put_number(sink *s, int64_t number)
{
    char text[24];
    const int n = snprintf(text, sizeof text, "%lld", (long long)number);
    put(s, (ln_span){text, (size_t)n});
}

/* `name` has the comma before it, if there is one, and the colon. */
static void put_member(sink *s, ln_span name, ln_span value)
{
    put(s, name);
    put(s, value);
}

static void put_error(sink *s, const ln_envelope *e)
{
    put(s, LN_SPAN(",\"error\":{"));
    if (e->error_code != 0) {
        put(s, LN_SPAN("\"code\":"));
        put_number(s, e->error_code);
    }
    if (e->error_code != 0 && e->error_message.size > 0)
        put(s, LN_SPAN(","));
    if (e->error_message.size > 0)
        put_member(s, LN_SPAN("\"message\":"), e->error_message);
    put(s, LN_SPAN("}"));
}

static void put_flat(sink *s, const ln_envelope *e, ln_span type)
{
    put(s, LN_SPAN("{"));
    if (e->id.size > 0) {
        put_member(s, LN_SPAN("\"id\":"), e->id);
        put(s, LN_SPAN(","));
    }
    put_member(s, LN_SPAN("\"type\":\""), type);
    put(s, LN_SPAN("\""));
    if (e->topic.size > 0)
        put_member(s, LN_SPAN(",\"topic\":"), e->topic);
    if (e->payload.size > 0)
        put_member(s, LN_SPAN(",\"payload\":"), e->payload);
    if (e->has_error)
        put_error(s, e);
    put(s, LN_SPAN("}\n"));
}

static ln_span or_else(ln_span value, ln_span otherwise)
{
    return value.size > 0 ? value : otherwise;
}

static void put_headed(sink *s, const ln_envelope *e, ln_span type)
{
    const bool names_topic = e->type == LN_ENVELOPE_SUBSCRIBE || e->type == LN_ENVELOPE_UNSUBSCRIBE;

    put_member(s, LN_SPAN("{\"header\":{\"messageID\":"), or_else(e->message_id, LN_SPAN("\"\"")));
    if (e->id.size > 0)
        put_member(s, LN_SPAN(",\"correlationID\":"), e->id);
    put_member(s, LN_SPAN(",\"type\":\""), type);
    put(s, LN_SPAN("\",\"topic\":"));
    if (names_topic) { /* the word itself: the topic is the body */
        put_member(s, LN_SPAN("\""), type);
        put(s, LN_SPAN("\""));
    } else {
        put(s, or_else(e->topic, LN_SPAN("\"\"")));
    }
    put(s, LN_SPAN(",\"timestamp\":"));
    put_number(s, e->timestamp_ms);
    if (e->ttl_ms != 0) {
        put(s, LN_SPAN(",\"ttl\":"));
        put_number(s, e->ttl_ms);
    }
    put_member(s, LN_SPAN("},\"body\":"),
               or_else(names_topic ? e->topic : e->payload, LN_SPAN("null")));
    put(s, LN_SPAN("}"));
}

static void put_envelope(sink *s, const ln_envelope *e)
{
    const ln_span type = ln_envelope_word(e->type, e->style);

    LN_ASSERT(type.size > 0);
    if (e->style == LN_ENVELOPE_FLAT)
        put_flat(s, e, type);
    else
        put_headed(s, e, type);
}

size_t ln_envelope_size(const ln_envelope *e)
{
    sink s = {.at = NULL};

    put_envelope(&s, e);
    return s.size;
}

uint8_t *ln_envelope_put(const ln_envelope *e, uint8_t *to)
{
    sink s = {.at = to};

    put_envelope(&s, e);
    return s.at;
}

/* No message needs more than this besides its own strings. */
static size_t enough(const ln_envelope *e)
{
    enum { MEMBERS = 256 };
    return MEMBERS + e->id.size + e->topic.size + e->payload.size + e->error_message.size +
           e->message_id.size;
}

int ln_envelope_write(ln_buf *out, const ln_envelope *e)
{
    const size_t room = enough(e);

    const int rc = ln_buf_reserve(out, room, SIZE_MAX);
    if (rc < 0)
        return rc;
    uint8_t *const end = ln_envelope_put(e, out->data + out->size);
    LN_ASSERT((size_t)(end - out->data) <= out->size + room);
    out->size = (size_t)(end - out->data);
    return 0;
}
