/* SPDX-License-Identifier: MIT */
/*
 * The end of the head is found first, with memchr() from LF to LF; only a complete head is parsed.
 * A head that comes byte by byte therefore costs what a whole one costs, and the parser needs no
 * states inside a line.
 */
#include "head.h"

#include "authority.h"
#include "charclass.h"
#include "url.h"

#include <string.h>

enum { BEFORE, READING, COMPLETE, TAKEN, FAULTED };

/* line_state while READING: how much of the CRLFCRLF that ends a head the last bytes are. */
enum { IN_LINE, IN_LINE_CR, LINE_BEGIN, LINE_BEGIN_CR, END };

/* line_state while BEFORE counts the characters of blank lines. */
enum { BLANK_CHARS_MAX = 4 };

static void start(ln_head_parser *p)
{
    p->state = p->role == LN_HEAD_REQUEST ? BEFORE : READING;
    p->line_state = p->role == LN_HEAD_REQUEST ? 0 : LINE_BEGIN;
    p->has_line = false;
    p->whole = (ln_span){NULL, 0};
}

void ln_head_init(ln_head_parser *p, ln_head_role role, const ln_head_limits *limits,
                  const ln_allocator *alloc)
{
    LN_ASSERT(limits->bytes_max > 0 && limits->fields_max <= LN_HEAD_FIELDS_MAX);
    *p = (ln_head_parser){.limits = *limits, .role = role};
    ln_buf_init(&p->kept, alloc);
    start(p);
}

void ln_head_fini(ln_head_parser *p)
{
    ln_buf_fini(&p->kept);
}

void ln_head_reset(ln_head_parser *p)
{
    ln_buf_release(&p->kept);
    if (p->state != FAULTED)
        start(p);
}

/* Returns false, so that a rule can be written as `return refuse(...)`. */
static LN_COLD bool refuse(ln_head_parser *p, uint16_t status, const char *text)
{
    LN_ASSERT(p->state != FAULTED);
    p->state = FAULTED;
    p->fault_status = status;
    p->fault_text = text;
    p->whole = (ln_span){NULL, 0};
    ln_buf_release(&p->kept);
    return false;
}

/* Feeding: where does the head end? */

static size_t skip_blank_lines(ln_head_parser *p, const uint8_t *bytes, size_t n)
{
    size_t used = 0;
    while (used < n && p->state == BEFORE) {
        const bool is_after_cr = p->line_state % 2 != 0;
        if (is_after_cr ? bytes[used] == '\n'
                        : bytes[used] == '\r' && p->line_state < BLANK_CHARS_MAX) {
            p->line_state++;
            used++;
        } else if (is_after_cr) {
            refuse(p, 400, "a carriage return without a line feed");
        } else {
            p->state = READING;
            p->line_state = LINE_BEGIN;
        }
    }
    return used;
}

/* The line state after `n` more bytes, none of them LF. */
static uint8_t after_text(uint8_t state, const uint8_t *bytes, size_t n)
{
    if (n == 0)
        return state;
    if (bytes[n - 1] != '\r')
        return IN_LINE;
    return n == 1 && state == LINE_BEGIN ? LINE_BEGIN_CR : IN_LINE_CR;
}

/* Looks for the end of the head; how many bytes belong to it, `n` if it is not among them. */
static size_t find_end(ln_head_parser *p, const uint8_t *bytes, size_t n)
{
    size_t at = 0;
    while (at < n) {
        const uint8_t *lf = memchr(bytes + at, '\n', n - at);
        const size_t stop = lf ? (size_t)(lf - bytes) : n;
        const uint8_t before = after_text(p->line_state, bytes + at, stop - at);

        p->line_state = before;
        if (!lf)
            return n;
        at = stop + 1;
        if (before == LINE_BEGIN_CR) {
            p->line_state = END;
            return at;
        }
        if (before != IN_LINE_CR) {
            refuse(p, 400, "a line feed without a carriage return");
            return at;
        }
        p->line_state = LINE_BEGIN;
        p->has_line = true;
    }
    return n;
}

static LN_COLD void refuse_size(ln_head_parser *p)
{
    if (p->has_line || p->role == LN_HEAD_RESPONSE)
        refuse(p, 431, "the header is too large");
    else
        refuse(p, 414, "the request line is too long");
}

static size_t read_lines(ln_head_parser *p, const uint8_t *bytes, size_t n)
{
    LN_ASSERT(p->kept.size < p->limits.bytes_max);
    const size_t used = find_end(p, bytes, ln_min_size(n, p->limits.bytes_max - p->kept.size));
    if (p->state == FAULTED)
        return used;

    const bool is_complete = p->line_state == END;
    if (!is_complete && p->kept.size + used == p->limits.bytes_max) {
        refuse_size(p);
        return used;
    }
    if (is_complete && p->kept.size == 0) {
        p->whole = (ln_span){bytes, used};
    } else if (ln_buf_append(&p->kept, bytes, used, p->limits.bytes_max) == 0) {
        p->whole = (ln_span){p->kept.data, p->kept.size};
    } else {
        refuse(p, 503, "out of memory");
        return used;
    }
    if (is_complete)
        p->state = COMPLETE;
    return used;
}

size_t ln_head_feed(ln_head_parser *p, const uint8_t *bytes, size_t n)
{
    const size_t skipped = skip_blank_lines(p, bytes, n);
    if (p->state != READING || skipped == n)
        return skipped;
    return skipped + read_lines(p, bytes + skipped, n - skipped);
}

/*
 * Parsing. `at` walks through the complete head. Its last two bytes are CRLF and neither is in any
 * character class, so that every loop over a class ends inside it, and after a CR there is always
 * one more byte to look at.
 */

static ln_span run(const uint8_t **at, uint8_t classes)
{
    const uint8_t *begin = *at, *p = begin;
    while (ln_charclass_has(*p, classes))
        p++;
    *at = p;
    return (ln_span){begin, (size_t)(p - begin)};
}

static bool is_line_end(const uint8_t *at)
{
    return at[0] == '\r' && at[1] == '\n';
}

/* "HTTP/1.0" or "HTTP/1.1" */
static bool parse_version(ln_head_parser *p, const uint8_t **at, ln_head *head)
{
    const ln_span text = run(at, LN_CHAR_TARGET);
    const char *v = text.data;
    const ln_span name = LN_SPAN("HTTP/");

    if (text.size != 8 || !ln_text_has_prefix(text, name) || v[6] != '.')
        return refuse(p, 400, "the start line has no HTTP version");
    if (!ln_charclass_has((uint8_t)v[5], LN_CHAR_DIGIT) ||
        !ln_charclass_has((uint8_t)v[7], LN_CHAR_DIGIT))
        return refuse(p, 400, "the start line has no HTTP version");
    if (v[5] != '1' || v[7] > '1')
        return refuse(p, 505, "only HTTP/1.0 and HTTP/1.1 are spoken here");
    head->minor = (unsigned)(v[7] - '0');
    return true;
}

/* RFC 9112 3.2: each of the four forms where it belongs. */
static bool is_target(ln_span method, ln_span target)
{
    ln_authority authority;
    if (ln_text_equal(method, LN_SPAN("CONNECT")))
        return ln_authority_parse(target, &authority) == 0 && authority.port != 0;
    if (ln_text_has_prefix(target, LN_SPAN("/")))
        return true;
    if (ln_text_equal(target, LN_SPAN("*")))
        return ln_text_equal(method, LN_SPAN("OPTIONS"));
    return ln_url_authority(target).size > 0;
}

static bool parse_request_line(ln_head_parser *p, const uint8_t **at, ln_head *head)
{
    head->method = run(at, LN_CHAR_TOKEN);
    if (head->method.size == 0 || **at != ' ')
        return refuse(p, 400, "the request line does not begin with a method");
    ++*at;
    head->target = run(at, LN_CHAR_TARGET);
    if (head->target.size == 0 || **at != ' ')
        return refuse(p, 400, "the request line has no valid target");
    ++*at;
    if (!parse_version(p, at, head))
        return false;
    if (!is_line_end(*at))
        return refuse(p, 400, "the request line does not end after the version");
    if (!is_target(head->method, head->target))
        return refuse(p, 400, "the target does not fit the method");
    head->reason = (ln_span){NULL, 0};
    head->status = 0;
    return true;
}

static bool parse_status_line(ln_head_parser *p, const uint8_t **at, ln_head *head)
{
    if (!parse_version(p, at, head))
        return false;
    if (**at != ' ')
        return refuse(p, 400, "the status line has no status");
    ++*at;

    const ln_span digits = run(at, LN_CHAR_DIGIT);
    const uint8_t *d = digits.data;
    if (digits.size != 3 || d[0] == '0')
        return refuse(p, 400, "the status line has no status");
    head->status = (d[0] - '0') * 100u + (d[1] - '0') * 10u + (d[2] - '0');

    if (**at == ' ')
        ++*at;
    else if (!is_line_end(*at))
        return refuse(p, 400, "the status is not three digits");
    head->reason = run(at, LN_CHAR_VALUE);
    if (!is_line_end(*at))
        return refuse(p, 400, "a control character in the reason");
    head->method = head->target = (ln_span){NULL, 0};
    return true;
}

static LN_COLD bool refuse_name(ln_head_parser *p, ln_span name, uint8_t stop)
{
    if (stop != ' ' && stop != '\t')
        return refuse(p, 400, "a field's name is no token");
    if (name.size == 0)
        return refuse(p, 400, "a folded line");
    return refuse(p, 400, "a blank before a field's colon");
}

static bool parse_field(ln_head_parser *p, const uint8_t **at, ln_field *field)
{
    const ln_span name = run(at, LN_CHAR_TOKEN);
    if (name.size == 0 || **at != ':')
        return refuse_name(p, name, **at);

    const uint8_t *c = *at + 1;
    while (*c == ' ' || *c == '\t')
        c++;
    const uint8_t *const begin = c, *end = c;
    for (; ln_charclass_has(*c, LN_CHAR_VALUE); c++)
        if (ln_charclass_has(*c, LN_CHAR_VISIBLE))
            end = c + 1;
    if (!is_line_end(c))
        return refuse(p, 400, "a control character in a field's value");

    *field = (ln_field){.name = name, .value = {begin, (size_t)(end - begin)}};
    *at = c;
    return true;
}

static bool parse_fields(ln_head_parser *p, const uint8_t **at, ln_head *head)
{
    head->field_count = 0;
    while (!is_line_end(*at)) {
        if (head->field_count == p->limits.fields_max)
            return refuse(p, 431, "too many header fields");
        if (!parse_field(p, at, &head->fields[head->field_count]))
            return false;
        head->field_count++;
        *at += 2;
    }
    *at += 2;
    return true;
}

/* RFC 9112 3.2: exactly one Host that can be one; HTTP/1.0 may do without. */
static bool check_host(ln_head_parser *p, const ln_head *head)
{
    unsigned count;
    const ln_span host = ln_head_find(head, "Host", &count);
    ln_authority authority;

    if (count == 0)
        return head->minor == 0 || refuse(p, 400, "the Host field is missing");
    if (count > 1)
        return refuse(p, 400, "more than one Host field");
    return ln_authority_parse(host, &authority) == 0 ||
           refuse(p, 400, "the Host field names no host");
}

static bool parse_head(ln_head_parser *p, ln_head *head)
{
    const bool is_request = p->role == LN_HEAD_REQUEST;
    const uint8_t *at = p->whole.data;
    const uint8_t *const end = at + p->whole.size;
    LN_ASSERT(p->whole.size >= 2 && is_line_end(end - 2));

    if (!(is_request ? parse_request_line(p, &at, head) : parse_status_line(p, &at, head)))
        return false;
    at += 2;
    if (!parse_fields(p, &at, head))
        return false;
    LN_ASSERT(at == end);
    return !is_request || check_host(p, head);
}

bool ln_head_next(ln_head_parser *p, ln_head *head)
{
    if (p->state != COMPLETE || !parse_head(p, head))
        return false;
    p->state = TAKEN;
    return true;
}

unsigned ln_head_fault(const ln_head_parser *p, const char **text)
{
    LN_ASSERT((p->state == FAULTED) == (p->fault_status != 0));
    if (text)
        *text = p->fault_text;
    return p->fault_status;
}

bool ln_head_is_complete(const ln_head_parser *p)
{
    return p->state == COMPLETE;
}

bool ln_head_is_partial(const ln_head_parser *p)
{
    return p->state == READING && p->kept.size > 0;
}

ln_span ln_head_find(const ln_head *head, const char *name, unsigned *count)
{
    const ln_span wanted = ln_text(name);
    ln_span value = {NULL, 0};
    unsigned n = 0;

    LN_ASSERT(head->field_count <= LN_HEAD_FIELDS_MAX);
    for (unsigned i = 0; i < head->field_count; i++) {
        if (!ln_text_equal_nocase(head->fields[i].name, wanted))
            continue;
        if (n++ == 0)
            value = head->fields[i].value;
    }
    if (count)
        *count = n;
    return value;
}

bool ln_head_has_token(const ln_head *head, const char *name, const char *token)
{
    const ln_span wanted_name = ln_text(name), wanted = ln_text(token);

    LN_ASSERT(head->field_count <= LN_HEAD_FIELDS_MAX);
    for (unsigned i = 0; i < head->field_count; i++) {
        ln_span rest = head->fields[i].value, item;
        if (!ln_text_equal_nocase(head->fields[i].name, wanted_name))
            continue;
        while (ln_text_next(&rest, ',', &item))
            if (ln_text_equal_nocase(item, wanted))
                return true;
    }
    return false;
}

ln_span ln_head_bearer(ln_span value)
{
    const ln_span scheme = LN_SPAN("Bearer");
    const char *const text = value.data;
    const ln_span front = {text, ln_min_size(value.size, scheme.size)};

    if (!ln_text_equal_nocase(front, scheme) ||
        (value.size > scheme.size && text[scheme.size] != ' '))
        return (ln_span){NULL, 0};
    return ln_text_trim((ln_span){text + scheme.size, value.size - scheme.size});
}
