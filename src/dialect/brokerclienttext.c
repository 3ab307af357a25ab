/* SPDX-License-Identifier: MIT */
/*
 * brokerclienttext.c - what a broker's client says, as envelopes: written into an item's text by
 * whichever thread has the item, or into the loop's scratch.
 *
 * An id of ours is the client's 16 random digits and 16 more for a serial number, so that an answer
 * that was meant for another client, or for an earlier life of this one, is none of ours.
 */
#include <string.h>
#include <time.h>

#include "base/text.h"
#include "brokerclientitem.h"
#include "proto/json.h"
#include "proto/jsonwrite.h"
#include "proto/utf8.h"

enum {
    HEX_DIGITS = 16,                                            /* of a serial */
    QUOTED_MAX_BYTES = 6 * LN_BROKER_CLIENT_TOPIC_MAX_BYTES + 3 /* a topic as JSON */
};

/* ---- judging ---- */

int ln_broker_client_check_topic(ln_span topic)
{
    return topic.size > 0 && topic.size <= LN_BROKER_CLIENT_TOPIC_MAX_BYTES &&
                   ln_utf8_is_valid(topic.data, topic.size)
               ? 0
               : LN_ERR_INVALID;
}

int ln_broker_client_check_payload(ln_span payload)
{
    ln_json_value value;
    ln_json j;

    if (payload.size == 0)
        return 0;
    ln_json_init(&j, payload);
    (void)ln_json_next_value(&j, &value);
    return ln_json_finish(&j) ? 0 : LN_ERR_INVALID;
}

/* ---- ids ---- */

void ln_broker_client_write_id(const ln_broker_client *k, uint64_t serial,
                               char id[LN_BROKER_CLIENT_WIRE_ID_SIZE])
{
    static const char digits[] = "0123456789abcdef";

    id[0] = '"';
    memcpy(id + 1, k->nonce, sizeof k->nonce);
    for (unsigned i = 0; i < HEX_DIGITS; i++)
        id[1 + sizeof k->nonce + i] = digits[serial >> (60 - 4 * i) & 15];
    id[LN_BROKER_CLIENT_WIRE_ID_SIZE - 1] = '"';
}

bool ln_broker_client_read_id(const ln_broker_client *k, ln_span id, uint64_t *serial)
{
    const uint8_t *const bytes = id.data;
    uint64_t value = 0;

    if (id.size != LN_BROKER_CLIENT_WIRE_ID_SIZE ||
        memcmp(bytes + 1, k->nonce, sizeof k->nonce) != 0)
        return false;
    for (unsigned i = 0; i < HEX_DIGITS; i++) {
        const int digit = ln_text_hex(bytes[1 + sizeof k->nonce + i]);
        if (digit < 0)
            return false;
        value = value << 4 | (unsigned)digit;
    }
    *serial = value;
    return true;
}

/* ---- composing ---- */

/* A span of the text that moved from `old` to `fresh`. */
static void follow(ln_span *span, const uint8_t *old, size_t size, const uint8_t *fresh)
{
    const uintptr_t begin = (uintptr_t)old, at = (uintptr_t)span->data;

    if (span->size > 0 && at >= begin && at < begin + size)
        span->data = fresh + (at - begin);
}

static int64_t wall_ms(void)
{
    struct timespec now;

    timespec_get(&now, TIME_UTC);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int ln_broker_client_compose(const ln_broker_client *k, ln_buf *text, ln_envelope *e)
{
    const uint8_t *const old = text->data;

    e->style = k->plan.style;
    if (e->style == LN_ENVELOPE_HEADED)
        e->timestamp_ms = wall_ms();
    const size_t size = ln_envelope_size(e);
    const int rc = ln_buf_reserve(text, size, SIZE_MAX);
    if (rc < 0)
        return LN_ERR_NOMEM;
    follow(&e->message_id, old, text->size, text->data);
    follow(&e->id, old, text->size, text->data);
    follow(&e->topic, old, text->size, text->data);
    follow(&e->payload, old, text->size, text->data);
    follow(&e->error_message, old, text->size, text->data);
    (void)ln_envelope_put(e, text->data + text->size);
    text->size += size;
    return 0;
}

/* The item's text is `n` bytes of pieces so far; the envelope begins behind them. */
static int finish(ln_broker_client_item *it, ln_envelope *e)
{
    it->begin = it->text.size;
    return ln_broker_client_compose(it->client, &it->text, e);
}

/* `topic` as JSON, in `room`. */
static ln_span quote(ln_span topic, char room[QUOTED_MAX_BYTES])
{
    const int n = ln_json_quote(topic, room, QUOTED_MAX_BYTES);
    LN_ASSERT(n > 0);
    return (ln_span){room, (size_t)n};
}

int ln_broker_client_write_publication(ln_broker_client_item *it, ln_span topic, ln_span payload)
{
    char room[QUOTED_MAX_BYTES], id[LN_BROKER_CLIENT_WIRE_ID_SIZE];

    ln_broker_client_write_id(it->client, it->serial | LN_BROKER_CLIENT_OF_MESSAGE, id);
    ln_envelope e = {.type = LN_ENVELOPE_PUBLISH,
                     .topic = quote(topic, room),
                     .payload = payload,
                     .message_id = {id, sizeof id}};
    return finish(it, &e);
}

/* {"targetId":...,"topic":...,"payload":...}, as the server's own topic wants it. */
static int write_proxied(ln_buf *text, const ln_broker_client_order *o)
{
    int rc = ln_json_write_raw(text, "{\"targetId\":");
    if (rc == 0)
        rc = ln_json_write_string(text, o->target);
    if (rc == 0)
        rc = ln_json_write_raw(text, ",\"topic\":");
    if (rc == 0)
        rc = ln_json_write_string(text, o->topic);
    if (rc == 0)
        rc = ln_json_write_raw(text, ",\"payload\":");
    if (rc == 0)
        rc = ln_json_write_span(text, o->payload.size > 0 ? o->payload : LN_SPAN("null"));
    return rc == 0 ? ln_json_write_raw(text, "}") : rc;
}

int ln_broker_client_write_request(ln_broker_client_item *it, const ln_broker_client_order *o)
{
    char room[QUOTED_MAX_BYTES], id[LN_BROKER_CLIENT_WIRE_ID_SIZE];
    const bool is_proxied = o->target.size > 0;

    ln_broker_client_write_id(it->client, it->serial, id);
    const int rc = is_proxied ? write_proxied(&it->text, o) : 0;
    if (rc < 0)
        return rc;
    ln_envelope e = {.type = LN_ENVELOPE_REQUEST,
                     .id = {id, sizeof id},
                     .topic = quote(is_proxied ? LN_SPAN("system:proxy") : o->topic, room),
                     .payload = is_proxied ? (ln_span){it->text.data, it->text.size} : o->payload,
                     .message_id = {id, sizeof id},
                     .ttl_ms = it->timeout_ms};
    return finish(it, &e);
}

/* An answer to the request of `id` and `topic`; in the older style its topic is its id. */
static ln_envelope answer_to(const ln_broker_client *k, ln_envelope_type type, ln_span id,
                             ln_span topic)
{
    const bool is_headed = k->plan.style == LN_ENVELOPE_HEADED;

    return (ln_envelope){.type = type, .id = id, .topic = is_headed ? id : topic, .message_id = id};
}

static ln_span id_of(const ln_broker_client_item *it)
{
    return (ln_span){it->text.data, it->id_size};
}

static ln_span topic_of(const ln_broker_client_item *it)
{
    return (ln_span){it->text.data + it->id_size, it->topic_size};
}

int ln_broker_client_write_answer(ln_broker_client_item *it, ln_span payload)
{
    ln_envelope e = answer_to(it->client, LN_ENVELOPE_RESPONSE, id_of(it), topic_of(it));

    e.payload = payload;
    it->text.size = it->id_size + it->topic_size;
    return finish(it, &e);
}

/* What an error says, as it goes into an envelope: the older style has it in the body. */
static int write_message(const ln_broker_client *k, ln_buf *text, ln_span message)
{
    const bool is_headed = k->plan.style == LN_ENVELOPE_HEADED;

    int rc = is_headed ? ln_json_write_raw(text, "{\"error\":") : 0;
    if (rc == 0)
        rc = ln_json_write_string(text, message);
    return rc == 0 && is_headed ? ln_json_write_raw(text, "}") : rc;
}

static void set_failure(ln_envelope *e, const ln_broker_client *k, int code, ln_span written)
{
    if (k->plan.style == LN_ENVELOPE_HEADED) {
        e->payload = written;
        return;
    }
    e->has_error = true;
    e->error_code = code;
    e->error_message = written;
}

int ln_broker_client_write_failure(ln_broker_client_item *it, int code, ln_span message)
{
    const size_t pieces = it->id_size + it->topic_size;

    it->text.size = pieces;
    const int rc = write_message(it->client, &it->text, message);
    if (rc < 0)
        return rc;
    ln_envelope e = answer_to(it->client, LN_ENVELOPE_ERROR, id_of(it), topic_of(it));
    set_failure(&e, it->client, code, (ln_span){it->text.data + pieces, it->text.size - pieces});
    return finish(it, &e);
}

/* ---- the loop's own ---- */

static int say(ln_broker_client *k, ln_envelope *e)
{
    const size_t pieces = k->scratch.size;

    const int rc = ln_broker_client_compose(k, &k->scratch, e);
    if (rc < 0)
        return rc;
    return k->line->send(k, (ln_span){k->scratch.data + pieces, k->scratch.size - pieces});
}

int ln_broker_client_send_failure(ln_broker_client *k, const ln_envelope *request, int code,
                                  ln_span message)
{
    k->scratch.size = 0;
    const int rc = write_message(k, &k->scratch, message);
    if (rc < 0)
        return rc;
    ln_envelope e = answer_to(k, LN_ENVELOPE_ERROR, request->id, request->topic);
    set_failure(&e, k, code, (ln_span){k->scratch.data, k->scratch.size});
    return say(k, &e);
}

static int write_member(ln_buf *out, const char *name, const char *value)
{
    if (value == NULL)
        return 0;
    const int rc = ln_json_write_raw(out, name);
    return rc == 0 ? ln_json_write_string(out, ln_text(value)) : rc;
}

static int write_details(ln_broker_client *k)
{
    const bool is_headed = k->plan.style == LN_ENVELOPE_HEADED;

    k->scratch.size = 0;
    int rc =
        write_member(&k->scratch, is_headed ? "{\"pageSessionID\":" : "{\"clientId\":", k->wanted);
    if (rc == 0 && !is_headed)
        rc = write_member(&k->scratch, ",\"clientName\":", k->plan.name);
    if (rc == 0 && !is_headed)
        rc = write_member(&k->scratch, ",\"clientType\":", k->plan.type);
    if (rc == 0 && !is_headed)
        rc = write_member(&k->scratch, ",\"clientUrl\":", k->plan.page);
    return rc == 0 ? ln_json_write_raw(&k->scratch, "}") : rc;
}

int ln_broker_client_send_registration(ln_broker_client *k)
{
    const bool is_headed = k->plan.style == LN_ENVELOPE_HEADED;
    char id[LN_BROKER_CLIENT_WIRE_ID_SIZE];

    const int rc = write_details(k);
    if (rc < 0)
        return rc;
    ln_broker_client_write_id(k, LN_BROKER_CLIENT_OF_REGISTRATION, id);
    ln_envelope e = {.type = is_headed ? LN_ENVELOPE_PUBLISH : LN_ENVELOPE_REQUEST,
                     .topic = is_headed ? LN_SPAN("\"_client.register\"")
                                        : LN_SPAN("\"system:register\""),
                     .payload = {k->scratch.data, k->scratch.size},
                     .message_id = {id, sizeof id}};
    if (!is_headed)
        e.id = e.message_id;
    return say(k, &e);
}

int ln_broker_client_send_topic(ln_broker_client *k, ln_envelope_type type, uint64_t serial,
                                ln_span topic)
{
    char room[QUOTED_MAX_BYTES], id[LN_BROKER_CLIENT_WIRE_ID_SIZE];

    ln_broker_client_write_id(k, serial, id);
    ln_envelope e = {.type = type,
                     .id = {id, sizeof id},
                     .topic = quote(topic, room),
                     .message_id = {id, sizeof id}};
    k->scratch.size = 0;
    return say(k, &e);
}

ln_span ln_broker_client_read_name(ln_broker_client *k, ln_span payload)
{
    const char *const member =
        k->plan.style == LN_ENVELOPE_HEADED ? "brokerClientID" : "serverAssignedId";
    ln_span value;

    if (payload.size == 0 || ln_json_find(payload, member, SIZE_MAX, &value) < 0 ||
        *(const char *)value.data != '"')
        return (ln_span){NULL, 0};
    const ln_span name = ln_broker_client_word(k, value);
    return name.size <= LN_BROKER_CLIENT_ID_MAX_BYTES ? name : (ln_span){NULL, 0};
}
