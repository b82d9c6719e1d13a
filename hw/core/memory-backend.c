/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory backends.  The object holds a reference to its memory from completion to its
 * end; who plugs it in holds the object.
 */
#include <string.h>

#include "berth/error.h"
#include "berth/memory-backend.h"

#define SMALL (256 * MIB)

typedef struct MemoryBackend {
    Object object;
    MemoryBackendProps props;
    RamBlock *ram;
} MemoryBackend;

static MemoryBackend *to_backend(const Object *object)
{
    return CONTAINER_OF((Object *)object, MemoryBackend, object);
}

static void set_default(bool *has, bool *value, bool otherwise)
{
    if (!*has)
        *value = otherwise;
    *has = true;
}

/* Sets what was not given in @branch, the object's own options, and keeps a copy. */
static void fill_in(Object *object, void *branch, bool share)
{
    const ObjectDefaults *defaults = object_defaults(object);
    MemoryBackendProps *props = &to_backend(object)->props;

    /* The schema's base members come first in each branch. */
    memcpy(props, branch, sizeof(*props));
    set_default(&props->has_share, &props->share, share);
    set_default(&props->has_prealloc, &props->prealloc, defaults->prealloc);
    set_default(&props->has_dump, &props->dump, !defaults->no_dump);
    set_default(&props->has_merge, &props->merge, !defaults->no_merge);
    memcpy(branch, props, sizeof(*props));
}

/*
 * What berth decides when nobody does: huge pages where the host gives them to those who
 * ask.  Less memory than SMALL keeps the host's way: a guest that fits in there may touch
 * so little that the rest of its huge pages would be most of what it costs.
 */
static RamWish wish_thp(const MemoryBackendProps *props)
{
    switch (props->thp) {
    case ON_OFF_AUTO_ON:
        return RAM_WISH_ON;
    case ON_OFF_AUTO_OFF:
        return RAM_WISH_OFF;
    case ON_OFF_AUTO_AUTO:
        break;
    }
    return props->size < SMALL ? RAM_WISH_NONE : RAM_WISH_TRY;
}

static bool check_policy(const MemoryBackendProps *props, GError **error)
{
    bool has_nodes = props->host_nodes && props->host_nodes->n > 0;

    if (has_nodes && props->policy == HOST_MEM_POLICY_DEFAULT)
        error_set(error, "parameter 'host-nodes' expects a 'policy' other than "
                  "'default'");
    else if (!has_nodes && props->policy != HOST_MEM_POLICY_DEFAULT)
        error_set(error, "parameter 'policy': '%s' expects 'host-nodes'",
                  HostMemPolicy_str(props->policy));
    else
        return true;
    return false;
}

static bool set_policy(const MemoryBackendProps *props, RamOptions *options,
                       GError **error)
{
    static const RamPolicy policies[HOST_MEM_POLICY__MAX] = {
        [HOST_MEM_POLICY_DEFAULT] = RAM_POLICY_DEFAULT,
        [HOST_MEM_POLICY_PREFERRED] = RAM_POLICY_PREFERRED,
        [HOST_MEM_POLICY_BIND] = RAM_POLICY_BIND,
        [HOST_MEM_POLICY_INTERLEAVE] = RAM_POLICY_INTERLEAVE,
    };

    if (!check_policy(props, error))
        return false;
    for (size_t i = 0; props->host_nodes && i < props->host_nodes->n; i++) {
        unsigned node = props->host_nodes->items[i];

        if (node >= RAM_MAX_NODES) {
            error_set(error, "parameter 'host-nodes' expects nodes below %u",
                      RAM_MAX_NODES);
            return false;
        }
        options->nodes[node / RAM_NODE_BITS] |= 1ul << node % RAM_NODE_BITS;
        options->n_node_bits = MAX(options->n_node_bits, node + 1);
    }
    options->policy = policies[props->policy];
    return true;
}

/* Makes the memory as @branch, the object's own options, and @options say. */
static bool complete(Object *object, void *branch, bool share, RamOptions *options,
                     GError **error)
{
    MemoryBackend *backend = to_backend(object);
    const MemoryBackendProps *props = &backend->props, *asked = branch;
    /* Who has asked for it wants to know when it cannot be. */
    bool must_merge = asked->has_merge && asked->merge;

    fill_in(object, branch, share);
    if (!set_policy(props, options, error))
        return false;
    options->share = props->share;
    options->prealloc = props->prealloc;
    if (props->has_prealloc_threads)
        options->prealloc_threads = props->prealloc_threads;
    options->no_dump = !props->dump;
    options->no_reserve = !props->reserve;
    if (props->merge)
        options->merge = must_merge ? RAM_WISH_ON : RAM_WISH_TRY;
    if (!options->hugetlb)
        options->thp = wish_thp(props);
    backend->ram = ram_block_new(object->id, props->size, options, error);
    return backend->ram != NULL;
}

static bool ram_complete(Object *object, const ObjectOptions *options, GError **error)
{
    RamOptions ram_options = { 0 };

    return complete(object, &object->options->u.memory_backend_ram, false, &ram_options,
                    error);
}

static bool memfd_complete(Object *object, const ObjectOptions *options, GError **error)
{
    MemoryBackendMemfdProps *props = &object->options->u.memory_backend_memfd;
    RamOptions ram_options = {
        .memfd = true,
        .hugetlb = props->hugetlb,
        .hugetlb_size = props->hugetlbsize,
        .seal = props->seal,
    };

    if (props->has_hugetlbsize && !props->hugetlb) {
        error_set(error, "parameter 'hugetlbsize' expects 'hugetlb' to be on");
        return false;
    }
    if (props->hugetlb && props->thp == ON_OFF_AUTO_ON) {
        error_set(error, "parameter 'thp' expects 'hugetlb' to be off");
        return false;
    }
    return complete(object, props, true, &ram_options, error);
}

static bool check_file(const MemoryBackendFileProps *props, GError **error)
{
    bool rom = props->readonly ? props->rom != ON_OFF_AUTO_OFF
                               : props->rom == ON_OFF_AUTO_ON;

    if (props->thp == ON_OFF_AUTO_ON)
        error_set(error, "parameter 'thp': the pages of a file are its file system's");
    else if (rom && !props->readonly)
        error_set(error, "parameter 'rom' expects 'readonly' to be on");
    else if (rom)
        error_set(error, "parameter 'readonly' expects 'rom' to be off: the guest has no "
                  "memory that it cannot write to");
    else if (props->readonly && props->has_share && props->share)
        error_set(error, "parameter 'readonly' expects 'share' to be off: the guest "
                  "writes to its memory");
    else
        return true;
    return false;
}

static bool file_complete(Object *object, const ObjectOptions *options, GError **error)
{
    MemoryBackendFileProps *props = &object->options->u.memory_backend_file;
    RamOptions ram_options = {
        .path = props->mem_path,
        .offset = props->offset,
        .align = props->align,
        .read_only = props->readonly,
        .discard = props->discard_data,
    };

    if (!check_file(props, error))
        return false;
    return complete(object, props, false, &ram_options, error);
}

G_STATIC_ASSERT(offsetof(MemoryBackendMemfdProps, thp) ==
                offsetof(MemoryBackendProps, thp));
G_STATIC_ASSERT(offsetof(MemoryBackendFileProps, thp) ==
                offsetof(MemoryBackendProps, thp));

static void backend_done(Object *object)
{
    g_clear_pointer(&to_backend(object)->ram, ram_block_unref);
}

RamBlock *memory_backend_ram(const Object *object)
{
    return object->class->family == OBJECT_FAMILY_MEMORY ? to_backend(object)->ram : NULL;
}

const MemoryBackendProps *memory_backend_props(const Object *object)
{
    return object->class->family == OBJECT_FAMILY_MEMORY ? &to_backend(object)->props
                                                         : NULL;
}

const ObjectClass memory_backend_ram_class = {
    .name = "memory-backend-ram",
    .family = OBJECT_FAMILY_MEMORY,
    .instance_size = sizeof(MemoryBackend),
    .complete = ram_complete,
    .done = backend_done,
};

const ObjectClass memory_backend_file_class = {
    .name = "memory-backend-file",
    .family = OBJECT_FAMILY_MEMORY,
    .instance_size = sizeof(MemoryBackend),
    .complete = file_complete,
    .done = backend_done,
};

const ObjectClass memory_backend_memfd_class = {
    .name = "memory-backend-memfd",
    .family = OBJECT_FAMILY_MEMORY,
    .instance_size = sizeof(MemoryBackend),
    .complete = memfd_complete,
    .done = backend_done,
};
