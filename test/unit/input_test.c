/* SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/text.h"
#include "cli/input.h"
#include "failing_alloc.h"

/* A pipe whose writer writes one piece each time the reader has to wait. */
typedef struct feed {
    int ends[2];
    const char *const *pieces; /* ends with NULL: then the pipe is closed */
    unsigned waits;
    unsigned waits_max; /* wait() says no from then on */
} feed;

static bool feed_wait(void *arg)
{
    feed *f = arg;
    if (f->waits++ >= f->waits_max)
        return false;
    if (*f->pieces == NULL) {
        close(f->ends[1]);
        return true;
    }
    const size_t n = strlen(*f->pieces);
    assert_int_equal(write(f->ends[1], *f->pieces, n), n);
    f->pieces++;
    return true;
}

static feed f;
static ln_input in;

static void open_feed(const ln_allocator *alloc, const char *const *pieces, size_t line_max)
{
    f = (feed){.pieces = pieces, .waits_max = 1000};
    assert_int_equal(pipe(f.ends), 0);
    ln_input_init(&in, alloc, f.ends[0], line_max, feed_wait, &f);
}

static void close_feed(void)
{
    ln_input_fini(&in);
    close(f.ends[0]);
    if (!in.is_at_end)
        close(f.ends[1]);
}

static void assert_line(const char *wanted)
{
    ln_span line;
    assert_int_equal(ln_input_line(&in, &line), 1);
    assert_int_equal(line.size, strlen(wanted));
    assert_memory_equal(line.data, wanted, line.size);
}

static void assert_rc(int wanted)
{
    ln_span line;
    assert_int_equal(ln_input_line(&in, &line), wanted);
}

static void lines_come_out_whole_however_they_came_in(void **state)
{
    (void)state;
    static const char *const pieces[] = {"one\ntwo\nth", "r",  "ee\n", "\n",
                                         "four\n\nla",   "st", NULL};
    open_feed(NULL, pieces, 100);
    static const char *const lines[] = {"one", "two", "three", "", "four", "", "last"};
    for (size_t i = 0; i < LN_ARRAY_SIZE(lines); i++)
        assert_line(lines[i]);
    assert_rc(0);
    assert_rc(0);
    close_feed();
}

static void a_final_newline_makes_no_empty_line(void **state)
{
    (void)state;
    static const char *const pieces[] = {"one\n", NULL}, *const none[] = {NULL};
    open_feed(NULL, pieces, 100);
    assert_line("one");
    assert_rc(0);
    close_feed();
    open_feed(NULL, none, 100);
    assert_rc(0);
    close_feed();
}

static void it_waits_only_when_it_has_nothing(void **state)
{
    (void)state;
    static const char *const pieces[] = {"one\ntwo\nthree\n", NULL};
    open_feed(NULL, pieces, 100);
    assert_line("one");
    assert_line("two");
    assert_line("three");
    assert_int_equal(f.waits, 1);
    close_feed();
}

static void what_is_gone_when_it_is_read_is_waited_for(void **state)
{
    (void)state;
    static const char *const pieces[] = {"", "one\n", "", "", "two\n", NULL};
    open_feed(NULL, pieces, 100);
    assert_int_equal(fcntl(f.ends[0], F_SETFL, O_NONBLOCK), 0);
    assert_line("one");
    assert_line("two");
    assert_int_equal(f.waits, 5);
    close_feed();
}

static void a_line_ends_at_its_limit(void **state)
{
    (void)state;
    static const char *const fits[] = {"12345", "678\n", "x", NULL};
    open_feed(NULL, fits, 8);
    assert_line("12345678");
    assert_line("x");
    close_feed();
    static const char *const whole[] = {"123456789\n", NULL};
    open_feed(NULL, whole, 8);
    assert_rc(LN_ERR_TOO_BIG);
    close_feed();
    static const char *const endless[] = {"1234", "5678", "9", NULL}; /* no newline in sight */
    open_feed(NULL, endless, 8);
    assert_rc(LN_ERR_TOO_BIG);
    close_feed();
}

static void refused_waiting_keeps_what_is_there(void **state)
{
    (void)state;
    static const char *const pieces[] = {"one\nhalf", " a line\n", NULL};
    open_feed(NULL, pieces, 100);
    f.waits_max = 1;
    assert_line("one");
    assert_rc(0); /* no more reading: half a line is none */
    f.waits_max = 1000;
    assert_line("half a line");
    close_feed();
}

static void chunks_are_what_came(void **state)
{
    (void)state;
    static const char *const pieces[] = {"a\nb", "c", "1234567890", NULL};
    open_feed(NULL, pieces, 8);
    static const char *const chunks[] = {"a\nb", "c", "12345678",
                                         "90"}; /* none is larger than a message may be */
    for (size_t i = 0; i < LN_ARRAY_SIZE(chunks); i++) {
        ln_span chunk;
        assert_int_equal(ln_input_chunk(&in, &chunk), 1);
        assert_int_equal(chunk.size, strlen(chunks[i]));
        assert_memory_equal(chunk.data, chunks[i], chunk.size);
    }
    ln_span chunk;
    assert_int_equal(ln_input_chunk(&in, &chunk), 0);
    close_feed();
}

static void bytes_come_one_by_one(void **state)
{
    (void)state;
    static const char *const pieces[] = {"ab", "c", NULL};
    open_feed(NULL, pieces, 8);
    uint8_t byte;
    for (const char *c = "abc"; *c != '\0'; c++) {
        assert_int_equal(ln_input_byte(&in, &byte), 1);
        assert_int_equal(byte, *c);
    }
    assert_int_equal(ln_input_byte(&in, &byte), 0);
    close_feed();
}

static void a_descriptor_that_cannot_be_read_is_an_error(void **state)
{
    (void)state;
    static const char *const pieces[] = {"x\n", NULL};
    open_feed(NULL, pieces, 8);
    in.fd = -1;
    assert_rc(LN_ERR_IO);
    close_feed();
}

static int one_life(const ln_allocator *alloc, void *user)
{
    (void)user;
    static const char *const pieces[] = {"one\ntw", "o\n", NULL};
    open_feed(alloc, pieces, 100);
    ln_span line;
    int rc;
    do
        rc = ln_input_line(&in, &line);
    while (rc == 1);
    close_feed();
    return rc;
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    assert_true(failing_alloc_sweep(one_life, NULL) > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_come_out_whole_however_they_came_in),
        cmocka_unit_test(a_final_newline_makes_no_empty_line),
        cmocka_unit_test(it_waits_only_when_it_has_nothing),
        cmocka_unit_test(what_is_gone_when_it_is_read_is_waited_for),
        cmocka_unit_test(a_line_ends_at_its_limit),
        cmocka_unit_test(refused_waiting_keeps_what_is_there),
        cmocka_unit_test(chunks_are_what_came),
        cmocka_unit_test(bytes_come_one_by_one),
        cmocka_unit_test(a_descriptor_that_cannot_be_read_is_an_error),
        cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
