/* host/config/cache_spec.h - `cache:` of the host config.
 *
 * Owner: whoever read or copied it.  Any thread, one at a time. */
#ifndef MANIFOLD_CONFIG_CACHE_SPEC_H
#define MANIFOLD_CONFIG_CACHE_SPEC_H

#include "config/document.h"

enum cache_redis { CACHE_REDIS_NONE, CACHE_REDIS_TCP, CACHE_REDIS_UNIX };

struct cache_spec {
    uint64_t memory; /* bytes */
    enum cache_redis redis;
    char *where;       /* owned; name or address of the host, or path of the socket; NULL: none */
    uint16_t port;     /* CACHE_REDIS_TCP */
    uint32_t database; /* CACHE_REDIS_TCP */
    char *password;    /* owned; NULL: none.  Shown nowhere */
    char *name_space;  /* owned; in front of every key */
    uint64_t timeout;  /* ns, of one operation */
};

/* What holds without the object.  Strings are owned, as in all others. */
struct cache_spec cache_spec_builtin(void);
/* Object n over *s; relative paths are below `base`.  0, or negative errno and sentence; *s is to
 * be released in any case. */
int cache_spec_read(struct cache_spec *s, const struct document *d, json_ref n, const char *base,
                    struct err *e);
struct cache_spec cache_spec_copy(const struct cache_spec *s);
bool cache_spec_same(const struct cache_spec *a, const struct cache_spec *b);
/* The password is overwritten. */
void cache_spec_release(struct cache_spec *s);

#endif
