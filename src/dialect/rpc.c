/* SPDX-License-Identifier: MIT */
#include "rpc.h"

#include "base/text.h"
#include "rpcinner.h"

/* ---- one element: a request, a notification, or an answer to a call of ours ---- */

/* What an object of a peer is made of. */
enum { VERSION, METHOD, PARAMS, ID, RESULT, ERROR, FIELDS };

typedef struct element {
    ln_rpc_peer *peer;
    ln_rpc_batch *batch; /* NULL: it stands alone */
    uint32_t slot;
    ln_json_field fields[FIELDS];
} element;

static const ln_json_value *value_of(const element *e, int field)
{
    return &e->fields[field].value;
}

static bool is_repeated(const element *e)
{
    for (int i = 0; i < FIELDS; i++)
        if (e->fields[i].count > 1)
            return true;
    return false;
}

static bool has_good_id(const element *e)
{
    const ln_json_value *const id = value_of(e, ID);

    return e->fields[ID].count == 1 && id->text.size <= LN_RPC_ID_MAX_BYTES &&
           (id->type == LN_JSON_NULL || id->type == LN_JSON_STRING || id->type == LN_JSON_NUMBER);
}

static bool is_version_2(const element *e)
{
    const ln_json_value *const version = value_of(e, VERSION);
    return version->type == LN_JSON_STRING && ln_json_is(version->text, LN_SPAN("2.0"));
}

static bool is_request(const element *e)
{
    const ln_json_type params = value_of(e, PARAMS)->type;

    return !is_repeated(e) && is_version_2(e) && value_of(e, METHOD)->type == LN_JSON_STRING &&
           (params == LN_JSON_NONE || params == LN_JSON_NULL || params == LN_JSON_ARRAY ||
            params == LN_JSON_OBJECT) &&
           (e->fields[ID].count == 0 || has_good_id(e));
}

static bool is_answer(const element *e)
{
    return e->fields[METHOD].count == 0 && e->fields[RESULT].count + e->fields[ERROR].count > 0;
}

/* What is no call is answered all the same. */
static void complain(ln_rpc_peer *p, ln_rpc_batch *batch, uint32_t slot, int code, ln_span id)
{
    const ln_rpc_call_in call = {.batch = batch, .slot = slot, .id = id};
    const ln_rpc_answer answer = {.code = code};
    ln_rpc_answer_stray(p, &call, &answer);
}

/* The method's name without escapes, in `room` if need be; false: longer than any name is. */
static bool read_name(ln_span string, uint8_t room[6 * LN_RPC_METHOD_MAX_BYTES + 2], ln_span *name)
{
    if (string.size > 6 * LN_RPC_METHOD_MAX_BYTES + 2)
        return false;
    *name = (ln_span){room, ln_json_decode(string, room)};
    return true;
}

static void call_method(const element *e)
{
    uint8_t room[6 * LN_RPC_METHOD_MAX_BYTES + 2];
    const ln_json_value *const params = value_of(e, PARAMS);
    ln_rpc_call_in call = {.batch = e->batch, .slot = e->slot};
    ln_span name;

    if (e->fields[ID].count > 0) {
        call.id = value_of(e, ID)->text;
        call.is_owed = true;
    }
    if (e->batch != NULL && call.is_owed)
        e->batch->left++;
    ln_count(&ln_rpc_desk_of(e->peer)->calls, 1);
    if (!read_name(value_of(e, METHOD)->text, room, &name))
        ln_rpc_json.refuse(e->peer, &call, LN_RPC_IS_UNKNOWN, (ln_span){"", 0});
    else
        ln_rpc_run(e->peer, &call, name,
                   params->type == LN_JSON_ARRAY || params->type == LN_JSON_OBJECT
                       ? params->text
                       : (ln_span){"", 0});
}

static void read_error(const ln_json_value *error, ln_rpc_reply *reply)
{
    ln_json_field f[] = {{.name = "code"}, {.name = "message"}, {.name = "data"}};
    ln_json_value bracket;
    ln_json j;

    ln_json_init(&j, error->text);
    reply->error = LN_ERR_PROTOCOL;
    if (ln_json_next(&j, &bracket) != LN_JSON_OBJECT || !ln_json_read_fields(&j, f, 3))
        return;
    if (f[0].value.type != LN_JSON_NUMBER || ln_json_integer(f[0].value.text, &reply->code) < 0)
        return;
    if (f[1].value.type == LN_JSON_STRING)
        reply->message = f[1].value.text;
    if (f[2].value.type != LN_JSON_NONE)
        reply->data = f[2].value.text;
    reply->error = LN_ERR_REFUSED;
}

/*
 * An answer to a call of ours. A member that is null beside the other one is as good as left out, as
 * in JSON-RPC 1.0; without any other, it is a result that is nothing.
 */
static void take_reply(const element *e)
{
    const ln_json_value *const id = value_of(e, ID), *const result = value_of(e, RESULT),
                               *const error = value_of(e, ERROR);
    const bool has_result = result->type != LN_JSON_NONE && result->type != LN_JSON_NULL;
    ln_rpc_reply reply = {.result = has_result ? result->text : LN_SPAN("null")};
    int64_t serial;

    if (error->type != LN_JSON_NONE && error->type != LN_JSON_NULL) {
        reply.result = (ln_span){NULL, 0};
        if (has_result)
            reply.error = LN_ERR_PROTOCOL;
        else
            read_error(error, &reply);
    }
    /* too late, twice, or made up; answering an answer would begin a circle */
    if (id->type != LN_JSON_NUMBER || ln_json_integer(id->text, &serial) < 0 ||
        !ln_rpc_end_request(e->peer, (uint64_t)serial, &reply))
        ln_rpc_count_stray(e->peer);
}

/* Some peers leave out a result that is nothing: an id that one of our calls has is enough then. */
static bool take_void_reply(const element *e)
{
    const ln_json_value *const id = value_of(e, ID);
    ln_rpc_reply reply = {.result = LN_SPAN("null")};
    int64_t serial;

    return e->fields[METHOD].count == 0 && !is_repeated(e) && is_version_2(e) &&
           id->type == LN_JSON_NUMBER && ln_json_integer(id->text, &serial) == 0 &&
           ln_rpc_end_request(e->peer, (uint64_t)serial, &reply);
}

static void handle_element(const element *e)
{
    if (is_answer(e)) {
        take_reply(e);
        return;
    }
    if (take_void_reply(e))
        return;
    if (is_request(e)) {
        call_method(e);
        return;
    }
    complain(e->peer, e->batch, e->slot, LN_RPC_INVALID_REQUEST,
             has_good_id(e) ? value_of(e, ID)->text : LN_SPAN("null"));
}

/* An object, its bracket just read. False: no JSON from here on. */
static bool read_element(ln_json *j, element *e)
{
    static const char *const names[FIELDS] = {"jsonrpc", "method", "params",
                                              "id",      "result", "error"};

    for (int i = 0; i < FIELDS; i++)
        e->fields[i].name = names[i];
    return ln_json_read_fields(j, e->fields, FIELDS);
}

/* ---- texts ---- */

static void take_single(ln_rpc_peer *p, ln_json *j)
{
    element e = {.peer = p};

    if (read_element(j, &e) && ln_json_finish(j))
        handle_element(&e);
    else
        complain(p, NULL, 0, LN_RPC_PARSE_ERROR, LN_SPAN("null"));
}

/*
 * The elements of an array; stops at one more than are allowed, so that a bomb costs what an
 * allowed batch does. False: no JSON.
 */
static bool count_elements(ln_json *j, uint32_t *count)
{
    ln_json_value v;

    for (*count = 0; *count <= LN_RPC_BATCH_MAX; ++*count) {
        const ln_json_type type = ln_json_next_value(j, &v);
        if (type == LN_JSON_NONE)
            return ln_json_finish(j);
        if (type == LN_JSON_FAULT)
            return false;
    }
    return true;
}

static void take_elements(ln_rpc_peer *p, ln_rpc_batch *batch, ln_json *j)
{
    ln_json_value v;

    for (uint32_t slot = 0; slot < batch->count && ln_ws_is_open(&p->conn->ws); slot++) {
        element e = {.peer = p, .batch = batch, .slot = slot};
        if (ln_json_next(j, &v) == LN_JSON_OBJECT) {
            const bool is_read = read_element(j, &e);
            LN_ASSERT(is_read); /* it was read before, to be counted */
            handle_element(&e);
            continue;
        }
        complain(p, batch, slot, LN_RPC_INVALID_REQUEST, LN_SPAN("null"));
        if (v.type == LN_JSON_ARRAY)
            while (ln_json_next_value(j, &v) != LN_JSON_NONE)
                ;
    }
}

static void take_batch(ln_rpc_peer *p, ln_span text)
{
    const ln_allocator *const alloc = p->rpc->server->alloc;
    ln_json_value v;
    uint32_t count;
    ln_json j;

    ln_json_init(&j, text);
    (void)ln_json_next(&j, &v); /* the bracket */
    if (!count_elements(&j, &count)) {
        complain(p, NULL, 0, LN_RPC_PARSE_ERROR, LN_SPAN("null"));
        return;
    }
    if (count == 0 || count > LN_RPC_BATCH_MAX) {
        complain(p, NULL, 0, LN_RPC_INVALID_REQUEST, LN_SPAN("null"));
        return;
    }
    if (!p->rpc->carrier->spend(p->conn, count - 1)) /* the text itself was one */
        return;
    ln_rpc_batch *const batch =
        ln_alloc_zero(alloc, sizeof *batch + count * sizeof batch->slots[0]);
    if (batch == NULL) {
        (void)ln_conn_close(p->conn, 1011, LN_SPAN("out of memory"));
        return;
    }
    batch->peer = p;
    batch->count = count;
    batch->left = 1;
    for (uint32_t i = 0; i < count; i++)
        ln_buf_init(&batch->slots[i], alloc);
    ln_json_init(&j, text);
    (void)ln_json_next(&j, &v);
    take_elements(p, batch, &j);
    ln_rpc_batch_settle(batch);
}

void ln_rpc_take(ln_rpc_peer *p, ln_span text)
{
    ln_json_value v;
    ln_json j;

    ln_json_init(&j, text);
    switch (ln_json_next(&j, &v)) {
    case LN_JSON_OBJECT:
        take_single(p, &j);
        break;
    case LN_JSON_ARRAY:
        take_batch(p, text);
        break;
    case LN_JSON_NULL:
        complain(p, NULL, 0, ln_json_finish(&j) ? LN_RPC_INVALID_REQUEST : LN_RPC_PARSE_ERROR,
                 LN_SPAN("null"));
        break;
    case LN_JSON_NONE:
    case LN_JSON_FALSE:
    case LN_JSON_TRUE:
    case LN_JSON_NUMBER:
    case LN_JSON_STRING:
    case LN_JSON_KEY:
    case LN_JSON_OBJECT_END:
    case LN_JSON_ARRAY_END:
    case LN_JSON_DONE:
    case LN_JSON_FAULT:
        complain(p, NULL, 0, LN_RPC_PARSE_ERROR, LN_SPAN("null"));
        break;
    }
}

/* ---- life ---- */

void ln_rpc_peer_init(ln_rpc_peer *p, ln_rpc *rpc, ln_conn *c)
{
    *p = (ln_rpc_peer){.rpc = rpc, .conn = c};
    ln_list_init(&p->pending);
    ln_list_init(&p->requests);
}

void ln_rpc_peer_fini(ln_rpc_peer *p)
{
    LN_ASSERT(p->current == NULL);
    ln_rpc_forget_pending(p);
    ln_rpc_end_requests(p);
}
