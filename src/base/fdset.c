/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sets of descriptors, in order of their numbers; a new set takes the lowest number
 * that is free.  A set without descriptors does not exist.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>

#include "berth/error.h"
#include "berth/fdset.h"
#include "berth/list.h"

typedef struct FdEntry {
    ListNode node;
    int fd;
    char *label;
} FdEntry;

typedef struct FdSet {
    ListNode node;
    int64_t id;
    ListNode entries;
} FdSet;

struct FdSets {
    ListNode sets;          /* FdSet by id */
};

bool fdset_fd_is_of_parent(int64_t fd, GError **error)
{
    int flags = fd > STDERR_FILENO && fd <= INT_MAX ? fcntl((int)fd, F_GETFD) : -1;

    if (flags >= 0 && !(flags & FD_CLOEXEC))
        return true;
    error_set(error, "%" PRId64 " is no descriptor that the parent left open, above %d",
              fd, STDERR_FILENO);
    return false;
}

FdSets *fdset_new(void)
{
    FdSets *sets = g_new0(FdSets, 1);

    list_init(&sets->sets);
    return sets;
}

static void free_entry(FdEntry *entry)
{
    list_remove(&entry->node);
    close(entry->fd);
    g_free(entry->label);
    g_free(entry);
}

static void free_set(FdSet *set)
{
    LIST_FOREACH(node, &set->entries)
        free_entry(CONTAINER_OF(node, FdEntry, node));
    list_remove(&set->node);
    g_free(set);
}

void fdset_free(FdSets *sets)
{
    if (!sets)
        return;
    LIST_FOREACH(node, &sets->sets)
        free_set(CONTAINER_OF(node, FdSet, node));
    g_free(sets);
}

static FdSet *find_set(const FdSets *sets, int64_t id)
{
    LIST_FOREACH(node, (ListNode *)&sets->sets) {
        FdSet *set = CONTAINER_OF(node, FdSet, node);

        if (set->id == id)
            return set;
    }
    return NULL;
}

static int64_t lowest_free_id(const FdSets *sets)
{
    int64_t id = 0;

    while (find_set(sets, id))
        id++;
    return id;
}

static FdSet *insert_set(FdSets *sets, int64_t id)
{
    FdSet *set = g_new0(FdSet, 1);
    ListNode *before = sets->sets.next;

    while (before != &sets->sets && CONTAINER_OF(before, FdSet, node)->id < id)
        before = before->next;
    set->id = id;
    list_init(&set->entries);
    list_insert_before(before, &set->node);
    return set;
}

AddfdInfo *fdset_add(FdSets *sets, const int64_t *id, int fd, const char *label,
                     GError **error)
{
    FdEntry *entry;
    FdSet *set;
    AddfdInfo *info;

    if (id && *id < 0) {
        error_set(error, "Parameter 'fdset-id' expects a non-negative value");
        close(fd);
        return NULL;
    }
    set = id ? find_set(sets, *id) : NULL;
    if (!set)
        set = insert_set(sets, id ? *id : lowest_free_id(sets));
    entry = g_new0(FdEntry, 1);
    entry->fd = fd;
    entry->label = g_strdup(label);
    list_append(&set->entries, &entry->node);
    info = g_new0(AddfdInfo, 1);
    info->fdset_id = set->id;
    info->fd = fd;
    return info;
}

static FdEntry *find_entry(FdSet *set, int64_t fd)
{
    LIST_FOREACH(node, &set->entries) {
        FdEntry *entry = CONTAINER_OF(node, FdEntry, node);

        if (entry->fd == fd)
            return entry;
    }
    return NULL;
}

bool fdset_remove(FdSets *sets, int64_t id, const int64_t *fd, GError **error)
{
    FdSet *set = find_set(sets, id);
    FdEntry *entry = set && fd ? find_entry(set, *fd) : NULL;

    if (!set || (fd && !entry)) {
        g_autofree char *name = fd ? g_strdup_printf(", fd:%" PRId64, *fd) : NULL;

        error_set(error, "File descriptor named 'fdset-id:%" PRId64 "%s' not found", id,
                  fd ? name : "");
        return false;
    }
    if (entry)
        free_entry(entry);
    if (!entry || list_is_empty(&set->entries))
        free_set(set);
    return true;
}

static FdsetInfo *describe_set(const FdSet *set)
{
    FdsetInfo *info = g_new0(FdsetInfo, 1);

    info->fdset_id = set->id;
    info->fds = FdsetFdInfoList_new();
    LIST_FOREACH(node, (ListNode *)&set->entries) {
        const FdEntry *entry = CONTAINER_OF(node, FdEntry, node);
        FdsetFdInfo *fd = g_new0(FdsetFdInfo, 1);

        fd->fd = entry->fd;
        fd->opaque = g_strdup(entry->label);
        FdsetFdInfoList_append(info->fds, fd);
    }
    return info;
}

FdsetInfoList *fdset_query(const FdSets *sets)
{
    FdsetInfoList *list = FdsetInfoList_new();

    LIST_FOREACH(node, (ListNode *)&sets->sets)
        FdsetInfoList_append(list, describe_set(CONTAINER_OF(node, FdSet, node)));
    return list;
}

/*
 * A duplicate of the descriptor of @set whose access is that of @flags, -1 when none is.
 */
static int duplicate_from(const FdSet *set, int flags)
{
    LIST_FOREACH(node, (ListNode *)&set->entries) {
        int fd = CONTAINER_OF(node, FdEntry, node)->fd;
        int status = fcntl(fd, F_GETFL);

        if (status >= 0 && (status & O_ACCMODE) == (flags & O_ACCMODE))
            return fcntl(fd, F_DUPFD_CLOEXEC, 0);
    }
    errno = EACCES;
    return -1;
}

static int open_from_sets(const FdSets *sets, const char *number, int flags)
{
    char *end;
    int64_t id = g_ascii_strtoll(number, &end, 10);
    FdSet *set;

    set = sets && g_ascii_isdigit(*number) && !*end ? find_set(sets, id) : NULL;
    if (!set) {
        errno = ENOENT;
        return -1;
    }
    return duplicate_from(set, flags);
}

int fdset_open(const FdSets *sets, const char *path, int flags, GError **error)
{
    int fd;

    if (g_str_has_prefix(path, FDSET_PREFIX))
        fd = open_from_sets(sets, path + strlen(FDSET_PREFIX), flags);
    else
        fd = open(path, flags | O_CLOEXEC, 0600);
    if (fd < 0)
        error_set_errno(error, errno, "cannot open '%s'", path);
    return fd;
}
