/* host/engine/post.h - the one way from other threads to the loop. */
#ifndef MANIFOLD_ENGINE_POST_H
#define MANIFOLD_ENGINE_POST_H

#include <stdbool.h>

/* Embedded in what is sent; in one queue at a time. */
struct post {
    struct post *next;
    void (*run)(struct post *p); /* on the loop; owns p from then on */
};

#endif
