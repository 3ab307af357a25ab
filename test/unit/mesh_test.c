/* SPDX-License-Identifier: MIT */
/* The mesh between bare hubs on bare loops: first turned by hand, then on threads that race. */
#include "failing_alloc.h"

#include <linnet/loop.h>
#include <stdio.h>
#include <time.h>

#include "dialect/mesh.h"
#include "net/thread.h"

enum { WORKERS = 3, BATCH = 100, BATCHES = 400, PERIOD = 64 /* turns in or out */ };

static const ln_hub_limits limits = {.topic_max_bytes = 64, .topics_per_subscriber = 64};
static const uint64_t seed[2] = {1, 2};

/* A worker's hub with one subscriber that writes down payloads. */
typedef struct worker {
    ln_loop *loop;
    ln_hub *hub;
    ln_subscriber sub;
    ln_thread thread;
    unsigned parcels;
    char heard[256];
} worker;

typedef struct world {
    failing_alloc fa;
    ln_mesh *mesh;
    worker workers[WORKERS];
} world;

static ln_delivery on_message(ln_subscriber *s, ln_msg *m)
{
    worker *w = LN_CONTAINER_OF(s, worker, sub);
    sprintf(w->heard + strlen(w->heard), "%.*s ", (int)m->payload.size,
            (const char *)m->payload.data);
    return LN_DELIVERED;
}

static void on_parcel(void *arg, ln_msg *m)
{
    worker *w = arg;
    w->parcels++;
    assert_int_equal(ln_hub_deliver(w->hub, m, NULL), 0);
}

static int set_up(void **state)
{
    world *w = calloc(1, sizeof *w);
    failing_alloc_init(&w->fa, FAILING_NEVER);
    w->mesh = ln_mesh_new(&w->fa.hook, seed);
    assert_non_null(w->mesh);
    for (unsigned i = 0; i < WORKERS; i++) {
        worker *one = &w->workers[i];
        assert_int_equal(ln_loop_new(NULL, &one->loop), 0);
        one->hub = ln_hub_new(&w->fa.hook, &limits, seed);
        ln_subscriber_init(&one->sub, on_message, i + 1);
        ln_mesh_join(w->mesh, one->hub, i, one->loop, on_parcel, one);
        ln_hub_attach(one->hub, ln_mesh_backplane(w->mesh));
    }
    *state = w;
    return 0;
}

static int tear_down(void **state)
{
    world *w = *state;
    for (unsigned i = 0; i < WORKERS; i++) {
        ln_hub_leave_all(w->workers[i].hub, &w->workers[i].sub);
        ln_hub_free(w->workers[i].hub);
        ln_loop_free(w->workers[i].loop);
    }
    ln_mesh_free(w->mesh); /* insists that nothing is wanted any more */
    failing_alloc_assert_empty(&w->fa);
    free(w);
    return 0;
}

static ln_msg *make(const world *w, ln_span topic, const char *payload)
{
    return ln_msg_new(&w->fa.hook, LN_MSG_TEXT, topic, (ln_span){0},
                      (ln_span){payload, strlen(payload)}, 0);
}

static void turn_all(world *w)
{
    for (unsigned i = 0; i < WORKERS; i++)
        assert_int_equal(ln_loop_turn(w->workers[i].loop, 0), 0);
}

/* From worker `from`, or from none of them with WORKERS. */
static void publish(world *w, unsigned from, ln_span topic, const char *payload)
{
    ln_msg *m = make(w, topic, payload);
    if (from == WORKERS)
        assert_int_equal(ln_mesh_publish(w->mesh, m), 0);
    else if (topic.size == 0)
        assert_int_equal(ln_hub_broadcast(w->workers[from].hub, m, NULL), 0);
    else
        assert_int_equal(ln_hub_publish(w->workers[from].hub, m, NULL), 0);
    ln_msg_unref(m);
}

static void join(world *w, unsigned who, ln_span topic)
{
    assert_int_equal(ln_hub_subscribe(w->workers[who].hub, &w->workers[who].sub, topic), 0);
}

static void leave(world *w, unsigned who, ln_span topic)
{
    assert_int_equal(ln_hub_unsubscribe(w->workers[who].hub, &w->workers[who].sub, topic), 0);
}

/* What the three have heard since the last time, and the parcels that 1 and 2 got for it. */
static void assert_heard(world *w, const char *zero, const char *one, const char *two,
                         unsigned parcels)
{
    turn_all(w);
    assert_string_equal(w->workers[0].heard, zero);
    assert_string_equal(w->workers[1].heard, one);
    assert_string_equal(w->workers[2].heard, two);
    assert_int_equal(w->workers[1].parcels + w->workers[2].parcels, parcels);
    for (unsigned i = 0; i < WORKERS; i++) {
        w->workers[i].heard[0] = '\0';
        w->workers[i].parcels = 0;
    }
}

/* -- By hand ----------------------------------------------------------------------------------- */

static void a_worker_gets_what_its_names_and_filters_ask_for(void **state)
{
    world *w = *state;
    join(w, 1, LN_SPAN("a.*"));
    join(w, 2, LN_SPAN("b.>"));
    publish(w, 0, LN_SPAN("a.x"), "1");
    publish(w, 0, LN_SPAN("b.x.y"), "2");
    publish(w, 0, LN_SPAN("c"), "3");
    publish(w, WORKERS, LN_SPAN("a.y"), "4");
    assert_heard(w, "", "1 4 ", "2 ", 3);
    leave(w, 1, LN_SPAN("a.*"));
    publish(w, 0, LN_SPAN("a.x"), "5");
    assert_heard(w, "", "", "", 0);
}

static void several_reasons_are_one_parcel(void **state)
{
    world *w = *state;
    join(w, 1, LN_SPAN("a.b"));
    join(w, 1, LN_SPAN("a.*"));
    join(w, 1, LN_SPAN(">"));
    join(w, 0, LN_SPAN("*.b"));
    publish(w, 0, LN_SPAN("a.b"), "1");
    assert_heard(w, "1 ", "1 ", "", 1);
    leave(w, 1, LN_SPAN("a.*"));
    leave(w, 1, LN_SPAN("a.b"));
    publish(w, 0, LN_SPAN("a.b"), "2");
    assert_heard(w, "2 ", "2 ", "", 1);
}

static void a_filter_of_two_workers_stays_until_both_have_left(void **state)
{
    world *w = *state;
    join(w, 1, LN_SPAN("a.*"));
    join(w, 2, LN_SPAN("a.*"));
    publish(w, 0, LN_SPAN("a.b"), "1");
    assert_heard(w, "", "1 ", "1 ", 2);
    leave(w, 1, LN_SPAN("a.*"));
    publish(w, 0, LN_SPAN("a.b"), "2");
    assert_heard(w, "", "", "2 ", 1);
    join(w, 1, LN_SPAN("a.*"));
    leave(w, 2, LN_SPAN("a.*"));
    publish(w, 0, LN_SPAN("a.b"), "3");
    assert_heard(w, "", "3 ", "", 1);
}

static void a_broadcast_goes_to_every_worker(void **state)
{
    world *w = *state;
    join(w, 0, LN_SPAN("a"));
    join(w, 1, LN_SPAN("b"));
    join(w, 1, LN_SPAN("c"));
    publish(w, 0, (ln_span){0}, "1");
    publish(w, WORKERS, (ln_span){0}, "2");
    assert_heard(w, "1 2 ", "1 2 ", "", 4);
}

static void refused_interest_undoes_the_subscription(void **state)
{
    world *w = *state;
    worker *one = &w->workers[1];
    for (size_t skip = 0;; skip++) {
        w->fa.mode = FAILING_ONCE;
        w->fa.fail_at = w->fa.calls + skip;
        const int rc = ln_hub_subscribe(one->hub, &one->sub, LN_SPAN("a.*"));
        failing_alloc_allow(&w->fa);
        publish(w, 0, LN_SPAN("a.b"), "x");
        assert_heard(w, "", rc == 0 ? "x " : "", "", rc == 0);
        if (rc == 0) {
            assert_true(skip > 8);
            return;
        }
        assert_int_equal(rc, LN_ERR_NOMEM);
    }
}

/* -- On threads -------------------------------------------------------------------------------- */

/*
 * Worker 0 publishes numbers to two names, a batch at a time; worker 1 joins and leaves a filter
 * meanwhile. Of what is published after a subscribe has returned, no number may be missing; before
 * it some may come that were still under way. Assertions are for the main thread: others count.
 */
typedef struct race {
    world *world;
    ln_subscriber sub;
    _Atomic unsigned begun; /* the last number whose publication may have begun */
    atomic_bool is_over;
    atomic_uint faults;
    unsigned batches;
    bool is_in;
    unsigned last; /* number heard */
    unsigned due;  /* from this one on all must come */
    unsigned turns, joins, heard;
} race;

static race race_state;

static void expect(race *r, bool holds)
{
    atomic_fetch_add(&r->faults, !holds);
}

static ln_delivery on_number(ln_subscriber *s, ln_msg *m)
{
    race *r = LN_CONTAINER_OF(s, race, sub);
    unsigned number;
    memcpy(&number, m->payload.data, sizeof number);
    expect(r, number > r->last && (number <= r->due || number == r->last + 1));
    r->last = number;
    r->heard++;
    return LN_DELIVERED;
}

/* On worker 1, again and again. */
static void toggle(void *arg)
{
    race *r = arg;
    worker *w = &r->world->workers[1];
    static const char *const filters[] = {"a.*", ">", "*.>"};
    const char *filter = filters[r->turns / PERIOD / 2 % 3];
    const ln_span name = {filter, strlen(filter)};
    const bool wants_in = r->turns++ / PERIOD % 2;

    if (atomic_load(&r->is_over)) {
        ln_hub_leave_all(w->hub, &r->sub);
        ln_loop_stop(w->loop);
        return;
    }
    if (r->is_in && !wants_in) {
        ln_hub_leave_all(w->hub, &r->sub);
    } else if (!r->is_in && wants_in) {
        r->joins++;
        expect(r, ln_hub_subscribe(w->hub, &r->sub, name) == 0);
        r->due = atomic_load(&r->begun) + 1;
    }
    r->is_in = wants_in;
    expect(r, ln_loop_post(w->loop, toggle, r) == 0);
}

static void publish_batch(void *arg);

/* On worker 1, behind the batch: so never more than one is under way. */
static void fence(void *arg)
{
    race *r = arg;
    expect(r, ln_loop_post(r->world->workers[0].loop, publish_batch, r) == 0);
}

static void publish_batch(void *arg)
{
    race *r = arg;
    worker *w = &r->world->workers[0];

    if (r->batches++ == BATCHES) {
        atomic_store(&r->is_over, true);
        ln_loop_stop(w->loop);
        return;
    }
    for (unsigned i = 0; i < BATCH; i++) {
        const unsigned number = atomic_fetch_add(&r->begun, 1) + 1;
        ln_msg *m =
            ln_msg_new(&r->world->fa.hook, LN_MSG_BINARY, i % 2 ? LN_SPAN("a.b") : LN_SPAN("a.c"),
                       (ln_span){0}, (ln_span){&number, sizeof number}, 0);
        expect(r, ln_hub_publish(w->hub, m, NULL) == 0);
        ln_msg_unref(m);
    }
    expect(r, ln_loop_post(r->world->workers[1].loop, fence, r) == 0);
}

static void *run(void *loop)
{
    return ln_loop_run(loop) == 0 ? NULL : loop;
}

static void what_is_published_after_a_subscribe_has_returned_arrives(void **state)
{
    world *w = *state;
    race *r = &race_state;
    *r = (race){.world = w};
    ln_subscriber_init(&r->sub, on_number, 99);
    assert_int_equal(ln_loop_post(w->workers[1].loop, toggle, r), 0);
    assert_int_equal(ln_loop_post(w->workers[0].loop, publish_batch, r), 0);
    for (unsigned i = 0; i < 2; i++)
        assert_int_equal(ln_thread_start(&w->workers[i].thread, run, w->workers[i].loop), 0);
    for (unsigned i = 0; i < 2; i++)
        ln_thread_join(&w->workers[i].thread);
    assert_int_equal(atomic_load(&r->faults), 0);
    assert_true(r->joins > 2 && r->heard > 0 && r->heard < BATCHES * BATCH);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_worker_gets_what_its_names_and_filters_ask_for, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(several_reasons_are_one_parcel, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_filter_of_two_workers_stays_until_both_have_left, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_broadcast_goes_to_every_worker, set_up, tear_down),
        cmocka_unit_test_setup_teardown(refused_interest_undoes_the_subscription, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(what_is_published_after_a_subscribe_has_returned_arrives,
                                        set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
