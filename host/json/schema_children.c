/* Operations that apply schemas to the members of an object or the elements of an array, and the
 * record of which of them were evaluated. */
#include "json/schema_internal.h"

#include <errno.h>
#include <stdlib.h>

static const void *words(const struct schema_frame *f, const struct schema_op *op)
{
    return f->run->s->word + op->arg;
}

/* After a failure only the search for the earliest one goes on. */
static bool go_on(const struct schema_frame *f, bool ok)
{
    return (ok || f->run->fail) && !f->run->status;
}

static bool child(const struct schema_frame *f, uint32_t unit, json_ref node)
{
    return schema_run_unit(f->run, unit, node, NULL, f);
}

/* ---- evaluated children ---- */

enum { SMALL = 64 };

bool schema_seen_init(struct schema_run *r, struct schema_seen *seen, uint32_t count)
{
    *seen = (struct schema_seen){.count = count};
    if (count <= SMALL)
        return true;
    if (!schema_step(r, count / 1024))
        return false;
    seen->large = calloc((count + 63) / 64, sizeof(*seen->large));
    if (!seen->large)
        r->status = -ENOMEM;
    return seen->large != NULL;
}

void schema_seen_release(struct schema_seen *seen)
{
    free(seen->large);
}

static uint64_t *seen_word(struct schema_seen *seen, uint32_t i)
{
    return seen->large ? &seen->large[i / 64] : &seen->small;
}

void schema_seen_mark(struct schema_seen *seen, uint32_t i)
{
    *seen_word(seen, i) |= UINT64_C(1) << (i % 64);
}

bool schema_seen_has(const struct schema_seen *seen, uint32_t i)
{
    uint64_t word = seen->large ? seen->large[i / 64] : seen->small;
    return seen->all || (word >> (i % 64) & 1);
}

void schema_seen_merge(struct schema_seen *to, const struct schema_seen *from)
{
    to->all |= from->all;
    to->small |= from->small;
    for (uint32_t i = 0; from->large && i < (from->count + 63) / 64; i++)
        to->large[i] |= from->large[i];
}

/* ---- objects ---- */

static struct str member_name(const struct schema *s, const struct schema_member *m)
{
    return (struct str){s->text + m->off, m->len};
}

/* Rows are sorted by length and bytes. */
static const struct schema_member *member_find(const struct schema *s,
                                               const struct schema_object *o, struct str name)
{
    uint32_t low = 0, high = o->members;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        const struct schema_member *m = &o->member[middle];
        int c = m->len != name.n ? (m->len < name.n ? -1 : 1)
                                 : memcmp(s->text + m->off, name.p, name.n);
        if (!c)
            return m;
        if (c < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

struct member_walk {
    const struct schema_frame *f;
    const struct schema_op *op;
    const struct schema_object *o;
    const struct schema_rule *rule;
    uint64_t found; /* required names seen */
};

/* patternProperties and additionalProperties for one member. */
static bool member_others(struct member_walk *w, json_ref key, struct str name, bool known,
                          bool *ret_evaluated)
{
    const struct schema_frame *f = w->f;
    bool ok = true;
    for (uint32_t i = 0; i < w->o->patterns && go_on(f, ok); i++) {
        bool match = schema_pattern_match(f->run, &f->run->s->pattern[w->rule[i].pattern], name);
        if (f->run->status)
            return false;
        if (match) {
            known = true;
            ok &= child(f, w->rule[i].unit, key + 1);
        }
    }
    *ret_evaluated = known || w->o->additional != SCHEMA_NONE;
    if (known || !ok || w->o->additional == SCHEMA_NONE)
        return ok;
    if (f->run->s->unit[w->o->additional].flags & UNIT_FALSE)
        return schema_fail(f, w->op, key, true, 0);
    return child(f, w->o->additional, key + 1);
}

static bool member_run(struct member_walk *w, json_ref key, uint32_t index)
{
    const struct schema_frame *f = w->f;
    struct str name;
    if (!schema_step(f->run, 1) || !schema_string(f->run, key, &name))
        return false;
    const struct schema_member *m = member_find(f->run->s, w->o, name);
    bool ok = true, evaluated = m && m->unit != SCHEMA_NONE;
    if (m && m->required)
        w->found |= UINT64_C(1) << ((m->required - 1) & 63);
    if (evaluated)
        ok = child(f, m->unit, key + 1);
    if (w->o->patterns || (!evaluated && w->o->additional != SCHEMA_NONE)) {
        if (!go_on(f, ok))
            return false;
        /* A child may have used the scratch buffer in which an escaped name stood. */
        if (!schema_string(f->run, key, &name))
            return false;
        ok &= member_others(w, key, name, evaluated, &evaluated);
    }
    if (evaluated && f->seen)
        schema_seen_mark(f->seen, index);
    return ok;
}

/* Which required name is missing?  Only asked when one is, or when there are too many for a mask.
 */
static bool required_run(const struct member_walk *w)
{
    const struct schema_frame *f = w->f;
    const struct json_doc *d = f->run->d;
    for (uint32_t i = 0; i < w->o->members; i++) {
        const struct schema_member *m = &w->o->member[i];
        if (!m->required)
            continue;
        if (!schema_step(f->run, 1 + d->node[f->node].count / 16))
            return false;
        if (!json_get(d, f->node, member_name(f->run->s, m)))
            return schema_fail(f, w->op, f->node, false, i);
    }
    return true;
}

bool schema_object_run(const struct schema_frame *f, const struct schema_op *op)
{
    const struct schema_object *o = words(f, op);
    struct member_walk w = {
        .f = f, .op = op, .o = o, .rule = (const void *)(o->member + o->members)};
    const struct json_doc *d = f->run->d;
    bool ok = true;
    uint32_t i = 0;
    if (o->members || o->patterns || o->additional != SCHEMA_NONE)
        json_each_member (d, f->node, key) {
            ok &= member_run(&w, key, i++);
            if (!go_on(f, ok))
                return false;
        }
    if (!o->required)
        return ok;
    uint64_t all = o->required >= SCHEMA_MASKED ? ~UINT64_C(0) : (UINT64_C(1) << o->required) - 1;
    if (w.found == all && o->required <= SCHEMA_MASKED)
        return ok;
    return required_run(&w) && ok;
}

bool schema_names_run(const struct schema_frame *f, const struct schema_op *op)
{
    bool ok = true;
    json_each_member (f->run->d, f->node, key) {
        if (!go_on(f, ok))
            return false;
        struct schema_failure *to = f->run->fail;
        ok &= child(f, op->arg, key);
        if (to && to->set && to->node == key)
            to->is_key = true;
    }
    return ok;
}

bool schema_dependent_required_run(const struct schema_frame *f, const struct schema_op *op)
{
    const struct schema_pairs *pairs = words(f, op);
    const struct json_doc *d = f->run->d;
    const char *text = f->run->s->text;
    for (uint32_t i = 0; i < pairs->count; i++) {
        const struct schema_pair *p = &pairs->pair[i];
        if (!schema_step(f->run, 1 + d->node[f->node].count / 8))
            return false;
        if (json_get(d, f->node, (struct str){text + p->off, p->len}) &&
            !json_get(d, f->node, (struct str){text + p->unit, p->need_len}))
            return schema_fail(f, op, f->node, false, i);
    }
    return true;
}

/* Only tracked units have this operation, so there is a set. */
bool schema_rest_properties_run(const struct schema_frame *f, const struct schema_op *op)
{
    bool ok = true, refused = f->run->s->unit[op->arg].flags & UNIT_FALSE;
    uint32_t i = 0;
    json_each_member (f->run->d, f->node, key) {
        if (!go_on(f, ok) || !schema_step(f->run, 1))
            return false;
        if (schema_seen_has(f->seen, i++))
            continue;
        ok &= refused ? schema_fail(f, op, key, true, 0) : child(f, op->arg, key + 1);
    }
    f->seen->all = true;
    return ok;
}

/* ---- arrays ---- */

bool schema_items_run(const struct schema_frame *f, const struct schema_op *op)
{
    const struct schema_items *k = words(f, op);
    bool ok = true;
    uint32_t i = 0;
    json_each (f->run->d, f->node, it) {
        if (!go_on(f, ok))
            return false;
        if (i >= k->count && k->rest == SCHEMA_NONE)
            break;
        ok &= child(f, i < k->count ? k->prefix[i] : k->rest, it);
        if (f->seen)
            schema_seen_mark(f->seen, i);
        i++;
    }
    return ok;
}

bool schema_contains_run(const struct schema_frame *f, const struct schema_op *op)
{
    const struct schema_contains *k = words(f, op);
    struct schema_failure *outer = f->run->fail;
    uint32_t hits = 0, i = 0;
    f->run->fail = NULL;
    json_each (f->run->d, f->node, it) {
        bool ok = child(f, k->unit, it);
        if (f->run->status)
            break;
        hits += ok;
        if (ok && f->seen)
            schema_seen_mark(f->seen, i);
        i++;
        /* Enough is known when nobody asks which ones. */
        if (!f->seen && (hits > k->max || (hits >= k->min && k->max == SCHEMA_NONE)))
            break;
    }
    f->run->fail = outer;
    if (f->run->status)
        return false;
    return (hits >= k->min && hits <= k->max) || schema_fail(f, op, f->node, false, hits);
}

bool schema_rest_items_run(const struct schema_frame *f, const struct schema_op *op)
{
    bool ok = true;
    uint32_t i = 0;
    json_each (f->run->d, f->node, it) {
        if (!go_on(f, ok) || !schema_step(f->run, 1))
            return false;
        if (!schema_seen_has(f->seen, i++))
            ok &= child(f, op->arg, it);
    }
    f->seen->all = true;
    return ok;
}
