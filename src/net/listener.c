/* SPDX-License-Identifier: MIT */
/*
 *   accepting   the sock's operation is on        -- no descriptor, or trouble -> backing off
 *   backing off the sock is paused, `backoff` set -- 100 ms                    -> accepting
 */
#include "listener.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "backend.h"

/* Listening */

static int err_of(int error)
{
    switch (error) {
    case EACCES:
    case EPERM:
        return LN_ERR_ACCESS;
    case EMFILE:
    case ENFILE:
        return LN_ERR_DESCRIPTORS;
    case ENOMEM:
    case ENOBUFS:
        return LN_ERR_NOMEM;
    default:
        return LN_ERR_ADDRESS;
    }
}

static void set_option(int fd, int level, int option, int value)
{
    setsockopt(fd, level, option, &value, sizeof value);
}

static int open_socket(int family)
{
    return socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
}

/* Is there a socket file at `un` that nobody listens on? */
static bool is_stale(const struct sockaddr_un *un, unsigned length)
{
    struct stat file;
    if (un->sun_path[0] == 0 || lstat(un->sun_path, &file) < 0 || !S_ISSOCK(file.st_mode))
        return false;
    const int fd = open_socket(AF_UNIX);
    if (fd < 0)
        return false;
    const bool refused =
        connect(fd, (const struct sockaddr *)un, length) < 0 && errno == ECONNREFUSED;
    close(fd);
    return refused;
}

/* 0 or an errno. */
static int bind_unix(int fd, const ln_address *address)
{
    const struct sockaddr_un *const un = (const struct sockaddr_un *)address->bytes;
    const struct sockaddr *const any = (const struct sockaddr *)un;
    if (bind(fd, any, address->length) == 0)
        return 0;
    const int error = errno;
    if (error != EADDRINUSE || !is_stale(un, address->length))
        return error;
    unlink(un->sun_path);
    return bind(fd, any, address->length) == 0 ? 0 : errno;
}

/* 0 or an errno. */
static int bind_inet(int fd, const ln_address *address, bool is_shared)
{
    const struct sockaddr *const any = (const struct sockaddr *)address->bytes;
    set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1);
    set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1); /* Linux: accepted sockets begin with it */
    if (is_shared)
        set_option(fd, SOL_SOCKET, SO_REUSEPORT, 1);
    if (any->sa_family == AF_INET6)
        set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, 0);
    return bind(fd, any, address->length) == 0 ? 0 : errno;
}

/* 0 and *fd, or an errno. */
static int bind_to(const ln_address *address, bool is_shared, int *fd)
{
    const int family = ((const struct sockaddr *)address->bytes)->sa_family;
    const int new_fd = open_socket(family);
    if (new_fd < 0)
        return errno;
    const int error =
        family == AF_UNIX ? bind_unix(new_fd, address) : bind_inet(new_fd, address, is_shared);
    if (error)
        close(new_fd);
    else
        *fd = new_fd;
    return error;
}

/* ":port" on a machine without IPv6. */
static bool as_v4(const ln_address *address, ln_address *v4)
{
    const struct sockaddr_in6 *const in6 = (const struct sockaddr_in6 *)address->bytes;
    if (in6->sin6_family != AF_INET6 || !IN6_IS_ADDR_UNSPECIFIED(&in6->sin6_addr))
        return false;
    const struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = in6->sin6_port};
    *v4 = (ln_address){.length = sizeof in};
    memcpy(v4->bytes, &in, sizeof in);
    return true;
}

/* 0 and *fd, or an errno: bind_to(), or to what as_v4() makes of it. */
static int bind_somehow(const ln_address *address, bool is_shared, int *fd)
{
    ln_address v4;
    const int error = bind_to(address, is_shared, fd);
    if ((error == EAFNOSUPPORT || error == EADDRNOTAVAIL) && as_v4(address, &v4))
        return bind_to(&v4, is_shared, fd);
    return error;
}

int ln_listen(const ln_address *address, bool is_shared, int *fd)
{
    int new_fd = -1;
    int error = bind_somehow(address, is_shared, &new_fd);
    if (!error && listen(new_fd, LN_LISTENER_BACKLOG) < 0) {
        error = errno;
        close(new_fd);
    }
    if (error)
        return err_of(error);
    *fd = new_fd;
    return 0;
}

int ln_listen_probe(const ln_address *address)
{
    int fd = -1;
    const int error = bind_somehow(address, false, &fd);
    if (!error)
        close(fd);
    return error == EADDRINUSE ? err_of(error) : 0;
}

/* Accepting */

static int open_reserve(void)
{
    return open("/dev/null", O_RDONLY | O_CLOEXEC);
}

static void reset_connection(int fd)
{
    const struct linger at_once = {.l_onoff = 1, .l_linger = 0};
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    close(fd);
}

/* One of those that wait learns at once that there is no room. */
static void shed(ln_listener *l)
{
    if (l->reserve_fd >= 0)
        close(l->reserve_fd);
    const int fd = accept4(l->sock.fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0) {
        reset_connection(fd);
        l->shed_count++;
    }
    l->reserve_fd = open_reserve();
}

static void back_off(ln_listener *l)
{
    ln_loop *const loop = l->sock.loop;
    ln_sock_pause(&l->sock);
    ln_timer_set(&loop->wheel, &l->backoff, loop->now_ms + LN_LISTENER_BACKOFF_MS);
}

static void try_again(ln_timer *timer)
{
    ln_listener *const l = LN_CONTAINER_OF(timer, ln_listener, backoff);
    if (l->reserve_fd < 0)
        l->reserve_fd = open_reserve();
    ln_sock_resume(&l->sock);
}

static void on_result(ln_sock *s, int result)
{
    ln_listener *const l = LN_CONTAINER_OF(s, ln_listener, sock);
    if (LN_LIKELY(result >= 0)) {
        l->on_accept(l, result);
        return;
    }
    switch (-result) {
    case EMFILE:
    case ENFILE:
        shed(l);
        back_off(l);
        break;
    /* accept(2): errors of the connection, or of the network at that moment; the next one may be
     * fine */
    case EINTR:
    case ECONNABORTED:
    case EPERM:
    case EPROTO:
    case ENOPROTOOPT:
    case ENETDOWN:
    case ENETUNREACH:
    case EHOSTDOWN:
    case EHOSTUNREACH:
    case ENONET:
    case EOPNOTSUPP:
        break;
    default:
        back_off(l);
        break;
    }
}

static void on_sock_closed(ln_sock *s)
{
    ln_listener *const l = LN_CONTAINER_OF(s, ln_listener, sock);
    if (l->reserve_fd >= 0)
        close(l->reserve_fd);
    if (l->on_closed)
        l->on_closed(l);
}

static const ln_sock_ops listener_ops = {.on_result = on_result, .on_closed = on_sock_closed};

int ln_listener_open(ln_listener *listener, ln_loop *loop, int fd,
                     void (*on_accept)(ln_listener *listener, int fd))
{
    listener->on_accept = on_accept;
    listener->on_closed = NULL;
    listener->shed_count = 0;
    listener->reserve_fd = open_reserve();
    ln_timer_init(&listener->backoff, try_again);

    int rc = LN_ERR_DESCRIPTORS;
    if (listener->reserve_fd >= 0)
        rc = ln_sock_start(&listener->sock, loop, fd, LN_SOCK_LISTEN, &listener_ops);
    if (rc < 0) {
        if (listener->reserve_fd >= 0)
            close(listener->reserve_fd);
        close(fd);
    }
    return rc;
}

void ln_listener_close(ln_listener *listener, void (*on_closed)(ln_listener *listener))
{
    listener->on_closed = on_closed;
    ln_timer_clear(&listener->sock.loop->wheel, &listener->backoff);
    ln_sock_close(&listener->sock);
}
