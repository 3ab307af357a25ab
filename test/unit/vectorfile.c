/* SPDX-License-Identifier: MIT */
#include "vectorfile.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BYTES_MAX = 1 << 20 };

/* A line that is being read. */
typedef struct reader {
    vectorfile *vector;
    unsigned line;
    const char *at;
} reader;

static _Noreturn __attribute__((format(printf, 2, 3))) void wrong(const reader *r,
                                                                  const char *format, ...)
{
    va_list args;

    fprintf(stderr, "%s:%u: ", r->vector->path, r->line);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    exit(1);
}

static void *must(void *p)
{
    if (p == NULL)
        abort();
    return p;
}

void vectorfile_append(vectorfile_bytes *to, const void *bytes, size_t n)
{
    if (n == 0)
        return;
    to->data = must(realloc(to->data, to->size + n));
    memcpy(to->data + to->size, bytes, n);
    to->size += n;
}

/* ---- words ---- */

static void skip_space(reader *r)
{
    while (*r->at == ' ' || *r->at == '\t')
        r->at++;
}

static bool is_at_end(reader *r)
{
    skip_space(r);
    return *r->at == '\0' || *r->at == '#';
}

/* Takes `word` if it comes next and nothing hangs on to it; a word that ends in '=' may have
 * something behind it. */
static bool take(reader *r, const char *word)
{
    const size_t n = strlen(word);

    skip_space(r);
    if (strncmp(r->at, word, n) != 0)
        return false;
    if (word[n - 1] != '=' &&
        (isalnum((unsigned char)r->at[n]) || r->at[n] == '_' || r->at[n] == '='))
        return false;
    r->at += n;
    return true;
}

static uint64_t take_number(reader *r)
{
    char *end;

    skip_space(r);
    if (!isdigit((unsigned char)*r->at))
        wrong(r, "a number is missing at: %s", r->at);
    const uint64_t n = strtoull(r->at, &end, 10);
    r->at = end;
    return n;
}

static int digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static uint8_t take_hex(reader *r)
{
    const int high = digit(r->at[0]), low = high < 0 ? -1 : digit(r->at[1]);

    if (low < 0 || isalnum((unsigned char)r->at[2]))
        wrong(r, "not a byte: %s", r->at);
    r->at += 2;
    return (uint8_t)(high << 4 | low);
}

/* "text", with \" \\ and \xNN */
static void take_quoted(reader *r, vectorfile_bytes *to)
{
    for (r->at++; *r->at != '"'; r->at++) {
        uint8_t byte = (uint8_t)*r->at;

        if (byte == '\0')
            wrong(r, "the string does not end");
        if (byte == '\\' && r->at[1] == 'x' && digit(r->at[2]) >= 0 && digit(r->at[3]) >= 0) {
            byte = (uint8_t)(digit(r->at[2]) << 4 | digit(r->at[3]));
            r->at += 3;
        } else if (byte == '\\') {
            byte = (uint8_t) * ++r->at;
            if (byte != '"' && byte != '\\')
                wrong(r, "unknown escape");
        }
        vectorfile_append(to, &byte, 1);
    }
    r->at++;
}

/* N*HH: a byte many times */
static bool take_run(reader *r, vectorfile_bytes *to)
{
    const char *star = r->at;

    while (isdigit((unsigned char)*star))
        star++;
    if (star == r->at || *star != '*')
        return false;
    const uint64_t n = take_number(r);
    r->at++;
    const uint8_t byte = take_hex(r);
    if (n > BYTES_MAX)
        wrong(r, "too many bytes");
    to->data = must(realloc(to->data, to->size + (size_t)n + 1));
    memset(to->data + to->size, byte, (size_t)n);
    to->size += (size_t)n;
    return true;
}

/* Bytes up to the end of the line, or to "->". */
static void take_bytes(reader *r, vectorfile_bytes *to)
{
    while (!is_at_end(r) && *r->at != '-') {
        if (*r->at == '"') {
            take_quoted(r, to);
        } else if (!take_run(r, to)) {
            const uint8_t byte = take_hex(r);
            vectorfile_append(to, &byte, 1);
        }
    }
}

static enum ln_kind take_kind(reader *r)
{
    if (take(r, "text"))
        return LN_TEXT;
    if (take(r, "binary"))
        return LN_BINARY;
    wrong(r, "text or binary is missing at: %s", r->at);
}

/* ---- options ---- */

static bool read_rate(reader *r, ln_bucket_rate *rate)
{
    if (!take(r, "control="))
        return false;
    rate->per_second = (uint32_t)take_number(r);
    if (*r->at++ != '/')
        wrong(r, "control=RATE/BURST");
    rate->burst = (uint32_t)take_number(r);
    return true;
}

static void read_limits(reader *r)
{
    ln_ws_config *const c = &r->vector->config;

    while (!is_at_end(r)) {
        if (take(r, "message="))
            c->message_max_bytes = take_number(r);
        else if (take(r, "frame="))
            c->frame_max_bytes = take_number(r);
        else if (take(r, "fragments="))
            c->fragments_max = (uint32_t)take_number(r);
        else if (take(r, "deflate="))
            c->deflate_min_bytes = (uint32_t)take_number(r);
        else if (!read_rate(r, &c->control_rate))
            wrong(r, "unknown limit: %s", r->at);
    }
}

static void read_deadlines(reader *r)
{
    ln_ws_config *const c = &r->vector->config;

    while (!is_at_end(r)) {
        if (take(r, "ping="))
            c->ping_interval_ms = (uint32_t)take_number(r);
        else if (take(r, "pong="))
            c->pong_wait_ms = (uint32_t)take_number(r);
        else if (take(r, "idle="))
            c->idle_ms = (uint32_t)take_number(r);
        else if (take(r, "message="))
            c->message_ms = (uint32_t)take_number(r);
        else if (take(r, "close="))
            c->close_wait_ms = (uint32_t)take_number(r);
        else
            wrong(r, "unknown deadline: %s", r->at);
    }
}

static void read_deflate(reader *r)
{
    ln_pmd_params *const p = &r->vector->params;

    r->vector->is_deflated = true;
    *p = (ln_pmd_params){.server_max_window_bits = 15, .client_max_window_bits = 15};
    while (!is_at_end(r)) {
        if (take(r, "server_no_context_takeover"))
            p->server_no_context_takeover = true;
        else if (take(r, "client_no_context_takeover"))
            p->client_no_context_takeover = true;
        else if (take(r, "server_max_window_bits="))
            p->server_max_window_bits = (uint8_t)take_number(r);
        else if (take(r, "client_max_window_bits="))
            p->client_max_window_bits = (uint8_t)take_number(r);
        else
            wrong(r, "unknown parameter: %s", r->at);
    }
}

static void read_role(reader *r)
{
    const bool is_client = take(r, "client");

    if (!is_client && !take(r, "server"))
        wrong(r, "server or client");
    r->vector->config.role = is_client ? LN_WS_CLIENT : LN_WS_SERVER;
}

static void read_mask(reader *r)
{
    vectorfile_bytes key = {NULL, 0};

    take_bytes(r, &key);
    if (key.size != sizeof r->vector->mask)
        wrong(r, "a key has four bytes");
    memcpy(&r->vector->mask, key.data, key.size);
    free(key.data);
}

static void read_data(reader *r)
{
    r->vector->config.is_streaming = take(r, "pieces");
    if (!r->vector->config.is_streaming && !take(r, "messages"))
        wrong(r, "messages or pieces");
}

/* ---- steps ---- */

static vectorfile_step *add_step(reader *r, vectorfile_verb verb)
{
    vectorfile *const v = r->vector;

    if (v->step_count == VECTORFILE_STEPS_MAX)
        wrong(r, "too many steps");
    vectorfile_step *const s = &v->steps[v->step_count++];
    *s = (vectorfile_step){.verb = verb, .line = r->line};
    return s;
}

/* What belongs to the last step. */
static vectorfile_step *last_step(reader *r)
{
    if (r->vector->step_count == 0)
        wrong(r, "nothing has been done yet");
    return &r->vector->steps[r->vector->step_count - 1];
}

/* Lines of input in a row come in one go. */
static void read_in(reader *r)
{
    const unsigned n = r->vector->step_count;
    vectorfile_step *const last = n == 0 ? NULL : &r->vector->steps[n - 1];
    const bool is_more = last != NULL && last->verb == VECTORFILE_IN && last->event_count == 0 &&
                         last->out.size == 0;
    vectorfile_step *const s = is_more ? last : add_step(r, VECTORFILE_IN);
    const size_t before = s->data.size;

    take_bytes(r, &s->data);
    r->vector->in_bytes += s->data.size - before;
}

static int take_result(reader *r)
{
    if (!take(r, "->"))
        return 0;
    if (take(r, "closed"))
        return LN_ERR_CLOSED;
    if (take(r, "busy"))
        return LN_ERR_BUSY;
    if (take(r, "invalid"))
        return LN_ERR_INVALID;
    wrong(r, "unknown result: %s", r->at);
}

static void read_send(reader *r)
{
    vectorfile_step *const s = add_step(r, VECTORFILE_SEND);

    if (take(r, "ping")) {
        s->verb = VECTORFILE_PING;
    } else if (take(r, "close")) {
        s->verb = VECTORFILE_CLOSE;
        skip_space(r);
        s->code = isdigit((unsigned char)*r->at) ? (uint16_t)take_number(r) : 0;
    } else {
        if (take(r, "piece"))
            s->verb = VECTORFILE_PIECE;
        s->is_last = s->verb == VECTORFILE_PIECE && take(r, "last");
        s->kind = take_kind(r);
    }
    take_bytes(r, &s->data);
    s->result = take_result(r);
}

static void read_at(reader *r)
{
    add_step(r, VECTORFILE_AT)->at_ms = take_number(r);
}

static void read_eof(reader *r)
{
    add_step(r, VECTORFILE_EOF);
}

/* ---- what is to come ---- */

static void read_out(reader *r)
{
    take_bytes(r, &last_step(r)->out);
}

static void read_closed(reader *r, vectorfile_event *e)
{
    e->type = LN_WS_CLOSED;
    if (take(r, "by=us"))
        e->by = LN_WS_BY_US;
    else if (take(r, "by=peer"))
        e->by = LN_WS_BY_PEER;
    else
        wrong(r, "by=us or by=peer");
    if (!take(r, "code="))
        wrong(r, "code=NUMBER");
    e->code = (uint16_t)take_number(r);
    e->is_clean = take(r, "clean=yes");
    if (!e->is_clean && !take(r, "clean=no"))
        wrong(r, "clean=yes or clean=no");
    e->has_reason = take(r, "reason=");
    if (e->has_reason)
        take_bytes(r, &e->data);
}

static void read_event(reader *r)
{
    vectorfile_step *const s = last_step(r);
    if (s->event_count == VECTORFILE_EVENTS_MAX)
        wrong(r, "too many events");
    vectorfile_event *const e = &s->events[s->event_count++];

    *e = (vectorfile_event){.type = LN_WS_MESSAGE};
    if (take(r, "closed")) {
        read_closed(r, e);
        return;
    }
    if (take(r, "ping")) {
        e->type = LN_WS_PING;
    } else if (take(r, "pong")) {
        e->type = LN_WS_PONG;
    } else if (take(r, "message")) {
        e->kind = take_kind(r);
    } else if (take(r, "piece")) {
        e->type = LN_WS_PIECE;
        e->is_first = take(r, "first");
        e->is_last = take(r, "last");
        e->kind = take_kind(r);
    } else {
        wrong(r, "unknown event: %s", r->at);
    }
    take_bytes(r, &e->data);
}

/* ---- files ---- */

static void read_line(reader *r)
{
    static const struct {
        const char *key;
        void (*read)(reader *r);
    } keys[] = {
        {"role:", read_role},     {"deflate:", read_deflate},
        {"limits:", read_limits}, {"deadlines:", read_deadlines},
        {"data:", read_data},     {"mask:", read_mask},
        {"in:", read_in},         {"send:", read_send},
        {"at:", read_at},         {"eof:", read_eof},
        {"out:", read_out},       {"event:", read_event},
    };

    if (is_at_end(r))
        return;
    for (size_t i = 0; i < LN_ARRAY_SIZE(keys); i++) {
        const size_t n = strlen(keys[i].key);
        if (strncmp(r->at, keys[i].key, n) != 0)
            continue;
        r->at += n;
        keys[i].read(r);
        if (!is_at_end(r))
            wrong(r, "not understood: %s", r->at);
        return;
    }
    wrong(r, "unknown key: %s", r->at);
}

/* NAME of FOLDER/NAME.vector */
static char *name_of(const char *path)
{
    const char *const slash = strrchr(path, '/'), *const base = slash == NULL ? path : slash + 1;
    char *const name = must(strdup(base));
    char *const dot = strrchr(name, '.');

    if (dot != NULL)
        *dot = '\0';
    return name;
}

vectorfile *vectorfile_load(const char *path)
{
    vectorfile *const v = must(calloc(1, sizeof *v));
    reader r = {.vector = v};
    char *text = NULL;
    size_t capacity = 0;

    v->path = must(strdup(path));
    v->name = name_of(path);
    FILE *const file = fopen(path, "r");
    if (file == NULL)
        wrong(&r, "cannot be read");
    while (getline(&text, &capacity, file) >= 0) {
        text[strcspn(text, "\n")] = '\0';
        r.line++;
        r.at = text;
        if (r.line == 1 && strncmp(text, "# RFC ", 6) != 0)
            wrong(&r, "the first line is a comment that names the clause");
        read_line(&r);
    }
    if (v->step_count == 0)
        wrong(&r, "nothing is done");
    free(text);
    fclose(file);
    return v;
}

void vectorfile_free(vectorfile *v)
{
    for (unsigned i = 0; i < v->step_count; i++) {
        vectorfile_step *const s = &v->steps[i];
        for (unsigned k = 0; k < s->event_count; k++)
            free(s->events[k].data.data);
        free(s->data.data);
        free(s->out.data);
    }
    free(v->name);
    free((char *)v->path);
    free(v);
}

const char *vectorfile_text(const vectorfile_event *e)
{
    enum { SHOWN_BYTES = 48 };
    static const char *const types[] = {"message", "piece", "ping", "pong", "closed"};
    static char buffers[8][SHOWN_BYTES * 3 + 200];
    static unsigned next;
    char *const text = buffers[next++ % LN_ARRAY_SIZE(buffers)];
    int n = sprintf(text, "%s", types[e->type]);

    if (e->type == LN_WS_CLOSED)
        n += sprintf(text + n, " by=%s code=%u clean=%s%s", e->by == LN_WS_BY_PEER ? "peer" : "us",
                     e->code, e->is_clean ? "yes" : "no", e->has_reason ? " reason=" : "");
    if (e->type == LN_WS_PIECE)
        n += sprintf(text + n, "%s%s", e->is_first ? " first" : "", e->is_last ? " last" : "");
    if (e->type == LN_WS_PIECE || e->type == LN_WS_MESSAGE)
        n += sprintf(text + n, " %s", e->kind == LN_TEXT ? "text" : "binary");
    for (size_t i = 0; i < e->data.size && i < SHOWN_BYTES; i++)
        n += sprintf(text + n, " %02x", e->data.data[i]);
    if (e->data.size > SHOWN_BYTES)
        sprintf(text + n, " ... (%zu bytes)", e->data.size);
    return text;
}
