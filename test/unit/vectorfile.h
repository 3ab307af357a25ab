/* SPDX-License-Identifier: MIT */
/*
 * vectorfile - reads test/vectors/NAME.vector: what is done to a WebSocket machine, and what is to
 * come of it. The grammar is in test/vectors/README.md.
 *
 * It knows the words of the grammar and nothing of the machine but its types. A file that does not
 * parse ends the program with the file, the line and what is wrong: a vector that is skipped by
 * mistake proves nothing.
 */
#ifndef VECTORFILE_H
#define VECTORFILE_H

#include "proto/ws.h"

enum { VECTORFILE_STEPS_MAX = 64, VECTORFILE_EVENTS_MAX = 32 };

/* Bytes on the heap. */
typedef struct vectorfile_bytes {
    uint8_t *data;
    size_t size;
} vectorfile_bytes;

typedef struct vectorfile_event {
    ln_ws_event_type type;
    enum ln_kind kind;
    bool is_first, is_last; /* a piece's */
    bool has_reason;        /* CLOSED: false = any will do */
    bool is_clean;
    int by;
    uint16_t code;
    vectorfile_bytes data;
} vectorfile_event;

typedef enum vectorfile_verb {
    VECTORFILE_IN,
    VECTORFILE_SEND,
    VECTORFILE_PIECE,
    VECTORFILE_PING,
    VECTORFILE_CLOSE,
    VECTORFILE_AT,
    VECTORFILE_EOF
} vectorfile_verb;

/* One thing done, and everything that is to come of it before the next. */
typedef struct vectorfile_step {
    vectorfile_verb verb;
    unsigned line;
    vectorfile_bytes data; /* received; a payload; a reason */
    enum ln_kind kind;
    bool is_last;
    uint16_t code;
    uint64_t at_ms;
    int result; /* of a send */
    vectorfile_bytes out;
    vectorfile_event events[VECTORFILE_EVENTS_MAX];
    unsigned event_count;
} vectorfile_step;

typedef struct vectorfile {
    char *name; /* of the file, without folder and ending */
    const char *path;
    ln_ws_config config; /* what the options say; no allocator, no pool */
    bool is_deflated;
    ln_pmd_params params;
    uint32_t mask;
    vectorfile_step steps[VECTORFILE_STEPS_MAX];
    unsigned step_count;
    size_t in_bytes; /* all that is received */
} vectorfile;

/* Reads a file. Owned. */
vectorfile *vectorfile_load(const char *path);

void vectorfile_free(vectorfile *v);

/* Adds copies to the end. */
void vectorfile_append(vectorfile_bytes *to, const void *bytes, size_t n);

/* The event as the grammar would have it, in a buffer that the next but seven call overwrites. */
const char *vectorfile_text(const vectorfile_event *e);

#endif
