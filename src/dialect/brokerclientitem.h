/* SPDX-License-Identifier: MIT */
/*
 * brokerclientitem - one thing that a broker's client says or is to do, from the call to its end:
 * a publication, a request, an answer, a subscription. Where it waits, what it becomes on the wire.
 *
 * Invariants
 *   1. Items and the lists they are in:
 *        spares  nobody's                               lock
 *        inbox   called from another thread, not seen   lock
 *        outbox  to be sent, in order                   loop
 *        sent    requests without an answer             loop
 *        due     requests of the server, likewise       lock
 *      Or none, in the hands of one function. The last column says who may touch a list and the
 *      members of the items in it: who holds the lock, or the thread of the loop.
 *   2. A request is in `names` from ln_broker_client_request() until it ends, which takes it out
 *      under the lock: so it ends once. A request of the server is, until its answer is accepted.
 *   3. Nothing is sent but by the loop, in state OPEN; the registration and the subscriptions before
 *      it, in state CONNECTING.
 *   4. The lock is never held across a handler or a call of the line.
 *   5. Items are reused and freed with the client: there are no more of them than its limits allow
 *      requests, messages in the queue and answers due. A steady flow allocates nothing.
 */
#ifndef LN_BROKERCLIENTITEM_H
#define LN_BROKERCLIENTITEM_H

#include "brokerclientinner.h"

enum { LN_BROKER_CLIENT_WIRE_ID_SIZE = 34 }; /* quotes included */

/* What a serial on the wire counts, in its topmost byte. */
#define LN_BROKER_CLIENT_OF_REQUEST      (UINT64_C(0) << 56)
#define LN_BROKER_CLIENT_OF_REGISTRATION (UINT64_C(1) << 56)
#define LN_BROKER_CLIENT_OF_TOPIC        (UINT64_C(2) << 56)
#define LN_BROKER_CLIENT_OF_MESSAGE      (UINT64_C(3) << 56)

typedef enum ln_broker_client_kind {
    LN_BROKER_CLIENT_PUBLICATION,
    LN_BROKER_CLIENT_REQUEST,
    LN_BROKER_CLIENT_CALL, /* of the server; in a queue: its answer */
    LN_BROKER_CLIENT_SUBSCRIBE,
    LN_BROKER_CLIENT_UNSUBSCRIBE,
    LN_BROKER_CLIENT_SERVE
} ln_broker_client_kind;

typedef struct ln_broker_client_item {
    ln_link link;
    ln_broker_client *client;
    ln_broker_client_kind kind;
    bool is_posted;    /* lock: in the inbox */
    bool is_sent;      /* lock: REQUEST */
    bool is_cancelled; /* lock: REQUEST */
    bool is_claimed;   /* lock: CALL, somebody is about to answer it */
    bool is_queued;    /* lock: in the queue's account */
    uint32_t conn;     /* CALL: the connection that it came by */
    uint32_t timeout_ms;
    uint64_t serial; /* REQUEST, CALL: in `names`; SUBSCRIBE, UNSUBSCRIBE: the subscription */
    ln_timer timer;
    union {
        ln_broker_client_reply_handler *reply;
        ln_broker_client_handler *publication;
        ln_broker_client_service *service;
    } on;
    void *user;
    ln_buf text;       /* from `begin` on what is sent, or a topic's name */
    size_t begin;      /* before it: pieces of JSON that it was made of */
    size_t id_size;    /* CALL: of the first piece, its id, as received */
    size_t topic_size; /* and of the second */
} ln_broker_client_item;

/* ---- brokerclientqueue.c ---- */

/* An item for the caller alone. LN_ERR_NOMEM; REQUEST and CALL get a name: LN_ERR_LIMIT, too. */
LN_NODISCARD int ln_broker_client_take_item(ln_broker_client *k, ln_broker_client_kind kind,
                                            ln_broker_client_item **item);
/* Back: it is in no list, and its timer not set. */
void ln_broker_client_give_item(ln_broker_client *k, ln_broker_client_item *it);

/*
 * Takes over an item: to be sent or carried out, at once on the thread of the loop. An error leaves
 * it with the caller: LN_ERR_CLOSED, LN_ERR_WOULD_EXCEED.
 */
LN_NODISCARD int ln_broker_client_submit(ln_broker_client *k, ln_broker_client_item *it);

/* The same for one that was made with the result `rc`; after any error it is given back. */
LN_NODISCARD int ln_broker_client_submit_made(ln_broker_client *k, ln_broker_client_item *it,
                                              int rc);

/* Wakes the loop, for what was set under the lock, which is held. */
void ln_broker_client_kick(ln_broker_client *k);
/* The loop: the items of other threads. */
void ln_broker_client_look(ln_broker_client *k);
/* The loop: sends what waits as far as the line takes it. */
void ln_broker_client_flush(ln_broker_client *k);
/* The loop: drops answers that nobody waits for, or all that waits. */
void ln_broker_client_purge_answers(ln_broker_client *k);
void ln_broker_client_purge_all(ln_broker_client *k);
/* The loop: the line did not take what it was given, or is full now (1). */
void ln_broker_client_stall(ln_broker_client *k, int rc);

/* ---- brokerclienttext.c ---- */

/* LN_ERR_INVALID. */
LN_NODISCARD int ln_broker_client_check_topic(ln_span topic);
LN_NODISCARD int ln_broker_client_check_payload(ln_span payload);

/* `serial` as an id of ours, quotes included; what it was, or false if it is none of ours. */
void ln_broker_client_write_id(const ln_broker_client *k, uint64_t serial,
                               char id[LN_BROKER_CLIENT_WIRE_ID_SIZE]);
bool ln_broker_client_read_id(const ln_broker_client *k, ln_span id, uint64_t *serial);

/* Appends `e`, in the client's style, to `text`, of which its spans may be parts. LN_ERR_NOMEM. */
LN_NODISCARD int ln_broker_client_compose(const ln_broker_client *k, ln_buf *text, ln_envelope *e);

/* What an item sends. `topic`, `payload`: as checked. LN_ERR_INVALID (no UTF-8), LN_ERR_NOMEM. */
LN_NODISCARD int ln_broker_client_write_publication(ln_broker_client_item *it, ln_span topic,
                                                    ln_span payload);
LN_NODISCARD int ln_broker_client_write_request(ln_broker_client_item *it,
                                                const ln_broker_client_order *order);
LN_NODISCARD int ln_broker_client_write_answer(ln_broker_client_item *it, ln_span payload);
LN_NODISCARD int ln_broker_client_write_failure(ln_broker_client_item *it, int code,
                                                ln_span message);

/* Sends a message of our own. As ln_conn_send(). */
LN_NODISCARD int ln_broker_client_send_registration(ln_broker_client *k);
LN_NODISCARD int ln_broker_client_send_topic(ln_broker_client *k, ln_envelope_type type,
                                             uint64_t serial, ln_span topic);
LN_NODISCARD int ln_broker_client_send_failure(ln_broker_client *k, const ln_envelope *request,
                                               int code, ln_span message);
/* What a registration's answer says we are called; empty: nothing. */
ln_span ln_broker_client_read_name(ln_broker_client *k, ln_span payload);

/* ---- brokerclientrequest.c ---- */

/* The loop: an answer to a request of ours, or to none. */
void ln_broker_client_take_answer(ln_broker_client *k, uint64_t serial, const ln_envelope *e);
/* It ends with an error, in whatever list it is. */
void ln_broker_client_end_request(ln_broker_client_item *it, int error);
/* Those that were sent. */
void ln_broker_client_end_sent(ln_broker_client *k, int error);

/* ---- brokerclienttopics.c ---- */

/* The loop: carries out an item, and gives it back. An error leaves it: LN_ERR_NOT_FOUND,
 * LN_ERR_NOMEM. */
int ln_broker_client_carry_out_topic(ln_broker_client_item *it);
/* The server knows of none of them. */
void ln_broker_client_untell_topics(ln_broker_client *k);
/* Tells it what it has to know; false: the line is full. */
bool ln_broker_client_tell_topics(ln_broker_client *k);
void ln_broker_client_deliver(ln_broker_client *k, const ln_envelope *e);
/* The name of a topic by its number on the wire; empty if it is gone. */
ln_span ln_broker_client_topic_name(const ln_broker_client *k, uint64_t serial);
void ln_broker_client_free_topics(ln_broker_client *k);

/* ---- brokerclientserve.c ---- */

int ln_broker_client_carry_out_service(ln_broker_client_item *it);
void ln_broker_client_take_call(ln_broker_client *k, const ln_envelope *e);
/* The connection is gone: so are the requests that came by it. */
void ln_broker_client_forget_calls(ln_broker_client *k);
void ln_broker_client_free_services(ln_broker_client *k);

#endif
