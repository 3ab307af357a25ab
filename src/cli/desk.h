/* SPDX-License-Identifier: MIT */
/*
 * desk - where a conversation of `linnet connect` takes place: the loop, the screen, the input, the
 * signals.
 *
 * Written as if everything blocked: whoever waits, for input, for an answer, for the end, turns the
 * loop, in which handlers note what happened and give notice of it.
 *
 * States
 *   working   is_leaving by ln_desk_leave(): a signal, standard output that nobody reads, or the
 *             user of the desk
 *   leaving   the goodbye is on its way; is_over by ln_desk_end(): it came, its time is up, or a
 *             second signal
 *   over      nothing more comes
 */
#ifndef LN_DESK_H
#define LN_DESK_H

#include <linnet/loop.h>

#include "dial.h"
#include "screen.h"

typedef struct ln_desk {
    ln_loop *loop;
    ln_screen screen;
    ln_input input;
    ln_line line;
    bool is_binary; /* input is taken as it comes, unless typed */
    bool is_over;
    bool is_leaving;
    bool has_failed;                /* exit code 1 */
    void (*say_goodbye)(void *arg); /* the first ln_desk_leave() calls it once */
    void *arg;
    /* Of standard input; NULL while nobody wants input, or it would keep the loop awake. */
    ln_loop_watch *watch;
    bool wants_input;
    bool is_readable;
    bool is_time_up;
    bool is_noticed; /* this turn has been asked not to wait */
} ln_desk;

/* Must not move until fini, which is due after an error, too: one of ln_loop_new(), told to
 * standard error. */
LN_NODISCARD int ln_desk_init(ln_desk *d, const ln_dial_settings *set,
                              void (*say_goodbye)(void *arg), void *arg);
/* What lives on the loop must be gone. */
void ln_desk_fini(ln_desk *d);

/* Asks for the end; ends at once. Both from inside handlers, too. */
void ln_desk_leave(ln_desk *d);
void ln_desk_end(ln_desk *d);

/* Leaving or over: nothing new is to be begun. */
bool ln_desk_is_done(const ln_desk *d);

/* An error that decides the exit code; says so. */
void ln_desk_fail(ln_desk *d, const char *sentence);

/* For handlers: something that somebody waits for has changed. */
void ln_desk_notice(ln_desk *d);

/* Lets the rest of the program work, for at most `timeout_ms`; -1 = until notice is given. */
void ln_desk_turn(ln_desk *d, int timeout_ms);

/* Turns for so long, or until done, or until over. LN_OFF = as long as it takes. */
void ln_desk_rest(ln_desk *d, uint32_t ms);
void ln_desk_rest_until_over(ln_desk *d, uint32_t ms);

/* The next line of input, or with is_binary the next piece; borrowed until the next call. False at
 * the end, or done. */
bool ln_desk_read(ln_desk *d, ln_span *text);

#endif
