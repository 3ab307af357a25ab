/* SPDX-License-Identifier: MIT */
/*
 * base - what every file may assume: assertions, attributes, small arithmetic.
 *
 * The only place below `net` with compiler-specific code or #if.
 */
#ifndef LN_BASE_H
#define LN_BASE_H

#include <linnet/types.h>

#if !defined(__GNUC__)
#error "linnet needs GCC or Clang"
#endif

/* Built with ASan or MSan: caches of freed memory keep nothing, so that a stale pointer is caught.
 * Always 0 or 1. */
#if defined(__SANITIZE_ADDRESS__)
#define LN_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(memory_sanitizer)
#define LN_SANITIZED 1
#endif
#endif
#if !defined(LN_SANITIZED)
#define LN_SANITIZED 0
#endif

/* The processors that have vector code of their own. */
#if defined(__x86_64__)
#define LN_ARCH_X86 1
#elif defined(__aarch64__)
#define LN_ARCH_ARM 1
#endif
#define LN_IS_LITTLE_ENDIAN              (__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__)

#define LN_LIKELY(x)                     __builtin_expect(!!(x), 1)
#define LN_UNLIKELY(x)                   __builtin_expect(!!(x), 0)
#define LN_HOT                           __attribute__((hot))
#define LN_COLD                          __attribute__((cold))
#define LN_INLINE                        static inline __attribute__((always_inline))
#define LN_PRINTF(text, first)           __attribute__((format(printf, text, first)))
#define LN_NODISCARD                     __attribute__((warn_unused_result))
#define LN_TARGET(isa)                   __attribute__((target(isa))) /* processors with it */
#define LN_BEFORE_MAIN                   __attribute__((constructor))
#define LN_PREFETCH(p)                   __builtin_prefetch(p)

#define LN_ARRAY_SIZE(a)                 (sizeof(a) / sizeof((a)[0]))
#define LN_CONTAINER_OF(p, type, member) ((type *)((char *)(p)-offsetof(type, member)))

/*
 * Our own mistakes, never a peer's. Stays in release builds: an assertion costs a predicted branch,
 * a wrong state costs somebody else's data.
 */
#define LN_ASSERT(x) (LN_LIKELY(x) ? (void)0 : ln_assert_failed(#x, __FILE__, __LINE__))
_Noreturn void ln_assert_failed(const char *what, const char *file, int line);

LN_INLINE size_t ln_min_size(size_t a, size_t b)
{
    return a < b ? a : b;
}

LN_INLINE size_t ln_max_size(size_t a, size_t b)
{
    return a > b ? a : b;
}

/* Numbers at any address. Written out, not looped: this is the form both compilers turn into one
 * instruction. */
LN_INLINE uint16_t ln_load_be16(const uint8_t *p)
{
    return (uint16_t)(p[0] << 8 | p[1]);
}

LN_INLINE uint32_t ln_load_be32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

LN_INLINE uint64_t ln_load_be64(const uint8_t *p)
{
    return (uint64_t)ln_load_be32(p) << 32 | ln_load_be32(p + 4);
}

LN_INLINE uint32_t ln_load_le32(const uint8_t *p)
{
    return (uint32_t)p[3] << 24 | (uint32_t)p[2] << 16 | (uint32_t)p[1] << 8 | p[0];
}

LN_INLINE uint64_t ln_load_le64(const uint8_t *p)
{
    return (uint64_t)ln_load_le32(p + 4) << 32 | ln_load_le32(p);
}

LN_INLINE void ln_store_be16(uint8_t *p, uint16_t v)
{
    p[0] = (uint8_t)(v >> 8);
    p[1] = (uint8_t)v;
}

LN_INLINE void ln_store_be32(uint8_t *p, uint32_t v)
{
    p[0] = (uint8_t)(v >> 24);
    p[1] = (uint8_t)(v >> 16);
    p[2] = (uint8_t)(v >> 8);
    p[3] = (uint8_t)v;
}

LN_INLINE void ln_store_be64(uint8_t *p, uint64_t v)
{
    ln_store_be32(p, (uint32_t)(v >> 32));
    ln_store_be32(p + 4, (uint32_t)v);
}

#endif
