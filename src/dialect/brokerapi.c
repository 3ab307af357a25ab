/* SPDX-License-Identifier: MIT */
/* brokerapi.c - what applications call (linnet/broker.h), where it is more than one line of another
 * file. */
#include "brokerinner.h"
#include "proto/jsonwrite.h"

static int serve(ln_broker *b, const char *topic, const ln_rpc_service *service)
{
    const ln_span name = ln_text(topic);

    if (name.size == 0)
        return LN_ERR_INVALID;
    if (ln_broker_is_system(name))
        return LN_ERR_EXISTS;
    return ln_rpc_set_method(&b->rpc, name, service);
}

int ln_broker_handle(ln_broker *b, const char *topic, ln_rpc_handler *handler, void *user)
{
    const ln_rpc_service service = {.handler = handler, .user = user};
    return serve(b, topic, &service);
}

int ln_broker_handle_blocking(ln_broker *b, const char *topic, ln_rpc_handler *handler, void *user)
{
    const ln_rpc_service service = {.handler = handler, .user = user, .is_blocking = true};

    if (handler != NULL && ln_server_jobs(b->server) == NULL)
        return LN_ERR_NOMEM;
    return serve(b, topic, &service);
}

int ln_broker_publish(ln_broker *b, ln_span topic, ln_span payload)
{
    char quoted[LN_BROKER_TOPIC_ROOM + 1];

    if (!ln_topics_is_open(topic) || !ln_broker_speech.is_params(payload))
        return LN_ERR_INVALID;
    if (atomic_load(&b->server->state) != LN_SERVER_RUNNING)
        return LN_ERR_STATE;
    const int n = ln_json_quote(topic, quoted, sizeof quoted);
    LN_ASSERT(n > 0); /* a topic is short and UTF-8 */
    ln_msg *const m = ln_broker_make_msg(b, topic, (ln_span){quoted, (size_t)n}, payload, 0);
    const int rc = m == NULL ? LN_ERR_NOMEM : ln_topics_publish_from_anywhere(b->server, m);
    ln_msg_unref(m);
    return rc;
}

int ln_broker_send(ln_broker *b, ln_conn_id conn, ln_span topic, ln_span payload)
{
    const ln_rpc_order order = {.conn = conn, .method = topic, .params = payload};
    return topic.size == 0 ? LN_ERR_INVALID : ln_rpc_request(&b->rpc, &order, NULL);
}

int ln_broker_request(ln_broker *b, const ln_broker_request_options *r, ln_rpc_ticket *ticket)
{
    const ln_rpc_order order = {.conn = r->conn,
                                .method = r->topic,
                                .params = r->payload,
                                .timeout_ms = r->timeout_ms == 0 ? b->request_ms : r->timeout_ms,
                                .on_reply = r->on_reply,
                                .user = r->user};
    return r->on_reply == NULL ? LN_ERR_INVALID : ln_rpc_request(&b->rpc, &order, ticket);
}

int ln_broker_cancel(const ln_rpc_ticket *ticket)
{
    return ln_rpc_cancel(ticket);
}

int ln_broker_info_get(const ln_conn *c, ln_broker_info *client)
{
    const ln_broker_peer *const p = ln_broker_peer_of(c);

    if (p == NULL)
        return LN_ERR_NOT_FOUND;
    *client = ln_broker_show(&p->entry);
    return 0;
}

static uint64_t count_clients(ln_broker_directory *d)
{
    ln_lock_take(&d->lock);
    const uint64_t count = d->ids.count;
    ln_lock_give(&d->lock);
    return count;
}

void ln_broker_stats_get(const ln_broker *broker, ln_broker_stats *stats)
{
    ln_broker *const b = (ln_broker *)(uintptr_t)broker; /* to lock its directory */

    *stats = (ln_broker_stats){
        .clients = count_clients(&b->directory),
        .malformed_total = atomic_load(&b->counts.malformed),
        .ignored_total = atomic_load(&b->counts.ignored),
        .refused_total = atomic_load(&b->counts.refused),
        .published_total = atomic_load(&b->counts.published),
        .dropped_total = atomic_load(&b->counts.dropped),
        .slow_closes_total = atomic_load(&b->counts.slow_closes),
        .ping_failures_total = atomic_load(&b->counts.ping_failures),
        .requests_total = ln_rpc_calls(&b->rpc),
        .errors_total = atomic_load(&b->rpc.stats.errors),
        .strays_total = atomic_load(&b->rpc.stats.stray_answers),
    };
}
