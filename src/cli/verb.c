/* SPDX-License-Identifier: MIT */
#include "verb.h"

#include <string.h>

int ln_verb_begin(const ln_verb *verb, int argc, char **argv, void *settings, int *operands)
{
    char why[LN_OPTION_WHY_SIZE];
    memcpy(settings, verb->defaults, verb->settings_size);
    const int rc = ln_option_parse(verb->options, argc, argv, settings, why);
    if (rc == LN_ERR_NOT_FOUND) {
        ln_verb_print_help(verb, stdout);
        return LN_EXIT_DONE;
    }
    if (rc < 0)
        return ln_verb_misused(verb, why);
    if (rc > verb->operands_max) {
        snprintf(why, sizeof why, "\"%s\" is one word too many", argv[verb->operands_max + 1]);
        return ln_verb_misused(verb, why);
    }
    *operands = rc;
    return LN_EXIT_NOT_YET;
}

int ln_verb_run_part(const ln_verb *verb, const ln_verb *const *parts, const char *sentence,
                     int argc, char **argv)
{
    const size_t prefix = strlen(verb->name) + 1;
    char settings[1];
    int operands;

    LN_ASSERT(verb->settings_size <= sizeof settings);
    for (; argc > 1 && *parts != NULL; parts++)
        if (strcmp(argv[1], (*parts)->name + prefix) == 0)
            return (*parts)->run(argc - 1, argv + 1);
    const int code = ln_verb_begin(verb, argc, argv, settings, &operands);
    return code != LN_EXIT_NOT_YET ? code : ln_verb_misused(verb, sentence);
}

int ln_verb_misused(const ln_verb *verb, const char *sentence)
{
    fprintf(stderr, "linnet %s: %s\nTry: linnet %s --help\n", verb->name, sentence, verb->name);
    return LN_EXIT_USAGE;
}

int ln_verb_failed(const ln_verb *verb, const char *sentence)
{
    fprintf(stderr, "linnet %s: %s\n", verb->name, sentence);
    return LN_EXIT_FAILED;
}

void ln_verb_print_help(const ln_verb *verb, FILE *out)
{
    fprintf(out, "Usage: linnet %s [OPTIONS]%s%s\n\n", verb->name,
            verb->operands[0] != '\0' ? " " : "", verb->operands);
    ln_option_print_text(verb->about, 0, out);
    if (verb->options[0].name != NULL || verb->options[0].help == NULL) /* no heading of its own */
        fputs("\nOptions:\n", out);
    ln_option_print(verb->options, verb->defaults, out);
    if (verb->notes == NULL)
        return;
    fputc('\n', out);
    ln_option_print_text(verb->notes, 0, out);
}
