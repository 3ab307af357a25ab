/* SPDX-License-Identifier: MIT */
#include "edit.h"

#ifdef LN_HAS_EDIT

#include <histedit.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { HISTORY_LINES = 500 };

struct ln_edit {
    EditLine *el;
    History *history;
    const char *prompt;
    ln_input *input;
};

static ln_edit *owner(EditLine *el)
{
    void *e = NULL;
    el_get(el, EL_CLIENTDATA, &e);
    return e;
}

static char *prompt_of(EditLine *el)
{
    return (char *)owner(el)->prompt; /* libedit does not write to it */
}

/* The next character: 1, or 0 at the end. */
static int get_character(EditLine *el, wchar_t *character)
{
    ln_edit *e = owner(el);
    mbstate_t state = {0};
    uint8_t byte;
    while (ln_input_byte(e->input, &byte) == 1) {
        const size_t n = mbrtowc(character, (const char *)&byte, 1, &state);
        if (n == (size_t)-2) /* the beginning of one */
            continue;
        if (n == (size_t)-1)
            *character = 0xFFFD;
        return 1;
    }
    return 0;
}

static bool can_move(void)
{
    const char *terminal = getenv("TERM");
    return terminal != NULL && terminal[0] != '\0' && strcmp(terminal, "dumb") != 0;
}

static bool set_up(ln_edit *e)
{
    HistEvent event;
    e->el = el_init("linnet", stdin, stdout, stderr);
    e->history = history_init();
    if (e->el == NULL || e->history == NULL)
        return false;
    history(e->history, &event, H_SETSIZE, HISTORY_LINES);
    history(e->history, &event, H_SETUNIQUE, 1);
    el_set(e->el, EL_CLIENTDATA, e);
    el_set(e->el, EL_PROMPT, prompt_of);
    el_set(e->el, EL_EDITOR, "emacs");
    el_set(e->el, EL_HIST, history, e->history);
    el_set(e->el, EL_BIND, "^R", "em-inc-search-prev", NULL);
    el_source(e->el, NULL);
    el_set(e->el, EL_GETCFN, get_character); /* after ~/.editrc, which resets it */
    return true;
}

ln_edit *ln_edit_new(const char *prompt, ln_input *input)
{
    if (!can_move())
        return NULL;
    /* libedit works with the locale's characters, and text on the wire is UTF-8. */
    setlocale(LC_CTYPE, "C.UTF-8");
    ln_edit *e = ln_alloc_zero(NULL, sizeof *e);
    if (e == NULL)
        return NULL;
    e->prompt = prompt;
    e->input = input;
    if (set_up(e))
        return e;
    ln_edit_free(e);
    return NULL;
}

void ln_edit_free(ln_edit *e)
{
    if (e == NULL)
        return;
    if (e->el != NULL)
        el_end(e->el);
    if (e->history != NULL)
        history_end(e->history);
    ln_free(NULL, e);
}

int ln_edit_read(ln_edit *e, ln_span *line)
{
    int count = 0;
    const char *text = el_gets(e->el, &count);
    if (text == NULL || count <= 0)
        return 0;
    size_t n = (size_t)count;
    if (text[n - 1] == '\n')
        n--;
    HistEvent event;
    if (n > 0)
        history(e->history, &event, H_ENTER, text);
    *line = (ln_span){text, n};
    return 1;
}

/* Columns that libedit gives a character: control characters stand as ^X. */
static int columns_of(wchar_t character)
{
    const int n = wcwidth(character);
    return n >= 0 ? n : 2;
}

/* How many rows below the prompt's the cursor is. */
static int cursor_row(const ln_edit *e)
{
    int columns = 0;
    if (el_get(e->el, EL_GETTC, "co", &columns) < 0 || columns <= 0)
        return 0;
    const LineInfoW *line = el_wline(e->el);
    int column = (int)strlen(e->prompt);
    for (const wchar_t *c = line->buffer; c < line->cursor; c++)
        column += columns_of(*c);
    return column / columns;
}

void ln_edit_hide(ln_edit *e)
{
    const int row = cursor_row(e);
    putchar('\r');
    if (row > 0)
        printf("\033[%dA", row);
    fputs("\033[J", stdout);
}

void ln_edit_show(ln_edit *e)
{
    el_set(e->el, EL_REFRESH);
}

void ln_edit_redraw(ln_edit *e)
{
    el_resize(e->el);
    el_set(e->el, EL_PREP_TERM, 1); /* another program may have changed the modes meanwhile */
    ln_edit_hide(e);
    ln_edit_show(e);
}

#else

ln_edit *ln_edit_new(const char *prompt, ln_input *input)
{
    (void)prompt;
    (void)input;
    return NULL;
}

void ln_edit_free(ln_edit *e)
{
    (void)e;
}

int ln_edit_read(ln_edit *e, ln_span *line)
{
    (void)e;
    (void)line;
    return 0;
}

void ln_edit_hide(ln_edit *e)
{
    (void)e;
}

void ln_edit_show(ln_edit *e)
{
    (void)e;
}

void ln_edit_redraw(ln_edit *e)
{
    (void)e;
}

#endif
