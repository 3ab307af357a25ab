/* SPDX-License-Identifier: MIT */
/*
 * roomspace.c - rates: of a connection, of its address's neighbourhood, of its user. What may not go
 * now waits, and its sender is not read; nothing goes without having been paid for, also by who
 * leaves and comes again.
 */
#include <string.h>

#include "net/random.h"
#include "roomsinner.h"

enum { KIB = 1024, SWEEP_MS = 60000 };

/* ---- tables ---- */

static void on_sweep(ln_timer *timer)
{
    ln_rooms_side *const side = LN_CONTAINER_OF(timer, ln_rooms_side, sweep);
    ln_loop *const loop = side->home->loop;

    ln_rates_sweep(&side->attempts, loop->now_ms);
    ln_rates_sweep(&side->rates, loop->now_ms);
    if (side->attempts.map.count + side->rates.map.count > 0)
        ln_timer_set(&loop->wheel, timer, loop->now_ms + SWEEP_MS);
}

/* Something may be in the tables now. */
static void sweep_later(ln_rooms_side *side)
{
    ln_loop *const loop = side->home->loop;

    if (!ln_timer_is_set(&side->sweep))
        ln_timer_set(&loop->wheel, &side->sweep, loop->now_ms + SWEEP_MS);
}

static int init_tables(ln_rooms_side *side, const ln_rates_options *rates,
                       const ln_allocator *alloc)
{
    static const ln_rates_options attempts = {
        .address.messages = {LN_ROOMS_ATTEMPTS_PER_SECOND, LN_ROOMS_ATTEMPTS_BURST}};
    uint64_t seed[2];

    ln_random_fill(seed, sizeof seed);
    const int rc = ln_rates_init(&side->attempts, &attempts, alloc, seed, 0);
    return rc < 0 ? rc : ln_rates_init(&side->rates, rates, alloc, seed, 0);
}

int ln_rooms_sides_init(ln_rooms *rm, const ln_rates_options *rates)
{
    ln_server *const server = rm->server;
    int rc = 0;

    rm->sides = ln_alloc_zero(rm->alloc, server->worker_count * sizeof *rm->sides);
    if (rm->sides == NULL)
        return LN_ERR_NOMEM;
    for (unsigned i = 0; i < server->worker_count && rc == 0; i++) {
        ln_rooms_side *const side = &rm->sides[i];
        side->home = &server->workers[i].home;
        ln_list_init(&side->guests);
        ln_timer_init(&side->sweep, on_sweep);
        rc = init_tables(side, rates, rm->alloc);
    }
    if (rc < 0) { /* nothing is in them yet */
        ln_free(rm->alloc, rm->sides);
        rm->sides = NULL;
    }
    return rc;
}

uint64_t ln_rooms_attempt(ln_rooms_side *side, const ln_address *address)
{
    ln_rates_key key;

    sweep_later(side);
    ln_rates_key_of_address(&side->attempts, address, &key);
    return ln_rates_take(&side->attempts, &key, NULL, 0, side->home->loop->now_ms);
}

/* ---- a guest's meter ---- */

static void on_timer(ln_timer *timer);

int ln_rooms_meter_new(ln_rooms_guest *g)
{
    const ln_rooms *const rm = g->rooms;
    const ln_rooms_side *const side = ln_rooms_side_of_guest(g);
    ln_rooms_meter *const m = ln_alloc_zero(rm->alloc, sizeof *m);
    const ln_loop *const loop = side->home->loop;
    ln_address address;

    if (m == NULL)
        return LN_ERR_NOMEM;
    m->guest = g;
    ln_timer_init(&m->timer, on_timer);
    ln_bucket_init(&m->messages, &rm->connection_rate.messages, loop->now_ms);
    ln_bucket_init(&m->kib, &rm->connection_rate.kib, loop->now_ms);
    m->has_address = ln_address_of_peer(g->conn->stream.sock.fd, &address) == 0;
    if (m->has_address)
        ln_rates_key_of_address(&side->rates, &address, &m->address);
    g->meter = m;
    return 0;
}

void ln_rooms_meter_free(ln_rooms_meter *m, const ln_allocator *alloc)
{
    if (m == NULL)
        return;
    ln_timer_clear(&ln_conn_home(m->guest->conn)->loop->wheel, &m->timer);
    ln_count(&ln_rooms_side_of_guest(m->guest)->counts.abandoned, m->held != NULL);
    ln_free(alloc, m->held);
    ln_free(alloc, m);
}

/* ---- paying ---- */

/* Of the KiB that `bytes` complete, and no more than there can be: as rates.h counts them. */
static uint32_t price_of(const ln_rooms_meter *m, const ln_rates_limit *limit, size_t bytes)
{
    const size_t kib = bytes / KIB + (m->odd_bytes + bytes % KIB) / KIB;
    return (uint32_t)ln_min_size(kib, limit->kib.burst);
}

/* Milliseconds until a message may pass; 0: it may, and is paid for, on all accounts. */
static uint64_t pay(ln_rooms_meter *m, size_t bytes)
{
    const ln_rates_limit *const limit = &m->guest->rooms->connection_rate;
    ln_rooms_side *const side = ln_rooms_side_of_guest(m->guest);
    const ln_identity *const identity = ln_rooms_identity_of(m->guest);
    const uint64_t now_ms = side->home->loop->now_ms;
    const uint32_t kib = price_of(m, limit, bytes);
    ln_rates_key user;

    const uint64_t one_ms = ln_bucket_wait_ms(&m->messages, &limit->messages, 1, now_ms);
    const uint64_t all_ms = ln_bucket_wait_ms(&m->kib, &limit->kib, kib, now_ms);
    if (one_ms > 0 || all_ms > 0)
        return one_ms > all_ms ? one_ms : all_ms;
    const bool has_user = identity != NULL && identity->id.size > 0;
    if (has_user)
        ln_rates_key_of_user(&side->rates, identity->id, &user);
    sweep_later(side);
    const uint64_t wait_ms = ln_rates_take(&side->rates, m->has_address ? &m->address : NULL,
                                           has_user ? &user : NULL, bytes, now_ms);
    if (wait_ms > 0)
        return wait_ms;
    const bool has_one = ln_bucket_take(&m->messages, &limit->messages, 1, now_ms);
    const bool has_all = ln_bucket_take(&m->kib, &limit->kib, kib, now_ms);
    LN_ASSERT(has_one && has_all);
    m->odd_bytes = (uint32_t)((m->odd_bytes + bytes % KIB) % KIB);
    return 0;
}

/* ---- waiting ---- */

static void wait_for(ln_rooms_meter *m, uint64_t ms)
{
    ln_loop *const loop = ln_conn_home(m->guest->conn)->loop;
    ln_timer_set(&loop->wheel, &m->timer, loop->now_ms + ms);
}

/* Keeps the message, and reads no other. */
static void hold(ln_rooms_meter *m, enum ln_kind kind, ln_span data, uint64_t wait_ms)
{
    ln_rooms_guest *const g = m->guest;

    m->held = ln_alloc(g->rooms->alloc, data.size + 1);
    if (m->held == NULL) {
        (void)ln_conn_close(g->conn, 1011, LN_SPAN("out of memory"));
        return;
    }
    if (data.size > 0)
        memcpy(m->held, data.data, data.size);
    m->held_size = data.size;
    m->held_kind = kind;
    ln_count(&ln_rooms_side_of_guest(g)->counts.paused, 1);
    ln_conn_pause(g->conn);
    wait_for(m, wait_ms);
}

/* The message that waited may go, or has to wait on: somebody else was faster. */
static void on_timer(ln_timer *timer)
{
    ln_rooms_meter *const m = LN_CONTAINER_OF(timer, ln_rooms_meter, timer);
    ln_conn *const c = m->guest->conn;
    uint8_t *const held = m->held;

    if (!ln_ws_is_open(&c->ws))
        return; /* closing: nothing of it is sent any more */
    const uint64_t wait_ms = pay(m, m->held_size);
    if (wait_ms > 0) {
        wait_for(m, wait_ms);
        return;
    }
    const ln_allocator *const alloc = m->guest->rooms->alloc;
    m->held = NULL;
    ln_conn_resume(c);
    ln_rooms_take(m->guest, m->held_kind, (ln_span){held, m->held_size});
    ln_free(alloc, held);
}

bool ln_rooms_pay(ln_rooms_guest *g, enum ln_kind kind, ln_span data)
{
    /* one waits already: the application had it read again */
    const bool is_second = g->meter->held != NULL;
    const uint64_t wait_ms = is_second ? UINT64_MAX : pay(g->meter, data.size);

    if (wait_ms == 0)
        return true;
    if (g->rooms->options.excess == LN_ROOMS_PAUSE && !is_second)
        hold(g->meter, kind, data, wait_ms);
    else if (ln_conn_close(g->conn, 1008, LN_SPAN("rate limit exceeded")) == 0)
        ln_count(&ln_rooms_side_of_guest(g)->counts.rate_closed, 1);
    return false;
}
