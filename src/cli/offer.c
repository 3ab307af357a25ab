/* SPDX-License-Identifier: MIT */
#include "offer.h"

#include <stdio.h>
#include <string.h>

#include "base/base64.h"
#include "base/limits.h"
#include "base/text.h"

/* The sentence into *why, and LN_ERR_INVALID. What it is about may hold a secret: it is not
 * repeated. */
static int refuse(char *why, const char *sentence)
{
    snprintf(why, LN_OPTION_WHY_SIZE, "%s", sentence);
    return LN_ERR_INVALID;
}

static int set_url(ln_offer *o, const char *url, char *why)
{
    const char *scheme = strstr(url, "://") == NULL ? "ws://" : "";
    const int n = snprintf(o->url, sizeof o->url, "%s%s", scheme, url);
    return (size_t)n < sizeof o->url ? 0 : refuse(why, "the URL is too long");
}

/* "Name: value", cut apart in place. */
static int add_header(ln_offer *o, char *text, char *why)
{
    char *colon = strchr(text, ':');
    const size_t n = colon != NULL ? (size_t)(colon - text) : 0;
    if (!ln_text_is_token((ln_span){text, n}))
        return refuse(why, "a header is NAME:VALUE, and its name a word");
    *colon = '\0';
    o->headers[o->options.header_count++] =
        (ln_client_header){.name = text, .value = colon + 1 + strspn(colon + 1, " \t")};
    return 0;
}

static int add_headers(ln_offer *o, const ln_option_list *list, char *why)
{
    for (unsigned i = 0; i < list->count; i++) {
        const int rc = add_header(o, list->items[i], why);
        if (rc < 0)
            return rc;
    }
    return 0;
}

/* All of them, commas between; one --subprotocol may hold several, too. */
static int add_subprotocols(ln_offer *o, const ln_option_list *list, char *why)
{
    size_t used = 0;
    for (unsigned i = 0; i < list->count; i++) {
        ln_span rest = ln_text(list->items[i]), item;
        while (ln_text_next(&rest, ',', &item))
            if (!ln_text_is_token(item))
                return refuse(why, "a subprotocol is a word");
        const int n = snprintf(o->subprotocols + used, sizeof o->subprotocols - used, "%s%s",
                               i > 0 ? "," : "", list->items[i]);
        used += (size_t)n;
        if (used >= sizeof o->subprotocols)
            return refuse(why, "there are too many subprotocols");
    }
    o->options.ws.subprotocols = used > 0 ? o->subprotocols : NULL;
    return 0;
}

static int read_secret(const char *path, char *secret, char *why)
{
    const int rc = ln_secret_read(path, secret);
    if (rc < 0)
        snprintf(why, LN_OPTION_WHY_SIZE, "cannot use the first line of \"%s\": %s", path,
                 ln_strerror(rc));
    return rc == LN_ERR_INVALID ? LN_ERR_IO : rc; /* a bad file is not a wrong command line */
}

/* Basic authentication (RFC 7617). */
static int add_credentials(ln_offer *o, ln_dial_settings *set, char *why)
{
    if (set->auth_file != NULL) {
        const int rc = read_secret(set->auth_file, o->credentials, why);
        if (rc < 0)
            return rc;
    } else if (set->auth != NULL) {
        const size_t n = strlen(set->auth);
        if (n >= sizeof o->credentials)
            return refuse(why, "USER:PASSWORD is too long");
        memcpy(o->credentials, set->auth, n + 1);
        memset(set->auth, '*', n); /* the list of processes shows it */
    } else {
        return 0;
    }
    const ln_span credentials = ln_text(o->credentials);
    if (memchr(credentials.data, ':', credentials.size) == NULL) {
        snprintf(why, LN_OPTION_WHY_SIZE, "credentials are USER:PASSWORD, with a colon");
        return set->auth_file != NULL ? LN_ERR_IO : LN_ERR_INVALID;
    }
    const int n = snprintf(o->authorization, sizeof o->authorization, "Basic ");
    ln_base64_write(credentials, o->authorization + n);
    o->authorization[(size_t)n + ln_base64_size(credentials.size)] = '\0';
    o->headers[o->options.header_count++] =
        (ln_client_header){.name = "Authorization", .value = o->authorization};
    return 0;
}

static int add_tls(ln_offer *o, const ln_dial_settings *set, char *why)
{
    if (set->cert == NULL && (set->key != NULL || set->passphrase_file != NULL)) {
        snprintf(why, LN_OPTION_WHY_SIZE, "--key and --passphrase-file need --cert");
        return LN_ERR_INVALID;
    }
    if (set->passphrase_file != NULL) {
        const int rc = read_secret(set->passphrase_file, o->passphrase, why);
        if (rc < 0)
            return rc;
    }
    o->identity = (ln_tls_identity){
        .cert_file = set->cert,
        .key_file = set->key,
        .passphrase = set->passphrase_file != NULL ? o->passphrase : NULL,
    };
    o->tls = (ln_tls_options){
        .identities = set->cert != NULL ? &o->identity : NULL,
        .identity_count = set->cert != NULL,
        .ca_file = set->ca,
        .insecure = set->is_insecure,
    };
    o->options.tls = &o->tls;
    return 0;
}

int ln_offer_init(ln_offer *o, ln_dial_settings *set, const char *url, char why[LN_OPTION_WHY_SIZE])
{
    *o = (ln_offer){
        .options =
            {
                .headers = o->headers,
                .origin = set->origin,
                .reconnect = set->reconnects,
                .ws =
                    {
                        .message_max_bytes = set->message_max_bytes,
                        .fragments_max =
                            LN_MAX_FRAGMENTS_MAX, /* whom we connect to, we want to hear */
                        .control_per_second = LN_OFF,
                        .handshake_ms = set->timeout_ms,
                        .ping_interval_ms = set->ping_interval_ms,
                        .close_wait_ms = set->close_wait_ms,
                        .queue_max_bytes = set->message_max_bytes + LN_DEFAULT_QUEUE_MAX_BYTES,
                        .deflate = set->is_deflated,
                    },
            },
    };
    int rc = set_url(o, url, why);
    if (rc == 0)
        rc = add_headers(o, &set->headers, why);
    if (rc == 0)
        rc = add_subprotocols(o, &set->subprotocols, why);
    if (rc == 0)
        rc = add_credentials(o, set, why);
    if (rc == 0)
        rc = add_tls(o, set, why);
    if (rc < 0)
        ln_offer_fini(o);
    return rc;
}

void ln_offer_fini(ln_offer *o)
{
    ln_secret_wipe(o->credentials);
    ln_secret_wipe(o->passphrase);
    ln_secret_wipe(o->authorization);
    ln_secret_wipe(o->authorization + LN_SECRET_SIZE);
}
