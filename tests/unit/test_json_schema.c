/* JSON Schema 2020-12 on the tape: keywords, sentences, budgets, hostile schemas and patterns.
 * `test_json_schema --suite FILE...` runs files of the official suite for json_schema_suite.py. */
#include <check.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
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

/* ---- helpers ---- */

static struct json_doc schema_doc, value_doc;

static void read_json(struct json_doc *d, struct str text)
{
    static const struct json_limits limits = {.bytes = 16 << 20, .depth = 600, .nodes = 1 << 23};
    struct json_error e;
    if (json_read(d, text, &limits, &e))
        ck_abort_msg("%.*s: %s", (int)(text.n > 200 ? 200 : text.n), text.p, e.text);
}

static struct schema *compile_text(struct str text)
{
    struct schema *s = NULL;
    struct schema_error e;
    struct err sentence;
    read_json(&schema_doc, text);
    if (schema_compile(&schema_doc, 0, &s, &e)) {
        schema_error_text(&e, "schema", &sentence);
        ck_abort_msg("%.*s: %s", (int)(text.n > 200 ? 200 : text.n), text.p, sentence.text);
    }
    return s;
}

static int run(const char *schema, const char *value, struct schema_error *e)
{
    struct schema *s = compile_text(str_of(schema));
    read_json(&value_doc, str_of(value));
    int r = schema_validate(s, &value_doc, 0, SCHEMA_STEPS, e);
    schema_free(s);
    return r;
}

struct example {
    const char *schema, *yes, *no;
    const char *sentence; /* for `no` */
};

static void check_example(const struct example *x)
{
    struct schema_error e;
    struct err sentence = {""};
    int r = x->yes ? run(x->schema, x->yes, &e) : 0;
    if (r) {
        schema_error_text(&e, "value", &sentence);
        ck_abort_msg("%s refuses %s: %s", x->schema, x->yes, sentence.text);
    }
    if (!x->no)
        return;
    r = run(x->schema, x->no, &e);
    if (r != -EINVAL)
        ck_abort_msg("%s answers %d to %s", x->schema, r, x->no);
    schema_error_text(&e, "value", &sentence);
    ck_assert_str_eq(sentence.text, x->sentence);
    ck_assert(!e.budget);
}

#define CHECK_ALL(table)                                            \
    for (size_t i = 0; i < sizeof(table) / sizeof(*(table)); i++) { \
        check_example(&(table)[i]);                                 \
    }

/* ---- keywords ---- */

static const struct example scalars[] = {
    {"{\"type\":\"string\"}", "\"a\"", "3", "value: expected string, found number 3"},
    {"{\"type\":[\"string\",\"null\"]}", "null", "[]",
     "value: expected null or string, found array of 0 items"},
    {"{\"type\":[\"integer\",\"boolean\",\"object\"]}", "true", "1.5",
     "value: expected boolean, integer or object, found number 1.5"},
    {"{\"type\":\"integer\"}", "1.0", "1e-1", "value: expected integer, found number 1e-1"},
    {"{\"type\":\"integer\"}", "12345678901234567890123", "1.00000000000000000000001",
     "value: expected integer, found number 1.00000000000000000000001"},
    {"{\"type\":\"integer\"}", "1.5e1", "15e-1", "value: expected integer, found number 15e-1"},
    {"{\"enum\":[\"a\",3,null]}", "3.0", "\"b\"",
     "value: expected one of \"a\", 3, null, found string \"b\""},
    {"{\"enum\":[{\"a\":[1]}]}", "{\"a\":[1.0]}", "{\"a\":[2]}",
     "value: expected {\"a\":[1]}, found object with 1 property"},
    {"{\"enum\":[1,2,3,4,5,6,7,8,9,10,11,12,13]}", "13", "14",
     "value: expected one of 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, ... (13 in all), found number "
     "14"},
    {"{\"const\":\"caf\\u00e9\"}", "\"caf\303\251\"", "\"cafe\"",
     "value: expected \"caf\\u00e9\", found string \"cafe\""},
    {"{\"minimum\":9007199254740993}", "9007199254740993", "9007199254740992",
     "value: expected at least 9007199254740993, found number 9007199254740992"},
    {"{\"maximum\":-0.5}", "-0.50", "-0.49", "value: expected at most -0.5, found number -0.49"},
    {"{\"exclusiveMinimum\":0}", "1e-30", "0.0", "value: expected more than 0, found number 0.0"},
    {"{\"exclusiveMaximum\":1e30}", "1e29", "1e30",
     "value: expected less than 1e30, found number 1e30"},
    {"{\"multipleOf\":0.0001}", "0.0075", "0.00751",
     "value: expected a multiple of 0.0001, found number 0.00751"},
    {"{\"multipleOf\":3}", "1.2e1", "10", "value: expected a multiple of 3, found number 10"},
    {"{\"minLength\":2}", "\"\\ud83d\\ude00a\"", "\"\360\237\230\200\"",
     "value: expected at least 2 characters, found string of 1 character"},
    {"{\"maxLength\":1}", "\"\360\237\230\200\"", "\"\\u0061b\"",
     "value: expected at most 1 character, found string of 2 characters"},
    {"{\"pattern\":\"^[a-z]+$\"}", "\"abc\"", "\"a1\"",
     "value: expected a string that matches ^[a-z]+$, found string \"a1\""},
    {"{\"minLength\":2,\"minimum\":5,\"minItems\":1,\"required\":[\"a\"]}", "true", "4",
     "value: expected at least 5, found number 4"},
    {"true", "3", NULL, NULL},
    {"{\"items\":false}", "[]", "[1]", "value/0: expected no value here, found number 1"},
};

START_TEST(scalar_keywords)
{
    CHECK_ALL(scalars);
}
END_TEST

static const struct example containers[] = {
    {"{\"properties\":{\"a\":{\"type\":\"string\"}},\"required\":[\"a\"]}", "{\"a\":\"x\"}", "{}",
     "value: expected property \"a\", found no \"a\""},
    {"{\"required\":[\"b\",\"a\\n\"]}", "{\"a\\n\":1,\"b\":2}", "{\"b\":2}",
     "value: expected property \"a\\u000a\", found no \"a\\u000a\""},
    {"{\"properties\":{\"a/b\":{\"properties\":{\"c~d\":{\"type\":\"null\"}}}}}",
     "{\"a/b\":{\"c~d\":null}}", "{\"a\\/b\":{\"c~d\":0}}",
     "value/a\\~1b/c~0d: expected null, found number 0"},
    {"{\"properties\":{\"place\":true,\"unit\":true},\"additionalProperties\":false}",
     "{\"unit\":1}", "{\"place\":1,\"unti\":2}",
     "value: expected no property but \"unit\", \"place\", found \"unti\" (did you mean "
     "\"unit\"?)"},
    {"{\"additionalProperties\":false}", "{}", "{\"a\":1}",
     "value: expected no properties, found \"a\""},
    {"{\"properties\":{\"a\":true},\"additionalProperties\":{\"type\":\"number\"}}",
     "{\"a\":\"\",\"b\":1}", "{\"b\":\"\"}", "value/b: expected number, found string \"\""},
    {"{\"patternProperties\":{\"^n_\":{\"type\":\"number\"}},\"additionalProperties\":false}",
     "{\"n_a\":1}", "{\"m\":1}",
     "value: expected only properties that match patternProperties, found \"m\""},
    {"{\"properties\":{\"n_x\":{\"minimum\":3}},\"patternProperties\":{\"^n_\":{\"maximum\":5}}}",
     "{\"n_x\":4}", "{\"n_x\":6}", "value/n_x: expected at most 5, found number 6"},
    {"{\"minProperties\":2}", "{\"a\":1,\"b\":2}", "{\"a\":1}",
     "value: expected at least 2 properties, found object with 1 property"},
    {"{\"maxProperties\":1}", "{\"a\":1}", "{\"a\":1,\"b\":2}",
     "value: expected at most 1 property, found object with 2 properties"},
    {"{\"dependentRequired\":{\"card\":[\"name\",\"street\"]}}", "{\"name\":1}",
     "{\"card\":1,\"name\":2}",
     "value: expected property \"street\" beside \"card\", found no \"street\""},
    {"{\"dependentSchemas\":{\"a\":{\"required\":[\"b\"]}}}", "{\"c\":1}", "{\"a\":1}",
     "value: expected property \"b\", found no \"b\""},
    {"{\"propertyNames\":{\"maxLength\":2}}", "{\"ab\":1}", "{\"abc\":1}",
     "value: expected at most 2 characters, found string of 3 characters"},
    {"{\"prefixItems\":[{\"type\":\"string\"}],\"items\":{\"type\":\"number\"}}", "[\"a\",1,2]",
     "[\"a\",1,\"b\"]", "value/2: expected number, found string \"b\""},
    {"{\"minItems\":1}", "[1]", "[]", "value: expected at least 1 item, found array of 0 items"},
    {"{\"maxItems\":1}", "[1]", "[1,2]", "value: expected at most 1 item, found array of 2 items"},
    {"{\"uniqueItems\":true}", "[1,\"1\",true,[1],{\"a\":1}]",
     "[{\"a\":1,\"b\":2},3,{\"b\":2.0,\"a\":1}]",
     "value/2: expected items that all differ, found a second object with 2 properties"},
    {"{\"contains\":{\"type\":\"number\"}}", "[\"\",1]", "[\"\"]",
     "value: expected at least 1 item as \"contains\" describes, found 0"},
    {"{\"contains\":{\"type\":\"number\"},\"minContains\":0,\"maxContains\":1}", "[]", "[1,2,3]",
     "value: expected at most 1 item as \"contains\" describes, found more"},
    {"{\"unevaluatedProperties\":false,\"anyOf\":[{\"properties\":{\"a\":true}},"
     "{\"properties\":{\"b\":true}}]}",
     "{\"a\":1,\"b\":2}", "{\"a\":1,\"c\":2}",
     "value: expected no further properties, found property \"c\""},
    {"{\"unevaluatedItems\":false,\"prefixItems\":[true]}", "[1]", "[1,2]",
     "value/1: expected no value here, found number 2"},
};

START_TEST(container_keywords)
{
    CHECK_ALL(containers);
}
END_TEST

static const struct example logic[] = {
    {"{\"allOf\":[{\"minimum\":1},{\"maximum\":3}]}", "2", "4",
     "value: expected at most 3, found number 4"},
    {"{\"anyOf\":[{\"type\":\"string\"},{\"type\":\"null\"}]}", "null", "1",
     "value: expected null or string, found number 1"},
    {"{\"anyOf\":[{\"type\":\"null\"},{\"type\":\"object\",\"required\":[\"a\"]}]}", "null", "{}",
     "value: expected property \"a\", found no \"a\""},
    {"{\"oneOf\":[{\"properties\":{\"k\":{\"const\":\"a\"},\"v\":{\"type\":\"number\"}}},"
     "{\"properties\":{\"k\":{\"const\":\"b\"},\"v\":{\"type\":\"string\"}}}]}",
     "{\"k\":\"a\",\"v\":1}", "{\"k\":\"b\",\"v\":1}", "value/v: expected string, found number 1"},
    {"{\"anyOf\":[{\"minimum\":5},{\"multipleOf\":2}]}", "4", "3",
     "value: expected one of 2 alternatives, such as at least 5, found number 3"},
    {"{\"oneOf\":[{\"minimum\":1},{\"maximum\":9},{\"const\":5}]}", "0", "5",
     "value: expected exactly one of the alternatives of oneOf, found a value that fits number 1 "
     "and number 2"},
    {"{\"not\":{\"type\":\"string\"}}", "1", "\"a\"",
     "value: expected a value that \"not\" does not exclude, found string \"a\""},
    {"{\"if\":{\"properties\":{\"a\":{\"const\":1}}},\"then\":{\"required\":[\"b\"]},"
     "\"else\":{\"required\":[\"c\"]}}",
     "{\"a\":1,\"b\":1}", "{\"a\":2}", "value: expected property \"c\", found no \"c\""},
    {"{\"$defs\":{\"n\":{\"type\":\"number\"}},\"items\":{\"$ref\":\"#/$defs/n\"}}", "[1]",
     "[\"a\"]", "value/0: expected number, found string \"a\""},
    {"{\"$defs\":{\"n\":{\"$anchor\":\"num\",\"type\":\"number\"}},\"items\":{\"$ref\":\"#num\"}}",
     "[1]", "[[]]", "value/0: expected number, found array of 0 items"},
    {"{\"$id\":\"https://example.com/a/b\",\"$defs\":{\"x\":{\"$id\":\"../c\",\"type\":\"null\"}},"
     "\"items\":{\"$ref\":\"/c\"}}",
     "[null]", "[0]", "value/0: expected null, found number 0"},
    {"{\"type\":\"object\",\"properties\":{\"next\":{\"$ref\":\"#\"}},\"required\":[\"v\"]}",
     "{\"v\":1,\"next\":{\"v\":2}}", "{\"v\":1,\"next\":{\"v\":1,\"next\":{}}}",
     "value/next/next: expected property \"v\", found no \"v\""},
    {"{\"$schema\":\"http://json-schema.org/draft-07/schema#\",\"definitions\":{\"s\":{\"type\":"
     "\"string\"}},\"items\":[{\"$ref\":\"#/definitions/s\",\"maxLength\":1}],"
     "\"additionalItems\":false}",
     "[\"abc\"]", "[\"abc\",1]", "value/1: expected no value here, found number 1"},
};

START_TEST(logic_keywords)
{
    CHECK_ALL(logic);
}
END_TEST

START_TEST(first_failure_in_document_order)
{
    static const struct example order[] = {
        {"{\"allOf\":[{\"properties\":{\"a\":{\"type\":\"null\"}}}],"
         "\"properties\":{\"b\":{\"type\":\"null\"}}}",
         NULL, "{\"a\":1,\"b\":2}", "value/a: expected null, found number 1"},
        {"{\"properties\":{\"a\":{\"items\":{\"minimum\":5}}},\"required\":[\"z\"]}", NULL,
         "{\"a\":[1]}", "value: expected property \"z\", found no \"z\""},
        {"{\"items\":{\"minimum\":5}}", NULL, "[9,1,0]",
         "value/1: expected at least 5, found number 1"},
    };
    CHECK_ALL(order);
}
END_TEST

START_TEST(error_names_the_node)
{
    struct schema_error e;
    ck_assert_int_eq(run("{\"additionalProperties\":false}", "{\"a\":1}", &e), -EINVAL);
    ck_assert(e.is_key);
    ck_assert_uint_eq(e.node, 1);
    ck_assert_int_eq(run("{\"properties\":{\"a\":{\"minItems\":1}}}", "{\"b\":1,\"a\":[]}", &e),
                     -EINVAL);
    ck_assert(!e.is_key);
    ck_assert_uint_eq(e.node, 4);
    ck_assert_str_eq(e.path, "/a");
}
END_TEST

START_TEST(long_paths_and_values_are_cut)
{
    char value[1000], schema[1000];
    struct schema_error e;
    char key[401];
    memset(key, 'k', 400);
    key[400] = '\0';
    snprintf(value, sizeof(value), "{\"%s\":\"%s\"}", key, key + 100);
    snprintf(schema, sizeof(schema), "{\"additionalProperties\":{\"enum\":[\"%s\"]}}", key);
    ck_assert_int_eq(run(schema, value, &e), -EINVAL);
    ck_assert_uint_eq(strlen(e.path), 255);
    ck_assert_str_eq(e.path + 252, "...");
    ck_assert(strlen(e.expected) < 80);
    ck_assert_str_eq(e.found + strlen(e.found) - 5, "k...\"");
}
END_TEST

/* ---- compilation ---- */

START_TEST(bad_schemas_are_named)
{
    static const struct {
        const char *schema, *sentence;
    } bad[] = {
        {"{\"properties\":{\"a\":{\"tpye\":1}}}",
         "schema/properties/a: expected a keyword of JSON Schema 2020-12, found \"tpye\" (did you "
         "mean \"type\"?)"},
        {"{\"requird\":[]}", "schema: expected a keyword of JSON Schema 2020-12, found \"requird\" "
                             "(did you mean \"required\"?)"},
        {"{\"nullable\":true}",
         "schema: expected a keyword of JSON Schema 2020-12, found \"nullable\""},
        {"{\"$recursiveRef\":\"#\"}",
         "schema: expected a keyword of JSON Schema 2020-12, found \"$recursiveRef\""},
        {"{\"type\":\"text\"}",
         "schema/type: expected one of \"null\", \"boolean\", \"integer\", \"number\", \"string\", "
         "\"array\", \"object\", or a list of them, found string \"text\""},
        {"{\"type\":[]}", "schema/type: expected at least one type, found array of 0 items"},
        {"3", "schema: expected a schema: an object, true or false, found number"},
        {"{\"properties\":[]}",
         "schema/properties: expected an object of schemas, found array of 0 items"},
        {"{\"items\":[{}]}",
         "schema/items: expected a schema: an object, true or false, found array"},
        {"{\"required\":[3]}", "schema/required/0: expected a property name, found number 3"},
        {"{\"minLength\":-1}", "schema/minLength: expected an integer, 0 or more, found number -1"},
        {"{\"maxItems\":1.5}", "schema/maxItems: expected an integer, 0 or more, found number 1.5"},
        {"{\"multipleOf\":0}", "schema/multipleOf: expected a number over 0, found number 0"},
        {"{\"minimum\":\"1\"}", "schema/minimum: expected a number, found string \"1\""},
        {"{\"allOf\":[]}",
         "schema/allOf: expected a list of at least one schema, found array of 0 items"},
        {"{\"enum\":1}", "schema/enum: expected a list of values, found number 1"},
        {"{\"$ref\":\"https://example.com/x\"}",
         "schema/$ref: expected a reference into this document (nothing is ever fetched), found "
         "\"https://example.com/x\""},
        {"{\"$ref\":\"file:///etc/passwd#/a\"}",
         "schema/$ref: expected a reference into this document (nothing is ever fetched), found "
         "\"file:///etc/passwd#/a\""},
        {"{\"$ref\":\"#/$defs/a\"}",
         "schema/$ref: expected a place that is in this schema, found \"#/$defs/a\""},
        {"{\"$ref\":\"#a\"}",
         "schema/$ref: expected an anchor that is in this schema, found \"#a\""},
        {"{\"enum\":[{}],\"items\":{\"$ref\":\"#/enum/0\"}}",
         "schema/items/$ref: expected a place where a schema stands, found \"#/enum/0\""},
        {"{\"$ref\":\"#\"}",
         "schema/$ref: expected a reference that does not lead back to itself, found \"#\""},
        {"{\"$defs\":{\"a\":{\"anyOf\":[{\"$ref\":\"#/$defs/b\"}]},\"b\":{\"not\":{\"$ref\":\"#/"
         "$defs/a\"}}}}",
         "schema/$defs/a/anyOf/0/$ref: expected a reference that does not lead back to itself, "
         "found "
         "\"#/$defs/b\""},
        {"{\"$defs\":{\"a\":{\"$anchor\":\"x\"},\"b\":{\"$anchor\":\"x\"}}}",
         "schema/$defs/b/$anchor: expected an anchor of its own, found one that another schema "
         "here "
         "has"},
        {"{\"$defs\":{\"a\":{\"$id\":\"x\"},\"b\":{\"$id\":\"x\"}}}",
         "schema/$defs/b/$id: expected an $id of its own, found one that another schema here has"},
        {"{\"$schema\":\"https://json-schema.org/draft/2019-09/schema\"}",
         "schema/$schema: expected the dialect 2020-12 or draft-07 of JSON Schema, found string "
         "\"https://json-schema.org/draft/2019-09/schema\""},
        {"{\"$schema\":\"http://json-schema.org/draft-07/schema#\",\"prefixItems\":[true]}",
         "schema: expected a keyword of JSON Schema draft-07, found \"prefixItems\""},
        {"{\"pattern\":\"(a\"}",
         "schema/pattern: expected a pattern of ECMA-262, found a pattern that "
         "is not valid: missing closing parenthesis"},
        {"{\"patternProperties\":{\"a**\":true}}", "schema/patternProperties: expected a pattern "
                                                   "of ECMA-262, found a quantifier with nothing "
                                                   "to repeat at character 2"},
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        struct schema *s = NULL;
        struct schema_error e;
        struct err sentence = {"accepted"};
        read_json(&schema_doc, str_of(bad[i].schema));
        if (schema_compile(&schema_doc, 0, &s, &e))
            schema_error_text(&e, "schema", &sentence);
        ck_assert_str_eq(sentence.text, bad[i].sentence);
        ck_assert_ptr_null(s);
    }
}
END_TEST

START_TEST(annotations_are_accepted)
{
    struct schema_error e;
    ck_assert_int_eq(
        run("{\"title\":\"t\",\"description\":\"d\",\"default\":1,\"examples\":[{\"$ref\":1}],"
            "\"deprecated\":true,\"readOnly\":true,\"writeOnly\":true,\"$comment\":\"c\","
            "\"format\":\"date\",\"contentEncoding\":\"base64\",\"contentMediaType\":\"a/b\","
            "\"contentSchema\":{\"type\":\"null\"},\"x-mcp-header\":{\"type\":1},"
            "\"$schema\":\"https://json-schema.org/draft/2020-12/schema\"}",
            "\"no date\"", &e),
        0);
}
END_TEST

/* The compiled schema keeps nothing of the document. */
START_TEST(schema_outlives_its_document)
{
    char text[] =
        "{\"properties\":{\"k\":{\"enum\":[\"abc\"],\"pattern\":\"^a\"}},\"required\":[\"k\"]}";
    struct json_doc d = {0};
    struct schema_error e;
    struct schema *s;
    read_json(&d, str_of(text));
    ck_assert_int_eq(schema_compile(&d, 0, &s, &e), 0);
    memset(text, 'z', sizeof(text) - 1);
    json_doc_release(&d);
    read_json(&value_doc, STR("{\"k\":\"abc\"}"));
    ck_assert_int_eq(schema_validate(s, &value_doc, 0, SCHEMA_STEPS, &e), 0);
    read_json(&value_doc, STR("{\"k\":\"abd\"}"));
    ck_assert_int_eq(schema_validate(s, &value_doc, 0, SCHEMA_STEPS, &e), -EINVAL);
    ck_assert_str_eq(e.expected, "\"abc\"");
    schema_free(s);
}
END_TEST

START_TEST(a_schema_may_stand_within_a_document)
{
    struct schema_error e;
    struct schema *s;
    read_json(&schema_doc,
              STR("{\"name\":\"t\",\"inputSchema\":{\"$defs\":{\"a\":{\"type\":\"null\"}},"
                  "\"items\":{\"$ref\":\"#/$defs/a\"}}}"));
    json_ref root = json_get(&schema_doc, 0, STR("inputSchema"));
    ck_assert_int_eq(schema_compile(&schema_doc, root, &s, &e), 0);
    read_json(&value_doc, STR("{\"x\":[null,[null,1]]}"));
    json_ref inner = json_get(&value_doc, 0, STR("x")) + 2;
    ck_assert_int_eq(schema_validate(s, &value_doc, inner, SCHEMA_STEPS, &e), -EINVAL);
    ck_assert_str_eq(e.path, "/1");
    schema_free(s);
}
END_TEST

START_TEST(root_type_is_told)
{
    static const struct {
        const char *schema;
        bool strict, loose;
    } roots[] = {{"{\"type\":\"object\"}", true, true},
                 {"{\"type\":[\"object\"]}", true, true},
                 {"{}", false, true},
                 {"true", false, true},
                 {"false", false, false},
                 {"{\"type\":[\"object\",\"null\"]}", false, false},
                 {"{\"type\":\"string\"}", false, false}};
    for (size_t i = 0; i < sizeof(roots) / sizeof(*roots); i++) {
        struct schema *s = compile_text(str_of(roots[i].schema));
        ck_assert_msg(schema_root_is_object(s, false) == roots[i].strict, "%s", roots[i].schema);
        ck_assert_msg(schema_root_is_object(s, true) == roots[i].loose, "%s", roots[i].schema);
        schema_free(s);
    }
}
END_TEST

/* ---- patterns ---- */

START_TEST(patterns_are_read_as_ecma_262)
{
    static const struct {
        const char *pattern, *yes, *no;
    } cases[] = {
        {"b", "\"abc\"", "\"ac\""},
        {"^a$", "\"a\"", "\"a\\n\""},
        {"^\\\\d$", "\"7\"", "\"\331\243\""}, /* Arabic-Indic three */
        {"^\\\\w$", "\"_\"", "\"\303\251\""}, /* e acute */
        {"^\\\\s$", "\"\\ufeff\"", "\"\\u0085\""},
        {"^[\\\\s]$", "\"\\u2003\"", "\"\\u200b\""},
        {"^\\\\S$", "\"\\u0085\"", "\"\\u00a0\""},
        {"^[\\\\S]$", "\"x\"", "\"\\u2028\""},
        {"^[\\\\s\\\\S]$", "\"\\n\"", "\"\""},
        {"^.$", "\"\360\237\230\200\"", "\"\\u2028\""},
        {"^\\\\u0041\\\\x42\\\\u{43}$", "\"ABC\"", "\"abc\""},
        {"^\\\\ud83d\\\\ude00$", "\"\360\237\230\200\"", "\"?\""},
        {"^\\\\cJ\\\\t\\\\0$", "\"\\n\\t\\u0000\"", "\"J\\t0\""},
        {"^\\\\v$", "\"\\u000b\"", "\"\\n\""},
        {"^a\\\\/b\\\\-c$", "\"a/b-c\"", "\"a\\\\/b\""},
        {"^(?<year>\\\\d{4})-\\\\k<year>$", "\"2026-2026\"", "\"2026-2025\""},
        {"^(a)?\\\\1b$", "\"b\"", "\"ab\""},
        {"^\\\\p{Letter}\\\\p{Lu}\\\\p{Script=Greek}$", "\"\303\251A\316\261\"", "\"aaa\""},
        {"^\\\\P{L}$", "\"1\"", "\"a\""},
        {"^[^]$", "\"\\n\"", "\"\""},
        {"^a[]?$", "\"a\"", "\"ab\""},
        {"^[[:alpha:]]$", "\"p]\"", "\"z\""},
        {"^[\\\\w-]+$", "\"a-b\"", "\"a+b\""},
        {"^[+-\\\\d]$", "\"-\"", "\",\""},
        {"^[\\\\b]$", "\"\\b\"", "\"b\""},
        {"^a{,3}$", "\"a{,3}\"", "\"aaa\""},
        {"^x{2,3}?$", "\"xx\"", "\"x\""},
        {"(?<!-)b", "\"ab\"", "\"-b\""},
        {"^\\\\$\\\\{\\\\}$", "\"${}\"", "\"\""},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct schema_error e;
        char schema[256];
        snprintf(schema, sizeof(schema), "{\"pattern\":\"%s\"}", cases[i].pattern);
        ck_assert_msg(run(schema, cases[i].yes, &e) == 0, "%s refuses %s", cases[i].pattern,
                      cases[i].yes);
        ck_assert_msg(run(schema, cases[i].no, &e) == -EINVAL, "%s accepts %s", cases[i].pattern,
                      cases[i].no);
    }
}
END_TEST

START_TEST(foreign_patterns_are_refused)
{
    static const char *const patterns[] = {
        "a++",       "(?>a)",  "(?i)a",       "(?P<n>a)", "(*UTF)a",         "(?#c)",
        "\\\\A",     "a\\\\Z", "\\\\Qa\\\\E", "\\\\h",    "\\\\u12",         "\\\\u{110000}",
        "\\\\ud800", "\\\\xg", "[a",          "a\\\\",    "\\\\p{Nonsense}", "\\\\pL",
        "*a",        "(?",     "(?<n",        "a{99999}", "\\\\c1",          "(?=a",
        "[b-a]",     "\\\\1",  "(a))"};
    for (size_t i = 0; i < sizeof(patterns) / sizeof(*patterns); i++) {
        char schema[256];
        struct schema *s = NULL;
        struct schema_error e;
        snprintf(schema, sizeof(schema), "{\"pattern\":\"%s\"}", patterns[i]);
        read_json(&schema_doc, str_of(schema));
        ck_assert_msg(schema_compile(&schema_doc, 0, &s, &e) == -EINVAL, "%s", patterns[i]);
        ck_assert_str_eq(e.path, "/pattern");
    }
}
END_TEST

/* ---- budgets ---- */

/* Sanitizers make everything some ten times slower; the release figure is in the report. */
enum { GENEROUS_MS = 150 };

/* The processor's time, so that a busy machine changes nothing. */
static uint64_t own_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static char *big_string(char c, size_t n, char last)
{
    char *text = malloc(n + 3);
    ck_assert_ptr_nonnull(text);
    memset(text + 1, c, n);
    text[0] = text[n + 1] = '"';
    text[n] = last;
    text[n + 2] = '\0';
    return text;
}

START_TEST(costly_patterns_end_soon)
{
    static const char *const patterns[] = {"(a+)+$",
                                           "a+$",
                                           "^(a|a)*$",
                                           "(a|aa)+$",
                                           "(?=.*b)(?=.*c)a",
                                           "^(a+)\\\\1*b?$",
                                           "(?:a{60}){60}[b-z]",
                                           "(a*)*(a*)*$",
                                           "^(([a-z])+.)+[A-Z]([a-z])+$",
                                           "(a)(?<!a)"};
    char *value = big_string('a', 100000, '!');
    for (size_t i = 0; i < sizeof(patterns) / sizeof(*patterns); i++) {
        char schema[128];
        struct schema_error e;
        snprintf(schema, sizeof(schema), "{\"pattern\":\"%s\"}", patterns[i]);
        struct schema *s = compile_text(str_of(schema));
        read_json(&value_doc, str_of(value));
        uint64_t start = own_ms();
        int r = schema_validate(s, &value_doc, 0, SCHEMA_STEPS, &e);
        uint64_t ms = own_ms() - start;
        ck_assert_msg(r == -E2BIG && e.budget, "%s: %d", patterns[i], r);
        ck_assert_msg(ms < GENEROUS_MS, "%s: %u ms", patterns[i], (unsigned)ms);
        schema_free(s);
    }
    free(value);
}
END_TEST

/* The work of many matches adds up, and a plain pattern on many strings is cheap. */
START_TEST(pattern_work_adds_up)
{
    struct buf b = BUF_INIT(1 << 20);
    struct schema_error e;
    buf_byte(&b, '[');
    for (int i = 0; i < 20000; i++)
        buf_printf(&b, "%s\"aaaaaaaaaaaaaaaaaaaaaaa!\"", i ? "," : "");
    buf_byte(&b, ']');
    const char *value = buf_cstr(&b);
    ck_assert_int_eq(run("{\"items\":{\"pattern\":\"^(a+)+$\"}}", value, &e), -E2BIG);
    ck_assert_int_eq(run("{\"items\":{\"pattern\":\"^a+!$\"}}", value, &e), 0);
    buf_release(&b);
}
END_TEST

/* $defs of k levels, each with two ways to the next: 2^k ways. */
START_TEST(exploding_schemas_end_soon)
{
    struct buf b = BUF_INIT(1 << 16);
    struct schema_error e;
    buf_lit(&b, "{\"$ref\":\"#/$defs/l0\",\"$defs\":{");
    for (int i = 0; i < 40; i++)
        buf_printf(&b,
                   "\"l%d\":{\"anyOf\":[{\"$ref\":\"#/$defs/l%d\"},{\"$ref\":\"#/$defs/l%d\"}]},",
                   i, i + 1, i + 1);
    buf_lit(&b, "\"l40\":false}}");
    uint64_t start = own_ms();
    ck_assert_int_eq(run(buf_cstr(&b), "1", &e), -E2BIG);
    ck_assert(e.budget);
    ck_assert_uint_lt(own_ms() - start, GENEROUS_MS);
    buf_release(&b);
}
END_TEST

START_TEST(steps_are_the_callers_choice)
{
    struct schema *s = compile_text(STR("{\"items\":{\"type\":\"number\"}}"));
    struct schema_error e;
    read_json(&value_doc, STR("[1,2,3,4,5,6,7,8,9]"));
    ck_assert_int_eq(schema_validate(s, &value_doc, 0, 10, &e), 0);
    ck_assert_int_eq(schema_validate(s, &value_doc, 0, 9, &e), -E2BIG);
    ck_assert(e.budget);
    ck_assert_str_eq(e.expected, "a value that is checked within 9 steps");
    schema_free(s);
}
END_TEST

/* Recursion follows the value, at most 512 schemas deep. */
START_TEST(recursion_is_bounded)
{
    char value[1025];
    struct schema_error e;
    for (int levels = 200; levels <= 512; levels += 312) {
        memset(value, '[', (size_t)levels);
        memset(value + levels, ']', (size_t)levels);
        value[2 * levels] = '\0';
        int r = run("{\"items\":{\"$ref\":\"#\"}}", value, &e);
        ck_assert_int_eq(r, levels == 200 ? 0 : -E2BIG);
    }
}
END_TEST

static int compile_many(const char *open, const char *each, int n, const char *close,
                        struct schema_error *e)
{
    struct buf b = BUF_INIT(8 << 20);
    struct schema *s = NULL;
    buf_str(&b, str_of(open));
    for (int i = 0; i < n; i++)
        buf_printf(&b, "%s%s", i ? "," : "", each);
    buf_str(&b, str_of(close));
    read_json(&schema_doc, buf_view(&b));
    int r = schema_compile(&schema_doc, 0, &s, e);
    schema_free(s);
    buf_release(&b);
    return r;
}

START_TEST(large_schemas_are_refused)
{
    struct schema_error e;
    ck_assert_int_eq(compile_many("{\"allOf\":[", "{}", 9999, "]}", &e), 0);
    ck_assert_int_eq(compile_many("{\"allOf\":[", "{}", 100000, "]}", &e), -EINVAL);
    ck_assert_str_eq(e.expected, "at most 10000 subschemas");
    ck_assert_int_eq(compile_many("{\"allOf\":[", "{\"pattern\":\"a\"}", 1001, "]}", &e), -EINVAL);
    ck_assert_str_eq(e.expected, "at most 1000 patterns");
    ck_assert_int_eq(
        compile_many("{\"allOf\":[", "{\"pattern\":\"(?:a{500}){60}\"}", 900, "]}", &e), -EINVAL);
    ck_assert_str_eq(e.found, "a larger one");
    struct buf b = BUF_INIT(1 << 16);
    for (int i = 0; i < 130; i++)
        buf_lit(&b, "{\"not\":");
    buf_lit(&b, "{}");
    for (int i = 0; i < 130; i++)
        buf_byte(&b, '}');
    struct schema *s = NULL;
    read_json(&schema_doc, buf_view(&b));
    ck_assert_int_eq(schema_compile(&schema_doc, 0, &s, &e), -EINVAL);
    ck_assert_str_eq(e.expected, "at most 128 schemas inside one another");
    buf_release(&b);
}
END_TEST

/* More members, elements and required names than fit the inline masks of 64. */
START_TEST(large_objects_are_handled)
{
    struct buf names = BUF_INIT(1 << 16), value = BUF_INIT(1 << 16), schema = BUF_INIT(1 << 17);
    struct schema_error e;
    for (int i = 0; i < 200; i++) {
        buf_printf(&names, "%s\"k%d\"", i ? "," : "", i);
        buf_printf(&value, "%s\"k%d\":%d", i ? "," : "", (i * 7) % 200, i);
    }
    buf_printf(&schema,
               "{\"required\":[%.*s],\"allOf\":[{\"patternProperties\":{\"^k\":true}}],"
               "\"unevaluatedProperties\":false}",
               (int)names.len, names.data);
    struct schema *s = compile_text(buf_view(&schema));
    char text[8192];
    snprintf(text, sizeof(text), "{%.*s}", (int)value.len, value.data);
    read_json(&value_doc, str_of(text));
    ck_assert_int_eq(schema_validate(s, &value_doc, 0, SCHEMA_STEPS, &e), 0);
    snprintf(text, sizeof(text), "{%.*s,\"z\":1}", (int)value.len, value.data);
    read_json(&value_doc, str_of(text));
    ck_assert_int_eq(schema_validate(s, &value_doc, 0, SCHEMA_STEPS, &e), -EINVAL);
    ck_assert_str_eq(e.found, "property \"z\"");
    /* Without the last member. */
    while (value.data[--value.len] != ',')
        ;
    snprintf(text, sizeof(text), "{%.*s}", (int)value.len, value.data);
    read_json(&value_doc, str_of(text));
    ck_assert_int_eq(schema_validate(s, &value_doc, 0, SCHEMA_STEPS, &e), -EINVAL);
    ck_assert_str_eq(e.found, "no \"k193\"");
    schema_free(s);
    buf_release(&names);
    buf_release(&value);
    buf_release(&schema);
}
END_TEST

/* Comparing 20,000 elements with each other by pairs would take 2 x 10^8 comparisons. */
START_TEST(unique_items_scale)
{
    struct buf b = BUF_INIT(1 << 20);
    struct schema_error e;
    buf_byte(&b, '[');
    for (int i = 0; i < 20000; i++)
        buf_printf(&b, "%s{\"n\":%d}", i ? "," : "", i);
    buf_lit(&b, "]");
    ck_assert_int_eq(run("{\"uniqueItems\":true}", buf_cstr(&b), &e), 0);
    b.len--;
    buf_lit(&b, ",{\"n\":77.0}]");
    ck_assert_int_eq(run("{\"uniqueItems\":true}", buf_cstr(&b), &e), -EINVAL);
    ck_assert_str_eq(e.path, "/20000");
    buf_release(&b);
}
END_TEST

/* One schema, several threads, each with a document of its own; what a thread needs for matching
 * goes when it ends. */
static void *validate_often(void *schema)
{
    struct json_doc d = {0};
    struct json_error je;
    struct schema_error e;
    intptr_t wrong = 0;
    for (int i = 0; i < 200; i++) {
        struct str text = i & 1 ? STR("{\"a\":\"xyz\"}") : STR("{\"a\":\"x\\u0031z\"}");
        wrong += json_read(&d, text, &json_limits_default, &je) != 0;
        wrong += schema_validate(schema, &d, 0, SCHEMA_STEPS, &e) != (i & 1 ? 0 : -EINVAL);
    }
    json_doc_release(&d);
    return (void *)wrong;
}

START_TEST(any_thread_may_validate)
{
    struct schema *s = compile_text(STR("{\"properties\":{\"a\":{\"pattern\":\"^[a-z]+$\"}}}"));
    pthread_t thread[4];
    void *wrong;
    for (int i = 0; i < 4; i++)
        ck_assert_int_eq(pthread_create(&thread[i], NULL, validate_often, s), 0);
    for (int i = 0; i < 4; i++) {
        pthread_join(thread[i], &wrong);
        ck_assert_int_eq((intptr_t)wrong, 0);
    }
    schema_free(s);
}
END_TEST

int main(int argc, char **argv)
{
    if (argc > 1 && !strcmp(argv[1], "--suite"))
        return suite(argc - 2, argv + 2);
    Suite *all = suite_create("json_schema");
    TCase *t = tcase_create("schema");
    tcase_add_test(t, scalar_keywords);
    tcase_add_test(t, container_keywords);
    tcase_add_test(t, logic_keywords);
    tcase_add_test(t, first_failure_in_document_order);
    tcase_add_test(t, error_names_the_node);
    tcase_add_test(t, long_paths_and_values_are_cut);
    tcase_add_test(t, bad_schemas_are_named);
    tcase_add_test(t, annotations_are_accepted);
    tcase_add_test(t, schema_outlives_its_document);
    tcase_add_test(t, a_schema_may_stand_within_a_document);
    tcase_add_test(t, root_type_is_told);
    tcase_add_test(t, patterns_are_read_as_ecma_262);
    tcase_add_test(t, foreign_patterns_are_refused);
    tcase_add_test(t, costly_patterns_end_soon);
    tcase_add_test(t, pattern_work_adds_up);
    tcase_add_test(t, exploding_schemas_end_soon);
    tcase_add_test(t, steps_are_the_callers_choice);
    tcase_add_test(t, recursion_is_bounded);
    tcase_add_test(t, large_schemas_are_refused);
    tcase_add_test(t, large_objects_are_handled);
    tcase_add_test(t, unique_items_scale);
    tcase_add_test(t, any_thread_may_validate);
    suite_add_tcase(all, t);
    SRunner *runner = srunner_create(all);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    json_doc_release(&schema_doc);
    json_doc_release(&value_doc);
    return failed != 0;
}
