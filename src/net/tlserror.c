/* SPDX-License-Identifier: MIT */
/*
 * tlserror - OpenSSL's numbers as sentences for people who run servers.
 *
 * All of them are static: ours, or from OpenSSL's own tables.
 */
#include <openssl/err.h>
#include <openssl/sslerr.h>
#include <openssl/x509_vfy.h>
#include <stdio.h>
#include <string.h>

#include "tlsinner.h"

typedef struct ln_sentence {
    int number;
    const char *text;
} ln_sentence;

/* X509_V_ERR_...: why the peer's certificate was not accepted. */
static const ln_sentence verdicts[] = {
    {X509_V_ERR_CERT_HAS_EXPIRED, "the certificate has expired"},
    {X509_V_ERR_CERT_NOT_YET_VALID, "the certificate is not valid yet"},
    {X509_V_ERR_HOSTNAME_MISMATCH, "the certificate is for another host"},
    {X509_V_ERR_IP_ADDRESS_MISMATCH, "the certificate is for another host"},
    {X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT, "the certificate is signed by itself"},
    {X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN, "the certificate's issuer is not trusted"},
    {X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT, "the certificate's issuer is not trusted"},
    {X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY, "the certificate's issuer is not trusted"},
    {X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE, "the certificate's issuer is not trusted"},
    {X509_V_ERR_CERT_REVOKED, "the certificate has been revoked"},
};

/* SSL_R_...: what we found, then what the peer's alerts (RFC 8446 6.2) tell us. */
static const ln_sentence reasons[] = {
    {SSL_R_HTTP_REQUEST, "the peer speaks plain HTTP, not TLS"},
    {SSL_R_HTTPS_PROXY_REQUEST, "the peer speaks plain HTTP, not TLS"},
    {SSL_R_WRONG_VERSION_NUMBER, "the peer does not speak TLS"},
    {SSL_R_PACKET_LENGTH_TOO_LONG, "the peer does not speak TLS"},
    {SSL_R_UNSUPPORTED_PROTOCOL, "the peer speaks no TLS from version 1.2 on"},
    {SSL_R_NO_SHARED_CIPHER, "the peer has no cipher in common with us"},
    {SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE, "the peer showed no certificate"},
    {SSL_R_NO_APPLICATION_PROTOCOL, "the peer wants another protocol than http/1.1"},
    {SSL_R_DECRYPTION_FAILED_OR_BAD_RECORD_MAC, "a record was altered on its way"},
    {SSL_R_RECORD_TOO_SMALL, "the peer sends too many empty records"},
    {SSL_R_SSLV3_ALERT_HANDSHAKE_FAILURE, "the peer has nothing in common with us to agree on"},
    {SSL_R_TLSV1_ALERT_PROTOCOL_VERSION, "the peer speaks no TLS from version 1.2 on"},
    {SSL_R_TLSV1_ALERT_UNKNOWN_CA, "the peer does not trust our certificate's issuer"},
    {SSL_R_SSLV3_ALERT_BAD_CERTIFICATE, "the peer does not accept our certificate"},
    {SSL_R_SSLV3_ALERT_CERTIFICATE_UNKNOWN, "the peer does not accept our certificate"},
    {SSL_R_SSLV3_ALERT_CERTIFICATE_EXPIRED, "the peer says that our certificate has expired"},
    {SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED, "the peer wants a certificate from us"},
    {SSL_R_TLSV1_UNRECOGNIZED_NAME, "the peer does not know the host name"},
    {SSL_R_TLSV1_ALERT_NO_APPLICATION_PROTOCOL, "the peer does not speak http/1.1"},
};

static const char *find(const ln_sentence *table, size_t n, int number, const char *otherwise)
{
    for (size_t i = 0; i < n; i++)
        if (table[i].number == number)
            return table[i].text;
    return otherwise;
}

/* Of a system call's error OpenSSL keeps the errno. */
static const char *reason_of(unsigned long e)
{
    if (ERR_SYSTEM_ERROR(e))
        return strerror(ERR_GET_REASON(e));
    const char *const text = ERR_reason_error_string(e);
    return text ? text : "TLS failure";
}

void ln_tls_error_forget(void)
{
    if (LN_UNLIKELY(ERR_peek_error() != 0))
        ERR_clear_error();
}

const char *ln_tls_error_explain(const SSL *ssl)
{
    const unsigned long e = ERR_peek_error();
    const int reason = ERR_GET_REASON(e);
    ERR_clear_error();
    if (ERR_GET_LIB(e) != ERR_LIB_SSL)
        return reason_of(e);
    if (reason != SSL_R_CERTIFICATE_VERIFY_FAILED)
        return find(reasons, LN_ARRAY_SIZE(reasons), reason, reason_of(e));
    const long verdict = SSL_get_verify_result(ssl);
    return find(verdicts, LN_ARRAY_SIZE(verdicts), (int)verdict,
                X509_verify_cert_error_string(verdict));
}

int ln_tls_error_of_file(const char *what, const char *file, char error[LN_TLS_ERROR_MAX])
{
    /* The last error is the most general one ("PEM lib"), the first one the cause. */
    const unsigned long e = ERR_peek_error();
    snprintf(error, LN_TLS_ERROR_MAX, "%s %s: %s", what, file, reason_of(e));
    ERR_clear_error();
    return LN_ERR_TLS;
}
