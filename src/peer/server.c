/* SPDX-License-Identifier: MIT */
#include "base/limits.h"
#include "base/text.h"
#include "serverinner.h"

/* ---- life ---- */

static int settle(const char *name, uint32_t *value)
{
    return ln_limit_get(ln_limit_find(ln_text(name)), *value, value);
}

static int settle_options(ln_server_options *o)
{
    int rc = settle("WORKERS", &o->workers);
    if (rc == 0 && o->workers > LN_WORKERS_MAX)
        rc = LN_ERR_INVALID;
    if (rc == 0)
        rc = settle("CONNECTIONS_MAX", &o->connections_max);
    if (rc == 0)
        rc = settle("DRAIN_MS", &o->drain_ms);
    if (rc == 0)
        rc = settle("REQUEST_HEADER_MAX_BYTES", &o->request_header_max_bytes);
    if (rc == 0)
        rc = settle("REQUEST_BODY_MAX_BYTES", &o->request_body_max_bytes);
    if (rc == 0)
        rc = settle("HTTP_IDLE_MS", &o->http_idle_ms);
    if (rc == 0)
        rc = settle("QUEUE_BUDGET_BYTES", &o->queue_budget_bytes);
    if (o->allocator == NULL)
        o->allocator = &ln_alloc_libc;
    if (o->log_level == 0)
        o->log_level = LN_LOG_INFO;
    return rc;
}

ln_server *ln_server_create(const ln_server_options *options, const ln_service *service,
                            void *state)
{
    ln_server_options settled = options == NULL ? (ln_server_options){.workers = 1} : *options;

    if (settle_options(&settled) < 0)
        return NULL;
    ln_server *const s = ln_alloc_zero(settled.allocator, sizeof *s);
    ln_worker *const workers = ln_alloc_zero(settled.allocator, settled.workers * sizeof *workers);
    if (s == NULL || workers == NULL) {
        ln_free(settled.allocator, s);
        ln_free(settled.allocator, workers);
        return NULL;
    }
    s->options = settled;
    s->alloc = settled.allocator;
    s->workers = workers;
    s->worker_count = settled.workers;
    s->service = service;
    s->service_state = state;
    ln_budget_init(&s->budget, settled.queue_budget_bytes, settled.workers);
    ln_routes_init(&s->routes, s->alloc);
    ln_lock_init(&s->reload_lock);
    ln_lock_init(&s->jobs_lock);
    ln_log_init(&s->log, settled.log, settled.log_user, settled.log_level);
    return s;
}

static void unmake_workers(ln_server *s)
{
    /* First all connections: who leaves may still be told to another worker. */
    for (unsigned i = 0; i < s->worker_count; i++)
        ln_worker_sweep(&s->workers[i]);
    for (unsigned i = 0; i < s->worker_count; i++)
        ln_worker_unmake(&s->workers[i]);
}

void ln_server_free(ln_server *s)
{
    if (s == NULL)
        return;
    if (atomic_load(&s->state) == LN_SERVER_RUNNING) {
        ln_server_stop(s);
        ln_server_stop(s);
        ln_server_join(s);
    }
    ln_jobs_free(s->jobs);
    unmake_workers(s);
    for (unsigned i = 0; i < s->door_count; i++)
        ln_door_close(&s->doors[i], s->alloc);
    ln_routes_fini(&s->routes);
    while (s->owned_count > 0) {
        const ln_owned *const o = &s->owned[--s->owned_count];
        o->free(o->what);
    }
    if (s->service != NULL)
        s->service->free(s->service_state);
    ln_log_fini(&s->log);
    ln_lock_fini(&s->reload_lock);
    ln_lock_fini(&s->jobs_lock);
    const ln_allocator *const alloc = s->alloc;
    ln_free(alloc, s->workers);
    ln_free(alloc, s);
}

int ln_server_own(ln_server *s, void *what, void (*free)(void *what))
{
    if (s->owned_count == LN_OWNED_MAX)
        return LN_ERR_LIMIT;
    s->owned[s->owned_count++] = (ln_owned){what, free};
    return 0;
}

ln_jobs *ln_server_jobs(ln_server *s)
{
    ln_lock_take(&s->jobs_lock);
    if (s->jobs == NULL &&
        ln_jobs_new(s->alloc, LN_SERVER_JOBS_THREADS, LN_JOBS_WAITING_MAX, &s->jobs) < 0)
        s->jobs = NULL;
    ln_jobs *const jobs = s->jobs;
    ln_lock_give(&s->jobs_lock);
    return jobs;
}

/* ---- building it up ---- */

int ln_server_listen(ln_server *s, const char *address)
{
    return ln_door_open(s, address, NULL);
}

int ln_server_listen_tls(ln_server *s, const char *address, const ln_tls_options *tls)
{
    return tls == NULL ? LN_ERR_INVALID : ln_door_open(s, address, tls);
}

int ln_server_port(const ln_server *s, unsigned index)
{
    if (index >= s->door_count)
        return LN_ERR_NOT_FOUND;
    return ln_address_port(&s->doors[index].address);
}

static int add_route(ln_server *s, ln_route_kind kind, const char *path, ln_route **route)
{
    if (atomic_load(&s->state) != LN_SERVER_NEW)
        return LN_ERR_STATE;
    return ln_routes_add(&s->routes, kind, path, route);
}

int ln_server_ws(ln_server *s, const char *path, const ln_ws_handlers *handlers,
                 const ln_ws_options *options)
{
    ln_route *route;

    int rc = add_route(s, LN_ROUTE_WS, path, &route);
    if (rc < 0)
        return rc;
    rc = ln_plan_init(&route->plan, handlers, options, s->alloc);
    if (rc < 0)
        ln_routes_remove_last(&s->routes);
    return rc;
}

int ln_server_ws_own(ln_server *s, const char *path, const ln_ws_handlers *handlers,
                     const ln_ws_options *options, void *what, void (*free)(void *what))
{
    int rc = ln_server_ws(s, path, handlers, options);
    if (rc < 0)
        return rc;
    rc = ln_server_own(s, what, free);
    if (rc < 0)
        ln_routes_remove_last(&s->routes);
    return rc;
}

int ln_server_http_guarded(ln_server *s, const char *path, ln_http_handler *handler,
                           bool (*admit)(ln_request *request, void *user), void *user)
{
    ln_route *route;

    if (handler == NULL)
        return LN_ERR_INVALID;
    const int rc = add_route(s, LN_ROUTE_HTTP, path, &route);
    if (rc < 0)
        return rc;
    route->handler = handler;
    route->admit = admit;
    route->user = user;
    return 0;
}

int ln_server_http(ln_server *s, const char *path, ln_http_handler *handler, void *user)
{
    return ln_server_http_guarded(s, path, handler, NULL, user);
}

int ln_server_files(ln_server *s, const char *path, const char *directory)
{
    ln_route *route;

    int rc = add_route(s, LN_ROUTE_FILES, path, &route);
    if (rc < 0)
        return rc;
    rc = ln_files_new(directory, s->alloc, &route->files);
    if (rc < 0)
        ln_routes_remove_last(&s->routes);
    return rc;
}

/* ---- running ---- */

static void *run_worker(void *arg)
{
    ln_worker_run(arg);
    return NULL;
}

/* Everything that can fail, before the first thread runs. */
static int make_workers(ln_server *s)
{
    for (unsigned i = 0; i < s->worker_count; i++) {
        const int rc = ln_worker_make(&s->workers[i], s, i);
        if (rc < 0) {
            unmake_workers(s);
            return rc;
        }
    }
    return 0;
}

/* Threads for the workers from `first` on. */
static int start_threads(ln_server *s, unsigned first)
{
    for (unsigned i = first; i < s->worker_count; i++) {
        const int rc = ln_thread_start(&s->workers[i].thread, run_worker, &s->workers[i]);
        if (rc == 0)
            continue;
        for (unsigned k = first; k < i; k++) {
            ln_worker_abort(&s->workers[k]);
            ln_thread_join(&s->workers[k].thread);
        }
        return rc;
    }
    return 0;
}

static int start(ln_server *s, unsigned first_thread)
{
    int state = LN_SERVER_NEW;

    if (!atomic_compare_exchange_strong(&s->state, &state, LN_SERVER_STARTING))
        return LN_ERR_STATE;
    int rc = make_workers(s);
    if (rc == 0) {
        atomic_store(&s->state, LN_SERVER_RUNNING);
        rc = start_threads(s, first_thread);
        if (rc < 0)
            unmake_workers(s);
    }
    if (rc < 0)
        atomic_store(&s->state, LN_SERVER_NEW);
    else if (atomic_load(&s->stops) > 0) /* asked to stop before it ran */
        for (unsigned i = 0; i < s->worker_count; i++)
            ln_worker_drain(&s->workers[i]);
    return rc;
}

int ln_server_start(ln_server *s)
{
    return start(s, 0);
}

int ln_server_join(ln_server *s)
{
    int rc = 0;

    if (atomic_load(&s->state) != LN_SERVER_RUNNING)
        return LN_ERR_STATE;
    for (unsigned i = 0; i < s->worker_count; i++) {
        ln_thread_join(&s->workers[i].thread);
        if (rc == 0)
            rc = s->workers[i].result;
    }
    atomic_store(&s->state, LN_SERVER_STOPPED);
    /* loops and slots stay until the server is freed: other threads may still name connections */
    return rc;
}

int ln_server_run(ln_server *s)
{
    const int rc = start(s, 1);
    if (rc < 0)
        return rc;
    ln_worker_run(&s->workers[0]);
    return ln_server_join(s);
}

void ln_server_stop(ln_server *s)
{
    const unsigned before = atomic_fetch_add(&s->stops, 1);

    if (atomic_load(&s->state) != LN_SERVER_RUNNING)
        return;
    for (unsigned i = 0; i < s->worker_count; i++) {
        if (before == 0)
            ln_worker_drain(&s->workers[i]);
        else
            ln_worker_abort(&s->workers[i]);
    }
}

bool ln_server_is_stopping(const ln_server *s)
{
    return atomic_load(&s->stops) > 0;
}

int ln_server_post(ln_server *s, unsigned worker, void (*fn)(void *arg), void *arg)
{
    if (worker >= s->worker_count)
        return LN_ERR_NOT_FOUND;
    if (atomic_load(&s->state) != LN_SERVER_RUNNING)
        return LN_ERR_STATE;
    return ln_loop_post(s->workers[worker].home.loop, fn, arg);
}

/* ---- figures ---- */

static void add_up(ln_server_stats *sum, const ln_counters *c)
{
    const struct {
        uint64_t *to;
        const _Atomic uint64_t *from;
    } pairs[] = {
        {&sum->connections, &c->connections},
        {&sum->accepted_total, &c->accepted},
        {&sum->opened_total, &c->opened},
        {&sum->closed_total, &c->closed},
        {&sum->refused_total, &c->refused},
        {&sum->malformed_total, &c->malformed},
        {&sum->shed_total, &c->shed},
        {&sum->handshake_timeouts_total, &c->handshake_timeouts},
        {&sum->protocol_errors_total, &c->protocol_errors},
        {&sum->messages_in_total, &c->messages_in},
        {&sum->messages_out_total, &c->messages_out},
        {&sum->bytes_in_total, &c->bytes_in},
        {&sum->bytes_out_total, &c->bytes_out},
        {&sum->dropped_total, &c->dropped},
        {&sum->overflow_closes_total, &c->overflow_closes},
        {&sum->queued_bytes, &c->queued_bytes},
        {&sum->requests_total, &c->requests},
        {&sum->dropped_newest_total, &c->dropped_newest},
        {&sum->dropped_oldest_total, &c->dropped_oldest},
        {&sum->replaced_total, &c->replaced},
        {&sum->queue_refused_total, &c->queue_refused},
        {&sum->shed_slow_total, &c->shed_slow},
        {&sum->queued_connections, &c->queued_connections},
    };
    for (size_t i = 0; i < LN_ARRAY_SIZE(pairs); i++)
        *pairs[i].to += atomic_load_explicit(pairs[i].from, memory_order_relaxed);
}

void ln_server_stats_get(const ln_server *s, ln_server_stats *stats)
{
    ln_server_stats sum = {.connections = 0};
    const uint64_t now_ms = ln_loop_clock_ms();

    for (unsigned i = 0; i < s->worker_count; i++) {
        const ln_home *const home = &s->workers[i].home;
        add_up(&sum, &home->counters);
        const uint64_t since_ms =
            atomic_load_explicit(&home->laggards.since_ms, memory_order_relaxed);
        if (since_ms > 0 && now_ms > since_ms && now_ms - since_ms > sum.queue_age_ms)
            sum.queue_age_ms = now_ms - since_ms;
    }
    *stats = sum;
}
