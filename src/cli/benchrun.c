/* SPDX-License-Identifier: MIT */
#include "benchrun.h"

#include <inttypes.h>
#include <signal.h>
#include <time.h>

#include "benchfleet.h"
#include "benchwords.h"

#include <unistd.h>

enum {
    LOOK_MS = 100,      /* progress, and whether a phase is over */
    SETTLE_MS = 20,     /* the same when only the last answers are awaited */
    HEAD_START_MS = 20, /* for all workers to hear of the beginning */
    REST_MS = 300,      /* after opening, before memory is looked at */
    GOODBYE_MS = 4000,  /* then children are ended */
    HOPELESS_MS = 1000  /* of nothing but failures */
};

static const uint64_t millisecond_ns = 1000000, second_ns = 1000000000;

typedef struct conductor {
    const ln_benchplan *plan;
    ln_benchboard *board;
    ln_benchfleet fleet;
    ln_benchresult *result;
    sigset_t signals;
    unsigned interruptions;
    bool shows_progress;
    uint64_t shown_ns, shown_events;
} conductor;

/* ------------------------------------------------------------------------------------------------
 * progress */

static void clear_progress(const conductor *c)
{
    if (c->shows_progress)
        fputs("\r\033[K", stderr);
}

static void show_opening(conductor *c)
{
    char opened[LN_BENCHWORDS_BYTES], all[LN_BENCHWORDS_BYTES];
    ln_benchwords_count(ln_benchboard_look(c->board).opened, opened);
    ln_benchwords_count(c->plan->links, all);
    if (c->shows_progress)
        fprintf(stderr, "\r\033[Kopening: %s of %s", opened, all);
}

/* Events a second since the line before. */
static void show_running(conductor *c, const char *what, uint64_t done_ns, uint64_t all_ns)
{
    const ln_benchboard_sum sum = ln_benchboard_look(c->board);
    const uint64_t now_ns = ln_bench_clock_ns();
    const uint64_t passed_ns = now_ns - c->shown_ns;
    char rate[LN_BENCHWORDS_BYTES], trouble[LN_BENCHWORDS_BYTES];
    if (!c->shows_progress || passed_ns < LOOK_MS * millisecond_ns)
        return;
    ln_benchwords_rate((double)(sum.events - c->shown_events) * 1e9 / (double)passed_ns, rate);
    ln_benchwords_count(sum.trouble, trouble);
    c->shown_ns = now_ns;
    c->shown_events = sum.events;
    fprintf(stderr, "\r\033[K%s: %.1f of %.1f s   %s %s/s", what, (double)done_ns / 1e9,
            (double)all_ns / 1e9, rate, c->plan->mode->events);
    if (sum.trouble > 0)
        fprintf(stderr, "   %s errors", trouble);
}

/* ------------------------------------------------------------------------------------------------
 * waiting */

/* Sleeps until `at_ns` or until something was said to us, which is taken note of. */
static void sleep_until(conductor *c, uint64_t at_ns)
{
    const uint64_t now_ns = ln_bench_clock_ns();
    const uint64_t ns = at_ns > now_ns ? at_ns - now_ns : 0;
    const struct timespec t = {.tv_sec = (time_t)(ns / second_ns),
                               .tv_nsec = (long)(ns % second_ns)};
    const int number = sigtimedwait(&c->signals, NULL, &t);
    if (number == SIGINT || number == SIGTERM)
        c->interruptions++;
}

/* A step towards `until_ns`: at most LOOK_MS of it. */
static void sleep_some(conductor *c, uint64_t until_ns)
{
    const uint64_t next_ns = ln_bench_clock_ns() + LOOK_MS * millisecond_ns;
    sleep_until(c, until_ns < next_ns ? until_ns : next_ns);
}

static void rest(conductor *c, uint32_t ms)
{
    const uint64_t until_ns = ln_bench_clock_ns() + ms * millisecond_ns;
    while (ln_bench_clock_ns() < until_ns && c->interruptions == 0)
        sleep_some(c, until_ns);
}

static void set_phase(conductor *c, enum ln_benchphase phase)
{
    atomic_store_explicit(&c->board->phase, (uint32_t)phase, memory_order_release);
}

/* ------------------------------------------------------------------------------------------------
 * what the server costs */

static uint64_t memory_of(conductor *c)
{
    uint64_t bytes = 0;
    for (unsigned i = 0; i < c->plan->pid_count; i++)
        if (ln_benchproc_add_memory(c->plan->pids[i], &bytes) < 0)
            c->result->has_memory = false;
    return bytes;
}

static ln_benchproc_cpu cpu_of(conductor *c)
{
    ln_benchproc_cpu cpu = {0};
    for (unsigned i = 0; i < c->plan->pid_count; i++)
        if (ln_benchproc_add_cpu(c->plan->pids[i], &cpu) < 0)
            c->result->has_cpu = false;
    return cpu;
}

/* ------------------------------------------------------------------------------------------------
 * phases */

/* Waits until every connection is open or has failed. */
static void await_opening(conductor *c)
{
    const uint64_t begun_ns = ln_bench_clock_ns();
    ln_benchboard_sum sum = ln_benchboard_look(c->board);
    while (sum.opened + sum.failed < c->plan->links && c->interruptions == 0 &&
           ln_benchfleet_is_working(&c->fleet)) {
        sleep_until(c, ln_bench_clock_ns() + SETTLE_MS * millisecond_ns);
        show_opening(c);
        sum = ln_benchboard_look(c->board);
    }
    for (uint32_t i = 0; i < c->board->workers; i++) {
        const uint64_t last_ns = atomic_load(&ln_benchboard_tally(c->board, i)->last_open_ns);
        if (last_ns > begun_ns && last_ns - begun_ns > c->result->opening_ns)
            c->result->opening_ns = last_ns - begun_ns;
    }
}

/* Is there nothing left to wait for: everybody gone, or none that ever came? */
static bool is_hopeless(conductor *c, uint64_t begin_ns)
{
    const ln_benchboard_sum sum = ln_benchboard_look(c->board);
    if (!ln_benchfleet_is_working(&c->fleet))
        return true;
    if (!c->plan->mode->opens_by_itself)
        return sum.opened == sum.closed;
    return sum.opened == 0 && sum.failed > 0 &&
           ln_bench_clock_ns() > begin_ns + HOPELESS_MS * millisecond_ns;
}

/* Waits for `at_ns`; false if there is no point in that any more. */
static bool await(conductor *c, const char *what, uint64_t since_ns, uint64_t at_ns)
{
    for (;;) {
        const uint64_t now_ns = ln_bench_clock_ns();
        if (now_ns >= at_ns)
            return true;
        if (c->interruptions > 0 || is_hopeless(c, since_ns))
            return false;
        show_running(c, what, now_ns > since_ns ? now_ns - since_ns : 0, at_ns - since_ns);
        sleep_some(c, at_ns);
    }
}

/* Waits for the last answers, as long as opening a connection may take. */
static void await_settling(conductor *c)
{
    const uint64_t until_ns = ln_bench_clock_ns() + c->plan->set->dial.timeout_ms * millisecond_ns;
    const unsigned before = c->interruptions;
    while (!ln_benchboard_look(c->board).is_settled && c->interruptions == before &&
           ln_bench_clock_ns() < until_ns && ln_benchfleet_is_working(&c->fleet))
        sleep_until(c, ln_bench_clock_ns() + SETTLE_MS * millisecond_ns);
}

/* Ends the measured time at `now_ns`. */
static void stop_measuring(conductor *c, uint64_t from_ns, uint64_t until_ns)
{
    const uint64_t now_ns = ln_bench_clock_ns();
    if (now_ns < until_ns) {
        atomic_store(&c->board->until_ns, now_ns);
        until_ns = now_ns;
    }
    c->result->measured_ns = until_ns > from_ns ? until_ns - from_ns : 0;
}

static void run(conductor *c)
{
    const ln_bench_settings *const set = c->plan->set;
    const uint64_t begin_ns = ln_bench_clock_ns() + HEAD_START_MS * millisecond_ns;
    const uint64_t from_ns = begin_ns + set->warmup_ms * millisecond_ns;
    const uint64_t until_ns = from_ns + set->time_ms * millisecond_ns;
    ln_benchproc_cpu before = {0}, after;
    atomic_store(&c->board->begin_ns, begin_ns);
    atomic_store(&c->board->from_ns, from_ns);
    atomic_store(&c->board->until_ns, until_ns);
    c->shown_ns = begin_ns;
    c->result->has_run = true;
    set_phase(c, LN_BENCHPHASE_RUN);
    bool is_on = await(c, "warming up", begin_ns, from_ns);
    before = cpu_of(c);
    is_on = is_on && await(c, c->plan->mode->name, from_ns, until_ns);
    after = cpu_of(c);
    c->result->memory_end = memory_of(c);
    stop_measuring(c, from_ns, until_ns);
    c->result->was_interrupted = !is_on && c->interruptions > 0;
    c->result->cpu = (ln_benchproc_cpu){.user_us = after.user_us - before.user_us,
                                        .system_us = after.system_us - before.system_us};
    await_settling(c);
}

static void close_down(conductor *c)
{
    const uint64_t until_ns = ln_bench_clock_ns() + GOODBYE_MS * millisecond_ns;
    const unsigned before = c->interruptions;
    clear_progress(c);
    set_phase(c, LN_BENCHPHASE_CLOSE);
    while (ln_benchfleet_is_working(&c->fleet) && ln_bench_clock_ns() < until_ns) {
        if (c->interruptions > before)
            set_phase(c, LN_BENCHPHASE_ABORT);
        sleep_until(c, ln_bench_clock_ns() + SETTLE_MS * millisecond_ns);
    }
    set_phase(c, LN_BENCHPHASE_ABORT);
    ln_benchfleet_kill(&c->fleet);
    ln_benchfleet_join(&c->fleet);
    c->result->lost_processes = c->fleet.lost_count;
}

static void conduct(conductor *c)
{
    if (!c->plan->mode->opens_by_itself)
        await_opening(c);
    if (c->result->has_memory && !c->plan->mode->opens_by_itself && c->interruptions == 0)
        rest(c, REST_MS);
    c->result->memory_open = memory_of(c);
    c->result->was_interrupted = c->interruptions > 0;
    if (c->interruptions == 0 &&
        (c->plan->mode->opens_by_itself || ln_benchboard_look(c->board).opened > 0))
        run(c);
}

int ln_benchrun(const ln_benchplan *plan, ln_benchresult *result)
{
    conductor c = {.plan = plan,
                   .result = result,
                   .shows_progress = isatty(STDERR_FILENO) != 0 && !plan->set->dial.is_quiet};
    sigset_t before;
    int rc = ln_benchboard_new(plan, &c.board);
    if (rc < 0)
        return rc;
    sigemptyset(&c.signals);
    sigaddset(&c.signals, SIGINT);
    sigaddset(&c.signals, SIGTERM);
    sigprocmask(SIG_BLOCK, &c.signals, &before);
    result->has_cpu = result->has_memory = plan->pid_count > 0;
    result->memory_before = memory_of(&c);
    rc = ln_benchfleet_start(&c.fleet, plan, c.board);
    if (rc == 0)
        conduct(&c);
    close_down(&c);
    ln_benchresult_sum(result, c.board);
    sigprocmask(SIG_SETMASK, &before, NULL);
    ln_benchboard_free(c.board);
    return rc;
}
