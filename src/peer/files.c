/* SPDX-License-Identifier: MIT */
#include "files.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "mediatype.h"
#include "net/fd.h"
#include "net/folder.h"
#include "range.h"
#include "requests.h"

enum { FILE_CHUNK_BYTES = 65536 };

struct ln_files {
    const ln_allocator *alloc;
    int folder_fd;
};

struct ln_filesend {
    const ln_allocator *alloc;
    int fd;
    uint64_t offset;
    uint64_t left;
};

int ln_files_new(const char *directory, const ln_allocator *alloc, ln_files **files)
{
    int fd;

    const int rc = ln_folder_open(directory, &fd);
    if (rc < 0)
        return rc;
    ln_files *const f = ln_alloc(alloc, sizeof *f);
    if (f == NULL) {
        ln_fd_close(fd);
        return LN_ERR_NOMEM;
    }
    *f = (ln_files){.alloc = alloc, .folder_fd = fd};
    *files = f;
    return 0;
}

void ln_files_free(ln_files *files)
{
    if (files == NULL)
        return;
    ln_fd_close(files->folder_fd);
    ln_free(files->alloc, files);
}

/* ---- the file on its way ---- */

static ln_filesend *begin_send(const ln_files *files, int fd, const ln_range *range)
{
    ln_filesend *const send = ln_alloc(files->alloc, sizeof *send);
    if (send == NULL)
        return NULL;
    *send = (ln_filesend){
        .alloc = files->alloc, .fd = fd, .offset = range->first, .left = range->length};
    return send;
}

bool ln_filesend_more(ln_filesend *send, ln_exchange *x)
{
    ln_pool *const pool = &ln_conn_home(x->conn)->loop->pool;

    while (send->left > 0 && x->out.bytes < LN_EXCHANGE_BACKLOG_BYTES) {
        const size_t want = send->left < FILE_CHUNK_BYTES ? (size_t)send->left : FILE_CHUNK_BYTES;
        uint8_t *const to = ln_chain_reserve(&x->out, pool, want);
        const int n = to == NULL ? LN_ERR_NOMEM : ln_file_read(send->fd, send->offset, to, want);
        if (n <= 0) { /* the file shrank: the length was promised, so only breaking off is honest */
            ln_conn_drop(x->conn, n < 0 ? n : LN_ERR_IO);
            return false;
        }
        ln_chain_commit(&x->out, (size_t)n);
        send->offset += (uint64_t)n;
        send->left -= (uint64_t)n;
    }
    return send->left == 0;
}

void ln_filesend_free(ln_filesend *send)
{
    if (send == NULL)
        return;
    ln_fd_close(send->fd);
    ln_free(send->alloc, send);
}

/* ---- conditions ---- */

enum { ETAG_MAX = 48 };

static ln_span write_etag(const ln_file *file, char text[ETAG_MAX])
{
    const int n =
        snprintf(text, ETAG_MAX, "\"%llx-%llx%08llx\"", (unsigned long long)file->size,
                 (unsigned long long)file->modified_s, (unsigned long long)file->modified_ns);
    return (ln_span){text, (size_t)n};
}

/* Is `etag` (or "*") among the listed ones? Weak comparison (RFC 9110 13.1.2). */
static bool is_listed(ln_span list, ln_span etag)
{
    ln_span item;

    while (ln_text_next(&list, ',', &item)) {
        if (ln_text_has_prefix(item, LN_SPAN("W/")))
            item = (ln_span){(const char *)item.data + 2, item.size - 2};
        if (ln_text_equal(item, etag) || ln_text_equal(item, LN_SPAN("*")))
            return true;
    }
    return false;
}

/* The peer has it already (RFC 9110 13.2.2). Dates are compared as text: they are the ones that we
 * gave. */
static bool is_unchanged(const ln_request *r, ln_span etag, ln_span modified)
{
    const ln_span match = ln_request_header(r, "If-None-Match");
    if (match.data != NULL)
        return is_listed(match, etag);
    const ln_span since = ln_request_header(r, "If-Modified-Since");
    return since.data != NULL && modified.size > 0 && ln_text_equal(since, modified);
}

/* Range counts only if If-Range, where given, names this very version (RFC 9110 13.1.5). */
static ln_range_result choose_range(const ln_request *r, ln_span etag, ln_span modified,
                                    uint64_t size, ln_range *range)
{
    const ln_span if_range = ln_request_header(r, "If-Range");

    *range = (ln_range){.first = 0, .length = size};
    if (if_range.data != NULL && !ln_text_equal(if_range, etag) &&
        !ln_text_equal(if_range, modified))
        return LN_RANGE_NONE;
    return ln_range_parse(ln_request_header(r, "Range"), size, range);
}

/* ---- the answer ---- */

static void reply(ln_request *r, unsigned status, const char *text)
{
    if (ln_request_reply(r, status, "text/plain", ln_text(text)) < 0)
        ln_conn_drop(r->exchange->conn, LN_ERR_NOMEM);
}

static int add_range_field(ln_request *r, ln_range_result result, const ln_range *range,
                           uint64_t size)
{
    char text[80];
    int n;

    if (result == LN_RANGE_NONE)
        return 0;
    if (result == LN_RANGE_OUTSIDE)
        n = snprintf(text, sizeof text, "bytes */%llu", (unsigned long long)size);
    else
        n = snprintf(text, sizeof text, "bytes %llu-%llu/%llu", (unsigned long long)range->first,
                     (unsigned long long)(range->first + range->length - 1),
                     (unsigned long long)size);
    return ln_request_add_header(r, "Content-Range", (ln_span){text, (size_t)n});
}

/* Takes over file->fd. */
static int send_file(const ln_files *files, ln_request *r, const ln_file *file, const char *path)
{
    ln_exchange *const x = r->exchange;
    char etag_text[ETAG_MAX], time_text[LN_HEAD_DATE_SIZE];
    const ln_span etag = write_etag(file, etag_text);
    const ln_span modified = ln_head_date(file->modified_s, time_text);
    ln_range range;

    int rc = ln_request_add_header(r, "ETag", etag);
    if (rc == 0 && modified.size > 0)
        rc = ln_request_add_header(r, "Last-Modified", modified);
    if (rc == 0)
        rc = ln_request_add_header(r, "Accept-Ranges", LN_SPAN("bytes"));
    if (rc == 0)
        rc = ln_request_add_header(r, "Cache-Control", LN_SPAN("no-cache"));
    if (rc == 0 && is_unchanged(r, etag, modified)) {
        ln_fd_close(file->fd);
        return ln_request_reply(r, 304, NULL, (ln_span){NULL, 0});
    }
    const ln_range_result result = choose_range(r, etag, modified, file->size, &range);
    if (rc == 0)
        rc = add_range_field(r, result, &range, file->size);
    if (rc == 0 && result == LN_RANGE_OUTSIDE) {
        ln_fd_close(file->fd);
        return ln_request_reply(r, 416, NULL, (ln_span){NULL, 0});
    }
    if (rc == 0)
        rc = ln_exchange_begin_answer(x, result == LN_RANGE_PART ? 206 : 200, ln_media_type(path),
                                      range.length);
    if (rc == 0) {
        if (r->is_head)
            range.length = 0;
        x->file = begin_send(files, file->fd, &range);
        rc = x->file == NULL ? LN_ERR_NOMEM : 0;
    }
    if (rc < 0) {
        ln_fd_close(file->fd);
        ln_conn_drop(x->conn, rc); /* part of the head may be out already */
    }
    r->is_answered = true;
    return rc;
}

/* A part of the path that begins with a dot is hidden. */
static bool is_hidden(const char *path)
{
    return *path == '.' || strstr(path, "/.") != NULL;
}

/* Sends a folder's readers to its name with the slash, so that relative links work. */
static void redirect(ln_request *r)
{
    ln_buf to;

    ln_buf_init(&to, ln_conn_home(r->exchange->conn)->alloc);
    const ln_span target = r->head.target;
    const size_t path_size = r->query.data == NULL ? target.size : target.size - r->query.size - 1;
    int rc = ln_buf_append(&to, target.data, path_size, SIZE_MAX);
    if (rc == 0)
        rc = ln_buf_append(&to, "/", 1, SIZE_MAX);
    if (rc == 0)
        rc = ln_request_add_header(r, "Location", (ln_span){to.data, to.size});
    ln_buf_fini(&to);
    if (rc == 0)
        reply(r, 301, "moved\n");
    else
        reply(r, 404, "not found\n");
}

static void reply_error(ln_request *r, int rc)
{
    if (rc == LN_ERR_DESCRIPTORS)
        reply(r, 503, "too many open files\n");
    else if (rc == LN_ERR_IO)
        reply(r, 500, "the file cannot be read\n");
    else
        reply(r, 404, "not found\n");
}

void ln_files_answer(const ln_files *files, ln_request *r, const char *rest)
{
    static const char index_name[] = "index.html";
    char path[4096];
    ln_file file;

    if (!r->is_head && !ln_text_equal(r->head.method, LN_SPAN("GET"))) {
        reply(r, 405, "only GET and HEAD are possible here\n");
        return;
    }
    const size_t n = strlen(rest);
    if (is_hidden(rest) || n + sizeof index_name > sizeof path) {
        reply(r, 404, "not found\n");
        return;
    }
    memcpy(path, rest, n + 1);
    int rc = ln_file_open(files->folder_fd, path, &file);
    if (rc == 0 && file.is_folder) {
        if (n > 0 && rest[n - 1] != '/') {
            redirect(r);
            return;
        }
        memcpy(path + n, index_name, sizeof index_name);
        rc = ln_file_open(files->folder_fd, path, &file);
    }
    if (rc == 0 && file.is_folder)
        rc = LN_ERR_NOT_FOUND;
    if (rc < 0)
        reply_error(r, rc);
    else
        (void)send_file(files, r, &file, path);
}
