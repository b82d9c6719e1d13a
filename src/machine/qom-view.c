/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Views of the tables as an object tree: no object here exists, each answer is read from
 * what does.  A path is resolved to a QomPlace, whose kind says which table answers.
 */
#include <string.h>

#include "berth/char-set.h"
#include "berth/cpu-query.h"
#include "berth/error.h"
#include "berth/object.h"

#include "qom-types.h"

#include "qom-view.h"

typedef enum QomPlaceKind {
    QOM_PLACE_CONTAINER,
    QOM_PLACE_MACHINE,
    QOM_PLACE_DEVICE,
    QOM_PLACE_VCPU,
    QOM_PLACE_OBJECT,
    QOM_PLACE_CHARDEV,
} QomPlaceKind;

typedef struct QomPlace {
    QomPlaceKind kind;
    const char *path;
    const Device *device;
    Object *object;
    unsigned vcpu;
} QomPlace;

static const char *const containers[] = {
    "/", "/machine/peripheral", "/machine/peripheral-anon", "/machine/unattached",
    "/objects", "/chardevs",
};

static void set_not_found(GError **error, const char *path)
{
    error_set_class(error, BERTH_ERROR_DEVICE_NOT_FOUND, "Device '%s' not found", path);
}

static bool find_vcpu(Machine *machine, const char *path, unsigned *ret_index)
{
    for (unsigned i = 0; machine->vcpus && i < machine->topology.cpus; i++) {
        g_autofree char *vcpu_path = machine_vcpu_path(machine, i);

        if (strcmp(path, vcpu_path) == 0) {
            *ret_index = i;
            return true;
        }
    }
    return false;
}

static bool resolve(Machine *machine, const char *path, QomPlace *ret_place,
                    GError **error)
{
    QomPlace place = { .path = path };

    for (size_t i = 0; i < G_N_ELEMENTS(containers); i++) {
        if (strcmp(path, containers[i]) == 0) {
            place.kind = QOM_PLACE_CONTAINER;
            *ret_place = place;
            return true;
        }
    }
    if (strcmp(path, "/machine") == 0) {
        place.kind = QOM_PLACE_MACHINE;
    } else if (find_vcpu(machine, path, &place.vcpu)) {
        place.kind = QOM_PLACE_VCPU;
    } else if (g_str_has_prefix(path, "/objects/")) {
        place.kind = QOM_PLACE_OBJECT;
        place.object = object_find(machine->objects, path + strlen("/objects/"));
        if (!place.object) {
            set_not_found(error, path);
            return false;
        }
    } else if (g_str_has_prefix(path, "/chardevs/")) {
        place.kind = QOM_PLACE_CHARDEV;
        if (!char_find(machine->chars, path + strlen("/chardevs/"))) {
            set_not_found(error, path);
            return false;
        }
    } else {
        place.kind = QOM_PLACE_DEVICE;
        place.device = device_find(&machine->tree, path);
        if (!place.device) {
            set_not_found(error, path);
            return false;
        }
    }
    *ret_place = place;
    return true;
}

static void add_property(ObjectPropertyInfoList *list, const char *name, const char *type)
{
    ObjectPropertyInfo *info = g_new0(ObjectPropertyInfo, 1);

    info->name = g_strdup(name);
    info->type = g_strdup(type);
    ObjectPropertyInfoList_append(list, info);
}

static void add_cpu_property(void *opaque, const char *name, const char *type)
{
    add_property(opaque, name, type);
}

static void add_child(ObjectPropertyInfoList *list, const char *name, const char *type)
{
    g_autofree char *child = g_strdup_printf("child<%s>", type);

    add_property(list, name, child);
}

static const char *device_type(const Device *dev)
{
    return dev->args ? DeviceDriver_str(dev->args->driver) : dev->class->name;
}

/* The device's children of the container at @path. */
static void list_devices(Machine *machine, const char *path, ObjectPropertyInfoList *list)
{
    g_autofree char *prefix = g_strconcat(path, "/", NULL);

    LIST_FOREACH(node, &machine->tree.devices) {
        const Device *dev = CONTAINER_OF(node, Device, tree_node);
        const char *name = dev->path + strlen(prefix);

        if (g_str_has_prefix(dev->path, prefix) && !strchr(name, '/'))
            add_child(list, name, device_type(dev));
    }
}

static void list_container(Machine *machine, const char *path,
                           ObjectPropertyInfoList *list)
{
    add_property(list, "type", "string");
    if (strcmp(path, "/") == 0) {
        g_autofree char *type = g_strconcat(machine->type->name, "-machine", NULL);

        add_child(list, "machine", type);
        add_child(list, "objects", "container");
        add_child(list, "chardevs", "container");
    } else if (strcmp(path, "/objects") == 0) {
        LIST_FOREACH(node, object_set_list(machine->objects)) {
            const Object *object = CONTAINER_OF(node, Object, node);

            add_child(list, object->id, object->class->name);
        }
    } else if (strcmp(path, "/chardevs") == 0) {
        g_autoptr(ChardevInfoList) chars = char_set_query(machine->chars);

        for (size_t i = 0; i < chars->n; i++)
            add_child(list, chars->items[i]->label, "chardev");
    } else {
        list_devices(machine, path, list);
    }
    if (strcmp(path, "/machine/unattached") == 0) {
        for (unsigned i = 0; machine->vcpus && i < machine->topology.cpus; i++) {
            g_autofree char *name = g_strdup_printf("device[%u]", i);

            add_child(list, name, cpu_model_type(machine->cpu_model));
        }
    }
}

/* The members of @options, except those that name the thing itself. */
static void list_options(QapiTypeId type, unsigned branch, const JsonValue *options,
                         ObjectPropertyInfoList *list)
{
    JsonIter iter = { 0 };
    const char *key;
    JsonValue *value;

    while (json_next(options, &iter, &key, &value)) {
        if (strcmp(key, "driver") != 0 && strcmp(key, "id") != 0 &&
            strcmp(key, "qom-type") != 0)
            add_property(list, key, qom_types_member(type, branch, key));
    }
}

static const struct {
    const char *name;
    const char *type;
} device_properties[] = {
    { "type", "string" },       { "realized", "bool" },     { "hotplugged", "bool" },
    { "hotpluggable", "bool" }, { "parent_bus", "link<bus>" },
}, vcpu_properties[] = {
    { "type", "string" },       { "realized", "bool" },     { "hotplugged", "bool" },
    { "hotpluggable", "bool" }, { "socket-id", "int32" },   { "die-id", "int32" },
    { "core-id", "int32" },     { "thread-id", "int32" },   { "apic-id", "uint32" },
}, machine_properties[] = {
    { "type", "string" },       { "kernel", "string" },     { "initrd", "string" },
    { "append", "string" },     { "memory-backend", "string" },
    { "dump-guest-core", "bool" }, { "mem-merge", "bool" }, { "usb", "bool" },
    { "graphics", "bool" },     { "hpet", "bool" },         { "acpi", "OnOffAuto" },
    { "smm", "OnOffAuto" },     { "vmport", "OnOffAuto" },
};

ObjectPropertyInfoList *qom_view_list(Machine *machine, const char *path, GError **error)
{
    g_autoptr(ObjectPropertyInfoList) list = ObjectPropertyInfoList_new();
    g_autoptr(JsonValue) options = NULL;
    QomPlace place;

    if (!resolve(machine, path, &place, error))
        return NULL;
    switch (place.kind) {
    case QOM_PLACE_CONTAINER:
        list_container(machine, path, list);
        break;
    case QOM_PLACE_MACHINE:
        for (size_t i = 0; i < G_N_ELEMENTS(machine_properties); i++)
            add_property(list, machine_properties[i].name, machine_properties[i].type);
        add_child(list, "peripheral", "container");
        add_child(list, "peripheral-anon", "container");
        add_child(list, "unattached", "container");
        list_devices(machine, path, list);
        break;
    case QOM_PLACE_DEVICE:
        for (size_t i = 0; i < G_N_ELEMENTS(device_properties); i++)
            add_property(list, device_properties[i].name, device_properties[i].type);
        if (place.device->args) {
            options = qapi_emit(QAPI_TYPE_DEVICE_ADD_ARGS, place.device->args);
            list_options(QAPI_TYPE_DEVICE_ADD_ARGS, place.device->args->driver, options,
                         list);
        }
        break;
    case QOM_PLACE_VCPU:
        for (size_t i = 0; i < G_N_ELEMENTS(vcpu_properties); i++)
            add_property(list, vcpu_properties[i].name, vcpu_properties[i].type);
        cpu_query_properties(add_cpu_property, list);
        break;
    case QOM_PLACE_OBJECT:
        add_property(list, "type", "string");
        options = qapi_emit(QAPI_TYPE_OBJECT_OPTIONS, place.object->options);
        list_options(QAPI_TYPE_OBJECT_OPTIONS, place.object->options->qom_type, options,
                     list);
        break;
    case QOM_PLACE_CHARDEV:
        add_property(list, "type", "string");
        break;
    }
    return g_steal_pointer(&list);
}

static const char *place_type(Machine *machine, const QomPlace *place)
{
    switch (place->kind) {
    case QOM_PLACE_CONTAINER:
        return "container";
    case QOM_PLACE_MACHINE:
        return machine->type->name;
    case QOM_PLACE_DEVICE:
        return device_type(place->device);
    case QOM_PLACE_VCPU:
        return cpu_model_type(machine->cpu_model);
    case QOM_PLACE_OBJECT:
        return place->object->class->name;
    case QOM_PLACE_CHARDEV:
        return "chardev";
    }
    g_assert_not_reached();
}

static JsonValue *get_machine(Machine *machine, const char *property)
{
    const Cmdline *cmdline = machine->cmdline;
    const MachineOptions *options = cmdline->machine;

    if (strcmp(property, "kernel") == 0)
        return json_new_string(cmdline->kernel ? cmdline->kernel : "");
    if (strcmp(property, "initrd") == 0)
        return json_new_string(cmdline->initrd ? cmdline->initrd : "");
    if (strcmp(property, "append") == 0)
        return json_new_string(cmdline->append ? cmdline->append : "");
    if (strcmp(property, "memory-backend") == 0)
        return json_new_string(machine->ram_object ? machine->ram_object->id : "");
    if (strcmp(property, "dump-guest-core") == 0)
        return json_new_bool(!options || !options->has_dump_guest_core ||
                             options->dump_guest_core);
    if (strcmp(property, "mem-merge") == 0)
        return json_new_bool(!options || !options->has_mem_merge || options->mem_merge);
    if (strcmp(property, "usb") == 0 || strcmp(property, "graphics") == 0 ||
        strcmp(property, "hpet") == 0)
        return json_new_bool(false);
    if (strcmp(property, "acpi") == 0)
        return json_new_string(machine_has_acpi(machine) ? "on" : "off");
    if (strcmp(property, "smm") == 0 || strcmp(property, "vmport") == 0)
        return json_new_string("off");
    return NULL;
}

static JsonValue *get_device(const Device *dev, const char *property)
{
    g_autoptr(JsonValue) options = NULL;
    JsonValue *value;

    if (strcmp(property, "realized") == 0)
        return json_new_bool(dev->state == DEVICE_STATE_REALIZED);
    if (strcmp(property, "hotplugged") == 0)
        return json_new_bool(dev->hotplugged);
    if (strcmp(property, "hotpluggable") == 0)
        return json_new_bool(false);
    if (strcmp(property, "parent_bus") == 0)
        return json_new_string(dev->bus ? dev->bus->name : "");
    if (!dev->args)
        return NULL;
    options = qapi_emit(QAPI_TYPE_DEVICE_ADD_ARGS, dev->args);
    value = json_member(options, property);
    return value ? json_ref(value) : NULL;
}

static JsonValue *get_vcpu(Machine *machine, unsigned index, const char *property)
{
    CpuPlace vcpu = vcpu_place(machine->vcpus[index]);

    if (strcmp(property, "realized") == 0)
        return json_new_bool(true);
    if (strcmp(property, "hotplugged") == 0 || strcmp(property, "hotpluggable") == 0)
        return json_new_bool(false);
    if (strcmp(property, "socket-id") == 0)
        return json_new_int(vcpu.socket);
    if (strcmp(property, "die-id") == 0)
        return json_new_int(vcpu.die);
    if (strcmp(property, "core-id") == 0)
        return json_new_int(vcpu.core);
    if (strcmp(property, "thread-id") == 0)
        return json_new_int(vcpu.thread);
    if (strcmp(property, "apic-id") == 0)
        return json_new_int(vcpu.apic_id);
    return cpu_query_property(machine->cpu_model, property);
}

static JsonValue *get_object(const Object *object, const char *property)
{
    g_autoptr(JsonValue) options = qapi_emit(QAPI_TYPE_OBJECT_OPTIONS, object->options);
    JsonValue *value = json_member(options, property);

    return value ? json_ref(value) : NULL;
}

static JsonValue *get(Machine *machine, const QomPlace *place, const char *property)
{
    if (strcmp(property, "type") == 0) {
        const char *suffix = place->kind == QOM_PLACE_MACHINE ? "-machine" : "";
        g_autofree char *type = g_strconcat(place_type(machine, place), suffix, NULL);

        return json_new_string(type);
    }
    switch (place->kind) {
    case QOM_PLACE_MACHINE:
        return get_machine(machine, property);
    case QOM_PLACE_DEVICE:
        return get_device(place->device, property);
    case QOM_PLACE_VCPU:
        return get_vcpu(machine, place->vcpu, property);
    case QOM_PLACE_OBJECT:
        return get_object(place->object, property);
    case QOM_PLACE_CONTAINER:
    case QOM_PLACE_CHARDEV:
        return NULL;
    }
    g_assert_not_reached();
}

JsonValue *qom_view_get(Machine *machine, const char *path, const char *property,
                        GError **error)
{
    JsonValue *value;
    QomPlace place;

    if (!resolve(machine, path, &place, error))
        return NULL;
    value = get(machine, &place, property);
    if (!value)
        error_set(error, "Property '%s.%s' not found", place_type(machine, &place),
                  property);
    return value;
}

static ObjectPropertyValue *value_of(Machine *machine, const QomPlace *place,
                                     const ObjectPropertyInfo *info)
{
    ObjectPropertyValue *value = g_new0(ObjectPropertyValue, 1);

    value->name = g_strdup(info->name);
    value->type = g_strdup(info->type);
    value->value = get(machine, place, info->name);
    return value;
}

ObjectPropertiesValues *qom_view_values(Machine *machine, const char *path,
                                        GError **error)
{
    g_autoptr(ObjectPropertyInfoList) list = qom_view_list(machine, path, error);
    ObjectPropertiesValues *values;
    QomPlace place;

    if (!list || !resolve(machine, path, &place, error))
        return NULL;
    values = g_new0(ObjectPropertiesValues, 1);
    values->properties = ObjectPropertyValueList_new();
    for (size_t i = 0; i < list->n; i++)
        ObjectPropertyValueList_append(values->properties,
                                       value_of(machine, &place, list->items[i]));
    return values;
}

bool qom_view_set(Machine *machine, const char *path, const char *property,
                  GError **error)
{
    g_autoptr(JsonValue) value = qom_view_get(machine, path, property, error);

    if (value)
        error_set(error,
                  "Property '%s' of '%s' cannot be changed while the machine is there",
                  property, path);
    return false;
}
