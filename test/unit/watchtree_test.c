/* SPDX-License-Identifier: MIT */
/*
 * What is told of a folder that changes: real files, a clock of our own. The system reports a change
 * before the call that makes it returns, so nothing here waits.
 */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/limits.h"
#include "cli/watchtree.h"
#include "failing_alloc.h"

enum { REST_MS = 300 };

static char root[] = "/tmp/watchtree_test_XXXXXX";
static ln_watchtree *tree;
static ln_watchtree_change change;
static uint64_t now_ms;

static const char *below(const char *name)
{
    static char path[2][4096];
    static unsigned next;
    char *const room = path[next++ % 2];
    snprintf(room, sizeof *path, "%s/%s", root, name);
    return room;
}

static void write_file(const char *name)
{
    const int fd = open(below(name), O_WRONLY | O_CREAT | O_APPEND, 0600);
    assert_true(fd >= 0 && write(fd, "x", 1) == 1);
    close(fd);
}

static void make_folder(const char *name)
{
    assert_int_equal(mkdir(below(name), 0700), 0);
}

static void move(const char *from, const char *to)
{
    assert_int_equal(rename(below(from), below(to)), 0);
}

static void clear_root(void)
{
    char command[256];
    snprintf(command, sizeof command, "rm -rf %s && mkdir %s", root, root);
    assert_int_equal(system(command), 0);
}

static void open_tree(void)
{
    char why[LN_WATCHTREE_WHY_SIZE];
    if (ln_watchtree_new(NULL, root, REST_MS, &tree, why) < 0)
        fail_msg("%s", why);
}

static int set_up(void **state)
{
    (void)state;
    clear_root();
    now_ms = 1000;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    ln_watchtree_free(tree);
    tree = NULL;
    return 0;
}

/* Takes in what happened, and asks once it has come to rest. */
static bool settle(void)
{
    ln_watchtree_read(tree, now_ms);
    now_ms += REST_MS;
    return ln_watchtree_next(tree, now_ms, &change);
}

static bool is_named(const char *name)
{
    for (size_t i = 0; i < change.count; i++)
        if (strcmp(change.names[i], name) == 0)
            return true;
    return false;
}

static void assert_told(const char *name)
{
    if (!settle())
        fail_msg("nothing was told, not even of %s", name);
    if (change.count != 1 || strcmp(change.names[0], name) != 0)
        fail_msg("%zu were told, the first one %s, not %s", change.count,
                 change.count > 0 ? change.names[0] : "none", name);
    assert_int_equal(change.unnamed, 0);
    assert_null(change.trouble);
}

/* ---- what is told ---- */

static void files_are_told_by_their_names(void **state)
{
    (void)state;
    make_folder("a");
    make_folder("a/b");
    write_file("old.css");
    open_tree();
    assert_false(settle());
    assert_true(ln_watchtree_deadline(tree) == UINT64_MAX);

    write_file("new.html");
    assert_told("new.html");
    write_file("old.css");
    assert_told("old.css");
    write_file("a/b/deep.js");
    assert_told("a/b/deep.js");
    move("a/b/deep.js", "a/b/other.js");
    assert_true(settle());
    assert_true(change.count == 2 && is_named("a/b/deep.js") && is_named("a/b/other.js"));
    assert_int_equal(unlink(below("old.css")), 0);
    assert_told("old.css");
    assert_int_equal(symlink("new.html", below("link.html")), 0);
    assert_told("link.html");
    assert_false(settle());
}

static void a_file_that_is_being_written_is_told_when_it_is_closed(void **state)
{
    (void)state;
    open_tree();
    const int fd = open(below("slow.js"), O_WRONLY | O_CREAT, 0600);
    assert_true(fd >= 0);
    assert_false(settle());
    assert_int_equal(write(fd, "x", 1), 1);
    assert_false(settle());
    close(fd);
    assert_told("slow.js");
}

static void what_only_passes_by_is_not_told(void **state)
{
    (void)state;
    static const char *const passing[] = {
        ".hidden", ".#lock.c", "#auto.c#", "page.html~",       "page.html.swp", "4913",
        "x.tmp",   "x.part",   "x.bak",    "x.js___jb_tmp___", "x.crdownload",
    };
    make_folder(".git");
    make_folder("node_modules");
    open_tree();
    for (size_t i = 0; i < LN_ARRAY_SIZE(passing); i++)
        write_file(passing[i]);
    write_file(".git/index");
    write_file("node_modules/x.js");
    assert_false(settle());
    assert_false(ln_watchtree_is_ignored("tmp.js"));
    assert_false(ln_watchtree_is_ignored("~a"));
    assert_true(ln_watchtree_is_ignored(""));

    /* as vim and others save: a new file takes the place of the old one */
    write_file("page.html.tmp");
    move("page.html.tmp", "page.html");
    assert_told("page.html");
}

/* ---- folders that come and go ---- */

static void a_new_folder_is_watched_with_all_that_is_in_it(void **state)
{
    (void)state;
    open_tree();
    make_folder("new");
    assert_false(settle());
    write_file("new/a.js");
    assert_told("new/a.js");

    make_folder("more"); /* these are there before we look */
    make_folder("more/deep");
    write_file("more/deep/b.js");
    assert_told("more/deep/b.js");
    write_file("more/deep/b.js");
    assert_told("more/deep/b.js");
}

static void a_folder_that_is_moved_is_told_under_its_new_name(void **state)
{
    (void)state;
    make_folder("a");
    make_folder("a/in");
    open_tree();
    move("a", "b");
    assert_true(settle());
    assert_true(change.count == 2 && is_named("a/") && is_named("b/"));
    write_file("b/in/x.js");
    assert_told("b/in/x.js");

    assert_int_equal(rename(below("b"), "/tmp/watchtree_test_away"), 0);
    assert_told("b/");
    const int fd = open("/tmp/watchtree_test_away/in/y.js", O_WRONLY | O_CREAT, 0600);
    assert_true(fd >= 0);
    close(fd);
    assert_false(settle());
    assert_int_equal(system("rm -rf /tmp/watchtree_test_away"), 0);
}

static void a_folder_that_is_removed_is_forgotten(void **state)
{
    (void)state;
    make_folder("a");
    open_tree();
    for (int i = 0; i < 100; i++) {
        assert_int_equal(rmdir(below("a")), 0);
        make_folder("a");
        write_file("a/x.js");
        assert_told("a/x.js");
        assert_int_equal(unlink(below("a/x.js")), 0);
        assert_told("a/x.js");
    }
}

static void the_folder_itself_may_go_and_come_back(void **state)
{
    (void)state;
    write_file("a.js");
    open_tree();
    char command[256];
    snprintf(command, sizeof command, "rm -rf %s", root);
    assert_int_equal(system(command), 0);
    assert_true(settle());
    assert_non_null(change.trouble);
    assert_true(is_named("a.js"));

    now_ms += LN_WATCHTREE_REOPEN_MS;
    assert_true(ln_watchtree_deadline(tree) <= now_ms);
    assert_false(ln_watchtree_next(tree, now_ms, &change)); /* not yet */
    snprintf(command, sizeof command, "mkdir %s", root);
    assert_int_equal(system(command), 0);
    write_file("b.js");
    now_ms = ln_watchtree_deadline(tree);
    assert_false(ln_watchtree_next(tree, now_ms, &change));
    assert_true(settle());
    assert_string_equal(change.trouble, "the folder is back");
    assert_true(is_named("b.js"));
    write_file("c.js");
    assert_told("c.js");
}

static void a_folder_that_was_replaced_is_watched_anew(void **state)
{
    (void)state;
    open_tree();
    char command[256];
    snprintf(command, sizeof command, "mv %s %s.old && mkdir %s", root, root, root);
    assert_int_equal(system(command), 0);
    write_file("a.js");
    assert_false(settle()); /* it is found in time for what was noticed to be told with it */
    assert_true(settle());
    assert_true(is_named("a.js"));
    write_file("b.js");
    assert_told("b.js");
    snprintf(command, sizeof command, "rm -r %s.old", root);
    assert_int_equal(system(command), 0);
}

/* ---- when ---- */

static void changes_are_told_together_when_they_have_come_to_rest(void **state)
{
    (void)state;
    open_tree();
    write_file("a.js");
    ln_watchtree_read(tree, 1000);
    assert_true(ln_watchtree_deadline(tree) == 1300);
    write_file("b.js");
    write_file("a.js");
    ln_watchtree_read(tree, 1200);
    assert_true(ln_watchtree_deadline(tree) == 1500);
    assert_false(ln_watchtree_next(tree, 1499, &change));
    assert_true(ln_watchtree_next(tree, 1500, &change));
    assert_true(change.count == 2 && is_named("a.js") && is_named("b.js"));
    assert_false(ln_watchtree_next(tree, 9999, &change));
}

static void changing_without_end_is_told_all_the_same(void **state)
{
    (void)state;
    uint64_t now = 1000;
    open_tree();
    for (; now < 1000 + REST_MS * LN_WATCHTREE_PATIENCE; now += 100) {
        write_file("log.js");
        ln_watchtree_read(tree, now);
        assert_false(ln_watchtree_next(tree, now, &change));
    }
    assert_true(ln_watchtree_next(tree, now, &change));
}

/* ---- bounds ---- */

static void only_so_many_names_are_kept(void **state)
{
    (void)state;
    char name[32];
    open_tree();
    for (int i = 0; i < LN_WATCHTREE_NAMES_MAX + 5; i++) {
        snprintf(name, sizeof name, "%d.js", i);
        write_file(name);
    }
    assert_true(settle());
    assert_int_equal(change.count, LN_WATCHTREE_NAMES_MAX);
    assert_int_equal(change.unnamed, 5);
    write_file("a.js");
    assert_told("a.js");
}

static void folders_are_bounded(void **state)
{
    (void)state;
    char name[32], why[LN_WATCHTREE_WHY_SIZE];
    for (int i = 0; i < LN_WATCHTREE_FOLDERS_MAX - 1; i++) {
        snprintf(name, sizeof name, "%d", i);
        make_folder(name);
    }
    open_tree();
    make_folder("toomany");
    assert_true(settle());
    assert_string_equal(change.trouble, "not every new folder can be watched");
    ln_watchtree_free(tree);
    tree = NULL;
    assert_int_equal(ln_watchtree_new(NULL, root, REST_MS, &tree, why), LN_ERR_LIMIT);
    assert_string_equal(why, "there are too many folders below it; watch a smaller one");
}

static void what_cannot_be_watched_says_why(void **state)
{
    (void)state;
    char why[LN_WATCHTREE_WHY_SIZE] = "";
    write_file("file");
    assert_int_equal(ln_watchtree_new(NULL, below("none"), 1, &tree, why), LN_ERR_NOT_FOUND);
    assert_string_equal(why, ln_strerror(LN_ERR_NOT_FOUND));
    assert_int_equal(ln_watchtree_new(NULL, below("file"), 1, &tree, why), LN_ERR_NOT_FOUND);
    assert_int_equal(ln_watchtree_new(NULL, "", 1, &tree, why), LN_ERR_NOT_FOUND);
}

static int one_life(const ln_allocator *alloc, void *user)
{
    char why[LN_WATCHTREE_WHY_SIZE];
    (void)user;
    clear_root();
    make_folder("a");
    const int rc = ln_watchtree_new(alloc, root, REST_MS, &tree, why);
    if (rc == 0) {
        make_folder("b");
        write_file("b/x.js");
        write_file("a/y.js");
        assert_true(settle()); /* something is told, with or without names */
        assert_true(change.count + change.unnamed >= 1);
        ln_watchtree_free(tree);
    }
    tree = NULL;
    return rc < 0 || change.unnamed > 0 ? LN_ERR_NOMEM : 0;
}

static void memory_may_run_out_anywhere(void **state)
{
    (void)state;
    assert_true(failing_alloc_sweep(one_life, NULL) > 0);
}

static int make_root(void **state)
{
    (void)state;
    return mkdtemp(root) == NULL;
}

static int remove_root(void **state)
{
    (void)state;
    char command[256];
    snprintf(command, sizeof command, "rm -rf %s", root);
    return system(command);
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(files_are_told_by_their_names),
        CASE(a_file_that_is_being_written_is_told_when_it_is_closed),
        CASE(what_only_passes_by_is_not_told),
        CASE(a_new_folder_is_watched_with_all_that_is_in_it),
        CASE(a_folder_that_is_moved_is_told_under_its_new_name),
        CASE(a_folder_that_is_removed_is_forgotten),
        CASE(the_folder_itself_may_go_and_come_back),
        CASE(a_folder_that_was_replaced_is_watched_anew),
        CASE(changes_are_told_together_when_they_have_come_to_rest),
        CASE(changing_without_end_is_told_all_the_same),
        CASE(only_so_many_names_are_kept),
        CASE(folders_are_bounded),
        CASE(what_cannot_be_watched_says_why),
        CASE(memory_may_run_out_anywhere),
    };
    return cmocka_run_group_tests(tests, make_root, remove_root);
}
