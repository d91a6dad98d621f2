/* host/config/cache_spec.h - `cache:` of the host config.
 *
 * Owner: whoever read or copied it.  Any thread, one at a time. */
#ifndef MANIFOLD_CONFIG_CACHE_SPEC_H
#define MANIFOLD_CONFIG_CACHE_SPEC_H

#include "config/document.h"

enum cache_redis { CACHE_REDIS_NONE, CACHE_REDIS_TCP, CACHE_REDIS_UNIX };

enum { CACHE_WHERE_MAX = 255, CACHE_NAMESPACE_MAX = 256 }; /* bytes */

struct cache_spec {
    uint64_t memory; /* bytes */
    enum cache_redis redis;
    uint16_t port;                            /* CACHE_REDIS_TCP */
    uint32_t database;                        /* CACHE_REDIS_TCP */
    uint64_t timeout;                         /* ns, of one operation */
    char *password;                           /* owned; NULL: none.  Shown nowhere */
    char where[CACHE_WHERE_MAX + 1];          /* host or path of the socket; "": none */
    char name_space[CACHE_NAMESPACE_MAX + 1]; /* in front of every key */
};

/* What holds without the object. */
struct cache_spec cache_spec_builtin(void);
/* Object n over *s; relative paths are below `base`.  0, or negative errno and sentence; *s is to
 * be released in any case. */
int cache_spec_read(struct cache_spec *s, const struct document *d, json_ref n, const char *base,
                    struct err *e);
/* 0, or -ENOMEM: then *ret has no password, and needs no release. */
int cache_spec_copy(const struct cache_spec *s, struct cache_spec *ret);
bool cache_spec_same(const struct cache_spec *a, const struct cache_spec *b);
/* The password is overwritten. */
void cache_spec_release(struct cache_spec *s);

#endif
