/* SPDX-License-Identifier: MIT */
/* brokerspeech.c - requests and their answers as envelopes of either generation: what rpc.h calls a
 * speech, and what clients send of it. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/text.h"
#include "brokerinner.h"
#include "proto/jsonwrite.h"
#include "proto/utf8.h"

enum { SHORT = 512 }; /* a string that is written on the stack */

/* ---- ids and times ---- */

void ln_broker_write_id(uint64_t nonce, uint64_t serial, char id[LN_BROKER_MADE_ID_SIZE + 1])
{
    snprintf(id, LN_BROKER_MADE_ID_SIZE + 1, "%016" PRIx64 "%016" PRIx64, nonce, serial);
}

uint64_t ln_broker_nonce(const ln_broker *b, ln_conn_id conn)
{
    return ln_siphash13(b->rpc.seed, (ln_span){&conn, sizeof conn});
}

static bool read_half(const char *digits, uint64_t *half)
{
    *half = 0;
    for (int i = 0; i < LN_BROKER_MADE_ID_SIZE / 2; i++) {
        const int digit = ln_text_hex((uint8_t)digits[i]);
        if (digit < 0)
            return false;
        *half = *half << 4 | (uint64_t)digit;
    }
    return true;
}

/* The number of the request that a client's answer is to; false: of none. */
static bool read_serial(const ln_broker_peer *p, ln_span id, uint64_t *serial)
{
    uint64_t nonce;

    if (id.size != LN_BROKER_MADE_ID_SIZE + 2) /* with its quotes */
        return false;
    const char *const digits = (const char *)id.data + 1;
    return read_half(digits, &nonce) && read_half(digits + LN_BROKER_MADE_ID_SIZE / 2, serial) &&
           nonce == p->nonce;
}

ln_span ln_broker_stamp(ln_loop *loop, char room[LN_BROKER_MESSAGE_ID_ROOM], int64_t *now_ms)
{
    struct timespec now = {.tv_sec = 0};
    uint64_t random;

    (void)timespec_get(&now, TIME_UTC);
    ln_loop_random(loop, &random, sizeof random);
    *now_ms = (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
    const int n = snprintf(room, LN_BROKER_MESSAGE_ID_ROOM, "\"%" PRId64 "-%" PRIu64 "\"",
                           (int64_t)now.tv_sec * 1000000000 + now.tv_nsec, random >> 1);
    return (ln_span){room, (size_t)n};
}

static ln_loop *loop_of(const ln_broker_peer *p)
{
    return ln_conn_home(p->rpc.conn)->loop;
}

/* ---- strings ---- */

/* Plain text as a JSON string: in `room`, or, if it is long, in `longer`, which the caller ends. */
static int quote(ln_span text, char room[SHORT], ln_buf *longer, ln_span *string)
{
    const int n = ln_json_quote(text, room, SHORT);

    if (n >= 0) {
        *string = (ln_span){room, (size_t)n};
        return 0;
    }
    const int rc = ln_json_write_string(longer, text);
    if (rc == 0)
        *string = (ln_span){longer->data, longer->size};
    return rc;
}

/* ---- answers ---- */

/* Handlers may be shared with JSON-RPC. */
static int code_of(int code)
{
    switch (code) {
    case LN_RPC_METHOD_NOT_FOUND:
        return LN_BROKER_NOT_FOUND;
    case LN_RPC_INVALID_PARAMS:
    case LN_RPC_INVALID_REQUEST:
    case LN_RPC_PARSE_ERROR:
        return LN_BROKER_BAD_REQUEST;
    case LN_RPC_INTERNAL_ERROR:
        return LN_BROKER_FAILED;
    case LN_RPC_BUSY:
        return LN_BROKER_BUSY;
    default:
        return code;
    }
}

static ln_span words_of(const ln_rpc_answer *a)
{
    return a->message.data != NULL && ln_utf8_is_valid(a->message.data, a->message.size)
               ? a->message
               : LN_SPAN("Server error");
}

static int write_flat_result(const ln_rpc_call_in *call, const ln_rpc_answer *a, ln_buf *out)
{
    const ln_envelope e = {.style = LN_ENVELOPE_FLAT,
                           .type = LN_ENVELOPE_RESPONSE,
                           .id = call->id,
                           .topic = call->topic,
                           .payload = a->result};

    /* nothing to say, and nobody could tell what it answers */
    return call->id.size == 0 && a->result.size == 0 ? 0 : ln_envelope_write(out, &e);
}

static int write_flat_error(const ln_rpc_call_in *call, const ln_rpc_answer *a, ln_buf *longer,
                            ln_buf *out)
{
    char room[SHORT];
    ln_envelope e = {.style = LN_ENVELOPE_FLAT,
                     .type = LN_ENVELOPE_ERROR,
                     .id = call->id,
                     .topic = call->topic,
                     .payload = a->data,
                     .has_error = true,
                     .error_code = code_of(a->code)};

    const int rc = quote(words_of(a), room, longer, &e.error_message);
    return rc < 0 ? rc : ln_envelope_write(out, &e);
}

/* Their handlers' errors are told apart from ours by the words before them. */
static int write_headed_error(const ln_rpc_answer *a, ln_buf *body)
{
    char room[SHORT];
    ln_buf longer;
    ln_span words = {"", 0};
    const int code = code_of(a->code);
    const bool is_ours = code == LN_BROKER_NOT_FOUND || code == LN_BROKER_BUSY ||
                         code == LN_BROKER_BAD_REQUEST || code == LN_BROKER_FORBIDDEN;

    ln_buf_init(&longer, body->alloc);
    int rc = quote(words_of(a), room, &longer, &words);
    if (rc == 0)
        rc = ln_json_write_raw(body, is_ours ? "{\"error\":\"" : "{\"error\":\"handler error: ");
    if (rc == 0)
        rc = ln_buf_append(body, (const char *)words.data + 1, words.size - 1, SIZE_MAX);
    ln_buf_fini(&longer);
    return rc == 0 ? ln_json_write_raw(body, "}") : rc;
}

static int write_headed_answer(const ln_broker_peer *p, const ln_rpc_call_in *call,
                               const ln_rpc_answer *a, ln_buf *longer, ln_buf *out)
{
    char stamp[LN_BROKER_MESSAGE_ID_ROOM];
    ln_envelope e = {.style = LN_ENVELOPE_HEADED,
                     .type = a->code == 0 ? LN_ENVELOPE_RESPONSE : LN_ENVELOPE_ERROR,
                     .id = call->id,
                     .topic = call->id,
                     .payload = a->result};

    e.message_id = ln_broker_stamp(loop_of(p), stamp, &e.timestamp_ms);
    if (a->code != 0) {
        const int rc = write_headed_error(a, longer);
        if (rc < 0)
            return rc;
        e.payload = (ln_span){longer->data, longer->size};
    }
    return ln_envelope_write(out, &e);
}

static int write_answer(const ln_rpc_peer *rpc, const ln_rpc_call_in *call, const ln_rpc_answer *a,
                        ln_buf *out)
{
    const ln_broker_peer *const p = ln_broker_peer_of_rpc(rpc);
    ln_buf longer;

    if (p->style != LN_ENVELOPE_HEADED && a->code == 0)
        return write_flat_result(call, a, out);
    ln_buf_init(&longer, p->broker->alloc);
    const int rc = p->style == LN_ENVELOPE_HEADED ? write_headed_answer(p, call, a, &longer, out)
                                                  : write_flat_error(call, a, &longer, out);
    ln_buf_fini(&longer);
    return rc;
}

void ln_broker_complain(ln_broker_peer *p, const ln_envelope *about, int code, ln_span words)
{
    const ln_rpc_call_in call = {.id = about->id.size > 0 ? about->id : about->message_id,
                                 .topic = about->topic};
    const ln_rpc_answer answer = {.code = code, .message = words};
    ln_rpc_answer_stray(&p->rpc, &call, &answer);
}

/* The first bytes of a payload, for who wrote it. */
static ln_span describe(char to[SHORT], ln_span what, ln_span detail)
{
    const ln_span shown = ln_broker_cut(detail, LN_BROKER_RAW_MAX_BYTES);

    LN_ASSERT(what.size + shown.size <= SHORT);
    memcpy(to, what.data, what.size);
    if (shown.size > 0)
        memcpy(to + what.size, shown.data, shown.size);
    return (ln_span){to, what.size + shown.size};
}

static void refuse(ln_rpc_peer *p, ln_rpc_call_in *call, ln_rpc_refusal why, ln_span detail)
{
    char text[SHORT];
    ln_rpc_answer answer = {.code = LN_BROKER_FAILED, .message = detail};

    switch (why) {
    case LN_RPC_IS_UNKNOWN:
        answer.code = LN_BROKER_NOT_FOUND;
        answer.message = describe(text, LN_SPAN("No handler for topic: "), detail);
        break;
    case LN_RPC_IS_UNSUITABLE:
        answer.code = LN_BROKER_BAD_REQUEST;
        answer.message = describe(
            text, LN_SPAN("Invalid request payload: failed to unmarshal payload. Raw: "), detail);
        break;
    case LN_RPC_HAS_FAILED:
        break;
    case LN_RPC_IS_TOO_MUCH:
        answer.code = LN_BROKER_BUSY;
        answer.message = LN_SPAN("Too many requests");
        break;
    }
    (void)ln_rpc_answer_call(p, call, &answer); /* what cannot be said ends the connection */
}

/* ---- requests of ours, and what else goes to one client ---- */

static int write_call(const ln_rpc_peer *rpc, const ln_rpc_call_out *call, ln_buf *out)
{
    const ln_broker_peer *const p = ln_broker_peer_of_rpc(rpc);
    char digits[LN_BROKER_MADE_ID_SIZE + 1], id[LN_BROKER_MADE_ID_SIZE + 3];
    char topic[SHORT], stamp[LN_BROKER_MESSAGE_ID_ROOM];
    const bool is_request = call->timeout_ms > 0;
    ln_buf longer;
    ln_envelope e = {.style = p->style == 0 ? LN_ENVELOPE_FLAT : p->style,
                     .type = is_request ? LN_ENVELOPE_REQUEST : LN_ENVELOPE_PUBLISH,
                     .payload = call->params};

    if (is_request) {
        ln_broker_write_id(p->nonce, call->serial, digits);
        e.id = (ln_span){id, (size_t)snprintf(id, sizeof id, "\"%s\"", digits)};
    } else if (call->params.size == 0) {
        e.payload = LN_SPAN("null");
    }
    if (e.style == LN_ENVELOPE_HEADED) {
        e.message_id = ln_broker_stamp(loop_of(p), stamp, &e.timestamp_ms);
        e.ttl_ms = call->timeout_ms;
    }
    ln_buf_init(&longer, p->broker->alloc);
    int rc = call->method.size == 0 ? 0 : quote(call->method, topic, &longer, &e.topic);
    if (rc == 0)
        rc = ln_envelope_write(out, &e);
    ln_buf_fini(&longer);
    return rc;
}

static bool is_params(ln_span text)
{
    ln_json j;

    ln_json_init(&j, text);
    return text.size == 0 || ln_json_finish(&j);
}

const ln_rpc_speech ln_broker_speech = {.write_answer = write_answer,
                                        .write_call = write_call,
                                        .refuse = refuse,
                                        .is_params = is_params,
                                        .unusable = {"Server error creating response", 30}};

/* ---- what clients send ---- */

void ln_broker_take_request(ln_broker_peer *p, const ln_envelope *e)
{
    uint8_t room[LN_BROKER_TOPIC_ROOM];
    ln_rpc_call_in call = {
        .id = e->id.size > 0 ? e->id : e->message_id, .topic = e->topic, .is_owed = true};

    ln_count(&ln_rpc_desk_of(&p->rpc)->calls, 1);
    if (call.id.size > LN_RPC_ID_MAX_BYTES) {
        ln_broker_complain(p, e, LN_BROKER_BAD_REQUEST, LN_SPAN("Request id is too long"));
        return;
    }
    if (e->topic.size > sizeof room) {
        ln_broker_complain(p, e, LN_BROKER_BAD_REQUEST, LN_SPAN("Request topic is too long"));
        return;
    }
    ln_rpc_run(&p->rpc, &call, ln_envelope_text(e->topic, room), e->payload);
}

void ln_broker_take_reply(ln_broker_peer *p, const ln_envelope *e)
{
    ln_rpc_reply reply = {.result = e->payload};
    ln_envelope_failure failure;
    uint64_t serial;

    if (ln_envelope_is_failure(e, &failure)) {
        reply =
            (ln_rpc_reply){.error = LN_ERR_REFUSED,
                           .code = failure.code,
                           .message = failure.message.size > 0 ? failure.message : LN_SPAN("\"\"")};
        if (e->has_error)
            reply.data = e->payload;
    }
    /* too late, twice, or made up */
    if (!read_serial(p, e->id, &serial) || !ln_rpc_end_request(&p->rpc, serial, &reply))
        ln_rpc_count_stray(&p->rpc);
}
