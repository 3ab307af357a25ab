/* SPDX-License-Identifier: MIT */
/*
 * reloadbook - the pages that hot reload knows of, and what has gone wrong in them.
 *
 * Pages come from clients that nobody has vouched for: everything is bounded, and what is longer is
 * cut. An error is kept as the JSON that tells of it.
 *
 * Invariants
 *   1. At most RELOADBOOK_PAGES_MAX pages; the one not seen for longest makes room.
 *   2. At most RELOADBOOK_ERRORS_MAX errors of a page, its latest, and RELOADBOOK_TOTAL_MAX of all,
 *      where the page with the oldest one makes room.
 *   3. Nothing here reads a clock, and one thread at a time is inside.
 */
#ifndef LN_RELOADBOOK_H
#define LN_RELOADBOOK_H

#include "base/buf.h"

enum {
    LN_RELOADBOOK_PAGES_MAX = 1024,
    LN_RELOADBOOK_ERRORS_MAX = 100,
    LN_RELOADBOOK_TOTAL_MAX = 4096,
    LN_RELOADBOOK_NAME_MAX_BYTES = 512,  /* of an id, a URL, a file's name */
    LN_RELOADBOOK_TEXT_MAX_BYTES = 1024, /* of a message */
    LN_RELOADBOOK_STACK_MAX_BYTES = 4096,
    LN_RELOADBOOK_STAMP_SIZE = 64 /* a time as text, with its NUL */
};

typedef struct ln_reloadbook_page {
    ln_conn_id conn;
    bool is_ready; /* wants to be told of changes */
    int64_t seen_s;
    char *id, *url;
    char *errors[LN_RELOADBOOK_ERRORS_MAX]; /* a ring, each a JSON object */
    uint64_t serials[LN_RELOADBOOK_ERRORS_MAX];
    unsigned first, count;
} ln_reloadbook_page;

typedef struct ln_reloadbook {
    const ln_allocator *alloc;
    ln_reloadbook_page *pages[LN_RELOADBOOK_PAGES_MAX];
    size_t count;
    size_t errors; /* of all pages */
    uint64_t serial;
} ln_reloadbook;

/* Allocates nothing. */
void ln_reloadbook_init(ln_reloadbook *book, const ln_allocator *alloc);
void ln_reloadbook_fini(ln_reloadbook *book);

/* Who somebody is. */
typedef struct ln_reloadbook_who {
    ln_conn_id conn;
    ln_span id;
    ln_span url; /* empty: unknown, or as before */
} ln_reloadbook_who;

/* A page is there; with `is_ready` it wants to be told. `now_s`: wall clock. LN_ERR_NOMEM. */
int ln_reloadbook_see(ln_reloadbook *book, const ln_reloadbook_who *who, bool is_ready,
                      int64_t now_s);

/* An error, for the log: texts are cut, decoded, and NUL-terminated. */
typedef struct ln_reloadbook_error {
    char message[LN_RELOADBOOK_TEXT_MAX_BYTES + 1];
    char file[LN_RELOADBOOK_NAME_MAX_BYTES + 1];
    char stack[LN_RELOADBOOK_STACK_MAX_BYTES + 1];
    char stamp[LN_RELOADBOOK_STAMP_SIZE];
    uint32_t line, column; /* 0 = unknown */
} ln_reloadbook_error;

/* Reads what a page reports: {message, filename, lineno, colno, stack, timestamp}, of which anything
 * may be missing, or be something else. LN_ERR_NOMEM. */
int ln_reloadbook_read(ln_reloadbook *book, ln_span payload, int64_t now_s,
                       ln_reloadbook_error *error);

/* Keeps the error of a page that has been seen. LN_ERR_NOT_FOUND, LN_ERR_NOMEM. */
int ln_reloadbook_keep(ln_reloadbook *book, ln_conn_id conn, const ln_reloadbook_error *error,
                       int64_t now_s);

/* The page is gone, and its errors with it. */
void ln_reloadbook_forget(ln_reloadbook *book, ln_conn_id conn);

/* How many are ready. */
size_t ln_reloadbook_ready(const ln_reloadbook *book);

/* Appends {"clients":[...]}. LN_ERR_NOMEM. */
int ln_reloadbook_write(const ln_reloadbook *book, ln_buf *out);

#endif
