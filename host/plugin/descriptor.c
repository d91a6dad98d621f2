#include "plugin/descriptor.h"

#include <errno.h>
#include "base/log.h"
#include "json/writer.h"

enum { MAX_ENTRIES = 1024, MAX_TEXT = 255, MAX_LISTED = 600 };

/* Bytes of a string, or MAX_TEXT + 1 when it is longer than that. */
static size_t bounded(const char *s)
{
    return strnlen(s, MAX_TEXT + 1);
}

static int check_text(const char *what, const char *s, struct err *e)
{
    if (!s || !*s)
        return err_set(e, -EINVAL, "expected a descriptor with %s, found none", what);
    size_t n = bounded(s);
    if (n > MAX_TEXT)
        return err_set(e, -EINVAL, "expected %s of at most %d bytes, found a longer one", what,
                       MAX_TEXT);
    if (!utf8_valid((struct str){s, n}))
        return err_set(e, -EINVAL, "expected %s in UTF-8, found other bytes", what);
    return 0;
}

/* A plugin that was built newer may set flags that this host can't know and that
 * it has said it can do without (abi_minor_min). */
static int check_flags(const mf_plugin *p, const char *what, uint32_t flags, uint32_t known,
                       struct err *e)
{
    if (p->abi_minor > MF_ABI_MINOR || (flags & ~known) == 0)
        return 0;
    return err_set(e, -EINVAL, "expected flags of ABI 1.%u only, found 0x%x in %s", p->abi_minor,
                   flags & ~known, what);
}

static int check_entries(const mf_plugin *p, const char *kind, const mf_entry *const *list,
                         struct err *e)
{
    for (size_t i = 0; list && list[i]; i++) {
        if (i >= MAX_ENTRIES)
            return err_set(e, -EINVAL, "expected at most %d %ss, found more or no NULL at the end",
                           MAX_ENTRIES, kind);
        if (!MF_HAS(list[i], name))
            return err_set(e, -EINVAL, "expected %s %zu of at least %zu bytes, found size %u", kind,
                           i, sizeof(mf_entry), list[i]->size);
        int r = check_text("a name of every entry", list[i]->name, e);
        if (!r)
            r = check_flags(p, list[i]->name, list[i]->flags, MF_TOOL_BLOCKING, e);
        if (r)
            return r;
        for (size_t k = 0; k < i; k++) {
            if (strcmp(list[k]->name, list[i]->name) == 0)
                return err_set(e, -EINVAL, "expected %s names once each, found \"%s\" twice", kind,
                               list[i]->name);
        }
    }
    return 0;
}

int descriptor_valid(const mf_plugin *p, struct err *e)
{
    /* `extension` is the last field of 1.0; a later plugin is larger, none is smaller. */
    if (!MF_HAS(p, extension))
        return err_set(e, -EINVAL, "expected a descriptor of at least %zu bytes, found size %u",
                       offsetof(mf_plugin, extension) + sizeof(p->extension), p->size);
    if (p->abi_minor_min > MF_ABI_MINOR)
        return err_set(e, -EINVAL, "needs host ABI 1.%u, this is 1.%u", p->abi_minor_min,
                       MF_ABI_MINOR);
    if (p->abi_minor_min > p->abi_minor)
        return err_set(e, -EINVAL, "expected abi_minor_min of at most abi_minor %u, found %u",
                       p->abi_minor, p->abi_minor_min);
    if (!p->open || !p->call || !p->close)
        return err_set(e, -EINVAL, "expected a descriptor with open, call and close, found no %s",
                       !p->open   ? "open"
                       : !p->call ? "call"
                                  : "close");
    int r = check_flags(p, "the descriptor", p->flags, 0, e);
    if (!r)
        r = check_text("an id", p->id, e);
    if (!r)
        r = check_text("a version", p->version, e);
    if (!r)
        r = check_entries(p, "tool", p->tools, e);
    if (!r)
        r = check_entries(p, "resource", p->resources, e);
    return r ? r : check_entries(p, "prompt", p->prompts, e);
}

static const char *library_name(const struct manifest *m)
{
    return m->library ? m->library : "(none)";
}

static const mf_entry *const *entries_of(const mf_plugin *p, enum entry_kind kind)
{
    static const mf_entry *const none[] = {NULL};
    const mf_entry *const *list = kind == ENTRY_TOOL     ? p->tools
                                  : kind == ENTRY_PROMPT ? p->prompts
                                                         : p->resources;
    return list ? list : none;
}

static const char *list_name(enum entry_kind kind)
{
    return kind == ENTRY_TOOL ? "tools" : kind == ENTRY_PROMPT ? "prompts" : "resources";
}

/* "a, b, c", cut with "..." so that the rest of the sentence has room. */
static void put_name(struct buf *b, const char *name)
{
    if (b->failed)
        return;
    if (buf_printf(b, "%s%s", b->len ? ", " : "", name)) {
        b->max += 8;
        b->failed = 0;
        buf_lit(b, ", ...");
        b->failed = -ENOBUFS;
    }
}

static int missing_entry(const mf_plugin *p, const struct manifest *m, const struct entry_spec *s,
                         struct err *e)
{
    struct buf b = BUF_INIT(MAX_LISTED);
    for (const mf_entry *const *it = entries_of(p, s->kind); *it; it++)
        put_name(&b, (*it)->name);
    if (b.len)
        err_set(e, -EINVAL, "library %s has %s %.*s; the manifest declares %.*s, which it has not",
                library_name(m), list_name(s->kind), STR_FMT(buf_view(&b)), STR_FMT(s->name));
    else
        err_set(e, -EINVAL, "library %s has no %s; the manifest declares %.*s, which it has not",
                library_name(m), list_name(s->kind), STR_FMT(s->name));
    buf_release(&b);
    return -EINVAL;
}

static int bind_entry(const mf_plugin *p, const struct manifest *m, const struct entry_spec *s,
                      struct descriptor_binding *ret, struct err *e)
{
    if (!s->needs_library) {
        *ret = (struct descriptor_binding){.index = UINT32_MAX};
        return 0;
    }
    const mf_entry *const *list = entries_of(p, s->kind);
    for (uint32_t i = 0; list[i]; i++) {
        if (str_eq(str_of(list[i]->name), s->name)) {
            *ret =
                (struct descriptor_binding){.index = i, .flags = list[i]->flags & MF_TOOL_BLOCKING};
            return 0;
        }
    }
    return missing_entry(p, m, s, e);
}

static bool declared(const struct manifest *m, const char *list, const char *name)
{
    for (uint32_t i = 0; i < m->entries; i++) {
        if (strcmp(list_name(m->entry[i].kind), list) == 0 &&
            str_eq(m->entry[i].name, str_of(name)))
            return true;
    }
    return false;
}

/* A library may have more than one manifest shows; a dynamic catalogue names it later. */
static void warn_unserved(const mf_plugin *p, const struct manifest *m)
{
    static const enum entry_kind kinds[] = {ENTRY_TOOL, ENTRY_RESOURCE, ENTRY_PROMPT};
    struct buf b = BUF_INIT(MAX_LISTED);
    for (size_t k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++) {
        for (const mf_entry *const *it = entries_of(p, kinds[k]); *it; it++) {
            if (!declared(m, list_name(kinds[k]), (*it)->name))
                put_name(&b, (*it)->name);
        }
    }
    if (b.len && !m->dynamic) {
        char who[64];
        snprintf(who, sizeof(who), "%.*s", STR_FMT(m->name));
        log_line(LOG_WARN, who,
                 "library %s has more than the manifest declares, which is not served: %.*s",
                 library_name(m), STR_FMT(buf_view(&b)));
    }
    buf_release(&b);
}

int descriptor_check(const mf_plugin *p, const struct manifest *m,
                     struct descriptor_binding *ret_binding, struct err *e)
{
    int r = descriptor_valid(p, e);
    if (r) {
        err_prefix(e, "library %s", library_name(m));
        return r;
    }
    if (!str_eq(m->id, str_of(p->id)))
        return err_set(e, -EINVAL, "library %s has id %s; the manifest expects %.*s",
                       library_name(m), p->id, STR_FMT(m->id));
    if (m->version.n && !str_eq(m->version, str_of(p->version)))
        return err_set(e, -EINVAL, "library %s has version %s; the manifest expects %.*s",
                       library_name(m), p->version, STR_FMT(m->version));
    for (uint32_t i = 0; i < m->entries; i++) {
        r = bind_entry(p, m, &m->entry[i], &ret_binding[i], e);
        if (r)
            return r;
    }
    warn_unserved(p, m);
    return 0;
}
