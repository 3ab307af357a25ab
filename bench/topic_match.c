/* SPDX-License-Identifier: MIT */
/*
 * topic_match - what it costs to find who gets a publication: the filters that match a name, and
 * the one topic of a name among a million.
 *
 *     topic_match [MATCHES]        default: 1000 a set
 *
 *   rooms      100,000 filters "site.<n>.room.*" and four general ones: an ordinary server
 *   deep       100,000 filters of 32 tokens, two or three of them `*`, one its own, some with `>`
 *   branches   of every choice of `a` and `*` in 16 tokens, then one that no name has, as many as
 *              get in: shapes are bounded
 *   twins      the same of 24 tokens, two in each shape
 *   tails      100,000 filters "a.a.a...>" of every length, one token changed
 *   all        as `branches`, of 32 tokens, but every one that gets in matches: what is found has
 *              its price, too
 *
 * Names follow the filters as far as they can; of each the best of three rounds counts, for others
 * on the machine. Prints for each set:  filters  shapes
 * matches_per_name  ns_mean  ns_p99, then the same for ln_hub_publish() of names without members
 * on hubs without filters and with them.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "hub/hub.h"
#include "hub/sieve.h"

enum { FILTERS = 100000, TOPICS = 1000000, TEXT_MAX = 256, ROUNDS = 3 };

typedef char text[TEXT_MAX];

/* Writes filter number `i`; false: there are no more. */
typedef bool filter_fn(size_t i, text out);
typedef void name_fn(size_t i, text out);

static uint64_t chance = 0x9E3779B97F4A7C15;

static size_t roll(size_t n)
{
    chance ^= chance << 13;
    chance ^= chance >> 7;
    chance ^= chance << 17;
    return (size_t)(chance >> 11) % n;
}

static double now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static void append(text out, const char *token)
{
    const size_t n = strlen(out);
    snprintf(out + n, TEXT_MAX - n, "%s%s", n > 0 ? "." : "", token);
}

/* ---- sets of filters, and names for them ---- */

static bool rooms_filter(size_t i, text out)
{
    static const char *const general[] = {"site.>", "site.*.room.>", "*.7.>", "site.*.room.lobby"};
    if (i < LN_ARRAY_SIZE(general))
        snprintf(out, TEXT_MAX, "%s", general[i]);
    else
        snprintf(out, TEXT_MAX, "site.%zu.room.*", i);
    return i < FILTERS;
}

static void rooms_name(size_t i, text out)
{
    snprintf(out, TEXT_MAX, "site.%zu.room.%s", i * 97 % FILTERS, i % 2 ? "lobby" : "garden");
}

static bool deep_filter(size_t i, text out)
{
    char token[8];
    const size_t first = roll(24), second = roll(24), own = 24 + roll(7);
    out[0] = '\0';
    for (size_t level = 0; level < 31; level++) {
        snprintf(token, sizeof token, "%zu", level == own ? i + 32 : level);
        append(out, level == first || level == second ? "*" : token);
    }
    append(out, i % 8 == 0 ? ">" : i % 2 ? "31" : "*");
    return i < FILTERS;
}

static void deep_name(size_t i, text out)
{
    char token[8];
    out[0] = '\0';
    for (size_t level = 0; level < 32; level++) {
        snprintf(token, sizeof token, "%zu", roll(64) == 0 ? i : level);
        append(out, token);
    }
}

static bool branches_filter(size_t i, text out)
{
    out[0] = '\0';
    for (size_t bit = 0; bit < 16; bit++)
        append(out, i >> bit & 1 ? "*" : "a");
    append(out, "z");
    return i < 65536;
}

static void sixteen(size_t i, text out)
{
    out[0] = '\0';
    for (size_t bit = 0; bit < 16; bit++)
        append(out, i % 4 == 3 && i / 4 % 16 == bit ? "b" : "a");
    append(out, "x");
}

static bool twins_filter(size_t i, text out)
{
    const size_t shape = i / 2 * 335; /* below 2^24, spread */
    out[0] = '\0';
    for (size_t bit = 0; bit < 24; bit++)
        append(out, shape >> bit & 1 ? "*" : "a");
    append(out, i % 2 ? "y" : "z");
    return i < FILTERS;
}

static void twentyfour(size_t i, text out)
{
    out[0] = '\0';
    for (size_t bit = 0; bit < 24; bit++)
        append(out, i % 4 == 3 && i / 4 % 24 == bit ? "b" : "a");
    append(out, "x");
}

static bool tails_filter(size_t i, text out)
{
    char token[16];
    const size_t length = 1 + i % 31, changed = i / 31 % length;
    out[0] = '\0';
    for (size_t level = 0; level < length; level++) {
        snprintf(token, sizeof token, "%zu", i);
        append(out, level == changed && i >= 31 ? token : "a");
    }
    append(out, ">");
    return i < FILTERS;
}

static void tails_name(size_t i, text out)
{
    out[0] = '\0';
    for (size_t level = 0; level < 32; level++)
        append(out, i % 4 == 0 && level == 20 ? "b" : "a");
}

static bool all_filter(size_t i, text out)
{
    const size_t mask = i * 0x9E3779B1 & 0x7fffffff; /* never the same twice */
    out[0] = '\0';
    for (size_t bit = 0; bit < 31; bit++)
        append(out, mask >> bit & 1 ? "*" : "a");
    append(out, ">");
    return i < FILTERS;
}

static void thirtytwo(size_t i, text out)
{
    (void)i;
    out[0] = '\0';
    for (size_t level = 0; level < 32; level++)
        append(out, "a");
}

/* ---- measuring ---- */

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static void report(double *times, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += times[i];
    qsort(times, n, sizeof *times, by_value);
    printf(" %9.0f %9.0f\n", sum / (double)n, times[n * 99 / 100]);
}

/* Adds all filters; how many were not refused. */
static size_t fill(ln_sieve *s, filter_fn *filter, text *texts)
{
    size_t count = 0;
    for (size_t i = 0; filter(i, texts[count]); i++) {
        const ln_span one = {texts[count], strlen(texts[count])};
        count += ln_filter_is(one) && ln_sieve_add(s, one, texts[count]) == 0;
    }
    return count;
}

static void measure(const char *title, filter_fn *filter, name_fn *name, size_t matches)
{
    static const uint64_t seed[2] = {0x5eed, 0x0ddba11};
    text *const texts = malloc((FILTERS + 1) * sizeof *texts);
    double *const times = malloc(matches * sizeof *times);
    size_t found = 0;
    ln_sieve s;
    text one;

    if (texts == NULL || times == NULL)
        exit(1);
    ln_sieve_init(&s, NULL, seed);
    const size_t count = fill(&s, filter, texts);
    for (size_t i = 0; i < matches * ROUNDS; i++) {
        name(i % matches, one);
        const ln_span span = {one, strlen(one)};
        const double begin = now_ns();
        found += ln_sieve_match(&s, span);
        const double time = now_ns() - begin;
        times[i % matches] = i < matches || time < times[i % matches] ? time : times[i % matches];
    }
    printf("%-9s %8zu %8zu %8.1f", title, count, s.shapes.count,
           (double)found / (double)matches / ROUNDS);
    report(times, matches);
    for (size_t i = 0; i < count; i++)
        ln_sieve_remove(&s, (ln_span){texts[i], strlen(texts[i])});
    ln_sieve_fini(&s);
    free(times);
    free(texts);
}

static ln_delivery ignore(ln_subscriber *s, ln_msg *m)
{
    (void)s;
    (void)m;
    return LN_DELIVERED;
}

/* Publishing to a million names of one member each, with as many filters as are given. */
static void measure_hub(const char *title, const char *const *filters, size_t n, size_t matches)
{
    static const ln_hub_limits limits = {.topic_max_bytes = TEXT_MAX,
                                         .topics_per_subscriber = TOPICS + 100};
    static const uint64_t seed[2] = {0x5eed, 0x0ddba11};
    ln_hub *const hub = ln_hub_new(NULL, &limits, seed);
    double *const times = malloc(matches * sizeof *times);
    ln_subscriber s, others;
    text name;

    if (hub == NULL || times == NULL)
        exit(1);
    ln_subscriber_init(&s, ignore, 1);
    ln_subscriber_init(&others, ignore, 2);
    for (size_t i = 0; i < TOPICS; i++) {
        snprintf(name, sizeof name, "site.%zu.room.%zu", i % 1000, i);
        if (ln_hub_subscribe(hub, &s, (ln_span){name, strlen(name)}) != 0)
            exit(1);
    }
    for (size_t i = 0; i < n; i++)
        if (ln_hub_subscribe(hub, &others, (ln_span){filters[i], strlen(filters[i])}) != 0)
            exit(1);
    for (size_t i = 0; i < matches; i++) {
        const size_t topic = roll(TOPICS);
        snprintf(name, sizeof name, "site.%zu.room.%zu", topic % 1000, topic);
        ln_msg *const m = ln_msg_new(NULL, LN_MSG_TEXT, (ln_span){name, strlen(name)}, (ln_span){0},
                                     LN_SPAN("x"), 0);
        const double begin = now_ns();
        ln_hub_publish(hub, m, NULL);
        times[i] = now_ns() - begin;
        ln_msg_unref(m);
    }
    printf("%-27s %8zu", title, n);
    report(times, matches);
    ln_hub_leave_all(hub, &s);
    ln_hub_leave_all(hub, &others);
    ln_hub_free(hub);
    free(times);
}

int main(int argc, char **argv)
{
    static const char *const filters[] = {"site.*.room.none", "site.none.>", "*.*.none.*"};
    const size_t matches = argc > 1 ? strtoul(argv[1], NULL, 10) : 1000;

    if (matches == 0)
        return 2;
    printf("set        filters   shapes  matches   ns mean    ns p99\n");
    measure("rooms", rooms_filter, rooms_name, matches);
    measure("deep", deep_filter, deep_name, matches);
    measure("branches", branches_filter, sixteen, matches);
    measure("twins", twins_filter, twentyfour, matches);
    measure("tails", tails_filter, tails_name, matches);
    measure("all", all_filter, thirtytwo, matches);
    printf("publish, 1,000,000 topics    filters   ns mean    ns p99\n");
    measure_hub("to one member", filters, 0, matches);
    measure_hub("to one member", filters, LN_ARRAY_SIZE(filters), matches);
    return 0;
}
