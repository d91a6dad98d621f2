#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include "cli/command.h"
#include "cli/differences.h"
#include "cli/open.h"
#include "cli/reach.h"
#include "runtime/lock.h"

enum { PRINT_MAX = 64 << 20, STATUS_MS = 5000 };

struct approval {
    const struct args *a;
    const struct settings *s;
    struct str only; /* of this plugin alone; {NULL,0}: of all */
    struct lock *before, *now;
};

static bool is_meant(const struct approval *p, struct str name)
{
    return !p->only.p || str_eq(p->only, name);
}

/* How many plugins differ. */
static uint32_t show(const struct approval *p, struct buf *b)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < p->now->plugins; i++) {
        const struct lock_plugin *now = &p->now->plugin[i];
        if (is_meant(p, now->name))
            n += differences_print(b, lock_find(p->before, now->name), now) > 0;
    }
    for (uint32_t i = 0; i < p->before->plugins; i++) {
        const struct lock_plugin *before = &p->before->plugin[i];
        if (is_meant(p, before->name) && !lock_find(p->now, before->name))
            n += differences_print(b, before, NULL) > 0;
    }
    return n;
}

static bool ask(uint32_t plugins)
{
    char answer[16];
    printf("Accept this of %u plugin%s? [y/N] ", plugins, plugins == 1 ? "" : "s");
    fflush(stdout);
    return fgets(answer, sizeof(answer), stdin) && (answer[0] == 'y' || answer[0] == 'Y');
}

/* What was shown is written, not what may be there by now. */
static int write_file(const struct approval *p)
{
    struct err e;
    uint32_t n = 0;
    const struct lock_plugin **all = calloc(p->now->plugins + p->before->plugins + 1, sizeof(*all));
    if (!all)
        return cli_fail(EXIT_SYSTEM, "out of memory");
    for (uint32_t i = 0; i < p->now->plugins; i++) {
        if (is_meant(p, p->now->plugin[i].name))
            all[n++] = &p->now->plugin[i];
    }
    for (uint32_t i = 0; i < p->before->plugins; i++) {
        if (!is_meant(p, p->before->plugin[i].name))
            all[n++] = &p->before->plugin[i];
    }
    int r = lock_write(p->s->lock_file, all, n, &e);
    free(all);
    return r ? cli_fail(EXIT_SYSTEM, "%s", e.text) : EXIT_GOOD;
}

/* Does this host compare with the lock file that was written? */
static bool uses_lock(const struct reached *h, const char *path)
{
    struct buf text = BUF_INIT(REACH_ANSWER), file = BUF_INIT(PATH_MAX);
    struct json_doc d = {0};
    struct stat ours, its;
    struct err e;
    bool same = false;
    if (reach_ask(h, "status", STATUS_MS, &text, &d, &e) == 0) {
        json_ref server = json_get(&d, 0, STR("server"));
        json_ref lock =
            server && json_is(&d, server, JSON_OBJECT) ? json_get(&d, server, STR("lock")) : 0;
        json_ref n = lock && json_is(&d, lock, JSON_OBJECT) ? json_get(&d, lock, STR("file")) : 0;
        if (n && json_is(&d, n, JSON_STRING) && json_string_append(&d, n, &file) == 0 &&
            buf_cstr(&file))
            same = stat(path, &ours) == 0 && stat(file.data, &its) == 0 &&
                   ours.st_dev == its.st_dev && ours.st_ino == its.st_ino;
    }
    json_doc_release(&d);
    buf_release(&text);
    buf_release(&file);
    return same;
}

/* The lock is written: those that compare with it take it at once. */
static int tell_hosts(const struct approval *p)
{
    static struct reach reach;
    int code = EXIT_GOOD;
    uint32_t told = 0;
    if (p->a->pid || p->a->socket) {
        code = reach_find(p->a, &reach);
        return code ? code : reach_reload(&reach.host[0]);
    }
    for (uint32_t i = 0, n = reach_running(&reach); i < n; i++) {
        if (!uses_lock(&reach.host[i], p->s->lock_file))
            continue;
        printf("host %d: ", (int)reach.host[i].pid);
        fflush(stdout);
        int its = reach_reload(&reach.host[i]);
        code = code ? code : its;
        told++;
    }
    if (!told)
        printf("no running host compares with it: the next one that starts does\n");
    return code;
}

static int approve(struct approval *p)
{
    struct visit out = {.out = STDOUT_FILENO};
    struct buf b = BUF_INIT(PRINT_MAX);
    uint32_t n = show(p, &b);
    int code = visit_print(&out, &b, EXIT_GOOD);
    buf_release(&b);
    if (code)
        return code;
    if (!n) {
        printf("%s: nothing differs\n", p->s->lock_file);
        return EXIT_GOOD;
    }
    if (!p->a->yes && !isatty(STDIN_FILENO))
        return cli_fail(EXIT_WRONG, "nothing is accepted: standard input is no terminal to ask at; "
                                    "--yes accepts what is shown");
    if (!p->a->yes && !ask(n))
        return cli_fail(EXIT_WRONG, "nothing is accepted");
    code = write_file(p);
    if (code)
        return code;
    printf("%s: %u plugin%s approved\n", p->s->lock_file, n, n == 1 ? "" : "s");
    fflush(stdout);
    return tell_hosts(p);
}

static int read_and_approve(struct approval *p)
{
    struct err e;
    uint32_t bad;
    int r = lock_gather(p->s, &p->now, &bad, &e);
    if (r)
        return cli_fail(EXIT_SYSTEM, "%s", e.text);
    r = lock_read(p->s->lock_file, &p->before, &e);
    if (r == -ENOENT)
        p->before = xcalloc(1, sizeof(*p->before));
    else if (r)
        return cli_fail(EXIT_WRONG, "%s", e.text);
    if (p->only.p && !lock_find(p->now, p->only) && !lock_find(p->before, p->only))
        return cli_fail(EXIT_WRONG, "there is no plugin %.*s, neither now nor in %s",
                        STR_FMT(p->only), p->s->lock_file);
    return approve(p);
}

static int run(const struct args *a)
{
    struct settings *s;
    struct err e;
    open_log(a, LOG_WARN);
    if (open_settings(a, &s, &e))
        return cli_fail(EXIT_WRONG, "%s", e.text);
    struct approval p = {.a = a, .s = s, .only = a->operands ? str_of(a->operand[0]) : STR_NONE};
    int code = read_and_approve(&p);
    lock_free(p.now);
    lock_free(p.before);
    settings_free(s);
    return code;
}

const struct command command_approve = {
    .name = "approve",
    .operands = "[NAME]",
    .summary = "Show what differs from the lock file, and accept it",
    .help =
        "Of plugin NAME, else of all: field by field, what was approved (-) and what is there\n"
        "now (+). When it is accepted the lock file is written, and the host that runs is made\n"
        "to reload. Exit code 1 when nothing is accepted or the reload is refused.",
    .options = OPTIONS_HOST | 1 << OPTION_YES | 1 << OPTION_PID | 1 << OPTION_SOCKET,
    .operands_max = 1,
    .run = run,
};
