/* SPDX-License-Identifier: MIT */
/*
 * floor - what the floor programs share: the least a server has to do to a client's bytes to echo
 * them as WebSocket frames. No checks, no limits, no close handshake: a yardstick, not a server.
 */
#ifndef FLOOR_H
#define FLOOR_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/evp.h>
#include <sys/socket.h>
#include <unistd.h>

enum { FLOOR_BUFFER = 65536, FLOOR_HEAD = 2048 };

/* One connection's place in the byte stream. */
struct floor_conn {
    int fd;
    int is_open;      /* the handshake is done */
    int is_fanout;    /* its path is not /echo: what one says goes to all of them */
    uint64_t left;    /* payload bytes of the current frame still to come */
    uint8_t mask[4];  /* rotated, so that the next byte takes mask[0] */
    uint8_t head[14]; /* a header that came in pieces */
    int head_size;
    char request[FLOOR_HEAD];
    int request_size;
};

/* Size of the header that begins here, 0 if it is not complete. Clients' frames only: always
 * masked. */
static inline int floor_head_size(const uint8_t *p, size_t n)
{
    if (n < 2)
        return 0;
    const int code = p[1] & 0x7f;
    const int size = code < 126 ? 6 : code == 126 ? 8 : 14;
    return n >= (size_t)size ? size : 0;
}

static inline void floor_unmask(uint8_t *to, const uint8_t *from, size_t n, const uint8_t mask[4])
{
    uint64_t key;
    size_t i = 0;

    memcpy(&key, mask, 4);
    memcpy((uint8_t *)&key + 4, mask, 4);
    for (; i + 8 <= n; i += 8) {
        uint64_t word;
        memcpy(&word, from + i, 8);
        word ^= key;
        memcpy(to + i, &word, 8);
    }
    for (; i < n; i++)
        to[i] = from[i] ^ mask[i & 3];
}

/* Takes a complete header: writes the answer's and notes what follows. Bytes written. */
static inline size_t floor_begin(struct floor_conn *c, const uint8_t *head, int size, uint8_t *to)
{
    uint64_t length = head[1] & 0x7f;

    if (size == 8)
        length = (uint64_t)head[2] << 8 | head[3];
    if (size == 14) {
        length = 0;
        for (int i = 2; i < 10; i++)
            length = length << 8 | head[i];
    }
    c->left = length;
    memcpy(c->mask, head + size - 4, 4);
    memcpy(to, head, (size_t)size - 4);
    to[1] &= 0x7f;
    return (size_t)size - 4;
}

static inline size_t floor_payload(struct floor_conn *c, const uint8_t *from, size_t n, uint8_t *to)
{
    floor_unmask(to, from, n, c->mask);
    c->left -= n;
    if (c->left > 0 && n % 4 != 0) {
        uint8_t turned[4];
        for (size_t i = 0; i < 4; i++)
            turned[i] = c->mask[(i + n) & 3];
        memcpy(c->mask, turned, 4);
    }
    return n;
}

/* A client's bytes to the server's echo of them; `to` has room for n + 14. Bytes written. */
static inline size_t floor_pump(struct floor_conn *c, const uint8_t *from, size_t n, uint8_t *to)
{
    size_t used = 0, out = 0;

    while (used < n) {
        if (c->left > 0) {
            const size_t take = n - used < c->left ? n - used : (size_t)c->left;
            out += floor_payload(c, from + used, take, to + out);
            used += take;
            continue;
        }
        const int whole = c->head_size == 0 ? floor_head_size(from + used, n - used) : 0;
        if (whole > 0) {
            out += floor_begin(c, from + used, whole, to + out);
            used += (size_t)whole;
            continue;
        }
        c->head[c->head_size++] = from[used++];
        const int size = floor_head_size(c->head, (size_t)c->head_size);
        if (size > 0) {
            out += floor_begin(c, c->head, size, to + out);
            c->head_size = 0;
        }
    }
    return out;
}

/* Collects the request; the 101 into `to` when it is complete. Its size, 0 if more is needed, -1 if
 * it is hopeless. */
static inline int floor_shake(struct floor_conn *c, const uint8_t *from, size_t n, char *to)
{
    static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
    char text[64];
    unsigned char digest[20], accept[32];

    if (c->request_size + n >= FLOOR_HEAD)
        return -1;
    memcpy(c->request + c->request_size, from, n);
    c->request_size += (int)n;
    c->request[c->request_size] = '\0';
    if (strstr(c->request, "\r\n\r\n") == NULL)
        return 0;
    const char *key = strcasestr(c->request, "\r\nsec-websocket-key:");
    if (key == NULL)
        return -1;
    key += 20;
    key += strspn(key, " ");
    memcpy(text, key, 24);
    memcpy(text + 24, guid, 36);
    EVP_Digest(text, 60, digest, NULL, EVP_sha1(), NULL);
    EVP_EncodeBlock(accept, digest, 20);
    c->is_open = 1;
    c->is_fanout = strncmp(c->request, "GET /echo", 9) != 0;
    return sprintf(
        to,
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Accept: %s\r\n\r\n",
        accept);
}

static inline int floor_listen(int port)
{
    const struct sockaddr_in address = {.sin_family = AF_INET,
                                        .sin_port = htons((uint16_t)port),
                                        .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    const int on = 1;
    const int fd = socket(AF_INET, SOCK_STREAM, 0);

    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(fd, (const struct sockaddr *)&address, sizeof address) < 0 || listen(fd, 4096) < 0) {
        perror("floor: listen");
        exit(1);
    }
    return fd;
}

static inline void floor_no_delay(int fd)
{
    const int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

#endif
