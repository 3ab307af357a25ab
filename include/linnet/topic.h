/* SPDX-License-Identifier: MIT */
/*
 * linnet/topic.h - publish and subscribe, across all workers of a server.
 *
 * A topic is a name of 1 to 256 bytes of UTF-8 without control characters; it exists while somebody
 * subscribes. To a subscriber a name is a row of tokens separated by '.', and may be a filter: a
 * token `*` stands for any one token, `>` as the last one for one or more.
 *
 *   orders.*.paid    orders.7.paid                  not orders.paid, orders.7.8.paid
 *   orders.>         orders.7, orders.7.paid        not orders
 *
 * Names that begin with `$` are matched only by filters that spell out their first token. A filter
 * has at most 32 tokens, none of them empty; any other name is itself ("a*b"), whatever its tokens.
 * Nobody publishes to a filter. Who is subscribed several times, by name and by filters, gets a
 * message once.
 *
 * Publishing encodes a message once and shares the frame. Delivery is at most once, and in the
 * order of the calls for each publisher; what does not fit into a subscriber's queue is handled by
 * that connection's overflow policy and counted.
 *
 * Who subscribes peers to what they ask for lets them ask for filters: look at the name before, or
 * mean it.
 */
#ifndef LINNET_TOPIC_H
#define LINNET_TOPIC_H

#include <linnet/server.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What became of a publication on the worker it was made on; the others report into the
 * statistics. */
typedef struct ln_publish_result {
    uint32_t delivered; /* given to the system, or queued below high water */
    uint32_t queued;    /* queued above high water */
    uint32_t dropped;   /* lost to an overflow policy */
    /* subscribers that an overflow policy closed now, or that were closing; they are out of it */
    uint32_t closed;
} ln_publish_result;

/*
 * Subscribes to a name or a filter; twice is once. Ends with the connection. LN_ERR_INVALID (the
 * name, or an empty token of a filter), LN_ERR_LIMIT (doc/limits.md: of a connection, of a filter),
 * LN_ERR_CLOSED, LN_ERR_NOMEM.
 */
LN_API int ln_conn_subscribe(ln_conn *c, ln_span topic);

/* Of the same name or filter: others that match what it did stay. LN_ERR_NOT_FOUND if it was not
 * subscribed. */
LN_API int ln_conn_unsubscribe(ln_conn *c, ln_span topic);

/* Publishes in the name of `c`, to everybody or to everybody else. `result` may be NULL.
 * LN_ERR_INVALID also for a filter. */
LN_API int ln_conn_publish(ln_conn *c, ln_span topic, enum ln_kind kind, ln_span data,
                           ln_publish_result *result);
LN_API int ln_conn_publish_others(ln_conn *c, ln_span topic, enum ln_kind kind, ln_span data,
                                  ln_publish_result *result);

/*
 * Publishes from anywhere. Messages of one thread to one topic arrive in the order of the calls.
 * Any thread. LN_ERR_WOULD_EXCEED: a worker is too far behind and does not get it; LN_ERR_INVALID,
 * LN_ERR_STATE, LN_ERR_NOMEM.
 */
LN_API int ln_publish(ln_server *server, ln_span topic, enum ln_kind kind, ln_span data);

/* Subscribers of this very name or filter on all workers, now. Any thread. */
LN_API size_t ln_topic_count(ln_server *server, ln_span topic);

#ifdef __cplusplus
}
#endif
#endif
