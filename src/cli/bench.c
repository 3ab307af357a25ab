/* SPDX-License-Identifier: MIT */
#include "bench.h"

#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "base/text.h"
#include "benchfleet.h"
#include "benchrun.h"
#include "screen.h"
#include "verb.h"

#include <time.h>
#include <unistd.h>

#define AT(member)   offsetof(ln_bench_settings, member)
#define DIAL(member) offsetof(ln_bench_settings, dial.member)

enum {
    CONNECTIONS_MOST = 1000000,
    DEPTH_MOST = 65536,
    DEPTH_PACED = 64, /* by default: enough for pauses, and not endless */
    SIZE_MOST = 256 << 20,
    RATE_MOST = 50000000,
    THREADS_MOST = 64,
    THREADS_AUTO = 16,
    WARMUP_MS = 1000,
    TIME_MOST_MS = 86400000,
    STEPS = 60, /* of the time line, about */
    CLOSE_WAIT_MS = 2000,
    QUEUE_SPARE_BYTES = 1 << 20, /* beyond what is in flight */
    FRAME_SPARE_BYTES = 64       /* its head, and what compression may add */
};

static const ln_option options[] = {
    {.name = "connections",
     .letter = 'c',
     .type = LN_OPTION_NUMBER,
     .offset = AT(connections),
     .value = "N",
     .help = "connections; fanout: subscribers; handshake: at a time",
     .min = 1,
     .max = CONNECTIONS_MOST},
    {.name = "depth",
     .letter = 'd',
     .type = LN_OPTION_NUMBER,
     .offset = AT(depth),
     .value = "N",
     .help = "messages in flight on each connection; without it 1, and with --rate up to 64",
     .min = 1,
     .max = DEPTH_MOST},
    {.name = "size",
     .letter = 's',
     .type = LN_OPTION_SIZE,
     .offset = AT(size_bytes),
     .value = "SIZE",
     .help = "of a message",
     .min = LN_BENCHMESSAGE_MIN_BYTES,
     .max = SIZE_MOST},
    {.name = "time",
     .letter = 't',
     .type = LN_OPTION_DURATION,
     .offset = AT(time_ms),
     .value = "TIME",
     .help = "how long it is measured",
     .min = 100,
     .max = TIME_MOST_MS},
    {.name = "warmup",
     .type = LN_OPTION_DURATION,
     .offset = AT(warmup_ms),
     .value = "TIME",
     .help = "how long it runs before that; without it 1s, and for idle 0",
     .max = TIME_MOST_MS},
    {.name = "rate",
     .letter = 'r',
     .type = LN_OPTION_NUMBER,
     .offset = AT(rate),
     .value = "N",
     .help = "messages (handshakes) a second in all, at a fixed pace whatever the answers do: "
             "latencies count from when a message was due; without it, the next is sent when an "
             "answer has come",
     .min = 1,
     .max = RATE_MOST},
    {.name = "publishers",
     .type = LN_OPTION_NUMBER,
     .offset = AT(publishers),
     .value = "N",
     .help = "fanout: connections that publish, besides the subscribers",
     .min = 1,
     .max = LN_BENCHBOARD_PUBLISHERS_MAX},
    {.name = "text",
     .type = LN_OPTION_SET,
     .offset = AT(is_text),
     .help = "sends text (words, which compress as chat does) instead of binary"},
    {.name = "seed",
     .type = LN_OPTION_NUMBER,
     .offset = AT(seed),
     .value = "N",
     .help = "of what the messages hold; without it, another one each time"},
    {.name = "threads",
     .letter = 'j',
     .type = LN_OPTION_NUMBER,
     .offset = AT(threads),
     .value = "N",
     .help = "threads that make the load; without it one for two processors; more processes are "
             "used when there are more connections than one may have",
     .min = 1,
     .max = THREADS_MOST},
    {.name = "connecting",
     .type = LN_OPTION_NUMBER,
     .offset = AT(connecting),
     .value = "N",
     .help = "connections being opened at a time",
     .min = 1,
     .max = CONNECTIONS_MOST},
    {.name = "source",
     .type = LN_OPTION_TEXT,
     .offset = AT(source),
     .value = "LIST",
     .help = "addresses of ours to connect from, as 127.0.0.2-127.0.0.9,10.0.0.7; without it the "
             "system's choice, and several of 127.0.0.0/8 when one has too few ports"},
    {.name = "pid",
     .type = LN_OPTION_LIST,
     .offset = AT(pids),
     .value = "PID",
     .help = "the server's process, if it is on this machine: tells its processor time and memory"},
    {.help = "Output"},
    {.name = "json",
     .type = LN_OPTION_SET,
     .offset = AT(is_json),
     .help = "writes one JSON object instead of a table (see doc/bench.md)"},
    {.name = "report",
     .type = LN_OPTION_TEXT,
     .offset = AT(report),
     .value = "FILE",
     .help = "writes a page with charts (HTML, needs nothing else)"},
    {.name = "quiet",
     .letter = 'q',
     .type = LN_OPTION_SET,
     .offset = DIAL(is_quiet),
     .help = "does not show how far it is; nor does it away from a terminal"},
    {.name = "no-color",
     .type = LN_OPTION_CLEAR,
     .offset = DIAL(has_colour),
     .help = "no colours; nor are there under NO_COLOR, or away from a terminal"},
    {.help = "Connection"},
    {.name = "header",
     .letter = 'H',
     .type = LN_OPTION_LIST,
     .offset = DIAL(headers),
     .value = "NAME:VALUE",
     .help = "sends a header with the handshake"},
    {.name = "subprotocol",
     .type = LN_OPTION_LIST,
     .offset = DIAL(subprotocols),
     .value = "NAME",
     .help = "offers a subprotocol"},
    {.name = "origin",
     .letter = 'o',
     .type = LN_OPTION_TEXT,
     .offset = DIAL(origin),
     .value = "ORIGIN",
     .help = "sends an Origin header, as pages do"},
    {.name = "auth",
     .type = LN_OPTION_TEXT,
     .offset = DIAL(auth),
     .value = "USER:PASSWORD",
     .help = "authenticates (Basic); other users may see it in the list of processes: prefer "
             "--auth-file"},
    {.name = "auth-file",
     .type = LN_OPTION_TEXT,
     .offset = DIAL(auth_file),
     .value = "FILE",
     .help = "authenticates with USER:PASSWORD from the first line of the file"},
    {.name = "deflate",
     .type = LN_OPTION_SET,
     .offset = DIAL(is_deflated),
     .help = "offers compression (permessage-deflate), and compresses what it sends"},
    {.name = "timeout",
     .type = LN_OPTION_DURATION,
     .offset = DIAL(timeout_ms),
     .value = "TIME",
     .help = "for connecting and the handshake, and for the last answers",
     .min = LN_MIN_HANDSHAKE_MS,
     .max = LN_MAX_HANDSHAKE_MS},
    {.help = "TLS"},
    {.name = "ca",
     .type = LN_OPTION_TEXT,
     .offset = DIAL(ca),
     .value = "FILE",
     .help = "trusts these certificates (PEM) instead of the system's"},
    {.name = "cert",
     .type = LN_OPTION_TEXT,
     .offset = DIAL(cert),
     .value = "FILE",
     .help = "our certificate (PEM)"},
    {.name = "key",
     .type = LN_OPTION_TEXT,
     .offset = DIAL(key),
     .value = "FILE",
     .help = "its key (PEM); without it, taken from the certificate's file"},
    {.name = "passphrase-file",
     .type = LN_OPTION_TEXT,
     .offset = DIAL(passphrase_file),
     .value = "FILE",
     .help = "its first line opens the key"},
    {.name = "insecure",
     .letter = 'k',
     .type = LN_OPTION_SET,
     .offset = DIAL(is_insecure),
     .help = "does not verify the server"},
    {0},
};

static const ln_bench_settings defaults = {
    .dial =
        {
            .has_colour = true,
            .timeout_ms = LN_DEFAULT_HANDSHAKE_MS,
            .close_wait_ms = CLOSE_WAIT_MS,
            .ping_interval_ms = LN_OFF,
            .message_max_bytes = LN_DEFAULT_MESSAGE_MAX_BYTES,
        },
    .connections = 100,
    .depth = LN_OPTION_UNSET,
    .size_bytes = 128,
    .time_ms = 10000,
    .warmup_ms = LN_OPTION_UNSET,
    .publishers = 1,
    .seed = LN_OPTION_UNSET,
    .threads = LN_OPTION_UNSET,
    .connecting = 128,
};

/* ------------------------------------------------------------------------------------------------
 * the plan */

static const ln_benchmode *find_mode(const char *name)
{
    static const ln_benchmode *const modes[] = {&ln_benchecho, &ln_benchfanout, &ln_benchidle,
                                                &ln_benchshake};
    for (size_t i = 0; i < LN_ARRAY_SIZE(modes); i++)
        if (strcmp(modes[i]->name, name) == 0)
            return modes[i];
    return NULL;
}

/* What was not said follows from what was. */
static void settle(const ln_benchmode *mode, ln_bench_settings *set)
{
    if (set->warmup_ms == LN_OPTION_UNSET)
        set->warmup_ms = mode == &ln_benchidle ? 0 : WARMUP_MS;
    if (set->depth == LN_OPTION_UNSET)
        set->depth = set->rate > 0 ? DEPTH_PACED : 1;
    if (set->threads == LN_OPTION_UNSET) {
        const long processors = sysconf(_SC_NPROCESSORS_ONLN);
        set->threads = processors > 3 ? (uint32_t)processors / 2 : 1;
        if (set->threads > THREADS_AUTO)
            set->threads = THREADS_AUTO;
    }
    if (mode == &ln_benchidle)
        set->rate = 0;
    if (mode != &ln_benchfanout)
        set->publishers = 0;
}

static int parse_pids(ln_benchplan *plan, char *why)
{
    const ln_option_list *const list = &plan->set->pids;
    for (unsigned i = 0; i < list->count; i++) {
        uint64_t pid;
        ln_benchproc_cpu cpu = {0};
        if (ln_text_parse_u64(ln_text(list->items[i]), INT32_MAX, &pid) < 0 || pid == 0 ||
            ln_benchproc_add_cpu((uint32_t)pid, &cpu) < 0) {
            snprintf(why, LN_OPTION_WHY_SIZE, "option --pid: there is no process \"%s\"",
                     list->items[i]);
            return LN_ERR_INVALID;
        }
        plan->pids[plan->pid_count++] = (uint32_t)pid;
    }
    return 0;
}

/* As many workers as were wanted, and no process with more connections than it may have. */
static void share_out(ln_benchplan *plan)
{
    const uint32_t room = ln_benchfleet_room(), subscribers = plan->links - plan->publishers;
    uint32_t workers = plan->set->threads < subscribers ? plan->set->threads : subscribers;
    plan->processes = (plan->links + room - 1) / room;
    if (workers < plan->processes)
        workers = plan->processes;
    plan->workers = (workers + plan->processes - 1) / plan->processes * plan->processes;
}

/* Steps that people count in, about STEPS of them. */
static void divide_time(ln_benchplan *plan)
{
    static const uint32_t steps_ms[] = {50,   100,   200,   500,   1000,  2000,
                                        5000, 10000, 30000, 60000, 300000};
    size_t i = 0;
    while (i + 1 < LN_ARRAY_SIZE(steps_ms) && plan->set->time_ms / steps_ms[i] > STEPS)
        i++;
    plan->step_ns = steps_ms[i] * UINT64_C(1000000);
    plan->steps = (plan->set->time_ms + steps_ms[i] - 1) / steps_ms[i];
}

static uint64_t choose_seed(const ln_bench_settings *set)
{
    struct timespec t;
    if (set->seed != LN_OPTION_UNSET)
        return set->seed;
    clock_gettime(CLOCK_REALTIME, &t);
    return ((uint64_t)t.tv_nsec ^ (uint64_t)getpid() << 12) & UINT32_MAX;
}

/* LN_ERR_INVALID with a sentence, LN_ERR_NOMEM. */
static int make_plan(ln_benchplan *plan, char *why)
{
    const ln_bench_settings *const set = plan->set;
    const bool is_timed = plan->mode == &ln_benchfanout;
    plan->publishers = set->publishers;
    plan->links = set->connections + set->publishers;
    plan->depth = set->depth;
    plan->seed = choose_seed(set);
    if (is_timed && set->size_bytes < LN_BENCHMESSAGE_TIMED_MIN_BYTES) {
        snprintf(why, LN_OPTION_WHY_SIZE, "messages of fanout have at least %d bytes",
                 LN_BENCHMESSAGE_TIMED_MIN_BYTES);
        return LN_ERR_INVALID;
    }
    int rc = parse_pids(plan, why);
    if (rc == 0 && set->source != NULL)
        rc = ln_benchsource_parse(&plan->source, set->source, why);
    if (rc < 0)
        return rc;
    if (set->source == NULL)
        ln_benchsource_choose(&plan->source, plan->url, plan->links);
    share_out(plan);
    divide_time(plan);
    const ln_benchmessage_options messages = {
        .size = set->size_bytes, .seed = plan->seed, .is_text = set->is_text, .is_timed = is_timed};
    snprintf(why, LN_OPTION_WHY_SIZE, "%s", ln_strerror(LN_ERR_NOMEM));
    return ln_benchmessage_init(&plan->messages, &messages);
}

/* Limits wide enough for what is asked, and nothing that speaks by itself. */
static void widen(ln_client_options *client, const ln_benchplan *plan)
{
    const uint64_t size = plan->set->size_bytes + (uint64_t)FRAME_SPARE_BYTES;
    const uint64_t queue = size * plan->depth + QUEUE_SPARE_BYTES;
    const uint64_t message = 2 * size + QUEUE_SPARE_BYTES;
    client->ws.message_max_bytes = (uint32_t)message;
    client->ws.frame_max_bytes = (uint32_t)message;
    client->ws.queue_max_bytes =
        queue < LN_MAX_QUEUE_MAX_BYTES ? (uint32_t)queue : LN_MAX_QUEUE_MAX_BYTES;
    client->ws.high_water_bytes = client->ws.queue_max_bytes;
    client->ws.deflate_min_bytes = LN_OFF;
    client->ws.trust_text = true; /* ours is ASCII */
}

/* ------------------------------------------------------------------------------------------------
 * the verb */

static void keep_line(void *user, enum ln_log_level level, ln_span line)
{
    (void)level;
    snprintf(user, LN_OPTION_WHY_SIZE, "%.*s", (int)ln_min_size(line.size, LN_OPTION_WHY_SIZE - 1),
             (const char *)line.data);
}

/* Makes a client that never connects: URL, headers and certificates are judged before the load. */
static int try_client(const ln_benchplan *plan, char *why)
{
    const ln_loop_options loop_options = {
        .log = keep_line, .log_user = why, .log_level = LN_LOG_ERROR};
    ln_loop *loop = NULL;
    ln_client *client = NULL;
    why[0] = '\0';
    int rc = ln_loop_new(&loop_options, &loop);
    if (rc == 0)
        rc = ln_client_new(loop, plan->url, NULL, plan->client, &client);
    ln_client_free(client);
    ln_loop_free(loop);
    if (rc == LN_ERR_INVALID)
        snprintf(why, LN_OPTION_WHY_SIZE,
                 "not a URL like ws://host:port/path, or a header of the handshake's own");
    else if (rc < 0 && why[0] == '\0')
        snprintf(why, LN_OPTION_WHY_SIZE, "%s", ln_strerror(rc));
    return rc;
}

/* Runs it and tells the result, also to `page` if that is not NULL. */
static int carry_out(const ln_benchplan *plan, FILE *page)
{
    ln_benchresult result;
    ln_screen screen;
    int rc = ln_benchresult_init(&result, plan);
    if (rc < 0)
        return ln_verb_failed(&ln_bench_verb, ln_strerror(rc));
    rc = ln_benchrun(plan, &result);
    if (rc < 0) {
        ln_benchresult_fini(&result);
        return ln_verb_failed(&ln_bench_verb, ln_strerror(rc));
    }
    ln_screen_init(&screen, plan->set->dial.has_colour);
    if (plan->set->is_json)
        ln_benchjson_write(&result, stdout);
    else
        ln_benchtext_write(&result, stdout, screen.has_colour);
    (void)ln_screen_flush(&screen); /* what comes first stands first */
    if (page != NULL)
        ln_benchpage_write(&result, page);
    const bool is_good = ln_benchresult_is_good(&result) && result.measured_ns > 0;
    if (!is_good)
        ln_benchtext_complain(&result, stderr);
    ln_benchresult_fini(&result);
    return is_good ? LN_EXIT_DONE : LN_EXIT_FAILED;
}

/* The report's file is opened before the load: a wrong path is told at once. */
static int with_report(const ln_benchplan *plan)
{
    const char *const path = plan->set->report;
    FILE *const page = path != NULL ? fopen(path, "we") : NULL;
    if (path != NULL && page == NULL) {
        fprintf(stderr, "linnet bench: cannot write \"%s\"\n", path);
        return LN_EXIT_FAILED;
    }
    const int code = carry_out(plan, page);
    if (page != NULL && fclose(page) == EOF) {
        fprintf(stderr, "linnet bench: cannot write \"%s\"\n", path);
        return LN_EXIT_FAILED;
    }
    return code;
}

static int bench(int argc, char **argv)
{
    static ln_bench_settings set; /* these three are large for a stack */
    static ln_benchplan plan;
    static ln_offer offer;
    char why[LN_OPTION_WHY_SIZE];
    int operands = 0;
    const int code = ln_verb_begin(&ln_bench_verb, argc, argv, &set, &operands);
    if (code != LN_EXIT_NOT_YET)
        return code;
    if (operands < 2)
        return ln_verb_misused(&ln_bench_verb, operands == 0 ? "what is to be measured, and a URL?"
                                                             : "a URL is missing");
    const ln_benchmode *const mode = find_mode(argv[1]);
    if (mode == NULL)
        return ln_verb_misused(&ln_bench_verb, "the load is echo, fanout, idle or handshake");
    settle(mode, &set);
    int rc = ln_offer_init(&offer, &set.dial, argv[2], why);
    if (rc < 0)
        return rc == LN_ERR_INVALID ? ln_verb_misused(&ln_bench_verb, why)
                                    : ln_verb_failed(&ln_bench_verb, why);

    plan = (ln_benchplan){.mode = mode, .set = &set, .url = offer.url, .client = &offer.options};
    rc = make_plan(&plan, why);
    if (rc == 0) {
        widen(&offer.options, &plan);
        rc = try_client(&plan, why);
    }
    int result = LN_EXIT_FAILED;
    if (rc == 0)
        result = with_report(&plan);
    else if (rc == LN_ERR_INVALID)
        result = ln_verb_misused(&ln_bench_verb, why);
    else
        result = ln_verb_failed(&ln_bench_verb, why);
    ln_benchmessage_fini(&plan.messages);
    ln_offer_fini(&offer);
    return result;
}

const ln_verb ln_bench_verb = {
    .name = "bench",
    .summary = "measures a WebSocket server under load",
    .operands = "echo|fanout|idle|handshake URL",
    .operands_max = 2,
    .about = "Loads any WebSocket server and tells what it does: how much, how fast, at what cost, "
             "and whether all of it was right. Every message that comes back is compared to the "
             "last byte; what is lost, doubled, out of order or changed is an error.",
    .notes = "Loads:\n"
             "  echo       sends messages to a server that sends them back\n"
             "  fanout     few publish, and all who are connected to the same URL hear it\n"
             "  idle       opens connections, holds them, and pings each one at the end\n"
             "  handshake  opens and closes connections\n"
             "\n"
             "Exit code: 0 when everything was as it should be; 1 when there were errors, nothing "
             "was verified, or nobody answered. Ctrl-C ends it early, and what was measured until "
             "then is told.\n"
             "\n"
             "  linnet bench echo ws://localhost:8080/echo -c 200 -d 16\n"
             "  linnet bench fanout 'ws://localhost:8080/rooms?room=bench' -c 1000 --rate 100\n"
             "  linnet bench idle ws://localhost:8080/echo -c 50000 --pid 1234\n"
             "  linnet bench handshake wss://example.org/ -t 30 --report handshake.html",
    .options = options,
    .defaults = &defaults,
    .settings_size = sizeof defaults,
    .run = bench,
};
