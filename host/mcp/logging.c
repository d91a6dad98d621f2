/* logging/setLevel of the legacy revisions, and the names of levels (server/utilities/logging.mdx).
 */
#include "mcp/internal.h"

static const struct str level_name[] = {
    [MF_LOG_EMERGENCY] = {"emergency", 9}, [MF_LOG_ALERT] = {"alert", 5},
    [MF_LOG_CRITICAL] = {"critical", 8},   [MF_LOG_ERROR] = {"error", 5},
    [MF_LOG_WARNING] = {"warning", 7},     [MF_LOG_NOTICE] = {"notice", 6},
    [MF_LOG_INFO] = {"info", 4},           [MF_LOG_DEBUG] = {"debug", 5},
};

int log_level_find(const struct json_doc *d, json_ref n)
{
    for (int i = MF_LOG_EMERGENCY; i <= MF_LOG_DEBUG; i++) {
        if (json_string_eq(d, n, level_name[i]))
            return i;
    }
    return -1;
}

struct str log_level_name(int level)
{
    return level_name[level < MF_LOG_EMERGENCY ? MF_LOG_EMERGENCY
                      : level > MF_LOG_DEBUG   ? MF_LOG_DEBUG
                                               : level];
}

void logging_set_level(struct session *s, const struct message *m)
{
    json_ref n = m->param[PARAM_LEVEL];
    int level = n ? log_level_find(&s->doc, n) : -1;
    if (level < 0) {
        struct str found = n ? json_raw(&s->doc, n) : STR("nothing");
        reply_error(&m->answer, ERROR_PARAMS, STR_NONE,
                    "params/level: expected debug, info, notice, warning, error, critical, alert "
                    "or emergency, found %.*s",
                    STR_FMT(found));
        return;
    }
    s->log_level = level;
    reply_raw(&m->answer, STR("{}"));
}
