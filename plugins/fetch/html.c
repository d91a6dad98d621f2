#include "html.h"

#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { BLOCK = 256 * 1024, LOOK = 64 }; /* bytes; allocations between looks at the clock */
#define PATIENCE UINT64_C(1000000000)   /* ns of one page */

struct block {
    struct block *next;
    size_t used, cap;
    max_align_t data[];
};

struct html {
    struct block *blocks;
    size_t total;
    unsigned allocations;
    uint64_t until;
    jmp_buf over; /* only while gumbo runs */
    GumboOutput *output;
};

static uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

void *html_alloc(struct html *h, size_t size)
{
    size_t need = (size + sizeof(max_align_t) - 1) / sizeof(max_align_t) * sizeof(max_align_t);
    struct block *b = h->blocks;
    if (need < size || need > HTML_ARENA - h->total)
        return NULL;
    if (!b || need > b->cap - b->used) {
        size_t cap = need > BLOCK ? need : BLOCK;
        b = malloc(sizeof(*b) + cap);
        if (!b)
            return NULL;
        *b = (struct block){.next = h->blocks, .cap = cap};
        h->blocks = b;
    }
    void *p = (char *)b->data + b->used;
    b->used += need;
    h->total += need;
    return p;
}

static void *on_alloc(void *arg, size_t size)
{
    struct html *h = arg;
    if (++h->allocations % LOOK == 0 && now_ns() > h->until)
        longjmp(h->over, 1);
    void *p = html_alloc(h, size);
    if (!p)
        longjmp(h->over, 1);
    return p;
}

static void on_free(void *arg, void *p)
{
    (void)arg;
    (void)p;
}

/* Apart, so that nothing the caller has changes between setjmp() and longjmp(). */
static void run(struct html *h, const GumboOptions *options, const char *text, size_t len)
{
    if (setjmp(h->over) == 0)
        h->output = gumbo_parse_with_options(options, text, len);
}

struct html *html_parse(const char *text, size_t len)
{
    struct html *h = calloc(1, sizeof(*h));
    if (!h)
        return NULL;
    h->until = now_ns() + PATIENCE;
    GumboOptions options = kGumboDefaultOptions;
    options.allocator = on_alloc;
    options.deallocator = on_free;
    options.userdata = h;
    options.max_errors = 0;
    run(h, &options, text, len);
    if (!h->output || !h->output->root) {
        html_free(h);
        return NULL;
    }
    return h;
}

const GumboNode *html_root(const struct html *h)
{
    return h->output->root;
}

void html_free(struct html *h)
{
    while (h && h->blocks) {
        struct block *b = h->blocks;
        h->blocks = b->next;
        free(b);
    }
    free(h);
}
