/* SPDX-License-Identifier: MIT */
/*
 * brokerclient_sim - crowds of broker clients on a virtual clock, seeded: a day on which the server
 * goes away now and then, and rough hours in which everything else does, too.
 *
 *     brokerclient_sim [SEEDS [FIRST]]      default: 40 rough seeds from 1, after the day
 *
 * Nothing here makes a call of the system; back end: any.
 *
 * Each client registers, subscribes, publishes and asks. Their lines take time both ways, take
 * nothing for a while, and break with messages under way. The server executes what arrives, and
 * answers late, with an error, or never.
 *
 * Checked
 *   1. Every request that was accepted ends exactly once, and with 0 only if it was executed.
 *   2. None is executed twice, or sent when it has ended.
 *   3. On each connection the registration comes first, then the subscription, then the rest.
 *   4. What is published arrives in the order of the calls, none twice.
 *   5. After a loss the attempts spread over the whole first wait, after a long outage over the
 *      whole longest one: no tenth of a second, and no second, has much more than its share.
 *   6. At the end no memory is left.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dialect/brokerclientitem.h"

enum {
    DAY_MS = 24 * 3600 * 1000,
    HOUR_MS = 3600 * 1000,
    DAY_CLIENTS = 2000,
    ROUGH_CLIENTS = 40,
    BASE_MS = 500,
    LONGEST_MS = 30000,
    REQUEST_MS = 10000,
    LONG_OUTAGE_MS = 120000, /* after which every client waits its longest */
    BINS = 90,               /* seconds of a histogram */
    TENTHS = BASE_MS / 100
};

typedef struct world world;
typedef struct peer peer;

/* A request of a client, as its application sees it. */
typedef struct asked {
    peer *peer;
    uint32_t executed;
    bool has_ended;
} asked;

/* Bytes on their way to a client. */
typedef struct parcel {
    ln_timer timer;
    ln_link link; /* in peer->parcels */
    peer *peer;
    char text[192];
} parcel;

/* A client, its line, and the server's end of that. */
struct peer {
    world *world;
    ln_broker_client *k;
    ln_timer dialing; /* the end of an attempt */
    ln_timer acting;  /* what the application does next */
    ln_timer breaking;
    ln_link parcels;
    bool is_up, is_full;
    unsigned said;                 /* messages on this connection */
    uint64_t published, last_seen; /* numbers of publications */
};

struct world {
    uint64_t seed, random, now_ms;
    ln_wheel wheel;
    ln_broker_client_line line;
    ln_allocator hook;
    size_t live_blocks;
    peer *peers;
    unsigned peer_count;
    bool is_rough, is_over;
    bool is_serving;
    ln_timer outage; /* the server goes, or returns */
    uint64_t gone_ms, back_ms;
    uint64_t outage_ms; /* the last one's length */
    uint32_t after_loss[TENTHS];
    uint32_t after_return[BINS];
    uint32_t worst_tenth, worst_second;
    uint32_t histogram[BINS]; /* of the outage with the worst second */
    uint64_t outages, long_outages, attempts, requests, executed, answered, lost, timed_out,
        published, received;
};

static _Noreturn void broken(const world *w, const char *what)
{
    fflush(stdout);
    fprintf(stderr, "brokerclient_sim: seed %" PRIu64 " at %" PRIu64 " ms: %s\n", w->seed,
            w->now_ms, what);
    abort();
}

static void check(const world *w, bool is_good, const char *what)
{
    if (!is_good)
        broken(w, what);
}

/* ---- chance and memory ---- */

static uint64_t next_random(world *w) /* splitmix64 */
{
    uint64_t z = w->random += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

/* From `least` to below `most`. */
static uint64_t between(world *w, uint64_t least, uint64_t most)
{
    return least + next_random(w) % (most - least);
}

static bool is_one_in(world *w, unsigned n)
{
    return next_random(w) % n == 0;
}

static void *resize(void *user, void *old, size_t size)
{
    world *const w = user;
    w->live_blocks += (old == NULL && size > 0) - (old != NULL && size == 0);
    if (size > 0)
        return realloc(old, size);
    free(old);
    return NULL;
}

/* ---- time ---- */

static void set_in(world *w, ln_timer *timer, uint64_t ms)
{
    ln_timer_set(&w->wheel, timer, w->now_ms + ms);
}

/* ---- the line ---- */

static peer *peer_of(const ln_broker_client *k)
{
    return k->plan.user;
}

static void count_attempt(world *w)
{
    const uint64_t after_loss = w->now_ms - w->gone_ms, after_return = w->now_ms - w->back_ms;

    w->attempts++;
    if (!w->is_serving && after_loss < BASE_MS)
        w->after_loss[after_loss / 100]++;
    if (w->is_serving && w->outage_ms >= LONG_OUTAGE_MS && after_return < BINS * 1000)
        w->after_return[after_return / 1000]++;
}

static int line_open(ln_broker_client *k)
{
    peer *const p = peer_of(k);

    count_attempt(p->world);
    set_in(p->world, &p->dialing, between(p->world, 1, 60));
    return 0;
}

static void on_parcel(ln_timer *timer)
{
    parcel *const c = LN_CONTAINER_OF(timer, parcel, timer);
    peer *const p = c->peer;

    ln_list_remove(&c->link);
    ln_broker_client_take(p->k, (ln_span){c->text, strlen(c->text)});
    free(c);
}

/* The server says something. It arrives in order: each a millisecond after the one before. */
static void say(peer *p, const char *text, uint64_t delay_ms)
{
    parcel *const c = calloc(1, sizeof *c);

    c->peer = p;
    snprintf(c->text, sizeof c->text, "%s", text);
    ln_timer_init(&c->timer, on_parcel);
    ln_list_add(&p->parcels, &c->link);
    set_in(p->world, &c->timer, delay_ms);
}

static void cut(peer *p)
{
    p->is_up = p->is_full = false;
    p->said = 0;
    ln_timer_clear(&p->world->wheel, &p->dialing);
    ln_timer_clear(&p->world->wheel, &p->breaking);
    while (!ln_list_is_empty(&p->parcels)) {
        parcel *const c = LN_CONTAINER_OF(p->parcels.next, parcel, link);
        ln_list_remove(&c->link);
        ln_timer_clear(&p->world->wheel, &c->timer);
        free(c);
    }
}

static void lose(peer *p)
{
    cut(p);
    ln_broker_client_down(p->k, LN_ERR_RESET, "lost");
}

static void on_breaking(ln_timer *timer)
{
    peer *const p = LN_CONTAINER_OF(timer, peer, breaking);
    world *const w = p->world;

    if (is_one_in(w, 3)) {
        lose(p);
        return;
    }
    p->is_full = !p->is_full;
    set_in(w, &p->breaking, between(w, 10, p->is_full ? 3000 : 60000));
    if (!p->is_full)
        ln_broker_client_drained(p->k);
}

static void on_dialing(ln_timer *timer)
{
    peer *const p = LN_CONTAINER_OF(timer, peer, dialing);
    world *const w = p->world;

    if (!w->is_serving || (w->is_rough && is_one_in(w, 10))) {
        ln_broker_client_down(p->k, LN_ERR_CONNECT, "nobody there");
        return;
    }
    p->is_up = true;
    if (w->is_rough)
        set_in(w, &p->breaking, between(w, 1, 60000));
    ln_broker_client_up(p->k);
}

/* ---- the server ---- */

static void execute(peer *p, const char *text)
{
    world *const w = p->world;
    const char *const at = strstr(text, "\"payload\":");
    char answer[160];

    asked *const a = (asked *)(uintptr_t)strtoull(at + 10, NULL, 10);
    check(w, !a->has_ended, "a request was sent when it had ended");
    check(w, a->peer == p, "a request of somebody else");
    if (is_one_in(w, 50))
        return; /* lost on the way, for all that the client knows */
    check(w, a->executed++ == 0, "a request was executed twice");
    w->executed++;
    if (is_one_in(w, 40))
        return;
    snprintf(answer, sizeof answer, "{\"id\":%.34s,\"type\":\"%s}", text + 6,
             is_one_in(w, 10) ? "error\",\"error\":{\"code\":500}" : "response\",\"payload\":1");
    say(p, answer, between(w, 1, w->is_rough ? 14000 : 300));
}

static void fan_out(peer *p, const char *text)
{
    world *const w = p->world;
    char copy[160];

    const uint64_t number = strtoull(strstr(text, "\"payload\":") + 10, NULL, 10);
    check(w, number > p->last_seen, "a publication came twice, or before an earlier one");
    p->last_seen = number;
    w->published++;
    snprintf(copy, sizeof copy, "{\"type\":\"publish\",\"topic\":\"news.%u\",\"payload\":1}",
             (unsigned)(number % 7));
    say(p, copy, between(w, 1, 300));
}

static int line_send(ln_broker_client *k, ln_span span)
{
    peer *const p = peer_of(k);
    char text[256];

    check(p->world, span.size < sizeof text, "a longer message than any of ours");
    memcpy(text, span.data, span.size);
    text[span.size] = '\0';
    if (p->is_full || !p->is_up)
        return p->is_up ? LN_ERR_WOULD_EXCEED : LN_ERR_CLOSED;
    const unsigned place = p->said++;
    check(p->world, (place == 0) == (strstr(text, "system:register") != NULL),
          "the registration is not first");
    check(p->world, (place == 1) == (strstr(text, "subscribe_request") != NULL),
          "the subscription is not second");
    if (place == 0) {
        char answer[160];
        snprintf(answer, sizeof answer, "{\"id\":%.34s,\"type\":\"response\"}", text + 6);
        if (!p->world->is_rough || !is_one_in(p->world, 20))
            say(p, answer, between(p->world, 1, 100));
    } else if (strstr(text, "\"type\":\"request\"") != NULL) {
        execute(p, text);
    } else if (strstr(text, "\"type\":\"publish\"") != NULL) {
        fan_out(p, text);
    }
    return is_one_in(p->world, 20) && p->world->is_rough && (p->is_full = true) ? 1 : 0;
}

static bool line_close(ln_broker_client *k, uint16_t code, ln_span reason)
{
    peer *const p = peer_of(k);

    (void)code;
    (void)reason;
    if (!p->is_up) {
        cut(p);
        return false;
    }
    set_in(p->world, &p->breaking, 1); /* the rest is silence */
    p->is_full = false;
    return true;
}

static void line_drop(ln_broker_client *k)
{
    cut(peer_of(k));
}

static void line_random(ln_broker_client *k, void *bytes, size_t n)
{
    uint8_t *const to = bytes;

    for (size_t i = 0; i < n; i++)
        to[i] = (uint8_t)next_random(peer_of(k)->world);
}

/* ---- the application ---- */

static void on_reply(const ln_broker_client_reply *reply, void *user)
{
    asked *const a = user;
    world *const w = a->peer->world;

    check(w, !a->has_ended, "a request ended twice");
    a->has_ended = true;
    if (reply->error == 0 || reply->error == LN_ERR_REFUSED) {
        check(w, a->executed == 1, "an answer to what was not executed");
        w->answered++;
    }
    w->lost += reply->error == LN_ERR_RESET;
    w->timed_out += reply->error == LN_ERR_TIMEOUT;
    check(w, reply->error != LN_ERR_CLOSED || w->is_over, "a request ended as if it was stopped");
}

static void on_publication(ln_broker_client *k, ln_span topic, ln_span payload, void *user)
{
    world *const w = user;
    (void)k;
    (void)topic;
    (void)payload;
    w->received++;
}

/* Requests live until the end of the world. */
typedef struct page {
    struct page *next;
    unsigned used;
    asked asked[1024];
} page;
static page *pages;

static asked *new_asked(peer *p)
{
    if (pages == NULL || pages->used == 1024) {
        page *const fresh = calloc(1, sizeof *fresh);
        fresh->next = pages;
        pages = fresh;
    }
    asked *const a = &pages->asked[pages->used++];
    a->peer = p;
    return a;
}

static void ask(peer *p)
{
    asked *const a = new_asked(p);
    char payload[32];

    const int n = snprintf(payload, sizeof payload, "%" PRIuPTR, (uintptr_t)a);
    const ln_broker_client_order order = {
        .topic = LN_SPAN("ask"), .payload = {payload, (size_t)n}, .on_reply = on_reply, .user = a};
    if (ln_broker_client_request(p->k, &order, NULL) < 0)
        a->has_ended = true; /* refused: it never was one */
    else
        p->world->requests++;
}

static void publish(peer *p)
{
    char payload[32];

    const int n = snprintf(payload, sizeof payload, "%" PRIu64, ++p->published);
    (void)ln_broker_client_publish(p->k, LN_SPAN("news"), (ln_span){payload, (size_t)n});
}

static void on_acting(ln_timer *timer)
{
    peer *const p = LN_CONTAINER_OF(timer, peer, acting);
    world *const w = p->world;

    if (is_one_in(w, 3))
        publish(p);
    else
        ask(p);
    set_in(w, &p->acting, between(w, 1, w->is_rough ? 20000 : 1200000));
}

/* ---- outages ---- */

static uint32_t peak(const uint32_t *bins, unsigned n)
{
    uint32_t most = 0;

    for (unsigned i = 0; i < n; i++)
        if (bins[i] > most)
            most = bins[i];
    return most;
}

/* What came after the last one is known when the next one begins. */
static void judge(world *w)
{
    const uint32_t tenth = peak(w->after_loss, TENTHS), second = peak(w->after_return, BINS);

    if (tenth > w->worst_tenth)
        w->worst_tenth = tenth;
    if (second > w->worst_second) {
        w->worst_second = second;
        memcpy(w->histogram, w->after_return, sizeof w->histogram);
    }
    memset(w->after_loss, 0, sizeof w->after_loss);
    memset(w->after_return, 0, sizeof w->after_return);
}

static void on_outage(ln_timer *timer)
{
    world *const w = LN_CONTAINER_OF(timer, world, outage);

    w->is_serving = !w->is_serving;
    if (w->is_serving) {
        w->back_ms = w->now_ms;
        w->outage_ms = w->now_ms - w->gone_ms;
        w->long_outages += w->outage_ms >= LONG_OUTAGE_MS;
        set_in(w, &w->outage, between(w, 120000, w->is_rough ? 900000 : 3600000));
        return;
    }
    judge(w);
    w->outages++;
    w->gone_ms = w->now_ms;
    for (unsigned i = 0; i < w->peer_count; i++)
        if (w->peers[i].is_up)
            lose(&w->peers[i]);
    set_in(w, &w->outage, between(w, 1000, 600000));
}

/* ---- a world ---- */

static void make_peer(world *w, peer *p)
{
    const ln_broker_client_options options = {.reconnect_base_ms = BASE_MS,
                                              .reconnect_max_ms = LONGEST_MS,
                                              .request_ms = REQUEST_MS,
                                              .user = p};

    p->world = w;
    ln_list_init(&p->parcels);
    ln_timer_init(&p->dialing, on_dialing);
    ln_timer_init(&p->acting, on_acting);
    ln_timer_init(&p->breaking, on_breaking);
    p->k = ln_alloc_zero(&w->hook, sizeof *p->k);
    p->k->alloc = &w->hook;
    p->k->line = &w->line;
    p->k->wheel = &w->wheel;
    p->k->now_ms = &w->now_ms;
    check(w, ln_broker_client_init(p->k, "ws://x/", &options) == 0, "no client");
    check(w, ln_broker_client_subscribe(p->k, LN_SPAN("news.*"), on_publication, w, NULL) == 0,
          "no subscription");
    set_in(w, &p->acting, between(w, 1, w->is_rough ? 20000 : 1200000));
}

static void end_peer(world *w, peer *p)
{
    ln_timer_clear(&w->wheel, &p->acting);
    if (is_one_in(w, 2))
        ln_broker_client_stop(p->k);
    ln_broker_client_free(p->k);
    cut(p);
}

static void run(world *w, uint64_t until_ms)
{
    w->line = (ln_broker_client_line){.open = line_open,
                                      .send = line_send,
                                      .close = line_close,
                                      .drop = line_drop,
                                      .random = line_random};
    w->hook = (ln_allocator){.resize = resize, .user = w};
    w->is_serving = true;
    w->now_ms = 1;
    ln_wheel_init(&w->wheel, w->now_ms);
    ln_timer_init(&w->outage, on_outage);
    set_in(w, &w->outage, 300000);
    w->peers = calloc(w->peer_count, sizeof *w->peers);
    for (unsigned i = 0; i < w->peer_count; i++)
        make_peer(w, &w->peers[i]);
    while (w->now_ms < until_ms) {
        w->now_ms = ln_wheel_next_ms(&w->wheel);
        (void)ln_wheel_advance(&w->wheel, w->now_ms);
    }
    judge(w);
    w->is_over = true;
    for (unsigned i = 0; i < w->peer_count; i++)
        end_peer(w, &w->peers[i]);
    free(w->peers);
    check(w, w->live_blocks == 0, "memory is left");
}

static void check_asked(const world *w)
{
    while (pages != NULL) {
        page *const p = pages;
        for (unsigned i = 0; i < p->used; i++)
            check(w, p->asked[i].has_ended, "a request never ended");
        pages = p->next;
        free(p);
    }
}

static void print_histogram(const world *w)
{
    const uint32_t most = w->worst_second;

    printf("# attempts in each second after the server returned from its worst long outage\n");
    for (unsigned i = 0; i < 40 && most > 0; i++)
        printf("# %3u s %5u %.*s\n", i, w->histogram[i], (int)(w->histogram[i] * 50 / most),
               "##################################################");
}

/* A day with some outages. */
static void run_day(void)
{
    static world w = {.seed = 0, .random = 0, .peer_count = DAY_CLIENTS};
    /* What every second and every tenth would have if all were alike; the wait is between nothing and
     * the longest, so a client comes each 15 s. */
    const uint32_t second = DAY_CLIENTS * 1000 / (LONGEST_MS / 2);
    const uint32_t tenth = DAY_CLIENTS / TENTHS;

    run(&w, DAY_MS);
    check_asked(&w);
    print_histogram(&w);
    printf("# a day of %u clients: %" PRIu64 " outages (%" PRIu64 " long), %" PRIu64
           " attempts, at most %u in a second (alike: %u), %u in a tenth after a loss (first tries "
           "alike: %u)\n",
           DAY_CLIENTS, w.outages, w.long_outages, w.attempts, w.worst_second, second,
           w.worst_tenth, tenth);
    printf("# %" PRIu64 " requests: %" PRIu64 " answered, %" PRIu64 " lost, %" PRIu64
           " timed out; %" PRIu64 " published, %" PRIu64 " received\n",
           w.requests, w.answered, w.lost, w.timed_out, w.published, w.received);
    check(&w, w.long_outages > 3 && w.answered > 100000 && w.received > 50000, "a dull day");
    check(&w, w.worst_second < 2 * second, "the clients come back in a storm");
    /* in the last tenths the second tries of the quick ones come, too: some 0.45 of a share */
    check(&w, w.worst_tenth < tenth * 2, "the clients try again in a storm");
}

int main(int argc, char **argv)
{
    const uint64_t seeds = argc > 1 ? strtoull(argv[1], NULL, 10) : 40;
    const uint64_t first = argc > 2 ? strtoull(argv[2], NULL, 10) : 1;
    uint64_t requests = 0, executed = 0, lost = 0;

    printf("1..2\n");
    run_day();
    printf("ok 1 - a day without a storm\n");
    for (uint64_t seed = first; seed < first + seeds; seed++) {
        world w = {.seed = seed, .random = seed, .peer_count = ROUGH_CLIENTS, .is_rough = true};
        run(&w, HOUR_MS);
        check_asked(&w);
        check(&w, w.answered > 0 && w.lost > 0 && w.timed_out > 0, "a dull hour");
        requests += w.requests;
        executed += w.executed;
        lost += w.lost;
    }
    printf("# %" PRIu64 " seeds: %" PRIu64 " requests, %" PRIu64 " executed, %" PRIu64 " lost\n",
           seeds, requests, executed, lost);
    printf("ok 2 - rough hours in which every request ends once\n");
    return 0;
}
