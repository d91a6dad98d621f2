/* bench/load.c - the load generator: drives an MCP server over stdio, checks every answer.
 *
 * Two ways to use it; both print one JSON object:
 *
 *   bench-load [options] -- COMMAND ARG...
 *     sends --calls calls of one tool with --in-flight of them unanswered at a time
 *     and prints rate, latency, processor time of the server and its memory.  With
 *     --then FILE it then plays a script to the same server, with --first FILE
 *     before the run.
 *   bench-load --script FILE -- COMMAND ARG...
 *     only plays a script: each line is sent and, when it carries an id, its
 *     answer awaited, unless it begins with a blank: such a line needs an id that is a
 *     string, and its answer is passed over; a line "#pss" takes the server's memory.  Prints the
 * time of each answer since the spawn and the answers themselves.
 *
 * The generator must cost less than what it measures: requests are built before
 * the run, an answer is compared with one already checked (messages.h), reads are
 * big, and one clock reading serves all that one read brought. */
#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>
#include "messages.h"
#include "server.h"

enum { IN_FLIGHT_MAX = LINES_KEPT, ANSWERS_MAX = 512 };

struct options {
    struct shape shape;
    unsigned calls, warmup, in_flight, patience;
    int server_cpu, own_cpu;
    const char *first, *then, *script;
    char **command;
};

struct run {
    const struct options *opt;
    struct messages messages;
    struct server server;
    unsigned next, answered;
    /* The queue of what is to be written: whole lines, the first perhaps in part. */
    struct iovec queue[IN_FLIGHT_MAX];
    unsigned queue_from, queue_len;
    uint64_t *sent_ns; /* per call: 0 not sent, 1 answered */
    uint32_t *latency; /* per call, ns */
    uint64_t begin_ns, end_ns, begin_cpu, end_cpu;
};

static void fail(const char *what, struct slice line)
{
    fprintf(stderr, "bench-load: %s: %.*s\n", what, line.len > 400 ? 400 : (int)line.len,
            line.len ? line.p : "");
    exit(1);
}

static void on_alarm(int signo)
{
    static const char text[] = "bench-load: the server did not answer in time\n";
    (void)signo;
    if (write(STDERR_FILENO, text, sizeof(text) - 1) < 0)
        _exit(2);
    _exit(1);
}

/* Waits for the answer of a request that stands alone; notifications are passed over. */
static struct slice answer_wait(struct server *s)
{
    struct slice line, v;
    for (;;) {
        while (!server_line(s, &line))
            if (!server_fill(s))
                fail("the server ended before it answered", (struct slice){"", 0});
        if (!json_whole(line))
            fail("an answer is not one JSON value", line);
        if (!json_member(line, "method", &v))
            return line;
    }
}

/* ---- a run ---- */

static void handshake(struct run *r)
{
    static const char legacy[] =
        "{\"jsonrpc\":\"2.0\",\"id\":0,\"method\":\"initialize\",\"params\":{\"protocolVersion\":"
        "\"2025-11-25\",\"capabilities\":{},\"clientInfo\":{\"name\":\"bench\",\"version\":\"1\"}}}"
        "\n";
    static const char modern[] =
        "{\"jsonrpc\":\"2.0\",\"id\":0,\"method\":\"server/discover\",\"params\":{\"_meta\":{"
        "\"io.modelcontextprotocol/protocolVersion\":\"2026-07-28\","
        "\"io.modelcontextprotocol/clientCapabilities\":{}}}}\n";
    static const char done[] = "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/initialized\"}\n";
    const char *hello = r->opt->shape.modern ? modern : legacy;
    struct slice v;
    if (!server_send(&r->server, (struct slice){hello, strlen(hello)}))
        fail("the server reads nothing", (struct slice){"", 0});
    struct slice line = answer_wait(&r->server);
    if (!json_member(line, "result", &v))
        fail("the server refused the handshake", line);
    if (!r->opt->shape.modern)
        server_send(&r->server, (struct slice){done, strlen(done)});
}

/* Queues calls until enough of them are in flight. */
static void queue_fill(struct run *r)
{
    if (r->queue_len == 0)
        r->queue_from = 0;
    while (r->next < r->opt->calls && r->next - r->answered < r->opt->in_flight &&
           r->queue_from + r->queue_len < IN_FLIGHT_MAX) {
        struct slice line = messages_request(&r->messages, r->next++);
        struct iovec *v = &r->queue[r->queue_from + r->queue_len++];
        v->iov_base = (char *)line.p;
        v->iov_len = line.len;
    }
}

static void queue_write(struct run *r)
{
    /* A call counts from the write that begins it.  The queue holds the last calls. */
    uint64_t now = now_ns();
    for (unsigned call = r->next - r->queue_len; call < r->next; call++)
        if (r->sent_ns[call] == 0)
            r->sent_ns[call] = now;
    ssize_t n = writev(r->server.to, r->queue + r->queue_from, (int)r->queue_len);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n < 0)
        fail("the server stopped reading", (struct slice){"", 0});
    while (n > 0) {
        struct iovec *v = &r->queue[r->queue_from];
        size_t part = (size_t)n < v->iov_len ? (size_t)n : v->iov_len;
        v->iov_base = (char *)v->iov_base + part;
        v->iov_len -= part;
        n -= (ssize_t)part;
        if (v->iov_len == 0) {
            r->queue_from++;
            r->queue_len--;
        }
    }
}

/* The answer to a line of the first script that was not awaited. */
static bool is_passed_over(struct slice line)
{
    struct slice id;
    return json_member(line, "id", &id) && id.len && id.p[0] == '"';
}

static void answers_take(struct run *r)
{
    uint64_t now = now_ns();
    struct slice line;
    while (server_line(&r->server, &line)) {
        unsigned call = 0;
        const char *wrong = messages_check(&r->messages, line, &call);
        if (wrong && is_passed_over(line))
            continue;
        if (wrong)
            fail(wrong, line);
        if (call >= r->next || r->sent_ns[call] <= 1)
            fail("an answer that came twice or was never asked for", line);
        r->latency[call] = (uint32_t)(now - r->sent_ns[call]);
        r->sent_ns[call] = 1;
        if (++r->answered == r->opt->warmup) {
            r->begin_ns = now;
            r->begin_cpu = server_cpu_ns(&r->server);
        }
    }
    r->end_ns = now;
}

static void run_calls(struct run *r)
{
    while (r->answered < r->opt->calls) {
        queue_fill(r);
        if (r->queue_len > 0)
            queue_write(r);
        if (r->queue_len > 0) {
            struct pollfd fds[2] = {{.fd = r->server.from, .events = POLLIN},
                                    {.fd = r->server.to, .events = POLLOUT}};
            poll(fds, 2, -1);
            if (!(fds[0].revents & (POLLIN | POLLHUP)))
                continue;
        }
        if (!server_fill(&r->server))
            fail("the server ended in the middle of the run", (struct slice){"", 0});
        answers_take(r);
    }
    r->end_cpu = server_cpu_ns(&r->server);
}

static int compare_u32(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static void print_figures(const struct run *r)
{
    unsigned n = r->opt->calls - r->opt->warmup;
    uint32_t *sorted = r->latency + r->opt->warmup;
    double seconds = (double)(r->end_ns - r->begin_ns) / 1e9;
    qsort(sorted, n, sizeof(*sorted), compare_u32);
    printf("\"sent\":%u,\"calls\":%u,\"seconds\":%.6f,\"rate\":%.1f,", r->opt->calls, n, seconds,
           n / seconds);
    printf("\"p50_us\":%.2f,\"p90_us\":%.2f,\"p99_us\":%.2f,\"max_us\":%.2f,", sorted[n / 2] / 1e3,
           sorted[(uint64_t)n * 90 / 100] / 1e3, sorted[(uint64_t)n * 99 / 100] / 1e3,
           sorted[n - 1] / 1e3);
    printf("\"cpu_us\":%.3f", (double)(r->end_cpu - r->begin_cpu) / 1e3 / n);
}

/* ---- a script ---- */

struct script {
    double at_ms[ANSWERS_MAX];
    char *answers[ANSWERS_MAX]; /* owned */
    unsigned answered;
    long pss_kib[ANSWERS_MAX];
    unsigned pss_count;
};

static void script_play(struct script *sc, struct server *s, const char *path)
{
    FILE *f = fopen(path, "re");
    char *line = NULL;
    size_t room = 0;
    ssize_t n;
    if (!f)
        fail(strerror(errno), (struct slice){path, strlen(path)});
    while ((n = getline(&line, &room, f)) > 0) {
        struct slice text = {line, (size_t)n}, v;
        if (strcmp(line, "#pss\n") == 0 && sc->pss_count < ANSWERS_MAX) {
            sc->pss_kib[sc->pss_count++] = server_kib(s, "smaps_rollup", "Pss");
            continue;
        }
        if (!server_send(s, text))
            fail("the server stopped reading", text);
        if (line[0] == ' ' || !json_member(text, "id", &v))
            continue;
        struct slice answer = answer_wait(s);
        if (sc->answered == ANSWERS_MAX)
            fail("too many lines in the script", text);
        sc->at_ms[sc->answered] = (double)(now_ns() - s->start_ns) / 1e6;
        sc->answers[sc->answered++] = strndup(answer.p, answer.len);
    }
    free(line);
    fclose(f);
}

static void script_print(const struct script *sc)
{
    printf("{\"at_ms\":[");
    for (unsigned i = 0; i < sc->answered; i++)
        printf("%s%.3f", i ? "," : "", sc->at_ms[i]);
    printf("],\"pss_kib\":[");
    for (unsigned i = 0; i < sc->pss_count; i++)
        printf("%s%ld", i ? "," : "", sc->pss_kib[i]);
    printf("],\"answers\":[");
    for (unsigned i = 0; i < sc->answered; i++)
        printf("%s%s", i ? "," : "", sc->answers[i]);
    printf("]}");
}

static int script_main(const struct options *opt)
{
    static struct script sc;
    struct server server;
    server_start(&server, opt->command, opt->server_cpu, opt->own_cpu);
    script_play(&sc, &server, opt->script);
    int status = server_stop(&server);
    printf("{\"exit\":%d,\"script\":", status);
    script_print(&sc);
    printf("}\n");
    for (unsigned i = 0; i < sc.answered; i++)
        free(sc.answers[i]);
    return 0;
}

static int run_main(const struct options *opt)
{
    static struct run r;
    static struct script first, sc;
    r.opt = opt;
    messages_init(&r.messages, &opt->shape);
    if (opt->in_flight > r.messages.count)
        fail("so many of this size in flight share a template", (struct slice){"", 0});
    r.sent_ns = calloc(opt->calls, sizeof(*r.sent_ns));
    r.latency = malloc(opt->calls * sizeof(*r.latency));
    if (!r.sent_ns || !r.latency)
        fail(strerror(ENOMEM), (struct slice){"", 0});
    /* Page faults now, not in the measured part. */
    memset(r.sent_ns, 0, opt->calls * sizeof(*r.sent_ns));
    memset(r.latency, 0xff, opt->calls * sizeof(*r.latency));
    server_start(&r.server, opt->command, opt->server_cpu, opt->own_cpu);
    handshake(&r);
    long pss_idle = server_kib(&r.server, "smaps_rollup", "Pss");
    long rss_idle = server_kib(&r.server, "status", "VmRSS");
    if (opt->first)
        script_play(&first, &r.server, opt->first);
    r.begin_ns = now_ns();
    r.begin_cpu = server_cpu_ns(&r.server);
    run_calls(&r);
    long pss_after = server_kib(&r.server, "smaps_rollup", "Pss");
    long rss_peak = server_kib(&r.server, "status", "VmHWM");
    if (opt->then)
        script_play(&sc, &r.server, opt->then);
    int status = server_stop(&r.server);
    printf("{\"exit\":%d,", status);
    print_figures(&r);
    printf(",\"pss_idle_kib\":%ld,\"pss_after_kib\":%ld,\"rss_idle_kib\":%ld,\"rss_peak_kib\":%ld",
           pss_idle, pss_after, rss_idle, rss_peak);
    if (opt->then) {
        printf(",\"script\":");
        script_print(&sc);
    }
    printf("}\n");
    for (unsigned i = 0; i < sc.answered; i++)
        free(sc.answers[i]);
    for (unsigned i = 0; i < first.answered; i++)
        free(first.answers[i]);
    messages_release(&r.messages);
    free(r.sent_ns);
    free(r.latency);
    return 0;
}

static const char usage[] =
    "usage: bench-load [options] -- COMMAND ARG...\n"
    "  --era legacy|modern  how the requests are written (legacy)\n"
    "  --calls N            calls in all, warm-up included (20000)\n"
    "  --warmup N           first calls that are not measured (a tenth)\n"
    "  --in-flight N        unanswered calls at a time, 1 to 200 (1)\n"
    "  --size BYTES         length of the text of a call (12)\n"
    "  --odd PERCENT        calls with shuffled keys, escapes and blanks (10)\n"
    "  --texts N            number of different texts, drawn at random; --size is then under 4096\n"
    "  --zipf X             how uneven: the n-th as often as 1/n^(X/100) says (0: all alike)\n"
    "  --tool NAME --argument NAME --prefix TEXT  what is called and what it answers\n"
    "                       (echo, message, \"Echo: \")\n"
    "  --cpus SERVER,OWN    pin the server and this program to processors\n"
    "  --patience SECONDS   give up after this long (120)\n"
    "  --first FILE         play this script to the server before the run\n"
    "  --then FILE          play this script to the server after the run\n"
    "  --script FILE        only play a script, no run\n";

static unsigned number(const char *text, unsigned low, unsigned high)
{
    char *end;
    unsigned long n = strtoul(text, &end, 10);
    if (*text == '\0' || *end != '\0' || n < low || n > high) {
        fprintf(stderr, "bench-load: expected a number from %u to %u, found %s\n", low, high, text);
        exit(2);
    }
    return (unsigned)n;
}

static void options_read(struct options *opt, int argc, char **argv)
{
    static const struct option names[] = {
        {"era", 1, NULL, 'e'},       {"calls", 1, NULL, 'n'},    {"warmup", 1, NULL, 'w'},
        {"in-flight", 1, NULL, 'k'}, {"size", 1, NULL, 's'},     {"odd", 1, NULL, 'o'},
        {"tool", 1, NULL, 't'},      {"argument", 1, NULL, 'a'}, {"prefix", 1, NULL, 'p'},
        {"cpus", 1, NULL, 'c'},      {"patience", 1, NULL, 'P'}, {"then", 1, NULL, 'T'},
        {"script", 1, NULL, 'S'},    {"first", 1, NULL, 'F'},    {"texts", 1, NULL, 'x'},
        {"zipf", 1, NULL, 'z'},      {NULL, 0, NULL, 0}};
    bool warmup_given = false;
    int c;
    *opt = (struct options){
        .shape = {.tool = "echo", .argument = "message", .prefix = "Echo: ", .size = 12, .odd = 10},
        .calls = 20000,
        .in_flight = 1,
        .patience = 120,
        .server_cpu = -1,
        .own_cpu = -1};
    while ((c = getopt_long(argc, argv, "+", names, NULL)) != -1) {
        switch (c) {
        case 'e':
            opt->shape.modern = strcmp(optarg, "modern") == 0;
            break;
        case 'n':
            opt->calls = number(optarg, 1, CALLS_MAX);
            break;
        case 'w':
            opt->warmup = number(optarg, 0, CALLS_MAX);
            warmup_given = true;
            break;
        case 'k':
            opt->in_flight = number(optarg, 1, IN_FLIGHT_MAX);
            break;
        case 's':
            opt->shape.size = number(optarg, 0, 4 << 20);
            break;
        case 'o':
            opt->shape.odd = number(optarg, 0, 100);
            break;
        case 'x':
            opt->shape.texts = number(optarg, 10, TEXTS_MAX);
            break;
        case 'z':
            opt->shape.zipf = number(optarg, 0, 999) / 100.0;
            break;
        case 't':
            opt->shape.tool = optarg;
            break;
        case 'a':
            opt->shape.argument = optarg;
            break;
        case 'p':
            opt->shape.prefix = optarg;
            break;
        case 'c':
            if (sscanf(optarg, "%d,%d", &opt->server_cpu, &opt->own_cpu) == 2)
                break;
            fputs(usage, stderr);
            exit(2);
        case 'P':
            opt->patience = number(optarg, 1, 3600);
            break;
        case 'T':
            opt->then = optarg;
            break;
        case 'F':
            opt->first = optarg;
            break;
        case 'S':
            opt->script = optarg;
            break;
        default:
            fputs(usage, stderr);
            exit(2);
        }
    }
    if (!warmup_given)
        opt->warmup = opt->calls / 10;
    opt->shape.calls = opt->calls;
    opt->command = argv + optind;
    bool too_long = opt->shape.texts && opt->shape.size > TEXTS_SIZE_MAX;
    if (optind >= argc || opt->warmup >= opt->calls || too_long) {
        fputs(usage, stderr);
        exit(2);
    }
}

int main(int argc, char **argv)
{
    static struct options opt;
    options_read(&opt, argc, argv);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGALRM, on_alarm);
    alarm(opt.patience);
    return opt.script ? script_main(&opt) : run_main(&opt);
}
