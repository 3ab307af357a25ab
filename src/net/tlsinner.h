/* SPDX-License-Identifier: MIT */
/* tlsinner - what tls.c, tlsbio.c, tlscontext.c and tlserror.c share; the only header with OpenSSL
 * in it. */
#ifndef LN_TLSINNER_H
#define LN_TLSINNER_H

#include <openssl/bio.h>
#include <openssl/ssl.h>

#include "base/bucket.h"
#include "tls.h"

typedef struct ln_tls_entry {
    SSL_CTX *ctx;
    char *name; /* lower case, owned; NULL = those in the certificate */
} ln_tls_entry;

struct ln_tls_context {
    const ln_allocator *alloc;
    _Atomic uint32_t refs;
    bool is_server;
    bool is_insecure;
    char *server_name;     /* client: owned; NULL = what each connection says */
    BIO_METHOD *transport; /* tls.c's: how records come and go */
    size_t count;          /* of entries that have a ctx */
    ln_tls_entry entries[];
};

/* A session: see tls.c. */
struct ln_tls {
    ln_stream *stream;
    ln_loop *loop;
    ln_tls_context *context;
    SSL *ssl;
    const uint8_t *in; /* borrowed from the socket */
    size_t in_size;
    ln_chain held;
    ln_chain out;
    ln_bucket rare;    /* records that are no data */
    const char *error; /* static */
    int end;           /* on_end's argument, if has_end */
    int fin;           /* the socket's, if has_fin */
    bool is_open;
    bool is_failed;   /* OpenSSL refuses this session from now on */
    bool is_starved;  /* the transport ran out of memory */
    bool is_flooded;  /* the peer used up `rare` */
    bool is_paused;   /* by the floor above */
    bool is_blocked;  /* the floor above has more to send: it is owed an on_sent */
    bool wants_flush; /* ... or corked */
    bool wants_fin;   /* behind what is in `out` */
    bool is_shut;     /* FIN was sent */
    bool has_fin;
    bool has_end;
    bool is_told; /* on_end was called with `end` */
};

/* A session's SSL in *ssl, owned, without transport. LN_ERR_TLS, LN_ERR_NOMEM, LN_ERR_INVALID
 * (server_name). */
LN_NODISCARD int ln_tls_context_start(ln_tls_context *context, const char *server_name, SSL **ssl);

/* tlsbio.c: the kind of BIO whose data is an ln_tls; NULL when out of memory. BIO_meth_free() after
 * the last session. */
BIO_METHOD *ln_tls_bio_new(void);
/* For SSL_CTX_set_msg_callback(): counts the records that are no data. */
void ln_tls_bio_on_record(int is_ours, int version, int type, const void *bytes, size_t n, SSL *ssl,
                          void *arg);

extern const ln_bucket_rate ln_tls_bio_rare_rate;

/* tlserror.c: what went wrong, from the verification result and this thread's queue, which is empty
 * afterwards. */
const char *ln_tls_error_explain(const SSL *ssl);
/* The same for a file that could not be used: "WHAT FILE: reason" in `error`. Returns
 * LN_ERR_TLS. */
int ln_tls_error_of_file(const char *what, const char *file, char error[LN_TLS_ERROR_MAX]);
/* Empties the queue: an error left behind by somebody would be taken for the next call's. */
void ln_tls_error_forget(void);

#endif
