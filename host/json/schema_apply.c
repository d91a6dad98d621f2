/* Operations that apply other schemas to the same value: references and the logic of allOf, anyOf,
 * oneOf, not and if.
 *
 * A schema that may fail without making the whole fail marks evaluated children
 * in a set of its own, which is merged when it holds; one that must hold marks
 * straight into the set it was given. */
#include "json/schema_internal.h"

static const void *words(const struct schema_frame *f, const struct schema_op *op)
{
    return f->run->s->word + op->arg;
}

static bool same_value(const struct schema_frame *f, uint32_t unit)
{
    return schema_run_unit(f->run, unit, f->node, f->seen, f);
}

/* A trial: its failure goes to `fail` (or nowhere) and its annotations count only when it holds. */
static bool trial(const struct schema_frame *f, uint32_t unit, struct schema_failure *fail)
{
    struct schema_failure *outer = f->run->fail;
    struct schema_seen own;
    bool tracks = f->seen != NULL;
    if (tracks && !schema_seen_init(f->run, &own, f->seen->count))
        return false;
    f->run->fail = fail;
    bool ok = schema_run_unit(f->run, unit, f->node, tracks ? &own : NULL, f);
    f->run->fail = outer;
    if (ok && tracks)
        schema_seen_merge(f->seen, &own);
    if (tracks)
        schema_seen_release(&own);
    return ok;
}

bool schema_ref_run(const struct schema_frame *f, const struct schema_op *op)
{
    return same_value(f, op->arg);
}

/* 2020-12 core 8.2.3.2: the outermost resource on the way here that has the anchor decides. */
bool schema_dynamic_ref_run(const struct schema_frame *f, const struct schema_op *op)
{
    const struct schema_dynamic *k = words(f, op);
    const struct schema *s = f->run->s;
    uint32_t unit = k->unit;
    for (const struct schema_frame *up = f; up; up = up->up) {
        uint16_t resource = s->unit[up->unit].resource;
        if (!schema_step(f->run, 1 + s->dynamics / 16))
            return false;
        for (uint32_t i = 0; i < s->dynamics; i++) {
            if (s->dynamic[i].resource == resource && s->dynamic[i].name == k->name)
                unit = s->dynamic[i].unit;
        }
    }
    return same_value(f, unit);
}

bool schema_all_run(const struct schema_frame *f, const struct schema_op *op)
{
    const struct schema_list *list = words(f, op);
    bool ok = true;
    for (uint32_t i = 0; i < list->count && (ok || f->run->fail) && !f->run->status; i++)
        ok &= same_value(f, list->item[i]);
    return ok;
}

/* Which alternative was meant: the one that got furthest, when there is only one such; when none
 * got past the value itself, all their types are named together. */
struct nearest {
    struct schema_failure best;
    uint32_t rivals;
    uint8_t types;
    bool only_types;
};

static void nearest_add(struct nearest *n, const struct schema_failure *one, json_ref node)
{
    bool type = one->set && one->node == node && !one->op;
    if (type) {
        n->types |= one->types;
        return;
    }
    n->only_types = false;
    if (!one->set)
        return;
    if (!n->best.set || one->node > n->best.node) {
        n->best = *one;
        n->rivals = 1;
    } else if (one->node == n->best.node) {
        n->rivals++;
    }
}

static bool none_fits(const struct schema_frame *f, const struct schema_op *op, uint32_t count,
                      struct nearest *n)
{
    struct schema_failure *to = f->run->fail;
    if (!to || f->run->status)
        return false;
    if (n->only_types) {
        schema_fail(f, NULL, f->node, false, 0);
        if (to->node == f->node && !to->op)
            to->types = n->types;
        return false;
    }
    if (!n->best.set)
        return schema_fail(f, op, f->node, false, SCHEMA_NONE);
    if (n->rivals > 1)
        n->best.alternatives = count;
    if (!to->set || n->best.node < to->node)
        *to = n->best;
    return false;
}

bool schema_any_run(const struct schema_frame *f, const struct schema_op *op)
{
    const struct schema_list *list = words(f, op);
    struct nearest nearest = {.only_types = true};
    bool any = false;
    for (uint32_t i = 0; i < list->count && !f->run->status; i++) {
        struct schema_failure one = {.set = false};
        if (trial(f, list->item[i], f->run->fail ? &one : NULL)) {
            any = true;
            /* All that hold make annotations, so where someone asks none is left out. */
            if (!f->seen)
                return true;
        } else if (!any) {
            nearest_add(&nearest, &one, f->node);
        }
    }
    if (f->run->status)
        return false;
    return any || none_fits(f, op, list->count, &nearest);
}

bool schema_one_run(const struct schema_frame *f, const struct schema_op *op)
{
    const struct schema_list *list = words(f, op);
    struct nearest nearest = {.only_types = true};
    uint32_t hit = SCHEMA_NONE;
    for (uint32_t i = 0; i < list->count; i++) {
        struct schema_failure one = {.set = false};
        bool ok = trial(f, list->item[i], f->run->fail ? &one : NULL);
        if (f->run->status)
            return false;
        if (ok && hit != SCHEMA_NONE)
            return schema_fail(f, op, f->node, false, (hit & 0xffff) << 16 | (i & 0xffff));
        if (ok)
            hit = i;
        else
            nearest_add(&nearest, &one, f->node);
    }
    return hit != SCHEMA_NONE || none_fits(f, op, list->count, &nearest);
}

bool schema_not_run(const struct schema_frame *f, const struct schema_op *op)
{
    struct schema_failure *outer = f->run->fail;
    f->run->fail = NULL;
    bool holds = schema_run_unit(f->run, op->arg, f->node, NULL, f);
    f->run->fail = outer;
    if (f->run->status)
        return false;
    return !holds || schema_fail(f, op, f->node, false, 0);
}

bool schema_if_run(const struct schema_frame *f, const struct schema_op *op)
{
    const struct schema_if *k = words(f, op);
    bool test = trial(f, k->test, NULL);
    if (f->run->status)
        return false;
    uint32_t next = test ? k->then : k->otherwise;
    return next == SCHEMA_NONE || same_value(f, next);
}

bool schema_dependent_schemas_run(const struct schema_frame *f, const struct schema_op *op)
{
    const struct schema_pairs *pairs = words(f, op);
    const struct json_doc *d = f->run->d;
    bool ok = true;
    for (uint32_t i = 0; i < pairs->count && (ok || f->run->fail) && !f->run->status; i++) {
        const struct schema_pair *p = &pairs->pair[i];
        if (!schema_step(f->run, 1 + d->node[f->node].count / 16))
            return false;
        if (json_get(d, f->node, (struct str){f->run->s->text + p->off, p->len}))
            ok &= same_value(f, p->unit);
    }
    return ok;
}
