/* SPDX-License-Identifier: MIT */
/*
 * broker_load - what the broker's messages cost the server's processor, beside the same bytes without
 * a meaning.
 *
 *     broker_load PORT PID MODE CONNS DEPTH SIZE SECONDS
 *
 *   call      each connection asks example.echo at /wsmq, and verifies the answers
 *   echo      each connection sends those requests to /echo, and verifies what comes back
 *   publish   the first connection publishes at /wsmq, all are subscribed
 *   room      the first connection sends what those get to a room in which all are
 *
 * SIZE is of the payload. Closed loop: DEPTH messages in one write, and the next when all that they
 * cause have come. The server's time is without the first fifth of the run. Prints one line:
 *     messages/s  server_us_per_message  messages     (those that come back)
 */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sys/epoll.h>
#include <sys/socket.h>

#include "support/rawws.h"

enum { EVENTS = 1024, PATIENCE_MS = 5000, FRAME_MAX = 8192 };

/* A message is what is before its payload, the payload, and what is behind it. */
struct around {
    const char *before;
    const char *behind;
};

struct mode {
    const char *name;
    const char *path;
    struct around sent;
    struct around heard;
    const char *first;      /* said once by each connection, and answered; or NULL */
    bool is_from_everybody; /* else from the first connection alone */
};

#define REQUEST                                                                                    \
    {                                                                                              \
        "{\"id\":\"mbk3v1x0q9f2h5d7\",\"type\":\"request\",\"topic\":\"example.echo\","            \
        "\"payload\":\"",                                                                          \
            "\"}"                                                                                  \
    }
#define RESPONSE                                                                                   \
    {                                                                                              \
        "{\"id\":\"mbk3v1x0q9f2h5d7\",\"type\":\"response\",\"topic\":\"example.echo\","           \
        "\"payload\":\"",                                                                          \
            "\"}\n"                                                                                \
    }
#define PUBLICATION                                                                                \
    {                                                                                              \
        "{\"type\":\"publish\",\"topic\":\"bench\",\"payload\":\"", "\"}\n"                        \
    }
static const struct mode modes[] = {
    {"call", "/wsmq", REQUEST, RESPONSE, NULL, true},
    {"echo", "/echo", REQUEST, REQUEST, NULL, true},
    {"publish", "/wsmq", PUBLICATION, PUBLICATION,
     "{\"id\":\"1\",\"type\":\"subscribe_request\",\"topic\":\"bench\"}", false},
    {"room", "/rooms?room=bench", PUBLICATION, PUBLICATION, NULL, false},
};

static const struct mode *mode;
static int conns, depth;
static uint8_t *request, *wanted; /* DEPTH frames: as sent, and as they have to come */
static size_t request_size, wanted_size;

struct conn {
    int fd;
    size_t got; /* of the current burst */
};

/* Without a mask, as a server writes it. */
static size_t write_plain(uint8_t *to, const char *text)
{
    const size_t n = strlen(text);
    size_t head = 2;

    to[0] = 0x81;
    to[1] = (uint8_t)n;
    if (n > 125) {
        to[1] = 126;
        to[2] = (uint8_t)(n >> 8);
        to[3] = (uint8_t)n;
        head = 4;
    }
    memcpy(to + head, text, n);
    return head + n;
}

static void make_frames(int size)
{
    char payload[FRAME_MAX / 2 + 1], sent[FRAME_MAX], heard[FRAME_MAX];

    request = malloc((size_t)depth * FRAME_MAX);
    wanted = malloc((size_t)depth * FRAME_MAX);
    payload[size] = '\0';
    for (int i = 0; i < depth; i++) {
        for (int k = 0; k < size; k++)
            payload[k] = (char)('a' + (i + k) % 26);
        snprintf(sent, sizeof sent, "%s%s%s", mode->sent.before, payload, mode->sent.behind);
        snprintf(heard, sizeof heard, "%s%s%s", mode->heard.before, payload, mode->heard.behind);
        request_size += rawws_frame(request + request_size, 0x81, sent, strlen(sent));
        wanted_size += write_plain(wanted + wanted_size, heard);
    }
}

static void say(const struct conn *c)
{
    if (send(c->fd, request, request_size, MSG_NOSIGNAL) != (ssize_t)request_size)
        rawws_fail("send");
}

static void enter(struct conn *c, int port, int index)
{
    uint8_t frame[512], answer[512];

    c->fd = rawws_connect(port, index);
    rawws_shake(c->fd, mode->path);
    if (mode->first == NULL)
        return;
    const size_t n = rawws_frame(frame, 0x81, mode->first, strlen(mode->first));
    if (send(c->fd, frame, n, MSG_NOSIGNAL) != (ssize_t)n ||
        recv(c->fd, answer, sizeof answer, 0) <= 0)
        rawws_fail("subscribe");
}

/* Takes what came; true when it completes the burst. */
static bool take(struct conn *c)
{
    static uint8_t bytes[1 << 18];

    const ssize_t n = recv(c->fd, bytes, sizeof bytes, MSG_DONTWAIT);
    if (n < 0 && errno == EAGAIN)
        return false;
    if (n <= 0)
        rawws_fail("the server ended the connection");
    if (c->got + (size_t)n > wanted_size || memcmp(bytes, wanted + c->got, (size_t)n) != 0)
        rawws_fail("what came is not what should have");
    c->got += (size_t)n;
    if (c->got < wanted_size)
        return false;
    c->got = 0;
    return true;
}

/* Messages that came back until then. */
static long run(struct conn *list, int ep, double until)
{
    struct epoll_event events[EVENTS];
    long bursts = 0;
    int left = conns;

    while (rawws_now() < until) {
        const int n = epoll_wait(ep, events, EVENTS, PATIENCE_MS);
        if (n <= 0)
            rawws_fail("somebody did not get it");
        for (int i = 0; i < n; i++) {
            struct conn *const c = events[i].data.ptr;
            if (!take(c))
                continue;
            bursts++;
            if (mode->is_from_everybody)
                say(c);
            else if (--left == 0) {
                left = conns;
                say(&list[0]);
            }
        }
    }
    /* the rest of a burst that was cut would be missing in the next run */
    while (!mode->is_from_everybody && left > 0) {
        const int n = epoll_wait(ep, events, EVENTS, PATIENCE_MS);
        for (int i = 0; i < n; i++)
            if (take(events[i].data.ptr)) {
                bursts++;
                left--;
            }
    }
    return bursts * depth;
}

int main(int argc, char **argv)
{
    for (size_t i = 0; argc == 8 && i < sizeof modes / sizeof modes[0]; i++)
        if (strcmp(modes[i].name, argv[3]) == 0)
            mode = &modes[i];
    if (mode == NULL) {
        fputs("usage: broker_load PORT PID call|echo|publish|room CONNS DEPTH SIZE SECONDS\n",
              stderr);
        return 2;
    }
    const int pid = atoi(argv[2]);
    conns = atoi(argv[4]);
    depth = atoi(argv[5]);
    const double seconds = atof(argv[7]);
    struct conn *const list = calloc((size_t)conns, sizeof *list);
    const int ep = epoll_create1(0);

    make_frames(atoi(argv[6]));
    for (int i = 0; i < conns; i++) {
        enter(&list[i], atoi(argv[1]), i);
        struct epoll_event e = {.events = EPOLLIN, .data.ptr = &list[i]};
        epoll_ctl(ep, EPOLL_CTL_ADD, list[i].fd, &e);
    }
    for (int i = 0; i < (mode->is_from_everybody ? conns : 1); i++)
        say(&list[i]);
    (void)run(list, ep, rawws_now() + seconds / 5);
    if (!mode->is_from_everybody)
        say(&list[0]);
    const double begin = rawws_now(), cpu = rawws_cpu(pid);
    const long messages = run(list, ep, begin + seconds * 0.8);
    printf("%.0f %.4f %ld\n", (double)messages / (rawws_now() - begin),
           (rawws_cpu(pid) - cpu) * 1e6 / (double)messages, messages);
    return 0;
}
