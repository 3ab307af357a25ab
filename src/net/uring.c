/* SPDX-License-Identifier: MIT */
#include "backend.h"

#ifndef LN_HAS_URING

static int no_uring(ln_loop *loop)
{
    (void)loop;
    return LN_ERR_UNSUPPORTED;
}

/* Built without liburing: it cannot be opened, and nothing else of it is ever called. */
const ln_backend ln_backend_uring = {.name = "uring", .open = no_uring};

#else

#include "uring.h"

#include <errno.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

enum {
    BUFFER_RING_BYTES = LN_URING_BUFFERS_MAX * sizeof(struct io_uring_buf),
    BUFFERS_BYTES = LN_URING_BUFFERS_MAX * LN_URING_BUFFER_BYTES
};

/* The ring */

int ln_uring_setup(struct io_uring *ring, unsigned submissions, unsigned completions)
{
    /* Completions that are found when we ask for them, instead of by interrupting: 6.1. Without
     * interprocessor interrupts at least: 5.19. */
    static const unsigned ways[] = {IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN,
                                    IORING_SETUP_COOP_TASKRUN};
    int rc = -EINVAL;
    for (unsigned i = 0; i < LN_ARRAY_SIZE(ways) && rc == -EINVAL; i++) {
        struct io_uring_params params = {.flags = IORING_SETUP_R_DISABLED |
                                                  IORING_SETUP_SUBMIT_ALL | IORING_SETUP_CQSIZE |
                                                  ways[i],
                                         .cq_entries = completions};
        rc = io_uring_queue_init_params(submissions, ring, &params);
    }
    return rc;
}

int ln_uring_enable(struct io_uring *ring)
{
    return io_uring_register((unsigned)ring->ring_fd, IORING_REGISTER_ENABLE_RINGS, NULL, 0);
}

static int enable(ln_uring *u)
{
    if (u->is_enabled)
        return 0;
    const int rc = ln_uring_enable(&u->ring);
    u->is_enabled = rc == 0;
    u->thread = pthread_self();
    return rc;
}

void ln_uring_submit(ln_uring *u)
{
    if (enable(u) == 0)
        io_uring_submit(&u->ring);
    if (io_uring_sq_ready(&u->ring) == 0)
        u->arena_used = 0;
}

struct io_uring_sqe *ln_uring_prepare(ln_uring *u)
{
    struct io_uring_sqe *sqe = io_uring_get_sqe(&u->ring);
    if (LN_UNLIKELY(!sqe)) {
        ln_uring_submit(u);
        sqe = io_uring_get_sqe(&u->ring);
        u->must_hurry |= !sqe;
    }
    return sqe;
}

/* Shared buffers */

void ln_uring_return_buffer(ln_uring *u, unsigned id)
{
    io_uring_buf_ring_add(u->buffer_ring, u->buffers + (size_t)id * LN_URING_BUFFER_BYTES,
                          LN_URING_BUFFER_BYTES, (unsigned short)id,
                          io_uring_buf_ring_mask(LN_URING_BUFFERS_MAX), (int)u->returned++);
}

static void show_buffers(ln_uring *u)
{
    if (u->returned > 0)
        io_uring_buf_ring_advance(u->buffer_ring, (int)u->returned);
    u->returned = 0;
}

void ln_uring_grow(ln_uring *u)
{
    const unsigned wanted = u->buffer_count ? u->buffer_count * 2 : LN_URING_BUFFERS_FIRST;
    while (u->buffer_count < wanted && u->buffer_count < LN_URING_BUFFERS_MAX)
        ln_uring_return_buffer(u, u->buffer_count++);
}

static void *map(size_t bytes)
{
    void *const p = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return p == MAP_FAILED ? NULL : p;
}

static int open_buffers(ln_uring *u)
{
    u->buffer_ring = map(BUFFER_RING_BYTES);
    u->buffers = map(BUFFERS_BYTES);
    if (!u->buffer_ring || !u->buffers)
        return LN_ERR_NOMEM;
    struct io_uring_buf_reg registration = {.ring_addr = (uintptr_t)u->buffer_ring,
                                            .ring_entries = LN_URING_BUFFERS_MAX,
                                            .bgid = LN_URING_BUFFER_GROUP};
    if (io_uring_register_buf_ring(&u->ring, &registration, 0) < 0)
        return LN_ERR_NOMEM;
    io_uring_buf_ring_init(u->buffer_ring);
    ln_uring_grow(u);
    show_buffers(u);
    return 0;
}

/* Waking up */

static void watch_wake(ln_uring *u)
{
    struct io_uring_sqe *const sqe = ln_uring_prepare(u);
    if (!sqe)
        return; /* the next turn comes without being woken up, and tries again */
    io_uring_prep_poll_multishot(sqe, u->wake_fd, POLLIN);
    io_uring_sqe_set_data64(sqe, LN_URING_WAKE);
    u->is_wake_watched = true;
}

static void uring_wake(ln_loop *loop)
{
    const ln_uring *const u = loop->io;
    const uint64_t one = 1;
    const int saved = errno;

    if (u == NULL)
        return; /* closed: what ends then may stop the loop once more */
    const ssize_t n = write(u->wake_fd, &one, sizeof one); /* never read: each write is an event */
    (void)n;
    errno = saved;
}

/* The turn */

/* One system call: submits, and waits unless the limit is 0. */
static int enter(ln_uring *u, int64_t timeout_ms)
{
    if (timeout_ms == 0)
        return io_uring_submit_and_get_events(&u->ring);
    if (timeout_ms < 0)
        return io_uring_submit_and_wait(&u->ring, 1);
    struct __kernel_timespec limit = {.tv_sec = timeout_ms / 1000,
                                      .tv_nsec = timeout_ms % 1000 * 1000000};
    struct io_uring_cqe *first;
    return io_uring_submit_and_wait_timeout(&u->ring, &first, 1, &limit, NULL);
}

static struct io_uring_cqe *cqe_at(const ln_uring *u, unsigned i)
{
    return &u->ring.cq.cqes[(*u->ring.cq.khead + i) & u->ring.cq.ring_mask];
}

/* Sends first: what they used is free again when the next message is answered. */
static void settle_quick(ln_uring *u, unsigned ready)
{
    for (unsigned i = 0; i < ready; i++) {
        const struct io_uring_cqe *const cqe = cqe_at(u, i);
        if ((cqe->user_data & LN_URING_TAG_MASK) == LN_URING_QUICK)
            u->quick[cqe->user_data >> LN_URING_TAG_BITS].result = cqe->res;
    }
    if (io_uring_sq_ready(&u->ring) > 0 || io_uring_cq_has_overflow(&u->ring)) {
        u->must_hurry = true; /* a result may be still to come */
        return;
    }

    ln_uring_quick *const settled = u->quick;
    const unsigned count = u->quick_count;
    u->quick = u->quick_done;
    u->quick_done = settled;
    u->quick_count = 0;
    for (unsigned i = 0; i < count; i++)
        ln_uring_settle(&settled[i]);
}

static bool uring_has_work(const ln_loop *loop)
{
    const ln_uring *const u = loop->io;
    return io_uring_sq_ready(&u->ring) > 0 || u->kept.ready || u->must_hurry || !u->is_wake_watched;
}

/* Everything else passes: the time limit, a signal, no memory at this moment. */
static bool is_fatal(int rc)
{
    return rc == -EEXIST || rc == -EBADF || rc == -EBADFD || rc == -EFAULT || rc == -EINVAL ||
           rc == -ENXIO;
}

/* Before completions are looked for: those that come later are told again. */
static void hear(const ln_uring *u)
{
    uint64_t count;
    const ssize_t n = read(u->told_fd, &count, sizeof count);
    (void)n;
}

static int uring_wait(ln_loop *loop, int64_t timeout_ms)
{
    ln_uring *const u = loop->io;
    if (enable(u) < 0)
        return LN_ERR_IO;
    if (LN_UNLIKELY(!u->is_wake_watched))
        watch_wake(u);
    if (u->kept.ready || u->must_hurry)
        timeout_ms = 0;
    u->must_hurry = false;
    if (u->told_fd >= 0)
        hear(u);

    const int rc = enter(u, timeout_ms);
    ln_loop_tick(loop);
    if (rc < 0 && is_fatal(rc))
        return LN_ERR_IO;
    if (io_uring_sq_ready(&u->ring) == 0)
        u->arena_used = 0;

    const unsigned ready = io_uring_cq_ready(&u->ring);
    if (u->quick_count > 0)
        settle_quick(u, ready);
    if (u->kept.ready)
        ln_uring_hand_up_kept(u);
    for (unsigned i = 0; i < ready; i++) {
        const struct io_uring_cqe *const cqe = cqe_at(u, i);
        if (cqe->user_data == LN_URING_WAKE)
            u->is_wake_watched = cqe->flags & IORING_CQE_F_MORE;
        else
            ln_uring_complete(u, cqe);
    }
    io_uring_cq_advance(&u->ring, ready);
    show_buffers(u);
    return 0;
}

/* Opening and closing */

static void free_lent(ln_loop *loop, ln_uring_lent *lent)
{
    for (ln_uring_lent *next; lent; lent = next) {
        next = lent->next;
        ln_free(loop->alloc, lent);
    }
}

static void uring_close(ln_loop *loop)
{
    ln_uring *const u = loop->io;
    if (u->ring.ring_fd >= 0) {
        ln_uring_submit(u); /* what is left to close */
        io_uring_queue_exit(&u->ring);
    }
    if (u->wake_fd >= 0)
        close(u->wake_fd);
    if (u->told_fd >= 0)
        close(u->told_fd);
    if (u->buffer_ring)
        munmap(u->buffer_ring, BUFFER_RING_BYTES);
    if (u->buffers)
        munmap(u->buffers, BUFFERS_BYTES);
    for (unsigned i = 0; i < LN_URING_LENT_BUCKETS; i++)
        free_lent(loop, u->lent[i]);
    free_lent(loop, u->lent_free);
    ln_kept_fini(&u->kept);
    ln_free(loop->alloc, u->quick);
    ln_free(loop->alloc, u->quick_done);
    ln_free(loop->alloc, u->arena);
    ln_free(loop->alloc, u);
    loop->io = NULL;
}

static int open_parts(ln_uring *u, const ln_allocator *alloc)
{
    u->quick = ln_alloc(alloc, LN_URING_QUICK_MAX * sizeof *u->quick);
    u->quick_done = ln_alloc(alloc, LN_URING_QUICK_MAX * sizeof *u->quick);
    u->arena = ln_alloc(alloc, LN_URING_ARENA_BYTES);
    if (!u->quick || !u->quick_done || !u->arena)
        return LN_ERR_NOMEM;
    u->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (u->wake_fd < 0)
        return LN_ERR_DESCRIPTORS;
    const int rc = ln_uring_setup(&u->ring, LN_URING_SUBMISSIONS, LN_URING_COMPLETIONS);
    if (rc < 0) {
        u->ring.ring_fd = -1;
        if (rc == -EMFILE || rc == -ENFILE)
            return LN_ERR_DESCRIPTORS;
        return rc == -ENOMEM ? LN_ERR_NOMEM : LN_ERR_UNSUPPORTED;
    }
    return open_buffers(u);
}

static int uring_open(ln_loop *loop)
{
    if (!ln_uring_probe())
        return LN_ERR_UNSUPPORTED;
    ln_uring *const u = ln_alloc_zero(loop->alloc, sizeof *u);
    if (!u)
        return LN_ERR_NOMEM;
    u->ring.ring_fd = u->wake_fd = u->told_fd = -1;
    ln_kept_init(&u->kept, loop->alloc);
    loop->io = u;
    const int rc = open_parts(u, loop->alloc);
    if (rc < 0)
        uring_close(loop);
    return rc;
}

/* The ring's own descriptor would not do: where completions wait to be asked for, poll() sees that
 * they are there, and is not woken when they come. */
static int uring_descriptor(const ln_loop *loop)
{
    ln_uring *const u = loop->io;
    if (u->told_fd >= 0)
        return u->told_fd;
    const int fd = eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK); /* what came before is not told */
    if (fd < 0 || io_uring_register_eventfd(&u->ring, fd) < 0) {
        if (fd >= 0)
            close(fd);
        return u->ring.ring_fd;
    }
    u->told_fd = fd;
    return fd;
}

const ln_backend ln_backend_uring = {
    .name = "uring",
    .open = uring_open,
    .close = uring_close,
    .descriptor = uring_descriptor,
    .has_work = uring_has_work,
    .wait = uring_wait,
    .wake = uring_wake,
    .start = ln_uring_start,
    .stop = ln_uring_stop,
    .send = ln_uring_send,
    .send_quiet = ln_uring_send_quiet,
    .hurry = ln_uring_hurry,
    .end = ln_uring_end,
    .release = ln_uring_release,
};

#endif
