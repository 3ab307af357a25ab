/* SPDX-License-Identifier: MIT */
#include "raw_client.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { WAIT_MS = 20000, BUFFER = 1 << 22 };

static uint8_t buffer[BUFFER + 1];

int raw_connect(int port)
{
    const struct sockaddr_in to = {.sin_family = AF_INET,
                                   .sin_port = htons((uint16_t)port),
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (const struct sockaddr *)&to, sizeof to), 0);
    return fd;
}

void raw_close(int fd)
{
    close(fd);
}

void raw_send(int fd, const void *bytes, size_t n)
{
    const uint8_t *p = bytes;

    while (n > 0) {
        const ssize_t sent = send(fd, p, n, MSG_NOSIGNAL);
        assert_true(sent > 0);
        p += sent;
        n -= (size_t)sent;
    }
}

void raw_say(int fd, const char *text)
{
    raw_send(fd, text, strlen(text));
}

/* One receive, waited for: > 0 bytes, 0 the end, -1 a reset. */
static ssize_t receive(int fd, void *to, size_t n, int ms)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};

    assert_int_equal(poll(&p, 1, ms), 1);
    const ssize_t got = recv(fd, to, n, 0);
    assert_true(got >= 0 || errno == ECONNRESET);
    return got;
}

const char *raw_read_until(int fd, const char *text)
{
    size_t n = 0;

    buffer[0] = '\0';
    while (strstr((char *)buffer, text) == NULL) {
        assert_true(n < BUFFER);
        const ssize_t got = receive(fd, buffer + n, 1, WAIT_MS); /* nothing beyond it is taken */
        if (got <= 0)
            break;
        buffer[++n] = '\0';
    }
    return (const char *)buffer;
}

const char *raw_read_all(int fd, size_t *n, bool *is_fin)
{
    size_t have = 0;
    ssize_t got;

    while ((got = receive(fd, buffer + have, BUFFER - have, WAIT_MS)) > 0)
        have += (size_t)got;
    buffer[have] = '\0';
    if (n != NULL)
        *n = have;
    if (is_fin != NULL)
        *is_fin = got == 0;
    return (const char *)buffer;
}

static int64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

bool raw_ends_within(int fd, int ms)
{
    const int64_t until = now_ms() + ms;
    struct pollfd p = {.fd = fd, .events = POLLIN};

    for (int64_t left = ms; left > 0; left = until - now_ms()) {
        if (poll(&p, 1, (int)left) == 1 && recv(fd, buffer, BUFFER, 0) <= 0)
            return true;
    }
    return false;
}

const char *raw_upgrade(int fd, const char *path, const char *lines)
{
    char head[2048];

    const int n = snprintf(
        head, sizeof head,
        "GET %s HTTP/1.1\r\nHost: test.example\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n%s\r\n",
        path, lines);
    raw_send(fd, head, (size_t)n);
    return raw_read_until(fd, "\r\n\r\n");
}

int raw_enter(int port, const char *path, const char *lines)
{
    const int fd = raw_connect(port);

    assert_non_null(strstr(raw_upgrade(fd, path, lines), " 101 "));
    return fd;
}

void raw_send_frame(int fd, uint8_t first, const void *payload, size_t n)
{
    static const uint8_t mask[4] = {0xa1, 0xb2, 0xc3, 0xd4};
    uint8_t *const frame = malloc(n + 14);
    size_t size = 2;

    assert_non_null(frame);
    frame[0] = first;
    frame[1] = (uint8_t)(0x80 | (n < 126 ? n : n < 65536 ? 126 : 127));
    for (int bytes = n < 126 ? 0 : n < 65536 ? 2 : 8; bytes > 0; bytes--)
        frame[size++] = (uint8_t)((uint64_t)n >> (8 * (bytes - 1)));
    memcpy(frame + size, mask, 4);
    size += 4;
    for (size_t i = 0; i < n; i++)
        frame[size + i] = (uint8_t)(((const uint8_t *)payload)[i] ^ mask[i & 3]);
    raw_send(fd, frame, size + n);
    free(frame);
}

void raw_send_text(int fd, const char *text)
{
    raw_send_frame(fd, 0x81, text, strlen(text));
}

/* Exactly n bytes; false at the end of the stream. */
static bool read_exactly(int fd, uint8_t *to, size_t n)
{
    while (n > 0) {
        const ssize_t got = receive(fd, to, n, WAIT_MS);
        if (got <= 0)
            return false;
        to += got;
        n -= (size_t)got;
    }
    return true;
}

raw_frame raw_read_frame(int fd)
{
    uint8_t head[10];
    size_t size;

    if (!read_exactly(fd, head, 2))
        return (raw_frame){.first = 0};
    assert_int_equal(head[1] & 0x80, 0); /* a server does not mask (RFC 6455 5.1) */
    size = head[1];
    if (head[1] >= 126) {
        const size_t more = head[1] == 126 ? 2 : 8;
        assert_true(read_exactly(fd, head + 2, more));
        size = 0;
        for (size_t i = 0; i < more; i++)
            size = size << 8 | head[2 + i];
    }
    assert_true(size <= BUFFER);
    assert_true(read_exactly(fd, buffer, size));
    buffer[size] = '\0';
    return (raw_frame){.first = head[0], .size = size, .payload = buffer};
}

uint16_t raw_close_code(raw_frame f)
{
    assert_int_equal(f.first, 0x88);
    return (uint16_t)(f.size < 2 ? 0 : f.payload[0] << 8 | f.payload[1]);
}
