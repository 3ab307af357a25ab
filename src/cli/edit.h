/* SPDX-License-Identifier: MIT */
/*
 * edit - line editing by libedit, with history and the user's ~/.editrc, for a line under which
 * messages keep arriving.
 *
 * libedit believes that it blocks for each character; it gets them from an ln_input, whose wait()
 * runs the rest of the program. What is printed meanwhile stands between hide() and show().
 */
#ifndef LN_EDIT_H
#define LN_EDIT_H

#include "input.h"

typedef struct ln_edit ln_edit;

/*
 * For the terminal on standard input and output; `prompt` and `input` are borrowed until it is
 * freed. NULL: built without libedit, a terminal that cannot move its cursor, or no memory; lines
 * are then read as they come.
 */
ln_edit *ln_edit_new(const char *prompt, ln_input *input);

/* Accepts NULL. */
void ln_edit_free(ln_edit *e);

/* The next line without its newline, borrowed until the next call. 1; 0 at the end. */
int ln_edit_read(ln_edit *e, ln_span *line);

/* Removes the prompt and what is typed from the screen; draws them again, below what was
 * printed. */
void ln_edit_hide(ln_edit *e);
void ln_edit_show(ln_edit *e);

/* The terminal has another size, or the program comes back to the foreground: draws anew. */
void ln_edit_redraw(ln_edit *e);

#endif
