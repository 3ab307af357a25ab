/* SPDX-License-Identifier: MIT */
#include "benchmessage.h"

#include <string.h>

#include "base/alloc.h"

enum {
    RUN_DIGITS = 3,
    SENDER_DIGITS = 5,
    NUMBER_DIGITS = 7,
    CHECKED_DIGITS = RUN_DIGITS + SENDER_DIGITS + NUMBER_DIGITS,
    HEAD_BYTES = CHECKED_DIGITS + 1,
    DUE_DIGITS = 8,
    PLACES = 1 << 14 /* pieces begin in the first 16 KiB of the pool: small ones stay in a cache */
};

static const char digits[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz-";

/* Sebastiano Vigna's splitmix64: a step of the generator, and a hash. */
static uint64_t mix(uint64_t x)
{
    x += 0x9E3779B97F4A7C15;
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9;
    x = (x ^ (x >> 27)) * 0x94D049BB133111EB;
    return x ^ (x >> 31);
}

/* ------------------------------------------------------------------------------------------------
 * the pool */

static void fill_bytes(uint8_t *pool, size_t size, uint64_t seed)
{
    for (size_t i = 0; i < size; i++)
        pool[i] = (uint8_t)(mix(seed + i / 8) >> (i % 8 * 8));
}

static void fill_words(uint8_t *pool, size_t size, uint64_t seed)
{
    static const char *const words[] = {
        "and ",     "the ",    "of ",   "\"id\":", "\"text\":", "\"user\":", "bird ",     "nest ",
        "sings",    "linnet ", "flock", ", ",      "{",         "}",         "\"time\":", "true",
        "42",       "7.25",    "18",    "2001",    "north ",    "river ",    "under ",    "again ",
        "message ", "room ",   "seed ", "wing ",   "small ",    "morning ",  ": ",        ". "};
    size_t i = 0;
    for (uint64_t n = 0; i < size; n++) {
        const char *const word = words[mix(seed + n) % LN_ARRAY_SIZE(words)];
        const size_t k = ln_min_size(strlen(word), size - i);
        memcpy(pool + i, word, k);
        i += k;
    }
}

int ln_benchmessage_init(ln_benchmessage_kit *kit, const ln_benchmessage_options *options)
{
    const size_t size = options->size + PLACES;
    LN_ASSERT(options->size >=
              (options->is_timed ? LN_BENCHMESSAGE_TIMED_MIN_BYTES : LN_BENCHMESSAGE_MIN_BYTES));
    *kit = (ln_benchmessage_kit){
        .pool = ln_alloc(NULL, size),
        .size = options->size,
        .run = (uint32_t)(mix(options->seed) & ((1 << (6 * RUN_DIGITS)) - 1)),
        .is_timed = options->is_timed,
    };
    if (kit->pool == NULL)
        return LN_ERR_NOMEM;
    if (options->is_text)
        fill_words(kit->pool, size, options->seed);
    else
        fill_bytes(kit->pool, size, options->seed);
    return 0;
}

void ln_benchmessage_fini(ln_benchmessage_kit *kit)
{
    ln_free(NULL, kit->pool);
    kit->pool = NULL;
}

static const uint8_t *piece_of(const ln_benchmessage_kit *kit, const ln_benchmessage *m)
{
    const uint64_t due = kit->is_timed ? m->due_ns : 0;
    return kit->pool + mix(m->number ^ (uint64_t)m->sender << 40 ^ mix(due)) % PLACES;
}

/* ------------------------------------------------------------------------------------------------
 * heads */

static void put(uint8_t *out, int count, uint64_t value)
{
    while (count-- > 0) {
        out[count] = (uint8_t)digits[value & 63];
        value >>= 6;
    }
}

/* -1 for what is no digit. */
static int digit(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'A' && c <= 'Z')
        return c - 'A' + 10;
    if (c == '_')
        return 36;
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 37;
    return c == '-' ? 63 : -1;
}

static bool take(const uint8_t *in, int count, uint64_t *value)
{
    *value = 0;
    for (int i = 0; i < count; i++) {
        const int d = digit(in[i]);
        if (d < 0)
            return false;
        *value = *value << 6 | (unsigned)d;
    }
    return true;
}

/* Odd weights: no change of one digit leaves the sum as it was, modulo 64. */
static uint64_t check_of(const uint8_t *head)
{
    unsigned sum = 0;
    for (int i = 0; i < CHECKED_DIGITS; i++)
        sum += (unsigned)digit(head[i]) * (unsigned)(2 * i + 1);
    return sum & 63;
}

void ln_benchmessage_write(const ln_benchmessage_kit *kit, const ln_benchmessage *m, uint8_t *out)
{
    size_t n = HEAD_BYTES;
    put(out, RUN_DIGITS, kit->run);
    put(out + RUN_DIGITS, SENDER_DIGITS, m->sender);
    put(out + RUN_DIGITS + SENDER_DIGITS, NUMBER_DIGITS, m->number);
    put(out + CHECKED_DIGITS, 1, check_of(out));
    if (kit->is_timed) {
        put(out + n, DUE_DIGITS, m->due_ns);
        n += DUE_DIGITS;
    }
    memcpy(out + n, piece_of(kit, m), kit->size - n);
}

static bool is_of_this_run(const ln_benchmessage_kit *kit, ln_span bytes)
{
    uint64_t run;
    return bytes.size >= RUN_DIGITS && take(bytes.data, RUN_DIGITS, &run) && run == kit->run;
}

/* The whole head, its own check included. */
static bool take_head(const ln_benchmessage_kit *kit, const uint8_t *in, ln_benchmessage *m)
{
    uint64_t run, sender, number, check, due = 0;
    if (!take(in, RUN_DIGITS, &run) || !take(in + RUN_DIGITS, SENDER_DIGITS, &sender) ||
        !take(in + RUN_DIGITS + SENDER_DIGITS, NUMBER_DIGITS, &number) ||
        !take(in + CHECKED_DIGITS, 1, &check))
        return false;
    if (kit->is_timed && !take(in + HEAD_BYTES, DUE_DIGITS, &due))
        return false;
    *m = (ln_benchmessage){.sender = (uint32_t)sender, .number = number, .due_ns = due};
    return run == kit->run && check == check_of(in);
}

enum ln_benchmessage_verdict ln_benchmessage_read(const ln_benchmessage_kit *kit, ln_span bytes,
                                                  ln_benchmessage *m)
{
    const uint8_t *const in = bytes.data;
    const size_t n = kit->is_timed ? HEAD_BYTES + DUE_DIGITS : HEAD_BYTES;
    ln_benchmessage found;
    if (bytes.size != kit->size)
        return is_of_this_run(kit, bytes) ? LN_BENCHMESSAGE_DAMAGED : LN_BENCHMESSAGE_FOREIGN;
    if (!take_head(kit, in, &found) || memcmp(in + n, piece_of(kit, &found), kit->size - n) != 0)
        return LN_BENCHMESSAGE_DAMAGED;
    *m = found;
    return LN_BENCHMESSAGE_OURS;
}
