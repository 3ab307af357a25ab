/* SPDX-License-Identifier: MIT */
/*
 * linnet/client.h - a WebSocket client with the handlers of a server's connection, and with
 * reconnecting.
 *
 * A client is a wish to be connected. Each attempt that succeeds gives a new ln_conn with its own
 * on_open and on_close; between them the client waits: exponential back-off with full jitter, a
 * random time between 0 and min(max, base * 2^n). All calls on the thread of its loop.
 */
#ifndef LINNET_CLIENT_H
#define LINNET_CLIENT_H

#include <linnet/conn.h>
#include <linnet/tls.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct ln_client ln_client;

typedef struct ln_client_header {
    const char *name;
    const char *value;
} ln_client_header;

typedef struct ln_client_options {
    const ln_client_header *headers; /* sent with the handshake; Host, Upgrade, ... are refused */
    size_t header_count;
    const char *origin; /* NULL = no Origin header */
    /* "127.0.0.2", "fd00::1": an address of ours to connect from; NULL = the system's choice */
    const char *local_address;
    const ln_tls_options *tls; /* for wss; NULL = verify against the system's store */
    /*
     * For many clients: this one's certificates, as they were read, are used instead of those in
     * `tls`, whose server_name still counts. To read the system's takes some 20 ms and 1 MiB each
     * time. It may be freed before them; NULL = none. LN_ERR_INVALID if it is not for wss.
     */
    const ln_client *tls_of;
    ln_ws_options ws; /* subprotocols in it are what is offered */
    bool reconnect;
    uint32_t reconnect_base_ms; /* 0 = default */
    uint32_t reconnect_max_ms;
    uint32_t reconnect_attempts; /* in a row, before it gives up; 0 = no end */
    /*
     * An attempt failed: LN_ERR_RESOLVE, LN_ERR_CONNECT, LN_ERR_ADDRESS (local_address is not ours,
     * of another family, or out of ports), LN_ERR_TLS, LN_ERR_TIMEOUT, LN_ERR_HANDSHAKE,
     * LN_ERR_REFUSED (`status` is the HTTP status, else 0), a sentence about it (with what the
     * server says in a body of up to 256 bytes, if that is a line of text), and when the next will
     * be made (-1 = never).
     */
    void (*on_failure)(ln_client *client, int err, unsigned status, const char *what,
                       int64_t retry_ms, void *user);
    void *user; /* for on_failure */
} ln_client_options;

/*
 * Starts connecting to "ws://host[:port]/path?query" or "wss://...", on `loop`, which must outlive
 * the client. Everything is copied. LN_ERR_INVALID (URL, header, subprotocol, local_address),
 * LN_ERR_TLS, LN_ERR_NOMEM.
 */
LN_API int ln_client_new(ln_loop *loop, const char *url, const ln_ws_handlers *handlers,
                         const ln_client_options *options, ln_client **client);

/* The open connection, or NULL; borrowed until its on_close. */
LN_API ln_conn *ln_client_conn(const ln_client *client);

/* Closes for good with 1000: no reconnecting. on_close still comes if a connection was open. */
LN_API void ln_client_stop(ln_client *client);

/* Stops if need be and frees; on_close has come, or comes from inside this call. Accepts NULL. */
LN_API void ln_client_free(ln_client *client);

#ifdef __cplusplus
}
#endif
#endif
