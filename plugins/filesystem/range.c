/* range.c - resource range://{offset}/{length}{+path}: a part of a file as bytes, so that a file of
 * any size can be read with no more memory than one part takes. */
#include <stdlib.h>

#include "read.h"

/* A variable of the template as a number. */
static bool number(struct job *j, const char *name, uint64_t *ret)
{
    char text[24], *end = NULL;
    mf_status s = mfj_cstring(mfj_get(j->args, name), text, sizeof(text));
    if (s == MF_OK && *text >= '0' && *text <= '9' && strlen(text) < 19)
        *ret = strtoull(text, &end, 10);
    return (end != NULL && *end == 0) ||
           fail(j, "%s: expected a number of bytes, found something else", name);
}

static bool read_part(struct job *j, const struct place *p, uint64_t offset, uint64_t length)
{
    struct failure f;
    mf_file file;
    mf_stat st;
    if (!read_open(j, p, "open", &file, &st))
        return false;
    bool good = true;
    while (good && length > 0) {
        struct text part = TEXT_INIT(IO_CHUNK);
        size_t want = length < IO_CHUNK ? (size_t)length : IO_CHUNK;
        good = io_read(j, file, offset, want, &part, &f) || fail_as_node(j, &f, "read", NULL, NULL);
        if (good && j->fs->host->blob(j->fs->host, j->call, text_bytes(&part)) != MF_OK)
            length = 0; /* nobody waits, or it is over limits.result: the host says so */
        else
            length = part.len < want ? 0 : length - want;
        offset += part.len;
        text_free(&part);
    }
    io_close(j, file);
    return good;
}

void resource_range(struct job *j)
{
    const mf_host *host = j->fs->host;
    struct text path = TEXT_INIT(MESSAGE_MAX);
    struct place p = {0};
    uint64_t offset, length;
    bool good = have_roots(j) && number(j, "offset", &offset) && number(j, "length", &length);
    if (good && !arg_text(j, mfj_get(j->args, "path"), &path))
        good = fail(j, "The path is too long");
    good = good && place_find(j, text_bytes(&path), &p);
    bool missing = good && !p.exists;
    good = good && !missing && read_part(j, &p, offset, length);
    if (missing)
        host->finish(host, j->call, MF_NOT_FOUND, MF_LIT(""));
    else if (good)
        host->finish(host, j->call, MF_DONE, MF_LIT(""));
    else
        host->finish(host, j->call, MF_BAD_PARAMS, text_bytes(&j->error));
    text_free(&path);
    place_release(&p);
}
