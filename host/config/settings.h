/* host/config/settings.h - the host config: manifold.yaml, or what the command line says instead.
 *
 * Relative paths in a config file are below that file's directory.
 *
 * Owner: the caller of settings_read(); immutable afterwards.  Strings point
 * into the document and live as long as the settings.  Loop thread. */
#ifndef MANIFOLD_CONFIG_SETTINGS_H
#define MANIFOLD_CONFIG_SETTINGS_H

#include "base/log.h"
#include "config/cache_spec.h"
#include "config/document.h"
#include "config/secret.h"
#include "config/units.h"

enum isolation { ISOLATION_WORKER, ISOLATION_INPROC };
enum load_when { LOAD_LAZY, LOAD_EAGER };
enum reload_how { RELOAD_OVERLAP, RELOAD_HANDOVER };
enum cache_scope { CACHE_PUBLIC, CACHE_PRIVATE };

/* limits: of a plugin or a tool, resolved.  Times in nanoseconds. */
struct limits {
    uint32_t concurrency, queue;
    uint64_t queue_wait, timeout, drain, loop_block;
    uint64_t request, result; /* bytes */
    struct rate rate, log;
};

struct breaker_spec {
    uint32_t failures; /* 0: off */
    uint64_t within, cooldown;
};

/* worker: checked and shown, not yet in force in this build. */
struct worker_spec {
    uint32_t processes, spare, threads, fds, quarantine_crashes;
    uint64_t idle, memory, grace, backoff_min, backoff_max, quarantine_within;
    double cpu;
};

/* What `defaults`, a manifest and `plugins.NAME` may all set. */
struct instance_spec {
    enum isolation isolation;
    enum load_when load;
    enum reload_how reload;
    struct limits limits;
    struct breaker_spec breaker;
    struct worker_spec worker;
};

enum lock_mode { LOCK_NONE, LOCK_WARN, LOCK_ENFORCE };

/* http_client: of all requests that plugins make. */
struct http_client_spec {
    uint32_t total, per_host;                /* at a time; per_host: of one plugin to one host */
    uint64_t idle, dns_ttl, connect_timeout; /* ns */
};

struct source {
    char *path;        /* owned; "~" expanded */
    struct str prefix; /* {NULL,0}: not set */
    bool trust;
    bool optional; /* a built-in default: its absence is no error */
};

struct named_secret {
    struct str name;
    struct secret *value; /* counted */
};

struct settings {
    struct document doc;    /* empty (no path, no nodes) when there is no file */
    struct document *grant; /* owned; each --grant, of the same shape as sets */
    uint32_t grants;
    struct document sets;   /* --set, as one document of the shape {plugins: {...}}; may be empty */
    struct str server_name; /* default "manifold" */
    struct str server_instructions;
    struct source *source; /* owned */
    uint32_t sources;
    bool collision_first;          /* on_collision: first */
    bool watch;                    /* the sources are watched for changes */
    enum lock_mode lock;           /* what a difference from the lock file does */
    char *lock_file;               /* owned; absolute; below the config file's directory */
    struct json_limits message;    /* limits.message, depth, nodes */
    uint32_t calls;                /* limits.calls: calls in flight in the whole host */
    uint64_t output;               /* limits.output: unsent bytes per client */
    struct instance_spec defaults; /* built-in, then `defaults` */
    struct limits ceiling;         /* zero: no ceiling for that field */
    struct worker_spec worker_ceiling;
    struct http_client_spec http_client;
    enum log_level log_level;
    enum log_format log_format;
    uint64_t log_slow;       /* ns */
    uint64_t metrics_window; /* ns */
    uint32_t metrics_series; /* of all plugins together */
    struct cache_spec cache;
    char *data;                  /* owned; "~" expanded; parent of ${data} */
    bool admin;                  /* there is an admin socket */
    char *admin_path;            /* owned; "~" expanded; NULL: `auto`, named by pid */
    struct named_secret *secret; /* owned; `secrets` */
    uint32_t secrets;
    /* Keys that were given, checked, and have no effect in this build; for log, status and check:
     * "lock.mode", "http", "unix", ...  Borrowed from a const table. */
    const char *dormant[32];
    uint32_t dormants;
    struct text_pool *texts; /* owned; strings that had escapes */
};

struct settings_args {
    const char *config;         /* --config; NULL: search the default places */
    const char *const *plugins; /* --plugins, in order; when there is one no config file is read */
    uint32_t plugins_count;
    bool trust;             /* --trust: for the --plugins directories */
    const char *const *set; /* --set NAME.path.to.key=VALUE (VALUE is YAML), in order */
    uint32_t set_count;
    const char *const *grant; /* --grant NAME.kind.key[.field][=VALUE], in order */
    uint32_t grant_count;
    const char *installed; /* plugin directory beside the executable or of the installation;
                              trusted; or NULL */
};

/* 0, or negative errno with a sentence (file:line:column where it comes from a file). */
int settings_read(const struct settings_args *args, struct settings **ret, struct err *e);
void settings_free(struct settings *s);
/* The documents that may say something of plugins: 0 is the config file, 1 is --set, those from 2
 * on are the --grant, which say grants alone.  `which` is less than settings_layers().  Borrowed;
 * may be empty. */
uint32_t settings_layers(const struct settings *s);
const struct document *settings_layer(const struct settings *s, uint32_t which);
/* The object plugins.NAME of one of them: its document, and *ret_ref; NULL when there is none. */
const struct document *settings_plugin(const struct settings *s, uint32_t which, struct str name,
                                       json_ref *ret_ref);
/* The secret of that name; NULL: none.  Borrowed; secret_ref() keeps it. */
struct secret *settings_secret(const struct settings *s, struct str name);

#endif
