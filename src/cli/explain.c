/* SPDX-License-Identifier: MIT */
/*
 * explain - `linnet rules explain`: what `linnet serve --rules` would decide, and which rule says
 * so. Whom it is about is told by a token, or said.
 */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/text.h"
#include "keyring.h"
#include "secret.h"
#include "verb.h"

typedef struct explain_settings {
    char *rules_file, *token, *id;
    ln_option_list roles;
    ln_serve_settings keys; /* what says who signs tokens */
} explain_settings;

#define AT(member) offsetof(explain_settings, member)

static const ln_option options[] = {
    {.name = "rules",
     .type = LN_OPTION_TEXT,
     .offset = AT(rules_file),
     .value = "FILE",
     .help = "the rules"},
    {.name = "user",
     .letter = 'u',
     .type = LN_OPTION_TEXT,
     .offset = AT(id),
     .value = "ID",
     .help = "who asks; without it and --token, somebody anonymous"},
    {.name = "role",
     .letter = 'r',
     .type = LN_OPTION_LIST,
     .offset = AT(roles),
     .value = "NAME",
     .help = "one of the roles"},
    {.name = "token",
     .letter = 't',
     .type = LN_OPTION_TEXT,
     .offset = AT(token),
     .value = "TOKEN",
     .help = "whose bearer asks; - = the first line of standard input"},
    {.name = "auth-secret-file",
     .type = LN_OPTION_TEXT,
     .offset = AT(keys.auth_secret_file),
     .value = "FILE",
     .help = "its first line signs the token; without it, $LINNET_AUTH_SECRET"},
    {.name = "auth-key",
     .type = LN_OPTION_LIST,
     .offset = AT(keys.auth_keys),
     .value = "FILE",
     .help = "PEM public key that verifies the token"},
    {.name = "auth-jwks",
     .type = LN_OPTION_TEXT,
     .offset = AT(keys.auth_jwks),
     .value = "FILE",
     .help = "key set (JWKS) that verifies the token"},
    {0}};

#undef AT

static const ln_verb explain_verb;

static bool find_verb(const char *word, ln_verb_bit *verb)
{
    static const struct {
        const char *word;
        ln_verb_bit verb;
    } verbs[] = {{"subscribe", LN_VERB_SUBSCRIBE},
                 {"publish", LN_VERB_PUBLISH},
                 {"presence", LN_VERB_PRESENCE}};
    for (size_t i = 0; i < LN_ARRAY_SIZE(verbs); i++) {
        *verb = verbs[i].verb;
        if (strcmp(word, verbs[i].word) == 0)
            return true;
    }
    return false;
}

/* The decision in words; exit code 1 is a no. */
static int tell(const ln_rules *rules, const ln_identity *identity, ln_verb_bit verb,
                const char *room)
{
    const ln_rules_decision d = ln_rules_explain(rules, identity, verb, ln_text(room));

    printf("%s: ", d.is_allowed ? "allowed" : "denied");
    if (d.rule >= 0)
        printf("line %u: %.*s\n", d.line, (int)d.text.size, (const char *)d.text.data);
    else
        puts("no rule matches");
    return d.is_allowed ? LN_EXIT_DONE : LN_EXIT_FAILED;
}

/* Whom the token names, in *identity. An exit code, or LN_EXIT_NOT_YET. */
static int read_token(const explain_settings *s, const ln_identity **identity)
{
    char why[LN_KEYRING_WHY_SIZE], line[LN_AUTH_TOKEN_MAX_BYTES + 64];
    enum ln_auth_verdict verdict = LN_AUTH_GOOD;
    ln_keyring keys;

    int rc = ln_keyring_read(&keys, &s->keys, getenv("LINNET_AUTH_SECRET"), why);
    if (rc < 0)
        return ln_verb_failed(&explain_verb, why);
    rc = keys.policy.auth == NULL
             ? LN_ERR_STATE
             : ln_auth_verify(keys.policy.auth, ln_secret_ask(s->token, line, sizeof line),
                              (uint64_t)time(NULL) * 1000, identity, &verdict);
    ln_keyring_free(&keys);
    if (rc == LN_ERR_STATE)
        return ln_verb_misused(&explain_verb, "--token needs a key that verifies it");
    return rc < 0 ? ln_verb_failed(&explain_verb,
                                   rc == LN_ERR_POLICY ? ln_auth_explain(verdict) : ln_strerror(rc))
                  : LN_EXIT_NOT_YET;
}

static int judge(const explain_settings *s, ln_verb_bit verb, const char *room)
{
    ln_span roles[LN_OPTION_LIST_MAX];
    const ln_identity said = {.id = ln_text(s->id), .roles = roles, .role_count = s->roles.count};
    const ln_identity *identity = s->id == NULL && s->roles.count == 0 ? NULL : &said;
    const ln_identity *borne = NULL;
    char why[LN_KEYRING_WHY_SIZE];
    ln_rules *rules;

    for (unsigned i = 0; i < s->roles.count; i++)
        roles[i] = ln_text(s->roles.items[i]);
    int code = s->token == NULL ? LN_EXIT_NOT_YET : read_token(s, &borne);
    if (code != LN_EXIT_NOT_YET)
        return code;
    if (ln_keyring_read_rules(s->rules_file, &rules, why) < 0) {
        code = ln_verb_failed(&explain_verb, why);
    } else {
        code = tell(rules, borne != NULL ? borne : identity, verb, room);
        ln_rules_unref(rules);
    }
    ln_identity_unref(borne);
    return code;
}

static int explain(int argc, char **argv)
{
    explain_settings s;
    ln_verb_bit verb;
    int operands;
    const int code = ln_verb_begin(&explain_verb, argc, argv, &s, &operands);

    if (code != LN_EXIT_NOT_YET)
        return code;
    if (operands != 2 || !find_verb(argv[1], &verb))
        return ln_verb_misused(&explain_verb,
                               "it takes subscribe, publish or presence, and a room");
    if (s.rules_file == NULL)
        return ln_verb_misused(&explain_verb, "it takes --rules FILE");
    if (s.token != NULL && (s.id != NULL || s.roles.count > 0))
        return ln_verb_misused(&explain_verb, "--token says who asks: no --user, no --role");
    return judge(&s, verb, argv[2]);
}

static const explain_settings defaults;

static const ln_verb explain_verb = {
    .name = "rules explain",
    .summary = "says what rules decide, and which of them",
    .operands = "subscribe|publish|presence ROOM",
    .operands_max = 2,
    .about = "Says whether somebody may do this in a room, and which line of the rules decides. "
             "Exit code 1: it is denied.",
    .notes = "Example: linnet rules explain --rules rules --user u1 --role member publish chat.7",
    .options = options,
    .defaults = &defaults,
    .settings_size = sizeof(explain_settings),
    .run = explain,
};

/* ---- the command ---- */

static const ln_option no_options[] = {{0}};

static int rules(int argc, char **argv)
{
    static const ln_verb *const parts[] = {&explain_verb, NULL};
    return ln_verb_run_part(&ln_rules_verb, parts, "it is explain", argc, argv);
}

const ln_verb ln_rules_verb = {
    .name = "rules",
    .summary = "explains what permission rules decide",
    .operands = "explain ...",
    .about = "Tells which line of a file of rules (linnet serve --rules) decides about somebody. "
             "`linnet rules explain --help` tells more.",
    .notes = "A rule is a line \"allow|deny VERBS PATTERN WHO\", the first one that matches "
             "decides, and what none matches is denied:\n"
             "  VERBS    subscribe, publish, presence, joined by commas; or all\n"
             "  PATTERN  of a room's tokens between dots: * is any one, > at the end the rest,\n"
             "           {user} the id of who asks\n"
             "  WHO      anyone, anonymous, authenticated, user:ID or role:NAME",
    .options = no_options,
    .defaults = "",
    .run = rules,
};
