/* SPDX-License-Identifier: MIT */
/*
 * verb - a command of the program: its name, what --help says of it, its options, its function.
 *
 * Verbs are data. A new one is a file with a ln_verb in it and a line in the table in main.c.
 */
#ifndef LN_VERB_H
#define LN_VERB_H

#include "option.h"

enum ln_exit {
    LN_EXIT_DONE = 0,
    LN_EXIT_FAILED = 1,
    LN_EXIT_USAGE = 2,
    LN_EXIT_NOT_YET = -1 /* no exit code of a process: go on */
};

typedef struct ln_verb {
    const char *name;
    const char *summary;  /* a clause for the list of commands */
    const char *operands; /* "URL"; "" = none */
    int operands_max;
    const char *about; /* a paragraph in front of the options; lines are broken when printed */
    const char *notes; /* paragraphs behind them; NULL = none */
    const ln_option *options; /* option.h; ends with an empty row */
    const void *defaults;     /* the settings as they are before parsing; `settings_size` bytes */
    size_t settings_size;
    int (*run)(int argc, char **argv); /* argv[0] is the verb; the result is the exit code */
} ln_verb;

/*
 * How every command begins: *settings becomes the defaults, then what argv says; operands move to
 * argv[1..].
 *
 * LN_EXIT_NOT_YET: go on, with *operands of them. Otherwise the exit code: help was asked for and
 * printed, or the words were wrong and standard error says how.
 */
int ln_verb_begin(const ln_verb *verb, int argc, char **argv, void *settings, int *operands);

/*
 * A command that is several: runs the one of `parts`, which NULL ends, whose name is the verb's with
 * argv[1] behind it ("token sign"). Where argv[1] is none of them it may ask for help; else the
 * words are wrong, and `sentence` says what they may be. The exit code.
 */
int ln_verb_run_part(const ln_verb *verb, const ln_verb *const *parts, const char *sentence,
                     int argc, char **argv);

/* Says on standard error what is wrong with the words and where to read on; returns
 * LN_EXIT_USAGE. */
int ln_verb_misused(const ln_verb *verb, const char *sentence);

/* Says on standard error why it could not be done; returns LN_EXIT_FAILED. */
int ln_verb_failed(const ln_verb *verb, const char *sentence);

/* What `linnet help VERB` prints. */
void ln_verb_print_help(const ln_verb *verb, FILE *out);

extern const ln_verb ln_serve_verb;
extern const ln_verb ln_dial_verb;
extern const ln_verb ln_pub_verb;
extern const ln_verb ln_sub_verb;
extern const ln_verb ln_call_verb;
extern const ln_verb ln_bench_verb;
extern const ln_verb ln_token_verb;
extern const ln_verb ln_hash_verb; /* of token */
extern const ln_verb ln_rules_verb;
extern const ln_verb ln_version_verb;

#endif
