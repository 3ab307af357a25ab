/* SPDX-License-Identifier: MIT */
/*
 * roomspolicy.c - keys and rules on a shelf, where workers read them without a lock; passwords in a
 * table under rooms.lock, held for one look-up.
 */
#include <string.h>

#include "base/text.h"
#include "hub/filter.h"
#include "net/random.h"
#include "password.h"
#include "roomsinner.h"

/* A room's password. */
typedef struct entry {
    char *hash; /* owned */
    size_t hash_size;
    size_t room_size;
    char room[];
} entry;

/* ---- the table of passwords ---- */

static void free_entry(entry *e, const ln_allocator *alloc)
{
    if (e == NULL)
        return;
    ln_free(alloc, e->hash);
    ln_free(alloc, e);
}

static void free_map(ln_map *map, const ln_allocator *alloc)
{
    size_t cursor = 0;

    for (void *e = ln_map_next(map, &cursor); e != NULL; e = ln_map_next(map, &cursor))
        free_entry(e, alloc);
    ln_map_fini(map);
}

static void init_map(ln_map *map, const ln_allocator *alloc)
{
    uint64_t seed[2];

    ln_random_fill(seed, sizeof seed);
    ln_map_init(map, alloc, seed);
}

static int make_entry(const ln_rooms *rm, ln_span room, ln_span hash, entry **made)
{
    if (!ln_rooms_is_room(rm, room) || hash.size > LN_ROOMS_HASH_MAX_BYTES ||
        !ln_password_is_hash(hash))
        return LN_ERR_INVALID;
    entry *const e = ln_alloc_zero(rm->alloc, sizeof *e + room.size);
    char *const copy = ln_strndup(rm->alloc, hash.data, hash.size);
    if (e == NULL || copy == NULL) {
        ln_free(rm->alloc, copy);
        ln_free(rm->alloc, e);
        return LN_ERR_NOMEM;
    }
    e->hash = copy;
    e->hash_size = hash.size;
    e->room_size = room.size;
    memcpy(e->room, room.data, room.size);
    *made = e;
    return 0;
}

/* Adds `*e`, or changes places with the hash of the one that is there. What is left in *e, NULL or
 * an entry, is the caller's to free. */
static int put_entry(ln_map *map, entry **e)
{
    const ln_span room = {(*e)->room, (*e)->room_size};
    entry *const old = ln_map_find(map, room);

    if (old != NULL) {
        const entry fresh = **e;
        (*e)->hash = old->hash;
        (*e)->hash_size = old->hash_size;
        old->hash = fresh.hash;
        old->hash_size = fresh.hash_size;
        return 0;
    }
    const int rc = map->count >= LN_ROOMS_PASSWORDS_MAX ? LN_ERR_LIMIT : ln_map_add(map, room, *e);
    if (rc == 0)
        *e = NULL;
    return rc;
}

static int fill_map(const ln_rooms *rm, const ln_rooms_policy *policy, ln_map *map)
{
    int rc = 0;

    for (size_t i = 0; i < policy->password_count && rc == 0; i++) {
        const ln_rooms_password *const p = &policy->passwords[i];
        entry *e = NULL;
        rc = make_entry(rm, ln_text(p->room), ln_text(p->hash), &e);
        if (rc == 0)
            rc = put_entry(map, &e);
        free_entry(e, rm->alloc);
    }
    return rc;
}

size_t ln_rooms_find_hash(ln_rooms *rm, ln_span room, char hash[LN_ROOMS_HASH_MAX_BYTES])
{
    size_t n = 0;

    if (atomic_load_explicit(&rm->password_count, memory_order_acquire) == 0)
        return 0;
    ln_lock_take(&rm->lock);
    const entry *const e = ln_map_find(&rm->passwords, room);
    if (e != NULL) {
        n = e->hash_size;
        memcpy(hash, e->hash, n);
    }
    ln_lock_give(&rm->lock);
    return n;
}

int ln_rooms_set_password(ln_rooms *rm, ln_span room, const char *hash)
{
    entry *e = NULL;
    int rc = 0;

    if (hash != NULL)
        rc = make_entry(rm, room, ln_text(hash), &e);
    if (rc < 0)
        return rc;
    ln_lock_take(&rm->lock);
    if (hash != NULL)
        rc = put_entry(&rm->passwords, &e);
    else
        e = ln_map_remove(&rm->passwords, room);
    atomic_store_explicit(&rm->password_count, rm->passwords.count, memory_order_release);
    ln_lock_give(&rm->lock);
    free_entry(e, rm->alloc);
    return rc;
}

/* ---- the law ---- */

static void free_law(void *version, const ln_allocator *alloc)
{
    ln_rooms_law *const law = version;

    ln_auth_unref(law->auth);
    ln_rules_unref(law->rules);
    ln_free(alloc, law);
}

static ln_rooms_law *make_law(const ln_rooms *rm, const ln_rooms_policy *policy)
{
    ln_rooms_law *const law = ln_alloc(rm->alloc, sizeof *law);

    if (law != NULL)
        *law = (ln_rooms_law){policy->auth == NULL ? NULL : ln_auth_ref(policy->auth),
                              ln_rules_ref(policy->rules)};
    return law;
}

const ln_rooms_law *ln_rooms_law_of(const ln_rooms *rm)
{
    return ln_shelf_get(&rm->law);
}

/* Under the lock: has a room of this name, or any that the filter matches, a password? */
static bool is_locked(const ln_map *passwords, ln_span name)
{
    size_t cursor = 0;

    if (!ln_filter_is(name))
        return ln_map_find(passwords, name) != NULL;
    for (const entry *e = ln_map_next(passwords, &cursor); e != NULL;
         e = ln_map_next(passwords, &cursor))
        if (ln_filter_matches(name, (ln_span){e->room, e->room_size}))
            return true;
    return false;
}

bool ln_rooms_may(ln_rooms *rm, const ln_identity *identity, ln_verb_bit verb, ln_span name)
{
    if (!ln_filter_is(name) && !ln_rooms_is_room(rm, name))
        return true;
    if (identity == NULL && rm->options.tokens == LN_ROOMS_TOKENS_REQUIRED)
        return false;
    if (!ln_rules_allow(ln_rooms_law_of(rm)->rules, identity, verb, name))
        return false;
    if (atomic_load_explicit(&rm->password_count, memory_order_acquire) == 0)
        return true;
    ln_lock_take(&rm->lock);
    const bool is_closed = is_locked(&rm->passwords, name);
    ln_lock_give(&rm->lock);
    return !is_closed;
}

/*
 * Is `secret` one that tokens are signed with? Asked of the keys themselves: they would know a
 * token that it signed, whatever they think of the rest. LN_ERR_INVALID: it is.
 */
static int check_secret(const ln_auth *auth, ln_span secret)
{
    static const char *const algorithms[] = {"HS256", "HS384", "HS512"};
    char text[LN_AUTH_TOKEN_MAX_BYTES + 1], why[LN_AUTH_WHY_SIZE];

    for (size_t i = 0; auth != NULL && secret.size > 0 && i < LN_ARRAY_SIZE(algorithms); i++) {
        const ln_auth_token token = {.algorithm = algorithms[i], .secret = secret};
        const ln_identity *identity = NULL;
        enum ln_auth_verdict verdict = LN_AUTH_MALFORMED;
        const int n = ln_auth_sign(&token, text, why);
        if (n == LN_ERR_NOMEM)
            return n;
        if (n < 0)
            continue; /* too short for this one, so it is no key for it either */
        const int rc = ln_auth_verify(auth, (ln_span){text, (size_t)n}, 0, &identity, &verdict);
        ln_identity_unref(identity);
        if (rc == LN_ERR_NOMEM)
            return rc;
        if (rc == 0 || verdict > LN_AUTH_BAD_SIGNATURE)
            return LN_ERR_INVALID;
    }
    return 0;
}

static int check(const ln_rooms *rm, const ln_rooms_policy *policy)
{
    if (rm->options.tokens == LN_ROOMS_TOKENS_REQUIRED && policy->auth == NULL)
        return LN_ERR_INVALID;
    return check_secret(policy->auth, rm->options.admin_secret);
}

/* ---- all of it ---- */

static void swap_passwords(ln_rooms *rm, ln_map *map)
{
    ln_lock_take(&rm->lock);
    const ln_map old = rm->passwords;
    rm->passwords = *map;
    *map = old;
    atomic_store_explicit(&rm->password_count, rm->passwords.count, memory_order_release);
    ln_lock_give(&rm->lock);
}

/* One call at a time: the shelf is taken. The errand and what was replaced are the caller's. */
static int exchange(ln_rooms *rm, ln_rooms_law *law, ln_map *map)
{
    (void)ln_shelf_take(&rm->law);
    const int rc = ln_shelf_put(&rm->law, law);
    if (rc == 0)
        swap_passwords(rm, map);
    ln_shelf_give(&rm->law);
    return rc;
}

int ln_rooms_set_policy(ln_rooms *rm, const ln_rooms_policy *policy)
{
    ln_map map;

    int rc = check(rm, policy);
    if (rc < 0)
        return rc;
    init_map(&map, rm->alloc);
    ln_rooms_law *const law = make_law(rm, policy);
    ln_rooms_errand *const judging = ln_rooms_errand_of_judging(rm);
    rc = law == NULL || judging == NULL ? LN_ERR_NOMEM : fill_map(rm, policy, &map);
    if (rc == 0)
        rc = exchange(rm, law, &map);
    if (rc == 0) {
        ln_rooms_errand_send(judging);
    } else {
        ln_rooms_errand_free(judging);
        if (law != NULL)
            free_law(law, rm->alloc);
    }
    free_map(&map, rm->alloc);
    return rc;
}

void ln_rooms_policy_init(ln_rooms *rm)
{
    ln_lock_init(&rm->lock);
    init_map(&rm->passwords, rm->alloc);
    ln_shelf_init(&rm->law, rm->server, free_law);
}

void ln_rooms_policy_fini(ln_rooms *rm)
{
    ln_shelf_fini(&rm->law);
    free_map(&rm->passwords, rm->alloc);
    ln_lock_fini(&rm->lock);
}
