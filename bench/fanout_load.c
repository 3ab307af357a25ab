/* SPDX-License-Identifier: MIT */
/*
 * fanout_load - one publishes, all receive: what a delivery costs the server's processor.
 *
 *     fanout_load PORT PID CONNS DEPTH SIZE SECONDS PATH
 *
 * Opens CONNS connections to PATH, where whatever one says goes to all of them. The first one sends
 * DEPTH messages of SIZE bytes in one write, and again when everybody has them; every byte that
 * comes is verified. The server's time is without the first fifth of the run. Prints one line:
 *     deliveries/s  server_us_per_delivery  deliveries
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sys/epoll.h>
#include <sys/socket.h>

#include "support/rawws.h"

enum { HEAD_MAX = 14, EVENTS = 1024, PATIENCE_MS = 5000 };

static int conns, depth, size;
static uint8_t *request, *wanted; /* DEPTH frames: as sent, and as they have to come */
static size_t request_size, wanted_size;

struct conn {
    int fd;
    size_t got; /* of the current burst */
};

static size_t write_head(uint8_t *to)
{
    to[0] = 0x82;
    if (size < 126) {
        to[1] = (uint8_t)size;
        return 2;
    }
    to[1] = 126;
    to[2] = (uint8_t)(size >> 8);
    to[3] = (uint8_t)size;
    return 4;
}

static void make_frames(void)
{
    uint8_t *const payload = malloc((size_t)size);

    request = malloc((size_t)depth * ((size_t)size + HEAD_MAX));
    wanted = malloc((size_t)depth * ((size_t)size + HEAD_MAX));
    for (int i = 0; i < depth; i++) {
        for (int k = 0; k < size; k++)
            payload[k] = (uint8_t)(i * 31 + k);
        request_size += rawws_frame(request + request_size, 0x82, payload, (size_t)size);
        wanted_size += write_head(wanted + wanted_size);
        memcpy(wanted + wanted_size, payload, (size_t)size);
        wanted_size += (size_t)size;
    }
    free(payload);
}

/* Takes what came; true when it completes the burst. */
static int take(struct conn *c)
{
    static uint8_t bytes[1 << 18];

    const ssize_t n = recv(c->fd, bytes, sizeof bytes, MSG_DONTWAIT);
    if (n < 0 && errno == EAGAIN)
        return 0;
    if (n <= 0)
        rawws_fail("the server ended the connection");
    if (c->got + (size_t)n > wanted_size || memcmp(bytes, wanted + c->got, (size_t)n) != 0)
        rawws_fail("what came is not what was published");
    c->got += (size_t)n;
    return c->got == wanted_size;
}

static void publish_once(struct conn *list, int ep)
{
    struct epoll_event events[EVENTS];
    int left = conns;

    for (int i = 0; i < conns; i++)
        list[i].got = 0;
    if (send(list[0].fd, request, request_size, MSG_NOSIGNAL) != (ssize_t)request_size)
        rawws_fail("send");
    while (left > 0) {
        const int n = epoll_wait(ep, events, EVENTS, PATIENCE_MS);
        if (n <= 0)
            rawws_fail("somebody did not get it");
        for (int i = 0; i < n; i++)
            left -= take(events[i].data.ptr);
    }
}

int main(int argc, char **argv)
{
    if (argc != 8) {
        fputs("usage: fanout_load PORT PID CONNS DEPTH SIZE SECONDS PATH\n", stderr);
        return 2;
    }
    const int port = atoi(argv[1]), pid = atoi(argv[2]);
    conns = atoi(argv[3]);
    depth = atoi(argv[4]);
    size = atoi(argv[5]);
    const double seconds = atof(argv[6]);
    struct conn *const list = calloc((size_t)conns, sizeof *list);
    const int ep = epoll_create1(0);

    make_frames();
    for (int i = 0; i < conns; i++) {
        list[i].fd = rawws_connect(port, i);
        rawws_shake(list[i].fd, argv[7]);
        struct epoll_event e = {.events = EPOLLIN, .data.ptr = &list[i]};
        epoll_ctl(ep, EPOLL_CTL_ADD, list[i].fd, &e);
    }
    for (const double until = rawws_now() + seconds / 5; rawws_now() < until;)
        publish_once(list, ep);
    const double begin = rawws_now(), cpu = rawws_cpu(pid);
    long deliveries = 0;
    for (const double until = begin + seconds * 0.8; rawws_now() < until;) {
        publish_once(list, ep);
        deliveries += (long)conns * depth;
    }
    printf("%.0f %.4f %ld\n", (double)deliveries / (rawws_now() - begin),
           (rawws_cpu(pid) - cpu) * 1e6 / (double)deliveries, deliveries);
    return 0;
}
