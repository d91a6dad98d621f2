/* The descriptor in itself, and held against a manifest that is made here. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>
#include "plugin/descriptor.h"

static mf_status open_it(const mf_host *host, mf_bytes config, void **ret_self)
{
    (void)host, (void)config, (void)ret_self;
    return MF_OK;
}

static void call_it(void *self, const mf_request *request)
{
    (void)self, (void)request;
}

static void close_it(void *self)
{
    (void)self;
}

static const mf_entry forecast = {sizeof(mf_entry), 0, "forecast"};
static const mf_entry alerts = {sizeof(mf_entry), MF_TOOL_BLOCKING, "alerts"};
static const mf_entry station = {sizeof(mf_entry), 0, "station"};
static const mf_entry brief = {sizeof(mf_entry), 0, "brief"};
static const mf_entry *const two_tools[] = {&forecast, &alerts, NULL};
static const mf_entry *const one_resource[] = {&station, NULL};
static const mf_entry *const one_prompt[] = {&brief, NULL};

static mf_plugin good(void)
{
    return (mf_plugin){.size = sizeof(mf_plugin),
                       .id = "org.example.weather",
                       .version = "1.2.0",
                       .tools = two_tools,
                       .resources = one_resource,
                       .prompts = one_prompt,
                       .open = open_it,
                       .call = call_it,
                       .close = close_it};
}

static struct entry_spec entries[8];
static char library_file[] = "weather.so";

static struct manifest manifest(void)
{
    memset(entries, 0, sizeof(entries));
    return (struct manifest){.id = STR("org.example.weather"),
                             .name = STR("weather"),
                             .library = library_file,
                             .entry = entries};
}

static void declare(struct manifest *m, enum entry_kind kind, const char *name)
{
    entries[m->entries++] =
        (struct entry_spec){.kind = kind, .name = str_of(name), .needs_library = true};
}

static void invalid(const mf_plugin *p, const char *fragment)
{
    struct err e = {""};
    ck_assert_int_eq(descriptor_valid(p, &e), -EINVAL);
    ck_assert_msg(strstr(e.text, fragment) != NULL, "expected \"%s\" in \"%s\"", fragment, e.text);
}

static void mismatch(const mf_plugin *p, const struct manifest *m, const char *sentence)
{
    struct descriptor_binding binding[8];
    struct err e = {""};
    ck_assert_int_eq(descriptor_check(p, m, binding, &e), -EINVAL);
    ck_assert_str_eq(e.text, sentence);
}

START_TEST(a_good_descriptor_is_bound)
{
    mf_plugin p = good();
    struct manifest m = manifest();
    struct descriptor_binding b[8];
    struct err e = {""};
    m.version = STR("1.2.0");
    declare(&m, ENTRY_TOOL, "alerts");
    declare(&m, ENTRY_TOOL, "forecast");
    declare(&m, ENTRY_TEMPLATE, "station");
    declare(&m, ENTRY_PROMPT, "brief");
    declare(&m, ENTRY_PROMPT, "text_only");
    entries[4].needs_library = false;
    ck_assert_msg(descriptor_check(&p, &m, b, &e) == 0, "%s", e.text);
    ck_assert_uint_eq(b[0].index, 1);
    ck_assert_uint_eq(b[0].flags, MF_TOOL_BLOCKING);
    ck_assert_uint_eq(b[1].index, 0);
    ck_assert_uint_eq(b[1].flags, 0);
    ck_assert_uint_eq(b[2].index, 0);
    ck_assert_uint_eq(b[3].index, 0);
    ck_assert_uint_eq(b[4].index, UINT32_MAX);
    /* Without a version in the manifest any version will do. */
    m.version = STR_NONE;
    p.version = "9.9.9";
    ck_assert_int_eq(descriptor_check(&p, &m, b, &e), 0);
}
END_TEST

START_TEST(what_the_library_lacks_is_shown_with_what_it_has)
{
    mf_plugin p = good();
    struct manifest m = manifest();
    declare(&m, ENTRY_TOOL, "forcast");
    mismatch(&p, &m,
             "library weather.so has tools forecast, alerts; the manifest declares forcast, which "
             "it has not");
    m = manifest();
    declare(&m, ENTRY_RESOURCE, "forecast");
    mismatch(&p, &m,
             "library weather.so has resources station; the manifest declares forecast, which it "
             "has not");
    p.prompts = NULL;
    m = manifest();
    declare(&m, ENTRY_PROMPT, "brief");
    mismatch(&p, &m,
             "library weather.so has no prompts; the manifest declares brief, which it has not");
}
END_TEST

START_TEST(a_long_list_of_names_is_cut)
{
    enum { MANY = 300 };
    static char name[MANY][32];
    static mf_entry entry[MANY];
    static const mf_entry *list[MANY + 1];
    for (int i = 0; i < MANY; i++) {
        snprintf(name[i], sizeof(name[i]), "tool_number_%d", i);
        entry[i] = (mf_entry){sizeof(mf_entry), 0, name[i]};
        list[i] = &entry[i];
    }
    mf_plugin p = good();
    p.tools = list;
    struct manifest m = manifest();
    struct descriptor_binding b[8];
    struct err e = {""};
    declare(&m, ENTRY_TOOL, "lost");
    ck_assert_int_eq(descriptor_check(&p, &m, b, &e), -EINVAL);
    ck_assert_ptr_nonnull(strstr(e.text, ", ...; the manifest declares lost, which it has not"));
}
END_TEST

START_TEST(id_and_version_must_agree)
{
    mf_plugin p = good();
    struct manifest m = manifest();
    m.id = STR("org.example.whether");
    mismatch(&p, &m,
             "library weather.so has id org.example.weather; the manifest expects "
             "org.example.whether");
    m = manifest();
    m.version = STR("1.3.0");
    mismatch(&p, &m, "library weather.so has version 1.2.0; the manifest expects 1.3.0");
}
END_TEST

START_TEST(the_minor_rules_alone_decide_about_versions)
{
    mf_plugin p = good();
    p.abi_minor = MF_ABI_MINOR + 7;
    p.abi_minor_min = MF_ABI_MINOR + 1;
    invalid(&p, "needs host ABI 1.1, this is 1.0");
    struct manifest m = manifest();
    mismatch(&p, &m, "library weather.so: needs host ABI 1.1, this is 1.0");
    /* Built newer, larger, with flags nobody knows yet: accepted. */
    static const mf_entry newer = {sizeof(mf_entry) + 64, 1u << 20, "forecast"};
    static const mf_entry *const tools[] = {&newer, NULL};
    struct err e = {""};
    p.abi_minor_min = 0;
    p.flags = 1u << 30;
    p.size = sizeof(mf_plugin) + 256;
    p.tools = tools;
    ck_assert_msg(descriptor_valid(&p, &e) == 0, "%s", e.text);
    /* The same flags by a plugin of this minor are a mistake. */
    p.abi_minor = MF_ABI_MINOR;
    invalid(&p, "found 0x40000000 in the descriptor");
    p.flags = 0;
    invalid(&p, "found 0x100000 in forecast");
    p = good();
    p.abi_minor_min = 1;
    p.abi_minor = 0;
    invalid(&p, "needs host ABI 1.1");
}
END_TEST

START_TEST(sizes_are_checked)
{
    mf_plugin p = good();
    p.size = (uint32_t)sizeof(mf_plugin) - 1;
    invalid(&p, "expected a descriptor of at least");
    p.size = 0;
    invalid(&p, "found size 0");
    static const mf_entry small = {sizeof(mf_entry) - 1, 0, "forecast"};
    static const mf_entry *const tools[] = {&small, NULL};
    p = good();
    p.tools = tools;
    invalid(&p, "expected tool 0 of at least");
}
END_TEST

START_TEST(missing_parts_are_named)
{
    mf_plugin p = good();
    p.open = NULL;
    invalid(&p, "found no open");
    p = good();
    p.call = NULL;
    invalid(&p, "found no call");
    p = good();
    p.close = NULL;
    invalid(&p, "found no close");
    p = good();
    p.id = NULL;
    invalid(&p, "with an id, found none");
    p.id = "";
    invalid(&p, "with an id, found none");
    p = good();
    p.version = NULL;
    invalid(&p, "with a version, found none");
    p = good();
    p.version = "1.\xff";
    invalid(&p, "expected a version in UTF-8");
    static const mf_entry nameless = {sizeof(mf_entry), 0, NULL};
    static const mf_entry *const tools[] = {&nameless, NULL};
    p = good();
    p.tools = tools;
    invalid(&p, "a name of every entry");
}
END_TEST

START_TEST(lists_and_texts_have_an_end)
{
    static const mf_entry *many[2000];
    static mf_entry entry[2000];
    static char name[2000][16];
    static char text[300];
    for (int i = 0; i < 2000; i++) {
        snprintf(name[i], sizeof(name[i]), "t%d", i);
        entry[i] = (mf_entry){sizeof(mf_entry), 0, name[i]};
        many[i] = &entry[i];
    }
    mf_plugin p = good();
    p.prompts = many;
    invalid(&p, "expected at most 1024 prompts");
    memset(text, 'x', sizeof(text) - 1);
    p = good();
    p.id = text;
    invalid(&p, "expected an id of at most 255 bytes");
    text[255] = 0;
    struct err e;
    ck_assert_int_eq(descriptor_valid(&p, &e), 0);
}
END_TEST

START_TEST(a_name_may_stand_once_a_list)
{
    static const mf_entry *const twice[] = {&forecast, &alerts, &forecast, NULL};
    mf_plugin p = good();
    p.tools = twice;
    invalid(&p, "found \"forecast\" twice");
    /* A tool and a resource may share a name. */
    static const mf_entry *const resources[] = {&forecast, NULL};
    struct err e;
    p = good();
    p.resources = resources;
    ck_assert_int_eq(descriptor_valid(&p, &e), 0);
}
END_TEST

/* What descriptor_check() wrote to standard error, where the log goes without log_start(). */
static void logged(const mf_plugin *p, const struct manifest *m, char *ret, size_t room)
{
    struct descriptor_binding b[8];
    struct err e;
    int file = memfd_create("log", MFD_CLOEXEC);
    int kept = fcntl(2, F_DUPFD_CLOEXEC, 3);
    ck_assert_int_ge(kept, 0);
    dup2(file, 2);
    int r = descriptor_check(p, m, b, &e);
    dup2(kept, 2);
    close(kept);
    ssize_t n = pread(file, ret, room - 1, 0);
    close(file);
    ck_assert_int_eq(r, 0);
    ret[n > 0 ? n : 0] = 0;
}

START_TEST(what_is_not_declared_is_one_warning)
{
    char text[1000];
    mf_plugin p = good();
    struct manifest m = manifest();
    declare(&m, ENTRY_TOOL, "forecast");
    declare(&m, ENTRY_RESOURCE, "station");
    logged(&p, &m, text, sizeof(text));
    ck_assert_ptr_nonnull(strstr(text, "weather: library weather.so has more than the manifest "
                                       "declares, which is not served: alerts, brief\n"));
    ck_assert_ptr_eq(strchr(text, '\n') + 1, text + strlen(text));
    /* A dynamic catalogue names its entries later. */
    m.dynamic = true;
    logged(&p, &m, text, sizeof(text));
    ck_assert_str_eq(text, "");
}
END_TEST

int main(void)
{
    Suite *s = suite_create("plugin descriptor");
    TCase *c = tcase_create("descriptor");
    tcase_add_test(c, a_good_descriptor_is_bound);
    tcase_add_test(c, what_the_library_lacks_is_shown_with_what_it_has);
    tcase_add_test(c, a_long_list_of_names_is_cut);
    tcase_add_test(c, id_and_version_must_agree);
    tcase_add_test(c, the_minor_rules_alone_decide_about_versions);
    tcase_add_test(c, sizes_are_checked);
    tcase_add_test(c, missing_parts_are_named);
    tcase_add_test(c, lists_and_texts_have_an_end);
    tcase_add_test(c, a_name_may_stand_once_a_list);
    tcase_add_test(c, what_is_not_declared_is_one_warning);
    suite_add_tcase(s, c);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? 1 : 0;
}
