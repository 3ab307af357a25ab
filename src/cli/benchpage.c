/* SPDX-License-Identifier: MIT */
/*
 * benchpage - a load test's result as a page: HTML, CSS and SVG in one file, nothing to load and
 * nothing to run. Light or dark as its reader has it, on a phone and on paper.
 */
#include <inttypes.h>
#include <math.h>
#include <time.h>

#include "base/alloc.h"
#include "benchchart.h"
#include "benchresult.h"
#include "benchstyle.h"
#include "benchwords.h"
#include "benchworker.h"
#include "units.h"

#include <linnet/linnet.h>

enum { BINS = 72, CURVE_POINTS = 160, CURVE_NINES_MOST = 6 };

/* ------------------------------------------------------------------------------------------------
 * head and tiles */

static void write_head(const ln_benchresult *r, FILE *out)
{
    fputs("<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n"
          "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
          "<meta name=\"color-scheme\" content=\"light dark\">\n<title>",
          out);
    fprintf(out, "%s ", r->plan->mode->name);
    ln_benchwords_write_html(r->plan->url, out);
    fputs(" - linnet bench</title>\n<style>\n", out);
    for (const char *const *rule = ln_benchstyle; *rule != NULL; rule++)
        fputs(*rule, out);
    fputs("</style>\n<main>\n<header>\n", out);
    fprintf(out, "<h1>linnet bench <em>%s</em></h1>\n<p class=\"url\">", r->plan->mode->name);
    ln_benchwords_write_html(r->plan->url, out);
    fputs("</p>\n", out);
}

static void write_verdict(const ln_benchresult *r, FILE *out)
{
    const bool is_good = ln_benchresult_is_good(r) && r->measured_ns > 0;
    char count[LN_BENCHWORDS_BYTES], trouble[LN_BENCHWORDS_BYTES];
    ln_benchwords_count(r->tally->verified, count);
    ln_benchwords_count(r->tally->trouble, trouble);
    if (is_good && r->plan->mode == &ln_benchidle)
        fprintf(out, "<p class=\"verdict good\">All %s connections answered</p>\n", count);
    else if (is_good && r->plan->mode == &ln_benchshake)
        fprintf(out, "<p class=\"verdict good\">All %s handshakes succeeded</p>\n", count);
    else if (is_good)
        fprintf(out, "<p class=\"verdict good\">All %s %s verified to the last byte</p>\n", count,
                r->plan->mode->events);
    else if (r->tally->trouble > 0)
        fprintf(out, "<p class=\"verdict bad\">%s error%s</p>\n", trouble,
                r->tally->trouble == 1 ? "" : "s");
    else
        fputs("<p class=\"verdict bad\">Nothing was measured</p>\n", out);
    if (r->was_interrupted)
        fputs("<p class=\"verdict\">Ended early</p>\n", out);
    fputs("</header>\n", out);
}

static void tile(FILE *out, const char *name, const char *value, const char *note)
{
    fprintf(out, "<li><span>%s</span><strong>%s</strong><small>%s</small></li>\n", name, value,
            note);
}

static void tile_latency(const ln_benchresult *r, FILE *out, const char *name, uint32_t ppm,
                         const char *note)
{
    char value[LN_BENCHWORDS_BYTES];
    ln_benchwords_time((double)ln_benchhist_at(r->latency, ppm), value);
    if (r->latency->count > 0)
        tile(out, name, value, note);
}

static void write_server_tiles(const ln_benchresult *r, FILE *out)
{
    char value[LN_BENCHWORDS_BYTES], note[2 * LN_BENCHWORDS_BYTES];
    if (r->has_cpu && r->plan->mode != &ln_benchidle && r->tally->events > 0) {
        ln_benchwords_time(ln_benchresult_cpu_us(r) * 1000, value);
        snprintf(note, sizeof note, "a %s; %.0f %% of a processor", r->plan->mode->event,
                 ln_benchresult_cpu_share(r) * 100);
        tile(out, "Server CPU", value, note);
    }
    if (r->has_memory && r->plan->mode != &ln_benchshake) {
        ln_benchwords_bytes(ln_benchresult_connection_bytes(r), value);
        tile(out, "Server memory", value, "a connection");
    }
}

static void write_tiles(const ln_benchresult *r, FILE *out)
{
    char value[LN_BENCHWORDS_BYTES], more[LN_BENCHWORDS_BYTES], note[2 * LN_BENCHWORDS_BYTES];
    fputs("<ul class=\"tiles\">\n", out);
    ln_benchwords_rate(ln_benchresult_rate(r), value);
    ln_benchwords_bytes(ln_benchresult_byte_rate(r), more);
    snprintf(note, sizeof note, "%s a second%s%s%s", r->plan->mode->events,
             r->plan->mode == &ln_benchshake ? "" : ", ",
             r->plan->mode == &ln_benchshake ? "" : more,
             r->plan->mode == &ln_benchshake ? "" : "/s");
    if (r->plan->mode != &ln_benchidle)
        tile(out, "Throughput", value, note);
    if (r->plan->mode != &ln_benchshake) {
        ln_benchwords_count(r->tally->opened, value);
        ln_benchwords_rate(ln_benchresult_opening_rate(r), more);
        snprintf(note, sizeof note, "opened, %s a second", more);
        tile(out, "Connections", value, note);
    }
    tile_latency(r, out, "Median", 500000, "half are faster");
    tile_latency(r, out, "p99", 990000, "one of 100 is slower");
    tile_latency(r, out, "p99.9", 999000, "one of 1,000 is slower");
    write_server_tiles(r, out);
    fputs("</ul>\n", out);
}

static void write_errors(const ln_benchresult *r, FILE *out)
{
    char count[LN_BENCHWORDS_BYTES];
    if (r->tally->trouble == 0)
        return;
    fputs("<section class=\"errors\">\n<h2>Errors</h2>\n<ul>\n", out);
    for (size_t i = 0; i < LN_BENCHFAULT_COUNT; i++) {
        const uint64_t n = r->tally->faults[i];
        if (n == 0)
            continue;
        ln_benchwords_count(n, count);
        fprintf(out, "<li><strong>%s</strong> %s<small>the first: ", count,
                n == 1 ? ln_benchtally_words[i].one : ln_benchtally_words[i].many);
        ln_benchwords_write_html(r->tally->examples[i], out);
        fputs("</small></li>\n", out);
    }
    fputs("</ul>\n</section>\n", out);
}

/* ------------------------------------------------------------------------------------------------
 * charts */

static void word_of_time(double ns, char *text)
{
    if (ns < 1000)
        snprintf(text, LN_BENCHWORDS_BYTES, "%.0f ns", ns);
    else if (ns < 1e6)
        snprintf(text, LN_BENCHWORDS_BYTES, "%.0f µs", ns / 1e3);
    else if (ns < 1e9)
        snprintf(text, LN_BENCHWORDS_BYTES, "%.0f ms", ns / 1e6);
    else
        snprintf(text, LN_BENCHWORDS_BYTES, "%.0f s", ns / 1e9);
}

static void word_of_count(double n, char *text)
{
    if (n >= 1e6)
        snprintf(text, LN_BENCHWORDS_BYTES, "%.3g M", n / 1e6);
    else if (n >= 1e4)
        snprintf(text, LN_BENCHWORDS_BYTES, "%.3g k", n / 1e3);
    else
        snprintf(text, LN_BENCHWORDS_BYTES, "%.4g", n);
}

static void word_of_seconds(double s, char *text)
{
    snprintf(text, LN_BENCHWORDS_BYTES, "%.3g s", s);
}

/* Counts the histogram's buckets again in BINS columns of the scale; the highest column. */
static uint64_t bin(const ln_benchhist *h, const ln_benchscale *s, uint64_t bins[BINS])
{
    uint64_t highest = 0;
    for (size_t i = 0; i < LN_BENCHHIST_BUCKETS; i++) {
        const double middle = (double)(ln_benchhist_floor(i) + ln_benchhist_floor(i + 1)) / 2;
        const double place = ln_benchscale_place(s, middle) * BINS;
        const size_t at = place < BINS ? (size_t)place : BINS - 1;
        bins[at] += h->buckets[i];
        if (bins[at] > highest)
            highest = bins[at];
    }
    return highest;
}

static void mark_points(const ln_benchhist *h, const ln_benchscale *s, FILE *out)
{
    static const struct {
        uint32_t ppm;
        const char *name;
    } points[] = {{500000, "p50"}, {990000, "p99"}, {999000, "p99.9"}};
    double before = -1;
    for (size_t i = 0; i < LN_ARRAY_SIZE(points); i++) {
        const double place = ln_benchscale_place(s, (double)ln_benchhist_at(h, points[i].ppm));
        /* Words must not cover each other, on a phone neither. */
        if (place - before > 0.16)
            ln_benchchart_mark(out, place, points[i].name);
        else if (place - before > 0.06)
            ln_benchchart_minor_mark(out, place, points[i].name);
        before = place;
    }
}

static void write_histogram(const ln_benchresult *r, FILE *out)
{
    const ln_benchhist *const h = r->latency;
    const ln_benchscale s = ln_benchscale_log((double)ln_benchhist_at(h, 1), (double)h->max_ns);
    uint64_t bins[BINS] = {0};
    const double highest = (double)bin(h, &s, bins);
    char from[LN_BENCHWORDS_BYTES], to[LN_BENCHWORDS_BYTES], count[LN_BENCHWORDS_BYTES],
        hint[4 * LN_BENCHWORDS_BYTES];
    fprintf(out,
            "<section>\n<h2>Latency</h2>\n<p>How many %s took how long; each column spans the "
            "same factor.</p>\n",
            r->plan->mode->events);
    ln_benchchart_begin_bare(out, "Histogram of latencies");
    ln_benchchart_ticks_x(out, &s, word_of_time);
    ln_benchchart_open(out);
    for (size_t i = 0; i < BINS; i++) {
        const double x0 = (double)i / BINS, x1 = (double)(i + 1) / BINS;
        if (bins[i] == 0)
            continue;
        ln_benchwords_time(s.low * pow(s.high / s.low, x0), from);
        ln_benchwords_time(s.low * pow(s.high / s.low, x1), to);
        ln_benchwords_count(bins[i], count);
        snprintf(hint, sizeof hint, "%s to %s: %s", from, to, count);
        ln_benchchart_bar(out, x0 + 0.001, x1 - 0.001, (double)bins[i] / highest * 0.9, hint);
    }
    fputs("</svg>\n", out);
    mark_points(h, &s, out);
    ln_benchchart_end(out);
    fputs("</section>\n", out);
}

/* 0 for the fastest, 1 for 90 %, 2 for 99 %: a nine for each step. */
static double nines(double share)
{
    return -log10(1 - share);
}

static void write_curve(const ln_benchresult *r, FILE *out)
{
    static const struct {
        double share;
        const char *name;
        void (*tick)(FILE *out, double x, const char *word);
    } ticks[] = {
        {0.5, "50 %", ln_benchchart_minor_x},       {0.9, "90 %", ln_benchchart_tick_x},
        {0.99, "99 %", ln_benchchart_minor_x},      {0.999, "99.9 %", ln_benchchart_tick_x},
        {0.9999, "99.99 %", ln_benchchart_minor_x}, {0.99999, "99.999 %", ln_benchchart_tick_x}};
    const ln_benchhist *const h = r->latency;
    const double most = fmin(fmax(log10((double)h->count), 1), CURVE_NINES_MOST);
    const ln_benchscale y = ln_benchscale_log((double)ln_benchhist_at(h, 1), (double)h->max_ns);
    ln_benchpoint points[CURVE_POINTS + 1];
    for (size_t i = 0; i <= CURVE_POINTS; i++) {
        const double x = (double)i / CURVE_POINTS;
        const double share = i == CURVE_POINTS ? 1 : 1 - pow(10, -x * most);
        points[i].x = x;
        points[i].y = ln_benchscale_place(&y, (double)ln_benchhist_at(h, (uint32_t)(share * 1e6)));
    }
    fprintf(out,
            "<section>\n<h2>Percentiles</h2>\n<p>This share of the %s took no longer than "
            "that; each nine has as much room as the one before.</p>\n",
            r->plan->mode->events);
    ln_benchchart_begin(out, "Latency by percentile");
    ln_benchchart_ticks_y(out, &y, word_of_time);
    for (size_t i = 0; i < LN_ARRAY_SIZE(ticks); i++)
        if (nines(ticks[i].share) <= most)
            ticks[i].tick(out, nines(ticks[i].share) / most, ticks[i].name);
    ln_benchchart_open(out);
    ln_benchchart_area(out, "wash", points, CURVE_POINTS + 1);
    ln_benchchart_line(out, "line", points, CURVE_POINTS + 1);
    fputs("</svg>\n", out);
    ln_benchchart_end(out);
    fputs("</section>\n", out);
}

static double time_of(const ln_benchresult *r, unsigned slice)
{
    return ((double)slice + 0.5) * (double)r->plan->step_ns / (double)r->measured_ns;
}

static void write_rates(const ln_benchresult *r, FILE *out, ln_benchpoint *points)
{
    const ln_benchscale x = {.high = ln_benchresult_seconds(r)};
    double highest = 1;
    for (unsigned i = 0; i < r->slices; i++)
        highest = fmax(highest, ln_benchresult_slice_rate(r, i));
    const ln_benchscale y = ln_benchscale_linear(highest);
    for (unsigned i = 0; i < r->slices; i++)
        points[i] = (ln_benchpoint){fmin(time_of(r, i), 1),
                                    ln_benchscale_place(&y, ln_benchresult_slice_rate(r, i))};
    fprintf(out, "<h3>%s a second</h3>\n", r->plan->mode->events);
    ln_benchchart_begin(out, "Throughput over time");
    ln_benchchart_ticks_y(out, &y, word_of_count);
    ln_benchchart_ticks_x(out, &x, word_of_seconds);
    ln_benchchart_open(out);
    ln_benchchart_area(out, "wash", points, r->slices);
    ln_benchchart_line(out, "line", points, r->slices);
    fputs("</svg>\n", out);
    ln_benchchart_end(out);
}

/* One percentile over time, of the slices in which there was any. */
static size_t trace(const ln_benchresult *r, const ln_benchscale *y, uint32_t ppm,
                    ln_benchpoint *points)
{
    size_t n = 0;
    for (unsigned i = 0; i < r->slices; i++) {
        const ln_benchhist *const h = &r->tally->slices[i].latency;
        if (h->count > 0)
            points[n++] = (ln_benchpoint){fmin(time_of(r, i), 1),
                                          ln_benchscale_place(y, (double)ln_benchhist_at(h, ppm))};
    }
    return n;
}

static void write_latencies(const ln_benchresult *r, FILE *out, ln_benchpoint *points)
{
    const ln_benchscale x = {.high = ln_benchresult_seconds(r)};
    double low = (double)r->latency->max_ns, high = 1;
    for (unsigned i = 0; i < r->slices; i++) {
        const ln_benchhist *const h = &r->tally->slices[i].latency;
        if (h->count == 0)
            continue;
        low = fmin(low, (double)ln_benchhist_at(h, 500000));
        high = fmax(high, (double)ln_benchhist_at(h, 990000));
    }
    const ln_benchscale y = ln_benchscale_log(low, high);
    fputs("<h3>Latency <span class=\"key thin\">p50</span> <span class=\"key\">p99</span></h3>\n",
          out);
    ln_benchchart_begin(out, "Median and 99th percentile of latency over time");
    ln_benchchart_ticks_y(out, &y, word_of_time);
    ln_benchchart_ticks_x(out, &x, word_of_seconds);
    ln_benchchart_open(out);
    ln_benchchart_line(out, "line thin", points, trace(r, &y, 500000, points));
    ln_benchchart_line(out, "line", points, trace(r, &y, 990000, points));
    fputs("</svg>\n", out);
    ln_benchchart_end(out);
}

static void write_timeline(const ln_benchresult *r, FILE *out)
{
    ln_benchpoint *const points = ln_alloc(NULL, (r->slices + 1) * sizeof *points);
    char step[LN_UNITS_TEXT_SIZE];
    if (points == NULL)
        return; /* the page has a table, too */
    ln_units_format_duration(r->plan->step_ns / 1000000, step);
    fprintf(out, "<section>\n<h2>Over time</h2>\n<p>In steps of %s, the warm-up left out.</p>\n",
            step);
    write_rates(r, out, points);
    write_latencies(r, out, points);
    fputs("</section>\n", out);
    ln_free(NULL, points);
}

/* ------------------------------------------------------------------------------------------------
 * tables */

static void write_row(FILE *out, const char *name, const ln_benchhist *h)
{
    static const uint32_t points[] = {500000, 900000, 990000, 999000, 999900, 1000000};
    char text[LN_BENCHWORDS_BYTES];
    if (h->count == 0)
        return;
    fprintf(out, "<tr><th scope=\"row\">%s</th>", name);
    for (size_t i = 0; i < LN_ARRAY_SIZE(points); i++) {
        ln_benchwords_time((double)ln_benchhist_at(h, points[i]), text);
        fprintf(out, "<td>%s</td>", text);
    }
    fputs("</tr>\n", out);
}

static void write_table(const ln_benchresult *r, FILE *out)
{
    fputs("<section>\n<h2>In numbers</h2>\n<div class=\"wide\"><table>\n<tr><td></td>"
          "<th scope=\"col\">p50</th><th scope=\"col\">p90</th><th scope=\"col\">p99</th>"
          "<th scope=\"col\">p99.9</th><th scope=\"col\">p99.99</th><th scope=\"col\">max</th>"
          "</tr>\n",
          out);
    write_row(out, r->plan->mode == &ln_benchidle ? "Ping to pong" : "Latency", r->latency);
    if (r->plan->mode != &ln_benchshake)
        write_row(out, "Opening", &r->tally->opening);
    write_row(out, "Sent late by", &r->tally->lateness);
    fputs("</table></div>\n</section>\n", out);
}

static void fact(FILE *out, const char *name, const char *value)
{
    fprintf(out, "<div><dt>%s</dt><dd>", name);
    ln_benchwords_write_html(value, out);
    fputs("</dd></div>\n", out);
}

static void fact_count(FILE *out, const char *name, uint64_t value)
{
    char text[LN_BENCHWORDS_BYTES];
    ln_benchwords_count(value, text);
    fact(out, name, text);
}

static void write_load(const ln_benchresult *r, FILE *out)
{
    const ln_benchplan *const plan = r->plan;
    const bool speaks = plan->mode == &ln_benchecho || plan->mode == &ln_benchfanout;
    char text[3 * LN_BENCHWORDS_BYTES], size[LN_BENCHWORDS_BYTES];
    fact_count(out, plan->publishers > 0 ? "Subscribers" : "Connections",
               plan->links - plan->publishers);
    if (plan->publishers > 0)
        fact_count(out, "Publishers", plan->publishers);
    ln_benchwords_bytes((double)plan->messages.size, size);
    snprintf(text, sizeof text, "%s of %s%s", size, plan->set->is_text ? "text" : "binary",
             plan->set->dial.is_deflated ? ", compression offered" : "");
    if (speaks)
        fact(out, "Messages", text);
    if (speaks)
        fact_count(out, plan->set->rate > 0 ? "In flight at most, each" : "In flight, each",
                   plan->depth);
    if (plan->set->rate > 0)
        fact_count(out, "Pace, a second in all", plan->set->rate);
    else if (plan->mode != &ln_benchidle)
        fact(out, "Pace", "as answers come");
    snprintf(text, sizeof text, "%.1f s after %.1f s of warm-up", ln_benchresult_seconds(r),
             plan->set->warmup_ms / 1000.0);
    fact(out, "Measured", text);
}

static void write_place(const ln_benchresult *r, FILE *out)
{
    const ln_benchplan *const plan = r->plan;
    const time_t t = (time_t)r->unix_time;
    struct tm parts;
    char text[3 * LN_BENCHWORDS_BYTES];
    snprintf(text, sizeof text, "%" PRIu32 " thread%s in %" PRIu32 " process%s, %.0f %% busy",
             plan->workers, plan->workers == 1 ? "" : "s", plan->processes,
             plan->processes == 1 ? "" : "es", ln_benchresult_own_share(r) * 100);
    fact(out, "Load generator", text);
    fact(out, "Its processor", r->machine[0] != '\0' ? r->machine : "unknown");
    snprintf(text, sizeof text, "%u, %s", r->processors, r->system);
    fact(out, "Processors", text);
    if (gmtime_r(&t, &parts) != NULL && strftime(text, sizeof text, "%d %b %Y, %H:%M UTC", &parts))
        fact(out, "When", text);
    snprintf(text, sizeof text, "%" PRIu64, plan->seed);
    fact(out, "Seed", text);
    fact(out, "linnet", ln_version());
}

static void write_settings(const ln_benchresult *r, FILE *out)
{
    fputs("<section>\n<h2>Settings</h2>\n<dl>\n", out);
    write_load(r, out);
    write_place(r, out);
    fputs("</dl>\n</section>\n", out);
}

void ln_benchpage_write(const ln_benchresult *r, FILE *out)
{
    write_head(r, out);
    write_verdict(r, out);
    write_tiles(r, out);
    write_errors(r, out);
    if (r->latency->count > 0) {
        write_histogram(r, out);
        write_curve(r, out);
    }
    if (r->slices > 1 && r->tally->events > 0)
        write_timeline(r, out);
    if (r->latency->count + r->tally->opening.count > 0)
        write_table(r, out);
    write_settings(r, out);
    fputs("<footer>Latencies are counted in steps of 1.6 % and shown as the upper end of theirs. "
          "What was sent at a pace counts from when it was due.</footer>\n</main>\n</html>\n",
          out);
}
