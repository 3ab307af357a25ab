/* SPDX-License-Identifier: MIT */
/*
 * benchchart - charts for a page: shapes in an SVG that stretches, words in HTML that does not, so
 * that both are right on a phone and on a desk.
 *
 *   begin, ticks of both axes, open, shapes and marks, end
 *
 * Places are fractions of the plot: x from the left, y from the bottom, 0 to 1.
 */
#ifndef LN_BENCHCHART_H
#define LN_BENCHCHART_H

#include <stdio.h>

#include "base/base.h"

/* From values to places. */
typedef struct ln_benchscale {
    double low, high;
    bool is_log; /* then low > 0 */
} ln_benchscale;

/* Clamped to 0 and 1. */
double ln_benchscale_place(const ln_benchscale *s, double value);

/* A scale of round numbers around low..high; for a logarithmic one at least a factor of 4. */
ln_benchscale ln_benchscale_linear(double high);
ln_benchscale ln_benchscale_log(double low, double high);

/* `label` is for those who do not see the chart; a bare one has no words left of it. */
void ln_benchchart_begin(FILE *out, const char *label);
void ln_benchchart_begin_bare(FILE *out, const char *label);
void ln_benchchart_open(FILE *out);
void ln_benchchart_end(FILE *out);

/* Ticks with a line and a word at round values, written by `word`. */
typedef void ln_benchchart_word(double value, char *text);
void ln_benchchart_ticks_x(FILE *out, const ln_benchscale *s, ln_benchchart_word *word);
void ln_benchchart_ticks_y(FILE *out, const ln_benchscale *s, ln_benchchart_word *word);
/* A single one; a phone has no room for the words of minor ones. */
void ln_benchchart_tick_x(FILE *out, double x, const char *word);
void ln_benchchart_minor_x(FILE *out, double x, const char *word);

/* A bar from x0 to x1; `hint` is shown when pointed at. */
void ln_benchchart_bar(FILE *out, double x0, double x1, double y, const char *hint);

/* Points joined by lines; as an area, filled down to the axis. `name` is the CSS class. */
typedef struct ln_benchpoint {
    double x, y;
} ln_benchpoint;
void ln_benchchart_line(FILE *out, const char *name, const ln_benchpoint *points, size_t count);
void ln_benchchart_area(FILE *out, const char *name, const ln_benchpoint *points, size_t count);

/* A word at the top of the plot, above a line down to the axis; after the shapes. */
void ln_benchchart_mark(FILE *out, double x, const char *word);
void ln_benchchart_minor_mark(FILE *out, double x, const char *word);

#endif
