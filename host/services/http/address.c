#include "services/http/address.h"

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include "base/bug.h"

/* IANA IPv4 and IPv6 Special-Purpose Address Registries (RFC 6890 and its updates). */
struct range {
    uint8_t bits; /* of the prefix that count */
    uint8_t prefix[16];
    enum address_class is;
    const char *kind;
};

/* The first that matches holds. */
static const struct range ipv4[] = {
    {8, {0}, ADDRESS_PRIVATE, "this host"},
    {8, {10}, ADDRESS_PRIVATE, "private"},
    {10, {100, 64}, ADDRESS_PRIVATE, "shared (carrier NAT)"},
    {8, {127}, ADDRESS_PRIVATE, "loopback"},
    {16, {169, 254}, ADDRESS_PRIVATE, "link-local"},
    {12, {172, 16}, ADDRESS_PRIVATE, "private"},
    {24, {192, 0, 0}, ADDRESS_PRIVATE, "reserved for protocols"},
    {24, {192, 0, 2}, ADDRESS_PRIVATE, "documentation"},
    {24, {192, 88, 99}, ADDRESS_PRIVATE, "6to4 relay"},
    {16, {192, 168}, ADDRESS_PRIVATE, "private"},
    {15, {198, 18}, ADDRESS_PRIVATE, "benchmarking"},
    {24, {198, 51, 100}, ADDRESS_PRIVATE, "documentation"},
    {24, {203, 0, 113}, ADDRESS_PRIVATE, "documentation"},
    {4, {224}, ADDRESS_NEVER, "multicast"},
    {32, {255, 255, 255, 255}, ADDRESS_NEVER, "broadcast"},
    {4, {240}, ADDRESS_NEVER, "reserved"},
    {0, {0}, ADDRESS_PUBLIC, "public"},
};

/* Of IPv6 only 2000::/3 is given out; what is not in it needs no row of its own but for its name.
 */
static const struct range ipv6[] = {
    {128, {0}, ADDRESS_PRIVATE, "this host"},
    {128, {[15] = 1}, ADDRESS_PRIVATE, "loopback"},
    {96, {[10] = 0xff, 0xff}, ADDRESS_PRIVATE, "IPv4-mapped"},
    {96, {0}, ADDRESS_PRIVATE, "IPv4-compatible"},
    {48, {0, 0x64, 0xff, 0x9b, 0, 1}, ADDRESS_PRIVATE, "local NAT64"},
    {64, {1}, ADDRESS_PRIVATE, "discard"},
    {32, {0x20, 0x01}, ADDRESS_PRIVATE, "Teredo"},
    {23, {0x20, 0x01}, ADDRESS_PRIVATE, "reserved for protocols"},
    {32, {0x20, 0x01, 0x0d, 0xb8}, ADDRESS_PRIVATE, "documentation"},
    {16, {0x20, 0x02}, ADDRESS_PRIVATE, "6to4"},
    {20, {0x3f, 0xff}, ADDRESS_PRIVATE, "documentation"},
    {7, {0xfc}, ADDRESS_PRIVATE, "unique local"},
    {10, {0xfe, 0x80}, ADDRESS_PRIVATE, "link-local"},
    {10, {0xfe, 0xc0}, ADDRESS_PRIVATE, "site-local"},
    {8, {0xff}, ADDRESS_NEVER, "multicast"},
    {3, {0x20}, ADDRESS_PUBLIC, "public"},
    {0, {0}, ADDRESS_PRIVATE, "not given out"},
};

static const uint8_t nat64[12] = {0, 0x64, 0xff, 0x9b}; /* RFC 6052: IPv4 behind it */

static bool within(const struct range *r, const uint8_t *address)
{
    unsigned whole = r->bits / 8, rest = r->bits % 8;
    if (memcmp(r->prefix, address, whole) != 0)
        return false;
    return !rest || (r->prefix[whole] ^ address[whole]) >> (8 - rest) == 0;
}

static enum address_class find(const struct range *r, const uint8_t *address, const char **ret_kind)
{
    while (!within(r, address))
        r++;
    *ret_kind = r->kind;
    return r->is;
}

enum address_class address_classify(const struct sockaddr *sa, size_t len, const char **ret_kind)
{
    uint8_t a[16];
    if (sa->sa_family == AF_INET && len >= sizeof(struct sockaddr_in)) {
        memcpy(a, &((const struct sockaddr_in *)(const void *)sa)->sin_addr, 4);
        return find(ipv4, a, ret_kind);
    }
    if (sa->sa_family == AF_INET6 && len >= sizeof(struct sockaddr_in6)) {
        memcpy(a, &((const struct sockaddr_in6 *)(const void *)sa)->sin6_addr, 16);
        if (memcmp(a, nat64, sizeof(nat64)) == 0)
            return find(ipv4, a + 12, ret_kind);
        return find(ipv6, a, ret_kind);
    }
    *ret_kind = "of no internet family";
    return ADDRESS_NEVER;
}
