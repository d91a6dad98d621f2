/* list.c - list_directory and list_directory_with_sizes. */
#include <stdlib.h>

#include "place.h"

static bool list_place(struct job *j, uint32_t flags, struct place *ret_place, struct entries *ret)
{
    struct failure f;
    *ret = (struct entries){0};
    if (!place_of(j, "path", ret_place))
        return false;
    if (io_list(j, ret_place->spot, flags, (size_t)j->fs->max_entries, ret, &f))
        return true;
    return fail_as_node(j, &f, "scandir", text_string(&ret_place->real), NULL);
}

static const char *mark(const struct entry *e)
{
    return e->kind == MF_KIND_DIRECTORY ? "[DIR] " : "[FILE] ";
}

bool tool_list(struct job *j, struct text *out)
{
    struct entries e;
    struct place p;
    bool good = list_place(j, 0, &p, &e);
    for (size_t i = 0; good && !out->over && i < e.count; i++) {
        if (i > 0)
            text_cat(out, "\n");
        text_cat(out, mark(&e.entry[i]));
        text_repaired(out, bytes_of(e.entry[i].name));
    }
    entries_free(&e);
    place_release(&p);
    return good;
}

/* ---- sorting as String.localeCompare() does it ---------------------------- */

/* How English collates ASCII, from the first to the last; letters go by pairs.  0: ignored.  What
 * is beyond ASCII comes last, by code point. */
static unsigned weight(unsigned char c)
{
    static const char order[] = "\t\n\v\f\r _-,;:!?.'\"()[]{}@*/\\&#%`^+<=>|~$0123456789";
    if (c >= 'a' && c <= 'z')
        return 100u + c - 'a';
    if (c >= 'A' && c <= 'Z')
        return 100u + c - 'A';
    if (c >= 0x80)
        return 200u + c;
    const char *at = c ? strchr(order, c) : NULL;
    return at != NULL ? 1u + (unsigned)(at - order) : 0;
}

static int compare_names(const char *a, const char *b)
{
    int cases = 0; /* decides when all else is the same: small before capital */
    for (;;) {
        while (*a != 0 && weight((unsigned char)*a) == 0)
            a++;
        while (*b != 0 && weight((unsigned char)*b) == 0)
            b++;
        if (*a == 0 || *b == 0)
            return *a != 0 ? 1 : *b != 0 ? -1 : cases;
        unsigned wa = weight((unsigned char)*a), wb = weight((unsigned char)*b);
        if (wa != wb)
            return wa < wb ? -1 : 1;
        if (cases == 0 && *a != *b)
            cases = *a > *b ? -1 : 1;
        a++;
        b++;
    }
}

/* Both keep the order of the bytes where they see no difference, as a stable sort does. */
static int by_locale(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;
    int c = compare_names(x->name, y->name);
    return c != 0 ? c : strcmp(x->name, y->name);
}

static int by_size(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;
    return x->bytes != y->bytes ? (x->bytes < y->bytes ? 1 : -1) : strcmp(x->name, y->name);
}

/* ---- sizes ---------------------------------------------------------------- */

/* formatSize() of the reference: two digits, rounded up where it is even. */
static void format_size(uint64_t bytes, char out[40])
{
    static const char *const unit[] = {"B", "KB", "MB", "GB", "TB"};
    unsigned i = 0;
    while (i < 4 && bytes >> (10 * (i + 1)) > 0)
        i++;
    if (i == 0) {
        snprintf(out, 40, "%u B", (unsigned)bytes);
        return;
    }
    unsigned __int128 half = (unsigned __int128)1 << (10 * i - 1);
    uint64_t hundredths = (uint64_t)(((unsigned __int128)bytes * 100 + half) >> (10 * i));
    snprintf(out, 40, "%llu.%02u %s", (unsigned long long)(hundredths / 100),
             (unsigned)(hundredths % 100), unit[i]);
}

/* A link counts with what it leads to; with nothing when that is not below a root. */
static void follow_links(struct job *j, const struct place *p, struct entries *e)
{
    for (size_t i = 0; i < e->count && !is_cancelled(j); i++) {
        struct text path = TEXT_INIT(MESSAGE_MAX);
        struct failure f;
        mf_stat st;
        if (e->entry[i].kind != MF_KIND_LINK)
            continue;
        text_add(&path, p->spot.path.data, p->spot.path.len);
        text_cat(&path, p->spot.path.len > 0 ? "/" : "");
        text_cat(&path, e->entry[i].name);
        struct spot at = {p->spot.root, text_bytes(&path)};
        e->entry[i].bytes = io_stat(j, at, 0, &st, NULL, &f) ? st.bytes : 0;
        text_free(&path);
    }
}

static void put_entry(const struct entry *e, struct text *out)
{
    struct text name = TEXT_INIT(4096);
    char size[40] = "";
    text_repaired(&name, bytes_of(e->name));
    size_t length = utf16_length(text_bytes(&name));
    if (e->kind != MF_KIND_DIRECTORY)
        format_size(e->bytes, size);
    text_printf(out, "%s%s%*s ", mark(e), text_string(&name), length < 30 ? (int)(30 - length) : 0,
                "");
    if (e->kind != MF_KIND_DIRECTORY)
        text_printf(out, "%10s", size);
    text_cat(out, "\n");
    text_free(&name);
}

bool tool_list_sizes(struct job *j, struct text *out)
{
    struct entries e;
    struct place p;
    uint64_t total = 0;
    size_t directories = 0;
    char size[40];
    if (!list_place(j, MF_LIST_STAT, &p, &e)) {
        place_release(&p);
        return false;
    }
    follow_links(j, &p, &e);
    bool sizes = mfj_string_is(mfj_get(j->args, "sortBy"), MF_LIT("size"));
    qsort(e.entry, e.count, sizeof(*e.entry), sizes ? by_size : by_locale);
    for (size_t i = 0; !out->over && i < e.count; i++) {
        bool directory = e.entry[i].kind == MF_KIND_DIRECTORY;
        put_entry(&e.entry[i], out);
        directories += directory;
        total += directory ? 0 : e.entry[i].bytes;
    }
    format_size(total, size);
    text_printf(out, "\nTotal: %zu files, %zu directories\nCombined size: %s",
                e.count - directories, directories, size);
    entries_free(&e);
    place_release(&p);
    return true;
}
