/* SPDX-License-Identifier: MIT */
/*
 * floor_epoll - the smallest epoll server that echoes WebSocket frames: one receive and one send a
 * turn and connection.
 *
 *     floor_epoll PORT
 *
 * A send that comes up short is finished on the spot, waiting: the load programs always read.
 */
#include <errno.h>
#include <poll.h>
#include <sys/epoll.h>

#include "floor.h"

enum { CONNS_MAX = 20000, EVENTS = 512 };

static struct floor_conn *conns[CONNS_MAX];
static uint8_t in[FLOOR_BUFFER], out[FLOOR_BUFFER + 64];

static void send_all(int fd, const uint8_t *bytes, size_t n)
{
    while (n > 0) {
        const ssize_t sent = send(fd, bytes, n, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent < 0 && errno == EAGAIN) {
            struct pollfd p = {.fd = fd, .events = POLLOUT};
            poll(&p, 1, 1000);
            continue;
        }
        if (sent < 0)
            return;
        bytes += sent;
        n -= (size_t)sent;
    }
}

static void drop(struct floor_conn *c)
{
    conns[c->fd] = NULL;
    close(c->fd);
    free(c);
}

static void answer(struct floor_conn *c, size_t n)
{
    if (!c->is_open) {
        const int size = floor_shake(c, in, n, (char *)out);
        if (size < 0)
            drop(c);
        else if (size > 0)
            send_all(c->fd, out, (size_t)size);
        return;
    }
    const size_t size = floor_pump(c, in, n, out);
    if (!c->is_fanout) {
        send_all(c->fd, out, size);
        return;
    }
    for (int fd = 0; fd < CONNS_MAX; fd++) {
        if (conns[fd] != NULL && conns[fd]->is_open && conns[fd]->is_fanout)
            send_all(fd, out, size);
    }
}

int main(int argc, char **argv)
{
    const int listener = floor_listen(argc > 1 ? atoi(argv[1]) : 9001);
    const int ep = epoll_create1(0);
    struct epoll_event events[EVENTS], e = {.events = EPOLLIN, .data.ptr = NULL};

    epoll_ctl(ep, EPOLL_CTL_ADD, listener, &e);
    for (;;) {
        const int n = epoll_wait(ep, events, EVENTS, -1);
        for (int i = 0; i < n; i++) {
            struct floor_conn *c = events[i].data.ptr;
            if (c == NULL) {
                const int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
                if (fd < 0 || fd >= CONNS_MAX)
                    continue;
                floor_no_delay(fd);
                c = calloc(1, sizeof *c);
                c->fd = fd;
                conns[fd] = c;
                e = (struct epoll_event){.events = EPOLLIN, .data.ptr = c};
                epoll_ctl(ep, EPOLL_CTL_ADD, fd, &e);
                continue;
            }
            const ssize_t got = recv(c->fd, in, sizeof in, 0);
            if (got <= 0)
                drop(c);
            else
                answer(c, (size_t)got);
        }
    }
}
