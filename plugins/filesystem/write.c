/* write.c - write_file, create_directory, move_file. */
#include <errno.h>

#include "place.h"

enum { CONTENT_MAX = 8 << 20 }; /* a request may have fewer: limits.request */

bool tool_write(struct job *j, struct text *out)
{
    struct text content = TEXT_INIT(CONTENT_MAX);
    struct failure f;
    struct place p;
    bool good = place_of(j, "path", &p);
    if (good && !arg_text(j, mfj_get(j->args, "content"), &content))
        good = fail(j, "The content is more than this server takes at once");
    if (good && p.exists && p.stat.kind == MF_KIND_DIRECTORY)
        good = fail(j, "EISDIR: illegal operation on a directory, open '%s'", text_string(&p.real));
    if (good && !io_save(j, p.spot, text_bytes(&content), &f))
        good = fail_as_node(j, &f, "open", text_string(&p.real), NULL);
    if (good) {
        text_cat(out, "Successfully wrote to ");
        arg_text(j, mfj_get(j->args, "path"), out);
    }
    text_free(&content);
    place_release(&p);
    return good;
}

bool tool_create_directory(struct job *j, struct text *out)
{
    struct failure f;
    struct place p;
    bool good = place_of(j, "path", &p);
    if (good && !io_make_directory(j, p.spot, &f))
        good = fail_as_node(j, &f, "mkdir", text_string(&p.real), NULL);
    if (good) {
        text_cat(out, "Successfully created directory ");
        arg_text(j, mfj_get(j->args, "path"), out);
    }
    place_release(&p);
    return good;
}

bool tool_move(struct job *j, struct text *out)
{
    struct place from, to = {0};
    struct failure f;
    bool good = place_of(j, "source", &from) && place_of(j, "destination", &to);
    if (good && to.exists)
        good = fail(j, "Destination already exists: %s", text_string(&to.real));
    if (good && !io_move(j, from.spot, to.spot, &f)) {
        if (f.error == EEXIST) /* since a moment ago */
            good = fail(j, "Destination already exists: %s", text_string(&to.real));
        else
            good = fail_as_node(j, &f, "rename", text_string(&from.real), text_string(&to.real));
    }
    if (good) {
        text_cat(out, "Successfully moved ");
        arg_text(j, mfj_get(j->args, "source"), out);
        text_cat(out, " to ");
        arg_text(j, mfj_get(j->args, "destination"), out);
    }
    place_release(&from);
    place_release(&to);
    return good;
}
