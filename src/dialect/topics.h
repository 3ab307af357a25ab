/* SPDX-License-Identifier: MIT */
/*
 * topics - a hub for each worker, joined by the mesh, and connections as subscribers. What
 * linnet/topic.h promises, and what the dialects build on.
 */
#ifndef LN_TOPICS_H
#define LN_TOPICS_H

#include <linnet/topic.h>

#include "base/limits.h"
#include "base/list.h"
#include "base/text.h"
#include "hub/hub.h"
#include "peer/serverinner.h"

/* Forms of a msg (msg.h): what plain WebSocket subscribers get. Dialects take the numbers from
 * LN_FORM_DIALECTS on. */
enum { LN_FORM_PLAIN, LN_FORM_DEFLATED, LN_FORM_DIALECTS };

/* window of the shared compression; a message below 1 << n fits any window of n */
enum { LN_TOPICS_SHARED_BITS = 15 };

/*
 * Names beginning so are linnet's own (presence): applications and peers can neither subscribe nor
 * publish to them.
 */
#define LN_TOPICS_RESERVED "$linnet."
LN_INLINE bool ln_topics_is_reserved(ln_span topic)
{
    return ln_text_has_prefix(topic, LN_SPAN(LN_TOPICS_RESERVED));
}

/* May be published to by anybody: a name, no filter, not linnet's own. */
LN_INLINE bool ln_topics_is_open(ln_span topic)
{
    return ln_hub_is_topic(topic, LN_DEFAULT_TOPIC_MAX_BYTES) && !ln_topics_is_reserved(topic);
}

/* What every server is made with. The state is a new one's; NULL when out of memory. */
extern const ln_service ln_topics_service;
void *ln_topics_new(const ln_allocator *alloc);

/* The state of a running server, by its worker's home. */
typedef struct ln_topics ln_topics;

/*
 * How a connection is given a publication. 0, 1 or an error, as ln_conn_send_block();
 * LN_ERR_UNSUPPORTED: it is nothing for this connection, and has been counted as such.
 */
typedef int ln_topics_send(ln_conn *c, ln_msg *m);

/* A dialect's own way for `c`, from now on; else publications come as plain messages. As
 * ln_conn_subscribe(). */
int ln_topics_speak(ln_conn *c, ln_topics_send *send);

/* Subscribing and publishing without the rule for reserved names; on the connection's (home's)
 * thread. LN_ERR_STATE: a home of clients, or of a worker that has ended, whose timers may still come. */
int ln_topics_subscribe(ln_conn *c, ln_span topic);
int ln_topics_publish(ln_home *home, ln_msg *m, ln_hub_result *result);

/* Delivers to this worker's subscribers alone. As ln_hub_deliver(), on its thread. */
int ln_topics_deliver(ln_home *home, ln_msg *m, ln_hub_result *result);

/* Gives one publication to `c`, which subscribes to something, whatever its topic. On its thread. */
ln_delivery ln_topics_tell(ln_conn *c, ln_msg *m);

/* What is counted of deliveries: each by its ln_delivery. */
enum { LN_TOPICS_COUNTS = LN_DELIVERY_CLOSED + 1 };

/* Has deliveries to `c` counted in `tally`, which its thread alone writes. As ln_conn_subscribe(). */
int ln_topics_tally(ln_conn *c, _Atomic uint64_t tally[LN_TOPICS_COUNTS]);

/* Publishes from any thread, the topic being one; as ln_publish(). */
int ln_topics_publish_from_anywhere(ln_server *server, ln_msg *m);

/*
 * A subscriber that is no connection, on worker 0, whose thread alone delivers to it, under a lock:
 * what it gets it has to keep for later.
 */
typedef struct ln_topics_guest {
    ln_link link;
    ln_subscriber subscriber;
    ln_span topic; /* a name or a filter; its owner's, as all of this */
} ln_topics_guest;

/*
 * Subscribes it to guest->topic, at once or when the server starts. Any thread. As
 * ln_conn_subscribe(); what only shows at the start keeps the server from starting.
 */
LN_NODISCARD int ln_topics_invite(ln_server *server, ln_topics_guest *guest, ln_deliver_fn *take);
/* Nothing is delivered to it any more. Any thread. */
void ln_topics_dismiss(ln_server *server, ln_topics_guest *guest);

#endif
