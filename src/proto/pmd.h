/* SPDX-License-Identifier: MIT */
/*
 * pmd - negotiating permessage-deflate (RFC 7692 section 7.1), both sides. The compressing itself
 * is deflate.h's.
 *
 * Windows of 8 bits are never agreed. zlib takes 8 for raw deflate but uses 9, so that neither our
 * own side nor a peer built on it can promise 8. Therefore: a wish of 8 counts as 9; an offer that
 * demands server_max_window_bits=8 is declined; a client fails a response with
 * client_max_window_bits=8; where a peer promises 8 for what it sends (which costs us nothing), the
 * wire says 8 and the agreed value, with which we inflate, is 9.
 *
 * A field is read in one pass, whatever it holds, without keeping its elements.
 */
#ifndef LN_PMD_H
#define LN_PMD_H

#include "head.h"

/* The agreed parameters (window bits 9-15), or what one side is willing to do (window bits
 * 8-15). */
typedef struct ln_pmd_params {
    bool server_no_context_takeover;
    bool client_no_context_takeover;
    uint8_t server_max_window_bits;
    /* in a client's wish also 0: the parameter is not offered at all */
    uint8_t client_max_window_bits;
} ln_pmd_params;

enum { LN_PMD_BITS_MIN = 9, LN_PMD_BITS_MAX = 15, LN_PMD_TEXT_MAX_BYTES = 160 };

/*
 * Server: reads all Sec-WebSocket-Extensions of a request and accepts the first permessage-deflate
 * offer that it can. `wish` is what we want (the agreed parameters are never looser). 1: accepted,
 * *agreed filled and the answer written to text (*length bytes). 0: none offered, or none
 * acceptable. LN_ERR_PROTOCOL: some field does not parse; an unknown extension, and an offer with
 * an unknown, repeated or invalid parameter, are passed over (RFC 7692 5, 7).
 */
int ln_pmd_accept(const ln_head *head, const ln_pmd_params *wish, ln_pmd_params *agreed,
                  char text[LN_PMD_TEXT_MAX_BYTES], size_t *length);

/* Client: the offer to send for `wish`. Its length. */
size_t ln_pmd_write_offer(const ln_pmd_params *wish, char text[LN_PMD_TEXT_MAX_BYTES]);

/*
 * Client: judges the server's Sec-WebSocket-Extensions. 1: agreed. 0: the server wants none.
 * LN_ERR_PROTOCOL: an extension or parameter that was not offered, twice, out of range, or looser
 * than offered (RFC 7692 7.1).
 */
int ln_pmd_check(const ln_head *head, const ln_pmd_params *offered, ln_pmd_params *agreed);

#endif
