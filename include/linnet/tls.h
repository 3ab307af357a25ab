/* SPDX-License-Identifier: MIT */
/*
 * linnet/tls.h - certificates and verification, for listeners and clients.
 *
 * TLS 1.2 and later only; no renegotiation, no early data. Files are read when the listener or
 * client is made and again on ln_server_reload(); a reload that fails leaves the old certificates
 * in force and says why in the log.
 */
#ifndef LINNET_TLS_H
#define LINNET_TLS_H

#include <linnet/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/* One certificate with its key: PEM files, or one PKCS#12 file. */
typedef struct ln_tls_identity {
    const char *cert_file;   /* PEM: leaf first, then intermediates */
    const char *key_file;    /* PEM; NULL = in cert_file */
    const char *pkcs12_file; /* instead of the two above */
    const char *passphrase;  /* of the key or the PKCS#12 file; NULL = none */
    /* SNI host this one answers for, "*.example.org" allowed; NULL = the certificate's names */
    const char *server_name;
} ln_tls_identity;

typedef struct ln_tls_options {
    /* server: at least one, the first is the default; client: none or one */
    const ln_tls_identity *identities;
    size_t identity_count;
    /* client: trust these instead of the system's; server: only for clients with a certificate
     * of theirs */
    const char *ca_file;
    const char *server_name; /* client: name to send and verify; NULL = the URL's host */
    bool insecure;           /* client: do not verify the peer; for tests, and said so in the log */
} ln_tls_options;

#ifdef __cplusplus
}
#endif
#endif
