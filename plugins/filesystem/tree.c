/* tree.c - directory_tree. */
#include "walk.h"

static bool put_directory(struct walk *w, unsigned depth, struct text *out);

static bool put_entry(struct walk *w, const struct entry *e, unsigned depth, struct text *out)
{
    struct text name = TEXT_INIT(4096);
    bool directory = e->kind == MF_KIND_DIRECTORY;
    int indent = (int)(2 * depth);
    text_repaired(&name, bytes_of(e->name));
    text_printf(out, "%*s{\n%*s\"name\": \"", indent, "", indent + 2, "");
    text_json(out, text_bytes(&name));
    text_printf(out, "\",\n%*s\"type\": \"%s\"", indent + 2, "", directory ? "directory" : "file");
    text_free(&name);
    bool good = true;
    if (directory) {
        text_printf(out, ",\n%*s\"children\": ", indent + 2, "");
        good = put_directory(w, depth + 1, out);
    }
    text_printf(out, "\n%*s}", indent, "");
    return good;
}

/* JSON.stringify(entries, null, 2), indented from `depth` on. */
static bool put_directory(struct walk *w, unsigned depth, struct text *out)
{
    struct entries e;
    struct failure f;
    struct text path = TEXT_INIT(MESSAGE_MAX);
    bool first = true, good = walk_list(w, &e, &f);
    if (!good) {
        walk_path(w, &path);
        fail_as_node(w->j, &f, "scandir", text_string(&path), NULL);
    }
    text_cat(out, "[");
    for (size_t i = 0; good && !out->over && i < e.count; i++) {
        struct walk_mark mark = walk_down(w, e.entry[i].name);
        if (!walk_is_excluded(w)) {
            text_cat(out, first ? "\n" : ",\n");
            first = false;
            good = put_entry(w, &e.entry[i], depth + 1, out);
        }
        walk_up(w, mark);
        good = good && w->j->error.len == 0;
    }
    if (!first)
        text_printf(out, "\n%*s", (int)(2 * depth), "");
    text_cat(out, "]");
    text_free(&path);
    entries_free(&e);
    return good;
}

/* A pattern without a star stands for the name at any depth, and for what is below it. */
static bool exclude(struct walk *w, mfj_value pattern)
{
    struct text p = TEXT_INIT(MESSAGE_MAX);
    bool good = arg_text(w->j, pattern, &p) || fail(w->j, "The pattern is too large");
    bool star = p.len > 0 && memchr(p.data, '*', p.len) != NULL;
    good = good && walk_exclude(w, "", text_bytes(&p), "");
    if (good && !star)
        good = walk_exclude(w, "**/", text_bytes(&p), "") &&
               walk_exclude(w, "**/", text_bytes(&p), "/**");
    text_free(&p);
    return good;
}

bool tool_tree(struct job *j, struct text *out)
{
    struct walk w;
    mfj_value pattern;
    bool good = walk_open(&w, j);
    mfj_iter it = mfj_iter_open(mfj_get(j->args, "excludePatterns"));
    while (good && mfj_next(&it, NULL, &pattern))
        good = exclude(&w, pattern);
    good = good && put_directory(&w, 0, out);
    walk_release(&w);
    return good;
}
