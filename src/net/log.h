/* SPDX-License-Identifier: MIT */
/*
 * log - one event, one line: a message and key=value pairs, escaped, bounded, rate limited.
 *
 * Everything that came from a peer goes through a pair's value, where control characters (C0, C1,
 * DEL), invalid UTF-8, line separators, bidirectional overrides and what is not seen are escaped as
 * \xNN or \u{...}; nothing can start a second line.
 *
 * A log belongs to one thread, usually a loop's; its hook is shared by many.
 *
 * Invariants
 *   1. A line has at most LN_LOG_LINE_MAX bytes, is valid UTF-8 and holds no control character.
 *   2. In any second at most LN_LOG_LINES_MAX lines at warning or worse reach the hook; what a peer
 *      can provoke (warnings) never uses up the share of the errors.
 *   3. Every suppressed line is counted, and the count is reported once.
 */
#ifndef LN_LOG_H
#define LN_LOG_H

#include "base/bucket.h"
#include "base/text.h"

enum {
    LN_LOG_LINE_MAX = 1024, /* bytes; a pair that does not fit is left out, and "..." says so */
    LN_LOG_VALUE_MAX = 256, /* bytes of an escaped value; what is longer is cut with "..." */
    LN_LOG_LINES_MAX = 100, /* lines at warning or worse in any second, reports included */
    LN_LOG_REPORT_MS = 1000 /* between two such reports */
};

typedef struct ln_log {
    ln_log_hook *hook;
    void *user;
    enum ln_log_level level;
    ln_bucket buckets[2]; /* errors, warnings */
    uint64_t suppressed;
    uint64_t suppressed_since_ms;
} ln_log;

/* hook NULL = standard error, with time and level in front, one write(2) a line. level 0 =
 * LN_LOG_INFO. */
void ln_log_init(ln_log *log, ln_log_hook *hook, void *user, enum ln_log_level level);

/* Last words: reports what was suppressed since the last report. */
void ln_log_fini(ln_log *log);

/* One pair: ln_log_pair("path", span), ln_log_number("port", 80). `key` is a literal of ours. */
typedef struct ln_log_field {
    const char *key;
    ln_span text;
    int64_t number;
    bool is_number;
} ln_log_field;
ln_log_field ln_log_pair(const char *key, ln_span text);
ln_log_field ln_log_number(const char *key, int64_t number);

/*
 * Writes a line if `level` is wanted; `now_ms` for the rate limit. `message` is a literal of ours;
 * `fields` may be NULL when `count` is 0.
 */
void ln_log_write(ln_log *log, enum ln_log_level level, uint64_t now_ms, const char *message,
                  const ln_log_field *fields, unsigned count);

/* ln_log_say(log, LN_LOG_WARN, now, "upgrade refused", ln_log_pair("path", path),
 * ln_log_number("status", 403)) */
#define ln_log_say(log, level, now_ms, message, ...)                                               \
    ln_log_write(log, level, now_ms, message, (const ln_log_field[]){__VA_ARGS__},                 \
                 sizeof((const ln_log_field[]){__VA_ARGS__}) / sizeof(ln_log_field))

/*
 * Escapes `text` into buffer (`size` bytes with the NUL), backslashes and double quotes included.
 * What does not fit is cut between characters and ends in "...". Its length; nothing is written
 * when size is 0.
 */
size_t ln_log_escape(ln_span text, char *buffer, size_t size);

#endif
