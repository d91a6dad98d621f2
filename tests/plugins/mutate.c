/* mutate KIND GOOD.so OUT.so - makes damaged ELF files out of a good plugin, at build time. */
#include <elf.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char *bytes;
static size_t size;

static int fail(const char *what)
{
    fprintf(stderr, "mutate: %s\n", what);
    return 1;
}

/* Headers are copied out and in, since nothing says that the buffer is aligned for them. */
static int change_header(uint32_t type, void (*change)(Elf64_Phdr *))
{
    Elf64_Ehdr h;
    memcpy(&h, bytes, sizeof(h));
    for (unsigned i = 0; i < h.e_phnum; i++) {
        Elf64_Phdr p;
        char *at = bytes + h.e_phoff + i * sizeof(p);
        memcpy(&p, at, sizeof(p));
        if (p.p_type != type)
            continue;
        change(&p);
        memcpy(at, &p, sizeof(p));
        return 0;
    }
    return fail("no such program header");
}

static void huge_memsz(Elf64_Phdr *p)
{
    p->p_memsz = UINT64_MAX - 4096;
}

static void lost_dynamic(Elf64_Phdr *p)
{
    p->p_offset = UINT64_MAX - 15;
}

/* The first note of the file claims a name of 4 GiB. */
static int huge_note(void)
{
    Elf64_Ehdr h;
    memcpy(&h, bytes, sizeof(h));
    for (unsigned i = 0; i < h.e_phnum; i++) {
        Elf64_Phdr p;
        uint32_t huge = UINT32_MAX;
        memcpy(&p, bytes + h.e_phoff + i * sizeof(p), sizeof(p));
        if (p.p_type != PT_NOTE)
            continue;
        memcpy(bytes + p.p_offset, &huge, sizeof(huge));
        return 0;
    }
    return fail("no note");
}

static int other_machine(void)
{
    uint16_t machine = EM_S390;
    memcpy(bytes + offsetof(Elf64_Ehdr, e_machine), &machine, sizeof(machine));
    return 0;
}

static int mutate(const char *kind)
{
    if (strcmp(kind, "truncated") == 0) {
        size /= 2;
        return 0;
    }
    if (strcmp(kind, "huge_memsz") == 0)
        return change_header(PT_LOAD, huge_memsz);
    if (strcmp(kind, "huge_note") == 0)
        return huge_note();
    if (strcmp(kind, "lost_dynamic") == 0)
        return change_header(PT_DYNAMIC, lost_dynamic);
    if (strcmp(kind, "other_machine") == 0)
        return other_machine();
    if (strcmp(kind, "not_elf") == 0) {
        memcpy(bytes, "#!/bin/sh\necho hello\n", 21);
        size = 21;
        return 0;
    }
    if (strcmp(kind, "empty") == 0) {
        size = 0;
        return 0;
    }
    return fail("unknown kind");
}

int main(int argc, char **argv)
{
    if (argc != 4)
        return fail("usage: mutate KIND GOOD.so OUT.so");
    FILE *in = fopen(argv[2], "rb");
    if (!in || fseek(in, 0, SEEK_END))
        return fail("cannot read the plugin");
    long n = ftell(in);
    rewind(in);
    size = n > 0 ? (size_t)n : 0;
    bytes = malloc(size + 1);
    if (!bytes || size < sizeof(Elf64_Ehdr) || fread(bytes, 1, size, in) != size)
        return fail("cannot read the plugin");
    fclose(in);
    if (mutate(argv[1]))
        return 1;
    FILE *out = fopen(argv[3], "wb");
    if (!out || fwrite(bytes, 1, size, out) != size || fclose(out))
        return fail("cannot write the result");
    free(bytes);
    return 0;
}
