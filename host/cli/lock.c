#include <errno.h>
#include <stdlib.h>
#include <unistd.h>
#include "cli/command.h"
#include "cli/open.h"
#include "cli/table.h"
#include "runtime/lock.h"

enum { PRINT_MAX = 1 << 20 };

static void print_one(struct buf *b, const struct lock_plugin *before,
                      const struct lock_plugin *now)
{
    uint32_t n = lock_compare(before, now, NULL, NULL);
    table_cell(b, now->name, 20);
    if (!before)
        buf_printf(b, " new, %u fields\n", now->fields);
    else if (n)
        buf_printf(b, " %u of %u fields differ from before\n", n, now->fields);
    else
        buf_printf(b, " as before, %u fields\n", now->fields);
}

static int write_file(const struct settings *s, const struct lock *now)
{
    struct err e;
    const struct lock_plugin **all = calloc(now->plugins + 1, sizeof(*all));
    if (!all)
        return cli_fail(EXIT_SYSTEM, "out of memory");
    for (uint32_t i = 0; i < now->plugins; i++)
        all[i] = &now->plugin[i];
    int r = lock_write(s->lock_file, all, now->plugins, &e);
    free(all);
    return r ? cli_fail(EXIT_SYSTEM, "%s", e.text) : EXIT_GOOD;
}

static int lock_all(const struct settings *s)
{
    struct lock *now, *before = NULL;
    struct err e;
    uint32_t bad;
    if (lock_gather(s, &now, &bad, &e))
        return cli_fail(EXIT_SYSTEM, "%s", e.text);
    int r = lock_read(s->lock_file, &before, &e);
    if (r && r != -ENOENT)
        fprintf(stderr, "manifold: %s\n", e.text);
    const struct lock none = {0};
    struct visit out = {.out = STDOUT_FILENO};
    struct buf b = BUF_INIT(PRINT_MAX);
    for (uint32_t i = 0; i < now->plugins; i++)
        print_one(&b, lock_find(r ? &none : before, now->plugin[i].name), &now->plugin[i]);
    int code = write_file(s, now);
    if (!code) {
        buf_printf(&b, "%s: %u plugins locked\n", s->lock_file, now->plugins);
        if (s->lock == LOCK_NONE)
            buf_lit(&b, "nothing compares with it while lock.mode is none\n");
        code = visit_print(&out, &b, bad ? EXIT_WRONG : EXIT_GOOD);
    }
    buf_release(&b);
    lock_free(now);
    lock_free(r ? NULL : before);
    return code;
}

static int run(const struct args *a)
{
    struct settings *s;
    struct err e;
    open_log(a, LOG_WARN);
    if (open_settings(a, &s, &e))
        return cli_fail(EXIT_WRONG, "%s", e.text);
    int code = lock_all(s);
    settings_free(s);
    return code;
}

const struct command command_lock = {
    .name = "lock",
    .operands = "",
    .summary = "Write the lock file: hashes of libraries, texts, schemas and permissions",
    .help =
        "All that is there now counts as approved. \"manifold approve\" shows what has changed\n"
        "since, before it accepts it. Exit code 1 when a plugin can't be read.",
    .options = OPTIONS_HOST,
    .run = run,
};
