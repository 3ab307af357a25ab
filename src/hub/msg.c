/* SPDX-License-Identifier: MIT */
#include "msg.h"

#include "base/text.h"

ln_msg *ln_msg_new(const ln_allocator *alloc, ln_msg_kind kind, ln_span topic, ln_span event,
                   ln_span payload, uint64_t publisher)
{
    LN_ASSERT(kind == LN_MSG_TEXT || kind == LN_MSG_BINARY || kind == LN_MSG_JSON);

    size_t room = SIZE_MAX - sizeof(ln_msg);
    if (topic.size > room || event.size > (room -= topic.size) ||
        payload.size > (room -= event.size))
        return NULL;
    ln_msg *m = ln_alloc(alloc, sizeof *m + topic.size + event.size + payload.size);
    if (m == NULL)
        return NULL;

    *m = (ln_msg){.alloc = alloc, .kind = kind, .publisher = publisher};
    atomic_init(&m->refs, 1);
    for (unsigned i = 0; i < LN_MSG_FORMS; i++)
        atomic_init(&m->forms[i], NULL);
    char *at = (char *)(m + 1);
    m->topic = ln_text_place(&at, topic);
    m->event = ln_text_place(&at, event);
    m->payload = ln_text_place(&at, payload);
    return m;
}

ln_msg *ln_msg_ref(ln_msg *m)
{
    const uint32_t before = atomic_fetch_add_explicit(&m->refs, 1, memory_order_relaxed);
    LN_ASSERT(before > 0 && before < UINT32_MAX);
    return m;
}

void ln_msg_unref(ln_msg *m)
{
    if (m == NULL)
        return;
    const uint32_t before = atomic_fetch_sub_explicit(&m->refs, 1, memory_order_acq_rel);
    LN_ASSERT(before > 0);
    if (before > 1)
        return;
    for (unsigned i = 0; i < LN_MSG_FORMS; i++)
        ln_block_unref(atomic_load_explicit(&m->forms[i], memory_order_relaxed));
    ln_free(m->alloc, m);
}

ln_block *ln_msg_form(ln_msg *m, unsigned form, ln_block *(*make)(const ln_msg *m, void *arg),
                      void *arg)
{
    LN_ASSERT(form < LN_MSG_FORMS);

    ln_block *kept = atomic_load_explicit(&m->forms[form], memory_order_acquire);
    if (LN_LIKELY(kept != NULL))
        return kept;
    ln_block *made = make(m, arg);
    if (made == NULL)
        return NULL;
    if (atomic_compare_exchange_strong_explicit(&m->forms[form], &kept, made, memory_order_acq_rel,
                                                memory_order_acquire))
        return made;
    ln_block_unref(made); /* another worker was first */
    return kept;
}
