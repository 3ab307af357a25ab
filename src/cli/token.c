/* SPDX-License-Identifier: MIT */
/*
 * token - `linnet token`: signs and verifies tokens as `linnet serve` would (linnet/auth.h).
 *
 * A secret comes from a file or the environment, never from the command line, where every process
 * of the machine could read it. A token to be verified may come by standard input for that reason.
 */
#include <linnet/auth.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/text.h"
#include "secret.h"
#include "units.h"
#include "verb.h"

#define SECRET_VARIABLE "LINNET_JWT_SECRET"

/*
 * The secret from `file`, or else, where `may_ask` says that nothing better was given, from the
 * environment; empty if there is none. LN_EXIT_NOT_YET, or the exit code.
 */
static int read_secret(const ln_verb *verb, const char *file, bool may_ask,
                       char room[LN_SECRET_SIZE], ln_span *secret)
{
    const char *const text = may_ask ? getenv(SECRET_VARIABLE) : NULL;
    *secret = ln_text(text);
    if (file == NULL)
        return LN_EXIT_NOT_YET;
    const int rc = ln_secret_read(file, room);
    if (rc < 0) {
        fprintf(stderr, "linnet %s: %s: %s\n", verb->name, file, ln_strerror(rc));
        return LN_EXIT_FAILED;
    }
    *secret = ln_text(room);
    return LN_EXIT_NOT_YET;
}

/* ---- sign ---- */

typedef struct sign_settings {
    char *algorithm, *secret_file, *key_file, *key_id;
    char *id, *name, *issuer, *audience;
    char *expires, *not_before; /* from now */
    ln_option_list roles;
    ln_option_list claims;
} sign_settings;

#define AT(member) offsetof(sign_settings, member)

static const ln_option sign_options[] = {
    {.name = "alg",
     .letter = 'a',
     .type = LN_OPTION_TEXT,
     .offset = AT(algorithm),
     .value = "NAME",
     .help = "how to sign: HS, RS, PS or ES with 256, 384 or 512; without it HS256, if there is a "
             "secret"},
    {.name = "secret-file",
     .type = LN_OPTION_TEXT,
     .offset = AT(secret_file),
     .value = "FILE",
     .help = "its first line is the secret, of 32 bytes at least; without it, $" SECRET_VARIABLE},
    {.name = "key",
     .letter = 'k',
     .type = LN_OPTION_TEXT,
     .offset = AT(key_file),
     .value = "FILE",
     .help = "PEM private key, for RS, PS and ES"},
    {.name = "kid",
     .type = LN_OPTION_TEXT,
     .offset = AT(key_id),
     .value = "NAME",
     .help = "which key it is, for those who have several"},
    {.help = "Claims"},
    {.name = "sub",
     .letter = 's',
     .type = LN_OPTION_TEXT,
     .offset = AT(id),
     .value = "ID",
     .help = "the user"},
    {.name = "name",
     .letter = 'n',
     .type = LN_OPTION_TEXT,
     .offset = AT(name),
     .value = "NAME",
     .help = "what others see"},
    {.name = "role",
     .letter = 'r',
     .type = LN_OPTION_LIST,
     .offset = AT(roles),
     .value = "NAME",
     .help = "one of the roles"},
    {.name = "exp",
     .letter = 'e',
     .type = LN_OPTION_TEXT,
     .offset = AT(expires),
     .value = "TIME",
     .help = "how long it is good: 15m, 8h, 30d; without it, for ever"},
    {.name = "nbf",
     .type = LN_OPTION_TEXT,
     .offset = AT(not_before),
     .value = "TIME",
     .help = "it is good from then on, counted from now"},
    {.name = "iss",
     .type = LN_OPTION_TEXT,
     .offset = AT(issuer),
     .value = "NAME",
     .help = "who issues it"},
    {.name = "aud",
     .type = LN_OPTION_TEXT,
     .offset = AT(audience),
     .value = "NAME",
     .help = "for whom it is"},
    {.name = "claim",
     .letter = 'c',
     .type = LN_OPTION_LIST,
     .offset = AT(claims),
     .value = "NAME=TEXT",
     .help = "another claim; NAME:=JSON for a number, a list, anything that is no text"},
    {0}};

#undef AT

/* "name=text" or "name:=json", cut in place. */
static bool cut_claim(char *word, ln_auth_claim *claim)
{
    char *const equals = strchr(word, '=');
    if (equals == NULL || equals == word)
        return false;
    const bool is_json = equals[-1] == ':';
    (is_json ? equals - 1 : equals)[0] = '\0';
    *claim = (ln_auth_claim){
        .name = word, .text = is_json ? NULL : equals + 1, .json = is_json ? equals + 1 : NULL};
    return word[0] != '\0';
}

/* A moment that is `after` from now; 0 where nothing was said. */
static bool read_moment(const char *after, uint64_t now_s, uint64_t *moment_s)
{
    uint64_t ms;
    *moment_s = 0;
    if (after == NULL)
        return true;
    if (ln_units_parse_duration(ln_text(after), &ms) < 0)
        return false;
    *moment_s = now_s + ms / 1000;
    return true;
}

static const ln_verb sign_verb;

/* What is wrong with the words, or NULL. */
static const char *fill(sign_settings *s, ln_auth_claim claims[LN_OPTION_LIST_MAX],
                        ln_auth_token *token)
{
    const uint64_t now_s = (uint64_t)time(NULL);
    if (s->key_file != NULL && s->algorithm == NULL)
        return "--key needs --alg";
    *token = (ln_auth_token){.algorithm = s->algorithm != NULL ? s->algorithm : "HS256",
                             .key_file = s->key_file,
                             .key_id = s->key_id,
                             .id = s->id,
                             .name = s->name,
                             .issuer = s->issuer,
                             .audience = s->audience,
                             .roles = (const char *const *)s->roles.items,
                             .role_count = s->roles.count,
                             .issued_s = now_s,
                             .claims = claims,
                             .claim_count = s->claims.count};
    if (!read_moment(s->expires, now_s, &token->expires_s))
        return "--exp is no time such as 15m, 8h or 30d";
    if (!read_moment(s->not_before, now_s, &token->not_before_s))
        return "--nbf is no time such as 15m, 8h or 30d";
    for (unsigned i = 0; i < s->claims.count; i++)
        if (!cut_claim(s->claims.items[i], &claims[i]))
            return "--claim takes NAME=TEXT or NAME:=JSON";
    return NULL;
}

static int sign(int argc, char **argv)
{
    int operands;
    sign_settings s;
    ln_auth_token token;
    ln_auth_claim claims[LN_OPTION_LIST_MAX];
    char secret[LN_SECRET_SIZE];
    char text[LN_AUTH_TOKEN_MAX_BYTES + 1], why[LN_AUTH_WHY_SIZE];
    int code = ln_verb_begin(&sign_verb, argc, argv, &s, &operands);
    if (code != LN_EXIT_NOT_YET)
        return code;
    const char *const mistake = fill(&s, claims, &token);
    if (mistake != NULL)
        return ln_verb_misused(&sign_verb, mistake);
    code = read_secret(&sign_verb, s.secret_file, s.key_file == NULL, secret, &token.secret);
    if (code != LN_EXIT_NOT_YET)
        return code;
    if (s.key_file == NULL && token.secret.size == 0)
        return ln_verb_misused(&sign_verb,
                               "it takes a --secret-file, $" SECRET_VARIABLE " or a --key");
    const int rc = ln_auth_sign(&token, text, why);
    ln_secret_wipe(secret);
    if (rc < 0)
        return ln_verb_failed(&sign_verb, why);
    puts(text);
    return LN_EXIT_DONE;
}

static const sign_settings sign_defaults;

static const ln_verb sign_verb = {
    .name = "token sign",
    .summary = "makes a token",
    .operands = "",
    .about = "Signs a token (JWT) and prints it.",
    .notes = "Example: linnet token sign --secret-file secret --sub u1 --role member --exp 8h",
    .options = sign_options,
    .defaults = &sign_defaults,
    .settings_size = sizeof(sign_settings),
    .run = sign,
};

/* ---- verify ---- */

typedef struct verify_settings {
    char *secret_file, *jwks_file;
    ln_option_list key_files;
    char *issuer, *audience, *algorithms;
    uint32_t leeway_ms;
    bool requires_expiry;
} verify_settings;

#define AT(member) offsetof(verify_settings, member)

static const ln_option verify_options[] = {
    {.name = "secret-file",
     .type = LN_OPTION_TEXT,
     .offset = AT(secret_file),
     .value = "FILE",
     .help = "its first line is the secret; without any key, $" SECRET_VARIABLE},
    {.name = "key",
     .letter = 'k',
     .type = LN_OPTION_LIST,
     .offset = AT(key_files),
     .value = "FILE",
     .help = "PEM public key"},
    {.name = "jwks",
     .letter = 'j',
     .type = LN_OPTION_TEXT,
     .offset = AT(jwks_file),
     .value = "FILE",
     .help = "JSON Web Key Set"},
    {.name = "alg",
     .letter = 'a',
     .type = LN_OPTION_TEXT,
     .offset = AT(algorithms),
     .value = "LIST",
     .help = "only these algorithms, comma separated; without it, all that the keys are good for"},
    {.name = "iss",
     .type = LN_OPTION_TEXT,
     .offset = AT(issuer),
     .value = "NAME",
     .help = "it must be from this issuer"},
    {.name = "aud",
     .type = LN_OPTION_TEXT,
     .offset = AT(audience),
     .value = "NAME",
     .help = "it must be for this audience"},
    {.name = "leeway",
     .type = LN_OPTION_DURATION,
     .can_be_off = true,
     .offset = AT(leeway_ms),
     .value = "TIME",
     .help = "how far clocks may differ, or off",
     .min = 1,
     .max = 600000},
    {.name = "require-exp",
     .type = LN_OPTION_SET,
     .offset = AT(requires_expiry),
     .help = "it must expire some day"},
    {0}};

#undef AT

static const ln_verb verify_verb;

static int judge(const ln_auth *auth, ln_span token)
{
    const ln_identity *identity;
    enum ln_auth_verdict verdict;
    const int rc = ln_auth_verify(auth, token, (uint64_t)time(NULL) * 1000, &identity, &verdict);
    if (rc < 0)
        return ln_verb_failed(&verify_verb,
                              rc == LN_ERR_POLICY ? ln_auth_explain(verdict) : ln_strerror(rc));
    fwrite(identity->claims.data, 1, identity->claims.size, stdout);
    putchar('\n');
    ln_identity_unref(identity);
    return LN_EXIT_DONE;
}

static int verify(int argc, char **argv)
{
    int operands;
    verify_settings s;
    ln_span given;
    ln_auth *auth;
    char secret[LN_SECRET_SIZE], why[LN_AUTH_WHY_SIZE];
    char room[LN_AUTH_TOKEN_MAX_BYTES + 64]; /* of a longer line enough to see that it is one */
    int code = ln_verb_begin(&verify_verb, argc, argv, &s, &operands);
    if (code != LN_EXIT_NOT_YET)
        return code;
    const bool has_key = s.key_files.count > 0 || s.jwks_file != NULL;
    code = read_secret(&verify_verb, s.secret_file, !has_key, secret, &given);
    if (code != LN_EXIT_NOT_YET)
        return code;
    if (!has_key && given.size == 0)
        return ln_verb_misused(&verify_verb, "it takes a --secret-file, $" SECRET_VARIABLE
                                             ", a --key or a --jwks");
    const ln_auth_options options = {.secrets = &given,
                                     .secret_count = given.size > 0,
                                     .key_files = (const char *const *)s.key_files.items,
                                     .key_file_count = s.key_files.count,
                                     .jwks_file = s.jwks_file,
                                     .issuer = s.issuer,
                                     .audience = s.audience,
                                     .algorithms = s.algorithms,
                                     .leeway_ms = s.leeway_ms,
                                     .requires_expiry = s.requires_expiry};
    const int rc = ln_auth_new(&options, &auth, why);
    ln_secret_wipe(secret);
    if (rc < 0)
        return ln_verb_failed(&verify_verb, why);
    code = judge(auth, ln_secret_ask(operands == 1 ? argv[1] : NULL, room, sizeof room));
    ln_auth_unref(auth);
    return code;
}

static const verify_settings verify_defaults = {.leeway_ms = 1000};

static const ln_verb verify_verb = {
    .name = "token verify",
    .summary = "checks a token",
    .operands = "[TOKEN]",
    .operands_max = 1,
    .about = "Checks a token (JWT) and prints its claims. Without TOKEN, or for \"-\", it is read "
             "from standard input. Exit code 1: it is not good, and standard error says why.",
    .options = verify_options,
    .defaults = &verify_defaults,
    .settings_size = sizeof(verify_settings),
    .run = verify,
};

/* ---- the command ---- */

static const ln_option no_options[] = {{0}};

static int token(int argc, char **argv)
{
    static const ln_verb *const parts[] = {&sign_verb, &verify_verb, &ln_hash_verb, NULL};
    return ln_verb_run_part(&ln_token_verb, parts, "it is sign or verify, or hash-password", argc,
                            argv);
}

const ln_verb ln_token_verb = {
    .name = "token",
    .summary = "signs or verifies a token (JWT), hashes a password",
    .operands = "sign|verify|hash-password ...",
    .about =
        "Signs a token, checks one as a server would, or hashes a room's password. `linnet token "
        "sign --help`, `verify --help` and `hash-password --help` tell more.",
    .options = no_options,
    .defaults = "",
    .run = token,
};
