/* SPDX-License-Identifier: MIT */
/* rpcspeech.c - JSON-RPC 2.0 as it is written: answers, and calls of ours. */
#include "base/text.h"
#include "proto/jsonwrite.h"
#include "proto/utf8.h"
#include "rpcinner.h"

static ln_span words_of(int code)
{
    switch (code) {
    case LN_RPC_PARSE_ERROR:
        return LN_SPAN("Parse error");
    case LN_RPC_INVALID_REQUEST:
        return LN_SPAN("Invalid Request");
    case LN_RPC_METHOD_NOT_FOUND:
        return LN_SPAN("Method not found");
    case LN_RPC_INVALID_PARAMS:
        return LN_SPAN("Invalid params");
    case LN_RPC_BUSY:
        return LN_SPAN("Too many calls");
    default:
        return LN_SPAN("Internal error");
    }
}

/* ---- answers ---- */

static int write_error(ln_buf *out, const ln_rpc_answer *a)
{
    const bool is_text =
        a->message.data != NULL && ln_utf8_is_valid(a->message.data, a->message.size);

    int rc = ln_json_write_raw(out, "\"error\":{\"code\":");
    if (rc == 0)
        rc = ln_json_write_i64(out, a->code);
    if (rc == 0)
        rc = ln_json_write_raw(out, ",\"message\":");
    if (rc == 0)
        rc = ln_json_write_string(out, is_text ? a->message : words_of(a->code));
    if (rc == 0 && a->data.size > 0) {
        rc = ln_json_write_raw(out, ",\"data\":");
        if (rc == 0)
            rc = ln_json_write_span(out, a->data);
    }
    return rc == 0 ? ln_json_write_raw(out, "}") : rc;
}

static int write_result(ln_buf *out, ln_span result)
{
    const int rc = ln_json_write_raw(out, "\"result\":");
    return rc == 0 ? ln_json_write_span(out, result.size == 0 ? LN_SPAN("null") : result) : rc;
}

/* {"jsonrpc":"2.0","result":...,"id":...} or {"jsonrpc":"2.0","error":{...},"id":...} */
static int write_answer(const ln_rpc_peer *p, const ln_rpc_call_in *call, const ln_rpc_answer *a,
                        ln_buf *out)
{
    (void)p;
    int rc = ln_json_write_raw(out, "{\"jsonrpc\":\"2.0\",");
    if (rc == 0)
        rc = a->code != 0 ? write_error(out, a) : write_result(out, a->result);
    if (rc == 0)
        rc = ln_json_write_raw(out, ",\"id\":");
    if (rc == 0)
        rc = ln_json_write_span(out, call->id);
    return rc == 0 ? ln_json_write_raw(out, "}") : rc;
}

static void refuse(ln_rpc_peer *p, ln_rpc_call_in *call, ln_rpc_refusal why, ln_span detail)
{
    ln_rpc_answer answer = {.code = LN_RPC_INTERNAL_ERROR};

    switch (why) {
    case LN_RPC_IS_UNKNOWN:
        answer.code = LN_RPC_METHOD_NOT_FOUND;
        break;
    case LN_RPC_IS_UNSUITABLE:
        answer.code = LN_RPC_INVALID_PARAMS;
        break;
    case LN_RPC_HAS_FAILED:
        answer.message = detail;
        break;
    case LN_RPC_IS_TOO_MUCH:
        answer.code = LN_RPC_BUSY;
        break;
    }
    /* what cannot be said ends the connection or has been counted */
    (void)ln_rpc_answer_call(p, call, &answer);
}

/* ---- calls of ours ---- */

static int write_call(const ln_rpc_peer *p, const ln_rpc_call_out *call, ln_buf *out)
{
    (void)p;
    int rc = ln_json_write_raw(out, "{\"jsonrpc\":\"2.0\",\"method\":");
    if (rc == 0)
        rc = ln_json_write_string(out, call->method);
    if (rc == 0 && call->params.size > 0) {
        rc = ln_json_write_raw(out, ",\"params\":");
        if (rc == 0)
            rc = ln_json_write_span(out, call->params);
    }
    if (rc == 0 && call->timeout_ms > 0) {
        rc = ln_json_write_raw(out, ",\"id\":");
        if (rc == 0)
            rc = ln_json_write_u64(out, call->serial);
    }
    return rc == 0 ? ln_json_write_raw(out, "}") : rc;
}

/* An array or an object, or nothing. */
static bool is_params(ln_span text)
{
    ln_json_value first;
    ln_json j;

    if (text.size == 0)
        return true;
    ln_json_init(&j, text);
    const ln_json_type type = ln_json_next(&j, &first);
    return (type == LN_JSON_ARRAY || type == LN_JSON_OBJECT) && ln_json_finish(&j);
}

const ln_rpc_speech ln_rpc_json = {.write_answer = write_answer,
                                   .write_call = write_call,
                                   .refuse = refuse,
                                   .is_params = is_params,
                                   .unusable = {"Internal error", 14}};
