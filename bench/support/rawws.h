/* SPDX-License-Identifier: MIT */
/*
 * rawws - just enough of a WebSocket client to load and to trouble a server: blocking handshake,
 * frames by hand. Shares no code with the library that it measures.
 */
#ifndef RAWWS_H
#define RAWWS_H

#include <stddef.h>
#include <stdint.h>

double rawws_now(void); /* monotonic, seconds */

/* User and system time of a process in seconds; anonymous memory in bytes. Exit the program if
 * there is no such process. */
double rawws_cpu(int pid);
long rawws_memory(int pid);

/* A connected socket from 127.0.0.(2 + source % 8), TCP_NODELAY set; exits the program on
 * failure. */
int rawws_connect(int port, int source);

/* Asks for `path` and wants the 101; exits the program on failure. Bytes behind the head are left
 * in the socket. */
void rawws_shake(int fd, const char *path);

/* Writes a masked frame's header and payload. Bytes written; `to` has room for n + 14. */
size_t rawws_frame(uint8_t *to, uint8_t first, const void *payload, size_t n);

_Noreturn void rawws_fail(const char *what);

#endif
