/* SPDX-License-Identifier: MIT */
/*
 * A JSON text, read token by token and value by value: the same verdict at the same byte; what its
 * strings mean is UTF-8 and, written again, means the same.
 *
 * Input: the text.
 */
#include <stdlib.h>
#include <string.h>

#include "proto/json.h"
#include "proto/jsonwrite.h"
#include "proto/utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_string(ln_span string)
{
    uint8_t *const meant = malloc(string.size);
    LN_ASSERT(meant != NULL);
    const ln_span text = {meant, ln_json_decode(string, meant)};
    ln_json_value again;
    ln_json j;
    ln_buf out;

    LN_ASSERT(text.size < string.size && ln_utf8_is_valid(text.data, text.size));
    LN_ASSERT(ln_json_is(string, text));
    ln_buf_init(&out, NULL);
    LN_ASSERT(ln_json_write_string(&out, text) == 0);
    ln_json_init(&j, (ln_span){out.data, out.size});
    LN_ASSERT(ln_json_next(&j, &again) == LN_JSON_STRING && ln_json_is(again.text, text));
    ln_buf_fini(&out);
    free(meant);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ln_json tokens, whole;
    ln_json_value t, v;
    size_t at_token = 0, at_value = 0;
    double number;
    int64_t integer;

    ln_json_init(&tokens, (ln_span){data, size});
    ln_json_init(&whole, (ln_span){data, size});
    while (ln_json_next(&tokens, &t) < LN_JSON_DONE) {
        LN_ASSERT((const uint8_t *)t.text.data >= data && t.text.size > 0);
        if (t.type == LN_JSON_STRING || t.type == LN_JSON_KEY)
            check_string(t.text);
        if (t.type == LN_JSON_NUMBER)
            LN_ASSERT(ln_json_double(t.text, &number) == 0 &&
                      ln_json_integer(t.text, &integer) <= 0);
    }
    const bool is_good = ln_json_next_value(&whole, &v) != LN_JSON_FAULT && ln_json_finish(&whole);
    LN_ASSERT(is_good == (t.type == LN_JSON_DONE));
    LN_ASSERT((ln_json_fault(&tokens, &at_token) == NULL) == is_good);
    LN_ASSERT((ln_json_fault(&whole, &at_value) == NULL) == is_good && at_token == at_value);
    return 0;
}
