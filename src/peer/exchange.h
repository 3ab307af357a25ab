/* SPDX-License-Identifier: MIT */
/*
 * exchange - a server connection while it speaks HTTP: request heads, bodies, answers, keep-alive,
 * up to the upgrade.
 *
 * What it is not: it knows no WebSocket frame (wsconn.h) and no file (files.h).
 *
 * Invariants
 *   1. One request at a time; the bytes of the next wait, bounded by one receive buffer, until this
 *      one is answered.
 *   2. Every request gets exactly one answer. After an error, or any answer but 101 to an upgrade,
 *      the connection ends.
 *   3. A request is memory only from the end of its head to its answer; before that, only the bytes
 *      that came.
 */
#ifndef LN_EXCHANGE_H
#define LN_EXCHANGE_H

#include "proto/body.h"
#include "proto/url.h"
#include "wsconn.h"

typedef struct ln_route ln_route;
struct ln_filesend;

enum { LN_EXCHANGE_BACKLOG_BYTES = 65536 }; /* output above which no more of a file is read */

struct ln_exchange {
    ln_conn *conn;
    ln_head_parser parser;
    ln_chain out;
    ln_buf waiting;           /* bytes behind the current request */
    ln_request *request;      /* being received or answered */
    struct ln_filesend *file; /* an answer's body that comes from a file */
    uint64_t due_ms;
    bool is_first; /* the handshake deadline counts from the accept, not from this request */
    bool ends;     /* after the current answer */
};

/* Public as ln_request: a request and what is needed to answer it. */
struct ln_request {
    ln_exchange *exchange;
    const ln_route *route; /* NULL: nobody's */
    ln_head head;
    ln_body body;
    ln_buf body_bytes;
    ln_buf extra; /* header lines for the answer, complete with CRLF */
    size_t path_size;
    ln_span query;
    char *path;
    char remote[LN_ADDRESS_TEXT_MAX];
    size_t remote_size;
    void *user;
    /* != NULL: `user` is freed with the request, unless a connection takes it over */
    const ln_allocator *user_alloc;
    void (*on_gone)(ln_request *request, void *user);
    void *gone_user;
    bool is_dispatched; /* complete, and handed to whom it is for */
    bool is_upgrade;
    bool is_deferred;
    bool is_at_handler; /* whose return is waited for */
    bool is_answered;
    bool is_refused; /* an upgrade, and never accepted: also if there was no memory to say so */
    bool is_head;    /* HEAD: the answer has no body */
    uint8_t bytes[]; /* the head as received; then the decoded path */
};

/* Begins: waits for the first request. LN_ERR_NOMEM. */
LN_NODISCARD int ln_exchange_open(ln_conn *c);
void ln_exchange_free(ln_exchange *x);

void ln_exchange_recv(ln_exchange *x, uint8_t *bytes, size_t n);
void ln_exchange_end(ln_exchange *x, int err);

/* Output: pulls from the chain, reads more of a file. Called by wsconn's flush. */
void ln_exchange_push(ln_exchange *x, size_t sent);

/* The deadline passed. */
void ln_exchange_expire(ln_exchange *x);

/* No new request is taken: ends now, or after the answer under way. */
void ln_exchange_drain(ln_exchange *x);

/* Appends a complete answer. `body` is left out for HEAD. LN_ERR_NOMEM. */
LN_NODISCARD int ln_exchange_answer(ln_exchange *x, unsigned status, const char *type,
                                    ln_span body);

/* Appends the head of an answer whose `length` bytes of body follow from a file. */
LN_NODISCARD int ln_exchange_begin_answer(ln_exchange *x, unsigned status, const char *type,
                                          uint64_t length);

/* The answer is complete: the next request, or the end. */
void ln_exchange_next(ln_exchange *x);

/* The head of a request that has a body: where it goes may refuse it already, which ends the
 * connection (dispatch.c). */
void ln_exchange_screen(ln_exchange *x);

/* A complete request: found its route and handed over (dispatch.c). */
void ln_exchange_dispatch(ln_exchange *x);

/* An upgrade that nobody objected to: 101, and over to wsconn (dispatch.c). */
void ln_exchange_complete_upgrade(ln_exchange *x);

#endif
