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
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include <linnet/server.h>

#include "base/limits.h"
#include "base/text.h"
#include "keyring.h"
#include "routes.h"
#include "secret.h"
#include "verb.h"

enum {
    WORKERS_AUTO_MAX = 64, /* what a large machine gets unasked */
    /* twice what an administrator may send, so that who sends more is told in the dialect's words */
    BODY_MAX_BYTES = 2 * LN_DEFAULT_ROOMS_BROADCAST_MAX_BYTES
};

typedef struct service {
    ln_serve_settings set;
    const char *auth_secret; /* of the environment; NULL = none */
    ln_server *server;
    ln_chat *chat;
    ln_reload *reload; /* NULL without --watch */
    unsigned workers;
    ln_ws_options ws; /* of endpoints without limits of their own */
    char passphrase[LN_SECRET_SIZE];
    char admin_secret[LN_SECRET_SIZE];
    ln_tls_identity identity;
    int failure; /* of the start of worker 0 */
} service;

static void complain(const char *what, const char *about, int err)
{
    fprintf(stderr, "linnet serve: %s%s: %s\n", what, about, ln_strerror(err));
}

/* ------------------------------------------------------------------------------------------------
 * listeners */

enum { LISTEN_TRIES = 50, LISTEN_PAUSE_MS = 10 };

/* A server that was killed a moment ago may still be about to let go of its port: the kernel takes
 * down its rings when nobody waits for it any more. */
static int listen_on(const service *s, const char *address, const ln_tls_options *tls)
{
    const struct timespec pause = {.tv_nsec = LISTEN_PAUSE_MS * 1000000L};

    for (unsigned tries = 1;; tries++) {
        const int rc = tls == NULL ? ln_server_listen(s->server, address)
                                   : ln_server_listen_tls(s->server, address, tls);
        if (rc != LN_ERR_ADDRESS || tries == LISTEN_TRIES)
            return rc;
        (void)nanosleep(&pause, NULL);
    }
}

static int listen_plain(const service *s)
{
    static char address[] = LN_SERVE_ADDRESS;
    const ln_option_list fallback = {.items = {address}, .count = 1};
    const bool is_silent = s->set.listen.count == 0 && s->set.listen_tls.count == 0;
    const ln_option_list *list = is_silent ? &fallback : &s->set.listen;
    for (unsigned i = 0; i < list->count; i++) {
        const int rc = listen_on(s, list->items[i], NULL);
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
        const int rc = listen_on(s, s->set.listen_tls.items[i], &tls);
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
        announce(s, "http", LN_SERVE_ADDRESS, index++, io);
    for (unsigned i = 0; i < s->set.listen.count; i++)
        announce(s, "http", s->set.listen.items[i], index++, io);
    for (unsigned i = 0; i < s->set.listen_tls.count; i++)
        announce(s, "https", s->set.listen_tls.items[i], index++, io);
}

/* ------------------------------------------------------------------------------------------------
 * life */

/* What was asked for and makes it easier to break in. */
static void warn(const ln_serve_settings *set)
{
    const struct {
        bool is_so;
        const char *sentence;
    } weak[] = {
        {set->query_token, "--query-token: tokens in addresses end up in the logs of others"},
        {set->anonymous, "--anonymous: whoever has no token comes in all the same"},
        {set->origins != NULL && strchr(set->origins, '*') != NULL,
         "--origins *: any page may connect in its visitors' name"},
    };
    for (size_t i = 0; i < LN_ARRAY_SIZE(weak); i++)
        if (weak[i].is_so)
            fprintf(stderr, "linnet serve: warning: %s\n", weak[i].sentence);
}

static void reload(service *s)
{
    char why[LN_KEYRING_WHY_SIZE];
    ln_keyring keys;

    int rc = ln_server_reload(s->server); /* the log tells of success */
    if (rc < 0)
        complain("the certificates stay as they were", "", rc);
    if (ln_keyring_read(&keys, &s->set, s->auth_secret, why) < 0) {
        fprintf(stderr, "linnet serve: keys, rules and passwords stay as they were: %s\n", why);
        return;
    }
    rc = ln_rooms_set_policy(ln_rooms_find(s->server, LN_ROUTES_ROOMS), &keys.policy);
    ln_keyring_free(&keys);
    if (rc < 0)
        complain("keys, rules and passwords stay as they were", "", rc);
    else
        fputs("linnet serve: keys, rules and passwords reloaded\n", stderr);
}

static void on_signal(void *arg, int number)
{
    service *s = arg;
    if (number == SIGHUP) {
        reload(s);
        return;
    }
    if (ln_server_is_stopping(s->server))
        fputs("linnet serve: stopping at once\n", stderr);
    else
        fputs("linnet serve: draining; the same signal again stops at once\n", stderr);
    ln_server_stop(s->server);
}

static const int watched[] = {SIGTERM, SIGINT, SIGHUP, 0};

static ln_server *ending; /* for end_at_once() alone: a handler is given nothing */

static void end_at_once(int number)
{
    (void)number;
    ln_server_stop(ending);
}

static void block(int how, const int *numbers)
{
    sigset_t set;
    sigemptyset(&set);
    for (; *numbers != 0; numbers++)
        sigaddset(&set, *numbers);
    sigprocmask(how, &set, NULL);
}

/* Worker 0 has said all its goodbyes, others may not have: who watches the second signal now? */
static void on_worker_stop(ln_server *server, unsigned worker, void *user)
{
    static const int final[] = {SIGTERM, SIGINT, 0};
    (void)user;
    if (worker != 0)
        return;
    ending = server;
    for (const int *number = final; *number != 0; number++)
        (void)signal(*number, end_at_once);
    block(SIG_UNBLOCK, final);
}

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
    warn(&s->set);
    if (s->reload != NULL && ln_reload_start(s->reload, loop) < 0)
        complain("changes will not be noticed below ", s->set.watch, LN_ERR_NOMEM);
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

static ln_rooms_rate rate_of(uint32_t messages, uint32_t bytes)
{
    return (ln_rooms_rate){.messages_per_second = messages, .kib_per_second = bytes / 1024};
}

static int mount_with(const service *s, const ln_rooms_policy *policy)
{
    const ln_serve_settings *const set = &s->set;
    const ln_rooms_options rooms = {
        .presence = true,
        .mode = (enum ln_rooms_mode)set->rooms,
        .tokens = set->token_required ? LN_ROOMS_TOKENS_REQUIRED
                  : set->anonymous    ? LN_ROOMS_TOKENS_OPTIONAL
                                      : LN_ROOMS_TOKENS_BY_MODE,
        .query_token = set->query_token,
        .refresh = set->refresh_tokens,
        .excludes_sender = set->exclude_sender,
        .policy = *policy,
        .rooms_max = set->rooms_max,
        .room_members_max = set->room_members_max,
        .members_max = set->registrations_max,
        .joins_per_second = set->joins_per_second,
        .connection_rate = rate_of(set->rate, set->rate_bytes),
        .address_rate = rate_of(set->address_rate, set->address_rate_bytes),
        .user_rate = rate_of(set->user_rate, set->user_rate_bytes),
        .excess = (enum ln_rooms_excess)set->rate_excess,
        .admin_secret = ln_text(s->admin_secret),
    };
    const ln_routes_options routes = {.ws = &s->ws,
                                      .rooms = &rooms,
                                      .overflow = (enum ln_overflow)set->overflow,
                                      .chat = s->chat,
                                      .reload = s->reload};
    return ln_routes_mount(s->server, &routes);
}

static int mount_endpoints(const service *s)
{
    char why[LN_KEYRING_WHY_SIZE];
    ln_keyring keys;

    int rc = ln_keyring_read(&keys, &s->set, s->auth_secret, why);
    if (rc < 0) {
        fprintf(stderr, "linnet serve: %s\n", why);
        return rc;
    }
    rc = mount_with(s, &keys.policy);
    ln_keyring_free(&keys);
    if (rc == LN_ERR_INVALID && s->admin_secret[0] != '\0')
        complain(
            "cannot set up the endpoints (is the administrators' secret one that signs tokens?)",
            "", rc);
    else if (rc < 0)
        complain("cannot set up the endpoints", "", rc);
    return rc;
}

static int mount(const service *s)
{
    int rc = mount_endpoints(s);
    if (rc < 0 || s->set.files == NULL)
        return rc;
    rc = ln_server_files(s->server, "/", s->set.files);
    if (rc < 0)
        complain("cannot serve the folder ", s->set.files, rc);
    return rc;
}

/* From the file, or else from the environment; empty if there is none. */
static int read_admin_secret(service *s)
{
    const char *const file = s->set.admin_secret_file;
    const ln_span given = ln_text(getenv("LINNET_ADMIN_SECRET"));
    int rc = 0;

    if (file != NULL)
        rc = ln_secret_read(file, s->admin_secret);
    else if (given.size < sizeof s->admin_secret)
        memcpy(s->admin_secret, given.size > 0 ? given.data : "", given.size);
    else
        rc = LN_ERR_LIMIT;
    const size_t size = strlen(s->admin_secret);
    if (rc == 0 && size > 0 && size < LN_ROOMS_SECRET_MIN_BYTES)
        rc = LN_ERR_INVALID;
    if (rc < 0)
        complain("cannot use the administrators' secret (it takes 32 bytes at least)", "", rc);
    return rc;
}

static int run(service *s)
{
    s->workers = s->set.workers > 0 ? s->set.workers : processors();
    s->ws = (ln_ws_options){
        .origins = s->set.origins,
        .message_max_bytes = s->set.message_max_bytes,
        .queue_max_bytes = s->set.queue_max_bytes,
        .queue_max_messages = s->set.queue_max_messages,
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
        .queue_budget_bytes = s->set.queue_budget_bytes,
        .request_body_max_bytes = BODY_MAX_BYTES,
        .log_level = (enum ln_log_level)(s->set.log_level + 1),
        .on_worker_start = on_worker_start,
        .on_worker_stop = on_worker_stop,
        .user = s,
    });
    s->chat = ln_chat_new();
    if (s->server == NULL || s->chat == NULL) {
        complain("cannot start", "", LN_ERR_NOMEM);
        return LN_ERR_NOMEM;
    }
    int rc = read_admin_secret(s);
    if (rc == 0)
        rc = listen_plain(s);
    if (rc == 0)
        rc = listen_tls(s);
    if (rc == 0)
        rc = watch(s);
    if (rc == 0)
        rc = mount(s);
    if (rc < 0)
        return rc;
    rc = ln_server_run(s->server);
    block(SIG_BLOCK, watched); /* the server is about to go */
    if (rc < 0)
        complain("the server failed", "", rc);
    return rc < 0 ? rc : s->failure;
}

static int serve(int argc, char **argv)
{
    service s = {0};
    int operands;
    const int code = ln_verb_begin(&ln_serve_verb, argc, argv, &s.set, &operands);
    if (code != LN_EXIT_NOT_YET)
        return code;
    s.auth_secret = getenv("LINNET_AUTH_SECRET");
    const char *const mistake = ln_serve_find_mistake(&s.set, s.auth_secret != NULL);
    if (mistake != NULL)
        return ln_verb_misused(&ln_serve_verb, mistake);

    block(SIG_BLOCK, watched); /* before any thread exists: none has them delivered to it */
    raise_descriptors();
    const int rc = run(&s);
    ln_server_free(s.server);
    ln_chat_free(s.chat);
    ln_reload_free(s.reload);
    ln_secret_wipe(s.passphrase);
    ln_secret_wipe(s.admin_secret);
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
             "  /_admin/broadcast, /_admin/metrics\n"
             "                       with a secret, see doc/rooms.md\n"
             "  /health              200 while the process works\n"
             "  /ready               200, or 503 while it drains\n"
             "  /hotreload.js        for pages that reload, with --watch\n"
             "  /api/hotreload/status\n"
             "                       these pages and their errors, as JSON\n"
             "  /                    the files of --static\n"
             "\n"
             "Signals: TERM and INT let clients say goodbye (close code 1001) and end the server, "
             "a second one ends it "
             "at once; HUP reads certificates, keys, rules and passwords again; what cannot be "
             "used stays as "
             "it was.",
    .options = ln_serve_options,
    .defaults = &ln_serve_defaults,
    .settings_size = sizeof ln_serve_defaults,
    .run = serve,
};
