/* SPDX-License-Identifier: MIT */
/*
 * sendq - the messages of a connection one by one: those that wait in front of the machine's output,
 * where they may still be dropped or replaced, and where messages are counted, also those that have
 * begun: they are in the output and not yet gone.
 *
 * Each that waits is one shared block, so that dropping is unlinking. Not used where the policy looks
 * at no message but the newest and only bytes are bounded.
 *
 * Invariants
 *   1. In the order of sending: what has begun, then what waits.
 *   2. One message that waits has a given key, if the user removes it before pushing another.
 *   3. bytes is 0 exactly when nothing waits; what has begun is in the machine's count.
 *   4. Empty, it owns the memory of a few entries at most.
 */
#ifndef LN_SENDQ_H
#define LN_SENDQ_H

#include "base/block.h"

typedef struct ln_sendq ln_sendq;

ln_sendq *ln_sendq_new(const ln_allocator *alloc);
/* Accepts NULL. */
void ln_sendq_free(ln_sendq *q);

/* Room for one more message of either kind. LN_ERR_NOMEM. */
LN_NODISCARD int ln_sendq_reserve(ln_sendq *q);

/*
 * Waits at the end; takes a reference; room has been reserved. `kind` 0: a frame as it goes on the
 * wire; else a payload of that kind. `key`: a keyed hash of what it is the latest of; 0 = nothing.
 */
void ln_sendq_push(ln_sendq *q, ln_block *block, int kind, uint64_t key);

/* Takes the oldest that waits; its reference is the caller's. NULL when none does. */
ln_block *ln_sendq_pop(ln_sendq *q, int *kind);

/* Drops the one that waits under `key`. False if there is none. */
bool ln_sendq_remove(ln_sendq *q, uint64_t key);

/* What the one under `key` is in ln_sendq_bytes(); 0 if there is none. Accepts NULL. */
size_t ln_sendq_cost(const ln_sendq *q, uint64_t key);

/* A message has become the last `ahead` bytes of output; room has been reserved, or one was just
 * popped. */
void ln_sendq_begin(ln_sendq *q, size_t ahead);

/* The message that began last goes on to here. Room as for begin. */
void ln_sendq_go_on(ln_sendq *q, size_t ahead);

/* `n` bytes of output are gone. */
void ln_sendq_sent(ln_sendq *q, size_t n);

/* Drops all that wait. Accepts NULL. */
void ln_sendq_clear(ln_sendq *q);

/* Bytes waiting, with what keeping them costs; messages that wait; and those with the begun ones.
 * Accept NULL. */
size_t ln_sendq_bytes(const ln_sendq *q);
uint32_t ln_sendq_waiting(const ln_sendq *q);
uint32_t ln_sendq_messages(const ln_sendq *q);

#endif
