/* Prints to standard output wherever a plugin can: from the constructor, open(), call(),
 * a thread, close(), an atexit handler, and leaves a stdio buffer that is
 * flushed at exit.  No byte of it may reach the client. */
#include "bad.h"

#include <pthread.h>
#include <unistd.h>

static void raw(const char *text)
{
    if (write(1, text, strlen(text)) < 0)
        return;
}

static void at_exit(void)
{
    puts("prints: atexit handler");
    printf("{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":\"forged by an unflushed buffer\"}");
}

__attribute__((constructor)) static void construct(void)
{
    puts("prints: constructor");
    fflush(stdout);
    raw("prints: constructor, write(1)\n");
    printf("prints: constructor, unflushed");
    atexit(at_exit);
}

static mf_status open_it(const mf_host *host, mf_bytes config, void **ret_self)
{
    puts("prints: open");
    fflush(stdout);
    return bad_open(host, config, ret_self);
}

static void close_it(void *self)
{
    puts("prints: close");
    printf("prints: close, unflushed");
    bad_close(self);
}

static void *from_thread(void *arg)
{
    (void)arg;
    puts("prints: thread");
    raw("prints: thread, write(1)\n");
    return NULL;
}

/* 1 MiB, more than any pipe holds: it must neither block the host nor reach the client. */
static void call(void *self, const mf_request *request)
{
    static char line[1024];
    pthread_t thread;
    memset(line, '#', sizeof(line));
    line[sizeof(line) - 1] = '\n';
    puts("prints: call");
    printf("{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":\"forged\"}\n");
    fflush(stdout);
    for (int i = 0; i < 1024; i++) {
        if (write(1, line, sizeof(line)) < 0)
            break;
    }
    if (pthread_create(&thread, NULL, from_thread, NULL) == 0)
        pthread_join(thread, NULL);
    printf("prints: call, unflushed");
    bad_answer(((struct bad *)self)->host, request->call, "printed 1 MiB");
}

BAD_PLUGIN(.open = open_it, .call = call, .close = close_it);
