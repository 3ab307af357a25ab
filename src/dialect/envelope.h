/* SPDX-License-Identifier: MIT */
/*
 * envelope - the messages of the broker dialect, in both generations and for both ends: read into
 * spans where they lie, and written from spans. No I/O, no memory, no state; what a message makes
 * happen is the caller's.
 *
 *   flat     {"id":"1","type":"request","topic":"t","payload":...,"error":{"code":1,"message":"m"}}
 *   headed   {"header":{"messageID":"1","correlationID":"2","type":"request","topic":"t",
 *             "timestamp":1700000000000,"ttl":5000},"body":...}
 *
 * An object with a member `header` that is an object is headed, any other is flat. Both become the
 * same ln_envelope; the words differ:
 *
 *   ln_envelope_type             flat                  headed
 *   LN_ENVELOPE_REQUEST          request               request
 *   LN_ENVELOPE_RESPONSE         response              response
 *   LN_ENVELOPE_ERROR            error                 error
 *   LN_ENVELOPE_PUBLISH          publish               event
 *   LN_ENVELOPE_SUBSCRIBE        subscribe_request     subscribe     its topic is the body
 *   LN_ENVELOPE_UNSUBSCRIBE      unsubscribe_request   unsubscribe   likewise
 *   LN_ENVELOPE_ACK              subscription_ack      -
 *   LN_ENVELOPE_UNKNOWN          anything else, or none
 *
 * Reading is generous where nothing is lost: unknown members are passed over, of repeated ones the
 * last counts, a member that is null is none, and an empty string is none. Names are matched as
 * they are written above, case and all. What JSON has to look like is json.h's business.
 *
 * Invariants
 *   1. Every span is borrowed from the text that was read. Strings stand as in the text, with
 *      quotes and escapes, so that echoing one is copying it; ln_envelope_text() says what one
 *      means.
 *   2. What was written is read as the same envelope, but for what its style has no place for.
 */
#ifndef LN_ENVELOPE_H
#define LN_ENVELOPE_H

#include "base/buf.h"

typedef enum ln_envelope_style {
    LN_ENVELOPE_FLAT = 1,  /* the current generation */
    LN_ENVELOPE_HEADED = 2 /* the older ones */
} ln_envelope_style;

typedef enum ln_envelope_type {
    LN_ENVELOPE_UNKNOWN = 0, /* to be passed over; never written */
    LN_ENVELOPE_REQUEST,
    LN_ENVELOPE_RESPONSE,
    LN_ENVELOPE_ERROR,
    LN_ENVELOPE_PUBLISH,
    LN_ENVELOPE_SUBSCRIBE,
    LN_ENVELOPE_UNSUBSCRIBE,
    LN_ENVELOPE_ACK
} ln_envelope_type;

/* A message. Strings are JSON strings with their quotes, or empty if there is none. */
typedef struct ln_envelope {
    ln_envelope_style style;
    ln_envelope_type type;
    ln_span id; /* what a request and its answer share: `id`, `correlationID` */
    ln_span topic;
    ln_span payload; /* `payload`, `body`: any JSON, as it stands; empty if there is none */

    bool has_error; /* flat only: there is an `error` object */
    int64_t error_code;
    ln_span error_message;

    ln_span message_id; /* headed only, from here on */
    int64_t timestamp_ms;
    int64_t ttl_ms; /* 0 = none */
} ln_envelope;

/*
 * Reads one message. LN_ERR_PROTOCOL: no JSON, no object (but null, which is of no type), or a
 * member of the wrong type; *e is not written.
 */
LN_NODISCARD int ln_envelope_read(ln_span text, ln_envelope *e);

/* Whether a text that is no message was meant as one of the older generation: it is JSON, and has a
 * header. */
bool ln_envelope_is_headed(ln_span text);

/* How a type is called; empty if the style has no word for it. Static. */
ln_span ln_envelope_word(ln_envelope_type type, ln_envelope_style style);

/*
 * What a string of an envelope means: within it if it has no escapes, else decoded into `room` of
 * string.size bytes. Empty for an empty span.
 */
ln_span ln_envelope_text(ln_span string, uint8_t *room);

/* What went wrong with a request, as its answer says. */
typedef struct ln_envelope_failure {
    int64_t code;    /* 0 = it gave none */
    ln_span message; /* a JSON string; empty if it gave none */
} ln_envelope_failure;

/*
 * Whether an answer (LN_ENVELOPE_RESPONSE or _ERROR) tells of a failure: by an `error` object, or by
 * its type. Then *f has what is said in that object, or in the payload's member `error`, which is a
 * string or an object with a `message`.
 */
bool ln_envelope_is_failure(const ln_envelope *e, ln_envelope_failure *f);

/*
 * The bytes that ln_envelope_put() writes. Flat: the members in the order above, without those that
 * are empty, and a newline at the end; headed: without correlationID and ttl if they are empty or
 * 0, and with a body that is null if there is none.
 */
size_t ln_envelope_size(const ln_envelope *e);

/* Writes `e` to `to`, which has that many bytes; the end of it. */
uint8_t *ln_envelope_put(const ln_envelope *e, uint8_t *to);

/* Appends it. LN_ERR_NOMEM. */
LN_NODISCARD int ln_envelope_write(ln_buf *out, const ln_envelope *e);

#endif
