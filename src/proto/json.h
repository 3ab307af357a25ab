/* SPDX-License-Identifier: MIT */
/*
 * json - reads a JSON text (RFC 8259) token by token, where it lies: no tree, no memory, no
 * recursion; what is not looked at stays a span.
 *
 * It accepts what every parser of a peer can hold, and nothing else. To the grammar are added, as
 * RFC 8259 9 allows: strings are whole code points (UTF-8, surrogates in pairs), a number is within
 * a double's range and LN_JSON_NUMBER_MAX_BYTES long, nesting ends at LN_JSON_DEPTH_MAX, and there
 * is no byte order mark. Repeated names are for whoever reads the object to judge
 * (ln_json_field.count).
 *
 * Invariants
 *   1. Linear: no byte is looked at more than a fixed number of times, none beyond the text's end.
 *   2. A fault is sticky; nothing that was given out before it is taken back, so read to
 *      LN_JSON_DONE before acting on a text that has to be valid as a whole.
 *   3. levels holds one bit for each of the `depth` open brackets, the innermost lowest; 1 = an
 *      object.
 */
#ifndef LN_JSON_H
#define LN_JSON_H

#include <linnet/json.h>

#include "base/base.h"

enum {
    LN_JSON_DEPTH_MAX = 64, /* one bit each in a word */
    LN_JSON_NUMBER_MAX_BYTES = 128
};

typedef enum ln_json_type {
    LN_JSON_NONE, /* no value */
    LN_JSON_NULL,
    LN_JSON_FALSE,
    LN_JSON_TRUE,
    LN_JSON_NUMBER,
    LN_JSON_STRING,
    LN_JSON_OBJECT, /* as a token: its opening bracket */
    LN_JSON_ARRAY,
    LN_JSON_KEY,        /* a member's name, the colon behind it included in what was read */
    LN_JSON_OBJECT_END, /* tokens only, from here on */
    LN_JSON_ARRAY_END,
    LN_JSON_DONE, /* the text was one value */
    LN_JSON_FAULT
} ln_json_type;

typedef struct ln_json {
    const uint8_t *begin;
    const uint8_t *at;
    const uint8_t *end;
    uint64_t levels;
    const char *fault; /* a static sentence, or NULL */
    uint8_t depth;
    uint8_t expects;
} ln_json;

/* A token or a value, as it stands in the text: strings with their quotes, values with all that is
 * in them. */
typedef struct ln_json_value {
    ln_json_type type;
    ln_span text;
} ln_json_value;

/* A member that a reader looks for. */
typedef struct ln_json_field {
    const char *name;    /* in: as it is meant, without escapes */
    ln_json_value value; /* out: the last one of that name; LN_JSON_NONE if there was none */
    uint32_t count;      /* out: how many there were */
} ln_json_field;

/* `text` has to stay until the reader is not used any more. */
void ln_json_init(ln_json *j, ln_span text);

/*
 * The same behind the colon of a member of the object that the text is: for who has read what is
 * before `offset` in another way, and found it valid.
 */
void ln_json_init_member(ln_json *j, ln_span text, size_t offset);

/* The next token. After LN_JSON_DONE and LN_JSON_FAULT it is the same again. */
ln_json_type ln_json_next(ln_json *j, ln_json_value *token);

/* The next value, whole: its type, LN_JSON_NONE at the end of an array or object, LN_JSON_DONE at
 * the end of the text, or LN_JSON_FAULT. */
ln_json_type ln_json_next_value(ln_json *j, ln_json_value *value);

/* In an object: the next member. False behind the last one and at a fault. */
bool ln_json_next_member(ln_json *j, ln_span *key, ln_json_value *value);

/*
 * In an object, right behind its opening bracket: reads it to its end and fills the `n` fields; others
 * are passed over. False at a fault.
 */
bool ln_json_read_fields(ln_json *j, ln_json_field *fields, size_t n);

/* Reads to the end of the text: true if all of it is valid. */
bool ln_json_finish(ln_json *j);

/* What is wrong, or NULL; *offset (may be NULL) is the byte where it shows. */
const char *ln_json_fault(const ln_json *j, size_t *offset);

/* ---- values that a reader gave out (jsonvalue.c) ---- */

/* Whether a string (or key), as it stands in the text, means `meant`. */
bool ln_json_is(ln_span string, ln_span meant);

/* The bytes a string means, written to `room` of at least string.size bytes. How many. */
size_t ln_json_decode(ln_span string, uint8_t *room);

/* A number's value; LN_ERR_LIMIT for what a double cannot hold. */
int ln_json_double(ln_span number, double *value);

/* The same if it is a whole number (1, 1.0, 1e2), exact; LN_ERR_INVALID, LN_ERR_LIMIT. */
int ln_json_integer(ln_span number, int64_t *value);

#endif
