/* SPDX-License-Identifier: MIT */
/* What a program can do with rooms (linnet/rooms.h): options, publishing, kicking, counts, rates. */
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
#include <stdatomic.h>
#include <sys/socket.h>

#include "base/limits.h"
#include "base/text.h"
#include "dialect/roomsinner.h"
#include "raw_client.h"
#include "server_kit.h"

/* "secret" */
static const char hash[] =
    "10000$AAECAwQFBgcICQoLDA0ODw==$s1qOkFay1DbcR0sablkjBgtOqf1IcoQVkkK1uzR9LdU=";

typedef struct world {
    ln_server *server;
    ln_rooms *rooms;
    int port;
    atomic_int joined, left, heard, results, naps, is_over;
    ln_publish_result result;
} world;

static ln_server *new_server(unsigned workers)
{
    const ln_server_options options = {.workers = workers, .log = kit_quiet, .drain_ms = 5000};
    ln_server *const server = ln_server_new(&options);
    assert_non_null(server);
    return server;
}

static world *open_world(unsigned workers, const ln_rooms_options *options)
{
    world *const w = calloc(1, sizeof *w);

    w->server = new_server(workers);
    ln_rooms_options o = *options;
    o.user = w;
    assert_int_equal(ln_rooms_mount(w->server, "/rooms", &o), 0);
    w->rooms = ln_rooms_find(w->server, "/rooms");
    assert_non_null(w->rooms);
    assert_null(ln_rooms_find(w->server, "/room"));
    w->port = kit_serve(w->server);
    return w;
}

static void close_world(world *w)
{
    kit_end(w->server);
    free(w);
}

static void wait_for(const atomic_int *number, int wanted)
{
    for (int i = 0; i < 5000 && atomic_load(number) != wanted; i++)
        kit_rest_ms(1);
    assert_int_equal(atomic_load(number), wanted);
}

static void wait_for_members(const world *w, ln_span room, size_t wanted)
{
    for (int i = 0; i < 5000 && ln_rooms_count(w->rooms, room) != wanted; i++)
        kit_rest_ms(1);
    assert_int_equal(ln_rooms_count(w->rooms, room), wanted);
}

/* On the thread that publishes nothing else: then everybody has joined. */
static void wait_for_joins(const world *w, uint64_t wanted)
{
    ln_rooms_stats stats = {.rooms = 0};
    for (int i = 0; i < 5000 && stats.joined_total != wanted; i++) {
        kit_rest_ms(1);
        ln_rooms_stats_get(w->rooms, &stats);
    }
    assert_int_equal(stats.joined_total, wanted);
}

static int enter(const world *w, const char *target)
{
    return raw_enter(w->port, target, "");
}

static unsigned status_of(const world *w, const char *target)
{
    const int fd = raw_connect(w->port);
    const unsigned status = (unsigned)atoi(raw_upgrade(fd, target, "") + 9);
    raw_close(fd);
    return status;
}

static void assert_text(int fd, const char *text)
{
    const raw_frame f = raw_read_frame(fd);
    assert_int_equal(f.first, 0x81);
    assert_string_equal((const char *)f.payload, text);
}

static void assert_closed(int fd, uint16_t code, const char *reason)
{
    raw_frame f;
    do
        f = raw_read_frame(fd);
    while (f.first == 0x81 || f.first == 0x82);
    assert_int_equal(raw_close_code(f), code);
    assert_string_equal((const char *)f.payload + 2, reason);
}

/* ---- options ---- */

static void bad_options_are_refused(void **state)
{
    static const char short_secret[] = "0123456789012345678901234567890";
    const ln_rooms_password passwords[] = {
        {"a b", hash}, {"", hash}, {"a", "x"}, {"a", ""}, {"a", "1$AAECAwQFBgcICQoLDA0ODw==$AA=="}};
    const ln_rooms_queue queues[] = {{"", {.max_bytes = 1}}, {"a..>", {.max_bytes = 1}}};
    const ln_rooms_options bad[] = {
        {.mode = (enum ln_rooms_mode)2},
        {.tokens = (enum ln_rooms_tokens)3},
        {.excess = (enum ln_rooms_excess)2},
        {.text = 0x20},
        {.mode = LN_ROOMS_STRICT}, /* a token is required, and nothing could verify it */
        {.tokens = LN_ROOMS_TOKENS_REQUIRED},
        {.rooms_max = (1 << 20) + 1},
        {.room_members_max = (1 << 20) + 1},
        {.joins_per_second = 500001},
        {.connection_rate = {.messages_per_second = 1000001}},
        {.address_rate = {.kib_per_second = 1000001}},
        {.user_rate = {.messages_per_second = 1, .messages_burst = 1000001}},
        {.broadcast_max_bytes = LN_OFF},
        {.admin_secret = {short_secret, sizeof short_secret - 1}},
        {.queues = &queues[0], .queue_count = 1},
        {.queues = &queues[1], .queue_count = 1},
        {.policy = {.passwords = &passwords[0], .password_count = 1}},
        {.policy = {.passwords = &passwords[1], .password_count = 1}},
        {.policy = {.passwords = &passwords[2], .password_count = 1}},
        {.policy = {.passwords = &passwords[3], .password_count = 1}},
        {.policy = {.passwords = &passwords[4], .password_count = 1}},
    };
    ln_server *const server = new_server(1);
    (void)state;

    for (size_t i = 0; i < LN_ARRAY_SIZE(bad); i++) {
        const int rc = ln_rooms_mount(server, "/rooms", &bad[i]);
        if (rc != LN_ERR_INVALID)
            fail_msg("options %zu: %s", i, ln_strerror(rc));
        assert_null(ln_rooms_find(server, "/rooms"));
    }
    assert_int_equal(ln_rooms_mount(server, "/rooms", NULL), 0);
    assert_non_null(ln_rooms_find(server, "/rooms"));
    ln_server_free(server);
}

static void patterns_of_queues_are_bounded(void **state)
{
    static ln_rooms_queue queues[LN_ROOMS_QUEUES_MAX + 1];
    ln_rooms_options o = {.queues = queues, .queue_count = LN_ROOMS_QUEUES_MAX + 1};
    ln_server *const server = new_server(1);
    (void)state;

    for (size_t i = 0; i < LN_ARRAY_SIZE(queues); i++)
        queues[i] = (ln_rooms_queue){"a.>", {.max_bytes = 1000}};
    assert_int_equal(ln_rooms_mount(server, "/rooms", &o), LN_ERR_LIMIT);
    o.queue_count--;
    assert_int_equal(ln_rooms_mount(server, "/rooms", &o), 0);
    ln_server_free(server);
}

static bool has_slash(ln_span name, void *user)
{
    (void)user;
    return memchr(name.data, '/', name.size) != NULL;
}

static void an_application_may_make_the_rule_for_names(void **state)
{
    (void)state;
    world *const w =
        open_world(1, &(ln_rooms_options){.is_room = has_slash, .default_room = "a/b"});

    assert_int_equal(status_of(w, "/rooms?room=x%2Fy"), 101);
    assert_int_equal(status_of(w, "/rooms?room=%C3%A4%2F+"), 101);
    assert_int_equal(status_of(w, "/rooms"), 101);
    assert_int_equal(status_of(w, "/rooms?room=x"), 400);
    assert_int_equal(status_of(w, "/rooms?room=%2F%0A"), 400); /* no topic */
    assert_int_equal(status_of(w, "/rooms?room=%2F.*"), 400);  /* a filter */
    assert_int_equal(status_of(w, "/rooms?room=$linnet.%2F"), 400);
    close_world(w);
}

static void a_room_may_have_a_queue_of_its_own(void **state)
{
    static char large[1 << 20];
    const ln_rooms_queue queues[] = {
        {"slow.never", {.overflow = LN_OVERFLOW_DROP_NEWEST}},
        {"slow.*", {.overflow = LN_OVERFLOW_CLOSE, .max_bytes = 64 << 10}}};
    const ln_ws_options ws = {.overflow = LN_OVERFLOW_DROP_NEWEST};
    ln_rooms_stats stats = {.closed_total = 0};
    (void)state;
    world *const w =
        open_world(1, &(ln_rooms_options){.queues = queues, .queue_count = 2, .ws = &ws});
    const int deaf = enter(w, "/rooms?room=slow.a"), first = enter(w, "/rooms?room=slow.never"),
              other = enter(w, "/rooms?room=fast");

    memset(large, 'x', sizeof large);
    wait_for_joins(w, 3);
    for (int i = 0; i < 60 && ln_rooms_count(w->rooms, LN_SPAN("slow.a")) > 0; i++) {
        assert_int_equal(ln_rooms_publish(w->rooms, LN_SPAN(""), LN_TEXT,
                                          (ln_span){large, sizeof large}, NULL, NULL),
                         0);
        kit_rest_ms(20);
    }
    for (int i = 0; i < 5000 && stats.closed_total == 0; i++) {
        kit_rest_ms(1);
        ln_rooms_stats_get(w->rooms, &stats);
    }
    assert_true(stats.closed_total >= 1);
    assert_int_equal(ln_rooms_count(w->rooms, LN_SPAN("slow.never")), 1);
    assert_int_equal(ln_rooms_count(w->rooms, LN_SPAN("fast")), 1);
    raw_close(deaf);
    raw_close(first);
    raw_close(other);
    close_world(w);
}

/* ---- publishing ---- */

static void on_result(const ln_publish_result *result, void *user)
{
    world *const w = user;
    w->result = *result;
    atomic_fetch_add(&w->results, 1);
}

static void publish(world *w, ln_span room, const char *text)
{
    const int before = atomic_load(&w->results);
    assert_int_equal(ln_rooms_publish(w->rooms, room, LN_TEXT, ln_text(text), on_result, w), 0);
    wait_for(&w->results, before + 1);
}

static void a_publication_tells_what_became_of_it_on_all_workers(void **state)
{
    (void)state;
    world *const w = open_world(3, &(ln_rooms_options){.default_room = "a"});
    int fds[12];

    publish(w, LN_SPAN("a"), "nobody");
    assert_int_equal(w->result.delivered, 0);
    for (int i = 0; i < 12; i++)
        fds[i] = enter(w, i < 8 ? "/rooms?room=a" : "/rooms?room=b");
    wait_for_joins(w, 12);
    publish(w, LN_SPAN("a"), "one");
    assert_int_equal(w->result.delivered, 8);
    publish(w, LN_SPAN(""), "all");
    assert_int_equal(w->result.delivered, 12);
    publish(w, LN_SPAN("c"), "none");
    assert_int_equal(w->result.delivered + w->result.queued + w->result.dropped + w->result.closed,
                     0);
    for (int i = 0; i < 12; i++) {
        if (i < 8)
            assert_text(fds[i], "one");
        assert_text(fds[i], "all");
    }
    assert_int_equal(
        ln_rooms_publish(w->rooms, LN_SPAN("a"), LN_TEXT, LN_SPAN("\xff"), on_result, w),
        LN_ERR_INVALID);
    assert_int_equal(ln_rooms_publish(w->rooms, LN_SPAN("*"), LN_TEXT, LN_SPAN("x"), on_result, w),
                     LN_ERR_INVALID);
    assert_int_equal(
        ln_rooms_publish(w->rooms, LN_SPAN("a"), (enum ln_kind)3, LN_SPAN("x"), on_result, w),
        LN_ERR_INVALID);
    for (int i = 0; i < 12; i++)
        raw_close(fds[i]);
    close_world(w);
}

static ln_rooms_stats stats_of(const world *w)
{
    ln_rooms_stats stats;
    ln_rooms_stats_get(w->rooms, &stats);
    return stats;
}

/* Who was queued and then gave way was lost all the same, though nobody was told so at that time. */
static void what_gives_way_to_newer_messages_is_counted(void **state)
{
    static const enum ln_overflow policies[] = {LN_OVERFLOW_DROP_OLDEST, LN_OVERFLOW_KEEP_LATEST};
    static char text[32 << 10];
    (void)state;

    memset(text, 'x', sizeof text - 1);
    for (size_t i = 0; i < LN_ARRAY_SIZE(policies); i++) {
        const ln_rooms_queue queue = {
            "r", {.overflow = policies[i], .max_messages = 2, .max_bytes = 1 << 20}};
        world *const w = open_world(1, &(ln_rooms_options){.queues = &queue, .queue_count = 1});
        const int deaf = enter(w, "/rooms?room=r"), other = enter(w, "/rooms?room=other");
        uint64_t sent = 0;

        wait_for_joins(w, 2);
        for (; stats_of(w).displaced_total == 0 && sent < 10000; sent++)
            publish(w, LN_SPAN("r"), text);
        for (int more = 0; more < 5; more++, sent++)
            publish(w, LN_SPAN("r"), text);
        publish(w, LN_SPAN("other"), "x");
        const ln_rooms_stats stats = stats_of(w);
        assert_int_equal(stats.displaced_total, 6);
        assert_int_equal(stats.delivered_total + stats.queued_total, sent + 1);
        assert_int_equal(stats.dropped_total + stats.closed_total, 0);
        raw_close(deaf);
        raw_close(other);
        close_world(w);
    }
}

enum { DIRECT = 1000 };

static atomic_int direct_wrong; /* results that a full queue does not have */

static void on_join_flood(ln_conn *c, ln_span room, void *user)
{
    static char text[32 << 10];
    world *const w = user;
    (void)room;

    for (int i = 0; i < DIRECT; i++) {
        const int rc = ln_conn_send(c, LN_BINARY, (ln_span){text, sizeof text});
        /* what has been begun does not give way */
        if (rc < 0 && rc != LN_ERR_WOULD_EXCEED)
            atomic_store(&direct_wrong, rc);
    }
    atomic_fetch_add(&w->joined, 1);
}

/* What a member alone was sent is lost in the same way. */
static void what_gives_way_of_direct_messages_is_counted(void **state)
{
    const ln_rooms_queue queue = {
        "r", {.overflow = LN_OVERFLOW_DROP_OLDEST, .max_messages = 2, .max_bytes = 1 << 20}};
    world *const w = open_world(
        1, &(ln_rooms_options){
               .default_room = "r", .queues = &queue, .queue_count = 1, .on_join = on_join_flood});
    const int deaf = enter(w, "/rooms");
    ln_server_stats server;
    (void)state;

    wait_for(&w->joined, 1);
    const ln_rooms_stats stats = stats_of(w);
    ln_server_stats_get(w->server, &server);
    assert_int_equal(atomic_load(&direct_wrong), 0);
    assert_in_range(stats.displaced_total, 1, DIRECT);
    assert_int_equal(stats.displaced_total, server.dropped_oldest_total);
    assert_int_equal(stats.delivered_total + stats.queued_total + stats.dropped_total, 0);
    raw_close(deaf);
    close_world(w);
}

static void each_publication_ends_once_also_when_the_server_does(void **state)
{
    atomic_int results = 0;
    (void)state;
    world *w = open_world(2, &(ln_rooms_options){.default_room = "a"});
    int asked = 0;

    for (int i = 0; i < 500; i++) {
        if (i == 250) {
            ln_server_stop(w->server);
            ln_server_stop(w->server);
        }
        asked += ln_rooms_publish(w->rooms, LN_SPAN(""), LN_TEXT, LN_SPAN("x"), on_result, w) == 0;
    }
    ln_server_join(w->server);
    assert_int_equal(ln_rooms_publish(w->rooms, LN_SPAN(""), LN_TEXT, LN_SPAN("x"), on_result, w),
                     LN_ERR_STATE);
    assert_int_equal(ln_rooms_kick(w->rooms, LN_SPAN(""), LN_SPAN(""), 1000, LN_SPAN("")),
                     LN_ERR_STATE);
    ln_server_free(w->server);
    atomic_store(&results, atomic_load(&w->results));
    assert_int_equal(atomic_load(&results), asked);
    free(w);
}

static void on_nap(ln_conn *c, ln_span room, const ln_message *m, void *user)
{
    world *const w = user;
    (void)c;
    (void)room;
    (void)m;
    atomic_fetch_add(&w->naps, 1);
    for (int i = 0; i < 10000 && atomic_load(&w->is_over) == 0; i++)
        kit_rest_ms(1);
}

static void what_other_threads_ask_for_is_bounded(void **state)
{
    (void)state;
    world *const w = open_world(1, &(ln_rooms_options){.on_message = on_nap});
    const int fd = enter(w, "/rooms");
    int rc = 0, posted = 0;

    raw_send_text(fd, "sleep");
    wait_for(&w->naps, 1);
    for (; posted <= LN_ROOMS_POSTED_MAX && rc == 0; posted += rc == 0)
        rc = ln_rooms_publish(w->rooms, LN_SPAN("x"), LN_TEXT, LN_SPAN(""), on_result, w);
    assert_int_equal(rc, LN_ERR_WOULD_EXCEED);
    assert_int_equal(posted, LN_ROOMS_POSTED_MAX);
    assert_int_equal(ln_rooms_kick(w->rooms, LN_SPAN("x"), LN_SPAN(""), 1000, LN_SPAN("")),
                     LN_ERR_WOULD_EXCEED);
    atomic_store(&w->is_over, 1);
    wait_for(&w->results, LN_ROOMS_POSTED_MAX);
    publish(w, LN_SPAN("x"), "");
    raw_close(fd);
    close_world(w);
}

/* ---- who is there ---- */

static void on_room(ln_span room, size_t members, void *user)
{
    size_t *const sums = user;
    sums[0]++;
    sums[1] += members;
    assert_int_equal(members, room.size); /* "a" has one, "bb" two */
}

static void rooms_are_counted_and_listed_and_emptied(void **state)
{
    (void)state;
    world *const w = open_world(2, &(ln_rooms_options){.default_room = "d"});
    size_t sums[2] = {0, 0};
    const int a = enter(w, "/rooms?room=a"), b = enter(w, "/rooms?room=bb"),
              c = enter(w, "/rooms?room=bb");

    wait_for_joins(w, 3);
    assert_int_equal(ln_rooms_count(w->rooms, LN_SPAN("bb")), 2);
    assert_int_equal(ln_rooms_count(w->rooms, LN_SPAN("c")), 0);
    assert_int_equal(ln_rooms_count(w->rooms, LN_SPAN("")), 3);
    assert_int_equal(ln_rooms_each(w->rooms, on_room, sums), 0);
    assert_int_equal(sums[0], 2);
    assert_int_equal(sums[1], 3);
    assert_int_equal(ln_rooms_kick(w->rooms, LN_SPAN("bb"), LN_SPAN(""), 999, LN_SPAN("")),
                     LN_ERR_INVALID);
    assert_int_equal(ln_rooms_kick(w->rooms, LN_SPAN("bb"), LN_SPAN(""), 4000, LN_SPAN("\xff")),
                     LN_ERR_INVALID);
    assert_int_equal(ln_rooms_kick(w->rooms, LN_SPAN("bb"), LN_SPAN("u"), 4000, LN_SPAN("x")), 0);
    assert_int_equal(ln_rooms_kick(w->rooms, LN_SPAN("bb"), LN_SPAN(""), 4000, LN_SPAN("closing")),
                     0);
    assert_closed(b, 4000, "closing");
    assert_closed(c, 4000, "closing");
    raw_close(b);
    raw_close(c);
    wait_for_members(w, LN_SPAN(""), 1);
    raw_send_text(a, "still here");
    assert_text(a, "still here");
    assert_int_equal(ln_rooms_kick(w->rooms, LN_SPAN(""), LN_SPAN(""), 1000, LN_SPAN("all")), 0);
    assert_closed(a, 1000, "all");
    raw_close(a);
    close_world(w);
}

static void on_join(ln_conn *c, ln_span room, void *user)
{
    world *const w = user;
    assert_null(ln_rooms_identity(c));
    assert_true(ln_text_equal(room, LN_SPAN("r")));
    atomic_fetch_add(&w->joined, 1);
    assert_int_equal(ln_conn_send(c, LN_TEXT, LN_SPAN("welcome")), 0);
}

static void on_heard(ln_conn *c, ln_span room, const ln_message *m, void *user)
{
    world *const w = user;
    atomic_fetch_add(&w->heard, 1);
    if (m->data.size == 0)
        (void)ln_conn_close(c, 4001, LN_SPAN("empty"));
    else
        (void)ln_conn_publish_others(c, room, m->kind, m->data, NULL);
}

static void on_leave(ln_conn *c, ln_span room, void *user)
{
    world *const w = user;
    (void)c;
    assert_true(ln_text_equal(room, LN_SPAN("r")));
    atomic_fetch_add(&w->left, 1);
}

static void an_application_may_handle_messages_itself(void **state)
{
    (void)state;
    world *const w = open_world(1, &(ln_rooms_options){.default_room = "r",
                                                       .on_join = on_join,
                                                       .on_message = on_heard,
                                                       .on_leave = on_leave});
    const int a = enter(w, "/rooms"), b = enter(w, "/rooms");

    assert_text(a, "welcome");
    assert_text(b, "welcome");
    wait_for(&w->joined, 2);
    raw_send_text(a, "x");
    assert_text(b, "x");
    raw_send_text(a, "");
    assert_closed(a, 4001, "empty"); /* and not its own "x" before it */
    raw_close(a);
    wait_for(&w->left, 1);
    raw_close(b);
    wait_for(&w->left, 2);
    assert_int_equal(atomic_load(&w->heard), 2);
    close_world(w);
}

/* ---- administration ---- */

static ln_loop *_Atomic last_loop;
static atomic_int stopped;

static void on_worker_start(ln_server *server, unsigned worker, ln_loop *loop, void *user)
{
    (void)server;
    (void)user;
    if (worker == 1)
        atomic_store(&last_loop, loop);
}

static void on_worker_stop(ln_server *server, unsigned worker, void *user)
{
    (void)server;
    (void)user;
    if (worker == 1)
        atomic_store(&stopped, 1);
}

/* A worker that has ended first gets its letter back last, when other loops are gone already. */
static void a_broadcast_that_never_ends_goes_with_the_server(void **state)
{
    static const char secret[] = "an administrators' secret of 40 bytes...";
    const ln_server_options options = {.workers = 2,
                                       .log = kit_quiet,
                                       .drain_ms = 100,
                                       .on_worker_start = on_worker_start,
                                       .on_worker_stop = on_worker_stop};
    char text[512];
    int fds[32], count = 0;
    (void)state;
    ln_server *const server = ln_server_new(&options);
    const ln_rooms_options o = {.admin_secret = LN_SPAN(secret)};

    atomic_store(&stopped, 0);
    atomic_store(&last_loop, NULL);
    assert_int_equal(ln_rooms_mount(server, "/rooms", &o), 0);
    assert_int_equal(ln_server_listen(server, "127.0.0.1:0"), 0);
    assert_int_equal(ln_server_start(server), 0);
    for (int i = 0; i < 5000 && atomic_load(&last_loop) == NULL; i++)
        kit_rest_ms(1);
    ln_loop_stop(atomic_load(&last_loop));
    wait_for(&stopped, 1);
    const int n = snprintf(text, sizeof text,
                           "POST /_admin/broadcast HTTP/1.1\r\nHost: x\r\n"
                           "Authorization: Bearer %s\r\nContent-Length: 1\r\n\r\nx",
                           secret);
    const ln_rooms *const rooms = ln_rooms_find(server, "/rooms");
    while (count < 32 && atomic_load(&rooms->broadcasts) == 0) { /* some wait for the ended one */
        fds[count] = raw_connect(ln_server_port(server, 0));
        assert_int_equal(send(fds[count++], text, (size_t)n, MSG_NOSIGNAL), n);
        kit_rest_ms(10);
    }
    for (int i = 0; i < 5000 && atomic_load(&rooms->broadcasts) == 0; i++)
        kit_rest_ms(1);
    assert_true(atomic_load(&rooms->broadcasts) > 0);
    ln_server_free(server);
    while (count > 0)
        raw_close(fds[--count]);
}

/* ---- passwords ---- */

static void a_password_is_set_exchanged_and_removed(void **state)
{
    char text[LN_PASSWORD_HASH_SIZE], padded[LN_ROOMS_HASH_MAX_BYTES + 2];
    (void)state;
    world *const w = open_world(1, &(ln_rooms_options){.default_room = "r"});

    assert_int_equal(status_of(w, "/rooms?room=a"), 101);
    assert_true(ln_password_hash(LN_SPAN("one"), text) > 0);
    assert_int_equal(ln_rooms_set_password(w->rooms, LN_SPAN("a"), text), 0);
    assert_int_equal(status_of(w, "/rooms?room=a"), 403);
    assert_int_equal(status_of(w, "/rooms?room=a&room_password=one"), 101);
    assert_true(ln_password_hash(LN_SPAN("two"), text) > 0);
    assert_int_equal(ln_rooms_set_password(w->rooms, LN_SPAN("a"), text), 0);
    assert_int_equal(status_of(w, "/rooms?room=a&room_password=one"), 403);
    assert_int_equal(status_of(w, "/rooms?room=a&room_password=two"), 101);
    assert_int_equal(ln_rooms_set_password(w->rooms, LN_SPAN("b"), "x"), LN_ERR_INVALID);
    memset(padded, '0', sizeof padded);
    memcpy(padded + sizeof padded - sizeof hash, hash, sizeof hash);
    assert_int_equal(ln_rooms_set_password(w->rooms, LN_SPAN("b"), padded), LN_ERR_INVALID);
    assert_int_equal(ln_rooms_set_password(w->rooms, LN_SPAN("b"), padded + 1), 0);
    assert_int_equal(ln_rooms_set_password(w->rooms, LN_SPAN("a b"), text), LN_ERR_INVALID);
    assert_int_equal(status_of(w, "/rooms?room=b"), 403);
    assert_int_equal(ln_rooms_set_password(w->rooms, LN_SPAN("b"), NULL), 0);
    assert_int_equal(ln_rooms_set_password(w->rooms, LN_SPAN("b"), NULL), 0);
    assert_int_equal(status_of(w, "/rooms?room=b"), 101);
    close_world(w);
}

static void passwords_are_bounded_in_number(void **state)
{
    ln_server *const server = new_server(1);
    char room[16];
    (void)state;

    assert_int_equal(ln_rooms_mount(server, "/rooms", NULL), 0);
    ln_rooms *const rooms = ln_rooms_find(server, "/rooms");
    for (int i = 0; i < LN_ROOMS_PASSWORDS_MAX; i++) {
        const int n = snprintf(room, sizeof room, "r%d", i);
        assert_int_equal(ln_rooms_set_password(rooms, (ln_span){room, (size_t)n}, hash), 0);
    }
    assert_int_equal(ln_rooms_set_password(rooms, LN_SPAN("more"), hash), LN_ERR_LIMIT);
    assert_int_equal(ln_rooms_set_password(rooms, LN_SPAN("r7"), hash), 0);
    assert_int_equal(ln_rooms_set_password(rooms, LN_SPAN("r8"), NULL), 0);
    assert_int_equal(ln_rooms_set_password(rooms, LN_SPAN("more"), hash), 0);
    ln_server_free(server);
}

static void a_policy_is_exchanged_whole_or_not_at_all(void **state)
{
    const ln_rooms_password one = {"a", hash}, mixed[] = {{"b", hash}, {"c", "x"}};
    ln_rules_error error;
    ln_rules *rules;
    (void)state;
    world *const w =
        open_world(2, &(ln_rooms_options){.policy = {.passwords = &one, .password_count = 1}});

    assert_int_equal(ln_rules_new(NULL, LN_SPAN("allow all b anyone"), &rules, &error), 0);
    assert_int_equal(
        ln_rooms_set_policy(
            w->rooms, &(ln_rooms_policy){.rules = rules, .passwords = mixed, .password_count = 2}),
        LN_ERR_INVALID);
    assert_int_equal(status_of(w, "/rooms?room=a"), 403);
    assert_int_equal(status_of(w, "/rooms?room=b"), 101);
    assert_int_equal(status_of(w, "/rooms?room=c"), 101);
    const int fd = enter(w, "/rooms?room=c"), other = enter(w, "/rooms?room=b");
    assert_int_equal(ln_rooms_set_policy(w->rooms, &(ln_rooms_policy){.rules = rules}), 0);
    ln_rules_unref(rules);
    assert_closed(fd, 1008, "not permitted to be here");
    assert_int_equal(status_of(w, "/rooms?room=a"), 403); /* by the rules now */
    assert_int_equal(status_of(w, "/rooms?room=c"), 403);
    raw_send_text(other, "x");
    assert_text(other, "x");
    raw_close(fd);
    raw_close(other);
    close_world(w);
}

/* Of no password, and it takes a while to find out. */
static const char slow[] =
    "500000$AAECAwQFBgcICQoLDA0ODw==$s1qOkFay1DbcR0sablkjBgtOqf1IcoQVkkK1uzR9LdU=";

static int ask(const world *w, const char *target)
{
    char text[512];
    const int fd = raw_connect(w->port);
    const int n = snprintf(text, sizeof text,
                           "GET %s HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n"
                           "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                           "X-WebSocket-Room-Password: secret\r\n"
                           "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
                           target);
    assert_int_equal(send(fd, text, (size_t)n, MSG_NOSIGNAL), n);
    return fd;
}

/* Until its password is the last of `count` that are being hashed. */
static int ask_for_hash(const world *w, const char *target, unsigned count)
{
    const int fd = ask(w, target);
    for (int i = 0; i < 5000 && atomic_load(&w->rooms->hashing) < count; i++)
        kit_rest_ms(1);
    return fd;
}

/* One password at a time is worked out: the second one waits behind the first. */
static void who_is_forbidden_while_the_password_is_looked_at_was_never_in(void **state)
{
    const ln_rooms_password locks[] = {{"slow", slow}, {"r", hash}};
    ln_rules_error error;
    ln_rooms_stats stats;
    ln_rules *rules;
    (void)state;
    world *const w =
        open_world(1, &(ln_rooms_options){.mode = LN_ROOMS_STRICT,
                                          .tokens = LN_ROOMS_TOKENS_OPTIONAL,
                                          .policy = {.passwords = locks, .password_count = 2},
                                          .on_join = on_join,
                                          .on_leave = on_leave});

    const int first = ask_for_hash(w, "/rooms?room=slow", 1);
    const int second = ask_for_hash(w, "/rooms?room=r", 2);
    assert_int_equal(ln_rules_new(NULL, LN_SPAN("deny all r anyone"), &rules, &error), 0);
    assert_int_equal(
        ln_rooms_set_policy(
            w->rooms, &(ln_rooms_policy){.rules = rules, .passwords = locks, .password_count = 2}),
        0);
    ln_rules_unref(rules);
    assert_non_null(strstr(raw_read_until(first, "\r\n\r\n"), " 403 "));
    assert_non_null(strstr(raw_read_until(second, "\r\n\r\n"), " 101 "));
    assert_closed(second, 1008, "not permitted to be here");
    raw_close(first);
    raw_close(second);
    wait_for_members(w, LN_SPAN(""), 0);
    ln_rooms_stats_get(w->rooms, &stats);
    assert_int_equal(stats.joined_total, 0);
    assert_int_equal(atomic_load(&w->joined), 0);
    assert_int_equal(atomic_load(&w->left), 0);
    close_world(w);
}

static void who_has_the_password_when_the_server_ends_is_refused(void **state)
{
    const ln_rooms_password locks[] = {{"slow", slow}, {"r", hash}};
    (void)state;
    world *const w =
        open_world(1, &(ln_rooms_options){.mode = LN_ROOMS_STRICT,
                                          .tokens = LN_ROOMS_TOKENS_OPTIONAL,
                                          .policy = {.passwords = locks, .password_count = 2},
                                          .on_join = on_join});

    const int first = ask_for_hash(w, "/rooms?room=slow", 1);
    const int second = ask_for_hash(w, "/rooms?room=r", 2);
    ln_server_stop(w->server);
    assert_non_null(strstr(raw_read_until(first, "\r\n\r\n"), " 403 "));
    assert_non_null(strstr(raw_read_until(second, "\r\n\r\n"), " 503 "));
    raw_close(first);
    raw_close(second);
    ln_server_join(w->server);
    assert_int_equal(atomic_load(&w->joined), 0);
    assert_int_equal(ln_rooms_count(w->rooms, LN_SPAN("")), 0);
    close_world(w);
}

/* ---- presence ---- */

static void obey(world *w, const char *text)
{
    ln_rules_error error;
    ln_rules *rules;

    assert_int_equal(ln_rules_new(NULL, ln_text(text), &rules, &error), 0);
    assert_int_equal(ln_rooms_set_policy(w->rooms, &(ln_rooms_policy){.rules = rules}), 0);
    ln_rules_unref(rules);
    publish(w, LN_SPAN("elsewhere"), "by now all have been judged");
}

/* Until not even one byte more fits the queue of who does not read. */
static void fill(world *w)
{
    static char text[32 << 10];

    memset(text, 'x', sizeof text);
    for (size_t size = sizeof text - 1; size > 0; size /= 2) {
        text[size] = '\0';
        do
            publish(w, LN_SPAN("r"), text);
        while (w->result.dropped == 0);
    }
}

/* It may be told of presence again, but there is no room to begin; then it may not any more. */
static void who_could_not_be_told_is_not_told_later_against_the_rules(void **state)
{
    static const char all[] = "allow all > anyone";
    static const char secret[] = "deny presence r anyone\nallow all > anyone";
    const ln_rooms_queue queue = {"r",
                                  {.overflow = LN_OVERFLOW_DROP_NEWEST, .max_bytes = 64 << 10}};
    (void)state;
    world *const w =
        open_world(1, &(ln_rooms_options){.presence = true, .queues = &queue, .queue_count = 1});
    const int deaf = enter(w, "/rooms?room=r&presence=1");

    wait_for_joins(w, 1);
    obey(w, secret);
    fill(w);
    obey(w, all);
    obey(w, secret);
    raw_frame f;
    do { /* it reads again, until something new comes through */
        publish(w, LN_SPAN("r"), "mark");
        f = raw_read_frame(deaf);
    } while (strcmp((const char *)f.payload, "mark") != 0);
    obey(w, secret);
    const int other = enter(w, "/rooms?room=r");
    wait_for_joins(w, 2);
    kit_rest_ms(3 * LN_ROOMS_PRESENCE_MS);
    publish(w, LN_SPAN("r"), "end");
    do {
        f = raw_read_frame(deaf);
        assert_null(strstr((const char *)f.payload, "presence"));
    } while (strcmp((const char *)f.payload, "end") != 0);
    raw_close(deaf);
    raw_close(other);
    close_world(w);
}

/* ---- rates ---- */

static void a_burst_is_what_was_asked_for(void **state)
{
    (void)state;
    world *const w = open_world(
        1, &(ln_rooms_options){.connection_rate = {.messages_per_second = 1, .messages_burst = 7},
                               .excess = LN_ROOMS_CLOSE});
    const int fd = enter(w, "/rooms");
    int echoes = 0;

    for (int i = 0; i < 8; i++)
        raw_send_text(fd, "x");
    raw_frame f = raw_read_frame(fd);
    for (; f.first == 0x81; f = raw_read_frame(fd))
        echoes++;
    assert_int_equal(echoes, 7);
    assert_int_equal(raw_close_code(f), 1008);
    raw_close(fd);
    close_world(w);
}

static void a_message_that_waits_is_forgotten_with_its_sender(void **state)
{
    (void)state;
    ln_rooms_stats stats = {.rooms = 0};
    world *const w = open_world(
        1, &(ln_rooms_options){.connection_rate = {.messages_per_second = 1, .messages_burst = 1}});
    int fds[20];

    for (int i = 0; i < 20; i++) {
        fds[i] = enter(w, "/rooms");
        for (int k = 0; k < 5; k++)
            raw_send_text(fds[i], "x");
    }
    for (int i = 0; i < 5000 && stats.paused_total < 20; i++) {
        kit_rest_ms(1);
        ln_rooms_stats_get(w->rooms, &stats);
    }
    assert_true(stats.paused_total >= 20);
    assert_int_equal(ln_rooms_kick(w->rooms, LN_SPAN(""), LN_SPAN(""), 4000, LN_SPAN("go")), 0);
    for (int i = 0; i < 20; i++) {
        assert_closed(fds[i], 4000, "go");
        raw_close(fds[i]);
    }
    wait_for_members(w, LN_SPAN(""), 0);
    ln_rooms_stats_get(w->rooms, &stats); /* the first one of each had not to wait */
    assert_true(stats.messages_total + stats.abandoned_total >= 20 + stats.paused_total);
    close_world(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bad_options_are_refused),
        cmocka_unit_test(patterns_of_queues_are_bounded),
        cmocka_unit_test(an_application_may_make_the_rule_for_names),
        cmocka_unit_test(a_room_may_have_a_queue_of_its_own),
        cmocka_unit_test(a_publication_tells_what_became_of_it_on_all_workers),
        cmocka_unit_test(what_gives_way_to_newer_messages_is_counted),
        cmocka_unit_test(what_gives_way_of_direct_messages_is_counted),
        cmocka_unit_test(each_publication_ends_once_also_when_the_server_does),
        cmocka_unit_test(what_other_threads_ask_for_is_bounded),
        cmocka_unit_test(rooms_are_counted_and_listed_and_emptied),
        cmocka_unit_test(an_application_may_handle_messages_itself),
        cmocka_unit_test(a_broadcast_that_never_ends_goes_with_the_server),
        cmocka_unit_test(a_password_is_set_exchanged_and_removed),
        cmocka_unit_test(passwords_are_bounded_in_number),
        cmocka_unit_test(a_policy_is_exchanged_whole_or_not_at_all),
        cmocka_unit_test(who_is_forbidden_while_the_password_is_looked_at_was_never_in),
        cmocka_unit_test(who_has_the_password_when_the_server_ends_is_refused),
        cmocka_unit_test(who_could_not_be_told_is_not_told_later_against_the_rules),
        cmocka_unit_test(a_burst_is_what_was_asked_for),
        cmocka_unit_test(a_message_that_waits_is_forgotten_with_its_sender),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
