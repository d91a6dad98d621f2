/* What was read of the sources, held against the lock. */
#include "runtime/internal.h"

#include <stdlib.h>
#include "runtime/lock.h"
#include "runtime/lock_parts.h"

enum { NAMED_DIFFERENCES = 3, SENTENCE_BYTES = 480 };

struct naming {
    struct buf *out;
    uint32_t named;
};

static void name_one(void *arg, const struct lock_field *before, const struct lock_field *after)
{
    struct naming *n = arg;
    if (n->named++ >= NAMED_DIFFERENCES)
        return;
    buf_printf(n->out, "%s%.*s %s", n->named > 1 ? ", " : "",
               STR_FMT(after ? after->key : before->key),
               !before  ? "is new"
               : !after ? "is gone"
                        : "has changed");
}

/* Empty: it is what the lock says. */
static void compare(const struct settings *s, const struct lock_plugin *before,
                    const struct lock_plugin *now, struct buf *out)
{
    struct naming n = {out, 0};
    if (!before) {
        buf_printf(out, "it is not in %s", s->lock_file);
        return;
    }
    if (!lock_compare(before, now, NULL, NULL))
        return;
    buf_printf(out, "it is not what %s says: ", s->lock_file);
    lock_compare(before, now, name_one, &n);
    if (n.named > NAMED_DIFFERENCES)
        buf_printf(out, ", and %u more", n.named - NAMED_DIFFERENCES);
}

/* lock NULL: why says what is wrong with it. */
static void apply_one(struct stage *st, struct staged *s, const struct lock *lock,
                      const struct err *why)
{
    struct lock now = {0};
    struct buf differs = BUF_INIT(SENTENCE_BYTES);
    char *name = xstrndup(s->manifest->name.p, s->manifest->name.n);
    bool enforce = st->settings->lock == LOCK_ENFORCE;
    struct err e;
    if (!lock)
        buf_printf(&differs, "%s", why->text);
    else if (lock_add(&now, s->manifest, s->sha256, &e))
        buf_printf(&differs, "%s", e.text);
    else
        compare(st->settings, lock_find(lock, s->manifest->name), &now.plugin[0], &differs);
    if (!differs.len) {
        if (enforce)
            memcpy(s->manifest->library_sha256, s->sha256, LIBRARY_HEX);
    } else if (enforce) {
        s->library_error =
            err_set(&s->e, -EPERM,
                    "lock: %.*s; \"manifold approve%s%s\" shows the difference and accepts it",
                    STR_FMT(buf_view(&differs)), lock ? " " : "", lock ? name : "");
    } else {
        problem_add(&st->problems, name, false, "lock: %.*s; it is served, since lock.mode is warn",
                    STR_FMT(buf_view(&differs)));
    }
    free(name);
    buf_release(&differs);
    for (uint32_t i = 0; i < now.plugins; i++)
        free(now.plugin[i].field);
    free(now.plugin);
    text_pool_free(now.texts);
}

void lock_apply(struct stage *st)
{
    const struct settings *s = st->settings;
    struct lock *lock = NULL;
    struct err e;
    if (s->lock == LOCK_NONE || st->for_lock || protection_off("lock"))
        return;
    if (lock_read(s->lock_file, &lock, &e))
        lock = NULL;
    for (uint32_t i = 0; i < st->plugins; i++) {
        if (st->plugin[i].manifest && !st->plugin[i].library_error)
            apply_one(st, &st->plugin[i], lock, &e);
    }
    lock_free(lock);
}

int lock_gather(const struct settings *s, struct lock **ret, uint32_t *ret_bad, struct err *e)
{
    struct stage st = {.settings = s, .for_lock = true};
    struct lock *l = xcalloc(1, sizeof(*l));
    int r = 0;
    stage_read(&st, NULL, NULL, NULL);
    *ret_bad = st.problems.count;
    for (uint32_t i = 0; !r && i < st.plugins; i++) {
        struct staged *p = &st.plugin[i];
        if (p->manifest && !p->library_error) {
            r = lock_add(l, p->manifest, p->sha256, e);
            continue;
        }
        log_line(LOG_ERROR, p->stem, "%s", p->e.text);
        ++*ret_bad;
    }
    lock_sort_plugins(l);
    stage_release(&st);
    if (r)
        lock_free(l);
    else
        *ret = l;
    return r;
}
