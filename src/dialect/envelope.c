/* SPDX-License-Identifier: MIT */
#include "envelope.h"

#include <string.h>

#include "base/text.h"
#include "proto/json.h"
#include "proto/jsonscan.h"

/* ---- words ---- */

/* Whether a string, as it stands, means `word`: most have no escapes, and are compared as they are. */
LN_INLINE bool means(ln_span string, ln_span word)
{
    const char *const bytes = string.data;

    if (LN_LIKELY(string.size == word.size + 2 && memcmp(bytes + 1, word.data, word.size) == 0))
        return true;
    return LN_UNLIKELY(memchr(bytes, '\\', string.size) != NULL) && ln_json_is(string, word);
}

static ln_envelope_type type_of(ln_span string, ln_envelope_style style)
{
    for (int type = LN_ENVELOPE_REQUEST; type <= LN_ENVELOPE_ACK && string.size > 0; type++) {
        const ln_span word = ln_envelope_word((ln_envelope_type)type, style);
        if (word.size > 0 && means(string, word))
            return (ln_envelope_type)type;
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
        if (means(key, LN_SPAN("code")))
            is_good &= take_integer(&member, &e->error_code);
        else if (means(key, LN_SPAN("message")))
            is_good &= take_string(&member, &e->error_message);
    }
    return is_good;
}

static bool take_header_member(ln_span key, const ln_json_value *v, ln_span *type, ln_envelope *e)
{
    if (means(key, LN_SPAN("messageID")))
        return take_string(v, &e->message_id);
    if (means(key, LN_SPAN("correlationID")))
        return take_string(v, &e->id);
    if (means(key, LN_SPAN("type")))
        return take_string(v, type);
    if (means(key, LN_SPAN("topic")))
        return take_string(v, &e->topic);
    if (means(key, LN_SPAN("timestamp")))
        return take_integer(v, &e->timestamp_ms);
    if (means(key, LN_SPAN("ttl")))
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
    bool is_flat_good;
    ln_span header; /* the last one that is an object */
    ln_span body;
} draft;

static bool take_flat_type(const ln_json_value *v, ln_envelope *e)
{
    ln_span word = {NULL, 0};

    if (!take_string(v, &word))
        return false;
    if (v->type == LN_JSON_STRING)
        e->type = type_of(word, LN_ENVELOPE_FLAT);
    return true;
}

static void take_member(draft *d, ln_span key, const ln_json_value *v)
{
    if (means(key, LN_SPAN("id")))
        d->is_flat_good &= take_string(v, &d->flat.id);
    else if (means(key, LN_SPAN("type")))
        d->is_flat_good &= take_flat_type(v, &d->flat);
    else if (means(key, LN_SPAN("topic")))
        d->is_flat_good &= take_string(v, &d->flat.topic);
    else if (means(key, LN_SPAN("payload")))
        d->flat.payload = v->text;
    else if (means(key, LN_SPAN("error")))
        d->is_flat_good &= take_error(v, &d->flat);
    else if (means(key, LN_SPAN("body")))
        d->body = v->text;
    else if (v->type == LN_JSON_OBJECT && means(key, LN_SPAN("header")))
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

static bool conclude_headed(const draft *d, ln_envelope *e)
{
    ln_envelope read = {.style = LN_ENVELOPE_HEADED, .payload = d->body};
    ln_span type = {NULL, 0};

    if (!read_header(d->header, &type, &read))
        return false;
    read.type = type_of(type, LN_ENVELOPE_HEADED);
    if (!take_topic_of_body(&read))
        return false;
    *e = read;
    return true;
}

static bool conclude(const draft *d, ln_envelope *e)
{
    if (LN_UNLIKELY(d->header.size > 0))
        return conclude_headed(d, e);
    if (!d->is_flat_good)
        return false;
    *e = d->flat;
    e->style = LN_ENVELOPE_FLAT;
    return true;
}

/* ---- the usual ---- */

/* Moves *at behind `literal` if that is there. */
LN_INLINE bool pass(const uint8_t **at, const uint8_t *end, ln_span literal)
{
    if ((size_t)(end - *at) < literal.size || memcmp(*at, literal.data, literal.size) != 0)
        return false;
    *at += literal.size;
    return true;
}

/* The rest of a string whose quote has been passed: without escapes, in ASCII, and not empty. */
static bool pass_plain(const uint8_t **at, const uint8_t *end, ln_span *string)
{
    const uint8_t *const first = *at;
    bool is_foreign = false;
    const size_t n = ln_jsonscan(first, (size_t)(end - first), &is_foreign);

    if (n == 0 || is_foreign || first + n == end || first[n] != '"')
        return false;
    *string = (ln_span){first - 1, n + 2};
    *at = first + n + 1;
    return true;
}

/* A word of the current generation and its quote. */
static bool pass_word(const uint8_t **at, const uint8_t *end, ln_envelope_type *type)
{
    for (int t = LN_ENVELOPE_REQUEST; t <= LN_ENVELOPE_ACK; t++) {
        const ln_span word = ln_envelope_word((ln_envelope_type)t, LN_ENVELOPE_FLAT);
        if ((size_t)(end - *at) > word.size && (*at)[word.size] == '"' &&
            memcmp(*at, word.data, word.size) == 0) {
            *at += word.size + 1;
            *type = (ln_envelope_type)t;
            return true;
        }
    }
    return false;
}

/*
 * What nearly every message begins with, in the order and the spelling in which clients write it: id,
 * type and topic, with nothing between them, and the payload behind. *offset is where that begins.
 * False, with the draft as it was: it has to be read from the beginning.
 */
static bool read_usual(ln_span text, draft *d, size_t *offset)
{
    const uint8_t *at = text.data;
    const uint8_t *const end = at + text.size;
    ln_span id = {NULL, 0}, topic;
    ln_envelope_type type;

    if (pass(&at, end, LN_SPAN("{\"id\":\""))) {
        if (!pass_plain(&at, end, &id) || !pass(&at, end, LN_SPAN(",\"type\":\"")))
            return false;
    } else if (!pass(&at, end, LN_SPAN("{\"type\":\""))) {
        return false;
    }
    if (!pass_word(&at, end, &type) || !pass(&at, end, LN_SPAN(",\"topic\":\"")) ||
        !pass_plain(&at, end, &topic) || !pass(&at, end, LN_SPAN(",\"payload\":")))
        return false;
    d->flat.id = id;
    d->flat.topic = topic;
    d->flat.type = type;
    *offset = (size_t)(at - (const uint8_t *)text.data);
    return true;
}

/* Moves behind what is usual, or to the first member. False: it is no object. */
static bool begin(ln_json *j, ln_span text, draft *d)
{
    ln_json_value v;
    size_t offset;

    if (text.size > 0 && read_usual(text, d, &offset)) {
        ln_json_init_member(j, text, offset);
        if (ln_json_next_value(j, &v) != LN_JSON_FAULT)
            d->flat.payload = v.text;
        return true; /* a fault is found again at the end */
    }
    ln_json_init(j, text);
    return ln_json_next(j, &v) == LN_JSON_OBJECT;
}

static bool is_null(ln_span text)
{
    ln_json_value v;
    ln_json j;

    ln_json_init(&j, text);
    return ln_json_next(&j, &v) == LN_JSON_NULL;
}

int ln_envelope_read(ln_span text, ln_envelope *e)
{
    draft d = {.is_flat_good = true};
    ln_json_value v;
    ln_span key;
    ln_json j;

    if (begin(&j, text, &d)) {
        while (ln_json_next_member(&j, &key, &v))
            take_member(&d, key, &v);
    } else if (!is_null(text)) {
        return LN_ERR_PROTOCOL;
    }
    return ln_json_finish(&j) && conclude(&d, e) ? 0 : LN_ERR_PROTOCOL;
}

bool ln_envelope_is_headed(ln_span text)
{
    ln_json_field header = {.name = "header"};
    ln_json j;

    return open_object(&j, text) && ln_json_read_fields(&j, &header, 1) && ln_json_finish(&j) &&
           header.value.type == LN_JSON_OBJECT;
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
