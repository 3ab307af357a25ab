/* SPDX-License-Identifier: MIT */
/*
 * utf8_exhaustive - all 2^32 sequences of four bytes: every variant of utf8 against the scalar
 * reference.
 *
 *     utf8_exhaustive [THREADS]
 *
 * No decision of a validator looks at more than four bytes. Each sequence is given alone, and to
 * the vector variants also inside 64 bytes of ASCII where it straddles the border of 16 and of 32
 * bytes, and at the end of the block after half a code point. Prints one line per variant and,
 * last, "N sequences, 0 disagreements"; exit status 1 if there were some.
 */
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "proto/utf8.h"

enum {
    BLOCK = 64,
    MIDDLE = 30,
    FIRST_VECTOR = 2,
    VARIANTS_MAX = 8,
    THREADS_MAX = 64,
    SHOWN_MAX = 10
};

static ln_utf8_fn *variants[VARIANTS_MAX];
static const char *names[VARIANTS_MAX];
static unsigned variant_count;

static _Atomic unsigned next_first; /* the first byte that a thread takes next */
static _Atomic uint64_t sequences, disagreements;

static void disagree(const char *name, const uint8_t bytes[4], const char *where, uint8_t got,
                     uint8_t wanted)
{
    if (atomic_fetch_add(&disagreements, 1) < SHOWN_MAX)
        fprintf(stderr, "%s: %02x %02x %02x %02x %s: state %u, reference %u\n", name, bytes[0],
                bytes[1], bytes[2], bytes[3], where, got, wanted);
}

/* `block`: ASCII but for `bytes`. */
static void check_block(const uint8_t block[BLOCK], const uint8_t bytes[4], uint8_t wanted)
{
    for (unsigned v = FIRST_VECTOR; v < variant_count; v++) {
        const uint8_t got = variants[v](LN_UTF8_ACCEPT, block, BLOCK);
        if (got != wanted)
            disagree(names[v], bytes, "in a block", got, wanted);
    }
}

static void check(const uint8_t bytes[4], uint8_t middle[BLOCK], uint8_t end[BLOCK])
{
    const uint8_t wanted = ln_utf8_scalar(LN_UTF8_ACCEPT, bytes, 4);

    for (unsigned v = 1; v < variant_count; v++) {
        const uint8_t got = variants[v](LN_UTF8_ACCEPT, bytes, 4);
        if (got != wanted)
            disagree(names[v], bytes, "alone", got, wanted);
    }
    memcpy(middle + MIDDLE, bytes, 4);
    memcpy(end + BLOCK - 4, bytes, 4);
    /* Followed by ASCII, what was not complete is wrong. */
    check_block(middle, bytes, wanted == LN_UTF8_ACCEPT ? LN_UTF8_ACCEPT : LN_UTF8_REJECT);
    check_block(end, bytes, ln_utf8_scalar(LN_UTF8_ACCEPT, end + BLOCK - 5, 5));
}

static void *work(void *unused)
{
    (void)unused;
    uint8_t middle[BLOCK], end[BLOCK];
    memset(middle, 'a', sizeof middle);
    memset(end, 'a', sizeof end);
    end[BLOCK - 5] = 0xc3;

    for (unsigned first; (first = atomic_fetch_add(&next_first, 1)) < 256;) {
        for (uint32_t rest = 0; rest < 1U << 24; rest++) {
            const uint8_t bytes[4] = {(uint8_t)first, (uint8_t)(rest >> 16), (uint8_t)(rest >> 8),
                                      (uint8_t)rest};
            check(bytes, middle, end);
        }
        atomic_fetch_add(&sequences, 1U << 24);
    }
    return NULL;
}

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static bool run(unsigned thread_count)
{
    pthread_t threads[THREADS_MAX];
    unsigned started = 0;

    while (started < thread_count && pthread_create(&threads[started], NULL, work, NULL) == 0)
        started++;
    if (started == 0)
        fprintf(stderr, "utf8_exhaustive: cannot start a thread\n");
    for (unsigned i = 0; i < started; i++)
        pthread_join(threads[i], NULL);
    return started > 0;
}

int main(int argc, char **argv)
{
    const long asked = argc > 1 ? strtol(argv[1], NULL, 10) : 2;
    const unsigned thread_count = asked < 1             ? 1
                                  : asked > THREADS_MAX ? THREADS_MAX
                                                        : (unsigned)asked;
    const double begin = seconds();
    ln_utf8_fn *fn;

    for (unsigned i = 0;
         variant_count < VARIANTS_MAX && ln_utf8_variant(i, &names[variant_count], &fn); i++)
        if (fn)
            variants[variant_count++] = fn;
    if (!run(thread_count))
        return 1;

    for (unsigned v = 1; v < variant_count; v++)
        printf("%s: alone%s\n", names[v], v < FIRST_VECTOR ? "" : " and in two blocks");
    printf("%.0f s\n", seconds() - begin);
    printf("%" PRIu64 " sequences, %" PRIu64 " disagreements\n", atomic_load(&sequences),
           atomic_load(&disagreements));
    return atomic_load(&disagreements) == 0 && atomic_load(&sequences) == UINT64_C(1) << 32 ? 0 : 1;
}
