/* SPDX-License-Identifier: MIT */
/*
 * How many connections the system keeps for a listening socket: what we ask for, or what its
 * administrator allows. No loop runs here; back end: any.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/listener.h"

static unsigned allowed(void)
{
    unsigned most = 0;
    FILE *file = fopen("/proc/sys/net/core/somaxconn", "r");
    assert_non_null(file);
    assert_int_equal(fscanf(file, "%u", &most), 1);
    fclose(file);
    return most;
}

static void a_listening_socket_has_the_backlog_we_want(void **state)
{
    (void)state;
    ln_address address;
    struct tcp_info info;
    socklen_t size = sizeof info;
    int fd;
    assert_int_equal(ln_address_parse(LN_SPAN("127.0.0.1:0"), &address), 0);
    assert_int_equal(ln_listen(&address, false, &fd), 0);
    assert_int_equal(getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size), 0);
    const unsigned most = allowed();
    assert_int_equal(info.tcpi_sacked,
                     /* where Linux tells it */
                     most < LN_LISTENER_BACKLOG ? most : LN_LISTENER_BACKLOG);
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_listening_socket_has_the_backlog_we_want)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
