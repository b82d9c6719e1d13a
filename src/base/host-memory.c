/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files of the kernel, each read whole by one pread(2), which makes them anew.
 *
 * The process may be in a part of the hierarchy that has no control of memory (a threaded
 * group); the nearest group above that has is what limits it.  Only cgroup v2 has
 * pressure and is looked at.  See accounting/psi.rst and admin-guide/cgroup-v2.rst of
 * Linux.
 */
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "berth/file-read.h"
#include "berth/host-memory.h"

#define CGROUP_ROOT "/sys/fs/cgroup"
#define MAX_CGROUP_FILE 8192u
#define MAX_PROC_FILE (64 * KIB)
/* What is asked for stands in the first lines of each. */
#define TEXT_SIZE 1024u

typedef enum FileKind {
    FILE_PRESSURE,
    FILE_MEMINFO,
    FILE_CGROUP_PRESSURE,
    FILE_CGROUP_CURRENT,
    FILE_CGROUP_MAX,
    FILE_CGROUP_HIGH,
    N_FILES,
} FileKind;

struct HostMemory {
    int fds[N_FILES];           /* -1: the host has none */
    char *cgroup;
};

static int open_file(const char *root, const char *folder, const char *name)
{
    g_autofree char *path = g_strconcat(root, folder, "/", name, NULL);

    return open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
}

/* What follows @key at the beginning of a line, or NULL. */
static const char *find_line(const char *text, const char *key)
{
    for (; text; text = strchr(text, '\n')) {
        text += *text == '\n';
        if (g_str_has_prefix(text, key))
            return text + strlen(key);
    }
    return NULL;
}

/* The path of the process in the hierarchy of cgroup v2, "" for its root; or NULL. */
static char *read_own_cgroup(const char *root)
{
    g_autofree char *path = g_strconcat(root, "/proc/self/cgroup", NULL);
    size_t size;
    g_autofree char *text = (char *)file_read(path, MAX_CGROUP_FILE, &size, NULL);
    const char *name = find_line(text, "0::/");
    size_t length = name ? strcspn(name, "\n") : 0;

    if (!name)
        return NULL;
    /* The root is the folder itself; else the slash is a part of it. */
    return length == 0 ? g_strdup("") : g_strndup(name - 1, length + 1);
}

static void open_cgroup(HostMemory *memory, const char *root)
{
    g_autofree char *group = read_own_cgroup(root);
    char *slash;

    while (group && *group) {
        g_autofree char *folder = g_strconcat(CGROUP_ROOT, group, NULL);

        memory->fds[FILE_CGROUP_CURRENT] = open_file(root, folder, "memory.current");
        if (memory->fds[FILE_CGROUP_CURRENT] >= 0) {
            memory->fds[FILE_CGROUP_PRESSURE] =
                open_file(root, folder, "memory.pressure");
            memory->fds[FILE_CGROUP_MAX] = open_file(root, folder, "memory.max");
            memory->fds[FILE_CGROUP_HIGH] = open_file(root, folder, "memory.high");
            memory->cgroup = g_steal_pointer(&group);
            return;
        }
        slash = strrchr(group, '/');
        if (!slash)
            return;
        *slash = '\0';
    }
}

HostMemory *host_memory_new(const char *root)
{
    HostMemory *memory = g_new0(HostMemory, 1);

    for (size_t i = 0; i < N_FILES; i++)
        memory->fds[i] = -1;
    memory->fds[FILE_PRESSURE] = open_file(root, "/proc/pressure", "memory");
    memory->fds[FILE_MEMINFO] = open_file(root, "/proc", "meminfo");
    open_cgroup(memory, root);
    return memory;
}

void host_memory_free(HostMemory *memory)
{
    if (!memory)
        return;
    for (size_t i = 0; i < N_FILES; i++) {
        if (memory->fds[i] >= 0)
            close(memory->fds[i]);
    }
    g_free(memory->cgroup);
    g_free(memory);
}

const char *host_memory_cgroup(const HostMemory *memory)
{
    return memory->cgroup;
}

/* False when there is no such file, or it cannot be read (its group is gone). */
static bool read_text(const HostMemory *memory, FileKind kind, char text[TEXT_SIZE])
{
    ssize_t n;

    if (memory->fds[kind] < 0)
        return false;
    n = pread(memory->fds[kind], text, TEXT_SIZE - 1, 0);
    if (n <= 0)
        return false;
    text[n] = '\0';
    return true;
}

/* The number at *@text, which is moved behind it; false when there is none. */
static bool read_number(const char **text, uint64_t *ret_value)
{
    char *end;

    if (!g_ascii_isdigit(**text))
        return false;
    *ret_value = g_ascii_strtoull(*text, &end, 10);
    *text = end;
    return true;
}

/* "avg10=1.23" in hundredths. */
static uint64_t stall_of(const char *text, const char *key)
{
    const char *at = find_line(text, key);
    uint64_t whole, part;

    if (!at || !read_number(&at, &whole) || *at++ != '.' || !g_ascii_isdigit(at[0]) ||
        !g_ascii_isdigit(at[1]))
        return HOST_MEMORY_UNKNOWN;
    part = (uint64_t)(g_ascii_digit_value(at[0]) * 10 + g_ascii_digit_value(at[1]));
    return MIN(whole, 100) * 100 + part;
}

static HostMemoryStall read_stall(const HostMemory *memory, FileKind kind)
{
    char text[TEXT_SIZE];

    if (!read_text(memory, kind, text))
        return (HostMemoryStall) { HOST_MEMORY_UNKNOWN, HOST_MEMORY_UNKNOWN };
    return (HostMemoryStall) {
        .some = stall_of(text, "some avg10="),
        .full = stall_of(text, "full avg10="),
    };
}

/* "MemTotal:       16314148 kB" in bytes. */
static uint64_t kilobytes_of(const char *text, const char *key)
{
    const char *at = find_line(text, key);
    uint64_t value;

    if (!at)
        return HOST_MEMORY_UNKNOWN;
    at += strspn(at, " \t");
    if (!read_number(&at, &value) || value > UINT64_MAX / 2 / KIB)
        return HOST_MEMORY_UNKNOWN;
    return value * KIB;
}

uint64_t host_memory_read_line(const char *path, const char *key)
{
    size_t size;
    g_autofree char *text = (char *)file_read(path, MAX_PROC_FILE, &size, NULL);
    uint64_t bytes = kilobytes_of(text, key);

    return bytes == HOST_MEMORY_UNKNOWN ? 0 : bytes;
}

/* A file that is one number, or "max". */
static uint64_t read_bytes(const HostMemory *memory, FileKind kind)
{
    char text[TEXT_SIZE];
    const char *at = text;
    uint64_t value;

    return read_text(memory, kind, text) && read_number(&at, &value)
        ? value : HOST_MEMORY_UNKNOWN;
}

void host_memory_read(const HostMemory *memory, HostMemorySample *ret_sample)
{
    char text[TEXT_SIZE];

    *ret_sample = (HostMemorySample) {
        .host = read_stall(memory, FILE_PRESSURE),
        .cgroup = read_stall(memory, FILE_CGROUP_PRESSURE),
        .available = HOST_MEMORY_UNKNOWN,
        .total = HOST_MEMORY_UNKNOWN,
        .cgroup_current = read_bytes(memory, FILE_CGROUP_CURRENT),
        .cgroup_limit = MIN(read_bytes(memory, FILE_CGROUP_MAX),
                            read_bytes(memory, FILE_CGROUP_HIGH)),
    };
    if (read_text(memory, FILE_MEMINFO, text)) {
        ret_sample->total = kilobytes_of(text, "MemTotal:");
        ret_sample->available = kilobytes_of(text, "MemAvailable:");
    }
}
