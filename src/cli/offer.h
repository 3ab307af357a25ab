/* SPDX-License-Identifier: MIT */
/*
 * offer - what `linnet connect` asks a server for: settings turned into the options of a client.
 *
 * It holds the texts that the options borrow, passwords among them, until fini() wipes them; it
 * must not move till then.
 */
#ifndef LN_OFFER_H
#define LN_OFFER_H

#include <linnet/client.h>

#include "dial.h"
#include "secret.h"

enum { LN_OFFER_URL_BYTES = 4096 };

typedef struct ln_offer {
    char url[LN_OFFER_URL_BYTES]; /* with "ws://" in front if nothing was */
    ln_client_options options;    /* on_failure and user are the caller's to set */
    ln_client_header headers[LN_OPTION_LIST_MAX + 1];
    char subprotocols[LN_DIAL_LISTS_BYTES];
    char credentials[LN_SECRET_SIZE];
    char authorization[LN_SECRET_SIZE * 2];
    char passphrase[LN_SECRET_SIZE];
    ln_tls_identity identity;
    ln_tls_options tls;
} ln_offer;

/*
 * Cuts header settings apart in place, and overwrites the argument of --auth. 0; else *why is a
 * sentence, and LN_ERR_INVALID: the settings are wrong; anything else: a file could not be read.
 */
LN_NODISCARD int ln_offer_init(ln_offer *o, ln_dial_settings *set, const char *url,
                               char why[LN_OPTION_WHY_SIZE]);
void ln_offer_fini(ln_offer *o);

#endif
