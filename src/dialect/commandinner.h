/* SPDX-License-Identifier: MIT */
/*
 * commandinner - the command dialect (linnet/command.h) as its files share it.
 *
 *   command.c        clients: coming, going, their messages
 *   commandtable.c   which handler is for which id
 *   commandhub.c     commands to many, and bridges
 *   commandjob.c     handlers that may block
 */
#ifndef LN_COMMANDINNER_H
#define LN_COMMANDINNER_H

#include <linnet/command.h>

#include "base/bucket.h"
#include "places.h"
#include "rpc.h"
#include "topics.h"

enum {
    LN_COMMAND_HEAD = 4, /* bytes of the id */
    LN_COMMAND_MESSAGE_MAX_BYTES = 10485764,
    LN_COMMAND_RANGES_MAX = 4096,
    LN_COMMAND_BRIDGES_MAX = 32,
    LN_COMMAND_POSTED_MAX = 8192,
    LN_COMMAND_JOBS_MAX = 16,            /* of one client, until it is not read any more */
    LN_COMMAND_JOBS_MAX_BYTES = 1 << 20, /* likewise: their payloads */
    LN_COMMAND_UUID_SIZE = 36
};

_Static_assert(LN_COMMAND_MESSAGE_MAX_BYTES == LN_COMMAND_HEAD + LN_COMMAND_PAYLOAD_MAX_BYTES, "");

/* Our form of a msg. */
enum { LN_FORM_COMMAND = LN_FORM_DIALECTS };

typedef struct ln_command_client {
    ln_rpc_peer rpc;
    ln_bucket bucket;
    size_t job_bytes; /* of payloads with handlers that may block */
    uint32_t job_count;
    bool is_held; /* not read until some of them are done */
    char uuid[LN_COMMAND_UUID_SIZE];
} ln_command_client;

/* A bridge, its topic owned. */
typedef struct ln_command_span {
    uint32_t id;
    enum ln_kind kind;
    ln_span topic;
} ln_command_span;

typedef struct ln_command_counts {
    _Atomic uint64_t clients, malformed, rate_limited, unknown, reserved, unsuitable;
} ln_command_counts;

struct ln_command {
    ln_server *server;
    const ln_allocator *alloc;
    ln_command_options options; /* its pointers to limits and bridges are not kept */
    ln_bucket_rate rate;
    ln_shelf ranges;
    ln_rpc rpc;
    ln_rpc_carrier carrier;
    char *everybody; /* the topic of all clients */
    ln_command_span *bridges;
    size_t bridge_count;
    ln_command_counts counts;
    _Atomic uint32_t posted; /* publications of other threads on their way to a worker */
    ln_places *places;       /* of clients */
};

/* The endpoint of a connection. */
LN_INLINE ln_command *ln_command_of(const ln_conn *c)
{
    return ln_conn_site(c)->plan->handlers.user;
}

LN_INLINE void ln_command_count(_Atomic uint64_t *counter)
{
    atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
}

/* command.c: the state of a connection; NULL before on_connect and after on_disconnect. */
ln_command_client *ln_command_client_of(const ln_conn *c);

/* commandtable.c: the range of `id`, or NULL; valid until the worker returns to its loop. */
const ln_command_range *ln_command_find(const ln_command *game, uint32_t id);
void ln_command_free_ranges(void *version, const ln_allocator *alloc);

/* commandjob.c: hands a command to the pool. */
void ln_command_delegate(ln_command *game, ln_conn *c, const ln_command_range *range, uint32_t id,
                         ln_span payload);

/* commandhub.c: subscribes a client that has just come to everybody's topic and the bridges'. */
LN_NODISCARD int ln_command_enter(ln_command *game, ln_conn *c);
/* What a client sent as an id without a handler: true if there is a bridge for it. */
bool ln_command_cross(ln_command *game, ln_conn *c, uint32_t id, ln_span payload);
LN_NODISCARD int ln_command_copy_bridges(ln_command *game, const ln_command_options *o);
void ln_command_free_bridges(ln_command *game);

#endif
