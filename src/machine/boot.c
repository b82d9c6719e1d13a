/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Opening the files of a boot, telling what kind of kernel it is, and loading it.
 *
 * Everything that the files say about sizes and places is read and checked once, when
 * they are opened; a reset uses what was found then, so that a file that changes later
 * can give other bytes to the guest, or end early, and nothing else.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "berth/boot.h"
#include "berth/error.h"

#include "boot-image.h"

/* Enough for the headers of every format, and for telling what a wrong file is. */
#define HEAD_SIZE 4096

/* Files that are taken for kernels by mistake. */
typedef struct Mistake {
    size_t offset;
    size_t size;
    const char *magic;
    const char *what;
} Mistake;

static const Mistake mistakes[] = {
    { 0, 2, "\x1f\x8b", "compressed with gzip; uncompress it first" },
    { 0, 6, "\xfd" "7zXZ\0", "compressed with xz; uncompress it first" },
    { 0, 4, "\x28\xb5\x2f\xfd", "compressed with zstd; uncompress it first" },
    { 0, 3, "BZh", "compressed with bzip2; uncompress it first" },
    { 0, 4, "\x02\x21\x4c\x18", "compressed with lz4; uncompress it first" },
    { 0, 4, "\x04\x22\x4d\x18", "compressed with lz4; uncompress it first" },
    { 0, 4, "\x89LZO", "compressed with lzo; uncompress it first" },
    { 56, 4, "ARM\x64", "an arm64 kernel; x86 is needed" },
    { 56, 4, "RSC\x05", "a RISC-V kernel; x86 is needed" },
    { 0, 4, "\x27\x05\x19\x56", "a U-Boot image, which is not a kernel of x86" },
    { 0, 4, "QFI\xfb", "a qcow2 disk image, not a kernel" },
    { 0, 6, "070701", "a cpio archive, as for -initrd, not a kernel" },
    { 510, 2, "\x55\xaa", "a boot sector, or a kernel older than boot protocol 2.00" },
    { 0, 2, "MZ", "an EFI application without the setup header of a Linux kernel" },
};

static const BootFormat *const formats[] = {
    &boot_bzimage_format,
    &boot_elf_format,
};

/* The message follows "kernel 'PATH': " or "initrd 'PATH': ". */
static bool open_file(BootFile *file, const char *path, GError **error)
{
    struct stat st;

    file->path = g_strdup(path);
    /* O_NONBLOCK: a FIFO would block until someone writes to it. */
    file->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (file->fd < 0 || fstat(file->fd, &st) < 0) {
        error_set_errno(error, errno, "cannot open");
        return false;
    }
    if (!S_ISREG(st.st_mode)) {
        error_set(error, "not a regular file");
        return false;
    }
    if (st.st_size == 0) {
        error_set(error, "the file is empty");
        return false;
    }
    file->size = (uint64_t)st.st_size;
    return true;
}

static void tell_mistake(const uint8_t *head, size_t size, GError **error)
{
    for (size_t i = 0; i < G_N_ELEMENTS(mistakes); i++) {
        const Mistake *m = &mistakes[i];

        if (m->offset + m->size <= size &&
            memcmp(head + m->offset, m->magic, m->size) == 0) {
            error_set(error, "%s", m->what);
            return;
        }
    }
    error_set(error, "not a kernel: neither a bzImage nor an ELF file");
}

static bool parse_kernel(BootImage *image, GError **error)
{
    uint8_t head[HEAD_SIZE];
    ssize_t n = pread(image->kernel.fd, head, sizeof head, 0);

    if (n < 0) {
        error_set_errno(error, errno, "cannot read");
        return false;
    }
    for (size_t i = 0; i < G_N_ELEMENTS(formats); i++) {
        if (formats[i]->matches(head, (size_t)n)) {
            image->format = formats[i];
            return formats[i]->parse(image, head, (size_t)n, error);
        }
    }
    tell_mistake(head, (size_t)n, error);
    return false;
}

static bool set_cmdline(BootImage *image, const char *cmdline, GError **error)
{
    image->cmdline = g_strdup(cmdline ? cmdline : "");
    if (strlen(image->cmdline) < BOOT_CMDLINE_SIZE)
        return true;
    error_set(error, "the kernel's command line has %zu bytes, at most %u are possible",
              strlen(image->cmdline), BOOT_CMDLINE_SIZE - 1);
    return false;
}

BootImage *boot_image_open(const char *kernel, const char *initrd, const char *cmdline,
                           GError **error)
{
    g_autoptr(BootImage) image = g_new0(BootImage, 1);

    image->kernel.fd = -1;
    image->initrd.fd = -1;
    if (!set_cmdline(image, cmdline, error))
        return NULL;
    if (!open_file(&image->kernel, kernel, error) || !parse_kernel(image, error)) {
        g_prefix_error(error, "kernel '%s': ", kernel);
        return NULL;
    }
    if (initrd && !open_file(&image->initrd, initrd, error)) {
        g_prefix_error(error, "initrd '%s': ", initrd);
        return NULL;
    }
    return g_steal_pointer(&image);
}

void boot_image_free(BootImage *image)
{
    if (!image)
        return;
    base_close_fd(&image->kernel.fd);
    base_close_fd(&image->initrd.fd);
    g_free(image->kernel.path);
    g_free(image->initrd.path);
    g_free(image->cmdline);
    g_free(image);
}

bool boot_image_load(const BootImage *image, const BootTarget *target,
                     VcpuBoot *ret_boot, GError **error)
{
    g_assert(target->map->n <= BOOT_MEMORY_MAX);
    if (!boot_ram_is_usable(target, (BootRange){ BOOT_GDT, BOOT_LOW_END - BOOT_GDT })) {
        error_set(error, "the guest's memory is too small to boot '%s'",
                  image->kernel.path);
        return false;
    }
    return image->format->load(image, target, ret_boot, error);
}
