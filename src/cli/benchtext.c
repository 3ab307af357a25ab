/* SPDX-License-Identifier: MIT */
/* benchtext - a load test's result for a terminal: a table that lines up, units that people use. */
#include <inttypes.h>
#include <stdarg.h>

#include "benchresult.h"
#include "benchwords.h"
#include "benchworker.h"

enum { LABEL_COLUMNS = 15, CELL_COLUMNS = 11 };

typedef struct sheet {
    FILE *out;
    bool has_colour;
} sheet;

static void label(const sheet *s, const char *name)
{
    fprintf(s->out, "%s%-*s%s", s->has_colour ? "\033[1m" : "", LABEL_COLUMNS, name,
            s->has_colour ? "\033[0m" : "");
}

/* Flush right; "µ" is two bytes in one column. */
static void cell(const sheet *s, const char *text)
{
    int columns = 0;
    for (const char *c = text; *c != '\0'; c++)
        columns += ((uint8_t)*c & 0xC0) != 0x80;
    fprintf(s->out, "%*s%s", columns < CELL_COLUMNS ? CELL_COLUMNS - columns : 1, "", text);
}

LN_PRINTF(3, 4)
static void line(const sheet *s, const char *name, const char *format, ...)
{
    va_list arguments;
    label(s, name);
    va_start(arguments, format);
    vfprintf(s->out, format, arguments);
    va_end(arguments);
    fputc('\n', s->out);
}

/* ------------------------------------------------------------------------------------------------
 * head */

static void write_settings(const ln_benchresult *r, FILE *out)
{
    const ln_benchplan *const plan = r->plan;
    char count[LN_BENCHWORDS_BYTES], rate[LN_BENCHWORDS_BYTES], size[LN_BENCHWORDS_BYTES];
    ln_benchwords_count(plan->links - plan->publishers, count);
    ln_benchwords_count(plan->set->rate, rate);
    ln_benchwords_bytes((double)plan->messages.size, size);
    fprintf(out, "%s %s%s", count, plan->publishers > 0 ? "subscriber" : "connection",
            plan->links - plan->publishers == 1 ? "" : "s");
    if (plan->publishers > 0)
        fprintf(out, ", %" PRIu32 " publisher%s", plan->publishers,
                plan->publishers == 1 ? "" : "s");
    if (plan->mode == &ln_benchecho || plan->mode == &ln_benchfanout)
        fprintf(out, ", %s of %s, %s%" PRIu32 " in flight each", size,
                plan->set->is_text ? "text" : "binary", plan->set->rate > 0 ? "up to " : "",
                plan->depth);
    if (plan->set->rate > 0)
        fprintf(out, ", %s a second in all", rate);
    if (plan->set->dial.is_deflated)
        fputs(", deflate", out);
    fprintf(out, ", %" PRIu32 " thread%s", plan->workers, plan->workers == 1 ? "" : "s");
    if (plan->processes > 1)
        fprintf(out, " in %" PRIu32 " processes", plan->processes);
    fprintf(out, ", %.1f s", ln_benchresult_seconds(r));
    if (r->was_interrupted)
        fputs(" (interrupted)", out);
    fputc('\n', out);
}

/* ------------------------------------------------------------------------------------------------
 * rows */

static void write_times(const sheet *s, const char *name, const ln_benchhist *h)
{
    static const uint32_t points[] = {500000, 900000, 990000, 999000, 1000000};
    char text[LN_BENCHWORDS_BYTES];
    if (h->count == 0)
        return;
    label(s, name);
    for (size_t i = 0; i < LN_ARRAY_SIZE(points); i++) {
        ln_benchwords_time((double)ln_benchhist_at(h, points[i]), text);
        cell(s, text);
    }
    fputc('\n', s->out);
}

static void write_distributions(const sheet *s, const ln_benchresult *r)
{
    static const char *const heads[] = {"p50", "p90", "p99", "p99.9", "max"};
    if (r->latency->count + r->tally->opening.count == 0)
        return;
    fprintf(s->out, "%*s", LABEL_COLUMNS, "");
    for (size_t i = 0; i < LN_ARRAY_SIZE(heads); i++)
        cell(s, heads[i]);
    fputc('\n', s->out);
    write_times(s, "latency", r->latency);
    if (r->plan->mode != &ln_benchshake)
        write_times(s, "opening", &r->tally->opening);
    write_times(s, "sent late by", &r->tally->lateness);
    fputc('\n', s->out);
}

static void write_throughput(const sheet *s, const ln_benchresult *r)
{
    char rate[LN_BENCHWORDS_BYTES], bytes[LN_BENCHWORDS_BYTES];
    ln_benchwords_rate(ln_benchresult_rate(r), rate);
    ln_benchwords_bytes(ln_benchresult_byte_rate(r), bytes);
    if (r->plan->mode == &ln_benchidle)
        return;
    if (r->plan->mode == &ln_benchshake)
        line(s, "throughput", "%s handshakes/s", rate);
    else
        line(s, "throughput", "%s %s/s, %s/s", rate, r->plan->mode->events, bytes);
}

static void write_opening(const sheet *s, const ln_benchresult *r)
{
    char opened[LN_BENCHWORDS_BYTES], rate[LN_BENCHWORDS_BYTES], time[LN_BENCHWORDS_BYTES];
    ln_benchwords_count(r->tally->opened, opened);
    ln_benchwords_rate(ln_benchresult_opening_rate(r), rate);
    ln_benchwords_time((double)r->opening_ns, time);
    if (r->plan->mode != &ln_benchshake)
        line(s, "connections", "%s opened in %s, %s/s", opened, time, rate);
}

static void write_verified(const sheet *s, const ln_benchresult *r)
{
    const ln_benchtally *const t = r->tally;
    char verified[LN_BENCHWORDS_BYTES], of[LN_BENCHWORDS_BYTES], extra[LN_BENCHWORDS_BYTES];
    const bool is_fanout = r->plan->mode == &ln_benchfanout;
    ln_benchwords_count(t->verified, verified);
    ln_benchwords_count(is_fanout ? t->expected : t->sent, of);
    ln_benchwords_count(t->foreign, extra);
    if (r->plan->mode == &ln_benchidle)
        line(s, "alive", "%s of %s answered a ping", verified, of);
    else
        line(s, "verified", "%s of %s %s, warm-up included", verified, of, r->plan->mode->events);
    if (t->foreign > 0)
        line(s, "not ours", "%s messages", extra);
}

static void write_server(const sheet *s, const ln_benchresult *r)
{
    const double events = r->tally->events > 0 ? (double)r->tally->events : 1;
    char all[LN_BENCHWORDS_BYTES], user[LN_BENCHWORDS_BYTES], system[LN_BENCHWORDS_BYTES];
    ln_benchwords_time(ln_benchresult_cpu_us(r) * 1000, all);
    ln_benchwords_time((double)r->cpu.user_us * 1000 / events, user);
    ln_benchwords_time((double)r->cpu.system_us * 1000 / events, system);
    if (r->has_cpu && r->plan->mode != &ln_benchidle && r->tally->events > 0)
        line(s, "server CPU", "%s a %s (user %s, system %s), %.0f %% of a processor", all,
             r->plan->mode->event, user, system, ln_benchresult_cpu_share(r) * 100);
    else if (r->has_cpu && r->measured_ns > 0)
        line(s, "server CPU", "%.2f %% of a processor", ln_benchresult_cpu_share(r) * 100);
    char before[LN_BENCHWORDS_BYTES], open[LN_BENCHWORDS_BYTES], end[LN_BENCHWORDS_BYTES],
        each[LN_BENCHWORDS_BYTES];
    ln_benchwords_bytes((double)r->memory_before, before);
    ln_benchwords_bytes((double)r->memory_open, open);
    ln_benchwords_bytes((double)r->memory_end, end);
    ln_benchwords_bytes(ln_benchresult_connection_bytes(r), each);
    if (r->has_memory && r->plan->mode == &ln_benchshake)
        line(s, "server memory", "%s before, %s at the end", before, end);
    else if (r->has_memory)
        line(s, "server memory", "%s a connection (%s before, %s with all open, %s at the end)",
             each, before, open, end);
}

static void write_own(const sheet *s, const ln_benchresult *r)
{
    if (r->measured_ns > 0 && r->plan->mode != &ln_benchidle)
        line(s, "load generator", "busy for %.0f %% of the time on %" PRIu32 " thread%s%s",
             ln_benchresult_own_share(r) * 100, r->plan->workers, r->plan->workers == 1 ? "" : "s",
             ln_benchresult_is_own_limit(r) ? ": probably the limit, try --threads" : "");
}

/* ------------------------------------------------------------------------------------------------
 * errors */

static void write_fault(const ln_benchtally *t, size_t i, FILE *out)
{
    const ln_benchfault_words *const words = &ln_benchtally_words[i];
    char count[LN_BENCHWORDS_BYTES];
    ln_benchwords_count(t->faults[i], count);
    fprintf(out, "%s %s; the first: ", count, t->faults[i] == 1 ? words->one : words->many);
    ln_benchwords_write_plain(t->examples[i], out);
}

static void write_errors(const sheet *s, const ln_benchresult *r)
{
    bool is_first = true;
    for (size_t i = 0; i < LN_BENCHFAULT_COUNT; i++) {
        if (r->tally->faults[i] == 0)
            continue;
        fputs(s->has_colour ? "\033[31m" : "", s->out);
        label(s, is_first ? "errors" : "");
        write_fault(r->tally, i, s->out);
        fputs(s->has_colour ? "\033[0m\n" : "\n", s->out);
        is_first = false;
    }
    if (is_first)
        line(s, "errors", "none");
}

void ln_benchtext_write(const ln_benchresult *r, FILE *out, bool has_colour)
{
    const sheet s = {.out = out, .has_colour = has_colour};
    fprintf(out, "linnet bench %s ", r->plan->mode->name);
    ln_benchwords_write_plain(r->plan->url, out);
    fputc('\n', out);
    write_settings(r, out);
    fputc('\n', out);
    if (r->tally->opened > 0) {
        write_distributions(&s, r);
        write_throughput(&s, r);
        write_opening(&s, r);
        write_verified(&s, r);
        write_server(&s, r);
        write_own(&s, r);
    }
    write_errors(&s, r);
}

/* Why it is a failure: one sentence for each kind of fault, or for what there was none of. */
void ln_benchtext_complain(const ln_benchresult *r, FILE *out)
{
    for (size_t i = 0; i < LN_BENCHFAULT_COUNT; i++) {
        if (r->tally->faults[i] == 0)
            continue;
        fputs("linnet bench: ", out);
        write_fault(r->tally, i, out);
        fputc('\n', out);
    }
    if (r->lost_processes > 0)
        fprintf(out, "linnet bench: %" PRIu32 " of its processes did not end in order\n",
                r->lost_processes);
    if (r->tally->opened == 0)
        fputs("linnet bench: no connection was opened\n", out);
    else if (r->measured_ns == 0)
        fputs("linnet bench: it was ended before anything was measured\n", out);
    else if (r->tally->verified == 0)
        fprintf(out, "linnet bench: no %s was verified\n", r->plan->mode->event);
}
