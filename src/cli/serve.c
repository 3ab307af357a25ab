/* SPDX-License-Identifier: MIT */
/*
 * serve - `linnet serve`: the server.
 *
 * Life
 *   set up      listeners are bound and routes mounted; what fails here ends the program with 1
 *   serving     from the first turn of worker 0, which also owns the signals, until TERM or INT
 *   draining    ln_server_stop(): connections say goodbye; TERM or INT once more cuts that short
 */
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>

#include <linnet/server.h>

#include "base/limits.h"
#include "routes.h"
#include "secret.h"
#include "verb.h"

#define DEFAULT_ADDRESS "127.0.0.1:8080"

enum {
    WORKERS_AUTO_MAX = 64 /* what a large machine gets unasked */
};

typedef struct settings {
    ln_option_list listen;
    ln_option_list listen_tls;
    char *tls_cert, *tls_key, *tls_pkcs12, *tls_passphrase_file, *tls_client_ca;
    char *files;
    char *watch;
    uint32_t watch_rest_ms;
    char *origins;
    uint32_t workers; /* 0 = one for each processor */
    uint32_t io;
    uint32_t log_level; /* from 0: ln_log_level - 1 */
    uint32_t connections_max;
    uint32_t message_max_bytes;
    uint32_t queue_max_bytes;
    uint32_t ping_interval_ms;
    uint32_t pong_wait_ms;
    uint32_t idle_ms;
    uint32_t drain_ms;
} settings;

#define AT(member) offsetof(settings, member)

static const ln_option options[] = {
    {.name = "listen",
     .letter = 'l',
     .type = LN_OPTION_LIST,
     .offset = AT(listen),
     .value = "ADDR",
     .help = "serves HTTP and ws at HOST:PORT, :PORT (all addresses), [V6]:PORT or unix:PATH; "
             "without any, at " DEFAULT_ADDRESS},
    {.name = "static",
     .type = LN_OPTION_TEXT,
     .offset = AT(files),
     .value = "DIR",
     .help = "serves the files below this folder at /"},
    {.name = "watch",
     .type = LN_OPTION_TEXT,
     .offset = AT(watch),
     .value = "DIR",
     .help = "for developing: pages with /hotreload.js reload when files below this folder change, "
             "and their errors are shown here"},
    {.name = "watch-rest",
     .type = LN_OPTION_DURATION,
     .offset = AT(watch_rest_ms),
     .value = "TIME",
     .help = "how long nothing more must have changed for that",
     .min = LN_MIN_WATCH_REST_MS,
     .max = LN_MAX_WATCH_REST_MS},
    {.name = "origins",
     .type = LN_OPTION_TEXT,
     .offset = AT(origins),
     .value = "LIST",
     .help = "pages that may connect, comma separated, as https://example.org; * = all; without "
             "it, only "
             "pages of the same origin"},
    {.name = "workers",
     .letter = 'w',
     .type = LN_OPTION_NUMBER,
     .offset = AT(workers),
     .value = "N",
     .help = "threads that serve; without it, one for each processor",
     .min = 1,
     .max = LN_MAX_WORKERS},
    {.name = "io",
     .type = LN_OPTION_CHOICE,
     .offset = AT(io),
     .value = "auto|epoll|uring",
     .help = "how to talk to the kernel"},
    {.name = "log-level",
     .type = LN_OPTION_CHOICE,
     .offset = AT(log_level),
     .value = "error|warn|info|debug",
     .help = "what to log"},
    {.help = "TLS"},
    {.name = "listen-tls",
     .type = LN_OPTION_LIST,
     .offset = AT(listen_tls),
     .value = "ADDR",
     .help = "serves HTTPS and wss there; needs a certificate"},
    {.name = "tls-cert",
     .type = LN_OPTION_TEXT,
     .offset = AT(tls_cert),
     .value = "FILE",
     .help = "PEM certificate, followed by its intermediates"},
    {.name = "tls-key",
     .type = LN_OPTION_TEXT,
     .offset = AT(tls_key),
     .value = "FILE",
     .help = "PEM key; without it, taken from the certificate's file"},
    {.name = "tls-pkcs12",
     .type = LN_OPTION_TEXT,
     .offset = AT(tls_pkcs12),
     .value = "FILE",
     .help = "certificate and key in one PKCS#12 file instead"},
    {.name = "tls-passphrase-file",
     .type = LN_OPTION_TEXT,
     .offset = AT(tls_passphrase_file),
     .value = "FILE",
     .help = "its first line opens the key"},
    {.name = "tls-client-ca",
     .type = LN_OPTION_TEXT,
     .offset = AT(tls_client_ca),
     .value = "FILE",
     .help = "asks clients for a certificate signed by one of these"},
    {.help = "Limits"},
    {.name = "max-connections",
     .type = LN_OPTION_NUMBER,
     .offset = AT(connections_max),
     .value = "N",
     .help = "WebSocket connections at a time; more are answered with 503",
     .min = LN_MIN_CONNECTIONS_MAX,
     .max = LN_MAX_CONNECTIONS_MAX},
    {.name = "max-message",
     .type = LN_OPTION_SIZE,
     .offset = AT(message_max_bytes),
     .value = "SIZE",
     .help = "largest message accepted (/echo has its own limit, 64MiB)",
     .min = LN_MIN_FRAME_MAX_BYTES,
     .max = LN_MAX_MESSAGE_MAX_BYTES},
    {.name = "max-queue",
     .type = LN_OPTION_SIZE,
     .offset = AT(queue_max_bytes),
     .value = "SIZE",
     .help =
         "what may wait to be sent to one client of a room; what does not fit is dropped for it",
     .min = LN_MIN_QUEUE_MAX_BYTES,
     .max = LN_MAX_QUEUE_MAX_BYTES},
    {.name = "ping-interval",
     .can_be_off = true,
     .type = LN_OPTION_DURATION,
     .offset = AT(ping_interval_ms),
     .value = "TIME",
     .help = "silence after which a client is pinged, or off",
     .min = 1,
     .max = LN_MAX_PING_INTERVAL_MS},
    {.name = "pong-wait",
     .type = LN_OPTION_DURATION,
     .offset = AT(pong_wait_ms),
     .value = "TIME",
     .help = "silence after the ping that means it is gone",
     .min = 1,
     .max = LN_MAX_PONG_WAIT_MS},
    {.name = "idle",
     .can_be_off = true,
     .type = LN_OPTION_DURATION,
     .offset = AT(idle_ms),
     .value = "TIME",
     .help = "without a message a client is sent away after this, or off",
     .min = 1,
     .max = LN_MAX_IDLE_MS},
    {.name = "drain",
     .type = LN_OPTION_DURATION,
     .offset = AT(drain_ms),
     .value = "TIME",
     .help = "how long clients may take to say goodbye when the server ends",
     .min = LN_MIN_DRAIN_MS,
     .max = LN_MAX_DRAIN_MS},
    {0},
};

static const settings defaults = {
    .watch_rest_ms = LN_DEFAULT_WATCH_REST_MS,
    .log_level = LN_LOG_INFO - 1,
    .connections_max = LN_DEFAULT_CONNECTIONS_MAX,
    .message_max_bytes = LN_DEFAULT_MESSAGE_MAX_BYTES,
    .queue_max_bytes = LN_DEFAULT_QUEUE_MAX_BYTES,
    .ping_interval_ms = LN_DEFAULT_PING_INTERVAL_MS,
    .pong_wait_ms = LN_DEFAULT_PONG_WAIT_MS,
    .idle_ms = LN_DEFAULT_IDLE_MS,
    .drain_ms = LN_DEFAULT_DRAIN_MS,
};

typedef struct service {
    settings set;
    ln_server *server;
    ln_chat *chat;
    ln_reload *reload; /* NULL without --watch */
    unsigned workers;
    ln_ws_options ws; /* of endpoints without limits of their own */
    char passphrase[LN_SECRET_SIZE];
    ln_tls_identity identity;
    int failure; /* of the start of worker 0 */
} service;

static void complain(const char *what, const char *about, int err)
{
    fprintf(stderr, "linnet serve: %s%s: %s\n", what, about, ln_strerror(err));
}

/* ------------------------------------------------------------------------------------------------
 * listeners */

static int listen_plain(const service *s)
{
    static char address[] = DEFAULT_ADDRESS;
    const ln_option_list fallback = {.items = {address}, .count = 1};
    const bool is_silent = s->set.listen.count == 0 && s->set.listen_tls.count == 0;
    const ln_option_list *list = is_silent ? &fallback : &s->set.listen;
    for (unsigned i = 0; i < list->count; i++) {
        const int rc = ln_server_listen(s->server, list->items[i]);
        if (rc < 0) {
            complain("cannot listen on ", list->items[i], rc);
            return rc;
        }
    }
    return 0;
}

static int listen_tls(service *s)
{
    if (s->set.listen_tls.count == 0)
        return 0;
    if (s->set.tls_passphrase_file != NULL) {
        const int rc = ln_secret_read(s->set.tls_passphrase_file, s->passphrase);
        if (rc < 0) {
            complain("cannot use the passphrase in ", s->set.tls_passphrase_file, rc);
            return rc;
        }
    }
    s->identity = (ln_tls_identity){
        .cert_file = s->set.tls_cert,
        .key_file = s->set.tls_key,
        .pkcs12_file = s->set.tls_pkcs12,
        .passphrase = s->set.tls_passphrase_file != NULL ? s->passphrase : NULL,
    };
    const ln_tls_options tls = {
        .identities = &s->identity, .identity_count = 1, .ca_file = s->set.tls_client_ca};
    for (unsigned i = 0; i < s->set.listen_tls.count; i++) {
        const int rc = ln_server_listen_tls(s->server, s->set.listen_tls.items[i], &tls);
        if (rc < 0) {
            complain("cannot listen with TLS on ", s->set.listen_tls.items[i], rc);
            return rc;
        }
    }
    return 0;
}

static int watch(service *s)
{
    char why[LN_WATCHTREE_WHY_SIZE];

    if (s->set.watch == NULL)
        return 0;
    const int rc = ln_reload_new(s->set.watch, s->set.watch_rest_ms, &s->reload, why);
    if (rc < 0)
        fprintf(stderr, "linnet serve: cannot watch %s: %s\n", s->set.watch, why);
    return rc;
}

/* "http://127.0.0.1:8080/": what was asked for, with the port that it became. */
static void announce(const service *s, const char *scheme, const char *address, unsigned index,
                     const char *io)
{
    fprintf(stderr, "linnet %s serving ", ln_version());
    const char *colon = strrchr(address, ':');
    if (strncmp(address, "unix:", 5) == 0 || colon == NULL) {
        fprintf(stderr, "%s", address);
    } else {
        const ln_span host =
            colon == address ? LN_SPAN("[::]") : (ln_span){address, (size_t)(colon - address)};
        fprintf(stderr, "%s://%.*s:%d/", scheme, (int)host.size, (const char *)host.data,
                ln_server_port(s->server, index));
    }
    fprintf(stderr, " (%u worker%s, %s)\n", s->workers, s->workers == 1 ? "" : "s", io);
}

static void announce_all(const service *s, const ln_loop *loop)
{
    const char *io = strcmp(ln_loop_backend(loop), "uring") == 0 ? "io_uring" : "epoll";
    unsigned index = 0;
    if (s->set.listen.count == 0 && s->set.listen_tls.count == 0)
        announce(s, "http", DEFAULT_ADDRESS, index++, io);
    for (unsigned i = 0; i < s->set.listen.count; i++)
        announce(s, "http", s->set.listen.items[i], index++, io);
    for (unsigned i = 0; i < s->set.listen_tls.count; i++)
        announce(s, "https", s->set.listen_tls.items[i], index++, io);
}

/* ------------------------------------------------------------------------------------------------
 * life */

static void on_signal(void *arg, int number)
{
    service *s = arg;
    if (number == SIGHUP) {
        const int rc = ln_server_reload(s->server); /* the log tells of success */
        if (rc < 0)
            complain("the certificates stay as they were", "", rc);
        return;
    }
    if (ln_server_is_stopping(s->server))
        fputs("linnet serve: stopping at once\n", stderr);
    else
        fputs("linnet serve: draining; the same signal again stops at once\n", stderr);
    ln_server_stop(s->server);
}

static const int watched[] = {SIGTERM, SIGINT, SIGHUP, 0};

static void on_worker_start(ln_server *server, unsigned worker, ln_loop *loop, void *user)
{
    service *s = user;
    if (worker != 0)
        return;
    s->failure = ln_loop_watch_signals(loop, watched, on_signal, s);
    if (s->failure < 0) {
        complain("cannot watch signals", "", s->failure);
        ln_server_stop(server);
        return;
    }
    announce_all(s, loop);
    if (s->reload != NULL && ln_reload_start(s->reload, loop) < 0)
        complain("changes will not be noticed below ", s->set.watch, LN_ERR_NOMEM);
}

/* Before any thread exists, so that none of them has the signals delivered to it. */
static void block_signals(void)
{
    sigset_t set;
    sigemptyset(&set);
    for (const int *number = watched; *number != 0; number++)
        sigaddset(&set, *number);
    sigprocmask(SIG_BLOCK, &set, NULL);
}

/* A connection is a descriptor: take as many as the administrator allows, not as few as a shell
 * gives. */
static void raise_descriptors(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur == limit.rlim_max)
        return;
    limit.rlim_cur = limit.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &limit);
}

static unsigned processors(void)
{
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) < 0)
        return 1;
    const int count = CPU_COUNT(&set);
    return count < WORKERS_AUTO_MAX ? (unsigned)count : WORKERS_AUTO_MAX;
}

static uint32_t smaller(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

static int mount(const service *s)
{
    int rc = ln_routes_mount(s->server, &s->ws, s->chat, s->reload);
    if (rc < 0) {
        complain("cannot set up the endpoints", "", rc);
        return rc;
    }
    if (s->set.files == NULL)
        return 0;
    rc = ln_server_files(s->server, "/", s->set.files);
    if (rc < 0)
        complain("cannot serve the folder ", s->set.files, rc);
    return rc;
}

static int run(service *s)
{
    s->workers = s->set.workers > 0 ? s->set.workers : processors();
    s->ws = (ln_ws_options){
        .origins = s->set.origins,
        .message_max_bytes = s->set.message_max_bytes,
        .queue_max_bytes = s->set.queue_max_bytes,
        .high_water_bytes = smaller(LN_DEFAULT_HIGH_WATER_BYTES, s->set.queue_max_bytes),
        .low_water_bytes = smaller(LN_DEFAULT_LOW_WATER_BYTES, s->set.queue_max_bytes),
        .ping_interval_ms = s->set.ping_interval_ms,
        .pong_wait_ms = s->set.pong_wait_ms,
        .idle_ms = s->set.idle_ms,
    };
    s->server = ln_server_new(&(ln_server_options){
        .workers = s->workers,
        .io = (enum ln_io)s->set.io,
        .connections_max = s->set.connections_max,
        .drain_ms = s->set.drain_ms,
        .log_level = (enum ln_log_level)(s->set.log_level + 1),
        .on_worker_start = on_worker_start,
        .user = s,
    });
    s->chat = ln_chat_new();
    if (s->server == NULL || s->chat == NULL) {
        complain("cannot start", "", LN_ERR_NOMEM);
        return LN_ERR_NOMEM;
    }
    int rc = listen_plain(s);
    if (rc == 0)
        rc = listen_tls(s);
    if (rc == 0)
        rc = watch(s);
    if (rc == 0)
        rc = mount(s);
    if (rc < 0)
        return rc;
    rc = ln_server_run(s->server);
    if (rc < 0)
        complain("the server failed", "", rc);
    return rc < 0 ? rc : s->failure;
}

static int misuse(const settings *set)
{
    const bool has_identity = set->tls_cert != NULL || set->tls_pkcs12 != NULL;
    if (set->tls_cert != NULL && set->tls_pkcs12 != NULL)
        return ln_verb_misused(&ln_serve_verb, "--tls-cert and --tls-pkcs12 exclude each other");
    if (set->tls_key != NULL && set->tls_cert == NULL)
        return ln_verb_misused(&ln_serve_verb, "--tls-key needs --tls-cert");
    if (set->listen_tls.count > 0 && !has_identity)
        return ln_verb_misused(&ln_serve_verb, "--listen-tls needs --tls-cert or --tls-pkcs12");
    if (set->listen_tls.count == 0 &&
        (has_identity || set->tls_passphrase_file != NULL || set->tls_client_ca != NULL))
        return ln_verb_misused(&ln_serve_verb,
                               "a certificate needs an address to serve it at: --listen-tls");
    return LN_EXIT_NOT_YET;
}

static int serve(int argc, char **argv)
{
    service s = {0};
    int operands;
    int code = ln_verb_begin(&ln_serve_verb, argc, argv, &s.set, &operands);
    if (code == LN_EXIT_NOT_YET)
        code = misuse(&s.set);
    if (code != LN_EXIT_NOT_YET)
        return code;

    block_signals();
    raise_descriptors();
    const int rc = run(&s);
    ln_server_free(s.server);
    ln_chat_free(s.chat);
    ln_reload_free(s.reload);
    ln_secret_wipe(s.passphrase);
    return rc < 0 ? LN_EXIT_FAILED : LN_EXIT_DONE;
}

const ln_verb ln_serve_verb = {
    .name = "serve",
    .summary = "runs the server",
    .operands = "",
    .about = "Serves WebSocket endpoints, and files if asked to, until it gets TERM or INT.",
    .notes = "Paths:\n"
             "  /echo                sends every message back: for measuring and conformance\n"
             "  /rooms?room=NAME     sends every message to all who are in the room;\n"
             "                       &presence=1&name=NICK adds messages about who is there\n"
             "  /ws                  binary commands and JSON-RPC, with a chat\n"
             "  /wsmq                a broker, see linnet pub, sub and call\n"
             "  /health              200 while the process works\n"
             "  /ready               200, or 503 while it drains\n"
             "  /hotreload.js        for pages that reload, with --watch\n"
             "  /api/hotreload/status\n"
             "                       these pages and their errors, as JSON\n"
             "  /                    the files of --static\n"
             "\n"
             "Signals: TERM and INT let clients say goodbye (close code 1001) and end the server, "
             "a second one ends it "
             "at once; HUP reads the certificates again.",
    .options = options,
    .defaults = &defaults,
    .settings_size = sizeof defaults,
    .run = serve,
};
