#include "services/cache/slots.h"

#include <stdlib.h>
#include "base/bug.h"

bool slots_init(struct slots *t, uint64_t size)
{
    *t = (struct slots){.word = calloc(size, sizeof(*t->word)), .size = size};
    return t->word != NULL;
}

void slots_release(struct slots *t)
{
    free(t->word);
    *t = (struct slots){0};
}

static struct slots_node *node_of(uint64_t word)
{
    uint64_t at = 0;
    struct slots one = {&word, 1, 1};
    return slots_next(&one, word, &at);
}

void slots_add(struct slots *t, struct slots_node *n)
{
    uint64_t at = n->hash, address = (uintptr_t)n;
    BUG_ON(t->count >= slots_max(t) || address >> SLOTS_TAG_SHIFT);
    while (t->word[at & (t->size - 1)])
        at++;
    t->word[at & (t->size - 1)] = (n->hash >> SLOTS_TAG_SHIFT << SLOTS_TAG_SHIFT) | address;
    t->count++;
}

/* Those behind the hole that would not be found across it move up (Knuth, volume 3, 6.4, R). */
void slots_remove(struct slots *t, const struct slots_node *n)
{
    uint64_t mask = t->size - 1, hole = n->hash, word;
    while (node_of(t->word[hole & mask]) != n)
        hole++;
    for (uint64_t at = hole + 1; (word = t->word[at & mask]); at++) {
        uint64_t probed = (at - node_of(word)->hash) & mask;
        if (probed < at - hole)
            continue;
        t->word[hole & mask] = word;
        hole = at;
    }
    t->word[hole & mask] = 0;
    t->count--;
}

bool slots_check(const struct slots *t)
{
    uint64_t count = 0;
    for (uint64_t i = 0; i < t->size; i++) {
        struct slots_node *n = t->word[i] ? node_of(t->word[i]) : NULL, *found = n;
        uint64_t at = n ? n->hash : 0;
        while (found && (found = slots_next(t, n->hash, &at)) != n)
            ;
        if (n && !found)
            return false;
        count += n != NULL;
    }
    return count == t->count;
}
