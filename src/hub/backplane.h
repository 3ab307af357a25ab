/* SPDX-License-Identifier: MIT */
/*
 * backplane - how hubs that live apart (other workers, other hosts) hear of each other's
 * publications.
 *
 * A hub announces interest in a topic when it gets its first subscriber and withdraws it with the
 * last; it hands every local publication to the backplane, which brings it to the hubs that want
 * it, in order per publisher and topic. Workers are joined by the mesh; NATS and Redis stand behind
 * the same three functions.
 *
 * A topic may be a filter (filter.h): then the hub wants what is published to the names that it
 * matches. A publication whose topic is empty is for everybody.
 *
 * Neither function may call back into the hub that calls it, except ln_hub_deliver() from
 * publish(): what arrives there at once waits until the publication under way has ended.
 */
#ifndef LN_BACKPLANE_H
#define LN_BACKPLANE_H

#include "msg.h"

typedef struct ln_hub ln_hub;

typedef struct ln_backplane ln_backplane;
struct ln_backplane {
    /*
     * The hub begins (true) or ceases (false) to have subscribers for `topic`, in turn. An error
     * when it begins: the subscribe fails with it. The result of a withdrawal is ignored: at worst
     * the hub is brought what nobody reads.
     */
    int (*interest)(ln_backplane *b, ln_hub *hub, ln_span topic, bool wanted);
    /*
     * A local publication, to be brought once to every *other* hub that wants its topic, by name or
     * by filters, or to all of them if it is empty; takes references as it needs. Called in the
     * order of the publications, before the local subscribers get it, so that workers run side by
     * side.
     */
    int (*publish)(ln_backplane *b, ln_hub *from, ln_msg *m);
};

#endif
