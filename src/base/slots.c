/* SPDX-License-Identifier: MIT */
#include "slots.h"

#define INDEX_BITS 24
#define INDEX_MASK ((UINT32_C(1) << INDEX_BITS) - 1)

_Static_assert((uint64_t)LN_SLOTS_PAGE *LN_SLOTS_PAGES_MAX <= INDEX_MASK,
               "an index fits into a name");

void ln_slots_init(ln_slots *s, const ln_allocator *alloc)
{
    s->alloc = alloc;
    for (size_t i = 0; i < LN_SLOTS_PAGES_MAX; i++)
        atomic_init(&s->pages[i], NULL);
    s->free_queue = NULL;
    s->free_head = s->free_count = s->free_capacity = 0;
    s->size = 0;
}

void ln_slots_fini(ln_slots *s)
{
    for (size_t i = 0; i < s->size / LN_SLOTS_PAGE; i++)
        ln_free(s->alloc, atomic_load_explicit(&s->pages[i], memory_order_relaxed));
    ln_free(s->alloc, s->free_queue);
    ln_slots_init(s, s->alloc);
}

/* The slot at `index`, or NULL where there is no page yet. Any thread. */
static ln_slot *slot_at(const ln_slots *s, uint32_t index)
{
    if (index >= LN_SLOTS_PAGE * LN_SLOTS_PAGES_MAX)
        return NULL;
    /* Acquire: who sees the page sees its slots cleared. */
    ln_slot *page = atomic_load_explicit(&s->pages[index / LN_SLOTS_PAGE], memory_order_acquire);
    return page ? &page[index % LN_SLOTS_PAGE] : NULL;
}

/* The slot if `name` is alive, else NULL. Any thread; only the owner's answer lasts. */
static ln_slot *alive(const ln_slots *s, uint64_t name)
{
    ln_slot *slot = slot_at(s, (uint32_t)name & INDEX_MASK);
    if (!slot)
        return NULL;
    const uint32_t generation = atomic_load_explicit(&slot->generation, memory_order_acquire);
    return generation % 2 == 1 && generation == name >> INDEX_BITS ? slot : NULL;
}

static void queue_push(ln_slots *s, uint32_t index)
{
    LN_ASSERT(s->free_count < s->free_capacity);
    s->free_queue[(s->free_head + s->free_count++) % s->free_capacity] = index;
}

static uint32_t queue_pop(ln_slots *s)
{
    LN_ASSERT(s->free_count > 0);
    const uint32_t index = s->free_queue[s->free_head];
    s->free_head = (s->free_head + 1) % s->free_capacity;
    s->free_count--;
    return index;
}

/* A ring for at least `slots` indices. Only while it is empty: nothing is moved over. */
static int queue_grow(ln_slots *s, uint32_t slots)
{
    LN_ASSERT(s->free_count == 0);
    if (slots <= s->free_capacity)
        return 0;
    const uint32_t capacity = slots > 2 * s->free_capacity ? slots : 2 * s->free_capacity;
    uint32_t *queue = ln_alloc(s->alloc, capacity * sizeof *queue);
    if (!queue)
        return LN_ERR_NOMEM;
    ln_free(s->alloc, s->free_queue);
    s->free_queue = queue;
    s->free_capacity = capacity; /* an empty ring may begin anywhere, so free_head stays */
    return 0;
}

static ln_slot *page_new(const ln_allocator *alloc)
{
    ln_slot *page = ln_alloc(alloc, LN_SLOTS_PAGE * sizeof *page);
    for (size_t i = 0; page && i < LN_SLOTS_PAGE; i++) {
        atomic_init(&page[i].generation, 0);
        atomic_init(&page[i].pending_bytes, 0);
        page[i].value = NULL;
    }
    return page;
}

/* One page more, when no slot is free. */
static int grow(ln_slots *s)
{
    const uint32_t page_index = s->size / LN_SLOTS_PAGE;
    const uint32_t size = s->size + LN_SLOTS_PAGE;
    if (page_index == LN_SLOTS_PAGES_MAX)
        return LN_ERR_LIMIT;
    if (queue_grow(s, size) < 0)
        return LN_ERR_NOMEM;
    ln_slot *page = page_new(s->alloc);
    if (!page)
        return LN_ERR_NOMEM; /* the longer ring does no harm */

    atomic_store_explicit(&s->pages[page_index], page, memory_order_release);
    for (uint32_t index = s->size; index < size; index++)
        queue_push(s, index);
    s->size = size;
    return 0;
}

int ln_slots_add(ln_slots *s, void *value, uint64_t *name)
{
    if (s->free_count == 0) {
        const int rc = grow(s);
        if (rc < 0)
            return rc;
    }
    const uint32_t index = queue_pop(s);
    ln_slot *slot = slot_at(s, index);
    const uint32_t generation = atomic_load_explicit(&slot->generation, memory_order_relaxed) + 1;

    LN_ASSERT(generation % 2 == 1 && !slot->value && value);
    slot->value = value;
    atomic_store_explicit(&slot->generation, generation, memory_order_release);
    *name = (uint64_t)generation << INDEX_BITS | index;
    return 0;
}

uint32_t ln_slots_index(uint64_t name)
{
    return (uint32_t)name & INDEX_MASK;
}

void ln_slots_set(ln_slots *s, uint64_t name, void *value)
{
    ln_slot *slot = slot_at(s, ln_slots_index(name));
    LN_ASSERT(slot && slot->value && value);
    slot->value = value;
}

void ln_slots_retire(ln_slots *s, uint64_t name)
{
    ln_slot *slot = alive(s, name);
    LN_ASSERT(slot);
    atomic_store_explicit(&slot->generation, (uint32_t)(name >> INDEX_BITS) + 1,
                          memory_order_release);
}

void ln_slots_remove(ln_slots *s, uint64_t name)
{
    ln_slot *slot = slot_at(s, (uint32_t)name & INDEX_MASK);
    const uint32_t retired = (uint32_t)(name >> INDEX_BITS) + 1;

    if (alive(s, name))
        ln_slots_retire(s, name);
    LN_ASSERT(slot && slot->value);
    LN_ASSERT(atomic_load_explicit(&slot->generation, memory_order_relaxed) == retired);
    slot->value = NULL;
    queue_push(s, (uint32_t)name & INDEX_MASK);
}

void *ln_slots_find(const ln_slots *s, uint64_t name)
{
    const ln_slot *slot = alive(s, name);
    return slot ? slot->value : NULL;
}

ln_slot *ln_slots_peek(ln_slots *s, uint64_t name)
{
    return alive(s, name);
}

void *ln_slots_next(const ln_slots *s, uint32_t *cursor)
{
    while (*cursor < s->size) {
        const ln_slot *slot = slot_at(s, (*cursor)++);
        if (slot->value)
            return slot->value;
    }
    return NULL;
}
