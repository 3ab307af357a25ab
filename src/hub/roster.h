/* SPDX-License-Identifier: MIT */
/*
 * roster - who is in which room, for presence. Not who gets messages: that is the hub's business,
 * per worker, while one roster serves all workers under the caller's lock. Reads no clock: the
 * caller flushes as often as it likes.
 *
 * Joins and leaves are collected per room and told at the next flush, coalesced: who came and went
 * in between was never there, who went and came back never left. A room of more than list_max
 * people is told as a number only.
 *
 *   what a flush tells      when                                       `joined`             `left`
 *   LN_ROSTER_SAME          nothing changed                            -                    -
 *   LN_ROSTER_DIFF          it was listed and is small enough still    new or renamed       gone
 *   LN_ROSTER_LIST          it has become small enough again           everybody            -
 *   LN_ROSTER_COUNT         it is above list_max                       -                    -
 *
 * Invariants
 *   1. A room exists exactly while somebody is in it or it has changed since its last flush; a
 *      person exists exactly while some room knows them.
 *   2. A room is in `changed` exactly while its next flush would not tell LN_ROSTER_SAME.
 *   3. Who has left is remembered only if a flush has told that they were there, and until the next
 *      one: at most list_max people a room.
 *   4. Versions grow over the whole roster, so they grow in a room even if it vanishes and comes
 *      back.
 *   5. A snapshot is what the last flush has told, so that the DIFFs that follow fit everybody: a
 *      list taken between flushes would keep for ever who came before it and left before the next.
 */
#ifndef LN_ROSTER_H
#define LN_ROSTER_H

#include "base/alloc.h"

typedef struct ln_roster ln_roster;

enum { LN_ROSTER_NAME_BYTES = 64, LN_ROSTER_LIST_MAX = 65536 };

/* All at least 1. */
typedef struct ln_roster_limits {
    uint32_t room_max_bytes; /* a room's name */
    uint32_t rooms;          /* at once */
    uint32_t people_per_room;
    uint32_t rooms_per_person;
    uint32_t list_max; /* people; larger rooms are only counted; at most LN_ROSTER_LIST_MAX */
} ln_roster_limits;

typedef struct ln_presence {
    uint64_t id;
    ln_span name; /* to display; may be empty */
} ln_presence;

typedef enum ln_roster_view {
    LN_ROSTER_SAME,
    LN_ROSTER_DIFF,
    LN_ROSTER_LIST,
    LN_ROSTER_COUNT
} ln_roster_view;

/* What to tell about a room. Everything in it is borrowed until the roster is changed, flushed or
 * asked for more. */
typedef struct ln_roster_news {
    ln_span room;
    ln_roster_view view;
    uint32_t count;   /* people in the room */
    uint64_t version; /* of this news */
    uint64_t since;   /* the version a DIFF applies to; 0 = an empty room */
    const ln_presence *joined;
    size_t joined_count;
    const uint64_t *left;
    size_t left_count;
} ln_roster_news;

/* `seed`: 16 secret random bytes. NULL when out of memory. */
ln_roster *ln_roster_new(const ln_allocator *alloc, const ln_roster_limits *limits,
                         const uint64_t seed[2]);

/* Accepts NULL. */
void ln_roster_free(ln_roster *r);

/*
 * `id` is in `room` from now on, called `name`: up to LN_ROSTER_NAME_BYTES of UTF-8 without control
 * characters. Joining again gives a new name, or does nothing. 0; LN_ERR_INVALID, LN_ERR_LIMIT,
 * LN_ERR_NOMEM, and nothing has changed.
 */
int ln_roster_join(ln_roster *r, ln_span room, uint64_t id, ln_span name);

/* LN_ERR_NOT_FOUND if it was not there. */
int ln_roster_leave(ln_roster *r, ln_span room, uint64_t id);

/* Leaves every room; how many they were. */
size_t ln_roster_leave_all(ln_roster *r, uint64_t id);

/* Rooms with somebody in them, or with something left to tell. */
size_t ln_roster_room_count(const ln_roster *r);

/* People in `room`; 0 if there is no such room. */
size_t ln_roster_count(const ln_roster *r, ln_span room);
bool ln_roster_is_in(const ln_roster *r, ln_span room, uint64_t id);

/*
 * Who is in `room` now: their number, which may be above `max`; up to `max` of them are written to
 * `list`. The names are borrowed until the roster changes.
 */
size_t ln_roster_list(const ln_roster *r, ln_span room, ln_presence *list, size_t max);

/*
 * For somebody who begins to follow `room`: LN_ROSTER_LIST or LN_ROSTER_COUNT as of the last flush,
 * with its version; the next DIFF applies to it. Of a person renamed since it has the new name.
 * Changes nothing. LN_ERR_NOT_FOUND.
 */
int ln_roster_snapshot(ln_roster *r, ln_span room, ln_roster_news *news);

/* What has changed in `room` since its last flush. LN_ERR_NOT_FOUND. */
int ln_roster_flush(ln_roster *r, ln_span room, ln_roster_news *news);

/* The same for the room that has been waiting longest; false when no room has changed. */
bool ln_roster_flush_next(ln_roster *r, ln_roster_news *news);

#endif
