/* SPDX-License-Identifier: MIT */
#include "line.h"

#include <stdio.h>

static void print_prompt(const ln_line *l)
{
    fputs(l->prompt, stdout);
    fflush(stdout);
}

void ln_line_init(ln_line *l, const char *prompt, ln_input *input)
{
    *l = (ln_line){.prompt = prompt, .input = input, .edit = ln_edit_new(prompt, input)};
}

void ln_line_fini(ln_line *l)
{
    ln_edit_free(l->edit);
}

int ln_line_read(ln_line *l, ln_span *line)
{
    l->is_typing = true;
    int rc;
    if (l->edit != NULL) {
        rc = ln_edit_read(l->edit, line);
    } else {
        print_prompt(l);
        rc = ln_input_line(l->input, line);
    }
    l->is_typing = false;
    return rc;
}

void ln_line_hide(ln_line *l)
{
    if (l == NULL || !l->is_typing)
        return;
    if (l->edit != NULL)
        ln_edit_hide(l->edit);
    else
        putchar('\r');
}

void ln_line_show(ln_line *l)
{
    if (l == NULL || !l->is_typing)
        return;
    if (l->edit != NULL)
        ln_edit_show(l->edit);
    else
        print_prompt(l);
}

void ln_line_drop(ln_line *l)
{
    ln_line_hide(l);
    if (l != NULL)
        l->is_typing = false;
}

void ln_line_redraw(ln_line *l)
{
    if (l != NULL && l->is_typing && l->edit != NULL)
        ln_edit_redraw(l->edit);
}
