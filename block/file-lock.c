/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Locks on image files, as QEMU takes them, so that each sees the other's.
 *
 * Permission n of BLOCK_PERM_* has two bytes of the file: a shared lock on 100 + n says
 * that somebody uses it, one on 200 + n that somebody does not allow others to.  Who
 * wants to use n asks whether there is a lock on 200 + n, and who does not permit n asks
 * about 100 + n.  Locks belong to the open file (F_OFD_SETLK): they go with its
 * descriptor.
 *
 * New locks are taken before others' are looked at, and old ones given up at the end: of
 * two who try at the same time, at least one sees the other.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "berth/error.h"

#include "file-private.h"

#define USED_BASE 100
#define REFUSED_BASE 200
#define N_PERMS 4

static const char *const used_names[N_PERMS] = { "read", "write", "write", "resize" };

static int lock_byte(int fd, off_t at, short type)
{
    struct flock lock = {
        .l_type = type, .l_whence = SEEK_SET, .l_start = at, .l_len = 1,
    };

    return fcntl(fd, F_OFD_SETLK, &lock) < 0 ? -errno : 0;
}

/* 1 when another open file has a lock on the byte. */
static int byte_is_locked(const File *file, off_t at)
{
    struct flock lock = {
        .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = at, .l_len = 1,
    };

    if (fcntl(file->fd, F_OFD_GETLK, &lock) < 0)
        return -errno;
    return lock.l_type != F_UNLCK;
}

/* Whether descriptor @name of the process in @process is our file, with a lock on it. */
static bool has_lock(const char *process, const char *name, const struct stat *ours)
{
    g_autofree char *fd = g_strdup_printf("/proc/%s/fd/%s", process, name);
    g_autofree char *info = g_strdup_printf("/proc/%s/fdinfo/%s", process, name);
    g_autofree char *text = NULL;
    struct stat theirs;

    return stat(fd, &theirs) == 0 && theirs.st_dev == ours->st_dev &&
        theirs.st_ino == ours->st_ino && g_file_get_contents(info, &text, NULL, NULL) &&
        strstr(text, "OFDLCK");
}

/* By another descriptor than @but, a number as text. */
static bool process_has_lock(const char *process, const struct stat *ours,
                             const char *but)
{
    g_autofree char *path = g_strdup_printf("/proc/%s/fd", process);
    DIR *fds = opendir(path);
    const struct dirent *entry;
    bool found = false;

    while (fds && !found && (entry = readdir(fds)))
        found = g_ascii_isdigit(entry->d_name[0]) && strcmp(entry->d_name, but) != 0 &&
                has_lock(process, entry->d_name, ours);
    if (fds)
        closedir(fds);
    return found;
}

/* "another process: process 123 (qemu-img)" as far as /proc tells, or who else has it. */
static char *find_holder(const File *file)
{
    g_autofree char *self = g_strdup_printf("%d", getpid());
    g_autofree char *fd = g_strdup_printf("%d", file->fd);
    bool is_ours = false;
    DIR *processes = opendir("/proc");
    const struct dirent *entry;
    char *holder = NULL;
    struct stat ours;

    while (processes && !holder && fstat(file->fd, &ours) == 0 &&
           (entry = readdir(processes))) {
        g_autofree char *path = NULL;
        g_autofree char *name = NULL;

        if (!g_ascii_isdigit(entry->d_name[0]))
            continue;
        if (strcmp(entry->d_name, self) == 0) {
            is_ours = process_has_lock(self, &ours, fd);
            continue;
        }
        if (!process_has_lock(entry->d_name, &ours, ""))
            continue;
        path = g_strdup_printf("/proc/%s/comm", entry->d_name);
        g_file_get_contents(path, &name, NULL, NULL);
        holder = g_strdup_printf("another process: process %s (%s)", entry->d_name,
                                 name ? g_strchomp(name) : "?");
    }
    if (processes)
        closedir(processes);
    if (!holder)
        holder = g_strdup(is_ours ? "another node" : "another process");
    return holder;
}

/* Takes the locks in @wanted that are not in @held. */
static int take(int fd, off_t base, uint8_t wanted, uint8_t held)
{
    for (int i = 0; i < N_PERMS; i++) {
        int ret = wanted & ~held & 1 << i ? lock_byte(fd, base + i, F_RDLCK) : 0;

        if (ret < 0)
            return ret;
    }
    return 0;
}

/* Gives up those in @held that are not in @wanted. */
static void give_up(int fd, off_t base, uint8_t held, uint8_t wanted)
{
    for (int i = 0; i < N_PERMS; i++) {
        if (held & ~wanted & 1 << i)
            lock_byte(fd, base + i, F_UNLCK);
    }
}

static bool check_others(const File *file, uint8_t used, uint8_t refused, GError **error)
{
    for (int i = 0; i < N_PERMS; i++) {
        bool is_refused = used & 1 << i && byte_is_locked(file, REFUSED_BASE + i) == 1;
        bool is_used = refused & 1 << i && byte_is_locked(file, USED_BASE + i) == 1;
        g_autofree char *holder = NULL;

        if (!is_refused && !is_used)
            continue;
        holder = find_holder(file);
        error_set(error, "failed to get '%s' lock on '%s': the image is %s by %s",
                  used_names[i], file->path, is_refused ? "held" : "in use", holder);
        return false;
    }
    return true;
}

bool file_lock_set(File *file, uint8_t wants, uint8_t permits, GError **error)
{
    uint8_t refused = (uint8_t)~permits & BLOCK_PERM_ALL;
    int ret = take(file->fd, USED_BASE, wants, file->locked_wants);

    if (ret == 0)
        ret = take(file->fd, REFUSED_BASE, refused, file->locked_refused);
    if (ret < 0)
        error_set_errno(error, -ret, "cannot lock '%s'", file->path);
    if (ret < 0 || !check_others(file, wants, refused, error)) {
        give_up(file->fd, USED_BASE, wants, file->locked_wants);
        give_up(file->fd, REFUSED_BASE, refused, file->locked_refused);
        return false;
    }
    give_up(file->fd, USED_BASE, file->locked_wants, wants);
    give_up(file->fd, REFUSED_BASE, file->locked_refused, refused);
    file->locked_wants = wants;
    file->locked_refused = refused;
    return true;
}

static int take_all(const File *file, int fd)
{
    int ret = take(fd, USED_BASE, file->locked_wants, 0);

    return ret == 0 ? take(fd, REFUSED_BASE, file->locked_refused, 0) : ret;
}

/* Both may be of one open file, as those in a set of descriptors: twice, then. */
int file_lock_move(const File *file, int fd)
{
    int ret = take_all(file, fd);

    if (ret < 0)
        return ret;
    give_up(file->fd, USED_BASE, file->locked_wants, 0);
    give_up(file->fd, REFUSED_BASE, file->locked_refused, 0);
    return take_all(file, fd);
}
