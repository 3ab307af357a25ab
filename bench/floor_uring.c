/* SPDX-License-Identifier: MIT */
/*
 * floor_uring - the smallest io_uring server that echoes WebSocket frames: multishot accept and
 * receive, provided buffers, one io_uring_enter a turn.
 *
 *     floor_uring PORT
 */
#include <liburing.h>

#include "floor.h"

enum { CONNS_MAX = 20000, ENTRIES = 4096, BUFFERS = 512, BUFFER_BYTES = 16384, GROUP = 1 };
enum { ACCEPT, RECV, SEND }; /* in the low bits of user_data; the rest is the connection */

struct conn {
    struct floor_conn floor; /* first */
    uint8_t *out[2];         /* one is being sent, one is being filled */
    size_t size[2], room[2];
    size_t sent;
    int filling;
    int is_sending, is_receiving, is_gone;
};

static struct io_uring ring;
static struct io_uring_buf_ring *buffers;
static uint8_t *memory;
static struct conn *conns[CONNS_MAX];

static struct io_uring_sqe *sqe(void *who, int what)
{
    struct io_uring_sqe *s = io_uring_get_sqe(&ring);
    if (s == NULL) {
        io_uring_submit(&ring);
        s = io_uring_get_sqe(&ring);
    }
    s->user_data = (uint64_t)(uintptr_t)who | (uint64_t)what;
    return s;
}

static void start_accept(int listener)
{
    struct io_uring_sqe *s = sqe(NULL, ACCEPT);
    const uint64_t data = s->user_data;
    io_uring_prep_multishot_accept(s, listener, NULL, NULL, 0);
    s->user_data = data;
}

static void start_recv(struct conn *c)
{
    struct io_uring_sqe *s = sqe(c, RECV);
    const uint64_t data = s->user_data;
    io_uring_prep_recv_multishot(s, c->floor.fd, NULL, 0, 0);
    s->flags |= IOSQE_BUFFER_SELECT;
    s->buf_group = GROUP;
    s->user_data = data;
    c->is_receiving = 1;
}

static void start_send(struct conn *c)
{
    if (c->is_sending || c->size[c->filling] == 0)
        return;
    const int k = c->filling;
    struct io_uring_sqe *s = sqe(c, SEND);
    const uint64_t data = s->user_data;
    io_uring_prep_send(s, c->floor.fd, c->out[k], c->size[k], MSG_NOSIGNAL | MSG_WAITALL);
    s->user_data = data;
    c->is_sending = 1;
    c->filling = 1 - k;
}

static uint8_t *reserve(struct conn *c, size_t n)
{
    const int k = c->filling;
    if (c->size[k] + n > c->room[k]) {
        c->room[k] = (c->size[k] + n) * 2;
        c->out[k] = realloc(c->out[k], c->room[k]);
    }
    return c->out[k] + c->size[k];
}

static void free_if_idle(struct conn *c)
{
    if (!c->is_gone || c->is_sending || c->is_receiving)
        return;
    conns[c->floor.fd] = NULL;
    close(c->floor.fd);
    free(c->out[0]);
    free(c->out[1]);
    free(c);
}

static void answer(struct conn *c, const uint8_t *in, size_t n)
{
    if (!c->floor.is_open) {
        const int size = floor_shake(&c->floor, in, n, (char *)reserve(c, 512));
        c->size[c->filling] += size > 0 ? (size_t)size : 0;
        start_send(c);
        return;
    }
    uint8_t *const to = reserve(c, n + 64);
    const size_t size = floor_pump(&c->floor, in, n, to);
    if (!c->floor.is_fanout) {
        c->size[c->filling] += size;
        start_send(c);
        return;
    }
    for (int fd = 0; fd < CONNS_MAX; fd++) {
        struct conn *const other = conns[fd];
        if (other == NULL || !other->floor.is_open || !other->floor.is_fanout)
            continue;
        if (other != c)
            memcpy(reserve(other, size), to, size);
        other->size[other->filling] += size;
        start_send(other);
    }
}

static void on_accept(int fd)
{
    if (fd < 0 || fd >= CONNS_MAX)
        return;
    struct conn *const c = calloc(1, sizeof *c);
    floor_no_delay(fd);
    c->floor.fd = fd;
    conns[fd] = c;
    start_recv(c);
}

static void on_recv(struct conn *c, const struct io_uring_cqe *cqe)
{
    if (!(cqe->flags & IORING_CQE_F_MORE))
        c->is_receiving = 0;
    if (cqe->res > 0) {
        const int id = cqe->flags >> IORING_CQE_BUFFER_SHIFT;
        uint8_t *const bytes = memory + (size_t)id * BUFFER_BYTES;
        answer(c, bytes, (size_t)cqe->res);
        io_uring_buf_ring_add(buffers, bytes, BUFFER_BYTES, (unsigned short)id,
                              io_uring_buf_ring_mask(BUFFERS), 0);
        io_uring_buf_ring_advance(buffers, 1);
    } else if (cqe->res != -ENOBUFS) {
        c->is_gone = 1;
    }
    if (!c->is_receiving && !c->is_gone)
        start_recv(c);
    free_if_idle(c);
}

static void on_send(struct conn *c)
{
    c->is_sending = 0;
    c->size[1 - c->filling] = 0;
    if (!c->is_gone)
        start_send(c);
    free_if_idle(c);
}

static void make_buffers(void)
{
    struct io_uring_buf_reg reg = {.ring_entries = BUFFERS, .bgid = GROUP};
    void *place;

    if (posix_memalign(&place, 4096, BUFFERS * sizeof(struct io_uring_buf)) != 0)
        exit(1);
    buffers = place;
    memory = malloc((size_t)BUFFERS * BUFFER_BYTES);
    reg.ring_addr = (uint64_t)(uintptr_t)buffers;
    if (io_uring_register_buf_ring(&ring, &reg, 0) < 0) {
        fputs("floor_uring: no provided buffers\n", stderr);
        exit(1);
    }
    io_uring_buf_ring_init(buffers);
    for (int i = 0; i < BUFFERS; i++)
        io_uring_buf_ring_add(buffers, memory + (size_t)i * BUFFER_BYTES, BUFFER_BYTES,
                              (unsigned short)i, io_uring_buf_ring_mask(BUFFERS), i);
    io_uring_buf_ring_advance(buffers, BUFFERS);
}

int main(int argc, char **argv)
{
    const int listener = floor_listen(argc > 1 ? atoi(argv[1]) : 9002);
    struct io_uring_params p = {.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN |
                                         IORING_SETUP_COOP_TASKRUN | IORING_SETUP_CQSIZE,
                                .cq_entries = ENTRIES * 4};

    if (io_uring_queue_init_params(ENTRIES, &ring, &p) < 0) {
        fputs("floor_uring: no io_uring\n", stderr);
        return 1;
    }
    make_buffers();
    start_accept(listener);
    for (;;) {
        struct io_uring_cqe *cqe;
        unsigned head, seen = 0;

        io_uring_submit_and_wait(&ring, 1);
        io_uring_for_each_cqe(&ring, head, cqe)
        {
            struct conn *const c = (struct conn *)(uintptr_t)(cqe->user_data & ~UINT64_C(3));
            const int what = (int)(cqe->user_data & 3);
            seen++;
            if (what == ACCEPT) {
                on_accept(cqe->res);
                if (!(cqe->flags & IORING_CQE_F_MORE))
                    start_accept(listener);
            } else if (what == RECV) {
                on_recv(c, cqe);
            } else {
                on_send(c);
            }
        }
        io_uring_cq_advance(&ring, seen);
    }
}
