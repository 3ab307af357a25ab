/* SPDX-License-Identifier: MIT */
/*
 * idle - what an idle connection costs a server in memory, and whether it still answers.
 *
 *     idle PORT PID CONNS PATH [tls]
 *
 * Opens CONNS connections to ws://127.0.0.1:PORT/PATH ("{i}" in PATH is the connection's number),
 * waits for the server to
 * settle, compares its anonymous memory (/proc/PID/smaps_rollup) with what it was before, then
 * sends one ping on each and
 * wants the pong. Prints: connections  bytes_per_connection  answered
 */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <openssl/ssl.h>
#include <sys/socket.h>
#include <unistd.h>

struct conn {
    int fd;
    SSL *ssl;
};

static SSL_CTX *context;

static void fail(const char *what)
{
    fprintf(stderr, "idle: %s (%s)\n", what, strerror(errno));
    exit(1);
}

/* Anonymous memory of a process in bytes. */
static long memory_of(int pid)
{
    char path[64], line[256];
    long kib = -1;

    snprintf(path, sizeof path, "/proc/%d/smaps_rollup", pid);
    FILE *const f = fopen(path, "r");
    while (f != NULL && fgets(line, sizeof line, f) != NULL)
        sscanf(line, "Anonymous: %ld kB", &kib);
    if (f == NULL || kib < 0)
        fail("no such process");
    fclose(f);
    return kib * 1024;
}

static void put(struct conn *c, const void *bytes, size_t n)
{
    const ssize_t rc =
        c->ssl != NULL ? SSL_write(c->ssl, bytes, (int)n) : send(c->fd, bytes, n, MSG_NOSIGNAL);
    if (rc != (ssize_t)n)
        fail("send");
}

static size_t take(struct conn *c, void *bytes, size_t n)
{
    const ssize_t rc = c->ssl != NULL ? SSL_read(c->ssl, bytes, (int)n) : recv(c->fd, bytes, n, 0);
    if (rc <= 0)
        fail("the server ended the connection");
    return (size_t)rc;
}

static void connect_one(struct conn *c, int port, int number)
{
    /* 28,000 local ports for each source address: spread over several of them. */
    const struct sockaddr_in from = {.sin_family = AF_INET,
                                     .sin_addr.s_addr = htonl(0x7f000002u + (uint32_t)number % 8)};
    const struct sockaddr_in to = {.sin_family = AF_INET,
                                   .sin_port = htons((uint16_t)port),
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};

    c->fd = socket(AF_INET, SOCK_STREAM, 0);
    if (c->fd < 0 || bind(c->fd, (const struct sockaddr *)&from, sizeof from) < 0 ||
        connect(c->fd, (const struct sockaddr *)&to, sizeof to) < 0)
        fail("connect");
    if (context == NULL)
        return;
    c->ssl = SSL_new(context);
    SSL_set_fd(c->ssl, c->fd);
    if (SSL_connect(c->ssl) != 1)
        fail("TLS");
}

static void shake(struct conn *c, const char *path, int number)
{
    char target[256], head[512], answer[2048];
    const char *const hole = strstr(path, "{i}");
    size_t got = 0;

    if (hole != NULL)
        snprintf(target, sizeof target, "%.*s%d%s", (int)(hole - path), path, number, hole + 3);
    else
        snprintf(target, sizeof target, "%s", path);
    const int n = snprintf(
        head, sizeof head,
        "GET %s HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n",
        target);
    put(c, head, (size_t)n);
    do {
        got += take(c, answer + got, sizeof answer - 1 - got);
        answer[got] = '\0';
    } while (strstr(answer, "\r\n\r\n") == NULL);
    if (strstr(answer, " 101 ") == NULL)
        fail("not a WebSocket answer");
}

/* A ping with four bytes, and its pong. */
static int answers(struct conn *c)
{
    static const uint8_t ping[] = {0x89, 0x84, 0, 0, 0, 0, 'p', 'i', 'n', 'g'};
    static const uint8_t pong[] = {0x8a, 0x04, 'p', 'i', 'n', 'g'};
    uint8_t got[sizeof pong];
    size_t n = 0;

    put(c, ping, sizeof ping);
    while (n < sizeof got)
        n += take(c, got + n, sizeof got - n);
    return memcmp(got, pong, sizeof pong) == 0;
}

int main(int argc, char **argv)
{
    if (argc < 5) {
        fputs("usage: idle PORT PID CONNS PATH [tls]\n", stderr);
        return 2;
    }
    const int port = atoi(argv[1]), pid = atoi(argv[2]), conns = atoi(argv[3]);
    struct conn *const list = calloc((size_t)conns, sizeof *list);
    const struct timespec settle = {.tv_sec = 1};
    int answered = 0;

    if (argc > 5)
        context = SSL_CTX_new(TLS_client_method());
    connect_one(&list[0], port, 0); /* what the first connection costs belongs to the server */
    shake(&list[0], argv[4], 0);
    nanosleep(&settle, NULL);
    const long before = memory_of(pid);
    for (int i = 1; i < conns; i++) {
        connect_one(&list[i], port, i);
        shake(&list[i], argv[4], i);
    }
    nanosleep(&settle, NULL);
    const long after = memory_of(pid);
    for (int i = 0; i < conns; i++)
        answered += answers(&list[i]);
    printf("%d %.0f %d\n", conns, (double)(after - before) / (conns - 1), answered);
    return answered == conns ? 0 : 1;
}
