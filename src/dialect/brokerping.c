/* SPDX-License-Identifier: MIT */
/*
 * brokerping.c - each client is pinged at equal intervals, with the number of the ping in decimal
 * digits, and has to give it back in time.
 *
 * Who is not read meanwhile, because it does not take what was sent to it, cannot be heard, and who
 * has more waiting than a ping may stand behind cannot be asked: as long as it takes some of that, it
 * counts as alive. Of one that the application does not read silence proves nothing.
 */
#include <stdio.h>

#include "base/text.h"
#include "brokerinner.h"

enum { DIGITS = 24 };

static ln_loop *loop_of(const ln_broker_peer *p)
{
    return ln_conn_home(p->rpc.conn)->loop;
}

static void set(ln_broker_peer *p, uint32_t wait_ms)
{
    ln_loop *const loop = loop_of(p);
    ln_timer_set(&loop->wheel, &p->timer, loop->now_ms + wait_ms);
}

static ln_span number_of(const ln_broker_peer *p, char text[DIGITS])
{
    const int n = snprintf(text, DIGITS, "%llu", (unsigned long long)p->pings);
    return (ln_span){text, (size_t)n};
}

static void ping(ln_broker_peer *p)
{
    char text[DIGITS];

    p->pings++;
    const int rc = ln_conn_ping(p->rpc.conn, number_of(p, text));
    if (rc == LN_ERR_CLOSED)
        return;
    p->is_asked = rc == 0;
    p->queued_bytes = ln_conn_queued_bytes(p->rpc.conn);
    p->awaits_pong = p->broker->pong_ms > 0;
    set(p, p->awaits_pong ? p->broker->pong_ms : p->broker->ping_ms);
}

/* No answer to the last ping, but no proof either. */
static bool may_be_alive(const ln_broker_peer *p)
{
    const size_t queued = ln_conn_queued_bytes(p->rpc.conn);

    if (p->is_held || !p->is_asked)
        return queued == 0 || queued != p->queued_bytes;
    return (p->rpc.conn->flags & LN_CONN_PAUSED) != 0;
}

static void on_time(ln_timer *timer)
{
    ln_broker_peer *const p = LN_CONTAINER_OF(timer, ln_broker_peer, timer);

    if (!p->awaits_pong || (!p->is_asked && may_be_alive(p))) {
        ping(p);
        return;
    }
    if (may_be_alive(p)) {
        p->queued_bytes = ln_conn_queued_bytes(p->rpc.conn);
        set(p, p->broker->pong_ms);
        return;
    }
    ln_broker_count(&p->broker->counts.ping_failures);
    (void)ln_conn_close(p->rpc.conn, 1008, LN_SPAN("ping failure"));
}

void ln_broker_take_pong(ln_broker_peer *p, ln_span data)
{
    char text[DIGITS];

    if (!p->awaits_pong || !ln_text_equal(data, number_of(p, text)))
        return;
    p->awaits_pong = false;
    /* pings keep their interval, whenever the pong comes */
    const uint64_t sent_ms = p->timer.at_ms - p->broker->pong_ms;
    const uint64_t next_ms = sent_ms + p->broker->ping_ms;
    ln_timer_set(&loop_of(p)->wheel, &p->timer, next_ms);
}

void ln_broker_start_pings(ln_broker_peer *p)
{
    ln_timer_init(&p->timer, on_time);
    if (p->broker->ping_ms > 0)
        set(p, p->broker->ping_ms);
}

void ln_broker_stop_pings(ln_broker_peer *p)
{
    ln_timer_clear(&loop_of(p)->wheel, &p->timer);
}
