/* SPDX-License-Identifier: MIT */
/*
 * Asks the kernel by trying: version numbers lie (backports), and the list of opcodes does not tell
 * how they behave. Tried on a socket pair: receiving in several shots into shared buffers, and
 * quick sends (uring.h), one that fits and one that does not.
 */
#include "backend.h"

#ifdef LN_HAS_URING

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "uring.h"

enum {
    BUFFERS = 2,
    PAGE_BYTES = 4096, /* holds the ring of buffers, and them */
    BUFFER_BYTES = 512,
    LARGE_BYTES = 1 << 22, /* more than a socket takes at once */
    RECEIVE = 1,
    SMALL = 2,
    LARGE = 3
};

static void quick(struct io_uring_sqe *sqe, int fd, const void *bytes, size_t n, uint64_t data)
{
    io_uring_prep_send(sqe, fd, bytes, n, MSG_NOSIGNAL | MSG_WAITALL | MSG_DONTWAIT);
    sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
    io_uring_sqe_set_data64(sqe, data);
}

/* `fd` has a byte to read, its peer reads nothing. */
static bool prepare(struct io_uring *ring, int fd, const void *large)
{
    struct io_uring_sqe *const receive = io_uring_get_sqe(ring);
    struct io_uring_sqe *const small_send = io_uring_get_sqe(ring);
    struct io_uring_sqe *const large_send = io_uring_get_sqe(ring);
    if (!receive || !small_send || !large_send)
        return false;
    io_uring_prep_recv_multishot(receive, fd, NULL, 0, 0);
    receive->flags |= IOSQE_BUFFER_SELECT;
    receive->buf_group = LN_URING_BUFFER_GROUP;
    io_uring_sqe_set_data64(receive, RECEIVE);
    quick(small_send, fd, "12345678", 8, SMALL);
    quick(large_send, fd, large, LARGE_BYTES, LARGE);
    return true;
}

/* One completion for the receive, which goes on; none for the small send; how much left for the
 * large one. */
static bool check(struct io_uring *ring, int peer)
{
    const unsigned wanted_flags = IORING_CQE_F_MORE | IORING_CQE_F_BUFFER;
    struct io_uring_cqe *cqes[4];
    bool is_received = false;
    int sent = 0, waiting = 0;
    const unsigned count = io_uring_peek_batch_cqe(ring, cqes, LN_ARRAY_SIZE(cqes));
    for (unsigned i = 0; i < count; i++) {
        if (cqes[i]->user_data == RECEIVE)
            is_received = cqes[i]->res == 1 && (cqes[i]->flags & wanted_flags) == wanted_flags;
        else if (cqes[i]->user_data == LARGE)
            sent = cqes[i]->res;
        else
            return false;
    }
    return count == 2 && is_received && ioctl(peer, FIONREAD, &waiting) == 0 && sent > 0 &&
           sent < LARGE_BYTES && waiting == sent + 8;
}

static bool try_out(struct io_uring *ring, uint8_t *page, const int pair[2], const void *large)
{
    struct io_uring_buf_ring *const buffers = (struct io_uring_buf_ring *)page;
    struct io_uring_buf_reg registration = {
        .ring_addr = (uintptr_t)page, .ring_entries = BUFFERS, .bgid = LN_URING_BUFFER_GROUP};
    if (io_uring_register_buf_ring(ring, &registration, 0) < 0 || ln_uring_enable(ring) < 0)
        return false;
    io_uring_buf_ring_init(buffers);
    for (int i = 0; i < BUFFERS; i++)
        io_uring_buf_ring_add(buffers, page + PAGE_BYTES - (i + 1) * BUFFER_BYTES, BUFFER_BYTES,
                              (unsigned short)i, io_uring_buf_ring_mask(BUFFERS), i);
    io_uring_buf_ring_advance(buffers, BUFFERS);

    return write(pair[1], "!", 1) == 1 && prepare(ring, pair[0], large) &&
           io_uring_submit_and_get_events(ring) >= 0 && check(ring, pair[1]);
}

bool ln_uring_probe(void)
{
    struct io_uring ring;
    int pair[2];
    if (ln_uring_setup(&ring, 4, 8) < 0)
        return false;
    bool works = false;
    void *const page =
        mmap(NULL, PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    void *const large =
        mmap(NULL, LARGE_BYTES, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (page != MAP_FAILED && large != MAP_FAILED &&
        socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) == 0) {
        works = try_out(&ring, page, pair, large);
        close(pair[0]);
        close(pair[1]);
    }
    if (page != MAP_FAILED)
        munmap(page, PAGE_BYTES);
    if (large != MAP_FAILED)
        munmap(large, LARGE_BYTES);
    io_uring_queue_exit(&ring);
    return works;
}

#endif
