/* SPDX-License-Identifier: MIT */
/*
 * opening - the client's half of an opening handshake as data: what the URL and the options ask
 * for, the request made of it, and the response judged against it.
 */
#ifndef LN_OPENING_H
#define LN_OPENING_H

#include <linnet/client.h>

#include "proto/upgrade.h"
#include "proto/url.h"
#include "site.h"

enum { LN_OPENING_REQUEST_MAX_BYTES = 65536, LN_OPENING_RESPONSE_MAX_BYTES = 16384 };

typedef struct ln_opening {
    char *host;       /* as in the URL, without brackets */
    char *host_field; /* as in the Host field */
    char *target;
    char *origin; /* NULL = none */
    ln_field *headers;
    size_t header_count;
    uint16_t port;
    bool is_secure;
    char key[LN_UPGRADE_KEY_BYTES];
    char extensions[LN_PMD_TEXT_MAX_BYTES];
    size_t extensions_size;
    ln_pmd_params wish;
} ln_opening;

/* Copies everything. LN_ERR_INVALID (URL), LN_ERR_NOMEM; fini is due in any case. */
LN_NODISCARD int ln_opening_init(ln_opening *o, const char *url, const ln_client_header *headers,
                                 size_t header_count, const char *origin,
                                 const ln_allocator *alloc);
void ln_opening_fini(ln_opening *o, const ln_allocator *alloc);

/*
 * Writes a request with a fresh key from 16 random bytes. LN_ERR_INVALID for a header that must not
 * be set, or that could break out of its line; LN_ERR_TOO_BIG; LN_ERR_NOMEM.
 */
LN_NODISCARD int ln_opening_write(ln_opening *o, const ln_site *site, const uint8_t random[16],
                                  ln_buf *out);

/*
 * Judges the response. 0, and *deflate is owned (NULL = not agreed); else LN_ERR_REFUSED,
 * LN_ERR_HANDSHAKE, LN_ERR_NOMEM with result->status and result->reason.
 */
LN_NODISCARD int ln_opening_judge(const ln_opening *o, const ln_site *site, const ln_head *head,
                                  ln_upgrade_result *result, ln_deflate **deflate);

#endif
