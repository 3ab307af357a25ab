/* SPDX-License-Identifier: MIT */
/*
 * client.c - a client: resolve, connect, shake hands, be a connection, and again.
 *
 * States                     left by
 *   IDLE                     ln_client_stop(); or never connected
 *   WAITING  (timer)         the back-off is over -> RESOLVING
 *   RESOLVING                addresses -> CONNECTING; none -> failed
 *   CONNECTING (one of them) connected -> SHAKING; the next address, or failed
 *   SHAKING  (a conn, HTTP)  101 -> OPEN; anything else -> failed, once a short body has been read
 *   OPEN     (a conn)        on_close -> WAITING or IDLE
 *
 * "failed" tells on_failure and goes to WAITING or IDLE. One deadline covers RESOLVING to SHAKING.
 */
#include <stdio.h>
#include <string.h>

#include "base/limits.h"
#include "clientinner.h"

static void try_next_address(ln_client *k);
static void begin(ln_client *k);

/* ---- failing and waiting ---- */

/* Full jitter: anything between now and the exponential step, so that a crowd spreads (AWS
 * builders' library, 2015). */
static uint64_t backoff_ms(ln_client *k)
{
    const unsigned doublings = k->failures < 20 ? k->failures : 20;
    uint64_t step = (uint64_t)k->reconnect_base_ms << doublings;
    uint32_t random;

    if (step > k->reconnect_max_ms)
        step = k->reconnect_max_ms;
    ln_loop_random(k->home.loop, &random, sizeof random);
    return step * random >> 32;
}

/* What is under way ends; the connection, if there is one, on its own. */
static void let_go(ln_client *k)
{
    ln_timer_clear(&k->home.loop->wheel, &k->timer);
    if (k->resolve != NULL)
        ln_resolve_cancel(k->resolve);
    if (k->connect != NULL)
        ln_connect_cancel(k->connect);
    k->resolve = NULL;
    k->connect = NULL;
    ln_free(k->home.alloc, k->refusal);
    k->refusal = NULL;
}

static bool may_retry(const ln_client *k)
{
    return k->reconnect && !k->is_stopped &&
           (k->attempts_max == 0 || k->failures < k->attempts_max);
}

/* After an end of any kind: wait and try again, or rest. The wait, or -1. */
static int64_t plan(ln_client *k)
{
    k->state = LN_CLIENT_IDLE;
    if (!may_retry(k))
        return -1;
    const uint64_t wait = backoff_ms(k);
    k->failures++;
    k->state = LN_CLIENT_WAITING;
    ln_timer_set(&k->home.loop->wheel, &k->timer, k->home.loop->now_ms + wait);
    return (int64_t)wait;
}

void ln_client_fail(ln_client *k, int err, unsigned status, const char *what)
{
    let_go(k);
    if (k->conn != NULL) {
        ln_conn *const c = k->conn;
        k->conn = NULL;
        ln_conn_drop(c, err);
    }
    const int64_t retry_ms = plan(k);
    ln_log_say(k->home.loop->log, LN_LOG_DEBUG, k->home.loop->now_ms, "connecting failed",
               ln_log_pair("host", ln_text(k->opening.host)), ln_log_pair("reason", ln_text(what)));
    if (k->on_failure != NULL)
        k->on_failure(k, err, status, what, retry_ms, k->failure_user);
}

static void on_timer(ln_timer *timer)
{
    ln_client *const k = LN_CONTAINER_OF(timer, ln_client, timer);

    if (k->state == LN_CLIENT_WAITING)
        begin(k);
    else if (k->refusal != NULL)
        ln_client_refuse(k);
    else
        ln_client_fail(k, LN_ERR_TIMEOUT, 0, "the handshake took too long");
}

/* ---- connecting ---- */

static void on_connected(void *arg, int err, int fd)
{
    ln_client *const k = arg;

    k->connect = NULL;
    if (err < 0) {
        k->connect_error = err;
        try_next_address(k);
        return;
    }
    const int rc = ln_client_shake(k, fd);
    if (rc < 0)
        ln_client_fail(k, rc, 0, "the connection could not be set up");
}

static void try_next_address(ln_client *k)
{
    while (k->address_next < k->address_count) {
        const ln_address *const a = &k->addresses[k->address_next++];
        const int rc = ln_connect_start(k->home.loop, a, k->local.length > 0 ? &k->local : NULL,
                                        on_connected, k, &k->connect);
        if (rc == 0) {
            k->state = LN_CLIENT_CONNECTING;
            return;
        }
        k->connect_error = rc;
    }
    ln_client_fail(k, k->connect_error, 0, ln_strerror(k->connect_error));
}

static void on_resolved(void *arg, int err, const ln_address *addresses, unsigned count)
{
    ln_client *const k = arg;

    k->resolve = NULL;
    if (err < 0) {
        ln_client_fail(k, err, 0, ln_strerror(err));
        return;
    }
    memcpy(k->addresses, addresses, count * sizeof *addresses);
    k->address_count = count;
    k->address_next = 0;
    k->connect_error = LN_ERR_CONNECT;
    try_next_address(k);
}

static void begin(ln_client *k)
{
    const uint64_t due = k->home.loop->now_ms + k->plan.options.handshake_ms;

    k->state = LN_CLIENT_RESOLVING;
    ln_timer_set(&k->home.loop->wheel, &k->timer, due);
    const int rc = ln_resolve_start(k->home.loop, k->opening.host, k->opening.port, on_resolved, k,
                                    &k->resolve);
    if (rc < 0)
        ln_client_fail(k, rc, 0, ln_strerror(rc));
}

/* ---- being connected ---- */

void ln_client_opened(ln_client *k)
{
    ln_timer_clear(&k->home.loop->wheel, &k->timer);
    k->state = LN_CLIENT_OPEN;
    k->failures = 0;
}

/* The connection's on_close has come and gone. */
static void on_gone(ln_conn *c, void *attachment)
{
    ln_client *const k = LN_CONTAINER_OF(ln_conn_home(c), ln_client, home);
    (void)attachment;

    if (k->conn != c)
        return; /* the client was freed inside on_close */
    k->conn = NULL;
    if (k->ending != NULL)
        ln_conn_drop(k->ending, 0); /* one may linger, not a row of them */
    k->ending = c;
    (void)plan(k);
}

void ln_client_forget(ln_conn *c, void *client)
{
    ln_client *const k = client;

    if (k->ending == c)
        k->ending = NULL;
}

static const ln_conn_hooks hooks = {.on_gone = on_gone};

/* ---- life ---- */

static int copy_tls(ln_client *k, const ln_tls_options *tls, const ln_client *from)
{
    static const ln_tls_options no_options;
    char error[LN_TLS_ERROR_MAX] = "";

    if (!k->opening.is_secure)
        return 0;
    const ln_tls_options *const o = tls == NULL ? &no_options : tls;
    const char *const name = o->server_name == NULL ? k->opening.host : o->server_name;
    k->server_name = ln_strndup(k->home.alloc, name, strlen(name));
    if (k->server_name == NULL)
        return LN_ERR_NOMEM;
    if (from != NULL && from->tls == NULL)
        return LN_ERR_INVALID;
    if (from != NULL) {
        k->tls = ln_tls_context_ref(from->tls);
        return 0;
    }
    const int rc = ln_tls_context_new_client(o, k->home.alloc, &k->tls, error);
    if (rc < 0)
        ln_log_say(k->home.loop->log, LN_LOG_ERROR, k->home.loop->now_ms, "TLS cannot be set up",
                   ln_log_pair("reason", ln_text(error)));
    return rc;
}

/* An address as it stands in no URL: without brackets, without a port. */
static int take_local(ln_client *k, const char *text)
{
    char full[LN_ADDRESS_TEXT_MAX];

    if (text == NULL)
        return 0;
    const bool is_v6 = strchr(text, ':') != NULL;
    const int n = snprintf(full, sizeof full, "%s%s%s:0", is_v6 ? "[" : "", text, is_v6 ? "]" : "");
    if (text[0] == '\0' || n < 0 || (size_t)n >= sizeof full)
        return LN_ERR_INVALID;
    return ln_address_parse(ln_text(full), &k->local) < 0 ? LN_ERR_INVALID : 0;
}

static int settle(const char *name, uint32_t asked, uint32_t *value)
{
    return ln_limit_get(ln_limit_find(ln_text(name)), asked, value);
}

static int take_options(ln_client *k, const ln_ws_handlers *handlers, const ln_client_options *o)
{
    int rc = ln_plan_init(&k->plan, handlers, &o->ws, k->home.alloc);
    if (rc == 0)
        rc = settle("RECONNECT_BASE_MS", o->reconnect_base_ms, &k->reconnect_base_ms);
    if (rc == 0)
        rc = settle("RECONNECT_MAX_MS", o->reconnect_max_ms, &k->reconnect_max_ms);
    if (rc == 0)
        rc = take_local(k, o->local_address);
    if (rc == 0)
        rc = copy_tls(k, o->tls, o->tls_of);
    k->reconnect = o->reconnect;
    k->attempts_max = o->reconnect_attempts;
    k->on_failure = o->on_failure;
    k->failure_user = o->user;
    return rc;
}

static void destroy(ln_client *k)
{
    const ln_allocator *const alloc = k->home.alloc;

    ln_opening_fini(&k->opening, alloc);
    ln_free(alloc, k->server_name);
    ln_plan_fini(&k->plan, alloc);
    ln_head_fini(&k->parser);
    ln_tls_context_unref(k->tls);
    ln_home_fini(&k->home);
    ln_free(alloc, k);
}

int ln_client_new(ln_loop *loop, const char *url, const ln_ws_handlers *handlers,
                  const ln_client_options *options, ln_client **client)
{
    static const ln_client_options no_options;
    ln_client *const k = ln_alloc_zero(loop->alloc, sizeof *k);

    if (k == NULL)
        return LN_ERR_NOMEM;
    ln_home_init(&k->home, loop, loop->alloc);
    k->home.hooks = &hooks;
    ln_timer_init(&k->timer, on_timer);
    const ln_client_options *const o = options == NULL ? &no_options : options;
    int rc =
        ln_opening_init(&k->opening, url, o->headers, o->header_count, o->origin, k->home.alloc);
    if (rc == 0)
        rc = take_options(k, handlers, o);
    if (rc == 0) {
        ln_site_init(&k->site, &k->home, &k->plan, LN_WS_CLIENT);
        rc = ln_client_check_request(k);
    }
    if (rc < 0) {
        destroy(k);
        return rc;
    }
    *client = k;
    /* the first attempt is the next turn's, when the caller knows its handle */
    k->state = LN_CLIENT_WAITING;
    ln_timer_set(&loop->wheel, &k->timer, loop->now_ms);
    return 0;
}

ln_conn *ln_client_conn(const ln_client *k)
{
    return k->state == LN_CLIENT_OPEN ? k->conn : NULL;
}

void ln_client_stop(ln_client *k)
{
    k->is_stopped = true;
    let_go(k);
    if (k->conn != NULL && k->state == LN_CLIENT_OPEN) {
        (void)ln_conn_close(k->conn, 1000, (ln_span){NULL, 0}); /* closing already is as good */
        return;
    }
    if (k->conn != NULL) {
        ln_conn *const c = k->conn;
        k->conn = NULL;
        ln_conn_drop(c, 0);
    }
    k->state = LN_CLIENT_IDLE;
}

/* The last connection's memory is gone, and the client was freed meanwhile. */
static void on_empty(ln_home *home)
{
    destroy(LN_CONTAINER_OF(home, ln_client, home));
}

void ln_client_free(ln_client *k)
{
    if (k == NULL)
        return;
    k->reconnect = false;
    k->is_stopped = true;
    let_go(k);
    ln_conn *const c = k->conn;
    if (c != NULL) {
        ln_conn_drop(c, 0);
        ln_conn_end(c); /* on_close comes from here, if it is owed */
    }
    k->conn = NULL;
    if (k->ending != NULL) {
        ln_conn_drop(k->ending, 0);
        ln_conn_end(k->ending);
    }
    if (k->home.conn_count == 0) {
        destroy(k);
        return;
    }
    k->home.on_empty = on_empty;
    k->home.is_draining = true;
}
