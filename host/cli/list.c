#include "cli/command.h"
#include "cli/open.h"
#include "cli/table.h"
#include "json/writer.h"

enum { PRINT_MAX = 64 << 20, TITLE_SHOWN = 60 };

/* In the order in which they are shown. */
static const struct {
    const char *heading, *key;
} kinds[ENTRY_KINDS] = {
    [ENTRY_TOOL] = {"Tools", "tools"},
    [ENTRY_RESOURCE] = {"Resources", "resources"},
    [ENTRY_TEMPLATE] = {"Resource templates", "resourceTemplates"},
    [ENTRY_PROMPT] = {"Prompts", "prompts"},
};

static struct str plugin_of(const struct entry *x)
{
    return x->instance ? x->instance->manifest->name : STR("manifold");
}

/* What a client addresses it by. */
static struct str key_of(const struct entry *x)
{
    return x->node.key;
}

/* The title, else the beginning of the description. */
static struct str title_of(const struct entry *x, struct buf *scratch)
{
    if (!x->spec)
        return STR_NONE;
    struct str s = table_json_text(x->spec->json_title, scratch);
    if (!s.n)
        s = table_json_text(x->spec->json_description, scratch);
    const char *lf = s.n ? memchr(s.p, '\n', s.n) : NULL;
    if (lf)
        s.n = (size_t)(lf - s.p);
    if (s.n > TITLE_SHOWN) {
        s.n = TITLE_SHOWN;
        while (s.n && ((unsigned char)s.p[s.n] & 0xC0) == 0x80)
            s.n--;
    }
    return s;
}

static void print_kind(struct buf *b, const struct catalogue *c, int kind, struct buf *scratch)
{
    size_t key = 0, plugin = 0;
    for (uint32_t i = 0; i < c->count[kind]; i++) {
        const struct entry *x = &c->entry[kind][i];
        key = key_of(x).n > key ? key_of(x).n : key;
        plugin = plugin_of(x).n > plugin ? plugin_of(x).n : plugin;
    }
    if (c->count[kind])
        buf_printf(b, "%s%s\n", b->len ? "\n" : "", kinds[kind].heading);
    for (uint32_t i = 0; i < c->count[kind]; i++) {
        const struct entry *x = &c->entry[kind][i];
        struct str title = title_of(x, scratch);
        buf_lit(b, "  ");
        table_cell(b, key_of(x), key + 2);
        table_cell(b, plugin_of(x), title.n ? plugin + 2 : 0);
        table_cell(b, title, 0);
        buf_byte(b, '\n');
    }
}

static void print_table(struct buf *b, const struct catalogue *c, struct buf *scratch)
{
    for (int kind = 0; kind < ENTRY_KINDS; kind++)
        print_kind(b, c, kind, scratch);
}

static void print_json(struct buf *b, const struct catalogue *c, struct buf *scratch)
{
    for (int kind = 0; kind < ENTRY_KINDS; kind++) {
        buf_printf(b, "%s\"%s\":[", kind ? "," : "{", kinds[kind].key);
        for (uint32_t i = 0; i < c->count[kind]; i++) {
            const struct entry *x = &c->entry[kind][i];
            bool named = kind == ENTRY_TOOL || kind == ENTRY_PROMPT;
            buf_printf(b, "%s{\"%s\":", i ? "," : "", named ? "name" : "uri");
            json_write_string(b, key_of(x));
            buf_lit(b, ",\"plugin\":");
            json_write_string(b, plugin_of(x));
            struct str title = x->spec ? table_json_text(x->spec->json_title, scratch) : STR_NONE;
            if (title.n) {
                buf_lit(b, ",\"title\":");
                json_write_string(b, title);
            }
            buf_byte(b, '}');
        }
        buf_byte(b, ']');
    }
    buf_lit(b, "}\n");
}

static int run(const struct args *a)
{
    struct visit v;
    struct err e;
    if (visit_open(&v, a, LOG_ERROR, &e))
        return cli_fail(EXIT_WRONG, "%s", e.text);
    struct buf b = BUF_INIT(PRINT_MAX), scratch = BUF_INIT(PRINT_MAX);
    (a->json ? print_json : print_table)(&b, v.host->catalogue, &scratch);
    int code = visit_print(&v, &b, EXIT_GOOD);
    buf_release(&b);
    buf_release(&scratch);
    visit_close(&v);
    return code;
}

const struct command command_list = {
    .name = "list",
    .operands = "",
    .summary = "List tools, resources, templates and prompts with their plugins",
    .help = "It reads manifests only; no plugin's code is loaded.",
    .options = OPTIONS_HOST | 1 << OPTION_JSON,
    .run = run,
};
