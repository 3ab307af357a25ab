/* SPDX-License-Identifier: MIT */
/*
 * roomsinner - the rooms dialect (linnet/rooms.h) as its files share it.
 *
 *   rooms.c           mounting, options, the end
 *   roomspolicy.c     keys, rules and passwords, and their exchange while it runs
 *   roomsdoor.c       the handshake: who may come in
 *   roomspassword.c   hashing off the loop, within bounds
 *   roomsguest.c      in the room: from coming to going, and messages
 *   roomstext.c       what text must not be
 *   roomspace.c       rates, and messages that wait for them
 *   roomspass.c       tokens that expire, and new ones
 *   roomserrand.c     what has to be done on every worker: publish, kick, judge again
 *   roomsfigures.c    counts and lists
 *   roomsadmin.c      the administrators' two requests
 *
 * Life of a guest, and who brings it there
 *   asking     on_request makes it; the request owns it, and lets go of it when it is refused or
 *              goes away, with all that it holds (rooms.releaser)
 *   inside     on_open, after the 101: it is the connection's
 *   gone       on_close
 *
 * Invariants
 *   1. A place is taken (capacity) before the 101 and given back when the guest is let go, once.
 *   2. A guest is in its worker's ring, its room and the list of those present exactly while it is
 *      inside.
 *   3. At most one message of a guest waits for a rate; it is not read meanwhile.
 */
#ifndef LN_ROOMSINNER_H
#define LN_ROOMSINNER_H

#include <linnet/rooms.h>

#include "base/list.h"
#include "base/map.h"
#include "capacity.h"
#include "presence.h"
#include "rates.h"
#include "rules.h"
#include "shelf.h"
#include "topics.h"

enum {
    LN_ROOMS_NAME_MAX_BYTES = 256,    /* of a room, where an application makes the rule */
    LN_ROOMS_HASH_MAX_BYTES = 512,    /* of a password, as it is kept */
    LN_ROOMS_QUEUES_MAX = 256,        /* patterns; looked through for everybody who comes */
    LN_ROOMS_PASSWORDS_MAX = 65536,   /* rooms that have one */
    LN_ROOMS_HASHES_AT_ONCE = 8,      /* of a server; and one for every two workers at most */
    LN_ROOMS_HASHES_MAX = 32,         /* of an endpoint, under way or waiting */
    LN_ROOMS_ATTEMPTS_PER_SECOND = 2, /* of an address, on each worker */
    LN_ROOMS_ATTEMPTS_BURST = 10,
    LN_ROOMS_POSTED_MAX = 8192, /* errands of other threads under way */
    LN_ROOMS_REFRESH_BURST = 4, /* new tokens of a connection at once */
    LN_ROOMS_REFRESH_PER_SECOND = 1
};

typedef struct ln_rooms_guest ln_rooms_guest;

/* What a policy says but for passwords: a version on rooms.law, never changed. */
typedef struct ln_rooms_law {
    ln_auth *auth;
    ln_rules *rules;
} ln_rooms_law;

/* Whom a guest's token names, until when. */
typedef struct ln_rooms_pass {
    ln_rooms_guest *guest;
    const ln_identity *identity;
    ln_timer timer; /* the end, or where the clocks are compared again; once inside */
    ln_bucket refreshes;
} ln_rooms_pass;

/* What a guest may send; NULL where there are no rates. */
typedef struct ln_rooms_meter {
    ln_rooms_guest *guest;
    ln_rates_key address;
    bool has_address;
    ln_bucket messages, kib; /* of the connection */
    uint32_t odd_bytes;
    ln_timer timer; /* when the message that waits may be looked at again */
    uint8_t *held;  /* that message, owned; NULL = none */
    size_t held_size;
    enum ln_kind held_kind;
} ln_rooms_meter;

struct ln_rooms_guest {
    ln_rooms *rooms;
    ln_conn *conn;                /* once inside */
    ln_link link;                 /* in its worker's ring, once inside */
    ln_rooms_pass *pass;          /* NULL = anonymous */
    ln_rooms_meter *meter;        /* NULL = it may send what it likes */
    struct ln_rooms_check *check; /* asking: its password is being worked out */
    uint8_t step;                 /* of the handshake: the next one */
    bool has_place;
    bool is_listed;
    bool is_announced; /* on_leave is owed */
    bool wants_presence;
    bool follows; /* is told of presence */
    bool may_publish;
    uint8_t name_size;
    uint16_t room_size;
    char text[]; /* the room, then the name */
};

/* Of one worker, and written by it alone. The members stand for those of ln_rooms_stats. */
typedef struct ln_rooms_counts {
    _Atomic uint64_t joined, refused, security_refused, tokens, password_checks, passwords_wrong;
    _Atomic uint64_t attempts_limited, busy, expired, refreshed, refresh_refused, messages;
    _Atomic uint64_t rejected_text, forbidden, paused, rate_closed, abandoned, displaced;
    _Atomic uint64_t deliveries[LN_TOPICS_COUNTS];
} ln_rooms_counts;

/* One worker's share: its thread's, but for reading the counts. */
typedef struct ln_rooms_side {
    ln_home *home;
    ln_link guests;
    ln_rates attempts; /* at passwords */
    ln_rates rates;
    ln_timer sweep; /* of both tables */
    ln_rooms_counts counts;
} ln_rooms_side;

struct ln_rooms {
    ln_server *server;
    const ln_allocator *alloc;
    ln_rooms_options options; /* with their defaults; pointers of it are ours or NULL */
    ln_allocator releaser;    /* lets go of a guest that an answered request does not need */
    char *path, *default_room, *origins, *admin_secret;
    ln_rates_limit connection_rate;
    ln_bucket_rate joins;
    bool has_rates;         /* of messages, any */
    ln_presence_desk *desk; /* NULL = no presence */
    ln_capacity *capacity;
    ln_rooms_queue *queues; /* with patterns of our own */
    size_t queue_count;
    ln_rooms_side *sides;
    ln_shelf law;
    ln_lock lock; /* of what follows */
    ln_map passwords;
    ln_bucket join_bucket;
    _Atomic size_t password_count; /* read without the lock */
    _Atomic uint32_t hashing, posted;
    _Atomic uint64_t broadcasts;
    _Atomic uint32_t lane; /* where the next hash goes */
};

LN_INLINE ln_span ln_rooms_room_of(const ln_rooms_guest *g)
{
    return (ln_span){g->text, g->room_size};
}

LN_INLINE ln_rooms_side *ln_rooms_side_of(const ln_rooms *rm, const ln_home *home)
{
    return &rm->sides[home->worker];
}

LN_INLINE ln_rooms_side *ln_rooms_side_of_guest(const ln_rooms_guest *g)
{
    return ln_rooms_side_of(g->rooms, ln_conn_home(g->conn));
}

LN_INLINE const ln_identity *ln_rooms_identity_of(const ln_rooms_guest *g)
{
    return g->pass == NULL ? NULL : g->pass->identity;
}

/* Wall clock, milliseconds since 1970. */
uint64_t ln_rooms_wall_ms(void);

/* rooms.c: may this be a room here? */
bool ln_rooms_is_room(const ln_rooms *rm, ln_span name);

/* roomspolicy.c */
void ln_rooms_policy_init(ln_rooms *rm);
void ln_rooms_policy_fini(ln_rooms *rm);
/* Valid until the worker returns to its loop. */
const ln_rooms_law *ln_rooms_law_of(const ln_rooms *rm);
/* The hash that is kept for `room`, in `hash`; its length, 0 if the room is open. Any thread. */
size_t ln_rooms_find_hash(ln_rooms *rm, ln_span room, char hash[LN_ROOMS_HASH_MAX_BYTES]);

/* roomsdoor.c */
void ln_rooms_on_request(ln_request *r, void *user);
/* Answers in its words what the engine refuses. */
void ln_rooms_on_malformed(ln_request *r, const ln_upgrade_verdict *why, void *user);
/* Goes on where the handshake was: after a password was judged, by `verdict`: 0 or an error. */
void ln_rooms_go_on(ln_rooms_guest *g, ln_request *r, int verdict);
/* Frees a guest and gives back all that it holds. Accepts NULL. */
void ln_rooms_let_go(ln_rooms_guest *g);

/* roomspassword.c: hands a password to the pool. 0: ln_rooms_go_on() follows, or the request is
 * gone by then. LN_ERR_WOULD_EXCEED, LN_ERR_NOMEM. */
LN_NODISCARD int ln_rooms_check_password(ln_rooms_guest *g, ln_request *r, ln_span hash,
                                         ln_span password);

/* roomsguest.c */
void ln_rooms_on_open(ln_conn *c, const ln_request *request, void *user);
void ln_rooms_on_message(ln_conn *c, const ln_message *message, void *user);
void ln_rooms_on_close(ln_conn *c, const ln_close_info *info, void *user);
/* A message that may go on its way: it was paid for. */
void ln_rooms_take(ln_rooms_guest *g, enum ln_kind kind, ln_span data);
/* Judges a guest by the law as it is now: it may be sent away. */
void ln_rooms_judge(ln_rooms_guest *g);

/* roomstext.c: breaks text one of the rules (ln_rooms_text)? */
bool ln_rooms_text_is_good(uint32_t rules, ln_span text);

/* roomspace.c. Makes rooms.sides; leaves nothing behind on an error. */
LN_NODISCARD int ln_rooms_sides_init(ln_rooms *rm, const ln_rates_options *rates);
/* For a guest that is inside. */
LN_NODISCARD int ln_rooms_meter_new(ln_rooms_guest *g);
void ln_rooms_meter_free(ln_rooms_meter *m, const ln_allocator *alloc);
/* May the guest send this now? False: the message waits, or the guest is sent away. */
bool ln_rooms_pay(ln_rooms_guest *g, enum ln_kind kind, ln_span data);
/* Milliseconds until this address may try a password; 0: it may, and has. */
uint64_t ln_rooms_attempt(ln_rooms_side *side, const ln_address *address);

/* roomspass.c */
/* A pass for whom `token` names. LN_ERR_POLICY, LN_ERR_NOMEM. */
LN_NODISCARD int ln_rooms_pass_new(ln_rooms_guest *g, ln_span token);
void ln_rooms_pass_free(ln_rooms_pass *p, const ln_allocator *alloc);
/* The guest is inside: from now on its token's end is its own. */
void ln_rooms_pass_watch(ln_rooms_pass *p);
/* Is the message for us, a new token? Then it has been handled. */
bool ln_rooms_refresh(ln_rooms_guest *g, ln_span text);

/* roomserrand.c. Has every guest judged again; made before, so that sending it cannot fail. */
typedef struct ln_rooms_errand ln_rooms_errand;
ln_rooms_errand *ln_rooms_errand_of_judging(ln_rooms *rm);
void ln_rooms_errand_send(ln_rooms_errand *e);
void ln_rooms_errand_free(ln_rooms_errand *e);

/* roomsadmin.c */
LN_NODISCARD int ln_rooms_admin_mount(ln_rooms *rm);

#endif
