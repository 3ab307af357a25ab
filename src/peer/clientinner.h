/* SPDX-License-Identifier: MIT */
/* clientinner - a client as its two files see it: client.c (attempts) and clientshake.c (the
 * opening handshake, and what a server says that refuses it). */
#ifndef LN_CLIENTINNER_H
#define LN_CLIENTINNER_H

#include <linnet/client.h>

#include "net/resolve.h"
#include "opening.h"
#include "proto/body.h"
#include "wsconn.h"

enum {
    LN_CLIENT_IDLE,
    LN_CLIENT_WAITING,
    LN_CLIENT_RESOLVING,
    LN_CLIENT_CONNECTING,
    LN_CLIENT_SHAKING,
    LN_CLIENT_OPEN
};

enum { LN_CLIENT_WORDS_MAX_BYTES = 256 };

/* A response that is none of a WebSocket, until its body has been heard. */
typedef struct ln_client_refusal {
    unsigned status;
    const char *reason; /* static */
    ln_body body;
    size_t size; /* of words */
    char words[LN_CLIENT_WORDS_MAX_BYTES];
} ln_client_refusal;

struct ln_client {
    ln_home home;
    ln_site site;
    ln_plan plan;
    ln_opening opening;
    ln_address local;  /* to connect from; length 0 = the system's choice */
    char *server_name; /* wss */
    ln_tls_context *tls;
    bool reconnect;
    bool is_stopped;
    uint8_t state;
    uint32_t reconnect_base_ms;
    uint32_t reconnect_max_ms;
    uint32_t attempts_max;
    uint32_t failures; /* in a row */
    void (*on_failure)(ln_client *client, int err, unsigned status, const char *what,
                       int64_t retry_ms, void *user);
    void *failure_user;

    ln_timer timer; /* the back-off, or the deadline of an attempt */
    ln_resolve *resolve;
    ln_connect *connect;
    ln_address addresses[LN_RESOLVE_ADDRESSES_MAX];
    unsigned address_count;
    unsigned address_next;
    int connect_error;

    ln_conn *conn;   /* SHAKING, OPEN */
    ln_conn *ending; /* the one before it, if it still waits for the peer's FIN */
    ln_head_parser parser;
    ln_client_refusal *refusal; /* SHAKING; NULL = none, or none with words */
};

/* The attempt failed: tells the application and plans the next. */
void ln_client_fail(ln_client *k, int err, unsigned status, const char *what);

/* The attempt failed by k->refusal: as ln_client_fail(), with what the server has said. */
void ln_client_refuse(ln_client *k);

/* The handshake succeeded; the connection's on_open is next. */
void ln_client_opened(ln_client *k);

/* ln_conn_more.on_free: a connection's memory goes. */
void ln_client_forget(ln_conn *c, void *client);

/* Takes over a connected descriptor and begins the opening handshake on it. */
LN_NODISCARD int ln_client_shake(ln_client *k, int fd);

/* Could the request be written? LN_ERR_INVALID for a header that must not be set or could break out
 * of its line. */
LN_NODISCARD int ln_client_check_request(ln_client *k);

#endif
