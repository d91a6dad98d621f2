/* Whose certificates are believed.  libcurl would read the bundle on the loop, 40 ms of it, at the
 * first https request; here it is read once, on the thread that maps the module. */
#include "services/http/module/module.h"

#include <errno.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static X509_STORE *store;

/* What the environment names, else the first of the places that the distributions use. */
static const char *bundle(void)
{
    static const char *const places[] = {"/etc/ssl/certs/ca-certificates.crt",
                                         "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem"};
    const char *named = secure_getenv("SSL_CERT_FILE");
    if (named && *named)
        return named;
    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        if (access(places[i], R_OK) == 0)
            return places[i];
    }
    return NULL;
}

int trust_load(char why[HTTP_WHY])
{
    const char *file = bundle();
    store = X509_STORE_new();
    if (!store) {
        snprintf(why, HTTP_WHY, "no memory for certificates");
        return -ENOMEM;
    }
    X509_STORE_set_flags(store, X509_V_FLAG_TRUSTED_FIRST | X509_V_FLAG_PARTIAL_CHAIN);
    /* Without any, https fails and says why; http needs none. */
    if (file && !X509_STORE_load_file(store, file)) {
        snprintf(why, HTTP_WHY, "%.200s: expected certificates in PEM, found none", file);
        return -EINVAL;
    }
    return 0;
}

CURLcode trust_apply(CURL *easy, void *ssl_ctx, void *arg)
{
    (void)easy;
    (void)arg;
    SSL_CTX_set1_cert_store(ssl_ctx, store);
    return CURLE_OK;
}
