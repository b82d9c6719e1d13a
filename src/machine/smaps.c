/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A mapping begins with a line of addresses, which are in small letters; lines of its
 * sizes follow, whose names begin with a capital.  What is not known is passed over:
 * kernels add lines.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "berth/smaps.h"

#define PIECE (16 * KIB)

void smaps_begin(SmapsReader *reader, SmapsFn *fn, void *opaque)
{
    reader->fn = fn;
    reader->opaque = opaque;
    reader->has_mapping = false;
    reader->used = 0;
}

void smaps_end(SmapsReader *reader)
{
    if (reader->has_mapping)
        reader->fn(reader->opaque, &reader->mapping);
    reader->has_mapping = false;
}

static void begin_mapping(SmapsReader *reader, const char *line)
{
    SmapsMapping mapping = { 0 };
    char access[5] = "";
    unsigned long inode = 0;
    int name = 0;

    if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %4s %*x %*s %lu %n", &mapping.start,
               &mapping.end, access, &inode, &name) < 4)
        return;
    smaps_end(reader);
    mapping.is_guard = strncmp(access, "---", 3) == 0;
    mapping.is_file = inode != 0;
    if (name > 0)
        g_strlcpy(mapping.name, line + name, sizeof(mapping.name));
    reader->mapping = mapping;
    reader->has_mapping = true;
}

static void add_size(SmapsMapping *mapping, const char *name, uint64_t bytes)
{
    const struct {
        const char *name;
        uint64_t *sums[2];
    } sizes[] = {
        { "Rss", { &mapping->resident } },
        { "Private_Clean", { &mapping->private } },
        { "Private_Dirty", { &mapping->private } },
        { "Private_Hugetlb", { &mapping->private, &mapping->resident } },
        { "Shared_Clean", { &mapping->shared } },
        { "Shared_Dirty", { &mapping->shared } },
        { "Shared_Hugetlb", { &mapping->shared, &mapping->resident } },
        { "Swap", { &mapping->swapped } },
        { "KSM", { &mapping->merged } },
        { "AnonHugePages", { &mapping->huge } },
        { "ShmemPmdMapped", { &mapping->huge } },
        { "FilePmdMapped", { &mapping->huge } },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(sizes); i++) {
        if (strcmp(sizes[i].name, name) != 0)
            continue;
        for (size_t k = 0; k < G_N_ELEMENTS(sizes[i].sums) && sizes[i].sums[k]; k++)
            *sizes[i].sums[k] += bytes;
    }
}

static void take_line(SmapsReader *reader, char *line)
{
    char *colon = strchr(line, ':');
    uint64_t kib;

    if (!g_ascii_isupper(line[0])) {
        begin_mapping(reader, line);
        return;
    }
    if (!reader->has_mapping || !colon || sscanf(colon, ": %" SCNu64, &kib) != 1)
        return;
    *colon = '\0';
    add_size(&reader->mapping, line, kib * KIB);
}

/* The rest of a line that is too long is dropped: only a name is so long. */
void smaps_feed(SmapsReader *reader, const char *text, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (text[i] == '\n') {
            reader->line[reader->used] = '\0';
            reader->used = 0;
            take_line(reader, reader->line);
        } else if (reader->used < sizeof(reader->line) - 1) {
            reader->line[reader->used++] = text[i];
        }
    }
}

int smaps_read_own(SmapsFn *fn, void *opaque)
{
    g_autofd int fd = open("/proc/self/smaps", O_RDONLY | O_CLOEXEC);
    char piece[PIECE];
    SmapsReader reader;
    ssize_t n;

    if (fd < 0)
        return -errno;
    smaps_begin(&reader, fn, opaque);
    do {
        n = read(fd, piece, sizeof(piece));
        if (n < 0 && errno != EINTR)
            return -errno;
        if (n > 0)
            smaps_feed(&reader, piece, (size_t)n);
    } while (n != 0);
    smaps_end(&reader);
    return 0;
}
