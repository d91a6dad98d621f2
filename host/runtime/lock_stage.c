/* What was read of the sources, held against the lock. */
#include "runtime/internal.h"

#include <stdlib.h>
#include "runtime/lock.h"
#include "runtime/lock_parts.h"

enum { NAMED_DIFFERENCES = 3, SENTENCE_BYTES = 4096 };

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

/* True: it is what the lock says.  Else `out` says how it differs. */
static bool is_approved(const struct settings *s, const struct lock_plugin *before,
                        const struct lock_plugin *now, struct buf *out)
{
    struct naming n = {out, 0};
    if (!before) {
        buf_printf(out, "it is not in %s", s->lock_file);
        return false;
    }
    if (!lock_compare(before, now, NULL, NULL))
        return true;
    buf_printf(out, "it is not what %s says: ", s->lock_file);
    lock_compare(before, now, name_one, &n);
    if (n.named > NAMED_DIFFERENCES)
        buf_printf(out, ", and %u more", n.named - NAMED_DIFFERENCES);
    return false;
}

/* lock NULL: `why` says what is wrong with it. */
static bool compare(const struct settings *s, const struct staged *p, const struct lock *lock,
                    const struct err *why, struct buf *out)
{
    struct lock now = {0};
    struct err e;
    bool approved = false;
    if (!lock)
        buf_printf(out, "%s", why->text);
    else if (lock_add(&now, p->manifest, p->sha256, &e))
        buf_printf(out, "%s", e.text);
    else
        approved = is_approved(s, lock_find(lock, p->manifest->name), &now.plugin[0], out);
    lock_release(&now);
    return approved;
}

static void apply_one(struct stage *st, struct staged *s, const struct lock *lock,
                      const struct err *why)
{
    struct buf differs = BUF_INIT(SENTENCE_BYTES);
    char name[64]; /* an instance's has at most 32 */
    bool enforce = st->settings->lock == LOCK_ENFORCE;
    bool approved = compare(st->settings, s, lock, why, &differs);
    snprintf(name, sizeof(name), "%.*s", STR_FMT(s->manifest->name));
    if (approved && enforce)
        memcpy(s->manifest->library_sha256, s->sha256, LIBRARY_HEX);
    else if (!approved && enforce) {
        s->unapproved = true;
        s->library_error =
            err_set(&s->e, -EPERM,
                    "lock: %.*s; \"manifold approve%s%s\" shows the difference and accepts it",
                    STR_FMT(buf_view(&differs)), lock ? " " : "", lock ? name : "");
    } else if (!approved)
        problem_add(&st->problems, name, false, "lock: %.*s; it is served, since lock.mode is warn",
                    STR_FMT(buf_view(&differs)));
    buf_release(&differs);
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
    struct lock *l = calloc(1, sizeof(*l));
    if (!l)
        return err_set(e, -ENOMEM, "out of memory");
    int r = stage_read(&st, NULL, NULL, NULL, e);
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
