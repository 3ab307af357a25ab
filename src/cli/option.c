/* SPDX-License-Identifier: MIT */
#include "option.h"

#include <inttypes.h>
#include <string.h>

#include "units.h"

enum { HELP_COLUMN = 30, LINE_COLUMNS = 80 };

typedef struct parser {
    const ln_option *table;
    char **argv;
    int argc;
    int at; /* the word being looked at */
    void *settings;
    char *why;
} parser;

static bool is_end(const ln_option *o)
{
    return o->name == NULL && o->help == NULL;
}

static bool takes_value(const ln_option *o)
{
    return o->type != LN_OPTION_SET && o->type != LN_OPTION_CLEAR;
}

static const ln_option *find_name(const ln_option *table, ln_span name)
{
    for (const ln_option *o = table; !is_end(o); o++)
        if (o->name != NULL && ln_text_equal(ln_text(o->name), name))
            return o;
    return NULL;
}

static const ln_option *find_letter(const ln_option *table, char letter)
{
    for (const ln_option *o = table; !is_end(o); o++)
        if (o->name != NULL && o->letter == letter)
            return o;
    return NULL;
}

/* Is `word`, as a whole, an option of the table (or the end of options)? Then it is nobody's
 * value. */
static bool is_option(const ln_option *table, const char *word)
{
    if (word[0] != '-' || word[1] == '\0')
        return false;
    if (word[1] == '-')
        return word[2] == '\0' || find_name(table, ln_text(word + 2)) != NULL ||
               strcmp(word, "--help") == 0;
    return word[2] == '\0' && (find_letter(table, word[1]) != NULL || word[1] == 'h');
}

/* How the option was written, for messages: "--wait" or "-w". */
typedef struct label {
    char text[96];
} label;

static label name_of(const ln_option *o, char letter)
{
    label l;
    if (letter != 0)
        snprintf(l.text, sizeof l.text, "-%c", letter);
    else
        snprintf(l.text, sizeof l.text, "--%s", o->name);
    return l;
}

static int refuse(const parser *p, const label *l, const char *value, const char *what)
{
    snprintf(p->why, LN_OPTION_WHY_SIZE, "option %s: \"%s\" is not %s", l->text, value, what);
    return LN_ERR_INVALID;
}

/* ------------------------------------------------------------------------------------------------
 * values */

static void format_number(const ln_option *o, uint32_t value, char text[LN_UNITS_TEXT_SIZE])
{
    if (o->can_be_off && value == UINT32_MAX)
        snprintf(text, LN_UNITS_TEXT_SIZE, "off");
    else if (o->type == LN_OPTION_DURATION)
        ln_units_format_duration(value, text);
    else if (o->type == LN_OPTION_SIZE)
        ln_units_format_size(value, text);
    else
        snprintf(text, LN_UNITS_TEXT_SIZE, "%" PRIu32, value);
}

static int parse_number(const ln_option *o, const char *value, uint64_t *number)
{
    if (o->type == LN_OPTION_DURATION)
        return ln_units_parse_duration(ln_text(value), number);
    if (o->type == LN_OPTION_SIZE)
        return ln_units_parse_size(ln_text(value), number);
    return ln_text_parse_u64(ln_text(value), UINT64_MAX, number);
}

static int store_number(const parser *p, const ln_option *o, const label *l, const char *value,
                        uint32_t *member)
{
    static const char *const examples[] = {
        [LN_OPTION_NUMBER] = "a number",
        [LN_OPTION_SIZE] = "a size like 64KiB, 1M or 4096",
        [LN_OPTION_DURATION] = "a duration like 500ms, 10s or 1m",
    };
    if (o->can_be_off && strcmp(value, "off") == 0) {
        *member = UINT32_MAX;
        return 0;
    }
    uint64_t number = UINT64_MAX; /* as large as can be, should it be larger than that */
    if (parse_number(o, value, &number) == LN_ERR_INVALID)
        return refuse(p, l, value, examples[o->type]);

    /* The two largest numbers have meanings of their own. */
    const uint32_t max = o->max > 0 ? o->max : LN_OPTION_UNSET - 1;
    if (number < o->min || number > max) {
        char low[LN_UNITS_TEXT_SIZE], high[LN_UNITS_TEXT_SIZE], range[2 * LN_UNITS_TEXT_SIZE + 16];
        format_number(o, o->min, low);
        format_number(o, max, high);
        snprintf(range, sizeof range, "between %s and %s", low, high);
        return refuse(p, l, value, range);
    }
    *member = (uint32_t)number;
    return 0;
}

static int store_choice(const parser *p, const ln_option *o, const label *l, const char *value,
                        uint32_t *member)
{
    ln_span rest = ln_text(o->value), word;
    for (uint32_t i = 0; ln_text_next(&rest, '|', &word); i++) {
        if (ln_text_equal(word, ln_text(value))) {
            *member = i;
            return 0;
        }
    }
    return refuse(p, l, value, o->value);
}

static int store_item(const parser *p, const label *l, char *value, ln_option_list *list)
{
    if (list->count == LN_OPTION_LIST_MAX) {
        snprintf(p->why, LN_OPTION_WHY_SIZE, "option %s: more than %d of them", l->text,
                 LN_OPTION_LIST_MAX);
        return LN_ERR_INVALID;
    }
    list->items[list->count++] = value;
    return 0;
}

/* `value` is NULL for an option that takes none. */
static int store(const parser *p, const ln_option *o, const label *l, char *value)
{
    void *member = (char *)p->settings + o->offset;
    switch (o->type) {
    case LN_OPTION_SET:
        *(bool *)member = true;
        return 0;
    case LN_OPTION_CLEAR:
        *(bool *)member = false;
        return 0;
    case LN_OPTION_TEXT:
        *(char **)member = value;
        return 0;
    case LN_OPTION_LIST:
        return store_item(p, l, value, member);
    case LN_OPTION_NUMBER:
    case LN_OPTION_SIZE:
    case LN_OPTION_DURATION:
        return store_number(p, o, l, value, member);
    case LN_OPTION_CHOICE:
        return store_choice(p, o, l, value, member);
    }
    return LN_ERR_INVALID;
}

/* ------------------------------------------------------------------------------------------------
 * words */

/* The next word as the value of an option that was written without one attached. */
static int store_next(parser *p, const ln_option *o, const label *l)
{
    if (p->at + 1 >= p->argc || is_option(p->table, p->argv[p->at + 1])) {
        snprintf(p->why, LN_OPTION_WHY_SIZE, "option %s needs a value: %s", l->text, o->value);
        return LN_ERR_INVALID;
    }
    return store(p, o, l, p->argv[++p->at]);
}

/* "--name" or "--name=value". */
static int take_long(parser *p, char *word)
{
    char *name = word + 2;
    char *equals = strchr(name, '=');
    const ln_span wanted = {name, equals != NULL ? (size_t)(equals - name) : strlen(name)};
    if (equals == NULL && strcmp(name, "help") == 0)
        return LN_ERR_NOT_FOUND;

    const ln_option *o = find_name(p->table, wanted);
    if (o == NULL) {
        snprintf(p->why, LN_OPTION_WHY_SIZE, "there is no option --%.*s",
                 (int)ln_min_size(wanted.size, 64), name);
        return LN_ERR_INVALID;
    }
    const label l = name_of(o, 0);
    if (takes_value(o))
        return equals != NULL ? store(p, o, &l, equals + 1) : store_next(p, o, &l);
    if (equals != NULL) {
        snprintf(p->why, LN_OPTION_WHY_SIZE, "option %s takes no value", l.text);
        return LN_ERR_INVALID;
    }
    return store(p, o, &l, NULL);
}

/* "-abc", "-n value", "-nvalue". */
static int take_short(parser *p, char *word)
{
    for (char *c = word + 1; *c != '\0'; c++) {
        const ln_option *o = find_letter(p->table, *c);
        if (o == NULL && *c == 'h')
            return LN_ERR_NOT_FOUND;
        if (o == NULL) {
            snprintf(p->why, LN_OPTION_WHY_SIZE, "there is no option -%c", *c);
            return LN_ERR_INVALID;
        }
        const label l = name_of(o, *c);
        if (takes_value(o))
            return c[1] != '\0' ? store(p, o, &l, c + 1) : store_next(p, o, &l);
        const int rc = store(p, o, &l, NULL);
        if (rc < 0)
            return rc;
    }
    return 0;
}

int ln_option_parse(const ln_option *table, int argc, char **argv, void *settings,
                    char why[LN_OPTION_WHY_SIZE])
{
    parser p = {.table = table, .argv = argv, .argc = argc, .settings = settings, .why = why};
    int operands = 0;
    bool is_ended = false;
    for (p.at = 1; p.at < argc; p.at++) {
        char *word = argv[p.at];
        if (is_ended || word[0] != '-' || word[1] == '\0') {
            argv[++operands] = word;
            continue;
        }
        is_ended = strcmp(word, "--") == 0;
        if (is_ended)
            continue;
        const int rc = word[1] == '-' ? take_long(&p, word) : take_short(&p, word);
        if (rc < 0)
            return rc;
    }
    return operands;
}

/* ------------------------------------------------------------------------------------------------
 * help */

/* Length of the first line of `text` if it may have `room` bytes: up to a newline, or the last
 * blank that fits. */
static size_t first_line(const char *text, size_t room)
{
    const size_t n = strcspn(text, "\n");
    if (n <= room)
        return n;
    size_t cut = room;
    while (cut > 0 && text[cut] != ' ')
        cut--;
    return cut > 0 ? cut : n;
}

void ln_option_print_text(const char *text, int indent, FILE *out)
{
    while (*text != '\0') {
        const size_t n = first_line(text, (size_t)(LINE_COLUMNS - indent));
        fprintf(out, "%*s%.*s\n", n > 0 ? indent : 0, "", (int)n, text);
        text += n;
        if (*text != '\0')
            text++;
    }
}

/* " (default 10s)", or nothing. */
static void describe_default(const ln_option *o, const void *defaults, char *text, size_t size)
{
    const void *member = (const char *)defaults + o->offset;
    char number[LN_UNITS_TEXT_SIZE];
    text[0] = '\0';
    switch (o->type) {
    case LN_OPTION_SET:
    case LN_OPTION_CLEAR:
        break;
    case LN_OPTION_LIST:
        snprintf(text, size, " (may be repeated)");
        break;
    case LN_OPTION_TEXT:
        if (*(char *const *)member != NULL)
            snprintf(text, size, " (default %s)", *(char *const *)member);
        break;
    case LN_OPTION_NUMBER:
    case LN_OPTION_SIZE:
    case LN_OPTION_DURATION:
        format_number(o, *(const uint32_t *)member, number);
        if (*(const uint32_t *)member != 0 && *(const uint32_t *)member != LN_OPTION_UNSET)
            snprintf(text, size, " (default %s)", number);
        break;
    case LN_OPTION_CHOICE: {
        ln_span rest = ln_text(o->value), word = {0};
        for (uint32_t i = 0; i <= *(const uint32_t *)member; i++)
            if (!ln_text_next(&rest, '|', &word))
                return;
        snprintf(text, size, " (default %.*s)", (int)word.size, (const char *)word.data);
        break;
    }
    }
}

static void print_row(char letter, const char *name, const char *value, const char *help, FILE *out)
{
    int width =
        letter != 0 ? fprintf(out, "  -%c, --%s", letter, name) : fprintf(out, "      --%s", name);
    if (value != NULL)
        width += fprintf(out, " %s", value);
    if (width > HELP_COLUMN - 2) {
        fputc('\n', out);
        ln_option_print_text(help, HELP_COLUMN, out);
        return;
    }
    const size_t n = first_line(help, LINE_COLUMNS - HELP_COLUMN);
    fprintf(out, "%*s%.*s\n", HELP_COLUMN - width, "", (int)n, help);
    if (help[n] != '\0')
        ln_option_print_text(help + n + 1, HELP_COLUMN, out);
}

void ln_option_print(const ln_option *table, const void *defaults, FILE *out)
{
    for (const ln_option *o = table; !is_end(o); o++) {
        if (o->name == NULL) {
            fprintf(out, "\n%s:\n", o->help);
            continue;
        }
        char extra[128], help[512];
        describe_default(o, defaults, extra, sizeof extra);
        snprintf(help, sizeof help, "%s%s", o->help, extra);
        print_row(o->letter, o->name, o->value, help, out);
    }
    print_row('h', "help", NULL, "this text", out);
}
