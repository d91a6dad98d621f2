/* What the log says of lists that a reload has changed. */
#include "runtime/reload_internal.h"

static const char *const plural[ENTRY_KINDS] = {"tools", "resources", "resource templates",
                                                "prompts"};

enum { DIFFERENCE_BYTES = 1500 };

static void add_name(struct buf *b, const char **what, const struct entry *en)
{
    buf_printf(b, "%s%s", *what ? *what : ", ", en->name);
    *what = NULL;
}

static void log_difference(enum entry_kind k, const struct catalogue *old,
                           const struct catalogue *now)
{
    struct buf b = BUF_INIT(DIFFERENCE_BYTES);
    const char *what = " added ";
    for (uint32_t i = 0; i < now->count[k]; i++) {
        if (!catalogue_find(old, k, now->entry[k][i].node.key))
            add_name(&b, &what, &now->entry[k][i]);
    }
    what = b.len ? "; removed " : " removed ";
    for (uint32_t i = 0; i < old->count[k]; i++) {
        if (!catalogue_find(now, k, old->entry[k][i].node.key))
            add_name(&b, &what, &old->entry[k][i]);
    }
    what = b.len ? "; changed " : " changed ";
    for (uint32_t i = 0; i < now->count[k]; i++) {
        const struct entry *en = &now->entry[k][i];
        const struct entry *before = catalogue_find(old, k, en->node.key);
        if (before && before->digest != en->digest)
            add_name(&b, &what, en);
    }
    log_info("%s:%.*s%s", plural[k], STR_FMT(buf_view(&b)),
             b.failed ? ", ..."
             : b.len  ? ""
                      : " in another order");
    buf_release(&b);
}

void lists_compare(struct host *h, const struct catalogue *old, const struct catalogue *now)
{
    bool any = false;
    for (enum entry_kind k = 0; k < ENTRY_KINDS; k++) {
        if (old->digest[k] != now->digest[k])
            log_difference(k, old, now);
        any |= old->digest[k] != now->digest[k];
    }
    if (any)
        notices_lists(h);
}
