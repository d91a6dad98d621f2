/* Good messages with a few bytes changed: whatever comes in, what goes out is one line of JSON, the
 * session lives, and a good call is still answered. */
#include "mcp_client.h"

static const char *const seeds[] = {
    "{'jsonrpc':'2.0','id':1,'method':'tools/call','params':{'name':'echo','arguments':{'place':"
    "'x'}," MODERN "}}",
    "{'jsonrpc':'2.0','id':'a\\u0041','method':'tools/call','params':{'name':'blocks','_meta':{"
    "'progressToken':7}}}",
    "[{'jsonrpc':'2.0','id':1,'method':'ping'},{'jsonrpc':'2.0','id':2,'method':'tools/call',"
    "'params':{'name':'number'}}]",
    "{'jsonrpc':'2.0','id':3,'method':'resources/read','params':{'uri':'x://item/a%20b'}}",
    "{'jsonrpc':'2.0','id':4,'method':'prompts/get','params':{'name':'brief','arguments':{'place':"
    "'{{when}}','when':'w'}}}",
    "{'jsonrpc':'2.0','id':5,'method':'completion/complete','params':{'ref':{'type':'ref/resource',"
    "'uri':'x://item/{id}'},'argument':{'name':'id','value':'many'}}}",
    "{'jsonrpc':'2.0','id':6,'method':'initialize','params':{'protocolVersion':'2025-03-26'}}",
    "{'jsonrpc':'2.0','id':7,'method':'tools/list','params':{'cursor':'t0000000000000000-250'}}",
    "{'jsonrpc':'2.0','method':'notifications/cancelled','params':{'requestId':1}}",
    "{'jsonrpc':'2.0','id':8,'method':'logging/setLevel','params':{'level':'debug'}}",
    "{'jsonrpc':'2.0','id':9,'method':'resources/subscribe','params':{'uri':'x://item/a'}}",
    "{'jsonrpc':'2.0','id':10,'method':'resources/unsubscribe','params':{'uri':'x://item/a'}}",
    "{'jsonrpc':'2.0','id':11,'method':'subscriptions/listen','params':{'notifications':{"
    "'toolsListChanged':true,'resourceSubscriptions':['x://item/a','x://item/b']}," MODERN "}}",
    "{'jsonrpc':'2.0','method':'notifications/cancelled','params':{'requestId':11," MODERN "}}",
};

static uint32_t random_next(uint32_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 17;
    *state ^= *state << 5;
    return *state;
}

static size_t mutate(char *text, size_t n, uint32_t *state)
{
    static const char bytes[] = "\"\\{}[]:,0129.eE+-tfnu \t/%\x01\x80\xc3\xff'";
    for (uint32_t k = 1 + random_next(state) % 3; k-- > 0;) {
        size_t at = random_next(state) % n, len = 1 + random_next(state) % 12;
        switch (random_next(state) % 3) {
        case 0:
            text[at] = bytes[random_next(state) % (sizeof(bytes) - 1)];
            break;
        case 1: /* cut a piece out */
            len = len < n - at ? len : n - at;
            memmove(text + at, text + at + len, n - at - len);
            n -= len < n ? len : n - 1;
            break;
        default: /* a piece again, elsewhere */
            len = len < n - at ? len : n - at;
            memmove(text + n, text + at, len);
            n += len;
            break;
        }
    }
    return n;
}

START_TEST(survives)
{
    uint32_t state = 2463534242u;
    unsigned answered = 0;
    greet_as("2025-03-26");
    for (int i = 0; i < 20000; i++) {
        const char *seed = q(seeds[random_next(&state) % (sizeof(seeds) / sizeof(seeds[0]))]);
        size_t n = strlen(seed);
        char room[1024];
        memcpy(room, seed, n);
        n = mutate(room, n, &state);
        char *exact = malloc(n);
        memcpy(exact, room, n);
        session_message(client.session, (struct str){exact, n}, &client.stream);
        free(exact);
        answered += *heard() != 0;
        if (i % 1000 == 999)
            HAS("{'jsonrpc':'2.0','id':'good','method':'tools/call','params':{'name':'echo'," MODERN
                "}}",
                "{'jsonrpc':'2.0','id':'good','result':{'content':[{'type':'text','text':'{}'}]");
    }
    ck_assert_uint_gt(answered, 10000);
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("mutated");
    tcase_add_checked_fixture(tc, client_setup, client_teardown);
    tcase_add_test(tc, survives);
    return run_suite(tc, "mcp/mutated");
}
