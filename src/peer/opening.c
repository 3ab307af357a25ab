/* SPDX-License-Identifier: MIT */
#include "opening.h"

#include <stdio.h>
#include <string.h>

#include "base/text.h"

/* ---- life ---- */

/* "host", "host:port" or "[v6]:port" (RFC 9110 7.2). */
static void write_host(char *text, size_t size, const ln_url *url)
{
    const bool has_port = url->port != (url->is_secure ? 443 : 80);
    const int n = snprintf(text, size, url->is_ipv6 ? "[%.*s]" : "%.*s", (int)url->host.size,
                           (const char *)url->host.data);
    if (has_port)
        snprintf(text + n, size - (size_t)n, ":%u", url->port);
}

static int copy_url(ln_opening *o, const char *text, const ln_allocator *alloc)
{
    ln_url url;

    const int rc = ln_url_parse(ln_text(text), &url);
    if (rc < 0)
        return rc;
    const size_t host_size = url.host.size + sizeof "[]:65535";
    o->is_secure = url.is_secure;
    o->port = url.port;
    o->host = ln_strndup(alloc, url.host.data, url.host.size);
    o->target = ln_strndup(alloc, url.target.data, url.target.size);
    o->host_field = ln_alloc(alloc, host_size);
    if (o->host == NULL || o->target == NULL || o->host_field == NULL)
        return LN_ERR_NOMEM;
    write_host(o->host_field, host_size, &url);
    return 0;
}

/* Name and value lie behind each other in one allocation, which begins with the name. */
static int copy_header(ln_field *to, const ln_client_header *from, const ln_allocator *alloc)
{
    const ln_span name = ln_text(from->name);
    const ln_span value = ln_text(from->value);

    char *const both = ln_alloc(alloc, name.size + value.size + 1);
    if (both == NULL)
        return LN_ERR_NOMEM;
    if (name.size > 0)
        memcpy(both, name.data, name.size);
    if (value.size > 0)
        memcpy(both + name.size, value.data, value.size);
    *to = (ln_field){.name = {both, name.size}, .value = {both + name.size, value.size}};
    return 0;
}

static int copy_headers(ln_opening *o, const ln_client_header *headers, size_t count,
                        const ln_allocator *alloc)
{
    if (count == 0)
        return 0;
    o->headers = ln_alloc_zero(alloc, count * sizeof *o->headers);
    if (o->headers == NULL)
        return LN_ERR_NOMEM;
    for (; o->header_count < count; o->header_count++) {
        const int rc = copy_header(&o->headers[o->header_count], &headers[o->header_count], alloc);
        if (rc < 0)
            return rc;
    }
    return 0;
}

int ln_opening_init(ln_opening *o, const char *url, const ln_client_header *headers,
                    size_t header_count, const char *origin, const ln_allocator *alloc)
{
    *o = (ln_opening){.host = NULL};
    int rc = copy_url(o, url, alloc);
    if (rc == 0)
        rc = copy_headers(o, headers, header_count, alloc);
    if (rc == 0 && origin != NULL) {
        o->origin = ln_strndup(alloc, origin, strlen(origin));
        rc = o->origin == NULL ? LN_ERR_NOMEM : 0;
    }
    return rc;
}

void ln_opening_fini(ln_opening *o, const ln_allocator *alloc)
{
    for (size_t i = 0; i < o->header_count; i++)
        ln_free(alloc, (void *)(uintptr_t)o->headers[i].name.data);
    ln_free(alloc, o->headers);
    ln_free(alloc, o->host);
    ln_free(alloc, o->host_field);
    ln_free(alloc, o->target);
    ln_free(alloc, o->origin);
    *o = (ln_opening){.host = NULL};
}

/* ---- the handshake ---- */

static ln_upgrade_offer make_offer(const ln_opening *o, const ln_site *site)
{
    return (ln_upgrade_offer){.host = ln_text(o->host_field),
                              .target = ln_text(o->target),
                              .key = {o->key, sizeof o->key},
                              .origin = ln_text(o->origin),
                              .subprotocols = ln_text(site->plan->subprotocols),
                              .extensions = {o->extensions, o->extensions_size},
                              .extra = o->headers,
                              .extra_count = o->header_count};
}

int ln_opening_write(ln_opening *o, const ln_site *site, const uint8_t random[16], ln_buf *out)
{
    ln_upgrade_make_key(random, o->key);
    o->extensions_size =
        ln_site_deflate_wish(site, &o->wish) ? ln_pmd_write_offer(&o->wish, o->extensions) : 0;
    const ln_upgrade_offer offer = make_offer(o, site);
    return ln_upgrade_write_request(out, &offer, LN_OPENING_REQUEST_MAX_BYTES);
}

int ln_opening_judge(const ln_opening *o, const ln_site *site, const ln_head *head,
                     ln_upgrade_result *result, ln_deflate **deflate)
{
    const ln_upgrade_offer offer = make_offer(o, site);

    *deflate = NULL;
    ln_upgrade_check_response(head, &offer, o->extensions_size > 0 ? &o->wish : NULL, result);
    if (result->rc < 0 || !result->has_deflate)
        return result->rc;
    ln_zpool *const zpool = ln_home_zpool(site->home);
    *deflate = zpool == NULL
                   ? NULL
                   : ln_deflate_new(zpool, &result->deflate, false, LN_SITE_DEFLATE_LEVEL);
    if (*deflate != NULL)
        return 0;
    /* it was agreed upon: without it the peer could not be understood */
    result->reason = ln_strerror(LN_ERR_NOMEM);
    return LN_ERR_NOMEM;
}
