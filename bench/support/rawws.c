/* SPDX-License-Identifier: MIT */
#include "rawws.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

void rawws_fail(const char *what)
{
    fprintf(stderr, "%s (%s)\n", what, strerror(errno));
    exit(1);
}

double rawws_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

double rawws_cpu(int pid)
{
    char path[64], line[1024];
    unsigned long user = 0, system = 0;

    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    FILE *const f = fopen(path, "r");
    if (f == NULL || fgets(line, sizeof line, f) == NULL)
        rawws_fail("no such process");
    fclose(f);
    const char *const fields = strrchr(line, ')');
    if (fields == NULL || sscanf(fields + 2, "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu",
                                 &user, &system) != 2)
        rawws_fail("/proc is not as expected");
    return (double)(user + system) / (double)sysconf(_SC_CLK_TCK);
}

long rawws_memory(int pid)
{
    char path[64], line[256];
    long kib = -1;

    snprintf(path, sizeof path, "/proc/%d/smaps_rollup", pid);
    FILE *const f = fopen(path, "r");
    while (f != NULL && fgets(line, sizeof line, f) != NULL)
        sscanf(line, "Anonymous: %ld kB", &kib);
    if (f == NULL || kib < 0)
        rawws_fail("no such process");
    fclose(f);
    return kib * 1024;
}

int rawws_connect(int port, int source)
{
    const struct sockaddr_in from = {.sin_family = AF_INET,
                                     .sin_addr.s_addr = htonl(0x7f000002u + (uint32_t)source % 8)};
    const struct sockaddr_in to = {.sin_family = AF_INET,
                                   .sin_port = htons((uint16_t)port),
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    const int on = 1;
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0 || bind(fd, (const struct sockaddr *)&from, sizeof from) < 0 ||
        connect(fd, (const struct sockaddr *)&to, sizeof to) < 0)
        rawws_fail("connect");
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return fd;
}

void rawws_shake(int fd, const char *path)
{
    char head[512], answer[2048];
    size_t got = 0;

    const int n = snprintf(
        head, sizeof head,
        "GET %s HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n",
        path);
    if (send(fd, head, (size_t)n, MSG_NOSIGNAL) != n)
        rawws_fail("handshake");
    do { /* byte by byte, so that nothing behind the head is taken */
        if (got == sizeof answer - 1 || recv(fd, answer + got, 1, 0) != 1)
            rawws_fail("handshake");
        answer[++got] = '\0';
    } while (got < 4 || memcmp(answer + got - 4, "\r\n\r\n", 4) != 0);
    if (strncmp(answer, "HTTP/1.1 101", 12) != 0 ||
        strstr(answer, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=") == NULL) {
        fprintf(stderr, "%.60s\n", answer);
        rawws_fail("not a WebSocket answer");
    }
}

size_t rawws_frame(uint8_t *to, uint8_t first, const void *payload, size_t n)
{
    static const uint8_t mask[4] = {0x12, 0x34, 0x56, 0x78};
    const uint8_t *const from = payload;
    size_t size = 2;

    to[0] = first;
    if (n < 126) {
        to[1] = (uint8_t)(0x80 | n);
    } else if (n < 65536) {
        to[1] = 0x80 | 126;
        to[2] = (uint8_t)(n >> 8);
        to[3] = (uint8_t)n;
        size = 4;
    } else {
        to[1] = 0x80 | 127;
        for (int i = 0; i < 8; i++)
            to[2 + i] = (uint8_t)((uint64_t)n >> (56 - 8 * i));
        size = 10;
    }
    memcpy(to + size, mask, 4);
    size += 4;
    for (size_t i = 0; i < n; i++)
        to[size + i] = from[i] ^ mask[i & 3];
    return size + n;
}
