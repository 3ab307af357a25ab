/* SPDX-License-Identifier: MIT */
/*
 * roomsdoor.c - the handshake: a row of steps, each of which lets a guest pass, refuses it, or has
 * it wait. The order of the steps is the mode's; doc/rooms.md has them with their statuses.
 *
 * What a step has taken for the guest stays with it until it is let go.
 */
#include <stdio.h>
#include <string.h>

#include "base/name.h"
#include "base/text.h"
#include "hub/roster.h"
#include "net/log.h"
#include "password.h"
#include "peer/requests.h"
#include "proto/upgrade.h"
#include "roomsinner.h"

/* ---- refusals ---- */

enum { BODY_SIZE = 256, BUSY_S = 1 };

typedef enum cause {
    BAD_METHOD,
    BAD_UPGRADE,
    BAD_VERSION,
    NO_KEY,
    BAD_KEY,
    BAD_ORIGIN,
    BAD_ROOM,
    BAD_NAME,
    NO_TOKEN,
    BAD_TOKEN,
    BAD_PASSWORD,
    FORBIDDEN,
    ROOM_FULL,
    ALL_FULL,
    TOO_MANY_JOINS,
    TOO_MANY_ATTEMPTS,
    BUSY,
    NO_MEMORY
} cause;

#define AUTH        "auth_error", "forbidden_request"
#define VALIDATION  "validation_error", "validation_failure"
#define RATE        "rate_limit_error", "rate_limited"
#define UNAVAILABLE "server_error", "service_unavailable"

/* Codes and strict messages are plumego's; legacy ones its older generation's. */
static const struct {
    unsigned status;
    bool is_security;
    const char *code, *legacy, *strict, *category, *type;
} refusals[] = {
    [BAD_METHOD] = {405, false, "METHOD_NOT_ALLOWED", "method not allowed", "method not allowed",
                    "client_error", "method_not_allowed"},
    [BAD_UPGRADE] = {426, false, "WEBSOCKET_BAD_UPGRADE", "bad request",
                     "websocket upgrade required", VALIDATION},
    [BAD_VERSION] = {426, false, "WEBSOCKET_BAD_VERSION", "bad request",
                     "websocket version 13 required", VALIDATION},
    [NO_KEY] = {400, false, "WEBSOCKET_KEY_MISSING", "bad request", "websocket key required",
                VALIDATION},
    [BAD_KEY] = {400, false, "WEBSOCKET_KEY_INVALID", "bad request", "invalid websocket key",
                 VALIDATION},
    [BAD_ORIGIN] = {403, true, "WEBSOCKET_FORBIDDEN_ORIGIN", "forbidden origin", "forbidden origin",
                    AUTH},
    [BAD_ROOM] = {400, true, "WEBSOCKET_INVALID_ROOM", "invalid websocket room",
                  "invalid websocket room", VALIDATION},
    [BAD_NAME] = {400, false, "WEBSOCKET_INVALID_NAME", "invalid name", "invalid name", VALIDATION},
    [NO_TOKEN] = {401, true, "WEBSOCKET_TOKEN_REQUIRED", "websocket token required",
                  "websocket token required", "auth_error", "unauthorized_request"},
    [BAD_TOKEN] = {403, true, "WEBSOCKET_INVALID_TOKEN", "forbidden: invalid token",
                   "invalid websocket token", AUTH},
    [BAD_PASSWORD] = {403, true, "WEBSOCKET_ROOM_FORBIDDEN", "forbidden: bad room password",
                      "websocket room access denied", AUTH},
    [FORBIDDEN] = {403, true, "WEBSOCKET_ROOM_FORBIDDEN", "websocket room access denied",
                   "websocket room access denied", AUTH},
    [ROOM_FULL] = {429, false, "WEBSOCKET_JOIN_DENIED", "websocket room at capacity",
                   "websocket room join denied", RATE},
    [ALL_FULL] = {503, false, "WEBSOCKET_JOIN_DENIED", "websocket hub at capacity",
                  "websocket room join denied", UNAVAILABLE},
    [TOO_MANY_JOINS] = {503, false, "WEBSOCKET_JOIN_DENIED", "websocket rate limit exceeded",
                        "websocket room join denied", UNAVAILABLE},
    [TOO_MANY_ATTEMPTS] = {429, false, "WEBSOCKET_RATE_LIMITED", "too many room passwords tried",
                           "too many room passwords tried", RATE},
    [BUSY] = {503, false, "WEBSOCKET_BUSY", "too many room passwords to check",
              "too many room passwords to check", UNAVAILABLE},
    [NO_MEMORY] = {503, false, "WEBSOCKET_OUT_OF_MEMORY", "out of memory", "out of memory",
                   UNAVAILABLE},
};

static void reply_with(const ln_rooms *rm, ln_request *r, unsigned status, cause why)
{
    const bool is_strict = rm->options.mode == LN_ROOMS_STRICT;
    ln_conn *const c = r->exchange->conn; /* r may be gone when it is answered */
    char body[BODY_SIZE];

    const int n =
        snprintf(body, sizeof body,
                 "{\"error\":{\"code\":\"%s\",\"message\":\"%s\",\"category\":\"%s\","
                 "\"type\":\"%s\"}}\n",
                 refusals[why].code, is_strict ? refusals[why].strict : refusals[why].legacy,
                 refusals[why].category, refusals[why].type);
    const int rc = ln_request_reply(r, status, "application/json", (ln_span){body, (size_t)n});
    if (rc < 0) /* only for want of memory */
        ln_conn_drop(c, rc);
}

void ln_rooms_on_malformed(ln_request *r, const ln_upgrade_verdict *why, void *user)
{
    static const cause causes[] = {
        [LN_UPGRADE_BAD_METHOD] = BAD_METHOD,   [LN_UPGRADE_BAD_FORM] = BAD_UPGRADE,
        [LN_UPGRADE_BAD_VERSION] = BAD_VERSION, [LN_UPGRADE_NO_KEY] = NO_KEY,
        [LN_UPGRADE_BAD_KEY] = BAD_KEY,         [LN_UPGRADE_NO_ROOM] = ALL_FULL,
    };
    reply_with(user, r, why->status, causes[why->fault]);
}

/* Answers; a guest that waited is gone after that. */
static void refuse_after(const ln_rooms *rm, ln_request *r, cause why, uint64_t wait_s)
{
    ln_rooms_counts *const counts = &ln_rooms_side_of(rm, ln_conn_home(r->exchange->conn))->counts;
    char seconds[24];

    ln_count(&counts->refused, 1);
    if (refusals[why].is_security)
        ln_count(&counts->security_refused, 1);
    if (wait_s > 0) {
        const int n = snprintf(seconds, sizeof seconds, "%llu", (unsigned long long)wait_s);
        (void)ln_request_add_header(r, "Retry-After", (ln_span){seconds, (size_t)n});
    }
    reply_with(rm, r, refusals[why].status, why);
}

static void refuse(const ln_rooms *rm, ln_request *r, cause why)
{
    refuse_after(rm, r, why, 0);
}

/* ---- what a guest shows ---- */

/* The token, in `room` if it stood in the address; empty: none. LN_ERR_POLICY: what there is cannot
 * be one. */
static int read_token(const ln_rooms *rm, const ln_request *r,
                      char room[LN_AUTH_TOKEN_MAX_BYTES + 1], ln_span *token)
{
    unsigned count;
    const ln_span value = ln_head_find(&r->head, "Authorization", &count);

    *token = (ln_span){"", 0};
    if (count > 1)
        return LN_ERR_POLICY;
    const ln_span bearer = ln_head_bearer(value);
    if (bearer.data != NULL) {
        *token = bearer; /* an empty one is none, and hides the other */
        return 0;
    }
    if (!rm->options.query_token)
        return 0;
    const int n = ln_request_param(r, "token", room, LN_AUTH_TOKEN_MAX_BYTES + 1);
    if (n == LN_ERR_NOT_FOUND)
        return 0;
    *token = (ln_span){room, n < 0 ? 0 : (size_t)n};
    return n < 0 ? LN_ERR_POLICY : 0;
}

/* The room's password: its length in `room`, 0 for none. LN_ERR_POLICY: it is longer than any can
 * be, or no text. */
static int read_password(const ln_rooms *rm, const ln_request *r,
                         char room[LN_PASSWORD_MAX_BYTES + 1])
{
    const ln_span value = ln_request_header(r, "X-WebSocket-Room-Password");

    if (value.data == NULL && rm->options.mode == LN_ROOMS_LEGACY) {
        const int n = ln_request_param(r, "room_password", room, LN_PASSWORD_MAX_BYTES + 1);
        return n == LN_ERR_NOT_FOUND ? 0 : n < 0 ? LN_ERR_POLICY : n;
    }
    if (value.size > LN_PASSWORD_MAX_BYTES)
        return LN_ERR_POLICY;
    if (value.size > 0)
        memcpy(room, value.data, value.size);
    return (int)value.size;
}

/* ---- steps ---- */

typedef enum outcome { PASSED, REFUSED, WAITING } outcome;
typedef outcome step(ln_rooms_guest *g, ln_request *r);

static outcome judge_token(ln_rooms_guest *g, ln_request *r)
{
    const ln_rooms *const rm = g->rooms;
    char room[LN_AUTH_TOKEN_MAX_BYTES + 1];
    ln_span token;

    int rc = read_token(rm, r, room, &token);
    if (rc == 0 && token.size == 0) {
        if (rm->options.tokens == LN_ROOMS_TOKENS_OPTIONAL)
            return PASSED;
        refuse(rm, r, NO_TOKEN);
        return REFUSED;
    }
    if (rc == 0)
        rc = ln_rooms_pass_new(g, token);
    explicit_bzero(room, sizeof room);
    if (rc == 0)
        return PASSED;
    refuse(rm, r, rc == LN_ERR_NOMEM ? NO_MEMORY : BAD_TOKEN);
    return REFUSED;
}

static outcome judge_rules(ln_rooms_guest *g, ln_request *r)
{
    if (ln_rules_allow(ln_rooms_law_of(g->rooms)->rules, ln_rooms_identity_of(g), LN_VERB_SUBSCRIBE,
                       ln_rooms_room_of(g)))
        return PASSED;
    refuse(g->rooms, r, FORBIDDEN);
    return REFUSED;
}

/* Hands a password to the pool, unless its address has tried too many. */
static outcome send_password(ln_rooms_guest *g, ln_request *r, ln_span hash, ln_span password)
{
    ln_rooms_side *const side = ln_rooms_side_of(g->rooms, ln_conn_home(r->exchange->conn));
    ln_address address;

    const uint64_t wait_ms = ln_address_of_peer(r->exchange->conn->stream.sock.fd, &address) < 0
                                 ? 0 /* it is gone */
                                 : ln_rooms_attempt(side, &address);
    if (wait_ms > 0) {
        ln_count(&side->counts.attempts_limited, 1);
        refuse_after(g->rooms, r, TOO_MANY_ATTEMPTS, (wait_ms + 999) / 1000);
        return REFUSED;
    }
    const int rc = ln_rooms_check_password(g, r, hash, password);
    if (rc == 0)
        return WAITING;
    ln_count(&side->counts.busy, rc == LN_ERR_WOULD_EXCEED);
    refuse_after(g->rooms, r, rc == LN_ERR_WOULD_EXCEED ? BUSY : NO_MEMORY, BUSY_S);
    return REFUSED;
}

static outcome judge_password(ln_rooms_guest *g, ln_request *r)
{
    char hash[LN_ROOMS_HASH_MAX_BYTES], password[LN_PASSWORD_MAX_BYTES + 1];

    const size_t size = ln_rooms_find_hash(g->rooms, ln_rooms_room_of(g), hash);
    if (size == 0)
        return PASSED;
    const int n = read_password(g->rooms, r, password);
    if (n <= 0) {
        refuse(g->rooms, r, BAD_PASSWORD);
        return REFUSED;
    }
    const outcome o = send_password(g, r, (ln_span){hash, size}, (ln_span){password, (size_t)n});
    explicit_bzero(password, sizeof password);
    return o;
}

static bool may_join_now(ln_rooms *rm, uint64_t now_ms)
{
    ln_lock_take(&rm->lock);
    const bool may = ln_bucket_take(&rm->join_bucket, &rm->joins, 1, now_ms);
    ln_lock_give(&rm->lock);
    return may;
}

static outcome take_place(ln_rooms_guest *g, ln_request *r)
{
    ln_rooms *const rm = g->rooms;
    ln_capacity_obstacle obstacle = LN_CAPACITY_ALL_FULL;

    if (rm->joins.per_second > 0 &&
        !may_join_now(rm, ln_conn_home(r->exchange->conn)->loop->now_ms)) {
        refuse_after(rm, r, TOO_MANY_JOINS, BUSY_S);
        return REFUSED;
    }
    const int rc = ln_capacity_take(rm->capacity, ln_rooms_room_of(g), &obstacle);
    g->has_place = rc == 0;
    if (rc == 0)
        return PASSED;
    refuse(rm, r,
           rc == LN_ERR_NOMEM                   ? NO_MEMORY
           : obstacle == LN_CAPACITY_TOPIC_FULL ? ROOM_FULL
                                                : ALL_FULL);
    return REFUSED;
}

enum { STEPS = 4 };

static step *const steps[][STEPS] = {
    [LN_ROOMS_LEGACY] = {judge_password, take_place, judge_token, judge_rules},
    [LN_ROOMS_STRICT] = {judge_token, judge_rules, judge_password, take_place},
};

/* Steps until one of them does not let the guest pass; after a refusal it may be gone. */
static outcome walk(ln_rooms_guest *g, ln_request *r)
{
    while (g->step < STEPS) {
        const outcome o = steps[g->rooms->options.mode][g->step++](g, r);
        if (o != PASSED)
            return o;
    }
    return PASSED;
}

void ln_rooms_go_on(ln_rooms_guest *g, ln_request *r, int verdict)
{
    const ln_home *const home = ln_conn_home(r->exchange->conn);

    if (verdict == LN_ERR_POLICY)
        ln_count(&ln_rooms_side_of(g->rooms, home)->counts.passwords_wrong, 1);
    if (verdict < 0)
        refuse(g->rooms, r, verdict == LN_ERR_NOMEM ? NO_MEMORY : BAD_PASSWORD);
    else if (walk(g, r) == PASSED)
        (void)ln_request_accept(r); /* it is deferred and not answered */
}

/* ---- a guest ---- */

void ln_rooms_let_go(ln_rooms_guest *g)
{
    if (g == NULL)
        return;
    const ln_allocator *const alloc = g->rooms->alloc;
    ln_rooms_meter_free(g->meter, alloc);
    ln_rooms_pass_free(g->pass, alloc);
    if (g->has_place)
        ln_capacity_give(g->rooms->capacity, ln_rooms_room_of(g));
    ln_free(alloc, g);
}

/* The room asked for, in `buffer`: its length, or LN_ERR_INVALID. */
static int read_room(const ln_rooms *rm, const ln_request *r,
                     char buffer[LN_ROOMS_NAME_MAX_BYTES + 1])
{
    int n = ln_request_param(r, "room", buffer, LN_ROOMS_NAME_MAX_BYTES + 1);
    if (n == LN_ERR_NOT_FOUND || n == 0) {
        n = (int)strlen(rm->default_room);
        memcpy(buffer, rm->default_room, (size_t)n + 1);
    }
    return n > 0 && ln_rooms_is_room(rm, (ln_span){buffer, (size_t)n}) ? n : LN_ERR_INVALID;
}

/* The name to be shown: its length, 0 for none, or LN_ERR_INVALID. */
static int read_name(const ln_request *r, char buffer[LN_ROSTER_NAME_BYTES + 1])
{
    const int n = ln_request_param(r, "name", buffer, LN_ROSTER_NAME_BYTES + 1);

    if (n == LN_ERR_NOT_FOUND || n == 0)
        return 0;
    return n > 0 && ln_name_is_valid((ln_span){buffer, (size_t)n}, LN_ROSTER_NAME_BYTES)
               ? n
               : LN_ERR_INVALID;
}

static ln_rooms_guest *make(ln_rooms *rm, ln_span room, ln_span name)
{
    ln_rooms_guest *const g = ln_alloc_zero(rm->alloc, sizeof *g + room.size + name.size);

    if (g == NULL)
        return NULL;
    g->rooms = rm;
    ln_list_init(&g->link);
    g->room_size = (uint16_t)room.size;
    g->name_size = (uint8_t)name.size;
    memcpy(g->text, room.data, room.size);
    if (name.size > 0)
        memcpy(g->text + room.size, name.data, name.size);
    return g;
}

static bool is_origin_allowed(const ln_rooms *rm, const ln_request *r)
{
    const ln_loop *const loop = ln_conn_home(r->exchange->conn)->loop;

    if (ln_upgrade_is_origin_allowed(&r->head, ln_text(rm->origins), ln_request_is_tls(r)))
        return true;
    ln_log_say(loop->log, LN_LOG_WARN, loop->now_ms, "origin refused",
               ln_log_pair("origin", ln_request_header(r, "Origin")),
               ln_log_pair("remote", ln_request_remote(r)));
    return false;
}

void ln_rooms_on_request(ln_request *r, void *user)
{
    ln_rooms *const rm = user;
    char room[LN_ROOMS_NAME_MAX_BYTES + 1], name[LN_ROSTER_NAME_BYTES + 1], wish[8];

    if (!is_origin_allowed(rm, r)) {
        refuse(rm, r, BAD_ORIGIN);
        return;
    }
    const int room_size = read_room(rm, r, room);
    const int name_size = read_name(r, name);
    if (room_size < 0 || name_size < 0) {
        refuse(rm, r, room_size < 0 ? BAD_ROOM : BAD_NAME);
        return;
    }
    ln_rooms_guest *const g =
        make(rm, (ln_span){room, (size_t)room_size}, (ln_span){name, (size_t)name_size});
    if (g == NULL) {
        refuse(rm, r, NO_MEMORY);
        return;
    }
    const int n = ln_request_param(r, "presence", wish, sizeof wish);
    g->wants_presence = rm->desk != NULL && n == 1 && wish[0] == '1';
    ln_request_set_owned_user(r, g, &rm->releaser);
    (void)walk(g, r); /* who has passed is accepted when this returns */
}
