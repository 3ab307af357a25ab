/* SPDX-License-Identifier: MIT */
#include "keyring.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "secret.h"

/* ---- files ---- */

static int fail(char *why, int rc, const char *file, unsigned line, const char *sentence)
{
    if (line > 0)
        snprintf(why, LN_KEYRING_WHY_SIZE, "%s, line %u: %s", file, line, sentence);
    else
        snprintf(why, LN_KEYRING_WHY_SIZE, "%s: %s", file, sentence);
    return rc;
}

static int fail_to_read(char *why, const char *file)
{
    const int rc = errno == ENOENT ? LN_ERR_NOT_FOUND : errno == EACCES ? LN_ERR_ACCESS : LN_ERR_IO;
    return fail(why, rc, file, 0, strerror(errno));
}

/* All that is left of it, NUL-terminated. */
static int read_rest(FILE *in, char **text, size_t *size)
{
    size_t have = 0, room = 4096;
    char *bytes = malloc(room);

    while (bytes != NULL) {
        have += fread(bytes + have, 1, room - 1 - have, in);
        if (have < room - 1 || room > LN_KEYRING_FILE_MAX_BYTES)
            break;
        room *= 2;
        char *const more = realloc(bytes, room);
        if (more == NULL)
            free(bytes);
        bytes = more;
    }
    if (bytes == NULL)
        return LN_ERR_NOMEM;
    if (ferror(in) || have > LN_KEYRING_FILE_MAX_BYTES) {
        free(bytes);
        return ferror(in) ? LN_ERR_IO : LN_ERR_LIMIT;
    }
    bytes[have] = '\0';
    *text = bytes;
    *size = have;
    return 0;
}

static int read_file(const char *file, char **text, size_t *size, char *why)
{
    FILE *const in = fopen(file, "re");

    if (in == NULL)
        return fail_to_read(why, file);
    const int rc = read_rest(in, text, size);
    fclose(in);
    return rc < 0 ? fail(why, rc, file, 0, ln_strerror(rc)) : 0;
}

/* ---- passwords ---- */

/* "ROOM:HASH", cut in place. What is wrong with it, or NULL. */
static const char *cut_line(char *line, ln_rooms_password *password)
{
    char *const colon = strrchr(line, ':');

    if (colon == NULL || colon == line)
        return "it is not ROOM:HASH";
    *colon = '\0';
    *password = (ln_rooms_password){line, colon + 1};
    return ln_password_is_hash(ln_text(password->hash)) ? NULL
                                                        : "what follows the colon is no hash";
}

/* The line at `at`, without its end and the blanks around it; *at moves on, NULL after the last. */
static char *take_line(char **at)
{
    char *line = *at;
    char *const end = strchr(line, '\n');

    *at = end == NULL ? NULL : end + 1;
    if (end != NULL)
        *end = '\0';
    size_t size = strlen(line);
    if (size > 0 && line[size - 1] == '\r') /* another one is a mistake, and no end of the line */
        size--;
    const ln_span trimmed = ln_text_trim((ln_span){line, size});
    line += (const char *)trimmed.data - line;
    line[trimmed.size] = '\0';
    return line;
}

static int read_lines(ln_keyring *k, const char *file, char *why)
{
    char *at = k->passwords;

    for (unsigned number = 1; at != NULL; number++) {
        char *const line = take_line(&at);
        if (*line == '\0' || *line == '#')
            continue;
        if (k->policy.password_count == LN_KEYRING_LINES_MAX)
            return fail(why, LN_ERR_LIMIT, file, number, "there are too many passwords");
        const char *const mistake = cut_line(line, &k->list[k->policy.password_count]);
        if (mistake != NULL)
            return fail(why, LN_ERR_INVALID, file, number, mistake);
        k->policy.password_count++;
    }
    if (k->policy.password_count == 0) /* cut short: no reason to open all rooms */
        return fail(why, LN_ERR_INVALID, file, 0, "there is no password in it");
    return 0;
}

static int read_passwords(ln_keyring *k, const char *file, char *why)
{
    size_t size;

    const int rc = read_file(file, &k->passwords, &size, why);
    if (rc < 0)
        return rc;
    if (strlen(k->passwords) != size)
        return fail(why, LN_ERR_INVALID, file, 0, "it is no text");
    size_t lines = 1;
    for (size_t i = 0; i < size; i++)
        lines += k->passwords[i] == '\n';
    k->list = calloc(lines < LN_KEYRING_LINES_MAX ? lines : LN_KEYRING_LINES_MAX, sizeof *k->list);
    if (k->list == NULL)
        return fail(why, LN_ERR_NOMEM, file, 0, ln_strerror(LN_ERR_NOMEM));
    k->policy.passwords = k->list;
    return read_lines(k, file, why);
}

/* ---- rules and keys ---- */

int ln_keyring_read_rules(const char *file, ln_rules **rules, char why[LN_KEYRING_WHY_SIZE])
{
    ln_rules_error error;
    char *text;
    size_t size;

    int rc = read_file(file, &text, &size, why);
    if (rc < 0)
        return rc;
    rc = ln_rules_new(NULL, (ln_span){text, size}, rules, &error);
    free(text);
    return rc < 0 ? fail(why, rc, file, error.line, error.sentence) : 0;
}

static int make_auth(ln_keyring *k, const ln_serve_settings *s, ln_span secret, char *why)
{
    char reason[LN_AUTH_WHY_SIZE];

    if (secret.size == 0 && s->auth_keys.count == 0 && s->auth_jwks == NULL)
        return 0;
    const ln_auth_options options = {.secrets = &secret,
                                     .secret_count = secret.size > 0,
                                     .key_files = (const char *const *)s->auth_keys.items,
                                     .key_file_count = s->auth_keys.count,
                                     .jwks_file = s->auth_jwks,
                                     .issuer = s->auth_issuer,
                                     .audience = s->auth_audience};
    const int rc = ln_auth_new(&options, &k->policy.auth, reason);
    return rc < 0 ? fail(why, rc, "tokens", 0, reason) : 0;
}

static int read_auth(ln_keyring *k, const ln_serve_settings *s, const char *secret, char *why)
{
    char room[LN_SECRET_SIZE];

    if (s->auth_secret_file == NULL)
        return make_auth(k, s, ln_text(secret), why);
    int rc = ln_secret_read(s->auth_secret_file, room);
    if (rc < 0)
        return fail(why, rc, s->auth_secret_file, 0, ln_strerror(rc));
    rc = make_auth(k, s, ln_text(room), why);
    ln_secret_wipe(room);
    return rc;
}

int ln_keyring_read(ln_keyring *k, const ln_serve_settings *s, const char *secret,
                    char why[LN_KEYRING_WHY_SIZE])
{
    *k = (ln_keyring){.passwords = NULL};
    int rc = read_auth(k, s, secret, why);
    if (rc == 0 && s->rules_file != NULL)
        rc = ln_keyring_read_rules(s->rules_file, &k->policy.rules, why);
    if (rc == 0 && s->passwords_file != NULL)
        rc = read_passwords(k, s->passwords_file, why);
    if (rc < 0)
        ln_keyring_free(k);
    return rc;
}

void ln_keyring_free(ln_keyring *k)
{
    ln_auth_unref(k->policy.auth);
    ln_rules_unref(k->policy.rules);
    free(k->list);
    free(k->passwords);
    *k = (ln_keyring){.passwords = NULL};
}
