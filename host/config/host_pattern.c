#include "config/host_pattern.h"

#include <arpa/inet.h>
#include <ctype.h>
#include "base/bug.h"

struct str host_plain(struct str host, char out[HOST_BYTES])
{
    struct in6_addr address;
    char text[HOST_BYTES];
    if (host.n > 2 && host.p[0] == '[' && host.p[host.n - 1] == ']')
        host = (struct str){host.p + 1, host.n - 2};
    if (host.n > 1 && host.p[host.n - 1] == '.')
        host.n--;
    if (host.n >= HOST_BYTES)
        return STR_NONE;
    for (size_t i = 0; i < host.n; i++)
        text[i] = (char)(host.p[i] >= 'A' && host.p[i] <= 'Z' ? host.p[i] + 32 : host.p[i]);
    text[host.n] = 0;
    if (memchr(text, ':', host.n) && inet_pton(AF_INET6, text, &address) == 1 &&
        inet_ntop(AF_INET6, &address, out, HOST_BYTES))
        return str_of(out);
    memcpy(out, text, host.n + 1);
    return (struct str){out, host.n};
}

bool host_is_name(struct str host)
{
    for (size_t i = 0; i < host.n; i++) {
        if (!isalnum((unsigned char)host.p[i]) && !(host.p[i] && strchr("-._:", host.p[i])))
            return false;
    }
    return host.n > 0;
}

bool host_is_address(struct str host)
{
    size_t i = host.n;
    if (memchr(host.p, ':', host.n))
        return true;
    while (i > 0 && host.p[i - 1] != '.')
        i--;
    struct str last = {host.p + i, host.n - i};
    bool hex = str_starts(last, STR("0x")), digits = last.n > 0;
    for (size_t k = hex ? 2 : 0; k < last.n; k++)
        digits &=
            hex ? isxdigit((unsigned char)last.p[k]) != 0 : isdigit((unsigned char)last.p[k]) != 0;
    return digits;
}

bool host_is_any(struct str pattern)
{
    return str_eq(pattern, STR("*"));
}

bool host_covered(struct str pattern, struct str host)
{
    if (host_is_any(pattern))
        return true;
    if (!str_starts(pattern, STR("*.")))
        return str_eq(pattern, host);
    struct str tail = {pattern.p + 1, pattern.n - 1};
    return host.n > tail.n && !host_is_address(host) &&
           memcmp(host.p + host.n - tail.n, tail.p, tail.n) == 0;
}

bool host_is_within(struct str narrow, struct str wide)
{
    if (host_is_any(narrow) || host_is_any(wide))
        return host_is_any(wide);
    if (str_starts(narrow, STR("*.")) && str_starts(wide, STR("*."))) {
        /* "*.a.b" is within "*.b" and "*.a.b". */
        return narrow.n >= wide.n &&
               memcmp(narrow.p + narrow.n - (wide.n - 1), wide.p + 1, wide.n - 1) == 0;
    }
    return !str_starts(narrow, STR("*.")) && host_covered(wide, narrow);
}
