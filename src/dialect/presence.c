/* SPDX-License-Identifier: MIT */
/*
 * Threads: the roster is shared under `lock`, never held across a send. The letter and the timer
 * belong to worker 0; `is_called` says that they are under way.
 */
#include "presence.h"

#include <linnet/rooms.h>
#include <string.h>

#include "base/limits.h"
#include "hub/roster.h"
#include "net/random.h"
#include "proto/jsonwrite.h"
#include "topics.h"

enum { ROOMS_MAX = 1 << 20, PEOPLE_PER_ROOM_MAX = 1 << 20, TOPIC_ROOM_MAX = 256 };

struct ln_presence_desk {
    const ln_allocator *alloc;
    ln_lock lock; /* of roster, is_called and voice */
    ln_roster *roster;
    bool is_called;
    ln_letter letter;
    ln_timer timer;
    ln_home *voice; /* worker 0's */
};

/* ---- as JSON ---- */

static int write_person(ln_buf *out, const ln_presence *p)
{
    int rc = ln_json_write_raw(out, "{\"id\":");
    if (rc == 0)
        rc = ln_json_write_hex(out, p->id);
    if (rc == 0)
        rc = ln_json_write_raw(out, ",\"name\":");
    if (rc == 0)
        rc = ln_json_write_string(out, p->name);
    return rc == 0 ? ln_json_write_raw(out, "}") : rc;
}

static int write_people(ln_buf *out, const char *key, const ln_presence *people, size_t n)
{
    int rc = ln_json_write_raw(out, key);

    for (size_t i = 0; i < n && rc == 0; i++) {
        rc = i == 0 ? 0 : ln_json_write_raw(out, ",");
        if (rc == 0)
            rc = write_person(out, &people[i]);
    }
    return rc == 0 ? ln_json_write_raw(out, "]") : rc;
}

static int write_ids(ln_buf *out, const char *key, const uint64_t *ids, size_t n)
{
    int rc = ln_json_write_raw(out, key);

    for (size_t i = 0; i < n && rc == 0; i++) {
        rc = i == 0 ? 0 : ln_json_write_raw(out, ",");
        if (rc == 0)
            rc = ln_json_write_hex(out, ids[i]);
    }
    return rc == 0 ? ln_json_write_raw(out, "]") : rc;
}

static int write_number(ln_buf *out, const char *key, uint64_t number)
{
    const int rc = ln_json_write_raw(out, key);
    return rc == 0 ? ln_json_write_u64(out, number) : rc;
}

static int write_changes(ln_buf *out, const ln_roster_news *news)
{
    int rc = write_people(out, ",\"joined\":[", news->joined, news->joined_count);
    if (rc == 0)
        rc = write_ids(out, ",\"left\":[", news->left, news->left_count);
    return rc;
}

static int write_news(ln_buf *out, const ln_roster_news *news)
{
    int rc = ln_json_write_raw(out, "{\"type\":\"presence\",\"room\":");
    if (rc == 0)
        rc = ln_json_write_string(out, news->room);
    if (rc == 0)
        rc = write_number(out, ",\"version\":", news->version);
    if (rc == 0 && news->view == LN_ROSTER_DIFF)
        rc = write_number(out, ",\"since\":", news->since);
    if (rc == 0)
        rc = write_number(out, ",\"count\":", news->count);
    if (rc == 0 && news->view == LN_ROSTER_LIST)
        rc = write_people(out, ",\"members\":[", news->joined, news->joined_count);
    if (rc == 0 && news->view == LN_ROSTER_DIFF)
        rc = write_changes(out, news);
    return rc == 0 ? ln_json_write_raw(out, "}") : rc;
}

/* ---- telling ---- */

/* The topic that those who follow `room` subscribe to. Its length, or LN_ERR_LIMIT. */
static int write_topic(ln_span room, char topic[TOPIC_ROOM_MAX])
{
    static const char prefix[] = LN_TOPICS_RESERVED "presence.";
    const size_t n = sizeof prefix - 1 + room.size;

    if (n > TOPIC_ROOM_MAX)
        return LN_ERR_LIMIT;
    memcpy(topic, prefix, sizeof prefix - 1);
    memcpy(topic + sizeof prefix - 1, room.data, room.size);
    return (int)n;
}

/* The news of one room as a message; NULL when out of memory. */
static ln_msg *make_msg(const ln_presence_desk *desk, const ln_roster_news *news)
{
    char topic[TOPIC_ROOM_MAX];
    const int size = write_topic(news->room, topic);
    ln_msg *m = NULL;
    ln_buf text;

    ln_buf_init(&text, desk->alloc);
    if (size > 0 && write_news(&text, news) == 0)
        m = ln_msg_new(desk->alloc, LN_MSG_TEXT, (ln_span){topic, (size_t)size}, (ln_span){NULL, 0},
                       (ln_span){text.data, text.size}, 0);
    ln_buf_fini(&text);
    return m;
}

/* Tells one room that has changed. False: there is none left. */
static bool tell_next(ln_presence_desk *desk)
{
    ln_roster_news news;
    ln_msg *m = NULL;

    ln_lock_take(&desk->lock);
    const bool has_news = ln_roster_flush_next(desk->roster, &news);
    ln_home *const voice = desk->voice;
    if (has_news)
        m = make_msg(desk, &news);
    else
        desk->is_called = false;
    ln_lock_give(&desk->lock);
    if (m != NULL) {
        /* what cannot be delivered is counted there */
        (void)ln_topics_publish(voice, m, NULL);
        ln_msg_unref(m);
    }
    return has_news;
}

static void on_timer(ln_timer *timer)
{
    ln_presence_desk *const desk = LN_CONTAINER_OF(timer, ln_presence_desk, timer);
    while (tell_next(desk))
        ;
}

static void on_letter(ln_letter *letter, ln_loop *loop)
{
    ln_presence_desk *const desk = LN_CONTAINER_OF(letter, ln_presence_desk, letter);

    if (loop != NULL)
        ln_timer_set(&loop->wheel, &desk->timer, loop->now_ms + LN_ROOMS_PRESENCE_MS);
}

/* Something changed: worker 0 is asked to tell it, once. Called with the lock held; true if a
 * letter has to be sent. */
static bool call(ln_presence_desk *desk)
{
    const bool is_first = !desk->is_called;
    desk->is_called = true;
    return is_first;
}

/* ---- coming and going ---- */

/* Ids as peers see them are drawn from the connection's, which says nothing that helps to send in
 * its name. */
int ln_presence_enter(ln_presence_desk *desk, ln_conn *c, ln_span room, ln_span name)
{
    ln_home *const voice = &ln_conn_home(c)->server->workers[0].home;

    ln_lock_take(&desk->lock);
    desk->voice = voice;
    const int rc = ln_roster_join(desk->roster, room, ln_conn_get_id(c), name);
    const bool has_to_call = rc == 0 && call(desk);
    ln_lock_give(&desk->lock);
    if (has_to_call)
        ln_loop_send_letter(voice->loop, &desk->letter);
    return rc;
}

void ln_presence_leave(ln_presence_desk *desk, ln_conn *c, ln_span room)
{
    ln_lock_take(&desk->lock);
    const int rc = ln_roster_leave(desk->roster, room, ln_conn_get_id(c));
    ln_loop *const loop = rc == 0 && call(desk) ? desk->voice->loop : NULL;
    ln_lock_give(&desk->lock);
    if (loop != NULL)
        ln_loop_send_letter(loop, &desk->letter);
}

void ln_presence_unfollow(ln_conn *c, ln_span room)
{
    char topic[TOPIC_ROOM_MAX];
    const int size = write_topic(room, topic);

    if (size > 0) /* it does not follow: as good */
        (void)ln_conn_unsubscribe(c, (ln_span){topic, (size_t)size});
}

/* Tells one connection of the room as it was told last. */
static int tell(ln_presence_desk *desk, ln_conn *c, ln_span room)
{
    ln_roster_news news;
    ln_msg *m = NULL;

    ln_lock_take(&desk->lock);
    int rc = ln_roster_snapshot(desk->roster, room, &news);
    if (rc == 0)
        m = make_msg(desk, &news);
    ln_lock_give(&desk->lock);
    if (rc == 0 && m == NULL)
        rc = LN_ERR_NOMEM;
    if (rc == 0)
        rc = ln_conn_send(c, LN_TEXT, m->payload);
    ln_msg_unref(m);
    return rc < 0 ? rc : 0;
}

int ln_presence_follow(ln_presence_desk *desk, ln_conn *c, ln_span room)
{
    char topic[TOPIC_ROOM_MAX];

    const int size = write_topic(room, topic);
    int rc = size < 0 ? size : ln_topics_subscribe(c, (ln_span){topic, (size_t)size});
    if (rc < 0)
        return rc;
    rc = tell(desk, c, room);
    if (rc < 0) /* it does not know that it follows, and nobody else does */
        ln_presence_unfollow(c, room);
    return rc;
}

/* ---- life ---- */

ln_presence_desk *ln_presence_new(const ln_allocator *alloc)
{
    static const ln_roster_limits limits = {.room_max_bytes = LN_DEFAULT_TOPIC_MAX_BYTES,
                                            .rooms = ROOMS_MAX,
                                            .people_per_room = PEOPLE_PER_ROOM_MAX,
                                            .rooms_per_person = LN_DEFAULT_TOPICS_PER_CONNECTION,
                                            .list_max = LN_ROOMS_LIST_MAX};
    uint64_t seed[2];
    ln_presence_desk *const desk = ln_alloc_zero(alloc, sizeof *desk);

    if (desk == NULL)
        return NULL;
    ln_random_fill(seed, sizeof seed);
    desk->alloc = alloc;
    desk->roster = ln_roster_new(alloc, &limits, seed);
    if (desk->roster == NULL) {
        ln_free(alloc, desk);
        return NULL;
    }
    ln_lock_init(&desk->lock);
    ln_timer_init(&desk->timer, on_timer);
    desk->letter.handle = on_letter;
    return desk;
}

void ln_presence_free(ln_presence_desk *desk)
{
    if (desk == NULL)
        return;
    ln_roster_free(desk->roster);
    ln_lock_fini(&desk->lock);
    ln_free(desk->alloc, desk);
}
