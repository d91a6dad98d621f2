#include <stdlib.h>
#include <unistd.h>
#include "cli/columns.h"
#include "cli/command.h"
#include "cli/open.h"
#include "cli/reach.h"
#include "cli/table.h"
#include "json/writer.h"

enum { ANSWER_MS = 5000, GLANCE_MS = 2000, PRINT_MAX = 64 << 20, CLIENT_MAX = 64 };

static const struct column plugin_columns[] = {
    {.heading = "PLUGIN", .key = {"name"}},
    {.heading = "STATE", .key = {"state"}, .state = true},
    {.heading = "VERSION", .key = {"version"}, .rank = 4},
    {.heading = "GEN", .key = {"generation"}, .right = true, .rank = 3},
    {.heading = "LOADS", .key = {"loads"}, .right = true, .rank = 6},
    {.heading = "RUNNING", .key = {"running"}, .right = true, .rank = 1},
    {.heading = "QUEUED", .key = {"queued"}, .right = true, .rank = 2},
    {.heading = "OPS", .key = {"operations"}, .right = true, .rank = 5},
    {.heading = "LEAKED", .key = {"leaked", "orphans"}, .right = true, .rank = 2},
    {.heading = "CALLS", .key = {"calls"}, .right = true, .rank = 1},
    {.heading = "ERRORS", .key = {"errors"}, .right = true, .rank = 2},
    {.heading = "TIMEOUTS", .key = {"timeouts"}, .right = true, .rank = 4},
    {.heading = "REFUSED", .key = {"refusals"}, .right = true, .rank = 5},
    {.heading = "BREAKER", .key = {"breaker.state", "breaker"}, .state = true, .rank = 3},
};

static const struct column entry_columns[] = {
    {.heading = "ENTRY", .key = {"name"}},
    {.heading = "PLUGIN", .key = {"name"}, .of_parent = true, .rank = 3},
    {.heading = "RUNNING", .key = {"running"}, .right = true, .rank = 2},
    {.heading = "QUEUED", .key = {"queued"}, .right = true, .rank = 2},
    {.heading = "CALLS", .key = {"calls"}, .right = true, .rank = 1},
    {.heading = "ERRORS", .key = {"errors"}, .right = true, .rank = 2},
    {.heading = "TIMEOUTS", .key = {"timeouts"}, .right = true, .rank = 4},
    {.heading = "REFUSED", .key = {"refusals"}, .right = true, .rank = 5},
    {.heading = "SLOW", .key = {"slow"}, .right = true, .rank = 5},
    {.heading = "P50", .key = {"durationUs.p50"}, .right = true, .micros = true, .rank = 3},
    {.heading = "P99", .key = {"durationUs.p99"}, .right = true, .micros = true, .rank = 3},
    {.heading = "WAITED P99", .key = {"queueWaitUs.p99"}, .right = true, .micros = true, .rank = 6},
};

static const struct column host_columns[] = {
    {.heading = "PID", .key = {"pid"}, .right = true},
    {.heading = "CLIENT", .key = {"client"}},
    {.heading = "STATE", .key = {"state"}, .state = true, .rank = 1},
    {.heading = "UP", .key = {"up"}, .right = true, .rank = 1},
    {.heading = "PLUGINS", .key = {"plugins"}, .right = true, .rank = 2},
    {.heading = "RUNNING", .key = {"running"}, .right = true, .rank = 2},
    {.heading = "CALLS", .key = {"calls"}, .right = true, .rank = 2},
    {.heading = "PROBLEMS", .key = {"problems"}, .right = true, .rank = 2},
};

#define COUNT(a) ((uint32_t)(sizeof(a) / sizeof((a)[0])))

/* Whatever a newer or older host leaves out is 0. */
static uint64_t number(const struct json_doc *d, json_ref object, const char *key)
{
    int64_t v;
    json_ref n = json_get(d, object, str_of(key));
    return n && json_int(d, n, &v) && v > 0 ? (uint64_t)v : 0;
}

static json_ref container(const struct json_doc *d, json_ref object, const char *key,
                          enum json_type type)
{
    json_ref n = json_get(d, object, str_of(key));
    return n && json_is(d, n, type) ? n : 0;
}

static void print_age(struct buf *b, uint64_t ms)
{
    uint64_t s = ms / 1000, m = s / 60, h = m / 60;
    if (h >= 48)
        buf_printf(b, "%llud %lluh", (unsigned long long)h / 24, (unsigned long long)h % 24);
    else if (h)
        buf_printf(b, "%lluh %llum", (unsigned long long)h, (unsigned long long)m % 60);
    else if (m)
        buf_printf(b, "%llum %llus", (unsigned long long)m, (unsigned long long)s % 60);
    else
        buf_printf(b, "%llus", (unsigned long long)s);
}

static void print_text(struct buf *b, const struct json_doc *d, json_ref n, const char *otherwise)
{
    struct buf scratch = BUF_INIT(1 << 20);
    bool there = n && json_is(d, n, JSON_STRING);
    table_cell(b, there ? json_string(d, n, &scratch) : str_of(otherwise), 0);
    buf_release(&scratch);
}

static void print_last_reload(struct buf *b, const struct json_doc *d, json_ref said,
                              struct screen screen)
{
    struct buf line = BUF_INIT(1 << 20);
    buf_lit(&line, "last reload: ");
    print_text(&line, d, said, "");
    if (said)
        columns_sentence(b, buf_view(&line), 0, screen);
    buf_release(&line);
}

static void print_head(struct buf *b, const struct json_doc *d, const struct reached *h,
                       struct screen screen)
{
    json_ref server = container(d, 0, "server", JSON_OBJECT);
    if (server) {
        print_text(b, d, json_get(d, server, STR("name")), "manifold");
        buf_byte(b, ' ');
        print_text(b, d, json_get(d, server, STR("version")), "?");
        buf_lit(b, ", up ");
        print_age(b, number(d, server, "uptimeMs"));
        if (number(d, server, "generation"))
            buf_printf(b, ", generation %llu", (unsigned long long)number(d, server, "generation"));
        if (number(d, server, "logDropped"))
            buf_printf(b, ", %llu log lines dropped",
                       (unsigned long long)number(d, server, "logDropped"));
        if (h->pid)
            buf_printf(b, ", process %d", (int)h->pid);
        buf_byte(b, '\n');
        print_last_reload(b, d, json_get(d, server, STR("lastReload")), screen);
    }
}

/* Name, then the sentence. */
static void print_said(struct buf *b, const struct json_doc *d, json_ref who, json_ref what,
                       struct screen screen)
{
    struct buf line = BUF_INIT(1 << 20);
    print_text(&line, d, who, "?");
    buf_lit(&line, ": ");
    print_text(&line, d, what, "?");
    columns_sentence(b, buf_view(&line), 2, screen);
    buf_release(&line);
}

/* `list` of objects; those that have `key`, below one heading. */
static void print_sentences(struct buf *b, const struct json_doc *d, json_ref list,
                            const char *heading, const char *who, const char *key,
                            struct screen screen)
{
    bool any = false;
    if (!list)
        return;
    json_each (d, list, it) {
        json_ref what = json_is(d, it, JSON_OBJECT) ? json_get(d, it, str_of(key)) : 0;
        if (!what)
            continue;
        if (!any)
            buf_printf(b, "\n%s\n", heading);
        print_said(b, d, json_get(d, it, str_of(who)), what, screen);
        any = true;
    }
}

static uint32_t count_of(const struct json_doc *d, json_ref list)
{
    return list ? d->node[list].count : 0;
}

/* The objects of both lists, 0 being an empty one; *ret_rows of them, the caller's.  NULL: no
 * memory. */
static struct row *object_rows(const struct json_doc *d, json_ref first, json_ref second,
                               uint32_t *ret_rows)
{
    const json_ref list[] = {first, second};
    struct row *row = calloc((size_t)count_of(d, first) + count_of(d, second) + 1, sizeof(*row));
    *ret_rows = 0;
    for (int i = 0; row && i < 2; i++) {
        if (!list[i])
            continue;
        json_each (d, list[i], it) {
            if (json_is(d, it, JSON_OBJECT))
                row[(*ret_rows)++] = (struct row){.object = it};
        }
    }
    return row;
}

/* The entries that somebody has used. */
static struct row *entry_rows(const struct json_doc *d, json_ref list, uint32_t *ret_rows)
{
    uint32_t most = 0;
    json_each (d, list, it) {
        json_ref entries =
            json_is(d, it, JSON_OBJECT) ? container(d, it, "entries", JSON_ARRAY) : 0;
        most += entries ? d->node[entries].count : 0;
    }
    struct row *row = calloc(most + 1u, sizeof(*row));
    *ret_rows = 0;
    if (!row)
        return NULL;
    json_each (d, list, it) {
        json_ref entries =
            json_is(d, it, JSON_OBJECT) ? container(d, it, "entries", JSON_ARRAY) : 0;
        if (!entries)
            continue;
        json_each (d, entries, x) {
            if (json_is(d, x, JSON_OBJECT) && number(d, x, "calls") + number(d, x, "refusals"))
                row[(*ret_rows)++] = (struct row){.object = x, .parent = it};
        }
    }
    return row;
}

static void print_status(struct buf *b, const struct json_doc *d, const struct reached *h)
{
    struct screen screen = screen_of_output();
    json_ref plugins = container(d, 0, "plugins", JSON_ARRAY);
    json_ref draining = container(d, 0, "draining", JSON_ARRAY);
    uint32_t rows = 0;
    print_head(b, d, h, screen);
    if (plugins) {
        struct row *row = object_rows(d, plugins, draining, &rows);
        buf_byte(b, '\n');
        if (row && rows)
            columns_print(b, d, plugin_columns, COUNT(plugin_columns), row, rows, screen);
        else
            buf_lit(b, "no plugins\n");
        free(row);
        row = entry_rows(d, plugins, &rows);
        if (row && rows) {
            buf_byte(b, '\n');
            columns_print(b, d, entry_columns, COUNT(entry_columns), row, rows, screen);
        }
        free(row);
    }
    print_sentences(b, d, plugins, "Errors", "name", "error", screen);
    print_sentences(b, d, plugins, "Last errors", "name", "lastError", screen);
    print_sentences(b, d, container(d, 0, "problems", JSON_ARRAY), "Problems", "plugin", "problem",
                    screen);
}

static int show_one(const struct reached *h, bool json)
{
    struct visit v = {.out = STDOUT_FILENO};
    struct buf text = BUF_INIT(REACH_ANSWER + 65536), b = BUF_INIT(PRINT_MAX);
    struct json_doc d = {0};
    int code = reach_ask_or_say(h, "status", ANSWER_MS, &text, &d);
    if (!code && json) {
        buf_byte(&text, '\n');
        code = visit_print(&v, &text, code);
    } else if (!code) {
        print_status(&b, &d, h);
        code = visit_print(&v, &b, code);
    }
    json_doc_release(&d);
    buf_release(&text);
    buf_release(&b);
    return code;
}

/* The name of the process that has started this one, which is the client more often than not. */
static void client_name(pid_t pid, char ret[CLIENT_MAX])
{
    char path[64], text[512];
    int parent = 0;
    *ret = 0;
    snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
    FILE *f = fopen(path, "re");
    size_t n = f ? fread(text, 1, sizeof(text) - 1, f) : 0;
    text[n] = 0;
    if (f)
        fclose(f);
    const char *end = strrchr(text, ')');
    if (!end || sscanf(end, ") %*c %d", &parent) != 1)
        return;
    snprintf(path, sizeof(path), "/proc/%d/comm", parent);
    f = fopen(path, "re");
    n = f ? fread(ret, 1, CLIENT_MAX - 1, f) : 0;
    if (f)
        fclose(f);
    ret[n] = 0;
    ret[strcspn(ret, "\n")] = 0;
}

static void add_numbers(struct buf *b, const struct json_doc *d)
{
    json_ref plugins = container(d, 0, "plugins", JSON_ARRAY);
    json_ref problems = container(d, 0, "problems", JSON_ARRAY);
    json_ref server = container(d, 0, "server", JSON_OBJECT);
    uint64_t running = 0, calls = 0, bad = problems ? d->node[problems].count : 0;
    if (plugins) {
        json_each (d, plugins, it) {
            if (!json_is(d, it, JSON_OBJECT))
                continue;
            running += number(d, it, "running");
            calls += number(d, it, "calls");
            bad += json_get(d, it, STR("error")) != 0;
        }
    }
    uint64_t up = server ? number(d, server, "uptimeMs") : 0;
    buf_printf(b, ",\"uptimeMs\":%llu,\"up\":\"", (unsigned long long)up);
    print_age(b, up);
    buf_printf(b, "\",\"plugins\":%u,\"running\":%llu,\"calls\":%llu,\"problems\":%llu",
               plugins ? d->node[plugins].count : 0, (unsigned long long)running,
               (unsigned long long)calls, (unsigned long long)bad);
}

static void add_host(struct buf *b, const struct reached *h)
{
    struct buf text = BUF_INIT(REACH_ANSWER);
    struct json_doc d = {0};
    struct err e;
    char client[CLIENT_MAX];
    client_name(h->pid, client);
    buf_printf(b, "{\"pid\":%d,\"socket\":", (int)h->pid);
    json_write_string(b, str_of(h->path));
    if (*client) {
        buf_lit(b, ",\"client\":");
        json_write_string(b, str_of(client));
    }
    if (reach_ask(h, "status", GLANCE_MS, &text, &d, &e))
        buf_lit(b, ",\"state\":\"no answer\"");
    else
        add_numbers(b, &d);
    buf_byte(b, '}');
    json_doc_release(&d);
    buf_release(&text);
}

static void print_hosts(struct buf *b, const struct buf *json, uint32_t count)
{
    struct json_doc d = {0};
    struct json_error bad;
    uint32_t rows;
    if (json->failed || json_read(&d, buf_view(json), &json_limits_default, &bad))
        BUG("the list of hosts is no JSON: %s", json->failed ? "too long" : bad.text);
    struct row *row = object_rows(&d, json_get(&d, 0, STR("hosts")), 0, &rows);
    buf_printf(b, "%u hosts are running; \"manifold status --pid N\" shows one\n\n", count);
    if (row)
        columns_print(b, &d, host_columns, COUNT(host_columns), row, rows, screen_of_output());
    free(row);
    json_doc_release(&d);
}

static int show_all(const struct reach *r, bool json)
{
    struct visit v = {.out = STDOUT_FILENO};
    struct buf list = BUF_INIT(1 << 20), b = BUF_INIT(1 << 20);
    buf_lit(&list, "{\"hosts\":[");
    for (uint32_t i = 0; i < r->count; i++) {
        if (i)
            buf_byte(&list, ',');
        add_host(&list, &r->host[i]);
    }
    buf_lit(&list, "]}");
    if (json)
        buf_byte(&list, '\n');
    else
        print_hosts(&b, &list, r->count);
    int code = visit_print(&v, json ? &list : &b, EXIT_GOOD);
    buf_release(&list);
    buf_release(&b);
    return code;
}

static int run(const struct args *a)
{
    static struct reach reach;
    int code = reach_find(a, &reach);
    if (code)
        return code;
    return reach.count > 1 ? show_all(&reach, a->json) : show_one(&reach.host[0], a->json);
}

const struct command command_status = {
    .name = "status",
    .operands = "",
    .summary = "Show what the plugins of a running host are doing",
    .help =
        "Without --pid or --socket: the running host of this user, or when there are several a\n"
        "list of them. Exit code 1 when the host does not answer, 3 when there is none to ask.",
    .options = 1 << OPTION_JSON | 1 << OPTION_PID | 1 << OPTION_SOCKET | 1 << OPTION_HELP,
    .run = run,
};
