/* SPDX-License-Identifier: MIT */
/*
 * errand - what `linnet pub`, `sub` and `call` have in common: a client of a broker that is
 * connected, does its work, and says goodbye.
 *
 * States                        left by
 *   coming    not open yet        on_state OPEN -> at work; a failure, if it is impatient, or a
 *                                 refusal for good -> leaving
 *   at work   client is open      the connection is lost -> away
 *   away      connecting again    on_state OPEN -> at work
 *   leaving   the goodbye is said on_state STOPPED -> over (desk.h)
 *
 * Written as desk.h wants it: whoever waits turns the loop.
 */
#ifndef LN_ERRAND_H
#define LN_ERRAND_H

#include <linnet/brokerclient.h>

#include "base/limits.h"
#include "desk.h"
#include "offer.h"
#include "payload.h"
#include "verb.h"

enum {
    LN_ERRAND_MESSAGE_BYTES = 16 << 20, /* by default: more than most servers take */
    LN_ERRAND_MESSAGE_MAX_BYTES = 1 << 30,
    LN_ERRAND_CLOSE_WAIT_MS = 60000, /* a server may first work through what it was sent */
    LN_ERRAND_TROUBLE_SIZE = 384
};

#define LN_ERRAND_URL "ws://127.0.0.1:8080/wsmq"

typedef struct ln_errand_settings {
    ln_dial_settings dial;
    char *token_file;
    char *id;
    bool is_json;
    bool is_raw;         /* what comes is written byte for byte */
    bool keeps_trying;   /* also if the server refuses the first connection for good */
    uint32_t timeout_ms; /* of the whole; or LN_OFF */
} ln_errand_settings;

/* Settings as they are before options: what connecting needs; no time-out yet. */
#define LN_ERRAND_DEFAULTS(name)                                                                   \
    {                                                                                              \
        .dial = {.verb = (name),                                                                   \
                 .is_scripted = true,                                                              \
                 .is_deflated = true,                                                              \
                 .has_colour = true,                                                               \
                 .timeout_ms = LN_DEFAULT_HANDSHAKE_MS,                                            \
                 .close_wait_ms = LN_ERRAND_CLOSE_WAIT_MS,                                         \
                 .ping_interval_ms = LN_DEFAULT_PING_INTERVAL_MS,                                  \
                 .message_max_bytes = LN_ERRAND_MESSAGE_BYTES},                                    \
        .timeout_ms = LN_OPTION_UNSET                                                              \
    }

#define LN_ERRAND_AT(base, member) ((base) + offsetof(ln_errand_settings, member))

/* A row for those that are patient (ln_errand_init()); its help begins with `begin`. */
#define LN_ERRAND_PATIENCE_OPTION(base, begin)                                                     \
    {                                                                                              \
        .name = "keep-trying", .type = LN_OPTION_SET, .offset = LN_ERRAND_AT(base, keeps_trying),  \
        .help =                                                                                    \
            begin "goes on even if the first connection is refused with a status that waiting "    \
                  "does not change, such as 401 or 404"                                            \
    }

/* Rows of an option table, for ln_errand_settings at offset `base` of the settings. */
#define LN_ERRAND_OPTIONS(base)                                                                    \
    LN_DIAL_TALK_OPTIONS((base) + offsetof(ln_errand_settings, dial)), {.help = "Connection"},     \
        {.name = "id",                                                                             \
         .type = LN_OPTION_TEXT,                                                                   \
         .offset = LN_ERRAND_AT(base, id),                                                         \
         .value = "ID",                                                                            \
         .help = "what to be called by the server; random without it"},                            \
        {.name = "token-file",                                                                     \
         .type = LN_OPTION_TEXT,                                                                   \
         .offset = LN_ERRAND_AT(base, token_file),                                                 \
         .value = "FILE",                                                                          \
         .help = "authenticates with the token in its first line, read whenever it connects"},     \
        {.name = "max-message",                                                                    \
         .type = LN_OPTION_SIZE,                                                                   \
         .offset = LN_ERRAND_AT(base, dial.message_max_bytes),                                     \
         .value = "SIZE",                                                                          \
         .help = "largest message, and largest line of input",                                     \
         .min = LN_MIN_FRAME_MAX_BYTES,                                                            \
         .max = LN_ERRAND_MESSAGE_MAX_BYTES},                                                      \
        LN_DIAL_HANDSHAKE_OPTIONS((base) + offsetof(ln_errand_settings, dial)),                    \
        LN_DIAL_TLS_OPTIONS((base) + offsetof(ln_errand_settings, dial))

typedef struct ln_errand {
    ln_errand_settings *set;
    ln_desk desk;
    ln_offer offer;
    ln_broker_client *client;
    bool is_patient; /* goes on trying when nobody answers at first */
    bool was_open;
    bool is_away;     /* it has been told that the connection, or an attempt, came to nothing */
    uint64_t unsure;  /* publications on this connection, which may break before they arrive */
    bool is_answered; /* the question behind the last of them */
    bool is_time_up;  /* `timeout_ms` have passed */
    char trouble[LN_ERRAND_TROUBLE_SIZE]; /* how it did, until that is told */
    char token[LN_SECRET_SIZE];
    ln_buf payload; /* one at a time */
} ln_errand;

/*
 * As ln_verb_begin(), for operands that begin "[URL] TOPIC" and settings that begin with
 * ln_errand_settings: *url is the one given, or else LN_ERRAND_URL, and the topic is argv[1].
 */
int ln_errand_begin(const ln_verb *verb, int argc, char **argv, void *settings, int *operands,
                    const char **url);

/* Whether one payload at most is behind the topic, and none if there are lines for it:
 * LN_EXIT_NOT_YET; else it has been told, and the result is the exit code. */
int ln_errand_check(const ln_verb *verb, int operands, bool reads_lines);

/*
 * Begins to connect. Must not move until ln_errand_fini(), which is due after an error, too. 0; else
 * it has been told, and the result is an exit code.
 */
LN_NODISCARD int ln_errand_init(ln_errand *e, const ln_verb *verb, ln_errand_settings *set,
                                const char *url, bool is_patient);

/* The exit code. */
int ln_errand_fini(ln_errand *e);

/*
 * Waits until the server has taken all that was published, and says goodbye. A connection that
 * breaks before is a failure: what was sent last may not have arrived.
 */
void ln_errand_finish(ln_errand *e);

/* Says goodbye when nothing depends on it any more: waits for a moment only. */
void ln_errand_leave(ln_errand *e);

/* Waits until it is at work. False: it is done instead (desk.h). */
bool ln_errand_wait_open(ln_errand *e);

/* Publishes `text`, waiting for a connection and for room. What cannot be published is told as input
 * number `line`, if that is not 0, and decides the exit code. */
void ln_errand_publish(ln_errand *e, ln_span topic, ln_span text, uint64_t line);

/* How what comes is to be written. */
ln_payload_look ln_errand_look(const ln_errand_settings *set);

/* `text` as a payload, borrowed until the next one. False: it is none; told, as above. */
bool ln_errand_payload(ln_errand *e, ln_span text, uint64_t line, ln_span *payload);

#endif
