/* URLs: read once by libcurl, so that what is checked is what is dialled. */
#include "services/http/module/module.h"

#include <errno.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static char *part(CURLU *u, CURLUPart what, unsigned flags)
{
    char *text = NULL;
    return curl_url_get(u, what, &text, flags) ? NULL : text;
}

static int refuse(char why[HTTP_WHY], const char *found)
{
    snprintf(why, HTTP_WHY, "expected an http or https URL, found %s", found);
    return -EINVAL;
}

/* libcurl takes names for text of the locale, which is C here; they are UTF-8. */
static char *ascii_host(CURLU *u)
{
    static locale_t utf8;
    if (!utf8)
        utf8 = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
    locale_t before = utf8 ? uselocale(utf8) : (locale_t)0;
    char *host_name = part(u, CURLUPART_HOST, CURLU_PUNYCODE);
    if (before)
        uselocale(before);
    return host_name;
}

/* The host in ASCII, put back and read again: what it is now may be another spelling of an
 * address. */
static int to_ascii(CURLU *u)
{
    char *host_name = ascii_host(u), *text = NULL;
    int r = host_name && *host_name ? 0 : -EINVAL;
    if (!r && curl_url_set(u, CURLUPART_HOST, host_name, 0))
        r = -EINVAL;
    if (!r)
        text = part(u, CURLUPART_URL, 0);
    if (!text || curl_url_set(u, CURLUPART_URL, text, CURLU_DISALLOW_USER))
        r = -EINVAL;
    curl_free(host_name);
    curl_free(text);
    return r;
}

static int settle_host(CURLU *u, char **ret_host)
{
    char *host_name = to_ascii(u) ? NULL : part(u, CURLUPART_HOST, 0);
    if (!host_name)
        return -EINVAL;
    size_t n = strlen(host_name);
    if (host_name[0] == '[' && host_name[n - 1] == ']') {
        memmove(host_name, host_name + 1, n - 2);
        host_name[n - 2] = 0;
    }
    for (char *c = host_name; *c; c++)
        *c = (char)(*c >= 'A' && *c <= 'Z' ? *c + 32 : *c);
    *ret_host = host_name;
    return 0;
}

static int settle_port(CURLU *u, struct http_url *ret)
{
    char *port = part(u, CURLUPART_PORT, CURLU_DEFAULT_PORT);
    long number = port ? strtol(port, NULL, 10) : 0;
    curl_free(port);
    if (number < 1 || number > 65535)
        return -EINVAL;
    ret->port = (uint16_t)number;
    ret->default_port = ret->port == (ret->tls ? 443 : 80);
    return 0;
}

static int settle(CURLU *u, struct http_url *ret, char why[HTTP_WHY])
{
    char *scheme = part(u, CURLUPART_SCHEME, 0);
    ret->tls = scheme && strcasecmp(scheme, "https") == 0;
    bool http = ret->tls || (scheme && strcasecmp(scheme, "http") == 0);
    char found[64];
    snprintf(found, sizeof(found), "the scheme %.20s", scheme ? scheme : "(none)");
    curl_free(scheme);
    if (!http)
        return refuse(why, found);
    if (settle_host(u, &ret->host))
        return refuse(why, "no usable host in it");
    if (settle_port(u, ret))
        return refuse(why, "a port that is none");
    curl_url_set(u, CURLUPART_FRAGMENT, NULL, 0);
    ret->text = part(u, CURLUPART_URL, 0);
    return ret->text && strlen(ret->text) <= MF_HTTP_URL_MAX ? 0
                                                             : refuse(why, "one that is too long");
}

int url_read(const struct http_url *base, const char *text, struct http_url *ret,
             char why[HTTP_WHY])
{
    struct http_url url = {.handle = base ? curl_url_dup(base->handle) : curl_url()};
    if (!url.handle)
        return refuse(why, "no memory for it");
    CURLUcode code =
        curl_url_set(url.handle, CURLUPART_URL, text,
                     CURLU_DISALLOW_USER | CURLU_URLENCODE | (base ? CURLU_ALLOW_SPACE : 0));
    int r = 0;
    if (code == CURLUE_USER_NOT_ALLOWED)
        r = refuse(why, "one with a user name or password in it");
    else if (code == CURLUE_UNSUPPORTED_SCHEME)
        r = refuse(why, "another scheme");
    else if (code)
        r = refuse(why, curl_url_strerror(code));
    r = r ? r : settle(url.handle, &url, why);
    if (r)
        url_free(&url);
    else
        *ret = url;
    return r;
}

void url_free(struct http_url *url)
{
    if (url->handle)
        curl_url_cleanup(url->handle);
    curl_free(url->text);
    curl_free(url->host);
    *url = (struct http_url){0};
}
