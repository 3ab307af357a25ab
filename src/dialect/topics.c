/* SPDX-License-Identifier: MIT */
#include "base/limits.h"
#include "base/name.h"
#include "hub/filter.h"
#include "net/random.h"
#include "topicsinner.h"

/* Deliveries may free parked subscribers, and would take the lock for it. */
static void begin_delivering(ln_topics_side *here)
{
    ln_lock_take(&here->lock);
    here->is_delivering = true;
}

static void end_delivering(ln_topics_side *here)
{
    here->is_delivering = false;
    ln_lock_give(&here->lock);
}

/* ---- delivery ---- */

ln_delivery ln_topics_tell(ln_conn *c, ln_msg *m)
{
    ln_topics_side *const here = ln_conn_home(c)->service;
    ln_topics_listener *const l = ln_conn_attachment(c);

    if (l == NULL)
        return LN_DELIVERY_DROPPED; /* it has not come so far */
    begin_delivering(here);
    const ln_delivery d = ln_topics_deliver_to(l, m);
    end_delivering(here);
    return d;
}

static void on_parcel(void *arg, ln_msg *m)
{
    ln_topics_side *const here = arg;

    begin_delivering(here);
    ln_hub_deliver(here->hub, m, NULL);
    end_delivering(here);
}

/* ---- subscribing ---- */

static ln_topics_listener *listener_of(ln_conn *c)
{
    const ln_home *const home = ln_conn_home(c);
    ln_topics_listener *l = ln_conn_attachment(c);

    if (l != NULL)
        return l;
    l = ln_alloc(home->alloc, sizeof *l);
    if (l == NULL)
        return NULL;
    ln_topics_listener_init(l, c);
    ln_conn_attach(c, l);
    return l;
}

int ln_topics_speak(ln_conn *c, ln_topics_send *send)
{
    if (ln_conn_home(c)->service == NULL)
        return LN_ERR_STATE; /* a client's connection */
    if (c->phase != LN_CONN_OPEN)
        return LN_ERR_CLOSED;
    ln_topics_listener *const l = listener_of(c);
    if (l == NULL)
        return LN_ERR_NOMEM;
    ln_topics_unpark(l);
    l->send = send;
    return 0;
}

int ln_topics_tally(ln_conn *c, _Atomic uint64_t tally[LN_TOPICS_COUNTS])
{
    if (ln_conn_home(c)->service == NULL)
        return LN_ERR_STATE; /* a client's connection */
    ln_topics_listener *const l = c->phase == LN_CONN_OPEN ? listener_of(c) : NULL;
    if (l == NULL)
        return c->phase == LN_CONN_OPEN ? LN_ERR_NOMEM : LN_ERR_CLOSED;
    ln_topics_unpark(l);
    l->tally = tally;
    return 0;
}

int ln_topics_subscribe(ln_conn *c, ln_span topic)
{
    ln_topics_side *const here = ln_conn_home(c)->service;

    if (here == NULL)
        return LN_ERR_STATE; /* a client's connection */
    if (c->phase != LN_CONN_OPEN)
        return LN_ERR_CLOSED;
    ln_topics_listener *const l = listener_of(c);
    if (l == NULL)
        return LN_ERR_NOMEM;
    ln_lock_take(&here->lock);
    const int rc = ln_hub_subscribe(here->hub, &l->subscriber, topic);
    ln_lock_give(&here->lock);
    return rc;
}

int ln_conn_subscribe(ln_conn *c, ln_span topic)
{
    return ln_topics_is_reserved(topic) ? LN_ERR_INVALID : ln_topics_subscribe(c, topic);
}

int ln_conn_unsubscribe(ln_conn *c, ln_span topic)
{
    ln_topics_side *const here = ln_conn_home(c)->service;
    ln_topics_listener *const l = here == NULL ? NULL : ln_conn_attachment(c);

    if (l == NULL)
        return LN_ERR_NOT_FOUND;
    ln_lock_take(&here->lock);
    const int rc = ln_hub_unsubscribe(here->hub, &l->subscriber, topic);
    ln_lock_give(&here->lock);
    return rc;
}

static void on_gone(ln_conn *c, void *attachment)
{
    ln_home *const home = ln_conn_home(c);
    ln_topics_side *const here = home->service;
    ln_topics_listener *const l = attachment;

    if (l == NULL)
        return; /* never subscribed */
    ln_lock_take(&here->lock);
    ln_hub_leave_all(here->hub, &l->subscriber);
    ln_lock_give(&here->lock);
    ln_free(home->alloc, l);
}

/* ---- publishing ---- */

int ln_topics_publish(ln_home *home, ln_msg *m, ln_hub_result *result)
{
    ln_topics_side *const here = home->service;

    if (here == NULL)
        return LN_ERR_STATE;
    begin_delivering(here);
    const int rc = ln_hub_publish(here->hub, m, result);
    end_delivering(here);
    return rc;
}

int ln_topics_deliver(ln_home *home, ln_msg *m, ln_hub_result *result)
{
    ln_topics_side *const here = home->service;

    if (here == NULL)
        return LN_ERR_STATE;
    begin_delivering(here);
    const int rc = ln_hub_deliver(here->hub, m, result);
    end_delivering(here);
    return rc;
}

static int publish_from(ln_conn *c, ln_span topic, enum ln_kind kind, ln_span data,
                        uint64_t excluded, ln_publish_result *result)
{
    ln_home *const home = ln_conn_home(c);
    ln_hub_result r = {.delivered = 0};

    if (home->service == NULL)
        return LN_ERR_STATE;
    if (ln_topics_is_reserved(topic) || (kind != LN_TEXT && kind != LN_BINARY))
        return LN_ERR_INVALID;
    ln_msg *const m =
        ln_msg_new(home->alloc, (ln_msg_kind)kind, topic, (ln_span){NULL, 0}, data, c->id);
    if (m == NULL)
        return LN_ERR_NOMEM;
    m->excluded = excluded;
    int rc = ln_topics_publish(home, m, &r);
    ln_msg_unref(m);
    if (rc == LN_ERR_WOULD_EXCEED) { /* delivered here; another worker is too far behind */
        ln_count(&home->counters.dropped, 1);
        r.dropped++;
        rc = 0;
    }
    if (rc == 0 && result != NULL)
        *result = (ln_publish_result){r.delivered, r.queued, r.dropped, r.closed};
    return rc;
}

int ln_conn_publish(ln_conn *c, ln_span topic, enum ln_kind kind, ln_span data,
                    ln_publish_result *result)
{
    return publish_from(c, topic, kind, data, 0, result);
}

int ln_conn_publish_others(ln_conn *c, ln_span topic, enum ln_kind kind, ln_span data,
                           ln_publish_result *result)
{
    return publish_from(c, topic, kind, data, c->id, result);
}

/* The worker whose thread this is, or NULL. */
static ln_worker *worker_here(const ln_server *server)
{
    ln_loop *const loop = ln_loop_current();

    for (unsigned i = 0; loop != NULL && i < server->worker_count; i++) {
        if (server->workers[i].home.loop == loop)
            return &server->workers[i];
    }
    return NULL;
}

int ln_topics_publish_from_anywhere(ln_server *server, ln_msg *m)
{
    const ln_topics *const topics = server->service_state;
    ln_worker *const here = worker_here(server);

    if (atomic_load(&server->state) != LN_SERVER_RUNNING)
        return LN_ERR_STATE;
    return here != NULL ? ln_topics_publish(&here->home, m, NULL)
                        : ln_mesh_publish(topics->mesh, m);
}

int ln_publish(ln_server *server, ln_span topic, enum ln_kind kind, ln_span data)
{
    if (!ln_topics_is_open(topic) || (kind != LN_TEXT && kind != LN_BINARY))
        return LN_ERR_INVALID;
    if (atomic_load(&server->state) != LN_SERVER_RUNNING)
        return LN_ERR_STATE;
    ln_msg *const m =
        ln_msg_new(server->alloc, (ln_msg_kind)kind, topic, (ln_span){NULL, 0}, data, 0);
    if (m == NULL)
        return LN_ERR_NOMEM;
    const int rc = ln_topics_publish_from_anywhere(server, m);
    ln_msg_unref(m);
    return rc;
}

size_t ln_topic_count(ln_server *server, ln_span topic)
{
    size_t count = 0;

    if (atomic_load(&server->state) != LN_SERVER_RUNNING)
        return 0;
    for (unsigned i = 0; i < server->worker_count; i++) {
        ln_topics_side *const there = server->workers[i].home.service;
        ln_lock_take(&there->lock);
        count += ln_hub_member_count(there->hub, topic);
        ln_lock_give(&there->lock);
    }
    return count;
}

/* ---- guests ---- */

static int seat(ln_topics_side *first, ln_topics_guest *guest)
{
    ln_lock_take(&first->lock);
    const int rc = ln_hub_subscribe(first->hub, &guest->subscriber, guest->topic);
    ln_lock_give(&first->lock);
    return rc;
}

static void unseat(ln_topics_side *first, ln_topics_guest *guest)
{
    ln_lock_take(&first->lock);
    ln_hub_leave_all(first->hub, &guest->subscriber);
    ln_lock_give(&first->lock);
}

/* Before there is a hub to say so: else the server would not start. */
static int check_guest(ln_span topic)
{
    if (ln_topics_is_reserved(topic) || !ln_name_is_valid(topic, LN_DEFAULT_TOPIC_MAX_BYTES))
        return LN_ERR_INVALID;
    return ln_filter_is(topic) ? ln_filter_check(topic) : 0;
}

int ln_topics_invite(ln_server *server, ln_topics_guest *guest, ln_deliver_fn *take)
{
    ln_topics *const t = server->service_state;

    int rc = check_guest(guest->topic);
    if (rc < 0)
        return rc;
    ln_subscriber_init(&guest->subscriber, take, 0);
    ln_lock_take(&t->lock);
    rc = t->first == NULL ? 0 : seat(t->first, guest);
    if (rc == 0)
        ln_list_add(&t->guests, &guest->link);
    ln_lock_give(&t->lock);
    return rc;
}

void ln_topics_dismiss(ln_server *server, ln_topics_guest *guest)
{
    ln_topics *const t = server->service_state;

    ln_lock_take(&t->lock);
    ln_list_remove(&guest->link);
    if (t->first != NULL)
        unseat(t->first, guest);
    ln_lock_give(&t->lock);
}

/* Worker 0 begins: it has `here`. */
static int seat_all(ln_topics *t, ln_topics_side *here)
{
    int rc = 0;

    ln_lock_take(&t->lock);
    for (ln_link *l = t->guests.next; l != &t->guests && rc == 0; l = l->next)
        rc = seat(here, LN_CONTAINER_OF(l, ln_topics_guest, link));
    t->first = here;
    ln_lock_give(&t->lock);
    return rc;
}

static void unseat_all(ln_topics *t)
{
    ln_lock_take(&t->lock);
    for (ln_link *l = t->guests.next; l != &t->guests; l = l->next)
        unseat(t->first, LN_CONTAINER_OF(l, ln_topics_guest, link));
    t->first = NULL;
    ln_lock_give(&t->lock);
}

/* ---- life ---- */

void *ln_topics_new(const ln_allocator *alloc)
{
    uint64_t seed[2];
    ln_topics *const t = ln_alloc_zero(alloc, sizeof *t);

    if (t == NULL)
        return NULL;
    t->alloc = alloc;
    ln_random_fill(seed, sizeof seed);
    t->mesh = ln_mesh_new(alloc, seed);
    if (t->mesh == NULL) {
        ln_free(alloc, t);
        return NULL;
    }
    ln_lock_init(&t->lock);
    ln_list_init(&t->guests);
    return t;
}

static void free_topics(void *state)
{
    ln_topics *const t = state;

    if (t == NULL)
        return;
    ln_mesh_free(t->mesh);
    ln_lock_fini(&t->lock);
    ln_free(t->alloc, t);
}

static void stop(void *state, ln_home *home)
{
    ln_topics *const t = state;
    ln_topics_side *const here = home->service;

    if (t->first == here)
        unseat_all(t);
    home->service = NULL;
    ln_hub_free(here->hub);
    ln_topics_free_accounts(here);
    ln_lock_fini(&here->lock);
    ln_free(t->alloc, here);
}

static int start(void *state, ln_home *home)
{
    static const ln_hub_limits limits = {LN_DEFAULT_TOPIC_MAX_BYTES,
                                         LN_DEFAULT_TOPICS_PER_CONNECTION};
    ln_topics *const t = state;
    uint64_t seed[2];
    ln_topics_side *const here = ln_alloc_zero(t->alloc, sizeof *here);

    if (here == NULL)
        return LN_ERR_NOMEM;
    ln_random_fill(seed, sizeof seed);
    here->hub = ln_hub_new(t->alloc, &limits, seed);
    if (here->hub == NULL) {
        ln_free(t->alloc, here);
        return LN_ERR_NOMEM;
    }
    here->topics = t;
    here->home = home;
    ln_lock_init(&here->lock);
    ln_mesh_join(t->mesh, here->hub, home->worker, home->loop, on_parcel, here);
    ln_hub_attach(here->hub, ln_mesh_backplane(t->mesh));
    home->service = here;
    const int rc = home->worker == 0 ? seat_all(t, here) : 0;
    if (rc < 0)
        stop(t, home);
    return rc;
}

static void on_room(ln_conn *c, void *attachment)
{
    (void)c;
    ln_topics_unpark(attachment);
}

static const ln_conn_hooks hooks = {.on_gone = on_gone, .on_room = on_room};

const ln_service ln_topics_service = {
    .hooks = &hooks, .start = start, .stop = stop, .free = free_topics};

ln_server *ln_server_new(const ln_server_options *options)
{
    const ln_allocator *const alloc =
        options == NULL || options->allocator == NULL ? &ln_alloc_libc : options->allocator;
    void *const topics = ln_topics_new(alloc);
    ln_server *const server =
        topics == NULL ? NULL : ln_server_create(options, &ln_topics_service, topics);

    if (server == NULL)
        free_topics(topics);
    return server;
}
