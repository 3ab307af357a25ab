/* SPDX-License-Identifier: MIT */
/*
 * brokerclienttopics.c - subscriptions: what the server was told, and who here is called for a
 * publication.
 *
 * A topic stands for one subscription at the server, and has one handler or more here. It goes when
 * it has none and the server knows that, but not while a publication is being handed out.
 *
 * Invariants
 *   1. k->untold counts the topics whose `is_told` is not what they want: told if they have
 *      handlers, not told else. Nobody is told anything before the registration.
 *   2. While k->delivering > 0 no topic and no handler is freed; those that ended have no function.
 */
#include <string.h>

#include "base/text.h"
#include "brokerclientitem.h"
#include "hub/filter.h"

typedef struct topic {
    ln_link link;        /* in k->topics */
    ln_link filter_link; /* in k->filters, if it is one */
    ln_link handlers;
    uint64_t serial; /* on the wire */
    uint32_t wanted; /* handlers that have not ended */
    bool is_told;    /* the server was */
    bool is_filter;
    bool has_ended; /* handlers that have, and are not freed yet */
    ln_span name;   /* behind the struct */
} topic;

typedef struct handler {
    ln_link link; /* in topic->handlers, the oldest first */
    uint64_t serial;
    ln_broker_client_handler *fn; /* NULL: ended */
    void *user;
} handler;

static topic *topic_of(ln_link *link)
{
    return LN_CONTAINER_OF(link, topic, link);
}

static topic *filter_of(ln_link *link)
{
    return LN_CONTAINER_OF(link, topic, filter_link);
}

static handler *handler_of(ln_link *link)
{
    return LN_CONTAINER_OF(link, handler, link);
}

/* ---- what the server knows ---- */

static bool is_owed(const topic *t)
{
    return t->is_told != (t->wanted > 0);
}

/* Something about `t` changes: invariant 1 is kept by taking it out before, and in after it. */
static void set(ln_broker_client *k, topic *t, uint32_t wanted, bool is_told)
{
    k->untold -= is_owed(t);
    t->wanted = wanted;
    t->is_told = is_told;
    k->untold += is_owed(t);
}

static void free_topic(ln_broker_client *k, topic *t)
{
    set(k, t, 0, false);
    if (!t->is_filter)
        (void)ln_map_remove(&k->by_name, t->name);
    while (!ln_list_is_empty(&t->handlers)) {
        handler *const h = handler_of(t->handlers.next);
        ln_list_remove(&h->link);
        ln_free(k->alloc, h);
    }
    ln_list_remove(&t->link);
    ln_list_remove(&t->filter_link);
    ln_free(k->alloc, t);
}

/* Frees what has ended, if nobody is looking at it. */
static void tidy_topic(ln_broker_client *k, topic *t)
{
    k->is_untidy = k->delivering > 0;
    if (k->is_untidy)
        return;
    for (ln_link *l = t->handlers.next, *next; t->has_ended && l != &t->handlers; l = next) {
        handler *const h = handler_of(l);
        next = l->next;
        if (h->fn == NULL) {
            ln_list_remove(&h->link);
            ln_free(k->alloc, h);
        }
    }
    t->has_ended = false;
    if (t->wanted == 0 && !t->is_told)
        free_topic(k, t);
}

static void tidy(ln_broker_client *k)
{
    if (!k->is_untidy || k->delivering > 0)
        return;
    k->is_untidy = false;
    for (ln_link *l = k->topics.next, *next; l != &k->topics; l = next) {
        next = l->next;
        tidy_topic(k, topic_of(l));
    }
}

void ln_broker_client_untell_topics(ln_broker_client *k)
{
    for (ln_link *l = k->topics.next; l != &k->topics; l = l->next)
        set(k, topic_of(l), topic_of(l)->wanted, false);
    k->is_untidy = true; /* those that were only kept for telling */
    tidy(k);
}

/* False: the line is full. */
static bool tell(ln_broker_client *k, topic *t)
{
    const bool is_wanted = t->wanted > 0;

    const int rc = ln_broker_client_send_topic(
        k, is_wanted ? LN_ENVELOPE_SUBSCRIBE : LN_ENVELOPE_UNSUBSCRIBE, t->serial, t->name);
    if (rc < 0) {
        ln_broker_client_stall(k, rc);
        return false;
    }
    set(k, t, t->wanted, is_wanted);
    tidy_topic(k, t);
    return true;
}

bool ln_broker_client_tell_topics(ln_broker_client *k)
{
    for (ln_link *l = k->topics.next, *next; k->untold > 0 && l != &k->topics; l = next) {
        next = l->next;
        if (is_owed(topic_of(l)) && !tell(k, topic_of(l)))
            return false;
    }
    return true;
}

ln_span ln_broker_client_topic_name(const ln_broker_client *k, uint64_t serial)
{
    for (ln_link *l = k->topics.next; l != &k->topics; l = l->next)
        if (topic_of(l)->serial == serial)
            return topic_of(l)->name;
    return (ln_span){"", 0};
}

/* ---- subscribing ---- */

static topic *find(const ln_broker_client *k, ln_span name)
{
    if (!ln_filter_is(name))
        return ln_map_find(&k->by_name, name);
    for (ln_link *l = k->filters.next; l != &k->filters; l = l->next) {
        topic *const t = filter_of(l);
        if (ln_text_equal(t->name, name))
            return t;
    }
    return NULL;
}

static topic *make(ln_broker_client *k, ln_span name)
{
    topic *const t = ln_alloc(k->alloc, sizeof *t + name.size);

    if (t == NULL)
        return NULL;
    *t = (topic){.serial = ++k->topic_serial | LN_BROKER_CLIENT_OF_TOPIC,
                 .is_filter = ln_filter_is(name),
                 .name = {t + 1, name.size}};
    memcpy(t + 1, name.data, name.size);
    ln_list_init(&t->handlers);
    ln_list_init(&t->filter_link);
    if (!t->is_filter && ln_map_add(&k->by_name, t->name, t) < 0) {
        ln_free(k->alloc, t);
        return NULL;
    }
    ln_list_add(&k->topics, &t->link);
    if (t->is_filter)
        ln_list_add(&k->filters, &t->filter_link);
    return t;
}

static int add(ln_broker_client *k, const ln_broker_client_item *it)
{
    const ln_span name = {it->text.data, it->text.size};

    handler *const h = ln_alloc_zero(k->alloc, sizeof *h);
    topic *const old = find(k, name);
    topic *const t = h == NULL || old != NULL ? old : make(k, name);
    if (h == NULL || t == NULL) {
        ln_free(k->alloc, h);
        return LN_ERR_NOMEM;
    }
    *h = (handler){.serial = it->serial, .fn = it->on.publication, .user = it->user};
    ln_list_add(&t->handlers, &h->link);
    set(k, t, t->wanted + 1, t->is_told);
    return 0;
}

static handler *find_handler(const topic *t, uint64_t serial)
{
    for (ln_link *l = t->handlers.next; l != &t->handlers; l = l->next)
        if (handler_of(l)->serial == serial && handler_of(l)->fn != NULL)
            return handler_of(l);
    return NULL;
}

static int end(ln_broker_client *k, uint64_t serial)
{
    for (ln_link *l = k->topics.next; l != &k->topics; l = l->next) {
        topic *const t = topic_of(l);
        handler *const h = find_handler(t, serial);
        if (h == NULL)
            continue;
        h->fn = NULL;
        t->has_ended = true;
        set(k, t, t->wanted - 1, t->is_told);
        tidy_topic(k, t);
        return 0;
    }
    return LN_ERR_NOT_FOUND;
}

static void give_number(ln_broker_client *k)
{
    ln_lock_take(&k->lock);
    k->subscription_count--;
    ln_lock_give(&k->lock);
}

int ln_broker_client_carry_out_topic(ln_broker_client_item *it)
{
    ln_broker_client *const k = it->client;
    const bool is_end = it->kind == LN_BROKER_CLIENT_UNSUBSCRIBE;

    const int rc = is_end ? end(k, it->serial) : add(k, it);
    if (rc < 0)
        return rc;
    if (is_end)
        give_number(k);
    ln_broker_client_give_item(k, it);
    ln_broker_client_flush(k);
    return 0;
}

/* ---- handing out ---- */

/* `last`: who subscribed during this comes later. */
static uint32_t call(ln_broker_client *k, const topic *t, uint64_t last, ln_span name,
                     ln_span payload)
{
    uint32_t count = 0;

    for (ln_link *l = t->handlers.next; l != &t->handlers && !k->is_leaving; l = l->next) {
        const handler *const h = handler_of(l);
        if (h->fn == NULL || h->serial > last)
            continue;
        h->fn(k, name, payload, h->user);
        count++;
    }
    return count;
}

void ln_broker_client_deliver(ln_broker_client *k, const ln_envelope *e)
{
    const ln_span name = ln_broker_client_word(k, e->topic);
    uint32_t count = 0;

    if (name.data == NULL)
        return;
    ln_broker_client_count(&k->counts.received);
    ln_lock_take(&k->lock);
    const uint64_t last = k->subscription_serial;
    ln_lock_give(&k->lock);
    k->delivering++;
    const topic *const exact = ln_map_find(&k->by_name, name);
    if (exact != NULL)
        count += call(k, exact, last, name, e->payload);
    for (ln_link *l = k->filters.next; l != &k->filters && !k->is_leaving; l = l->next) {
        const topic *const t = filter_of(l);
        if (ln_filter_matches(t->name, name))
            count += call(k, t, last, name, e->payload);
    }
    k->delivering--;
    if (count == 0)
        ln_broker_client_count(&k->counts.unwanted);
    tidy(k);
}

void ln_broker_client_free_topics(ln_broker_client *k)
{
    k->delivering = 0;
    while (!ln_list_is_empty(&k->topics))
        free_topic(k, topic_of(k->topics.next));
}

/* ---- from any thread ---- */

int ln_broker_client_publish(ln_broker_client *k, ln_span name, ln_span payload)
{
    ln_broker_client_item *it;

    int rc = ln_broker_client_check_topic(name);
    if (rc == 0)
        rc = ln_broker_client_check_payload(payload);
    if (rc == 0)
        rc = ln_broker_client_take_item(k, LN_BROKER_CLIENT_PUBLICATION, &it);
    if (rc < 0)
        return rc;
    return ln_broker_client_submit_made(k, it,
                                        ln_broker_client_write_publication(it, name, payload));
}

/* A number for a subscription, unless there are too many. */
static int take_number(ln_broker_client *k, uint64_t *serial)
{
    int rc = LN_ERR_LIMIT;

    ln_lock_take(&k->lock);
    if (k->subscription_count < LN_BROKER_CLIENT_SUBSCRIPTIONS_MAX) {
        k->subscription_count++;
        *serial = ++k->subscription_serial;
        rc = 0;
    }
    ln_lock_give(&k->lock);
    return rc;
}

int ln_broker_client_subscribe(ln_broker_client *k, ln_span name, ln_broker_client_handler *fn,
                               void *user, uint64_t *subscription)
{
    ln_broker_client_item *it;
    uint64_t serial;

    if (fn == NULL || ln_broker_client_check_topic(name) < 0)
        return LN_ERR_INVALID;
    int rc = ln_filter_is(name) ? ln_filter_check(name) : 0;
    if (rc == 0)
        rc = ln_broker_client_take_item(k, LN_BROKER_CLIENT_SUBSCRIBE, &it);
    if (rc < 0)
        return rc;
    rc = take_number(k, &serial);
    if (rc < 0) {
        ln_broker_client_give_item(k, it);
        return rc;
    }
    it->serial = serial;
    it->on.publication = fn;
    it->user = user;
    rc = ln_buf_append(&it->text, name.data, name.size, SIZE_MAX);
    rc = ln_broker_client_submit_made(k, it, rc);
    if (rc < 0)
        give_number(k);
    else if (subscription != NULL)
        *subscription = serial;
    return rc;
}

int ln_broker_client_unsubscribe(ln_broker_client *k, uint64_t subscription)
{
    ln_broker_client_item *it;

    const int rc = ln_broker_client_take_item(k, LN_BROKER_CLIENT_UNSUBSCRIBE, &it);
    if (rc < 0)
        return rc;
    it->serial = subscription;
    return ln_broker_client_submit_made(k, it, 0);
}
