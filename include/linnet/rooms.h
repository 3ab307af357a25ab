/* SPDX-License-Identifier: MIT */
/*
 * linnet/rooms.h - the rooms dialect: everybody in a room gets what anybody in it sends.
 *
 *   ws://host/rooms?room=NAME[&name=NICK][&presence=1][&room_password=...][&token=...]
 *
 * A room is a name of 1 to 128 of the characters A-Z a-z 0-9 . _ : - and exists while somebody is
 * in it. Every message is fanned out, as it is and with its opcode, to all members of the room,
 * across all workers; order is kept per sender. A room is a topic (linnet/topic.h): what is
 * published to its name reaches it, and who subscribes to it hears it.
 *
 * Who may come in is decided before the 101, and who may not gets a status and a JSON error;
 * nobody is in a room, and gets anything of it, before the 101 has been written. doc/rooms.md has
 * the whole of it: both handshakes, all statuses and codes.
 *
 * Presence is asked for by the client. Who asked gets the room as it was last told, then what
 * changes, its own coming included, as text messages (at most one in LN_ROOMS_PRESENCE_MS, coming
 * and going in between cancels out):
 *
 *   {"type":"presence","room":"NAME","version":7,"count":2,
 *    "members":[{"id":"1f","name":"NICK"},{"id":"2a","name":""}]}
 *   {"type":"presence","room":"NAME","version":8,"since":7,"count":2,
 *    "joined":[{"id":"3c","name":"Z"}],"left":["2a"]}
 *
 * `id` stands for one connection, `name` is what the client gave. A room of more than
 * LN_ROOMS_LIST_MAX is told as its `count` alone. Who did not ask gets no message that a member did
 * not send, but answers to its own refreshing of a token.
 */
#ifndef LINNET_ROOMS_H
#define LINNET_ROOMS_H

#include <linnet/rules.h>
#include <linnet/topic.h>

#ifdef __cplusplus
extern "C" {
#endif

enum {
    LN_ROOMS_PRESENCE_MS = 100,    /* how often a room's changes are told */
    LN_ROOMS_LIST_MAX = 1000,      /* people of a room that are told by name */
    LN_ROOMS_SECRET_MIN_BYTES = 32 /* of the administrators' secret */
};

/* Close code of a connection whose token is not good any more; another one may be had. */
enum { LN_ROOMS_EXPIRED = 4001 };

typedef struct ln_rooms ln_rooms;

/* Which handshake: the order of its checks and what it takes (doc/rooms.md). */
enum ln_rooms_mode {
    LN_ROOMS_LEGACY = 0, /* a token is optional, the room's password may stand in the address */
    LN_ROOMS_STRICT = 1  /* a token is required, the password comes in a header; text is checked */
};

enum ln_rooms_tokens {
    LN_ROOMS_TOKENS_BY_MODE = 0,
    LN_ROOMS_TOKENS_OPTIONAL = 1, /* one that is shown has to be good all the same */
    LN_ROOMS_TOKENS_REQUIRED = 2
};

/* What text must not be, in bits. It is valid UTF-8 in any case (RFC 6455 8.1). */
enum ln_rooms_text {
    LN_ROOMS_TEXT_BY_MODE = 0,        /* legacy: any; strict: all that follows but the first */
    LN_ROOMS_TEXT_ANY = 0x01,         /* nothing is rejected */
    LN_ROOMS_TEXT_NO_NEWLINES = 0x02, /* LF and CR */
    LN_ROOMS_TEXT_NO_TABS = 0x04,
    LN_ROOMS_TEXT_NO_CONTROLS = 0x08, /* the other ASCII control characters */
    LN_ROOMS_TEXT_NOT_EMPTY = 0x10
};

/* What happens to a client that sends more than it may. */
enum ln_rooms_excess {
    LN_ROOMS_PAUSE = 0, /* not read until it may again; lost is what still waits when it goes */
    LN_ROOMS_CLOSE = 1  /* closed with 1008 "rate limit exceeded" */
};

/* How much may be sent. A burst of 0 is twice the rate. Of an address or a user: on each worker. */
typedef struct ln_rooms_rate {
    uint32_t messages_per_second; /* 0 = any number */
    uint32_t messages_burst;
    uint32_t kib_per_second; /* of payload; 0 = any number */
    uint32_t kib_burst;      /* a larger message takes all of it */
} ln_rooms_rate;

/* A room that is closed to who does not know its password. */
typedef struct ln_rooms_password {
    const char *room;
    const char *hash; /* ln_password_hash(), or "ROUNDS$SALT$KEY": PBKDF2-HMAC-SHA512 */
} ln_rooms_password;

/* Who is who and may do what. */
typedef struct ln_rooms_policy {
    ln_auth *auth;   /* NULL = no token can be verified, so each is refused */
    ln_rules *rules; /* NULL = everything is allowed */
    const ln_rooms_password *passwords;
    size_t password_count;
} ln_rooms_policy;

/* What may wait for a member of certain rooms, instead of what `ws` says. */
typedef struct ln_rooms_queue {
    const char *pattern; /* a room, or a filter (linnet/topic.h) of rooms */
    ln_queue_options queue;
} ln_rooms_queue;

/* 0 = the default (doc/limits.md), LN_OFF = none where that is allowed. */
typedef struct ln_rooms_options {
    const char *default_room; /* where a client without ?room= goes; NULL = "default" */
    bool presence;            /* clients may ask for presence; else their wish is ignored */
    const ln_ws_options *ws;  /* limits and origins; NULL = all defaults */

    enum ln_rooms_mode mode;
    enum ln_rooms_tokens tokens;
    bool query_token;        /* ?token= is looked at; addresses end up in the logs of others */
    bool refresh;            /* clients may send a new token (doc/rooms.md) */
    bool excludes_sender;    /* a message goes to the others only */
    uint32_t text;           /* ln_rooms_text */
    uint32_t text_max_bytes; /* text beyond it: 1009. 0 = strict: 1 MiB; legacy: as any message */
    ln_rooms_policy policy;  /* references of its own are taken */
    /* Instead of the rule for names, among all that can be a topic; NULL = the rule. Any thread. */
    bool (*is_room)(ln_span name, void *user);

    uint32_t rooms_max;        /* that exist at a time; beyond it 503 */
    uint32_t room_members_max; /* of one room; 429 */
    uint32_t members_max;      /* of all rooms; 503 */
    uint32_t joins_per_second; /* of all; a burst of twice that; 503 */
    ln_rooms_rate connection_rate, address_rate, user_rate;
    enum ln_rooms_excess excess;
    const ln_rooms_queue *queues; /* the first whose pattern matches decides */
    size_t queue_count;

    /* At least LN_ROOMS_SECRET_MIN_BYTES, and none of policy.auth's: opens POST
     * ADMIN/broadcast[?room=] and GET ADMIN/metrics. Empty = there are none of these. */
    ln_span admin_secret;
    const char *admin_path;       /* NULL = "/_admin" */
    uint32_t broadcast_max_bytes; /* of a broadcast's body; 413 */

    /* In the room from on_join to the end of on_leave, each once. On the connection's loop, where
     * linnet/conn.h works but for ln_conn_user(): that is the dialect's; ln_conn_set() is free. */
    void (*on_join)(ln_conn *c, ln_span room, void *user);
    /* Instead of the fan-out: ln_conn_publish(c, room, ...) is what that does. */
    void (*on_message)(ln_conn *c, ln_span room, const ln_message *message, void *user);
    void (*on_leave)(ln_conn *c, ln_span room, void *user);
    void *user;
} ln_rooms_options;

/*
 * Serves rooms at `path`. Several of them in one server are doors to the same rooms: a name is a
 * topic, and who came in by one hears who came in by another. Everything is copied; NULL options =
 * all defaults. Before the server runs. LN_ERR_INVALID (path, default room, a limit, a queue's
 * pattern, a password's room or hash, a token required that nothing could verify, the
 * administrators' secret), LN_ERR_EXISTS, LN_ERR_STATE, LN_ERR_LIMIT, LN_ERR_NOMEM.
 */
LN_API int ln_rooms_mount(ln_server *server, const char *path, const ln_rooms_options *options);

/* The rooms mounted at `path`, or NULL; the server's. Any thread. */
LN_API ln_rooms *ln_rooms_find(const ln_server *server, const char *path);

/*
 * Another policy from now on: all of it, or, on an error, nothing. Who is in a room and may not be
 * there by the new rules is closed with 1008; tokens that were accepted stay so until they expire.
 * Any thread. LN_ERR_INVALID (as ln_rooms_mount()), LN_ERR_LIMIT (passwords), LN_ERR_NOMEM.
 */
LN_API int ln_rooms_set_policy(ln_rooms *rooms, const ln_rooms_policy *policy);

/* Sets, or with NULL removes, one room's password. Who is in stays. Any thread. LN_ERR_INVALID,
 * LN_ERR_LIMIT, LN_ERR_NOMEM. */
LN_API int ln_rooms_set_password(ln_rooms *rooms, ln_span room, const char *hash);

/*
 * May who comes by another dialect do this to the room `name`, or to all that a filter
 * (linnet/topic.h) matches? Rooms are topics, so whoever lets clients subscribe and publish beside
 * them (ln_broker_options.allow) has to ask. `identity` NULL = anonymous. No: a token is required
 * and there is none, the rules deny it, or one of these rooms has a password. Yes: the name can be
 * no room's. On a worker's loop.
 */
LN_API bool ln_rooms_may(ln_rooms *rooms, const ln_identity *identity, ln_verb_bit verb,
                         ln_span name);

/* Whom the token of a client of this dialect names; NULL = anonymous. Borrowed until the handler
 * returns. On its loop. */
LN_API const ln_identity *ln_rooms_identity(const ln_conn *c);

/*
 * What became of a publication, on all workers together. In plumego's words: attempted is the sum
 * of all four, enqueued delivered + queued, skipped closed. What was queued may be displaced later.
 */
typedef void ln_rooms_result_handler(const ln_publish_result *result, void *user);

/*
 * Sends to all members of `room`, or, if it is empty, to everybody once. `on_result` (may be NULL)
 * comes once: on a worker's thread, or in ln_server_free() if the server ends meanwhile. Messages
 * of one thread arrive in the order of the calls. Any thread. An error means that it does not come:
 * LN_ERR_INVALID (room, kind, text that is not UTF-8), LN_ERR_STATE (not running),
 * LN_ERR_WOULD_EXCEED (too many are under way), LN_ERR_NOMEM.
 */
LN_API int ln_rooms_publish(ln_rooms *rooms, ln_span room, enum ln_kind kind, ln_span data,
                            ln_rooms_result_handler *on_result, void *user);

/* Closes who is in `room` (empty = any) and whom a token names `id` (empty = anybody: look before
 * you pass on the id of a token, which need not have one). Returns
 * before it has happened. Any thread. Errors as ln_rooms_publish(). */
LN_API int ln_rooms_kick(ln_rooms *rooms, ln_span room, ln_span id, uint16_t code, ln_span reason);

/* Members of `room`, or, if it is empty, of all rooms, those on the way in included. Any thread. */
LN_API size_t ln_rooms_count(ln_rooms *rooms, ln_span room);

/* Calls fn for each room, in no particular order, as they were when it was called. Any thread.
 * LN_ERR_NOMEM. */
LN_API int ln_rooms_each(ln_rooms *rooms, void (*fn)(ln_span room, size_t members, void *user),
                         void *user);

/* Since the start, over all workers. */
typedef struct ln_rooms_stats {
    uint64_t rooms;   /* now */
    uint64_t members; /* now */
    uint64_t joined_total;
    uint64_t refused_total;          /* by this dialect; the engine's refusals are the server's */
    uint64_t security_refused_total; /* of them: origin, room name, token, password, rules */
    uint64_t tokens_total;           /* good ones, of who came in */
    uint64_t password_checks_total;  /* hashes worked out */
    uint64_t passwords_wrong_total;
    uint64_t attempts_limited_total; /* 429: too many passwords from one address */
    uint64_t busy_total;             /* 503: too many passwords at a time */
    uint64_t expired_total;          /* closed with LN_ROOMS_EXPIRED */
    uint64_t refreshed_total;
    uint64_t refresh_refused_total;
    uint64_t messages_total;      /* that members sent and were let through */
    uint64_t rejected_text_total; /* closed for it */
    uint64_t forbidden_total;     /* closed: publishing was not allowed, or being there any more */
    uint64_t paused_total;        /* messages that had to wait for a rate */
    uint64_t rate_closed_total;
    uint64_t broadcasts_total; /* ln_rooms_publish() */
    uint64_t delivered_total;  /* deliveries, as ln_publish_result has them */
    uint64_t queued_total;
    uint64_t dropped_total;
    uint64_t closed_total;
    uint64_t abandoned_total; /* messages that waited for a rate when their sender went */
    /*
     * Messages that were queued and gave way to newer ones (LN_OVERFLOW_DROP_OLDEST,
     * LN_OVERFLOW_KEEP_LATEST): publications, and what was sent to one member alone, which is in no
     * other figure here.
     */
    uint64_t displaced_total;
} ln_rooms_stats;

/* Fills *stats. Any thread; the numbers are a moment's, not a transaction's. */
LN_API void ln_rooms_stats_get(ln_rooms *rooms, ln_rooms_stats *stats);

#ifdef __cplusplus
}
#endif
#endif
