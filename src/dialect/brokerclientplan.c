/* SPDX-License-Identifier: MIT */
/*
 * brokerclientplan.c - the options of a broker's client, settled and copied; and its figures.
 */
#include <string.h>

#include "base/limits.h"
#include "base/text.h"
#include "brokerclientinner.h"
#include "proto/utf8.h"

enum {
    MESSAGE_MAX_BYTES = 2 << 20 /* the largest that a server takes, in another envelope */
};

/* ---- copying ---- */

/* NULL stays NULL. */
static int copy(ln_broker_client *k, const char *text, char **to)
{
    if (text == NULL)
        return 0;
    if (!ln_utf8_is_valid(text, strlen(text)))
        return LN_ERR_INVALID;
    *to = ln_strndup(k->alloc, text, strlen(text));
    return *to == NULL ? LN_ERR_NOMEM : 0;
}

static int copy_texts(ln_broker_client *k, const char *url, const ln_broker_client_options *o)
{
    ln_broker_client_plan *const p = &k->plan;
    const char *const server_name = o->tls == NULL ? NULL : o->tls->server_name;

    int rc = copy(k, url, &p->url);
    if (rc == 0)
        rc = copy(k, o->name, &p->name);
    if (rc == 0)
        rc = copy(k, o->type == NULL ? "generic" : o->type, &p->type);
    if (rc == 0)
        rc = copy(k, o->page, &p->page);
    if (rc == 0)
        rc = copy(k, o->origin, &p->origin);
    if (rc == 0)
        rc = copy(k, o->ws.subprotocols, &p->subprotocols);
    return rc == 0 ? copy(k, server_name, &p->server_name) : rc;
}

/* A name and a value as one piece of memory, which begins with the name. */
static int copy_header(ln_broker_client *k, const ln_client_header *from, ln_client_header *to)
{
    const size_t name_size = strlen(from->name) + 1, value_size = strlen(from->value) + 1;

    char *const both = ln_alloc(k->alloc, name_size + value_size);
    if (both == NULL)
        return LN_ERR_NOMEM;
    memcpy(both, from->name, name_size);
    memcpy(both + name_size, from->value, value_size);
    *to = (ln_client_header){both, both + name_size};
    return 0;
}

static int copy_headers(ln_broker_client *k, const ln_broker_client_options *o)
{
    ln_broker_client_plan *const p = &k->plan;

    p->headers = ln_alloc_zero(k->alloc, (o->header_count + 1) * sizeof *p->headers);
    if (p->headers == NULL)
        return LN_ERR_NOMEM;
    for (; p->header_count < o->header_count; p->header_count++) {
        const int rc = copy_header(k, &o->headers[p->header_count], &p->headers[p->header_count]);
        if (rc < 0)
            return rc;
    }
    return 0;
}

/* ---- settling ---- */

static int settle(const char *name, uint32_t asked, uint32_t *value)
{
    return ln_limit_get(ln_limit_find(ln_text(name)), asked, value);
}

static int settle_limits(ln_broker_client_plan *p, const ln_broker_client_options *o)
{
    int rc = settle("RECONNECT_BASE_MS", o->reconnect_base_ms, &p->reconnect_base_ms);
    if (rc == 0)
        rc = settle("RECONNECT_MAX_MS", o->reconnect_max_ms, &p->reconnect_max_ms);
    if (rc == 0)
        rc = settle("BROKER_CLIENT_REQUEST_MS", o->request_ms, &p->request_ms);
    if (rc == 0)
        rc = settle("BROKER_CLIENT_REQUESTS_MAX", o->requests_max, &p->requests_max);
    if (rc == 0)
        rc = settle("BROKER_CLIENT_QUEUE_MAX", o->queue_max_messages, &p->queue_max_messages);
    if (rc == 0)
        rc = settle("BROKER_CLIENT_QUEUE_MAX_BYTES", o->queue_max_bytes, &p->queue_max_bytes);
    return rc == 0 ? settle("BROKER_CLIENT_QUEUE_MS", o->queue_max_ms, &p->queue_ms) : rc;
}

int ln_broker_client_make_plan(ln_broker_client *k, const char *url,
                               const ln_broker_client_options *o)
{
    ln_broker_client_plan *const p = &k->plan;

    p->style = o->wire == LN_BROKER_CLIENT_HEADED ? LN_ENVELOPE_HEADED : LN_ENVELOPE_FLAT;
    p->ws = o->ws;
    p->ws.overflow = LN_OVERFLOW_REFUSE; /* what does not fit waits here, where it is counted */
    if (p->ws.message_max_bytes == 0)
        p->ws.message_max_bytes = MESSAGE_MAX_BYTES;
    p->tls = o->tls;
    p->token = o->token;
    p->is_one_shot = o->is_one_shot;
    p->stops_if_refused = o->stops_if_refused;
    p->attempts_max = o->reconnect_attempts;
    p->on_state = o->on_state;
    p->on_error = o->on_error;
    p->user = o->user;
    int rc = settle_limits(p, o);
    if (rc == 0)
        rc = copy_texts(k, url, o);
    if (rc == 0)
        rc = copy_headers(k, o);
    p->ws.subprotocols = p->subprotocols;
    return rc;
}

void ln_broker_client_free_plan(ln_broker_client *k)
{
    ln_broker_client_plan *const p = &k->plan;
    char *const texts[] = {p->url,    p->name,         p->type,       p->page,
                           p->origin, p->subprotocols, p->server_name};

    for (size_t i = 0; i < LN_ARRAY_SIZE(texts); i++)
        ln_free(k->alloc, texts[i]);
    for (size_t i = 0; i < p->header_count; i++)
        ln_free(k->alloc, (void *)(uintptr_t)p->headers[i].name);
    ln_free(k->alloc, p->headers);
}

/* ---- figures ---- */

static uint64_t read(const _Atomic uint64_t *counter)
{
    return atomic_load_explicit(counter, memory_order_relaxed);
}

void ln_broker_client_stats_get(const ln_broker_client *client, ln_broker_client_stats *stats)
{
    ln_broker_client *const k = (ln_broker_client *)(uintptr_t)client; /* for the lock alone */
    const ln_broker_client_counts *const c = &k->counts;

    ln_lock_take(&k->lock);
    const uint64_t requests = k->request_count, queued = k->queue_count;
    ln_lock_give(&k->lock);
    *stats = (ln_broker_client_stats){.connects_total = read(&c->connects),
                                      .opened_total = read(&c->opened),
                                      .requests = requests,
                                      .requests_total = read(&c->requests_sent),
                                      .replies_total = read(&c->replies),
                                      .timeouts_total = read(&c->timeouts),
                                      .lost_total = read(&c->lost),
                                      .strays_total = read(&c->strays),
                                      .published_total = read(&c->published),
                                      .received_total = read(&c->received),
                                      .unwanted_total = read(&c->unwanted),
                                      .served_total = read(&c->served),
                                      .unserved_total = read(&c->unserved),
                                      .malformed_total = read(&c->malformed),
                                      .queued = queued,
                                      .refused_total = read(&c->refused),
                                      .dropped_total = read(&c->dropped)};
}
