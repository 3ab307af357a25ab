/* SPDX-License-Identifier: MIT */
/*
 * brokerclient.c - a broker's client from its beginning to its end: attempts and their spacing, the
 * registration, and what is told to the application.
 *
 * State          `is_up`  left by
 *   CONNECTING   no       up() -> the registration is sent; down() -> WAITING, STOPPED
 *   CONNECTING   yes      its answer -> OPEN; an error, or no answer in time -> the line is closed
 *   OPEN         yes      down() -> WAITING, STOPPED
 *   WAITING      no       the timer -> CONNECTING
 *   STOPPED      no
 *
 * Leaving (is_leaving) may come in any of them: the line is closed if it is up, and down() makes it
 * STOPPED; else it is that at once.
 */
#include <string.h>

#include "base/limits.h"
#include "base/text.h"
#include "brokerclientitem.h"
#include "net/loop.h"
#include "net/random.h"
#include "proto/utf8.h"

enum { RANDOM_ID_SIZE = 32 };

/* ---- holding ---- */

static void destroy(ln_broker_client *k)
{
    ln_broker_client_free_topics(k);
    ln_broker_client_free_services(k);
    ln_map_fini(&k->by_name);
    ln_slots_fini(&k->names);
    while (!ln_list_is_empty(&k->spares)) {
        ln_broker_client_item *const it =
            LN_CONTAINER_OF(k->spares.next, ln_broker_client_item, link);
        ln_list_remove(&it->link);
        ln_buf_fini(&it->text);
        ln_free(k->alloc, it);
    }
    ln_buf_fini(&k->scratch);
    ln_buf_fini(&k->words);
    ln_broker_client_free_plan(k);
    ln_lock_fini(&k->lock);
    ln_free(k->alloc, k);
}

void ln_broker_client_hold(ln_broker_client *k)
{
    atomic_fetch_add_explicit(&k->refs, 1, memory_order_relaxed);
}

void ln_broker_client_release(ln_broker_client *k)
{
    if (atomic_fetch_sub_explicit(&k->refs, 1, memory_order_acq_rel) == 1)
        destroy(k);
}

bool ln_broker_client_is_here(const ln_broker_client *k)
{
    return k->loop == NULL || ln_loop_current() == k->loop;
}

/* ---- telling ---- */

void ln_broker_client_complain(ln_broker_client *k, int err, const char *what)
{
    if (k->plan.on_error != NULL && !k->is_freed)
        k->plan.on_error(k, err, what, k->plan.user);
}

static void set_state(ln_broker_client *k, int state)
{
    atomic_store_explicit(&k->state, state, memory_order_release);
}

static int state_of(const ln_broker_client *k)
{
    return atomic_load_explicit(&k->state, memory_order_acquire);
}

/* The state, if it is another one than that told before. Handlers may have changed it again. */
static void tell_state(ln_broker_client *k)
{
    const int state = state_of(k);

    if (k->told == state || k->is_freed)
        return;
    k->told = state;
    if (state == LN_BROKER_CLIENT_OPEN)
        ln_broker_client_wake(k, 0);
    else if (state == LN_BROKER_CLIENT_STOPPED)
        ln_broker_client_wake(k, LN_ERR_CLOSED);
    if (k->plan.on_state != NULL)
        k->plan.on_state(k, (enum ln_broker_client_state)state,
                         state == LN_BROKER_CLIENT_WAITING ? (int64_t)k->wait_ms : 0, k->plan.user);
}

/* ---- ending ---- */

/* Nothing is accepted any more. */
static void close_doors(ln_broker_client *k)
{
    k->is_leaving = true;
    ln_lock_take(&k->lock);
    k->is_closed = true;
    ln_lock_give(&k->lock);
}

/* The line is down for good: what waits for it ends. */
static void finish(ln_broker_client *k)
{
    close_doors(k);
    set_state(k, LN_BROKER_CLIENT_STOPPED);
    ln_timer_clear(k->wheel, &k->timer);
    ln_broker_client_end_sent(k, LN_ERR_CLOSED);
    ln_broker_client_purge_all(k);
    ln_broker_client_forget_calls(k);
    tell_state(k);
    ln_lock_take(&k->lock);
    const bool wants_end = k->wants_end;
    ln_lock_give(&k->lock);
    if (wants_end)
        ln_loop_stop(k->loop);
}

void ln_broker_client_leave(ln_broker_client *k)
{
    if (k->is_leaving)
        return;
    ln_broker_client_look(k); /* what was called before this still goes */
    close_doors(k);
    ln_timer_clear(k->wheel, &k->timer);
    if (!k->line->close(k, 1000, LN_SPAN(""))) {
        finish(k);
        return;
    }
    ln_broker_client_end_sent(k, LN_ERR_CLOSED);
    ln_broker_client_purge_all(k);
}

/* ---- losing ---- */

/* Full jitter: anything between now and the exponential step, so that the clients of a server that
 * returns do not come at once. */
static uint64_t backoff_ms(ln_broker_client *k)
{
    const unsigned doublings = k->failures < 20 ? k->failures : 20;
    uint64_t step = (uint64_t)k->plan.reconnect_base_ms << doublings;
    uint32_t random;

    if (step > k->plan.reconnect_max_ms)
        step = k->plan.reconnect_max_ms;
    k->line->random(k, &random, sizeof random);
    return step * random >> 32;
}

static bool may_retry(const ln_broker_client *k)
{
    return !k->is_leaving && !k->plan.is_one_shot && !k->is_hopeless &&
           (k->plan.attempts_max == 0 || k->failures < k->plan.attempts_max);
}

static void wait(ln_broker_client *k)
{
    k->wait_ms = backoff_ms(k);
    k->failures++;
    set_state(k, LN_BROKER_CLIENT_WAITING);
    ln_timer_set(k->wheel, &k->timer, *k->now_ms + k->wait_ms);
}

void ln_broker_client_down(ln_broker_client *k, int err, const char *what)
{
    if (k->is_freed)
        return;
    ln_broker_client_hold(k);
    k->is_up = false;
    ln_timer_clear(k->wheel, &k->timer);
    ln_lock_take(&k->lock);
    k->conn++; /* from here on no ticket of before is good */
    ln_lock_give(&k->lock);
    ln_broker_client_forget_calls(k);
    ln_broker_client_purge_answers(k);
    ln_broker_client_untell_topics(k);
    if (may_retry(k))
        wait(k);
    else
        set_state(k, LN_BROKER_CLIENT_STOPPED);
    ln_broker_client_end_sent(k, LN_ERR_RESET);
    if (err != 0)
        ln_broker_client_complain(k, err, what);
    if (state_of(k) == LN_BROKER_CLIENT_STOPPED && !k->is_freed)
        finish(k);
    tell_state(k);
    ln_broker_client_release(k);
}

/* Will it say so tomorrow, too? Not if it is in trouble, or we came slowly, early or too often. */
static bool is_final(unsigned status)
{
    return status >= 200 && status < 500 && status != 408 && status != 425 && status != 429;
}

void ln_broker_client_turned_away(ln_broker_client *k, int err, unsigned status, const char *what)
{
    k->is_hopeless = k->plan.stops_if_refused && !k->was_up && is_final(status);
    ln_broker_client_down(k, err, what);
}

/* ---- connecting ---- */

static void attempt(ln_broker_client *k)
{
    set_state(k, LN_BROKER_CLIENT_CONNECTING);
    ln_broker_client_count(&k->counts.connects);
    tell_state(k);
    if (k->is_leaving)
        return;
    const int rc = k->line->open(k);
    if (rc < 0)
        ln_broker_client_down(k, rc, ln_strerror(rc));
}

void ln_broker_client_refused(ln_broker_client *k, int err, const char *what)
{
    ln_timer_clear(k->wheel, &k->timer);
    ln_broker_client_complain(k, err, what);
    if (k->is_freed || k->is_leaving)
        return;
    if (!k->line->close(k, 1011, LN_SPAN("registration failed")))
        ln_broker_client_down(k, 0, "");
}

static void on_timer(ln_timer *timer)
{
    ln_broker_client *const k = LN_CONTAINER_OF(timer, ln_broker_client, timer);

    ln_broker_client_hold(k);
    if (state_of(k) == LN_BROKER_CLIENT_WAITING)
        attempt(k);
    else if (state_of(k) == LN_BROKER_CLIENT_OPEN)
        ln_broker_client_drained(k); /* the line was out of memory */
    else
        ln_broker_client_refused(k, LN_ERR_TIMEOUT, "the server does not answer the registration");
    ln_broker_client_release(k);
}

void ln_broker_client_up(ln_broker_client *k)
{
    if (k->is_freed || k->is_leaving)
        return;
    k->is_up = true;
    k->was_up = true;
    k->is_full = false;
    const int rc = ln_broker_client_send_registration(k);
    if (rc < 0) {
        ln_broker_client_refused(k, rc, "the registration could not be sent");
        return;
    }
    ln_timer_set(k->wheel, &k->timer, *k->now_ms + k->plan.request_ms);
}

void ln_broker_client_drained(ln_broker_client *k)
{
    k->is_full = false;
    if (!k->is_freed && !k->is_leaving)
        ln_broker_client_flush(k);
}

void ln_broker_client_opened(ln_broker_client *k, ln_span name)
{
    ln_timer_clear(k->wheel, &k->timer);
    if (name.size > 0) {
        ln_lock_take(&k->lock);
        memcpy(k->id, name.data, name.size);
        k->id[name.size] = '\0';
        ln_lock_give(&k->lock);
    }
    k->failures = 0;
    ln_broker_client_count(&k->counts.opened);
    set_state(k, LN_BROKER_CLIENT_OPEN);
    ln_broker_client_flush(k);
    tell_state(k);
}

/* ---- life ---- */

/* Other threads have called. */
static void on_letter(ln_letter *letter, ln_loop *loop)
{
    ln_broker_client *const k = LN_CONTAINER_OF(letter, ln_broker_client, letter);

    ln_lock_take(&k->lock);
    k->is_letter_posted = false;
    const bool wants_stop = k->wants_stop, wants_end = k->wants_end;
    ln_lock_give(&k->lock);
    if (loop != NULL && !k->is_freed) {
        ln_broker_client_look(k);
        if (wants_stop)
            ln_broker_client_leave(k);
        if (wants_end && state_of(k) == LN_BROKER_CLIENT_STOPPED)
            ln_loop_stop(loop);
    }
    ln_broker_client_release(k);
}

static void init_parts(ln_broker_client *k)
{
    uint64_t seed[2];

    ln_random_fill(seed, sizeof seed);
    atomic_init(&k->refs, 1);
    atomic_init(&k->state, LN_BROKER_CLIENT_CONNECTING);
    k->told = LN_BROKER_CLIENT_CONNECTING;
    k->conn = 1;
    ln_timer_init(&k->timer, on_timer);
    ln_list_init(&k->outbox);
    ln_list_init(&k->sent);
    ln_list_init(&k->topics);
    ln_list_init(&k->filters);
    ln_list_init(&k->spares);
    ln_list_init(&k->inbox);
    ln_list_init(&k->due);
    ln_list_init(&k->waiters);
    ln_map_init(&k->by_name, k->alloc, seed);
    ln_map_init(&k->services, k->alloc, seed);
    ln_buf_init(&k->scratch, k->alloc);
    ln_buf_init(&k->words, k->alloc);
    ln_slots_init(&k->names, k->alloc);
    ln_lock_init(&k->lock);
    k->letter.handle = on_letter;
}

/* Hexadecimal digits of chance. */
static void draw(ln_broker_client *k, char *digits, size_t n)
{
    uint8_t byte;

    for (size_t i = 0; i < n; i++) {
        k->line->random(k, &byte, 1);
        digits[i] = "0123456789abcdef"[byte & 15];
    }
}

static int take_id(ln_broker_client *k, const char *asked)
{
    const ln_span id = ln_text(asked);

    draw(k, k->nonce, sizeof k->nonce);
    if (id.size > LN_BROKER_CLIENT_ID_MAX_BYTES || !ln_utf8_is_valid(id.data, id.size))
        return LN_ERR_INVALID;
    if (id.size == 0)
        draw(k, k->wanted, RANDOM_ID_SIZE);
    else
        memcpy(k->wanted, id.data, id.size);
    memcpy(k->id, k->wanted, sizeof k->id);
    return 0;
}

int ln_broker_client_init(ln_broker_client *k, const char *url, const ln_broker_client_options *o)
{
    init_parts(k);
    int rc = ln_broker_client_make_plan(k, url, o);
    if (rc == 0)
        rc = take_id(k, o->id);
    if (rc == 0)
        rc = k->line->open(k);
    k->plan.tls = NULL; /* the first attempt has read it */
    ln_broker_client_count(&k->counts.connects);
    return rc;
}

void ln_broker_client_fini(ln_broker_client *k)
{
    close_doors(k);
    k->is_freed = true;
    k->line->drop(k);
    ln_timer_clear(k->wheel, &k->timer);
    set_state(k, LN_BROKER_CLIENT_STOPPED);
    ln_broker_client_end_sent(k, LN_ERR_CLOSED);
    ln_broker_client_purge_all(k);
    ln_broker_client_forget_calls(k);
    ln_broker_client_wake(k, LN_ERR_CLOSED);
    ln_broker_client_release(k);
}

int ln_broker_client_begin(ln_broker_client *k, ln_loop *loop, const char *url,
                           const ln_broker_client_options *o)
{
    k->loop = loop;
    k->wheel = &loop->wheel;
    k->now_ms = &loop->now_ms;
    k->line = &ln_broker_client_wire_line;
    return ln_broker_client_init(k, url, o);
}

int ln_broker_client_new(ln_loop *loop, const char *url, const ln_broker_client_options *options,
                         ln_broker_client **client)
{
    static const ln_broker_client_options no_options;
    const ln_broker_client_options *const o = options == NULL ? &no_options : options;

    if (loop == NULL)
        return ln_broker_client_new_threaded(url, o, client);
    ln_broker_client *const k = ln_alloc_zero(loop->alloc, sizeof *k);
    if (k == NULL)
        return LN_ERR_NOMEM;
    k->alloc = loop->alloc;
    const int rc = ln_broker_client_begin(k, loop, url, o);
    if (rc < 0) {
        ln_broker_client_fini(k);
        return rc;
    }
    *client = k;
    return 0;
}

void ln_broker_client_stop(ln_broker_client *k)
{
    if (ln_broker_client_is_here(k)) {
        ln_broker_client_hold(k);
        ln_broker_client_leave(k);
        ln_broker_client_release(k);
        return;
    }
    ln_lock_take(&k->lock);
    k->wants_stop = true;
    ln_broker_client_kick(k);
    ln_lock_give(&k->lock);
}

void ln_broker_client_free(ln_broker_client *k)
{
    if (k == NULL)
        return;
    if (k->has_thread)
        ln_broker_client_join(k);
    else
        ln_broker_client_fini(k);
}

enum ln_broker_client_state ln_broker_client_state_get(const ln_broker_client *k)
{
    return (enum ln_broker_client_state)state_of(k);
}

int ln_broker_client_id(const ln_broker_client *client, char *buffer, size_t size)
{
    ln_broker_client *const k = (ln_broker_client *)(uintptr_t)client; /* for the lock alone */

    ln_lock_take(&k->lock);
    const size_t n = strlen(k->id);
    if (n < size)
        memcpy(buffer, k->id, n + 1);
    ln_lock_give(&k->lock);
    return n < size ? (int)n : LN_ERR_LIMIT;
}
