/* SPDX-License-Identifier: MIT */
/* list - an intrusive doubly linked ring. The head is a node; an unlinked node points to itself. */
#ifndef LN_LIST_H
#define LN_LIST_H

#include "base.h"

typedef struct ln_link {
    struct ln_link *next;
    struct ln_link *prev;
} ln_link;

LN_INLINE void ln_list_init(ln_link *head)
{
    head->next = head->prev = head;
}

LN_INLINE bool ln_list_is_empty(const ln_link *head)
{
    return head->next == head;
}

/* Inserts an unlinked `node` before `at`; with the ring's head as `at`, at the end. */
LN_INLINE void ln_list_add(ln_link *at, ln_link *node)
{
    node->prev = at->prev;
    node->next = at;
    at->prev->next = node;
    at->prev = node;
}

/* Unlinks; harmless on an unlinked node. */
LN_INLINE void ln_list_remove(ln_link *node)
{
    node->prev->next = node->next;
    node->next->prev = node->prev;
    ln_list_init(node);
}

#endif
