/* SPDX-License-Identifier: MIT */
/* rooms.c - mounting the rooms dialect (linnet/rooms.h): options, their checks, the end. */
#include <linnet/rooms.h>
#include <string.h>
#include <time.h>

#include "base/limits.h"
#include "base/text.h"
#include "hub/filter.h"
#include "net/random.h"
#include "roomsinner.h"

enum { RULE_NAME_MAX_BYTES = 128 };

uint64_t ln_rooms_wall_ms(void)
{
    struct timespec now;

    timespec_get(&now, TIME_UTC);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* ---- names ---- */

static bool is_name(ln_span name)
{
    const char *const p = name.data;

    if (name.size == 0 || name.size > RULE_NAME_MAX_BYTES)
        return false;
    for (size_t i = 0; i < name.size; i++) {
        const bool is_letter = (p[i] >= 'a' && p[i] <= 'z') || (p[i] >= 'A' && p[i] <= 'Z');
        const bool is_other =
            (p[i] >= '0' && p[i] <= '9') || (p[i] != '\0' && strchr("._:-", p[i]) != NULL);
        if (!is_letter && !is_other)
            return false;
    }
    return true;
}

bool ln_rooms_is_room(const ln_rooms *rm, ln_span name)
{
    if (rm->options.is_room == NULL)
        return is_name(name);
    return ln_hub_is_topic(name, LN_ROOMS_NAME_MAX_BYTES) && !ln_topics_is_reserved(name) &&
           rm->options.is_room(name, rm->options.user);
}

/* ---- options ---- */

static int settle(const char *row, uint32_t *value)
{
    return ln_limit_get(ln_limit_find(ln_text(row)), *value, value);
}

static int settle_bucket(uint32_t per_second, uint32_t burst, ln_bucket_rate *rate)
{
    rate->per_second = per_second;
    rate->burst = burst;
    int rc = settle("ROOMS_RATE", &rate->per_second);
    if (rc == 0)
        rc = settle("ROOMS_RATE_BURST", &rate->burst);
    if (rate->burst == 0)
        rate->burst = (uint32_t)ln_min_size(2 * (size_t)rate->per_second, LN_BUCKET_BURST_MAX);
    return rc;
}

static int settle_rate(const ln_rooms_rate *asked, ln_rates_limit *limit)
{
    const int rc =
        settle_bucket(asked->messages_per_second, asked->messages_burst, &limit->messages);
    return rc < 0 ? rc : settle_bucket(asked->kib_per_second, asked->kib_burst, &limit->kib);
}

static bool is_limit(const ln_rates_limit *limit)
{
    return limit->messages.per_second > 0 || limit->kib.per_second > 0;
}

static int make_sides(ln_rooms *rm)
{
    const ln_rooms_options *const o = &rm->options;
    ln_rates_options rates = {.v4_bits = 0};

    int rc = settle_rate(&o->connection_rate, &rm->connection_rate);
    if (rc == 0)
        rc = settle_rate(&o->address_rate, &rates.address);
    if (rc == 0)
        rc = settle_rate(&o->user_rate, &rates.user);
    rm->has_rates =
        is_limit(&rm->connection_rate) || is_limit(&rates.address) || is_limit(&rates.user);
    return rc < 0 ? rc : ln_rooms_sides_init(rm, &rates);
}

static int settle_limits(ln_rooms_options *o)
{
    int rc = settle("ROOMS_MAX", &o->rooms_max);
    if (rc == 0)
        rc = settle("ROOMS_ROOM_MEMBERS_MAX", &o->room_members_max);
    if (rc == 0)
        rc = settle("ROOMS_MEMBERS_MAX", &o->members_max);
    if (rc == 0)
        rc = settle("ROOMS_JOINS_PER_SECOND", &o->joins_per_second);
    if (rc == 0)
        rc = settle("ROOMS_BROADCAST_MAX_BYTES", &o->broadcast_max_bytes);
    if (rc == 0 && (o->mode == LN_ROOMS_STRICT || o->text_max_bytes > 0))
        rc = settle("ROOMS_TEXT_MAX_BYTES", &o->text_max_bytes);
    return rc;
}

/* What depends on the mode; it is one. */
static void settle_mode(ln_rooms_options *o)
{
    const bool is_strict = o->mode == LN_ROOMS_STRICT;

    if (o->tokens == LN_ROOMS_TOKENS_BY_MODE)
        o->tokens = is_strict ? LN_ROOMS_TOKENS_REQUIRED : LN_ROOMS_TOKENS_OPTIONAL;
    if (o->text == LN_ROOMS_TEXT_BY_MODE && is_strict)
        o->text = LN_ROOMS_TEXT_NO_NEWLINES | LN_ROOMS_TEXT_NO_TABS | LN_ROOMS_TEXT_NO_CONTROLS |
                  LN_ROOMS_TEXT_NOT_EMPTY;
    if (o->text & LN_ROOMS_TEXT_ANY)
        o->text = 0;
}

static bool is_sane(const ln_rooms_options *o)
{
    const uint32_t text = LN_ROOMS_TEXT_ANY | LN_ROOMS_TEXT_NO_NEWLINES | LN_ROOMS_TEXT_NO_TABS |
                          LN_ROOMS_TEXT_NO_CONTROLS | LN_ROOMS_TEXT_NOT_EMPTY;

    return (unsigned)o->mode <= LN_ROOMS_STRICT &&
           (unsigned)o->tokens <= LN_ROOMS_TOKENS_REQUIRED &&
           (unsigned)o->excess <= LN_ROOMS_CLOSE && (o->text & ~text) == 0 &&
           (o->admin_secret.size == 0 || o->admin_secret.size >= LN_ROOMS_SECRET_MIN_BYTES);
}

/* ---- parts ---- */

static int copy_texts(ln_rooms *rm, const char *path)
{
    const ln_rooms_options *const o = &rm->options;
    const ln_span room = o->default_room == NULL ? LN_SPAN("default") : ln_text(o->default_room);
    const ln_span origins = ln_text(o->ws == NULL ? NULL : o->ws->origins);

    rm->path = ln_strndup(rm->alloc, path, strlen(path));
    rm->default_room = ln_strndup(rm->alloc, room.data, room.size);
    rm->origins = ln_strndup(rm->alloc, origins.size > 0 ? origins.data : "", origins.size);
    rm->admin_secret = o->admin_secret.size == 0
                           ? NULL
                           : ln_strndup(rm->alloc, o->admin_secret.data, o->admin_secret.size);
    if (rm->path == NULL || rm->default_room == NULL || rm->origins == NULL ||
        (o->admin_secret.size > 0 && rm->admin_secret == NULL))
        return LN_ERR_NOMEM;
    rm->options.admin_secret.data = rm->admin_secret;
    return ln_rooms_is_room(rm, ln_text(rm->default_room)) ? 0 : LN_ERR_INVALID;
}

static int copy_queues(ln_rooms *rm, const ln_rooms_options *o)
{
    if (o->queue_count > LN_ROOMS_QUEUES_MAX)
        return LN_ERR_LIMIT;
    if (o->queue_count == 0)
        return 0;
    rm->queues = ln_alloc_zero(rm->alloc, o->queue_count * sizeof *rm->queues);
    if (rm->queues == NULL)
        return LN_ERR_NOMEM;
    for (size_t i = 0; i < o->queue_count; i++) {
        const ln_span pattern = ln_text(o->queues[i].pattern);
        if (pattern.size == 0 || (ln_filter_is(pattern) && ln_filter_check(pattern) < 0))
            return LN_ERR_INVALID;
        char *const copy = ln_strndup(rm->alloc, pattern.data, pattern.size);
        if (copy == NULL)
            return LN_ERR_NOMEM;
        rm->queues[i] = (ln_rooms_queue){copy, o->queues[i].queue};
        rm->queue_count++;
    }
    return 0;
}

static int make_capacity(ln_rooms *rm)
{
    const ln_rooms_options *const o = &rm->options;
    const ln_capacity_bounds bounds = {
        .topics = o->rooms_max, .per_topic = o->room_members_max, .all = o->members_max};
    uint64_t seed[2];

    ln_random_fill(seed, sizeof seed);
    rm->capacity = ln_capacity_new(rm->alloc, &bounds, seed);
    rm->desk = o->presence ? ln_presence_new(rm->alloc) : NULL;
    return rm->capacity == NULL || (o->presence && rm->desk == NULL) ? LN_ERR_NOMEM : 0;
}

/* What can fail; what was made is free_rooms()'s. */
static int fill(ln_rooms *rm, const char *path)
{
    ln_rooms_options *const o = &rm->options;

    int rc = settle_limits(o);
    if (rc < 0)
        return rc;
    settle_mode(o);
    rm->joins = (ln_bucket_rate){o->joins_per_second, 2 * o->joins_per_second};
    ln_bucket_init(&rm->join_bucket, &rm->joins, 0);
    rc = copy_texts(rm, path);
    if (rc == 0)
        rc = copy_queues(rm, o);
    if (rc == 0)
        rc = make_sides(rm);
    if (rc == 0)
        rc = make_capacity(rm);
    if (rc == 0)
        rc = ln_rooms_set_policy(rm, &o->policy);
    return rc;
}

/* ---- life ---- */

static void free_rooms(void *state)
{
    ln_rooms *const rm = state;

    for (unsigned i = 0; rm->sides != NULL && i < rm->server->worker_count; i++) {
        ln_rates_fini(&rm->sides[i].attempts);
        ln_rates_fini(&rm->sides[i].rates);
    }
    for (size_t i = 0; i < rm->queue_count; i++)
        ln_free(rm->alloc, (void *)(uintptr_t)rm->queues[i].pattern);
    ln_free(rm->alloc, rm->queues);
    ln_rooms_policy_fini(rm);
    ln_presence_free(rm->desk);
    ln_capacity_free(rm->capacity);
    ln_free(rm->alloc, rm->sides);
    ln_free(rm->alloc, rm->path);
    ln_free(rm->alloc, rm->default_room);
    ln_free(rm->alloc, rm->origins);
    if (rm->admin_secret != NULL)
        explicit_bzero(rm->admin_secret, rm->options.admin_secret.size);
    ln_free(rm->alloc, rm->admin_secret);
    ln_free(rm->alloc, rm);
}

/* An ln_allocator that only frees: what an unused guest holds goes with it. */
static void *release(void *user, void *old, size_t size)
{
    (void)user;
    LN_ASSERT(size == 0);
    ln_rooms_let_go(old);
    return NULL;
}

static int make(ln_server *server, const char *path, const ln_rooms_options *o, ln_rooms **made)
{
    if (!is_sane(o))
        return LN_ERR_INVALID;
    ln_rooms *const rm = ln_alloc_zero(server->alloc, sizeof *rm);
    if (rm == NULL)
        return LN_ERR_NOMEM;
    rm->server = server;
    rm->alloc = server->alloc;
    rm->options = *o;
    rm->releaser = (ln_allocator){.resize = release};
    ln_rooms_policy_init(rm);
    const int rc = fill(rm, path);
    if (rc < 0) {
        free_rooms(rm);
        return rc;
    }
    rm->options.policy = (ln_rooms_policy){.auth = NULL}; /* what was copied is not kept */
    rm->options.queues = NULL;
    *made = rm;
    return 0;
}

/* Could the endpoint's connections have such queues? */
static int check_queues(const ln_rooms *rm, const ln_plan *plan)
{
    ln_queue_options settled;
    int rc = 0;

    for (size_t i = 0; i < rm->queue_count && rc == 0; i++)
        rc = ln_plan_queue(plan, &rm->queues[i].queue, &settled);
    return rc;
}

/* Whoever sent it, and to whomever else. */
static void on_displaced(const ln_conn *c, void *user)
{
    ln_rooms *const rm = user;

    ln_count(&ln_rooms_side_of(rm, ln_conn_home(c))->counts.displaced, 1);
}

/* What only a dialect can ask for: the endpoint is the last route. */
static int complete_plan(ln_rooms *rm)
{
    const ln_routes *const routes = &rm->server->routes;
    ln_plan *const plan = &routes->list[routes->count - 1]->plan;

    plan->refuse = ln_rooms_on_malformed;
    plan->on_displaced = on_displaced;
    return check_queues(rm, plan);
}

static int add_routes(ln_rooms *rm)
{
    const ln_ws_handlers handlers = {.on_request = ln_rooms_on_request,
                                     .on_open = ln_rooms_on_open,
                                     .on_message = ln_rooms_on_message,
                                     .on_close = ln_rooms_on_close,
                                     .user = rm};
    ln_ws_options ws = {.origins = NULL};

    if (rm->options.ws != NULL)
        ws = *rm->options.ws;
    ws.origins = "*"; /* looked at here, so that the refusal is JSON */
    int rc = ln_server_ws(rm->server, rm->path, &handlers, &ws);
    if (rc == 0)
        rc = complete_plan(rm);
    if (rc == 0 && rm->admin_secret != NULL)
        rc = ln_rooms_admin_mount(rm);
    if (rc == 0)
        rc = ln_server_own(rm->server, rm, free_rooms);
    rm->options.ws = NULL;
    return rc;
}

int ln_rooms_mount(ln_server *server, const char *path, const ln_rooms_options *options)
{
    static const ln_rooms_options no_options;
    const unsigned before = server->routes.count;
    ln_rooms *rm;

    if (atomic_load(&server->state) != LN_SERVER_NEW)
        return LN_ERR_STATE;
    int rc = make(server, path, options == NULL ? &no_options : options, &rm);
    if (rc < 0)
        return rc;
    rc = add_routes(rm);
    if (rc == 0)
        return 0;
    while (server->routes.count > before)
        ln_routes_remove_last(&server->routes);
    free_rooms(rm);
    return rc;
}

ln_rooms *ln_rooms_find(const ln_server *server, const char *path)
{
    const ln_routes *const routes = &server->routes;

    for (unsigned i = 0; i < routes->count; i++) {
        const ln_route *const r = routes->list[i];
        if (r->kind == LN_ROUTE_WS && r->plan.handlers.on_message == ln_rooms_on_message &&
            ln_text_equal(r->path, ln_text(path)))
            return r->plan.handlers.user;
    }
    return NULL;
}
