/* SPDX-License-Identifier: MIT */
/*
 * linnet/rules.h - who may do what to which topic or room: an ordered list, and the first rule that
 * matches decides.
 *
 * One rule a line; blank lines and lines that begin with # are passed over:
 *
 *   allow|deny  VERBS  PATTERN  WHO
 *
 *   VERBS    subscribe, publish, presence, joined by commas; or all
 *   PATTERN  tokens between dots. "*" is any one token; ">" at the end is one or more;
 *            "{user}" is the identity's id, if that is one token. Anything else is itself.
 *   WHO      anyone | anonymous | authenticated | user:ID | role:NAME, which goes on to the end of
 *            the line, blanks within it included
 *
 *   deny  publish            news.>         anyone
 *   allow publish,subscribe  chat.>         role:member
 *   allow all                inbox.{user}   authenticated
 *
 * Where there are rules, what none of them matches is denied. Without rules (NULL) everything is
 * allowed; a text without a rule is a mistake, and does not become that.
 *
 * Who asks for a filter (linnet/topic.h) asks for all names that it matches: a rule that allows
 * decides if its pattern matches every one of them, a rule that denies if it matches any. So a
 * filter is allowed only where each of its names would be. Every other name is matched byte by
 * byte; an identity's id and roles never are patterns. Unlike those of a filter, a rule's wildcards
 * match names that begin with "$", too.
 *
 * Rules never change once made: any thread, several at once. To change them, make others.
 */
#ifndef LINNET_RULES_H
#define LINNET_RULES_H

#include <linnet/auth.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum ln_verb_bit {
    LN_VERB_SUBSCRIBE = 1, /* to join a room */
    LN_VERB_PUBLISH = 2,
    LN_VERB_PRESENCE = 4 /* to be told who is there */
} ln_verb_bit;

/* Shared, counted references. */
typedef struct ln_rules ln_rules;

/* What is wrong with a text of rules. */
typedef struct ln_rules_error {
    unsigned line;        /* from 1; 0 = no single line is to blame */
    const char *sentence; /* static, without a full stop */
} ln_rules_error;

/* What was decided, and why. */
typedef struct ln_rules_decision {
    bool is_allowed;
    int rule;      /* which one decided, from 0; -1 = none matched, or there are none */
    unsigned line; /* where it stands in the text, from 1; 0 with -1 */
    ln_span text;  /* that line without the blanks around it; borrowed from the rules */
} ln_rules_decision;

/*
 * Reads a text of rules; one reference in *rules, owned. Copied. `alloc` NULL = the C library's.
 * LN_ERR_INVALID (also for a text without any), LN_ERR_LIMIT (too many, or one too long): *error
 * says where and why. LN_ERR_NOMEM.
 */
LN_API int ln_rules_new(const ln_allocator *alloc, ln_span text, ln_rules **rules,
                        ln_rules_error *error);

/* Gives a reference back. Accepts NULL. Any thread. */
LN_API void ln_rules_unref(ln_rules *rules);

/*
 * May `identity` (NULL = anonymous) do this to `name`, or to all that a filter matches, and which
 * rule says so? `rules` NULL = there are none. Allocates nothing; at most rules x (pattern + name +
 * roles) steps. Any thread.
 */
LN_API ln_rules_decision ln_rules_explain(const ln_rules *rules, const ln_identity *identity,
                                          ln_verb_bit verb, ln_span name);

#ifdef __cplusplus
}
#endif
#endif
