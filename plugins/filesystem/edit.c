/* edit.c - edit_file: the edits, their patch, and the file in one step. */
#include <stdlib.h>

#include "diff.h"
#include "read.h"

/* "\r\n" becomes "\n". */
static void put_unix(mf_bytes s, struct text *out)
{
    size_t begin = 0;
    for (size_t i = 0; i + 1 < s.len; i++) {
        if (s.data[i] == '\r' && s.data[i + 1] == '\n') {
            text_add(out, s.data + begin, i - begin);
            begin = i + 1;
        }
    }
    text_add(out, s.data + begin, s.len - begin);
}

/* The line at `at` without its end; *ret_next: where the next one begins, or SIZE_MAX. */
static mf_bytes line_at(mf_bytes s, size_t at, size_t *ret_next)
{
    const char *end = s.len > at ? memchr(s.data + at, '\n', s.len - at) : NULL;
    size_t stop = end ? (size_t)(end - s.data) : s.len;
    *ret_next = end ? stop + 1 : SIZE_MAX;
    return (mf_bytes){s.data + at, stop - at};
}

static bool same_bytes(mf_bytes a, mf_bytes b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

/* Do the lines of `old`, but for white space around each, stand at `at`?  *ret_end: what is behind
 * the last of them. */
static bool lines_match(mf_bytes content, size_t at, mf_bytes old, size_t *ret_end)
{
    size_t next_old = 0, next = at;
    while (next_old != SIZE_MAX) {
        if (next == SIZE_MAX)
            return false;
        mf_bytes wanted = line_at(old, next_old, &next_old);
        mf_bytes found = line_at(content, next, &next);
        if (!same_bytes(trimmed(wanted), trimmed(found)))
            return false;
        *ret_end = (size_t)(found.data - content.data) + found.len;
    }
    return true;
}

static void put_spaces(size_t n, struct text *out)
{
    while (n-- > 0)
        text_cat(out, " ");
}

/* The new lines, the first indented as the one it replaces, the others relative to that where old
 * and new line are both indented. */
static void put_indented(mf_bytes indent, mf_bytes old, mf_bytes new_text, struct text *out)
{
    size_t next = 0, next_old = 0;
    for (bool first = true; next != SIZE_MAX; first = false) {
        mf_bytes line = line_at(new_text, next, &next);
        mf_bytes was = next_old != SIZE_MAX ? line_at(old, next_old, &next_old) : (mf_bytes){0};
        size_t new_indent = space_before(line), old_indent = was.len ? space_before(was) : 0;
        mf_bytes rest = {line.data + new_indent, line.len - new_indent};
        text_cat(out, first ? "" : "\n");
        if (first) {
            text_add(out, indent.data, indent.len);
            text_add(out, rest.data, rest.len);
        } else if (old_indent > 0 && new_indent > 0) {
            size_t wide = utf16_length((mf_bytes){line.data, new_indent});
            size_t narrow = utf16_length((mf_bytes){was.data, old_indent});
            text_add(out, indent.data, indent.len);
            put_spaces(wide > narrow ? wide - narrow : 0, out);
            text_add(out, rest.data, rest.len);
        } else {
            text_add(out, line.data, line.len);
        }
    }
}

/* content[from..to) is replaced in the copy. */
static void put_around(mf_bytes content, size_t from, size_t to, const struct text *middle,
                       struct text *out)
{
    text_add(out, content.data, from);
    text_add(out, middle->data, middle->len);
    text_add(out, content.data + to, content.len - to);
}

/* One edit: `old` as it stands, else by its lines. */
static bool apply(struct job *j, mf_bytes content, mf_bytes old, mf_bytes new_text,
                  struct text *out)
{
    struct text middle = TEXT_INIT(out->max);
    const char *found =
        old.len ? memmem(content.data, content.len, old.data, old.len) : content.data;
    if (found != NULL || old.len == 0) {
        size_t at = found ? (size_t)(found - content.data) : 0;
        text_add(&middle, new_text.data, new_text.len);
        put_around(content, at, at + old.len, &middle, out);
        text_free(&middle);
        return true;
    }
    size_t end, next = 0;
    for (unsigned n = 0; next != SIZE_MAX; n++) {
        size_t at = next;
        mf_bytes line = line_at(content, at, &next);
        if (n % 1024 == 1023 && is_cancelled(j))
            break;
        if (!lines_match(content, at, old, &end))
            continue;
        put_indented((mf_bytes){line.data, space_before(line)}, old, new_text, &middle);
        put_around(content, at, end, &middle, out);
        text_free(&middle);
        return true;
    }
    return false;
}

static bool apply_one(struct job *j, mfj_value edit, struct text *content)
{
    struct text old = TEXT_INIT(content->max), new_text = TEXT_INIT(content->max);
    struct text old_unix = TEXT_INIT(content->max), new_unix = TEXT_INIT(content->max);
    struct text next = TEXT_INIT(content->max);
    bool good = arg_text(j, mfj_get(edit, "oldText"), &old) &&
                arg_text(j, mfj_get(edit, "newText"), &new_text);
    if (!good) {
        fail(j, "The edit is more than this server takes at once");
    } else {
        put_unix(text_bytes(&old), &old_unix);
        put_unix(text_bytes(&new_text), &new_unix);
        good = apply(j, text_bytes(content), text_bytes(&old_unix), text_bytes(&new_unix), &next);
        if (!good)
            fail(j, "Could not find exact match for edit:\n%s", text_string(&old));
        if (next.over)
            good = fail(j, "The file would be over %zu bytes", content->max);
    }
    if (good) {
        text_free(content);
        *content = next;
    } else {
        text_free(&next);
    }
    text_free(&old);
    text_free(&new_text);
    text_free(&old_unix);
    text_free(&new_unix);
    return good;
}

/* The patch between as many backticks as it has nowhere in a row. */
static bool put_diff(struct job *j, const struct place *p, mf_bytes before, mf_bytes after,
                     struct text *out)
{
    struct text patch = TEXT_INIT(out->max), name = TEXT_INIT(MESSAGE_MAX);
    size_t longest = 2, run = 0;
    text_repaired(&name, text_bytes(&p->real));
    bool good = diff_patch(text_bytes(&name), before, after, &patch) || fail(j, "out of memory");
    for (size_t i = 0; i < patch.len; i++) {
        run = patch.data[i] == '`' ? run + 1 : 0;
        longest = run > longest ? run : longest;
    }
    for (size_t i = 0; i <= longest; i++)
        text_cat(out, "`");
    text_cat(out, "diff\n");
    text_add(out, patch.data, patch.len);
    for (size_t i = 0; i <= longest; i++)
        text_cat(out, "`");
    text_cat(out, "\n\n");
    out->over = out->over || patch.over;
    text_free(&patch);
    text_free(&name);
    return good;
}

/* The content as text with "\n"; false when it can't be edited without harm. */
static bool read_unix(struct job *j, const struct place *p, struct text *ret)
{
    struct text raw = TEXT_INIT(ret->max);
    bool good = read_whole(j, p, &raw);
    if (good && !utf8_is_valid(text_bytes(&raw)))
        good = fail(j, "%s is no UTF-8 text: an edit would damage it", text_string(&p->real));
    if (good)
        put_unix(text_bytes(&raw), ret);
    text_free(&raw);
    return good;
}

bool tool_edit(struct job *j, struct text *out)
{
    struct text before = TEXT_INIT((size_t)j->fs->max_read);
    struct text after = TEXT_INIT((size_t)j->fs->max_read);
    struct failure f;
    struct place p;
    mfj_value edit;
    int dry = 0;
    mfj_bool(mfj_get(j->args, "dryRun"), &dry);
    bool good = place_of(j, "path", &p) && read_unix(j, &p, &before);
    if (good)
        text_add(&after, before.data, before.len);
    mfj_iter it = mfj_iter_open(mfj_get(j->args, "edits"));
    while (good && mfj_next(&it, NULL, &edit))
        good = apply_one(j, edit, &after);
    good = good && put_diff(j, &p, text_bytes(&before), text_bytes(&after), out);
    if (good && !dry && !out->over && !io_save(j, p.spot, text_bytes(&after), &f))
        good = fail_as_node(j, &f, "open", text_string(&p.real), NULL);
    text_free(&before);
    text_free(&after);
    place_release(&p);
    return good;
}
