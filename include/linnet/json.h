/* SPDX-License-Identifier: MIT */
/*
 * linnet/json.h - reading JSON (RFC 8259) where it lies, for handlers that are given some: no tree,
 * no memory, values as spans of the text.
 *
 * Everything here checks what it reads, so any bytes may be passed: LN_ERR_PROTOCOL where they are
 * no JSON. Beyond the grammar it wants what every peer can hold: strings of whole code points, no
 * number beyond a double, nothing nested more than 64 deep. Any thread.
 */
#ifndef LINNET_JSON_H
#define LINNET_JSON_H

#include <linnet/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * The member `name` of an object, or the element `index` of an array, as it stands in the text,
 * quotes included; borrowed from `json`. `name` may be NULL if only an array will do.
 * LN_ERR_NOT_FOUND, also when `json` is neither; LN_ERR_EXISTS for a name that occurs twice.
 */
LN_API int ln_json_find(ln_span json, const char *name, size_t index, ln_span *value);

/*
 * The text that a string stands for, in `buffer` (`size` bytes, NUL-terminated). Its length in
 * bytes, in which NUL may occur; LN_ERR_INVALID if the value is no string; LN_ERR_LIMIT if it does
 * not fit.
 */
LN_API int ln_json_text(ln_span value, char *buffer, size_t size);

/* The nearest double. LN_ERR_INVALID if the value is no number. */
LN_API int ln_json_number(ln_span value, double *number);

/*
 * Writes `text` (UTF-8) as a JSON string, quotes included, into `buffer` of `size` bytes,
 * NUL-terminated. Its length; LN_ERR_LIMIT if it does not fit: 6 bytes for one always do, with
 * three for the rest; LN_ERR_INVALID if it is no UTF-8.
 */
LN_API int ln_json_quote(ln_span text, char *buffer, size_t size);

#ifdef __cplusplus
}
#endif
#endif
