/* host/services/redis/resolve.h - from the name of a host to addresses, without holding the loop.
 * Loop thread. */
#ifndef MANIFOLD_SERVICES_REDIS_RESOLVE_H
#define MANIFOLD_SERVICES_REDIS_RESOLVE_H

#include "services/redis/conn.h"

enum { REDIS_ADDRESSES = 8 };

struct redis_addresses {
    struct redis_address at[REDIS_ADDRESSES];
    uint32_t count;
};

struct redis_resolve;

/* `where` is an address already, in figures: true, and *ret is it. */
bool redis_address_parse(const char *where, uint16_t port, struct redis_addresses *ret);
/* Looks the name up on a thread of libuv's.  0: `done` runs once, on the loop, unless it is
 * forgotten, with *addresses filled, or with why there is none.  Negative errno: it has not begun.
 */
int redis_resolve_start(uv_loop_t *loop, const char *where, uint16_t port,
                        struct redis_addresses *addresses,
                        void (*done)(void *user, const char *why), void *user,
                        struct redis_resolve **ret);
/* done() will not run.  A lookup that is under way can't be stopped; it ends alone. */
void redis_resolve_forget(struct redis_resolve *r);

#endif
