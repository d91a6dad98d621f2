#include "plugin/library_internal.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>
#include "json/reader.h"
#include "json/writer.h"
#include "plugin/descriptor.h"

/* The child's side of the probe, and the reading of what it writes. */
enum { OUTLINE_MAX = 60 * 1024, FIRST_PRIVATE_FD = 10 };

static void put_names(struct buf *b, const char *key, const mf_entry *const *list)
{
    buf_printf(b, ",\"%s\":[", key);
    for (size_t i = 0; list && list[i]; i++) {
        if (i)
            buf_byte(b, ',');
        json_write_string(b, str_of(list[i]->name));
    }
    buf_byte(b, ']');
}

static void put_outline(struct buf *b, const mf_plugin *p)
{
    buf_lit(b, "{\"id\":");
    json_write_string(b, str_of(p->id));
    buf_lit(b, ",\"version\":");
    json_write_string(b, str_of(p->version));
    buf_printf(b, ",\"abiMinor\":%u,\"abiMinorMin\":%u", p->abi_minor, p->abi_minor_min);
    put_names(b, "tools", p->tools);
    put_names(b, "resources", p->resources);
    put_names(b, "prompts", p->prompts);
    buf_lit(b, "}\n");
}

static void put_error(struct buf *b, const char *key, const char *text)
{
    buf_clear(b, SIZE_MAX);
    buf_printf(b, "{\"%s\":", key);
    json_write_string(b, str_of(text));
    buf_lit(b, "}\n");
}

static int write_all(int fd, const char *p, size_t n)
{
    while (n > 0) {
        ssize_t w = write(fd, p, n);
        if (w < 0 && errno == EINTR)
            continue;
        if (w <= 0)
            return -1;
        p += w;
        n -= (size_t)w;
    }
    return 0;
}

/* Everything but the standard streams, the library and the result goes.  What a
 * constructor prints reaches standard error, whatever it thinks it is. */
static int confine(int fd, int out)
{
    struct rlimit none = {0, 0};
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    setrlimit(RLIMIT_CORE, &none);
    int result = fcntl(out, F_DUPFD_CLOEXEC, FIRST_PRIVATE_FD);
    if (result < 0 || fd < 3 || dup2(2, 1) < 0)
        return -1;
    unsigned low = (unsigned)(fd < result ? fd : result);
    unsigned high = (unsigned)(fd < result ? result : fd);
    if (low > 3)
        close_range(3, low - 1, 0);
    if (high > low + 1)
        close_range(low + 1, high - 1, 0);
    close_range(high + 1, ~0U, 0);
    return result;
}

/* The descriptor, or NULL with the dynamic linker's words. */
static const mf_plugin *map_plugin(int fd, const char **why)
{
    char path[64];
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    void *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    const mf_plugin *p = handle ? dlsym(handle, "manifold_plugin_v1") : NULL;
    *why = p ? NULL : dlerror();
    return p;
}

int library_probe_main(int fd, int out)
{
    int result = confine(fd, out);
    if (result < 0)
        _exit(70);
    struct buf b = BUF_INIT(OUTLINE_MAX);
    const char *why = NULL;
    const mf_plugin *p = map_plugin(fd, &why);
    /* From here on it is not a constructor that crashes. */
    struct err e;
    int r = write_all(result, " ", 1);
    if (!p)
        put_error(&b, "dlerror", why ? why : "no manifold_plugin_v1");
    else if (descriptor_valid(p, &e))
        put_error(&b, "descriptor", e.text);
    else
        put_outline(&b, p);
    if (b.failed)
        put_error(&b, "descriptor", "expected names of at most 60 KiB in all, found more");
    if (write_all(result, b.data, b.len))
        r = -1;
    /* No handler of the plugin's runs: it has no part in the host yet. */
    _exit(r ? 71 : 0);
}

static int no_outline(const struct library *lib, const char *what, struct err *e)
{
    return err_set(e, -ENOEXEC,
                   "expected an outline from the probe of %s, found something else: %s", lib->name,
                   what);
}

static int outline_error(const struct library *lib, const struct json_doc *d, json_ref text,
                         bool from_linker, struct err *e)
{
    struct buf b = BUF_INIT(OUTLINE_MAX);
    struct str s = json_string(d, text, &b);
    if (from_linker)
        library_dlerror_text(lib, s, e);
    else
        err_set(e, -ENOEXEC, "%s: %.*s", lib->name, STR_FMT(s));
    buf_release(&b);
    return -ENOEXEC;
}

static int outline_judge(const struct library *lib, const struct json_doc *d, struct err *e)
{
    if (!json_is(d, 0, JSON_OBJECT))
        return no_outline(lib, "it is no object", e);
    json_ref linker = json_get(d, 0, STR("dlerror"));
    json_ref descriptor = json_get(d, 0, STR("descriptor"));
    json_ref why = linker ? linker : descriptor;
    if (why && json_is(d, why, JSON_STRING))
        return outline_error(lib, d, why, why == linker, e);
    json_ref minor = json_get(d, 0, STR("abiMinor"));
    int64_t built;
    if (why || !json_get(d, 0, STR("id")) || !minor || !json_int(d, minor, &built))
        return no_outline(lib, "it lacks id or abiMinor", e);
    if (built != lib->note.minor && !protection_off("note"))
        return err_set(e, -ENOEXEC,
                       "%s: expected the ABI minor %u of its ELF note in its descriptor, found "
                       "%lld",
                       lib->name, lib->note.minor, (long long)built);
    return 0;
}

int library_outline_check(const struct library *lib, const char *text, size_t n, struct err *e)
{
    static const struct json_limits limits = {.bytes = 64 * 1024, .depth = 4, .nodes = 10000};
    struct json_doc d = {0};
    struct json_error bad;
    int r = json_read(&d, (struct str){text, n}, &limits, &bad);
    r = r ? no_outline(lib, bad.text, e) : outline_judge(lib, &d, e);
    json_doc_release(&d);
    return r;
}
