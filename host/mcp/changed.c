/* notifications/{tools,resources,prompts}/list_changed, to sessions of the legacy revisions: a
 * client of 2026-07-28 would have to ask for them with subscriptions/listen. */
#include "mcp/internal.h"

static const struct {
    unsigned kinds;
    struct str name;
} lists[] = {
    {1u << ENTRY_TOOL, {"tools", 5}},
    {1u << ENTRY_RESOURCE | 1u << ENTRY_TEMPLATE, {"resources", 9}},
    {1u << ENTRY_PROMPT, {"prompts", 7}},
};

bool session_lists_changed(struct host_listener *l, unsigned kinds)
{
    struct session *s = container_of(l, struct session, listener);
    if (!s->initialized || !s->notify)
        return true;
    if (s->notify->congested(s->notify))
        return false;
    for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
        if (!(lists[i].kinds & kinds & s->told_of))
            continue;
        struct buf *b = s->notify->begin(s->notify);
        buf_lit(b, "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/");
        buf_str(b, lists[i].name);
        buf_lit(b, "/list_changed\"}");
        s->notify->end(s->notify);
    }
    return true;
}
