/* notifications/cancelled, of either era: an id is an id (basic/patterns/cancellation.mdx).
 * What is not in flight, or never was, is ignored; initialize is never in flight. */
#include "mcp/internal.h"

void cancelled(struct session *s, const struct message *m)
{
    json_ref n = m->param[PARAM_REQUEST_ID];
    if (!n)
        return;
    struct str id = json_raw(&s->doc, n);
    struct map_node *node = map_find(&s->in_flight, id);
    struct listen *l = listen_find(s, id);
    if (node)
        request_cancel(container_of(node, struct request, node), true);
    else if (l)
        listen_cancel(l);
}
