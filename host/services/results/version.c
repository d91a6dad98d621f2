/* What makes a plugin's results what they are.  All that may change them is in its digest, and
 * nothing that differs from one start or one host to the next where all that is the same: so a
 * result outlives its generation and its host, and never a change. */
#include "services/results/internal.h"

#include <nettle/sha2.h>

struct instance_results *results_of(struct results *r, struct instance *in)
{
    struct instance_services *own = services_own(r->services, in);
    if (!own)
        return NULL;
    struct instance_results *of = &own->results;
    if (!of->space)
        of->space = cache_space(r->services->cache, CACHE_RESULTS, in->manifest->name);
    return of->space ? of : NULL;
}

static void add(struct sha256_ctx *sha, struct str part)
{
    uint64_t n = part.n; /* so that no two lists of parts look the same */
    uint8_t length[8];
    for (int i = 0; i < 8; i++)
        length[i] = (uint8_t)(n >> (8 * i));
    sha256_update(sha, sizeof(length), length);
    sha256_update(sha, part.n, (const uint8_t *)part.p);
}

/* The hash of the library, or empty while it is not known. */
static struct str library_of(const struct instance *in)
{
    return str_of(in->library ? library_hash(in->library) : in->manifest->library_sha256);
}

bool version_know(struct instance_results *own, const struct instance *in)
{
    const struct manifest *m = in->manifest;
    struct str library = library_of(in);
    if (own->known || !library.n)
        return own->known;
    struct sha256_ctx sha;
    uint8_t out[SHA256_DIGEST_SIZE];
    sha256_init(&sha);
    add(&sha, STR("manifold result 1"));
    if (protection_off("version"))
        library = STR("any");
    add(&sha, library);
    add(&sha, buf_view(&m->doc.text));
    add(&sha, buf_view(&m->config));
    for (uint32_t i = 0; i < m->grants.ask_count; i++) {
        const struct grant_ask *ask = &m->grants.ask[i];
        add(&sha, str_of(grant_kind_name(ask->kind)));
        add(&sha, ask->name);
        add(&sha, ask->given);
    }
    sha256_digest(&sha, sizeof(out), out);
    memcpy(own->version, out, sizeof(own->version));
    own->known = true;
    return true;
}
