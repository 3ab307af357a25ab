/* SPDX-License-Identifier: MIT */
/*
 * drill_handshake - peers that never finish their handshake, and a server without descriptors.
 *
 *     drill_handshake [ATTACKERS [SECONDS]]        default 18000 15
 *
 * Slow handshakes: ATTACKERS connections send one byte of a request every 400 ms; each that is cut
 * off comes again. All the while an honest client connects, upgrades, gets an echo and leaves, over
 * and over. Checked: its p99 stays below 100 ms and every attacker is gone 5.0 s +- 0.5 s after it
 * came.
 *
 * No descriptors: a server that may have 64 of them gets 200 connections. Checked over ten seconds:
 * less than 2 % of a processor, its connections still answer, and within 150 ms of a descriptor
 * becoming free a new one is served.
 *
 * Exit 1 if a check fails.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <linnet/linnet.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "support/rawws.h"

static int failures;

static void check(int is_good, const char *what)
{
    printf("  %-70s %s\n", what, is_good ? "good" : "NOT GOOD");
    fflush(stdout);
    failures += !is_good;
}

static void rest(double seconds)
{
    const struct timespec t = {.tv_sec = (time_t)seconds,
                               .tv_nsec = (long)((seconds - (double)(time_t)seconds) * 1e9)};
    nanosleep(&t, NULL);
}

/* ---- the server ---- */

static ln_server *server;

static void on_term(int number)
{
    (void)number;
    ln_server_stop(server);
    ln_server_stop(server);
}

static void echo(ln_conn *c, const ln_message *m, void *user)
{
    (void)user;
    ln_conn_send(c, m->kind, m->data);
}

/* A server in a process of its own, with at most `descriptors` of them (0 = as many as there are);
 * its port in *port. */
static pid_t start_server(rlim_t descriptors, int *port)
{
    const ln_ws_handlers handlers = {.on_message = echo};
    int pipe_fds[2];

    if (pipe(pipe_fds) < 0)
        rawws_fail("pipe");
    const pid_t pid = fork();
    if (pid != 0) {
        if (read(pipe_fds[0], port, sizeof *port) != sizeof *port)
            rawws_fail("the server did not start");
        close(pipe_fds[0]);
        close(pipe_fds[1]);
        return pid;
    }
    const struct rlimit limit = {descriptors, descriptors};
    if (descriptors > 0 && setrlimit(RLIMIT_NOFILE, &limit) < 0)
        rawws_fail("setrlimit");
    const ln_server_options options = {.log_level = LN_LOG_ERROR};
    server = ln_server_new(&options);
    ln_server_ws(server, "/echo", &handlers, NULL);
    if (ln_server_listen(server, "127.0.0.1:0") < 0)
        rawws_fail("listen");
    *port = ln_server_port(server, 0);
    if (write(pipe_fds[1], port, sizeof *port) != sizeof *port)
        rawws_fail("pipe");
    signal(SIGTERM, on_term);
    const int rc = ln_server_run(server);
    ln_server_free(server);
    exit(rc == 0 ? 0 : 1);
}

static void stop_server(pid_t pid)
{
    int status;

    kill(pid, SIGTERM);
    waitpid(pid, &status, 0);
    check(WIFEXITED(status) && WEXITSTATUS(status) == 0, "the server ends cleanly");
}

/* ---- the honest client ---- */

/* One echo on a connection; true if it came back. */
static int does_echo(int fd)
{
    uint8_t frame[32], reply[6];

    if (send(fd, frame, rawws_frame(frame, 0x82, "ping", 4), MSG_NOSIGNAL) < 0)
        return 0;
    return recv(fd, reply, sizeof reply, MSG_WAITALL) == sizeof reply &&
           memcmp(reply + 2, "ping", 4) == 0;
}

static int compare(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

/* Visits for `seconds`; writes p99 in milliseconds and the number of visits to `to`. */
static _Noreturn void visit(int port, double seconds, int to)
{
    static double times[100000];
    size_t n = 0;

    for (const double until = rawws_now() + seconds; rawws_now() < until && n < 100000; n++) {
        const double begin = rawws_now();
        const int fd = rawws_connect(port, (int)n);
        rawws_shake(fd, "/echo");
        if (!does_echo(fd))
            rawws_fail("an honest client got no echo");
        times[n] = (rawws_now() - begin) * 1e3;
        close(fd);
        rest(0.005);
    }
    qsort(times, n, sizeof *times, compare);
    const double result[2] = {times[n * 99 / 100], (double)n};
    if (write(to, result, sizeof result) != sizeof result)
        rawws_fail("pipe");
    _exit(0);
}

/* ---- the attackers ---- */

struct attacker {
    int fd;
    int sent;
    double since;
};

static double shortest = 1e9, longest; /* seconds from coming to seeing the end */
static double slowest_round;           /* how long we took to look after everybody once */
static long cut_off;

static void attack(struct attacker *a, int port, int number)
{
    a->fd = rawws_connect(port, number);
    a->sent = 0;
    a->since = rawws_now();
}

/* One byte more; a new connection if the old one has been ended. */
static void advance(struct attacker *a, int port, int number)
{
    static const char request[] =
        "GET /echo HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: very very very very very very very slow";
    char end;

    const ssize_t got = recv(a->fd, &end, 1, MSG_DONTWAIT);
    const int is_over =
        got == 0 || (got < 0 && errno != EAGAIN) ||
        send(a->fd, &request[a->sent++ % (int)sizeof request], 1, MSG_NOSIGNAL | MSG_DONTWAIT) < 0;
    if (!is_over)
        return;
    const double lived = rawws_now() - a->since;
    shortest = lived < shortest ? lived : shortest;
    longest = lived > longest ? lived : longest;
    cut_off++;
    close(a->fd);
    attack(a, port, number);
}

static void slow_handshakes(int count, double seconds)
{
    struct attacker *const list = calloc((size_t)count, sizeof *list);
    double result[2], cpu;
    int port, pipe_fds[2];
    char text[128];

    const pid_t pid = start_server(0, &port);
    for (int i = 0; i < count; i++)
        attack(&list[i], port, i);
    if (pipe(pipe_fds) < 0)
        rawws_fail("pipe");
    const pid_t honest = fork();
    if (honest == 0)
        visit(port, seconds, pipe_fds[1]);
    cpu = rawws_cpu(pid);
    const double begin = rawws_now(), until = begin + seconds;
    while (rawws_now() < until) { /* everybody once in 400 ms */
        const double round = rawws_now();
        for (int i = 0; i < count; i++)
            advance(&list[i], port, i);
        const double took = rawws_now() - round;
        slowest_round = took > slowest_round ? took : slowest_round;
        if (took < 0.4)
            rest(0.4 - took);
    }
    cpu = (rawws_cpu(pid) - cpu) / (rawws_now() - begin);
    const long memory = rawws_memory(pid);
    if (read(pipe_fds[0], result, sizeof result) != sizeof result)
        rawws_fail("the honest client failed");
    waitpid(honest, NULL, 0);
    printf("%d slow handshakes for %.0f s: %ld cut off after %.2f to %.2f s; server %.0f %% of a "
           "processor, %.1f MiB\n",
           count, seconds, cut_off, shortest, longest, cpu * 100, (double)memory / 1048576);
    snprintf(text, sizeof text, "honest clients: %.0f visits, p99 %.1f ms, wanted below 100",
             result[1], result[0]);
    check(result[0] < 100, text);
    snprintf(text, sizeof text,
             "attackers gone at the deadline of 5 s (seen %.1f s late at the most: our rounds)",
             0.4 + slowest_round);
    check(cut_off > 0 && shortest > 4.75 && longest < 5.25 + 0.4 + slowest_round, text);
    for (int i = 0; i < count; i++)
        close(list[i].fd);
    free(list);
    stop_server(pid);
}

/* ---- no descriptors ---- */

static void no_descriptors(void)
{
    enum { HELD = 200, SERVED = 40 };
    int fds[HELD], port, good = 0;
    char text[128];

    const pid_t pid = start_server(64, &port);
    for (int i = 0; i < SERVED; i++) {
        fds[i] = rawws_connect(port, i);
        rawws_shake(fds[i], "/echo");
    }
    for (int i = SERVED; i < HELD; i++)
        fds[i] = rawws_connect(port, i);
    rest(0.5);
    const double cpu = rawws_cpu(pid);
    rest(10);
    const double used = (rawws_cpu(pid) - cpu) / 10 * 100;
    snprintf(text, sizeof text, "out of descriptors: %.2f %% of a processor, wanted below 2", used);
    check(used < 2, text);
    for (int i = 0; i < SERVED; i++)
        good += does_echo(fds[i]);
    snprintf(text, sizeof text, "%d of %d connections still answer", good, SERVED);
    check(good == SERVED, text);
    for (int i = SERVED; i < HELD; i++)
        close(fds[i]);
    for (int i = 0; i < SERVED; i++)
        close(fds[i]);
    const double begin = rawws_now();
    double took = 0;
    do { /* whoever is shed meanwhile tries again, as a client would */
        const int fd = rawws_connect(port, 1);
        const char request[] =
            "GET /echo HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
        char answer[13] = "";
        if (send(fd, request, sizeof request - 1, MSG_NOSIGNAL) > 0 &&
            recv(fd, answer, 12, MSG_WAITALL) == 12 && strcmp(answer, "HTTP/1.1 101") == 0)
            took = rawws_now() - begin;
        close(fd);
    } while (took == 0 && rawws_now() - begin < 5);
    snprintf(text, sizeof text,
             "a new connection is served %.0f ms after descriptors became free, wanted 150",
             took * 1e3);
    check(took > 0 && took < 0.15, text);
    stop_server(pid);
}

int main(int argc, char **argv)
{
    slow_handshakes(argc > 1 ? atoi(argv[1]) : 18000, argc > 2 ? atof(argv[2]) : 15);
    no_descriptors();
    return failures > 0;
}
