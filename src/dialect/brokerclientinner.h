/* SPDX-License-Identifier: MIT */
/*
 * brokerclientinner - a broker's client (linnet/brokerclient.h) as its files share it.
 *
 *   brokerclient.c         life, states, attempts and their spacing
 *   brokerclienttake.c     messages of the server
 *   brokerclientplan.c     the options
 *   brokerclientline.c     the line: attempts over ln_client
 *   brokerclientthread.c   a thread of its own, and waiting for one
 *   brokerclientqueue.c    items: what waits for the loop, and what waits to be sent
 *   brokerclienttext.c     envelopes from items
 *   brokerclientrequest.c  requests of ours
 *   brokerclienttopics.c   subscriptions
 *   brokerclientserve.c    requests of the server, and their answers
 *
 * Everything but the line does no I/O and, but for the timestamps of the older generation, reads no clock: it is told what comes by the line, is
 * given the time and the wheel, and runs as well with thousands of others on a virtual clock.
 */
#ifndef LN_BROKERCLIENTINNER_H
#define LN_BROKERCLIENTINNER_H

#include <linnet/brokerclient.h>
#include <stdatomic.h>

#include "base/buf.h"
#include "base/list.h"
#include "base/map.h"
#include "base/slots.h"
#include "envelope.h"
#include "net/mail.h"
#include "net/thread.h"
#include "net/timer.h"

enum {
    LN_BROKER_CLIENT_ID_MAX_BYTES = 256,
    LN_BROKER_CLIENT_TOPIC_MAX_BYTES = 1024,
    LN_BROKER_CLIENT_SUBSCRIPTIONS_MAX = 1024,
    LN_BROKER_CLIENT_SERVICES_MAX = 1024,
    LN_BROKER_CLIENT_CALLS_MAX = 1024 /* requests of the server without an answer */
};

enum { LN_BROKER_CLIENT_NONCE_SIZE = 16 };

/* How a client reaches its server. What comes is told by ln_broker_client_up() and so on. */
typedef struct ln_broker_client_line {
    /* Begins an attempt, which ends in up() or down(), later. An error: it did not begin. */
    int (*open)(ln_broker_client *k);
    /* As ln_conn_send(). */
    int (*send)(ln_broker_client *k, ln_span text);
    /* Ends it after what was sent; false if it was not up, and down() does not come. */
    bool (*close)(ln_broker_client *k, uint16_t code, ln_span reason);
    /* Forgets it: nothing comes any more. */
    void (*drop)(ln_broker_client *k);
    void (*random)(ln_broker_client *k, void *bytes, size_t n);
} ln_broker_client_line;

/* The options, settled; texts are owned. */
typedef struct ln_broker_client_plan {
    ln_envelope_style style;
    char *url;
    char *name;
    char *type;
    char *page;
    char *origin;
    char *subprotocols;
    char *server_name;
    ln_client_header *headers; /* and room for one more */
    size_t header_count;
    const ln_tls_options *tls; /* borrowed, for the first attempt */
    ln_ws_options ws;
    const char *(*token)(ln_broker_client *client, void *user);
    bool is_one_shot, stops_if_refused;
    uint32_t reconnect_base_ms, reconnect_max_ms, attempts_max;
    uint32_t request_ms, requests_max;
    uint32_t queue_max_messages, queue_max_bytes, queue_ms;
    void (*on_state)(ln_broker_client *client, enum ln_broker_client_state state, int64_t wait_ms,
                     void *user);
    void (*on_error)(ln_broker_client *client, int err, const char *what, void *user);
    void *user;
} ln_broker_client_plan;

/* Written by several threads. */
typedef struct ln_broker_client_counts {
    _Atomic uint64_t connects, opened, requests_sent, replies, timeouts, lost, strays, published,
        received, unwanted, served, unserved, malformed, refused, dropped;
} ln_broker_client_counts;

struct ln_broker_client {
    const ln_allocator *alloc;
    ln_loop *loop; /* NULL: everything comes on one thread */
    ln_wheel *wheel;
    const uint64_t *now_ms;
    const ln_broker_client_line *line;
    ln_client *wire; /* the line's: the attempt, or the one before */
    ln_broker_client_plan plan;
    ln_broker_client_counts counts;
    char nonce[LN_BROKER_CLIENT_NONCE_SIZE]; /* begins every id that we give */
    char wanted[LN_BROKER_CLIENT_ID_MAX_BYTES + 1];
    _Atomic uint32_t refs; /* the owner's, a letter's, and a hold on the way */
    _Atomic int state;     /* enum ln_broker_client_state */

    /* the loop's */
    int told;          /* the state that on_state told last */
    uint64_t wait_ms;  /* WAITING */
    ln_timer timer;    /* the end of a wait, or of a registration's patience */
    uint32_t failures; /* in a row */
    bool is_up;        /* the line is */
    bool was_up;       /* ever */
    bool is_hopeless;  /* another attempt would be refused like this one */
    bool is_leaving;   /* nothing new is accepted or handed out */
    bool is_freed;     /* no handler is called any more */
    bool is_full;      /* the line takes nothing until it is drained */
    ln_link outbox, sent;
    ln_link topics;      /* in the order of their first subscription */
    ln_link filters;     /* those that are some */
    ln_map by_name;      /* those that are no filters */
    ln_map services;     /* by topic */
    uint32_t untold;     /* topics of which the server has to hear */
    uint32_t delivering; /* how deep */
    bool is_untidy;      /* something among the topics is to be freed */
    ln_buf scratch;      /* a message of our own */
    ln_buf words;        /* strings, decoded */
    uint64_t topic_serial, message_serial;

    ln_lock lock;
    ln_letter letter;
    bool is_letter_posted;
    bool wants_stop, wants_end;
    bool is_closed; /* calls are refused */
    uint32_t conn;  /* the number of the connection; another one after each loss */
    ln_link spares, inbox, due;
    ln_slots names;
    uint32_t request_count, call_count, inbox_count, subscription_count, queue_count;
    size_t queue_bytes;
    uint64_t subscription_serial;
    ln_link waiters; /* in ln_broker_client_wait_open() */
    char id[LN_BROKER_CLIENT_ID_MAX_BYTES + 1];

    ln_thread thread; /* its own, if it has one */
    bool has_thread;
};

LN_INLINE void ln_broker_client_count(_Atomic uint64_t *counter)
{
    atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
}

/* ---- brokerclient.c ---- */

/*
 * A client whose line begins an attempt before this returns. `alloc`, `line`, `wheel`, `now_ms` and
 * `loop` are set; all else is zero. LN_ERR_INVALID, LN_ERR_TLS, LN_ERR_NOMEM; fini is due in any
 * case.
 */
LN_NODISCARD int ln_broker_client_init(ln_broker_client *k, const char *url,
                                       const ln_broker_client_options *options);
/* Ends everything without a goodbye: requests end with LN_ERR_CLOSED. */
void ln_broker_client_fini(ln_broker_client *k);

/* Memory goes with the last of them. */
void ln_broker_client_hold(ln_broker_client *k);
void ln_broker_client_release(ln_broker_client *k);

/* Is this the thread of the loop, in a turn? */
bool ln_broker_client_is_here(const ln_broker_client *k);

/* The line is up; it is down, and why (0 = we closed it); it brought a message; it takes more. */
void ln_broker_client_up(ln_broker_client *k);
void ln_broker_client_down(ln_broker_client *k, int err, const char *what);
/* The same by an HTTP status instead of a line. */
void ln_broker_client_turned_away(ln_broker_client *k, int err, unsigned status, const char *what);
void ln_broker_client_take(ln_broker_client *k, ln_span text);
void ln_broker_client_drained(ln_broker_client *k);

/* The server has registered us, and calls us so (empty: as before); or will not have us, or says
 * nothing: to the next attempt by way of down(). */
void ln_broker_client_opened(ln_broker_client *k, ln_span name);
void ln_broker_client_refused(ln_broker_client *k, int err, const char *what);

/* Tells on_error. */
void ln_broker_client_complain(ln_broker_client *k, int err, const char *what);

/* The loop: stops, unless that has begun. */
void ln_broker_client_leave(ln_broker_client *k);

/* Init on a loop, with a line of ln_client. */
LN_NODISCARD int ln_broker_client_begin(ln_broker_client *k, ln_loop *loop, const char *url,
                                        const ln_broker_client_options *o);

/* ---- brokerclienttake.c ---- */

/* The string `json`, decoded, borrowed until the next call; NULL data when out of memory. */
ln_span ln_broker_client_word(ln_broker_client *k, ln_span json);

/* ---- brokerclientplan.c ---- */

/* LN_ERR_INVALID, LN_ERR_NOMEM; free is due in any case. */
LN_NODISCARD int ln_broker_client_make_plan(ln_broker_client *k, const char *url,
                                            const ln_broker_client_options *o);
void ln_broker_client_free_plan(ln_broker_client *k);

/* ---- brokerclientline.c ---- */

extern const ln_broker_client_line ln_broker_client_wire_line;

/* ---- brokerclientthread.c ---- */

/* A client with a thread. As ln_broker_client_new(). */
LN_NODISCARD int ln_broker_client_new_threaded(const char *url,
                                               const ln_broker_client_options *options,
                                               ln_broker_client **client);
/* Has it say goodbye, and waits for the thread's end. */
void ln_broker_client_join(ln_broker_client *k);
/* Those who wait for OPEN go on. */
void ln_broker_client_wake(ln_broker_client *k, int rc);

#endif
