/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cli/option.h"

typedef struct settings {
    bool is_loud;
    bool is_deflated;
    char *name;
    ln_option_list headers;
    uint32_t workers;
    uint32_t size_bytes;
    uint32_t wait_ms;
    uint32_t io;
    uint32_t pause_ms;
} settings;

#define AT(member) offsetof(settings, member)

static const ln_option table[] = {
    {.help = "General"},
    {.name = "loud",
     .letter = 'l',
     .type = LN_OPTION_SET,
     .offset = AT(is_loud),
     .help = "speaks up"},
    {.name = "no-deflate",
     .letter = 'Z',
     .type = LN_OPTION_CLEAR,
     .offset = AT(is_deflated),
     .help = "plain"},
    {.name = "name",
     .letter = 'n',
     .type = LN_OPTION_TEXT,
     .offset = AT(name),
     .value = "NAME",
     .help = "a name"},
    {.name = "header",
     .letter = 'H',
     .type = LN_OPTION_LIST,
     .offset = AT(headers),
     .value = "K:V",
     .help = "a header"},
    {.help = "Numbers"},
    {.name = "workers",
     .type = LN_OPTION_NUMBER,
     .offset = AT(workers),
     .value = "N",
     .help = "threads",
     .min = 1,
     .max = 64},
    {.name = "size",
     .type = LN_OPTION_SIZE,
     .offset = AT(size_bytes),
     .value = "SIZE",
     .help = "bytes",
     .min = 1},
    {.name = "wait",
     .letter = 'w',
     .can_be_off = true,
     .type = LN_OPTION_DURATION,
     .offset = AT(wait_ms),
     .value = "TIME",
     .help = "how long"},
    {.name = "io",
     .type = LN_OPTION_CHOICE,
     .offset = AT(io),
     .value = "auto|epoll|uring",
     .help = "back end"},
    {.name = "pause",
     .type = LN_OPTION_DURATION,
     .offset = AT(pause_ms),
     .value = "TIME",
     .help = "a rest whose explanation is so long that it cannot stand on one line of a terminal "
             "of the usual width"},
    {0},
};

static const settings defaults = {
    .is_deflated = true, .workers = 2, .wait_ms = 1500, .io = 1, .pause_ms = LN_OPTION_UNSET};

static settings got;
static char why[LN_OPTION_WHY_SIZE];
static char *words[LN_OPTION_LIST_MAX * 2 + 8];

/* Parses copies of the given words, which end with NULL. */
static int parse(const char *first, ...)
{
    static char copies[LN_OPTION_LIST_MAX * 2 + 8][64];
    int count = 0;
    va_list args;
    va_start(args, first);
    words[count++] = "verb";
    for (const char *word = first; word != NULL; word = va_arg(args, const char *), count++) {
        snprintf(copies[count], sizeof copies[count], "%s", word);
        words[count] = copies[count];
    }
    va_end(args);
    got = defaults;
    why[0] = '\0';
    return ln_option_parse(table, count, words, &got, why);
}

static void nothing_given_leaves_the_defaults(void **state)
{
    (void)state;
    assert_int_equal(parse(NULL), 0);
    assert_memory_equal(&got, &defaults, sizeof got);
}

static void all_spellings_of_a_value_mean_the_same(void **state)
{
    (void)state;
    assert_int_equal(parse("--name", "bob", NULL), 0);
    assert_string_equal(got.name, "bob");
    assert_int_equal(parse("--name=bob", NULL), 0);
    assert_string_equal(got.name, "bob");
    assert_int_equal(parse("-n", "bob", NULL), 0);
    assert_string_equal(got.name, "bob");
    assert_int_equal(parse("-nbob", NULL), 0);
    assert_string_equal(got.name, "bob");
    assert_int_equal(parse("-lZnbob", NULL), 0);
    assert_string_equal(got.name, "bob");
    assert_true(got.is_loud);
    assert_false(got.is_deflated);
    assert_int_equal(parse("--name=", NULL), 0);
    assert_string_equal(got.name, "");
    assert_int_equal(parse("--name=a=b", NULL), 0);
    assert_string_equal(got.name, "a=b");
}

static void the_last_text_counts_and_lists_keep_all_in_order(void **state)
{
    (void)state;
    assert_int_equal(parse("-n", "a", "-H", "A:1", "--name", "b", "--header=B:2", "-HC:3", NULL),
                     0);
    assert_string_equal(got.name, "b");
    assert_int_equal(got.headers.count, 3);
    assert_string_equal(got.headers.items[0], "A:1");
    assert_string_equal(got.headers.items[1], "B:2");
    assert_string_equal(got.headers.items[2], "C:3");
}

static void operands_and_options_come_in_any_order(void **state)
{
    (void)state;
    assert_int_equal(parse("one", "-l", "two", "--name", "x", "three", NULL), 3);
    assert_string_equal(words[1], "one");
    assert_string_equal(words[2], "two");
    assert_string_equal(words[3], "three");
    assert_true(got.is_loud);
    assert_int_equal(parse("--", "-l", "--name", "--", NULL), 3);
    assert_string_equal(words[1], "-l");
    assert_string_equal(words[3], "--");
    assert_false(got.is_loud);
    assert_int_equal(parse("-", NULL), 1);
    assert_string_equal(words[1], "-");
    assert_int_equal(parse("", NULL), 1);
}

static void numbers_are_kept_within_their_range(void **state)
{
    (void)state;
    assert_int_equal(parse("--workers", "1", NULL), 0);
    assert_int_equal(got.workers, 1);
    assert_int_equal(parse("--workers=64", NULL), 0);
    assert_int_equal(got.workers, 64);
    assert_int_equal(parse("--workers=65", NULL), LN_ERR_INVALID);
    assert_string_equal(why, "option --workers: \"65\" is not between 1 and 64");
    assert_int_equal(got.workers, 2);
    assert_int_equal(parse("--workers=0", NULL), LN_ERR_INVALID);
    assert_int_equal(parse("--workers=99999999999999999999999", NULL), LN_ERR_INVALID);
    assert_non_null(strstr(why, "between 1 and 64"));
    assert_int_equal(parse("--workers", "two", NULL), LN_ERR_INVALID);
    assert_string_equal(why, "option --workers: \"two\" is not a number");
    assert_int_equal(parse("--workers", "-1", NULL), LN_ERR_INVALID);
    assert_int_equal(parse("--workers", "1s", NULL), LN_ERR_INVALID);
}

static void sizes_and_durations_have_units_and_may_be_off(void **state)
{
    (void)state;
    assert_int_equal(parse("--size", "64KiB", "-w", "2", NULL), 0);
    assert_int_equal(got.size_bytes, 65536);
    assert_int_equal(got.wait_ms, 2000);
    assert_int_equal(parse("-w0", NULL), 0);
    assert_int_equal(got.wait_ms, 0);
    assert_int_equal(parse("--wait=off", NULL), 0);
    assert_int_equal(got.wait_ms, UINT32_MAX);
    assert_int_equal(parse("--size=off", NULL), LN_ERR_INVALID);
    assert_non_null(strstr(why, "is not a size like"));
    assert_int_equal(parse("--wait=soon", NULL), LN_ERR_INVALID);
    assert_non_null(strstr(why, "is not a duration like"));
    assert_int_equal(parse("--size=0", NULL), LN_ERR_INVALID);
}

static void the_two_reserved_numbers_cannot_be_given_as_numbers(void **state)
{
    (void)state;
    assert_int_equal(parse("--size=4294967293", NULL), 0);
    assert_true(got.size_bytes == UINT32_MAX - 2);
    assert_int_equal(parse("--size=4294967294", NULL), LN_ERR_INVALID);
    assert_int_equal(parse("--size=4294967295", NULL), LN_ERR_INVALID);
    assert_int_equal(parse("--size=4G", NULL), LN_ERR_INVALID);
}

static void a_choice_is_one_of_its_words(void **state)
{
    (void)state;
    assert_int_equal(parse("--io", "uring", NULL), 0);
    assert_int_equal(got.io, 2);
    assert_int_equal(parse("--io=auto", NULL), 0);
    assert_int_equal(got.io, 0);
    assert_int_equal(parse("--io=kqueue", NULL), LN_ERR_INVALID);
    assert_string_equal(why, "option --io: \"kqueue\" is not auto|epoll|uring");
    assert_int_equal(parse("--io=auto|epoll", NULL), LN_ERR_INVALID);
    assert_int_equal(parse("--io=", NULL), LN_ERR_INVALID);
}

static void a_forgotten_value_is_noticed(void **state)
{
    (void)state;
    assert_int_equal(parse("--name", NULL), LN_ERR_INVALID);
    assert_string_equal(why, "option --name needs a value: NAME");
    assert_int_equal(parse("-n", NULL), LN_ERR_INVALID);
    assert_string_equal(why, "option -n needs a value: NAME");
    assert_int_equal(parse("--name", "--workers", "2", NULL), LN_ERR_INVALID);
    assert_int_equal(parse("--name", "-l", NULL), LN_ERR_INVALID);
    assert_int_equal(parse("--name", "--", NULL), LN_ERR_INVALID);
    assert_int_equal(parse("--name", "--help", NULL), LN_ERR_INVALID);
    /* What is no option of ours may be a value, and so may anything that is attached. */
    assert_int_equal(parse("--name", "--cheers", "-n", "-9", NULL), 0);
    assert_string_equal(got.name, "-9");
    assert_int_equal(parse("--name=--workers", NULL), 0);
    assert_string_equal(got.name, "--workers");
    assert_int_equal(parse("--name", "-", NULL), 0);
}

static void unknown_options_are_named(void **state)
{
    (void)state;
    assert_int_equal(parse("--naem", "x", NULL), LN_ERR_INVALID);
    assert_string_equal(why, "there is no option --naem");
    assert_int_equal(parse("--naem=x", NULL), LN_ERR_INVALID);
    assert_string_equal(why, "there is no option --naem");
    assert_int_equal(parse("-lq", NULL), LN_ERR_INVALID);
    assert_string_equal(why, "there is no option -q");
    assert_int_equal(parse("--nam", "x", NULL),
                     LN_ERR_INVALID); /* no abbreviations: they break when options are added */
    assert_int_equal(parse("--loud=yes", NULL), LN_ERR_INVALID);
    assert_string_equal(why, "option --loud takes no value");
}

static void help_is_understood_everywhere(void **state)
{
    (void)state;
    assert_int_equal(parse("--help", NULL), LN_ERR_NOT_FOUND);
    assert_int_equal(parse("one", "-l", "-h", NULL), LN_ERR_NOT_FOUND);
    assert_int_equal(parse("-lh", NULL), LN_ERR_NOT_FOUND);
    assert_int_equal(parse("--", "--help", NULL), 1);
}

static void a_list_is_full_at_its_limit(void **state)
{
    (void)state;
    char *many[LN_OPTION_LIST_MAX + 2] = {"verb"};
    for (int i = 1; i <= LN_OPTION_LIST_MAX + 1; i++)
        many[i] = "-HA:1";
    got = defaults;
    assert_int_equal(ln_option_parse(table, LN_OPTION_LIST_MAX + 1, many, &got, why), 0);
    assert_int_equal(got.headers.count, LN_OPTION_LIST_MAX);
    got = defaults;
    assert_int_equal(ln_option_parse(table, LN_OPTION_LIST_MAX + 2, many, &got, why),
                     LN_ERR_INVALID);
    assert_non_null(strstr(why, "more than 64"));
}

static char *printed(const ln_option *options)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    ln_option_print(options, &defaults, out);
    fclose(out);
    return text;
}

static void help_shows_every_option_with_its_default(void **state)
{
    (void)state;
    char *text = printed(table);
    for (const ln_option *o = table; o->name != NULL || o->help != NULL; o++)
        assert_non_null(strstr(text, o->name != NULL ? o->name : o->help));
    assert_non_null(strstr(text, "  -H, --header K:V            a header (may be repeated)\n"));
    assert_non_null(strstr(text, "      --workers N             threads (default 2)\n"));
    assert_non_null(strstr(text, "how long (default 1500ms)\n"));
    assert_non_null(strstr(text, "back end (default epoll)\n"));
    assert_non_null(strstr(text, "-h, --help"));
    assert_null(strstr(text, "429496729")); /* the mark for "not given" is nobody's business */
    free(text);
}

static void a_long_value_is_shown_whole(void **state)
{
    (void)state;
    static const ln_option options[] = {
        {.name = "overflow",
         .letter = 'o',
         .type = LN_OPTION_CHOICE,
         .offset = AT(io),
         .value = "refuse|drop-newest|drop-oldest|close|keep-latest-of-all",
         .help = "policy"},
        {0}};
    char *text = printed(options);
    assert_non_null(strstr(text, "  -o, --overflow refuse|drop-newest|drop-oldest|close|"
                                 "keep-latest-of-all\n" /* its help is below */
                                 "                              policy (default drop-newest)\n"));
    free(text);
}

static void no_line_of_help_is_wider_than_a_terminal(void **state)
{
    (void)state;
    char *text = printed(table);
    for (char *line = strtok(text, "\n"); line != NULL; line = strtok(NULL, "\n"))
        assert_true(strlen(line) <= 80);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_given_leaves_the_defaults),
        cmocka_unit_test(all_spellings_of_a_value_mean_the_same),
        cmocka_unit_test(the_last_text_counts_and_lists_keep_all_in_order),
        cmocka_unit_test(operands_and_options_come_in_any_order),
        cmocka_unit_test(numbers_are_kept_within_their_range),
        cmocka_unit_test(sizes_and_durations_have_units_and_may_be_off),
        cmocka_unit_test(the_two_reserved_numbers_cannot_be_given_as_numbers),
        cmocka_unit_test(a_choice_is_one_of_its_words),
        cmocka_unit_test(a_forgotten_value_is_noticed),
        cmocka_unit_test(unknown_options_are_named),
        cmocka_unit_test(help_is_understood_everywhere),
        cmocka_unit_test(a_list_is_full_at_its_limit),
        cmocka_unit_test(help_shows_every_option_with_its_default),
        cmocka_unit_test(a_long_value_is_shown_whole),
        cmocka_unit_test(no_line_of_help_is_wider_than_a_terminal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
