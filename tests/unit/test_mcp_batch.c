/* Batches: of 2025-03-26 alone, one array of answers when all are there. */
#include "mcp_client.h"

#define PING(id) "{'jsonrpc':'2.0','id':" id ",'method':'ping'}"
#define PONG(id) "{'jsonrpc':'2.0','id':" id ",'result':{}}"
#define NOTE     "{'jsonrpc':'2.0','method':'notifications/initialized'}"
#define HOLD(id) "{'jsonrpc':'2.0','id':" id ",'method':'tools/call','params':{'name':'hold'}}"
#define HELD(id) "{'jsonrpc':'2.0','id':" id ",'result':{'content':[{'type':'text','text':'{}'}]}}"
#define CANCEL(id) \
    "{'jsonrpc':'2.0','method':'notifications/cancelled','params':{'requestId':" id "}}"

static void setup(void)
{
    client_setup();
    greet_as("2025-03-26");
}

START_TEST(answers_come_as_one_array)
{
    SAYS("[" PING("1") "," NOTE "," PING("'b'") "]", "[" PONG("1") "," PONG("'b'") "]");
    SAYS(" [" PING("1") "] ", "[" PONG("1") "]");
}
END_TEST

START_TEST(notifications_alone_are_not_answered)
{
    SAYS("[" NOTE "," NOTE "]", "");
    SAYS("[" NOTE ",{'jsonrpc':'2.0','id':1,'result':{}}]", "");
}
END_TEST

START_TEST(what_is_no_batch_is_refused)
{
    HAS("[]", "{'jsonrpc':'2.0','error':{'code':-32600,'message':'expected a batch of 1 to 256 "
              "messages, found 0'");
    HAS("[1," PING("2") "]", "[{'jsonrpc':'2.0','error':{'code':-32600");
    HAS("[1," PING("2") "]", PONG("2") "]");
    HAS("[[" PING("2") "]]", "[{'jsonrpc':'2.0','error':{'code':-32600");
    HAS("[{'jsonrpc':'2.0','id':1,'method':'initialize','params':{'protocolVersion':'2025-03-26'}}"
        "," PING("2") "]",
        "[{'jsonrpc':'2.0','id':1,'error':{'code':-32600,'message':'expected initialize alone");
    HAS("[{'jsonrpc':'2.0','id':1,'method':'tools/list','params':{" MODERN "}}]",
        "[{'jsonrpc':'2.0','id':1,'error':{'code':-32600");
    HAS("[" PING("1") ",", "'code':-32700");
}
END_TEST

START_TEST(a_batch_has_a_maximum)
{
    struct buf b = BUF_INIT(1 << 20);
    buf_lit(&b, "[");
    for (int i = 0; i < 257; i++)
        buf_printf(&b, "%s{\"jsonrpc\":\"2.0\",\"id\":%d,\"method\":\"ping\"}", i ? "," : "", i);
    buf_lit(&b, "]");
    ck_assert_ptr_nonnull(strstr(say(buf_cstr(&b)), "found 257"));
    buf_release(&b);
}
END_TEST

START_TEST(other_revisions_have_none)
{
    static const char *const version[] = {"2024-11-05", "2025-06-18", "2025-11-25"};
    for (int i = 0; i < 3; i++) {
        greet_as(version[i]);
        HAS("[" PING("1") "]", "{'jsonrpc':'2.0','error':{'code':-32600");
    }
}
END_TEST

START_TEST(it_waits_for_all)
{
    SAYS("[" HOLD("1") "," PING("2") "," HOLD("3") "]", "");
    ck_assert_uint_eq(session_calls(client.session), 2);
    SAYS(PING("4"), PONG("4"));
    client_finish(client.held[1], MF_DONE, "");
    ck_assert_str_eq(heard(), "");
    client_finish(client.held[0], MF_DONE, "");
    ck_assert_str_eq(heard(), q("[" PONG("2") "," HELD("3") "," HELD("1") "]"));
    ck_assert_uint_eq(client.idle, 1);
    client.helds = 0;
}
END_TEST

START_TEST(progress_does_not_wait)
{
    SAYS("[{'jsonrpc':'2.0','id':1,'method':'tools/call','params':{'name':'noisy','_meta':{"
         "'progressToken':1}}}]",
         "{'jsonrpc':'2.0','method':'notifications/progress','params':{'progressToken':1,"
         "'progress':0.5,'total':2,'message':'half'}}");
    client_finish(client.held[0], MF_DONE, "");
    ck_assert_str_eq(heard(), q("[" HELD("1") "]"));
    client.helds = 0;
}
END_TEST

START_TEST(cancelled_elements_are_left_out)
{
    SAYS("[" HOLD("1") "," HOLD("2") "]", "");
    SAYS(CANCEL("1"), "");
    client_finish(client.held[1], MF_DONE, "");
    ck_assert_str_eq(heard(), q("[" HELD("2") "]"));
    /* the last one of a batch, and the only one; inside the batch itself */
    SAYS("[" HOLD("1") "," PING("2") "]", "");
    SAYS(CANCEL("1"), "[" PONG("2") "]");
    SAYS("[" HOLD("1") "]", "");
    SAYS(CANCEL("1"), "");
    SAYS("[" HOLD("1") "," CANCEL("1") "," PING("3") "]", "[" PONG("3") "]");
    ck_assert_uint_eq(session_calls(client.session), 0);
}
END_TEST

START_TEST(cancel_all_drops_batches)
{
    SAYS("[" HOLD("1") "," PING("2") "," HOLD("3") "]", "");
    session_cancel_all(client.session);
    ck_assert_str_eq(heard(), "");
    SAYS("[" HOLD("1") "," PING("2") "]", "");
}
END_TEST

START_TEST(ids_are_taken_inside_a_batch_too)
{
    SAYS("[" HOLD("1") "," HOLD("1") "]", "");
    client_finish(client.held[0], MF_DONE, "");
    HAS(PING("9"), "[{'jsonrpc':'2.0','id':1,'error':{'code':-32600");
    client.helds = 0;
}
END_TEST

#define LONG(id)                                                                                  \
    "{'jsonrpc':'2.0','id':" id ",'method':'tools/call','params':{'name':'echo','arguments':{'x'" \
    ":'%0*d'}}}"

START_TEST(what_does_not_fit_becomes_an_error)
{
    static char batch[16384];
    client.host.settings->output = 4096;
    snprintf(batch, sizeof(batch), "[" LONG("1") "," LONG("2") "," PING("3") "]", 3500, 0, 4000, 0);
    HAS(batch, "},{'jsonrpc':'2.0','id':2,'error':{'code':-32603");
    HAS(batch, PONG("3") "]");
    client.limit = 1000;
    HAS(batch, "{'jsonrpc':'2.0','error':{'code':-32603");
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("batch");
    tcase_add_checked_fixture(tc, setup, client_teardown);
    tcase_add_test(tc, answers_come_as_one_array);
    tcase_add_test(tc, notifications_alone_are_not_answered);
    tcase_add_test(tc, what_is_no_batch_is_refused);
    tcase_add_test(tc, a_batch_has_a_maximum);
    tcase_add_test(tc, other_revisions_have_none);
    tcase_add_test(tc, it_waits_for_all);
    tcase_add_test(tc, progress_does_not_wait);
    tcase_add_test(tc, cancelled_elements_are_left_out);
    tcase_add_test(tc, cancel_all_drops_batches);
    tcase_add_test(tc, ids_are_taken_inside_a_batch_too);
    tcase_add_test(tc, what_does_not_fit_becomes_an_error);
    return run_suite(tc, "mcp/batch");
}
