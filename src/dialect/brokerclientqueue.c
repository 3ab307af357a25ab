/* SPDX-License-Identifier: MIT */
/*
 * brokerclientqueue.c - items on their way to the wire: called on any thread, seen by the loop,
 * sent when the line takes them.
 *
 * Orders to the loop itself (subscriptions, services) take the same way, so that they keep their
 * place, but do not wait for the line.
 */
#include <string.h>

#include "brokerclientitem.h"

enum {
    TEXT_KEPT_BYTES = 2048, /* of text that a spare item keeps */
    RETRY_MS = 100          /* after the line was out of memory */
};

static void on_timer(ln_timer *timer);

/* ---- items ---- */

static ln_broker_client_item *item_of(ln_link *link)
{
    return LN_CONTAINER_OF(link, ln_broker_client_item, link);
}

/* Under the lock. */
static ln_broker_client_item *take_spare(ln_broker_client *k)
{
    ln_broker_client_item *it;

    if (ln_list_is_empty(&k->spares)) {
        it = ln_alloc_zero(k->alloc, sizeof *it);
        if (it == NULL)
            return NULL;
        ln_list_init(&it->link);
        ln_buf_init(&it->text, k->alloc);
        return it;
    }
    it = item_of(k->spares.next);
    ln_list_remove(&it->link);
    return it;
}

static bool has_name(ln_broker_client_kind kind)
{
    return kind == LN_BROKER_CLIENT_REQUEST || kind == LN_BROKER_CLIENT_CALL;
}

/* Under the lock. */
static int check_number(const ln_broker_client *k, ln_broker_client_kind kind)
{
    if (kind == LN_BROKER_CLIENT_REQUEST && k->request_count >= k->plan.requests_max)
        return LN_ERR_LIMIT;
    if (kind == LN_BROKER_CLIENT_CALL && k->call_count >= LN_BROKER_CLIENT_CALLS_MAX)
        return LN_ERR_LIMIT;
    return k->is_closed ? LN_ERR_CLOSED : 0;
}

/* Under the lock. */
static int make_item(ln_broker_client *k, ln_broker_client_kind kind, ln_broker_client_item **item)
{
    int rc = check_number(k, kind);
    if (rc < 0)
        return rc;
    ln_broker_client_item *const it = take_spare(k);
    if (it == NULL)
        return LN_ERR_NOMEM;
    const ln_buf text = it->text;
    *it = (ln_broker_client_item){.client = k, .kind = kind, .text = text, .conn = k->conn};
    it->text.size = 0;
    ln_list_init(&it->link);
    ln_timer_init(&it->timer, on_timer);
    if (has_name(kind))
        rc = ln_slots_add(&k->names, it, &it->serial);
    else
        it->serial = ++k->message_serial;
    if (rc < 0) {
        ln_list_add(&k->spares, &it->link);
        return rc;
    }
    k->request_count += kind == LN_BROKER_CLIENT_REQUEST;
    k->call_count += kind == LN_BROKER_CLIENT_CALL;
    *item = it;
    return 0;
}

int ln_broker_client_take_item(ln_broker_client *k, ln_broker_client_kind kind,
                               ln_broker_client_item **item)
{
    ln_lock_take(&k->lock);
    const int rc = make_item(k, kind, item);
    ln_lock_give(&k->lock);
    return rc;
}

/* Under the lock. */
static void drop_name(ln_broker_client *k, ln_broker_client_item *it)
{
    if (has_name(it->kind) && ln_slots_find(&k->names, it->serial) == it)
        ln_slots_remove(&k->names, it->serial);
}

/* It is not in the queue's account any more. Under the lock. */
static void unqueue(ln_broker_client *k, ln_broker_client_item *it)
{
    if (!it->is_queued)
        return;
    it->is_queued = false;
    k->queue_count--;
    k->queue_bytes -= it->text.size - it->begin;
}

void ln_broker_client_give_item(ln_broker_client *k, ln_broker_client_item *it)
{
    LN_ASSERT(ln_list_is_empty(&it->link) && !ln_timer_is_set(&it->timer));
    ln_lock_take(&k->lock);
    drop_name(k, it);
    k->request_count -= it->kind == LN_BROKER_CLIENT_REQUEST;
    k->call_count -= it->kind == LN_BROKER_CLIENT_CALL;
    unqueue(k, it);
    if (it->text.capacity > TEXT_KEPT_BYTES)
        ln_buf_release(&it->text);
    ln_list_add(k->spares.next, &it->link); /* the last one used is the first to be used again */
    ln_lock_give(&k->lock);
}

/* ---- sending ---- */

static void take_out(ln_broker_client *k, ln_broker_client_item *it)
{
    ln_list_remove(&it->link);
    ln_timer_clear(k->wheel, &it->timer);
}

/* It will not be sent; a request has another way to end. */
static void discard(ln_broker_client *k, ln_broker_client_item *it)
{
    take_out(k, it);
    if (it->kind == LN_BROKER_CLIENT_PUBLICATION)
        ln_broker_client_count(&k->counts.dropped);
    ln_broker_client_give_item(k, it);
}

/* It has been sent. */
static void conclude(ln_broker_client *k, ln_broker_client_item *it)
{
    ln_list_remove(&it->link);
    if (it->kind == LN_BROKER_CLIENT_REQUEST) {
        ln_broker_client_count(&k->counts.requests_sent);
        ln_lock_take(&k->lock);
        unqueue(k, it);
        it->is_sent = true;
        ln_lock_give(&k->lock);
        ln_list_add(&k->sent, &it->link);
        return;
    }
    ln_timer_clear(k->wheel, &it->timer);
    if (it->kind == LN_BROKER_CLIENT_PUBLICATION)
        ln_broker_client_count(&k->counts.published);
    ln_broker_client_give_item(k, it);
}

static bool may_send(const ln_broker_client *k)
{
    return atomic_load_explicit(&k->state, memory_order_relaxed) == LN_BROKER_CLIENT_OPEN &&
           !k->is_full && k->is_up;
}

void ln_broker_client_stall(ln_broker_client *k, int rc)
{
    LN_ASSERT(rc != LN_ERR_INVALID); /* what is sent was checked when it was made */
    k->is_full = true;               /* until it is drained, or down */
    if (rc == LN_ERR_NOMEM)
        ln_timer_set(k->wheel, &k->timer, *k->now_ms + RETRY_MS);
}

/* The first of the outbox. False: it is still there. */
static bool send_item(ln_broker_client *k, ln_broker_client_item *it)
{
    const ln_span text = {it->text.data + it->begin, it->text.size - it->begin};

    const int rc = k->line->send(k, text);
    if (rc != 0)
        ln_broker_client_stall(k, rc);
    if (rc < 0)
        return false;
    conclude(k, it);
    return true;
}

static bool is_cancelled(ln_broker_client *k, const ln_broker_client_item *it)
{
    ln_lock_take(&k->lock);
    const bool is = it->is_cancelled;
    ln_lock_give(&k->lock);
    return is;
}

void ln_broker_client_flush(ln_broker_client *k)
{
    while (may_send(k) && ln_broker_client_tell_topics(k) && !ln_list_is_empty(&k->outbox)) {
        ln_broker_client_item *const it = item_of(k->outbox.next);
        if (it->kind == LN_BROKER_CLIENT_REQUEST && is_cancelled(k, it))
            ln_broker_client_end_request(it, LN_ERR_CLOSED); /* tells nobody */
        else if (!send_item(k, it))
            return;
    }
}

/* ---- waiting ---- */

/* A publication has waited too long, or a request's time is over. */
static void on_timer(ln_timer *timer)
{
    ln_broker_client_item *const it = LN_CONTAINER_OF(timer, ln_broker_client_item, timer);
    ln_broker_client *const k = it->client;

    ln_broker_client_hold(k);
    if (it->kind == LN_BROKER_CLIENT_REQUEST)
        ln_broker_client_end_request(it, LN_ERR_TIMEOUT);
    else
        discard(k, it);
    ln_broker_client_release(k);
}

/* The loop has it: what is to be sent goes behind all else that is. */
static void accept(ln_broker_client *k, ln_broker_client_item *it)
{
    const uint32_t patience_ms =
        it->kind == LN_BROKER_CLIENT_REQUEST ? it->timeout_ms : k->plan.queue_ms;

    ln_timer_set(k->wheel, &it->timer, *k->now_ms + patience_ms);
    ln_list_add(&k->outbox, &it->link);
    ln_broker_client_flush(k);
}

static int carry_out(ln_broker_client *k, ln_broker_client_item *it)
{
    switch (it->kind) {
    case LN_BROKER_CLIENT_CALL:
        if (it->conn != k->conn) { /* who asked is gone */
            ln_broker_client_give_item(k, it);
            return 0;
        }
        accept(k, it);
        return 0;
    case LN_BROKER_CLIENT_PUBLICATION:
    case LN_BROKER_CLIENT_REQUEST:
        accept(k, it);
        return 0;
    case LN_BROKER_CLIENT_SUBSCRIBE:
    case LN_BROKER_CLIENT_UNSUBSCRIBE:
        return ln_broker_client_carry_out_topic(it);
    case LN_BROKER_CLIENT_SERVE:
        return ln_broker_client_carry_out_service(it);
    }
    return 0;
}

/* ---- submitting ---- */

/* May it be queued? An empty queue takes any one message. Under the lock. */
static bool has_room(const ln_broker_client *k, size_t size)
{
    return k->queue_count == 0 || (k->queue_count < k->plan.queue_max_messages &&
                                   k->queue_bytes < k->plan.queue_max_bytes &&
                                   size <= k->plan.queue_max_bytes - k->queue_bytes);
}

void ln_broker_client_kick(ln_broker_client *k)
{
    if (k->is_letter_posted || k->loop == NULL)
        return;
    k->is_letter_posted = true;
    ln_broker_client_hold(k);
    ln_loop_send_letter(k->loop, &k->letter);
}

/* Under the lock. */
static int enqueue(ln_broker_client *k, ln_broker_client_item *it, bool is_here)
{
    const bool is_order = it->kind >= LN_BROKER_CLIENT_SUBSCRIBE; /* the loop's, not the wire's */
    const size_t size = it->text.size - it->begin;

    if (k->is_closed)
        return LN_ERR_CLOSED;
    if (is_order && is_here)
        return 0;
    if (!has_room(k, size))
        return LN_ERR_WOULD_EXCEED;
    ln_list_remove(&it->link); /* an answer's request is due no more */
    it->is_queued = true;
    k->queue_count++;
    k->queue_bytes += size;
    if (is_here)
        return 0;
    it->is_posted = true;
    ln_list_add(&k->inbox, &it->link);
    k->inbox_count++;
    ln_broker_client_kick(k);
    return 0;
}

int ln_broker_client_submit(ln_broker_client *k, ln_broker_client_item *it)
{
    const bool is_here = ln_broker_client_is_here(k);

    ln_lock_take(&k->lock);
    int rc = enqueue(k, it, is_here);
    ln_lock_give(&k->lock);
    if (rc == LN_ERR_WOULD_EXCEED && it->kind == LN_BROKER_CLIENT_PUBLICATION)
        ln_broker_client_count(&k->counts.refused);
    if (rc < 0 || !is_here)
        return rc;
    ln_broker_client_look(k); /* who called before goes before */
    return carry_out(k, it);
}

int ln_broker_client_submit_made(ln_broker_client *k, ln_broker_client_item *it, int rc)
{
    if (rc == 0)
        rc = ln_broker_client_submit(k, it);
    if (rc < 0)
        ln_broker_client_give_item(k, it);
    return rc;
}

static ln_broker_client_item *take_posted(ln_broker_client *k)
{
    ln_broker_client_item *it = NULL;

    ln_lock_take(&k->lock);
    if (!ln_list_is_empty(&k->inbox)) {
        it = item_of(k->inbox.next);
        ln_list_remove(&it->link);
        it->is_posted = false;
        k->inbox_count--;
    }
    ln_lock_give(&k->lock);
    return it;
}

/* An order of another thread, which was told that it would be carried out. */
static void give_up(ln_broker_client *k, ln_broker_client_item *it, int error)
{
    ln_lock_take(&k->lock);
    k->subscription_count -= it->kind == LN_BROKER_CLIENT_SUBSCRIBE;
    ln_lock_give(&k->lock);
    ln_broker_client_give_item(k, it);
    if (error != LN_ERR_NOT_FOUND)
        ln_broker_client_complain(k, error, "a subscription or a service could not be kept");
}

void ln_broker_client_look(ln_broker_client *k)
{
    ln_broker_client_item *it;

    ln_lock_take(&k->lock);
    uint32_t left = k->inbox_count; /* those that come meanwhile have a letter of their own */
    ln_lock_give(&k->lock);
    for (; left > 0 && (it = take_posted(k)) != NULL; left--) {
        const int rc = carry_out(k, it);
        if (rc < 0)
            give_up(k, it, rc);
    }
}

/* ---- the end ---- */

void ln_broker_client_purge_answers(ln_broker_client *k)
{
    for (ln_link *l = k->outbox.next, *next; l != &k->outbox; l = next) {
        next = l->next;
        if (item_of(l)->kind == LN_BROKER_CLIENT_CALL)
            discard(k, item_of(l));
    }
}

void ln_broker_client_purge_all(ln_broker_client *k)
{
    ln_broker_client_item *it;

    while ((it = take_posted(k)) != NULL)
        ln_list_add(&k->outbox, &it->link);
    while (!ln_list_is_empty(&k->outbox)) {
        it = item_of(k->outbox.next);
        if (it->kind == LN_BROKER_CLIENT_REQUEST)
            ln_broker_client_end_request(it, LN_ERR_CLOSED);
        else
            discard(k, it);
    }
}
