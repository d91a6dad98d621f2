/* JSON Schema 2020-12 on the tape: keywords, sentences, budgets, hostile schemas and patterns.
 * `test_json_schema --suite FILE...` runs files of the official suite for json_schema_suite.py. */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include "base/clock.h"
#include "json/schema.h"

/* ---- the official suite ---- */

static char *read_all(const char *path, size_t *ret_len)
{
    FILE *f = fopen(path, "rb");
    char *text = malloc(4 << 20);
    if (!f || !text) {
        fprintf(stderr, "%s: can't be read\n", path);
        exit(2);
    }
    *ret_len = fread(text, 1, 4 << 20, f);
    fclose(f);
    return text;
}

static void suite_group(const char *path, const struct json_doc *d, json_ref group)
{
    struct schema *s = NULL;
    struct schema_error e;
    struct err sentence;
    struct str name = json_raw(d, json_get(d, group, STR("description")));
    json_ref tests = json_get(d, group, STR("tests"));
    if (schema_compile(d, json_get(d, group, STR("schema")), &s, &e)) {
        schema_error_text(&e, "", &sentence);
        printf("REFUSED\t%s\t%.*s\t%u\t%s\n", path, STR_FMT(name), d->node[tests].count,
               sentence.text);
        return;
    }
    json_each (d, tests, t) {
        bool valid = json_is(d, json_get(d, t, STR("valid")), JSON_TRUE);
        int r = schema_validate(s, d, json_get(d, t, STR("data")), SCHEMA_STEPS, &e);
        struct str test = json_raw(d, json_get(d, t, STR("description")));
        if (r)
            schema_error_text(&e, "value", &sentence);
        printf("%s\t%s\t%.*s\t%.*s\t%s\n", (r == 0) == valid && r != -E2BIG ? "PASS" : "FAIL", path,
               STR_FMT(name), STR_FMT(test), r ? sentence.text : "accepted");
    }
    schema_free(s);
}

static int suite(int n, char **path)
{
    for (int i = 0; i < n; i++) {
        size_t len;
        char *text = read_all(path[i], &len);
        struct json_doc d = {0};
        struct json_error e;
        if (json_read(&d, (struct str){text, len}, &json_limits_default, &e)) {
            fprintf(stderr, "%s: %s\n", path[i], e.text);
            return 2;
        }
        json_each (&d, 0, group)
            suite_group(path[i], &d, group);
        json_doc_release(&d);
        free(text);
    }
    return 0;
}

int main(int argc, char **argv)
{
    if (argc > 1 && !strcmp(argv[1], "--suite"))
        return suite(argc - 2, argv + 2);
    return 0;
}
