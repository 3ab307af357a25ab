/* SPDX-License-Identifier: MIT */
/* auth - the object behind linnet/auth.h: options, keys, references. */
#include <linnet/conn.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "authinner.h"
#include "base/alloc.h"
#include "base/limits.h"
#include "base/text.h"

_Static_assert((int)LN_AUTH_TOKEN_MAX_BYTES == (int)LN_DEFAULT_AUTH_TOKEN_MAX_BYTES,
               "as the table says");

int ln_auth_fail(char why[LN_AUTH_WHY_SIZE], int rc, const char *text, ...)
{
    va_list rest;
    va_start(rest, text);
    vsnprintf(why, LN_AUTH_WHY_SIZE, text, rest);
    va_end(rest);
    return rc;
}

static int set_algorithms(ln_auth *a, const char *names, char why[LN_AUTH_WHY_SIZE])
{
    ln_span rest = ln_text(names), name;
    a->algorithms = names == NULL ? UINT32_MAX : 0;
    while (ln_text_next(&rest, ',', &name)) {
        const ln_auth_alg *const alg = ln_auth_alg_find(name);
        if (alg == NULL)
            return ln_auth_fail(why, LN_ERR_INVALID, "there is no algorithm \"%.*s\"",
                                (int)ln_min_size(name.size, 32), (const char *)name.data);
        a->algorithms |= ln_auth_alg_bit(alg);
    }
    return 0;
}

/* A copy of a text that may be NULL. */
static bool keep(const ln_allocator *alloc, const char *text, char **copy)
{
    *copy = text != NULL ? ln_strndup(alloc, text, strlen(text)) : NULL;
    return text == NULL || *copy != NULL;
}

static int set_rules(ln_auth *a, const ln_auth_options *o, char why[LN_AUTH_WHY_SIZE])
{
    const ln_limit *const leeway = ln_limit_find(LN_SPAN("AUTH_LEEWAY_MS"));
    a->requires_expiry = o->requires_expiry;
    if (ln_limit_get(leeway, o->leeway_ms, &a->leeway_ms) < 0)
        return ln_auth_fail(why, LN_ERR_INVALID, "the leeway is more than ten minutes");
    if ((o->issuer != NULL && o->issuer[0] == '\0') ||
        (o->audience != NULL && o->audience[0] == '\0'))
        return ln_auth_fail(why, LN_ERR_INVALID, "issuer or audience is empty");
    if (!keep(a->alloc, o->issuer, &a->issuer) || !keep(a->alloc, o->audience, &a->audience))
        return ln_auth_fail(why, LN_ERR_NOMEM, "out of memory");
    return set_algorithms(a, o->algorithms, why);
}

static int add_keys(ln_auth *a, const ln_auth_options *o, char why[LN_AUTH_WHY_SIZE])
{
    int rc = 0;
    if (o->secret_count + o->key_file_count > LN_AUTH_KEYS_MAX)
        return ln_auth_fail(why, LN_ERR_LIMIT, "more than %d keys", LN_AUTH_KEYS_MAX);
    for (size_t i = 0; i < o->secret_count && rc == 0; i++) {
        rc = ln_auth_key_of_secret(&a->keys[a->key_count], a->alloc, o->secrets[i], "the secret",
                                   why);
        a->key_count += rc == 0;
    }
    for (size_t i = 0; i < o->key_file_count && rc == 0; i++) {
        rc = ln_auth_key_read_public(&a->keys[a->key_count], a->alloc, o->key_files[i], why);
        a->key_count += rc == 0;
    }
    if (rc == 0 && o->jwks_file != NULL) {
        rc = ln_auth_keys_read_set(a->keys + a->key_count, LN_AUTH_KEYS_MAX - a->key_count,
                                   a->alloc, o->jwks_file, why);
        a->key_count += rc > 0 ? (size_t)rc : 0;
    }
    if (rc >= 0 && a->key_count == 0)
        return ln_auth_fail(why, LN_ERR_INVALID, "there is no key to verify tokens with");
    return rc < 0 ? rc : 0;
}

/* Keys that none of the algorithms asked for can use would refuse everybody, silently. */
static int check_use(const ln_auth *a, const ln_auth_options *o, char why[LN_AUTH_WHY_SIZE])
{
    ln_span rest = ln_text(o->algorithms), name;
    while (ln_text_next(&rest, ',', &name)) {
        const ln_auth_alg *const alg = ln_auth_alg_find(name);
        bool is_served = false;
        for (size_t i = 0; i < a->key_count; i++)
            is_served = is_served || ln_auth_alg_fits(alg, &a->keys[i]);
        if (!is_served)
            return ln_auth_fail(why, LN_ERR_INVALID, "no key is good for %s", alg->name);
    }
    return 0;
}

int ln_auth_new(const ln_auth_options *options, ln_auth **auth, char why[LN_AUTH_WHY_SIZE])
{
    ln_auth *const a = ln_alloc_zero(options->allocator, sizeof *a);
    if (a == NULL)
        return ln_auth_fail(why, LN_ERR_NOMEM, "out of memory");
    a->alloc = options->allocator;
    atomic_init(&a->refs, 1);
    int rc = set_rules(a, options, why);
    if (rc == 0)
        rc = add_keys(a, options, why);
    if (rc == 0)
        rc = check_use(a, options, why);
    if (rc < 0)
        ln_auth_unref(a);
    else
        *auth = a;
    return rc;
}

ln_auth *ln_auth_ref(ln_auth *auth)
{
    atomic_fetch_add_explicit(&auth->refs, 1, memory_order_relaxed);
    return auth;
}

void ln_auth_unref(ln_auth *auth)
{
    if (auth == NULL || atomic_fetch_sub_explicit(&auth->refs, 1, memory_order_acq_rel) != 1)
        return;
    for (size_t i = 0; i < auth->key_count; i++)
        ln_auth_key_fini(&auth->keys[i], auth->alloc);
    ln_free(auth->alloc, auth->issuer);
    ln_free(auth->alloc, auth->audience);
    ln_free(auth->alloc, auth);
}
