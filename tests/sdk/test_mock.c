/* tests/sdk/test_mock.c - the mock host: a plugin that keeps the contract is
 * served, one that breaks it is told so and the mistake is noted. */
#include <manifold/json.h>
#include <manifold/mock.h>
#include <manifold/state.h>

#include <check.h>
#include <pthread.h>

/* ---- a plugin that does as it is told -------------------------------------- */

struct fixture {
    const mf_host *host;
    mf_call kept; /* the call that `keep` left unfinished */
    mf_call cancelled;
    int cancels, quiesced;
    char config[64];
    pthread_mutex_t lock;
    pthread_cond_t go;
    int going;
};
static struct fixture *last_fixture; /* of the instance last opened, for the test to look at */
static int closed;

static void do_ok(struct fixture *f, const mf_request *r)
{
    const mf_host *h = f->host;
    h->text(h, r->call, MF_LIT("one "));
    h->text(h, r->call, MF_LIT("two"));
    h->block(h, r->call, MF_LIT("{\"type\":\"text\",\"text\":\"b\"}"));
    h->text(h, r->call, MF_LIT("three"));
    h->structured(h, r->call, MF_LIT("{\"a\":1}"));
    h->structured(h, r->call, MF_LIT("{\"a\":2}"));
    h->progress(h, r->call, 1, 2, MF_LIT("half"));
    h->log(h, MF_LOG_INFO, r->call, MF_LIT("a line"));
    ck_assert_int_eq(h->finish(h, r->call, MF_DONE, MF_LIT("")), MF_OK);
}

static void do_twice(struct fixture *f, const mf_request *r)
{
    const mf_host *h = f->host;
    h->finish(h, r->call, MF_DONE, MF_LIT(""));
    ck_assert_int_eq(h->finish(h, r->call, MF_DONE, MF_LIT("")), MF_ESTALE);
    ck_assert_int_eq(h->text(h, r->call, MF_LIT("x")), MF_ESTALE);
    ck_assert_int_eq(h->is_cancelled(h, r->call), 1);
}

static void do_keep(struct fixture *f, const mf_request *r)
{
    f->kept = r->call;
}

static void do_wrong(struct fixture *f, const mf_request *r)
{
    const mf_host *h = f->host;
    ck_assert_int_eq(h->text(h, r->call, MF_LIT("\xC3")), MF_EINVAL);
    ck_assert_int_eq(h->text(h, r->call, MF_LIT("\xED\xA0\x80")), MF_EINVAL);
    ck_assert_int_eq(h->block(h, r->call, MF_LIT("[]")), MF_EINVAL);
    ck_assert_int_eq(h->block(h, r->call, MF_LIT("{\"a\":01}")), MF_EINVAL);
    ck_assert_int_eq(h->structured(h, r->call, MF_LIT("{\"a\":1,}")), MF_EINVAL);
    ck_assert_int_eq(h->blob(h, r->call, MF_LIT("x")), MF_EINVAL);
    ck_assert_int_eq(h->progress(h, r->call, 1, 0, MF_LIT("")), MF_OK);
    ck_assert_int_eq(h->progress(h, r->call, 1, 0, MF_LIT("")), MF_EINVAL);
    ck_assert_int_eq(h->text(h, r->call + 1, MF_LIT("x")), MF_ESTALE);
    ck_assert_int_eq(h->text(h, (uint32_t)r->call, MF_LIT("x")), MF_ESTALE);
    ck_assert_int_eq(h->finish(h, r->call, 99, MF_LIT("")), MF_OK);
}

static void do_limit(struct fixture *f, const mf_request *r)
{
    const mf_host *h = f->host;
    ck_assert_int_eq(h->text(h, r->call, MF_LIT("12345")), MF_OK);
    ck_assert_int_eq(h->structured(h, r->call, MF_LIT("[1,2]")), MF_OK);
    ck_assert_int_eq(h->text(h, r->call, MF_LIT("x")), MF_ELIMIT);
    ck_assert_int_eq(h->structured(h, r->call, MF_LIT("[]")), MF_OK);
    ck_assert_int_eq(h->text(h, r->call, MF_LIT("678")), MF_OK);
    ck_assert_int_eq(h->block(h, r->call, MF_LIT("{}")), MF_ELIMIT);
    h->finish(h, r->call, MF_DONE, MF_LIT(""));
}

/* BLOCKING: waits for cancel() or for the test. */
static void do_block(struct fixture *f, const mf_request *r)
{
    char text[8] = "";
    pthread_mutex_lock(&f->lock);
    f->host->progress(f->host, r->call, 1, 0, MF_LIT(""));
    while (!f->going)
        pthread_cond_wait(&f->go, &f->lock);
    pthread_mutex_unlock(&f->lock);
    /* The arguments are still lent. */
    mfj_cstring(mfj_get(mfj_read(r->args), "x"), text, sizeof(text));
    f->host->text(f->host, r->call, MF_INIT_BYTES_(text, strlen(text)));
    f->host->finish(f->host, r->call, MF_DONE, MF_LIT(""));
}

static void do_args(struct fixture *f, const mf_request *r)
{
    const mf_host *h = f->host;
    ck_assert_uint_eq(r->size, sizeof(*r));
    h->text(h, r->call, r->args);
    h->text(h, r->call, r->input);
    h->text(h, r->call, r->state);
    h->text(h, r->call, r->meta);
    ck_assert_uint_eq(r->deadline_ns, h->now(h) + 5);
    h->finish(h, r->call, MF_NEED_INPUT, MF_LIT("{\"inputRequests\":{}}"));
}

typedef void tool(struct fixture *f, const mf_request *r);
static tool *const tool_list[] = {do_ok, do_twice, do_keep, do_wrong, do_limit, do_block, do_args};

static mf_status fixture_open(const mf_host *host, mf_bytes config, void **ret_self)
{
    struct fixture *f = calloc(1, sizeof(*f));
    f->host = host;
    mfj_cstring(mfj_get(mfj_read(config), "word"), f->config, sizeof(f->config));
    if (strcmp(f->config, "refuse") == 0) {
        free(f);
        return MF_EDENIED;
    }
    pthread_mutex_init(&f->lock, NULL);
    pthread_cond_init(&f->go, NULL);
    *ret_self = last_fixture = f;
    return MF_OK;
}

static void fixture_call(void *self, const mf_request *r)
{
    struct fixture *f = self;
    if (r->kind == MF_TOOL) {
        tool_list[r->index](f, r);
        return;
    }
    if (r->kind == MF_RESOURCE) {
        f->host->blob(f->host, r->call, MF_LIT("\xFF\0"));
        f->host->blob(f->host, r->call, MF_LIT("\xFE"));
        f->host->finish(f->host, r->call, r->uri.len == 3 ? MF_DONE : MF_NOT_FOUND, MF_LIT(""));
        return;
    }
    if (r->kind == MF_COMPLETION) {
        ck_assert_uint_eq(r->ref_kind, MF_PROMPT);
        f->host->structured(f->host, r->call, r->args);
    } else {
        f->host->text(f->host, r->call, r->args);
    }
    f->host->finish(f->host, r->call, MF_DONE, MF_LIT(""));
}

static void fixture_cancel(void *self, mf_call call)
{
    struct fixture *f = self;
    pthread_mutex_lock(&f->lock);
    f->cancels++;
    f->cancelled = call;
    f->going = 1;
    pthread_cond_broadcast(&f->go);
    pthread_mutex_unlock(&f->lock);
}

static void fixture_quiesce(void *self)
{
    ((struct fixture *)self)->quiesced++;
}

static void fixture_close(void *self)
{
    struct fixture *f = self;
    ck_assert_int_gt(f->quiesced, 0);
    pthread_cond_destroy(&f->go);
    pthread_mutex_destroy(&f->lock);
    free(f);
    closed++;
}

#define ENTRY(text, flag)            \
    &(const mf_entry)                \
    {                                \
        sizeof(mf_entry), flag, text \
    }
static const mf_entry *const tools[] = {ENTRY("ok", 0),    ENTRY("twice", 0),
                                        ENTRY("keep", 0),  ENTRY("wrong", 0),
                                        ENTRY("limit", 0), ENTRY("block", MF_TOOL_BLOCKING),
                                        ENTRY("args", 0),  NULL};
static const mf_entry *const resources[] = {ENTRY("res", 0), NULL};
static const mf_entry *const prompts[] = {ENTRY("first", 0), ENTRY("second", 0), NULL};
static const mf_plugin good = {
    .size = sizeof(mf_plugin),
    .abi_minor = MF_ABI_MINOR,
    .id = "org.example.fixture",
    .version = "1.0.0",
    .tools = tools,
    .resources = resources,
    .prompts = prompts,
    .open = fixture_open,
    .call = fixture_call,
    .cancel = fixture_cancel,
    .quiesce = fixture_quiesce,
    .close = fixture_close,
};

static mf_mock *opened(void)
{
    mf_mock *m = mf_mock_new(&good);
    ck_assert_int_eq(mf_mock_open(m, NULL), MF_OK);
    return m;
}

/* Does one of the mistakes say this? */
static int mistaken(mf_mock *m, const char *words)
{
    const char *const *list;
    size_t count = mf_mock_mistakes(m, &list);
    for (size_t i = 0; i < count; i++)
        if (strstr(list[i], words) != NULL)
            return 1;
    return 0;
}

/* ---- tests ------------------------------------------------------------------ */

START_TEST(a_call_and_its_result)
{
    mf_mock *m = opened();
    mf_call call = mf_mock_tool(m, "ok", NULL);
    const mf_mock_result *r = mf_mock_wait(m, call, 0);
    const mf_mock_log *log;
    ck_assert_ptr_nonnull(r);
    ck_assert(r->how == MF_DONE && r->status == MF_OK);
    ck_assert_str_eq(r->text.data, "one twothree");
    ck_assert_str_eq(r->structured.data, "{\"a\":2}");
    ck_assert_uint_eq(r->item_count, 3);
    ck_assert(r->items[0].kind == MF_MOCK_TEXT && r->items[0].appends == 2);
    ck_assert_str_eq(r->items[0].bytes.data, "one two");
    ck_assert_uint_eq(r->items[1].kind, MF_MOCK_BLOCK);
    ck_assert_str_eq(r->items[2].bytes.data, "three");
    ck_assert_uint_eq(r->progress_count, 1);
    ck_assert(r->progress[0].done == 1 && r->progress[0].total == 2);
    ck_assert_str_eq(r->progress[0].text.data, "half");
    ck_assert_uint_eq(mf_mock_logs(m, &log), 1);
    ck_assert(log[0].level == MF_LOG_INFO && log[0].call == call);
    ck_assert_str_eq(log[0].text.data, "a line");
    ck_assert_uint_eq(mf_mock_tool(m, "no such tool", NULL), 0);
    ck_assert_ptr_null(mf_mock_wait(m, 0, 0));
    ck_assert_uint_eq(mf_mock_mistakes(m, NULL), 0);
    mf_mock_free(m);
}
END_TEST

START_TEST(a_request_is_passed_on)
{
    mf_mock *m = opened();
    mf_mock_request q = {.kind = MF_TOOL,
                         .name = "args",
                         .args = "{\"a\":1}",
                         .input = "I",
                         .state = "S",
                         .meta = "M",
                         .timeout_ns = 5};
    const mf_mock_result *r = mf_mock_wait(m, mf_mock_start(m, &q), 0);
    ck_assert_int_eq(r->how, MF_NEED_INPUT);
    ck_assert_str_eq(r->text.data, "{\"a\":1}ISM");
    ck_assert_str_eq(r->detail.data, "{\"inputRequests\":{}}");
    r = mf_mock_wait(m, mf_mock_read(m, "res", "a:b", NULL), 0);
    ck_assert(r->how == MF_DONE && r->item_count == 1 && r->items[0].bytes.len == 3);
    ck_assert_mem_eq(r->items[0].bytes.data, "\xFF\0\xFE", 3);
    r = mf_mock_wait(m, mf_mock_read(m, "res", "a:bc", NULL), 0);
    ck_assert_int_eq(r->how, MF_NOT_FOUND);
    r = mf_mock_wait(m, mf_mock_prompt(m, "second", "{\"t\":\"x\"}"), 0);
    ck_assert_str_eq(r->text.data, "{\"t\":\"x\"}");
    r = mf_mock_wait(m, mf_mock_complete(m, MF_PROMPT, "first", "a", "q\"\n"), 0);
    ck_assert_str_eq(r->structured.data, "{\"argument\":{\"name\":\"a\",\"value\":\"q\\\"\\n\"}}");
    ck_assert_uint_eq(mf_mock_complete(m, MF_TOOL, "ok", "a", ""), 0);
    mf_mock_free(m);
}
END_TEST

START_TEST(a_second_finish_is_stale_and_counted)
{
    mf_mock *m = opened();
    ck_assert_ptr_nonnull(mf_mock_wait(m, mf_mock_tool(m, "twice", NULL), 0));
    ck_assert_uint_eq(mf_mock_mistakes(m, NULL), 2);
    ck_assert(mistaken(m, "finish(): call"));
    ck_assert(mistaken(m, "was finished before"));
    mf_mock_free(m);
}
END_TEST

START_TEST(what_is_not_valid_is_refused)
{
    mf_mock *m = opened();
    const mf_mock_result *r = mf_mock_wait(m, mf_mock_tool(m, "wrong", NULL), 0);
    ck_assert_int_eq(r->how, MF_FAULT);
    ck_assert_uint_eq(r->text.len + r->structured.len + r->item_count, 0);
    ck_assert_uint_eq(mf_mock_mistakes(m, NULL), 10);
    ck_assert(mistaken(m, "text() of a tool: not UTF-8"));
    ck_assert(mistaken(m, "structured() of a tool: not JSON"));
    ck_assert(mistaken(m, "`done` must increase"));
    ck_assert(mistaken(m, "no call"));
    ck_assert(mistaken(m, "no such end"));
    mf_mock_free(m);
}
END_TEST

START_TEST(the_result_has_a_limit)
{
    mf_mock *m = opened();
    mf_mock_set_result_limit(m, 10);
    const mf_mock_result *r = mf_mock_wait(m, mf_mock_tool(m, "limit", NULL), 0);
    ck_assert_str_eq(r->text.data, "12345678");
    ck_assert_uint_eq(r->item_count, 1);
    mf_mock_free(m);
}
END_TEST

START_TEST(cancelling)
{
    mf_mock *m = opened();
    const mf_host *h = mf_mock_host(m);
    mf_call call = mf_mock_tool(m, "keep", NULL);
    struct fixture *f = mf_mock_self(m);
    ck_assert_ptr_eq(f, last_fixture);
    ck_assert_ptr_null(mf_mock_wait(m, call, 0));
    ck_assert_int_eq(h->is_cancelled(h, call), 0);
    mf_mock_cancel(m, call);
    mf_mock_cancel(m, call);
    ck_assert(f->cancels == 1 && f->cancelled == call);
    ck_assert_int_eq(h->is_cancelled(h, call), 1);
    ck_assert_int_eq(h->text(h, call, MF_LIT("x")), MF_ECANCELED);
    ck_assert_int_eq(h->progress(h, call, 1, 1, MF_LIT("")), MF_ECANCELED);
    ck_assert_int_eq(h->finish(h, call, MF_DONE, MF_LIT("")), MF_ECANCELED);
    ck_assert_int_eq(mf_mock_wait(m, call, 0)->status, MF_ECANCELED);
    ck_assert_uint_eq(mf_mock_mistakes(m, NULL), 0);
    ck_assert_int_eq(h->finish(h, call, MF_DONE, MF_LIT("")), MF_ESTALE);
    ck_assert_uint_eq(mf_mock_mistakes(m, NULL), 1);
    mf_mock_free(m);
}
END_TEST

START_TEST(deadlines_are_on_the_fake_clock)
{
    mf_mock *m = opened();
    const mf_host *h = mf_mock_host(m);
    mf_mock_request q = {.kind = MF_TOOL, .name = "keep", .timeout_ns = 1000};
    uint64_t before = h->now(h);
    mf_call call = mf_mock_start(m, &q), endless = mf_mock_tool(m, "keep", NULL);
    mf_mock_advance(m, 999);
    ck_assert_uint_eq(h->now(h), before + 999);
    ck_assert_int_eq(h->text(h, call, MF_LIT("x")), MF_OK);
    mf_mock_advance(m, 1);
    ck_assert_int_eq(h->text(h, call, MF_LIT("x")), MF_ETIMEDOUT);
    ck_assert_int_eq(((struct fixture *)mf_mock_self(m))->cancels, 1);
    mf_mock_advance(m, UINT64_C(1) << 50);
    ck_assert_int_eq(h->finish(h, call, MF_DONE, MF_LIT("")), MF_ETIMEDOUT);
    ck_assert_int_eq(h->finish(h, endless, MF_DONE, MF_LIT("")), MF_OK);
    ck_assert_uint_eq(mf_mock_mistakes(m, NULL), 0);
    mf_mock_free(m);
}
END_TEST

START_TEST(a_blocking_tool_has_its_own_thread)
{
    mf_mock *m = opened();
    mf_call call = mf_mock_tool(m, "block", "{\"x\":\"arg\"}");
    ck_assert(mf_mock_wait_progress(m, call, 1, 10000));
    ck_assert_ptr_null(mf_mock_wait(m, call, 0));
    struct fixture *f = mf_mock_self(m);
    pthread_mutex_lock(&f->lock);
    f->going = 1;
    pthread_cond_signal(&f->go);
    pthread_mutex_unlock(&f->lock);
    const mf_mock_result *r = mf_mock_wait(m, call, 10000);
    ck_assert_ptr_nonnull(r);
    ck_assert_str_eq(r->text.data, "arg");
    f->going = 0;
    call = mf_mock_tool(m, "block", NULL);
    ck_assert(mf_mock_wait_progress(m, call, 1, 10000));
    mf_mock_cancel(m, call);
    ck_assert_int_eq(mf_mock_wait(m, call, 10000)->status, MF_ECANCELED);
    mf_mock_free(m);
}
END_TEST

static void *finish_elsewhere(void *arg)
{
    struct fixture *f = arg;
    f->host->text(f->host, f->kept, MF_LIT("from a thread"));
    f->host->finish(f->host, f->kept, MF_DONE, MF_LIT(""));
    return NULL;
}

START_TEST(a_thread_may_finish)
{
    mf_mock *m = opened();
    mf_call call = mf_mock_tool(m, "keep", NULL);
    pthread_t t;
    pthread_create(&t, NULL, finish_elsewhere, mf_mock_self(m));
    const mf_mock_result *r = mf_mock_wait(m, call, 10000);
    ck_assert_ptr_nonnull(r);
    ck_assert_str_eq(r->text.data, "from a thread");
    pthread_join(t, NULL);
    mf_mock_free(m);
}
END_TEST

START_TEST(extensions_are_what_was_registered)
{
    static const int vtable = 1, other = 2;
    mf_mock *m = mf_mock_new(&good);
    const mf_host *h = mf_mock_host(m);
    ck_assert_ptr_null(h->extension(h, "org.example.none/1"));
    mf_mock_set_extension(m, "org.example.none/1", &vtable);
    mf_mock_set_extension(m, "manifold.http/1", &other);
    ck_assert_ptr_eq(h->extension(h, "org.example.none/1"), &vtable);
    ck_assert_ptr_eq(h->extension(h, "manifold.http/1"), &other);
    mf_mock_set_extension(m, "org.example.none/1", NULL);
    ck_assert_ptr_null(h->extension(h, "org.example.none/1"));
    mf_mock_free(m);
}
END_TEST

START_TEST(life)
{
    mf_mock *m = mf_mock_new(&good);
    ck_assert_uint_eq(mf_mock_tool(m, "ok", NULL), 0);
    ck_assert_int_eq(mf_mock_close(m, 0), MF_EINVAL);
    ck_assert_int_eq(mf_mock_open(m, "{\"word\":\"refuse\"}"), MF_EDENIED);
    ck_assert_ptr_null(mf_mock_self(m));
    ck_assert_int_eq(mf_mock_open(m, "{\"word\":\"first\"}"), MF_OK);
    ck_assert_int_eq(mf_mock_open(m, NULL), MF_EINVAL);
    /* Two instances of one library. */
    mf_mock *n = mf_mock_new(&good);
    ck_assert_int_eq(mf_mock_open(n, "{\"word\":\"second\"}"), MF_OK);
    ck_assert_str_eq(((struct fixture *)mf_mock_self(m))->config, "first");
    ck_assert_str_eq(((struct fixture *)mf_mock_self(n))->config, "second");
    /* A call that is not finished keeps close() away, and is a mistake. */
    int before = closed;
    mf_call call = mf_mock_tool(m, "keep", NULL);
    ck_assert_int_eq(mf_mock_close(m, 0), MF_ETIMEDOUT);
    ck_assert(mistaken(m, "was not finished"));
    ck_assert_int_eq(closed, before);
    const mf_host *h = mf_mock_host(m);
    h->finish(h, call, MF_DONE, MF_LIT(""));
    ck_assert_int_eq(mf_mock_close(m, 0), MF_OK);
    ck_assert_int_eq(closed, before + 1);
    h->text(h, call, MF_LIT("x"));
    ck_assert(mistaken(m, "used after close()"));
    mf_mock_free(m);
    mf_mock_free(n);
    ck_assert_int_eq(closed, before + 2);
    mf_mock_free(NULL);
}
END_TEST

static const mf_entry *const same[] = {ENTRY("a", 0), ENTRY("a", 0), NULL};
static const mf_entry *const nameless[] = {ENTRY("", 0), NULL};
static const mf_entry *const sizeless[] = {&(const mf_entry){0, 0, "a"}, NULL};
static const mf_entry *const flagged[] = {ENTRY("a", 64), NULL};

START_TEST(bad_descriptors)
{
    ck_assert_ptr_null(mf_mock_lint(&good));
    for (int i = 0; i < 12; i++) {
        mf_plugin p = good;
        switch (i) {
        case 0:
            p.size = 8;
            break;
        case 1:
            p.flags = 1;
            break;
        case 2:
            p.abi_minor_min = MF_ABI_MINOR + 1;
            break;
        case 3:
            p.abi_minor = p.abi_minor_min = MF_ABI_MINOR + 1;
            break;
        case 4:
            p.id = "nodots";
            break;
        case 5:
            p.version = NULL;
            break;
        case 6:
            p.open = NULL;
            break;
        case 7:
            p.close = NULL;
            break;
        case 8:
            p.tools = same;
            break;
        case 9:
            p.resources = nameless;
            break;
        case 10:
            p.prompts = sizeless;
            break;
        default:
            p.tools = flagged;
        }
        mf_mock *m = mf_mock_new(&p);
        ck_assert_ptr_nonnull(mf_mock_lint(&p));
        ck_assert_int_eq(mf_mock_open(m, NULL), MF_EINVAL);
        ck_assert(mistaken(m, mf_mock_lint(&p)));
        mf_mock_free(m);
    }
}
END_TEST

/* ---- from one generation to the next --------------------------------------- */

/* A plugin that counts its calls, from one generation to the next. */
struct counter {
    const mf_host *host;
    char count[32];
    mf_call kept;
};
static struct counter *last_counter;
static char steps[256];               /* what has happened */
static mf_status save_as, restore_as; /* what they answer */
static size_t save_bytes;             /* more than the count, so many */
static mf_status (*late_write)(void *arg, mf_bytes bytes);
static void *late_arg;

static void step(const char *what)
{
    size_t at = strlen(steps);
    snprintf(steps + at, sizeof(steps) - at, "%s%s", at ? " " : "", what);
}

static mf_status counter_open(const mf_host *host, mf_bytes config, void **ret_self)
{
    struct counter *c = calloc(1, sizeof(*c));
    (void)config;
    c->host = host;
    last_counter = c;
    step("open");
    *ret_self = c;
    return MF_OK;
}

static void counter_call(void *self, const mf_request *r)
{
    struct counter *c = self;
    step("call");
    snprintf(c->count, sizeof(c->count), "%ld", strtol(c->count, NULL, 10) + 1);
    c->kept = r->call;
    if (r->index == 0)
        c->host->finish(c->host, r->call, MF_DONE, MF_LIT(""));
}

static void counter_quiesce(void *self)
{
    (void)self;
    step("quiesce");
}

static void counter_close(void *self)
{
    step("close");
    free(self);
}

static mf_status counter_save(void *self, mf_status (*write)(void *arg, mf_bytes bytes), void *arg)
{
    struct counter *c = self;
    mf_status status = write(arg, MF_LIT("v1 "));
    step("save");
    ck_assert_int_eq(status, MF_OK);
    ck_assert_int_eq(write(arg, (mf_bytes){c->count, strlen(c->count)}), MF_OK);
    late_write = write;
    late_arg = arg;
    if (save_bytes == 0)
        return save_as;
    char *more = calloc(1, save_bytes);
    status = write(arg, (mf_bytes){more, save_bytes});
    free(more);
    return status;
}

static mf_status counter_restore(void *self, mf_bytes bytes)
{
    struct counter *c = self;
    char text[64];
    snprintf(text, sizeof(text), "restore(%.*s)", (int)bytes.len, bytes.data);
    step(text);
    if (restore_as == MF_OK)
        snprintf(c->count, sizeof(c->count), "%.*s", (int)bytes.len - 3, bytes.data + 3);
    return restore_as;
}

static mf_state counter_state = {sizeof(mf_state), 0, counter_save, counter_restore};

static const void *counter_extension(void *self, const char *id)
{
    (void)self;
    return strcmp(id, MF_EXT_STATE) == 0 ? &counter_state : NULL;
}

static const mf_entry *const counter_tools[] = {ENTRY("count", 0), ENTRY("keep", 0), NULL};
static const mf_plugin counter = {.size = sizeof(mf_plugin),
                                  .abi_minor = MF_ABI_MINOR,
                                  .id = "org.example.counter",
                                  .version = "1.0.0",
                                  .tools = counter_tools,
                                  .open = counter_open,
                                  .call = counter_call,
                                  .quiesce = counter_quiesce,
                                  .close = counter_close,
                                  .extension = counter_extension};

static mf_mock *counting(int calls)
{
    steps[0] = 0;
    save_as = restore_as = MF_OK;
    save_bytes = 0;
    counter_state.flags = 0;
    mf_mock *m = mf_mock_new(&counter);
    ck_assert_int_eq(mf_mock_open(m, NULL), MF_OK);
    while (calls--)
        ck_assert_ptr_nonnull(mf_mock_wait(m, mf_mock_tool(m, "count", NULL), 0));
    steps[0] = 0;
    return m;
}

START_TEST(state_is_handed_over)
{
    mf_mock *a = counting(3), *b = mf_mock_new(&counter);
    ck_assert_int_eq(mf_mock_hand_over(a, b, NULL, 0), MF_OK);
    ck_assert_str_eq(steps, "quiesce save close open restore(v1 3)");
    ck_assert_str_eq(mf_mock_saved(a).data, "v1 3");
    ck_assert_uint_eq(mf_mock_saved(b).len, 0);
    ck_assert_ptr_nonnull(mf_mock_wait(b, mf_mock_tool(b, "count", NULL), 0));
    ck_assert_str_eq(last_counter->count, "4");
    /* And on, to a third. */
    mf_mock *c = mf_mock_new(&counter);
    ck_assert_int_eq(mf_mock_hand_over(b, c, NULL, 0), MF_OK);
    ck_assert_str_eq(last_counter->count, "4");
    ck_assert_int_eq(mf_mock_hand_over(b, c, NULL, 0), MF_EINVAL); /* b is closed */
    ck_assert_int_eq(mf_mock_hand_over(c, c, NULL, 0), MF_EINVAL);
    ck_assert(!mf_mock_mistakes(a, NULL) && !mf_mock_mistakes(b, NULL));
    mf_mock_free(a);
    mf_mock_free(b);
    mf_mock_free(c);
}
END_TEST

static void *finish_kept(void *arg)
{
    struct counter *c = arg;
    c->host->finish(c->host, c->kept, MF_DONE, MF_LIT(""));
    return NULL;
}

START_TEST(calls_end_before_it_is_handed_over)
{
    mf_mock *a = counting(0), *b = mf_mock_new(&counter);
    mf_call call = mf_mock_tool(a, "keep", NULL);
    ck_assert_int_eq(mf_mock_hand_over(a, b, NULL, 0), MF_ETIMEDOUT);
    ck_assert_str_eq(steps, "call quiesce");
    ck_assert_ptr_null(mf_mock_self(b));
    ck_assert(mistaken(a, "was not finished"));
    pthread_t id;
    ck_assert_int_eq(pthread_create(&id, NULL, finish_kept, last_counter), 0);
    ck_assert_int_eq(mf_mock_hand_over(a, b, NULL, 10000), MF_OK);
    pthread_join(id, NULL);
    ck_assert_ptr_nonnull(mf_mock_wait(a, call, 0));
    ck_assert_str_eq(last_counter->count, "1");
    mf_mock_free(a);
    mf_mock_free(b);
}
END_TEST

START_TEST(state_that_fails_is_told)
{
    static const struct {
        mf_status save, restore;
        size_t more;
        mf_status answer;
        const char *steps;
    } cases[] = {
        {MF_EIO, MF_OK, 0, MF_EIO, "quiesce save close open"},
        {MF_OK, MF_EINVAL, 0, MF_EINVAL, "quiesce save close open restore(v1 1)"},
        {MF_OK, MF_OK, (16 << 20) - 4, MF_OK, NULL},
        {MF_OK, MF_OK, (16 << 20) - 3, MF_ELIMIT, "quiesce save close open"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        mf_mock *a = counting(1), *b = mf_mock_new(&counter);
        save_as = cases[i].save;
        restore_as = cases[i].restore;
        save_bytes = cases[i].more;
        ck_assert_int_eq(mf_mock_hand_over(a, b, NULL, 0), cases[i].answer);
        ck_assert(!cases[i].steps || strcmp(steps, cases[i].steps) == 0);
        ck_assert_ptr_nonnull(mf_mock_self(b)); /* it serves all the same */
        ck_assert_int_eq(mf_mock_mistakes(a, NULL) + mf_mock_mistakes(b, NULL), 0);
        mf_mock_free(a);
        mf_mock_free(b);
    }
}
END_TEST

START_TEST(state_of_an_older_version)
{
    mf_mock *m = counting(0);
    ck_assert_int_eq(mf_mock_restore(m, MF_LIT("v0 41")), MF_OK);
    ck_assert_str_eq(last_counter->count, "41");
    ck_assert_int_eq(mf_mock_restore(m, MF_LIT("")), MF_OK);
    ck_assert_str_eq(steps, "restore(v0 41)"); /* an empty one is not shown */
    mf_mock_tool(m, "count", NULL);
    ck_assert_str_eq(last_counter->count, "42");
    ck_assert_int_eq(mf_mock_restore(m, MF_LIT("v0 1")), MF_EINVAL); /* it has had a call */
    mf_mock_free(m);
}
END_TEST

START_TEST(mistakes_with_state)
{
    mf_mock *a = counting(1), *b = mf_mock_new(&counter);
    counter_state.flags = 1;
    ck_assert_int_eq(mf_mock_hand_over(a, b, NULL, 0), MF_OK);
    ck_assert(mistaken(a, "has a flag"));
    ck_assert_int_eq(late_write(late_arg, MF_LIT("x")), MF_ESTALE);
    ck_assert(mistaken(a, "write(): used after save()"));
    ck_assert_str_eq(mf_mock_saved(a).data, "v1 1");
    mf_mock_free(a);
    mf_mock_free(b);
    /* A plugin without it has none to hand over. */
    a = opened();
    b = mf_mock_new(&good);
    ck_assert_int_eq(mf_mock_hand_over(a, b, NULL, 0), MF_OK);
    ck_assert_int_eq(mf_mock_restore(b, MF_LIT("v1 1")), MF_OK);
    ck_assert_uint_eq(mf_mock_saved(a).len, 0);
    mf_mock_free(a);
    mf_mock_free(b);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("mock");
    TCase *t = tcase_create("all");
    tcase_set_timeout(t, 60);
    tcase_add_test(t, a_call_and_its_result);
    tcase_add_test(t, a_request_is_passed_on);
    tcase_add_test(t, a_second_finish_is_stale_and_counted);
    tcase_add_test(t, what_is_not_valid_is_refused);
    tcase_add_test(t, the_result_has_a_limit);
    tcase_add_test(t, cancelling);
    tcase_add_test(t, deadlines_are_on_the_fake_clock);
    tcase_add_test(t, a_blocking_tool_has_its_own_thread);
    tcase_add_test(t, a_thread_may_finish);
    tcase_add_test(t, extensions_are_what_was_registered);
    tcase_add_test(t, life);
    tcase_add_test(t, bad_descriptors);
    tcase_add_test(t, state_is_handed_over);
    tcase_add_test(t, calls_end_before_it_is_handed_over);
    tcase_add_test(t, state_that_fails_is_told);
    tcase_add_test(t, state_of_an_older_version);
    tcase_add_test(t, mistakes_with_state);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
