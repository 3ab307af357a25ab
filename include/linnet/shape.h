/* SPDX-License-Identifier: MIT */
/*
 * linnet/shape.h - structs as JSON and back, checked: a table names the members of a struct, and
 * what a peer sent is either all that the struct can hold, or an error that says where and why.
 *
 *   typedef struct place { double x, y; } place;
 *   LN_SHAPE(place, LN_FIELD(place, x), LN_FIELD(place, y));
 *
 *   typedef struct player {
 *       char name[32];
 *       uint8_t level;
 *       place at;
 *       uint32_t score_count;
 *       int64_t scores[8];
 *       bool has_guild;
 *       char guild[16];
 *   } player;
 *   LN_SHAPE(player,
 *            LN_FIELD(player, name),
 *            LN_FIELD(player, level),
 *            LN_FIELD_SHAPE(player, at, place),
 *            LN_FIELD_ARRAY(player, scores, score_count, .as = "bestScores"),
 *            LN_FIELD(player, guild, LN_PRESENT(player, has_guild)));
 *
 * makes player_read() and player_write(). What a member is comes from its declaration; a type that
 * is not in this table does not compile:
 *
 *   bool                  true or false
 *   integers, all widths  a whole number (1, 1.0 and 1e2 are) within the type's range; beyond 2^53
 *                         in plain digits (and pages round it)
 *   float, double         a number within range; written so that it reads back the same
 *   char[N]               a string of at most N - 1 bytes of UTF-8 without NUL, terminated
 *   ln_span               any JSON, null included, as it stands; borrowed from the text
 *   a struct              an object, by its own shape: LN_FIELD_SHAPE
 *   arrays of all these   as many as fit; an unsigned member counts them: LN_FIELD_ARRAY and
 *                         LN_FIELD_SHAPE_ARRAY
 *
 * Every member has to be there, once, unless it is optional; null is then as good as nothing. What
 * the struct does not have is passed over, or refused by LN_SHAPE_STRICT. No memory is allocated.
 * Any thread. The macros are C, not C++.
 */
#ifndef LINNET_SHAPE_H
#define LINNET_SHAPE_H

#include <linnet/json.h>

#ifdef __cplusplus
extern "C" {
#endif

enum {
    LN_SHAPE_FIELDS_MAX = 64, /* of one struct; more do not compile */
    LN_SHAPE_WHY_SIZE = 160   /* bytes of a sentence, its NUL included */
};

/* What a member holds. */
enum ln_shape_type {
    LN_SHAPE_BOOL,
    LN_SHAPE_SIGNED,
    LN_SHAPE_UNSIGNED,
    LN_SHAPE_REAL,
    LN_SHAPE_TEXT,
    LN_SHAPE_JSON,
    LN_SHAPE_STRUCT
};

typedef struct ln_shape ln_shape;

/* A member, as the macros below describe it. `as` and `is_optional` are for you to set, behind the
 * other arguments of a macro. */
typedef struct ln_shape_field {
    const char *name;        /* in C */
    const char *as;          /* in JSON; NULL = the same */
    const ln_shape *shape;   /* of LN_SHAPE_STRUCT */
    enum ln_shape_type type; /* of one element */
    bool is_optional;        /* absent: not touched; written always */
    bool is_array;
    size_t offset;       /* bytes */
    size_t size;         /* of one element, bytes */
    size_t capacity;     /* of an array, elements */
    size_t count_offset; /* of the member that counts them, and its size */
    size_t count_size;
    size_t present; /* 1 + the offset of the bool that says whether it is there; 0 = none does */
} ln_shape_field;

struct ln_shape {
    const ln_shape_field *fields;
    size_t field_count;
    bool is_strict; /* members that are not among the fields are refused */
};

/*
 * Reads an object into the struct that `shape` describes. `json`: empty means {}. `why`: NULL, or
 * room for a sentence about what is wrong, such as "at.x: missing" or "scores[3]: above 255".
 * *value is written only on success; spans in it are borrowed from `json`.
 *
 * LN_ERR_PROTOCOL: no JSON. LN_ERR_INVALID: JSON that does not fit, which is also what a handler
 * returns for it (linnet/rpc.h).
 */
LN_API int ln_shape_read(const ln_shape *shape, ln_span json, void *value, char *why);

/*
 * Writes the struct as an object, members in the order of the shape, into `buffer` of `size` bytes,
 * NUL-terminated. Its length.
 *
 * LN_ERR_LIMIT: it does not fit. LN_ERR_INVALID: a text without an end or that is not UTF-8, a
 * number that is none, a span that is no JSON (an empty one is null), a count above the array's.
 */
LN_API int ln_shape_write(const ln_shape *shape, const void *value, char *buffer, size_t size,
                          char *why);

/*
 * The shape of `type`, the name of a struct type: a constant TYPE_shape, and two functions with the
 * contracts above,
 *
 *   int TYPE_read(ln_span json, TYPE *value, char *why);
 *   int TYPE_write(const TYPE *value, char *buffer, size_t size, char *why);
 */
#define LN_SHAPE(type, ...)        LN_SHAPE_MAKE(type, false, __VA_ARGS__)
#define LN_SHAPE_STRICT(type, ...) LN_SHAPE_MAKE(type, true, __VA_ARGS__)

/* A member; an array of such, with the unsigned member that counts what is in it. */
#define LN_FIELD(...)       LN_SHAPE_PLAIN(__VA_ARGS__, .is_array = false)
#define LN_FIELD_ARRAY(...) LN_SHAPE_ARRAY(__VA_ARGS__, .is_array = true)

/* A member that is a struct, or an array of them: the name of their type comes last. */
#define LN_FIELD_SHAPE(...)       LN_SHAPE_NESTED(__VA_ARGS__, .is_array = false)
#define LN_FIELD_SHAPE_ARRAY(...) LN_SHAPE_NESTED_ARRAY(__VA_ARGS__, .is_array = true)

/* Behind the arguments of a field: optional, and a bool of the struct tells whether it is there. */
#define LN_PRESENT(of, flag)                                                                       \
    .is_optional = true, .present = 1 + _Generic(&((of *)0)->flag, bool * : offsetof(of, flag))

/* ---- how; nothing below is for use by itself ---- */

#if defined(__GNUC__)
#define LN_SHAPE_FUNCTION static inline __attribute__((unused))
#else
#define LN_SHAPE_FUNCTION static inline
#endif

#define LN_SHAPE_MAKE(T, strict, ...)                                                              \
    static const ln_shape_field T##_fields[] = {__VA_ARGS__};                                      \
    _Static_assert(sizeof T##_fields / sizeof *T##_fields <= LN_SHAPE_FIELDS_MAX,                  \
                   "too many members for a shape");                                                \
    static const ln_shape T##_shape = {.fields = T##_fields,                                       \
                                       .field_count = sizeof T##_fields / sizeof *T##_fields,      \
                                       .is_strict = (strict)};                                     \
    LN_SHAPE_FUNCTION int T##_read(ln_span json, T *value, char *why)                              \
    {                                                                                              \
        return ln_shape_read(&T##_shape, json, value, why);                                        \
    }                                                                                              \
    LN_SHAPE_FUNCTION int T##_write(const T *value, char *buffer, size_t size, char *why)          \
    {                                                                                              \
        return ln_shape_write(&T##_shape, value, buffer, size, why);                               \
    }                                                                                              \
    struct T##_shape_ends_here

/* Pointers to exactly the type, or to an array of exactly n of it: what _Generic() tells apart. */
#define LN_SHAPE_ONE(type, n)      type *
#define LN_SHAPE_MANY(type, n)     type(*)[n]

#define LN_SHAPE_COUNT(of, member) (sizeof((of *)0)->member / sizeof((of *)0)->member[0])

#define LN_SHAPE_TYPES(POINTER, n)                                                                 \
    POINTER(bool, n)                                                                               \
        : LN_SHAPE_BOOL, POINTER(signed char, n)                                                   \
        : LN_SHAPE_SIGNED, POINTER(short, n)                                                       \
        : LN_SHAPE_SIGNED, POINTER(int, n)                                                         \
        : LN_SHAPE_SIGNED, POINTER(long, n)                                                        \
        : LN_SHAPE_SIGNED, POINTER(long long, n)                                                   \
        : LN_SHAPE_SIGNED, POINTER(unsigned char, n)                                               \
        : LN_SHAPE_UNSIGNED, POINTER(unsigned short, n)                                            \
        : LN_SHAPE_UNSIGNED, POINTER(unsigned, n)                                                  \
        : LN_SHAPE_UNSIGNED, POINTER(unsigned long, n)                                             \
        : LN_SHAPE_UNSIGNED, POINTER(unsigned long long, n)                                        \
        : LN_SHAPE_UNSIGNED, POINTER(float, n)                                                     \
        : LN_SHAPE_REAL, POINTER(double, n) : LN_SHAPE_REAL, POINTER(ln_span, n) : LN_SHAPE_JSON

/* The size of an integer that counts, whose type has to be unsigned. */
#define LN_SHAPE_COUNTER(of, counter)                                                              \
    _Generic(&((of *)0)->counter,                                                                  \
             unsigned char *: sizeof(unsigned char),                                               \
             unsigned short *: sizeof(unsigned short),                                             \
             unsigned *: sizeof(unsigned),                                                         \
             unsigned long *: sizeof(unsigned long),                                               \
             unsigned long long *: sizeof(unsigned long long))

#define LN_SHAPE_PLAIN(of, member, ...)                                                            \
    {                                                                                              \
        .name = #member,                                                                           \
        .type = _Generic(&((of *)0)->member, LN_SHAPE_TYPES(LN_SHAPE_ONE, 0),                      \
                         char(*)[sizeof((of *)0)->member]                                          \
                         : LN_SHAPE_TEXT),                                                         \
        .offset = offsetof(of, member), .size = sizeof((of *)0)->member, __VA_ARGS__               \
    }

#define LN_SHAPE_ARRAY(of, member, counter, ...)                                                   \
    {                                                                                              \
        .name = #member,                                                                           \
        .type = _Generic(&((of *)0)->member,                                                       \
                         LN_SHAPE_TYPES(LN_SHAPE_MANY, LN_SHAPE_COUNT(of, member)),                \
                         char(*)[LN_SHAPE_COUNT(of, member)][sizeof((of *)0)->member[0]]           \
                         : LN_SHAPE_TEXT),                                                         \
        .offset = offsetof(of, member), .size = sizeof((of *)0)->member[0],                        \
        .capacity = LN_SHAPE_COUNT(of, member), .count_offset = offsetof(of, counter),             \
        .count_size = LN_SHAPE_COUNTER(of, counter), __VA_ARGS__                                   \
    }

#define LN_SHAPE_NESTED(of, member, inner, ...)                                                    \
    {                                                                                              \
        .name = #member,                                                                           \
        .shape = _Generic(&((of *)0)->member, inner *                                              \
                          : &inner##_shape),                                                       \
        .type = LN_SHAPE_STRUCT, .offset = offsetof(of, member), .size = sizeof(inner),            \
        __VA_ARGS__                                                                                \
    }

#define LN_SHAPE_NESTED_ARRAY(of, member, counter, inner, ...)                                     \
    {                                                                                              \
        .name = #member,                                                                           \
        .shape = _Generic(&((of *)0)->member, inner(*)[LN_SHAPE_COUNT(of, member)]                 \
                          : &inner##_shape),                                                       \
        .type = LN_SHAPE_STRUCT, .offset = offsetof(of, member), .size = sizeof(inner),            \
        .capacity = LN_SHAPE_COUNT(of, member), .count_offset = offsetof(of, counter),             \
        .count_size = LN_SHAPE_COUNTER(of, counter), __VA_ARGS__                                   \
    }

#ifdef __cplusplus
}
#endif
#endif
