/* SPDX-License-Identifier: MIT */
/*
 * stress - the stress tests of the system that the command dialect comes from, with books that have
 * to balance: who is owed what, who got it, when, and what it cost the server.
 *
 *     stress table               all rows, as Markdown; several minutes
 *     stress ROW...              some of them
 *
 *   crowd     5,000 clients, 5 messages each, everybody gets everything
 *   paced     5,000 clients, one message each, 50 a second: less than the server can do
 *   mute      10,000 clients, 3 messages each, none ever reads: what does not fit is dropped, counted
 *   many      the same, and all read
 *   burst     100 clients, 1,000 messages each, as fast as the rate limit lets them
 *   deaf      1,000 readers, with and without one that never reads
 *
 * The server is a process of its own with one worker, its chat that of the originals: command 1 is
 * read as JSON, gets the server's time and goes to everybody; 1,000 messages a second for each
 * client, 2,000 at once. Clients are spread over four processes. Exit 1 if a book does not balance.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <linnet/command.h>
#include <linnet/linnet.h>
#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/fleet.h"
#include "support/rawws.h"

enum { PROCESSES = 4, CHAT = 1 };

/* ---- the server ---- */

static ln_server *server;
static ln_command *game;
static uint64_t connects, disconnects;

static void on_message(ln_conn *c, uint32_t id, ln_span payload, void *user)
{
    char text[2048], now[32];
    ln_span name, message;
    (void)c;
    (void)user;

    if (ln_json_find(payload, "username", SIZE_MAX, &name) < 0 ||
        ln_json_find(payload, "message", SIZE_MAX, &message) < 0)
        return;
    const time_t seconds = time(NULL);
    strftime(now, sizeof now, "%Y-%m-%dT%H:%M:%SZ", gmtime(&seconds));
    const int n =
        snprintf(text, sizeof text, "{\"username\":%.*s,\"message\":%.*s,\"timestamp\":\"%s\"}",
                 (int)name.size, (const char *)name.data, (int)message.size,
                 (const char *)message.data, now);
    ln_command_publish(game, LN_SPAN(""), id, (ln_span){text, (size_t)n}, 0);
}

static void on_connect(ln_conn *c, const ln_request *request, void *user)
{
    (void)c;
    (void)request;
    (void)user;
    connects++;
}

static void on_disconnect(ln_conn *c, bool is_voluntary, const ln_close_info *info, void *user)
{
    (void)c;
    (void)is_voluntary;
    (void)info;
    (void)user;
    disconnects++;
}

static void on_term(int number)
{
    (void)number;
    ln_server_stop(server);
    ln_server_stop(server);
}

/* Figures of the server, at its end. */
struct books {
    uint64_t messages_in, messages_out, dropped, closed, connects, disconnects;
};

static void write_books(int to)
{
    ln_server_stats s;

    ln_server_stats_get(server, &s);
    const struct books books = {.messages_in = s.messages_in_total,
                                .messages_out = s.messages_out_total,
                                .dropped = s.dropped_total,
                                .closed = s.overflow_closes_total,
                                .connects = connects,
                                .disconnects = disconnects};
    if (write(to, &books, sizeof books) != sizeof books)
        rawws_fail("nobody reads the books");
}

static _Noreturn void serve(const ln_ws_options *ws, int to_parent)
{
    const ln_command_options options = {.rate = {.per_second = 1000, .burst = 2000},
                                        .on_connect = on_connect,
                                        .on_disconnect = on_disconnect,
                                        .ws = ws};

    server = ln_server_new(NULL);
    if (ln_command_mount(server, "/ws", &options, &game) < 0 ||
        ln_command_on(game, CHAT, on_message, NULL) < 0 ||
        ln_server_listen(server, "127.0.0.1:0") < 0)
        rawws_fail("the server does not start");
    const int port = ln_server_port(server, 0);
    if (write(to_parent, &port, sizeof port) != sizeof port)
        rawws_fail("pipe");
    signal(SIGTERM, on_term);
    ln_server_run(server);
    write_books(to_parent);
    ln_server_free(server);
    exit(0);
}

struct host {
    pid_t pid;
    int port, from;
};

static struct host start_server(const ln_ws_options *ws)
{
    struct host h;
    int ends[2];

    fflush(stdout);
    if (pipe(ends) < 0)
        rawws_fail("pipe");
    h.pid = fork();
    if (h.pid == 0)
        serve(ws, ends[1]);
    close(ends[1]);
    h.from = ends[0];
    if (read(h.from, &h.port, sizeof h.port) != sizeof h.port)
        rawws_fail("the server did not start");
    return h;
}

static struct books stop_server(const struct host *h)
{
    struct books books;

    kill(h->pid, SIGTERM);
    if (read(h->from, &books, sizeof books) != sizeof books)
        rawws_fail("the server has no books");
    waitpid(h->pid, NULL, 0);
    close(h->from);
    return books;
}

/* Waits until it has nothing to do any more. */
static void settle(const struct host *h)
{
    for (double before = -1, now = rawws_cpu(h->pid); now - before > 0.02;
         before = now, now = rawws_cpu(h->pid))
        sleep(1);
}

/* ---- rows ---- */

/* What one row comes to. */
struct sum {
    fleet_report fleet;
    double seconds, cpu, p50, p99;
    long memory;
    struct books books;
    int bad_exits;
};

static int compare(const void *a, const void *b)
{
    const float x = *(const float *)a, y = *(const float *)b;
    return x < y ? -1 : x > y;
}

static void add(fleet_report *sum, const fleet_report *r)
{
    sum->sent += r->sent;
    sum->received += r->received;
    sum->wrong += r->wrong;
    sum->connected += r->connected;
    sum->closed += r->closed;
    sum->complete += r->complete;
    sum->samples += r->samples;
    sum->begin = sum->begin == 0 || r->begin < sum->begin ? r->begin : sum->begin;
    sum->end = r->end > sum->end ? r->end : sum->end;
}

static void gather(struct sum *s, const fleet fleets[PROCESSES])
{
    float *const samples = malloc(PROCESSES * FLEET_SAMPLES_MAX * sizeof *samples);

    for (int i = 0; i < PROCESSES; i++) {
        const fleet_report r = fleet_finish(&fleets[i], samples + s->fleet.samples);
        add(&s->fleet, &r);
    }
    const int n = s->fleet.samples;
    qsort(samples, (size_t)n, sizeof *samples, compare);
    s->p50 = n == 0 ? 0 : samples[n / 2];
    s->p99 = n == 0 ? 0 : samples[n * 99L / 100];
    free(samples);
}

static struct sum run(const fleet_plan *plan, const ln_ws_options *ws)
{
    const struct host host = start_server(ws);
    fleet fleets[PROCESSES];
    struct sum s = {.memory = 0};

    for (int i = 0; i < PROCESSES; i++)
        fleets[i] = fleet_start(plan, host.port, i, PROCESSES);
    int connected = 0;
    for (int i = 0; i < PROCESSES; i++)
        connected += fleet_connected(&fleets[i]);
    if (connected != plan->clients)
        rawws_fail("not everybody is connected");
    const double cpu = rawws_cpu(host.pid);
    for (int i = 0; i < PROCESSES; i++)
        fleet_go(&fleets[i]);
    gather(&s, fleets);
    if (!plan->reads)
        settle(&host);
    s.cpu = rawws_cpu(host.pid) - cpu;
    s.seconds = s.fleet.end - s.fleet.begin;
    s.memory = rawws_memory(host.pid);
    for (int i = 0; i < PROCESSES; i++)
        fleet_go(&fleets[i]);
    for (int i = 0, status; i < PROCESSES; i++) {
        waitpid(fleets[i].pid, &status, 0);
        s.bad_exits += status != 0;
        close(fleets[i].to);
        close(fleets[i].from);
    }
    s.books = stop_server(&host);
    return s;
}

/* Every message was taken, every client came and went once, and what was owed came or was counted
 * as dropped. */
static bool balances(const fleet_plan *plan, const struct sum *s)
{
    const long messages = (long)plan->clients * plan->messages;
    const long owed = messages * plan->clients;
    const long counted = (long)(s->books.messages_out + s->books.dropped);

    return s->bad_exits == 0 && s->fleet.sent == messages && s->fleet.wrong == 0 &&
           s->fleet.closed == 0 && (long)s->books.messages_in == messages &&
           s->books.connects == (uint64_t)plan->clients &&
           s->books.disconnects == s->books.connects &&
           (plan->reads ? s->fleet.received == owed && s->fleet.complete == plan->clients &&
                              s->books.dropped == 0
                        : counted == owed);
}

static void print_row(const char *load, const char *claim, const char *really,
                      const fleet_plan *plan, const struct sum *s, bool is_good)
{
    const long owed = (long)plan->clients * plan->clients * plan->messages;
    char latency[64] = "", got[96];

    if (plan->reads)
        snprintf(latency, sizeof latency, "%.0f / %.0f ms", s->p50, s->p99);
    if (plan->reads)
        snprintf(got, sizeof got, "%ld of %ld", s->fleet.received, owed);
    else
        snprintf(got, sizeof got, "%llu sent + %llu dropped = %ld",
                 (unsigned long long)s->books.messages_out, (unsigned long long)s->books.dropped,
                 owed);
    printf("| %s | %s | %s | %d | %ld | %s%s | %s | %.1f s | %.1f s (%.2f us) | %.0f MiB |\n", load,
           claim, really, s->fleet.connected, s->fleet.sent, got, is_good ? "" : " **WRONG**",
           latency, s->seconds, s->cpu, s->cpu * 1e6 / (double)owed, (double)s->memory / (1 << 20));
    fflush(stdout);
}

struct row {
    const char *name, *load;
    const char *claim, *really; /* what upstream's own tests say, and what they came to when run */
    fleet_plan plan;
    ln_ws_options ws;
};

enum { ROOMY = 256 << 20 };

static const struct row rows[] = {
    {.name = "crowd",
     .load = "5,000 clients, 5 messages each, the next when the own one is back",
     .claim = "> 95 % connected, > 90 % delivered, < 100 ms, > 10,000 messages/s",
     .really = "5,000; 225,366 received of 125 million owed; 752 messages/s",
     .plan = {.clients = 5000,
              .messages = 5,
              .prefix = "Message ",
              .names_sender = true,
              .reads = true,
              .waits = true,
              .at_once = 1,
              .pause_ms = 10,
              .stagger_ms = 1},
     .ws = {.queue_max_bytes = ROOMY, .overflow = LN_OVERFLOW_CLOSE}},
    {.name = "paced",
     .load = "5,000 clients, one message each, 50 a second",
     .claim = "",
     .really = "",
     .plan = {.clients = 5000,
              .messages = 1,
              .prefix = "Message ",
              .names_sender = true,
              .reads = true,
              .at_once = 1,
              .stagger_ms = 20},
     .ws = {.queue_max_bytes = ROOMY, .overflow = LN_OVERFLOW_CLOSE}},
    {.name = "mute",
     .load = "10,000 clients, 3 messages each, nobody reads",
     .claim = "> 90 % connected",
     .really = "10,000; what was delivered is not looked at",
     .plan = {.clients = 10000,
              .messages = 3,
              .prefix = "Message ",
              .at_once = 1,
              .pause_ms = 50,
              .stagger_ms = 1},
     .ws = {.queue_max_bytes = 16384,
            .overflow = LN_OVERFLOW_DROP_NEWEST,
            .ping_interval_ms = LN_OFF}},
    {.name = "many",
     .load = "the same, all read, the next when the own one is back",
     .claim = "",
     .really = "",
     .plan = {.clients = 10000,
              .messages = 3,
              .prefix = "Message ",
              .reads = true,
              .waits = true,
              .at_once = 1,
              .pause_ms = 50,
              .stagger_ms = 1},
     .ws = {.queue_max_bytes = ROOMY, .overflow = LN_OVERFLOW_CLOSE}},
    {.name = "burst",
     .load = "100 clients, 1,000 messages each, 10 every millisecond",
     .claim = "> 95 % sent, > 50,000 messages/s",
     .really = "100; 142,526 received of 10 million owed; 20,928 messages/s",
     .plan = {.clients = 100,
              .messages = 1000,
              .prefix = "Rapid message ",
              .reads = true,
              .at_once = 10,
              .pause_ms = 1,
              .stagger_ms = 10},
     .ws = {.queue_max_bytes = ROOMY, .overflow = LN_OVERFLOW_CLOSE}},
};

enum { ROWS = sizeof rows / sizeof rows[0] };

static bool run_row(const struct row *row)
{
    const struct sum s = run(&row->plan, &row->ws);
    const bool is_good = balances(&row->plan, &s);

    print_row(row->load, row->claim, row->really, &row->plan, &s, is_good);
    if (!is_good)
        fprintf(stderr,
                "%s: sent %ld, received %ld, wrong %ld, closed %d, complete %d; server: in "
                "%llu, out %llu, dropped %llu, came %llu, went %llu\n",
                row->name, s.fleet.sent, s.fleet.received, s.fleet.wrong, s.fleet.closed,
                s.fleet.complete, (unsigned long long)s.books.messages_in,
                (unsigned long long)s.books.messages_out, (unsigned long long)s.books.dropped,
                (unsigned long long)s.books.connects, (unsigned long long)s.books.disconnects);
    return is_good;
}

/* ---- one that never reads ---- */

/* The kernel keeps up to 4 MiB for a reader before it says no: 6 MB are sent. */
enum { DEAF_READERS = 1000, DEAF_MESSAGES = 6, DEAF_TEXT_BYTES = 1000 };

/* How fast the server reads and hands on what one publisher has to say, once everybody has it. */
static double deaf_rate(const struct host *h, int *deaf)
{
    static char text[DEAF_TEXT_BYTES + 1];
    const fleet_plan plan = {.clients = DEAF_READERS,
                             .messages = DEAF_MESSAGES,
                             .prefix = text,
                             .reads = true,
                             .waits = true,
                             .at_once = 1};
    fleet fleets[PROCESSES];
    struct sum s = {.memory = 0};

    memset(text, 'x', DEAF_TEXT_BYTES);
    for (int i = 0; i < PROCESSES; i++)
        fleets[i] = fleet_start(&plan, h->port, i, PROCESSES);
    for (int i = 0; i < PROCESSES; i++)
        (void)fleet_connected(&fleets[i]);
    if (deaf != NULL) {
        const int small = 4096;
        *deaf = rawws_connect(h->port, 1);
        setsockopt(*deaf, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
        rawws_shake(*deaf, "/ws");
    }
    for (int i = 0; i < PROCESSES; i++)
        fleet_go(&fleets[i]);
    gather(&s, fleets);
    for (int i = 0; i < PROCESSES; i++)
        fleet_go(&fleets[i]);
    for (int i = 0; i < PROCESSES; i++)
        waitpid(fleets[i].pid, NULL, 0);
    if (s.fleet.complete != plan.clients || s.fleet.wrong > 0)
        rawws_fail("a reader did not get what it is owed");
    return (double)s.fleet.received / (s.fleet.end - s.fleet.begin);
}

static bool run_deaf(void)
{
    const ln_ws_options ws = {.queue_max_bytes = 2 << 20, .overflow = LN_OVERFLOW_CLOSE};
    const struct host alone = start_server(&ws);
    const double without = deaf_rate(&alone, NULL);
    (void)stop_server(&alone);
    const struct host host = start_server(&ws);
    int deaf;
    const double with = deaf_rate(&host, &deaf);
    const struct books books = stop_server(&host);
    close(deaf);
    const bool is_good = with > without / 2 && books.closed == 1 &&
                         books.connects == DEAF_READERS + 1 && books.disconnects == books.connects;
    printf("\nOne that never reads among %d who do: %.0f deliveries/s without it, %.0f with it "
           "(%.2f); closed by policy: %llu; on_disconnect for %llu of %llu.%s\n",
           DEAF_READERS, without, with, with / without, (unsigned long long)books.closed,
           (unsigned long long)books.disconnects, (unsigned long long)books.connects,
           is_good ? "" : " **WRONG**");
    return is_good;
}

int main(int argc, char **argv)
{
    const bool is_table = argc > 1 && strcmp(argv[1], "table") == 0;
    struct rlimit files;
    bool is_good = true;

    if (argc < 2) {
        fputs("usage: stress table | crowd | paced | mute | many | burst | deaf ...\n", stderr);
        return 2;
    }
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    printf("| load | upstream says | upstream really | connected | sent | received | own message, "
           "p50 / p99 | time | server's processor (per delivery) | server's memory |\n"
           "|---|---|---|---|---|---|---|---|---|---|\n");
    for (int i = 0; i < ROWS; i++)
        for (int k = 1; k < argc; k++)
            if (is_table || strcmp(argv[k], rows[i].name) == 0)
                is_good = run_row(&rows[i]) && is_good;
    for (int k = 1; k < argc; k++)
        if (is_table || strcmp(argv[k], "deaf") == 0)
            is_good = run_deaf() && is_good;
    return is_good ? 0 : 1;
}
