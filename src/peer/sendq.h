/* SPDX-License-Identifier: MIT */
/*
 * sendq - messages of a connection that may still be dropped: those that wait in front of the
 * machine's output when the overflow policy is to drop the oldest.
 *
 * Each waits as one shared block, so that dropping is unlinking. Not used by the other policies.
 */
#ifndef LN_SENDQ_H
#define LN_SENDQ_H

#include "base/block.h"

typedef struct ln_sendq ln_sendq;

ln_sendq *ln_sendq_new(const ln_allocator *alloc);
/* Accepts NULL. */
void ln_sendq_free(ln_sendq *q, const ln_allocator *alloc);

/* At the end; takes a reference. `kind` 0: a frame as it goes on the wire; else a payload of that
 * kind. LN_ERR_NOMEM. */
LN_NODISCARD int ln_sendq_push(ln_sendq *q, ln_block *block, int kind);

/* Takes the oldest; its reference is the caller's. NULL when empty. */
ln_block *ln_sendq_pop(ln_sendq *q, int *kind);

/* Bytes waiting, with what keeping them costs; 0 exactly when it is empty; accepts NULL. */
size_t ln_sendq_bytes(const ln_sendq *q);

#endif
