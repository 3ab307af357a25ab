/* SPDX-License-Identifier: MIT */
#include <stdio.h>

#include "failing_alloc.h"

#include "base/text.h"
#include "dialect/identity.h"
#include "dialect/rules.h"
#include "hub/filter.h"

static const ln_span member_roles[] = {{"member", 6}, {"Project Admin", 13}};
static const ln_identity ann = {
    .id = {"ann", 3}, .roles = member_roles, .role_count = 2, .expires_ms = UINT64_MAX};
static const ln_identity bob = {.id = {"bob", 3}, .expires_ms = UINT64_MAX};
static const ln_identity nameless = {.expires_ms = UINT64_MAX};

static ln_rules *read_rules(const char *text)
{
    ln_rules *rules = NULL;
    ln_rules_error error;
    const int rc = ln_rules_new(NULL, ln_text(text), &rules, &error);
    if (rc != 0)
        fail_msg("%s: line %u: %s", text, error.line, error.sentence);
    return rules;
}

static bool allows(const char *text, const ln_identity *who, ln_verb_bit verb, const char *name)
{
    ln_rules *const rules = read_rules(text);
    const bool is_allowed = ln_rules_allow(rules, who, verb, ln_text(name));
    ln_rules_unref(rules);
    return is_allowed;
}

static bool matches(const char *pattern, const char *name)
{
    char text[256];
    snprintf(text, sizeof text, "allow all %s anyone", pattern);
    return allows(text, &ann, LN_VERB_PUBLISH, name);
}

static void without_rules_everything_is_allowed(void **state)
{
    (void)state;
    assert_true(ln_rules_allow(NULL, NULL, LN_VERB_PUBLISH, LN_SPAN("a")));
    ln_rules_unref(ln_rules_ref(NULL));
}

/* An access file that lost its lines opened a broker to everybody: mosquitto, CVE-2018-12550. */
static void a_text_without_a_rule_is_refused(void **state)
{
    (void)state;
    static const char *const texts[] = {"", "\n", "\n\n# nothing\n  \t\r\n",
                                        "# allow all > anyone"};
    for (size_t i = 0; i < LN_ARRAY_SIZE(texts); i++) {
        ln_rules *rules = NULL;
        ln_rules_error error;
        assert_int_equal(ln_rules_new(NULL, ln_text(texts[i]), &rules, &error), LN_ERR_INVALID);
        assert_null(rules);
        assert_int_equal(error.line, 0);
        assert_string_equal(error.sentence, "there is no rule in it");
    }
    ln_rules *rules = NULL;
    ln_rules_error error;
    assert_int_equal(ln_rules_new(NULL, (ln_span){NULL, 0}, &rules, &error), LN_ERR_INVALID);
}

static void with_one_rule_the_rest_is_denied(void **state)
{
    (void)state;
    static const char rule[] = "allow publish a anyone";
    assert_true(allows(rule, NULL, LN_VERB_PUBLISH, "a"));
    assert_false(allows(rule, NULL, LN_VERB_SUBSCRIBE, "a"));
    assert_false(allows(rule, NULL, LN_VERB_PRESENCE, "a"));
    assert_false(allows(rule, NULL, LN_VERB_PUBLISH, "b"));
    assert_false(allows("deny publish a anyone", NULL, LN_VERB_PUBLISH, "b"));
}

static void the_first_rule_that_matches_decides(void **state)
{
    (void)state;
    static const char rules[] = "deny publish chat.secret anyone\n"
                                "allow all chat.> role:member\n"
                                "deny all chat.> anyone\n"
                                "allow all > anyone\n";
    assert_false(allows(rules, &ann, LN_VERB_PUBLISH, "chat.secret"));
    assert_true(allows(rules, &ann, LN_VERB_SUBSCRIBE, "chat.secret"));
    assert_true(allows(rules, &ann, LN_VERB_PUBLISH, "chat.a.b"));
    assert_false(allows(rules, &bob, LN_VERB_PUBLISH, "chat.a.b"));
    assert_true(allows(rules, &bob, LN_VERB_PUBLISH, "chat"));
    assert_true(allows("allow all a anyone\ndeny all a anyone", NULL, LN_VERB_PUBLISH, "a"));
    assert_false(allows("deny all a anyone\nallow all a anyone", NULL, LN_VERB_PUBLISH, "a"));
}

static void verbs_are_a_list(void **state)
{
    (void)state;
    static const ln_verb_bit bits[] = {LN_VERB_SUBSCRIBE, LN_VERB_PUBLISH, LN_VERB_PRESENCE};
    static const char *const names[] = {"subscribe", "publish", "presence"};
    char rule[128];
    for (unsigned set = 1; set < 8; set++) {
        size_t n = (size_t)sprintf(rule, "allow ");
        for (unsigned i = 0; i < 3; i++)
            if (set & 1u << i)
                n += (size_t)sprintf(rule + n, "%s%s", rule[n - 1] == ' ' ? "" : ",", names[i]);
        strcpy(rule + n, " a anyone");
        for (unsigned i = 0; i < 3; i++)
            assert_int_equal(allows(rule, NULL, bits[i], "a"), set >> i & 1);
    }
    for (unsigned i = 0; i < 3; i++)
        assert_true(allows("allow all a anyone", NULL, bits[i], "a"));
}

static void patterns_match_token_by_token(void **state)
{
    (void)state;
    static const struct {
        const char *pattern, *name;
        bool does_match;
    } rows[] = {
        {"a", "a", true},
        {"a", "A", false},
        {"a", "ab", false},
        {"a", "a.b", false},
        {"a.b", "a.b", true},
        {"a.b", "a", false},
        {"a.b", "a.b.c", false},
        {"*", "a", true},
        {"*", "a.b", false},
        {"*", "", true},
        {"a.*", "a.b", true},
        {"a.*", "a", false},
        {"a.*", "a.", true},
        {"a.*", "a.b.c", false},
        {"*.b", "a.b", true},
        {"*.b", "a.c", false},
        {"a.*.c", "a.b.c", true},
        {"a.*.c", "a..c", true},
        {"a.*.c", "a.c", false},
        {">", "a", true},
        {">", "a.b.c", true},
        {">", "", true},
        {"a.>", "a", false},
        {"a.>", "a.b", true},
        {"a.>", "a.b.c", true},
        {"a.>", "a.", true},
        {"a.>", "b.c", false},
        {"a.*.>", "a.b", false},
        {"a.*.>", "a.b.c", true},
        {"*.*", "a.b", true},
        {"*.*", ".", true},
        {"a:b-c_d", "a:b-c_d", true},
        {"caf\xc3\xa9", "caf\xc3\xa9", true},
        {"a", "", false},
    };
    for (size_t i = 0; i < LN_ARRAY_SIZE(rows); i++)
        if (matches(rows[i].pattern, rows[i].name) != rows[i].does_match)
            fail_msg("%s and %s", rows[i].pattern, rows[i].name);
}

/* NATS secnote-2026-17: a filter that only overlaps what is denied was allowed. */
static void a_filter_is_allowed_where_all_its_names_are(void **state)
{
    (void)state;
    static const struct {
        const char *rules, *filter;
        bool is_allowed;
    } rows[] = {
        {"allow all chat.> anyone", "chat.>", true},
        {"allow all chat.> anyone", "chat.*", true},
        {"allow all chat.> anyone", "chat.*.x", true},
        {"allow all chat.> anyone", "*.a", false},
        {"allow all chat.> anyone", "*.>", false},
        {"allow all chat.> anyone", ">", false},
        {"allow all chat.* anyone", "chat.>", false},
        {"allow all chat.* anyone", "chat.*", true},
        {"allow all chat.a anyone", "chat.*", false},
        {"allow all > anyone", ">", true},
        {"allow all * anyone", ">", false},
        {"deny all chat.secret anyone\nallow all chat.> anyone", "chat.>", false},
        {"deny all chat.secret anyone\nallow all chat.> anyone", "chat.*", false},
        {"deny all chat.secret anyone\nallow all chat.> anyone", "*.secret", false},
        {"deny all chat.secret anyone\nallow all chat.> anyone", "chat.*.x", true},
        {"deny all *.secret anyone\nallow all > anyone", "chat.*", false},
        {"deny all *.secret anyone\nallow all > anyone", "*.open", true},
        {"deny all a.b.> anyone\nallow all a.> anyone", "a.*", true},
        {"deny all a.b.> anyone\nallow all a.> anyone", "a.*.*", false},
        {"allow all chat.> anyone\ndeny all chat.secret anyone", "chat.>", true},
        {"allow all chat.a anyone\nallow all chat.> anyone", "chat.>", true},
        {"allow all inbox.{user} anyone", "inbox.*", false},
        {"allow all inbox.{user}.> anyone", "inbox.ann.>", true},
        {"allow all inbox.{user}.> anyone", "inbox.bob.>", false},
        {"allow all inbox.{user}.> anyone", "inbox.*.x", false},
        {"deny all inbox.{user} anyone\nallow all > anyone", "inbox.*", false},
        {"allow all chat.* anyone", "chat.a*", true}, /* no filter: a name like any other */
        {"allow all chat.a anyone", "chat.a*", false},
    };
    for (size_t i = 0; i < LN_ARRAY_SIZE(rows); i++)
        if (allows(rows[i].rules, &ann, LN_VERB_SUBSCRIBE, rows[i].filter) != rows[i].is_allowed)
            fail_msg("%s: %s", rows[i].rules, rows[i].filter);
}

static uint32_t dice = 0xd1ce;

static unsigned roll(unsigned sides)
{
    dice = dice * 1664525u + 1013904223u;
    return (dice >> 16) % sides;
}

/* One to three tokens, wild ones among them; whether it is a filter is left to chance. */
static void roll_pattern(char text[16])
{
    static const char *const tokens[] = {"a", "b", "*", ">"};
    const unsigned n = 1 + roll(3);
    text[0] = '\0';
    for (unsigned i = 0; i < n; i++) {
        strcat(text, i > 0 ? "." : "");
        strcat(text, tokens[roll(i + 1 == n ? 4 : 3)]);
    }
}

/* For random rules and filters: nothing is delivered that is not allowed. And not all is denied. */
static void no_filter_lets_a_denied_name_through(void **state)
{
    (void)state;
    static const char *const names[] = {"a",     "b",     "c",     "a.a",    "a.b",   "b.a",
                                        "b.b",   "a.c",   "c.a",   "a.a.a",  "a.b.a", "b.b.b",
                                        "a.a.b", "a.c.b", "c.c.c", "a.b.c.d"};
    unsigned allowed = 0, denied = 0;
    for (int round = 0; round < 30000; round++) {
        char text[128] = "", pattern[16], filter[16];
        for (unsigned i = 1 + roll(4); i > 0; i--) {
            roll_pattern(pattern);
            sprintf(text + strlen(text), "%s all %s anyone\n", roll(2) ? "allow" : "deny", pattern);
        }
        roll_pattern(filter);
        if (!ln_filter_is(ln_text(filter)))
            continue;
        ln_rules *const rules = read_rules(text);
        const bool is_allowed = ln_rules_allow(rules, NULL, LN_VERB_SUBSCRIBE, ln_text(filter));
        allowed += is_allowed;
        denied += !is_allowed;
        for (size_t i = 0; is_allowed && i < LN_ARRAY_SIZE(names); i++)
            if (ln_filter_matches(ln_text(filter), ln_text(names[i])) &&
                !ln_rules_allow(rules, NULL, LN_VERB_SUBSCRIBE, ln_text(names[i])))
                fail_msg("%s%s lets %s through", text, filter, names[i]);
        ln_rules_unref(rules);
    }
    assert_true(allowed > 2000 && denied > 2000);
}

static void who_is_anyone_nobody_somebody_or_someone(void **state)
{
    (void)state;
    static const struct {
        const char *who;
        bool nobody, bob, ann;
    } rows[] = {{"anyone", true, true, true},         {"anonymous", true, false, false},
                {"authenticated", false, true, true}, {"user:ann", false, false, true},
                {"user:an", false, false, false},     {"user:ann ", false, false, true},
                {"role:member", false, false, true},  {"role:memb", false, false, false},
                {"role:Member", false, false, false}, {"role:Project Admin", false, false, true},
                {"role:Project", false, false, false}};
    char rule[128];
    for (size_t i = 0; i < LN_ARRAY_SIZE(rows); i++) {
        snprintf(rule, sizeof rule, "allow all a %s", rows[i].who);
        assert_int_equal(allows(rule, NULL, LN_VERB_PUBLISH, "a"), rows[i].nobody);
        assert_int_equal(allows(rule, &bob, LN_VERB_PUBLISH, "a"), rows[i].bob);
        assert_int_equal(allows(rule, &ann, LN_VERB_PUBLISH, "a"), rows[i].ann);
    }
}

static void the_placeholder_is_the_users_id(void **state)
{
    (void)state;
    static const char rule[] = "allow all inbox.{user} authenticated";
    assert_true(allows(rule, &ann, LN_VERB_SUBSCRIBE, "inbox.ann"));
    assert_false(allows(rule, &ann, LN_VERB_SUBSCRIBE, "inbox.bob"));
    assert_false(allows(rule, &ann, LN_VERB_SUBSCRIBE, "inbox.{user}"));
    assert_false(allows(rule, NULL, LN_VERB_SUBSCRIBE, "inbox.{user}"));
    assert_false(allows(rule, NULL, LN_VERB_SUBSCRIBE, "inbox."));
    assert_false(allows(rule, &nameless, LN_VERB_SUBSCRIBE, "inbox."));
    assert_false(allows("allow all inbox.{user} anyone", NULL, LN_VERB_SUBSCRIBE, "inbox."));
    /* an id with a dot is no token: it neither opens nor closes anything */
    const ln_identity dotted = {.id = {"a.b", 3}};
    static const char closed[] = "deny all inbox.{user} anyone\nallow all > anyone";
    assert_true(allows(closed, &dotted, LN_VERB_SUBSCRIBE, "inbox.*"));
    assert_true(allows(closed, &dotted, LN_VERB_SUBSCRIBE, "inbox.a.b"));
    assert_false(allows(closed, &ann, LN_VERB_SUBSCRIBE, "inbox.*"));
}

/* An issuer's users choose their names: none of them opens another's door. */
static void an_id_is_never_a_pattern(void **state)
{
    (void)state;
    static const char *const ids[] = {"*",     ">",  "{user}", "ann.x", ".",   "..",
                                      "",      "#",  "+",      "a*",    "*.*", "ann.*",
                                      "inbox", "\n", " ann",   "ann ",  "%",   "$"};
    static const char *const names[] = {"inbox.ann", "inbox.bob", "inbox.{user}", "inbox.x",
                                        "inbox.a.b", "inbox",     "inbox.",       "inbox.*",
                                        "inbox.>",   "*.ann"};
    for (size_t i = 0; i < LN_ARRAY_SIZE(ids); i++) {
        const ln_identity who = {.id = ln_text(ids[i])};
        for (size_t n = 0; n < LN_ARRAY_SIZE(names); n++)
            assert_int_equal(
                allows("allow all inbox.{user} authenticated", &who, LN_VERB_SUBSCRIBE, names[n]),
                i == 2 && n == 2); /* it is that user's name */
        if (ids[i][0] == '\0')
            continue;
        const ln_identity mallory = {.roles = &who.id, .role_count = 1};
        assert_false(allows("allow all a role:member", &mallory, LN_VERB_PUBLISH, "a"));
        assert_false(allows("allow all a user:ann", &who, LN_VERB_PUBLISH, "a"));
    }
}

static void a_decision_names_its_rule(void **state)
{
    (void)state;
    ln_rules *const rules = read_rules("# permissions\n\n"
                                       "  allow  publish   chat.>  role:member  \r\n"
                                       "deny all secret.* anyone\n");
    ln_rules_decision d = ln_rules_explain(rules, &ann, LN_VERB_PUBLISH, LN_SPAN("chat.a"));
    assert_true(d.is_allowed);
    assert_int_equal(d.rule, 0);
    assert_int_equal(d.line, 3);
    assert_true(ln_text_equal(d.text, LN_SPAN("allow  publish   chat.>  role:member")));
    d = ln_rules_explain(rules, &ann, LN_VERB_PRESENCE, LN_SPAN("secret.a"));
    assert_false(d.is_allowed);
    assert_int_equal(d.rule, 1);
    assert_int_equal(d.line, 4);
    d = ln_rules_explain(rules, &ann, LN_VERB_PRESENCE, LN_SPAN("chat.a"));
    assert_false(d.is_allowed);
    assert_int_equal(d.rule, -1);
    assert_int_equal(d.line, 0);
    assert_int_equal(d.text.size, 0);
    assert_true(ln_rules_explain(NULL, NULL, LN_VERB_PUBLISH, LN_SPAN("a")).is_allowed);
    assert_ptr_equal(ln_rules_ref(rules), rules);
    ln_rules_unref(rules);
    assert_int_equal(ln_rules_explain(rules, &ann, LN_VERB_PUBLISH, LN_SPAN("chat.a")).rule, 0);
    ln_rules_unref(rules);
}

static void assert_refused(const char *text, unsigned line, const char *word)
{
    ln_rules *rules = NULL;
    ln_rules_error error = {0};
    assert_int_equal(ln_rules_new(NULL, ln_text(text), &rules, &error), LN_ERR_INVALID);
    assert_null(rules);
    if (error.line != line || strstr(error.sentence, word) == NULL)
        fail_msg("%s: line %u: %s", text, error.line, error.sentence);
}

static void mistakes_are_told_with_line_and_sentence(void **state)
{
    (void)state;
    assert_refused("permit all a anyone", 1, "allow or deny");
    assert_refused("Allow all a anyone", 1, "allow or deny");
    assert_refused("allow", 1, "verbs");
    assert_refused("allow all", 1, "empty token");
    assert_refused("allow all a", 1, "ends with");
    assert_refused("\n# x\n\nallow all a everybody", 4, "ends with");
    assert_refused("allow all a anyone\nallow write a anyone", 2, "verbs");
    assert_refused("allow publish, subscribe a anyone", 1, "verbs");
    assert_refused("allow publish,,subscribe a anyone", 1, "verbs");
    assert_refused("allow , a anyone", 1, "verbs");
    assert_refused("allow all a..b anyone", 1, "empty token");
    assert_refused("allow all .a anyone", 1, "empty token");
    assert_refused("allow all a. anyone", 1, "empty token");
    assert_refused("allow all >.a anyone", 1, "at the end");
    assert_refused("allow all a*.b anyone", 1, "whole tokens");
    assert_refused("allow all a> anyone", 1, "whole tokens");
    assert_refused("allow all {id} anyone", 1, "whole tokens");
    assert_refused("allow all a{user} anyone", 1, "whole tokens");
    assert_refused("allow all a anyone # yes", 1, "ends with");
    assert_refused("allow all a anyone else", 1, "ends with");
    assert_refused("allow all a user:", 1, "without a name");
    assert_refused("allow all a role:  ", 1, "without a name");
    assert_refused("allow all a Role:x", 1, "ends with");
    assert_refused("allow all a role", 1, "ends with");
    ln_rules *rules = NULL;
    ln_rules_error error;
    assert_int_equal(ln_rules_new(NULL, LN_SPAN("allow all a\0b anyone"), &rules, &error),
                     LN_ERR_INVALID);
    assert_non_null(strstr(error.sentence, "no text"));
}

static void the_number_of_rules_is_bounded(void **state)
{
    (void)state;
    static char text[LN_RULES_MAX * 32 + 64];
    ln_rules *rules = NULL;
    ln_rules_error error;
    size_t n = (size_t)sprintf(text, "# comments do not count\n\n");
    for (int i = 0; i < LN_RULES_MAX; i++)
        n += (size_t)sprintf(text + n, "allow all t%d anyone\n", i);
    assert_int_equal(ln_rules_new(NULL, (ln_span){text, n}, &rules, &error), 0);
    assert_int_equal(ln_rules_explain(rules, NULL, LN_VERB_PUBLISH, LN_SPAN("t255")).rule, 255);
    ln_rules_unref(rules);
    n += (size_t)sprintf(text + n, "allow all x anyone\n");
    assert_int_equal(ln_rules_new(NULL, (ln_span){text, n}, &rules, &error), LN_ERR_LIMIT);
    assert_int_equal(error.line, 0);
}

static void the_length_of_a_rule_is_bounded(void **state)
{
    (void)state;
    char text[1024];
    ln_rules *rules = NULL;
    ln_rules_error error;
    for (size_t n = LN_RULES_LINE_MAX_BYTES; n <= LN_RULES_LINE_MAX_BYTES + 1; n++) {
        memset(text, 'r', n);
        memcpy(text, "allow all a role:", 17);
        memcpy(text + n, "  \n", 3); /* blanks around it do not count */
        const int rc = ln_rules_new(NULL, (ln_span){text, n + 3}, &rules, &error);
        assert_int_equal(rc, n == LN_RULES_LINE_MAX_BYTES ? 0 : LN_ERR_LIMIT);
        if (rc == 0)
            ln_rules_unref(rules);
        else
            assert_int_equal(error.line, 1);
    }
}

/* The matcher once more, by recursion and on pieces: slow, plain, and written apart. */
static bool oracle(char *const *pattern, char *const *name)
{
    if (*pattern == NULL || *name == NULL)
        return *pattern == NULL && *name == NULL;
    if (strcmp(*pattern, ">") == 0)
        return true;
    return (strcmp(*pattern, "*") == 0 || strcmp(*pattern, *name) == 0) &&
           oracle(pattern + 1, name + 1);
}

static void random_patterns_agree_with_another_matcher(void **state)
{
    (void)state;
    static char tokens[][2] = {"a", "b", "*", ">"};
    uint32_t random = 0xc0ffee;
    unsigned matched = 0;
    for (int round = 0; round < 20000; round++) {
        char *pattern[6] = {0}, *name[6] = {0};
        char pattern_text[32] = "", name_text[32] = "";
        random = random * 1664525u + 1013904223u;
        const unsigned p = 1 + (random >> 28) % 4, n = 1 + (random >> 24) % 4;
        for (unsigned i = 0; i < p; i++) {
            random = random * 1664525u + 1013904223u;
            pattern[i] = tokens[(random >> 20) % (i + 1 == p ? 4 : 3)];
            sprintf(pattern_text + strlen(pattern_text), "%s%s", i > 0 ? "." : "", pattern[i]);
        }
        for (unsigned i = 0; i < n; i++) {
            random = random * 1664525u + 1013904223u;
            name[i] = tokens[(random >> 20) % 2];
            sprintf(name_text + strlen(name_text), "%s%s", i > 0 ? "." : "", name[i]);
        }
        const bool expected = oracle(pattern, name);
        if (matches(pattern_text, name_text) != expected)
            fail_msg("%s and %s", pattern_text, name_text);
        matched += expected;
    }
    assert_in_range(matched, 2000, 18000);
}

static int one_life(const ln_allocator *alloc, void *user)
{
    (void)user;
    ln_rules *rules = NULL;
    ln_rules_error error;
    const int rc =
        ln_rules_new(alloc, LN_SPAN("allow all a anyone\ndeny all b anyone"), &rules, &error);
    ln_rules_unref(rules);
    return rc;
}

static void out_of_memory_is_an_error(void **state)
{
    (void)state;
    assert_int_equal(failing_alloc_sweep(one_life, NULL), 2);
}

/* ---- identities made without a token ---- */

static int one_identity(const ln_allocator *alloc, void *user)
{
    (void)user;
    const ln_identity *copy = NULL;
    const int rc = ln_identity_new(alloc, &ann, &copy);
    if (rc < 0)
        return rc;
    assert_true(ln_text_equal(copy->id, ann.id) && copy->id.data != ann.id.data);
    assert_true(ln_identity_has_role(copy, LN_SPAN("Project Admin")));
    assert_false(ln_identity_has_role(copy, LN_SPAN("Project")));
    assert_false(ln_identity_has_role(NULL, LN_SPAN("member")));
    assert_ptr_equal(ln_identity_ref(copy), copy);
    ln_identity_unref(copy);
    ln_identity_unref(copy);
    ln_identity_unref(NULL);
    return 0;
}

static void an_identity_is_one_block(void **state)
{
    (void)state;
    assert_int_equal(failing_alloc_sweep(one_identity, NULL), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_rules_everything_is_allowed),
        cmocka_unit_test(a_text_without_a_rule_is_refused),
        cmocka_unit_test(with_one_rule_the_rest_is_denied),
        cmocka_unit_test(the_first_rule_that_matches_decides),
        cmocka_unit_test(verbs_are_a_list),
        cmocka_unit_test(patterns_match_token_by_token),
        cmocka_unit_test(a_filter_is_allowed_where_all_its_names_are),
        cmocka_unit_test(no_filter_lets_a_denied_name_through),
        cmocka_unit_test(who_is_anyone_nobody_somebody_or_someone),
        cmocka_unit_test(the_placeholder_is_the_users_id),
        cmocka_unit_test(an_id_is_never_a_pattern),
        cmocka_unit_test(a_decision_names_its_rule),
        cmocka_unit_test(mistakes_are_told_with_line_and_sentence),
        cmocka_unit_test(the_number_of_rules_is_bounded),
        cmocka_unit_test(the_length_of_a_rule_is_bounded),
        cmocka_unit_test(random_patterns_agree_with_another_matcher),
        cmocka_unit_test(out_of_memory_is_an_error),
        cmocka_unit_test(an_identity_is_one_block),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
