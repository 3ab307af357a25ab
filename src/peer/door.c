/* SPDX-License-Identifier: MIT */
/*
 * door.c - listening addresses: bound when they are named, opened by the workers, and their
 * certificates renewed.
 */
#include <string.h>

#include "serverinner.h"

/* ---- copies of the TLS options: reloading reads the same files again ---- */

static int copy_text(const char *from, const char **to, const ln_allocator *alloc)
{
    *to = NULL;
    if (from == NULL)
        return 0;
    *to = ln_strndup(alloc, from, strlen(from));
    return *to == NULL ? LN_ERR_NOMEM : 0;
}

static int copy_identity(const ln_tls_identity *from, ln_tls_identity *to,
                         const ln_allocator *alloc)
{
    int rc = copy_text(from->cert_file, &to->cert_file, alloc);
    if (rc == 0)
        rc = copy_text(from->key_file, &to->key_file, alloc);
    if (rc == 0)
        rc = copy_text(from->pkcs12_file, &to->pkcs12_file, alloc);
    if (rc == 0)
        rc = copy_text(from->passphrase, &to->passphrase, alloc);
    if (rc == 0)
        rc = copy_text(from->server_name, &to->server_name, alloc);
    return rc;
}

static int copy_options(ln_door *door, const ln_tls_options *from, const ln_allocator *alloc)
{
    if (from->identity_count == 0)
        return LN_ERR_INVALID;
    door->identities = ln_alloc_zero(alloc, from->identity_count * sizeof *door->identities);
    if (door->identities == NULL)
        return LN_ERR_NOMEM;
    door->tls_options.identities = door->identities;
    door->tls_options.identity_count = from->identity_count;
    for (size_t i = 0; i < from->identity_count; i++) {
        const int rc = copy_identity(&from->identities[i], &door->identities[i], alloc);
        if (rc < 0)
            return rc;
    }
    return copy_text(from->ca_file, &door->tls_options.ca_file, alloc);
}

static void free_text(const char *text, const ln_allocator *alloc)
{
    ln_free(alloc, (void *)(uintptr_t)text);
}

static void free_options(ln_door *door, const ln_allocator *alloc)
{
    for (size_t i = 0; door->identities != NULL && i < door->tls_options.identity_count; i++) {
        const ln_tls_identity *const id = &door->identities[i];
        free_text(id->cert_file, alloc);
        free_text(id->key_file, alloc);
        free_text(id->pkcs12_file, alloc);
        free_text(id->passphrase, alloc);
        free_text(id->server_name, alloc);
    }
    free_text(door->tls_options.ca_file, alloc);
    ln_free(alloc, door->identities);
}

static int read_certificates(ln_server *s, const ln_door *door, ln_tls_context **tls)
{
    char error[LN_TLS_ERROR_MAX] = "";

    const int rc = ln_tls_context_new_server(&door->tls_options, s->alloc, tls, error);
    if (rc < 0)
        ln_log_say(&s->log, LN_LOG_ERROR, 0, "certificates cannot be used",
                   ln_log_pair("listener", ln_text(door->text)),
                   ln_log_pair("reason", ln_text(error)));
    return rc;
}

/* ---- opening ---- */

/* One socket a worker; the first decides the port if it was left open. A Unix socket is one,
 * shared. */
static int bind_all(ln_server *s, ln_door *door)
{
    const bool is_local = ln_text_has_prefix(ln_text(door->text), LN_SPAN("unix"));
    const bool is_shared = s->worker_count > 1 && !is_local;
    ln_address address = door->address;

    int rc = is_shared ? ln_listen_probe(&address) : 0;
    for (unsigned i = 0; i < s->worker_count && rc == 0; i++) {
        if (i > 0 && is_local)
            rc = ln_fd_duplicate(door->fds[0], &door->fds[i]);
        else
            rc = ln_listen(&address, is_shared, &door->fds[i]);
        if (rc == 0 && i == 0 && !is_local)
            rc = ln_address_of_self(door->fds[0], &address);
    }
    if (rc == 0)
        door->address = address;
    return rc;
}

int ln_door_open(ln_server *s, const char *address, const ln_tls_options *tls)
{
    if (atomic_load(&s->state) != LN_SERVER_NEW)
        return LN_ERR_STATE;
    if (s->door_count == LN_DOORS_MAX)
        return LN_ERR_LIMIT;
    ln_door *const door = &s->doors[s->door_count];
    *door = (ln_door){.tls = NULL};
    for (unsigned i = 0; i < LN_WORKERS_MAX; i++)
        door->fds[i] = -1;
    int rc = ln_address_parse(ln_text(address), &door->address);
    if (rc == 0) {
        const size_t n = ln_address_write(&door->address, door->text);
        door->text[n] = '\0';
    }
    if (rc == 0 && tls != NULL)
        rc = copy_options(door, tls, s->alloc);
    if (rc == 0 && tls != NULL)
        rc = read_certificates(s, door, &door->tls);
    if (rc == 0)
        rc = bind_all(s, door);
    if (rc < 0)
        ln_door_close(door, s->alloc);
    else
        s->door_count++;
    return rc;
}

void ln_door_close(ln_door *door, const ln_allocator *alloc)
{
    for (unsigned i = 0; i < LN_WORKERS_MAX; i++) {
        if (door->fds[i] >= 0)
            ln_fd_close(door->fds[i]);
        door->fds[i] = -1;
    }
    ln_tls_context_unref(door->tls);
    door->tls = NULL;
    free_options(door, alloc);
}

/* ---- renewing certificates ---- */

/* Brings a worker the new context; its next connections use it, the others keep the old one. */
typedef struct renewal {
    ln_letter letter;
    ln_worker_door *door;
    ln_tls_context *tls;
    const ln_allocator *alloc;
} renewal;

static void on_renewal(ln_letter *letter, ln_loop *loop)
{
    renewal *const r = LN_CONTAINER_OF(letter, renewal, letter);

    if (loop != NULL) {
        ln_tls_context_unref(r->door->tls);
        r->door->tls = r->tls;
    } else {
        ln_tls_context_unref(r->tls);
    }
    ln_free(r->alloc, r);
}

static int renew_worker(ln_worker *w, unsigned index, ln_tls_context *tls)
{
    renewal *const r = ln_alloc(w->home.alloc, sizeof *r);
    if (r == NULL)
        return LN_ERR_NOMEM;
    *r = (renewal){.letter = {.handle = on_renewal},
                   .door = &w->doors[index],
                   .tls = ln_tls_context_ref(tls),
                   .alloc = w->home.alloc};
    ln_loop_send_letter(w->home.loop, &r->letter);
    return 0;
}

static int renew_door(ln_server *s, unsigned index)
{
    ln_door *const door = &s->doors[index];
    ln_tls_context *fresh;

    int rc = read_certificates(s, door, &fresh);
    if (rc < 0)
        return rc;
    for (unsigned i = 0;
         i < s->worker_count && rc == 0 && atomic_load(&s->state) == LN_SERVER_RUNNING; i++)
        rc = renew_worker(&s->workers[i], index, fresh);
    ln_tls_context_unref(door->tls);
    door->tls = fresh;
    return rc;
}

int ln_server_reload(ln_server *s)
{
    int result = 0;

    ln_lock_take(&s->reload_lock);
    for (unsigned i = 0; i < s->door_count; i++) {
        if (s->doors[i].tls == NULL)
            continue;
        const int rc = renew_door(s, i);
        if (rc < 0)
            result = rc;
    }
    ln_lock_give(&s->reload_lock);
    if (result == 0)
        ln_log_say(&s->log, LN_LOG_INFO, 0, "certificates reloaded",
                   ln_log_number("listeners", s->door_count));
    return result;
}
