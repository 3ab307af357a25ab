/* SPDX-License-Identifier: MIT */
/* rpcanswer.c - answers to a peer's calls: written, collected for a batch, given later, and brought
 * from other threads. */
#include <string.h>

#include "base/text.h"
#include "proto/jsonwrite.h"
#include "rpcinner.h"

/* ---- sending ---- */

/* Without memory an answer would be missing and nobody would know: the connection ends instead. */
static int out_of_memory(ln_rpc_peer *p)
{
    (void)ln_conn_close(p->conn, 1011, LN_SPAN("out of memory"));
    return LN_ERR_NOMEM;
}

static int send_text(ln_rpc_peer *p, const ln_buf *text)
{
    const ln_rpc_carrier *const carrier = p->rpc->carrier;

    const int rc = ln_conn_send(p->conn, carrier->kind, (ln_span){text->data, text->size});
    if (rc == LN_ERR_NOMEM)
        return out_of_memory(p);
    if (rc == LN_ERR_WOULD_EXCEED || rc == LN_ERR_BUSY)
        ln_count(&ln_conn_home(p->conn)->counters.dropped, 1);
    if (rc < 0 && rc != LN_ERR_CLOSED && carrier->lose != NULL)
        carrier->lose(p->conn);
    return rc < 0 ? rc : 0;
}

ln_buf *ln_rpc_take_scratch(const ln_rpc_peer *p)
{
    ln_buf *const scratch = &ln_rpc_desk_of(p)->scratch;

    LN_ASSERT(scratch->size == 0);
    return scratch;
}

void ln_rpc_give_scratch(ln_buf *scratch)
{
    scratch->size = 0;
    if (scratch->capacity > LN_RPC_SCRATCH_MAX_BYTES)
        ln_buf_release(scratch);
}

static int answer_alone(ln_rpc_peer *p, const ln_rpc_call_in *call, const ln_rpc_answer *a)
{
    const ln_rpc_carrier *const carrier = p->rpc->carrier;
    const ln_span prefix = a->code != 0 ? carrier->error_prefix : carrier->prefix;
    ln_buf *const text = ln_rpc_take_scratch(p);

    int rc = ln_json_write_span(text, prefix);
    if (rc == 0)
        rc = carrier->speech->write_answer(p, call, a, text);
    if (rc < 0)
        rc = out_of_memory(p);
    else if (text->size - prefix.size > carrier->text_max_bytes)
        rc = LN_ERR_TOO_BIG;
    else if (text->size > prefix.size)
        rc = send_text(p, text);
    ln_rpc_give_scratch(text);
    return rc;
}

/* Into its slot. */
static int answer_in_batch(ln_rpc_peer *p, const ln_rpc_call_in *call, const ln_rpc_answer *a)
{
    const ln_rpc_carrier *const carrier = p->rpc->carrier;
    ln_rpc_batch *const batch = call->batch;
    ln_buf *const text = &batch->slots[call->slot];

    LN_ASSERT(text->size == 0);
    const int rc = carrier->speech->write_answer(p, call, a, text);
    if (rc < 0)
        return out_of_memory(p);
    if (batch->bytes + text->size > carrier->text_max_bytes && a->result.size > 0) {
        ln_buf_release(text);
        return LN_ERR_TOO_BIG;
    }
    batch->bytes += text->size;
    return 0;
}

static int try_put(ln_rpc_peer *p, const ln_rpc_call_in *call, const ln_rpc_answer *a)
{
    if (a->code != 0)
        atomic_fetch_add_explicit(&p->rpc->stats.errors, 1, memory_order_relaxed);
    return call->batch == NULL ? answer_alone(p, call, a) : answer_in_batch(p, call, a);
}

static int put(ln_rpc_peer *p, const ln_rpc_call_in *call, const ln_rpc_answer *a)
{
    const ln_rpc_answer instead = {.code = LN_RPC_INTERNAL_ERROR,
                                   .message = p->rpc->carrier->speech->unusable};

    const int rc = try_put(p, call, a);
    if (rc == LN_ERR_TOO_BIG)
        (void)try_put(p, call, &instead);
    return rc;
}

int ln_rpc_answer_call(ln_rpc_peer *p, ln_rpc_call_in *call, const ln_rpc_answer *answer)
{
    if (call->is_answered)
        return LN_ERR_NOT_FOUND;
    call->is_answered = true;
    if (!call->is_owed)
        return 0;
    const int rc = put(p, call, answer);
    if (call->batch != NULL)
        ln_rpc_batch_settle(call->batch);
    return rc;
}

void ln_rpc_answer_stray(ln_rpc_peer *p, const ln_rpc_call_in *call, const ln_rpc_answer *answer)
{
    (void)put(p, call, answer);
}

/* ---- batches ---- */

static void free_batch(ln_rpc_batch *batch)
{
    const ln_allocator *const alloc = batch->slots[0].alloc;

    for (uint32_t i = 0; i < batch->count; i++)
        ln_buf_fini(&batch->slots[i]);
    ln_free(alloc, batch);
}

static int join(const ln_rpc_batch *batch, ln_buf *text)
{
    char before = '[';
    int rc = 0;

    for (uint32_t i = 0; i < batch->count && rc == 0; i++) {
        const ln_buf *const slot = &batch->slots[i];
        if (slot->size == 0)
            continue;
        rc = ln_buf_append(text, &before, 1, SIZE_MAX);
        if (rc == 0)
            rc = ln_buf_append(text, slot->data, slot->size, SIZE_MAX);
        before = ',';
    }
    return rc == 0 ? ln_json_write_raw(text, "]") : rc;
}

static void send_batch(const ln_rpc_batch *batch)
{
    ln_rpc_peer *const p = batch->peer;
    ln_buf *const text = ln_rpc_take_scratch(p);

    int rc = ln_json_write_span(text, p->rpc->carrier->prefix);
    if (rc == 0)
        rc = join(batch, text);
    (void)(rc < 0 ? out_of_memory(p) : send_text(p, text));
    ln_rpc_give_scratch(text);
}

void ln_rpc_batch_settle(ln_rpc_batch *batch)
{
    LN_ASSERT(batch->left > 0);
    if (--batch->left > 0)
        return;
    if (batch->peer != NULL && batch->bytes > 0)
        send_batch(batch);
    free_batch(batch);
}

/* ---- later ---- */

int ln_rpc_keep(ln_rpc_peer *p, const ln_rpc_call_in *call)
{
    ln_rpc_call_in *const kept =
        ln_alloc(p->rpc->server->alloc, sizeof *kept + call->id.size + call->topic.size);

    LN_ASSERT(p->pending_count < p->rpc->carrier->pending_max);
    if (kept == NULL)
        return LN_ERR_NOMEM;
    *kept = *call;
    char *at = kept->bytes;
    kept->id = ln_text_place(&at, call->id);
    kept->topic = ln_text_place(&at, call->topic);
    ln_list_add(&p->pending, &kept->link);
    p->pending_count++;
    return 0;
}

void ln_rpc_drop_kept(ln_rpc_peer *p, ln_rpc_call_in *kept)
{
    ln_list_remove(&kept->link);
    p->pending_count--;
    ln_free(p->rpc->server->alloc, kept);
}

ln_rpc_call_in *ln_rpc_find_kept(const ln_rpc_peer *p, uint64_t serial)
{
    for (ln_link *l = p->pending.next; l != &p->pending; l = l->next) {
        ln_rpc_call_in *const kept = LN_CONTAINER_OF(l, ln_rpc_call_in, link);
        if (kept->serial == serial)
            return kept;
    }
    return NULL;
}

void ln_rpc_forget_pending(ln_rpc_peer *p)
{
    while (!ln_list_is_empty(&p->pending)) {
        ln_rpc_call_in *const kept = LN_CONTAINER_OF(p->pending.next, ln_rpc_call_in, link);
        const ln_rpc_ticket onward = kept->onward;
        if (kept->batch != NULL) {
            kept->batch->peer = NULL;
            ln_rpc_batch_settle(kept->batch);
        }
        ln_rpc_drop_kept(p, kept);
        if (onward.engine != NULL)
            (void)ln_rpc_cancel(&onward); /* else it runs into its time-out, and nobody minds */
    }
}

static int answer_kept(ln_rpc_peer *p, uint64_t serial, const ln_rpc_answer *answer)
{
    ln_rpc_call_in *const kept = ln_rpc_find_kept(p, serial);
    if (kept == NULL)
        return LN_ERR_NOT_FOUND;
    const int rc = ln_rpc_answer_call(p, kept, answer);
    ln_rpc_drop_kept(p, kept);
    return rc;
}

/* ---- from other threads ---- */

/* An answer on its way. */
typedef struct parcel {
    ln_rpc_letter head;
    uint64_t serial;
    ln_rpc_answer answer; /* its spans lie in bytes[] */
    char bytes[];
} parcel;

static void on_parcel(ln_letter *letter, ln_loop *loop)
{
    parcel *const box = LN_CONTAINER_OF(letter, parcel, head.letter);
    const ln_allocator *const alloc = box->head.rpc->server->alloc;

    ln_rpc_peer *const p = ln_rpc_arrived(&box->head, loop);
    if (p != NULL)
        (void)answer_kept(p, box->serial, &box->answer); /* the sender did not wait to hear */
    ln_free(alloc, box);
}

static int send_parcel(const ln_rpc_ticket *t, const ln_rpc_answer *a)
{
    ln_rpc *const rpc = t->engine;
    const size_t size = sizeof(parcel) + a->result.size + a->message.size + a->data.size;
    parcel *const box = ln_alloc(rpc->server->alloc, size);

    if (box == NULL)
        return LN_ERR_NOMEM;
    char *at = box->bytes;
    *box = (parcel){.head = {.letter = {.handle = on_parcel}, .rpc = rpc, .conn = t->conn},
                    .serial = t->serial,
                    .answer = {.code = a->code}};
    box->answer.result = ln_text_place(&at, a->result);
    box->answer.message = ln_text_place(&at, a->message);
    box->answer.data = ln_text_place(&at, a->data);
    const int rc = ln_rpc_post(&box->head, size);
    if (rc < 0)
        ln_free(rpc->server->alloc, box);
    return rc;
}

/* ---- for applications ---- */

/* The desk at which the handler of this very call runs, on this thread; or NULL. */
static const ln_rpc_desk *find_desk(const ln_rpc_ticket *t)
{
    const ln_rpc *const rpc = t->engine;
    const ln_worker *const w = ln_server_worker_of(rpc->server, t->conn);

    if (w == NULL || ln_loop_current() != w->home.loop)
        return NULL;
    const ln_rpc_desk *const desk = &rpc->desks[w->home.worker];
    const ln_rpc_peer *const p = desk->calling;
    return p != NULL && p->conn->id == t->conn && p->current->serial == t->serial ? desk : NULL;
}

/* `desk` is that of its handler, or NULL. */
static int give(const ln_rpc_ticket *t, const ln_rpc_desk *desk, const ln_rpc_answer *answer)
{
    ln_rpc *const rpc = t->engine;

    if (t->serial == 0) /* a notification's */
        return 0;
    if (desk != NULL)
        return ln_rpc_answer_call(desk->calling, desk->calling->current, answer);
    ln_worker *const w = ln_server_worker_of(rpc->server, t->conn);
    if (w == NULL)
        return LN_ERR_CLOSED;
    if (ln_loop_current() != w->home.loop)
        return send_parcel(t, answer);
    ln_rpc_peer *const p = ln_rpc_peer_here(rpc, t->conn);
    return p == NULL ? LN_ERR_CLOSED : answer_kept(p, t->serial, answer);
}

/* The very params that the handler was given have been checked. */
static bool is_json(ln_span text, const ln_rpc_desk *desk)
{
    ln_json j;

    if (desk != NULL && text.data == desk->params.data && text.size == desk->params.size)
        return true;
    ln_json_init(&j, text);
    return ln_json_finish(&j);
}

int ln_rpc_result(const ln_rpc_ticket *ticket, ln_span result)
{
    const ln_rpc *const rpc = ticket->engine;
    const ln_rpc_desk *const desk = find_desk(ticket);
    const bool is_good = result.size == 0 || is_json(result, desk);
    const ln_rpc_answer answer = {.code = is_good ? 0 : LN_RPC_INTERNAL_ERROR,
                                  .result = is_good ? result : (ln_span){NULL, 0},
                                  .message = rpc->carrier->speech->unusable};

    const int rc = give(ticket, desk, &answer);
    return rc == 0 && !is_good ? LN_ERR_INVALID : rc;
}

int ln_rpc_error(const ln_rpc_ticket *ticket, int code, ln_span message, ln_span data)
{
    const ln_rpc_desk *const desk = find_desk(ticket);
    const bool is_good = code != 0 && (data.size == 0 || is_json(data, desk));
    const ln_rpc_answer answer = {.code = code == 0 ? LN_RPC_INTERNAL_ERROR : code,
                                  .message = message,
                                  .data = is_good ? data : (ln_span){NULL, 0}};

    const int rc = give(ticket, desk, &answer);
    return rc == 0 && !is_good ? LN_ERR_INVALID : rc;
}
