/* Reads the section ".sluice" of an ELF64 shared object, and how it binds, with pread. Each offset and length is
 * checked against the file's size before it is used. Any thread. */
#include "pipeline/plugins/section.h"
#include <elf.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    HEADERS_MAX = 4096,
    NAMES_BYTES_MAX = 64 * 1024,
    HEADERS_AT_ONCE = 64,
    DYNAMIC_AT_MOST = 128 /* entries of .dynamic that are looked at */
};

#if defined(__x86_64__)
#define MACHINE EM_X86_64
#elif defined(__aarch64__)
#define MACHINE EM_AARCH64
#elif defined(__riscv)
#define MACHINE EM_RISCV
#else
#error "name this machine's ELF number"
#endif
#define DATA (__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? ELFDATA2LSB : ELFDATA2MSB)

static const struct {
    const char *name;
    uint32_t kind;
} kinds[] = {{"receiver", SL_KIND_receiver},   {"processor", SL_KIND_processor},
             {"exporter", SL_KIND_exporter},   {"connector", SL_KIND_connector},
             {"extension", SL_KIND_extension}, {"codec", SL_KIND_codec}};

const char *plugin_kind_name(uint32_t kind)
{
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (kinds[i].kind == kind)
            return kinds[i].name;
    return NULL;
}

bool plugin_name_ok(sl_bytes name)
{
    if (name.n == 0 || name.n > PLUGIN_NAME_MAX)
        return false;
    for (size_t i = 0; i < name.n; i++) {
        uint8_t c = name.p[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        if (!letter && (i == 0 || (c != '_' && !(c >= '0' && c <= '9'))))
            return false;
    }
    return true;
}

struct elf_file {
    int fd;
    uint64_t size;
};

static int32_t read_at(const struct elf_file *file, uint64_t offset, void *to, uint64_t n,
                       const char *what, sl_error *error)
{
    uint64_t end, done = 0;
    if (__builtin_add_overflow(offset, n, &end) || end > file->size)
        return sl_fail(error, SL_ERR_INVALID, "damaged: its %s lies beyond the end of the file",
                       what);
    while (done < n) {
        ssize_t got = pread(file->fd, (uint8_t *)to + done, n - done, (off_t)(offset + done));
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return sl_fail(error, SL_ERR_IO, "cannot be read: %s", strerror(errno));
        if (got == 0)
            return sl_fail(error, SL_ERR_INVALID, "became shorter while it was read");
        done += (uint64_t)got;
    }
    return SL_OK;
}

static int32_t check_header(const Elf64_Ehdr *header, sl_error *error)
{
    if (memcmp(header->e_ident, ELFMAG, SELFMAG) != 0)
        return sl_fail(error, SL_ERR_INVALID, "not a shared object (no ELF header)");
    if (header->e_ident[EI_CLASS] != ELFCLASS64 || header->e_ident[EI_DATA] != DATA)
        return sl_fail(error, SL_ERR_INVALID,
                       "for another machine: ELF class %u, byte order %u; this one has %u and %u",
                       header->e_ident[EI_CLASS], header->e_ident[EI_DATA], ELFCLASS64, DATA);
    if (header->e_machine != MACHINE)
        return sl_fail(error, SL_ERR_INVALID, "for another machine: ELF machine %u, this one is %u",
                       header->e_machine, MACHINE);
    if (header->e_type != ET_DYN)
        return sl_fail(error, SL_ERR_INVALID, "not a shared object (ELF type %u)", header->e_type);
    if (header->e_shoff == 0 || header->e_shnum == 0)
        return sl_fail(error, SL_ERR_NOT_FOUND, "not a plugin: it has no section .sluice");
    if (header->e_shentsize != sizeof(Elf64_Shdr) || header->e_shnum > HEADERS_MAX ||
        header->e_shstrndx >= header->e_shnum)
        return sl_fail(error, SL_ERR_INVALID,
                       "damaged: %u section headers of %u bytes, names in number %u",
                       header->e_shnum, header->e_shentsize, header->e_shstrndx);
    return SL_OK;
}

/* The bytes of the section .sluice: heap, never longer than its maximum. */
static int32_t read_text(const struct elf_file *file, const Elf64_Shdr *section, char **text,
                         size_t *n, sl_error *error)
{
    if (*text || section->sh_type != SHT_PROGBITS || (section->sh_flags & SHF_COMPRESSED) ||
        section->sh_size == 0 || section->sh_size > SECTION_BYTES_MAX)
        return sl_fail(
            error, SL_ERR_INVALID, "damaged: it has %s section .sluice of type %u and %llu bytes",
            *text ? "a second" : "a", section->sh_type, (unsigned long long)section->sh_size);
    *n = section->sh_size;
    *text = malloc(*n);
    return *text ? read_at(file, section->sh_offset, *text, *n, "section .sluice", error)
                 : sl_fail(error, SL_ERR_NOMEM, "no memory for its section .sluice");
}

/* Does the dynamic loader find all of the object's symbols at once (cc -Wl,-z,now)? */
static int32_t read_dynamic(const struct elf_file *file, const Elf64_Shdr *section, bool *binds_now,
                            sl_error *error)
{
    Elf64_Dyn entries[DYNAMIC_AT_MOST];
    const uint64_t bytes = section->sh_size < sizeof entries ? section->sh_size : sizeof entries;
    int32_t status = read_at(file, section->sh_offset, entries, bytes, "section .dynamic", error);
    for (size_t i = 0; status == SL_OK && i < bytes / sizeof *entries; i++) {
        const Elf64_Dyn *entry = &entries[i];
        if (entry->d_tag == DT_NULL)
            break;
        if (entry->d_tag == DT_BIND_NOW ||
            (entry->d_tag == DT_FLAGS && (entry->d_un.d_val & DF_BIND_NOW)) ||
            (entry->d_tag == DT_FLAGS_1 && (entry->d_un.d_val & DF_1_NOW)))
            *binds_now = true;
    }
    return status;
}

/* What the two sections say. */
static int32_t read_sections(const struct elf_file *file, char **text, size_t *n, bool *binds_now,
                             sl_error *error)
{
    Elf64_Ehdr header;
    Elf64_Shdr sections[HEADERS_AT_ONCE], names_section;
    char *names = NULL;
    int32_t status;
    *text = NULL;
    *binds_now = false;
    if (file->size < sizeof header)
        return sl_fail(error, SL_ERR_INVALID, "not a shared object (%llu bytes)",
                       (unsigned long long)file->size);
    status = read_at(file, 0, &header, sizeof header, "header", error);
    if (status == SL_OK)
        status = check_header(&header, error);
    if (status != SL_OK)
        return status;
    uint64_t place;
    if (__builtin_add_overflow(header.e_shoff, header.e_shstrndx * sizeof names_section, &place))
        place = UINT64_MAX;
    status = read_at(file, place, &names_section, sizeof names_section, "section table", error);
    if (status != SL_OK)
        return status;
    if (names_section.sh_size == 0 || names_section.sh_size > NAMES_BYTES_MAX)
        return sl_fail(error, SL_ERR_INVALID, "damaged: %llu bytes of section names",
                       (unsigned long long)names_section.sh_size);
    names = malloc(names_section.sh_size);
    if (!names)
        return sl_fail(error, SL_ERR_NOMEM, "no memory for %llu bytes of section names",
                       (unsigned long long)names_section.sh_size);
    status = read_at(file, names_section.sh_offset, names, names_section.sh_size,
                     "table of section names", error);
    if (status != SL_OK)
        goto out;
    names[names_section.sh_size - 1] = 0;
    for (uint32_t first = 0; first < header.e_shnum; first += HEADERS_AT_ONCE) {
        uint32_t count = header.e_shnum - first;
        if (count > HEADERS_AT_ONCE)
            count = HEADERS_AT_ONCE;
        status = read_at(file, header.e_shoff + first * sizeof *sections, sections,
                         count * sizeof *sections, "section table", error);
        if (status != SL_OK)
            goto out;
        for (uint32_t i = 0; i < count && status == SL_OK; i++) {
            const Elf64_Shdr *section = &sections[i];
            if (section->sh_type == SHT_DYNAMIC)
                status = read_dynamic(file, section, binds_now, error);
            else if (section->sh_name < names_section.sh_size &&
                     strcmp(names + section->sh_name, ".sluice") == 0)
                status = read_text(file, section, text, n, error);
        }
        if (status != SL_OK)
            goto out;
    }
    if (!*text)
        status = sl_fail(error, SL_ERR_NOT_FOUND, "not a plugin: it has no section .sluice");
out:
    if (status != SL_OK) {
        free(*text);
        *text = NULL;
    }
    free(names);
    return status;
}

/* A decimal number of at most four digits; the bytes read, 0: none there. */
static size_t parse_number(const char *p, size_t n, uint32_t *number)
{
    size_t i = 0;
    *number = 0;
    while (i < n && i < 5 && p[i] >= '0' && p[i] <= '9')
        *number = *number * 10 + (uint32_t)(p[i++] - '0');
    return i < 5 ? i : 0;
}

static int32_t parse_abi(struct section *section, const char *p, size_t n, bool *seen,
                         sl_error *error)
{
    uint32_t major, minor;
    size_t a = parse_number(p, n, &major), b = 0;
    if (a > 0 && a < n && p[a] == '.')
        b = parse_number(p + a + 1, n - a - 1, &minor);
    if (b == 0 || a + 1 + b != n)
        return sl_fail(error, SL_ERR_INVALID, "its section .sluice has the ABI version \"%.*s\"",
                       (int)n, p);
    if (*seen && (section->abi_major != major || section->abi_minor != minor))
        return sl_fail(error, SL_ERR_INVALID,
                       "its section .sluice has the ABI versions %u.%u and %u.%u",
                       section->abi_major, section->abi_minor, major, minor);
    section->abi_major = major;
    section->abi_minor = minor;
    *seen = true;
    return SL_OK;
}

static int32_t parse_type(struct section *section, const char *p, size_t n, sl_error *error)
{
    const char *colon = memchr(p, ':', n);
    size_t kind = colon ? (size_t)(colon - p) : 0;
    sl_bytes name = sl_slice(colon ? colon + 1 : p, colon ? n - kind - 1 : 0);
    struct section_type *type = &section->types[section->n_types];
    if (kind == 0 || kind >= sizeof type->kind_text || !plugin_name_ok(name))
        return sl_fail(error, SL_ERR_INVALID, "its section .sluice has the type \"%.*s\"",
                       (int)(n < 100 ? n : 100), p);
    memset(type, 0, sizeof *type);
    memcpy(type->kind_text, p, kind);
    memcpy(type->name, name.p, name.n);
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (strcmp(kinds[i].name, type->kind_text) == 0)
            type->kind = kinds[i].kind;
    for (uint32_t i = 0; i < section->n_types; i++)
        if (strcmp(section->types[i].kind_text, type->kind_text) == 0 &&
            strcmp(section->types[i].name, type->name) == 0)
            return sl_fail(error, SL_ERR_INVALID, "its section .sluice has %s:%s twice",
                           type->kind_text, type->name);
    section->n_types++;
    return SL_OK;
}

/* Lines end with NUL; several NULs stand between them where a compiler pads. A line that begins
 * with an unknown word is of a newer header, and skipped. */
static int32_t parse(struct section *section, const char *text, size_t n, sl_error *error)
{
    uint32_t lines = 0;
    bool abi = false;
    int32_t status = SL_OK;
    for (size_t i = 0; i + 5 <= n; i++)
        lines += memcmp(text + i, "type ", 5) == 0;
    if (lines > SECTION_TYPES_MAX)
        return sl_fail(error, SL_ERR_TOO_LARGE, "its section .sluice has %u types, above %u", lines,
                       (unsigned)SECTION_TYPES_MAX);
    section->types = calloc(lines ? lines : 1, sizeof *section->types);
    if (!section->types)
        return sl_fail(error, SL_ERR_NOMEM, "no memory for %u types", lines);
    for (size_t i = 0; i < n && status == SL_OK;) {
        size_t length = strnlen(text + i, n - i);
        for (size_t k = i; k < i + length; k++)
            if (text[k] < 0x20 || text[k] > 0x7e)
                return sl_fail(error, SL_ERR_INVALID,
                               "its section .sluice has the byte %u at %zu: not text",
                               (uint8_t)text[k], k);
        if (length > 4 && memcmp(text + i, "abi ", 4) == 0)
            status = parse_abi(section, text + i + 4, length - 4, &abi, error);
        else if (length > 5 && memcmp(text + i, "type ", 5) == 0)
            status = parse_type(section, text + i + 5, length - 5, error);
        i += length + 1;
    }
    if (status == SL_OK && !abi)
        status = sl_fail(error, SL_ERR_INVALID,
                         "its section .sluice has no ABI version: SL_PLUGIN is missing");
    return status;
}

int32_t section_read(int fd, struct section *section, sl_error *error)
{
    struct stat st;
    struct elf_file file = {fd, 0};
    char *text = NULL;
    size_t n = 0;
    memset(section, 0, sizeof *section);
    if (fstat(fd, &st) != 0)
        return sl_fail(error, SL_ERR_IO, "cannot be read: %s", strerror(errno));
    if (!S_ISREG(st.st_mode))
        return sl_fail(error, SL_ERR_INVALID, "not a regular file");
    file.size = (uint64_t)st.st_size;
    int32_t status = read_sections(&file, &text, &n, &section->binds_now, error);
    if (status == SL_OK)
        status = parse(section, text, n, error);
    free(text);
    if (status != SL_OK)
        section_deinit(section);
    return status;
}

void section_deinit(struct section *section)
{
    free(section->types);
    memset(section, 0, sizeof *section);
}
