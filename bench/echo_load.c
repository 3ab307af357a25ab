/* SPDX-License-Identifier: MIT */
/*
 * echo_load - loads an echo server with messages in flight, verifies every byte that comes back,
 * and tells what a message costs the server's processor.
 *
 *     echo_load PORT PID CONNS DEPTH SIZE[t|u] SECONDS
 *
 * SIZE is of binary messages; with t they are ASCII text, with u text of which every eighth
 * character takes two to four bytes.
 *
 * Closed loop: each connection sends DEPTH messages in one write and the next DEPTH when all of
 * them are back. The server's time is user + system from /proc/PID/stat, without the first tenth of
 * the run. Prints one line:
 *     messages/s  server_us_per_message  messages
 */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

static int conns, depth, size;
static char kind;                /* '\0' binary, 't', 'u' */
static uint8_t *request, *reply; /* DEPTH frames each */
static size_t request_size, reply_size;

struct conn {
    int fd;
    size_t sent; /* of the current burst */
    size_t got;
};

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* User and system time of a process in seconds. */
static double cpu_of(int pid)
{
    char path[64], line[1024];
    unsigned long user = 0, system = 0;

    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    FILE *f = fopen(path, "r");
    if (f == NULL || fgets(line, sizeof line, f) == NULL) {
        fprintf(stderr, "echo_load: no process %d\n", pid);
        exit(1);
    }
    fclose(f);
    const char *const fields = strrchr(line, ')');
    if (fields == NULL || sscanf(fields + 2, "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu",
                                 &user, &system) != 2)
        exit(1);
    return (double)(user + system) / (double)sysconf(_SC_CLK_TCK);
}

static size_t write_head(uint8_t *to, uint8_t masked)
{
    size_t n = 2;

    to[0] = kind == '\0' ? 0x82 : 0x81;
    if (size < 126) {
        to[1] = (uint8_t)(masked | size);
    } else if (size < 65536) {
        to[1] = masked | 126;
        to[2] = (uint8_t)(size >> 8);
        to[3] = (uint8_t)size;
        n = 4;
    } else {
        to[1] = masked | 127;
        for (int i = 0; i < 8; i++)
            to[2 + i] = (uint8_t)((uint64_t)size >> (56 - 8 * i));
        n = 10;
    }
    return n;
}

/* Message `i` of a burst. */
static void make_payload(uint8_t *to, int i)
{
    static const char *const others[] = {"\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x98\x80"};

    for (int k = 0; k < size; k++) {
        const char *const other = others[(i + k) / 8 % 3];
        const int n = (int)strlen(other);
        if (kind == 'u' && k % 8 == 0 && k + n <= size) {
            memcpy(to + k, other, (size_t)n);
            k += n - 1;
        } else {
            to[k] = (uint8_t)(kind == '\0' ? i * 31 + k : 'a' + (i + k) % 26);
        }
    }
}

static void make_frames(void)
{
    static const uint8_t mask[4] = {0x12, 0x34, 0x56, 0x78};

    request = malloc((size_t)depth * ((size_t)size + 14));
    reply = malloc((size_t)depth * ((size_t)size + 14));
    for (int i = 0; i < depth; i++) {
        request_size += write_head(request + request_size, 0x80);
        memcpy(request + request_size, mask, 4);
        request_size += 4;
        reply_size += write_head(reply + reply_size, 0);
        make_payload(reply + reply_size, i);
        for (int k = 0; k < size; k++)
            request[request_size++] = reply[reply_size++] ^ mask[k & 3];
    }
}

static void fail(const char *what)
{
    fprintf(stderr, "echo_load: %s (%s)\n", what, strerror(errno));
    exit(1);
}

static void open_conn(struct conn *c, int port, int ep)
{
    static const char head[] =
        "GET /echo HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
    const struct sockaddr_in to = {.sin_family = AF_INET,
                                   .sin_port = htons((uint16_t)port),
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    const int on = 1;
    char answer[1024];
    size_t got = 0;

    c->fd = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(c->fd, (const struct sockaddr *)&to, sizeof to) < 0)
        fail("connect");
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (send(c->fd, head, sizeof head - 1, 0) != sizeof head - 1)
        fail("handshake");
    do {
        const ssize_t n = recv(c->fd, answer + got, sizeof answer - 1 - got, 0);
        if (n <= 0)
            fail("handshake");
        got += (size_t)n;
        answer[got] = '\0';
    } while (strstr(answer, "\r\n\r\n") == NULL);
    if (strstr(answer, " 101 ") == NULL || strstr(answer, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=") == NULL)
        fail("not a WebSocket answer");
    struct epoll_event e = {.events = EPOLLIN, .data.ptr = c};
    epoll_ctl(ep, EPOLL_CTL_ADD, c->fd, &e);
}

static void want_out(struct conn *c, int ep, int wants)
{
    struct epoll_event e = {.events = EPOLLIN | (wants ? EPOLLOUT : 0), .data.ptr = c};
    epoll_ctl(ep, EPOLL_CTL_MOD, c->fd, &e);
}

static void push(struct conn *c, int ep, int was_waiting)
{
    const ssize_t n =
        send(c->fd, request + c->sent, request_size - c->sent, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n < 0 && errno != EAGAIN)
        fail("send");
    c->sent += n > 0 ? (size_t)n : 0;
    if (c->sent < request_size)
        want_out(c, ep, 1);
    else if (was_waiting)
        want_out(c, ep, 0);
}

/* Takes what came; the number of whole bursts that were completed. */
static long take(struct conn *c, int ep)
{
    static uint8_t bytes[1 << 18];

    const ssize_t n = recv(c->fd, bytes, sizeof bytes, MSG_DONTWAIT);
    if (n < 0 && errno == EAGAIN)
        return 0;
    if (n <= 0)
        fail("the server ended the connection");
    if (c->got + (size_t)n > reply_size || memcmp(bytes, reply + c->got, (size_t)n) != 0)
        fail("what came back is not what was sent");
    c->got += (size_t)n;
    if (c->got < reply_size)
        return 0;
    c->got = c->sent = 0;
    push(c, ep, 0);
    return 1;
}

static long run(int ep, double until)
{
    struct epoll_event events[512];
    long bursts = 0;

    while (now() < until) {
        const int n = epoll_wait(ep, events, 512, 100);
        for (int i = 0; i < n; i++) {
            struct conn *const c = events[i].data.ptr;
            if (events[i].events & EPOLLOUT)
                push(c, ep, 1);
            if (events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR))
                bursts += take(c, ep);
        }
    }
    return bursts;
}

int main(int argc, char **argv)
{
    if (argc != 7) {
        fputs("usage: echo_load PORT PID CONNS DEPTH SIZE[t|u] SECONDS\n", stderr);
        return 2;
    }
    const int pid = atoi(argv[2]);
    conns = atoi(argv[3]);
    depth = atoi(argv[4]);
    char *end;
    size = (int)strtol(argv[5], &end, 10);
    kind = *end;
    const double seconds = atof(argv[6]);
    const int ep = epoll_create1(0);
    struct conn *const list = calloc((size_t)conns, sizeof *list);

    make_frames();
    for (int i = 0; i < conns; i++)
        open_conn(&list[i], atoi(argv[1]), ep);
    for (int i = 0; i < conns; i++)
        push(&list[i], ep, 0);
    run(ep, now() + seconds / 10);
    const double cpu = cpu_of(pid), begin = now();
    const long messages = run(ep, begin + seconds * 0.9) * depth;
    const double took = now() - begin;
    printf("%.0f %.4f %ld\n", (double)messages / took, (cpu_of(pid) - cpu) * 1e6 / (double)messages,
           messages);
    return 0;
}
