/* SPDX-License-Identifier: MIT */
/*
 * brokerguest.c - subscribers of the application. A publication reaches one while the hub is locked,
 * so it is only kept then; the application is told from a letter, where it may do anything.
 *
 * A guest ends in two steps: it is taken out of the hub, so that nothing comes any more, and a last
 * letter, behind those that are under way, frees it. Of a server that has run and does not any more,
 * letters may still be under way, and come back with its loops: such a guest ends with the broker.
 */
#include <string.h>

#include "base/text.h"
#include "brokerinner.h"

enum { ROOM = 16 }; /* publications that wait, at first */

struct ln_broker_guest {
    ln_topics_guest guest;
    ln_link link; /* in broker->guests, or former_guests */
    ln_broker *broker;
    ln_broker_subscriber *subscriber;
    void *user;
    ln_letter letter; /* publications wait; worker 0's, as all of the queue is */
    ln_letter last;   /* it is over */
    bool is_posted;
    _Atomic bool is_over;
    ln_msg **waiting; /* a ring */
    size_t capacity, first, count;
    char topic[];
};

/* ---- the queue ---- */

static int grow(ln_broker_guest *g)
{
    const size_t capacity = g->capacity == 0 ? ROOM : 2 * g->capacity;
    ln_msg **const ring = ln_alloc(g->broker->alloc, capacity * sizeof(ln_msg *));

    if (ring == NULL)
        return LN_ERR_NOMEM;
    for (size_t i = 0; i < g->count; i++)
        ring[i] = g->waiting[(g->first + i) % g->capacity];
    ln_free(g->broker->alloc, g->waiting);
    g->waiting = ring;
    g->capacity = capacity;
    g->first = 0;
    return 0;
}

static ln_msg *pop(ln_broker_guest *g)
{
    ln_msg *const m = g->waiting[g->first];

    g->first = (g->first + 1) % g->capacity;
    g->count--;
    return m;
}

static ln_delivery deliver(ln_subscriber *s, ln_msg *m)
{
    ln_topics_guest *const guest = LN_CONTAINER_OF(s, ln_topics_guest, subscriber);
    ln_broker_guest *const g = LN_CONTAINER_OF(guest, ln_broker_guest, guest);

    if (g->count == LN_BROKER_GUEST_PENDING_MAX || (g->count == g->capacity && grow(g) < 0)) {
        ln_broker_count(&g->broker->counts.dropped);
        return LN_DELIVERY_DROPPED;
    }
    g->waiting[(g->first + g->count++) % g->capacity] = ln_msg_ref(m);
    if (!g->is_posted) {
        g->is_posted = true;
        ln_loop_send_letter(g->broker->server->workers[0].home.loop, &g->letter);
    }
    return LN_DELIVERED;
}

static void tell(ln_broker_guest *g, ln_msg *m)
{
    const ln_broker_publication publication = {.topic = m->topic,
                                               .payload = m->payload,
                                               .kind =
                                                   m->kind == LN_MSG_BINARY ? LN_BINARY : LN_TEXT,
                                               .publisher = m->publisher};

    g->subscriber(g->broker, &publication, g->user);
}

static void on_letter(ln_letter *letter, ln_loop *loop)
{
    ln_broker_guest *const g = LN_CONTAINER_OF(letter, ln_broker_guest, letter);

    g->is_posted = false; /* what comes from here on posts again */
    for (size_t left = g->count; left > 0; left--) {
        ln_msg *const m = pop(g);
        if (loop != NULL && !atomic_load(&g->is_over))
            tell(g, m);
        ln_msg_unref(m);
    }
}

/* ---- life ---- */

static void free_guest(ln_broker_guest *g)
{
    while (g->count > 0)
        ln_msg_unref(pop(g));
    ln_free(g->broker->alloc, g->waiting);
    ln_free(g->broker->alloc, g);
}

static void on_last(ln_letter *letter, ln_loop *loop)
{
    (void)loop;
    free_guest(LN_CONTAINER_OF(letter, ln_broker_guest, last));
}

/* Out of the list already. */
static void end(ln_broker_guest *g)
{
    ln_broker *const b = g->broker;

    atomic_store(&g->is_over, true);
    ln_topics_dismiss(b->server, &g->guest);
    const int state = atomic_load(&b->server->state);
    if (state == LN_SERVER_RUNNING)
        ln_loop_send_letter(b->server->workers[0].home.loop, &g->last);
    else if (state == LN_SERVER_STOPPED)
        ln_list_add(&b->former_guests, &g->link);
    else
        free_guest(g);
}

static void free_guests(ln_link *guests)
{
    while (!ln_list_is_empty(guests)) {
        ln_broker_guest *const g = LN_CONTAINER_OF(guests->next, ln_broker_guest, link);
        ln_list_remove(&g->link);
        free_guest(g);
    }
}

void ln_broker_free_guests(ln_broker *b)
{
    free_guests(&b->guests);
    free_guests(&b->former_guests);
}

static ln_broker_guest *make(ln_broker *b, ln_span topic, ln_broker_subscriber *subscriber,
                             void *user)
{
    ln_broker_guest *const g = ln_alloc_zero(b->alloc, sizeof *g + topic.size);

    if (g == NULL)
        return NULL;
    g->broker = b;
    g->subscriber = subscriber;
    g->user = user;
    g->letter.handle = on_letter;
    g->last.handle = on_last;
    if (topic.size > 0)
        memcpy(g->topic, topic.data, topic.size);
    g->guest.topic = (ln_span){g->topic, topic.size};
    return g;
}

/* Takes who got `topic` so far out of the list, or NULL. */
static ln_broker_guest *take(ln_broker *b, ln_span topic)
{
    for (ln_link *l = b->guests.next; l != &b->guests; l = l->next) {
        ln_broker_guest *const g = LN_CONTAINER_OF(l, ln_broker_guest, link);
        if (ln_text_equal(g->guest.topic, topic)) {
            ln_list_remove(l);
            return g;
        }
    }
    return NULL;
}

/* The new one first, so that nothing is missed between the two. */
static int replace(ln_broker *b, ln_broker_guest *fresh)
{
    const int rc = ln_topics_invite(b->server, &fresh->guest, deliver);

    if (rc < 0) {
        free_guest(fresh);
        return rc;
    }
    ln_broker_guest *const before = take(b, fresh->guest.topic);
    ln_list_add(&b->guests, &fresh->link);
    if (before != NULL)
        end(before);
    return 0;
}

static int remove_guest(ln_broker *b, ln_span topic)
{
    ln_broker_guest *const before = take(b, topic);

    if (before == NULL)
        return LN_ERR_NOT_FOUND;
    end(before);
    return 0;
}

int ln_broker_subscribe(ln_broker *b, const char *topic, ln_broker_subscriber *subscriber,
                        void *user)
{
    const ln_span name = ln_text(topic);
    ln_broker_guest *const fresh = subscriber == NULL ? NULL : make(b, name, subscriber, user);

    if (subscriber != NULL && fresh == NULL)
        return LN_ERR_NOMEM;
    ln_lock_take(&b->guests_lock);
    const int rc = fresh == NULL ? remove_guest(b, name) : replace(b, fresh);
    ln_lock_give(&b->guests_lock);
    return rc;
}
