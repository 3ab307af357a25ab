/* SPDX-License-Identifier: MIT */
/*
 * deflate - compressing and inflating message payloads as permessage-deflate wants them (RFC 7692
 * section 7.2).
 *
 * Contexts are expensive (zlib with 15 window bits: 40 KiB to inflate, 166 KiB to deflate), so they
 * are lent: a connection without context takeover borrows one from its loop's ln_zpool for the
 * length of a message; one with takeover keeps its own, and ln_deflate_idle() takes it back all the
 * same.
 *
 * Sending
 *   1. Every piece ends in a sync flush. So no later piece needs the context of an earlier one: a
 *      fresh context refers only to its own output, wherever it begins, and the sending context may
 *      be dropped at any time.
 *   2. No block has BFINAL set. RFC 7692 7.2.3.4 permits it, but there are peers that inflate
 *      nothing more after such a block, even if no context was to be taken over. It is why
 *      libdeflate does not compress here: it can only make streams that end. (Freeing its output
 *      from the final bit takes a pass of inflating, and less than a fifth of the time is left as a
 *      gain.)
 *
 * Receiving
 *   3. Whatever 7.2.1 allows inflates: any number of blocks of any kind, final ones too; after
 *      these the next block begins at the next byte and may still refer to what was before.
 *   4. With the tail added, a message ends at the end of a block and of a byte, or it is an error;
 *      so does a message that was cut short, or has anything but blocks after a final one. Two ways
 *      to leave out the last, empty block are in use and harmless, and are accepted: a final block
 *      with nothing after it, and no bytes at all for an empty message (zlib gives none for a
 *      second flush in a row).
 *   5. Memory grows with what was inflated, in steps, and never beyond the limit; there is no other
 *      bound on the ratio.
 *   6. The agreed window is what we keep with context takeover, and a distance beyond it fails once
 *      its bytes are gone; zlib does not look for it before. Without takeover every distance that
 *      deflate has inflates.
 *
 * Not thread-safe: an ln_zpool and everything made from it belong to one loop.
 */
#ifndef LN_DEFLATE_H
#define LN_DEFLATE_H

#include "base/buf.h"
#include "pmd.h"

typedef struct ln_zpool ln_zpool; /* free contexts of one loop; bounded */

ln_zpool *ln_zpool_new(const ln_allocator *alloc);

/* Accepts NULL. Everything made from it has been freed before. */
void ln_zpool_free(ln_zpool *pool);

/* Gives everything kept back to the allocator. */
void ln_zpool_trim(ln_zpool *pool);

/* Bytes kept for later borrowers, for the memory figures. */
size_t ln_zpool_memory(const ln_zpool *pool);

/* One connection's two directions. 48 bytes until something is compressed. */
typedef struct ln_deflate ln_deflate;

/*
 * `is_server`: which side of `params` compresses. `level`: 1-9. NULL when out of memory. The bits
 * of our own direction are 9-15: zlib does not compress with 8, and pmd.h never agrees to.
 */
ln_deflate *ln_deflate_new(ln_zpool *pool, const ln_pmd_params *params, bool is_server, int level);

/* Accepts NULL. */
void ln_deflate_free(ln_deflate *z);

/*
 * Inflates the next bytes of a message's payload, appending to `out`, which never grows beyond
 * `limit` bytes in total over the message: it stops *while* inflating. `is_last`: these bytes end
 * the message (the 00 00 FF FF tail is ours to add). 0; LN_ERR_TOO_BIG; LN_ERR_ENCODING (does not
 * inflate); LN_ERR_NOMEM. After an error only free is allowed. `out` may be emptied by the caller
 * between calls; the limit counts on.
 */
LN_NODISCARD int ln_deflate_inflate(ln_deflate *z, const uint8_t *bytes, size_t n, bool is_last,
                                    ln_buf *out, size_t limit);

/*
 * Compresses the next piece of an outgoing message, appending to `out` all that the peer needs to
 * inflate it; the tail is removed when `is_last`. An empty piece gives nothing, or one byte when it
 * is the last.
 *
 * 0; LN_ERR_NOMEM: nothing was appended, earlier pieces stay good, the same piece may be tried
 * again. With context takeover the output has to be sent, even if it is longer than the input,
 * because later messages refer to it; whoever does not send it calls ln_deflate_forget().
 */
LN_NODISCARD int ln_deflate_compress(ln_deflate *z, const uint8_t *bytes, size_t n, bool is_last,
                                     ln_buf *out);

/* What was compressed last will not be sent: later messages do not refer to it, nor to anything
 * before. */
void ln_deflate_forget(ln_deflate *z);

/*
 * True if whole messages of this side may be replaced by a frame that ln_deflate_shared() made for
 * `bits`: without context takeover, since our context would not know what it should refer to.
 */
bool ln_deflate_is_shareable(const ln_deflate *z, uint8_t *bits);

/* One message compressed without any context, for all connections that are shareable with `bits`,
 * or more. */
LN_NODISCARD int ln_deflate_shared(ln_zpool *pool, int level, uint8_t bits, const uint8_t *bytes,
                                   size_t n, ln_buf *out);

/*
 * Gives back what the protocol does not need now. Sending: the context, at the price of its
 * history. Receiving, between messages: what remains is the window, as much of it as the peer has
 * filled; 32 KiB at most, and 1 KiB if it has sent 1 KiB. The next message gets a context again.
 */
void ln_deflate_idle(ln_deflate *z);

/* Bytes of contexts and windows held now, for the memory figures. */
size_t ln_deflate_memory(const ln_deflate *z);

#endif
