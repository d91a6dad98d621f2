/* host/base/list.h - intrusive doubly linked list; a node is in one list at a time. */
#ifndef MANIFOLD_BASE_LIST_H
#define MANIFOLD_BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct list {
    struct list *prev, *next; /* head: to itself when empty; node: NULL when in none */
};

#define container_of(ptr, type, field) ((type *)(void *)((char *)(ptr)-offsetof(type, field)))
#define list_each(it, head)            for (struct list *it = (head)->next; it != (head); it = it->next)
/* The node under the iterator may be removed. */
#define list_each_safe(it, head)                                           \
    for (struct list *it = (head)->next, *it##_n = it->next; it != (head); \
         it = it##_n, it##_n = it->next)

static inline void list_init(struct list *head)
{
    head->prev = head->next = head;
}

static inline bool list_empty(const struct list *head)
{
    return head->next == head;
}

static inline bool list_linked(const struct list *node)
{
    return node->next != NULL;
}

static inline void list_append(struct list *head, struct list *node)
{
    node->prev = head->prev;
    node->next = head;
    head->prev->next = node;
    head->prev = node;
}

/* Removing a node that is in no list does nothing. */
static inline void list_remove(struct list *node)
{
    if (!node->next)
        return;
    node->prev->next = node->next;
    node->next->prev = node->prev;
    node->prev = node->next = NULL;
}

/* The first node, taken out; NULL when empty. */
static inline struct list *list_pop(struct list *head)
{
    if (list_empty(head))
        return NULL;
    struct list *node = head->next;
    list_remove(node);
    return node;
}

#endif
