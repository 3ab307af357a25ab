/* SPDX-License-Identifier: MIT */
/*
 * broker_kit - what the tests of the broker dialect share: a server with one at /wsmq, and peers that
 * say texts and hear texts.
 */
#ifndef BROKER_KIT_H
#define BROKER_KIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <linnet/broker.h>
#include <linnet/linnet.h>
#include <linnet/rooms.h>
#include <poll.h>
#include <stdatomic.h>

#include "dialect/brokerinner.h"
#include "raw_client.h"
#include "server_kit.h"

enum { KIT_TEXT = 1 << 16 };

typedef struct kit_world {
    ln_server *server;
    ln_broker *broker;
    int port;
    atomic_int connects, registrations, disconnects;
    _Atomic ln_conn_id last;     /* who connected last */
    _Atomic ln_conn_id gone;     /* who left last */
    char registered[256];        /* what on_registered was told */
    atomic_int calls;            /* of handlers */
    ln_rpc_ticket tickets[2048]; /* of "later" */
    atomic_int kept;
    atomic_int replies; /* to requests of ours */
    atomic_int reply_error;
    char reply[512];
    atomic_int heard; /* by subscribers here */
    char publication[512];
    atomic_int is_free; /* handlers that block may go on */
    atomic_int begun;
    atomic_bool allows_proxy;
} kit_world;

/* ---- peers ---- */

static inline int kit_enter_at(const kit_world *w, const char *target, const char *lines)
{
    return raw_enter(w->port, target, lines);
}

static inline int kit_enter(const kit_world *w)
{
    return kit_enter_at(w, "/wsmq", "");
}

/* The next text. */
static inline const char *kit_hear_any(int fd)
{
    const raw_frame f = raw_read_frame(fd);
    assert_int_equal(f.first, 0x81);
    return (const char *)f.payload;
}

static inline void kit_hear(int fd, const char *text)
{
    assert_string_equal(kit_hear_any(fd), text);
}

static inline void kit_hear_close(int fd, unsigned code, const char *reason)
{
    const raw_frame f = raw_read_frame(fd);
    assert_int_equal(f.first, 0x88);
    assert_int_equal(f.payload[0] << 8 | f.payload[1], code);
    assert_string_equal((const char *)f.payload + 2, reason);
}

/* Says one text and hears another. */
static inline void kit_expect(int fd, const char *said, const char *heard)
{
    raw_send_text(fd, said);
    kit_hear(fd, heard);
}

/* Everything before has been handled, and nothing was said about it. */
static inline void kit_expect_silence(int fd)
{
    kit_expect(fd, "{\"id\":\"?\",\"type\":\"request\",\"topic\":\"?\"}",
               "{\"id\":\"?\",\"type\":\"error\",\"topic\":\"?\",\"error\":{\"code\":404,"
               "\"message\":\"No handler for topic: ?\"}}\n");
}

static inline void kit_subscribe(int fd, const char *topic)
{
    char said[512], heard[1024];
    snprintf(said, sizeof said, "{\"id\":\"s\",\"type\":\"subscribe_request\",\"topic\":\"%s\"}",
             topic);
    snprintf(heard, sizeof heard,
             "{\"id\":\"s\",\"type\":\"subscription_ack\",\"topic\":\"%s\",\"payload\":{\"status\":"
             "\"subscribed\",\"topic\":\"%s\"}}\n",
             topic, topic);
    kit_expect(fd, said, heard);
}

/* Registers as session id and type; the id that the server gave, static until the next call. */
static inline const char *kit_register(int fd, const char *session, const char *type)
{
    static char id[LN_BROKER_ID_MAX_BYTES + 1];
    char said[1024];

    snprintf(said, sizeof said,
             "{\"id\":\"r\",\"type\":\"request\",\"topic\":\"system:register\",\"payload\":"
             "{\"clientId\":\"%s\",\"clientName\":\"\",\"clientType\":\"%s\"}}",
             session, type);
    raw_send_text(fd, said);
    const char *const heard = kit_hear_any(fd);
    static const char begin[] = "{\"id\":\"r\",\"type\":\"response\",\"topic\":\"system:register\","
                                "\"payload\":{\"serverAssignedId\":\"";
    assert_memory_equal(heard, begin, sizeof begin - 1);
    const char *const from = heard + sizeof begin - 1;
    const size_t size = strcspn(from, "\"");
    assert_in_range(size, 1, LN_BROKER_ID_MAX_BYTES);
    memcpy(id, from, size);
    id[size] = '\0';
    return id;
}

/* ---- handlers ---- */

static inline int kit_on_echo(const ln_rpc_call *call, void *user)
{
    kit_world *const w = user;
    atomic_fetch_add(&w->calls, 1);
    return ln_rpc_result(&call->ticket, call->params);
}

static inline int kit_on_nothing(const ln_rpc_call *call, void *user)
{
    kit_world *const w = user;
    (void)call;
    atomic_fetch_add(&w->calls, 1);
    return 0;
}

static inline int kit_on_boom(const ln_rpc_call *call, void *user)
{
    (void)user;
    return ln_rpc_error(&call->ticket, 500, LN_SPAN("boom \"1\""), LN_SPAN(""));
}

/* Fails with the number that is its payload. */
static inline int kit_on_fail(const ln_rpc_call *call, void *user)
{
    double d = 0;
    (void)user;
    assert_int_equal(ln_json_number(call->params, &d), 0);
    return (int)d;
}

static inline int kit_on_later(const ln_rpc_call *call, void *user)
{
    kit_world *const w = user;
    const int at = atomic_load(&w->kept);
    w->tickets[at % (int)LN_ARRAY_SIZE(w->tickets)] = call->ticket;
    atomic_store(&w->kept, at + 1);
    return LN_ERR_AGAIN;
}

/* Blocks until it is told not to. */
static inline int kit_on_slow(const ln_rpc_call *call, void *user)
{
    kit_world *const w = user;
    assert_null(call->conn);
    atomic_fetch_add(&w->begun, 1);
    for (int i = 0; i < 5000 && atomic_load(&w->is_free) == 0; i++)
        kit_rest_ms(1);
    atomic_fetch_add(&w->calls, 1);
    return ln_rpc_result(&call->ticket, call->params);
}

static inline void kit_on_reply(const ln_rpc_reply *reply, void *user)
{
    kit_world *const w = user;
    snprintf(w->reply, sizeof w->reply, "%.*s|%lld|%.*s", (int)reply->result.size,
             (const char *)reply->result.data, (long long)reply->code, (int)reply->message.size,
             (const char *)reply->message.data);
    atomic_store(&w->reply_error, reply->error);
    atomic_fetch_add(&w->replies, 1);
}

static inline void kit_on_publication(ln_broker *broker, const ln_broker_publication *p, void *user)
{
    kit_world *const w = user;
    assert_ptr_equal(broker, w->broker);
    snprintf(w->publication, sizeof w->publication, "%.*s|%.*s|%d|%d", (int)p->topic.size,
             (const char *)p->topic.data, (int)p->payload.size, (const char *)p->payload.data,
             p->kind, p->publisher != 0);
    atomic_fetch_add(&w->heard, 1);
}

static inline void kit_on_connect(ln_conn *c, const ln_request *request, void *user)
{
    kit_world *const w = user;
    (void)request;
    ln_conn_set_user(c, w);
    atomic_store(&w->last, ln_conn_get_id(c));
    atomic_fetch_add(&w->connects, 1);
}

static inline void kit_on_registered(ln_conn *c, const ln_broker_info *client, void *user)
{
    kit_world *const w = user;
    assert_true(client->is_registered && client->conn == ln_conn_get_id(c));
    (void)atomic_load(&w->registrations); /* behind what another worker has written below */
    snprintf(w->registered, sizeof w->registered, "%.*s|%.*s|%.*s|%.*s",
             (int)client->session_id.size, (const char *)client->session_id.data,
             (int)client->name.size, (const char *)client->name.data, (int)client->type.size,
             (const char *)client->type.data, (int)client->url.size,
             (const char *)client->url.data);
    atomic_fetch_add(&w->registrations, 1);
}

static inline void kit_on_disconnect(ln_conn *c, const ln_broker_info *client,
                                     const ln_close_info *info, void *user)
{
    kit_world *const w = user;
    (void)info;
    assert_ptr_equal(ln_conn_user(c), w);
    atomic_store(&w->gone, client->conn);
    atomic_fetch_add(&w->disconnects, 1);
}

/* Nothing that begins with "secret", and proxies while they are allowed. */
static inline bool kit_allow(const ln_broker_wish *wish, void *user)
{
    const kit_world *const w = user;
    if (wish->act == LN_BROKER_PROXY)
        return atomic_load(&w->allows_proxy);
    return wish->topic.size < 6 || memcmp(wish->topic.data, "secret", 6) != 0;
}

/* ---- worlds ---- */

static inline kit_world *kit_start(unsigned workers, const ln_broker_options *asked,
                                   const ln_allocator *alloc)
{
    kit_world *const w = calloc(1, sizeof *w);
    const ln_server_options options = {
        .workers = workers, .log = kit_quiet, .drain_ms = 2000, .allocator = alloc};
    ln_broker_options o = {.allow = kit_allow,
                           .on_connect = kit_on_connect,
                           .on_registered = kit_on_registered,
                           .on_disconnect = kit_on_disconnect};
    static const struct {
        const char *topic;
        ln_rpc_handler *handler;
    } handlers[] = {{"echo", kit_on_echo},
                    {"nothing", kit_on_nothing},
                    {"boom", kit_on_boom},
                    {"fail", kit_on_fail},
                    {"later", kit_on_later}};

    if (asked != NULL) {
        o.request_ms = asked->request_ms;
        o.drops_max = asked->drops_max;
        o.ws = asked->ws;
    }
    o.user = w;
    w->server = ln_server_new(&options);
    assert_non_null(w->server);
    assert_int_equal(ln_broker_mount(w->server, "/wsmq", &o, &w->broker), 0);
    assert_int_equal(ln_rooms_mount(w->server, "/rooms", NULL), 0);
    for (size_t i = 0; i < LN_ARRAY_SIZE(handlers); i++)
        assert_int_equal(ln_broker_handle(w->broker, handlers[i].topic, handlers[i].handler, w), 0);
    assert_int_equal(ln_broker_handle_blocking(w->broker, "slow", kit_on_slow, w), 0);
    w->port = kit_serve(w->server);
    return w;
}

static inline void kit_stop(kit_world *w)
{
    kit_end(w->server);
    free(w);
}

static inline int kit_set_up_one(void **state)
{
    *state = kit_start(1, NULL, NULL);
    return 0;
}

static inline int kit_set_up_three(void **state)
{
    *state = kit_start(3, NULL, NULL);
    return 0;
}

static inline int kit_tear_down(void **state)
{
    kit_stop(*state);
    return 0;
}

#define KIT_ONE(test)   cmocka_unit_test_setup_teardown(test, kit_set_up_one, kit_tear_down)
#define KIT_THREE(test) cmocka_unit_test_setup_teardown(test, kit_set_up_three, kit_tear_down)

#endif
