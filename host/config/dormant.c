#include "config/dormant.h"

/* A '.' goes to a member; a list on the way stands for each of its elements.  A key is brought
 * into force by deleting its line. */
/* clang-format off */
static const char *const host_keys[] = {
    "server.state_key",
    "defaults.worker.processes",
    "defaults.worker.spare",
    "defaults.worker.idle",
    "defaults.worker.memory",
    "defaults.worker.cpu",
    "defaults.worker.fds",
    "defaults.worker.grace",
    "defaults.worker.backoff",
    "defaults.worker.quarantine",
    "ceilings.worker.processes",
    "ceilings.worker.spare",
    "ceilings.worker.idle",
    "ceilings.worker.memory",
    "ceilings.worker.cpu",
    "ceilings.worker.fds",
    "ceilings.worker.grace",
    "ceilings.worker.backoff",
    "ceilings.worker.quarantine",
    "http",
    "unix",
};
static const char *const instance_keys[] = {
    "permissions.tcp",
    "permissions.process",
    "grants.tcp",
    "grants.process",
    "worker.processes",
    "worker.spare",
    "worker.idle",
    "worker.memory",
    "worker.cpu",
    "worker.fds",
    "worker.grace",
    "worker.backoff",
    "worker.quarantine",
    "catalogue.dynamic",
    "tools.retry",
    "tools.task",
};
/* clang-format on */

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
_Static_assert(COUNT(host_keys) <= DORMANT_MAX && COUNT(instance_keys) <= DORMANT_MAX,
               "a key list is longer than the lists that hold it");

static bool is_written(const struct json_doc *d, json_ref n, const char *key)
{
    const char *dot = strchr(key, '.');
    struct str first = {key, dot ? (size_t)(dot - key) : strlen(key)};
    if (json_is(d, n, JSON_ARRAY)) {
        json_each (d, n, it) {
            if (is_written(d, it, key))
                return true;
        }
        return false;
    }
    json_ref value = json_is(d, n, JSON_OBJECT) ? json_get(d, n, first) : 0;
    return value && (!dot || is_written(d, value, dot + 1));
}

static void collect(const struct json_doc *d, json_ref n, const char *const *keys, size_t nkeys,
                    const char *list[DORMANT_MAX], uint32_t *count)
{
    for (size_t i = 0; i < nkeys; i++) {
        bool listed = false;
        for (uint32_t k = 0; k < *count; k++)
            listed |= list[k] == keys[i];
        if (!listed && is_written(d, n, keys[i]))
            list[(*count)++] = keys[i];
    }
}

void dormant_of_host(const struct document *d, const char *list[DORMANT_MAX], uint32_t *count)
{
    collect(&d->json, 0, host_keys, COUNT(host_keys), list, count);
}

void dormant_of_instance(const struct layer *l, const char *list[DORMANT_MAX], uint32_t *count)
{
    collect(&l->doc->json, l->object, instance_keys, COUNT(instance_keys), list, count);
}
