/* SPDX-License-Identifier: MIT */
#include "benchchart.h"

#include <math.h>

#include "benchwords.h"

enum { LINEAR_TICKS = 4, TICK_WORD_BYTES = LN_BENCHWORDS_BYTES };

/* ------------------------------------------------------------------------------------------------
 * scales */

double ln_benchscale_place(const ln_benchscale *s, double value)
{
    const double place = s->is_log ? log(fmax(value, s->low) / s->low) / log(s->high / s->low)
                                   : (value - s->low) / (s->high - s->low);
    return fmin(fmax(place, 0), 1);
}

/* 1, 2 or 5 times a power of ten: the least that is not below `value`. */
static double round_up(double value)
{
    const double decade = pow(10, floor(log10(value)));
    const double lead = value / decade;
    return decade * (lead <= 1 ? 1 : lead <= 2 ? 2 : lead <= 5 ? 5 : 10);
}

ln_benchscale ln_benchscale_linear(double high)
{
    const double most = fmax(high, 1e-9), step = round_up(most / LINEAR_TICKS);
    return (ln_benchscale){.low = 0, .high = step * ceil(most * 1.02 / step)};
}

ln_benchscale ln_benchscale_log(double low, double high)
{
    const double least = fmax(low, 1);
    const double most = fmax(high, least);
    const double spare = fmax(4 / (most / least), 1);
    return (ln_benchscale){
        .low = least / sqrt(spare) * 0.9, .high = most * sqrt(spare) * 1.1, .is_log = true};
}

/* ------------------------------------------------------------------------------------------------
 * frame */

static void begin(FILE *out, const char *name, const char *label)
{
    fprintf(out, "<div class=\"%s\" role=\"img\" aria-label=\"", name);
    ln_benchwords_write_html(label, out);
    fputs("\">\n", out);
}

void ln_benchchart_begin(FILE *out, const char *label)
{
    begin(out, "chart", label);
}

void ln_benchchart_begin_bare(FILE *out, const char *label)
{
    begin(out, "chart bare", label);
}

void ln_benchchart_open(FILE *out)
{
    fputs("<svg viewBox=\"0 0 1000 1000\" preserveAspectRatio=\"none\">\n", out);
}

void ln_benchchart_end(FILE *out)
{
    fputs("</div>\n", out);
}

/* ------------------------------------------------------------------------------------------------
 * ticks */

static void tick(FILE *out, const char *axis, const char *side, double place, const char *word)
{
    fprintf(out, "<i class=\"%s\" style=\"%s:%.2f%%\"><b>", axis, side, place * 100);
    ln_benchwords_write_html(word, out);
    fputs("</b></i>\n", out);
}

void ln_benchchart_tick_x(FILE *out, double x, const char *word)
{
    tick(out, "x", "left", x, word);
}

void ln_benchchart_minor_x(FILE *out, double x, const char *word)
{
    tick(out, "x minor", "left", x, word);
}

/* Calls `tick` at round values: some four of a linear scale; 1, 2 and 5 of each power of ten, or
 * only 1 where there are many. */
static void walk(FILE *out, const ln_benchscale *s, const char *axis, const char *side,
                 ln_benchchart_word *word)
{
    static const double leads[] = {1, 2, 5};
    char text[TICK_WORD_BYTES];
    const double step = s->is_log ? 0 : round_up(s->high / 1.02 / LINEAR_TICKS / 1.3);
    for (double v = 0; !s->is_log && v <= s->high * 1.0001; v += step) {
        word(v, text);
        tick(out, axis, side, ln_benchscale_place(s, v), text);
    }
    if (!s->is_log)
        return;
    const size_t each = s->high / s->low > 200 ? 1 : 3;
    for (double decade = pow(10, floor(log10(s->low))); decade <= s->high; decade *= 10) {
        for (size_t i = 0; i < each; i++) {
            const double v = decade * leads[i];
            if (v < s->low || v > s->high)
                continue;
            word(v, text);
            tick(out, axis, side, ln_benchscale_place(s, v), text);
        }
    }
}

void ln_benchchart_ticks_x(FILE *out, const ln_benchscale *s, ln_benchchart_word *word)
{
    walk(out, s, "x", "left", word);
}

void ln_benchchart_ticks_y(FILE *out, const ln_benchscale *s, ln_benchchart_word *word)
{
    walk(out, s, "y", "bottom", word);
}

/* ------------------------------------------------------------------------------------------------
 * shapes */

void ln_benchchart_bar(FILE *out, double x0, double x1, double y, const char *hint)
{
    const double height = fmax(y * 1000, 4); /* a few among millions are seen, too */
    fprintf(out, "<rect class=\"bar\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\"><title>",
            x0 * 1000, 1000 - height, (x1 - x0) * 1000, height);
    ln_benchwords_write_html(hint, out);
    fputs("</title></rect>\n", out);
}

static void write_points(FILE *out, const ln_benchpoint *points, size_t count)
{
    for (size_t i = 0; i < count; i++)
        fprintf(out, "%.1f,%.1f ", points[i].x * 1000, 1000 - points[i].y * 1000);
}

void ln_benchchart_line(FILE *out, const char *name, const ln_benchpoint *points, size_t count)
{
    fprintf(out, "<polyline class=\"%s\" points=\"", name);
    write_points(out, points, count);
    fputs("\"/>\n", out);
}

void ln_benchchart_area(FILE *out, const char *name, const ln_benchpoint *points, size_t count)
{
    if (count == 0)
        return;
    fprintf(out, "<polygon class=\"%s\" points=\"%.1f,1000 ", name, points[0].x * 1000);
    write_points(out, points, count);
    fprintf(out, "%.1f,1000\"/>\n", points[count - 1].x * 1000);
}

void ln_benchchart_mark(FILE *out, double x, const char *word)
{
    tick(out, "mark", "left", x, word);
}

void ln_benchchart_minor_mark(FILE *out, double x, const char *word)
{
    tick(out, "mark minor", "left", x, word);
}
