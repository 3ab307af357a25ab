/* SPDX-License-Identifier: MIT */
/*
 * sub - `linnet sub`: writes what is published to topics of a broker, a line each, for as long as
 * somebody reads it; the connection may break and come back.
 */
#include <string.h>

#include "base/text.h"
#include "errand.h"

typedef struct settings {
    ln_errand_settings errand;
    bool shows_topic;
    uint32_t count; /* or LN_OPTION_UNSET */
} settings;

#define AT(member)     offsetof(settings, member)
#define ERRAND(member) LN_ERRAND_AT(offsetof(settings, errand), member)

static const ln_option options[] = {
    {.name = "topic",
     .letter = 't',
     .type = LN_OPTION_SET,
     .offset = AT(shows_topic),
     .help = "writes the topic and a blank in front of each payload"},
    {.name = "json",
     .letter = 'j',
     .type = LN_OPTION_SET,
     .offset = ERRAND(is_json),
     .help = "writes payloads as the JSON they are; without it, texts as what they say"},
    {.name = "raw",
     .type = LN_OPTION_SET,
     .offset = ERRAND(is_raw),
     .help = "writes texts as they are, newlines and all, and no newline behind them"},
    {.name = "count",
     .letter = 'c',
     .type = LN_OPTION_NUMBER,
     .offset = AT(count),
     .value = "N",
     .help = "ends after N publications",
     .min = 1},
    {.name = "timeout",
     .can_be_off = true,
     .type = LN_OPTION_DURATION,
     .offset = ERRAND(timeout_ms),
     .value = "TIME",
     .help = "ends after this; with --count it is a failure",
     .min = 1},
    LN_ERRAND_OPTIONS(offsetof(settings, errand)),
    LN_ERRAND_PATIENCE_OPTION(offsetof(settings, errand), ""),
    {0},
};

static const settings defaults = {.errand = LN_ERRAND_DEFAULTS("sub"), .count = LN_OPTION_UNSET};

typedef struct listener {
    ln_errand errand;
    const settings *set;
    uint64_t written;
    uint64_t last; /* which publication was written last, as counted by the client */
    ln_buf line;
} listener;

/* ---- what comes ---- */

static int compose(listener *l, ln_span topic, ln_span payload)
{
    int rc = 0;

    l->line.size = 0;
    if (l->set->shows_topic)
        rc = ln_payload_show_topic(&l->line, topic);
    if (rc == 0 && l->set->shows_topic)
        rc = ln_buf_append(&l->line, " ", 1, SIZE_MAX);
    return rc == 0 ? ln_payload_show(&l->line, payload, ln_errand_look(&l->set->errand)) : rc;
}

/* Filters may overlap, and each has its turn: a publication is written once. */
static bool is_repeated(listener *l)
{
    ln_broker_client_stats stats;

    ln_broker_client_stats_get(l->errand.client, &stats);
    const bool is_same = stats.received_total == l->last;
    l->last = stats.received_total;
    return is_same;
}

static void on_publication(ln_broker_client *client, ln_span topic, ln_span payload, void *user)
{
    listener *const l = user;
    ln_desk *const desk = &l->errand.desk;

    (void)client;
    if (ln_desk_is_done(desk) || is_repeated(l))
        return;
    if (compose(l, topic, payload) < 0) {
        ln_desk_fail(desk, ln_strerror(LN_ERR_NOMEM));
        ln_desk_leave(desk);
        return;
    }
    ln_screen_message(&desk->screen, LN_TEXT, (ln_span){l->line.data, l->line.size});
    l->written++;
    if (l->written == l->set->count)
        ln_desk_leave(desk);
}

/* ---- the verb ---- */

static void subscribe(listener *l, char *const *filters, int count)
{
    for (int i = 0; i < count; i++) {
        const int rc = ln_broker_client_subscribe(l->errand.client, ln_text(filters[i]),
                                                  on_publication, l, NULL);
        if (rc == 0)
            continue;
        FILE *const out = ln_screen_begin(&l->errand.desk.screen, LN_TONE_ERROR);
        l->errand.desk.has_failed = true;
        if (out != NULL) {
            fprintf(out, "cannot subscribe to \"%s\": %s", filters[i], ln_strerror(rc));
            ln_screen_end(&l->errand.desk.screen);
        }
        ln_desk_leave(&l->errand.desk);
        return;
    }
}

static void listen_on(listener *l, char *const *filters, int count)
{
    ln_desk *const desk = &l->errand.desk;

    subscribe(l, filters, count);
    ln_desk_rest(desk, LN_OFF);
    ln_errand_leave(&l->errand);
    if (l->set->count != LN_OPTION_UNSET && l->written < l->set->count && desk->screen.failure == 0)
        ln_desk_fail(desk, l->errand.is_time_up ? "too few publications came in time"
                                                : "ended before all publications had come");
}

static int sub(int argc, char **argv)
{
    static listener l; /* large for a stack */
    settings set;
    const char *url;
    int operands = 0;

    int code = ln_errand_begin(&ln_sub_verb, argc, argv, &set, &operands, &url);
    if (code != LN_EXIT_NOT_YET)
        return code;
    if (set.errand.timeout_ms == LN_OPTION_UNSET)
        set.errand.timeout_ms = LN_OFF;

    l.set = &set;
    ln_buf_init(&l.line, NULL);
    code = ln_errand_init(&l.errand, &ln_sub_verb, &set.errand, url, true);
    if (code == 0)
        listen_on(&l, argv + 1, operands);
    const int end = ln_errand_fini(&l.errand);
    ln_buf_fini(&l.line);
    return code != 0 ? code : end;
}

const ln_verb ln_sub_verb = {
    .name = "sub",
    .summary = "writes what is published to topics of a broker",
    .operands = "[URL] TOPIC...",
    .operands_max = LN_OPTION_LIST_MAX,
    .about = "Subscribes to topics of a broker (WebSocketMQ), by default that of `linnet serve` on "
             "this machine, " LN_ERRAND_URL ", and writes each payload on a line. In a topic, * "
             "stands for one word between dots, and > at the end for one or more. It connects "
             "again whenever the connection is lost; what is published meanwhile is missed. If the "
             "very first one is refused with a status that waiting does not change, it ends.",
    .notes =
        "A text with a newline in it is written as JSON, so that a line is a publication; a "
        "topic with blanks likewise. Ends when nobody reads its output any more.\n"
        "\n"
        "Exit code: 0 when it was ended, by --count, --timeout, a signal or the reader; 1 when "
        "the server refuses a topic, or at first the connection, or --count was not reached.\n"
        "\n"
        "  linnet sub 'sensors.>'\n"
        "  linnet sub -t 'sensors.*.temperature' | grep kitchen\n"
        "  linnet sub -j -c 1 orders | jq .total",
    .options = options,
    .defaults = &defaults,
    .settings_size = sizeof defaults,
    .run = sub,
};
