/* SPDX-License-Identifier: MIT */
/*
 * worker.c - one thread of a server: its loop, its listeners, its connections, and how it ends.
 *
 * Ending: the drain letter closes the doors and says goodbye to every connection; when the last one
 * is gone, or after the drain time when the rest is aborted, the loop stops.
 */
#include "base/limits.h"
#include "exchange.h"
#include "serverinner.h"

static const ln_span going_away = {"going away", 10};

/* ---- ending ---- */

static void stop_when_empty(ln_worker *w)
{
    if (w->home.is_draining && w->open_doors == 0 && w->home.conn_count == 0)
        ln_loop_stop(w->home.loop);
}

static void on_empty(ln_home *home)
{
    stop_when_empty(LN_CONTAINER_OF(home, ln_worker, home));
}

static void on_door_closed(ln_listener *listener)
{
    ln_worker *const w = LN_CONTAINER_OF(listener, ln_worker_door, listener)->worker;

    w->open_doors--;
    stop_when_empty(w);
}

static void close_doors(ln_worker *w)
{
    for (unsigned i = 0; i < w->server->door_count; i++) {
        ln_worker_door *const d = &w->doors[i];
        if (d->is_open)
            ln_listener_close(&d->listener, on_door_closed);
        d->is_open = false;
    }
}

static void say_goodbye(ln_conn *c)
{
    if (c->phase == LN_CONN_OPEN)
        (void)ln_conn_close(c, 1001, going_away); /* closing already: as good */
    else if (c->phase == LN_CONN_HTTP)
        ln_exchange_drain(c->of.http);
}

static void drain(ln_worker *w)
{
    uint32_t cursor = 0;

    if (w->home.is_draining)
        return;
    w->home.is_draining = true;
    close_doors(w);
    for (ln_conn *c = ln_slots_next(&w->slots, &cursor); c != NULL;
         c = ln_slots_next(&w->slots, &cursor))
        say_goodbye(c);
    ln_timer_set(&w->home.loop->wheel, &w->drain_timer,
                 w->home.loop->now_ms + w->server->options.drain_ms);
    stop_when_empty(w);
}

static void abort_all(ln_worker *w)
{
    uint32_t cursor = 0;

    drain(w);
    for (ln_conn *c = ln_slots_next(&w->slots, &cursor); c != NULL;
         c = ln_slots_next(&w->slots, &cursor))
        ln_conn_drop(c, 0);
}

static void on_drain_timer(ln_timer *timer)
{
    abort_all(LN_CONTAINER_OF(timer, ln_worker, drain_timer));
}

static void on_drain_letter(ln_letter *letter, ln_loop *loop)
{
    if (loop != NULL)
        drain(LN_CONTAINER_OF(letter, ln_worker, drain_letter));
}

static void on_abort_letter(ln_letter *letter, ln_loop *loop)
{
    if (loop != NULL)
        abort_all(LN_CONTAINER_OF(letter, ln_worker, abort_letter));
}

/* Each letter exists once, so it is posted once. */
static void post_once(ln_worker *w, ln_letter *letter, _Atomic bool *is_posted)
{
    if (!atomic_exchange(is_posted, true))
        ln_loop_send_letter(w->home.loop, letter);
}

void ln_worker_drain(ln_worker *w)
{
    post_once(w, &w->drain_letter, &w->is_drain_posted);
}

void ln_worker_abort(ln_worker *w)
{
    post_once(w, &w->abort_letter, &w->is_abort_posted);
}

/* ---- accepting ---- */

static void turn_away(ln_worker *w, ln_conn *c)
{
    ln_count(&w->home.counters.shed, 1);
    if (c != NULL)
        ln_conn_free(c);
}

static void on_accept(ln_listener *listener, int fd)
{
    ln_worker_door *const d = LN_CONTAINER_OF(listener, ln_worker_door, listener);
    ln_home *const home = &d->worker->home;

    ln_count(&home->counters.accepted, 1);
    /* Those that are still shaking hands count too: an eighth of the room is theirs. */
    const bool is_full = home->conn_count >= home->connections_max + home->connections_max / 8 + 64;
    ln_conn *const c = is_full || home->is_draining ? NULL : ln_conn_new(home);
    if (c == NULL || ln_exchange_open(c) < 0) {
        ln_fd_close(fd);
        turn_away(d->worker, c);
        return;
    }
    if (ln_stream_open_server(&c->stream, home->loop, fd, d->tls, &ln_conn_ops) < 0)
        turn_away(d->worker, c);
    else
        ln_conn_arm(c);
}

/* ---- life ---- */

static int open_doors(ln_worker *w)
{
    for (unsigned i = 0; i < w->server->door_count; i++) {
        ln_worker_door *const d = &w->doors[i];
        ln_door *const door = &w->server->doors[i];

        d->worker = w;
        d->tls = door->tls == NULL ? NULL : ln_tls_context_ref(door->tls);
        const int fd = door->fds[w->home.worker];
        door->fds[w->home.worker] = -1;
        const int rc = ln_listener_open(&d->listener, w->home.loop, fd, on_accept);
        if (rc < 0)
            return rc;
        d->is_open = true;
        w->open_doors++;
    }
    return 0;
}

/* The longest time that any endpoint gives its peers to shake hands: which one is meant is not
 * known before. */
static uint32_t handshake_ms(const ln_routes *routes)
{
    uint32_t longest = 0;

    for (unsigned i = 0; i < routes->count; i++) {
        const ln_route *const r = routes->list[i];
        if (r->kind == LN_ROUTE_WS && r->plan.options.handshake_ms > longest)
            longest = r->plan.options.handshake_ms;
    }
    return longest > 0 ? longest : LN_DEFAULT_HANDSHAKE_MS;
}

static int make_sites(ln_worker *w)
{
    const ln_routes *const routes = &w->server->routes;

    if (routes->site_count == 0)
        return 0;
    w->home.sites = ln_alloc_zero(w->home.alloc, routes->site_count * sizeof *w->home.sites);
    if (w->home.sites == NULL)
        return LN_ERR_NOMEM;
    for (unsigned i = 0; i < routes->count; i++) {
        const ln_route *const r = routes->list[i];
        if (r->kind == LN_ROUTE_WS)
            ln_site_init(&w->home.sites[r->site], &w->home, &r->plan, LN_WS_SERVER);
    }
    return 0;
}

static void make_home(ln_worker *w, ln_loop *loop, unsigned index)
{
    const ln_server *const s = w->server;
    ln_home *const home = &w->home;
    const unsigned workers = s->worker_count;

    ln_home_init(home, loop, s->alloc);
    home->server = w->server;
    home->slots = &w->slots;
    home->worker = index;
    home->routes = &s->routes;
    home->hooks = s->service == NULL ? NULL : s->service->hooks;
    home->header_max_bytes = s->options.request_header_max_bytes;
    home->body_max_bytes = s->options.request_body_max_bytes;
    home->http_idle_ms = s->options.http_idle_ms;
    home->handshake_ms = handshake_ms(&s->routes);
    home->connections_max = (s->options.connections_max + workers - 1) / workers;
    home->on_empty = on_empty;
}

int ln_worker_make(ln_worker *w, ln_server *server, unsigned index)
{
    const ln_server_options *const o = &server->options;
    const ln_loop_options loop_options = {.io = o->io,
                                          .allocator = server->alloc,
                                          .log = o->log,
                                          .log_user = o->log_user,
                                          .log_level = o->log_level};
    ln_loop *loop;

    int rc = ln_loop_new(&loop_options, &loop);
    if (rc < 0)
        return rc;
    w->server = server;
    loop->owner = w;
    ln_slots_init(&w->slots, server->alloc);
    make_home(w, loop, index);
    ln_timer_init(&w->drain_timer, on_drain_timer);
    w->drain_letter.handle = on_drain_letter;
    w->abort_letter.handle = on_abort_letter;
    w->is_made = true;
    rc = make_sites(w);
    if (rc == 0 && server->service != NULL) {
        rc = server->service->start(server->service_state, &w->home);
        w->has_service = rc == 0;
    }
    if (rc == 0)
        rc = open_doors(w);
    if (rc < 0)
        ln_worker_unmake(w);
    return rc;
}

void ln_worker_run(ln_worker *w)
{
    const ln_server_options *const o = &w->server->options;

    if (o->on_worker_start != NULL)
        o->on_worker_start(w->server, w->home.worker, w->home.loop, o->user);
    w->result = ln_loop_run(w->home.loop);
    if (o->on_worker_stop != NULL)
        o->on_worker_stop(w->server, w->home.worker, o->user);
}

void ln_worker_sweep(ln_worker *w)
{
    if (!w->is_made)
        return;
    abort_all(w);
    for (int turns = 0; (w->home.conn_count > 0 || w->open_doors > 0) && turns < 1000; turns++)
        (void)ln_loop_turn(w->home.loop, 1);
}

void ln_worker_unmake(ln_worker *w)
{
    if (!w->is_made)
        return;
    ln_worker_sweep(w);
    for (unsigned i = 0; i < w->server->door_count; i++) {
        ln_tls_context_unref(w->doors[i].tls);
        w->doors[i].tls = NULL;
    }
    ln_timer_clear(&w->home.loop->wheel, &w->drain_timer);
    if (w->has_service)
        w->server->service->stop(w->server->service_state, &w->home);
    ln_loop_free(w->home.loop);
    ln_free(w->home.alloc, w->home.sites);
    ln_home_fini(&w->home);
    ln_slots_fini(&w->slots);
    w->is_made = false;
}
