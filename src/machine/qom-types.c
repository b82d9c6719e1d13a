/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The names that qom-list-types gives: the kinds of device and object of the schema, the
 * kinds of machine, and the abstract types that clients filter by.
 */
#include <string.h>

#include "berth/cpu-query.h"
#include "berth/error.h"
#include "berth/machine.h"
#include "berth/qapi-tables.h"

#include "qom-types.h"

typedef struct QomType {
    const char *name;
    const char *parent;         /* NULL for the root */
    bool abstract;
    QapiTypeId properties; /* a struct whose members are the properties; 0 for none */
} QomType;

typedef void TypeFn(void *opaque, const QomType *type);

static const QomType fixed_types[] = {
    { "object", NULL, true, 0 },
    { "container", "object", false, 0 },
    { "device", "object", true, 0 },
    { "pci-device", "device", true, 0 },
    { "isa-device", "device", true, 0 },
    { "i8042", "isa-device", false, 0 },
    { "ioapic", "device", false, 0 },
    { "isa-i8259", "isa-device", false, 0 },
    { "isa-pit", "isa-device", false, 0 },
    { "virtio-device", "device", true, 0 },
    { "vhost-vsock-device", "virtio-device", false, 0 },
    { "virtio-serial-port", "device", true, 0 },
    { "accel", "object", true, 0 },
    { "kvm-accel", "accel", false, QAPI_TYPE_ACCEL_OPTIONS },
    { "machine", "object", true, 0 },
    { "x86-machine", "machine", true, 0 },
    { "generic-pc-machine", "x86-machine", true, QAPI_TYPE_MACHINE_OPTIONS },
    { "cpu", "device", true, 0 },
    { "x86_64-cpu", "cpu", true, 0 },
    { "memory-backend", "object", true, 0 },
    { "rng-backend", "object", true, 0 },
    { "chardev", "object", true, 0 },
};

/* What a kind of device or object is, by the beginning of its name. */
static const struct {
    const char *prefix;
    const char *parent;
} parents[] = {
    { "ICH9-", "pci-device" },
    { "isa-", "isa-device" },
    { "kvm-pit", "isa-device" },
    { "mc146818rtc", "isa-device" },
    { "mch", "pci-device" },
    { "memory-backend-", "memory-backend" },
    { "rng-", "rng-backend" },
    { "vhost-", "pci-device" },
    { "virtconsole", "virtserialport" },
    { "virtio-", "pci-device" },
    { "virtserialport", "virtio-serial-port" },
    { "pci", "pci-device" },
    { "qemu-xhci", "pci-device" },
};

static const char *parent_of(const char *name, const char *otherwise)
{
    for (size_t i = 0; i < G_N_ELEMENTS(parents); i++) {
        if (g_str_has_prefix(name, parents[i].prefix))
            return parents[i].parent;
    }
    return otherwise;
}

/* Each value of the discriminator of @type is a type of its own. */
static void visit_union(QapiTypeId type, const char *otherwise, TypeFn *fn, void *opaque)
{
    const QapiType *row = &qapi_types[type];

    for (unsigned i = 0; i < row->n_branches; i++) {
        const QapiMember *tag = &qapi_type_members(row)[row->tag];
        const char *name = qapi_enum_str(tag->type, (int)i);
        QomType visited = {
            .name = name,
            .parent = parent_of(name, otherwise),
            .properties = qapi_branches[row->first_branch + i],
        };

        fn(opaque, &visited);
    }
}

/*
 * "virtio-blk-pci-non-transitional": by these, management tools know that virtio devices
 * are for PCI Express.
 */
static void visit_aliases(QapiTypeId type, TypeFn *fn, void *opaque)
{
    const QapiType *row = &qapi_types[type];
    const QapiMember *aliases = qapi_type_members(row) + row->n_members + row->n_refused;

    for (unsigned i = 0; i < row->n_aliases; i++) {
        const char *value = qapi_text(aliases[i].doc);
        int branch = qapi_enum_parse(type, value);
        const QapiType *args = &qapi_types[QAPI_TYPE_DEVICE_ADD_ARGS];
        QomType visited = {
            .name = qapi_text(aliases[i].name),
            .parent = value,
            .properties = qapi_branches[args->first_branch + (unsigned)branch],
        };

        if (g_str_has_suffix(visited.name, "transitional"))
            fn(opaque, &visited);
    }
}

static void visit_all(TypeFn *fn, void *opaque)
{
    for (size_t i = 0; i < G_N_ELEMENTS(fixed_types); i++)
        fn(opaque, &fixed_types[i]);
    for (const MachineType *machine = machine_types(); *machine->name; machine++) {
        g_autofree char *name = g_strconcat(machine->name, "-machine", NULL);
        bool is_pc = machine->kind == MACHINE_KIND_Q35;
        QomType type = {
            .name = name,
            .parent = is_pc ? "generic-pc-machine" : "machine",
            .properties = is_pc ? QAPI_TYPE_MACHINE_OPTIONS : 0,
        };

        fn(opaque, &type);
    }
    visit_union(QAPI_TYPE_DEVICE_ADD_ARGS, "device", fn, opaque);
    visit_aliases(QAPI_TYPE_DEVICE_DRIVER, fn, opaque);
    visit_union(QAPI_TYPE_ONBOARD_DEVICE, "device", fn, opaque);
    visit_union(QAPI_TYPE_OBJECT_OPTIONS, "object", fn, opaque);
}

typedef struct Search {
    const char *name;
    char *parent;
    QapiTypeId properties;
    bool found;
} Search;

/* "Nehalem" of "Nehalem-x86_64-cpu", NULL for no name of a model; the caller frees. */
static char *model_of(const char *name)
{
    g_autofree char *model = cpu_query_model_of(name);

    return model && cpu_query_exists(model) ? g_steal_pointer(&model) : NULL;
}

static const char *parent_of_model(const char *model)
{
    return strcmp(model, "host") == 0 ? "max-x86_64-cpu" : "x86_64-cpu";
}

static void match_name(void *opaque, const QomType *type)
{
    Search *search = opaque;

    if (search->found || strcmp(type->name, search->name) != 0)
        return;
    search->found = true;
    search->parent = g_strdup(type->parent);
    search->properties = type->properties;
}

/* Whether @name is @ancestor or below it. */
static bool is_a(const char *name, const char *ancestor)
{
    g_autofree char *at = g_strdup(name);

    while (at) {
        g_autofree char *model = NULL;
        Search search = { .name = at };

        if (strcmp(at, ancestor) == 0)
            return true;
        model = model_of(at);
        if (model)
            search.parent = g_strdup(parent_of_model(model));
        else
            visit_all(match_name, &search);
        g_free(at);
        at = search.parent;
    }
    return false;
}

typedef struct Listing {
    ObjectTypeInfoList *list;
    const char *implements;
    bool abstract;
} Listing;

static void list_type(void *opaque, const QomType *type)
{
    Listing *listing = opaque;
    ObjectTypeInfo *info;

    if (type->abstract && !listing->abstract)
        return;
    if (listing->implements && !is_a(type->name, listing->implements))
        return;
    info = g_new0(ObjectTypeInfo, 1);
    info->name = g_strdup(type->name);
    info->parent = g_strdup(type->parent);
    info->has_abstract = type->abstract;
    info->abstract = type->abstract;
    ObjectTypeInfoList_append(listing->list, info);
}

/* The models of processors, each a type. */
static void list_models(const Listing *listing)
{
    g_autoptr(GPtrArray) names = NULL;
    bool all = !listing->implements || is_a("x86_64-cpu", listing->implements);

    if (!all && !g_str_has_suffix(listing->implements, CPU_QUERY_TYPE_SUFFIX))
        return;
    names = cpu_query_names();
    for (guint i = 0; i < names->len; i++) {
        const char *name = g_ptr_array_index(names, i);
        const char *parent = parent_of_model(name);
        g_autofree char *type = g_strconcat(name, CPU_QUERY_TYPE_SUFFIX, NULL);
        ObjectTypeInfo *info;

        if (!all && strcmp(type, listing->implements) != 0 &&
            strcmp(parent, listing->implements) != 0)
            continue;
        info = g_new0(ObjectTypeInfo, 1);
        info->name = g_steal_pointer(&type);
        info->parent = g_strdup(parent);
        ObjectTypeInfoList_append(listing->list, info);
    }
}

ObjectTypeInfoList *qom_types_list(const char *implements, bool abstract)
{
    Listing listing = {
        .list = ObjectTypeInfoList_new(),
        .implements = implements,
        .abstract = abstract,
    };

    visit_all(list_type, &listing);
    list_models(&listing);
    return listing.list;
}

/* All but @left_out, which may be NULL. */
static void add_members(ObjectPropertyInfoList *list, QapiTypeId type,
                        const char *left_out)
{
    const QapiType *row = &qapi_types[type];

    for (unsigned i = 0; i < row->n_members; i++) {
        const QapiMember *member = &qapi_type_members(row)[i];
        ObjectPropertyInfo *info;

        if (left_out && strcmp(qapi_text(member->name), left_out) == 0)
            continue;
        info = g_new0(ObjectPropertyInfo, 1);
        info->name = g_strdup(qapi_text(member->name));
        info->type = g_strdup(qapi_text(qapi_types[member->type].name));
        info->description = g_strdup(qapi_text(member->doc));
        ObjectPropertyInfoList_append(list, info);
    }
}

static void add_property(void *opaque, const char *name, const char *type)
{
    ObjectPropertyInfo *info = g_new0(ObjectPropertyInfo, 1);

    info->name = g_strdup(name);
    info->type = g_strdup(type);
    ObjectPropertyInfoList_append(opaque, info);
}

ObjectPropertyInfoList *qom_types_properties(const char *name, GError **error)
{
    g_autofree char *model = model_of(name);
    Search search = { .name = name };
    ObjectPropertyInfoList *list;

    if (model) {
        list = ObjectPropertyInfoList_new();
        cpu_query_properties(add_property, list);
        /* "model" of a processor is a number. */
        add_members(list, QAPI_TYPE_VCPU_PROPS, "model");
        return list;
    }
    visit_all(match_name, &search);
    g_free(search.parent);
    if (!search.found) {
        error_set_class(error, BERTH_ERROR_DEVICE_NOT_FOUND, "Class '%s' not found",
                        name);
        return NULL;
    }
    list = ObjectPropertyInfoList_new();
    if (search.properties)
        add_members(list, search.properties, NULL);
    return list;
}

const char *qom_types_member(QapiTypeId type, unsigned branch, const char *name)
{
    const QapiType *row = &qapi_types[type];
    const QapiType *rows[] = { row, qapi_type_branch(row, branch) };

    for (size_t n = 0; n < G_N_ELEMENTS(rows); n++) {
        for (unsigned i = 0; i < rows[n]->n_members; i++) {
            const QapiMember *member = &qapi_type_members(rows[n])[i];

            if (strcmp(qapi_text(member->name), name) == 0)
                return qapi_text(qapi_types[member->type].name);
        }
    }
    return "any";
}
