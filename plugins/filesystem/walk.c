#include "walk.h"

#include <stdlib.h>

bool walk_open(struct walk *w, struct job *j)
{
    *w = (struct walk){
        .j = j, .raw = TEXT_INIT(MF_FILES_PATH_MAX), .shown = TEXT_INIT(3 * MF_FILES_PATH_MAX)};
    return place_of(j, "path", &w->start);
}

void walk_release(struct walk *w)
{
    for (size_t i = 0; i < w->excludes; i++)
        glob_free(w->exclude[i]);
    free(w->exclude);
    text_free(&w->raw);
    text_free(&w->shown);
    place_release(&w->start);
}

bool walk_exclude(struct walk *w, const char *before, mf_bytes pattern, const char *behind)
{
    struct text whole = TEXT_INIT(MESSAGE_MAX), why = TEXT_INIT(MESSAGE_MAX);
    struct glob **more = realloc(w->exclude, (w->excludes + 1) * sizeof(*more));
    if (more == NULL)
        return fail(w->j, "out of memory");
    w->exclude = more;
    text_cat(&whole, before);
    text_add(&whole, pattern.data, pattern.len);
    text_cat(&whole, behind);
    struct glob *g = whole.over ? NULL : glob_new(text_bytes(&whole), &why);
    if (g != NULL)
        w->exclude[w->excludes++] = g;
    else
        fail(w->j, "%s", whole.over ? "The pattern is too large" : text_string(&why));
    text_free(&whole);
    text_free(&why);
    return g != NULL;
}

struct spot walk_spot(struct walk *w, struct text *space)
{
    mf_bytes start = w->start.spot.path;
    text_add(space, start.data, start.len);
    text_cat(space, start.len > 0 && w->raw.len > 0 ? "/" : "");
    text_add(space, w->raw.data, w->raw.len);
    return (struct spot){w->start.spot.root, text_bytes(space)};
}

void walk_path(struct walk *w, struct text *out)
{
    text_repaired(out, text_bytes(&w->start.real));
    if (w->start.real.len > 1 && w->shown.len > 0)
        text_cat(out, "/");
    text_add(out, w->shown.data, w->shown.len);
}

bool walk_list(struct walk *w, struct entries *ret, struct failure *f)
{
    struct text space = TEXT_INIT(2 * MF_FILES_PATH_MAX);
    size_t left = (size_t)w->j->fs->max_entries - w->seen;
    bool good = io_list(w->j, walk_spot(w, &space), 0, left, ret, f);
    w->seen += ret->count;
    text_free(&space);
    return good;
}

struct walk_mark walk_down(struct walk *w, const char *name)
{
    struct walk_mark mark = {w->raw.len, w->shown.len};
    const char *slash = w->raw.len > 0 ? "/" : "";
    text_cat(&w->raw, slash);
    text_cat(&w->raw, name);
    text_cat(&w->shown, slash);
    text_repaired(&w->shown, bytes_of(name));
    return mark;
}

void walk_up(struct walk *w, struct walk_mark mark)
{
    w->raw.len = mark.raw;
    w->shown.len = mark.shown;
    w->raw.over = w->shown.over = false;
    if (w->raw.data != NULL)
        w->raw.data[mark.raw] = 0;
    if (w->shown.data != NULL)
        w->shown.data[mark.shown] = 0;
}

bool walk_matches(struct walk *w, struct glob *g)
{
    int hit = glob_match(g, text_string(&w->shown));
    if (hit < 0)
        return fail(w->j, "The pattern takes too many steps to be matched");
    return hit > 0;
}

bool walk_is_excluded(struct walk *w)
{
    for (size_t i = 0; i < w->excludes && w->j->error.len == 0; i++)
        if (walk_matches(w, w->exclude[i]))
            return true;
    return false;
}
