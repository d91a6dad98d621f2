#include "cli/args.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include "base/log.h"

const struct option_spec option_specs[OPTIONS] = {
    [OPTION_PLUGINS] =
        {"plugins", "DIR",
         "serve the manifests of DIR; may be given again; then no config file is read"},
    [OPTION_CONFIG] = {"config", "FILE", "read this host config"},
    [OPTION_TRUST] = {"trust", NULL, "trust the directories of --plugins"},
    [OPTION_SET] = {"set", "NAME.KEY=VALUE",
                    "set a key of plugin NAME, over config and manifest; may be given again"},
    [OPTION_GRANT] = {"grant", "NAME.KIND.KEY",
                      "give plugin NAME what it asks for, with .FIELD=VALUE on certain terms; may "
                      "be given again"},
    [OPTION_KEEP_LIBRARIES] = {"keep-libraries", "DIR",
                               "keep named copies of the loaded libraries in DIR, for debuggers"},
    [OPTION_LOG_LEVEL] = {"log-level", "LEVEL", "debug, info, warn or error"},
    [OPTION_LOG_FORMAT] = {"log-format", "FORMAT", "text or json"},
    [OPTION_JSON] = {"json", NULL, "print JSON"},
    [OPTION_YES] = {"yes", NULL, "accept without asking"},
    [OPTION_PID] = {"pid", "N", "ask the host with this process number"},
    [OPTION_SOCKET] = {"socket", "PATH", "ask the host with this admin socket"},
    [OPTION_HELP] = {"help", NULL, "print this help"},
    [OPTION_VERSION] = {"version", NULL, "print the version"},
};

static int choose(const char *option, const char *value, const char *const *names, int n, int *ret,
                  struct err *e)
{
    struct err list = {.text = ""};
    for (int i = 0; i < n; i++) {
        if (strcmp(value, names[i]) == 0) {
            *ret = i;
            return 0;
        }
        size_t at = strlen(list.text);
        snprintf(list.text + at, sizeof(list.text) - at, "%s%s", i ? ", " : "", names[i]);
    }
    return err_set(e, -EINVAL, "--%s: expected one of %s, found \"%s\"", option, list.text, value);
}

static int append(const char *option, const char **list, uint32_t *count, uint32_t max,
                  const char *value, struct err *e)
{
    if (*count == max)
        return err_set(e, -EINVAL, "--%s: expected at most %u of them", option, max);
    list[(*count)++] = value;
    return 0;
}

static int number(const char *option, const char *value, int *ret, struct err *e)
{
    char *end;
    errno = 0;
    long n = strtol(value, &end, 10);
    if (errno || end == value || *end || n < 1 || n > INT_MAX)
        return err_set(e, -EINVAL, "--%s: expected a number from 1 on, found \"%s\"", option,
                       value);
    *ret = (int)n;
    return 0;
}

static int take(struct args *a, enum option o, const char *value, struct err *e)
{
    static const char *const levels[] = {"debug", "info", "warn", "error"};
    static const char *const formats[] = {"text", "json"};
    const char *name = option_specs[o].name;
    switch (o) {
    case OPTION_PLUGINS:
        return append(name, a->plugins, &a->plugins_count, ARGS_PLUGINS, value, e);
    case OPTION_SET:
        return append(name, a->set, &a->set_count, ARGS_SETS, value, e);
    case OPTION_GRANT:
        return append(name, a->grant, &a->grant_count, ARGS_GRANTS, value, e);
    case OPTION_LOG_LEVEL:
        return choose(name, value, levels, 4, &a->log_level, e);
    case OPTION_LOG_FORMAT:
        return choose(name, value, formats, 2, &a->log_format, e);
    case OPTION_CONFIG:
        a->config = value;
        break;
    case OPTION_KEEP_LIBRARIES:
        a->keep_libraries = value;
        break;
    case OPTION_PID:
        return number(name, value, &a->pid, e);
    case OPTION_SOCKET:
        a->socket = value;
        break;
    case OPTION_TRUST:
        a->trust = true;
        break;
    case OPTION_JSON:
        a->json = true;
        break;
    case OPTION_YES:
        a->yes = true;
        break;
    case OPTION_HELP:
        a->help = true;
        break;
    case OPTION_VERSION:
        a->version = true;
        break;
    case OPTIONS:
        break;
    }
    return 0;
}

/* Letters that differ or are missing; good enough to guess what was meant. */
static unsigned distance(struct str a, const char *b)
{
    size_t n = strlen(b), same = 0;
    size_t shorter = a.n < n ? a.n : n, longer = a.n < n ? n : a.n;
    while (same < shorter && a.p[same] == b[same])
        same++;
    size_t tail = 0;
    while (tail < shorter - same && a.p[a.n - 1 - tail] == b[n - 1 - tail])
        tail++;
    return (unsigned)(longer - same - tail);
}

static int unknown(struct str name, unsigned allowed, struct err *e)
{
    const char *close = NULL;
    unsigned best = 3;
    for (int o = 0; o < OPTIONS; o++) {
        unsigned d = distance(name, option_specs[o].name);
        if ((allowed & 1u << o) && d < best) {
            best = d;
            close = option_specs[o].name;
        }
    }
    if (close)
        return err_set(e, -EINVAL, "unknown option --%.*s; did you mean --%s?", STR_FMT(name),
                       close);
    return err_set(e, -EINVAL, "unknown option --%.*s", STR_FMT(name));
}

/* -h and -V are the only short ones. */
static enum option find(const char *word, unsigned allowed, const char **ret_value,
                        struct str *ret_name)
{
    *ret_value = NULL;
    if (strcmp(word, "-h") == 0 || strcmp(word, "-V") == 0) {
        *ret_name = str_of(word[1] == 'h' ? "help" : "version");
    } else {
        const char *eq = strchr(word, '=');
        const char *name = word[1] == '-' ? word + 2 : word + 1;
        *ret_name = (struct str){name, eq ? (size_t)(eq - name) : strlen(name)};
        *ret_value = eq ? eq + 1 : NULL;
        if (word[1] != '-')
            return OPTIONS;
    }
    int o = 0;
    while (o < OPTIONS && !((allowed & 1u << o) && str_eq(*ret_name, str_of(option_specs[o].name))))
        o++;
    return (enum option)o;
}

int args_read(int argc, char **argv, unsigned allowed, bool leading, struct args *ret,
              int *ret_used, struct err *e)
{
    *ret = (struct args){.log_level = -1, .log_format = -1};
    bool options = true;
    int i = 1;
    for (; i < argc; i++) {
        const char *word = argv[i], *value;
        struct str name;
        if (options && strcmp(word, "--") == 0) {
            options = false;
            continue;
        }
        if (!options || word[0] != '-' || !word[1]) {
            if (leading)
                break;
            if (ret->operands == ARGS_OPERANDS)
                return err_set(e, -EINVAL, "one word too many: \"%s\"", word);
            ret->operand[ret->operands++] = word;
            continue;
        }
        enum option o = find(word, allowed, &value, &name);
        if (o == OPTIONS)
            return unknown(name, allowed, e);
        if (value && !option_specs[o].value)
            return err_set(e, -EINVAL, "--%s takes no value", option_specs[o].name);
        if (!value && option_specs[o].value && !(value = argv[++i]))
            return err_set(e, -EINVAL, "--%s: expected %s after it, found nothing",
                           option_specs[o].name, option_specs[o].value);
        int r = take(ret, o, value, e);
        if (r)
            return r;
    }
    *ret_used = i;
    return 0;
}
