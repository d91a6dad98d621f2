#include "cli/command.h"
#include "cli/open.h"
#include "cli/rights.h"
#include "cli/table.h"
#include "json/writer.h"

enum { PRINT_MAX = 64 << 20 };

static const char no_sandbox[] =
    "asks for worker; this build has no sandbox yet, it runs in-process";

/* What checking one plugin has found. */
struct verdict {
    const struct manifest *m;
    bool bad;
    struct err why;
};

static bool asks_for_worker(const struct manifest *m)
{
    return m->library && m->instance.isolation == ISOLATION_WORKER;
}

/* Maps it here too: open() is where a plugin looks at its config. */
static struct verdict check_one(const struct host *h, uint32_t i)
{
    struct verdict v = {.m = h->manifest[i]};
    struct instance *in = h->instance[i];
    if (!in)
        v.bad = true; /* the sentence is among the host's problems */
    else
        v.bad = instance_load_now(in, &v.why) != 0;
    return v;
}

static void count_entries(const struct manifest *m, uint32_t count[ENTRY_KINDS])
{
    for (uint32_t i = 0; i < m->entries; i++)
        count[m->entry[i].kind]++;
}

static void print_counts(struct buf *b, const struct manifest *m)
{
    static const char *const noun[ENTRY_KINDS] = {"tool", "resource", "template", "prompt"};
    uint32_t count[ENTRY_KINDS] = {0};
    count_entries(m, count);
    const char *comma = "";
    for (int k = 0; k < ENTRY_KINDS; k++) {
        if (!count[k])
            continue;
        buf_printf(b, "%s%u %s%s", comma, count[k], noun[k], count[k] == 1 ? "" : "s");
        comma = ", ";
    }
}

static void print_dormant(struct buf *b, const char *const *key, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        buf_printf(b, "%s%s", i ? ", " : "      not yet in force: ", key[i]);
    if (n)
        buf_byte(b, '\n');
}

static void print_verdict(struct buf *b, const struct verdict *v)
{
    const struct manifest *m = v->m;
    buf_printf(b, "%-5s ", v->bad ? "bad" : "ok");
    table_cell(b, m->name, 20);
    buf_byte(b, ' ');
    print_counts(b, m);
    buf_lit(b, "  ");
    table_cell(b, str_of(m->doc.path), 0);
    buf_byte(b, '\n');
    if (v->why.text[0]) {
        buf_lit(b, "      ");
        table_cell(b, str_of(v->why.text), 0);
        buf_byte(b, '\n');
    }
    if (asks_for_worker(m))
        buf_printf(b, "      %s\n", no_sandbox);
    rights_print(b, m);
    print_dormant(b, m->dormant, m->dormants);
    for (uint32_t i = 0; i < m->warnings; i++) {
        buf_lit(b, "      warning: ");
        table_cell(b, str_of(m->warning[i]), 0);
        buf_byte(b, '\n');
    }
}

static void print_problems(struct buf *b, const struct host *h)
{
    for (uint32_t i = 0; i < h->problems; i++) {
        buf_lit(b, "bad   ");
        table_cell(b, str_of(h->problem[i].plugin), 20);
        buf_byte(b, ' ');
        table_cell(b, str_of(h->problem[i].sentence), 0);
        buf_byte(b, '\n');
    }
}

static void member(struct buf *b, const char *key, struct str value)
{
    buf_printf(b, ",\"%s\":", key);
    json_write_string(b, value);
}

static void print_verdict_json(struct buf *b, const struct verdict *v)
{
    static const char *const key[ENTRY_KINDS] = {"tools", "resources", "resourceTemplates",
                                                 "prompts"};
    const struct manifest *m = v->m;
    uint32_t count[ENTRY_KINDS] = {0};
    count_entries(m, count);
    buf_printf(b, "{\"state\":\"%s\"", v->bad ? "bad" : "ok");
    member(b, "name", m->name);
    member(b, "id", m->id);
    member(b, "manifest", str_of(m->doc.path));
    for (int k = 0; k < ENTRY_KINDS; k++)
        buf_printf(b, ",\"%s\":%u", key[k], count[k]);
    bool worker = m->instance.isolation == ISOLATION_WORKER;
    member(b, "isolation", worker ? STR("worker") : STR("inproc"));
    if (asks_for_worker(m))
        member(b, "isolationNote", str_of(no_sandbox));
    if (v->why.text[0])
        member(b, "error", str_of(v->why.text));
    buf_lit(b, ",\"permissions\":");
    grants_write(&m->grants, b);
    json_write_strings(b, "notInForce", m->dormant, m->dormants);
    json_write_strings(b, "warnings", (const char *const *)m->warning, m->warnings);
    buf_byte(b, '}');
}

static void print_problems_json(struct buf *b, const struct host *h)
{
    buf_lit(b, "],\"problems\":[");
    for (uint32_t i = 0; i < h->problems; i++) {
        buf_printf(b, "%s{\"served\":%s", i ? "," : "", h->problem[i].fatal ? "false" : "true");
        member(b, "plugin", str_of(h->problem[i].plugin));
        member(b, "problem", str_of(h->problem[i].sentence));
        buf_byte(b, '}');
    }
    buf_byte(b, ']');
}

/* Plugins one by one, then what could not be read at all; *ret_bad counts both. */
static void print_all(struct buf *b, const struct host *h, bool json, uint32_t *ret_bad)
{
    const struct settings *s = h->settings;
    uint32_t bad = 0;
    if (json)
        buf_lit(b, "{\"plugins\":[");
    for (uint32_t i = 0; i < h->manifests; i++) {
        struct verdict v = check_one(h, i);
        bad += v.bad && v.why.text[0];
        if (json && i)
            buf_byte(b, ',');
        (json ? print_verdict_json : print_verdict)(b, &v);
    }
    bad += h->problems;
    if (json) {
        print_problems_json(b, h);
        json_write_strings(b, "notInForce", s->dormant, s->dormants);
        buf_printf(b, ",\"ok\":%s}\n", bad ? "false" : "true");
    } else {
        print_problems(b, h);
        if (s->dormants)
            buf_lit(b, "host config\n");
        print_dormant(b, s->dormant, s->dormants);
        buf_printf(b, "%u plugin%s checked, %u problem%s\n", h->manifests,
                   h->manifests == 1 ? "" : "s", bad, bad == 1 ? "" : "s");
    }
    *ret_bad = bad;
}

static int run(const struct args *a)
{
    struct visit v;
    struct err e;
    /* All that the log would say stands in the table. */
    if (visit_open(&v, a, LOG_ERROR + 1, &e))
        return cli_fail(EXIT_WRONG, "%s", e.text);
    struct buf b = BUF_INIT(PRINT_MAX);
    uint32_t bad;
    print_all(&b, v.host, a->json, &bad);
    int code = visit_print(&v, &b, bad ? EXIT_WRONG : EXIT_GOOD);
    buf_release(&b);
    visit_close(&v);
    return code;
}

const struct command command_check = {
    .name = "check",
    .operands = "",
    .summary = "Read every manifest, load every library, and say what is wrong",
    .help = "Exit code 1 when anything is.",
    .options = OPTIONS_HOST | 1 << OPTION_JSON,
    .run = run,
};
