/* SPDX-License-Identifier: MIT */
/* pub - `linnet pub`: publishes to a topic of a broker, once, many times, or each line it reads. */
#include <string.h>

#include "base/text.h"
#include "errand.h"

typedef struct settings {
    ln_errand_settings errand;
    bool reads_lines;
    uint32_t count; /* or LN_OPTION_UNSET */
} settings;

#define AT(member)     offsetof(settings, member)
#define ERRAND(member) LN_ERRAND_AT(offsetof(settings, errand), member)

static const ln_option options[] = {
    {.name = "lines",
     .letter = 'l',
     .type = LN_OPTION_SET,
     .offset = AT(reads_lines),
     .help = "publishes each line of standard input; and connects again whenever the connection is "
             "lost"},
    {.name = "json",
     .letter = 'j',
     .type = LN_OPTION_SET,
     .offset = ERRAND(is_json),
     .help = "payloads are JSON, and nothing else is published; without it they are texts"},
    {.name = "count",
     .letter = 'c',
     .type = LN_OPTION_NUMBER,
     .offset = AT(count),
     .value = "N",
     .help = "publishes the payload N times; of --lines, only the first N",
     .min = 1,
     .max = UINT32_MAX - 2},
    {.name = "timeout",
     .can_be_off = true,
     .type = LN_OPTION_DURATION,
     .offset = ERRAND(timeout_ms),
     .value = "TIME",
     .help = "it is a failure if it takes longer, or off; without it 10s, and off with --lines",
     .min = 1},
    LN_ERRAND_OPTIONS(offsetof(settings, errand)),
    LN_ERRAND_PATIENCE_OPTION(offsetof(settings, errand), "with --lines "),
    {0},
};

enum { TIMEOUT_MS = 10000 };

static const settings defaults = {.errand = LN_ERRAND_DEFAULTS("pub"), .count = LN_OPTION_UNSET};

static void publish_lines(ln_errand *e, ln_span topic, uint32_t count)
{
    ln_span line;
    uint64_t n = 0;

    while (n < count && ln_errand_wait_open(e) && ln_desk_read(&e->desk, &line)) {
        /* an empty line is a payload, too */
        ln_errand_publish(e, topic, line.data == NULL ? LN_SPAN("") : line, ++n);
    }
}

static void publish_times(ln_errand *e, ln_span topic, ln_span payload, uint32_t count)
{
    for (uint32_t i = 0; i < count && !e->desk.has_failed && !ln_desk_is_done(&e->desk); i++)
        ln_errand_publish(e, topic, payload, 0);
}

static int pub(int argc, char **argv)
{
    static ln_errand e; /* large for a stack */
    settings set;
    const char *url;
    int operands = 0;

    int code = ln_errand_begin(&ln_pub_verb, argc, argv, &set, &operands, &url);
    if (code == LN_EXIT_NOT_YET)
        code = ln_errand_check(&ln_pub_verb, operands, set.reads_lines);
    if (code != LN_EXIT_NOT_YET)
        return code;
    if (set.errand.timeout_ms == LN_OPTION_UNSET)
        set.errand.timeout_ms = set.reads_lines ? LN_OFF : TIMEOUT_MS;

    code = ln_errand_init(&e, &ln_pub_verb, &set.errand, url, set.reads_lines);
    if (code == 0) {
        const ln_span topic = ln_text(argv[1]);
        const bool is_unbounded = set.count == LN_OPTION_UNSET;
        if (set.reads_lines)
            publish_lines(&e, topic, is_unbounded ? UINT32_MAX : set.count);
        else
            publish_times(&e, topic, ln_text(operands == 2 ? argv[2] : NULL),
                          is_unbounded ? 1 : set.count);
        ln_errand_finish(&e);
        if (e.is_time_up)
            ln_desk_fail(&e.desk, "not everything was published in time");
    }
    const int end = ln_errand_fini(&e);
    return code != 0 ? code : end;
}

const ln_verb ln_pub_verb = {
    .name = "pub",
    .summary = "publishes to a topic of a broker",
    .operands = "[URL] TOPIC [PAYLOAD]",
    .operands_max = 3,
    .about = "Publishes the payload, or nothing, to a topic of a broker (WebSocketMQ), by default "
             "that of `linnet serve` on this machine, " LN_ERRAND_URL ".",
    .notes =
        "Exit code: 0 when everything was published, 1 when the server refuses the topic, or "
        "that is not sure: publishing is not acknowledged, and what was sent when a connection "
        "breaks may not have arrived.\n"
        "\n"
        "  linnet pub sensors.kitchen 21.5\n"
        "  linnet pub -j sensors.kitchen '{\"celsius\":21.5}'\n"
        "  vmstat 1 | linnet pub -l wss://example.org/wsmq sensors.host",
    .options = options,
    .defaults = &defaults,
    .settings_size = sizeof defaults,
    .run = pub,
};
