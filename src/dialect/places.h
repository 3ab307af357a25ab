/* SPDX-License-Identifier: MIT */
/*
 * places - what a dialect keeps for each of its connections, found by the number of the connection's
 * slot, so that the connection's user pointer stays the application's.
 *
 * A table for each worker, which only its thread uses.
 */
#ifndef LN_PLACES_H
#define LN_PLACES_H

#include "peer/serverinner.h"

/* The connections of one worker. */
typedef struct ln_places {
    void **at;
    size_t capacity;
} ln_places;

/* Tables for all workers of a server. NULL when out of memory. */
ln_places *ln_places_new(const ln_server *server);
/* What they lead to is the caller's business. Accepts NULL. */
void ln_places_free(ln_places *places, const ln_server *server);

/* What is kept for `c`, or NULL. */
void *ln_places_get(const ln_places *places, const ln_conn *c);

/* Keeps `what` != NULL for it. LN_ERR_NOMEM. */
LN_NODISCARD int ln_places_set(ln_places *places, const ln_conn *c, void *what);
/* Nothing any more. */
void ln_places_clear(ln_places *places, const ln_conn *c);

#endif
