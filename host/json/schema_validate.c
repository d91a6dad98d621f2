/* Running a compiled schema over a value of the tape.
 *
 * The first pass only says yes or no, stops at the first failure and writes
 * nothing.  When the answer is no, a second pass with the same budget goes on
 * after failures and keeps the earliest, so that all the work for sentences is
 * paid by those who are refused. */
#include "json/schema_internal.h"

#include <errno.h>
#include <stdio.h>

bool schema_out_of_steps(struct schema_run *r)
{
    r->steps = 0;
    if (!r->status)
        r->status = -E2BIG;
    return false;
}

bool schema_fail(const struct schema_frame *f, const struct schema_op *op, json_ref node,
                 bool is_key, uint32_t detail)
{
    struct schema_failure *to = f->run->fail;
    if (to && (!to->set || node < to->node))
        *to = (struct schema_failure){.op = op,
                                      .node = node,
                                      .unit = f->unit,
                                      .detail = detail,
                                      .types = f->run->s->unit[f->unit].types,
                                      .set = true,
                                      .is_key = is_key};
    return false;
}

static const void *words(const struct schema_frame *f, const struct schema_op *op)
{
    return f->run->s->word + op->arg;
}

/* ---- operations that look at the value alone ---- */

static bool enum_run(const struct schema_frame *f, const struct schema_op *op)
{
    const struct schema_list *list = words(f, op);
    const struct json_doc *d = f->run->d, *kept = &f->run->s->kept;
    const struct json_node *node = &d->node[f->node];
    if (!schema_step(f->run, list->count / 16))
        return false;
    for (uint32_t i = 0; i < list->count; i++) {
        const struct json_node *other = &kept->node[list->item[i]];
        if (other->type != node->type || other->count != node->count)
            continue;
        uint32_t span = other->next - list->item[i];
        uint32_t cost = node->type == JSON_NUMBER ? 1 + node->len / 64 : span / 4 + node->len / 256;
        if (!schema_step(f->run, cost))
            return false;
        if (json_equal(d, f->node, kept, list->item[i]))
            return true;
    }
    return schema_fail(f, op, f->node, false, 0);
}

static bool bound_run(const struct schema_frame *f, const struct schema_op *op)
{
    struct schema_number limit, n;
    if (!schema_step(f->run, f->run->d->node[f->node].len / 64))
        return false;
    n = schema_number_parse(json_raw(f->run->d, f->node));
    memcpy(&limit, words(f, op), sizeof(limit));
    bool ok;
    if (op->kw == KW_MULTIPLE_OF) {
        ok = schema_number_is_multiple(n, limit);
    } else {
        int c = schema_number_compare(n, limit);
        ok = op->kw == KW_MINIMUM             ? c >= 0
             : op->kw == KW_MAXIMUM           ? c <= 0
             : op->kw == KW_EXCLUSIVE_MINIMUM ? c > 0
                                              : c < 0;
    }
    return ok || schema_fail(f, op, f->node, false, 0);
}

static bool length_run(const struct schema_frame *f, const struct schema_op *op)
{
    const struct json_node *node = &f->run->d->node[f->node];
    uint32_t bytes = node->len - 2;
    /* A code point is written in 1 to 4 bytes, or in up to 12 as an escape. */
    if (op->kw == KW_MAX_LENGTH ? bytes <= op->arg : bytes / 12 >= op->arg)
        return true;
    if (!schema_step(f->run, bytes / 128))
        return false;
    uint32_t n = schema_string_length(f->run->d, f->node);
    return (op->kw == KW_MAX_LENGTH ? n <= op->arg : n >= op->arg) ||
           schema_fail(f, op, f->node, false, n);
}

static bool count_run(const struct schema_frame *f, const struct schema_op *op)
{
    uint32_t n = f->run->d->node[f->node].count;
    bool most = op->kw == KW_MAX_ITEMS || op->kw == KW_MAX_PROPERTIES;
    return (most ? n <= op->arg : n >= op->arg) || schema_fail(f, op, f->node, false, 0);
}

static bool pattern_run(const struct schema_frame *f, const struct schema_op *op)
{
    struct str value;
    if (!schema_string(f->run, f->node, &value))
        return false;
    return schema_pattern_match(f->run, &f->run->s->pattern[op->arg], value) ||
           (!f->run->status && schema_fail(f, op, f->node, false, 0));
}

static bool unique_run(const struct schema_frame *f, const struct schema_op *op)
{
    json_ref twin = f->node;
    return schema_unique(f->run, f->node, &twin) ||
           (!f->run->status && schema_fail(f, op, twin, false, 0));
}

/* ---- units ---- */

static schema_op_fn *const op_run[KW_COUNT] = {
    [KW_ENUM] = enum_run,
    [KW_MINIMUM] = bound_run,
    [KW_MAXIMUM] = bound_run,
    [KW_EXCLUSIVE_MINIMUM] = bound_run,
    [KW_EXCLUSIVE_MAXIMUM] = bound_run,
    [KW_MULTIPLE_OF] = bound_run,
    [KW_MIN_LENGTH] = length_run,
    [KW_MAX_LENGTH] = length_run,
    [KW_PATTERN] = pattern_run,
    [KW_MIN_ITEMS] = count_run,
    [KW_MAX_ITEMS] = count_run,
    [KW_UNIQUE_ITEMS] = unique_run,
    [KW_MIN_PROPERTIES] = count_run,
    [KW_MAX_PROPERTIES] = count_run,
    [KW_DEPENDENT_REQUIRED] = schema_dependent_required_run,
    [KW_PROPERTY_NAMES] = schema_names_run,
    [KW_OBJECT] = schema_object_run,
    [KW_ITEMS] = schema_items_run,
    [KW_CONTAINS] = schema_contains_run,
    [KW_REF] = schema_ref_run,
    [KW_DYNAMIC_REF] = schema_dynamic_ref_run,
    [KW_ALL_OF] = schema_all_run,
    [KW_ANY_OF] = schema_any_run,
    [KW_ONE_OF] = schema_one_run,
    [KW_NOT] = schema_not_run,
    [KW_IF] = schema_if_run,
    [KW_DEPENDENT_SCHEMAS] = schema_dependent_schemas_run,
    [KW_UNEVALUATED_ITEMS] = schema_rest_items_run,
    [KW_UNEVALUATED_PROPERTIES] = schema_rest_properties_run,
};

static bool ops_run(const struct schema_frame *f, const struct schema_unit *unit, uint8_t type)
{
    const struct schema_op *op = f->run->s->op + unit->op, *end = op + unit->ops;
    bool ok = true;
    for (; op < end; op++) {
        if (!(op->types & type))
            continue;
        /* What a failed operation evaluated is not known, so the rest can't be judged. */
        if (!ok && op->kw >= KW_UNEVALUATED_ITEMS)
            break;
        if (!op_run[op->kw](f, op)) {
            ok = false;
            if (!f->run->fail || f->run->status)
                break;
        }
    }
    return ok;
}

/* Its unevaluated* sees what its own operations evaluated, and nothing of its neighbours. */
static bool tracked_run(struct schema_frame *f, const struct schema_unit *unit, uint8_t type)
{
    struct schema_seen own, *outer = f->seen;
    if (!schema_seen_init(f->run, &own, f->run->d->node[f->node].count))
        return false;
    f->seen = &own;
    bool ok = ops_run(f, unit, type);
    f->seen = outer;
    if (ok && outer)
        schema_seen_merge(outer, &own);
    schema_seen_release(&own);
    return ok;
}

static bool accepts(struct schema_run *r, const struct schema_unit *unit, json_ref node,
                    uint8_t type)
{
    if (unit->types & type)
        return true;
    return type == TYPES_NUMBER && (unit->types & TYPES_INTEGER) &&
           schema_step(r, r->d->node[node].len / 64) && schema_number_is_integer(r->d, node);
}

bool schema_run_unit(struct schema_run *r, uint32_t index, json_ref node, struct schema_seen *seen,
                     const struct schema_frame *up)
{
    const struct schema_unit *unit = &r->s->unit[index];
    struct schema_frame f = {.run = r, .up = up, .seen = seen, .unit = index, .node = node};
    uint8_t type = (uint8_t)(1 << r->d->node[node].type);
    if (!schema_step(r, 1))
        return false;
    if (!accepts(r, unit, node, type))
        return schema_fail(&f, NULL, node, false, 0);
    if (!unit->ops)
        return true;
    if (r->depth == SCHEMA_DEPTH)
        return schema_out_of_steps(r);
    r->depth++;
    bool tracks = (unit->flags & UNIT_TRACKS) && (type & (TYPES_ARRAY | TYPES_OBJECT));
    bool ok = tracks ? tracked_run(&f, unit, type) : ops_run(&f, unit, type);
    r->depth--;
    return ok;
}

/* ---- entry ---- */

static int report_limit(const struct schema_run *r, json_ref value, uint32_t steps,
                        struct schema_error *e)
{
    *e = (struct schema_error){.node = value, .budget = true};
    snprintf(e->expected, sizeof(e->expected), "a value that is checked within %u steps", steps);
    snprintf(e->found, sizeof(e->found), "%s",
             r->status == -ENOMEM ? "not enough memory for it" : "one that takes more");
    return r->status;
}

int schema_validate(const struct schema *s, const struct json_doc *d, json_ref value,
                    uint32_t steps, struct schema_error *e)
{
    struct schema_run r = {.s = s, .d = d, .steps = steps, .scratch = BUF_INIT(d->len)};
    struct schema_failure failure = {.set = false};
    bool ok = schema_run_unit(&r, 0, value, NULL, NULL);
    int result = 0;
    if (r.status) {
        result = report_limit(&r, value, steps, e);
    } else if (!ok) {
        r.steps = steps;
        r.fail = &failure;
        schema_run_unit(&r, 0, value, NULL, NULL);
        if (!failure.set)
            failure = (struct schema_failure){.node = value, .types = s->unit[0].types};
        schema_explain(&r, &failure, value, e);
        result = -EINVAL;
    }
    if (r.scratch.data)
        buf_release(&r.scratch);
    return result;
}
