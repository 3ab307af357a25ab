/* SPDX-License-Identifier: MIT */
/* authjson - JSON as tokens and key sets have it, with what jansson leaves open decided. */
#include <jansson.h>

#include "authinner.h"

/* Brackets open at a time, at most; what stands in strings does not count. Not a parser. */
static bool is_shallow(ln_span text)
{
    const char *const c = text.data;
    int depth = 0;
    bool is_quoted = false;
    for (size_t i = 0; i < text.size; i++) {
        if (is_quoted && c[i] == '\\')
            i++;
        else if (c[i] == '"')
            is_quoted = !is_quoted;
        else if (!is_quoted && (c[i] == '[' || c[i] == '{'))
            depth++;
        else if (!is_quoted && (c[i] == ']' || c[i] == '}'))
            depth--;
        if (depth > LN_AUTH_DEPTH_MAX)
            return false;
    }
    return true;
}

int ln_auth_json_read(ln_span text, json_t **object)
{
    if (text.size == 0 || !is_shallow(text))
        return LN_ERR_INVALID;
    json_t *const value = json_loadb(text.data, text.size, JSON_REJECT_DUPLICATES, NULL);
    if (!json_is_object(value)) {
        json_decref(value); /* accepts NULL */
        return LN_ERR_INVALID;
    }
    *object = value;
    return 0;
}

ln_span ln_auth_json_text(const json_t *object, const char *name)
{
    const json_t *const value = json_object_get(object, name);
    return (ln_span){json_string_value(value), json_string_length(value)};
}
