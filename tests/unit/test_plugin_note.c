/* The ELF note reader against files made here, byte by byte (System V gABI, chapters 4 and 5). */
#include <check.h>
#include <elf.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>
#include "plugin/note.h"

#if defined(__x86_64__)
#define MACHINE EM_X86_64
#else
#define MACHINE EM_AARCH64
#endif

/* A small shared object: one PT_LOAD over all of it, notes, dynamic section, strings. */
struct image {
    Elf64_Ehdr header;
    Elf64_Phdr load, note, dynamic;
    struct {
        uint32_t namesz, descsz, type;
        char name[4];
        uint32_t desc[1];
    } first; /* somebody else's note */
    struct {
        uint32_t namesz, descsz, type;
        char name[12];
        uint32_t desc[4];
    } ours;
    uint32_t padding; /* Elf64_Dyn begins on a multiple of 8 */
    Elf64_Dyn dyn[5];
    char strings[128];
};

enum { ADDRESS = 0x10000 };

static struct image good(void)
{
    struct image m;
    memset(&m, 0, sizeof(m));
    memcpy(m.header.e_ident, ELFMAG, SELFMAG);
    m.header.e_ident[EI_CLASS] = ELFCLASS64;
    m.header.e_ident[EI_DATA] = ELFDATA2LSB;
    m.header.e_type = ET_DYN;
    m.header.e_machine = MACHINE;
    m.header.e_phoff = offsetof(struct image, load);
    m.header.e_phentsize = sizeof(Elf64_Phdr);
    m.header.e_phnum = 3;
    m.load = (Elf64_Phdr){
        .p_type = PT_LOAD, .p_vaddr = ADDRESS, .p_filesz = sizeof(m), .p_memsz = sizeof(m) + 64};
    m.note = (Elf64_Phdr){.p_type = PT_NOTE,
                          .p_offset = offsetof(struct image, first),
                          .p_filesz = sizeof(m.first) + sizeof(m.ours),
                          .p_align = 4};
    m.dynamic = (Elf64_Phdr){
        .p_type = PT_DYNAMIC, .p_offset = offsetof(struct image, dyn), .p_filesz = sizeof(m.dyn)};
    m.first.namesz = 4;
    m.first.descsz = 4;
    m.first.type = 1;
    memcpy(m.first.name, "GNU", 4);
    m.ours.namesz = 9;
    m.ours.descsz = 16;
    m.ours.type = 1;
    memcpy(m.ours.name, "Manifold", 9);
    m.ours.desc[0] = 1;
    m.ours.desc[1] = 4;
    m.dyn[0] =
        (Elf64_Dyn){.d_tag = DT_STRTAB, .d_un.d_ptr = ADDRESS + offsetof(struct image, strings)};
    m.dyn[1] = (Elf64_Dyn){.d_tag = DT_STRSZ, .d_un.d_val = sizeof(m.strings)};
    m.dyn[2] = (Elf64_Dyn){.d_tag = DT_NEEDED, .d_un.d_val = 1};
    m.dyn[3] = (Elf64_Dyn){.d_tag = DT_RUNPATH, .d_un.d_val = 32};
    memcpy(m.strings + 1, "libc.so.6", 9);
    memcpy(m.strings + 32, "/usr/lib/manifold", 17);
    return m;
}

static int read_bytes(const void *p, size_t n, struct plugin_note *note, struct err *e)
{
    int fd = memfd_create("image", MFD_CLOEXEC);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, p, n), (ssize_t)n);
    e->text[0] = 0;
    int r = plugin_note_read(fd, note, e);
    /* pread() only: the offset is where the writer left it. */
    ck_assert_int_eq(lseek(fd, 0, SEEK_CUR), (off_t)n);
    close(fd);
    return r;
}

static int read_image(const struct image *m, struct plugin_note *note, struct err *e)
{
    return read_bytes(m, sizeof(*m), note, e);
}

static void refused(const struct image *m, const char *fragment)
{
    struct plugin_note note = {77, 77};
    struct err e;
    ck_assert_int_eq(read_image(m, &note, &e), -ENOEXEC);
    ck_assert_msg(strstr(e.text, fragment) != NULL, "expected \"%s\" in \"%s\"", fragment, e.text);
    ck_assert_msg(note.major == 77, "the out-parameter was touched on failure");
}

START_TEST(a_good_file_gives_major_and_minor)
{
    struct image m = good();
    struct plugin_note note;
    struct err e;
    int r = read_image(&m, &note, &e);
    ck_assert_msg(r == 0, "%s", e.text);
    ck_assert_uint_eq(note.major, 1);
    ck_assert_uint_eq(note.minor, 4);
}
END_TEST

START_TEST(the_wrong_major_is_named)
{
    struct image m = good();
    m.ours.desc[0] = 2;
    refused(&m, "expected ABI major 1, found 2");
}
END_TEST

START_TEST(a_missing_note_has_its_own_sentence)
{
    struct image m = good();
    m.ours.name[0] = 'm';
    refused(&m, "expected the ELF note \"Manifold\", found none");
    m = good();
    m.note.p_type = PT_NULL;
    refused(&m, "expected the ELF note \"Manifold\", found none");
}
END_TEST

START_TEST(note_sizes_are_distrusted)
{
    struct image m = good();
    m.first.namesz = UINT32_MAX;
    refused(&m, "expected ELF notes within their segment");
    m = good();
    m.first.descsz = UINT32_MAX;
    refused(&m, "expected ELF notes within their segment");
    m = good();
    m.ours.descsz = 12;
    refused(&m, "found type 1 with 12");
    m = good();
    m.ours.descsz = 20;
    refused(&m, "expected ELF notes within their segment");
    m = good();
    m.ours.type = 2;
    refused(&m, "found type 2 with 16");
    m = good();
    m.note.p_filesz = UINT64_MAX;
    refused(&m, "bytes of ELF notes");
    m = good();
    m.note.p_offset = UINT64_MAX - 3;
    refused(&m, "expected a whole ELF file");
    m = good();
    m.note.p_offset = sizeof(m) - 8;
    refused(&m, "expected a whole ELF file");
}
END_TEST

START_TEST(the_header_is_checked)
{
    struct image m = good();
    m.header.e_ident[0] = 0;
    refused(&m, "another kind of file");
    m = good();
    m.header.e_ident[EI_CLASS] = ELFCLASS32;
    refused(&m, "found class 1");
    m = good();
    m.header.e_ident[EI_DATA] = ELFDATA2MSB;
    refused(&m, "data 2");
    m = good();
    m.header.e_machine = EM_S390;
    refused(&m, "found one for s390");
    m = good();
    m.header.e_machine = 60000;
    refused(&m, "another machine (ELF machine 60000)");
    m = good();
    m.header.e_type = ET_EXEC;
    refused(&m, "found ELF type 2");
    m = good();
    m.header.e_phnum = 0;
    refused(&m, "1 to 128 program headers");
    m.header.e_phnum = 129;
    refused(&m, "1 to 128 program headers");
    m = good();
    m.header.e_phentsize = 55;
    refused(&m, "of 55 bytes");
    m = good();
    m.header.e_phoff = UINT64_MAX - 8;
    refused(&m, "expected a whole ELF file");
}
END_TEST

START_TEST(segments_are_checked)
{
    struct image m = good();
    m.load.p_filesz++;
    refused(&m, "cut short: segment 0");
    m = good();
    m.load.p_offset = UINT64_MAX;
    refused(&m, "cut short: segment 0");
    m = good();
    m.load.p_memsz = UINT64_MAX;
    refused(&m, "found segment 0 with");
    m = good();
    m.load.p_memsz = 1;
    refused(&m, "found segment 0 with 1");
    m = good();
    m.load.p_vaddr = UINT64_MAX - 4;
    refused(&m, "found segment 0");
    m = good();
    m.load.p_type = PT_NULL;
    refused(&m, "expected a segment to load");
    /* Two small segments far from each other still ask for all that lies between. */
    m = good();
    m.dynamic = (Elf64_Phdr){.p_type = PT_LOAD, .p_vaddr = (uint64_t)2 << 30, .p_memsz = 64};
    refused(&m, "bytes to map");
}
END_TEST

START_TEST(every_shorter_file_is_refused)
{
    struct image m = good();
    for (size_t n = 0; n < sizeof(m); n++) {
        struct plugin_note note;
        struct err e;
        ck_assert_msg(read_bytes(&m, n, &note, &e) == -ENOEXEC, "%zu bytes were accepted", n);
    }
}
END_TEST

static int with_path(int64_t tag, const char *path, struct err *e)
{
    struct image m = good();
    struct plugin_note note;
    m.dyn[3].d_tag = tag;
    memset(m.strings + 32, 0, sizeof(m.strings) - 32);
    memcpy(m.strings + 32, path, strlen(path));
    return read_image(&m, &note, e);
}

START_TEST(run_paths_outside_the_system_are_refused)
{
    static const char *const bad[] = {"$ORIGIN",   "${ORIGIN}/lib",      "",        "/usr/lib:",
                                      ":/usr/lib", "/usr/lib:$ORIGIN",   "/home/x", "/tmp",
                                      "/usr/libx", "/usr/lib/../../tmp", "lib",     "./",
                                      "/libx",     "/usr/lib64x",        "/"};
    static const char *const fine[] = {"/lib", "/usr/lib", "/usr/lib/x86_64-linux-gnu:/lib64",
                                       "/usr/local/lib/foo"};
    struct err e;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        ck_assert_msg(with_path(DT_RUNPATH, bad[i], &e) == -ENOEXEC, "accepted \"%s\"", bad[i]);
        ck_assert_ptr_nonnull(strstr(e.text, "expected RUNPATH within"));
        ck_assert_msg(with_path(DT_RPATH, bad[i], &e) == -ENOEXEC, "accepted \"%s\"", bad[i]);
        ck_assert_ptr_nonnull(strstr(e.text, "expected RPATH within"));
    }
    for (size_t i = 0; i < sizeof(fine) / sizeof(fine[0]); i++)
        ck_assert_msg(with_path(DT_RUNPATH, fine[i], &e) == 0, "%s", e.text);
}
END_TEST

START_TEST(needed_libraries_go_by_name)
{
    struct err e;
    ck_assert_int_eq(with_path(DT_NEEDED, "libm.so.6", &e), 0);
    ck_assert_int_eq(with_path(DT_NEEDED, "/usr/lib/libm.so.6", &e), 0);
    ck_assert_int_eq(with_path(DT_NEEDED, "./evil.so", &e), -ENOEXEC);
    ck_assert_ptr_nonnull(strstr(e.text, "./evil.so"));
    ck_assert_int_eq(with_path(DT_NEEDED, "/tmp/evil.so", &e), -ENOEXEC);
}
END_TEST

START_TEST(the_dynamic_section_is_distrusted)
{
    struct image m = good();
    m.dyn[3].d_un.d_val = sizeof(m.strings);
    refused(&m, "dynamic strings within their table");
    m = good();
    m.dyn[3].d_un.d_val = UINT64_MAX;
    refused(&m, "dynamic strings within their table");
    m = good();
    m.dyn[1].d_un.d_val = UINT64_MAX;
    m.dyn[3].d_un.d_val = UINT64_MAX - 1;
    refused(&m, "dynamic strings within their table");
    m = good();
    memset(m.strings + 32, 'x', sizeof(m.strings) - 32);
    refused(&m, "expected dynamic strings of less than");
    m = good();
    m.dyn[0].d_un.d_ptr = 1;
    refused(&m, "table of dynamic strings");
    m = good();
    m.dynamic.p_offset = UINT64_MAX - 7;
    refused(&m, "expected a whole ELF file");
}
END_TEST

/* Whatever single bytes say, the reader comes back with an answer and stays in bounds (ASan). */
START_TEST(random_damage_is_survived)
{
    unsigned seed = 20261122;
    int accepted = 0;
    for (int i = 0; i < 20000; i++) {
        struct image m = good();
        struct plugin_note note;
        struct err e;
        int changes = 1 + rand_r(&seed) % 3;
        for (int k = 0; k < changes; k++)
            ((unsigned char *)&m)[(size_t)rand_r(&seed) % sizeof(m)] = (unsigned char)rand_r(&seed);
        int r = read_image(&m, &note, &e);
        ck_assert_msg(r == 0 || e.text[0], "refused without a sentence (round %d)", i);
        ck_assert_msg(r != 0 || note.major == 1, "another major was accepted (round %d)", i);
        accepted += r == 0;
    }
    /* Otherwise nothing but the first check was tried. */
    ck_assert_int_gt(accepted, 100);
    ck_assert_int_lt(accepted, 19000);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("plugin note");
    TCase *c = tcase_create("note");
    tcase_set_timeout(c, 60);
    tcase_add_test(c, a_good_file_gives_major_and_minor);
    tcase_add_test(c, the_wrong_major_is_named);
    tcase_add_test(c, a_missing_note_has_its_own_sentence);
    tcase_add_test(c, note_sizes_are_distrusted);
    tcase_add_test(c, the_header_is_checked);
    tcase_add_test(c, segments_are_checked);
    tcase_add_test(c, every_shorter_file_is_refused);
    tcase_add_test(c, run_paths_outside_the_system_are_refused);
    tcase_add_test(c, needed_libraries_go_by_name);
    tcase_add_test(c, the_dynamic_section_is_distrusted);
    tcase_add_test(c, random_damage_is_survived);
    suite_add_tcase(s, c);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? 1 : 0;
}
