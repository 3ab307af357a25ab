/* SPDX-License-Identifier: MIT */
/*
 * payload - what a broker carries is JSON; what people type and programs pipe are lines. A line
 * becomes a JSON string and a JSON string becomes a line, or JSON stays as it is.
 */
#ifndef LN_PAYLOAD_H
#define LN_PAYLOAD_H

#include "base/buf.h"

/* How payloads look outside. */
typedef enum ln_payload_look {
    LN_PAYLOAD_TEXT, /* a text is what a JSON string means; other values are shown as they are */
    LN_PAYLOAD_JSON, /* JSON both ways */
    LN_PAYLOAD_RAW   /* as text, also where that breaks lines */
} ln_payload_look;

/* Appends the payload that `text` stands for. LN_ERR_ENCODING: no UTF-8; LN_ERR_INVALID: no JSON
 * where it has to be; LN_ERR_NOMEM. */
LN_NODISCARD int ln_payload_write(ln_buf *out, ln_span text, ln_payload_look look);

/*
 * Appends what is shown of `payload`, JSON or empty: without newlines in it, unless raw. A text that
 * has some, or other control characters, is shown as the JSON it is. LN_ERR_NOMEM.
 */
LN_NODISCARD int ln_payload_show(ln_buf *out, ln_span payload, ln_payload_look look);

/* Appends a topic as one word: as it is, or, with blanks or control characters in it, as a JSON
 * string. LN_ERR_NOMEM. */
LN_NODISCARD int ln_payload_show_topic(ln_buf *out, ln_span topic);

#endif
