/* SPDX-License-Identifier: MIT */
/*
 * Nothing a peer sent is ever written back: the accept key is a digest, a subprotocol is a span of
 * our own list, the extensions are pmd's text. What the application adds is checked line by line.
 */
#include "upgrade.h"

#include "authority.h"
#include "charclass.h"
#include "origin.h"
#include "url.h"

#include <openssl/evp.h>

#include <string.h>

enum { SHA1_BYTES = 20, RANDOM_BYTES = 16 };

static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"; /* RFC 6455 1.3 */

/* Keys */

/* `n` bytes to `size` characters of base64; EVP_EncodeBlock() ends with a NUL that nobody wants. */
static void encode(const uint8_t *bytes, int n, char *text, size_t size)
{
    unsigned char padded[LN_UPGRADE_ACCEPT_BYTES + 1];
    LN_ASSERT(size < sizeof padded);
    const int written = EVP_EncodeBlock(padded, bytes, n);
    LN_ASSERT(written == (int)size);
    memcpy(text, padded, size);
}

int ln_upgrade_accept_key(ln_span key, char accept[LN_UPGRADE_ACCEPT_BYTES])
{
    LN_ASSERT(key.size == LN_UPGRADE_KEY_BYTES);
    uint8_t text[LN_UPGRADE_KEY_BYTES + sizeof guid - 1];
    memcpy(text, key.data, key.size);
    memcpy(text + key.size, guid, sizeof guid - 1);

    uint8_t digest[EVP_MAX_MD_SIZE];
    unsigned size = 0;
    if (EVP_Digest(text, sizeof text, digest, &size, EVP_sha1(), NULL) != 1)
        return LN_ERR_NOMEM;
    LN_ASSERT(size == SHA1_BYTES);
    encode(digest, SHA1_BYTES, accept, LN_UPGRADE_ACCEPT_BYTES);
    return 0;
}

bool ln_upgrade_is_key(ln_span key)
{
    if (key.size != LN_UPGRADE_KEY_BYTES)
        return false;
    const char *c = key.data;
    if (!ln_charclass_is_all((ln_span){c, 22}, LN_CHAR_BASE64) || c[22] != '=' || c[23] != '=')
        return false;
    /* 22 characters are 132 bits: the last four, beyond 16 bytes, are 0 */
    return c[21] == 'A' || c[21] == 'Q' || c[21] == 'g' || c[21] == 'w';
}

void ln_upgrade_make_key(const uint8_t random[RANDOM_BYTES], char key[LN_UPGRADE_KEY_BYTES])
{
    encode(random, RANDOM_BYTES, key, LN_UPGRADE_KEY_BYTES);
    LN_ASSERT(ln_upgrade_is_key((ln_span){key, LN_UPGRADE_KEY_BYTES}));
}

/* A request */

static unsigned count_of(const ln_head *head, const char *name)
{
    unsigned count;
    ln_head_find(head, name, &count);
    return count;
}

static bool is_get(const ln_head *head)
{
    return ln_text_equal(head->method, LN_SPAN("GET"));
}

bool ln_upgrade_is_wanted(const ln_head *head)
{
    return is_get(head) && ln_head_has_token(head, "Upgrade", "websocket");
}

/* Anything but no length, or one length of 0: also what is no number. */
static bool has_body(const ln_head *head)
{
    unsigned count;
    uint64_t length = 0;
    const ln_span value = ln_head_find(head, "Content-Length", &count);
    if (count > 1 || (count == 1 && ln_text_parse_u64(value, 0, &length) < 0))
        return true;
    return count_of(head, "Transfer-Encoding") > 0;
}

static ln_upgrade_verdict refusal(unsigned status, ln_upgrade_fault fault, const char *reason)
{
    LN_ASSERT(status >= 400 && reason != NULL);
    return (ln_upgrade_verdict){.status = status, .fault = fault, .reason = reason};
}

static ln_upgrade_verdict judge(const ln_head *head)
{
    unsigned versions, keys;
    const ln_span version = ln_head_find(head, "Sec-WebSocket-Version", &versions);
    const ln_span key = ln_head_find(head, "Sec-WebSocket-Key", &keys);

    if (!is_get(head))
        return refusal(405, LN_UPGRADE_BAD_METHOD, "a WebSocket begins with GET");
    if (head->minor < 1)
        return refusal(400, LN_UPGRADE_BAD_FORM, "a WebSocket needs HTTP/1.1");
    if (count_of(head, "Host") != 1)
        return refusal(400, LN_UPGRADE_BAD_FORM, "exactly one Host field is needed");
    if (!ln_head_has_token(head, "Upgrade", "websocket"))
        return refusal(426, LN_UPGRADE_BAD_FORM, "the Upgrade field does not name websocket");
    if (count_of(head, "Upgrade") != 1)
        return refusal(400, LN_UPGRADE_BAD_FORM, "more than one Upgrade field");
    if (!ln_head_has_token(head, "Connection", "upgrade"))
        return refusal(426, LN_UPGRADE_BAD_FORM, "the Connection field does not name upgrade");
    if (has_body(head))
        return refusal(400, LN_UPGRADE_BAD_FORM, "an upgrade request has no body");
    if (versions > 1)
        return refusal(400, LN_UPGRADE_BAD_VERSION, "more than one Sec-WebSocket-Version field");
    if (!ln_text_equal(version, LN_SPAN("13")))
        return refusal(426, LN_UPGRADE_BAD_VERSION, "only WebSocket version 13 is spoken here");
    if (keys != 1 || !ln_upgrade_is_key(key))
        return refusal(400, key.size == 0 ? LN_UPGRADE_NO_KEY : LN_UPGRADE_BAD_KEY,
                       "exactly one Sec-WebSocket-Key of 16 bytes is needed");
    return (ln_upgrade_verdict){.status = 101, .key = key};
}

void ln_upgrade_check_request(const ln_head *head, ln_upgrade_verdict *verdict)
{
    *verdict = judge(head);
}

/* Subprotocols */

typedef struct names {
    unsigned count;
    ln_span at[LN_UPGRADE_SUBPROTOCOLS_MAX];
} names;

static bool has_name(const names *n, ln_span name)
{
    LN_ASSERT(n->count <= LN_UPGRADE_SUBPROTOCOLS_MAX);
    for (unsigned i = 0; i < n->count; i++)
        if (ln_text_equal(n->at[i], name))
            return true;
    return false;
}

/*
 * Adds a list. False at the first name that is none, is there already, or is one too many: the
 * bound on their number is what keeps a header of 64 KiB of names linear.
 */
static bool add_names(names *n, ln_span list)
{
    ln_span name;
    while (ln_text_next(&list, ',', &name)) {
        if (n->count == LN_UPGRADE_SUBPROTOCOLS_MAX || !ln_text_is_token(name) || has_name(n, name))
            return false;
        n->at[n->count++] = name;
    }
    return true;
}

ln_span ln_upgrade_choose_subprotocol(const ln_head *head, ln_span ours, bool *is_malformed)
{
    names offered;
    offered.count = 0; /* the 512 bytes behind it need not be cleared */

    bool is_sound = true;
    for (unsigned i = 0; i < head->field_count && is_sound; i++)
        if (ln_text_equal_nocase(head->fields[i].name, LN_SPAN("Sec-WebSocket-Protocol")))
            is_sound = add_names(&offered, head->fields[i].value);
    if (is_malformed)
        *is_malformed = !is_sound;

    ln_span name;
    while (is_sound && ln_text_next(&ours, ',', &name))
        if (has_name(&offered, name))
            return name;
    return (ln_span){NULL, 0};
}

/* Origins */

static bool is_same_origin(const ln_head *head, const ln_origin *origin, bool is_secure)
{
    const ln_span authority = ln_url_authority(head->target);
    const ln_span host = authority.size > 0 ? authority : ln_head_find(head, "Host", NULL);
    ln_origin own;
    return ln_origin_of_host(host, is_secure, &own) == 0 && ln_origin_equal(origin, &own);
}

bool ln_upgrade_is_origin_allowed(const ln_head *head, ln_span allowed, bool is_secure)
{
    unsigned count;
    ln_origin origin, candidate;
    ln_span item;
    const ln_span value = ln_head_find(head, "Origin", &count);

    if (count != 1)
        return count == 0;

    const bool is_origin = ln_origin_parse(value, &origin) == 0;
    if (ln_text_trim(allowed).size == 0)
        return is_origin && is_same_origin(head, &origin, is_secure);
    while (ln_text_next(&allowed, ',', &item)) {
        if (ln_text_equal(item, LN_SPAN("*")))
            return true;
        if (is_origin && ln_origin_parse(item, &candidate) == 0 &&
            ln_origin_equal(&origin, &candidate))
            return true;
    }
    return false;
}

/* Writing */

static bool is_reserved(ln_span name)
{
    static const char *const reserved[] = {
        "Host", "Connection", "Upgrade", "Content-Length", "Transfer-Encoding",
    };
    const ln_span prefix = LN_SPAN("Sec-WebSocket-");
    if (name.size >= prefix.size && ln_text_equal_nocase((ln_span){name.data, prefix.size}, prefix))
        return true;
    for (size_t i = 0; i < LN_ARRAY_SIZE(reserved); i++)
        if (ln_text_equal_nocase(name, ln_text(reserved[i])))
            return true;
    return false;
}

/* Our own fields, but those without a value; then the extra ones; then the end of the head. */
static int write_fields(ln_buf *out, const ln_field *own, size_t own_count, const ln_field *extra,
                        size_t extra_count, size_t limit)
{
    int rc = 0;
    for (size_t i = 0; i < own_count && rc == 0; i++)
        if (own[i].value.size > 0)
            rc = ln_head_write_field(out, own[i].name, own[i].value, limit);
    for (size_t i = 0; i < extra_count && rc == 0; i++)
        rc = is_reserved(extra[i].name)
                 ? LN_ERR_INVALID
                 : ln_head_write_field(out, extra[i].name, extra[i].value, limit);
    return rc < 0 ? rc : ln_head_write_end(out, limit);
}

int ln_upgrade_write_response(ln_buf *out, ln_span key, ln_span subprotocol, ln_span extensions,
                              const ln_field *extra, size_t extra_count, size_t limit)
{
    char accept[LN_UPGRADE_ACCEPT_BYTES];
    if (!ln_upgrade_is_key(key) || (subprotocol.size > 0 && !ln_text_is_token(subprotocol)))
        return LN_ERR_INVALID;
    int rc = ln_upgrade_accept_key(key, accept);
    if (rc < 0)
        return rc;

    const ln_field own[] = {
        {LN_SPAN("Upgrade"), LN_SPAN("websocket")},
        {LN_SPAN("Connection"), LN_SPAN("Upgrade")},
        {LN_SPAN("Sec-WebSocket-Accept"), {accept, sizeof accept}},
        {LN_SPAN("Sec-WebSocket-Protocol"), subprotocol},
        {LN_SPAN("Sec-WebSocket-Extensions"), extensions},
    };
    const size_t before = out->size;
    rc = ln_head_write_status(out, 101, limit);
    if (rc == 0)
        rc = write_fields(out, own, LN_ARRAY_SIZE(own), extra, extra_count, limit);
    if (rc < 0)
        out->size = before;
    LN_ASSERT(out->size >= before);
    return rc;
}

static bool is_offer(const ln_upgrade_offer *offer)
{
    ln_authority authority;
    names n;
    n.count = 0;
    const bool has_path = ln_text_has_prefix(offer->target, LN_SPAN("/")) ||
                          ln_text_has_prefix(offer->target, LN_SPAN("?"));
    return has_path && ln_upgrade_is_key(offer->key) &&
           ln_authority_parse(offer->host, &authority) == 0 &&
           (offer->subprotocols.size == 0 || add_names(&n, offer->subprotocols));
}

int ln_upgrade_write_request(ln_buf *out, const ln_upgrade_offer *offer, size_t limit)
{
    if (!is_offer(offer))
        return LN_ERR_INVALID;

    const ln_field own[] = {
        {LN_SPAN("Host"), offer->host},
        {LN_SPAN("Upgrade"), LN_SPAN("websocket")},
        {LN_SPAN("Connection"), LN_SPAN("Upgrade")},
        {LN_SPAN("Sec-WebSocket-Key"), offer->key},
        {LN_SPAN("Sec-WebSocket-Version"), LN_SPAN("13")},
        {LN_SPAN("Origin"), offer->origin},
        {LN_SPAN("Sec-WebSocket-Protocol"), offer->subprotocols},
        {LN_SPAN("Sec-WebSocket-Extensions"), offer->extensions},
    };
    const size_t before = out->size;
    int rc = ln_head_write_request(out, LN_SPAN("GET"), offer->target, limit);
    if (rc == 0)
        rc = write_fields(out, own, LN_ARRAY_SIZE(own), offer->extra, offer->extra_count, limit);
    if (rc < 0)
        out->size = before;
    LN_ASSERT(out->size >= before);
    return rc;
}

/* A response */

static bool is_only(const ln_head *head, const char *name, ln_span wanted)
{
    unsigned count;
    const ln_span value = ln_head_find(head, name, &count);
    return count == 1 && ln_text_equal(value, wanted);
}

/* Our own spelling of the subprotocol that the server chose. False: one that was not offered, or
 * several. */
static bool find_subprotocol(const ln_head *head, ln_span offered, ln_span *chosen)
{
    unsigned count;
    const ln_span value = ln_head_find(head, "Sec-WebSocket-Protocol", &count);
    *chosen = (ln_span){NULL, 0};
    if (count != 1)
        return count == 0;
    ln_span name;
    while (offered.size > 0 && ln_text_next(&offered, ',', &name)) {
        if (!ln_text_equal(name, value) || name.size == 0)
            continue;
        *chosen = name;
        return true;
    }
    return false;
}

/* NULL, or what is wrong with a 101; what was negotiated goes into *result. */
static const char *blame(const ln_head *head, const ln_upgrade_offer *offer,
                         const ln_pmd_params *pmd_offered,
                         const char accept[LN_UPGRADE_ACCEPT_BYTES], ln_upgrade_result *result)
{
    unsigned upgrades;
    const ln_span upgrade = ln_head_find(head, "Upgrade", &upgrades);

    if (head->minor < 1)
        return "the server upgraded in HTTP/1.0";
    if (upgrades != 1 || !ln_text_equal_nocase(upgrade, LN_SPAN("websocket")))
        return "the server upgraded to something else";
    if (!ln_head_has_token(head, "Connection", "upgrade"))
        return "the server's Connection field does not name upgrade";
    if (!is_only(head, "Sec-WebSocket-Accept", (ln_span){accept, LN_UPGRADE_ACCEPT_BYTES}))
        return "the server's Sec-WebSocket-Accept does not fit the key";
    if (!find_subprotocol(head, offer->subprotocols, &result->subprotocol))
        return "the server chose a subprotocol that was not offered";

    if (!pmd_offered)
        return count_of(head, "Sec-WebSocket-Extensions") > 0
                   ? "the server chose an extension, none was offered"
                   : NULL;
    const int rc = ln_pmd_check(head, pmd_offered, &result->deflate);
    if (rc < 0)
        return "the server's Sec-WebSocket-Extensions does not fit the offer";
    result->has_deflate = rc > 0;
    return NULL;
}

void ln_upgrade_check_response(const ln_head *head, const ln_upgrade_offer *offer,
                               const ln_pmd_params *pmd_offered, ln_upgrade_result *result)
{
    LN_ASSERT(head->status >= 100 && ln_upgrade_is_key(offer->key));
    ln_upgrade_result good = {.status = head->status};
    ln_upgrade_result bad = {.status = head->status, .rc = LN_ERR_HANDSHAKE};

    char accept[LN_UPGRADE_ACCEPT_BYTES];
    if (head->status != 101) {
        bad.rc = LN_ERR_REFUSED;
        bad.reason = "the server answered with another status";
    } else if (ln_upgrade_accept_key(offer->key, accept) < 0) {
        bad.rc = LN_ERR_NOMEM;
        bad.reason = "out of memory";
    } else {
        bad.reason = blame(head, offer, pmd_offered, accept, &good);
    }
    *result = bad.reason ? bad : good;
}
