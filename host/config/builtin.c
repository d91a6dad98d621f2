#include "config/builtin.h"

#include <errno.h>
#include <pthread.h>
#include "config/complain.h"

/* MANIFOLD_SCHEMAS is the folder manifests/ of the source tree; CMake rebuilds this file when a
 * schema changes. */
#define EMBED(symbol, file)                                                 \
    __asm__(".section .rodata\n"                                            \
            ".balign 16\n" #symbol ":\n"                                    \
            ".incbin \"" MANIFOLD_SCHEMAS "/" file "\"\n" #symbol "_end:\n" \
            ".previous\n");                                                 \
    extern const char symbol[], symbol##_end[]

EMBED(builtin_manifest, "manifest.schema.json");
EMBED(builtin_host, "host.schema.json");

static const struct json_limits own_limits = {.bytes = 1 << 20, .depth = 64, .nodes = 100000};
/* Each made when it is first needed, by any thread. */
static struct schema *compiled[2];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

struct str builtin_text(enum builtin which)
{
    if (which == BUILTIN_MANIFEST)
        return (struct str){builtin_manifest, (size_t)(builtin_manifest_end - builtin_manifest)};
    return (struct str){builtin_host, (size_t)(builtin_host_end - builtin_host)};
}

/* 0 or -ENOMEM. */
static int read_own(enum builtin which, struct json_doc *doc)
{
    struct json_error e;
    if (json_read(doc, builtin_text(which), &own_limits, &e) == 0)
        return 0;
    if (e.kind != JSON_NO_MEMORY)
        BUG("the built-in schema can't be read: %s", e.text);
    return -ENOMEM;
}

static int compile(enum builtin which)
{
    struct json_doc doc = {0};
    struct schema_error se;
    int r = read_own(which, &doc);
    if (!r)
        r = schema_compile(&doc, 0, &compiled[which], &se);
    if (r && r != -ENOMEM)
        BUG("the built-in schema can't be compiled: %s: expected %s, found %s", se.path,
            se.expected, se.found);
    json_doc_release(&doc);
    return r;
}

/* NULL: there is no memory for it now. */
static const struct schema *schema_of(enum builtin which)
{
    pthread_mutex_lock(&lock);
    int r = compiled[which] ? 0 : compile(which);
    const struct schema *s = r ? NULL : compiled[which];
    pthread_mutex_unlock(&lock);
    return s;
}

int builtin_check(enum builtin which, const struct document *d, struct err *e)
{
    struct schema_error se;
    const struct schema *own = schema_of(which);
    int r = own ? schema_validate(own, &d->json, 0, SCHEMA_STEPS, &se) : -ENOMEM;
    if (r == 0)
        return 0;
    if (r == -ENOMEM)
        return document_error(d, 0, e, "out of memory while checking it");
    if (se.budget)
        return document_error(
            d, 0, e, "expected a file that can be checked in %d steps, found more", SCHEMA_STEPS);
    struct json_doc schema = {0};
    if (read_own(which, &schema))
        r = document_error(d, 0, e, "it is not as it must be, and there is no memory to say where");
    else
        r = complain(d, &schema, &se, e);
    json_doc_release(&schema);
    return r;
}
