/* SPDX-License-Identifier: MIT */
/*
 * upgrade - the opening handshake of RFC 6455 section 4, both sides: judging a parsed head and
 * writing the answer.
 *
 * Stateless. It decides; it neither reads sockets nor keeps connections. Extension negotiation is
 * pmd.h's, comparing origins origin.h's.
 */
#ifndef LN_UPGRADE_H
#define LN_UPGRADE_H

#include "head.h"
#include "pmd.h"

enum {
    LN_UPGRADE_ACCEPT_BYTES = 28,
    LN_UPGRADE_KEY_BYTES = 24,
    LN_UPGRADE_SUBPROTOCOLS_MAX =
        32 /* names that one side may offer: bounds the search for duplicates */
};

/* The Sec-WebSocket-Accept for a valid key (RFC 6455 4.2.2 item 5.4). LN_ERR_NOMEM if the digest is
 * not to be had. */
LN_NODISCARD int ln_upgrade_accept_key(ln_span key, char accept[LN_UPGRADE_ACCEPT_BYTES]);

/* 24 characters of base64 that decode to 16 bytes, no stray bits (RFC 6455 4.1 item 7). */
bool ln_upgrade_is_key(ln_span key);

/* True if the request asks for a WebSocket at all: GET with Upgrade naming websocket. What is
 * missing is check's to say. */
bool ln_upgrade_is_wanted(const ln_head *head);

/* What a refusal is for; the last one is not the request's doing, and never check's verdict. */
typedef enum ln_upgrade_fault {
    LN_UPGRADE_BAD_METHOD,
    LN_UPGRADE_BAD_FORM, /* no upgrade, or not so */
    LN_UPGRADE_BAD_VERSION,
    LN_UPGRADE_NO_KEY,
    LN_UPGRADE_BAD_KEY,
    LN_UPGRADE_NO_ROOM
} ln_upgrade_fault;

typedef struct ln_upgrade_verdict {
    unsigned status;        /* 101, or the refusal: 400, 405, 426 */
    ln_upgrade_fault fault; /* of a refusal */
    const char *reason;     /* static sentence for a refusal; NULL with 101 */
    ln_span key;            /* borrowed from the head; empty for a refusal */
} ln_upgrade_verdict;

/*
 * Every check of RFC 6455 4.2.1 on a request head, in this order: method GET (405), HTTP/1.1 or
 * later (400), one Host (400), Upgrade has websocket (426; two Upgrade fields: 400), Connection has
 * upgrade (426; a list, may be in several fields), no body (Content-Length other than 0, or
 * Transfer-Encoding: 400), Sec-WebSocket-Version 13 (426, the answer names 13; two of them: 400),
 * one valid key (400).
 *
 * After any refusal the connection is to be closed: what follows the head may be meant as frames
 * (request smuggling).
 */
void ln_upgrade_check_request(const ln_head *head, ln_upgrade_verdict *verdict);

/*
 * The first of `ours` (comma separated, order of preference) that the client offered in
 * Sec-WebSocket-Protocol; exact, case-sensitive. A span into `ours`, so that only our own bytes are
 * ever echoed; empty if none matches. *is_malformed, if wanted: an offered name is empty or no
 * token, one is offered twice, or there are more than LN_UPGRADE_SUBPROTOCOLS_MAX of them; nothing
 * is chosen then.
 */
ln_span ln_upgrade_choose_subprotocol(const ln_head *head, ln_span ours, bool *is_malformed);

/*
 * Origin rule (RFC 6455 10.2). `allowed`: comma separated origins, "*" = all, empty = same origin
 * as `is_secure` and Host (or the authority of an absolute-form target). A request without Origin
 * passes; two of them do not. "null" passes only "*".
 */
bool ln_upgrade_is_origin_allowed(const ln_head *head, ln_span allowed, bool is_secure);

/*
 * Writes the 101: Upgrade, Connection, Accept, then subprotocol and extensions unless empty, then
 * `extra` fields. LN_ERR_INVALID: what cannot be written, and extra fields that the handshake, or
 * the framing of bodies, owns: Host, Connection, Upgrade, Sec-WebSocket-*, Content-Length,
 * Transfer-Encoding. LN_ERR_TOO_BIG, LN_ERR_NOMEM. On an error `out` is as it was.
 */
LN_NODISCARD int ln_upgrade_write_response(ln_buf *out, ln_span key, ln_span subprotocol,
                                           ln_span extensions, const ln_field *extra,
                                           size_t extra_count, size_t limit);

typedef struct ln_upgrade_offer {
    ln_span host; /* Host field, with port when it is not the default */
    ln_span target;
    ln_span key;          /* LN_UPGRADE_KEY_BYTES characters */
    ln_span origin;       /* empty = none */
    ln_span subprotocols; /* comma separated, as sent; each once; empty = none */
    ln_span extensions;   /* empty = none */
    /* other fields, but not those that ln_upgrade_write_response() refuses */
    const ln_field *extra;
    size_t extra_count;
} ln_upgrade_offer;

/* The client's request. LN_ERR_INVALID for any part that a server would not take; else as
 * ln_upgrade_write_response(). */
LN_NODISCARD int ln_upgrade_write_request(ln_buf *out, const ln_upgrade_offer *offer, size_t limit);

/* Base64 of 16 random bytes. */
void ln_upgrade_make_key(const uint8_t random[16], char key[LN_UPGRADE_KEY_BYTES]);

typedef struct ln_upgrade_result {
    /* 0, LN_ERR_REFUSED (another status), LN_ERR_HANDSHAKE, LN_ERR_NOMEM (no digest) */
    int rc;
    unsigned status;     /* as received */
    const char *reason;  /* static; NULL when rc is 0 */
    ln_span subprotocol; /* one of ours, borrowed from the offer; empty if none */
    bool has_deflate;
    ln_pmd_params deflate;
} ln_upgrade_result;

/* Every check of RFC 6455 4.1 (end) on the response to `offer`; `pmd_offered` NULL = no extension
 * was offered. */
void ln_upgrade_check_response(const ln_head *head, const ln_upgrade_offer *offer,
                               const ln_pmd_params *pmd_offered, ln_upgrade_result *result);

#endif
