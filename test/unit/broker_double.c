/* SPDX-License-Identifier: MIT */
#include "broker_double.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <linnet/linnet.h>
#include <pthread.h>
#include <unistd.h>

#include "dialect/envelope.h"
#include "server_kit.h"

enum { WAIT_MS = 10000, TOPICS_MAX = 64 };

struct broker_double {
    ln_server *server;
    int port;
    pthread_mutex_t mutex;
    char *notes;
    size_t size, capacity;
};

/* What a connection is subscribed to, and the request that waits for its answer; JSON strings. */
typedef struct friend
{
    char *topics[TOPICS_MAX];
    unsigned count;
    char *poked;
}
friend;

/* ---- notes ---- */

static void note(broker_double *d, const void *text, size_t n)
{
    pthread_mutex_lock(&d->mutex);
    if (d->size + n + 2 > d->capacity) {
        d->capacity = 2 * (d->size + n + 2);
        d->notes = realloc(d->notes, d->capacity);
    }
    memcpy(d->notes + d->size, text, n);
    d->size += n;
    d->notes[d->size++] = '\n';
    d->notes[d->size] = '\0';
    pthread_mutex_unlock(&d->mutex);
}

size_t broker_double_count(broker_double *d, const char *part)
{
    size_t count = 0;
    pthread_mutex_lock(&d->mutex);
    for (const char *at = d->notes; at != NULL && (at = strstr(at, part)) != NULL; at++)
        count++;
    pthread_mutex_unlock(&d->mutex);
    return count;
}

void broker_double_wait(broker_double *d, const char *part, size_t count)
{
    for (int ms = 0; ms < WAIT_MS && broker_double_count(d, part) < count; ms++)
        usleep(1000);
    const size_t got = broker_double_count(d, part);
    if (got < count)
        fail_msg("%s came %zu times instead of %zu", part, got, count);
}

/* ---- messages ---- */

static void say(ln_conn *c, const ln_envelope *e)
{
    ln_buf text;
    ln_buf_init(&text, NULL);
    assert_int_equal(ln_envelope_write(&text, e), 0);
    ln_conn_send(c, LN_TEXT, (ln_span){text.data, text.size});
    ln_buf_fini(&text);
}

static bool is(ln_span string, const char *text)
{
    return string.size == strlen(text) + 2 &&
           memcmp((const char *)string.data + 1, text, string.size - 2) == 0;
}

static char *keep(ln_span s)
{
    char *const copy = calloc(1, s.size + 1);
    if (copy != NULL && s.size > 0)
        memcpy(copy, s.data, s.size);
    return copy;
}

static void take_request(ln_conn *c, const ln_envelope *e)
{
    friend *const f = ln_conn_user(c);
    ln_envelope answer = {.style = e->style,
                          .type = LN_ENVELOPE_RESPONSE,
                          .id = e->id,
                          .topic = e->topic,
                          .payload = e->payload};

    if (is(e->topic, "silent"))
        return;
    if (is(e->topic, "vanish")) {
        ln_conn_abort(c);
        return;
    }
    if (is(e->topic, "bye")) {
        ln_conn_close(c, 4000, LN_SPAN("go away"));
        return;
    }
    if (is(e->topic, "poke")) {
        free(f->poked);
        f->poked = keep(e->id);
        answer.type = LN_ENVELOPE_REQUEST;
        answer.id = LN_SPAN("\"question\"");
        answer.topic = LN_SPAN("\"poked\"");
    }
    if (is(e->topic, "system:register"))
        answer.payload = LN_SPAN("{\"serverAssignedId\":\"guest\"}");
    if (is(e->topic, "fail")) {
        answer.type = LN_ENVELOPE_ERROR;
        answer.payload.size = 0;
        answer.has_error = true;
        answer.error_code = 418;
        answer.error_message = LN_SPAN("\"teapot\"");
    }
    say(c, &answer);
}

static void take_publication(ln_conn *c, const ln_envelope *e)
{
    const friend *const f = ln_conn_user(c);
    ln_envelope copy = *e;

    copy.id = (ln_span){NULL, 0};
    for (unsigned i = 0; i < f->count; i++)
        if (strlen(f->topics[i]) == e->topic.size &&
            memcmp(f->topics[i], e->topic.data, e->topic.size) == 0)
            say(c, &copy);
}

static void take_answer(ln_conn *c, const ln_envelope *e)
{
    const friend *const f = ln_conn_user(c);
    ln_envelope copy = *e;

    if (!is(e->id, "question") || f->poked == NULL)
        return;
    copy.id = (ln_span){f->poked, strlen(f->poked)};
    say(c, &copy);
}

static void on_message(ln_conn *c, const ln_message *m, void *user)
{
    friend *const f = ln_conn_user(c);
    ln_envelope e;

    note(user, m->data.data, m->data.size);
    assert_int_equal(ln_envelope_read(m->data, &e), 0);
    if (e.type == LN_ENVELOPE_REQUEST)
        take_request(c, &e);
    else if (e.type == LN_ENVELOPE_PUBLISH)
        take_publication(c, &e);
    else if (e.type == LN_ENVELOPE_SUBSCRIBE && f->count < TOPICS_MAX)
        f->topics[f->count++] = keep(e.topic);
    else if (e.type == LN_ENVELOPE_RESPONSE || e.type == LN_ENVELOPE_ERROR)
        take_answer(c, &e);
}

static void on_open(ln_conn *c, const ln_request *request, void *user)
{
    char line[512];
    const ln_span query = ln_request_query(request);
    const ln_span token = ln_request_header(request, "Authorization");
    const int n = snprintf(line, sizeof line, "GET ?%.*s %.*s", (int)query.size,
                           (const char *)query.data, (int)token.size, (const char *)token.data);
    note(user, line, (size_t)n);
    ln_conn_set_user(c, calloc(1, sizeof(friend)));
}

static void on_close(ln_conn *c, const ln_close_info *info, void *user)
{
    friend *const f = ln_conn_user(c);
    char line[64];
    const int n = snprintf(line, sizeof line, "CLOSE %u", info->code);
    note(user, line, (size_t)n);
    for (unsigned i = 0; i < f->count; i++)
        free(f->topics[i]);
    free(f->poked);
    free(f);
}

/* ---- life ---- */

broker_double *broker_double_start(int port)
{
    broker_double *const d = calloc(1, sizeof *d);
    const ln_ws_handlers handlers = {
        .on_open = on_open, .on_message = on_message, .on_close = on_close, .user = d};
    char address[32];

    pthread_mutex_init(&d->mutex, NULL);
    d->server = ln_server_new(&(ln_server_options){.log = kit_quiet});
    assert_int_equal(ln_server_ws(d->server, "/wsmq", &handlers, NULL), 0);
    snprintf(address, sizeof address, "127.0.0.1:%d", port);
    assert_int_equal(ln_server_listen(d->server, address), 0);
    d->port = ln_server_port(d->server, 0);
    assert_int_equal(ln_server_start(d->server), 0);
    return d;
}

int broker_double_port(const broker_double *d)
{
    return d->port;
}

const char *broker_double_url(const broker_double *d)
{
    static char url[64];
    snprintf(url, sizeof url, "ws://127.0.0.1:%d/wsmq", d->port);
    return url;
}

void broker_double_stop(broker_double *d)
{
    if (d->server == NULL)
        return;
    kit_end(d->server);
    d->server = NULL;
}

void broker_double_free(broker_double *d)
{
    broker_double_stop(d);
    pthread_mutex_destroy(&d->mutex);
    free(d->notes);
    free(d);
}
