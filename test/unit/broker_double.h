/* SPDX-License-Identifier: MIT */
/*
 * broker_double - a small broker on threads of its own, for tests of its client: does what a topic
 * is named for, and writes down everything that it receives, in order.
 *
 * Requests to  "echo"    the payload comes back      "fail"     error 418 "teapot"
 *              "silent"  no answer                   "vanish"   the connection is cut
 *              "bye"     close 4000 "go away"        "poke"     asks the client for "poked" first,
 *                                                               whose answer becomes its own
 * Publications come back to whom has subscribed to that very name.
 */
#ifndef BROKER_DOUBLE_H
#define BROKER_DOUBLE_H

#include <stdbool.h>
#include <stddef.h>

typedef struct broker_double broker_double;

/* Listens on 127.0.0.1, port 0 = any. */
broker_double *broker_double_start(int port);
int broker_double_port(const broker_double *d);
/* Cuts all connections. Its notes are still there. */
void broker_double_stop(broker_double *d);
void broker_double_free(broker_double *d);

/* "ws://127.0.0.1:PORT/wsmq", static until the next call. */
const char *broker_double_url(const broker_double *d);

/* How often `part` occurs in what was received so far: messages, and "GET TARGET AUTHORIZATION". */
size_t broker_double_count(broker_double *d, const char *part);
/* Waits until it does so `count` times. */
void broker_double_wait(broker_double *d, const char *part, size_t count);

#endif
