/* host/config/grants.h - what one plugin may do: what its manifest's `permissions:` ask for, cut to
 * what the operator gave.
 *
 * Given is what `plugins.NAME.grants` of the host config, --set and --grant name; they add up, and
 * where several set one field the later wins.  `grants: asked`, and a trusted source, give all that
 * is asked, as it is asked.  A grant narrows host, ports, methods and mode and never widens them;
 * `private`, `inject`, `quota` and the other bounds are the operator's alone, and the paths are his
 * where he names any.  What is not asked for is not granted, whatever the host config says.
 *
 * manifest_read() fills it; from then on it is immutable, as all of struct manifest, which owns it
 * with every string in it.  A service looks a right up by name and hands a request to
 * http_grant_check() or an opened directory to grants_check_root() before it does anything for the
 * plugin; where there is no right, grants_denied() is the sentence.  Thread: any, but for what says
 * that it may wait. */
#ifndef MANIFOLD_CONFIG_GRANTS_H
#define MANIFOLD_CONFIG_GRANTS_H

#include "base/buf.h"
#include "base/err.h"
#include "config/secret.h"

enum grant_kind { GRANT_HTTP, GRANT_FILES, GRANT_TCP, GRANT_PROCESS, GRANT_ENV, GRANT_KINDS };

struct http_grant {
    struct str name;
    struct str host; /* lower case, no dot at the end: "a.example", "*.example" or "*" */
    bool any_port, any_method;
    uint16_t *port; /* owned; none and not any_port: the scheme's default, 80 or 443 */
    uint32_t ports;
    struct str *method; /* owned; upper case; at least one unless any_method; GET lets HEAD in */
    uint32_t methods;
    bool host_given;     /* the operator has named the host; else a new manifest may name another */
    bool private_ranges; /* addresses that are not public, loopback included; never with host "*" */
    uint32_t redirects;  /* followed at most; default 5; each is a request of its own to check */
    uint32_t per_host;   /* connections; 0: http_client.per_host */
    uint64_t response;   /* bytes, after decompression; default 2 MiB */
    uint64_t timeout;    /* ns, of one request with its answer; default 30 s */
    /* The host adds this header once host, port and method are known to be right, never to a
     * redirect that leads to another host.  NULL: nothing to inject.  The value holds no control
     * characters.  It must reach no log, no sentence, no status and no plugin. */
    struct str inject_header; /* a token; {NULL,0}: none */
    struct secret *inject;    /* counted; NULL: none */
};

struct files_grant {
    struct str name;
    bool write;       /* else reading alone */
    struct str *path; /* owned; absolute, NUL-terminated, at least one; may not exist (yet) */
    uint32_t paths;
    uint64_t quota; /* bytes in all that lies below the paths; 0: none */
};

/* One thing that is asked for, granted or not. */
struct grant_ask {
    enum grant_kind kind;
    struct str name;
    struct str asked; /* in words: `host "*", methods GET POST` */
    bool granted;
    bool needs_path;  /* files: no path is wished for, so that the grant must name one */
    struct str given; /* in words, without secrets: what is in force; {NULL,0}: nothing */
};

struct grants {
    struct http_grant *http;
    uint32_t http_count;
    struct files_grant *files;
    uint32_t files_count;
    struct grant_ask *ask; /* all of it: http, files, tcp, process, env, each in file order */
    uint32_t ask_count;
    struct guarded *guarded; /* grants_check_root()'s */
    uint32_t guarded_count;
    struct text_pool *texts;
};

/* "http", "files", "tcp", "process", "env" */
const char *grant_kind_name(enum grant_kind kind);

/* The right of that name; NULL: asked for and not granted, or not asked for: see grants_denied().
 */
const struct http_grant *grants_http(const struct grants *g, struct str name);
const struct files_grant *grants_files(const struct grants *g, struct str name);
/* tcp, process and env: is it asked for and granted? */
bool grants_has(const struct grants *g, enum grant_kind kind, struct str name);

/* Writes why plugin NAME has no right of that name, and what would give it one:
 *
 *     plugin fetch asks for http "web" (host "*"), which is not granted; grant it with
 *     --grant fetch.http.web or plugins: {fetch: {grants: {http: {web: {}}}}} in the host config
 *
 * or, where nothing of that name is asked for, which line of the manifest would ask.  Always
 * -EACCES. */
int grants_denied(const struct grants *g, struct str plugin, enum grant_kind kind, struct str name,
                  struct err *e);

/* Appends the option that would grant it: "--grant fetch.http.web". */
void grants_option(const struct grant_ask *ask, struct str plugin, struct buf *out);

/* Does the pattern cover the host of a URL?  "*.example" covers every name below example, not
 * example itself and no address; "*" covers everything.  Case does not count, nor one dot at the
 * end, nor the brackets of an IPv6 address.  A host in another script must come as xn--. */
bool host_pattern_covers(struct str pattern, struct str host);
/* May this request be made with this right?  `default_port`: it is the scheme's.  0, or -EACCES
 * with a sentence that names plugin, right and what differs.  Says nothing of addresses: what the
 * name resolves to is checked when it is dialled, by private_ranges. */
int http_grant_check(const struct http_grant *h, struct str plugin, struct str host, uint16_t port,
                     bool default_port, struct str method, struct err *e);
/* The first right that covers the request; NULL: none. */
const struct http_grant *grants_http_for(const struct grants *g, struct str host, uint16_t port,
                                         bool default_port, struct str method);

/* May the opened directory (O_PATH will do) be the root of a right to read or, with `write`, to
 * write?  Directories are compared by device and inode, so that no spelling and no link gets round
 * it.  For writing never: what holds or is the home directory, a plugin directory, the host config
 * or the lock file, and what is in or is /sys or /dev; /proc for nothing.  manifest_read() has
 * asked this already; the service asks again with what it has really opened.  It opens directories,
 * so it may wait: not on the loop.  0, or negative errno with a sentence in which `shown` names it.
 */
int grants_check_root(const struct grants *g, int fd, bool write, const char *shown, struct err *e);

/* In *ret, which is empty, what grants_check_root() goes by and nothing else: for threads that may
 * outlive the manifest.  To be given to grants_release().  0 or -ENOMEM. */
int grants_copy_guards(const struct grants *g, struct grants *ret, struct err *e);

/* Called by manifest_free(). */
void grants_release(struct grants *g);
/* Both give the same rights, secrets included? */
bool grants_same(const struct grants *a, const struct grants *b);
/* What an operator should know of a right that is granted: one phrase, or NULL.  It looks at
 * directories, so it may wait. */
const char *grants_lint(const struct grants *g, const struct grant_ask *ask);
/* Appends [{"kind","name","asked","granted":bool,"given","note"}, ...], without secrets; as
 * grants_lint(). */
void grants_write(const struct grants *g, struct buf *out);

#endif
