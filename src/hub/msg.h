/* SPDX-License-Identifier: MIT */
/*
 * msg - what is published: immutable, reference-counted, shared by all subscribers on all workers.
 *
 * Its wire forms (a plain frame, a deflated one, one per dialect) are made once, by whoever needs
 * one first, and kept.
 *
 * Invariants
 *   1. From the first publication (or second reference) on only the count and the form slots
 *      change, both atomically. Until then its maker may set `excluded`.
 *   2. A form slot goes from NULL to a block once; two makers may race, the loser's block is
 *      released.
 */
#ifndef LN_MSG_H
#define LN_MSG_H

#include "base/block.h"

enum { LN_MSG_FORMS = 8 };

/* What the payload is, for dialects that render kinds differently. */
typedef enum ln_msg_kind { LN_MSG_TEXT = 1, LN_MSG_BINARY = 2, LN_MSG_JSON = 3 } ln_msg_kind;

typedef struct ln_msg {
    const ln_allocator *alloc;
    _Atomic uint32_t refs;
    ln_msg_kind kind;
    uint64_t publisher; /* connection id, 0 = none */
    uint64_t excluded;  /* connection id that does not get it, 0 = none */
    ln_span topic;      /* these three are borrowed from the msg */
    ln_span event;      /* name, or empty */
    ln_span payload;
    _Atomic(ln_block *) forms[LN_MSG_FORMS];
} ln_msg;

/* Copies everything; one reference, nobody excluded. NULL when out of memory. */
ln_msg *ln_msg_new(const ln_allocator *alloc, ln_msg_kind kind, ln_span topic, ln_span event,
                   ln_span payload, uint64_t publisher);

/* Another reference. Returns `m`. Any thread. */
ln_msg *ln_msg_ref(ln_msg *m);

/* Gives one back; the last releases the forms too. Accepts NULL. Any thread. */
void ln_msg_unref(ln_msg *m);

/*
 * The block in slot `form` < LN_MSG_FORMS, made by make(m, arg) (one reference, owned by the msg)
 * on first need. Borrowed while the msg lives. NULL: out of memory; the next call tries again. Any
 * thread.
 */
ln_block *ln_msg_form(ln_msg *m, unsigned form, ln_block *(*make)(const ln_msg *m, void *arg),
                      void *arg);

#endif
