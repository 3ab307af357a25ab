/* SPDX-License-Identifier: MIT */
/*
 * queue_kit - a server with one endpoint, /x, for tests of its send queues: peers that do not read
 * until they are told to, and calls on the loop of a connection.
 *
 * A peer is stalled by one message that the system cannot take whole, so that exactly one message has
 * begun and is not gone, however large the system's buffers are.
 */
#ifndef QUEUE_KIT_H
#define QUEUE_KIT_H

#include <linnet/linnet.h>
#include <stdatomic.h>

enum { QUEUE_FILLER = 8 << 20, QUEUE_PLENTY = 64 << 20, QUEUE_PEERS_MAX = 16 };

typedef struct queue_place queue_place;

/* A connection as the server and as its peer have it. */
typedef struct queue_peer {
    queue_place *place;
    int fd;
    ln_conn *conn; /* for calls on its loop */
    ln_conn_id id;
    atomic_int drains, closed, close_code, close_error;
} queue_peer;

struct queue_place {
    ln_server *server;
    int port;
    queue_peer peers[QUEUE_PEERS_MAX];
    atomic_int count;
};

queue_place *queue_begin(const ln_server_options *server, const ln_ws_options *ws);
void queue_end(queue_place *p);

/* A peer with small buffers; it reads when it is told to. */
queue_peer *queue_enter(queue_place *p);
void queue_leave(queue_peer *peer);

/* Calls fn(conn, arg) on the connection's loop, unless it has closed, and waits for it. */
void queue_on_loop(queue_peer *peer, void (*fn)(ln_conn *c, void *arg), void *arg);

/* Sends one message of `size` bytes, most of which the system does not take. */
void queue_stall(queue_peer *peer, size_t size);

/* The peer reads that message, or the next one, which has to be `text`. */
void queue_read_filler(queue_peer *peer, size_t size);
void queue_expect(queue_peer *peer, const char *text);

ln_server_stats queue_stats(const queue_place *p);

#endif
