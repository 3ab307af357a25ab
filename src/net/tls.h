/* SPDX-License-Identifier: MIT */
/*
 * tls - certificates and trust (ln_tls_context, tlscontext.c), and the sessions that stream.h runs
 * over them (tls.c).
 *
 * A context is made once per listener or client and shared by its connections and all workers (it
 * is reference-counted and immutable): a reload makes a new one, and old connections keep the old.
 *
 * What is agreed on: TLS 1.2 with forward secrecy and an AEAD, or 1.3; ALPN "http/1.1"; tickets
 * kept by the client only, good for the host name they were given for and as long as the context
 * lives. No renegotiation, compression, early data.
 */
#ifndef LN_TLS_H
#define LN_TLS_H

#include <linnet/tls.h>

#include "stream.h"

enum {
    LN_TLS_ERROR_MAX = 256,
    LN_TLS_IDENTITIES_MAX = 1024, /* matched one by one in each handshake */
    /* Of ciphertext that the system does not take: no record is begun beyond it. */
    LN_TLS_QUEUE_MAX_BYTES = 64 * 1024,
    /* Of certificates that a peer may send; real chains are below 10 KiB. */
    LN_TLS_CHAIN_MAX_BYTES = 64 * 1024,
    /*
     * Records other than data that a peer may send after the handshake: key updates, tickets,
     * alerts. One is due every 2^24 records; each costs us some 10 microseconds, and an answer.
     */
    LN_TLS_RARE_PER_SECOND = 1,
    LN_TLS_RARE_BURST = 16
};

/*
 * Reads everything `options` names. LN_ERR_TLS (text: file and OpenSSL's reason), LN_ERR_NOMEM,
 * LN_ERR_INVALID (text). A server with a ca_file turns away clients without a certificate from it.
 * For a client, `options` may be NULL: verify against the system's store.
 */
LN_NODISCARD int ln_tls_context_new_server(const ln_tls_options *options, const ln_allocator *alloc,
                                           ln_tls_context **context, char error[LN_TLS_ERROR_MAX]);
LN_NODISCARD int ln_tls_context_new_client(const ln_tls_options *options, const ln_allocator *alloc,
                                           ln_tls_context **context, char error[LN_TLS_ERROR_MAX]);
/* Any thread. */
ln_tls_context *ln_tls_context_ref(ln_tls_context *context);
/* Accepts NULL. Any thread. */
void ln_tls_context_unref(ln_tls_context *context);

#endif
