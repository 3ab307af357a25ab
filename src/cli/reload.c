/* SPDX-License-Identifier: MIT */
#include "reload.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <linnet/loop.h>

#include "base/bucket.h"
#include "base/text.h"
#include "payload.h"
#include "reloadbook.h"
#include "screen.h"
#include "scripts.h"

#define TOPIC_CHANGED "system:hot_reload"
#define TOPIC_READY   "system:hotreload_ready"
#define TOPIC_ERROR   "system:client_error"

enum { NAMES_SHOWN_MAX = 3 };

/* A bucket lets burst and rate through in the second after a rest. */
static const ln_bucket_rate lines = {.per_second = LN_RELOAD_LINES_MAX / 2,
                                     .burst = LN_RELOAD_LINES_MAX / 2};

struct ln_reload {
    ln_watchtree *tree;
    ln_broker *broker;
    ln_loop *loop;
    ln_loop_timer *timer;
    ln_buf payload; /* of the next publication; worker 0 */
    pthread_mutex_t lock;
    ln_reloadbook book;
    ln_bucket bucket;
    uint64_t unlogged; /* errors since the last one in the log */
};

static int64_t wall_s(void)
{
    return (int64_t)time(NULL);
}

static uint64_t clock_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* ---- what pages tell ---- */

/* Pages are foreign: no control character of theirs reaches the terminal, and a page that fails in
 * every frame does not fill a disk. Under the lock. */
static void log_error(ln_reload *r, const ln_reloadbook_error *error)
{
    if (!ln_bucket_take(&r->bucket, &lines, 1, clock_ms())) {
        r->unlogged++;
        return;
    }
    flockfile(stderr);
    if (r->unlogged > 0)
        fprintf(stderr, "linnet serve: %" PRIu64 " more errors of pages, not shown\n", r->unlogged);
    r->unlogged = 0;
    fputs("linnet serve: a page failed: ", stderr);
    ln_screen_quote(stderr, ln_text(error->message));
    if (error->file[0] != '\0') {
        fputs(" in ", stderr);
        ln_screen_quote(stderr, ln_text(error->file));
        fprintf(stderr, ":%" PRIu32 ":%" PRIu32, error->line, error->column);
    }
    fputc('\n', stderr);
    funlockfile(stderr);
}

static int note_error(ln_reload *r, ln_conn_id conn, ln_span payload)
{
    ln_reloadbook_error error;

    pthread_mutex_lock(&r->lock);
    int rc = ln_reloadbook_read(&r->book, payload, wall_s(), &error);
    if (rc == 0)
        rc = ln_reloadbook_keep(&r->book, conn, &error, wall_s());
    if (rc == 0)
        log_error(r, &error);
    pthread_mutex_unlock(&r->lock);
    return rc;
}

static int note_page(ln_reload *r, const ln_conn *c, ln_span url, bool is_ready)
{
    ln_broker_info client;

    int rc = ln_broker_info_get(c, &client);
    if (rc < 0)
        return rc;
    const ln_reloadbook_who who = {
        .conn = client.conn, .id = client.id, .url = url.size > 0 ? url : client.url};
    pthread_mutex_lock(&r->lock);
    rc = ln_reloadbook_see(&r->book, &who, is_ready, wall_s());
    pthread_mutex_unlock(&r->lock);
    return rc;
}

static int on_ready(const ln_rpc_call *call, void *user)
{
    char url[LN_RELOADBOOK_NAME_MAX_BYTES + 1];
    ln_span value;
    int n = 0;

    if (ln_json_find(call->params, "url", SIZE_MAX, &value) == 0)
        n = ln_json_text(value, url, sizeof url);
    return note_page(user, call->conn, (ln_span){url, n > 0 ? (size_t)n : 0}, true);
}

static int on_error(const ln_rpc_call *call, void *user)
{
    const int rc = note_page(user, call->conn, LN_SPAN(""), false);
    return rc < 0 ? rc : note_error(user, ln_conn_get_id(call->conn), call->params);
}

static void on_error_published(ln_broker *broker, const ln_broker_publication *publication,
                               void *user)
{
    (void)broker;
    (void)note_error(user, publication->publisher, publication->payload); /* of nobody: no page's */
}

bool ln_reload_on_wish(ln_reload *r, const ln_broker_wish *wish)
{
    if (r == NULL)
        return false;
    if (wish->act == LN_BROKER_SUBSCRIBE)
        return ln_text_equal(wish->topic, LN_SPAN(TOPIC_CHANGED));
    const bool is_ready = ln_text_equal(wish->topic, LN_SPAN(TOPIC_READY));
    if (wish->act != LN_BROKER_PUBLISH ||
        (!is_ready && !ln_text_equal(wish->topic, LN_SPAN(TOPIC_ERROR))))
        return false;
    (void)note_page(r, wish->conn, LN_SPAN(""), is_ready); /* out of memory: not in the book */
    if (is_ready)
        (void)ln_conn_subscribe(wish->conn, LN_SPAN(TOPIC_CHANGED)); /* or it is already */
    return true;
}

void ln_reload_on_disconnect(ln_reload *r, const ln_conn *c)
{
    if (r == NULL)
        return;
    pthread_mutex_lock(&r->lock);
    ln_reloadbook_forget(&r->book, ln_conn_get_id(c));
    pthread_mutex_unlock(&r->lock);
}

/* ---- what is asked over HTTP ---- */

static void on_status(ln_request *request, void *user)
{
    ln_reload *const r = user;
    ln_buf out;

    ln_buf_init(&out, NULL);
    pthread_mutex_lock(&r->lock);
    const int rc = ln_reloadbook_write(&r->book, &out);
    pthread_mutex_unlock(&r->lock);
    (void)ln_request_add_header(request, "Cache-Control", LN_SPAN("no-store"));
    if (rc == 0)
        (void)ln_request_reply(request, 200, "application/json", (ln_span){out.data, out.size});
    ln_buf_fini(&out); /* unanswered, it becomes a 500 */
}

static void reply_script(ln_request *request, ln_span text)
{
    (void)ln_request_add_header(request, "Cache-Control", LN_SPAN("no-cache"));
    (void)ln_request_reply(request, 200, "text/javascript; charset=utf-8", text);
}

static void on_script(ln_request *request, void *user)
{
    const ln_script *const script = user;
    reply_script(request, script->text);
}

static void on_begin_script(ln_request *request, void *user)
{
    (void)user;
    reply_script(request, LN_SPAN("import { HotReload } from './reload.js';\n"
                                  "new HotReload();\n"));
}

static int mount_routes(ln_reload *r, ln_server *server)
{
    int rc = ln_server_http(server, "/api/hotreload/status", on_status, r);
    if (rc == 0)
        rc = ln_server_http(server, "/hotreload.js", on_begin_script, NULL);
    for (const ln_script *script = ln_scripts; rc == 0 && script->path != NULL; script++)
        rc = ln_server_http(server, script->path, on_script, (void *)script);
    return rc;
}

int ln_reload_mount(ln_reload *r, ln_server *server, ln_broker *broker)
{
    r->broker = broker;
    int rc = ln_broker_handle(broker, TOPIC_READY, on_ready, r);
    if (rc == 0)
        rc = ln_broker_handle(broker, TOPIC_ERROR, on_error, r);
    if (rc == 0)
        rc = ln_broker_subscribe(broker, TOPIC_ERROR, on_error_published, r);
    return rc == 0 ? mount_routes(r, server) : rc;
}

/* ---- what changes ---- */

static void say(const ln_watchtree_change *change, size_t ready)
{
    flockfile(stderr);
    fputs("linnet serve: ", stderr);
    if (change->trouble != NULL)
        fprintf(stderr, "--watch: %s; ", change->trouble);
    for (size_t i = 0; i < change->count && i < NAMES_SHOWN_MAX; i++) {
        fputs(i > 0 ? ", " : "", stderr);
        ln_screen_quote(stderr, ln_text(change->names[i]));
    }
    if (change->count == 0)
        fputs("something", stderr);
    else if (change->count > NAMES_SHOWN_MAX || change->unnamed > 0)
        fputs(" and more", stderr);
    fprintf(stderr, " changed; %zu page%s told\n", ready, ready == 1 ? " is" : "s are");
    funlockfile(stderr);
}

static int append(ln_buf *out, const char *text)
{
    return ln_buf_append(out, text, strlen(text), SIZE_MAX);
}

static int write_names(const ln_watchtree_change *change, ln_buf *out)
{
    int rc = append(out, ",\"files\":[");
    for (size_t i = 0; rc == 0 && i < change->count; i++) {
        if (i > 0)
            rc = append(out, ",");
        if (rc == 0)
            rc = ln_payload_write(out, ln_text(change->names[i]), LN_PAYLOAD_TEXT);
    }
    return rc == 0 ? append(out, "]") : rc;
}

/* A list that is not complete would have pages renew too little: then there is none. */
static int write_change(const ln_watchtree_change *change, ln_buf *out)
{
    char begin[64];

    out->size = 0;
    snprintf(begin, sizeof begin, "{\"timestamp\":%" PRId64, wall_s());
    int rc = append(out, begin);
    const size_t bare = out->size;
    if (rc == 0 && change->unnamed == 0)
        rc = write_names(change, out);
    if (rc == LN_ERR_ENCODING) { /* a file's name need not be UTF-8 */
        out->size = bare;
        rc = 0;
    }
    return rc == 0 ? append(out, "}") : rc;
}

static void tell(ln_reload *r, const ln_watchtree_change *change)
{
    pthread_mutex_lock(&r->lock);
    const size_t ready = ln_reloadbook_ready(&r->book);
    pthread_mutex_unlock(&r->lock);
    say(change, ready);
    int rc = write_change(change, &r->payload);
    if (rc == 0)
        rc = ln_broker_publish(r->broker, LN_SPAN(TOPIC_CHANGED),
                               (ln_span){r->payload.data, r->payload.size});
    if (rc < 0)
        fprintf(stderr, "linnet serve: pages could not be told: %s\n", ln_strerror(rc));
}

static void on_due(void *arg);

static void set_timer(ln_reload *r)
{
    const uint64_t due = ln_watchtree_deadline(r->tree), now = clock_ms();

    ln_loop_cancel(r->timer);
    r->timer = NULL;
    if (due == UINT64_MAX)
        return;
    const uint64_t wait = due > now ? due - now : 0;
    if (ln_loop_after(r->loop, (uint32_t)wait, on_due, r, &r->timer) < 0)
        r->timer = NULL; /* the next change tries again */
}

static void on_due(void *arg)
{
    ln_reload *const r = arg;
    ln_watchtree_change change;

    r->timer = NULL;
    if (ln_watchtree_next(r->tree, clock_ms(), &change))
        tell(r, &change);
    set_timer(r);
}

static void on_readable(void *arg)
{
    ln_reload *const r = arg;

    ln_watchtree_read(r->tree, clock_ms());
    set_timer(r);
}

int ln_reload_start(ln_reload *r, ln_loop *loop)
{
    r->loop = loop;
    return ln_loop_watch_fd(loop, ln_watchtree_fd(r->tree), on_readable, r, NULL);
}

/* ---- life ---- */

int ln_reload_new(const char *folder, uint32_t rest_ms, ln_reload **reload,
                  char why[LN_WATCHTREE_WHY_SIZE])
{
    ln_reload *const r = ln_alloc_zero(NULL, sizeof *r);

    if (r == NULL) {
        snprintf(why, LN_WATCHTREE_WHY_SIZE, "%s", ln_strerror(LN_ERR_NOMEM));
        return LN_ERR_NOMEM;
    }
    pthread_mutex_init(&r->lock, NULL);
    ln_buf_init(&r->payload, NULL);
    ln_reloadbook_init(&r->book, NULL);
    ln_bucket_init(&r->bucket, &lines, clock_ms());
    const int rc = ln_watchtree_new(NULL, folder, rest_ms, &r->tree, why);
    if (rc < 0) {
        ln_reload_free(r);
        return rc;
    }
    *reload = r;
    return 0;
}

void ln_reload_free(ln_reload *r)
{
    if (r == NULL)
        return;
    ln_watchtree_free(r->tree);
    ln_reloadbook_fini(&r->book);
    ln_buf_fini(&r->payload);
    pthread_mutex_destroy(&r->lock);
    ln_free(NULL, r);
}
