/* SPDX-License-Identifier: MIT */
#include "rules.h"

#include <stdatomic.h>
#include <string.h>

#include "base/text.h"
#include "hub/filter.h"
#include "identity.h"

typedef enum ln_who { WHO_ANYONE, WHO_ANONYMOUS, WHO_AUTHENTICATED, WHO_USER, WHO_ROLE } ln_who;

typedef struct rule {
    bool allows;
    uint8_t verbs; /* ln_verb_bit */
    ln_who who;
    unsigned line;
    ln_span text; /* all spans: into ln_rules.text */
    ln_span pattern;
    ln_span party; /* ID or NAME */
} rule;

struct ln_rules {
    const ln_allocator *alloc;
    _Atomic uint32_t refs;
    char *text; /* owned */
    unsigned count;
    rule rules[];
};

/* ---- matching ---- */

/* How many of the names that somebody means does a pattern match? */
typedef enum ln_share { SHARE_NONE, SHARE_SOME, SHARE_ALL } ln_share;

static bool is_token(ln_span token, const char *word)
{
    return ln_text_equal(token, ln_text(word));
}

/* What a token of a pattern is to this identity; data NULL = nothing that a name could have. An id
 * that holds a dot is no token, and an empty one is nobody's. */
static ln_span resolve(ln_span token, const ln_identity *identity)
{
    const ln_span nothing = {NULL, 0};
    if (!is_token(token, "{user}"))
        return token;
    if (identity == NULL || identity->id.size == 0 ||
        memchr(identity->id.data, '.', identity->id.size) != NULL)
        return nothing;
    return identity->id;
}

/* One token of a name, or of a filter, where `*` means all there can be. */
static ln_share compare(ln_span token, ln_span part, bool is_wild, const ln_identity *identity)
{
    if (ln_filter_is_token(token, '*'))
        return SHARE_ALL;
    const ln_span wanted = resolve(token, identity);
    if (wanted.data == NULL)
        return SHARE_NONE;
    if (is_wild)
        return SHARE_SOME;
    return ln_text_equal(wanted, part) ? SHARE_ALL : SHARE_NONE;
}

/* Every other result than all or none is for a filter. */
static ln_share relate(ln_span pattern, ln_span name, const ln_identity *identity)
{
    const bool is_filter = ln_filter_is(name);
    ln_share share = SHARE_ALL;
    ln_span token, part;
    if (name.data == NULL)
        name = LN_SPAN("");
    while (ln_filter_next(&pattern, &token)) {
        if (!ln_filter_next(&name, &part))
            return SHARE_NONE;
        if (ln_filter_is_token(token, '>'))
            return share;
        if (is_filter && name.data == NULL && ln_filter_is_token(part, '>'))
            return SHARE_SOME; /* names as long as the pattern, and longer ones */
        const ln_share one =
            compare(token, part, is_filter && ln_filter_is_token(part, '*'), identity);
        if (one == SHARE_NONE)
            return SHARE_NONE;
        if (one == SHARE_SOME)
            share = SHARE_SOME;
    }
    return name.data == NULL ? share : SHARE_NONE;
}

static bool matches_who(const rule *r, const ln_identity *identity)
{
    switch (r->who) {
    case WHO_ANYONE:
        return true;
    case WHO_ANONYMOUS:
        return identity == NULL;
    case WHO_AUTHENTICATED:
        return identity != NULL;
    case WHO_USER:
        return identity != NULL && ln_text_equal(identity->id, r->party);
    case WHO_ROLE:
        return ln_identity_has_role(identity, r->party);
    }
    return false;
}

static const rule *find(const ln_rules *rules, const ln_identity *identity, ln_verb_bit verb,
                        ln_span name)
{
    for (unsigned i = 0; i < rules->count; i++) {
        const rule *const r = &rules->rules[i];
        if ((r->verbs & verb) == 0 || !matches_who(r, identity))
            continue;
        const ln_share share = relate(r->pattern, name, identity);
        if (share == SHARE_ALL || (share == SHARE_SOME && !r->allows))
            return r;
    }
    return NULL;
}

bool ln_rules_allow(const ln_rules *rules, const ln_identity *identity, ln_verb_bit verb,
                    ln_span name)
{
    return ln_rules_explain(rules, identity, verb, name).is_allowed;
}

ln_rules_decision ln_rules_explain(const ln_rules *rules, const ln_identity *identity,
                                   ln_verb_bit verb, ln_span name)
{
    const rule *r;
    if (rules == NULL)
        return (ln_rules_decision){.is_allowed = true, .rule = -1};
    r = find(rules, identity, verb, name);
    if (r == NULL)
        return (ln_rules_decision){.is_allowed = false, .rule = -1};
    return (ln_rules_decision){
        .is_allowed = r->allows, .rule = (int)(r - rules->rules), .line = r->line, .text = r->text};
}

/* ---- reading; each returns a sentence about what is wrong, or NULL ---- */

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

/* Cuts the next word off the front of *rest, and the blanks around it. */
static ln_span take_word(ln_span *rest)
{
    const char *const begin = rest->data;
    size_t size = 0;
    while (size < rest->size && !is_blank(begin[size]))
        size++;
    *rest = ln_text_trim((ln_span){begin + size, rest->size - size});
    return (ln_span){begin, size};
}

static const char *read_action(ln_span word, rule *r)
{
    r->allows = is_token(word, "allow");
    return r->allows || is_token(word, "deny") ? NULL : "a rule begins with allow or deny";
}

static const char *read_verbs(ln_span word, rule *r)
{
    static const struct {
        const char *name;
        uint8_t verbs;
    } verbs[] = {{"subscribe", LN_VERB_SUBSCRIBE},
                 {"publish", LN_VERB_PUBLISH},
                 {"presence", LN_VERB_PRESENCE},
                 {"all", LN_VERB_SUBSCRIBE | LN_VERB_PUBLISH | LN_VERB_PRESENCE}};
    ln_span name;
    while (ln_text_next(&word, ',', &name)) {
        uint8_t found = 0;
        for (size_t i = 0; i < LN_ARRAY_SIZE(verbs); i++)
            if (is_token(name, verbs[i].name))
                found = verbs[i].verbs;
        if (found == 0)
            return "the verbs are subscribe, publish and presence, joined by commas, or all";
        r->verbs |= found;
    }
    return NULL;
}

/* What is special is special as a whole token only, so that nobody believes "a*" to be a pattern. */
static const char *read_pattern(ln_span word, rule *r)
{
    ln_span rest = word, token;
    while (ln_filter_next(&rest, &token)) {
        if (token.size == 0)
            return "the pattern has an empty token";
        if (is_token(token, ">") && rest.data != NULL)
            return "\">\" stands at the end of a pattern";
        if (is_token(token, "*") || is_token(token, ">") || is_token(token, "{user}"))
            continue;
        for (size_t i = 0; i < token.size; i++)
            if (strchr("*>{}", ((const char *)token.data)[i]) != NULL)
                return "\"*\", \">\" and \"{user}\" are whole tokens of a pattern";
    }
    r->pattern = word;
    return NULL;
}

static const char *read_who(ln_span words, rule *r)
{
    static const struct {
        const char *word;
        ln_who who;
    } fixed[] = {
        {"anyone", WHO_ANYONE}, {"anonymous", WHO_ANONYMOUS}, {"authenticated", WHO_AUTHENTICATED}};
    for (size_t i = 0; i < LN_ARRAY_SIZE(fixed); i++) {
        r->who = fixed[i].who;
        if (is_token(words, fixed[i].word))
            return NULL;
    }
    const ln_span user = LN_SPAN("user:"), role = LN_SPAN("role:"); /* as long as each other */
    r->who = ln_text_has_prefix(words, user) ? WHO_USER : WHO_ROLE;
    if (r->who == WHO_ROLE && !ln_text_has_prefix(words, role))
        return "a rule ends with anyone, anonymous, authenticated, user:ID or role:NAME";
    r->party = (ln_span){(const char *)words.data + role.size, words.size - role.size};
    return r->party.size > 0 ? NULL : "user: or role: without a name";
}

/* `line`: trimmed, not empty. */
static const char *read_rule(ln_span line, rule *r)
{
    ln_span rest = line;
    r->text = line;
    if (memchr(line.data, '\0', line.size) != NULL)
        return "a rule holds a byte that is no text";
    const char *sentence = read_action(take_word(&rest), r);
    if (sentence == NULL)
        sentence = read_verbs(take_word(&rest), r);
    if (sentence == NULL)
        sentence = read_pattern(take_word(&rest), r);
    return sentence == NULL ? read_who(rest, r) : sentence;
}

/* Cuts a line off the front of *rest, without its end and the blanks around it. */
static bool take_line(ln_span *rest, ln_span *line)
{
    const char *const begin = rest->data;
    const char *const end = rest->size > 0 ? memchr(begin, '\n', rest->size) : NULL;
    if (rest->size == 0)
        return false;
    size_t size = end != NULL ? (size_t)(end - begin) : rest->size;
    const size_t used = size + (end != NULL);
    if (size > 0 && begin[size - 1] == '\r')
        size--;
    *line = ln_text_trim((ln_span){begin, size});
    *rest = (ln_span){begin + used, rest->size - used};
    return true;
}

static bool is_rule(ln_span line)
{
    return line.size > 0 && ((const char *)line.data)[0] != '#';
}

static unsigned count_rules(ln_span text)
{
    ln_span line;
    unsigned count = 0;
    while (count <= LN_RULES_MAX && take_line(&text, &line))
        count += is_rule(line);
    return count;
}

static int refuse(ln_rules_error *error, int rc, unsigned line, const char *sentence)
{
    *error = (ln_rules_error){.line = line, .sentence = sentence};
    return rc;
}

static int read_all(ln_rules *rules, ln_span text, ln_rules_error *error)
{
    ln_span line;
    for (unsigned number = 1; take_line(&text, &line); number++) {
        if (!is_rule(line))
            continue;
        if (line.size > LN_RULES_LINE_MAX_BYTES)
            return refuse(error, LN_ERR_LIMIT, number, "the rule is longer than 512 bytes");
        rule *const r = &rules->rules[rules->count];
        const char *const sentence = read_rule(line, r);
        if (sentence != NULL)
            return refuse(error, LN_ERR_INVALID, number, sentence);
        r->line = number;
        rules->count++;
    }
    return 0;
}

int ln_rules_new(const ln_allocator *alloc, ln_span text, ln_rules **rules, ln_rules_error *error)
{
    const unsigned count = count_rules(text);
    if (count > LN_RULES_MAX)
        return refuse(error, LN_ERR_LIMIT, 0, "there are more than 256 rules");
    if (count == 0)
        return refuse(error, LN_ERR_INVALID, 0, "there is no rule in it");
    ln_rules *const r = ln_alloc_zero(alloc, sizeof *r + count * sizeof r->rules[0]);
    char *const copy = r != NULL ? ln_strndup(alloc, text.data, text.size) : NULL;
    if (copy == NULL) {
        ln_free(alloc, r);
        return refuse(error, LN_ERR_NOMEM, 0, "out of memory");
    }
    r->alloc = alloc;
    atomic_init(&r->refs, 1);
    r->text = copy;
    const int rc = read_all(r, (ln_span){copy, text.size}, error);
    if (rc < 0)
        ln_rules_unref(r);
    else
        *rules = r;
    return rc;
}

ln_rules *ln_rules_ref(ln_rules *rules)
{
    if (rules != NULL)
        atomic_fetch_add_explicit(&rules->refs, 1, memory_order_relaxed);
    return rules;
}

void ln_rules_unref(ln_rules *rules)
{
    if (rules == NULL || atomic_fetch_sub_explicit(&rules->refs, 1, memory_order_acq_rel) != 1)
        return;
    ln_free(rules->alloc, rules->text);
    ln_free(rules->alloc, rules);
}
