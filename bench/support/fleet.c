/* SPDX-License-Identifier: MIT */
#include "fleet.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "rawws.h"

enum { FRAME_MAX = 2048, EVENTS = 256 };

struct client {
    int fd;
    int number;         /* among all */
    int sent, returned; /* own messages: sent, and received back */
    long received;
    double due;              /* when it may send again */
    double *sent_at;         /* of each own message */
    uint16_t *next;          /* of each sender: the number that has to come */
    uint8_t rest[FRAME_MAX]; /* a frame of which the end has not come */
    size_t rest_size;
};

static const fleet_plan *plan;
static struct client *clients;
static int count;
static fleet_report report;
static float *samples;

/* ---- receiving ---- */

/* Passes `text`; NULL if something else is there. */
static const char *pass(const char *at, const char *text)
{
    const size_t n = strlen(text);
    return at != NULL && memcmp(at, text, n) == 0 ? at + n : NULL;
}

static const char *pass_number(const char *at, long *number)
{
    const char *const begin = at;

    *number = 0;
    while (at != NULL && *at >= '0' && *at <= '9')
        *number = 10 * *number + (*at++ - '0');
    return at == begin ? NULL : at;
}

static void take_own(struct client *c, long number)
{
    const double now = rawws_now();

    if (report.samples < FLEET_SAMPLES_MAX)
        samples[report.samples++] = (float)((now - c->sent_at[number]) * 1e3);
    c->returned++;
    if (plan->waits)
        c->due = now + plan->pause_ms * 1e-3;
}

/* A whole frame: {"username":"user_N","message":"...","timestamp":"...Z"} behind the number 1. */
static void take_frame(struct client *c, const uint8_t *payload, size_t n)
{
    long sender = -1, number = -1, again = -1;

    const char *at = memcmp(payload, "\0\0\0\1", 4) == 0 ? (const char *)payload + 4 : NULL;
    at = pass_number(pass(at, "{\"username\":\"user_"), &sender);
    at = pass_number(pass(pass(at, "\",\"message\":\""), plan->prefix), &number);
    if (plan->names_sender)
        at = pass_number(pass(at, " from client "), &again);
    at = pass(at, "\",\"timestamp\":\"");
    if (at == NULL || sender >= plan->clients || (plan->names_sender && again != sender) ||
        memcmp(payload + n - 3, "Z\"}", 3) != 0 || number != c->next[sender]) {
        report.wrong++;
        return;
    }
    c->next[sender]++;
    c->received++;
    report.received++;
    if (c->received == (long)plan->clients * plan->messages)
        report.complete++;
    if (sender == c->number)
        take_own(c, number);
}

static void answer_ping(struct client *c, const uint8_t *payload, size_t n)
{
    uint8_t pong[FRAME_MAX + 14];
    const size_t size = rawws_frame(pong, 0x8a, payload, n);

    if (send(c->fd, pong, size, MSG_NOSIGNAL) != (ssize_t)size)
        rawws_fail("pong");
}

/* As many frames as are whole; how many bytes they had. All are shorter than 64 KiB. */
static size_t take_frames(struct client *c, const uint8_t *bytes, size_t n)
{
    size_t used = 0;

    while (n - used >= 2) {
        const uint8_t *const frame = bytes + used;
        const bool is_short = frame[1] < 126;
        if (!is_short && n - used < 4)
            break;
        const size_t head = is_short ? 2 : 4;
        const size_t size = is_short ? frame[1] : (size_t)frame[2] << 8 | frame[3];
        if (head + size > FRAME_MAX)
            rawws_fail("a frame that is too long for the chat");
        if (n - used < head + size)
            break;
        if (frame[0] == 0x82 && size > 8)
            take_frame(c, frame + head, size);
        else if (frame[0] == 0x89)
            answer_ping(c, frame + head, size);
        else if (frame[0] != 0x88)
            rawws_fail("what came is no frame of the chat");
        used += head + size;
    }
    return used;
}

static void leave(struct client *c)
{
    close(c->fd);
    c->fd = -1;
    report.closed++;
}

static void receive(struct client *c)
{
    static uint8_t bytes[FRAME_MAX + (1 << 17)];

    memcpy(bytes, c->rest, c->rest_size);
    const ssize_t n = recv(c->fd, bytes + c->rest_size, 1 << 17, MSG_DONTWAIT);
    if (n <= 0) {
        if (n == 0 || errno != EAGAIN)
            leave(c);
        return;
    }
    const size_t size = c->rest_size + (size_t)n;
    const size_t used = take_frames(c, bytes, size);
    c->rest_size = size - used;
    memcpy(c->rest, bytes + used, c->rest_size);
}

/* ---- sending ---- */

static size_t write_message(uint8_t *to, struct client *c)
{
    uint8_t payload[FRAME_MAX] = {0, 0, 0, 1};
    char sender[32] = "";

    if (plan->names_sender)
        snprintf(sender, sizeof sender, " from client %d", c->number);
    const int n = snprintf((char *)payload + 4, sizeof payload - 4,
                           "{\"username\":\"user_%d\",\"message\":\"%s%d%s\","
                           "\"timestamp\":\"0001-01-01T00:00:00Z\"}",
                           c->number, plan->prefix, c->sent, sender);
    return rawws_frame(to, 0x82, payload, 4 + (size_t)n);
}

static void send_some(struct client *c, double now)
{
    uint8_t bytes[16 * FRAME_MAX];
    size_t size = 0;

    for (int i = 0; i < plan->at_once && c->sent < plan->messages; i++) {
        size += write_message(bytes + size, c);
        c->sent_at[c->sent++] = now;
        report.sent++;
    }
    c->due = now + plan->pause_ms * 1e-3;
    if (send(c->fd, bytes, size, MSG_NOSIGNAL) != (ssize_t)size)
        leave(c);
}

/* Whoever may; how many have still something to send. */
static int send_due(void)
{
    const double now = rawws_now();
    int left = 0;

    for (int i = 0; i < count; i++) {
        struct client *const c = &clients[i];
        if (c->fd < 0 || c->sent == plan->messages)
            continue;
        left++;
        if (now >= c->due && (!plan->waits || c->returned == c->sent))
            send_some(c, now);
    }
    return left;
}

/* ---- the process ---- */

static void connect_all(int port, int index, int processes, int ep)
{
    const int small = 4096;

    for (int number = index; number < plan->clients; number += processes) {
        struct client *const c = &clients[count++];
        c->number = number;
        c->sent_at = calloc((size_t)plan->messages, sizeof *c->sent_at);
        c->fd = rawws_connect(port, number);
        if (plan->reads)
            c->next = calloc((size_t)plan->clients, sizeof *c->next);
        else
            setsockopt(c->fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
        rawws_shake(c->fd, "/ws");
        struct epoll_event e = {.events = EPOLLIN, .data.ptr = c};
        if (plan->reads)
            epoll_ctl(ep, EPOLL_CTL_ADD, c->fd, &e);
    }
    report.connected = count;
}

static void chat(int ep)
{
    struct epoll_event events[EVENTS];
    double last = report.begin = rawws_now();

    for (int i = 0; i < count; i++)
        clients[i].due = report.begin + clients[i].number * plan->stagger_ms * 1e-3;
    while (rawws_now() < last + FLEET_PATIENCE_S) {
        const int left = send_due();
        if (left == 0 && (!plan->reads || report.complete + report.closed == count))
            break;
        const long before = report.received + report.sent;
        const int n = epoll_wait(ep, events, EVENTS, 1);
        for (int i = 0; i < n; i++)
            if (((struct client *)events[i].data.ptr)->fd >= 0)
                receive(events[i].data.ptr);
        if (report.received + report.sent > before || !plan->reads)
            last = rawws_now();
    }
    report.end = rawws_now();
}

static void read_all(int fd, void *to, size_t n)
{
    for (size_t got = 0; got < n;) {
        const ssize_t some = read(fd, (char *)to + got, n - got);
        if (some <= 0)
            rawws_fail("a fleet has gone");
        got += (size_t)some;
    }
}

static void write_all(int fd, const void *from, size_t n)
{
    for (size_t done = 0; done < n;) {
        const ssize_t some = write(fd, (const char *)from + done, n - done);
        if (some <= 0)
            rawws_fail("nobody waits for the fleet");
        done += (size_t)some;
    }
}

static _Noreturn void run(int port, int index, int processes, int in, int out)
{
    const int ep = epoll_create1(0);
    char word;

    clients = calloc((size_t)(plan->clients / processes + 1), sizeof *clients);
    samples = malloc(FLEET_SAMPLES_MAX * sizeof *samples);
    connect_all(port, index, processes, ep);
    write_all(out, &report.connected, sizeof report.connected);
    read_all(in, &word, 1);
    chat(ep);
    write_all(out, &report, sizeof report);
    write_all(out, samples, (size_t)report.samples * sizeof *samples);
    read_all(in, &word, 1);
    exit(0);
}

fleet fleet_start(const fleet_plan *chosen, int port, int index, int processes)
{
    int to[2], from[2];

    if (pipe(to) < 0 || pipe(from) < 0)
        rawws_fail("pipe");
    const pid_t pid = fork();
    if (pid == 0) {
        close(to[1]);
        close(from[0]);
        plan = chosen;
        run(port, index, processes, to[0], from[1]);
    }
    close(to[0]);
    close(from[1]);
    return (fleet){.pid = pid, .to = to[1], .from = from[0]};
}

int fleet_connected(const fleet *f)
{
    int connected;

    read_all(f->from, &connected, sizeof connected);
    return connected;
}

void fleet_go(const fleet *f)
{
    write_all(f->to, "", 1);
}

fleet_report fleet_finish(const fleet *f, float *latencies)
{
    fleet_report r;

    read_all(f->from, &r, sizeof r);
    read_all(f->from, latencies, (size_t)r.samples * sizeof *latencies);
    return r;
}
