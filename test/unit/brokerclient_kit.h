/* SPDX-License-Identifier: MIT */
/*
 * brokerclient_kit - a broker's client without a network: its line is the test, time stands still
 * until the test moves it, and chance is one digit, so that what it says is known to the byte.
 *
 *     kit *const t = kit_new(&(ln_broker_client_options){...});
 *     kit_open(t);                     the line is up, the client registered
 *     kit_expect(t, KIT_PUBLISHED);    the next text that it sent
 *     kit_say(t, "{...}");             a text of the server
 *     kit_free(t);
 */
#ifndef BROKERCLIENT_KIT_H
#define BROKERCLIENT_KIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dialect/brokerclientitem.h"
#include "failing_alloc.h"

enum { KIT_TEXTS_MAX = 4096, KIT_TRACE_MAX = 256 };

#define KIT_NONCE "7777777777777777"
#define KIT_NAME  KIT_NONCE KIT_NONCE
#define KIT_REGISTER                                                                               \
    "{\"id\":\"" KIT_NONCE                                                                         \
    "0100000000000000\",\"type\":\"request\",\"topic\":\"system:register\","                       \
    "\"payload\":{\"clientId\":\"" KIT_NAME "\",\"clientType\":\"generic\"}}\n"
#define KIT_REGISTERED                                                                             \
    "{\"id\":\"" KIT_NONCE "0100000000000000\",\"type\":\"response\","                             \
    "\"topic\":\"system:register\",\"payload\":{\"serverAssignedId\":\"given\"}}\n"
/* The first subscription, and the first request; `n` is one digit. */
#define KIT_TOPIC_ID(n)   KIT_NONCE "020000000000000" n
#define KIT_REQUEST_ID(n) KIT_NONCE "000000000100000" n

typedef struct kit {
    ln_broker_client_line line;
    ln_broker_client *k;
    failing_alloc fa;
    ln_wheel wheel;
    uint64_t now_ms;
    uint8_t chance; /* every random byte */
    bool is_up;
    int send_rc; /* what the line says to what it is given; < 0: it is not taken */
    int open_rc;
    int opens;
    uint16_t closed_with;
    char *texts[KIT_TEXTS_MAX]; /* that it sent */
    size_t text_first, text_count;
    char trace[KIT_TRACE_MAX]; /* what its handlers saw, by their first letters */
    int err;
    char what[256];
    int64_t wait_ms;
} kit;

static inline kit *kit_of(const ln_broker_client *k)
{
    return LN_CONTAINER_OF(k->line, kit, line);
}

static inline void kit_note(kit *t, const char *what)
{
    const size_t n = strlen(t->trace);
    snprintf(t->trace + n, sizeof t->trace - n, "%s", what);
}

/* The trace so far is exactly this; forgets it. */
static inline void kit_saw(kit *t, const char *trace)
{
    assert_string_equal(t->trace, trace);
    t->trace[0] = '\0';
}

static inline int kit_line_open(ln_broker_client *k)
{
    kit *const t = kit_of(k);
    if (t->open_rc == 0)
        t->opens++;
    return t->open_rc;
}

static inline int kit_line_send(ln_broker_client *k, ln_span text)
{
    kit *const t = kit_of(k);
    if (t->send_rc < 0)
        return t->send_rc;
    assert_true(t->is_up && t->text_count < KIT_TEXTS_MAX);
    char *const copy = calloc(1, text.size + 1);
    assert_non_null(copy);
    memcpy(copy, text.data, text.size);
    t->texts[t->text_count++] = copy;
    return t->send_rc;
}

static inline bool kit_line_close(ln_broker_client *k, uint16_t code, ln_span reason)
{
    kit *const t = kit_of(k);
    (void)reason;
    t->closed_with = code;
    return t->is_up;
}

static inline void kit_line_drop(ln_broker_client *k)
{
    kit_of(k)->is_up = false;
}

static inline void kit_line_random(ln_broker_client *k, void *bytes, size_t n)
{
    memset(bytes, kit_of(k)->chance, n);
}

static inline void kit_on_state(ln_broker_client *k, enum ln_broker_client_state state,
                                int64_t wait_ms, void *user)
{
    static const char *const letters[] = {"", "C", "O", "W", "S"};
    kit *const t = user;
    assert_int_equal(ln_broker_client_state_get(k), state);
    t->wait_ms = wait_ms;
    kit_note(t, letters[state]);
}

static inline void kit_on_error(ln_broker_client *k, int err, const char *what, void *user)
{
    kit *const t = user;
    (void)k;
    t->err = err;
    snprintf(t->what, sizeof t->what, "%s", what);
    kit_note(t, "!");
}

/* A client, if there is memory for it: *rc. */
static inline kit *kit_try(const ln_broker_client_options *options, const ln_allocator *alloc,
                           int *rc)
{
    ln_broker_client_options o = *options;
    kit *const t = calloc(1, sizeof *t);

    failing_alloc_init(&t->fa, FAILING_NEVER);
    t->line = (ln_broker_client_line){.open = kit_line_open,
                                      .send = kit_line_send,
                                      .close = kit_line_close,
                                      .drop = kit_line_drop,
                                      .random = kit_line_random};
    t->now_ms = 1000;
    t->chance = 0x77;
    ln_wheel_init(&t->wheel, t->now_ms);
    if (o.on_state == NULL)
        o.on_state = kit_on_state;
    if (o.on_error == NULL)
        o.on_error = kit_on_error;
    o.user = t;
    if (alloc == NULL)
        alloc = &t->fa.hook;
    t->k = ln_alloc_zero(alloc, sizeof *t->k);
    if (t->k == NULL) {
        *rc = LN_ERR_NOMEM;
        return t;
    }
    t->k->alloc = alloc;
    t->k->line = &t->line;
    t->k->wheel = &t->wheel;
    t->k->now_ms = &t->now_ms;
    *rc = ln_broker_client_init(t->k, "ws://x/", &o);
    if (*rc < 0) {
        ln_broker_client_fini(t->k);
        t->k = NULL;
    }
    return t;
}

static inline kit *kit_new(const ln_broker_client_options *options)
{
    int rc;
    kit *const t = kit_try(options, NULL, &rc);
    assert_int_equal(rc, 0);
    return t;
}

static inline void kit_free(kit *t)
{
    if (t->k != NULL)
        ln_broker_client_free(t->k);
    failing_alloc_assert_empty(&t->fa);
    for (size_t i = 0; i < t->text_count; i++)
        free(t->texts[i]);
    free(t);
}

static inline void kit_wait(kit *t, uint64_t ms)
{
    t->now_ms += ms;
    (void)ln_wheel_advance(&t->wheel, t->now_ms);
}

static inline void kit_say(kit *t, const char *text)
{
    ln_broker_client_take(t->k, (ln_span){text, strlen(text)});
}

static inline void kit_up(kit *t)
{
    t->is_up = true;
    ln_broker_client_up(t->k);
}

static inline void kit_down(kit *t, int err)
{
    t->is_up = false;
    ln_broker_client_down(t->k, err, "gone");
}

/* The next text that it sent; NULL if there is none. */
static inline const char *kit_next(kit *t)
{
    return t->text_first == t->text_count ? NULL : t->texts[t->text_first++];
}

static inline void kit_expect(kit *t, const char *text)
{
    const char *const next = kit_next(t);
    assert_non_null(next);
    assert_string_equal(next, text);
}

static inline void kit_expect_silence(kit *t)
{
    const char *const next = kit_next(t);
    if (next != NULL)
        fail_msg("it sent %s", next);
}

/* Up, and registered as "given". */
static inline void kit_open(kit *t)
{
    kit_up(t);
    assert_string_equal(kit_next(t), KIT_REGISTER);
    kit_say(t, KIT_REGISTERED);
    assert_int_equal(ln_broker_client_state_get(t->k), LN_BROKER_CLIENT_OPEN);
    kit_saw(t, "O");
}

#endif
