/* SPDX-License-Identifier: MIT */
#include "errand.h"

#include <inttypes.h>
#include <string.h>

#include "base/text.h"

enum {
    RECHECK_MS = 10, /* how soon room in the queue is noticed */
    HASTY_MS = 500,  /* for a goodbye that changes nothing */
    NAME_SIZE = 512  /* of an id that the server gave us, for --verbose */
};

/* ---- the words ---- */

/* Takes the URL off the operands argv[1..*operands], if they begin with one. */
static const char *take_url(int *operands, char **argv)
{
    if (*operands == 0 || strstr(argv[1], "://") == NULL)
        return LN_ERRAND_URL;
    const char *const url = argv[1];
    for (int i = 1; i < *operands; i++)
        argv[i] = argv[i + 1];
    --*operands;
    return url;
}

int ln_errand_begin(const ln_verb *verb, int argc, char **argv, void *settings, int *operands,
                    const char **url)
{
    const ln_errand_settings *const set = settings;
    const int code = ln_verb_begin(verb, argc, argv, settings, operands);

    if (code != LN_EXIT_NOT_YET)
        return code;
    *url = take_url(operands, argv);
    if (*operands == 0)
        return ln_verb_misused(verb, "a topic is missing");
    if (set->is_raw && set->is_json)
        return ln_verb_misused(verb, "--raw and --json exclude each other");
    return LN_EXIT_NOT_YET;
}

int ln_errand_check(const ln_verb *verb, int operands, bool reads_lines)
{
    if (operands > 2)
        return ln_verb_misused(verb, "there is more than a topic and a payload");
    if (reads_lines && operands == 2)
        return ln_verb_misused(verb, "--lines and a payload exclude each other");
    return LN_EXIT_NOT_YET;
}

/* ---- what the client tells ---- */

/* Whom it has never reached is named once: it may be the wrong one. What is secret may stand in the
 * query. */
static void put_address(const ln_errand *e, FILE *out)
{
    if (e->was_open || e->is_away || e->trouble[0] == '\0')
        return;
    ln_screen_quote(out, (ln_span){e->offer.url, strcspn(e->offer.url, "?")});
    fputs(": ", out);
}

static void tell(ln_errand *e, const char *sentence, int64_t wait_ms)
{
    FILE *const out = ln_screen_begin(&e->desk.screen, LN_TONE_ERROR);

    if (out == NULL)
        return;
    put_address(e, out);
    ln_screen_quote(out, ln_text(sentence));
    ln_screen_put_wait(out, wait_ms);
    ln_screen_end(&e->desk.screen);
}

static void tell_name(ln_errand *e)
{
    char id[NAME_SIZE];
    FILE *const out = ln_screen_begin(&e->desk.screen, LN_TONE_DETAIL);

    if (out == NULL)
        return;
    fputs("connected; the server calls us ", out);
    const int n = ln_broker_client_id(e->client, id, sizeof id);
    ln_screen_quote(out, (ln_span){id, n > 0 ? (size_t)n : 0});
    ln_screen_end(&e->desk.screen);
}

static void fail(ln_errand *e, const char *sentence)
{
    e->desk.has_failed = true;
    tell(e, sentence, -1);
    ln_desk_leave(&e->desk);
}

static void on_error(ln_broker_client *client, int err, const char *what, void *user)
{
    ln_errand *const e = user;

    if (ln_broker_client_state_get(client) == LN_BROKER_CLIENT_OPEN) {
        if (err == LN_ERR_REFUSED)
            fail(e, what); /* a subscription: trying again changes nothing */
        else
            tell(e, what, -1);
        return;
    }
    const ln_span sentence = ln_text_trim(ln_text(what));
    snprintf(e->trouble, sizeof e->trouble, "%.*s", (int)sentence.size,
             (const char *)sentence.data);
}

static void on_state(ln_broker_client *client, enum ln_broker_client_state state, int64_t wait_ms,
                     void *user)
{
    ln_errand *const e = user;

    (void)client;
    ln_desk_notice(&e->desk);
    switch (state) {
    case LN_BROKER_CLIENT_CONNECTING:
        break;
    case LN_BROKER_CLIENT_OPEN:
        if (e->is_away)
            tell(e, "connected", -1);
        tell_name(e);
        e->was_open = true;
        e->is_away = false;
        break;
    case LN_BROKER_CLIENT_WAITING:
        tell(e, e->trouble, wait_ms);
        e->trouble[0] = '\0';
        e->is_away = true;
        if (e->unsure > 0)
            e->desk.has_failed = true;
        e->unsure = 0;
        break;
    case LN_BROKER_CLIENT_STOPPED:
        if (e->trouble[0] != '\0')
            fail(e, e->trouble);
        ln_desk_end(&e->desk);
        break;
    }
}

/* Read each time, because tokens are renewed. */
static const char *token(ln_broker_client *client, void *user)
{
    ln_errand *const e = user;

    (void)client;
    const int rc = ln_secret_read(e->set->token_file, e->token);
    if (rc == 0)
        return e->token;
    FILE *const out = ln_screen_begin(&e->desk.screen, LN_TONE_ERROR);
    if (out != NULL) {
        fprintf(out, "cannot use the first line of \"%s\": %s", e->set->token_file,
                ln_strerror(rc));
        ln_screen_end(&e->desk.screen);
    }
    return NULL;
}

/* ---- life ---- */

static void say_goodbye(void *arg)
{
    ln_errand *const e = arg;

    if (e->client == NULL)
        ln_desk_end(&e->desk);
    else
        ln_broker_client_stop(e->client);
}

static void note_time(void *arg)
{
    ln_errand *const e = arg;

    e->is_time_up = true;
    ln_desk_leave(&e->desk);
}

static int connect_client(ln_errand *e)
{
    const ln_client_options *const o = &e->offer.options;
    const ln_broker_client_options options = {
        .id = e->set->id,
        .type = "cli",
        .headers = o->headers,
        .header_count = o->header_count,
        .origin = o->origin,
        .tls = o->tls,
        .ws = o->ws,
        .token = e->set->token_file != NULL ? token : NULL,
        .is_one_shot = !e->is_patient,
        .stops_if_refused = !e->set->keeps_trying,
        .on_state = on_state,
        .on_error = on_error,
        .user = e,
    };
    return ln_broker_client_new(e->desk.loop, e->offer.url, &options, &e->client);
}

static int begin(ln_errand *e)
{
    int rc = ln_desk_init(&e->desk, &e->set->dial, say_goodbye, e);
    if (rc < 0)
        return rc; /* told */
    e->desk.screen.is_exact = e->set->is_raw;
    if (e->set->timeout_ms != LN_OFF)
        rc = ln_loop_after(e->desk.loop, e->set->timeout_ms, note_time, e, NULL);
    if (rc == 0)
        rc = connect_client(e);
    if (rc == LN_ERR_INVALID)
        tell(
            e,
            "not a URL like ws://host:port/path, a header of the handshake's own, or an id that is "
            "too long",
            -1);
    else if (rc < 0)
        tell(e, ln_strerror(rc), -1);
    return rc;
}

int ln_errand_init(ln_errand *e, const ln_verb *verb, ln_errand_settings *set, const char *url,
                   bool is_patient)
{
    char why[LN_OPTION_WHY_SIZE];

    *e = (ln_errand){.set = set, .is_patient = is_patient};
    ln_buf_init(&e->payload, NULL);
    int rc = ln_offer_init(&e->offer, &set->dial, url, why);
    if (rc == LN_ERR_INVALID)
        return ln_verb_misused(verb, why);
    if (rc < 0)
        return ln_verb_failed(verb, why);
    rc = begin(e);
    if (rc == LN_ERR_INVALID)
        return LN_EXIT_USAGE;
    return rc < 0 ? LN_EXIT_FAILED : 0;
}

int ln_errand_fini(ln_errand *e)
{
    ln_broker_client_free(e->client);
    if (e->desk.say_goodbye != NULL)
        ln_desk_fini(&e->desk);
    ln_offer_fini(&e->offer);
    ln_secret_wipe(e->token);
    ln_buf_fini(&e->payload);
    return e->desk.has_failed ? LN_EXIT_FAILED : LN_EXIT_DONE;
}

/* ---- work ---- */

static bool is_open(const ln_errand *e)
{
    return ln_broker_client_state_get(e->client) == LN_BROKER_CLIENT_OPEN;
}

bool ln_errand_wait_open(ln_errand *e)
{
    while (!ln_desk_is_done(&e->desk) && !is_open(e))
        ln_desk_turn(&e->desk, -1);
    return !ln_desk_is_done(&e->desk);
}

ln_payload_look ln_errand_look(const ln_errand_settings *set)
{
    if (set->is_raw)
        return LN_PAYLOAD_RAW;
    return set->is_json ? LN_PAYLOAD_JSON : LN_PAYLOAD_TEXT;
}

bool ln_errand_payload(ln_errand *e, ln_span text, uint64_t line, ln_span *payload)
{
    e->payload.size = 0;
    const int rc =
        ln_payload_write(&e->payload, text, e->set->is_json ? LN_PAYLOAD_JSON : LN_PAYLOAD_TEXT);
    if (rc == 0) {
        *payload = (ln_span){e->payload.data, e->payload.size};
        return true;
    }
    const char *const what = rc == LN_ERR_ENCODING  ? "is not UTF-8"
                             : rc == LN_ERR_INVALID ? "is not JSON"
                                                    : ln_strerror(rc);
    FILE *const out = ln_screen_begin(&e->desk.screen, LN_TONE_ERROR);
    e->desk.has_failed = true;
    if (out == NULL)
        return false;
    if (line > 0)
        fprintf(out, "line %" PRIu64 " %s", line, what);
    else
        fprintf(out, "the payload %s", what);
    ln_screen_end(&e->desk.screen);
    return false;
}

void ln_errand_publish(ln_errand *e, ln_span topic, ln_span text, uint64_t line)
{
    ln_span payload = {NULL, 0};
    int rc = LN_ERR_WOULD_EXCEED;

    if (text.data != NULL && !ln_errand_payload(e, text, line, &payload))
        return;
    while (rc == LN_ERR_WOULD_EXCEED && ln_errand_wait_open(e)) {
        rc = ln_broker_client_publish(e->client, topic, payload);
        if (rc == LN_ERR_WOULD_EXCEED)
            ln_desk_turn(&e->desk, RECHECK_MS);
    }
    e->unsure += rc == 0;
    if (rc < 0 && rc != LN_ERR_CLOSED && !ln_desk_is_done(&e->desk))
        fail(e, rc == LN_ERR_INVALID ? "the topic cannot be published to" : ln_strerror(rc));
}

static void part(ln_errand *e, uint32_t patience_ms)
{
    ln_desk_leave(&e->desk);
    ln_desk_turn(&e->desk, 0); /* the close frame is on its way, whatever comes now */
    ln_desk_rest_until_over(&e->desk, patience_ms);
}

void ln_errand_leave(ln_errand *e)
{
    part(e, HASTY_MS);
}

static void note_answer(const ln_broker_client_reply *reply, void *user)
{
    ln_errand *const e = user;

    (void)reply;
    e->is_answered = true;
    ln_desk_notice(&e->desk);
}

/*
 * A server works in order: when it answers a question, it has taken what was published before. What
 * it answers does not matter; that it does not serve the topic, mostly.
 */
static void await_server(ln_errand *e)
{
    const ln_broker_client_order order = {
        .topic = LN_SPAN("system:ping"), .on_reply = note_answer, .user = e};

    e->is_answered = ln_broker_client_request(e->client, &order, NULL) < 0;
    while (!ln_desk_is_done(&e->desk) && !e->is_answered)
        ln_desk_turn(&e->desk, -1);
}

void ln_errand_finish(ln_errand *e)
{
    ln_broker_client_stats stats;

    if (e->unsure > 0 && !ln_desk_is_done(&e->desk))
        await_server(e);
    part(e, e->is_time_up ? HASTY_MS : LN_OFF);
    ln_broker_client_stats_get(e->client, &stats);
    if (stats.dropped_total > 0)
        fail(e, "the server was away for too long: not everything was published");
}
