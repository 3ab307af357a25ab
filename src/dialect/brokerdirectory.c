/* SPDX-License-Identifier: MIT */
/*
 * brokerdirectory.c - who is there, on all workers: by id, by what they call themselves, and one by
 * one. Whoever wants to know more than that gets a copy, so that the lock is never held in a
 * callback.
 */
#include <stdio.h>
#include <string.h>

#include "base/name.h"
#include "base/text.h"
#include "brokerinner.h"
#include "net/random.h"
#include "proto/jsonwrite.h"
#include "proto/utf8.h"

/* ---- texts ---- */

ln_span ln_broker_cut(ln_span text, size_t max)
{
    const uint8_t *const bytes = text.data;

    if (text.size <= max)
        return text;
    size_t size = max;
    while (size > 0 && (bytes[size] & 0xc0) == 0x80) /* within a character */
        size--;
    return (ln_span){text.data, size};
}

/* May stand for a client. */
static bool is_id(ln_span id)
{
    return ln_name_is_valid(id, LN_BROKER_ID_MAX_BYTES);
}

/* Its texts, in one piece of memory, which begins with the id. The others are given as they should
 * be. LN_ERR_NOMEM: nothing has changed. */
static int write_texts(const ln_broker_directory *d, ln_broker_entry *entry, ln_span id,
                       const ln_broker_card *card)
{
    char *const texts = ln_alloc(d->alloc, id.size + card->session_id.size + card->name.size +
                                               card->type.size + card->url.size);
    char *at = texts;

    if (texts == NULL)
        return LN_ERR_NOMEM;
    entry->id = ln_text_place(&at, id);
    entry->session_id = ln_text_place(&at, card->session_id);
    entry->name = ln_text_place(&at, card->name);
    entry->type = ln_text_place(&at, card->type);
    entry->url = ln_text_place(&at, card->url);
    return 0;
}

static void free_texts(const ln_broker_directory *d, const ln_broker_entry *entry)
{
    ln_free(d->alloc, (void *)(uintptr_t)entry->id.data);
}

/* ---- session ids ---- */

static ln_broker_entry *entry_of(ln_link *same)
{
    return LN_CONTAINER_OF(same, ln_broker_entry, same);
}

/* The entry is the latest of its session id from now on; the lock is held. LN_ERR_NOMEM: it is not
 * found by it. */
static int join_session(ln_broker_directory *d, ln_broker_entry *entry)
{
    if (entry->session_id.size == 0)
        return 0;
    ln_broker_entry *const before = ln_map_remove(&d->sessions, entry->session_id);
    const int rc = ln_map_add(&d->sessions, entry->session_id, entry);
    if (rc < 0)
        return rc;
    if (before != NULL)
        ln_list_add(before->same.next, &entry->same);
    return 0;
}

/* The one before it, if there is one, is found again. */
static void leave_session(ln_broker_directory *d, ln_broker_entry *entry)
{
    ln_broker_entry *const other = entry_of(entry->same.prev);
    const bool is_latest =
        entry->session_id.size > 0 && ln_map_find(&d->sessions, entry->session_id) == entry;

    ln_list_remove(&entry->same);
    if (!is_latest)
        return;
    ln_map_remove(&d->sessions, entry->session_id);
    if (other != entry && ln_map_add(&d->sessions, other->session_id, other) < 0)
        return; /* out of memory, where one was just given back */
}

/* ---- coming and going ---- */

void ln_broker_directory_init(ln_broker_directory *d, const ln_allocator *alloc)
{
    uint64_t seed[2];

    d->alloc = alloc;
    ln_lock_init(&d->lock);
    ln_random_fill(seed, sizeof seed);
    ln_map_init(&d->ids, alloc, seed);
    ln_map_init(&d->sessions, alloc, seed);
}

void ln_broker_directory_fini(ln_broker_directory *d)
{
    ln_map_fini(&d->ids);
    ln_map_fini(&d->sessions);
    ln_lock_fini(&d->lock);
}

static int enter_as(ln_broker_peer *p, ln_span id, const ln_broker_card *card)
{
    ln_broker_directory *const d = &p->broker->directory;

    int rc = write_texts(d, &p->entry, id, card);
    if (rc < 0)
        return rc;
    ln_lock_take(&d->lock);
    rc = ln_map_add(&d->ids, p->entry.id, &p->entry);
    ln_lock_give(&d->lock);
    if (rc < 0)
        free_texts(d, &p->entry);
    return rc;
}

/* An id's beginning, or where the page is. */
static ln_span first_name(char room[LN_BROKER_NAME_MAX_BYTES], ln_span id, ln_span page)
{
    const ln_span begin =
        ln_broker_cut(page.size > 0 ? page : id, page.size > 0 ? LN_BROKER_NAME_MAX_BYTES - 9 : 8);
    const int n =
        snprintf(room, LN_BROKER_NAME_MAX_BYTES, "%s%.*s", page.size > 0 ? "browser-" : "client-",
                 (int)begin.size, (const char *)begin.data);
    return (ln_span){room, (size_t)n};
}

static int enter_with(ln_broker_peer *p, ln_span id, ln_span page)
{
    char name[LN_BROKER_NAME_MAX_BYTES];
    const ln_broker_card card = {
        .name = first_name(name, id, page), .type = LN_SPAN("unknown"), .url = page};

    return enter_as(p, id, &card);
}

int ln_broker_enter(ln_broker_peer *p, const ln_request *request)
{
    char wish[LN_BROKER_ID_MAX_BYTES + 1], made[LN_BROKER_MADE_ID_SIZE + 1];
    ln_loop *const loop = ln_conn_home(p->rpc.conn)->loop;
    const int n = ln_request_param(request, "client_id", wish, sizeof wish);
    const ln_span wished = {wish, n > 0 ? (size_t)n : 0};
    const ln_span referer = ln_request_header(request, "Referer");
    const ln_span page = referer.size > 0 && ln_utf8_is_valid(referer.data, referer.size)
                             ? ln_broker_cut(referer, LN_BROKER_URL_MAX_BYTES)
                             : (ln_span){"", 0};
    uint64_t random[2];

    p->entry.conn = p->rpc.conn->id;
    ln_list_init(&p->entry.same);
    int rc = is_id(wished) ? enter_with(p, wished, page) : LN_ERR_EXISTS;
    while (rc == LN_ERR_EXISTS) { /* never twice, but for who guesses 128 bits */
        ln_loop_random(loop, random, sizeof random);
        ln_broker_write_id(random[0], random[1], made);
        rc = enter_with(p, (ln_span){made, LN_BROKER_MADE_ID_SIZE}, page);
    }
    return rc;
}

void ln_broker_leave(ln_broker_peer *p)
{
    ln_broker_directory *const d = &p->broker->directory;

    ln_lock_take(&d->lock);
    leave_session(d, &p->entry);
    ln_map_remove(&d->ids, p->entry.id);
    ln_lock_give(&d->lock);
    free_texts(d, &p->entry);
}

static ln_span or_else(ln_span said, ln_span before, size_t max)
{
    return said.size > 0 ? ln_broker_cut(said, max) : before;
}

int ln_broker_register(ln_broker_peer *p, const ln_broker_card *said)
{
    ln_broker_directory *const d = &p->broker->directory;
    ln_broker_entry *const entry = &p->entry;
    /* without `same`, which others of its session id change on their loops */
    const ln_broker_entry before = {.id = entry->id,
                                    .session_id = entry->session_id,
                                    .name = entry->name,
                                    .type = entry->type,
                                    .url = entry->url};
    const ln_broker_card card = {.session_id = is_id(said->session_id)      ? said->session_id
                                               : before.session_id.size > 0 ? before.session_id
                                                                            : before.id,
                                 .name = or_else(said->name, before.name, LN_BROKER_NAME_MAX_BYTES),
                                 .type = or_else(said->type, before.type, LN_BROKER_TYPE_MAX_BYTES),
                                 .url = or_else(said->url, before.url, LN_BROKER_URL_MAX_BYTES)};
    ln_broker_entry fresh;

    int rc = write_texts(d, &fresh, before.id, &card);
    if (rc < 0)
        return rc;
    ln_lock_take(&d->lock);
    leave_session(d, entry);
    ln_map_remove(&d->ids, before.id);
    entry->id = fresh.id;
    entry->session_id = fresh.session_id;
    entry->name = fresh.name;
    entry->type = fresh.type;
    entry->url = fresh.url;
    entry->is_registered = true;
    rc = ln_map_add(&d->ids, entry->id, entry); /* where one was just given back */
    LN_ASSERT(rc == 0);
    rc = join_session(d, entry);
    ln_lock_give(&d->lock);
    free_texts(d, &before);
    return rc;
}

/* ---- looking ---- */

ln_broker_info ln_broker_show(const ln_broker_entry *entry)
{
    return (ln_broker_info){.conn = entry->conn,
                            .id = entry->id,
                            .session_id = entry->session_id,
                            .name = entry->name,
                            .type = entry->type,
                            .url = entry->url,
                            .is_registered = entry->is_registered};
}

static int find(ln_broker_directory *d, const ln_map *map, ln_span key, ln_conn_id *conn)
{
    ln_lock_take(&d->lock);
    const ln_broker_entry *const entry = ln_map_find(map, key);
    if (entry != NULL)
        *conn = entry->conn;
    ln_lock_give(&d->lock);
    return entry == NULL ? LN_ERR_NOT_FOUND : 0;
}

int ln_broker_find(ln_broker *b, ln_span id, ln_conn_id *conn)
{
    return find(&b->directory, &b->directory.ids, id, conn);
}

int ln_broker_find_session(ln_broker *b, ln_span session_id, ln_conn_id *conn)
{
    return find(&b->directory, &b->directory.sessions, session_id, conn);
}

/* Everybody at one moment: the clients, and behind them their texts. */
typedef struct snapshot {
    size_t count;
    ln_broker_info clients[];
} snapshot;

static size_t texts_size(const ln_broker_entry *e)
{
    return e->id.size + e->session_id.size + e->name.size + e->type.size + e->url.size;
}

/* The lock is held. NULL when out of memory. */
static snapshot *take_snapshot(const ln_broker_directory *d)
{
    const ln_broker_entry *e;
    size_t bytes = 0, cursor = 0;

    while ((e = ln_map_next(&d->ids, &cursor)) != NULL)
        bytes += texts_size(e);
    snapshot *const s = ln_alloc(d->alloc, sizeof *s + d->ids.count * sizeof s->clients[0] + bytes);
    if (s == NULL)
        return NULL;
    char *at = (char *)&s->clients[d->ids.count];
    s->count = 0;
    cursor = 0;
    while ((e = ln_map_next(&d->ids, &cursor)) != NULL) {
        ln_broker_info *const c = &s->clients[s->count++];
        *c = ln_broker_show(e);
        c->id = ln_text_place(&at, e->id);
        c->session_id = ln_text_place(&at, e->session_id);
        c->name = ln_text_place(&at, e->name);
        c->type = ln_text_place(&at, e->type);
        c->url = ln_text_place(&at, e->url);
    }
    return s;
}

int ln_broker_each(ln_broker *b, bool (*visit)(const ln_broker_info *client, void *user),
                   void *user)
{
    ln_broker_directory *const d = &b->directory;
    int count = 0;

    ln_lock_take(&d->lock);
    snapshot *const s = take_snapshot(d);
    ln_lock_give(&d->lock);
    if (s == NULL)
        return LN_ERR_NOMEM;
    for (bool goes_on = true; goes_on && (size_t)count < s->count;)
        goes_on = visit(&s->clients[count++], user);
    ln_free(d->alloc, s);
    return count;
}

/* ---- the list that clients get ---- */

static int write_client(ln_buf *out, const ln_broker_entry *e, bool is_first)
{
    const struct {
        const char *name;
        ln_span value;
    } members[] = {{"{\"id\":", e->id},
                   {",\"name\":", e->name},
                   {",\"clientType\":", e->type},
                   {",\"clientUrl\":", e->url}};

    int rc = is_first ? 0 : ln_json_write_raw(out, ",");
    for (size_t i = 0; i < LN_ARRAY_SIZE(members) && rc == 0; i++) {
        rc = ln_json_write_raw(out, members[i].name);
        if (rc == 0)
            rc = ln_json_write_string(out, members[i].value);
    }
    return rc == 0 ? ln_json_write_raw(out, "}") : rc;
}

/* The lock is held. How many there are in *count, listed or not: whoever asks for all of them has
 * not the rest looked through for that. */
static int write_clients(const ln_broker_directory *d, ln_span type, ln_buf *out, size_t *count)
{
    const ln_broker_entry *e;
    size_t cursor = 0;
    int rc = 0;

    *count = 0;
    while (rc == 0 && (e = ln_map_next(&d->ids, &cursor)) != NULL) {
        if (type.size == 0 && *count == LN_BROKER_LIST_MAX) {
            *count = d->ids.count;
            break;
        }
        if (type.size > 0 && !ln_text_equal(type, e->type))
            continue;
        if (*count < LN_BROKER_LIST_MAX)
            rc = write_client(out, e, *count == 0);
        ++*count;
    }
    return rc;
}

uint32_t ln_broker_list_steps(ln_broker *b, ln_span type)
{
    ln_broker_directory *const d = &b->directory;

    ln_lock_take(&d->lock);
    const size_t count = d->ids.count;
    ln_lock_give(&d->lock);
    const size_t written = count < LN_BROKER_LIST_MAX ? count : LN_BROKER_LIST_MAX;
    const size_t steps = (type.size > 0 ? count : written) + 10 * written;
    return steps < LN_BROKER_LIST_STEPS_BURST ? (uint32_t)steps : LN_BROKER_LIST_STEPS_BURST;
}

int ln_broker_list(ln_broker *b, ln_span type, ln_buf *out)
{
    ln_broker_directory *const d = &b->directory;
    size_t count = 0;

    int rc = ln_json_write_raw(out, "{\"clients\":[");
    if (rc < 0)
        return rc;
    ln_lock_take(&d->lock);
    rc = write_clients(d, type, out, &count);
    ln_lock_give(&d->lock);
    if (rc == 0)
        rc = ln_json_write_raw(out, "]");
    if (rc == 0 && count > LN_BROKER_LIST_MAX) {
        rc = ln_json_write_raw(out, ",\"total\":");
        if (rc == 0)
            rc = ln_json_write_u64(out, count);
    }
    return rc == 0 ? ln_json_write_raw(out, "}") : rc;
}
