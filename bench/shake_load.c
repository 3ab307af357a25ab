/* SPDX-License-Identifier: MIT */
/*
 * shake_load - connections that come, shake hands and go: what one costs the server's processor.
 *
 *     shake_load PORT PID PARALLEL SECONDS
 *
 * Rounds of PARALLEL connections: all connect, all ask, all are answered, all leave (by RST, so that
 * no port is used up). Prints one line:
 *     handshakes/s  server_us_per_handshake  handshakes
 */
#include <stdio.h>
#include <stdlib.h>

#include <sys/socket.h>
#include <unistd.h>

#include "support/rawws.h"

int main(int argc, char **argv)
{
    if (argc != 5) {
        fputs("usage: shake_load PORT PID PARALLEL SECONDS\n", stderr);
        return 2;
    }
    const int port = atoi(argv[1]), pid = atoi(argv[2]), parallel = atoi(argv[3]);
    const struct linger at_once = {.l_onoff = 1, .l_linger = 0};
    int *const fds = calloc((size_t)parallel, sizeof *fds);
    const double begin = rawws_now(), cpu = rawws_cpu(pid);
    long count = 0;

    for (const double until = begin + atof(argv[4]); rawws_now() < until; count += parallel) {
        for (int i = 0; i < parallel; i++)
            fds[i] = rawws_connect(port, i);
        for (int i = 0; i < parallel; i++)
            rawws_shake(fds[i], "/echo");
        for (int i = 0; i < parallel; i++) {
            setsockopt(fds[i], SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
            close(fds[i]);
        }
    }
    const double took = rawws_now() - begin;
    usleep(200000); /* the last ones are still being buried */
    printf("%.0f %.4f %ld\n", (double)count / took, (rawws_cpu(pid) - cpu) * 1e6 / (double)count,
           count);
    return 0;
}
