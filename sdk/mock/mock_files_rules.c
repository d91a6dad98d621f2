/* mock_files_rules.c - what a test says about files/1: roots, rules, changes; and the end. */
#include "mock_files_parts.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct mock_files *mock_files_of(mf_mock *m)
{
    if (m->files == NULL)
        m->files = mock_checked(calloc(1, sizeof(*m->files)));
    return m->files;
}

/* Under the lock. */
struct rule **mock_files_rule(struct mock_files *f, const char *path)
{
    struct rule **at = &f->rules;
    while (*at != NULL && strcmp((*at)->path, path) != 0)
        at = &(*at)->next;
    return at;
}

static void set_rule(mf_mock *m, const char *path, const struct rule *wanted)
{
    pthread_mutex_lock(&m->lock);
    struct rule **at = mock_files_rule(mock_files_of(m), path), *old = *at;
    if (old != NULL) {
        *at = old->next;
        free(old->path);
        free(old->why);
        free(old);
    }
    if (wanted != NULL) {
        struct rule *r = mock_checked(malloc(sizeof(*r)));
        *r = *wanted;
        r->path = mock_copy((mf_bytes){path, strlen(path)});
        r->why = r->why != NULL ? mock_copy((mf_bytes){r->why, strlen(r->why)}) : NULL;
        r->next = m->files->rules;
        m->files->rules = r;
    }
    for (struct mock_op *op = m->ops; op != NULL; op = op->next)
        if (op->begun && !op->ended && strncmp(op->kind->name, "files.", 6) == 0)
            op->due = 0; /* looks again */
    pthread_cond_broadcast(&m->changed);
    pthread_mutex_unlock(&m->lock);
}

void mf_mock_files_fail(mf_mock *m, const char *path, mf_status status, int32_t error,
                        const char *why)
{
    struct rule r = {.status = status, .error = error, .why = (char *)(uintptr_t)why};
    set_rule(m, path, status != MF_OK ? &r : NULL);
}

void mf_mock_files_hang(mf_mock *m, const char *path, int32_t hang)
{
    struct rule r = {.status = MF_OK};
    set_rule(m, path, hang ? &r : NULL);
}

size_t mf_mock_files_open(mf_mock *m)
{
    size_t n = 0;
    pthread_mutex_lock(&m->lock);
    for (size_t i = 0; m->files != NULL && i < MF_FILES_OPEN_MAX; i++)
        n += m->files->file[i].path != NULL;
    pthread_mutex_unlock(&m->lock);
    return n;
}

void mf_mock_files_change(mf_mock *m, const char *path, const char *name)
{
    pthread_mutex_lock(&m->lock);
    for (struct mock_op *op = m->ops; op != NULL; op = op->next) {
        if (op->kind->fire != mock_files_watch_fire || !op->begun || op->ended ||
            strcmp(((struct files_op *)op)->path, path) != 0)
            continue;
        free(((struct files_op *)op)->change);
        ((struct files_op *)op)->change = mock_copy((mf_bytes){name, strlen(name)});
        op->due = 0;
    }
    pthread_cond_broadcast(&m->changed);
    pthread_mutex_unlock(&m->lock);
}

void mf_mock_files_grant(mf_mock *m, const char *grant, const char *directory, uint32_t flags)
{
    struct mock_files *f = mock_files_of(m);
    f->root = mock_grow(f->root, f->roots, sizeof(*f->root));
    f->root[f->roots++] =
        (struct root){.fd = -1,
                      .shown = {.size = sizeof(mf_root),
                                .flags = flags,
                                .grant = mock_copy((mf_bytes){grant, strlen(grant)}),
                                .path = mock_copy((mf_bytes){directory, strlen(directory)})}};
}

void mock_files_release(mf_mock *m)
{
    struct mock_files *f = m->files;
    if (f == NULL)
        return;
    for (uint32_t i = 0; i < f->roots; i++) {
        if (f->root[i].fd >= 0)
            close(f->root[i].fd);
        free(f->root[i].real);
        free((char *)(uintptr_t)f->root[i].shown.grant);
        free((char *)(uintptr_t)f->root[i].shown.path);
    }
    for (size_t i = 0; i < MF_FILES_OPEN_MAX; i++)
        if (f->file[i].path != NULL)
            mock_file_close(&f->file[i]);
    for (struct rule *r = f->rules, *next; r != NULL; r = next) {
        next = r->next;
        free(r->path);
        free(r->why);
        free(r);
    }
    free(f->root);
    free(f);
}
