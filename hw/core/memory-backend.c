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

/* @must_merge: the operator has asked for it, and wants to know when it cannot be. */
static bool complete(Object *object, RamOptions *options, bool must_merge,
                     GError **error)
{
    MemoryBackend *backend = to_backend(object);
    const MemoryBackendProps *props = &backend->props;

    options->share = props->share;
    options->prealloc = props->prealloc;
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
    const MemoryBackendProps *props = &options->u.memory_backend_ram;
    bool must_merge = props->has_merge && props->merge;
    RamOptions ram_options = { 0 };

    fill_in(object, &object->options->u.memory_backend_ram, false);
    return complete(object, &ram_options, must_merge, error);
}

static bool memfd_complete(Object *object, const ObjectOptions *options, GError **error)
{
    const MemoryBackendMemfdProps *props = &options->u.memory_backend_memfd;
    RamOptions ram_options = {
        .memfd = true,
        .hugetlb = props->hugetlb,
        .hugetlb_size = props->hugetlbsize,
        .seal = props->seal,
    };
    bool must_merge = props->has_merge && props->merge;

    if (props->has_hugetlbsize && !props->hugetlb) {
        error_set(error, "parameter 'hugetlbsize' expects 'hugetlb' to be on");
        return false;
    }
    if (props->hugetlb && props->thp == ON_OFF_AUTO_ON) {
        error_set(error, "parameter 'thp' expects 'hugetlb' to be off");
        return false;
    }
    fill_in(object, &object->options->u.memory_backend_memfd, true);
    return complete(object, &ram_options, must_merge, error);
}

G_STATIC_ASSERT(offsetof(MemoryBackendMemfdProps, thp) ==
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

const ObjectClass memory_backend_memfd_class = {
    .name = "memory-backend-memfd",
    .family = OBJECT_FAMILY_MEMORY,
    .instance_size = sizeof(MemoryBackend),
    .complete = memfd_complete,
    .done = backend_done,
};
