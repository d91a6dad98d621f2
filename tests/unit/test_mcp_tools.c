/* tools/call: results of each revision, refusals, progress, log, cancellation. */
#include "mcp_client.h"

#define CALL(id, name, args) \
    "{'jsonrpc':'2.0','id':" id ",'method':'tools/call','params':{'name':'" name "'" args "}}"
#define TEXT(text) "'content':[{'type':'text','text':'" text "'}]"

START_TEST(arguments_are_handed_on)
{
    greet_as("2025-11-25");
    SAYS(CALL("1", "echo", ",'arguments':{'place': 'R\\u00f6m'}"),
         "{'jsonrpc':'2.0','id':1,'result':{" TEXT("{\\'place\\': \\'R\\\\u00f6m\\'}") "}}");
    ck_assert_str_eq(client.args, q("{'place': 'R\\u00f6m'}"));
    SAYS(CALL("2", "echo", ",'arguments':null"),
         "{'jsonrpc':'2.0','id':2,'result':{" TEXT("{}") "}}");
    SAYS(CALL("3", "echo", ""), "{'jsonrpc':'2.0','id':3,'result':{" TEXT("{}") "}}");
    SAYS(CALL("4", "ec\\u0068o", ",'_meta':{'traceparent':'00-1'}"),
         "{'jsonrpc':'2.0','id':4,'result':{" TEXT("{}") "}}");
    ck_assert_str_eq(client.meta, q("{'traceparent':'00-1'}"));
    ck_assert_uint_eq(client.idle, 0);
}
END_TEST

START_TEST(modern_results_are_complete)
{
    SAYS(CALL("1", "echo", "," MODERN), "{'jsonrpc':'2.0','id':1,'result':{" TEXT("{}") TAIL);
    SAYS(CALL("1", "fail", "," MODERN),
         "{'jsonrpc':'2.0','id':1,'result':{" TEXT("{}") ",'isError':true" TAIL);
    SAYS(CALL("1", "pair", "," MODERN), "{'jsonrpc':'2.0','id':1,'result':{" TEXT(
                                            "{\\'a\\':1}") ",'structuredContent':{'a':1}" TAIL);
    SAYS(CALL("1", "number", "," MODERN),
         "{'jsonrpc':'2.0','id':1,'result':{" TEXT("42") ",'structuredContent':42" TAIL);
}
END_TEST

/* NULL: no session, a modern request */
static const struct {
    const char *version, *tool, *result;
} shapes[] = {
    {"2025-11-25", "pair", TEXT("{\\'a\\':1}") ",'structuredContent':{'a':1}"},
    {"2025-06-18", "pair", TEXT("{\\'a\\':1}") ",'structuredContent':{'a':1}"},
    {"2025-03-26", "pair", TEXT("{\\'a\\':1}")},
    {"2024-11-05", "pair", TEXT("{\\'a\\':1}")},
    {"2025-11-25", "number", TEXT("42") ",'structuredContent':{'result':42}"},
    {"2025-06-18", "number", TEXT("42") ",'structuredContent':{'result':42}"},
    {"2025-03-26", "number", TEXT("42")},
    {"2025-11-25", "bare", TEXT("[1]") ",'structuredContent':{'result':[1]}"},
    {"2025-11-25", "fail", TEXT("{}") ",'isError':true"},
    {"2024-11-05", "fail", TEXT("{}") ",'isError':true"},
    {"2025-11-25", "blocks",
     "'content':[{'type':'text','text':'t'},"
     "{'type':'audio','data':'AAAA','mimeType':'audio/wav'},"
     "{'type':'resource_link','uri':'x://n','name':'N \\'q\\''},"
     "{'type':'text','text':'m','_meta':{'a':1}}]"},
    {"2025-03-26", "blocks",
     "'content':[{'type':'text','text':'t'},"
     "{'type':'audio','data':'AAAA','mimeType':'audio/wav'},"
     "{'type':'text','text':'N \\'q\\': x://n'},"
     "{'type':'text','text':'m'}]"},
    {"2024-11-05", "blocks",
     "'content':[{'type':'text','text':'t'},"
     "{'type':'resource','resource':{'uri':'manifold://content/2','mimeType':'audio/wav','blob':"
     "'AAAA'}},"
     "{'type':'text','text':'N \\'q\\': x://n'},"
     "{'type':'text','text':'m'}]"},
};

START_TEST(results_fit_the_revision)
{
    char call[256], want[2048];
    greet_as(shapes[_i].version);
    snprintf(call, sizeof(call),
             "{'jsonrpc':'2.0','id':1,'method':'tools/call','params':{'name':'%s'}}",
             shapes[_i].tool);
    snprintf(want, sizeof(want), "{'jsonrpc':'2.0','id':1,'result':{%s}}", shapes[_i].result);
    SAYS(call, want);
}
END_TEST

START_TEST(misfits_are_tool_errors)
{
    static const char *const version[] = {"2024-11-05", "2025-06-18", "2025-11-25"};
    for (int i = 0; i < 3; i++) {
        greet_as(version[i]);
        client.args[0] = 0;
        HAS(CALL("1", "echo", ",'arguments':{'place':3}"),
            "{'jsonrpc':'2.0','id':1,'result':{'content':[{'type':'text','text':'arguments/place: "
            "expected string, found number 3'}],'isError':true}}");
        HAS(CALL("1", "needs", ""), "'isError':true}}");
        HAS(CALL("1", "needs", ",'arguments':null"), "place");
        ck_assert_str_eq(client.args, "");
    }
    HAS(CALL("1", "echo", ",'arguments':{'place':3}," MODERN),
        "found number 3'}],'isError':true" TAIL);
}
END_TEST

START_TEST(malformed_calls_are_errors)
{
    greet_as("2025-11-25");
    HAS(CALL("'a'", "none\\u0000such", ""),
        "{'jsonrpc':'2.0','id':'a','error':{'code':-32602,'message':'there is no tool \\'none");
    HAS(CALL("1", "echo", ",'arguments':[]"),
        "'id':1,'error':{'code':-32602,'message':'params/arguments: expected object, found array'");
    HAS(CALL("1", "echo", ",'arguments':'x'"), "'code':-32602");
    HAS("{'jsonrpc':'2.0','id':1,'method':'tools/call','params':{'arguments':{}}}",
        "'code':-32602,'message':'params/name: expected string, found nothing'");
    HAS("{'jsonrpc':'2.0','id':1,'method':'tools/call'}", "'code':-32602");
    HAS("{'jsonrpc':'2.0','id':1,'method':'tools/call','params':{'name':7}}", "'code':-32602");
    HAS(CALL("1", "badparams", ""), "'id':1,'error':{'code':-32602,'message':'no good'}");
}
END_TEST

START_TEST(refusals_say_which_limit)
{
    static char big[5200];
    greet_as("2025-11-25");
    snprintf(big, sizeof(big), CALL("1", "echo", ",'arguments':{'x':'%04500d'}"), 0);
    HAS(big, "'isError':true,'_meta':{'manifold/refused':{'reason':'request','limit':"
             "'limits.request'}}}}");
    HAS(CALL("1", "fault", ""), "'isError':true,'_meta':{'manifold/refused':{'reason':'fault'}}}}");
}
END_TEST

START_TEST(a_full_queue_is_refused)
{
    greet_as("2025-11-25");
    SAYS(CALL("1", "single", ""), "");
    SAYS(CALL("2", "single", ""), "");
    HAS(CALL("3", "single", ""),
        "'isError':true,'_meta':{'manifold/refused':{'reason':'queue','limit':'limits.queue',"
        "'retryAfterMs':1000}}}}");
    HAS(CALL("4", "single", "," MODERN),
        "'version':'" MANIFOLD_VERSION
        "'},'manifold/refused':{'reason':'queue','limit':'limits.queue','retryAfterMs':1000}}}}");
    ck_assert_uint_eq(session_calls(client.session), 2);
}
END_TEST

/* --- notifications --- */

#define NOISY(id, more) \
    "{'jsonrpc':'2.0','id':" id ",'method':'tools/call','params':{'name':'noisy'" more "}}"

START_TEST(progress_is_for_who_asked)
{
    greet_as("2025-11-25");
    SAYS(NOISY("1", ",'_meta':{'progressToken':'t\\u0041'}"),
         "{'jsonrpc':'2.0','method':'notifications/progress','params':{'progressToken':'t\\u0041',"
         "'progress':0.5,'total':2,'message':'half'}}");
    SAYS(NOISY("2", ",'_meta':{'progressToken':17}"),
         "{'jsonrpc':'2.0','method':'notifications/progress','params':{'progressToken':17,"
         "'progress':0.5,'total':2,'message':'half'}}");
    SAYS(NOISY("3", ",'_meta':{'progressToken':1.5}"), "");
    SAYS(NOISY("4", ""), "");
    greet_as("2024-11-05");
    SAYS(NOISY("5", ",'_meta':{'progressToken':17}"),
         "{'jsonrpc':'2.0','method':'notifications/progress','params':{'progressToken':17,"
         "'progress':0.5,'total':2}}");
    client.is_congested = true;
    SAYS(NOISY("6", ",'_meta':{'progressToken':17}"), "");
}
END_TEST

#define LOGGED(level, data)                                                                     \
    "{'jsonrpc':'2.0','method':'notifications/message','params':{'level':'" level "','logger':" \
    "'fake','data':'" data "'}}"

START_TEST(log_is_for_who_asked)
{
    greet_as("2025-11-25");
    SAYS(NOISY("1", ""), "");
    HAS("{'jsonrpc':'2.0','id':9,'method':'logging/setLevel','params':{'level':'info'}}", "{}");
    SAYS(NOISY("2", ""), LOGGED("info", "an \\'info\\'"));
    HAS("{'jsonrpc':'2.0','id':9,'method':'logging/setLevel','params':{'level':'debug'}}", "{}");
    SAYS(NOISY("3", ""), LOGGED("info", "an \\'info\\'") "\n" LOGGED("debug", "a debug"));
    /* a modern request on the same pipe has its own level, or none */
    SAYS(NOISY("4", "," MODERN), "");
    SAYS(NOISY("5", ",'_meta':{'io.modelcontextprotocol/protocolVersion':'2026-07-28',"
                    "'io.modelcontextprotocol/clientCapabilities':{},"
                    "'io.modelcontextprotocol/logLevel':'info'}"),
         LOGGED("info", "an \\'info\\'"));
    client.is_congested = true;
    SAYS(NOISY("6", ""), "");
}
END_TEST

/* --- cancellation --- */

START_TEST(cancelled_calls_say_nothing)
{
    greet_as("2025-11-25");
    SAYS(CALL("1", "hold", ""), "");
    SAYS(CALL("'1'", "hold", "," MODERN), "");
    ck_assert_uint_eq(session_calls(client.session), 2);
    SAYS("{'jsonrpc':'2.0','method':'notifications/cancelled','params':{'requestId':1,'reason':"
         "'x'}}",
         "");
    ck_assert_uint_eq(client.cancels, 1);
    ck_assert_uint_eq(session_calls(client.session), 1);
    ck_assert_uint_eq(client.idle, 0);
    client_finish(client.held[0], MF_DONE, "");
    ck_assert_str_eq(heard(), "");
    SAYS("{'jsonrpc':'2.0','method':'notifications/cancelled','params':{'requestId':'1'}}", "");
    client_finish(client.held[1], MF_DONE, "");
    ck_assert_str_eq(heard(), "");
    ck_assert_uint_eq(session_calls(client.session), 0);
    ck_assert_uint_eq(client.idle, 1);
    SAYS("{'jsonrpc':'2.0','method':'notifications/cancelled','params':{'requestId':1}}", "");
    /* the id is free again */
    HAS(CALL("1", "echo", ""), "'id':1,'result'");
    client.helds = 0;
}
END_TEST

START_TEST(cancel_all_answers_nothing)
{
    SAYS(CALL("1", "hold", "," MODERN), "");
    SAYS(CALL("2", "hold", "," MODERN), "");
    session_cancel_all(client.session);
    ck_assert_uint_eq(session_calls(client.session), 0);
    ck_assert_uint_eq(client.idle, 1);
    client_finish(client.held[0], MF_DONE, "");
    client_finish(client.held[1], MF_DONE, "");
    ck_assert_str_eq(heard(), "");
    client.helds = 0;
}
END_TEST

START_TEST(answers_may_overtake)
{
    greet_as("2025-11-25");
    for (int i = 0; i < 64; i++) {
        char call[128];
        snprintf(call, sizeof(call), CALL("%d", "hold", ""), i);
        SAYS(call, "");
    }
    for (int i = 63; i >= 0; i--) {
        char want[64];
        client_finish(client.held[i], MF_DONE, "");
        snprintf(want, sizeof(want), "{'jsonrpc':'2.0','id':%d,'result':", i);
        ck_assert_msg(strncmp(heard(), q(want), strlen(want)) == 0, "%d", i);
        ck_assert_uint_eq(client.idle, i == 0);
    }
    client.helds = 0;
}
END_TEST

START_TEST(what_does_not_fit_becomes_an_error)
{
    greet_as("2025-11-25");
    char call[2048];
    snprintf(call, sizeof(call), CALL("1", "echo", ",'arguments':{'x':'%01000d'}"), 0);
    client.limit = 512;
    SAYS(call, "{'jsonrpc':'2.0','id':1,'error':{'code':-32603,'message':'the result is longer "
               "than what may wait for this client (limits.output)'}}");
    client.limit = 4096;
    HAS(call, "'id':1,'result'");
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("tools");
    tcase_add_checked_fixture(tc, client_setup, client_teardown);
    tcase_add_test(tc, arguments_are_handed_on);
    tcase_add_test(tc, modern_results_are_complete);
    tcase_add_loop_test(tc, results_fit_the_revision, 0, sizeof(shapes) / sizeof(shapes[0]));
    tcase_add_test(tc, misfits_are_tool_errors);
    tcase_add_test(tc, malformed_calls_are_errors);
    tcase_add_test(tc, refusals_say_which_limit);
    tcase_add_test(tc, a_full_queue_is_refused);
    tcase_add_test(tc, progress_is_for_who_asked);
    tcase_add_test(tc, log_is_for_who_asked);
    tcase_add_test(tc, cancelled_calls_say_nothing);
    tcase_add_test(tc, cancel_all_answers_nothing);
    tcase_add_test(tc, answers_may_overtake);
    tcase_add_test(tc, what_does_not_fit_becomes_an_error);
    return run_suite(tc, "mcp/tools");
}
