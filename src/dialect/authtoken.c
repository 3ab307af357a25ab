/* SPDX-License-Identifier: MIT */
/*
 * authtoken - judges a token: its form, its header, its signature, and only then what it says.
 *
 * Invariants
 *   1. What a token claims is parsed after its signature has been found good, and never before.
 *   2. A key is chosen by what it is: the header can only fit or not fit (RFC 8725 3.1).
 *   3. What stands in the header besides alg, kid, crit and b64 is not looked at: no key, address
 *      or certificate is ever taken from a token.
 */
#include <jansson.h>
#include <string.h>

#include "authinner.h"
#include "base/base64.h"
#include "base/text.h"
#include "identity.h"

enum { PARTS = 3, HEADER = 0, CLAIMS = 1, SIGNATURE = 2 };

typedef struct judgement {
    const ln_auth *auth;
    ln_span token;
    ln_span parts[PARTS];
    const ln_auth_alg *alg;
    ln_span key_id; /* data NULL = none */
    uint64_t now_ms;
    uint64_t expires_ms;
    enum ln_auth_verdict verdict;
    uint8_t bytes[LN_AUTH_TOKEN_MAX_BYTES]; /* of one part at a time */
} judgement;

/* Every refusal goes through here. */
static int refuse(judgement *j, enum ln_auth_verdict verdict)
{
    j->verdict = verdict;
    return LN_ERR_POLICY;
}

static int split(judgement *j)
{
    const char *at = j->token.data;
    const char *const end = at + j->token.size;
    for (int i = 0; i < PARTS; i++) {
        const char *const dot = i < SIGNATURE ? memchr(at, '.', (size_t)(end - at)) : end;
        if (dot == NULL)
            return refuse(j, LN_AUTH_MALFORMED);
        j->parts[i] = (ln_span){at, (size_t)(dot - at)};
        at = dot + 1;
    }
    return 0;
}

/* A part's bytes, in j->bytes. */
static int decode(judgement *j, int part, ln_span *bytes)
{
    const int n = ln_base64_read_url(j->parts[part], j->bytes, sizeof j->bytes);
    if (n < 0)
        return refuse(j, LN_AUTH_MALFORMED);
    *bytes = (ln_span){j->bytes, (size_t)n};
    return 0;
}

/* A part as a JSON object, owned, and its text in j->bytes. */
static int parse(judgement *j, int part, ln_span *text, json_t **object)
{
    int rc = decode(j, part, text);
    if (rc == 0)
        rc = ln_auth_json_read(*text, object) == 0 ? 0 : refuse(j, LN_AUTH_MALFORMED);
    return rc;
}

static bool is_text_or_absent(const json_t *object, const char *name)
{
    const json_t *const value = json_object_get(object, name);
    return value == NULL || json_is_string(value);
}

/* ---- header and signature ---- */

/* RFC 7515 4.1.11: what must be understood, is not; RFC 7797 is something of that kind. */
static int judge_header(judgement *j, const json_t *header)
{
    if (!is_text_or_absent(header, "alg") || !is_text_or_absent(header, "kid"))
        return refuse(j, LN_AUTH_MALFORMED);
    if (json_object_get(header, "crit") != NULL || json_object_get(header, "b64") != NULL)
        return refuse(j, LN_AUTH_UNSUPPORTED);
    j->alg = ln_auth_alg_find(ln_auth_json_text(header, "alg"));
    if (j->alg == NULL || (j->auth->algorithms & ln_auth_alg_bit(j->alg)) == 0)
        return refuse(j, LN_AUTH_UNSUPPORTED);
    j->key_id = ln_auth_json_text(header, "kid");
    return 0;
}

static bool is_candidate(const judgement *j, const ln_auth_key *key)
{
    return ln_auth_alg_fits(j->alg, key) && (j->key_id.data == NULL || key->id == NULL ||
                                             ln_text_equal(j->key_id, ln_text(key->id)));
}

/* Needs the header alive, whose "kid" it compares. */
static int judge_signature(judgement *j)
{
    const ln_span input = {j->token.data, j->parts[HEADER].size + 1 + j->parts[CLAIMS].size};
    ln_span signature;
    bool has_key = false;
    int rc = decode(j, SIGNATURE, &signature);
    for (size_t i = 0; i < j->auth->key_count && rc == 0; i++) {
        const ln_auth_key *const key = &j->auth->keys[i];
        if (!is_candidate(j, key))
            continue;
        has_key = true;
        rc = ln_auth_jws_verify(j->alg, key, input, signature);
    }
    if (rc == 0)
        return refuse(j, has_key ? LN_AUTH_BAD_SIGNATURE : LN_AUTH_UNKNOWN_KEY);
    return rc > 0 ? 0 : rc;
}

/* ---- claims ---- */

/* A date in milliseconds, or `otherwise` where there is none. */
static int get_date(judgement *j, const json_t *claims, const char *name, uint64_t otherwise,
                    uint64_t *date_ms)
{
    const json_t *const value = json_object_get(claims, name);
    *date_ms = otherwise;
    if (value == NULL)
        return 0;
    if (!json_is_integer(value) || json_integer_value(value) < 0 ||
        json_integer_value(value) > LN_AUTH_DATE_LAST_S)
        return refuse(j, LN_AUTH_MALFORMED);
    *date_ms = (uint64_t)json_integer_value(value) * 1000;
    return 0;
}

static int judge_time(judgement *j, const json_t *claims)
{
    const uint64_t leeway_ms = j->auth->leeway_ms;
    uint64_t expires_ms, begins_ms, issued_ms;
    int rc = get_date(j, claims, "exp", UINT64_MAX, &expires_ms);
    if (rc == 0)
        rc = get_date(j, claims, "nbf", 0, &begins_ms);
    if (rc == 0)
        rc = get_date(j, claims, "iat", 0, &issued_ms);
    if (rc < 0)
        return rc;
    if (expires_ms == UINT64_MAX && j->auth->requires_expiry)
        return refuse(j, LN_AUTH_NO_EXPIRY);
    if (expires_ms != UINT64_MAX)
        expires_ms += leeway_ms;
    if (j->now_ms >= expires_ms)
        return refuse(j, LN_AUTH_EXPIRED);
    if (begins_ms > leeway_ms && j->now_ms < begins_ms - leeway_ms)
        return refuse(j, LN_AUTH_NOT_YET);
    j->expires_ms = expires_ms;
    return 0;
}

/* `value` is this text, or an array that holds it. */
static bool names(const json_t *value, const char *text)
{
    const ln_span wanted = ln_text(text);
    if (json_is_string(value))
        return ln_text_equal((ln_span){json_string_value(value), json_string_length(value)},
                             wanted);
    for (size_t i = 0; i < json_array_size(value); i++) {
        const json_t *const v = json_array_get(value, i);
        if (json_is_string(v) &&
            ln_text_equal((ln_span){json_string_value(v), json_string_length(v)}, wanted))
            return true;
    }
    return false;
}

static int judge_parties(judgement *j, const json_t *claims)
{
    const json_t *const issuer = json_object_get(claims, "iss");
    if (j->auth->issuer != NULL && (!json_is_string(issuer) || !names(issuer, j->auth->issuer)))
        return refuse(j, LN_AUTH_WRONG_ISSUER);
    if (j->auth->audience != NULL && !names(json_object_get(claims, "aud"), j->auth->audience))
        return refuse(j, LN_AUTH_WRONG_AUDIENCE);
    return 0;
}

/* The strings among the roles; their number, or -1 for too many. */
static int get_roles(const json_t *claims, ln_span roles[LN_AUTH_ROLES_MAX])
{
    const json_t *const value = json_object_get(claims, "roles");
    int count = 0;
    if (json_is_string(value))
        roles[count++] = ln_auth_json_text(claims, "roles");
    for (size_t i = 0; i < json_array_size(value); i++) {
        const json_t *const v = json_array_get(value, i);
        if (!json_is_string(v))
            continue;
        if (count == LN_AUTH_ROLES_MAX)
            return -1;
        roles[count++] = (ln_span){json_string_value(v), json_string_length(v)};
    }
    return count;
}

static int introduce(judgement *j, const json_t *claims, ln_span text, const ln_identity **identity)
{
    ln_span roles[LN_AUTH_ROLES_MAX];
    const int role_count = get_roles(claims, roles);
    if (role_count < 0)
        return refuse(j, LN_AUTH_MALFORMED);
    const ln_identity parts = {.id = ln_auth_json_text(claims, "sub"),
                               .name = ln_auth_json_text(claims, "name"),
                               .email = ln_auth_json_text(claims, "email"),
                               .roles = roles,
                               .role_count = (size_t)role_count,
                               .expires_ms = j->expires_ms,
                               .claims = text};
    return ln_identity_new(j->auth->alloc, &parts, identity);
}

static int judge_claims(judgement *j, const ln_identity **identity)
{
    json_t *claims;
    ln_span text;
    int rc = parse(j, CLAIMS, &text, &claims);
    if (rc < 0)
        return rc;
    rc = judge_time(j, claims);
    if (rc == 0)
        rc = judge_parties(j, claims);
    if (rc == 0)
        rc = introduce(j, claims, text, identity);
    json_decref(claims);
    return rc;
}

static int judge(judgement *j, const ln_identity **identity)
{
    json_t *header;
    ln_span text;
    int rc = split(j);
    if (rc == 0)
        rc = parse(j, HEADER, &text, &header);
    if (rc < 0)
        return rc;
    rc = judge_header(j, header);
    if (rc == 0)
        rc = judge_signature(j);
    json_decref(header);
    return rc == 0 ? judge_claims(j, identity) : rc;
}

int ln_auth_verify(const ln_auth *auth, ln_span token, uint64_t now_ms,
                   const ln_identity **identity, enum ln_auth_verdict *verdict)
{
    judgement j; /* 8 KiB that need not be cleared */
    j.auth = auth;
    j.token = token;
    j.now_ms = now_ms;
    j.verdict = LN_AUTH_GOOD;
    const int rc = token.size > LN_AUTH_TOKEN_MAX_BYTES ? refuse(&j, LN_AUTH_TOO_LONG)
                   : token.size == 0                    ? refuse(&j, LN_AUTH_MALFORMED)
                                                        : judge(&j, identity);
    if (verdict != NULL && rc != LN_ERR_NOMEM)
        *verdict = j.verdict;
    return rc;
}
