/* SPDX-License-Identifier: MIT */
/*
 * raw_client - a blocking client made of system calls, for tests of the whole server: says exactly
 * what it is told to and returns exactly what comes. Every wait ends after five seconds with a
 * failed assertion.
 */
#ifndef RAW_CLIENT_H
#define RAW_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Connects to 127.0.0.1:port. */
int raw_connect(int port);
void raw_close(int fd);

/* Sends all of it. */
void raw_send(int fd, const void *bytes, size_t n);
void raw_say(int fd, const char *text);

/* Reads until `text` has come, or the end of the stream; NUL-terminated, static until the next
 * call. */
const char *raw_read_until(int fd, const char *text);

/* Reads until the peer ends the connection. Its length in *n if wanted. True if it ended with FIN,
 * false with RST. */
const char *raw_read_all(int fd, size_t *n, bool *is_fin);

/* True if the peer ends the connection within `ms`, whatever else it sends. */
bool raw_ends_within(int fd, int ms);

/* Upgrades at `path` with these further header lines ("" or "X: y\r\n"). The response's head, as
 * raw_read_until(). */
const char *raw_upgrade(int fd, const char *path, const char *lines);

/* Connects and upgrades likewise, which has to succeed. */
int raw_enter(int port, const char *path, const char *lines);

/* Sends a masked frame. */
void raw_send_frame(int fd, uint8_t first, const void *payload, size_t n);
void raw_send_text(int fd, const char *text);

typedef struct raw_frame {
    uint8_t first;
    size_t size;
    const uint8_t *payload; /* static until the next call; NUL-terminated */
} raw_frame;

/* The next frame; first == 0 and size == 0 when the connection has ended instead. */
raw_frame raw_read_frame(int fd);

/* A close frame's code, 0 without one; asserts that it is a close frame. */
uint16_t raw_close_code(raw_frame f);

#endif
