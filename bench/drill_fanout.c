/* SPDX-License-Identifier: MIT */
/*
 * drill_fanout - one reader that never reads among many that do: does anybody else notice?
 *
 *     drill_fanout [READERS [SECONDS]]        default 1000 30
 *
 * A server of its own (one worker, /room: subscribe and publish), READERS subscribers in this
 * process, and a publisher that always has a window of messages under way. Twice: without the slow
 * reader, then with it. Checked for every fast reader: each publication once and in order. Printed:
 * deliveries, p50 and p99 from publication to receipt, the server's memory, and what the
 * application was told about the slow one. Exit 1 if a promise is broken.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <linnet/linnet.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/rawws.h"

enum { WINDOW = 8, PAYLOAD = 4000, HEAD = 4, QUEUE_MAX_BYTES = 262144, SAMPLES_MAX = 1 << 22 };

/* ---- the server ---- */

static const ln_span room = {"room", 4};
static uint64_t told_dropped; /* by ln_conn_publish(): what the application hears */

static void on_open(ln_conn *c, const ln_request *request, void *user)
{
    (void)user;
    if (ln_request_param(request, "listen", (char[4]){0}, 4) >= 0)
        ln_conn_subscribe(c, room);
}

static void on_message(ln_conn *c, const ln_message *m, void *user)
{
    ln_publish_result result;
    (void)user;

    if (ln_conn_publish(c, room, m->kind, m->data, &result) == 0)
        told_dropped += result.dropped;
}

static ln_server *server;

static void on_term(int number)
{
    (void)number;
    ln_server_stop(server);
}

static _Noreturn void serve(int to_parent)
{
    const ln_ws_handlers handlers = {.on_open = on_open, .on_message = on_message};
    const ln_ws_options options = {.ping_interval_ms = LN_OFF, .queue_max_bytes = QUEUE_MAX_BYTES};
    ln_server_stats stats;

    server = ln_server_new(NULL);
    ln_server_ws(server, "/room", &handlers, &options);
    if (ln_server_listen(server, "127.0.0.1:0") < 0)
        rawws_fail("listen");
    const int port = ln_server_port(server, 0);
    if (write(to_parent, &port, sizeof port) != sizeof port)
        rawws_fail("pipe");
    signal(SIGTERM, on_term);
    ln_server_run(server);
    ln_server_stats_get(server, &stats);
    const uint64_t report[] = {stats.dropped_total, told_dropped, stats.overflow_closes_total};
    if (write(to_parent, report, sizeof report) != sizeof report)
        rawws_fail("pipe");
    ln_server_free(server);
    exit(0);
}

/* ---- the readers ---- */

struct reader {
    int fd;
    uint32_t next; /* the sequence number it has to see */
    size_t have;
    uint8_t frame[HEAD + PAYLOAD];
};

static struct reader *readers;
static int reader_count;
static float *samples; /* microseconds */
static size_t sample_count;

static void take_frame(struct reader *r)
{
    uint32_t sequence;
    double sent;

    if (r->frame[0] != 0x82 || r->frame[1] != 126 || (r->frame[2] << 8 | r->frame[3]) != PAYLOAD)
        rawws_fail("a frame that nobody sent");
    memcpy(&sequence, r->frame + HEAD, sizeof sequence);
    memcpy(&sent, r->frame + HEAD + 4, sizeof sent);
    if (sequence != r->next)
        rawws_fail("a publication was lost, repeated or out of order");
    r->next++;
    if (sample_count < SAMPLES_MAX)
        samples[sample_count++] = (float)((rawws_now() - sent) * 1e6);
}

static void read_some(struct reader *r)
{
    uint8_t bytes[65536];
    const ssize_t n = recv(r->fd, bytes, sizeof bytes, MSG_DONTWAIT);

    if (n <= 0) {
        if (n < 0 && errno == EAGAIN)
            return;
        rawws_fail("a fast reader was disconnected");
    }
    for (ssize_t used = 0; used < n;) {
        const size_t want = sizeof r->frame - r->have;
        const size_t take = (size_t)(n - used) < want ? (size_t)(n - used) : want;
        memcpy(r->frame + r->have, bytes + used, take);
        r->have += take;
        used += (ssize_t)take;
        if (r->have == sizeof r->frame) {
            take_frame(r);
            r->have = 0;
        }
    }
}

static uint32_t slowest(void)
{
    uint32_t least = UINT32_MAX;
    for (int i = 0; i < reader_count; i++)
        least = readers[i].next < least ? readers[i].next : least;
    return least;
}

static void publish(int fd, uint32_t sequence)
{
    uint8_t payload[PAYLOAD] = {0}, frame[PAYLOAD + 14];
    const double now = rawws_now();

    memcpy(payload, &sequence, sizeof sequence);
    memcpy(payload + 4, &now, sizeof now);
    const size_t n = rawws_frame(frame, 0x82, payload, sizeof payload);
    if (send(fd, frame, n, MSG_NOSIGNAL) != (ssize_t)n)
        rawws_fail("publish");
}

static int compare(const void *a, const void *b)
{
    const float x = *(const float *)a, y = *(const float *)b;
    return x < y ? -1 : x > y;
}

struct outcome {
    double deliveries, p50, p99;
};

static struct outcome run(int publisher, int ep, double seconds, uint32_t *sequence)
{
    struct epoll_event events[512];
    const uint32_t first = *sequence;
    const double begin = rawws_now();

    sample_count = 0;
    while (rawws_now() - begin < seconds || slowest() < *sequence) {
        while (rawws_now() - begin < seconds && *sequence - slowest() < WINDOW)
            publish(publisher, (*sequence)++);
        const int n = epoll_wait(ep, events, 512, 1000);
        if (n == 0)
            rawws_fail("nothing arrives any more");
        for (int i = 0; i < n; i++)
            read_some(events[i].data.ptr);
    }
    qsort(samples, sample_count, sizeof *samples, compare);
    return (struct outcome){.deliveries =
                                (double)(*sequence - first) * reader_count / (rawws_now() - begin),
                            .p50 = samples[sample_count / 2],
                            .p99 = samples[sample_count * 99 / 100]};
}

static void print(const char *what, struct outcome o, long memory)
{
    printf("%-24s %9.0f deliveries/s   p50 %7.0f us   p99 %7.0f us   server memory %5.1f MiB\n",
           what, o.deliveries, o.p50, o.p99, (double)memory / 1048576);
    fflush(stdout);
}

int main(int argc, char **argv)
{
    reader_count = argc > 1 ? atoi(argv[1]) : 1000;
    const double seconds = argc > 2 ? atof(argv[2]) : 30;
    int from_server[2], port, status;
    uint32_t sequence = 0;
    uint64_t report[3];

    if (pipe(from_server) < 0)
        rawws_fail("pipe");
    const pid_t pid = fork();
    if (pid == 0)
        serve(from_server[1]);
    if (read(from_server[0], &port, sizeof port) != sizeof port)
        rawws_fail("the server did not start");
    readers = calloc((size_t)reader_count, sizeof *readers);
    samples = malloc(SAMPLES_MAX * sizeof *samples);
    const int ep = epoll_create1(0);
    for (int i = 0; i < reader_count; i++) {
        readers[i].fd = rawws_connect(port, i);
        rawws_shake(readers[i].fd, "/room?listen=1");
        struct epoll_event e = {.events = EPOLLIN, .data.ptr = &readers[i]};
        epoll_ctl(ep, EPOLL_CTL_ADD, readers[i].fd, &e);
    }
    const int publisher = rawws_connect(port, 0);
    rawws_shake(publisher, "/room");

    run(publisher, ep, 1, &sequence); /* warm */
    const struct outcome before = run(publisher, ep, seconds, &sequence);
    print("all read", before, rawws_memory(pid));
    const int slow = rawws_connect(port, 1);
    const int small = 4096;
    setsockopt(slow, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    rawws_shake(slow, "/room?listen=1");
    const struct outcome after = run(publisher, ep, seconds, &sequence);
    print("one does not read", after, rawws_memory(pid));

    close(slow);
    kill(pid, SIGTERM);
    for (int i = 0; i < reader_count; i++)
        shutdown(readers[i].fd, SHUT_RDWR);
    shutdown(publisher, SHUT_RDWR);
    if (read(from_server[0], report, sizeof report) != sizeof report)
        rawws_fail("no report");
    waitpid(pid, &status, 0);
    printf("dropped for the slow one: %llu counted, %llu told to the application\n",
           (unsigned long long)report[0], (unsigned long long)report[1]);
    const int is_good = after.p99 <= 2 * before.p99 && report[0] > 0 && report[0] == report[1];
    printf("p99 with the slow reader: %.2f x without: %s\n", after.p99 / before.p99,
           is_good ? "good" : "NOT GOOD");
    return is_good ? 0 : 1;
}
