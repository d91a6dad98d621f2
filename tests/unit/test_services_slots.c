/* The table of the memory tier against a list, with hashes that crowd together. */
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include "services/cache/slots.h"

enum { SIZE = 64, NODES = SIZE - SIZE / 8, STEPS = 200000 };

static struct slots_node node[NODES];
static bool in[NODES];
static struct slots t;

static void setup(void)
{
    ck_assert(slots_init(&t, SIZE));
    memset(in, 0, sizeof(in));
}

static void teardown(void)
{
    slots_release(&t);
}

static unsigned found(const struct slots_node *n)
{
    unsigned times = 0;
    uint64_t at = n->hash;
    for (struct slots_node *it; (it = slots_next(&t, n->hash, &at));)
        times += it == n;
    return times;
}

static void check_all(void)
{
    ck_assert(slots_check(&t));
    for (unsigned i = 0; i < NODES; i++)
        ck_assert_uint_eq(found(&node[i]), in[i]);
}

/* A few homes, most of them at the end, so that runs of words go round it; a few tags. */
static uint64_t crowded(void)
{
    uint64_t home = (uint64_t)(rand() % 3 ? SIZE - 1 - rand() % 4 : rand() % SIZE);
    return ((uint64_t)(rand() % 3) << SLOTS_TAG_SHIFT) | ((uint64_t)rand() << 8 & 0xffff00) | home;
}

START_TEST(it_finds_what_is_there_and_nothing_else)
{
    ck_assert_uint_eq(slots_max(&t), NODES);
    srand(1);
    for (unsigned step = 0; step < STEPS; step++) {
        unsigned i = (unsigned)rand() % NODES;
        if (in[i]) {
            slots_remove(&t, &node[i]);
        } else {
            node[i].hash = crowded();
            slots_add(&t, &node[i]);
        }
        in[i] = !in[i];
        if (step % 64 == 0)
            check_all();
    }
}
END_TEST

START_TEST(it_can_be_full_and_empty)
{
    for (unsigned round = 0; round < 2; round++) {
        for (unsigned i = 0; i < NODES; i++) {
            node[i].hash = crowded();
            slots_add(&t, &node[i]);
            in[i] = true;
        }
        check_all();
        for (unsigned i = 0; i < NODES; i++) {
            slots_remove(&t, &node[i]);
            in[i] = false;
        }
        check_all();
        ck_assert_uint_eq(t.count, 0);
    }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("cache slots");
    TCase *c = tcase_create("all");
    tcase_add_checked_fixture(c, setup, teardown);
    tcase_add_test(c, it_finds_what_is_there_and_nothing_else);
    tcase_add_test(c, it_can_be_full_and_empty);
    suite_add_tcase(s, c);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
