/* SPDX-License-Identifier: MIT */
/* Rooms and tokens together: identities, policies that need keys, and every allocation failing. */
#include <linnet/linnet.h>
#include <linnet/rooms.h>
#include <stdatomic.h>
#include <sys/socket.h>

#include "failing_alloc.h"
#include "raw_client.h"
#include "server_kit.h"
#include "token_kit.h"

/* "secret" */
static const char hash[] =
    "10000$AAECAwQFBgcICQoLDA0ODw==$s1qOkFay1DbcR0sablkjBgtOqf1IcoQVkkK1uzR9LdU=";
static const char admin[] = "an administrators' secret of 40 bytes...";

static atomic_int seen;

static ln_server *new_server(unsigned workers, const ln_allocator *alloc)
{
    const ln_server_options options = {
        .workers = workers, .log = kit_quiet, .drain_ms = 2000, .allocator = alloc};
    return ln_server_new(&options);
}

static void stop(ln_server *server)
{
    kit_end(server);
}

static int enter(const ln_server *server, const char *target, const char *claims)
{
    char lines[2048];
    const ln_span token = token_kit_claims(claims);
    const int fd = raw_connect(ln_server_port(server, 0));

    snprintf(lines, sizeof lines, "Authorization: Bearer %.*s\r\n", (int)token.size,
             (const char *)token.data);
    assert_non_null(strstr(raw_upgrade(fd, target, lines), " 101 "));
    return fd;
}

static void assert_closed(int fd, uint16_t code, const char *reason)
{
    const raw_frame f = raw_read_frame(fd);
    assert_int_equal(raw_close_code(f), code);
    assert_string_equal((const char *)f.payload + 2, reason);
}

/* ---- identities ---- */

static void on_join(ln_conn *c, ln_span room, void *user)
{
    const ln_identity *const identity = ln_rooms_identity(c);
    (void)room;
    (void)user;

    assert_non_null(identity);
    assert_true(ln_text_equal(identity->id, LN_SPAN("u-7")) ||
                ln_text_equal(identity->id, LN_SPAN("u-8")));
    assert_int_equal(identity->role_count, 2);
    assert_true(ln_text_equal(identity->roles[0], LN_SPAN("member")));
    assert_true(ln_text_equal(identity->roles[1], LN_SPAN("editor")));
    assert_true(ln_text_equal(identity->name, LN_SPAN("Zed")));
    atomic_fetch_add(&seen, 1);
    assert_int_equal(ln_conn_send(c, LN_TEXT, identity->id), 0);
}

static void on_plain_message(ln_conn *c, const ln_message *m, void *user)
{
    (void)m;
    (void)user;
    assert_null(ln_rooms_identity(c));
    atomic_fetch_add(&seen, 100);
    (void)ln_conn_close(c, 1000, LN_SPAN(""));
}

/* Upstream never filled the roles. */
static void a_token_says_who_is_there(void **state)
{
    ln_auth *const auth = token_kit_hmac_auth((ln_auth_options){.issuer = NULL});
    const ln_rooms_options o = {.policy = {.auth = auth}, .on_join = on_join};
    const ln_ws_handlers plain = {.on_message = on_plain_message};
    ln_server *const server = new_server(2, NULL);
    (void)state;

    atomic_store(&seen, 0);
    assert_int_equal(ln_rooms_mount(server, "/rooms", &o), 0);
    ln_auth_unref(auth);
    assert_int_equal(ln_server_ws(server, "/plain", &plain, NULL), 0);
    assert_int_equal(ln_server_listen(server, "127.0.0.1:0"), 0);
    assert_int_equal(ln_server_start(server), 0);
    const int a = enter(server, "/rooms",
                        "{\"sub\":\"u-7\",\"name\":\"Zed\",\"roles\":[\"member\",\"editor\"]}");
    const int b = enter(server, "/rooms",
                        "{\"sub\":\"u-8\",\"name\":\"Zed\",\"roles\":[\"member\",\"editor\"]}");
    assert_string_equal((const char *)raw_read_frame(a).payload, "u-7");
    assert_string_equal((const char *)raw_read_frame(b).payload, "u-8");
    ln_rooms *const rooms = ln_rooms_find(server, "/rooms");
    assert_int_equal(ln_rooms_kick(rooms, LN_SPAN(""), LN_SPAN("u-7"), 4009, LN_SPAN("out")), 0);
    assert_closed(a, 4009, "out");
    raw_send_text(b, "still here");
    assert_string_equal((const char *)raw_read_frame(b).payload, "still here");
    const int p = raw_enter(ln_server_port(server, 0), "/plain", "");
    raw_send_text(p, "x");
    assert_closed(p, 1000, "");
    assert_int_equal(atomic_load(&seen), 102);
    raw_close(a);
    raw_close(b);
    raw_close(p);
    stop(server);
}

static void a_policy_must_be_able_to_verify_what_it_asks_for(void **state)
{
    static const ln_span secret = {token_kit_secret, sizeof token_kit_secret - 1};
    ln_auth *const auth = token_kit_hmac_auth((ln_auth_options){.issuer = "x", .audience = "y"});
    ln_auth *const narrow = token_kit_hmac_auth((ln_auth_options){.algorithms = "HS512"});
    const ln_rooms_options strict = {.mode = LN_ROOMS_STRICT, .policy = {.auth = auth}};
    const ln_rooms_options same = {.policy = {.auth = auth}, .admin_secret = secret};
    const ln_rooms_options too = {.policy = {.auth = narrow}, .admin_secret = secret};
    const ln_rooms_options other = {.policy = {.auth = auth}, .admin_secret = LN_SPAN(admin)};
    ln_server *const server = new_server(1, NULL);
    (void)state;

    assert_int_equal(ln_rooms_mount(server, "/same", &same), LN_ERR_INVALID);
    assert_int_equal(ln_rooms_mount(server, "/same", &too), LN_ERR_INVALID);
    assert_int_equal(ln_rooms_mount(server, "/other", &other), 0);
    assert_int_equal(ln_rooms_mount(server, "/strict", &strict), 0);
    ln_rooms *const rooms = ln_rooms_find(server, "/strict");
    assert_int_equal(ln_rooms_set_policy(rooms, &(ln_rooms_policy){.auth = NULL}), LN_ERR_INVALID);
    assert_int_equal(ln_rooms_set_policy(rooms, &(ln_rooms_policy){.auth = narrow}), 0);
    ln_auth_unref(auth);
    ln_auth_unref(narrow);
    ln_server_free(server);
}

/* ---- memory ---- */

/* Everything that a guest can do, sent at one go; whatever is refused or cut, it ends. */
static void visit(int port, const char *token)
{
    static const char refresh[] = "{\"type\":\"refresh\",\"token\":\"x\"}";
    uint8_t bytes[4096];
    const int fd = raw_connect(port);
    int n = snprintf((char *)bytes, sizeof bytes,
                     "GET /rooms?room=locked&room_password=secret&presence=1&name=n HTTP/1.1\r\n"
                     "Host: test.example\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                     "Authorization: Bearer %s\r\n"
                     "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                     "Sec-WebSocket-Version: 13\r\n\r\n",
                     token);

    for (int i = 0; i < 3; i++) { /* the third one has to wait for its rate */
        memcpy(bytes + n, "\x81\x81\0\0\0\0x", 7);
        n += 7;
    }
    bytes[n++] = 0x81;
    bytes[n++] = 0x80 | (sizeof refresh - 1);
    memset(bytes + n, 0, 4);
    memcpy(bytes + n + 4, refresh, sizeof refresh - 1);
    n += 4 + (int)sizeof refresh - 1;
    memcpy(bytes + n, "\x88\x82\0\0\0\0\x03\xe8", 8);
    n += 8;
    assert_int_equal(send(fd, bytes, (size_t)n, MSG_NOSIGNAL), n);
    assert_true(raw_ends_within(fd, 8000));
    raw_close(fd);
}

static void administer(int port)
{
    char text[512];
    const int fd = raw_connect(port);
    const int n = snprintf(text, sizeof text,
                           "POST /_admin/broadcast?room=locked HTTP/1.1\r\nHost: x\r\n"
                           "Authorization: Bearer %s\r\nContent-Length: 1\r\n\r\nx"
                           "GET /_admin/metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
                           "Authorization: Bearer %s\r\n\r\n",
                           admin, admin);

    assert_int_equal(send(fd, text, (size_t)n, MSG_NOSIGNAL), n);
    assert_true(raw_ends_within(fd, 8000));
    raw_close(fd);
}

static int build(ln_server *server, ln_auth *auth, ln_rules *rules)
{
    const ln_rooms_password password = {"locked", hash};
    const ln_rooms_queue queue = {"locked", {.max_bytes = 1000}};
    const ln_rooms_options o = {
        .presence = true,
        .refresh = true,
        .policy = {.auth = auth, .rules = rules, .passwords = &password, .password_count = 1},
        .admin_secret = LN_SPAN(admin),
        .connection_rate = {.messages_per_second = 100, .messages_burst = 2},
        .address_rate = {.messages_per_second = 1000},
        .user_rate = {.messages_per_second = 1000},
        .queues = &queue,
        .queue_count = 1,
    };
    const int rc = ln_rooms_mount(server, "/rooms", &o);
    return rc == 0 ? ln_server_listen(server, "127.0.0.1:0") : rc;
}

static void live(ln_server *server, ln_auth *auth, ln_rules *rules)
{
    const ln_rooms_password password = {"locked", hash};
    const ln_rooms_policy policy = {
        .auth = auth, .rules = rules, .passwords = &password, .password_count = 1};
    ln_rooms *const rooms = ln_rooms_find(server, "/rooms");
    const int port = ln_server_port(server, 0);

    visit(port, token_kit_claims("{\"sub\":\"u\"}").data);
    administer(port);
    /* without memory: nothing happens, and nothing else is different */
    (void)ln_rooms_set_policy(rooms, &policy);
    (void)ln_rooms_set_password(rooms, LN_SPAN("other"), hash);
    (void)ln_rooms_kick(rooms, LN_SPAN(""), LN_SPAN(""), 1000, LN_SPAN(""));
}

static int one_life(const ln_allocator *alloc, void *user)
{
    ln_auth *const auth = user;
    ln_rules_error error;
    ln_rules *rules;

    int rc = ln_rules_new(alloc, LN_SPAN("allow all locked user:u"), &rules, &error);
    if (rc < 0)
        return rc;
    ln_server *const server = new_server(1, alloc);
    rc = server == NULL ? LN_ERR_NOMEM : build(server, auth, rules);
    if (rc == 0)
        rc = ln_server_start(server);
    if (rc == 0) {
        live(server, auth, rules);
        (void)kit_halt(server);
        assert_int_equal(ln_rooms_count(ln_rooms_find(server, "/rooms"), LN_SPAN("")), 0);
    }
    ln_server_free(server);
    ln_rules_unref(rules);
    return rc;
}

static void running_out_of_memory_lets_nobody_in_and_keeps_no_place(void **state)
{
    ln_auth *const auth = token_kit_hmac_auth((ln_auth_options){.issuer = NULL});
    (void)state;
    assert_true(failing_alloc_sweep_mode(one_life, auth, FAILING_ONCE) > 40);
    ln_auth_unref(auth);
}

/* Asks, and is told no, or nothing; then it ends. */
static void knock(int port, const char *target)
{
    char text[512];
    const int fd = raw_connect(port);
    const int n = snprintf(text, sizeof text,
                           "GET %s HTTP/1.1\r\nHost: test.example\r\nUpgrade: websocket\r\n"
                           "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                           "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
                           target);

    assert_int_equal(send(fd, text, (size_t)n, MSG_NOSIGNAL), n);
    assert_null(strstr(raw_read_until(fd, "\r\n\r\n"), " 101 "));
    assert_true(raw_ends_within(fd, 8000));
    raw_close(fd);
}

static int life_of_refusals(const ln_allocator *alloc, void *user)
{
    ln_auth *const auth = user;
    ln_rules_error error;
    ln_rules *rules;

    int rc = ln_rules_new(alloc, LN_SPAN("allow all locked user:u"), &rules, &error);
    if (rc < 0)
        return rc;
    ln_server *const server = new_server(1, alloc);
    rc = server == NULL ? LN_ERR_NOMEM : build(server, auth, rules);
    if (rc == 0)
        rc = ln_server_start(server);
    if (rc == 0) {
        knock(ln_server_port(server, 0), "/rooms?room=other");
        knock(ln_server_port(server, 0), "/rooms?room=locked&room_password=wrong");
        ln_server_stop(server);
        ln_server_join(server);
    }
    ln_server_free(server);
    ln_rules_unref(rules);
    return rc;
}

/* A refusal that cannot be written does not let in, and nobody waits for it. */
static void without_memory_to_say_no_it_is_no_all_the_same(void **state)
{
    ln_auth *const auth = token_kit_hmac_auth((ln_auth_options){.issuer = NULL});
    (void)state;
    assert_true(failing_alloc_sweep_mode(life_of_refusals, auth, FAILING_ONCE) > 40);
    ln_auth_unref(auth);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_token_says_who_is_there),
        cmocka_unit_test(a_policy_must_be_able_to_verify_what_it_asks_for),
        cmocka_unit_test(running_out_of_memory_lets_nobody_in_and_keeps_no_place),
        cmocka_unit_test(without_memory_to_say_no_it_is_no_all_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
