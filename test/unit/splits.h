/* SPDX-License-Identifier: MIT */
/*
 * splits - one input, fed to a parser in every way that matters: whole, byte by byte, and cut in
 * two at every place.
 *
 *     static void run(void *user, splits_feeder *feeder, splits_text *outcome)
 *     {
 *         uint8_t *piece;
 *         size_t n;
 *         while (splits_next(feeder, &piece, &n))
 *             ... feed it, and tell what came of it with splits_say(outcome, ...)
 *     }
 *     assert_string_equal(splits_run(run, NULL, bytes, n), "what is to come of it");
 *
 * Each piece ends at a page that may not be touched, and is overwritten by the next one: a parser
 * that reads too far crashes, one that keeps a pointer too long says something else. All runs must
 * say the same.
 */
#ifndef SPLITS_H
#define SPLITS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "guarded.h"

enum { SPLITS_INPUT_MAX = 1 << 17, SPLITS_TEXT_MAX = 1 << 15 };

/* The first piece has `first` bytes, all others up to `rest`. */
typedef struct splits_cut {
    size_t first;
    size_t rest;
} splits_cut;

/* What a run says came of it. */
typedef struct splits_text {
    size_t size;
    char text[SPLITS_TEXT_MAX];
} splits_text;

static inline __attribute__((format(printf, 2, 3))) void splits_say(splits_text *t,
                                                                    const char *format, ...)
{
    va_list args;
    va_start(args, format);
    const int n = vsnprintf(t->text + t->size, sizeof t->text - t->size, format, args);
    va_end(args);
    assert_true(n >= 0 && t->size + (size_t)n < sizeof t->text);
    t->size += (size_t)n;
}

/* Bytes as they are, but NUL as "\\0". */
static inline void splits_say_bytes(splits_text *t, const void *bytes, size_t n)
{
    const char *p = bytes;
    for (size_t i = 0; i < n; i++)
        splits_say(t, p[i] == '\0' ? "\\0" : "%c", p[i]);
}

/* Hands the pieces of one run out. */
typedef struct splits_feeder {
    const guarded *room;
    const uint8_t *bytes;
    size_t left;
    size_t next; /* size of the next piece */
    size_t rest;
} splits_feeder;

/* False at the end; else the next piece, valid until the next call. */
static inline bool splits_next(splits_feeder *f, uint8_t **piece, size_t *n)
{
    if (f->left == 0)
        return false;
    *n = f->next < f->left ? f->next : f->left;
    memset(guarded_begin(f->room), 0xa5, f->room->size);
    *piece = memcpy(guarded_end(f->room, *n), f->bytes, *n);
    f->bytes += *n;
    f->left -= *n;
    f->next = f->rest;
    return true;
}

typedef void splits_fn(void *user, splits_feeder *feeder, splits_text *outcome);

static inline void splits_run_cut(splits_fn *fn, void *user, const guarded *room,
                                  const uint8_t *bytes, size_t n, splits_cut cut,
                                  splits_text *outcome)
{
    splits_feeder f = {
        .room = room, .bytes = bytes, .left = n, .next = cut.first, .rest = cut.rest};
    outcome->size = 0;
    outcome->text[0] = '\0';
    fn(user, &f, outcome);
}

/* Runs `fn` over `n` bytes in every way. The outcome they all have is valid until the next call. */
static inline const char *splits_run(splits_fn *fn, void *user, const void *input, size_t n)
{
    static splits_text whole, other;
    const uint8_t *bytes = input;
    guarded room;

    assert_true(n <= SPLITS_INPUT_MAX);
    guarded_init(&room, n + 1);
    splits_run_cut(fn, user, &room, bytes, n, (splits_cut){n, n}, &whole);
    splits_run_cut(fn, user, &room, bytes, n, (splits_cut){1, 1}, &other);
    if (strcmp(whole.text, other.text) != 0)
        fail_msg("byte by byte: %s\nwhole: %s", other.text, whole.text);
    for (size_t at = 1; at < n; at++) {
        splits_run_cut(fn, user, &room, bytes, n, (splits_cut){at, n}, &other);
        if (strcmp(whole.text, other.text) != 0)
            fail_msg("cut at %zu: %s\nwhole: %s", at, other.text, whole.text);
    }
    guarded_fini(&room);
    return whole.text;
}

#endif
