/* SPDX-License-Identifier: Apache-2.0 */
/*
 * filter-dump: the frames of a network backend in a file.
 *
 * The file is opened when all else is right, locked, so that no other machine or disk has
 * it, and emptied then.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "berth/error.h"
#include "berth/fdset.h"
#include "berth/net-dump.h"
#include "berth/object.h"

#define NEIGHBOUR "id="

typedef struct FilterDump {
    Object object;
    NetDump *dump;
} FilterDump;

static FilterDump *to_filter(const Object *object)
{
    return CONTAINER_OF((Object *)(uintptr_t)object, FilterDump, object);
}

/* Nobody else writes to it, and it is no disk. */
static bool take_file(int fd, const char *path, GError **error)
{
    struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
    struct stat status;

    if (fstat(fd, &status) < 0) {
        error_set_errno(error, errno, "cannot look at '%s'", path);
        return false;
    }
    if (S_ISBLK(status.st_mode)) {
        error_set(error, "'%s' is a disk, expected is a file or a pipe", path);
        return false;
    }
    if (!S_ISREG(status.st_mode))
        return true;
    if (fcntl(fd, F_OFD_SETLK, &lock) < 0 && (errno == EAGAIN || errno == EACCES)) {
        error_set(error, "'%s' is in use", path);
        return false;
    }
    if (ftruncate(fd, 0) == 0 && lseek(fd, 0, SEEK_SET) == 0)
        return true;
    error_set_errno(error, errno, "cannot empty '%s'", path);
    return false;
}

/* A pipe that nobody reads is an error, not a wait. */
static int open_file(const Object *object, const char *path, GError **error)
{
    const int flags = O_WRONLY | O_CREAT | O_NOCTTY | O_NONBLOCK;
    g_autofd int fd = fdset_open(object_set_fdsets(object->set), path, flags, error);

    if (fd >= 0 && take_file(fd, path, error))
        return autofd_steal(&fd);
    g_prefix_error(error, "parameter 'file': ");
    return -1;
}

/* The filter that 'position' names, in *@ret_neighbour; NULL there: none is. */
static bool find_neighbour(const Object *object, const FilterDumpProperties *props,
                           const NetDump **ret_neighbour, GError **error)
{
    const char *id = props->position + strlen(NEIGHBOUR);
    const Object *other;

    *ret_neighbour = NULL;
    if (strcmp(props->position, "head") == 0 || strcmp(props->position, "tail") == 0)
        return true;
    if (!g_str_has_prefix(props->position, NEIGHBOUR)) {
        error_set(error, "parameter 'position' expects 'head', 'tail' or 'id=' and the "
                  "id of a filter, not '%s'", props->position);
        return false;
    }
    other = object_find(object->set, id);
    if (!other || other->class != &object_filter_dump_class) {
        error_set(error, "parameter 'position': there is no filter '%s'", id);
        return false;
    }
    *ret_neighbour = to_filter(other)->dump;
    if (strcmp(net_dump_netdev(*ret_neighbour), props->netdev) == 0)
        return true;
    error_set(error, "parameter 'position': filter '%s' is one of network backend '%s'",
              id, net_dump_netdev(*ret_neighbour));
    return false;
}

static void on_gone(void *opaque)
{
    Object *object = opaque;

    object_del(object->set, object->id, NULL);
}

static bool filter_dump_complete(Object *object, const ObjectOptions *options,
                                 GError **error)
{
    const FilterDumpProperties *props = &options->u.filter_dump;
    const NetSet *nets = object_set_nets(object->set);
    NetDumpConfig config = {
        .id = object->id,
        .netdev = props->netdev,
        .to_netdev = props->queue != NET_FILTER_DIRECTION_TX,
        .from_netdev = props->queue != NET_FILTER_DIRECTION_RX,
        .is_on = props->status == NETFILTER_STATUS_ON,
        .maxlen = props->maxlen,
        .gone = on_gone,
        .opaque = object,
    };
    int fd;

    if (!net_dump_check(nets, props->netdev, error) ||
        !find_neighbour(object, props, &config.neighbour, error))
        return false;
    config.before = config.neighbour ? props->insert == NETFILTER_INSERT_BEFORE
                                     : strcmp(props->position, "head") == 0;
    fd = open_file(object, props->file, error);
    if (fd < 0)
        return false;
    to_filter(object)->dump = net_dump_new(nets, &config, fd, error);
    return to_filter(object)->dump != NULL;
}

static bool filter_dump_change(Object *object, ObjectOptions *options, GError **error)
{
    const FilterDumpProperties *old = &object->options->u.filter_dump;
    const FilterDumpProperties *new = &options->u.filter_dump;

    if (strcmp(new->netdev, old->netdev) != 0 || strcmp(new->file, old->file) != 0 ||
        strcmp(new->position, old->position) != 0 || new->queue != old->queue ||
        new->insert != old->insert || new->maxlen != old->maxlen) {
        error_set(error, "of filter '%s' only property 'status' can be changed",
                  object->id);
        return false;
    }
    net_dump_set_on(to_filter(object)->dump, new->status == NETFILTER_STATUS_ON);
    return true;
}

static void filter_dump_done(Object *object)
{
    net_dump_free(to_filter(object)->dump);
}

const NetDumpCounters *object_filter_dump_counted(const Object *object)
{
    return object->class == &object_filter_dump_class
        ? net_dump_counted(to_filter(object)->dump) : NULL;
}

const ObjectClass object_filter_dump_class = {
    .name = "filter-dump",
    .family = OBJECT_FAMILY_NET_FILTER,
    .instance_size = sizeof(FilterDump),
    .stage = OBJECT_STAGE_NETDEVS,
    .complete = filter_dump_complete,
    .change = filter_dump_change,
    .done = filter_dump_done,
};
