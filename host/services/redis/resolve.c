#include "services/redis/resolve.h"

#include <errno.h>
#include <netdb.h>
#include <stdlib.h>

struct redis_resolve {
    uv_getaddrinfo_t request;
    struct redis_addresses *addresses;
    void (*done)(void *user, const char *why); /* NULL: forgotten */
    void *user;
};

bool redis_address_parse(const char *where, uint16_t port, struct redis_addresses *ret)
{
    struct redis_address a = {0};
    if (uv_ip4_addr(where, port, &a.ip.v4) && uv_ip6_addr(where, port, &a.ip.v6))
        return false;
    ret->at[0] = a;
    ret->count = 1;
    return true;
}

static void take(struct redis_addresses *to, const struct addrinfo *found)
{
    to->count = 0;
    for (; found && to->count < REDIS_ADDRESSES; found = found->ai_next) {
        struct redis_address *a = &to->at[to->count];
        *a = (struct redis_address){0};
        if (found->ai_family == AF_INET)
            memcpy(&a->ip.v4, found->ai_addr, sizeof(a->ip.v4));
        else if (found->ai_family == AF_INET6)
            memcpy(&a->ip.v6, found->ai_addr, sizeof(a->ip.v6));
        else
            continue;
        to->count++;
    }
}

static void on_resolved(uv_getaddrinfo_t *request, int status, struct addrinfo *found)
{
    struct redis_resolve *r = request->data;
    if (r->done) {
        take(r->addresses, status ? NULL : found);
        r->done(r->user, status                 ? uv_strerror(status)
                         : !r->addresses->count ? "its name has no address"
                                                : NULL);
    }
    uv_freeaddrinfo(found);
    free(r);
}

int redis_resolve_start(uv_loop_t *loop, const char *where, uint16_t port,
                        struct redis_addresses *addresses,
                        void (*done)(void *user, const char *why), void *user,
                        struct redis_resolve **ret)
{
    static const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    char service[8];
    struct redis_resolve *r = calloc(1, sizeof(*r));
    if (!r)
        return -ENOMEM;
    r->addresses = addresses;
    r->done = done;
    r->user = user;
    r->request.data = r;
    snprintf(service, sizeof(service), "%u", port);
    int error = uv_getaddrinfo(loop, &r->request, on_resolved, where, service, &hints);
    if (error)
        free(r);
    else
        *ret = r;
    return error;
}

void redis_resolve_forget(struct redis_resolve *r)
{
    r->done = NULL;
    uv_cancel((uv_req_t *)&r->request);
}
