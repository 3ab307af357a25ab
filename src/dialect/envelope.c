/* SPDX-License-Identifier: MIT */
#include "envelope.h"

#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "proto/json.h"

/* ---- words ---- */

typedef struct words {
    ln_envelope_type type;
    ln_span flat;
    ln_span headed; /* empty: it has none */
} words;

static const words vocabulary[] = {
    {LN_ENVELOPE_REQUEST, {"request", 7}, {"request", 7}},
    {LN_ENVELOPE_RESPONSE, {"response", 8}, {"response", 8}},
    {LN_ENVELOPE_ERROR, {"error", 5}, {"error", 5}},
    {LN_ENVELOPE_PUBLISH, {"publish", 7}, {"event", 5}},
    {LN_ENVELOPE_SUBSCRIBE, {"subscribe_request", 17}, {"subscribe", 9}},
    {LN_ENVELOPE_UNSUBSCRIBE, {"unsubscribe_request", 19}, {"unsubscribe", 11}},
    {LN_ENVELOPE_ACK, {"subscription_ack", 16}, {"", 0}},
};

static ln_span word_of(const words *w, ln_envelope_style style)
{
    return style == LN_ENVELOPE_FLAT ? w->flat : w->headed;
}

static ln_envelope_type type_of(ln_span string, ln_envelope_style style)
{
    for (size_t i = 0; i < LN_ARRAY_SIZE(vocabulary) && string.size > 0; i++) {
        const ln_span word = word_of(&vocabulary[i], style);
        if (word.size > 0 && ln_json_is(string, word))
            return vocabulary[i].type;
    }
    return LN_ENVELOPE_UNKNOWN;
}

/* ---- members ---- */

/* A string, or null, which changes nothing. False: of another type. */
static bool take_string(const ln_json_value *v, ln_span *string)
{
    if (v->type == LN_JSON_STRING)
        *string = v->text.size > 2 ? v->text : (ln_span){NULL, 0};
    return v->type == LN_JSON_STRING || v->type == LN_JSON_NULL;
}

static bool take_integer(const ln_json_value *v, int64_t *number)
{
    if (v->type == LN_JSON_NUMBER)
        return ln_json_integer(v->text, number) == 0;
    return v->type == LN_JSON_NULL;
}

/* Goes on to the next member of an object whose text was checked before; begins with its bracket. */
static bool open_object(ln_json *j, ln_span object)
{
    ln_json_value bracket;

    ln_json_init(j, object);
    return ln_json_next(j, &bracket) == LN_JSON_OBJECT;
}

/* What a later object of that name says is laid over what an earlier one said. */
static bool take_error(const ln_json_value *v, ln_envelope *e)
{
    ln_json_value member;
    ln_span key;
    ln_json j;

    if (v->type == LN_JSON_NULL) {
        e->has_error = false;
        e->error_code = 0;
        e->error_message = (ln_span){NULL, 0};
        return true;
    }
    if (!open_object(&j, v->text))
        return false;
    bool is_good = true;
    e->has_error = true;
    while (ln_json_next_member(&j, &key, &member)) {
        if (ln_json_is(key, LN_SPAN("code")))
            is_good &= take_integer(&member, &e->error_code);
        else if (ln_json_is(key, LN_SPAN("message")))
            is_good &= take_string(&member, &e->error_message);
    }
    return is_good;
}

static bool take_header_member(ln_span key, const ln_json_value *v, ln_span *type, ln_envelope *e)
{
    if (ln_json_is(key, LN_SPAN("messageID")))
        return take_string(v, &e->message_id);
    if (ln_json_is(key, LN_SPAN("correlationID")))
        return take_string(v, &e->id);
    if (ln_json_is(key, LN_SPAN("type")))
        return take_string(v, type);
    if (ln_json_is(key, LN_SPAN("topic")))
        return take_string(v, &e->topic);
    if (ln_json_is(key, LN_SPAN("timestamp")))
        return take_integer(v, &e->timestamp_ms);
    if (ln_json_is(key, LN_SPAN("ttl")))
        return take_integer(v, &e->ttl_ms);
    return true;
}

static bool read_header(ln_span header, ln_span *type, ln_envelope *e)
{
    bool is_good = true;
    ln_json_value v;
    ln_span key;
    ln_json j;

    (void)open_object(&j, header); /* it is one */
    while (ln_json_next_member(&j, &key, &v))
        is_good &= take_header_member(key, &v, type, e);
    return is_good;
}

/* ---- both generations ---- */

/* Both at once, until it is known which of them it is. */
typedef struct draft {
    ln_envelope flat;
    ln_span type;
    bool is_flat_good;
    ln_span header; /* the last one that is an object */
    ln_span body;
} draft;

static void take_member(draft *d, ln_span key, const ln_json_value *v)
{
    if (ln_json_is(key, LN_SPAN("id")))
        d->is_flat_good &= take_string(v, &d->flat.id);
    else if (ln_json_is(key, LN_SPAN("type")))
        d->is_flat_good &= take_string(v, &d->type);
    else if (ln_json_is(key, LN_SPAN("topic")))
        d->is_flat_good &= take_string(v, &d->flat.topic);
    else if (ln_json_is(key, LN_SPAN("payload")))
        d->flat.payload = v->text;
    else if (ln_json_is(key, LN_SPAN("error")))
        d->is_flat_good &= take_error(v, &d->flat);
    else if (ln_json_is(key, LN_SPAN("body")))
        d->body = v->text;
    else if (v->type == LN_JSON_OBJECT && ln_json_is(key, LN_SPAN("header")))
        d->header = v->text;
}

/* The oldest clients name their topic in the body. */
static bool take_topic_of_body(ln_envelope *e)
{
    ln_json_value v = {.type = LN_JSON_NULL};
    ln_json j;

    if (e->type != LN_ENVELOPE_SUBSCRIBE && e->type != LN_ENVELOPE_UNSUBSCRIBE)
        return true;
    e->topic = (ln_span){NULL, 0};
    if (e->payload.size > 0) {
        ln_json_init(&j, e->payload);
        (void)ln_json_next(&j, &v);
    }
    e->payload = (ln_span){NULL, 0};
    return take_string(&v, &e->topic);
}

static bool conclude(const draft *d, ln_envelope *e)
{
    ln_span type = d->type;

    if (d->header.size == 0) {
        *e = d->flat;
        e->style = LN_ENVELOPE_FLAT;
        e->type = type_of(type, LN_ENVELOPE_FLAT);
        return d->is_flat_good;
    }
    *e = (ln_envelope){.style = LN_ENVELOPE_HEADED, .payload = d->body};
    type = (ln_span){NULL, 0};
    if (!read_header(d->header, &type, e))
        return false;
    e->type = type_of(type, LN_ENVELOPE_HEADED);
    return take_topic_of_body(e);
}

int ln_envelope_read(ln_span text, ln_envelope *e)
{
    draft d = {.is_flat_good = true};
    ln_envelope read;
    ln_json_value v;
    ln_span key;
    ln_json j;

    ln_json_init(&j, text);
    const ln_json_type type = ln_json_next(&j, &v);
    if (type != LN_JSON_OBJECT && type != LN_JSON_NULL)
        return LN_ERR_PROTOCOL;
    while (type == LN_JSON_OBJECT && ln_json_next_member(&j, &key, &v))
        take_member(&d, key, &v);
    if (!ln_json_finish(&j) || !conclude(&d, &read))
        return LN_ERR_PROTOCOL;
    *e = read;
    return 0;
}

ln_span ln_envelope_text(ln_span string, uint8_t *room)
{
    const uint8_t *const bytes = string.data;

    if (string.size == 0)
        return (ln_span){"", 0};
    if (memchr(bytes, '\\', string.size) == NULL)
        return (ln_span){bytes + 1, string.size - 2};
    return (ln_span){room, ln_json_decode(string, room)};
}

/* ---- failures ---- */

static void read_details(ln_span payload, ln_envelope_failure *f)
{
    ln_json_field error = {.name = "error"};
    ln_json_field parts[] = {{.name = "message"}, {.name = "code"}};
    ln_json j;

    if (payload.size == 0 || !open_object(&j, payload) || !ln_json_read_fields(&j, &error, 1))
        return;
    if (error.value.type == LN_JSON_STRING) {
        (void)take_string(&error.value, &f->message);
        return;
    }
    if (error.value.type != LN_JSON_OBJECT || !open_object(&j, error.value.text) ||
        !ln_json_read_fields(&j, parts, LN_ARRAY_SIZE(parts)))
        return;
    (void)take_string(&parts[0].value, &f->message);
    (void)take_integer(&parts[1].value, &f->code);
}

bool ln_envelope_is_failure(const ln_envelope *e, ln_envelope_failure *f)
{
    if (!e->has_error && e->type != LN_ENVELOPE_ERROR)
        return false;
    *f = (ln_envelope_failure){.code = 0};
    if (e->has_error)
        *f = (ln_envelope_failure){e->error_code, e->error_message};
    else
        read_details(e->payload, f);
    return true;
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

static ln_span written_type(const ln_envelope *e)
{
    for (size_t i = 0; i < LN_ARRAY_SIZE(vocabulary); i++)
        if (vocabulary[i].type == e->type)
            return word_of(&vocabulary[i], e->style);
    return (ln_span){"", 0};
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
    const ln_span type = written_type(e);

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

int ln_envelope_write(ln_buf *out, const ln_envelope *e)
{
    const size_t size = ln_envelope_size(e);

    const int rc = ln_buf_reserve(out, size, SIZE_MAX);
    if (rc < 0)
        return rc;
    (void)ln_envelope_put(e, out->data + out->size);
    out->size += size;
    return 0;
}
