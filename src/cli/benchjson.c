/* SPDX-License-Identifier: MIT */
/* benchjson - a load test's result as one JSON object; doc/bench.md says what its members mean. */
#include <inttypes.h>
#include <time.h>

#include "benchresult.h"
#include "benchwords.h"
#include "benchworker.h"

#include <linnet/linnet.h>

/* Members, a comma before each but the first of an object. */
typedef struct json {
    FILE *out;
    bool has_one;
} json;

static void key(json *j, const char *name)
{
    fprintf(j->out, "%s\"%s\":", j->has_one ? "," : "", name);
    j->has_one = true;
}

static void begin(json *j, const char *name, char bracket)
{
    if (name != NULL)
        key(j, name);
    fputc(bracket, j->out);
    j->has_one = false;
}

static void end(json *j, char bracket)
{
    fputc(bracket, j->out);
    j->has_one = true;
}

static void text(json *j, const char *name, const char *value)
{
    key(j, name);
    ln_benchwords_write_json(value, j->out);
}

static void number(json *j, const char *name, uint64_t value)
{
    key(j, name);
    fprintf(j->out, "%" PRIu64, value);
}

static void real(json *j, const char *name, double value)
{
    key(j, name);
    fprintf(j->out, "%.3f", value);
}

static void truth(json *j, const char *name, bool value)
{
    key(j, name);
    fputs(value ? "true" : "false", j->out);
}

static double us(uint64_t ns)
{
    return (double)ns / 1000;
}

/* ------------------------------------------------------------------------------------------------
 * parts */

static void write_hist(json *j, const char *name, const ln_benchhist *h)
{
    begin(j, name, '{');
    number(j, "count", h->count);
    real(j, "mean", us(ln_benchhist_mean(h)));
    real(j, "p50", us(ln_benchhist_at(h, 500000)));
    real(j, "p90", us(ln_benchhist_at(h, 900000)));
    real(j, "p99", us(ln_benchhist_at(h, 990000)));
    real(j, "p99_9", us(ln_benchhist_at(h, 999000)));
    real(j, "max", us(h->max_ns));
    end(j, '}');
}

static void write_settings(json *j, const ln_benchplan *plan)
{
    const ln_bench_settings *const set = plan->set;
    begin(j, "settings", '{');
    number(j, "connections", plan->links - plan->publishers);
    number(j, "publishers", plan->publishers);
    number(j, "depth", plan->depth);
    number(j, "size", plan->messages.size);
    text(j, "kind", set->is_text ? "text" : "binary");
    number(j, "rate", set->rate);
    real(j, "seconds", set->time_ms / 1000.0);
    real(j, "warmup_seconds", set->warmup_ms / 1000.0);
    truth(j, "deflate", set->dial.is_deflated);
    number(j, "threads", plan->workers);
    number(j, "processes", plan->processes);
    number(j, "source_addresses", plan->source.address_count);
    number(j, "seed", plan->seed);
    end(j, '}');
}

static void write_opening(json *j, const ln_benchresult *r)
{
    begin(j, "opening", '{');
    number(j, "opened", r->tally->opened);
    number(j, "failed", r->tally->failed);
    real(j, "seconds", (double)r->opening_ns / 1e9);
    real(j, "per_second", ln_benchresult_opening_rate(r));
    write_hist(j, "latency_us", &r->tally->opening);
    end(j, '}');
}

static void write_server(json *j, const ln_benchresult *r)
{
    begin(j, "server", '{');
    if (r->has_cpu) {
        real(j, "cpu_us_each", ln_benchresult_cpu_us(r));
        real(j, "cpu_user_seconds", (double)r->cpu.user_us / 1e6);
        real(j, "cpu_system_seconds", (double)r->cpu.system_us / 1e6);
        real(j, "cpu_share", ln_benchresult_cpu_share(r));
    }
    if (r->has_memory) {
        number(j, "memory_before_bytes", r->memory_before);
        number(j, "memory_open_bytes", r->memory_open);
        number(j, "memory_end_bytes", r->memory_end);
        real(j, "bytes_per_connection", ln_benchresult_connection_bytes(r));
    }
    end(j, '}');
}

static void write_errors(json *j, const ln_benchtally *t)
{
    begin(j, "errors", '{');
    for (size_t i = 0; i < LN_BENCHFAULT_COUNT; i++) {
        if (t->faults[i] == 0)
            continue;
        begin(j, ln_benchtally_words[i].key, '{');
        number(j, "count", t->faults[i]);
        text(j, "first", t->examples[i]);
        end(j, '}');
    }
    end(j, '}');
}

/* One number for each slice. */
static void write_line(json *j, const char *name, const ln_benchresult *r,
                       double (*value)(const ln_benchresult *r, unsigned i))
{
    begin(j, name, '[');
    for (unsigned i = 0; i < r->slices; i++)
        fprintf(j->out, "%s%.3f", i > 0 ? "," : "", value(r, i));
    end(j, ']');
}

static double p50_us(const ln_benchresult *r, unsigned i)
{
    return us(ln_benchhist_at(&r->tally->slices[i].latency, 500000));
}

static double p99_us(const ln_benchresult *r, unsigned i)
{
    return us(ln_benchhist_at(&r->tally->slices[i].latency, 990000));
}

static void write_timeline(json *j, const ln_benchresult *r)
{
    begin(j, "timeline", '{');
    real(j, "step_seconds", (double)r->plan->step_ns / 1e9);
    write_line(j, "per_second", r, ln_benchresult_slice_rate);
    write_line(j, "p50_us", r, p50_us);
    write_line(j, "p99_us", r, p99_us);
    end(j, '}');
}

static void write_machine(json *j, const ln_benchresult *r)
{
    begin(j, "machine", '{');
    text(j, "processor", r->machine);
    number(j, "processors", r->processors);
    text(j, "system", r->system);
    end(j, '}');
}

static void write_time(json *j, int64_t unix_time)
{
    const time_t t = (time_t)unix_time;
    struct tm parts;
    char when[32] = "";
    if (gmtime_r(&t, &parts) != NULL)
        strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%SZ", &parts);
    text(j, "time", when);
}

void ln_benchjson_write(const ln_benchresult *r, FILE *out)
{
    const ln_benchtally *const t = r->tally;
    json j = {.out = out};
    begin(&j, NULL, '{');
    text(&j, "bench", r->plan->mode->name);
    text(&j, "url", r->plan->url);
    text(&j, "linnet", ln_version());
    write_time(&j, r->unix_time);
    truth(&j, "good", ln_benchresult_is_good(r));
    truth(&j, "interrupted", r->was_interrupted);
    real(&j, "seconds", ln_benchresult_seconds(r));
    text(&j, "unit", r->plan->mode->events);
    number(&j, "count", t->events);
    real(&j, "per_second", ln_benchresult_rate(r));
    real(&j, "bytes_per_second", ln_benchresult_byte_rate(r));
    write_hist(&j, "latency_us", r->latency);
    if (r->plan->set->rate > 0)
        write_hist(&j, "lateness_us", &t->lateness);
    number(&j, "sent", t->sent);
    if (r->plan->mode == &ln_benchfanout)
        number(&j, "expected", t->expected);
    number(&j, "verified", t->verified);
    number(&j, "foreign", t->foreign);
    write_opening(&j, r);
    write_server(&j, r);
    real(&j, "generator_cpu_share", ln_benchresult_own_share(r));
    number(&j, "error_count", t->trouble);
    write_errors(&j, t);
    write_timeline(&j, r);
    write_settings(&j, r->plan);
    write_machine(&j, r);
    end(&j, '}');
    fputc('\n', out);
}
