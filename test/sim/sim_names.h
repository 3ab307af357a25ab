/* SPDX-License-Identifier: MIT */
/*
 * sim_names - what simulated subscribers are subscribed to: a dozen names, a dozen filters, and a
 * matcher that shares nothing with the one under test. And chance, from a seed.
 *
 * A topic is a number: names first, then filters; SIM_EVERYBODY is what is published to no topic.
 */
#ifndef SIM_NAMES_H
#define SIM_NAMES_H

#include <string.h>

#include "base/base.h"

enum {
    SIM_NAMES = 12,
    SIM_FILTERS = 12,
    SIM_TOPICS = SIM_NAMES + SIM_FILTERS,
    SIM_EVERYBODY = SIM_TOPICS
};

static const char *const sim_texts[SIM_TOPICS] = {"a",
                                                  "b",
                                                  "a.b",
                                                  "a.c",
                                                  "a.b.c",
                                                  "b.b.c",
                                                  "\xC3\xA9t\xC3\xA9",
                                                  "$s.b",
                                                  "x.y.z",
                                                  "a.",
                                                  "l.m.n.o",
                                                  "a rather longer name",
                                                  "*",
                                                  ">",
                                                  "a.*",
                                                  "a.>",
                                                  "*.b",
                                                  "*.*",
                                                  "*.b.c",
                                                  "a.*.c",
                                                  "$s.*",
                                                  "*.*.>",
                                                  "l.*.*.o",
                                                  "*.*.*.*"};

static inline ln_span sim_name(unsigned topic)
{
    return topic == SIM_EVERYBODY ? (ln_span){0}
                                  : (ln_span){sim_texts[topic], strlen(sim_texts[topic])};
}

/* Character by character. */
static inline bool sim_is_match(const char *filter, const char *name)
{
    if (strcmp(filter, ">") == 0)
        return true;
    if (filter[0] == '*' && (filter[1] == '.' || filter[1] == '\0'))
        for (filter++; *name != '.' && *name != '\0'; name++)
            ;
    if (*filter != *name)
        return false;
    return *name == '\0' || sim_is_match(filter + 1, name + 1);
}

/* Does a member of `topic` get what is published to `name`? */
static inline bool sim_covers(unsigned topic, unsigned name)
{
    if (name == SIM_EVERYBODY || topic == name)
        return true;
    const char *const text = sim_texts[topic];
    const bool is_wild_first = text[0] == '*' || text[0] == '>';
    return topic >= SIM_NAMES && !(is_wild_first && sim_texts[name][0] == '$') &&
           sim_is_match(text, sim_texts[name]);
}

/* What a seed begins with; the first few picks of small seeds are alike. */
static inline uint64_t sim_random(uint64_t seed)
{
    return seed * UINT64_C(0x9E3779B97F4A7C15) | 1;
}

/* xorshift64* (Vigna 2016); 0 to n - 1. */
static inline unsigned sim_pick(uint64_t *random, unsigned n)
{
    *random ^= *random >> 12;
    *random ^= *random << 25;
    *random ^= *random >> 27;
    return (unsigned)((*random * UINT64_C(0x2545F4914F6CDD1D) >> 33) % n);
}

#endif
