/* SPDX-License-Identifier: MIT */
/* linnet/linnet.h - everything a program needs: server, client, topics. linnet/endpoint.h is apart,
 * for embedders. */
#ifndef LINNET_LINNET_H
#define LINNET_LINNET_H

#include <linnet/client.h>
#include <linnet/conn.h>
#include <linnet/http.h>
#include <linnet/loop.h>
#include <linnet/server.h>
#include <linnet/tls.h>
#include <linnet/topic.h>
#include <linnet/types.h>

#endif
