/* SPDX-License-Identifier: MIT */
/* requests - a received request as an object: making it from the head, and the head of its
 * answer. */
#ifndef LN_REQUESTS_H
#define LN_REQUESTS_H

#include "exchange.h"

/*
 * From the parser's complete head, which is copied. LN_ERR_PROTOCOL: the head does not parse (the
 * parser's fault says how), LN_ERR_INVALID: the target is not one (400), LN_ERR_NOMEM.
 */
LN_NODISCARD int ln_request_new(ln_exchange *x, ln_request **request);

/* Tells a deferred request's owner that it is gone, if it was not answered. Accepts NULL. */
void ln_request_free(ln_request *r);

/*
 * ln_request_set_user() with memory from `alloc` that is freed if the request does not become a
 * connection; from on_open on it is the connection's handlers' to free.
 */
void ln_request_set_owned_user(ln_request *r, void *user, const ln_allocator *alloc);

/* Status line and fields of an answer; `r` NULL when there is no request to speak of. */
LN_NODISCARD int ln_request_write_head(const ln_request *r, unsigned status, const char *type,
                                       uint64_t length, bool closes, ln_buf *out);

#endif
