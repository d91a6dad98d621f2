/* host/config/manifest.h - one plugin instance as its manifest and the host config declare it.
 *
 * manifest_read() validates the file against manifests/manifest.schema.json
 * (built in), then resolves every value in the order of docs/operators.md: built-in,
 * defaults, manifest, plugins.NAME, --set; cut to the ceilings with a warning.
 *
 * Owner: the caller; immutable afterwards, so a generation may share it with
 * its catalogue.  It needs the settings no more.  Strings of type struct str point into the
 * documents of the manifest and live as long as it does; those named json_* are raw JSON, verbatim,
 * and {NULL,0} where the key is absent.  Thread: any, once read. */
#ifndef MANIFOLD_CONFIG_MANIFEST_H
#define MANIFOLD_CONFIG_MANIFEST_H

#include "config/grants.h"
#include "config/settings.h"
#include "json/schema.h"

enum entry_kind { ENTRY_TOOL, ENTRY_RESOURCE, ENTRY_TEMPLATE, ENTRY_PROMPT, ENTRY_KINDS };

/* complete: of one template variable or prompt argument */
struct completion_spec {
    struct str argument;
    bool library;           /* ask the library */
    struct str json_values; /* else: a JSON array of strings */
};

struct prompt_argument {
    struct str name;
    bool required;
};

enum tool_retry { RETRY_NEVER, RETRY_SAFE };
enum task_support { TASK_FORBIDDEN, TASK_OPTIONAL, TASK_REQUIRED };

struct entry_spec {
    enum entry_kind kind;
    json_ref node;   /* in manifest.doc, for messages */
    struct str name; /* the library's name; decoded (names never need escapes) */
    struct str uri;  /* resource: its URI; template: its template; decoded */
    /* Shown to clients verbatim. */
    struct str json_title, json_description, json_icons, json_annotations, json_meta;
    struct str json_input_schema,
        json_output_schema;               /* tools; input defaults to {"type":"object"} */
    struct str json_mime_type, json_size; /* resources, templates */
    struct str json_arguments;            /* prompts: the array without `complete` */
    struct str json_messages;             /* prompts: [{role,text}]; absent: the library answers */
    struct schema *input, *output;        /* owned, compiled; output NULL when absent */
    struct prompt_argument *argument;     /* owned; prompts */
    uint32_t arguments;
    struct completion_spec *complete; /* owned; templates and prompts */
    uint32_t completes;
    struct limits limits; /* resolved: the tool's own within the plugin's; else the plugin's */
    bool cached;          /* cache: was given; services/results/results.h */
    enum cache_scope cache_scope;
    uint64_t cache_ttl; /* ns */
    enum tool_retry retry;
    enum task_support task;
    uint64_t slow;      /* ns */
    bool subscribe;     /* resources, templates: clients may subscribe to updates */
    bool needs_library; /* false: a prompt of text alone (`complete: library` may still ask it) */
};

struct manifest {
    struct document doc;
    struct str id, name, version, title, description, homepage,
        instructions;        /* decoded; version may be empty */
    struct str prefix;       /* effective: manifest's, else the source's; empty: none */
    char *directory;         /* owned; of the file */
    char *library;           /* owned; file name in directory; NULL: none needed */
    char library_sha256[65]; /* lock: enforce: the only one that may be loaded; set by runtime/
                                before the manifest is shared; "": any */
    bool trusted;            /* of its source or by plugins.NAME.trust */
    bool enabled;
    struct instance_spec instance; /* resolved */
    bool isolation_asked;          /* isolation was written somewhere, not only the default */
    uint64_t catalogue_ttl;        /* ns */
    enum cache_scope catalogue_scope;
    bool dynamic;
    struct buf config; /* JSON object for open(): merged, expanded, valid against config_schema */
    struct entry_spec *entry; /* owned; tools, resources, templates, prompts, each in file order */
    uint32_t entries;
    struct str json_permissions; /* as asked; {NULL,0}: none */
    struct grants grants;        /* what is in force of them */
    const char *dormant[32];     /* keys accepted but not in force in this build, const strings */
    uint32_t dormants;
    const char *warning[8]; /* err_keep()'s: cut to a ceiling, a glob that hides nothing, ... */
    uint32_t warnings;
    struct text_pool *texts; /* owned; strings that had escapes, arguments without `complete` */
};

/* Reads DIR/FILE.  `dirfd` is the open source directory.  0, or a negative
 * errno with "path:line:column: ... expected ..., found ...". */
int manifest_read(const struct settings *s, const struct source *source, int dirfd,
                  const char *file, struct manifest **ret, struct err *e);
/* The same from memory (tests, fuzzing). */
int manifest_parse(const struct settings *s, const struct source *source, struct str yaml,
                   const char *path, struct manifest **ret, struct err *e);
void manifest_free(struct manifest *m);
/* Would a plugin notice, or a client?  True when both were read from the same text, at the same
 * path, and resolve to the same values (comments and blanks of the YAML do not count).  What this
 * build does not act on is not compared. */
bool manifest_same(const struct manifest *a, const struct manifest *b);

#endif
