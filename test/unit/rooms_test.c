/* SPDX-License-Identifier: MIT */
/* The rooms dialect (linnet/rooms.h) as its peers see it, with one worker and with three. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <linnet/linnet.h>
#include <linnet/rooms.h>
#include <poll.h>
#include <time.h>

#include "raw_client.h"
#include "server_kit.h"

enum { QUIET_MS = 4 * LN_ROOMS_PRESENCE_MS };

typedef struct world {
    ln_server *server;
    int port;
} world;

static int set_up(void **state, unsigned workers)
{
    world *const w = calloc(1, sizeof *w);
    const ln_server_options options = {.workers = workers, .log = kit_quiet, .drain_ms = 2000};
    const ln_rooms_options present = {.presence = true, .default_room = "lobby"};
    const ln_rooms_options bad = {.default_room = "a b"};
    const ln_rooms_options empty = {.default_room = ""};

    w->server = ln_server_new(&options);
    assert_non_null(w->server);
    assert_int_equal(ln_rooms_mount(w->server, "/rooms", &present), 0);
    assert_int_equal(ln_rooms_mount(w->server, "/plain", NULL), 0);
    assert_int_equal(ln_rooms_mount(w->server, "/rooms", NULL), LN_ERR_EXISTS);
    assert_int_equal(ln_rooms_mount(w->server, "rooms", NULL), LN_ERR_INVALID);
    assert_int_equal(ln_rooms_mount(w->server, "/bad", &bad), LN_ERR_INVALID);
    assert_int_equal(ln_rooms_mount(w->server, "/bad", &empty), LN_ERR_INVALID);
    w->port = kit_serve(w->server);
    assert_int_equal(ln_rooms_mount(w->server, "/late", NULL), LN_ERR_STATE);
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

static int enter(const world *w, const char *target)
{
    return raw_enter(w->port, target, "");
}

static void wait_for_count(const world *w, ln_span room, size_t count)
{
    const struct timespec moment = {.tv_nsec = 1000000};
    for (int i = 0; i < 5000 && ln_topic_count(w->server, room) != count; i++)
        nanosleep(&moment, NULL);
    assert_int_equal(ln_topic_count(w->server, room), count);
}

static void assert_text(int fd, const char *text)
{
    const raw_frame f = raw_read_frame(fd);
    assert_int_equal(f.first, 0x81);
    assert_string_equal((const char *)f.payload, text);
}

static bool is_silent(int fd, int ms)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    return poll(&p, 1, ms) == 0;
}

/* The next frame, which tells presence, in memory that lasts until the next call but three. */
static const char *read_news(int fd)
{
    static char texts[4][4096];
    static unsigned next;
    char *const text = texts[next++ % 4];
    const raw_frame f = raw_read_frame(fd);

    assert_int_equal(f.first, 0x81);
    assert_true(f.size < sizeof texts[0]);
    memcpy(text, f.payload, f.size + 1);
    return text;
}

static uint64_t number_in(const char *news, const char *key)
{
    const char *const at = strstr(news, key);
    assert_non_null(at);
    return strtoull(at + strlen(key), NULL, 10);
}

/* The id that stands before `name` in the news, as text. */
static void id_of(const char *news, const char *name, char id[32])
{
    char behind[64];
    snprintf(behind, sizeof behind, "\",\"name\":\"%s\"}", name);
    const char *const end = strstr(news, behind);
    assert_non_null(end);
    const char *begin = end;
    while (begin > news && begin[-1] != '"')
        begin--;
    assert_in_range(end - begin, 1, 16);
    snprintf(id, 32, "%.*s", (int)(end - begin), begin);
}

/* ---- rooms ---- */

static void what_one_says_everybody_in_the_room_gets(void **state)
{
    world *const w = *state;
    int fds[12];

    for (int i = 0; i < 12; i++)
        fds[i] = enter(w, i % 2 == 0 ? "/plain?room=even" : "/plain?room=odd");
    wait_for_count(w, LN_SPAN("even"), 6);
    wait_for_count(w, LN_SPAN("odd"), 6);
    raw_send_text(fds[0], "hello");
    raw_send_frame(fds[1], 0x82, "\x00\xff", 2);
    for (int i = 0; i < 12; i += 2)
        assert_text(fds[i], "hello"); /* the sender too */
    for (int i = 1; i < 12; i += 2) {
        const raw_frame f = raw_read_frame(fds[i]);
        assert_int_equal(f.first, 0x82);
        assert_int_equal(f.size, 2);
        assert_memory_equal(f.payload, "\x00\xff", 2);
    }
    raw_send_frame(fds[0], 0x01, "a", 1);
    raw_send_frame(fds[0], 0x80, "b", 1);
    for (int i = 0; i < 12; i += 2)
        assert_text(fds[i], "ab"); /* and nothing came from the other room */
    for (int i = 0; i < 12; i++)
        raw_close(fds[i]);
    wait_for_count(w, LN_SPAN("even"), 0);
}

static void a_client_without_a_room_goes_to_the_default(void **state)
{
    world *const w = *state;
    const int a = enter(w, "/plain"), b = enter(w, "/plain?room="),
              c = enter(w, "/plain?room=default");
    const int d = enter(w, "/rooms"), e = enter(w, "/rooms?room=lobby");

    wait_for_count(w, LN_SPAN("default"), 3);
    wait_for_count(w, LN_SPAN("lobby"), 2);
    raw_send_text(a, "x");
    assert_text(b, "x");
    assert_text(c, "x");
    raw_send_text(d, "y");
    assert_text(e, "y");
    raw_close(a);
    raw_close(b);
    raw_close(c);
    raw_close(d);
    raw_close(e);
}

static void room_names_are_checked(void **state)
{
    world *const w = *state;
    char target[300] = "/rooms?room=";
    static const char *const bad[] = {"a%20b", "a+b",       "%C3%A4", "a/b",   "%00",
                                      "a%00b", "$linnet.x", "%zz",    "a%2Fb", "a,b"};
    static const char json[] =
        "{\"error\":{\"code\":\"WEBSOCKET_INVALID_ROOM\",\"message\":\"invalid websocket room\","
        "\"category\":\"validation_error\",\"type\":\"validation_failure\"}}\n";

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        strcpy(target + 12, bad[i]);
        const int fd = raw_connect(w->port);
        const char *const head = raw_upgrade(fd, target, "");
        assert_non_null(strstr(head, "HTTP/1.1 400 "));
        assert_non_null(strstr(head, "\r\nContent-Type: application/json\r\n"));
        assert_string_equal(raw_read_all(fd, NULL, NULL), json);
        raw_close(fd);
    }
    raw_close(enter(w, "/rooms?room=AZaz09._:-"));
    raw_close(enter(w, "/rooms?room=%41%3A"));
    memset(target + 12, 'r', 129);
    target[12 + 128] = '\0';
    raw_close(enter(w, target));
    target[12 + 128] = 'r';
    target[12 + 129] = '\0';
    const int fd = raw_connect(w->port);
    assert_non_null(strstr(raw_upgrade(fd, target, ""), "HTTP/1.1 400 "));
    raw_close(fd);
}

static void names_are_checked(void **state)
{
    world *const w = *state;
    char target[300] = "/rooms?name=";
    static const char *const bad[] = {"%0A", "%FF", "%C3", "%7F", "%"};

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        strcpy(target + 12, bad[i]);
        const int fd = raw_connect(w->port);
        assert_non_null(strstr(raw_upgrade(fd, target, ""), "HTTP/1.1 400 "));
        assert_non_null(strstr(raw_read_all(fd, NULL, NULL), "WEBSOCKET_INVALID_NAME"));
        raw_close(fd);
    }
    memset(target + 12, 'n', 65);
    target[12 + 64] = '\0';
    raw_close(enter(w, target));
    target[12 + 64] = 'n';
    target[12 + 65] = '\0';
    const int fd = raw_connect(w->port);
    assert_non_null(strstr(raw_upgrade(fd, target, ""), "HTTP/1.1 400 "));
    raw_close(fd);
}

/* ---- presence ---- */

/* Enters and waits until everybody's coming has been told to `watcher`. */
static const char *read_until_count(int watcher, uint64_t count)
{
    const char *news;
    do
        news = read_news(watcher);
    while (number_in(news, "\"count\":") != count);
    return news;
}

static void who_asks_gets_the_room_and_then_what_changes(void **state)
{
    world *const w = *state;
    char expected[512], ann[32], bob[32], cat[32];

    const int a = enter(w, "/rooms?room=r&name=Ann&presence=1");
    const char *news = read_news(a); /* the room as it was told last: nobody yet */
    assert_int_equal(number_in(news, "\"count\":"), 0);
    snprintf(expected, sizeof expected,
             "{\"type\":\"presence\",\"room\":\"r\",\"version\":%llu,\"count\":0,\"members\":[]}",
             (unsigned long long)number_in(news, "\"version\":"));
    assert_string_equal(news, expected);

    const char *const first = read_news(a);
    id_of(first, "Ann", ann);
    snprintf(expected, sizeof expected,
             "{\"type\":\"presence\",\"room\":\"r\",\"version\":%llu,\"since\":%llu,\"count\":1,"
             "\"joined\":[{\"id\":\"%s\",\"name\":\"Ann\"}],\"left\":[]}",
             (unsigned long long)number_in(first, "\"version\":"),
             (unsigned long long)number_in(first, "\"since\":"), ann);
    assert_string_equal(first, expected);
    assert_int_equal(number_in(first, "\"since\":"), number_in(news, "\"version\":"));

    const int b = enter(w, "/rooms?room=r"); /* does not ask, has no name, is told all the same */
    const char *const second = read_news(a);
    assert_int_equal(number_in(second, "\"since\":"), number_in(first, "\"version\":"));
    assert_int_equal(number_in(second, "\"count\":"), 2);
    id_of(second, "", bob);
    assert_string_not_equal(ann, bob);

    const int c = enter(w, "/rooms?room=r&name=Cat&presence=1");
    const char *const snapshot = read_news(c);
    snprintf(expected, sizeof expected, "\"version\":%llu,\"count\":2,\"members\":[",
             (unsigned long long)number_in(second, "\"version\":"));
    assert_non_null(strstr(snapshot, expected));
    snprintf(expected, sizeof expected, "{\"id\":\"%s\",\"name\":\"Ann\"}", ann);
    assert_non_null(strstr(snapshot, expected));
    snprintf(expected, sizeof expected, "{\"id\":\"%s\",\"name\":\"\"}", bob);
    assert_non_null(strstr(snapshot, expected));
    const char *const third = read_news(c);
    assert_string_equal(read_news(a), third);
    assert_int_equal(number_in(third, "\"since\":"), number_in(snapshot, "\"version\":"));
    id_of(third, "Cat", cat);

    raw_close(b);
    const char *const fourth = read_news(a);
    snprintf(expected, sizeof expected,
             "\"since\":%llu,\"count\":2,\"joined\":[],\"left\":[\"%s\"]}",
             (unsigned long long)number_in(third, "\"version\":"), bob);
    assert_non_null(strstr(fourth, expected));
    assert_string_equal(read_news(c), fourth);
    raw_close(a);
    raw_close(c);
}

static void who_does_not_ask_is_not_told(void **state)
{
    world *const w = *state;
    const int silent = enter(w, "/rooms?room=r");
    const int zero = enter(w, "/rooms?room=r&presence=0");
    const int odd = enter(w, "/rooms?room=r&presence=11111111111");
    const int watcher = enter(w, "/rooms?room=r&presence=1");

    read_until_count(watcher, 4);
    assert_true(is_silent(silent, QUIET_MS));
    assert_true(is_silent(zero, 0));
    assert_true(is_silent(odd, 0));
    raw_close(silent);
    raw_close(zero);
    raw_close(odd);
    raw_close(watcher);
}

static void without_presence_the_wish_is_ignored(void **state)
{
    world *const w = *state;
    const int a = enter(w, "/plain?room=r&presence=1"), b = enter(w, "/plain?room=r&presence=1");

    wait_for_count(w, LN_SPAN("r"), 2);
    assert_true(is_silent(a, QUIET_MS));
    raw_send_text(b, "x");
    assert_text(a, "x");
    raw_close(a);
    raw_close(b);
}

static void coming_and_going_within_the_interval_is_not_told(void **state)
{
    world *const w = *state;
    const int watcher = enter(w, "/rooms?room=r&presence=1");
    int told = 0;

    read_until_count(watcher, 1);
    for (int i = 0; i < 10; i++) {
        raw_close(enter(w, "/rooms?room=r&name=brief"));
        wait_for_count(w, LN_SPAN("r"), 1);
        /* it straddled a flush: coming and going, and each once */
        if (!is_silent(watcher, QUIET_MS)) {
            const char *const came = read_news(watcher);
            const char *const went = read_news(watcher);
            assert_non_null(strstr(came, "\"count\":2,\"joined\":[{"));
            assert_non_null(strstr(went, "\"count\":1,\"joined\":[],\"left\":[\""));
            told++;
        }
    }
    assert_true(told <= 5);
    raw_close(watcher);
}

static void many_changes_are_one_message(void **state)
{
    world *const w = *state;
    const int watcher = enter(w, "/rooms?room=r&presence=1");
    int fds[30], messages = 0;

    read_until_count(watcher, 1);
    for (int i = 0; i < 30; i++)
        fds[i] = enter(w, "/rooms?room=r");
    const char *news;
    do {
        news = read_news(watcher);
        messages++;
    } while (number_in(news, "\"count\":") != 31);
    assert_true(messages < 30);
    for (int i = 0; i < 30; i++)
        raw_close(fds[i]);
    news = read_until_count(watcher, 1);
    assert_non_null(strstr(news, "\"left\":[\""));
    raw_close(watcher);
}

static void names_are_escaped(void **state)
{
    world *const w = *state;
    const int a = enter(w, "/rooms?room=r&presence=1&name=%22%5C%7D+%3Cb%3E%C3%A4");

    assert_non_null(strstr(read_until_count(a, 1), ",\"name\":\"\\\"\\\\} <b>\xc3\xa4\"}]"));
    raw_close(a);
}

static void rooms_are_told_apart(void **state)
{
    world *const w = *state;
    const int a = enter(w, "/rooms?room=a&presence=1"), b = enter(w, "/rooms?room=b&presence=1");

    read_until_count(a, 1);
    read_until_count(b, 1);
    const int other = enter(w, "/rooms?room=b");
    assert_non_null(strstr(read_until_count(b, 2), "\"room\":\"b\""));
    assert_true(is_silent(a, QUIET_MS));
    raw_close(other);
    raw_close(a);
    raw_close(b);
}

/* The server ends while rooms are full, and news may be under way. */
static void a_stop_with_full_rooms_leaves_nothing(void **state)
{
    world *const w = *state;
    int fds[10];

    for (int i = 0; i < 10; i++)
        fds[i] = enter(w, "/rooms?presence=1");
    ln_server_stop(w->server);
    for (int i = 0; i < 10; i++) {
        raw_frame f;
        do
            f = raw_read_frame(fds[i]);
        while (f.first == 0x81);
        assert_int_equal(raw_close_code(f), 1001);
        raw_close(fds[i]);
    }
    assert_int_equal(ln_server_join(w->server), 0);
}

#define ONE(f)   cmocka_unit_test_setup_teardown(f, set_up_one, tear_down)
#define THREE(f) cmocka_unit_test_setup_teardown(f, set_up_three, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ONE(what_one_says_everybody_in_the_room_gets),
        THREE(what_one_says_everybody_in_the_room_gets),
        ONE(a_client_without_a_room_goes_to_the_default),
        ONE(room_names_are_checked),
        ONE(names_are_checked),
        ONE(who_asks_gets_the_room_and_then_what_changes),
        THREE(who_asks_gets_the_room_and_then_what_changes),
        THREE(who_does_not_ask_is_not_told),
        ONE(without_presence_the_wish_is_ignored),
        THREE(coming_and_going_within_the_interval_is_not_told),
        ONE(many_changes_are_one_message),
        THREE(many_changes_are_one_message),
        ONE(names_are_escaped),
        THREE(rooms_are_told_apart),
        ONE(a_stop_with_full_rooms_leaves_nothing),
        THREE(a_stop_with_full_rooms_leaves_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
