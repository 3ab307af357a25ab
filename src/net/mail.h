/* SPDX-License-Identifier: MIT */
/*
 * mail - letters from any thread to a loop: many writers, one reader, no lock on the way.
 *
 * A letter is embedded in what it carries. One wake-up serves all letters posted before the reader
 * looks.
 *
 * Invariants
 *   1. Letters of one thread are handled in the order it posted them.
 *   2. handle() owns the letter and frees what embeds it; after the loop has ended it is called
 *      with `loop` NULL, so that nothing leaks.
 *   3. A letter that the reader has not seen implies is_awake, or a writer that is about to set it
 *      and to wake the loop.
 */
#ifndef LN_MAIL_H
#define LN_MAIL_H

#include <stdatomic.h>

#include "base/base.h"

typedef struct ln_loop ln_loop;
typedef struct ln_letter ln_letter;
struct ln_letter {
    _Atomic(ln_letter *) next;
    void (*handle)(ln_letter *letter, ln_loop *loop);
};

typedef struct ln_mailbox {
    _Atomic(ln_letter *) last; /* writers swap themselves in here */
    ln_letter *first;          /* the reader's end */
    ln_letter stub;
    _Atomic bool is_awake; /* letters may be there that the reader has not looked for */
} ln_mailbox;

void ln_mailbox_init(ln_mailbox *m);

/* Any thread. True if the loop has to be woken up. */
bool ln_mailbox_post(ln_mailbox *m, ln_letter *letter);

/* The loop, before it takes: may there be letters? From now on a writer wakes the loop again. */
bool ln_mailbox_look(ln_mailbox *m);

/* The loop: the next letter or NULL. A writer caught half-way makes it NULL early; its wake-up
 * brings us back. */
ln_letter *ln_mailbox_take(ln_mailbox *m);

/* The loop: it stopped taking before the end and will look again without being woken up. */
void ln_mailbox_look_again(ln_mailbox *m);

/* The loop must not sleep: look() would be true. */
bool ln_mailbox_is_awake(const ln_mailbox *m);

/* Posts to a loop and wakes it if it sleeps. Any thread. */
void ln_loop_send_letter(ln_loop *loop, ln_letter *letter);

#endif
