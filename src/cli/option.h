/* SPDX-License-Identifier: MIT */
/*
 * option - one table per command, from which parsing, --help, completion and the manual page
 * follow.
 *
 * A command has a struct of settings, a copy of it filled with the defaults, and a table whose rows
 * say which option writes which member. -h and --help are understood everywhere and have no row.
 *
 * Grammar
 *   --name VALUE  --name=VALUE  -n VALUE  -nVALUE  -abc (flags)  -- (operands only from here);
 *                                                                options and operands in
 *   any order; a lone "-" is an operand. The word after an option is its value unless it is itself
 *   the name of one of
 *   the command's options, so that a forgotten value is found; the attached forms take anything.
 *
 * Invariants
 *   1. Nothing is allocated: texts are borrowed from argv, lists have LN_OPTION_LIST_MAX places.
 *   2. A refused word changes nothing in the settings.
 */
#ifndef LN_OPTION_H
#define LN_OPTION_H

#include <stdio.h>

#include "base/base.h"

enum {
    LN_OPTION_LIST_MAX = 64, /* repetitions of one option */
    LN_OPTION_WHY_SIZE = 256
};

/* A default that tells "not given" from every value; --help does not show it. */
#define LN_OPTION_UNSET (UINT32_MAX - 1)

typedef struct ln_option_list {
    char *items[LN_OPTION_LIST_MAX]; /* borrowed from argv */
    unsigned count;
} ln_option_list;

typedef enum ln_option_type {                   /* the member's type; what the option does to it */
                              LN_OPTION_SET,    /* bool; becomes true, takes no value */
                              LN_OPTION_CLEAR,  /* bool; becomes false, takes no value */
                              LN_OPTION_TEXT,   /* char *; the last one counts */
                              LN_OPTION_LIST,   /* ln_option_list; all of them in order */
                              LN_OPTION_NUMBER, /* uint32_t */
                              LN_OPTION_SIZE,   /* uint32_t, bytes (units.h) */
                              LN_OPTION_DURATION, /* uint32_t, milliseconds (units.h) */
                              LN_OPTION_CHOICE /* uint32_t; which of the words in `value`, from 0 */
} ln_option_type;

typedef struct ln_option {
    const char
        *name;   /* long name without dashes; NULL = a heading for those that follow, or the end */
    char letter; /* short name, 0 = none */
    bool can_be_off; /* the word "off" is understood and means UINT32_MAX (LN_OFF) */
    ln_option_type type;
    size_t offset;     /* of the member in the settings */
    const char *value; /* what --help calls the value, "ADDR"; choices: "auto|epoll|uring" */
    const char
        *help; /* a clause without a full stop; heading: its words; NULL = the end of the table */
    uint32_t min, max; /* number, size, duration: both allowed; max 0 = any */
} ln_option;

/*
 * Applies the words argv[1..argc-1] to `settings` and moves the operands, in order, to argv[1..].
 *
 * Returns the number of operands. LN_ERR_NOT_FOUND: help was asked for, the words after that were
 * not looked at. LN_ERR_INVALID: *why is one sentence about it.
 */
LN_NODISCARD int ln_option_parse(const ln_option *table, int argc, char **argv, void *settings,
                                 char why[LN_OPTION_WHY_SIZE]);

/* Prints the table for --help, with the values in `defaults`. */
void ln_option_print(const ln_option *table, const void *defaults, FILE *out);

/* Prints `text`, broken at blanks into lines of at most 80 columns of which the first `indent` are
 * empty. */
void ln_option_print_text(const char *text, int indent, FILE *out);

#endif
