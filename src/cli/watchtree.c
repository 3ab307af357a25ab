/* SPDX-License-Identifier: MIT */
#include "watchtree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdalign.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/text.h"

enum {
    READ_BYTES = 64 << 10,
    EVENTS = IN_CLOSE_WRITE | IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_ONLYDIR |
             IN_EXCL_UNLINK
};

typedef struct folder {
    int wd;
    char *path; /* relative to the root, "" or with a slash at its end */
} folder;

struct ln_watchtree {
    const ln_allocator *alloc;
    int fd;
    uint32_t rest_ms;
    char *root; /* with a slash at its end */
    folder folders[LN_WATCHTREE_FOLDERS_MAX];
    size_t folder_count; /* 0: the root is gone, and looked for at `reopen_ms` */
    uint64_t reopen_ms;
    char *names[LN_WATCHTREE_NAMES_MAX];
    size_t name_count;
    bool is_told; /* the names are lent out: dropped before the next one */
    size_t unnamed;
    uint64_t first_ms, last_ms; /* of the changes that are not told; UINT64_MAX: none */
    const char *trouble;
};

/* ---- what does not count ---- */

bool ln_watchtree_is_ignored(const char *name)
{
    static const char *const whole[] = {"node_modules", "__pycache__", "4913"}; /* vim tries it */
    static const char *const ends[] = {"~",    ".swp",  ".swx",         ".swo",
                                       ".tmp", ".temp", ".crdownload",  ".part",
                                       ".bak", ".orig", "___jb_tmp___", "___jb_old___"};
    const size_t n = strlen(name);

    if (n == 0 || name[0] == '.' || name[0] == '#')
        return true;
    for (size_t i = 0; i < LN_ARRAY_SIZE(whole); i++)
        if (strcmp(name, whole[i]) == 0)
            return true;
    for (size_t i = 0; i < LN_ARRAY_SIZE(ends); i++) {
        const size_t end = strlen(ends[i]);
        if (n >= end && memcmp(name + n - end, ends[i], end) == 0)
            return true;
    }
    return false;
}

/* ---- changes ---- */

static void drop_names(ln_watchtree *t)
{
    for (size_t i = 0; i < t->name_count; i++)
        ln_free(t->alloc, t->names[i]);
    t->name_count = t->unnamed = 0;
    t->trouble = NULL;
    t->is_told = false;
}

static void begin_change(ln_watchtree *t, uint64_t now_ms)
{
    if (t->is_told)
        drop_names(t);
    if (t->first_ms == UINT64_MAX)
        t->first_ms = now_ms;
    t->last_ms = now_ms;
}

/* A change nobody can name: too many, too long, no memory, or the system lost track. */
static void note_unnamed(ln_watchtree *t, uint64_t now_ms)
{
    begin_change(t, now_ms);
    t->unnamed++;
}

static void note_trouble(ln_watchtree *t, uint64_t now_ms, const char *sentence)
{
    note_unnamed(t, now_ms);
    t->trouble = sentence;
}

static void note_name(ln_watchtree *t, uint64_t now_ms, const char *path)
{
    begin_change(t, now_ms);
    for (size_t i = 0; i < t->name_count; i++)
        if (strcmp(t->names[i], path) == 0)
            return;
    char *const copy =
        t->name_count < LN_WATCHTREE_NAMES_MAX ? ln_strndup(t->alloc, path, strlen(path)) : NULL;
    if (copy == NULL)
        t->unnamed++;
    else
        t->names[t->name_count++] = copy;
}

/* ---- folders ---- */

static folder *find_folder(ln_watchtree *t, int wd)
{
    for (size_t i = 0; i < t->folder_count; i++)
        if (t->folders[i].wd == wd)
            return &t->folders[i];
    return NULL;
}

static void forget_folder(ln_watchtree *t, folder *f)
{
    ln_free(t->alloc, f->path);
    *f = t->folders[--t->folder_count];
}

/* All at and below `path`, which ends with a slash: it was moved away, or the tree is read anew. */
static void unwatch(ln_watchtree *t, const char *path)
{
    for (size_t i = t->folder_count; i-- > 0;) {
        folder *const f = &t->folders[i];
        if (strncmp(f->path, path, strlen(path)) != 0)
            continue;
        inotify_rm_watch(t->fd, f->wd); /* fails if it is gone already */
        forget_folder(t, f);
    }
}

static int error_of_watch(void)
{
    switch (errno) {
    case ENOENT:
    case ENOTDIR:
        return LN_ERR_NOT_FOUND;
    case EACCES:
        return LN_ERR_ACCESS;
    case ENOSPC:
        return LN_ERR_LIMIT;
    case ENOMEM:
        return LN_ERR_NOMEM;
    default:
        return LN_ERR_IO;
    }
}

/* Below the root no link is followed: that could lead in circles. */
static int watch_folder(ln_watchtree *t, const char *path)
{
    const uint32_t events = path[0] == '\0' ? EVENTS | IN_MOVE_SELF : EVENTS | IN_DONT_FOLLOW;
    char whole[PATH_MAX];

    if (t->folder_count == LN_WATCHTREE_FOLDERS_MAX)
        return LN_ERR_LIMIT;
    if ((size_t)snprintf(whole, sizeof whole, "%s%s", t->root, path) >= sizeof whole)
        return LN_ERR_NOT_FOUND;
    char *const copy = ln_strndup(t->alloc, path, strlen(path));
    if (copy == NULL)
        return LN_ERR_NOMEM;
    const int wd = inotify_add_watch(t->fd, whole, events);
    if (wd < 0) {
        const int rc = error_of_watch();
        ln_free(t->alloc, copy);
        return rc;
    }
    folder *const known = find_folder(t, wd); /* the same folder in another place */
    if (known != NULL)
        ln_free(t->alloc, known->path);
    else
        t->folder_count++;
    *(known != NULL ? known : &t->folders[t->folder_count - 1]) = (folder){.wd = wd, .path = copy};
    return 0;
}

/* What is in a folder: a further folder, or a file, which is new if `is_news`. */
static int scan_entry(ln_watchtree *t, int dir, const char *path, const char *name, bool is_news,
                      uint64_t now_ms)
{
    char inner[PATH_MAX];
    struct stat status;

    if (ln_watchtree_is_ignored(name) || fstatat(dir, name, &status, AT_SYMLINK_NOFOLLOW) < 0)
        return 0;
    const bool is_folder = S_ISDIR(status.st_mode);
    const int n = snprintf(inner, sizeof inner, "%s%s%s", path, name, is_folder ? "/" : "");
    if ((size_t)n >= sizeof inner)
        return 0;
    if (!is_folder) {
        if (is_news)
            note_name(t, now_ms, inner);
        return 0;
    }
    const int rc = watch_folder(t, inner);
    return rc == LN_ERR_NOT_FOUND || rc == LN_ERR_ACCESS ? 0 : rc; /* not ours to see */
}

static int scan_folder(ln_watchtree *t, size_t index, bool is_news, uint64_t now_ms)
{
    char whole[PATH_MAX];
    const struct dirent *entry;
    int rc = 0;

    const char *const path = t->folders[index].path;
    snprintf(whole, sizeof whole, "%s%s", t->root, path);
    DIR *const dir = opendir(whole);
    if (dir == NULL)
        return errno == EMFILE || errno == ENFILE ? LN_ERR_DESCRIPTORS : 0;
    while (rc == 0 && (entry = readdir(dir)) != NULL)
        rc = scan_entry(t, dirfd(dir), path, entry->d_name, is_news, now_ms);
    closedir(dir);
    return rc;
}

/*
 * The folder at `path` and all below it. Each is watched before it is read, so that nothing is
 * missed in between; the list of folders is also the list of what is still to be read.
 */
static int watch(ln_watchtree *t, const char *path, bool is_news, uint64_t now_ms)
{
    size_t next = t->folder_count;

    int rc = watch_folder(t, path);
    for (; rc == 0 && next < t->folder_count; next++)
        rc = scan_folder(t, next, is_news, now_ms);
    return rc;
}

/* A folder that came in later. */
static void watch_more(ln_watchtree *t, const char *path, uint64_t now_ms)
{
    const int rc = watch(t, path, true, now_ms);

    if (rc < 0 && rc != LN_ERR_NOT_FOUND && rc != LN_ERR_ACCESS)
        note_trouble(t, now_ms, "not every new folder can be watched");
}

/* ---- the root ---- */

static void lose_root(ln_watchtree *t, uint64_t now_ms)
{
    unwatch(t, "");
    t->reopen_ms = now_ms + t->rest_ms;
    note_trouble(t, now_ms, "the folder is gone; looking for it");
}

static void find_root(ln_watchtree *t, uint64_t now_ms)
{
    if (watch(t, "", true, now_ms) == 0) {
        note_trouble(t, now_ms, "the folder is back");
        return;
    }
    unwatch(t, "");
    t->reopen_ms = now_ms + LN_WATCHTREE_REOPEN_MS;
}

/* ---- events ---- */

/* A file that is being written will be told of when it is closed; a link never is. */
static bool is_unfinished(const ln_watchtree *t, const char *path)
{
    char whole[PATH_MAX];
    struct stat status;

    snprintf(whole, sizeof whole, "%s%s", t->root, path);
    return lstat(whole, &status) < 0 || (S_ISREG(status.st_mode) && status.st_nlink == 1);
}

static void folder_changed(ln_watchtree *t, uint32_t what, char path[PATH_MAX], uint64_t now_ms)
{
    const size_t n = strlen(path);

    if (n + 2 > PATH_MAX)
        return;
    memcpy(path + n, "/", 2);
    if ((what & IN_MOVED_FROM) != 0) {
        unwatch(t, path);
        note_name(t, now_ms, path);
    }
    if ((what & (IN_CREATE | IN_MOVED_TO)) != 0)
        watch_more(t, path, now_ms);
    if ((what & IN_MOVED_TO) != 0)
        note_name(t, now_ms, path);
}

static void take(ln_watchtree *t, const struct inotify_event *event, uint64_t now_ms)
{
    char path[PATH_MAX];

    if ((event->mask & IN_Q_OVERFLOW) != 0) {
        unwatch(t, "");
        note_unnamed(t, now_ms);
        t->reopen_ms = now_ms + LN_WATCHTREE_REOPEN_MS;
        (void)watch(t, "", false, now_ms); /* if it is gone by now, it is looked for */
        return;
    }
    folder *const f = find_folder(t, event->wd);
    if (f == NULL)
        return;
    if ((event->mask & (IN_IGNORED | IN_MOVE_SELF)) != 0) {
        if (f->path[0] == '\0')
            lose_root(t, now_ms);
        else if ((event->mask & IN_IGNORED) != 0)
            forget_folder(t, f);
        return;
    }
    if (event->len == 0 || ln_watchtree_is_ignored(event->name))
        return;
    if ((size_t)snprintf(path, sizeof path, "%s%s", f->path, event->name) >= sizeof path)
        note_unnamed(t, now_ms);
    else if ((event->mask & IN_ISDIR) != 0)
        folder_changed(t, event->mask, path, now_ms);
    else if ((event->mask & IN_CREATE) == 0 || !is_unfinished(t, path))
        note_name(t, now_ms, path);
}

int ln_watchtree_fd(const ln_watchtree *t)
{
    return t->fd;
}

void ln_watchtree_read(ln_watchtree *t, uint64_t now_ms)
{
    alignas(struct inotify_event) char bytes[READ_BYTES];
    ssize_t n;

    while ((n = read(t->fd, bytes, sizeof bytes)) > 0) {
        for (const char *at = bytes; at < bytes + n;) {
            const struct inotify_event *const event =
                (const struct inotify_event *)(const void *)at;
            take(t, event, now_ms);
            at += sizeof *event + event->len;
        }
    }
}

/* ---- telling ---- */

static uint64_t due_ms(const ln_watchtree *t)
{
    if (t->first_ms == UINT64_MAX)
        return UINT64_MAX;
    const uint64_t rested = t->last_ms + t->rest_ms;
    const uint64_t patience = t->first_ms + (uint64_t)t->rest_ms * LN_WATCHTREE_PATIENCE;
    return rested < patience ? rested : patience;
}

uint64_t ln_watchtree_deadline(const ln_watchtree *t)
{
    const uint64_t due = due_ms(t);
    return t->folder_count == 0 && t->reopen_ms < due ? t->reopen_ms : due;
}

bool ln_watchtree_next(ln_watchtree *t, uint64_t now_ms, ln_watchtree_change *change)
{
    if (t->folder_count == 0 && now_ms >= t->reopen_ms)
        find_root(t, now_ms);
    if (now_ms < due_ms(t))
        return false;
    t->first_ms = t->last_ms = UINT64_MAX;
    t->is_told = true;
    *change = (ln_watchtree_change){.names = (const char *const *)t->names,
                                    .count = t->name_count,
                                    .unnamed = t->unnamed,
                                    .trouble = t->trouble};
    return true;
}

/* ---- life ---- */

static const char *sentence_of(const ln_watchtree *t, int rc)
{
    if (rc == LN_ERR_LIMIT && t->folder_count == LN_WATCHTREE_FOLDERS_MAX)
        return "there are too many folders below it; watch a smaller one";
    if (rc == LN_ERR_LIMIT)
        return "the system allows no more watches (fs.inotify.max_user_watches)";
    if (rc == LN_ERR_DESCRIPTORS)
        return "too many open files, or watchers of this user (fs.inotify.max_user_instances)";
    return ln_strerror(rc);
}

static int begin(ln_watchtree *t, const char *path)
{
    const size_t n = strlen(path);

    if (n == 0) /* with the slash it would be everything */
        return LN_ERR_NOT_FOUND;
    t->root = ln_alloc(t->alloc, n + 2);
    if (t->root == NULL)
        return LN_ERR_NOMEM;
    memcpy(t->root, path, n);
    memcpy(t->root + n, "/", 2);
    t->fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    if (t->fd < 0)
        return LN_ERR_DESCRIPTORS;
    return watch(t, "", false, 0);
}

int ln_watchtree_new(const ln_allocator *alloc, const char *path, uint32_t rest_ms,
                     ln_watchtree **tree, char why[LN_WATCHTREE_WHY_SIZE])
{
    ln_watchtree *const t = ln_alloc_zero(alloc, sizeof *t);
    int rc = LN_ERR_NOMEM;

    if (t != NULL) {
        t->alloc = alloc;
        t->fd = -1;
        t->rest_ms = rest_ms;
        t->first_ms = t->last_ms = UINT64_MAX;
        rc = begin(t, path);
    }
    if (rc == 0) {
        *tree = t;
        return 0;
    }
    snprintf(why, LN_WATCHTREE_WHY_SIZE, "%s", t == NULL ? ln_strerror(rc) : sentence_of(t, rc));
    ln_watchtree_free(t);
    return rc;
}

void ln_watchtree_free(ln_watchtree *t)
{
    if (t == NULL)
        return;
    if (t->fd >= 0)
        close(t->fd); /* and all its watches with it */
    for (size_t i = 0; i < t->folder_count; i++)
        ln_free(t->alloc, t->folders[i].path);
    drop_names(t);
    ln_free(t->alloc, t->root);
    ln_free(t->alloc, t);
}
