/* SPDX-License-Identifier: MIT */
/*
 * The queue is Dmitry Vyukov's intrusive one: a writer swaps itself in as the last, then links its
 * predecessor to itself. Between the two steps the chain is cut there, and the reader stops early.
 */
#include "mail.h"

static void push(ln_mailbox *m, ln_letter *letter)
{
    atomic_store_explicit(&letter->next, NULL, memory_order_relaxed);
    ln_letter *const before = atomic_exchange_explicit(&m->last, letter, memory_order_acq_rel);
    atomic_store_explicit(&before->next, letter, memory_order_release);
}

void ln_mailbox_init(ln_mailbox *m)
{
    atomic_init(&m->stub.next, NULL);
    m->stub.handle = NULL;
    m->first = &m->stub;
    atomic_init(&m->last, &m->stub);
    atomic_init(&m->is_awake, false);
}

bool ln_mailbox_post(ln_mailbox *m, ln_letter *letter)
{
    push(m, letter);
    return !atomic_exchange_explicit(&m->is_awake, true, memory_order_acq_rel);
}

bool ln_mailbox_look(ln_mailbox *m)
{
    /* The exchange pairs with that in post(): who reads our false wakes us, who was before it is
     * seen by take(). */
    return atomic_load_explicit(&m->is_awake, memory_order_relaxed) &&
           atomic_exchange_explicit(&m->is_awake, false, memory_order_acq_rel);
}

bool ln_mailbox_is_awake(const ln_mailbox *m)
{
    return atomic_load_explicit(&m->is_awake, memory_order_relaxed);
}

void ln_mailbox_look_again(ln_mailbox *m)
{
    /* An exchange, to see what a writer did before it set the same. */
    atomic_exchange_explicit(&m->is_awake, true, memory_order_acq_rel);
}

ln_letter *ln_mailbox_take(ln_mailbox *m)
{
    ln_letter *first = m->first;
    ln_letter *next = atomic_load_explicit(&first->next, memory_order_acquire);

    if (first == &m->stub) {
        if (!next)
            return NULL;
        m->first = first = next;
        next = atomic_load_explicit(&first->next, memory_order_acquire);
    }
    if (!next) {
        if (first != atomic_load_explicit(&m->last, memory_order_acquire))
            return NULL;   /* a writer is half-way */
        push(m, &m->stub); /* the last letter can leave only when something follows it */
        next = atomic_load_explicit(&first->next, memory_order_acquire);
        if (!next)
            return NULL;
    }
    m->first = next;
    return first;
}
