/* SPDX-License-Identifier: MIT */
/*
 * tlscontext - certificates, keys and trust, read once; and which of them answers for a host.
 *
 * A server has one SSL_CTX for each identity, all configured alike. The ClientHello callback picks
 * one before OpenSSL looks at a ticket, and binds the session to identity and host name: a ticket
 * shown for another host is worth nothing there (the session id context differs), whichever
 * identity answers.
 */
#include <openssl/err.h>
#include <openssl/pkcs12.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "tlsinner.h"

enum { NAME_MAX_BYTES = 255 }; /* of a host name on the wire */

/* Forward secrecy and an AEAD (RFC 9325 4.2); TLS 1.3 has nothing else. */
static const char ciphers[] = "ECDHE+AESGCM:ECDHE+CHACHA20";
/* The finite-field groups cost a server ten times as much and no client needs them. */
static const char groups[] = "X25519:P-256:P-384";
static const uint8_t alpn[] = "\x08http/1.1";

static int refuse(char error[LN_TLS_ERROR_MAX], const char *why)
{
    snprintf(error, LN_TLS_ERROR_MAX, "%s", why);
    ERR_clear_error();
    return LN_ERR_INVALID;
}

static int starve(char error[LN_TLS_ERROR_MAX])
{
    snprintf(error, LN_TLS_ERROR_MAX, "out of memory");
    ERR_clear_error();
    return LN_ERR_NOMEM;
}

/* A host name in lower case, with its length; false when it is too long to be one. */
static bool fold_name(ln_span name, char out[NAME_MAX_BYTES + 1], size_t *size)
{
    const char *const text = name.data;
    if (name.size > NAME_MAX_BYTES)
        return false;
    for (size_t i = 0; i < name.size; i++)
        out[i] = (char)(text[i] >= 'A' && text[i] <= 'Z' ? text[i] | 0x20 : text[i]);
    out[name.size] = '\0';
    *size = name.size;
    return true;
}

/* Choosing an identity. */

static bool is_exactly(const ln_tls_entry *e, const char *name)
{
    return e->name && strcmp(e->name, name) == 0;
}

/* "*.example.org" stands for one label, not for none and not for two (RFC 6125 6.4.3). */
static bool is_below(const ln_tls_entry *e, const char *name)
{
    const char *const dot = strchr(name, '.');
    return e->name && e->name[0] == '*' && dot && dot != name && strcmp(e->name + 1, dot) == 0;
}

static bool is_certified(const ln_tls_entry *e, const char *name)
{
    X509 *const leaf = SSL_CTX_get0_certificate(e->ctx);
    return !e->name &&
           X509_check_host(leaf, name, 0, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS, NULL) == 1;
}

/* The closest match, or the first identity for a name that nobody here answers for. */
static size_t choose(const ln_tls_context *c, const char *name)
{
    static bool (*const rules[])(const ln_tls_entry *e, const char *name) = {is_exactly, is_below,
                                                                             is_certified};
    if (c->count == 1 || name[0] == '\0')
        return 0;
    for (size_t r = 0; r < LN_ARRAY_SIZE(rules); r++)
        for (size_t i = 0; i < c->count; i++)
            if (rules[r](&c->entries[i], name))
                return i;
    return 0;
}

/* The host in a ClientHello (RFC 6066 3), in lower case; empty if there is none. False when it
 * makes no sense. */
static bool requested_name(SSL *ssl, char name[NAME_MAX_BYTES + 1], size_t *size)
{
    const uint8_t *p;
    size_t n;
    *size = 0;
    name[0] = '\0';
    if (!SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_server_name, &p, &n))
        return true;
    /* One list, of one entry: list size, type, name size, name. */
    if (n < 5 || ln_load_be16(p) != n - 2 || p[2] != TLSEXT_NAMETYPE_host_name ||
        ln_load_be16(p + 3) != n - 5)
        return false;
    return !memchr(p + 5, '\0', n - 5) && fold_name((ln_span){p + 5, n - 5}, name, size);
}

/* Sessions, and so tickets, are good for this identity under this name and no other. */
static bool bind_session(SSL *ssl, size_t index, const char *name, size_t size)
{
    uint8_t place[sizeof(uint16_t) + NAME_MAX_BYTES], digest[EVP_MAX_MD_SIZE];
    unsigned length = 0;
    ln_store_be16(place, (uint16_t)index);
    memcpy(place + sizeof(uint16_t), name, size);
    return EVP_Digest(place, sizeof(uint16_t) + size, digest, &length, EVP_sha256(), NULL) == 1 &&
           SSL_set_session_id_context(ssl, digest, length) == 1;
}

static int on_client_hello(SSL *ssl, int *alert, void *arg)
{
    const ln_tls_context *const c = arg;
    char name[NAME_MAX_BYTES + 1];
    size_t size;
    if (!requested_name(ssl, name, &size)) {
        *alert = SSL_AD_DECODE_ERROR;
        return SSL_CLIENT_HELLO_ERROR;
    }
    const size_t index = choose(c, name);
    SSL_CTX *const ctx = c->entries[index].ctx;
    if ((SSL_get_SSL_CTX(ssl) != ctx && !SSL_set_SSL_CTX(ssl, ctx)) ||
        !bind_session(ssl, index, name, size)) {
        *alert = SSL_AD_INTERNAL_ERROR;
        return SSL_CLIENT_HELLO_ERROR;
    }
    return SSL_CLIENT_HELLO_SUCCESS;
}

/* The name has been used above: say so (RFC 6066 3). */
static int on_server_name(SSL *ssl, int *alert, void *arg)
{
    (void)ssl, (void)alert, (void)arg;
    return SSL_TLSEXT_ERR_OK;
}

static int on_alpn(SSL *ssl, const uint8_t **out, uint8_t *out_size, const uint8_t *in,
                   unsigned in_size, void *arg)
{
    (void)ssl, (void)arg;
    uint8_t *chosen;
    if (SSL_select_next_proto(&chosen, out_size, alpn, sizeof alpn - 1, in, in_size) !=
        OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_ALERT_FATAL; /* RFC 7301 3.2 */
    *out = chosen;
    return SSL_TLSEXT_ERR_OK;
}

/* Reading files. */

/* Never asks on the terminal. */
static int on_passphrase(char *buffer, int size, int is_writing, void *passphrase)
{
    (void)is_writing;
    const size_t n = passphrase ? strlen(passphrase) : 0;
    if (n > (size_t)size)
        return -1;
    if (n > 0)
        memcpy(buffer, passphrase, n);
    return (int)n;
}

static int use_pkcs12(SSL_CTX *ctx, const ln_tls_identity *identity, char error[LN_TLS_ERROR_MAX])
{
    EVP_PKEY *key = NULL;
    X509 *leaf = NULL;
    STACK_OF(X509) *chain = NULL;
    BIO *const file = BIO_new_file(identity->pkcs12_file, "rb");
    PKCS12 *const box = file ? d2i_PKCS12_bio(file, NULL) : NULL;
    int rc = 0;
    if (!box || !PKCS12_parse(box, identity->passphrase, &key, &leaf, &chain) ||
        SSL_CTX_use_cert_and_key(ctx, leaf, key, chain, 1) != 1)
        rc = ln_tls_error_of_file("PKCS#12 file", identity->pkcs12_file, error);
    sk_X509_pop_free(chain, X509_free);
    X509_free(leaf);
    EVP_PKEY_free(key);
    PKCS12_free(box);
    BIO_free(file);
    return rc;
}

static int use_pem(SSL_CTX *ctx, const ln_tls_identity *identity, char error[LN_TLS_ERROR_MAX])
{
    const char *const key_file = identity->key_file ? identity->key_file : identity->cert_file;
    SSL_CTX_set_default_passwd_cb(ctx, on_passphrase);
    SSL_CTX_set_default_passwd_cb_userdata(ctx, (void *)(uintptr_t)identity->passphrase);
    int rc = 0;
    if (SSL_CTX_use_certificate_chain_file(ctx, identity->cert_file) != 1)
        rc = ln_tls_error_of_file("certificate", identity->cert_file, error);
    else if (SSL_CTX_use_PrivateKey_file(ctx, key_file, SSL_FILETYPE_PEM) != 1)
        rc = ln_tls_error_of_file("key", key_file, error);
    SSL_CTX_set_default_passwd_cb_userdata(ctx, NULL);
    return rc;
}

static int use_identity(SSL_CTX *ctx, const ln_tls_identity *identity, char error[LN_TLS_ERROR_MAX])
{
    if (!identity->cert_file == !identity->pkcs12_file)
        return refuse(error, "an identity needs a certificate file or a PKCS#12 file");
    return identity->cert_file ? use_pem(ctx, identity, error) : use_pkcs12(ctx, identity, error);
}

/* Certificates that we trust to sign the peer's. */
static int use_trust(const ln_tls_context *c, SSL_CTX *ctx, const char *ca_file,
                     char error[LN_TLS_ERROR_MAX])
{
    if (ca_file && SSL_CTX_load_verify_locations(ctx, ca_file, NULL) != 1)
        return ln_tls_error_of_file("CA file", ca_file, error);
    if (!c->is_server) {
        if (!ca_file && SSL_CTX_set_default_verify_paths(ctx) != 1)
            return starve(error);
        SSL_CTX_set_verify(ctx, c->is_insecure ? SSL_VERIFY_NONE : SSL_VERIFY_PEER, NULL);
        return 0;
    }
    if (!ca_file)
        return 0;
    STACK_OF(X509_NAME) *const names = SSL_load_client_CA_file(ca_file);
    if (!names)
        return ln_tls_error_of_file("CA file", ca_file, error);
    SSL_CTX_set_client_CA_list(ctx, names);
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    return 0;
}

/* What both sides have in common: the versions, the algorithms, and habits that save memory. */
static bool configure(SSL_CTX *ctx)
{
    SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                 SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
    SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                              SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_max_cert_list(ctx, LN_TLS_CHAIN_MAX_BYTES);
    SSL_CTX_set_msg_callback(ctx, ln_tls_bio_on_record);
    return SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) == 1 &&
           SSL_CTX_set_cipher_list(ctx, ciphers) == 1 && SSL_CTX_set1_groups_list(ctx, groups) == 1;
}

static bool configure_server(ln_tls_context *c, SSL_CTX *ctx)
{
    SSL_CTX_set_client_hello_cb(ctx, on_client_hello, c);
    SSL_CTX_set_tlsext_servername_callback(ctx, on_server_name);
    SSL_CTX_set_alpn_select_cb(ctx, on_alpn, NULL);
    /* Tickets hold the session, so that we need not; one is enough for a client that comes back. */
    return SSL_CTX_set_num_tickets(ctx, 1) == 1;
}

static bool configure_client(SSL_CTX *ctx)
{
    SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET); /* it never resumes */
    return SSL_CTX_set_alpn_protos(ctx, alpn, sizeof alpn - 1) == 0;
}

/* One more entry; `identity` may be NULL for a client. */
static int add_entry(ln_tls_context *c, const ln_tls_identity *identity, const char *ca_file,
                     char error[LN_TLS_ERROR_MAX])
{
    ln_tls_entry *const e = &c->entries[c->count];
    *e = (ln_tls_entry){.ctx =
                            SSL_CTX_new(c->is_server ? TLS_server_method() : TLS_client_method())};
    if (!e->ctx)
        return starve(error);
    c->count++;
    if (!configure(e->ctx) ||
        !(c->is_server ? configure_server(c, e->ctx) : configure_client(e->ctx)))
        return starve(error);
    const int rc = identity ? use_identity(e->ctx, identity, error) : 0;
    return rc < 0 ? rc : use_trust(c, e->ctx, ca_file, error);
}

/* The name an identity was given, in lower case: a host or "*." and a host. */
static int name_entry(ln_tls_context *c, const char *server_name, char error[LN_TLS_ERROR_MAX])
{
    char name[NAME_MAX_BYTES + 1];
    size_t size;
    if (!server_name)
        return 0;
    const char *const host = strncmp(server_name, "*.", 2) == 0 ? server_name + 2 : server_name;
    if (host[0] == '\0' || strchr(host, '*') || !fold_name(ln_text(server_name), name, &size))
        return refuse(error, "server_name is no host name");
    ln_tls_entry *const e = &c->entries[c->count - 1];
    e->name = ln_strndup(c->alloc, name, size);
    return e->name ? 0 : starve(error);
}

static ln_tls_context *context_new(const ln_allocator *alloc, size_t entries)
{
    ln_tls_context *const c = ln_alloc_zero(alloc, sizeof *c + entries * sizeof c->entries[0]);
    if (!c)
        return NULL;
    c->alloc = alloc;
    c->refs = 1;
    c->transport = ln_tls_bio_new();
    if (!c->transport) {
        ln_free(alloc, c);
        return NULL;
    }
    return c;
}

int ln_tls_context_new_server(const ln_tls_options *options, const ln_allocator *alloc,
                              ln_tls_context **context, char error[LN_TLS_ERROR_MAX])
{
    if (options->identity_count == 0 || options->identity_count > LN_TLS_IDENTITIES_MAX)
        return refuse(error, "a server needs 1 to 1024 identities");
    ln_tls_error_forget();
    ln_tls_context *const c = context_new(alloc, options->identity_count);
    if (!c)
        return starve(error);
    c->is_server = true;
    int rc = 0;
    for (size_t i = 0; i < options->identity_count && rc == 0; i++) {
        rc = add_entry(c, &options->identities[i], options->ca_file, error);
        if (rc == 0)
            rc = name_entry(c, options->identities[i].server_name, error);
    }
    if (rc < 0)
        ln_tls_context_unref(c);
    else
        *context = c;
    return rc;
}

int ln_tls_context_new_client(const ln_tls_options *options, const ln_allocator *alloc,
                              ln_tls_context **context, char error[LN_TLS_ERROR_MAX])
{
    static const ln_tls_options defaults = {0};
    const ln_tls_options *const o = options ? options : &defaults;
    if (o->identity_count > 1)
        return refuse(error, "a client has one identity at most");
    ln_tls_error_forget();
    ln_tls_context *const c = context_new(alloc, 1);
    if (!c)
        return starve(error);
    c->is_insecure = o->insecure;
    int rc = add_entry(c, o->identity_count ? o->identities : NULL, o->ca_file, error);
    if (rc == 0 && o->server_name) {
        c->server_name = ln_strndup(alloc, o->server_name, strlen(o->server_name));
        rc = c->server_name ? 0 : starve(error);
    }
    if (rc < 0)
        ln_tls_context_unref(c);
    else
        *context = c;
    return rc;
}

ln_tls_context *ln_tls_context_ref(ln_tls_context *context)
{
    atomic_fetch_add_explicit(&context->refs, 1, memory_order_relaxed);
    return context;
}

void ln_tls_context_unref(ln_tls_context *context)
{
    if (!context || atomic_fetch_sub_explicit(&context->refs, 1, memory_order_acq_rel) != 1)
        return;
    for (size_t i = 0; i < context->count; i++) {
        SSL_CTX_free(context->entries[i].ctx);
        ln_free(context->alloc, context->entries[i].name);
    }
    BIO_meth_free(context->transport);
    ln_free(context->alloc, context->server_name);
    ln_free(context->alloc, context);
}

/* Sessions. */

/* Whom a client wants to talk to: what it says in the clear, and what the certificate must be
 * for. */
static int set_peer_name(const ln_tls_context *c, SSL *ssl, const char *server_name)
{
    char name[NAME_MAX_BYTES + 1];
    size_t size;
    if (!fold_name(ln_text(c->server_name ? c->server_name : server_name), name, &size))
        return LN_ERR_INVALID;
    if (size > 0 && name[size - 1] == '.') /* the root's dot is in no certificate */
        name[--size] = '\0';
    if (size == 0)
        return c->is_insecure ? 0 : LN_ERR_INVALID;
    /* An address is verified as such, and is not sent (RFC 6066 3). */
    if (X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), name) == 1)
        return 0;
    ln_tls_error_forget();
    SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    return SSL_set1_host(ssl, name) == 1 && SSL_set_tlsext_host_name(ssl, name) == 1
               ? 0
               : LN_ERR_INVALID;
}

int ln_tls_context_start(ln_tls_context *context, const char *server_name, SSL **ssl)
{
    SSL *const s = SSL_new(context->entries[0].ctx);
    if (!s)
        return LN_ERR_NOMEM;
    int rc = 0;
    if (context->is_server) {
        SSL_set_accept_state(s);
    } else {
        SSL_set_connect_state(s);
        rc = set_peer_name(context, s, server_name);
    }
    if (rc < 0)
        SSL_free(s);
    else
        *ssl = s;
    return rc;
}
