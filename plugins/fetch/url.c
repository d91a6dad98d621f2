#include "url.h"

#include <stdint.h>

/* Of "SCHEME://AUTHORITY", which is where the path begins; 0: there is none. */
static size_t site_length(const char *url, size_t len)
{
    const char *colon = memchr(url, ':', len);
    size_t i = colon ? (size_t)(colon - url) : 0;
    if (!i || len - i < 4 || memcmp(colon, "://", 3) != 0)
        return 0;
    size_t from = i + 3;
    for (i = from; i < len && !strchr("/?#\\", url[i]); i++)
        ;
    return i > from ? i : 0;
}

bool url_normalise(const char *url, size_t len, struct text *out)
{
    size_t lead = text_leading(url, len, BLANKS);
    len -= lead + text_trailing(url + lead, len - lead, BLANKS);
    url += lead;
    size_t site = site_length(url, len);
    if (!site)
        return false;
    for (size_t i = 0; i < site; i++) {
        char c = url[i] >= 'A' && url[i] <= 'Z' ? (char)(url[i] + 32) : url[i];
        text_add(out, &c, 1);
    }
    if (site == len || url[site] != '/')
        text_str(out, "/");
    text_add(out, url + site, len - site);
    return !out->failed;
}

void url_robots(const struct text *url, struct text *out)
{
    text_add(out, url->p, site_length(url->p, url->n));
    text_str(out, "/robots.txt");
}

bool url_same_site(const struct text *a, const struct text *b)
{
    size_t n = site_length(a->p, a->n);
    return n == site_length(b->p, b->n) && memcmp(a->p, b->p, n) == 0;
}

const char *url_path(const struct text *url, size_t *ret_len)
{
    size_t site = site_length(url->p, url->n);
    const char *fragment = memchr(url->p + site, '#', url->n - site);
    *ret_len = (fragment ? (size_t)(fragment - url->p) : url->n) - site;
    return url->p + site;
}
