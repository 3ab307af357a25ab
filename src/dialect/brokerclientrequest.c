/* SPDX-License-Identifier: MIT */
/*
 * brokerclientrequest.c - requests of ours: asked on any thread, ended on the loop's.
 *
 * A request ends in one function, end(), which is reached by its answer, its timer, the loss of its
 * connection, and the end of the client; what ends it takes it out of `names` and of its list.
 */
#include <string.h>

#include "base/limits.h"
#include "base/text.h"
#include "brokerclientitem.h"
#include "proto/utf8.h"

/* ---- ending ---- */

static void tally(ln_broker_client *k, int error)
{
    if (error == 0 || error == LN_ERR_REFUSED)
        ln_broker_client_count(&k->counts.replies);
    else if (error == LN_ERR_TIMEOUT)
        ln_broker_client_count(&k->counts.timeouts);
    else if (error == LN_ERR_RESET)
        ln_broker_client_count(&k->counts.lost);
}

static void end(ln_broker_client_item *it, const ln_broker_client_reply *reply)
{
    ln_broker_client *const k = it->client;

    ln_lock_take(&k->lock);
    ln_broker_client_reply_handler *const on_reply = it->is_cancelled ? NULL : it->on.reply;
    void *const user = it->user;
    const bool is_told = !it->is_cancelled;
    it->is_cancelled = true; /* too late from here on */
    ln_lock_give(&k->lock);
    ln_list_remove(&it->link);
    ln_timer_clear(k->wheel, &it->timer);
    ln_broker_client_give_item(k, it);
    if (is_told)
        tally(k, reply->error);
    if (on_reply != NULL)
        on_reply(reply, user);
}

void ln_broker_client_end_request(ln_broker_client_item *it, int error)
{
    end(it, &(ln_broker_client_reply){.error = error});
}

void ln_broker_client_end_sent(ln_broker_client *k, int error)
{
    while (!ln_list_is_empty(&k->sent))
        ln_broker_client_end_request(LN_CONTAINER_OF(k->sent.next, ln_broker_client_item, link),
                                     error);
}

/* ---- answers ---- */

static void read_answer(ln_broker_client *k, const ln_envelope *e, ln_broker_client_reply *reply)
{
    ln_envelope_failure failure;

    if (!ln_envelope_is_failure(e, &failure)) {
        reply->payload = e->payload;
        return;
    }
    reply->error = LN_ERR_REFUSED;
    reply->code = failure.code;
    reply->message = ln_broker_client_word(k, failure.message);
}

void ln_broker_client_take_answer(ln_broker_client *k, uint64_t serial, const ln_envelope *e)
{
    ln_broker_client_reply reply = {.error = 0};

    ln_lock_take(&k->lock);
    ln_broker_client_item *const it = ln_slots_find(&k->names, serial);
    /* one that was not sent yet cannot be answered; some peer guesses */
    const bool is_due = it != NULL && it->kind == LN_BROKER_CLIENT_REQUEST && it->is_sent;
    ln_lock_give(&k->lock);
    if (!is_due) {
        ln_broker_client_count(&k->counts.strays);
        return;
    }
    read_answer(k, e, &reply);
    end(it, &reply);
}

/* ---- asking ---- */

static int check(const ln_broker_client *k, const ln_broker_client_order *o, uint32_t *timeout_ms)
{
    const ln_limit *const limit = ln_limit_find(LN_SPAN("BROKER_CLIENT_REQUEST_MS"));

    int rc = ln_broker_client_check_topic(o->topic);
    if (rc == 0)
        rc = ln_broker_client_check_payload(o->payload);
    if (rc == 0 && (o->target.size > LN_BROKER_CLIENT_ID_MAX_BYTES ||
                    !ln_utf8_is_valid(o->target.data, o->target.size)))
        rc = LN_ERR_INVALID;
    *timeout_ms = k->plan.request_ms;
    return rc < 0 || o->timeout_ms == 0 ? rc : ln_limit_get(limit, o->timeout_ms, timeout_ms);
}

int ln_broker_client_request(ln_broker_client *k, const ln_broker_client_order *o,
                             uint64_t *request)
{
    ln_broker_client_item *it;
    uint32_t timeout_ms;

    int rc = check(k, o, &timeout_ms);
    if (rc == 0)
        rc = ln_broker_client_take_item(k, LN_BROKER_CLIENT_REQUEST, &it);
    if (rc < 0)
        return rc;
    it->timeout_ms = timeout_ms;
    it->on.reply = o->on_reply;
    it->user = o->user;
    const uint64_t serial = it->serial;
    rc = ln_broker_client_submit_made(k, it, ln_broker_client_write_request(it, o));
    if (rc == 0 && request != NULL)
        *request = serial;
    return rc;
}

int ln_broker_client_cancel(ln_broker_client *k, uint64_t request)
{
    const bool is_here = ln_broker_client_is_here(k);

    ln_lock_take(&k->lock);
    ln_broker_client_item *const it = ln_slots_find(&k->names, request);
    const bool is_due = it != NULL && it->kind == LN_BROKER_CLIENT_REQUEST && !it->is_cancelled;
    const bool is_ours = is_due && is_here && !it->is_posted;
    if (is_due)
        it->is_cancelled = true; /* whoever meets it next gives it back */
    ln_lock_give(&k->lock);
    if (is_ours)
        ln_broker_client_end_request(it, LN_ERR_CLOSED);
    return is_due ? 0 : LN_ERR_NOT_FOUND;
}

/* ---- waiting for it ---- */

/* On the stack of who waits. */
typedef struct wait {
    ln_latch latch;
    ln_broker_client_reply reply;
    ln_buf text; /* payload and message, for they are borrowed */
} wait;

/* On the loop: all that the waiting thread needs, in memory that it frees. */
static void hand_over(const ln_broker_client_reply *reply, void *user)
{
    wait *const w = user;

    int rc = ln_buf_append(&w->text, reply->payload.data, reply->payload.size, SIZE_MAX);
    if (rc == 0)
        rc = ln_buf_append(&w->text, reply->message.data, reply->message.size, SIZE_MAX);
    w->reply = *reply;
    if (rc < 0)
        w->reply = (ln_broker_client_reply){.error = LN_ERR_NOMEM};
    ln_latch_open(&w->latch);
}

int ln_broker_client_request_wait(ln_broker_client *k, const ln_broker_client_order *order)
{
    ln_broker_client_order o = *order;
    wait w;

    if (ln_broker_client_is_here(k))
        return LN_ERR_STATE;
    ln_latch_init(&w.latch);
    ln_buf_init(&w.text, k->alloc);
    o.on_reply = hand_over;
    o.user = &w;
    int rc = ln_broker_client_request(k, &o, NULL);
    if (rc == 0) {
        ln_latch_wait(&w.latch);
        if (w.text.size > 0) {
            w.reply.payload.data = w.text.data;
            w.reply.message.data = w.text.data + w.reply.payload.size;
        }
        rc = w.reply.error;
        if (order->on_reply != NULL)
            order->on_reply(&w.reply, order->user);
    }
    ln_buf_fini(&w.text);
    ln_latch_fini(&w.latch);
    return rc;
}
