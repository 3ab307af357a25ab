/* SPDX-License-Identifier: MIT */
/*
 * micro - what the inner loops cost, each variant beside the portable scalar one.
 *
 *     micro [SECONDS]        per line; default 0.2
 *
 * Masking and UTF-8 in bytes per nanosecond, heads and frames in nanoseconds each.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/frame.h"
#include "proto/head.h"
#include "proto/mask.h"
#include "proto/utf8.h"
#include "support/rawws.h"

enum { LARGEST = 1 << 20, BATCH = 64 };

static const size_t sizes[] = {20, 125, 1024, 16384, LARGEST};
static double seconds = 0.2;
static uint8_t bytes[LARGEST];
static volatile uint64_t sink; /* so that no result is left out as unused */

/* Calls of `once` per second, the best of three runs. */
static double rate_of(void (*once)(void *arg), void *arg)
{
    double best = 0;

    for (int run = 0; run < 3; run++) {
        const double begin = rawws_now();
        long n = 0;
        double took = 0;
        for (; took < seconds / 3; took = rawws_now() - begin, n += BATCH)
            for (int i = 0; i < BATCH; i++)
                once(arg);
        if ((double)n / took > best)
            best = (double)n / took;
    }
    return best;
}

struct job {
    ln_mask_fn *mask;
    ln_utf8_fn *utf8;
    size_t size;
};

static void mask_once(void *arg)
{
    const struct job *const j = arg;
    j->mask(bytes, bytes, j->size, 0x12345678, 0);
}

static void utf8_once(void *arg)
{
    const struct job *const j = arg;
    sink += j->utf8(LN_UTF8_ACCEPT, bytes, j->size);
}

static void print_line(const char *what, const char *name, void (*once)(void *arg), struct job *job)
{
    printf("%-14s %-8s", what, name);
    for (size_t i = 0; i < LN_ARRAY_SIZE(sizes); i++) {
        job->size = sizes[i];
        printf(" %9.2f", rate_of(once, job) * (double)sizes[i] * 1e-9);
    }
    puts("");
}

static void measure_mask(void)
{
    struct job job = {.mask = NULL};
    const char *name;

    for (unsigned i = 0; ln_mask_variant(i, &name, &job.mask); i++) {
        if (job.mask != NULL)
            print_line("mask", name, mask_once, &job);
    }
}

static void measure_utf8(const char *what)
{
    struct job job = {.mask = NULL};
    const char *name;

    for (unsigned i = 0; ln_utf8_variant(i, &name, &job.utf8); i++) {
        if (job.utf8 != NULL)
            print_line(what, name, utf8_once, &job);
    }
}

static void fill_ascii(void)
{
    for (size_t i = 0; i < LARGEST; i++)
        bytes[i] = (uint8_t)('a' + i % 26);
}

/* A word of Cyrillic, a space, a word of Latin: two thirds of the bytes are not ASCII. */
static void fill_mixed(void)
{
    static const char words[] = "\xd0\xb7\xd0\xb2\xd1\x83\xd0\xba sound ";

    for (size_t i = 0; i < LARGEST; i++)
        bytes[i] = (uint8_t)words[i % (sizeof words - 1)];
}

static void frame_once(void *arg)
{
    static const uint8_t head[] = {0x82, 0x94, 1, 2, 3, 4};
    ln_frame frame;
    ln_frame_fault fault;
    (void)arg;
    sink += (uint64_t)ln_frame_parse(head, sizeof head, true, false, &frame, &fault);
}

static void head_once(void *arg)
{
    static const char request[] =
        "GET /chat?room=lobby HTTP/1.1\r\nHost: example.org\r\nUpgrade: websocket\r\n"
        "Connection: keep-alive, Upgrade\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64)\r\n"
        "Origin: https://example.org\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Extensions: permessage-deflate\r\n"
        "Accept-Language: en-GB,en;q=0.5\r\n\r\n";
    const ln_head_limits limits = {.bytes_max = 8192, .fields_max = LN_HEAD_FIELDS_MAX};
    ln_head_parser parser;
    ln_head head;
    (void)arg;

    ln_head_init(&parser, LN_HEAD_REQUEST, &limits, NULL);
    sink += ln_head_feed(&parser, (const uint8_t *)request, sizeof request - 1);
    sink += ln_head_next(&parser, &head);
    ln_head_fini(&parser);
}

int main(int argc, char **argv)
{
    if (argc > 1)
        seconds = atof(argv[1]);
    printf("%-23s", "bytes per ns, of");
    for (size_t i = 0; i < LN_ARRAY_SIZE(sizes); i++)
        printf(" %7zu B", sizes[i]);
    puts("");
    fill_ascii();
    measure_mask();
    fill_ascii();
    measure_utf8("UTF-8, ASCII");
    fill_mixed();
    measure_utf8("UTF-8, mixed");
    printf("frame header   %7.1f ns\n", 1e9 / rate_of(frame_once, NULL));
    printf("request head   %7.1f ns, 10 fields, 390 bytes\n", 1e9 / rate_of(head_once, NULL));
    return 0;
}
