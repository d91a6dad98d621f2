/* search.c - search_files. */
#include "walk.h"

/* The reference skips what it would not give access to. */
static bool is_reachable(struct walk *w, const struct entry *e)
{
    struct text space = TEXT_INIT(2 * MF_FILES_PATH_MAX);
    struct failure f;
    mf_stat st;
    bool reachable =
        e->kind != MF_KIND_LINK || io_stat(w->j, walk_spot(w, &space), 0, &st, NULL, &f);
    text_free(&space);
    return reachable;
}

/* False: j->error says why it was given up.  A directory that can't be read is passed over, but the
 * one it begins with. */
static bool search(struct walk *w, struct glob *wanted, struct text *out)
{
    struct entries e;
    struct failure f;
    if (!walk_list(w, &e, &f)) {
        bool start = w->raw.len == 0, limit = f.status == MF_ELIMIT || f.status == MF_ECANCELED;
        return !start && !limit
                   ? true
                   : fail_as_node(w->j, &f, "scandir", text_string(&w->start.real), NULL);
    }
    for (size_t i = 0; !out->over && w->j->error.len == 0 && i < e.count; i++) {
        struct walk_mark mark = walk_down(w, e.entry[i].name);
        if (is_reachable(w, &e.entry[i]) && !walk_is_excluded(w)) {
            if (walk_matches(w, wanted)) {
                text_cat(out, out->len > 0 ? "\n" : "");
                walk_path(w, out);
            }
            if (e.entry[i].kind == MF_KIND_DIRECTORY)
                search(w, wanted, out);
        }
        walk_up(w, mark);
    }
    entries_free(&e);
    return w->j->error.len == 0;
}

bool tool_search(struct job *j, struct text *out)
{
    struct text pattern = TEXT_INIT(MESSAGE_MAX), why = TEXT_INIT(MESSAGE_MAX);
    struct glob *wanted = NULL;
    struct walk w;
    mfj_value exclude;
    bool good = walk_open(&w, j);
    if (good) {
        good = arg_text(j, mfj_get(j->args, "pattern"), &pattern);
        wanted = good ? glob_new(text_bytes(&pattern), &why) : NULL;
        good =
            wanted != NULL || fail(j, "%s", good ? text_string(&why) : "The pattern is too large");
    }
    mfj_iter it = mfj_iter_open(mfj_get(j->args, "excludePatterns"));
    while (good && mfj_next(&it, NULL, &exclude)) {
        text_free(&pattern);
        good = arg_text(j, exclude, &pattern) || fail(j, "The pattern is too large");
        good = good && walk_exclude(&w, "", text_bytes(&pattern), "");
    }
    good = good && search(&w, wanted, out);
    if (good && out->len == 0)
        text_cat(out, "No matches found");
    text_free(&pattern);
    text_free(&why);
    glob_free(wanted);
    walk_release(&w);
    return good;
}
