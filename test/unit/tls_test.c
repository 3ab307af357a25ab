/* SPDX-License-Identifier: MIT */
/*
 * Sessions against a hostile or merely different world: a raw OpenSSL peer on the other end of a
 * socket pair does what our own streams would not, a middleman delays, cuts and alters bytes, and
 * the openssl program stands for strangers.
 */
#include "test_streams.h"

#include <malloc.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "failing_alloc.h"
#include "net/tlsinner.h"
#include "test_certs.h"

/* Who there is in this world. */
static struct {
    test_cert root, authority, other_root;
    test_cert a, b, wild, rsa, ip, expired, early, alone, stranger, visitor;
    const char *root_file, *other_root_file;
    ln_tls_context *server; /* answers for a.test, through the intermediate authority */
    ln_tls_context *client; /* trusts root */
} world;

static char error_text[LN_TLS_ERROR_MAX];

static ln_tls_identity identity_of(const test_cert *cert, const char *name)
{
    char file[64];
    snprintf(file, sizeof file, "%s.pem", name);
    const char *const cert_file = test_cert_write_chain(cert, file);
    snprintf(file, sizeof file, "%s.key", name);
    return (ln_tls_identity){.cert_file = cert_file,
                             .key_file = test_cert_write_key(cert, file, NULL)};
}

static ln_tls_context *new_server(const ln_tls_identity *identities, size_t count,
                                  const char *ca_file)
{
    ln_tls_context *context = NULL;
    const ln_tls_options options = {
        .identities = identities, .identity_count = count, .ca_file = ca_file};
    assert_int_equal(ln_tls_context_new_server(&options, NULL, &context, error_text), 0);
    return context;
}

static ln_tls_context *server_of(const test_cert *cert, const char *name)
{
    const ln_tls_identity identity = identity_of(cert, name);
    return new_server(&identity, 1, NULL);
}

static ln_tls_context *new_client(const ln_tls_options *options)
{
    ln_tls_context *context = NULL;
    assert_int_equal(ln_tls_context_new_client(options, NULL, &context, error_text), 0);
    return context;
}

static int make_world(void **state)
{
    (void)state;
    const long day = 86400;
    test_cert_make(&(test_cert_spec){.subject = "root", .is_authority = true}, &world.root);
    test_cert_make(&(test_cert_spec){.subject = "other root", .is_authority = true},
                   &world.other_root);
    test_cert_make(
        &(test_cert_spec){.subject = "between", .is_authority = true, .issuer = &world.root},
        &world.authority);
    const test_cert *const ca = &world.authority;
    test_cert_make(
        &(test_cert_spec){.subject = "a", .names = "DNS:a.test,DNS:also-a.test", .issuer = ca},
        &world.a);
    test_cert_make(&(test_cert_spec){.subject = "b", .names = "DNS:b.test", .issuer = ca},
                   &world.b);
    test_cert_make(&(test_cert_spec){.subject = "wild", .names = "DNS:*.wild.test", .issuer = ca},
                   &world.wild);
    test_cert_make(
        &(test_cert_spec){.subject = "rsa", .names = "DNS:a.test", .issuer = ca, .is_rsa = true},
        &world.rsa);
    test_cert_make(
        &(test_cert_spec){.subject = "ip", .names = "IP:127.0.0.1,IP:2001:db8::1", .issuer = ca},
        &world.ip);
    test_cert_make(&(test_cert_spec){.subject = "expired",
                                     .names = "DNS:a.test",
                                     .issuer = ca,
                                     .begins_s = -2 * day,
                                     .ends_s = -day},
                   &world.expired);
    test_cert_make(&(test_cert_spec){.subject = "early",
                                     .names = "DNS:a.test",
                                     .issuer = ca,
                                     .begins_s = day,
                                     .ends_s = 2 * day},
                   &world.early);
    test_cert_make(&(test_cert_spec){.subject = "alone", .names = "DNS:a.test"}, &world.alone);
    test_cert_make(&(test_cert_spec){.subject = "stranger",
                                     .names = "DNS:a.test",
                                     .issuer = &world.other_root},
                   &world.stranger);
    test_cert_make(
        &(test_cert_spec){.subject = "visitor", .names = "DNS:visitor.test", .issuer = ca},
        &world.visitor);
    world.root_file = test_cert_write(&world.root, "root.pem");
    world.other_root_file = test_cert_write(&world.other_root, "other-root.pem");
    world.server = server_of(&world.a, "a");
    world.client = new_client(&(ln_tls_options){.ca_file = world.root_file});
    return 0;
}

static int end_world(void **state)
{
    (void)state;
    ln_tls_context_unref(world.server);
    ln_tls_context_unref(world.client);
    test_cert *const all[] = {&world.root,   &world.authority, &world.other_root, &world.a,
                              &world.b,      &world.wild,      &world.rsa,        &world.ip,
                              &world.early,  &world.expired,   &world.alone,      &world.stranger,
                              &world.visitor};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        test_cert_fini(all[i]);
    test_certs_remove();
    return 0;
}

/* Nothing of ours may leave an error behind for the next user of the thread. */
static int expect_no_errors(void **state)
{
    (void)state;
    return ERR_peek_error() == 0 ? 0 : -1;
}

/* A raw peer: OpenSSL on a non-blocking socket, the loop turning whenever it has to wait. */
typedef struct raw {
    ln_loop *loop;
    SSL_CTX *ctx;
    SSL *ssl;
    int fd;
    test_end end; /* ours, on the other side */
} raw;

static void raw_ignore_errors(void)
{
    ERR_clear_error();
}

static bool raw_waits(raw *r, int rc)
{
    const int why = SSL_get_error(r->ssl, rc);
    if (why != SSL_ERROR_WANT_READ && why != SSL_ERROR_WANT_WRITE)
        return false;
    raw_ignore_errors();
    assert_int_equal(ln_loop_turn(r->loop, 1), 0);
    return true;
}

static int raw_handshake(raw *r)
{
    int rc;
    for (int i = 0; (rc = SSL_do_handshake(r->ssl)) <= 0 && i < 500; i++)
        if (!raw_waits(r, rc))
            break;
    return rc;
}

/* Reads until `size` bytes are there, the peer says goodbye (0) or something breaks (-1). */
static int raw_read(raw *r, uint8_t *bytes, int size)
{
    int got = 0;
    for (int i = 0; got < size && i < 500; i++) {
        const int rc = SSL_read(r->ssl, bytes + got, size - got);
        if (rc > 0)
            got += rc;
        else if (!raw_waits(r, rc))
            return SSL_get_error(r->ssl, rc) == SSL_ERROR_ZERO_RETURN ? got : -1;
    }
    return got;
}

static void raw_write(raw *r, int size)
{
    uint8_t bytes[4096];
    assert_true((size_t)size <= sizeof bytes);
    for (int i = 0; i < size; i++)
        bytes[i] = test_byte((size_t)i);
    assert_int_equal(SSL_write(r->ssl, bytes, size), size);
}

/* A raw client of `server`, with `name` in the ClientHello unless NULL. */
static void raw_client_with(raw *r, ln_loop *loop, SSL_CTX *ctx, ln_tls_context *server,
                            const char *name)
{
    int fds[2];
    test_pair(fds);
    *r = (raw){.loop = loop, .ctx = ctx, .fd = fds[1]};
    test_end_init(&r->end);
    assert_int_equal(ln_stream_open_server(&r->end.stream, loop, fds[0], server, &test_end_ops), 0);
    r->ssl = SSL_new(r->ctx);
    SSL_set_fd(r->ssl, r->fd);
    SSL_set_connect_state(r->ssl);
    if (name)
        SSL_set_tlsext_host_name(r->ssl, name);
}

static void raw_client(raw *r, ln_loop *loop, ln_tls_context *server, const char *name)
{
    raw_client_with(r, loop, SSL_CTX_new(TLS_client_method()), server, name);
}

/* A raw server for our client. */
static void raw_server(raw *r, ln_loop *loop, ln_tls_context *client)
{
    int fds[2];
    test_pair(fds);
    *r = (raw){.loop = loop, .ctx = SSL_CTX_new(TLS_server_method()), .fd = fds[1]};
    const ln_tls_identity identity = identity_of(&world.a, "a");
    assert_int_equal(SSL_CTX_use_certificate_chain_file(r->ctx, identity.cert_file), 1);
    assert_int_equal(SSL_CTX_use_PrivateKey_file(r->ctx, identity.key_file, SSL_FILETYPE_PEM), 1);
    test_end_init(&r->end);
    assert_int_equal(
        ln_stream_open_client(&r->end.stream, loop, fds[0], client, "a.test", &test_end_ops), 0);
    r->ssl = SSL_new(r->ctx);
    SSL_set_fd(r->ssl, r->fd);
    SSL_set_accept_state(r->ssl);
}

/* Ends the connection and keeps the context, for another one. */
static SSL_CTX *raw_detach(raw *r)
{
    SSL_set_shutdown(r->ssl,
                     SSL_SENT_SHUTDOWN |
                         SSL_RECEIVED_SHUTDOWN); /* else the session would be worth nothing */
    SSL_free(r->ssl);
    close(r->fd);
    ln_stream_close(&r->end.stream);
    test_until(r->loop, r->end.closes == 1);
    raw_ignore_errors();
    return r->ctx;
}

static void raw_close(raw *r)
{
    SSL_CTX_free(raw_detach(r));
}

static const char *raw_peer_subject(const raw *r)
{
    static char name[64];
    X509 *const cert = SSL_get0_peer_certificate(r->ssl);
    assert_non_null(cert);
    X509_NAME_get_text_by_NID(X509_get_subject_name(cert), NID_commonName, name, sizeof name);
    return name;
}

static void span_equal(ln_span span, const char *text)
{
    assert_int_equal(span.size, strlen(text));
    assert_memory_equal(span.data, text, span.size);
}

/* Agreeing. */

static void both_ends_agree_on_http_1_1(void **state)
{
    (void)state;
    ln_loop *loop = test_loop(NULL);
    test_link l;
    test_link_open(&l, loop, world.server, world.client, "a.test");
    assert_int_equal(l.client.opens, 0);
    span_equal(ln_stream_alpn(&l.client.stream), "");
    test_until(loop, l.server.opens == 1 && l.client.opens == 1);
    span_equal(ln_stream_alpn(&l.server.stream), "http/1.1");
    span_equal(ln_stream_alpn(&l.client.stream), "http/1.1");
    test_link_close(&l);
    ln_loop_free(loop);
}

static void what_is_sent_before_the_handshake_is_asked_for_after_it(void **state)
{
    (void)state;
    ln_loop *loop = test_loop(NULL);
    test_link l;
    test_link_open(&l, loop, world.server, world.client, "a.test");
    l.client.to_send = 100;
    test_end_send(&l.client);
    assert_int_equal(l.client.sent, 0);
    assert_true(ln_stream_is_sending(&l.client.stream));
    test_until(loop, l.server.got == 100);
    test_link_close(&l);
    ln_loop_free(loop);
}

static void bytes_may_come_one_at_a_time(void **state)
{
    (void)state;
    ln_loop *loop = test_loop(NULL);
    int left[2], right[2];
    test_pair(left);
    test_pair(right);
    test_link l;
    test_link_open_fds(&l, loop, (int[]){left[0], right[0]}, world.server, world.client, "a.test");
    bool is_queued = false;
    for (int i = 0; i < 100000 && (l.server.got < 2000 || l.client.got < 2000); i++) {
        assert_true(test_carry(left[1], right[1], 1) >= 0);
        assert_true(test_carry(right[1], left[1], 1) >= 0);
        assert_int_equal(ln_loop_turn(loop, 0), 0);
        if (!is_queued && l.server.opens && l.client.opens) {
            test_end_queue(&l.server, 2000);
            test_end_queue(&l.client, 2000);
            is_queued = true;
        }
    }
    assert_int_equal(l.server.got, 2000);
    assert_int_equal(l.client.got, 2000);
    test_link_close(&l);
    close(left[1]);
    close(right[1]);
    ln_loop_free(loop);
}

static void small_pieces_of_one_send_share_a_record(void **state)
{
    (void)state;
    enum { HEADER = 5, TYPE_AND_TAG = 17, PIECES = 16, PIECE = 20 };
    ln_loop *loop = test_loop(NULL);
    raw r;
    raw_client(&r, loop, world.server, "a.test");
    assert_int_equal(raw_handshake(&r), 1);
    test_until(loop, r.end.opens == 1);
    test_rest(loop); /* what was sent has arrived */
    uint8_t bytes[4096];
    assert_int_equal(SSL_read(r.ssl, bytes, sizeof bytes), -1); /* takes the ticket */
    raw_ignore_errors();
    r.end.piece = PIECE;
    test_end_queue(&r.end, PIECES * PIECE);
    test_until(loop, r.end.sent == PIECES * PIECE);
    test_rest(loop);
    const ssize_t n = recv(r.fd, bytes, sizeof bytes, 0);
    assert_int_equal(n, HEADER + PIECES * PIECE + TYPE_AND_TAG);
    raw_close(&r);
    ln_loop_free(loop);
}

static void old_versions_are_refused(void **state)
{
    (void)state;
    ln_loop *loop = test_loop(NULL);
    for (int version = TLS1_VERSION; version <= TLS1_3_VERSION; version++) {
        SSL_CTX *const ctx = SSL_CTX_new(TLS_client_method());
        SSL_CTX_set_security_level(ctx, 0);
        SSL_CTX_set_min_proto_version(ctx, version);
        SSL_CTX_set_max_proto_version(ctx, version);
        raw r;
        raw_client_with(&r, loop, ctx, world.server, "a.test");
        const bool is_good = version >= TLS1_2_VERSION;
        assert_int_equal(raw_handshake(&r) == 1, is_good);
        test_until(loop, is_good ? r.end.opens == 1 : r.end.ends == 1);
        if (is_good) {
            uint8_t bytes[4096];
            raw_write(&r, sizeof bytes);
            test_until(loop, r.end.got == sizeof bytes);
            test_end_queue(&r.end, sizeof bytes);
            assert_int_equal(raw_read(&r, bytes, sizeof bytes), sizeof bytes);
            assert_int_equal(bytes[4095], test_byte(4095));
        } else {
            assert_int_equal(r.end.end_err, LN_ERR_TLS);
            assert_string_equal(ln_stream_tls_error(&r.end.stream),
                                "the peer speaks no TLS from version 1.2 on");
        }
        raw_close(&r);
    }
    ln_loop_free(loop);
}

static void only_ciphers_with_forward_secrecy_are_agreed_on(void **state)
{
    (void)state;
    static const struct {
        const char *list;
        bool is_good;
    } offers[] = {{"AES128-GCM-SHA256", false},
                  {"ECDHE-RSA-AES128-SHA", false},
                  {"DHE-RSA-AES128-GCM-SHA256", false},
                  {"ECDHE-RSA-AES128-GCM-SHA256", true},
                  {"ECDHE-RSA-CHACHA20-POLY1305", true}};
    ln_loop *loop = test_loop(NULL);
    ln_tls_context *server = server_of(&world.rsa, "rsa");
    for (size_t i = 0; i < sizeof offers / sizeof *offers; i++) {
        SSL_CTX *const ctx = SSL_CTX_new(TLS_client_method());
        SSL_CTX_set_max_proto_version(ctx, TLS1_2_VERSION);
        assert_int_equal(SSL_CTX_set_cipher_list(ctx, offers[i].list), 1);
        raw r;
        raw_client_with(&r, loop, ctx, server, NULL);
        assert_int_equal(raw_handshake(&r) == 1, offers[i].is_good);
        test_until(loop, offers[i].is_good ? r.end.opens == 1 : r.end.ends == 1);
        if (!offers[i].is_good)
            assert_string_equal(ln_stream_tls_error(&r.end.stream),
                                "the peer has no cipher in common with us");
        raw_close(&r);
    }
    ln_tls_context_unref(server);
    ln_loop_free(loop);
}

static void a_client_that_wants_another_protocol_is_refused(void **state)
{
    (void)state;
    ln_loop *loop = test_loop(NULL);
    raw r;
    raw_client(&r, loop, world.server, "a.test");
    SSL_set_alpn_protos(r.ssl, (const uint8_t *)"\x02h2", 3);
    assert_int_equal(raw_handshake(&r), -1);
    test_until(loop, r.end.ends == 1);
    assert_string_equal(ln_stream_tls_error(&r.end.stream),
                        "the peer wants another protocol than http/1.1");
    raw_close(&r);

    raw_client(&r, loop, world.server, "a.test"); /* none at all is fine, and so is a choice */
    assert_int_equal(raw_handshake(&r), 1);
    raw_close(&r);
    raw_client(&r, loop, world.server, "a.test");
    SSL_set_alpn_protos(r.ssl, (const uint8_t *)"\x02h2\x08http/1.1", 12);
    assert_int_equal(raw_handshake(&r), 1);
    test_until(loop, r.end.opens == 1);
    span_equal(ln_stream_alpn(&r.end.stream), "http/1.1");
    raw_close(&r);
    ln_loop_free(loop);
}

/* Verifying. */

static void expect_refusal(ln_tls_context *server, ln_tls_context *client, const char *name,
                           const char *ours, const char *theirs)
{
    ln_loop *loop = test_loop(NULL);
    test_link l;
    test_link_open(&l, loop, server, client, name);
    test_until(loop, l.client.ends == 1 && l.server.ends == 1);
    assert_int_equal(l.client.opens, 0);
    assert_int_equal(l.client.end_err, LN_ERR_TLS);
    assert_string_equal(ln_stream_tls_error(&l.client.stream), ours);
    assert_int_equal(l.server.end_err, LN_ERR_TLS);
    assert_string_equal(ln_stream_tls_error(&l.server.stream), theirs);
    test_rest(loop);
    test_link_close(&l);
    ln_loop_free(loop);
}

static void expect_success(ln_tls_context *server, ln_tls_context *client, const char *name)
{
    ln_loop *loop = test_loop(NULL);
    test_link l;
    test_link_open(&l, loop, server, client, name);
    test_until(loop, l.client.opens == 1 && l.server.opens == 1);
    test_link_close(&l);
    ln_loop_free(loop);
}

static void bad_certificates_are_refused_with_a_reason(void **state)
{
    (void)state;
    static const struct {
        const test_cert *cert;
        const char *ours, *theirs;
    } cases[] = {
        {&world.expired, "the certificate has expired",
         "the peer says that our certificate has expired"},
        {&world.early, "the certificate is not valid yet",
         "the peer does not accept our certificate"},
        {&world.alone, "the certificate is signed by itself",
         "the peer does not trust our certificate's issuer"},
        {&world.stranger, "the certificate's issuer is not trusted",
         "the peer does not trust our certificate's issuer"},
        {&world.b, "the certificate is for another host",
         "the peer does not accept our certificate"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ln_tls_context *server = server_of(cases[i].cert, "case");
        expect_refusal(server, world.client, "a.test", cases[i].ours, cases[i].theirs);
        ln_tls_context_unref(server);
    }
}

static void a_chain_without_its_middle_is_not_trusted(void **state)
{
    (void)state;
    const ln_tls_identity identity = {.cert_file = test_cert_write(&world.a, "leaf-only.pem"),
                                      .key_file =
                                          test_cert_write_key(&world.a, "leaf-only.key", NULL)};
    ln_tls_context *server = new_server(&identity, 1, NULL);
    expect_refusal(server, world.client, "a.test", "the certificate's issuer is not trusted",
                   "the peer does not trust our certificate's issuer");
    ln_tls_context_unref(server);
}

static void names_are_verified_as_browsers_do(void **state)
{
    (void)state;
    static const struct {
        const test_cert *cert;
        const char *name;
        bool is_good;
    } cases[] = {
        {&world.a, "a.test", true},
        {&world.a, "A.TEST", true},
        {&world.a, "a.test.", true},
        {&world.a, "also-a.test", true},
        {&world.a, "xa.test", false},
        {&world.a, "a.test.evil", false},
        {&world.a, "a", false},
        {&world.wild, "x.wild.test", true},
        {&world.wild, "x.y.wild.test", false},
        {&world.wild, "wild.test", false},
        {&world.ip, "127.0.0.1", true},
        {&world.ip, "2001:db8::1", true},
        {&world.ip, "127.0.0.2", false},
        {&world.ip, "2001:db8::2", false},
        {&world.a, "127.0.0.1", false},
        {&world.rsa, "a.test", true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ln_tls_context *server = server_of(cases[i].cert, "case");
        if (cases[i].is_good)
            expect_success(server, world.client, cases[i].name);
        else
            expect_refusal(server, world.client, cases[i].name,
                           "the certificate is for another host",
                           "the peer does not accept our certificate");
        ln_tls_context_unref(server);
    }
}

static void a_client_needs_a_name_to_verify(void **state)
{
    (void)state;
    ln_loop *loop = test_loop(NULL);
    static const char *const bad[] = {NULL, "", "."};
    char long_name[300];
    memset(long_name, 'a', sizeof long_name - 1);
    long_name[sizeof long_name - 1] = '\0';
    for (size_t i = 0; i < 4; i++) {
        int fds[2];
        test_end e;
        test_pair(fds);
        test_end_init(&e);
        assert_int_equal(ln_stream_open_client(&e.stream, loop, fds[0], world.client,
                                               i < 3 ? bad[i] : long_name, &test_end_ops),
                         LN_ERR_INVALID);
        assert_int_equal(recv(fds[1], fds, 1, 0), 0); /* ours is closed */
        close(fds[1]);
    }
    ln_loop_free(loop);
}

static void the_contexts_own_name_goes_first(void **state)
{
    (void)state;
    ln_tls_context *client =
        new_client(&(ln_tls_options){.ca_file = world.root_file, .server_name = "a.test"});
    expect_success(world.server, client, "127.0.0.1");
    expect_success(world.server, client, NULL);
    ln_tls_context_unref(client);
}

static void an_insecure_client_takes_what_it_gets(void **state)
{
    (void)state;
    ln_tls_context *client = new_client(&(ln_tls_options){.insecure = true});
    ln_tls_context *server = server_of(&world.expired, "expired");
    expect_success(server, client, "who.cares");
    expect_success(server, client, NULL);
    ln_tls_context_unref(server);
    ln_tls_context_unref(client);
}

static void the_systems_store_does_not_know_our_root(void **state)
{
    (void)state;
    ln_tls_context *client = new_client(NULL);
    expect_refusal(world.server, client, "a.test", "the certificate's issuer is not trusted",
                   "the peer does not trust our certificate's issuer");
    ln_tls_context_unref(client);
}

static void a_server_with_a_ca_file_turns_strangers_away(void **state)
{
    (void)state;
    const ln_tls_identity ours = identity_of(&world.a, "a"),
                          visitor = identity_of(&world.visitor, "visitor"),
                          stranger = identity_of(&world.stranger, "stranger");
    ln_tls_context *server = new_server(&ours, 1, world.root_file);
    ln_tls_options options = {
        .ca_file = world.root_file, .identities = &visitor, .identity_count = 1};
    ln_tls_context *client = new_client(&options);
    expect_success(server, client, "a.test");
    ln_tls_context_unref(client);

    /* In TLS 1.3 the client is done before it learns that it is not welcome. */
    static const char *const theirs[] = {"the peer wants a certificate from us",
                                         "the peer does not trust our certificate's issuer"};
    static const char *const mine[] = {"the peer showed no certificate",
                                       "the certificate's issuer is not trusted"};
    options.identities = &stranger;
    for (size_t with = 0; with < 2; with++) {
        options.identity_count = with;
        client = new_client(&options);
        ln_loop *loop = test_loop(NULL);
        test_link l;
        test_link_open(&l, loop, server, client, "a.test");
        test_until(loop, l.server.ends == 1 && l.client.ends == 1);
        assert_int_equal(l.server.opens, 0);
        assert_string_equal(ln_stream_tls_error(&l.server.stream), mine[with]);
        assert_int_equal(l.client.end_err, LN_ERR_TLS);
        assert_string_equal(ln_stream_tls_error(&l.client.stream), theirs[with]);
        test_link_close(&l);
        ln_loop_free(loop);
        ln_tls_context_unref(client);
    }
    ln_tls_context_unref(server);
}

/* Several identities. */

static ln_tls_context *new_hotel(void)
{
    ln_tls_identity identities[] = {identity_of(&world.a, "a"), identity_of(&world.wild, "wild"),
                                    identity_of(&world.b, "b"), identity_of(&world.rsa, "rsa"),
                                    identity_of(&world.ip, "ip")};
    identities[0].server_name = "first.test";
    identities[3].server_name = "*.Named.test";
    identities[4].server_name = "exact.named.test";
    return new_server(identities, 5, NULL);
}

static void the_closest_identity_answers(void **state)
{
    (void)state;
    static const struct {
        const char *name, *subject;
    } cases[] = {
        {NULL, "a"},
        {"unknown.test", "a"},
        {"first.test", "a"},
        {"a.test", "a"}, /* its certificate's names do not count: it was given one */
        {"x.wild.test", "wild"},
        {"X.Wild.TEST", "wild"},
        {"x.y.wild.test", "a"},
        {"b.test", "b"},
        {"x.named.test", "rsa"},
        {"exact.named.test", "ip"},
        {"EXACT.named.test", "ip"},
        {"named.test", "a"},
        {"x.y.named.test", "a"},
    };
    ln_loop *loop = test_loop(NULL);
    ln_tls_context *server = new_hotel();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        raw r;
        raw_client(&r, loop, server, cases[i].name);
        assert_int_equal(raw_handshake(&r), 1);
        assert_string_equal(raw_peer_subject(&r), cases[i].subject);
        raw_close(&r);
    }
    ln_tls_context_unref(server);
    ln_loop_free(loop);
}

/* A client with the session that it has from one server, and is about to show to the next. */
static void raw_client_again(raw *r, ln_loop *loop, SSL_CTX *ctx, ln_tls_context *before,
                             const char *first, ln_tls_context *after, const char *second)
{
    uint8_t bytes[10];
    raw_client_with(r, loop, ctx, before, first);
    assert_int_equal(raw_handshake(r), 1);
    test_until(loop, r->end.opens == 1);
    test_end_queue(&r->end, sizeof bytes); /* the ticket comes before the data */
    assert_int_equal(raw_read(r, bytes, sizeof bytes), sizeof bytes);
    assert_false(SSL_session_reused(r->ssl));
    SSL_SESSION *const session = SSL_get1_session(r->ssl);
    assert_true(SSL_SESSION_is_resumable(session));
    assert_int_equal(SSL_SESSION_get_max_early_data(session), 0);
    raw_detach(r);

    raw_client_with(r, loop, ctx, after, second);
    assert_int_equal(SSL_set_session(r->ssl, session), 1);
    SSL_SESSION_free(session);
}

/* Connects with what an earlier connection left; is it resumed? */
static bool is_resumed(ln_loop *loop, ln_tls_context *server, int version, const char *first,
                       const char *second)
{
    SSL_CTX *const ctx = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_max_proto_version(ctx, version);
    raw r;
    raw_client_again(&r, loop, ctx, server, first, server, second);
    assert_int_equal(raw_handshake(&r), 1);
    test_until(loop, r.end.opens == 1);
    const bool is_reused = SSL_session_reused(r.ssl);
    raw_close(&r);
    return is_reused;
}

static void tickets_are_good_for_one_host_only(void **state)
{
    (void)state;
    static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
    ln_loop *loop = test_loop(NULL);
    ln_tls_context *server = new_hotel(), *other = new_hotel();
    for (int i = 0; i < 2; i++) {
        const int v = versions[i];
        assert_true(is_resumed(loop, server, v, "b.test", "b.test"));
        assert_true(is_resumed(loop, server, v, "b.test", "B.TEST"));
        assert_true(is_resumed(loop, server, v, NULL, NULL));
        assert_true(is_resumed(loop, server, v, "x.wild.test", "x.wild.test"));
        assert_false(is_resumed(loop, server, v, "b.test", "a.test"));
        assert_false(is_resumed(loop, server, v, "b.test", "x.wild.test"));
        assert_false(is_resumed(loop, server, v, "x.wild.test",
                                "y.wild.test")); /* same identity, other host */
        assert_false(is_resumed(loop, server, v, "b.test", NULL));
        assert_false(is_resumed(loop, server, v, NULL, "b.test"));
    }
    ln_tls_context_unref(server);
    ln_tls_context_unref(other);
    ln_loop_free(loop);
}

static void a_ticket_of_another_context_means_a_full_handshake(void **state)
{
    (void)state;
    ln_loop *loop = test_loop(NULL);
    ln_tls_context *before = new_hotel(), *after = new_hotel();
    SSL_CTX *const ctx = SSL_CTX_new(TLS_client_method());
    raw r;
    raw_client_again(&r, loop, ctx, before, "b.test", after, "b.test");
    assert_int_equal(raw_handshake(&r), 1);
    assert_false(SSL_session_reused(r.ssl));
    raw_close(&r);
    ln_tls_context_unref(before);
    ln_tls_context_unref(after);
    ln_loop_free(loop);
}

/* nginx's CVE-2025-23419: a session of one door opened another without the certificate it wants. */
static void a_ticket_is_no_certificate(void **state)
{
    (void)state;
    static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
    const ln_tls_identity ours = identity_of(&world.a, "a");
    ln_loop *loop = test_loop(NULL);
    ln_tls_context *open = new_server(&ours, 1, NULL),
                   *closed = new_server(&ours, 1, world.root_file);
    for (int i = 0; i < 2; i++) {
        SSL_CTX *const ctx = SSL_CTX_new(TLS_client_method());
        raw r;
        SSL_CTX_set_max_proto_version(ctx, versions[i]);
        raw_client_again(&r, loop, ctx, open, "a.test", closed, "a.test");
        (void)raw_handshake(&r); /* in TLS 1.3 the client is done before it is refused */
        test_until(loop, r.end.ends == 1);
        assert_int_equal(r.end.opens, 0);
        assert_string_equal(ln_stream_tls_error(&r.end.stream), "the peer showed no certificate");
        raw_close(&r);
    }
    ln_tls_context_unref(open);
    ln_tls_context_unref(closed);
    ln_loop_free(loop);
}

static void a_context_lives_as_long_as_its_sessions(void **state)
{
    (void)state;
    ln_loop *loop = test_loop(NULL);
    ln_tls_context *server = server_of(&world.a, "a");
    ln_tls_context *client = new_client(&(ln_tls_options){.ca_file = world.root_file});
    test_link l;
    test_link_open(&l, loop, server, client, "a.test");
    ln_tls_context_unref(ln_tls_context_ref(server));
    ln_tls_context_unref(server); /* a reload, while the handshake is under way */
    ln_tls_context_unref(client);
    test_until(loop, l.server.opens == 1 && l.client.opens == 1);
    test_end_queue(&l.client, 1000);
    test_until(loop, l.server.got == 1000);
    test_link_close(&l);
    ln_loop_free(loop);
    ln_tls_context_unref(NULL);
}

/* Hostile peers. */

static void renegotiation_is_refused(void **state)
{
    (void)state;
    ln_loop *loop = test_loop(NULL);
    SSL_CTX *const ctx = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_max_proto_version(ctx, TLS1_2_VERSION);
    raw r;
    raw_client_with(&r, loop, ctx, world.server, "a.test");
    assert_int_equal(raw_handshake(&r), 1);
    test_until(loop, r.end.opens == 1);
    assert_int_equal(SSL_renegotiate(r.ssl), 1);
    raw_ignore_errors();
    assert_int_equal(raw_handshake(&r), -1); /* a no_renegotiation alert ends it for this client */
    assert_int_equal(ERR_GET_REASON(ERR_peek_error()), SSL_R_NO_RENEGOTIATION);
    raw_ignore_errors();
    assert_int_equal(r.end.opens, 1);
    raw_close(&r);
    ln_loop_free(loop);
}

static void a_servers_wish_to_renegotiate_is_refused_too(void **state)
{
    (void)state;
    ln_loop *loop = test_loop(NULL);
    raw r;
    uint8_t byte;
    raw_server(&r, loop, world.client);
    SSL_set_max_proto_version(r.ssl, TLS1_2_VERSION);
    assert_int_equal(raw_handshake(&r), 1);
    test_until(loop, r.end.opens == 1);
    assert_int_equal(SSL_renegotiate(r.ssl), 1);
    assert_int_equal(SSL_do_handshake(r.ssl),
                     1); /* a HelloRequest: answered with an alert, which is fatal for a server */
    assert_int_equal(raw_read(&r, &byte, 1), -1);
    assert_int_equal(ERR_GET_REASON(ERR_peek_error()), SSL_R_NO_RENEGOTIATION);
    raw_ignore_errors();
    raw_close(&r);
    ln_loop_free(loop);
}

/* What the end of a connection says after `count` of something that costs us work and brings no
 * data. */
static void expect_flood(raw *r)
{
    test_until(r->loop, r->end.ends == 1);
    assert_int_equal(r->end.end_err, LN_ERR_TLS);
    assert_string_equal(ln_stream_tls_error(&r->end.stream),
                        "the peer sends too many records without data");
}

static bool send_key_updates(raw *r, int count)
{
    for (int i = 0; i < count && r->end.ends == 0; i++) {
        if (SSL_key_update(r->ssl, SSL_KEY_UPDATE_REQUESTED) != 1 || SSL_do_handshake(r->ssl) != 1)
            return false;
        uint8_t byte;
        SSL_read(r->ssl, &byte, 1); /* the answer */
        raw_ignore_errors();
        if (i % 50 == 0)
            assert_int_equal(ln_loop_turn(r->loop, 0), 0);
    }
    return true;
}

static void some_key_updates_are_fine_and_a_flood_is_not(void **state)
{
    (void)state;
    ln_loop *loop = test_loop(NULL);
    raw r;
    uint8_t bytes[100];
    raw_client(&r, loop, world.server, "a.test");
    assert_int_equal(raw_handshake(&r), 1);
    test_until(loop, r.end.opens == 1);
    assert_true(send_key_updates(&r, LN_TLS_RARE_BURST));
    raw_write(&r, 100);
    test_until(loop, r.end.got == 100);
    test_end_queue(&r.end, 100);
    assert_int_equal(raw_read(&r, bytes, 100), 100);

    usleep(1000000 / LN_TLS_RARE_PER_SECOND + 50000); /* one more is due */
    assert_int_equal(ln_loop_turn(loop, 0), 0);
    assert_true(send_key_updates(&r, 1));
    test_rest(loop);
    assert_int_equal(r.end.ends, 0);

    send_key_updates(&r, 100000);
    expect_flood(&r);
    raw_close(&r);
    ln_loop_free(loop);
}

static void a_flood_of_tickets_ends_a_client(void **state)
{
    (void)state;
    ln_loop *loop = test_loop(NULL);
    raw r;
    raw_server(&r, loop, world.client);
    assert_int_equal(raw_handshake(&r), 1);
    test_until(loop, r.end.opens == 1);
    for (int i = 0; i < 200 && r.end.ends == 0; i++) {
        assert_int_equal(SSL_new_session_ticket(r.ssl), 1);
        if (SSL_do_handshake(r.ssl) != 1)
            break;
        assert_int_equal(ln_loop_turn(loop, 0), 0);
    }
    expect_flood(&r);
    raw_close(&r);
    ln_loop_free(loop);
}

/* The client's application secret of TLS 1.3, as the key log tells it. */
static uint8_t secret[64];
static size_t secret_size;

static void on_key_log(const SSL *ssl, const char *line)
{
    (void)ssl;
    static const char label[] = "CLIENT_TRAFFIC_SECRET_0 ";
    if (strncmp(line, label, sizeof label - 1) != 0)
        return;
    const char *hex = strchr(line + sizeof label, ' ') + 1;
    for (secret_size = 0; hex[2 * secret_size]; secret_size++) {
        const char two[] = {hex[2 * secret_size], hex[2 * secret_size + 1], '\0'};
        secret[secret_size] = (uint8_t)strtoul(two, NULL, 16);
    }
}

/* HKDF-Expand-Label(secret, label, "", size) with SHA-256 (RFC 8446 7.1). */
static void expand(const char *label, uint8_t *out, size_t size)
{
    uint8_t info[64];
    const size_t n = strlen(label);
    info[0] = 0;
    info[1] = (uint8_t)size;
    info[2] = (uint8_t)(6 + n);
    memcpy(info + 3, "tls13 ", 6);
    memcpy(info + 9, label, n);
    info[9 + n] = 0;
    EVP_PKEY_CTX *const c = EVP_PKEY_CTX_new_id(EVP_PKEY_HKDF, NULL);
    assert_int_equal(EVP_PKEY_derive_init(c), 1);
    EVP_PKEY_CTX_set_hkdf_mode(c, EVP_PKEY_HKDEF_MODE_EXPAND_ONLY);
    EVP_PKEY_CTX_set_hkdf_md(c, EVP_sha256());
    EVP_PKEY_CTX_set1_hkdf_key(c, secret, (int)secret_size);
    EVP_PKEY_CTX_add1_hkdf_info(c, info, (int)(10 + n));
    assert_int_equal(EVP_PKEY_derive(c, out, &size), 1);
    EVP_PKEY_CTX_free(c);
}

/* Record number `sequence` with `n` bytes and an inner type, under the client's first keys. Its
 * size. */
static size_t forge(uint64_t sequence, const uint8_t *bytes, size_t n, uint8_t type,
                    uint8_t *record)
{
    uint8_t key[16], nonce[12];
    int size;
    expand("key", key, sizeof key);
    expand("iv", nonce, sizeof nonce);
    for (int i = 0; i < 8; i++)
        nonce[4 + i] ^= (uint8_t)(sequence >> (56 - 8 * i));
    const size_t body = n + 1 + 16;
    memcpy(record, (const uint8_t[]){23, 3, 3, (uint8_t)(body >> 8), (uint8_t)body}, 5);
    EVP_CIPHER_CTX *const c = EVP_CIPHER_CTX_new();
    assert_int_equal(EVP_EncryptInit_ex(c, EVP_aes_128_gcm(), NULL, key, nonce), 1);
    EVP_EncryptUpdate(c, NULL, &size, record, 5);
    if (n > 0)
        EVP_EncryptUpdate(c, record + 5, &size, bytes, (int)n);
    EVP_EncryptUpdate(c, record + 5 + n, &size, &type, 1);
    EVP_EncryptFinal_ex(c, record + 5 + n + 1, &size);
    EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_GCM_GET_TAG, 16, record + 5 + n + 1);
    EVP_CIPHER_CTX_free(c);
    return 5 + body;
}

static void raw_client_with_known_keys(raw *r, ln_loop *loop)
{
    SSL_CTX *const ctx = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_ciphersuites(ctx, "TLS_AES_128_GCM_SHA256");
    SSL_CTX_set_keylog_callback(ctx, on_key_log);
    raw_client_with(r, loop, ctx, world.server, "a.test");
    assert_int_equal(raw_handshake(r), 1);
    test_until(loop, r->end.opens == 1);
    assert_int_equal(secret_size, 32);
}

static void a_forged_record_is_read_like_a_real_one(void **state)
{
    (void)state;
    ln_loop *loop = test_loop(NULL);
    raw r;
    uint8_t record[64];
    raw_client_with_known_keys(&r, loop);
    const uint8_t bytes[] = {test_byte(0), test_byte(1), test_byte(2)};
    size_t n = forge(0, bytes, 3, SSL3_RT_APPLICATION_DATA, record);
    assert_int_equal(write(r.fd, record, n), n);
    test_until(loop, r.end.got == 3);

    /* The same once more is a replay: its number is wrong. */
    assert_int_equal(write(r.fd, record, n), n);
    test_until(loop, r.end.ends == 1);
    assert_int_equal(r.end.end_err, LN_ERR_TLS);
    assert_string_equal(ln_stream_tls_error(&r.end.stream), "a record was altered on its way");
    assert_int_equal(r.end.got, 3);
    raw_close(&r);
    ln_loop_free(loop);
}

static void a_flood_of_empty_records_ends_a_connection(void **state)
{
    (void)state;
    ln_loop *loop = test_loop(NULL);
    raw r;
    uint8_t record[64];
    raw_client_with_known_keys(&r, loop);
    for (uint64_t i = 0; i < 200 && r.end.ends == 0; i++) {
        const size_t n = forge(i, NULL, 0, SSL3_RT_APPLICATION_DATA, record);
        if (send(r.fd, record, n, MSG_NOSIGNAL) < 0)
            break;
        assert_int_equal(ln_loop_turn(loop, 0), 0);
    }
    test_until(loop, r.end.ends == 1);
    assert_int_equal(r.end.end_err, LN_ERR_TLS);
    assert_string_equal(ln_stream_tls_error(&r.end.stream),
                        "the peer sends too many empty records");
    raw_close(&r);
    ln_loop_free(loop);
}

static void a_flood_of_warnings_ends_a_connection(void **state)
{
    (void)state;
    static const uint8_t warning[] = {
        1, 90}; /* user_canceled, the one warning that may be ignored (RFC 8446 6.1) */
    ln_loop *loop = test_loop(NULL);
    raw r;
    uint8_t record[64];
    raw_client_with_known_keys(&r, loop);
    for (uint64_t i = 0; i < 200 && r.end.ends == 0; i++) {
        const size_t n = forge(i, warning, sizeof warning, SSL3_RT_ALERT, record);
        if (send(r.fd, record, n, MSG_NOSIGNAL) < 0)
            break;
        assert_int_equal(ln_loop_turn(loop, 0), 0);
    }
    test_until(loop, r.end.ends == 1);
    assert_int_equal(r.end.end_err, LN_ERR_TLS);
    raw_close(&r);
    ln_loop_free(loop);
}

/* A handshake record of TLS 1.2 (AES-128-GCM, RFC 5288 3) under the client's keys. Its size. */
static size_t forge_1_2(raw *r, uint64_t sequence, const uint8_t *bytes, size_t n, uint8_t *record)
{
    enum { KEY = 16, SALT = 4, RANDOM = 32, EXPLICIT = 8 };
    uint8_t master[48], seed[13 + 2 * RANDOM] = "key expansion", block[2 * KEY + 2 * SALT],
                                      nonce[12], aad[13];
    SSL_SESSION_get_master_key(SSL_get_session(r->ssl), master, sizeof master);
    SSL_get_server_random(r->ssl, seed + 13, RANDOM);
    SSL_get_client_random(r->ssl, seed + 13 + RANDOM, RANDOM);
    EVP_PKEY_CTX *const prf = EVP_PKEY_CTX_new_id(EVP_PKEY_TLS1_PRF, NULL);
    size_t block_size = sizeof block;
    EVP_PKEY_derive_init(prf);
    EVP_PKEY_CTX_set_tls1_prf_md(prf, EVP_sha256());
    EVP_PKEY_CTX_set1_tls1_prf_secret(prf, master, sizeof master);
    EVP_PKEY_CTX_add1_tls1_prf_seed(prf, seed, sizeof seed);
    assert_int_equal(EVP_PKEY_derive(prf, block, &block_size), 1);
    EVP_PKEY_CTX_free(prf);

    ln_store_be64(aad, sequence);
    memcpy(aad + 8, (const uint8_t[]){SSL3_RT_HANDSHAKE, 3, 3, 0, (uint8_t)n}, 5);
    memcpy(nonce, block + 2 * KEY, SALT);
    memcpy(nonce + SALT, aad, EXPLICIT);
    memcpy(record, (const uint8_t[]){SSL3_RT_HANDSHAKE, 3, 3, 0, (uint8_t)(EXPLICIT + n + 16)}, 5);
    memcpy(record + 5, aad, EXPLICIT);
    int size;
    EVP_CIPHER_CTX *const c = EVP_CIPHER_CTX_new();
    assert_int_equal(EVP_EncryptInit_ex(c, EVP_aes_128_gcm(), NULL, block, nonce), 1);
    EVP_EncryptUpdate(c, NULL, &size, aad, sizeof aad);
    EVP_EncryptUpdate(c, record + 5 + EXPLICIT, &size, bytes, (int)n);
    EVP_EncryptFinal_ex(c, record + 5 + EXPLICIT + n, &size);
    EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_GCM_GET_TAG, 16, record + 5 + EXPLICIT + n);
    EVP_CIPHER_CTX_free(c);
    return 5 + EXPLICIT + n + 16;
}

/* Each is answered with an alert that nobody reads. */
static void a_flood_of_hellos_ends_a_connection(void **state)
{
    (void)state;
    static const uint8_t hello[] = {1, 0, 0, 0};
    ln_loop *loop = test_loop(NULL);
    SSL_CTX *const ctx = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_max_proto_version(ctx, TLS1_2_VERSION);
    SSL_CTX_set_cipher_list(ctx, "ECDHE-ECDSA-AES128-GCM-SHA256");
    raw r;
    raw_client_with(&r, loop, ctx, world.server, "a.test");
    assert_int_equal(raw_handshake(&r), 1);
    test_until(loop, r.end.opens == 1);
    unsigned sent = 0;
    for (uint64_t i = 1; i < 2000 && r.end.ends == 0;
         i++) { /* number 0 was the client's Finished */
        uint8_t record[64];
        const size_t n = forge_1_2(&r, i, hello, sizeof hello, record);
        if (send(r.fd, record, n, MSG_NOSIGNAL) < 0)
            break;
        sent++;
        assert_int_equal(ln_loop_turn(loop, 0), 0);
    }
    expect_flood(&r);
    assert_true(sent >= LN_TLS_RARE_BURST);
    raw_close(&r);
    ln_loop_free(loop);
}

/* Feeds bytes to one end of ours, which has to end with LN_ERR_TLS and this sentence. */
static void expect_nonsense(ln_loop *loop, bool is_server, const char *bytes, size_t n,
                            const char *sentence)
{
    int fds[2];
    test_end e;
    test_pair(fds);
    test_end_init(&e);
    const int rc =
        is_server
            ? ln_stream_open_server(&e.stream, loop, fds[0], world.server, &test_end_ops)
            : ln_stream_open_client(&e.stream, loop, fds[0], world.client, "a.test", &test_end_ops);
    assert_int_equal(rc, 0);
    assert_int_equal(write(fds[1], bytes, n), n);
    test_until(loop, e.ends == 1);
    assert_int_equal(e.opens, 0);
    assert_int_equal(e.end_err, LN_ERR_TLS);
    assert_string_equal(ln_stream_tls_error(&e.stream), sentence);
    write(fds[1], bytes, n) < 0 ? (void)0 : test_rest(loop); /* ignored */
    assert_int_equal(e.ends, 1);
    ln_stream_close(&e.stream);
    test_until(loop, e.closes == 1);
    close(fds[1]);
}

static void peers_that_do_not_speak_tls_are_told_apart(void **state)
{
    (void)state;
    static const char request[] = "GET /ws HTTP/1.1\r\nHost: a.test\r\n\r\n",
                      tunnel[] = "CONNECT a.test:443 HTTP/1.1\r\n",
                      answer[] = "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n",
                      ssh[] = "SSH-2.0-OpenSSH_9.2\r\n";
    ln_loop *loop = test_loop(NULL);
    expect_nonsense(loop, true, request, strlen(request), "the peer speaks plain HTTP, not TLS");
    expect_nonsense(loop, true, tunnel, strlen(tunnel), "the peer speaks plain HTTP, not TLS");
    expect_nonsense(loop, true, ssh, strlen(ssh), "the peer does not speak TLS");
    expect_nonsense(loop, false, answer, strlen(answer), "the peer does not speak TLS");
    expect_nonsense(loop, false, ssh, strlen(ssh), "the peer does not speak TLS");
    ln_loop_free(loop);
}

static uint64_t thread_cpu_ms(void)
{
    struct timespec t;
    assert_int_equal(clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t), 0);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* A record's head says `size`, and `sent` bytes of it come. True if that is the end. */
static bool ends_with_record(ln_loop *loop, uint8_t type, size_t size, size_t sent)
{
    static uint8_t record[5 + UINT16_MAX];
    int fds[2];
    test_end e;
    test_pair(fds);
    test_end_init(&e);
    assert_int_equal(ln_stream_open_server(&e.stream, loop, fds[0], world.server, &test_end_ops),
                     0);
    memcpy(record, (const uint8_t[]){type, 3, 3, (uint8_t)(size >> 8), (uint8_t)size}, 5);
    memset(record + 5, 1, sent); /* a ClientHello whose length is wrong, or nothing at all */
    assert_int_equal(write(fds[1], record, 5 + sent), 5 + sent);
    test_rest(loop);
    const bool is_over = e.ends == 1;
    assert_int_equal(e.opens, 0);
    ln_stream_close(&e.stream);
    test_until(loop, e.closes == 1);
    close(fds[1]);
    return is_over;
}

/* Jetty's CVE-2021-28165: a record longer than any may be took a processor for good. RFC 8446 5.1:
 * what is not encrypted has 2^14 bytes at most, what is 256 more; RFC 5246 6.2.3: 2048 more. */
static void records_of_any_size_are_waited_for_or_the_end(void **state)
{
    (void)state;
    enum { CIPHERTEXT_MAX = 16384 + 2048, STEP = 1021 };
    static const uint8_t types[] = {20, 21, 22, 23, 255};
    ln_loop *loop = test_loop(NULL);
    const uint64_t began_ms = thread_cpu_ms();
    for (size_t i = 0; i < sizeof types; i++) {
        for (size_t size = 0; size <= UINT16_MAX; size += size < 32 ? 1 : STEP) {
            const bool is_over = ends_with_record(loop, types[i], size, 0);
            if (size > CIPHERTEXT_MAX)
                assert_true(is_over);
            if (size > 0 && size <= CIPHERTEXT_MAX)
                (void)ends_with_record(loop, types[i], size, size);
        }
    }
    assert_false(ends_with_record(loop, 22, 16384, 0));
    assert_true(ends_with_record(loop, 22, CIPHERTEXT_MAX + 1, 0));
    assert_true(ends_with_record(loop, 22, UINT16_MAX, 0));
    assert_true(thread_cpu_ms() - began_ms < 10000);
    ln_loop_free(loop);
}

/* The same behind the handshake, where a record is encrypted: none of these is. */
static void records_of_any_size_may_come_later(void **state)
{
    (void)state;
    enum { ENCRYPTED_MAX = 16384 + 256 };
    static const size_t sizes[] = {0,     1,     16,    17,    100,   16384, 16385, 16639,
                                   16640, 16641, 17408, 17409, 18432, 32768, 65535};
    static uint8_t record[5 + UINT16_MAX];
    ln_loop *loop = test_loop(NULL);
    for (size_t i = 0; i < 2 * (sizeof sizes / sizeof *sizes); i++) {
        const size_t size = sizes[i / 2], sent = i % 2 ? size : 0;
        raw r;
        raw_client_with_known_keys(&r, loop);
        const uint64_t began_ms = thread_cpu_ms();
        memcpy(record, (const uint8_t[]){23, 3, 3, (uint8_t)(size >> 8), (uint8_t)size}, 5);
        memset(record + 5, 1, sent);
        for (size_t at = 0; at < 5 + sent && r.end.ends == 0;) {
            const ssize_t n = send(r.fd, record + at, 5 + sent - at, MSG_NOSIGNAL | MSG_DONTWAIT);
            if (n < 0 && errno != EAGAIN)
                break;
            at += n > 0 ? (size_t)n : 0;
            assert_int_equal(ln_loop_turn(loop, 0), 0);
        }
        test_rest(loop);
        if (size > ENCRYPTED_MAX || sent > 0 || size == 0)
            test_until(loop, r.end.ends == 1);
        assert_int_equal(r.end.got, 0);
        assert_true(thread_cpu_ms() - began_ms < 2000);
        raw_close(&r);
    }
    ln_loop_free(loop);
}

/* Random bytes, and a real ClientHello with one byte changed: always one end, never a crash. */
static void broken_hellos_end_a_connection_once(void **state)
{
    (void)state;
    ln_loop *loop = test_loop(NULL);
    uint8_t hello[2048], bytes[2048];
    unsigned seed = 11;
    int fds[2];
    test_pair(fds);
    test_end e;
    test_end_init(&e);
    assert_int_equal(
        ln_stream_open_client(&e.stream, loop, fds[0], world.client, "a.test", &test_end_ops), 0);
    test_rest(loop);
    const ssize_t size = recv(fds[1], hello, sizeof hello, 0);
    assert_true(size > 100);
    ln_stream_close(&e.stream);
    test_until(loop, e.closes == 1);
    close(fds[1]);

    for (int i = 0; i < 400; i++) {
        test_pair(fds);
        test_end_init(&e);
        assert_int_equal(
            ln_stream_open_server(&e.stream, loop, fds[0], world.server, &test_end_ops), 0);
        memcpy(bytes, hello, (size_t)size);
        if (i % 4 == 0)
            for (ssize_t k = 5; k < size; k++)
                bytes[k] = (uint8_t)rand_r(&seed);
        else
            bytes[rand_r(&seed) % (unsigned)size] ^= (uint8_t)(1 + rand_r(&seed) % 255);
        assert_int_equal(write(fds[1], bytes, (size_t)size), size);
        shutdown(fds[1], SHUT_WR);
        test_until(loop, e.ends == 1);
        assert_int_equal(e.opens, 0);
        assert_int_equal(e.end_err, LN_ERR_TLS);
        assert_true(ln_stream_tls_error(&e.stream)[0] != '\0');
        ln_stream_close(&e.stream);
        test_until(loop, e.closes == 1);
        close(fds[1]);
    }
    ln_loop_free(loop);
}

/* A middleman that carries `limit` bytes in each direction, then lets the connection end by FIN or
 * by reset. */
static void cut_handshake(size_t limit, bool is_reset)
{
    ln_loop *loop = test_loop(NULL);
    int left[2], right[2];
    test_tcp_pair(left);
    test_tcp_pair(right);
    test_link l;
    test_link_open_fds(&l, loop, (int[]){left[0], right[0]}, world.server, world.client, "a.test");
    size_t carried[2] = {0, 0};
    for (int i = 0; i < 60; i++) {
        for (int d = 0; d < 2; d++) {
            const ssize_t n =
                carried[d] < limit
                    ? test_carry(d ? left[1] : right[1], d ? right[1] : left[1], limit - carried[d])
                    : 0;
            carried[d] += n > 0 ? (size_t)n : 0;
        }
        assert_int_equal(ln_loop_turn(loop, 0), 0);
    }
    const struct linger at_once = {.l_onoff = is_reset};
    setsockopt(left[1], SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    setsockopt(right[1], SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    close(left[1]);
    close(right[1]);
    test_until(loop, l.server.ends >= 1 && l.client.ends >= 1);
    const test_end *ends[] = {&l.server, &l.client};
    for (int i = 0; i < 2; i++) {
        assert_true(ends[i]->end_err == LN_ERR_RESET ||
                    (ends[i]->end_err == LN_ERR_TLS && !ends[i]->opens));
        if (ends[i]->end_err == LN_ERR_TLS)
            assert_string_equal(ln_stream_tls_error(&ends[i]->stream),
                                "the peer closed the connection during the TLS handshake");
    }
    test_link_close(&l);
    ln_loop_free(loop);
}

static void a_connection_may_break_at_any_stage_of_the_handshake(void **state)
{
    (void)state;
    for (size_t limit = 0; limit < 2200; limit += limit < 700 ? 53 : 211) {
        cut_handshake(limit, false);
        cut_handshake(limit, true);
    }
}

static void a_fin_without_goodbye_is_a_reset(void **state)
{
    (void)state;
    ln_loop *loop = test_loop(NULL);
    raw r;
    raw_client(&r, loop, world.server, "a.test");
    assert_int_equal(raw_handshake(&r), 1);
    raw_write(&r, 1000);
    shutdown(r.fd, SHUT_WR);
    test_until(loop, r.end.ends == 1);
    assert_int_equal(r.end.got, 1000);
    assert_int_equal(r.end.end_err, LN_ERR_RESET);
    raw_close(&r);
    ln_loop_free(loop);
}

static void what_follows_a_goodbye_is_ignored(void **state)
{
    (void)state;
    ln_loop *loop = test_loop(NULL);
    raw r;
    raw_client(&r, loop, world.server, "a.test");
    assert_int_equal(raw_handshake(&r), 1);
    raw_write(&r, 1000);
    assert_int_equal(SSL_shutdown(r.ssl), 0);
    assert_int_equal(write(r.fd, "nonsense", 8), 8);
    test_until(loop, r.end.ends == 1);
    assert_int_equal(r.end.end_err, 0);
    assert_int_equal(write(r.fd, "nonsense", 8), 8);
    test_rest(loop);
    assert_int_equal(r.end.got, 1000);
    assert_int_equal(r.end.ends, 1);

    /* Our direction is still open, and ends with a goodbye of ours and a FIN. */
    uint8_t bytes[5000];
    test_end_queue(&r.end, sizeof bytes);
    test_until(loop, r.end.sent == sizeof bytes);
    ln_stream_shutdown(&r.end.stream);
    assert_int_equal(raw_read(&r, bytes, sizeof bytes), sizeof bytes);
    test_rest(loop);
    assert_int_equal(SSL_read(r.ssl, bytes, 1), 0);
    assert_int_equal(SSL_get_error(r.ssl, 0), SSL_ERROR_ZERO_RETURN);
    test_rest(loop);
    assert_int_equal(recv(r.fd, bytes, 1, 0), 0);
    raw_close(&r);
    ln_loop_free(loop);
}

static void both_may_say_goodbye_at_once(void **state)
{
    (void)state;
    ln_loop *loop = test_loop(NULL);
    test_link l;
    test_link_open(&l, loop, world.server, world.client, "a.test");
    test_until(loop, l.server.opens == 1 && l.client.opens == 1);
    ln_stream_shutdown(&l.server.stream);
    ln_stream_shutdown(&l.client.stream);
    test_until(loop, l.server.ends == 1 && l.client.ends == 1);
    assert_int_equal(l.server.end_err, 0);
    assert_int_equal(l.client.end_err, 0);
    test_link_close(&l);
    ln_loop_free(loop);
}

static void shutting_down_during_the_handshake_ends_it(void **state)
{
    (void)state;
    ln_loop *loop = test_loop(NULL);
    test_link l;
    test_link_open(&l, loop, world.server, world.client, "a.test");
    ln_stream_shutdown(
        &l.server.stream); /* what it still has to say to the ClientHello goes nowhere */
    test_until(loop, l.client.ends == 1);
    assert_int_equal(l.client.end_err, LN_ERR_TLS);
    assert_string_equal(ln_stream_tls_error(&l.client.stream),
                        "the peer closed the connection during the TLS handshake");
    ln_stream_shutdown(&l.client.stream);
    test_until(loop, l.server.ends == 1);
    assert_int_equal(l.server.opens, 0);
    test_link_close(&l);
    ln_loop_free(loop);
}

static void an_altered_byte_ends_a_connection(void **state)
{
    (void)state;
    ln_loop *loop = test_loop(NULL);
    int left[2], right[2];
    test_pair(left);
    test_pair(right);
    test_link l;
    test_link_open_fds(&l, loop, (int[]){left[0], right[0]}, world.server, world.client, "a.test");
    for (int i = 0; i < 2000 && !(l.server.opens && l.client.opens); i++) {
        assert_true(test_carry(left[1], right[1], 4096) >= 0);
        assert_true(test_carry(right[1], left[1], 4096) >= 0);
        assert_int_equal(ln_loop_turn(loop, 0), 0);
    }
    test_end_queue(&l.client, 1000);
    test_rest(loop);
    uint8_t record[2048];
    const ssize_t n = recv(right[1], record, sizeof record, 0);
    assert_true(n > 1000);
    record[n / 2] ^= 1;
    assert_int_equal(write(left[1], record, (size_t)n), n);
    test_until(loop, l.server.ends == 1);
    assert_int_equal(l.server.end_err, LN_ERR_TLS);
    assert_string_equal(ln_stream_tls_error(&l.server.stream), "a record was altered on its way");
    assert_int_equal(l.server.got, 0);

    /* Sending is over too, and does not fail loudly. */
    test_end_queue(&l.server, 10);
    test_rest(loop);
    assert_int_equal(l.server.sent, 0);
    test_link_close(&l);
    close(left[1]);
    close(right[1]);
    ln_loop_free(loop);
}

/* Strangers: the openssl program on the other end of a Unix socket. */

static pid_t start_openssl(const char *const *arguments, int in, int out)
{
    const pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid > 0)
        return pid;
    const int quiet = open("/dev/null", O_WRONLY);
    dup2(in, STDIN_FILENO);
    dup2(out, STDOUT_FILENO);
    dup2(quiet, STDERR_FILENO);
    execvp("openssl", (char *const *)(uintptr_t)arguments);
    _exit(127);
}

static int unix_socket(const char *path, struct sockaddr_un *address)
{
    *address = (struct sockaddr_un){.sun_family = AF_UNIX};
    snprintf(address->sun_path, sizeof address->sun_path, "%s", path);
    return socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
}

/* Sends the pattern to the program's input, expects it at our end and echoed by our end at the
 * program's output. */
static void talk(ln_loop *loop, test_end *e, int in, int out)
{
    enum { BYTES = 30000 };
    uint8_t bytes[BYTES];
    size_t written = 0, got = 0;
    for (size_t i = 0; i < BYTES; i++)
        bytes[i] = test_byte(i);
    test_until(loop, e->opens == 1);
    fcntl(in, F_SETFL, O_NONBLOCK);
    fcntl(out, F_SETFL, O_NONBLOCK);
    test_end_queue(e, BYTES);
    for (int i = 0; i < 10000 && (got < BYTES || e->got < BYTES); i++) {
        uint8_t back[4096];
        ssize_t n = write(in, bytes + written, BYTES - written);
        written += n > 0 ? (size_t)n : 0;
        n = read(out, back, sizeof back);
        for (ssize_t k = 0; k < n; k++)
            assert_int_equal(back[k], test_byte(got++));
        assert_int_equal(ln_loop_turn(loop, 1), 0);
    }
    assert_int_equal(got, BYTES);
    assert_int_equal(e->got, BYTES);
}

static void end_stranger(ln_loop *loop, test_end *e, pid_t pid, const int *fds)
{
    ln_stream_shutdown(&e->stream);
    test_rest(loop);
    ln_stream_close(&e->stream);
    test_until(loop, e->closes == 1);
    for (int i = 0; i < 4; i++)
        if (fds[i] >= 0)
            close(fds[i]);
    kill(pid, SIGTERM);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    ln_loop_free(loop);
}

static void the_openssl_client_talks_to_our_server(void **state)
{
    (void)state;
    const char *const path = test_certs_path("in");
    const char *const arguments[] = {"openssl",
                                     "s_client",
                                     "-unix",
                                     path,
                                     "-CAfile",
                                     world.root_file,
                                     "-servername",
                                     "a.test",
                                     "-verify_hostname",
                                     "a.test",
                                     "-verify_return_error",
                                     "-alpn",
                                     "http/1.1",
                                     "-quiet",
                                     "-no_ign_eof",
                                     NULL};
    ln_loop *loop = test_loop(NULL);
    struct sockaddr_un address;
    int in[2], out[2], fd = -1;
    const int listener = unix_socket(path, &address);
    assert_int_equal(bind(listener, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(listener, 1), 0);
    assert_int_equal(pipe2(in, O_CLOEXEC) + pipe2(out, O_CLOEXEC), 0);
    const pid_t pid = start_openssl(arguments, in[0], out[1]);
    for (int i = 0; i < 5000 && fd < 0; i++) {
        fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        test_rest(loop);
    }
    close(listener);
    test_end e;
    test_end_init(&e);
    assert_int_equal(ln_stream_open_server(&e.stream, loop, fd, world.server, &test_end_ops), 0);
    talk(loop, &e, in[1], out[0]);
    end_stranger(loop, &e, pid, (const int[]){in[0], in[1], out[0], out[1]});
}

static void our_client_talks_to_the_openssl_server(void **state)
{
    (void)state;
    const char *const path = test_certs_path("out"); /* s_server has room for 31 characters */
    const ln_tls_identity identity = identity_of(&world.a, "a");
    const char *const arguments[] = {"openssl",     "s_server",
                                     "-unix",       path,
                                     "-cert",       identity.cert_file,
                                     "-cert_chain", identity.cert_file,
                                     "-key",        identity.key_file,
                                     "-alpn",       "http/1.1",
                                     "-quiet",      NULL};
    ln_loop *loop = test_loop(NULL);
    struct sockaddr_un address;
    int in[2], out[2], rc = -1;
    const int fd = unix_socket(path, &address);
    assert_int_equal(pipe2(in, O_CLOEXEC) + pipe2(out, O_CLOEXEC), 0);
    const pid_t pid = start_openssl(arguments, in[0], out[1]);
    for (int i = 0; i < 5000 && rc < 0; i++) {
        rc = connect(fd, (struct sockaddr *)&address, sizeof address);
        test_rest(loop);
    }
    assert_int_equal(rc, 0);
    test_end e;
    test_end_init(&e);
    assert_int_equal(
        ln_stream_open_client(&e.stream, loop, fd, world.client, "a.test", &test_end_ops), 0);
    talk(loop, &e, in[1], out[0]);
    span_equal(ln_stream_alpn(&e.stream), "http/1.1");
    end_stranger(loop, &e, pid, (const int[]){in[0], in[1], out[0], out[1]});
}

/* Memory. */

/* The other half of the next test, in a process of its own: so many clients, until our end of the
 * pipe is closed. */
static _Noreturn void run_clients(int (*fds)[2], unsigned count, int until)
{
    ln_loop *loop = test_loop(NULL);
    test_end *const ends = calloc(count, sizeof *ends);
    for (unsigned i = 0; i < count; i++) {
        close(fds[i][0]);
        test_end_init(&ends[i]);
        if (ln_stream_open_client(&ends[i].stream, loop, fds[i][1], world.client, "a.test",
                                  &test_end_ops) != 0)
            _exit(1);
    }
    uint8_t byte;
    while (read(until, &byte, 1) < 0)
        ln_loop_turn(loop, 1);
    _exit(0);
}

/*
 * OpenSSL's own share of an idle session is 13.6 KiB in 3.0: 7.4 KiB the SSL object, 2.3 KiB two
 * AES-GCM contexts, 0.9 KiB the session. What must not stay are its buffers, 16 KiB each.
 */
static void an_idle_session_keeps_no_buffer(void **state)
{
    (void)state;
    enum { SESSIONS = 1000, MAX_BYTES = 15 * 1024 };
    static int fds[SESSIONS][2];
    const struct rlimit files = {.rlim_cur = 2 * SESSIONS + 100, .rlim_max = 2 * SESSIONS + 100};
    if (mallinfo2().uordblks == 0 || setrlimit(RLIMIT_NOFILE, &files) < 0)
        skip(); /* under a sanitizer, whose allocator does not count */
    int until[2];
    assert_int_equal(pipe2(until, O_NONBLOCK | O_CLOEXEC), 0);
    for (unsigned i = 0; i < SESSIONS; i++)
        test_pair(fds[i]);
    const pid_t pid = fork();
    if (pid == 0) {
        close(until[1]);
        run_clients(fds, SESSIONS, until[0]);
    }
    ln_loop *loop = test_loop(NULL);
    test_end *const ends = calloc(SESSIONS, sizeof *ends);
    const size_t before = mallinfo2().uordblks;
    for (unsigned i = 0; i < SESSIONS; i++) {
        close(fds[i][1]);
        test_end_init(&ends[i]);
        assert_int_equal(
            ln_stream_open_server(&ends[i].stream, loop, fds[i][0], world.server, &test_end_ops),
            0);
    }
    for (unsigned i = 0; i < SESSIONS; i++)
        test_until(loop, ends[i].opens == 1);
    test_rest(loop);
    const size_t each = (mallinfo2().uordblks - before) / SESSIONS + sizeof(ln_stream);
    print_message("%zu bytes for an idle TLS session, the stream included\n", each);
    assert_true(each < MAX_BYTES);
    close(until[1]);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    for (unsigned i = 0; i < SESSIONS; i++)
        ln_stream_close(&ends[i].stream);
    for (unsigned i = 0; i < SESSIONS; i++)
        test_until(loop, ends[i].closes == 1);
    free(ends);
    close(until[0]);
    ln_loop_free(loop);
}

/* Contexts. */

static void expect_bad_identity(const ln_tls_identity *identity, int err, const char *needle)
{
    ln_tls_context *context = NULL;
    const ln_tls_options options = {.identities = identity, .identity_count = 1};
    error_text[0] = '\0';
    assert_int_equal(ln_tls_context_new_server(&options, NULL, &context, error_text), err);
    assert_null(context);
    if (!strstr(error_text, needle))
        fail_msg("\"%s\" does not mention \"%s\"", error_text, needle);
    assert_int_equal(ERR_peek_error(), 0);
}

static void files_that_cannot_be_used_are_named(void **state)
{
    (void)state;
    const ln_tls_identity a = identity_of(&world.a, "a"), b = identity_of(&world.b, "b");
    const char *const nonsense = test_certs_write_text("this is no certificate\n", "nonsense");
    const char *const locked = test_cert_write_key(&world.a, "locked.key", "secret");
    const char *const box = test_cert_write_pkcs12(&world.a, "a.p12", "secret");

    expect_bad_identity(&(ln_tls_identity){0}, LN_ERR_INVALID, "certificate");
    expect_bad_identity(&(ln_tls_identity){.cert_file = a.cert_file, .pkcs12_file = box},
                        LN_ERR_INVALID, "PKCS#12");
    expect_bad_identity(&(ln_tls_identity){.cert_file = "/no/such.pem"}, LN_ERR_TLS,
                        "certificate /no/such.pem: No such file");
    expect_bad_identity(&(ln_tls_identity){.cert_file = nonsense}, LN_ERR_TLS, nonsense);
    expect_bad_identity(&(ln_tls_identity){.cert_file = a.cert_file}, LN_ERR_TLS,
                        "key "); /* no key in there */
    expect_bad_identity(&(ln_tls_identity){.cert_file = a.cert_file, .key_file = "/no/such.key"},
                        LN_ERR_TLS, "key /no/such.key: No such file");
    expect_bad_identity(&(ln_tls_identity){.cert_file = a.cert_file, .key_file = b.key_file},
                        LN_ERR_TLS, "mismatch");
    expect_bad_identity(&(ln_tls_identity){.cert_file = a.cert_file, .key_file = locked},
                        LN_ERR_TLS, locked);
    expect_bad_identity(
        &(ln_tls_identity){.cert_file = a.cert_file, .key_file = locked, .passphrase = "wrong"},
        LN_ERR_TLS, locked);
    expect_bad_identity(&(ln_tls_identity){.pkcs12_file = "/no/such.p12"}, LN_ERR_TLS,
                        "/no/such.p12: No such file");
    expect_bad_identity(&(ln_tls_identity){.pkcs12_file = nonsense}, LN_ERR_TLS, nonsense);
    expect_bad_identity(&(ln_tls_identity){.pkcs12_file = box, .passphrase = "wrong"}, LN_ERR_TLS,
                        box);
    expect_bad_identity(&(ln_tls_identity){.pkcs12_file = box}, LN_ERR_TLS, box);

    static const char *const names[] = {"", "*", "*.", "a*.test", "*.*.test"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        ln_tls_identity named = a;
        named.server_name = names[i];
        expect_bad_identity(&named, LN_ERR_INVALID, "server_name");
    }
}

static void options_that_make_no_sense_are_refused(void **state)
{
    (void)state;
    ln_tls_context *context = NULL;
    const ln_tls_identity two[] = {identity_of(&world.a, "a"), identity_of(&world.b, "b")};
    assert_int_equal(ln_tls_context_new_server(&(ln_tls_options){0}, NULL, &context, error_text),
                     LN_ERR_INVALID);
    assert_int_equal(
        ln_tls_context_new_client(&(ln_tls_options){.identities = two, .identity_count = 2}, NULL,
                                  &context, error_text),
        LN_ERR_INVALID);
    assert_int_equal(ln_tls_context_new_client(&(ln_tls_options){.ca_file = "/no/ca.pem"}, NULL,
                                               &context, error_text),
                     LN_ERR_TLS);
    assert_non_null(strstr(error_text, "/no/ca.pem"));
    const ln_tls_options asking = {
        .identities = two, .identity_count = 1, .ca_file = two[0].key_file};
    assert_int_equal(ln_tls_context_new_server(&asking, NULL, &context, error_text), LN_ERR_TLS);
    assert_non_null(strstr(error_text, two[0].key_file));
    assert_null(context);
}

/* A server's and a client's context, used once, under an allocator that fails. */
static int one_life(const ln_allocator *alloc, void *user)
{
    const ln_tls_identity *const identities = user;
    ln_tls_context *server = NULL, *client = NULL;
    const ln_tls_options ours = {.identities = identities, .identity_count = 2};
    const ln_tls_options theirs = {.ca_file = world.root_file, .server_name = "a.test"};
    int rc = ln_tls_context_new_server(&ours, alloc, &server, error_text);
    if (rc == 0)
        rc = ln_tls_context_new_client(&theirs, alloc, &client, error_text);
    if (rc == 0)
        expect_success(server, client, NULL);
    else
        assert_string_equal(error_text, "out of memory");
    ln_tls_context_unref(server);
    ln_tls_context_unref(client);
    return rc;
}

static void a_context_that_finds_no_memory_is_not_made(void **state)
{
    (void)state;
    ln_tls_identity identities[] = {identity_of(&world.a, "a"), identity_of(&world.b, "b")};
    identities[0].server_name = "a.test";
    identities[1].server_name = "*.b.test";
    assert_true(failing_alloc_sweep(one_life, identities) >= 5);
}

static void identities_are_limited_in_number(void **state)
{
    (void)state;
    static ln_tls_identity many[LN_TLS_IDENTITIES_MAX + 1];
    const ln_tls_identity one = identity_of(&world.a, "a");
    for (size_t i = 0; i <= LN_TLS_IDENTITIES_MAX; i++)
        many[i] = one;
    ln_tls_context *context = NULL;
    ln_tls_options options = {.identities = many, .identity_count = LN_TLS_IDENTITIES_MAX + 1};
    assert_int_equal(ln_tls_context_new_server(&options, NULL, &context, error_text),
                     LN_ERR_INVALID);
    options.identity_count = LN_TLS_IDENTITIES_MAX;
    assert_int_equal(ln_tls_context_new_server(&options, NULL, &context, error_text), 0);
    expect_success(context, world.client, "a.test");
    ln_tls_context_unref(context);
}

/* A chain of `size` bytes or a little more: the leaf has so many names. */
static ln_tls_context *server_with_names(size_t size)
{
    static char names[100000];
    size_t n = (size_t)snprintf(names, sizeof names, "DNS:a.test");
    for (unsigned i = 0; n < size; i++)
        n += (size_t)snprintf(names + n, sizeof names - n, ",DNS:%043u.names.test", i);
    test_cert cert;
    test_cert_make(&(test_cert_spec){.subject = "long", .names = names, .issuer = &world.authority},
                   &cert);
    ln_tls_context *server = server_of(&cert, "long");
    test_cert_fini(&cert);
    return server;
}

static void a_chain_of_certificates_has_an_end(void **state)
{
    (void)state;
    ln_tls_context *server = server_with_names(LN_TLS_CHAIN_MAX_BYTES - 4096);
    expect_success(server, world.client, "a.test");
    ln_tls_context_unref(server);

    server = server_with_names(LN_TLS_CHAIN_MAX_BYTES + 4096);
    ln_loop *loop = test_loop(NULL);
    test_link l;
    test_link_open(&l, loop, server, world.client, "a.test");
    test_until(loop, l.client.ends == 1);
    assert_int_equal(l.client.end_err, LN_ERR_TLS);
    assert_string_equal(ln_stream_tls_error(&l.client.stream), "excessive message size");
    test_link_close(&l);
    ln_loop_free(loop);
    ln_tls_context_unref(server);
}

static void what_a_deaf_peer_makes_us_keep_is_bounded(void **state)
{
    (void)state;
    ln_loop *loop = test_loop(NULL);
    raw r;
    raw_client(&r, loop, world.server, "a.test");
    assert_int_equal(raw_handshake(&r), 1);
    test_until(loop, r.end.opens == 1);
    test_end_queue(&r.end, 64 << 20);
    test_until(loop, ln_stream_is_sending(&r.end.stream));
    test_rest(loop);
    const size_t queued = ln_stream_queued(&r.end.stream);
    assert_true(queued >= LN_TLS_QUEUE_MAX_BYTES);
    assert_true(queued < LN_TLS_QUEUE_MAX_BYTES +
                             SSL3_RT_MAX_PACKET_SIZE); /* the last record may stick out */
    assert_true(r.end.sent < 16 << 20);
    raw_close(&r);
    ln_loop_free(loop);
}

/* Who waits for a short queue has to hear of it also when all of its bytes were taken long ago. */
static void the_end_of_the_ciphertext_is_told(void **state)
{
    (void)state;
    static uint8_t bytes[16 << 20];
    ln_loop *loop = test_loop(NULL);
    test_end *e;
    raw r;
    raw_client(&r, loop, world.server, "a.test");
    assert_int_equal(raw_handshake(&r), 1);
    e = &r.end;
    test_until(loop, e->opens == 1);
    do {
        test_end_queue(e, 10000);
        test_rest(loop);
    } while (ln_stream_queued(&e->stream) == 0 && e->sent < sizeof bytes);
    assert_true(ln_stream_queued(&e->stream) > 0);
    assert_false(ln_stream_is_sending(&e->stream)); /* nothing that on_sent would have to ask for */
    assert_int_equal(e->sent, e->to_send);
    const unsigned before = e->drains;
    assert_int_equal(raw_read(&r, bytes, (int)e->sent), (int)e->sent);
    test_until(loop, e->drains > before);
    raw_close(&r);
    ln_loop_free(loop);
}

static void pause_and_note(test_end *e)
{
    ln_stream_pause(&e->stream);
    e->user = e;
}

/* Each pause leaves ciphertext behind; the next bytes wait in the system until that is used up. */
static void what_pauses_leave_behind_is_bounded(void **state)
{
    (void)state;
    enum { BYTES = 8 << 20 };
    ln_loop *loop = test_loop(NULL);
    test_link l;
    test_link_open(&l, loop, world.server, world.client, "a.test");
    test_until(loop, l.server.opens == 1 && l.client.opens == 1);
    l.server.after_recv = pause_and_note;
    test_end_queue(&l.client, BYTES);
    size_t most = 0;
    for (int i = 0; i < TEST_TURNS_MAX && l.server.got < BYTES; i++) {
        assert_int_equal(ln_loop_turn(loop, 0), 0);
        most = ln_max_size(most, l.server.stream.tls->held.bytes);
        if (l.server.user)
            ln_stream_resume(&l.server.stream);
        l.server.user = NULL;
    }
    assert_int_equal(l.server.got, BYTES);
    assert_in_range(most, 1, LN_LOOP_RECV_BYTES);
    test_link_close(&l);
    ln_loop_free(loop);
}

static void keys_may_be_locked_and_boxed(void **state)
{
    (void)state;
    const char *const chain = test_cert_write_chain(&world.a, "chain.pem");
    const ln_tls_identity identities[] = {
        {.cert_file = chain,
         .key_file = test_cert_write_key(&world.a, "locked.key", "secret"),
         .passphrase = "secret"},
        {.pkcs12_file = test_cert_write_pkcs12(&world.a, "a.p12", "secret"),
         .passphrase = "secret"},
        {.pkcs12_file = test_cert_write_pkcs12(&world.rsa, "rsa.p12", ""), .passphrase = NULL},
    };
    for (size_t i = 0; i < sizeof identities / sizeof *identities; i++) {
        ln_tls_context *server = new_server(&identities[i], 1, NULL);
        expect_success(server, world.client,
                       "a.test"); /* the intermediate certificate came along */
        ln_tls_context_unref(server);
    }
}

int main(void)
{
#define unit(test) cmocka_unit_test_teardown(test, expect_no_errors)
    const struct CMUnitTest tests[] = {
        unit(both_ends_agree_on_http_1_1),
        unit(what_is_sent_before_the_handshake_is_asked_for_after_it),
        unit(bytes_may_come_one_at_a_time),
        unit(small_pieces_of_one_send_share_a_record),
        unit(old_versions_are_refused),
        unit(only_ciphers_with_forward_secrecy_are_agreed_on),
        unit(a_client_that_wants_another_protocol_is_refused),
        unit(bad_certificates_are_refused_with_a_reason),
        unit(a_chain_without_its_middle_is_not_trusted),
        unit(names_are_verified_as_browsers_do),
        unit(a_client_needs_a_name_to_verify),
        unit(the_contexts_own_name_goes_first),
        unit(an_insecure_client_takes_what_it_gets),
        unit(the_systems_store_does_not_know_our_root),
        unit(a_server_with_a_ca_file_turns_strangers_away),
        unit(the_closest_identity_answers),
        unit(tickets_are_good_for_one_host_only),
        unit(a_ticket_of_another_context_means_a_full_handshake),
        unit(a_ticket_is_no_certificate),
        unit(a_context_lives_as_long_as_its_sessions),
        unit(renegotiation_is_refused),
        unit(a_servers_wish_to_renegotiate_is_refused_too),
        unit(some_key_updates_are_fine_and_a_flood_is_not),
        unit(a_flood_of_tickets_ends_a_client),
        unit(a_flood_of_hellos_ends_a_connection),
        unit(a_forged_record_is_read_like_a_real_one),
        unit(a_flood_of_empty_records_ends_a_connection),
        unit(a_flood_of_warnings_ends_a_connection),
        unit(peers_that_do_not_speak_tls_are_told_apart),
        unit(records_of_any_size_are_waited_for_or_the_end),
        unit(records_of_any_size_may_come_later),
        unit(broken_hellos_end_a_connection_once),
        unit(a_connection_may_break_at_any_stage_of_the_handshake),
        unit(a_fin_without_goodbye_is_a_reset),
        unit(what_follows_a_goodbye_is_ignored),
        unit(both_may_say_goodbye_at_once),
        unit(shutting_down_during_the_handshake_ends_it),
        unit(an_altered_byte_ends_a_connection),
        unit(the_openssl_client_talks_to_our_server),
        unit(our_client_talks_to_the_openssl_server),
        unit(an_idle_session_keeps_no_buffer),
        unit(files_that_cannot_be_used_are_named),
        unit(options_that_make_no_sense_are_refused),
        unit(a_context_that_finds_no_memory_is_not_made),
        unit(identities_are_limited_in_number),
        unit(a_chain_of_certificates_has_an_end),
        unit(what_a_deaf_peer_makes_us_keep_is_bounded),
        unit(the_end_of_the_ciphertext_is_told),
        unit(what_pauses_leave_behind_is_bounded),
        unit(keys_may_be_locked_and_boxed),
    };
    return cmocka_run_group_tests(tests, make_world, end_world);
}
