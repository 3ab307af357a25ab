/* SPDX-License-Identifier: MIT */
/*
 * screen - what `linnet connect` shows: payloads on standard output, talk on standard error.
 *
 * Where standard output is a terminal, control characters from a peer are shown as \xNN and steer
 * nothing; elsewhere payloads pass bare. Colours only on a terminal, and never under NO_COLOR.
 */
#ifndef LN_SCREEN_H
#define LN_SCREEN_H

#include <stdio.h>

#include "line.h"

/* Why something is said, which decides if it is said at all and in which colour. */
typedef enum ln_tone {
    LN_TONE_DETAIL, /* with -v */
    LN_TONE_EVENT,  /* on a terminal, and with -v; not with -q */
    LN_TONE_ERROR   /* always */
} ln_tone;

typedef struct ln_screen {
    const char *verb;    /* whose talk it is; "connect", unless set */
    bool is_terminal;    /* standard output is one */
    bool is_interactive; /* and so is standard input: prompt, prefixes, events */
    bool has_colour;
    bool is_verbose;
    bool is_quiet;
    bool is_exact;  /* payloads without a newline behind them */
    bool is_base64; /* binary payloads as base64 */
    ln_line *line;  /* being typed; NULL = none */
    int failure;    /* sticky: LN_ERR_CLOSED (nobody reads standard output any more), LN_ERR_IO */
} ln_screen;

/* Finds out about the terminal; `may_colour` is the user's word. */
void ln_screen_init(ln_screen *s, bool may_colour);

/* One message from the peer. */
void ln_screen_message(ln_screen *s, enum ln_kind kind, ln_span payload);

/* One line of talk: print it, without a newline, to what begin() returns, then end it. NULL: not
 * wanted, needs no end. */
FILE *ln_screen_begin(ln_screen *s, ln_tone tone);
void ln_screen_end(ln_screen *s);

/* A whole line of talk. */
void ln_screen_say(ln_screen *s, ln_tone tone, const char *sentence);

/* Foreign text within talk, escaped. */
void ln_screen_quote(FILE *out, ln_span text);

/* " (next try in 1.5 s)"; nothing for a negative time. */
void ln_screen_put_wait(FILE *out, int64_t wait_ms);

/* Sends on what was printed. 0, or screen->failure. */
int ln_screen_flush(ln_screen *s);

#endif
