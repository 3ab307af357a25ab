/* SPDX-License-Identifier: MIT */
/*
 * ws_model_test - every header that two bytes can begin, against a model.
 *
 * All 2^16 pairs of first bytes, each with every kind of length behind it that they allow, towards
 * a server and a client, between messages and inside a fragmented one, with and without
 * permessage-deflate. The model below is written from RFC 6455 section 5 and RFC 7692 section 6,
 * sentence by sentence, without a table and without the machine's code.
 *
 * Compared: the close code, or that the frame is taken; what event it gives; and that after a fault
 * neither a message nor a ping nor anything else is delivered.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "proto/ws.h"

enum { HEADER_MAX = 14, PAYLOAD_MAX = 65536, KEY = 0 };

/* One question. */
typedef struct header {
    uint8_t first, second;
    uint64_t length; /* what the extended length says, if there is one */
    ln_ws_role role;
    bool is_mid_message, has_deflate;
} header;

/* One answer: a close code, or 0 and what the frame is. */
typedef struct verdict {
    uint16_t code;
    bool is_fed;    /* with its payload */
    bool has_event; /* then, of this type: */
    ln_ws_event_type type;
} verdict;

static unsigned long cases;

/* ---- the model ---- */

static uint64_t length_of(const header *h)
{
    return h->second % 128 < 126 ? h->second % 128u : h->length;
}

/* "%x0-2 / %x8-A": the opcodes that are defined, 5.2. */
static bool is_defined(unsigned opcode)
{
    return opcode == 0 || opcode == 1 || opcode == 2 || opcode == 8 || opcode == 9 || opcode == 10;
}

static bool breaks_a_rule(const header *h)
{
    const bool fin = h->first >> 7, rsv1 = h->first >> 6 & 1, rsv2 = h->first >> 5 & 1,
               rsv3 = h->first >> 4 & 1;
    const unsigned opcode = h->first % 16, length7 = h->second % 128;
    const bool masked = h->second >= 128;
    const bool is_control = opcode >= 8;

    if (rsv2 || rsv3) /* 5.2: MUST be 0 unless an extension is negotiated */
        return true;
    if (rsv1 && !h->has_deflate)
        return true;
    /* RFC 7692 6: only on the first frame of a message, never on control */
    if (rsv1 && opcode != 1 && opcode != 2)
        return true;
    if (!is_defined(opcode)) /* 5.2: "the receiving endpoint MUST Fail the Connection" */
        return true;
    if (masked != (h->role == LN_WS_SERVER)) /* 5.1 */
        return true;
    if (is_control && (!fin || length7 > 125)) /* 5.5 */
        return true;
    if (length7 == 126 && h->length < 126) /* 5.2: "the minimal number of bytes MUST be used" */
        return true;
    if (length7 == 127 && (h->length < 65536 || h->length >= (uint64_t)1 << 63))
        return true;
    if (opcode == 0 && !h->is_mid_message) /* 5.4 */
        return true;
    return (opcode == 1 || opcode == 2) && h->is_mid_message;
}

static verdict model(const header *h)
{
    const unsigned opcode = h->first % 16;
    const bool fin = h->first >= 128, is_compressed = h->first & 64;
    const uint64_t length = length_of(h);
    verdict v = {.type = LN_WS_MESSAGE};

    if (breaks_a_rule(h)) {
        v.code = 1002;
        return v;
    }
    /* The payload of this test is no compressed data, and one that is too long for it does not
     * come. */
    v.is_fed = length <= PAYLOAD_MAX && (!is_compressed || length == 0);
    v.has_event = v.is_fed && fin;
    /* 7.4.1, 10.4: whole messages end below 4 GiB, compressed ones a bit above. */
    if (opcode < 8 && length >> 33 > 0)
        v.code = 1009;
    /* 5.5.1: "the first two bytes of the body MUST be a 2-byte unsigned integer" */
    if (opcode == 8 && length == 1)
        v.code = 1002;
    if (opcode >= 8)
        v.type = opcode == 8 ? LN_WS_CLOSED : opcode == 9 ? LN_WS_PING : LN_WS_PONG;
    return v;
}

/* ---- the machine ---- */

typedef struct bench {
    ln_ws_config configs[2];
    ln_pool pool;
    ln_buf scratch;
    ln_zpool *zpool;
    uint8_t payload[PAYLOAD_MAX];
} bench;

static uint32_t zero_key(void *user)
{
    (void)user;
    return KEY;
}

static void bench_init(bench *b)
{
    memset(b->payload, 0, sizeof b->payload);
    ln_pool_init(&b->pool, NULL);
    ln_buf_init(&b->scratch, NULL);
    b->zpool = ln_zpool_new(NULL);
    for (int i = 0; i < 2; i++)
        b->configs[i] = (ln_ws_config){.role = i == 0 ? LN_WS_SERVER : LN_WS_CLIENT,
                                       .pool = &b->pool,
                                       .scratch = &b->scratch,
                                       .mask_key = zero_key};
}

static void bench_fini(bench *b)
{
    ln_zpool_free(b->zpool);
    ln_buf_fini(&b->scratch);
    ln_pool_fini(&b->pool);
}

/* Feeds all, taking every event; *last is the last of them. Their number. */
static unsigned feed(ln_ws *m, uint8_t *bytes, size_t n, ln_ws_event *last)
{
    unsigned events = 0;
    ln_ws_event e;

    for (size_t at = 0; at < n;) {
        at += ln_ws_feed(m, bytes + at, n - at, 0);
        for (; ln_ws_next(m, &e); events++)
            *last = e;
    }
    return events;
}

static size_t write_header(const header *h, uint8_t *to)
{
    const unsigned length7 = h->second % 128;
    const size_t extended = length7 == 126 ? 2 : length7 == 127 ? 8 : 0;
    size_t n = 0;

    to[n++] = h->first;
    to[n++] = h->second;
    for (size_t i = 0; i < extended; i++)
        to[n++] = (uint8_t)(h->length >> (8 * (extended - 1 - i)));
    for (int i = 0; i < 4 && h->second >= 128; i++)
        to[n++] = KEY;
    return n;
}

/* Whatever follows a fault: a message, a ping, the end of a message, a close. Nothing comes
 * of it. */
static void check_silence(ln_ws *m, ln_ws_role role)
{
    uint8_t server[] = {0x81, 0x81, 0, 0, 0, 0, 'x',  0x89, 0x80, 0, 0, 0, 0,
                        0x80, 0x80, 0, 0, 0, 0, 0x88, 0x80, 0,    0, 0, 0};
    uint8_t client[] = {0x81, 0x01, 'x', 0x89, 0x00, 0x80, 0x00, 0x88, 0x00};
    ln_ws_event e;

    if (role == LN_WS_SERVER)
        assert_int_equal(feed(m, server, sizeof server, &e), 0);
    else
        assert_int_equal(feed(m, client, sizeof client, &e), 0);
}

static void check_fault(ln_ws *m, const header *h, const verdict *want, unsigned events,
                        const ln_ws_event *e)
{
    const char *reason = NULL;

    if (events != 1 || e->type != LN_WS_CLOSED || e->code != want->code || e->is_clean ||
        e->by != LN_WS_BY_US)
        fail_msg("%02x %02x: not failed with %u, length %llu, role %d, mid-message %d, deflate %d",
                 h->first, h->second, want->code, (unsigned long long)h->length, h->role,
                 h->is_mid_message, h->has_deflate);
    assert_int_equal(ln_ws_fault(m, &reason), want->code);
    assert_non_null(reason);
    check_silence(m, h->role);
}

static void check_taken(ln_ws *m, const header *h, const verdict *want, unsigned events,
                        const ln_ws_event *e)
{
    if (events != want->has_event || (events > 0 && e->type != want->type))
        fail_msg("%02x %02x: %u events, the last a %d; wanted %d of %d; length %llu, role %d, "
                 "mid-message %d, deflate %d",
                 h->first, h->second, events, e->type, want->has_event, want->type,
                 (unsigned long long)h->length, h->role, h->is_mid_message, h->has_deflate);
    assert_int_equal(ln_ws_fault(m, NULL), 0);
    if (events == 0)
        return;
    const uint64_t length = length_of(h);
    switch (want->type) {
    case LN_WS_CLOSED:
        assert_int_equal(e->code, length == 0 ? 1005 : 1000);
        assert_int_equal(e->data.size, length < 2 ? 0 : length - 2);
        check_silence(m, h->role);
        break;
    case LN_WS_MESSAGE:
        assert_int_equal(e->kind, h->is_mid_message ? LN_BINARY : h->first % 16);
        assert_int_equal(e->data.size, length);
        break;
    case LN_WS_PING:
    case LN_WS_PONG:
    case LN_WS_PIECE:
        assert_int_equal(e->data.size, length);
        break;
    }
}

static void check(bench *b, const header *h)
{
    const ln_pmd_params params = {false, false, 15, 15};
    uint8_t opening[] = {0x02, 0x80, 0, 0, 0, 0}, bytes[HEADER_MAX];
    ln_ws_event e = {.type = LN_WS_CLOSED};
    const verdict want = model(h);
    ln_ws m;

    cases++;
    ln_ws_init(&m, &b->configs[h->role],
               h->has_deflate ? ln_deflate_new(b->zpool, &params, true, 1) : NULL, 0);
    if (h->is_mid_message) {
        opening[1] = h->role == LN_WS_SERVER ? 0x80 : 0x00;
        assert_int_equal(feed(&m, opening, h->role == LN_WS_SERVER ? 6 : 2, &e), 0);
    }
    unsigned events = feed(&m, bytes, write_header(h, bytes), &e);
    if (want.is_fed && length_of(h) > 0) {
        assert_int_equal(events, 0);
        memcpy(b->payload, h->first % 16 == 8 ? "\x03\xe8" : "ab", 2);
        events = feed(&m, b->payload, (size_t)length_of(h), &e);
    }
    if (want.code != 0)
        check_fault(&m, h, &want, events, &e);
    else
        check_taken(&m, h, &want, events, &e);
    ln_ws_fini(&m);
}

/* ---- all of them ---- */

/* A pair of bytes with each class of length: those of 16 and 64 bits are minimal or not, or have
 * the top bit. */
static void check_lengths(bench *b, header *h)
{
    static const uint64_t of_16[] = {0, 125, 126, 65535};
    static const uint64_t of_64[] = {0,
                                     125,
                                     126,
                                     65535,
                                     65536,
                                     UINT64_C(1) << 31,
                                     UINT64_C(1) << 34,
                                     (UINT64_C(1) << 63) - 1,
                                     UINT64_C(1) << 63,
                                     UINT64_MAX};
    const unsigned length7 = h->second % 128;

    if (length7 < 126) {
        check(b, h);
        return;
    }
    const uint64_t *const lengths = length7 == 126 ? of_16 : of_64;
    const size_t n = length7 == 126 ? LN_ARRAY_SIZE(of_16) : LN_ARRAY_SIZE(of_64);
    for (size_t i = 0; i < n; i++) {
        h->length = lengths[i];
        check(b, h);
    }
}

static void check_pairs(ln_ws_role role, bool is_mid_message, bool has_deflate)
{
    static bench b;

    bench_init(&b);
    for (unsigned pair = 0; pair < 65536; pair++) {
        header h = {.first = (uint8_t)(pair >> 8),
                    .second = (uint8_t)pair,
                    .role = role,
                    .is_mid_message = is_mid_message,
                    .has_deflate = has_deflate};
        check_lengths(&b, &h);
    }
    bench_fini(&b);
}

static void all_pairs_between_messages_match_the_model(void **state)
{
    (void)state;
    check_pairs(LN_WS_SERVER, false, false);
    check_pairs(LN_WS_CLIENT, false, false);
}

static void all_pairs_inside_a_message_match_the_model(void **state)
{
    (void)state;
    check_pairs(LN_WS_SERVER, true, false);
    check_pairs(LN_WS_CLIENT, true, false);
}

static void all_pairs_with_deflate_match_the_model(void **state)
{
    (void)state;
    check_pairs(LN_WS_SERVER, false, true);
    check_pairs(LN_WS_CLIENT, false, true);
}

static void all_pairs_inside_a_message_with_deflate_match_the_model(void **state)
{
    (void)state;
    check_pairs(LN_WS_SERVER, true, true);
    check_pairs(LN_WS_CLIENT, true, true);
}

/*
 * Close frames: every code in every length that a close frame can have, RFC 6455 7.4: allowed are
 * those that 7.4.1 defines for the wire, those registered since (1012 to 1014), and 3000 to 4999.
 */
static void all_close_codes_in_all_lengths_match_the_model(void **state)
{
    (void)state;
    static bench b;

    bench_init(&b);
    for (unsigned code = 0; code < 65536; code++) {
        const bool is_defined_code = code == 1000 || code == 1001 || code == 1002 || code == 1003 ||
                                     (code >= 1007 && code <= 1014) ||
                                     (code >= 3000 && code <= 4999);
        const bool is_near =
            code <= 5001; /* beyond, the lengths make no difference that is worth the time */
        for (unsigned length = 0; length <= 126; length += is_near || length < 3 ? 1 : 41) {
            uint8_t bytes[4 + 126] = {0x88, (uint8_t)length, (uint8_t)(code >> 8), (uint8_t)code};
            ln_ws_event e = {.type = LN_WS_MESSAGE};
            ln_ws m;

            memset(bytes + 4, 'r', sizeof bytes - 4);
            ln_ws_init(&m, &b.configs[LN_WS_CLIENT], NULL, 0);
            assert_int_equal(feed(&m, bytes, 2 + length, &e), 1);
            const bool is_good = length == 0 || (length >= 2 && length <= 125 && is_defined_code);
            const unsigned want = !is_good ? 1002 : length == 0 ? 1005 : code;
            if (e.type != LN_WS_CLOSED || e.code != want || e.is_clean != is_good)
                fail_msg("code %u, length %u: closed with %u", code, length, e.code);
            ln_ws_fini(&m);
            cases++;
        }
    }
    bench_fini(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_pairs_between_messages_match_the_model),
        cmocka_unit_test(all_pairs_inside_a_message_match_the_model),
        cmocka_unit_test(all_pairs_with_deflate_match_the_model),
        cmocka_unit_test(all_pairs_inside_a_message_with_deflate_match_the_model),
        cmocka_unit_test(all_close_codes_in_all_lengths_match_the_model),
    };
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    fprintf(stderr, "# %lu cases\n", cases);
    return failed;
}
