/* SPDX-License-Identifier: MIT */
/*
 * line - a line typed at a terminal while messages arrive: edited with libedit where there is one
 * (edit.h), else by the terminal itself.
 *
 * The line is on the screen between the begin of read() and its end; printing then goes between
 * hide() and show(), which at other times do nothing.
 */
#ifndef LN_LINE_H
#define LN_LINE_H

#include "edit.h"

typedef struct ln_line {
    const char *prompt;
    ln_input *input;
    ln_edit *edit;  /* NULL = the terminal edits */
    bool is_typing; /* the prompt is on the screen */
} ln_line;

/* `prompt` and `input` are borrowed until fini. */
void ln_line_init(ln_line *l, const char *prompt, ln_input *input);
void ln_line_fini(ln_line *l);

/* Shows the prompt and gives the next line, borrowed until the next call. Results as
 * ln_input_line(). */
LN_NODISCARD int ln_line_read(ln_line *l, ln_span *line);

/* Around printing. Accept NULL. */
void ln_line_hide(ln_line *l);
void ln_line_show(ln_line *l);

/* Takes the line off the screen for good: what is read now will not be used. Accepts NULL. */
void ln_line_drop(ln_line *l);

/* After a change of the terminal's size or a return to the foreground. Accepts NULL. */
void ln_line_redraw(ln_line *l);

#endif
