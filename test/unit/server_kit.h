/* SPDX-License-Identifier: MIT */
/*
 * server_kit - what tests over a real server share: its beginning and its end, and waiting for what
 * its threads do. Peers are raw_client.h's.
 */
#ifndef SERVER_KIT_H
#define SERVER_KIT_H

#include <linnet/linnet.h>
#include <stdatomic.h>

/* A log that nobody reads. */
void kit_quiet(void *user, enum ln_log_level level, ln_span line);

/* Opens a port on the loopback interface, and starts: the port. */
int kit_serve(ln_server *server);

/* Stops it at once, without goodbyes: as ln_server_join(). */
int kit_halt(ln_server *server);

/* The same, unless it has ended already, and frees it. */
void kit_end(ln_server *server);

/* It has read that many messages, and reads no more. */
void kit_assert_read(const ln_server *server, uint64_t messages);

/* Waits until *value is at least that; five seconds are a failure. */
void kit_wait_for(const atomic_int *value, int at_least);
void kit_rest_ms(long ms);

/* A clock that only goes on. */
int64_t kit_clock_ms(void);

#endif
