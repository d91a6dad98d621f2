/* test_hello.c - the plugin without a server, on the mock host. */
#include <manifold/mock.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHECK(condition)                                                            \
    do {                                                                            \
        if (!(condition)) {                                                         \
            fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition); \
            exit(1);                                                                \
        }                                                                           \
    } while (0)

static void check_greeting(const char *config, const char *args, int32_t how, const char *text)
{
    mf_mock *m = mf_mock_new(&manifold_plugin_v1);
    CHECK(mf_mock_open(m, config) == MF_OK);
    const mf_mock_result *r = mf_mock_wait(m, mf_mock_tool(m, "greet", args), 0);
    CHECK(r != NULL && r->how == how);
    CHECK(strcmp(r->text.data, text) == 0);
    CHECK(mf_mock_close(m, 0) == MF_OK);
    CHECK(mf_mock_mistakes(m, NULL) == 0);
    mf_mock_free(m);
}

int main(void)
{
    char args[400] = "{\"name\":\"\\n";
    CHECK(mf_mock_lint(&manifold_plugin_v1) == NULL);
    check_greeting(NULL, "{\"name\":\"Ada\"}", MF_DONE, "Hello, Ada!");
    check_greeting("{\"greeting\":\"Moin\"}", "{\"name\":\"\\u00c5se\"}", MF_DONE, "Moin, Åse!");
    memset(args + strlen(args), 'x', 300);
    strcat(args, "\"}");
    check_greeting(NULL, args, MF_TOOL_ERROR, "I can only greet names of up to 256 bytes.");

    mf_mock *m = mf_mock_new(&manifold_plugin_v1);
    CHECK(mf_mock_open(m, "{\"greeting\":\"a greeting that is far too long for it\"}") ==
          MF_EINVAL);
    CHECK(mf_mock_logs(m, NULL) == 1);
    mf_mock_free(m);
    puts("1 passed, 0 failed");
    return 0;
}
