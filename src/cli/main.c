/* SPDX-License-Identifier: MIT */
/*
 * main - the program `linnet`: finds the verb and runs it.
 *
 * Exit codes: 0 done, 1 failed, 2 used wrongly. Data goes to standard output, talk to standard
 * error.
 */
#include <signal.h>
#include <string.h>

#include "verb.h"

static int help(int argc, char **argv);

static const ln_option no_options[] = {{0}};

static const ln_verb help_verb = {
    .name = "help",
    .summary = "explains a command",
    .operands = "[COMMAND]",
    .operands_max = 1,
    .about = "Lists the commands, or explains one of them as `linnet COMMAND --help` does.",
    .options = no_options,
    .defaults = "",
    .run = help,
};

static const ln_verb *const verbs[] = {
    &ln_serve_verb, &ln_dial_verb,  &ln_pub_verb,   &ln_sub_verb,     &ln_call_verb,
    &ln_bench_verb, &ln_token_verb, &ln_rules_verb, &ln_version_verb, &help_verb};

static const ln_verb *find(const char *name)
{
    for (size_t i = 0; i < LN_ARRAY_SIZE(verbs); i++)
        if (strcmp(verbs[i]->name, name) == 0)
            return verbs[i];
    return NULL;
}

static void print_commands(FILE *out)
{
    fputs("Usage: linnet COMMAND [OPTIONS] [OPERANDS]\n\n"
          "A real-time WebSocket server, and a client for any.\n\nCommands:\n",
          out);
    for (size_t i = 0; i < LN_ARRAY_SIZE(verbs); i++)
        fprintf(out, "  %-10s %s\n", verbs[i]->name, verbs[i]->summary);
    fputs("\n`linnet COMMAND --help` explains a command. Exit codes: 0 done, 1 failed, 2 used "
          "wrongly.\n",
          out);
}

static int unknown(const char *name)
{
    fprintf(stderr, "linnet: there is no command \"%s\"\nTry: linnet --help\n", name);
    return LN_EXIT_USAGE;
}

static int help(int argc, char **argv)
{
    int operands;
    char settings[1];
    const int code = ln_verb_begin(&help_verb, argc, argv, settings, &operands);
    if (code != LN_EXIT_NOT_YET)
        return code;
    if (operands == 0) {
        print_commands(stdout);
        return LN_EXIT_DONE;
    }
    const ln_verb *verb = find(argv[1]);
    if (verb == NULL)
        return unknown(argv[1]);
    ln_verb_print_help(verb, stdout);
    return LN_EXIT_DONE;
}

/* Options in the place of a verb, as people try them on any program. */
static const char *alias(const char *word)
{
    static const struct {
        const char *word, *verb;
    } aliases[] = {{"--help", "help"}, {"-h", "help"}, {"--version", "version"}, {"-V", "version"}};
    for (size_t i = 0; i < LN_ARRAY_SIZE(aliases); i++)
        if (strcmp(aliases[i].word, word) == 0)
            return aliases[i].verb;
    return word;
}

int main(int argc, char **argv)
{
    signal(SIGPIPE, SIG_IGN); /* a reader that went away is an error of the write */
    if (argc < 2) {
        print_commands(stderr);
        return LN_EXIT_USAGE;
    }
    const ln_verb *verb = find(alias(argv[1]));
    if (verb == NULL)
        return unknown(argv[1]);
    const int code = verb->run(argc - 1, argv + 1);
    if (fflush(stdout) == EOF && code == LN_EXIT_DONE)
        return LN_EXIT_FAILED;
    return code;
}
