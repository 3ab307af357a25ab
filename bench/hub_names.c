/* SPDX-License-Identifier: MIT */
/*
 * hub_names - a million topics by name: what one costs, whether names that collide under a weak
 * hash cost more than random ones, and the longest pause of a single subscription.
 *
 *     hub_names [ROUNDS]        default: 3
 *
 *   random     120 random letters
 *   djb2       collide in all bits of djb2 (hash * 33 + byte): blocks "Ab" and "BA" in any order
 *   fnv1a      agree in the low 32 bits of FNV-1a: twenty times one of two blocks that meet there
 *   numbered   equal but for seven digits at the end
 *
 * Rounds take turns, and the medians are printed:  names  ns_per_join  ratio_to_random
 * longest_join_us  ns_per_leave  longest_leave_us. Processor time of the thread, so that others on
 * the machine matter less; a second pass, as the clock costs more than a join, finds the longest.
 *
 * glibc's fast bins are switched off: it gathers freed small blocks and joins them all at once,
 * which after a million leaves is a pause of 25 ms in whatever allocates next. What is left of the
 * longest leave is memory going back to the system in one piece.
 */
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "hub/hub.h"

enum {
    NAMES = 1000000,
    NAME_BYTES = 120,
    BITS = 20, /* two to the power of it is a little more than NAMES */
    FNV_BLOCK = NAME_BYTES / BITS,
    LETTERS = 62,
    BLOCKS = 1 << 18, /* tried, to find two that meet */
    ROUNDS_MAX = 99
};

typedef void make_fn(char *names);

typedef struct family {
    const char *title;
    make_fn *make;
    double join_ns[ROUNDS_MAX], leave_ns[ROUNDS_MAX];
    double longest_join_us[ROUNDS_MAX], longest_leave_us[ROUNDS_MAX];
} family;

static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
static uint64_t chance = 0x9E3779B97F4A7C15;

static uint64_t roll(void)
{
    chance ^= chance << 13;
    chance ^= chance >> 7;
    chance ^= chance << 17;
    return chance;
}

static double now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

/* ---- names ---- */

static void make_random(char *names)
{
    for (size_t i = 0; i < (size_t)NAMES * NAME_BYTES; i++)
        names[i] = letters[roll() % LETTERS];
}

static void make_numbered(char *names)
{
    for (size_t i = 0; i < NAMES; i++) {
        char text[NAME_BYTES + 1];
        snprintf(text, sizeof text, "%0113d%07zu", 0, i);
        memcpy(names + i * NAME_BYTES, text, NAME_BYTES);
    }
}

static void make_djb2(char *names)
{
    memset(names, 'x', (size_t)NAMES * NAME_BYTES);
    for (size_t i = 0; i < NAMES; i++)
        for (size_t bit = 0; bit < BITS; bit++)
            memcpy(names + i * NAME_BYTES + 2 * bit, i >> bit & 1 ? "Ab" : "BA", 2);
}

typedef struct block {
    uint32_t state; /* after it */
    char text[FNV_BLOCK];
} block;

/* The low bits of FNV-1a go their own way: a product's low bits depend on low bits alone. */
static uint32_t fnv1a(uint32_t state, const char *text, size_t n)
{
    for (size_t i = 0; i < n; i++)
        state = (state ^ (uint8_t)text[i]) * 0x1b3;
    return state;
}

static int by_state(const void *a, const void *b)
{
    const uint32_t x = ((const block *)a)->state, y = ((const block *)b)->state;
    return x < y ? -1 : x > y;
}

/* Block number `n`. */
static void write_block(size_t n, char text[FNV_BLOCK])
{
    uint64_t number = n * UINT64_C(0x9E3779B97F4A7C15);
    for (size_t i = 0; i < FNV_BLOCK; i++, number /= LETTERS)
        text[i] = letters[number % LETTERS];
}

/* Two blocks that lead from `state` to one and the same. */
static uint32_t meet(uint32_t state, block *all, block found[2])
{
    for (size_t i = 0; i < BLOCKS; i++) {
        write_block(i, all[i].text);
        all[i].state = fnv1a(state, all[i].text, FNV_BLOCK);
    }
    qsort(all, BLOCKS, sizeof *all, by_state);
    size_t i = 1;
    while (i < BLOCKS && (all[i - 1].state != all[i].state ||
                          memcmp(all[i - 1].text, all[i].text, FNV_BLOCK) == 0))
        i++;
    if (i == BLOCKS) {
        fprintf(stderr, "hub_names: no two blocks meet\n");
        exit(1);
    }
    found[0] = all[i - 1];
    found[1] = all[i];
    return all[i].state;
}

static void make_fnv1a(char *names)
{
    block *const all = malloc(BLOCKS * sizeof *all);
    block pairs[BITS][2];
    uint32_t state = 0x84222325; /* of the 64-bit offset basis */

    if (all == NULL)
        exit(1);
    for (size_t bit = 0; bit < BITS; bit++)
        state = meet(state, all, pairs[bit]);
    for (size_t i = 0; i < NAMES; i++)
        for (size_t bit = 0; bit < BITS; bit++)
            memcpy(names + i * NAME_BYTES + bit * FNV_BLOCK, pairs[bit][i >> bit & 1].text,
                   FNV_BLOCK);
    free(all);
}

/* ---- the hub ---- */

static ln_delivery ignore(ln_subscriber *s, ln_msg *m)
{
    (void)s;
    (void)m;
    return LN_DELIVERED;
}

typedef int step_fn(ln_hub *hub, ln_subscriber *s, ln_span topic);

static void take(step_fn *step, ln_hub *hub, ln_subscriber *s, const char *name)
{
    if (step(hub, s, (ln_span){name, NAME_BYTES}) != 0) {
        fprintf(stderr, "hub_names: refused\n");
        exit(1);
    }
}

static double mean_ns(step_fn *step, ln_hub *hub, ln_subscriber *s, const char *names)
{
    const double begin = now_ns();
    for (size_t i = 0; i < NAMES; i++)
        take(step, hub, s, names + i * NAME_BYTES);
    return (now_ns() - begin) / NAMES;
}

static double longest_us(step_fn *step, ln_hub *hub, ln_subscriber *s, const char *names)
{
    double longest = 0, before = now_ns();
    for (size_t i = 0; i < NAMES; i++) {
        take(step, hub, s, names + i * NAME_BYTES);
        const double after = now_ns();
        longest = after - before > longest ? after - before : longest;
        before = after;
    }
    return longest / 1000;
}

static void measure(family *f, unsigned round, char *names)
{
    static const ln_hub_limits limits = {.topic_max_bytes = NAME_BYTES,
                                         .topics_per_subscriber = NAMES};
    const uint64_t seed[2] = {roll(), roll()};
    ln_hub *const hub = ln_hub_new(NULL, &limits, seed);
    ln_subscriber s;

    if (hub == NULL)
        exit(1);
    f->make(names);
    ln_subscriber_init(&s, ignore, 1);
    f->join_ns[round] = mean_ns(ln_hub_subscribe, hub, &s, names);
    f->leave_ns[round] = mean_ns(ln_hub_unsubscribe, hub, &s, names);
    f->longest_join_us[round] = longest_us(ln_hub_subscribe, hub, &s, names);
    f->longest_leave_us[round] = longest_us(ln_hub_unsubscribe, hub, &s, names);
    ln_hub_free(hub);
}

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static double median(double *values, unsigned n)
{
    qsort(values, n, sizeof *values, by_value);
    return values[n / 2];
}

int main(int argc, char **argv)
{
    static family families[] = {{.title = "random", .make = make_random},
                                {.title = "djb2", .make = make_djb2},
                                {.title = "fnv1a", .make = make_fnv1a},
                                {.title = "numbered", .make = make_numbered}};
    const unsigned rounds = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 3;
    char *const names = malloc((size_t)NAMES * NAME_BYTES);

    mallopt(M_MXFAST, 0);
    if (names == NULL || rounds == 0 || rounds > ROUNDS_MAX)
        return 2;
    for (unsigned round = 0; round < rounds; round++)
        for (size_t i = 0; i < LN_ARRAY_SIZE(families); i++)
            measure(&families[i], round, names);
    free(names);

    const double usual = median(families[0].join_ns, rounds);
    printf("names     ns/join  ratio  longest us  ns/leave  longest us\n");
    for (size_t i = 0; i < LN_ARRAY_SIZE(families); i++) {
        family *const f = &families[i];
        const double join = median(f->join_ns, rounds);
        printf("%-9s %7.0f  %5.2f  %10.0f  %8.0f  %10.0f\n", f->title, join, join / usual,
               median(f->longest_join_us, rounds), median(f->leave_ns, rounds),
               median(f->longest_leave_us, rounds));
    }
    return 0;
}
