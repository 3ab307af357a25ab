/* SPDX-License-Identifier: MIT */
#include "failing_alloc.h"

#include "base/chain.h"

typedef struct bench {
    failing_alloc fa;
    ln_pool pool;
    ln_chain chain;
} bench;

static void bench_init(bench *b)
{
    failing_alloc_init(&b->fa, FAILING_NEVER);
    ln_pool_init(&b->pool, &b->fa.hook);
    b->chain = (ln_chain){0};
}

static void bench_fini(bench *b)
{
    ln_chain_fini(&b->chain, &b->pool);
    ln_pool_fini(&b->pool);
    failing_alloc_assert_empty(&b->fa);
}

static ln_block *block_of(const ln_allocator *alloc, size_t size, uint8_t first)
{
    ln_block *block = ln_block_new(alloc, size);
    for (size_t i = 0; block && i < size; i++)
        block->bytes[i] = (uint8_t)(first + i);
    return block;
}

/* Chunks and references. */
static size_t segments(const ln_chain *c)
{
    size_t n = 0;
    for (const ln_seg *seg = c->head; seg; seg = seg->next)
        n += seg->capacity > 0 ? 1 : seg->count - seg->at;
    return n;
}

/* The invariants of chain.h, and that the bytes are `expected`. */
static void assert_holds(const ln_chain *c, const uint8_t *expected, size_t size)
{
    size_t sum = 0;
    const ln_seg *last = NULL;
    for (const ln_seg *seg = c->head; seg; last = seg, seg = seg->next) {
        assert_true(seg->begin <= seg->end);
        assert_true((seg->at < seg->count) == (seg->capacity == 0));
        assert_true(seg->count <= LN_SEG_BLOCKS);
        assert_true(seg->capacity > 0 ? seg->end <= seg->capacity
                                      : seg->end == ln_seg_blocks(seg)[seg->at]->size);
        sum += seg->end - seg->begin;
        for (unsigned i = seg->at + 1U; i < seg->count; i++)
            sum += ln_seg_blocks(seg)[i]->size;
    }
    assert_ptr_equal(c->tail, last);
    assert_int_equal(sum, size);
    assert_int_equal(c->bytes, size);

    ln_span spans[64];
    const int n = ln_chain_peek(c, spans, 64);
    size_t seen = 0;
    for (int i = 0; i < n; i++) {
        assert_true(spans[i].size > 0 && seen + spans[i].size <= size);
        assert_memory_equal(spans[i].data, expected + seen, spans[i].size);
        seen += spans[i].size;
    }
    assert_true(n == 64 || seen == size);
}

static void an_empty_chain_has_nothing_to_give(void **state)
{
    (void)state;
    bench b;
    bench_init(&b);
    ln_span span;
    assert_int_equal(ln_chain_peek(&b.chain, &span, 1), 0);
    ln_chain_drop(&b.chain, &b.pool, 0);
    assert_int_equal(ln_chain_append(&b.chain, &b.pool, NULL, 0), 0);
    ln_block *empty = block_of(NULL, 0, 0);
    assert_int_equal(ln_chain_append_block(&b.chain, &b.pool, empty), 0);
    ln_block_unref(empty);
    assert_null(b.chain.head);
    assert_true(b.fa.calls == 0);
    bench_fini(&b);
}

static void small_appends_share_one_chunk(void **state)
{
    (void)state;
    bench b;
    bench_init(&b);
    uint8_t expected[LN_CHAIN_CHUNK_BYTES];
    for (size_t i = 0; i < sizeof expected; i++) {
        expected[i] = (uint8_t)(i * 7);
        assert_int_equal(ln_chain_append(&b.chain, &b.pool, &expected[i], 1), 0);
    }
    assert_int_equal(segments(&b.chain), 1);
    assert_true(b.fa.calls == 1);
    assert_holds(&b.chain, expected, sizeof expected);
    bench_fini(&b);
}

static void the_chunk_after_a_full_one_is_large_and_after_a_reference_small(void **state)
{
    (void)state;
    bench b;
    bench_init(&b);
    uint8_t full[LN_CHAIN_CHUNK_BYTES] = {0};
    ln_block *block = block_of(NULL, 1000, 0);

    assert_int_equal(ln_chain_append(&b.chain, &b.pool, full, sizeof full), 0);
    assert_int_equal(b.chain.tail->capacity, LN_CHAIN_CHUNK_BYTES);
    assert_int_equal(ln_chain_append(&b.chain, &b.pool, "x", 1), 0);
    assert_int_equal(b.chain.tail->capacity, LN_CHAIN_LARGE_BYTES);
    assert_int_equal(ln_chain_append_block(&b.chain, &b.pool, block), 0);
    assert_int_equal(ln_chain_append(&b.chain, &b.pool, "y", 1), 0);
    assert_int_equal(b.chain.tail->capacity, LN_CHAIN_CHUNK_BYTES);
    assert_int_equal(segments(&b.chain), 4);
    ln_block_unref(block);
    bench_fini(&b);
}

static void a_long_reservation_is_made_to_measure_and_not_kept(void **state)
{
    (void)state;
    bench b;
    bench_init(&b);
    const size_t n = LN_CHAIN_LARGE_BYTES + 1;
    uint8_t *room = ln_chain_reserve(&b.chain, &b.pool, n);
    memset(room, 'x', n);
    ln_chain_commit(&b.chain, n);
    assert_int_equal(b.chain.tail->capacity, n);
    ln_chain_drop(&b.chain, &b.pool, n);
    assert_true(b.fa.live_blocks == 0);
    bench_fini(&b);
}

static void a_reservation_is_contiguous_and_written_in_place(void **state)
{
    (void)state;
    bench b;
    bench_init(&b);
    static const size_t sizes[] = {1, LN_CHAIN_CHUNK_BYTES - 1, 1, LN_CHAIN_LARGE_BYTES,
                                   3, LN_CHAIN_LARGE_BYTES + 9};
    static uint8_t expected[3 * LN_CHAIN_LARGE_BYTES];
    size_t size = 0;
    for (size_t i = 0; i < LN_ARRAY_SIZE(sizes); i++) {
        uint8_t *room = ln_chain_reserve(&b.chain, &b.pool, sizes[i]);
        memset(room, 'a' + (int)i, sizes[i]);
        memset(expected + size, 'a' + (int)i, sizes[i]);
        ln_chain_commit(&b.chain, sizes[i]);
        size += sizes[i];
        assert_holds(&b.chain, expected, size);
    }
    bench_fini(&b);
}

static void less_than_reserved_may_be_committed(void **state)
{
    (void)state;
    bench b;
    bench_init(&b);
    uint8_t *room = ln_chain_reserve(&b.chain, &b.pool, 100);
    memcpy(room, "ab", 2);
    ln_chain_commit(&b.chain, 2);
    assert_ptr_equal(ln_chain_reserve(&b.chain, &b.pool, 100), room + 2);
    assert_holds(&b.chain, (const uint8_t *)"ab", 2);
    bench_fini(&b);
}

static void an_uncommitted_reservation_has_no_effect(void **state)
{
    (void)state;
    bench b;
    bench_init(&b);
    for (size_t n = 1; n < 100000; n = n * 3 + 1) {
        assert_non_null(ln_chain_reserve(&b.chain, &b.pool, n));
        assert_holds(&b.chain, NULL, 0);
        assert_int_equal(segments(&b.chain), 1); /* ever larger ones do not pile up */
    }
    ln_chain_drop(&b.chain, &b.pool, 0);
    assert_null(b.chain.head);

    /* Behind bytes, and with others appended after it. */
    const uint8_t *const expected = (const uint8_t *)"abc";
    ln_block *block = block_of(NULL, LN_CHAIN_COPY_MAX_BYTES + 1, 'c');
    assert_int_equal(ln_chain_append(&b.chain, &b.pool, "ab", 2), 0);
    assert_non_null(ln_chain_reserve(&b.chain, &b.pool, 5000));
    assert_non_null(ln_chain_reserve(&b.chain, &b.pool, 50000));
    assert_int_equal(segments(&b.chain), 2);
    assert_holds(&b.chain, expected, 2);
    assert_int_equal(ln_chain_append_block(&b.chain, &b.pool, block), 0);

    ln_span spans[4];
    assert_int_equal(ln_chain_peek(&b.chain, spans, 4), 2);
    assert_memory_equal(spans[0].data, "ab", 2);
    assert_ptr_equal(spans[1].data, block->bytes);
    ln_chain_drop(&b.chain, &b.pool, 2);
    assert_int_equal(segments(&b.chain), 1);
    ln_block_unref(block);
    bench_fini(&b);
}

static void long_blocks_are_referenced_and_short_ones_copied_where_there_is_room(void **state)
{
    (void)state;
    bench b;
    bench_init(&b);
    ln_block *small = block_of(NULL, LN_CHAIN_COPY_MAX_BYTES, 0);
    ln_block *large = block_of(NULL, LN_CHAIN_COPY_MAX_BYTES + 1, 0);

    assert_int_equal(ln_chain_append_block(&b.chain, &b.pool, small), 0);
    assert_int_equal(small->refs, 2); /* nothing at the tail */
    assert_int_equal(ln_chain_append_block(&b.chain, &b.pool, small), 0);
    assert_int_equal(small->refs, 3); /* a reference at the tail */

    assert_int_equal(ln_chain_append(&b.chain, &b.pool, "x", 1), 0);
    assert_int_equal(ln_chain_append_block(&b.chain, &b.pool, small), 0);
    assert_int_equal(small->refs, 3); /* copied */
    assert_int_equal(ln_chain_append_block(&b.chain, &b.pool, large), 0);
    assert_int_equal(large->refs, 2);

    ln_chain_drop(&b.chain, &b.pool, small->size);
    assert_int_equal(small->refs, 2);
    ln_chain_drop(&b.chain, &b.pool, b.chain.bytes);
    assert_int_equal(small->refs, 1);
    assert_int_equal(large->refs, 1);
    assert_null(b.chain.head);

    uint8_t fill[LN_CHAIN_CHUNK_BYTES - LN_CHAIN_COPY_MAX_BYTES + 1] = {0};
    assert_int_equal(ln_chain_append(&b.chain, &b.pool, fill, sizeof fill), 0);
    assert_int_equal(ln_chain_append_block(&b.chain, &b.pool, small), 0);
    assert_int_equal(small->refs, 2); /* a chunk at the tail, one byte short of room */
    ln_block_unref(small);
    ln_block_unref(large);
    bench_fini(&b);
}

static void peek_gives_no_more_spans_than_asked_for(void **state)
{
    (void)state;
    bench b;
    bench_init(&b);
    ln_block *block = block_of(NULL, 1000, 0);
    for (int i = 0; i < 5; i++)
        assert_int_equal(ln_chain_append_block(&b.chain, &b.pool, block), 0);
    ln_span spans[4] = {0};
    assert_int_equal(ln_chain_peek(&b.chain, spans, 3), 3);
    assert_null(spans[3].data);
    assert_int_equal(ln_chain_peek(&b.chain, spans, 0), 0);
    ln_block_unref(block);
    bench_fini(&b);
}

static void bytes_stay_where_they_are_while_more_is_appended(void **state)
{
    (void)state;
    bench b;
    bench_init(&b);
    ln_block *block = block_of(NULL, 1000, 0);
    assert_int_equal(ln_chain_append(&b.chain, &b.pool, "first", 5), 0);
    assert_int_equal(ln_chain_append_block(&b.chain, &b.pool, block), 0);
    ln_span before[2], after[2];
    assert_int_equal(ln_chain_peek(&b.chain, before, 2), 2);

    uint8_t more[700] = {0};
    ln_chain other = {0};
    for (int i = 0; i < 100; i++) {
        assert_int_equal(ln_chain_append(&b.chain, &b.pool, more, sizeof more), 0);
        assert_int_equal(ln_chain_append(&other, &b.pool, more, sizeof more), 0);
    }
    ln_chain_splice(&b.chain, &other);
    assert_int_equal(ln_chain_peek(&b.chain, after, 2), 2);
    assert_memory_equal(before, after, sizeof before);
    assert_memory_equal(after[0].data, "first", 5);
    ln_block_unref(block);
    bench_fini(&b);
}

static void splicing_joins_in_order_and_empties_the_source(void **state)
{
    (void)state;
    bench b;
    bench_init(&b);
    ln_chain from = {0};
    ln_chain_splice(&b.chain, &from); /* nothing to nothing */
    assert_null(b.chain.tail);

    assert_int_equal(ln_chain_append(&from, &b.pool, "abc", 3), 0);
    ln_chain_splice(&b.chain, &from); /* something to nothing */
    assert_true(from.head == NULL && from.tail == NULL && from.bytes == 0);
    assert_holds(&b.chain, (const uint8_t *)"abc", 3);

    ln_chain_splice(&b.chain, &from); /* nothing to something */
    assert_holds(&b.chain, (const uint8_t *)"abc", 3);

    ln_block *block = block_of(NULL, LN_CHAIN_COPY_MAX_BYTES, 'f');
    uint8_t expected[6 + LN_CHAIN_COPY_MAX_BYTES + 1] = "abcde";
    memcpy(expected + 5, block->bytes, block->size);
    expected[5 + block->size] = 'z';
    assert_int_equal(ln_chain_append(&from, &b.pool, "de", 2), 0);
    assert_non_null(ln_chain_reserve(&from, &b.pool, LN_CHAIN_CHUNK_BYTES));
    assert_int_equal(ln_chain_append_block(&from, &b.pool, block), 0);
    ln_chain_splice(&b.chain, &from); /* several segments to something */
    assert_int_equal(ln_chain_append(&b.chain, &b.pool, "z", 1), 0);
    assert_holds(&b.chain, expected, 6 + block->size);
    ln_block_unref(block);
    bench_fini(&b);
}

static void the_pool_keeps_a_bounded_number_of_each_size(void **state)
{
    (void)state;
    static const struct {
        size_t bytes;
        size_t kept;
    } sizes[] = {
        {LN_CHAIN_CHUNK_BYTES, LN_SANITIZED ? 0 : LN_POOL_CHUNKS_MAX},
        {LN_CHAIN_LARGE_BYTES, LN_SANITIZED ? 0 : LN_POOL_LARGE_MAX},
        {LN_CHAIN_LARGE_BYTES + 1, 0},
    };
    for (size_t i = 0; i < LN_ARRAY_SIZE(sizes); i++) {
        bench b;
        bench_init(&b);
        for (size_t n = 0; n < sizes[i].kept + 10; n++) {
            ln_chain one = {0};
            assert_non_null(ln_chain_reserve(&one, &b.pool, sizes[i].bytes));
            ln_chain_commit(&one, sizes[i].bytes);
            ln_chain_splice(&b.chain, &one);
        }
        ln_chain_drop(&b.chain, &b.pool, b.chain.bytes);
        assert_true(b.fa.live_blocks == sizes[i].kept);
        ln_pool_trim(&b.pool);
        assert_true(b.fa.live_blocks == 0);
        bench_fini(&b);
    }
}

static void a_trimmed_pool_keeps_again(void **state)
{
    (void)state;
    bench b;
    bench_init(&b);
    for (int i = 0; i < 2 * LN_POOL_LARGE_MAX; i++) {
        assert_non_null(ln_chain_reserve(&b.chain, &b.pool, LN_CHAIN_LARGE_BYTES));
        ln_chain_fini(&b.chain, &b.pool);
        assert_true(b.fa.live_blocks == (LN_SANITIZED ? 0 : 1));
        ln_pool_trim(&b.pool);
        assert_true(b.fa.live_blocks == 0);
    }
    bench_fini(&b);
}

static void the_pool_keeps_a_bounded_number_of_references(void **state)
{
    (void)state;
    bench b;
    bench_init(&b);
    ln_block *block = block_of(NULL, 1000, 0);
    for (size_t n = 0; n < (size_t)(LN_POOL_REFS_MAX + 10) * LN_SEG_BLOCKS; n++)
        assert_int_equal(ln_chain_append_block(&b.chain, &b.pool, block), 0);
    assert_true(b.fa.live_blocks == LN_POOL_REFS_MAX + 10);
    ln_chain_fini(&b.chain, &b.pool);
    assert_true(b.fa.live_blocks == (LN_SANITIZED ? 0 : LN_POOL_REFS_MAX));
    assert_int_equal(block->refs, 1);
    ln_block_unref(block);
    bench_fini(&b);
}

static void steady_traffic_allocates_nothing(void **state)
{
    (void)state;
    if (LN_SANITIZED)
        skip();
    bench b;
    bench_init(&b);
    ln_block *block = block_of(NULL, 1000, 0);
    static const uint8_t bytes[5000];
    size_t warm = 0;
    for (int i = 0; i < 1000; i++) {
        assert_int_equal(ln_chain_append(&b.chain, &b.pool, bytes, 100), 0);
        assert_int_equal(ln_chain_append_block(&b.chain, &b.pool, block), 0);
        assert_int_equal(ln_chain_append(&b.chain, &b.pool, bytes, sizeof bytes), 0);
        ln_chain_drop(&b.chain, &b.pool, b.chain.bytes);
        if (i == 0)
            warm = b.fa.calls;
    }
    assert_true(warm > 0 && b.fa.calls == warm);
    ln_block_unref(block);
    bench_fini(&b);
}

static uint32_t roll(uint32_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 17;
    *seed ^= *seed << 5;
    return *seed;
}

/* One random step on the chain and on its model, a flat array. The new size. */
static size_t step(bench *b, uint32_t *seed, uint8_t *model, size_t size)
{
    static const uint32_t most[] = {20, 600, 3000, 20000};
    const size_t n = roll(seed) % most[roll(seed) % 4];
    const uint8_t first = (uint8_t)roll(seed);
    ln_chain other = {0};
    ln_block *block = block_of(NULL, n, first);
    int rc = 0;

    switch (roll(seed) % 8) {
    case 0:
    case 1:
        rc = ln_chain_append(&b->chain, &b->pool, block->bytes, n);
        break;
    case 2:
    case 3:
        rc = ln_chain_append_block(&b->chain, &b->pool, block);
        break;
    case 4:
        rc = ln_chain_append(&other, &b->pool, block->bytes, n);
        ln_chain_splice(&b->chain, &other);
        break;
    case 5:
        assert_non_null(ln_chain_reserve(&b->chain, &b->pool, n));
        ln_block_unref(block);
        return size;
    default:
        ln_block_unref(block);
        const size_t gone = n < size ? n : size;
        ln_chain_drop(&b->chain, &b->pool, gone);
        memmove(model, model + gone, size - gone);
        return size - gone;
    }
    assert_int_equal(rc, 0);
    memcpy(model + size, block->bytes, n);
    ln_block_unref(block);
    return size + n;
}

static void random_steps_agree_with_a_flat_array(void **state)
{
    (void)state;
    enum { MODEL_BYTES = 1 << 18, STEPS = 10000 };
    uint8_t *model = malloc(MODEL_BYTES);
    bench b;
    bench_init(&b);
    uint32_t seed = 0x11febeef;
    size_t size = 0, largest = 0;
    for (int i = 0; i < STEPS; i++) {
        size = step(&b, &seed, model, size);
        assert_holds(&b.chain, model, size);
        if (size > MODEL_BYTES / 2) {
            ln_chain_drop(&b.chain, &b.pool, size);
            size = 0;
            assert_null(b.chain.head);
        }
        largest = ln_max_size(largest, size);
    }
    assert_true(largest > MODEL_BYTES / 4);
    bench_fini(&b);
    free(model);
}

/* Each call either does all or, out of memory, nothing. */
static int fill_and_drain(const ln_allocator *alloc, void *user)
{
    (void)user;
    ln_pool pool;
    ln_pool_init(&pool, alloc);
    ln_chain c = {0};
    ln_block *block = block_of(NULL, 1000, 'b');
    static const uint8_t many[LN_CHAIN_LARGE_BYTES + 1];

    int rc = ln_chain_append(&c, &pool, "first", 5);
    assert_int_equal(c.bytes, rc == 0 ? 5 : 0);
    if (rc < 0)
        goto out;
    rc = ln_chain_append_block(&c, &pool, block);
    assert_int_equal(block->refs, rc == 0 ? 2 : 1);
    if (rc < 0)
        goto out;
    rc = ln_chain_append(&c, &pool, many, LN_CHAIN_LARGE_BYTES);
    if (rc < 0)
        goto out;
    rc = ln_chain_append(&c, &pool, many, sizeof many);
    assert_int_equal(c.bytes, 1005 + LN_CHAIN_LARGE_BYTES + (rc == 0 ? sizeof many : 0));
out:
    ln_chain_fini(&c, &pool);
    ln_pool_fini(&pool);
    assert_int_equal(block->refs, 1);
    ln_block_unref(block);
    return rc;
}

static void out_of_memory_leaves_the_chain_as_it_was(void **state)
{
    (void)state;
    assert_int_equal(failing_alloc_sweep(fill_and_drain, NULL), 4);
}

static void append_block(bench *b, size_t size, uint8_t first)
{
    ln_block *const block = block_of(&b->fa.hook, size, first);
    assert_int_equal(ln_chain_append_block(&b->chain, &b->pool, block), 0);
    ln_block_unref(block);
}

/* Four blocks of 1,000 bytes, the second and third of which are one thing. */
static void init_with_blocks(bench *b)
{
    ln_chain whole = {0}, rest = {0};

    bench_init(b);
    append_block(b, 1000, 0);
    whole = b->chain;
    b->chain = (ln_chain){0};
    append_block(b, 1000, 1);
    append_block(b, 1000, 2);
    ln_chain_mark_whole(&b->chain, true);
    rest = b->chain;
    b->chain = whole;
    ln_chain_splice(&b->chain, &rest);
    append_block(b, 1000, 3);
}

static void a_cut_leaves_what_was_asked_for_and_whole_things(void **state)
{
    (void)state;
    static const struct {
        size_t dropped, kept, left;
    } cases[] = {
        {0, 0, 0},       /* nothing has left: all goes */
        {1, 0, 999},     /* a first that has begun to leave stays */
        {0, 1, 1000},    /* what was asked for */
        {0, 2, 3000},    /* and the rest of what begins there */
        {1000, 0, 0},    /* at a border */
        {1500, 0, 1500}, /* within the thing of two */
        {2000, 0, 1000}, /* in its middle: its second half */
        {0, 64, 4000},   /* more than there is */
        {4000, 3, 0},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        bench b;
        uint8_t flat[4000];
        init_with_blocks(&b);
        for (size_t k = 0; k < sizeof flat; k++)
            flat[k] = (uint8_t)(k / 1000 + k % 1000);
        ln_chain_drop(&b.chain, &b.pool, cases[i].dropped);
        ln_chain_cut(&b.chain, &b.pool, cases[i].kept);
        assert_holds(&b.chain, flat + cases[i].dropped, cases[i].left);
        append_block(&b, 10, 7); /* and it goes on */
        assert_int_equal(b.chain.bytes, cases[i].left + 10);
        bench_fini(&b);
    }
}

/* Blocks lie several in a segment; cuts and drops fall anywhere among them. */
static void a_burst_of_blocks_is_cut_and_dropped_at_every_place(void **state)
{
    (void)state;
    enum { BLOCKS = 2 * LN_SEG_BLOCKS + 2, SIZE = 600, TOTAL = BLOCKS * SIZE };
    static uint8_t flat[TOTAL];

    for (size_t k = 0; k < TOTAL; k++)
        flat[k] = (uint8_t)(k / SIZE + k % SIZE);
    for (size_t dropped = 0; dropped <= TOTAL; dropped += SIZE / 2) {
        for (size_t kept = 0; kept <= BLOCKS; kept++) {
            bench b;
            bench_init(&b);
            for (uint8_t i = 0; i < BLOCKS; i++)
                append_block(&b, SIZE, i);
            ln_chain_drop(&b.chain, &b.pool, dropped);
            assert_holds(&b.chain, flat + dropped, TOTAL - dropped);
            ln_chain_cut(&b.chain, &b.pool, kept);
            const bool has_begun = dropped % SIZE > 0;
            const size_t blocks = kept == 0 && has_begun ? 1 : kept;
            const size_t end = (dropped / SIZE + blocks) * SIZE;
            const size_t left = (end > TOTAL ? TOTAL : end) - dropped;
            assert_holds(&b.chain, flat + dropped, end < dropped ? 0 : left);
            for (size_t gone = 0; gone < b.chain.bytes; gone++)
                ln_chain_drop(&b.chain, &b.pool, 1);
            bench_fini(&b);
        }
    }
}

static void the_rest_of_a_thing_stays_with_nothing_before_it(void **state)
{
    (void)state;
    bench b;
    uint8_t flat[20] = {5, 6, 7, 8, 9, 10, 11, 12, 13, 14};

    bench_init(&b);
    assert_int_equal(ln_chain_append(&b.chain, &b.pool, flat, 10), 0);
    ln_chain_mark_whole(&b.chain, false); /* its first part has left already */
    ln_chain_cut(&b.chain, &b.pool, 0);
    assert_holds(&b.chain, flat, 10);
    bench_fini(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_chain_has_nothing_to_give),
        cmocka_unit_test(small_appends_share_one_chunk),
        cmocka_unit_test(the_chunk_after_a_full_one_is_large_and_after_a_reference_small),
        cmocka_unit_test(a_long_reservation_is_made_to_measure_and_not_kept),
        cmocka_unit_test(a_reservation_is_contiguous_and_written_in_place),
        cmocka_unit_test(less_than_reserved_may_be_committed),
        cmocka_unit_test(an_uncommitted_reservation_has_no_effect),
        cmocka_unit_test(long_blocks_are_referenced_and_short_ones_copied_where_there_is_room),
        cmocka_unit_test(peek_gives_no_more_spans_than_asked_for),
        cmocka_unit_test(bytes_stay_where_they_are_while_more_is_appended),
        cmocka_unit_test(splicing_joins_in_order_and_empties_the_source),
        cmocka_unit_test(the_pool_keeps_a_bounded_number_of_each_size),
        cmocka_unit_test(a_trimmed_pool_keeps_again),
        cmocka_unit_test(the_pool_keeps_a_bounded_number_of_references),
        cmocka_unit_test(steady_traffic_allocates_nothing),
        cmocka_unit_test(a_cut_leaves_what_was_asked_for_and_whole_things),
        cmocka_unit_test(a_burst_of_blocks_is_cut_and_dropped_at_every_place),
        cmocka_unit_test(the_rest_of_a_thing_stays_with_nothing_before_it),
        cmocka_unit_test(random_steps_agree_with_a_flat_array),
        cmocka_unit_test(out_of_memory_leaves_the_chain_as_it_was),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
