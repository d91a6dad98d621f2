/* path_race.c - what a path leads to is exchanged while it is opened, SWAPS times.
 *
 *   path_race SWAPS [DIRECTORY]     prints counts; exit code 1: something got out, or the control
 *                                   did not, which would prove nothing
 *
 * A thread exchanges a symbolic link (and in a second part a directory) that leads inside with one
 * that leads outside.  Three others use the path meanwhile, over and over: one reads through the
 * resolver of the files service, one creates files through it, and as the control one does what a
 * check of strings comes to, realpath() and then open(). */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>
#include "base/bug.h"
#include "services/files/beneath.h"

static struct {
    char root[PATH_MAX], outside[PATH_MAX];
    int fd; /* of root */
    dev_t device;
    const char *path, *create; /* below root */
    const char *from, *to;     /* full paths that are exchanged */
    unsigned long swaps;
    atomic_bool done;
} g;

struct count {
    unsigned long tries, opened, escapes;
};

static void need(bool ok, const char *what)
{
    if (ok)
        return;
    fprintf(stderr, "path_race: %s: %s\n", what, strerror(errno));
    exit(2);
}

static void put(const char *directory, const char *name, const char *text)
{
    char path[2 * PATH_MAX];
    snprintf(path, sizeof(path), "%s/%s", directory, name);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    need(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text), path);
    close(fd);
}

static void look(struct count *c, int fd)
{
    char text[16] = "";
    c->tries++;
    if (fd < 0)
        return;
    c->opened++;
    if (read(fd, text, sizeof(text) - 1) > 0 && strcmp(text, "secret") == 0)
        c->escapes++;
    close(fd);
}

static void *swap(void *arg)
{
    (void)arg;
    for (unsigned long i = 0; i < g.swaps; i++)
        need(renameat2(AT_FDCWD, g.from, AT_FDCWD, g.to, RENAME_EXCHANGE) == 0, "exchange");
    atomic_store(&g.done, true);
    return NULL;
}

static void *read_beneath(void *arg)
{
    while (!atomic_load(&g.done))
        look(arg, beneath_open_file(g.fd, g.device, g.path));
    return NULL;
}

/* An escape leaves the file in `outside`, where only it could have put it. */
static void *create_beneath(void *arg)
{
    struct count *c = arg;
    char name[NAME_MAX + 1], there[2 * PATH_MAX];
    int dir, fd;
    snprintf(there, sizeof(there), "%s/created", g.outside);
    while (!atomic_load(&g.done)) {
        c->tries++;
        if (beneath_parent(g.fd, g.create, &dir, name))
            continue;
        fd = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600);
        c->opened += fd >= 0;
        if (fd >= 0)
            close(fd);
        c->escapes += fd >= 0 && access(there, F_OK) == 0;
        unlinkat(dir, name, 0);
        close(dir);
    }
    return NULL;
}

static void *read_checked(void *arg)
{
    char full[2 * PATH_MAX], real[PATH_MAX];
    size_t len = strlen(g.root);
    snprintf(full, sizeof(full), "%s/%s", g.root, g.path);
    while (!atomic_load(&g.done)) {
        bool below = realpath(full, real) && strncmp(real, g.root, len) == 0 && real[len] == '/';
        look(arg, below ? open(full, O_RDONLY | O_CLOEXEC) : -1);
    }
    return NULL;
}

/* `often`: the control gets out often enough to be asked for it. */
static bool race(const char *what, bool often)
{
    static const struct {
        const char *name;
        void *(*run)(void *arg);
        bool control;
    } part[] = {{"openat2, reading", read_beneath, false},
                {"openat2, creating", create_beneath, false},
                {"realpath and open", read_checked, true}};
    enum { N = sizeof(part) / sizeof(part[0]) };
    pthread_t thread[N], swapper;
    struct count c[N] = {{0}};
    bool good = true;
    atomic_store(&g.done, false);
    for (int i = 0; i < N; i++)
        need(pthread_create(&thread[i], NULL, part[i].run, &c[i]) == 0, "thread");
    need(pthread_create(&swapper, NULL, swap, NULL) == 0, "thread");
    pthread_join(swapper, NULL);
    printf("%s exchanged %lu times\n", what, g.swaps);
    for (int i = 0; i < N; i++) {
        pthread_join(thread[i], NULL);
        printf("  %-18s %8lu tries, %8lu opened, %6lu escapes\n", part[i].name, c[i].tries,
               c[i].opened, c[i].escapes);
        bool wanted = part[i].control ? !often || c[i].escapes : !c[i].escapes;
        good = good && wanted && c[i].opened;
    }
    return good;
}

static void make(const char *directory)
{
    struct stat st;
    char path[2 * PATH_MAX], real[PATH_MAX];
    snprintf(path, sizeof(path), "%s/path_race-XXXXXX", directory);
    need(mkdtemp(path) && realpath(path, real), path);
    snprintf(g.root, sizeof(g.root), "%.4000s/root", real);
    snprintf(g.outside, sizeof(g.outside), "%.4000s/outside", real);
    need(mkdir(g.root, 0700) == 0 && mkdir(g.outside, 0700) == 0, g.root);
    put(g.outside, "file", "secret");
    g.fd = open(g.root, O_PATH | O_DIRECTORY | O_CLOEXEC);
    need(g.fd >= 0 && fstat(g.fd, &st) == 0, g.root);
    g.device = st.st_dev;
}

/* root/link -> inside, root/other -> ../outside */
static bool race_links(void)
{
    char from[2 * PATH_MAX], to[2 * PATH_MAX], inside[2 * PATH_MAX];
    snprintf(inside, sizeof(inside), "%s/inside", g.root);
    snprintf(from, sizeof(from), "%s/link", g.root);
    snprintf(to, sizeof(to), "%s/other", g.root);
    need(mkdir(inside, 0700) == 0 && symlink("inside", from) == 0 && symlink("../outside", to) == 0,
         from);
    put(inside, "file", "inside");
    g.from = from;
    g.to = to;
    g.path = "link/file";
    g.create = "link/created";
    return race("a link", true);
}

/* root/a/b and outside/b: whoever is in b when it is moved out finds outside above him. */
static bool race_directories(void)
{
    char from[2 * PATH_MAX], to[2 * PATH_MAX], above[2 * PATH_MAX];
    snprintf(above, sizeof(above), "%s/a", g.root);
    snprintf(from, sizeof(from), "%s/a/b", g.root);
    snprintf(to, sizeof(to), "%s/b", g.outside);
    need(mkdir(above, 0700) == 0 && mkdir(from, 0700) == 0 && mkdir(to, 0700) == 0, from);
    put(above, "file", "inside");
    g.from = from;
    g.to = to;
    g.path = "a/b/../file";
    g.create = "a/b/../created";
    return race("a directory", false);
}

static void clean(void)
{
    char command[PATH_MAX + 32];
    *strrchr(g.root, '/') = 0;
    snprintf(command, sizeof(command), "rm -rf '%s'", g.root);
    need(system(command) == 0, command);
}

int main(int argc, char **argv)
{
    g.swaps = argc > 1 ? strtoul(argv[1], NULL, 10) : 0;
    if (!g.swaps) {
        fprintf(stderr, "usage: path_race SWAPS [DIRECTORY]\n");
        return 2;
    }
    make(argc > 2 ? argv[2] : "/tmp");
    bool good = race_links();
    good = race_directories() && good;
    clean();
    return good ? 0 : 1;
}
