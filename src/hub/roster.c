/* SPDX-License-Identifier: MIT */
#include "roster.h"

#include <string.h>

#include "base/list.h"
#include "base/map.h"
#include "base/name.h"
#include "base/text.h"

typedef struct person {
    uint64_t id;    /* the key in the map */
    ln_link stays;  /* in rooms, those only remembered included */
    uint32_t rooms; /* that they are in */
} person;

typedef struct room {
    ln_link changed; /* in the roster's ring, or unlinked */
    ln_link settled; /* stays as the last flush told them; all, while the room is only counted */
    ln_link pending; /* stays of which the next flush must tell */
    uint64_t version;
    uint32_t here;
    uint32_t told;  /* `here` at the last flush */
    bool is_listed; /* the last flush told who, not only how many */
    uint32_t name_bytes;
    char name[];
} room;

/* One person in one room. */
typedef struct stay {
    ln_link in_room;
    ln_link in_person;
    room *room;
    person *person;
    bool was_there; /* at the last flush; means something only while the room is listed */
    bool is_here;   /* false = only remembered */
    bool is_renamed;
    uint8_t name_bytes;
    char name[];
} stay;

struct ln_roster {
    const ln_allocator *alloc;
    ln_roster_limits limits;
    ln_map rooms;    /* name to room */
    ln_map people;   /* id to person */
    ln_link changed; /* rooms, the longest waiting first */
    uint64_t version;
    /* What the last news pointed to, inside this block. */
    ln_presence *joined; /* list_max of them */
    uint64_t *left;      /* list_max of them */
    char *told_room;     /* room_max_bytes */
};

ln_roster *ln_roster_new(const ln_allocator *alloc, const ln_roster_limits *limits,
                         const uint64_t seed[2])
{
    LN_ASSERT(limits->room_max_bytes > 0 && limits->rooms > 0);
    LN_ASSERT(limits->people_per_room > 0 && limits->rooms_per_person > 0);
    LN_ASSERT(limits->list_max > 0 && limits->list_max <= LN_ROSTER_LIST_MAX);

    const size_t list = limits->list_max;
    const size_t lists_bytes = list * (sizeof(ln_presence) + sizeof(uint64_t));
    ln_roster *r = ln_alloc(alloc, sizeof *r + lists_bytes + limits->room_max_bytes);
    if (!r)
        return NULL;
    *r = (ln_roster){.alloc = alloc, .limits = *limits};
    r->joined = (ln_presence *)(r + 1);
    r->left = (uint64_t *)(r->joined + list);
    r->told_room = (char *)(r->left + list);
    ln_map_init(&r->rooms, alloc, seed);
    ln_map_init(&r->people, alloc, seed);
    ln_list_init(&r->changed);
    return r;
}

static stay *stay_of(ln_link *in_room)
{
    return LN_CONTAINER_OF(in_room, stay, in_room);
}

static ln_span id_key(const uint64_t *id)
{
    return (ln_span){id, sizeof *id};
}

static ln_presence presence_of(const stay *s)
{
    return (ln_presence){.id = s->person->id, .name = {s->name, s->name_bytes}};
}

/* -- Coming to be and passing away ------------------------------------------------------------- */

static int find_or_add_room(ln_roster *r, ln_span name, room **found)
{
    room *at = ln_map_find(&r->rooms, name);
    if (!at) {
        if (r->rooms.count >= r->limits.rooms)
            return LN_ERR_LIMIT;
        at = ln_alloc(r->alloc, sizeof *at + name.size);
        if (!at)
            return LN_ERR_NOMEM;
        *at = (room){.is_listed = true, .name_bytes = (uint32_t)name.size};
        memcpy(at->name, name.data, name.size);
        ln_list_init(&at->changed);
        ln_list_init(&at->settled);
        ln_list_init(&at->pending);
        const int rc = ln_map_add(&r->rooms, (ln_span){at->name, at->name_bytes}, at);
        if (rc < 0) {
            ln_free(r->alloc, at);
            return rc;
        }
    }
    *found = at;
    return 0;
}

static int find_or_add_person(ln_roster *r, uint64_t id, person **found)
{
    person *p = ln_map_find(&r->people, id_key(&id));
    if (!p) {
        p = ln_alloc(r->alloc, sizeof *p);
        if (!p)
            return LN_ERR_NOMEM;
        *p = (person){.id = id};
        ln_list_init(&p->stays);
        const int rc = ln_map_add(&r->people, id_key(&p->id), p);
        if (rc < 0) {
            ln_free(r->alloc, p);
            return rc;
        }
    }
    *found = p;
    return 0;
}

static void drop_unknown(ln_roster *r, person *p)
{
    if (!ln_list_is_empty(&p->stays))
        return;
    LN_ASSERT(p->rooms == 0);
    (void)ln_map_remove(&r->people, id_key(&p->id));
    ln_free(r->alloc, p);
}

static void drop_stay(ln_roster *r, stay *s)
{
    ln_list_remove(&s->in_room);
    ln_list_remove(&s->in_person);
    drop_unknown(r, s->person);
    ln_free(r->alloc, s);
}

/* A room that is only counted was told as more than list_max, so becoming listable is a change of
 * the number too. */
static bool has_changed(const room *at)
{
    return at->is_listed ? !ln_list_is_empty(&at->pending) : at->here != at->told;
}

/* After every change: invariants 1 and 2. Frees an empty room of which there is nothing to tell. */
static void review(ln_roster *r, room *at)
{
    const bool changed = has_changed(at);
    if (changed && ln_list_is_empty(&at->changed))
        ln_list_add(&r->changed, &at->changed);
    if (changed)
        return;
    ln_list_remove(&at->changed);
    if (at->here > 0)
        return;
    LN_ASSERT(ln_list_is_empty(&at->settled) && ln_list_is_empty(&at->pending));
    (void)ln_map_remove(&r->rooms, (ln_span){at->name, at->name_bytes});
    ln_free(r->alloc, at);
}

static void drop_ring(ln_roster *r, ln_link *ring)
{
    while (!ln_list_is_empty(ring)) {
        stay *s = stay_of(ring->next);
        s->person->rooms -= s->is_here;
        drop_stay(r, s);
    }
}

void ln_roster_free(ln_roster *r)
{
    if (!r)
        return;
    size_t cursor = 0;
    for (room *at; (at = ln_map_next(&r->rooms, &cursor)) != NULL;) {
        drop_ring(r, &at->settled);
        drop_ring(r, &at->pending);
        ln_free(r->alloc, at);
    }
    LN_ASSERT(r->people.count == 0);
    ln_map_fini(&r->rooms);
    ln_map_fini(&r->people);
    ln_free(r->alloc, r);
}

/* -- Joining and leaving ----------------------------------------------------------------------- */

/* A person's rooms are few (rooms_per_person), whatever the room's size. */
static stay *find_stay(const person *p, const room *at)
{
    for (ln_link *link = p->stays.next; link != &p->stays; link = link->next) {
        stay *s = LN_CONTAINER_OF(link, stay, in_person);
        if (s->room == at)
            return s;
    }
    return NULL;
}

static stay *find(const ln_roster *r, ln_span name, uint64_t id)
{
    const room *at = ln_map_find(&r->rooms, name);
    const person *p = ln_map_find(&r->people, id_key(&id));
    return at && p ? find_stay(p, at) : NULL;
}

/* Puts `s` at the end of the ring it belongs to. */
static void file(stay *s)
{
    room *at = s->room;
    const bool is_as_told = s->was_there && s->is_here && !s->is_renamed;
    ln_list_remove(&s->in_room);
    ln_list_add(is_as_told || !at->is_listed ? &at->settled : &at->pending, &s->in_room);
}

/* A stay in no ring yet. */
static stay *new_stay(ln_roster *r, room *at, person *p, ln_span name)
{
    stay *s = ln_alloc(r->alloc, sizeof *s + name.size);
    if (!s)
        return NULL;
    *s = (stay){.room = at, .person = p, .name_bytes = (uint8_t)name.size};
    if (name.size > 0)
        memcpy(s->name, name.data, name.size);
    ln_list_init(&s->in_room);
    ln_list_init(&s->in_person);
    return s;
}

/* A stay in the place of `old`, with another name; NULL leaves `old`. */
static stay *renamed(ln_roster *r, stay *old, ln_span name)
{
    stay *s = new_stay(r, old->room, old->person, name);
    if (!s)
        return NULL;
    s->was_there = old->was_there;
    s->is_here = old->is_here;
    s->is_renamed = true;
    ln_list_add(&old->in_room, &s->in_room);
    ln_list_add(&old->in_person, &s->in_person);
    drop_stay(r, old);
    return s;
}

static bool has_space(const ln_roster *r, const room *at, const person *p)
{
    return at->here < r->limits.people_per_room && p->rooms < r->limits.rooms_per_person;
}

static void enter(stay *s)
{
    s->is_here = true;
    s->room->here++;
    s->person->rooms++;
}

/* Somebody who is in the room, or was at the last flush. */
static int join_again(ln_roster *r, stay *s, ln_span name)
{
    if (!s->is_here && !has_space(r, s->room, s->person))
        return LN_ERR_LIMIT;
    if (!ln_text_equal((ln_span){s->name, s->name_bytes}, name)) {
        s = renamed(r, s, name);
        if (!s)
            return LN_ERR_NOMEM;
    }
    if (!s->is_here)
        enter(s);
    file(s);
    review(r, s->room);
    return 0;
}

static int join_first(ln_roster *r, room *at, person *p, ln_span name)
{
    if (!has_space(r, at, p))
        return LN_ERR_LIMIT;
    stay *s = new_stay(r, at, p, name);
    if (!s)
        return LN_ERR_NOMEM;
    ln_list_add(&p->stays, &s->in_person);
    enter(s);
    file(s);
    return 0;
}

int ln_roster_join(ln_roster *r, ln_span room_name, uint64_t id, ln_span name)
{
    if (!ln_name_is_valid(room_name, r->limits.room_max_bytes))
        return LN_ERR_INVALID;
    if (name.size > 0 && !ln_name_is_valid(name, LN_ROSTER_NAME_BYTES))
        return LN_ERR_INVALID;
    stay *known = find(r, room_name, id);
    if (known)
        return join_again(r, known, name);

    room *at;
    int rc = find_or_add_room(r, room_name, &at);
    if (rc < 0)
        return rc;
    person *p;
    rc = find_or_add_person(r, id, &p);
    if (rc == 0) {
        rc = join_first(r, at, p, name);
        drop_unknown(r, p);
    }
    review(r, at);
    return rc;
}

static void leave(ln_roster *r, stay *s)
{
    room *at = s->room;
    LN_ASSERT(s->is_here && at->here > 0 && s->person->rooms > 0);
    s->is_here = false;
    at->here--;
    s->person->rooms--;
    if (at->is_listed && s->was_there)
        file(s);
    else
        drop_stay(r, s);
    review(r, at);
}

int ln_roster_leave(ln_roster *r, ln_span room_name, uint64_t id)
{
    stay *s = find(r, room_name, id);
    if (!s || !s->is_here)
        return LN_ERR_NOT_FOUND;
    leave(r, s);
    return 0;
}

size_t ln_roster_leave_all(ln_roster *r, uint64_t id)
{
    const person *p = ln_map_find(&r->people, id_key(&id));
    if (!p)
        return 0;
    const uint32_t rooms = p->rooms; /* `p` may go with the last */
    const ln_link *link = p->stays.next;
    for (uint32_t left = 0; left < rooms;) {
        stay *s = LN_CONTAINER_OF(link, stay, in_person);
        link = link->next;
        if (!s->is_here)
            continue;
        leave(r, s);
        left++;
    }
    return rooms;
}

/* -- Telling ----------------------------------------------------------------------------------- */

size_t ln_roster_room_count(const ln_roster *r)
{
    return r->rooms.count;
}

size_t ln_roster_count(const ln_roster *r, ln_span room_name)
{
    const room *at = ln_map_find(&r->rooms, room_name);
    return at ? at->here : 0;
}

bool ln_roster_is_in(const ln_roster *r, ln_span room_name, uint64_t id)
{
    const stay *s = find(r, room_name, id);
    return s && s->is_here;
}

size_t ln_roster_list(const ln_roster *r, ln_span room_name, ln_presence *list, size_t max)
{
    const room *at = ln_map_find(&r->rooms, room_name);
    if (!at)
        return 0;
    size_t n = 0;
    const ln_link *const rings[] = {&at->settled, &at->pending};
    for (size_t i = 0; i < LN_ARRAY_SIZE(rings); i++) {
        for (ln_link *link = rings[i]->next; link != rings[i] && n < max; link = link->next)
            if (stay_of(link)->is_here)
                list[n++] = presence_of(stay_of(link));
    }
    return at->here;
}

/* News of nothing, to be filled in. The name is copied: the room may not outlive its news. */
static ln_roster_news news_of(ln_roster *r, const room *at, ln_roster_view view)
{
    memcpy(r->told_room, at->name, at->name_bytes);
    return (ln_roster_news){.room = {r->told_room, at->name_bytes},
                            .view = view,
                            .count = at->here,
                            .version = at->version,
                            .since = at->version,
                            .joined = r->joined,
                            .left = r->left};
}

int ln_roster_snapshot(ln_roster *r, ln_span room_name, ln_roster_news *news)
{
    const room *at = ln_map_find(&r->rooms, room_name);
    if (!at)
        return LN_ERR_NOT_FOUND;
    *news = news_of(r, at, at->is_listed ? LN_ROSTER_LIST : LN_ROSTER_COUNT);
    news->count = at->told;
    if (!at->is_listed)
        return 0;
    const ln_link *const rings[] = {&at->settled, &at->pending};
    for (size_t i = 0; i < LN_ARRAY_SIZE(rings); i++) {
        for (ln_link *link = rings[i]->next; link != rings[i]; link = link->next)
            if (stay_of(link)->was_there)
                r->joined[news->joined_count++] = presence_of(stay_of(link));
    }
    LN_ASSERT(news->joined_count == at->told);
    return 0;
}

/* Everybody in `ring` is told to be there; who has left it is told to be gone. */
static void tell(ln_roster *r, ln_link *ring, ln_roster_news *news)
{
    ln_link *const last = ring->prev; /* who is filed again may land behind it */
    for (ln_link *link = ring->next, *next; link != ring; link = next) {
        stay *s = stay_of(link);
        next = link == last ? ring : link->next;
        if (!s->is_here) {
            r->left[news->left_count++] = s->person->id;
            drop_stay(r, s);
            continue;
        }
        s->was_there = true;
        s->is_renamed = false;
        r->joined[news->joined_count++] = presence_of(s);
        file(s);
    }
    LN_ASSERT(news->joined_count <= r->limits.list_max && news->left_count <= r->limits.list_max);
}

/* Only their number is told: forgets who left, and takes the others as they are. */
static void tell_count(ln_roster *r, room *at)
{
    at->is_listed = false;
    while (!ln_list_is_empty(&at->pending)) {
        stay *s = stay_of(at->pending.next);
        if (s->is_here)
            file(s);
        else
            drop_stay(r, s);
    }
}

static ln_roster_view next_view(const ln_roster *r, const room *at)
{
    if (!has_changed(at))
        return LN_ROSTER_SAME;
    if (at->here > r->limits.list_max)
        return LN_ROSTER_COUNT;
    return at->is_listed ? LN_ROSTER_DIFF : LN_ROSTER_LIST;
}

static void flush(ln_roster *r, room *at, ln_roster_news *news)
{
    const ln_roster_view view = next_view(r, at);
    *news = news_of(r, at, view);
    switch (view) {
    case LN_ROSTER_SAME:
        return;
    case LN_ROSTER_DIFF:
        tell(r, &at->pending, news);
        break;
    case LN_ROSTER_LIST:
        at->is_listed = true;
        tell(r, &at->settled, news);
        break;
    case LN_ROSTER_COUNT:
        tell_count(r, at);
        break;
    }
    at->told = at->here;
    at->version = news->version = ++r->version;
    review(r, at);
}

int ln_roster_flush(ln_roster *r, ln_span room_name, ln_roster_news *news)
{
    room *at = ln_map_find(&r->rooms, room_name);
    if (!at)
        return LN_ERR_NOT_FOUND;
    flush(r, at, news);
    return 0;
}

bool ln_roster_flush_next(ln_roster *r, ln_roster_news *news)
{
    if (ln_list_is_empty(&r->changed))
        return false;
    flush(r, LN_CONTAINER_OF(r->changed.next, room, changed), news);
    LN_ASSERT(news->view != LN_ROSTER_SAME);
    return true;
}
