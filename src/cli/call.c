/* SPDX-License-Identifier: MIT */
/* call - `linnet call`: asks a broker, or through it one of its clients, and writes the answer. */
#include <inttypes.h>
#include <string.h>

#include "base/text.h"
#include "errand.h"

typedef struct settings {
    ln_errand_settings errand;
    char *target;
    bool reads_lines;
} settings;

#define AT(member)     offsetof(settings, member)
#define ERRAND(member) LN_ERRAND_AT(offsetof(settings, errand), member)

static const ln_option options[] = {
    {.name = "client",
     .type = LN_OPTION_TEXT,
     .offset = AT(target),
     .value = "ID",
     .help = "asks this client of the server, which has to permit it; `linnet call "
             "system:list_clients` tells who is there"},
    {.name = "lines",
     .letter = 'l',
     .type = LN_OPTION_SET,
     .offset = AT(reads_lines),
     .help = "asks once for each line of standard input, one after the other"},
    {.name = "json",
     .letter = 'j',
     .type = LN_OPTION_SET,
     .offset = ERRAND(is_json),
     .help = "the payload is JSON, and the answer is written as JSON; without it texts are texts"},
    {.name = "raw",
     .type = LN_OPTION_SET,
     .offset = ERRAND(is_raw),
     .help = "writes a text as it is, newlines and all, and no newline behind it"},
    {.name = "timeout",
     .type = LN_OPTION_DURATION,
     .offset = ERRAND(timeout_ms),
     .value = "TIME",
     .help = "for the answer, connecting included; of --lines for each; without it 10s",
     .min = 1,
     .max = 3600000},
    LN_ERRAND_OPTIONS(offsetof(settings, errand)),
    {0},
};

enum { TIMEOUT_MS = 10000 };

static const settings defaults = {.errand = LN_ERRAND_DEFAULTS("call")};

typedef struct caller {
    ln_errand errand;
    const settings *set;
    uint32_t timeout_ms;
    bool is_answered;
    ln_buf line;
} caller;

/* ---- answers ---- */

static void show_error(caller *c, const ln_broker_client_reply *reply)
{
    c->errand.desk.has_failed = true;
    if (reply->error == LN_ERR_CLOSED) /* why, the client tells */
        return;
    FILE *const out = ln_screen_begin(&c->errand.desk.screen, LN_TONE_ERROR);
    if (out == NULL)
        return;
    if (reply->error == LN_ERR_REFUSED) {
        fprintf(out, "%" PRId64 ": ", reply->code);
        ln_screen_quote(out, reply->message.size > 0 ? reply->message
                                                     : LN_SPAN("it failed, and does not say why"));
    } else if (reply->error == LN_ERR_TIMEOUT) {
        fputs("no answer in time", out);
    } else if (reply->error == LN_ERR_RESET) {
        fputs("the connection was lost before the answer came", out);
    } else {
        fputs(ln_strerror(reply->error), out);
    }
    ln_screen_end(&c->errand.desk.screen);
}

static void on_reply(const ln_broker_client_reply *reply, void *user)
{
    caller *const c = user;

    c->is_answered = true;
    ln_desk_notice(&c->errand.desk);
    if (reply->error != 0) {
        show_error(c, reply);
        return;
    }
    c->line.size = 0;
    if (ln_payload_show(&c->line, reply->payload, ln_errand_look(&c->set->errand)) < 0) {
        ln_desk_fail(&c->errand.desk, ln_strerror(LN_ERR_NOMEM));
        return;
    }
    if (c->line.size > 0 || c->set->reads_lines) /* no payload, no line */
        ln_screen_message(&c->errand.desk.screen, LN_TEXT, (ln_span){c->line.data, c->line.size});
}

/* ---- questions ---- */

/* Asks and waits. `text` without data: no payload. */
static void ask(caller *c, ln_span topic, ln_span text, uint64_t line)
{
    ln_desk *const desk = &c->errand.desk;
    ln_span payload = {NULL, 0};

    if (text.data != NULL && !ln_errand_payload(&c->errand, text, line, &payload))
        return;
    const ln_broker_client_order order = {.topic = topic,
                                          .payload = payload,
                                          .target = ln_text(c->set->target),
                                          .timeout_ms = c->timeout_ms,
                                          .on_reply = on_reply,
                                          .user = c};
    c->is_answered = false;
    const int rc = ln_broker_client_request(c->errand.client, &order, NULL);
    if (rc < 0) {
        ln_desk_fail(desk, rc == LN_ERR_INVALID ? "this cannot be asked" : ln_strerror(rc));
        return;
    }
    while (!c->is_answered && !desk->is_over)
        ln_desk_turn(desk, -1);
}

static void ask_lines(caller *c, ln_span topic)
{
    ln_span line;
    uint64_t n = 0;

    while (ln_errand_wait_open(&c->errand) && ln_desk_read(&c->errand.desk, &line))
        ask(c, topic, line.data == NULL ? LN_SPAN("") : line, ++n);
}

static int call(int argc, char **argv)
{
    static caller c; /* large for a stack */
    settings set;
    const char *url;
    int operands = 0;

    int code = ln_errand_begin(&ln_call_verb, argc, argv, &set, &operands, &url);
    if (code == LN_EXIT_NOT_YET)
        code = ln_errand_check(&ln_call_verb, operands, set.reads_lines);
    if (code == LN_EXIT_NOT_YET && set.target != NULL && *set.target == '\0')
        code = ln_verb_misused(&ln_call_verb,
                               "--client wants an id"); /* else it would ask the server */
    if (code != LN_EXIT_NOT_YET)
        return code;
    c.set = &set;
    c.timeout_ms = set.errand.timeout_ms == LN_OPTION_UNSET ? TIMEOUT_MS : set.errand.timeout_ms;
    set.errand.timeout_ms = LN_OFF; /* each question has its own */
    ln_buf_init(&c.line, NULL);

    code = ln_errand_init(&c.errand, &ln_call_verb, &set.errand, url, false);
    if (code == 0) {
        if (set.reads_lines)
            ask_lines(&c, ln_text(argv[1]));
        else
            ask(&c, ln_text(argv[1]), ln_text(operands == 2 ? argv[2] : NULL), 0);
        ln_errand_leave(&c.errand);
    }
    const int end = ln_errand_fini(&c.errand);
    ln_buf_fini(&c.line);
    return code != 0 ? code : end;
}

const ln_verb ln_call_verb = {
    .name = "call",
    .summary = "asks a broker, or one of its clients",
    .operands = "[URL] TOPIC [PAYLOAD]",
    .operands_max = 3,
    .about = "Sends a request to a broker (WebSocketMQ), by default that of `linnet serve` on this "
             "machine, " LN_ERRAND_URL ", and writes the answer on a line.",
    .notes = "Exit code: 0 when it was answered, 1 when it was not, or with an error; standard "
             "error then has the error's code and text.\n"
             "\n"
             "  linnet call system:list_clients\n"
             "  linnet call -j math.add '[1,2]'\n"
             "  linnet call --client browser-1 browser.info",
    .options = options,
    .defaults = &defaults,
    .settings_size = sizeof defaults,
    .run = call,
};
