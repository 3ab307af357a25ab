/* SPDX-License-Identifier: MIT */
/*
 * vector_test - every file of test/vectors against the WebSocket machine, one test case each.
 *
 * A vector runs
 *   whole           each input in one feed, once with its end and once with its begin at a page
 *                   that may not be touched
 *   byte by byte    each byte at the end of such a page, and overwritten as soon as the events it
 *                   gave were taken
 *   cut in two      at every place, likewise
 *   without memory  whole and byte by byte, with each allocation failing alone, and with all after
 *                   it
 *
 * All but the last have to give the very events and output that the file says. Without memory they
 * may end early: with CLOSED 1011 or an unclean one, nothing after it, and nothing left allocated.
 *
 * LINNET_VECTOR=NAME in the environment runs that one alone.
 */
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "failing_alloc.h"
#include "guarded.h"
#include "proto/utf8.h"
#include "vectorfile.h"

enum { DEFLATE_LEVEL = 6, SPANS = 4, EVENTS_MAX = 64, PAGE_BYTES_MAX = 1 << 18 };

/* How a vector is run. `cut`: the first piece ends there, counted over all input; the others have
 * up to `step` bytes. */
typedef struct way {
    const char *name;
    size_t cut, step;
    bool is_at_begin;
    bool takes_short; /* short messages by ln_ws_take_short() */
} way;

/* One run. */
typedef struct run {
    const vectorfile *vector;
    const way *way;
    const guarded *room;
    ln_ws_config config;
    ln_pool pool;
    ln_buf scratch;
    ln_zpool *zpool;
    ln_ws ws;
    uint64_t now_ms;
    size_t fed;
    vectorfile_bytes out;
    vectorfile_event events[EVENTS_MAX]; /* since the step began, adjacent pieces joined */
    unsigned event_count;
    bool is_closed;
    bool is_starved; /* allocations fail: other rules */
    bool ended_early;
} run;

static unsigned long runs_made, shorts_taken;

/* ---- the machine ---- */

static uint32_t same_key(void *user)
{
    const vectorfile *const v = user;
    return v->mask;
}

static bool run_init(run *r, const ln_allocator *alloc)
{
    const vectorfile *const v = r->vector;
    ln_deflate *deflate = NULL;

    r->config = v->config;
    r->config.pool = &r->pool;
    r->config.scratch = &r->scratch;
    r->config.alloc = alloc;
    r->config.mask_key = same_key;
    r->config.mask_user = (void *)v;
    ln_pool_init(&r->pool, alloc);
    ln_buf_init(&r->scratch, alloc);
    if (v->is_deflated) {
        r->zpool = ln_zpool_new(alloc);
        if (r->zpool != NULL)
            deflate =
                ln_deflate_new(r->zpool, &v->params, v->config.role == LN_WS_SERVER, DEFLATE_LEVEL);
        if (deflate == NULL)
            return false;
    }
    ln_ws_init(&r->ws, &r->config, deflate, 0);
    return true;
}

static void forget_step(run *r)
{
    for (unsigned i = 0; i < r->event_count; i++)
        free(r->events[i].data.data);
    r->event_count = 0;
    free(r->out.data);
    r->out = (vectorfile_bytes){NULL, 0};
}

static void run_fini(run *r)
{
    forget_step(r);
    ln_ws_fini(&r->ws);
    ln_zpool_free(r->zpool);
    ln_buf_fini(&r->scratch);
    ln_pool_fini(&r->pool);
}

/* How pieces are cut follows how bytes came, so it is no difference. */
static bool join_piece(run *r, const ln_ws_event *e)
{
    vectorfile_event *const last = r->event_count == 0 ? NULL : &r->events[r->event_count - 1];

    if (last == NULL || e->type != LN_WS_PIECE || last->type != LN_WS_PIECE || last->is_last)
        return false;
    assert_false(e->is_first);
    assert_int_equal(e->kind, last->kind);
    vectorfile_append(&last->data, e->data.data, e->data.size);
    last->is_last = e->is_last;
    return true;
}

static void take_event(run *r, const ln_ws_event *e)
{
    assert_false(r->is_closed);
    r->is_closed = e->type == LN_WS_CLOSED;
    if (join_piece(r, e))
        return;
    assert_true(r->event_count < EVENTS_MAX);
    vectorfile_event *const to = &r->events[r->event_count++];
    *to = (vectorfile_event){.type = e->type};
    if (e->type == LN_WS_MESSAGE || e->type == LN_WS_PIECE)
        to->kind = e->kind;
    if (e->type == LN_WS_PIECE) {
        to->is_first = e->is_first;
        to->is_last = e->is_last;
    }
    if (r->is_closed) {
        to->by = e->by;
        to->code = e->code;
        to->is_clean = e->is_clean;
        to->has_reason = true;
    }
    vectorfile_append(&to->data, e->data.data, e->data.size);
}

static void take_events(run *r)
{
    ln_ws_event e;

    while (ln_ws_next(&r->ws, &e))
        take_event(r, &e);
}

/* Short messages from the front of the bytes; what is none is left as it was. Bytes used. */
static size_t take_short(run *r, uint8_t *bytes, size_t n)
{
    ln_ws_event e = {.type = LN_WS_MESSAGE, .is_first = true, .is_last = true};
    uint8_t before[256];
    size_t used = 0;

    for (;;) {
        const size_t shown = ln_min_size(n - used, sizeof before);
        memcpy(before, bytes + used, shown);
        const size_t took =
            ln_ws_take_short(&r->ws, bytes + used, n - used, r->now_ms, &e.kind, &e.data);
        assert_true(took <= n - used);
        if (took == 0) {
            assert_memory_equal(before, bytes + used, shown);
            return used;
        }
        take_event(r, &e);
        used += took;
        shorts_taken++;
    }
}

/* Bytes that lie at a guard page, gone when this returns. */
static void feed(run *r, const uint8_t *bytes, size_t n)
{
    uint8_t *const p = r->way->is_at_begin ? guarded_begin(r->room) : guarded_end(r->room, n);

    memcpy(p, bytes, n);
    for (size_t at = 0; at < n;) {
        at += r->way->takes_short ? take_short(r, p + at, n - at) : 0;
        if (at == n)
            break;
        const size_t used = ln_ws_feed(&r->ws, p + at, n - at, r->now_ms);
        assert_true(used > 0 && used <= n - at);
        at += used;
        take_events(r);
    }
    memset(p, 0xa5, n);
}

static void feed_in_pieces(run *r, const vectorfile_bytes *in)
{
    for (size_t at = 0; at < in->size;) {
        size_t n = ln_min_size(r->way->step, in->size - at);
        if (r->fed < r->way->cut)
            n = ln_min_size(n, r->way->cut - r->fed);
        feed(r, in->data + at, n);
        at += n;
        r->fed += n;
    }
}

static void take_output(run *r)
{
    ln_span spans[SPANS];
    int k;

    while ((k = ln_ws_pull(&r->ws, spans, SPANS)) > 0) {
        size_t n = 0;
        for (int i = 0; i < k; n += spans[i++].size)
            vectorfile_append(&r->out, spans[i].data, spans[i].size);
        ln_ws_sent(&r->ws, n);
    }
    assert_int_equal(ln_ws_queued(&r->ws), 0);
    assert_int_equal(ln_ws_is_over(&r->ws), r->is_closed);
}

static int do_step(run *r, const vectorfile_step *s)
{
    const ln_span data = {s->data.data, s->data.size};

    switch (s->verb) {
    case VECTORFILE_IN:
        feed_in_pieces(r, &s->data);
        return 0;
    case VECTORFILE_SEND:
        return ln_ws_send(&r->ws, s->kind, data);
    case VECTORFILE_PIECE:
        return ln_ws_send_piece(&r->ws, s->kind, data, s->is_last);
    case VECTORFILE_PING:
        return ln_ws_send_ping(&r->ws, data);
    case VECTORFILE_CLOSE:
        return ln_ws_send_close(&r->ws, s->code, data, r->now_ms);
    case VECTORFILE_AT:
        r->now_ms = s->at_ms;
        ln_ws_tick(&r->ws, r->now_ms);
        return 0;
    case VECTORFILE_EOF:
        ln_ws_eof(&r->ws);
        return 0;
    }
    return 0;
}

/* ---- what is to come ---- */

static _Noreturn void differs(const run *r, const vectorfile_step *s, const char *what,
                              const char *wanted, const char *got)
{
    fail_msg("%s:%u: %s (cut at %zu, pieces of %zu): %s\n  wanted: %s\n     got: %s",
             r->vector->path, s->line, r->way->name, r->way->cut, r->way->step, what, wanted, got);
    abort();
}

static bool same_bytes(const vectorfile_bytes *a, const vectorfile_bytes *b)
{
    return a->size == b->size && (a->size == 0 || memcmp(a->data, b->data, a->size) == 0);
}

/* Pieces of a message that did not get to its end are not compared: how many came depends on how
 * the bytes did. */
static bool is_cut_short(const vectorfile_event *events, unsigned count, unsigned i)
{
    return events[i].type == LN_WS_PIECE && !events[i].is_last && i + 1 < count &&
           events[i + 1].type == LN_WS_CLOSED;
}

static bool same_event(const vectorfile_event *want, const vectorfile_event *got)
{
    if (want->type != got->type || want->kind != got->kind || want->code != got->code ||
        want->by != got->by || want->is_clean != got->is_clean || want->is_first != got->is_first ||
        want->is_last != got->is_last)
        return false;
    return (want->type == LN_WS_CLOSED && !want->has_reason) || same_bytes(&want->data, &got->data);
}

static const char *text_or_nothing(const vectorfile_event *events, unsigned count, unsigned i)
{
    return i < count ? vectorfile_text(&events[i]) : "nothing";
}

static void check_events(run *r, const vectorfile_step *s)
{
    unsigned i = 0, k = 0;

    while (i < s->event_count || k < r->event_count) {
        if (i < s->event_count && is_cut_short(s->events, s->event_count, i))
            i++;
        if (k < r->event_count && is_cut_short(r->events, r->event_count, k))
            k++;
        if (i == s->event_count || k == r->event_count || !same_event(&s->events[i], &r->events[k]))
            differs(r, s, "event", text_or_nothing(s->events, s->event_count, i),
                    text_or_nothing(r->events, r->event_count, k));
        i++;
        k++;
    }
}

/* Takes the reason off a close frame of ours that ends the output, and looks at it. False: there is
 * none. */
static bool strip_reason(const vectorfile *v, vectorfile_bytes *out)
{
    const size_t mask = v->config.role == LN_WS_CLIENT ? 4 : 0;
    uint8_t reason[LN_WS_REASON_MAX_BYTES];

    for (size_t n = 1; n <= sizeof reason && n + 4 + mask <= out->size; n++) {
        uint8_t *const head = out->data + out->size - n - 4 - mask;
        if (head[0] != 0x88 || (head[1] & 0x7f) != n + 2)
            continue;
        for (size_t i = 0; i < n; i++)
            reason[i] = head[4 + mask + i] ^ (mask > 0 ? head[2 + (i + 2) % 4] : 0);
        assert_true(ln_utf8_is_valid(reason, n));
        head[1] = (uint8_t)(head[1] - n);
        out->size -= n;
        return true;
    }
    return false;
}

/* The words of our own reasons are not the vectors' business: a close frame with a code alone
 * stands for any. */
static void check_output(run *r, const vectorfile_step *s)
{
    const size_t bare = r->vector->config.role == LN_WS_CLIENT ? 8 : 4;

    if (same_bytes(&s->out, &r->out))
        return;
    if (s->out.size >= bare && s->out.data[s->out.size - bare] == 0x88 &&
        strip_reason(r->vector, &r->out) && same_bytes(&s->out, &r->out))
        return;
    const vectorfile_event want = {.type = LN_WS_MESSAGE, .kind = LN_BINARY, .data = s->out};
    const vectorfile_event got = {.type = LN_WS_MESSAGE, .kind = LN_BINARY, .data = r->out};
    differs(r, s, "output", vectorfile_text(&want), vectorfile_text(&got));
}

/* Without memory: the events up to here are those that were to come, or the machine ended in good
 * order. */
static void check_starved(run *r, const vectorfile_step *s)
{
    for (unsigned i = 0; i < r->event_count; i++) {
        const vectorfile_event *const got = &r->events[i];
        vectorfile_event want =
            i < s->event_count ? s->events[i] : (vectorfile_event){.type = LN_WS_CLOSED};

        if (want.type == LN_WS_CLOSED && got->data.size == 0)
            want.has_reason = false; /* it found no place */
        if (i < s->event_count && same_event(&want, got))
            continue;
        const bool is_orderly = got->type == LN_WS_CLOSED && (got->code == 1011 || !got->is_clean);
        if (!is_orderly && !is_cut_short(r->events, r->event_count, i))
            differs(r, s, "event without memory", text_or_nothing(s->events, s->event_count, i),
                    vectorfile_text(got));
        r->ended_early = true;
    }
}

/* ---- the ways ---- */

static void run_steps(run *r)
{
    const vectorfile *const v = r->vector;
    bool was_refused = false; /* a send: what it would have changed for later ones is open */

    for (unsigned i = 0; i < v->step_count && !r->ended_early; i++) {
        const vectorfile_step *const s = &v->steps[i];
        const int rc = do_step(r, s);
        was_refused = was_refused || (r->is_starved && rc == LN_ERR_NOMEM);
        if (rc != s->result && !was_refused)
            differs(r, s, "result", ln_strerror(s->result), ln_strerror(rc));
        take_events(r);
        take_output(r);
        if (r->is_starved) {
            check_starved(r, s);
        } else {
            check_events(r, s);
            check_output(r, s);
        }
        forget_step(r);
    }
}

/* What a run is about, for the sweep as well. */
typedef struct task {
    const vectorfile *vector;
    const guarded *room;
    way way;
    bool is_starved;
} task;

static int run_once(const ln_allocator *alloc, void *user)
{
    const task *const t = user;
    run *const r = calloc(1, sizeof *r);

    assert_non_null(r);
    r->vector = t->vector;
    r->room = t->room;
    r->way = &t->way;
    r->is_starved = t->is_starved;
    runs_made++;
    if (run_init(r, alloc))
        run_steps(r);
    run_fini(r);
    free(r);
    return 0;
}

static void run_way(const vectorfile *v, const guarded *room, way w)
{
    task t = {.vector = v, .room = room, .way = w};
    failing_alloc fa;

    failing_alloc_init(&fa, FAILING_NEVER);
    run_once(&fa.hook, &t);
    failing_alloc_assert_empty(&fa);
}

static void run_starved(const vectorfile *v, const guarded *room, way w)
{
    task t = {.vector = v, .room = room, .way = w, .is_starved = true};
    failing_alloc_sweep(run_once, &t);
}

static void run_vector(void **state)
{
    const vectorfile *const v = *state;
    const size_t n = v->in_bytes;
    guarded room;

    guarded_init(&room, PAGE_BYTES_MAX);
    run_way(v, &room, (way){"whole", 0, SIZE_MAX, false, false});
    run_way(v, &room, (way){"whole, at the begin of a page", 0, SIZE_MAX, true, false});
    run_way(v, &room, (way){"whole, short ones apart", 0, SIZE_MAX, false, true});
    run_way(v, &room, (way){"byte by byte", 0, 1, false, false});
    for (size_t at = 1; at < n; at++) {
        run_way(v, &room, (way){"cut in two", at, SIZE_MAX, false, false});
        run_way(v, &room, (way){"cut in two, short ones apart", at, SIZE_MAX, true, true});
    }
    run_starved(v, &room, (way){"whole", 0, SIZE_MAX, false, false});
    run_starved(v, &room, (way){"whole, short ones apart", 0, SIZE_MAX, false, true});
    run_starved(v, &room, (way){"byte by byte", 0, 1, false, false});
    guarded_fini(&room);
}

/* ---- all files ---- */

static int is_vector(const struct dirent *entry)
{
    const char *const only = getenv("LINNET_VECTOR"), *const dot = strrchr(entry->d_name, '.');
    const size_t n = dot == NULL ? 0 : (size_t)(dot - entry->d_name);

    if (dot == NULL || strcmp(dot, ".vector") != 0)
        return 0;
    return only == NULL || (strlen(only) == n && memcmp(only, entry->d_name, n) == 0);
}

int main(void)
{
    static const char folder[] = LN_TEST_DIR "/vectors";
    struct dirent **entries;
    const int count = scandir(folder, &entries, is_vector, alphasort);

    if (count <= 0) {
        fprintf(stderr, "no vectors in %s\n", folder);
        return 1;
    }
    struct CMUnitTest *const tests = calloc((size_t)count, sizeof *tests);
    for (int i = 0; tests != NULL && i < count; i++) {
        char path[4096];
        snprintf(path, sizeof path, "%s/%s", folder, entries[i]->d_name);
        vectorfile *const v = vectorfile_load(path);
        tests[i] =
            (struct CMUnitTest){.name = v->name, .test_func = run_vector, .initial_state = v};
        free(entries[i]);
    }
    const int failed =
        tests == NULL ? 1 : _cmocka_run_group_tests("vectors", tests, (size_t)count, NULL, NULL);
    fprintf(stderr, "# %d vectors, %lu runs, %lu short messages\n", count, runs_made, shorts_taken);
    for (int i = 0; tests != NULL && i < count; i++)
        vectorfile_free(tests[i].initial_state);
    free(tests);
    free(entries);
    return failed;
}
