/* SPDX-License-Identifier: MIT */
/* jsonwrite - pieces of JSON text (RFC 8259) appended to a buffer. Commas and brackets are the
 * caller's. */
#ifndef LN_JSONWRITE_H
#define LN_JSONWRITE_H

#include "base/buf.h"

/* Bytes as they are. LN_ERR_NOMEM. */
LN_NODISCARD int ln_json_write_raw(ln_buf *out, const char *text);

/* The same of a span: a value that is JSON already. LN_ERR_NOMEM. */
LN_NODISCARD int ln_json_write_span(ln_buf *out, ln_span text);

/* How `c` stands in a string: itself or its escape, in `room` or static. */
ln_span ln_json_escape(uint8_t c, char room[8]);

/* A string in quotes; `text` is UTF-8. Only what has to be escaped is. LN_ERR_NOMEM. */
LN_NODISCARD int ln_json_write_string(ln_buf *out, ln_span text);

/* LN_ERR_NOMEM. */
LN_NODISCARD int ln_json_write_u64(ln_buf *out, uint64_t number);
LN_NODISCARD int ln_json_write_i64(ln_buf *out, int64_t number);

/* A string of lower-case hexadecimal digits, for ids that a double could not hold. LN_ERR_NOMEM. */
LN_NODISCARD int ln_json_write_hex(ln_buf *out, uint64_t number);

#endif
