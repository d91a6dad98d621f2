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
#include "config/file.h"
#include "plugin/library.h"

enum { MAX_MANIFESTS = 10000, MAX_FILES = 20000, MAX_READERS = 4, FILES_PER_READER = 8 };

/* One manifest to read.  Reading them is most of a start, so it is shared among
 * a few threads; what is read is then added in order, on one thread. */
struct job {
    const struct source *source;
    int dirfd;  /* of the source; shared */
    char *file; /* owned */
    struct staged result;
};

struct jobs {
    struct stage *stage;
    bool (*loaded)(const void *arg, struct str name);
    const void *arg;
    const char *keep_libraries;
    struct job *job;
    uint32_t count, cap;
    atomic_uint next;
    atomic_int error; /* -ENOMEM, -EMFILE or -ENFILE: not all could be read */
};

/* What says nothing of the file, only of what the host has left. */
static bool is_shortage(int r)
{
    return r == -ENOMEM || r == -EMFILE || r == -ENFILE;
}

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

static const struct manifest *same_name(const struct stage *st, struct str name)
{
    for (uint32_t i = 0; i < st->plugins; i++) {
        if (st->plugin[i].manifest && str_eq(st->plugin[i].manifest->name, name))
            return st->plugin[i].manifest;
    }
    return NULL;
}

void manifest_note(const struct manifest *m, const char *name)
{
    for (uint32_t i = 0; i < m->warnings; i++)
        log_line(LOG_WARN, name, "%s", m->warning[i]);
    for (uint32_t i = 0; i < m->dormants; i++)
        log_line(LOG_INFO, name, "%s: accepted, not in force in this build", m->dormant[i]);
}

static void make_directories(struct stage *st, const char *name, const char *path)
{
    char part[PATH_MAX];
    if ((size_t)snprintf(part, sizeof(part), "%s", path) >= sizeof(part))
        return;
    for (char *slash = strchr(part + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = 0;
        mkdir(part, 0700);
        *slash = '/';
    }
    if (mkdir(part, 0700) < 0 && errno != EEXIST)
        problem_add(&st->problems, name, false,
                    "%s: expected to make the plugin's own directory, found: %s", path,
                    strerror(errno));
}

/* "${data}" is the plugin's own directory, made when its config or a grant speaks of it. */
static void make_data(struct stage *st, const struct manifest *m, const char *name)
{
    char path[PATH_MAX];
    int n = snprintf(path, sizeof(path), "%s/%s", st->settings->data, name);
    if (n < 0 || (size_t)n >= sizeof(path))
        return;
    if (m->config.len && memmem(m->config.data, m->config.len, path, (size_t)n))
        make_directories(st, name, path);
    for (uint32_t i = 0; i < m->grants.files_count; i++) {
        const struct files_grant *f = &m->grants.files[i];
        for (uint32_t k = 0; k < f->paths; k++) {
            if (str_starts(f->path[k], (struct str){path, (size_t)n}) &&
                (f->path[k].n == (size_t)n || f->path[k].p[n] == '/'))
                make_directories(st, name, f->path[k].p);
        }
    }
}

/* One line for all: in one address space nothing can be enforced, and the operator must know. */
void host_note_isolation(const struct host *h)
{
    struct buf names = BUF_INIT(512);
    uint32_t count = 0;
    for (uint32_t i = 0; i < h->manifests; i++) {
        const struct manifest *m = h->manifest[i];
        if (!h->instance[i] || !m->library || m->instance.isolation != ISOLATION_WORKER)
            continue;
        buf_printf(&names, "%s%s", count++ ? ", " : "", h->instance[i]->name);
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
        if (str_eq(stem, name) || (j->result.name && str_eq(str_of(j->result.name), name)))
            return true;
    }
    return false;
}

static void note_unknown_plugins(const struct jobs *all)
{
    const struct settings *s = all->stage->settings;
    for (uint32_t which = 0; which < settings_layers(s); which++) {
        const struct document *d = settings_layer(s, which);
        json_ref plugins = d->json.nodes ? json_get(&d->json, 0, STR("plugins")) : 0;
        if (!plugins || !json_is(&d->json, plugins, JSON_OBJECT))
            continue;
        json_each_member (&d->json, plugins, key) {
            struct str name = json_inner(&d->json, key);
            if (!is_known(all, name))
                problem_add(&all->stage->problems, "config", false,
                            "%s: plugins.%.*s: there is no plugin of that name", d->path,
                            STR_FMT(name));
        }
    }
}

static void staged_release(struct staged *s)
{
    manifest_free(s->manifest);
    free(s->path);
    free(s->stem);
    free(s->name);
}

/* Takes what was read of one file out of *s, unless it is not to be served. */
static void add_staged(struct stage *st, struct staged *s)
{
    struct manifest *m = s->manifest;
    const struct manifest *first = m ? same_name(st, m->name) : NULL;
    if (m && !m->enabled) {
        log_line(LOG_INFO, s->name, "disabled by the host config");
    } else if (first) {
        problem_add(&st->problems, s->name, true,
                    "%s: expected an instance name of its own, found %s, which %s has too",
                    m->doc.path, s->name, first->doc.path);
    } else {
        if (m)
            make_data(st, m, s->name);
        st->plugin[st->plugins++] = *s;
        *s = (struct staged){0};
    }
}

static int list_files(int dirfd, char ***ret, uint32_t *ret_count)
{
    char **file = NULL;
    uint32_t count = 0;
    int r = 0;
    int fd = fcntl(dirfd, F_DUPFD_CLOEXEC, 10);
    DIR *d = fd < 0 ? NULL : fdopendir(fd);
    if (!d) {
        r = -errno;
        if (fd >= 0)
            close(fd);
        return r;
    }
    for (struct dirent *it; !r && count < MAX_FILES && (it = readdir(d));) {
        if (it->d_name[0] == '.' ||
            !(ends_with(it->d_name, ".yaml") || ends_with(it->d_name, ".yml")))
            continue;
        char **more = count % 64 ? file : realloc(file, (count + 64) * sizeof(char *));
        file = more ? more : file;
        if (more && (file[count] = str_dup(str_of(it->d_name))))
            count++;
        else
            r = -ENOMEM;
    }
    closedir(d);
    if (count)
        qsort(file, count, sizeof(char *), by_name);
    *ret = file;
    *ret_count = count;
    return r;
}

/* Takes `file`.  0 or -ENOMEM. */
static int note_job(struct jobs *all, const struct source *s, int dirfd, char *file)
{
    char stem[64];
    snprintf(stem, sizeof(stem), "%.*s", (int)strcspn(file, "."), file);
    if (ends_with(file, ".yml"))
        problem_add(&all->stage->problems, stem, false,
                    "%s/%s is not read: expected a name that ends in .yaml", s->path, file);
    else if (all->count >= MAX_MANIFESTS)
        problem_add(&all->stage->problems, stem, true,
                    "%s/%s is not read: expected at most %d manifests", s->path, file,
                    MAX_MANIFESTS);
    if (ends_with(file, ".yml") || all->count >= MAX_MANIFESTS) {
        free(file);
        return 0;
    }
    if (all->count == all->cap) {
        uint32_t cap = all->cap ? all->cap * 2 : 64;
        struct job *more = realloc(all->job, cap * sizeof(*more));
        if (!more) {
            free(file);
            return -ENOMEM;
        }
        all->job = more;
        all->cap = cap;
    }
    all->job[all->count++] = (struct job){.source = s, .dirfd = dirfd, .file = file};
    return 0;
}

/* The jobs of an open source.  0, or the error that kept it from being listed as a whole. */
static int add_jobs(const struct source *s, int dirfd, struct jobs *all)
{
    uint32_t count = 0;
    char **file = NULL;
    int r = list_files(dirfd, &file, &count);
    for (uint32_t k = 0; k < count; k++) {
        if (is_shortage(r))
            free(file[k]);
        else
            r = note_job(all, s, dirfd, file[k]) ? -ENOMEM : r;
    }
    free(file);
    return r;
}

/* The jobs of one source; its open directory, or -1. */
static int open_source(const struct source *s, struct jobs *all)
{
    struct err e;
    int dirfd = open(s->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int r = dirfd < 0 ? -errno : 0;
    if (r == -ENOENT && s->optional)
        return -1;
    if (r) {
        problem_add(&all->stage->problems, s->path, true,
                    "%s: expected a directory of manifests, found: %s", s->path, strerror(-r));
    } else if (check_directory(dirfd, s->path, &e)) {
        problem_add(&all->stage->problems, s->path, true, "%s", e.text);
        close(dirfd);
        dirfd = -1;
    } else {
        r = add_jobs(s, dirfd, all);
        if (r)
            problem_add(&all->stage->problems, s->path, true, "%s: cannot list it: %s", s->path,
                        strerror(-r));
    }
    if (is_shortage(r))
        all->error = r;
    return dirfd;
}

/* Of a plugin that runs the bytes are wanted, of others a look is enough: they are staged when they
 * are first called. */
static void read_library(const struct jobs *all, const struct job *j, struct staged *r)
{
    const struct manifest *m = r->manifest;
    if (!m->library)
        return;
    if (all->loaded && all->loaded(all->arg, m->name))
        r->library_error = library_stage(j->dirfd, m->directory, m->library, all->keep_libraries,
                                         &r->library, &r->e);
    else if (all->stage->for_lock || all->stage->settings->lock != LOCK_NONE)
        r->library_error = library_digest(j->dirfd, m->directory, m->library, r->sha256, &r->e);
    else
        r->library_error = library_check(j->dirfd, m->directory, m->library, &r->e);
    if (r->library)
        memcpy(r->sha256, library_hash(r->library), LIBRARY_HEX);
}

/* What is wrong with the manifest or its library is in r->e.  0, or -ENOMEM when there is not even
 * memory to say which it is. */
static int read_one(const struct jobs *all, const struct job *j, struct staged *r)
{
    struct str file = str_of(j->file);
    r->stem = str_dup((struct str){file.p, strcspn(file.p, ".")});
    if (!r->stem || path_expand(file, j->source->path, &r->path, &r->e))
        return -ENOMEM;
    if (manifest_read(all->stage->settings, j->source, j->dirfd, file.p, &r->manifest, &r->e)) {
        r->manifest = NULL;
        return 0;
    }
    r->name = str_dup(r->manifest->name);
    if (!r->name)
        return -ENOMEM;
    if (r->manifest->enabled)
        read_library(all, j, r);
    return 0;
}

static void *reader(void *arg)
{
    struct jobs *all = arg;
    for (uint32_t i; (i = atomic_fetch_add(&all->next, 1)) < all->count;) {
        int r = read_one(all, &all->job[i], &all->job[i].result);
        if (r)
            all->error = r;
    }
    return NULL;
}

static void read_all(struct jobs *all)
{
    pthread_t id[MAX_READERS];
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    uint32_t made = 0;
    /* Beside a host that serves, one thread must do: the others would take the loop's time. */
    while (!all->loaded && made + 1 < MAX_READERS && made + 1 < (cores > 0 ? cores : 1) &&
           (made + 1) * FILES_PER_READER < all->count &&
           pthread_create(&id[made], NULL, reader, all) == 0)
        made++;
    reader(all);
    while (made)
        pthread_join(id[--made], NULL);
}

/* What is to be served of what was read. */
static int choose(struct jobs *all)
{
    struct stage *st = all->stage;
    st->plugin = calloc(all->count + 1, sizeof(*st->plugin));
    if (!st->plugin)
        return -ENOMEM;
    note_unknown_plugins(all);
    for (uint32_t i = 0; i < all->count; i++)
        add_staged(st, &all->job[i].result);
    return 0;
}

int stage_read(struct stage *st, bool (*loaded)(const void *arg, struct str name), const void *arg,
               const char *keep_libraries, struct err *e)
{
    uint32_t n = st->settings->sources, opened = 0;
    int *dirfd = calloc(n + 1, sizeof(int));
    struct jobs all = {.stage = st, .loaded = loaded, .arg = arg, .keep_libraries = keep_libraries};
    if (!dirfd)
        all.error = -ENOMEM;
    for (; opened < n && !all.error; opened++)
        dirfd[opened] = open_source(&st->settings->source[opened], &all);
    if (!all.error)
        read_all(&all);
    if (!all.error)
        all.error = choose(&all);
    if (!all.error)
        lock_apply(st);
    for (uint32_t i = 0; i < all.count; i++) {
        free(all.job[i].file);
        staged_release(&all.job[i].result);
    }
    for (uint32_t i = 0; i < opened; i++) {
        if (dirfd[i] >= 0)
            close(dirfd[i]);
    }
    free(all.job);
    free(dirfd);
    int r = all.error;
    return r ? err_set(e, r, "the sources can't be read: %s",
                       r == -ENOMEM ? "out of memory" : strerror(-r))
             : 0;
}

void stage_release(struct stage *st)
{
    for (uint32_t i = 0; i < st->plugins; i++)
        staged_release(&st->plugin[i]);
    free(st->plugin);
    problems_release(&st->problems);
    *st = (struct stage){0};
}
