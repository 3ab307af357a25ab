/* SPDX-License-Identifier: MIT */
#include "benchworker.h"

#include <string.h>
#include <time.h>

#include "base/alloc.h"

#include <strings.h>
#include <sys/timerfd.h>
#include <unistd.h>

enum {
    TURN_MS = 10,            /* the board is looked at this often at least */
    GOODBYE_MS = 2000,       /* for the peers' close frames */
    CLOCK_USES = 16,         /* small messages between two looks at the clock */
    CLOCK_SMALL_BYTES = 4096 /* what is larger takes long enough to look each time */
};

static const uint64_t second_ns = 1000000000, millisecond_ns = 1000000;
static const uint64_t timer_least_ns = 50000; /* 20,000 wakings a second are enough */

/* ------------------------------------------------------------------------------------------------
 * the clock */

static uint64_t read_clock(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (uint64_t)t.tv_sec * second_ns + (uint64_t)t.tv_nsec;
}

uint64_t ln_bench_clock_ns(void)
{
    return read_clock(CLOCK_MONOTONIC);
}

/*
 * A look at the clock takes 30 ns, a small message about 500. Sixteen messages of a turn share one:
 * that is wrong by less than 10 us, always to our disadvantage for what is sent and to our advantage
 * for what came, at loads where a turn itself takes longer than that.
 */
uint64_t ln_benchworker_now(ln_benchworker *w)
{
    if (w->now_uses == 0) {
        w->now_ns = ln_bench_clock_ns();
        w->now_uses = w->plan->set->size_bytes < CLOCK_SMALL_BYTES ? CLOCK_USES : 1;
    }
    w->now_uses--;
    return w->now_ns;
}

void ln_benchworker_count(ln_benchworker *w, uint64_t due_ns, uint64_t now_ns)
{
    if (now_ns < w->from_ns)
        return;
    const unsigned last = w->plan->steps;
    const bool is_within = now_ns < w->until_ns;
    const uint64_t step = is_within ? (now_ns - w->from_ns) / w->plan->step_ns : last;
    ln_benchslice *const slice = &w->tally->slices[step < last ? step : last];
    if (is_within) {
        slice->events++;
        ln_benchtally_count(&w->tally->events, 1);
    }
    if (due_ns >= w->from_ns)
        ln_benchhist_add(&slice->latency, now_ns > due_ns ? now_ns - due_ns : 0);
}

/* ------------------------------------------------------------------------------------------------
 * connections */

static void on_open(ln_conn *c, const ln_request *request, void *user)
{
    ln_benchlink *const link = user;
    ln_benchworker *const w = link->worker;
    const uint64_t now_ns = ln_bench_clock_ns();
    (void)request;
    link->conn = c;
    link->state = LN_BENCHLINK_OPEN;
    link->was_open = true;
    w->opening--;
    w->open++;
    atomic_store_explicit(&w->tally->last_open_ns, now_ns, memory_order_relaxed);
    ln_benchtally_count(&w->tally->opened, 1);
    ln_benchhist_add(&w->tally->opening, now_ns - link->begun_ns);
    if (w->plan->mode->on_open != NULL)
        w->plan->mode->on_open(link);
}

static void on_message(ln_conn *c, const ln_message *message, void *user)
{
    ln_benchlink *const link = user;
    (void)c;
    link->worker->plan->mode->on_message(link, message);
}

static void on_pong(ln_conn *c, ln_span data, void *user)
{
    ln_benchlink *const link = user;
    (void)c;
    if (link->worker->plan->mode->on_pong != NULL)
        link->worker->plan->mode->on_pong(link, data);
}

static void on_close(ln_conn *c, const ln_close_info *info, void *user)
{
    ln_benchlink *const link = user;
    ln_benchworker *const w = link->worker;
    (void)c;
    link->conn = NULL;
    link->state = LN_BENCHLINK_ENDED;
    w->open--;
    ln_benchtally_count(&w->tally->closed, 1);
    if (w->plan->mode->on_gone != NULL)
        w->plan->mode->on_gone(link);
    /* What we closed ourselves, to end or in a handshake's course, is no fault. */
    if (w->is_closing || (info->by == LN_CLOSED_BY_US && info->error == 0))
        return;
    ln_benchtally_fault(w->tally, LN_BENCHFAULT_CLOSED, 1, "connection %u: code %u%s%.*s%s%s",
                        (unsigned)link->index, (unsigned)info->code,
                        info->reason.size > 0 ? ", " : "", (int)ln_min_size(info->reason.size, 80),
                        info->reason.size > 0 ? (const char *)info->reason.data : "",
                        info->error != 0 ? ", " : "",
                        info->error != 0 ? ln_strerror(info->error) : "");
}

static enum ln_benchfault fault_of(int err)
{
    switch (err) {
    case LN_ERR_TLS:
        return LN_BENCHFAULT_TLS;
    case LN_ERR_REFUSED:
        return LN_BENCHFAULT_REFUSED;
    case LN_ERR_HANDSHAKE:
    case LN_ERR_RESET:
        return LN_BENCHFAULT_HANDSHAKE;
    case LN_ERR_TIMEOUT:
        return LN_BENCHFAULT_TIMEOUT;
    case LN_ERR_NOMEM:
    case LN_ERR_DESCRIPTORS:
    case LN_ERR_LIMIT:
        return LN_BENCHFAULT_OURS;
    default:
        return LN_BENCHFAULT_CONNECT;
    }
}

static void fail_link(ln_benchlink *link, int err, unsigned status, const char *what)
{
    ln_benchworker *const w = link->worker;
    char with[32] = "";
    if (status != 0)
        snprintf(with, sizeof with, ", status %u", status);
    link->state = LN_BENCHLINK_ENDED;
    w->opening--;
    ln_benchtally_count(&w->tally->failed, 1);
    ln_benchtally_fault(w->tally, fault_of(err), 1, "connection %u: %s%s%s%s",
                        (unsigned)link->index, ln_strerror(err), with,
                        strcmp(what, ln_strerror(err)) != 0 ? ": " : "",
                        strcmp(what, ln_strerror(err)) != 0 ? what : "");
    if (w->plan->mode->on_failed != NULL)
        w->plan->mode->on_failed(link);
}

static void on_failure(ln_client *client, int err, unsigned status, const char *what,
                       int64_t retry_ms, void *user)
{
    (void)client;
    (void)retry_ms;
    fail_link(user, err, status, what != NULL ? what : "");
}

void ln_benchworker_open(ln_benchlink *link, uint64_t begun_ns)
{
    ln_benchworker *const w = link->worker;
    char address[LN_BENCHSOURCE_TEXT_BYTES];
    const ln_ws_handlers handlers = {
        .on_open = on_open,
        .on_message = on_message,
        .on_pong = on_pong,
        .on_close = on_close,
        .user = link,
    };
    ln_client_options options = *w->plan->client;
    options.tls_of = w->reader;
    options.local_address = ln_benchsource_get(&w->plan->source, link->index, address);
    options.on_failure = on_failure;
    options.user = link;
    LN_ASSERT(link->state == LN_BENCHLINK_REST);
    link->begun_ns = begun_ns;
    link->state = LN_BENCHLINK_OPENING;
    w->opening++;
    const int rc = ln_client_new(w->loop, w->plan->url, &handlers, &options, &link->client);
    if (rc < 0) {
        link->client = NULL;
        fail_link(link, rc, 0, w->complaint);
    }
}

/* Its share of what may be under way at a time, and at least one. */
static void open_some(ln_benchworker *w)
{
    const uint32_t share = w->plan->set->connecting / w->plan->workers;
    const uint32_t most = share > 0 ? share : 1;
    while (w->begun < w->link_count && w->opening < most)
        ln_benchworker_open(&w->links[w->begun++], ln_bench_clock_ns());
}

/* ------------------------------------------------------------------------------------------------
 * running */

static void on_timer(void *arg)
{
    ln_benchworker *const w = arg;
    uint64_t count;
    w->timer_ns = 0;
    /* Only to make it unreadable; what is due, step() finds out. */
    if (read(w->timer_fd, &count, sizeof count) < 0)
        return;
}

/* Wakes the loop at `at_ns`; UINT64_MAX = no need. */
static void set_timer(ln_benchworker *w, uint64_t at_ns, uint64_t now_ns)
{
    if (at_ns == UINT64_MAX || at_ns > now_ns + TURN_MS * millisecond_ns)
        return; /* it looks again by itself */
    if (at_ns < now_ns + timer_least_ns)
        at_ns = now_ns + timer_least_ns;
    if (w->timer_ns != 0 && w->timer_ns <= at_ns)
        return;
    const struct itimerspec when = {
        .it_value = {.tv_sec = (time_t)(at_ns / second_ns), .tv_nsec = (long)(at_ns % second_ns)}};
    if (timerfd_settime(w->timer_fd, TFD_TIMER_ABSTIME, &when, NULL) == 0)
        w->timer_ns = at_ns;
}

/* The thread's own processor time within the measured time: is the load generator the limit? */
static void note_cpu(ln_benchworker *w, uint64_t now_ns)
{
    if (w->has_cpu || now_ns < w->from_ns)
        return;
    const uint64_t cpu_ns = read_clock(CLOCK_THREAD_CPUTIME_ID);
    if (w->cpu_from_ns == 0)
        w->cpu_from_ns = cpu_ns;
    w->tally->cpu_ns = cpu_ns - w->cpu_from_ns;
    w->has_cpu = now_ns >= w->until_ns;
}

static void start_running(ln_benchworker *w)
{
    w->pace = (ln_benchpace){.start_ns = atomic_load(&w->board->begin_ns),
                             .per_second = w->plan->set->rate};
    w->from_ns = atomic_load(&w->board->from_ns);
    w->grace_ns = w->plan->set->dial.timeout_ms * millisecond_ns / 2;
    w->is_running = true;
}

static void run(ln_benchworker *w)
{
    const ln_benchmode *const mode = w->plan->mode;
    const uint64_t now_ns = ln_bench_clock_ns();
    uint64_t next_ns = UINT64_MAX;
    if (!w->is_running)
        start_running(w);
    w->until_ns = atomic_load_explicit(&w->board->until_ns, memory_order_relaxed);
    if (now_ns < w->pace.start_ns) {
        set_timer(w, w->pace.start_ns, now_ns);
        return;
    }
    if (!w->has_begun && mode->on_begin != NULL)
        mode->on_begin(w);
    w->has_begun = true;
    note_cpu(w, now_ns);
    if (mode->on_turn != NULL)
        next_ns = mode->on_turn(w, now_ns);
    set_timer(w, next_ns, now_ns);
    const bool is_settled = now_ns >= w->until_ns && mode->is_settled(w);
    atomic_store_explicit(&w->tally->is_settled, is_settled, memory_order_release);
}

/* ------------------------------------------------------------------------------------------------
 * life */

static void on_log(void *user, enum ln_log_level level, ln_span line)
{
    ln_benchworker *const w = user;
    (void)level;
    snprintf(w->complaint, sizeof w->complaint, "%.*s",
             (int)ln_min_size(line.size, sizeof w->complaint - 1), (const char *)line.data);
}

static void lay_out(ln_benchworker *w, size_t own_bytes)
{
    for (uint32_t i = 0; i < w->link_count; i++) {
        w->links[i] = (ln_benchlink){
            .worker = w,
            .own = w->own + i * own_bytes,
            .index = w->index + i * w->plan->workers,
        };
    }
}

/* Certificates are read once for all connections. */
static int read_certificates(ln_benchworker *w)
{
    if (strncasecmp(w->plan->url, "wss:", 4) != 0)
        return 0;
    const int rc = ln_client_new(w->loop, w->plan->url, NULL, w->plan->client, &w->reader);
    if (rc == 0)
        ln_client_stop(w->reader);
    return rc;
}

static int set_up(ln_benchworker *w)
{
    const ln_benchmode *const mode = w->plan->mode;
    const ln_loop_options options = {.log = on_log, .log_user = w, .log_level = LN_LOG_ERROR};
    const size_t own_bytes = mode->own_bytes != NULL ? mode->own_bytes(w->plan) : 0;
    const size_t load_bytes = mode->load_bytes != NULL ? mode->load_bytes(w->plan) : 0;
    w->link_count = (w->plan->links - w->index + w->plan->workers - 1) / w->plan->workers;
    w->links = ln_alloc_zero(NULL, w->link_count * sizeof *w->links);
    w->own = ln_alloc_zero(NULL, w->link_count * own_bytes + 1);
    w->load = ln_alloc_zero(NULL, load_bytes + 1);
    w->scratch = ln_alloc(NULL, w->plan->messages.size);
    w->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    if (w->links == NULL || w->own == NULL || w->load == NULL || w->scratch == NULL)
        return LN_ERR_NOMEM;
    if (w->timer_fd < 0)
        return LN_ERR_DESCRIPTORS;
    lay_out(w, own_bytes);
    int rc = ln_loop_new(&options, &w->loop);
    if (rc == 0)
        rc = ln_loop_watch_fd(w->loop, w->timer_fd, on_timer, w, &w->timer_watch);
    if (rc == 0)
        rc = read_certificates(w);
    if (rc == 0 && mode->on_ready != NULL)
        mode->on_ready(w);
    return rc;
}

static void tear_down(ln_benchworker *w)
{
    for (uint32_t i = 0; w->links != NULL && i < w->link_count; i++)
        ln_client_free(w->links[i].client);
    ln_client_free(w->reader);
    if (w->loop != NULL)
        ln_loop_unwatch(w->timer_watch);
    ln_loop_free(w->loop);
    if (w->timer_fd >= 0)
        close(w->timer_fd);
    ln_free(NULL, w->scratch);
    ln_free(NULL, w->load);
    ln_free(NULL, w->own);
    ln_free(NULL, w->links);
}

static void say_goodbye(ln_benchworker *w)
{
    w->is_closing = true;
    if (w->plan->mode->on_end != NULL)
        w->plan->mode->on_end(w);
    for (uint32_t i = 0; i < w->link_count; i++)
        if (w->links[i].client != NULL)
            ln_client_stop(w->links[i].client);
}

/* Does what the board asks for; true when there is nothing more to do. */
static bool step(ln_benchworker *w, uint64_t *deadline_ns)
{
    const uint32_t phase = atomic_load_explicit(&w->board->phase, memory_order_acquire);
    if (phase == LN_BENCHPHASE_OPEN && !w->plan->mode->opens_by_itself)
        open_some(w);
    if (phase == LN_BENCHPHASE_RUN)
        run(w);
    if (phase < LN_BENCHPHASE_CLOSE)
        return false;
    if (!w->is_closing) {
        say_goodbye(w);
        *deadline_ns = ln_bench_clock_ns() + GOODBYE_MS * millisecond_ns;
    }
    return phase == LN_BENCHPHASE_ABORT || w->open == 0 || ln_bench_clock_ns() >= *deadline_ns;
}

void ln_benchworker_run(ln_benchworker *w)
{
    uint64_t deadline_ns = 0;
    int rc = set_up(w);
    while (rc == 0 && !step(w, &deadline_ns)) {
        rc = ln_loop_turn(w->loop, TURN_MS);
        w->now_uses = 0;
    }
    if (rc < 0) {
        ln_benchtally_fault(w->tally, LN_BENCHFAULT_OURS, 1, "worker %u: %s", (unsigned)w->index,
                            ln_strerror(rc));
        ln_benchtally_count(&w->tally->failed, w->link_count);
        atomic_store(&w->tally->is_settled, true);
    }
    tear_down(w);
}
