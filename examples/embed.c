/* SPDX-License-Identifier: MIT */
/*
 * embed.c - linnet inside somebody else's loop: a WebSocket echo server on poll() and plain
 * sockets.
 *
 * linnet does no I/O here: it is given the bytes that arrived and gives back the bytes to send. The
 * same works with any loop and any transport, TLS libraries and serial lines included.
 *
 *     embed 8081        then: linnet connect ws://127.0.0.1:8081/
 */
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <linnet/endpoint.h>

enum { PEERS_MAX = 1000, QUEUE_MAX_BYTES = 1 << 20 };

static struct pollfd fds[1 + PEERS_MAX]; /* the listener, then the peers */
static ln_endpoint *peers[1 + PEERS_MAX];
static bool ended[1 + PEERS_MAX]; /* the last event has come */
static int count = 1;

static uint64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static void accept_peer(void)
{
    const int fd = accept(fds[0].fd, NULL, NULL);
    if (fd < 0)
        return;
    if (count > PEERS_MAX || ln_endpoint_new_server(NULL, now_ms(), &peers[count]) < 0) {
        close(fd);
        return;
    }
    fds[count] = (struct pollfd){.fd = fd, .events = POLLIN};
    ended[count++] = false;
}

static void remove_peer(int i)
{
    close(fds[i].fd);
    ln_endpoint_free(peers[i]);
    count--;
    fds[i] = fds[count];
    peers[i] = peers[count];
    ended[i] = ended[count];
}

static void handle_events(int i)
{
    ln_event event;

    while (ln_endpoint_next(peers[i], &event)) {
        switch (event.type) {
        case LN_EVENT_REQUEST:
            ln_endpoint_accept(peers[i], now_ms());
            break;
        case LN_EVENT_MESSAGE:
            ln_endpoint_send(peers[i], event.message.kind, event.message.data);
            break;
        case LN_EVENT_CLOSED:
        case LN_EVENT_FAILED:
            ended[i] = true;
            break;
        case LN_EVENT_OPEN:
        case LN_EVENT_PIECE:
        case LN_EVENT_PING:
        case LN_EVENT_PONG:
            break;
        }
    }
}

static void receive(int i)
{
    unsigned char bytes[16384];

    const ssize_t n = recv(fds[i].fd, bytes, sizeof bytes, MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) {
        ln_endpoint_eof(peers[i]);
        handle_events(i);
        return;
    }
    for (size_t used = 0; used < (size_t)n;) {
        used += ln_endpoint_feed(peers[i], bytes + used, (size_t)n - used, now_ms());
        handle_events(i);
    }
}

/* False: the peer is gone. */
static bool send_queued(int i)
{
    ln_span span;

    while (ln_endpoint_pull(peers[i], &span, 1) > 0) {
        const ssize_t n = send(fds[i].fd, span.data, span.size, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n < 0)
            return errno == EAGAIN || errno == EINTR;
        ln_endpoint_sent(peers[i], (size_t)n);
    }
    return true;
}

/* Milliseconds until something is due. */
static int timeout_ms(void)
{
    uint64_t due = UINT64_MAX;

    for (int i = 1; i < count; i++) {
        if (ln_endpoint_deadline(peers[i]) < due)
            due = ln_endpoint_deadline(peers[i]);
    }
    const uint64_t now = now_ms();
    return due == UINT64_MAX ? -1 : due <= now ? 0 : (int)(due - now);
}

static void turn(void)
{
    poll(fds, (nfds_t)count, timeout_ms());
    for (int i = count - 1; i > 0; i--) {
        if (fds[i].revents & (POLLIN | POLLHUP | POLLERR))
            receive(i);
        ln_endpoint_tick(peers[i], now_ms());
        handle_events(i);
        const size_t queued = ln_endpoint_queued(peers[i]);
        if (!send_queued(i) || (ended[i] && ln_endpoint_queued(peers[i]) == 0)) {
            remove_peer(i);
            continue;
        }
        /* A peer that does not read its echoes is not read either. */
        fds[i].events =
            (short)((queued < QUEUE_MAX_BYTES ? POLLIN : 0) | (queued > 0 ? POLLOUT : 0));
    }
    if (fds[0].revents & POLLIN)
        accept_peer();
}

int main(int argc, char **argv)
{
    const struct sockaddr_in address = {.sin_family = AF_INET,
                                        .sin_port =
                                            htons((uint16_t)(argc > 1 ? atoi(argv[1]) : 8081)),
                                        .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    const int on = 1;

    signal(SIGPIPE, SIG_IGN);
    fds[0] = (struct pollfd){.fd = socket(AF_INET, SOCK_STREAM, 0), .events = POLLIN};
    setsockopt(fds[0].fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(fds[0].fd, (const struct sockaddr *)&address, sizeof address) < 0 ||
        listen(fds[0].fd, 100) < 0) {
        perror("embed");
        return 1;
    }
    fprintf(stderr, "echo on ws://127.0.0.1:%u/\n", ntohs(address.sin_port));
    for (;;)
        turn();
}
