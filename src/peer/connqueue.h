/* SPDX-License-Identifier: MIT */
/*
 * connqueue - the send queue of a connection: whether a message may be begun, what the policy says if
 * not, and where it waits.
 *
 * The queue is, in the order of sending: what the stream has encrypted, the machine's output, and the
 * messages of a sendq, if the connection has one. Ordinary connections have none, and is_easy() of
 * connapi.c keeps their messages out of here.
 *
 * Invariants
 *   1. Once a message waits, the later ones wait behind it; they move on in ln_conn_refill() only.
 *   2. While a fragmented message is sent, nothing else that the sendq counts or keeps gets into the
 *      machine.
 */
#ifndef LN_CONNQUEUE_H
#define LN_CONNQUEUE_H

#include "sendq.h"
#include "wsconn.h"

/* What bounds this connection's queue. */
LN_INLINE const ln_queue_options *ln_connqueue_of(const ln_conn *c)
{
    return c->more != NULL && c->more->has_queue ? &c->more->queue : &ln_conn_site(c)->plan->queue;
}

/* What a message of that name replaces: 0 where nothing is replaced. */
uint64_t ln_connqueue_key(const ln_conn *c, ln_span name);

/*
 * May a message of `size` bytes be begun, by whatever the policy allows for it? 0;
 * LN_ERR_WOULD_EXCEED, LN_ERR_DROPPED, LN_ERR_CLOSED: no, and it has been counted. `key`: what it
 * would replace.
 */
int ln_connqueue_make_room(ln_conn *c, size_t size, uint64_t key);

/* The same without asking the policy, for an own message. */
bool ln_connqueue_has_room(const ln_conn *c, size_t size);

/* The same for more of a fragmented message, which is measured with what has begun only: what waits
 * for its end must not keep it from ending. */
int ln_connqueue_make_room_for_piece(ln_conn *c, size_t size);

bool ln_connqueue_takes_ping(const ln_conn *c);

/* Has the next message to wait for those before it? */
bool ln_connqueue_has_to_wait(const ln_conn *c);

/* Waits as a frame or as a message. 0, or as ln_ws_send(). */
int ln_connqueue_put_frame(ln_conn *c, ln_block *frame, uint64_t key);
int ln_connqueue_put_message(ln_conn *c, enum ln_kind kind, ln_span data, uint64_t key);

/*
 * Where messages are counted: room for one that is about to begin; it has begun, or another piece
 * of it. LN_ERR_NOMEM.
 */
LN_NODISCARD int ln_connqueue_expect(ln_conn *c);
void ln_connqueue_begun(ln_conn *c);
void ln_connqueue_gone_on(ln_conn *c);

/* `queued` bytes wait to be sent: tells the home's counters, and the server's budget. */
void ln_connqueue_count(ln_conn *c, size_t queued);
LN_INLINE void ln_connqueue_account(ln_conn *c, size_t queued)
{
    if (LN_UNLIKELY(queued > 0 || c->laggard != 0))
        ln_connqueue_count(c, queued);
}

/* Output has left, or something else that may make room: who watches is told. */
void ln_connqueue_moved(ln_conn *c);

/* No room for another message, or above high water; and the opposite: enough has left. */
bool ln_connqueue_is_high(const ln_conn *c);
bool ln_connqueue_is_low(const ln_conn *c);

#endif
