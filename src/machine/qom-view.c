/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Views of the tables as an object tree: no object here exists, each answer is read from
 * what does.  A path is resolved to a QomPlace, whose kind says which table answers; a
 * Visit of its properties gives all of them, or one, with or without values.
 */
#include <string.h>

#include "berth/balloon.h"
#include "berth/char-set.h"
#include "berth/cpu-query.h"
#include "berth/cpuhp.h"
#include "berth/error.h"
#include "berth/hotplug.h"
#include "berth/memhp.h"
#include "berth/object.h"
#include "berth/pci.h"
#include "berth/qapi-tables.h"
#include "berth/rtc.h"
#include "berth/virtio-mem.h"

#include "machine-q35.h"
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
    } else if (machine_find_vcpu(machine, path, &place.vcpu)) {
        place.kind = QOM_PLACE_VCPU;
    } else if (object_find(machine->objects, path)) {
        /* The end of a path is enough where it is not ambiguous. */
        place.kind = QOM_PLACE_OBJECT;
        place.object = object_find(machine->objects, path);
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

/* Goes through the properties of a place. */
typedef struct Visit {
    Machine *machine;
    const QomPlace *place;
    const char *only;           /* the property that is asked for, NULL for all */
    bool values;                /* read them */
    ObjectPropertyValueList *list;
} Visit;

static bool is_wanted(const Visit *visit, const char *name)
{
    return !visit->only || strcmp(visit->only, name) == 0;
}

/* @value is taken; NULL when it is not there or not asked for. */
static void add(Visit *visit, const char *name, const char *type, JsonValue *value)
{
    ObjectPropertyValue *property;

    if (!is_wanted(visit, name)) {
        json_unref(value);
        return;
    }
    property = g_new0(ObjectPropertyValue, 1);
    property->name = g_strdup(name);
    property->type = g_strdup(type);
    property->value = value;
    ObjectPropertyValueList_append(visit->list, property);
}

static void add_text(Visit *visit, const char *name, const char *type, const char *text)
{
    if (is_wanted(visit, name))
        add(visit, name, type, json_new_string(text ? text : ""));
}

static void add_bool(Visit *visit, const char *name, bool value)
{
    if (is_wanted(visit, name))
        add(visit, name, "bool", json_new_bool(value));
}

static void add_int(Visit *visit, const char *name, const char *type, int64_t value)
{
    if (is_wanted(visit, name))
        add(visit, name, type, json_new_int(value));
}

/* The value of a child is its path. */
static void add_child(Visit *visit, const char *name, const char *type)
{
    const char *base = visit->place->path;
    g_autofree char *child = g_strdup_printf("child<%s>", type);
    g_autofree char *path =
        g_strdup_printf("%s/%s", strcmp(base, "/") == 0 ? "" : base, name);

    add_text(visit, name, child, path);
}

static const char *device_type(const Device *dev)
{
    if (dev->class == &cpuhp_cpu_class)
        return dev->board->cpu_type;
    return dev->args ? DeviceDriver_str(dev->args->driver) : dev->class->name;
}

static const char *vcpu_type(const Machine *machine)
{
    return cpu_model_type(machine->cpu_model);
}

/* The devices whose path is that of the place and a name. */
static void visit_devices(Visit *visit)
{
    g_autofree char *prefix = g_strconcat(visit->place->path, "/", NULL);

    LIST_FOREACH(node, &visit->machine->tree.devices) {
        const Device *dev = CONTAINER_OF(node, Device, tree_node);
        const char *name = dev->path + strlen(prefix);

        if (g_str_has_prefix(dev->path, prefix) && !strchr(name, '/'))
            add_child(visit, name, device_type(dev));
    }
}

static void visit_vcpus(Visit *visit)
{
    const Machine *machine = visit->machine;

    /* The others are devices. */
    for (unsigned i = 0; machine->vcpus && i < machine->topology.cpus; i++) {
        g_autofree char *name = g_strdup_printf("device[%u]", i);

        add_child(visit, name, vcpu_type(machine));
    }
}

static void visit_objects(Visit *visit)
{
    LIST_FOREACH(node, object_set_list(visit->machine->objects)) {
        const Object *object = CONTAINER_OF(node, Object, node);

        add_child(visit, object->id, object->class->name);
    }
}

static void visit_chardevs(Visit *visit)
{
    g_autoptr(ChardevInfoList) chars = char_set_query(visit->machine->chars);

    for (size_t i = 0; i < chars->n; i++)
        add_child(visit, chars->items[i]->label, "chardev");
}

static void visit_container(Visit *visit)
{
    const char *path = visit->place->path;

    if (strcmp(path, "/") == 0) {
        g_autofree char *type = g_strconcat(visit->machine->type->name, "-machine", NULL);

        add_child(visit, "machine", type);
        add_child(visit, "objects", "container");
        add_child(visit, "chardevs", "container");
    } else if (strcmp(path, "/objects") == 0) {
        visit_objects(visit);
    } else if (strcmp(path, "/chardevs") == 0) {
        visit_chardevs(visit);
    } else {
        visit_devices(visit);
    }
    if (strcmp(path, "/machine/unattached") == 0)
        visit_vcpus(visit);
}

/* The members of a typed value, but those in @skipped. */
static void visit_options(Visit *visit, QapiTypeId type, unsigned branch,
                          const void *value, const char *const *skipped)
{
    g_autoptr(JsonValue) options = qapi_emit(type, value);
    JsonIter iter = { 0 };
    const char *key;
    JsonValue *member;

    while (json_next(options, &iter, &key, &member)) {
        if (!g_strv_contains(skipped, key))
            add(visit, key, qom_types_member(type, branch, key), json_ref(member));
    }
}

/* The time of a real-time clock, as C has it. */
static void add_date(Visit *visit, const char *name, Device *rtc)
{
    struct tm tm;
    JsonValue *date;

    if (!rtc || !is_wanted(visit, name))
        return;
    rtc_get_date(rtc, &tm);
    date = json_new_object();
    json_set(date, "tm_sec", json_new_int(tm.tm_sec));
    json_set(date, "tm_min", json_new_int(tm.tm_min));
    json_set(date, "tm_hour", json_new_int(tm.tm_hour));
    json_set(date, "tm_mday", json_new_int(tm.tm_mday));
    json_set(date, "tm_mon", json_new_int(tm.tm_mon));
    json_set(date, "tm_year", json_new_int(tm.tm_year));
    add(visit, name, "struct tm", date);
}

/* Where it is, whether that was asked for or found. */
static void visit_address(Visit *visit, Device *dev)
{
    if (dev->bus && dev->bus->kind == BUS_PCI) {
        add_int(visit, "addr", "int32", pci_device(dev)->devfn);
        add_int(visit, "acpi-index", "uint32", pci_acpi_index(dev));
    } else if (dev->class == &memhp_dimm_class) {
        const MemoryDevice *memory = memhp_dimm_memory(dev);

        add_int(visit, "addr", "uint64", (int64_t)memory->gpa);
        add_int(visit, "size", "uint64", (int64_t)memory->size);
        add_int(visit, "slot", "int32", memhp_dimm_slot(dev));
    }
}

/* What names the device, and what visit_address() says better. */
static const char *const *not_options(const Device *dev)
{
    static const char *const of_dimms[] = {
        "slot", "multifunction", "driver", "id", "addr", "acpi-index", NULL
    };
    bool is_dimm = dev->class == &memhp_dimm_class;
    bool is_pci = dev->bus && dev->bus->kind == BUS_PCI;

    return is_dimm ? of_dimms : is_pci ? &of_dimms[2] : &of_dimms[1];
}

static void visit_device(Visit *visit)
{
    const Device *dev = visit->place->device;
    Device *rtc = rtc_find(&visit->machine->tree);
    int onboard = dev->args ? -1 : OnboardDriver_parse(dev->class->name);

    add_bool(visit, "realized", dev->state == DEVICE_STATE_REALIZED);
    add_bool(visit, "hotplugged", dev->hotplugged);
    add_bool(visit, "hotpluggable", hotplug_bus_takes(dev->bus));
    add_text(visit, "parent_bus", "link<bus>", dev->bus ? dev->bus->name : NULL);
    if (dev->args)
        visit_options(visit, QAPI_TYPE_DEVICE_ADD_ARGS, dev->args->driver, dev->args,
                      not_options(dev));
    else if (onboard >= 0)
        visit_options(visit, QAPI_TYPE_ONBOARD_DEVICE, (unsigned)onboard,
                      visit->machine->cmdline->onboard[onboard], not_options(dev));
    visit_address(visit, (Device *)dev);
    if (dev == rtc)
        add_date(visit, "date", rtc);
    if (balloon_is(dev) && is_wanted(visit, "guest-stats"))
        add(visit, "guest-stats", "guest statistics", balloon_stats((Device *)dev));
    if (virtio_mem_is(dev))
        add_int(visit, "size", "size", (int64_t)virtio_mem_size((Device *)dev));
}

static void add_cpu_property(void *opaque, const char *name, const char *type)
{
    Visit *visit = opaque;

    add(visit, name, type,
        visit->values ? cpu_query_property(visit->machine->cpu_model, name) : NULL);
}

/* Clients ask for hundreds of them, one by one, for each machine that they start. */
static void add_one_cpu_property(Visit *visit)
{
    JsonValue *value = cpu_query_property(visit->machine->cpu_model, visit->only);

    if (value)
        add(visit, visit->only, "any", value);
}

static void visit_vcpu(Visit *visit)
{
    CpuPlace place = vcpu_place(visit->machine->vcpus[visit->place->vcpu]);
    const Device *dev = machine_q35_vcpu_device(visit->machine, visit->place->vcpu);

    add_bool(visit, "realized", true);
    add_bool(visit, "hotplugged", dev && dev->hotplugged);
    add_bool(visit, "hotpluggable", dev && hotplug_bus_takes(dev->bus));
    add_int(visit, "socket-id", "int32", place.socket);
    add_int(visit, "die-id", "int32", place.die);
    add_int(visit, "core-id", "int32", place.core);
    add_int(visit, "thread-id", "int32", place.thread);
    add_int(visit, "apic-id", "uint32", place.apic_id);
    if (visit->only)
        add_one_cpu_property(visit);
    else
        cpu_query_properties(add_cpu_property, visit);
}

static void visit_object(Visit *visit)
{
    static const char *const names[] = { "id", "qom-type", NULL };

    const Object *object = visit->place->object;
    g_autoptr(AutoballoonInfo) info = balloon_auto_object_info(object);

    visit_options(visit, QAPI_TYPE_OBJECT_OPTIONS, object->options->qom_type,
                  object->options, names);
    if (info)
        visit_options(visit, QAPI_TYPE_AUTOBALLOON_STATE, 0, info->state, names);
}

/* What a switch of "-machine" is that was not given. */
static JsonValue *machine_default(const QapiMember *member)
{
    static const char *const on[] = {
        "dump-guest-core", "mem-merge", "i8042", "fd-bootchk",
    };
    const char *name = qapi_text(member->name);
    const QapiType *type = &qapi_types[member->type];

    for (size_t i = 0; i < G_N_ELEMENTS(on); i++) {
        if (strcmp(on[i], name) == 0)
            return json_new_bool(true);
    }
    if (type->meta == QAPI_META_BOOL)
        return json_new_bool(false);
    if (type->meta == QAPI_META_ENUM)
        return json_new_string(strcmp(qapi_text(type->name), "OnOffAuto") == 0
                                   ? "off"
                                   : qapi_enum_str(member->type, 0));
    return json_new_string("");
}

static JsonValue *machine_value(const Machine *machine, const JsonValue *options,
                                const QapiMember *member)
{
    const Cmdline *cmdline = machine->cmdline;
    const char *name = qapi_text(member->name);
    JsonValue *given = options ? json_member(options, name) : NULL;
    const struct {
        const char *name;
        const char *value;
    } texts[] = {
        { "kernel", cmdline->kernel },
        { "initrd", cmdline->initrd },
        { "append", cmdline->append },
        { "memory-backend", machine->ram_object ? machine->ram_object->id : NULL },
        { "acpi", machine_has_acpi(machine) ? "on" : "off" },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(texts); i++) {
        if (strcmp(texts[i].name, name) == 0)
            return json_new_string(texts[i].value ? texts[i].value : "");
    }
    return given ? json_ref(given) : machine_default(member);
}

static void visit_machine(Visit *visit)
{
    const MachineOptions *options = visit->machine->cmdline->machine;
    const QapiType *type = &qapi_types[QAPI_TYPE_MACHINE_OPTIONS];
    g_autoptr(JsonValue) given =
        options ? qapi_emit(QAPI_TYPE_MACHINE_OPTIONS, options) : NULL;

    for (unsigned i = 0; i < type->n_members; i++) {
        const QapiMember *member = &qapi_type_members(type)[i];
        const char *name = qapi_text(member->name);

        if (strcmp(name, "type") != 0 && is_wanted(visit, name))
            add(visit, name, qapi_text(qapi_types[member->type].name),
                machine_value(visit->machine, given, member));
    }
    add_date(visit, "rtc-time", rtc_find(&visit->machine->tree));
    add_child(visit, "peripheral", "container");
    add_child(visit, "peripheral-anon", "container");
    add_child(visit, "unattached", "container");
    visit_devices(visit);
}

static char *place_type(const Machine *machine, const QomPlace *place)
{
    switch (place->kind) {
    case QOM_PLACE_CONTAINER:
        return g_strdup("container");
    case QOM_PLACE_MACHINE:
        return g_strconcat(machine->type->name, "-machine", NULL);
    case QOM_PLACE_DEVICE:
        return g_strdup(device_type(place->device));
    case QOM_PLACE_VCPU:
        return g_strdup(vcpu_type(machine));
    case QOM_PLACE_OBJECT:
        return g_strdup(place->object->class->name);
    case QOM_PLACE_CHARDEV:
        return g_strdup("chardev");
    }
    g_assert_not_reached();
}

/* The properties of @place, @only one or all (NULL). */
static ObjectPropertyValueList *collect(Machine *machine, const QomPlace *place,
                                        const char *only, bool values)
{
    g_autofree char *type = place_type(machine, place);
    Visit visit = {
        .machine = machine,
        .place = place,
        .only = only,
        .values = values,
        .list = ObjectPropertyValueList_new(),
    };

    add_text(&visit, "type", "string", type);
    switch (place->kind) {
    case QOM_PLACE_CONTAINER:
        visit_container(&visit);
        break;
    case QOM_PLACE_MACHINE:
        visit_machine(&visit);
        break;
    case QOM_PLACE_DEVICE:
        visit_device(&visit);
        break;
    case QOM_PLACE_VCPU:
        visit_vcpu(&visit);
        break;
    case QOM_PLACE_OBJECT:
        visit_object(&visit);
        break;
    case QOM_PLACE_CHARDEV:
        break;
    }
    return visit.list;
}

ObjectPropertyInfoList *qom_view_list(Machine *machine, const char *path, GError **error)
{
    g_autoptr(ObjectPropertyValueList) properties = NULL;
    ObjectPropertyInfoList *list;
    QomPlace place;

    if (!resolve(machine, path, &place, error))
        return NULL;
    properties = collect(machine, &place, NULL, false);
    list = ObjectPropertyInfoList_new();
    for (size_t i = 0; i < properties->n; i++) {
        ObjectPropertyInfo *info = g_new0(ObjectPropertyInfo, 1);

        info->name = g_strdup(properties->items[i]->name);
        info->type = g_strdup(properties->items[i]->type);
        ObjectPropertyInfoList_append(list, info);
    }
    return list;
}

ObjectPropertyValueList *qom_view_list_get(Machine *machine, const char *path,
                                           GError **error)
{
    QomPlace place;

    if (!resolve(machine, path, &place, error))
        return NULL;
    return collect(machine, &place, NULL, true);
}

JsonValue *qom_view_get(Machine *machine, const char *path, const char *property,
                        GError **error)
{
    g_autoptr(ObjectPropertyValueList) properties = NULL;
    g_autofree char *type = NULL;
    QomPlace place;

    if (!resolve(machine, path, &place, error))
        return NULL;
    properties = collect(machine, &place, property, true);
    if (properties->n && properties->items[0]->value)
        return json_ref(properties->items[0]->value);
    type = place_type(machine, &place);
    error_set(error, "Property '%s.%s' not found", type, property);
    return NULL;
}

static bool refuse_change(const char *path, const char *property, GError **error)
{
    error_set(error, "Property '%s' of '%s' cannot be changed while the machine is there",
              property, path);
    return false;
}

static bool change_interval(Device *balloon, const JsonValue *value, GError **error)
{
    uint64_t seconds;

    if (!json_as_uint(value, &seconds) || seconds > UINT32_MAX) {
        error_set(error, "parameter 'guest-stats-polling-interval' expects a number from "
                  "0 to %u", UINT32_MAX);
        return false;
    }
    balloon_set_interval(balloon, (uint32_t)seconds);
    return true;
}

static bool change_requested_size(Device *mem, const JsonValue *value, GError **error)
{
    uint64_t size;

    if (json_as_uint(value, &size))
        return virtio_mem_size_request(mem, size, error);
    error_set(error, "parameter 'requested-size' expects a number of bytes");
    return false;
}

/* A device's properties that may change. */
static bool change_device(const QomPlace *place, const char *property,
                          const JsonValue *value, GError **error)
{
    Device *dev = (Device *)place->device;

    if (balloon_is(dev) && strcmp(property, "guest-stats-polling-interval") == 0)
        return change_interval(dev, value, error);
    if (virtio_mem_is(dev) && strcmp(property, "requested-size") == 0)
        return change_requested_size(dev, value, error);
    return refuse_change(place->path, property, error);
}

bool qom_view_set(Machine *machine, const char *path, const char *property,
                  const JsonValue *value, GError **error)
{
    g_autoptr(JsonValue) current = qom_view_get(machine, path, property, error);
    QomPlace place;

    if (!current || !resolve(machine, path, &place, error))
        return false;
    if (json_equal(current, value))
        return true;
    if (place.kind == QOM_PLACE_OBJECT)
        return object_change(place.object, property, value, error);
    if (place.kind == QOM_PLACE_DEVICE)
        return change_device(&place, property, value, error);
    return refuse_change(path, property, error);
}
