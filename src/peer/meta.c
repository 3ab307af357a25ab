/* SPDX-License-Identifier: MIT */
#include "meta.h"

#include <string.h>

/* One fact; a text's bytes and the key follow it. */
struct ln_meta {
    ln_meta *next;
    ln_value value;
    size_t bytes; /* key and text */
    char key[];
};

static ln_meta **find(ln_meta **list, const char *key)
{
    while (*list != NULL && strcmp((*list)->key, key) != 0)
        list = &(*list)->next;
    return list;
}

static void remove_at(ln_meta **at, const ln_allocator *alloc)
{
    ln_meta *const gone = *at;
    *at = gone->next;
    ln_free(alloc, gone);
}

/* May `bytes` more be kept, not counting what `except` holds? */
static bool has_room(const ln_meta *list, const ln_meta *except, size_t bytes)
{
    unsigned keys = 1;
    for (; list != NULL; list = list->next) {
        if (list == except)
            continue;
        keys++;
        bytes += list->bytes;
    }
    return keys <= LN_META_KEYS_MAX && bytes <= LN_META_BYTES_MAX;
}

static ln_meta *make(const char *key, ln_value value, const ln_allocator *alloc)
{
    const size_t key_size = strlen(key) + 1;
    const size_t text_size = value.type == LN_VALUE_TEXT ? value.as.text.size : 0;

    ln_meta *const m = ln_alloc(alloc, sizeof *m + key_size + text_size);
    if (m == NULL)
        return NULL;
    *m = (ln_meta){.value = value, .bytes = key_size + text_size};
    memcpy(m->key, key, key_size);
    if (value.type == LN_VALUE_TEXT) {
        if (text_size > 0)
            memcpy(m->key + key_size, value.as.text.data, text_size);
        m->value.as.text.data = m->key + key_size;
    }
    return m;
}

int ln_meta_set(ln_meta **list, const char *key, ln_value value, const ln_allocator *alloc)
{
    if (key == NULL || *key == '\0' || (unsigned)value.type > LN_VALUE_POINTER)
        return LN_ERR_INVALID;

    ln_meta **const at = find(list, key);
    if (value.type == LN_VALUE_NONE) {
        if (*at != NULL)
            remove_at(at, alloc);
        return 0;
    }
    const size_t text_size = value.type == LN_VALUE_TEXT ? value.as.text.size : 0;
    if (text_size > LN_META_BYTES_MAX || !has_room(*list, *at, strlen(key) + 1 + text_size))
        return LN_ERR_LIMIT;
    ln_meta *const m = make(key, value, alloc);
    if (m == NULL)
        return LN_ERR_NOMEM;
    if (*at != NULL)
        remove_at(at, alloc);
    m->next = *list;
    *list = m;
    return 0;
}

ln_value ln_meta_get(const ln_meta *list, const char *key)
{
    for (; list != NULL; list = list->next) {
        if (strcmp(list->key, key) == 0)
            return list->value;
    }
    return (ln_value){.type = LN_VALUE_NONE};
}

void ln_meta_free(ln_meta *list, const ln_allocator *alloc)
{
    while (list != NULL)
        remove_at(&list, alloc);
}
