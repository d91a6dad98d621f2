/* resources/read, prompts/get and completion/complete. */
#include "mcp_client.h"

#define ASK(method, params) "{'jsonrpc':'2.0','id':1,'method':'" method "','params':{" params "}}"
#define READ(uri)           ASK("resources/read", "'uri':'" uri "'")
#define READ_MODERN(uri)    ASK("resources/read", "'uri':'" uri "'," MODERN)
#define ANSWER(result)      "{'jsonrpc':'2.0','id':1,'result':{" result "}}"

/* --- resources --- */

START_TEST(resources_are_read)
{
    greet_as("2025-11-25");
    SAYS(READ("x://notes"),
         ANSWER("'contents':[{'uri':'x://notes','mimeType':'text/plain','text':'{}'}]"));
    ck_assert_str_eq(client.uri, "x://notes");
    SAYS(READ("x:\\/\\/item/a%20b"),
         ANSWER("'contents':[{'uri':'x://item/a%20b','text':'{\\'id\\':\\'a b\\'}'}]"));
    ck_assert_str_eq(client.args, q("{'id':'a b'}"));
    ck_assert_str_eq(client.uri, "x://item/a%20b");
    HAS(ASK("resources/read", ""),
        "'code':-32602,'message':'params/uri: expected string, found nothing'");
}
END_TEST

START_TEST(modern_reads_say_how_long_they_hold)
{
    SAYS(READ_MODERN("x://notes"),
         "{'jsonrpc':'2.0','id':1,'result':{'contents':[{'uri':'x://notes','mimeType':'text/plain',"
         "'text':'{}'}],'ttlMs':5000,'cacheScope':'private'" TAIL);
    HAS(READ_MODERN("x://cached"), "],'ttlMs':7000,'cacheScope':'public'");
    /* The second time it is kept, and a little older. */
    HAS(READ_MODERN("x://cached"), ",'manifold/cached':{'hit':true,'ageMs':");
}
END_TEST

START_TEST(the_host_reads_its_status)
{
    HAS(READ_MODERN("manifold://status"),
        "{'jsonrpc':'2.0','id':1,'result':{'contents':[{'uri':'manifold://status','mimeType':"
        "'application/json','text':'{\\'");
    HAS(READ_MODERN("manifold://status"), "}'}],'ttlMs':0,'cacheScope':'private'" TAIL);
}
END_TEST

static const char *const missing[] = {"x://none", "x://item/", "", "x://gone"};

START_TEST(what_is_not_there_is_an_error)
{
    char ask[512], want[256];
    snprintf(ask, sizeof(ask), READ_MODERN("%s"), missing[_i]);
    snprintf(want, sizeof(want),
             "{'jsonrpc':'2.0','id':1,'error':{'code':-32602,'message':'there is no resource "
             "\\'%s\\'','data':{'uri':'%s'}}}",
             missing[_i], missing[_i]);
    SAYS(ask, want);
    greet_as("2025-11-25");
    snprintf(ask, sizeof(ask), READ("%s"), missing[_i]);
    snprintf(want, sizeof(want),
             "'code':-32002,'message':'there is no resource \\'%s\\'',"
             "'data':{'uri':'%s'}}}",
             missing[_i], missing[_i]);
    HAS(ask, want);
}
END_TEST

START_TEST(refusals_of_other_methods_are_errors)
{
    static char big[5200];
    greet_as("2025-11-25");
    HAS(READ("x://broken"), "'error':{'code':-32603,'message':'broken of plugin fake failed; the "
                            "host");
    HAS(READ("x://broken"), "','data':{'reason':'fault'}}}");
    snprintf(big, sizeof(big), READ("x://item/%04500d"), 0);
    HAS(big, "','data':{'reason':'request','limit':'limits.request'}}}");
    snprintf(big, sizeof(big), ASK("prompts/get", "'name':'asked','arguments':{'q':'%04500d'}"), 0);
    HAS(big, "'data':{'reason':'request','limit':'limits.request'}}}");
}
END_TEST

/* --- prompts --- */

#define GET(name, args) ASK("prompts/get", "'name':'" name "'" args)
#define BRIEF(text)                                                                   \
    ANSWER("'description':'A "                                                        \
           "brief','messages':[{'role':'user','content':{'type':'text','text':'" text \
           "'}},{'role':'assistant','content':{'type':'text','text':'a \\'quote\\''}}]")

START_TEST(prompts_are_filled_in_once)
{
    greet_as("2025-11-25");
    SAYS(GET("brief", ",'arguments':{'place':'Paris','when':'today'}"),
         BRIEF("Weather in Paris today, Paris!"));
    SAYS(GET("brief", ",'arguments':{'place':'Paris','nobody':'x'}"),
         BRIEF("Weather in Paris , Paris!"));
    /* a value can neither end the string nor bring in another argument */
    SAYS(GET("brief",
             ",'arguments':{'place':'\\'}],\\n{{when}}\\u007b{place}}','when':'{{place}}'}"),
         BRIEF("Weather in \\'}],\\n{{when}}\\u007b{place}} {{place}}, "
               "\\'}],\\n{{when}}\\u007b{place}}!"));
    SAYS(GET("brief", ",'arguments':{'place':''}"), BRIEF("Weather in  , !"));
}
END_TEST

START_TEST(modern_prompts_are_complete)
{
    HAS(GET("brief", ",'arguments':{'place':'x'}," MODERN), "'}}]" TAIL);
    HAS(GET("asked", ",'arguments':{'q':'x'}," MODERN), "'}}]" TAIL);
}
END_TEST

START_TEST(prompts_come_from_the_library)
{
    greet_as("2025-11-25");
    SAYS(GET("asked", ",'arguments':{'q':'1','z':'2'}"),
         ANSWER("'description':'d','messages':[{'role':'user','content':{'type':'text','text':"
                "'{\\'q\\':\\'1\\',\\'z\\':\\'2\\'}'}}]"));
    greet_as("2024-11-05");
    SAYS(GET("asked", ",'arguments':{'q':'1'}"),
         ANSWER("'description':'d','messages':[{'role':'user','content':{'type':'text','text':"
                "'{\\'q\\':\\'1\\'}'}}]"));
}
END_TEST

START_TEST(prompt_arguments_are_checked)
{
    greet_as("2025-11-25");
    HAS(GET("brief", ""),
        "'id':1,'error':{'code':-32602,'message':'params/arguments/place: expected string, found "
        "nothing'");
    HAS(GET("brief", ",'arguments':null"), "'code':-32602");
    HAS(GET("brief", ",'arguments':{'place':3}"), "expected string, found number");
    HAS(GET("brief", ",'arguments':{'place':'x','when':null}"), "'code':-32602");
    HAS(GET("brief", ",'arguments':['x']"), "'code':-32602");
    HAS(GET("asked", ",'arguments':{}"), "'code':-32602");
    HAS(GET("none", ""), "'code':-32602,'message':'there is no prompt \\'none\\''");
    HAS(ASK("prompts/get", ""), "'code':-32602");
}
END_TEST

/* --- completion --- */

#define PROMPT_REF "'ref':{'type':'ref/prompt','name':'brief'}"
#define ITEM_REF   "'ref':{'type':'ref/resource','uri':'x://item/{id}'}"
#define COMPLETE(ref, name, value) \
    ASK("completion/complete", ref ",'argument':{'name':'" name "','value':'" value "'}")
#define VALUES(values) ANSWER("'completion':{'values':[" values "}")

static const struct {
    const char *ask, *answer;
} completions[] = {
    {COMPLETE(PROMPT_REF, "place", "Par"), VALUES("'Paris','Parma'],'total':2,'hasMore':false")},
    {COMPLETE(PROMPT_REF, "place", "par"), VALUES("],'total':0,'hasMore':false")},
    {COMPLETE(PROMPT_REF, "place", "caf\\u00e9"),
     VALUES("'caf\xc3\xa9'],'total':1,'hasMore':false")},
    {COMPLETE(PROMPT_REF, "place", ""),
     VALUES("'Paris','Parma','caf\xc3\xa9'],'total':3,'hasMore':false")},
    {COMPLETE(PROMPT_REF, "when", ""), VALUES("],'total':0,'hasMore':false")},
    {COMPLETE(PROMPT_REF, "nothing", ""), VALUES("],'total':0,'hasMore':false")},
    {COMPLETE("'ref':{'type':'ref/resource','uri':'x://notes'}", "id", ""),
     VALUES("],'total':0,'hasMore':false")},
    {COMPLETE(ITEM_REF, "id", "1"), VALUES("'0'],'total':1,'hasMore':false")},
};

START_TEST(completes)
{
    greet_as("2025-11-25");
    SAYS(completions[_i].ask, completions[_i].answer);
}
END_TEST

START_TEST(modern_completions_are_complete)
{
    SAYS(ASK("completion/complete",
             PROMPT_REF ",'argument':{'name':'place','value':'Pari'}," MODERN),
         "{'jsonrpc':'2.0','id':1,'result':{'completion':{'values':['Paris'],'total':1,'hasMore':"
         "false}" TAIL);
}
END_TEST

START_TEST(the_library_completes)
{
    greet_as("2025-11-25");
    HAS(ASK("completion/complete",
            ITEM_REF ",'argument':{'name':'id','value':'many'},'context':{'arguments':{'a':'b'}}"),
        ",'98','99'],'total':150,'hasMore':true}}}");
    ck_assert_str_eq(client.args, q("{'argument':{'name':'id','value':'many'},'context':{"
                                    "'arguments':{'a':'b'}}}"));
    HAS(COMPLETE(ITEM_REF, "id", "bad"), "'error':{'code':-32603,'message':'expected {");
    ck_assert_str_eq(client.args, q("{'argument':{'name':'id','value':'bad'},'context':{}}"));
}
END_TEST

static const char *const wrong[] = {
    COMPLETE("'ref':{'type':'ref/prompt','name':'none'}", "place", ""),
    COMPLETE("'ref':{'type':'ref/resource','uri':'x://item/1'}", "id", ""),
    COMPLETE("'ref':{'type':'ref/tool','name':'echo'}", "place", ""),
    COMPLETE("'ref':7", "place", ""),
    COMPLETE("'x':7", "place", ""),
    COMPLETE("'ref':{'type':'ref/prompt'}", "place", ""),
    ASK("completion/complete", PROMPT_REF),
    ASK("completion/complete", PROMPT_REF ",'argument':{'name':'place'}"),
    ASK("completion/complete", PROMPT_REF ",'argument':{'value':'place'}"),
    ASK("completion/complete", PROMPT_REF ",'argument':[]"),
};

START_TEST(bad_completions_are_errors)
{
    greet_as("2025-11-25");
    HAS(wrong[_i], "'id':1,'error':{'code':-32602");
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("content");
    tcase_add_checked_fixture(tc, client_setup, client_teardown);
    tcase_add_test(tc, resources_are_read);
    tcase_add_test(tc, modern_reads_say_how_long_they_hold);
    tcase_add_test(tc, the_host_reads_its_status);
    tcase_add_loop_test(tc, what_is_not_there_is_an_error, 0, sizeof(missing) / sizeof(missing[0]));
    tcase_add_test(tc, refusals_of_other_methods_are_errors);
    tcase_add_test(tc, prompts_are_filled_in_once);
    tcase_add_test(tc, modern_prompts_are_complete);
    tcase_add_test(tc, prompts_come_from_the_library);
    tcase_add_test(tc, prompt_arguments_are_checked);
    tcase_add_loop_test(tc, completes, 0, sizeof(completions) / sizeof(completions[0]));
    tcase_add_test(tc, modern_completions_are_complete);
    tcase_add_test(tc, the_library_completes);
    tcase_add_loop_test(tc, bad_completions_are_errors, 0, sizeof(wrong) / sizeof(wrong[0]));
    return run_suite(tc, "mcp/content");
}
