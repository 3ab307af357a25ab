/* SPDX-License-Identifier: MIT */
#include "reloadbook.h"

#include <linnet/json.h>

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/text.h"
#include "payload.h"

void ln_reloadbook_init(ln_reloadbook *book, const ln_allocator *alloc)
{
    *book = (ln_reloadbook){.alloc = alloc};
}

/* ---- text ---- */

/* How much of `text` is at most `most` bytes of whole code points. */
static size_t cut(ln_span text, size_t most)
{
    const uint8_t *const bytes = text.data;
    size_t n = ln_min_size(text.size, most);

    while (n > 0 && n < text.size && (bytes[n] & 0xc0) == 0x80)
        n--;
    return n;
}

static void format_time(int64_t now_s, char stamp[LN_RELOADBOOK_STAMP_SIZE])
{
    const time_t t = (time_t)now_s;
    struct tm utc;

    gmtime_r(&t, &utc);
    strftime(stamp, LN_RELOADBOOK_STAMP_SIZE, "%Y-%m-%dT%H:%M:%SZ", &utc);
}

/* ---- pages ---- */

static ln_reloadbook_page *find(const ln_reloadbook *book, ln_conn_id conn)
{
    for (size_t i = 0; i < book->count; i++)
        if (book->pages[i]->conn == conn)
            return book->pages[i];
    return NULL;
}

static void drop_oldest(ln_reloadbook *book, ln_reloadbook_page *page)
{
    ln_free(book->alloc, page->errors[page->first]);
    page->first = (page->first + 1) % LN_RELOADBOOK_ERRORS_MAX;
    page->count--;
    book->errors--;
}

static void free_page(ln_reloadbook *book, ln_reloadbook_page *page)
{
    while (page->count > 0)
        drop_oldest(book, page);
    ln_free(book->alloc, page->id);
    ln_free(book->alloc, page->url);
    ln_free(book->alloc, page);
}

void ln_reloadbook_forget(ln_reloadbook *book, ln_conn_id conn)
{
    for (size_t i = 0; i < book->count; i++) {
        if (book->pages[i]->conn != conn)
            continue;
        free_page(book, book->pages[i]);
        book->pages[i] = book->pages[--book->count];
        return;
    }
}

void ln_reloadbook_fini(ln_reloadbook *book)
{
    while (book->count > 0)
        free_page(book, book->pages[--book->count]);
}

static void make_room(ln_reloadbook *book)
{
    const ln_reloadbook_page *oldest = book->pages[0];

    for (size_t i = 1; i < book->count; i++)
        if (book->pages[i]->seen_s < oldest->seen_s)
            oldest = book->pages[i];
    ln_reloadbook_forget(book, oldest->conn);
}

static ln_reloadbook_page *add_page(ln_reloadbook *book, const ln_reloadbook_who *who)
{
    if (book->count == LN_RELOADBOOK_PAGES_MAX)
        make_room(book);
    ln_reloadbook_page *const page = ln_alloc_zero(book->alloc, sizeof *page);
    if (page == NULL)
        return NULL;
    page->conn = who->conn;
    page->id = ln_strndup(book->alloc, who->id.size == 0 ? "" : who->id.data,
                          cut(who->id, LN_RELOADBOOK_NAME_MAX_BYTES));
    if (page->id == NULL) {
        free_page(book, page);
        return NULL;
    }
    book->pages[book->count++] = page;
    return page;
}

int ln_reloadbook_see(ln_reloadbook *book, const ln_reloadbook_who *who, bool is_ready,
                      int64_t now_s)
{
    ln_reloadbook_page *page = find(book, who->conn);

    if (page == NULL)
        page = add_page(book, who);
    if (page == NULL)
        return LN_ERR_NOMEM;
    page->seen_s = now_s;
    page->is_ready = page->is_ready || is_ready;
    if (who->url.size == 0)
        return 0;
    char *const url =
        ln_strndup(book->alloc, who->url.data, cut(who->url, LN_RELOADBOOK_NAME_MAX_BYTES));
    if (url == NULL)
        return LN_ERR_NOMEM;
    ln_free(book->alloc, page->url);
    page->url = url;
    return 0;
}

size_t ln_reloadbook_ready(const ln_reloadbook *book)
{
    size_t n = 0;

    for (size_t i = 0; i < book->count; i++)
        n += book->pages[i]->is_ready;
    return n;
}

/* ---- errors ---- */

/* The text of a member, cut to `most` bytes; nothing if it is not there, or no text. */
static int read_text(ln_buf *scratch, ln_span payload, const char *name, char *text, size_t most)
{
    ln_span value;

    text[0] = '\0';
    if (ln_json_find(payload, name, SIZE_MAX, &value) < 0)
        return 0;
    scratch->size = 0;
    const int rc = ln_buf_reserve(scratch, value.size, SIZE_MAX); /* the quotes' is the NUL's */
    if (rc < 0)
        return rc;
    const int n = ln_json_text(value, (char *)scratch->data, value.size);
    if (n < 0)
        return 0;
    const size_t kept = cut((ln_span){scratch->data, (size_t)n}, most);
    memcpy(text, scratch->data, kept);
    text[kept] = '\0'; /* what stands behind a NUL is not told */
    return 0;
}

static uint32_t read_place(ln_span payload, const char *name)
{
    ln_span value;
    double n;

    if (ln_json_find(payload, name, SIZE_MAX, &value) < 0 || ln_json_number(value, &n) < 0 ||
        !(n >= 1 && n <= INT32_MAX))
        return 0;
    return (uint32_t)n;
}

int ln_reloadbook_read(ln_reloadbook *book, ln_span payload, int64_t now_s,
                       ln_reloadbook_error *error)
{
    ln_buf scratch;

    ln_buf_init(&scratch, book->alloc);
    int rc = read_text(&scratch, payload, "message", error->message, sizeof error->message - 1);
    if (rc == 0)
        rc = read_text(&scratch, payload, "filename", error->file, sizeof error->file - 1);
    if (rc == 0)
        rc = read_text(&scratch, payload, "stack", error->stack, sizeof error->stack - 1);
    if (rc == 0)
        rc = read_text(&scratch, payload, "timestamp", error->stamp, sizeof error->stamp - 1);
    ln_buf_fini(&scratch);
    if (rc < 0)
        return rc;
    error->line = read_place(payload, "lineno");
    error->column = read_place(payload, "colno");
    if (error->message[0] == '\0')
        memcpy(error->message, "Unknown error", sizeof "Unknown error");
    if (error->stamp[0] == '\0')
        format_time(now_s, error->stamp);
    return 0;
}

/* ---- writing ---- */

static int write_raw(ln_buf *out, const char *text)
{
    return ln_buf_append(out, text, strlen(text), SIZE_MAX);
}

/* `,"name":"text"`, or nothing if there is no text. */
static int write_member(ln_buf *out, const char *name, const char *text)
{
    if (text == NULL || text[0] == '\0')
        return 0;
    int rc = write_raw(out, name);
    if (rc == 0)
        rc = ln_payload_write(out, ln_text(text), LN_PAYLOAD_TEXT);
    return rc;
}

static int write_place(ln_buf *out, const char *name, uint32_t number)
{
    char text[32];

    if (number == 0)
        return 0;
    snprintf(text, sizeof text, "%s%u", name, number);
    return write_raw(out, text);
}

static int write_error(ln_buf *out, const ln_reloadbook_error *error)
{
    int rc = write_member(out, "{\"message\":", error->message);
    if (rc == 0)
        rc = write_member(out, ",\"filename\":", error->file);
    if (rc == 0)
        rc = write_place(out, ",\"line\":", error->line);
    if (rc == 0)
        rc = write_place(out, ",\"column\":", error->column);
    if (rc == 0)
        rc = write_member(out, ",\"stack\":", error->stack);
    if (rc == 0)
        rc = write_member(out, ",\"timestamp\":", error->stamp);
    return rc == 0 ? write_raw(out, "}") : rc;
}

/* The page whose first error is the oldest of all. */
static ln_reloadbook_page *oldest_sinner(const ln_reloadbook *book)
{
    ln_reloadbook_page *oldest = NULL;

    for (size_t i = 0; i < book->count; i++) {
        ln_reloadbook_page *const page = book->pages[i];
        if (page->count > 0 &&
            (oldest == NULL || page->serials[page->first] < oldest->serials[oldest->first]))
            oldest = page;
    }
    return oldest;
}

int ln_reloadbook_keep(ln_reloadbook *book, ln_conn_id conn, const ln_reloadbook_error *error,
                       int64_t now_s)
{
    ln_reloadbook_page *const page = find(book, conn);
    ln_buf out;

    if (page == NULL)
        return LN_ERR_NOT_FOUND;
    page->seen_s = now_s;
    ln_buf_init(&out, book->alloc);
    const int rc = write_error(&out, error);
    char *const text = rc == 0 ? ln_strndup(book->alloc, (char *)out.data, out.size) : NULL;
    ln_buf_fini(&out);
    if (text == NULL)
        return LN_ERR_NOMEM;
    if (page->count == LN_RELOADBOOK_ERRORS_MAX)
        drop_oldest(book, page);
    else if (book->errors == LN_RELOADBOOK_TOTAL_MAX)
        drop_oldest(book, oldest_sinner(book));
    const unsigned at = (page->first + page->count) % LN_RELOADBOOK_ERRORS_MAX;
    page->errors[at] = text;
    page->serials[at] = book->serial++;
    page->count++;
    book->errors++;
    return 0;
}

static int write_errors(const ln_reloadbook_page *page, ln_buf *out)
{
    if (page->count == 0)
        return 0;
    int rc = write_raw(out, ",\"errors\":[");
    for (unsigned i = 0; rc == 0 && i < page->count; i++) {
        if (i > 0)
            rc = write_raw(out, ",");
        if (rc == 0)
            rc = write_raw(out, page->errors[(page->first + i) % LN_RELOADBOOK_ERRORS_MAX]);
    }
    return rc == 0 ? write_raw(out, "]") : rc;
}

static int write_page(const ln_reloadbook_page *page, ln_buf *out)
{
    char seen[LN_RELOADBOOK_STAMP_SIZE];

    format_time(page->seen_s, seen);
    int rc = write_raw(out, "{\"id\":");
    if (rc == 0)
        rc = ln_payload_write(out, ln_text(page->id), LN_PAYLOAD_TEXT);
    if (rc == 0)
        rc = write_member(out, ",\"status\":", page->is_ready ? "ready" : "connected");
    if (rc == 0)
        rc = write_member(out, ",\"url\":", page->url);
    if (rc == 0)
        rc = write_member(out, ",\"lastSeen\":", seen);
    if (rc == 0)
        rc = write_errors(page, out);
    return rc == 0 ? write_raw(out, "}") : rc;
}

int ln_reloadbook_write(const ln_reloadbook *book, ln_buf *out)
{
    int rc = write_raw(out, "{\"clients\":[");
    for (size_t i = 0; rc == 0 && i < book->count; i++) {
        if (i > 0)
            rc = write_raw(out, ",");
        if (rc == 0)
            rc = write_page(book->pages[i], out);
    }
    return rc == 0 ? write_raw(out, "]}") : rc;
}
