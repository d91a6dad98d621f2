#include "engine/internal.h"

#include <stdlib.h>

enum { OPS_MAX = 65536, WHY_MAX = 512 }; /* of the whole host; of a sentence */

/* --- the table: what makes a handle an operation, or nothing --- */

struct op_slot {
    struct op *op; /* NULL: free */
    uint32_t generation, next_free;
};

/* With the lock held. */
static bool table_has_room(struct op_table *t)
{
    if (t->used < t->slots)
        return true;
    uint32_t more = t->slots ? t->slots * 2 : 64;
    struct op_slot *slot = more <= OPS_MAX ? realloc(t->slot, more * sizeof(*slot)) : NULL;
    if (!slot)
        return false;
    for (uint32_t i = t->slots; i < more; i++)
        slot[i] = (struct op_slot){.generation = 1, .next_free = i + 1};
    t->free = t->slots;
    t->slot = slot;
    t->slots = more;
    return true;
}

/* NULL, or why there is no room for it. */
static const char *table_add(struct op_table *t, struct op *op)
{
    const char *refused = NULL;
    pthread_mutex_lock(&t->lock);
    if (op->instance->ops_shut) {
        refused = "it is closed, or its open() has failed";
    } else if (op->instance->ops >= MF_OPS_MAX) {
        refused = "over its 1024 operations at a time";
    } else if (!table_has_room(t)) {
        refused = "no room for more operations in this host";
    } else {
        struct op_slot *s = &t->slot[t->free];
        op->id = (mf_op)s->generation << 32 | (t->free + 1);
        t->free = s->next_free;
        s->op = op;
        t->used++;
        op->instance->ops++;
    }
    pthread_mutex_unlock(&t->lock);
    return refused;
}

static void table_remove(struct op_table *t, struct op *op)
{
    uint32_t i = (uint32_t)op->id - 1;
    pthread_mutex_lock(&t->lock);
    t->slot[i] = (struct op_slot){.generation = t->slot[i].generation + 1, .next_free = t->free};
    t->free = i;
    t->used--;
    op->instance->ops--;
    pthread_mutex_unlock(&t->lock);
}

/* What it points to is only for the loop: elsewhere it may end at any time. */
static struct op *table_find(struct op_table *t, const struct instance *in, mf_op id)
{
    uint32_t i = (uint32_t)id - 1;
    struct op *op = NULL;
    pthread_mutex_lock(&t->lock);
    if ((uint32_t)id && i < t->slots && t->slot[i].op &&
        t->slot[i].generation == (uint32_t)(id >> 32) && t->slot[i].op->instance == in)
        op = t->slot[i].op;
    pthread_mutex_unlock(&t->lock);
    return op;
}

void ops_init(struct op_table *t)
{
    pthread_mutex_init(&t->lock, NULL);
}

void ops_release(struct op_table *t)
{
    pthread_mutex_destroy(&t->lock);
    free(t->slot);
}

uint32_t instance_ops(const struct instance *in)
{
    pthread_mutex_lock(&in->engine->ops.lock);
    uint32_t n = in->ops;
    pthread_mutex_unlock(&in->engine->ops.lock);
    return n;
}

/* --- the beginning --- */

static void abort_now(struct op *op)
{
    if (op->ended || op->aborted)
        return;
    op->aborted = true;
    if (op->begun)
        op->kind->abort(op);
}

/* What has become of the call since op_begin(); MF_OK: the plugin still works on it. */
static mf_status follow_call(struct op *op)
{
    struct instance *in = op->instance;
    if (!op->call)
        return in->ops_closed ? MF_ECANCELED : MF_OK;
    struct call *c = call_lock(in, op->call);
    if (!c)
        return MF_ECANCELED;
    mf_status s = c->client == CLIENT_TIMED_OUT                               ? MF_ETIMEDOUT
                  : c->client == CLIENT_CANCELLED || c->state != SLOT_RUNNING ? MF_ECANCELED
                                                                              : MF_OK;
    pthread_mutex_unlock(&c->lock);
    if (s == MF_OK)
        list_append(&c->ops, &op->in_call);
    return s;
}

static void start(struct op *op)
{
    list_append(&op->instance->op_list, &op->in_instance);
    op->begun = true;
    mf_status s = op->aborted ? MF_ECANCELED : follow_call(op);
    if (s)
        op_end(op, s);
    else
        op->kind->start(op);
}

static void on_start(struct post *p)
{
    start(container_of(p, struct op, post));
}

/* False: the call is not one that this plugin is working on. */
static bool take_call(struct op *op)
{
    struct call *c = call_lock(op->instance, op->call);
    if (!c)
        return false;
    bool running = c->state == SLOT_RUNNING;
    op->spec = c->spec;
    op->deadline = c->deadline;
    pthread_mutex_unlock(&c->lock);
    return running;
}

mf_op op_refuse(const mf_host *h, const char *what, const char *why)
{
    struct instance *in = instance_of(h);
    if (log_admits(in))
        log_line(LOG_WARN, in->name, "%s is refused: %s", what, why);
    return 0;
}

mf_op op_begin(const mf_host *h, mf_call call, struct op *op, const struct op_kind *kind)
{
    struct instance *in = instance_of(h);
    struct engine *en = in->engine;
    op->kind = kind;
    op->instance = in;
    op->call = call;
    op->deadline = UINT64_MAX;
    const char *refused = call && !take_call(op) ? "for a call that is not its own or has ended"
                                                 : table_add(&en->ops, op);
    if (refused) {
        kind->release(op);
        return op_refuse(h, kind->name, refused);
    }
    mf_op id = op->id; /* on another thread it may have ended before post_send() returns */
    op->post.run = on_start;
    if (on_loop(en))
        start(op);
    else
        post_send(&en->posts, &op->post);
    return id;
}

/* --- abort --- */

struct abort_post {
    struct post post;
    struct engine *engine;
    const struct instance *instance; /* may be gone */
    mf_op id;
};

static void on_abort(struct post *p)
{
    struct abort_post *a = container_of(p, struct abort_post, post);
    struct op *op = table_find(&a->engine->ops, a->instance, a->id);
    if (op)
        abort_now(op);
    free(a);
}

mf_status op_abort(const mf_host *h, mf_op id)
{
    struct instance *in = instance_of(h);
    struct engine *en = in->engine;
    struct op *op = table_find(&en->ops, in, id);
    if (!op)
        return MF_ESTALE;
    if (on_loop(en)) {
        if (op->ended)
            return MF_ESTALE;
        abort_now(op);
        return MF_OK;
    }
    struct abort_post *a = malloc(sizeof(*a));
    if (!a)
        return MF_ENOMEM;
    *a = (struct abort_post){.post.run = on_abort, .engine = en, .instance = in, .id = id};
    if (!post_send(&en->posts, &a->post))
        free(a);
    return MF_OK;
}

/* --- other functions of a service --- */

struct send_post {
    struct post post;
    struct engine *engine;
    const struct instance *instance; /* may be gone */
    mf_op id;
    const struct op_kind *kind;
    void (*fn)(struct op *op);
};

static void on_send(struct post *p)
{
    struct send_post *s = container_of(p, struct send_post, post);
    struct op *op = table_find(&s->engine->ops, s->instance, s->id);
    if (op && op->kind == s->kind && op->begun && !op->ended)
        s->fn(op);
    free(s);
}

mf_status op_send(const mf_host *h, mf_op id, const struct op_kind *kind, void (*fn)(struct op *op))
{
    struct instance *in = instance_of(h);
    struct engine *en = in->engine;
    if (!table_find(&en->ops, in, id)) /* of which kind is looked at on the loop */
        return MF_ESTALE;
    struct send_post *s = malloc(sizeof(*s));
    if (!s)
        return MF_ENOMEM;
    *s = (struct send_post){
        .post.run = on_send, .engine = en, .instance = in, .id = id, .kind = kind, .fn = fn};
    if (on_loop(en) && !en->stopped)
        post_later(en, &s->post);
    else if (!post_send(&en->posts, &s->post))
        free(s);
    return MF_OK;
}

void call_abort_ops(struct call *c)
{
    for (struct list *it; (it = list_pop(&c->ops));)
        abort_now(container_of(it, struct op, in_call));
}

void instance_abort_ops(struct instance *in, bool all)
{
    in->ops_closed = true;
    list_each_safe (it, &in->op_list) {
        struct op *op = container_of(it, struct op, in_instance);
        if (all || !op->call)
            abort_now(op);
    }
}

bool instance_shut_ops(struct instance *in)
{
    struct op_table *t = &in->engine->ops;
    pthread_mutex_lock(&t->lock);
    bool none = in->ops == 0;
    in->ops_shut = in->ops_shut || none;
    pthread_mutex_unlock(&t->lock);
    return none;
}

void instance_mute_ops(struct instance *in)
{
    struct op_table *t = &in->engine->ops;
    pthread_mutex_lock(&t->lock);
    in->ops_shut = true;
    pthread_mutex_unlock(&t->lock);
    in->ops_muted = true; /* also for those that are on their way here from other threads */
    instance_abort_ops(in, true);
}

/* --- the end --- */

static void on_deliver(struct post *p)
{
    struct op *op = container_of(p, struct op, post);
    struct instance *in = op->instance;
    /* It counts no more, so that a plugin at its limit can begin the next one in the callback. */
    list_remove(&op->in_instance);
    table_remove(&in->engine->ops, op);
    if (!in->ops_muted) {
        op_enter(op);
        op->kind->deliver(op);
        op_leave(op);
    }
    free(op->why);
    op->kind->release(op);
    if (in->drain)
        drain_look(in->engine);
    if (in->engine->stopping)
        engine_check_stopped(in->engine);
}

void op_end(struct op *op, mf_status status)
{
    if (op->ended)
        BUG("%s has ended twice", op->kind->name);
    op->ended = true;
    op->status = status;
    list_remove(&op->in_call);
    op->post.run = on_deliver;
    post_later(op->instance->engine, &op->post);
}

void op_fail(struct op *op, mf_status status, const char *fmt, ...)
{
    char text[WHY_MAX + 1];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    op->why = strdup(text); /* without memory the status has to do */
    op_end(op, status);
}

static void on_posted(struct post *p)
{
    struct op *op = container_of(p, struct op, post);
    op->posted(op);
}

void op_post(struct op *op, void (*fn)(struct op *op))
{
    op->posted = fn;
    op->post.run = on_posted;
    post_send(&op->instance->engine->posts, &op->post);
}

void op_enter(struct op *op)
{
    struct engine *en = op->instance->engine;
    en->now = clock_ns();
    watchdog_enter(en, op->instance, IN_CALLBACK, op->spec);
}

void op_leave(struct op *op)
{
    watchdog_leave(op->instance->engine);
}

void op_end_fill(const struct op *op, mf_end *end, size_t size)
{
    *end = (mf_end){.size = (uint32_t)size,
                    .status = op->status,
                    .op = op->id,
                    .why = {op->why, op->why ? strlen(op->why) : 0}};
}

bool op_trace(const struct op *op, struct trace *ret)
{
    struct call *c = op->call ? call_lock(op->instance, op->call) : NULL;
    if (!c)
        return false;
    bool have = c->trace;
    if (have)
        *ret = *c->trace;
    pthread_mutex_unlock(&c->lock);
    return have;
}

uv_loop_t *op_loop(const struct op *op)
{
    return op->instance->engine->loop;
}

struct op *op_find(struct instance *in, mf_op id, const struct op_kind *kind)
{
    struct op *op = table_find(&in->engine->ops, in, id);
    return op && op->kind == kind && op->begun && !op->ended ? op : NULL;
}

struct op *instance_next_op(const struct instance *in, const struct op *after)
{
    const struct list *it = after ? after->in_instance.next : in->op_list.next;
    return it == &in->op_list ? NULL
                              : container_of((struct list *)(uintptr_t)it, struct op, in_instance);
}
