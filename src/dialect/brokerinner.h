/* SPDX-License-Identifier: MIT */
/*
 * brokerinner - the broker dialect (linnet/broker.h) as its files share it.
 *
 *   broker.c           clients: coming, going, their messages; life
 *   brokerapi.c        what applications call
 *   brokerspeech.c     requests and their answers as envelopes
 *   brokerhub.c        subscriptions, publications, and who is too slow for them
 *   brokerdirectory.c  who is there
 *   brokersystem.c     what every client may ask for: system:register and the others
 *   brokerguest.c      subscribers of the application
 *   brokerping.c       numbered pings
 *   envelope.c         what messages look like
 *
 * Which generation a client is of shows with its first message that has one, and stays; until then
 * it is spoken to as one of the current generation.
 *
 * Invariants
 *   1. A client belongs to its connection's loop. What the directory says of it (entry) is changed
 *      under the directory's lock, by that loop alone; so that loop reads it without. But
 *      entry.same is the directory's, and never read without.
 *   2. The ids of the clients that are there differ. Several may have one session id.
 *   3. What a client makes us keep is bounded: its texts, its requests without an answer (rpc.h), its
 *      subscriptions (hub.h), its send queue.
 */
#ifndef LN_BROKERINNER_H
#define LN_BROKERINNER_H

#include <linnet/broker.h>

#include "base/bucket.h"
#include "base/list.h"
#include "base/map.h"
#include "envelope.h"
#include "places.h"
#include "rpcinner.h"
#include "topics.h"

enum {
    LN_BROKER_CALLS_MAX = 1024,   /* requests of one client that were handed on */
    LN_BROKER_REQUESTS_MAX = 256, /* of ours to one client */
    LN_BROKER_ID_MAX_BYTES = 128, /* a client's, of either kind */
    LN_BROKER_NAME_MAX_BYTES = 256,
    LN_BROKER_TYPE_MAX_BYTES = 64,
    LN_BROKER_URL_MAX_BYTES = 2048,
    LN_BROKER_LIST_MAX = 1000,                /* clients of one answer */
    LN_BROKER_LIST_STEPS_PER_SECOND = 200000, /* of a client's lists */
    LN_BROKER_LIST_STEPS_BURST = 1000000,
    LN_BROKER_RAW_MAX_BYTES = 256,      /* of a payload that an error repeats */
    LN_BROKER_GUEST_PENDING_MAX = 8192, /* publications that wait for a subscriber here */
    LN_BROKER_MADE_ID_SIZE = 32,        /* hexadecimal digits of an id that we make */
    /* a topic as written: all of it escapes, and the quotes */
    LN_BROKER_TOPIC_ROOM = 6 * 256 + 2
};

/* Our forms of a msg; LN_FORM_DIALECTS itself is the command dialect's. */
enum { LN_FORM_BROKER = LN_FORM_DIALECTS + 1, LN_FORM_BROKER_HEADED };

/* What is said of a client to others. */
typedef struct ln_broker_entry {
    ln_conn_id conn;
    ln_link same; /* those with the same session id, the latest first; alone: itself */
    ln_span id;   /* owned, as the next four in one piece of memory are */
    ln_span session_id;
    ln_span name;
    ln_span type;
    ln_span url;
    bool is_registered;
} ln_broker_entry;

/* One client. */
typedef struct ln_broker_peer {
    ln_rpc_peer rpc;
    ln_broker *broker;
    ln_broker_entry entry;
    uint64_t nonce;          /* the first half of the ids of our requests to it */
    ln_timer timer;          /* the next ping, or the end of the wait for its pong */
    uint64_t pings;          /* how many were sent */
    size_t queued_bytes;     /* when the last one was */
    ln_envelope_style style; /* 0: not known yet */
    uint32_t drops;          /* since it had caught up */
    ln_bucket steps;         /* that its lists may still cost */
    bool awaits_pong;
    bool is_asked; /* the last ping could be sent */
    bool is_held;  /* not read until it has taken its answers */
} ln_broker_peer;

typedef struct ln_broker_directory {
    const ln_allocator *alloc;
    ln_lock lock;
    ln_map ids;      /* of entries */
    ln_map sessions; /* of the latest entry of each session id */
} ln_broker_directory;

typedef struct ln_broker_counts {
    _Atomic uint64_t malformed, ignored, refused, published, dropped, slow_closes, ping_failures;
} ln_broker_counts;

typedef struct ln_broker_guest ln_broker_guest;

struct ln_broker {
    ln_server *server;
    const ln_allocator *alloc;
    ln_broker_options options; /* its pointer to limits is not kept */
    uint32_t request_ms;
    uint32_t drops_max; /* 0: no bound */
    uint32_t ping_ms;   /* 0: none */
    uint32_t pong_ms;
    ln_rpc rpc;
    ln_rpc_carrier carrier;
    ln_places *places; /* of clients */
    ln_broker_directory directory;
    ln_lock guests_lock;
    ln_link guests;
    ln_link former_guests; /* whose letters may be under way in loops that do not run any more */
    ln_broker_counts counts;
};

LN_INLINE void ln_broker_count(_Atomic uint64_t *counter)
{
    atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
}

LN_INLINE ln_broker_peer *ln_broker_peer_of_rpc(const ln_rpc_peer *p)
{
    return (ln_broker_peer *)(uintptr_t)p; /* its first member */
}

/* broker.c: the client, between on_connect and on_disconnect; else, or of another dialect, NULL. */
ln_broker_peer *ln_broker_peer_of(const ln_conn *c);
/* Sends an envelope. What ln_conn_send() says. */
int ln_broker_say(ln_broker_peer *p, const ln_envelope *e);

/* brokerspeech.c */
extern const ln_rpc_speech ln_broker_speech;
void ln_broker_take_request(ln_broker_peer *p, const ln_envelope *e);
void ln_broker_take_reply(ln_broker_peer *p, const ln_envelope *e);
/* The first half of the ids of our requests to a connection: nobody else's is the same. */
uint64_t ln_broker_nonce(const ln_broker *b, ln_conn_id conn);
/* The id of a request of ours, in digits. */
void ln_broker_write_id(uint64_t nonce, uint64_t serial, char id[LN_BROKER_MADE_ID_SIZE + 1]);
/* A header's messageID with its quotes, and the time that goes with it. */
enum { LN_BROKER_MESSAGE_ID_ROOM = 48 };
ln_span ln_broker_stamp(ln_loop *loop, char room[LN_BROKER_MESSAGE_ID_ROOM], int64_t *now_ms);
/* An answer of error `code`, whatever the generation; `words` is plain text. */
void ln_broker_complain(ln_broker_peer *p, const ln_envelope *about, int code, ln_span words);

/* brokerhub.c */
void ln_broker_take_subscription(ln_broker_peer *p, const ln_envelope *e);
void ln_broker_take_publication(ln_broker_peer *p, const ln_envelope *e);
/* How a client is told of publications, by its generation. */
ln_topics_send ln_broker_send_flat;
ln_topics_send ln_broker_send_headed;
/* `topic` and `payload` as they stand in JSON, and the name meant. One reference; NULL when out of
 * memory. */
ln_msg *ln_broker_make_msg(const ln_broker *b, ln_span name, ln_span topic, ln_span payload,
                           ln_conn_id publisher);
bool ln_broker_may(ln_broker_peer *p, enum ln_broker_act act, ln_span topic, ln_span target);

/* brokerdirectory.c */
void ln_broker_directory_init(ln_broker_directory *d, const ln_allocator *alloc);
void ln_broker_directory_fini(ln_broker_directory *d);
/*
 * Enters a client that has just come, with the id it wishes if that is free and suitable, else with
 * another. LN_ERR_NOMEM.
 */
LN_NODISCARD int ln_broker_enter(ln_broker_peer *p, const ln_request *request);
void ln_broker_leave(ln_broker_peer *p);
/* What a client says of itself; what is empty stays as it was. LN_ERR_NOMEM. */
typedef struct ln_broker_card {
    ln_span session_id;
    ln_span name;
    ln_span type;
    ln_span url;
} ln_broker_card;
LN_NODISCARD int ln_broker_register(ln_broker_peer *p, const ln_broker_card *card);
ln_broker_info ln_broker_show(const ln_broker_entry *entry);
/* As far as it is whole characters and no longer than `max`. */
ln_span ln_broker_cut(ln_span text, size_t max);
/*
 * Appends {"clients":[...]} of those of `type`, or of all if it is empty; at most LN_BROKER_LIST_MAX,
 * and then with how many there are. LN_ERR_NOMEM.
 */
LN_NODISCARD int ln_broker_list(ln_broker *b, ln_span type, ln_buf *out);
/*
 * What that costs at most while everybody else waits for the lock, in steps: one for each client that
 * is looked at, ten for each that is written. Never more than a full bucket.
 */
uint32_t ln_broker_list_steps(ln_broker *b, ln_span type);

/* brokersystem.c: serves the broker's own topics. */
LN_NODISCARD int ln_broker_serve_system(ln_broker *b);
bool ln_broker_is_system(ln_span topic);
/* The client may have lists from now on. */
void ln_broker_begin_lists(ln_broker_peer *p);
/* Says who it is, in either generation. LN_ERR_NOMEM. */
LN_NODISCARD int ln_broker_introduce(ln_broker_peer *p, const ln_broker_card *card);
/* The older generation's way: _client.register. */
void ln_broker_take_introduction(ln_broker_peer *p, const ln_envelope *e);

/* brokerguest.c */
void ln_broker_free_guests(ln_broker *b);

/* brokerping.c */
void ln_broker_start_pings(ln_broker_peer *p);
void ln_broker_stop_pings(ln_broker_peer *p);
void ln_broker_take_pong(ln_broker_peer *p, ln_span data);

#endif
