#include "cli/rights.h"

#include "cli/table.h"

enum { LINE_BYTES = 4096, NAME_WIDTH = 12 };

static void print_one(struct buf *b, const struct manifest *m, const struct grant_ask *ask)
{
    struct buf line = BUF_INIT(LINE_BYTES);
    const char *lint = ask->granted ? grants_lint(&m->grants, ask) : NULL;
    buf_lit(b, "      ");
    table_cell(b, ask->granted ? STR("granted") : STR("denied"), 8);
    table_cell(b, str_of(grant_kind_name(ask->kind)), 8);
    table_cell(b, ask->name, NAME_WIDTH);
    buf_byte(b, ' ');
    buf_str(&line, ask->granted ? ask->given : ask->asked);
    if (lint)
        buf_printf(&line, " (%s)", lint);
    if (!ask->granted) {
        buf_lit(&line, "; granted by ");
        grants_option(ask, m->name, &line);
    }
    table_cell(b, buf_view(&line), 0);
    buf_byte(b, '\n');
    buf_release(&line);
}

void rights_print(struct buf *b, const struct manifest *m)
{
    for (uint32_t i = 0; i < m->grants.ask_count; i++)
        print_one(b, m, &m->grants.ask[i]);
}
