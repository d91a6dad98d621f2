/* From the directories of the host config to manifests and instances, in an
 * order that does not depend on the file system: sources in order, files by name. */
#include "runtime/internal.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include "plugin/note.h"

enum { MAX_MANIFESTS = 10000, MAX_FILES = 20000 };

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

/* An early look at the library, without mapping it: a tool that can't work is not offered. */
static int check_library(const struct manifest *m, int dirfd, struct err *e)
{
    if (!m->library)
        return 0;
    int fd = openat(dirfd, m->library, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return err_set(e, -errno, "%s/%s: expected the plugin's library, found: %s", m->directory,
                       m->library, strerror(errno));
    struct plugin_note note;
    int r = protection_off("note") ? 0 : plugin_note_read(fd, &note, e);
    if (r)
        err_prefix(e, "%s/%s", m->directory, m->library);
    close(fd);
    return r;
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
    if (m->library && m->instance.isolation == ISOLATION_WORKER && m->isolation_asked)
        log_line(LOG_WARN, name,
                 "asks for isolation: worker; this build has no sandbox yet, it runs in-process");
}

static void add_manifest(struct host *h, struct manifest *m, int dirfd)
{
    char *name = xstrndup(m->name.p, m->name.n);
    const struct manifest *first = same_name(h, m);
    struct err e;
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
        struct instance *in = NULL;
        if (check_library(m, dirfd, &e))
            host_problem(h, name, true, "%s", e.text);
        else
            in = instance_new(h->engine, m, fcntl(dirfd, F_DUPFD_CLOEXEC, 10));
        h->manifest = realloc(h->manifest, (h->manifests + 1) * sizeof(struct manifest *));
        h->instance = realloc(h->instance, (h->manifests + 1) * sizeof(struct instance *));
        BUG_ON(!h->manifest || !h->instance);
        h->manifest[h->manifests] = m;
        h->instance[h->manifests++] = in;
    }
    free(name);
}

static char **list_files(int dirfd, uint32_t *ret_count)
{
    char **file = NULL;
    uint32_t count = 0;
    DIR *d = fdopendir(fcntl(dirfd, F_DUPFD_CLOEXEC, 10));
    for (struct dirent *it; d && count < MAX_FILES && (it = readdir(d));) {
        if (it->d_name[0] == '.' ||
            !(ends_with(it->d_name, ".yaml") || ends_with(it->d_name, ".yml")))
            continue;
        if (count % 64 == 0) {
            char **more = realloc(file, (count + 64) * sizeof(char *));
            if (!more)
                break;
            file = more;
        }
        file[count++] = xstrndup(it->d_name, strlen(it->d_name));
    }
    if (d)
        closedir(d);
    if (count)
        qsort(file, count, sizeof(char *), by_name);
    *ret_count = count;
    return file;
}

static void read_file(struct host *h, const struct source *s, int dirfd, const char *file)
{
    struct err e;
    struct manifest *m;
    char stem[64];
    snprintf(stem, sizeof(stem), "%.*s", (int)strcspn(file, "."), file);
    if (ends_with(file, ".yml"))
        host_problem(h, stem, false, "%s/%s is not read: expected a name that ends in .yaml",
                     s->path, file);
    else if (h->manifests >= MAX_MANIFESTS)
        host_problem(h, stem, true, "%s/%s is not read: expected at most %d manifests", s->path,
                     file, MAX_MANIFESTS);
    else if (manifest_read(h->settings, s, dirfd, file, &m, &e))
        host_problem(h, stem, true, "%s", e.text);
    else
        add_manifest(h, m, dirfd);
}

void sources_read(struct host *h)
{
    for (uint32_t i = 0; i < h->settings->sources; i++) {
        const struct source *s = &h->settings->source[i];
        struct err e;
        int dirfd = open(s->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (dirfd < 0) {
            if (!(s->optional && errno == ENOENT))
                host_problem(h, s->path, true, "%s: expected a directory of manifests, found: %s",
                             s->path, strerror(errno));
            continue;
        }
        uint32_t count = 0;
        char **file = NULL;
        if (check_directory(dirfd, s->path, &e))
            host_problem(h, s->path, true, "%s", e.text);
        else
            file = list_files(dirfd, &count);
        for (uint32_t k = 0; k < count; k++) {
            read_file(h, s, dirfd, file[k]);
            free(file[k]);
        }
        free(file);
        close(dirfd);
    }
}
