/* SPDX-License-Identifier: MIT */
/*
 * linnet/types.h - the words every other header uses: spans, errors, kinds, hooks.
 *
 * Ownership vocabulary: "borrowed until X" means the callee's memory, valid until X; "owned" means
 * yours to release with the function that is named. Text is UTF-8. Times are milliseconds unless a
 * name says otherwise.
 */
#ifndef LINNET_TYPES_H
#define LINNET_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define LN_API __attribute__((visibility("default")))
#else
#define LN_API
#endif

/* The version of these headers; ln_version() tells that of the library that was linked. */
#define LN_VERSION_MAJOR 0
#define LN_VERSION_MINOR 1
#define LN_VERSION_PATCH 0

/* Bytes somebody else owns. `data` may be NULL only when `size` is 0. */
typedef struct ln_span {
    const void *data;
    size_t size; /* bytes */
} ln_span;

/* A span over a string literal, or over a character array without its last byte. */
#define LN_SPAN(literal) ((ln_span){(literal), sizeof(literal) - 1})

/* What a message carries (RFC 6455 5.6). The values are the opcodes. */
enum ln_kind {
    /* UTF-8; checked on receipt, and on sending unless the endpoint trusts its own text */
    LN_TEXT = 1,
    LN_BINARY = 2 /* any bytes */
};

/*
 * Errors: negative, in four families. A function returns 0 or a count when it succeeds.
 *
 * A peer's violation is not an error of the call that found it: the connection is closed with the
 * RFC's code and on_close reports it. The third family exists for calls whose very purpose is to
 * judge what a peer sent.
 */
enum ln_err {
    /* Not now: the same call may succeed later. */
    LN_ERR_AGAIN = -1,        /* nothing to do yet, or the decision was deferred */
    LN_ERR_WOULD_EXCEED = -2, /* the send queue is full: nothing was queued; wait for on_drain */
    /* the queue was full and the policy dropped the message; it was counted */
    LN_ERR_DROPPED = -3,
    LN_ERR_BUSY = -4,      /* a fragmented message is being sent, or the object is in use */
    LN_ERR_CANCELLED = -5, /* the caller took it back */

    /* Your mistake: the call cannot succeed as it stands. */
    LN_ERR_INVALID = -20,     /* an argument is out of its documented range */
    LN_ERR_STATE = -21,       /* not in this state: before open, after close, twice */
    LN_ERR_CLOSED = -22,      /* the connection is closing or gone; also what a stale id gives */
    LN_ERR_NOT_FOUND = -23,   /* no such topic, key, file */
    LN_ERR_EXISTS = -24,      /* already there */
    LN_ERR_LIMIT = -25,       /* a documented limit (doc/limits.md) would be passed */
    LN_ERR_UNSUPPORTED = -26, /* not built in, or not on this system */

    /* The peer's mistake. */
    LN_ERR_PROTOCOL = -40,  /* it broke the protocol */
    LN_ERR_TOO_BIG = -41,   /* it sent more than a limit allows */
    LN_ERR_ENCODING = -42,  /* text that is not UTF-8, or compressed data that does not inflate */
    LN_ERR_HANDSHAKE = -43, /* it did not complete the opening handshake */
    LN_ERR_REFUSED = -44,   /* it answered the handshake with another HTTP status */
    LN_ERR_POLICY = -45,    /* it went over a rate or was not permitted */

    /* The world. */
    LN_ERR_NOMEM = -60,
    LN_ERR_IO = -61,
    LN_ERR_TIMEOUT = -62,
    LN_ERR_RESET = -63,       /* the connection broke without a goodbye */
    LN_ERR_RESOLVE = -64,     /* the host name has no address */
    LN_ERR_CONNECT = -65,     /* nobody answers there */
    LN_ERR_TLS = -66,         /* handshake, certificate or record failure */
    LN_ERR_ADDRESS = -67,     /* the address is malformed, in use or not ours */
    LN_ERR_DESCRIPTORS = -68, /* the process is out of descriptors */
    LN_ERR_ACCESS = -69       /* the system denied it */
};

/* A short static English phrase for `err`; "unknown error" for a number that is none. Any
 * thread. */
LN_API const char *ln_strerror(int err);

/* The linked library's version, e.g. "0.1.0"; static. Any thread. */
LN_API const char *ln_version(void);

/*
 * Memory. One function does everything, like realloc: resize(user, NULL, n) allocates, resize(user,
 * p, 0) frees and returns NULL, anything else moves. Returning NULL for n > 0 is an ordinary error
 * that the library survives. Called from every thread that runs a loop or sends by id.
 */
typedef struct ln_allocator {
    void *(*resize)(void *user, void *old, size_t size);
    void *user;
} ln_allocator;

/* A connection of a server, valid for life and never reused: worker, generation and slot. 0 names
 * none. */
typedef uint64_t ln_conn_id;

/* How serious a log line is; the smaller the worse. */
enum ln_log_level { LN_LOG_ERROR = 1, LN_LOG_WARN = 2, LN_LOG_INFO = 3, LN_LOG_DEBUG = 4 };

/*
 * Where log lines go. `line` is one event, escaped (no control characters, no invalid UTF-8),
 * without a newline, "key=value" pairs after the message; borrowed until the hook returns. May be
 * called from several threads at once.
 */
typedef void ln_log_hook(void *user, enum ln_log_level level, ln_span line);

#ifdef __cplusplus
}
#endif
#endif
