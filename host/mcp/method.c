#include "mcp/internal.h"

enum { BOTH = METHOD_MODERN | METHOD_LEGACY };

/* The most frequent first: looking a name up compares lengths down the table. */
static const struct method methods[] = {
    {{"tools/call", 10}, BOTH, tools_call},
    {{"tools/list", 10}, BOTH, tools_list},
    {{"resources/read", 14}, BOTH, resources_read},
    {{"resources/list", 14}, BOTH, resources_list},
    {{"resources/templates/list", 24}, BOTH, templates_list},
    {{"prompts/get", 11}, BOTH, prompts_get},
    {{"prompts/list", 12}, BOTH, prompts_list},
    {{"completion/complete", 19}, BOTH, completion_complete},
    {{"server/discover", 15}, METHOD_MODERN, discover},
    {{"subscriptions/listen", 20}, METHOD_MODERN, subscriptions_listen},
    {{"resources/subscribe", 19}, METHOD_LEGACY, resources_subscribe},
    {{"resources/unsubscribe", 21}, METHOD_LEGACY, resources_unsubscribe},
    {{"ping", 4}, METHOD_LEGACY | METHOD_OPEN, ping},
    {{"initialize", 10}, METHOD_LEGACY | METHOD_OPEN | METHOD_ALONE, initialize},
    {{"logging/setLevel", 16}, METHOD_LEGACY, logging_set_level},
    {{"notifications/cancelled", 23}, BOTH | METHOD_NOTIFICATION, cancelled},
};

const struct method *method_find(struct str name)
{
    for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
        if (methods[i].name.n == name.n && !memcmp(methods[i].name.p, name.p, name.n))
            return &methods[i];
    }
    return NULL;
}
