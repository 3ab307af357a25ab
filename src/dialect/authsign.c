/* SPDX-License-Identifier: MIT */
/* authsign - makes tokens: a header of alg, typ and kid, claims as JSON, a signature. */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "authinner.h"
#include "base/base64.h"
#include "base/text.h"

/* Adds a claim and owns `value`, which is NULL when there was no memory or no JSON. */
static int add(json_t *claims, const char *name, json_t *value, int otherwise,
               char why[LN_AUTH_WHY_SIZE])
{
    int rc = 0;
    if (value == NULL)
        return ln_auth_fail(why, otherwise, "the claim \"%s\" is %s", name,
                            otherwise == LN_ERR_INVALID ? "not UTF-8 or not JSON" : "too much");
    if (json_object_get(claims, name) != NULL)
        rc = ln_auth_fail(why, LN_ERR_EXISTS, "the claim \"%s\" is given twice", name);
    else if (json_object_set(claims, name, value) < 0)
        rc = ln_auth_fail(why, LN_ERR_INVALID, "a claim's name is not UTF-8");
    json_decref(value);
    return rc;
}

static int add_text(json_t *claims, const char *name, const char *text, char why[LN_AUTH_WHY_SIZE])
{
    return text == NULL ? 0 : add(claims, name, json_string(text), LN_ERR_INVALID, why);
}

static int add_date(json_t *claims, const char *name, uint64_t date_s, char why[LN_AUTH_WHY_SIZE])
{
    if (date_s > LN_AUTH_DATE_LAST_S)
        return ln_auth_fail(why, LN_ERR_INVALID, "\"%s\" is no date in seconds", name);
    return date_s == 0 ? 0 : add(claims, name, json_integer((json_int_t)date_s), LN_ERR_NOMEM, why);
}

static int add_roles(json_t *claims, const ln_auth_token *t, char why[LN_AUTH_WHY_SIZE])
{
    if (t->role_count == 0)
        return 0;
    json_t *const roles = json_array();
    for (size_t i = 0; i < t->role_count; i++)
        if (json_array_append_new(roles, json_string(t->roles[i])) < 0) {
            json_decref(roles);
            return ln_auth_fail(why, LN_ERR_INVALID, "a role is not UTF-8");
        }
    return add(claims, "roles", roles, LN_ERR_NOMEM, why);
}

static int add_claim(json_t *claims, const ln_auth_claim *c, char why[LN_AUTH_WHY_SIZE])
{
    if (c->name == NULL || c->name[0] == '\0')
        return ln_auth_fail(why, LN_ERR_INVALID, "a claim without a name");
    if (c->text != NULL)
        return add_text(claims, c->name, c->text, why);
    json_t *const value = c->json != NULL
                              ? json_loads(c->json, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, NULL)
                              : NULL;
    return add(claims, c->name, value, LN_ERR_INVALID, why);
}

static int collect(const ln_auth_token *t, json_t *claims, char why[LN_AUTH_WHY_SIZE])
{
    const struct {
        const char *name, *text;
    } texts[] = {{"iss", t->issuer}, {"sub", t->id}, {"aud", t->audience}, {"name", t->name}};
    const struct {
        const char *name;
        uint64_t date_s;
    } dates[] = {{"iat", t->issued_s}, {"nbf", t->not_before_s}, {"exp", t->expires_s}};
    int rc = 0;
    for (size_t i = 0; i < LN_ARRAY_SIZE(texts) && rc == 0; i++)
        rc = add_text(claims, texts[i].name, texts[i].text, why);
    if (rc == 0)
        rc = add_roles(claims, t, why);
    for (size_t i = 0; i < LN_ARRAY_SIZE(dates) && rc == 0; i++)
        rc = add_date(claims, dates[i].name, dates[i].date_s, why);
    for (size_t i = 0; i < t->claim_count && rc == 0; i++)
        rc = add_claim(claims, &t->claims[i], why);
    return rc;
}

/* The key, weighed as one that would verify. */
static int read_key(const ln_auth_token *t, const ln_auth_alg *alg, ln_auth_key *key,
                    char why[LN_AUTH_WHY_SIZE])
{
    if ((alg->family == LN_AUTH_HMAC) == (t->key_file != NULL) ||
        (alg->family == LN_AUTH_HMAC) != (t->secret.size > 0))
        return ln_auth_fail(why, LN_ERR_INVALID, "%s takes a %s and nothing else", alg->name,
                            alg->family == LN_AUTH_HMAC ? "secret" : "private key");
    const int rc = alg->family == LN_AUTH_HMAC
                       ? ln_auth_key_of_secret(key, NULL, t->secret, "the secret", why)
                       : ln_auth_key_read_private(key, NULL, t->key_file, why);
    if (rc == 0 && !ln_auth_alg_fits(alg, key)) {
        ln_auth_key_fini(key, NULL);
        return ln_auth_fail(why, LN_ERR_INVALID, "the key is not good for %s", alg->name);
    }
    return rc;
}

static json_t *header_of(const ln_auth_token *t, const ln_auth_alg *alg)
{
    return t->key_id != NULL
               ? json_pack("{s:s, s:s, s:s}", "alg", alg->name, "typ", "JWT", "kid", t->key_id)
               : json_pack("{s:s, s:s}", "alg", alg->name, "typ", "JWT");
}

/* Appends bytes as base64url at text[*n]. */
static int append(ln_span bytes, char text[LN_AUTH_TOKEN_MAX_BYTES + 1], size_t *n,
                  char why[LN_AUTH_WHY_SIZE])
{
    if (ln_base64_size_url(bytes.size) + 1 > LN_AUTH_TOKEN_MAX_BYTES - *n)
        return ln_auth_fail(why, LN_ERR_TOO_BIG, "the token would be longer than %d bytes",
                            LN_AUTH_TOKEN_MAX_BYTES);
    ln_base64_write_url(bytes, text + *n);
    *n += ln_base64_size_url(bytes.size);
    return 0;
}

static int write_token(const ln_auth_alg *alg, const ln_auth_key *key, const char *header,
                       const char *claims, char text[LN_AUTH_TOKEN_MAX_BYTES + 1],
                       char why[LN_AUTH_WHY_SIZE])
{
    uint8_t signature[LN_AUTH_SIGNATURE_SIZE];
    size_t n = 0;
    int rc = append(ln_text(header), text, &n, why);
    if (rc < 0)
        return rc;
    text[n++] = '.';
    rc = append(ln_text(claims), text, &n, why);
    if (rc < 0)
        return rc;
    rc = ln_auth_jws_sign(alg, key, (ln_span){text, n}, signature);
    if (rc < 0)
        return ln_auth_fail(why, rc, "the token could not be signed: %s", ln_strerror(rc));
    text[n++] = '.';
    rc = append((ln_span){signature, (size_t)rc}, text, &n, why);
    if (rc < 0)
        return rc;
    text[n] = '\0';
    return (int)n;
}

static int sign(const ln_auth_token *t, const ln_auth_alg *alg, const ln_auth_key *key,
                const json_t *claims, char text[LN_AUTH_TOKEN_MAX_BYTES + 1],
                char why[LN_AUTH_WHY_SIZE])
{
    json_t *const header = header_of(t, alg);
    if (header == NULL)
        return ln_auth_fail(why, LN_ERR_INVALID, "the key's name is not UTF-8");
    char *const header_text = json_dumps(header, JSON_COMPACT);
    char *const claims_text = json_dumps(claims, JSON_COMPACT);
    const int rc = header_text != NULL && claims_text != NULL
                       ? write_token(alg, key, header_text, claims_text, text, why)
                       : ln_auth_fail(why, LN_ERR_NOMEM, "out of memory");
    free(header_text);
    free(claims_text);
    json_decref(header);
    return rc;
}

int ln_auth_sign(const ln_auth_token *token, char text[LN_AUTH_TOKEN_MAX_BYTES + 1],
                 char why[LN_AUTH_WHY_SIZE])
{
    const ln_auth_alg *const alg = ln_auth_alg_find(ln_text(token->algorithm));
    ln_auth_key key;
    if (alg == NULL)
        return ln_auth_fail(why, LN_ERR_INVALID, "there is no such algorithm");
    int rc = read_key(token, alg, &key, why);
    if (rc < 0)
        return rc;
    json_t *const claims = json_object();
    rc = claims != NULL ? collect(token, claims, why)
                        : ln_auth_fail(why, LN_ERR_NOMEM, "out of memory");
    if (rc == 0)
        rc = sign(token, alg, &key, claims, text, why);
    json_decref(claims);
    ln_auth_key_fini(&key, NULL);
    return rc;
}
