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
static struct schema *compiled[2];
static pthread_once_t once[2] = {PTHREAD_ONCE_INIT, PTHREAD_ONCE_INIT};

struct str builtin_text(enum builtin which)
{
    if (which == BUILTIN_MANIFEST)
        return (struct str){builtin_manifest, (size_t)(builtin_manifest_end - builtin_manifest)};
    return (struct str){builtin_host, (size_t)(builtin_host_end - builtin_host)};
}

static void read_own(enum builtin which, struct json_doc *doc)
{
    struct json_error e;
    if (json_read(doc, builtin_text(which), &own_limits, &e) == 0)
        return;
    if (e.kind == JSON_NO_MEMORY)
        out_of_memory();
    BUG("the built-in schema can't be read: %s", e.text);
}

static void compile(enum builtin which)
{
    struct json_doc doc = {0};
    struct schema_error se;
    read_own(which, &doc);
    int r = schema_compile(&doc, 0, &compiled[which], &se);
    if (r == -ENOMEM)
        out_of_memory();
    if (r)
        BUG("the built-in schema can't be compiled: %s: expected %s, found %s", se.path,
            se.expected, se.found);
    json_doc_release(&doc);
}

static void compile_manifest(void)
{
    compile(BUILTIN_MANIFEST);
}

static void compile_host(void)
{
    compile(BUILTIN_HOST);
}

int builtin_check(enum builtin which, const struct document *d, struct err *e)
{
    struct schema_error se;
    pthread_once(&once[which], which == BUILTIN_MANIFEST ? compile_manifest : compile_host);
    int r = schema_validate(compiled[which], &d->json, 0, SCHEMA_STEPS, &se);
    if (r == 0)
        return 0;
    if (r == -ENOMEM)
        return document_error(d, 0, e, "out of memory while checking it");
    if (se.budget)
        return document_error(
            d, 0, e, "expected a file that can be checked in %d steps, found more", SCHEMA_STEPS);
    struct json_doc schema = {0};
    read_own(which, &schema);
    r = complain(d, &schema, &se, e);
    json_doc_release(&schema);
    return r;
}
