/* Subscriptions of both eras: what is promised, what is told, once, and what is not. */
#include "mcp_client.h"
#include "mcp/internal.h"

static void lists_changed(unsigned kinds)
{
    client.session->listener.lists_changed(&client.session->listener, kinds);
}

static void updated(const char *uri)
{
    client.session->listener.resource_updated(&client.session->listener, str_of(uri));
}

static bool tell(void)
{
    return client.session->listener.tell(&client.session->listener);
}

static uint32_t subscriptions(void)
{
    return client.session->listener.subscriptions;
}

#define ALL ((1u << ENTRY_KINDS) - 1)
#define TELLS(text)                         \
    do {                                    \
        ck_assert(tell());                  \
        ck_assert_str_eq(heard(), q(text)); \
    } while (0)
#define LISTEN(id, filter)      \
    "{'jsonrpc':'2.0','id':" id \
    ",'method':'subscriptions/listen','params':{'notifications':{" filter "}," MODERN "}}"
#define ID(id) "'_meta':{'io.modelcontextprotocol/subscriptionId':" id "}"
#define ACK(id, filter)                                                                   \
    "{'jsonrpc':'2.0','method':'notifications/subscriptions/acknowledged','params':{" ID( \
        id) ",'notifications':{" filter "}}}"
#define UPDATED(id, uri)                                                                           \
    "{'jsonrpc':'2.0','method':'notifications/resources/updated','params':{" ID(id) ",'uri':'" uri \
                                                                                    "'}}"
#define CHANGED(id, kind) \
    "{'jsonrpc':'2.0','method':'notifications/" kind "/list_changed','params':{" ID(id) "}}"

START_TEST(legacy)
{
    greet_as("2025-11-25");
    SAYS("{'jsonrpc':'2.0','id':1,'method':'resources/subscribe','params':{'uri':'x://notes'}}",
         "{'jsonrpc':'2.0','id':1,'result':{}}");
    SAYS("{'jsonrpc':'2.0','id':1,'method':'resources/subscribe','params':{'uri':'x://item/7'}}",
         "{'jsonrpc':'2.0','id':1,'result':{}}");
    SAYS("{'jsonrpc':'2.0','id':1,'method':'resources/subscribe','params':{'uri':'x://notes'}}",
         "{'jsonrpc':'2.0','id':1,'result':{}}");
    ck_assert_uint_eq(subscriptions(), 2);
    updated("x://notes");
    updated("x://item/8");
    updated("x://notes");
    TELLS("{'jsonrpc':'2.0','method':'notifications/resources/updated','params':{'uri':'x://"
          "notes'}}");
    TELLS("");
    updated("x://item/7");
    lists_changed(ALL);
    TELLS("{'jsonrpc':'2.0','method':'notifications/tools/list_changed'}\n"
          "{'jsonrpc':'2.0','method':'notifications/resources/list_changed'}\n"
          "{'jsonrpc':'2.0','method':'notifications/prompts/list_changed'}\n"
          "{'jsonrpc':'2.0','method':'notifications/resources/updated','params':{'uri':'x://item/"
          "7'}}");
    SAYS("{'jsonrpc':'2.0','id':1,'method':'resources/unsubscribe','params':{'uri':'x://notes'}}",
         "{'jsonrpc':'2.0','id':1,'result':{}}");
    SAYS("{'jsonrpc':'2.0','id':1,'method':'resources/unsubscribe','params':{'uri':'x://never'}}",
         "{'jsonrpc':'2.0','id':1,'result':{}}");
    updated("x://notes");
    TELLS("");
    /* What was noted goes with the subscription. */
    updated("x://item/7");
    HAS("{'jsonrpc':'2.0','id':1,'method':'resources/unsubscribe','params':{'uri':'x://item/7'}}",
        "'result':{}");
    TELLS("");
    ck_assert_uint_eq(subscriptions(), 0);
}
END_TEST

START_TEST(legacy_that_is_refused)
{
    HAS("{'jsonrpc':'2.0','id':1,'method':'resources/subscribe','params':{'uri':'x://notes'}}",
        "'code':-32602");
    greet_as("2025-06-18");
    HAS("{'jsonrpc':'2.0','id':1,'method':'resources/subscribe','params':{'uri':'x://cached'}}",
        "'code':-32602,'message':'params/uri: expected a resource that tells of its updates");
    HAS("{'jsonrpc':'2.0','id':1,'method':'resources/subscribe','params':{'uri':"
        "'manifold://status'}}",
        "'code':-32602");
    HAS("{'jsonrpc':'2.0','id':1,'method':'resources/subscribe','params':{'uri':'x://none'}}",
        "'code':-32002,");
    HAS("{'jsonrpc':'2.0','id':1,'method':'resources/subscribe','params':{'uri':7}}",
        "'code':-32602");
    HAS("{'jsonrpc':'2.0','id':1,'method':'resources/subscribe'}", "'code':-32602");
    ck_assert_uint_eq(subscriptions(), 0);
    /* A session that begins anew has none. */
    HAS("{'jsonrpc':'2.0','id':1,'method':'resources/subscribe','params':{'uri':'x://notes'}}",
        "'result':{}");
    greet_as("2025-11-25");
    ck_assert_uint_eq(subscriptions(), 0);
    updated("x://notes");
    TELLS("");
}
END_TEST

START_TEST(nobody_has_asked)
{
    HAS("{'jsonrpc':'2.0','id':1,'method':'tools/list','params':{" MODERN "}}", "'tools'");
    lists_changed(ALL);
    updated("x://notes");
    TELLS("");
}
END_TEST

START_TEST(listening)
{
    SAYS(LISTEN("1", "'toolsListChanged':true,'promptsListChanged':false,'resourceSubscriptions':["
                     "'x://notes','x://cached','x://none','x://item/a','x://notes',"
                     "'manifold://status'],'taskIds':['t'],'x':{}"),
         ACK("1", "'toolsListChanged':true,'resourceSubscriptions':['x://notes','x://item/a']"));
    SAYS(LISTEN("'1'", "'promptsListChanged':true,'resourcesListChanged':true,"
                       "'resourceSubscriptions':['x://notes']"),
         ACK("'1'", "'promptsListChanged':true,'resourcesListChanged':true,"
                    "'resourceSubscriptions':['x://notes']"));
    SAYS(LISTEN("'\\u0061'", ""), ACK("'\\u0061'", ""));
    ck_assert_uint_eq(subscriptions(), 6);
    updated("x://notes");
    updated("x://item/a");
    updated("x://cached");
    TELLS(
        UPDATED("1", "x://notes") "\n" UPDATED("1", "x://item/a") "\n" UPDATED("'1'", "x://notes"));
    lists_changed(1u << ENTRY_TOOL);
    TELLS(CHANGED("1", "tools"));
    lists_changed(1u << ENTRY_TEMPLATE);
    TELLS(CHANGED("'1'", "resources"));
    lists_changed(ALL);
    TELLS(CHANGED("1", "tools") "\n" CHANGED("'1'", "resources") "\n" CHANGED("'1'", "prompts"));
    /* The id is in use; cancelling frees it and ends all. */
    HAS("{'jsonrpc':'2.0','id':1,'method':'tools/list','params':{" MODERN "}}", "'code':-32600");
    updated("x://notes");
    SAYS("{'jsonrpc':'2.0','method':'notifications/cancelled','params':{'requestId':1}}", "");
    TELLS(UPDATED("'1'", "x://notes"));
    HAS("{'jsonrpc':'2.0','id':1,'method':'tools/list','params':{" MODERN "}}", "'result'");
    ck_assert_uint_eq(session_calls(client.session), 0);
    ck_assert_uint_eq(client.idle, 0);
}
END_TEST

START_TEST(a_good_end_is_a_result)
{
    SAYS(LISTEN("7", "'toolsListChanged':true"), ACK("7", "'toolsListChanged':true"));
    SAYS(LISTEN("'z'", ""), ACK("'z'", ""));
#define END(id)                                                                            \
    "{'jsonrpc':'2.0','id':" id ",'result':{'resultType':'complete','_meta':{"             \
    "'io.modelcontextprotocol/serverInfo':{'name':'manifold','version':'" MANIFOLD_VERSION \
    "'},'io.modelcontextprotocol/subscriptionId':" id "}}}"
    session_end_listening(client.session);
    ck_assert_str_eq(heard(), q(END("7") "\n" END("'z'")));
    lists_changed(ALL);
    TELLS("");
    session_end_listening(client.session);
    ck_assert_str_eq(heard(), "");
    ck_assert_uint_eq(subscriptions(), 0);
}
END_TEST

static const struct {
    const char *params, *part;
} wrong[] = {
    {"", "params/notifications: expected object, found nothing"},
    {"'notifications':[],", "params/notifications: expected object, found array"},
    {"'notifications':{'toolsListChanged':1},",
     "params/notifications/toolsListChanged: expected boolean, found number"},
    {"'notifications':{'resourceSubscriptions':'x://notes'},",
     "params/notifications/resourceSubscriptions: expected array, found string"},
    {"'notifications':{'resourceSubscriptions':['x://notes',7]},",
     "params/notifications/resourceSubscriptions: expected string, found number"},
};

START_TEST(a_filter_that_is_none)
{
    char text[1024];
    snprintf(text, sizeof(text),
             "{'jsonrpc':'2.0','id':1,'method':'subscriptions/listen','params':{%s" MODERN "}}",
             wrong[_i].params);
    HAS(text, "'id':1,'error':{'code':-32602");
    HAS(text, wrong[_i].part);
    ck_assert_uint_eq(subscriptions(), 0);
    updated("x://notes");
    TELLS("");
}
END_TEST

START_TEST(a_client_that_does_not_read_hears_the_last_state)
{
    greet_as("2025-11-25");
    HAS("{'jsonrpc':'2.0','id':1,'method':'resources/subscribe','params':{'uri':'x://notes'}}",
        "'result'");
    HAS(LISTEN("2", "'toolsListChanged':true,'resourceSubscriptions':['x://item/1']"),
        "'x://item/1'");
    client.is_congested = true;
    for (int i = 0; i < 1000; i++) {
        updated("x://notes");
        updated("x://item/1");
        lists_changed(1u << ENTRY_TOOL);
        ck_assert(!tell());
    }
    ck_assert_str_eq(heard(), "");
    client.is_congested = false;
    TELLS("{'jsonrpc':'2.0','method':'notifications/tools/list_changed'}\n"
          "{'jsonrpc':'2.0','method':'notifications/resources/updated','params':{'uri':'x://"
          "notes'}}\n" CHANGED("2", "tools") "\n" UPDATED("2", "x://item/1"));
    TELLS("");
    /* What does not fit is told when it does. */
    updated("x://notes");
    client.limit = 20;
    ck_assert(!tell());
    client.limit = 16 << 20;
    TELLS("{'jsonrpc':'2.0','method':'notifications/resources/updated','params':{'uri':'x://"
          "notes'}}");
}
END_TEST

START_TEST(one_client_has_so_many)
{
    char text[4096];
    for (int i = 0; i < LISTENS_MAX; i++) {
        snprintf(text, sizeof(text), LISTEN("%d", "'toolsListChanged':true"), 100 + i);
        HAS(text, "acknowledged");
    }
    HAS(LISTEN("5", "'toolsListChanged':true"),
        "'id':5,'error':{'code':-32602,'message':'expected at most 64 subscriptions/listen");
    SAYS("{'jsonrpc':'2.0','method':'notifications/cancelled','params':{'requestId':100}}", "");
    HAS(LISTEN("5", "'toolsListChanged':true"), "acknowledged");
    greet_as("2025-11-25");
    for (int i = 0; i < WATCHES_MAX; i++) {
        snprintf(text, sizeof(text),
                 "{'jsonrpc':'2.0','id':1,'method':'resources/subscribe','params':{'uri':"
                 "'x://item/%d'}}",
                 i);
        HAS(text, "'result':{}");
    }
    HAS("{'jsonrpc':'2.0','id':1,'method':'resources/subscribe','params':{'uri':'x://notes'}}",
        "'code':-32602,'message':'expected at most 1024 subscriptions");
    HAS("{'jsonrpc':'2.0','id':1,'method':'resources/subscribe','params':{'uri':'x://item/9'}}",
        "'result':{}");
    SAYS("{'jsonrpc':'2.0','method':'notifications/cancelled','params':{'requestId':5}}", "");
    HAS(LISTEN("5", "'resourceSubscriptions':['x://notes']"), "'code':-32602");
    ck_assert_ptr_null(strstr(heard(), "acknowledged"));
    HAS("{'jsonrpc':'2.0','id':1,'method':'resources/unsubscribe','params':{'uri':'x://item/9'}}",
        "'result':{}");
    HAS(LISTEN("5", "'resourceSubscriptions':['x://notes']"), "acknowledged");
    /* An URI that is longer than any that is told of. */
    memset(text, 'a', sizeof(text));
    int n = snprintf(text, sizeof(text), "%s",
                     "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"resources/subscribe\",\"params\":{"
                     "\"uri\":\"x://item/");
    text[n] = 'a';
    memcpy(text + n + 2048, "\"}}", 4);
    ck_assert_ptr_nonnull(strstr(say(text), "at most 2048 bytes"));
}
END_TEST

int main(void)
{
    TCase *t = tcase_create("subscribe");
    tcase_set_timeout(t, 60);
    tcase_add_checked_fixture(t, client_setup, client_teardown);
    tcase_add_test(t, legacy);
    tcase_add_test(t, legacy_that_is_refused);
    tcase_add_test(t, nobody_has_asked);
    tcase_add_test(t, listening);
    tcase_add_test(t, a_good_end_is_a_result);
    tcase_add_loop_test(t, a_filter_that_is_none, 0, sizeof(wrong) / sizeof(wrong[0]));
    tcase_add_test(t, a_client_that_does_not_read_hears_the_last_state);
    tcase_add_test(t, one_client_has_so_many);
    return run_suite(t, "mcp: subscriptions");
}
