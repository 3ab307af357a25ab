/* SPDX-License-Identifier: MIT */
/*
 * A message of the broker dialect: its spans lie within it, and what is written from it is read as
 * the same, at the size that was told.
 *
 * Input: the message.
 */
#include <string.h>

#include "base/text.h"
#include "dialect/envelope.h"
#include "proto/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_within(ln_span part, ln_span whole)
{
    const uint8_t *const p = part.data, *const from = whole.data;
    LN_ASSERT(part.size == 0 || (p >= from && p + part.size <= from + whole.size));
}

static void check_same(const ln_envelope *a, const ln_envelope *b)
{
    LN_ASSERT(a->style == b->style && a->type == b->type);
    LN_ASSERT(ln_text_equal(a->id, b->id) && ln_text_equal(a->topic, b->topic));
    LN_ASSERT(ln_text_equal(a->message_id, b->message_id));
    LN_ASSERT(a->timestamp_ms == b->timestamp_ms && a->ttl_ms == b->ttl_ms);
    LN_ASSERT(a->has_error == b->has_error && a->error_code == b->error_code);
    LN_ASSERT(ln_text_equal(a->error_message, b->error_message));
    /* headed, none is written as null */
    LN_ASSERT(ln_text_equal(a->payload, b->payload) || a->payload.size == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const ln_span text = {data, size};
    ln_envelope_failure f;
    ln_envelope e, again;
    ln_buf out;
    ln_json j;

    if (ln_envelope_read(text, &e) < 0)
        return 0;
    ln_json_init(&j, text);
    LN_ASSERT(ln_json_finish(&j));
    check_within(e.id, text);
    check_within(e.topic, text);
    check_within(e.payload, text);
    if (ln_envelope_is_failure(&e, &f))
        check_within(f.message, text);
    if (e.type == LN_ENVELOPE_UNKNOWN)
        return 0;
    ln_buf_init(&out, NULL);
    LN_ASSERT(ln_envelope_write(&out, &e) == 0 && out.size == ln_envelope_size(&e));
    LN_ASSERT(ln_envelope_read((ln_span){out.data, out.size}, &again) == 0);
    check_same(&e, &again);
    ln_buf_fini(&out);
    return 0;
}
