/* SPDX-License-Identifier: MIT */
/*
 * presence - who is in the rooms of an endpoint, told to those who asked: one roster for all
 * workers, and worker 0 as the one voice that tells the changes, so that they arrive everywhere in
 * order.
 */
#ifndef LN_PRESENCE_H
#define LN_PRESENCE_H

#include "peer/serverinner.h"

typedef struct ln_presence_desk ln_presence_desk;

/* NULL when out of memory. */
ln_presence_desk *ln_presence_new(const ln_allocator *alloc);
void ln_presence_free(ln_presence_desk *desk);

/*
 * `c` enters or leaves `room`; the change is told within LN_ROOMS_PRESENCE_MS. On its thread.
 * LN_ERR_LIMIT, LN_ERR_NOMEM: it is not listed.
 */
int ln_presence_enter(ln_presence_desk *desk, ln_conn *c, ln_span room, ln_span name);
void ln_presence_leave(ln_presence_desk *desk, ln_conn *c, ln_span room);

/* Sends `c` the room as it is, and from now on what changes. LN_ERR_NOMEM and what sending
 * can say. */
int ln_presence_follow(ln_presence_desk *desk, ln_conn *c, ln_span room);
void ln_presence_unfollow(ln_conn *c, ln_span room);

#endif
