/* What clients and their models are shown must be what a reviewer sees. */
#include <errno.h>
#include "config/complain.h"
#include "config/entry.h"
#include "config/hidden.h"
#include "config/text.h"

enum { BEFORE_BYTES = 40 };

static int complain_hidden(const struct document *doc, json_ref n, struct str text,
                           const char *what, uint32_t c, size_t at, struct err *e)
{
    char shown[TEXT_SHOWN];
    size_t from = at > BEFORE_BYTES ? at - BEFORE_BYTES : 0;
    while (from < at && ((unsigned char)text.p[from] & 0xC0) == 0x80)
        from++;
    return complain_at(doc, n, e,
                       "expected text without hidden characters, found %s (U+%04X) behind %s", what,
                       c, text_quoted((struct str){text.p + from, at - from}, shown));
}

int manifest_texts(const struct manifest *m, struct err *e)
{
    const struct json_doc *d = &m->doc.json;
    json_ref config = json_get(d, 0, STR("config"));
    struct buf scratch = BUF_INIT(DOCUMENT_BYTES);
    int r = 0;
    for (json_ref n = 0; !r && n < d->nodes; n++) {
        /* Nobody is shown what open() gets. */
        if (config && n == config)
            n = d->node[config].next;
        if (n == d->nodes)
            break;
        if (!json_is(d, n, JSON_STRING))
            continue;
        uint32_t c;
        size_t at;
        buf_clear(&scratch, DOCUMENT_BYTES);
        struct str text = json_string(d, n, &scratch);
        const char *what = hidden_find(text, &c, &at);
        if (scratch.failed)
            r = err_set(e, -ENOMEM, "%s: out of memory", m->doc.path);
        else if (what && !protection_off("hidden"))
            r = complain_hidden(&m->doc, n, text, what, c, at, e);
    }
    buf_release(&scratch);
    return r;
}
