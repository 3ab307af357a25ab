/* SPDX-License-Identifier: MIT */
/*
 * Three layers: a reader for the grammar of RFC 6455 9.1, which knows no extension; an offer, which
 * is the parameters of one permessage-deflate element; and the two sides' judgements of offers.
 */
#include "pmd.h"

#include "charclass.h"

#include <string.h>

static const char extension_name[] = "permessage-deflate";

enum { VALUE_KEPT_BYTES = 3 }; /* one more than any value that means something */

/* The grammar */

typedef struct reader {
    const uint8_t *at;
    const uint8_t *end;
} reader;

typedef struct param {
    ln_span name;
    bool has_value;
    uint8_t size;                    /* of value; VALUE_KEPT_BYTES also stands for longer */
    uint8_t value[VALUE_KEPT_BYTES]; /* without quotes and backslashes */
} param;

static void skip_blanks(reader *r)
{
    while (r->at < r->end && (*r->at == ' ' || *r->at == '\t'))
        r->at++;
}

/* Moves over `c` and the blanks around it, if it is next. */
static bool skip_mark(reader *r, uint8_t c)
{
    skip_blanks(r);
    if (r->at == r->end || *r->at != c)
        return false;
    r->at++;
    skip_blanks(r);
    return true;
}

static ln_span read_token(reader *r)
{
    const uint8_t *begin = r->at;
    while (r->at < r->end && ln_charclass_has(*r->at, LN_CHAR_TOKEN))
        r->at++;
    return (ln_span){begin, (size_t)(r->at - begin)};
}

static void keep(param *p, uint8_t c)
{
    if (p->size < VALUE_KEPT_BYTES)
        p->value[p->size++] = c;
}

/* After the opening quote. What it spells must be a token (RFC 6455 9.1). */
static int read_quoted(reader *r, param *p)
{
    while (r->at < r->end && *r->at != '"') {
        if (*r->at == '\\' && ++r->at == r->end)
            break;
        if (!ln_charclass_has(*r->at, LN_CHAR_TOKEN))
            return LN_ERR_PROTOCOL;
        keep(p, *r->at++);
    }
    if (r->at == r->end)
        return LN_ERR_PROTOCOL;
    r->at++;
    return 0;
}

static int read_value(reader *r, param *p)
{
    p->has_value = true;
    if (r->at < r->end && *r->at == '"') {
        r->at++;
        if (read_quoted(r, p) < 0)
            return LN_ERR_PROTOCOL;
    } else {
        const ln_span token = read_token(r);
        for (size_t i = 0; i < ln_min_size(token.size, VALUE_KEPT_BYTES); i++)
            keep(p, ((const uint8_t *)token.data)[i]);
    }
    return p->size > 0 ? 0 : LN_ERR_PROTOCOL;
}

/* The next element's name, behind empty elements (RFC 9110 5.6.1.2). 1, 0 at the end,
 * LN_ERR_PROTOCOL. */
static int read_extension(reader *r, ln_span *name)
{
    while (skip_mark(r, ','))
        ;
    if (r->at == r->end)
        return 0;
    *name = read_token(r);
    return name->size > 0 ? 1 : LN_ERR_PROTOCOL;
}

/* The next parameter of the element. 1, 0 when the element has ended, LN_ERR_PROTOCOL. */
static int read_param(reader *r, param *p)
{
    if (!skip_mark(r, ';'))
        return r->at == r->end || *r->at == ',' ? 0 : LN_ERR_PROTOCOL;
    *p = (param){.name = read_token(r)};
    if (p->name.size == 0)
        return LN_ERR_PROTOCOL;
    if (skip_mark(r, '=') && read_value(r, p) < 0)
        return LN_ERR_PROTOCOL;
    return 1;
}

/* The offer */

enum { SERVER_TAKEOVER, CLIENT_TAKEOVER, SERVER_BITS, CLIENT_BITS, PARAMS };

static const char *const param_names[PARAMS] = {
    [SERVER_TAKEOVER] = "server_no_context_takeover",
    [CLIENT_TAKEOVER] = "client_no_context_takeover",
    [SERVER_BITS] = "server_max_window_bits",
    [CLIENT_BITS] = "client_max_window_bits",
};

/* One element's parameters as they stand on the wire. */
typedef struct offer {
    bool has[PARAMS];
    uint8_t bits[PARAMS]; /* of the two that have some; 0 = no value */
    bool is_valid;        /* only known parameters, each once, with values they can have */
} offer;

/* "8" to "15", spelled so; 0 for anything else. */
static uint8_t parse_bits(const param *p)
{
    if (p->size == 1 && (p->value[0] == '8' || p->value[0] == '9'))
        return (uint8_t)(p->value[0] - '0');
    if (p->size == 2 && p->value[0] == '1' && p->value[1] >= '0' && p->value[1] <= '5')
        return (uint8_t)(10 + p->value[1] - '0');
    return 0;
}

static bool add_param(offer *o, const param *p)
{
    size_t i = 0;
    while (i < PARAMS && !ln_text_equal(p->name, ln_text(param_names[i])))
        i++;
    if (i == PARAMS || o->has[i])
        return false;

    o->has[i] = true;
    o->bits[i] = parse_bits(p);
    if (i == SERVER_TAKEOVER || i == CLIENT_TAKEOVER)
        return !p->has_value;
    return p->has_value ? o->bits[i] != 0 : i == CLIENT_BITS;
}

enum { NONE, OURS, OTHER };

/* A walk over the elements of all our fields of a head. */
typedef struct walk {
    const ln_head *head;
    unsigned field; /* the next to look at */
    reader reader;  /* within the one before */
} walk;

static bool open_next_field(walk *w)
{
    LN_ASSERT(w->field <= w->head->field_count && w->head->field_count <= LN_HEAD_FIELDS_MAX);
    while (w->field < w->head->field_count) {
        const ln_field *field = &w->head->fields[w->field++];
        if (!ln_text_equal_nocase(field->name, LN_SPAN("Sec-WebSocket-Extensions")))
            continue;
        LN_ASSERT(field->value.data != NULL);
        const uint8_t *begin = field->value.data;
        w->reader = (reader){.at = begin, .end = begin + field->value.size};
        return true;
    }
    return false;
}

/* Reads the next element to its end: OURS (permessage-deflate), OTHER, NONE at the end, or
 * LN_ERR_PROTOCOL. */
static int next_offer(walk *w, offer *o)
{
    ln_span name;
    param p;
    int rc;

    while ((rc = read_extension(&w->reader, &name)) == 0)
        if (!open_next_field(w))
            return NONE;
    if (rc < 0)
        return rc;

    *o = (offer){.is_valid = true};
    while ((rc = read_param(&w->reader, &p)) > 0)
        if (!add_param(o, &p))
            o->is_valid = false;
    if (rc < 0)
        return rc;
    return ln_text_equal(name, ln_text(extension_name)) ? OURS : OTHER;
}

/* The judgements */

static uint8_t at_least_9(uint8_t bits)
{
    return bits < LN_PMD_BITS_MIN ? LN_PMD_BITS_MIN : bits;
}

static uint8_t smaller(uint8_t a, uint8_t b)
{
    return a < b ? a : b;
}

/* What an offer's window parameter allows: its value, or all if it has none. */
static uint8_t bits_of(const offer *o, size_t i)
{
    return o->bits[i] != 0 ? o->bits[i] : LN_PMD_BITS_MAX;
}

/*
 * What is agreed with a server if it takes this offer, and the parameters of its answer. False: it
 * cannot.
 *
 * The client's window can only be bounded where the client said that it knows how (RFC 7692
 * 7.1.2.2).
 */
static bool agree(const offer *o, const ln_pmd_params *wish, ln_pmd_params *agreed, offer *answer)
{
    const uint8_t server_bits =
        smaller(bits_of(o, SERVER_BITS), at_least_9(wish->server_max_window_bits));
    const uint8_t client_bits =
        smaller(bits_of(o, CLIENT_BITS), at_least_9(wish->client_max_window_bits));

    if (!o->is_valid || server_bits < LN_PMD_BITS_MIN)
        return false;
    if (client_bits < LN_PMD_BITS_MAX && !o->has[CLIENT_BITS])
        return false;

    *agreed = (ln_pmd_params){
        .server_no_context_takeover = wish->server_no_context_takeover || o->has[SERVER_TAKEOVER],
        .client_no_context_takeover = wish->client_no_context_takeover || o->has[CLIENT_TAKEOVER],
        .server_max_window_bits = server_bits,
        .client_max_window_bits = at_least_9(client_bits),
    };
    *answer = (offer){
        .has = {[SERVER_TAKEOVER] = agreed->server_no_context_takeover,
                [CLIENT_TAKEOVER] = agreed->client_no_context_takeover,
                [SERVER_BITS] = server_bits < LN_PMD_BITS_MAX || o->has[SERVER_BITS],
                [CLIENT_BITS] = client_bits < LN_PMD_BITS_MAX},
        .bits = {[SERVER_BITS] = server_bits, [CLIENT_BITS] = client_bits},
    };
    return true;
}

static size_t put(char *text, size_t at, const char *piece)
{
    const size_t n = strlen(piece);
    LN_ASSERT(at + n <= LN_PMD_TEXT_MAX_BYTES);
    memcpy(text + at, piece, n);
    return at + n;
}

/* The element for an offer or answer. */
static size_t write_offer(const offer *o, char *text)
{
    size_t n = put(text, 0, extension_name);
    for (size_t i = 0; i < PARAMS; i++) {
        if (!o->has[i])
            continue;
        n = put(text, n, "; ");
        n = put(text, n, param_names[i]);
        if (o->bits[i] == 0)
            continue;
        const char digits[] = {(char)('0' + o->bits[i] / 10), (char)('0' + o->bits[i] % 10), '\0'};
        n = put(text, n, "=");
        n = put(text, n, digits[0] == '0' ? digits + 1 : digits);
    }
    return n;
}

static bool is_wish(const ln_pmd_params *wish)
{
    return wish->server_max_window_bits >= 8 && wish->server_max_window_bits <= LN_PMD_BITS_MAX &&
           wish->client_max_window_bits <= LN_PMD_BITS_MAX &&
           (wish->client_max_window_bits >= 8 || wish->client_max_window_bits == 0);
}

int ln_pmd_accept(const ln_head *head, const ln_pmd_params *wish, ln_pmd_params *agreed,
                  char text[LN_PMD_TEXT_MAX_BYTES], size_t *length)
{
    LN_ASSERT(is_wish(wish) && wish->client_max_window_bits != 0);
    walk w = {.head = head};
    bool is_agreed = false;
    ln_pmd_params params;
    offer o, answer;
    int rc;

    while ((rc = next_offer(&w, &o)) > 0)
        is_agreed = is_agreed || (rc == OURS && agree(&o, wish, &params, &answer));
    if (rc < 0)
        return rc;
    if (!is_agreed)
        return 0;
    *agreed = params;
    *length = write_offer(&answer, text);
    return 1;
}

size_t ln_pmd_write_offer(const ln_pmd_params *wish, char text[LN_PMD_TEXT_MAX_BYTES])
{
    LN_ASSERT(is_wish(wish));
    const uint8_t server_bits = at_least_9(wish->server_max_window_bits);
    const uint8_t client_bits = at_least_9(wish->client_max_window_bits);
    const offer o = {
        .has = {[SERVER_TAKEOVER] = wish->server_no_context_takeover,
                [CLIENT_TAKEOVER] = wish->client_no_context_takeover,
                [SERVER_BITS] = server_bits < LN_PMD_BITS_MAX,
                [CLIENT_BITS] = wish->client_max_window_bits != 0},
        .bits = {[SERVER_BITS] = server_bits,
                 [CLIENT_BITS] = client_bits < LN_PMD_BITS_MAX ? client_bits : 0},
    };
    return write_offer(&o, text);
}

/* A client's judgement of the server's answer to what ln_pmd_write_offer() wrote for `offered`. */
static bool check_answer(const offer *o, const ln_pmd_params *offered, ln_pmd_params *agreed)
{
    const bool offers_client_bits = offered->client_max_window_bits != 0;
    const uint8_t server_max = at_least_9(offered->server_max_window_bits);
    const uint8_t client_max =
        offers_client_bits ? at_least_9(offered->client_max_window_bits) : LN_PMD_BITS_MAX;

    if (!o->is_valid || bits_of(o, SERVER_BITS) > server_max)
        return false;
    if (offered->server_no_context_takeover && !o->has[SERVER_TAKEOVER])
        return false;
    if (o->has[CLIENT_BITS]) {
        const uint8_t bits = o->bits[CLIENT_BITS];
        if (!offers_client_bits || bits < LN_PMD_BITS_MIN || bits > client_max)
            return false;
    }
    *agreed = (ln_pmd_params){
        .server_no_context_takeover = o->has[SERVER_TAKEOVER],
        .client_no_context_takeover =
            o->has[CLIENT_TAKEOVER] || offered->client_no_context_takeover,
        .server_max_window_bits = at_least_9(bits_of(o, SERVER_BITS)),
        .client_max_window_bits = smaller(bits_of(o, CLIENT_BITS), client_max),
    };
    return true;
}

int ln_pmd_check(const ln_head *head, const ln_pmd_params *offered, ln_pmd_params *agreed)
{
    LN_ASSERT(is_wish(offered));
    walk w = {.head = head};
    bool is_agreed = false;
    ln_pmd_params params;
    offer o;
    int rc;

    while ((rc = next_offer(&w, &o)) > 0) {
        if (is_agreed || rc != OURS || !check_answer(&o, offered, &params))
            return LN_ERR_PROTOCOL;
        is_agreed = true;
    }
    if (rc < 0)
        return rc;
    if (!is_agreed)
        return 0;
    *agreed = params;
    return 1;
}
