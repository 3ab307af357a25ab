/* SPDX-License-Identifier: MIT */
/*
 * tlsbio - how a session's records come and go: a BIO without a buffer of its own.
 *
 * Its reading side points into the bytes that just arrived (or were held back by a pause), its
 * writing side appends to the session's chain of ciphertext. It also counts what a peer sends
 * besides data.
 */
#include <string.h>

#include "tlsinner.h"

enum {
    TRANSPORT_TYPE = BIO_TYPE_SOURCE_SINK | 0x7E
}; /* any number that OpenSSL itself does not use */

const ln_bucket_rate ln_tls_bio_rare_rate = {.per_second = LN_TLS_RARE_PER_SECOND,
                                             .burst = LN_TLS_RARE_BURST};

/* Moves bytes of the peer's to OpenSSL, first those that a pause left behind. How many; 0 = there
 * are none. */
static size_t take_in(ln_tls *t, uint8_t *buffer, size_t size)
{
    ln_span from = {t->in, t->in_size};
    const bool is_held = ln_chain_peek(&t->held, &from, 1) == 1;
    const size_t n = ln_min_size(size, from.size);
    if (n == 0)
        return 0;
    memcpy(buffer, from.data, n);
    if (is_held) {
        ln_chain_drop(&t->held, &t->loop->pool, n);
    } else {
        t->in += n;
        t->in_size -= n;
    }
    return n;
}

static int transport_read(BIO *bio, char *buffer, int size)
{
    ln_tls *const t = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    if (t->is_flooded)
        return -1;
    const size_t n = take_in(t, (uint8_t *)buffer, (size_t)size);
    if (n > 0)
        return (int)n;
    BIO_set_retry_read(bio);
    return -1;
}

static int transport_write(BIO *bio, const char *buffer, int size)
{
    ln_tls *const t = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    if (t->is_shut)
        /* a handshake that we gave up goes on arriving; there is no way to its peer any more */
        return size;
    t->is_starved = ln_chain_append(&t->out, &t->loop->pool, buffer, (size_t)size) < 0;
    return t->is_starved ? -1 : size;
}

static long transport_ctrl(BIO *bio, int command, long number, void *pointer)
{
    (void)bio, (void)number, (void)pointer;
    return command == BIO_CTRL_FLUSH;
}

static int transport_create(BIO *bio)
{
    BIO_set_init(bio, 1);
    return 1;
}

BIO_METHOD *ln_tls_bio_new(void)
{
    BIO_METHOD *const m = BIO_meth_new(TRANSPORT_TYPE, "linnet");
    if (!m)
        return NULL;
    BIO_meth_set_read(m, transport_read);
    BIO_meth_set_write(m, transport_write);
    BIO_meth_set_ctrl(m, transport_ctrl);
    BIO_meth_set_create(m, transport_create);
    return m;
}

void ln_tls_bio_on_record(int is_ours, int version, int type, const void *bytes, size_t n, SSL *ssl,
                          void *arg)
{
    (void)version, (void)n, (void)ssl;
    ln_tls *const t = arg;
    /* TLS 1.3 hides the type inside of the record and calls all of them data outside (RFC 8446
     * 5.2). */
    if (is_ours || !t->is_open || (type != SSL3_RT_HEADER && type != SSL3_RT_INNER_CONTENT_TYPE))
        return;
    if (*(const uint8_t *)bytes != SSL3_RT_APPLICATION_DATA && !t->is_flooded)
        t->is_flooded = !ln_bucket_take(&t->rare, &ln_tls_bio_rare_rate, 1, t->loop->now_ms);
}
