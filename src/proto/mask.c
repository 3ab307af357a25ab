/* SPDX-License-Identifier: MIT */
#include "mask.h"

/* The reference: RFC 6455 5.3 as it is written there. */
static void mask_scalar(uint8_t *to, const uint8_t *from, size_t n, uint32_t key, size_t offset)
{
    uint8_t bytes[sizeof key];
    memcpy(bytes, &key, sizeof key);
    for (size_t i = 0; i < n; i++)
        to[i] = from[i] ^ bytes[(offset + i) % 4];
}

static void mask_word(uint8_t *to, const uint8_t *from, size_t n, uint32_t key, size_t offset)
{
    ln_mask_short(to, from, n, key, offset);
}

static const ln_mask_offer portable[] = {{"scalar", mask_scalar, NULL}, {"word", mask_word, NULL}};

ln_mask_fn *ln_mask_long = mask_word;

LN_BEFORE_MAIN static void choose(void)
{
    for (const ln_mask_offer *o = ln_mask_offers; o->name; o++)
        if (o->is_supported())
            ln_mask_long = o->fn;
}

bool ln_mask_variant(unsigned index, const char **name, ln_mask_fn **fn)
{
    if (index < LN_ARRAY_SIZE(portable)) {
        *name = portable[index].name;
        *fn = portable[index].fn;
        return true;
    }
    const ln_mask_offer *o = ln_mask_offers;
    for (unsigned i = LN_ARRAY_SIZE(portable); i < index && o->name; i++)
        o++;
    if (!o->name)
        return false;
    *name = o->name;
    *fn = o->is_supported() ? o->fn : NULL;
    return true;
}
