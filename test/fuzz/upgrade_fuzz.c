/* SPDX-License-Identifier: MIT */
/*
 * A head, whole and in two pieces, judged in every way: the same verdicts, no answer that breaks.
 *
 * Input: a byte for the role (bit 0), TLS (bit 1) and window bits, one for the cut, then a head.
 */
#include "fuzz_head.h"
#include "proto/upgrade.h"

/* What a client with this key, which offered `wish` or no extension (NULL), makes of a response. */
static unsigned judge_response(const ln_head *head, ln_span key, const ln_pmd_params *wish)
{
    const ln_upgrade_offer offer = {.key = key, .subprotocols = LN_SPAN("a, b")};
    ln_upgrade_result r;
    ln_upgrade_check_response(head, &offer, wish, &r);
    LN_ASSERT((r.rc == 0) == (r.reason == NULL) && (r.rc == 0 || !r.has_deflate));
    return (unsigned)-r.rc * 2 + r.has_deflate;
}

/* What a server makes of a request. A client that offered what is agreed takes its answer. */
static unsigned judge_request(const ln_head *request, bool is_tls, const ln_pmd_params *wish)
{
    char text[LN_PMD_TEXT_MAX_BYTES];
    size_t n = 0;
    ln_pmd_params agreed;
    const unsigned deflate = ln_pmd_accept(request, wish, &agreed, text, &n) > 0;
    const ln_span name = ln_upgrade_choose_subprotocol(request, LN_SPAN("a, b"), NULL);
    ln_upgrade_verdict v;
    ln_upgrade_check_request(request, &v);
    ln_head_parser p;
    ln_head head;
    ln_buf out;
    ln_buf_init(&out, NULL);
    const int rc = ln_upgrade_write_response(&out, v.key, name, (ln_span){text, n}, NULL, 0, 4096);
    LN_ASSERT((rc == 0) == (v.status == 101));
    fuzz_head_feed(&p, LN_HEAD_RESPONSE, fuzz_head_wide, (ln_span){out.data, out.size}, 4096, 0);
    LN_ASSERT(ln_head_next(&p, &head) == (rc == 0));
    if (rc == 0 && !(deflate && text[n - 1] == '8')) /* a client's window of 8: none of ours */
        LN_ASSERT(judge_response(&head, v.key, deflate ? &agreed : NULL) == deflate);
    ln_buf_fini(&out);
    return v.status * 4 + deflate * 2 + ln_upgrade_is_origin_allowed(request, LN_SPAN(""), is_tls);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t bits = size > 2 ? data[0] : 0, low = bits % 8, high = bits / 32;
    const ln_pmd_params w = {bits & 4, bits & 8, low | 8, high | 8};
    const ln_span in = {data + 2, size > 2 ? size - 2 : 0};
    const ln_span key = LN_SPAN("dGhlIHNhbXBsZSBub25jZQ==");
    unsigned seen[2] = {0};
    for (int i = 0; i < 2 && in.size > 0; i++) {
        ln_head_parser p;
        ln_head head;
        fuzz_head_feed(&p, low & 1, fuzz_head_wide, in, i ? 1 + data[1] % in.size : size, size);
        if (ln_head_next(&p, &head))
            seen[i] = low & 1 ? judge_response(&head, key, &w) : judge_request(&head, low, &w);
        ln_head_fini(&p);
    }
    return LN_ASSERT(seen[0] == seen[1]), 0;
}
