#include "plugin/library_internal.h"

#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* A file as it was when its bytes were staged. */
struct seen {
    struct list node;
    struct stat stat;
    struct library *lib;
};

/* Everything ever staged.  Libraries are never unmapped, so both lists only grow, by one entry a
 * distinct library and a distinct file. */
static struct {
    pthread_mutex_t lock;
    struct list libraries, files;
} g = {.lock = PTHREAD_MUTEX_INITIALIZER,
       .libraries = {&g.libraries, &g.libraries},
       .files = {&g.files, &g.files}};

static struct seen *find_file(const struct stat *st)
{
    list_each (it, &g.files) {
        struct seen *s = container_of(it, struct seen, node);
        if (s->stat.st_dev == st->st_dev && s->stat.st_ino == st->st_ino)
            return s;
    }
    return NULL;
}

static bool unchanged(const struct stat *a, const struct stat *b)
{
    return a->st_size == b->st_size && a->st_mtim.tv_sec == b->st_mtim.tv_sec &&
           a->st_mtim.tv_nsec == b->st_mtim.tv_nsec && a->st_ctim.tv_sec == b->st_ctim.tv_sec &&
           a->st_ctim.tv_nsec == b->st_ctim.tv_nsec;
}

static struct library *find_hash(const unsigned char *hash)
{
    list_each (it, &g.libraries) {
        struct library *lib = container_of(it, struct library, node);
        if (memcmp(lib->copy.hash, hash, LIBRARY_HASH) == 0)
            return lib;
    }
    return NULL;
}

static void to_hex(const unsigned char hash[LIBRARY_HASH], char ret[LIBRARY_HEX])
{
    static const char digit[] = "0123456789abcdef";
    for (size_t i = 0; i < LIBRARY_HASH; i++) {
        ret[2 * i] = digit[hash[i] >> 4];
        ret[2 * i + 1] = digit[hash[i] & 15];
    }
    ret[2 * LIBRARY_HASH] = 0;
}

/* Takes the copy.  NULL: there is no memory, and the copy stays the caller's. */
static struct library *library_new(const char *name, const struct sealed_copy *copy,
                                   const struct plugin_note *note)
{
    struct library *lib = calloc(1, sizeof(*lib));
    char *own = lib ? str_dup(str_of(name)) : NULL;
    if (!own) {
        free(lib);
        return NULL;
    }
    lib->name = own;
    lib->copy = *copy;
    lib->note = *note;
    lib->state = LIBRARY_STAGED;
    to_hex(copy->hash, lib->hash);
    return lib;
}

static int read_note(const struct sealed_copy *copy, struct plugin_note *ret, struct err *e)
{
    *ret = (struct plugin_note){.major = MF_ABI_MAJOR, .minor = 0};
    if (protection_off("note"))
        return 0;
    return plugin_note_read(copy->fd, ret, e);
}

/* `hash` may be NULL. */
static int look_at(int dirfd, const char *directory, const char *name, unsigned char *hash,
                   struct err *e)
{
    struct stat st;
    struct plugin_note note;
    int fd = library_open_source(dirfd, directory, name, &st, e);
    if (fd < 0)
        return fd;
    int r = protection_off("note") ? 0 : plugin_note_read(fd, &note, e);
    r = r || !hash ? r : library_hash_fd(fd, hash, e);
    if (r)
        err_prefix(e, "%s/%s", directory, name);
    close(fd);
    return r;
}

int library_check(int dirfd, const char *directory, const char *name, struct err *e)
{
    return look_at(dirfd, directory, name, NULL, e);
}

int library_digest(int dirfd, const char *directory, const char *name, char ret[LIBRARY_HEX],
                   struct err *e)
{
    unsigned char hash[LIBRARY_HASH];
    int r = look_at(dirfd, directory, name, hash, e);
    if (!r)
        to_hex(hash, ret);
    return r;
}

/* Where a file is remembered; NULL: there is no memory for it. */
static struct seen *file_of(const struct stat *st)
{
    struct seen *s = find_file(st);
    if (s)
        return s;
    s = calloc(1, sizeof(*s));
    if (s)
        list_append(&g.files, &s->node);
    return s;
}

/* The library of these bytes, which are taken when they are new. */
static int library_of(const char *name, const struct sealed_copy *copy, struct library **ret,
                      struct err *e)
{
    struct plugin_note note;
    int r = read_note(copy, &note, e);
    if (r)
        return r;
    struct library *lib = library_new(name, copy, &note);
    if (!lib)
        return err_set(e, -ENOMEM, "out of memory");
    list_append(&g.libraries, &lib->node);
    *ret = lib;
    return 0;
}

/* Under the lock.  Takes the copy, which is closed when equal bytes are there already. */
static int enter(const char *name, struct sealed_copy *copy, struct library **ret, struct err *e)
{
    struct library *lib = find_hash(copy->hash);
    struct stat st = copy->source;
    int r = lib ? 0 : library_of(name, copy, &lib, e);
    if (r || lib->copy.fd != copy->fd)
        library_copy_release(copy);
    if (r)
        return r;
    struct seen *s = file_of(&st);
    if (s) { /* else its bytes are only copied once more, the next time */
        s->stat = st;
        s->lib = lib;
    }
    *ret = lib;
    return 0;
}

int library_stage(int dirfd, const char *directory, const char *name, const char *keep_dir,
                  struct library **ret, struct err *e)
{
    struct stat st;
    int fd = library_open_source(dirfd, directory, name, &st, e);
    if (fd < 0)
        return fd;
    pthread_mutex_lock(&g.lock);
    struct seen *s = find_file(&st);
    struct library *lib = s && unchanged(&s->stat, &st) ? s->lib : NULL;
    pthread_mutex_unlock(&g.lock);
    int r = 0;
    if (!lib) {
        struct sealed_copy copy;
        r = library_copy(fd, &st, directory, name, keep_dir, &copy, e);
        if (!r) {
            pthread_mutex_lock(&g.lock);
            r = enter(name, &copy, &lib, e);
            pthread_mutex_unlock(&g.lock);
        }
        if (r)
            err_prefix(e, "%s/%s", directory, name);
    }
    close(fd);
    if (r)
        return r;
    atomic_store(&lib->again, true);
    *ret = lib;
    return 0;
}

const char *library_hash(const struct library *lib)
{
    return lib->hash;
}

enum library_state library_state(const struct library *lib)
{
    return lib->state;
}

int library_set_bad(struct library *lib, int code, const struct err *e)
{
    err_drop(lib->why);
    lib->why = err_keep(e->text);
    lib->state = LIBRARY_BAD;
    return code;
}

void library_dlerror_text(const struct library *lib, struct str text, struct err *e)
{
    static const struct str prefix = {"/proc/self/fd/", 14};
    if (str_starts(text, prefix)) {
        text.p += prefix.n;
        text.n -= prefix.n;
        while (text.n && *text.p >= '0' && *text.p <= '9')
            text.p++, text.n--;
        if (text.n > 2 && text.p[0] == ':')
            text.p += 2, text.n -= 2;
    }
    if (memmem(text.p, text.n, "undefined symbol: manifold_plugin_v1", 36)) {
        err_set(e, -ENOEXEC,
                "%s exports no manifold_plugin_v1: expected that one symbol, declared MF_EXPORT",
                lib->name);
        return;
    }
    bool missing = memmem(text.p, text.n, "cannot open shared object file", 30) != NULL;
    err_set(e, -ENOEXEC, "%s can't be mapped: %.*s%s%s", lib->name, STR_FMT(text),
            missing ? "; see what is missing with: ldd " : "", missing ? lib->name : "");
}

int library_load(struct library *lib, const mf_plugin **ret, struct err *e)
{
    if (lib->state == LIBRARY_BAD)
        return err_set(e, -ENOEXEC, "%s", lib->why);
    if (lib->state == LIBRARY_STAGED && protection_off("probe"))
        lib->state = LIBRARY_PROBED;
    if (lib->state != LIBRARY_PROBED && lib->state != LIBRARY_LOADED)
        return err_set(e, -EINVAL, "%s has not been probed yet", lib->name);
    if (lib->state == LIBRARY_PROBED) {
        struct err why;
        /* The handle is not kept: nothing is ever closed (docs/internals/loading.md). */
        void *handle = dlopen(lib->copy.path, RTLD_NOW | RTLD_LOCAL);
        lib->descriptor = handle ? dlsym(handle, "manifold_plugin_v1") : NULL;
        if (!lib->descriptor) {
            library_dlerror_text(lib, str_of(dlerror()), &why);
            library_set_bad(lib, -ENOEXEC, &why);
            return err_set(e, -ENOEXEC, "%s", why.text);
        }
        lib->state = LIBRARY_LOADED;
    }
    *ret = lib->descriptor;
    return 0;
}
