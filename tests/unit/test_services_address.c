/* Which addresses are public: named ones, the edges of every range, and all of IPv4 by sample. */
#include <arpa/inet.h>
#include <check.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "services/http/address.h"

static enum address_class classify(const char *text, const char **kind)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
    if (inet_pton(AF_INET, text, &v4.sin_addr) == 1)
        return address_classify((struct sockaddr *)&v4, sizeof(v4), kind);
    ck_assert_msg(inet_pton(AF_INET6, text, &v6.sin6_addr) == 1, "%s", text);
    return address_classify((struct sockaddr *)&v6, sizeof(v6), kind);
}

static const struct {
    const char *text;
    enum address_class is;
} rows[] = {
    {"0.0.0.0", ADDRESS_PRIVATE},
    {"0.255.255.255", ADDRESS_PRIVATE},
    {"1.0.0.0", ADDRESS_PUBLIC},
    {"9.255.255.255", ADDRESS_PUBLIC},
    {"10.0.0.0", ADDRESS_PRIVATE},
    {"10.255.255.255", ADDRESS_PRIVATE},
    {"11.0.0.0", ADDRESS_PUBLIC},
    {"100.63.255.255", ADDRESS_PUBLIC},
    {"100.64.0.0", ADDRESS_PRIVATE},
    {"100.127.255.255", ADDRESS_PRIVATE},
    {"100.128.0.0", ADDRESS_PUBLIC},
    {"126.255.255.255", ADDRESS_PUBLIC},
    {"127.0.0.0", ADDRESS_PRIVATE},
    {"127.255.255.255", ADDRESS_PRIVATE},
    {"128.0.0.0", ADDRESS_PUBLIC},
    {"169.253.255.255", ADDRESS_PUBLIC},
    {"169.254.169.254", ADDRESS_PRIVATE},
    {"169.255.0.0", ADDRESS_PUBLIC},
    {"172.15.255.255", ADDRESS_PUBLIC},
    {"172.16.0.0", ADDRESS_PRIVATE},
    {"172.31.255.255", ADDRESS_PRIVATE},
    {"172.32.0.0", ADDRESS_PUBLIC},
    {"192.0.0.170", ADDRESS_PRIVATE},
    {"192.0.1.0", ADDRESS_PUBLIC},
    {"192.0.2.1", ADDRESS_PRIVATE},
    {"192.88.99.1", ADDRESS_PRIVATE},
    {"192.167.255.255", ADDRESS_PUBLIC},
    {"192.168.0.0", ADDRESS_PRIVATE},
    {"192.169.0.0", ADDRESS_PUBLIC},
    {"198.17.255.255", ADDRESS_PUBLIC},
    {"198.18.0.0", ADDRESS_PRIVATE},
    {"198.19.255.255", ADDRESS_PRIVATE},
    {"198.20.0.0", ADDRESS_PUBLIC},
    {"198.51.100.7", ADDRESS_PRIVATE},
    {"203.0.113.7", ADDRESS_PRIVATE},
    {"223.255.255.255", ADDRESS_PUBLIC},
    {"224.0.0.0", ADDRESS_NEVER},
    {"239.255.255.255", ADDRESS_NEVER},
    {"240.0.0.0", ADDRESS_NEVER},
    {"255.255.255.255", ADDRESS_NEVER},
    {"::", ADDRESS_PRIVATE},
    {"::1", ADDRESS_PRIVATE},
    {"::7f00:1", ADDRESS_PRIVATE},
    {"::ffff:127.0.0.1", ADDRESS_PRIVATE},
    {"::ffff:8.8.8.8", ADDRESS_PRIVATE},
    {"64:ff9b::8.8.8.8", ADDRESS_PUBLIC},
    {"64:ff9b::127.0.0.1", ADDRESS_PRIVATE},
    {"64:ff9b::a9fe:a9fe", ADDRESS_PRIVATE},
    {"64:ff9b::224.0.0.1", ADDRESS_NEVER},
    {"64:ff9b:1::8.8.8.8", ADDRESS_PRIVATE},
    {"100::1", ADDRESS_PRIVATE},
    {"1fff::1", ADDRESS_PRIVATE},
    {"2000::1", ADDRESS_PUBLIC},
    {"2001::1", ADDRESS_PRIVATE},
    {"2001:1ff::1", ADDRESS_PRIVATE},
    {"2001:200::1", ADDRESS_PUBLIC},
    {"2001:db8::1", ADDRESS_PRIVATE},
    {"2001:4860:4860::8888", ADDRESS_PUBLIC},
    {"2002:7f00:1::", ADDRESS_PRIVATE},
    {"2606:4700::1111", ADDRESS_PUBLIC},
    {"3fff::1", ADDRESS_PRIVATE},
    {"3fff:1000::1", ADDRESS_PUBLIC},
    {"4000::1", ADDRESS_PRIVATE},
    {"5f00::1", ADDRESS_PRIVATE},
    {"fc00::1", ADDRESS_PRIVATE},
    {"fdff::1", ADDRESS_PRIVATE},
    {"fe80::1", ADDRESS_PRIVATE},
    {"febf::1", ADDRESS_PRIVATE},
    {"fec0::1", ADDRESS_PRIVATE},
    {"ff02::1", ADDRESS_NEVER},
};

START_TEST(named)
{
    const char *kind = NULL;
    enum address_class is = classify(rows[_i].text, &kind);
    ck_assert_msg(is == rows[_i].is, "%s: %s", rows[_i].text, kind);
    ck_assert(kind && (is == ADDRESS_PUBLIC) == (strcmp(kind, "public") == 0));
}
END_TEST

/* The ranges once more, written otherwise: as numbers. */
static bool is_public(uint32_t a)
{
    static const struct {
        uint32_t from, to;
    } not_public[] = {
        {0x00000000, 0x00ffffff}, {0x0a000000, 0x0affffff}, {0x64400000, 0x647fffff},
        {0x7f000000, 0x7fffffff}, {0xa9fe0000, 0xa9feffff}, {0xac100000, 0xac1fffff},
        {0xc0000000, 0xc00000ff}, {0xc0000200, 0xc00002ff}, {0xc0586300, 0xc05863ff},
        {0xc0a80000, 0xc0a8ffff}, {0xc6120000, 0xc613ffff}, {0xc6336400, 0xc63364ff},
        {0xcb007100, 0xcb0071ff}, {0xe0000000, 0xffffffff},
    };
    for (size_t i = 0; i < sizeof(not_public) / sizeof(not_public[0]); i++) {
        if (a >= not_public[i].from && a <= not_public[i].to)
            return false;
    }
    return true;
}

/* Every /16 with its edges, and the same behind NAT64; mapped ones never. */
START_TEST(all_of_ipv4)
{
    static const uint32_t low[] = {0,      1,      0xff,   0x100,  0x1ff,  0x200,
                                   0x2ff,  0x63ff, 0x6400, 0x64ff, 0x6500, 0x7100,
                                   0x71ff, 0x7200, 0x8000, 0xfffe, 0xffff};
    const char *kind;
    for (uint32_t high = 0; high < 0x10000; high++) {
        for (size_t i = 0; i < sizeof(low) / sizeof(low[0]); i++) {
            uint32_t a = high << 16 | low[i];
            struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_addr = {htonl(a)}};
            struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
            memcpy(&v6.sin6_addr.s6_addr[12], &v4.sin_addr, 4);
            v6.sin6_addr.s6_addr[1] = 0x64;
            v6.sin6_addr.s6_addr[2] = 0xff;
            v6.sin6_addr.s6_addr[3] = 0x9b;
            enum address_class is = address_classify((struct sockaddr *)&v4, sizeof(v4), &kind);
            enum address_class behind = address_classify((struct sockaddr *)&v6, sizeof(v6), &kind);
            memset(&v6.sin6_addr, 0, 10);
            v6.sin6_addr.s6_addr[10] = v6.sin6_addr.s6_addr[11] = 0xff;
            enum address_class mapped = address_classify((struct sockaddr *)&v6, sizeof(v6), &kind);
            /* A million of Check's assertions would take minutes. */
            if ((is == ADDRESS_PUBLIC) != is_public(a) || behind != is || mapped != ADDRESS_PRIVATE)
                ck_abort_msg("%08x: %d, behind NAT64 %d, mapped %d", a, is, behind, mapped);
        }
    }
}
END_TEST

START_TEST(other_families)
{
    const char *kind;
    struct sockaddr_storage s = {.ss_family = AF_UNIX};
    ck_assert_int_eq(address_classify((struct sockaddr *)&s, sizeof(s), &kind), ADDRESS_NEVER);
    s.ss_family = AF_INET6; /* too short for one */
    ck_assert_int_eq(address_classify((struct sockaddr *)&s, 16, &kind), ADDRESS_NEVER);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("services address");
    TCase *t = tcase_create("address");
    tcase_add_loop_test(t, named, 0, sizeof(rows) / sizeof(rows[0]));
    tcase_add_test(t, all_of_ipv4);
    tcase_add_test(t, other_families);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
