/* SPDX-License-Identifier: MIT */
/*
 * linnet/http.h - requests: what a route's handler, and a WebSocket endpoint's on_request, is asked
 * to answer.
 *
 * A request is answered once, at once or later. A handler that returns without having called
 * ln_request_reply() or ln_request_defer() has accepted an upgrade, or, for plain HTTP, gets 500
 * sent in its name. Spans are borrowed until the request is answered. All calls on the thread of
 * the request's loop.
 */
#ifndef LINNET_HTTP_H
#define LINNET_HTTP_H

#include <linnet/types.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct ln_request ln_request;
typedef struct ln_server ln_server;

typedef void ln_http_handler(ln_request *request, void *user);

/* "GET", as received (RFC 9110 9.1). */
LN_API ln_span ln_request_method(const ln_request *request);

/* The target up to '?', percent-decoded once, without dot segments; begins with '/'. */
LN_API ln_span ln_request_path(const ln_request *request);

/* What follows '?', as received; empty if there is none. */
LN_API ln_span ln_request_query(const ln_request *request);

/*
 * The first query parameter `name`, percent- and plus-decoded into `buffer` (`size` bytes,
 * NUL-terminated). Its length; LN_ERR_NOT_FOUND; LN_ERR_LIMIT if it does not fit; LN_ERR_INVALID
 * for a broken escape.
 */
LN_API int ln_request_param(const ln_request *request, const char *name, char *buffer, size_t size);

/* The first header `name` (any case), without surrounding blanks; data == NULL if absent. */
LN_API ln_span ln_request_header(const ln_request *request, const char *name);

/* Header number `index` in the order received; false past the last. */
LN_API bool ln_request_header_at(const ln_request *request, size_t index, ln_span *name,
                                 ln_span *value);

/* The whole body; empty for an upgrade. */
LN_API ln_span ln_request_body(const ln_request *request);

/* "192.0.2.1:4711", "[2001:db8::1]:4711" or "unix". */
LN_API ln_span ln_request_remote(const ln_request *request);

/* True when the request came over TLS. */
LN_API bool ln_request_is_tls(const ln_request *request);

/* The server that received it. */
LN_API ln_server *ln_request_server(const ln_request *request);

/* Adds a header to the reply, or to the 101. LN_ERR_INVALID for bytes that could break out of the
 * line. */
LN_API int ln_request_add_header(ln_request *request, const char *name, ln_span value);

/*
 * Answers: `status`, Content-Type `type` (NULL = none), and the whole body, which is copied.
 * On an upgrade this is a refusal, which stands also with LN_ERR_NOMEM. LN_ERR_STATE when it has
 * been answered; LN_ERR_CLOSED when its connection has ended, and on_gone is still to come.
 */
LN_API int ln_request_reply(ln_request *request, unsigned status, const char *type, ln_span body);

/* The answer comes later, or before the handler returns: the request stays valid until
 * ln_request_reply() or ln_request_accept(), or on_gone. */
LN_API int ln_request_defer(ln_request *request, void (*on_gone)(ln_request *request, void *user),
                            void *user);

/* Accepts a deferred upgrade, unless the server ends or is full by now, which answers 503.
 * LN_ERR_STATE when it is not one; LN_ERR_CLOSED as above. After 0 on_gone does not come, also if there
 * was no memory to go on. */
LN_API int ln_request_accept(ln_request *request);

/* A pointer of yours that the connection inherits as ln_conn_user(); for on_request to hand on what
 * it found out. */
LN_API void ln_request_set_user(ln_request *request, void *user);

#ifdef __cplusplus
}
#endif
#endif
