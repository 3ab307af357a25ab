/* SPDX-License-Identifier: MIT */
/*
 * brokerclientserve.c - requests of the server: to whom they go, and their answers.
 *
 * A request becomes an item with the JSON of its id and topic, and a ticket is the item's name. Who
 * answers claims the item: another one comes too late, and the loss of the connection leaves it to
 * him. His answer, once accepted, waits like all else that is to be sent.
 */
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "brokerclientitem.h"
#include "proto/utf8.h"

/* Codes of the protocol's errors. */
enum { INVALID = 400, NOT_FOUND = 404, FAILED = 500, BUSY = 503 };

typedef struct service {
    ln_broker_client_service *fn;
    void *user;
    ln_span topic; /* behind the struct */
} service;

/* ---- services ---- */

static int put(ln_broker_client *k, const ln_broker_client_item *it)
{
    const size_t size = it->text.size;

    if (k->services.count >= LN_BROKER_CLIENT_SERVICES_MAX)
        return LN_ERR_LIMIT;
    service *const s = ln_alloc(k->alloc, sizeof *s + size);
    if (s == NULL)
        return LN_ERR_NOMEM;
    *s = (service){.fn = it->on.service, .user = it->user, .topic = {s + 1, size}};
    memcpy(s + 1, it->text.data, size);
    const int rc = ln_map_add(&k->services, s->topic, s);
    if (rc < 0)
        ln_free(k->alloc, s);
    return rc;
}

static int set(ln_broker_client *k, const ln_broker_client_item *it)
{
    const ln_span topic = {it->text.data, it->text.size};

    service *const old = ln_map_find(&k->services, topic);
    if (old == NULL)
        return it->on.service == NULL ? 0 : put(k, it);
    if (it->on.service == NULL) {
        ln_free(k->alloc, ln_map_remove(&k->services, topic));
        return 0;
    }
    old->fn = it->on.service;
    old->user = it->user;
    return 0;
}

int ln_broker_client_carry_out_service(ln_broker_client_item *it)
{
    const int rc = set(it->client, it);
    if (rc == 0)
        ln_broker_client_give_item(it->client, it);
    return rc;
}

int ln_broker_client_serve(ln_broker_client *k, ln_span topic, ln_broker_client_service *fn,
                           void *user)
{
    ln_broker_client_item *it;

    int rc = ln_broker_client_check_topic(topic);
    if (rc == 0)
        rc = ln_broker_client_take_item(k, LN_BROKER_CLIENT_SERVE, &it);
    if (rc < 0)
        return rc;
    it->on.service = fn;
    it->user = user;
    rc = ln_buf_append(&it->text, topic.data, topic.size, SIZE_MAX);
    return ln_broker_client_submit_made(k, it, rc);
}

void ln_broker_client_free_services(ln_broker_client *k)
{
    size_t cursor = 0;
    service *s;

    while ((s = ln_map_next(&k->services, &cursor)) != NULL)
        ln_free(k->alloc, s);
    ln_map_fini(&k->services);
}

/* ---- answers ---- */

/* The request, for the caller alone, or NULL. */
static ln_broker_client_item *claim(ln_broker_client *k, uint64_t serial)
{
    ln_lock_take(&k->lock);
    ln_broker_client_item *const it = ln_slots_find(&k->names, serial);
    const bool is_due = it != NULL && it->kind == LN_BROKER_CLIENT_CALL && !it->is_claimed;
    if (is_due)
        it->is_claimed = true;
    ln_lock_give(&k->lock);
    return is_due ? it : NULL;
}

/* It was not answered after all. */
static void unclaim(ln_broker_client *k, ln_broker_client_item *it)
{
    ln_lock_take(&k->lock);
    it->is_claimed = false;
    const bool is_stale = it->conn != k->conn;
    if (is_stale)
        ln_list_remove(&it->link);
    ln_lock_give(&k->lock);
    if (is_stale)
        ln_broker_client_give_item(k, it);
}

static int submit(ln_broker_client *k, ln_broker_client_item *it, int rc)
{
    if (rc == 0)
        rc = ln_broker_client_submit(k, it);
    if (rc < 0)
        unclaim(k, it);
    return rc;
}

int ln_broker_client_result(const ln_broker_client_ticket *ticket, ln_span result)
{
    ln_broker_client *const k = ticket->client;

    if (ln_broker_client_check_payload(result) < 0)
        return LN_ERR_INVALID;
    ln_broker_client_item *const it = claim(k, ticket->serial);
    if (it == NULL)
        return LN_ERR_NOT_FOUND;
    return submit(k, it, ln_broker_client_write_answer(it, result));
}

int ln_broker_client_error(const ln_broker_client_ticket *ticket, int code, ln_span message)
{
    ln_broker_client *const k = ticket->client;

    if (!ln_utf8_is_valid(message.data, message.size))
        return LN_ERR_INVALID;
    ln_broker_client_item *const it = claim(k, ticket->serial);
    if (it == NULL)
        return LN_ERR_NOT_FOUND;
    return submit(k, it, ln_broker_client_write_failure(it, code, message));
}

void ln_broker_client_forget_calls(ln_broker_client *k)
{
    ln_link lost;

    ln_list_init(&lost);
    ln_lock_take(&k->lock);
    for (ln_link *l = k->due.next, *next; l != &k->due; l = next) {
        ln_broker_client_item *const it = LN_CONTAINER_OF(l, ln_broker_client_item, link);
        next = l->next;
        if (it->is_claimed)
            continue; /* whoever has it finds out */
        ln_list_remove(l);
        ln_list_add(&lost, l);
        it->is_claimed = true;
    }
    ln_lock_give(&k->lock);
    while (!ln_list_is_empty(&lost)) {
        ln_link *const l = lost.next;
        ln_list_remove(l);
        ln_broker_client_give_item(k, LN_CONTAINER_OF(l, ln_broker_client_item, link));
    }
}

/* ---- requests ---- */

/* An item for the request, which is due. */
static int keep(ln_broker_client *k, const ln_envelope *e, ln_broker_client_ticket *ticket)
{
    ln_broker_client_item *it;

    int rc = ln_broker_client_take_item(k, LN_BROKER_CLIENT_CALL, &it);
    if (rc < 0)
        return rc;
    rc = ln_buf_append(&it->text, e->id.data, e->id.size, SIZE_MAX);
    if (rc == 0)
        rc = ln_buf_append(&it->text, e->topic.data, e->topic.size, SIZE_MAX);
    if (rc < 0) {
        ln_broker_client_give_item(k, it);
        return rc;
    }
    it->id_size = e->id.size;
    it->topic_size = e->topic.size;
    *ticket = (ln_broker_client_ticket){.client = k, .serial = it->serial};
    ln_lock_take(&k->lock);
    ln_list_add(&k->due, &it->link);
    ln_lock_give(&k->lock);
    return 0;
}

/* Nobody serves it, or nobody can. */
static void turn_down(ln_broker_client *k, const ln_broker_client_ticket *ticket, ln_span topic)
{
    char text[64 + LN_BROKER_CLIENT_TOPIC_MAX_BYTES];

    ln_broker_client_count(&k->counts.unserved);
    /* a longer one is cut at a border of characters, or not at all */
    const int size = (int)ln_min_size(topic.size, LN_BROKER_CLIENT_TOPIC_MAX_BYTES);
    const int n = snprintf(text, sizeof text, "Client has no handler for topic: %.*s", size,
                           (const char *)topic.data);
    if (ln_broker_client_error(ticket, NOT_FOUND, (ln_span){text, (size_t)n}) == LN_ERR_INVALID)
        (void)ln_broker_client_error(ticket, NOT_FOUND,
                                     LN_SPAN("Client has no handler for this topic"));
}

static void conclude(const ln_broker_client_ticket *ticket, int rc)
{
    if (rc == LN_ERR_AGAIN)
        return;
    /* What was answered already is not answered twice. */
    if (rc >= 0)
        (void)ln_broker_client_result(ticket, (ln_span){NULL, 0});
    else if (rc == LN_ERR_INVALID)
        (void)ln_broker_client_error(ticket, INVALID,
                                     LN_SPAN("Invalid request payload from server"));
    else
        (void)ln_broker_client_error(ticket, FAILED, ln_text(ln_strerror(rc)));
}

void ln_broker_client_take_call(ln_broker_client *k, const ln_envelope *e)
{
    ln_broker_client_call call = {.payload = e->payload};

    if (keep(k, e, &call.ticket) < 0) {
        ln_broker_client_count(&k->counts.unserved);
        const int rc = ln_broker_client_send_failure(k, e, BUSY, LN_SPAN("Client is busy"));
        if (rc != 0)
            ln_broker_client_stall(k, rc); /* not sent: he runs into his timeout */
        return;
    }
    call.topic = ln_broker_client_word(k, e->topic);
    const service *const s = call.topic.data == NULL ? NULL : ln_map_find(&k->services, call.topic);
    if (s == NULL) {
        turn_down(k, &call.ticket, call.topic);
        return;
    }
    ln_broker_client_count(&k->counts.served);
    conclude(&call.ticket, s->fn(&call, s->user));
}
