/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "cli/benchsource.h"

static char text[LN_BENCHSOURCE_TEXT_BYTES];

static void ranges_and_addresses_are_dealt_in_turn(void **state)
{
    (void)state;
    static const char *const dealt[] = {"127.0.0.255", "127.0.1.0", "127.0.1.1", "10.0.0.7", "::1"};
    ln_benchsource s;
    char why[LN_OPTION_WHY_SIZE];
    assert_int_equal(ln_benchsource_parse(&s, "127.0.0.255 - 127.0.1.1, 10.0.0.7,::1", why), 0);
    assert_int_equal(s.address_count, 5);
    for (uint32_t i = 0; i < 20; i++)
        assert_string_equal(ln_benchsource_get(&s, i, text), dealt[i % 5]);
}

static void what_is_no_address_is_refused_in_a_sentence(void **state)
{
    (void)state;
    static const char *const lists[] = {"",
                                        "x",
                                        "127.0.0.1,",
                                        "127.0.0.",
                                        "1.2.3.4-",
                                        "127.0.0.9-127.0.0.2",
                                        "::1-::2",
                                        "1.2.3.4-5",
                                        "0.0.0.0-255.255.255.255",
                                        "127.0.0.1-127.0.0.2-127.0.0.3",
                                        "1111111111111111111111111111111111111111111111111111"};
    for (size_t i = 0; i < LN_ARRAY_SIZE(lists); i++) {
        ln_benchsource s;
        char why[LN_OPTION_WHY_SIZE] = "";
        if (ln_benchsource_parse(&s, lists[i], why) != LN_ERR_INVALID)
            fail_msg("\"%s\" is taken", lists[i]);
        assert_non_null(strstr(why, "--source"));
    }
}

static void there_are_only_so_many_ranges(void **state)
{
    (void)state;
    char list[16 * (LN_BENCHSOURCE_RANGES_MAX + 1)] = "127.0.0.1", why[LN_OPTION_WHY_SIZE];
    ln_benchsource s;
    for (int i = 1; i < LN_BENCHSOURCE_RANGES_MAX; i++)
        strcat(list, ",127.0.0.1");
    assert_int_equal(ln_benchsource_parse(&s, list, why), 0);
    strcat(list, ",127.0.0.1");
    assert_int_equal(ln_benchsource_parse(&s, list, why), LN_ERR_INVALID);
}

static void a_few_connections_need_no_address(void **state)
{
    (void)state;
    ln_benchsource s;
    ln_benchsource_choose(&s, "ws://127.0.0.1:80/", 100);
    assert_null(ln_benchsource_get(&s, 0, text));
}

static void many_to_this_machine_get_some_more(void **state)
{
    (void)state;
    static const char *const here[] = {"ws://127.0.0.1:80/", "wss://LOCALHOST/", "127.9.9.9",
                                       "ws://localhost?x"};
    for (size_t i = 0; i < LN_ARRAY_SIZE(here); i++) {
        ln_benchsource s;
        ln_benchsource_choose(&s, here[i], 200000);
        assert_true(s.address_count > 1);
        assert_true(s.address_count < 200);
        assert_string_equal(ln_benchsource_get(&s, 0, text), "127.0.0.2");
        assert_string_equal(ln_benchsource_get(&s, 1, text), "127.0.0.3");
        assert_string_equal(ln_benchsource_get(&s, s.address_count, text), "127.0.0.2");
    }
}

static void many_to_elsewhere_do_not(void **state)
{
    (void)state;
    static const char *const there[] = {"ws://192.0.2.1/", "ws://127.example.org/", "ws://[::1]/",
                                        "ws://localhost.example.org/"};
    for (size_t i = 0; i < LN_ARRAY_SIZE(there); i++) {
        ln_benchsource s;
        ln_benchsource_choose(&s, there[i], 200000);
        assert_int_equal(s.address_count, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ranges_and_addresses_are_dealt_in_turn),
        cmocka_unit_test(what_is_no_address_is_refused_in_a_sentence),
        cmocka_unit_test(there_are_only_so_many_ranges),
        cmocka_unit_test(a_few_connections_need_no_address),
        cmocka_unit_test(many_to_this_machine_get_some_more),
        cmocka_unit_test(many_to_elsewhere_do_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
