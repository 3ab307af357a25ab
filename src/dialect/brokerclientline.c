/* SPDX-License-Identifier: MIT */
/*
 * brokerclientline.c - the line of a broker's client: an ln_client for each attempt, so that each
 * has its own token. The one before it is kept until then, for the certificates it has read.
 */
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "brokerclientinner.h"
#include "net/loop.h"
#include "proto/jsonwrite.h"

enum { REASON_SIZE = 384 }; /* LN_CLIENT_WORDS_MAX_BYTES, and what stands around them */

/* ---- what comes ---- */

static void on_open(ln_conn *c, const ln_request *request, void *user)
{
    (void)c;
    (void)request;
    ln_broker_client_up(user);
}

static void on_message(ln_conn *c, const ln_message *m, void *user)
{
    (void)c;
    ln_broker_client_take(user, m->data); /* text or binary: servers of old do not care */
}

static void on_drain(ln_conn *c, void *user)
{
    (void)c;
    ln_broker_client_drained(user);
}

static void on_close(ln_conn *c, const ln_close_info *info, void *user)
{
    char what[REASON_SIZE];

    (void)c;
    if (info->error == 0 && info->by == LN_CLOSED_BY_US) {
        ln_broker_client_down(user, 0, "");
        return;
    }
    const int err = info->error != 0     ? info->error
                    : info->code == 1006 ? LN_ERR_RESET
                                         : LN_ERR_CLOSED;
    snprintf(what, sizeof what, "the connection ended: %u %.*s", info->code, (int)info->reason.size,
             (const char *)info->reason.data);
    ln_broker_client_down(user, err, what);
}

static void on_failure(ln_client *client, int err, unsigned status, const char *what,
                       int64_t retry_ms, void *user)
{
    char sentence[REASON_SIZE];

    (void)client;
    (void)retry_ms;
    if (status == 0)
        snprintf(sentence, sizeof sentence, "connecting failed: %s", what);
    else
        snprintf(sentence, sizeof sentence, "connecting failed: %s (status %u)", what, status);
    ln_broker_client_turned_away(user, err, status, sentence);
}

/* ---- attempts ---- */

static int write_escaped(ln_buf *out, const char *text)
{
    static const char plain[] =
        "-._~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
    char escape[4];
    int rc = 0;

    for (; rc == 0 && *text != '\0'; text++) {
        const bool is_plain = strchr(plain, *text) != NULL;
        snprintf(escape, sizeof escape, "%%%02X", (unsigned char)*text);
        rc = ln_buf_append(out, is_plain ? text : escape, is_plain ? 1 : 3, SIZE_MAX);
    }
    return rc;
}

/* The URL, and in it how we want to be called: the older generation says that later. */
static int write_url(ln_broker_client *k, ln_buf *url)
{
    int rc = ln_json_write_raw(url, k->plan.url);
    if (rc == 0 && k->plan.style == LN_ENVELOPE_FLAT) {
        const bool has_query = strchr(k->plan.url, '?') != NULL;
        rc = ln_json_write_raw(url, has_query ? "&client_id=" : "?client_id=");
        if (rc == 0)
            rc = write_escaped(url, k->wanted);
    }
    return rc == 0 ? ln_buf_append(url, "", 1, SIZE_MAX) : rc;
}

static int write_token(ln_buf *value, const char *token)
{
    int rc = ln_json_write_raw(value, "Bearer ");
    if (rc == 0)
        rc = ln_json_write_raw(value, token);
    return rc == 0 ? ln_buf_append(value, "", 1, SIZE_MAX) : rc;
}

static int dial(ln_broker_client *k, const char *url, size_t header_count, ln_client **wire)
{
    const ln_tls_options named = {.server_name = k->plan.server_name};
    const ln_ws_handlers handlers = {.on_open = on_open,
                                     .on_message = on_message,
                                     .on_drain = on_drain,
                                     .on_close = on_close,
                                     .user = k};
    const ln_client_options options = {.headers = k->plan.headers,
                                       .header_count = header_count,
                                       .origin = k->plan.origin,
                                       .tls = k->wire == NULL ? k->plan.tls : &named,
                                       .tls_of = k->wire,
                                       .ws = k->plan.ws,
                                       .on_failure = on_failure,
                                       .user = k};

    return ln_client_new(k->loop, url, &handlers, &options, wire);
}

static int open_line(ln_broker_client *k)
{
    const char *const token = k->plan.token == NULL ? NULL : k->plan.token(k, k->plan.user);
    ln_buf url, value;
    ln_client *wire = NULL;

    ln_buf_init(&url, k->alloc);
    ln_buf_init(&value, k->alloc);
    int rc = write_url(k, &url);
    if (rc == 0 && token != NULL)
        rc = write_token(&value, token);
    k->plan.headers[k->plan.header_count] = (ln_client_header){"Authorization", (char *)value.data};
    if (rc == 0)
        rc = dial(k, (char *)url.data, k->plan.header_count + (token != NULL), &wire);
    ln_buf_fini(&url);
    ln_buf_fini(&value);
    if (rc < 0)
        return rc;
    ln_client_free(k->wire);
    k->wire = wire;
    return 0;
}

/* ---- in use ---- */

static int send_text(ln_broker_client *k, ln_span text)
{
    ln_conn *const c = k->wire == NULL ? NULL : ln_client_conn(k->wire);

    return c == NULL ? LN_ERR_CLOSED : ln_conn_send(c, LN_TEXT, text);
}

static bool close_line(ln_broker_client *k, uint16_t code, ln_span reason)
{
    if (!k->is_up) { /* an attempt may be under way; or this is called while one ends */
        if (k->wire != NULL)
            ln_client_stop(k->wire);
        return false;
    }
    (void)ln_conn_close(ln_client_conn(k->wire), code, reason); /* closing already is as good */
    return true;
}

static void drop_line(ln_broker_client *k)
{
    ln_client *const wire = k->wire;

    k->wire = NULL;
    ln_client_free(wire);
}

static void draw(ln_broker_client *k, void *bytes, size_t n)
{
    ln_loop_random(k->loop, bytes, n);
}

const ln_broker_client_line ln_broker_client_wire_line = {
    .open = open_line, .send = send_text, .close = close_line, .drop = drop_line, .random = draw};
