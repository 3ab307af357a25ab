/* SPDX-License-Identifier: MIT */
/* What socks ask of the ring, and what the ring's completions mean for them. Invariants:
 * uring.h. */
#include "backend.h"

#ifdef LN_HAS_URING

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "uring.h"

enum { SEND_BYTES_MAX = 1 << 30 }; /* what the system takes at once, and a result can say */

_Static_assert(_Alignof(ln_sock) > LN_URING_TAG_MASK, "a tag fits below a pointer");
_Static_assert(sizeof(ln_span) == sizeof(struct iovec) &&
                   offsetof(ln_span, data) == offsetof(struct iovec, iov_base) &&
                   offsetof(ln_span, size) == offsetof(struct iovec, iov_len),
               "spans are passed to the system as they are");

static uint64_t tagged(const ln_sock *s, unsigned tag)
{
    return (uint64_t)(uintptr_t)s | tag;
}

static ln_sock *untagged(uint64_t data)
{
    return (ln_sock *)(uintptr_t)(data & ~(uint64_t)LN_URING_TAG_MASK);
}

/* Of the operation that is under way. */
static unsigned operation_tag(const ln_sock *s)
{
    switch (ln_sock_kind(s)) {
    case LN_SOCK_STREAM:
        return s->io_flags & LN_URING_ONE_SHOT ? LN_URING_LENT : LN_URING_RECEIVE;
    case LN_SOCK_LISTEN:
        return LN_URING_ACCEPT;
    default:
        return LN_URING_POLL;
    }
}

/* Beginning the operation */

static void begun(ln_sock *s, struct io_uring_sqe *sqe, uint64_t data)
{
    io_uring_sqe_set_data64(sqe, data);
    s->io_flags |= LN_URING_BUSY;
    s->inflight++;
}

static int receive_shared(ln_sock *s)
{
    struct io_uring_sqe *const sqe = ln_uring_prepare(s->loop->io);
    if (!sqe)
        return LN_ERR_NOMEM;
    if (s->io_flags & LN_URING_ONE_SHOT)
        io_uring_prep_recv(sqe, s->fd, NULL, 0, 0);
    else
        io_uring_prep_recv_multishot(sqe, s->fd, NULL, 0, 0);
    s->io_flags &= (uint8_t)~LN_URING_ONE_SHOT;
    sqe->flags |= IOSQE_BUFFER_SELECT;
    sqe->buf_group = LN_URING_BUFFER_GROUP;
    begun(s, sqe, tagged(s, LN_URING_RECEIVE));
    return 0;
}

static ln_uring_lent **lent_bucket(ln_uring *u, const ln_sock *s)
{
    /* Fibonacci hashing: addresses are multiples of something. */
    const uint64_t mixed = (uint64_t)(uintptr_t)s * 0x9e3779b97f4a7c15u;
    return &u->lent[mixed >> 56];
}

static int note_lent(ln_sock *s, uint8_t *memory)
{
    ln_uring *const u = s->loop->io;
    ln_uring_lent *lent = u->lent_free;
    if (lent)
        u->lent_free = lent->next;
    else if (!(lent = ln_alloc(s->loop->alloc, sizeof *lent)))
        return LN_ERR_NOMEM;
    ln_uring_lent **const bucket = lent_bucket(u, s);
    *lent = (ln_uring_lent){.next = *bucket, .sock = s, .memory = memory};
    *bucket = lent;
    return 0;
}

static uint8_t *take_lent(ln_sock *s)
{
    ln_uring *const u = s->loop->io;
    ln_uring_lent **at = lent_bucket(u, s);
    while ((*at)->sock != s)
        at = &(*at)->next;
    ln_uring_lent *const lent = *at;
    *at = lent->next;
    lent->next = u->lent_free;
    u->lent_free = lent;
    return lent->memory;
}

static int receive_lent(ln_sock *s, uint8_t *memory, size_t room)
{
    if (note_lent(s, memory) < 0)
        return receive_shared(s);
    struct io_uring_sqe *const sqe = ln_uring_prepare(s->loop->io);
    if (!sqe) {
        take_lent(s);
        return LN_ERR_NOMEM;
    }
    io_uring_prep_recv(sqe, s->fd, memory, ln_min_size(room, INT32_MAX), 0);
    s->io_flags |= LN_URING_ONE_SHOT;
    begun(s, sqe, tagged(s, LN_URING_LENT));
    return 0;
}

int ln_uring_start(ln_sock *s)
{
    ln_uring *const u = s->loop->io;
    if (s->io_flags & LN_URING_KEPT) {
        ln_kept_resume(&u->kept, s);
        return 0;
    }
    if (s->io_flags & LN_URING_BUSY)
        return 0; /* its end, or its cancellation's, begins the next */
    if (ln_sock_kind(s) == LN_SOCK_STREAM)
        return receive_shared(s); /* lend is not asked from inside a call of the owner's */

    struct io_uring_sqe *const sqe = ln_uring_prepare(u);
    if (!sqe)
        return LN_ERR_NOMEM;
    if (ln_sock_kind(s) == LN_SOCK_LISTEN)
        io_uring_prep_multishot_accept(sqe, s->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    else
        io_uring_prep_poll_add(sqe, s->fd, ln_sock_kind(s) == LN_SOCK_CONNECT ? POLLOUT : POLLIN);
    begun(s, sqe, tagged(s, operation_tag(s)));
    return 0;
}

/* Ending it */

/* By user_data, which the kernel has a hash table for; by descriptor it would look through
 * everything under way. */
static bool cancel(ln_sock *s, unsigned tag)
{
    struct io_uring_sqe *const sqe = ln_uring_prepare(s->loop->io);
    if (!sqe)
        return false;
    io_uring_prep_cancel64(sqe, tagged(s, tag), 0);
    io_uring_sqe_set_data64(sqe, LN_URING_IGNORE);
    sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
    return true;
}

void ln_uring_stop(ln_sock *s)
{
    if (!(s->io_flags & LN_URING_BUSY) || s->io_flags & LN_URING_STOPPING)
        return;
    /* Memory that was lent may as well be filled: it is there, and nothing is copied when it has to
     * be kept. */
    if (operation_tag(s) != LN_URING_LENT && cancel(s, operation_tag(s)))
        s->io_flags |= LN_URING_STOPPING;
}

bool ln_uring_end(ln_sock *s)
{
    ln_uring *const u = s->loop->io;
    if (s->io_flags & LN_URING_KEPT) {
        ln_kept_drop(&u->kept, s);
        s->io_flags &= (uint8_t)~LN_URING_KEPT;
    }
    if (s->inflight == 0)
        return true;
    if (s->io_flags & LN_URING_CANCELLED)
        return false;
    if (s->io_flags & LN_URING_BUSY && !cancel(s, operation_tag(s)))
        return false;
    if (s->io_flags & LN_URING_SLOW && s->flags & LN_SOCK_SENDING && !cancel(s, LN_URING_SEND))
        return false;
    s->io_flags |= LN_URING_CANCELLED;
    return false;
}

void ln_uring_release(ln_sock *s)
{
    ln_uring *const u = s->loop->io;
    struct io_uring_sqe *sqe = NULL;
    /* A listener's port should be free when on_closed comes; and only its own thread submits. */
    if (ln_sock_kind(s) == LN_SOCK_STREAM && u->is_enabled &&
        pthread_equal(u->thread, pthread_self()))
        sqe = ln_uring_prepare(u);
    if (!sqe) {
        close(s->fd);
        return;
    }
    io_uring_prep_close(sqe, s->fd);
    io_uring_sqe_set_data64(sqe, LN_URING_IGNORE);
    sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
}

/* Sending */

/* Bytes in at most SEND_BYTES_MAX of the first *k spans; *k becomes their number. */
static size_t measure(const ln_span *spans, int *k)
{
    size_t total = ln_min_size(spans[0].size, SEND_BYTES_MAX);
    int i = 1;
    while (i < *k && total + spans[i].size <= SEND_BYTES_MAX)
        total += spans[i++].size;
    *k = i;
    return total;
}

/* Of a message of k spans in the arena. */
static size_t arena_bytes(int k)
{
    return sizeof(struct msghdr) + (size_t)k * sizeof(struct iovec);
}

/* Submits what is there if the arena has no room otherwise. Has it room then? */
static bool make_arena_room(ln_uring *u, int k)
{
    if (u->arena_used + arena_bytes(k) > LN_URING_ARENA_BYTES)
        ln_uring_submit(u);
    return u->arena_used + arena_bytes(k) <= LN_URING_ARENA_BYTES;
}

/* Only for an entry that has been prepared: preparing may submit, and empties the arena then. */
static struct msghdr *take_arena(ln_uring *u, int k)
{
    struct msghdr *const message = (struct msghdr *)(u->arena + u->arena_used);
    u->arena_used += arena_bytes(k);
    LN_ASSERT(u->arena_used <= LN_URING_ARENA_BYTES);
    return message;
}

/* An entry that sends `spans`; *size is what they come to, which may be less than given. */
static struct io_uring_sqe *prepare_send(ln_sock *s, const ln_span *spans, int k, unsigned flags,
                                         size_t *size)
{
    ln_uring *const u = s->loop->io;
    size_t total = measure(spans, &k);
    const bool is_message = k > 1 && make_arena_room(u, k);
    struct io_uring_sqe *const sqe = ln_uring_prepare(u);
    if (!sqe)
        return NULL;
    if (is_message) {
        struct msghdr *const message = take_arena(u, k);
        struct iovec *const vector = (struct iovec *)(message + 1);
        memcpy(vector, spans, (size_t)k * sizeof *vector);
        *message = (struct msghdr){.msg_iov = vector, .msg_iovlen = (size_t)k};
        io_uring_prep_sendmsg(sqe, s->fd, message, flags);
    } else {
        total = ln_min_size(spans[0].size, SEND_BYTES_MAX);
        io_uring_prep_send(sqe, s->fd, spans[0].data, total, (int)flags);
    }
    *size = total;
    return sqe;
}

size_t ln_uring_send_quiet(ln_sock *s, const ln_span *spans, int k)
{
    ln_uring *const u = s->loop->io;
    const bool is_quick = !(s->io_flags & LN_URING_SLOW) && u->quick_count < LN_URING_QUICK_MAX;
    const unsigned flags = MSG_NOSIGNAL | MSG_WAITALL | (is_quick ? MSG_DONTWAIT : 0);
    size_t size = 0;
    struct io_uring_sqe *const sqe = prepare_send(s, spans, k, flags, &size);
    s->flags |= LN_SOCK_SENDING;
    if (!sqe) {
        ln_sock_break(s);
        return 0;
    }
    s->inflight++;
    if (is_quick) {
        const uint64_t index = u->quick_count;
        io_uring_sqe_set_data64(sqe, index << LN_URING_TAG_BITS | LN_URING_QUICK);
        sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
        u->quick[u->quick_count++] =
            (ln_uring_quick){.sock = s, .size = size, .result = LN_URING_ALL};
    } else {
        io_uring_sqe_set_data64(sqe, tagged(s, LN_URING_SEND));
    }
    return 0;
}

void ln_uring_hurry(ln_sock *s)
{
    ln_uring *const u = s->loop->io;
    /* They are settled after the submission, whether there is an event then or not. */
    u->must_hurry |= u->quick_count > 0;
}

size_t ln_uring_send(ln_sock *s, const ln_span *spans, int k)
{
    const size_t n = ln_uring_send_quiet(s, spans, k);
    ln_uring_hurry(s);
    return n;
}

/* A reset connection may still have bytes to read: they come first, then on_end. */
static void send_broken(ln_sock *s, int error)
{
    const unsigned receiving = s->io_flags & (LN_URING_BUSY | LN_URING_KEPT);
    if (receiving && ln_sock_wants_input(s) && (error == ECONNRESET || error == EPIPE)) {
        s->flags |= LN_SOCK_BROKEN;
        shutdown(s->fd, SHUT_RDWR); /* a Unix peer may refuse to read, and go on writing for ever */
    } else {
        ln_sock_send_failed(s, error);
    }
}

static void sent(ln_sock *s, size_t n)
{
    s->flags &= (uint8_t)~LN_SOCK_SENDING;
    s->ops->on_sent(s, n);
}

void ln_uring_settle(const ln_uring_quick *quick)
{
    ln_sock *const s = quick->sock;
    s->inflight--;
    if (s->flags & LN_SOCK_CLOSING)
        return;
    if (LN_LIKELY(quick->result == LN_URING_ALL)) {
        sent(s, quick->size);
    } else if (quick->result >= 0 || quick->result == -EAGAIN || quick->result == -EINTR ||
               ln_sock_is_shortage(-quick->result)) {
        s->io_flags |= LN_URING_SLOW;
        sent(s, quick->result > 0 ? (size_t)quick->result : 0);
    } else {
        send_broken(s, -quick->result);
    }
}

static void complete_send(ln_sock *s, int result)
{
    s->inflight--;
    s->io_flags &= (uint8_t)~LN_URING_SLOW;
    if (s->flags & LN_SOCK_CLOSING)
        return;
    if (result >= 0 || result == -EINTR || ln_sock_is_shortage(-result))
        sent(s, result > 0 ? (size_t)result : 0);
    else
        send_broken(s, -result);
}

/* Receiving */

static void ended(ln_sock *s, int error)
{
    if (s->flags & LN_SOCK_CLOSING)
        return;
    if (ln_sock_wants_input(s) && !(s->io_flags & LN_URING_KEPT))
        ln_sock_receive_ended(s, error);
    else if (error)
        s->flags |=
            LN_SOCK_BROKEN; /* receiving again will give the end, but not this error again */
}

/* Hands bytes up, or keeps them (`is_lent`: where they are) until the sock is resumed. */
static void hand_up(ln_sock *s, uint8_t *bytes, size_t n, bool is_lent)
{
    ln_uring *const u = s->loop->io;
    if (LN_LIKELY(ln_sock_wants_input(s) && !(s->io_flags & LN_URING_KEPT))) {
        ln_sock **const mark = ln_loop_corked_mark(s->loop);
        s->ops->on_recv(s, bytes, n);
        ln_sock_flush_alone(s, mark);
        return;
    }
    if (s->flags & (LN_SOCK_CLOSING | LN_SOCK_ENDED))
        return;
    const int rc =
        is_lent ? ln_kept_add_lent(&u->kept, s, bytes, n) : ln_kept_add(&u->kept, s, bytes, n);
    if (rc < 0)
        ln_sock_send_failed(s, ENOMEM); /* a hole in the stream: it is over, paused or not */
    else
        s->io_flags |= LN_URING_KEPT;
}

/* The next receive, if one is wanted and none is under way; or leaves the shared buffers for the
 * owner's memory. */
static void receive_next(ln_sock *s)
{
    if (!ln_sock_wants_input(s) || s->io_flags & (LN_URING_KEPT | LN_URING_STOPPING))
        return;
    size_t room = 0;
    uint8_t *const memory = s->ops->lend ? s->ops->lend(s, &room) : NULL;
    if (s->io_flags & LN_URING_BUSY) {
        if (memory)
            ln_uring_stop(s);
        return;
    }
    const int rc = memory ? receive_lent(s, memory, room) : receive_shared(s);
    if (rc < 0)
        ln_sock_break(s);
}

static void operation_over(ln_sock *s)
{
    s->inflight--;
    s->io_flags &= (uint8_t) ~(LN_URING_BUSY | LN_URING_STOPPING);
}

static void complete_receive(ln_uring *u, ln_sock *s, const struct io_uring_cqe *cqe)
{
    if (!(cqe->flags & IORING_CQE_F_MORE))
        operation_over(s);
    if (cqe->flags & IORING_CQE_F_BUFFER) {
        const unsigned id = cqe->flags >> IORING_CQE_BUFFER_SHIFT;
        if (cqe->res > 0)
            hand_up(s, u->buffers + (size_t)id * LN_URING_BUFFER_BYTES, (size_t)cqe->res, false);
        ln_uring_return_buffer(u, id);
    }
    if (cqe->res == 0)
        ended(s, 0);
    else if (cqe->res == -ENOBUFS)
        ln_uring_grow(u);
    else if (cqe->res < 0 && cqe->res != -ECANCELED && cqe->res != -EINTR)
        ended(s, -cqe->res);
    receive_next(s);
}

static void complete_lent(ln_sock *s, int result)
{
    uint8_t *const memory = take_lent(s);
    operation_over(s);
    if (result > 0)
        hand_up(s, memory, (size_t)result, true);
    else if (result == 0)
        ended(s, 0);
    else if (result != -ECANCELED && result != -EINTR)
        ended(s, -result);
    receive_next(s);
}

void ln_uring_hand_up_kept(ln_uring *u)
{
    const ln_allocator *const alloc = u->kept.alloc;
    for (ln_kept_sock *record; (record = ln_kept_next(&u->kept));) {
        ln_sock *const s = record->sock;
        for (ln_piece *piece; ln_sock_wants_input(s) && (piece = ln_kept_pop(record));) {
            s->ops->on_recv(s, piece->bytes, piece->size);
            ln_free(alloc, piece);
        }
        if (ln_kept_done(&u->kept, record)) {
            s->io_flags &= (uint8_t)~LN_URING_KEPT;
            receive_next(s);
        }
    }
}

/* The other kinds */

static void complete_accept(ln_sock *s, const struct io_uring_cqe *cqe)
{
    if (!(cqe->flags & IORING_CQE_F_MORE))
        operation_over(s);
    if (s->flags & LN_SOCK_CLOSING) {
        if (cqe->res >= 0)
            close(cqe->res);
        return;
    }
    if (cqe->res != -ECANCELED)
        s->ops->on_result(s, cqe->res); /* accepted is accepted, also while it is being paused */
    if (!(s->io_flags & LN_URING_BUSY))
        ln_sock_start_again(s);
}

static void complete_poll(ln_sock *s, int result)
{
    operation_over(s);
    if (s->flags & LN_SOCK_CLOSING || result < 0)
        return;
    s->ops->on_result(s, 0);
    if (ln_sock_kind(s) == LN_SOCK_WATCH)
        ln_sock_start_again(s);
}

void ln_uring_complete(ln_uring *u, const struct io_uring_cqe *cqe)
{
    ln_sock *const s = untagged(cqe->user_data);
    switch (cqe->user_data & LN_URING_TAG_MASK) {
    case LN_URING_RECEIVE:
        complete_receive(u, s, cqe);
        break;
    case LN_URING_LENT:
        complete_lent(s, cqe->res);
        break;
    case LN_URING_SEND:
        complete_send(s, cqe->res);
        break;
    case LN_URING_ACCEPT:
        complete_accept(s, cqe);
        break;
    case LN_URING_POLL:
        complete_poll(s, cqe->res);
        break;
    case LN_URING_QUICK: /* noted before anything was called: settle_quick() */
    case LN_URING_IGNORE:
        break;
    }
}

#endif
