/* SPDX-License-Identifier: MIT */
#include "kept.h"

#include <string.h>

static ln_kept_sock **bucket_of(ln_kept *k, const ln_sock *s)
{
    /* Fibonacci hashing: addresses are multiples of something. */
    const uint64_t mixed = (uint64_t)(uintptr_t)s * 0x9e3779b97f4a7c15u;
    return &k->buckets[mixed >> 56];
}

/* Where the record of `s` is linked, or where the bucket ends. */
static ln_kept_sock **find(ln_kept *k, const ln_sock *s)
{
    ln_kept_sock **at = bucket_of(k, s);
    while (*at && (*at)->sock != s)
        at = &(*at)->next;
    return at;
}

static void free_pieces(ln_kept *k, ln_kept_sock *record)
{
    for (ln_piece *piece; (piece = ln_kept_pop(record));)
        ln_free(k->alloc, piece);
}

void ln_kept_init(ln_kept *k, const ln_allocator *alloc)
{
    memset(k, 0, sizeof *k);
    k->alloc = alloc;
    k->ready_end = &k->ready;
}

void ln_kept_fini(ln_kept *k)
{
    for (unsigned i = 0; i < LN_KEPT_BUCKETS; i++) {
        while (k->buckets[i])
            ln_kept_drop(k, k->buckets[i]->sock);
    }
    while (ln_kept_next(k)) /* frees those that were dropped */
        ;
}

static int add(ln_kept *k, ln_sock *s, ln_piece *piece)
{
    ln_kept_sock **const at = find(k, s);
    if (!*at) {
        ln_kept_sock *const record = ln_alloc(k->alloc, sizeof *record);
        if (!record) {
            ln_free(k->alloc, piece);
            return LN_ERR_NOMEM;
        }
        *record = (ln_kept_sock){.sock = s};
        record->end = &record->first;
        *at = record;
    }
    piece->next = NULL;
    *(*at)->end = piece;
    (*at)->end = &piece->next;
    return 0;
}

int ln_kept_add(ln_kept *k, ln_sock *s, const uint8_t *bytes, size_t n)
{
    ln_piece *const piece = ln_alloc(k->alloc, sizeof *piece + n);
    if (!piece)
        return LN_ERR_NOMEM;
    memcpy(piece->copy, bytes, n);
    piece->bytes = piece->copy;
    piece->size = n;
    return add(k, s, piece);
}

int ln_kept_add_lent(ln_kept *k, ln_sock *s, uint8_t *bytes, size_t n)
{
    ln_piece *const piece = ln_alloc(k->alloc, sizeof *piece);
    if (!piece)
        return LN_ERR_NOMEM;
    piece->bytes = bytes;
    piece->size = n;
    return add(k, s, piece);
}

void ln_kept_resume(ln_kept *k, ln_sock *s)
{
    ln_kept_sock *const record = *find(k, s);
    if (!record || record->is_ready)
        return;
    record->is_ready = true;
    record->next_ready = NULL;
    *k->ready_end = record;
    k->ready_end = &record->next_ready;
}

/* Out of its bucket. */
static void unlink_record(ln_kept *k, ln_kept_sock *record)
{
    *find(k, record->sock) = record->next;
}

void ln_kept_drop(ln_kept *k, ln_sock *s)
{
    ln_kept_sock *const record = *find(k, s);
    if (!record)
        return;
    free_pieces(k, record);
    unlink_record(k, record);
    if (record->is_ready)
        record->sock = NULL; /* still in the ready list: next() frees it */
    else
        ln_free(k->alloc, record);
}

ln_kept_sock *ln_kept_next(ln_kept *k)
{
    for (ln_kept_sock *record; (record = k->ready);) {
        k->ready = record->next_ready;
        if (!k->ready)
            k->ready_end = &k->ready;
        if (record->sock)
            /* is_ready stays: resume() must not link it while it is in the caller's hands */
            return record;
        ln_free(k->alloc, record);
    }
    return NULL;
}

ln_piece *ln_kept_pop(ln_kept_sock *record)
{
    ln_piece *const piece = record->first;
    if (piece) {
        record->first = piece->next;
        if (!record->first)
            record->end = &record->first;
    }
    return piece;
}

bool ln_kept_done(ln_kept *k, ln_kept_sock *record)
{
    record->is_ready = false;
    if (record->first)
        return false;
    unlink_record(k, record);
    ln_free(k->alloc, record);
    return true;
}
