/* Compiling and running patterns with PCRE2, with every bit of the work metered.
 *
 * PCRE2's own match limit counts backtracking from one starting place; it neither
 * sees a scan that starts anew at each character (\s+$ on blanks) nor adds up over many strings.
 * So patterns are compiled with automatic callouts: before each item PCRE2
 * calls back, and each call takes a step, and more for the characters passed
 * since the last.  What one item can scan without being seen (a back reference, a{1000}) is
 * charged in advance.  The limits of PCRE2 stay as a second fence. */
#define PCRE2_CODE_UNIT_WIDTH 8
#include "json/schema_internal.h"

#include <errno.h>
#include <pcre2.h>
#include <pthread.h>
#include <stdlib.h>

enum {
    CHARS_PER_STEP = 32,
    FREE_ITEMS = 8, /* of each match, so that a plain pattern on a short string is one step */
    MATCH_LIMIT = 1000000,
    DEPTH_LIMIT = 10000,
    HEAP_LIMIT = 1024, /* KiB */
    SMALL_SUBJECT = 4096
};

/* What a thread needs to match, made when it first does and kept: PCRE2 keeps 20 KiB of frames
 * in the match data. */
struct matcher {
    pcre2_match_context *context;
    pcre2_match_data *data;
};

static pthread_key_t matcher_key;
static pthread_once_t matcher_once = PTHREAD_ONCE_INIT;

static void matcher_free(void *p)
{
    struct matcher *m = p;
    pcre2_match_data_free(m->data);
    pcre2_match_context_free(m->context);
    free(m);
}

static void matcher_free_main(void)
{
    struct matcher *m = pthread_getspecific(matcher_key);
    if (m) {
        pthread_setspecific(matcher_key, NULL);
        matcher_free(m);
    }
}

static void matcher_key_make(void)
{
    if (pthread_key_create(&matcher_key, matcher_free))
        BUG("no thread-specific key for patterns");
    /* The main thread's destructor does not run when main() returns. */
    atexit(matcher_free_main);
}

static struct matcher *matcher_get(void)
{
    pthread_once(&matcher_once, matcher_key_make);
    struct matcher *m = pthread_getspecific(matcher_key);
    if (m && m->data)
        return m;
    if (!m) {
        m = calloc(1, sizeof(*m));
        if (!m)
            return NULL;
        m->context = pcre2_match_context_create(NULL);
        if (!m->context || pthread_setspecific(matcher_key, m)) {
            matcher_free(m);
            return NULL;
        }
        pcre2_set_match_limit(m->context, MATCH_LIMIT);
        pcre2_set_depth_limit(m->context, DEPTH_LIMIT);
        pcre2_set_heap_limit(m->context, HEAP_LIMIT);
    }
    m->data = pcre2_match_data_create(1, NULL);
    return m->data ? m : NULL;
}

struct meter {
    struct schema_run *run;
    size_t last; /* place of the last callout */
    uint32_t price, free;
};

static int on_item(pcre2_callout_block *block, void *data)
{
    struct meter *m = data;
    size_t at = block->current_position;
    uint32_t cost = m->free ? m->price - 1 : m->price;
    m->free -= m->free != 0;
    if (at > m->last)
        cost += (uint32_t)((at - m->last) / CHARS_PER_STEP);
    m->last = at;
    return schema_step(m->run, cost) ? 0 : PCRE2_ERROR_CALLOUT;
}

bool schema_pattern_match(struct schema_run *r, const struct schema_pattern *p, struct str subject)
{
    struct matcher *m = matcher_get();
    if (!m) {
        r->status = -ENOMEM;
        return false;
    }
    struct meter meter = {.run = r, .price = 1 + p->blind / CHARS_PER_STEP, .free = FREE_ITEMS};
    if (p->backrefs)
        meter.price += (uint32_t)(subject.n / CHARS_PER_STEP);
    /* Skipping to a possible start is a scan without callouts, once over the subject. */
    if (!schema_step(r, 1 + (uint32_t)(subject.n / CHARS_PER_STEP / 4)))
        return false;
    pcre2_set_callout(m->context, on_item, &meter);
    /* The reader has checked the text, and refuses half surrogate pairs. */
    int n = pcre2_match(p->code, (PCRE2_SPTR)(subject.n ? subject.p : ""), subject.n, 0,
                        PCRE2_NO_UTF_CHECK, m->data, m->context);
    if (subject.n > SMALL_SUBJECT) {
        /* The frames may have grown to the heap limit; nobody keeps that. */
        pcre2_match_data_free(m->data);
        m->data = NULL;
    }
    if (n < 0 && n != PCRE2_ERROR_NOMATCH && !r->status)
        r->status = n == PCRE2_ERROR_NOMEMORY ? -ENOMEM : -E2BIG;
    return n >= 0;
}

int schema_pattern_compile(struct str source, struct schema_pattern *p, struct err *e)
{
    static const uint32_t options = PCRE2_UTF | PCRE2_DOLLAR_ENDONLY | PCRE2_ALLOW_EMPTY_CLASS |
                                    PCRE2_MATCH_UNSET_BACKREF | PCRE2_NEVER_BACKSLASH_C |
                                    PCRE2_AUTO_CALLOUT;
    if (source.n > SCHEMA_PATTERN_BYTES)
        return err_set(e, -EINVAL, "a pattern over the limit of %d bytes", SCHEMA_PATTERN_BYTES);
    /* A class of spaces is the longest thing that two bytes can become. */
    struct buf text = BUF_INIT(SCHEMA_PATTERN_BYTES * 16);
    int r = schema_pattern_translate(source, &text, p, e);
    if (!r) {
        int code;
        PCRE2_SIZE at;
        p->code = pcre2_compile((PCRE2_SPTR)(text.len ? text.data : ""), text.len, options, &code,
                                &at, NULL);
        if (!p->code) {
            unsigned char why[128];
            pcre2_get_error_message(code, why, sizeof(why));
            r = err_set(e, code == PCRE2_ERROR_HEAP_FAILED ? -ENOMEM : -EINVAL,
                        "a pattern that is not valid: %s", (const char *)why);
        } else if (pcre2_pattern_info(p->code, PCRE2_INFO_SIZE, &p->size)) {
            BUG("PCRE2 does not know the size of its own code");
        }
    }
    buf_release(&text);
    return r;
}

void schema_pattern_free(struct schema_pattern *p)
{
    pcre2_code_free(p->code);
}
