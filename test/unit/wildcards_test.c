/* SPDX-License-Identifier: MIT */
/*
 * Filters over a real server with three workers, through linnet/topic.h. Peers give orders to the
 * handler, which answers "=RC":
 *
 *   s TOPIC        subscribe        u TOPIC     unsubscribe        p TOPIC TEXT    publish
 */
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

#include "raw_client.h"
#include "server_kit.h"

enum { PEERS = 12 };

typedef struct world {
    ln_server *server;
    int fds[PEERS];
} world;

static void on_message(ln_conn *c, const ln_message *m, void *user)
{
    const char *const line = m->data.data;
    const char *const space = memchr(line + 2, ' ', m->data.size - 2);
    const size_t end = space == NULL ? m->data.size : (size_t)(space - line);
    const ln_span topic = {line + 2, end - 2};
    char reply[16];
    int rc;
    (void)user;

    if (line[0] == 's')
        rc = ln_conn_subscribe(c, topic);
    else if (line[0] == 'u')
        rc = ln_conn_unsubscribe(c, topic);
    else
        rc = ln_conn_publish(c, topic, LN_TEXT, (ln_span){line + end + 1, m->data.size - end - 1},
                             NULL);
    const int n = snprintf(reply, sizeof reply, "=%d", rc);
    assert_true(ln_conn_send(c, LN_TEXT, (ln_span){reply, (size_t)n}) >= 0);
}

static int set_up(void **state)
{
    static const ln_ws_handlers handlers = {.on_message = on_message};
    world *const w = calloc(1, sizeof *w);

    w->server =
        ln_server_new(&(ln_server_options){.workers = 3, .log = kit_quiet, .drain_ms = 2000});
    assert_int_equal(ln_server_ws(w->server, "/t", &handlers, NULL), 0);
    assert_int_equal(ln_rooms_mount(w->server, "/rooms", &(ln_rooms_options){.presence = true}), 0);
    assert_int_equal(ln_server_listen(w->server, "127.0.0.1:0"), 0);
    assert_int_equal(ln_server_start(w->server), 0);
    for (int i = 0; i < PEERS; i++) {
        w->fds[i] = raw_enter(ln_server_port(w->server, 0), "/t", "");
    }
    *state = w;
    return 0;
}

static int tear_down(void **state)
{
    world *const w = *state;
    for (int i = 0; i < PEERS; i++)
        raw_close(w->fds[i]);
    kit_end(w->server);
    free(w);
    return 0;
}

static void assert_text(int fd, const char *text)
{
    const raw_frame f = raw_read_frame(fd);
    assert_int_equal(f.first, 0x81);
    assert_string_equal((const char *)f.payload, text);
}

static void order(int fd, const char *text, int rc)
{
    char answer[16];
    snprintf(answer, sizeof answer, "=%d", rc);
    raw_send_text(fd, text);
    assert_text(fd, answer);
}

/* Nothing came before the answer to this. */
static void assert_silence(int fd)
{
    order(fd, "u nothing", LN_ERR_NOT_FOUND);
}

static void everybody_whose_filters_match_gets_it_once(void **state)
{
    world *const w = *state;
    for (int i = 0; i < PEERS; i++) {
        order(w->fds[i], "s orders.>", 0);
        order(w->fds[i], i % 2 ? "s orders.*.paid" : "s orders.*.sent", 0);
    }
    assert_int_equal(ln_topic_count(w->server, LN_SPAN("orders.>")), PEERS);
    assert_int_equal(ln_topic_count(w->server, LN_SPAN("orders.*.paid")), PEERS / 2);
    assert_int_equal(ln_topic_count(w->server, LN_SPAN("orders.7.paid")), 0);
    assert_int_equal(ln_publish(w->server, LN_SPAN("orders.7.paid"), LN_TEXT, LN_SPAN("seven")), 0);
    for (int i = 0; i < PEERS; i++)
        assert_text(w->fds[i], "seven");
    for (int i = 0; i < PEERS; i++)
        order(w->fds[i], "u orders.>", 0);
    raw_send_text(w->fds[0], "p orders.8.paid eight"); /* which it does not get */
    assert_text(w->fds[0], "=0");
    for (int i = 1; i < PEERS; i += 2)
        assert_text(w->fds[i], "eight");
    for (int i = 0; i < PEERS; i++)
        assert_silence(w->fds[i]);
}

static void nobody_publishes_to_a_filter(void **state)
{
    world *const w = *state;
    order(w->fds[0], "s *", 0);
    order(w->fds[1], "p * x", LN_ERR_INVALID);
    order(w->fds[1], "p a.> x", LN_ERR_INVALID);
    order(w->fds[1], "s a..*", LN_ERR_INVALID);
    assert_int_equal(ln_publish(w->server, LN_SPAN("*"), LN_TEXT, LN_SPAN("x")), LN_ERR_INVALID);
    assert_silence(w->fds[0]);
}

static void asking_for_everything_is_not_asking_for_what_is_reserved(void **state)
{
    world *const w = *state;
    order(w->fds[0], "s >", 0);
    order(w->fds[0], "s *.presence.*", 0);
    order(w->fds[0], "s $linnet.>", LN_ERR_INVALID);
    const int guest = raw_enter(ln_server_port(w->server, 0), "/rooms?room=r&presence=1", "");
    for (int news = 0; news < 2; news++) { /* how it was, then that it came itself */
        const raw_frame f = raw_read_frame(guest);
        assert_non_null(strstr((const char *)f.payload, "\"presence\""));
    }
    raw_send_text(guest, "to the room");
    assert_text(guest, "to the room");
    assert_text(w->fds[0], "to the room"); /* and nothing before it */
    raw_close(guest);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(everybody_whose_filters_match_gets_it_once, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(nobody_publishes_to_a_filter, set_up, tear_down),
        cmocka_unit_test_setup_teardown(asking_for_everything_is_not_asking_for_what_is_reserved,
                                        set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
