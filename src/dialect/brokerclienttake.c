/* SPDX-License-Identifier: MIT */
/*
 * brokerclienttake.c - what a server says to a broker's client, and whose it is: an answer to the
 * registration, to a subscription or to a request, a publication, a request.
 */
#include <stdio.h>

#include "base/text.h"
#include "brokerclientitem.h"

enum { SENTENCE_SIZE = 512 };

ln_span ln_broker_client_word(ln_broker_client *k, ln_span json)
{
    k->words.size = 0;
    if (ln_buf_reserve(&k->words, json.size + 1, SIZE_MAX) < 0)
        return (ln_span){NULL, 0};
    return ln_envelope_text(json, k->words.data);
}

static bool is_connecting(const ln_broker_client *k)
{
    return ln_broker_client_state_get(k) == LN_BROKER_CLIENT_CONNECTING;
}

static void registered(ln_broker_client *k, const ln_envelope *e)
{
    ln_envelope_failure failure;
    char sentence[SENTENCE_SIZE];

    if (!k->is_up || !is_connecting(k)) {
        ln_broker_client_count(&k->counts.strays);
        return;
    }
    if (ln_envelope_is_failure(e, &failure)) {
        const ln_span why = ln_broker_client_word(k, failure.message);
        snprintf(sentence, sizeof sentence, "the registration was refused: %.*s", (int)why.size,
                 (const char *)why.data);
        ln_broker_client_refused(k, LN_ERR_REFUSED, sentence);
        return;
    }
    ln_broker_client_opened(k, ln_broker_client_read_name(k, e->payload));
}

/* The answer to a subscription or a publication is of interest only if it tells of a failure.
 * `name` may be the client's word. */
static void take_refusal(ln_broker_client *k, const char *what, ln_span name, const ln_envelope *e)
{
    ln_envelope_failure failure;
    char sentence[SENTENCE_SIZE];

    if (e->type == LN_ENVELOPE_ACK || !ln_envelope_is_failure(e, &failure))
        return;
    const int n = snprintf(sentence, sizeof sentence, "the %s%s%.*s was refused: ", what,
                           name.size > 0 ? " to " : "",
                           (int)ln_min_size(name.size, SENTENCE_SIZE / 4), (const char *)name.data);
    const ln_span why = ln_broker_client_word(k, failure.message);
    snprintf(sentence + n, sizeof sentence - (size_t)n, "%.*s", (int)why.size,
             (const char *)why.data);
    ln_broker_client_complain(k, LN_ERR_REFUSED, sentence);
}

/* The older generation's answers name what they answer instead of the topic. */
static void take_publication_refusal(ln_broker_client *k, const ln_envelope *e)
{
    const bool has_topic = e->style == LN_ENVELOPE_FLAT;
    take_refusal(k, "publication",
                 has_topic ? ln_broker_client_word(k, e->topic) : (ln_span){"", 0}, e);
}

static void take_answer(ln_broker_client *k, const ln_envelope *e)
{
    uint64_t serial = 0;

    const bool is_ours = ln_broker_client_read_id(k, e->id, &serial);
    if (is_ours && serial == LN_BROKER_CLIENT_OF_REGISTRATION)
        registered(k, e);
    else if (is_ours && serial >= LN_BROKER_CLIENT_OF_MESSAGE)
        take_publication_refusal(k, e);
    else if (is_ours && serial >= LN_BROKER_CLIENT_OF_TOPIC)
        take_refusal(k, "subscription", ln_broker_client_topic_name(k, serial), e);
    else if (is_ours)
        ln_broker_client_take_answer(k, serial, e);
    else if (e->type == LN_ENVELOPE_ERROR && e->id.size == 0 && e->topic.size > 0)
        take_publication_refusal(k, e); /* all else has an id */
    else if (e->type != LN_ENVELOPE_ACK)
        ln_broker_client_count(&k->counts.strays);
}

static void malformed(ln_broker_client *k)
{
    ln_broker_client_count(&k->counts.malformed);
    ln_broker_client_complain(k, LN_ERR_PROTOCOL, "the server sent what is no message");
}

static void take_publication(ln_broker_client *k, const ln_envelope *e)
{
    if (is_connecting(k) && k->plan.style == LN_ENVELOPE_HEADED &&
        ln_text_equal(e->topic, LN_SPAN("\"_internal.client.registered\"")))
        registered(k, e);
    else
        ln_broker_client_deliver(k, e);
}

static void take(ln_broker_client *k, const ln_envelope *e)
{
    switch (e->type) {
    case LN_ENVELOPE_RESPONSE:
    case LN_ENVELOPE_ERROR:
    case LN_ENVELOPE_ACK:
        take_answer(k, e);
        break;
    case LN_ENVELOPE_PUBLISH:
        take_publication(k, e);
        break;
    case LN_ENVELOPE_REQUEST:
        ln_broker_client_take_call(k, e);
        break;
    case LN_ENVELOPE_SUBSCRIBE:
    case LN_ENVELOPE_UNSUBSCRIBE:
    case LN_ENVELOPE_UNKNOWN:
        malformed(k);
        break;
    }
}

void ln_broker_client_take(ln_broker_client *k, ln_span text)
{
    ln_envelope e;

    if (k->is_leaving)
        return;
    ln_broker_client_hold(k);
    if (ln_envelope_read(text, &e) < 0 || e.style != k->plan.style)
        malformed(k);
    else
        take(k, &e);
    ln_broker_client_release(k);
}
