/* SPDX-License-Identifier: MIT */
/* The command dialect (linnet/command.h) as its peers see it, with one worker and with three. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <linnet/command.h>
#include <linnet/linnet.h>
#include <linnet/rooms.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>

#include "base/text.h"
#include "dialect/commandinner.h"
#include "failing_alloc.h"
#include "raw_client.h"
#include "server_kit.h"

enum { BURST = 200, ECHO = 1, FAREWELL = 2, WELCOME = 3, WHO = 4, JOIN = 5, SAY = 6, SPREAD = 7 };

typedef struct world {
    ln_server *server;
    ln_command *game;
    int port;
    atomic_int connects, disconnects, voluntary, code, error;
    atomic_int others;         /* handled by what the tests register */
    atomic_int begun, is_free; /* of handlers that block */
    _Atomic ln_conn_id last;
} world;

/* ---- handlers ---- */

static void on_echo(ln_conn *c, uint32_t id, ln_span payload, void *user)
{
    world *const w = user;
    assert_true(ln_command_send(w->game, ln_conn_get_id(c), id, payload) >= 0);
}

static void on_farewell(ln_conn *c, uint32_t id, ln_span payload, void *user)
{
    world *const w = user;
    char text[64];
    (void)payload;
    for (int i = 0; i < BURST; i++) {
        const int n = snprintf(text, sizeof text, "%d", i);
        assert_true(ln_command_send(w->game, ln_conn_get_id(c), id, (ln_span){text, (size_t)n}) >=
                    0);
    }
    assert_int_equal(ln_conn_close(c, 4001, LN_SPAN("bye")), 0);
    assert_int_equal(ln_command_send(w->game, ln_conn_get_id(c), id, LN_SPAN("late")),
                     LN_ERR_CLOSED);
}

static void on_who(ln_conn *c, uint32_t id, ln_span payload, void *user)
{
    world *const w = user;
    (void)payload;
    assert_string_equal((const char *)ln_conn_user(c), "mine");
    (void)ln_command_send(w->game, ln_conn_get_id(c), id, ln_command_uuid(c));
}

static void on_join(ln_conn *c, uint32_t id, ln_span payload, void *user)
{
    world *const w = user;
    assert_int_equal(ln_conn_subscribe(c, payload), 0);
    (void)ln_command_send(w->game, ln_conn_get_id(c), id, payload);
}

/* To the room "arena", without who says it. */
static void on_say(ln_conn *c, uint32_t id, ln_span payload, void *user)
{
    world *const w = user;
    assert_int_equal(ln_command_publish(w->game, LN_SPAN("arena"), id, payload, ln_conn_get_id(c)),
                     0);
}

static void on_spread(ln_conn *c, uint32_t id, ln_span payload, void *user)
{
    world *const w = user;
    (void)c;
    assert_int_equal(ln_command_publish(w->game, LN_SPAN(""), id, payload, 0), 0);
}

static void on_other(ln_conn *c, uint32_t id, ln_span payload, void *user)
{
    (void)c;
    (void)id;
    (void)payload;
    atomic_fetch_add((atomic_int *)user, 1);
}

/* Blocks until it is told not to, then answers. */
static void on_slow(ln_command *game, ln_conn_id conn, uint32_t id, ln_span payload, void *user)
{
    world *const w = user;
    atomic_fetch_add(&w->begun, 1);
    for (int i = 0; i < 5000 && atomic_load(&w->is_free) == 0; i++)
        kit_rest_ms(1);
    (void)ln_command_send(game, conn, id, payload);
}

static void on_connect(ln_conn *c, const ln_request *request, void *user)
{
    world *const w = user;
    assert_true(ln_text_equal(ln_request_path(request), LN_SPAN("/ws")));
    ln_conn_set_user(c, "mine");
    atomic_store(&w->last, ln_conn_get_id(c));
    /* it is a member already: what it publishes to everybody it gets */
    assert_true(ln_command_send(w->game, ln_conn_get_id(c), WELCOME, LN_SPAN("hello")) >= 0);
    atomic_fetch_add(&w->connects, 1);
}

static void on_disconnect(ln_conn *c, bool is_voluntary, const ln_close_info *info, void *user)
{
    world *const w = user;
    assert_int_equal(ln_command_uuid(c).size, 36);
    assert_string_equal((const char *)ln_conn_user(c), "mine");
    assert_int_equal(ln_command_send(w->game, ln_conn_get_id(c), 1, LN_SPAN("")), LN_ERR_CLOSED);
    assert_int_equal(ln_command_publish(w->game, LN_SPAN(""), 99, LN_SPAN("left"), 0), 0);
    atomic_store(&w->voluntary, is_voluntary);
    atomic_store(&w->code, info->code);
    atomic_store(&w->error, info->error);
    atomic_fetch_add(&w->disconnects, 1);
}

static void on_request(ln_request *request, void *user)
{
    (void)user;
    if (ln_request_query(request).size > 0)
        (void)ln_request_reply(request, 401, NULL, LN_SPAN(""));
}

/* ---- worlds ---- */

static const ln_command_bridge bridges[] = {
    {.id = 0x0200, .topic = "lobby", .kind = LN_TEXT},
    {.id = 0x0201, .topic = "stream", .kind = LN_BINARY},
};

static int set_up(void **state, unsigned workers)
{
    world *const w = calloc(1, sizeof *w);
    const ln_server_options options = {.workers = workers, .log = kit_quiet, .drain_ms = 2000};
    const ln_command_options game = {.on_request = on_request,
                                     .on_connect = on_connect,
                                     .on_disconnect = on_disconnect,
                                     .bridges = bridges,
                                     .bridge_count = LN_ARRAY_SIZE(bridges),
                                     .user = w};
    const ln_command_bridge other_bridge = {.id = 0x0300, .topic = "lobby", .kind = LN_TEXT};
    const ln_command_options other = {.bridges = &other_bridge, .bridge_count = 1};
    const ln_command_options slow = {.rate = {.per_second = 1, .burst = 3}};
    ln_command *more;

    w->server = ln_server_new(&options);
    assert_non_null(w->server);
    assert_int_equal(ln_command_mount(w->server, "/ws", &game, &w->game), 0);
    assert_int_equal(ln_command_mount(w->server, "/other", &other, &more), 0);
    assert_int_equal(ln_command_mount(w->server, "/slow", &slow, &more), 0);
    assert_int_equal(ln_rooms_mount(w->server, "/rooms", NULL), 0);
    static const struct {
        uint32_t id;
        ln_command_handler *handler;
    } handlers[] = {{ECHO, on_echo}, {FAREWELL, on_farewell}, {WHO, on_who},
                    {JOIN, on_join}, {SAY, on_say},           {SPREAD, on_spread}};
    for (size_t i = 0; i < LN_ARRAY_SIZE(handlers); i++)
        assert_int_equal(ln_command_on(w->game, handlers[i].id, handlers[i].handler, w), 0);
    assert_int_equal(ln_server_listen(w->server, "127.0.0.1:0"), 0);
    w->port = ln_server_port(w->server, 0);
    assert_int_equal(ln_command_publish(w->game, LN_SPAN(""), 1, LN_SPAN(""), 0), LN_ERR_STATE);
    assert_int_equal(ln_server_start(w->server), 0);
    assert_int_equal(ln_command_mount(w->server, "/late", NULL, &more), LN_ERR_STATE);
    *state = w;
    return 0;
}

static int set_up_one(void **state)
{
    return set_up(state, 1);
}

static int set_up_three(void **state)
{
    return set_up(state, 3);
}

static int tear_down(void **state)
{
    world *const w = *state;
    kit_end(w->server);
    free(w);
    return 0;
}

/* ---- peers ---- */

static int enter_at(const world *w, const char *target)
{
    return raw_enter(w->port, target, "");
}

static void hear(int fd, uint32_t id, const void *payload, size_t n)
{
    uint8_t head[4];
    const raw_frame f = raw_read_frame(fd);

    ln_store_be32(head, id);
    assert_int_equal(f.first, 0x82);
    assert_int_equal(f.size, n + 4);
    assert_memory_equal(f.payload, head, 4);
    assert_memory_equal(f.payload + 4, payload, n);
}

static void hear_text(int fd, uint32_t id, const char *text)
{
    hear(fd, id, text, strlen(text));
}

static int enter(const world *w)
{
    const int fd = enter_at(w, "/ws");
    hear_text(fd, WELCOME, "hello");
    return fd;
}

static void say_as(int fd, uint8_t first, uint32_t id, const void *payload, size_t n)
{
    uint8_t *const bytes = malloc(n + 4);
    ln_store_be32(bytes, id);
    memcpy(bytes + 4, payload, n);
    raw_send_frame(fd, first, bytes, n + 4);
    free(bytes);
}

static void say(int fd, uint32_t id, const char *text)
{
    say_as(fd, 0x82, id, text, strlen(text));
}

static void expect_silence(int fd)
{
    say(fd, ECHO, "still there");
    hear_text(fd, ECHO, "still there");
}

static void expect_close(int fd, uint16_t code, const char *reason)
{
    const raw_frame f = raw_read_frame(fd);
    assert_int_equal(raw_close_code(f), code);
    assert_string_equal((const char *)f.payload + 2, reason);
}

static ln_command_stats stats_of(const ln_command *game)
{
    ln_command_stats stats;
    ln_command_stats_get(game, &stats);
    return stats;
}

/* ---- commands ---- */

static void what_is_sent_comes_to_the_handler_and_back_in_binary(void **state)
{
    world *const w = *state;
    const int fd = enter(w);
    static const uint32_t ids[] = {0, 1, 0x42, 0x0100, 0x01020304, 0xff000000, 0xfffffffd};

    for (size_t i = 0; i < LN_ARRAY_SIZE(ids); i++) {
        assert_int_equal(ln_command_on(w->game, ids[i], on_echo, w), 0);
        say(fd, ids[i], "hello");
        hear_text(fd, ids[i], "hello");
        say(fd, ids[i], "");
        hear_text(fd, ids[i], "");
    }
    say_as(fd, 0x81, 0x42, "text", 4);
    hear_text(fd, 0x42, "text");
    uint8_t bytes[256];
    for (int i = 0; i < 256; i++)
        bytes[i] = (uint8_t)i;
    say_as(fd, 0x82, ECHO, bytes, sizeof bytes);
    hear(fd, ECHO, bytes, sizeof bytes);
    /* in pieces, one of them within the id */
    raw_send_frame(fd, 0x02, "\0\0", 2);
    raw_send_frame(fd, 0x00, "\0", 1);
    raw_send_frame(fd, 0x89, "p", 1);
    assert_int_equal(raw_read_frame(fd).first, 0x8a);
    raw_send_frame(fd, 0x00, "\x01wh", 3);
    raw_send_frame(fd, 0x80, "ole", 3);
    hear_text(fd, ECHO, "whole");
    raw_close(fd);
}

static void what_is_too_short_is_closed_with_1002(void **state)
{
    world *const w = *state;
    for (size_t n = 0; n < 4; n++) {
        const int fd = enter(w);
        raw_send_frame(fd, n % 2 == 0 ? 0x82 : 0x81, "\0\0\0", n);
        expect_close(fd, 1002, "Invalid message format");
        raw_close(fd);
    }
    kit_wait_for(&w->disconnects, 4);
    assert_int_equal(atomic_load(&w->voluntary), 0);
    assert_int_equal(stats_of(w->game).malformed_total, 4);
}

static void a_payload_has_a_largest_size_both_ways(void **state)
{
    enum { MOST = LN_COMMAND_PAYLOAD_MAX_BYTES };
    world *const w = *state;
    const int fd = enter(w);
    char *const bytes = calloc(1, MOST + 1);
    uint8_t head[14] = {0x82, 0xff};

    assert_int_equal(ln_command_on(w->game, 100, on_other, &w->others), 0);
    say_as(fd, 0x82, 100, bytes, MOST);
    kit_wait_for(&w->others, 1);
    assert_int_equal(ln_command_send(w->game, atomic_load(&w->last), 1, (ln_span){bytes, MOST + 1}),
                     LN_ERR_LIMIT);
    assert_int_equal(ln_command_publish(w->game, LN_SPAN(""), 1, (ln_span){bytes, MOST + 1}, 0),
                     LN_ERR_LIMIT);
    /* refused by what is announced, before it has come */
    ln_store_be64(head + 2, 4 + MOST + 1);
    raw_send(fd, head, sizeof head);
    assert_int_equal(raw_close_code(raw_read_frame(fd)), 1009);
    raw_close(fd);
    free(bytes);
}

static void what_nobody_handles_is_passed_over_and_counted(void **state)
{
    world *const w = *state;
    const int fd = enter(w);

    say(fd, 77, "x");
    say(fd, LN_COMMAND_RPC_ERROR, "x");
    expect_silence(fd);
    assert_int_equal(stats_of(w->game).unknown_total, 1);
    assert_int_equal(stats_of(w->game).reserved_total, 1);
    assert_int_equal(stats_of(w->game).clients, 1);
    raw_close(fd);
}

static void reserved_ids_have_no_handler(void **state)
{
    world *const w = *state;
    assert_int_equal(ln_command_on(w->game, LN_COMMAND_RPC, on_echo, w), LN_ERR_INVALID);
    assert_int_equal(ln_command_on(w->game, LN_COMMAND_RPC_ERROR, on_echo, w), LN_ERR_INVALID);
    const ln_command_range bad[] = {
        {.first = 5, .last = LN_COMMAND_RPC_ERROR, .handler = on_echo},
        {.first = 5, .last = 4, .handler = on_echo},
        {.first = 5, .last = 5, .handler = on_echo, .blocking = on_slow},
    };
    for (size_t i = 0; i < LN_ARRAY_SIZE(bad); i++)
        assert_int_equal(ln_command_on_range(w->game, &bad[i]), LN_ERR_INVALID);
}

/* One letter for the handler of each of the ids 0 to 9, '-' for none. */
static void assert_handlers(const ln_command *game, const char *wanted)
{
    char got[11] = "";
    for (uint32_t id = 0; id < 10; id++) {
        const ln_command_range *const range = ln_command_find(game, id);
        got[id] = range == NULL ? '-' : *(const char *)range->user;
    }
    assert_string_equal(got, wanted);
}

static void the_latest_registration_counts(void **state)
{
    ln_server *const server = ln_server_new(NULL);
    ln_command *g;
    (void)state;

    assert_int_equal(ln_command_mount(server, "/ws", NULL, &g), 0);
    static const struct {
        uint32_t first, last;
        const char *name; /* NULL: taken away */
        const char *then;
    } steps[] = {
        {3, 6, "a", "---aaaa---"},  {5, 8, "b", "---aabbbb-"},  {0, 0, "c", "c--aabbbb-"},
        {4, 5, "d", "c--addbbb-"},  {9, 9, "e", "c--addbbbe"},  {3, 3, NULL, "c---ddbbbe"},
        {6, 7, NULL, "c---dd--be"}, {1, 8, "f", "cffffffffe"},  {5, 5, "g", "cffffgfffe"},
        {5, 5, "h", "cffffhfffe"},  {0, 9, NULL, "----------"}, {0, 9, NULL, "----------"},
        {9, 9, "i", "---------i"},  {0, 0, "j", "j--------i"},  {0, 9, "k", "kkkkkkkkkk"},
    };
    for (size_t i = 0; i < LN_ARRAY_SIZE(steps); i++) {
        const ln_command_range range = {.first = steps[i].first,
                                        .last = steps[i].last,
                                        .handler = steps[i].name == NULL ? NULL : on_echo,
                                        .user = (void *)(uintptr_t)steps[i].name};
        assert_int_equal(ln_command_on_range(g, &range), 0);
        assert_handlers(g, steps[i].then);
    }
    ln_server_free(server);
}

static void handlers_and_bridges_are_bounded(void **state)
{
    ln_server *const server = ln_server_new(NULL);
    ln_command_bridge list[LN_COMMAND_BRIDGES_MAX + 1];
    char topics[LN_COMMAND_BRIDGES_MAX + 1][8];
    ln_command *g;
    (void)state;

    for (unsigned i = 0; i <= LN_COMMAND_BRIDGES_MAX; i++) {
        snprintf(topics[i], sizeof topics[i], "t%u", i);
        list[i] = (ln_command_bridge){.id = i, .topic = topics[i], .kind = LN_TEXT};
    }
    ln_command_options o = {.bridges = list, .bridge_count = LN_COMMAND_BRIDGES_MAX + 1};
    assert_int_equal(ln_command_mount(server, "/ws", &o, &g), LN_ERR_LIMIT);
    o.bridge_count--;
    assert_int_equal(ln_command_mount(server, "/ws", &o, &g), 0);
    for (uint32_t i = 0; i < LN_COMMAND_RANGES_MAX; i++)
        assert_int_equal(ln_command_on(g, 2 * i, on_echo, NULL), 0);
    assert_int_equal(ln_command_on(g, 1, on_echo, NULL), LN_ERR_LIMIT);
    assert_int_equal(ln_command_on(g, 0, on_who, NULL), 0);
    assert_int_equal(ln_command_on(g, 0, NULL, NULL), 0);
    assert_int_equal(ln_command_on(g, 1, on_echo, NULL), 0);
    ln_server_free(server);
}

static void bad_options_are_refused(void **state)
{
    ln_server *const server = ln_server_new(NULL);
    ln_command *g;
    (void)state;
    static const ln_command_bridge bad_bridges[] = {
        {.id = LN_COMMAND_RPC_ERROR, .topic = "t", .kind = LN_TEXT},
        {.id = 1, .topic = "", .kind = LN_TEXT},
        {.id = 1, .topic = NULL, .kind = LN_TEXT},
        {.id = 1, .topic = "$linnet.x", .kind = LN_TEXT},
        {.id = 1, .topic = "a\n", .kind = LN_TEXT},
        {.id = 1, .topic = "a.*", .kind = LN_TEXT},
        {.id = 1, .topic = "t", .kind = (enum ln_kind)0},
    };
    for (size_t i = 0; i < LN_ARRAY_SIZE(bad_bridges); i++) {
        const ln_command_options o = {.bridges = &bad_bridges[i], .bridge_count = 1};
        assert_int_equal(ln_command_mount(server, "/ws", &o, &g), LN_ERR_INVALID);
    }
    const ln_command_bridge twice[] = {{.id = 1, .topic = "t", .kind = LN_TEXT},
                                       {.id = 2, .topic = "t", .kind = LN_TEXT}};
    const ln_command_options two = {.bridges = twice, .bridge_count = 2};
    assert_int_equal(ln_command_mount(server, "/ws", &two, &g), LN_ERR_INVALID);
    const ln_command_options fast = {.rate = {.per_second = 1000001}};
    assert_int_equal(ln_command_mount(server, "/ws", &fast, &g), LN_ERR_INVALID);
    const ln_ws_options large = {.message_max_bytes = LN_COMMAND_PAYLOAD_MAX_BYTES + 5};
    const ln_command_options too_large = {.ws = &large};
    assert_int_equal(ln_command_mount(server, "/ws", &too_large, &g), LN_ERR_INVALID);
    assert_int_equal(ln_command_mount(server, "ws", NULL, &g), LN_ERR_INVALID);
    assert_int_equal(ln_command_mount(server, "/a.*", NULL, &g), LN_ERR_INVALID);
    char path[300] = "/";
    memset(path + 1, 'p', sizeof path - 2);
    assert_int_equal(ln_command_mount(server, path, NULL, &g), LN_ERR_INVALID);
    assert_int_equal(ln_command_mount(server, "/ws", NULL, &g), 0);
    assert_int_equal(ln_command_mount(server, "/ws", NULL, &g), LN_ERR_EXISTS);
    ln_server_free(server);
}

static void handlers_can_be_replaced_while_it_runs(void **state)
{
    world *const w = *state;
    int fds[6];

    for (int i = 0; i < 6; i++)
        fds[i] = enter(w);
    for (int round = 0; round < 4; round++) {
        atomic_store(&w->others, 0);
        ln_command_range range = {
            .first = 500, .last = 600, .handler = on_other, .user = &w->others};
        assert_int_equal(ln_command_on_range(w->game, &range), 0);
        assert_int_equal(ln_command_on(w->game, 550, on_echo, w), 0);
        for (int i = 0; i < 6; i++) {
            say(fds[i], 549, "");
            say(fds[i], 550, "x");
            hear_text(fds[i], 550, "x");
        }
        assert_int_equal(atomic_load(&w->others), 6);
        range.handler = NULL;
        assert_int_equal(ln_command_on_range(w->game, &range), 0);
        kit_rest_ms(45); /* within the default rate */
    }
    for (int i = 0; i < 6; i++)
        raw_close(fds[i]);
}

/* ---- clients ---- */

static void a_client_has_a_name_of_its_own(void **state)
{
    world *const w = *state;
    char names[8][37];
    for (int i = 0; i < 8; i++) {
        const int fd = enter(w);
        say(fd, WHO, "");
        const raw_frame f = raw_read_frame(fd);
        assert_int_equal(f.size, 40);
        memcpy(names[i], f.payload + 4, 37);
        for (int k = 0; k < 36; k++)
            assert_true(k == 8 || k == 13 || k == 18 || k == 23
                            ? names[i][k] == '-'
                            : strchr("0123456789abcdef", names[i][k]) != NULL);
        assert_int_equal(names[i][14], '4');
        assert_non_null(strchr("89ab", names[i][19]));
        for (int k = 0; k < i; k++)
            assert_string_not_equal(names[i], names[k]);
        raw_close(fd);
    }
}

static void who_ends_it_is_told(void **state)
{
    world *const w = *state;
    static const struct {
        const char *frame;
        size_t size;
        int voluntary, code;
    } ways[] = {
        {"\x03\xe8reason", 8, 1, 1000},
        {"\x0f\xa0", 2, 1, 4000},
        {"", 0, 1, 1005},
        {NULL, 0, 0, 1006},
    };
    for (size_t i = 0; i < LN_ARRAY_SIZE(ways); i++) {
        const int fd = enter(w);
        if (ways[i].frame != NULL)
            raw_send_frame(fd, 0x88, ways[i].frame, ways[i].size);
        else
            raw_close(fd);
        kit_wait_for(&w->disconnects, (int)i + 1);
        assert_int_equal(atomic_load(&w->voluntary), ways[i].voluntary);
        assert_int_equal(atomic_load(&w->code), ways[i].code);
        if (ways[i].frame != NULL)
            raw_close(fd);
    }
    int fd = enter(w);
    raw_send_frame(fd, 0x83, "", 0); /* a violation */
    kit_wait_for(&w->disconnects, 5);
    assert_int_equal(atomic_load(&w->voluntary), 0);
    assert_int_equal(atomic_load(&w->error), LN_ERR_PROTOCOL);
    raw_close(fd);
    fd = enter(w);
    say(fd, FAREWELL, "");
    for (int i = 0; i < BURST; i++)
        assert_int_equal(raw_read_frame(fd).first, 0x82);
    expect_close(fd, 4001, "bye");
    raw_send_frame(fd, 0x88, "\x0f\xa1", 2);
    kit_wait_for(&w->disconnects, 6);
    assert_int_equal(atomic_load(&w->voluntary), 0);
    assert_int_equal(atomic_load(&w->connects), 6);
    raw_close(fd);
}

static void a_close_flushes_what_was_sent_before(void **state)
{
    world *const w = *state;
    for (int round = 0; round < 50; round++) {
        const int fd = enter(w);
        char text[16];
        say(fd, FAREWELL, "");
        for (int i = 0; i < BURST; i++) {
            snprintf(text, sizeof text, "%d", i);
            hear_text(fd, FAREWELL, text);
        }
        expect_close(fd, 4001, "bye");
        raw_close(fd);
    }
    kit_wait_for(&w->disconnects, 50);
}

static void a_client_can_be_refused_before_it_is_one(void **state)
{
    world *const w = *state;
    const int fd = raw_connect(w->port);
    assert_non_null(strstr(raw_upgrade(fd, "/ws?token=bad", ""), " 401 "));
    raw_close(fd);
    const int foreign = raw_connect(w->port);
    assert_non_null(strstr(raw_upgrade(foreign, "/ws", "Origin: http://elsewhere\r\n"), " 403 "));
    raw_close(foreign);
    assert_int_equal(atomic_load(&w->connects), 0);
}

static void a_client_over_its_rate_is_sent_away(void **state)
{
    world *const w = *state;
    int fd = enter_at(w, "/slow");

    /* pings do not count */
    for (int i = 0; i < 5; i++) {
        raw_send_frame(fd, 0x89, "", 0);
        assert_int_equal(raw_read_frame(fd).first, 0x8a);
    }
    for (int i = 0; i < 4; i++)
        say(fd, 9, "");
    expect_close(fd, 1008, "Rate limit exceeded");
    raw_close(fd);

    /* each call of a batch counts */
    fd = enter_at(w, "/slow");
    say(fd, LN_COMMAND_RPC, "[1,2,3]");
    assert_int_equal(raw_read_frame(fd).first, 0x82);
    say(fd, 9, "");
    expect_close(fd, 1008, "Rate limit exceeded");
    raw_close(fd);
    fd = enter_at(w, "/slow");
    say(fd, LN_COMMAND_RPC, "[1,2,3,4]");
    expect_close(fd, 1008, "Rate limit exceeded");
    raw_close(fd);

    /* the default: what comes after the 200th at once, and the reason can be read */
    fd = enter(w);
    for (int i = 0; i < BURST + 40; i++)
        say(fd, ECHO, "x");
    raw_frame f = raw_read_frame(fd);
    int echoes = 0;
    for (; f.first == 0x82; echoes++)
        f = raw_read_frame(fd);
    assert_in_range(echoes, BURST, BURST + 39);
    assert_int_equal(raw_close_code(f), 1008);
    assert_string_equal((const char *)f.payload + 2, "Rate limit exceeded");
    assert_int_equal(stats_of(w->game).rate_limited_total, 1);
    raw_close(fd);
}

/* ---- many ---- */

static void everybody_gets_what_is_published_to_all(void **state)
{
    world *const w = *state;
    int fds[12];

    for (int i = 0; i < 12; i++)
        fds[i] = enter(w);
    say(fds[3], SPREAD, "from a client");
    for (int i = 0; i < 12; i++)
        hear_text(fds[i], SPREAD, "from a client");
    /* from a thread of none of the workers, in order, and not to one */
    for (int k = 0; k < 20; k++) {
        char text[16];
        const int n = snprintf(text, sizeof text, "%d", k);
        assert_int_equal(ln_command_publish(w->game, LN_SPAN(""), 0xfffffffd,
                                            (ln_span){text, (size_t)n},
                                            k % 2 == 1 ? atomic_load(&w->last) : 0),
                         0);
    }
    for (int i = 0; i < 12; i++) {
        for (int k = 0; k < 20; k += i == 11 ? 2 : 1) {
            char text[16];
            snprintf(text, sizeof text, "%d", k);
            hear_text(fds[i], 0xfffffffd, text);
        }
    }
    for (int i = 0; i < 12; i++)
        raw_close(fds[i]);
}

static void rooms_are_topics(void **state)
{
    world *const w = *state;
    int fds[6];

    for (int i = 0; i < 6; i++) {
        fds[i] = enter(w);
        say(fds[i], JOIN, i % 2 == 0 ? "arena" : "elsewhere");
        hear_text(fds[i], JOIN, i % 2 == 0 ? "arena" : "elsewhere");
    }
    say(fds[2], SAY, "to the others in it");
    hear_text(fds[0], SAY, "to the others in it");
    hear_text(fds[4], SAY, "to the others in it");
    for (int i = 0; i < 6; i++)
        expect_silence(fds[i]);
    /* who publishes there without a command has nothing for clients of this dialect */
    assert_int_equal(ln_publish(w->server, LN_SPAN("arena"), LN_TEXT, LN_SPAN("plain")), 0);
    for (int i = 0; i < 6; i++)
        expect_silence(fds[i]);
    assert_int_equal(stats_of(w->game).unsuitable_total, 3);
    assert_int_equal(ln_command_publish(w->game, LN_SPAN("$linnet.x"), 1, LN_SPAN(""), 0),
                     LN_ERR_INVALID);
    assert_int_equal(ln_command_publish(w->game, LN_SPAN("a\nb"), 1, LN_SPAN(""), 0),
                     LN_ERR_INVALID);
    assert_int_equal(ln_command_publish(w->game, LN_SPAN("a.>"), 1, LN_SPAN(""), 0),
                     LN_ERR_INVALID);
    for (int i = 0; i < 6; i++)
        raw_close(fds[i]);
}

static void bridges_join_dialects_both_ways(void **state)
{
    world *const w = *state;
    const int a = enter(w), b = enter(w), page = enter_at(w, "/rooms?room=lobby");
    const int other = enter_at(w, "/other");

    expect_silence(a);
    raw_send_text(page, "from a page");
    hear_text(a, 0x0200, "from a page");
    hear_text(b, 0x0200, "from a page");
    hear_text(other, 0x0300, "from a page");
    raw_frame f = raw_read_frame(page);
    assert_int_equal(f.first, 0x81);
    say(a, 0x0200, "from \xc3\xa4 game");
    hear_text(a, 0x0200, "from \xc3\xa4 game");
    hear_text(b, 0x0200, "from \xc3\xa4 game");
    f = raw_read_frame(page);
    assert_int_equal(f.first, 0x81);
    assert_string_equal((const char *)f.payload, "from \xc3\xa4 game");
    /* what is no text does not become one */
    say(a, 0x0200, "\xff");
    expect_silence(a);
    assert_int_equal(stats_of(w->game).unsuitable_total, 1);
    /* a handler goes before */
    assert_int_equal(ln_command_on(w->game, 0x0200, on_other, &w->others), 0);
    say(a, 0x0200, "kept");
    expect_silence(a);
    assert_int_equal(atomic_load(&w->others), 1);
    expect_silence(b);
    /* from outside, as bytes */
    const int stream = enter_at(w, "/rooms?room=stream");
    assert_int_equal(ln_command_on(w->game, 0x0200, NULL, NULL), 0);
    say(a, 0x0201, "\xff\xfe");
    hear(a, 0x0201, "\xff\xfe", 2);
    f = raw_read_frame(stream);
    assert_int_equal(f.first, 0x82);
    assert_memory_equal(f.payload, "\xff\xfe", 2);
    raw_close(a);
    raw_close(b);
    raw_close(page);
    raw_close(other);
    raw_close(stream);
}

/* A publication as other dialects may make them: with an event, in the name of a connection. */
typedef struct foreign {
    world *w;
    const char *topic, *event, *text;
    atomic_int is_out;
} foreign;

static void publish_foreign(void *arg)
{
    foreign *const f = arg;
    ln_server *const server = f->w->server;
    ln_msg *const m = ln_msg_new(server->alloc, LN_MSG_TEXT, ln_text(f->topic), ln_text(f->event),
                                 ln_text(f->text), UINT64_C(1) << 40);
    assert_int_equal(ln_topics_publish(&server->workers[0].home, m, NULL), 0);
    ln_msg_unref(m);
    atomic_store(&f->is_out, 1);
}

static void from_elsewhere(world *w, const char *topic, const char *event, const char *text)
{
    foreign f = {.w = w, .topic = topic, .event = event, .text = text};
    assert_int_equal(ln_server_post(w->server, 0, publish_foreign, &f), 0);
    kit_wait_for(&f.is_out, 1);
}

static void other_dialects_do_not_choose_the_command(void **state)
{
    static const char *const events[] = {"3", "4294967295", "4294967294", "chat"};
    world *const w = *state;
    const int a = enter(w), other = enter_at(w, "/other");

    say(a, JOIN, "arena");
    hear_text(a, JOIN, "arena");
    expect_silence(a);
    /* to each endpoint as its own bridge has it */
    say(a, 0x0200, "from a");
    hear_text(a, 0x0200, "from a");
    hear_text(other, 0x0300, "from a");
    for (size_t i = 0; i < LN_ARRAY_SIZE(events); i++) {
        from_elsewhere(w, "lobby", events[i], "{}");
        hear_text(a, 0x0200, "{}");
        hear_text(other, 0x0300, "{}");
    }
    /* where there is no bridge there is no way */
    for (size_t i = 0; i < LN_ARRAY_SIZE(events); i++)
        from_elsewhere(w, "arena", events[i], "{}");
    expect_silence(a);
    assert_int_equal(stats_of(w->game).unsuitable_total, LN_ARRAY_SIZE(events));
    /* the application does as it likes */
    assert_int_equal(ln_command_publish(w->game, LN_SPAN("lobby"), 7, LN_SPAN("z"), 0), 0);
    hear_text(a, 7, "z");
    hear_text(other, 7, "z");
    assert_int_equal(ln_command_publish(w->game, LN_SPAN(""), LN_COMMAND_RPC, LN_SPAN("{}"), 0), 0);
    hear_text(a, LN_COMMAND_RPC, "{}");
    raw_close(a);
    raw_close(other);
}

static void who_does_not_read_holds_up_nobody(void **state)
{
    enum { PIECE = 65536, PIECES_MAX = 2000 };
    world *const w = *state;
    const int deaf = enter(w), reader = enter(w);
    char *const piece = calloc(1, PIECE);
    bool is_told = false; /* by what on_disconnect publishes */

    for (int sent = 0; !is_told; sent++) {
        assert_true(sent < PIECES_MAX);
        assert_int_equal(ln_command_publish(w->game, LN_SPAN(""), 8, (ln_span){piece, PIECE}, 0),
                         0);
        raw_frame f = raw_read_frame(reader);
        for (; f.payload[3] != 8; f = raw_read_frame(reader)) {
            assert_string_equal((const char *)f.payload + 4, "left");
            is_told = true;
        }
        assert_int_equal(f.size, 4 + PIECE);
    }
    expect_silence(reader);
    assert_int_equal(atomic_load(&w->disconnects), 1);
    assert_int_equal(atomic_load(&w->voluntary), 0);
    assert_int_equal(atomic_load(&w->code), 1008);
    raw_close(deaf);
    raw_close(reader);
    kit_wait_for(&w->disconnects, 2);
    kit_rest_ms(20);
    assert_int_equal(atomic_load(&w->disconnects), 2);
    free(piece);
}

/* Keeps worker 0 from its mail for a while. */
static void on_nap(ln_conn *c, uint32_t id, ln_span payload, void *user)
{
    atomic_int *const is_over = user;
    (void)c;
    (void)id;
    (void)payload;
    for (int i = 0; i < 5000 && atomic_load(is_over) == 0; i++)
        kit_rest_ms(1);
}

static void what_other_threads_publish_is_bounded(void **state)
{
    world *const w = *state;
    const int fd = enter(w);
    atomic_int is_over;
    int rc = 0, posted = 0;

    atomic_init(&is_over, 0);
    assert_int_equal(ln_command_on(w->game, 70, on_nap, &is_over), 0);
    kit_rest_ms(20);
    say(fd, 70, "");
    kit_rest_ms(50);
    for (; posted <= LN_COMMAND_POSTED_MAX && rc == 0; posted += rc == 0)
        rc = ln_command_publish(w->game, LN_SPAN("nobody"), 1, LN_SPAN(""), 0);
    assert_int_equal(rc, LN_ERR_WOULD_EXCEED);
    assert_int_equal(posted, LN_COMMAND_POSTED_MAX);
    atomic_store(&is_over, 1);
    expect_silence(fd);
    kit_rest_ms(20);
    assert_int_equal(ln_command_publish(w->game, LN_SPAN("nobody"), 1, LN_SPAN(""), 0), 0);
    raw_close(fd);
}

static void *change_handlers(void *arg)
{
    world *const w = arg;
    for (uint32_t i = 0; i < 300; i++) {
        assert_int_equal(
            ln_command_on(w->game, 1000 + i % 7, i % 3 == 0 ? NULL : on_other, &w->others), 0);
        assert_int_equal(ln_command_publish(w->game, LN_SPAN("arena"), i, LN_SPAN("x"), 0), 0);
    }
    return NULL;
}

static void threads_may_change_everything_at_once(void **state)
{
    world *const w = *state;
    pthread_t threads[3];
    int fds[3];

    for (int i = 0; i < 3; i++)
        fds[i] = enter(w);
    for (int i = 0; i < 3; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, change_handlers, w), 0);
    for (int k = 0; k < 40; k++)
        for (int i = 0; i < 3; i++)
            say(fds[i], 1000 + (uint32_t)k % 7, "x");
    for (int i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
    for (int i = 0; i < 3; i++)
        expect_silence(fds[i]);
    for (int i = 0; i < 3; i++)
        raw_close(fds[i]);
}

/* ---- handlers that block ---- */

static void set_slow(world *w)
{
    const ln_command_range range = {.first = 80, .last = 89, .blocking = on_slow, .user = w};
    assert_int_equal(ln_command_on_range(w->game, &range), 0);
}

static void a_handler_that_blocks_holds_up_nobody_else(void **state)
{
    world *const w = *state;
    const int a = enter(w), b = enter(w);

    set_slow(w);
    for (uint32_t i = 0; i < 5; i++)
        say(a, 80 + i, "in order");
    kit_wait_for(&w->begun, 1);
    expect_silence(a); /* what does not block is not held up by it */
    say(b, 85, "beside");
    kit_wait_for(&w->begun, 2);
    expect_silence(b);
    kit_rest_ms(20);
    assert_int_equal(atomic_load(&w->begun), 2); /* one at a time of each client */
    atomic_store(&w->is_free, 1);
    for (uint32_t i = 0; i < 5; i++)
        hear_text(a, 80 + i, "in order");
    hear_text(b, 85, "beside");
    raw_close(a);
    raw_close(b);
}

static void who_gives_too_much_to_do_is_not_read(void **state)
{
    world *const w = *state;
    const int fd = enter(w);

    set_slow(w);
    for (int i = 0; i < LN_COMMAND_JOBS_MAX + 10; i++)
        say(fd, 80, "x");
    say(fd, ECHO, "behind them");
    kit_assert_read(w->server, LN_COMMAND_JOBS_MAX);
    atomic_store(&w->is_free, 1);
    int echoes = 0, slow = 0;
    while (echoes + slow < LN_COMMAND_JOBS_MAX + 11) {
        const raw_frame f = raw_read_frame(fd);
        assert_int_equal(f.first, 0x82);
        slow += f.payload[3] == 80;
        echoes += f.payload[3] == ECHO;
    }
    assert_int_equal(echoes, 1);

    /* and of large ones fewer are enough */
    char *const large = calloc(1, LN_COMMAND_JOBS_MAX_BYTES);
    atomic_store(&w->is_free, 0);
    say_as(fd, 0x82, 80, large, LN_COMMAND_JOBS_MAX_BYTES);
    say(fd, ECHO, "behind it");
    kit_assert_read(w->server, LN_COMMAND_JOBS_MAX + 12);
    atomic_store(&w->is_free, 1);
    raw_close(fd);
    free(large);
}

static void blocked_handlers_end_before_the_server(void **state)
{
    world *w;
    void *made;
    (void)state;

    set_up(&made, 3);
    w = made;
    set_slow(w);
    const int a = enter(w), b = enter(w);
    for (int i = 0; i < 4; i++) {
        say(a, 80, "x");
        say(b, 80, "x");
    }
    kit_wait_for(&w->begun, 2);
    raw_close(a);
    assert_int_equal(kit_halt(w->server), 0);
    atomic_store(&w->is_free, 1);
    ln_server_free(w->server);
    assert_in_range(atomic_load(&w->begun), 2, 8);
    raw_close(b);
    free(w);
}

/* ---- memory ---- */

/* A masked binary command at the end of `to`; the mask is zero. */
static size_t add_command(uint8_t *to, uint32_t id, const char *payload, size_t n)
{
    to[0] = 0x82;
    to[1] = 0x80 | 126;
    ln_store_be16(to + 2, (uint16_t)(n + 4));
    memset(to + 4, 0, 4);
    ln_store_be32(to + 8, id);
    memcpy(to + 12, payload, n);
    return n + 12;
}

/* A visit that does everything once, sent at one go, so that it does not matter where it is cut. */
static void visit(int port)
{
    static const char head[] =
        "GET /ws HTTP/1.1\r\nHost: test.example\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
    static const char large[3000];
    static const struct {
        uint32_t id;
        const char *text;
    } commands[] = {
        {SPREAD, "all"},
        {0x0200, "bridged"},
        {80, "blocking"},
        {LN_COMMAND_RPC, "{\"jsonrpc\":\"2.0\",\"method\":\"none\",\"id\":1}"},
        {LN_COMMAND_RPC, "[{\"jsonrpc\":\"2.0\",\"method\":\"later\",\"id\":1},7,"
                         "{\"jsonrpc\":\"2.0\",\"method\":\"now\",\"id\":2}]"},
        {LN_COMMAND_RPC, "{\"jsonrpc\":\"2.0\",\"method\":\"later\",\"id\":\"x\"}"},
        {LN_COMMAND_RPC, "{\"jsonrpc\":\"2.0\",\"method\":\"block\",\"params\":[1],\"id\":3}"},
    };
    uint8_t bytes[8192];
    size_t n = sizeof head - 1;
    const int fd = raw_connect(port);

    memcpy(bytes, head, n);
    n += add_command(bytes + n, ECHO, large, sizeof large);
    for (size_t i = 0; i < LN_ARRAY_SIZE(commands); i++)
        n += add_command(bytes + n, commands[i].id, commands[i].text, strlen(commands[i].text));
    memcpy(bytes + n, "\x88\x82\0\0\0\0\x03\xe8", 8);
    n += 8;
    assert_int_equal(send(fd, bytes, n, MSG_NOSIGNAL), n);
    assert_true(raw_ends_within(fd, 6000));
    raw_close(fd);
}

static int on_later(const ln_rpc_call *call, void *user)
{
    ln_command *const game = *(ln_command **)user;
    (void)ln_command_call(game, ln_conn_get_id(call->conn), "ask", LN_SPAN("[]"), 0, NULL, NULL);
    return LN_ERR_AGAIN;
}

static int on_now(const ln_rpc_call *call, void *user)
{
    (void)user;
    (void)ln_rpc_result(&call->ticket, LN_SPAN("[1,2,3]"));
    return 0;
}

static void on_tolerant_echo(ln_conn *c, uint32_t id, ln_span payload, void *user)
{
    (void)ln_command_send(*(ln_command **)user, ln_conn_get_id(c), id, payload);
}

static void on_tolerant_spread(ln_conn *c, uint32_t id, ln_span payload, void *user)
{
    (void)c;
    (void)ln_command_publish(*(ln_command **)user, LN_SPAN(""), id, payload, 0);
}

static void on_blocking_echo(ln_command *game, ln_conn_id conn, uint32_t id, ln_span payload,
                             void *user)
{
    (void)user;
    (void)ln_command_send(game, conn, id, payload);
}

static int build(ln_server *server, ln_command **game)
{
    const ln_command_options o = {.bridges = bridges, .bridge_count = LN_ARRAY_SIZE(bridges)};
    const ln_command_range range = {.first = 80, .last = 80, .blocking = on_blocking_echo};

    int rc = ln_command_mount(server, "/ws", &o, game);
    if (rc == 0)
        rc = ln_command_on(*game, ECHO, on_tolerant_echo, game);
    if (rc == 0)
        rc = ln_command_on(*game, SPREAD, on_tolerant_spread, game);
    if (rc == 0)
        rc = ln_command_on_range(*game, &range);
    if (rc == 0)
        rc = ln_command_method(*game, "later", on_later, game);
    if (rc == 0)
        rc = ln_command_method(*game, "now", on_now, NULL);
    if (rc == 0)
        rc = ln_command_method_blocking(*game, "block", on_now, NULL);
    return rc == 0 ? ln_server_listen(server, "127.0.0.1:0") : rc;
}

static int one_life(const ln_allocator *alloc, void *user)
{
    const ln_server_options options = {.allocator = alloc, .log = kit_quiet};
    ln_command *game;
    (void)user;

    ln_server *const server = ln_server_new(&options);
    if (server == NULL)
        return LN_ERR_NOMEM;
    int rc = build(server, &game);
    if (rc == 0)
        rc = ln_server_start(server);
    if (rc == 0) {
        visit(ln_server_port(server, 0));
        (void)kit_halt(server);
    }
    ln_server_free(server);
    return rc;
}

static void running_out_of_memory_ends_a_client_at_worst(void **state)
{
    (void)state;
    assert_true(failing_alloc_sweep_mode(one_life, NULL, FAILING_ONCE) > 40);
}

#define ONE(test)   cmocka_unit_test_setup_teardown(test, set_up_one, tear_down)
#define THREE(test) cmocka_unit_test_setup_teardown(test, set_up_three, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ONE(what_is_sent_comes_to_the_handler_and_back_in_binary),
        ONE(what_is_too_short_is_closed_with_1002),
        ONE(a_payload_has_a_largest_size_both_ways),
        ONE(what_nobody_handles_is_passed_over_and_counted),
        ONE(reserved_ids_have_no_handler),
        cmocka_unit_test(the_latest_registration_counts),
        cmocka_unit_test(handlers_and_bridges_are_bounded),
        cmocka_unit_test(bad_options_are_refused),
        ONE(handlers_can_be_replaced_while_it_runs),
        THREE(handlers_can_be_replaced_while_it_runs),
        ONE(a_client_has_a_name_of_its_own),
        ONE(who_ends_it_is_told),
        THREE(who_ends_it_is_told),
        ONE(a_close_flushes_what_was_sent_before),
        ONE(a_client_can_be_refused_before_it_is_one),
        ONE(a_client_over_its_rate_is_sent_away),
        ONE(everybody_gets_what_is_published_to_all),
        THREE(everybody_gets_what_is_published_to_all),
        ONE(rooms_are_topics),
        THREE(rooms_are_topics),
        ONE(bridges_join_dialects_both_ways),
        THREE(bridges_join_dialects_both_ways),
        ONE(other_dialects_do_not_choose_the_command),
        THREE(other_dialects_do_not_choose_the_command),
        ONE(who_does_not_read_holds_up_nobody),
        THREE(who_does_not_read_holds_up_nobody),
        ONE(what_other_threads_publish_is_bounded),
        THREE(threads_may_change_everything_at_once),
        ONE(a_handler_that_blocks_holds_up_nobody_else),
        THREE(a_handler_that_blocks_holds_up_nobody_else),
        ONE(who_gives_too_much_to_do_is_not_read),
        cmocka_unit_test(blocked_handlers_end_before_the_server),
        cmocka_unit_test(running_out_of_memory_ends_a_client_at_worst),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
