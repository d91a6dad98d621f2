#include "plugin/note.h"

#include <elf.h>
#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>
#include "manifold/plugin.h"

/* Limits that no honest plugin comes near, so that a forged header costs a few reads. */
enum {
    WINDOW = 16384, /* a small library whole */
    MAX_HEADERS = 128,
    MAX_NOTE_SEGMENT = 1 << 20,
    MAX_DYNAMIC = 4096,
    MAX_PATH_TEXT = 4096,
    NOTE_NAME = 9, /* "Manifold" and its NUL */
    NOTE_DESC = 16
};
#define MAX_SPAN ((uint64_t)1 << 30)

#if defined(__x86_64__)
#define OWN_MACHINE EM_X86_64
#elif defined(__aarch64__)
#define OWN_MACHINE EM_AARCH64
#elif defined(__riscv)
#define OWN_MACHINE EM_RISCV
#else
#error "name this machine's ELF number"
#endif

static const struct {
    uint16_t number;
    const char *name;
} machines[] = {{EM_X86_64, "x86-64"}, {EM_AARCH64, "aarch64"}, {EM_386, "i386"}, {EM_ARM, "arm"},
                {EM_RISCV, "riscv"},   {EM_PPC64, "ppc64"},     {EM_S390, "s390"}};

struct elf {
    int fd;
    uint64_t size; /* of the file */
    uint32_t headers;
    Elf64_Phdr header[MAX_HEADERS];
    /* The file's bytes from window_at, so that many small reads are few system calls. */
    uint64_t window_at;
    size_t window_len;
    char window[WINDOW];
};

static const char *machine_name(unsigned number)
{
    for (size_t i = 0; i < sizeof(machines) / sizeof(machines[0]); i++) {
        if (machines[i].number == number)
            return machines[i].name;
    }
    return "another machine";
}

static int fill_window(struct elf *f, uint64_t off, struct err *e)
{
    size_t want = f->size - off < WINDOW ? (size_t)(f->size - off) : WINDOW;
    f->window_at = off;
    f->window_len = 0;
    while (f->window_len < want) {
        ssize_t r = pread(f->fd, f->window + f->window_len, want - f->window_len,
                          (off_t)(off + f->window_len));
        if (r < 0 && errno == EINTR)
            continue;
        if (r <= 0)
            return err_set(e, r < 0 ? -errno : -ENOEXEC, "cannot read it at offset %llu: %s",
                           (unsigned long long)(off + f->window_len),
                           r < 0 ? strerror(errno) : "it shrank");
        f->window_len += (size_t)r;
    }
    return 0;
}

/* All of [off, off + n), or an error: a short read means a truncated file. */
static int read_at(struct elf *f, uint64_t off, void *into, size_t n, struct err *e)
{
    if (off > f->size || n > f->size - off)
        return err_set(e, -ENOEXEC,
                       "expected a whole ELF file, found one cut short: %zu bytes at offset %llu "
                       "are beyond its end at %llu",
                       n, (unsigned long long)off, (unsigned long long)f->size);
    for (size_t done = 0; done < n;) {
        uint64_t at = off + done;
        if (at < f->window_at || at >= f->window_at + f->window_len) {
            int r = fill_window(f, at, e);
            if (r)
                return r;
        }
        size_t have = f->window_len - (size_t)(at - f->window_at);
        size_t take = n - done < have ? n - done : have;
        memcpy((char *)into + done, f->window + (at - f->window_at), take);
        done += take;
    }
    return 0;
}

static int read_header(struct elf *f, Elf64_Ehdr *h, struct err *e)
{
    if (f->size < sizeof(*h))
        return err_set(e, -ENOEXEC, "expected an ELF shared object, found a file of %llu bytes",
                       (unsigned long long)f->size);
    int r = read_at(f, 0, h, sizeof(*h), e);
    if (r)
        return r;
    if (memcmp(h->e_ident, ELFMAG, SELFMAG) != 0)
        return err_set(e, -ENOEXEC, "expected an ELF shared object, found another kind of file");
    if (h->e_ident[EI_CLASS] != ELFCLASS64 || h->e_ident[EI_DATA] != ELFDATA2LSB)
        return err_set(e, -ENOEXEC, "expected 64-bit little-endian ELF, found class %u, data %u",
                       h->e_ident[EI_CLASS], h->e_ident[EI_DATA]);
    if (h->e_machine != OWN_MACHINE)
        return err_set(e, -ENOEXEC, "expected a library for %s, found one for %s (ELF machine %u)",
                       machine_name(OWN_MACHINE), machine_name(h->e_machine), h->e_machine);
    if (h->e_type != ET_DYN)
        return err_set(e, -ENOEXEC, "expected a shared object (ELF type 3), found ELF type %u",
                       h->e_type);
    return 0;
}

static int read_program_headers(struct elf *f, struct err *e)
{
    Elf64_Ehdr h;
    int r = read_header(f, &h, e);
    if (r)
        return r;
    if (h.e_phentsize != sizeof(Elf64_Phdr) || h.e_phnum == 0 || h.e_phnum > MAX_HEADERS)
        return err_set(e, -ENOEXEC,
                       "expected 1 to %d program headers of %zu bytes, found %u of %u bytes",
                       MAX_HEADERS, sizeof(Elf64_Phdr), h.e_phnum, h.e_phentsize);
    r = read_at(f, h.e_phoff, f->header, h.e_phnum * sizeof(Elf64_Phdr), e);
    if (!r)
        f->headers = h.e_phnum;
    return r;
}

/* The dynamic linker trusts these numbers and maps what they say, so nonsense is refused here. */
static int check_segments(struct elf *f, struct err *e)
{
    uint64_t low = UINT64_MAX, high = 0;
    for (uint32_t i = 0; i < f->headers; i++) {
        const Elf64_Phdr *p = &f->header[i];
        if (p->p_type != PT_LOAD)
            continue;
        if (p->p_offset > f->size || p->p_filesz > f->size - p->p_offset)
            return err_set(e, -ENOEXEC,
                           "expected a whole ELF file, found one cut short: segment %u ends beyond "
                           "the file's %llu bytes",
                           i, (unsigned long long)f->size);
        if (p->p_memsz < p->p_filesz || p->p_memsz > MAX_SPAN || p->p_vaddr > UINT64_MAX / 2)
            return err_set(e, -ENOEXEC,
                           "expected segments of at most %llu bytes in memory, found segment %u "
                           "with %llu",
                           (unsigned long long)MAX_SPAN, i, (unsigned long long)p->p_memsz);
        low = p->p_vaddr < low ? p->p_vaddr : low;
        high = p->p_vaddr + p->p_memsz > high ? p->p_vaddr + p->p_memsz : high;
    }
    if (high == 0)
        return err_set(e, -ENOEXEC, "expected a segment to load, found none");
    if (high - low > MAX_SPAN)
        return err_set(e, -ENOEXEC, "expected at most %llu bytes to map, found %llu",
                       (unsigned long long)MAX_SPAN, (unsigned long long)(high - low));
    return 0;
}

static uint64_t align_up(uint64_t n, uint64_t align)
{
    return (n + align - 1) & ~(align - 1);
}

static int take_note(struct elf *f, uint64_t at, const Elf64_Nhdr *n, uint64_t align,
                     struct plugin_note *ret, struct err *e)
{
    uint32_t desc[NOTE_DESC / sizeof(uint32_t)];
    if (n->n_type != 1 || n->n_descsz < NOTE_DESC)
        return err_set(e, -ENOEXEC,
                       "expected the ELF note \"Manifold\" of type 1 with %d bytes, found type %u "
                       "with %u",
                       NOTE_DESC, n->n_type, n->n_descsz);
    int r = read_at(f, at + align_up(sizeof(*n) + NOTE_NAME, align), desc, sizeof(desc), e);
    if (r)
        return r;
    if (desc[0] != MF_ABI_MAJOR)
        return err_set(e, -ENOEXEC, "expected ABI major %u, found %u", MF_ABI_MAJOR, desc[0]);
    *ret = (struct plugin_note){.major = desc[0], .minor = desc[1]};
    return 1;
}

/* 1: found; 0: not in this segment; else an error.  Sizes are 32-bit and the sums 64-bit, so no
 * sum wraps. */
static int scan_notes(struct elf *f, const Elf64_Phdr *p, struct plugin_note *ret, struct err *e)
{
    uint64_t align = p->p_align == 8 ? 8 : 4;
    if (p->p_filesz > MAX_NOTE_SEGMENT)
        return err_set(e, -ENOEXEC, "expected at most %d bytes of ELF notes, found %llu",
                       MAX_NOTE_SEGMENT, (unsigned long long)p->p_filesz);
    for (uint64_t off = 0; p->p_filesz - off >= sizeof(Elf64_Nhdr);) {
        Elf64_Nhdr n;
        char name[NOTE_NAME];
        int r = read_at(f, p->p_offset + off, &n, sizeof(n), e);
        if (r)
            return r;
        uint64_t whole = align_up(align_up(sizeof(n) + n.n_namesz, align) + n.n_descsz, align);
        /* The last note's padding may be missing. */
        if (align_up(sizeof(n) + n.n_namesz, align) + n.n_descsz > p->p_filesz - off)
            return err_set(e, -ENOEXEC,
                           "expected ELF notes within their segment, found one of %llu bytes where "
                           "%llu are left",
                           (unsigned long long)whole, (unsigned long long)(p->p_filesz - off));
        if (n.n_namesz == NOTE_NAME) {
            r = read_at(f, p->p_offset + off + sizeof(n), name, sizeof(name), e);
            if (r)
                return r;
            if (memcmp(name, "Manifold", NOTE_NAME) == 0)
                return take_note(f, p->p_offset + off, &n, align, ret, e);
        }
        if (whole >= p->p_filesz - off)
            break;
        off += whole;
    }
    return 0;
}

static int find_note(struct elf *f, struct plugin_note *ret, struct err *e)
{
    for (uint32_t i = 0; i < f->headers; i++) {
        if (f->header[i].p_type != PT_NOTE)
            continue;
        int r = scan_notes(f, &f->header[i], ret, e);
        if (r)
            return r < 0 ? r : 0;
    }
    return err_set(e, -ENOEXEC,
                   "expected the ELF note \"Manifold\", found none: this is no Manifold plugin, or "
                   "it lacks MF_NOTE()");
}

/* Where the bytes of an address lie in the file; false when no segment has them. */
static bool file_offset(struct elf *f, uint64_t address, uint64_t *ret)
{
    for (uint32_t i = 0; i < f->headers; i++) {
        const Elf64_Phdr *p = &f->header[i];
        if (p->p_type == PT_LOAD && address >= p->p_vaddr && address - p->p_vaddr < p->p_filesz) {
            *ret = p->p_offset + (address - p->p_vaddr);
            return true;
        }
    }
    return false;
}

static bool in_system_directory(struct str path)
{
    static const struct str dirs[] = {
        {"/lib", 4}, {"/lib64", 6}, {"/usr/lib", 8}, {"/usr/lib64", 10}, {"/usr/local/lib", 14}};
    if (memmem(path.p, path.n, "..", 2))
        return false;
    for (size_t i = 0; i < sizeof(dirs) / sizeof(dirs[0]); i++) {
        if (str_starts(path, dirs[i]) && (path.n == dirs[i].n || path.p[dirs[i].n] == '/'))
            return true;
    }
    return false;
}

static int check_search_path(const char *tag, const char *text, struct err *e)
{
    for (const char *at = text;; at++) {
        size_t n = strcspn(at, ":");
        if (!in_system_directory((struct str){at, n}))
            return err_set(e, -ENOEXEC,
                           "expected %s within the system's library directories, found \"%s\": it "
                           "would not hold for the sealed copy that is mapped",
                           tag, text);
        at += n;
        if (!*at)
            return 0;
    }
}

/* A path in DT_NEEDED is opened as it stands, from whatever directory the host runs in. */
static int check_needed(const char *text, struct err *e)
{
    if (strchr(text, '/') && !in_system_directory(str_of(text)))
        return err_set(e, -ENOEXEC, "expected libraries by name, found the path \"%s\" in NEEDED",
                       text);
    return 0;
}

/* Reads the string of one dynamic entry and judges it. */
static int check_dynamic_string(struct elf *f, const Elf64_Dyn *d, uint64_t table,
                                uint64_t table_size, struct err *e)
{
    char text[MAX_PATH_TEXT];
    uint64_t at = d->d_un.d_val;
    if (at >= table_size || table > f->size || at >= f->size - table)
        return err_set(e, -ENOEXEC, "expected dynamic strings within their table, found %llu",
                       (unsigned long long)at);
    uint64_t left = table_size - at < f->size - table - at ? table_size - at : f->size - table - at;
    size_t n = left < sizeof(text) ? (size_t)left : sizeof(text);
    int r = read_at(f, table + at, text, n, e);
    if (r)
        return r;
    if (!memchr(text, 0, n))
        return err_set(e, -ENOEXEC, "expected dynamic strings of less than %d bytes, found longer",
                       MAX_PATH_TEXT);
    if (d->d_tag == DT_NEEDED)
        return check_needed(text, e);
    return check_search_path(d->d_tag == DT_RPATH ? "RPATH" : "RUNPATH", text, e);
}

static int read_dynamic_entry(struct elf *f, const Elf64_Phdr *p, uint64_t i, Elf64_Dyn *ret,
                              struct err *e)
{
    if ((i + 1) * sizeof(*ret) > p->p_filesz) {
        ret->d_tag = DT_NULL;
        return 0;
    }
    if (i >= MAX_DYNAMIC)
        return err_set(e, -ENOEXEC, "expected at most %d dynamic entries, found more", MAX_DYNAMIC);
    return read_at(f, p->p_offset + i * sizeof(*ret), ret, sizeof(*ret), e);
}

static int check_dynamic(struct elf *f, const Elf64_Phdr *p, struct err *e)
{
    Elf64_Dyn d;
    uint64_t address = 0, size = 0, table = 0;
    int r;
    for (uint64_t i = 0; (r = read_dynamic_entry(f, p, i, &d, e)) == 0 && d.d_tag != DT_NULL; i++) {
        if (d.d_tag == DT_STRTAB)
            address = d.d_un.d_ptr;
        else if (d.d_tag == DT_STRSZ)
            size = d.d_un.d_val;
    }
    if (r)
        return r;
    if (!file_offset(f, address, &table))
        return err_set(e, -ENOEXEC, "expected a table of dynamic strings, found none in the file");
    for (uint64_t i = 0; (r = read_dynamic_entry(f, p, i, &d, e)) == 0 && d.d_tag != DT_NULL; i++) {
        if (d.d_tag != DT_RPATH && d.d_tag != DT_RUNPATH && d.d_tag != DT_NEEDED)
            continue;
        r = check_dynamic_string(f, &d, table, size, e);
        if (r)
            return r;
    }
    return r;
}

int plugin_note_read(int fd, struct plugin_note *ret, struct err *e)
{
    struct stat st;
    if (fstat(fd, &st) < 0)
        return err_set(e, -errno, "cannot stat it: %s", strerror(errno));
    struct elf f; /* its arrays are filled as far as they are used */
    f.fd = fd;
    f.size = st.st_size < 0 ? 0 : (uint64_t)st.st_size;
    f.headers = 0;
    f.window_at = f.window_len = 0;
    struct plugin_note note;
    int r = read_program_headers(&f, e);
    if (!r)
        r = check_segments(&f, e);
    if (!r)
        r = find_note(&f, &note, e);
    for (uint32_t i = 0; !r && i < f.headers; i++) {
        if (f.header[i].p_type == PT_DYNAMIC)
            r = check_dynamic(&f, &f.header[i], e);
    }
    if (!r)
        *ret = note;
    return r;
}
