/* Eras decided per message (docs/internals/protocol.md), the envelope, ids, errors. */
#include "mcp_client.h"

#define ERROR(id, code, text) "{'jsonrpc':'2.0'" id ",'error':{'code':" code ",'message':" text "}}"

/* Without a session: the message, and what comes back (a part of it). */
static const struct {
    const char *message, *answer;
} opening[] = {
    /* a modern request may be the very first line */
    {"{'jsonrpc':'2.0','id':1,'method':'tools/list','params':{" MODERN "}}",
     "{'jsonrpc':'2.0','id':1,'result':{'tools':["},
    {"{'jsonrpc':'2.0','id':'server-discover-probe-1','method':'server/discover','params':{" MODERN
     "}}",
     "{'jsonrpc':'2.0','id':'server-discover-probe-1','result':{'supportedVersions':['2026-07-28'],"
     "'capabilities':{'tools':{'listChanged':true},'resources':{'listChanged':true,'subscribe':"
     "true},"
     "'prompts':{'listChanged':true},'completions':{},'logging':{}},"
     "'instructions':'fake: Ask it.','ttlMs':5000,'cacheScope':'private'" TAIL},
    /* initialize with a modern claim is a modern request */
    {"{'jsonrpc':'2.0','id':1,'method':'initialize','params':{'protocolVersion':'2025-11-25'"
     "," MODERN "}}",
     "{'jsonrpc':'2.0','id':1,'error':{'code':-32601,'message':'there is no method "
     "\\'initialize\\' "
     "in 2026-07-28'"},
    {"{'jsonrpc':'2.0','id':1,'method':'ping','params':{" MODERN "}}", "'code':-32601"},
    {"{'jsonrpc':'2.0','id':1,'method':'logging/setLevel','params':{" MODERN "}}", "'code':-32601"},
    {"{'jsonrpc':'2.0','id':1,'method':'resources/subscribe','params':{" MODERN "}}",
     "'code':-32601"},
    /* no claim and no session */
    {"{'jsonrpc':'2.0','id':1,'method':'ping'}", "{'jsonrpc':'2.0','id':1,'result':{}}"},
    {"{'jsonrpc':'2.0','id':1,'method':'tools/list'}",
     ERROR(",'id':1", "-32602",
           "'expected \\'io.modelcontextprotocol/protocolVersion\\' and "
           "\\'io.modelcontextprotocol/clientCapabilities\\' in params/_meta, or an initialize "
           "request before this one, found neither'")},
    {"{'jsonrpc':'2.0','id':1,'method':'server/discover'}", "'code':-32602"},
    {"{'jsonrpc':'2.0','id':1,'method':'no/such'}", "'code':-32602"},
    {"{'jsonrpc':'2.0','id':1,'method':'tools/list','params':{'_meta':{"
     "'io.modelcontextprotocol/clientCapabilities':{}}}}",
     "'expected \\'io.modelcontextprotocol/protocolVersion\\' in params/_meta"},
    /* wrong envelopes */
    {"{'jsonrpc':'2.0','id':1,'method':'tools/list','params':{'_meta':{"
     "'io.modelcontextprotocol/protocolVersion':'2026-07-28'}}}",
     "'code':-32602,'message':'params/_meta: expected "
     "\\'io.modelcontextprotocol/clientCapabilities\\' to be object, found no such key'"},
    {"{'jsonrpc':'2.0','id':1,'method':'tools/list','params':{'_meta':{"
     "'io.modelcontextprotocol/protocolVersion':7,'io.modelcontextprotocol/clientCapabilities':{}}}"
     "}",
     "'code':-32602"},
    {"{'jsonrpc':'2.0','id':1,'method':'tools/list','params':{'_meta':{"
     "'io.modelcontextprotocol/protocolVersion':'2026-07-28',"
     "'io.modelcontextprotocol/clientCapabilities':[]}}}",
     "'code':-32602"},
    {"{'jsonrpc':'2.0','id':1,'method':'tools/list','params':{'_meta':{"
     "'io.modelcontextprotocol/protocolVersion':'2026-07-28',"
     "'io.modelcontextprotocol/clientCapabilities':{},'io.modelcontextprotocol/logLevel':'loud'}}}",
     "'code':-32602"},
    /* versions that are not served, legacy ones among them: those begin with initialize */
    {"{'jsonrpc':'2.0','id':9007199254740993,'method':'tools/list','params':{'_meta':{"
     "'io.modelcontextprotocol/protocolVersion':'v999.0.0',"
     "'io.modelcontextprotocol/clientCapabilities':{}}}}",
     "{'jsonrpc':'2.0','id':9007199254740993,'error':{'code':-32022,'message':'expected protocol "
     "version 2026-07-28, found \\'v999.0.0\\'','data':{'supported':['2026-07-28'],'requested':"
     "'v999.0.0'}}}"},
    {"{'jsonrpc':'2.0','id':1,'method':'tools/list','params':{'_meta':{"
     "'io.modelcontextprotocol/protocolVersion':'2025-11-25',"
     "'io.modelcontextprotocol/clientCapabilities':{}}}}",
     "'code':-32022"},
    {"{'jsonrpc':'2.0','id':1,'method':'no/such','params':{" MODERN "}}", "'code':-32601"},
    /* the envelope of JSON-RPC */
    {"{'jsonrpc':'1.0','id':1,'method':'ping'}",
     ERROR(",'id':1", "-32600", "'jsonrpc: expected \\'2.0\\', found \\'1.0\\''")},
    {"{'id':1,'method':'ping'}", "'id':1,'error':{'code':-32600"},
    {"{'jsonrpc':'2.0','id':1}", "'id':1,'error':{'code':-32600"},
    {"{'jsonrpc':'2.0','id':1,'method':7}", "'id':1,'error':{'code':-32600"},
    {"{'jsonrpc':'2.0','id':null,'method':'ping'}", "{'jsonrpc':'2.0','error':{'code':-32600"},
    {"{'jsonrpc':'2.0','id':1.5,'method':'ping'}", "{'jsonrpc':'2.0','error':{'code':-32600"},
    {"{'jsonrpc':'2.0','id':1e2,'method':'ping'}", "{'jsonrpc':'2.0','error':{'code':-32600"},
    {"{'jsonrpc':'2.0','id':{},'method':'ping'}", "{'jsonrpc':'2.0','error':{'code':-32600"},
    {"{'jsonrpc':'2.0','id':1,'method':'ping','params':[1]}", "'id':1,'error':{'code':-32602"},
    {"7", "{'jsonrpc':'2.0','error':{'code':-32600"},
    {"'x'", "{'jsonrpc':'2.0','error':{'code':-32600"},
    {"[]", "{'jsonrpc':'2.0','error':{'code':-32600"},
    {"[{'jsonrpc':'2.0','id':1,'method':'ping'}]", "{'jsonrpc':'2.0','error':{'code':-32600"},
    /* raw ids */
    {"{'jsonrpc':'2.0','id':0,'method':'ping'}", "{'jsonrpc':'2.0','id':0,'result':{}}"},
    {"{'jsonrpc':'2.0','id':-12,'method':'ping'}", "{'jsonrpc':'2.0','id':-12,'result':{}}"},
    {"{'jsonrpc':'2.0','id':'','method':'ping'}", "{'jsonrpc':'2.0','id':'','result':{}}"},
    {"{'jsonrpc':'2.0','id':'\\u0041','method':'ping'}",
     "{'jsonrpc':'2.0','id':'\\u0041','result':{}}"},
    /* keys in any order, escapes, blanks, members nobody knows, params null */
    {" {'x':[{}], 'params' : null,\t'me\\u0074hod':'pin\\u0067','id':3 , 'jsonrpc':'2.\\u0030'} ",
     "{'jsonrpc':'2.0','id':3,'result':{}}"},
    /* what does not read; the id where it can be found */
    {"{'jsonrpc':'2.0','id':5,'method':", "{'jsonrpc':'2.0','id':5,'error':{'code':-32700"},
    {"{'jsonrpc':'2.0','id':5,'method':'ping'} x", "'id':5,'error':{'code':-32700"},
    {"{", "{'jsonrpc':'2.0','error':{'code':-32700,'message':'expected"},
    {"{'jsonrpc':'2.0','id':6,'id':6,'method':'ping'}", "'error':{'code':-32600"},
    {"{'jsonrpc':'2.0','id':6,'method':'ping','a':1,'a':2}", "'id':6,'error':{'code':-32600"},
};

START_TEST(without_session)
{
    HAS(opening[_i].message, opening[_i].answer);
    ck_assert_ptr_null(strchr(heard(), '{'));
}
END_TEST

static const char *const silent[] = {
    "{'jsonrpc':'2.0','method':'notifications/initialized'}",
    "{'jsonrpc':'2.0','method':'notifications/nobody/knows','params':{'a':1}}",
    "{'jsonrpc':'2.0','method':'notifications/cancelled','params':{'requestId':77}}",
    "{'jsonrpc':'2.0','method':'notifications/cancelled'}",
    "{'jsonrpc':'2.0','method':'notifications/cancelled','params':[]}",
    "{'jsonrpc':'2.0','method':'tools/call','params':{'name':'echo'," MODERN "}}",
    "{'jsonrpc':'2.0','id':4,'result':{}}",
    "{'jsonrpc':'2.0','id':4,'error':{'code':1,'message':''}}",
    "{'jsonrpc':'2.0','id':null,'error':{'code':1,'message':''}}",
};

START_TEST(says_nothing)
{
    client.args[0] = 0;
    SAYS(silent[_i], "");
    ck_assert_str_eq(client.args, "");
}
END_TEST

START_TEST(a_notification_as_request_is_no_method)
{
    greet_as("2025-11-25");
    HAS("{'jsonrpc':'2.0','id':4,'method':'notifications/cancelled','params':{'requestId':1}}",
        "'id':4,'error':{'code':-32601");
}
END_TEST

START_TEST(depth_and_size_are_limits)
{
    char deep[400] = "{'jsonrpc':'2.0','id':8,'method':'ping','params':{'a':";
    size_t n = strlen(deep);
    memset(deep + n, '[', 100);
    memset(deep + n + 100, ']', 100);
    memcpy(deep + n + 200, "}}", 3);
    HAS(deep,
        "{'jsonrpc':'2.0','id':8,'error':{'code':-32600,'message':'expected at most 64 levels");
    session_refuse_oversize(client.session, STR("\"x\""), 4194304, &client.stream);
    ck_assert_str_eq(heard(),
                     q(ERROR(",'id':'x'", "-32600",
                             "'expected a message of at most 4194304 bytes (limits.message), found "
                             "a longer one'")));
    session_refuse_oversize(client.session, STR_NONE, 10, &client.stream);
    ck_assert_ptr_null(strstr(heard(), "\"id\""));
}
END_TEST

START_TEST(an_id_has_a_maximum)
{
    char text[1200], id[1024];
    memset(id, 'i', sizeof(id));
    id[1022] = 0;
    snprintf(text, sizeof(text), "{'jsonrpc':'2.0','method':'ping','id':'%s'}", id);
    HAS(text, "'result':{}");
    snprintf(text, sizeof(text), "{'jsonrpc':'2.0','method':'ping','id':'%si'}", id);
    HAS(text, "{'jsonrpc':'2.0','error':{'code':-32600");
}
END_TEST

static const struct {
    const char *asked, *answered;
} versions[] = {
    {"2024-10-07", "2024-10-07"}, {"2024-11-05", "2024-11-05"}, {"2025-03-26", "2025-03-26"},
    {"2025-06-18", "2025-06-18"}, {"2025-11-25", "2025-11-25"}, {"2026-07-28", "2025-11-25"},
    {"1999-01-01", "2025-11-25"}, {"", "2025-11-25"},
};

START_TEST(initialize_answers_the_version)
{
    char text[256], want[512];
    bool completions = strcmp(versions[_i].answered, "2025") > 0;
    snprintf(text, sizeof(text),
             "{'jsonrpc':'2.0','id':0,'method':'initialize','params':{'protocolVersion':'%s',"
             "'capabilities':{},'clientInfo':{'name':'c','version':'1'}}}",
             versions[_i].asked);
    snprintf(want, sizeof(want),
             "{'jsonrpc':'2.0','id':0,'result':{'protocolVersion':'%s','capabilities':{"
             "'tools':{'listChanged':true},'resources':{'listChanged':true,'subscribe':true},"
             "'prompts':{'listChanged':true}%s,'logging':{}},'serverInfo':{'name':'manifold',"
             "'version':'" MANIFOLD_VERSION "'},'instructions':'fake: Ask it.'}}",
             versions[_i].answered, completions ? ",'completions':{}" : "");
    SAYS(text, want);
    /* and now there is a session */
    HAS("{'jsonrpc':'2.0','id':1,'method':'tools/list'}", "'id':1,'result':{'tools':[");
    HAS("{'jsonrpc':'2.0','id':1,'method':'no/such'}", "'id':1,'error':{'code':-32601");
    HAS("{'jsonrpc':'2.0','id':1,'method':'server/discover'}", "'id':1,'error':{'code':-32602");
}
END_TEST

START_TEST(initialize_wants_a_version)
{
    HAS("{'jsonrpc':'2.0','id':0,'method':'initialize'}",
        "'code':-32602,'message':'params/protocolVersion: expected string, found nothing'");
    HAS("{'jsonrpc':'2.0','id':0,'method':'initialize','params':{'protocolVersion':1}}",
        "'code':-32602,'message':'params/protocolVersion: expected string, found number'");
    HAS("{'jsonrpc':'2.0','id':1,'method':'tools/list'}", "-32602");
}
END_TEST

START_TEST(eras_share_one_pipe)
{
    HAS("{'jsonrpc':'2.0','id':1,'method':'server/discover','params':{" MODERN "}}",
        "'resultType':'complete'");
    greet_as("2025-06-18");
    const char *legacy = say(q("{'jsonrpc':'2.0','id':2,'method':'tools/list'}"));
    ck_assert_ptr_null(strstr(legacy, "resultType"));
    HAS("{'jsonrpc':'2.0','id':3,'method':'tools/list','params':{" MODERN "}}",
        "'resultType':'complete'");
    HAS("{'jsonrpc':'2.0','id':3,'method':'initialize','params':{'protocolVersion':'2025-11-25'"
        "," MODERN "}}",
        "-32601");
    legacy = say(q("{'jsonrpc':'2.0','id':2,'method':'tools/list'}"));
    ck_assert_ptr_null(strstr(legacy, "resultType"));
    greet_as("2024-11-05");
    legacy = say(q("{'jsonrpc':'2.0','id':2,'method':'tools/list'}"));
    ck_assert_ptr_null(strstr(legacy, "readOnlyHint"));
}
END_TEST

START_TEST(empty_results_are_empty)
{
    greet_as("2025-11-25");
    SAYS("{'jsonrpc':'2.0','id':1,'method':'ping'}", "{'jsonrpc':'2.0','id':1,'result':{}}");
    SAYS("{'jsonrpc':'2.0','id':1,'method':'logging/setLevel','params':{'level':'debug'}}",
         "{'jsonrpc':'2.0','id':1,'result':{}}");
    HAS("{'jsonrpc':'2.0','id':1,'method':'logging/setLevel','params':{'level':'loud'}}",
        "'code':-32602");
    HAS("{'jsonrpc':'2.0','id':1,'method':'logging/setLevel'}", "'code':-32602");
}
END_TEST

START_TEST(an_id_in_flight_is_taken)
{
    greet_as("2025-11-25");
    SAYS("{'jsonrpc':'2.0','id':1,'method':'tools/call','params':{'name':'hold'}}", "");
    ck_assert_uint_eq(session_calls(client.session), 1);
    HAS("{'jsonrpc':'2.0','id':1,'method':'ping'}", "'id':1,'error':{'code':-32600");
    HAS("{'jsonrpc':'2.0','id':1,'method':'tools/call','params':{'name':'echo'}}",
        "'id':1,'error':{'code':-32600");
    HAS("{'jsonrpc':'2.0','id':'1','method':'tools/call','params':{'name':'echo'}}",
        "'id':'1','result'");
    client_finish(client.held[0], MF_DONE, "");
    ck_assert_str_eq(heard(),
                     q("{'jsonrpc':'2.0','id':1,'result':{'content':[{'type':'text','text':"
                       "'{}'}]}}"));
    HAS("{'jsonrpc':'2.0','id':1,'method':'tools/call','params':{'name':'echo'}}",
        "'id':1,'result'");
    ck_assert_uint_eq(client.idle, 1);
}
END_TEST

START_TEST(without_plugins_it_says_so)
{
    HAS("{'jsonrpc':'2.0','id':1,'method':'server/discover','params':{" MODERN "}}",
        "'capabilities':{'tools':{'listChanged':true},'resources':{'listChanged':true},'logging':{}"
        "},'ttlMs':");
    SAYS("{'jsonrpc':'2.0','id':1,'method':'tools/list','params':{" MODERN "}}",
         "{'jsonrpc':'2.0','id':1,'result':{'tools':[],'ttlMs':60000,'cacheScope':'public'" TAIL);
    HAS("{'jsonrpc':'2.0','id':1,'method':'resources/list','params':{" MODERN "}}",
        "'uri':'manifold://status'");
}
END_TEST

static void setup_empty(void)
{
    client_open(NULL);
}

int main(void)
{
    TCase *tc = tcase_create("dispatch"), *empty = tcase_create("empty");
    tcase_add_checked_fixture(tc, client_setup, client_teardown);
    tcase_add_loop_test(tc, without_session, 0, sizeof(opening) / sizeof(opening[0]));
    tcase_add_loop_test(tc, says_nothing, 0, sizeof(silent) / sizeof(silent[0]));
    tcase_add_test(tc, a_notification_as_request_is_no_method);
    tcase_add_test(tc, depth_and_size_are_limits);
    tcase_add_test(tc, an_id_has_a_maximum);
    tcase_add_loop_test(tc, initialize_answers_the_version, 0,
                        sizeof(versions) / sizeof(versions[0]));
    tcase_add_test(tc, initialize_wants_a_version);
    tcase_add_test(tc, eras_share_one_pipe);
    tcase_add_test(tc, empty_results_are_empty);
    tcase_add_test(tc, an_id_in_flight_is_taken);
    tcase_add_checked_fixture(empty, setup_empty, client_teardown);
    tcase_add_test(empty, without_plugins_it_says_so);
    int failed = run_suite(tc, "mcp/dispatch");
    return run_suite(empty, "mcp/dispatch, no plugins") || failed;
}
