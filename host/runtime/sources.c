/* From the directories of the host config to manifests and instances, in an
 * order that does not depend on the file system: sources in order, files by name. */
#include "runtime/internal.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include "plugin/library.h"

enum { MAX_MANIFESTS = 10000, MAX_FILES = 20000, MAX_READERS = 4, FILES_PER_READER = 8 };

/* One manifest to read.  Reading them is most of a start, so it is shared among
 * a few threads; what is read is then added in order, on the loop's thread. */
struct job {
    const struct settings *settings;
    const struct source *source;
    int dirfd; /* of the source; shared */
    char *file;
    struct manifest *manifest; /* NULL: e says why */
    char *name;                /* owned; the instance's, NULL when the file could not be read */
    int library_error;         /* e says which */
    struct err e;
};

struct jobs {
    struct job *job;
    uint32_t count, cap;
    atomic_uint next;
};

static bool ends_with(const char *s, const char *tail)
{
    size_t n = strlen(s), t = strlen(tail);
    return n > t && memcmp(s + n - t, tail, t) == 0;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The source must not be writable by those who may not choose what the host runs. */
static int check_directory(int fd, const char *path, struct err *e)
{
    struct stat st;
    if (fstat(fd, &st) < 0)
        return err_set(e, -errno, "%s: %s", path, strerror(errno));
    if (st.st_uid != 0 && st.st_uid != geteuid())
        return err_set(e, -EPERM,
                       "%s: expected a directory of root or of user %u, found one of user %u", path,
                       geteuid(), st.st_uid);
    if (st.st_mode & S_IWOTH && !(st.st_mode & S_ISVTX))
        return err_set(e, -EPERM,
                       "%s: expected a directory that not everybody may write to, found mode %04o",
                       path, st.st_mode & 07777);
    return 0;
}

static const struct manifest *same_name(const struct host *h, const struct manifest *m)
{
    for (uint32_t i = 0; i < h->manifests; i++) {
        if (str_eq(h->manifest[i]->name, m->name))
            return h->manifest[i];
    }
    return NULL;
}

static void note_manifest(const struct manifest *m, const char *name)
{
    for (uint32_t i = 0; i < m->warnings; i++)
        log_line(LOG_WARN, name, "%s", m->warning[i]);
    for (uint32_t i = 0; i < m->dormants; i++)
        log_line(LOG_INFO, name, "%s: accepted, not in force in this build", m->dormant[i]);
}

/* "${data}" is the plugin's own directory, made when its config speaks of it. */
static void make_data(struct host *h, const struct manifest *m, const char *name)
{
    char path[PATH_MAX];
    int n = snprintf(path, sizeof(path), "%s/%s", h->settings->data, name);
    if (!m->config.len || n < 0 || (size_t)n >= sizeof(path) ||
        !memmem(m->config.data, m->config.len, path, (size_t)n))
        return;
    for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = 0;
        mkdir(path, 0700);
        *slash = '/';
    }
    if (mkdir(path, 0700) < 0 && errno != EEXIST)
        host_problem(h, name, false, "%s: expected to make the plugin's own directory, found: %s",
                     path, strerror(errno));
}

/* One line for all: in one address space nothing can be enforced, and the operator must know. */
static void note_isolation(const struct host *h)
{
    struct buf names = BUF_INIT(512);
    uint32_t count = 0;
    for (uint32_t i = 0; i < h->manifests; i++) {
        const struct manifest *m = h->manifest[i];
        if (!m->library || m->instance.isolation != ISOLATION_WORKER)
            continue;
        buf_printf(&names, "%s%s", count++ ? ", " : "", h->instance[i] ? h->instance[i]->name : "");
    }
    if (count)
        log_warn(
            "isolation: worker is asked for by %u plugins, but this build has no sandbox yet: they "
            "run inside the host: %.*s%s",
            count, STR_FMT(buf_view(&names)), names.failed ? ", ..." : "");
    buf_release(&names);
}

/* A name under `plugins` that no manifest has is most often a slip of the pen. */
static bool is_known(const struct jobs *all, struct str name)
{
    for (uint32_t i = 0; i < all->count; i++) {
        const struct job *j = &all->job[i];
        struct str stem = {j->file, strcspn(j->file, ".")};
        if (str_eq(stem, name) || str_eq(str_of(j->name), name))
            return true;
    }
    return false;
}

static void note_unknown_plugins(struct host *h, const struct jobs *all)
{
    for (int which = 0; which < 2; which++) {
        const struct document *d = which ? &h->settings->sets : &h->settings->doc;
        json_ref plugins = d->json.nodes ? json_get(&d->json, 0, STR("plugins")) : 0;
        if (!plugins || !json_is(&d->json, plugins, JSON_OBJECT))
            continue;
        json_each_member (&d->json, plugins, key) {
            struct str name = json_inner(&d->json, key);
            if (!is_known(all, name))
                host_problem(h, "config", false,
                             "%s: plugins.%.*s: there is no plugin of that name", d->path,
                             STR_FMT(name));
        }
    }
}

static void add_manifest(struct host *h, struct job *j)
{
    struct manifest *m = j->manifest;
    const char *name = j->name = xstrndup(m->name.p, m->name.n);
    const struct manifest *first = same_name(h, m);
    if (!m->enabled) {
        log_line(LOG_INFO, name, "disabled by the host config");
        manifest_free(m);
    } else if (first) {
        host_problem(h, name, true,
                     "%s: expected an instance name of its own, found %s, which %s has too",
                     m->doc.path, name, first->doc.path);
        manifest_free(m);
    } else {
        note_manifest(m, name);
        make_data(h, m, name);
        struct instance *in = NULL;
        if (j->library_error)
            host_problem(h, name, true, "%s", j->e.text);
        else
            in = instance_new(h->engine, m);
        h->manifest = realloc(h->manifest, (h->manifests + 1) * sizeof(struct manifest *));
        h->instance = realloc(h->instance, (h->manifests + 1) * sizeof(struct instance *));
        if (!h->manifest || !h->instance)
            out_of_memory();
        h->manifest[h->manifests] = m;
        h->instance[h->manifests++] = in;
    }
}

static int list_files(int dirfd, char ***ret, uint32_t *ret_count)
{
    char **file = NULL;
    uint32_t count = 0;
    int fd = fcntl(dirfd, F_DUPFD_CLOEXEC, 10);
    DIR *d = fd < 0 ? NULL : fdopendir(fd);
    if (!d) {
        int r = -errno;
        if (fd >= 0)
            close(fd);
        return r;
    }
    for (struct dirent *it; count < MAX_FILES && (it = readdir(d));) {
        if (it->d_name[0] == '.' ||
            !(ends_with(it->d_name, ".yaml") || ends_with(it->d_name, ".yml")))
            continue;
        if (count % 64 == 0) {
            file = realloc(file, (count + 64) * sizeof(char *));
            if (!file)
                out_of_memory();
        }
        file[count++] = xstrndup(it->d_name, strlen(it->d_name));
    }
    closedir(d);
    if (count)
        qsort(file, count, sizeof(char *), by_name);
    *ret = file;
    *ret_count = count;
    return 0;
}

static void note_job(struct host *h, struct jobs *all, const struct source *s, int dirfd,
                     char *file)
{
    char stem[64];
    snprintf(stem, sizeof(stem), "%.*s", (int)strcspn(file, "."), file);
    if (ends_with(file, ".yml"))
        host_problem(h, stem, false, "%s/%s is not read: expected a name that ends in .yaml",
                     s->path, file);
    else if (all->count >= MAX_MANIFESTS)
        host_problem(h, stem, true, "%s/%s is not read: expected at most %d manifests", s->path,
                     file, MAX_MANIFESTS);
    if (ends_with(file, ".yml") || all->count >= MAX_MANIFESTS) {
        free(file);
        return;
    }
    if (all->count == all->cap) {
        uint32_t cap = all->cap ? all->cap * 2 : 64;
        struct job *more = xcalloc(cap, sizeof(*more));
        if (all->count)
            memcpy(more, all->job, all->count * sizeof(*more));
        free(all->job);
        all->job = more;
        all->cap = cap;
    }
    all->job[all->count++] =
        (struct job){.settings = h->settings, .source = s, .dirfd = dirfd, .file = file};
}

/* The jobs of one source; its open directory, or -1. */
static int open_source(struct host *h, const struct source *s, struct jobs *all)
{
    struct err e;
    int dirfd = open(s->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dirfd < 0) {
        if (!(s->optional && errno == ENOENT))
            host_problem(h, s->path, true, "%s: expected a directory of manifests, found: %s",
                         s->path, strerror(errno));
        return -1;
    }
    if (check_directory(dirfd, s->path, &e)) {
        host_problem(h, s->path, true, "%s", e.text);
        close(dirfd);
        return -1;
    }
    uint32_t count = 0;
    char **file = NULL;
    int r = list_files(dirfd, &file, &count);
    if (r)
        host_problem(h, s->path, true, "%s: cannot list it: %s", s->path, strerror(-r));
    for (uint32_t k = 0; k < count; k++)
        note_job(h, all, s, dirfd, file[k]);
    free(file);
    return dirfd;
}

static void *reader(void *arg)
{
    struct jobs *all = arg;
    for (uint32_t i; (i = atomic_fetch_add(&all->next, 1)) < all->count;) {
        struct job *j = &all->job[i];
        if (manifest_read(j->settings, j->source, j->dirfd, j->file, &j->manifest, &j->e))
            j->manifest = NULL;
        else if (j->manifest->enabled)
            /* An early look: a tool that can't work is not offered. */
            j->library_error =
                j->manifest->library
                    ? library_check(j->dirfd, j->manifest->directory, j->manifest->library, &j->e)
                    : 0;
    }
    return NULL;
}

static void read_all(struct jobs *all)
{
    pthread_t id[MAX_READERS];
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    uint32_t made = 0;
    while (made + 1 < MAX_READERS && made + 1 < (cores > 0 ? cores : 1) &&
           (made + 1) * FILES_PER_READER < all->count &&
           pthread_create(&id[made], NULL, reader, all) == 0)
        made++;
    reader(all);
    while (made)
        pthread_join(id[--made], NULL);
}

void sources_read(struct host *h)
{
    uint32_t n = h->settings->sources;
    int *dirfd = xcalloc(n, sizeof(int));
    struct jobs all = {0};
    for (uint32_t i = 0; i < n; i++)
        dirfd[i] = open_source(h, &h->settings->source[i], &all);
    read_all(&all);
    for (uint32_t i = 0; i < all.count; i++) {
        struct job *j = &all.job[i];
        char stem[64];
        snprintf(stem, sizeof(stem), "%.*s", (int)strcspn(j->file, "."), j->file);
        if (j->manifest)
            add_manifest(h, j);
        else
            host_problem(h, stem, true, "%s", j->e.text);
    }
    note_isolation(h);
    note_unknown_plugins(h, &all);
    for (uint32_t i = 0; i < all.count; i++) {
        free(all.job[i].file);
        free(all.job[i].name);
    }
    for (uint32_t i = 0; i < n; i++) {
        if (dirfd[i] >= 0)
            close(dirfd[i]);
    }
    free(all.job);
    free(dirfd);
}
