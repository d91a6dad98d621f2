/* The four lists: what each revision sees of an entry, pages, cursors, and when they are made anew.
 */
#include "mcp_client.h"

#define LIST(id, what, more) "{'jsonrpc':'2.0','id':" id ",'method':'" what "','params':{" more "}}"

static const struct {
    const char *version, *method, *entry;
} golden[] = {
    {"2025-11-25", "tools/list",
     "{'name':'echo','title':'An echo','description':'Says it "
     "again','inputSchema':{'type':'object',"
     "'properties':{'place':{'type':'string'}}},'annotations':{'readOnlyHint':true},"
     "'icons':[{'src':'https://example.org/i.png'}],'_meta':{'example.org/x':1}},"},
    {"2025-06-18", "tools/list",
     "{'name':'echo','title':'An echo','description':'Says it "
     "again','inputSchema':{'type':'object',"
     "'properties':{'place':{'type':'string'}}},'annotations':{'readOnlyHint':true},"
     "'_meta':{'example.org/x':1}},"},
    {"2025-03-26", "tools/list",
     "{'name':'echo','description':'Says it again','inputSchema':{'type':'object',"
     "'properties':{'place':{'type':'string'}}},'annotations':{'readOnlyHint':true}},"},
    {"2024-11-05", "tools/list",
     "{'name':'echo','description':'Says it again','inputSchema':{'type':'object',"
     "'properties':{'place':{'type':'string'}}}},"},
    /* an output schema that is no object is wrapped, and its references with it */
    {"2025-11-25", "tools/list",
     "'outputSchema':{'$schema':'https://json-schema.org/draft/2020-12/schema','type':'object',"
     "'properties':{'result':{'$ref':'#/properties/result/$defs/"
     "n','$defs':{'n':{'type':'integer'}}}"
     "},'required':['result']}},"},
    {"2025-06-18", "tools/list",
     "'name':'pair','description':'d','inputSchema':{'type':'object'},"
     "'outputSchema':{'type':'object','properties':{'a':{'type':'integer'}}}}"},
    {"2025-03-26", "tools/list",
     "{'name':'number','description':'d','inputSchema':{'type':'object'}}"},
    {"2025-11-25", "resources/list",
     "{'name':'manifold-status','uri':'manifold://status','title':'Status of the host'"},
    {"2025-11-25", "resources/list",
     "{'name':'notes','uri':'x://notes','title':'Notes','mimeType':'text/plain'}"},
    {"2025-03-26", "resources/list", "{'name':'notes','uri':'x://notes','mimeType':'text/plain'}"},
    {"2025-11-25", "resources/templates/list",
     "'result':{'resourceTemplates':[{'name':'item','uriTemplate':'x://item/{id}'}]}}"},
    {"2025-11-25", "prompts/list",
     "'result':{'prompts':[{'name':'brief','title':'Brief','description':'A brief','arguments':[{"
     "'name':'place','required':true},{'name':'when'}]},{'name':'asked','description':'d',"
     "'arguments':[{'name':'q','required':true}]}]}}"},
    {"2025-03-26", "prompts/list", "{'name':'brief','description':'A brief','arguments':"},
};

START_TEST(entries_fit_the_revision)
{
    char list[128];
    greet_as(golden[_i].version);
    snprintf(list, sizeof(list), "{'jsonrpc':'2.0','id':1,'method':'%s'}", golden[_i].method);
    HAS(list, golden[_i].entry);
    const char *text = say(q(list));
    ck_assert_ptr_null(strstr(text, "resultType"));
    ck_assert_ptr_null(strstr(text, "ttlMs"));
    ck_assert_ptr_null(strstr(text, "nextCursor"));
}
END_TEST

START_TEST(modern_lists_are_verbatim)
{
    HAS(LIST("1", "tools/list", MODERN),
        "'outputSchema':{'$schema':'https://json-schema.org/draft/2020-12/schema',"
        "'$ref':'#/$defs/n','$defs':{'n':{'type':'integer'}}}},");
    static const char *const method[] = {"tools/list", "resources/list", "resources/templates/list",
                                         "prompts/list"};
    for (int i = 0; i < 4; i++) {
        char list[512];
        snprintf(list, sizeof(list),
                 "{'jsonrpc':'2.0','id':'x','method':'%s','params':{" MODERN "}}", method[i]);
        HAS(list, "],'ttlMs':5000,'cacheScope':'private'" TAIL);
    }
}
END_TEST

static const char *const wrong_cursor[] = {
    "''",        "'x'",  "'t0000000000000000-250'", "7", "[]", "true", "'t1'",
    "'\\u0000'", "'\\'", "'p0000000000000000-1'",
};

START_TEST(cursors_are_checked)
{
    char list[512];
    greet_as("2025-11-25");
    snprintf(list, sizeof(list),
             "{'jsonrpc':'2.0','id':1,'method':'tools/list','params':{'cursor':%s}}",
             wrong_cursor[_i]);
    HAS(list, _i == 8 ? "-32700" : "'id':1,'error':{'code':-32602,'message':'params/cursor: ");
    SAYS("{'jsonrpc':'2.0','id':1,'method':'resources/templates/list','params':{'cursor':null}}",
         "{'jsonrpc':'2.0','id':1,'result':{'resourceTemplates':[{'name':'item','uriTemplate':"
         "'x://item/{id}'}]}}");
}
END_TEST

/* --- many --- */

static void setup_many(void)
{
    struct buf yaml = BUF_INIT(1 << 20);
    buf_lit(&yaml, "manifold: 1\nid: org.example.fake\nname: fake\ntools:\n");
    for (int i = 0; i < 600; i++)
        buf_printf(&yaml, "  - { name: tool%03d, description: d }\n", i);
    buf_lit(&yaml, "prompts:\n");
    for (int i = 0; i < 300; i++)
        buf_printf(&yaml, "  - { name: p%03d, messages: [{ role: user, text: t }] }\n", i);
    client_open(buf_cstr(&yaml));
    buf_release(&yaml);
}

/* Copies the nextCursor out of a result; false: there is none. */
static bool next_cursor(const char *text, char out[64])
{
    const char *at = strstr(text, "\"nextCursor\":\"");
    if (at)
        snprintf(out, 64, "%.*s", (int)strcspn(at + 14, "\""), at + 14);
    return at != NULL;
}

static unsigned names_in(const char *text)
{
    unsigned n = 0;
    while ((text = strstr(text, "{\"name\":\""))) {
        n++;
        text++;
    }
    return n;
}

START_TEST(pages_hold_everything_once)
{
    static const unsigned want[] = {250, 250, 100};
    char cursor[64] = "", list[512], first[64];
    for (int page = 0; page < 3; page++) {
        snprintf(list, sizeof(list),
                 "{'jsonrpc':'2.0','id':1,'method':'tools/list','params':{%s%s%s" MODERN "}}",
                 page ? "'cursor':'" : "", cursor, page ? "'," : "");
        const char *text = say(q(list));
        ck_assert_uint_eq(names_in(text), want[page] + 1); /* and serverInfo */
        char name[32];
        snprintf(name, sizeof(name), "{\"name\":\"tool%03d\"", page * 250);
        ck_assert_ptr_nonnull(strstr(text, name));
        ck_assert_ptr_nonnull(strstr(text, "\"cacheScope\":\"public\""));
        ck_assert_int_eq(next_cursor(text, cursor), page < 2);
        if (page == 0)
            memcpy(first, cursor, sizeof(first));
    }
    /* one list's cursor is none of another's */
    snprintf(list, sizeof(list),
             "{'jsonrpc':'2.0','id':1,'method':'prompts/list','params':{'cursor':'%s'," MODERN "}}",
             first);
    HAS(list, "'code':-32602");
    /* and none of a list that has changed */
    snprintf(list, sizeof(list),
             "{'jsonrpc':'2.0','id':1,'method':'tools/list','params':{'cursor':'%s'," MODERN "}}",
             first);
    HAS(list, "'tool250'");
    client.host.catalogue->digest[ENTRY_TOOL]++;
    client.host.catalogue->number++;
    HAS(list, "'code':-32602");
}
END_TEST

START_TEST(lists_follow_the_catalogue)
{
    struct catalogue *old = client.host.catalogue;
    const char *before = say(q(LIST("1", "tools/list", MODERN)));
    ck_assert_ptr_nonnull(strstr(before, "tool000"));
    HAS("{'jsonrpc':'2.0','id':1,'method':'server/discover','params':{" MODERN "}}",
        "'prompts':{'listChanged':true}");
    uint32_t manifests = client.host.manifests;
    client.host.manifests = 0;
    struct problems problems = {0};
    client.host.catalogue = catalogue_build(&client.host, &problems);
    problems_release(&problems);
    client.host.manifests = manifests;
    SAYS(LIST("1", "tools/list", MODERN),
         "{'jsonrpc':'2.0','id':1,'result':{'tools':[],'ttlMs':60000,'cacheScope':'public'" TAIL);
    const char *after =
        say(q("{'jsonrpc':'2.0','id':1,'method':'server/discover','params':{" MODERN "}}"));
    ck_assert_ptr_null(strstr(after, "prompts"));
    catalogue_free(old);
}
END_TEST

/* As much as one manifest can hold. */
static void setup_wide(void)
{
    struct buf yaml = BUF_INIT(1 << 20);
    static char text[9001];
    memset(text, '<', sizeof(text) - 1);
    buf_lit(&yaml, "manifold: 1\nid: org.example.fake\nname: fake\ntools:\n");
    for (int i = 0; i < 25; i++)
        buf_printf(&yaml, "  - { name: tool%03d, description: \"%s\" }\n", i, text);
    client_open(buf_cstr(&yaml));
    buf_release(&yaml);
}

START_TEST(a_few_wide_ones_are_one_page)
{
    const char *text = say(q(LIST("1", "tools/list", MODERN)));
    ck_assert_uint_eq(names_in(text), 26);
    ck_assert_ptr_null(strstr(text, "nextCursor"));
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("lists"), *many = tcase_create("many"), *wide = tcase_create("wide");
    tcase_add_checked_fixture(tc, client_setup, client_teardown);
    tcase_add_loop_test(tc, entries_fit_the_revision, 0, sizeof(golden) / sizeof(golden[0]));
    tcase_add_test(tc, modern_lists_are_verbatim);
    tcase_add_loop_test(tc, cursors_are_checked, 0, sizeof(wrong_cursor) / sizeof(wrong_cursor[0]));
    tcase_add_checked_fixture(many, setup_many, client_teardown);
    tcase_add_test(many, pages_hold_everything_once);
    tcase_add_test(many, lists_follow_the_catalogue);
    tcase_add_checked_fixture(wide, setup_wide, client_teardown);
    tcase_add_test(wide, a_few_wide_ones_are_one_page);
    int failed = run_suite(tc, "mcp/lists");
    failed |= run_suite(many, "mcp/lists, many");
    return run_suite(wide, "mcp/lists, wide") || failed;
}
