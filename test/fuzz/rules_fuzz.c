/* SPDX-License-Identifier: MIT */
/*
 * A text of rules and a name: the decision is that of the first rule which, alone, would match.
 *
 * Input: a byte for verb (bits 0, 1) and bearer (the rest), a name, a newline, then the rules.
 */
#include <string.h>

#include "base/text.h"
#include "dialect/rules.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const ln_span role = {"r", 1};
static const ln_identity bearers[] = {
    {.id = {"u", 1}, .roles = &role, .role_count = 1}, {.id = {"a.b", 3}}, {.id = {"*", 1}}};

/* What this one line decides: -1 = nothing. */
static int decide_alone(ln_span line, const ln_identity *who, ln_verb_bit verb, ln_span name)
{
    ln_rules *one = NULL;
    ln_rules_error error;
    const int rc = ln_rules_new(NULL, line, &one, &error);
    LN_ASSERT(rc == 0); /* it was read before, among others */
    const ln_rules_decision d = ln_rules_explain(one, who, verb, name);
    LN_ASSERT(d.rule == -1 || (d.rule == 0 && ln_text_equal(d.text, line)));
    ln_rules_unref(one);
    return d.rule == -1 ? -1 : d.is_allowed;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *const end = size > 1 ? memchr(data + 1, '\n', size - 1) : NULL;
    if (end == NULL)
        return 0;
    const ln_verb_bit verb = 1u << data[0] % 3;
    const ln_identity *const who = data[0] / 4 % 4 < 3 ? &bearers[data[0] / 4 % 4] : NULL;
    const ln_span name = {data + 1, (size_t)(end - data - 1)};
    ln_span rest = {end + 1, size - name.size - 2}, line;
    ln_rules *rules = NULL;
    ln_rules_error error = {0};
    const int rc = ln_rules_new(NULL, rest, &rules, &error);
    LN_ASSERT((rc == 0) == (error.sentence == NULL));
    if (rc < 0)
        return 0;
    const ln_rules_decision d = ln_rules_explain(rules, who, verb, name);
    int first = -1, count = 0, at = -1;
    while (first == -1 && ln_text_next(&rest, '\n', &line)) {
        if (line.size > 0 && ((const char *)line.data)[line.size - 1] == '\r')
            line = ln_text_trim((ln_span){line.data, line.size - 1});
        if (line.size == 0 || ((const char *)line.data)[0] == '#')
            continue;
        first = decide_alone(line, who, verb, name);
        at = first == -1 ? -1 : count;
        count++;
    }
    LN_ASSERT(d.rule == at && d.is_allowed == (first == 1));
    ln_rules_unref(rules);
    return 0;
}
