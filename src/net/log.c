/* SPDX-License-Identifier: MIT */
#include "log.h"

#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/base.h"

/*
 * A bucket lets burst + rate lines through in the second after a rest; two of them share
 * LN_LOG_LINES_MAX, and each leaves a line for a report.
 */
static const ln_bucket_rate lines = {.per_second = LN_LOG_LINES_MAX / 4,
                                     .burst = LN_LOG_LINES_MAX / 4 - 1};

enum {
    UNIT_MAX = 12,  /* "\u{10FFFF}" and its NUL */
    STAMP_MAX = 40, /* "2026-11-21T03:04:05.123Z ERROR " */
    QUOTE_ROOM = 4  /* " ..." at the end of a line, or " =" and two quotes around a value */
};

static const char *level_name(enum ln_log_level level)
{
    switch (level) {
    case LN_LOG_ERROR:
        return "ERROR";
    case LN_LOG_WARN:
        return "WARN";
    case LN_LOG_INFO:
        return "INFO";
    case LN_LOG_DEBUG:
        return "DEBUG";
    }
    return "?";
}

/* Time, level, line and newline in one write: lines of several threads, and of several processes,
 * stay whole. */
static void write_stderr(void *user, enum ln_log_level level, ln_span line)
{
    (void)user;
    char out[STAMP_MAX + LN_LOG_LINE_MAX + 1];
    struct timespec now;
    struct tm utc;
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &utc);
    size_t n = strftime(out, STAMP_MAX, "%Y-%m-%dT%H:%M:%S", &utc);
    n += (size_t)snprintf(out + n, STAMP_MAX - n, ".%03dZ %s ", (int)(now.tv_nsec / 1000000),
                          level_name(level));

    const size_t size = ln_min_size(line.size, LN_LOG_LINE_MAX);
    memcpy(out + n, line.data, size);
    out[n + size] = '\n';
    /* There is nobody left to tell when standard error fails. */
    const ssize_t written = write(STDERR_FILENO, out, n + size + 1);
    (void)written;
}

/* Length of the valid UTF-8 sequence at `p`, and its code point; 0 if there is none (RFC 3629
 * 4). */
static size_t decode(const uint8_t *p, size_t n, uint32_t *point)
{
    static const uint32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};
    const size_t length = p[0] < 0x80             ? 1
                          : (p[0] & 0xE0) == 0xC0 ? 2
                          : (p[0] & 0xF0) == 0xE0 ? 3
                          : (p[0] & 0xF8) == 0xF0 ? 4
                                                  : 0;
    if (length == 0 || length > n)
        return 0;

    uint32_t value = length == 1 ? p[0] : p[0] & (0x7FU >> length);
    for (size_t i = 1; i < length; i++) {
        if ((p[i] & 0xC0) != 0x80)
            return 0;
        value = value << 6 | (p[i] & 0x3F);
    }
    if (value < smallest[length] || value > 0x10FFFF || (value >= 0xD800 && value <= 0xDFFF))
        return 0;
    *point = value;
    return length;
}

/* Characters that end a line, are not seen, or turn the direction of what follows (Unicode 16: Cc, Zl,
 * Zp, Bidi_Control, and of Cf what is default-ignorable or an annotation). */
static bool is_deceptive(uint32_t point)
{
    static const struct {
        uint32_t first, last;
    } ranges[] = {{0, 0x1F},         {0x7F, 0x9F},     {0xAD, 0xAD},       {0x61C, 0x61C},
                  {0x180E, 0x180E},  {0x200B, 0x200F}, {0x2028, 0x202E},   {0x2060, 0x206F},
                  {0xFEFF, 0xFEFF},  {0xFFF9, 0xFFFB}, {0x1BCA0, 0x1BCA3}, {0x1D173, 0x1D17A},
                  {0xE0000, 0xE007F}};
    bool is_found = false;

    for (size_t i = 0; i < LN_ARRAY_SIZE(ranges) && !is_found; i++)
        is_found = point >= ranges[i].first && point <= ranges[i].last;
    return is_found;
}

/* The first character of `p` as it is to appear in `unit`; returns how many bytes of `p` it stands
 * for. */
static size_t escape_one(const uint8_t *p, size_t n, char unit[UNIT_MAX], size_t *length)
{
    uint32_t point;
    const size_t used = decode(p, n, &point);
    if (used == 0 || (used == 1 && is_deceptive(point))) {
        *length = (size_t)snprintf(unit, UNIT_MAX, "\\x%02X", p[0]);
        return 1;
    }
    if (is_deceptive(point)) {
        *length = (size_t)snprintf(unit, UNIT_MAX, "\\u{%04X}", (unsigned)point);
        return used;
    }
    const size_t slash = point == '"' || point == '\\';
    unit[0] = '\\';
    memcpy(unit + slash, p, used);
    *length = slash + used;
    return used;
}

size_t ln_log_escape(ln_span text, char *buffer, size_t size)
{
    if (size == 0)
        return 0;

    const uint8_t *p = text.data;
    size_t length = 0,
           cut = 0; /* cut: the last place between characters that leaves room for the dots */
    for (size_t i = 0; i < text.size;) {
        char unit[UNIT_MAX];
        size_t n;
        if (length + 3 < size)
            cut = length;
        i += escape_one(p + i, text.size - i, unit, &n);
        if (length + n >= size) {
            const size_t dots = ln_min_size(3, size - 1 - cut);
            memcpy(buffer + cut, "...", dots);
            length = cut + dots;
            break;
        }
        memcpy(buffer + length, unit, n);
        length += n;
    }
    buffer[length] = '\0';
    return length;
}

ln_log_field ln_log_pair(const char *key, ln_span text)
{
    return (ln_log_field){.key = key, .text = text};
}

ln_log_field ln_log_number(const char *key, int64_t number)
{
    return (ln_log_field){.key = key, .number = number, .is_number = true};
}

/* logfmt: what a reader could take for the end of the value, or for an escape, stands in quotes. */
static bool needs_quotes(const char *value, size_t n)
{
    return n == 0 || strcspn(value, " \"=\\") < n;
}

/* Appends " key=value" to the line of `length` bytes. Its new length, or the old one if the pair
 * does not fit. */
static size_t append_pair(char *line, size_t length, const ln_log_field *field)
{
    char value[LN_LOG_VALUE_MAX + 1];
    const size_t n = field->is_number
                         ? (size_t)snprintf(value, sizeof value, "%lld", (long long)field->number)
                         : ln_log_escape(field->text, value, sizeof value);
    const size_t key = strlen(field->key);
    if (length + key + n + 2 * (size_t)QUOTE_ROOM > LN_LOG_LINE_MAX)
        return length;

    const char *const quote = !field->is_number && needs_quotes(value, n) ? "\"" : "";
    return length + (size_t)sprintf(line + length, " %s=%s%s%s", field->key, quote, value, quote);
}

static void emit(const ln_log *log, enum ln_log_level level, const char *message,
                 const ln_log_field *fields, unsigned count)
{
    char line[LN_LOG_LINE_MAX + 1];
    size_t length = ln_log_escape(ln_text(message), line, LN_LOG_LINE_MAX + 1 - QUOTE_ROOM);
    for (unsigned i = 0; i < count; i++) {
        const size_t longer = append_pair(line, length, &fields[i]);
        if (longer == length) {
            length += (size_t)sprintf(line + length, " ...");
            break;
        }
        length = longer;
    }
    log->hook(log->user, level, (ln_span){line, length});
}

static void report_suppressed(ln_log *log)
{
    const ln_log_field field = ln_log_number("lines", (int64_t)log->suppressed);
    log->suppressed = 0;
    emit(log, LN_LOG_WARN, "log lines suppressed", &field, 1);
}

/* Whether the rate allows a line now; counts it if not. */
static bool may_pass(ln_log *log, enum ln_log_level level, uint64_t now_ms)
{
    if (level > LN_LOG_WARN ||
        ln_bucket_take(&log->buckets[level - LN_LOG_ERROR], &lines, 1, now_ms))
        return true;
    if (log->suppressed == 0)
        log->suppressed_since_ms = now_ms;
    log->suppressed++;
    return false;
}

void ln_log_init(ln_log *log, ln_log_hook *hook, void *user, enum ln_log_level level)
{
    *log = (ln_log){
        .hook = hook ? hook : write_stderr, .user = user, .level = level ? level : LN_LOG_INFO};
    for (size_t i = 0; i < LN_ARRAY_SIZE(log->buckets); i++)
        ln_bucket_init(&log->buckets[i], &lines, 0);
}

void ln_log_fini(ln_log *log)
{
    if (log->suppressed > 0)
        report_suppressed(log);
}

void ln_log_write(ln_log *log, enum ln_log_level level, uint64_t now_ms, const char *message,
                  const ln_log_field *fields, unsigned count)
{
    LN_ASSERT(level >= LN_LOG_ERROR && level <= LN_LOG_DEBUG);
    if (level > log->level)
        return;
    if (log->suppressed > 0 && now_ms >= log->suppressed_since_ms + LN_LOG_REPORT_MS)
        report_suppressed(log);
    if (may_pass(log, level, now_ms))
        emit(log, level, message, fields, count);
}
