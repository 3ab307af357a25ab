/* SPDX-License-Identifier: MIT */
/*
 * roomserrand.c - what has to be done on every worker: a letter to each of them, and whoever is the
 * last one ends it. For publications from outside, kicking, and judging again.
 */
#include <stdatomic.h>

#include "base/text.h"
#include "proto/utf8.h"
#include "roomsinner.h"

typedef struct stop {
    ln_letter letter;
    ln_rooms_errand *of;
    unsigned worker;
} stop;

/* Embedded at the front of what it is about. */
struct ln_rooms_errand {
    ln_rooms *rooms;
    /* On each worker's thread, unless the server has ended before. */
    void (*visit)(ln_rooms_errand *e, ln_rooms_side *side);
    void (*finish)(ln_rooms_errand *e); /* after the last visit, or none */
    _Atomic unsigned left;
    bool is_posted;
    stop *stops; /* one for each worker, behind what embeds it */
};

/* ---- errands ---- */

/* Zeroed, `size` bytes with the errand in front. NULL when out of memory. */
static ln_rooms_errand *make(ln_rooms *rm, size_t size,
                             void (*visit)(ln_rooms_errand *e, ln_rooms_side *side))
{
    const size_t grain = _Alignof(max_align_t), before = (size + grain - 1) / grain * grain;
    const unsigned count = rm->server->worker_count;
    ln_rooms_errand *const e = ln_alloc_zero(rm->alloc, before + count * sizeof(stop));

    if (e == NULL)
        return NULL;
    e->rooms = rm;
    e->visit = visit;
    e->stops = (stop *)(void *)((char *)e + before);
    return e;
}

void ln_rooms_errand_free(ln_rooms_errand *e)
{
    if (e == NULL)
        return;
    if (e->finish != NULL)
        e->finish(e);
    if (e->is_posted)
        atomic_fetch_sub_explicit(&e->rooms->posted, 1, memory_order_relaxed);
    ln_free(e->rooms->alloc, e);
}

static void on_stop(ln_letter *letter, ln_loop *loop)
{
    const stop *const s = LN_CONTAINER_OF(letter, stop, letter);
    ln_rooms_errand *const e = s->of;

    if (loop != NULL)
        e->visit(e, &e->rooms->sides[s->worker]);
    if (atomic_fetch_sub(&e->left, 1) == 1)
        ln_rooms_errand_free(e);
}

static bool is_running(const ln_rooms *rm)
{
    return atomic_load(&rm->server->state) == LN_SERVER_RUNNING;
}

void ln_rooms_errand_send(ln_rooms_errand *e)
{
    ln_server *const server = e->rooms->server;
    const unsigned count = server->worker_count;

    if (!is_running(e->rooms)) { /* nobody is inside */
        ln_rooms_errand_free(e);
        return;
    }
    atomic_init(&e->left, count);
    stop *const stops = e->stops; /* the last letter frees e before the loop has ended */
    for (unsigned i = 0; i < count; i++) {
        stops[i] = (stop){.letter = {.handle = on_stop}, .of = e, .worker = i};
        ln_loop_send_letter(server->workers[i].home.loop, &stops[i].letter);
    }
}

/* Counts it among those of other threads. */
static int post(ln_rooms_errand *e)
{
    ln_rooms *const rm = e->rooms;

    if (atomic_fetch_add_explicit(&rm->posted, 1, memory_order_relaxed) >= LN_ROOMS_POSTED_MAX) {
        atomic_fetch_sub_explicit(&rm->posted, 1, memory_order_relaxed);
        return LN_ERR_WOULD_EXCEED;
    }
    e->is_posted = true;
    ln_rooms_errand_send(e);
    return 0;
}

/* ---- judging again ---- */

static ln_rooms_guest *guest_of(ln_link *link)
{
    return LN_CONTAINER_OF(link, ln_rooms_guest, link);
}

static void judge_all(ln_rooms_errand *e, ln_rooms_side *side)
{
    (void)e;
    for (ln_link *l = side->guests.next; l != &side->guests; l = l->next)
        ln_rooms_judge(guest_of(l));
}

ln_rooms_errand *ln_rooms_errand_of_judging(ln_rooms *rm)
{
    return make(rm, sizeof(ln_rooms_errand), judge_all);
}

/* ---- publishing ---- */

typedef struct publication {
    ln_rooms_errand errand;
    ln_msg *msg; /* its topic is empty: for everybody */
    _Atomic uint32_t delivered, queued, dropped, closed;
    ln_rooms_result_handler *on_result;
    void *user;
} publication;

/* Everybody on this worker, once. Sending closes nobody on the spot, so the ring stays. */
static void send_to_all(ln_rooms_side *side, ln_msg *m, ln_hub_result *r)
{
    for (ln_link *l = side->guests.next; l != &side->guests; l = l->next) {
        const ln_delivery d = ln_topics_tell(guest_of(l)->conn, m);
        r->delivered += d == LN_DELIVERED;
        r->queued += d == LN_DELIVERY_QUEUED;
        r->dropped += d == LN_DELIVERY_DROPPED;
        r->closed += d == LN_DELIVERY_CLOSED;
    }
}

static void publish_here(ln_rooms_errand *e, ln_rooms_side *side)
{
    publication *const p = LN_CONTAINER_OF(e, publication, errand);
    ln_hub_result r = {.delivered = 0};

    if (p->msg->topic.size == 0)
        send_to_all(side, p->msg, &r);
    else
        (void)ln_topics_deliver(side->home, p->msg, &r); /* a good topic, from no delivery */
    atomic_fetch_add_explicit(&p->delivered, r.delivered, memory_order_relaxed);
    atomic_fetch_add_explicit(&p->queued, r.queued, memory_order_relaxed);
    atomic_fetch_add_explicit(&p->dropped, r.dropped, memory_order_relaxed);
    atomic_fetch_add_explicit(&p->closed, r.closed, memory_order_relaxed);
}

static void end_publication(ln_rooms_errand *e)
{
    publication *const p = LN_CONTAINER_OF(e, publication, errand);
    const ln_publish_result result = {atomic_load(&p->delivered), atomic_load(&p->queued),
                                      atomic_load(&p->dropped), atomic_load(&p->closed)};

    ln_msg_unref(p->msg);
    if (p->on_result != NULL)
        p->on_result(&result, p->user);
}

static bool is_publishable(enum ln_kind kind, ln_span data)
{
    return kind == LN_BINARY || (kind == LN_TEXT && ln_utf8_is_valid(data.data, data.size));
}

int ln_rooms_publish(ln_rooms *rm, ln_span room, enum ln_kind kind, ln_span data,
                     ln_rooms_result_handler *on_result, void *user)
{
    if (!is_publishable(kind, data) || (room.size > 0 && !ln_rooms_is_room(rm, room)))
        return LN_ERR_INVALID;
    if (!is_running(rm))
        return LN_ERR_STATE;
    ln_msg *const m = ln_msg_new(rm->alloc, (ln_msg_kind)kind, room, (ln_span){NULL, 0}, data, 0);
    ln_rooms_errand *const e = m == NULL ? NULL : make(rm, sizeof(publication), publish_here);
    if (e == NULL) {
        ln_msg_unref(m);
        return LN_ERR_NOMEM;
    }
    publication *const p = LN_CONTAINER_OF(e, publication, errand);
    p->msg = m;
    p->on_result = on_result;
    p->user = user;
    e->finish = end_publication;
    const int rc = post(e);
    if (rc == 0) {
        atomic_fetch_add_explicit(&rm->broadcasts, 1, memory_order_relaxed);
        return 0;
    }
    p->on_result = NULL;
    ln_rooms_errand_free(e);
    return rc;
}

/* ---- kicking ---- */

typedef struct kick {
    ln_rooms_errand errand;
    uint16_t code;
    ln_span room, id, reason; /* in `text` */
    char text[];
} kick;

static bool is_meant(const kick *k, const ln_rooms_guest *g)
{
    const ln_identity *const identity = ln_rooms_identity_of(g);

    return (k->room.size == 0 || ln_text_equal(k->room, ln_rooms_room_of(g))) &&
           (k->id.size == 0 || (identity != NULL && ln_text_equal(k->id, identity->id)));
}

static void kick_here(ln_rooms_errand *e, ln_rooms_side *side)
{
    const kick *const k = LN_CONTAINER_OF(e, kick, errand);

    for (ln_link *l = side->guests.next; l != &side->guests; l = l->next)
        if (is_meant(k, guest_of(l)))
            /* it is closing already: as good */
            (void)ln_conn_close(guest_of(l)->conn, k->code, k->reason);
}

int ln_rooms_kick(ln_rooms *rm, ln_span room, ln_span id, uint16_t code, ln_span reason)
{
    if (!ln_ws_is_code(code) || reason.size > LN_WS_REASON_MAX_BYTES ||
        !ln_utf8_is_valid(reason.data, reason.size) ||
        (room.size > 0 && !ln_rooms_is_room(rm, room)))
        return LN_ERR_INVALID;
    if (!is_running(rm))
        return LN_ERR_STATE;
    ln_rooms_errand *const e =
        make(rm, sizeof(kick) + room.size + id.size + reason.size, kick_here);
    if (e == NULL)
        return LN_ERR_NOMEM;
    kick *const k = LN_CONTAINER_OF(e, kick, errand);
    char *at = k->text;
    k->code = code;
    k->room = ln_text_place(&at, room);
    k->id = ln_text_place(&at, id);
    k->reason = ln_text_place(&at, reason);
    const int rc = post(e);
    if (rc < 0)
        ln_rooms_errand_free(e);
    return rc;
}
