/* SPDX-License-Identifier: MIT */
/*
 * Topics over real servers with one worker and with three: who gets what, in which order, and what
 * becomes of a publication that a subscriber does not read. Peers give orders to the handler:
 *
 *   s TOPIC        subscribe             u TOPIC        unsubscribe
 *   p TOPIC TEXT   publish               o TOPIC TEXT   publish to all others
 *   b TOPIC TEXT   publish TEXT0 to TEXT199
 *   x TOPIC TEXT   publish until one closes, twice more
 *
 * Each is answered with "=RC DELIVERED QUEUED DROPPED CLOSED", behind what it made the handler
 * publish.
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
#include <pthread.h>
#include <stdatomic.h>
#include <zlib.h>

#include "dialect/topics.h"
#include "raw_client.h"
#include "server_kit.h"

enum {
    BURST = 200,
    CROWD = 24,
    PIECE = 50000,
    QUEUE = 120000,
    HIGH_WATER = 65536,
    FLOOD_MAX = 4000,
    ANSWER_MAX = 64
};

typedef struct world {
    ln_server *server;
    int port;
    atomic_uint workers_seen; /* one bit each */
    atomic_int closed, close_code, close_error, drains;
} world;

typedef struct answer {
    int rc;
    unsigned delivered, queued, dropped, closed;
} answer;

/* ---- handlers ---- */

static void on_open(ln_conn *c, const ln_request *request, void *user)
{
    world *const w = user;
    (void)request;
    atomic_fetch_or(&w->workers_seen, 1U << (ln_conn_get_id(c) >> 56));
}

static void on_close(ln_conn *c, const ln_close_info *info, void *user)
{
    world *const w = user;
    assert_int_equal(ln_conn_subscribe(c, LN_SPAN("late")), LN_ERR_CLOSED);
    atomic_store(&w->close_code, info->code);
    atomic_store(&w->close_error, info->error);
    atomic_fetch_add(&w->closed, 1);
}

static void on_drain(ln_conn *c, void *user)
{
    world *const w = user;
    (void)c;
    atomic_fetch_add(&w->drains, 1);
}

static int burst(ln_conn *c, ln_span topic, ln_span text, ln_publish_result *r)
{
    char numbered[64];
    int rc = 0;
    for (int i = 0; i < BURST && rc == 0; i++) {
        const int n = snprintf(numbered, sizeof numbered, "%.*s%d", (int)text.size,
                               (const char *)text.data, i);
        rc = ln_conn_publish(c, topic, LN_TEXT, (ln_span){numbered, (size_t)n}, r);
    }
    return rc;
}

/* In one handler, so that the connection that is closed has not been told yet. */
static int until_closed(ln_conn *c, ln_span topic, ln_span text, ln_publish_result *sum)
{
    int rc = 0, more = 3;
    for (int i = 0; i < FLOOD_MAX && rc == 0 && more > 0; i++) {
        ln_publish_result r;
        rc = ln_conn_publish(c, topic, LN_TEXT, text, &r);
        sum->delivered += r.delivered;
        sum->queued += r.queued;
        sum->dropped += r.dropped;
        sum->closed += r.closed;
        if (sum->closed > 0)
            more--;
    }
    return rc;
}

static void on_message(ln_conn *c, const ln_message *m, void *user)
{
    const char *const line = m->data.data;
    const char *const space = m->data.size < 2 ? NULL : memchr(line + 2, ' ', m->data.size - 2);
    const size_t end = space == NULL ? m->data.size : (size_t)(space - line);
    const ln_span topic = {line + 2, end - 2};
    const ln_span text = space == NULL ? LN_SPAN("") : (ln_span){space + 1, m->data.size - end - 1};
    ln_publish_result r = {0};
    char reply[80];
    int rc = 1;
    (void)user;

    switch (line[0]) {
    case 's':
        rc = ln_conn_subscribe(c, topic);
        break;
    case 'u':
        rc = ln_conn_unsubscribe(c, topic);
        break;
    case 'p':
        rc = ln_conn_publish(c, topic, m->kind, text, &r);
        break;
    case 'o':
        rc = ln_conn_publish_others(c, topic, m->kind, text, &r);
        break;
    case 'b':
        rc = burst(c, topic, text, &r);
        break;
    case 'x':
        rc = until_closed(c, topic, text, &r);
        break;
    }
    const int n = snprintf(reply, sizeof reply, "=%d %u %u %u %u", rc, r.delivered, r.queued,
                           r.dropped, r.closed);
    assert_true(ln_conn_send(c, LN_TEXT, (ln_span){reply, (size_t)n}) >= 0);
}

/* ---- the world ---- */

static void add(world *w, const char *path, ln_ws_options options)
{
    const ln_ws_handlers handlers = {.on_open = on_open,
                                     .on_message = on_message,
                                     .on_drain = on_drain,
                                     .on_close = on_close,
                                     .user = w};
    assert_int_equal(ln_server_ws(w->server, path, &handlers, &options), 0);
}

static int set_up(void **state, unsigned workers)
{
    world *const w = calloc(1, sizeof *w);
    const ln_server_options options = {.workers = workers, .log = kit_quiet, .drain_ms = 2000};

    w->server = ln_server_new(&options);
    assert_non_null(w->server);
    assert_int_equal(ln_publish(w->server, LN_SPAN("t"), LN_TEXT, LN_SPAN("early")), LN_ERR_STATE);
    assert_int_equal(ln_topic_count(w->server, LN_SPAN("t")), 0);
    add(w, "/t", (ln_ws_options){.close_wait_ms = 1000});
    add(w, "/z", (ln_ws_options){.deflate = true});
    add(w, "/ztakeover", (ln_ws_options){.deflate = true, .deflate_context_takeover = true});
    add(w, "/refuse", (ln_ws_options){.queue_max_bytes = QUEUE});
    add(w, "/newest",
        (ln_ws_options){.queue_max_bytes = QUEUE, .overflow = LN_OVERFLOW_DROP_NEWEST});
    add(w, "/oldest",
        (ln_ws_options){.queue_max_bytes = QUEUE, .overflow = LN_OVERFLOW_DROP_OLDEST});
    add(w, "/dry",
        (ln_ws_options){
            .overflow = LN_OVERFLOW_DROP_OLDEST, .high_water_bytes = 1, .low_water_bytes = LN_OFF});
    add(w, "/close", (ln_ws_options){.queue_max_bytes = QUEUE, .overflow = LN_OVERFLOW_CLOSE});
    w->port = kit_serve(w->server);
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

static ln_server_stats stats_of(const world *w)
{
    ln_server_stats s;
    ln_server_stats_get(w->server, &s);
    return s;
}

/* ---- peers ---- */

static int join(const world *w, const char *path, const char *lines)
{
    return raw_enter(w->port, path, lines);
}

static answer read_answer(int fd)
{
    answer a;
    const raw_frame f = raw_read_frame(fd);
    assert_int_equal(f.first, 0x81);
    assert_int_equal(sscanf((const char *)f.payload, "=%d %u %u %u %u", &a.rc, &a.delivered,
                            &a.queued, &a.dropped, &a.closed),
                     5);
    return a;
}

/* For a peer that gets nothing else. */
static answer order(int fd, const char *text)
{
    raw_send_text(fd, text);
    return read_answer(fd);
}

static int subscriber(const world *w, const char *path, const char *topic)
{
    char text[300];
    const int fd = join(w, path, "");
    snprintf(text, sizeof text, "s %s", topic);
    assert_int_equal(order(fd, text).rc, 0);
    return fd;
}

static void assert_text(int fd, const char *text)
{
    const raw_frame f = raw_read_frame(fd);
    assert_int_equal(f.first, 0x81);
    assert_string_equal((const char *)f.payload, text);
}

static void wait_for_count(const world *w, ln_span topic, size_t count)
{
    for (int i = 0; i < 5000 && ln_topic_count(w->server, topic) != count; i++)
        kit_rest_ms(1);
    assert_int_equal(ln_topic_count(w->server, topic), count);
}

/* ---- who gets what ---- */

static void everybody_subscribed_gets_it_and_nobody_else(void **state)
{
    world *const w = *state;
    int fds[CROWD];

    for (int i = 0; i < CROWD; i++)
        fds[i] = subscriber(w, "/t", i % 2 == 0 ? "even" : "odd");
    assert_int_equal(ln_topic_count(w->server, LN_SPAN("even")), CROWD / 2);
    assert_int_equal(ln_topic_count(w->server, LN_SPAN("odd")), CROWD / 2);
    assert_int_equal(ln_topic_count(w->server, LN_SPAN("nobody's")), 0);
    assert_int_equal(order(fds[1], "p even hello").rc, 0);
    for (int i = 0; i < CROWD; i += 2)
        assert_text(fds[i], "hello");
    for (int i = 1; i < CROWD; i += 2) /* had they got it, it would come before this */
        assert_int_equal(order(fds[i], "p nobody's x").rc, 0);
    for (int i = 0; i < CROWD; i++)
        raw_close(fds[i]);
    wait_for_count(w, LN_SPAN("even"), 0);
    wait_for_count(w, LN_SPAN("odd"), 0);
}

static void three_workers_share_the_connections(void **state)
{
    world *const w = *state;
    int fds[CROWD];

    for (int i = 0; i < CROWD; i++)
        fds[i] = subscriber(w, "/t", "t");
    const unsigned seen = atomic_load(&w->workers_seen);
    assert_true((seen & (seen - 1)) != 0); /* at least two: else the other tests prove nothing */
    assert_true(seen < 8);
    for (int i = 0; i < CROWD; i++)
        raw_close(fds[i]);
}

static void publishing_to_others_leaves_out_the_sender(void **state)
{
    world *const w = *state;
    const int a = subscriber(w, "/t", "t"), b = subscriber(w, "/t", "t");

    raw_send_text(a, "o t first");
    assert_int_equal(read_answer(a).rc, 0);
    assert_text(b, "first");
    raw_send_text(a, "p t second");
    assert_text(a, "second");
    assert_int_equal(read_answer(a).rc, 0);
    assert_text(b, "second");
    raw_close(a);
    raw_close(b);
}

static void binary_stays_binary_and_empty_is_a_message(void **state)
{
    world *const w = *state;
    const int fd = subscriber(w, "/t", "t");

    raw_send_frame(fd, 0x82, "p t \x00\xff", 6);
    const raw_frame f = raw_read_frame(fd);
    assert_int_equal(f.first, 0x82);
    assert_int_equal(f.size, 2);
    assert_memory_equal(f.payload, "\x00\xff", 2);
    assert_int_equal(read_answer(fd).rc, 0);
    raw_send_text(fd, "p t");
    assert_text(fd, "");
    assert_int_equal(read_answer(fd).rc, 0);
    raw_close(fd);
}

static void subscribing_twice_is_once_and_unsubscribing_ends_it(void **state)
{
    world *const w = *state;
    const int fd = subscriber(w, "/t", "t");

    assert_int_equal(order(fd, "s t").rc, 0);
    assert_int_equal(ln_topic_count(w->server, LN_SPAN("t")), 1);
    raw_send_text(fd, "p t x");
    assert_text(fd, "x");
    assert_int_equal(read_answer(fd).rc, 0);
    assert_int_equal(order(fd, "u t").rc, 0);
    assert_int_equal(order(fd, "u t").rc, LN_ERR_NOT_FOUND);
    assert_int_equal(ln_topic_count(w->server, LN_SPAN("t")), 0);
    assert_int_equal(order(fd, "p t y").rc, 0);
    const int other = join(w, "/t", "");
    assert_int_equal(order(other, "u t").rc, LN_ERR_NOT_FOUND); /* never subscribed to anything */
    raw_close(other);
    raw_close(fd);
}

static void bad_and_reserved_names_are_refused(void **state)
{
    world *const w = *state;
    char text[300] = "s ", name[257];
    const int fd = join(w, "/t", "");
    static const char *const bad[] = {"s ",
                                      "s a\tb",
                                      "s $linnet.",
                                      "s $linnet.presence.default",
                                      "p $linnet.x y",
                                      "o $linnet.x y",
                                      "p  y",
                                      "p a\177b y"};

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(order(fd, bad[i]).rc, LN_ERR_INVALID);
    assert_int_equal(order(fd, "s $linnet").rc, 0); /* only the prefix is ours */
    memset(name, 'n', 256);
    name[256] = '\0';
    strcpy(text + 2, name);
    assert_int_equal(order(fd, text).rc, 0);
    strcat(text, "n");
    assert_int_equal(order(fd, text).rc, LN_ERR_INVALID);
    assert_int_equal(ln_publish(w->server, LN_SPAN("$linnet.x"), LN_TEXT, LN_SPAN("y")),
                     LN_ERR_INVALID);
    assert_int_equal(ln_publish(w->server, LN_SPAN(""), LN_TEXT, LN_SPAN("y")), LN_ERR_INVALID);
    assert_int_equal(ln_publish(w->server, LN_SPAN("\xff"), LN_TEXT, LN_SPAN("y")), LN_ERR_INVALID);
    assert_int_equal(ln_publish(w->server, LN_SPAN("t"), (enum ln_kind)8, LN_SPAN("y")),
                     LN_ERR_INVALID);
    raw_close(fd);
}

/* ---- order ---- */

typedef struct talker {
    world *w;
    int failures;
} talker;

static void *talk(void *arg)
{
    talker *const t = arg;
    char text[32];
    for (int i = 0; i < BURST; i++) {
        const int n = snprintf(text, sizeof text, "T%d", i);
        t->failures +=
            ln_publish(t->w->server, LN_SPAN("t"), LN_TEXT, (ln_span){text, (size_t)n}) != 0;
    }
    return NULL;
}

static void each_publishers_messages_arrive_in_order_everywhere(void **state)
{
    world *const w = *state;
    talker t = {.w = w};
    pthread_t thread;
    int fds[CROWD], speakers[3];

    for (int i = 0; i < CROWD; i++)
        fds[i] = subscriber(w, "/t", "t");
    for (int i = 0; i < 3; i++)
        speakers[i] = join(w, "/t", "");
    assert_int_equal(pthread_create(&thread, NULL, talk, &t), 0);
    raw_send_text(speakers[0], "b t A");
    raw_send_text(speakers[1], "b t B");
    raw_send_text(speakers[2], "b t C");
    pthread_join(thread, NULL);
    assert_int_equal(t.failures, 0);
    for (int i = 0; i < CROWD; i++) {
        int next[128] = {0};
        for (int k = 0; k < 4 * BURST; k++) {
            const raw_frame f = raw_read_frame(fds[i]);
            assert_int_equal(f.first, 0x81);
            assert_int_equal(atoi((const char *)f.payload + 1), next[f.payload[0] & 127]++);
        }
        assert_int_equal(next['A'], BURST);
        assert_int_equal(next['B'], BURST);
        assert_int_equal(next['C'], BURST);
        assert_int_equal(next['T'], BURST);
        raw_close(fds[i]);
    }
    for (int i = 0; i < 3; i++) {
        assert_int_equal(read_answer(speakers[i]).rc, 0);
        raw_close(speakers[i]);
    }
}

/* ---- results and overflow ---- */

static void a_result_counts_the_subscribers(void **state)
{
    world *const w = *state;
    int fds[5];

    for (int i = 0; i < 5; i++)
        fds[i] = subscriber(w, "/t", "t");
    const int speaker = join(w, "/t", "");
    const answer a = order(speaker, "p t x");
    assert_int_equal(a.delivered, 5);
    assert_int_equal(a.queued + a.dropped + a.closed, 0);
    assert_int_equal(order(speaker, "p u x").delivered, 0);
    for (int i = 0; i < 5; i++)
        raw_close(fds[i]);
    raw_close(speaker);
}

/* As a timer may want it, while a server is freed. */
static void a_worker_that_has_ended_publishes_nothing(void **state)
{
    (void)state;
    ln_home home = {.worker = 0};
    ln_hub_result r = {0};
    ln_msg *const m = ln_msg_new(NULL, LN_MSG_TEXT, LN_SPAN("t"), (ln_span){0}, LN_SPAN("late"), 0);
    assert_int_equal(ln_topics_publish(&home, m, &r), LN_ERR_STATE);
    assert_int_equal(ln_topics_deliver(&home, m, &r), LN_ERR_STATE);
    ln_msg_unref(m);
}

typedef struct flood {
    int speaker, deaf;
    int made;
    unsigned delivered, queued, dropped, closed;
} flood;

/* Publishes one numbered message that fills a good part of a queue. */
static void pour(flood *f)
{
    static char text[PIECE];
    memset(text, '.', sizeof text);
    text[snprintf(text, sizeof text, "p t %08d", f->made++)] = '.';
    raw_send_frame(f->speaker, 0x81, text, sizeof text);
    const answer a = read_answer(f->speaker);
    assert_int_equal(a.rc, 0);
    assert_int_equal(a.delivered + a.queued + a.dropped + a.closed, 1);
    f->delivered += a.delivered;
    f->queued += a.queued;
    f->dropped += a.dropped;
    f->closed += a.closed;
}

/*
 * Until messages are lost and the queue stays above high water: the system may still take some when
 * its buffers grow, and the queue crosses its marks more than once on the way. What the system
 * takes is more than the speaker's last answer, which may still count as queued at first.
 */
static void overfill(const world *w, flood *f)
{
    uint64_t queued;
    do {
        const unsigned before = f->dropped;
        while (f->dropped == before && f->made < FLOOD_MAX)
            pour(f);
        queued = stats_of(w).queued_bytes;
        kit_rest_ms(300);
    } while ((queued <= HIGH_WATER || stats_of(w).queued_bytes + ANSWER_MAX < queued) &&
             f->made < FLOOD_MAX);
}

static flood begin_flood(const world *w, const char *path)
{
    return (flood){.deaf = subscriber(w, path, "t"), .speaker = join(w, "/t", "")};
}

/* What the deaf one has got when it reads at last: `count` numbers that grow. */
static int read_numbers(int fd, int count)
{
    int last = -1;
    for (int i = 0; i < count; i++) {
        const raw_frame f = raw_read_frame(fd);
        assert_int_equal(f.first, 0x81);
        const int number = atoi((const char *)f.payload);
        assert_true(number > last);
        last = number;
    }
    return last;
}

static void end_flood(const flood *f)
{
    raw_close(f->deaf);
    raw_close(f->speaker);
}

static void refusing_drops_the_publication_and_counts_it(void **state)
{
    world *const w = *state;
    flood f = begin_flood(w, "/refuse");

    while (f.dropped < 5 && f.made < FLOOD_MAX)
        pour(&f);
    assert_int_equal(f.dropped, 5);
    assert_true(f.queued > 0);
    assert_int_equal(stats_of(w).dropped_total, 5);
    assert_true(stats_of(w).queued_bytes <= QUEUE);
    read_numbers(f.deaf, f.made - 5);
    assert_int_equal(order(f.deaf, "u t").rc, 0); /* nothing else came */
    assert_int_equal(stats_of(w).queued_bytes, 0);
    end_flood(&f);
}

static void on_drain_comes_once_for_each_crossing(void **state)
{
    world *const w = *state;
    flood f = begin_flood(w, "/refuse");

    for (int crossing = 1; crossing <= 2; crossing++) {
        const int before = f.made - (int)f.dropped;
        overfill(w, &f);
        const int drains = atomic_load(&w->drains);
        read_numbers(f.deaf, f.made - (int)f.dropped - before);
        kit_wait_for(&w->drains, drains + 1);
        assert_int_equal(order(f.deaf, "s t").rc, 0);
        assert_int_equal(atomic_load(&w->drains), drains + 1);
    }
    end_flood(&f);
}

static void dropping_the_newest_keeps_what_was_queued(void **state)
{
    world *const w = *state;
    flood f = begin_flood(w, "/newest");

    while (f.dropped < 3 && f.made < FLOOD_MAX)
        pour(&f);
    assert_int_equal(f.dropped, 3);
    assert_int_equal(f.closed, 0);
    assert_int_equal(stats_of(w).dropped_total, 3);
    const int last = read_numbers(f.deaf, f.made - 3);
    assert_true(last < f.made - 1); /* the newest is what was dropped */
    assert_int_equal(order(f.deaf, "u t").rc, 0);
    end_flood(&f);
}

/* Publishes `size` bytes to `topic`. */
static answer publish_bytes(int speaker, char topic, size_t size)
{
    static char text[PIECE];
    memset(text, '.', sizeof text);
    memcpy(text, (char[]){'p', ' ', topic, ' '}, 4);
    raw_send_frame(speaker, 0x81, text, size + 4);
    return read_answer(speaker);
}

static int count_frames(int fd)
{
    int count = 0;
    raw_send_text(fd, "u t");
    while (raw_read_frame(fd).payload[0] != '=')
        count++;
    return count;
}

/* Once they are full they are parked, by account and topic; none of it shows. */
static void those_without_room_miss_what_is_counted_and_hear_again(void **state)
{
    world *const w = *state;
    const int refusing = subscriber(w, "/refuse", "t"), newest = subscriber(w, "/newest", "t");
    const int speaker = join(w, "/t", "");
    answer a = {0};
    int made = 0;

    assert_int_equal(order(refusing, "s u").rc, 0);
    assert_int_equal(order(newest, "s u").rc, 0);
    for (int full = 0; full < 100; full = a.dropped == 2 ? full + 1 : 0) {
        a = publish_bytes(speaker, made++ % 2 ? 'u' : 't', PIECE - 4);
        assert_int_equal(a.delivered + a.queued + a.dropped, 2);
        if (full == 0)
            kit_rest_ms(2); /* what the system takes, it takes now */
    }
    a = publish_bytes(speaker, 't', 1); /* which fits */
    assert_int_equal(a.queued, 2);
    made++;
    assert_int_equal(publish_bytes(speaker, 't', PIECE - 4).dropped, 2);
    made++;

    const ln_server_stats s = stats_of(w);
    assert_int_equal(count_frames(refusing), made - (int)s.queue_refused_total);
    assert_int_equal(count_frames(newest), made - (int)s.dropped_newest_total);
    assert_int_equal(s.dropped_total, s.queue_refused_total + s.dropped_newest_total);
    assert_true(s.queue_refused_total >= 101 && s.dropped_newest_total >= 101);

    a = publish_bytes(speaker, 'u', PIECE - 4);
    assert_int_equal(a.delivered + a.queued, 2);
    assert_int_equal(raw_read_frame(refusing).first, 0x81);
    assert_int_equal(raw_read_frame(newest).first, 0x81);
    raw_close(refusing);
    raw_close(newest);
    raw_close(speaker);
}

static void dropping_the_oldest_keeps_the_newest(void **state)
{
    world *const w = *state;
    flood f = begin_flood(w, "/oldest");

    while (stats_of(w).dropped_total < 4 && f.made < FLOOD_MAX)
        pour(&f);
    const int dropped = (int)stats_of(w).dropped_total;
    assert_true(dropped >= 4);
    assert_int_equal(f.dropped, 0); /* each was taken; others went */
    assert_int_equal(f.closed, 0);
    assert_int_equal(read_numbers(f.deaf, f.made - dropped), f.made - 1);
    assert_int_equal(order(f.deaf, "u t").rc, 0);
    end_flood(&f);
}

static void without_low_water_dropping_the_oldest_still_sends(void **state)
{
    world *const w = *state;
    const int fd = subscriber(w, "/dry", "t");

    for (int i = 0; i < 5; i++) {
        raw_send_text(fd, "p t x");
        assert_text(fd, "x");
        assert_int_equal(read_answer(fd).rc, 0);
    }
    raw_close(fd);
}

static void a_subscriber_that_is_too_slow_is_closed(void **state)
{
    world *const w = *state;
    flood f = begin_flood(w, "/close");
    raw_frame last;

    while (f.closed == 0 && f.made < FLOOD_MAX)
        pour(&f);
    assert_int_equal(f.closed, 1);
    assert_int_equal(f.dropped, 0);
    wait_for_count(w, LN_SPAN("t"), 0);
    kit_wait_for(&w->closed, 1);
    assert_int_equal(atomic_load(&w->close_code), 1008);
    assert_int_equal(atomic_load(&w->close_error), LN_ERR_WOULD_EXCEED);
    assert_int_equal(stats_of(w).overflow_closes_total, 1);
    assert_int_equal(order(f.speaker, "p t nobody").delivered, 0);
    read_numbers(f.deaf, f.made - 1);
    last = raw_read_frame(f.deaf);
    assert_int_equal(raw_close_code(last), 1008);
    assert_string_equal((const char *)last.payload + 2, "too slow");
    end_flood(&f);
}

static void a_subscriber_is_closed_once_however_much_is_published(void **state)
{
    world *const w = *state;
    static char text[PIECE];
    flood f = begin_flood(w, "/close");

    memset(text, '.', sizeof text);
    memcpy(text, "x t ", 4);
    raw_send_frame(f.speaker, 0x81, text, sizeof text);
    const answer a = read_answer(f.speaker);
    assert_int_equal(a.rc, 0);
    assert_int_equal(a.closed, 1);
    assert_int_equal(stats_of(w).overflow_closes_total, 1);
    kit_wait_for(&w->closed, 1);
    assert_int_equal(atomic_load(&w->close_code), 1008);
    end_flood(&f);
}

/* ---- compression ---- */

/* One message's text, whatever it was sent as; `window` is what the peer agreed to, as zlib wants
 * it. */
static size_t read_inflated(int fd, z_stream *z, uint8_t *text, size_t max)
{
    static uint8_t packed[1 << 16];
    const raw_frame f = raw_read_frame(fd);

    assert_true(f.size + 4 <= sizeof packed && f.size <= max);
    if (f.first == 0x81) {
        memcpy(text, f.payload, f.size);
        return f.size;
    }
    assert_int_equal(f.first, 0xc1);
    memcpy(packed, f.payload, f.size);
    memcpy(packed + f.size, "\x00\x00\xff\xff", 4);
    z->next_in = packed;
    z->avail_in = (uInt)f.size + 4;
    size_t n = 0;
    do { /* in small steps, so that zlib needs the window and not our memory */
        z->next_out = text + n;
        z->avail_out = (uInt)(max - n < 64 ? max - n : 64);
        const uInt room = z->avail_out;
        const int rc = inflate(z, Z_SYNC_FLUSH);
        assert_true(rc == Z_OK || rc == Z_BUF_ERROR);
        n += room - z->avail_out;
    } while (z->avail_out == 0 && n < max);
    assert_int_equal(z->avail_in, 0);
    return n;
}

typedef struct reader {
    const char *path, *offer;
    int window;
    bool keeps_context;
} reader;

static void every_subscriber_gets_the_same_text(void **state)
{
    world *const w = *state;
    static const reader readers[] = {
        {"/z", "", 15, false},
        {"/z", "Sec-WebSocket-Extensions: permessage-deflate\r\n", 15, false},
        {"/z", "Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=9\r\n", 9,
         false},
        {"/ztakeover", "Sec-WebSocket-Extensions: permessage-deflate\r\n", 15, true},
        {"/t", "Sec-WebSocket-Extensions: permessage-deflate\r\n", 15, false},
    };
    enum { READERS = sizeof readers / sizeof *readers, TEXT = 20000 };
    static const size_t sizes[] = {20, 255, 256, 300, 500, 3000, TEXT};
    static char line[TEXT + 4];
    static uint8_t text[TEXT];
    const int speaker = join(w, "/t", "");
    int fds[READERS];
    z_stream z[READERS] = {0};

    for (int i = 0; i < READERS; i++) {
        fds[i] = join(w, readers[i].path, readers[i].offer);
        assert_int_equal(order(fds[i], "s t").rc, 0);
        assert_int_equal(inflateInit2(&z[i], -readers[i].window), Z_OK);
    }
    for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++) {
        memcpy(line, "p t ", 4);
        /* repeats every 1,500 bytes: beyond a window of 512 */
        for (size_t i = 0; i < sizes[k]; i++)
            line[4 + i] = (char)('a' + (i % 1500) * (i % 1500) / 7 % 26);
        raw_send_frame(speaker, 0x81, line, sizes[k] + 4);
        assert_int_equal(read_answer(speaker).rc, 0);
        for (int i = 0; i < READERS; i++) {
            if (!readers[i].keeps_context)
                inflateReset(&z[i]);
            assert_int_equal(read_inflated(fds[i], &z[i], text, TEXT), sizes[k]);
            assert_memory_equal(text, line + 4, sizes[k]);
        }
    }
    for (int i = 0; i < READERS; i++) {
        inflateEnd(&z[i]);
        raw_close(fds[i]);
    }
    raw_close(speaker);
}

static void a_long_text_is_compressed_for_those_who_agreed(void **state)
{
    world *const w = *state;
    char line[1004];
    const int plain = subscriber(w, "/z", "t");
    const int packed = join(w, "/z", "Sec-WebSocket-Extensions: permessage-deflate\r\n");
    const int speaker = join(w, "/t", "");

    assert_int_equal(order(packed, "s t").rc, 0);
    memset(line, 'a', sizeof line);
    memcpy(line, "p t ", 4);
    raw_send_frame(speaker, 0x81, line, sizeof line);
    raw_frame f = raw_read_frame(plain);
    assert_int_equal(f.first, 0x81);
    assert_int_equal(f.size, 1000);
    f = raw_read_frame(packed);
    assert_int_equal(f.first, 0xc1);
    assert_true(f.size < 50);
    raw_close(plain);
    raw_close(packed);
    raw_close(speaker);
}

#define ONE(f)   cmocka_unit_test_setup_teardown(f, set_up_one, tear_down)
#define THREE(f) cmocka_unit_test_setup_teardown(f, set_up_three, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ONE(everybody_subscribed_gets_it_and_nobody_else),
        THREE(everybody_subscribed_gets_it_and_nobody_else),
        THREE(three_workers_share_the_connections),
        ONE(publishing_to_others_leaves_out_the_sender),
        THREE(publishing_to_others_leaves_out_the_sender),
        ONE(binary_stays_binary_and_empty_is_a_message),
        THREE(subscribing_twice_is_once_and_unsubscribing_ends_it),
        ONE(bad_and_reserved_names_are_refused),
        ONE(each_publishers_messages_arrive_in_order_everywhere),
        THREE(each_publishers_messages_arrive_in_order_everywhere),
        ONE(a_result_counts_the_subscribers),
        cmocka_unit_test(a_worker_that_has_ended_publishes_nothing),
        ONE(refusing_drops_the_publication_and_counts_it),
        ONE(on_drain_comes_once_for_each_crossing),
        ONE(dropping_the_newest_keeps_what_was_queued),
        ONE(those_without_room_miss_what_is_counted_and_hear_again),
        ONE(dropping_the_oldest_keeps_the_newest),
        ONE(without_low_water_dropping_the_oldest_still_sends),
        ONE(a_subscriber_that_is_too_slow_is_closed),
        ONE(a_subscriber_is_closed_once_however_much_is_published),
        ONE(every_subscriber_gets_the_same_text),
        THREE(every_subscriber_gets_the_same_text),
        ONE(a_long_text_is_compressed_for_those_who_agreed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
