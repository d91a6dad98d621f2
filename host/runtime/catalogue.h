/* host/runtime/catalogue.h - the merged, immutable namespace of all entries.
 *
 * Deterministic order: sources in order, files sorted by name, entries in file
 * order.  A new catalogue is built for each change and swapped in by one
 * pointer.  Owner: struct host; what it points to (manifests, instances) lives
 * at least as long.  Loop thread. */
#ifndef MANIFOLD_RUNTIME_CATALOGUE_H
#define MANIFOLD_RUNTIME_CATALOGUE_H

#include "base/map.h"
#include "config/uri_template.h"
#include "engine/instance.h"

struct host;

struct entry {
    struct map_node node;          /* key: exposed name; resources: URI; templates: the template */
    const struct entry_spec *spec; /* borrowed from the manifest */
    struct instance *instance;     /* NULL: the host's own */
    void (*write)(const struct host *h, struct buf *out); /* the host's own: its content */
    uint32_t index;                                       /* in the instance's manifest */
    char *name;                    /* owned; exposed name (prefix_name), NUL-terminated */
    struct uri_template *template; /* owned; templates only */
    uint64_t digest;               /* of all that a client sees of it */
};

struct catalogue {
    struct entry *entry[ENTRY_KINDS]; /* owned arrays in list order */
    uint32_t count[ENTRY_KINDS];
    struct map map[ENTRY_KINDS];
    struct buf instructions;      /* merged: server's, then each plugin's; empty: none */
    uint64_t ttl_ms;              /* shortest of the contributors */
    enum cache_scope scope;       /* narrowest */
    uint64_t digest[ENTRY_KINDS]; /* of names, texts and schemas; differs when the list differs */
    uint64_t number;              /* of this host's catalogues, from 1; no two have the same */
    bool subscribable;            /* some resource tells of its updates */
    bool library_completions;     /* some entry has completion, so `completions` is declared */
};

/* Exposed tool or prompt by name; resource by URI.  NULL: none. */
const struct entry *catalogue_find(const struct catalogue *c, enum entry_kind kind, struct str key);
/* First template that matches the URI, in list order; `vars` gets a JSON object of strings. */
const struct entry *catalogue_match(const struct catalogue *c, struct str uri, struct buf *vars);

#endif
