#include "config/secret.h"

#include <errno.h>
#include <stdatomic.h>
#include <sys/mman.h>

struct secret {
    atomic_uint count;
    size_t mapped, n;
    char value[];
};

int secret_new(struct str value, struct secret **ret, struct err *e)
{
    size_t size = sizeof(struct secret) + value.n;
    /* Pages of its own: what is left out of a dump is left out by the page. */
    struct secret *s = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (s == MAP_FAILED)
        return err_set(e, -ENOMEM, "out of memory for a secret");
    madvise(s, size, MADV_DONTDUMP);
    atomic_init(&s->count, 1);
    s->mapped = size;
    s->n = value.n;
    if (value.n)
        memcpy(s->value, value.p, value.n);
    *ret = s;
    return 0;
}

struct secret *secret_ref(struct secret *s)
{
    atomic_fetch_add_explicit(&s->count, 1, memory_order_relaxed);
    return s;
}

void secret_unref(struct secret *s)
{
    if (!s || atomic_fetch_sub_explicit(&s->count, 1, memory_order_acq_rel) != 1)
        return;
    size_t mapped = s->mapped;
    explicit_bzero(s, mapped);
    munmap(s, mapped);
}

struct str secret_value(const struct secret *s)
{
    return (struct str){s->value, s->n};
}
