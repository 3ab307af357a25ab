/* SPDX-License-Identifier: MIT */
#include "screen.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/base64.h"

enum {
    HEX_BYTES = 32, /* of a binary message, on a terminal */
    BASE64_STEP =
        3 * 1024, /* encoded at a time; divisible by three, so that no padding stands in between */
    OUTPUT_BUFFER_BYTES = 65536, /* what a pipe takes */
};

static bool allows_colour(void)
{
    const char *no_color = getenv("NO_COLOR"), *terminal = getenv("TERM");
    if (no_color != NULL && no_color[0] != '\0')
        return false;
    return terminal != NULL && strcmp(terminal, "dumb") != 0;
}

void ln_screen_init(ln_screen *s, bool may_colour)
{
    static char buffer[OUTPUT_BUFFER_BYTES];
    *s = (ln_screen){.verb = "connect", .is_terminal = isatty(STDOUT_FILENO) != 0};
    s->is_interactive = s->is_terminal && isatty(STDIN_FILENO) != 0;
    s->has_colour = s->is_terminal && may_colour && allows_colour();
    setvbuf(stdout, buffer, _IOFBF, sizeof buffer);
}

/* ------------------------------------------------------------------------------------------------
 * payloads */

/* Length of the control character at `c`, 0 if there is none: C0 and DEL, and C1 in its two bytes
 * of UTF-8. */
static size_t control(const uint8_t *c, size_t n)
{
    if (c[0] < 0x20 || c[0] == 0x7F)
        return 1;
    return c[0] == 0xC2 && n > 1 && c[1] >= 0x80 && c[1] < 0xA0 ? 2 : 0;
}

/* Prints `text` with control characters escaped, except those in `plain`. */
static void print_escaped(FILE *out, ln_span text, const char *plain)
{
    const uint8_t *c = text.data;
    size_t n;
    for (size_t i = 0; i < text.size; i += n) {
        n = control(c + i, text.size - i);
        if (n == 0 || (c[i] != '\0' && strchr(plain, c[i]) != NULL)) {
            fputc(c[i], out);
            n = 1;
        } else {
            fprintf(out, "\\x%02X", c[i + n - 1]); /* of C1 the second byte: U+0085 is 85 */
        }
    }
}

static void print_base64(ln_span bytes)
{
    const uint8_t *from = bytes.data;
    char text[BASE64_STEP / 3 * 4];
    for (size_t i = 0; i < bytes.size; i += BASE64_STEP) {
        const ln_span part = {from + i, ln_min_size(BASE64_STEP, bytes.size - i)};
        ln_base64_write(part, text);
        fwrite(text, 1, ln_base64_size(part.size), stdout);
    }
}

static void print_hex(ln_span bytes)
{
    const uint8_t *from = bytes.data;
    printf("[binary %zu byte%s]", bytes.size, bytes.size == 1 ? "" : "s");
    for (size_t i = 0; i < bytes.size && i < HEX_BYTES; i++)
        printf(" %02x", from[i]);
    if (bytes.size > HEX_BYTES)
        fputs(" ...", stdout);
}

static void print_payload(const ln_screen *s, enum ln_kind kind, ln_span payload)
{
    if (kind == LN_BINARY && s->is_base64)
        print_base64(payload);
    else if (kind == LN_BINARY && s->is_terminal)
        print_hex(payload);
    else if (s->is_terminal)
        print_escaped(stdout, payload, "\t\n");
    else if (payload.size > 0) /* an empty one lies nowhere */
        fwrite(payload.data, 1, payload.size, stdout);
}

/* Remembers the first failure of standard output while errno is still its reason. */
static void note_failure(ln_screen *s)
{
    if (s->failure == 0 && ferror(stdout))
        s->failure = errno == EPIPE ? LN_ERR_CLOSED : LN_ERR_IO;
}

void ln_screen_message(ln_screen *s, enum ln_kind kind, ln_span payload)
{
    ln_line_hide(s->line);
    if (s->has_colour)
        fputs("\033[36m", stdout);
    if (s->is_interactive)
        fputs("< ", stdout);
    print_payload(s, kind, payload);
    if (s->has_colour)
        fputs("\033[39m", stdout);
    if (!s->is_exact || s->is_terminal || s->is_base64)
        fputc('\n', stdout);
    note_failure(s);
    ln_line_show(s->line);
}

/* ------------------------------------------------------------------------------------------------
 * talk */

static bool is_wanted(const ln_screen *s, ln_tone tone)
{
    switch (tone) {
    case LN_TONE_DETAIL:
        return s->is_verbose;
    case LN_TONE_EVENT:
        return !s->is_quiet && (s->is_interactive || s->is_verbose);
    case LN_TONE_ERROR:
        return true;
    }
    return true;
}

FILE *ln_screen_begin(ln_screen *s, ln_tone tone)
{
    static const char *const colours[] = {
        [LN_TONE_DETAIL] = "\033[2m", [LN_TONE_EVENT] = "\033[32m", [LN_TONE_ERROR] = "\033[31m"};
    if (!is_wanted(s, tone))
        return NULL;
    ln_line_hide(s->line);
    (void)ln_screen_flush(s); /* what came first stands first */
    if (s->has_colour)
        fputs(colours[tone], stderr);
    if (tone == LN_TONE_ERROR)
        fprintf(stderr, "linnet %s: ", s->verb);
    return stderr;
}

void ln_screen_end(ln_screen *s)
{
    if (s->has_colour)
        fputs("\033[0m", stderr);
    fputc('\n', stderr);
    ln_line_show(s->line);
}

void ln_screen_say(ln_screen *s, ln_tone tone, const char *sentence)
{
    FILE *out = ln_screen_begin(s, tone);
    if (out == NULL)
        return;
    fputs(sentence, out);
    ln_screen_end(s);
}

void ln_screen_quote(FILE *out, ln_span text)
{
    print_escaped(out, text, "");
}

void ln_screen_put_wait(FILE *out, int64_t wait_ms)
{
    if (wait_ms >= 0)
        fprintf(out, " (next try in %" PRId64 ".%" PRId64 " s)", wait_ms / 1000,
                wait_ms % 1000 / 100);
}

int ln_screen_flush(ln_screen *s)
{
    if (s->failure == 0 && fflush(stdout) == EOF)
        s->failure = errno == EPIPE ? LN_ERR_CLOSED : LN_ERR_IO;
    return s->failure;
}
