/* SPDX-License-Identifier: MIT */
/*
 * linnet/topic.h - publish and subscribe, across all workers of a server.
 *
 * A topic is a name of 1 to 256 bytes of UTF-8 without control characters; it exists while somebody
 * subscribes. Publishing encodes a message once and shares the frame. Delivery is at most once, in
 * order per publisher and topic; what does not fit into a subscriber's queue is handled by that
 * connection's overflow policy and counted.
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

/* Subscribes; twice is once. Ends with the connection. LN_ERR_INVALID, LN_ERR_LIMIT, LN_ERR_CLOSED,
 * LN_ERR_NOMEM. */
LN_API int ln_conn_subscribe(ln_conn *c, ln_span topic);

/* LN_ERR_NOT_FOUND if it was not subscribed. */
LN_API int ln_conn_unsubscribe(ln_conn *c, ln_span topic);

/* Publishes in the name of `c`, to everybody or to everybody else. `result` may be NULL. */
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

/* Subscribers of `topic` on all workers, now. Any thread. */
LN_API size_t ln_topic_count(ln_server *server, ln_span topic);

#ifdef __cplusplus
}
#endif
#endif
